"""What the command shows: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onefold import _files, data
from onefold.cli import metrics
from onefold.cli.model import Loaded
from onefold.cli.preparation import Prepared, Watch
from onefold.cli.training import Trained
from onefold.data.columns import readable
from onefold.train.budget import format_size
from onefold.train.callbacks import Progress

_UNWRAPPED = 10_000  # characters
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
        # Off a terminal no line is wrapped, nor filled with blanks.
        wide = None if sys.stderr.isatty() else _UNWRAPPED
        text = Console(highlight=False, width=wide, stderr=True)
        with text.capture() as lines:
            text.print(view)
        self.line("\n".join(line.rstrip() for line in lines.get().splitlines()))
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
        return f", mean {readable(target.mean)}, deviation {readable(target.scale)}"
    shown = ", ".join(target.classes[:6]) + (", ..." if len(target.classes) > 6 else "")
    return f": {shown}"


@contextmanager
def watching(quiet: bool, unit: str = "rows") -> Iterator[Watch]:
    """Bars for the stages of long work on a terminal; elsewhere nothing.

    Yields a function that hears of a stage, the rows (or another unit) that are done and how many there
    are (0: unknown).
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
            bars.update(stages[stage], completed=done, rows=f"{done:,} {unit}")

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
    """A bar on a terminal; elsewhere a line for the first epoch, the last, and about every tenth part."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """See `Callback.on_epoch_end`."""
        done = epoch + 1
        if self.bar or epoch == 0 or done % max(1, self.epochs // 10) == 0 or done == self.epochs:
            super().on_epoch_end(epoch, logs)


def result(values: dict[str, Any], as_json: bool, show: Callable[[], None]) -> None:
    """Results on stdout, as JSON or for people."""
    if as_json:
        print(json.dumps(values, indent=2))
    else:
        show()


_ENDED = {
    "epochs": "all epochs are done",
    "patience": "the patience is over",
    "stop_below": "the training loss is low enough",
    "time_limit": "the time is over",
}


def ended(stopped: str, best: int | None) -> str:
    """Why a training ended, and which parameters it left; `best` counts from 0."""
    kept = "" if best is None else f", kept epoch {best + 1}, the best"
    return _ENDED.get(stopped, stopped) + kept


def trained(result: Trained, path: Path) -> None:
    """What `onefold train` ends with."""
    history, fingerprint = result.history, result.network.fingerprint()
    print(
        f"trained {history.epochs} epochs, {history.updates:,} updates in {history.seconds:.2f} s; "
        + ended(history.stopped, history.best_epoch)
    )
    if result.scores:
        print(f"test: {metrics.sentence(result.scores)}")
    print(f"fingerprint {fingerprint[:8]} ({fingerprint})")
    print(f"model {path}")


def inspected(loaded: Loaded, path: Path) -> None:
    """What is in a model file."""
    network, record = loaded.network, loaded.record
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
    lines = [f"{c.name}: {c.word}, {c.note()}" for c in loaded.encoder.columns]
    lines += [f"{name}: left out, {why}" for name, why in loaded.encoder.dropped.items()]
    more = len(lines) - _SHOWN
    for line in lines[:_SHOWN] + ([f"... and {more} more, in --json"] if more > 0 else []):
        print(f"  {line}")
    print(f"rows: {', '.join(f'{count:,} {name}' for name, count in record.rows.items())}")
    print(f"{record.epochs} epochs; {ended(record.stopped, record.best_epoch)}")
    if record.test:
        print(f"test: {metrics.sentence(record.test)}")
    if record.table_sha256:
        print(f"table SHA-256 {record.table_sha256}")
    if record.rows_sha256:
        print(f"encoded rows SHA-256 {record.rows_sha256}")
    print(
        f"fingerprint {network.fingerprint()[:8]} ({network.fingerprint()}), arithmetic {_files.ARITHMETIC}"
    )


def evaluated(loaded: Loaded, found: dict[str, Any]) -> None:
    """What `onefold evaluate` shows: figures, and for classes the confusion matrix."""
    figures = {k: v for k, v in found.items() if k not in ("rows", "confusion")}
    print(f"{found['rows']:,} rows: {metrics.sentence(figures)}")
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


def cross_validated(result: dict[str, Any]) -> None:
    """What `onefold cv` ends with."""
    for name, mean in result["mean"].items():
        deviation = result["deviation"][name]
        spread = f"{deviation:.1%}" if "accuracy" in name else f"{deviation:.2g}"
        print(f"{metrics.NAMES[name]}: {metrics.shown(name, mean)} ± {spread}")


def verified(before: str, now: str) -> None:
    """What `onefold verify` ends with: the fingerprint of the model, and that of training again."""
    if before == now:
        print(f"equal: {now[:8]} ({now})")
    else:
        print(f"different: the model has {before[:8]}, training again gave {now[:8]}")
