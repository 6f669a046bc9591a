"""Operations that run as one: relu is applied to a product before it is stored, with the same bits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from onefold.program.operations import OPERATIONS
from onefold.program.program import Program
from onefold.program.values import Operand, Operation

#: The activation that follows a product, and the kernel of both.
FUSED = {
    ("linear_forward", "relu_forward"): "linear_forward_relu",
    ("linear_backward", "relu_backward"): "linear_backward_relu",
}


def fused(program: Program) -> Program:
    """The program with one operation for a product and the relu that alone reads it."""
    readers: Counter[Operand] = Counter()
    for operation in program.operations:
        readers.update(operation.values(OPERATIONS[operation.type].outputs))
    stages = (replace(s, operations=tuple(_pairs(s.operations, readers))) for s in program.stages)
    return replace(program, stages=tuple(stages))


def _pairs(operations: Iterable[Operation], readers: Counter[Operand]) -> list[Operation]:
    found: list[Operation] = []
    for operation in operations:
        before = found[-1] if found else None
        kernel = before and FUSED.get((before.kernel, operation.kernel))
        if before and kernel and operation.operands[1] is before.operands[0]:
            y, z, *gate = operation.operands
            if readers[z] == 1:
                found[-1] = Operation(before.type, kernel, (y, *before.operands[1:], *gate))
                continue
        found.append(operation)
    return found
