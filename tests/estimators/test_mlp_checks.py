"""scikit-learn's own checks of an estimator, with no failure expected."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import onefold


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([onefold.MLPClassifier(), onefold.MLPRegressor()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)
