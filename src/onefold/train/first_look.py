"""Inputs that are looked through while they are gathered for the first time, instead of before that.

Where a network does little with each value, reading all of them from memory once more takes a good part
of an epoch. What is refused is the same, and so is what is left then: the network as it was.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold._errors import DataError
from onefold.nn.losses import CustomLoss, Loss
from onefold.train import arrays, residency
from onefold.train.programs import Architecture
from onefold.train.session import Session

#: Bytes of inputs that no cache holds.
_LEAST_BYTES = 32 << 20
#: Of prediction, for each value. With more of them looking is less than a twentieth of an epoch, which is
#: long to wait for a message.
_MOST_OPERATIONS = 200


def pays(architecture: Architecture, loss: Loss, X: Any) -> bool:
    """Whether looking through the inputs may wait: large ones in memory, soon trained with."""
    return (
        isinstance(X, np.ndarray)
        and X.ndim == 2
        and X.shape[1] == architecture.inputs
        and X.dtype == architecture.dtype
        and X.nbytes >= _LEAST_BYTES
        and X.flags.carray
        and residency.mapped_file(X) is None
        and not architecture.codes
        and not isinstance(loss, CustomLoss)
        and architecture.prediction().cost <= _MOST_OPERATIONS * architecture.inputs
    )


class FirstLook:
    """A run's first epoch over inputs that nobody has looked through.

    Parameters
    ----------
    session : Session
        Its first spare holds the parameters of the epoch's start. The next ones are taken for the
        optimizer's states; until the epoch's end nobody else needs them.
    x : array, shape (rows, inputs)
    """

    def __init__(self, session: Session, x: NDArray[Any]) -> None:
        assert session.optimizer_state is not None
        self._session, self._x, self._optimizer = session, x, session.optimizer_state
        self._updates = session.state.updates, self._optimizer.updates
        self._states = [session.spare(1 + i) for i in range(len(self._optimizer.states))]
        for kept, state in zip(self._states, self._optimizer.states, strict=True):
            kept.store.copy_from(state.store)
        session.executor.watch_inputs(True)

    def check(self, *, all_rows: bool = False) -> None:
        """Refuse the inputs if what was gathered is not finite, or if any row is not.

        Raises
        ------
        DataError
            NaN or infinity; the network and the optimizer are as they were before the run.
        """
        if self._session.executor.inputs_finite and not all_rows:
            return
        try:
            arrays.check_values(self._x, self._x.dtype, "X", threads=self._session.executor.threads)
        except DataError:
            state = self._session.state
            state.parameters.store.copy_from(self._session.spare(0).store)
            for kept, found in zip(self._states, self._optimizer.states, strict=True):
                found.store.copy_from(kept.store)
            state.updates, self._optimizer.updates = self._updates
            raise

    def end(self) -> None:
        """Gather inputs without looking."""
        self._session.executor.watch_inputs(False)
