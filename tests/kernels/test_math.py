"""Elementary functions: within their stated ulp of the truth over their whole range, on every level."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from onefold import _core

mpmath.mp.dps = 40

#: name, reference, error in ulp for float and double: the figures of native/kernels/math.hpp.
FUNCTIONS = [
    ("exp", mpmath.exp, 1, 1),
    ("expm1", mpmath.expm1, 2, 2),
    ("log", mpmath.log, 1, 1),
    ("log1p", mpmath.log1p, 2, 2),
    ("tanh", mpmath.tanh, 2, 2),
    ("sigmoid", lambda x: 1 / (1 + mpmath.exp(-x)), 2, 3),
    ("softplus", lambda x: mpmath.log1p(mpmath.exp(x)), 2, 2),
    ("erf", mpmath.erf, 2, 2),
    ("erfc", mpmath.erfc, 4, 4),
    ("sinpi", mpmath.sinpi, 2, 2),
    ("cospi", mpmath.cospi, 2, 2),
]
NAMES = [name for name, *_ in FUNCTIONS]
POSITIVE = {"log"}
ABOVE_MINUS_ONE = {"log1p"}
BOUNDED = {"sinpi": 2e6, "cospi": 2e6, "erf": 1e3, "erfc": 1e3}


def call(name, level, *inputs):
    out = np.empty_like(inputs[0])
    operands = [(a, a.size, a.size) for a in (out, *inputs)]
    _core.run_kernel(f"{name}_array", str(out.dtype), level, operands, rows=1)
    return out


def whole_range(name, dtype, count):
    """Bit patterns from all of the type's numbers, denormals and both signs among them, and more
    of the ordinary sizes in between.
    """
    bits = np.uint32 if dtype == np.float32 else np.uint64
    limits = np.iinfo(bits)
    patterns = np.arange(count, dtype=bits) * bits(limits.max // count) ^ bits(2654435761 % 2**16)
    x = patterns.view(dtype)
    ordinary = np.concatenate(
        [np.linspace(-s, s, count // 4, dtype=dtype) for s in (0.1, 1.5, 12, 110)]
    )
    x = np.concatenate([x, ordinary])
    x = x[np.isfinite(x)]
    if name in POSITIVE:
        x = np.abs(x)
    if name in ABOVE_MINUS_ONE:
        x = x[x > -1]
    if name in BOUNDED:
        x = x[np.abs(x) < BOUNDED[name]]
    return np.ascontiguousarray(x)


def error_in_ulp(value, x, reference):
    worst = 0.0
    info = np.finfo(value.dtype)
    for got, argument in zip(value.tolist(), x.tolist(), strict=True):
        if argument == 0 and reference is mpmath.log:
            continue
        truth = reference(mpmath.mpf(argument))
        if abs(truth) > info.max * (1 + info.eps / 4):
            assert got == math.copysign(math.inf, truth)
            continue
        exponent = max(mpmath.frexp(truth)[1] - info.nmant - 1, info.minexp - info.nmant)
        if math.isinf(got):  # the truth lies in the last half ulp below the overflow threshold
            got = math.copysign(float(info.max), got)
        worst = max(worst, float(abs(got - truth) / mpmath.ldexp(1, exponent)))
    return worst


@pytest.mark.parametrize(("name", "reference", "float_ulp", "double_ulp"), FUNCTIONS, ids=NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_accuracy_over_the_whole_range(name, reference, float_ulp, double_ulp, dtype):
    x = whole_range(name, dtype, 3000)
    stated = float_ulp if dtype == np.float32 else double_ulp
    assert error_in_ulp(call(name, _core.levels()[0], x), x, reference) <= stated


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_level_gives_the_same_bits(name, dtype):
    x = whole_range(name, dtype, 100_003)
    first, *others = (call(name, level, x) for level in _core.levels())
    for other in others:
        np.testing.assert_array_equal(first, other)
        np.testing.assert_array_equal(np.signbit(first), np.signbit(other))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_value_does_not_depend_on_those_beside_it(name, dtype):
    # Vectors with a far value in them go another way.
    x = np.linspace(-9, 9, 256, dtype=dtype)
    if name in POSITIVE | ABOVE_MINUS_ONE:
        x = np.abs(x)
    far = np.array([-1e6, 1e6, np.nan, -90, 90, -720, 720, 1e-40, 0], dtype)
    for level in _core.levels():
        alone = call(name, level, x)
        for value in far:
            mixed = x.copy()
            mixed[3::4] = value
            np.testing.assert_array_equal(
                np.delete(call(name, level, mixed), np.s_[3::4]), np.delete(alone, np.s_[3::4])
            )


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [(np.float32, (-105, -86), (86, 90)), (np.float64, (-747, -707), (707, 711))],
)
def test_exp_and_sigmoid_at_the_edges_of_the_normal_numbers(dtype, low, high):
    x = np.concatenate([np.linspace(*low, 1500, dtype=dtype), np.linspace(*high, 500, dtype=dtype)])
    exps = call("exp", _core.levels()[0], x)
    assert np.sum((exps > 0) & (exps < np.finfo(dtype).smallest_normal)) > 1000
    for level in _core.levels():
        assert error_in_ulp(call("exp", level, x), x, mpmath.exp) <= 1
        sigmoid = call("sigmoid", level, x)
        assert error_in_ulp(sigmoid, x, lambda v: 1 / (1 + mpmath.exp(-v))) <= 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "at_minus_infinity", "at_infinity"),
    [
        ("exp", 0, np.inf),
        ("expm1", -1, np.inf),
        ("log", np.nan, np.inf),
        ("log1p", np.nan, np.inf),
        ("tanh", -1, 1),
        ("sigmoid", 0, 1),
        ("softplus", 0, np.inf),
        ("erf", -1, 1),
        ("erfc", 2, 0),
    ],
)
def test_infinities_and_nan(name, at_minus_infinity, at_infinity, dtype):
    for level in _core.levels():
        x = np.array([-np.inf, np.inf, np.nan], dtype)
        expected = np.array([at_minus_infinity, at_infinity, np.nan], dtype)
        np.testing.assert_array_equal(call(name, level, x), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zeros_of_odd_functions_keep_their_sign(dtype):
    x = np.array([0.0, -0.0], dtype)
    for name in ("expm1", "log1p", "tanh", "erf"):
        np.testing.assert_array_equal(np.signbit(call(name, _core.levels()[0], x)), [False, True])
    assert call("log", _core.levels()[0], x).tolist() == [-np.inf, -np.inf]


def test_pow_is_accurate_for_schedules():
    x = np.linspace(0.01, 5, 500)
    y = np.linspace(-20, 20, 500)
    value = call("pow", _core.levels()[0], x, y)
    truth = [float(mpmath.power(a, b)) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    np.testing.assert_allclose(value, truth, rtol=2e-14)
