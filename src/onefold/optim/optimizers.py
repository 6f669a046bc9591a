"""The optimizers and their names; Adam and its relatives have a module of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from onefold._errors import OptionError, nearest, unknown
from onefold.optim import schedules
from onefold.optim.adam import Adam, Adamax, AdamW, Nadam
from onefold.optim.optimizer import Array, Optimizer
from onefold.optim.schedules import Schedule, require


class SGD(Optimizer):
    """Gradient descent, with momentum (Polyak 1964) or Nesterov's (Sutskever et al. 2013)."""

    name = "sgd"
    options = ("momentum", "nesterov")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, **common)
        require(0 <= momentum < 1, "momentum", "from 0 up to, not including, 1", momentum)
        require(not nesterov or momentum > 0, "momentum", "positive with nesterov", momentum)
        self.momentum = momentum
        self.nesterov = nesterov

    @property
    def kernel(self) -> str:
        """See `Optimizer.kernel`."""
        if self.nesterov:
            return "sgd_nesterov_update"
        return "sgd_momentum_update" if self.momentum else "sgd_update"

    @property
    def states(self) -> tuple[str, ...]:
        """See `Optimizer.states`."""
        return ("velocity",) if self.momentum else ()

    def own(self, t: Array, rates: Array) -> list[Array | float]:
        """See `Optimizer.own`."""
        return [self.momentum] if self.momentum else []


class RMSprop(Optimizer):
    """The gradient over the root of its averaged square (Tieleman and Hinton 2012)."""

    name = "rmsprop"
    options = ("rho", "epsilon", "momentum")

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        *,
        rho: float = 0.9,
        epsilon: float = 1e-8,
        momentum: float = 0.0,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, **common)
        require(0 <= rho < 1, "rho", "from 0 up to, not including, 1", rho)
        require(0 < epsilon < math.inf, "epsilon", "positive", epsilon)
        require(0 <= momentum < 1, "momentum", "from 0 up to, not including, 1", momentum)
        self.rho, self.epsilon, self.momentum = rho, epsilon, momentum

    @property
    def kernel(self) -> str:
        """See `Optimizer.kernel`."""
        return "rmsprop_momentum_update" if self.momentum else "rmsprop_update"

    @property
    def states(self) -> tuple[str, ...]:
        """See `Optimizer.states`."""
        return ("velocity", "square") if self.momentum else ("square",)

    def own(self, t: Array, rates: Array) -> list[Array | float]:
        """See `Optimizer.own`."""
        return [self.rho, self.epsilon, self.momentum]


class Adagrad(Optimizer):
    """The gradient over the root of the sum of its squares (Duchi et al. 2011)."""

    name = "adagrad"
    options = ("initial_accumulator", "epsilon")

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-2,
        *,
        initial_accumulator: float = 0.0,
        epsilon: float = 1e-10,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, **common)
        require(0 < epsilon < math.inf, "epsilon", "positive", epsilon)
        require(
            0 <= initial_accumulator < math.inf,
            "initial_accumulator",
            "zero or more",
            initial_accumulator,
        )
        self.initial_accumulator, self.epsilon = initial_accumulator, epsilon

    @property
    def kernel(self) -> str:
        """See `Optimizer.kernel`."""
        return "adagrad_update"

    @property
    def states(self) -> tuple[str, ...]:
        """See `Optimizer.states`."""
        return ("sum",)

    def own(self, t: Array, rates: Array) -> list[Array | float]:
        """See `Optimizer.own`."""
        return [self.epsilon, self.initial_accumulator]


class Adadelta(Optimizer):
    """Steps in the unit of the parameter (Zeiler 2012)."""

    name = "adadelta"
    options = ("rho", "epsilon")

    def __init__(
        self,
        learning_rate: float | Schedule = 1.0,
        *,
        rho: float = 0.9,
        epsilon: float = 1e-6,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, **common)
        require(0 <= rho < 1, "rho", "from 0 up to, not including, 1", rho)
        require(0 < epsilon < math.inf, "epsilon", "positive", epsilon)
        self.rho, self.epsilon = rho, epsilon

    @property
    def kernel(self) -> str:
        """See `Optimizer.kernel`."""
        return "adadelta_update"

    @property
    def states(self) -> tuple[str, ...]:
        """See `Optimizer.states`."""
        return ("square", "step")

    def own(self, t: Array, rates: Array) -> list[Array | float]:
        """See `Optimizer.own`."""
        return [self.rho, self.epsilon]


class Lion(Optimizer):
    """The sign of an average (Chen et al. 2023), with decay apart from the gradient."""

    name = "lion"
    options = ("beta_1", "beta_2")

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-4,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, **common)
        require(0 <= beta_1 < 1, "beta_1", "from 0 up to, not including, 1", beta_1)
        require(0 <= beta_2 < 1, "beta_2", "from 0 up to, not including, 1", beta_2)
        self.beta_1, self.beta_2 = beta_1, beta_2

    @property
    def kernel(self) -> str:
        """See `Optimizer.kernel`."""
        return "lion_update"

    @property
    def states(self) -> tuple[str, ...]:
        """See `Optimizer.states`."""
        return ("mean",)

    def own(self, t: Array, rates: Array) -> list[Array | float]:
        """See `Optimizer.own`."""
        return [self.beta_1, self.beta_2]


_CLASSES: tuple[type[Optimizer], ...] = (
    SGD,
    Adam,
    AdamW,
    Adamax,
    Nadam,
    RMSprop,
    Adagrad,
    Adadelta,
    Lion,
)

#: Every optimizer by name.
OPTIMIZERS: dict[str, type[Optimizer]] = {cls.name: cls for cls in _CLASSES}


def get(optimizer: str | Optimizer, **options: Any) -> Optimizer:
    """An optimizer from its name, or an object as it is.

    Raises
    ------
    OptionError
        There is none of that name, or an option that it does not have; says the nearest.
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if optimizer not in OPTIMIZERS:
        raise unknown("optimizer", optimizer, OPTIMIZERS)
    try:
        return OPTIMIZERS[optimizer](**options)
    except TypeError as error:
        known = [*OPTIMIZERS[optimizer].options, "learning_rate", "weight_decay", "clip_value"]
        wrong = next((name for name in options if f"'{name}'" in str(error)), "")
        raise OptionError(f"{optimizer} has no option {wrong!r}{nearest(wrong, known)}") from error


def from_config(config: Mapping[str, Any]) -> Optimizer:
    """The optimizer that `to_config` described."""
    options = dict(config)
    options["learning_rate"] = schedules.from_config(options["learning_rate"])
    return get(options.pop("name", ""), **options)
