"""Every type of operation: when it runs, what it writes, what it costs, and its gradient.

The gradient rule of a type emits the backward operations; so a layer only declares what it does
forward. This table is the one list of types: the executor, the float64 reference and the tests
take theirs from it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onefold.program.values import Operation, Place, Reference, Value

if TYPE_CHECKING:
    from onefold.program.builder import Builder


class Phase(enum.IntEnum):
    """The kind of stage an operation belongs to; the numbers are those of the native core."""

    ROWS = 0
    HOST = 1
    COLUMNS = 2


#: Given the operation, the gradient of its output and the builder: the gradient of its input.
GradientRule = Callable[["Builder", Operation, Value], Value]


@dataclass(frozen=True)
class OperationType:
    """How operations of one type behave.

    Attributes
    ----------
    phase
        Rows, columns or host.
    outputs
        How many of the leading operands are written.
    in_place
        The operand whose buffer the first output may take over, if any.
    gradient
        Rule that emits the backward operations, for types that stand in a forward pass.
    cost
        Floating-point operations for each row and each element of the output, or what takes their time.
    least_side
        A product with a parameter of fewer rows or columns takes about the time of one with so many.
    looks_up
        Whether a row takes one row of a parameter, not all of it.
    """

    phase: Phase
    outputs: int = 1
    in_place: int | None = None
    gradient: GradientRule | None = None
    cost: float = 1.0
    least_side: int = 1
    looks_up: bool = False


def _linear_gradient(builder: Builder, operation: Operation, dz: Value) -> Value:
    _, x, weight, bias = operation.operands
    assert isinstance(x, Value)
    assert isinstance(weight, Reference)
    sums = weight_slot(bias) if isinstance(bias, Reference) else None
    builder.emit("weight_gradient", (weight_slot(weight), x, dz, sums))
    dx = Value(x.width)
    if builder.needs_gradient(x):
        transposed = Reference(Place.TRANSPOSED, weight.index)
        builder.emit("linear_backward", (dx, dz, transposed, None))
    return dx


def weight_slot(parameter: Reference) -> Reference:
    """Where the gradient of a parameter is summed."""
    return Reference(Place.GRADIENT, parameter.index)


def _activation_gradient(builder: Builder, operation: Operation, dy: Value) -> Value:
    y, x = operation.operands[:2]
    name = operation.kernel.removesuffix("_forward")
    saved = y if builder.saved_operand(name) == "output" else x
    dx = Value(dy.width)
    builder.emit("activation_backward", (dx, dy, saved), operation.numbers, f"{name}_backward")
    return dx


def _prelu_gradient(builder: Builder, operation: Operation, dy: Value) -> Value:
    _, x, slope = operation.operands
    assert isinstance(slope, Reference)
    dx, dslope_rows = Value(dy.width), Value(dy.width)
    builder.emit("prelu_backward", (dx, dslope_rows, dy, x, slope))
    builder.emit("column_sums", (weight_slot(slope), dslope_rows))
    return dx


def _dropout_gradient(builder: Builder, operation: Operation, dy: Value) -> Value:
    dx = Value(dy.width)
    builder.emit("dropout_backward", (dx, dy), operation.numbers)
    return dx


def _embedding_gradient(builder: Builder, operation: Operation, dy: Value) -> Value:
    _, codes, x, first = operation.operands
    assert isinstance(x, Value)
    assert isinstance(first, Reference)
    runs, tables = embedding_parts(operation)
    for place, (_, to, _, _) in enumerate(tables):
        table = Reference(Place.GRADIENT, first.index + place)
        builder.emit("embedding_gradient", (table, codes, dy), (float(place), float(to)))
    dx = Value(x.width)
    if builder.needs_gradient(x):
        numbers = (float(len(runs)), *(float(n) for run in runs for n in run))
        builder.emit("embedding_backward", (dx, dy), numbers)
    return dx


def embedding_parts(
    operation: Operation,
) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int, int]]]:
    """The columns that an embedding passes on, and its tables.

    Returns
    -------
    runs : list of (first column of x, first column of y, columns)
    tables : list of (column of x, first column of y, categories, size)
    """
    numbers = [int(n) for n in operation.numbers]
    begin = 1 + 3 * numbers[0]
    runs = [(a, b, c) for a, b, c in zip(*[iter(numbers[1:begin])] * 3, strict=True)]
    rest = zip(*[iter(numbers[begin + 1 :])] * 4, strict=True)  # none of a backward operation
    return runs, [(a, b, c, d) for a, b, c, d in rest]


OPERATIONS: dict[str, OperationType] = {
    "gather": OperationType(Phase.ROWS, cost=30),  # from memory, often
    "gather_labels": OperationType(Phase.ROWS),
    "scatter": OperationType(Phase.ROWS, outputs=0),
    "add": OperationType(Phase.ROWS, in_place=1),
    "linear_forward": OperationType(Phase.ROWS, gradient=_linear_gradient, least_side=4),
    "linear_backward": OperationType(Phase.ROWS, least_side=4),
    "weight_gradient": OperationType(Phase.COLUMNS, outputs=0, least_side=4),
    "column_sums": OperationType(Phase.COLUMNS, outputs=0),
    "embedding_forward": OperationType(
        Phase.ROWS, outputs=2, gradient=_embedding_gradient, looks_up=True
    ),
    "embedding_backward": OperationType(Phase.ROWS),
    "embedding_gradient": OperationType(Phase.COLUMNS, outputs=0, looks_up=True),
    "activation_forward": OperationType(
        Phase.ROWS, in_place=1, gradient=_activation_gradient, cost=10
    ),
    "activation_backward": OperationType(Phase.ROWS, in_place=1, cost=10),
    "prelu_forward": OperationType(Phase.ROWS, in_place=1, gradient=_prelu_gradient),
    "prelu_backward": OperationType(Phase.ROWS, outputs=2, in_place=2),
    "dropout_forward": OperationType(Phase.ROWS, in_place=1, gradient=_dropout_gradient, cost=5),
    "dropout_backward": OperationType(Phase.ROWS, in_place=1, cost=5),
    "loss": OperationType(Phase.ROWS, outputs=2, cost=20),
    "host_loss": OperationType(Phase.HOST, outputs=2),
}


def cost(operation: Operation, shapes: list[tuple[int, int]]) -> float:
    """Floating-point operations of one row, or as many as take the time of what it is instead."""
    kind = OPERATIONS[operation.type]
    for operand in operation.operands:
        if isinstance(operand, Reference) and operand.place != Place.EXTERNAL:
            rows, columns = (max(side, kind.least_side) for side in shapes[operand.index])
            return 2.0 * columns * (1 if kind.looks_up else rows)
    return kind.cost * max(v.width for v in operation.values())
