"""The estimators in ensembles and pipelines, with names of columns and metadata routed to them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn
from composition_shared import ALL, CLASSIFIERS, REGRESSORS, XR, YR, X, Y, data_for, sure
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

FRAME = pd.DataFrame(X, columns=list("abcdef"))
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# Ensembles.


@CLASSIFIERS
def test_ensembles_of_classifiers(model):
    others = [("net", model), ("line", LogisticRegression())]
    for voting in ("soft", "hard"):
        assert VotingClassifier(others, voting=voting).fit(X, Y).score(X, Y) > 0.7
    assert StackingClassifier(others, cv=3).fit(X, Y).score(X, Y) > 0.7
    assert BaggingClassifier(model, 3, random_state=0, n_jobs=2).fit(X, Y).score(X, Y) > 0.7
    assert AdaBoostClassifier(model, n_estimators=2, random_state=0).fit(X, Y).score(X, Y) > 0.7
    three = np.digitize(X[:, 0], [-0.5, 0.5])
    assert OneVsRestClassifier(model).fit(X, three).score(X, three) > 0.6
    assert OneVsOneClassifier(model).fit(X, three).score(X, three) > 0.6
    several = np.column_stack([Y, three > 0])
    assert MultiOutputClassifier(model).fit(X, several).score(X, several) > 0.4
    assert ClassifierChain(model).fit(X, several).predict(X).shape == (160, 2)


@REGRESSORS
def test_ensembles_of_regressors(model):
    others = [("net", model), ("line", Ridge())]
    for ensemble in (VotingRegressor(others), StackingRegressor(others, cv=3),
                     BaggingRegressor(model, 3, random_state=0, n_jobs=2),
                     TransformedTargetRegressor(model, transformer=StandardScaler())):  # fmt: skip
        assert ensemble.fit(XR, YR).score(XR, YR) > 0.6
    both = np.column_stack([YR, -YR])
    assert RegressorChain(model).fit(XR, both).predict(XR).shape == (160, 2)


# Pipelines, names, routing.


@ALL
def test_nested_parameters(model):
    piped = make_pipeline(StandardScaler(), clone(model))
    step = piped.steps[-1][0]
    piped.set_params(**{f"{step}__max_iter": 3})
    assert piped[-1].max_iter == 3
    assert piped.get_params()[f"{step}__max_iter"] == 3


@ALL
def test_pipelines_with_frames(model):
    table = FRAME.assign(word=np.where(X[:, 0] > 0, "yes", "no"))
    _, y = data_for(model)
    prepared = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["word"]), remainder=StandardScaler()
    )
    for output in ("pandas", "polars", "default"):
        piped = make_pipeline(prepared, clone(model)).set_output(transform=output).fit(table, y)
        named = hasattr(piped[-1], "feature_names_in_")
        assert named == (output != "default")
        if named:
            assert piped[-1].feature_names_in_[0] == "onehotencoder__word_no"
        assert piped.predict(table).shape == (160,)


@ALL
def test_names_of_columns(model):
    _, y = data_for(model)
    fitted = clone(model).fit(FRAME, y)
    assert list(fitted.feature_names_in_) == list("abcdef")
    assert fitted.n_features_in_ == 6
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(FRAME[list("fedcba")])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        unnamed = fitted.predict(X)
    assert np.array_equal(unnamed, fitted.predict(FRAME))


@ALL
def test_validation_rows_through_a_pipeline(model):
    x, y = data_for(model)
    model = clone(model).set_params(early_stopping=True)
    with sklearn.config_context(enable_metadata_routing=True):
        asking = clone(model).set_fit_request(X_val=True, y_val=True, sample_weight=True)
        unweighted = StandardScaler().set_fit_request(sample_weight=False)
        piped = make_pipeline(unweighted, asking, transform_input=["X_val"])
        piped.fit(x[:120], y[:120], X_val=x[120:], y_val=y[120:], sample_weight=np.ones(120))
    scaler = StandardScaler().fit(x[:120])
    direct = clone(model).fit(
        scaler.transform(x[:120]),
        y[:120],
        np.ones(120),
        X_val=scaler.transform(x[120:]),
        y_val=y[120:],
    )
    assert sure(piped, x) == sure(direct, scaler.transform(x))
    alone = clone(model).fit(scaler.transform(x[:120]), y[:120])
    assert sure(alone, scaler.transform(x)) != sure(direct, scaler.transform(x))


@ALL
def test_routing_of_weights(model):
    x, y = data_for(model)
    w = np.random.default_rng(0).integers(0, 3, 160).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        asking = (
            clone(model).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        )
        weighted = cross_validate(asking, x, y, cv=3, params={"sample_weight": w})["test_score"]
        found = GridSearchCV(asking, {"max_iter": [5]}, cv=2).fit(x, y, sample_weight=w)
        plain = cross_validate(clone(model), x, y, cv=3)["test_score"]
    assert weighted.tolist() != plain.tolist()
    assert sure(found, x) == sure(clone(model).set_params(max_iter=5).fit(x, y, sample_weight=w), x)
