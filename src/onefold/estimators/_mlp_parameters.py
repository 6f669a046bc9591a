"""The parameters of the multi-layer perceptrons: what each may be, and what it means."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

from onefold.nn.activations import ACTIVATIONS, ALIASES
from onefold.optim import OPTIMIZERS, Optimizer, Schedule

#: Activations without weights of their own, which `coefs_` could not hold.
_ACTIVATIONS = {*ACTIVATIONS, *ALIASES} - {"prelu"}

CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(_ACTIVATIONS), "array-like"],
    "solver": [StrOptions({"lbfgs", *OPTIMIZERS}), Optimizer],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"}), Schedule],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "memory": [str, Interval(Real, 0, None, closed="neither"), None],
    "micro_batch": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "n_jobs": [Integral, None],
    "callbacks": ["array-like", None],
}

_PARAMETERS = """
hidden_layer_sizes : int or sequence of int, default (100,)
    Neurons of every hidden layer.
activation : str or sequence of str, default "relu"
    Of the hidden layers, or one for each: "identity", "logistic", "tanh", "relu", or another of
    onefold's ("gelu", "silu", "selu", "mish", ...).
solver : {"adam", "sgd", "lbfgs"} or another name or object of onefold.optim, default "adam"
    An object, such as `onefold.AdamW(1e-3, clip_global_norm=1.0)`, brings its own learning rate.
alpha : float, default 1e-4
    Strength of the penalty: half the sum of the squared weights, biases apart, divided by the weight
    of the rows of the batch. With "adamw" and "lion" the weights shrink by it, apart from the gradient.
batch_size : int or "auto", default "auto"
    Rows of an update; "auto" is 200, or all where there are fewer. Not used by "lbfgs".
learning_rate : {"constant", "invscaling", "adaptive"} or onefold.schedules.Schedule
    The names are heeded by "sgd" alone: "invscaling" divides the rate by the `power_t`-th power of the
    rows seen, after every epoch; "adaptive" divides it by 5 whenever training stalls. A schedule
    replaces `learning_rate_init` for every solver that is given by name.
learning_rate_init : float, default 0.001
power_t : float, default 0.5
max_iter : int, default 200
    Epochs; for "lbfgs" iterations.
shuffle : bool, default True
    Whether the rows have another order in every epoch.
random_state : int, RandomState or None, default None
    Draws the first weights, the rows held out, and the orders of the rows, as scikit-learn does.
tol : float, default 1e-4
    Training stalls when `n_iter_no_change` epochs in a row are not better by this; for "lbfgs" it is
    the largest element of the gradient at which training ends.
verbose : bool or int, default False
    Whether to print every epoch.
warm_start : bool, default False
    Whether `fit` goes on from what the last call has learned.
momentum : float, default 0.9
nesterovs_momentum : bool, default True
    Both of "sgd".
early_stopping : bool, default False
    Whether to hold rows out and to stop when their score stalls, with the best weights, instead of
    when the training loss stalls.
validation_fraction : float, default 0.1
    Share of the rows that are held out, where `fit` is not given any.
beta_1, beta_2, epsilon : float, default 0.9, 0.999, 1e-8
    Of "adam".
n_iter_no_change : int or inf, default 10
max_fun : int, default 15000
    Evaluations of the loss by "lbfgs".
dropout : float or sequence of float, default 0
    Share of the neurons of the hidden layers, or of each, that are silent in an update. With "lbfgs"
    those of a row stay the same.
memory : int or str, optional
    Budget for what training holds besides the data, such as "200MB". It does not shape the result.
micro_batch : int or "auto", default "auto"
    Rows that run at a time. It does not shape the result.
n_jobs : int, optional
    Threads; None and -1 are all processors, None within the limits that joblib and `OMP_NUM_THREADS`
    set. It does not shape the result.
callbacks : sequence of onefold.Callback, optional
    Called after every epoch, or iteration of "lbfgs".
"""

_ATTRIBUTES = """
coefs_, intercepts_ : list of array
    Weights (inputs, outputs) and biases of every layer. They are the network: change them and it
    predicts, and trains on, with what they hold.
n_iter_ : int
    Epochs, or iterations of "lbfgs".
t_ : int
    Rows seen.
loss_ : float
    Of the last epoch, with the penalty.
loss_curve_ : list of float
    Of every epoch; not of "lbfgs".
best_loss_ : float or None
    The smallest; None with early stopping.
validation_scores_ : list of float or None
best_validation_score_ : float or None
    Both of early stopping.
validation_loss_curve_ : list of float
    Of the rows given as `X_val` and `y_val`, without the penalty.
n_layers_, n_outputs_, n_features_in_ : int
out_activation_ : str
feature_names_in_ : array of str
    Where X was a data frame.
"""

Class = TypeVar("Class", bound=type)


def documented(own: str = "", attributes: str = "") -> Callable[[Class], Class]:
    """Fills {parameters} and {attributes} of a class's docstring with what the two classes share."""

    def fill(cls: Class) -> Class:
        assert cls.__doc__ is not None
        parts = {"parameters": own + _PARAMETERS, "attributes": attributes + _ATTRIBUTES}
        indented = {k: textwrap.indent(v.strip("\n"), "    ").strip() for k, v in parts.items()}
        cls.__doc__ = cls.__doc__.format(**indented)
        return cls

    return fill
