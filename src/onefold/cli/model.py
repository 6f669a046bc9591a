"""A model that `onefold train` wrote, used on tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onefold import data, model_file
from onefold._errors import ModelFileError, OptionError, TableError
from onefold.cli import metrics
from onefold.cli.preparation import Prepared, Watch, numbered, prepare, rows_of
from onefold.cli.recipe import Recipe
from onefold.cli.training import Record
from onefold.data.configuration import build
from onefold.data.sources import is_remote
from onefold.data.target import present_rows
from onefold.network import Network


@dataclass(frozen=True)
class Loaded:
    """A model that `onefold train` wrote."""

    network: Network
    recipe: Recipe
    encoder: data.Encoder
    target: data.Target
    record: Record

    def table(
        self, source: Any, *, format: str | None = None, sql: str | None = None
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
        return self.recipe.table(source, format=format, sql=sql, confined=sql is None)


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
    loaded: Loaded, source: data.Table, threads: int | None, watch: Watch
) -> dict[str, Any]:
    """Figures of a model on the rows of a table that have a target."""
    loaded.encoder.check(source.kinds)
    source.check(loaded.target.name)
    inputs, columns = [], []
    for first, chunk in numbered(
        source, [loaded.target.name, *(c.name for c in loaded.encoder.columns)]
    ):
        rows = present_rows(chunk[loaded.target.name])
        inputs.append(loaded.encoder.encode(chunk, first)[rows])
        columns.append(chunk[loaded.target.name][rows])
        watch("reading", first + rows_of(chunk), 0)
    if not sum(map(len, columns)):
        raise TableError(f"no row of {source.name} has a target")
    x, y = np.concatenate(inputs), loaded.target.encode(np.concatenate(columns))
    known = (loaded.target, loaded.network, x, y, threads)
    return {"rows": len(y), **metrics.scores(*known), **metrics.details(*known)}


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
