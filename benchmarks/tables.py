"""Accuracy on real tables: onefold's defaults against scikit-learn's MLP and gradient boosting.

Every table is cut five times, by five seeds; all sides get the same rows for training and the same test
rows. onefold takes the table as it is; scikit-learn's sides get missing numbers filled with the median
and marked, and categories one-hot (the MLP, standardised) or as codes (the trees). All with the options
they come with. Large tables are cut to a sample of 4,000 rows.

    python benchmarks/tables.py [--quick]
"""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import machine, parse_arguments, table, where, write

if __name__ == "__main__":
    given = parse_arguments(__doc__)

from onefold import data
from onefold.cli.preparation import _split, prepare
from onefold.cli.recipe import Recipe
from onefold.cli.training import follow

FOLDER = Path(os.environ.get("ONEFOLD_DATA", Path(__file__).parents[2] / "shared" / "data"))
ROWS = 4_000
SEEDS = 5

#: name: file, target, options of the recipe
TABLES = {
    "penguins": ("penguins/penguins.csv", "species", {}),
    "telco_churn": ("telco_churn/*.csv", "Churn", {}),
    "optdigits": ("optdigits/optdigits-train.csv", "c64", {"header": False}),
    "magic": ("pmlb/magic*", "target", {}),
    "sleep": ("pmlb/sleep*", "target", {}),
    "shuttle": ("pmlb/shuttle*", "target", {}),
    "connect_4": ("pmlb/connect_4*", "target", {}),
    "higgs (binary.train)": ("lightgbm_examples/binary.train", "c0", {"header": False}),
    "california_housing": ("california_housing/*.csv", "median_house_value", {}),
    "taxi_fare": ("taxi_fare/*train*", "fare_amount", {}),
    "bike_sharing": ("bike_sharing/*train*", "cnt", {"drop": ("casual", "registered")}),
    "201_pol": ("pmlb/201_pol*", "target", {"task": "regression"}),
    "574_house_16H": ("pmlb/574_house_16H*", "target", {}),
}


def sample(recipe, source):
    """Columns of up to `ROWS` rows whose target is there, drawn evenly."""
    target = source.column(recipe.target)
    rows = data.target.present_rows(target)
    if len(rows) > ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, ROWS).astype(int)]
    return {name: source.column(name)[rows] for name in source.kinds if name not in recipe.drop}


def load(name):
    """A recipe for a table, and the columns of its sample."""
    file, target, options = TABLES[name]
    recipe = Recipe(target=target, **options)
    columns = sample(recipe, recipe.table(str(FOLDER / file)))
    return replace(recipe, drop=(), header=True, format=None), columns


def frames(columns, prepared):
    """The columns that onefold uses, as numbers and categories."""
    import pandas as pd

    used = {c.name: c.kind for c in prepared.encoder.columns}
    frame = {}
    for name, kind in used.items():
        column = columns[name]
        if kind in ("categorical", "coded"):
            frame[name] = pd.Series(
                ["missing" if c is None or c != c else str(c) for c in column.tolist()]
            )
        elif kind == "date" and column.dtype == object:
            frame[name] = pd.to_datetime(pd.Series(column)).astype("int64") / 1e9
        else:
            frame[name] = pd.to_numeric(pd.Series(column), errors="coerce")
    frame = pd.DataFrame(frame)
    words = [name for name in frame if used[name] in ("categorical", "coded")]
    return frame, words


def others(frame, words, classification, seed):
    """scikit-learn's sides."""
    from sklearn import ensemble, impute, neural_network, pipeline, preprocessing
    from sklearn.compose import make_column_transformer

    numbers = [name for name in frame if name not in words]
    scaled = pipeline.make_pipeline(
        impute.SimpleImputer(strategy="median", add_indicator=True), preprocessing.StandardScaler()
    )
    one_hot = preprocessing.OneHotEncoder(handle_unknown="ignore", max_categories=65)
    codes = preprocessing.OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=250
    )
    mlp = neural_network.MLPClassifier if classification else neural_network.MLPRegressor
    trees = (
        ensemble.HistGradientBoostingClassifier
        if classification
        else ensemble.HistGradientBoostingRegressor
    )
    return {
        "MLP": pipeline.make_pipeline(
            make_column_transformer((scaled, numbers), (one_hot, words)), mlp(random_state=seed)
        ),
        "gradient boosting": pipeline.make_pipeline(
            make_column_transformer((codes, words), remainder="passthrough"),
            trees(random_state=seed, categorical_features=list(range(len(words))) or None),
        ),
    }


def compare(name, seeds):
    """Scores of every side by seed, and seconds."""
    recipe, columns = load(name)
    cut, target = data.Table(columns), recipe.target
    scores, seconds = {}, {}
    for seed in range(seeds):
        start = time.perf_counter()
        seeded = replace(recipe, seed=seed)
        prepared = prepare(seeded, cut)
        trained = follow(seeded, prepared)
        score = trained.scores.get("accuracy", trained.scores.get("rmse"))
        scores.setdefault("onefold", []).append(score)
        seconds.setdefault("onefold", []).append(time.perf_counter() - start)
        y = prepared.target.encode(columns[target])
        classification = prepared.target.task != "regression"
        test, validation, train = _split(
            seeded, cut, None, len(y), y if classification else None, None
        )
        fitted = np.sort(np.concatenate([train, validation]))
        frame, words = frames(columns, prepared)
        truth = y if classification else np.asarray(columns[target], float)
        scale = 1.0 if classification else truth[fitted].std()
        middle = 0.0 if classification else truth[fitted].mean()
        for label, model in others(frame, words, classification, seed).items():
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(
                    frame.iloc[fitted],
                    (truth[fitted] - middle) / scale if scale != 1 else truth[fitted],
                )
                predicted = model.predict(frame.iloc[test])
            if classification:
                score = float((predicted == truth[test]).mean())
            else:
                score = float(np.sqrt(((predicted * scale + middle - truth[test]) ** 2).mean()))
            scores.setdefault(label, []).append(score)
            seconds.setdefault(label, []).append(time.perf_counter() - start)
    return prepared.target.task, len(next(iter(columns.values()))), scores, seconds


def main(given):
    seeds = 2 if given.quick else SEEDS
    found, rows = {}, []
    for name in list(TABLES)[: 4 if given.quick else None]:
        task, count, scores, seconds = compare(name, seeds)
        found[name] = {"task": task, "rows": count, "scores": scores, "seconds": seconds}
        means = {side: float(np.mean(values)) for side, values in scores.items()}
        best = (min if task == "regression" else max)(means.values())
        cells = []
        for side, values in scores.items():
            text = (
                f"{np.mean(values):.4g} ± {np.std(values):.2g}"
                if task == "regression"
                else f"{np.mean(values):.2%} ± {np.std(values):.2%}"
            )
            cells.append(f"**{text}**" if means[side] == best else text)
        times = " / ".join(f"{np.median(values):.2g}" for values in seconds.values())
        rows.append(
            [name, f"{count:,}", "RMSE" if task == "regression" else "accuracy", *cells, times]
        )
        print(*rows[-1], flush=True)
    about = machine(given.threads, ["scikit-learn"])
    lines = [
        f"# Accuracy on real tables: mean and deviation of {seeds} splits",
        "",
        where(about),
        "Defaults on every side, the same rows; bold is the best mean. RMSE is better when it is small.",
        "",
        *table(
            [
                "table",
                "rows",
                "measure",
                "onefold",
                "scikit-learn MLP",
                "gradient boosting",
                "seconds of a fit",
            ],
            rows,
        ),
    ]
    write("tables-quick" if given.quick else "tables", {"machine": about, "tables": found}, lines)


if __name__ == "__main__":
    main(given)
