"""The figures of a report, as SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from onefold.cli.report.findings import Findings, Importance
from onefold.data import Target
from onefold.estimators import drawing
from onefold.estimators.drawing import BLUE, GREY, short
from onefold.network import Network
from onefold.nn.layers import Embedding

Array = NDArray[Any]
_COLUMNS = 20  # of the importance
_POINTS = 2000  # of the residuals


def _figure(width: float, height: float, draw: Callable[[Any], object]) -> str:
    """What `draw` draws on an axes, as SVG without a head, the same for the same numbers."""
    with mpl.rc_context({"svg.hashsalt": "onefold", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        draw(axes)
        out = io.StringIO()
        figure.savefig(
            out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True
        )
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    return re.sub(r' (?:width|height)="[^"]*pt"', "", svg, count=2)  # the page gives the width


def learning_curves(curves: Mapping[str, Sequence[float]], best: int | None) -> str:
    """Training and validation loss by epoch."""

    def draw(axes: Any) -> None:
        drawing.loss_curves(axes, curves, best)
        for plain in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            plain(lambda value, _: f"{value:.3g}")  # no powers of ten

    return _figure(5, 3.2, draw)


def along_direction(line: Sequence[tuple[float, float]]) -> str:
    """The loss along a direction through the weights."""
    return _figure(5, 3.2, lambda axes: drawing.direction(axes, line))


def confusion(matrix: list[list[int]], classes: Sequence[str]) -> str:
    """The confusion matrix, coloured by the share of the true class."""
    counts = np.array(matrix)

    def draw(axes: Any) -> None:
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        places = range(len(classes))
        axes.set_xticks(places, classes, rotation=45, ha="right")
        axes.set_yticks(places, classes)
        axes.set(xlabel="predicted", ylabel="true")
        if len(classes) <= 12:
            for i in places:
                for j in places:
                    colour = "white" if share[i, j] > 0.5 else "black"
                    axes.text(j, i, f"{counts[i, j]:,}", ha="center", va="center", color=colour)

    side = min(8.0, 2.4 + 0.45 * len(classes))
    return _figure(side, side * 0.9, draw)


def residuals(truth: Array, predicted: Array) -> str:
    """True values against predictions."""
    step = -(-len(truth) // _POINTS)

    def draw(axes: Any) -> None:
        axes.plot(predicted[::step], truth[::step], ".", color=BLUE, alpha=0.4, markersize=4)
        low, high = float(truth.min()), float(truth.max())
        axes.plot([low, high], [low, high], color=GREY, linestyle=":")
        axes.set(xlabel="predicted", ylabel="true")

    return _figure(5, 4, draw)


def residual_histogram(truth: Array, predicted: Array) -> str:
    """How large the errors are."""

    def draw(axes: Any) -> None:
        error = predicted - truth
        low, high = np.quantile(error, [0.005, 0.995])
        axes.hist(np.clip(error, low, high), bins=40, color=BLUE)
        axes.axvline(0, color=GREY, linestyle=":")
        axes.locator_params(axis="x", nbins=5)
        axes.set(xlabel="predicted less true", ylabel="rows")

    return _figure(5, 3, draw)


def calibration(bins: Sequence[tuple[float, float, int]]) -> str:
    """How often the network is right, by how sure it is."""

    def draw(axes: Any) -> None:
        sure, hits, rows = zip(*bins, strict=True)
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":")
        axes.plot(sure, hits, "-", color=BLUE)
        axes.scatter(sure, hits, s=20 + 180 * np.array(rows) / max(rows), color=BLUE, alpha=0.6)
        axes.set(xlabel="probability of the predicted class", ylabel="share that is right")
        axes.set(xlim=(0, 1.02), ylim=(0, 1.05))

    return _figure(5, 3.6, draw)


def importance(found: Sequence[Importance]) -> str:
    """Permutation importance of the columns."""
    shown = list(found[:_COLUMNS])[::-1]

    def draw(axes: Any) -> None:
        axes.barh(
            [short(one.column) for one in shown],
            [one.mean for one in shown],
            xerr=[one.deviation for one in shown],
            color=BLUE,
            ecolor=GREY,
        )
        axes.set(xlabel="increase of the loss when the column's cells change rows")

    return _figure(5.4, 0.8 + 0.26 * len(shown), draw)


def classes(target: Target, truth: Array, findings: Findings) -> str:
    """How often each class, or which values, the rows have."""

    def draw(axes: Any) -> None:
        if target.classes:
            counts = np.bincount(truth, minlength=len(target.classes))
            most = np.argsort(-counts, kind="stable")[:30][::-1]
            axes.barh([short(target.classes[i]) for i in most], counts[most], color=BLUE)
            axes.set(xlabel=f"rows ({findings.part})")
        else:
            low, high = np.quantile(truth, [0.005, 0.995])
            axes.hist(np.clip(truth, low, high), bins=40, color=BLUE)
            axes.set(xlabel=target.name, ylabel=f"rows ({findings.part})")

    return _figure(
        5.4, 2.6 if not target.classes else 0.8 + 0.26 * min(30, len(target.classes)), draw
    )


def network(net: Network, names: Sequence[str], outputs: Sequence[str]) -> str:
    """Layers, neurons and synapses; see `drawing.network`.

    Of embedded columns the numbers of their vectors are the first neurons.
    """
    weights = [net.parameters[name] for name in net.weight_names]
    names = _embedded(net, list(names))
    return _figure(
        3 + 1.7 * len(weights), 4.6, lambda axes: drawing.network(axes, weights, names, outputs)
    )


def _embedded(net: Network, names: list[str]) -> list[str]:
    """Names of what the first dense layer hears: the inputs, or numbers of their vectors."""
    for layer in net.layers:
        if isinstance(layer, Embedding):
            kept = [names[i] for i in layer.passed(len(names)) if i is not None]
            vectors = [(names[c], size) for c, size in layer.sizes.items()]
            names = kept + [f"{name} [{i + 1}]" for name, size in vectors for i in range(size)]
    return names
