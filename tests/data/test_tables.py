"""Tables: the columns' kinds, the encoder's numbers, the target, the split."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

import onefold as of
from onefold.data.encoder import MAX_CATEGORIES, Categorical, Encoder, Numeric
from onefold.data.source import CsvSource
from onefold.data.split import split
from onefold.data.target import Target


def table(**columns):
    return {name: [str(cell) for cell in cells] for name, cells in columns.items()}


def test_numbers_are_standardised_and_missing_ones_marked():
    encoder = Encoder.fit(table(a=[1, 2, "NA", 6, ""], b=["x", "y", "x", "y", "x"]))
    numeric, categorical = encoder.columns
    assert isinstance(numeric, Numeric)
    assert (numeric.mean, numeric.median, numeric.indicator) == (3.0, 2.0, True)
    assert numeric.scale == np.std([1, 2, 6])
    encoded = encoder.encode(table(a=[3, "?"], b=["y", "z"]))
    expected = [[0, 0, 0, 1, 0], [(2 - 3) / numeric.scale, 1, 0, 0, 1]]
    np.testing.assert_array_equal(encoded, np.float32(expected))
    assert isinstance(categorical, Categorical)
    assert categorical.categories == ("x", "y")


def test_the_order_of_the_rows_does_not_change_the_encoder():
    rng = np.random.default_rng(0)
    values = (rng.normal(size=500) * 10.0 ** rng.integers(-8, 8, 500)).tolist()
    first = Encoder.fit(table(a=values)).to_config()
    assert Encoder.fit(table(a=sorted(values))).to_config() == first


def test_what_is_left_out_is_said():
    many = 30
    encoder = Encoder.fit(
        table(
            keep=range(many),
            same=[7] * many,
            empty=[""] * many,
            id=[f"u{i}" for i in range(many)],
            gone=range(many),
        ),
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
        Encoder.fit(table(same=[1, 1]))


def test_kinds_by_hand():
    cells = table(code=[1, 2, 1, 3])
    assert Encoder.fit(cells).columns[0].kind == "numeric"
    assert Encoder.fit(cells, categorical=["code"]).columns[0].kind == "categorical"
    with pytest.raises(of.TableError, match=r"there is no column 'cod'.*code"):
        Encoder.fit(cells, categorical=["cod"])
    with pytest.raises(of.TableError, match="'letter' is not numeric"):
        Encoder.fit(table(letter=["a", "b"]), numeric=["letter"])


def test_rare_categories_share_a_place():
    cells = [f"c{i % 100}" for i in range(1000)] + ["c3"] * 5
    encoder = Encoder.fit(table(c=cells))
    (column,) = encoder.columns
    assert column.width == MAX_CATEGORIES + 1
    assert "c3" in column.categories
    assert "100 categories" in encoder.notices[0]


def test_an_encoder_survives_json():
    cells = table(a=[1, 2.5, "NA"], b=["x", "y", "x"])
    encoder = Encoder.fit(cells)
    other = Encoder.from_config(json.loads(json.dumps(encoder.to_config())))
    np.testing.assert_array_equal(other.encode(cells), encoder.encode(cells))


@pytest.mark.parametrize(
    ("cells", "task", "classes"),
    [
        (["a", "b", "a"], "binary", ("a", "b")),
        (["1", "0", "1"], "binary", ("0", "1")),
        (["a", "b", "c"] * 3, "classes", ("a", "b", "c")),
        (["10", "2", "1"] * 10, "classes", ("1", "2", "10")),
        ([str(i / 7) for i in range(30)], "regression", ()),
        ([str(i) for i in range(100)], "regression", ()),
    ],
)
def test_the_kind_of_target_is_found_out(cells, task, classes):
    target = Target.find("y", cells)
    assert (target.task, target.classes) == (task, classes)


def test_targets_there_and_back():
    target = Target.find("y", ["5", "2", "2", "9.5"], "regression")
    encoded = target.encode(["5", "2"])
    np.testing.assert_allclose(
        [float(v) for v in target.decode(encoded[:, None])], [5, 2], rtol=1e-6
    )
    classes = Target.find("y", ["b", "a", "c", "a"] * 9)
    assert classes.decode(np.eye(3)[classes.encode(["c", "a"])]) == ["c", "a"]
    binary = Target.find("y", ["no", "yes"])
    assert binary.decode(np.array([[-0.1], [0.1]])) == ["no", "yes"]
    with pytest.raises(of.TableError, match="'d' in row 2, which training never saw"):
        classes.encode(["a", "d"])


@pytest.mark.parametrize(
    "content",
    ["a,b\n1,x\n2,y\n", "a;b\n1;x\n2;y\n", 'a\tb\n"1"\tx\n2\ty', "\ufeffa|b\r\n1|x\r\n2|y\r\n"],
)
def test_separators_and_line_ends(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode())
    assert CsvSource(path).columns() == {"a": ["1", "2"], "b": ["x", "y"]}
    zipped = tmp_path / "t.csv.gz"
    zipped.write_bytes(gzip.compress(content.encode()))
    assert CsvSource(zipped).columns() == CsvSource(path).columns()
    assert CsvSource(zipped).digest() == CsvSource(path).digest()


def test_without_header_and_not_utf8(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("Zürich,1\nGenf,2\n".encode("latin-1"))
    assert CsvSource(path, header=False, encoding="latin-1").columns() == {
        "c0": ["Zürich", "Genf"],
        "c1": ["1", "2"],
    }
    with pytest.raises(of.TableError, match="line 1: not utf-8; try --encoding latin-1"):
        CsvSource(path).columns()


def test_a_split_has_its_shares_of_every_class():
    classes = np.repeat([0, 1, 2], [70, 20, 10])
    parts = split(100, [0.6, 0.2], seed=1, classes=classes)
    assert sorted(np.concatenate(parts).tolist()) == list(range(100))
    assert [len(part) for part in parts] == [60, 20, 20]
    assert [np.bincount(classes[part]).tolist() for part in parts] == [
        [42, 12, 6],
        [14, 4, 2],
        [14, 4, 2],
    ]
    again, other = (split(100, [0.6, 0.2], seed=seed, classes=classes) for seed in (1, 2))
    assert [part.tolist() for part in again] == [part.tolist() for part in parts]
    assert other[0].tolist() != parts[0].tolist()
