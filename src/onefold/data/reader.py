"""What a table is read by: one reader for each kind of source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from onefold.data.columns import Chunk

#: Rows of a piece, where a reader is free to choose.
PIECE_ROWS = 65_536


class Reader(ABC):
    """The columns of a source, which is looked at when the reader is made, and read again and again.

    Attributes
    ----------
    kinds : dict of str to str
        "number", "date" or "text" by column.
    """

    kinds: dict[str, str]

    @abstractmethod
    def chunks(self, wanted: list[str]) -> Iterator[Chunk]:
        """Pieces of the columns that are wanted, in the order of the rows.

        Raises
        ------
        TableError
            A row cannot be read.
        """

    def stamps(self) -> dict[str, Any]:
        """What files elsewhere look like from outside, by name; it changes when one of them does."""
        return {}

    def close(self) -> None:  # noqa: B027  # most readers hold nothing
        """End what other places are held by; another reading begins anew."""
