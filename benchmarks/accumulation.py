"""What accumulation costs: 16 micro-batches and "auto" against one, and the memory of each.

For each batch size, one network trains the same batches as one micro-batch, as sixteen, and as
"auto" chooses. The fingerprints must be equal. The peak of resident memory above the data is read
from outside the arithmetic, in a process of its own for each case.

    python benchmarks/accumulation.py [--quick] [--threads 2]
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from common import machine, parse_arguments, summary, table, take_turns, where, write

if __name__ == "__main__":
    given = parse_arguments(__doc__)

import numpy as np
from peers import Onefold, initial_weights, make_data

from onefold.train.budget import format_size

WIDTHS = (64, 256, 256, 10)

MEASURE = """
import sys
import numpy as np, onefold as of
batch, micro_batch, threads = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
micro_batch = micro_batch if micro_batch == "auto" else int(micro_batch)
x = np.ones((batch, 64), np.float32)
y = np.zeros(batch, np.int32)
net = of.Network([of.Dense(256, "relu"), of.Dense(256, "relu"), of.Dense(10)], inputs=64)
options = {"loss": "cross_entropy", "optimizer": of.Adam(), "epochs": 1, "verbose": 0, "threads": threads}


def status(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


# What is loaded once, code among it, before the clock of memory starts; states of the optimizer are in the plan.
small = of.Network([of.Dense(8, "relu"), of.Dense(8, "relu"), of.Dense(10)], inputs=64)
small.fit(x[:32], y[:32], batch_size=32, **options)
before = status("VmRSS")
net.fit(x, y, batch_size=batch, micro_batch=micro_batch, **options)
plan = net.plan(batch_size=batch, micro_batch=micro_batch, loss="cross_entropy", labels=True, threads=threads)
# The parameters were there before.
print(status("VmHWM") - before, plan.total - plan.parameters, plan.micro_batch)
"""


def memory(batch, micro_batch, threads):
    """Bytes that training added at its peak, the bytes planned, and the micro-batch."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(batch), str(micro_batch), str(threads)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return tuple(map(int, done.stdout.split()))


def main(given):
    batches = (
        [32, 1024, 32_768] if given.quick else [32, 256, 1024, 8192, 65_536, 262_144, 1_000_000]
    )
    rounds = 5 if given.quick else 9
    cases, rows = [], []
    for batch in batches:
        x, y = make_data(WIDTHS, batch * max(1, 131_072 // batch))
        sides = {
            name: Onefold(WIDTHS, batch, initial_weights(WIDTHS), given.threads)
            for name in ("one", "sixteen", "auto")
        }
        cuts = {"one": batch, "sixteen": -(-batch // 16), "auto": "auto"}
        seconds = take_turns(
            {name: partial(side.run, x, y, micro_batch=cuts[name]) for name, side in sides.items()},
            rounds, pause=0.02,
        )  # fmt: skip
        prints = {side.net.fingerprint() for side in sides.values()}
        if len(prints) != 1:
            raise SystemExit(f"the fingerprints differ at batch {batch}: {prints}")
        ratios = {
            name: float(np.median(seconds[name]) / np.median(seconds["one"])) for name in sides
        }
        grown = {name: memory(batch, cuts[name], given.threads) for name in sides}
        cases.append({
            "batch": batch, "rows": len(x), "fingerprint": prints.pop(), "ratio_to_one": ratios,
            "seconds": {name: summary(times) for name, times in seconds.items()},
            "memory": {name: dict(zip(("grown", "planned", "micro_batch"), values, strict=True)) for name, values in grown.items()},
        })  # fmt: skip
        rows.append([
            f"{batch:,}",
            f"{len(x) / np.median(seconds['one']) / 1e3:.4g}",
            f"{ratios['sixteen']:.3f}",
            f"{ratios['auto']:.3f} ({grown['auto'][2]:,})",
            *(f"{format_size(grown[name][0])} ({format_size(grown[name][1])})" for name in sides),
        ])  # fmt: skip
        print(*rows[-1], flush=True)
    about = machine(given.threads, [])
    lines = [
        f"# Accumulation: the time of the same batches, cut in three ways, median of {rounds}",
        "",
        where(about),
        f"Network {'-'.join(map(str, WIDTHS))}, Adam. Time is relative to a single micro-batch; memory is the "
        "growth of the process at its peak, and in brackets what the plan says.",
        "",
        *table(
            ["batch", "thousand rows/s, one", "time, sixteen", "time, auto (rows at a time)", "memory, one", "memory, sixteen", "memory, auto"],
            rows,
        ),
    ]  # fmt: skip
    write(
        "accumulation-quick" if given.quick else "accumulation",
        {"machine": about, "cases": cases},
        lines,
    )


if __name__ == "__main__":
    main(given)
