"""The encoder: kinds of columns, their numbers, and that the pieces they come in cannot be seen."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from data_shared import encode, learn

import onefold as of
from onefold.cli.preparation import prepare
from onefold.cli.recipe import Recipe
from onefold.data import Encoder, EncoderFit, Table
from onefold.data.columns import readable


def test_numbers_are_standardised_and_missing_ones_marked():
    encoder = learn({"a": [1, 2, None, 6, None], "b": ["x", "y", "x", "y", "x"]})
    numeric, categorical = encoder.columns
    assert (numeric.mean, numeric.median, numeric.indicator) == (3.0, 2.0, True)
    assert numeric.scale == pytest.approx(np.std([1, 2, 6]), rel=1e-15)
    assert categorical.categories == ("x", "y")
    encoded = encode(encoder, {"a": [3, None], "b": ["y", "z"]})
    np.testing.assert_array_equal(
        encoded, np.float32([[0, 0, 0, 1, 0], [-1 / numeric.scale, 1, 0, 0, 1]])
    )


def test_dates_have_their_place_in_the_year_and_the_week():
    days = [f"2024-01-{day:02d} 06:00:00 UTC" for day in range(1, 29)]
    encoder = learn({"when": days})
    (column,) = encoder.columns
    assert (column.kind, column.has_times, column.width) == ("date", True, 7)
    encoded = encode(encoder, {"when": [*days, "2025-01-01 06:00:00"]})
    np.testing.assert_allclose(encoded[:7, 3:5], encoded[7:14, 3:5], atol=1e-5)
    np.testing.assert_allclose(np.hypot(encoded[:, 1], encoded[:, 2]), 1, rtol=1e-6)
    np.testing.assert_allclose(
        encoded[:, 5:7], np.float32([[1, 0]] * 29), atol=1e-4
    )  # a quarter of the day
    monday = encode(encoder, {"when": ["2024-01-01"]})[0, 3:5]
    np.testing.assert_allclose(monday, [np.sin(0), np.cos(0)], atol=1e-5)
    with pytest.raises(of.TableError, match="'when' is a date, found 'soon' in data row 1"):
        encode(encoder, {"when": ["soon"]})


def test_truth_values_have_a_place_for_each_and_one_for_neither():
    cells = {"flag": np.array([True, False, None, True], dtype=object)}
    encoder = learn(cells)
    assert encoder.columns[0].categories == ("false", "true")
    expected = [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]
    np.testing.assert_array_equal(encode(encoder, cells), expected)


@pytest.mark.parametrize(
    ("values", "kind"),
    [([0, 1, 2], "categorical"), ([1, 2, 3, 4, 5], "categorical"), ([0, 1], "numeric"),
     ([1, 2, 3, 4, 5, 6], "numeric"), ([2007, 2008, 2009], "numeric"), ([0, 0.5, 1], "numeric")],
)  # fmt: skip
def test_columns_of_few_codes_are_categories(values, kind):
    fit = EncoderFit({"x": "number"})
    fit.add({"x": np.array(values * 20, float)})
    assert fit.finish().columns[0].kind == kind
    by_hand = EncoderFit({"x": "number"}, numeric=["x"])
    by_hand.add({"x": np.array(values * 20, float)})
    assert by_hand.finish().columns[0].kind == "numeric"


def test_every_pixel_is_a_number(tmp_path):
    """Also where it has three to five values, which elsewhere are codes of categories."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 2, 2)).astype(np.uint8)
    images[:, 0, 1] = rng.integers(0, 3, 60)
    images[:, 1, 0] = 0
    path = tmp_path / "part-images-idx3-ubyte"
    path.write_bytes(struct.pack(">IIII", 0x803, 60, 2, 2) + images.tobytes())
    labels = rng.integers(0, 3, 60).astype(np.uint8)
    (tmp_path / "part-labels-idx1-ubyte").write_bytes(
        struct.pack(">II", 0x801, 60) + labels.tobytes()
    )

    def learned(**options):
        encoder = prepare(recipe := Recipe(**options), recipe.table(path)).encoder
        return {column.name: column.word for column in encoder.columns}, set(encoder.dropped)

    assert learned(target="label") == (dict.fromkeys(("p0", "p1", "p3"), "numeric"), {"p2"})
    assert learned(target="label", categorical=("p1",))[0]["p1"] == "categorical"
    assert learned(target="p0")[0] == {"p1": "numeric", "p3": "numeric", "label": "categorical"}


def test_kinds_by_hand():
    cells = {"code": [1, 2, 1, 3]}
    assert learn(cells).columns[0].kind == "numeric"
    encoder = learn(cells, categorical=["code"])
    assert encoder.columns[0].categories == ("1", "2", "3")
    np.testing.assert_array_equal(
        encode(encoder, {"code": ["2", "9"]}), [[0, 1, 0, 0], [0, 0, 0, 1]]
    )
    with pytest.raises(of.TableError, match=r"there is no column 'cod'.*code"):
        learn(cells, categorical=["cod"])
    with pytest.raises(of.TableError, match="'letter' is not numeric: 'a'"):
        learn({"letter": ["a", "b"]}, numeric=["letter"])
    assert learn({"text": ["1", "2.5", " 3 "]}).columns[0].mean == pytest.approx(6.5 / 3)


def test_what_is_left_out_is_said():
    many = 30
    encoder = learn(
        {
            "keep": [i * i for i in range(many)],
            "same": [7] * many,
            "empty": [None] * many,
            "id": [f"u{i}" for i in range(many)],
            "gone": range(many),
        },
        drop=["gone"],
    )
    assert [column.name for column in encoder.columns] == ["keep"]
    assert encoder.dropped == {
        "same": "constant (7)",
        "empty": "every value is missing",
        "id": "looks like an identifier",
        "gone": "left out as asked",
    }
    assert len(encoder.notices) == 4
    with pytest.raises(of.TableError, match="no column is left to learn from: same: constant"):
        learn({"same": [1, 1]})


def test_inputs_have_names():
    encoder = learn({"a": [1, 2, None], "b": ["x", "y", "x"]})
    assert encoder.input_names() == ["a", "a: missing", "b: x", "b: y", "b: other"]


def test_numbers_as_people_read_them():
    numbers = (0.012345, 4567.4, 9999.7, 43120, -205862.3, 1.2e9)
    shown = ["0.01235", "4567", "10,000", "43,120", "-205,862", "1.2e+09"]
    assert [readable(number) for number in numbers] == shown


def test_an_encoder_survives_json():
    cells = {
        "a": [1, 2.5, None],
        "b": ["x", "y", "x"],
        "d": ["2020-01-01", "2021-05-05", "2022-02-02"],
    }
    encoder = learn(cells)
    other = Encoder.from_config(json.loads(json.dumps(encoder.to_config())))
    np.testing.assert_array_equal(encode(other, cells), encode(encoder, cells))


def test_the_pieces_of_a_table_cannot_be_seen():
    rng = np.random.default_rng(0)
    rows = 150_000  # more than the median's sample
    source = {
        "x": rng.normal(size=rows) * 10.0 ** rng.integers(-8, 8, rows) + 1e6,
        "c": rng.integers(0, 90, rows).astype(str).astype(object),
        "d": np.datetime64("2020-01-01T00:00", "s") + rng.integers(0, 10**8, rows),
    }
    whole = learn(source, categorical=["c"])
    assert [column.kind for column in whole.columns] == ["numeric", "categorical", "date"]
    assert learn(source, 7, categorical=["c"]).to_config() == whole.to_config()
    mean = np.mean(source["x"])
    assert whole.columns[0].mean == pytest.approx(mean, rel=1e-9)
    assert whole.columns[0].scale == pytest.approx(np.std(source["x"]), rel=1e-9)
    below = (source["x"] < whole.columns[0].median).mean()
    assert abs(below - 0.5) < 0.01


@pytest.mark.parametrize("scaling", ["clipped", "robust", "quantile"])
def test_the_pieces_that_are_read_cannot_be_seen(scaling, monkeypatch):
    """The training rows are drawn out of each piece; the sample for medians is by the table's rows."""
    rng = np.random.default_rng(0)
    rows = 90_000  # the training rows alone are more than the sample
    x = np.where(rng.random(rows) < 0.1, np.nan, rng.lognormal(size=rows))
    source = Table({"x": x, "y": rng.integers(0, 2, rows)})
    found = []
    for piece in (65_536, 10_000, 999):
        monkeypatch.setattr("onefold.data.array_reader.PIECE_ROWS", piece)
        prepared = prepare(Recipe(target="y", scaling=scaling), source)
        found.append((prepared.encoder.to_config(), prepared.parts["train"][0].tobytes()))
    assert found[1:] == found[:1] * 2


def test_words_like_infinity_are_words_in_any_pieces():
    cells = {"c": ["inf", "nan", "inf", "x", "y", "x"]}
    whole = learn(cells).to_config()
    assert whole["columns"][0]["kind"] == "categorical"
    assert learn(cells, 3).to_config() == whole


def test_an_error_names_the_row_of_the_table():
    x = np.arange(1000.0)
    x[700] = np.inf
    with pytest.raises(of.TableError, match="column 'x' holds 'inf' in data row 701"):
        prepare(Recipe(target="y", test=0.01), Table({"x": x, "y": np.arange(1000) % 2}))
