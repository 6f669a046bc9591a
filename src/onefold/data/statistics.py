"""What is learned of a column while its pieces go by."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold._errors import TableError
from onefold.data.columns import Column

#: More categories than this, and the rarer ones share the place of unseen values: of a column with an
#: input for each, and of one that may be embedded.
MAX_CATEGORIES, MAX_EMBEDDED = 64, 10_000
#: A column of so many categories has an input for each, where others may be embedded.
ONE_HOT = 256
#: Rows from which a network learns something of one of many categories that is true of others.
LEAST_ROWS = 30
#: Different texts that are counted; columns with more are identifiers or free text.
_MOST_COUNTED = 100_000
#: Values that a median is taken from at most: all of a smaller table, an even draw of a larger one.
_SAMPLE = 1 << 14
_LEAST_IDENTIFIERS = 20
#: Whole numbers from 0 or 1 up with three to so many values are taken as codes of categories.
MAX_CODES = 5
_ROWS_OF_A_CODE = 10


def number_text(column: NDArray[Any]) -> NDArray[Any]:
    """Numbers as the text of a category: whole ones without a point; None for missing."""
    out = np.empty(len(column), dtype=object)
    out[:] = [
        None if v != v else str(int(v)) if v.is_integer() else repr(v)
        for v in column.astype(np.float64).tolist()
    ]
    return out


def parse_numbers(name: str, column: Column, first_row: int) -> NDArray[np.float64]:
    """A column as numbers, NaN for missing.

    Raises
    ------
    TableError
        A cell is not a number; says which and where.
    """
    if column.dtype != object:
        return column
    try:
        return np.array([math.nan if cell is None else float(cell) for cell in column.tolist()])
    except ValueError:
        for row, cell in enumerate(column.tolist()):
            if cell is not None and not _is_number(cell):
                raise TableError(
                    f"column {name!r} is numeric, found {cell!r} in data row {first_row + row + 1}"
                ) from None
        raise


def parse_dates(name: str, column: Column, first_row: int) -> NDArray[np.float64]:
    """A column of texts as microseconds since 1970, NaN for missing.

    Raises
    ------
    TableError
        A cell is not a date; says which and where.
    """
    out = np.full(len(column), math.nan)
    for row, cell in enumerate(column.tolist()):
        if cell is None:
            continue
        value = _date(cell)
        if value is None:
            raise TableError(
                f"column {name!r} is a date, found {cell!r} in data row {first_row + row + 1}"
            )
        out[row] = value
    return out


def _date(cell: str) -> float | None:
    text = cell.removesuffix("Z").removesuffix(" UTC")
    if len(text) < 10 or text[4:5] != "-":
        return None
    try:
        return float(np.datetime64(text, "us").astype(np.int64))
    except ValueError:
        return None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


class Numbers:
    """Moments and median of a column's numbers.

    Sums are chains over the rows, of differences to the first value, so that a long way from zero costs
    no digits. The sample for the median is drawn by the row's own number.
    """

    def __init__(self) -> None:
        self.count = 0
        self.least, self.most = math.inf, -math.inf
        self._origin = math.nan
        self._sums = np.zeros(2)
        self._kept: list[NDArray[np.float64]] = []
        self._keys: list[NDArray[np.uint64]] = []
        self._bound = np.uint64(2**64 - 1)
        self._distinct = np.empty(0)  # values, while they are few

    def add(self, values: NDArray[np.float64], rows: NDArray[np.int64]) -> None:
        """More values, with the numbers of their rows."""
        if not len(values):
            return
        if self.count == 0:
            self._origin = float(values[0])
        self.count += len(values)
        self.least, self.most = (
            min(self.least, float(values.min())),
            max(self.most, float(values.max())),
        )
        if len(self._distinct) <= MAX_CODES:
            self._distinct = np.unique(np.concatenate([self._distinct, values]))[
                : MAX_CODES + 1
            ].copy()
        offset = values - self._origin
        for place, terms in enumerate((offset, offset * offset)):
            # add.accumulate goes from left to right, one rounding a step.
            self._sums[place] = np.add.accumulate(
                np.concatenate([self._sums[place : place + 1], terms])
            )[-1]
        keys = _mixed(rows)
        drawn = keys <= self._bound
        self._kept.append(values[drawn])
        self._keys.append(keys[drawn])
        while sum(map(len, self._kept)) > 2 * _SAMPLE:
            self._bound //= np.uint64(2)
            stay = [keys <= self._bound for keys in self._keys]
            self._kept = [values[s] for values, s in zip(self._kept, stay, strict=True)]
            self._keys = [keys[s] for keys, s in zip(self._keys, stay, strict=True)]

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation (1 where all values are equal)."""
        first, second = self._sums / self.count
        return float(self._origin + first), math.sqrt(max(second - first * first, 0.0)) or 1.0

    @property
    def codes(self) -> NDArray[np.float64] | None:
        """The values of a column of codes, such as 0, 1 and 2; None where it measures or counts."""
        values = self._distinct
        few = 2 < len(values) <= MAX_CODES and self.count >= _ROWS_OF_A_CODE * len(values)
        whole = few and bool((values == np.floor(values)).all())
        return values if whole and values[0] in (0, 1) else None

    def median(self) -> float:
        """Middle value of the sample."""
        return float(np.median(np.concatenate(self._kept)))

    def quantiles(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of the sample below which these shares lie."""
        ordered = np.sort(np.concatenate(self._kept))
        return ordered[np.floor(shares * (len(ordered) - 1)).astype(np.int64)]


def _mixed(rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """64 well-mixed bits of each row's number (the finaliser of SplitMix64, Steele et al. 2014)."""
    x = rows.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class ColumnFit:
    """What is known of one column so far.

    Parameters
    ----------
    name : str
    kind : "number", "date" or "text"
        As the table has it. Texts that are all numbers, or all dates, are taken as such.
    as_text : bool
        Whether a number is wanted as a category.

    Attributes
    ----------
    rows, present : int
        Rows, and those that have a value.
    numbers : Numbers or None
        Of numbers and dates.
    not_a_number : str or None
        The first cell that was neither.
    """

    def __init__(self, name: str, kind: str, *, as_text: bool) -> None:
        self.name = name
        self.rows = self.present = 0
        self.numbers: Numbers | None = Numbers()
        self.is_date = kind == "date"
        self.has_times = False
        self.not_a_number: str | None = None
        self._text = kind == "text" or as_text
        self._counts: Counter[str] = Counter()
        self._overflow = False

    def add(self, column: Column, rows: NDArray[np.int64]) -> None:
        """More of the column, with the numbers of its rows in the table."""
        self.rows += len(column)
        if column.dtype == object:
            present = np.array([cell is not None for cell in column.tolist()], dtype=bool)
            cells = column[present]
            self._try_numbers(cells, rows[present])
        else:
            present = ~np.isnan(column)
            values = column[present]
            infinite = np.isinf(values)
            if infinite.any():
                row = int(rows[present][np.argmax(infinite)])
                raise TableError(
                    f"column {self.name!r} holds '{values[np.argmax(infinite)]}' in data row {row + 1}"
                )
            self._add_numbers(values, rows[present])
            cells = number_text(values) if self._text else np.empty(0, object)
        self.present += int(present.sum())
        if self._text:
            self._count(cells.tolist())

    def _count(self, cells: list[str]) -> None:
        """Count texts; once there are too many different ones, only those that are known."""
        if len(self._counts) + len(cells) <= _MOST_COUNTED:
            self._counts.update(cells)
            return
        for cell in cells:
            if cell in self._counts or len(self._counts) < _MOST_COUNTED:
                self._counts[cell] += 1
            else:
                self._overflow = True

    def _try_numbers(self, cells: Column, rows: NDArray[np.int64]) -> None:
        """Text that may be numbers, or dates."""
        if self.numbers is None or not len(cells):
            return
        if self.numbers.count == 0:
            self.is_date = _date(cells[0]) is not None
        read = parse_dates if self.is_date else parse_numbers
        try:
            values = read(self.name, cells, 0)
        except TableError:
            values = np.array([math.nan])
        if np.isfinite(values).all():
            self._add_numbers(values, rows)
        else:  # words, "inf" among them
            self.not_a_number = next((c for c in cells.tolist() if not _is_number(c)), cells[0])
            self.numbers, self.is_date = None, False

    def _add_numbers(self, values: NDArray[np.float64], rows: NDArray[np.int64]) -> None:
        if self.numbers is None or not len(values):
            return
        self.numbers.add(values, rows)
        if self.is_date and not self.has_times:
            self.has_times = bool((values % 86_400e6 != 0).any())

    @property
    def distinct(self) -> int:
        """Different texts that were counted."""
        return len(self._counts)

    @property
    def distinct_text(self) -> str:
        """The same for people."""
        return f"more than {_MOST_COUNTED}" if self._overflow else str(self.distinct)

    @property
    def constant(self) -> str | None:
        """The value of a column that has one only."""
        if (
            self.numbers is not None
            and self.numbers.count
            and self.numbers.least == self.numbers.most
        ):
            return f"{self.numbers.least:g}"
        return next(iter(self._counts)) if self._text and self.distinct == 1 else None

    @property
    def identifies(self) -> bool:
        """Whether every row has a text of its own, which says nothing of another row."""
        if self.present <= _LEAST_IDENTIFIERS or self.numbers is not None:
            return False
        return self._overflow or self.distinct == self.present

    def frequent(self, most: int, rows: int = 1) -> tuple[str, ...]:
        """The categories of so many rows, so many of them at most, the most frequent one first."""
        kept = (cell for cell, count in self._counts.items() if count >= rows)
        return tuple(sorted(kept, key=lambda cell: (-self._counts[cell], cell))[:most])
