"""What the network estimators share: from X and y to a trained network."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.metrics import check_scoring
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from onefold import data, optim
from onefold._errors import DataError, DivergedError
from onefold.estimators._callbacks import CallbackSupportMixin, fit_tasks
from onefold.estimators._shared import (
    NonFiniteError,
    dense_pieces,
    piece_bytes,
    row_weights,
    thread_count,
)
from onefold.estimators.network_inputs import Rows, SparseInputs, TableInputs
from onefold.estimators.network_scores import BestScore
from onefold.estimators.network_sparse import fit_network
from onefold.network import Network
from onefold.nn.activations import ACTIVATIONS
from onefold.nn.layers import Activation, Dense, Dropout, Layer
from onefold.nn.losses import Loss
from onefold.optim import OPTIMIZERS, Optimizer, Schedule
from onefold.train.callbacks import Callback

Array = NDArray[Any]
Arrays = tuple[Array | SparseInputs, Array, Array | None]  # inputs, targets, weights
#: Rows up to which "auto" computes in float64, drops nothing out, and sets no rows aside: a fit with
#: integer weights is then the fit on repeated rows.
SMALL = 400
_DROPOUT = 0.1
_ADAPTIVE_RATE = 0.003  # of the Adam family


@dataclass(frozen=True)
class Sample:
    """Rows as the estimator reads them, beside where they stand in what the user passed."""

    X: Any
    places: Array
    rows: Rows
    y: Array
    weight: Array | None

    def __len__(self) -> int:
        return len(self.places)

    def take(self, rows: Array) -> Sample:
        """Some of the rows."""
        weight = None if self.weight is None else self.weight[rows]
        return Sample(self.X, self.places[rows], self.rows.take(rows), self.y[rows], weight)

    def raw(self) -> Any:
        """The rows as the user passed them."""
        return _safe_indexing(self.X, self.places)


class BaseNetwork(CallbackSupportMixin, BaseEstimator):
    """The fit of the network estimators, as a ladder of small steps."""

    #: Weight decay of "adamw" up to `SMALL` rows, where neither dropout nor rows set aside keep the
    #: network from learning them by heart.
    _small_decay: ClassVar[float]
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "layers": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS)), Activation],
        "dropout": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), Optimizer],
        "learning_rate": [
            StrOptions({"auto"}),
            Interval(Real, 0, None, closed="neither"),
            Schedule,
        ],
        "l2_regularization": [Interval(Real, 0, None, closed="left"), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "standardize": ["boolean"],
        "warm_start": ["boolean"],
        "early_stopping": [StrOptions({"auto"}), "boolean"],
        "scoring": [str, callable, None],
        "validation_fraction": [
            Interval(RealNotInt, 0, 1, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "memory": [str, Interval(Real, 0, None, closed="neither"), None],
        "micro_batch": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "callbacks": ["array-like", None],
    }

    # What a classifier and a regressor do in their own ways.

    @abstractmethod
    def _read_targets(self, y: Any, *, reset: bool) -> Array:
        """Check y; with `reset` it is the y of a fit, and what kind it is, is learned."""

    @abstractmethod
    def _learn_targets(self, y: Array, weight: Array | None) -> None:
        """Learn what targets of a loss need: classes, or a scale."""

    @abstractmethod
    def _encode_targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        """Targets of the network."""

    @abstractmethod
    def _loss(self) -> Loss:
        """The loss that the network is trained with."""

    @property
    @abstractmethod
    def _outputs(self) -> int:
        """Outputs of the network."""

    def _strata(self, y: Array) -> Array | None:
        """Classes whose shares the validation rows keep."""
        return None

    # The fit.

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Train the network.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix, shape (n_samples, n_features)
            Numbers; a data frame may hold categories, texts, dates and truth values too. NaN and
            null are missing values.
        y : array-like, shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like, shape (n_samples,), optional
            A row of weight zero is as good as absent, one of weight two stands for two.
        X_val, y_val, sample_weight_val : optional
            Rows for early stopping, instead of some that are set aside. In a `Pipeline`,
            `transform_input=["X_val"]` has them transformed as X is.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            Parameters or arrays that cannot be.
        NonFiniteError
            The loss stopped being finite.
        """
        prepared = self._prepare(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        with fit_tasks(
            self, X, y, epochs=self.max_iter, fitted=self._snapshot, metadata=metadata
        ) as tasks:
            self._train(*prepared, tasks)
        return self

    def _prepare(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any, Any]
    ) -> tuple[Arrays, Arrays | None, BestScore | None]:
        """Everything before the first epoch: what the network reads, and what stops it by a score."""
        again = self.warm_start and hasattr(self, "network_")
        if not again:
            self._begin()
        sample = self._read(X, y, sample_weight, reset=not again, fits=True)
        training, held_out = self._split(sample, self._read_given(*validation))
        if not again:
            self._inputs.fit(training.rows, training.weight)
            self._learn_targets(training.y, training.weight)
            self._build(len(sample))
        return (
            self._arrays(training),
            None if held_out is None else self._arrays(held_out),
            self._watcher(training if held_out is None else held_out),
        )

    def _begin(self) -> None:
        self._inputs = TableInputs(self.categorical_features, standardize=self.standardize)
        generator = check_random_state(self.random_state)
        self._seed = int(generator.randint(np.iinfo(np.int32).max))

    def _read(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool = False, fits: bool = False
    ) -> Sample:
        """Checked rows that weigh anything, with their targets and weights; classes' if it `fits`."""
        name = type(self).__name__
        if y is None:
            raise DataError(
                f"This {name} estimator requires y to be passed, but the target y is None."
            )
        X = X.tocsr() if scipy.sparse.issparse(X) else X  # others do not have rows by place
        rows = self._inputs.read(self, X, reset=reset)
        y = self._read_targets(y, reset=reset)
        check_consistent_length(rows.numbers, y)
        of_classes = getattr(self, "class_weight", None) if fits else None
        weight = row_weights(rows.numbers, sample_weight, np.float64, class_weight=of_classes, y=y)
        if weight is None:
            return Sample(X, np.arange(len(rows)), rows, y, None)
        sample = Sample(X, np.arange(len(rows)), rows, y, weight[:, 0])
        return sample if weight.all() else sample.take(np.flatnonzero(weight))

    def _read_given(self, X_val: Any, y_val: Any, sample_weight_val: Any) -> Sample | None:
        """The validation rows that the user passes."""
        given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        there = [name for name, value in given.items() if value is not None]
        if not there:
            return None
        for name in ("X_val", "y_val"):
            if name not in there:
                raise DataError(f"{there[0]} is provided, but {name} was not provided; pass both")
        return self._read(X_val, y_val, sample_weight_val)

    def _split(self, sample: Sample, given: Sample | None) -> tuple[Sample, Sample | None]:
        """Rows to train on, and rows to stop by."""
        stopping = self.early_stopping
        if stopping == "auto":
            stopping = len(sample) > SMALL or given is not None
        self.do_early_stopping_ = bool(stopping)
        if given is not None or not stopping or self.validation_fraction is None:
            return sample, given
        share = float(self.validation_fraction)
        if isinstance(self.validation_fraction, Integral):
            share /= len(sample)
        held_out, train = (
            data.split(len(sample), (share,), self._seed, self._strata(sample.y))
            if share < 1
            else (np.arange(len(sample)), np.arange(0))
        )
        if not len(held_out) or not len(train):
            raise DataError(
                f"validation_fraction={self.validation_fraction} of n_samples={len(sample)} leaves "
                f"{len(train)} rows for training and {len(held_out)} for validation; pass another, "
                "X_val and y_val, or early_stopping=False"
            )
        return sample.take(train), sample.take(held_out)

    def _build(self, rows: int) -> None:
        """The network and its optimizer, before the first epoch."""
        dtype = self.dtype
        if dtype == "auto":
            dtype = "float64" if rows <= SMALL else "float32"
        layers = [*self._hidden(rows), Dense(self._outputs)]
        self.network_ = Network(layers, self._inputs.width, seed=self._seed, dtype=dtype)
        self._optimizer = self._chosen_optimizer(rows)

    def _hidden(self, rows: int) -> list[Layer]:
        """The layers before the last."""
        dropout = self.dropout
        if dropout == "auto":
            dropout = _DROPOUT if rows > SMALL else 0
        layers: list[Layer] = []
        for layer in self.layers:
            if isinstance(layer, Layer):
                layers.append(layer)
                continue
            layers.append(Dense(layer, self.activation))
            if dropout:
                layers.append(Dropout(dropout))
        return layers

    def _chosen_optimizer(self, rows: int) -> Optimizer:
        """A fresh optimizer with the estimator's learning rate and weight decay."""
        if isinstance(self.optimizer, Optimizer):
            optimizer = copy.deepcopy(self.optimizer)
        else:
            optimizer = optim.get(self.optimizer)
            if isinstance(optimizer, optim.Adam | optim.AdamW | optim.Nadam):
                optimizer.learning_rate = _ADAPTIVE_RATE
            if self.optimizer == "adamw" and rows <= SMALL:
                optimizer.weight_decay = self._small_decay
        if self.learning_rate != "auto":
            optimizer.learning_rate = copy.deepcopy(self.learning_rate)
        if self.l2_regularization is not None:
            optimizer.weight_decay = float(self.l2_regularization)
        return optimizer

    def _train(
        self,
        training: Arrays,
        validation: Arrays | None,
        watcher: BestScore | None,
        tasks: Sequence[Callback],
    ) -> None:
        x, y, weight = training
        by_loss = self.do_early_stopping_ and watcher is None
        try:
            self.history_ = fit_network(
                self.network_, x, y, sample_weight=weight, validation=validation,
                loss=self._loss(), optimizer=self._optimizer,
                epochs=self.max_iter, batch_size=self._rows_of_a_batch(len(x)),
                micro_batch=self.micro_batch, memory=self.memory,
                patience=self.n_iter_no_change if by_loss else None, min_delta=self.tol,
                threads=thread_count(self.n_jobs), verbose=int(self.verbose),
                callbacks=[*(self.callbacks or ()), *([watcher] if watcher else ()), *tasks],
            )  # fmt: skip
        except DivergedError as error:
            raise NonFiniteError(str(error)) from error
        self._conclude(watcher)

    def _arrays(self, sample: Sample) -> Arrays:
        """What the network reads."""
        dtype = np.dtype(self.network_.dtype)
        x = self._inputs.lazy(sample.rows, dtype)
        return x, self._encode_targets(sample.y, dtype), sample.weight

    def _rows_of_a_batch(self, rows: int) -> int:
        if self.batch_size == "auto":
            return min(rows, max(32, min(256, rows // 100)))
        return min(int(self.batch_size), rows)

    def _watcher(self, sample: Sample) -> BestScore | None:
        """Stops by a score on some rows, where the estimator stops by anything but the loss."""
        if not self.do_early_stopping_ or self.scoring == "loss":
            return None
        scorer = check_scoring(self, self.scoring)
        X, y = sample.raw(), sample.y
        arguments = {} if sample.weight is None else {"sample_weight": sample.weight}
        return BestScore(lambda: scorer(self, X, y, **arguments), self.n_iter_no_change, self.tol)

    def _conclude(self, watcher: BestScore | None) -> None:
        history = self.history_
        self.n_iter_ = history.epochs
        self.best_iteration_ = (
            history.epochs if history.best_epoch is None else history.best_epoch + 1
        )
        self.loss_curve_ = history.logs["loss"]
        self.validation_loss_curve_ = history.logs.get("val_loss")
        self.validation_scores_ = watcher.scores if watcher else None

    def _snapshot(self) -> dict[str, Any]:
        """What makes a copy of the estimator predict as it is now, while training goes on."""
        return {"network_": copy.deepcopy(self.network_)}

    def _evaluation(self, X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
        """What `along_direction` takes to measure the loss on rows."""
        x, targets, weight = self._arrays(self._read(X, y, sample_weight))
        x = x.toarray() if isinstance(x, SparseInputs) else x
        return {
            "network": self.network_, "x": x, "y": targets, "sample_weight": weight,
            "loss": self._loss(), "threads": thread_count(self.n_jobs),
        }  # fmt: skip

    # Use.

    def _outputs_of(self, X: Any, *, linked: bool = False) -> Array:
        """Outputs of the network before, or behind, softmax, sigmoid or exponential, float64."""
        check_is_fitted(self, "network_")
        network, threads = self.network_, thread_count(self.n_jobs)
        x = self._inputs.lazy(self._inputs.read(self, X), np.dtype(network.dtype))
        forward = network.predict_proba if linked else network.predict
        pieces = dense_pieces(x, piece_bytes(x, self.memory))
        outputs = [forward(rows, threads=threads) for _, _, rows in pieces]
        return np.concatenate(outputs).astype(np.float64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.target_tags.multi_output = True
        return tags
