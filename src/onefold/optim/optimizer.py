"""What every optimizer is: the name of its step, what it keeps, and its numbers for every update.

The steps themselves are native kernels (native/kernels/optimizers.hpp); what depends only on the
update's number is worked out here in float64. Hyper-parameters have Keras's names; formulas are
PyTorch's, and where they differ the class says so.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onefold.optim.schedules import Schedule, require

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
