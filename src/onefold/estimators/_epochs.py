"""Stochastic training of the multi-layer perceptron: scikit-learn's epochs, each in one native call."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from onefold.estimators._pieces import PiecewiseExecutor
from onefold.estimators._solvers import Solver
from onefold.optim import ReduceOnPlateau
from onefold.train.callbacks import Callback, watches_batches
from onefold.train.interrupts import Interrupts
from onefold.train.session import Session, column

Array = NDArray[Any]

_SLICE_SECONDS = 0.1  # between looks at the keyboard
_NOT_FINITE = 2  # an outcome of the native call
_SCALARS = 4096  # updates whose numbers are worked out at a time


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


def batch_rows(batch_size: int | str, rows: int) -> int:
    """Rows of a batch: what the user says, but no more than there are; 200 for "auto"."""
    if isinstance(batch_size, str):
        return min(200, rows)
    if batch_size > rows:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be "
            f"clipped: batch_size={batch_size}, {rows} rows",
            stacklevel=6,
        )
    return int(min(batch_size, rows))


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
        Epochs that training may take, for schedules that ask.
    single : bool
        Whether this run is one epoch.
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
        single: bool,
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
        self.executor: Any = session.executor
        if scipy.sparse.issparse(rows.X):
            self.executor = PiecewiseExecutor(session.executor, piece_bytes)
        self.starts = np.arange(0, len(rows), batch_size)
        self.sizes = np.minimum(batch_size, len(rows) - self.starts).astype(np.float64)
        self.total = total * len(self.starts)
        self.order = np.arange(len(rows), dtype=np.uint32)
        self.record = np.empty((len(self.starts), 3 if alpha else 2))
        self.interrupts = Interrupts(self.executor.stop)
        self.finite = True  # whether every loss was
        self._decay = self._decays(self.sizes)
        self._ahead = 0 if single else min(_SCALARS, self.total)  # updates whose numbers are wanted
        # First update, learning rate and numbers of the updates that were worked out.
        self._table: tuple[int, Any, Array] = (0, None, np.empty((0, 0)))
        self.epoch = 0

    def run(self) -> float | None:
        """One epoch; its loss with the penalty, or None where Ctrl-C came."""
        order = self._next_order()
        if self.rows.weights is not None:
            self._decay = self._decays(self._batch_weights(order))
        for callback in self.callbacks:
            callback.on_epoch_begin(self.epoch)
        self._train(order)
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
        assert weights is not None
        taken = weights[:, 0] if order is None else weights[order, 0]
        return np.add.reduceat(taken.astype(np.float64), self.starts)

    def _decays(self, weights: Array) -> Array:
        """Weight decay of each batch."""
        with np.errstate(divide="ignore"):
            return np.where(weights > 0, self.alpha / weights, 0.0)

    def _scalars(self, first: int, count: int) -> Array:
        """The optimizer's numbers for batches first .. first + count - 1 of the epoch.

        Worked out for many updates at a time, since an epoch may have few.
        """
        assert self.session.optimizer_state is not None
        updates, rate = self.session.optimizer_state.updates, self.solver.learning_rate
        start, known, table = self._table
        if (
            isinstance(rate, ReduceOnPlateau)
            or known != rate
            or updates + count > start + len(table)
        ):
            ahead = count if isinstance(rate, ReduceOnPlateau) else max(count, self._ahead)
            table = self.session.scalars(ahead, self.total, len(self.starts))
            start = updates
            self._table = (start, rate, table)
        scalars = table[updates - start : updates - start + count].copy()
        scalars[:, 1] += self._decay[first : first + count]
        return scalars

    def _loss(self, order: Array | None) -> float:
        """Mean over batches, by their rows, of each batch's mean loss and penalty."""
        batch = self.record[:, 0] * self.value
        constants, weights = self.rows.constants, self.rows.weights
        if constants is not None:
            if weights is not None:
                constants = constants * weights[:, 0]
            taken = constants if order is None else constants[order]
            batch += np.add.reduceat(taken, self.starts)
        if self.alpha:
            batch += 0.5 * self.alpha * self.record[:, 2]
        if weights is not None:
            weighed = self.record[:, 1] > 0
            batch = np.divide(
                batch * self.sizes, self.record[:, 1], np.zeros_like(batch), where=weighed
            )
        return float(batch.sum()) / len(self.rows)

    # Updates.

    def _train(self, order: Array | None) -> None:
        """All batches of the epoch."""
        rows, state = self.rows, self.session.state
        y, done, count = column(rows.y), 0, len(self.starts)
        while done < count and not self.interrupts.came:
            wanted = 1 if self.slow else min(count - done, _SCALARS)
            outcome, updates, _, _, loss, weight = self.executor.train(
                rows.X,
                y,
                rows.weights,
                order,
                batch_size=self.batch_size,
                first_batch=done,
                first_update=state.updates,
                scalars=self._scalars(done, wanted),
                seconds=_SLICE_SECONDS,
                loss=0.0,
                weight=0.0,
                record=self.record[done:],
            )
            self._count(updates, loss / weight if weight > 0 else 0.0)
            done += updates
            if outcome == _NOT_FINITE:
                self.finite = False
                return

    def _count(self, updates: int, loss: float) -> None:
        assert self.session.optimizer_state is not None
        self.session.state.updates += updates
        self.session.optimizer_state.updates += updates
        for callback in self.callbacks:
            done = (self.session.state.updates - 1) % len(self.starts)
            callback.on_progress(self.epoch, done + 1, len(self.starts), loss)
            if self.slow:
                callback.on_batch_end(done, {"loss": loss})
