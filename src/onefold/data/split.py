"""The split of a table's rows into parts, the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold import _native

Rows = NDArray[np.uint32]


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
    order = _native.permutation(count, seed, 2**32 - 1)
    if classes is not None:  # rows of a class one after another, each class in the drawn order
        order = order[np.argsort(classes[order], kind="stable")]
    weights = [*map(float, shares), max(0.0, 1.0 - sum(shares))]
    owed = [0.0] * len(weights)
    chosen = np.empty(count, np.min_scalar_type(len(weights)))
    for place in range(count):  # to the part that is furthest behind its share
        owed = [debt + weight for debt, weight in zip(owed, weights, strict=True)]
        part = owed.index(max(owed))
        owed[part] -= 1.0
        chosen[place] = part
    return [np.sort(order[chosen == part]) for part in range(len(weights))]


def split_in_order(keys: NDArray[Any], shares: Sequence[float]) -> list[Rows]:
    """Parts of the given shares from the end of an order, and its beginning as the last part.

    With dates as keys and the shares of a test and a validation set, the test rows are the latest,
    the validation rows those before them. Rows of equal keys keep the order they stand in.

    Parameters
    ----------
    keys : array, shape (rows,)
        Numbers, or texts.
    shares : sequence of float

    Returns
    -------
    list of arrays of row numbers, ascending
    """
    order = np.argsort(keys, kind="stable")
    ends = [len(keys)]
    for share in shares:
        ends.append(ends[-1] - round(share * len(keys)))
    cuts = [*ends, 0]
    return [np.sort(order[cuts[i + 1] : cuts[i]]).astype(np.uint32) for i in range(len(cuts) - 1)]
