"""Tables: every source gives the same columns, the encoder's numbers, the target, the split."""

from __future__ import annotations

import gzip
import itertools
import json
import sqlite3
import struct

import duckdb
import numpy as np
import pytest

import onefold as of
from onefold.cli.preparation import prepare
from onefold.cli.recipe import Recipe
from onefold.data import Encoder, EncoderFit, Table, Target, read_idx, split
from onefold.data.columns import readable
from onefold.data.statistics import MAX_CATEGORIES


def columns(table):
    chunks = list(table.chunks())
    return {
        name: np.concatenate([chunk[name] for chunk in chunks]).tolist() for name in table.kinds
    }


def learn(source, pieces=1, **options):
    table = Table(source)
    fit = EncoderFit(table.kinds, **options)
    whole = {name: table.column(name) for name in table.kinds}
    rows = len(next(iter(whole.values())))
    cuts = np.linspace(0, rows, pieces + 1).astype(int)
    for begin, end in itertools.pairwise(cuts):
        fit.add({name: column[begin:end] for name, column in whole.items()}, int(begin))
    return fit.finish()


def encode(encoder, source):
    table = Table(source)
    return encoder.encode({name: table.column(name) for name in table.kinds})


ROWS = [(1, 2.5, "u", "yes"), (2, None, "v", "no"), (3, -1.0, None, "yes")]
EXPECTED = {
    "a": [1.0, 2.0, 3.0],
    "b": [2.5, None, -1.0],
    "kind": ["u", "v", None],
    "answer": ["yes", "no", "yes"],
}


def as_text(delimiter, end="\n"):
    lines = [delimiter.join(EXPECTED)]
    lines += [delimiter.join("" if cell is None else str(cell) for cell in row) for row in ROWS]
    return end.join(lines) + end


def sources(folder):
    for name, text in {
        "comma.csv": as_text(","),
        "semicolon.csv": as_text(";", "\r\n"),
        "tab.tsv": as_text("\t"),
        "bar.txt": as_text("|"),
        "bom.csv": "\ufeff" + as_text(","),
        "quoted.csv": as_text(",").replace("yes", '"yes"'),
        "blanks.csv": as_text(",").replace("u", " u "),
    }.items():
        path = folder / name
        path.write_bytes(text.encode())
        yield path
    path = folder / "zipped.csv.gz"
    path.write_bytes(gzip.compress(as_text(",").encode()))
    yield path
    path = folder / "lines.jsonl"
    path.write_text(
        "".join(json.dumps(dict(zip(EXPECTED, row, strict=True))) + "\n" for row in ROWS)
    )
    yield path
    path = folder / "table.parquet"
    duckdb.sql(f"copy (select * from '{folder}/comma.csv') to '{path}'")
    yield path
    path = folder / "table.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("create table t (a integer, b real, kind text, answer text)")
        database.executemany("insert into t values (?, ?, ?, ?)", ROWS)
    database.close()
    yield path
    path = folder / "table.duckdb"
    with duckdb.connect(str(path)) as database:
        database.execute(f"create table t as select * from '{folder}/comma.csv'")
    yield path
    yield {name: [row[place] for row in ROWS] for place, name in enumerate(EXPECTED)}
    for library in ("pandas", "polars", "pyarrow"):
        try:
            module = __import__(library)
        except ImportError:
            continue
        data = {name: [row[place] for row in ROWS] for place, name in enumerate(EXPECTED)}
        yield module.table(data) if library == "pyarrow" else module.DataFrame(data)


def test_every_source_gives_the_same_table(tmp_path):
    for source in sources(tmp_path):
        table = Table(source)
        found = columns(table)
        assert list(found) == list(EXPECTED), source
        # Truth values of a Parquet file are the words that stand for them.
        for name, expected in EXPECTED.items():
            values = [None if v != v else v for v in found[name]]
            if name == "answer" and values[0] == "true":
                values = [{"true": "yes", "false": "no"}[v] for v in values]
            assert values == expected, (source, name)


def test_globs_queries_and_lists(tmp_path):
    for month in (2, 1):
        (tmp_path / f"m{month}.csv").write_text(f"x,y\n{month},a\n{month + 10},b\n")
    both = [1.0, 11.0, 2.0, 12.0]
    assert columns(Table(tmp_path / "m*.csv"))["x"] == both
    assert columns(Table([tmp_path / "m1.csv", tmp_path / "m2.csv"]))["x"] == both
    chosen = Table(tmp_path / "m*.csv", sql="select x * 2 as double from data where y = 'b'")
    assert columns(chosen) == {"double": [22.0, 24.0]}
    assert columns(Table(sql="select 1 as one, 'a' as letter")) == {"one": [1.0], "letter": ["a"]}
    with pytest.raises(of.TableError, match="could not read"):
        Table(tmp_path / "m1.csv", sql="selct x from data")


def test_databases_of_several_tables(tmp_path):
    path = tmp_path / "t.db"
    with sqlite3.connect(path) as database:
        database.execute("create table p (a)")
        database.execute("create table q (a)")
        database.execute("insert into q values (5)")
    database.close()
    with pytest.raises(of.TableError, match=r"has 2 tables \(p, q\); choose with a query"):
        Table(path)
    assert columns(Table(path, sql="select a from q")) == {"a": [5.0]}


def test_without_header_and_not_utf8(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("Zürich,1\nGenf,2\n".encode("latin-1"))
    found = columns(Table(path, header=False, encoding="latin-1"))
    assert found == {"c0": ["Zürich", "Genf"], "c1": [1.0, 2.0]}
    with pytest.raises(of.TableError, match="not utf-8; try --encoding latin-1"):
        columns(Table(path))


def test_idx_images_with_their_labels(tmp_path):
    images = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    path = tmp_path / "part-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(struct.pack(">IIII", 0x803, 2, 3, 3) + images.tobytes()))
    (tmp_path / "part-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(struct.pack(">II", 0x801, 2) + b"\x07\x03")
    )
    np.testing.assert_array_equal(read_idx(path), images)
    found = columns(Table(path))
    assert (found["label"], found["p4"], len(found)) == ([7.0, 3.0], [4.0, 13.0], 10)
    path.write_bytes(gzip.compress(struct.pack(">IIII", 0x803, 2, 3, 3) + b"123"))
    with pytest.raises(of.TableError, match="cut short"):
        Table(path)


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


def test_a_file_that_changes_while_it_is_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "1,2\n" * 10)
    table = Table(path)
    path.write_text("x,y\n" + "1,2\n" * 11)
    with pytest.raises(of.TableError, match="has changed while it was read"):
        list(table.chunks())


def test_what_is_not_a_table(tmp_path):
    with pytest.raises(of.TableError, match="int is not a table"):
        Table(3)
    with pytest.raises(of.TableError, match="different lengths"):
        Table({"a": [1, 2], "b": [1]})
    with pytest.raises(of.OptionError, match="unknown format 'cvs'; did you mean 'csv'"):
        Table(tmp_path, format="cvs")


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


def test_an_error_names_the_row_of_the_table():
    x = np.arange(1000.0)
    x[700] = np.inf
    with pytest.raises(of.TableError, match="column 'x' holds 'inf' in data row 701"):
        prepare(Recipe(target="y", test=0.01), Table({"x": x, "y": np.arange(1000) % 2}))


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


def test_rare_categories_share_a_place():
    encoder = learn({"c": [f"c{i % 100}" for i in range(1000)] + ["c3"] * 5})
    (column,) = encoder.columns
    assert column.width == MAX_CATEGORIES + 1
    assert "c3" in column.categories
    assert "100 categories" in encoder.notices[0]


def test_an_encoder_survives_json():
    cells = {
        "a": [1, 2.5, None],
        "b": ["x", "y", "x"],
        "d": ["2020-01-01", "2021-05-05", "2022-02-02"],
    }
    encoder = learn(cells)
    other = Encoder.from_config(json.loads(json.dumps(encoder.to_config())))
    np.testing.assert_array_equal(encode(other, cells), encode(encoder, cells))


def text(cells):
    return Table({"y": cells}).column("y")


@pytest.mark.parametrize(
    ("cells", "task", "classes"),
    [
        (["a", "b", "a"], "binary", ("a", "b")),
        ([1, 0, 1], "binary", ("0", "1")),
        ([True, False], "binary", ("false", "true")),
        (["a", "b", "c"] * 3, "classes", ("a", "b", "c")),
        ([10, 2, 1] * 10, "classes", ("1", "2", "10")),
        ([i / 7 for i in range(30)], "regression", ()),
        (list(range(100)), "regression", ()),
    ],
)
def test_the_kind_of_target_is_found_out(cells, task, classes):
    target = Target.find("y", text(cells))
    assert (target.task, target.classes) == (task, classes)


def test_targets_there_and_back():
    target = Target.find("y", text([5, 2, 2, 9.5]), "regression")
    encoded = target.encode(text([5, 2]))
    np.testing.assert_allclose(
        [float(v) for v in target.decode(encoded[:, None])], [5, 2], rtol=1e-6
    )
    classes = Target.find("y", text(["b", "a", "c", "a"] * 9))
    assert classes.decode(np.eye(3)[classes.encode(text(["c", "a"]))]) == ["c", "a"]
    binary = Target.find("y", text(["no", "yes"]))
    assert binary.decode(np.array([[-0.1], [0.1]])) == ["no", "yes"]
    with pytest.raises(of.TableError, match="'d' in row 2, which training never saw"):
        classes.encode(text(["a", "d"]))


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


def test_a_database_may_keep_text_among_numbers(tmp_path):
    path = tmp_path / "late.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("create table t (a, b)")
        database.executemany("insert into t values (?, ?)", [(i, i) for i in range(2000)])
        database.execute("insert into t values ('late', 7)")
    database.close()
    table = Table(path)
    assert table.kinds == {"a": "text", "b": "number"}
    assert table.column("a").tolist()[-2:] == ["1999", "late"]


def test_only_the_columns_that_are_wanted_are_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "1,a\n" * 5)
    assert [list(chunk) for chunk in Table(path).chunks(["y"])] == [["y"]]


def test_words_like_infinity_are_words_in_any_pieces():
    cells = {"c": ["inf", "nan", "inf", "x", "y", "x"]}
    whole = learn(cells).to_config()
    assert whole["columns"][0]["kind"] == "categorical"
    assert learn(cells, 3).to_config() == whole


def test_codes_of_categories_for_an_embedding():
    cells = np.array([f"c{i % 90:02d}" for i in range(900)] + [None], dtype=object)
    grade = np.array([i % 3 for i in range(901)], float)
    fit = EncoderFit({"name": "text", "grade": "number"}, max_categories=90)
    fit.add({"name": cells, "grade": grade})
    encoder = fit.finish()
    assert not encoder.notices
    codes = encoder.codes({"name": cells, "grade": np.where(grade == 2, np.nan, grade)})
    assert codes["name"].tolist() == [*(i % 90 for i in range(900)), 90]
    assert codes["grade"][:3].tolist() == [0, 1, 3]
    encoded = encoder.encode({"name": cells, "grade": grade})
    assert np.array_equal(encoded[:, :91].argmax(axis=1), codes["name"])
    with pytest.raises(of.OptionError, match="max_categories"):
        EncoderFit({"x": "text"}, max_categories=0)


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


def test_truth_values_have_a_place_for_each_and_one_for_neither():
    cells = {"flag": np.array([True, False, None, True], dtype=object)}
    encoder = learn(cells)
    assert encoder.columns[0].categories == ("false", "true")
    expected = [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]
    np.testing.assert_array_equal(encode(encoder, cells), expected)


def test_inputs_have_names():
    encoder = learn({"a": [1, 2, None], "b": ["x", "y", "x"]})
    assert encoder.input_names() == ["a", "a: missing", "b: x", "b: y", "b: other"]


def test_numbers_as_people_read_them():
    numbers = (0.012345, 4567.4, 9999.7, 43120, -205862.3, 1.2e9)
    shown = ["0.01235", "4567", "10,000", "43,120", "-205,862", "1.2e+09"]
    assert [readable(number) for number in numbers] == shown


def test_columns_of_many_categories_become_codes():
    words = [f"c{i % 90:02d}" for i in range(900)] + ["c07"] * 5 + ["c03"] * 3 + [None] * 2
    cells = {
        "few": np.array([f"{'uvw'[i % 3]}" for i in range(910)], dtype=object),
        "many": np.array(words, dtype=object),
        "x": np.arange(910.0),
    }
    kept = learn_codes(cells, max_categories=64, least_rows=1)
    assert kept.columns[1].kind == "categorical"  # 64 are left, and have an input each
    encoder = learn_codes(cells, least_rows=1)
    assert encoder.width == 4 + 1 + 1
    assert encoder.embeddings == {4: 91}
    assert encoder.input_names()[3:] == ["few: other", "many", "x"]
    assert encoder.columns[1].categories[:3] == ("c07", "c03", "c00")
    cells["many"][0] = "new"
    found = encoder.encode(cells)
    assert found[0, 4] == found[-1, 4] == 90
    assert found[7, 4] == 0
    np.testing.assert_array_equal(found[:, 4], encoder.codes(cells)["many"])
    assert Encoder.from_config(json.loads(json.dumps(encoder.to_config()))) == encoder
    net = of.Network([of.Embedding(encoder.embeddings), of.Dense(1)], inputs=encoder.width)
    net.predict(found)
    with pytest.raises(of.OptionError, match="one_hot is a number from 1 up, not 0"):
        EncoderFit({"x": "text"}, one_hot=0)


def learn_codes(cells, **options):
    kinds = {name: "text" if column.dtype == object else "number" for name, column in cells.items()}
    fit = EncoderFit(kinds, **{"one_hot": 64, "least_rows": 20, **options})
    fit.add(cells)
    return fit.finish()


def test_rare_categories_are_not_embedded():
    words = [f"c{i % 70:02d}" for i in range(1400)] + [
        f"rare{i}" for i in range(30) for _ in range(9)
    ]
    cells = {"c": np.array(words, dtype=object)}
    encoder = learn_codes(cells)
    assert encoder.embeddings == {0: 71}
    assert encoder.encode({"c": np.array(["rare3", "c00"], dtype=object)}).ravel().tolist() == [
        70,
        0,
    ]
    assert "the 70 most frequent are kept" in encoder.notices[0]
    assert "--least-rows" in encoder.notices[0]
    assert learn_codes(cells, least_rows=9).embeddings == {0: 101}
    # Where few are frequent, the 64 most frequent ones have an input each.
    few = learn_codes(cells, least_rows=21)
    assert few.embeddings == {}
    assert few.width == 65
    assert "--least-rows keeps rarer ones" in few.notices[0]
    # Where no more are frequent than may have an input each, these have one.
    some = learn_codes(cells, one_hot=80)
    assert some.embeddings == {}
    assert some.width == 71
    assert "--least-rows keeps rarer ones" in some.notices[0]
    assert learn_codes(cells, one_hot=100).width == 101
    limited = learn_codes(cells, max_categories=66)
    assert limited.embeddings == {0: 67}
    assert "--max-categories keeps more" in limited.notices[0]
