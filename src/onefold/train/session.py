"""An executor with its loss, optimizer and plan: what turns rows into updates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold import _native
from onefold.nn.losses import CustomLoss, Loss, Targets
from onefold.optim import Optimizer, Schedule
from onefold.train import arrays
from onefold.train.budget import Budget, Plan, thread_count
from onefold.train.programs import Architecture
from onefold.train.state import OptimizerState, Parameters, State

Array = NDArray[Any]


def host(loss: Loss) -> Callable[[int, int, list[Any]], None] | None:
    """The host operation of a loss written in Python, or None for a native loss."""
    if not isinstance(loss, CustomLoss):
        return None

    def call(rows: int, first_row: int, operands: list[Any]) -> None:
        out_loss, out_gradient, z, y, w = operands
        weight = np.ones(rows, z.dtype) if w is None else w[:, 0].copy()
        values, gradient = loss.call(y.copy(), z.copy(), weight)
        out_loss[:, 0] = values
        if out_gradient is not None:
            out_gradient[...] = gradient

    return call


class Session:
    """Accumulates gradients and makes updates for one network, loss and optimizer.

    Parameters
    ----------
    architecture, state
        The network.
    loss : Loss
    labels, weighted : bool
        Whether targets are class labels, whether rows have weights.
    batch_size : int
        Rows of an update, for the plan.
    micro_batch, memory, threads
        As in `Network.fit`.
    optimizer : Optimizer, optional
        None for gradients alone.
    optimizer_state : OptimizerState, optional
    ordered, copies : int
        Rows whose order the plan counts, and copies of the parameters.
    inputs : array, optional
        The rows, where they may be read from a file.
    scale : float
        What is minimised is the mean loss times this.
    recorded : bool
        Whether the squares of the weights are wanted at every update.
    """

    def __init__(
        self,
        architecture: Architecture,
        state: State,
        loss: Loss,
        *,
        labels: bool,
        weighted: bool,
        batch_size: int,
        micro_batch: int | str = "auto",
        memory: int | float | str | None = None,
        threads: int | None = None,
        optimizer: Optimizer | None = None,
        optimizer_state: OptimizerState | None = None,
        ordered: int = 0,
        copies: int = 0,
        inputs: Array | None = None,
        scale: float = 1.0,
        recorded: bool = False,
    ) -> None:
        self.architecture = architecture
        self.state = state
        self.loss = loss
        self.optimizer = optimizer
        self.optimizer_state = optimizer_state
        self.scale = scale
        self.dtype = np.dtype(architecture.dtype)
        loss_plan = loss.plan(architecture.outputs, labels, architecture.final_activation)
        program = architecture.training(loss_plan, weighted=weighted)
        budget = Budget(
            program,
            len(optimizer.states) if optimizer else 0,
            ordered,
            thread_count(threads),
            copies,
            recorded or (optimizer is not None and optimizer.clip_global_norm is not None),
            *file_rows(inputs),
        )
        self.plan: Plan = budget.choose(batch_size, micro_batch, memory)
        self.gradient = Parameters(architecture)
        self.executor = _native.Executor(
            budget.layout(self.plan.micro_batch).compile(),
            state.parameters.store,
            self.gradient.store,
            state.seed,
        )
        self.executor.window_rows = self.plan.window_rows
        if function := host(loss):
            self.executor.set_host(function, self.dtype == np.float64)
        self._spares: list[Parameters] = []
        if optimizer is not None and optimizer_state is not None:
            self.use(optimizer, optimizer_state)

    def use(self, optimizer: Optimizer, optimizer_state: OptimizerState) -> None:
        """Make updates by an optimizer, with as many states as the plan has."""
        self.optimizer, self.optimizer_state = optimizer, optimizer_state
        infinity = math.inf
        self.executor.set_update_rule(
            optimizer.kernel,
            [
                optimizer.decay_biases or not spec.is_bias
                for _, _, spec in self.architecture.parameters
            ],
            infinity if optimizer.clip_value is None else optimizer.clip_value,
            infinity if optimizer.clip_global_norm is None else optimizer.clip_global_norm,
            optimizer_state.stores,
            self.scale,
        )

    @property
    def bytes(self) -> int:
        """Bytes that go with the session: the plan without the network, its optimizer and the rows' order."""
        plan = self.plan
        return plan.total - plan.parameters - plan.optimizer - plan.order

    def spare(self, number: int) -> Parameters:
        """Memory for a copy of the parameters, counted from 0; it is made when it is first asked for."""
        while len(self._spares) <= number:
            self._spares.append(Parameters(self.architecture))
        return self._spares[number]

    def scalars(
        self, count: int, total_updates: int | None, updates_per_epoch: int | None
    ) -> NDArray[np.float64]:
        """The optimizer's numbers for the next `count` updates, shape (count, numbers)."""
        assert self.optimizer is not None
        assert self.optimizer_state is not None
        first = self.optimizer_state.updates
        rate = self.optimizer.learning_rate
        if isinstance(rate, Schedule):
            rates = rate.values(first, count, total_updates, updates_per_epoch)
        else:
            rates = np.full(count, float(rate))
        return np.ascontiguousarray(self.optimizer.scalars(first, count, rates))

    def mean_gradient(self) -> dict[str, Array]:
        """The accumulated gradient, divided by the weights' sum, times `scale`."""
        _, weight = self.executor.accumulated()
        inverse = self.dtype.type(self.scale / weight if weight > 0 else 0.0)
        return {name: array * inverse for name, array in self.gradient.arrays().items()}


def prepare(
    architecture: Architecture,
    loss: Loss,
    X: Any,
    y: Any,
    sample_weight: Any,
    what: str = "",
    threads: int = 1,
    look: bool = True,
) -> tuple[Array, Targets, Array | None]:
    """Checked inputs, targets and weights; without `look` the inputs' values are not looked through."""
    dtype = np.dtype(architecture.dtype)
    first = architecture.layers[0][0]
    x = arrays.inputs(
        X, architecture.inputs, f"{type_name(architecture)} '{first}'", dtype, what=f"{what}X",
        codes=architecture.codes, threads=threads, look=look,
    )  # fmt: skip
    targets = loss.targets(np.asarray(y), architecture.outputs, dtype)
    arrays.same_rows(targets.array, len(x), f"{what}y")
    return x, targets, arrays.weights(sample_weight, len(x), dtype)


def file_rows(array: Array | None) -> tuple[int, int]:
    """Rows that are read from a file by position, and bytes of each; zeros for an array in memory."""
    if array is None or _native.row_file(array) is None:
        return 0, 0
    return len(array), array.shape[1] * array.itemsize


def type_name(architecture: Architecture) -> str:
    """Class name of the first layer."""
    return type(architecture.layers[0][3]).__name__


def column(array: Array) -> Array:
    """Targets with two dimensions, as the executor reads them."""
    return array.reshape(len(array), -1)
