"""The page of a report: figures and words in one HTML file that opens without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onefold
from onefold import _files
from onefold._errors import OptionError
from onefold.cli import metrics
from onefold.cli.model import Loaded
from onefold.cli.output import ended
from onefold.cli.preparation import Prepared, Watch
from onefold.train.budget import format_size

_SHOWN = 40  # columns of a wide table, before the others are folded away


def write_report(
    path: Path, model: Path, table: str, loaded: Loaded, prepared: Prepared, watch: Watch
) -> None:
    """Write the report of a model on a table.

    Raises
    ------
    OptionError
        matplotlib or Jinja is not installed.
    """
    try:
        import jinja2
        from markupsafe import Markup

        from onefold.cli.report import figures
    except ModuleNotFoundError as error:
        raise OptionError(
            f"a report needs {error.name}; install it with: pip install 'onefold[report]'"
        ) from error
    from onefold.cli.report import findings as measured

    found = measured.find(loaded, prepared, watch)
    record, target = loaded.record, prepared.target
    drawings = {
        "network": figures.network(
            loaded.network, loaded.encoder.input_names(), target.classes or (target.name,)
        ),
        "curves": figures.learning_curves(record.curves, record.best_epoch),
        "line": figures.along_direction(found.line),
        "importance": figures.importance(found.importance),
        "target": figures.classes(target, found.truth, found),
    }
    if target.classes:
        drawings["calibration"] = figures.calibration(found.calibration)
        if found.confusion is not None and len(target.classes) <= 40:
            drawings["confusion"] = figures.confusion(found.confusion, target.classes)
    else:
        drawings["residuals"] = figures.residuals(found.truth, found.predicted)
        drawings["errors"] = figures.residual_histogram(found.truth, found.predicted)
    template = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    html = environment.from_string(template).render(
        model=model, table=table, loaded=loaded, network=loaded.network, record=record, target=target,
        notices=prepared.notices, same=record.is_of(prepared), found=found,
        scores=[(metrics.NAMES[name], metrics.shown(name, v)) for name, v in found.scores.items()],
        ended=ended(record.stopped, record.best_epoch),
        drawings={name: Markup(svg) for name, svg in drawings.items()},
        shown=_SHOWN, size=format_size, fingerprint=loaded.network.fingerprint(), options=_options(loaded),
        arithmetic=_files.ARITHMETIC, version=onefold.__version__,
    )  # fmt: skip
    _files.write_bytes(path, html.encode())


def _options(loaded: Loaded) -> str:
    """The options that repeat the training, where they are not the defaults."""
    recipe = loaded.recipe
    plain = type(recipe)(target=recipe.target)
    parts = ["--target", _quoted(recipe.target)]
    for name, value in vars(recipe).items():
        if name == "target" or value == getattr(plain, name):
            continue
        flag = "--" + name.replace("_", "-")
        if name == "header":
            parts.append("--no-header")
        elif name == "hidden":
            parts += [flag, ",".join(map(str, value))]
        elif isinstance(value, tuple):
            for each in value:
                parts += [flag, _quoted(each)]
        else:
            parts += [flag, _quoted(value if value is not None else 0)]
    return " ".join(parts)


def _quoted(value: Any) -> str:
    import shlex

    return shlex.quote(str(value))
