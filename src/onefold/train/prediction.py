"""Prediction: the output of a network for rows, forward alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onefold import _native
from onefold.train import arrays
from onefold.train.budget import Budget, thread_count
from onefold.train.programs import Architecture
from onefold.train.session import type_name
from onefold.train.state import State

#: Rows taken at a time: enough for all threads, few enough to notice Ctrl-C.
_ROWS = 16384


class Prediction:
    """Predicts with a network as it is now.

    Attributes
    ----------
    executors : dict of (link, threads) to Executor
        Kept, so that one row costs a few microseconds.
    """

    def __init__(self, architecture: Architecture, state: State) -> None:
        self._architecture, self._state = architecture, state
        self._dtype = np.dtype(architecture.dtype)
        self._first = f"{type_name(architecture)} '{architecture.layers[0][0]}'"  # for messages
        self.executors: dict[tuple[str | None, int | None], _native.Executor] = {}

    def output(self, X: ArrayLike, link: str | None, threads: int | None) -> NDArray[Any]:
        """The output, shape (rows, outputs), through the activation `link` where there is one."""
        architecture = self._architecture
        executor = self.executors.get((link, threads))
        if executor is None:
            executor = self._executor(link, threads)
        x = arrays.inputs(X, architecture.inputs, self._first, self._dtype, look=False)
        watched = x.dtype == self._dtype and not architecture.codes  # while they are gathered
        if not watched:
            self._check(x, executor.threads)
        out = np.empty((len(x), architecture.outputs), self._dtype)
        if not executor.forward(x, out, watched):
            self._check(x, executor.threads)
        return out

    def _check(self, x: NDArray[Any], threads: int) -> None:
        arrays.check_values(x, self._dtype, "X", self._architecture.codes, threads)

    def _executor(self, link: str | None, threads: int | None) -> _native.Executor:
        program = self._architecture.prediction(link)
        layout = Budget(program, 0, 0, thread_count(threads)).layout(_ROWS)
        state = self._state
        executor = _native.Executor(layout.compile(), state.parameters.store, None, state.seed)
        self.executors[link, threads] = executor
        return executor
