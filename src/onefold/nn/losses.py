"""Losses by name, and all their classes: what users find as `onefold.losses`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onefold._errors import unknown
from onefold.nn.classification_losses import (
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    CrossEntropy,
    Hinge,
    KLDivergence,
    SparseCategoricalCrossEntropy,
    SquaredHinge,
)
from onefold.nn.custom_loss import CustomLoss, LossFunction
from onefold.nn.loss import Loss, LossPlan
from onefold.nn.regression_losses import (
    AbsoluteError,
    CosineSimilarity,
    Gamma,
    Huber,
    LogCosh,
    Poisson,
    Quantile,
    SquaredError,
)
from onefold.nn.targets import Targets

__all__ = [
    "ALIASES",
    "LOSSES",
    "AbsoluteError",
    "BinaryCrossEntropy",
    "CategoricalCrossEntropy",
    "CosineSimilarity",
    "CrossEntropy",
    "CustomLoss",
    "Gamma",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunction",
    "LossPlan",
    "Poisson",
    "Quantile",
    "SparseCategoricalCrossEntropy",
    "SquaredError",
    "SquaredHinge",
    "Targets",
    "from_config",
    "get",
]

_CLASSES: tuple[type[Loss], ...] = (
    SquaredError,
    AbsoluteError,
    Huber,
    LogCosh,
    Quantile,
    Poisson,
    Gamma,
    CrossEntropy,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    SparseCategoricalCrossEntropy,
    Hinge,
    SquaredHinge,
    KLDivergence,
    CosineSimilarity,
)

#: Every loss by name.
LOSSES: dict[str, type[Loss]] = {cls.name: cls for cls in _CLASSES}

#: Other names of the field.
ALIASES: dict[str, str] = {
    "mse": "squared_error",
    "mean_squared_error": "squared_error",
    "mae": "absolute_error",
    "mean_absolute_error": "absolute_error",
    "pinball": "quantile",
    "logcosh": "log_cosh",
    "log_loss": "cross_entropy",
    "bce": "binary_cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
    "categorical_crossentropy": "categorical_cross_entropy",
    "sparse_categorical_crossentropy": "sparse_categorical_cross_entropy",
    "kld": "kl_divergence",
}


def get(loss: str | Loss | LossFunction) -> Loss:
    """A loss from its name, an object, or a function `f(y_true, y_pred, weight)`.

    Raises
    ------
    OptionError
        There is none of that name; says the nearest.
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        name = ALIASES.get(loss, loss)
        if name in LOSSES:
            return LOSSES[name]()
        raise unknown("loss", loss, {*LOSSES, *ALIASES})
    if callable(loss):
        return CustomLoss(loss)
    raise unknown("loss", loss, LOSSES)


def from_config(config: Mapping[str, Any]) -> Loss:
    """The loss that `to_config` described."""
    options = dict(config)
    name = options.pop("name", None)
    if name not in LOSSES:
        raise unknown("loss", name, LOSSES)
    return LOSSES[name](**options)
