"""The options that shape a result, once for every command that trains, and the file they may come from."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from onefold._errors import OptionError, nearest
from onefold.cli.recipe import Recipe
from onefold.optim import SCHEDULES

_DEFAULT = Recipe(target="")


def _from_file(context: typer.Context, path: Path | None) -> Path | None:
    """Take a command's defaults from a TOML file; flags still override them."""
    if path is None:
        return None
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"could not read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"{path} is not TOML: {error}") from error
    known = {option.lstrip("-"): p for p in context.command.params for option in p.opts}
    values: dict[str, Any] = {}
    for key, value in given.items():
        parameter = known.get(key.replace("_", "-"))
        if parameter is None or parameter.name == "config":
            names = sorted(name for name in known if len(name) > 1)
            raise OptionError(f"{path}: unknown key {key!r}{nearest(key.replace('_', '-'), names)}")
        if isinstance(value, list) and not getattr(parameter, "multiple", False):
            value = ",".join(map(str, value))
        values[str(parameter.name)] = value
    context.default_map = {**(context.default_map or {}), **values}
    return path


def _options(
    target: Annotated[str, typer.Option(metavar="COL", help="Column to predict.")],
    config: Annotated[
        Path | None,
        typer.Option(
            callback=_from_file,
            is_eager=True,
            metavar="FILE",
            help="TOML file with any of these options; flags override it.",
        ),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="regression, binary or classes; found out by default.")
    ] = None,
    hidden: Annotated[str, typer.Option(help="Neurons of the hidden layers.")] = ",".join(
        map(str, _DEFAULT.hidden)
    ),
    activation: Annotated[str, typer.Option(help="Of the hidden layers.")] = _DEFAULT.activation,
    dropout: Annotated[float, typer.Option(help="After each hidden layer.")] = _DEFAULT.dropout,
    loss: Annotated[str | None, typer.Option(help="By default the one that fits the task.")] = None,
    label_smoothing: Annotated[
        float | None,
        typer.Option(help="Share of a class's target that goes to all classes; 0.1 by default."),
    ] = None,
    optimizer: Annotated[str, typer.Option(help="sgd, adam, adamw, ...")] = _DEFAULT.optimizer,
    momentum: Annotated[float | None, typer.Option(help="Of sgd and rmsprop.")] = None,
    learning_rate: Annotated[
        float, typer.Option(help="The largest of the schedule.")
    ] = _DEFAULT.learning_rate,
    schedule: Annotated[
        str | None,
        typer.Option(help=f"Of the learning rate: constant, {', '.join(sorted(SCHEDULES))}."),
    ] = _DEFAULT.schedule,
    warmup: Annotated[
        int, typer.Option(help="Updates over which a cosine schedule rises first.")
    ] = _DEFAULT.warmup,
    weight_decay: Annotated[float, typer.Option(help="Of the weights, not the biases.")] = (
        _DEFAULT.weight_decay or 0.0
    ),
    clip_value: Annotated[
        float | None, typer.Option(help="Largest element of the gradient.")
    ] = None,
    clip_global_norm: Annotated[float | None, typer.Option(help="Largest gradient norm.")] = None,
    epochs: Annotated[int, typer.Option(help="At most.")] = _DEFAULT.epochs,
    batch_size: Annotated[int, typer.Option(help="Rows of an update.")] = _DEFAULT.batch_size,
    patience: Annotated[
        int, typer.Option(help="Epochs without a better validation loss; 0 for all epochs.")
    ] = _DEFAULT.patience or 0,
    min_delta: Annotated[
        float, typer.Option(help="How much better a loss must be to count.")
    ] = _DEFAULT.min_delta,
    stop_below: Annotated[float | None, typer.Option(help="Training loss to stop at.")] = None,
    seed: Annotated[
        int, typer.Option(help="Of the split, the weights and the order.")
    ] = _DEFAULT.seed,
    validation: Annotated[float, typer.Option(help="Share of the rows.")] = _DEFAULT.validation,
    test: Annotated[float, typer.Option(help="Share of the rows.")] = _DEFAULT.test,
    split_by: Annotated[
        str | None,
        typer.Option(metavar="COL", help="Test on the rows that come last by this column."),
    ] = None,
    split_column: Annotated[
        str | None,
        typer.Option(metavar="COL", help="Column that says train, validation or test."),
    ] = None,
    class_weight: Annotated[
        str | None, typer.Option(help="balanced: every class counts as much as the others.")
    ] = None,
    scaling: Annotated[
        str, typer.Option(help="Of numbers: standard, clipped, robust or quantile.")
    ] = _DEFAULT.scaling,
    max_categories: Annotated[
        int, typer.Option(help="Of a column; rarer ones share the place of unseen values.")
    ] = _DEFAULT.max_categories,
    one_hot: Annotated[
        int,
        typer.Option(help="A column of so many categories has an input for each."),
    ] = _DEFAULT.one_hot,
    least_rows: Annotated[
        int, typer.Option(help="Of a category, where a column has more; rarer ones share a place.")
    ] = _DEFAULT.least_rows,
    embedding_size: Annotated[
        int, typer.Option(help="Length of the vector of an embedded category.")
    ] = _DEFAULT.embedding_size,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="COL", help="Leave a column out.")
    ] = None,
    numeric: Annotated[
        list[str] | None, typer.Option(metavar="COL", help="Take as a number.")
    ] = None,
    categorical: Annotated[
        list[str] | None, typer.Option(metavar="COL", help="Take as a category.")
    ] = None,
    sql: Annotated[
        str | None, typer.Option(metavar="QUERY", help="A query over the table, called data in it.")
    ] = None,
    table_format: Annotated[
        str | None, typer.Option("--format", help="csv, parquet, json, sqlite, duckdb or idx.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="Found out by default.")] = None,
    no_header: Annotated[bool, typer.Option("--no-header", help="Columns are c0, c1, ...")] = False,
    encoding: Annotated[str, typer.Option(help="Of the file.")] = _DEFAULT.encoding,
) -> Recipe:
    return Recipe(
        target=target,
        task=task,
        hidden=_widths(hidden),
        activation=activation,
        dropout=dropout,
        loss=loss,
        label_smoothing=label_smoothing,
        optimizer=optimizer,
        momentum=momentum,
        learning_rate=learning_rate,
        schedule=None if schedule == "constant" else schedule,
        warmup=warmup,
        weight_decay=weight_decay,
        clip_value=clip_value,
        clip_global_norm=clip_global_norm,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        patience=patience or None,
        min_delta=min_delta,
        stop_below=stop_below,
        validation=validation,
        test=test,
        split_by=split_by,
        split_column=split_column,
        class_weight=class_weight,
        scaling=scaling,
        max_categories=max_categories,
        one_hot=one_hot,
        least_rows=least_rows,
        embedding_size=embedding_size,
        drop=tuple(drop or ()),
        numeric=tuple(numeric or ()),
        categorical=tuple(categorical or ()),
        sql=sql,
        format=table_format,
        delimiter="\t" if delimiter in ("tab", "\\t") else delimiter,
        header=not no_header,
        encoding=encoding,
    )


def with_recipe(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a recipe in place of its parameter `recipe`."""
    shared = inspect.signature(_options).parameters
    own = inspect.signature(command).parameters

    def call(**given: Any) -> None:
        recipe = _options(**{name: given.pop(name) for name in shared})
        command(recipe=recipe, **given)

    parameters: dict[str, inspect.Parameter] = {}
    for name, parameter in own.items():
        for each in shared.values() if name == "recipe" else (parameter,):
            parameters[each.name] = each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
    hints = {
        **get_type_hints(_options, include_extras=True),
        **get_type_hints(command, include_extras=True),
    }
    call.__annotations__ = {name: hints[name] for name in parameters}
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(annotation=hints[name]) for name, p in parameters.items()]
    )
    call.__name__, call.__doc__ = command.__name__, command.__doc__
    return call


def _widths(text: str) -> tuple[int, ...]:
    parts = [part for part in text.split(",") if part.strip()]
    return tuple(whole("--hidden", part) for part in parts)


def whole(option: str, text: str) -> int:
    """A whole number from 1 up, or an error that names the option."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise OptionError(f"{option} takes whole numbers from 1 up, not {text!r}")
    return value
