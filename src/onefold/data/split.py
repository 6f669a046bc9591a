"""The split of a table's rows into parts, the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold import _native

Rows = NDArray[np.int64]


def split(
    count: int, shares: Sequence[float], seed: int, classes: NDArray[Any] | None = None
) -> list[Rows]:
    """Parts of about the given shares, and the rest as the last part.

    Parameters
    ----------
    count : int
        Rows.
    shares : sequence of float
        Share of every part but the last.
    seed : int
    classes : array, shape (rows,), optional
        Each part gets its share of every class.

    Returns
    -------
    list of arrays of row numbers, ascending
    """
    order = _native.permutation(count, seed, 2**32 - 1).astype(np.int64)
    if classes is not None:  # rows of a class one after another, each class in the drawn order
        order = order[np.argsort(classes[order], kind="stable")]
    parts: list[list[int]] = [[] for _ in range(len(shares) + 1)]
    owed = np.zeros(len(shares) + 1)
    weights = np.array([*shares, max(0.0, 1.0 - sum(shares))])
    for row in order.tolist():  # to the part that is furthest behind its share
        owed += weights
        part = int(np.argmax(owed))
        owed[part] -= 1.0
        parts[part].append(row)
    return [np.sort(np.array(part, dtype=np.int64)) for part in parts]
