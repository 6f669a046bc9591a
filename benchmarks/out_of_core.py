"""Training from a file: speed against the same rows in memory, and what the command takes with little memory.

Rows of 60 numbers lie in a file that is in the system's page cache. A network trains on them in memory
and, in turns, through windows within budgets of a part of the file, a run of one or more epochs each time
(the first of them checks the rows and finds its window's pages for the first time); the fingerprints must
be equal. Then `onefold train` goes from a Parquet file to a model in processes of their own with smaller
and smaller budgets, and the peak is what the system says of the process at its end.

    python benchmarks/out_of_core.py [--quick]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from common import machine, parse_arguments, summary, table, take_turns, where, write

if __name__ == "__main__":
    given = parse_arguments(__doc__)

import numpy as np

import onefold as of
from onefold.train.residency import FileRows

WIDTH = 60
#: Budgets as shares of the file's bytes.
SHARES = (0.5, 0.33, 0.2, 0.1)
#: Hidden layers, rows of a batch, epochs of a run: some seconds each, as systems move the cores of a
#: virtual machine every minute or so.
NETWORKS = {
    "60-64-64-1, 32": ((64, 64), 32, 2),
    "60-64-64-1, 1024": ((64, 64), 1024, 4),
    "60-256-256-1, 1024": ((256, 256), 1024, 1),
}
COMMAND = (
    "import sys, onefold.cli as c; s = c.main(sys.argv[1:]); "
    "print(next(l for l in open('/proc/self/status') if l.startswith('VmHWM'))); sys.exit(s)"
)


def rows_in_a_file(rows):
    """Random rows in a file, and the same in memory."""
    rng = np.random.default_rng(0)
    file = FileRows.create((rows, WIDTH))
    for first in range(0, rows, 100_000):
        count = min(100_000, rows - first)
        file.write(first, 0, rng.standard_normal((count, WIDTH), dtype=np.float32))
    return file, np.array(file)


def speeds(rows, rounds, threads):
    """Bytes of the rows, and seconds of an epoch by network and budget."""
    file, memory = rows_in_a_file(rows)
    y = (memory[:, 0] + memory[:, 1] * memory[:, 2] > 0).astype(np.int32)
    found = {}
    for name, (hidden, batch, epochs) in NETWORKS.items():
        prints = set()

        def train(x, budget, hidden=hidden, batch=batch, epochs=epochs, prints=prints):
            layers = [of.Dense(units, "relu") for units in hidden]
            net = of.Network([*layers, of.Dense(1)], inputs=WIDTH, seed=0)
            net.fit(x, y, loss="cross_entropy", epochs=epochs, batch_size=batch, verbose=0, memory=budget, threads=threads)  # fmt: skip
            prints.add(net.fingerprint())

        sides = {"memory": lambda train=train: train(memory, None)}
        for share in SHARES:
            sides[f"{share:.0%}"] = lambda train=train, share=share: train(
                file, int(share * memory.nbytes)
            )
        found[name] = {
            side: summary([seconds / epochs for seconds in times])
            for side, times in take_turns(sides, rounds).items()
        }
        assert len(prints) == 1, "the bits differ"
    return memory.nbytes, found


def peaks(rows, budgets, folder):
    """Megabytes at the most and seconds of `onefold train` within budgets."""
    import time

    import duckdb

    path = Path(folder) / "table.parquet"
    columns = ", ".join(
        f"(hash(range * {WIDTH} + {i}) / 1e19)::float as x{i}" for i in range(WIDTH)
    )
    with duckdb.connect() as database:
        database.execute(
            f"copy (select {columns}, range % 2 as y from range({rows})) to '{path}' (format parquet)"
        )
    found = {}
    for budget in budgets:
        arguments = ["train", str(path), "--target", "y", "--epochs", "2", "--batch-size", "1024"]
        limit = [] if budget is None else ["--memory", budget]
        start = time.perf_counter()
        run = subprocess.run(
            [sys.executable, "-c", COMMAND, *arguments, *limit, "-q", "-o", str(Path(folder) / "m")],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        seconds = time.perf_counter() - start
        lines = run.stdout.split("\n")
        peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
        fingerprint = next(line.split()[1] for line in lines if line.startswith("fingerprint"))
        found[budget or "none"] = {"peak": peak, "seconds": seconds, "fingerprint": fingerprint}
    assert len({each["fingerprint"] for each in found.values()}) == 1, "the bits differ"
    return found


def main(given):
    rows = 300_000 if given.quick else 3_000_000
    size, seconds = speeds(rows, 3 if given.quick else 5, given.threads)
    with tempfile.TemporaryDirectory() as folder:
        within = peaks(rows, (None, "300MB") if given.quick else (None, "512MB", "300MB"), folder)
    about = machine(given.threads, ["duckdb"])
    header = [
        "network, batch",
        "epochs of a run",
        "memory, s",
        *(f"budget {share:.0%} of the file" for share in SHARES),
    ]
    lines = [
        "# Training from a file",
        "",
        where(about),
        f"{rows:,} rows of {WIDTH} numbers, {size / 1e6:.0f} MB, in the page cache; medians of the seconds an "
        "epoch, start included; the speed in memory = 1. All runs of a network end with the same bits.",
        "",
        *table(header, [
            [name, NETWORKS[name][2], f"{found['memory']['median']:.2f}", *(
                f"{found['memory']['median'] / found[f'{share:.0%}']['median']:.2f}" for share in SHARES
            )] for name, found in seconds.items()
        ]),
        "",
        f"`onefold train` on a Parquet file with the same shape ({size / 1e6:.0f} MB encoded), two epochs:",
        "",
        *table(["--memory", "peak of the process, MB", "s"], [
            [name, f"{each['peak'] / 1e6:.0f}", f"{each['seconds']:.1f}"] for name, each in within.items()
        ]),
    ]  # fmt: skip
    name = "out_of_core-quick" if given.quick else "out_of_core"
    write(name, {"machine": about, "bytes": size, "seconds": seconds, "command": within}, lines)


if __name__ == "__main__":
    main(given)
