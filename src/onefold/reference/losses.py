"""Losses and their gradients in NumPy: what the kernels are measured against.

Each takes the network's output z (rows, outputs), targets y and the kernel's numbers, and gives the
loss of every row, shape (rows,), and its derivative, shape (rows, outputs), without weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold.reference.activations import log_softmax, sigmoid, softmax, softplus

Array = NDArray[np.float64]
Numbers = tuple[float, ...]
Result = tuple[Array, Array]


def _mean(terms: Any, slopes: Any) -> Result:
    return np.asarray(terms.mean(axis=1)), np.asarray(slopes / terms.shape[1])


def _squared_error(z: Array, y: Array, p: Numbers) -> Result:
    return _mean((z - y) ** 2, 2 * (z - y))


def _absolute_error(z: Array, y: Array, p: Numbers) -> Result:
    return _mean(np.abs(z - y), np.sign(z - y))


def _huber(z: Array, y: Array, p: Numbers) -> Result:
    e = z - y
    near = np.abs(e) <= p[0]
    return _mean(
        np.where(near, e**2 / 2, p[0] * (np.abs(e) - p[0] / 2)),
        np.where(near, e, p[0] * np.sign(e)),
    )


def _log_cosh(z: Array, y: Array, p: Numbers) -> Result:
    a = np.abs(z - y)
    small = np.log1p(np.sinh(np.minimum(a, 1)) ** 2) / 2
    large = a + np.log1p(np.exp(-2 * a)) - np.log(2)
    return _mean(np.where(a < 1, small, large), np.tanh(z - y))


def _quantile(z: Array, y: Array, p: Numbers) -> Result:
    e = y - z
    slope = np.where(e > 0, -p[0], np.where(e < 0, 1 - p[0], 0))
    return _mean(np.where(e > 0, p[0] * e, (p[0] - 1) * e), slope)


def _poisson_log(z: Array, y: Array, p: Numbers) -> Result:
    return _mean(np.exp(z) - y * z, np.exp(z) - y)


def _poisson(z: Array, y: Array, p: Numbers) -> Result:
    return _mean(z - y * np.log(z + p[0]), 1 - y / (z + p[0]))


def _gamma_log(z: Array, y: Array, p: Numbers) -> Result:
    return _mean(z + y * np.exp(-z), 1 - y * np.exp(-z))


def _gamma(z: Array, y: Array, p: Numbers) -> Result:
    safe = z + p[0]
    return _mean(np.log(safe) + y / safe, (1 - y / safe) / safe)


def _sigmoid_cross_entropy(z: Array, y: Array, p: Numbers) -> Result:
    t = y * (1 - p[0]) + p[0] / 2
    return _mean(softplus(z) - t * z, sigmoid(z) - t)


def _hinge(z: Array, y: Array, p: Numbers) -> Result:
    m = 1 - y * z
    return _mean(np.maximum(m, 0), np.where(m > 0, -y, 0))


def _squared_hinge(z: Array, y: Array, p: Numbers) -> Result:
    m = np.maximum(1 - y * z, 0)
    return _mean(m**2, -2 * y * m)


def _softmax_cross_entropy(z: Array, y: Array, p: Numbers) -> Result:
    t = y * (1 - p[0]) + p[0] / z.shape[1]
    return -(t * log_softmax(z)).sum(axis=1), softmax(z) * t.sum(axis=1, keepdims=True) - t


def _softmax_cross_entropy_labels(z: Array, y: Array, p: Numbers) -> Result:
    return _softmax_cross_entropy(z, np.eye(z.shape[1])[y.reshape(-1).astype(int)], p)


def _y_log_y(y: Array) -> Array:
    return np.asarray(y * np.log(np.where(y > 0, y, 1)))


def _softmax_kl_divergence(z: Array, y: Array, p: Numbers) -> Result:
    loss = (_y_log_y(y) - y * log_softmax(z)).sum(axis=1)
    return loss, softmax(z) * y.sum(axis=1, keepdims=True) - y


def _kl_divergence(z: Array, y: Array, p: Numbers) -> Result:
    safe = np.maximum(z, p[0])
    loss = (_y_log_y(y) - y * np.log(safe)).sum(axis=1)
    return loss, np.where(z < p[0], 0, -y / safe)


def _cosine_similarity(z: Array, y: Array, p: Numbers) -> Result:
    yn = np.linalg.norm(y, axis=1, keepdims=True)
    zn = np.linalg.norm(z, axis=1, keepdims=True)
    none = (yn * zn) == 0
    norms = np.where(none, 1, yn * zn)
    cosine = np.where(none, 0, (y * z).sum(axis=1, keepdims=True) / norms)
    gradient = -(y / norms - cosine * z / np.where(none, 1, zn**2))
    return (1 - cosine)[:, 0], np.where(none, 0, gradient)


#: Every loss kernel.
LOSSES: dict[str, Callable[[Array, Array, Numbers], Result]] = {
    "squared_error": _squared_error,
    "absolute_error": _absolute_error,
    "huber": _huber,
    "log_cosh": _log_cosh,
    "quantile": _quantile,
    "poisson_log": _poisson_log,
    "poisson": _poisson,
    "gamma_log": _gamma_log,
    "gamma": _gamma,
    "sigmoid_cross_entropy": _sigmoid_cross_entropy,
    "hinge": _hinge,
    "squared_hinge": _squared_hinge,
    "softmax_cross_entropy": _softmax_cross_entropy,
    "softmax_cross_entropy_labels": _softmax_cross_entropy_labels,
    "softmax_kl_divergence": _softmax_kl_divergence,
    "kl_divergence": _kl_divergence,
    "cosine_similarity": _cosine_similarity,
}
