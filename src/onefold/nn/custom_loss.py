"""A loss written in Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold._errors import OptionError, ShapeError
from onefold.nn.loss import Loss, LossPlan

Array = NDArray[Any]
LossFunction = Callable[[Array, Array, Array], tuple[Any, Any]]


@dataclass(frozen=True)
class CustomLoss(Loss):
    """A loss written in Python.

    Parameters
    ----------
    function : callable
        `f(y_true, y_pred, weight)` gives the loss of every row, shape (rows,), and its derivative
        with respect to `y_pred`, shape (rows, outputs), both with the weight already in them. A
        row's result may depend on that row alone: then the batch can be cut anywhere. `weight` has
        shape (rows,) and is one where no weights were given.
    """

    name = "custom"
    function: LossFunction

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise OptionError(f"CustomLoss takes a function, not {self.function!r}")

    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """See `Loss.plan`."""
        return LossPlan("host")

    def call(self, y: Array, z: Array, weight: Array) -> tuple[Array, Array]:
        """Call the function and check what it gives."""
        result = self.function(y, z, weight)
        if not isinstance(result, tuple) or len(result) != 2:
            raise ShapeError("a custom loss returns (loss of each row, gradient)")
        loss, gradient = (np.asarray(part, dtype=np.float64) for part in result)
        if loss.shape not in ((len(z),), (len(z), 1)):
            raise ShapeError(
                f"a custom loss returned losses of shape {loss.shape}, not ({len(z)},)"
            )
        if gradient.shape != z.shape and not (z.shape[1] == 1 and gradient.shape == (len(z),)):
            raise ShapeError(
                f"a custom loss returned a gradient of shape {gradient.shape}, not {z.shape}"
            )
        return loss.reshape(-1), gradient.reshape(z.shape)

    def to_config(self) -> dict[str, Any]:
        """Name of the function; it cannot be built again from this."""
        return {"name": self.name, "function": getattr(self.function, "__qualname__", "function")}
