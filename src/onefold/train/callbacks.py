"""Callbacks and the history of a training run."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onefold._errors import OptionError

if TYPE_CHECKING:
    from onefold.network import Network

Logs = dict[str, float]


class Callback:
    """Called at set points of a training run; override what you need.

    Attributes
    ----------
    network : Network
        The network in training.
    stop : bool
        Set it to True and training ends after the current update.

    Notes
    -----
    Overriding `on_batch_end` makes every update a call of its own; without it, no Python runs
    inside an epoch.
    """

    network: Network
    stop: bool = False

    def on_train_begin(self) -> None:
        """Before the first epoch."""

    def on_train_end(self, history: History) -> None:
        """After the last epoch."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """After an epoch, with "loss" and, where there is a validation set, "val_loss"."""

    def on_batch_end(self, update: int, logs: Logs) -> None:
        """After an update of the epoch, counted from 0, with the batch's "loss"."""

    def on_progress(self, epoch: int, update: int, updates: int, loss: float) -> None:
        """Several times a second within an epoch: `update` of `updates` are done."""


def watches_batches(callback: Callback) -> bool:
    """Whether the callback wants to be called after every update."""
    return type(callback).on_batch_end is not Callback.on_batch_end


@dataclass
class History:
    """What a training run did.

    Attributes
    ----------
    logs : dict of str to list of float
        "loss", and "val_loss" where there is a validation set, for each epoch.
    stopped : str
        Why it ended: "epochs", "stop_below", "patience", "time_limit" or "callback".
    updates : int
        Updates made.
    best_epoch : int or None
        The epoch (from 0) whose parameters were kept, where patience was asked for.
    seconds : float
        Wall time.
    """

    logs: dict[str, list[float]] = field(default_factory=dict)
    stopped: str = ""
    updates: int = 0
    best_epoch: int | None = None
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        """Epochs finished."""
        return len(self.logs.get("loss", ()))

    def append(self, logs: Logs) -> None:
        """Add the logs of an epoch."""
        for name, value in logs.items():
            self.logs.setdefault(name, []).append(value)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.logs.items() if values)
        return f"History({self.epochs} epochs, {self.updates} updates, {last}; stopped by {self.stopped})"


class Progress(Callback):
    """Shows the run on stderr: a bar on a terminal, else one line an epoch.

    Parameters
    ----------
    epochs : int
        Epochs that the run may take.
    bar : bool, optional
        True for a bar, False for lines; by default a bar on a terminal.
    """

    def __init__(self, epochs: int, bar: bool | None = None) -> None:
        self.epochs = epochs
        self.bar = sys.stderr.isatty() if bar is None else bar
        self._display: Any = None
        self._task: Any = None
        self._start = 0.0

    def on_train_begin(self) -> None:
        """Open the bar."""
        self._start = time.monotonic()
        if not self.bar:
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._display = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._display.start()
        self._task = self._display.add_task("", total=self.epochs, epoch=1, text="")

    def on_progress(self, epoch: int, update: int, updates: int, loss: float) -> None:
        """Move the bar."""
        if self._display is not None:
            done = epoch + update / updates
            self._display.update(
                self._task, completed=done, epoch=epoch + 1, text=f"loss {loss:.4g}"
            )

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Show the epoch's figures."""
        text = "  ".join(f"{name} {value:.4g}" for name, value in logs.items())
        if self._display is not None:
            self._display.update(self._task, completed=epoch + 1, epoch=epoch + 1, text=text)
        else:
            seconds = time.monotonic() - self._start
            print(f"epoch {epoch + 1}/{self.epochs}  {text}  {seconds:.1f} s", file=sys.stderr)

    def on_train_end(self, history: History) -> None:
        """Close the bar."""
        if self._display is not None:
            self._display.stop()
            self._display = None


def attached(
    callbacks: Iterable[Callback], network: Network, epochs: int, verbose: int | None
) -> list[Callback]:
    """The callbacks of a run, each given the network that it follows, and a `Progress` where one is shown.

    Parameters
    ----------
    callbacks : iterable of Callback
    network : Network
    epochs, verbose
        As in `Network.fit`.

    Raises
    ------
    OptionError
        One is no callback.
    """
    result = list(callbacks)
    if verbose or verbose is None:
        progress = Progress(epochs)
        if verbose or progress.bar:
            result.append(progress)
    for callback in result:
        if not isinstance(callback, Callback):
            raise OptionError(f"a callback is an onefold.Callback, not {callback!r}")
        callback.network = network
    return result
