"""Training throughput of onefold, PyTorch eager and JAX (jit with scan), interleaved in one run.

Four networks, float32, Adam, cross-entropy, two threads. Before anything is timed, the sides train
the same few updates from the same weights, and their losses must agree. Results go to
benchmarks/results/training.json and, as a table, to benchmarks/results/training.md.

    python benchmarks/training.py [--quick] [--threads 2]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import time
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="fewer rounds")
parser.add_argument("--threads", type=int, default=2)
arguments = parser.parse_args()
os.environ["XLA_FLAGS"] = (
    f"--xla_cpu_multi_thread_eigen={'true' if arguments.threads > 1 else 'false'} "
    f"intra_op_parallelism_threads={arguments.threads}"
)

import numpy as np  # noqa: E402

import onefold as of  # noqa: E402

RESULTS = Path(__file__).parent / "results"
#: widths, batch, updates of one measurement
CASES = [
    ((20, 64, 64, 2), 32, 2048),
    ((100, 256, 256, 10), 256, 160),
    ((784, 512, 512, 10), 128, 64),
    ((784, 1024, 1024, 1024, 10), 1024, 6),
]
RATE = 1e-3


def make_data(widths, batch, updates):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch * updates, widths[0])).astype(np.float32)
    y = rng.integers(0, widths[-1], batch * updates).astype(np.int32)
    return x, y


class Onefold:
    name = "onefold"

    def __init__(self, widths, batch, weights):
        layers = [of.Dense(w, "relu") for w in widths[1:-1]] + [of.Dense(widths[-1])]
        self.net = of.Network(layers, inputs=widths[0])
        for i, (weight, bias) in enumerate(weights):
            self.net.parameters[f"dense_{i}.weight"] = weight
            self.net.parameters[f"dense_{i}.bias"] = bias
        self.optimizer = of.Adam(RATE)
        self.batch = batch

    def run(self, x, y):
        history = self.net.fit(
            x, y, loss="cross_entropy", optimizer=self.optimizer, epochs=1, batch_size=self.batch,
            shuffle=False, verbose=0, threads=arguments.threads,
        )  # fmt: skip
        return history.logs["loss"][0]


class Torch:
    name = "PyTorch eager"

    def __init__(self, widths, batch, weights):
        import torch

        torch.set_num_threads(arguments.threads)
        layers = []
        for i, (weight, bias) in enumerate(weights):
            linear = torch.nn.Linear(*weight.shape)
            linear.weight.data = torch.tensor(weight.T.copy())
            linear.bias.data = torch.tensor(bias)
            layers += [linear, torch.nn.ReLU()] if i < len(weights) - 1 else [linear]
        self.torch = torch
        self.net = torch.nn.Sequential(*layers)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=RATE)
        self.batch = batch

    def run(self, x, y):
        x, y = self.torch.from_numpy(x), self.torch.from_numpy(y).long()
        loss_of = self.torch.nn.functional.cross_entropy
        total = 0.0
        for first in range(0, len(x), self.batch):
            part = slice(first, first + self.batch)
            self.optimizer.zero_grad()
            loss = loss_of(self.net(x[part]), y[part])
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
        return float(total) / (len(x) // self.batch)


class Jax:
    name = "JAX jit + scan"

    def __init__(self, widths, batch, weights):
        import jax
        import jax.numpy as jnp

        self.jax, self.batch = jax, batch
        self.weights = [(jnp.array(w), jnp.array(b)) for w, b in weights]
        zeros = jax.tree.map(jnp.zeros_like, self.weights)
        self.state = (zeros, jax.tree.map(jnp.zeros_like, zeros), jnp.zeros((), jnp.float32))

        def loss_of(weights, x, y):
            for w, b in weights[:-1]:
                x = jax.nn.relu(x @ w + b)
            logits = x @ weights[-1][0] + weights[-1][1]
            picked = jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)
            return -picked.mean()

        def update(carry, batch):
            weights, (m, v, t) = carry
            loss, gradient = jax.value_and_grad(loss_of)(weights, *batch)
            t = t + 1
            m = jax.tree.map(lambda a, g: 0.9 * a + 0.1 * g, m, gradient)
            v = jax.tree.map(lambda a, g: 0.999 * a + 0.001 * g * g, v, gradient)
            step = RATE / (1 - 0.9**t)
            root = jnp.sqrt(1 - 0.999**t)
            weights = jax.tree.map(
                lambda p, a, b: p - step * a / (jnp.sqrt(b) / root + 1e-8), weights, m, v
            )
            return (weights, (m, v, t)), loss

        self.epoch = jax.jit(
            lambda carry, xs, ys: jax.lax.scan(update, carry, (xs, ys)), donate_argnums=0
        )

    def run(self, x, y):
        xs = x.reshape(-1, self.batch, x.shape[1])
        ys = y.reshape(-1, self.batch)
        (self.weights, self.state), losses = self.epoch((self.weights, self.state), xs, ys)
        return float(losses.mean())


def initial_weights(widths):
    rng = np.random.default_rng(1)
    return [
        ((rng.normal(size=(a, b)) * np.sqrt(2 / a)).astype(np.float32), np.zeros(b, np.float32))
        for a, b in itertools.pairwise(widths)
    ]


def measure(widths, batch, updates, rounds):
    x, y = make_data(widths, batch, updates)
    sides = [side(widths, batch, initial_weights(widths)) for side in (Onefold, Torch, Jax)]
    losses = {side.name: [side.run(x, y) for _ in range(2)] for side in sides}  # and warm-up
    for name, values in losses.items():
        np.testing.assert_allclose(values, losses["onefold"], rtol=2e-3, err_msg=name)
    seconds = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            time.sleep(0.1)  # until the threads of the side before have stopped spinning
            start = time.perf_counter()
            side.run(x, y)
            seconds[side.name].append(time.perf_counter() - start)
    rows = len(x)
    return {
        "network": "-".join(map(str, widths)),
        "batch": batch,
        "losses": losses,
        "thousand_rows_per_second": {
            name: {
                "median": rows / statistics.median(times) / 1e3,
                "low": rows / max(times) / 1e3,
                "high": rows / min(times) / 1e3,
            }
            for name, times in seconds.items()
        },
        "ratio_of_medians": {
            name: statistics.median(times) / statistics.median(seconds["onefold"])
            for name, times in seconds.items()
            if name != "onefold"
        },
    }


def main():
    import jax
    import torch

    rounds = 5 if arguments.quick else 15
    results = {
        "machine": platform.machine(),
        "processor": next(
            (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")), platform.processor(),
        ) if Path("/proc/cpuinfo").exists() else platform.processor(),
        "threads": arguments.threads,
        "instruction_set": of._native.level(),
        "versions": {
            "onefold": of.__version__, "numpy": np.__version__, "torch": torch.__version__,
            "jax": jax.__version__, "python": platform.python_version(),
        },
        "rounds": rounds,
        "cases": [measure(*case, rounds) for case in CASES],
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "training.json").write_text(json.dumps(results, indent=1) + "\n")
    names = list(results["cases"][0]["thousand_rows_per_second"])
    lines = [
        f"Thousand rows a second, median of {rounds} (low–high), {arguments.threads} threads, "
        f"{results['processor']}, {results['instruction_set']}; "
        + ", ".join(f"{k} {v}" for k, v in results["versions"].items()),
        "",
        "| network, batch | " + " | ".join(names) + " | onefold against the fastest other |",
        "|---" * (len(names) + 2) + "|",
    ]
    for case in results["cases"]:
        speeds = case["thousand_rows_per_second"]
        cells = [
            f"{speeds[n]['median']:.4g} ({speeds[n]['low']:.4g}–{speeds[n]['high']:.4g})"
            for n in names
        ]
        least = min(case["ratio_of_medians"].values())
        lines.append(
            f"| {case['network']}, {case['batch']} | " + " | ".join(cells) + f" | {least:.2f}× |"
        )
    (RESULTS / "training.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
