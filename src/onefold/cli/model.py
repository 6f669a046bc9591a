"""A model that `onefold train` wrote, used on tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold import data, model_file
from onefold._errors import BudgetError, ModelFileError, OptionError, TableError
from onefold.cli import metrics
from onefold.cli.preparation import (
    Prepared,
    Watch,
    column_groups,
    encoded_rows,
    left,
    numbered,
    prepare,
    rows_of,
)
from onefold.cli.recipe import Recipe
from onefold.cli.training import Record
from onefold.data.configuration import build
from onefold.data.sources import is_remote
from onefold.data.target import present_rows
from onefold.network import Network
from onefold.train import residency
from onefold.train.budget import format_size, parse_size


@dataclass(frozen=True)
class Loaded:
    """A model that `onefold train` wrote."""

    network: Network
    recipe: Recipe
    encoder: data.Encoder
    target: data.Target
    record: Record

    def table(
        self,
        source: Any,
        *,
        format: str | None = None,
        sql: str | None = None,
        memory: str | None = None,
    ) -> data.Table:
        """A table as the model reads it.

        A query that is in the model file may be anyone's: it is run over files that are given, confined
        to them, and never by itself.

        Raises
        ------
        OptionError
            The model was trained on a query, which is not given.
        """
        query = self.recipe.sql
        elsewhere = source is None or (is_remote(source) and not self.recipe.from_query)
        if elsewhere and sql is None and query is not None:
            raise OptionError(
                "this model was trained on a query, which is run when you give it: "
                f"--sql {shlex.quote(query)}"
            )
        return self.recipe.table(source, memory, format=format, sql=sql, confined=sql is None)


def load(path: Path) -> Loaded:
    """Read a model with its encoder.

    Raises
    ------
    ModelFileError
        Damaged, or saved without a table's encoder.
    """
    network = model_file.load(path)
    try:
        extra = {name: network.extra[name] for name in ("recipe", "encoder", "target", "record")}
    except KeyError as error:
        raise ModelFileError(
            f"{path} has no table's encoder; it was not made by 'onefold train'"
        ) from error
    try:
        loaded = Loaded(
            network,
            Recipe.from_config(extra["recipe"]),
            data.Encoder.from_config(extra["encoder"]),
            data.Target.from_config(extra["target"]),
            build(Record, extra["record"]),
        )
        _check(loaded)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path} is damaged: {error}") from error
    return loaded


def _check(loaded: Loaded) -> None:
    """Refuse parts that do not fit each other."""
    wanted = loaded.encoder.width, loaded.target.outputs
    if wanted != (loaded.network.inputs, loaded.network.outputs):
        raise ValueError("the network does not fit the table's columns")
    record = loaded.record
    if "train" not in record.rows or not set(record.rows) <= {"train", "validation", "test"}:
        raise ValueError("the training record has no rows")
    lengths = {len(curve) for curve in record.curves.values()}
    if "loss" not in record.curves or lengths != {record.epochs} or record.epochs < 1:
        raise ValueError("the learning curves do not fit the epochs")
    if not set(record.test) <= set(metrics.NAMES) or min(record.rows.values()) < 1:
        raise ValueError("the training record has figures that no training gives")


def evaluate(
    loaded: Loaded,
    source: data.Table,
    threads: int | None,
    watch: Watch,
    memory: str | None = None,
) -> dict[str, Any]:
    """Figures of a model on the rows of a table that have a target.

    Raises
    ------
    BudgetError
        The figures themselves take more than is left of `memory`.
    """
    loaded.encoder.check(source.kinds)
    source.check(loaded.target.name)
    found = metrics.Tally(loaded.target)

    def pieces() -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        for x, y in _encoded(loaded, source, memory, watch):
            found.add(y, loaded.network.predict(x, threads=threads))
            yield x, y

    loss = None
    if loaded.target.task == "regression":
        for _ in pieces():
            pass
    else:
        loss = loaded.network.evaluate_pieces(pieces(), loss="cross_entropy", threads=threads)
    import sklearn.metrics  # noqa: F401 - before what is left is counted

    if memory is not None and (lack := found.nbytes - parse_size(left(memory))) > 0:
        raise BudgetError(
            f"memory={memory!r} is too small for the figures of {found.rows:,} rows; "
            f"give at least {format_size(parse_size(memory) + lack)}"
        )
    scores = found.scores() | ({} if loss is None else {"cross_entropy": loss})
    return {"rows": found.rows, **scores, **found.details()}


def _encoded(
    loaded: Loaded, source: data.Table, memory: str | None, watch: Watch
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Encoded rows with their targets, a piece of the table at a time.

    Where `memory` has no room for all columns of a piece at once, they are read in groups, as for
    training, and all rows are encoded first.
    """
    target, names = loaded.target, [column.name for column in loaded.encoder.columns]
    if len(column_groups(source, [target.name, *names], memory)) > 1:
        x, y = encoded_rows(source, loaded.encoder, target, memory, watch)
        for first, piece in residency.pieces(x):
            yield piece, y[first : first + len(piece)]
        return
    done = 0
    for first, chunk in numbered(source, [target.name, *names]):
        rows = present_rows(chunk[target.name])
        if len(rows):
            y = target.encode(chunk[target.name][rows], done)
            yield loaded.encoder.encode(chunk, first)[rows], y
            done += len(rows)
        watch("reading", first + rows_of(chunk), 0)
    if not done:
        raise TableError(f"no row of {source.name} has a target")


def prepared(loaded: Loaded, source: data.Table, watch: Watch) -> Prepared:
    """A table cut as for training, encoded as the model knows its columns and its target."""
    loaded.encoder.check(source.kinds)
    return prepare(loaded.recipe, source, watch=watch, known=(loaded.encoder, loaded.target))


def predictions(
    loaded: Loaded, source: data.Table, probabilities: bool, threads: int | None
) -> Iterator[list[list[str]]]:
    """Rows of predictions as text, a piece of the table at a time.

    Each begins with the target in the table's own terms; with `probabilities`, one of each class follows.

    Raises
    ------
    OptionError
        Probabilities of a regression.
    """
    target = loaded.target
    if probabilities and target.task == "regression":
        raise OptionError("--probabilities is for classes; this model is a regression")
    for first, chunk in numbered(source, [column.name for column in loaded.encoder.columns]):
        x = loaded.encoder.encode(chunk, first)
        rows = [[value] for value in target.decode(loaded.network.predict(x, threads=threads))]
        if probabilities:
            p = loaded.network.predict_proba(x, threads=threads).astype(float)
            p = np.concatenate([1 - p, p], axis=1) if target.task == "binary" else p
            rows = [
                [*row, *(f"{v:.6g}" for v in line)]
                for row, line in zip(rows, p.tolist(), strict=True)
            ]
        yield rows


def cross_validated(folds: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation of every score over the folds."""
    names = [name for name in folds[0] if name not in ("fold", "seed", "fingerprint")]
    values = {name: [fold[name] for fold in folds] for name in names}
    return {
        "folds": folds,
        "mean": {name: float(np.mean(found)) for name, found in values.items()},
        "deviation": {name: float(np.std(found)) for name, found in values.items()},
    }
