"""From columns of text to inputs of a network: fitted once, kept in the model file.

Means and deviations are exactly rounded sums (math.fsum), so the encoder's bits do not depend on the
order of the rows or on the machine.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold._errors import TableError, nearest
from onefold.data.source import MISSING

Array = NDArray[np.float32]
#: More categories than this, and the rarer ones share the place of unseen values.
MAX_CATEGORIES = 64


def parse(cell: str) -> float | None:
    """A cell as a number; None where it is missing, an error where it is neither."""
    if cell.lower() in MISSING:
        return None
    return float(cell)


def is_numeric(cells: Sequence[str]) -> bool:
    """Whether every cell is a number or missing, and one at least is a number."""
    found = False
    for cell in cells:
        try:
            found = parse(cell) is not None or found
        except ValueError:
            return False
    return found


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

    @property
    def width(self) -> int:
        """Inputs of the network."""
        return 2 if self.indicator else 1

    def encode(self, cells: Sequence[str]) -> Array:
        """The column as inputs, shape (rows, width)."""
        out = np.zeros((len(cells), self.width))
        for row, cell in enumerate(cells):
            try:
                value = parse(cell)
            except ValueError as error:
                raise TableError(
                    f"column {self.name!r} is numeric, found {cell!r} in data row {row + 1}"
                ) from error
            if value is not None and not math.isfinite(value):
                raise TableError(f"column {self.name!r} holds {cell!r} in data row {row + 1}")
            out[row, 0] = ((self.median if value is None else value) - self.mean) / self.scale
            if self.indicator:
                out[row, 1] = value is None
        return out.astype(np.float32)

    @classmethod
    def fit(cls, name: str, cells: Sequence[str]) -> Numeric:
        """Mean, standard deviation and median of the numbers there are."""
        values = []
        for row, cell in enumerate(cells):
            value = parse(cell)
            if value is not None and not math.isfinite(value):
                raise TableError(f"column {name!r} holds {cell!r} in training row {row + 1}")
            if value is not None:
                values.append(value)
        mean, scale = moments(values)
        ordered = sorted(values)
        middle = len(ordered) // 2
        median = (
            ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
        )
        return cls(name, mean, scale, median, len(values) < len(cells))


@dataclass(frozen=True)
class Categorical:
    """A category: one input for each, and one for values that are missing or were not seen."""

    name: str
    categories: tuple[str, ...]
    kind: str = "categorical"

    @property
    def width(self) -> int:
        """Inputs of the network."""
        return len(self.categories) + 1

    def encode(self, cells: Sequence[str]) -> Array:
        """The column as inputs, shape (rows, width)."""
        places = {category: place for place, category in enumerate(self.categories)}
        out = np.zeros((len(cells), self.width), dtype=np.float32)
        columns = [places.get(cell, len(self.categories)) for cell in cells]
        out[np.arange(len(cells)), columns] = 1
        return out

    @classmethod
    def fit(cls, name: str, cells: Sequence[str]) -> Categorical:
        """The categories there are; beyond `MAX_CATEGORIES`, the most frequent ones."""
        counts = Counter(cell for cell in cells if cell.lower() not in MISSING)
        kept = sorted(counts, key=lambda cell: (-counts[cell], cell))[:MAX_CATEGORIES]
        return cls(name, tuple(sorted(kept)))


Column = Numeric | Categorical


def moments(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation, from exactly rounded sums."""
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
    return mean, deviation or 1.0


@dataclass
class Encoder:
    """Turns a table's columns into the inputs of a network.

    Attributes
    ----------
    columns : list of Numeric or Categorical
    dropped : dict of str to str
        Columns left out, and why.
    notices : list of str
        What the user should know.
    """

    columns: list[Column]
    dropped: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Inputs of the network."""
        return sum(column.width for column in self.columns)

    @classmethod
    def fit(
        cls,
        table: Mapping[str, Sequence[str]],
        *,
        numeric: Sequence[str] = (),
        categorical: Sequence[str] = (),
        drop: Sequence[str] = (),
    ) -> Encoder:
        """Find out what each column is and learn its encoding from the training rows.

        Parameters
        ----------
        table : mapping of str to cells
            Training rows, without the target.
        numeric, categorical, drop : sequence of str
            Columns whose kind the user gives, or that are left out.

        Raises
        ------
        TableError
            A named column is not there, or no column is left.
        """
        for name in (*numeric, *categorical, *drop):
            if name not in table:
                raise TableError(f"there is no column {name!r}{nearest(name, table)}")
        encoder = cls([])
        for name, cells in table.items():
            present = [cell for cell in cells if cell.lower() not in MISSING]
            distinct = set(present)
            as_number = name in numeric or (name not in categorical and is_numeric(cells))
            if name in drop:
                encoder.dropped[name] = "left out as asked"
            elif not present:
                encoder.dropped[name] = "every value is missing"
            elif len(distinct) == 1 and len(present) == len(cells):
                encoder.dropped[name] = f"constant ({present[0]})"
            elif not as_number and name not in categorical and _identifies(distinct, present):
                encoder.dropped[name] = "looks like an identifier"
            elif as_number:
                encoder.columns.append(_fit_numeric(name, cells))
            else:
                encoder.columns.append(Categorical.fit(name, cells))
                if len(distinct) > MAX_CATEGORIES:
                    encoder.notices.append(
                        f"{name} has {len(distinct)} categories; the {MAX_CATEGORIES} most frequent "
                        "are kept, the others share one place"
                    )
        encoder.notices += [f"{name} is left out: {why}" for name, why in encoder.dropped.items()]
        if not encoder.columns:
            raise TableError(
                "no column is left to learn from: "
                + "; ".join(f"{name}: {why}" for name, why in encoder.dropped.items())
            )
        return encoder

    def encode(self, table: Mapping[str, Sequence[str]]) -> Array:
        """Inputs of the network, shape (rows, width), float32.

        Raises
        ------
        TableError
            A column is missing, or a number is not one.
        """
        missing = [column.name for column in self.columns if column.name not in table]
        if missing:
            hint = nearest(missing[0], table)
            raise TableError(f"the table lacks column {', '.join(map(repr, missing))}{hint}")
        return np.concatenate([c.encode(table[c.name]) for c in self.columns], axis=1)

    def to_config(self) -> dict[str, Any]:
        """The encoder as JSON-able values."""
        return {"columns": [asdict(column) for column in self.columns], "dropped": self.dropped}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Encoder:
        """The encoder that `to_config` described."""
        columns: list[Column] = []
        for column in config["columns"]:
            if column["kind"] == "numeric":
                columns.append(Numeric(**column))
            else:
                columns.append(Categorical(column["name"], tuple(column["categories"])))
        return cls(columns, dict(config["dropped"]))


def _identifies(distinct: set[str], present: Sequence[str]) -> bool:
    return len(distinct) == len(present) > 20


def _fit_numeric(name: str, cells: Sequence[str]) -> Numeric:
    try:
        return Numeric.fit(name, cells)
    except ValueError as error:
        if isinstance(error, TableError):
            raise
        raise TableError(
            f"column {name!r} is not numeric: {error}; leave it out of --numeric"
        ) from error
