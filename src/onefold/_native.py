"""The only importer of the compiled extension."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from onefold import _core

__all__ = ["elementwise", "level", "levels"]


def levels() -> list[str]:
    """Names of the instruction sets that this build has and this processor can run, fastest first."""
    return list(_core.levels())


def level() -> str:
    """Name of the instruction set in use: the fastest, or the one that `ONEFOLD_ISA` names."""
    return str(_core.level())


def elementwise(name: str, *inputs: NDArray[np.float64] | Sequence[float] | float) -> NDArray[np.float64]:
    """`exp`, `log`, `cos`, `pow` and the like in float64, with the same bits on every machine."""
    arrays = [np.ascontiguousarray(a, dtype=np.float64) for a in np.broadcast_arrays(*inputs)]
    out = np.empty(arrays[0].shape, dtype=np.float64)
    operands = [(a.reshape(1, -1), a.size, a.size) for a in (out, *arrays)]
    _core.run_kernel(f"{name}_array", "float64", level(), operands, rows=1)
    return out
