"""A program: stages of operations, in the order in which they run on every micro-batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onefold.program.operations import OPERATIONS, Phase, cost
from onefold.program.values import Operation, Place, Reference, Value


@dataclass(frozen=True)
class Stage:
    """Operations that run together: on tiles of rows, on blocks of parameters, or on the host."""

    phase: Phase
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Program:
    """What an executor or the reference runs.

    Attributes
    ----------
    dtype : str
        "float32" or "float64".
    stages : tuple of Stage
    shapes : tuple of (int, int)
        Shapes of the network's parameters.
    loss : Value or None
        Per-row losses, summed over the batch.
    """

    dtype: str
    stages: tuple[Stage, ...]
    shapes: tuple[tuple[int, int], ...]
    loss: Value | None = None

    @property
    def item_bytes(self) -> int:
        """Bytes of one number of the network's own type."""
        return 8 if self.dtype == "float64" else 4

    @property
    def operations(self) -> list[Operation]:
        """All operations, stage after stage."""
        return [operation for stage in self.stages for operation in stage.operations]

    @property
    def cost(self) -> float:
        """Floating-point operations of one row, all operations together."""
        return sum(cost(operation, list(self.shapes)) for operation in self.operations)

    def transposed(self) -> list[bool]:
        """For each parameter, whether a backward product reads a transposed copy of it."""
        read = {
            operand.index
            for operation in self.operations
            for operand in operation.operands
            if isinstance(operand, Reference) and operand.place == Place.TRANSPOSED
        }
        return [index in read for index in range(len(self.shapes))]


def make_stages(operations: Iterable[Operation]) -> list[Stage]:
    """Group operations into as few stages as their order allows.

    An operation goes into the first stage of its phase at which everything that it reads has been
    written: by an earlier stage, or by an earlier operation of the same stage of rows. The sums that
    only the update reads, the gradients, are one last stage: with it the update is fused, after
    which no operation may read a weight.
    """
    phases: list[Phase] = []
    groups: list[list[Operation]] = []
    written: dict[Value, int] = {}
    gradients: list[Operation] = []
    for operation in operations:
        kind = OPERATIONS[operation.type]
        if kind.phase == Phase.COLUMNS and kind.outputs == 0:
            gradients.append(operation)
            continue
        earliest = 0
        for value in operation.values(kind.outputs):
            stage = written[value]
            same = kind.phase == Phase.ROWS and phases[stage] == Phase.ROWS
            earliest = max(earliest, stage if same else stage + 1)
        place = next(
            (i for i in range(earliest, len(phases)) if phases[i] == kind.phase), len(phases)
        )
        if place == len(phases):
            phases.append(kind.phase)
            groups.append([])
        groups[place].append(operation)
        written.update((value, place) for value in operation.values(0, kind.outputs))
    stages = [Stage(phase, tuple(group)) for phase, group in zip(phases, groups, strict=True)]
    return [*stages, Stage(Phase.COLUMNS, tuple(gradients))] if gradients else stages
