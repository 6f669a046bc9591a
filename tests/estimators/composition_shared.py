"""Estimators of every kind, and rows for them: what the tests of scikit-learn's tools share."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression

import onefold as of

X, Y = make_classification(160, 6, n_informative=4, random_state=0)
XR, YR = make_regression(160, 6, n_informative=4, noise=5, random_state=0)


def classifiers():
    return [of.NetworkClassifier((16,), max_iter=120, random_state=0),
            of.MLPClassifier((8,), max_iter=30, learning_rate_init=0.02, tol=0, random_state=0)]  # fmt: skip


def regressors():
    return [of.NetworkRegressor((16,), max_iter=60, random_state=0),
            of.MLPRegressor(hidden_layer_sizes=(16,), max_iter=60, learning_rate_init=0.1, tol=0, random_state=0)]  # fmt: skip


def name(estimator):
    return type(estimator).__name__


CLASSIFIERS = pytest.mark.parametrize("model", classifiers(), ids=name)
REGRESSORS = pytest.mark.parametrize("model", regressors(), ids=name)
ALL = pytest.mark.parametrize("model", classifiers() + regressors(), ids=name)


def data_for(model):
    return (X, Y) if "Classifier" in name(model) else (XR, YR)


def sure(model, x):
    """Whatever the model predicts, as bytes."""
    p = model.predict_proba(x) if hasattr(model, "predict_proba") else model.predict(x)
    return np.asarray(p).tobytes()
