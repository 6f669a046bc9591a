"""How the defaults of `onefold train` were chosen: test errors of variants on real tables.

The tables and their samples are those of `tables.py`, cut by other seeds than there, so that what is
chosen here is compared on other splits. Every variant trains on the same rows. A figure is the mean
test error (of classes) or root mean squared error over the splits, divided by that of the earlier
defaults; the mean over the tables is geometric, with half a percent added to every error of classes, so
that a few rows of an easy table do not rule it. A variant with another share of validation rows has
other test rows, too. Tables are worked on side by side, one by each thread.

    python benchmarks/defaults.py [--quick]
"""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
from common import machine, parse_arguments, table, where, write

if __name__ == "__main__":
    given = parse_arguments(__doc__)

from tables import TABLES, load

from onefold import data
from onefold.cli.preparation import prepare
from onefold.cli.recipe import Recipe
from onefold.cli.training import follow

SEEDS = range(5, 10)
_ADDED = 0.005  # to an error of classes, in the mean over the tables

#: Whole numbers from 0 or 1 up with at most so many values are categories; 0: none are, 5: as the
#: encoder has it.
CODES = "codes"
EARLIER = {
    CODES: 0, "scaling": "standard", "activation": "relu", "label_smoothing": 0.0, "weight_decay": 0.01,
    "learning_rate": 0.003, "schedule": None, "epochs": 200, "patience": 20,
}  # fmt: skip
_CODES = {**EARLIER, CODES: 5}
_SMOOTHED = {**_CODES, "label_smoothing": 0.1}
_DECAYED = {**_SMOOTHED, "weight_decay": 0.1, "epochs": 400, "patience": 40}
_MISH = {**_DECAYED, "activation": "mish"}
_CLIPPED = {**_MISH, "scaling": "clipped"}
CHOSEN = {CODES: 5}  # the defaults themselves

#: What is kept, step by step.
STEPS = {
    "columns of three to five codes are categories": _CODES,
    "and label smoothing 0.1": _SMOOTHED,
    "and weight decay 0.1, at most 400 epochs, patience 40": _DECAYED,
    "and mish": _MISH,
    "and numbers smoothly clipped": _CLIPPED,
    "**a one-cycle rate to 0.01 over 100 epochs in place of the patience: the defaults**": CHOSEN,
}

#: What was tried in place of a part of the defaults.
OTHERS = {
    "200 epochs": {**CHOSEN, "epochs": 200},
    "silu in place of mish": {**CHOSEN, "activation": "silu"},
    "two layers of 128": {**CHOSEN, "hidden": (128, 128)},
    "0.02 and batches of 64": {**CHOSEN, "learning_rate": 0.02, "batch_size": 64},
    "scaling by quartiles in place of moments": {**CHOSEN, "scaling": "robust"},
    "a tenth of the rows for validation in place of 16 %": {**CHOSEN, "validation": 0.1},
}

#: What was tried on the way there.
ON_THE_WAY = {
    "a constant rate of 0.001": {**EARLIER, "learning_rate": 0.001},
    "batches of 128": {**EARLIER, "batch_size": 128},
    "half a cosine over 50 epochs": {**EARLIER, "schedule": "cosine", "epochs": 50},
    "half a cosine over 100 epochs": {**EARLIER, "schedule": "cosine", "epochs": 100},
    "codes, label smoothing 0.05": {**_CODES, "label_smoothing": 0.05},
    "codes of up to ten values, label smoothing 0.1": {**_SMOOTHED, CODES: 10},
    "codes, label smoothing 0.1, numbers by rank": {**_SMOOTHED, "scaling": "quantile"},
    "codes, label smoothing 0.1, silu": {**_SMOOTHED, "activation": "silu"},
    "codes, label smoothing 0.1, weight decay 0.5": {**_SMOOTHED, "weight_decay": 0.5},
    "codes, label smoothing 0.1, two layers of 128, dropout 0.2":
        {**_SMOOTHED, "hidden": (128, 128), "dropout": 0.2},
    "codes, label smoothing 0.1, two layers of 256, dropout 0.3":
        {**_SMOOTHED, "hidden": (256, 256), "dropout": 0.3},
}  # fmt: skip


_BEFORE = "the earlier defaults"
VARIANTS = {_BEFORE: EARLIER, **STEPS, **OTHERS, **ON_THE_WAY}


class Cut:
    """A table's sample, prepared once for each way of encoding and splitting it."""

    def __init__(self, name):
        self.recipe, self.columns = load(name)
        self._prepared = {}

    def kinds(self, most):
        """Columns that are numbers or categories where codes have at most so many values."""
        if most == 5:
            return {}
        numbers, categories = [], []
        for name, column in self.columns.items():
            if name == self.recipe.target or column.dtype == object:
                continue
            values = np.unique(column[~np.isnan(column)])
            few = 2 < len(values) <= most and len(column) >= 10 * len(values)
            coded = few and values[0] in (0, 1) and (values == np.floor(values)).all()
            (categories if coded else numbers).append(name)
        return {"numeric": tuple(numbers), "categorical": tuple(categories)}

    def error(self, options, seed):
        """Test error of a variant."""
        options = {**options, "seed": seed}
        recipe = replace(self.recipe, **self.kinds(options.pop(CODES)), **options)
        key = (recipe.numeric, recipe.categorical, recipe.scaling, recipe.validation, seed)
        if key not in self._prepared:
            self._prepared[key] = prepare(recipe, data.Table(self.columns))
        prepared = self._prepared[key]
        self.has_classes = bool(prepared.target.classes)
        if not self.has_classes:
            recipe = replace(recipe, label_smoothing=None)
        scores = follow(recipe, prepared, threads=1).scores
        return 1 - scores["accuracy"] if "accuracy" in scores else scores["rmse"]


def errors(work):
    """Mean error over the splits of every variant on a table, and whether it has classes."""
    name, seeds = work
    cut = Cut(name)
    found = {
        variant: float(np.mean([cut.error(options, seed) for seed in seeds]))
        for variant, options in VARIANTS.items()
    }
    return found, cut.has_classes


def main(given):
    seeds = SEEDS[:1] if given.quick else SEEDS
    names = list(TABLES)[: 3 if given.quick else None]
    with ProcessPoolExecutor(given.threads) as workers:
        each = dict(zip(names, workers.map(errors, [(name, seeds) for name in names]), strict=True))
    found, ratios, means = {}, {}, {}
    for variant in VARIANTS:
        found[variant] = {name: each[name][0][variant] for name in names}
        before = found[_BEFORE]
        ratios[variant] = {n: found[variant][n] / (before[n] or math.nan) for n in names}
        added = {n: _ADDED if each[n][1] else 0.0 for n in names}
        logs = [math.log((found[variant][n] + added[n]) / (before[n] + added[n])) for n in names]
        means[variant] = math.exp(np.mean(logs))
    about = machine(given.threads, [])
    page = lines(about, len(seeds), names, means, ratios)
    results = {"machine": about, "errors": found, "ratios": ratios, "means": means}
    write("defaults-quick" if given.quick else "defaults", results, page)


def lines(about, splits, names, means, ratios):
    """The page of the results."""

    def rows(variants):
        return [[v, f"{means[v]:.2f}", *(f"{ratios[v][n]:.2f}" for n in names)] for v in variants]

    header = ["variant", "mean", *names]
    defaults = Recipe(target="")
    return [
        f"# Variants of the defaults: test errors, {splits} splits",
        "",
        where(about),
        "Mean test error (of classes) or root mean squared error, divided by that of the earlier defaults: "
        "two layers of 64, relu, AdamW at a constant 0.003, standardised numbers, at most 200 epochs with a "
        "patience of 20, batches of 32. The mean over the tables is geometric, with half a percent added to "
        "every error of classes. Smaller is better. Samples of up to 4,000 rows; the splits are others than those of [the comparison](tables.md).",
        "",
        "What is kept, step by step:",
        "",
        *table(header, rows(STEPS)),
        "",
        f"In place of a part of the defaults (two layers of {defaults.hidden[0]}, {defaults.activation}, "
        f"{defaults.epochs} epochs, {defaults.learning_rate} at the most, batches of "
        f"{defaults.batch_size}, {defaults.validation:.0%} for validation):",
        "",
        *table(header, rows(OTHERS)),
        "",
        "On the way there, each against the earlier defaults:",
        "",
        *table(header, rows(ON_THE_WAY)),
    ]


if __name__ == "__main__":
    main(given)
