"""Training comes out as mathematics and other libraries say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truth_shared import differences

import onefold as of
from onefold.nn import losses
from onefold.nn.activations import ACTIVATIONS
from onefold.program import External
from onefold.reference.executor import Run

SMOOTH = [
    "tanh",
    "sigmoid",
    "gelu",
    "gelu_tanh",
    "silu",
    "mish",
    "softplus",
    "log_sigmoid",
    "softsign",
]


def twin(net, X, y, loss, w=None, update=0, parameters=None):
    """The same training program in the float64 reference."""
    chosen = losses.get(loss)
    targets = chosen.targets(np.asarray(y), net.outputs, np.dtype(net.dtype))
    plan = chosen.plan(net.outputs, targets.labels, net._architecture.final_activation)
    program = net._architecture.training(plan, weighted=w is not None)
    arrays = {External.INPUTS: X, External.TARGETS: targets.array}
    if w is not None:
        arrays[External.WEIGHTS] = w
    values = parameters or [
        np.asarray(net.parameters[name], dtype=float).reshape(spec.matrix)
        for name, _, spec in net._architecture.parameters
    ]
    run = Run(program, values, arrays, seed=net.seed, update=update).run()
    total = len(X) if w is None else float(np.sum(w))
    return run.loss_total / total, [g / total for g in run.gradients]


@settings(max_examples=40, deadline=None)
@given(
    activations=st.lists(st.sampled_from(sorted(set(ACTIVATIONS) - {"exponential"})), max_size=3),
    width=st.integers(1, 40),
    rows=st.integers(1, 60),
    outputs=st.integers(1, 20),
    rate=st.sampled_from([0.0, 0.4]),
    loss=st.sampled_from(["squared_error", "cross_entropy", "log_cosh", "cosine_similarity"]),
    weighted=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_native_gradient_is_the_references(
    activations, width, rows, outputs, rate, loss, weighted, dtype
):
    if loss == "cosine_similarity":
        outputs += (
            1  # of one number it is 1 or -1, and the gradient a difference of equal terms, 1 / |z|
        )
    rng = np.random.default_rng(rows)
    X = rng.normal(size=(rows, 5)).astype(dtype)
    y = rng.random((rows, outputs)).astype(dtype)
    w = rng.integers(0, 3, rows).astype(dtype) + (np.arange(rows) == 0) if weighted else None
    layers = []
    for name in activations:
        layers += [of.Dense(width, name), of.Dropout(rate)]
    net = of.Network([*layers, of.Dense(outputs)], inputs=5, seed=2, dtype=dtype)
    value, gradient = net.loss_and_gradient(X, y, loss=loss, sample_weight=w, micro_batch=7)
    expected, expected_gradient = twin(net, X, y, loss, w)
    tolerance = 3e-4 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance)
    for name, truth in zip(gradient, expected_gradient, strict=True):
        scale = max(1.0, float(np.abs(truth).max()))
        np.testing.assert_allclose(
            gradient[name].reshape(truth.shape), truth, rtol=tolerance, atol=tolerance * scale
        )


@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy", "log_cosh", "poisson"])
@pytest.mark.parametrize("activation", [*SMOOTH, "prelu", "softmax", "log_softmax", "selu"])
def test_gradient_of_a_network_against_fourth_order_differences(loss, activation):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(12, 4))
    y = (
        rng.integers(0, 3, (12, 2)).astype(float)
        if loss == "poisson"
        else rng.dirichlet([1, 1], 12)
    )
    net = of.Network([of.Dense(5, activation), of.Dense(2)], inputs=4, seed=1, dtype="float64")
    _, gradient = net.loss_and_gradient(X, y, loss=loss)
    h = 1e-5  # so small that no kink is crossed
    for name in net.parameters:
        for place, difference in differences(net, name, h, X, y, loss):
            assert abs(gradient[name][place] - difference) < 2e-8 * max(1, abs(difference))


def test_one_neuron_is_least_squares():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 6))
    y = X @ rng.normal(size=6) + 0.7 + rng.normal(size=200)
    net = of.Network([of.Dense(1)], inputs=6, dtype="float64")
    net.fit(
        X, y, loss="squared_error", optimizer=of.SGD(0.2), epochs=500, batch_size=200, verbose=0
    )
    solution = np.linalg.lstsq(np.c_[X, np.ones(200)], y, rcond=None)[0]
    np.testing.assert_allclose(net.parameters["dense_0.weight"][:, 0], solution[:6], atol=1e-10)
    np.testing.assert_allclose(net.parameters["dense_0.bias"], solution[6:], atol=1e-10)


@pytest.mark.parametrize("ending", ["linear", "sigmoid"])
def test_one_neuron_is_logistic_regression(ending):
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 4))
    y = (X @ [1.0, -2.0, 0.5, 0.0] + rng.normal(size=300) > 0).astype(int)
    w = rng.random(300)
    theirs = linear_model.LogisticRegression(C=np.inf, tol=1e-12, max_iter=2000).fit(X, y, w)
    net = of.Network([of.Dense(1, ending)], inputs=4, dtype="float64")
    net.fit(
        X, y, loss="cross_entropy", optimizer=of.SGD(2.0, momentum=0.9), epochs=3000, batch_size=300,
        sample_weight=w, verbose=0,
    )  # fmt: skip
    np.testing.assert_allclose(net.parameters["dense_0.weight"][:, 0], theirs.coef_[0], atol=1e-5)
    np.testing.assert_allclose(net.predict_proba(X)[:, 0], theirs.predict_proba(X)[:, 1], atol=1e-5)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_agrees_with_scikit_learn(solver):
    neural = pytest.importorskip("sklearn.neural_network")
    rng = np.random.default_rng(2)
    X = rng.normal(size=(120, 7))
    y = rng.integers(0, 3, 120)
    options = {
        "hidden_layer_sizes": (16, 9), "activation": "tanh", "solver": solver, "alpha": 0.0,
        "batch_size": 30, "shuffle": False, "momentum": 0.9, "epsilon": 1e-13, "random_state": 0,
    }  # fmt: skip
    # A step of no length shows the initial weights.
    start = neural.MLPClassifier(**options, learning_rate_init=1e-300).partial_fit(
        X, y, classes=[0, 1, 2]
    )
    theirs = neural.MLPClassifier(**options, learning_rate_init=0.01)
    net = of.Network(
        [of.Dense(16, "tanh"), of.Dense(9, "tanh"), of.Dense(3)], inputs=7, dtype="float64"
    )
    for i in range(3):
        net.parameters[f"dense_{i}.weight"] = start.coefs_[i]
        net.parameters[f"dense_{i}.bias"] = start.intercepts_[i]
    optimizer = of.SGD(0.01, momentum=0.9, nesterov=True)
    if solver == "adam":
        optimizer = of.Adam(0.01, epsilon=1e-13)
    for _ in range(20):
        theirs.partial_fit(X, y, classes=[0, 1, 2])
        history = net.fit(
            X, y, loss="cross_entropy", optimizer=optimizer, epochs=1, batch_size=30, shuffle=False,
            verbose=0,
        )  # fmt: skip
        assert history.logs["loss"][0] == pytest.approx(theirs.loss_curve_[-1], rel=1e-7)
        for i in range(3):
            np.testing.assert_allclose(
                net.parameters[f"dense_{i}.weight"], theirs.coefs_[i], atol=1e-7
            )


LOSSES_OF_TORCH = {
    "squared_error": lambda F, z, y: F.mse_loss(z, y),
    "absolute_error": lambda F, z, y: F.l1_loss(z, y),
    "huber": lambda F, z, y: F.huber_loss(z, y),
    "cross_entropy": lambda F, z, y: F.cross_entropy(z, y),
    "binary_cross_entropy": lambda F, z, y: F.binary_cross_entropy_with_logits(z, y),
    "poisson": lambda F, z, y: F.poisson_nll_loss(z, y),
    "gamma": lambda F, z, y: (z + y * (-z).exp()).mean(),
    "kl_divergence": lambda F, z, y: F.kl_div(F.log_softmax(z, 1), y, reduction="batchmean"),
    "cosine_similarity": lambda F, z, y: (1 - F.cosine_similarity(z, y)).mean(),
}


@pytest.mark.parametrize("name", LOSSES_OF_TORCH)
def test_losses_agree_with_pytorch(name):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    X = rng.normal(size=(30, 6))
    y = rng.dirichlet(np.ones(6), 30)
    net = of.Network([of.Dense(6)], inputs=6, dtype="float64")
    weight = torch.tensor(net.parameters["dense_0.weight"], requires_grad=True)
    theirs = LOSSES_OF_TORCH[name](torch.nn.functional, torch.tensor(X) @ weight, torch.tensor(y))
    theirs.backward()
    loss, gradient = net.loss_and_gradient(X, y, loss=name)
    np.testing.assert_allclose(loss, theirs.item(), rtol=1e-12)
    np.testing.assert_allclose(
        gradient["dense_0.weight"], weight.grad.numpy(), rtol=1e-9, atol=1e-12
    )


def test_smoothed_cross_entropy_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(30, 6)), rng.integers(0, 5, 30)
    net = of.Network([of.Dense(5)], inputs=6, dtype="float64")
    theirs = torch.nn.functional.cross_entropy(
        torch.tensor(net.predict(X)), torch.tensor(y), label_smoothing=0.2
    )
    for loss in (of.CrossEntropy(0.2), losses.SparseCategoricalCrossEntropy(0.2)):
        np.testing.assert_allclose(net.evaluate(X, y, loss=loss), float(theirs), rtol=1e-12)
    one_hot = np.eye(5)[y]
    np.testing.assert_allclose(net.evaluate(X, one_hot, loss=of.CrossEntropy(0.2)), float(theirs))


@pytest.mark.parametrize(
    ("ending", "loss"),
    [("softmax", "cross_entropy"), ("softmax", "kl_divergence"), ("sigmoid", "binary_cross_entropy"),
     ("exponential", "poisson"), ("exponential", "gamma")],
)  # fmt: skip
def test_a_fused_ending_is_the_linear_one(ending, loss):
    rng = np.random.default_rng(6)
    X, y = rng.normal(size=(40, 5)), rng.dirichlet([1, 1, 1], 40)
    nets = [of.Network([of.Dense(3, a)], inputs=5, dtype="float64") for a in ("linear", ending)]
    nets[1].parameters["dense_0.weight"] = nets[0].parameters["dense_0.weight"]
    for net in nets:
        net.fit(X, y, loss=loss, optimizer=of.SGD(0.1), epochs=3, verbose=0)
    assert nets[0].fingerprint() == nets[1].fingerprint()
    np.testing.assert_array_equal(nets[0].predict_proba(X), nets[1].predict(X))


def test_a_custom_loss_is_the_native_one(small):
    X, _, w = small
    y = X[:, :2] * 2 + 1

    def squared(y_true, y_pred, weight):
        error = y_pred - y_true
        return (error**2).mean(axis=1) * weight, error * weight[:, None]

    nets = [of.Network([of.Dense(9, "tanh"), of.Dense(2)], inputs=13) for _ in range(4)]
    for net, loss, micro_batch in zip(
        nets,
        ("squared_error", squared, of.CustomLoss(squared), squared),
        (50, 50, 7, 1),
        strict=True,
    ):
        net.fit(
            X, y, loss=loss, optimizer=of.SGD(0.1), epochs=3, batch_size=50, sample_weight=w,
            micro_batch=micro_batch, verbose=0,
        )  # fmt: skip
    assert nets[1].fingerprint() == nets[2].fingerprint() == nets[3].fingerprint()
    for name in nets[0].parameters:
        np.testing.assert_allclose(nets[0].parameters[name], nets[1].parameters[name], atol=1e-5)
    assert nets[0].evaluate(X, y, loss=squared) == pytest.approx(nets[0].evaluate(X, y), rel=1e-5)


def test_initial_weights_have_their_moments_and_places():
    from onefold.nn import initializers

    for name, variance in [
        ("glorot_uniform", 2 / 500), ("glorot_normal", 2 / 500), ("he_uniform", 2 / 300),
        ("he_normal", 2 / 300), ("lecun_uniform", 1 / 300), ("lecun_normal", 1 / 300),
        ("normal", 0.05**2), ("uniform", 0.1**2 / 12), ("truncated_normal", 0.05**2 * 0.774),
    ]:  # fmt: skip
        values = initializers.get(name)((300, 200), 7, 0, 0, np.dtype(float))
        assert abs(values.mean()) < 5 * np.sqrt(variance / values.size)
        assert values.var() == pytest.approx(variance, rel=0.03)
        part = initializers.get(name)((300, 100), 7, 0, 0, np.dtype(float))
        if name in ("normal", "uniform", "he_normal", "lecun_uniform"):  # indexed by row and column
            np.testing.assert_array_equal(part, values[:, :100])
    square = initializers.get("orthogonal")((60, 90), 7, 0, 0, np.dtype(float))
    np.testing.assert_allclose(square @ square.T, np.eye(60), atol=1e-14)
    tall = initializers.get("orthogonal")((90, 60), 7, 0, 0, np.dtype(float))
    np.testing.assert_allclose(tall.T @ tall, np.eye(60), atol=1e-14)


def test_adding_a_layer_of_another_kind_does_not_shift_numbers():
    a = of.Network([of.Dense(5, "relu"), of.Dense(3)], inputs=4, seed=1)
    b = of.Network(
        [of.Dropout(0.1), of.Dense(5, "relu"), of.Dropout(0.5), of.Dense(3)], inputs=4, seed=1
    )
    assert a.fingerprint() == b.fingerprint()
    wide = of.Network([of.Dense(5, "relu")], inputs=4, seed=1, dtype="float64")
    np.testing.assert_array_equal(
        a.parameters["dense_0.weight"], wide.parameters["dense_0.weight"].astype(np.float32)
    )
