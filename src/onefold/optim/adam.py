"""Adam and its relatives: averages of the gradient and of its square."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from onefold import _native
from onefold.optim.optimizer import Array, Optimizer
from onefold.optim.schedules import Schedule, powers, require


class _Moments(Optimizer):
    """The family that keeps averages of the gradient and of its square."""

    options: ClassVar[tuple[str, ...]] = ("beta_1", "beta_2", "epsilon")

    def __init__(
        self,
        learning_rate: float | Schedule,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, **common)
        require(0 <= beta_1 < 1, "beta_1", "from 0 up to, not including, 1", beta_1)
        require(0 <= beta_2 < 1, "beta_2", "from 0 up to, not including, 1", beta_2)
        require(0 < epsilon < math.inf, "epsilon", "positive", epsilon)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    @property
    def states(self) -> tuple[str, ...]:
        """See `Optimizer.states`."""
        return ("mean", "square")

    def own(self, t: Array, rates: Array) -> list[Array | float]:
        """See `Optimizer.own`."""
        return [self.beta_1, self.beta_2, self.epsilon, rates / (1 - powers(self.beta_1, t))]


class Adam(_Moments):
    """Kingma and Ba 2015; `amsgrad` keeps the largest second moment (Reddi et al. 2018)."""

    name = "adam"
    options = (*_Moments.options, "amsgrad")
    _kernels: ClassVar[tuple[str, str]] = ("adam_update", "adam_amsgrad_update")

    def __init__(
        self, learning_rate: float | Schedule = 1e-3, *, amsgrad: bool = False, **options: Any
    ) -> None:
        super().__init__(learning_rate, **options)
        self.amsgrad = amsgrad

    @property
    def kernel(self) -> str:
        """See `Optimizer.kernel`."""
        return self._kernels[bool(self.amsgrad)]

    @property
    def states(self) -> tuple[str, ...]:
        """See `Optimizer.states`."""
        return ("mean", "square", "largest") if self.amsgrad else ("mean", "square")

    def own(self, t: Array, rates: Array) -> list[Array | float]:
        """See `Optimizer.own`."""
        return [*super().own(t, rates), 1 / np.sqrt(1 - powers(self.beta_2, t))]


class AdamW(Adam):
    """Adam with decay apart from the gradient (Loshchilov and Hutter 2019)."""

    name = "adamw"
    _kernels = ("adamw_update", "adamw_amsgrad_update")

    def __init__(
        self, learning_rate: float | Schedule = 1e-3, *, weight_decay: float = 1e-2, **options: Any
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **options)


class Adamax(_Moments):
    """Adam with the largest gradient in place of the second moment (Kingma and Ba 2015)."""

    name = "adamax"

    def __init__(self, learning_rate: float | Schedule = 2e-3, **options: Any) -> None:
        super().__init__(learning_rate, **options)

    @property
    def kernel(self) -> str:
        """See `Optimizer.kernel`."""
        return "adamax_update"


class Nadam(_Moments):
    """Adam with Nesterov's momentum (Dozat 2016), momentum decaying as 0.96 ** (t / 250)."""

    name = "nadam"

    def __init__(self, learning_rate: float | Schedule = 2e-3, **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self._known = np.ones(1)  # products of the momenta of the first updates

    @property
    def kernel(self) -> str:
        """See `Optimizer.kernel`."""
        return "nadam_update"

    def _momentum(self, t: Array) -> Array:
        return self.beta_1 * (1 - 0.5 * _native.elementwise("pow", 0.96, t * 0.004))

    def own(self, t: Array, rates: Array) -> list[Array | float]:
        """See `Optimizer.own`."""
        last = int(t[-1]) + 1
        if len(self._known) <= last:
            momenta = self._momentum(np.arange(1, 2 * last + 1, dtype=np.float64))
            self._known = np.concatenate([[1.0], np.multiply.accumulate(momenta)])
        steps = t.astype(np.int64)
        now = rates * (1 - self._momentum(t)) / (1 - self._known[steps])
        coming = rates * self._momentum(t + 1) / (1 - self._known[steps + 1])
        square = 1 / np.sqrt(1 - powers(self.beta_2, t))
        return [self.beta_1, self.beta_2, self.epsilon, coming, now, square]
