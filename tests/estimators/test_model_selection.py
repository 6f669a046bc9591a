"""The estimators in searches, cross-validation, calibration and inspection."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from composition_shared import ALL, CLASSIFIERS, X, Y, data_for, name
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence, permutation_importance
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
from sklearn.utils.fixes import parse_version

import onefold as of

VERSION = parse_version(sklearn.__version__)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
