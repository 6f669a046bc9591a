"""Model files that are damaged, hostile or do not fit: refused with a reason, and nothing in them runs."""

from __future__ import annotations

import json
import pickle
import struct

import numpy as np
import pytest
from cli_shared import FAST, PENGUINS, table

import onefold as of

COMMANDS = [["predict"], ["evaluate"], ["inspect"], ["verify"], ["report"]]


@pytest.fixture
def model(run, tmp_path):
    status, _, err = run("train", PENGUINS, "--target", "species", *FAST)
    assert status == 0, err
    return tmp_path / "model.onefold"


def rewrite(path, change):
    """Change what the header of a model file says."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    outer = json.loads(content[8 : 8 + length])
    inner = json.loads(outer["__metadata__"]["onefold"])
    change(inner["header"]["extra"])
    outer["__metadata__"]["onefold"] = json.dumps(inner)
    head = json.dumps(outer).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + content[8 + length :])


def column(extra, place, **values):
    extra["encoder"]["columns"][place].update(values)


DAMAGES = {
    "no encoder": (lambda e: e.pop("encoder"), "no table's encoder"),
    "no record": (lambda e: e.pop("record"), "no table's encoder"),
    "a column of nothing": (lambda e: e["encoder"]["columns"].__setitem__(0, None), "no column of the kind None"),
    "an unknown column": (lambda e: column(e, 0, kind="os.system"), "no column of the kind 'os.system'"),
    "a column fewer": (lambda e: e["encoder"]["columns"].pop(), "does not fit the table's columns"),
    "a name twice": (lambda e: column(e, 1, name="island"), "the same name"),
    "a number for a category": (lambda e: column(e, 0, categories=[1, 2, 3]), "categories is 1"),
    "a scale of zero": (lambda e: column(e, 1, scale=0), "no table gives"),
    "a mean that is none": (lambda e: column(e, 1, mean=float("nan")), "no table gives"),
    "words for a median": (lambda e: column(e, 1, median="x"), "median is 'x'"),
    "a field too many": (lambda e: column(e, 1, more=1), "has no field 'more'"),
    "a class fewer": (lambda e: e["target"]["classes"].pop(), "the network does not fit"),
    "a class twice": (lambda e: e["target"].update(classes=["a", "a", "b"]), "of 2 classes"),
    "a task that is none": (lambda e: e["target"].update(task="x"), "'x' of 3 classes"),
    "text for a recipe": (lambda e: e.update(recipe="x"), "Recipe is no mapping"),
    "a delimiter that is none": (lambda e: e["recipe"].update(delimiter=7), "delimiter is 7"),
    "layers of words": (lambda e: e["recipe"].update(hidden=["x"]), "hidden is 'x'"),
    "no rows": (lambda e: e["record"].update(rows={}), "has no rows"),
    "curves of another length": (lambda e: e["record"]["curves"]["loss"].pop(), "do not fit the epochs"),
    "scores of another kind": (lambda e: e["record"].update(test={"x": 1.0}), "no training gives"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_description_is_refused(run, model, name):
    change, said = DAMAGES[name]
    rewrite(model, change)
    for command in COMMANDS:
        status, out, err = run(*command, model, *([] if command == ["inspect"] else [PENGUINS]))
        assert (status, out, err.count("\n")) == (1, "", 1), err
        assert said in err


def test_what_is_no_model(run, tmp_path):
    files = {
        "pickle": pickle.dumps({"a": 1}),
        "promise": struct.pack("<Q", 2**62) + b"{}",
        "nothing": b"",
        "page": b"<!doctype html>",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        status, out, err = run("inspect", name)
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert name in err


def test_parameters_that_are_no_numbers(tmp_path):
    path = tmp_path / "m.onefold"
    of.Network([of.Dense(2)], inputs=3).save(path)
    content = path.read_bytes()
    path.write_bytes(content[:-24] + np.full(6, np.nan, np.float32).tobytes())
    with pytest.raises(of.ModelFileError, match=r"dense_0.* would hold NaN or infinity"):
        of.load(path)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("copy (select 1) to 'written.csv'; select * from data", "not a single SELECT"),
        ("select * from data, 'other.csv'", "wants more than this table"),
        ("select * from data, read_text('other.csv')", "wants more than this table"),
    ],
)
def test_a_query_in_a_model_reads_its_table_alone(run, tmp_path, query, said):
    path = table(tmp_path / "t.csv")
    table(tmp_path / "other.csv")
    assert run("train", path, "--target", "y", "--sql", "select * from data", *FAST)[0] == 0
    model = tmp_path / "model.onefold"
    assert run("predict", model, path, "-q")[0] == 0
    rewrite(model, lambda extra: extra["recipe"].update(sql=query))
    before = sorted(tmp_path.iterdir())
    for command in ("predict", "evaluate", "verify", "report"):
        status, out, err = run(command, model, path)
        assert (status, out, err.count("\n")) == (2, "", 1), err
        assert said in err
        assert "--sql" in err
    assert sorted(tmp_path.iterdir()) == before


def test_a_query_without_a_table_is_run_when_it_is_given(run, tmp_path):
    path = table(tmp_path / "t.csv")
    query = f"select * from '{path}'"
    assert run("train", "--sql", query, "--target", "y", *FAST)[0] == 0
    for command in ("predict", "evaluate", "verify", "report"):
        status, out, err = run(command, "model.onefold")
        assert (status, out) == (2, "")
        assert "trained on a query, which is run when you give it: --sql" in err
        assert str(path) in err
        assert run(command, "model.onefold", "--sql", query, "-q")[0] == 0
