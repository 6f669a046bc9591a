"""What a report says about a model, computed from the model and a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold import _native
from onefold.cli import metrics
from onefold.cli.model import Loaded
from onefold.cli.preparation import Prepared
from onefold.estimators.directions import along_direction
from onefold.network import Network
from onefold.train.budget import Plan

Array = NDArray[Any]
_ROWS = 5000  # from which importance and the loss along a direction are measured
_REPEATS = 5
_BINS = 10
_PURPOSE = 2**31  # of the orders of rows here; those of training have the numbers of epochs


@dataclass(frozen=True)
class Importance:
    """How much worse the loss is when a column's cells change rows: mean and deviation of repeats."""

    column: str
    mean: float
    deviation: float


@dataclass(frozen=True)
class Findings:
    """Figures of a model on the rows it was not trained on.

    Attributes
    ----------
    part : str
        Which rows: "test", else "validation", else "train".
    rows : int
    scores : dict of str to float
    confusion : list of lists of int, or None
        A row for each true class.
    truth, predicted : arrays
        Of a regression, in the table's units; else class numbers and probabilities, (rows, classes).
    calibration : list of (mean probability, share of hits, rows)
        Of the class that is predicted, by how sure the network is.
    importance : list of Importance
        The most important column first.
    line : list of (step, loss)
        The loss along a random direction through the weights.
    plans : list of Plan
        Of a batch, cut in different ways.
    """

    part: str
    rows: int
    scores: dict[str, float]
    confusion: list[list[int]] | None
    truth: Array
    predicted: Array
    calibration: list[tuple[float, float, int]]
    importance: list[Importance]
    line: list[tuple[float, float]]
    plans: list[Plan]


def find(loaded: Loaded, prepared: Prepared, watch: Callable[[str, int, int], None]) -> Findings:
    """Measure everything."""
    part = next(name for name in ("test", "validation", "train") if name in prepared.parts)
    x, y = prepared.parts[part]
    network, target = loaded.network, prepared.target
    details = metrics.tally(target, network, x, y).details()
    confusion = details.pop("confusion", None)
    if target.task == "regression":
        truth = y.astype(float) * target.scale + target.mean
        predicted = network.predict(x)[:, 0].astype(float) * target.scale + target.mean
    else:
        truth, predicted = y, probabilities(network, x, target.task)
    few, few_y = _draw(x, y, network.seed)
    loss = loaded.recipe.loss or target.loss
    return Findings(
        part,
        len(y),
        {**metrics.scores(target, network, x, y), **details},
        confusion,
        truth,
        predicted,
        [] if target.task == "regression" else calibration(truth, predicted),
        importance(loaded, few, few_y, loss, watch),
        along_direction(network, few, few_y, loss, seed=network.seed),
        _plans(loaded),
    )


def probabilities(network: Network, x: Array, task: str) -> Array:
    """Of every class, shape (rows, classes)."""
    p = network.predict_proba(x).astype(float)
    return np.concatenate([1 - p, p], axis=1) if task == "binary" else p


def calibration(truth: Array, predicted: Array) -> list[tuple[float, float, int]]:
    """Mean probability of the predicted class, share of hits and rows, for ten ranges of the former."""
    sure = predicted.max(axis=1)
    hit = predicted.argmax(axis=1) == truth
    place = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    bins = []
    for b in range(_BINS):
        rows = place == b
        if rows.any():
            bins.append((float(sure[rows].mean()), float(hit[rows].mean()), int(rows.sum())))
    return bins


def importance(
    loaded: Loaded, x: Array, y: Array, loss: str, watch: Callable[[str, int, int], None]
) -> list[Importance]:
    """Permutation importance of the table's columns (Breiman 2001), as an increase of the loss."""
    network = loaded.network
    before = network.evaluate(x, y, loss=loss)
    found, first = [], 0
    columns = loaded.encoder.columns
    for number, column in enumerate(columns):
        inputs = slice(first, first + column.width)
        first += column.width
        worse = []
        for repeat in range(_REPEATS):
            order = _native.permutation(len(x), network.seed, _PURPOSE + 1 + repeat)
            changed = x.copy()
            changed[:, inputs] = x[order, inputs]
            worse.append(network.evaluate(changed, y, loss=loss) - before)
        found.append(Importance(column.name, float(np.mean(worse)), float(np.std(worse))))
        watch("importance of columns", number + 1, len(columns))
    return sorted(found, key=lambda one: -one.mean)


def _draw(x: Array, y: Array, seed: int) -> tuple[Array, Array]:
    if len(x) <= _ROWS:
        return np.asarray(x), y
    rows = np.sort(_native.permutation(len(x), seed, _PURPOSE)[:_ROWS])
    return np.asarray(x[rows]), y[rows]


def _plans(loaded: Loaded) -> list[Plan]:
    recipe, rows = loaded.recipe, loaded.record.rows["train"]
    sizes = sorted({min(recipe.batch_size, rows), min(1024, rows), rows})

    def plan(batch: int) -> Plan:
        return loaded.network.plan(
            batch_size=batch, rows=rows, loss=recipe.loss or loaded.target.loss,
            optimizer=recipe.optimizer, labels=bool(loaded.target.classes), patience=recipe.patience,
        )  # fmt: skip

    return [plan(batch) for batch in sizes]
