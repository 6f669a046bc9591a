"""Networks of any layers as scikit-learn estimators, with defaults that suit tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d

from onefold import _native
from onefold._errors import DataError, OptionError
from onefold.estimators._shared import ClassEncoder, thread_count
from onefold.estimators.network_inputs import weighted_moment
from onefold.estimators.network_losses import Heads, gamma
from onefold.estimators.network_training import BaseNetwork
from onefold.nn import losses
from onefold.nn.layers import Activation, Layer
from onefold.nn.losses import BinaryCrossEntropy, CrossEntropy, CustomLoss, Loss
from onefold.optim import Optimizer, Schedule
from onefold.train.callbacks import Callback

Array = NDArray[Any]


class NetworkClassifier(ClassifierMixin, BaseNetwork):
    """DOC."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseNetwork._parameter_constraints,
        "loss": [StrOptions({"log_loss"}), CrossEntropy],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        layers: Sequence[int | Layer] = (64, 64),
        *,
        loss: str | CrossEntropy = "log_loss",
        activation: str | Activation = "relu",
        dropout: float = 0.0,
        optimizer: str | Optimizer = "adamw",
        learning_rate: str | float | Schedule = "auto",
        l2_regularization: float | None = None,
        max_iter: int = 200,
        batch_size: int | str = "auto",
        categorical_features: Any = "from_dtype",
        standardize: bool = True,
        warm_start: bool = False,
        early_stopping: bool | str = "auto",
        scoring: str | Callable[..., float] | None = "loss",
        validation_fraction: float | int | None = 0.15,
        n_iter_no_change: int = 20,
        tol: float = 1e-7,
        verbose: int = 0,
        random_state: Any = None,
        class_weight: Mapping[Any, float] | Sequence[Any] | str | None = None,
        dtype: str = "auto",
        memory: int | float | str | None = None,
        micro_batch: int | str = "auto",
        n_jobs: int | None = None,
        callbacks: Sequence[Callback] | None = None,
    ) -> None:
        self.layers = layers
        self.loss = loss
        self.activation = activation
        self.dropout = dropout
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.l2_regularization = l2_regularization
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.categorical_features = categorical_features
        self.standardize = standardize
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.verbose = verbose
        self.random_state = random_state
        self.class_weight = class_weight
        self.dtype = dtype
        self.memory = memory
        self.micro_batch = micro_batch
        self.n_jobs = n_jobs
        self.callbacks = callbacks

    # Targets: classes, labels, or several targets of several classes.

    def _read_targets(self, y: Any, *, reset: bool) -> Array:
        y = check_array(
            y, ensure_2d=False, dtype=None, input_name="y", accept_sparse="csr", estimator=self
        )
        y = y.toarray() if hasattr(y, "toarray") else y
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if reset:
            self._several = kind == "multiclass-multioutput"
            self._encoders = [ClassEncoder(part) for part in (y.T if self._several else [y])]
            classes = [encoder.classes for encoder in self._encoders]
            self.classes_ = classes if self._several else classes[0]
            return y
        self._check_known(y)
        return y

    def _check_known(self, y: Array) -> None:
        """Refuse classes that the fit has not seen."""
        columns = y.T if self._several else [y]
        if self._encoders[0].kind == "multilabel":
            if y.ndim != 2 or y.shape[1] != len(self.classes_):
                raise DataError(
                    f"y has shape {y.shape}, the fit was on {len(self.classes_)} labels a row"
                )
            return
        if len(columns) != len(self._encoders):
            raise DataError(f"y has shape {y.shape}, the fit was on {len(self._encoders)} targets")
        for encoder, column in zip(self._encoders, columns, strict=True):
            unknown = np.setdiff1d(column, encoder.classes)
            if len(unknown):
                raise DataError(
                    f"y contains previously unseen labels: {unknown[:5].tolist()} (classes: "
                    f"{encoder.classes[:10].tolist()})"
                )

    def _learn_targets(self, y: Array, weight: Array | None) -> None:
        self._heads = Heads.of([len(encoder.classes) for encoder in self._encoders])

    @property
    def _outputs(self) -> int:
        return self._heads.ends[-1] if self._several else self._encoders[0].outputs

    def _strata(self, y: Array) -> Array | None:
        if self._several or self._encoders[0].kind == "multilabel":
            return None
        return np.searchsorted(self.classes_, y)

    def _encode_targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        if not self._several:
            return self._encoders[0].encode(y, dtype)
        columns = zip(self._encoders, y.T, strict=True)
        numbers = [np.searchsorted(encoder.classes, column) for encoder, column in columns]
        return self._heads.targets(np.column_stack(numbers), self._smoothing, dtype)

    @property
    def _smoothing(self) -> float:
        return self.loss.label_smoothing if isinstance(self.loss, CrossEntropy) else 0.0

    def _loss(self) -> Loss:
        if self._several:
            return CustomLoss(self._heads)
        if self._encoders[0].kind == "multilabel":
            return BinaryCrossEntropy(self._smoothing)
        return CrossEntropy(self._smoothing)

    # Use.

    def decision_function(self, X: Any) -> Any:
        """What the network gives before softmax or sigmoid.

        Parameters
        ----------
        X : array-like or data frame, shape (n_samples, n_features)

        Returns
        -------
        float64 array
            Shape (n_samples,) for two classes: positive for the second; else (n_samples,
            n_classes), or (n_samples, n_labels). A list of these for several targets.
        """
        z = self._outputs_of(X)
        if self._several:
            parts = [z[:, part] for part in self._heads.parts()]
            return [p[:, 1] - p[:, 0] if p.shape[1] == 2 else p for p in parts]
        return z[:, 0] if self._encoders[0].kind == "binary" else z

    def predict_proba(self, X: Any) -> Any:
        """Probability of every class.

        Parameters
        ----------
        X : array-like or data frame, shape (n_samples, n_features)

        Returns
        -------
        float64 array, shape (n_samples, n_classes)
            In the order of `classes_`; for labels, the probability of each. A list of arrays for
            several targets.
        """
        check_is_fitted(self, "network_")
        if self._several:
            return self._heads.probabilities(self._outputs_of(X))
        x = self._inputs_of(X)
        p = self.network_.predict_proba(x, threads=thread_count(self.n_jobs)).astype(np.float64)
        if self._encoders[0].kind != "binary":
            return p
        if len(self.classes_) == 1:
            return np.ones((len(p), 1))
        return np.concatenate([1 - p, p], axis=1)

    def predict_log_proba(self, X: Any) -> Any:
        """Logarithm of `predict_proba`."""
        p = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return [np.log(part) for part in p] if isinstance(p, list) else np.log(p)

    def predict(self, X: Any) -> Array:
        """The most probable class, the labels above one half, or a class for every target.

        Parameters
        ----------
        X : array-like or data frame, shape (n_samples, n_features)

        Returns
        -------
        array, shape (n_samples,) or (n_samples, n_outputs)
        """
        z = self._outputs_of(X)
        if not self._several:
            several = self._encoders[0].kind == "multiclass"
            return self._encoders[0].decode(z if several else (z > 0).astype(np.float64))
        parts = zip(self._encoders, self._heads.parts(), strict=True)
        return np.column_stack([e.classes[z[:, part].argmax(axis=1)] for e, part in parts])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Mean accuracy; for several labels or targets, the share of rows with all of them right.

        Parameters
        ----------
        X : array-like or data frame, shape (n_samples, n_features)
        y : array-like, shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like, shape (n_samples,), optional

        Returns
        -------
        float
        """
        check_is_fitted(self, "network_")
        if not self._several:
            return float(super().score(X, y, sample_weight))
        right = (np.asarray(y) == self.predict(X)).all(axis=1)
        return float(np.average(right, weights=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


_LOG_LINKED = ("poisson", "gamma")
_REGRESSIONS = ("squared_error", "absolute_error", "huber", "log_cosh", "quantile", *_LOG_LINKED)


class NetworkRegressor(RegressorMixin, BaseNetwork):
    """DOC."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseNetwork._parameter_constraints,
        "loss": [StrOptions(set(_REGRESSIONS)), Loss, callable],
        "quantile": [Interval(Real, 0, 1, closed="neither"), None],
    }

    def __init__(
        self,
        layers: Sequence[int | Layer] = (64, 64),
        *,
        loss: str | Loss | Callable[..., Any] = "squared_error",
        quantile: float | None = None,
        activation: str | Activation = "relu",
        dropout: float = 0.0,
        optimizer: str | Optimizer = "adamw",
        learning_rate: str | float | Schedule = "auto",
        l2_regularization: float | None = None,
        max_iter: int = 200,
        batch_size: int | str = "auto",
        categorical_features: Any = "from_dtype",
        standardize: bool = True,
        warm_start: bool = False,
        early_stopping: bool | str = "auto",
        scoring: str | Callable[..., float] | None = "loss",
        validation_fraction: float | int | None = 0.15,
        n_iter_no_change: int = 20,
        tol: float = 1e-7,
        verbose: int = 0,
        random_state: Any = None,
        dtype: str = "auto",
        memory: int | float | str | None = None,
        micro_batch: int | str = "auto",
        n_jobs: int | None = None,
        callbacks: Sequence[Callback] | None = None,
    ) -> None:
        self.layers = layers
        self.loss = loss
        self.quantile = quantile
        self.activation = activation
        self.dropout = dropout
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.l2_regularization = l2_regularization
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.categorical_features = categorical_features
        self.standardize = standardize
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.verbose = verbose
        self.random_state = random_state
        self.dtype = dtype
        self.memory = memory
        self.micro_batch = micro_batch
        self.n_jobs = n_jobs
        self.callbacks = callbacks

    # Targets: standardised, or divided by their mean behind a logarithmic link.

    def _read_targets(self, y: Any, *, reset: bool) -> Array:
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        columns = 1 if y.ndim == 1 else y.shape[1]
        if not reset and columns != self.n_outputs_:
            raise DataError(f"y has {columns} columns, the fit was on {self.n_outputs_}")
        self._check_range(y)
        if reset:
            self.n_outputs_ = columns
        return y

    def _check_range(self, y: Array) -> None:
        kind = self._kind()
        wrong = (y < 0 if kind == "poisson" else y <= 0) if kind in _LOG_LINKED else False
        if np.any(wrong) or (kind in _LOG_LINKED and not (y > 0).any(axis=0).all()):
            found = f", found {y[wrong].flat[0]}" if np.any(wrong) else ", all are zero"
            needs = "non-negative y and sum(y) > 0" if kind == "poisson" else "strictly positive y"
            raise DataError(f"loss={kind!r} requires {needs}{found}; take another loss")

    def _kind(self) -> str:
        """Name of the loss; "" for a function."""
        if isinstance(self.loss, str):
            return self.loss
        return self.loss.name if isinstance(self.loss, Loss) else ""

    def _learn_targets(self, y: Array, weight: Array | None) -> None:
        y = y.reshape(len(y), -1)
        _, mean = weighted_moment(y, weight, np.zeros(y.shape[1]), 1)
        if self._kind() in _LOG_LINKED:
            self._mean, self._scale = np.zeros(y.shape[1]), mean
            return
        _, variance = weighted_moment(y, weight, mean, 2)
        self._mean, self._scale = mean, np.where(variance > 0, np.sqrt(variance), 1.0)

    @property
    def _outputs(self) -> int:
        return int(self.n_outputs_)

    def _encode_targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        return ((y.reshape(len(y), -1) - self._mean) / self._scale).astype(dtype)

    def _loss(self) -> Loss:
        if self.loss == "gamma":
            return CustomLoss(gamma)
        if self.loss == "quantile":
            if self.quantile is None:
                raise OptionError("loss='quantile' needs quantile, a number between 0 and 1")
            return losses.Quantile(float(self.quantile))
        return losses.get(self.loss)

    # Use.

    def predict(self, X: Any) -> Array:
        """Predicted targets.

        Parameters
        ----------
        X : array-like or data frame, shape (n_samples, n_features)

        Returns
        -------
        float64 array, shape (n_samples,) or (n_samples, n_outputs)
        """
        z = self._outputs_of(X)
        if self._kind() in _LOG_LINKED:
            z = _native.elementwise("exp", z)
        values: Array = z * self._scale + self._mean
        return values[:, 0] if self.n_outputs_ == 1 else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self._kind() in _LOG_LINKED
        return tags
