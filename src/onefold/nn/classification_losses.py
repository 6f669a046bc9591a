"""Losses of classes: cross-entropies, hinges, the divergence of distributions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold._errors import DataError, OptionError, ShapeError
from onefold.nn.loss import Loss, LossPlan, PlainLoss, check_option
from onefold.nn.targets import Targets, checked_labels, within

Array = NDArray[Any]


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Mean over outputs of the cross-entropy of sigmoid(z); several outputs are several labels."""

    name = "binary_cross_entropy"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)

    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """See `Loss.plan`."""
        fused = _fused("sigmoid", final_activation, self.name)
        return LossPlan(
            "sigmoid_cross_entropy", (self.label_smoothing,), drop_final_activation=fused
        )

    def _check(self, y: Array) -> Array:
        return within(y, 0, 1, "binary targets are from 0 to 1")

    def link_for(self, outputs: int) -> str | None:
        """The sigmoid."""
        return "sigmoid"


@dataclass(frozen=True)
class CategoricalCrossEntropy(Loss):
    """Cross-entropy of softmax(z) with a distribution for each row, shape (rows, classes)."""

    name = "categorical_cross_entropy"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)

    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """See `Loss.plan`; a final log_softmax changes nothing and may stay."""
        _several(outputs, self.name)
        fused = final_activation != "log_softmax" and _fused("softmax", final_activation, self.name)
        kernel = "softmax_cross_entropy_labels" if labels else "softmax_cross_entropy"
        return LossPlan(kernel, (self.label_smoothing,), labels, fused)

    def _check(self, y: Array) -> Array:
        return within(y, 0, math.inf, "class weights of a row are zero or more")

    def link_for(self, outputs: int) -> str | None:
        """The softmax."""
        return "softmax"


@dataclass(frozen=True)
class SparseCategoricalCrossEntropy(CategoricalCrossEntropy):
    """Cross-entropy of softmax(z) with one integer class a row, shape (rows,)."""

    name = "sparse_categorical_cross_entropy"

    def targets(self, y: Array, outputs: int, dtype: np.dtype[Any]) -> Targets:
        """See `Loss.targets`."""
        _several(outputs, self.name)
        if (y.ndim == 2 and y.shape[1] != 1) or y.ndim > 2:
            raise ShapeError(f"y has shape {y.shape}; pass one class label a row, shape (rows,)")
        return Targets(checked_labels(y, outputs), labels=True)


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """The cross-entropy that fits: binary for one output, else by integer labels or by distributions.

    Parameters
    ----------
    label_smoothing : float, default 0
        Share of every target that is spread evenly over the classes (Szegedy et al. 2016).
    """

    name = "cross_entropy"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)

    def _choice(self, outputs: int, labels: bool) -> Loss:
        if outputs == 1:
            return BinaryCrossEntropy(self.label_smoothing)
        if labels:
            return SparseCategoricalCrossEntropy(self.label_smoothing)
        return CategoricalCrossEntropy(self.label_smoothing)

    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """See `Loss.plan`."""
        return self._choice(outputs, labels).plan(outputs, labels, final_activation)

    def targets(self, y: Array, outputs: int, dtype: np.dtype[Any]) -> Targets:
        """See `Loss.targets`: (rows,) integers are labels, (rows, outputs) distributions."""
        labels = outputs > 1 and (y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1))
        return self._choice(outputs, labels).targets(y, outputs, dtype)

    def link_for(self, outputs: int) -> str | None:
        """Sigmoid for one output, else softmax."""
        return "sigmoid" if outputs == 1 else "softmax"


@dataclass(frozen=True)
class Hinge(PlainLoss):
    """Mean over outputs of max(1 - y z, 0); targets are -1 and 1, or 0 and 1."""

    name = "hinge"

    def _check(self, y: Array) -> Array:
        values = set(np.unique(y).tolist())
        if values <= {-1.0, 1.0}:
            return y
        if values <= {0.0, 1.0}:
            return y * 2 - 1
        found = ", ".join(str(v) for v in sorted(values)[:5])
        raise DataError(f"hinge targets are -1 and 1, or 0 and 1; found {found}")


@dataclass(frozen=True)
class SquaredHinge(Hinge):
    """Mean over outputs of max(1 - y z, 0)²; targets as for `Hinge`."""

    name = "squared_hinge"


@dataclass(frozen=True)
class KLDivergence(Loss):
    """sum y log(y / softmax(z)) over classes; behind other activations z is the distribution."""

    name = "kl_divergence"

    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """See `Loss.plan`."""
        if final_activation in ("linear", "softmax", "log_softmax"):
            return LossPlan(
                "softmax_kl_divergence", drop_final_activation=final_activation == "softmax"
            )
        return LossPlan("kl_divergence", (1e-7,))

    def _check(self, y: Array) -> Array:
        return within(y, 0, math.inf, "distributions are zero or more")

    def link_for(self, outputs: int) -> str | None:
        """The softmax."""
        return "softmax"


def _fused(link: str, final_activation: str, loss: str) -> bool:
    """Whether the final activation is the link; an error where it is neither that nor linear."""
    if final_activation not in ("linear", link):
        raise OptionError(
            f"{loss} takes a linear output layer (its {link} is part of the loss) or one that ends in "
            f"{link!r}, not {final_activation!r}; leave the activation of the last layer out"
        )
    return final_activation == link


def _check_smoothing(value: float) -> None:
    check_option("label_smoothing", value, 0 <= value < 1, "from 0 up to, not including, 1")


def _several(outputs: int, name: str) -> None:
    if outputs < 2:
        raise OptionError(
            f"{name} needs an output for each class, the network has {outputs}; "
            "give the last layer as many units as there are classes, or use 'binary_cross_entropy'"
        )
