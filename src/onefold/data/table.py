"""Where tables come from: files, queries, data frames and arrays behind one interface.

Each kind of source has a reader: arrays in memory, SQLite by Python's own module, all others by DuckDB.
What is computed from the rows is our own, because DuckDB's aggregates may differ in their last bits
from one run to the next.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onefold._errors import OptionError, TableError, nearest, unknown
from onefold.data.array_reader import ArrayReader
from onefold.data.columns import Chunk, Column, from_frame, from_idx
from onefold.data.duckdb_reader import DuckDBReader
from onefold.data.reader import Reader
from onefold.data.sources import files, format_of, is_remote, stamp
from onefold.data.sqlite_reader import SQLiteReader

FORMATS = ("csv", "parquet", "json", "sqlite", "duckdb", "idx")
#: Bytes of every column while rows stream by: Arrow's pieces, and what is unpacked of a Parquet file.
_CSV_COLUMN, _COLUMN = 2_500_000, 6_500_000


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d*\.?\d+(e[-+]?\d+)?(_\d+)?", text.lower()) is not None


def _kind(source: Any, found: Sequence[Path], format: str | None) -> str:
    """What a source is, of which these files were found: one of `FORMATS`, "frame" or "query"."""
    if source is None:
        return "query"
    if is_remote(source):
        kind = format or format_of(Path(str(source).split("?")[0]))
        if kind not in ("csv", "parquet", "json"):
            raise OptionError(f"{source}: only CSV, Parquet and JSON are read from elsewhere")
        return kind
    return (format or format_of(found[0])) if found else "frame"


class Table:
    """A table to learn from, or to predict.

    Parameters
    ----------
    source : path, glob, list of paths, URL, data frame, or mapping of str to arrays
        CSV (any separator, gzipped or not), TSV, Parquet, JSON lines, SQLite, a DuckDB database, IDX
        images; https:// and s3:// and the like by DuckDB's extension httpfs; pandas, polars and pyarrow
        frames.
    sql : str, optional
        A query over the source, called `data` in it (over the database's own tables for SQLite and
        DuckDB). Without a source: any query that DuckDB can run, also over PostgreSQL or object
        storage by its extensions. Statements before the last one are run first, such as ATTACH.
    format : str, optional
        "csv", "parquet", "json", "sqlite", "duckdb" or "idx", where the file's name does not say it.
    delimiter : str, optional
        Of CSV; found out by default.
    header : bool, default True
        Whether the first line of a CSV names the columns; else they are c0, c1, ...
    encoding : str, default "utf-8"
        Of CSV.
    memory : int, optional
        Bytes that DuckDB may take; it then reads with a single thread.
    confined : bool, default False
        Whether the query is one that somebody else wrote: a single SELECT is run, which can read the
        source and nothing else, and write nothing.

    Attributes
    ----------
    kinds : dict of str to str
        "number", "date" or "text" by column; truth values are text, "true" and "false".
    measured : tuple of str
        Columns that are known to be measures, however few their values: the pixels of images.
    column_bytes : int
        Bytes that a reading takes for each column, about.

    Raises
    ------
    TableError
        Not there, not readable, empty, ragged, not in this encoding, or with a column name twice.

    Examples
    --------
    >>> table = Table({"x": [1, 2, None], "kind": ["a", None, "b"]})
    >>> table.kinds
    {'x': 'number', 'kind': 'text'}
    """

    def __init__(
        self,
        source: Any = None,
        *,
        sql: str | None = None,
        format: str | None = None,
        delimiter: str | None = None,
        header: bool = True,
        encoding: str = "utf-8",
        memory: int | None = None,
        confined: bool = False,
    ) -> None:
        if source is None and sql is None:
            raise OptionError("a table needs a source or a query")
        if delimiter is not None and len(delimiter) != 1:
            raise TableError(f"the delimiter is one character, not {delimiter!r}")
        if format is not None and format not in FORMATS:
            raise unknown("format", format, FORMATS)
        self.name = str(source) if isinstance(source, str | Path) else "the table"
        if source is None:
            self.name = "the query"  # which is long, and may hold a password
        remote = is_remote(source)
        named = isinstance(source, str | Path | list | tuple) and not remote
        self.files = files(source) if named else []
        # What the files look like from outside, by name, and how many rows there are: neither may change.
        self._before = self._stamps_here()
        self._rows: int | None = None
        kind = _kind(source, self.files, format)
        self._headed = header and kind == "csv"
        self.column_bytes = _CSV_COLUMN if kind == "csv" else _COLUMN
        if confined and (source is None or remote):
            raise OptionError(
                "a query by somebody else is run over files of this machine alone; where you trust it, "
                "give it with --sql"
            )
        if kind == "frame" and sql is not None:
            raise OptionError("a query over a data frame is not supported; filter the frame itself")
        self._reader: Reader
        if kind == "idx":
            self._reader = ArrayReader(from_idx(self.files[0]))
        elif kind == "frame":
            self._reader = ArrayReader(from_frame(source))
        elif kind == "sqlite":
            self._reader = SQLiteReader(self.files[0], sql)
        else:
            self._reader = DuckDBReader(
                kind, self.name, self.files, sql, remote=remote, delimiter=delimiter, header=header,
                encoding=encoding, memory=memory, confined=confined,
            )  # fmt: skip
        self._before |= self._reader.stamps()
        self.kinds = self._reader.kinds
        self.measured: tuple[str, ...] = ()
        if kind == "idx":
            self.measured = tuple(name for name in self.kinds if name != "label")
        if not self.kinds:
            raise TableError(f"{self.name} has no columns")

    def __repr__(self) -> str:
        return f"Table({self.name!r}, {len(self.kinds)} columns)"

    def chunks(self, names: Sequence[str] | None = None) -> Iterator[Chunk]:
        """Pieces of the table in the order of its rows, as columns by name.

        Parameters
        ----------
        names : sequence of str, optional
            Columns wanted; all by default.

        Raises
        ------
        TableError
            A row cannot be read, or the table has changed since it was opened.
        """
        wanted = list(self.kinds) if names is None else list(names)
        rows = 0
        for chunk in self._reader.chunks(wanted) if wanted else ():
            rows += len(chunk[wanted[0]])
            yield chunk
        now = self._stamps_here() | self._reader.stamps()
        changed = [
            name for name in {**self._before, **now} if now.get(name) != self._before.get(name)
        ]
        if not changed and wanted:
            self._rows = rows if self._rows is None else self._rows
            changed = [self.name] * (rows != self._rows)
        if changed:
            raise TableError(f"{changed[0]} has changed while it was read; start again")

    def column(self, name: str) -> Column:
        """A whole column.

        Raises
        ------
        TableError
            There is none of that name; says which there are.
        """
        self.check(name)
        known: dict[str, str] = {}  # one object for equal texts
        parts = []
        for chunk in self.chunks([name]):
            cells = chunk[name]
            if cells.dtype == object:
                cells[:] = [cell and known.setdefault(cell, cell) for cell in cells.tolist()]
            parts.append(cells)
        return np.concatenate(parts) if parts else np.empty(0)

    def check(self, name: str) -> None:
        """Refuse a name that is not a column."""
        if name not in self.kinds:
            shown = ", ".join(list(self.kinds)[:20]) + (", ..." if len(self.kinds) > 20 else "")
            raise TableError(
                f"{self.name} has no column {name!r}{nearest(name, self.kinds)} (columns: {shown})"
                + ("; if the first line is data, say --no-header" if self.named_by_numbers else "")
            )

    @property
    def named_by_numbers(self) -> bool:
        """Whether most columns are called as numbers are, so that the names may be a row of data."""
        numbers = sum(_is_number(name) for name in self.kinds)
        return 2 * numbers > len(self.kinds) and self._headed

    def digest(self) -> str | None:
        """SHA-256 of the files, to recognise the same table again; None where there are none."""
        if not self.files:
            return None
        digest = hashlib.sha256()
        for path in self.files:
            with open(path, "rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
        return digest.hexdigest()

    def close(self) -> None:
        """End what other places are held by: a transaction of PostgreSQL, so long as the table is read.

        A later reading begins anew, and may then find other rows.
        """
        self._reader.close()

    def _stamps_here(self) -> dict[str, Any]:
        return {str(path): stamp(path) for path in self.files}
