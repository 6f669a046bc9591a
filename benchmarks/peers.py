"""The same training in every library: dense layers, relu, Adam, cross-entropy or squared error.

Each side is built from the same weights and trains one epoch over rows in their order; `run` returns
the mean loss of its batches. The rows are a whole number of batches.
"""

from __future__ import annotations

import itertools
import os

import numpy as np

import onefold as of

RATE = 1e-3


def products(widths):
    """Fused multiply-adds of one row in onefold's three products, by kernel.

    Each layer of a inputs and b outputs has a * b in each, but nothing goes back through the first.
    """
    pairs = list(itertools.pairwise(widths))
    every = sum(a * b for a, b in pairs)
    first = pairs[0][0] * pairs[0][1]
    return {
        "linear_forward": every,
        "linear_backward": every - first,
        "weight_gradient": every,
    }


def multiplications(widths):
    """Fused multiply-adds of one row: forward, backward and gradient."""
    return sum(products(widths).values())


def initial_weights(widths):
    """He's initial weights and zero biases."""
    rng = np.random.default_rng(1)
    return [
        ((rng.normal(size=(a, b)) * np.sqrt(2 / a)).astype(np.float32), np.zeros(b, np.float32))
        for a, b in itertools.pairwise(widths)
    ]


def make_data(widths, rows):
    """Inputs, and labels (or values, where there is one output)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, widths[0])).astype(np.float32)
    if widths[-1] == 1:
        return x, rng.normal(size=rows).astype(np.float32)
    return x, rng.integers(0, widths[-1], rows).astype(np.int32)


class Onefold:
    """onefold through its public interface."""

    name = "onefold"

    def __init__(self, widths, batch, weights, threads):
        layers = [of.Dense(w, "relu") for w in widths[1:-1]] + [of.Dense(widths[-1])]
        self.net = of.Network(layers, inputs=widths[0])
        for i, (weight, bias) in enumerate(weights):
            self.net.parameters[f"dense_{i}.weight"] = weight
            self.net.parameters[f"dense_{i}.bias"] = bias
        self.optimizer = of.Adam(RATE)
        self.loss = "squared_error" if widths[-1] == 1 else "cross_entropy"
        self.options = {"batch_size": batch, "threads": threads}

    def run(self, x, y, **options):
        history = self.net.fit(
            x, y, loss=self.loss, optimizer=self.optimizer, epochs=1, shuffle=False, verbose=0,
            **{**self.options, **options},
        )  # fmt: skip
        return history.logs["loss"][0]


class Torch:
    """PyTorch, an update at a time, eager or compiled."""

    name = "PyTorch eager"
    compiled = False

    def __init__(self, widths, batch, weights, threads):
        import torch

        torch.set_num_threads(threads)
        layers = []
        for i, (weight, bias) in enumerate(weights):
            linear = torch.nn.Linear(*weight.shape)
            linear.weight.data = torch.tensor(weight.T.copy())
            linear.bias.data = torch.tensor(bias)
            layers += [linear, torch.nn.ReLU()] if i < len(weights) - 1 else [linear]
        net = torch.nn.Sequential(*layers)
        one = widths[-1] == 1
        loss_of = torch.nn.functional.mse_loss if one else torch.nn.functional.cross_entropy
        optimizer = torch.optim.Adam(net.parameters(), lr=RATE)

        def forward(x, y):
            out = net(x)
            return loss_of(out[:, 0] if one else out, y)

        if self.compiled:
            torch._dynamo.reset()  # what other networks compiled counts towards its limit
        forward = torch.compile(forward) if self.compiled else forward
        step = torch.compile(optimizer.step) if self.compiled else optimizer.step

        def update(x, y):
            optimizer.zero_grad()
            loss = forward(x, y)
            loss.backward()
            step()
            return loss.detach()

        self.torch, self.update, self.batch, self.one = torch, update, batch, one

    def run(self, x, y):
        x, y = self.torch.from_numpy(x), self.torch.from_numpy(y)
        y = y if self.one else y.long()
        total = 0.0
        for first in range(0, len(x), self.batch):
            part = slice(first, first + self.batch)
            total += self.update(x[part], y[part])
        return float(total) / (len(x) // self.batch)


class TorchCompiled(Torch):
    """PyTorch with forward, backward and the optimizer's step compiled."""

    name = "torch.compile"
    compiled = True


class Jax:
    """JAX, an epoch in one jitted scan."""

    name = "JAX jit + scan"

    def __init__(self, widths, batch, weights, threads):
        import jax
        import jax.numpy as jnp

        self.jax, self.batch = jax, batch
        self.weights = [(jnp.array(w), jnp.array(b)) for w, b in weights]
        zeros = jax.tree.map(jnp.zeros_like, self.weights)
        self.state = (zeros, jax.tree.map(jnp.zeros_like, zeros), jnp.zeros((), jnp.float32))

        def loss_of(weights, x, y):
            for w, b in weights[:-1]:
                x = jax.nn.relu(x @ w + b)
            out = x @ weights[-1][0] + weights[-1][1]
            if widths[-1] == 1:
                return ((out[:, 0] - y) ** 2).mean()
            picked = jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], axis=1)
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


class Keras:
    """Keras 3 on JAX, `fit` as users call it."""

    name = "Keras 3"

    def __init__(self, widths, batch, weights, threads):
        os.environ.setdefault("KERAS_BACKEND", "jax")
        import keras

        layers = [keras.layers.Dense(w, "relu") for w in widths[1:-1]]
        self.net = keras.Sequential(
            [keras.Input((widths[0],)), *layers, keras.layers.Dense(widths[-1])]
        )
        self.net.set_weights([array for pair in weights for array in pair])
        loss = (
            keras.losses.MeanSquaredError()
            if widths[-1] == 1
            else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        self.net.compile(keras.optimizers.Adam(RATE, epsilon=1e-8), loss, steps_per_execution=8)
        self.batch = batch

    def run(self, x, y):
        history = self.net.fit(x, y, batch_size=self.batch, epochs=1, shuffle=False, verbose=0)
        return history.history["loss"][0]


class ScikitLearn:
    """scikit-learn's multi-layer perceptron, one epoch of `partial_fit`."""

    name = "scikit-learn"

    def __init__(self, widths, batch, weights, threads):
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        kind = MLPRegressor if widths[-1] == 1 else MLPClassifier
        self.options = {"classes": np.arange(widths[-1])} if widths[-1] > 1 else {}
        self.net = kind(
            hidden_layer_sizes=widths[1:-1],
            alpha=0,
            batch_size=batch,
            learning_rate_init=RATE,
            shuffle=False,
        )
        # Two classes are one output there: half the last layer, so its loss is not compared.
        self.comparable = widths[-1] != 2
        self.factor = 2 if widths[-1] == 1 else 1  # half the squared error
        self.weights, self.started = weights, False

    def run(self, x, y):
        if not self.started:
            self.started = True
            self.net.partial_fit(x[: self.net.batch_size], y[: self.net.batch_size], **self.options)
            if self.comparable:
                for place, (weight, bias) in enumerate(self.weights):
                    self.net.coefs_[place][...] = weight
                    self.net.intercepts_[place][...] = bias
                self.net._optimizer = type(self.net._optimizer)(
                    self.net.coefs_ + self.net.intercepts_, RATE
                )
        self.net.partial_fit(x, y)
        return self.net.loss_ * self.factor if self.comparable else None


SIDES = [Onefold, Torch, TorchCompiled, Jax, Keras, ScikitLearn]
