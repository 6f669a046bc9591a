"""Philox 4x32-10 and what is made of it, in NumPy (Salmon et al. 2011)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]


def philox(counter: Words, seed: int) -> Words:
    """Four words for each counter, shapes (n, 4)."""
    a, b, c, d = (counter[:, i].astype(np.uint64) for i in range(4))
    key0, key1 = seed & 0xFFFFFFFF, seed >> 32
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p, q = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a, b, c, d = (
            (q >> np.uint64(32)) ^ b ^ np.uint64(key0),
            q & low,
            (p >> np.uint64(32)) ^ d ^ np.uint64(key1),
            p & low,
        )
        key0 = (key0 + 0x9E3779B9) & 0xFFFFFFFF
        key1 = (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([a, b, c, d], axis=1).astype(np.uint32)


def words(
    shape: tuple[int, int], seed: int, purpose: int, layer: int, update: int, first_row: int = 0
) -> Words:
    """The word of every row and column, shape `shape`."""
    rows, columns = shape
    c = np.arange(columns)
    counters = np.zeros((rows, columns, 4), np.uint32)
    counters[:, :, 0] = c // 64 * 16 + c % 16
    counters[:, :, 1] = (first_row + np.arange(rows))[:, None]
    counters[:, :, 2] = update
    counters[:, :, 3] = purpose << 24 | layer
    drawn = philox(counters.reshape(-1, 4), seed).reshape(rows, columns, 4)
    return np.asarray(np.take_along_axis(drawn, (c % 64 // 16)[None, :, None], axis=2)[:, :, 0])


def dropout_mask(
    shape: tuple[int, int], rate: float, seed: int, layer: int, update: int, first_row: int
) -> NDArray[np.bool_]:
    """Which elements are kept."""
    return words(shape, seed, 3, layer, update, first_row) >= np.uint32(rate * 2.0**32)


def permutation(rows: int, seed: int, epoch: int) -> list[int]:
    """The order of rows in an epoch."""
    order = list(range(rows))
    drawn = words((1, 2 * rows), seed, 2, 0, epoch)[0].tolist()
    for i in range(rows - 1, 0, -1):
        j = ((drawn[2 * i] << 32 | drawn[2 * i + 1]) * (i + 1)) >> 64
        order[i], order[j] = order[j], order[i]
    return order
