"""Evaluation: the loss of a network on rows, forward alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain
from typing import Any

from numpy.typing import ArrayLike, NDArray

from onefold import _native
from onefold._errors import DataError, OptionError
from onefold.nn.losses import Loss, Targets
from onefold.train.budget import Budget, thread_count
from onefold.train.programs import Architecture
from onefold.train.session import column, host, prepare
from onefold.train.state import State

Array = NDArray[Any]
_ROWS = 4096  # at a time


class Evaluator:
    """Mean loss of a network over rows, in the forward direction alone."""

    def __init__(
        self,
        architecture: Architecture,
        state: State,
        loss: Loss,
        *,
        labels: bool,
        weighted: bool,
        threads: int | None = None,
        rows: int = 1024,
    ) -> None:
        loss_plan = loss.plan(architecture.outputs, labels, architecture.final_activation)
        program = architecture.evaluation(loss_plan, weighted=weighted)
        layout = Budget(program, 0, 0, thread_count(threads)).layout(min(rows, _ROWS))
        self.executor = _native.Executor(layout.compile(), state.parameters.store, None, state.seed)
        if function := host(loss):
            self.executor.set_host(function, architecture.dtype == "float64")

    def __call__(self, x: Array, y: Array, w: Array | None) -> float:
        """Sum of weight times loss over the sum of weights."""
        total, weight = self.executor.evaluate(x, column(y), w)
        return total / weight if weight > 0 else math.nan

    def pieces(self, pieces: Iterable[tuple[Array, Array, Array | None]]) -> float:
        """The same of rows that come a piece at a time: the sums go on from one to the next."""
        self.executor.begin(0)
        for x, y, w in pieces:
            self.executor.add(x, column(y), w)
        total, weight = self.executor.accumulated()
        return total / weight if weight > 0 else math.nan


#: What measures the loss, with the inputs, targets and weights that it is measured on.
HeldOut = tuple[Evaluator, Array, Array, Array | None]


def held_out(
    architecture: Architecture, state: State, loss: Loss, validation: Any, threads: int | None
) -> HeldOut:
    """The rows of `validation`, (X, y) or (X, y, sample_weight), checked.

    Raises
    ------
    ShapeError, DtypeError, DataError, OptionError
        It is neither of the two, or its arrays cannot be.
    """
    if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
        raise OptionError("validation is (X, y) or (X, y, sample_weight)")
    given = validation[2] if len(validation) == 3 else None
    x, targets, weights = prepare(
        architecture, loss, validation[0], validation[1], given, "validation ",
        thread_count(threads),
    )  # fmt: skip
    evaluator = Evaluator(
        architecture, state, loss, labels=targets.labels, weighted=weights is not None,
        threads=threads, rows=len(x),
    )  # fmt: skip
    return evaluator, x, targets.array, weights


def mean_over_pieces(
    architecture: Architecture,
    state: State,
    loss: Loss,
    pieces: Iterable[tuple[ArrayLike, ArrayLike]],
    threads: int | None,
) -> float:
    """Mean of the loss over rows (X, y) that come a piece at a time.

    Raises
    ------
    DataError
        There is no piece.
    """
    threads = thread_count(threads)

    def checked(X: ArrayLike, y: ArrayLike) -> tuple[Array, Targets]:
        return prepare(architecture, loss, X, y, None, threads=threads)[:2]

    rest = (checked(X, y) for X, y in pieces)
    first = next(rest, None)
    if first is None:
        raise DataError("there is no piece, so there is no loss")
    evaluator = Evaluator(
        architecture,
        state,
        loss,
        labels=first[1].labels,
        weighted=False,
        threads=threads,
        rows=_ROWS,
    )
    return evaluator.pieces((x, y.array, None) for x, y in chain([first], rest))
