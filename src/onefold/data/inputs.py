"""How a column of a table becomes inputs of a network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onefold import _native
from onefold._errors import TableError
from onefold.data.columns import Column, readable
from onefold.data.statistics import number_text, parse_dates, parse_numbers

Inputs = NDArray[np.float32]
_DAY = 86_400e6  # microseconds
_YEAR = 365.2425 * _DAY


@dataclass(frozen=True)
class Numeric:
    """A number: standardised; a missing one becomes the median, and says so in a column of its own.

    The indicator is there when a value was missing in training.
    """

    name: str
    mean: float
    scale: float
    median: float
    indicator: bool
    kind: str = "numeric"
    word: ClassVar[str] = "numeric"  # for people, whatever the scaling

    @property
    def width(self) -> int:
        """Inputs of the network."""
        return 2 if self.indicator else 1

    def encode(self, column: Column, first_row: int = 0) -> Inputs:
        """The column as inputs, shape (rows, width); `first_row` is for messages."""
        values = parse_numbers(self.name, column, first_row)
        missing = np.isnan(values)
        infinite = np.isinf(values)
        if infinite.any():
            row = int(np.argmax(infinite))
            raise TableError(
                f"column {self.name!r} holds '{values[row]}' in data row {first_row + row + 1}"
            )
        out = np.empty((len(values), self.width), np.float32)
        out[:, 0] = self._scaled(np.where(missing, self.median, values))
        if self.indicator:
            out[:, 1] = missing
        return out

    def _scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return (values - self.mean) / self.scale

    def note(self) -> str:
        """In a few words, for people."""
        return f"{self._measures()}{', missing ones marked' if self.indicator else ''}"

    def _measures(self) -> str:
        return f"mean {readable(self.mean)}, deviation {readable(self.scale)}"


@dataclass(frozen=True)
class Clipped(Numeric):
    """A number, standardised and smoothly kept within ±3, so that no outlier rules the network.

    `x / sqrt(1 + (x / 3)^2)`, after RealMLP (Holzmueller et al. 2024).
    """

    kind: str = "clipped"

    def _scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        x = super()._scaled(values)
        return x / np.sqrt(1 + (x / 3) * (x / 3))


@dataclass(frozen=True)
class Robust(Clipped):
    """A number less its median, divided by its interquartile range, smoothly kept within ±3.

    `mean` and `scale` hold the median and the range; where the quartiles are equal, half the distance
    of the extremes.
    """

    kind: str = "robust"

    def _measures(self) -> str:
        return f"median {readable(self.mean)}, interquartile range {readable(self.scale)}"


@dataclass(frozen=True)
class Quantile(Numeric):
    """A number by its rank among the training rows, from -sqrt(3) to sqrt(3): variance one.

    `knots` are quantiles at even shares; between two of them the rank is linear.
    """

    knots: tuple[float, ...] = ()
    kind: str = "quantile"

    def _scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        knots = np.array(self.knots)
        low = np.searchsorted(knots, values, side="left")
        high = np.searchsorted(knots, values, side="right")
        # Of a value that fills several knots, the middle; between two knots, in proportion.
        left = np.clip(low - 1, 0, len(knots) - 2)
        gap = knots[left + 1] - knots[left]
        part = np.clip((values - knots[left]) / np.where(gap > 0, gap, 1), 0, 1)
        rank = np.where(high > low, (low + high - 1) / 2, left + part)
        return (2 * (rank / (len(knots) - 1)) - 1) * math.sqrt(3)

    def _measures(self) -> str:
        return f"rank, from {readable(self.knots[0])} to {readable(self.knots[-1])}"


@dataclass(frozen=True)
class Categorical:
    """A category: one input for each, and one for values that are missing or were not seen."""

    name: str
    categories: tuple[str, ...]
    kind: str = "categorical"
    word: ClassVar[str] = "categorical"

    @property
    def width(self) -> int:
        """Inputs of the network."""
        return len(self.categories) + 1

    def encode(self, column: Column, first_row: int = 0) -> Inputs:
        """The column as inputs, shape (rows, width)."""
        found = self.codes(column)
        out = np.zeros((len(column), self.width), dtype=np.float32)
        out[np.arange(len(column)), found] = 1
        return out

    def codes(self, column: Column) -> NDArray[np.int32]:
        """Numbers of the categories, shape (rows,); the last one for what is missing or unseen."""
        places = {category: place for place, category in enumerate(self.categories)}
        unseen = len(self.categories)
        if column.dtype == object:
            return np.array([places.get(cell, unseen) for cell in column.tolist()], np.int32)
        # Each different number is looked up once.
        distinct, rows = np.unique(column, return_inverse=True)
        words = number_text(distinct).tolist()
        return np.array([places.get(word, unseen) for word in words], np.int32)[rows]

    def input_names(self) -> list[str]:
        """A name for every input."""
        return [f"{self.name}: {word}" for word in (*self.categories, "other")]

    def note(self) -> str:
        """In a few words, for people."""
        shown = ", ".join(self.categories[:4]) + (", ..." if len(self.categories) > 4 else "")
        return f"{len(self.categories)} categories: {shown}"


@dataclass(frozen=True)
class Coded(Categorical):
    """A category as one input, its number, for an embedding: the most frequent one's is 0.

    The last number, `len(categories)`, is for values that are missing or were not seen.
    """

    kind: str = "coded"

    @property
    def width(self) -> int:
        """Inputs of the network."""
        return 1

    def encode(self, column: Column, first_row: int = 0) -> Inputs:
        """The column as an input, shape (rows, 1)."""
        return self.codes(column)[:, None].astype(np.float32)

    def input_names(self) -> list[str]:
        """A name for the input."""
        return [self.name]

    def note(self) -> str:
        """In a few words, for people."""
        return (
            f"{len(self.categories):,} categories, embedded: {', '.join(self.categories[:4])}, ..."
        )


@dataclass(frozen=True)
class Date:
    """A date: where it lies in time, standardised, and its places in the year, the week and the day.

    A place in a cycle is a sine and a cosine; the day's is there when the dates have times.
    """

    name: str
    mean: float
    scale: float
    has_times: bool
    indicator: bool
    kind: str = "date"
    word: ClassVar[str] = "date"

    @property
    def width(self) -> int:
        """Inputs of the network."""
        return 5 + 2 * self.has_times + self.indicator

    def encode(self, column: Column, first_row: int = 0) -> Inputs:
        """The column as inputs, shape (rows, width); `first_row` is for messages."""
        values = parse_dates(self.name, column, first_row) if column.dtype == object else column
        missing = np.isnan(values)
        values = np.where(missing, self.mean, values)
        out = np.zeros((len(values), self.width), np.float32)
        out[:, 0] = (values - self.mean) / self.scale
        # 1970-01-01 was a Thursday: the week's cycle begins three days before.
        cycles = [values / _YEAR, (values / _DAY + 3) / 7]
        if self.has_times:
            cycles.append(values / _DAY)
        for place, cycle in enumerate(cycles):
            turn = 2 * (cycle - np.floor(cycle))
            out[:, 1 + 2 * place] = _native.elementwise("sinpi", turn)
            out[:, 2 + 2 * place] = _native.elementwise("cospi", turn)
        out[missing, 1:] = 0
        if self.indicator:
            out[:, -1] = missing
        return out

    def note(self) -> str:
        """In a few words, for people."""
        parts = "year, week and day" if self.has_times else "year and week"
        middle = np.datetime64(int(self.mean), "us").astype("datetime64[D]")
        return f"around {middle}, places in the {parts}" + (
            ", missing ones marked" if self.indicator else ""
        )


#: Clipped, Robust and Quantile are Numeric, Coded is Categorical.
Encoded = Numeric | Categorical | Date
#: By the kind in a model file.
CLASSES: dict[str, Any] = {
    "numeric": Numeric, "clipped": Clipped, "robust": Robust, "quantile": Quantile,
    "categorical": Categorical, "coded": Coded, "date": Date,
}  # fmt: skip


def check_numbers(column: Encoded) -> None:
    """Refuse what does not come from learning: scales of zero, infinite moments, knots in disorder."""
    if isinstance(column, Categorical):
        return
    known = [column.mean, column.scale]
    if isinstance(column, Numeric):
        known.append(column.median)
    knots = np.array(column.knots) if isinstance(column, Quantile) else np.arange(2.0)
    finite = np.isfinite(known).all() and np.isfinite(knots).all()
    if not finite or column.scale <= 0 or len(knots) < 2 or (np.diff(knots) < 0).any():
        raise ValueError(f"column {column.name!r} has numbers that no table gives")
