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
        Floating-point operations for each row and each element of the output.
    """

    phase: Phase
    outputs: int = 1
    in_place: int | None = None
    gradient: GradientRule | None = None
    cost: float = 1.0


def _linear_gradient(builder: Builder, operation: Operation, dz: Value) -> Value:
    _, x, weight, bias = operation.operands
    assert isinstance(x, Value)
    assert isinstance(weight, Reference)
    builder.emit("weight_gradient", (weight_slot(weight), x, dz))
    if isinstance(bias, Reference):
        builder.emit("bias_gradient", (weight_slot(bias), dz))
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
    builder.emit("bias_gradient", (weight_slot(slope), dslope_rows))
    return dx


def _dropout_gradient(builder: Builder, operation: Operation, dy: Value) -> Value:
    dx = Value(dy.width)
    builder.emit("dropout_backward", (dx, dy), operation.numbers)
    return dx


OPERATIONS: dict[str, OperationType] = {
    "gather": OperationType(Phase.ROWS),
    "gather_labels": OperationType(Phase.ROWS),
    "scatter": OperationType(Phase.ROWS, outputs=0),
    "add": OperationType(Phase.ROWS, in_place=1),
    "linear_forward": OperationType(Phase.ROWS, gradient=_linear_gradient),
    "linear_backward": OperationType(Phase.ROWS),
    "weight_gradient": OperationType(Phase.COLUMNS, outputs=0),
    "bias_gradient": OperationType(Phase.COLUMNS, outputs=0),
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
    """Floating-point operations of one row."""
    for operand in operation.operands:
        if isinstance(operand, Reference) and operand.place != Place.EXTERNAL:
            rows, columns = shapes[operand.index]
            return 2.0 * rows * columns
    return OPERATIONS[operation.type].cost * max(v.width for v in operation.values())
