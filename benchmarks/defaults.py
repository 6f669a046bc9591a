"""How the defaults of `onefold train` were chosen: test errors of variants on real tables.

The tables and their samples are those of `tables.py`, cut by other seeds than there, so that what is
chosen here is compared on other splits. The defaults are then checked on splits by which nothing was
chosen, and their parts taken back one by one on twenty more. Every variant has the same test rows. A
figure is the mean test error (of classes) or root mean squared error over the splits, divided by that of
the earlier defaults; the mean over the tables is geometric, with half a percent added to every error of
classes, so that a few rows of an easy table do not rule it. Its deviation is the jackknife's over the
splits. Seconds are the processor's, of one thread, so that other work on the machine hardly shows.

    python benchmarks/defaults.py [--quick]
"""

from __future__ import annotations

import math
import time
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

SEEDS, FRESH, FURTHER = range(5, 10), range(10, 15), range(15, 35)
_TEST = 0.2
_PART = "part of the split"
_ADDED = 0.005  # to an error of classes, in the mean over the tables

#: Whole numbers from 0 or 1 up with at most so many values are categories; 0: none are, 5: as the
#: encoder has it.
CODES = "codes"
EARLIER = {
    CODES: 0, "activation": "relu", "scaling": "standard", "label_smoothing": 0.0, "weight_decay": 0.01,
    "learning_rate": 0.003, "schedule": None, "epochs": 200, "patience": 20, "validation": 0.16,
}  # fmt: skip
_CODES = {**EARLIER, CODES: 5}
_SMOOTHED = {**_CODES, "label_smoothing": 0.1}
_PATIENT = {"learning_rate": 0.003, "schedule": None, "epochs": 400, "patience": 40}
_DECAYED = {**_SMOOTHED, "weight_decay": 0.1, **_PATIENT}
_TENTH = {**_DECAYED, "validation": 0.1}
CHOSEN = {CODES: 5}  # the defaults themselves
_CLIPPED = {**CHOSEN, "activation": "mish", "scaling": "clipped", "validation": 0.16}

#: What is kept, step by step.
STEPS = {
    "columns of three to five codes are categories": _CODES,
    "and label smoothing 0.1": _SMOOTHED,
    "and weight decay 0.1, at most 400 epochs, patience 40": _DECAYED,
    "and a tenth of the rows for validation in place of 16 %": _TENTH,
    "**a one-cycle rate to 0.01 over 100 epochs in place of the patience: the defaults**": CHOSEN,
}

_SIXTEEN = "16 % of the rows for validation"
_MISH, _SMOOTHLY = "mish in place of relu", "numbers smoothly clipped"
_LARGER = "mish, numbers smoothly clipped, 16 % of the rows for validation"
#: What was tried in place of a part of the defaults.
OTHERS = {
    _SIXTEEN: {**CHOSEN, "validation": 0.16},
    _MISH: {**CHOSEN, "activation": "mish"},
    "mish, and the patience in place of the one-cycle rate": {**CHOSEN, "activation": "mish", **_PATIENT},
    "silu in place of relu": {**CHOSEN, "activation": "silu"},
    _SMOOTHLY: {**CHOSEN, "scaling": "clipped"},
    "scaling by quartiles, smoothly clipped": {**CHOSEN, "scaling": "robust"},
    _LARGER: _CLIPPED,
    "200 epochs": {**CHOSEN, "epochs": 200},
    "two layers of 128": {**CHOSEN, "hidden": (128, 128)},
    "0.02 and batches of 64": {**CHOSEN, "learning_rate": 0.02, "batch_size": 64},
}  # fmt: skip

#: What was tried on the way there.
ON_THE_WAY = {
    "a constant rate of 0.001": {**EARLIER, "learning_rate": 0.001},
    "batches of 128": {**EARLIER, "batch_size": 128},
    "half a cosine over 50 epochs": {**EARLIER, "schedule": "cosine", "epochs": 50},
    "half a cosine over 100 epochs": {**EARLIER, "schedule": "cosine", "epochs": 100},
    "codes of up to ten values, label smoothing 0.1": {**_SMOOTHED, CODES: 10},
    "codes, label smoothing 0.1, numbers by rank": {**_SMOOTHED, "scaling": "quantile"},
    "codes, label smoothing 0.1, weight decay 0.5": {**_SMOOTHED, "weight_decay": 0.5},
    "codes, label smoothing 0.1, two layers of 128, dropout 0.2":
        {**_SMOOTHED, "hidden": (128, 128), "dropout": 0.2},
}  # fmt: skip

#: One part of the defaults taken back, or one that was left out added.
PARTS = {
    "no codes": {CODES: 0},
    "label smoothing 0": {**CHOSEN, "label_smoothing": 0.0},
    "weight decay 0.01": {**CHOSEN, "weight_decay": 0.01},
    "the patience in place of the one-cycle rate": {**CHOSEN, **_PATIENT},
    _SIXTEEN: OTHERS[_SIXTEEN],
    _MISH: OTHERS[_MISH],
    _SMOOTHLY: OTHERS[_SMOOTHLY],
    _LARGER: _CLIPPED,
}

_BEFORE, _DEFAULTS = "the earlier defaults", list(STEPS)[-1]
VARIANTS = {_BEFORE: EARLIER, **STEPS, **OTHERS, **ON_THE_WAY, **PARTS}
CHOOSING = [_BEFORE, *STEPS, *OTHERS, *ON_THE_WAY]
CHECKED = [_BEFORE, _LARGER, _DEFAULTS]


class Cut:
    """A table's sample, prepared once for each way of encoding and splitting it."""

    def __init__(self, name):
        self.recipe, self.columns = load(name)
        target = self.columns[self.recipe.target]
        found = data.Target.find(self.recipe.target, target, self.recipe.task)
        self.rows = len(target)
        self.classes = None if found.task == "regression" else found.encode(target)
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

    def parts(self, validation, seed):
        """The part of every row; the test rows are the same for any share of validation rows."""
        test, rest = data.split(self.rows, (_TEST,), seed, self.classes)
        classes = None if self.classes is None else self.classes[rest]
        held_out, _ = data.split(len(rest), (validation / (1 - _TEST),), seed, classes)
        parts = np.full(self.rows, "train", object)
        parts[test] = "test"
        parts[rest[held_out]] = "validation"
        return parts

    def score(self, options, seed):
        """Test error of a variant, and seconds of its training."""
        options = {**options, "seed": seed, "split_column": _PART}
        recipe = replace(self.recipe, **self.kinds(options.pop(CODES)), **options)
        key = (recipe.numeric, recipe.categorical, recipe.scaling, recipe.validation, seed)
        if key not in self._prepared:
            parts = {_PART: self.parts(recipe.validation, seed)}
            self._prepared[key] = prepare(recipe, data.Table({**self.columns, **parts}))
        if self.classes is None:
            recipe = replace(recipe, label_smoothing=None)
        start = time.process_time()
        scores = follow(recipe, self._prepared[key], threads=1).scores
        seconds = time.process_time() - start
        return 1 - scores["accuracy"] if "accuracy" in scores else scores["rmse"], seconds


def measure(work):
    """Scores of variants on a table by split, and what is added to its errors in the mean."""
    name, variants, seeds = work
    cut = Cut(name)
    found = {v: [cut.score(VARIANTS[v], seed) for seed in seeds] for v in variants}
    return found, 0.0 if cut.classes is None else _ADDED


def errors(scores):
    """Test errors of every variant by split, to six digits."""
    return {v: [float(f"{error:.6g}") for error, _ in pairs] for v, pairs in scores.items()}


def compare(each, variant, base):
    """A variant by a base: ratios of mean errors by table, their mean with its deviation."""
    both = {
        name: [np.array(found[v])[:, 0] for v in (variant, base)]
        for name, (found, _) in each.items()
    }
    splits = len(next(iter(both.values()))[0])

    def mean(chosen):
        logs = [
            math.log((ours[chosen].mean() + each[n][1]) / (theirs[chosen].mean() + each[n][1]))
            for n, (ours, theirs) in both.items()
        ]
        return math.exp(np.mean(logs))

    without = [mean(np.arange(splits) != left_out) for left_out in range(splits)]
    ratios = {n: float(a.mean() / (b.mean() or math.nan)) for n, (a, b) in both.items()}
    return {
        "mean": mean(np.arange(splits)),
        "deviation": float(np.std(without) * math.sqrt(splits - 1)),
        "ratios": ratios,
        "seconds": float(np.mean([np.array(found[variant])[:, 1] for found, _ in each.values()])),
    }


def main(given):
    splits = 2 if given.quick else None
    names = list(TABLES)[: 3 if given.quick else None]

    def measured(variants, seeds):
        work = [(name, variants, seeds[:splits]) for name in names]
        return dict(zip(names, workers.map(measure, work), strict=True))

    with ProcessPoolExecutor(given.threads) as workers:
        each, fresh = measured(CHOOSING, SEEDS), measured(CHECKED, FRESH)
        further = measured([_DEFAULTS, *PARTS], FURTHER)
    found = {variant: compare(each, variant, _BEFORE) for variant in CHOOSING}
    checked = {variant: compare(fresh, variant, _BEFORE) for variant in CHECKED[1:-1]}
    checked["the defaults"] = compare(fresh, _DEFAULTS, _BEFORE)
    checked["the second divided by the first"] = compare(fresh, _DEFAULTS, _LARGER)
    parts = {variant: compare(further, variant, _DEFAULTS) for variant in PARTS}
    about = machine(given.threads, [])
    results = {
        "machine": about,
        "choosing": found, "fresh": checked, "further": parts,
        "errors": {
            of: {name: errors(scores) for name, (scores, _) in found_on.items()}
            for of, found_on in (("choosing", each), ("fresh", fresh), ("further", further))
        },
    }  # fmt: skip
    page = lines(about, names, found, checked, parts, splits)
    write("defaults-quick" if given.quick else "defaults", results, page)


def lines(about, names, found, checked, parts, splits):
    """The page of the results."""
    header = ["variant", "mean", "seconds of a fit", *names]

    def rows(of, variants, digits=2):
        return [
            [
                v,
                f"{of[v]['mean']:.{digits}f} ± {of[v]['deviation']:.{digits}f}",
                f"{of[v]['seconds']:.2f}",
                *(f"{of[v]['ratios'][name]:.2f}" for name in names),
            ]
            for v in variants
        ]

    defaults = Recipe(target="")
    return [
        f"# Variants of the defaults: test errors, {splits or len(SEEDS)} splits",
        "",
        where(about),
        "Mean test error (of classes) or root mean squared error, divided by that of the earlier defaults: "
        "two layers of 64, relu, AdamW at a constant 0.003, standardised numbers, at most 200 epochs with a "
        "patience of 20, batches of 32, 16 % of the rows for validation "
        f"({found[_BEFORE]['seconds']:.2f} seconds of a fit). The mean over the tables is geometric, with "
        "half a percent added to every error of classes; its deviation is the jackknife's over the splits. "
        "Smaller is better. Every variant has the same test rows. Seconds are the processor's, of one thread. "
        "Samples of up to 4,000 rows; the splits are others than those of [the comparison](tables.md).",
        "",
        "What is kept, step by step:",
        "",
        *table(header, rows(found, STEPS)),
        "",
        f"In place of a part of the defaults (two layers of {defaults.hidden[0]}, {defaults.activation}, "
        f"{defaults.epochs} epochs, {defaults.learning_rate} at the most, batches of "
        f"{defaults.batch_size}, {defaults.validation:.0%} for validation):",
        "",
        *table(header, rows(found, OTHERS)),
        "",
        "On the way there, each against the earlier defaults:",
        "",
        *table(header, rows(found, ON_THE_WAY)),
        "",
        f"On {splits or len(FRESH)} splits by which nothing was chosen:",
        "",
        *table(header, rows(checked, checked)),
        "",
        f"Parts of the defaults taken back, and others added, on {splits or len(FURTHER)} further splits; "
        "divided by the defaults:",
        "",
        *table(header, rows(parts, parts, digits=3)),
    ]


if __name__ == "__main__":
    main(given)
