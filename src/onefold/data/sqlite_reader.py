"""SQLite databases, by Python's own module."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from onefold._errors import TableError
from onefold.data.columns import Chunk, check_unique, from_objects, quoted
from onefold.data.reader import PIECE_ROWS, Reader
from onefold.data.sources import SQLITE_TABLES, ambiguous


class SQLiteReader(Reader):
    """Reads a table of a SQLite database, or a query over it.

    Parameters
    ----------
    path : path
    sql : str, optional
        By default the only table of the database.

    Raises
    ------
    TableError
        It cannot be read, has several tables, or a column name twice.
    """

    def __init__(self, path: Path, sql: str | None) -> None:
        self._path = path
        if sql is None:
            found = [row[0] for row in self._first_rows(SQLITE_TABLES)[1]]
            if len(found) != 1:
                raise ambiguous(path, found)
            sql = f"select * from {quoted(found[0])}"
        names, _ = self._first_rows(f"select * from ({sql}) limit 0")
        check_unique(names, str(path))
        # A column may hold anything, row by row: it is numbers where no row holds anything else.
        typed = ", ".join(
            f"max(typeof({quoted(n)}) in ('text', 'blob')), count({quoted(n)})" for n in names
        )
        (counts,) = self._first_rows(f"select {typed} from ({sql})")[1]
        self.kinds = {
            name: "number" if counts[2 * i + 1] and not counts[2 * i] else "text"
            for i, name in enumerate(names)
        }
        self._sql = sql

    def chunks(self, wanted: list[str]) -> Iterator[Chunk]:
        """See `Reader.chunks`."""
        query = f"select {', '.join(map(quoted, wanted))} from ({self._sql})"
        for _, piece in self._rows(query):
            if piece:
                columns = zip(wanted, zip(*piece, strict=True), strict=True)
                yield {name: from_objects(cells, self.kinds[name]) for name, cells in columns}

    def _rows(self, query: str) -> Iterator[tuple[list[str], list[Any]]]:
        """Names of the columns with pieces of the rows."""
        try:
            with closing(
                sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
            ) as database:
                cursor = database.execute(query)
                names = [column[0] for column in cursor.description]
                yield names, []
                while piece := cursor.fetchmany(PIECE_ROWS):
                    yield names, piece
        except sqlite3.Error as error:
            raise TableError(f"could not read {self._path}: {error}") from error

    def _first_rows(self, query: str) -> tuple[list[str], list[Any]]:
        pieces = list(self._rows(query))
        return pieces[0][0], pieces[-1][1]
