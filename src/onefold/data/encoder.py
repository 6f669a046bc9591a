"""From columns of a table to inputs of a network: fitted in one pass, kept in the model file.

Sums are chains over the rows in their order, so neither the pieces in which a table comes nor the
machine can be seen in the encoder's bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onefold import _native
from onefold._errors import OptionError, TableError, nearest, unknown
from onefold.data.columns import Chunk, Column, readable
from onefold.data.configuration import build
from onefold.data.statistics import (
    MAX_CATEGORIES,
    ColumnFit,
    Numbers,
    number_text,
    parse_dates,
    parse_numbers,
)

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

    def note(self) -> str:
        """In a few words, for people."""
        shown = ", ".join(self.categories[:4]) + (", ..." if len(self.categories) > 4 else "")
        return f"{len(self.categories)} categories: {shown}"


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


def _check_numbers(column: Encoded) -> None:
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


Encoded = Numeric | Categorical | Date  # Clipped, Robust and Quantile are Numeric
_CLASSES: dict[str, Any] = {
    "numeric": Numeric, "clipped": Clipped, "robust": Robust, "quantile": Quantile,
    "categorical": Categorical, "date": Date,
}  # fmt: skip
SCALINGS = ("standard", "clipped", "robust", "quantile")
_KNOTS = 129


@dataclass
class Encoder:
    """Turns a table's columns into the inputs of a network.

    Attributes
    ----------
    columns : list of Numeric, Categorical or Date
    dropped : dict of str to str
        Columns left out, and why.
    notices : list of str
        What the user should know.
    """

    columns: list[Encoded]
    dropped: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Inputs of the network."""
        return sum(column.width for column in self.columns)

    def input_names(self) -> list[str]:
        """A name for every input of the network."""
        names: list[str] = []
        for column in self.columns:
            if isinstance(column, Categorical):
                names += [f"{column.name}: {word}" for word in (*column.categories, "other")]
                continue
            names += [column.name]
            names += [f"{column.name} ({i})" for i in range(2, column.width + 1 - column.indicator)]
            names += [f"{column.name}: missing"] * column.indicator
        return names

    def encode(self, chunk: Chunk, first_row: int = 0) -> Inputs:
        """Inputs of the network, shape (rows, width), float32.

        Parameters
        ----------
        chunk : dict of str to array
            Columns of a table.
        first_row : int
            Of the table, for messages.

        Raises
        ------
        TableError
            A column is missing, or a number is not one.
        """
        self.check(chunk)
        return np.concatenate([c.encode(chunk[c.name], first_row) for c in self.columns], axis=1)

    def codes(self, chunk: Chunk) -> dict[str, NDArray[np.int32]]:
        """Numbers of the categories by column, such as an embedding takes.

        Column `name` has `len(categories) + 1` of them; the last is for what is missing or unseen.
        """
        self.check(chunk)
        return {c.name: c.codes(chunk[c.name]) for c in self.columns if isinstance(c, Categorical)}

    def check(self, names: Mapping[str, Any]) -> None:
        """Refuse a table that lacks a column."""
        missing = [column.name for column in self.columns if column.name not in names]
        if missing:
            hint = nearest(missing[0], names)
            more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
            raise TableError(
                f"the table lacks column {', '.join(map(repr, missing[:10]))}{more}{hint}"
            )

    def to_config(self) -> dict[str, Any]:
        """The encoder as JSON-able values."""
        return {"columns": [asdict(column) for column in self.columns], "dropped": self.dropped}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Encoder:
        """The encoder that `to_config` described.

        Raises
        ------
        ValueError
            No encoder is described so, or one that cannot encode.
        """
        columns: list[Encoded] = []
        for given in config["columns"]:
            kind = given.get("kind") if isinstance(given, Mapping) else None
            if not isinstance(kind, str) or kind not in _CLASSES:
                raise ValueError(f"there is no column of the kind {kind!r:.60}")
            columns.append(build(_CLASSES[kind], given))
            _check_numbers(columns[-1])
        if len({column.name for column in columns}) < max(1, len(columns)):
            raise ValueError("two columns have the same name, or there is none")
        dropped = {str(name): str(why) for name, why in dict(config["dropped"]).items()}
        return cls(columns, dropped)


class EncoderFit:
    """Learns an encoder from pieces of a table.

    Parameters
    ----------
    kinds : mapping of str to str
        The columns to learn from, as `Table.kinds` has them.
    numeric, categorical, drop : sequence of str
        Columns whose kind the user gives, or that are left out. Of the others, texts that are all
        numbers are numbers; whole numbers from 0 or 1 up with three to five values are categories.
    scaling : {"standard", "clipped", "robust", "quantile"}, default "standard"
        Of numbers: `Numeric`, `Clipped`, `Robust` or `Quantile`.
    max_categories : int, default 64
        Of a column of more, the most frequent ones are kept; the others share a place.

    Raises
    ------
    TableError
        A named column is not there.

    Examples
    --------
    >>> fit = EncoderFit({"x": "number"})
    >>> fit.add({"x": np.array([1.0, 3.0])})
    >>> fit.finish().encode({"x": np.array([2.0, 3.0])})
    array([[0.],
           [1.]], dtype=float32)
    """

    def __init__(
        self,
        kinds: Mapping[str, str],
        *,
        numeric: Sequence[str] = (),
        categorical: Sequence[str] = (),
        drop: Sequence[str] = (),
        scaling: str = "standard",
        max_categories: int = MAX_CATEGORIES,
    ) -> None:
        if max_categories < 1:
            raise OptionError(f"max_categories is a number from 1 up, not {max_categories!r}")
        self._max_categories = max_categories
        if scaling not in SCALINGS:
            raise unknown("scaling", scaling, SCALINGS)
        self._scaling = scaling
        for name in (*numeric, *categorical, *drop):
            if name not in kinds:
                raise TableError(f"there is no column {name!r}{nearest(name, kinds)}")
        self._numeric, self._categorical, self._drop = set(numeric), set(categorical), set(drop)
        self._order = list(kinds)
        self._fits = {
            name: ColumnFit(name, kind, as_text=name in self._categorical)
            for name, kind in kinds.items()
            if name not in self._drop
        }

    def add(self, chunk: Chunk, first_row: int = 0, rows: NDArray[np.int64] | None = None) -> None:
        """The next rows, of all columns or of some; every column's come in order.

        Parameters
        ----------
        chunk : dict of str to array
            A piece of the table.
        first_row : int
            The number of its first row in the table.
        rows : array of int, shape (rows,), optional
            The number of each row in the table, where they are not one after another. What is drawn
            from a large column is drawn by these numbers.
        """
        for name, column in chunk.items():
            if name in self._fits:
                if rows is None:
                    rows = np.arange(first_row, first_row + len(column))
                self._fits[name].add(column, rows)

    def finish(self) -> Encoder:
        """The encoder.

        Raises
        ------
        TableError
            A column that should be numeric is not, or no column is left.
        """
        encoder = Encoder([])
        for name in self._order:
            why = "left out as asked" if name in self._drop else self._reason(name)
            if why:
                encoder.dropped[name] = why
                continue
            fit = self._fits[name]
            encoder.columns.append(self._encoded(name, fit))
            if encoder.columns[-1].kind == "categorical" and fit.distinct > self._max_categories:
                encoder.notices.append(
                    f"{name} has {fit.distinct_text} categories; the {self._max_categories} most "
                    "frequent are kept, the others share one place (--max-categories keeps more)"
                )
        encoder.notices += [f"{name} is left out: {why}" for name, why in encoder.dropped.items()]
        if not self._order:
            raise TableError("the table has no column besides the target")
        if not encoder.columns:
            raise TableError(
                "no column is left to learn from: "
                + "; ".join(f"{name}: {why}" for name, why in encoder.dropped.items())
            )
        return encoder

    def _reason(self, name: str) -> str:
        """Why a column is left out; empty when it is not."""
        fit = self._fits[name]
        given = name in self._numeric or name in self._categorical
        if fit.present == 0:
            return "every value is missing"
        if fit.constant is not None and fit.present == fit.rows:
            return f"constant ({fit.constant})"
        if not given and fit.identifies:
            return "looks like an identifier"
        return ""

    def _number(self, name: str, numbers: Numbers, indicator: bool) -> Numeric:
        mean, scale = numbers.moments()
        median = numbers.median()
        if self._scaling == "robust":
            low, high = numbers.quantiles(np.array([0.25, 0.75])).tolist()
            spread = high - low or (numbers.most - numbers.least) / 2
            return Robust(name, median, spread or 1.0, median, indicator)
        if self._scaling == "quantile":
            knots = numbers.quantiles(np.arange(_KNOTS) / (_KNOTS - 1))
            return Quantile(name, mean, scale, median, indicator, knots=tuple(knots.tolist()))
        kind = Clipped if self._scaling == "clipped" else Numeric
        return kind(name, mean, scale, median, indicator)

    def _encoded(self, name: str, fit: ColumnFit) -> Encoded:
        if name in self._numeric and fit.numbers is None:
            raise TableError(
                f"column {name!r} is not numeric: {fit.not_a_number!r}; leave it out of --numeric"
            )
        indicator = fit.present < fit.rows
        if fit.numbers is not None and name not in self._categorical:
            mean, scale = fit.numbers.moments()
            if fit.is_date:
                return Date(name, mean, scale, fit.has_times, indicator)
            if fit.numbers.codes is not None and name not in self._numeric:
                return Categorical(name, tuple(number_text(fit.numbers.codes)))
            return self._number(name, fit.numbers, indicator)
        return Categorical(name, fit.categories(self._max_categories))
