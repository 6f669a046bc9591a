"""Commands and their options."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

import onefold
from onefold import _files, _native
from onefold.cli import metrics, output
from onefold.cli import model as models
from onefold.cli.options import whole, with_recipe
from onefold.cli.preparation import prepare
from onefold.cli.recipe import Recipe
from onefold.cli.training import check, follow
from onefold.cli.writing import check_writable, write_table
from onefold.data.sources import without_passwords

app = typer.Typer(
    name="onefold",
    help="Neural networks from tables, trained to the same bits whatever the memory and threads.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Table = Annotated[
    str | None,
    typer.Argument(
        metavar="TABLE",
        help="CSV, TSV, Parquet, JSON lines, SQLite, IDX images; globs and URLs too. "
        "Left out where --sql names its own tables.",
    ),
]
Sql = Annotated[
    str | None,
    typer.Option("--sql", metavar="QUERY", help="Of this table, in place of the model's own."),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="File that `onefold train` wrote.")]
Json = Annotated[bool, typer.Option("--json", help="Results as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Nothing but results and errors.")]
Format = Annotated[
    str | None,
    typer.Option("--format", help="Of this table, where it differs from the training table's."),
]
Memory = Annotated[
    str | None, typer.Option(metavar="SIZE", help="Budget of the whole process, such as 512MB.")
]
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
@with_recipe
def train(
    recipe: Recipe,
    table: Table = None,
    output_path: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where the model goes.")
    ] = Path("model.onefold"),
    time_limit: Annotated[float | None, typer.Option(metavar="SECONDS")] = None,
    memory: Memory = None,
    micro_batch: Annotated[str, typer.Option(help="Rows at a time, or auto.")] = "auto",
    threads: Threads = None,
    checkpoint: Annotated[Path | None, typer.Option(help="File to be kept up to date.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network on a table and save it."""
    log = output.Log(quiet=quiet)
    check_writable(output_path)
    check(recipe)
    recipe = replace(recipe, from_query=table is None)
    with output.watching(quiet) as watch:
        prepared = prepare(recipe, recipe.table(table, memory), memory=memory, watch=watch)
    log.table(prepared)
    if recipe.sql is not None and without_passwords(recipe.sql) != recipe.sql:
        log.line("note: the query holds a password, and is kept in the model file")
    trained = follow(
        recipe,
        prepared,
        memory=memory,
        micro_batch=micro_batch if micro_batch == "auto" else whole("--micro-batch", micro_batch),
        threads=threads,
        time_limit=time_limit,
        checkpoint=checkpoint,
        resume=resume,
        callbacks=() if quiet else (output.progress(recipe.epochs),),
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
@with_recipe
def cv(
    recipe: Recipe,
    table: Table = None,
    folds: Annotated[int, typer.Option(help="Parts, each of which is the test set once.")] = 5,
    seeds: Annotated[int, typer.Option(help="Times that it is done, with seeds one apart.")] = 1,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Cross-validate: train on all parts of a table but one, and measure on that one."""
    if folds < 2:
        raise onefold.OptionError(f"--folds is a number from 2 up, not {folds}")
    if seeds < 1:
        raise onefold.OptionError(f"--seeds is a number from 1 up, not {seeds}")
    check(recipe)
    log = output.Log(quiet=quiet)
    recipe = replace(recipe, from_query=table is None)
    source = recipe.table(table)
    found: list[dict[str, Any]] = []
    with output.watching(quiet, "folds") as watch:
        for seed in range(recipe.seed, recipe.seed + seeds):
            for fold in range(folds):
                watch("cross-validating", len(found), folds * seeds)
                seeded = replace(recipe, seed=seed)
                trained = follow(seeded, prepare(seeded, source, (fold, folds)), threads=threads)
                fingerprint = trained.network.fingerprint()
                known = {"fold": fold, "seed": seed, "fingerprint": fingerprint}
                found.append({**known, **trained.scores})
                log.line(
                    f"fold {fold + 1}/{folds}, seed {seed}: {metrics.sentence(trained.scores)}, "
                    f"fingerprint {fingerprint[:8]}"
                )
    result = models.cross_validated(found)
    output.result(result, as_json, lambda: output.cross_validated(result))


@app.command()
def predict(
    model: Model,
    table: Table = None,
    output_path: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="CSV or .parquet; by default stdout."),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="A column for the probability of each class.")
    ] = False,
    table_format: Format = None,
    sql: Sql = None,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Predict the target of every row of a table, as CSV or Parquet."""
    loaded = models.load(model)
    if output_path is not None:
        check_writable(output_path)
    source = loaded.table(table, format=table_format, sql=sql)
    loaded.encoder.check(source.kinds)
    log = output.Log(quiet=quiet)
    log.unused(loaded, source.kinds)
    target = loaded.target
    chances = [f"p({name})" for name in target.classes] if probabilities else []
    numbers = chances if target.classes else [target.name]
    with output.watching(quiet or output_path is None) as watch:
        pieces = models.predictions(loaded, source, probabilities, threads)
        watched = output.counting(pieces, "predicting", watch)
        count = write_table(output_path, [target.name, *chances], watched, numbers)
    if output_path is not None:
        log.line(f"{count:,} predictions in {output_path}")


@app.command()
def evaluate(
    model: Model,
    table: Table = None,
    table_format: Format = None,
    sql: Sql = None,
    memory: Memory = None,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure a model on a table that has the target."""
    loaded = models.load(model)
    source = loaded.table(table, format=table_format, sql=sql, memory=memory)
    with output.watching(quiet) as watch:
        found = models.evaluate(loaded, source, threads, watch, memory)
    if source.digest() == loaded.record.table_sha256 is not None:
        output.Log(quiet=quiet).line(
            "note: this is the table that the model was trained on, so it has seen most of these rows; "
            "its figures on the others are in 'onefold inspect'"
        )
    output.result(found, as_json, lambda: output.evaluated(loaded, found))


@app.command()
def inspect(model: Model, as_json: Json = False) -> None:
    """Show what is in a model file."""
    loaded = models.load(model)
    description: dict[str, Any] = {
        "fingerprint": loaded.network.fingerprint(),
        "arithmetic": _files.ARITHMETIC,
        "layers": [repr(layer) for layer in loaded.network.layers],
        "parameters": loaded.network.parameter_count,
        **loaded.network.extra,
    }
    output.result(description, as_json, lambda: output.inspected(loaded, model))


@app.command()
def report(
    model: Model,
    table: Table = None,
    output_path: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where the page goes.")
    ] = Path("report.html"),
    sql: Sql = None,
    quiet: Quiet = False,
) -> None:
    """Write one HTML page about a model: its data, network, learning, figures and memory."""
    from onefold.cli.report import write_report

    loaded = models.load(model)
    check_writable(output_path)
    with output.watching(quiet) as watch:
        prepared = models.prepared(loaded, loaded.table(table, sql=sql), watch)
        write_report(output_path, model, table or "", loaded, prepared, watch)
    print(f"report {output_path}")


@app.command()
def verify(
    model: Model,
    table: Table = None,
    sql: Sql = None,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train again from the same table and compare fingerprints."""
    loaded = models.load(model)
    log = output.Log(quiet=quiet)
    if loaded.record.stopped == "time_limit":
        raise onefold.OptionError(
            "the model's training was ended by its time limit, which cannot be repeated"
        )
    recipe = loaded.recipe
    with output.watching(quiet) as watch:
        prepared = prepare(recipe, loaded.table(table, sql=sql), watch=watch)
    if not loaded.record.is_of(prepared):
        what = "its" if prepared.rows_digest is None else "its encoded rows'"
        log.line(f"the table is not the one that the model was trained on ({what} SHA-256 differs)")
    callbacks = () if quiet else (output.progress(recipe.epochs),)
    trained = follow(recipe, prepared, threads=threads, callbacks=callbacks)
    before, now = loaded.network.fingerprint(), trained.network.fingerprint()
    result = {"equal": before == now, "model": before, "again": now}
    output.result(result, as_json, lambda: output.verified(before, now))
    if before != now:
        raise typer.Exit(1)
