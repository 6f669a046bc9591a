"""Activations and their gradients in NumPy: what the kernels are measured against."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Numbers = tuple[float, ...]

_erfc: Callable[[Any], Any] = np.vectorize(math.erfc, otypes=[np.float64])
_SELU_SCALE = 1.0507009873554805
_SELU_ALPHA = 1.6732632423543772


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, e, 1.0) / (1 + e))


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def normal_cdf(x: Array) -> Array:
    """The standard normal distribution function."""
    return np.asarray(_erfc(-x / math.sqrt(2)) / 2)


def softmax(x: Array) -> Array:
    """exp(x) over its sum along a row."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def log_softmax(x: Array) -> Array:
    """X less the logarithm of the sum of exp(x) along a row."""
    shifted = x - x.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _gelu_u(x: Array) -> Array:
    return np.asarray(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


def _gelu_tanh_slope(x: Array) -> Array:
    t = np.tanh(_gelu_u(x))
    du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return np.asarray((1 + t) / 2 + x * (1 - t**2) * du / 2)


def _mish_slope(x: Array) -> Array:
    t = np.tanh(softplus(x))
    return np.asarray(t + x * sigmoid(x) * (1 - t**2))


def _expm1_negative(x: Array) -> Array:
    return np.expm1(np.minimum(x, 0))


def _tanh_shrink(x: Array) -> Array:
    """X - tanh(x); near zero by the series of x cosh(x) - sinh(x), whose terms do not cancel."""
    near = np.clip(x, -1, 1)
    terms = (2 * k * near ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(1, 12))
    return np.asarray(np.where(np.abs(x) < 1, sum(terms) / np.cosh(near), x - np.tanh(x)))


#: y of x and the activation's numbers.
FORWARD: dict[str, Callable[[Array, Numbers], Array]] = {
    "relu": lambda x, p: np.maximum(x, 0),
    "relu6": lambda x, p: np.clip(x, 0, 6),
    "leaky_relu": lambda x, p: np.where(x < 0, p[0] * x, x),
    "elu": lambda x, p: np.where(x < 0, p[0] * _expm1_negative(x), x),
    "celu": lambda x, p: np.where(x < 0, p[0] * _expm1_negative(x / p[0]), x),
    "selu": lambda x, p: _SELU_SCALE * np.where(x < 0, _SELU_ALPHA * _expm1_negative(x), x),
    "gelu": lambda x, p: x * normal_cdf(x),
    "gelu_tanh": lambda x, p: x * sigmoid(2 * _gelu_u(x)),
    "silu": lambda x, p: x * sigmoid(x),
    "hard_silu": lambda x, p: x * np.clip(x + 3, 0, 6) / 6,
    "mish": lambda x, p: x * np.tanh(softplus(x)),
    "sigmoid": lambda x, p: sigmoid(x),
    "hard_sigmoid": lambda x, p: np.clip(x + 3, 0, 6) / 6,
    "log_sigmoid": lambda x, p: -softplus(-x),
    "tanh": lambda x, p: np.tanh(x),
    "hard_tanh": lambda x, p: np.clip(x, p[0], p[1]),
    "tanh_shrink": lambda x, p: _tanh_shrink(x),
    "softplus": lambda x, p: softplus(x),
    "softsign": lambda x, p: x / (1 + np.abs(x)),
    "softmax": lambda x, p: softmax(x),
    "log_softmax": lambda x, p: log_softmax(x),
    "exponential": lambda x, p: np.exp(x),
    "threshold": lambda x, p: np.where(x <= p[0], p[1], x),
    "hard_shrink": lambda x, p: np.where(np.abs(x) <= p[0], 0, x),
    "soft_shrink": lambda x, p: np.sign(x) * np.maximum(np.abs(x) - p[0], 0),
}

#: dx of dy, the *input* x and the activation's numbers.
BACKWARD: dict[str, Callable[[Array, Array, Numbers], Array]] = {
    "relu": lambda dy, x, p: dy * (x > 0),
    "relu6": lambda dy, x, p: dy * ((x > 0) & (x < 6)),
    "leaky_relu": lambda dy, x, p: dy * np.where(x > 0, 1, p[0]),
    "elu": lambda dy, x, p: dy * np.where(x > 0, 1, p[0] * np.exp(np.minimum(x, 0))),
    "celu": lambda dy, x, p: dy * np.where(x > 0, 1, np.exp(np.minimum(x / p[0], 0))),
    "selu": lambda dy, x, p: (
        dy * _SELU_SCALE * np.where(x > 0, 1, _SELU_ALPHA * np.exp(np.minimum(x, 0)))
    ),
    "gelu": lambda dy, x, p: (
        dy * (normal_cdf(x) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi))
    ),
    "gelu_tanh": lambda dy, x, p: dy * _gelu_tanh_slope(x),
    "silu": lambda dy, x, p: dy * sigmoid(x) * (1 + x * sigmoid(-x)),
    "hard_silu": lambda dy, x, p: (dy * np.where(x <= -3, 0, np.where(x >= 3, 1, (2 * x + 3) / 6))),
    "mish": lambda dy, x, p: dy * _mish_slope(x),
    "sigmoid": lambda dy, x, p: dy * sigmoid(x) * sigmoid(-x),
    "hard_sigmoid": lambda dy, x, p: dy * (np.abs(x) < 3) / 6,
    "log_sigmoid": lambda dy, x, p: dy * sigmoid(-x),
    "tanh": lambda dy, x, p: dy * (1 - np.tanh(x) ** 2),
    "hard_tanh": lambda dy, x, p: dy * ((x > p[0]) & (x < p[1])),
    "tanh_shrink": lambda dy, x, p: dy * np.tanh(x) ** 2,
    "softplus": lambda dy, x, p: dy * sigmoid(x),
    "softsign": lambda dy, x, p: dy / (1 + np.abs(x)) ** 2,
    "softmax": lambda dy, x, p: (softmax(x) * (dy - (dy * softmax(x)).sum(axis=1, keepdims=True))),
    "log_softmax": lambda dy, x, p: dy - softmax(x) * dy.sum(axis=1, keepdims=True),
    "exponential": lambda dy, x, p: dy * np.exp(x),
    "threshold": lambda dy, x, p: dy * (x > p[0]),
    "hard_shrink": lambda dy, x, p: dy * (np.abs(x) > p[0]),
    "soft_shrink": lambda dy, x, p: dy * (np.abs(x) > p[0]),
}
