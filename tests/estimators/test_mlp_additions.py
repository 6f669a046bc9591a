"""What onefold's multi-layer perceptrons have beyond scikit-learn's."""

import os
import signal
import threading
import warnings

import numpy as np
import pytest
import sklearn.neural_network
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss, mean_gamma_deviance, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import onefold
from onefold.estimators import MLPClassifier, MLPRegressor

RNG = np.random.RandomState(7)
X = RNG.standard_normal((300, 6))
CLASSES = (X[:, 0] + 0.5 * RNG.standard_normal(300) > 0.8).astype(int)
NUMBERS = np.abs(X[:, 0]) + X[:, 1] + 0.1 * RNG.standard_normal(300)


@pytest.fixture(autouse=True)
def may_not_converge():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@pytest.mark.parametrize(
    "solver", ["adamw", "adamax", "nadam", "rmsprop", "adagrad", "adadelta", "lion"]
)
def test_other_optimizers_learn(solver):
    rate = 1.0 if solver == "adadelta" else 0.01
    model = MLPRegressor(solver=solver, learning_rate_init=rate, random_state=0, max_iter=60)
    assert model.fit(X, NUMBERS).score(X, NUMBERS) > 0.6


def test_an_optimizer_object_is_used_as_it_is():
    """It brings its own learning rate, its formula (PyTorch's epsilon), and its clipping."""
    optimizer = onefold.Adam(onefold.schedules.Step(0.02, factor=0.5, every=5))
    model = MLPRegressor(
        hidden_layer_sizes=(4,),
        solver=optimizer,
        alpha=0,
        random_state=0,
        max_iter=3,
        shuffle=False,
        batch_size=50,
    )
    model.fit(X, NUMBERS)

    start = MLPRegressor(
        hidden_layer_sizes=(4,), random_state=0, max_iter=1, learning_rate_init=1e-300
    ).fit(X, NUMBERS)
    net = start.network_
    kept = dict(zip(("dense_0.weight", "dense_1.weight"), start.coefs_, strict=True))
    kept |= dict(zip(("dense_0.bias", "dense_1.bias"), start.intercepts_, strict=True))
    for name, values in kept.items():
        net.parameters[name] = values
    history = net.fit(X, NUMBERS, loss="squared_error", optimizer=optimizer, epochs=3, batch_size=50,
                      shuffle=False, verbose=0)  # fmt: skip
    # scikit-learn counts half the squared error, which Adam hardly notices: only its epsilon does.
    np.testing.assert_allclose(model.loss_curve_, np.array(history.logs["loss"]) / 2, rtol=1e-5)
    assert repr(optimizer) == repr(model.solver)


def test_schedules():
    schedule = onefold.schedules.Cosine(0.05)
    for solver in ("adam", "sgd", "rmsprop"):
        model = MLPRegressor(solver=solver, learning_rate=schedule, random_state=0, max_iter=20)
        assert model.fit(X, NUMBERS).score(X, NUMBERS) > 0.5
    plateau = onefold.schedules.ReduceOnPlateau(0.05, patience=0)
    model = MLPRegressor(learning_rate=plateau, random_state=0, max_iter=80, tol=0).fit(X, NUMBERS)
    assert model._optimizer.optimizer.learning_rate.state()["rate"] < 0.05
    assert plateau.state()["rate"] == 0.05  # the user's object heard nothing


def test_class_weight():
    """A class weight is a sample weight of the class's rows."""
    model = MLPClassifier((5,), random_state=0, max_iter=10)
    balanced = clone(model).set_params(class_weight="balanced").fit(X, CLASSES)
    share = CLASSES.mean()
    weight = np.where(CLASSES == 1, 0.5 / share, 0.5 / (1 - share))
    np.testing.assert_allclose(
        balanced.loss_curve_, model.fit(X, CLASSES, weight).loss_curve_, rtol=1e-12
    )
    given = clone(model).set_params(class_weight={0: 1, 1: 3}).fit(X, CLASSES, np.full(300, 2.0))
    once = clone(model).fit(X, CLASSES, np.where(CLASSES == 1, 6.0, 2.0))
    assert given.network_.fingerprint() == once.network_.fingerprint()
    assert balanced.predict(X).mean() > clone(model).fit(X, CLASSES).predict(X).mean()


def test_dropout():
    model = MLPRegressor(hidden_layer_sizes=(20, 20), dropout=0.5, random_state=0, max_iter=5).fit(
        X, NUMBERS
    )
    plain = clone(model).set_params(dropout=0.0).fit(X, NUMBERS)
    assert model.loss_curve_ != plain.loss_curve_
    np.testing.assert_array_equal(model.predict(X), model.predict(X))
    each = clone(model).set_params(dropout=[0.5, 0.0]).fit(X, NUMBERS)
    assert each.network_.fingerprint() not in (
        model.network_.fingerprint(),
        plain.network_.fingerprint(),
    )
    again = clone(model).fit(X, NUMBERS)
    assert again.network_.fingerprint() == model.network_.fingerprint()
    # Nothing else that is drawn moves: rows and first weights are those without dropout.
    first = clone(model).set_params(max_iter=1, learning_rate_init=1e-300).fit(X, NUMBERS)
    same = clone(plain).set_params(max_iter=1, learning_rate_init=1e-300).fit(X, NUMBERS)
    np.testing.assert_array_equal(first.coefs_[0], same.coefs_[0])


def test_one_activation_for_each_layer():
    model = MLPRegressor(
        hidden_layer_sizes=(8, 8), activation=["tanh", "gelu"], random_state=0, max_iter=3
    ).fit(X, NUMBERS)
    assert [layer.activation.name for layer in model.network_.layers[:2]] == ["tanh", "gelu"]
    same = MLPRegressor(
        hidden_layer_sizes=(8, 8), activation="tanh", random_state=0, max_iter=3
    ).fit(X, NUMBERS)
    alike = MLPRegressor(
        hidden_layer_sizes=(8, 8), activation=["tanh", "tanh"], random_state=0, max_iter=3
    ).fit(X, NUMBERS)
    assert same.network_.fingerprint() == alike.network_.fingerprint()


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_other_losses(solver):
    options = {"solver": solver, "random_state": 0, "max_iter": 200, "learning_rate_init": 0.01}
    noisy = NUMBERS + RNG.exponential(2, 300)
    high = MLPRegressor(onefold.Quantile(0.9), **options).fit(X, noisy)
    assert (noisy < high.predict(X)).mean() == pytest.approx(0.9, abs=0.08)
    for loss in ("absolute_error", "huber", onefold.Huber(0.5)):
        assert MLPRegressor(loss, **options).fit(X, NUMBERS).score(X, NUMBERS) > 0.8
    positive = np.exp(X[:, 0]) * RNG.gamma(5, 0.2, 300)
    means = MLPRegressor("gamma", **options).fit(X, positive).predict(X)
    assert means.min() > 0
    assert mean_gamma_deviance(positive, means) < 0.4


def test_label_smoothing():
    options = {"random_state": 0, "max_iter": 200, "learning_rate_init": 0.01}
    sure = MLPClassifier(**options).fit(X, CLASSES)
    smooth = MLPClassifier(loss=onefold.CrossEntropy(label_smoothing=0.2), **options).fit(
        X, CLASSES
    )
    assert smooth.predict_proba(X).max() < sure.predict_proba(X).max()


@pytest.mark.parametrize("early_stopping", [False, True])
def test_rows_for_validation(early_stopping):
    train, held_out = slice(0, 200), slice(200, 300)
    weight = RNG.uniform(size=100)
    model = MLPClassifier(random_state=0, max_iter=12, early_stopping=early_stopping, alpha=0)
    model.fit(
        X[train],
        CLASSES[train],
        X_val=X[held_out],
        y_val=CLASSES[held_out],
        sample_weight_val=weight,
    )
    assert model.t_ == 200 * model.n_iter_  # nothing was held out of the rows
    assert len(model.validation_loss_curve_) == model.n_iter_
    if early_stopping:
        score = accuracy_score(CLASSES[held_out], model.predict(X[held_out]), sample_weight=weight)
        assert model.best_validation_score_ == pytest.approx(score)
    else:
        proba = model.predict_proba(X[held_out])
        expected = log_loss(CLASSES[held_out], proba, sample_weight=weight)
        assert model.validation_loss_curve_[-1] == pytest.approx(expected)
        assert model.validation_scores_ is None


def test_rows_for_validation_of_a_regressor():
    y = np.column_stack([NUMBERS, -NUMBERS])
    model = MLPRegressor("poisson", random_state=0, max_iter=20, early_stopping=True)
    y = np.abs(y)
    model.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    assert model.best_validation_score_ == pytest.approx(r2_score(y[200:], model.predict(X[200:])))
    from sklearn.neural_network._base import poisson_loss

    model.set_params(early_stopping=False).fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    expected = poisson_loss(y[200:], model.predict(X[200:]))
    assert model.validation_loss_curve_[-1] == pytest.approx(expected)
    assert len(model.validation_loss_curve_) == model.n_iter_  # of this fit alone


def test_a_pipeline_transforms_the_rows_for_validation():
    with sklearn.config_context(enable_metadata_routing=True):
        model = MLPRegressor(random_state=0, max_iter=3).set_fit_request(X_val=True, y_val=True)
        scaler = StandardScaler()
        pipeline = make_pipeline(scaler, model, transform_input=["X_val"])
        pipeline.fit(X[:200] * 50, NUMBERS[:200], X_val=X[200:] * 50, y_val=NUMBERS[200:])
        direct = clone(model).fit(
            scaler.transform(X[:200] * 50), NUMBERS[:200],
            X_val=scaler.transform(X[200:] * 50), y_val=NUMBERS[200:],
        )  # fmt: skip
    assert pipeline[-1].validation_loss_curve_ == direct.validation_loss_curve_


def test_weights_are_routed():
    weight = RNG.randint(0, 3, 300).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        model = MLPClassifier((4,), random_state=0, max_iter=2).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        search = GridSearchCV(model, {"alpha": [0.1, 1.0]}, cv=2).fit(
            X, CLASSES, sample_weight=weight
        )
    assert search.best_estimator_.n_outputs_ == 1


class Watch(onefold.Callback):
    def __init__(self, stop_after=None):
        self.seen, self.batches, self.ended, self.stop_after = [], 0, None, stop_after

    def on_epoch_end(self, epoch, logs):
        self.seen.append((epoch, logs))
        self.stop = epoch == self.stop_after

    def on_train_end(self, history):
        self.ended = history


class WatchBatches(Watch):
    def on_batch_end(self, update, logs):
        self.batches += 1


@pytest.mark.parametrize("kind", [Watch, WatchBatches])
def test_callbacks(kind):
    watch = kind(stop_after=2)
    model = MLPClassifier(random_state=0, batch_size=100, callbacks=[watch], early_stopping=True)
    model.fit(X, CLASSES)
    assert model.n_iter_ == 3
    assert [logs["loss"] for _, logs in watch.seen] == model.loss_curve_
    assert [logs["val_score"] for _, logs in watch.seen] == model.validation_scores_
    assert (watch.ended.stopped, watch.ended.updates) == ("callback", 9)
    assert watch.batches == (9 if kind is WatchBatches else 0)
    plain = MLPClassifier(random_state=0, batch_size=100, max_iter=3, early_stopping=True).fit(
        X, CLASSES
    )
    assert plain.network_.fingerprint() == model.network_.fingerprint()


def test_lbfgs_tells_callbacks_and_looks_at_rows_for_validation():
    watch = Watch(stop_after=4)
    model = MLPRegressor(solver="lbfgs", random_state=0, callbacks=[watch])
    model.fit(X[:200], NUMBERS[:200], X_val=X[200:], y_val=NUMBERS[200:])
    losses = [logs["loss"] for _, logs in watch.seen]
    assert losses == sorted(losses, reverse=True)
    assert model.n_iter_ == len(losses) == 5
    assert model.loss_ == losses[-1]
    assert [logs["val_loss"] for _, logs in watch.seen] == model.validation_loss_curve_
    expected = np.square(model.predict(X[200:]) - NUMBERS[200:]).mean() / 2
    assert model.validation_loss_curve_[-1] == pytest.approx(expected)
    same = clone(model).set_params(callbacks=None, max_iter=5).fit(X[:200], NUMBERS[:200])
    assert same.network_.fingerprint() == model.network_.fingerprint()


def test_callbacks_of_scikit_learn():
    callback = pytest.importorskip("sklearn.callback")
    monitor = callback.ScoringMonitor(scoring="r2")
    model = MLPRegressor(hidden_layer_sizes=(5,), random_state=0, max_iter=4, callbacks=None)
    model.set_callbacks(monitor).fit(X, NUMBERS)
    assert model.n_iter_ == 4


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="needs signals"
)
def test_ctrl_c_keeps_what_was_learned():
    class Press(onefold.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    model = MLPClassifier(
        random_state=0, max_iter=10_000, tol=0, n_iter_no_change=10_000, callbacks=[Press()]
    )
    # A shell has the signal ignored in what it starts in the background.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            model.fit(X, CLASSES)
    finally:
        signal.signal(signal.SIGINT, before)
    assert 3 <= model.n_iter_ < 10_000
    assert model.score(X, CLASSES) > 0.5


def test_the_network_can_be_saved(tmp_path):
    model = MLPRegressor(random_state=0, max_iter=2).fit(X, NUMBERS)
    model.network_.save(tmp_path / "m.onefold")
    loaded = onefold.load(tmp_path / "m.onefold")
    assert loaded.fingerprint() == model.network_.fingerprint()
    np.testing.assert_array_equal(loaded.predict(X)[:, 0], model.predict(X))


def test_data_frames():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    names = [f"column_{i}" for i in range(6)]
    model = MLPClassifier((4,), random_state=0, max_iter=2)
    plain = clone(model).fit(X, CLASSES).network_.fingerprint()
    for frame in (pandas.DataFrame(X, columns=names), polars.DataFrame(X, schema=names)):
        fitted = clone(model).fit(frame, CLASSES)
        assert list(fitted.feature_names_in_) == names
        assert fitted.network_.fingerprint() == plain
        with pytest.raises(ValueError, match="feature names"):
            fitted.predict(frame[names[::-1]])


def test_types():
    """float32 in, float32 out; L-BFGS works in float64, as scikit-learn's does."""
    for dtype, solver, expected in (
        (np.float32, "adam", np.float32), (np.float64, "adam", np.float64), (np.float32, "lbfgs", np.float64),
        (np.int64, "sgd", np.float64),
    ):  # fmt: skip
        data = (X * 3).astype(dtype)
        model = MLPRegressor(
            hidden_layer_sizes=(4,), solver=solver, random_state=0, max_iter=2
        ).fit(data, NUMBERS)
        theirs = sklearn.neural_network.MLPRegressor(
            hidden_layer_sizes=(4,), solver=solver, random_state=0, max_iter=2
        ).fit(data, NUMBERS)
        assert {a.dtype for a in model.coefs_ + model.intercepts_} == {np.dtype(expected)}
        assert theirs.coefs_[0].dtype == expected
        assert model.predict(data).dtype == theirs.predict(data).dtype
