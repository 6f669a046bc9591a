"""Columns in memory: data frames, arrays, images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from onefold._errors import TableError
from onefold.data.columns import Chunk, Column, kind_of, plain
from onefold.data.reader import PIECE_ROWS, Reader


class ArrayReader(Reader):
    """Reads numpy columns.

    Parameters
    ----------
    columns : mapping of str to array, shape (rows,)

    Raises
    ------
    TableError
        The columns have different lengths.
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.kinds = {name: kind_of(column) for name, column in columns.items()}
        lengths = {len(column) for column in columns.values()}
        if len(lengths) > 1:
            raise TableError(f"the columns have different lengths: {sorted(lengths)}")
        self._columns = columns
        self._rows = lengths.pop() if lengths else 0

    def chunks(self, wanted: list[str]) -> Iterator[Chunk]:
        """See `Reader.chunks`."""
        for first in range(0, self._rows, PIECE_ROWS):
            part = slice(first, first + PIECE_ROWS)
            yield {name: plain(self._columns[name][part], self.kinds[name]) for name in wanted}
