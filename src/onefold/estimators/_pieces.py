"""Sparse rows for an executor: made dense piece by piece, with the bits of dense ones.

"Sparse" is a CSR matrix, or anything that has its `shape`, `dtype`, rows by index and `toarray`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold import _native
from onefold.estimators._shared import dense_pieces, piece_rows

Array = NDArray[Any]

_DONE, _STOPPED, _NOT_FINITE = 0, 1, 2  # outcomes of the native call


class PiecewiseExecutor:
    """An executor that takes sparse rows; everything else is that of the executor behind it.

    Batches that fit in a piece together are made dense together and run in one native call; the rows
    of a larger batch are added piece by piece.

    Parameters
    ----------
    executor : _native.Executor
    piece_bytes : int
        Bytes of the rows that are dense at a time.
    """

    def __init__(self, executor: _native.Executor, piece_bytes: int) -> None:
        self._executor = executor
        self.piece_bytes = piece_bytes
        self._stopped = False
        # The dense batches of the last call: their rows and order, first batch and last + 1, arrays.
        self._kept: tuple[Any, Any, int, int, tuple[Array, Array, Array | None]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._executor, name)

    def stop(self) -> None:
        """End the run that is under way, from any thread."""
        self._stopped = True
        self._executor.stop()

    def train(
        self,
        x: Any,
        y: Array,
        w: Array | None,
        order: Array | None,
        *,
        batch_size: int,
        first_batch: int,
        scalars: Array,
        **run: Any,
    ) -> tuple[int, int, float, float, float, float]:
        """As of the executor; it may make fewer updates than `scalars` has rows, but makes one."""
        step = piece_rows(x.shape[1], x.dtype.itemsize, self.piece_bytes)
        if step < min(batch_size, x.shape[0]):
            rows = slice(first_batch * batch_size, (first_batch + 1) * batch_size)
            return self._accumulate(x, y, w, order, rows, step, scalars[:1], **run)
        first, end, dense = self._batches(
            (x, y, w), order, batch_size, first_batch, step // batch_size
        )
        return self._executor.train(
            *dense, None, batch_size=batch_size, first_batch=first_batch - first,
            scalars=scalars[: end - first_batch], **run,
        )  # fmt: skip

    def _batches(
        self, rows: tuple[Any, Array, Array | None], order: Array | None, size: int, first: int, count: int
    ) -> tuple[int, int, tuple[Array, Array, Array | None]]:  # fmt: skip
        """Batches that are dense, `first` among them: the first, the last + 1, and their arrays."""
        if self._kept is not None:
            x, known, begin, end, dense = self._kept
            if x is rows[0] and known is order and begin <= first < end:
                return begin, end, dense
        self._kept = None  # before the next are made
        end = first + max(1, count)
        dense = _taken(*rows, order, slice(first * size, end * size))
        self._kept = (rows[0], order, first, end, dense)
        return first, end, dense

    def _accumulate(
        self,
        x: Any,
        y: Array,
        w: Array | None,
        order: Array | None,
        rows: slice,
        step: int,
        scalars: Array,
        *,
        first_update: int,
        loss: float,
        weight: float,
        seconds: float,
        record: Array | None = None,
    ) -> tuple[int, int, float, float, float, float]:
        """One update whose rows do not fit in a piece; none where it is stopped in between."""
        executor = self._executor
        if record is not None and record.shape[1] > 2:
            record[0, 2] = executor.weight_squares()
        executor.begin(first_update)
        self._stopped = False
        for first in range(rows.start, min(rows.stop, x.shape[0]), step):
            if self._stopped:
                return _STOPPED, 0, loss, weight, 0.0, 0.0
            executor.add(*_taken(x, y, w, order, slice(first, min(first + step, rows.stop))))
        last, last_weight = executor.accumulated()
        if record is not None:
            record[0, :2] = last, last_weight
        if not executor.finish(scalars):
            return _NOT_FINITE, 0, loss, weight, last, last_weight
        return _DONE, 1, loss + last, weight + last_weight, last, last_weight

    def evaluate(self, x: Any, y: Array, w: Array | None) -> tuple[float, float]:
        """Sum of weight times loss, and sum of weights, over all rows."""
        self._executor.begin(0)
        for first, end, rows in dense_pieces(x, self.piece_bytes):
            self._executor.add(rows, y[first:end], None if w is None else w[first:end])
        return self._executor.accumulated()


def _taken(
    x: Any, y: Array, w: Array | None, order: Array | None, rows: slice
) -> tuple[Array, Array, Array | None]:
    """Some rows of the order, dense."""
    taken: Any = rows if order is None else order[rows].astype(np.intp)
    return x[taken].toarray(), y[taken], None if w is None else w[taken]
