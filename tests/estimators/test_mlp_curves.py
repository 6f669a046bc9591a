"""The same random state gives scikit-learn's loss curve: its weights, its orders of rows, its losses."""

import warnings

import numpy as np
import pytest
import sklearn
from sklearn import neural_network
from sklearn.datasets import make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.fixes import parse_version

import onefold

RNG = np.random.RandomState(3)
X = RNG.standard_normal((230, 7))
CLASSES = np.array(["a", "b", "c"])[np.argmax(X @ RNG.standard_normal((7, 3)), axis=1)]
#: scikit-learn before 1.9 cannot stop early where classes are words.
WORDS = parse_version(sklearn.__version__) >= parse_version("1.9")
STOPPED = CLASSES if WORDS else np.unique(CLASSES, return_inverse=True)[1]
NUMBERS = X @ RNG.standard_normal(7) + 0.1 * RNG.standard_normal(230)
SEVERAL = X @ RNG.standard_normal((7, 3)) + 0.1 * RNG.standard_normal((230, 3))
COUNTS = RNG.poisson(np.exp(0.3 * X @ RNG.standard_normal((7, 2))))
LABELS = (X @ RNG.standard_normal((7, 4)) > 0).astype(int)
WEIGHT = RNG.randint(0, 4, 230).astype(float)

TARGETS = {
    "multiclass": ("MLPClassifier", CLASSES, {}),
    "binary": ("MLPClassifier", CLASSES == "a", {}),
    "multilabel": ("MLPClassifier", LABELS, {}),
    "squared_error": ("MLPRegressor", NUMBERS, {}),
    "several outputs": ("MLPRegressor", SEVERAL, {}),
    "poisson": ("MLPRegressor", COUNTS[:, 0], {"loss": "poisson"}),
    "poisson, several outputs": ("MLPRegressor", COUNTS, {"loss": "poisson"}),
}


def pair(name, y, *, data=X, weight=None, **options):
    """scikit-learn's and onefold's estimator after the same fit."""
    options = {
        "hidden_layer_sizes": (9, 6),
        "max_iter": 6,
        "random_state": 0,
        "alpha": 0.1,
    } | options
    both = []
    for library in (neural_network, onefold):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            both.append(getattr(library, name)(**options).fit(data, y, sample_weight=weight))
    return both


def assert_alike(theirs, ours, rtol=1e-9):
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=rtol)
    for a, b in zip(
        ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
    ):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=rtol * 100, atol=rtol * 10)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=rtol)
    assert (ours.best_loss_ is None) == (theirs.best_loss_ is None)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("target", TARGETS)
def test_every_loss_solver_and_activation(target, solver, activation):
    name, y, options = TARGETS[target]
    theirs, ours = pair(
        name,
        y,
        solver=solver,
        activation=activation,
        batch_size=50,
        learning_rate_init=0.01,
        **options,
    )
    assert_alike(theirs, ours)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("target", TARGETS)
def test_lbfgs(target, weight):
    name, y, options = TARGETS[target]
    if target == "several outputs":
        pytest.skip("scikit-learn's gradient is too large there (scikit-learn #8349)")
    theirs, ours = pair(name, y, solver="lbfgs", weight=weight, **options)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-9)
    assert ours.n_iter_ == theirs.n_iter_ == 6
    for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


OPTIONS = {
    "rows as they stand": {"shuffle": False},
    "batches of 32": {"batch_size": 32},
    "sgd without momentum": {"solver": "sgd", "momentum": 0.0},
    "sgd without nesterov": {"solver": "sgd", "nesterovs_momentum": False},
    "sgd with momentum 1": {"solver": "sgd", "momentum": 1.0},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5, "power_t": 0.3},
    "adaptive": {
        "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.2, "tol": 0.05,
        "n_iter_no_change": 1, "max_iter": 40,
    },
    "adaptive without nesterov": {
        "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.2, "tol": 0.05,
        "n_iter_no_change": 1, "max_iter": 40, "nesterovs_momentum": False, "momentum": 0.5,
    },
    "betas and epsilon": {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-2},
    "no first moment": {"beta_1": 0.0},
    "no penalty": {"alpha": 0.0},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "early stopping": {"early_stopping": True, "max_iter": 30, "validation_fraction": 0.2},
    "stalls": {"tol": 0.1, "n_iter_no_change": 2, "max_iter": 60},
}  # fmt: skip


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("target", ["multiclass", "binary", "several outputs", "poisson"])
@pytest.mark.parametrize("case", OPTIONS)
def test_options(case, target, weight):
    name, y, options = TARGETS[target]
    y = STOPPED if (case, target) == ("early stopping", "multiclass") else y
    theirs, ours = pair(name, y, weight=weight, **(options | OPTIONS[case]))
    assert_alike(theirs, ours)
    if ours.early_stopping:
        np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-7)
        assert ours.best_validation_score_ == max(ours.validation_scores_)


def test_a_changed_learning_rate_was_tested():
    """The cases of adaptive rates did change the rate, and those that stall did stop."""
    theirs, ours = pair("MLPClassifier", CLASSES, **OPTIONS["adaptive"])
    assert ours._optimizer.learning_rate == theirs._optimizer.learning_rate < 0.2
    _, ours = pair("MLPClassifier", CLASSES, **OPTIONS["stalls"])
    assert ours.n_iter_ < 60


@pytest.mark.parametrize("target", ["multiclass", "squared_error", "multilabel"])
def test_float32(target):
    name, y, options = TARGETS[target]
    theirs, ours = pair(name, y, data=X.astype(np.float32), batch_size=50, **options)
    assert_alike(theirs, ours, rtol=2e-6)


def test_labels_of_a_made_problem():
    data, y = make_multilabel_classification(n_samples=90, random_state=1)
    theirs, ours = pair("MLPClassifier", y, data=data, learning_rate_init=0.01)
    assert_alike(theirs, ours)
    np.testing.assert_array_equal(ours.predict(data), theirs.predict(data))


def test_several_calls():
    """Warm starts and pieces go on where scikit-learn's go on."""
    for options in ({"solver": "sgd", "learning_rate": "invscaling"}, {}):
        models = pair("MLPClassifier", CLASSES, warm_start=True, **options)
        for model in models:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.set_params(max_iter=9).fit(X[:200], CLASSES[:200])
        assert_alike(*models)
    pieces = [
        library.MLPClassifier((5,), random_state=2, solver=solver)
        for solver in ("adam", "sgd")
        for library in (neural_network, onefold)
    ]
    for model in pieces:
        for first in (0, 100, 200, 0):
            rows = slice(first, first + 100)
            model.partial_fit(X[rows], CLASSES[rows], classes=["a", "b", "c"])
    assert_alike(*pieces[:2])
    assert_alike(*pieces[2:])


def test_the_best_weights_of_an_earlier_call():
    """They are kept, where scikit-learn's are overwritten by the call that goes on from them."""
    theirs, ours = pair("MLPClassifier", STOPPED, warm_start=True, early_stopping=True, max_iter=40)
    best = [coef.copy() for coef in ours.coefs_]
    score = ours.best_validation_score_
    for model in (theirs, ours):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.set_params(max_iter=3, learning_rate_init=1e-9).fit(X, STOPPED)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    assert ours.best_validation_score_ == theirs.best_validation_score_
    for a, b in zip(best, ours.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)

    ours.coefs_[0][...] = 0  # the user's, not the best ones
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours.fit(X, STOPPED)
    assert ours.best_validation_score_ == score
    np.testing.assert_array_equal(best[0], ours.coefs_[0])


OUTPUT = {
    "sgd, adaptive": {**OPTIONS["adaptive"], "max_iter": 60},
    "sgd, adaptive to the end": {**OPTIONS["adaptive"], "max_iter": 200, "tol": 10.0},
    "adam": {"max_iter": 30, "tol": 0.05, "n_iter_no_change": 2},
    "early stopping": {"max_iter": 60, "early_stopping": True, "n_iter_no_change": 2},
}


@pytest.mark.parametrize("case", OUTPUT)
def test_what_is_printed(case, capfd):
    """Line by line what scikit-learn prints."""
    printed = []
    for library in (neural_network, onefold):
        options = {"random_state": 0, "verbose": True, "hidden_layer_sizes": (6,)} | OUTPUT[case]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            library.MLPClassifier(**options).fit(X, STOPPED)
        printed.append(capfd.readouterr().out)
    assert printed[0] == printed[1]
    assert "stopping" in printed[0].lower() or "learning rate" in printed[0].lower()


def test_the_gradient_of_several_outputs_in_lbfgs():
    """Ours is the gradient of the reported loss (scikit-learn #8349), so it reaches a smaller one."""
    data, y = make_regression(n_samples=100, n_features=5, n_targets=4, random_state=0)
    y = y / y.std()
    theirs, ours = pair("MLPRegressor", y, data=data, solver="lbfgs", max_iter=300, alpha=10.0)
    assert ours.loss_ < theirs.loss_
