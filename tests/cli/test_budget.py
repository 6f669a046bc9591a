"""Memory, threads and files of rows: they leave the same bits."""

from __future__ import annotations

import errno
import json
import os

import numpy as np
import pytest
from cli_shared import FAST, PENGUINS, table
from sklearn import metrics

from onefold.cli import model as models
from onefold.cli.metrics import _ROW_BYTES
from onefold.cli.preparation import _in_file, _in_memory, prepare
from onefold.cli.recipe import Recipe
from onefold.cli.training import follow
from onefold.data import Table
from onefold.data.target import present_rows


@pytest.fixture
def empty_process(monkeypatch):
    """The command runs in the tests' process, which is large: count what it takes from here on.

    Encoded rows go into a file wherever there is a budget.
    """
    monkeypatch.setattr("onefold.cli.preparation.resident", lambda: 0)
    monkeypatch.setattr(
        "onefold.cli.preparation._home",
        lambda encoder, places, memory: _in_file if memory else _in_memory,
    )


@pytest.mark.usefixtures("empty_process")
def test_memory_and_threads_leave_the_same_file(run, tmp_path):
    for name, options in {
        "a": [], "b": ["--threads", 1, "--micro-batch", 3], "c": ["--memory", "200MB", "--threads", 1],
    }.items():  # fmt: skip
        status, _, err = run("train", PENGUINS, "--target", "species", "-o", name, *FAST, *options)
        assert status == 0, err
    contents = {(tmp_path / name).read_bytes() for name in "abc"}
    assert len(contents) == 1


@pytest.mark.usefixtures("empty_process")
def test_rows_in_a_file_train_to_the_same_bits(tmp_path):
    path = table(tmp_path / "t.csv", 5000)
    recipe = Recipe(target="y", epochs=2)
    within, beyond = (
        prepare(recipe, recipe.table(path), memory=memory) for memory in (None, "200MB")
    )
    assert not isinstance(within.parts["train"][0], np.memmap)
    assert isinstance(beyond.parts["train"][0], np.memmap)
    for part, (x, y) in within.parts.items():
        np.testing.assert_array_equal(x, beyond.parts[part][0])
        np.testing.assert_array_equal(y, beyond.parts[part][1])
    prints = {follow(recipe, prepared).network.fingerprint() for prepared in (within, beyond)}
    assert len(prints) == 1


@pytest.mark.usefixtures("empty_process")
def test_no_room_for_the_rows(run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    path = table(tmp_path / "t.csv", 5000)
    status, _, err = run("train", path, "--target", "y", "--memory", "200MB")
    assert status == 2
    assert "No space left on device; point TMPDIR at a larger disk" in err
    assert not (tmp_path / "model.onefold").exists()


@pytest.mark.usefixtures("empty_process")
@pytest.mark.parametrize("target", ["y", "two", "kind"])
def test_evaluating_a_piece_at_a_time(run, tmp_path, monkeypatch, target):
    """A piece at a time, in a budget and in groups of columns: the figures of all rows at once."""
    monkeypatch.setattr("onefold.data.duckdb_reader._PIECE_BYTES", 1)
    monkeypatch.setattr("onefold.train.residency._PIECE_BYTES", 20_000)
    path = table(
        tmp_path / "t.csv", 5000, "a,b,kind,two,y",
        lambda i: f"{i},{i * 7 % 11},{'uvw'[i * 7 % 11 % 3]},{'no' if i % 7 > 3 else 'yes'},"
        + ("" if i % 17 == 0 else f"{i * 2.5 % 311}"),
    )  # fmt: skip
    assert run("train", path, "--target", target, *FAST)[0] == 0
    found = [
        run("evaluate", "model.onefold", path, "--json", "-q", *memory)
        for memory in ([], ["--memory", "200MB"], ["--memory", "94MB"])
    ]
    assert [status for status, _, _ in found] == [0, 0, 0], found
    assert len({out for _, out, _ in found}) == 1

    loaded = models.load("model.onefold")
    source = Table(path)
    columns = {name: source.column(name) for name in source.kinds}
    there = present_rows(columns[target])
    x = loaded.encoder.encode(columns)[there]
    y = loaded.target.encode(columns[target][there])
    outputs, shown = loaded.network.predict(x), json.loads(found[0][1])
    assert shown["rows"] == len(y)
    if target == "y":
        scale, mean = loaded.target.scale, loaded.target.mean
        truth, predicted = (a.astype(float) * scale + mean for a in (y, outputs[:, 0]))
        error = (outputs[:, 0].astype(float) - y) * scale
        assert shown["rmse"] == float(np.sqrt((error**2).sum() / len(y)))
        assert shown["median_absolute_error"] == metrics.median_absolute_error(truth, predicted)
        return
    chosen = outputs.argmax(axis=1) if target == "kind" else (outputs[:, 0] > 0).astype(int)
    assert shown["accuracy"] == metrics.accuracy_score(y, chosen)
    assert shown["cross_entropy"] == loaded.network.evaluate(x, y, loss="cross_entropy")
    assert shown["balanced_accuracy"] == metrics.recall_score(y, chosen, average="macro")
    assert shown["f1_macro"] == metrics.f1_score(y, chosen, average="macro")
    assert shown["confusion"] == metrics.confusion_matrix(y, chosen).tolist()
    if target == "two":
        assert shown["roc_auc"] == metrics.roc_auc_score(y, outputs[:, 0])


@pytest.mark.usefixtures("empty_process")
def test_no_room_for_the_figures(run, tmp_path, monkeypatch):
    monkeypatch.setitem(_ROW_BYTES, "regression", 1_000_000)
    path = table(tmp_path / "t.csv", 500)
    assert run("train", path, "--target", "y", *FAST)[0] == 0
    status, _, err = run("evaluate", "model.onefold", path, "--memory", "300MB")
    assert (status, "the figures of 500 rows; give at least 500.0 MB" in err) == (2, True), err
