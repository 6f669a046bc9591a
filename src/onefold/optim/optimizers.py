"""Optimizers: what they are called, what they keep, and their numbers for every update.

The steps themselves are native kernels (native/kernels/optimizers.hpp); what depends only on the
update's number is worked out here in float64. Hyper-parameters have Keras's names; formulas are
PyTorch's, and where they differ the class says so.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onefold import _native
from onefold._errors import OptionError, nearest, unknown
from onefold.optim import schedules
from onefold.optim.schedules import Schedule, powers, require

Array = NDArray[np.float64]


class Optimizer(ABC):
    """How a gradient becomes an update.

    Parameters
    ----------
    learning_rate : float or Schedule
    weight_decay : float, default 0
        Added to the gradient as `weight_decay * parameter`; AdamW and Lion apply it to the
        parameter instead.
    decay_biases : bool, default False
        Whether biases decay too.
    clip_value : float, optional
        Elements of the mean gradient are clipped to plus and minus this.
    clip_global_norm : float, optional
        The mean gradient is scaled down to this norm, taken over all parameters, before
        `clip_value`.

    Attributes
    ----------
    kernel : str
        Name of the native step.
    states : tuple of str
        Arrays kept for every parameter.
    """

    name: ClassVar[str]
    #: Other constructor arguments, for `to_config`.
    options: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        learning_rate: float | Schedule,
        *,
        weight_decay: float = 0.0,
        decay_biases: bool = False,
        clip_value: float | None = None,
        clip_global_norm: float | None = None,
    ) -> None:
        if not isinstance(learning_rate, Schedule):
            fits = isinstance(learning_rate, int | float) and 0 <= learning_rate < math.inf
            require(fits, "learning_rate", "a Schedule, or a number from 0 up", learning_rate)
        require(0 <= weight_decay < math.inf, "weight_decay", "zero or more", weight_decay)
        for name, limit in (("clip_value", clip_value), ("clip_global_norm", clip_global_norm)):
            require(limit is None or 0 < limit < math.inf, name, "positive, or None", limit)
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.decay_biases = decay_biases
        self.clip_value = clip_value
        self.clip_global_norm = clip_global_norm

    @property
    @abstractmethod
    def kernel(self) -> str:
        """Name of the native step."""

    @property
    @abstractmethod
    def states(self) -> tuple[str, ...]:
        """Arrays kept for every parameter."""

    def own(self, t: Array, rates: Array) -> list[Array | float]:
        """The optimizer's own numbers for updates t (from 1)."""
        return []

    def scalars(self, first: int, count: int, rates: Array) -> Array:
        """Learning rate, weight decay and the optimizer's own numbers.

        Parameters
        ----------
        first : int
            Updates made before.
        count : int
        rates : array, shape (count,)

        Returns
        -------
        array, shape (count, numbers)
        """
        t = np.arange(first + 1, first + count + 1, dtype=np.float64)
        columns = [rates, self.weight_decay, *self.own(t, rates)]
        table = np.empty((count, len(columns)))
        for place, column in enumerate(columns):
            table[:, place] = column
        return table

    def to_config(self) -> dict[str, Any]:
        """Name and hyper-parameters, JSON-able."""
        rate = self.learning_rate
        config: dict[str, Any] = {
            "name": self.name,
            "learning_rate": rate.to_config() if isinstance(rate, Schedule) else rate,
        }
        common = ("weight_decay", "decay_biases", "clip_value", "clip_global_norm")
        return config | {name: getattr(self, name) for name in (*common, *self.options)}

    def __repr__(self) -> str:
        config = self.to_config()
        rate = config.pop("learning_rate")
        config.pop("name")
        rest = "".join(f", {k}={v!r}" for k, v in config.items() if v)
        return f"{type(self).__name__}({rate!r}{rest})"


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
