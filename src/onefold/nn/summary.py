"""The layers of a network as a table."""

from __future__ import annotations

from collections.abc import Sequence

from onefold.nn.layers import Layer, named


def summary(layers: Sequence[Layer], inputs: int, dtype: str) -> str:
    """A line for each layer with its output width and parameters, and one for all of them."""
    width, total = inputs, 0
    rows = [("layer", "kind", "outputs", "parameters")]
    for name, _, layer in named(layers):
        count = sum(spec.matrix[0] * spec.matrix[1] for spec in layer.parameters(width))
        width, total = layer.outputs(width), total + count
        rows.append((name, repr(layer), f"{width:,}", f"{count:,}"))
    sizes = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        f"{a:<{sizes[0]}}  {b:<{sizes[1]}}  {c:>{sizes[2]}}  {d:>{sizes[3]}}" for a, b, c, d in rows
    ]
    return "\n".join([*lines, f"{total:,} parameters, {dtype}"])
