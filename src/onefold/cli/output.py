"""What the command shows: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onefold import _files, data
from onefold.cli.model import Loaded
from onefold.cli.preparation import Prepared, Watch
from onefold.cli.training import Trained
from onefold.train.budget import format_size
from onefold.train.callbacks import Progress

_SHOWN = 40  # columns of a wide table
_SHOWN_CLASSES = 12  # of a confusion matrix


class Log:
    """Notices on stderr."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet

    def line(self, text: str) -> None:
        """One notice."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def table(self, prepared: Prepared) -> None:
        """What was found in a table."""
        if self.quiet:
            return
        from rich.console import Console
        from rich.table import Table

        view = Table(box=None, pad_edge=False)
        for name in ("column", "kind", "inputs", "note"):
            view.add_column(name, justify="right" if name == "inputs" else "left")
        for encoded in prepared.encoder.columns[:_SHOWN]:
            view.add_row(encoded.name, encoded.word, str(encoded.width), encoded.note())
        more = len(prepared.encoder.columns) - _SHOWN
        if more > 0:
            view.add_row(f"... and {more} more", "", "", "")
        target = prepared.target
        view.add_row(target.name, target.task, "", "target" + _classes(target))
        Console(stderr=True, highlight=False).print(view)
        counts = ", ".join(f"{len(y):,} {name}" for name, (_, y) in prepared.parts.items())
        self.line(f"rows: {counts}")
        for notice in prepared.notices:
            self.line(f"note: {notice}")

    def unused(self, loaded: Loaded, columns: Iterable[str]) -> None:
        """Columns that the model does not know."""
        known = {c.name for c in loaded.encoder.columns} | set(loaded.encoder.dropped)
        new = [name for name in columns if name not in known and name != loaded.target.name]
        if new:
            self.line(f"note: not used: {', '.join(new)}")


def _classes(target: data.Target) -> str:
    if not target.classes:
        return f", mean {target.mean:.4g}, deviation {target.scale:.4g}"
    shown = ", ".join(target.classes[:6]) + (", ..." if len(target.classes) > 6 else "")
    return f": {shown}"


@contextmanager
def watching(quiet: bool) -> Iterator[Watch]:
    """Bars for the stages of long work on a terminal; elsewhere nothing.

    Yields a function that hears of a stage, the rows that are done and how many there are (0: unknown).
    """
    if quiet or not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]}"))
    bars = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
    stages: dict[str, Any] = {}
    with bars:

        def hear(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = bars.add_task(stage, total=total or None, rows="")
            bars.update(stages[stage], completed=done, rows=f"{done:,} rows")

        yield hear


def counting(pieces: Iterable[list[Any]], stage: str, watch: Watch) -> Iterator[list[Any]]:
    """The pieces as they are, with their rows told to `watch`."""
    done = 0
    for piece in pieces:
        yield piece
        done += len(piece)
        watch(stage, done, 0)


def progress(epochs: int) -> Progress:
    """A bar on a terminal, else nothing but the last epoch."""
    return _Lines(epochs)


class _Lines(Progress):
    """A bar on a terminal; elsewhere a line for about every tenth epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """See `Callback.on_epoch_end`."""
        if self.bar or epoch % max(1, self.epochs // 10) == 0:
            super().on_epoch_end(epoch, logs)


def result(values: dict[str, Any], as_json: bool, show: Callable[[], None]) -> None:
    """Results on stdout, as JSON or for people."""
    if as_json:
        print(json.dumps(values, indent=2))
    else:
        show()


def scores(values: dict[str, float], what: str) -> None:
    """Figures of a model."""
    names = {"accuracy": "accuracy", "cross_entropy": "cross-entropy", "rmse": "RMSE"}
    names |= {"mae": "mean absolute error", "r2": "R²", "roc_auc": "area under the ROC curve"}
    names |= {"balanced_accuracy": "balanced accuracy", "f1_macro": "F1 (macro)"}
    names |= {"median_absolute_error": "median absolute error"}
    names |= {"explained_variance": "explained variance"}
    text = ", ".join(
        f"{names[k]} {v:.1%}" if "accuracy" in k else f"{names[k]} {v:.4g}"
        for k, v in values.items()
    )
    print(f"{what}: {text}")


def trained(result: Trained, path: Path) -> None:
    """What `onefold train` ends with."""
    history, fingerprint = result.history, result.network.fingerprint()
    best = "" if history.best_epoch is None else f", best after epoch {history.best_epoch + 1}"
    print(
        f"trained {history.epochs} epochs, {history.updates:,} updates in {history.seconds:.2f} s "
        f"(stopped by {history.stopped}{best})"
    )
    if result.scores:
        scores(result.scores, "test")
    print(f"fingerprint {fingerprint[:8]} ({fingerprint})")
    print(f"model {path}")


def inspected(loaded: Loaded, path: Path) -> None:
    """What is in a model file."""
    network, record = loaded.network, loaded.network.extra["record"]
    synapses = neurons = 0
    for name in network.weight_names:
        shape = network.parameters[name].shape
        synapses += shape[0] * shape[1]
        neurons += shape[1]
    print(network.summary())
    print(f"{network.inputs} inputs, {neurons:,} neurons, {synapses:,} synapses")
    plan = network.plan(batch_size=loaded.recipe.batch_size, optimizer=loaded.recipe.optimizer)
    print(
        f"training takes {format_size(plan.total)} besides the data; file {format_size(path.stat().st_size)}"
    )
    print(f"target {loaded.target.name} ({loaded.target.task}){_classes(loaded.target)}")
    for encoded in loaded.encoder.columns:
        print(f"  {encoded.name}: {encoded.word}, {encoded.note()}")
    for name, why in loaded.encoder.dropped.items():
        print(f"  {name}: left out, {why}")
    rows = ", ".join(f"{count:,} {name}" for name, count in record["rows"].items())
    print(f"trained on {rows} rows; {record['epochs']} epochs, stopped by {record['stopped']}")
    if record["test"]:
        scores(record["test"], "test")
    if record["table_sha256"]:
        print(f"table SHA-256 {record['table_sha256']}")
    print(
        f"fingerprint {network.fingerprint()[:8]} ({network.fingerprint()}), arithmetic {_files.ARITHMETIC}"
    )


def evaluated(loaded: Loaded, found: dict[str, Any]) -> None:
    """What `onefold evaluate` shows: figures, and for classes the confusion matrix."""
    figures = {k: v for k, v in found.items() if k not in ("rows", "confusion")}
    scores(figures, f"{found['rows']:,} rows")
    if "confusion" not in found:
        return
    classes = loaded.target.classes
    shown = len(classes) <= _SHOWN_CLASSES
    if not shown:
        print(f"{len(classes)} classes: the confusion matrix is in --json")
        return
    cells = [["true \\ predicted", *classes]]
    cells += [
        [name, *(f"{n:,}" for n in row)]
        for name, row in zip(classes, found["confusion"], strict=True)
    ]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    for row in cells:
        first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join([row[0].ljust(len(first)), *rest]))
