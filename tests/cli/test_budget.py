"""Memory, threads and files of rows: they leave the same bits."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from cli_shared import FAST, PENGUINS, table

from onefold.cli.preparation import _in_file, _in_memory, prepare
from onefold.cli.recipe import Recipe
from onefold.cli.training import follow


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
