"""What is seen of a CSV without DuckDB: its first line, its separator, and where it is broken."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from onefold._errors import TableError
from onefold.data.columns import check_unique
from onefold.data.sources import ragged


def opened(path: Path, encoding: str) -> IO[str]:
    """A file's text, gzipped or not."""
    with open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    how: Any = gzip.open if zipped else open
    text: IO[str] = how(path, "rt", encoding=encoding, errors="replace", newline="")
    return text


def first_line(path: Path, encoding: str) -> str:
    """The first line, without its end.

    Raises
    ------
    TableError
        The encoding is unknown, or the file cannot be read.
    """
    try:
        with opened(path, encoding) as file:
            return file.readline().strip("\ufeff\r\n")
    except LookupError as error:
        raise TableError(f"unknown encoding {encoding!r}; try utf-8 or latin-1") from error
    except (OSError, EOFError) as error:
        raise TableError(f"could not read {path}: {error}") from error


def separator(line: str) -> str:
    """The separator that stands in a line most often, outside quotes."""
    outside = "".join(line.split('"')[::2])
    return max(",;\t|", key=outside.count)


def check_header(line: str, delimiter: str, found: Sequence[str], name: str) -> None:
    """Refuse a name that stands twice in the first line: DuckDB would give one of them another."""
    cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    if len(cells) == len(found):
        check_unique(cells, name)


def diagnose(files: Sequence[Path], delimiter: str, encoding: str) -> None:
    """Say where a CSV that DuckDB could make nothing of is ragged or has an open quote.

    Raises
    ------
    TableError
        It is one of them.
    """
    for path in files:
        with opened(path, encoding) as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            try:
                width = 0
                for row in reader:
                    width = width or len(row)
                    if row and len(row) != width:
                        raise ragged(f"{path}, line {reader.line_num}", len(row), width)
            except (csv.Error, EOFError) as error:
                where = f"{path}, line {reader.line_num}"
                if "unexpected end" in str(error):
                    raise TableError(f"{where}: a quote is not closed") from error
                raise TableError(f"{where}: {error}") from error
