"""Layers: what a network is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onefold._errors import OptionError, unknown
from onefold.nn import activations, initializers
from onefold.nn.embedding import Embedding
from onefold.nn.layer import Forward, Layer, ParameterSpec, V

__all__ = [
    "Activation",
    "Dense",
    "Dropout",
    "Embedding",
    "Layer",
    "ParameterSpec",
    "layer_config",
    "layer_from_config",
    "named",
]


class Activation(Layer):
    """An activation as a layer of its own.

    Parameters
    ----------
    name : str
        "relu", "gelu", "softmax", ... (the names are in `onefold.nn.activations.ACTIVATIONS`).
    **options : float
        The activation's own numbers, such as `negative_slope=0.1` for "leaky_relu".

    Examples
    --------
    >>> Activation("leaky_relu", negative_slope=0.1)
    Activation('leaky_relu', negative_slope=0.1)
    """

    kind = "activation"
    code = 1

    def __init__(self, name: str, **options: float) -> None:
        self.activation = activations.resolve(name)
        self.options = options
        self.numbers = activations.numbers(self.activation, **options)

    @property
    def name(self) -> str:
        """Name of the activation."""
        return self.activation.name

    @property
    def final_activation(self) -> str:
        """Name of the activation."""
        return self.name

    def parameters(self, inputs: int) -> list[ParameterSpec]:
        """A slope for each column where the activation is "prelu", else nothing."""
        if self.name != "prelu":
            return []
        start = initializers.get("constant", value=0.25)
        return [ParameterSpec("slope", (inputs,), start, is_bias=True)]

    def declare(
        self, program: Forward[V], x: V, first: int, key: int, *, activate: bool = True
    ) -> V:
        """See `Layer.declare`."""
        if not activate:
            return x
        if self.name == "prelu":
            return program.prelu(x, first)
        return program.activation(x, self.name, self.numbers)

    def config(self) -> dict[str, Any]:
        """See `Layer.config`."""
        return {"name": self.name, **self.options}

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"Activation({self.name!r}{options})"


#: First weights that suit an activation: He et al. 2015 for the relu family, LeCun for selu
#: (Klambauer et al. 2017), Glorot and Bengio 2010 for the rest.
_HE = {"relu", "relu6", "leaky_relu", "prelu", "elu", "celu", "gelu", "gelu_tanh", "silu", "mish"}


class Dense(Layer):
    """Every neuron hears every neuron of the layer before: `activation(x W + b)`.

    Parameters
    ----------
    units : int
        Number of neurons.
    activation : str or Activation, default "linear"
    use_bias : bool, default True
    weight_initializer, bias_initializer : str or Initializer, optional
        First values. By default the weights suit the activation ("he_normal" for the relu family,
        "lecun_normal" for selu, else "glorot_uniform"), and the bias is zero.

    Notes
    -----
    Parameters are `weight`, shape (inputs, units), and `bias`, shape (units,). The sum
    `x W + b` is one chain of fused multiply-adds over ascending inputs, starting at the bias.

    Examples
    --------
    >>> Dense(256, "relu")
    Dense(256, 'relu')
    """

    kind = "dense"
    code = 0

    def __init__(
        self,
        units: int,
        activation: str | Activation = "linear",
        *,
        use_bias: bool = True,
        weight_initializer: str | initializers.Initializer | None = None,
        bias_initializer: str | initializers.Initializer = "zeros",
    ) -> None:
        if isinstance(units, bool) or not hasattr(units, "__index__") or int(units) < 1:
            raise OptionError(f"Dense takes a number of units from 1 up, not {units!r}")
        self.units = int(units)
        self.activation = (
            activation if isinstance(activation, Activation) else Activation(activation)
        )
        self.use_bias = bool(use_bias)
        name = self.activation.name
        default = (
            "he_normal" if name in _HE else "lecun_normal" if name == "selu" else "glorot_uniform"
        )
        self.weight_initializer = initializers.get(weight_initializer or default)
        self.bias_initializer = initializers.get(bias_initializer)

    def outputs(self, inputs: int) -> int:
        """Number of neurons."""
        return self.units

    def parameters(self, inputs: int) -> list[ParameterSpec]:
        """Weight, bias if there is one, and what the activation learns."""
        specs = [ParameterSpec("weight", (inputs, self.units), self.weight_initializer)]
        if self.use_bias:
            specs.append(ParameterSpec("bias", (self.units,), self.bias_initializer, is_bias=True))
        return specs + self.activation.parameters(self.units)

    @property
    def final_activation(self) -> str:
        """Name of the activation."""
        return self.activation.name

    def declare(
        self, program: Forward[V], x: V, first: int, key: int, *, activate: bool = True
    ) -> V:
        """See `Layer.declare`."""
        bias = first + 1 if self.use_bias else None
        z = program.linear(x, first, bias)
        return self.activation.declare(
            program, z, first + 1 + self.use_bias, key, activate=activate
        )

    def config(self) -> dict[str, Any]:
        """See `Layer.config`."""
        return {
            "units": self.units,
            "activation": self.activation.config(),
            "use_bias": self.use_bias,
            "weight_initializer": self.weight_initializer.to_config(),
            "bias_initializer": self.bias_initializer.to_config(),
        }

    def __repr__(self) -> str:
        activation = "" if self.activation.name == "linear" else f", {self.activation.name!r}"
        return f"Dense({self.units}{activation}{'' if self.use_bias else ', use_bias=False'})"


class Dropout(Layer):
    """In training, sets each element to zero with probability `rate` and scales the others up.

    Parameters
    ----------
    rate : float
        From 0 up to but not including 1.

    Notes
    -----
    The mask of an element is keyed by seed, layer, update, row of the batch and column: it does not
    depend on how the batch is cut. Source: Srivastava et al. 2014, in the inverted form.
    """

    kind = "dropout"
    code = 2

    def __init__(self, rate: float) -> None:
        if not 0 <= rate < 1:
            raise OptionError(f"Dropout takes a rate from 0 up to, not including, 1, not {rate!r}")
        self.rate = float(rate)

    def declare(
        self, program: Forward[V], x: V, first: int, key: int, *, activate: bool = True
    ) -> V:
        """See `Layer.declare`."""
        return program.dropout(x, self.rate, key)

    def config(self) -> dict[str, Any]:
        """See `Layer.config`."""
        return {"rate": self.rate}

    def __repr__(self) -> str:
        return f"Dropout({self.rate})"


_KINDS: dict[str, type[Layer]] = {cls.kind: cls for cls in (Dense, Activation, Dropout, Embedding)}


def layer_config(layer: Layer) -> dict[str, Any]:
    """A layer as JSON-able values."""
    return {"kind": layer.kind, **layer.config()}


def layer_from_config(config: Mapping[str, Any]) -> Layer:
    """The layer that `layer_config` described."""
    options = dict(config)
    kind = options.pop("kind", None)
    if kind not in _KINDS:
        raise unknown("kind of layer", kind, _KINDS)
    if kind == "activation":
        return Activation(options.pop("name"), **options)
    if kind == "dropout":
        return Dropout(options["rate"])
    if kind == "embedding":
        return Embedding.from_config(options)
    activation = dict(options["activation"])
    return Dense(
        options["units"],
        Activation(activation.pop("name"), **activation),
        use_bias=options["use_bias"],
        weight_initializer=initializers.from_config(options["weight_initializer"]),
        bias_initializer=initializers.from_config(options["bias_initializer"]),
    )


def named(layers: Sequence[Layer]) -> list[tuple[str, int, Layer]]:
    """Each layer with its name and the key of its random numbers.

    A layer counts among those of its kind, so the name and the numbers of "dense_1" stay when a
    dropout is put before it.
    """
    counts: dict[str, int] = {}
    result = []
    for layer in layers:
        number = counts.get(layer.kind, 0)
        counts[layer.kind] = number + 1
        result.append((f"{layer.kind}_{number}", layer.code << 12 | number, layer))
    return result
