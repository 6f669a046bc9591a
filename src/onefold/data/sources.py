"""What tables are read from: files by name, their formats, and the errors of reading them."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from onefold._errors import TableError

_SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".tab": "csv", ".train": "csv", ".test": "csv", ".data": "csv",
    ".parquet": "parquet", ".pq": "parquet",
    ".json": "json", ".jsonl": "json", ".ndjson": "json",
    ".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite",
    ".duckdb": "duckdb",
}  # fmt: skip
_REMOTE = re.compile(r"^(s3|s3a|s3n|r2|gs|gcs|https?|hf|azure|az|abfss)://", re.IGNORECASE)


class Errors:
    """Turns DuckDB's errors into ours: the file, the line, what was wrong, a way out."""

    def __init__(self, name: str, encoding: str, diagnose: Callable[[], None]) -> None:
        self.name, self.encoding, self.diagnose = name, encoding, diagnose

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: Any
    ) -> None:
        import duckdb

        if not isinstance(error, duckdb.Error):
            return
        text = without_passwords(_message(error))
        extension = re.search(
            r"(?i)(?:download|load|install) (?:the required )?extension [\"'](\w+)"
            r"|(\w+)\.duckdb_extension\" not found",
            text,
        )
        if extension:
            found = extension[1] or extension[2]
            raise TableError(
                f"{self.name}: this needs DuckDB's extension {found!r}, which is not here and could not "
                "be downloaded; where there is a network, run once: "
                f"python -c \"import duckdb; duckdb.connect().install_extension('{found}')\"; "
                f"or pip install duckdb-extension-{found.replace('_', '-')}, "
                "or export the table to Parquet or CSV"
            ) from error
        if "disabled by configuration" in text or "disabled through configuration" in text:
            raise TableError(
                f"{self.name}: the model's own query wants more than this table; where you trust it, "
                "give it with --sql"
            ) from error
        if refused := re.search(r"^.*\(HTTP 40[13][^)]*\)", text):
            raise TableError(
                f"could not read {self.name}: {refused[0]}; give the credentials by the environment "
                "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), or by 'create secret ...' before the query "
                "in --sql"
            ) from error
        line = re.search(r"[Ll]ine:? (\d+)", text)
        where = f"{self.name}, line {line[1]}" if line else self.name
        uneven = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
        if uneven:
            raise ragged(where, int(uneven[2]), int(uneven[1])) from error
        if re.search("(?i)not utf-8|invalid unicode|byte sequence", text):
            raise TableError(f"{where}: not {self.encoding}; try --encoding latin-1") from error
        if re.search("(?i)unterminated quote|unquoted value", text):
            raise TableError(f"{where}: a quote is not closed") from error
        if "sniffing" in text:
            self.diagnose()
        raise TableError(f"could not read {self.name}: {text[:300]}") from error


def _message(error: Exception) -> str:
    """DuckDB's words in one line, without the excerpt of a query, in which it points at a place."""
    return re.sub(r" LINE \d+: .*\^$", "", " ".join(str(error).split()))


_PASSWORDS = re.compile(
    r"(?i)((?:\b(?:password|secret|\w*token)\s*=?>?\s*)(?=')|\bpassword\s*=\s*|://[^:/@\s']*:(?=[^/@\s']+@))"
    r"('[^']*'?|[^\s'\"@]+)"
)


def without_passwords(text: str) -> str:
    """A text in which passwords of queries and connections are dots."""
    return _PASSWORDS.sub(r"\1...", text)


def ragged(where: str, found: int, expected: int) -> TableError:
    return TableError(
        f"{where}: {found} fields where the first line has {expected}; mend the line, or give the --delimiter"
    )


def files(source: Any) -> list[Path]:
    """The files that a path, a glob or a list of them means."""
    given = [source] if isinstance(source, str | Path) else list(source)
    found: list[Path] = []
    for item in given:
        text = str(item)
        matches = sorted(glob.glob(text)) if any(c in text for c in "*?[") else []
        found += [Path(match) for match in matches] or [Path(text)]
    for path in found:
        if path.is_dir():
            raise TableError(
                f"{path} is a directory; give a file, or a glob such as '{path}/*.csv'"
            )
        try:
            with open(path, "rb") as file:
                empty = not file.read(1)
        except OSError as error:
            raise TableError(f"could not read {path}: {error.strerror}") from error
        if empty:
            raise TableError(f"{path} has no rows: the file is empty")
    if not found:
        raise TableError("no file was given")
    return found


SQLITE_TABLES = "select name from sqlite_master where type = 'table' order by name"


def ambiguous(path: Path, found: Sequence[str]) -> TableError:
    shown = ", ".join(found[:10])
    return TableError(
        f"{path} has {len(found)} tables ({shown}); choose with a query, --sql 'select * from ...'"
    )


def stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise TableError(f"could not read {path}: {error.strerror}") from error
    return status.st_size, status.st_mtime_ns


def format_of(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    if re.search(r"idx\d-ubyte$", name):
        return "idx"
    return _SUFFIXES.get(Path(name).suffix, "csv")


def is_remote(source: Any) -> bool:
    """Whether a source is an address that DuckDB reads by an extension."""
    return isinstance(source, str) and _REMOTE.match(source) is not None


def statements(sql: str, single: bool = False) -> tuple[list[str], str]:
    """The statements before the last one, and the last one, which is the query.

    Raises
    ------
    TableError
        It is no SQL, nothing at all, or not the `single` SELECT that is wanted.
    """
    import duckdb

    try:
        parsed = duckdb.extract_statements(sql)
        found = [statement.query for statement in parsed]
    except duckdb.Error as error:
        raise TableError(
            f"could not read the query: {without_passwords(_message(error))[:300]}"
        ) from error
    if not found:
        raise TableError("the query is empty; give a select")
    if single and [statement.type for statement in parsed] != [duckdb.StatementType.SELECT]:
        raise TableError("the query is not a single SELECT; give one that you trust with --sql")
    return found[:-1], found[-1].strip().removesuffix(";")


def over(scan: str, sql: str | None) -> str:
    """A query over a scan of files, which it calls `data`."""
    if sql is None:
        return f"select * from {scan}"
    return f"with data as (select * from {scan}) {sql}"


def confinement(files: Sequence[Path]) -> list[str]:
    """Statements after which a connection reads these files and touches nothing else."""
    names = sorted({name for path in files for name in (str(path), str(path.absolute()))})
    return [
        f"set allowed_paths = [{', '.join(map(literal, names))}]",
        "set enable_external_access = false",
        "set lock_configuration = true",
    ]


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
