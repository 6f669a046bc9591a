"""An embedding is a linear layer over one-hot rows, without the zeros."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truth_shared import differences

import onefold as of
from onefold.nn import losses
from onefold.program import External
from onefold.reference.executor import Run


def reference(net, X, y, loss):
    """Loss and gradients of the float64 reference."""
    chosen = losses.get(loss)
    targets = chosen.targets(np.asarray(y), net.outputs, np.dtype(net.dtype))
    plan = chosen.plan(net.outputs, targets.labels, net._architecture.final_activation)
    program = net._architecture.training(plan, weighted=False)
    values = [
        np.asarray(net.parameters[name], dtype=float).reshape(spec.matrix)
        for name, _, spec in net._architecture.parameters
    ]
    run = Run(program, values, {External.INPUTS: X, External.TARGETS: targets.array}).run()
    return run.loss_total / len(X), [g / len(X) for g in run.gradients]


def coded(rows, counts, inputs, rng, dtype=np.float64):
    """Rows with codes in the columns of `counts`, and numbers in the others."""
    X = rng.normal(size=(rows, inputs)).astype(dtype)
    for column, count in counts.items():
        X[:, column] = rng.integers(0, count, rows)
    return X


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1, 8, 37])
def test_it_is_a_dense_layer_over_one_hot_rows(dtype, size):
    rng = np.random.default_rng(size)
    codes = rng.integers(0, 30, 200)
    y = rng.integers(0, 3, 200)
    tail = [of.Dense(7, "tanh"), of.Dense(3)]
    net = of.Network([of.Embedding({0: 30}, size), *tail], inputs=1, dtype=dtype)
    other = of.Network(
        [of.Dense(size, use_bias=False), of.Dense(7, "tanh"), of.Dense(3)], inputs=30, dtype=dtype
    )
    other.parameters["dense_0.weight"] = net.parameters["embedding_0.column_0"]
    for i in range(2):
        for part in ("weight", "bias"):
            other.parameters[f"dense_{i + 1}.{part}"] = net.parameters[f"dense_{i}.{part}"]
    one_hot = np.eye(30, dtype=dtype)[codes]
    X = codes[:, None].astype(dtype)
    expected = reference(other, one_hot, y, "cross_entropy")
    for mine, theirs in zip(reference(net, X, y, "cross_entropy")[1], expected[1], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-13, atol=1e-15)
    # The chains are the same, and so are the bits.
    np.testing.assert_array_equal(net.predict(X), other.predict(one_hot))
    for n, x in ((net, X), (other, one_hot)):
        n.fit(
            x, y, loss="cross_entropy", optimizer=of.Adam(0.01), epochs=3, batch_size=64, verbose=0
        )
    np.testing.assert_array_equal(
        net.parameters["embedding_0.column_0"], other.parameters["dense_0.weight"]
    )
    np.testing.assert_array_equal(
        net.parameters["dense_1.weight"], other.parameters["dense_2.weight"]
    )


@settings(max_examples=30, deadline=None)
@given(
    counts=st.dictionaries(st.integers(0, 8), st.integers(1, 90), min_size=1, max_size=5),
    sizes=st.lists(st.integers(1, 70), min_size=5, max_size=5),
    rows=st.integers(1, 80),
    twice=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_native_gradient_is_the_references(counts, sizes, rows, twice, dtype):
    rng = np.random.default_rng(rows)
    X = coded(rows, counts, 9, rng, dtype)
    y = rng.normal(size=(rows, 2)).astype(dtype)
    layers = [of.Embedding(counts, dict(zip(counts, sizes, strict=False)))]
    if twice:  # one that is not the first: its codes are passed on by the first
        column = next(i for i in range(9) if i not in counts)
        place = column - sum(other < column for other in counts)
        X[:, column] = rng.integers(0, 6, rows)
        layers.append(of.Embedding({place: 6}, 3))
    net = of.Network([*layers, of.Dense(5, "tanh"), of.Dense(2)], inputs=9, dtype=dtype)
    value, gradient = net.loss_and_gradient(X, y, micro_batch=11)
    expected, expected_gradient = reference(net, X, y, "squared_error")
    tolerance = 3e-4 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(value, expected, rtol=tolerance)
    for name, truth in zip(gradient, expected_gradient, strict=True):
        np.testing.assert_allclose(
            gradient[name].reshape(truth.shape), truth, rtol=tolerance, atol=tolerance
        )


def test_gradient_against_fourth_order_differences():
    rng = np.random.default_rng(3)
    counts = {2: 4, 0: 3}
    X, y = coded(12, counts, 4, rng), rng.dirichlet([1, 1], 12)
    X[:, 3] = rng.integers(0, 2, 12)
    layers = [of.Embedding(counts, {2: 2, 0: 3}), of.Embedding({1: 2}, 2), of.Dense(5, "tanh")]
    net = of.Network([*layers, of.Dense(2)], inputs=4, seed=1, dtype="float64")
    _, gradient = net.loss_and_gradient(X, y, loss="cross_entropy")
    h = 1e-4
    for name in net.parameters:
        for place, difference in differences(net, name, h, X, y, "cross_entropy"):
            assert abs(gradient[name][place] - difference) < 1e-10


def test_gradient_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    X, y = coded(60, {1: 20}, 3, rng), rng.normal(size=(60, 2))
    net = of.Network([of.Embedding({1: 20}, 5), of.Dense(2)], inputs=3, dtype="float64")
    table, weight = (
        torch.tensor(net.parameters[name], requires_grad=True)
        for name in ("embedding_0.column_1", "dense_0.weight")
    )
    vectors = torch.nn.functional.embedding(torch.tensor(X[:, 1].astype(int)), table)
    joined = torch.cat([torch.tensor(X[:, [0, 2]]), vectors], dim=1)
    theirs = torch.nn.functional.mse_loss(joined @ weight, torch.tensor(y))
    theirs.backward()
    loss, gradient = net.loss_and_gradient(X, y)
    np.testing.assert_allclose(loss, theirs.item(), rtol=1e-12)
    np.testing.assert_allclose(gradient["embedding_0.column_1"], table.grad, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(gradient["dense_0.weight"], weight.grad, rtol=1e-9, atol=1e-13)


def test_columns_stand_in_the_stated_order():
    net = of.Network(
        [of.Embedding({3: 2, 1: 3}, {3: 1, 1: 2}), of.Dense(5, use_bias=False)], inputs=4
    )
    assert net.layers[0].outputs(4) == 5
    net.parameters["embedding_0.column_3"] = np.array([[30], [31]])
    net.parameters["embedding_0.column_1"] = np.array([[10, 11], [12, 13], [14, 15]])
    net.parameters["dense_0.weight"] = np.eye(5)
    found = net.predict(np.array([[1, 2, 3, 0], [4, 0, 6, 1]]))
    np.testing.assert_array_equal(found, [[1, 3, 30, 14, 15], [4, 6, 31, 10, 11]])


def test_first_values_do_not_shift_another_layers():
    nets = [
        of.Network([*first, of.Dense(4)], inputs=3, seed=5) for first in ([], [of.Dropout(0.1)])
    ]
    nets += [of.Network([of.Embedding({0: 9}, 1), of.Dense(4)], inputs=3, seed=5)]
    assert len({net.parameters["dense_0.weight"].tobytes() for net in nets}) == 1
    table = nets[2].parameters["embedding_0.column_0"]
    assert np.abs(table).max() <= 0.05
    larger = of.Network([of.Embedding({0: 90}, 1), of.Dense(4)], inputs=3, seed=5)
    np.testing.assert_array_equal(larger.parameters["embedding_0.column_0"][:9], table)


def test_it_learns_what_no_number_says():
    rng = np.random.default_rng(0)
    worth = rng.normal(size=300)
    codes = rng.integers(0, 300, 6000)
    X = np.c_[codes, rng.normal(size=6000)]
    y = worth[codes] + 0.3 * X[:, 1]
    net = of.Network([of.Embedding({0: 300}), of.Dense(16, "relu"), of.Dense(1)], inputs=2)
    net.fit(X, y, optimizer=of.Adam(0.01), epochs=20, batch_size=64, verbose=0)
    assert net.evaluate(X, y) < 0.05 * y.var()
