"""What DuckDB reads: CSV, Parquet and JSON, its own databases, and any query that it can run.

Its rows come as a stream, so a table may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from onefold.data import csv_text
from onefold.data.columns import (
    MISSING,
    Chunk,
    check_unique,
    duckdb_cast,
    duckdb_kind,
    from_arrow,
    quoted,
)
from onefold.data.reader import Reader
from onefold.data.session import Session
from onefold.data.sources import Errors, ambiguous, confinement, literal, over, statements

_LEAST_ROWS = 1024
_PIECE_BYTES = 8 << 20
_CSV_BUFFER = 4 << 20


def _texts(words: frozenset[str]) -> list[str]:
    """The spellings of words that DuckDB compares as they are."""
    return sorted({f(word) for word in words for f in (str.lower, str.upper, str.title)} | {" "})


class DuckDBReader(Reader):
    """Reads files, or what stands at an address, or a query.

    Parameters
    ----------
    kind : {"csv", "parquet", "json", "duckdb", "query"}
    name : str
        The source, as errors call it; for `remote` ones the address.
    files : list of paths
        Empty for a query without a source, and for what stands at an address.
    sql : str or None
    remote : bool
        Whether the source is an address.
    delimiter, header, encoding, memory, confined
        As of `Table`.

    Raises
    ------
    TableError
        Not there, not readable, ragged, not in this encoding, or with a column name twice.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        files: list[Path],
        sql: str | None,
        *,
        remote: bool,
        delimiter: str | None,
        header: bool,
        encoding: str,
        memory: int | None,
        confined: bool,
    ) -> None:
        self._name, self._files, self._remote = name, files, remote
        self._delimiter, self._header, self._encoding = delimiter, header, encoding
        self._memory = memory
        setup, sql = statements(sql, confined) if sql is not None else ([], None)
        self._session = Session(
            files[0] if kind == "duckdb" else None,
            setup=[*setup, *(confinement(files) if confined else [])],
            memory=memory,
            ordered=sql is not None,
            elsewhere=not files,
        )
        if kind in ("duckdb", "query"):
            query = f"select * from {quoted(self._only_table())}" if sql is None else sql
        else:
            scan = self._scan(kind)
            query = over(scan, sql)
        with self._errors(), self._session.reading() as database:
            described = database.execute(f"describe {query}").fetchall()
        given = [row[0] for row in described]
        names = [f"c{i}" for i in range(len(given))] if kind == "csv" and not header else given
        if kind == "csv" and header:
            assert self._delimiter is not None
            csv_text.check_header(self._first_line(), self._delimiter, given, name)
        check_unique(names, name)
        types = [str(row[1]) for row in described]
        if kind == "csv" and sql is None and set(map(duckdb_kind, types)) <= {"number", "text"}:
            query = over(self._known(scan, given, types), None)
        self._query = query
        self.kinds = {name: duckdb_kind(type_) for name, type_ in zip(names, types, strict=True)}
        self._casts = {
            name: duckdb_cast(column, type_)
            for name, column, type_ in zip(names, given, types, strict=True)
        }

    def chunks(self, wanted: list[str]) -> Iterator[Chunk]:
        """See `Reader.chunks`."""
        import nanoarrow

        chosen = ", ".join(self._casts[name] for name in wanted)
        with self._errors(), self._session.reading() as database:
            stream = database.sql(f"select {chosen} from ({self._query}) as t")
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

    def stamps(self) -> dict[str, Any]:
        """Size and time of the files at an address, of which none is read for it."""
        if not self._remote:
            return {}
        with self._errors(), self._session.reading() as database:
            found = database.execute(
                f"select filename, size, epoch_us(last_modified) from read_blob({literal(self._name)})"
            ).fetchall()
        return {name: known for name, *known in found}

    def close(self) -> None:
        """End a transaction of PostgreSQL, which is held so long as the table is read."""
        self._session.close()

    def _only_table(self) -> str:
        """Name of the only table of a database."""
        import duckdb

        with self._errors(), duckdb.connect(str(self._files[0]), read_only=True) as database:
            found = [row[0] for row in database.execute("show tables").fetchall()]
        if len(found) != 1:
            raise ambiguous(self._files[0], found)
        return str(found[0])

    # Scans of files.

    def _scan(self, kind: str) -> str:
        names = [str(path) for path in self._files] or [self._name]
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
        self._delimiter = self._delimiter or csv_text.separator(self._first_line())
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

    def _first_line(self) -> str:
        if self._files:
            return csv_text.first_line(self._files[0], self._encoding)
        options = ["header = false, auto_detect = false, columns = {'line': 'varchar'}"]
        options += ["delim = '\x1f', quote = '', escape = ''", *self._encoded()]
        scan = f"read_csv({literal(self._name)}, {', '.join(options)})"
        with self._errors(), self._session.reading() as database:
            found = database.execute(f"select line from {scan} limit 1").fetchall()
        return str(found[0][0] or "").strip("\ufeff\r\n") if found else ""

    def _errors(self) -> Errors:
        def diagnose() -> None:
            if self._files and self._delimiter is not None:
                csv_text.diagnose(self._files, self._delimiter, self._encoding)

        return Errors(self._name, self._encoding, diagnose)
