"""Where every value lives, and the exact bytes that a program takes for a micro-batch.

A value that a later stage reads is kept for the whole micro-batch; any other only for one tile of
rows in each thread, where it stays in cache. Values whose lifetimes do not overlap share memory,
and an operation that may work in place does so when nobody reads its input afterwards.

Values wider than a panel lie in panels of 32 columns, each with all its rows one after another, so
that a gradient, which walks along the rows, reads memory in order. Only what a host operation sees
lies in whole rows, as an array of NumPy does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onefold import _native
from onefold.program.operations import OPERATIONS, Phase, cost
from onefold.program.program import Program
from onefold.program.values import Operand, Place, Value

_PANEL = _native.PANEL
_ALIGNMENT = 64  # bytes: a cache line, and the widest vector


@dataclass
class _Buffer:
    """Values that share one piece of memory, from the first operation's index to the last's.

    Tiles of a stage run side by side, so what is kept for the whole micro-batch is counted in
    stages instead.
    """

    panels: int  # 1: rows in one piece
    stride: int
    element_bytes: int
    first: int
    last: int
    whole: bool
    offset: int = 0

    def panel(self, rows: int) -> int:
        """Elements from a panel to the next; without panels, as of rows in one piece."""
        return _PANEL if self.panels == 1 else _spread(rows) * self.stride

    def bytes(self, rows: int) -> int:
        room = rows if self.panels == 1 else self.panels * _spread(rows)
        size = room * self.stride * self.element_bytes
        return -(-size // _ALIGNMENT) * _ALIGNMENT


def _spread(rows: int) -> int:
    """Rows of a panel in memory for `rows` of them.

    Panels a power of two apart would put a tile of rows into a few sets of the cache: from 256 rows
    on, they are an odd multiple of 16 rows apart.
    """
    return rows if rows < 256 else (-(-rows // 16) | 1) * 16


@dataclass(frozen=True)
class Layout:
    """Buffers of a program's values, planned for a number of rows.

    Attributes
    ----------
    micro_batch, row_tile, threads : int
        Rows of a micro-batch, rows of a tile, threads.
    micro_batch_bytes : int
        Bytes of the values of a whole micro-batch.
    tile_bytes : int
        Bytes of the values of one tile, for each thread.
    """

    program: Program
    micro_batch: int
    row_tile: int
    threads: int
    micro_batch_bytes: int
    tile_bytes: int
    _buffers: dict[Value, _Buffer]

    def compile(self) -> _native.Program:
        """The program as the native core takes it."""
        places = {value: index for index, value in enumerate(self._buffers)}
        item = self.program.item_bytes

        def reference(operand: Operand) -> tuple[int, int]:
            if operand is None:
                return int(Place.NONE), 0
            if isinstance(operand, Value):
                return int(Place.BUFFER), places[operand]
            return int(operand.place), int(operand.index)

        shapes = list(self.program.shapes)
        stages = [
            (
                int(stage.phase),
                [
                    (
                        op.kernel,
                        [reference(o) for o in op.operands],
                        list(op.numbers),
                        cost(op, shapes),
                    )
                    for op in stage.operations
                ],
            )
            for stage in self.program.stages
        ]
        buffers = [
            (
                buffer.whole,
                value.width,
                buffer.stride,
                buffer.panel(self.micro_batch if buffer.whole else self.row_tile),
                value.element_bytes(item),
                buffer.offset,
            )
            for value, buffer in self._buffers.items()
        ]
        loss = self.program.loss
        return _native.Program(
            is_double=self.program.dtype == "float64",
            buffers=buffers,
            stages=stages,
            transposed=self.program.transposed(),
            loss_buffer=-1 if loss is None else places[loss],
            micro_batch=self.micro_batch,
            row_tile=self.row_tile,
            threads=self.threads,
            micro_batch_bytes=self.micro_batch_bytes,
            tile_bytes=self.tile_bytes,
        )


def lay_out(program: Program, micro_batch: int, row_tile: int, threads: int) -> Layout:
    """Give every value of a program a place in memory.

    Parameters
    ----------
    program : Program
    micro_batch : int
        Rows that run together; values that cross stages are kept for all of them.
    row_tile : int
        Rows of a tile at most; the other values are kept for one tile in each thread.
    threads : int
    """
    row_tile = min(row_tile, micro_batch)
    buffers = _share(program)
    distinct = list({id(b): b for b in buffers.values()}.values())
    whole = _place((b for b in distinct if b.whole), micro_batch)
    tile = _place((b for b in distinct if not b.whole), row_tile)
    return Layout(program, micro_batch, row_tile, threads, whole, tile, buffers)


def micro_batch_bytes(program: Program, micro_batch: int) -> int:
    """Bytes of the values that a whole micro-batch keeps."""
    distinct = {id(b): b for b in _share(program).values() if b.whole}
    return _place(distinct.values(), micro_batch)


def _share(program: Program) -> dict[Value, _Buffer]:
    """A buffer for every value; operations in place put two values into one."""
    item = program.item_bytes
    first: dict[Value, int] = {}
    last: dict[Value, int] = {}
    stages: dict[Value, set[int]] = {}
    seen_by_host: set[Value] = set()
    index = 0
    stage_of: list[int] = []
    for number, stage in enumerate(program.stages):
        for operation in stage.operations:
            stage_of.append(number)
            for value in operation.values():
                first.setdefault(value, index)
                last[value] = index
                # A host operation and the sum of the losses see the whole micro-batch.
                marks = stages.setdefault(value, set())
                marks.add(number)
                if stage.phase == Phase.HOST:
                    seen_by_host.add(value)
                if stage.phase == Phase.HOST or value is program.loss:
                    marks.add(-1)
            index += 1
    if program.loss is not None:  # summed after the last stage
        last[program.loss] = index - 1

    buffers: dict[Value, _Buffer] = {}
    for position, operation in enumerate(program.operations):
        kind = OPERATIONS[operation.type]
        for place, operand in enumerate(operation.operands):
            if not isinstance(operand, Value) or operand in buffers:
                continue
            whole = len(stages[operand]) > 1
            panels, stride = 1, operand.row_elements
            if operand.aligned and stride > _PANEL and operand not in seen_by_host:
                panels, stride = -(-operand.width // _PANEL), _PANEL
            size = operand.element_bytes(item)
            source = operation.operands[kind.in_place] if kind.in_place is not None else None
            if (
                place == 0
                and isinstance(source, Value)
                and last[source] == position
                and (buffers[source].panels, buffers[source].stride) == (panels, stride)
                and source is not program.loss
            ):
                shared = buffers[source]
                shared.last = max(shared.last, last[operand])
                shared.whole = shared.whole or whole
                buffers[operand] = shared
            else:
                buffers[operand] = _Buffer(
                    panels, stride, size, first[operand], last[operand], whole
                )
    for buffer in {id(b): b for b in buffers.values()}.values():
        if buffer.whole:
            buffer.first, buffer.last = stage_of[buffer.first], stage_of[buffer.last]
    return buffers


def _place(buffers: Iterable[_Buffer], rows: int) -> int:
    """Offsets for buffers of `rows` rows, lowest fitting first; returns the bytes of them all."""
    placed: list[_Buffer] = []
    total = 0
    for buffer in sorted(buffers, key=lambda b: (-b.bytes(rows), b.first)):
        offset = 0
        size = buffer.bytes(rows)
        for other in sorted(placed, key=lambda b: b.offset):
            if other.last < buffer.first or buffer.last < other.first:
                continue
            if offset + size <= other.offset:
                break
            offset = max(offset, other.offset + other.bytes(rows))
        buffer.offset = offset
        placed.append(buffer)
        total = max(total, offset + size)
    return total
