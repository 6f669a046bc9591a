"""The column to predict: what kind it is, and its values as a network's targets and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold._errors import OptionError, TableError, unknown
from onefold.data.encoder import is_numeric, moments
from onefold.data.source import MISSING

TASKS = ("regression", "binary", "classes")
#: Whole numbers with no more than so many values are taken as classes.
_MAX_WHOLE_CLASSES = 20


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
    def find(cls, name: str, cells: Sequence[str], task: str | None = None) -> Target:
        """Find out what kind of target a column is; cells are not missing.

        Raises
        ------
        TableError
            A single class, a constant, or values that do not fit the task.
        """
        if task is not None and task not in TASKS:
            raise unknown("task", task, TASKS)
        distinct = sorted(set(cells))
        numeric = is_numeric(cells)
        if len(distinct) < 2:
            raise TableError(
                f"target {name!r} has a single value ({distinct[0] if distinct else 'none'}); "
                "there is nothing to learn"
            )
        if task is None:
            task = _guess(cells, distinct, numeric)
        if task == "regression":
            if not numeric:
                raise TableError(f"target {name!r} is text, so it cannot be a regression")
            values = [float(cell) for cell in cells]
            if not np.isfinite(values).all():
                raise TableError(f"target {name!r} holds an infinite value")
            mean, scale = moments(values)
            return cls(name, task, (), mean, scale)
        if task == "binary" and len(distinct) != 2:
            raise TableError(f"target {name!r} has {len(distinct)} values; 'binary' means two")
        if len(distinct) > len(cells) // 2 and len(distinct) > _MAX_WHOLE_CLASSES:
            raise OptionError(
                f"target {name!r} has {len(distinct)} classes in {len(cells)} rows; "
                "is it the right column?"
            )
        ordered = sorted(distinct, key=float) if numeric else distinct
        return cls(name, task, tuple(ordered))

    def encode(self, cells: Sequence[str]) -> NDArray[Any]:
        """Targets: class numbers, 0 and 1, or standardised values, shape (rows,)."""
        if self.task == "regression":
            try:
                values = np.array([float(cell) for cell in cells])
            except ValueError as error:
                raise TableError(f"target {self.name!r}: {error}") from error
            return ((values - self.mean) / self.scale).astype(np.float32)
        places = {value: place for place, value in enumerate(self.classes)}
        for row, cell in enumerate(cells):
            if cell not in places:
                raise TableError(
                    f"target {self.name!r} holds {cell!r} in row {row + 1}, which training never saw "
                    f"(classes: {', '.join(self.classes[:10])})"
                )
        return np.array([places[cell] for cell in cells], dtype=np.int64)

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
        """The target that `to_config` described."""
        return cls(**{**config, "classes": tuple(config["classes"])})


def _guess(cells: Sequence[str], distinct: Sequence[str], numeric: bool) -> str:
    if len(distinct) == 2:
        return "binary"
    whole = numeric and all(float(value).is_integer() for value in distinct)
    few = len(distinct) <= _MAX_WHOLE_CLASSES and len(distinct) * 5 <= len(cells)
    return "classes" if not numeric or (whole and few) else "regression"


def present_rows(cells: Sequence[str]) -> list[int]:
    """Rows whose target is there."""
    return [row for row, cell in enumerate(cells) if cell.lower() not in MISSING]
