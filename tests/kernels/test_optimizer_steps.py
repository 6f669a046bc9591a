"""Steps of optimizers: few columns, faded states and odd numbers, on every level."""

from __future__ import annotations

import numpy as np
import pytest
from layouts import GUARD

from onefold import _core

LEVELS = _core.levels()


@pytest.mark.parametrize("name", [n for n in _core.kernel_names() if n.endswith("_update")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_few_columns_are_updated_like_many(name, dtype):
    rng = np.random.default_rng(0)
    values = np.abs(rng.normal(size=(6, 11, 32))).astype(dtype) * dtype(0.01)  # gradient among them
    numbers = [0.5, 1.0, np.inf, 1e-3, 0.01, 0.9, 0.99, 1e-8, 1e-3, 1.1, 1.2]

    def run(level, rows, used):
        arrays = values[:, :rows].copy()
        operands = [(array, 32, 32) for array in (arrays[0], *arrays)]
        kind = np.dtype(dtype).name
        _core.run_kernel(
            name, kind, level, operands, used, numbers=numbers, begin=32, end=rows * 32
        )
        return arrays

    for level in LEVELS:
        for rows in (2, 5, 6, 11):
            whole = run(LEVELS[0], rows, 0)
            assert (whole[0, 1:] != values[0, 1:rows]).all()
            assert (whole[0, 0] == values[0, 0]).all()
            for used in (1, 2, 3, 4, 5, 17):
                found = run(level, rows, used)
                np.testing.assert_array_equal(found[:, :, :used], whole[:, :, :used])
                np.testing.assert_array_equal(found[:, :, 16 * (1 + used // 17) :],
                                              values[:, :rows, 16 * (1 + used // 17) :])  # fmt: skip


@pytest.mark.parametrize("name", [n for n in _core.kernel_names() if n.endswith("_update")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("factors", [(1.0, 1.0, np.inf), (0.7, 1.0, np.inf), (0.7, 0.9, 0.01)])
def test_a_step_makes_the_gradient_of_a_single_row(name, dtype, factors):
    """The bits of weight_gradient and a step after it: weights of 70 inputs in three panels of x, and biases."""
    rng = np.random.default_rng(3)
    kind, inputs = np.dtype(dtype).name, 70
    x = np.full((3, 2, 32), GUARD, dtype)  # of two rows the first
    for i in range(inputs):
        x[i // 32, 0, i % 32] = rng.normal()
    x[0, 0, :4] = 0.0, -0.0, 1e-30, np.inf
    numbers = [*factors, 1e-3, 0.01, 0.9, 0.99, 1e-8, 1e-3, 1.1, 1.2]

    for level in LEVELS:
        for used in (1, 2, 4, 5, 8, 17, 31, 32):
            dz = np.full((1, 32), GUARD, dtype)
            dz[0, :used] = rng.normal(size=used)
            dz[0, : min(2, used)] = (0.0, -0.0)[: min(2, used)]
            for rows, given in ((inputs, x), (1, np.ones((1, 32), dtype))):
                start = np.zeros((5, rows, 32), dtype)
                start[:, :, :used] = np.abs(rng.normal(size=(5, rows, used)))
                found = []
                for at_once in (False, True):
                    arrays = start.copy()
                    operands = [(array, rows, used) for array in (arrays[0], *arrays)]
                    if at_once:
                        operands[2] = (np.full_like(arrays[1], GUARD), rows, used)
                        row = given if rows > 1 else None
                        operands += [(row, 32, inputs, 64), (dz, 32, used)]
                    else:
                        factors_of = [
                            operands[2],
                            (given, 32, rows, 64),
                            (dz, 32, used),
                            (None, 0, 0),
                        ]
                        _core.run_kernel("weight_gradient", kind, level, factors_of, 1, end=rows)
                    _core.run_kernel(
                        name, kind, level, operands, used, numbers=numbers, end=rows * 32
                    )
                    found.append(arrays[[0, 2, 3, 4]])
                assert (found[0][0, :, :used] != start[0, :, :used]).any()
                np.testing.assert_array_equal(found[1], found[0])
                known = ~np.isnan(found[0])  # the sign of NaN is not promised
                np.testing.assert_array_equal(
                    np.signbit(found[1])[known], np.signbit(found[0])[known]
                )


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_faded_states_are_zero_and_unused_columns_are_left_alone(level, dtype):
    least = np.finfo(dtype).smallest_normal
    arrays = [np.full((1, 64), value, dtype) for value in (1.0, 0.0, least * 1.05, least * 0.5)]
    arrays = [arrays[0], *arrays]  # updated where it is
    arrays[0][0, 32 + 16 :] = GUARD
    numbers = [1.0, 1.0, np.inf, 1e-3, 0.0, 0.9, 0.999, 1e-8, 1e-3, 1.0]
    operands = [(array, 64, 64) for array in arrays]
    name = np.dtype(dtype).name
    _core.run_kernel("adam_update", name, level, operands, 0, 0, numbers, 0, 0, 0, 32)
    _, _, _, m, v = arrays
    assert (m[0, :32] == 0).all(), "0.9 * 1.05 of the least normal number is below it"
    assert (v[0, :32] == 0).all()
    assert (m[0, 32:] == dtype(least * 1.05)).all(), "the second row was not asked for"
    # One of 32 columns in use: at most a vector of 16 is touched.
    _core.run_kernel("adam_update", name, level, operands, 1, 0, numbers, 0, 0, 32, 64)
    assert m[0, 32] == 0
    assert (m[0, 48:] == dtype(least * 1.05)).all()
    assert (arrays[0][0, 48:] == GUARD).all()


@pytest.mark.parametrize("name", ["adam_update", "adamw_update", "adam_amsgrad_update"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_has_the_same_bits_beside_states_that_are_not_ordinary(name, dtype):
    """One number of a row is out of the ordinary: others must not notice, and every level treats it alike."""
    least = np.finfo(dtype).smallest_normal
    odd = [
        0.0,
        -0.0,
        least / 2,
        -least / 2,
        least,
        2.0**-100,
        -(2.0**-97),
        2.0**-96,
        -3e38,
        np.inf,
        np.nan,
    ]
    states = 3 if "amsgrad" in name else 2
    rows = states * len(odd)
    rng = np.random.default_rng(5)
    start = rng.uniform(0.5, 1.5, (states + 2, rows, 32)).astype(dtype)
    gradient = start[1]
    gradient[rng.random((rows, 32)) < 0.2] = -0.0
    for row, column in enumerate(rng.integers(32, size=rows)):
        start[2 + row % states, row, column] = odd[row // states]
        gradient[row, column] = -0.0  # and stays so when decay times the parameter is added
        start[0, row, column] *= -1

    def run(level, beta):
        arrays = start.copy()
        numbers = [1.0, 1.0, np.inf, 1e-3, 0.0, beta, 0.999, 1e-8, 1e-3, 1.0]
        operands = [(array, 32, 32) for array in (arrays[0], *arrays)]
        _core.run_kernel(
            name, np.dtype(dtype).name, level, operands, 0, numbers=numbers, end=rows * 32
        )
        return arrays

    for beta in (0.9, 0.0):  # of zero: the first state may be what the gradient is, a negative zero
        alike = [run(level, beta) for level in LEVELS]
        for found in alike[1:]:
            np.testing.assert_array_equal(found, alike[0])
            known = ~np.isnan(found)  # the sign of NaN is not promised
            np.testing.assert_array_equal(np.signbit(found)[known], np.signbit(alike[0])[known])
        faded = np.abs(alike[0][2:]) < least
        assert (alike[0][2:][faded] == 0).all()
        assert not np.signbit(alike[0][2:][faded]).any()
