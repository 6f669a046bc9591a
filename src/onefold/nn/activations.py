"""The table of activations: names, parameters and what their derivatives read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from onefold._errors import OptionError, nearest, unknown


@dataclass(frozen=True)
class Activation:
    """One activation.

    Attributes
    ----------
    name : str
    needs : "input" or "output"
        What the derivative is computed from; "output" lets training work in place.
    defaults : tuple of (name, value)
        Parameters, in the order in which the kernels take them.
    valid : callable
        Whether a parameter may have a value.
    requirement : str
        `valid` in words.
    """

    name: str
    needs: Literal["input", "output"]
    defaults: tuple[tuple[str, float], ...] = ()
    valid: Callable[[float], bool] = math.isfinite
    requirement: str = "finite"


def _positive(value: float) -> bool:
    return 0 < value < math.inf


def _not_negative(value: float) -> bool:
    return 0 <= value < math.inf


_TABLE = (
    Activation("linear", "output"),
    Activation("relu", "output"),
    Activation("relu6", "output"),
    Activation("leaky_relu", "input", (("negative_slope", 0.01),)),
    Activation("prelu", "input"),
    Activation("elu", "output", (("alpha", 1.0),), _positive, "positive"),
    Activation("celu", "output", (("alpha", 1.0),), _positive, "positive"),
    Activation("selu", "output"),
    Activation("gelu", "input"),
    Activation("gelu_tanh", "input"),
    Activation("silu", "input"),
    Activation("hard_silu", "input"),
    Activation("mish", "input"),
    Activation("sigmoid", "output"),
    Activation("hard_sigmoid", "output"),
    Activation("log_sigmoid", "input"),
    Activation("tanh", "output"),
    Activation("hard_tanh", "output", (("minimum", -1.0), ("maximum", 1.0))),
    Activation("tanh_shrink", "input"),
    Activation("softplus", "input"),
    Activation("softsign", "output"),
    Activation("softmax", "output"),
    Activation("log_softmax", "output"),
    Activation("exponential", "output"),
    Activation("threshold", "input", (("threshold", 0.0), ("value", 0.0))),
    Activation("hard_shrink", "input", (("amount", 0.5),), _not_negative, "zero or more"),
    Activation("soft_shrink", "input", (("amount", 0.5),), _not_negative, "zero or more"),
)

#: Every activation by name; definitions and defaults are PyTorch's where libraries differ.
ACTIVATIONS: dict[str, Activation] = {activation.name: activation for activation in _TABLE}

#: Other names of the field.
ALIASES: dict[str, str] = {
    "identity": "linear",
    "none": "linear",
    "logistic": "sigmoid",
    "swish": "silu",
    "hard_swish": "hard_silu",
    "logsigmoid": "log_sigmoid",
    "logsoftmax": "log_softmax",
    "exp": "exponential",
}


def resolve(name: str) -> Activation:
    """The activation of a name.

    Raises
    ------
    OptionError
        There is none of that name; says the nearest.
    """
    key = ALIASES.get(name, name) if isinstance(name, str) else name
    if key not in ACTIVATIONS:
        raise unknown("activation", name, {*ACTIVATIONS, *ALIASES})
    return ACTIVATIONS[key]


def numbers(activation: Activation, **options: float) -> tuple[float, ...]:
    """The activation's parameters for its kernels, defaults filled in.

    Raises
    ------
    OptionError
        An option that it does not have, or a value out of range.
    """
    known = dict(activation.defaults)
    for name, value in options.items():
        if name not in known:
            raise OptionError(
                f"{activation.name} has no option {name!r}{nearest(name, known)}; "
                + (f"it has {', '.join(known)}" if known else "it has none")
            )
        if not isinstance(value, int | float) or not activation.valid(float(value)):
            raise OptionError(
                f"{name} of {activation.name} is {activation.requirement}, not {value!r}"
            )
    return tuple(float(options.get(name, default)) for name, default in activation.defaults)
