"""Gradient accumulation by hand: pieces of one batch, then one update."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import TracebackType
from typing import Any

from numpy.typing import ArrayLike, NDArray

from onefold._errors import DataError, DivergedError, OptionError
from onefold.nn.losses import Loss
from onefold.train.programs import Architecture
from onefold.train.session import Session, column, prepare


class Accumulation:
    """Adds up the gradient of a batch that comes in pieces.

    The rows are one batch in the order in which they are added: however they are cut, the update is
    the whole batch's, to the bit, dropout masks included.

    Attributes
    ----------
    rows : int
        Rows added so far.
    loss : float
        Weighted mean of their losses.
    """

    def __init__(
        self,
        session: Session | Callable[[bool, bool], Session],
        architecture: Architecture | None = None,
        loss: Loss | None = None,
    ) -> None:
        self._make = session
        self._session: Session | None = session if isinstance(session, Session) else None
        self._architecture = architecture
        self._loss = loss
        self._kind: tuple[bool, bool] | None = None
        self._open = False
        self.rows = 0

    def add(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Add the gradient of a piece; the weights of the network stay as they are.

        Parameters
        ----------
        X : array, shape (rows, inputs)
        y : array, shape (rows,) or (rows, outputs)
        sample_weight : array, shape (rows,), optional
            For every piece or for none.
        """
        if not self._open:
            raise OptionError("add pieces inside the block: with net.accumulate(...) as step: ...")
        assert self._architecture is not None
        assert self._loss is not None
        x, targets, weights = prepare(self._architecture, self._loss, X, y, sample_weight)
        kind = (targets.labels, weights is not None)
        if self._kind not in (None, kind):
            raise DataError(
                "all pieces of a batch have the same kind of targets, and weights or none"
            )
        self._kind = kind
        if self._session is None:
            assert not isinstance(self._make, Session)
            self._session = self._make(*kind)
        self.add_checked(x, targets.array, weights)

    def add_checked(self, x: NDArray[Any], y: NDArray[Any], weights: NDArray[Any] | None) -> None:
        """Add a piece that has been checked."""
        assert self._session is not None
        if self.rows == 0:
            self._session.executor.begin(self._session.state.updates)
        self._session.executor.add(x, column(y), weights)
        self.rows += len(x)

    @property
    def loss(self) -> float:
        """Weighted mean of the losses so far; NaN before the first piece."""
        if self._session is None or self.rows == 0:
            return math.nan
        total, weight = self._session.executor.accumulated()
        return float(total / weight) if weight > 0 else 0.0

    def __enter__(self) -> Accumulation:
        self._open = True
        self.rows = 0
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open = False
        if kind is not None:
            return
        if self._session is None or self.rows == 0:
            raise DataError("no piece was added, so there is nothing to update from")
        session = self._session
        assert session.optimizer_state is not None
        if not session.executor.finish(session.scalars(1, None, None)):
            raise DivergedError(
                f"the loss ({self.loss}) or the gradient is not finite; no update was made"
            )
        session.optimizer_state.updates += 1
        session.state.updates += 1
