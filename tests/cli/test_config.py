"""Options from a file."""

from __future__ import annotations

import json

import pytest
from cli_shared import table, write


def test_options_from_a_file(run, tmp_path):
    path = table(tmp_path / "t.csv", 120)
    write(
        tmp_path / "c.toml",
        'target = "y"\nhidden = [9, 5]\nepochs = 3\ndrop = ["kind"]\nbatch-size = 64\n',
    )
    status, _, err = run(
        "train", path, "--config", "c.toml", "--epochs", 2, "--json", "--target", "y"
    )
    assert status == 0, err
    status, out, _ = run("inspect", "model.onefold", "--json")
    recipe = json.loads(out)["recipe"]
    assert (recipe["hidden"], recipe["drop"], recipe["batch_size"]) == ([9, 5], ["kind"], 64)
    assert recipe["epochs"] == 2, "flags override the file"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3\n", "unknown key 'epoch'; did you mean 'epochs'"),
        ("epochs = \n", "c.toml is not TOML"),
        (None, "could not read c.toml"),
        ('epochs = "many"\n', "epochs"),
    ],
)
def test_a_wrong_file_of_options(run, tmp_path, text, message):
    path = table(tmp_path / "t.csv", 60)
    if text is not None:
        write(tmp_path / "c.toml", text)
    status, _, err = run("train", path, "--target", "y", "--config", "c.toml")
    assert (status, message in err) == (2, True), err
    assert not (tmp_path / "model.onefold").exists()
