"""Where an update's time goes, for the four networks: kernels, and waiting or bookkeeping.

python benchmarks/anatomy.py [--quick] [--threads 2]
"""

from __future__ import annotations

import time

from common import machine, parse_arguments, table, where, write

if __name__ == "__main__":
    given = parse_arguments(__doc__)

import numpy as np
from peers import Onefold, initial_weights, make_data
from training import MAIN

from onefold import losses
from onefold.train.session import Session


def profile(widths, batch, updates, threads):
    """Seconds of one update by kernel, summed over threads, and of the wall."""
    x, y = make_data(widths, batch * updates)
    side = Onefold(widths, batch, initial_weights(widths), threads)
    net = side.net
    session = Session(
        net._architecture, net._state, losses.get("cross_entropy"), labels=True, weighted=False,
        batch_size=batch, threads=threads, optimizer=side.optimizer,
        optimizer_state=net._optimizer_state(side.optimizer),
    )  # fmt: skip
    scalars = session.scalars(updates, updates, updates)

    def run():
        start = time.perf_counter()
        session.executor.train(
            x, y[:, None], None, None, batch_size=batch, first_batch=0, first_update=0, scalars=scalars,
            seconds=0.0, loss=0.0, weight=0.0,
        )  # fmt: skip
        return (time.perf_counter() - start) / updates

    run()
    plain = min(run() for _ in range(5))
    session.executor.set_profiling(True)
    wall = run()
    kernels = {name: seconds / updates for name, seconds in session.executor.profile()}
    return plain, wall, kernels


def main(given):
    cases, rows = [], []
    for widths, batch, updates in MAIN:
        plain, wall, kernels = profile(widths, batch, updates, given.threads)
        threads = 1 if sum(kernels.values()) < 1.05 * wall else given.threads
        total = wall * threads
        shares = {
            name: seconds / total for name, seconds in sorted(kernels.items(), key=lambda k: -k[1])
        }
        other = 1 - sum(shares.values())
        cases.append(
            {
                "network": "-".join(map(str, widths)),
                "batch": batch,
                "update_us": plain * 1e6,
                "profiled_us": wall * 1e6,
                "threads": threads,
                "shares": shares,
                "other": other,
            }
        )
        named = ", ".join(f"{name} {share:.1%}" for name, share in shares.items() if share >= 0.01)
        rows.append(
            [
                f"{cases[-1]['network']}, {batch}",
                f"{plain * 1e6:,.1f}",
                f"{wall * 1e6:,.1f}",
                threads,
                f"{np.sum(list(shares.values())):.1%}",
                f"{other:.1%}",
                named,
            ]
        )
    about = machine(given.threads, [])
    lines = [
        "# Where an update's time goes",
        "",
        where(about),
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
            rows,
        ),
    ]
    write("anatomy-quick" if given.quick else "anatomy", {"machine": about, "cases": cases}, lines)


if __name__ == "__main__":
    main(given)
