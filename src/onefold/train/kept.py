"""The session of a network's last run, kept for the next: its memory is in place, its weights packed."""

from __future__ import annotations

import weakref
from typing import Any

from onefold.optim import Optimizer
from onefold.train.programs import Architecture
from onefold.train.session import Session, file_rows
from onefold.train.state import OptimizerState, State

#: A run that held more than this gives all of it back.
_MOST_BYTES = 128 << 20

_last: weakref.ref[KeptSession] | None = None


class KeptSession:
    """Room for one session of one network; what another network kept goes when this one trains."""

    def __init__(self) -> None:
        self._kept: tuple[Any, Session] | None = None
        self._key: Any = None  # of the session that was taken last

    def take(
        self,
        architecture: Architecture,
        state: State,
        optimizer: Optimizer,
        optimizer_state: OptimizerState,
        inputs: Any,
        **options: Any,
    ) -> Session:
        """A session for a run: the kept one if it was made with the same options, or else a new one.

        Parameters
        ----------
        architecture, state, optimizer, optimizer_state, inputs, **options
            As of `Session`.
        """
        global _last
        other = _last() if _last is not None else None
        if other is not None and other is not self:
            other._kept = None
        clipped = optimizer.clip_global_norm is not None
        key = (options, len(optimizer.states), clipped, file_rows(inputs))
        kept, self._kept, _last = self._kept, None, None
        if kept is not None and kept[0] == key:
            session = kept[1]
            session.use(optimizer, optimizer_state)
        else:
            del kept  # before the new one takes memory
            session = Session(
                architecture, state, optimizer=optimizer, optimizer_state=optimizer_state,
                inputs=inputs, **options,
            )  # fmt: skip
        self._key = key
        return session

    def keep(self, session: Session) -> None:
        """Keep the session that was taken last, unless it is large or reads rows from a file."""
        global _last
        if session.bytes <= _MOST_BYTES and self._key[-1] == (0, 0):
            self._kept = self._key, session
            _last = weakref.ref(self)
