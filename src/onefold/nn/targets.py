"""Targets: what a loss compares the output with, checked and in the form that the kernels read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold._errors import DataError, DtypeError, ShapeError

Array = NDArray[Any]


@dataclass(frozen=True)
class Targets:
    """Checked targets: (rows, outputs) numbers, or int32 labels of shape (rows,)."""

    array: Array
    labels: bool = False


def checked_numbers(y: Array, outputs: int, dtype: np.dtype[Any]) -> Array:
    """Finite numbers of shape (rows, outputs), in float32 or float64; of other types, in `dtype`.

    Raises
    ------
    ShapeError, DtypeError, DataError
        Another number of columns, not numbers, NaN or infinity.
    """
    if y.dtype.kind not in "fiub":
        raise DtypeError(f"y has dtype {y.dtype}; pass numbers (encode classes as 0, 1, 2, ...)")
    if y.ndim == 1 and outputs == 1:
        y = y.reshape(-1, 1)
    if y.ndim != 2 or y.shape[1] != outputs:
        raise ShapeError(
            f"y has shape {y.shape}, the network has {outputs} output{'s' if outputs > 1 else ''}; "
            f"pass y of shape (rows, {outputs})" + (" or (rows,)" if outputs == 1 else "")
        )
    if y.dtype not in (np.float32, np.float64):
        y = y.astype(dtype)
    y = np.ascontiguousarray(y)
    if not np.isfinite(y).all():
        row, column = np.argwhere(~np.isfinite(y))[0]
        raise DataError(
            f"y holds {y[row, column]} in row {row}, column {column}; leave such rows out"
        )
    return y


def checked_labels(y: Array, outputs: int) -> Array:
    """Class labels from 0 up to, not including, `outputs`: int32 of shape (rows,).

    Raises
    ------
    DtypeError, DataError
        Not integers, or not in this range.
    """
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.kind not in "iub":
        raise DtypeError(
            f"class labels are integers, y has dtype {y.dtype}; "
            f"pass y.astype(int), or one column a class: shape (rows, {outputs})"
        )
    if len(y) and not (int(y.min()) >= 0 and int(y.max()) < outputs):
        row = int(np.argmax((y < 0) | (y >= outputs)))
        raise DataError(
            f"labels must be 0..{outputs - 1} for {outputs} outputs, found {y[row]} in row {row}"
        )
    return np.ascontiguousarray(y, dtype=np.int32)


def within(y: Array, low: float, high: float, what: str) -> Array:
    """The numbers, none of them below `low` or above `high`; `what` says so in the error."""
    outside = (y < low) | (y > high)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise DataError(f"{what}, found {y[row, column]} in row {row}")
    return y
