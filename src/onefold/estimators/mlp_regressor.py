"""scikit-learn's multi-layer perceptron for numbers, trained by onefold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from onefold._errors import DataError
from onefold.estimators import _objectives
from onefold.estimators._engine import Sample
from onefold.estimators._mlp import BaseMLP
from onefold.estimators._mlp_parameters import documented
from onefold.estimators._objectives import Objective
from onefold.nn.losses import LOSSES, Loss
from onefold.optim import Optimizer, Schedule
from onefold.train.callbacks import Callback

Array = NDArray[Any]

_CLASS_LOSSES = {
    "cross_entropy",
    "binary_cross_entropy",
    "categorical_cross_entropy",
    "sparse_categorical_cross_entropy",
    "kl_divergence",
    "hinge",
    "squared_hinge",
}


@documented(
    own="""
loss : {"squared_error", "poisson"} or another name or object of onefold.losses
    Default "squared_error", half the mean of the squares. "poisson" and "gamma" predict the
    exponential of the network's output. "gamma", "absolute_error", "huber", "quantile",
    `onefold.Quantile(0.9)` and so on are means over rows and outputs.
"""
)
class MLPRegressor(RegressorMixin, BaseMLP):
    """A regressor with hidden layers: scikit-learn's `MLPRegressor`, trained by onefold.

    The parameters up to `max_fun` are scikit-learn's, with its meanings and defaults; the others are
    onefold's and neutral by default. With the same `random_state` it starts from the same weights, takes
    the rows in the same orders, and has the same loss curve up to rounding.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    Notes
    -----
    As for `MLPClassifier`. With several outputs "sgd" and "adam" make their updates from scikit-learn's
    gradient of the squared error, which is summed over the outputs while the loss is their mean; "lbfgs"
    takes the gradient of the loss, where scikit-learn's is `n_outputs_` times too large.

    Examples
    --------
    >>> import numpy as np, onefold
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> model = onefold.MLPRegressor(hidden_layer_sizes=(20,), solver="lbfgs", random_state=0)
    >>> model.fit(X, X[:, 0] ** 2).predict([[0.5]]).round(1)
    array([0.2])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(LOSSES) - _CLASS_LOSSES), Loss],
    }
    _target_checks: ClassVar[dict[str, Any]] = {"y_numeric": True}

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str | Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str | Schedule = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float | Sequence[float] = 0.0,
        memory: int | float | str | None = None,
        micro_batch: int | str = "auto",
        n_jobs: int | None = None,
        callbacks: Sequence[Callback] | None = None,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.memory = memory
        self.micro_batch = micro_batch
        self.n_jobs = n_jobs
        self.callbacks = callbacks

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> MLPRegressor:
        """Train the network.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix, shape (n_samples, n_features)
        y : array-like, shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like, shape (n_samples,), optional
        X_val, y_val, sample_weight_val : optional
            Rows for early stopping, instead of some that are held out; their loss goes into
            `validation_loss_curve_`. In a `Pipeline`, `transform_input=["X_val"]` transforms them too.

        Returns
        -------
        self
        """
        self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        return self

    @available_if(lambda estimator: estimator._partial_fit_exists())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> MLPRegressor:
        """Train for one epoch over these rows, going on from what has been learned.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self
        """
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """The prediction for every row.

        Returns
        -------
        array, shape (n_samples,) or (n_samples, n_outputs)
        """
        output = self._output(X)
        return output[:, 0] if output.shape[1] == 1 else output

    # Steps of the fit.

    def _read_targets(self, y: Array, *, incremental: bool) -> Array:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        known = self.n_outputs_ if incremental and hasattr(self, "coefs_") else None
        outputs = 1 if y.ndim == 1 else y.shape[1]
        if known not in (None, outputs):
            raise DataError(f"y has {outputs} outputs, the network was trained for {known}")
        return y

    def _encode(self, y: Array, dtype: Any) -> Array:
        columns = np.ascontiguousarray(y.reshape(len(y), -1), dtype=dtype)
        objective = _objectives.regression(self.loss, columns.shape[1])
        return objective.loss.targets(columns, columns.shape[1], np.dtype(dtype)).array

    def _count_outputs(self, targets: Array) -> int:
        return int(targets.shape[1])

    def _objective(self) -> Objective:
        return _objectives.regression(self.loss, self.n_outputs_)

    def _score_held_out(self, prediction: Array, sample: Sample) -> float:
        """Coefficient of determination."""
        return float(r2_score(sample.y, prediction, sample_weight=sample.scored))
