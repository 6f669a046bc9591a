"""The figures of a report, as SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from onefold.cli.report.findings import Findings, Importance
from onefold.data import Target
from onefold.network import Network

Array = NDArray[Any]
_BLUE, _ORANGE, _GREY = "#2563eb", "#d97706", "#6b7280"
_DRAWN = 16  # neurons of a layer
_COLUMNS = 20  # of the importance
_POINTS = 2000  # of the residuals


def _figure(width: float, height: float, draw: Callable[[Any], None]) -> str:
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
        for name, label, colour in (
            ("loss", "training", _BLUE), ("val_loss", "validation", _ORANGE),
        ):  # fmt: skip
            if name in curves:
                epochs = range(1, len(curves[name]) + 1)
                axes.plot(epochs, curves[name], label=label, color=colour)
        if best is not None:
            axes.axvline(best + 1, color=_GREY, linestyle=":", label=f"best, epoch {best + 1}")
        axes.set(xlabel="epoch", ylabel="loss")
        if min(curves["loss"]) > 0:
            axes.set_yscale("log")
        axes.legend(frameon=False)

    return _figure(6, 3.2, draw)


def along_direction(line: Sequence[tuple[float, float]]) -> str:
    """The loss along a direction through the weights."""

    def draw(axes: Any) -> None:
        steps, losses = zip(*line, strict=True)
        axes.plot(steps, losses, color=_BLUE)
        axes.plot([0], [losses[len(losses) // 2]], "o", color=_ORANGE, label="this network")
        axes.set(xlabel="step along a random direction, in norms of the weights", ylabel="loss")
        axes.legend(frameon=False)

    return _figure(6, 3.2, draw)


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
        axes.plot(predicted[::step], truth[::step], ".", color=_BLUE, alpha=0.4, markersize=4)
        low, high = float(truth.min()), float(truth.max())
        axes.plot([low, high], [low, high], color=_GREY, linestyle=":")
        axes.set(xlabel="predicted", ylabel="true")

    return _figure(5, 4, draw)


def residual_histogram(truth: Array, predicted: Array) -> str:
    """How large the errors are."""

    def draw(axes: Any) -> None:
        error = predicted - truth
        low, high = np.quantile(error, [0.005, 0.995])
        axes.hist(np.clip(error, low, high), bins=40, color=_BLUE)
        axes.axvline(0, color=_GREY, linestyle=":")
        axes.set(xlabel="predicted less true", ylabel="rows")

    return _figure(5, 3, draw)


def calibration(bins: Sequence[tuple[float, float, int]]) -> str:
    """How often the network is right, by how sure it is."""

    def draw(axes: Any) -> None:
        sure, hits, rows = zip(*bins, strict=True)
        axes.plot([0, 1], [0, 1], color=_GREY, linestyle=":")
        axes.plot(sure, hits, "-", color=_BLUE)
        axes.scatter(sure, hits, s=20 + 180 * np.array(rows) / max(rows), color=_BLUE, alpha=0.6)
        axes.set(xlabel="probability of the predicted class", ylabel="share that is right")
        axes.set(xlim=(0, 1.02), ylim=(0, 1.05))

    return _figure(5, 3.6, draw)


def importance(found: Sequence[Importance]) -> str:
    """Permutation importance of the columns."""
    shown = list(found[:_COLUMNS])[::-1]

    def draw(axes: Any) -> None:
        axes.barh(
            [_short(one.column) for one in shown],
            [one.mean for one in shown],
            xerr=[one.deviation for one in shown],
            color=_BLUE,
            ecolor=_GREY,
        )
        axes.set(xlabel="increase of the loss when the column's cells change rows")

    return _figure(6, 0.8 + 0.26 * len(shown), draw)


def classes(target: Target, truth: Array, findings: Findings) -> str:
    """How often each class, or which values, the rows have."""

    def draw(axes: Any) -> None:
        if target.classes:
            counts = np.bincount(truth, minlength=len(target.classes))
            most = np.argsort(-counts, kind="stable")[:30][::-1]
            axes.barh([_short(target.classes[i]) for i in most], counts[most], color=_BLUE)
            axes.set(xlabel=f"rows ({findings.part})")
        else:
            low, high = np.quantile(truth, [0.005, 0.995])
            axes.hist(np.clip(truth, low, high), bins=40, color=_BLUE)
            axes.set(xlabel=target.name, ylabel=f"rows ({findings.part})")

    return _figure(
        6, 2.6 if not target.classes else 0.8 + 0.26 * min(30, len(target.classes)), draw
    )


def network(net: Network, names: Sequence[str], outputs: Sequence[str]) -> str:
    """Layers, neurons and synapses; synapses coloured by their weights.

    Of a wide layer the neurons with the largest weights are drawn, in their own order.
    """
    weights = [net.parameters[name] for name in net.parameters if net.parameters[name].ndim == 2]
    widths = [weights[0].shape[0], *(w.shape[1] for w in weights)]
    chosen = [_largest(np.linalg.norm(weights[0], axis=1))]
    chosen += [_largest(np.linalg.norm(w, axis=0)) for w in weights]

    def draw(axes: Any) -> None:
        heights = [np.linspace(0.5, -0.5, len(c) + 2)[1:-1] if len(c) < _DRAWN
                   else np.linspace(0.5, -0.5, len(c)) for c in chosen]  # fmt: skip
        for place, weight in enumerate(weights):
            part = weight[np.ix_(chosen[place], chosen[place + 1])]
            largest = max(float(np.abs(part).max()), 1e-12)
            ends = [
                ((place, a), (place + 1, b)) for a in heights[place] for b in heights[place + 1]
            ]
            strength = part.ravel() / largest
            order = np.argsort(np.abs(strength), kind="stable")  # strong ones on top
            colours = [(*mpl.colors.to_rgb(_BLUE if s > 0 else _ORANGE), min(1.0, abs(s)))
                       for s in strength[order].tolist()]  # fmt: skip
            axes.add_collection(
                LineCollection([ends[i] for i in order], colors=colours, linewidths=0.8)
            )
        for place, (rows, width) in enumerate(zip(heights, widths, strict=True)):
            axes.plot([place] * len(rows), rows, "o", color="#1f2937", markersize=5, zorder=3)
            more = "" if len(rows) == width else f"\n({len(rows)} shown)"
            name = "inputs" if place == 0 else "outputs" if place == len(weights) else "hidden"
            axes.text(place, -0.56, f"{width:,} {name}{more}", ha="center", va="top")
        for layer, x, side, texts in (
            (0, -0.04, "right", names), (len(weights), len(weights) + 0.04, "left", outputs),
        ):  # fmt: skip
            for i, height in zip(chosen[layer], heights[layer], strict=True):
                if i < len(texts):
                    axes.text(x, height, _short(texts[i]), ha=side, va="center", fontsize=7)
        axes.set(xlim=(-0.6, len(weights) + 0.6), ylim=(-0.7, 0.55))
        axes.axis("off")

    return _figure(3 + 1.7 * len(weights), 4.6, draw)


def _largest(norms: Array) -> Array:
    return np.sort(np.argsort(-norms, kind="stable")[:_DRAWN])


def _short(text: str) -> str:
    return text if len(text) <= 28 else text[:27] + "…"
