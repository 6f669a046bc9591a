"""scikit-learn's own checks of an estimator, none of them expected to fail."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

import onefold as of

ESTIMATORS = [
    of.NetworkClassifier(),
    of.NetworkRegressor(),
    of.NetworkClassifier((8, of.Dense(8, "tanh")), optimizer="adam", scoring="accuracy"),
    of.NetworkRegressor(loss="huber", standardize=False, categorical_features=None),
]


@parametrize_with_checks(ESTIMATORS)
def test_conventions(estimator, check):
    check(estimator)


def test_tags_say_what_is_taken():
    classifier, regressor = get_tags(of.NetworkClassifier()), get_tags(of.NetworkRegressor())
    for tags in (classifier, regressor):
        assert tags.input_tags.allow_nan
        assert tags.input_tags.categorical
        assert tags.input_tags.sparse
        assert tags.target_tags.multi_output
        assert not tags.non_deterministic
    assert classifier.classifier_tags.multi_label
    assert not regressor.target_tags.positive_only
    assert get_tags(of.NetworkRegressor(loss="gamma")).target_tags.positive_only


@pytest.mark.parametrize("estimator", ESTIMATORS[:2], ids=lambda e: type(e).__name__)
def test_every_parameter_is_documented_and_survives_a_clone(estimator):
    described = type(estimator).__doc__.split("Attributes\n")[0]
    for name in estimator.get_params():
        assert f"{name} :" in described or f"{name}," in described, name
    values = {"layers": (3, of.Dense(2, "gelu")), "optimizer": of.SGD(0.1), "max_iter": 7}
    copied = clone(type(estimator)(**values))
    assert copied.max_iter == 7
    assert copied.optimizer is not values["optimizer"]
    assert repr(copied.layers) == repr(values["layers"])


def test_fitted_attributes():
    X = np.random.default_rng(0).normal(size=(450, 3))
    model = of.NetworkRegressor(random_state=0, max_iter=30).fit(X, X[:, 0])
    described = type(model).__doc__.split("Attributes\n")[1].split("See Also")[0]
    for name in ("network_", "history_", "n_iter_", "best_iteration_", "loss_curve_",
                 "validation_loss_curve_", "validation_scores_", "do_early_stopping_",
                 "n_features_in_", "n_outputs_"):  # fmt: skip
        assert hasattr(model, name)
        assert name in described
    assert len(model.loss_curve_) == len(model.validation_loss_curve_) == model.n_iter_
    assert model.do_early_stopping_
