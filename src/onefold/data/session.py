"""DuckDB, opened for the readings of a table."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from onefold.data.sources import literal

_LEAST_MEMORY = 96 << 20  # bytes with which it can read a wide CSV


class Session:
    """Connections to DuckDB that are all set up alike.

    Parameters
    ----------
    database : path, optional
        A file of DuckDB's, opened for reading; else a database in memory.
    setup : sequence of str
        Statements that are run first.
    memory : int, optional
        Bytes that it may take, with a single thread.
    ordered : bool
        Whether every reading gives the rows in the same order, whatever the query: a single thread. With
        more, a query that joins or groups gives another order each time, and so does a PostgreSQL table of
        more than 8 MB.
    elsewhere : bool
        Whether the rows come by extensions: those that are installed as Python packages are loaded. All
        readings then share a connection and its transaction, so that they see the same rows, though others
        may write to a PostgreSQL database meanwhile.
    """

    def __init__(
        self,
        database: Path | None = None,
        *,
        setup: Sequence[str] = (),
        memory: int | None = None,
        ordered: bool = False,
        elsewhere: bool = False,
    ) -> None:
        self._database = database
        self._setup = [*(_packaged_extensions() if elsewhere else []), *setup]
        self._config: dict[str, Any] = {}
        if ordered or memory is not None:
            self._config["threads"] = 1
        if memory is not None:
            self._config["memory_limit"] = f"{max(memory, _LEAST_MEMORY)}B"
        self._shared = elsewhere
        self._kept: Any = None
        self._busy = False

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """A connection for one reading; one within another has its own."""
        if not self._shared or self._busy:
            with self._connect() as connection:
                yield connection
            return
        if self._kept is None:
            self._kept = self._connect()
            self._end = weakref.finalize(self, _end, self._kept)
            self._kept.execute("begin transaction")
        self._busy = True
        try:
            yield self._kept
        except Exception:
            self.close()  # an error ends its transaction
            raise
        finally:
            self._busy = False

    def close(self) -> None:
        """End the transaction; the next reading begins another."""
        if self._kept is not None:
            self._end()
            self._kept = None

    def _connect(self) -> Any:
        import duckdb

        name, read_only = str(self._database or ":memory:"), self._database is not None
        connection = duckdb.connect(name, read_only=read_only, config=self._config)
        for statement in self._setup:
            connection.execute(statement)
        return connection


def _end(connection: Any) -> None:
    """Leave a transaction and close.

    DuckDB does so by itself, but ends the whole process where the other side has gone meanwhile.
    """
    with suppress(Exception):
        connection.execute("rollback")
    connection.close()


def _packaged_extensions() -> list[str]:
    """Statements that load extensions from packages such as duckdb-extension-httpfs.

    Those are DuckDB's own files, whose signatures it checks as it loads them.
    """
    import duckdb

    files = f"duckdb_extension_*/extensions/v{duckdb.__version__}/*.duckdb_extension"
    found = {path.name: path for folder in sys.path for path in Path(folder).glob(files)}
    return [f"load {literal(str(path))}" for _, path in sorted(found.items())]
