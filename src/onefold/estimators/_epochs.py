"""Stochastic training of the multi-layer perceptron: scikit-learn's epochs, each in one native call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from onefold.estimators._shared import piece_rows
from onefold.estimators._solvers import Solver
from onefold.optim import ReduceOnPlateau
from onefold.train.callbacks import Callback, watches_batches
from onefold.train.interrupts import Interrupts
from onefold.train.session import Session, column

Array = NDArray[Any]

_SLICE_SECONDS = 0.1  # between looks at the keyboard
_NOT_FINITE = 2  # an outcome of the native call


@dataclass
class Rows:
    """What is trained on.

    Attributes
    ----------
    X : array, contiguous, or CSR matrix
    y : array, shape (rows, ...)
    weights : array, shape (rows, 1), or None
    constants : array, shape (rows,), or None
        What the reported loss of each row has besides the network's.
    """

    X: Any
    y: Array
    weights: Array | None
    constants: Array | None

    def __len__(self) -> int:
        return int(self.X.shape[0])


class Epochs:
    """Epochs of updates with the penalty of scikit-learn, and the loss of every epoch as it counts it.

    Parameters
    ----------
    session : Session
        With the solver's optimizer.
    solver : Solver
    rows : Rows
    batch_size : int
    alpha : float
        Strength of the penalty, divided by the weight of each batch.
    value : float
        The reported loss over the network's.
    random : RandomState or None
        Draws the order of each epoch; None for the rows as they stand.
    total : int
        Epochs that the run may take, for schedules that ask.
    callbacks : sequence of Callback
    piece_bytes : int
        Bytes of sparse rows that are dense at a time.
    """

    def __init__(
        self,
        session: Session,
        solver: Solver,
        rows: Rows,
        *,
        batch_size: int,
        alpha: float,
        value: float,
        random: np.random.RandomState | None,
        total: int,
        callbacks: Sequence[Callback],
        piece_bytes: int,
    ) -> None:
        self.session = session
        self.solver = solver
        self.rows = rows
        self.batch_size = batch_size
        self.alpha = alpha
        self.value = value
        self.random = random
        self.callbacks = callbacks
        self.slow = any(watches_batches(callback) for callback in callbacks)
        self.piece_bytes = piece_bytes
        self.starts = np.arange(0, len(rows), batch_size)
        self.sizes = np.minimum(batch_size, len(rows) - self.starts).astype(np.float64)
        self.total = total * len(self.starts)
        self.order = np.arange(len(rows), dtype=np.uint32)
        self.record = np.empty((len(self.starts), 3 if alpha else 2))
        self.interrupts = Interrupts(session.executor.stop)
        self.finite = True  # whether every loss was
        self.epoch = 0

    def run(self) -> float | None:
        """One epoch; its loss with the penalty, or None where Ctrl-C came."""
        order = self._next_order()
        weights = self._batch_weights(order)
        scalars = self.session.scalars(len(self.starts), self.total, len(self.starts))
        if self.alpha:
            with np.errstate(divide="ignore"):
                scalars[:, 1] += np.where(weights > 0, self.alpha / weights, 0.0)
        for callback in self.callbacks:
            callback.on_epoch_begin(self.epoch)
        run = self._sparse if scipy.sparse.issparse(self.rows.X) else self._dense
        run(order, scalars)
        if self.interrupts.came:
            return None
        if not self.finite:
            return math.nan
        self.epoch += 1
        return self._loss(order)

    def end(self, loss: float) -> None:
        """Tell a schedule that listens the loss of the epoch."""
        rate = self.solver.learning_rate
        if isinstance(rate, ReduceOnPlateau):
            rate.observe(loss)

    # The order and the numbers of an epoch.

    def _next_order(self) -> Array | None:
        """The rows in the order that `sklearn.utils.shuffle` would give, drawn before it is cut."""
        if self.random is None:
            return None
        places = np.arange(len(self.order), dtype=np.uint32)
        self.random.shuffle(places)
        self.order = self.order[places]
        return self.order

    def _batch_weights(self, order: Array | None) -> Array:
        """Sum of the weights of each batch, as the executor will count it."""
        weights = self.rows.weights
        if weights is None:
            return self.sizes
        taken = weights[:, 0] if order is None else weights[order, 0]
        return np.add.reduceat(taken.astype(np.float64), self.starts)

    def _loss(self, order: Array | None) -> float:
        """Mean over batches, by their rows, of each batch's mean loss and penalty."""
        totals, weights = self.record[:, 0], self.record[:, 1]
        batch = totals * self.value
        if self.rows.constants is not None:
            constants = self.rows.constants
            if self.rows.weights is not None:
                constants = constants * self.rows.weights[:, 0]
            taken = constants if order is None else constants[order]
            batch = batch + np.add.reduceat(taken, self.starts)
        if self.alpha:
            batch = batch + 0.5 * self.alpha * self.record[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            batch = np.where(weights > 0, batch / weights, 0.0)
        return float(np.dot(batch, self.sizes) / len(self.rows))

    # Updates.

    def _dense(self, order: Array | None, scalars: Array) -> None:
        rows = self.rows
        self._train(rows.X, rows.y, rows.weights, order, scalars, self.record)

    def _sparse(self, order: Array | None, scalars: Array) -> None:
        """Batches whose rows fit in a piece together are made dense together; others piece by piece."""
        step = piece_rows(*self._row_size(), self.piece_bytes)
        batches = step // self.batch_size
        if batches == 0:
            for number in range(len(self.starts)):
                self._accumulate(number, order, scalars[number : number + 1], step)
                if self.interrupts.came or not self.finite:
                    return
            return
        for first in range(0, len(self.starts), batches):
            last = min(first + batches, len(self.starts))
            begin, end = first * self.batch_size, min(last * self.batch_size, len(self.rows))
            X, y, w = self._piece(begin, end, order)
            self._train(X, y, w, None, scalars[first:last], self.record[first:last])
            if self.interrupts.came or not self.finite:
                return

    def _row_size(self) -> tuple[int, int]:
        return self.rows.X.shape[1], self.rows.X.dtype.itemsize

    def _piece(
        self, begin: int, end: int, order: Array | None
    ) -> tuple[Array, Array, Array | None]:
        """Rows begin .. end - 1 of the epoch, dense."""
        taken: Any = slice(begin, end) if order is None else order[begin:end].astype(np.intp)
        weights = self.rows.weights
        w = None if weights is None else weights[taken]
        return self.rows.X[taken].toarray(), self.rows.y[taken], w

    def _train(
        self,
        X: Array,
        y: Array,
        w: Array | None,
        order: Array | None,
        scalars: Array,
        record: Array,
    ) -> None:
        """Updates, one for each row of `scalars`, from the rows in order."""
        session, state = self.session, self.session.state
        assert session.optimizer_state is not None
        done = 0
        while done < len(scalars) and not self.interrupts.came:
            outcome, count, _, _, loss, weight = session.executor.train(
                X,
                column(y),
                w,
                order,
                batch_size=self.batch_size,
                first_batch=done,
                first_update=state.updates,
                scalars=scalars[done : done + 1] if self.slow else scalars[done:],
                seconds=_SLICE_SECONDS,
                loss=0.0,
                weight=0.0,
                record=record[done:],
            )
            self._count(count, loss / weight if weight > 0 else 0.0)
            done += count
            if outcome == _NOT_FINITE:
                self.finite = False
                return

    def _accumulate(self, number: int, order: Array | None, scalars: Array, step: int) -> None:
        """One update whose rows do not fit in a piece."""
        executor, state = self.session.executor, self.session.state
        begin = number * self.batch_size
        end = min(begin + self.batch_size, len(self.rows))
        if self.alpha:
            self.record[number, 2] = executor.weight_squares()
        executor.begin(state.updates)
        for first in range(begin, end, step):
            X, y, w = self._piece(first, min(first + step, end), order)
            executor.add(X, column(y), w)
            if self.interrupts.came:
                return
        total, weight = self.record[number, :2] = executor.accumulated()
        if not executor.finish(scalars):
            self.finite = False
            return
        self._count(1, total / weight if weight > 0 else 0.0)

    def _count(self, updates: int, loss: float) -> None:
        assert self.session.optimizer_state is not None
        self.session.state.updates += updates
        self.session.optimizer_state.updates += updates
        for callback in self.callbacks:
            done = (self.session.state.updates - 1) % len(self.starts)
            callback.on_progress(self.epoch, done + 1, len(self.starts), loss)
            if self.slow:
                callback.on_batch_end(done, {"loss": loss})
