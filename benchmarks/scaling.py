"""Time of a sample as the batch, the width, the depth, the rows and the threads grow, as curves.

python benchmarks/scaling.py [--quick] [--threads 2]
"""

from __future__ import annotations

from common import PAGE, RESULTS, machine, parse_arguments, table, take_turns, where, write

if __name__ == "__main__":
    given = parse_arguments(__doc__)

import numpy as np
from peers import Onefold, initial_weights, make_data, multiplications

BASE = (64, 128, 128, 10)


def points(quick):
    """What grows: name, unit, [(value, widths, batch, rows, threads)]."""
    few = slice(None, None, 3) if quick else slice(None)
    batches = [1, 2, 4, 8, 16, 32, 64, 100, 128, 256, 512, 1024, 4096, 16_384, 65_536]
    widths = [
        8,
        16,
        24,
        32,
        33,
        48,
        64,
        96,
        127,
        128,
        129,
        192,
        255,
        256,
        257,
        384,
        512,
        513,
        768,
        1000,
        1024,
        1025,
        2048,
    ]
    yield (
        "batch",
        "rows of a batch",
        [(b, BASE, b, max(b, min(32_768, 2048 * b)), None) for b in batches[few]],
    )
    yield (
        "width",
        "neurons of both hidden layers",
        [
            (w, (64, w, w, 10), 256, max(1024, min(16_384, 4_000_000 // w)) // 256 * 256, None)
            for w in widths[few]
        ],
    )
    yield (
        "depth",
        "hidden layers of 128",
        [
            (d, (64, *[128] * d, 10), 256, 8192, None)
            for d in ([1, 4, 16] if quick else [1, 2, 3, 4, 6, 8, 12, 16, 24, 32])
        ],
    )
    yield (
        "rows",
        "rows of the data",
        [
            (r, BASE, 256, r, None)
            for r in ([1024, 65_536] if quick else [1024, 4096, 16_384, 65_536, 262_144, 1_048_576])
        ],
    )
    yield "threads", "threads", [(t, (64, 512, 512, 10), 1024, 8192, t) for t in (1, 2, 3, 4)]


def nanoseconds(widths, batch, rows, threads, rounds):
    x, y = make_data(widths, rows)
    side = Onefold(widths, batch, initial_weights(widths), threads)
    side.run(x, y)
    times = take_turns({"onefold": lambda: side.run(x, y)}, rounds, 0.01)["onefold"]
    return float(np.median(times)) / rows * 1e9


def draw(curves):
    """One panel for each curve: time of a sample, and what the arithmetic alone would give."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(13, 7.5), layout="constrained")
    for axis, (name, curve) in zip(axes.flat, curves.items(), strict=False):
        values = [point["value"] for point in curve["points"]]
        axis.plot(
            values,
            [point["ns"] for point in curve["points"]],
            marker="o",
            markersize=3.5,
            color="#1f5fa8",
            label="onefold",
        )
        best = min(point["ns"] / point["multiplications"] for point in curve["points"])
        axis.plot(
            values,
            [best * point["multiplications"] for point in curve["points"]],
            color="#999999",
            linestyle="--",
            linewidth=1,
            label="at the best rate of this curve",
        )
        axis.set(
            xlabel=curve["unit"],
            ylabel="nanoseconds a row",
            title=f"{name}",
            yscale="log",
            xscale="linear" if name == "threads" else "log",
        )
        axis.grid(alpha=0.25, which="both")
        axis.legend(frameon=False, fontsize=8)
    axes.flat[-1].set_visible(False)
    figure.suptitle("Training time of a row")
    figure.savefig(RESULTS / f"scaling{PAGE['suffix']}.svg")


def main(given):
    rounds = 3 if given.quick else 7
    curves, rows = {}, []
    for name, unit, cases in points(given.quick):
        found = []
        for value, widths, batch, count, threads in cases:
            ns = nanoseconds(widths, batch, count, threads or given.threads, rounds)
            found.append({"value": value, "ns": ns, "multiplications": multiplications(widths)})
            rows.append(
                [name, f"{value:,}", f"{ns:,.0f}", f"{2 * multiplications(widths) / ns:.1f}"]
            )
        curves[name] = {"unit": unit, "points": found}
        print(name, [(p["value"], round(p["ns"])) for p in found], flush=True)
    about = machine(given.threads, [])
    lines = [
        f"# Training time of a row, median of {rounds}",
        "",
        where(about),
        "Networks 64-128-128-10 with batches of 256 where nothing else is said; 64-512-512-10 with batches of 1024 for the threads.",
        "",
        f"![curves](scaling{PAGE['suffix']}.svg)",
        "",
        *table(["what grows", "to", "ns a row", "GFLOP/s"], rows),
    ]
    if not given.quick:
        draw(curves)
    write(
        "scaling-quick" if given.quick else "scaling", {"machine": about, "curves": curves}, lines
    )


if __name__ == "__main__":
    main(given)
