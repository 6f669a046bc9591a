"""Tables: every source gives the same columns."""

from __future__ import annotations

import gzip
import json
import sqlite3
import struct

import duckdb
import numpy as np
import pytest

import onefold as of
from onefold.data import Table, read_idx


def columns(table):
    chunks = list(table.chunks())
    return {
        name: np.concatenate([chunk[name] for chunk in chunks]).tolist() for name in table.kinds
    }


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
