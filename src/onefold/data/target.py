"""The column to predict: what kind it is, and its values as a network's targets and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold._errors import OptionError, TableError, unknown
from onefold.data.columns import Column
from onefold.data.configuration import build
from onefold.data.statistics import Numbers, number_text, parse_numbers

TASKS = ("regression", "binary", "classes")
#: Whole numbers with no more than so many values are taken as classes; in large tables five times as many.
_MAX_WHOLE_CLASSES = 20
_PIECE = 1 << 16  # rows that are worked on at a time


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Attributes
    ----------
    name : str
    task : "regression", "binary" or "classes"
    classes : tuple of str
        In order; empty for a regression.
    mean, scale : float
        Of a regression's values; the network learns standardised ones.
    """

    name: str
    task: str
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0

    @property
    def outputs(self) -> int:
        """Outputs of the network."""
        return len(self.classes) if self.task == "classes" else 1

    @property
    def loss(self) -> str:
        """The loss that fits."""
        return "squared_error" if self.task == "regression" else "cross_entropy"

    @classmethod
    def find(cls, name: str, column: Column, task: str | None = None) -> Target:
        """Find out what kind of target a column is; no cell is missing.

        Raises
        ------
        TableError
            A single class, a constant, or values that do not fit the task.
        """
        if task is not None and task not in TASKS:
            raise unknown("task", task, TASKS)
        values = _numbers(name, column)
        if values is not None and not np.isfinite(values).all():
            raise TableError(f"target {name!r} holds an infinite value")
        most = None if task in ("binary", "classes") else 5 * _MAX_WHOLE_CLASSES + 1
        distinct = column_values(column, most)
        if len(distinct) < 2:
            raise TableError(
                f"target {name!r} has a single value ({distinct[0] if distinct else 'none'}); "
                "there is nothing to learn"
            )
        if task is None:
            task = _guess(len(column), distinct, values)
        if task == "regression":
            if values is None:
                raise TableError(f"target {name!r} is text, so it cannot be a regression")
            fit = Numbers()
            for first in range(0, len(values), _PIECE):
                piece = values[first : first + _PIECE]
                fit.add(piece, np.arange(first, first + len(piece)))
            return cls(name, task, (), *fit.moments())
        if task == "binary" and len(distinct) != 2:
            raise TableError(f"target {name!r} has {len(distinct)} values; 'binary' means two")
        if len(distinct) > len(column) // 2 and len(distinct) > _MAX_WHOLE_CLASSES:
            raise OptionError(
                f"target {name!r} has {len(distinct)} classes in {len(column)} rows; "
                "is it the right column?"
            )
        ordered = distinct if values is None else sorted(distinct, key=float)
        return cls(name, task, tuple(ordered))

    def encode(self, column: Column, first_row: int = 0) -> NDArray[Any]:
        """Targets: class numbers, 0 and 1, or standardised values, shape (rows,); `first_row` is for messages."""
        out = np.empty(len(column), np.float32 if self.task == "regression" else np.int32)
        for first in range(0, len(column), _PIECE):
            out[first : first + _PIECE] = self._encode(
                column[first : first + _PIECE], first_row + first
            )
        return out

    def _encode(self, column: Column, first_row: int) -> NDArray[Any]:
        if self.task == "regression":
            return (parse_numbers(self.name, column, first_row) - self.mean) / self.scale
        places = {value: place for place, value in enumerate(self.classes)}
        if column.dtype == object:
            cells, rows = column.tolist(), None
        else:  # few different numbers, each looked up once
            distinct, rows = np.unique(column, return_inverse=True)
            cells = number_text(distinct).tolist()
        found = np.array([places.get(cell, -1) for cell in cells], dtype=np.int64)
        found = found if rows is None else found[rows]
        if (found < 0).any():
            row = int(np.argmax(found < 0))
            cell = cells[row if rows is None else rows[row]]
            raise TableError(
                f"target {self.name!r} holds {cell!r} in row {first_row + row + 1}, which training never saw "
                f"(classes: {', '.join(self.classes[:10])})"
            )
        return found

    def decode(self, outputs: NDArray[Any]) -> list[str]:
        """Predictions in the table's own terms, from the network's raw outputs."""
        if self.task == "regression":
            return [
                repr(v) for v in (outputs[:, 0].astype(float) * self.scale + self.mean).tolist()
            ]
        chosen = outputs.argmax(axis=1) if self.task == "classes" else outputs[:, 0] > 0
        return [self.classes[int(place)] for place in chosen]

    def to_config(self) -> dict[str, Any]:
        """The target as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Target:
        """The target that `to_config` described.

        Raises
        ------
        ValueError
            No target is described so.
        """
        target = build(cls, config)
        least = {"regression": 0, "binary": 2, "classes": 2}.get(target.task, -1)
        distinct = len(set(target.classes))
        if distinct != len(target.classes) or not (
            distinct == least or (target.task == "classes" and distinct > 2)
        ):
            raise ValueError(f"the target is {target.task!r:.60} of {distinct} classes")
        if not (np.isfinite([target.mean, target.scale]).all() and target.scale > 0):
            raise ValueError("the target has numbers that no table gives")
        return target


def _guess(rows: int, distinct: list[str], values: NDArray[np.float64] | None) -> str:
    if len(distinct) == 2:
        return "binary"
    whole = values is not None and bool((values == np.floor(values)).all())
    few = len(distinct) <= _MAX_WHOLE_CLASSES and len(distinct) * 5 <= rows
    few = few or (len(distinct) <= 5 * _MAX_WHOLE_CLASSES and len(distinct) * 1000 <= rows)
    return "classes" if values is None or (whole and few) else "regression"


def _numbers(name: str, column: Column) -> NDArray[np.float64] | None:
    """The column as numbers, or None where it is text."""
    try:
        return parse_numbers(name, column, 0)
    except TableError:
        return None


def column_values(column: Column, most: int | None = None) -> list[str]:
    """The different values of a column as text, in order; of numbers `most` or a few more at most."""
    if column.dtype == object:
        return sorted(set(column.tolist()))
    found = np.empty(0)
    for first in range(0, len(column), _PIECE):
        found = np.unique(np.concatenate([found, np.unique(column[first : first + _PIECE])]))
        if most is not None and len(found) >= most:
            break
    return list(number_text(found[:most]))


def present(column: Column) -> NDArray[np.bool_]:
    """Which rows have a value."""
    if column.dtype == object:
        return np.array([cell is not None for cell in column.tolist()], dtype=bool)
    return ~np.isnan(column)


def present_rows(column: Column) -> NDArray[np.int64]:
    """Rows that have a value."""
    return np.flatnonzero(present(column))
