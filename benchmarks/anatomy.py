"""Where an update's time goes, for the four networks: kernels, and waiting or bookkeeping.

The matrix products are held against the fused-multiply-add peak of the same cores, measured right before
and right after every profile, and against the peak at the clock that they leave behind.

python benchmarks/anatomy.py [--quick] [--threads 2]
"""

from __future__ import annotations

import time

from common import (
    fma_peak,
    machine,
    parse_arguments,
    summary,
    table,
    where,
    with_peak_after,
    write,
)

if __name__ == "__main__":
    given = parse_arguments(__doc__)

import numpy as np
from peers import Onefold, initial_weights, make_data, products
from training import MAIN

from onefold import losses
from onefold.train.session import Session


class Training:
    """One network's updates, over and over, with the profiling off or on."""

    def __init__(self, widths, batch, updates, threads):
        self.batch, self.updates = batch, updates
        x, y = make_data(widths, batch * updates)
        self.x, self.y = x, y[:, None]
        side = Onefold(widths, batch, initial_weights(widths), threads)
        net = side.net
        self.session = Session(
            net._architecture, net._state, losses.get("cross_entropy"), labels=True, weighted=False,
            batch_size=batch, threads=threads, optimizer=side.optimizer,
            optimizer_state=net._optimizer_state(side.optimizer),
        )  # fmt: skip
        self.scalars = self.session.scalars(updates, updates, updates)

    def seconds(self):
        """Seconds of one update."""
        start = time.perf_counter()
        self.session.executor.train(
            self.x, self.y, None, None, batch_size=self.batch, first_batch=0, first_update=0,
            scalars=self.scalars, seconds=0.0, loss=0.0, weight=0.0,
        )  # fmt: skip
        return (time.perf_counter() - start) / self.updates

    def profile(self):
        """Seconds of one update, and of its kernels, summed over threads."""
        self.session.executor.set_profiling(True)
        wall = self.seconds()
        kernels = dict.fromkeys(products((1, 1)), 0.0)
        for name, total in self.session.executor.profile():
            name = name.removesuffix("_relu")  # a product that ends with one is a product
            kernels[name] = kernels.get(name, 0.0) + total / self.updates
        self.session.executor.set_profiling(False)
        return wall, kernels


def measure(widths, batch, updates, threads, rounds):
    """Rounds of: an update, the peak, an update with the profiling on, the peak."""
    training = Training(widths, batch, updates, threads)
    training.seconds()
    tries = [training.profile() for _ in range(3)]
    busy = max(sum(kernels.values()) / wall for wall, kernels in tries)
    took_part = 1 if busy < 1.05 else threads
    fma_peak(took_part)
    plain, walls, profiles, peaks, at_their_clock = [], [], [], [], []
    for _ in range(rounds):
        plain.append(training.seconds())
        before = np.mean(fma_peak(took_part))
        (wall, kernels), after = with_peak_after(training.profile, took_part)
        at_their_clock.append(float(np.mean(after)))
        peaks.append((before, np.mean(fma_peak(took_part))))
        walls.append(wall)
        profiles.append(kernels)
    of_wall = {
        name: float(
            np.median(
                [k.get(name, 0.0) / (w * took_part) for k, w in zip(profiles, walls, strict=True)]
            )
        )
        for name in {name for kernels in profiles for name in kernels}
    }
    others = [1 - sum(k.values()) / (w * took_part) for k, w in zip(profiles, walls, strict=True)]
    return {
        "network": "-".join(map(str, widths)),
        "batch": batch,
        "threads": took_part,
        "rounds": rounds,
        "update_us": summary([seconds * 1e6 for seconds in plain]),
        "profiled_us": summary([seconds * 1e6 for seconds in walls]),
        "shares": dict(sorted(of_wall.items(), key=lambda item: -item[1])),
        "other": summary(others),
        "peak_gflops_per_core": summary([float(peak) for pair in peaks for peak in pair]),
        "peak_after_gflops_per_core": summary(at_their_clock),
        "products": speeds(widths, batch, profiles, peaks, at_their_clock),
    }


def speeds(widths, batch, profiles, peaks, at_their_clock):
    """The products' GFLOP/s per core, and their shares of each round's peaks: together and each."""
    counts = products(widths)
    sets = {"together": list(counts), **{name: [name] for name in counts}}
    found = {}
    for title, names in sets.items():
        multiplications = batch * sum(counts[name] for name in names)
        gflops = [2 * multiplications / sum(k[n] for n in names) / 1e9 for k in profiles]
        found[title] = {
            "multiplications": multiplications,
            "gflops_per_core": summary(gflops),
            "share_of_peak": summary(
                [g / float(np.mean(pair)) for g, pair in zip(gflops, peaks, strict=True)]
            ),
            "share_of_peak_after": summary(
                [g / peak for g, peak in zip(gflops, at_their_clock, strict=True)]
            ),
        }
    return found


def spread(values, form, factor=1):
    """Median (low–high)."""
    median, low, high = (format(values[key] * factor, form) for key in ("median", "low", "high"))
    return f"{median} ({low}–{high})"


def page(cases, about, rounds):
    times, rows = [], []
    for case in cases:
        name = f"{case['network']}, {case['batch']}"
        shares = case["shares"].items()
        times.append(
            [
                name,
                spread(case["update_us"], ",.1f"),
                spread(case["profiled_us"], ",.1f"),
                case["threads"],
                f"{1 - case['other']['median']:.1%}",
                f"{case['other']['median']:.1%}",
                ", ".join(f"{kernel} {share:.1%}" for kernel, share in shares if share >= 0.01),
            ]
        )
        together = case["products"]["together"]
        rows.append([name, case["threads"], spread(case["peak_gflops_per_core"], ".0f")])
        for found in case["products"].values():
            speed = spread(found["gflops_per_core"], ".0f")
            rows[-1].append(f"{speed}; {spread(found['share_of_peak'], '.0f', 100)} %")
        rows[-1].append(
            f"{spread(case['peak_after_gflops_per_core'], '.0f')}; "
            f"{spread(together['share_of_peak_after'], '.0f', 100)} %"
        )
    return [
        "# Where an update's time goes",
        "",
        where(about),
        f"Medians of {rounds} rounds (low–high). A round is an update without profiling, the peak, an update with "
        "profiling, and the peak again; an update's time is the mean of those of one call.",
        "",
        "Shares are of the time of the threads that took part, with the profiling on; its own cost, two readings of "
        "the clock around every kernel, counts as waiting.",
        "",
        *table(
            [
                "network, batch",
                "update, µs",
                "with profiling, µs",
                "threads",
                "in kernels",
                "waiting and bookkeeping",
                "kernels",
            ],
            times,
        ),
        "",
        "## The matrix products against the peak",
        "",
        "The peak is that of fused multiply-adds in registers (`peak.cpp`), a core's, with as many cores busy at once "
        "as threads took part. A product's speed is twice its multiplications by its seconds summed over threads, so "
        "it is a core's too; its share is of the mean of the two peaks of its round. In each cell: GFLOP/s; share.",
        "",
        "Where power sets the clock, cores that multiply in registers alone soon run faster than cores that also load "
        "what they multiply. The last column is the peak within half a millisecond after the profile, while the cores "
        "still have the clock that the update left them, and the products' share of that.",
        "",
        "For each row of the batch a layer of a inputs and b outputs has a·b multiplications in `linear_forward` and "
        "in `weight_gradient`, and, but for the first layer, in `linear_backward`. The forward product starts at the "
        "bias, which is no multiplication. Beside the multiplications these kernels apply relu and its derivative to "
        "what they store, and make the gradients of biases with those of weights, which is counted as their time; the "
        "transposition for the backward product and the optimizer's step are kernels of their own, in the table above.",
        "",
        *table(
            [
                "network, batch",
                "cores",
                "peak of a core",
                "the products together",
                "linear_forward",
                "linear_backward",
                "weight_gradient",
                "peak right after; the products' share",
            ],
            rows,
        ),
    ]


def main(given):
    rounds = 5 if given.quick else 15
    cases = [measure(*case, given.threads, rounds) for case in MAIN]
    about = machine(given.threads, [])
    write(
        "anatomy-quick" if given.quick else "anatomy",
        {"machine": about, "rounds": rounds, "cases": cases},
        page(cases, about, rounds),
    )


if __name__ == "__main__":
    main(given)
