"""Early stopping by a score instead of the loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from onefold.train.callbacks import Callback, History, Logs


class BestScore(Callback):
    """Keeps the parameters of the best epoch by a score, and ends the run when it gets no better.

    Parameters
    ----------
    score : callable
        Gives the score of the network as it is; more is better.
    patience : int
        Epochs without a better score after which the run ends.
    min_delta : float
        How much better a score must be to count.

    Attributes
    ----------
    scores : list of float
        Of every epoch.
    """

    def __init__(self, score: Callable[[], float], patience: int, min_delta: float) -> None:
        self.score, self.patience, self.min_delta = score, patience, min_delta
        self.scores: list[float] = []
        self._best, self._best_epoch = -math.inf, 0
        self._kept: dict[str, NDArray[Any]] = {}

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """See `Callback`."""
        self.scores.append(float(self.score()))
        if not self._kept or self.scores[-1] > self._best + self.min_delta:
            self._best, self._best_epoch = self.scores[-1], epoch
            self._kept = dict(self.network.parameters)
        elif epoch - self._best_epoch >= self.patience:
            self.stop = True

    def on_train_end(self, history: History) -> None:
        """Go back to the best epoch."""
        parameters: Any = self.network.parameters
        for name, values in self._kept.items():
            parameters[name] = values
        history.best_epoch = self._best_epoch
        if self.stop:
            history.stopped = "patience"
