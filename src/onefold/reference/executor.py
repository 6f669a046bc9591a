"""The executor's twin in float64 NumPy: slow, short, and what the native one is measured against.

It runs the same programs, operation by operation over the whole batch at once, with NumPy's own
sums: it says what an operation means, not in which order its sums are made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold.nn.activations import ACTIVATIONS
from onefold.program import Operation, Place, Program, Reference, Value, embedding_parts
from onefold.reference.activations import BACKWARD, FORWARD
from onefold.reference.losses import LOSSES
from onefold.reference.random import dropout_mask

Array = NDArray[np.float64]


@dataclass
class Run:
    """One pass of a program over a batch.

    Attributes
    ----------
    program : Program
    parameters : list of arrays
        In the shapes of the program.
    arrays : dict of External to array
        Inputs, targets, and weights where the program reads them.
    seed, update, first_row : int
        Keys of the dropout masks.
    """

    program: Program
    parameters: list[Array]
    arrays: dict[int, NDArray[Any]]
    seed: int = 0
    update: int = 0
    first_row: int = 0
    values: dict[Value, Array] = field(default_factory=dict)
    gradients: list[Array] = field(default_factory=list)
    output: Array | None = None
    loss_total: float = 0.0
    _pre: dict[Value, Array] = field(default_factory=dict)  # inputs of activations, by their output

    def run(self) -> Run:
        """Run every operation; results are in the attributes."""
        self.gradients = [np.zeros(shape) for shape in self.program.shapes]
        for operation in self.program.operations:
            STEPS[operation.type](self, operation)
        if self.program.loss is not None:
            self.loss_total = float(self.values[self.program.loss].sum())
        return self

    def read(self, operand: object) -> Array:
        """The array of an operand."""
        if isinstance(operand, Value):
            return self.values[operand]
        assert isinstance(operand, Reference)
        if operand.place == Place.EXTERNAL:
            array = np.asarray(self.arrays[operand.index], dtype=np.float64)
            return array.reshape(len(array), -1)
        array = self.parameters[operand.index]
        return array.T if operand.place == Place.TRANSPOSED else array

    def write(self, operand: object, array: Array) -> None:
        """Set a value."""
        assert isinstance(operand, Value)
        self.values[operand] = array


def _gather(run: Run, op: Operation) -> None:
    run.write(op.operands[0], run.read(op.operands[1]))


def _scatter(run: Run, op: Operation) -> None:
    run.output = run.read(op.operands[1])


def _add(run: Run, op: Operation) -> None:
    run.write(op.operands[0], run.read(op.operands[1]) + run.read(op.operands[2]))


def _linear(run: Run, op: Operation) -> None:
    z, x, weight, bias = op.operands
    offset = 0.0 if bias is None else run.read(bias)
    run.write(z, run.read(x) @ run.read(weight) + offset)


def _weight_gradient(run: Run, op: Operation) -> None:
    gradient, x, dz, bias = op.operands
    assert isinstance(gradient, Reference)
    run.gradients[gradient.index] += run.read(x).T @ run.read(dz)
    if isinstance(bias, Reference):
        run.gradients[bias.index] += run.read(dz).sum(axis=0, keepdims=True)


def _column_sums(run: Run, op: Operation) -> None:
    gradient, dz = op.operands
    assert isinstance(gradient, Reference)
    run.gradients[gradient.index] += run.read(dz).sum(axis=0, keepdims=True)


def _embedding_forward(run: Run, op: Operation) -> None:
    y, codes, source, first = op.operands
    assert isinstance(first, Reference)
    x = run.read(source)
    runs, tables = embedding_parts(op)
    found = np.stack([x[:, column].astype(np.int64) for column, _, _, _ in tables], axis=1)
    vectors = [run.parameters[first.index + k][found[:, k]] for k in range(len(tables))]
    run.write(y, np.concatenate([*(x[:, a : a + n] for a, _, n in runs), *vectors], axis=1))
    run.write(codes, found.astype(np.float64))


def _embedding_backward(run: Run, op: Operation) -> None:
    dx, source = op.operands
    dy = run.read(source)
    assert isinstance(dx, Value)
    out = np.zeros((len(dy), dx.width))
    for a, b, n in embedding_parts(op)[0]:
        out[:, a : a + n] = dy[:, b : b + n]
    run.write(dx, out)


def _embedding_gradient(run: Run, op: Operation) -> None:
    table, codes, dy = op.operands
    assert isinstance(table, Reference)
    place, first = map(int, op.numbers)
    gradient = run.gradients[table.index]
    part = run.read(dy)[:, first : first + gradient.shape[1]]
    np.add.at(gradient, run.read(codes)[:, place].astype(np.int64), part)


def _activation_forward(run: Run, op: Operation) -> None:
    y, x = op.operands
    name = op.kernel.removesuffix("_forward")
    run.write(y, np.asarray(FORWARD[name](run.read(x), op.numbers)))
    assert isinstance(y, Value)
    run._pre[y] = run.read(x)


def _activation_backward(run: Run, op: Operation) -> None:
    dx, dy, saved = op.operands
    assert isinstance(saved, Value)
    name = op.kernel.removesuffix("_backward")
    # The kernels derive some slopes from the output; here always from the input.
    x = run._pre[saved] if ACTIVATIONS[name].needs == "output" else run.read(saved)
    run.write(dx, np.asarray(BACKWARD[name](run.read(dy), x, op.numbers)))


def _prelu_forward(run: Run, op: Operation) -> None:
    y, x, slope = op.operands
    value = run.read(x)
    run.write(y, np.where(value < 0, value * run.read(slope), value))


def _prelu_backward(run: Run, op: Operation) -> None:
    dx, dslope, dy, x, slope = op.operands
    value, gradient = run.read(x), run.read(dy)
    run.write(dx, np.where(value < 0, gradient * run.read(slope), gradient))
    run.write(dslope, np.where(value < 0, gradient * value, 0))


def _dropout(run: Run, op: Operation) -> None:
    out, source = op.operands
    x = run.read(source)
    rate, layer = op.numbers
    mask = dropout_mask(x.shape, rate, run.seed, int(layer), run.update, run.first_row)
    run.write(out, x * mask / (1 - rate))


def _loss(run: Run, op: Operation) -> None:
    loss, dz, z, y, w = op.operands
    weight = 1.0 if w is None else run.read(w)
    value, gradient = LOSSES[op.kernel](run.read(z), run.read(y), op.numbers)
    run.write(loss, value[:, None] * weight)
    if dz is not None:
        run.write(dz, gradient * weight)


#: What every type of operation does.
STEPS: dict[str, Callable[[Run, Operation], None]] = {
    "gather": _gather,
    "gather_labels": _gather,
    "scatter": _scatter,
    "add": _add,
    "linear_forward": _linear,
    "linear_backward": _linear,
    "weight_gradient": _weight_gradient,
    "column_sums": _column_sums,
    "embedding_forward": _embedding_forward,
    "embedding_backward": _embedding_backward,
    "embedding_gradient": _embedding_gradient,
    "activation_forward": _activation_forward,
    "activation_backward": _activation_backward,
    "prelu_forward": _prelu_forward,
    "prelu_backward": _prelu_backward,
    "dropout_forward": _dropout,
    "dropout_backward": _dropout,
    "loss": _loss,
}
