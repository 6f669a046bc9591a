"""Drawings of networks and losses on matplotlib's axes, for the displays and for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

Array = NDArray[Any]
BLUE, ORANGE, GREY, INK = "#2563eb", "#d97706", "#6b7280", "#1f2937"


def loss_curves(axes: Any, curves: Mapping[str, Sequence[float]], best: int | None) -> list[Any]:
    """Training and validation loss by epoch, with the best epoch (from 0) marked.

    Returns
    -------
    list of matplotlib lines
    """
    lines = []
    for name, label, colour in (("loss", "training", BLUE), ("val_loss", "validation", ORANGE)):
        if name in curves:
            epochs = range(1, len(curves[name]) + 1)
            lines += axes.plot(epochs, curves[name], label=label, color=colour)
    if best is not None:
        axes.axvline(best + 1, color=GREY, linestyle=":", label=f"best, epoch {best + 1}")
    axes.set(xlabel="epoch", ylabel="loss")
    if min(curves["loss"]) > 0:
        axes.set_yscale("log")
    axes.legend(frameon=False)
    return lines


def score_curve(axes: Any, scores: Sequence[float]) -> Any:
    """A score on validation rows by epoch, on an axis of its own at the right.

    Returns
    -------
    matplotlib line
    """
    right = axes.twinx()
    right.spines["top"].set_visible(False)
    epochs = range(1, len(scores) + 1)
    (line,) = right.plot(epochs, scores, color=GREY, label="validation score (right)")
    right.set_ylabel("validation score")
    handles = [*axes.get_legend().legend_handles, line]  # above both axes, where no line is
    above = {"loc": "lower left", "bbox_to_anchor": (0, 1)}
    axes.legend(handles=handles, frameon=False, ncols=2, **above)
    return line


def direction(axes: Any, line: Sequence[tuple[float, float]]) -> Any:
    """The loss along a direction through the weights.

    Returns
    -------
    matplotlib line
    """
    steps, losses = zip(*line, strict=True)
    (drawn,) = axes.plot(steps, losses, color=BLUE)
    middle = int(np.argmin(np.abs(steps)))
    axes.plot([steps[middle]], [losses[middle]], "o", color=ORANGE, label="this network")
    axes.set(xlabel="step along a random direction, in norms of the weights", ylabel="loss")
    axes.legend(frameon=False)
    return drawn


def network(
    axes: Any,
    weights: Sequence[Array],
    names: Sequence[str] = (),
    outputs: Sequence[str] = (),
    neurons: int = 16,
) -> list[LineCollection]:
    """Layers, neurons and synapses; synapses coloured by their weights.

    Of a wide layer the neurons with the largest weights are drawn, in their own order.

    Parameters
    ----------
    axes : matplotlib axes
    weights : sequence of arrays, shape (inputs, units)
        Of every layer.
    names, outputs : sequence of str
        Of the first neurons and of the last.
    neurons : int
        That are drawn of a layer at most.

    Returns
    -------
    list of matplotlib line collections
        The synapses between each two layers.
    """
    widths = [weights[0].shape[0], *(w.shape[1] for w in weights)]
    chosen = [_largest(np.linalg.norm(weights[0], axis=1), neurons)]
    chosen += [_largest(np.linalg.norm(w, axis=0), neurons) for w in weights]
    heights = [
        np.linspace(0.5, -0.5, len(c) + 2)[1:-1]
        if len(c) < neurons
        else np.linspace(0.5, -0.5, len(c))
        for c in chosen
    ]
    synapses = [
        _synapses(axes, weight[np.ix_(chosen[i], chosen[i + 1])], i, heights[i], heights[i + 1])
        for i, weight in enumerate(weights)
    ]
    for place, (rows, width) in enumerate(zip(heights, widths, strict=True)):
        axes.plot([place] * len(rows), rows, "o", color=INK, markersize=5, zorder=3)
        more = "" if len(rows) == width else f"\n({len(rows)} shown)"
        name = "inputs" if place == 0 else "outputs" if place == len(weights) else "hidden"
        axes.text(place, -0.56, f"{width:,} {name}{more}", ha="center", va="top")
    last = len(weights)
    for layer, x, side, texts in ((0, -0.04, "right", names), (last, last + 0.04, "left", outputs)):
        for i, height in zip(chosen[layer], heights[layer], strict=True):
            if i < len(texts):
                axes.text(x, height, short(texts[i]), ha=side, va="center", fontsize=7)
    axes.set(xlim=(-0.6, last + 0.6), ylim=(-0.7, 0.55))
    axes.axis("off")
    return synapses


def _synapses(axes: Any, part: Array, place: int, left: Array, right: Array) -> LineCollection:
    """Between the neurons at two sides: blue is positive, orange negative, faint is weak."""
    ends = [((place, a), (place + 1, b)) for a in left for b in right]
    strength = part.ravel() / max(float(np.abs(part).max()), 1e-12)
    order = np.argsort(np.abs(strength), kind="stable")  # strong ones on top
    colours = [
        (*mpl.colors.to_rgb(BLUE if s > 0 else ORANGE), min(1.0, abs(s)))
        for s in strength[order].tolist()
    ]
    lines = LineCollection([ends[i] for i in order], colors=colours, linewidths=0.8)
    axes.add_collection(lines)
    return lines


def _largest(norms: Array, count: int) -> Array:
    return np.sort(np.argsort(-norms, kind="stable")[:count])


def short(text: str) -> str:
    """A name that fits beside a drawing."""
    return text if len(text) <= 28 else text[:27] + "…"
