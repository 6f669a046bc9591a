"""Where tables come from: files, queries, data frames and arrays behind one interface.

DuckDB reads the files and runs the queries; its rows come as a stream, so a table may be larger than
memory. What is computed from them is our own, because DuckDB's aggregates may differ in their last bits
from one run to the next.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from onefold._errors import OptionError, TableError, nearest, unknown
from onefold.data import csv_text
from onefold.data.columns import (
    MISSING,
    Chunk,
    Column,
    check_unique,
    duckdb_cast,
    duckdb_kind,
    from_arrow,
    from_frame,
    from_idx,
    from_objects,
    kind_of,
    plain,
    quoted,
)
from onefold.data.session import Session
from onefold.data.sources import (
    SQLITE_TABLES,
    Errors,
    ambiguous,
    confinement,
    files,
    format_of,
    is_remote,
    literal,
    over,
    stamp,
    statements,
)

FORMATS = ("csv", "parquet", "json", "sqlite", "duckdb", "idx")
_ROWS = 65_536
_LEAST_ROWS = 1024
_PIECE_BYTES = 8 << 20
_CSV_BUFFER = 4 << 20
#: Bytes of every column while rows stream by: Arrow's pieces, and what is unpacked of a Parquet file.
_CSV_COLUMN, _COLUMN = 2_500_000, 6_500_000


def _texts(words: frozenset[str]) -> list[str]:
    """The spellings of words that DuckDB compares as they are."""
    return sorted({f(word) for word in words for f in (str.lower, str.upper, str.title)} | {" "})


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d*\.?\d+(e[-+]?\d+)?(_\d+)?", text.lower()) is not None


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
        self._delimiter, self._header, self._encoding = delimiter, header, encoding
        self._memory, self._confined = memory, confined
        self._remote = is_remote(source)
        named = isinstance(source, str | Path | list | tuple) and not self._remote
        self.files = files(source) if named else []
        # What the files look like from outside, by name, and how many rows there are: neither may change.
        self._stamps: Callable[[], dict[str, Any]] = lambda: {
            str(path): stamp(path) for path in self.files
        }
        self._before = self._stamps()
        self._rows: int | None = None
        self._session: Session | None = None
        self._open: Callable[[list[str]], Iterator[Chunk]]  # of the columns that are wanted
        self.kinds: dict[str, str]
        self.measured: tuple[str, ...] = ()
        kind = "query" if source is None else "frame"
        if self.files:
            kind = format or format_of(self.files[0])
        if self._remote:
            kind = format or format_of(Path(str(source).split("?")[0]))
            if kind not in ("csv", "parquet", "json"):
                raise OptionError(f"{source}: only CSV, Parquet and JSON are read from elsewhere")
        self._headed = header and kind == "csv"
        self.column_bytes = _CSV_COLUMN if kind == "csv" else _COLUMN
        if confined and (source is None or self._remote):
            raise OptionError(
                "a query by somebody else is run over files of this machine alone; where you trust it, "
                "give it with --sql"
            )
        if kind == "idx":
            self._from_arrays(from_idx(self.files[0]))
            self.measured = tuple(name for name in self.kinds if name != "label")
        elif kind == "sqlite":
            self._from_sqlite(sql)
        elif kind == "frame":
            if sql is not None:
                raise OptionError(
                    "a query over a data frame is not supported; filter the frame itself"
                )
            self._from_arrays(from_frame(source))
        else:
            self._from_duckdb(kind, sql)
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
        for chunk in self._open(wanted) if wanted else ():
            rows += len(chunk[wanted[0]])
            yield chunk
        now = self._stamps()
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
        if self._session is not None:
            self._session.close()

    # Kinds of sources.

    def _from_arrays(self, columns: Mapping[str, Column]) -> None:
        kinds = {name: kind_of(column) for name, column in columns.items()}
        lengths = {len(column) for column in columns.values()}
        if len(lengths) > 1:
            raise TableError(f"the columns have different lengths: {sorted(lengths)}")
        self.kinds = kinds
        rows = lengths.pop() if lengths else 0

        def read(wanted: list[str]) -> Iterator[Chunk]:
            for first in range(0, rows, _ROWS):
                part = slice(first, first + _ROWS)
                yield {name: plain(columns[name][part], kinds[name]) for name in wanted}

        self._open = read

    def _from_sqlite(self, sql: str | None) -> None:
        path = self.files[0]

        def rows(query: str) -> Iterator[tuple[list[str], list[Any]]]:
            """Names of the columns with pieces of the rows."""
            try:
                with closing(
                    sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
                ) as database:
                    cursor = database.execute(query)
                    names = [column[0] for column in cursor.description]
                    yield names, []
                    while piece := cursor.fetchmany(_ROWS):
                        yield names, piece
            except sqlite3.Error as error:
                raise TableError(f"could not read {path}: {error}") from error

        def first_rows(query: str) -> tuple[list[str], list[Any]]:
            pieces = list(rows(query))
            return pieces[0][0], pieces[-1][1]

        if sql is None:
            found = [row[0] for row in first_rows(SQLITE_TABLES)[1]]
            if len(found) != 1:
                raise ambiguous(path, found)
            sql = f"select * from {quoted(found[0])}"
        names, _ = first_rows(f"select * from ({sql}) limit 0")
        check_unique(names, str(path))
        # A column may hold anything, row by row: it is numbers where no row holds anything else.
        typed = ", ".join(
            f"max(typeof({quoted(n)}) in ('text', 'blob')), count({quoted(n)})" for n in names
        )
        (counts,) = first_rows(f"select {typed} from ({sql})")[1]
        self.kinds = {
            name: "number" if counts[2 * i + 1] and not counts[2 * i] else "text"
            for i, name in enumerate(names)
        }
        query = sql

        def read(wanted: list[str]) -> Iterator[Chunk]:
            for _, piece in rows(f"select {', '.join(map(quoted, wanted))} from ({query})"):
                if piece:
                    columns = zip(wanted, zip(*piece, strict=True), strict=True)
                    yield {name: from_objects(cells, self.kinds[name]) for name, cells in columns}

        self._open = read

    def _from_duckdb(self, kind: str, sql: str | None) -> None:
        import duckdb

        setup, sql = statements(sql, self._confined) if sql is not None else ([], None)
        session = Session(
            self.files[0] if kind == "duckdb" else None,
            setup=[*setup, *(confinement(self.files) if self._confined else [])],
            memory=self._memory,
            ordered=sql is not None,
            elsewhere=not self.files,
        )
        self._session = session
        if kind in ("duckdb", "query"):
            query = sql
            if query is None:
                with (
                    self._duckdb_errors(),
                    duckdb.connect(str(self.files[0]), read_only=True) as database,
                ):
                    found = [row[0] for row in database.execute("show tables").fetchall()]
                if len(found) != 1:
                    raise ambiguous(self.files[0], found)
                query = f"select * from {quoted(found[0])}"
        else:
            scan = self._scan(kind, session)
            query = over(scan, sql)
        with self._duckdb_errors(), session.reading() as database:
            described = database.execute(f"describe {query}").fetchall()
        given = [row[0] for row in described]
        names = (
            [f"c{i}" for i in range(len(given))] if kind == "csv" and not self._header else given
        )
        if kind == "csv" and self._header:
            assert self._delimiter is not None
            csv_text.check_header(self._first_line(session), self._delimiter, given, self.name)
        if self._remote:
            self._stamps = lambda: self._stamped_elsewhere(session)
            self._before = self._stamps()
        check_unique(names, self.name)
        types = [str(row[1]) for row in described]
        if kind == "csv" and sql is None and set(map(duckdb_kind, types)) <= {"number", "text"}:
            query = over(self._known(scan, given, types), None)
        self.kinds = {name: duckdb_kind(type_) for name, type_ in zip(names, types, strict=True)}
        casts = {
            name: duckdb_cast(column, type_)
            for name, column, type_ in zip(names, given, types, strict=True)
        }

        def read(wanted: list[str]) -> Iterator[Chunk]:
            import nanoarrow

            chosen = ", ".join(casts[name] for name in wanted)
            with self._duckdb_errors(), session.reading() as database:
                stream = database.sql(f"select {chosen} from ({query}) as t")
                for batch in nanoarrow.c_array_stream(stream):
                    # Texts become objects, which take ten times as much as numbers.
                    row = sum(80 if self.kinds[name] == "text" else 8 for name in wanted)
                    step = max(_LEAST_ROWS, _PIECE_BYTES // row)
                    for first in range(0, batch.length, step):
                        rows = slice(first, min(first + step, batch.length))
                        yield {
                            name: from_arrow(batch.child(i), self.kinds[name], rows)
                            for i, name in enumerate(wanted)
                        }

        self._open = read

    def _stamped_elsewhere(self, session: Session) -> dict[str, Any]:
        """Size and time of the files at an address, of which none is read for it."""
        with self._duckdb_errors(), session.reading() as database:
            found = database.execute(
                f"select filename, size, epoch_us(last_modified) from read_blob({literal(self.name)})"
            ).fetchall()
        return {name: known for name, *known in found}

    def _scan(self, kind: str, session: Session) -> str:
        names = [str(path) for path in self.files] or [str(self.name)]
        every = "[" + ", ".join(map(literal, names)) + "]"
        if kind == "parquet":
            return f"read_parquet({every})"
        if kind == "json":
            return f"read_json({every}, sample_size = -1)"
        options = [
            "sample_size = -1",
            f"header = {str(self._header).lower()}",
            "skip = 0",
            "quote = '\"', escape = '\"'",
            "strict_mode = true",
        ]
        # Yes and no stay words: a class is called what the table calls it.
        options.append(
            "auto_type_candidates = ['BIGINT', 'DOUBLE', 'DATE', 'TIMESTAMP', 'VARCHAR']"
        )
        options.append("nullstr = [" + ", ".join(map(literal, _texts(MISSING))) + "]")
        self._delimiter = self._delimiter or csv_text.separator(self._first_line(session))
        options += [f"delim = {literal(self._delimiter)}", *self._encoded()]
        if self._memory is not None:
            options.append(f"buffer_size = {_CSV_BUFFER}, max_line_size = {_CSV_BUFFER // 4}")
        return f"read_csv({every}, {', '.join(options)})"

    @staticmethod
    def _known(scan: str, names: Sequence[str], types: Sequence[str]) -> str:
        """The scan of a CSV whose columns are known, so that it is not looked through once more."""
        columns = ", ".join(
            f"{literal(name)}: {literal(type_)}" for name, type_ in zip(names, types, strict=True)
        )
        return scan.replace("sample_size = -1", f"auto_detect = false, columns = {{{columns}}}", 1)

    def _encoded(self) -> list[str]:
        """The encoding as DuckDB's reader of CSV takes it; UTF-8 is its own."""
        name = self._encoding.lower()
        known = name.replace("_", "-") in ("utf-8", "utf8")
        return [] if known else [f"encoding = {literal(name)}"]

    def _first_line(self, session: Session) -> str:
        if self.files:
            return csv_text.first_line(self.files[0], self._encoding)
        options = ["header = false, auto_detect = false, columns = {'line': 'varchar'}"]
        options += ["delim = '\x1f', quote = '', escape = ''", *self._encoded()]
        scan = f"read_csv({literal(self.name)}, {', '.join(options)})"
        with self._duckdb_errors(), session.reading() as database:
            found = database.execute(f"select line from {scan} limit 1").fetchall()
        return str(found[0][0] or "").strip("\ufeff\r\n") if found else ""

    def _duckdb_errors(self) -> Errors:
        def diagnose() -> None:
            if self.files and self._delimiter is not None:
                csv_text.diagnose(self.files, self._delimiter, self._encoding)

        return Errors(self.name, self._encoding, diagnose)
