"""Every kernel of the registry on one core, as GFLOP/s or GB/s and as a share of what the core gives.

Products are held against the fused-multiply-add peak, everything else against copying the same shape
(`scatter`). A kernel that is in the registry and not here is an error.

    python benchmarks/kernels.py [--quick]
"""

from __future__ import annotations

import contextlib
import time

from common import fma_peak, machine, parse_arguments, table, where, write

if __name__ == "__main__":
    given = parse_arguments(__doc__)

import numpy as np

from onefold import _core
from onefold.nn.activations import ACTIVATIONS
from onefold.nn.losses import LOSSES
from onefold.optim import OPTIMIZERS

PANEL = _core.PANEL
#: rows, inputs, outputs of the products
PRODUCTS = [
    (32, 64, 64),
    (72, 100, 256),
    (72, 784, 512),
    (72, 1024, 1024),
    (72, 301, 77),
    (512, 1024, 1024),
]
#: rows, width of everything else
SHAPES = [(32, 64), (72, 256), (72, 1024), (72, 77), (72, 10)]
#: rows, and sizes of the vectors that a column of 1,000 categories is embedded in
EMBEDDINGS = [(32, 8), (72, 8), (72, 64), (512, 8)]
CATEGORIES = 1_000
#: elements of a parameter: in the first-level cache, in the second, in the last, in memory
SIZES = [2_048, 65_536, 1 << 20, 16 << 20]
STATES = {cls().kernel: len(cls().states) for cls in OPTIMIZERS.values()}
STATES |= {
    "sgd_momentum_update": 1, "sgd_nesterov_update": 1, "adam_amsgrad_update": 3,
    "adamw_amsgrad_update": 3, "rmsprop_momentum_update": 2,
}  # fmt: skip
#: kernels that move rows or look through them
COPYING = [
    "add", "column_sums", "gather_float32", "gather_float64", "gather_labels", "gather_uint8",
    "permutation", "random_words", "scatter", "within",
]  # fmt: skip
EMBEDDING = ["embedding_forward", "embedding_backward", "embedding_gradient", "are_codes"]
#: functions of arrays
ARRAYS = [
    name + "_array"
    for name in (
        "cospi", "erf", "erfc", "exp", "expm1", "log", "log1p", "pow", "sigmoid", "sinpi", "softplus", "tanh",
    )
]  # fmt: skip


def aligned(shape, dtype, rng=None):
    """An array that starts at a cache line."""
    count = int(np.prod(shape))
    raw = np.zeros(count * np.dtype(dtype).itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    array = raw[start : start + count * np.dtype(dtype).itemsize].view(dtype).reshape(shape)
    if rng is not None:
        array[...] = rng.random(shape) + 0.1
    return array


def seconds(name, operands, budget, **options):
    """The best of five runs of many repetitions each."""
    repeat = 1
    while True:
        start = time.perf_counter()
        _core.run_kernel(name, "float32", "", operands, repeat=repeat, **options)
        spent = time.perf_counter() - start
        if spent > budget / 5 or repeat > 1 << 24:
            break
        repeat *= 4
    best = spent / repeat
    for _ in range(4):
        start = time.perf_counter()
        _core.run_kernel(name, "float32", "", operands, repeat=repeat, **options)
        best = min(best, (time.perf_counter() - start) / repeat)
    return best


def rows_of(shape, count, rng):
    """Operands that are row buffers, `count` of them: in panels where they are wide."""
    rows, width = shape
    if width <= PANEL:
        return arrays_of(shape, count, rng)
    buffers = [aligned((-(-width // PANEL), rows, PANEL), np.float32, rng) for _ in range(count)]
    return [(buffer, PANEL, width, rows * PANEL) for buffer in buffers]


def arrays_of(shape, count, rng, dtype=np.float32):
    """Operands that are arrays of a user, `count` of them."""
    rows, width = shape
    stride = -(-width // 16) * 16
    stride += 16 if stride * 4 % 4096 == 0 else 0
    return [(aligned((rows, stride), dtype, rng), stride, width) for _ in range(count)]


def product(name, shape, rng, budget):
    rows, inputs, outputs = shape
    (x,), (z,) = rows_of((rows, inputs), 1, rng), rows_of((rows, outputs), 1, rng)
    panels = -(-outputs // PANEL)
    weight = (aligned((panels, inputs, PANEL), np.float32, rng), inputs, outputs)
    if name == "weight_gradient":
        spent = seconds(name, [weight, x, z], budget, rows=rows, end=inputs, panels=panels)
    else:
        (gate,) = rows_of((rows, outputs), 1, rng)
        spent = seconds(name, [z, x, weight, (None, 0, 0), gate], budget, rows=rows)
    return 2 * rows * inputs * outputs / spent / 1e9, "GFLOP/s"


def elementwise(name, shape, rng, budget):
    """Row kernels and functions of arrays; GB/s of what is read and written."""
    rows, width = shape
    numbers = []
    per_element = 8
    if name.endswith("_array"):  # one long row
        rows, width = shape = (1, rows * width)
        operands = rows_of(shape, 3 if name == "pow_array" else 2, rng)
        per_element = 4 * len(operands)
    elif name in ("prelu_forward", "prelu_backward"):
        row = (aligned((1, operands_width(width)), np.float32, rng), 1, width)
        operands = [*rows_of(shape, 2 if name == "prelu_forward" else 4, rng), row]
        per_element = 4 * (len(operands) - 1)
    elif name.startswith("dropout"):
        operands, numbers = rows_of(shape, 2, rng), [0.5, 0.0]
    elif name.endswith(("_forward", "_backward")):
        numbers = [value for _, value in ACTIVATIONS[name.rsplit("_", 1)[0]].defaults]
        operands = rows_of(shape, 2 if name.endswith("_forward") else 3, rng)
        per_element = 4 * len(operands)
    else:
        raise KeyError(name)
    return rows * width * per_element / seconds(
        name, operands, budget, rows=rows, numbers=numbers
    ) / 1e9, "GB/s"


def operands_width(width):
    return -(-width // 16) * 16


def loss(name, shape, rng, budget):
    rows, width = shape
    out = (aligned((rows, 1), np.float64), 1, 1)
    dz, z, y = rows_of(shape, 3, rng)
    if name.endswith("_labels"):
        y = (np.zeros((rows, 1), np.int32), 1, 1)
    spent = seconds(name, [out, dz, z, y, (None, 0, 0)], budget, rows=rows, numbers=[0.1, 0.1])
    return rows * width * 4 * (2 if name.endswith("_labels") else 3) / spent / 1e9, "GB/s"


def copying(name, shape, rng, budget):
    """Kernels that move rows."""
    rows, width = shape
    if name.startswith("gather_"):
        kind = {
            "float32": np.float32,
            "float64": np.float64,
            "uint8": np.uint8,
            "labels": np.int32,
        }[name[7:]]
        source = arrays_of(shape, 1, None, kind)[0]
        out = (
            arrays_of(shape, 1, None, kind) if name.endswith("labels") else rows_of(shape, 1, None)
        )[0]
        size = 4 + np.dtype(kind).itemsize
        spent = seconds(name, [out, source], budget, rows=rows)
    elif name == "within":
        out = (np.zeros((1, 1)), 1, 1)
        size, spent = (
            4,
            seconds(name, [out, *arrays_of(shape, 1, rng)], budget, rows=rows, numbers=[1e30]),
        )
    elif name == "column_sums":
        gradient = (aligned((operands_width(width) + 16, 1), np.float32), 1, width)
        size = 4
        spent = seconds(
            name,
            [gradient, *rows_of(shape, 1, rng)],
            budget,
            rows=rows,
            end=1,
            panels=-(-width // PANEL),
        )
    elif name in ("random_words", "permutation"):
        out = (np.zeros((rows, width), np.uint32), width, width)
        if name == "permutation":
            out = (np.zeros((1, rows * width), np.uint32), rows * width, rows * width)
        size = 4
        spent = seconds(
            name, [out], budget, rows=1 if name == "permutation" else rows, numbers=[2.0, 0.0]
        )
    else:
        operands = rows_of(shape, 3 if name == "add" else 2, rng)
        if name == "scatter":
            operands[0] = arrays_of(shape, 1, None)[0]
        size = 4 * len(operands)
        spent = seconds(name, operands, budget, rows=rows)
    return rows * width * size / spent / 1e9, "GB/s"


def embedding(name, shape, rng, budget):
    """Rows of one column of codes and their vectors; of `are_codes`, the codes alone."""
    rows, size = shape
    x = (aligned((rows, 16), np.float32), 16, 1)
    x[0][:, 0] = rng.integers(0, CATEGORIES, rows)
    codes = (x[0][:, 0].astype(np.int32), 1, 1)
    (y,) = rows_of(shape, 1, rng)
    panels = -(-size // PANEL)
    table = (aligned((panels, CATEGORIES, PANEL), np.float32, rng), CATEGORIES, size)
    ways = {
        "embedding_forward": ([y, codes, x, table], [0, 1, 0, 0, CATEGORIES, size], 2),
        "embedding_backward": ([y, x], [1, 0, 0, 1], 1),
        "embedding_gradient": ([table, codes, y], [0, 0], 3),
        "are_codes": ([(np.zeros((1, 1)), 1, 1), x], [0, CATEGORIES], 1 / size),
    }
    operands, numbers, moved = ways[name]
    end = 1 if name == "are_codes" else CATEGORIES
    spent = seconds(
        name, operands, budget, rows=rows, numbers=numbers, end=end, panels=panels, resume=True
    )
    return rows * size * 4 * moved / spent / 1e9, "GB/s"


def storage(name, elements, rng, budget):
    """Updates, norms and transpositions of a whole parameter."""
    if name in ("transpose", "stream_weights"):
        side = int(np.sqrt(elements)) // PANEL * PANEL
        count = 2 if name == "transpose" else 3
        operands = [(aligned((side, side), np.float32, rng), side, side) for _ in range(count)]
        return 4 * count * side * side / seconds(
            name, operands, budget, rows=0, end=side * side // PANEL
        ) / 1e9, "GB/s"
    arrays = [aligned((1, elements), np.float32, rng) for _ in range(2 + STATES.get(name, 0))]
    operands = [(array, elements, elements) for array in arrays]
    if name in STATES:
        operands = [operands[0], *operands]  # updated where it is
    numbers = [1.0, 1.0, np.inf, 1e-6, 0.0, 0.9, 0.999, 1e-8, 1e-6, 1.0, 1.0]
    moved = 4 * (3 + 2 * STATES.get(name, 0))
    if name == "squared_norm":
        operands[0], moved = (np.zeros((1, 1)), 1, 1), 4
    return elements * moved / seconds(
        name, operands, budget, rows=0, numbers=numbers, end=elements
    ) / 1e9, "GB/s"


def loss_kernels():
    """Every loss, on one output and on several, on values and on labels, of both endings that losses take."""
    found = set()
    for cls in LOSSES.values():
        for outputs, labels in ((1, False), (3, False), (3, True)):
            for ending in ("linear", "softplus"):
                with contextlib.suppress(ValueError):  # not a loss of such targets
                    found.add(cls().plan(outputs, labels, ending).kernel)
    return found


def families():
    """How every kernel that this script knows is measured, and on which shapes."""
    activations = [name for name in ACTIVATIONS if name != "linear"]
    rowwise = [
        f"{name}_{way}" for name in [*activations, "dropout"] for way in ("forward", "backward")
    ]
    return {
        **dict.fromkeys(
            (
                "linear_forward",
                "linear_forward_relu",
                "linear_backward",
                "linear_backward_relu",
                "weight_gradient",
            ),
            (product, PRODUCTS),
        ),
        **dict.fromkeys([*STATES, "transpose", "stream_weights", "squared_norm"], (storage, SIZES)),
        **dict.fromkeys(EMBEDDING, (embedding, EMBEDDINGS)),
        **dict.fromkeys(loss_kernels(), (loss, SHAPES)),
        **dict.fromkeys([*rowwise, *ARRAYS], (elementwise, SHAPES)),
        **dict.fromkeys(COPYING, (copying, SHAPES)),
    }


def main(given):
    measures, kernels = families(), sorted(_core.kernel_names())
    without = [name for name in kernels if name not in measures]
    if without:
        raise SystemExit(f"kernels without a row: {', '.join(without)}; add them to families()")
    gone = sorted(set(measures) - set(kernels))
    if gone:
        raise SystemExit(f"no kernel is called {', '.join(gone)}; take them from families()")
    rng = np.random.default_rng(0)
    budget = 0.01 if given.quick else 0.05
    peak = max(fma_peak(1)[0] for _ in range(3))
    copied = [*SHAPES, *EMBEDDINGS]
    copies = {shape: copying("scatter", shape, rng, budget)[0] for shape in copied}
    side = {size: (size // 64, 64) for size in SIZES}
    copies |= {size: copying("scatter", side[size], rng, budget)[0] for size in SIZES}
    found, rows = [], []
    for name in kernels:
        measure, shapes = measures[name]
        for shape in shapes[-3:-2] if given.quick else shapes:
            speed, unit = measure(name, shape, rng, budget)
            share = speed / (peak if measure is product else copies[shape])
            text = "×".join(map(str, shape)) if isinstance(shape, tuple) else f"{shape:,}"
            found.append(
                {"kernel": name, "shape": text, "speed": speed, "unit": unit, "share": share}
            )
            rows.append([name, text, f"{speed:.3g} {unit}", f"{share:.0%}"])
    about = machine(1, [])
    lines = [
        "# Kernels on one core, float32",
        "",
        where(about),
        f"Peak of fused multiply-adds {peak:.0f} GFLOP/s. Products are shares of that, other kernels of copying the "
        "same shape; bytes are those read and written.",
        "",
        *table(["kernel", "shape", "speed", "share"], rows),
    ]
    write(
        "kernels-quick" if given.quick else "kernels",
        {"machine": about, "peak": peak, "kernels": found},
        lines,
    )


if __name__ == "__main__":
    main(given)
