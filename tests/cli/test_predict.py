"""A model on tables: predictions, figures, training again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import duckdb
import pytest
from cli_shared import FAST, PENGUINS, process, table, write

from onefold import data


def test_columns_at_prediction(run, tmp_path):
    path = table(tmp_path / "t.csv")
    run("train", path, "--target", "y", *FAST)
    unseen = table(tmp_path / "u.csv", 5, "kind,b,a,extra", lambda i: f"new,,{i},z")
    status, out, err = run("predict", "model.onefold", unseen)
    assert (status, len(out.splitlines())) == (0, 6)
    assert "not used: extra" in err
    lacking = table(tmp_path / "l.csv", 5, "a,bb,kind", lambda i: f"{i},1,u")
    status, _, err = run("predict", "model.onefold", lacking)
    assert status == 2
    assert "the table lacks column 'b'; did you mean 'bb'" in err
    text = table(tmp_path / "x.csv", 5, "a,b,kind", lambda i: f"{'one' if i == 3 else i},1,u")
    status, _, err = run("predict", "model.onefold", text)
    assert (status, "column 'a' is numeric, found 'one' in data row 4" in err) == (2, True)


def test_predictions_as_parquet(run, tmp_path):
    run("train", PENGUINS, "--target", "species", *FAST)
    options = ["predict", "model.onefold", PENGUINS, "--probabilities", "-o"]
    assert run(*options, "p.csv")[0] == 0
    assert run(*options, "p.parquet")[0] == 0
    text = duckdb.sql(f"select * from read_csv('{tmp_path / 'p.csv'}')").fetchall()
    columns = duckdb.sql(f"select * from '{tmp_path / 'p.parquet'}'")
    assert [str(t) for t in columns.types] == ["VARCHAR", "DOUBLE", "DOUBLE", "DOUBLE"]
    assert columns.fetchall() == text
    assert sorted(os.listdir(tmp_path)) == ["model.onefold", "p.csv", "p.parquet"]


def test_a_failed_prediction_leaves_nothing(run, tmp_path):
    run("train", PENGUINS, "--target", "species", *FAST)
    text = data.PENGUINS.read_text().splitlines()
    (tmp_path / "bad.csv").write_text("\n".join([*text[:100], text[100].replace(",", ",x", 5)]))
    for name in ("p.csv", "p.parquet"):
        assert run("predict", "model.onefold", "bad.csv", "-o", name)[0] != 0
        assert not (tmp_path / name).exists()
    assert sorted(os.listdir(tmp_path)) == ["bad.csv", "model.onefold"]


def test_a_reader_that_leaves_early_is_no_error(run, tmp_path):
    path = table(tmp_path / "t.csv", 20000)
    run("train", path, "--target", "y", "--epochs", 1, "--quiet")
    shutil.copy("model.onefold", tmp_path / "m")
    reading = process("predict", tmp_path / "m", path)
    reading.stdout.readline()
    reading.stdout.close()
    status, err = reading.wait(60), reading.stderr.read()
    assert (status, err) == (0, "")
    reading.stderr.close()


def test_evaluation_shows_the_confusion_matrix(run, tmp_path):
    lines = [f"{i % 3},{i % 7},{'abc'[i % 3]}" for i in range(120)]
    path = write(tmp_path / "t.csv", "\n".join(["x,z,y", *lines]))
    run("train", path, "--target", "y", "--epochs", 40, "-q")
    status, out, _ = run("evaluate", "model.onefold", path)
    assert status == 0
    assert "120 rows: accuracy 100.0%" in out
    assert [line.split() for line in out.splitlines()[2:]] == [
        ["a", "40", "0", "0"], ["b", "0", "40", "0"], ["c", "0", "0", "40"],
    ]  # fmt: skip
    found = json.loads(run("evaluate", "model.onefold", path, "--json")[1])
    assert found["confusion"] == [[40, 0, 0], [0, 40, 0], [0, 0, 40]]
    assert found["f1_macro"] == 1


def test_verify_tells_a_difference(run, tmp_path):
    path = table(tmp_path / "t.csv")
    run("train", path, "--target", "y", *FAST)
    table(path, line=lambda i: f"{i},{i % 5},u,{i * 2}")
    status, out, err = run("verify", "model.onefold", path)
    assert status == 1
    assert out.startswith("different: the model has")
    assert "its SHA-256 differs" in err


def test_figures_on_the_rows_of_training_are_said_to_be_so(run, tmp_path):
    path = table(tmp_path / "t.csv")
    run("train", path, "--target", "y", *FAST)
    assert "has seen most of these rows" in run("evaluate", "model.onefold", path)[2]
    assert run("evaluate", "model.onefold", path, "--quiet")[2] == ""
    other = table(tmp_path / "u.csv", 20)
    assert run("evaluate", "model.onefold", other)[2] == ""


def test_verification_as_json(run, tmp_path):
    path = table(tmp_path / "t.csv")
    fingerprint = json.loads(run("train", path, "--target", "y", *FAST, "--json")[1])["fingerprint"]
    status, out, _ = run("verify", "model.onefold", path, "--json", "-q")
    expected = {"equal": True, "model": fingerprint, "again": fingerprint}
    assert (status, json.loads(out)) == (0, expected)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
def test_a_full_disk_behind_standard_output(run, tmp_path):
    path = table(tmp_path / "t.csv")
    run("train", path, "--target", "y", *FAST)
    with open("/dev/full", "w") as full:
        code = "import sys; from onefold.cli import main; sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-c", code, "predict", "model.onefold", path, "-q"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["predict", "report"])
def test_a_disk_without_room_for_what_is_written(run, tmp_path, command):
    path = table(tmp_path / "t.csv", 3000)
    run("train", path, "--target", "y", *FAST)
    (tmp_path / "out").write_text("as it was")
    code = (
        "import resource, sys, onefold.cli as c;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)); sys.exit(c.main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, command, "model.onefold", path, "-q", "-o", "out"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("onefold: error: could not write out")
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "out").read_text() == "as it was"
    assert sorted(os.listdir(tmp_path)) == ["model.onefold", "out", "t.csv"]
