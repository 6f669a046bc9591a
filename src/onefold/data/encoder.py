"""From columns of a table to inputs of a network: fitted in one pass, kept in the model file.

Sums are chains over the rows in their order, so neither the pieces in which a table comes nor the
machine can be seen in the encoder's bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold._errors import OptionError, TableError, nearest, unknown
from onefold.data.columns import Chunk
from onefold.data.configuration import build
from onefold.data.inputs import (
    CLASSES,
    Categorical,
    Clipped,
    Coded,
    Date,
    Encoded,
    Inputs,
    Numeric,
    Quantile,
    Robust,
    check_numbers,
)
from onefold.data.statistics import (
    LEAST_ROWS,
    MAX_CATEGORIES,
    MAX_EMBEDDED,
    ColumnFit,
    Numbers,
    number_text,
)

SCALINGS = ("standard", "clipped", "robust", "quantile")
_KNOTS = 129


@dataclass
class Encoder:
    """Turns a table's columns into the inputs of a network.

    Attributes
    ----------
    columns : list of Numeric, Categorical, Coded or Date
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

    @property
    def embeddings(self) -> dict[int, int]:
        """The inputs that are codes, and how many categories each has; as `onefold.Embedding` takes them."""
        found, place = {}, 0
        for column in self.columns:
            if isinstance(column, Coded):
                found[place] = len(column.categories) + 1
            place += column.width
        return found

    def input_names(self) -> list[str]:
        """A name for every input of the network."""
        names: list[str] = []
        for column in self.columns:
            if isinstance(column, Categorical):
                names += column.input_names()
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
            if not isinstance(kind, str) or kind not in CLASSES:
                raise ValueError(f"there is no column of the kind {kind!r:.60}")
            columns.append(build(CLASSES[kind], given))
            check_numbers(columns[-1])
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
    max_categories : int, optional
        Of a column of more, the most frequent ones are kept; the others share a place. By default 64, or
        10,000 where columns may be embedded (`one_hot`).
    one_hot : int, optional
        A column of so many categories has an input for each. Of a column of more, those of `least_rows`
        rows are kept; where they are more than `one_hot`, too, the column becomes one input of codes for
        an embedding (`Encoder.embeddings`). By default every category has an input.
    least_rows : int, default 30
        Rarer categories of a column of more than `one_hot` share a place; at least its 64 most frequent
        ones are kept.

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
        max_categories: int | None = None,
        one_hot: int | None = None,
        least_rows: int = LEAST_ROWS,
    ) -> None:
        if max_categories is None:
            max_categories = MAX_CATEGORIES if one_hot is None else MAX_EMBEDDED
        one_hot = max_categories if one_hot is None else one_hot
        limits = {"max_categories": max_categories, "one_hot": one_hot, "least_rows": least_rows}
        for option, value in limits.items():
            if value < 1:
                raise OptionError(f"{option} is a number from 1 up, not {value!r}")
        self._max_categories, self._one_hot, self._least_rows = limits.values()
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
            column = self._encoded(name, fit)
            encoder.columns.append(column)
            if isinstance(column, Categorical) and fit.distinct > len(column.categories):
                encoder.notices.append(self._kept(column, fit))
        encoder.notices += [f"{name} is left out: {why}" for name, why in encoder.dropped.items()]
        if not self._order:
            raise TableError("the table has no column besides the target")
        if not encoder.columns:
            raise TableError(
                "no column is left to learn from: "
                + "; ".join(f"{name}: {why}" for name, why in encoder.dropped.items())
            )
        return encoder

    def _kept(self, column: Categorical, fit: ColumnFit) -> str:
        """What is said of a column with rare categories."""
        count = len(column.categories)
        most = count == self._max_categories
        how = "--max-categories keeps more" if most else "--least-rows keeps rarer ones"
        return (
            f"{column.name} has {fit.distinct_text} categories; the {count:,} most frequent are kept, "
            f"the others share one place ({how})"
        )

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
        if fit.distinct <= self._one_hot or self._max_categories <= self._one_hot:
            return Categorical(name, tuple(sorted(fit.frequent(self._max_categories))))
        kept = fit.frequent(self._max_categories, self._least_rows)
        if len(kept) > self._one_hot:
            return Coded(name, kept)
        least = min(MAX_CATEGORIES, self._one_hot)
        return Categorical(name, tuple(sorted(kept if len(kept) >= least else fit.frequent(least))))
