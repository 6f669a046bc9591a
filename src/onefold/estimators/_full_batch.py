"""L-BFGS over the exact gradient of all rows, in the memory of one micro-batch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from onefold.estimators._engine import Engine, Sample
from onefold.estimators._shared import dense_pieces, piece_bytes, thread_count
from onefold.train.callbacks import Callback, History
from onefold.train.session import Session, column

Array = NDArray[Any]


class FullBatch:
    """The loss with its penalty, and its gradient, as functions of all parameters in one vector.

    The vector holds the weights of every layer, then the biases. The gradient is that of the loss
    which is reported, also with several outputs.

    Parameters
    ----------
    engine : Engine
    session : Session
        Without an optimizer; its `scale` is the objective's.
    rows : (X, y, weights)
        All of them.
    alpha : float
    piece_bytes : int
        Bytes of sparse rows that are dense at a time.
    """

    def __init__(
        self,
        engine: Engine,
        session: Session,
        rows: tuple[Any, Array, Array | None],
        *,
        alpha: float,
        piece_bytes: int,
    ) -> None:
        X, y, weights = rows
        self.engine = engine
        self.session = session
        self.X, self.y, self.weights = X, column(y), weights
        self.alpha = alpha
        self.piece_bytes = piece_bytes
        coefs, intercepts = engine.arrays()
        self._shapes = [array.shape for array in (*coefs, *intercepts)]
        self._coefs = len(coefs)
        self.last = math.nan  # loss of the last vector
        constants = engine.objective.constants(y)
        self._constant = 0.0  # what the reported loss has besides the network's, summed over rows
        if constants is not None:
            each = constants if weights is None else constants * weights[:, 0]
            self._constant = float(each.sum())

    def pack(self, arrays: list[Array]) -> Array:
        """Weights and biases as one vector."""
        return np.concatenate([array.ravel() for array in arrays]).astype(np.float64)

    def unpack(self, vector: Array) -> tuple[list[Array], list[Array]]:
        """Weights and biases of a vector."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])[:-1]
        parts = np.split(np.array(vector), ends)
        arrays = [part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)]
        return arrays[: self._coefs], arrays[self._coefs :]

    def __call__(self, vector: Array) -> tuple[float, Array]:
        """Loss and gradient."""
        coefs, intercepts = self.unpack(vector)
        self.engine.load(coefs, intercepts)
        executor = self.session.executor
        executor.begin(0)
        for first, end, rows in dense_pieces(self.X, self.piece_bytes):
            w = None if self.weights is None else self.weights[first:end]
            executor.add(rows, self.y[first:end], w)
        total, weight = executor.accumulated()
        gradients = self.engine.gradients(self.session)
        squares = 0.0
        for gradient, coef in zip(gradients, coefs, strict=False):
            gradient += (self.alpha / weight) * coef
            squares += float(np.square(coef).sum())
        loss = (total * self.session.scale + self._constant + 0.5 * self.alpha * squares) / weight
        self.last = float(loss)
        return self.last, self.pack(gradients)


class Iterations:
    """What happens after every iteration: a line is printed, rows for validation, callbacks.

    Parameters
    ----------
    function : FullBatch
    verbose : bool or int
    loss_given : callable or None
        Loss of the rows for validation.
    callbacks : sequence of Callback

    Attributes
    ----------
    history : History
    best : array
        The vector after the last iteration.
    """

    def __init__(
        self,
        function: FullBatch,
        verbose: Any,
        loss_given: Callable[[], float] | None,
        callbacks: Sequence[Callback],
    ) -> None:
        self.function = function
        self.verbose = verbose
        self.loss_given = loss_given
        self.callbacks = callbacks
        self.history = History()
        self.best: Array = np.empty(0)

    def __call__(self, vector: Array) -> None:
        """After an iteration that ended at `vector`."""
        loss, number = self.function.last, self.history.epochs
        if self.verbose:
            print(f"Iteration {number + 1}, loss = {loss:.8f}")
        logs = {"loss": loss}
        if self.callbacks or self.loss_given is not None:
            self.best = np.array(vector)
            self.function.engine.load(*self.function.unpack(vector))
        if self.loss_given is not None:
            logs["val_loss"] = self.loss_given()
        self.history.append(logs)
        for callback in self.callbacks:
            callback.on_epoch_begin(number)
            callback.on_epoch_end(number, logs)
        if any(callback.stop for callback in self.callbacks):
            raise _StoppedError


class _StoppedError(Exception):
    """A callback wants the search to end."""


def minimise(
    function: FullBatch,
    start: Array,
    iterations: Iterations,
    *,
    tol: float,
    max_iter: int,
    max_fun: int,
) -> tuple[Array, float, int]:
    """The best vector, its loss, and the iterations that it took; warns where it did not converge."""
    history = iterations.history
    for callback in iterations.callbacks:
        callback.network = function.engine.network
        callback.stop = False
        callback.on_train_begin()
    try:
        result = scipy.optimize.minimize(
            function,
            start,
            method="L-BFGS-B",
            jac=True,
            options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol},
            callback=iterations,
        )
    except _StoppedError:
        history.stopped = "callback"
        return iterations.best, history.logs["loss"][-1], history.epochs
    finally:
        history.stopped = history.stopped or "epochs"
        for callback in iterations.callbacks:
            callback.on_train_end(history)
    count = min(int(result.nit), max_iter)
    if result.status != 0:
        warnings.warn(
            f"lbfgs failed to converge after {count} iteration(s) (status={result.status}): "
            f"{result.message}. Increase max_iter={max_iter} or max_fun={max_fun}, or scale the data",
            ConvergenceWarning,
            stacklevel=5,
        )
    return result.x, float(result.fun), count


def fit_full_batch(
    estimator: Any, sample: Sample, given: Sample | None, tasks: Sequence[Callback]
) -> None:
    """One call of `fit` with "lbfgs"; the estimator gets weights, loss and iterations."""
    engine = estimator._loaded_engine(np.dtype(np.float64))
    session = engine.session(
        batch_size=len(sample), scale=engine.objective.value, **estimator._session_options(sample)
    )
    function = FullBatch(
        engine,
        session,
        (sample.X, sample.y, sample.weights),
        alpha=float(estimator.alpha),
        piece_bytes=piece_bytes(sample.X, estimator.memory),
    )
    start = function.pack([*estimator.coefs_, *estimator.intercepts_])
    loss_given = None
    if given is not None:
        pieces = piece_bytes(given.X, estimator.memory)
        loss_given = engine.loss_of(given, thread_count(estimator.n_jobs), pieces)
    callbacks = [*estimator._own_callbacks(), *tasks]
    iterations = Iterations(function, estimator.verbose, loss_given, callbacks)
    best, estimator.loss_, estimator.n_iter_ = minimise(
        function,
        start,
        iterations,
        tol=estimator.tol,
        max_iter=estimator.max_iter,
        max_fun=estimator.max_fun,
    )
    if given is not None:
        estimator.validation_loss_curve_ = iterations.history.logs.get("val_loss", [])
    estimator.coefs_, estimator.intercepts_ = function.unpack(best)
