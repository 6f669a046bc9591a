"""The page of a report: figures and words in one HTML file that opens without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onefold
from onefold import _files
from onefold._errors import OptionError
from onefold.cli.model import Loaded
from onefold.cli.preparation import Prepared, Watch
from onefold.train.budget import format_size

_WORDS = {
    "accuracy": "accuracy", "cross_entropy": "cross-entropy", "balanced_accuracy": "balanced accuracy",
    "f1_macro": "F1, mean over classes", "roc_auc": "area under the ROC curve",
    "rmse": "root mean squared error", "mae": "mean absolute error", "r2": "R²",
    "median_absolute_error": "median absolute error", "explained_variance": "explained variance",
}  # fmt: skip


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
    record, target = loaded.network.extra["record"], prepared.target
    drawings = {
        "network": figures.network(
            loaded.network, loaded.encoder.input_names(), target.classes or (target.name,)
        ),
        "curves": figures.learning_curves(record["curves"], record["best_epoch"]),
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
        notices=prepared.notices, same=prepared.digest == record["table_sha256"], found=found,
        scores=[(_WORDS.get(name, name), _figure(name, v)) for name, v in found.scores.items()],
        drawings={name: Markup(svg) for name, svg in drawings.items()},
        size=format_size, fingerprint=loaded.network.fingerprint(), options=_options(loaded),
        arithmetic=_files.ARITHMETIC, version=onefold.__version__,
    )  # fmt: skip
    _files.write_bytes(path, html.encode())


def _figure(name: str, value: float) -> str:
    if "accuracy" in name:
        return f"{value:.1%}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


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
