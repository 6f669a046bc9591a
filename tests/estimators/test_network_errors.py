"""Bad input: scikit-learn's kind of message, that of the builtin kind, with what came."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import DataConversionWarning, NotFittedError

import onefold as of

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)
FRAME = pd.DataFrame({"a": X[:, 0], "word": np.where(Y, "yes", "no")})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_iter": 0}, "'max_iter' parameter of NetworkClassifier must be an int"),
        ({"optimizer": "adamm"}, "'optimizer' parameter of NetworkClassifier must be"),
        ({"activation": "rellu"}, "'activation' parameter of NetworkClassifier must be"),
        ({"dropout": 1.0}, "'dropout' parameter"),
        ({"learning_rate": -1}, "'learning_rate' parameter"),
        ({"loss": "squared_error"}, "'loss' parameter"),
        ({"early_stopping": "yes"}, "'early_stopping' parameter"),
        ({"validation_fraction": 1.5, "early_stopping": True}, "'validation_fraction' parameter"),
        ({"validation_fraction": 60, "early_stopping": True}, "leaves 0 rows for training"),
        ({"scoring": "acuracy", "early_stopping": True}, "acuracy"),
        ({"layers": (0,)}, "units from 1 up, not 0"),
        ({"layers": ("relu",)}, "units from 1 up, not 'relu'"),
        ({"layers": 64}, "'layers' parameter"),
        ({"memory": "1kB"}, "memory='1kB' is too small"),
        ({"memory": "much"}, "memory is a size such as"),
        ({"n_jobs": 0}, "n_jobs is None or a whole number other than 0"),
        ({"callbacks": [print]}, "a callback is an onefold.Callback"),
        ({"dtype": "float16"}, "'dtype' parameter"),
        ({"categorical_features": [True]}, r"has shape \(n_features,\) = \(3,\), not \(1,\)"),
        ({"categorical_features": [3]}, r"\[0, n_features - 1\] = \[0, 2\], found 3"),
        ({"categorical_features": ["a"]}, "names 'a', which is no column"),
    ],
    ids=str,
)
def test_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        of.NetworkClassifier(**options).fit(X, Y)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((X, None), ValueError, "requires y to be passed, but the target y is None"),
        ((X, Y[:-1]), ValueError, r"inconsistent numbers of samples: \[60, 59\]"),
        ((X[:, 0], Y), ValueError, "Expected 2D array, got 1D array instead"),
        ((X[:0], Y[:0]), ValueError, r"Found array with 0 sample\(s\)"),
        ((np.where(X > 2, np.inf, X), Y), ValueError, "Input X contains infinity"),
        ((X, np.where(Y, np.nan, 0.0)), ValueError, "Input y contains NaN"),
        ((X, X[:, 0]), ValueError, "Unknown label type: continuous"),
        ((X, Y, -np.ones(60)), ValueError, "Negative values in data passed to `sample_weight`"),
        ((X, Y, np.zeros(60)), ValueError, "at least one non-zero number"),
        ((X, Y, np.ones(59)), ValueError, r"sample_weight.shape == \(59,\)"),
        ((FRAME[:0], []), ValueError, r"Found array with 0 sample\(s\)"),
        ((FRAME.to_numpy(), Y), ValueError, "could not convert string to float"),
    ],
)
def test_arguments(arguments, kind, message):
    with pytest.raises(kind, match=message):
        of.NetworkClassifier(max_iter=1).fit(*arguments)


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("poisson", -Y, "loss='poisson' requires non-negative y and sum.y. > 0, found -1"),
        ("poisson", 0 * Y, "all are zero"),
        ("gamma", Y, "loss='gamma' requires strictly positive y, found 0"),
        (of.Poisson(), -Y, "requires non-negative y"),
        ("quantile", Y, "loss='quantile' needs quantile"),
        ("absolute", Y, "'loss' parameter of NetworkRegressor must be"),
    ],
)
def test_targets_of_regressions(loss, y, message):
    with pytest.raises(ValueError, match=message):
        of.NetworkRegressor(loss=loss).fit(X, y)


def test_our_errors_are_ours_too():
    with pytest.raises(of.OnefoldError):
        of.NetworkRegressor(loss="quantile").fit(X, Y)
    with pytest.raises(of.OnefoldError):
        of.NetworkClassifier().fit(X, None)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function", "score"]
)
def test_before_the_fit(method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(of.NetworkClassifier(), method)(*((X, Y) if method == "score" else (X,)))


def test_validation_rows():
    model = of.NetworkClassifier(max_iter=1)
    with pytest.raises(ValueError, match="X_val is provided, but y_val was not provided"):
        model.fit(X, Y, X_val=X)
    with pytest.raises(ValueError, match="y_val is provided, but X_val was not provided"):
        model.fit(X, Y, y_val=Y)
    with pytest.raises(ValueError, match="sample_weight_val is provided, but X_val was not"):
        model.fit(X, Y, sample_weight_val=np.ones(60))
    with pytest.raises(ValueError, match=r"previously unseen labels: \[2\]"):
        model.fit(X, Y, X_val=X, y_val=Y + 1)
    with pytest.raises(ValueError, match="X has 2 features, but NetworkClassifier is expecting 3"):
        model.fit(X, Y, X_val=X[:, :2], y_val=Y)


def test_use_after_the_fit():
    model = of.NetworkClassifier(max_iter=1).fit(FRAME, Y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(FRAME[["word", "a"]])
    with (
        pytest.raises(ValueError, match="columns word are not numbers; pass a data frame"),
        pytest.warns(UserWarning, match="does not have valid feature names"),
    ):
        model.predict(X[:, :2])
    numbers = of.NetworkClassifier(max_iter=1).fit(X, Y)
    with pytest.raises(ValueError, match="X has 2 features"):
        numbers.predict(X[:, :2])
    again = of.NetworkClassifier(max_iter=1, warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match="previously unseen labels"):
        again.fit(X, Y + 1)
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        again.fit(X, Y[:, None])


def test_a_loss_that_is_not_finite():
    with pytest.raises(ValueError, match="Try a smaller learning rate") as caught:
        of.NetworkRegressor(optimizer="sgd", learning_rate=1e6, max_iter=50).fit(X, X[:, 0])
    assert isinstance(caught.value, of.DivergedError)
