"""Everything that shapes the result of `onefold train`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onefold import data
from onefold._errors import OptionError, unknown
from onefold.data.configuration import build
from onefold.data.statistics import LEAST_ROWS, MAX_EMBEDDED, ONE_HOT
from onefold.train.budget import parse_size


@dataclass(frozen=True)
class Recipe:
    """Everything that shapes the result of `onefold train`; kept in the model file.

    The defaults were chosen on thirteen real tables (docs/defaults.md).
    """

    target: str
    task: str | None = None
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "relu"
    dropout: float = 0.0
    loss: str | None = None
    label_smoothing: float | None = None
    optimizer: str = "adamw"
    momentum: float | None = None
    learning_rate: float = 0.01
    schedule: str | None = "one_cycle"
    warmup: int = 0
    weight_decay: float | None = 0.1
    clip_value: float | None = None
    clip_global_norm: float | None = None
    epochs: int = 100
    batch_size: int = 32
    seed: int = 0
    patience: int | None = 100
    min_delta: float = 0.0
    stop_below: float | None = None
    validation: float = 0.1
    test: float = 0.2
    split_by: str | None = None
    split_column: str | None = None
    class_weight: str | None = None
    scaling: str = "standard"
    max_categories: int = MAX_EMBEDDED
    one_hot: int = ONE_HOT
    least_rows: int = LEAST_ROWS
    embedding_size: int = 8
    drop: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    sql: str | None = None
    from_query: bool = False
    format: str | None = None
    delimiter: str | None = None
    header: bool = True
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if not (
            0 <= self.test < 1 and 0 <= self.validation < 1 and self.test + self.validation < 1
        ):
            raise OptionError(
                f"test ({self.test}) and validation ({self.validation}) are shares of the rows that "
                "leave some for training"
            )
        if self.class_weight not in (None, "balanced"):
            raise unknown("class weight", self.class_weight, ("balanced",))
        if self.split_by and self.split_column:
            raise OptionError("rows are split by an order or by a column's words, not by both")

    def table(
        self,
        source: Any,
        memory: str | None = None,
        format: str | None = None,
        sql: str | None = None,
        confined: bool = False,
    ) -> data.Table:
        """A table as this recipe reads it.

        `format` and `sql` where another table is of another kind, or comes by another query. A query
        without a table (`from_query`) is not for a table that is given. A `confined` query reads the
        source and nothing else.
        """
        query = sql or (None if self.from_query and source is not None else self.sql)
        if source is None and query is None:
            raise OptionError("give a TABLE, or a query with --sql")
        return data.Table(
            source, sql=query, format=format or self.format, delimiter=self.delimiter,
            header=self.header, encoding=self.encoding, confined=confined and query is not None,
            memory=None if memory is None else parse_size(memory) // 4,
        )  # fmt: skip

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Recipe:
        """The recipe that `asdict` described.

        Raises
        ------
        ValueError
            No recipe is described so.
        """
        return build(cls, config)
