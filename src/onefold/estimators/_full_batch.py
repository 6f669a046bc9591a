"""L-BFGS over the exact gradient of all rows, in the memory of one micro-batch."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from onefold.estimators._engine import Engine
from onefold.estimators._shared import dense_pieces
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


def minimise(
    function: FullBatch, start: Array, *, tol: float, max_iter: int, max_fun: int, verbose: Any
) -> tuple[Array, float, int]:
    """The best vector, its loss, and the iterations that it took; warns where it did not converge."""
    options = {"maxfun": max_fun, "maxiter": max_iter, "gtol": tol}
    result = scipy.optimize.minimize(
        function,
        start,
        method="L-BFGS-B",
        jac=True,
        options=options,
        callback=_shown(function) if verbose else None,
    )
    iterations = min(int(result.nit), max_iter)
    if result.status != 0:
        warnings.warn(
            f"lbfgs failed to converge after {iterations} iteration(s) (status={result.status}): "
            f"{result.message}. Increase max_iter={max_iter} or max_fun={max_fun}, or scale the data",
            ConvergenceWarning,
            stacklevel=5,
        )
    return result.x, float(result.fun), iterations


def _shown(function: FullBatch) -> Callable[[Array], None]:
    """Prints the loss after every iteration."""
    numbers = itertools.count(1)

    def show(_: Array) -> None:
        print(f"Iteration {next(numbers)}, loss = {function.last:.8f}")

    return show
