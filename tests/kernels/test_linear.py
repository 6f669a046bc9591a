"""The products: exactly the chain of the contract, nothing written elsewhere, on every level."""

from __future__ import annotations

import numpy as np
import pytest
from layouts import GUARD, PANEL, WAYS, Rows, aligned, panels, unpanels

from onefold import _core

LEVELS = _core.levels()


def chain(start, a, b):
    """fma(a[k], b[k], ...) for k ascending; float32 products are exact in extended precision."""
    c = start
    for x, y in zip(a, b, strict=True):
        c = np.float32(np.longdouble(x) * np.longdouble(y) + np.longdouble(c))
    return c


def forward(way, x, weight, bias, streamed=False):
    level, layout = way
    rows, inputs = x.shape
    columns = weight.shape[1]
    z = Rows(rows, columns, x.dtype, layout)
    padded = None if bias is None else panels(bias.reshape(1, -1))
    operands = [
        z.operand,
        Rows(rows, inputs, x.dtype, layout, x).operand,
        (panels(weight), inputs, columns),
        (padded, 1, columns),
    ]
    _core.run_kernel("linear_forward", str(x.dtype), level, operands, rows, streamed=streamed)
    z.check()
    return z.values()


SHAPES = [
    (1, 1, 1),
    (2, 3, 15),
    (7, 17, 16),
    (12, 5, 17),
    (13, 33, 32),
    (25, 300, 33),
    (50, 64, 100),
    (14, 2085, 35),
    (1, 70, 100),
    (2, 40, 70),
    (450, 40, 70),
    (48, 600, 20),
    (40, 37, 1),
    (17, 100, 2),
    (9, 5, 3),
    (65, 333, 4),
    # A few inputs, or a few columns beyond whole vectors.
    (40, 1, 100),
    (17, 2, 33),
    (30, 3, 47),
    (9, 4, 64),
    (20, 5, 20),
    (75, 22, 3),
    (33, 21, 50),
    (70, 9, 65),
    (131, 66, 34),
]


@pytest.mark.parametrize(("rows", "inputs", "columns"), SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("biased", [True, False])
def test_forward(rows, inputs, columns, dtype, biased):
    rng = np.random.default_rng(inputs)
    x = rng.normal(size=(rows, inputs)).astype(dtype)
    weight = rng.normal(size=(inputs, columns)).astype(dtype)
    bias = rng.normal(size=columns).astype(dtype) if biased else None
    results = [
        forward(way, x, weight, bias, streamed) for way in WAYS for streamed in (False, True)
    ]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
    truth = x.astype(float) @ weight.astype(float) + (0 if bias is None else bias.astype(float))
    # Of 1 input the bias' rounding is most of the error: of -0.28 * -0.65 + 1.83 it was 4.4e-16, float64.
    size = np.abs(x) @ np.abs(weight) + (1 if bias is None else 1 + np.abs(bias))
    bound = inputs * np.finfo(dtype).eps * size
    assert (np.abs(results[0] - truth) <= bound).all()
    for way in WAYS:  # a row alone has the same bits
        np.testing.assert_array_equal(forward(way, x[:1], weight, bias), results[0][:1])


@pytest.mark.parametrize(("rows", "inputs", "columns"), SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_product_that_ends_with_relu_is_the_product_and_then_relu(rows, inputs, columns, dtype):
    rng = np.random.default_rng(columns)
    x = rng.normal(size=(rows, inputs)).astype(dtype)
    x[rows // 2] = np.nan
    weight = rng.normal(size=(inputs, columns)).astype(dtype)
    bias = rng.normal(size=(1, columns)).astype(dtype)
    y = rng.normal(size=(rows, columns)).astype(dtype).clip(0)
    y[-1, -1] = np.nan
    for level, layout in WAYS:
        buffers = [
            Rows(rows, columns, dtype, layout),
            Rows(rows, inputs, dtype, layout, x),
            Rows(rows, columns, dtype, layout, y),
        ]
        z, x_rows, gate = (buffer.operand for buffer in buffers)
        matrix = (panels(weight), inputs, columns)
        found = []
        for product, activation, operands, ends in (
            ("linear_forward", "relu_forward", [z, x_rows, matrix, (panels(bias), 1, columns)], []),
            ("linear_backward", "relu_backward", [z, x_rows, matrix, (None, 0, 0)], [gate]),
        ):
            name = np.dtype(dtype).name
            _core.run_kernel(product, name, level, operands, rows)
            _core.run_kernel(activation, name, level, [z, z, *ends], rows)
            found.append(buffers[0].values())
            for streamed in (False, True):
                buffers[0].memory[buffers[0].memory != GUARD] = 0
                both = f"{product}_relu"
                _core.run_kernel(both, name, level, [*operands, *ends], rows, streamed=streamed)
                buffers[0].check()
                np.testing.assert_array_equal(found[-1], buffers[0].values())
        if rows > 2:
            assert np.isnan(found[0][rows // 2]).all()
            assert (found[0][0] >= 0).all()
            assert ((found[1][0] == 0) == (y[0] == 0)).all()


@pytest.mark.parametrize(
    ("rows", "inputs", "columns"), [(10, 301, 3), (10, 301, 18), (40, 3, 40), (40, 21, 34)]
)
def test_forward_is_the_stated_chain(rows, inputs, columns):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, inputs)).astype(np.float32)
    weight = rng.normal(size=(inputs, columns)).astype(np.float32)
    bias = rng.normal(size=columns).astype(np.float32)
    z = forward(WAYS[0], x, weight, bias)
    for r in range(rows):
        for j in range(columns):
            assert z[r, j] == chain(bias[j], x[r], weight[:, j])


def sums_of(dz):
    """Row after row, as the chain has it."""
    total = np.zeros_like(dz[0])
    for row in dz:
        total += row
    return total


def gradient(way, x, dz, start=None, cut=None):
    """The gradient of weights, and below it that of biases, which its first rows make too."""
    level, layout = way
    inputs, columns = x.shape[1], dz.shape[1]
    factors = [Rows(*v.shape, v.dtype, layout, v) for v in (x, dz)]
    factors[1].memory[factors[1].memory == GUARD] = np.nan  # padding is never a part of a result
    count = -(-columns // PANEL)
    out = np.full((count + 1, inputs, PANEL), GUARD, x.dtype)
    sums = np.full((count + 1, 1, PANEL), GUARD, x.dtype)
    if start is not None:
        out[:count], sums[:count] = panels(start[:-1]), panels(start[-1:])
    rows = [(0, inputs)] if cut is None else [(0, cut), (cut, inputs)]
    blocks = [(begin, end, 0, count) for begin, end in rows]
    if cut is not None and count > 1:
        blocks = [(*rows[0], 0, 1), (*rows[0], 1, count - 1), (*rows[1], 0, count)]
    for begin, end, panel, width in blocks:
        operands = [(out, inputs, columns), *(factor.operand for factor in factors)]
        if end > begin == 0:
            operands.append((sums, 1, columns))
        _core.run_kernel(
            "weight_gradient", str(x.dtype), level, operands, len(x),
            begin=panel * inputs + begin, end=panel * inputs + end, panels=width, resume=start is not None,
        )  # fmt: skip
    assert (out[count] == GUARD).all()
    assert (sums[count] == GUARD).all()
    result = np.vstack([unpanels(each[:count], count * PANEL) for each in (out, sums)])
    assert (result[:, columns:] == 0).all()
    return result[:, :columns]


@pytest.mark.parametrize(("rows", "inputs", "columns"), SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weight_gradient(rows, inputs, columns, dtype):
    rng = np.random.default_rng(rows)
    x = rng.normal(size=(rows, inputs)).astype(dtype)
    dz = rng.normal(size=(rows, columns)).astype(dtype)
    results = [gradient(way, x, dz) for way in WAYS]
    for way in WAYS:
        results.append(gradient(way, x, dz, cut=inputs // 2 // PANEL * PANEL))
        for done in {rows // 2, min(5, rows - 1)} - {0}:
            first = gradient(way, x[:done], dz[:done])
            for cut in (None, inputs // 2 // PANEL * PANEL):
                results.append(gradient(way, x[done:], dz[done:], start=first, cut=cut))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
    truth = x.astype(float).T @ dz.astype(float)
    bound = rows * np.finfo(dtype).eps * (np.abs(x).T @ np.abs(dz) + 1e-30)
    assert (np.abs(results[0][:-1] - truth) <= bound).all()
    np.testing.assert_array_equal(results[0][-1], sums_of(dz))


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 36])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_of_few_columns_from_any_number_of_inputs(columns, dtype):
    """However many vectors of inputs stand side by side."""
    rng = np.random.default_rng(columns)
    x = rng.normal(size=(20, 300)).astype(dtype)
    dz = rng.normal(size=(20, columns)).astype(dtype)
    expected = gradient(WAYS[0], x, dz)
    for way in WAYS:
        for inputs in range(3, 300, 11):
            found = gradient(way, x[:, :inputs].copy(), dz)
            np.testing.assert_array_equal(found[:-1], expected[:inputs])
            first = gradient(way, x[:9, :inputs], dz[:9])
            halves = gradient(way, x[9:, :inputs], dz[9:], start=first)
            np.testing.assert_array_equal(halves[:-1], expected[:inputs])


@pytest.mark.parametrize("columns", [3, 18, 34])
def test_weight_gradient_is_the_stated_chain(columns):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 4)).astype(np.float32)
    dz = rng.normal(size=(300, columns)).astype(np.float32)
    result = gradient(WAYS[0], x, dz)
    for i in range(4):
        for j in range(columns):
            assert result[i, j] == chain(np.float32(0), x[:, i], dz[:, j])


@pytest.mark.parametrize("columns", [1, 15, 16, 17, 33, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_column_sums(columns, dtype):
    rng = np.random.default_rng(columns)
    dz = rng.normal(size=(50, columns)).astype(dtype)
    count = -(-columns // PANEL)
    for level, layout in WAYS:
        out = np.full((count + 1, PANEL), GUARD, dtype)
        for resume, part in ((False, dz[:20]), (True, dz[20:])):
            operands = [(out, 1, columns), Rows(*part.shape, dtype, layout, part).operand]
            _core.run_kernel(
                "column_sums", out.dtype.name, level, operands, len(part),
                begin=0, end=1, panels=count, resume=resume,
            )  # fmt: skip
        np.testing.assert_array_equal(out[:count].reshape(-1)[:columns], sums_of(dz))
        assert (out[:count].reshape(-1)[columns:] == 0).all()
        assert (out[count] == GUARD).all()


@pytest.mark.parametrize(
    ("inputs", "columns"), [(1, 1), (5, 40), (33, 31), (64, 32), (37, 7), (37, 8), (70, 100)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transpose(inputs, columns, dtype):
    weight = np.arange(1, inputs * columns + 1, dtype=dtype).reshape(inputs, columns)
    total, count = -(-columns // PANEL) * inputs, -(-inputs // PANEL)
    for level in LEVELS:
        turned = np.full((count * columns + 1, PANEL), GUARD, dtype)
        turned[:-1] = 0
        for begin, end in ((0, total // 2), (total // 2, total)):
            operands = [(turned, columns, inputs), (panels(weight), inputs, columns)]
            _core.run_kernel(
                "transpose", np.dtype(dtype).name, level, operands, 0, begin=begin, end=end
            )
        assert (turned[-1] == GUARD).all()
        padded = turned[:-1].reshape(count, columns, PANEL).transpose(1, 0, 2)
        np.testing.assert_array_equal(
            padded.reshape(columns, -1), np.pad(weight.T, ((0, 0), (0, -inputs % PANEL)))
        )


@pytest.mark.parametrize(("inputs", "columns"), [(1, 1), (33, 31), (64, 32), (70, 100)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("turn", [True, False])
def test_weights_that_go_past_the_caches(inputs, columns, dtype, turn):
    weight = np.arange(1, inputs * columns + 1, dtype=dtype).reshape(inputs, columns)
    fresh = panels(weight)
    total, name = fresh.shape[0] * inputs, np.dtype(dtype).name
    rows = fresh.reshape(total, PANEL)
    for level in LEVELS:
        stored, turned = (
            aligned((-(-b // PANEL), a, PANEL), dtype) for a, b in (weight.shape, weight.T.shape)
        )
        stored[:], turned[:] = GUARD, 0
        for begin, end in ((0, total // 2), (total // 2, total)):
            part = aligned((max(1, end - begin), PANEL), dtype)
            part[: end - begin] = rows[begin:end]
            operands = [
                (turned if turn else None, columns, inputs),
                (stored, inputs, columns),
                (part, inputs, columns),
            ]
            _core.run_kernel("stream_weights", name, level, operands, 0, begin=begin, end=end)
        np.testing.assert_array_equal(stored, fresh)
        if turn:
            np.testing.assert_array_equal(unpanels(turned, inputs), weight.T)
