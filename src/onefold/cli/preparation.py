"""From a table to encoded parts: read, split, learned and encoded within a memory budget."""

from __future__ import annotations

import ctypes
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold import data
from onefold._errors import BudgetError, OptionError, TableError
from onefold.cli.recipe import Recipe
from onefold.data.columns import Chunk, Column
from onefold.data.target import present, present_rows
from onefold.train.budget import format_size, parse_size
from onefold.train.residency import FileRows, pieces, resident

Rows = NDArray[np.uint32]
#: Hears of a stage's name, the rows that are done, and how many there are.
Watch = Callable[[str, int, int], None]
# That a reading takes beside its columns: DuckDB's buffers and pieces of our own.
_READING_BYTES = 90_000_000
_LEAST_LEFT = 32_000_000  # bytes in which a small table can be learned


def _nobody(stage: str, done: int, total: int) -> None:
    pass


@dataclass(frozen=True)
class Prepared:
    """A table cut into parts and encoded.

    Attributes
    ----------
    parts : dict of str to (inputs, targets)
        "train", "validation" and "test"; an empty part is left out.
    skipped : int
        Rows without a target.
    digest : str or None
        SHA-256 of the table's files.
    weights : dict of str to array
        Of the rows of "train" and "validation", where classes have weights.
    named_by_numbers : bool
        Whether the names of the table's columns may be a row of data.
    """

    encoder: data.Encoder
    target: data.Target
    parts: dict[str, tuple[NDArray[Any], NDArray[Any]]]
    skipped: int
    digest: str | None
    weights: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    named_by_numbers: bool = False

    @cached_property
    def rows_digest(self) -> str | None:
        """SHA-256 of the encoded rows, where the table has no files: a query, or a table from elsewhere."""
        return _digest(self.parts) if self.digest is None else None

    @property
    def notices(self) -> list[str]:
        """What the user should know."""
        skipped = [f"{self.skipped} rows have no target and are left out"] if self.skipped else []
        if self.named_by_numbers:
            skipped.append(
                "the columns' names are numbers; if the first line is data, say --no-header"
            )
        return skipped + self.encoder.notices


def prepare(
    recipe: Recipe,
    table: data.Table,
    fold: tuple[int, int] | None = None,
    memory: str | None = None,
    watch: Watch = _nobody,
    known: tuple[data.Encoder, data.Target] | None = None,
) -> Prepared:
    """Read a table, split it and encode it; encoders learn from the training rows alone.

    With `fold` (i, k) the test rows are the i-th of k parts, instead of the recipe's share.
    Where the encoded rows would take more than half of what `memory` leaves, they go into a
    memory-mapped file in the system's folder for temporary files, which is removed when they are no
    longer used. `watch` hears of the rows that have been read. An encoder and a target that are `known`
    are not learned again.

    The table is read three times: its target, to split the rows; the training rows, to learn the
    encoding; all rows, to encode them. Within a small `memory` the columns are read in groups.
    """
    cells = table.column(recipe.target)
    values, rows = _with_target(table.name, cells)
    skipped = len(cells) - len(values)
    del cells
    target = known[1] if known else data.Target.find(recipe.target, values, recipe.task)
    y = target.encode(values)
    classes = None if target.task == "regression" else y
    if recipe.class_weight is not None and classes is None:
        raise OptionError("--class-weight is for classes; this target is a regression")
    test, validation, train = _split(recipe, table, rows, len(values), classes, fold)
    if len(train) == 0:
        raise TableError(f"{table.name} has too few rows to train on: {len(y)}")
    # A regression's scale, too, is learned from the training rows.
    if target.task == "regression" and known is None:
        target = data.Target.find(recipe.target, values[train], "regression")
        y = target.encode(values)
    del values  # a large table's memory is needed for other things
    named = {"train": train, "validation": validation, "test": test}
    parts = {name: part for name, part in named.items() if len(part)}
    targets = {name: y[part] for name, part in parts.items()}
    weights = {}
    if recipe.class_weight is not None and classes is not None:
        weights = _balanced(classes, {n: p for n, p in parts.items() if n != "test"})
    del y, classes
    places = {name: part if rows is None else rows[part] for name, part in parts.items()}
    del rows, parts, named, test, validation, train
    encoder = known[0] if known else _learn(recipe, table, places["train"], memory, watch)
    inputs = _encode(table, encoder, places, _home(encoder, places, memory), memory, watch)
    table.close()  # training may take long
    both = {name: (inputs[name], targets[name]) for name in targets}
    return Prepared(encoder, target, both, skipped, table.digest(), weights, table.named_by_numbers)


def _digest(parts: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]) -> str:
    """SHA-256 of encoded parts: of each its name, and of its inputs and targets the shape and the numbers."""
    digest = hashlib.sha256()
    for name in sorted(parts):
        for array in parts[name]:
            digest.update(f"{name}{array.shape}{array.dtype.str}".encode())
            for _, piece in pieces(array.reshape(len(array), -1)):
                digest.update(np.ascontiguousarray(piece).data)
    return digest.hexdigest()


def _with_target(name: str | None, cells: Column) -> tuple[Column, Rows | None]:
    """The cells of the target that are there, and their rows (None: all).

    Raises
    ------
    TableError
        There are less than two.
    """
    there = present(cells)
    count = int(there.sum())
    if len(cells) == 0:
        raise TableError(f"{name} has no rows")
    if count < 2:
        raise TableError(
            f"{name} has {count} row{'' if count == 1 else 's'} with a target; "
            "at least two are needed"
        )
    if count == len(cells):
        return cells, None
    return cells[there], np.flatnonzero(there).astype(np.uint32)


def _home(
    encoder: data.Encoder, places: Mapping[str, Rows], memory: str | None
) -> Callable[[int, int], NDArray[np.float32]]:
    """Where encoded rows go: memory, or a file where they would take more than half of the budget.

    Raises
    ------
    BudgetError
        Too little is left even to read them from a file.
    """
    if memory is None:
        return _in_memory
    size = 4 * encoder.width * sum(map(len, places.values()))
    room = parse_size(left(memory))
    if size <= room // 2:
        return _in_memory
    if room < _LEAST_LEFT:
        least = parse_size(memory) - room + _LEAST_LEFT
        raise BudgetError(
            f"memory={memory!r} is too small for {format_size(size)} of encoded rows, though they are "
            f"kept in a file; give at least {format_size(least)}"
        )
    return _in_file


def left(memory: str) -> str:
    """What the process may still take of a budget, in bytes.

    Raises
    ------
    BudgetError
        The process has taken it all.
    """
    _trim()
    taken = resident()
    if parse_size(memory) <= taken:
        raise BudgetError(
            f"memory={memory!r} is too small: the process itself takes {format_size(taken)}; "
            f"give at least {format_size(taken + _LEAST_LEFT)}"
        )
    return str(parse_size(memory) - taken)


def _trim() -> None:
    """Give memory that was freed back to the system, where the C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def _balanced(classes: NDArray[Any], parts: Mapping[str, Rows]) -> dict[str, NDArray[np.float32]]:
    """Weights by which every class counts as much as the others, from the training rows."""
    counts = np.maximum(np.bincount(classes[parts["train"]], minlength=int(classes.max()) + 1), 1)
    of_class = len(parts["train"]) / (np.count_nonzero(counts) * counts)
    return {name: of_class[classes[part]].astype(np.float32) for name, part in parts.items()}


def _split(
    recipe: Recipe,
    table: data.Table,
    places: Rows | None,
    rows: int,
    classes: NDArray[Any] | None,
    fold: tuple[int, int] | None,
) -> list[Rows]:
    """Test, validation and training rows, among the `rows` at `places` of the table (None: all)."""

    def column(name: str) -> Column:
        cells = table.column(name)
        return cells if places is None else cells[places]

    if fold is not None and (recipe.split_by or recipe.split_column):
        raise OptionError("cross-validation draws its own folds; leave --split-by and the like out")
    if recipe.split_column:
        return _split_by_words(recipe.split_column, column(recipe.split_column))
    if recipe.split_by:
        keys = column(recipe.split_by)
        missing = rows - len(present_rows(keys))
        if missing:
            raise TableError(
                f"column {recipe.split_by!r} is missing in {missing} rows, so it gives them no order"
            )
        if keys.dtype == object:
            keys = keys.astype(str)
        return data.split_in_order(keys, (recipe.test, recipe.validation))
    if fold is None:
        return data.split(rows, (recipe.test, recipe.validation), recipe.seed, classes)
    place, count = fold
    parts = data.split(rows, [1 / count] * (count - 1), recipe.seed, classes)
    rest = np.sort(np.concatenate([part for i, part in enumerate(parts) if i != place]))
    inner = data.split(
        len(rest), (recipe.validation,), recipe.seed, None if classes is None else classes[rest]
    )
    return [parts[place], rest[inner[0]], rest[inner[1]]]


def _split_by_words(name: str, cells: Column) -> list[Rows]:
    """Test, validation and training rows where a column says what is what."""
    words = [str(cell).strip().lower() for cell in cells.tolist()]
    strange = next((w for w in words if w not in ("train", "validation", "test")), None)
    if strange is not None:
        raise TableError(f"column {name!r} says train, validation or test, found {strange!r}")
    said = np.array(words)
    return [
        np.flatnonzero(said == word).astype(np.uint32) for word in ("test", "validation", "train")
    ]


def _learn(
    recipe: Recipe,
    table: data.Table,
    rows: Rows,
    memory: str | None,
    watch: Watch,
) -> data.Encoder:
    """The encoder of a table's columns, but the target, from some of its rows (ascending)."""
    left_out = (recipe.target, recipe.split_column)
    kinds = {name: kind for name, kind in table.kinds.items() if name not in left_out}
    measured = [name for name in table.measured if name in kinds and name not in recipe.drop]
    fit = data.EncoderFit(
        kinds, numeric=(*recipe.numeric, *measured), categorical=recipe.categorical, drop=recipe.drop,
        scaling=recipe.scaling, max_categories=recipe.max_categories, one_hot=recipe.one_hot,
        least_rows=recipe.least_rows,
    )  # fmt: skip
    groups = column_groups(table, list(kinds), memory)
    total = len(groups) * (int(rows[-1]) + 1)
    for number, names in enumerate(groups):
        for first, chunk in numbered(table, names):
            chosen = _within(rows, first, chunk)
            fit.add({name: column[chosen - first] for name, column in chunk.items()}, rows=chosen)
            done = number * total // len(groups) + first + rows_of(chunk)
            watch("learning the columns", min(total, done), total)
    return fit.finish()


def encoded_rows(
    table: data.Table, encoder: data.Encoder, target: data.Target, memory: str | None, watch: Watch
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """All rows that have a target, encoded, with their targets.

    Raises
    ------
    TableError
        There is none.
    """
    cells = table.column(target.name)
    rows = present_rows(cells).astype(np.uint32)
    if not len(rows):
        raise TableError(f"no row of {table.name} has a target")
    y = target.encode(cells[rows])
    del cells
    parts = {"": rows}
    return _encode(table, encoder, parts, _home(encoder, parts, memory), memory, watch)[""], y


def _encode(
    table: data.Table,
    encoder: data.Encoder,
    parts: Mapping[str, Rows],
    empty: Callable[[int, int], NDArray[np.float32]],
    memory: str | None,
    watch: Watch,
) -> dict[str, NDArray[np.float32]]:
    """Encoded rows (ascending) of every part."""
    out = {name: empty(len(rows), encoder.width) for name, rows in parts.items()}
    ends = np.cumsum([column.width for column in encoder.columns]).tolist()
    columns = {
        c.name: (c, end - c.width, end) for c, end in zip(encoder.columns, ends, strict=True)
    }
    groups = column_groups(table, list(columns), memory)
    total = len(groups) * (max(int(rows[-1]) for rows in parts.values()) + 1)
    for number, names in enumerate(groups):
        done = dict.fromkeys(parts, 0)
        for first, chunk in numbered(table, names):
            chosen = {part: _within(rows, first, chunk) - first for part, rows in parts.items()}
            begin = columns[names[0]][1]
            encoded = np.concatenate(
                [columns[name][0].encode(chunk[name], first) for name in names], axis=1
            )
            for part, rows in chosen.items():
                _put(out[part], done[part], begin, encoded[rows])
                done[part] += len(rows)
            read = number * total // len(groups) + first + rows_of(chunk)
            watch("encoding", min(total, read), total)
    return out


def column_groups(table: data.Table, names: list[str], memory: str | None) -> list[list[str]]:
    """Columns that are read together: all of them, or as many as DuckDB's buffers have room for."""
    if memory is None:
        return [names]
    room = parse_size(left(memory)) - _READING_BYTES
    if room < table.column_bytes:
        least = parse_size(memory) - room + table.column_bytes
        raise BudgetError(
            f"memory={memory!r} is too small to read the table; give at least {format_size(least)}"
        )
    size = room // table.column_bytes
    return [names[i : i + size] for i in range(0, len(names), size)]


def _in_memory(rows: int, width: int) -> NDArray[np.float32]:
    return np.empty((rows, width), np.float32)


def _in_file(rows: int, width: int) -> NDArray[np.float32]:
    try:
        return FileRows.create((rows, width))
    except OSError as error:
        raise TableError(
            f"no room for {4 * rows * width:,} bytes of encoded rows in {tempfile.gettempdir()}: "
            f"{error.strerror}; point TMPDIR at a larger disk, or give more --memory"
        ) from error


def _put(out: NDArray[np.float32], first: int, begin: int, values: NDArray[np.float32]) -> None:
    """Encoded rows to their place, in memory or in a file."""
    if isinstance(out, FileRows):
        out.write(first, begin, values)
    else:
        out[first : first + len(values), begin : begin + values.shape[1]] = values


def numbered(table: data.Table, names: Iterable[str]) -> Iterator[tuple[int, Chunk]]:
    """Pieces of a table with the number of their first row."""
    first = 0
    for chunk in table.chunks(list(names)):
        if chunk:
            yield first, chunk
            first += rows_of(chunk)


def rows_of(chunk: Chunk) -> int:
    """Rows of a piece of a table."""
    return len(next(iter(chunk.values())))


def _within(rows: Rows, first: int, chunk: Chunk) -> NDArray[np.int64]:
    """Those of some rows (ascending) that are in a piece of the table."""
    end = first + rows_of(chunk)
    low, high = np.searchsorted(rows, np.array([first, end], rows.dtype))
    return rows[low:high].astype(np.int64)
