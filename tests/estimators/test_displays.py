"""The displays show what the estimators hold, and draw it on the axes they are given."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import onefold as of

mpl.use("Agg")
X, Y = load_iris(return_X_y=True, as_frame=True)
XR, YR = load_diabetes(return_X_y=True)
XR = XR[:150] * 20
YR = YR[:150] / 100
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def _closed():
    yield
    pyplot.close("all")


def fitted(kind):
    options = {"max_iter": 12, "random_state": 0}
    made = {
        "NetworkClassifier": lambda: of.NetworkClassifier((8, 5), **options).fit(X, Y),
        "NetworkRegressor": lambda: of.NetworkRegressor((8, 5), **options).fit(XR, YR),
        "MLPClassifier": lambda: of.MLPClassifier((8, 5), **options).fit(X, Y),
        "MLPRegressor": lambda: of.MLPRegressor(hidden_layer_sizes=(8, 5), **options).fit(XR, YR),
    }
    return made[kind]()


KINDS = pytest.mark.parametrize(
    "kind", ["NetworkClassifier", "NetworkRegressor", "MLPClassifier", "MLPRegressor"]
)


def rows_of(kind):
    return (X, Y) if "Classifier" in kind else (XR, YR)


@KINDS
def test_loss_curves(kind):
    model = fitted(kind)
    display = of.LossCurveDisplay.from_estimator(model)
    (line,) = display.lines_
    assert line.get_ydata().tolist() == model.loss_curve_
    assert line.get_xdata().tolist() == list(range(1, 13))
    assert display.ax_.get_xlabel() == "epoch"
    _, ax = pyplot.subplots()
    assert display.plot(ax=ax).ax_ is ax
    assert of.LossCurveDisplay.from_estimator(model, ax=ax).figure_ is ax.figure


def test_loss_curves_of_early_stopping():
    model = of.NetworkRegressor(random_state=0, n_iter_no_change=5).fit(
        XR[:100], YR[:100], X_val=XR[100:], y_val=YR[100:]
    )
    display = of.LossCurveDisplay.from_estimator(model)
    assert display.lines_[1].get_ydata().tolist() == model.validation_loss_curve_
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["training", "validation", f"best, epoch {model.best_iteration_}"]


@pytest.mark.parametrize("made", [of.MLPClassifier, TheirClassifier])
def test_scores_of_early_stopping(made):
    model = made(
        (8,), early_stopping=True, n_iter_no_change=4, random_state=0, learning_rate_init=0.1
    )
    display = of.LossCurveDisplay.from_estimator(model.fit(X, Y))
    assert [line.get_ydata().tolist() for line in display.lines_] == [
        model.loss_curve_, model.validation_scores_
    ]  # fmt: skip
    assert display.lines_[1].axes is not display.ax_
    best = 1 + int(np.argmax(model.validation_scores_))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["training", f"best, epoch {best}", "validation score (right)"]


@KINDS
def test_networks(kind):
    model = fitted(kind)
    display = of.NetworkDisplay.from_estimator(model)
    inputs = rows_of(kind)[0].shape[1]
    outputs = 3 if "Classifier" in kind else 1
    assert [w.shape for w in display.weights] == [(inputs, 8), (8, 5), (5, outputs)]
    assert [len(s.get_segments()) for s in display.synapses_] == [8 * inputs, 40, 5 * outputs]
    for weights, drawn in zip(display.weights, display.synapses_, strict=True):
        assert len(drawn.get_colors()) == weights.size
        blue, orange = mpl.colors.to_rgb("#2563eb"), mpl.colors.to_rgb("#d97706")
        colours = [tuple(c[:3]) for c in drawn.get_colors()]
        assert colours.count(blue) == (weights > 0).sum()
        assert colours.count(orange) == (weights <= 0).sum()
        assert drawn.get_colors()[-1][3] == 1  # the strongest, on top of the others
    words = [text.get_text() for text in display.ax_.texts]
    if "Classifier" in kind:
        assert {"petal length (cm)", "0", "1", "2"} <= set(words)
    assert any(word.startswith("8 hidden") for word in words)


def test_wide_layers_show_their_largest_neurons():
    weights = [np.ones((50, 40)) * np.arange(40), np.ones((40, 2))]
    display = of.NetworkDisplay(weights, input_names=[f"c{i}" for i in range(50)]).plot(neurons=6)
    assert [len(s.get_segments()) for s in display.synapses_] == [36, 12]
    words = [text.get_text() for text in display.ax_.texts]
    assert "40 hidden\n(6 shown)" in words
    names = of.NetworkDisplay.from_estimator(
        of.NetworkClassifier((3,), max_iter=1).fit(
            pd.DataFrame({"a": [1.0, None, 2], "b": ["u", "v", "u"]}), [0, 1, 0]
        )
    ).input_names
    assert names == ["a", "a missing", "b: u", "b: v", "b: other"]


def test_names_can_be_given():
    display = of.NetworkDisplay.from_estimator(fitted("MLPRegressor"), output_names=["progression"])
    assert "progression" in [text.get_text() for text in display.ax_.texts]


@KINDS
def test_the_loss_along_a_direction(kind):
    model, (x, y) = fitted(kind), rows_of(kind)
    before = model.network_.fingerprint()
    display = of.LossDirectionDisplay.from_estimator(model, x, y, steps=11, distance=0.5)
    assert model.network_.fingerprint() == before
    assert display.steps.tolist() == np.linspace(-0.5, 0.5, 11).tolist()
    assert display.line_.get_ydata().tolist() == display.losses.tolist()
    if "Classifier" in kind:
        here = -np.log(model.predict_proba(x)[np.arange(len(y)), y]).mean()
    else:
        here = ((model.predict(x) - y) ** 2).mean()
        here = here / y.var() if "Network" in kind else here / 2
    np.testing.assert_allclose(display.losses[5], here, rtol=1e-5)
    assert display.losses[0] != display.losses[10]
    other = of.LossDirectionDisplay.from_estimator(model, x, y, steps=11, random_state=1)
    assert other.losses[5] == display.losses[5]
    assert other.losses[0] != display.losses[0]


def test_weights_of_rows_along_a_direction():
    model, w = fitted("MLPRegressor"), np.random.default_rng(0).random(150)
    display = of.LossDirectionDisplay.from_estimator(model, XR, YR, sample_weight=w, steps=3)
    here = np.average((model.predict(XR) - YR) ** 2, weights=w) / 2
    np.testing.assert_allclose(display.losses[1], here, rtol=1e-5)


@pytest.mark.parametrize("outputs", [1, 2])
def test_scikit_learns_deviance_along_a_direction(outputs):
    counts = np.random.default_rng(0).poisson(2, (150, outputs))
    counts = counts[:, 0] if outputs == 1 else counts
    model = of.MLPRegressor("poisson", hidden_layer_sizes=(4,), max_iter=5, alpha=0, random_state=0)
    model.fit(XR, counts)
    display = of.LossDirectionDisplay.from_estimator(model, XR, counts, steps=3)
    rate = model.predict(XR)
    terms = np.where(counts > 0, counts * np.log(np.maximum(counts, 1) / rate), 0) + rate - counts
    np.testing.assert_allclose(
        display.losses[1], terms.reshape(150, -1).sum(axis=1).mean(), rtol=1e-6
    )


def test_pipelines_and_scikit_learns_own():
    piped = make_pipeline(StandardScaler(), TheirClassifier((4,), max_iter=5)).fit(X, Y)
    assert len(of.NetworkDisplay.from_estimator(piped).synapses_) == 2
    assert len(of.LossCurveDisplay.from_estimator(piped).lines_) == 1
    ours = make_pipeline(StandardScaler(), of.NetworkClassifier((4,), max_iter=5)).fit(X, Y)
    display = of.LossDirectionDisplay.from_estimator(ours, X, Y, steps=3)
    here = -np.log(ours.predict_proba(X)[np.arange(150), Y]).mean()
    np.testing.assert_allclose(display.losses[1], here, rtol=1e-5)


def test_the_best_of_a_search():
    piped = make_pipeline(StandardScaler(), of.NetworkClassifier((4,), random_state=0))
    search = GridSearchCV(piped, {"networkclassifier__max_iter": [2, 5]}, cv=2).fit(X, Y)
    best = search.best_estimator_
    losses = of.LossCurveDisplay.from_estimator(search).lines_[0].get_ydata()
    assert list(losses) == best[-1].loss_curve_
    assert len(of.NetworkDisplay.from_estimator(search).synapses_) == 2
    found, same = (
        of.LossDirectionDisplay.from_estimator(model, X, Y, steps=3).losses
        for model in (search, best)
    )
    assert found.tolist() == same.tolist()


def test_what_cannot_be_shown():
    with pytest.raises(NotFittedError):
        of.LossCurveDisplay.from_estimator(of.NetworkClassifier())
    line = LogisticRegression(max_iter=1000).fit(X, Y)
    with pytest.raises(of.OptionError, match="LogisticRegression has no network"):
        of.NetworkDisplay.from_estimator(line)
    with pytest.raises(of.OptionError, match="LogisticRegression has no loss curve"):
        of.LossCurveDisplay.from_estimator(line)
    with pytest.raises(of.OptionError, match="is not an estimator of onefold"):
        of.LossDirectionDisplay.from_estimator(line, X, Y)
    full = of.MLPClassifier((3,), solver="lbfgs", max_iter=3).fit(X, Y)
    with pytest.raises(of.OptionError, match="'lbfgs' keeps none"):
        of.LossCurveDisplay.from_estimator(full)
    with pytest.raises(of.OptionError, match="steps is a number from 3 up, not 1"):
        of.LossDirectionDisplay.from_estimator(full, X, Y, steps=1)
    with pytest.raises(of.OptionError, match="distance is a number above 0"):
        of.LossDirectionDisplay.from_estimator(full, X, Y, distance=0)
    with pytest.raises(of.OptionError, match="neurons is a number from 1 up"):
        of.NetworkDisplay.from_estimator(full, neurons=0)
    with pytest.raises(ValueError, match="at least one epoch"):
        of.LossCurveDisplay([])
    with pytest.raises(ValueError, match="as many of one"):
        of.LossDirectionDisplay([0, 1], [0.5])


def test_without_matplotlib():
    """Displays can be made, and what plots says what to install."""
    code = """
import sys
sys.modules["matplotlib"] = None
import onefold as of
display = of.LossCurveDisplay([1.0, 0.5])
try:
    display.plot()
except ImportError as error:
    assert isinstance(error, of.OnefoldError)
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == (
        "LossCurveDisplay.plot needs matplotlib; install it with: pip install 'onefold[report]'"
    )
