"""Checks of what the user passes, before anything runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold import _native
from onefold._errors import DataError, DtypeError, ShapeError
from onefold.train import residency

_DIRECT = frozenset(
    map(np.dtype, ("float32", "float64", "uint8"))
)  # types that the executor reads as they are
_LARGEST = {np.dtype(t): float(np.finfo(t).max) for t in ("float32", "float64")}
_CHUNK_BYTES = 1 << 22
_NO_CODES: Mapping[int, int] = {}


def inputs(
    X: Any,
    width: int,
    layer: str,
    dtype: np.dtype[Any],
    *,
    what: str = "X",
    codes: Mapping[int, int] = _NO_CODES,
    threads: int = 1,
    look: bool = True,
) -> NDArray[Any]:
    """`X` as an array that the executor can read, copied only where its type or layout needs it.

    `codes` are columns of codes, with the number that these are below; `threads` look at the values,
    unless that is left for later.

    Raises
    ------
    ShapeError
        Not two dimensions, other than `width` columns, or no rows.
    DtypeError
        Not numbers.
    DataError
        NaN or infinity, or a code that is none.
    """
    array = X if isinstance(X, np.ndarray) else np.asarray(X)
    if not (
        array.ndim == 2
        and array.dtype in _DIRECT
        and array.shape[1] == width
        and array.shape[0] > 0
        and array.flags.carray
    ):
        array = _prepared(array, width, layer, dtype, what)
    if look:
        check_values(array, dtype, what, codes, threads)
    return array


def _prepared(
    array: NDArray[Any], width: int, layer: str, dtype: np.dtype[Any], what: str
) -> NDArray[Any]:
    if array.ndim != 2:
        raise ShapeError(
            f"{what} has {array.ndim} dimensions (shape {array.shape}); "
            f"pass {what} of shape (rows, {width})"
        )
    if array.shape[1] != width:
        raise ShapeError(
            f"{layer} expects {width} inputs, {what} has {array.shape[1]} columns "
            f"(shape {array.shape}); pass {what} of shape (rows, {width})"
        )
    if array.shape[0] == 0:
        raise ShapeError(f"{what} has no rows (shape {array.shape}); pass at least one row")
    if array.dtype.kind not in "fiub":
        raise DtypeError(
            f"{what} has dtype {array.dtype}; pass numbers (float32 is read without a copy)"
        )
    if array.dtype not in _DIRECT:
        array = array.astype(np.float64 if array.dtype.itemsize > 2 else dtype)
    if (
        array.strides[1] != array.itemsize
        or array.strides[0] < 0
        or array.strides[0] % array.itemsize
    ):
        array = np.ascontiguousarray(array)
    if not array.dtype.isnative or not array.flags.aligned:
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def check_values(
    array: NDArray[Any],
    dtype: np.dtype[Any],
    what: str,
    codes: Mapping[int, int] = _NO_CODES,
    threads: int = 1,
) -> None:
    """Refuse NaN, infinity, numbers that overflow the network's type, and codes that are none.

    Names the first of them.
    """
    if array.dtype.kind != "f" and not codes:
        return
    limit = min(_LARGEST[dtype], _LARGEST.get(array.dtype, math.inf))
    rows = max(1, _CHUNK_BYTES // max(1, array.shape[1] * array.itemsize))
    small = len(array) <= rows and not isinstance(array, np.memmap)
    if (
        small and not codes and _native.all_within(array, limit, threads)
    ):  # one row in half a microsecond
        return
    limits = [float(number) for pair in codes.items() for number in pair]
    if small and _good(array, limit, limits, threads):
        return
    for first in range(0, len(array), rows):
        piece = residency.rows_of(array, first, rows)
        if _good(piece, limit, limits, threads):
            continue
        with np.errstate(invalid="ignore"):
            outside = np.argwhere(~(np.abs(piece) <= limit))
        if len(outside):
            row, column = outside[0]
            raise DataError(
                f"{what} holds {piece[row, column]} in row {first + row}, column {column}; "
                "remove or fill in such values first"
            )
        _check_codes(piece, first, what, codes)


def _good(array: NDArray[Any], limit: float, limits: list[float], threads: int) -> bool:
    """Whether there is nothing to refuse; `limits` as `_native.all_codes` takes them."""
    if array.dtype.kind != "f":  # bytes: always whole and from 0 up
        return all(
            bool((array[:, int(column)] < count).all())
            for column, count in zip(limits[::2], limits[1::2], strict=True)
        )
    return _native.all_within(array, limit, threads) and (
        not limits or _native.all_codes(array, limits)
    )


def _check_codes(piece: NDArray[Any], first: int, what: str, codes: Mapping[int, int]) -> None:
    for column, count in codes.items():
        values = piece[:, column]
        wrong = ~((values >= 0) & (values < count) & (values == np.floor(values)))
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DataError(
                f"{what} holds {values[row]:.9g} in row {first + row}, column {column}, which is embedded "
                f"with {count:,} categories; pass codes that are whole numbers from 0 to {count - 1:,}"
            )


def weights(sample_weight: Any, rows: int, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Sample weights as a column of the network's type, or None.

    Raises
    ------
    ShapeError
        Not one weight for each row.
    DataError
        NaN, infinity, negative, or all zero.
    """
    if sample_weight is None:
        return None
    array = np.asarray(sample_weight)
    if array.dtype.kind not in "fiub":
        raise DtypeError(f"sample_weight has dtype {array.dtype}; pass one number for each row")
    if array.shape not in ((rows,), (rows, 1)):
        raise ShapeError(
            f"sample_weight has shape {array.shape}, X has {rows} rows; pass shape ({rows},)"
        )
    column = np.ascontiguousarray(array.reshape(rows, 1), dtype=dtype)
    check_values(column, dtype, "sample_weight")
    if (column < 0).any():
        row = int(np.argmax(column[:, 0] < 0))
        raise DataError(
            f"sample_weight is negative ({column[row, 0]}) in row {row}; weights are 0 or more"
        )
    if not column.any():
        raise DataError("sample_weight is zero in every row; at least one must be positive")
    return column


def same_rows(y: NDArray[Any], rows: int, what: str = "y") -> None:
    """Refuse targets with another number of rows than the inputs."""
    if len(y) != rows:
        raise ShapeError(f"{what} has {len(y)} rows, X has {rows}; pass one target for each row")
