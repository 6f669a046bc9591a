"""scikit-learn's multi-layer perceptron for classes, trained by onefold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, unique_labels

from onefold._errors import DataError
from onefold.estimators import _objectives
from onefold.estimators._engine import Sample
from onefold.estimators._mlp import BaseMLP
from onefold.estimators._mlp_parameters import documented
from onefold.estimators._objectives import Objective
from onefold.estimators._shared import ClassEncoder, is_multilabel, row_weights
from onefold.nn.losses import CrossEntropy
from onefold.optim import Optimizer, Schedule
from onefold.train.callbacks import Callback

Array = NDArray[Any]


@documented(
    attributes="""
classes_ : array, shape (n_classes,)
"""
)
class MLPClassifier(ClassifierMixin, BaseMLP):
    """A classifier with hidden layers: scikit-learn's `MLPClassifier`, trained by onefold.

    The parameters up to `max_fun` are scikit-learn's, with its meanings and defaults; the others are
    onefold's and neutral by default. With the same `random_state` it starts from the same weights, takes
    the rows in the same orders, and has the same loss curve up to rounding.

    Parameters
    ----------
    {parameters}
    loss : "log_loss" or onefold.CrossEntropy, default "log_loss"
        `onefold.CrossEntropy(label_smoothing=0.1)` smooths the labels.
    class_weight : dict, "balanced" or None, default None
        Weight of every class, which multiplies the sample weights.

    Attributes
    ----------
    {attributes}

    Notes
    -----
    Float64 data is trained on in float64, float32 data in float32, which is twice as fast; "lbfgs" works
    in float64. The weights do not depend on `memory`, `micro_batch` and `n_jobs`, to the bit.

    Examples
    --------
    >>> import numpy as np, onefold
    >>> X = np.array([[0., 0.], [0., 1.], [1., 0.], [1., 1.]])
    >>> clf = onefold.MLPClassifier((8,), solver="lbfgs", random_state=1).fit(X, [0, 1, 1, 0])
    >>> clf.predict(X)
    array([0, 1, 1, 0])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({"log_loss"}), CrossEntropy],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
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
        loss: str | CrossEntropy = "log_loss",
        class_weight: Mapping[Any, float] | str | None = None,
        dropout: float | Sequence[float] = 0.0,
        memory: int | float | str | None = None,
        micro_batch: int | str = "auto",
        n_jobs: int | None = None,
        callbacks: Sequence[Callback] | None = None,
    ) -> None:
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
        self.loss = loss
        self.class_weight = class_weight
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
    ) -> MLPClassifier:
        """Train the network.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix, shape (n_samples, n_features)
        y : array-like, shape (n_samples,) or (n_samples, n_labels)
            Classes, or yes-or-no labels.
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
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> MLPClassifier:
        """Train for one epoch over these rows, going on from what has been learned.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like, optional
            All classes that will come; needed in the first call.

        Returns
        -------
        self
        """
        if _check_partial_fit_first_call(self, classes):
            self._encoder = ClassEncoder(y if is_multilabel(y) else classes)
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """The class of every row, or its labels.

        Returns
        -------
        array, shape (n_samples,) or (n_samples, n_labels)
        """
        output = self._output(X)
        return self._encoder.decode(output)

    def predict_proba(self, X: ArrayLike) -> Array:
        """Probability of every class in the order of `classes_`, or of every label.

        Returns
        -------
        array, shape (n_samples, n_classes)
        """
        output = self._output(X)
        if self._encoder.outputs == 1:
            return np.hstack([1 - output, output])
        return output

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Logarithm of `predict_proba`.

        Returns
        -------
        array, shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    # Steps of the fit.

    def _read_targets(self, y: Array, *, incremental: bool) -> Array:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._encoder = ClassEncoder(y)
            self.classes_ = self._encoder.classes
            return y
        found = unique_labels(y)
        if self.warm_start:
            if set(found) != set(self.classes_):
                raise DataError(
                    "warm_start can only be used where `y` has the same classes as in the previous "
                    f"call to fit. Previously got {self.classes_}, `y` has {found}"
                )
        elif len(np.setdiff1d(found, self.classes_, assume_unique=True)):
            raise DataError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. 'y' has {found}."
            )
        return y

    def _encode(self, y: Array, dtype: Any) -> Array:
        return self._encoder.encode(y, dtype)

    def _count_outputs(self, targets: Array) -> int:
        return self._encoder.outputs

    def _objective(self) -> Objective:
        return _objectives.classification(self.loss, self._encoder.kind, self.n_outputs_)

    def _row_weights(self, X: Any, y: Array, sample_weight: Any, dtype: Any) -> Array | None:
        return row_weights(X, sample_weight, dtype, class_weight=self.class_weight, y=y)

    def _strata(self, y: Array) -> Array | None:
        return y.astype(bool) if self._encoder.kind == "binary" else None

    def _score_held_out(self, prediction: Array, sample: Sample) -> float:
        """Accuracy; of several labels all have to be right."""
        if sample.y.ndim == 1:
            right = prediction.argmax(axis=1) == sample.y
        else:
            right = ((prediction > 0.5) == (sample.y > 0.5)).all(axis=1)
        return float(np.average(right, weights=sample.scored))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
