"""NetworkRegressor: networks of any layers for means, quantiles, counts, and several targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_array, column_or_1d

from onefold import _native
from onefold._errors import DataError, OptionError
from onefold.estimators.network_inputs import weighted_moment
from onefold.estimators.network_training import BaseNetwork
from onefold.nn import losses
from onefold.nn.layers import Activation, Layer
from onefold.nn.losses import Loss
from onefold.optim import Optimizer, Schedule
from onefold.train.callbacks import Callback

Array = NDArray[Any]
_LOG_LINKED = ("poisson", "gamma")
_REGRESSIONS = ("squared_error", "absolute_error", "huber", "log_cosh", "quantile", *_LOG_LINKED)


class NetworkRegressor(RegressorMixin, BaseNetwork):
    """Regression by a network, of tables as they are.

    Numbers are standardised, and targets too; missing numbers become the mean, and a column says where.
    Categories and texts of a data frame become one input each (the 64 most frequent), dates their places
    in time and in the year, week and day. With the same `random_state` the network has the same bits
    whatever `memory`, `micro_batch` and `n_jobs` are.

    Parameters
    ----------
    layers : sequence of int or Layer, default (128, 128)
        The hidden layers: numbers of neurons, or layers such as `Dense(256, "gelu")` and
        `Dropout(0.1)`, or both. The output layer is added. `()` is a linear model.
    loss : str, Loss or callable, default "squared_error"
        "squared_error", "absolute_error", "huber", "log_cosh", "quantile", "poisson" (counts), "gamma"
        (positive values), a `Loss`, or a function as `CustomLoss` takes it. Behind "poisson" and
        "gamma" the network gives the logarithm of the mean.
    quantile : float, optional
        From 0 to 1, for loss "quantile".
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
        Weight decay; by default what the optimizer comes with, and for "adamw" 3 with up to 400
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
        Share or number of rows that are set aside for early stopping; None looks at the training
        rows.
    n_iter_no_change : int, default 20
        Epochs without a better loss or score after which the fit ends.
    tol : float, default 1e-7
        How much better a loss or score must be to count.
    verbose : int, default 0
        1 shows a bar on a terminal, else a line an epoch, on stderr.
    random_state : int, RandomState or None
        Keys initial weights, orders of rows, dropout and the rows that are set aside.
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
    n_outputs_ : int

    See Also
    --------
    MLPRegressor : every parameter of scikit-learn's class of that name, and its meaning.

    Notes
    -----
    The loss is that of standardised targets (for "poisson" and "gamma": of targets divided by their
    mean), and so are the curves; `huber`'s threshold and a function's arguments are on that scale. With
    several columns of y one network has an output for each, and the loss is their mean.

    A row of weight zero is left out before anything is learned. Scaling and categories are learned from
    the rows that are trained on, not from those set aside.

    Examples
    --------
    >>> import numpy as np, onefold as of
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> model = of.NetworkRegressor(random_state=0).fit(X, np.abs(X[:, 0]))
    >>> model.predict([[0.5]]).round(1)
    array([0.5])
    """

    _small_decay = 3.0
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseNetwork._parameter_constraints,
        "loss": [StrOptions(set(_REGRESSIONS)), Loss, callable],
        "quantile": [Interval(Real, 0, 1, closed="neither"), None],
    }

    def __init__(
        self,
        layers: Sequence[int | Layer] = (128, 128),
        *,
        loss: str | Loss | Callable[..., Any] = "squared_error",
        quantile: float | None = None,
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

    n_outputs_: int

    def _read_targets(self, y: Any, *, reset: bool) -> Array:
        checked: Array = check_array(
            y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self
        )
        if checked.ndim == 2 and checked.shape[1] == 1:
            checked = column_or_1d(checked, warn=True)
        columns = 1 if checked.ndim == 1 else checked.shape[1]
        if not reset and columns != self.n_outputs_:
            raise DataError(f"y has {columns} columns, the fit was on {self.n_outputs_}")
        self._check_range(checked)
        if reset:
            self.n_outputs_ = columns
        return checked

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
        self._mean, self._scale = mean, np.sqrt(variance)  # of a constant zero: it is predicted

    @property
    def _outputs(self) -> int:
        return int(self.n_outputs_)

    def _encode_targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        scale = np.where(self._scale > 0, self._scale, 1.0)
        targets: Array = ((y.reshape(len(y), -1) - self._mean) / scale).astype(dtype)
        return targets

    def _loss(self) -> Loss:
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
        X : array-like, data frame or sparse matrix, shape (n_samples, n_features)

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
