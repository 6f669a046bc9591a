"""Training throughput against PyTorch, torch.compile, JAX, Keras and scikit-learn, in one run.

Four networks of growing size, then sizes that nobody tuned for. Float32, Adam. Before anything is
timed, every side trains two epochs from the same weights and its losses must agree with onefold's. All
networks are measured, and then all of them again: sides made anew, at another time.

    python benchmarks/training.py [--quick] [--threads 2] [--passes 2]
    ONEFOLD_ISA=avx2 python benchmarks/training.py                  onefold held to AVX2, the peers free
    ONEFOLD_ISA=avx2 python benchmarks/training.py --peers avx2     all of them held to AVX2
"""

from __future__ import annotations

import os
from functools import partial

import instruction_sets
from common import fma_peak, machine, parse_arguments, summary, table, take_turns, where, write

if __name__ == "__main__":
    given = parse_arguments(__doc__, training=True)

import numpy as np
from peers import SIDES, Jax, Onefold, Torch, initial_weights, make_data, multiplications

#: widths, batch, updates of one measurement: 20 ms or more on the fastest side
MAIN = [
    ((20, 64, 64, 2), 32, 4096),
    ((100, 256, 256, 10), 256, 160),
    ((784, 512, 512, 10), 128, 128),
    ((784, 1024, 1024, 1024, 10), 1024, 20),
]
OTHERS = [
    ((20, 64, 64, 2), 1, 16_384),
    ((13, 100, 1), 64, 4000),
    ((33, 77, 51, 3), 50, 1600),
    ((5000, 64, 10), 256, 16),
    ((257, 129, 65, 33, 17, 5), 100, 300),
    ((8, 1), 1000, 3000),
    ((1000, 1), 1000, 60),
    ((50, 200, 100, 10), 10_000, 8),
    ((50, 200, 100, 10), 100_000, 1),
]


def measure(widths, batch, updates, rounds, threads, kinds):
    x, y = make_data(widths, batch * updates)
    sides = {kind.name: kind(widths, batch, initial_weights(widths), threads) for kind in kinds}
    losses = {name: [side.run(x, y) for _ in range(2)] for name, side in sides.items()}
    for name, values in losses.items():
        if values[0] is not None:
            # scikit-learn adds epsilon before the bias correction: 2 % after eight large first steps.
            tolerance = 5e-2 if name == "scikit-learn" else 5e-3
            np.testing.assert_allclose(values, losses["onefold"], rtol=tolerance, err_msg=name)
    seconds = take_turns({name: partial(side.run, x, y) for name, side in sides.items()}, rounds)
    ours = np.median(seconds["onefold"])
    others = {name: times for name, times in seconds.items() if name != "onefold"}
    fastest = min(others, key=lambda name: np.median(others[name]))
    ratios = [a / b for a, b in zip(others[fastest], seconds["onefold"], strict=True)]
    return {
        "network": "-".join(map(str, widths)),
        "batch": batch,
        "losses": losses,
        "round_trip_ns": seconds.round_trip,
        "thousand_rows_per_second": {
            name: {
                key: len(x) / value / 1e3
                for key, value in zip(
                    ("median", "high", "low"), summary(times).values(), strict=True
                )
            }
            for name, times in seconds.items()
        },
        "ratio_of_medians": {
            name: float(np.median(times) / ours) for name, times in others.items()
        },
        "fastest_other": fastest,
        "ratio_in_each_round": summary(ratios),
        "gflops": 2 * multiplications(widths) * len(x) / ours / 1e9,
    }


def ratio_of(case):
    """Onefold against the fastest other."""
    return case["ratio_of_medians"][case["fastest_other"]]


def with_spread(case):
    rounds = case["ratio_in_each_round"]
    return f"{ratio_of(case):.2f}× ({rounds['low']:.2f}–{rounds['high']:.2f})"


def agreement(first, second):
    """Whether what was measured twice agrees: one ratio lies within the other's spread."""

    def within(one, other):
        rounds = other["ratio_in_each_round"]
        return rounds["low"] <= ratio_of(one) <= rounds["high"]

    apart = [
        f"{a['network']}, {a['batch']}"
        for a, b in zip(first, second, strict=True)
        if not within(a, b) and not within(b, a)
    ]
    return [
        "After all networks had been measured they were all measured again, with sides made anew (`again`; the speeds "
        "are those of the first time). The two agree where one ratio lies within the other's spread: "
        + (f"everywhere but at {'; '.join(apart)}." if apart else "everywhere."),
        "",
    ]


def hold_peers(rounds):
    """Holds what no variable holds, and says what is held and whether it is."""
    if machine(1, [])["instruction_set"] != "avx2":
        raise SystemExit("--peers avx2 needs onefold held to AVX2 too: set ONEFOLD_ISA=avx2")
    products = instruction_sets.both_products(rounds)
    instruction_sets.Ynnpack().hold()
    rows = [
        [name, *(f"{both[side][key]:{form}}" for key, form in (("gflops", ".0f"), ("says", "")) for side in both)]
        for name, both in products.items()
    ]  # fmt: skip
    size = instruction_sets.SIDE
    lines = [
        "onefold and the peers are held to AVX2, the peers by these variables, set before they are imported:",
        "",
        *(f"- `{name}={value}`: {what}" for name, (value, what) in instruction_sets.LIMITS.items()),
        "",
        "XLA multiplies matrices with YNNPACK, which heeds no variable; what it notes of the processor is overwritten "
        "(`instruction_sets.py`), so that it takes the kernels that it takes on a processor of AVX2. What the limits "
        f"do: a float32 product of {size}×{size}×{size} on one core, by processor time, each in a process of its own "
        f"in turns, median of {rounds}. A peer whose speed stays did not use AVX-512 for products on this processor; "
        "what it says of itself is that its other kernels are held.",
        "",
        *table(
            [
                "peer",
                "as it comes, GFLOP/s",
                "held, GFLOP/s",
                "as it comes it says",
                "held it says",
            ],
            rows,
        ),
        "",
    ]
    return lines, products


def main(given):
    held, products = hold_peers(1 if given.quick else 3) if given.peers == "avx2" else ([], {})
    if not held and "ONEFOLD_ISA" in os.environ:
        held = [
            f"onefold is held to {os.environ['ONEFOLD_ISA']}; the peers choose for themselves.",
            "",
        ]
    kinds = [Onefold, Torch, Jax] if given.quick else SIDES
    rounds = 3 if given.quick else 7
    about = machine(
        given.threads,
        ["torch", "jax"] if given.quick else ["torch", "jax", "keras", "scikit-learn"],
    )
    cases = MAIN if given.quick else MAIN + OTHERS
    peaks, found = [], []
    passes = 1 if given.quick else given.passes
    for widths, batch, updates in cases * passes:
        peaks.append(sum(fma_peak(given.threads)))
        found.append(measure(widths, batch, updates, rounds, given.threads, kinds))
        print(
            found[-1]["network"],
            batch,
            {k: round(v, 2) for k, v in found[-1]["ratio_of_medians"].items()},
            flush=True,
        )
    found, again = found[: len(cases)], found[len(cases) :]
    peak = max(peaks)  # the others were disturbed
    names = [kind.name for kind in kinds]
    rows, slower = [], []
    for place, case in enumerate(found):
        speeds = case["thousand_rows_per_second"]
        label = f"{case['network']}, {case['batch']}"
        measured = [case, *again[place : place + 1]]
        for each, when in zip(measured, ("", ", again"), strict=False):
            if ratio_of(each) < 1:
                slower.append(
                    f"{each['fastest_other']} is faster at {label}{when} ({ratio_of(each):.2f}×)"
                )
        rows.append(
            [
                label,
                *(
                    f"{speeds[n]['median']:.4g} ({speeds[n]['low']:.4g}–{speeds[n]['high']:.4g})"
                    for n in names
                ),
                *map(with_spread, measured),
                ", ".join(f"{each['gflops'] / peak:.0%}" for each in measured),
                ", ".join(f"{each['round_trip_ns']:.0f}" for each in measured),
            ]
        )
    lines = [
        f"# Training{', the peers held to AVX2 too' if products else ''}: thousand rows a second, median of {rounds} "
        "(low–high)",
        "",
        where(about),
        "",
        *held,
        f"Fused-multiply-add peak of all cores at once: {peak:.0f} GFLOP/s, the best of one measurement before each case.",
        "",
        *table(
            [
                "network, batch",
                *names,
                "onefold against the fastest other",
                *["again"] * (passes - 1),
                "of the peak",
                "cores, ns",
            ],
            rows,
        ),
        "",
        "Ratios are of the medians, and in brackets the least and the greatest in any one round. The last column is "
        "what a line of the caches takes to the other core and back, in the rounds of that network: a system may move "
        "the cores of a virtual machine, and whatever runs on several of them then takes more or less time. "
        "All rounds of one measurement have the cores equally far apart.",
        "",
        *(agreement(found, again) if again else []),
        "Where a peer is faster: " + ("; ".join(slower) or "nowhere in this run") + ".",
    ]
    name = "training"
    if about["instruction_set"] != "avx512":
        name += "-" + about["instruction_set"]
    results = {"machine": about, "rounds": rounds, "peaks": peaks, "cases": found, "again": again}
    if products:
        name += "-peers"
        results |= {"limits": instruction_sets.LIMITS, "products": products}
    write(name + ("-quick" if given.quick else ""), results, lines)


if __name__ == "__main__":
    main(given)
