"""scikit-learn's losses in terms of onefold's: by what factor its value and its gradient differ.

scikit-learn's squared error is half the mean over rows and outputs, but its gradient is summed over the
outputs; its cross-entropies and its Poisson deviance are sums over outputs. onefold's losses are means
over outputs, with the gradient of just that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray

from onefold._errors import OptionError
from onefold.nn import losses
from onefold.nn.losses import BinaryCrossEntropy, CategoricalCrossEntropy, CrossEntropy, Loss

Array = NDArray[Any]

#: scikit-learn's names of the final activations that losses take in.
_FINAL = {"sigmoid": "logistic", "softmax": "softmax", "exponential": "exp", None: "identity"}


@dataclass(frozen=True)
class Objective:
    """A loss as an estimator counts it.

    Attributes
    ----------
    loss : Loss
        The network's.
    value : float
        The reported loss over the network's mean loss.
    gradient : float
        The gradient that updates are made from over the one of the network's mean loss.
    outputs : int
    deviance : bool
        Whether `y log y - y` is part of the reported loss (Poisson).
    """

    loss: Loss
    value: float
    gradient: float
    outputs: int
    deviance: bool = False

    @property
    def link(self) -> str | None:
        """Activation that turns the network's output into the prediction."""
        return self.loss.link_for(self.outputs)

    @property
    def out_activation(self) -> str:
        """scikit-learn's name of it."""
        return _FINAL[self.link]

    def constants(self, y: Array) -> Array | None:
        """What the reported loss of each row has besides the network's, in float64; None for nothing."""
        if not self.deviance:
            return None
        y = y.astype(np.float64)
        return np.asarray((scipy.special.xlogy(y, y) - y).sum(axis=1))


def classification(loss: Any, kind: str, outputs: int) -> Objective:
    """The objective of a classifier with `kind` of targets ("binary", "multiclass", "multilabel")."""
    smoothing = 0.0
    if isinstance(loss, CrossEntropy | BinaryCrossEntropy | CategoricalCrossEntropy):
        smoothing = loss.label_smoothing
    elif loss not in ("log_loss", "cross_entropy"):
        raise OptionError(
            f"loss is 'log_loss' or an onefold.CrossEntropy(label_smoothing=...), not {loss!r}"
        )
    if kind == "multiclass":
        return Objective(CrossEntropy(smoothing), 1.0, 1.0, outputs)
    return Objective(BinaryCrossEntropy(smoothing), float(outputs), float(outputs), outputs)


def regression(loss: Any, outputs: int) -> Objective:
    """The objective of a regressor."""
    if loss == "squared_error":
        return Objective(losses.get(loss), 0.5, 0.5 * outputs, outputs)
    if loss == "poisson":
        return Objective(losses.get(loss), float(outputs), float(outputs), outputs, deviance=True)
    chosen = losses.get(loss)
    if chosen.link_for(outputs) not in (None, "exponential"):
        raise OptionError(
            f"loss is 'squared_error', 'poisson' or another loss of numbers, not {loss!r}, "
            "whose targets are classes"
        )
    return Objective(chosen, 1.0, 1.0, outputs)
