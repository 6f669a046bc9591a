"""The loss of several targets, which the core does not have; rows do not see each other.

Exponentials and logarithms are the project's own, so a row has the same bits on every machine.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold._native import elementwise

Array = NDArray[Any]


@dataclass(frozen=True)
class Heads:
    """Several classifications of the same row: one softmax for each, and their mean cross-entropy.

    Attributes
    ----------
    ends : tuple of int
        Where each softmax ends among the outputs.
    """

    ends: tuple[int, ...]

    @classmethod
    def of(cls, widths: Sequence[int]) -> Heads:
        """Heads of so many classes."""
        return cls(tuple(itertools.accumulate(widths)))

    def parts(self) -> list[slice]:
        """The outputs of each head."""
        return [slice(a, b) for a, b in zip((0, *self.ends), self.ends, strict=False)]

    def targets(self, numbers: Array, smoothing: float, dtype: Any) -> Array:
        """Class numbers, shape (rows, heads), as distributions, shape (rows, outputs)."""
        out = np.zeros((len(numbers), self.ends[-1]), dtype)
        for head, part in enumerate(self.parts()):
            out[:, part] = smoothing / (part.stop - part.start)
            out[np.arange(len(numbers)), part.start + numbers[:, head]] += 1 - smoothing
        return out

    def probabilities(self, z: Array) -> list[Array]:
        """Softmax of each head, float64, shape (rows, classes)."""
        return [elementwise("exp", self._log_softmax(z[:, part])) for part in self.parts()]

    @staticmethod
    def _log_softmax(z: Array) -> Array:
        shifted = z.astype(np.float64) - z.max(axis=1, keepdims=True)
        logs: Array = shifted - elementwise("log", _chain(elementwise("exp", shifted)))[:, None]
        return logs

    def __call__(self, y: Array, z: Array, weight: Array) -> tuple[Array, Array]:
        """The loss as `CustomLoss` takes it; y holds distributions."""
        share = weight.astype(np.float64) / len(self.ends)
        loss, gradient = np.zeros(len(z)), np.empty(z.shape)
        for part in self.parts():
            logs = self._log_softmax(z[:, part])
            loss -= _chain(y[:, part] * logs)
            gradient[:, part] = elementwise("exp", logs) - y[:, part]
        return share * loss, share[:, None] * gradient


def _chain(terms: Array) -> Array:
    """Sum of every row, from left to right."""
    total: Array = np.add.accumulate(terms, axis=1, dtype=np.float64)[:, -1]
    return total
