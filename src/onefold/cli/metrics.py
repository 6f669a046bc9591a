"""How good predictions are, in the table's own units."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold.data import Target
from onefold.network import Network


def scores(target: Target, network: Network, x: NDArray[Any], y: NDArray[Any]) -> dict[str, float]:
    """Accuracy and cross-entropy, or root mean squared error, mean absolute error and R²."""
    outputs = network.predict(x)
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
        "cross_entropy": network.evaluate(x, y, loss="cross_entropy"),
    }
