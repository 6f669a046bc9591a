"""Builds programs: layers declare forward operations, the backward ones are derived."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Literal

from onefold.program.operations import OPERATIONS
from onefold.program.program import Program, make_stages
from onefold.program.values import External, Operand, Operation, Place, Reference, Value

#: Whether an activation's derivative is computed from its input or its output.
Saved = Callable[[str], Literal["input", "output"]]


class Builder:
    """Collects the operations of one program.

    Parameters
    ----------
    shapes : list of (int, int)
        Shape of every parameter of the network; operations name them by their place here.
    saved_operand : callable
        For an activation's name, whether its derivative reads its "input" or its "output".
    training : bool
        Whether layers that act only in training (dropout) declare themselves.
    """

    def __init__(
        self, shapes: list[tuple[int, int]], saved_operand: Saved, *, training: bool = False
    ) -> None:
        self.shapes = shapes
        self.saved_operand = saved_operand
        self.training = training
        self._operations: list[Operation] = []
        self._learned: set[Value] = set()

    def emit(
        self,
        type: str,
        operands: tuple[Operand, ...],
        numbers: tuple[float, ...] = (),
        kernel: str | None = None,
    ) -> None:
        """Append one operation; `operands` stand outputs first."""
        operation = Operation(type, kernel or type, operands, numbers)
        self._operations.append(operation)
        outputs = OPERATIONS[type].outputs
        learned = any(
            operand in self._learned if isinstance(operand, Value) else _is_parameter(operand)
            for operand in operands[outputs:]
        )
        if learned:
            self._learned.update(operation.values(0, outputs))

    def needs_gradient(self, value: Value) -> bool:
        """Whether a parameter stands behind the value."""
        return value in self._learned

    # Forward operations, in the words of layers.

    def inputs(self, width: int) -> Value:
        """Read the rows of the user's inputs."""
        x = Value(width)
        self.emit("gather", (x, Reference(Place.EXTERNAL, External.INPUTS)))
        return x

    def targets(self, width: int, *, labels: bool) -> Value:
        """Read the rows of the user's targets: numbers, or one class label each."""
        if labels:
            y = Value(1, "int32", aligned=False)
            self.emit("gather_labels", (y, Reference(Place.EXTERNAL, External.TARGETS)))
            return y
        y = Value(width, aligned=width > 1)
        self.emit("gather", (y, Reference(Place.EXTERNAL, External.TARGETS)))
        return y

    def weights(self) -> Value:
        """Read the weight of every row."""
        w = Value(1, aligned=False)
        self.emit("gather", (w, Reference(Place.EXTERNAL, External.WEIGHTS)))
        return w

    def linear(self, x: Value, weight: int, bias: int | None) -> Value:
        """`x W + b`; parameters by their place in `shapes`."""
        z = Value(self.shapes[weight][1])
        offset = None if bias is None else Reference(Place.PARAMETER, bias)
        self.emit("linear_forward", (z, x, Reference(Place.PARAMETER, weight), offset))
        return z

    def embedding(self, x: Value, columns: Sequence[int], first: int) -> Value:
        """The other columns of `x` in their order, then for each of `columns` the row of its table.

        The tables are parameters that stand one after another from `first` on.
        """
        runs = _runs(x.width, columns)
        tables = []
        width = x.width - len(columns)
        for column, (categories, size) in zip(columns, self.shapes[first:], strict=False):
            tables.append((column, width, categories, size))
            width += size
        numbers = (len(runs), *(n for run in runs for n in run))
        numbers += (len(tables), *(n for table in tables for n in table))
        y, codes = Value(width), Value(len(columns), "int32", aligned=False)
        operands = (y, codes, x, Reference(Place.PARAMETER, first))
        self.emit("embedding_forward", operands, tuple(map(float, numbers)))
        return y

    def activation(self, x: Value, name: str, numbers: tuple[float, ...] = ()) -> Value:
        """An elementwise or row-wise function of `x`."""
        if name == "linear":
            return x
        y = Value(x.width)
        self.emit("activation_forward", (y, x), numbers, f"{name}_forward")
        return y

    def prelu(self, x: Value, slope: int) -> Value:
        """`x` where it is positive, else `x` times the learned slope of its column."""
        y = Value(x.width)
        self.emit("prelu_forward", (y, x, Reference(Place.PARAMETER, slope)))
        return y

    def dropout(self, x: Value, rate: float, layer: int) -> Value:
        """Inverted dropout; the mask of an element is keyed by its row, column and layer."""
        if not self.training or rate == 0:
            return x
        y = Value(x.width)
        self.emit("dropout_forward", (y, x), (rate, float(layer)))
        return y

    def loss(
        self,
        z: Value,
        kernel: str,
        numbers: tuple[float, ...],
        *,
        labels: bool,
        weighted: bool,
        backward: bool,
    ) -> Value:
        """Loss of every row (float64, weighted); with `backward`, all gradients behind it."""
        host = kernel == "host"
        y = self.targets(z.width, labels=labels)
        w = self.weights() if weighted else None
        loss = Value(1, "float64", aligned=False)
        dz = Value(z.width) if backward or host else None
        operands: tuple[Operand, ...] = (loss, dz, z, y, w)
        self.emit("host_loss" if host else "loss", operands, numbers, kernel)
        if backward and dz is not None:
            self._backward(z, dz)
        return loss

    def _backward(self, z: Value, dz: Value) -> None:
        gradients: dict[Value, Value] = {z: dz}
        for operation in reversed(list(self._operations)):
            rule = OPERATIONS[operation.type].gradient
            if rule is None:
                continue
            output = operation.operands[0]
            source = operation.operands[OPERATIONS[operation.type].outputs]
            assert isinstance(output, Value)
            assert isinstance(source, Value)
            gradient = gradients.pop(output, None)
            if gradient is None or output not in self._learned:
                continue
            incoming = rule(self, operation, gradient)
            if source not in self._learned:
                continue
            if source in gradients:  # read by two operations: their gradients add up, later first
                total = Value(source.width)
                self.emit("add", (total, gradients[source], incoming))
                incoming = total
            gradients[source] = incoming

    def finish(
        self, dtype: str, *, output: Value | None = None, loss: Value | None = None
    ) -> Program:
        """The program of everything emitted so far.

        Parameters
        ----------
        dtype : str
            "float32" or "float64".
        output : Value, optional
            Copied row by row to the user's output array.
        loss : Value, optional
            The value whose rows are summed as the loss.
        """
        if output is not None:
            self.emit("scatter", (Reference(Place.EXTERNAL, External.OUTPUT), output))
        return Program(dtype, tuple(make_stages(self._operations)), tuple(self.shapes), loss)


def _runs(width: int, left_out: Sequence[int]) -> list[tuple[int, int, int]]:
    """Columns that stay side by side when some are left out: from, to, how many."""
    bounds = [-1, *sorted(left_out), width]
    runs, to = [], 0
    for before, after in itertools.pairwise(bounds):
        if count := after - before - 1:
            runs.append((before + 1, to, count))
            to += count
    return runs


def _is_parameter(operand: Operand) -> bool:
    return isinstance(operand, Reference) and operand.place == Place.PARAMETER
