"""The estimators stand wherever scikit-learn's stand: searches, pipelines, ensembles, routing, callbacks."""

from __future__ import annotations

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    LearningCurveDisplay,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.fixes import parse_version

import onefold as of

VERSION = parse_version(sklearn.__version__)
X, Y = make_classification(160, 6, n_informative=4, random_state=0)
XR, YR = make_regression(160, 6, n_informative=4, noise=5, random_state=0)
FRAME = pd.DataFrame(X, columns=list("abcdef"))


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
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data_for(model):
    return (X, Y) if "Classifier" in name(model) else (XR, YR)


def sure(model, x):
    """Whatever the model predicts, as bytes."""
    p = model.predict_proba(x) if hasattr(model, "predict_proba") else model.predict(x)
    return np.asarray(p).tobytes()


# Copies.


@ALL
def test_clone_and_pickle(model):
    x, y = data_for(model)
    fitted = clone(model).fit(x, y)
    assert clone(fitted).get_params() == model.get_params()
    assert sure(pickle.loads(pickle.dumps(fitted)), x) == sure(fitted, x)
    again = clone(pickle.loads(pickle.dumps(fitted))).fit(x, y)
    assert sure(again, x) == sure(fitted, x)


def test_other_processes(tmp_path):
    """A model that one process saves predicts the same bits in another."""
    models = [clone(model).fit(*data_for(model)) for model in classifiers() + regressors()]
    joblib.dump([(model, data_for(model)[0]) for model in models], tmp_path / "models.joblib")
    code = (
        "import joblib, sys, numpy as np\n"
        "for m, x in joblib.load(sys.argv[1]):\n"
        "    p = m.predict_proba(x) if hasattr(m, 'predict_proba') else m.predict(x)\n"
        "    print(np.asarray(p).tobytes().hex())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "models.joblib")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for line, model in zip(found.stdout.split(), models, strict=True):
        assert bytes.fromhex(line) == sure(model, data_for(model)[0])


@ALL
def test_workers_share_the_processors(model):
    x, y = data_for(model)
    with joblib.parallel_config("loky", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(_trained)(model, x, y) for _ in range(2))
    here = sure(clone(model).fit(x, y), x)
    share = max(1, joblib.cpu_count() // 2)
    assert [bits for bits, _ in found] == [here, here]
    assert [threads for _, threads in found] == [share, share]


def _trained(model, x, y):
    from onefold.estimators._shared import thread_count

    return sure(clone(model).fit(x, y), x), thread_count(None)


@ALL
@pytest.mark.parametrize("backend", ["threading", "loky", "multiprocessing"])
def test_workers_do_not_ask_for_more_threads_than_there_are_processors(model, backend):
    """Whatever the workers are; and the models of all have the same bits."""
    x, y = data_for(model)
    short = clone(model).set_params(max_iter=3)
    with joblib.parallel_config(backend, n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(_trained)(short, x, y) for _ in range(4))
    assert {bits for bits, _ in found} == {sure(clone(short).fit(x, y), x)}
    assert sum(threads for _, threads in found[:2]) <= max(2, joblib.cpu_count())


@ALL
def test_the_order_of_calls_cannot_be_seen(model):
    """Fits and predictions of several models, mixed in any order and by pieces, leave no trace."""
    x, y = data_for(model)
    short = clone(model).set_params(max_iter=4)
    first, other = (
        clone(short).fit(x, y),
        clone(short).set_params(random_state=7).fit(x[::-1], y[::-1]),
    )
    alone = sure(first, x)
    again = clone(short)
    for _ in range(2):  # a second fit begins anew
        other.predict(x[:7])
        again.fit(x, y)
        other.fit(x[::-1], y[::-1])
        pieces = [sure(again, x[i : i + 41]) for i in range(0, 160, 41)]
        assert b"".join(pieces) == alone
    assert again.network_.fingerprint() == first.network_.fingerprint()
    if hasattr(model, "partial_fit"):
        classes = {"classes": np.unique(y)} if "Classifier" in name(model) else {}
        mixed, plain = clone(model), clone(model)
        for i in (0, 80):
            plain.partial_fit(x[i : i + 80], y[i : i + 80], **classes)
        for i in (0, 80):
            mixed.partial_fit(x[i : i + 80], y[i : i + 80], **classes).predict(x)
            other.partial_fit(x[:50], y[:50], **classes)
        assert mixed.network_.fingerprint() == plain.network_.fingerprint()


@ALL
def test_nested_parameters(model):
    piped = make_pipeline(StandardScaler(), clone(model))
    step = piped.steps[-1][0]
    piped.set_params(**{f"{step}__max_iter": 3})
    assert piped[-1].max_iter == 3
    assert piped.get_params()[f"{step}__max_iter"] == 3


# Searches and validation.


@ALL
def test_searches(model):
    x, y = data_for(model)
    hidden = "layers" if "Network" in name(model) else "hidden_layer_sizes"
    grid = {hidden: [(2,), (8, 4)], "max_iter": [2, 80]}
    found = GridSearchCV(model, grid, cv=3).fit(x, y)
    assert found.best_params_["max_iter"] == 80
    assert found.best_score_ > 0.5
    drawn = RandomizedSearchCV(model, grid, n_iter=2, cv=2, random_state=0, n_jobs=2).fit(x, y)
    assert drawn.score(x, y) > 0
    halved = HalvingGridSearchCV(model, {hidden: [(2,), (6,), (8, 4)]}, cv=2, random_state=0).fit(
        x, y
    )
    assert halved.n_iterations_ >= 2
    by_epochs = HalvingGridSearchCV(
        model,
        {hidden: [(2,), (6,), (8,)]},
        cv=2,
        resource="max_iter",
        max_resources=30,
        random_state=0,
    ).fit(x, y)
    assert by_epochs.best_estimator_.max_iter == 30


@ALL
def test_cross_validation(model):
    x, y = data_for(model)
    together, apart = (cross_val_score(model, x, y, cv=3, n_jobs=n) for n in (1, 2))
    assert together.tolist() == apart.tolist()
    assert together.mean() > 0.6
    assert set(cross_validate(model, x, y, cv=2, return_train_score=True)) >= {"train_score"}
    LearningCurveDisplay.from_estimator(model, x, y, cv=2, train_sizes=[0.5, 1.0])


@CLASSIFIERS
@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function"]
)
def test_predictions_by_cross_validation(model, method):
    if not hasattr(model, method):
        pytest.skip(f"scikit-learn's MLPClassifier has no {method} either")
    found = cross_val_predict(model, X, Y, cv=3, method=method)
    assert len(found) == 160
    if method == "predict":
        assert (found == Y).mean() > 0.7


def test_several_targets_by_cross_validation():
    model = of.NetworkClassifier((16,), max_iter=30, random_state=0)
    several = np.column_stack(
        [np.where(Y, "yes", "no"), np.digitize(X[:, 0], [-0.5, 0.5]).astype(str)]
    )
    folds = KFold(3, shuffle=True, random_state=0)
    assert (cross_val_predict(model, X, several, cv=folds) == several).mean() > 0.7
    parts = cross_val_predict(model, X, several, cv=folds, method="predict_proba")
    assert [part.shape for part in parts] == [(160, 2), (160, 3)]
    assert GridSearchCV(model, {"max_iter": [1, 30]}, cv=folds).fit(X, several).best_score_ > 0.4


@CLASSIFIERS
@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_calibration(model, method):
    if method == "temperature" and parse_version("1.8") > VERSION:
        pytest.skip("this scikit-learn has no calibration by temperature")
    calibrated = CalibratedClassifierCV(model, method=method, cv=3).fit(X, Y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)
    assert calibrated.score(X, Y) > 0.7


@CLASSIFIERS
def test_calibration_of_a_fitted_one_and_thresholds(model):
    fitted = clone(model).fit(X[:100], Y[:100])
    assert CalibratedClassifierCV(FrozenEstimator(fitted)).fit(X[100:], Y[100:]).score(X, Y) > 0.7
    CalibrationDisplay.from_estimator(fitted, X, Y)
    assert 0 < TunedThresholdClassifierCV(model, cv=3).fit(X, Y).best_threshold_ < 1


@ALL
def test_inspection(model):
    x, y = data_for(model)
    fitted = clone(model).fit(x, y)
    importance = permutation_importance(fitted, x, y, n_repeats=3, random_state=0, n_jobs=2)
    assert importance.importances_mean.max() > 0.05
    assert partial_dependence(fitted, x, [0]).average.shape[0] == 1
    selected = SequentialFeatureSelector(model, n_features_to_select=2, cv=2).fit(x, y)
    assert selected.get_support().sum() == 2


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


# scikit-learn's callbacks.


try:
    from sklearn import callback
except ImportError:
    callback = None
CALLBACKS = pytest.mark.skipif(callback is None, reason="this scikit-learn has no callbacks")


class Watch:
    """Counts tasks, scores the estimator as it is at the end of each, and stops when told to."""

    def __init__(self, last=None):
        self.last, self.calls, self.scores = last, [], []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.calls.append(f"end {context.task_name}")
        self.scores.append(fitted_estimator.score(X, y))
        return context.task_name == "epoch" and context.task_id == self.last


@ALL
@CALLBACKS
def test_callbacks_see_every_epoch(model):
    x, y = data_for(model)
    watch = Watch(last=4)
    fitted = clone(model).set_callbacks(watch).fit(x, y)
    assert fitted.n_iter_ == 5
    epochs = ["begin epoch", "end epoch"] * 5
    assert watch.calls == ["setup", "begin fit", *epochs, "end fit", "teardown"]
    assert len(set(watch.scores)) > 2
    assert watch.scores[-1] == fitted.score(x, y)
    short = clone(model).set_params(max_iter=5).set_callbacks().fit(x, y)
    assert sure(short, x) == sure(fitted, x)


@ALL
@CALLBACKS
def test_callbacks_that_score_and_after_an_error(model):
    x, y = data_for(model)
    monitor = callback.ScoringMonitor(scoring="accuracy" if "Classifier" in name(model) else "r2")
    clone(model).set_params(max_iter=4).set_callbacks(monitor).fit(x, y)
    rows = monitor.get_logs().data
    assert sum(row["task_name"] == "epoch" for row in rows) == 4
    watch = Watch()
    with pytest.raises(ValueError, match="features"):
        clone(model).set_callbacks(watch).fit(x, y, X_val=x[:, :2], y_val=y)
    assert watch.calls in ([], ["setup", "teardown"])


@ALL
@CALLBACKS
@pytest.mark.filterwarnings("ignore:The estimator StandardScaler does not support callbacks")
def test_callbacks_come_down_a_pipeline(model):
    class Everywhere(Watch):
        max_propagation_depth = None

        def on_fit_task_end(self, estimator, context):
            self.calls.append(f"end {context.estimator_name} {context.task_name}")

    x, y = data_for(model)
    watch = Everywhere()
    piped = make_pipeline(StandardScaler(), clone(model).set_params(max_iter=3))
    piped.set_callbacks(watch).fit(x, y)
    assert watch.calls.count(f"end {name(model)} epoch") == 3
    assert watch.calls[-1] == "teardown"
    piped.set_callbacks(callback.ProgressBar()).fit(x, y)
