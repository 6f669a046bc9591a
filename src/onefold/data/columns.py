"""Columns of a table: what they look like in memory, and what they are made from."""

from __future__ import annotations

import gzip
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold._errors import TableError

#: Cells that mean "no value", in lower case and without surrounding blanks.
MISSING = frozenset({"", "na", "nan", "null", "none", "n/a", "-", "?", "<na>", "#n/a"})
#: A piece of a column: float64 with NaN for missing (numbers, or microseconds since 1970), or text,
#: object with None for missing.
Column = NDArray[Any]
Chunk = dict[str, Column]


def check_unique(names: Sequence[str], where: str) -> None:
    """Refuse a name that stands twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise TableError(
                f"{where} has two columns called {name!r}; rename one, or say --no-header"
            )
        seen.add(name)


def readable(value: float) -> str:
    """A number as people read it, to four digits: 0.0123, 4567, 43,120, 1.2e+09."""
    return f"{value:,.0f}" if 9999.5 <= abs(value) < 1e9 else f"{value:.4g}"


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


_NUMBERS = re.compile(r"^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|REAL|DECIMAL.*)$")


def duckdb_kind(type_: str) -> str:
    """Kind of a column of a DuckDB type."""
    if _NUMBERS.match(type_):
        return "number"
    return "date" if type_.startswith(("DATE", "TIMESTAMP")) else "text"


def duckdb_cast(name: str, type_: str) -> str:
    """SQL that turns a column into doubles or text, as `from_arrow` takes them."""
    column, kind = f"t.{quoted(name)}", duckdb_kind(type_)
    if kind == "date":
        return f"cast(epoch_us(cast({column} as timestamp)) as double)"
    return f"cast({column} as {'varchar' if kind == 'text' else 'double'})"


def from_arrow(array: Any, kind: str, rows: slice) -> Column:
    """A numpy column from some rows of an Arrow array of doubles or strings."""
    view = array.view()
    offset, length = array.offset + rows.start, rows.stop - rows.start
    valid = None
    if array.null_count and view.buffer(0).size_bytes:
        bits = np.unpackbits(np.frombuffer(view.buffer(0), np.uint8), bitorder="little")
        valid = bits[offset : offset + length].astype(bool)
    if kind != "text":
        numbers = np.frombuffer(view.buffer(1), np.float64)[offset : offset + length].copy()
        if valid is not None:
            numbers[~valid] = np.nan
        return numbers
    ends = np.frombuffer(view.buffer(1), np.int32)[offset : offset + length + 1].tolist()
    start = ends[0]
    data = bytes(memoryview(view.buffer(2))[start : ends[-1]])
    ends = [end - start for end in ends]
    out = np.empty(length, dtype=object)
    if data.isascii():
        text = data.decode("ascii")
        cells = [text[a:b].strip() for a, b in itertools.pairwise(ends)]
    else:
        cells = [data[a:b].decode("utf-8").strip() for a, b in itertools.pairwise(ends)]
    out[:] = [None if cell.lower() in MISSING else cell for cell in cells]
    if valid is not None:
        out[~valid] = None
    return out


def from_frame(source: Any) -> dict[str, Column]:
    """Columns of a data frame (through narwhals), or of a mapping."""
    if isinstance(source, Mapping):
        columns = {str(name): np.asarray(values) for name, values in source.items()}
    elif isinstance(source, np.ndarray):
        if source.ndim != 2:
            raise TableError(f"an array is a table of shape (rows, columns), not {source.shape}")
        columns = {f"c{i}": source[:, i] for i in range(source.shape[1])}
    else:
        import narwhals

        try:
            frame = narwhals.from_native(source, eager_only=True)
        except TypeError as error:
            raise TableError(
                f"{type(source).__name__} is not a table: pass a path, a data frame, or columns by name"
            ) from error
        check_unique([str(name) for name in frame.columns], "the data frame")
        columns = {str(name): frame[name].to_numpy() for name in frame.columns}
    for name, column in columns.items():
        if column.ndim != 1:
            raise TableError(
                f"column {name!r} has {column.ndim} dimensions; pass one value for each row"
            )
    return columns


def kind_of(column: Column) -> str:
    """Kind of a numpy column."""
    if column.dtype.kind in "fiu":
        return "number"
    if column.dtype.kind == "b":
        return "text"
    if column.dtype.kind == "M":
        return "date"
    values = [v for v in column.tolist() if v is not None and v == v]
    if values and all(
        isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in values
    ):
        return "number"
    return "text"


def plain(column: Column, kind: str) -> Column:
    """A piece of a numpy column as a `Column`."""
    if kind == "number" and column.dtype.kind in "fiu":
        return column.astype(np.float64)
    if kind == "date" and column.dtype.kind == "M":
        micros = column.astype("datetime64[us]")
        out = micros.astype(np.int64).astype(np.float64)
        out[np.isnat(micros)] = np.nan
        return out
    return from_objects(column.tolist(), kind)


def from_objects(values: Sequence[Any], kind: str) -> Column:
    """Python values as a column."""
    if kind != "text":
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    out = np.empty(len(values), dtype=object)
    cells = [None if v is None or v != v else _text(v) for v in values]
    out[:] = [None if cell is None or cell.lower() in MISSING else cell for cell in cells]
    return out


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value).strip()


def from_idx(path: Path) -> dict[str, Column]:
    """Pixels of IDX images as columns p0, p1, ..., and the labels file beside them as "label"."""
    pixels = read_idx(path)
    if pixels.ndim == 1:
        return {"label": pixels}
    flat = pixels.reshape(len(pixels), -1)
    columns: dict[str, Column] = {f"p{i}": flat[:, i] for i in range(flat.shape[1])}
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    if beside != path and beside.exists():
        columns["label"] = read_idx(beside)
    return columns


def read_idx(path: str | Path) -> NDArray[np.uint8]:
    """An array of bytes from an IDX file, gzipped or not, such as Fashion-MNIST's.

    Parameters
    ----------
    path : path

    Returns
    -------
    array of uint8
        (rows,) for labels, (rows, height, width) for images.

    Raises
    ------
    TableError
        Not there, not IDX, of another type than bytes, or cut short.
    """
    try:
        content = Path(path).read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError) as error:
        raise TableError(
            f"could not read {path}: {getattr(error, 'strerror', None) or error}"
        ) from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != 8:
        raise TableError(f"{path} is not an IDX file of bytes")
    start = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:start], ">i4")
    if len(shape) != content[3] or len(content) - start != int(np.prod(shape)):
        raise TableError(
            f"{path} is cut short: its header promises {' x '.join(map(str, shape))} bytes"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
