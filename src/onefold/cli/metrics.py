"""How good predictions are, in the table's own units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold.data import Target
from onefold.data.columns import readable
from onefold.network import Network
from onefold.train import residency

#: What a score is called.
NAMES = {
    "accuracy": "accuracy", "cross_entropy": "cross-entropy", "balanced_accuracy": "balanced accuracy",
    "f1_macro": "F1 (mean over classes)", "roc_auc": "area under the ROC curve",
    "rmse": "root mean squared error", "mae": "mean absolute error", "r2": "R²",
    "median_absolute_error": "median absolute error", "explained_variance": "explained variance",
}  # fmt: skip


# Of the figures, for each row.
_ROW_BYTES = {"regression": 48, "binary": 72, "classes": 0}


def shown(name: str, value: float) -> str:
    """A score's value for people."""
    return f"{value:.1%}" if "accuracy" in name else readable(value)


def sentence(scores: Mapping[str, float]) -> str:
    """Scores for people."""
    return ", ".join(f"{NAMES[name]} {shown(name, value)}" for name, value in scores.items())


class Tally:
    """What the figures need of predictions that come a piece at a time.

    More than two classes leave their confusion matrix alone; two leave an output and a byte for each row
    besides, a regression an output and a target.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.rows = 0
        classes = len(target.classes)
        self._confusion = np.zeros((classes, classes), np.int64)  # true, predicted
        self._outputs: list[NDArray[Any]] = []
        self._targets: list[NDArray[Any]] = []

    @property
    def nbytes(self) -> int:
        """About what the figures take, scikit-learn's sorting and copies among it."""
        return self.rows * _ROW_BYTES[self.target.task]

    def add(self, y: NDArray[Any], outputs: NDArray[Any]) -> None:
        """The next rows: encoded targets (rows,) and the network's outputs (rows, outputs)."""
        self.rows += len(y)
        if self.target.task == "regression":
            self._targets.append(y)
        else:
            chosen = outputs.argmax(axis=1) if self.target.task == "classes" else outputs[:, 0] > 0
            np.add.at(self._confusion, (y, chosen.astype(np.int64)), 1)
        if self.target.task == "binary":
            self._targets.append(y.astype(np.int8))
        if self.target.task != "classes":
            self._outputs.append(outputs[:, 0].copy())

    def scores(self) -> dict[str, float]:
        """Accuracy; or root mean squared error, mean absolute error and R²."""
        if self.target.task != "regression":
            return {"accuracy": int(np.trace(self._confusion)) / self.rows}
        y, outputs = self._kept()
        error = (outputs.astype(float) - y) * self.target.scale
        spread = float(((y - y.mean(dtype=float)) ** 2).sum()) * self.target.scale**2
        squares = float((error**2).sum())
        return {
            "rmse": float(np.sqrt(squares / len(y))),
            "mae": float(np.abs(error).mean()),
            "r2": 1 - squares / spread if spread > 0 else float("nan"),
        }

    def details(self) -> dict[str, Any]:
        """What `onefold evaluate` shows beside the scores, by scikit-learn's metrics.

        Returns
        -------
        dict
            For classes: "balanced_accuracy", "f1_macro", "roc_auc" (two classes, both present), and
            "confusion": a row for each true class, a column for each predicted one. For a regression:
            "median_absolute_error" and "explained_variance".
        """
        from sklearn import metrics

        if self.target.task == "regression":
            y, outputs = self._kept()
            truth = y.astype(float) * self.target.scale + self.target.mean
            predicted = outputs.astype(float) * self.target.scale + self.target.mean
            del y, outputs
            return {
                "median_absolute_error": float(metrics.median_absolute_error(truth, predicted)),
                "explained_variance": float(metrics.explained_variance_score(truth, predicted)),
            }
        # Each pair of classes once, with its rows as a weight: they are whole numbers, so nothing is rounded.
        true, chosen = np.nonzero(self._confusion)
        given = {
            "average": "macro", "zero_division": 0, "sample_weight": self._confusion[true, chosen],
        }  # fmt: skip
        recalls = metrics.recall_score(true, chosen, labels=np.unique(true), **given)
        found: dict[str, Any] = {
            "balanced_accuracy": float(recalls),
            "f1_macro": float(metrics.f1_score(true, chosen, **given)),
        }
        if self.target.task == "binary" and len(np.unique(true)) == 2:
            found["roc_auc"] = float(metrics.roc_auc_score(*self._kept()))
        found["confusion"] = self._confusion.tolist()
        return found

    def _kept(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Targets and outputs of all rows."""
        self._targets = [np.concatenate(self._targets)]
        self._outputs = [np.concatenate(self._outputs)]
        return self._targets[0], self._outputs[0]


def tally(
    target: Target,
    network: Network,
    x: NDArray[Any],
    y: NDArray[Any],
    threads: int | None = None,
) -> Tally:
    """Of encoded rows; those in a file are read a piece at a time."""
    found = Tally(target)
    for first, piece in residency.pieces(x):
        found.add(y[first : first + len(piece)], network.predict(piece, threads=threads))
    return found


def scores(
    target: Target,
    network: Network,
    x: NDArray[Any],
    y: NDArray[Any],
    threads: int | None = None,
    memory: str | None = None,
) -> dict[str, float]:
    """Accuracy and cross-entropy, or root mean squared error, mean absolute error and R²."""
    found = tally(target, network, x, y, threads).scores()
    if target.task != "regression":
        found["cross_entropy"] = network.evaluate(
            x, y, loss="cross_entropy", memory=memory, threads=threads
        )
    return found
