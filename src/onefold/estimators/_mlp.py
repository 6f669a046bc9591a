"""What the two multi-layer perceptrons share: from checked arrays to a fitted estimator."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from onefold._errors import DataError, OptionError
from onefold.estimators._callbacks import CallbackSupportMixin, fit_tasks
from onefold.estimators._engine import Engine, Sample, first_weights, layers
from onefold.estimators._epochs import Epochs, Rows, batch_rows
from onefold.estimators._full_batch import fit_full_batch
from onefold.estimators._mlp_parameters import CONSTRAINTS
from onefold.estimators._objectives import Objective
from onefold.estimators._shared import (
    contiguous,
    piece_bytes,
    refuse_non_finite,
    row_weights,
    thread_count,
)
from onefold.estimators._solvers import Solver
from onefold.estimators._stochastic import StochasticFit
from onefold.network import Network
from onefold.train.callbacks import Callback

Array = NDArray[Any]

_READ = {"accept_sparse": "csr", "dtype": (np.float64, np.float32)}


class BaseMLP(CallbackSupportMixin, BaseEstimator):
    """The fit of the multi-layer perceptrons, as a ladder of small steps."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS
    #: Of the dropout masks: their key, and updates made; here for weights that are set by hand.
    _seed = 0
    _updates = 0
    #: Further checks of targets by scikit-learn.
    _target_checks: ClassVar[dict[str, Any]] = {}

    # What the classifier and the regressor do in their own ways.

    @abstractmethod
    def _read_targets(self, y: Array, *, incremental: bool) -> Array:
        """Learn what kind of targets these are, or check that they are of the kind known."""

    @abstractmethod
    def _encode(self, y: Array, dtype: Any) -> Array:
        """Targets of the network."""

    @abstractmethod
    def _count_outputs(self, targets: Array) -> int:
        """Outputs of the network."""

    @abstractmethod
    def _objective(self) -> Objective:
        """The loss of a network of `n_outputs_` outputs."""

    @abstractmethod
    def _score_held_out(self, prediction: Array, sample: Sample) -> float:
        """Score of early stopping."""

    def _strata(self, y: Array) -> Array | None:
        """Classes whose shares the held-out rows keep."""
        return None

    def _row_weights(self, X: Any, y: Array, sample_weight: Any, dtype: Any) -> Array | None:
        """Weights of the rows in the gradient."""
        return row_weights(X, sample_weight, dtype)

    # The fit.

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        held_out: tuple[Any, Any, Any] = (None, None, None),
        *,
        incremental: bool = False,
    ) -> BaseMLP:
        if incremental and self.early_stopping:
            raise OptionError("partial_fit does not support early_stopping=True")
        self._hidden_sizes()  # refuses bad ones before anything is learned
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        arguments = (X, y, sample_weight)
        sample = self._sample(X, y, sample_weight, incremental=incremental, reset=first)
        self.n_outputs_ = self._count_outputs(sample.y)
        self._random_state = check_random_state(self.random_state)
        if first:
            self._initialize(sample)
        given = self._given(*held_out)
        with self._tasks(*arguments, skip=incremental) as tasks:
            if self.solver == "lbfgs":
                fit_full_batch(self, sample, given, tasks)
            else:
                self._fit_stochastic(sample, given, tasks, incremental=incremental)
        if not incremental:
            self._engine.release()
        if not all(np.isfinite(array).all() for array in (*self.coefs_, *self.intercepts_)):
            refuse_non_finite()
        return self

    @contextmanager
    def _tasks(self, X: Any, y: Any, sample_weight: Any, *, skip: bool) -> Iterator[list[Callback]]:
        """The callbacks of scikit-learn's own protocol."""
        if skip:
            yield []
            return
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        with fit_tasks(
            self, X, y, epochs=self.max_iter, fitted=self._snapshot, metadata=metadata
        ) as tasks:
            yield tasks

    def _snapshot(self) -> dict[str, Any]:
        """Attributes that make a copy of the estimator ready to predict, in the middle of a fit."""
        coefs, intercepts = self._engine.arrays()
        return {"coefs_": coefs, "intercepts_": intercepts, "_engine": None}

    # Rows.

    def _sample(
        self, X: Any, y: Any, sample_weight: Any, *, incremental: bool, reset: bool
    ) -> Sample:
        """Checked rows with targets and weights."""
        X, y = validate_data(
            self, X, y, multi_output=True, reset=reset, **_READ, **self._target_checks
        )
        y = self._read_targets(y, incremental=incremental)
        dtype = self._parameter_dtype(X.dtype if reset else np.asarray(self.coefs_[0]).dtype)
        weights = self._row_weights(X, y, sample_weight, dtype)
        scored = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        return Sample(contiguous(X), self._encode(y, dtype), weights, scored)

    def _parameter_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Type of the weights in training: "lbfgs" works in float64."""
        return np.dtype(np.float64) if self.solver == "lbfgs" else dtype

    def _given(self, X_val: Any, y_val: Any, sample_weight_val: Any) -> Sample | None:
        """Rows for validation that the user gives."""
        if X_val is None and y_val is None:
            if sample_weight_val is not None:
                raise DataError("sample_weight_val is provided, but X_val and y_val are not")
            return None
        if X_val is None or y_val is None:
            here, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
            raise DataError(f"{here} is provided, but {missing} was not provided")
        X, y = validate_data(
            self, X_val, y_val, multi_output=True, reset=False, **_READ, **self._target_checks
        )
        y = self._read_targets(y, incremental=True)
        dtype = self.coefs_[0].dtype
        weights = row_weights(X, sample_weight_val, dtype)
        scored = None if weights is None else _check_sample_weight(sample_weight_val, X)
        return Sample(contiguous(X), self._encode(y, dtype), weights, scored)

    def _hold_out(self, sample: Sample, given: Sample | None) -> tuple[Sample, Sample | None]:
        """Rows to train on, and rows to score."""
        if not self.early_stopping or given is not None:
            return sample, given
        training, held_out = train_test_split(
            np.arange(len(sample)),
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=self._strata(sample.y),
        )
        if len(held_out) < 2:
            raise DataError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                f"your dataset; it has {len(held_out)} of {len(sample)} rows"
            )
        return sample.take(training), sample.take(held_out)

    # The network.

    def _hidden_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if any(size <= 0 for size in sizes):
            raise OptionError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        if any(not hasattr(size, "__index__") for size in sizes):
            raise OptionError(f"hidden_layer_sizes are whole numbers, got {sizes}")
        return [int(size) for size in sizes]

    def _each(self, name: str, count: int) -> list[Any]:
        """A parameter that is given once for all hidden layers, or for each."""
        value = getattr(self, name)
        if isinstance(value, str) or not hasattr(value, "__iter__"):
            return [value] * count
        values = list(value)
        if len(values) != count:
            raise OptionError(
                f"{name} has {len(values)} entries, the network {count} hidden layers; "
                f"give one {name} for all layers or one for each"
            )
        return values

    def _initialize(self, sample: Sample) -> None:
        """First weights and biases, drawn uniformly as scikit-learn draws them, and empty curves."""
        self.n_iter_ = 0
        self.t_ = 0
        widths = [sample.X.shape[1], *self._hidden_sizes(), self.n_outputs_]
        self.n_layers_ = len(widths)
        activations = self._each("activation", len(widths) - 2)
        ends = [*activations, activations[-1] if activations else self.activation]
        dtype = self._parameter_dtype(sample.X.dtype)
        self.coefs_, self.intercepts_ = first_weights(
            self._random_state, widths, ends, given=sample.X.dtype, dtype=dtype
        )
        self.out_activation_ = self._objective().out_activation
        self._seed = 0
        if any(rate > 0 for rate in self._each("dropout", len(widths) - 2)):
            self._seed = int(self._random_state.randint(np.iinfo(np.int32).max))
        self._updates = 0
        self._begin_curves()

    def _begin_curves(self) -> None:
        self.__dict__.pop("validation_loss_curve_", None)
        if self.solver == "lbfgs":
            return
        self._best = ([c.copy() for c in self.coefs_], [i.copy() for i in self.intercepts_])
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        stops = bool(self.early_stopping)
        self.validation_scores_: list[float] | None = [] if stops else None
        self.best_validation_score_: float | None = -math.inf if stops else None
        self.best_loss_: float | None = None if stops else math.inf

    def _engine_for(self, dtype: np.dtype[Any] | None = None) -> Engine:
        """The network of the shapes of `coefs_`, by default of their type; kept between calls."""
        coefs = [np.asarray(coef) for coef in self.coefs_]
        dtype = coefs[0].dtype if dtype is None else dtype
        hidden = [coef.shape[1] for coef in coefs[:-1]]
        activations = self._each("activation", len(hidden))
        if "prelu" in activations:
            raise OptionError(
                "prelu has weights of its own, which coefs_ could not hold; use 'leaky_relu'"
            )
        rates = self._each("dropout", len(hidden))
        objective = self._objective()
        inputs, outputs = coefs[0].shape[0], coefs[-1].shape[1]
        key = (inputs, *hidden, outputs, *activations, *rates, dtype, self._seed, objective)
        engine: Engine | None = getattr(self, "_engine", None)
        if engine is None or engine.key != key:
            built = layers(hidden, activations, rates, outputs)
            engine = Engine(key, built, inputs, dtype, self._seed, objective)
            self._engine = engine
        return engine

    def _loaded_engine(self, dtype: np.dtype[Any] | None = None) -> Engine:
        """The same with the weights of `coefs_` and `intercepts_`."""
        engine = self._engine_for(dtype)
        engine.load(self.coefs_, self.intercepts_)
        engine.network._state.updates = self._updates
        return engine

    @property
    def network_(self) -> Network:
        """The fitted `onefold.Network`: its fingerprint, its file, its plan of memory."""
        check_is_fitted(self, "coefs_")
        return self._loaded_engine().network

    def _evaluation(self, X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
        """What `along_direction` takes to measure the reported loss on rows, without the penalty."""
        sample = self._given(X, y, sample_weight)
        assert sample is not None
        objective, constant = self._objective(), 0.0
        constants = objective.constants(sample.y)
        if constants is not None:
            weights = None if sample.weights is None else sample.weights[:, 0]
            constant = float(np.average(constants, weights=weights))
        return {
            "network": self.network_,
            "x": sample.X.toarray() if scipy.sparse.issparse(sample.X) else sample.X,
            "y": sample.y,
            "sample_weight": sample.weights,
            "loss": objective.loss,
            "threads": thread_count(self.n_jobs),
            "factor": objective.value,
            "constant": constant,
        }

    def _session_options(self, sample: Sample) -> dict[str, Any]:
        """What every session needs to know, besides its batches and its optimizer."""
        return {
            "labels": sample.y.ndim == 1,
            "weighted": sample.weights is not None,
            "micro_batch": self.micro_batch,
            "memory": self.memory,
            "piece_bytes": piece_bytes(sample.X, self.memory),
            "threads": thread_count(self.n_jobs),
        }

    # Epochs.

    def _fit_stochastic(
        self,
        sample: Sample,
        given: Sample | None,
        tasks: Sequence[Callback],
        *,
        incremental: bool,
    ) -> None:
        engine = self._loaded_engine()
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = Solver(self)
        training, held_out = self._hold_out(sample, given)
        batch_size = batch_rows(self.batch_size, len(training))
        optimizer = self._optimizer.optimizer
        session = engine.session(
            batch_size=batch_size,
            scale=engine.objective.gradient,
            optimizer=optimizer,
            optimizer_state=self._optimizer.state_for(engine.network._architecture),
            ordered=len(training) if self.shuffle else 0,
            copies=1 if self.early_stopping else 0,
            recorded=self.alpha > 0,
            **self._session_options(training),
        )
        epochs = Epochs(
            session,
            self._optimizer,
            Rows(training.X, training.y, training.weights, engine.objective.constants(training.y)),
            batch_size=batch_size,
            alpha=float(self.alpha),
            value=engine.objective.value,
            random=self._random_state if self.shuffle else None,
            total=self.max_iter,
            single=incremental,
            callbacks=[*self._own_callbacks(), *tasks],
            piece_bytes=piece_bytes(training.X, self.memory),
        )
        StochasticFit(self, engine, epochs, held_out, given).run(incremental=incremental)

    def _own_callbacks(self) -> list[Callback]:
        callbacks = list(self.callbacks or ())
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise OptionError(f"a callback is an onefold.Callback, not {callback!r}")
        return callbacks

    # Use.

    def _output(self, X: Any) -> Array:
        """The network's output for checked or unchecked rows, shape (rows, outputs)."""
        check_is_fitted(self, "coefs_")
        X = validate_data(self, X, accept_sparse="csr", reset=False)
        engine = self._engine_for()
        with engine.lock:  # threads may share an estimator
            engine.load(self.coefs_, self.intercepts_)
            pieces = piece_bytes(X, self.memory)
            return engine.predict(X, thread_count(self.n_jobs), pieces)

    def _partial_fit_exists(self) -> bool:
        if self.solver == "lbfgs":
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
            )
        return True

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_engine"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
