"""Losses of numbers: errors, deviances of counts and amounts, the angle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold.nn.loss import Loss, LossPlan, PlainLoss, check_option
from onefold.nn.targets import within

Array = NDArray[Any]


@dataclass(frozen=True)
class SquaredError(PlainLoss):
    """Mean over outputs of (z - y)²."""

    name = "squared_error"


@dataclass(frozen=True)
class AbsoluteError(PlainLoss):
    """Mean over outputs of |z - y|."""

    name = "absolute_error"


@dataclass(frozen=True)
class Huber(PlainLoss):
    """Half the squared error up to `delta`, linear beyond (Huber 1964), averaged over outputs."""

    name = "huber"
    delta: float = 1.0

    def __post_init__(self) -> None:
        check_option("delta", self.delta, 0 < self.delta < math.inf, "positive")

    def _options(self) -> tuple[float, ...]:
        return (self.delta,)


@dataclass(frozen=True)
class LogCosh(PlainLoss):
    """Mean over outputs of log(cosh(z - y))."""

    name = "log_cosh"


@dataclass(frozen=True)
class Quantile(PlainLoss):
    """The pinball loss of a quantile, from 0 to 1 (Koenker and Bassett 1978)."""

    name = "quantile"
    quantile: float = 0.5

    def __post_init__(self) -> None:
        check_option("quantile", self.quantile, 0 < self.quantile < 1, "between 0 and 1")

    def _options(self) -> tuple[float, ...]:
        return (self.quantile,)


@dataclass(frozen=True)
class Poisson(Loss):
    """Mean over outputs of rate - y log(rate); a linear output is the logarithm of the rate."""

    name = "poisson"

    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """See `Loss.plan`; other final activations are taken as the rate itself."""
        if final_activation in ("linear", "exponential"):
            return LossPlan("poisson_log", drop_final_activation=final_activation != "linear")
        return LossPlan("poisson", (1e-7,))

    def _check(self, y: Array) -> Array:
        return within(y, 0, math.inf, "counts are zero or more")

    def link_for(self, outputs: int) -> str | None:
        """The exponential."""
        return "exponential"


@dataclass(frozen=True)
class Gamma(Loss):
    """Mean over outputs of log(mean) + y / mean, half the gamma deviance up to a constant.

    A linear output is the logarithm of the mean.
    """

    name = "gamma"

    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """See `Loss.plan`; other final activations are taken as the mean itself."""
        if final_activation in ("linear", "exponential"):
            return LossPlan("gamma_log", drop_final_activation=final_activation != "linear")
        return LossPlan("gamma", (1e-7,))

    def _check(self, y: Array) -> Array:
        return within(y, np.finfo(y.dtype).tiny, math.inf, "gamma targets are above zero")

    def link_for(self, outputs: int) -> str | None:
        """The exponential."""
        return "exponential"


@dataclass(frozen=True)
class CosineSimilarity(PlainLoss):
    """1 - cos(z, y): Keras's loss plus one, so that 0 is perfect."""

    name = "cosine_similarity"
