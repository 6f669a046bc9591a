"""The programs of a network: training, evaluation and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from onefold._errors import OptionError
from onefold.nn import activations
from onefold.nn.layers import Layer, ParameterSpec, named
from onefold.nn.losses import LossPlan
from onefold.program import Builder, Program, Value


@dataclass(frozen=True)
class Architecture:
    """Layers with their names, keys and the place of their first parameter.

    Attributes
    ----------
    inputs, outputs : int
    dtype : str
    layers : tuple of (name, key, first parameter, layer)
    parameters : tuple of (name, spec)
        Every parameter in canonical order, named "dense_0.weight" and the like.
    codes : dict of int to int
        Columns of the data that hold codes, with the number that these are below.
    """

    inputs: int
    outputs: int
    dtype: str
    layers: tuple[tuple[str, int, int, Layer], ...]
    parameters: tuple[tuple[str, int, ParameterSpec], ...]
    codes: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, layers: Sequence[Layer], inputs: int, dtype: str) -> Architecture:
        """Lay out `layers` for inputs of a width.

        Raises
        ------
        ShapeError, OptionError
            A layer reads codes from a column that is not there, or is not the data's own.
        """
        width = inputs
        columns: list[int | None] = list(range(inputs))  # of the data, where a value is one
        codes: dict[int, int] = {}
        placed: list[tuple[str, int, int, Layer]] = []
        parameters: list[tuple[str, int, ParameterSpec]] = []
        for name, key, layer in named(layers):
            placed.append((name, key, len(parameters), layer))
            for spec in layer.parameters(width):
                parameters.append((f"{name}.{spec.name}", key, spec))
            for column, count in layer.codes.items():
                codes[_of_the_data(columns[column], name, column)] = count
            columns = [None if i is None else columns[i] for i in layer.passed(width)]
            width = layer.outputs(width)
        return cls(inputs, width, dtype, tuple(placed), tuple(parameters), codes)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Every parameter as rows and columns."""
        return [spec.matrix for _, _, spec in self.parameters]

    @property
    def final_activation(self) -> str:
        """Name of the activation that the network ends with."""
        for _, _, _, layer in reversed(self.layers):
            if layer.kind != "dropout":
                return layer.final_activation
        return "linear"

    def _builder(self, *, training: bool = False) -> Builder:
        return Builder(
            self.shapes, lambda name: activations.ACTIVATIONS[name].needs, training=training
        )

    def _forward(self, builder: Builder, *, activate: bool = True) -> Value:
        x = builder.inputs(self.inputs)
        final = max(i for i, (_, _, _, layer) in enumerate(self.layers) if layer.kind != "dropout")
        for place, (_, key, first, layer) in enumerate(self.layers):
            x = layer.declare(builder, x, first, key, activate=activate or place != final)
        return x

    def training(self, plan: LossPlan, *, weighted: bool) -> Program:
        """Forward, loss, backward and the gradients of every parameter."""
        return self._with_loss(plan, weighted=weighted, training=True)

    def evaluation(self, plan: LossPlan, *, weighted: bool) -> Program:
        """Forward and loss."""
        return self._with_loss(plan, weighted=weighted, training=False)

    def _with_loss(self, plan: LossPlan, *, weighted: bool, training: bool) -> Program:
        builder = self._builder(training=training)
        z = self._forward(builder, activate=not plan.drop_final_activation)
        loss = builder.loss(
            z, plan.kernel, plan.numbers, labels=plan.labels, weighted=weighted, backward=training
        )
        return builder.finish(self.dtype, loss=loss)

    def prediction(self, link: str | None = None) -> Program:
        """Forward; with `link`, that activation on top (probabilities from logits)."""
        builder = self._builder()
        output = self._forward(builder)
        if link is not None and self.final_activation != link:
            output = builder.activation(output, link)
        return builder.finish(self.dtype, output=output)


def _of_the_data(column: int | None, layer: str, place: int) -> int:
    if column is None:
        raise OptionError(
            f"{layer} reads codes from its column {place}, which a layer before it computes; codes "
            "come from the data: put embeddings first"
        )
    return column
