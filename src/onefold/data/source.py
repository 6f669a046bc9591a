"""Where tables come from. A source gives named columns of text; CSV is the first one."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from pathlib import Path
from typing import IO, Protocol

from onefold._errors import TableError, nearest

#: Cells that mean "no value", in lower case and without surrounding blanks.
MISSING = frozenset({"", "na", "nan", "null", "none", "n/a", "-", "?", "<na>", "#n/a"})


class Source(Protocol):
    """A table: columns of text cells by name, in the order of the table.

    Other kinds of tables (Parquet, databases, data frames) are added as other sources.
    """

    def columns(self) -> dict[str, list[str]]:
        """All cells, stripped of surrounding blanks, by column."""

    def digest(self) -> str:
        """SHA-256 of the content, to recognise the same table again."""


class CsvSource:
    """A table in a CSV file, gzipped or not.

    Parameters
    ----------
    path : path
    delimiter : str, optional
        By default found out from the first lines: comma, semicolon, tab or bar.
    header : bool, default True
        Whether the first line names the columns; else they are c0, c1, ...
    encoding : str, default "utf-8"
    """

    def __init__(
        self,
        path: str | Path,
        *,
        delimiter: str | None = None,
        header: bool = True,
        encoding: str = "utf-8",
    ) -> None:
        self.path = Path(path)
        self.delimiter = delimiter
        self.header = header
        self.encoding = encoding
        if delimiter is not None and len(delimiter) != 1:
            raise TableError(f"the delimiter is one character, not {delimiter!r}")

    def _bytes(self) -> bytes:
        try:
            content = self.path.read_bytes()
            return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        except IsADirectoryError as error:
            raise TableError(f"{self.path} is a directory; give a CSV file") from error
        except (OSError, EOFError) as error:
            reason = getattr(error, "strerror", None) or error
            raise TableError(f"could not read {self.path}: {reason}") from error

    def digest(self) -> str:
        """SHA-256 of the decompressed content."""
        return hashlib.sha256(self._bytes()).hexdigest()

    def columns(self) -> dict[str, list[str]]:
        """All cells by column.

        Raises
        ------
        TableError
            Not readable, not in this encoding, empty, ragged, or with a column name twice.
        """
        content = self._bytes()
        try:
            encoding = "utf-8-sig" if self.encoding.lower() in ("utf-8", "utf8") else self.encoding
            text = content.decode(encoding)
        except LookupError as error:
            raise TableError(f"unknown encoding {self.encoding!r}; try utf-8 or latin-1") from error
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise TableError(
                f"{self.path}, line {line}: not {self.encoding}; try --encoding latin-1"
            ) from error
        delimiter = self.delimiter or _sniff(text)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        return self._read(reader)

    def _read(self, reader: csv._reader) -> dict[str, list[str]]:  # type: ignore[name-defined]
        rows: list[list[str]] = []
        names: list[str] | None = None
        try:
            for row in reader:
                if not row:
                    continue
                if names is None:
                    names = [name.strip() for name in row]
                    if not self.header:
                        names = [f"c{i}" for i in range(len(row))]
                        rows.append(row)
                    continue
                if len(row) != len(names):
                    raise TableError(
                        f"{self.path}, line {reader.line_num}: {len(row)} fields where the first line "
                        f"has {len(names)}; mend the line, or give the --delimiter"
                    )
                rows.append(row)
        except csv.Error as error:
            raise TableError(f"{self.path}, line {reader.line_num}: {error}") from error
        if names is None or not rows:
            raise TableError(f"{self.path} has no rows" + ("" if names else ": the file is empty"))
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise TableError(
                f"{self.path} has two columns called {sorted(twice)[0]!r}; rename one, or say --no-header"
            )
        return {
            name: [cell.strip() for cell in cells]
            for name, cells in zip(names, zip(*rows, strict=True), strict=True)
        }


def _sniff(text: str) -> str:
    """The separator that stands in the first line most often, outside quotes."""
    line = text.split("\n", 1)[0]
    outside = "".join(line.split('"')[::2])
    return max(",;\t|", key=outside.count)


def column(columns: dict[str, list[str]], name: str, table: object) -> list[str]:
    """A column by name, or an error that says which there are."""
    if name not in columns:
        shown = ", ".join(list(columns)[:20]) + (", ..." if len(columns) > 20 else "")
        raise TableError(
            f"{table} has no column {name!r}{nearest(name, columns)} (columns: {shown})"
        )
    return columns[name]


def write_csv(file: IO[str], names: list[str], rows: list[list[str]]) -> None:
    """Write a table as CSV."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
