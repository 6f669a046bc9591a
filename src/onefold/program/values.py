"""What operations read and write."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal

#: "real" is the network's own type; per-row losses are float64, class labels int32.
Dtype = Literal["real", "float64", "int32"]


@dataclass(frozen=True, eq=False)
class Value:
    """`width` numbers of every row; a row buffer once the program is planned."""

    width: int
    dtype: Dtype = "real"
    aligned: bool = True  # rows padded to whole vectors, as products need them

    @property
    def row_elements(self) -> int:
        """Elements of a row that lies in one piece, with its padding."""
        return -(-self.width // 16) * 16 if self.aligned else self.width

    def element_bytes(self, item_bytes: int) -> int:
        """Bytes of an element when the network's own type has `item_bytes`."""
        return {"real": item_bytes, "float64": 8, "int32": 4}[self.dtype]


class Place(enum.IntEnum):
    """What an operand refers to; the numbers are those of the native core."""

    NONE = 0
    BUFFER = 1
    PARAMETER = 2
    GRADIENT = 3
    TRANSPOSED = 4
    EXTERNAL = 5


class External(enum.IntEnum):
    """Arrays of the user; the numbers are those of the native core."""

    INPUTS = 0
    TARGETS = 1
    WEIGHTS = 2
    OUTPUT = 3


@dataclass(frozen=True)
class Reference:
    """A parameter, its gradient, its transposed copy, or an array of the user."""

    place: Place
    index: int


Operand = Value | Reference | None


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation: its type's name, operands (outputs first) and attributes.

    `kernel` differs from `type` where one type has many kernels (activations, losses).
    """

    type: str
    kernel: str
    operands: tuple[Operand, ...]
    numbers: tuple[float, ...] = ()

    def values(self, first: int = 0, last: int | None = None) -> list[Value]:
        """The row values among the operands from `first` to `last`."""
        return [o for o in self.operands[first:last] if isinstance(o, Value)]
