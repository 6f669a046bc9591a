"""Queries, addresses and the extensions that they need."""

from __future__ import annotations

import json

import duckdb
import numpy as np
import pytest
from cli_shared import FAST, table

from onefold import TableError
from onefold.cli.preparation import _digest
from onefold.data import Table, sources
from onefold.train.residency import FileRows


def test_parquet_and_queries(run, tmp_path):
    path = table(tmp_path / "t.csv", 90)
    duckdb.sql(f"copy (select * from read_csv('{path}')) to '{tmp_path}/t.parquet'")
    prints = set()
    for source, options in (
        (path, []),
        (tmp_path / "t.parquet", []),
        (path, ["--sql", "select * from data"]),
    ):
        status, out, err = run("train", source, "--target", "y", "--epochs", 2, "--json", *options)
        assert status == 0, err
        prints.add(json.loads(out)["fingerprint"])
    assert len(prints) == 1


def test_a_query_without_a_table(run, tmp_path):
    path = table(tmp_path / "t.csv", 200)
    query = f"create temp table small as from '{path}' where a < 150; select * from small;"
    status, out, err = run("train", "--sql", query, "--target", "y", *FAST, "--json")
    assert status == 0, err
    whole = json.loads(out)["fingerprint"]
    status, out, _ = run("verify", "model.onefold", "--sql", query)
    assert (status, whole in out) == (0, True)
    status, out, _ = run("predict", "model.onefold", path, "-q")  # a table is taken as it is
    assert (status, len(out.splitlines())) == (0, 201)
    status, out, _ = run("predict", "model.onefold", path, "-q", "--sql", "from data limit 7")
    assert (status, len(out.splitlines())) == (0, 8)
    status, _, err = run("evaluate", "model.onefold", "--sql", query)
    assert status == 0, err
    status, _, err = run("train", "--target", "y", *FAST)
    assert (status, "give a TABLE, or a query with --sql" in err) == (2, True)


def test_other_rows_of_a_query_are_found_out(run, tmp_path):
    path = table(tmp_path / "t.csv", 200)
    query = f"select * from '{path}'"
    assert run("train", "--sql", query, "--target", "y", *FAST)[0] == 0
    shown = run("inspect", "model.onefold")[1]
    assert "encoded rows SHA-256" in shown
    assert "table SHA-256" not in shown
    status, _, err = run("verify", "model.onefold", "--sql", query, "--quiet")
    assert (status, err) == (0, "")
    # The same rows in other words.
    same = f"select * from read_csv('{path}', parallel = false)"
    assert "SHA-256 differs" not in run("verify", "model.onefold", "--sql", same)[2]
    table(path, 201)
    status, out, err = run("verify", "model.onefold", "--sql", query)
    assert (status, out.startswith("different: the model has")) == (1, True)
    assert "(its encoded rows' SHA-256 differs)" in err


def test_encoded_rows_have_one_digest_in_memory_and_in_a_file():
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(2 << 17, 9)).astype(np.float32), rng.integers(0, 3, 2 << 17)
    in_file = FileRows.create(inputs.shape)
    in_file.write(0, 0, inputs)
    whole = _digest({"train": (inputs, targets)})
    assert _digest({"train": (in_file, targets)}) == whole
    for other in ({"test": (inputs, targets)}, {"train": (inputs[:-1], targets)}):
        assert _digest(other) != whole
    inputs[-1, -1] += 1
    assert _digest({"train": (inputs, targets)}) != whole


def test_sql_that_is_none(run):
    status, _, err = run("train", "--sql", "selekt 1", "--target", "y", *FAST)
    assert (status, "could not read the query" in err) == (2, True)
    status, _, err = run("train", "--sql", "  ", "--target", "y", *FAST)
    assert (status, "the query is empty" in err) == (2, True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("httpfs", "trying to automatically install the required extension 'httpfs: Failed"),
        ("spatial", 'IO Error: Extension "/x/spatial.duckdb_extension" not found. Extension'),
        ("postgres_scanner", 'IO Error: Failed to download extension "postgres_scanner" at URL'),
    ],
)
def test_an_extension_that_cannot_be_had(name, said):
    """The messages are DuckDB's; a test cannot know whether it has a network."""
    with pytest.raises(TableError, match=f"install_extension\\('{name}'\\)"):  # noqa: SIM117
        with sources.Errors("s3://bucket/t.parquet", "utf-8", lambda: None):
            raise duckdb.IOException(said)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('at "host=x user=me password=hunter2": no', 'at "host=x user=me password=...": no'),
        ("password='hunter 2' user=me", "password=... user=me"),
        ('at "postgresql://me:hunter2@host:5432/x"', 'at "postgresql://me:...@host:5432/x"'),
        ("(type s3, secret 'hunter2', region 'x')", "(type s3, secret ..., region 'x')"),
        ("session_token => 'hunter2', secret = 'hun", "session_token => ..., secret = ..."),
        ("password authentication failed", "password authentication failed"),
        ("create secret (type s3)", "create secret (type s3)"),
        ("https://host:80/me@home", "https://host:80/me@home"),
    ],
)
def test_passwords_are_not_shown(text, shown):
    assert sources.without_passwords(text) == shown


def test_a_query_gives_its_rows_in_one_order():
    """With two threads a grouping is in another order each time."""
    table = Table(sql="select range % 100000 as a, count(*) as b from range(1000000) group by a")
    a = table.column("a")
    for _ in range(3):
        np.testing.assert_array_equal(table.column("a"), a)


def test_readings_within_each_other():
    table = Table(sql="create temp table t as from range(300000); from t")
    within = table.chunks()
    rows = len(next(within)["range"])
    assert len(table.column("range")) == 300_000
    assert rows + sum(len(chunk["range"]) for chunk in within) == 300_000
    begun = table.chunks()
    next(begun)
    del begun
    assert len(table.column("range")) == 300_000


def test_files_of_a_query_that_change(tmp_path):
    path = table(tmp_path / "t.csv", 50)
    source = Table(sql=f"select * from '{path}'")
    assert len(source.column("a")) == 50
    with path.open("a") as file:
        file.write("50,1,u,3.0\n")
    with pytest.raises(TableError, match="the query has changed while it was read"):
        source.column("y")


def test_an_address_is_not_a_file(run):
    status, _, err = run("train", "s3://bucket/t.sqlite", "--target", "y", *FAST)
    assert (status, "only CSV, Parquet and JSON" in err) == (2, True)
