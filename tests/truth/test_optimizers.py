"""Optimizers step by step against PyTorch, and schedules against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

import onefold as of
from onefold.optim import (
    SCHEDULES,
    Cosine,
    Exponential,
    Inverse,
    OneCycle,
    Polynomial,
    ReduceOnPlateau,
    Step,
    from_config,
    schedules,
)

CASES = {
    "sgd": (lambda: of.SGD(0.1, weight_decay=0.01), lambda t, p: t.SGD(p, 0.1, weight_decay=0.01)),
    "momentum": (lambda: of.SGD(0.1, momentum=0.9), lambda t, p: t.SGD(p, 0.1, momentum=0.9)),
    "nesterov": (
        lambda: of.SGD(0.1, momentum=0.9, nesterov=True),
        lambda t, p: t.SGD(p, 0.1, momentum=0.9, nesterov=True),
    ),
    "adam": (
        lambda: of.Adam(0.01, weight_decay=0.1),
        lambda t, p: t.Adam(p, 0.01, weight_decay=0.1),
    ),
    "amsgrad": (lambda: of.Adam(0.01, amsgrad=True), lambda t, p: t.Adam(p, 0.01, amsgrad=True)),
    "adamw": (lambda: of.AdamW(0.01), lambda t, p: t.AdamW(p, 0.01)),
    "adamax": (lambda: of.Adamax(0.01), lambda t, p: t.Adamax(p, 0.01)),
    "nadam": (lambda: of.Nadam(0.01), lambda t, p: t.NAdam(p, 0.01)),
    "rmsprop": (lambda: of.RMSprop(0.01, rho=0.99), lambda t, p: t.RMSprop(p, 0.01)),
    "rmsprop_momentum": (
        lambda: of.RMSprop(0.01, rho=0.99, momentum=0.9),
        lambda t, p: t.RMSprop(p, 0.01, momentum=0.9),
    ),
    "adagrad": (
        lambda: of.Adagrad(0.01, initial_accumulator=0.1),
        lambda t, p: t.Adagrad(p, 0.01, initial_accumulator_value=0.1),
    ),
    "adadelta": (lambda: of.Adadelta(1.0), lambda t, p: t.Adadelta(p, 1.0)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_training_agrees_with_pytorch_step_by_step(name, dtype, clip):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 9)).astype(dtype)
    y = rng.integers(0, 3, 64)
    net = of.Network([of.Dense(20, "tanh"), of.Dense(3)], inputs=9, dtype=dtype)
    kind = getattr(torch, dtype)
    layers = [
        torch.nn.Linear(9, 20, dtype=kind),
        torch.nn.Tanh(),
        torch.nn.Linear(20, 3, dtype=kind),
    ]
    other = torch.nn.Sequential(*layers)
    for i, layer in enumerate((layers[0], layers[2])):
        layer.weight.data = torch.tensor(net.parameters[f"dense_{i}.weight"].T.copy())
        layer.bias.data = torch.tensor(net.parameters[f"dense_{i}.bias"])
    optimizer = CASES[name][0]()
    optimizer.decay_biases = True
    optimizer.clip_global_norm = clip
    theirs = CASES[name][1](torch.optim, other.parameters())
    # Divisions by roots of tiny moments amplify rounding in the first steps; the rest stays put.
    tolerance = 2e-4 if dtype == "float32" else 2e-9
    for _ in range(25):
        net.fit(X, y, loss="cross_entropy", optimizer=optimizer, epochs=1, batch_size=64, verbose=0)
        theirs.zero_grad()
        torch.nn.functional.cross_entropy(other(torch.tensor(X)), torch.tensor(y)).backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(other.parameters(), clip)
        theirs.step()
        for i, layer in enumerate((layers[0], layers[2])):
            weight = layer.weight.detach().numpy().T
            if clip is None:
                np.testing.assert_allclose(
                    net.parameters[f"dense_{i}.weight"], weight, atol=tolerance
                )
            else:  # PyTorch adds 1e-6 to the norm it divides by
                np.testing.assert_allclose(net.parameters[f"dense_{i}.weight"], weight, atol=3e-4)


def test_lion_takes_steps_of_its_rate():
    X = np.eye(4, dtype=np.float32)
    net = of.Network([of.Dense(1, use_bias=False, weight_initializer="zeros")], inputs=4)
    optimizer = of.Lion(0.25, beta_1=0.9, beta_2=0.5)
    y = np.array([1.0, -1.0, 2.0, 0.0])
    net.fit(X, y, loss="squared_error", optimizer=optimizer, epochs=1, batch_size=4, verbose=0)
    np.testing.assert_array_equal(net.parameters["dense_0.weight"][:, 0], [0.25, -0.25, 0.25, 0.0])


def test_clip_value_bounds_every_element():
    X = np.eye(3, dtype=np.float32)
    net = of.Network([of.Dense(1, use_bias=False, weight_initializer="zeros")], inputs=3)
    optimizer = of.SGD(1.0, clip_value=0.5)
    net.fit(
        X,
        [9.0, -9.0, 0.3],
        loss="squared_error",
        optimizer=optimizer,
        epochs=1,
        batch_size=3,
        verbose=0,
    )
    np.testing.assert_allclose(net.parameters["dense_0.weight"][:, 0], [0.5, -0.5, 0.2], rtol=1e-6)


def test_biases_do_not_decay_unless_asked():
    for decay_biases in (False, True):
        net = of.Network([of.Dense(2, bias_initializer="ones")], inputs=1)
        before = net.parameters
        weight = before["dense_0.weight"]
        optimizer = of.AdamW(0.1, weight_decay=0.5, decay_biases=decay_biases)
        with net.accumulate(loss="squared_error", optimizer=optimizer) as step:
            x = np.zeros((1, 1), np.float32)
            step.add(x, np.ones((1, 2), np.float32))
        np.testing.assert_allclose(net.parameters["dense_0.weight"], weight * 0.95, rtol=1e-6)
        expected = 0.95 if decay_biases else 1.0
        np.testing.assert_allclose(net.parameters["dense_0.bias"], expected, rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3, 100, 4096, 5000])
@pytest.mark.parametrize("first", [0, 1, 4095, 60_000, 2**31])
def test_powers_are_the_products_of_squaring(count, first):
    def by_squaring(base, exponent):
        result = 1.0
        for bit in range(exponent.bit_length()):
            result *= base if exponent >> bit & 1 else 1.0
            base *= base
        return result

    exponents = np.arange(first, first + count)
    for base in (0.9, 0.999, 1.0, 0.0):
        expected = [by_squaring(base, int(e)) for e in exponents]
        np.testing.assert_array_equal(schedules.powers(base, exponents.astype(float)), expected)
        shuffled = np.random.default_rng(count).permutation(count)
        np.testing.assert_array_equal(
            schedules.powers(base, exponents[shuffled].astype(float)), np.array(expected)[shuffled]
        )


def test_schedules_against_their_formulas():
    t = np.arange(100)
    np.testing.assert_allclose(Step(1.0, factor=0.5, every=30).values(0, 100), 0.5 ** (t // 30))
    np.testing.assert_allclose(Exponential(2.0, factor=0.9).values(0, 100), 2 * 0.9**t, rtol=1e-13)
    np.testing.assert_allclose(
        Inverse(1.0, power=0.5).values(0, 100), 1 / np.sqrt(1 + t), rtol=1e-13
    )
    np.testing.assert_allclose(
        Polynomial(1.0, final=0.1, power=2.0).values(0, 100, total=100),
        0.1 + 0.9 * (1 - t / 100) ** 2,
    )
    np.testing.assert_allclose(
        Cosine(1.0, warmup=10).values(0, 100, total=100),
        np.where(t < 10, (t + 1) / 10, 0.5 * (1 + np.cos(np.pi * np.maximum(t - 10, 0) / 90))),
        atol=1e-15,
    )
    restarted = Cosine(1.0, updates=10, restart_factor=2.0).values(0, 100)
    assert restarted[[0, 10, 30, 70]].tolist() == [1.0] * 4
    assert (np.diff(restarted)[[9, 29, 69]] > 0.9).all()
    epochs = Step(1.0, factor=0.1, every=1, unit="epoch").values(0, 9, per_epoch=3)
    np.testing.assert_allclose(epochs, [1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01])


def test_one_cycle_is_pytorchs():
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=50)
    rates = []
    for _ in range(50):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step() if len(rates) < 50 else None
    np.testing.assert_allclose(OneCycle(0.5).values(0, 50, total=50), rates, rtol=1e-12)


def test_plateau():
    schedule = ReduceOnPlateau(1.0, factor=0.5, patience=1)
    rates = []
    for loss in (1.0, 0.5, 0.5, 0.5, 0.4, 0.4, 0.4):
        schedule.observe(loss)
        rates.append(schedule.values(0, 1)[0])
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_does_not_depend_on_where_it_is_asked(name):
    schedule = SCHEDULES[name](0.1)
    whole = schedule.values(0, 60, 60, 10)
    pieces = [schedule.values(i, 1, 60, 10) for i in range(60)]
    np.testing.assert_array_equal(whole, np.concatenate(pieces))
    assert schedules.from_config(schedule.to_config()) == schedule


@pytest.mark.parametrize("name", of.optim.OPTIMIZERS)
def test_configs_come_back(name):
    optimizer = of.optim.get(name, learning_rate=Cosine(0.3, warmup=3), clip_value=1.0)
    assert from_config(optimizer.to_config()).to_config() == optimizer.to_config()
    scalars = optimizer.scalars(7, 5, np.full(5, 0.1))
    one_by_one = [optimizer.scalars(7 + i, 1, np.full(1, 0.1)) for i in range(5)]
    np.testing.assert_array_equal(scalars, np.concatenate(one_by_one))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: of.Adam(-1), "learning_rate is a Schedule, or a number from 0 up, not -1"),
        (lambda: of.Adam(math.nan), "learning_rate"),
        (lambda: of.Adam(beta_1=1.0), "beta_1 is from 0 up to, not including, 1, not 1.0"),
        (lambda: of.SGD(0.1, nesterov=True), "momentum is positive with nesterov"),
        (lambda: of.Adam(clip_value=0), "clip_value is positive, or None, not 0"),
        (lambda: of.RMSprop(epsilon=0), "epsilon is positive"),
        (lambda: Step(0.0), "the initial learning rate is positive"),
        (lambda: Cosine(0.1, warmup=-1), "warmup is zero or more"),
        (lambda: of.optim.get("adm"), "unknown optimizer 'adm'; did you mean 'adam'"),
        (
            lambda: of.optim.get("adam", bta_1=0.5),
            "adam has no option 'bta_1'; did you mean 'beta_1'",
        ),
        (lambda: Polynomial(0.1).values(0, 1), "polynomial needs updates="),
    ],
)
def test_bad_options_say_what_would_do(make, message):
    with pytest.raises(of.OptionError, match=message.replace("(", r"\(")):
        make()
