"""Tables that the command writes: to a file, whole or not at all, or to standard output."""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from onefold import _files
from onefold._errors import OptionError

Pieces = Iterable[list[list[str]]]


def write_table(
    path: Path | None, names: Sequence[str], pieces: Pieces, numbers: Sequence[str] = ()
) -> int:
    """Write a table a piece at a time; returns its rows.

    Parameters
    ----------
    path : path or None
        Parquet where it ends in .parquet, else CSV; None for CSV on standard output.
    names : sequence of str
    pieces : iterable of lists of rows
    numbers : sequence of str
        Columns that are numbers in Parquet; the others are texts.
    """
    if path is None:
        try:
            rows = _write_csv(sys.stdout, names, pieces)
            sys.stdout.flush()
            return rows
        except BrokenPipeError:  # the reader has had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
    with _files.replacing(path) as beside:
        if path.suffix.lower() not in (".parquet", ".pq"):
            with beside.open("w", encoding="utf-8", newline="") as file:
                return _write_csv(file, names, pieces)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            text = Path(folder) / "table.csv"
            with text.open("w", encoding="utf-8", newline="") as file:
                rows = _write_csv(file, names, pieces)
            _to_parquet(text, beside, {n: "DOUBLE" if n in numbers else "VARCHAR" for n in names})
        return rows


def _write_csv(file: IO[str], names: Sequence[str], pieces: Pieces) -> int:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    rows = 0
    for piece in pieces:
        writer.writerows(piece)
        rows += len(piece)
    return rows


def _to_parquet(text: Path, to: Path, types: dict[str, str]) -> None:
    """Our own CSV as Parquet, by DuckDB, in the order of its rows."""
    import duckdb

    def literal(value: str) -> str:
        return "'" + value.replace("'", "''") + "'"

    columns = ", ".join(f"{literal(name)}: {literal(type_)}" for name, type_ in types.items())
    with duckdb.connect() as database:
        database.execute(
            f"copy (select * from read_csv({literal(str(text))}, header = true, auto_detect = false, "
            f"delim = ',', quote = '\"', escape = '\"', columns = {{{columns}}})) "
            f"to {literal(str(to))} (format parquet)"
        )


def check_writable(path: Path) -> None:
    """Refuse a place that cannot be written, before the work and not after it."""
    if path.is_dir():
        raise OptionError(f"--output {path} is a directory; give a file's name")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise OptionError(f"--output {path}: the folder {path.parent} cannot be written")
