"""What bad tables get: one line that helps, and nothing half-written."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from onefold import data
from onefold.cli import main

ROWS = range(60)
TABLES = {
    "ragged": ("a,y\n1,2\n3\n4,5,6\n", "line 3: 1 fields where the first line has 2"),
    "a header alone": ("a,y\n", "has no rows"),
    "nothing": ("", "the file is empty"),
    "one row": ("a,y\n1,2\n", "has 1 row with a target; at least two are needed"),
    "a single class": ("a,y\n" + "".join(f"{i},1\n" for i in ROWS), "has a single value (1)"),
    "no target at all": ("a,y\n" + "".join(f"{i},\n" for i in ROWS), "0 rows with a target"),
    "a name twice": ("a,a,y\n1,2,3\n", "two columns called 'a'; rename one"),
    "an infinite target": ("a,y\n1,inf\n2,3\n4,5\n", "holds an infinite value"),
    "the target alone": ("y\n" + "".join(f"{i % 2}\n" for i in ROWS), "no column besides the target"),
    "identifiers alone": ("a,y\n" + "".join(f"x{i},{i % 2}\n" for i in ROWS), "looks like an identifier"),
    "a class for each row": ("a,y\n" + "".join(f"{i},n{i}\n" for i in ROWS), "60 classes in 60 rows"),
    "an open quote": ('a,y\n1,2\n"3,4\n5,6\n', "quote"),
}  # fmt: skip


@pytest.fixture
def train(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(text, *options):
        (tmp_path / "t.csv").write_text(text)
        status = main(["train", "t.csv", "--target", "y", "--epochs", "2", *map(str, options)])
        return status, *capsys.readouterr()

    return call


@pytest.mark.parametrize("name", TABLES)
def test_what_cannot_be_trained(train, tmp_path, name):
    text, said = TABLES[name]
    status, out, err = train(text, "--quiet")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_rows_without_a_target_are_left_out_and_counted(train):
    rows = [f"{i},{'' if i % 5 == 0 else i % 2}\n" for i in ROWS]
    status, out, err = train("a,y\n" + "".join(rows), "--json")
    assert status == 0
    assert "12 rows have no target and are left out" in err
    kept = "".join(row for i, row in enumerate(rows) if i % 5)
    _, same, _ = train("a,y\n" + kept, "--json")
    assert json.loads(out)["fingerprint"] == json.loads(same)["fingerprint"]


def test_a_column_of_missing_values_is_named(train):
    status, _, err = train("a,b,y\n" + "".join(f"{i},NA,{i % 2}\n" for i in ROWS))
    assert status == 0
    assert "b is left out: every value is missing" in err


def test_a_first_line_that_is_data(train):
    rows = [f"{i + 7},{i * 0.5 + 3},{i % 2}\n" for i in ROWS]
    status, out, err = train("".join(rows), "--quiet")
    assert (status, out) == (2, "")
    assert "has no column 'y'" in err
    assert "if the first line is data, say --no-header" in err
    status, _, err = train("1,2,y\n" + "".join(rows))
    assert status == 0
    assert "the columns' names are numbers; if the first line is data, say --no-header" in err


def test_a_category_that_training_never_saw(train, tmp_path, capsys):
    status, _, _ = train("a,y\n" + "".join(f"{'rgb'[i % 3]},{i % 2}\n" for i in ROWS), "-q")
    assert status == 0
    (tmp_path / "new.csv").write_text("a\nr\npurple\nNA\n")
    assert main(["predict", "model.onefold", "new.csv", "--probabilities", "-q"]) == 0
    _, red, unseen, missing = (line.split(",")[1:] for line in capsys.readouterr().out.splitlines())
    assert unseen == missing != red  # they share a place


def test_a_file_that_changes_while_it_is_read(train, tmp_path, monkeypatch):
    learn = data.EncoderFit.finish

    def meanwhile(fit):
        with (tmp_path / "t.csv").open("a") as file:
            file.write("99,1\n")
        return learn(fit)

    monkeypatch.setattr(data.EncoderFit, "finish", meanwhile)
    status, _, err = train("a,y\n" + "".join(f"{i},{i % 2}\n" for i in ROWS), "--quiet")
    assert (status, "t.csv has changed while it was read; start again" in err) == (2, True)
    assert not (tmp_path / "model.onefold").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of POSIX")
def test_a_disk_without_room(tmp_path):
    """A limit on the size of files is a disk that is full after so many bytes."""
    text = "a,y\n" + "".join(f"{i},{i % 2}\n" for i in range(2000))
    (tmp_path / "t.csv").write_text(text)
    code = (
        "import resource, sys, onefold.cli as c;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)); sys.exit(c.main(sys.argv[1:]))"
    )
    command = [
        sys.executable, "-c", code, "train", "t.csv", "--target", "y", "--epochs", "1", "--quiet",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("onefold: error: ")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
