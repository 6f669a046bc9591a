"""The only importer of the compiled extension."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from onefold import _core
from onefold._core import (
    Executor,
    Program,
    Store,
    all_codes,
    all_within,
    forget,
    read_by_position,
    row_file,
    window_bytes,
)

__all__ = [
    "MAX_THREADS",
    "PANEL",
    "UPDATE_ROWS",
    "Executor",
    "Program",
    "Store",
    "all_codes",
    "all_within",
    "elementwise",
    "forget",
    "level",
    "levels",
    "matmul",
    "permutation",
    "random_words",
    "read_by_position",
    "row_file",
    "window_bytes",
]

PANEL: int = _core.PANEL  #: columns of a panel, in which weights are stored
UPDATE_ROWS: int = _core.UPDATE_ROWS  #: panel rows of a block of the update and of the norm
MAX_THREADS: int = _core.MAX_THREADS


def levels() -> list[str]:
    """Names of the instruction sets that this build has and this processor can run, fastest first."""
    return list(_core.levels())


def level() -> str:
    """Name of the instruction set in use: the fastest, or the one that `ONEFOLD_ISA` names."""
    return str(_core.level())


def elementwise(
    name: str, *inputs: NDArray[np.float64] | Sequence[float] | float
) -> NDArray[np.float64]:
    """`exp`, `log`, `cos`, `pow` and the like in float64, with the same bits on every machine."""
    arrays = [np.ascontiguousarray(a, dtype=np.float64) for a in np.broadcast_arrays(*inputs)]
    out = np.empty(arrays[0].shape, dtype=np.float64)
    operands = [(a.reshape(1, -1), a.size, a.size) for a in (out, *arrays)]
    _core.run_kernel(f"{name}_array", "float64", level(), operands, rows=1)
    return out


def random_words(
    shape: tuple[int, int], seed: int, purpose: int, layer: int, update: int
) -> NDArray[np.uint32]:
    """Random words of rows and columns (Philox 4x32-10), shape `shape`."""
    out = np.empty(shape, dtype=np.uint32)
    operand = [(out, shape[1], shape[1])]
    numbers = [float(purpose), float(layer)]
    _core.run_kernel(
        "random_words", "float32", level(), operand, shape[0], 0, numbers, seed, update
    )
    return out


def permutation(rows: int, seed: int, epoch: int) -> NDArray[np.uint32]:
    """The order of `rows` rows in an epoch, shape (rows,)."""
    out = np.empty((1, rows), dtype=np.uint32)
    _core.run_kernel(
        "permutation", "float32", level(), [(out, rows, rows)], 1, 0, [2.0], seed, epoch
    )
    return out.reshape(rows)


def matmul(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """A b in float64, each element one chain over the inner dimension."""
    rows, inner = a.shape
    columns = b.shape[1]
    panels = -(-columns // PANEL)
    packed = np.zeros((panels, inner, PANEL))
    padded = np.zeros((inner, panels * PANEL))
    padded[:, :columns] = b
    packed[:] = padded.reshape(inner, panels, PANEL).transpose(1, 0, 2)
    out = np.empty((rows, panels * PANEL))
    left = np.ascontiguousarray(a)
    operands = [
        (out, panels * PANEL, columns),
        (left, inner, inner),
        (packed, inner, columns),
        (None, 0, 0),
    ]
    _core.run_kernel("linear_forward", "float64", level(), operands, rows)
    return np.ascontiguousarray(out[:, :columns])
