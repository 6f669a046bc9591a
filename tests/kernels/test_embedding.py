"""The embedding's kernels: the stated chain, nothing read or written outside a table, on every level."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from layouts import GUARD, PANEL, WAYS, Rows
from layouts import panels as in_panels

from onefold import _core

LEVELS = _core.levels()
#: rows, inputs, then (column, categories, size) of each table
CASES = [
    (1, 1, [(0, 1, 1)]),
    (7, 3, [(2, 5, 3), (0, 9, 16)]),
    (50, 20, [(7, 40, 8)]),
    (33, 40, [(39, 3, 33), (0, 200, 31), (20, 7, 64)]),
    (12, 18, [(17, 11, 70), (16, 2, 1)]),
]


def panels(matrix):
    return in_panels(matrix).ravel()


def described(inputs, tables):
    """The numbers of a forward operation, and the columns that are passed on."""
    columns = [column for column, _, _ in tables]
    others = [i for i in range(inputs) if i not in columns]
    runs = [(i, place, 1) for place, i in enumerate(others)]  # each column a run of its own
    numbers, width = [len(tables)], len(others)
    for column, categories, size in tables:
        numbers += [column, width, categories, size]
        width += size
    runs = [len(runs), *(n for run in runs for n in run)]
    return [float(n) for n in runs], [float(n) for n in numbers], others, width


def data(rows, inputs, tables, dtype):
    rng = np.random.default_rng(rows)
    x = rng.normal(size=(rows, inputs)).astype(dtype)
    for column, categories, _ in tables:
        x[:, column] = rng.integers(0, categories, rows)
    return x, [rng.normal(size=(n, size)).astype(dtype) for _, n, size in tables]


def forward(way, x, tables, values):
    level, layout = way
    runs, numbers, _, width = described(x.shape[1], tables)
    y = Rows(len(x), width, x.dtype, layout)
    codes = np.full((len(x) + 1, len(tables)), 99, np.int32)
    stored = np.concatenate([panels(v) for v in values])
    operands = [
        y.operand,
        (codes, len(tables), len(tables)),
        Rows(*x.shape, x.dtype, layout, x).operand,
        (stored, values[0].shape[0], values[0].shape[1]),
    ]
    _core.run_kernel(
        "embedding_forward", str(x.dtype), level, operands, len(x), numbers=runs + numbers
    )
    y.check()
    assert (y.values(width, y.room) == 0).all()
    assert (codes[len(x)] == 99).all()
    return y.values(), codes[: len(x)]


@pytest.mark.parametrize(("rows", "inputs", "tables"), CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward_and_backward(rows, inputs, tables, dtype):
    x, values = data(rows, inputs, tables, dtype)
    runs, _, others, width = described(inputs, tables)
    found = [x[:, column].astype(int) for column, _, _ in tables]
    vectors = [v[code] for v, code in zip(values, found, strict=True)]
    truth = np.concatenate([x[:, others], *vectors], axis=1)
    for level, layout in WAYS:
        y, codes = forward((level, layout), x, tables, values)
        np.testing.assert_array_equal(y, truth)
        np.testing.assert_array_equal(codes, np.stack(found, axis=1))
        dx = Rows(rows, inputs, dtype, layout)
        operands = [dx.operand, Rows(rows, width, dtype, layout, y).operand]
        _core.run_kernel("embedding_backward", str(x.dtype), level, operands, rows, numbers=runs)
        expected = np.zeros_like(x)
        expected[:, others] = x[:, others]
        np.testing.assert_array_equal(dx.values(), expected)
        assert (dx.values(inputs, dx.room) == 0).all()
        dx.check()


@pytest.mark.parametrize("wrong", [-1.0, -1e30, 5.0, 1e30, np.inf, -np.inf, np.nan])
def test_a_code_that_is_none_stays_in_its_table(wrong):
    values = [np.arange(10, dtype=np.float32).reshape(5, 2)]
    x = np.array([[wrong]], np.float32)
    for way in WAYS:
        y, codes = forward(way, x, [(0, 5, 2)], values)
        assert codes[0, 0] == (4 if wrong > 0 else 0)
        np.testing.assert_array_equal(y[0], values[0][codes[0, 0]])


def gradient(way, codes, dy, shape, place, first, *, start=None, cuts=(), split=False):
    """The gradient of one table, over blocks of its rows cut at `cuts`."""
    level, layout = way
    categories, size = shape
    count = -(-size // PANEL)
    out = np.full((count + 1) * categories * PANEL, GUARD, dy.dtype)
    if start is not None:
        out[: count * categories * PANEL] = start
    bounds = [0, *cuts, categories]
    groups = [(p, 1) for p in range(count)] if split else [(0, count)]
    for begin, end in itertools.pairwise(bounds):
        for panel, width in groups:
            operands = [
                (out, categories, size),
                (codes, codes.shape[1], codes.shape[1]),
                Rows(*dy.shape, dy.dtype, layout, dy).operand,
            ]
            _core.run_kernel(
                "embedding_gradient", str(dy.dtype), level, operands, len(codes),
                numbers=[float(place), float(first)], begin=panel * categories + begin,
                end=panel * categories + end, panels=width, resume=start is not None,
            )  # fmt: skip
    assert (out[count * categories * PANEL :] == GUARD).all()
    return out[: count * categories * PANEL]


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (40, 16), (30, 33), (200, 70)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_is_the_stated_chain(shape, dtype):
    categories, size = shape
    rng = np.random.default_rng(size)
    rows, first = 90, 3
    codes = rng.integers(0, categories, (rows, 2)).astype(np.int32)
    dy = rng.normal(size=(rows, first + size + 2)).astype(dtype)
    truth = np.zeros(shape, dtype)
    for r in range(rows):
        truth[codes[r, 1]] += dy[r, first : first + size]
    expected = panels(truth)
    for way in WAYS:
        whole = gradient(way, codes, dy, shape, 1, first)
        np.testing.assert_array_equal(whole, expected)
        cuts = [n for n in (1, categories // 2) if 0 < n < categories][: 1 + (categories > 3)]
        for split in (False, True):
            cut = gradient(way, codes, dy, shape, 1, first, cuts=sorted(set(cuts)), split=split)
            np.testing.assert_array_equal(cut, expected)
        half = gradient(way, codes[:31], dy[:31], shape, 1, first)
        rest = gradient(way, codes[31:], dy[31:], shape, 1, first, start=half)
        np.testing.assert_array_equal(rest, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_codes_are_found_out(dtype):
    x = np.zeros((20, 5), dtype)
    x[:, 3] = np.arange(20)
    x[:, 1] = 0.5  # no code, and not asked for
    limits = [3.0, 20.0, 0.0, 1.0]
    for level in LEVELS:
        for row, column, value in (
            (19, 3, 20), (0, 3, -1), (7, 3, 0.5), (7, 0, 1), (7, 0, np.nan), (3, 3, np.inf), (3, 0, -np.inf),
            (0, 0, 1e30), (0, 0, -0.0), (0, 1, np.nan),
        ):  # fmt: skip
            moved = x.copy()
            moved[row, column] = value
            out = np.full((1, 1), GUARD)
            operands = [(out, 1, 1), (moved, 5, 5)]
            _core.run_kernel(
                "are_codes", moved.dtype.name, level, operands, 20, numbers=limits, begin=0, end=2
            )
            assert out[0, 0] == (value == 0 or column == 1)
    assert _core.all_codes(x, limits)
    assert not _core.all_codes(x, [3.0, 19.0])
    assert _core.all_codes(x[::2], limits)
    with pytest.raises(ValueError, match="no such column"):
        _core.all_codes(x, [5.0, 1.0])
