"""The network behind an estimator whose parameters are `coefs_` and `intercepts_`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from onefold.estimators._objectives import Objective
from onefold.estimators._pieces import PiecewiseExecutor
from onefold.estimators._shared import budget_of_pieces, dense_pieces
from onefold.network import Network
from onefold.nn.layers import Dense, Dropout, Layer
from onefold.train.session import Session, column
from onefold.train.state import Parameters

Array = NDArray[Any]


def layers(
    hidden: Sequence[int], activations: Sequence[str], dropout: Sequence[float], outputs: int
) -> list[Layer]:
    """Hidden layers, each with its activation and the share of its units that drop out, and the output."""
    result: list[Layer] = []
    for units, activation, rate in zip(hidden, activations, dropout, strict=True):
        result.append(Dense(int(units), activation))
        if rate > 0:
            result.append(Dropout(float(rate)))
    return [*result, Dense(outputs)]


def first_weights(
    random: np.random.RandomState,
    widths: Sequence[int],
    activations: Sequence[str],
    *,
    given: Any,
    dtype: Any,
) -> tuple[list[Array], list[Array]]:
    """Weights and biases as scikit-learn draws them: all uniform, after Glorot and Bengio 2010.

    Parameters
    ----------
    random : RandomState
    widths : sequence of int
        Columns, neurons of every hidden layer, outputs.
    activations : sequence of str
        Behind every layer; that of the last is taken for the layer before it too.
    given, dtype
        Type of the data, to which they are rounded, and type that they get.
    """
    coefs: list[Array] = []
    intercepts: list[Array] = []
    for inputs, outputs, activation in zip(widths, widths[1:], activations, strict=False):
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (inputs + outputs))
        for kept, shape in ((coefs, (inputs, outputs)), (intercepts, (outputs,))):
            drawn = random.uniform(-bound, bound, shape)
            kept.append(drawn.astype(given, copy=False).astype(dtype, copy=False))
    return coefs, intercepts


@dataclass(frozen=True)
class Sample:
    """Rows of a fit.

    Attributes
    ----------
    X : array or CSR matrix
    y : array
        Targets of the network.
    weights : array, shape (rows, 1), or None
        Of the gradient: sample weights times class weights.
    scored : array, shape (rows,), or None
        Of scores: sample weights.
    """

    X: Any
    y: Array
    weights: Array | None
    scored: Array | None

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def take(self, rows: Array) -> Sample:
        """Some of the rows."""
        parts = (None if part is None else part[rows] for part in (self.weights, self.scored))
        return Sample(self.X[rows], self.y[rows], *parts)


class Engine:
    """A network, its objective, and what is kept between calls.

    The estimator's arrays are the parameters; they are brought here before every use, so that what
    a user does to them is heeded.

    Attributes
    ----------
    key : tuple
        What it was made from.
    network : Network
    objective : Objective
    """

    def __init__(
        self,
        key: tuple[Any, ...],
        layers: Sequence[Layer],
        inputs: int,
        dtype: Any,
        seed: int,
        objective: Objective,
    ) -> None:
        self.key = key
        self.network = Network(layers, inputs, seed=seed, dtype=str(np.dtype(dtype)))
        self.network._link = objective.link
        self.objective = objective
        self.dtype = np.dtype(dtype)
        self.lock = threading.RLock()
        self._weights = self.network.weight_names
        self._biases = [name for name in self.parameters.names() if name.endswith(".bias")]
        self._session: tuple[tuple[Any, ...], Session] | None = None

    @property
    def parameters(self) -> Parameters:
        """Of the network."""
        return self.network._state.parameters

    def load(self, coefs: Sequence[Array], intercepts: Sequence[Array]) -> None:
        """Take over the estimator's arrays."""
        self.parameters.assign(dict(zip(self._weights, coefs, strict=True)))
        self.parameters.assign(dict(zip(self._biases, intercepts, strict=True)))

    def arrays(self, parameters: Parameters | None = None) -> tuple[list[Array], list[Array]]:
        """Copies of weights and biases."""
        source = self.parameters if parameters is None else parameters
        return [source.get(n) for n in self._weights], [source.get(n) for n in self._biases]

    def gradients(self, session: Session) -> list[Array]:
        """Gradients of the weights, then of the biases, of what a session has accumulated."""
        gradient = session.mean_gradient()
        return [gradient[name] for name in (*self._weights, *self._biases)]

    def predict(self, X: Any, threads: int, piece_bytes: int) -> Array:
        """The network's output through its link, shape (rows, outputs)."""
        if not scipy.sparse.issparse(X):
            return self.network.predict_proba(X, threads=threads)
        out = np.empty((X.shape[0], self.network.outputs), self.dtype)
        for first, end, rows in dense_pieces(X, piece_bytes):
            out[first:end] = self.network.predict_proba(rows, threads=threads)
        return out

    def session(self, *, memory: Any, piece_bytes: int, **options: Any) -> Session:
        """A session with these options; the last one again where they are the same.

        Parameters
        ----------
        memory : int, str or None
            Budget, of which the session has what dense pieces of sparse rows leave.
        piece_bytes : int
            As of `piece_bytes`.
        **options
            Of `Session`.
        """
        key = (memory, piece_bytes, *(options[name] for name in sorted(options)))
        if self._session is None or self._session[0] != key:
            network = self.network
            with budget_of_pieces(memory, piece_bytes) as left:
                made = Session(
                    network._architecture,
                    network._state,
                    self.objective.loss,
                    memory=left,
                    **options,
                )
            self._session = (key, made)
        return self._session[1]

    def release(self) -> None:
        """Give up the memory of training."""
        self._session = None

    def loss_of(self, sample: Sample, threads: int, piece_bytes: int) -> Callable[[], float]:
        """A function that gives the reported loss, without the penalty, over all rows."""
        weighted = sample.weights is not None
        evaluator = self.network._evaluator(
            self.objective.loss, sample.y.ndim == 1, weighted, threads, len(sample)
        )
        executor = PiecewiseExecutor(evaluator.executor, piece_bytes)
        constants, weights = self.objective.constants(sample.y), sample.weights
        constant = 0.0
        if constants is not None:
            constant = float((constants if weights is None else constants * weights[:, 0]).sum())
        y = column(sample.y)

        def loss() -> float:
            total, weight = executor.evaluate(sample.X, y, weights)
            return (total * self.objective.value + constant) / weight

        return loss
