"""Bad input gets scikit-learn's kind of message, and leaves nothing half done."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor

import onefold
from onefold.estimators import MLPClassifier, MLPRegressor

X = np.random.RandomState(0).standard_normal((40, 3))
CLASSES = (X[:, 0] > 0).astype(int)
NUMBERS = X[:, 1]


@pytest.fixture(autouse=True)
def may_not_converge():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


PARAMETERS = [
    {"hidden_layer_sizes": 0}, {"hidden_layer_sizes": (5, -1)}, {"activation": "rel"}, {"solver": "adm"},
    {"alpha": -1}, {"batch_size": 0}, {"learning_rate": "fast"}, {"learning_rate_init": 0}, {"power_t": -1},
    {"max_iter": 0}, {"shuffle": "yes"}, {"tol": -1}, {"momentum": 1.5}, {"validation_fraction": 1.0},
    {"beta_1": 1.0}, {"epsilon": 0.0}, {"n_iter_no_change": 0}, {"max_fun": -1}, {"early_stopping": 3},
    {"random_state": "zero"},
]  # fmt: skip


@pytest.mark.parametrize("options", PARAMETERS, ids=str)
def test_parameters(options):
    name = next(iter(options))
    for theirs, ours, y in (
        (TheirClassifier, MLPClassifier, CLASSES),
        (TheirRegressor, MLPRegressor, NUMBERS),
    ):
        for estimator in (theirs, ours):
            with pytest.raises(ValueError, match=name) as caught:
                estimator(**options).fit(X, y)
            assert "must be" in str(caught.value)


ROWS = {
    "NaN": (np.where(X > 2, np.nan, X) * np.array([1, 1, np.nan]), CLASSES),
    "one dimension": (X[:, 0], CLASSES),
    "no rows": (X[:0], CLASSES[:0]),
    "lengths": (X, CLASSES[:-1]),
    "complex": (X * 1j, CLASSES),
    "texts": (np.array([["a", "b"]] * 40), CLASSES),
    "y is None": (X, None),
    "y has three dimensions": (X, np.zeros((40, 2, 2))),
}


@pytest.mark.parametrize("case", ROWS)
def test_rows(case):
    data, y = ROWS[case]
    for theirs, ours in ((TheirClassifier, MLPClassifier), (TheirRegressor, MLPRegressor)):
        with pytest.raises((ValueError, TypeError)) as expected:
            theirs().fit(data, y)
        with pytest.raises(type(expected.value)) as caught:
            ours().fit(data, y)
        message = str(caught.value).replace(ours.__name__, theirs.__name__)
        assert message.split("\n")[0] == str(expected.value).split("\n")[0]


def test_prediction():
    for model in (MLPClassifier(), MLPRegressor()):
        with pytest.raises(NotFittedError, match="not fitted"):
            model.predict(X)
        with pytest.raises(NotFittedError, match="not fitted"):
            model.network_  # noqa: B018
        model.set_params(max_iter=1).fit(X, CLASSES)
        with pytest.raises(
            ValueError, match=r"X has 2 features, but MLP.* is expecting 3 features"
        ):
            model.predict(X[:, :2])


def test_weights():
    for weight, message in (
        (-np.ones(40), "Negative values in data passed to `sample_weight`"),
        (np.zeros(40), "at least one non-zero"),
        (np.ones(39), "sample_weight.shape"),
        (np.full(40, np.nan), "NaN"),
    ):
        for model, y in ((MLPClassifier(), CLASSES), (MLPRegressor(), NUMBERS)):
            with pytest.raises(ValueError, match=message):
                model.fit(X, y, sample_weight=weight)
    with pytest.raises(ValueError, match="class_weight"):
        MLPClassifier(class_weight="fair").fit(X, CLASSES)


def test_classes():
    model = MLPClassifier(max_iter=1).partial_fit(X, CLASSES, classes=[0, 1])
    with pytest.raises(ValueError, match="`y` has classes not in"):
        model.partial_fit(X, CLASSES + 1)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        MLPClassifier().partial_fit(X, CLASSES)
    with pytest.raises(ValueError, match="Unknown label type"):
        MLPClassifier().fit(X, NUMBERS)
    with pytest.raises(ValueError, match=r"2 outputs.*trained for 1"):
        MLPRegressor(max_iter=1).fit(X, NUMBERS).partial_fit(X, X[:, :2])
    with pytest.raises(ValueError, match="counts are zero or more"):
        MLPRegressor("poisson").fit(X, NUMBERS)


def test_additions():
    for options, message in (
        (
            {"activation": ["relu"], "hidden_layer_sizes": (3, 3)},
            "activation has 1 entries.*2 hidden",
        ),
        (
            {"activation": ["relu", "rel"], "hidden_layer_sizes": (3, 3)},
            "'rel'; did you mean 'relu'",
        ),
        ({"activation": ["prelu"], "hidden_layer_sizes": (3,)}, "prelu has weights of its own"),
        ({"dropout": [0.1], "hidden_layer_sizes": (3, 3)}, "dropout has 1 entries"),
        ({"dropout": 1.0}, "dropout"),
        ({"hidden_layer_sizes": (5, 2.5)}, "whole numbers"),
        ({"memory": "much"}, "memory is a size"),
        ({"memory": "10kB"}, "memory=.* is too small"),
        ({"micro_batch": 0}, "micro_batch"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"callbacks": [print]}, "callback"),
        ({"solver": "lbfgs", "learning_rate": 3}, "learning_rate"),
        ({"loss": "squared_hinge"}, "loss"),
    ):
        with pytest.raises(ValueError, match=message):
            MLPRegressor(**options).fit(X, NUMBERS)
    for given, message in (
        ({"X_val": X}, "X_val is provided, but y_val was not"),
        ({"y_val": CLASSES}, "y_val is provided, but X_val was not"),
        ({"sample_weight_val": NUMBERS}, "X_val and y_val are not"),
        ({"X_val": X[:, :2], "y_val": CLASSES}, "X has 2 features"),
        ({"X_val": X, "y_val": CLASSES + 5}, "classes not in"),
    ):
        with pytest.raises(ValueError, match=message):
            MLPClassifier().fit(X, CLASSES, **given)


def test_partial_fit_is_for_stochastic_solvers():
    for cls in (MLPClassifier, MLPRegressor):
        assert hasattr(cls(solver=onefold.Adam()), "partial_fit")
        assert not hasattr(cls(solver="lbfgs"), "partial_fit")
        with pytest.raises(AttributeError) as caught:
            cls(solver="lbfgs").partial_fit  # noqa: B018
        assert "lbfgs is not stochastic" in str(caught.value.__cause__)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_numbers_too_large(solver):
    model = MLPRegressor(solver=solver, activation="identity", learning_rate_init=1e3, alpha=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(
            ValueError, match="Solver produced non-finite parameter weights"
        ) as caught:
            model.fit(X * 1e200, NUMBERS)
    assert isinstance(caught.value, onefold.DivergedError)


def test_scikit_learn_is_loaded_when_it_is_touched():
    code = (
        "import sys, onefold; assert 'sklearn' not in sys.modules; assert 'scipy' not in sys.modules\n"
        "assert 'MLPClassifier' in dir(onefold)\n"
        "from onefold import MLPClassifier; assert 'sklearn' in sys.modules\n"
        "assert onefold.MLPClassifier is MLPClassifier is onefold.estimators.MLPClassifier\n"
        "try: onefold.MLPClasifier\n"
        "except AttributeError as error: assert 'MLPClasifier' in str(error)\n"
        "else: raise SystemExit('an unknown name was found')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
