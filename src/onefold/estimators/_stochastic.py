"""A stochastic fit of the multi-layer perceptron: epochs until scikit-learn's rules say stop."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from onefold.estimators._engine import Engine, Sample
from onefold.estimators._epochs import Epochs
from onefold.estimators._shared import piece_bytes, refuse_non_finite, thread_count
from onefold.train.callbacks import History
from onefold.train.state import Parameters

Array = NDArray[Any]


class Progress:
    """What has been reached so far, and when that is enough: scikit-learn's rules of stopping.

    Parameters
    ----------
    estimator : object
        With `tol`, `n_iter_no_change`, `verbose`; its fitted attributes are kept up to date.
    score : callable or None
        Score on held-out rows, where `early_stopping` asks for it.
    keep : callable
        Keeps the parameters as the best.
    """

    def __init__(
        self, estimator: Any, score: Callable[[], float] | None, keep: Callable[[], None]
    ) -> None:
        self.estimator = estimator
        self.score = score
        self.keep = keep

    def after_epoch(self, loss: float) -> dict[str, float]:
        """Count the epoch; its logs for callbacks."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        if self.score is None:
            self._compare_losses(loss)
            return {"loss": loss}
        score = self.score() if math.isfinite(loss) else math.nan
        self._compare_scores(score)
        return {"loss": loss, "val_score": score}

    def _compare_losses(self, loss: float) -> None:
        estimator = self.estimator
        stalled = loss > estimator.best_loss_ - estimator.tol
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if stalled else 0
        if loss < estimator.best_loss_:
            estimator.best_loss_ = loss

    def _compare_scores(self, score: float) -> None:
        estimator = self.estimator
        estimator.validation_scores_.append(score)
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        stalled = score < estimator.best_validation_score_ + estimator.tol
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if stalled else 0
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            self.keep()

    @property
    def stalled(self) -> bool:
        """Whether too many epochs in a row were no better."""
        return bool(self.estimator._no_improvement_count > self.estimator.n_iter_no_change)

    def message(self) -> str:
        """Why training ends."""
        what = "Training loss" if self.score is None else "Validation score"
        return (
            f"{what} did not improve more than tol={self.estimator.tol:f} for "
            f"{self.estimator.n_iter_no_change} consecutive epochs."
        )


class StochasticFit:
    """One call of `fit` or `partial_fit`.

    Parameters
    ----------
    estimator : BaseMLP
        Its fitted attributes are kept up to date.
    engine : Engine
    epochs : Epochs
    held_out : Sample or None
        Rows of early stopping.
    given : Sample or None
        Rows whose loss is recorded.
    """

    def __init__(
        self,
        estimator: Any,
        engine: Engine,
        epochs: Epochs,
        held_out: Sample | None,
        given: Sample | None,
    ) -> None:
        self.estimator = estimator
        self.engine = engine
        self.epochs = epochs
        self.held_out = held_out
        self.given = given
        self.threads = thread_count(estimator.n_jobs)
        self.history = History()
        self._started = time.monotonic()
        self._updates = engine.network._state.updates
        self.best: Parameters | None = None
        score = self._score if estimator.early_stopping else None
        self.progress = Progress(estimator, score, self._keep)
        self.loss_given = None
        if given is not None:
            pieces = piece_bytes(given.X, estimator.memory)
            self.loss_given = engine.loss_of(given, self.threads, pieces)

    def run(self, *, incremental: bool) -> None:
        """Train, and hand the weights to the estimator."""
        estimator, engine = self.estimator, self.engine
        estimator.n_iter_ = 0
        if self.given is not None and not hasattr(estimator, "validation_loss_curve_"):
            estimator.validation_loss_curve_ = []
        for callback in self.epochs.callbacks:
            callback.network = engine.network
            callback.stop = False
            callback.on_train_begin()
        try:
            with self.epochs.interrupts:
                self._run(1 if incremental else estimator.max_iter)
                self.history.stopped = self.history.stopped or "epochs"
        finally:
            estimator._updates = engine.network._state.updates
            estimator.coefs_, estimator.intercepts_ = engine.arrays()
            self.history.updates = estimator._updates - self._updates
            self.history.seconds = time.monotonic() - self._started
            for callback in self.epochs.callbacks:
                callback.on_train_end(self.history)
        if self.history.stopped == "epochs" and not incremental:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=6,
            )
        if estimator.early_stopping:
            self._go_back()
        elif not self.epochs.finite:
            refuse_non_finite()

    def _run(self, count: int) -> None:
        estimator = self.estimator
        solver = estimator._optimizer
        for epoch in range(count):
            loss = self.epochs.run()
            if loss is None:
                self.history.stopped = "interrupt"
                warnings.warn("Training interrupted by user.", stacklevel=7)
                return
            estimator.t_ += len(self.epochs.rows)
            logs = self.progress.after_epoch(loss)
            if self.loss_given is not None:
                logs["val_loss"] = self.loss_given()
                estimator.validation_loss_curve_.append(logs["val_loss"])
            self.history.append(logs)
            self.epochs.end(logs.get("val_loss", loss))
            for callback in self.epochs.callbacks:
                callback.on_epoch_end(epoch, logs)
            solver.end_epoch(estimator.t_)
            if self._ends(solver):
                return

    def _ends(self, solver: Any) -> bool:
        """Whether the epoch was the last, before `max_iter`."""
        if not self.epochs.finite:
            self.history.stopped = "diverged"
        elif any(callback.stop for callback in self.epochs.callbacks):
            self.history.stopped = "callback"
        elif self.progress.stalled:
            if solver.stops(self.progress.message(), self.estimator.verbose):
                self.history.stopped = "patience"
            else:
                self.estimator._no_improvement_count = 0
        return bool(self.history.stopped)

    def _score(self) -> float:
        assert self.held_out is not None
        pieces = piece_bytes(self.held_out.X, self.estimator.memory)
        prediction = self.engine.predict(self.held_out.X, self.threads, pieces)
        if not np.isfinite(prediction).all():
            return math.nan
        return float(self.estimator._score_held_out(prediction, self.held_out))

    def _keep(self) -> None:
        if self.best is None:
            self.best = Parameters(self.engine.network._architecture)
        self.best.store.copy_from(self.engine.parameters.store)

    def _go_back(self) -> None:
        """The weights of the best epoch, which may be one of an earlier call with `warm_start`."""
        if self.best is not None:
            self.estimator._best = self.engine.arrays(self.best)
        coefs, intercepts = self.estimator._best
        self.estimator.coefs_ = [coef.copy() for coef in coefs]
        self.estimator.intercepts_ = [intercept.copy() for intercept in intercepts]
