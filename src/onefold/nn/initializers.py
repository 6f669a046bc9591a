"""First values of parameters: indexed by seed, layer, parameter, row and column.

Values are drawn in float64 and rounded once, so a float32 network starts at the rounding of the
float64 one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onefold import _native
from onefold._errors import OptionError, unknown

Array = NDArray[np.float64]
_PURPOSE = 1  # of the random numbers: initial weights


@dataclass(frozen=True)
class Draw:
    """Random numbers of one parameter."""

    seed: int
    layer: int
    parameter: int

    def uniform(self, shape: tuple[int, int], sample: int = 0) -> Array:
        """Uniform in (0, 1): the middles of 2**32 equal cells. `sample` tells draws apart."""
        words = _native.random_words(
            shape, self.seed, _PURPOSE, self.layer, self.parameter << 8 | sample
        )
        return (words.astype(np.float64) + 0.5) * 2.0**-32

    def normal(self, shape: tuple[int, int], sample: int = 0) -> Array:
        """Standard normal, by Box and Muller 1958."""
        radius = np.sqrt(-2.0 * _native.elementwise("log", self.uniform(shape, 2 * sample)))
        turn = _native.elementwise("cospi", 2.0 * self.uniform(shape, 2 * sample + 1))
        return np.asarray(radius * turn)


@dataclass(frozen=True)
class Initializer(ABC):
    """Makes the first values of a parameter."""

    name: ClassVar[str]

    def __call__(
        self, shape: tuple[int, int], seed: int, layer: int, parameter: int, dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        """Values of a parameter.

        Parameters
        ----------
        shape : (int, int)
            Inputs and outputs.
        seed, layer, parameter : int
            Keys of the random numbers.
        dtype : numpy.dtype

        Returns
        -------
        array, shape `shape`
        """
        return self.values(shape, Draw(seed, layer, parameter)).astype(dtype)

    @abstractmethod
    def values(self, shape: tuple[int, int], draw: Draw) -> Array:
        """The values in float64."""

    def to_config(self) -> dict[str, Any]:
        """Name and options, JSON-able."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True)
class Constant(Initializer):
    """The same value everywhere."""

    name = "constant"
    value: float = 0.0

    def values(self, shape: tuple[int, int], draw: Draw) -> Array:
        """See `Initializer.values`."""
        return np.full(shape, self.value)


@dataclass(frozen=True)
class Zeros(Initializer):
    """Zero everywhere."""

    name = "zeros"

    def values(self, shape: tuple[int, int], draw: Draw) -> Array:
        """See `Initializer.values`."""
        return np.zeros(shape)


@dataclass(frozen=True)
class Ones(Initializer):
    """One everywhere."""

    name = "ones"

    def values(self, shape: tuple[int, int], draw: Draw) -> Array:
        """See `Initializer.values`."""
        return np.ones(shape)


@dataclass(frozen=True)
class Uniform(Initializer):
    """Uniform between `low` and `high`."""

    name = "uniform"
    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise OptionError(f"low must be below high, not {self.low!r} and {self.high!r}")

    def values(self, shape: tuple[int, int], draw: Draw) -> Array:
        """See `Initializer.values`."""
        return self.low + (self.high - self.low) * draw.uniform(shape)


@dataclass(frozen=True)
class Normal(Initializer):
    """Normal of a mean and standard deviation."""

    name = "normal"
    mean: float = 0.0
    stddev: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.stddev < math.inf:
            raise OptionError(f"stddev is zero or more, not {self.stddev!r}")

    def values(self, shape: tuple[int, int], draw: Draw) -> Array:
        """See `Initializer.values`."""
        return self.mean + self.stddev * draw.normal(shape)


@dataclass(frozen=True)
class TruncatedNormal(Normal):
    """Normal, drawn again where it is more than two standard deviations off."""

    name = "truncated_normal"

    def values(self, shape: tuple[int, int], draw: Draw) -> Array:
        """See `Initializer.values`."""
        x = draw.normal(shape)
        for sample in range(1, 40):  # one in 22 is redrawn each time
            outside = np.abs(x) > 2
            if not outside.any():
                break
            x = np.where(outside, draw.normal(shape, sample), x)
        return self.mean + self.stddev * np.clip(x, -2, 2)


@dataclass(frozen=True)
class _Scaled(Initializer):
    """Zero mean, and a variance of `gain` over the inputs, or over the mean of inputs and outputs."""

    gain: ClassVar[float]
    average: ClassVar[bool] = False
    normal: ClassVar[bool] = False

    def values(self, shape: tuple[int, int], draw: Draw) -> Array:
        """See `Initializer.values`."""
        fan = (shape[0] + shape[1]) / 2 if self.average else shape[0]
        variance = self.gain / fan
        if self.normal:
            return math.sqrt(variance) * draw.normal(shape)
        return math.sqrt(3 * variance) * (2 * draw.uniform(shape) - 1)


class GlorotUniform(_Scaled):
    """Uniform, variance 2 / (inputs + outputs) (Glorot and Bengio 2010)."""

    name, gain, average = "glorot_uniform", 1.0, True


class GlorotNormal(_Scaled):
    """Normal, variance 2 / (inputs + outputs) (Glorot and Bengio 2010)."""

    name, gain, average, normal = "glorot_normal", 1.0, True, True


class HeUniform(_Scaled):
    """Uniform, variance 2 / inputs (He et al. 2015)."""

    name, gain = "he_uniform", 2.0


class HeNormal(_Scaled):
    """Normal, variance 2 / inputs (He et al. 2015)."""

    name, gain, normal = "he_normal", 2.0, True


class LecunUniform(_Scaled):
    """Uniform, variance 1 / inputs (LeCun et al. 1998)."""

    name, gain = "lecun_uniform", 1.0


class LecunNormal(_Scaled):
    """Normal, variance 1 / inputs (LeCun et al. 1998)."""

    name, gain, normal = "lecun_normal", 1.0, True


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """Orthonormal rows or columns, whichever are fewer, times `gain` (Saxe et al. 2014).

    Classical Gram-Schmidt, twice, on normal vectors; dot products are native chains, so that the
    bits do not depend on the machine.
    """

    name = "orthogonal"
    gain: float = 1.0

    def values(self, shape: tuple[int, int], draw: Draw) -> Array:
        """See `Initializer.values`."""
        few, many = min(shape), max(shape)
        vectors = draw.normal((few, many))
        for i in range(few):
            v = vectors[i : i + 1]
            for _ in range(2 if i else 0):
                along = _native.matmul(v, np.ascontiguousarray(vectors[:i].T))
                v = v - _native.matmul(along, vectors[:i])
            length = math.sqrt(float(_native.matmul(v, np.ascontiguousarray(v.T))[0, 0]))
            vectors[i] = v[0] / length
        vectors *= self.gain
        return vectors if shape[0] == few else np.ascontiguousarray(vectors.T)


_CLASSES: tuple[type[Initializer], ...] = (
    Zeros,
    Ones,
    Constant,
    Uniform,
    Normal,
    TruncatedNormal,
    GlorotUniform,
    GlorotNormal,
    HeUniform,
    HeNormal,
    LecunUniform,
    LecunNormal,
    Orthogonal,
)

#: Every initializer by name.
INITIALIZERS: dict[str, type[Initializer]] = {cls.name: cls for cls in _CLASSES}


def get(initializer: str | Initializer, **options: float) -> Initializer:
    """An initializer from its name or an object.

    Raises
    ------
    OptionError
        There is none of that name; says the nearest.
    """
    if isinstance(initializer, Initializer):
        return initializer
    if initializer not in INITIALIZERS:
        raise unknown("initializer", initializer, INITIALIZERS)
    return INITIALIZERS[initializer](**options)


def from_config(config: Mapping[str, Any]) -> Initializer:
    """The initializer that `to_config` described."""
    options = dict(config)
    return get(options.pop("name", ""), **options)
