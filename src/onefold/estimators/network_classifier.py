"""NetworkClassifier: networks of any layers for classes, labels, and several targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d

from onefold._errors import DataError
from onefold.estimators._shared import ClassEncoder
from onefold.estimators.network_losses import Heads
from onefold.estimators.network_training import BaseNetwork
from onefold.nn.layers import Activation, Layer
from onefold.nn.losses import BinaryCrossEntropy, CrossEntropy, CustomLoss, Loss
from onefold.optim import Optimizer, Schedule
from onefold.train.callbacks import Callback

Array = NDArray[Any]


class NetworkClassifier(ClassifierMixin, BaseNetwork):
    """Classification by a network, of tables as they are.

    Numbers are standardised; missing ones become the mean, and a column says where. Categories and
    texts of a data frame become one input each (the 64 most frequent), dates their places in time and
    in the year, week and day. With the same `random_state` the network has the same bits whatever
    `memory`, `micro_batch` and `n_jobs` are.

    Parameters
    ----------
    layers : sequence of int or Layer, default (128, 128)
        The hidden layers: numbers of neurons, or layers such as `Dense(256, "gelu")` and
        `Dropout(0.1)`, or both. The output layer is added. `()` is a linear model.
    loss : "log_loss" or CrossEntropy, default "log_loss"
        `CrossEntropy(label_smoothing=0.1)` smooths the labels.
    activation : str or Activation, default "silu"
        Of the layers that are given as numbers.
    dropout : float or "auto", default "auto"
        Share of the neurons that drop out behind each layer that is given as a number; "auto" is 0.1
        with more than 400 rows, else 0.
    optimizer : str or Optimizer, default "adamw"
    learning_rate : float, Schedule or "auto", default "auto"
        "auto" is 0.003 for "adam", "adamw" and "nadam", else what the optimizer comes with. A number
        or a schedule replaces the rate of an `Optimizer` object too.
    l2_regularization : float, optional
        Weight decay; by default what the optimizer comes with, and for "adamw" 1 with up to 400
        rows, else 0.01.
    max_iter : int, default 200
        Epochs at most.
    batch_size : int or "auto", default "auto"
        Rows of an update; "auto" is a hundredth of the rows, from 32 to 256.
    categorical_features : "from_dtype", array-like of bool, int or str, or None
        Which columns are categories. "from_dtype": those of a data frame that are categories or
        texts. Else a mask, places or names (texts of a data frame are categories as well); None:
        every column is a number.
    standardize : bool, default True
        Whether numbers are brought to mean zero and deviation one, by the weighted training rows.
    warm_start : bool, default False
        Whether another `fit` goes on from the weights and the optimizer's state, with the encoding
        of the first one.
    early_stopping : bool or "auto", default "auto"
        Whether to stop when the validation rows get no better, and go back to the best epoch. "auto":
        with more than 400 rows, or with `X_val`.
    scoring : str, callable or None, default "loss"
        What early stopping looks at: the loss, a scorer of scikit-learn, or `score` for None.
    validation_fraction : float, int or None, default 0.15
        Share or number of rows that are set aside for early stopping, of every
        class alike; None looks at the training
        rows.
    n_iter_no_change : int, default 20
        Epochs without a better loss or score after which the fit ends.
    tol : float, default 1e-7
        How much better a loss or score must be to count.
    verbose : int, default 0
        1 shows a bar on a terminal, else a line an epoch, on stderr.
    random_state : int, RandomState or None
        Keys initial weights, orders of rows, dropout and the rows that are set aside.
    class_weight : dict, "balanced", list of these, or None
        Weight of every class, times `sample_weight`; "balanced" gives classes the same weight in sum.
        A list has one for each of several targets.
    dtype : {"auto", "float32", "float64"}, default "auto"
        What the network computes in; "auto" is float64 up to 400 rows, else float32.
    memory : int or str, optional
        Budget for everything that training holds besides the data, such as "200MB". Does not shape
        the result.
    micro_batch : int or "auto", default "auto"
        Rows that run at a time. Does not shape the result.
    n_jobs : int, optional
        Threads, as in joblib: None is every processor (in a worker of joblib, its share of them).
        Does not shape the result.
    callbacks : sequence of onefold.Callback, optional
        Called at every epoch; scikit-learn's own callbacks are set by `set_callbacks`.

    Attributes
    ----------
    classes_ : array, or list of arrays
        Classes; for several targets those of each.
    network_ : Network
        Fingerprint, weights, `save` and everything else.
    history_ : History
        Of the last fit.
    n_iter_, best_iteration_ : int
        Epochs run, and those after which the weights that were kept stood.
    loss_curve_ : list of float
        Training loss of every epoch.
    validation_loss_curve_ : list of float or None
        Loss on the validation rows, where there are any.
    validation_scores_ : list of float or None
        Score of every epoch, where `scoring` is not "loss".
    do_early_stopping_ : bool
    n_features_in_ : int
    feature_names_in_ : array of str
        Where X had names.

    See Also
    --------
    MLPClassifier : every parameter of scikit-learn's class of that name, and its meaning.

    Notes
    -----
    Two classes share one output and a sigmoid; more have a softmax. Yes-or-no labels (y of zeros and
    ones in several columns) have a sigmoid each. Several targets of several classes have one network
    with a softmax for each target, trained with the mean of their cross-entropies; `predict_proba` and
    `decision_function` then give lists.

    A row of weight zero is left out before anything is learned. Scaling and categories are learned from
    the rows that are trained on, not from those set aside.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import onefold as of
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = of.NetworkClassifier(random_state=0).fit(X, y)
    >>> model.predict_proba(X[:1]).round(2)
    array([[1., 0., 0.]])
    """

    _small_decay = 1.0
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseNetwork._parameter_constraints,
        "loss": [StrOptions({"log_loss"}), CrossEntropy],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        layers: Sequence[int | Layer] = (128, 128),
        *,
        loss: str | CrossEntropy = "log_loss",
        activation: str | Activation = "silu",
        dropout: float | str = "auto",
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
        checked: Array = y.toarray() if hasattr(y, "toarray") else y
        check_classification_targets(checked)
        kind = type_of_target(checked, input_name="y")
        if checked.ndim == 2 and checked.shape[1] == 1:
            checked = column_or_1d(checked, warn=True)
        if not reset:
            self._check_known(checked)
            return checked
        self._several = kind == "multiclass-multioutput"
        self._encoders = [ClassEncoder(y) for y in (checked.T if self._several else [checked])]
        classes = [encoder.classes for encoder in self._encoders]
        self.classes_: Any = classes if self._several else classes[0]
        return checked

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
        X : array-like, data frame or sparse matrix, shape (n_samples, n_features)

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
        X : array-like, data frame or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        float64 array, shape (n_samples, n_classes)
            In the order of `classes_`; for labels, the probability of each. A list of arrays for
            several targets.
        """
        check_is_fitted(self, "network_")
        if self._several:
            return self._heads.probabilities(self._outputs_of(X))
        p = self._outputs_of(X, linked=True)
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
        X : array-like, data frame or sparse matrix, shape (n_samples, n_features)

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
        X : array-like, data frame or sparse matrix, shape (n_samples, n_features)
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
