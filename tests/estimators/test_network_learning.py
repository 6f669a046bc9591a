"""The network estimators learn what they say: against closed forms, other libraries, and by hand."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn import linear_model
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.metrics import log_loss, mean_gamma_deviance, mean_pinball_loss, mean_poisson_deviance

import onefold as of
from onefold.estimators.network_losses import Heads

RNG = np.random.default_rng(5)
X = RNG.normal(size=(120, 3)) * [1, 10, 0.1] + [0, 5, 2]
MEAN = np.exp(0.3 * X[:, 0] - 0.05 * X[:, 1] + 1)
LINEAR = {"layers": (), "l2_regularization": 0, "optimizer": "adam", "batch_size": 120,
          "max_iter": 4000, "learning_rate": of.schedules.Exponential(0.05, 0.998), "random_state": 0}  # fmt: skip


def linear(**options):
    return of.NetworkRegressor(**{**LINEAR, **options})


# Without hidden layers the network is a linear model, whose optimum others know.


def test_squared_error_is_least_squares():
    y = X @ [1, -2, 30] + RNG.normal(size=120)
    ours = linear().fit(X, y).predict(X)
    theirs = linear_model.LinearRegression().fit(X, y).predict(X)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_weighted_least_squares():
    y, w = X @ [1, -2, 30] + RNG.normal(size=120), RNG.integers(0, 4, 120)
    ours = linear().fit(X, y, sample_weight=w).predict(X)
    theirs = linear_model.LinearRegression().fit(X, y, sample_weight=w).predict(X)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_poisson_reaches_its_optimum():
    y = RNG.poisson(MEAN)
    ours = linear(loss="poisson").fit(X, y).predict(X)
    theirs = linear_model.PoissonRegressor(alpha=0, tol=1e-10, max_iter=1000).fit(X, y).predict(X)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)
    assert mean_poisson_deviance(y, ours) <= mean_poisson_deviance(y, theirs) + 1e-7


def test_gamma_reaches_its_optimum():
    y, w = RNG.gamma(2, MEAN / 2), RNG.integers(1, 4, 120)
    ours = linear(loss="gamma").fit(X, y, sample_weight=w).predict(X)
    model = linear_model.GammaRegressor(alpha=0, tol=1e-10, max_iter=1000)
    theirs = model.fit(X, y, sample_weight=w).predict(X)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)
    ours, theirs = (mean_gamma_deviance(y, p, sample_weight=w) for p in (ours, theirs))
    assert ours <= theirs + 1e-7


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_quantiles_reach_their_optimum(quantile):
    y = X @ [1, -2, 30] + RNG.gamma(1, 1, size=120)
    ours = linear(loss="quantile", quantile=quantile).fit(X, y).predict(X)
    theirs = linear_model.QuantileRegressor(quantile=quantile, alpha=0).fit(X, y).predict(X)
    ours, theirs = (mean_pinball_loss(y, p, alpha=quantile) for p in (ours, theirs))
    assert theirs - 1e-9 <= ours <= theirs * 1.01


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_are_logistic_regression(classes):
    data, y = load_iris(return_X_y=True)
    data, y = data[y < classes] + 2 * RNG.normal(size=(50 * classes, 4)), y[y < classes]
    ours = of.NetworkClassifier(**{**LINEAR, "batch_size": 150}).fit(data, y)
    theirs = linear_model.LogisticRegression(C=1e9, max_iter=5000, tol=1e-9).fit(data, y)
    np.testing.assert_allclose(ours.predict_proba(data), theirs.predict_proba(data), atol=2e-3)
    assert (ours.predict(data) == theirs.predict(data)).mean() > 0.99
    if classes == 2:
        np.testing.assert_allclose(
            ours.decision_function(data), theirs.decision_function(data), rtol=0.02, atol=0.02
        )


# Losses of our own.


def _numeric(function, z, weight, y):
    """The gradient of a loss's sum, by differences, against the one it gives."""
    shape = z.shape

    def total(flat):
        return function(y, flat.reshape(shape), weight)[0].sum()

    def slope(flat):
        return function(y, flat.reshape(shape), weight)[1].ravel()

    return check_grad(total, slope, z.ravel()) / max(1, np.abs(slope(z.ravel())).max())


def test_the_gradient_of_several_targets():
    z, w = RNG.normal(size=(6, 5)), RNG.random(6)
    heads = Heads.of([2, 3])
    y = heads.targets(np.column_stack([RNG.integers(0, 2, 6), RNG.integers(0, 3, 6)]), 0.1, float)
    np.testing.assert_allclose(y.sum(axis=1), 2)
    assert _numeric(heads, z, w, y) < 1e-6


def test_heads_are_softmaxes_of_their_own():
    heads = Heads.of([2, 4])
    z, numbers = (
        RNG.normal(size=(50, 6)) * 5,
        np.column_stack([RNG.integers(0, 2, 50), RNG.integers(0, 4, 50)]),
    )
    loss, _ = heads(heads.targets(numbers, 0.0, float), z, np.ones(50))
    parts = heads.probabilities(z)
    expected = [log_loss(numbers[:, i], p, labels=range(p.shape[1])) for i, p in enumerate(parts)]
    np.testing.assert_allclose(loss.mean(), np.mean(expected), rtol=1e-12)


def test_several_targets_of_several_classes():
    data, y = load_iris(return_X_y=True)
    several = np.column_stack(
        [np.array(["a", "b", "c"])[y], np.where(data[:, 0] > 5.8, "big", "small")]
    )
    model = of.NetworkClassifier(random_state=0).fit(data, several)
    assert [list(part) for part in model.classes_] == [["a", "b", "c"], ["big", "small"]]
    p = model.predict_proba(data)
    assert [part.shape for part in p] == [(150, 3), (150, 2)]
    for part in p:
        np.testing.assert_allclose(part.sum(axis=1), 1)
    predicted = model.predict(data)
    for i, part in enumerate(p):
        assert (model.classes_[i][part.argmax(axis=1)] == predicted[:, i]).all()
    first, second = model.decision_function(data)
    assert (first.argmax(axis=1) == p[0].argmax(axis=1)).all()
    assert ((second > 0) == (p[1][:, 1] > 0.5)).all()
    assert model.score(data, several) > 0.95
    one_each = [of.NetworkClassifier(random_state=0).fit(data, several[:, i]) for i in (0, 1)]
    for i, single in enumerate(one_each):
        assert (single.predict(data) == predicted[:, i]).mean() > 0.97


def test_labels_and_targets_of_numbers():
    data, labels = make_multilabel_classification(300, n_classes=4, random_state=1)
    model = of.NetworkClassifier(random_state=0).fit(data, labels)
    p = model.predict_proba(data)
    assert p.shape == model.decision_function(data).shape == (300, 4)
    assert (model.predict(data) == (p > 0.5)).all()
    assert model.score(data, labels) > 0.9
    data, y = load_diabetes(return_X_y=True)
    both = np.column_stack([y, -100 * y + 3])
    model = of.NetworkRegressor(random_state=0, early_stopping=False, max_iter=60).fit(data, both)
    single = of.NetworkRegressor(random_state=0, early_stopping=False, max_iter=60).fit(data, y)
    assert model.predict(data).shape == both.shape
    assert model.score(data, both) > 0.6
    assert single.score(data, y) > 0.6


# What the fit does, by hand.


def test_the_fit_is_that_of_a_network_on_standardised_numbers():
    y = MEAN + 3
    model = of.NetworkRegressor(
        (7,), activation="tanh", random_state=3, dtype="float64", max_iter=5
    ).fit(X, y)
    seed = int(np.random.RandomState(3).randint(np.iinfo(np.int32).max))
    net = of.Network([of.Dense(7, "tanh"), of.Dense(1)], 3, seed=seed, dtype="float64")
    scaled, target = ((a - a.mean(axis=0)) / a.std(axis=0) for a in (X, y))
    net.fit(
        scaled,
        target,
        loss="squared_error",
        optimizer=of.AdamW(0.003, weight_decay=3.0),
        epochs=5,
        batch_size=32,
        verbose=0,
    )
    np.testing.assert_allclose(
        model.predict(X), net.predict(scaled)[:, 0] * y.std() + y.mean(), rtol=1e-9
    )


def test_rows_of_weight_zero_are_absent_to_the_bit():
    y, w = MEAN, RNG.integers(0, 2, 120)
    one = of.NetworkRegressor(random_state=0, max_iter=10).fit(X, y, sample_weight=w)
    other = of.NetworkRegressor(random_state=0, max_iter=10).fit(X[w > 0], y[w > 0])
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-10)
    again = of.NetworkRegressor(random_state=0, max_iter=10).fit(
        X[w > 0], y[w > 0], np.ones(w.sum())
    )
    assert one.network_.fingerprint() == again.network_.fingerprint()


def test_class_weights_are_sample_weights():
    data, y = load_iris(return_X_y=True)
    y = np.minimum(y, 1)
    balanced = of.NetworkClassifier(random_state=0, max_iter=5, class_weight="balanced").fit(
        data, y
    )
    given = of.NetworkClassifier(random_state=0, max_iter=5, class_weight={0: 1.5, 1: 0.75}).fit(
        data, y
    )
    by_hand = of.NetworkClassifier(random_state=0, max_iter=5).fit(
        data, y, np.array([1.5, 0.75])[y]
    )
    plain = of.NetworkClassifier(random_state=0, max_iter=5).fit(data, y)
    prints = [m.network_.fingerprint() for m in (balanced, given, by_hand, plain)]
    assert prints[0] == prints[1] == prints[2] != prints[3]


def test_early_stopping_goes_back_to_the_best_epoch():
    data, y = load_diabetes(return_X_y=True)
    model = of.NetworkRegressor(random_state=0, n_iter_no_change=7).fit(
        data[:300], y[:300], X_val=data[300:], y_val=y[300:]
    )
    best = int(np.argmin(model.validation_loss_curve_))
    assert model.best_iteration_ == best + 1 == model.n_iter_ - 7
    loss = np.mean((model.predict(data[300:]) - y[300:]) ** 2) / y[:300].var()
    np.testing.assert_allclose(loss, model.validation_loss_curve_[best], rtol=1e-5)
    assert model.history_.stopped == "patience"


def test_early_stopping_by_a_score():
    data, y = load_iris(return_X_y=True)
    noisy = data + RNG.normal(size=data.shape)
    model = of.NetworkClassifier(random_state=0, n_iter_no_change=9, scoring="accuracy").fit(
        noisy[::2], y[::2], X_val=noisy[1::2], y_val=y[1::2]
    )
    best = int(np.argmax(model.validation_scores_))
    assert model.best_iteration_ == best + 1 == model.n_iter_ - 9
    assert model.score(noisy[1::2], y[1::2]) == model.validation_scores_[best]
    assert len(model.validation_loss_curve_) == model.n_iter_


def test_rows_set_aside_keep_the_shares_of_classes():
    data, y = load_iris(return_X_y=True)
    model = of.NetworkClassifier(
        early_stopping=True, validation_fraction=30, random_state=0, max_iter=2
    )
    model.fit(data, y)
    training, held_out = model._split(model._read(data, y, None), None)
    assert np.bincount(held_out.y).tolist() == [10, 10, 10]
    assert sorted([*training.places, *held_out.places]) == list(range(150))


def test_validation_rows_without_early_stopping_are_only_watched():
    options = {"random_state": 0, "max_iter": 4, "early_stopping": False}
    watched = of.NetworkRegressor(**options).fit(X, MEAN, X_val=X[:5], y_val=MEAN[:5])
    alone = of.NetworkRegressor(**options).fit(X, MEAN)
    assert watched.network_.fingerprint() == alone.network_.fingerprint()
    assert len(watched.validation_loss_curve_) == 4
    assert alone.validation_loss_curve_ is None


def test_warm_start_goes_on_as_if_never_interrupted():
    options = {"random_state": 0, "early_stopping": False, "dropout": 0.1}
    whole = of.NetworkRegressor(max_iter=6, **options).fit(X, MEAN)
    part = of.NetworkRegressor(max_iter=3, warm_start=True, **options).fit(X, MEAN)
    part = pickle.loads(pickle.dumps(part)).fit(X, MEAN)
    assert part.network_.fingerprint() == whole.network_.fingerprint()
    cold = of.NetworkRegressor(max_iter=3, **options).fit(X, MEAN).fit(X, MEAN)
    assert cold.network_.fingerprint() != whole.network_.fingerprint()


def test_layers_optimizers_and_rates_reach_the_network():
    layers = [of.Dense(6, "gelu"), of.Dropout(0.5), 4]
    model = of.NetworkClassifier(layers, activation="tanh", dropout=0.25, optimizer="sgd",
                                 learning_rate=0.5, l2_regularization=0.1, max_iter=1)  # fmt: skip
    data, y = load_iris(return_X_y=True)
    model.fit(data, y)
    shown = [repr(layer) for layer in model.network_.layers]
    assert shown == [
        "Dense(6, 'gelu')",
        "Dropout(0.5)",
        "Dense(4, 'tanh')",
        "Dropout(0.25)",
        "Dense(3)",
    ]
    assert (
        model._optimizer.name,
        model._optimizer.learning_rate,
        model._optimizer.weight_decay,
    ) == ("sgd", 0.5, 0.1)
    own = of.NetworkClassifier(optimizer=of.Lion(0.01), max_iter=1).fit(data, y)
    assert own._optimizer.learning_rate == 0.01
    assert own._optimizer is not own.optimizer
    cosine = of.NetworkClassifier(learning_rate=of.schedules.Cosine(0.01), max_iter=1).fit(data, y)
    assert isinstance(cosine._optimizer.learning_rate, of.schedules.Cosine)


def test_callbacks_are_called():
    class Stop(of.Callback):
        def on_epoch_end(self, epoch, logs):
            self.stop = epoch == 2

    model = of.NetworkRegressor(callbacks=[Stop()]).fit(X, MEAN)
    assert model.n_iter_ == 3


def test_losses_of_ones_own():
    y = MEAN
    named = of.NetworkRegressor(loss="huber", random_state=0, max_iter=3).fit(X, y)
    wrapped = of.NetworkRegressor(loss=of.Huber(1.0), random_state=0, max_iter=3).fit(X, y)
    assert named.network_.fingerprint() == wrapped.network_.fingerprint()

    def squares(y, z, w):
        return w * ((z - y) ** 2)[:, 0], 2 * w[:, None] * (z - y)

    own = of.NetworkRegressor(loss=squares, random_state=0, max_iter=3).fit(X, y)
    native = of.NetworkRegressor(random_state=0, max_iter=3).fit(X, y)
    np.testing.assert_allclose(own.predict(X), native.predict(X), rtol=1e-9)
    smooth = of.NetworkClassifier(loss=of.CrossEntropy(label_smoothing=0.2), random_state=0)
    data, classes = load_iris(return_X_y=True)
    assert smooth.fit(data, classes).predict_proba(data).max() < 0.95


@pytest.mark.parametrize("constant", [0.0, 3.5, 0.1, -1e-9])
def test_constant_targets_and_columns(constant):
    y, data = np.full(120, constant), np.column_stack([X, np.full(120, 0.1)])
    np.testing.assert_allclose(
        of.NetworkRegressor(random_state=0).fit(data, y).predict(data), constant, rtol=1e-12
    )
    one = of.NetworkClassifier().fit(data, np.array(["only"] * 120))
    assert set(one.predict(data)) == {"only"}
    assert one.predict_proba(data).tolist() == [[1.0]] * 120


@pytest.mark.parametrize(
    "seed", [9, 15, 52, 57]
)  # with the weight decay of larger tables all saturate
def test_probabilities_of_a_small_table_keep_the_order_of_the_decisions(seed):
    X, y = make_multilabel_classification(42, n_labels=5, n_classes=3, random_state=42)
    model = of.NetworkClassifier(random_state=seed).fit(X, y)
    decisions, probabilities = model.decision_function(X), model.predict_proba(X)
    for column in range(3):
        order = np.argsort(decisions[:, column])
        assert (np.diff(decisions[order, column]) > 0).all()
        assert (np.diff(probabilities[order, column]) > 0).all()


def test_a_small_table_of_noise_is_not_learned_by_heart():
    X, y = load_diabetes(return_X_y=True)
    fitted = of.NetworkRegressor(random_state=0).fit(X[:320], y[:320])
    assert fitted.score(X[320:], y[320:]) > 0.4
