"""Learning rates that change. All count updates, never micro-batches.

A schedule is a pure function of the update's number, made of operations that are exact or our own, so
that the rates have the same bits on every machine.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onefold import _native
from onefold._errors import OptionError, unknown

Array = NDArray[np.float64]


def require(valid: bool, name: str, requirement: str, value: object) -> None:
    """Refuse an option out of range."""
    if not valid:
        raise OptionError(f"{name} is {requirement}, not {value!r}")


@dataclass
class Schedule(ABC):
    """A learning rate for every update."""

    name: ClassVar[str]
    initial: float

    def __post_init__(self) -> None:
        require(0 < self.initial < math.inf, "the initial learning rate", "positive", self.initial)

    def values(
        self, first: int, count: int, total: int | None = None, per_epoch: int | None = None
    ) -> Array:
        """Rates of updates first .. first + count - 1, counted from 0.

        Parameters
        ----------
        first, count : int
        total : int, optional
            Updates of the whole run, where it is known; schedules with `updates=None` need it.
        per_epoch : int, optional
            Updates of an epoch; schedules with `unit="epoch"` need it.

        Returns
        -------
        array, shape (count,)
        """
        return self.rates(np.arange(first, first + count, dtype=np.float64), total, per_epoch)

    @abstractmethod
    def rates(self, update: Array, total: int | None, per_epoch: int | None) -> Array:
        """Rates of the given updates."""

    def to_config(self) -> dict[str, Any]:
        """Name and options, JSON-able."""
        return {"name": self.name, **asdict(self)}


def _span(updates: int | None, total: int | None, name: str) -> float:
    span = updates if updates is not None else total
    if span is None:
        raise OptionError(f"{name} needs updates=..., the number of updates that it spans, here")
    return float(max(span, 1))


@dataclass
class _Stepped(Schedule):
    """A schedule whose time is counted in updates or in whole epochs."""

    unit: str = field(default="update", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.unit in ("update", "epoch"), "unit", "'update' or 'epoch'", self.unit)

    def _time(self, update: Array, per_epoch: int | None) -> Array:
        if self.unit == "update":
            return update
        if per_epoch is None:
            raise OptionError(
                f"{self.name} with unit='epoch' needs a run with epochs; use 'update'"
            )
        return np.floor(update / per_epoch)


@dataclass
class Step(_Stepped):
    """initial * factor ** floor(time / every)."""

    name = "step"
    factor: float = 0.1
    every: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.factor <= 1, "factor", "above 0 and at most 1", self.factor)
        require(self.every >= 1, "every", "1 or more", self.every)

    def rates(self, update: Array, total: int | None, per_epoch: int | None) -> Array:
        """See `Schedule.rates`."""
        steps = np.floor(self._time(update, per_epoch) / self.every)
        return self.initial * powers(self.factor, steps)


@dataclass
class Exponential(_Stepped):
    """initial * factor ** time."""

    name = "exponential"
    factor: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.factor <= 1, "factor", "above 0 and at most 1", self.factor)

    def rates(self, update: Array, total: int | None, per_epoch: int | None) -> Array:
        """See `Schedule.rates`."""
        return self.initial * powers(self.factor, self._time(update, per_epoch))


@dataclass
class Inverse(_Stepped):
    """initial / (1 + decay * time) ** power: scikit-learn's "invscaling" with decay 1."""

    name = "inverse"
    decay: float = 1.0
    power: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.decay < math.inf, "decay", "zero or more", self.decay)
        require(0 <= self.power < math.inf, "power", "zero or more", self.power)

    def rates(self, update: Array, total: int | None, per_epoch: int | None) -> Array:
        """See `Schedule.rates`."""
        base = 1 + self.decay * self._time(update, per_epoch)
        return self.initial * _native.elementwise("pow", base, -self.power)


@dataclass
class Polynomial(Schedule):
    """From `initial` to `final` as (1 - t) ** power over `updates` updates (default: the run)."""

    name = "polynomial"
    final: float = 0.0
    power: float = 1.0
    updates: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.final < math.inf, "final", "zero or more", self.final)
        require(0 < self.power < math.inf, "power", "positive", self.power)

    def rates(self, update: Array, total: int | None, per_epoch: int | None) -> Array:
        """See `Schedule.rates`."""
        left = 1 - np.minimum(update / _span(self.updates, total, self.name), 1.0)
        shape = (
            left
            if self.power == 1
            else np.where(
                left > 0, _native.elementwise("pow", np.where(left > 0, left, 1.0), self.power), 0.0
            )
        )
        return self.final + (self.initial - self.final) * shape


@dataclass
class Cosine(Schedule):
    """Half a cosine from `initial` to `final`, with linear warm-up and restarts.

    Parameters
    ----------
    initial, final : float
    warmup : int
        Updates over which the rate rises linearly from `initial / warmup`.
    updates : int, optional
        Updates of the first half cosine; by default the rest of the run, which has no restarts.
    restart_factor : float
        How much longer each half cosine is than the one before; 0 for no restarts.

    Notes
    -----
    Loshchilov and Hutter 2017.
    """

    name = "cosine"
    final: float = 0.0
    warmup: int = 0
    updates: int | None = None
    restart_factor: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.final < math.inf, "final", "zero or more", self.final)
        require(self.warmup >= 0, "warmup", "zero or more", self.warmup)
        require(
            self.restart_factor == 0 or self.restart_factor >= 1,
            "restart_factor",
            "0, or 1 and more",
            self.restart_factor,
        )

    def rates(self, update: Array, total: int | None, per_epoch: int | None) -> Array:
        """See `Schedule.rates`."""
        rest = None if total is None else max(total - self.warmup, 1)
        length = _span(self.updates, rest, self.name)
        time = np.maximum(update - self.warmup, 0.0)
        position = np.minimum(time / length, 1.0)
        if self.restart_factor:
            position = self._position(time, length)
        half = 0.5 * (1 + _native.elementwise("cospi", position))
        rates = self.final + (self.initial - self.final) * half
        if self.warmup == 0:
            return rates
        return np.where(update < self.warmup, self.initial * (update + 1) / self.warmup, rates)

    def _position(self, time: Array, length: float) -> Array:
        """Where each update stands within its half cosine, from 0 to 1."""
        start, position = 0.0, np.zeros_like(time)
        last = float(time[-1]) if len(time) else 0.0
        while start <= last:
            inside = (time >= start) & (time < start + length)
            position[inside] = (time[inside] - start) / length
            start += length
            length = math.floor(length * self.restart_factor)
        return position


@dataclass
class OneCycle(Schedule):
    """Rises from `initial` / `start_divisor` to `initial`, then falls to almost nothing, by cosines.

    Parameters
    ----------
    initial : float
        The highest rate.
    updates : int, optional
        Length; by default the run.
    rise : float
        Share of the updates that go up.
    start_divisor, final_divisor : float
        `initial` over the first rate, and the first rate over the last.

    Notes
    -----
    Smith and Topin 2018; PyTorch's OneCycleLR with its default strategy.
    """

    name = "one_cycle"
    updates: int | None = None
    rise: float = 0.3
    start_divisor: float = 25.0
    final_divisor: float = 1e4

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.rise < 1, "rise", "between 0 and 1", self.rise)
        require(self.start_divisor >= 1, "start_divisor", "1 or more", self.start_divisor)
        require(self.final_divisor >= 1, "final_divisor", "1 or more", self.final_divisor)

    def rates(self, update: Array, total: int | None, per_epoch: int | None) -> Array:
        """See `Schedule.rates`."""
        span = _span(self.updates, total, self.name)
        top = max(self.rise * span - 1, 1e-12)
        start = self.initial / self.start_divisor
        end = start / self.final_divisor
        up = np.clip(update / top, 0.0, 1.0)
        down = np.clip((update - top) / max(span - 1 - top, 1e-12), 0.0, 1.0)
        rising = start + (self.initial - start) * 0.5 * (1 - _native.elementwise("cospi", up))
        falling = end + (self.initial - end) * 0.5 * (1 + _native.elementwise("cospi", down))
        return np.where(update <= top, rising, falling)


@dataclass
class ReduceOnPlateau(Schedule):
    """Multiplies the rate by `factor` after `patience` epochs without a better loss.

    The loss is the validation loss where there is one. A better loss is below the best by a share
    of `threshold`, as in PyTorch.
    """

    name = "reduce_on_plateau"
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    least: float = 0.0
    _best: float = field(default=math.inf, init=False)
    _waited: int = field(default=0, init=False)
    _rate: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.factor < 1, "factor", "between 0 and 1", self.factor)
        require(self.patience >= 0, "patience", "zero or more", self.patience)
        self._rate = self.initial

    def rates(self, update: Array, total: int | None, per_epoch: int | None) -> Array:
        """See `Schedule.rates`."""
        return np.full(len(update), self._rate)

    def observe(self, loss: float) -> None:
        """Hear the loss of an epoch."""
        if loss < self._best * (1 - self.threshold):
            self._best, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited > self.patience:
            self._rate = max(self._rate * self.factor, self.least)
            self._waited = 0

    def state(self) -> dict[str, float]:
        """What it has heard, JSON-able."""
        return {"best": self._best, "waited": self._waited, "rate": self._rate}

    def restore(self, state: Mapping[str, float]) -> None:
        """Go on from a state."""
        self._best, self._rate = float(state["best"]), float(state["rate"])
        self._waited = int(state["waited"])

    def to_config(self) -> dict[str, Any]:
        """Name and options, JSON-able."""
        return {k: v for k, v in super().to_config().items() if not k.startswith("_")}


def powers(base: float, exponent: Array) -> Array:
    """Base ** exponent for whole exponents, by squaring: products in one order, the same everywhere."""
    left = exponent.astype(np.int64)
    # The table is for exponents below 2 ** bits; square is base ** (2 ** bits).
    table, square, bits = np.ones(1), float(base), 0
    while len(table) < len(left):
        table = np.concatenate((table, table * square))
        square, bits = square * square, bits + 1
    result: Array = table[left & (len(table) - 1)]
    left >>= bits
    while left.any():
        np.multiply(result, square, out=result, where=(left & 1).astype(bool))
        square *= square
        left >>= 1
    return result


_CLASSES: tuple[type[Schedule], ...] = (
    Step,
    Exponential,
    Inverse,
    Polynomial,
    Cosine,
    OneCycle,
    ReduceOnPlateau,
)

#: Every schedule by name; a plain number is the constant one.
SCHEDULES: dict[str, type[Schedule]] = {cls.name: cls for cls in _CLASSES}


def from_config(config: float | Mapping[str, Any]) -> float | Schedule:
    """The rate or schedule that a config describes."""
    if not isinstance(config, Mapping):
        return float(config)
    options = dict(config)
    name = options.pop("name", None)
    if name not in SCHEDULES:
        raise unknown("schedule", name, SCHEDULES)
    return SCHEDULES[name](**options)
