"""scikit-learn's callbacks: they see every epoch, and may stop the fit."""

from __future__ import annotations

import pytest
from composition_shared import ALL, data_for, name, sure
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

try:
    from sklearn import callback
except ImportError:
    callback = None
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
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
