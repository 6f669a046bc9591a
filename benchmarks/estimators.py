"""The multi-layer perceptrons of scikit-learn and of onefold: time, scores, and the memory of lbfgs.

Both sides get the same arrays and the same parameters, so they start from the same weights and see the
same rows in the same order; every epoch runs (training does not stop early). They fit in turns, A B A B.
Peaks of memory are read in a process of its own for every fit.

    python benchmarks/estimators.py [--quick] [--threads 2]
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

from common import machine, parse_arguments, summary, table, take_turns, where, write

if __name__ == "__main__":
    given = parse_arguments(__doc__)

import numpy as np
import pandas as pd
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import onefold

FOLDER = Path(os.environ.get("ONEFOLD_DATA", Path(__file__).parents[2] / "shared" / "data"))
#: Columns and hidden neurons of the fit whose memory is measured, and its rows.
MEMORY_SHAPE = (50, (256, 256, 256))
MEMORY_ROWS = (12_500, 25_000, 50_000, 100_000, 200_000)

MEASURE = """
import importlib, sys, warnings
import numpy as np
module, rows, columns = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
hidden = tuple(map(int, sys.argv[4].split(",")))
warnings.simplefilter("ignore")
cls = importlib.import_module(module).MLPRegressor
x = np.random.default_rng(0).standard_normal((rows, columns))
y = x[:, 0]


def status(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def fit(x, y):
    cls(hidden_layer_sizes=hidden, solver="lbfgs", max_iter=2, random_state=0).fit(x, y)


fit(x[:64], y[:64])  # what is loaded once, and what does not depend on the rows
before = status("VmRSS")
fit(x, y)
print(status("VmHWM") - before)
"""


def digits():
    """8 x 8 images of digits."""
    x, y = datasets.load_digits(return_X_y=True)
    return x / 16, y


def california_housing():
    """Districts; the regions as zeros and ones."""
    frame = pd.read_csv(FOLDER / "california_housing" / "housing.csv").dropna()
    y = frame.pop("median_house_value").to_numpy() / 1e5
    return pd.get_dummies(frame, dtype=float).to_numpy(), y


def taxi_fare():
    """Rides; words as zeros and ones."""
    parts = [pd.read_csv(FOLDER / "taxi_fare" / f"taxi-fare-{p}.csv") for p in ("train", "test")]
    frame = pd.concat(parts)
    y = frame.pop("fare_amount").to_numpy()
    return pd.get_dummies(frame, dtype=float).to_numpy(), y / y.std()


def sleep():
    """Stages of sleep from what sensors say."""
    frame = pd.read_csv(FOLDER / "pmlb" / "sleep.tsv.gz", sep="\t")
    y = frame.pop("target").to_numpy()
    return frame.to_numpy(float), y


def fashion_mnist():
    """28 x 28 images of clothes; both files."""
    x, y = [], []
    for part in ("train", "t10k"):
        folder = FOLDER / "fashion_mnist"
        with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
            x.append(np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784))
        with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
            y.append(np.frombuffer(file.read(), np.uint8, offset=8))
    return np.concatenate(x) / 255, np.concatenate(y).astype(int)


#: Data, whether its columns are standardised, epochs, hidden layers.
CASES = {
    "digits": (digits, False, 50, (100,)),
    "california_housing": (california_housing, True, 20, (100,)),
    "taxi_fare": (taxi_fare, True, 5, (100,)),
    "sleep": (sleep, True, 5, (100, 100)),
    "fashion_mnist": (fashion_mnist, False, 3, (256, 128)),
}


def estimator(library, classes, epochs, hidden):
    """An estimator that runs all epochs, with the defaults otherwise."""
    cls = library.MLPClassifier if classes else library.MLPRegressor
    return cls(
        hidden_layer_sizes=hidden, max_iter=epochs, tol=0.0, n_iter_no_change=np.inf, random_state=0
    )


def compare(name, dtype, rounds):
    """Seconds and score of each side on one table."""
    load, standardised, epochs, hidden = CASES[name]
    x, y = load()
    classes = y.dtype.kind in "iu"
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.2, random_state=0)
    if standardised:
        scaler = StandardScaler().fit(x)
        x, x_test = scaler.transform(x), scaler.transform(x_test)
    x, x_test = x.astype(dtype), x_test.astype(dtype)
    sides = {
        "onefold": estimator(onefold, classes, epochs, hidden),
        "scikit-learn": estimator(neural_network, classes, epochs, hidden),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        sides["onefold"].fit(x[:256], y[:256])  # wakes threads and pages
        seconds = take_turns({n: partial(s.fit, x, y) for n, s in sides.items()}, rounds)
    curves = [np.array(side.loss_curve_) for side in sides.values()]
    return {
        "rows": len(x),
        "columns": x.shape[1],
        "hidden": hidden,
        "epochs": epochs,
        "seconds": {n: summary(values) for n, values in seconds.items()},
        "score": {n: float(side.score(x_test, y_test)) for n, side in sides.items()},
        "curves differ by": float(np.abs(curves[0] / curves[1] - 1).max()),
    }


def memory(module, rows):
    """Bytes that a fit by lbfgs added at its peak."""
    columns, hidden = MEMORY_SHAPE
    arguments = [module, str(rows), str(columns), ",".join(map(str, hidden))]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def time_line(name, dtype, found):
    """A row of the table of times."""
    ours, theirs = (found["seconds"][side]["median"] for side in ("onefold", "scikit-learn"))
    scores = [f"{found['score'][side]:.4f}" for side in ("onefold", "scikit-learn")]
    network = "-".join(map(str, (found["columns"], *found["hidden"])))
    return [
        name, dtype, f"{found['rows']:,}", network, found["epochs"], f"{ours:.3f}", f"{theirs:.3f}",
        f"**{theirs / ours:.1f}**", *scores, f"{found['curves differ by']:.0e}",
    ]  # fmt: skip


def main(given):
    rounds = 2 if given.quick else 5
    names = ["digits", "california_housing"] if given.quick else list(CASES)
    results, times = {}, []
    for name in names:
        for dtype in ("float64", "float32"):
            found = compare(name, dtype, rounds)
            results.setdefault(name, {})[dtype] = found
            times.append(time_line(name, dtype, found))
            print(*times[-1], flush=True)
    peaks = {}
    for rows in MEMORY_ROWS[: 2 if given.quick else None]:
        sides = {"onefold": "onefold", "scikit-learn": "sklearn.neural_network"}
        peaks[rows] = {side: memory(module, rows) for side, module in sides.items()}
        print(rows, peaks[rows], flush=True)
    about = machine(given.threads, ["scikit-learn", "scipy"])
    columns, hidden = MEMORY_SHAPE
    shape = "-".join(map(str, (columns, *hidden, 1)))
    lines = [
        "# Multi-layer perceptrons: onefold's against scikit-learn's",
        "",
        where(about),
        f"adam, batches of 200, the same first weights and orders of rows; medians of {rounds} fits in "
        "turns. Scores (accuracy, R²) are of a fifth of the rows that was left out; the last column is "
        "the largest relative difference between the two loss curves.",
        "",
        *table(
            ["data", "type", "rows", "network", "epochs", "onefold, s", "scikit-learn, s", "ratio",
             "onefold's score", "scikit-learn's", "curves"],
            times,
        ),
        "",
        f"Memory that a fit by lbfgs adds at its peak, {shape}, float64, in MB:",
        "",
        *table(
            ["rows", "data", "onefold", "scikit-learn"],
            [
                [f"{rows:,}", f"{rows * columns * 8 / 1e6:.0f}",
                 *(f"{size / 1e6:.0f}" for size in sizes.values())]
                for rows, sizes in peaks.items()
            ],
        ),
    ]  # fmt: skip
    results = {"machine": about, "times": results, "lbfgs_memory": peaks}
    write("estimators-quick" if given.quick else "estimators", results, lines)


if __name__ == "__main__":
    main(given)
