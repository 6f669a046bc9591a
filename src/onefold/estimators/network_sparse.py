"""The fit of a network on sparse rows: `Network.fit`, with rows that are made dense piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold.estimators._pieces import PiecewiseExecutor
from onefold.estimators._shared import budget_of_pieces, piece_bytes
from onefold.estimators.network_inputs import SparseInputs
from onefold.network import Network
from onefold.nn.losses import Loss
from onefold.optim import Optimizer
from onefold.train import arrays
from onefold.train.callbacks import Callback, History, attached
from onefold.train.evaluation import Evaluator
from onefold.train.loop import Training
from onefold.train.options import Options
from onefold.train.session import Session

Array = NDArray[Any]
Rows = tuple[SparseInputs, Array, Array | None]  # inputs, targets, weights


def fit_network(
    network: Network,
    x: Array | SparseInputs,
    y: Array,
    *,
    sample_weight: Array | None,
    validation: tuple[Any, Array, Array | None] | None,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int,
    micro_batch: int | str,
    memory: int | float | str | None,
    patience: int | None,
    min_delta: float,
    threads: int,
    verbose: int,
    callbacks: Sequence[Callback],
) -> History:
    """`Network.fit`, whose parameters these are; inputs of sparse rows are dense piece by piece."""
    if not isinstance(x, SparseInputs):
        if validation is not None and isinstance(validation[0], SparseInputs):
            validation = (validation[0].toarray(), *validation[1:])
        return network.fit(
            x, y, sample_weight=sample_weight, validation=validation, loss=loss, optimizer=optimizer,
            epochs=epochs, batch_size=batch_size, micro_batch=micro_batch, memory=memory,
            patience=patience, min_delta=min_delta, threads=threads, verbose=verbose,
            callbacks=callbacks,
        )  # fmt: skip
    options = Options(
        epochs, batch_size, True, None, patience, min_delta, None, None, 30.0, False
    )  # fmt: skip
    rows = _checked(network, loss, x, y, sample_weight)
    pieces = piece_bytes(x, memory)
    with budget_of_pieces(memory, pieces) as left:
        session = Session(
            network._architecture, network._state, loss, labels=rows[1].ndim == 1,
            weighted=rows[2] is not None, batch_size=batch_size, micro_batch=micro_batch, memory=left,
            threads=threads, optimizer=optimizer, optimizer_state=network._optimizer_state(optimizer),
            ordered=len(x) if batch_size < len(x) else 0, copies=1 if patience is None else 2,
        )  # fmt: skip
    session.executor = PiecewiseExecutor(session.executor, pieces)  # type: ignore[assignment]
    held_out = None
    if validation is not None:
        checked = _checked(network, loss, *validation)
        held_out = (_evaluator(network, loss, checked, threads, pieces), *checked)
    network._link = loss.link_for(network.outputs)
    heard = attached(callbacks, network, epochs, verbose)
    config = network._config()
    return Training(session, rows, held_out, options, heard, config).run()  # type: ignore[arg-type]


def _checked(network: Network, loss: Loss, x: Any, y: Array, weight: Array | None) -> Rows:
    """Rows with the targets and weights of the network's type."""
    dtype = np.dtype(network.dtype)
    targets = loss.targets(y, network.outputs, dtype)
    return x, targets.array, arrays.weights(weight, len(x), dtype)


def _evaluator(network: Network, loss: Loss, rows: Rows, threads: int, pieces: int) -> Evaluator:
    """Measures the loss on rows for validation, sparse or not."""
    x, y, weight = rows
    evaluator = network._evaluator(loss, y.ndim == 1, weight is not None, threads, len(x))
    evaluator.executor = PiecewiseExecutor(evaluator.executor, pieces)  # type: ignore[assignment]
    return evaluator
