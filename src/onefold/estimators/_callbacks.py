"""scikit-learn's experimental callbacks (SLEP023), where the installed version has them.

A fit is a task with one subtask an epoch. A callback that asks for `fitted_estimator` gets a copy of the
estimator with the weights of that moment; nothing is copied for one that does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from onefold.train.callbacks import Callback, History, Logs

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupportMixin
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """No callbacks in this version of scikit-learn."""


class EpochTasks(Callback):
    """Tells scikit-learn's callbacks of every epoch; one that answers True ends the fit.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
        Of the fit.
    arguments : mapping
        Of every call: "estimator", "X", "y", "metadata".
    fitted : callable
        Attributes that make a copy of the estimator ready to predict.
    """

    def __init__(
        self, context: Any, arguments: Mapping[str, Any], fitted: Callable[[], dict[str, Any]]
    ) -> None:
        self.context = context
        self.arguments = dict(arguments)
        self.fitted = fitted
        self._task: Any = None

    def on_epoch_begin(self, epoch: int) -> None:
        """See `Callback`."""
        self._task = self.context.subcontext(task_name="epoch")
        self._task.call_on_fit_task_begin(**self.arguments, reconstruction_attributes=self.fitted)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """See `Callback`."""
        task, self._task = self._task, None
        if task.call_on_fit_task_end(**self.arguments, reconstruction_attributes=self.fitted):
            self.stop = True

    def on_train_end(self, history: History) -> None:
        """End the task of an epoch that was cut short."""
        if self._task is not None:
            self._task.call_on_fit_task_end(estimator=self.arguments["estimator"])


@contextmanager
def fit_tasks(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    epochs: int,
    fitted: Callable[[], dict[str, Any]],
    metadata: Mapping[str, Any] | None = None,
) -> Iterator[list[Callback]]:
    """The fit of an estimator as scikit-learn's callbacks see it; gives the callbacks of the epochs.

    The fit method has to be decorated with `sklearn.base._fit_context`, which ends what is begun here.

    Parameters
    ----------
    estimator : CallbackSupportMixin
    X, y
        As they were passed to `fit`.
    epochs : int
        That the fit may take.
    fitted : callable
        Attributes that make a copy of the estimator ready to predict, such as copies of its weights.
    metadata : mapping, optional
        What else was passed to `fit`.
    """
    if not hasattr(estimator, "_init_callback_context"):
        yield []
        return
    context = estimator._init_callback_context(max_subtasks=epochs)
    arguments = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
    context.call_on_fit_task_begin(**arguments)
    watched = getattr(estimator, "_skl_callbacks", None)
    yield [EpochTasks(context, arguments, fitted)] if watched else []
    context.call_on_fit_task_end(**arguments, reconstruction_attributes=fitted)
