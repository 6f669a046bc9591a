"""Commands and their options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

import onefold
from onefold import _native
from onefold.cli import output
from onefold.cli.recipe import Recipe, follow, numbered, prepare

app = typer.Typer(
    name="onefold",
    help="Neural networks from tables, trained to the same bits whatever the memory and threads.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_DEFAULT = Recipe(target="")

Table = Annotated[
    str,
    typer.Argument(
        metavar="TABLE", help="CSV, TSV, Parquet, JSON lines, SQLite, IDX images; globs too."
    ),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="File that `onefold train` wrote.")]
Json = Annotated[bool, typer.Option("--json", help="Results as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Nothing but results and errors.")]
Threads = Annotated[int | None, typer.Option(help="Threads; the result does not depend on them.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"onefold {onefold.__version__} ({_native.level()})")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def train(
    table: Table,
    target: Annotated[str, typer.Option(metavar="COL", help="Column to predict.")],
    output_path: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where the model goes.")
    ] = Path("model.onefold"),
    task: Annotated[
        str | None, typer.Option(help="regression, binary or classes; found out by default.")
    ] = None,
    hidden: Annotated[str, typer.Option(help="Neurons of the hidden layers.")] = "64,64",
    activation: Annotated[str, typer.Option(help="Of the hidden layers.")] = _DEFAULT.activation,
    dropout: Annotated[float, typer.Option(help="After each hidden layer.")] = 0.0,
    loss: Annotated[str | None, typer.Option(help="By default the one that fits the task.")] = None,
    optimizer: Annotated[str, typer.Option(help="sgd, adam, adamw, ...")] = _DEFAULT.optimizer,
    learning_rate: Annotated[float, typer.Option()] = _DEFAULT.learning_rate,
    weight_decay: Annotated[float | None, typer.Option(help="The optimizer's by default.")] = None,
    clip_global_norm: Annotated[float | None, typer.Option(help="Largest gradient norm.")] = None,
    epochs: Annotated[int, typer.Option(help="At most.")] = _DEFAULT.epochs,
    batch_size: Annotated[int, typer.Option(help="Rows of an update.")] = _DEFAULT.batch_size,
    patience: Annotated[
        int, typer.Option(help="Epochs without a better validation loss; 0 for all epochs.")
    ] = 20,
    stop_below: Annotated[float | None, typer.Option(help="Training loss to stop at.")] = None,
    time_limit: Annotated[float | None, typer.Option(metavar="SECONDS")] = None,
    seed: Annotated[int, typer.Option(help="Of the split, the weights and the order.")] = 0,
    validation: Annotated[float, typer.Option(help="Share of the rows.")] = _DEFAULT.validation,
    test: Annotated[float, typer.Option(help="Share of the rows.")] = _DEFAULT.test,
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
    encoding: Annotated[str, typer.Option(help="Of the file.")] = "utf-8",
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Budget such as 200MB.")
    ] = None,
    micro_batch: Annotated[str, typer.Option(help="Rows at a time, or auto.")] = "auto",
    threads: Threads = None,
    checkpoint: Annotated[Path | None, typer.Option(help="File to be kept up to date.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network on a table and save it."""
    recipe = Recipe(
        target=target,
        task=task,
        hidden=_widths(hidden),
        activation=activation,
        dropout=dropout,
        loss=loss,
        optimizer=optimizer,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        clip_global_norm=clip_global_norm,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        patience=patience or None,
        stop_below=stop_below,
        validation=validation,
        test=test,
        drop=tuple(drop or ()),
        numeric=tuple(numeric or ()),
        categorical=tuple(categorical or ()),
        sql=sql,
        format=table_format,
        delimiter="\t" if delimiter in ("tab", "\\t") else delimiter,
        header=not no_header,
        encoding=encoding,
    )
    log = output.Log(quiet=quiet)
    output.check_writable(output_path)
    prepared = prepare(recipe, table)
    log.table(prepared)
    trained = follow(
        recipe,
        prepared,
        memory=memory,
        micro_batch=micro_batch if micro_batch == "auto" else _whole("--micro-batch", micro_batch),
        threads=threads,
        time_limit=time_limit,
        checkpoint=checkpoint,
        resume=resume,
        callbacks=() if quiet else (output.progress(epochs),),
    )
    trained.network.save(output_path)
    result = {
        "model": str(output_path),
        "fingerprint": trained.network.fingerprint(),
        "epochs": trained.history.epochs,
        "stopped": trained.history.stopped,
        "test": trained.scores,
    }
    output.result(result, as_json, lambda: output.trained(trained, output_path))


@app.command()
def predict(
    model: Model,
    table: Table,
    output_path: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="CSV; by default stdout.")
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="A column for the probability of each class.")
    ] = False,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Predict the target of every row of a table, as CSV."""
    loaded = output.load(model)
    source = loaded.recipe.table(table)
    loaded.encoder.check(source.kinds)
    log = output.Log(quiet=quiet)
    log.unused(loaded, source.kinds)
    target = loaded.target
    if probabilities and target.task == "regression":
        raise onefold.OptionError("--probabilities is for classes; this model is a regression")
    names = [target.name]
    if probabilities:
        names += [f"p({name})" for name in target.classes]

    def pieces() -> Iterator[list[list[str]]]:
        for first, chunk in numbered(source, [column.name for column in loaded.encoder.columns]):
            x = loaded.encoder.encode(chunk, first)
            rows = [[value] for value in target.decode(loaded.network.predict(x, threads=threads))]
            if probabilities:
                p = loaded.network.predict_proba(x, threads=threads).astype(float)
                p = output.both_sides(p) if target.task == "binary" else p
                rows = [
                    [*row, *(f"{v:.6g}" for v in line)]
                    for row, line in zip(rows, p.tolist(), strict=True)
                ]
            yield rows

    count = output.write_table(output_path, names, pieces())
    if output_path is not None:
        log.line(f"{count:,} predictions in {output_path}")


@app.command()
def evaluate(model: Model, table: Table, threads: Threads = None, as_json: Json = False) -> None:
    """Measure a model on a table that has the target."""
    loaded = output.load(model)
    scores, rows = output.evaluate(loaded, table)
    output.result(
        {"rows": rows, **scores}, as_json, lambda: output.scores(scores, f"{rows:,} rows")
    )


@app.command()
def inspect(model: Model, as_json: Json = False) -> None:
    """Show what is in a model file."""
    loaded = output.load(model)
    description: dict[str, Any] = {
        "fingerprint": loaded.network.fingerprint(),
        "arithmetic": 1,
        "layers": [repr(layer) for layer in loaded.network.layers],
        "parameters": loaded.network.parameter_count,
        **loaded.network.extra,
    }
    output.result(description, as_json, lambda: output.inspected(loaded, model))


@app.command()
def verify(model: Model, table: Table, threads: Threads = None, quiet: Quiet = False) -> None:
    """Train again from the same table and compare fingerprints."""
    loaded = output.load(model)
    record = loaded.network.extra["record"]
    log = output.Log(quiet=quiet)
    prepared = prepare(loaded.recipe, table)
    if prepared.digest != record["table_sha256"]:
        log.line("the table is not the one that the model was trained on (its SHA-256 differs)")
    recipe = loaded.recipe
    if record["stopped"] == "time_limit":
        raise onefold.OptionError(
            "the model's training was ended by its time limit, which cannot be repeated"
        )
    trained = follow(
        replace(recipe), prepared, threads=threads,
        callbacks=() if quiet else (output.progress(recipe.epochs),),
    )  # fmt: skip
    before, now = loaded.network.fingerprint(), trained.network.fingerprint()
    if before == now:
        print(f"equal: {now[:8]} ({now})")
        return
    print(f"different: the model has {before[:8]}, training again gave {now[:8]}")
    raise typer.Exit(1)


def _widths(text: str) -> tuple[int, ...]:
    parts = [part for part in text.split(",") if part.strip()]
    return tuple(_whole("--hidden", part) for part in parts)


def _whole(option: str, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise onefold.OptionError(f"{option} takes whole numbers from 1 up, not {text!r}")
    return value
