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


def shown(name: str, value: float) -> str:
    """A score's value for people."""
    return f"{value:.1%}" if "accuracy" in name else readable(value)


def sentence(scores: Mapping[str, float]) -> str:
    """Scores for people."""
    return ", ".join(f"{NAMES[name]} {shown(name, value)}" for name, value in scores.items())


def outputs_of(network: Network, x: NDArray[Any], threads: int | None = None) -> NDArray[Any]:
    """Outputs of the network; rows in a file are read a piece at a time."""
    if residency.mapped_file(x) is None:
        return network.predict(x, threads=threads)
    out = np.empty((len(x), network.outputs), network.dtype)
    for first, piece in residency.pieces(x):
        out[first : first + len(piece)] = network.predict(piece, threads=threads)
    return out


def scores(
    target: Target,
    network: Network,
    x: NDArray[Any],
    y: NDArray[Any],
    threads: int | None = None,
    memory: str | None = None,
) -> dict[str, float]:
    """Accuracy and cross-entropy, or root mean squared error, mean absolute error and R²."""
    outputs = outputs_of(network, x, threads)
    if target.task == "regression":
        error = (outputs[:, 0].astype(float) - y) * target.scale
        spread = float(((y - y.mean(dtype=float)) ** 2).sum()) * target.scale**2
        squares = float((error**2).sum())
        return {
            "rmse": float(np.sqrt(squares / len(y))),
            "mae": float(np.abs(error).mean()),
            "r2": 1 - squares / spread if spread > 0 else float("nan"),
        }
    chosen = outputs.argmax(axis=1) if target.task == "classes" else outputs[:, 0] > 0
    return {
        "accuracy": float((chosen == y).mean()),
        "cross_entropy": network.evaluate(
            x, y, loss="cross_entropy", memory=memory, threads=threads
        ),
    }


def details(
    target: Target, network: Network, x: NDArray[Any], y: NDArray[Any], threads: int | None = None
) -> dict[str, Any]:
    """What `onefold evaluate` shows beside the scores, by scikit-learn's metrics.

    Returns
    -------
    dict
        For classes: "balanced_accuracy", "f1_macro", "roc_auc" (two classes, both present), and
        "confusion": a row for each true class, a column for each predicted one. For a regression:
        "median_absolute_error" and "explained_variance".
    """
    from sklearn import metrics

    outputs = network.predict(x, threads=threads)
    if target.task == "regression":
        truth = y.astype(float) * target.scale + target.mean
        predicted = outputs[:, 0].astype(float) * target.scale + target.mean
        return {
            "median_absolute_error": float(metrics.median_absolute_error(truth, predicted)),
            "explained_variance": float(metrics.explained_variance_score(truth, predicted)),
        }
    chosen = (outputs.argmax(axis=1) if target.task == "classes" else outputs[:, 0] > 0).astype(int)
    labels = np.arange(len(target.classes))
    recalls = metrics.recall_score(y, chosen, labels=np.unique(y), average="macro", zero_division=0)
    found: dict[str, Any] = {
        "balanced_accuracy": float(recalls),
        "f1_macro": float(metrics.f1_score(y, chosen, average="macro", zero_division=0)),
    }
    if target.task == "binary" and len(np.unique(y)) == 2:
        found["roc_auc"] = float(metrics.roc_auc_score(y, outputs[:, 0]))
    found["confusion"] = metrics.confusion_matrix(y, chosen, labels=labels).tolist()
    return found
