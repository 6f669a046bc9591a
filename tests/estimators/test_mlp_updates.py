"""What the executor does for the multi-layer perceptrons: a record of the updates, a scaled gradient."""

import numpy as np
import pytest

import onefold as of
from onefold.nn import losses
from onefold.train.session import Session
from onefold.train.state import OptimizerState

RNG = np.random.RandomState(1)
X = RNG.standard_normal((90, 40)).astype(np.float32)
Y = RNG.standard_normal((90, 2)).astype(np.float32)
W = RNG.uniform(size=(90, 1)).astype(np.float32)


def session(optimizer, *, scale=1.0, threads=1, micro_batch="auto", seed=0):
    net = of.Network([of.Dense(300, "relu"), of.Dense(2)], inputs=40, seed=seed)
    made = Session(
        net._architecture, net._state, losses.get("squared_error"), labels=False, weighted=True,
        batch_size=25, micro_batch=micro_batch, threads=threads, optimizer=optimizer,
        optimizer_state=OptimizerState(net._architecture, optimizer.states), scale=scale, recorded=True,
    )  # fmt: skip
    return net, made


def train(made, columns=3):
    scalars = made.scalars(4, None, None)
    record = np.full((4, columns), np.nan)
    totals = made.executor.train(
        X, Y, W, None, batch_size=25, first_batch=0, first_update=0, scalars=scalars, seconds=0.0,
        loss=0.0, weight=0.0, record=record,
    )  # fmt: skip
    return record, totals


def test_the_record_of_a_run():
    net, made = session(of.SGD(0.1))
    before = [net.parameters[f"dense_{i}.weight"] for i in range(2)]
    record, (outcome, count, loss, weight, last_loss, last_weight) = train(made)
    assert (outcome, count) == (0, 4)
    assert record[:, 0].sum() == pytest.approx(loss)
    assert record[:, 1].sum() == pytest.approx(weight)
    assert tuple(record[3, :2]) == (last_loss, last_weight)
    np.testing.assert_allclose(
        record[:, 1], [W[i : i + 25].sum() for i in (0, 25, 50, 75)], rtol=1e-6
    )
    # The squares are those of the weights, biases apart, before the update.
    squares = sum(np.square(w.astype(float)).sum() for w in before)
    assert record[0, 2] == pytest.approx(squares, rel=1e-12)
    assert len(set(record[:, 2])) == 4
    after = sum(
        np.square(net.parameters[f"dense_{i}.weight"].astype(float)).sum() for i in range(2)
    )
    assert made.executor.weight_squares() == pytest.approx(after, rel=1e-12)


def test_the_record_does_not_depend_on_threads_and_cuts():
    first, _ = train(session(of.Adam())[1])
    for options in ({"threads": 2}, {"micro_batch": 7, "threads": 2}, {"micro_batch": 1}):
        net, made = session(of.Adam(), **options)
        np.testing.assert_array_equal(train(made)[0], first)
    without = session(of.Adam())
    train(without[1], columns=2)
    assert without[0].fingerprint() == net.fingerprint()


def test_a_scaled_gradient():
    """By a power of two it is exactly a learning rate so much larger, for plain descent."""
    scaled, made = session(of.SGD(0.01), scale=4.0)
    train(made)
    faster, other = session(of.SGD(0.04))
    train(other)
    np.testing.assert_allclose(
        scaled.parameters["dense_0.weight"],
        faster.parameters["dense_0.weight"],
        rtol=1e-5,
        atol=1e-7,
    )
    whole = session(of.SGD(0.01), scale=4.0)[1]
    once = session(of.SGD(0.01))[1]
    for each in (whole, once):
        each.executor.begin(0)
        each.executor.add(X, Y, W)
    gradient = once.mean_gradient()
    for name, array in whole.mean_gradient().items():
        np.testing.assert_array_equal(array, gradient[name] * 4)
    assert whole.executor.gradient_norm() == pytest.approx(4 * once.executor.gradient_norm())


def test_a_record_of_the_wrong_shape():
    _, made = session(of.SGD(0.1))
    with pytest.raises(ValueError, match="record"):
        train(made, columns=1)
