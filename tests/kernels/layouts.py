"""Row buffers as kernels see them: whole rows or panels of columns, with guards where nobody may write."""

from __future__ import annotations

import math

import numpy as np

from onefold import _core

GUARD = 777.0
PANEL = _core.PANEL
LAYOUTS = ("rows", "panels")
#: Every instruction set of this machine with every layout of rows.
WAYS = [(level, layout) for level in _core.levels() for layout in LAYOUTS]


def aligned(shape, dtype):
    """An array that begins at a multiple of 64 bytes."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.empty(size + 64, np.uint8)
    offset = -raw.ctypes.data % 64
    return raw[offset : offset + size].view(dtype).reshape(shape)


class Rows:
    """A buffer of rows, filled with guards, or with values and guards behind them.

    In whole rows, 16 guards follow the padding of every row; in panels, a row of guards follows every panel.
    """

    def __init__(self, rows, width, dtype, layout, values=None):
        self.rows, self.width, self.layout = rows, width, layout
        self.room = -(-width // 16) * 16
        panels = -(-width // PANEL)
        shape = (rows + 1, self.room + 16) if layout == "rows" else (panels, rows + 1, PANEL)
        self.memory = aligned(shape, dtype)
        self.memory[...] = GUARD
        if values is not None:
            for c in range(width):
                self._column(c)[:rows] = values[:, c]

    @property
    def operand(self):
        if self.layout == "rows":
            return self.memory, self.memory.shape[1], self.width
        return self.memory, PANEL, self.width, self.memory[0].size

    def _column(self, c):
        return self.memory[:, c] if self.layout == "rows" else self.memory[c // PANEL, :, c % PANEL]

    def values(self, first=0, last=None):
        """Columns from `first` to `last`; those from `width` to `room` are the padding."""
        columns = range(first, self.width if last is None else last)
        found = [self._column(c)[: self.rows] for c in columns]
        return np.stack(found, axis=1) if found else np.empty((self.rows, 0), self.memory.dtype)

    def check(self):
        """No guard was written over."""
        beyond = self.memory.shape[1] if self.layout == "rows" else len(self.memory) * PANEL
        for c in range(beyond):
            written = 0 if c >= self.room else self.rows
            assert (self._column(c)[written:] == GUARD).all()


def panels(matrix):
    """A parameter as the native core stores it."""
    rows, columns = matrix.shape
    count = -(-columns // PANEL)
    padded = np.zeros((rows, count * PANEL), matrix.dtype)
    padded[:, :columns] = matrix
    return np.ascontiguousarray(padded.reshape(rows, count, PANEL).transpose(1, 0, 2))


def unpanels(packed, columns):
    count, rows, _ = packed.shape
    return packed.transpose(1, 0, 2).reshape(rows, count * PANEL)[:, :columns]
