"""Activations, losses and dropout against the float64 reference, at awkward sizes, on every level."""

from __future__ import annotations

import numpy as np
import pytest
from layouts import GUARD, WAYS, Rows

from onefold import _core
from onefold.nn.activations import ACTIVATIONS
from onefold.reference import random as reference_random
from onefold.reference.activations import BACKWARD, FORWARD
from onefold.reference.losses import LOSSES

LEVELS = _core.levels()
SIZES = [(1, 1), (2, 15), (7, 16), (3, 17), (2, 33), (50, 100)]
ALONG_ROWS = {"softmax", "log_softmax"}
NAMES = [name for name in ACTIVATIONS if name not in ("linear", "prelu")]

#: Error in units of eps * |y|, where it is more than 4: sums along rows lose with their width.
FORWARD_ULP = {"softmax": 40, "log_softmax": 40}
BACKWARD_ULP = {"softmax": 60, "log_softmax": 60}
#: Rounding the argument of exp(-x^2 / 2) by half an ulp moves its value by x^2 / 2 ulp.
GAUSSIAN = {"gelu", "gelu_tanh"}


def forward_scale(name, x, truth):
    """What an activation's error is measured against."""
    if name in ALONG_ROWS:
        return np.abs(truth) + np.abs(x).max()
    if name in GAUSSIAN:
        return np.abs(truth) * (1 + x.astype(float) ** 2)
    if name == "tanh_shrink":  # a difference of two numbers as large as x
        return np.where(np.abs(x) < 0.625, np.abs(truth), np.abs(x))
    return np.abs(truth)


def run(name, way, dtype, rows, width, inputs, numbers=(), outputs=1, **options):
    """Outputs of a kernel; a single column among wider inputs is a parameter or a weight."""
    level, layout = way
    operands, buffers = [], []
    for array in [None] * outputs + list(inputs):
        if array is not None and array.shape[1] == 1 and width > 1:
            operands.append((np.ascontiguousarray(array), 1, 1))
            continue
        buffers.append(Rows(rows, width, dtype, layout, array))
        operands.append(buffers[-1].operand)
    _core.run_kernel(
        name, np.dtype(dtype).name, level, operands, rows, numbers=list(numbers), **options
    )
    for buffer in buffers:
        buffer.check()
    return [buffer.values() for buffer in buffers[:outputs]]


def defaults(name):
    return tuple(value for _, value in ACTIVATIONS[name].defaults)


def inputs_for(rows, width, dtype):
    rng = np.random.default_rng(rows * 1000 + width)
    x = rng.normal(size=(rows, width)) * 4
    x.flat[:: max(1, x.size // 7)] *= 10
    return x.astype(dtype), rng.normal(size=(rows, width)).astype(dtype)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activation(name, dtype):
    eps = np.finfo(dtype).eps
    for rows, width in SIZES:
        x, dy = inputs_for(rows, width, dtype)
        y = [
            run(f"{name}_forward", way, dtype, rows, width, [x], defaults(name))[0] for way in WAYS
        ]
        for other in y[1:]:
            np.testing.assert_array_equal(y[0], other)
        truth = FORWARD[name](x.astype(float), defaults(name))
        # A factor that is denormal is off by half the smallest number, times the other factor.
        least = np.finfo(dtype).smallest_subnormal * np.maximum(1, np.abs(x.astype(float)))
        error = np.abs(y[0] - truth) / (eps * forward_scale(name, x, truth) + least)
        assert error.max() <= FORWARD_ULP.get(name, 4)

        saved = y[0] if ACTIVATIONS[name].needs == "output" else x
        dx = [
            run(f"{name}_backward", way, dtype, rows, width, [dy, saved], defaults(name))[0]
            for way in WAYS
        ]
        for other in dx[1:]:
            np.testing.assert_array_equal(dx[0], other)
        truth = BACKWARD[name](dy.astype(float), x.astype(float), defaults(name))
        # A slope near zero is a difference of numbers near one.
        scale = np.abs(dy).max(axis=1, keepdims=True) * np.maximum(1, np.abs(saved))
        if name in ALONG_ROWS:
            scale = scale * width
        assert (np.abs(dx[0] - truth) / (eps * scale)).max() <= BACKWARD_ULP.get(name, 8)


@pytest.mark.parametrize("name", sorted(set(NAMES) - ALONG_ROWS))
def test_activation_of_nan_and_infinities(name):
    x = np.array([[np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45]], np.float32)
    for way in WAYS:
        y = run(f"{name}_forward", way, np.float32, 1, 7, [x], defaults(name))[0]
        assert np.isnan(y[0, 0]), "NaN stays NaN"
        with np.errstate(invalid="ignore", over="ignore"):
            truth = FORWARD[name](x.astype(float), defaults(name))
        finite = ~np.isnan(truth[0])
        np.testing.assert_allclose(y[0][finite], truth[0][finite], atol=2e-45, rtol=3e-7)
        assert not np.isnan(y[0, 3:]).any()


@pytest.mark.parametrize("name", sorted(set(NAMES)))
def test_slope_against_fourth_order_differences(name):
    rng = np.random.default_rng(5)
    x = rng.uniform(-4, 4, size=(40, 5))
    kinks = np.array([-3, -1, -0.5, 0, 0.5, 1, 3, 6])
    x = np.where(np.abs(x[..., None] - kinks).min(axis=-1) < 0.01, x + 0.03, x)
    dy = rng.normal(size=x.shape)
    h = 1e-3
    difference = np.zeros_like(x)
    for column in range(5):
        step = np.zeros((1, 5))
        step[0, column] = h
        f = {
            k: run(f"{name}_forward", WAYS[0], np.float64, 40, 5, [x + k * step], defaults(name))[0]
            for k in (-2, -1, 1, 2)
        }
        slope = (f[-2] - 8 * f[-1] + 8 * f[1] - f[2]) / (12 * h)
        difference[:, column] = (dy * slope).sum(axis=1)
    y = run(f"{name}_forward", WAYS[0], np.float64, 40, 5, [x], defaults(name))[0]
    saved = y if ACTIVATIONS[name].needs == "output" else x
    dx = run(f"{name}_backward", WAYS[0], np.float64, 40, 5, [dy, saved], defaults(name))[0]
    np.testing.assert_allclose(dx, difference, atol=2e-9)


def test_prelu():
    for rows, width in SIZES:
        x, dy = inputs_for(rows, width, np.float32)
        slope = np.linspace(0.1, 0.9, width, dtype=np.float32)
        for level, layout in WAYS:
            x_rows, dy_rows = (Rows(rows, width, np.float32, layout, v) for v in (x, dy))
            y, dslope = (Rows(rows, width, np.float32, layout) for _ in range(2))
            operands = [y.operand, x_rows.operand, (slope, 1, width)]
            _core.run_kernel("prelu_forward", "float32", level, operands, rows)
            np.testing.assert_array_equal(y.values(), np.where(x < 0, x * slope, x))
            for dx in (Rows(rows, width, np.float32, layout), dy_rows):  # the last time in place
                operands = [b.operand for b in (dx, dslope, dy_rows, x_rows)] + [(slope, 1, width)]
                _core.run_kernel("prelu_backward", "float32", level, operands, rows)
                np.testing.assert_array_equal(dx.values(), np.where(x < 0, dy * slope, dy))
                np.testing.assert_array_equal(dslope.values(), np.where(x < 0, dy * x, 0))
            for buffer in (y, dx, dslope):
                buffer.check()


#: Options and targets of every loss kernel.
OPTIONS = {
    "huber": (0.7,),
    "quantile": (0.3,),
    "poisson": (1e-7,),
    "gamma": (1e-7,),
    "kl_divergence": (1e-7,),
}
SMOOTHED = {"sigmoid_cross_entropy", "softmax_cross_entropy", "softmax_cross_entropy_labels"}


def loss_case(name, rows, width, dtype):
    rng = np.random.default_rng(rows + width)
    z = (rng.normal(size=(rows, width)) * 3).astype(dtype)
    y = rng.normal(size=(rows, width)).astype(dtype)
    if name in ("poisson", "gamma"):
        z = np.abs(z) + dtype(0.1)
    if name.startswith("poisson"):
        y = rng.integers(0, 5, (rows, width)).astype(dtype)
    if name.startswith("gamma"):
        y = (rng.gamma(2, size=(rows, width)) + 0.01).astype(dtype)
    if "cross_entropy" in name or "kl" in name:
        y = rng.dirichlet(np.ones(max(width, 2)), rows)[:, :width].astype(dtype)
    if name == "kl_divergence":
        z = rng.dirichlet(np.ones(max(width, 2)), rows)[:, :width].astype(dtype)
    if "hinge" in name:
        y = np.sign(y)
    if name.endswith("_labels"):
        y = rng.integers(0, width, (rows, 1)).astype(np.int32)
    w = rng.integers(0, 3, (rows, 1)).astype(dtype)
    return z, y, w


def run_loss(name, way, z, y, w, numbers, gradient=True):
    level, layout = way
    rows, width = z.shape
    loss = np.full(rows + 1, GUARD)
    dz = Rows(rows, width, z.dtype, layout)
    targets = (
        (y, 1, 1) if name.endswith("_labels") else Rows(rows, width, y.dtype, layout, y).operand
    )
    operands = [
        (loss, 1, 1),
        dz.operand if gradient else (None, 1, width),
        Rows(rows, width, z.dtype, layout, z).operand,
        targets,
        (w, 1, 1),
    ]
    _core.run_kernel(name, z.dtype.name, level, operands, rows, numbers=list(numbers))
    assert loss[rows] == GUARD
    dz.check()
    return loss[:rows], dz.values()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loss(name, dtype):
    eps = np.finfo(dtype).eps
    for rows, width in SIZES:
        for smoothing in (0.0, 0.1) if name in SMOOTHED else (0.0,):
            numbers = (smoothing,) if name in SMOOTHED else OPTIONS.get(name, ())
            z, y, w = loss_case(name, rows, width, dtype)
            results = [run_loss(name, way, z, y, w, numbers) for way in WAYS]
            for loss, dz in results[1:]:
                np.testing.assert_array_equal(results[0][0], loss)
                np.testing.assert_array_equal(results[0][1], dz)
            loss, dz = results[0]
            truth, slope = LOSSES[name](z.astype(float), y.astype(float), numbers)
            scale = np.abs(truth) + np.abs(z).max() + 1 + np.abs(y).max() * np.abs(z).max()
            if name.endswith("poisson") or name == "squared_error":
                scale = scale + np.abs(truth) + z.max() ** 2
            assert (np.abs(loss - truth * w[:, 0]) <= 20 * eps * scale * 2).all()
            size = np.abs(slope).max() + 1
            assert (np.abs(dz - slope * w) <= 20 * eps * size * 2).all()
            assert (dz[w[:, 0] == 0] == 0).all()
            # Without weights, without a gradient, and alone.
            plain = run_loss(name, WAYS[0], z, y, None, numbers)[0]
            np.testing.assert_array_equal(plain * w[:, 0], loss)
            np.testing.assert_array_equal(
                run_loss(name, WAYS[0], z, y, w, numbers, gradient=False)[0], loss
            )
            np.testing.assert_array_equal(
                run_loss(name, WAYS[0], z[-1:], y[-1:], w[-1:], numbers)[1], dz[-1:]
            )


@pytest.mark.parametrize("classes", [2, 3, 8, 9, 10, 16, 17, 24, 26, 32, 33])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_few_classes_together_are_those_alone(classes, dtype):
    name = "softmax_cross_entropy_labels"
    for rows, smoothing, spread in ((8, 0.0, 1), (19, 0.1, 1), (50, 0.0, 40)):
        z, y, w = loss_case(name, rows, classes, dtype)
        z *= dtype(spread)  # of 40: classes whose probability is zero, or no normal number
        alone = [
            run_loss(name, WAYS[0], z[r : r + 1], y[r : r + 1], w[r : r + 1], (smoothing,))
            for r in range(rows)
        ]
        for way in WAYS:
            loss, dz = run_loss(name, way, z, y, w, (smoothing,))
            np.testing.assert_array_equal(loss, np.concatenate([one for one, _ in alone]))
            np.testing.assert_array_equal(dz, np.concatenate([one for _, one in alone]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_not_finite_leaves_those_beside_it_alone(bad):
    z, y, w = loss_case("softmax_cross_entropy_labels", 20, 20, np.float32)
    w[7] = 1
    spoilt = z.copy()
    spoilt[7, 3] = bad
    for way in WAYS:
        loss, dz = run_loss("softmax_cross_entropy_labels", way, z, y, w, (0.1,))
        worse, slope = run_loss("softmax_cross_entropy_labels", way, spoilt, y, w, (0.1,))
        assert not np.isfinite(worse[7])
        np.testing.assert_array_equal(np.delete(worse, 7), np.delete(loss, 7))
        np.testing.assert_array_equal(np.delete(slope, 7, 0), np.delete(dz, 7, 0))


@pytest.mark.parametrize("name", LOSSES)
def test_loss_gradient_against_fourth_order_differences(name):
    numbers = (0.1,) if name in SMOOTHED else OPTIONS.get(name, ())
    z, y, _ = loss_case(name, 30, 6, np.float64)
    if name in ("absolute_error", "huber", "quantile", "hinge", "log_cosh"):
        z = np.where(np.abs(np.abs(z - y) - 0.7) < 0.02, z + 0.05, z)
    if "hinge" in name:
        z = np.where(np.abs(1 - y * z) < 0.02, z + 0.05, z)
    if name == "kl_divergence":
        z = np.maximum(z, 0.02)
    _, dz = run_loss(name, WAYS[0], z, y, None, numbers)
    h = 1e-3
    for column in range(6):
        step = np.zeros((1, 6))
        step[0, column] = h
        f = {k: run_loss(name, WAYS[0], z + k * step, y, None, numbers)[0] for k in (-2, -1, 1, 2)}
        difference = (f[-2] - 8 * f[-1] + 8 * f[1] - f[2]) / (12 * h)
        np.testing.assert_allclose(
            dz[:, column], difference, atol=1e-8, rtol=2e-5 if "kl" in name else 1e-7
        )


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_of_something_not_finite_is_not_finite(name, bad):
    z, y, _ = loss_case(name, 4, 5, np.float32)
    z[2, 3] = bad
    if name.endswith("_labels"):
        y[2] = 1
    if "hinge" in name:
        y[2, 3] = -1
    if name == "poisson":
        y[2, 3] = 1
    if name == "kl_divergence" and np.isinf(bad):
        return  # a distribution is at most one: the reference gives minus infinity or zero here
    loss, _ = run_loss(
        name, WAYS[0], z, y, None, (0.1,) if name in SMOOTHED else OPTIONS.get(name, ())
    )
    assert not np.isfinite(loss[2])
    assert np.isfinite(loss[[0, 1, 3]]).all()


def test_random_words_are_philox():
    # Known answers of Philox 4x32-10 from its authors: counter and key all zero, all ones, and pi.
    zero = reference_random.philox(np.zeros((1, 4), np.uint32), 0)
    assert [f"{w:08x}" for w in zero[0]] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]
    ones = reference_random.philox(np.full((1, 4), 0xFFFFFFFF, np.uint32), 0xFFFFFFFFFFFFFFFF)
    assert [f"{w:08x}" for w in ones[0]] == ["408f276d", "41c83b0e", "a20bc7c6", "6d5451fd"]
    digits = np.array([[0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]], np.uint32)
    pi = reference_random.philox(digits, 0x299F31D0A4093822)
    assert [f"{w:08x}" for w in pi[0]] == ["d16cfe09", "94fdcceb", "5001e420", "24126ea1"]
    for level in LEVELS:
        out = np.zeros((5, 150), np.uint32)
        _core.run_kernel(
            "random_words", "float32", level, [(out, 150, 150)], 5, first_row=7,
            numbers=[3.0, 9.0], seed=2**40 + 3, update=11,
        )  # fmt: skip
        np.testing.assert_array_equal(
            out, reference_random.words((5, 150), 2**40 + 3, 3, 9, 11, first_row=7)
        )


def test_permutation():
    for rows in (1, 2, 31, 32, 33, 1000):
        expected = reference_random.permutation(rows, 5, 3)
        assert sorted(expected) == list(range(rows))
        for level in LEVELS:
            out = np.zeros((1, rows), np.uint32)
            _core.run_kernel(
                "permutation",
                "float32",
                level,
                [(out, rows, rows)],
                1,
                numbers=[2.0],
                seed=5,
                update=3,
            )
            assert out[0].tolist() == expected


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dropout(rate, dtype):
    for rows, width in SIZES:
        x, _ = inputs_for(rows, width, dtype)
        keys = {"seed": 99, "update": 4, "first_row": 13}
        for name in ("dropout_forward", "dropout_backward"):
            results = [
                run(name, way, dtype, rows, width, [x], (rate, 5), **keys)[0] for way in WAYS
            ]
            mask = reference_random.dropout_mask((rows, width), rate, 99, 5, 4, 13)
            for result in results:
                np.testing.assert_array_equal(result, np.where(mask, x * dtype(1 / (1 - rate)), 0))
    big = np.ones((500, 200), dtype)
    kept = run("dropout_forward", WAYS[0], dtype, 500, 200, [big], (rate, 0), seed=1)[0]
    assert abs((kept > 0).mean() - (1 - rate)) < 0.01


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 7, 16, 33, 100, 1061])
def test_gather_scatter_and_add(dtype, width):
    rng = np.random.default_rng(width)
    source = rng.integers(0, 200, (40, width + 3))  # exact in every type
    for level, layout in WAYS:
        for name in ("float32", "float64", "uint8"):
            array = source.astype(name)
            x = Rows(40, width, dtype, layout)
            operands = [x.operand, (array, width + 3, width)]
            for streamed in (False, True):
                x.memory[x.memory != GUARD] = 0
                gather = f"gather_{name}"
                _core.run_kernel(
                    gather, np.dtype(dtype).name, level, operands, 40, streamed=streamed
                )
                x.check()
                np.testing.assert_array_equal(x.values(), source[:, :width])
        total, out = Rows(40, width, dtype, layout), np.full((41, width), GUARD, dtype)
        _core.run_kernel(
            "add", np.dtype(dtype).name, level, [total.operand, x.operand, x.operand], 40
        )
        total.check()
        operands = [(out, width, width), total.operand]
        _core.run_kernel("scatter", np.dtype(dtype).name, level, operands, 40)
        np.testing.assert_array_equal(out[:40], 2 * source[:, :width])
        assert (out[40] == GUARD).all()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 3, 16, 33, 75])
def test_gather_looks_at_every_element_that_it_copies(level, dtype, width):
    def looks_fine(source):
        out, found = Rows(6, width, dtype, "whole"), np.ones((1, 1))
        operands = [out.operand, (source, width + 2, width), (found, 1, 1)]
        _core.run_kernel("gather_" + dtype, dtype, level, operands, 6)
        return found[0, 0] == 1

    x = np.full((9, width + 2), np.finfo(dtype).max, dtype)
    x[:, width:] = np.nan  # not read
    x[6:] = np.nan  # nor these rows
    assert looks_fine(x)
    for bad in (np.nan, np.inf, -np.inf):
        for place in np.ndindex(6, width):
            other = x.copy()
            other[place] = bad
            assert not looks_fine(other), place


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2, 5, 1000])
def test_all_within_sees_every_part_on_any_threads(dtype, threads):
    x = np.full((3001, 101), 2.0, dtype)
    for view in (x, x[:, :97], x[::2], x[:1]):  # one long row, and rows with gaps
        assert _core.all_within(view, 2.0, threads)
        for place in np.linspace(0, view.size - 1, 41).astype(int):
            where = np.unravel_index(place, view.shape)
            view[where] = np.nan
            assert not _core.all_within(view, 2.0, threads)
            view[where] = 2.0


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 17), (70, 5)])
def test_within_sees_every_element(level, dtype, shape):
    def within(x):
        out = np.full((1, 1), -1.0)
        operands = [(out, 1, 1), (x, shape[1], shape[1])]
        _core.run_kernel("within", dtype, level, operands, shape[0], 0, [2.0])
        return out[0, 0]

    x = np.full(shape, -2.0, dtype)
    assert within(x) == 1
    for bad in (np.nan, np.inf, -np.inf, 2.1):
        for place in range(x.size):
            other = x.copy()
            other.flat[place] = bad
            assert within(other) == 0
