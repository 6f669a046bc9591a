"""The training loop: epochs of updates until something says stop."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold import _native
from onefold._errors import DivergedError
from onefold.optim import ReduceOnPlateau
from onefold.train import checkpoint
from onefold.train.callbacks import Callback, History, watches_batches
from onefold.train.checkpoint import Position
from onefold.train.evaluation import HeldOut
from onefold.train.first_look import FirstLook
from onefold.train.interrupts import Interrupts
from onefold.train.options import Options
from onefold.train.session import Session, column
from onefold.train.state import Parameters

_SLICE_SECONDS = 0.1  # between looks at the clock, the keyboard and the progress bar
_NOT_FINITE = 2  # an outcome of the native call
_SCALARS = 4096  # updates whose numbers are worked out at a time


class Training:
    """One run of `Network.fit`, as a ladder of small steps.

    Parameters
    ----------
    session : Session
        With an optimizer.
    data : (X, y, sample_weight or None)
        Checked.
    validation : HeldOut, optional
    options : Options
    callbacks : sequence of Callback
    network : dict
        The network's description: a checkpoint goes on with the same network alone, and with the same
        loss, optimizer, batches and number of rows.
    looked : bool
        Whether the values of X have been looked through; else the first epoch does.
    """

    def __init__(
        self,
        session: Session,
        data: tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None],
        validation: HeldOut | None,
        options: Options,
        callbacks: Sequence[Callback],
        network: dict[str, Any],
        *,
        looked: bool = True,
    ) -> None:
        assert session.optimizer is not None
        assert session.optimizer_state is not None
        self.session = session
        self.optimizer = session.optimizer
        self.optimizer_state = session.optimizer_state
        self.x, y, self.w = data
        self.y = column(y)
        self.validation = validation
        self.options = options
        self.callbacks = callbacks
        self.description = {
            "network": network,
            "loss": session.loss.to_config(),
            "optimizer": session.optimizer.to_config(),
            "batch_size": options.batch_size,
            "shuffle": options.shuffle,
            "rows": len(self.x),
            "weighted": self.w is not None,
        }
        self.history = History()
        self.position = Position()
        self.updates_per_epoch = -(-len(self.x) // options.batch_size)
        self.slow = any(watches_batches(callback) for callback in callbacks)
        self.good = session.spare(0)  # of the epoch's start
        self.best: Parameters | None = None
        self.best_loss = math.inf
        self.waited = 0
        if options.patience is not None:
            self.best = session.spare(1)
        self.look = None if looked else FirstLook(session, self.x)
        self._started = time.monotonic()
        self._saved = self._started
        self._spent = 0.0  # seconds before this process
        self._interrupts = Interrupts(session.executor.stop)

    def run(self) -> History:
        """Train until something says stop; returns the history."""
        if self.options.resume and self.options.checkpoint and self.options.checkpoint.exists():
            self._resume()
        for callback in self.callbacks:
            callback.stop = False
            callback.on_train_begin()
        try:
            with self._interrupts:
                while not self.history.stopped and self.position.epoch < self.options.epochs:
                    self._epoch()
                if self.look is not None:
                    self.look.check(all_rows=True)
                self.history.stopped = self.history.stopped or "epochs"
                self._save(now=True)
                self._restore_best()
        finally:
            self._end_look()
            self.history.seconds = self._seconds()
            for callback in self.callbacks:
                callback.on_train_end(self.history)
        return self.history

    def _heed_interrupt(self) -> None:
        """Ctrl-C, at a point where everything is in step: leave a checkpoint and end."""
        if self._interrupts.came:
            self.history.stopped = "interrupt"
            self._save(now=True)
            raise KeyboardInterrupt

    # One epoch.

    def _epoch(self) -> None:
        state, position = self.session.state, self.position
        for callback in self.callbacks:
            callback.on_epoch_begin(position.epoch)
        order = self._order(state.epochs)
        self.good.store.copy_from(state.parameters.store)
        end = first = position.update
        while position.update < self.updates_per_epoch:
            if position.update == end:
                first, end = end, min(end + _SCALARS, self.updates_per_epoch)
                scalars = self.session.scalars(
                    end - first,
                    self.options.epochs * self.updates_per_epoch,
                    self.updates_per_epoch,
                )
            self._slice(order, scalars[position.update - first :])
            if self._stop_within_epoch():
                return
        self._end_epoch()

    def _order(self, epoch: int) -> NDArray[np.uint32] | None:
        """The epoch's order of rows; a batch of all rows takes them as they stand."""
        if not self.options.shuffle or self.options.batch_size >= len(self.x):
            return None
        return _native.permutation(len(self.x), self.session.state.seed, epoch)

    def _slice(self, order: NDArray[np.uint32] | None, scalars: NDArray[np.float64]) -> None:
        """Updates until the slice of time is up, or a single one for batch callbacks."""
        state, position = self.session.state, self.position
        outcome, updates, loss, weight, last_loss, last_weight = self.session.executor.train(
            self.x,
            self.y,
            self.w,
            order,
            batch_size=self.options.batch_size,
            first_batch=position.update,
            first_update=state.updates,
            scalars=scalars[:1] if self.slow else scalars,
            seconds=_SLICE_SECONDS,
            loss=position.loss,
            weight=position.weight,
        )
        if self.look is not None:
            self.look.check()
        position.update += updates
        position.loss, position.weight = loss, weight
        state.updates += updates
        self.optimizer_state.updates += updates
        self.history.updates += updates
        if outcome == _NOT_FINITE:
            self._diverged(last_loss)
        mean = last_loss / last_weight if last_weight > 0 else 0.0
        for callback in self.callbacks:
            callback.on_progress(position.epoch, position.update, self.updates_per_epoch, mean)
            if self.slow:
                callback.on_batch_end(position.update - 1, {"loss": mean})
        if position.update < self.updates_per_epoch:
            self._save()
            self._heed_interrupt()

    def _diverged(self, loss: float) -> None:
        parameters = self.session.state.parameters
        kept = "the parameters are those before that update"
        if not parameters.finite():
            parameters.store.copy_from(self.good.store)
            kept = "the parameters are those from the start of the epoch"
        what = f"the loss became {loss}" if not math.isfinite(loss) else "the gradient overflowed"
        raise DivergedError(
            f"{what} at update {self.position.update + 1} of epoch {self.position.epoch + 1}; {kept}. "
            "Try a smaller learning rate, scaled inputs, or clip_global_norm"
        )

    def _stop_within_epoch(self) -> bool:
        if self._time_is_up():
            self.history.stopped = "time_limit"
        elif any(callback.stop for callback in self.callbacks):
            self.history.stopped = "callback"
        unfinished = self.position.update < self.updates_per_epoch
        return bool(self.history.stopped) and unfinished

    def _end_look(self) -> None:
        if self.look is not None:
            self.look.end()
        self.look = None

    def _end_epoch(self) -> None:
        self._end_look()
        position = self.position
        logs = {"loss": position.loss / position.weight if position.weight > 0 else 0.0}
        if self.validation is not None:
            evaluator, x, y, w = self.validation
            logs["val_loss"] = evaluator(x, y, w)
        self.history.append(logs)
        epoch = position.epoch
        self.position = Position(epoch + 1)
        self.session.state.epochs += 1
        watched = logs.get("val_loss", logs["loss"])
        if isinstance(self.optimizer.learning_rate, ReduceOnPlateau):
            self.optimizer.learning_rate.observe(watched)
        self._compare(epoch, watched)
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)
        self._check_stop(logs)
        self._save()
        self._heed_interrupt()

    # When to stop.

    def _compare(self, epoch: int, loss: float) -> None:
        """Keep the parameters of the best epoch."""
        if self.best is None:
            return
        if loss < self.best_loss - self.options.min_delta:
            self.best_loss, self.waited = loss, 0
            self.history.best_epoch = epoch
            self.best.store.copy_from(self.session.state.parameters.store)
        else:
            self.waited += 1

    def _check_stop(self, logs: dict[str, float]) -> None:
        options = self.options
        if options.stop_below is not None and logs["loss"] < options.stop_below:
            self.history.stopped = "stop_below"
        elif options.patience is not None and self.waited >= options.patience:
            self.history.stopped = "patience"
        elif self._time_is_up():
            self.history.stopped = "time_limit"
        elif any(callback.stop for callback in self.callbacks):
            self.history.stopped = "callback"

    def _time_is_up(self) -> bool:
        limit = self.options.time_limit
        return limit is not None and self._seconds() >= limit

    def _seconds(self) -> float:
        return self._spent + time.monotonic() - self._started

    def _restore_best(self) -> None:
        if self.best is not None and self.history.best_epoch is not None:
            self.session.state.parameters.store.copy_from(self.best.store)

    # Checkpoints.

    def _save(self, *, now: bool = False) -> None:
        path = self.options.checkpoint
        if path is None:
            return
        if not now and time.monotonic() - self._saved < self.options.checkpoint_every:
            return
        rate = self.optimizer.learning_rate
        progress = {
            "position": asdict(self.position),
            "history": asdict(self.history) | {"seconds": self._seconds()},
            "best_loss": self.best_loss,
            "waited": self.waited,
            "plateau": rate.state() if isinstance(rate, ReduceOnPlateau) else None,
        }
        checkpoint.write(
            path, self.description, progress, self.session.state, self.optimizer_state, self.best
        )
        self._saved = time.monotonic()

    def _resume(self) -> None:
        assert self.options.checkpoint is not None
        progress = checkpoint.read(
            self.options.checkpoint,
            self.description,
            self.session.state,
            self.optimizer_state,
            self.best,
        )
        self.position = Position(**progress["position"])
        self.history = History(**progress["history"])
        self.best_loss = float(progress["best_loss"])
        self.waited = int(progress["waited"])
        self._spent = self.history.seconds
        # A run that had ended is finished; one that was cut off by time or a callback goes on.
        if self.history.stopped in ("time_limit", "callback", "epochs", "interrupt"):
            self.history.stopped = ""
        if isinstance(self.optimizer.learning_rate, ReduceOnPlateau):
            self.optimizer.learning_rate.restore(progress["plateau"])
