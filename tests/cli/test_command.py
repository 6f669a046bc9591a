"""The command: what it prints, what it leaves, and what wrong use gets."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import duckdb
import numpy as np
import pytest

from onefold import TableError, _files, data
from onefold.cli import main
from onefold.cli.preparation import _in_file, _in_memory, prepare
from onefold.cli.recipe import Recipe
from onefold.cli.training import follow
from onefold.data import sources

PENGUINS = str(data.PENGUINS)
FAST = ["--epochs", "3", "--quiet"]


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs the command in an empty folder; gives its status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        status = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def write(path, text):
    path.write_text(text)
    return path


def table(
    path, rows=60, header="a,b,kind,y", line=lambda i: f"{i},{i % 7},{'uvw'[i % 3]},{i * 2.5}"
):
    return write(path, "\n".join([header, *(line(i) for i in range(rows))]) + "\n")


def test_penguins_from_one_command(run):
    status, out, err = run("train", PENGUINS, "--target", "species")
    assert status == 0
    assert "accuracy" in out
    accuracy = float(out.split("accuracy ")[1].split("%")[0])
    assert accuracy >= 97
    fingerprint = out.split("fingerprint ")[1][:8]
    assert "bill_length_mm" in err
    assert "rows: 220 train, 55 validation, 69 test" in err

    status, out, _ = run("evaluate", "model.onefold", PENGUINS)
    assert status == 0
    assert "344 rows: accuracy" in out
    status, out, _ = run("inspect", "model.onefold")
    assert f"fingerprint {fingerprint}" in out
    assert "neurons" in out
    assert "synapses" in out
    status, out, _ = run("verify", "model.onefold", PENGUINS, "--quiet", "--threads", 1)
    assert status == 0
    assert out.startswith(f"equal: {fingerprint}")
    status, out, _ = run("predict", "model.onefold", PENGUINS, "--probabilities")
    lines = out.splitlines()
    assert len(lines) == 345
    assert lines[0] == "species,p(Adelie),p(Chinstrap),p(Gentoo)"
    assert sum(float(p) for p in lines[1].split(",")[1:]) == pytest.approx(1, abs=1e-5)


def test_five_seeds_of_penguins_reach_97(run):
    scores = []
    for seed in range(5):
        _, out, _ = run(
            "train", PENGUINS, "--target", "species", "--seed", seed, "--json", "--quiet"
        )
        scores.append(json.loads(out)["test"]["accuracy"])
    assert sorted(scores)[2] >= 0.97


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


def test_regression_in_the_tables_own_units(run, tmp_path):
    path = table(tmp_path / "t.csv", 200)
    status, out, _ = run("train", path, "--target", "y", "--epochs", 60, "--json", "--quiet")
    assert status == 0
    assert json.loads(out)["test"]["r2"] > 0.9
    status, out, err = run("predict", "model.onefold", path, "-o", "p.csv")
    assert "200 predictions in p.csv" in err
    values = [float(v) for v in (tmp_path / "p.csv").read_text().split()[1:]]
    assert abs(values[100] - 250) < 60
    status, _, err = run("predict", "model.onefold", path, "--probabilities")
    assert (status, "this model is a regression" in err) == (2, True)


def test_no_header_tabs_gzip_and_another_encoding(run, tmp_path):
    text = "\n".join(f"{i % 2}\t{i * 1.5}\t{'Zürich' if i % 3 else 'Bern'}" for i in range(80))
    path = tmp_path / "t.tsv.gz"
    path.write_bytes(gzip.compress(text.encode("latin-1")))
    status, _, err = run("train", path, "--target", "c0", "--no-header", *FAST)
    assert (status, "not utf-8; try --encoding latin-1" in err) == (2, True)
    status, _, err = run(
        "train", path, "--target", "c0", "--no-header", "--encoding", "latin-1", *FAST
    )
    assert status == 0, err
    status, out, _ = run("predict", "model.onefold", path)
    assert len(out.splitlines()) == 81


def test_notices(run, tmp_path):
    lines = ["id,constant,nothing,many,x,y"]
    lines += [f"n{i}x,5,NA,m{i % 70},{i % 11},{['a', 'b', ''][i % 3]}" for i in range(140)]
    path = write(tmp_path / "t.csv", "\n".join(lines))
    status, _, err = run("train", path, "--target", "y", "--epochs", 2)
    assert status == 0, err
    assert "46 rows have no target and are left out" in err
    assert "id is left out: looks like an identifier" in err
    assert "constant is left out: constant (5)" in err
    assert "nothing is left out: every value is missing" in err
    assert "binary" in err


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


def test_verify_tells_a_difference(run, tmp_path):
    path = table(tmp_path / "t.csv")
    run("train", path, "--target", "y", *FAST)
    table(path, line=lambda i: f"{i},{i % 5},u,{i * 2}")
    status, out, err = run("verify", "model.onefold", path)
    assert status == 1
    assert out.startswith("different: the model has")
    assert "its SHA-256 differs" in err


WRONG = {
    "no table": (["train", "none.csv", "--target", "y"], 2, "could not read none.csv: No such file"),
    "a folder": (["train", ".", "--target", "y"], 2, "is a directory"),
    "no target": (["train", "t.csv", "--target", "why"], 2, "has no column 'why'; did you mean 'y'? (columns: a, b"),
    "unknown option": (["train", "t.csv", "--targt", "y"], 2, "No such option: --targt"),
    "missing option": (["train", "t.csv"], 2, "--target"),
    "unknown command": (["trian", "t.csv"], 2, "trian"),
    "unknown task": (["train", "t.csv", "--target", "y", "--task", "binry"], 2, "did you mean 'binary'"),
    "unknown loss": (["train", "t.csv", "--target", "y", "--loss", "mee"], 2, "unknown loss 'mee'"),
    "unknown optimizer": (["train", "t.csv", "--target", "y", "--optimizer", "x"], 2, "unknown optimizer"),
    "unknown column": (["train", "t.csv", "--target", "y", "--drop", "bb"], 2, "no column 'bb'; did you mean 'b'"),
    "text as a number": (["train", "t.csv", "--target", "y", "--numeric", "kind"], 2, "'kind' is not numeric"),
    "hidden": (["train", "t.csv", "--target", "y", "--hidden", "8,x"], 2, "--hidden takes whole numbers"),
    "budget": (["train", "t.csv", "--target", "y", "--memory", "1kB"], 2, "give at least"),
    "shares": (["train", "t.csv", "--target", "y", "--test", "0.9", "--validation", "0.2"], 2, "shares of the rows"),
    "text regression": (["train", "t.csv", "--target", "kind", "--task", "regression"], 2, "is text"),
    "three as binary": (["train", "t.csv", "--target", "kind", "--task", "binary"], 2, "has 3 values"),
    "ragged": (["train", "ragged.csv", "--target", "y"], 2, "ragged.csv, line 3: 3 fields where the first line has 2"),
    "empty": (["train", "empty.csv", "--target", "y"], 2, "the file is empty"),
    "header alone": (["train", "header.csv", "--target", "y"], 2, "has no rows"),
    "same name": (["train", "twice.csv", "--target", "y"], 2, "two columns called 'x'"),
    "single class": (["train", "single.csv", "--target", "y"], 2, "has a single value (a)"),
    "one row": (["train", "one.csv", "--target", "y"], 2, "has 1 row with a target; at least two"),
    "no target values": (["train", "gone.csv", "--target", "y"], 2, "has 0 rows with a target"),
    "infinity": (["train", "inf.csv", "--target", "y"], 2, "column 'x' holds 'inf'"),
    "only the target": (["train", "alone.csv", "--target", "y"], 2, "no column besides the target"),
    "unclosed quote": (["train", "quote.csv", "--target", "y"], 2, "quote.csv, line"),
    "not text": (["train", "binary.csv", "--target", "y"], 2, "not utf-8"),
    "broken gzip": (["train", "broken.csv.gz", "--target", "y"], 2, "could not read broken.csv.gz"),
    "output folder": (["train", "t.csv", "--target", "y", "-o", "no/m"], 2, "cannot be written"),
    "no model": (["predict", "none.onefold", "t.csv"], 1, "could not read none.onefold"),
    "not a model": (["predict", "t.csv", "t.csv"], 1, "is not a onefold model file"),
    "diverged": (
        ["train", "t.csv", "--target", "y", "--optimizer", "sgd", "--learning-rate", "1e30", "-q"], 1,
        "Try a smaller learning rate",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=lambda name: name.replace(" ", "-"))
def test_wrong_use_gets_one_line(run, tmp_path, case):
    table(tmp_path / "t.csv")
    write(tmp_path / "ragged.csv", "x,y\n1,2\n1,2,3\n")
    write(tmp_path / "empty.csv", "")
    write(tmp_path / "header.csv", "x,y\n")
    write(tmp_path / "twice.csv", "x,x,y\n1,2,3\n")
    write(tmp_path / "single.csv", "x,y\n1,a\n2,a\n3,a\n")
    write(tmp_path / "one.csv", "x,y\n1,a\n2,\n")
    write(tmp_path / "gone.csv", "x,y\n1,NA\n2,\n")
    write(
        tmp_path / "inf.csv",
        "x,y\n" + "\n".join(f"{'inf' if i == 4 else i},{i % 2}" for i in range(30)),
    )
    write(tmp_path / "alone.csv", "y\n" + "a\nb\n" * 20)
    write(tmp_path / "quote.csv", 'x,y\n1,"2\n3,4\n')
    (tmp_path / "binary.csv").write_bytes(bytes(range(128, 256)) * 9)
    (tmp_path / "broken.csv.gz").write_bytes(gzip.compress(b"x,y\n1,2\n" * 500)[:40])
    arguments, expected, message = WRONG[case]
    if arguments[0] == "train" and "-o" not in arguments:
        arguments = [*arguments, "-o", "m.onefold"]
    status, out, err = run(*arguments)
    errors = [line for line in err.splitlines() if line.startswith("onefold: error: ")]
    assert (status, len(errors)) == (expected, 1), err
    assert message in errors[0]
    assert "Traceback" not in err + out
    assert not (tmp_path / "m.onefold").exists()


def test_a_full_disk_is_a_failed_run_that_leaves_nothing(run, tmp_path, monkeypatch):
    path = table(tmp_path / "t.csv")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_files.os, "fsync", full)
    status, _, err = run("train", path, "--target", "y", *FAST)
    assert status == 1
    assert err.startswith("onefold: error: could not write model.onefold: No space left on device")
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def process(*arguments, **options):
    code = "import sys; from onefold.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def test_ctrl_c_leaves_a_checkpoint_that_resumes_to_the_same_model(tmp_path):
    path = table(tmp_path / "t.csv", 3000)
    options = [
        "train",
        path,
        "--target",
        "y",
        "--epochs",
        40,
        "--patience",
        0,
        "--hidden",
        "512,512",
    ]
    whole = process(*options, "-o", tmp_path / "whole.onefold")
    assert whole.wait(120) == 0
    whole.communicate()
    stopped = [*options, "-o", tmp_path / "m.onefold", "--checkpoint", tmp_path / "c", "--resume"]
    first = process(*stopped)
    while not first.stderr.readline().startswith("epoch"):
        pass
    time.sleep(0.1)
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=60)
    assert first.returncode == 130
    assert "onefold: error: interrupted" in err
    assert not (tmp_path / "m.onefold").exists()
    second = process(*stopped)
    assert second.wait(120) == 0
    second.communicate()
    assert (tmp_path / "m.onefold").read_bytes() == (tmp_path / "whole.onefold").read_bytes()


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


def test_version_and_colours(tmp_path):
    shown = process("--version")
    out, _ = shown.communicate()
    assert out.startswith("onefold 0.")
    plain = process(
        "train", PENGUINS, "--target", "species", "--epochs", 2, "-o", tmp_path / "m",
        env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    out, err = plain.communicate()
    assert "\x1b[" not in out + err


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


def test_cross_validation_tests_every_row_once(run, tmp_path):
    path = table(tmp_path / "t.csv", 90)
    status, out, err = run(
        "cv", path, "--target", "y", "--folds", 3, "--seeds", 2, "--epochs", 3, "--json"
    )
    assert status == 0, err
    found = json.loads(out)
    assert [(f["seed"], f["fold"]) for f in found["folds"]] == [
        (s, f) for s in (0, 1) for f in range(3)
    ]
    assert len({fold["fingerprint"] for fold in found["folds"]}) == 6
    rmse = [fold["rmse"] for fold in found["folds"]]
    assert found["mean"]["rmse"] == pytest.approx(sum(rmse) / 6)
    assert found["deviation"]["rmse"] > 0
    assert "fold 3/3, seed 1" in err
    again = json.loads(
        run("cv", path, "--target", "y", "--folds", 3, "--epochs", 3, "--json", "-q")[1]
    )
    assert again["folds"] == found["folds"][:3]
    status, _, err = run("cv", path, "--target", "y", "--folds", 1)
    assert (status, "--folds is a number from 2 up" in err) == (2, True)


def test_folds_cut_the_table_into_parts(tmp_path):
    path = table(tmp_path / "t.csv", 50)
    recipe = Recipe(target="y", epochs=1)
    tests = [prepare(recipe, recipe.table(path), (i, 4)).parts["test"][0] for i in range(4)]
    assert sum(map(len, tests)) == 50


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


def test_the_latest_rows_are_the_test_set(run, tmp_path):
    path = table(
        tmp_path / "t.csv",
        100,
        "when,x,y",
        lambda i: f"2024-01-{1 + (i * 37) % 28:02d},{i},{i % 9}.5",
    )
    recipe = Recipe(target="y", split_by="when", test=0.25, validation=0.25)
    prepared = prepare(recipe, recipe.table(path))
    assert {name: len(y) for name, (_, y) in prepared.parts.items()} == {
        "train": 50, "validation": 25, "test": 25,
    }  # fmt: skip
    when = {name: x[:, 0] for name, (x, _) in prepared.parts.items()}  # where it lies in time
    assert when["train"].max() <= when["validation"].min()
    assert when["validation"].max() <= when["test"].min()


def test_rows_without_a_place_in_the_order_are_refused(run, tmp_path):
    path = table(tmp_path / "t.csv", 40, "when,x,y", lambda i: f"{'' if i == 7 else i},{i},{i}.5")
    status, _, err = run("train", path, "--target", "y", "--split-by", "when")
    assert status == 2
    assert "'when' is missing in 1 rows" in err


def test_a_column_says_what_is_what(run, tmp_path):
    words = ["train", "train", "Validation", "test"]
    path = table(tmp_path / "t.csv", 80, "part,x,y", lambda i: f"{words[i % 4]},{i},{i}.5")
    recipe = Recipe(target="y", split_column="part")
    prepared = prepare(recipe, recipe.table(path))
    assert [column.name for column in prepared.encoder.columns] == ["x"]
    assert {name: len(y) for name, (_, y) in prepared.parts.items()} == {
        "train": 40, "validation": 20, "test": 20,
    }  # fmt: skip
    path = table(tmp_path / "u.csv", 8, "part,x,y", lambda i: f"dev,{i},{i}.5")
    status, _, err = run("train", path, "--target", "y", "--split-column", "part")
    assert status == 2
    assert "says train, validation or test, found 'dev'" in err


def test_balanced_classes_count_alike(run, tmp_path):
    path = table(
        tmp_path / "t.csv", 400, "x,y", lambda i: f"{i},{'rare' if i % 10 == 0 else 'common'}"
    )
    recipe = Recipe(target="y", class_weight="balanced", epochs=1)
    prepared = prepare(recipe, recipe.table(path))
    weights, y = prepared.weights["train"], prepared.parts["train"][1]
    sums = [weights[y == c].sum() for c in (0, 1)]
    assert sums[0] == pytest.approx(sums[1], rel=1e-6)
    assert weights.sum() == pytest.approx(len(y), rel=1e-6)
    plain = follow(Recipe(target="y", epochs=1), prepare(Recipe(target="y"), recipe.table(path)))
    assert follow(recipe, prepared).network.fingerprint() != plain.network.fingerprint()
    status, _, err = run("train", path, "--target", "x", "--class-weight", "balanced")
    assert status == 2
    assert "is for classes" in err


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


@pytest.mark.parametrize("scaling", ["robust", "quantile"])
def test_scaling(run, tmp_path, scaling):
    rng = np.random.default_rng(0)
    values = np.exp(3 * rng.normal(size=500))  # far outliers
    path = write(
        tmp_path / "t.csv", "\n".join(["x,y", *(f"{v},{i % 2}" for i, v in enumerate(values))])
    )
    recipe = Recipe(target="y", scaling=scaling)
    prepared = prepare(recipe, recipe.table(path))
    x = np.concatenate([part for part, _ in prepared.parts.values()])[:, 0]
    assert np.abs(x).max() <= 3
    order = np.argsort(np.concatenate([part for part, _ in prepared.parts.values()])[:, 0])
    assert (np.diff(x[order]) >= 0).all()
    if scaling == "quantile":
        assert abs(x.mean()) < 0.1
        assert x.std() == pytest.approx(1, abs=0.05)
    assert run("train", path, "--target", "y", "--scaling", scaling, *FAST)[0] == 0
    assert run("predict", "model.onefold", path, "-o", "p.csv")[0] == 0
    words = {"robust": "interquartile range", "quantile": "rank, from"}
    assert words[scaling] in run("inspect", "model.onefold")[1]


def test_a_query_without_a_table(run, tmp_path):
    path = table(tmp_path / "t.csv", 200)
    query = f"create temp table small as from '{path}' where a < 150; select * from small;"
    status, out, err = run("train", "--sql", query, "--target", "y", *FAST, "--json")
    assert status == 0, err
    whole = json.loads(out)["fingerprint"]
    status, out, _ = run("verify", "model.onefold")
    assert (status, whole in out) == (0, True)
    status, out, _ = run("predict", "model.onefold", path, "-q")  # a table is taken as it is
    assert (status, len(out.splitlines())) == (0, 201)
    status, out, _ = run("predict", "model.onefold", path, "-q", "--sql", "from data limit 7")
    assert (status, len(out.splitlines())) == (0, 8)
    status, _, err = run("evaluate", "model.onefold")
    assert status == 0, err
    status, _, err = run("train", "--target", "y", *FAST)
    assert (status, "give a TABLE, or a query with --sql" in err) == (2, True)


def test_sql_that_is_none(run):
    status, _, err = run("train", "--sql", "selekt 1", "--target", "y", *FAST)
    assert (status, "could not read the query" in err) == (2, True)
    status, _, err = run("train", "--sql", "  ", "--target", "y", *FAST)
    assert (status, "the query is empty" in err) == (2, True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("httpfs", "trying to automatically install the required extension 'httpfs: Failed"),
        ("postgres_scanner", 'IO Error: Failed to download extension "postgres_scanner" at URL'),
    ],
)
def test_an_extension_that_cannot_be_had(name, said):
    """The messages are DuckDB's; a test cannot know whether it has a network."""
    with pytest.raises(TableError, match=f"install_extension\\('{name}'\\)"):  # noqa: SIM117
        with sources.Errors("s3://bucket/t.parquet", "utf-8", lambda: None):
            raise duckdb.IOException(said)


def test_an_address_is_not_a_file(run):
    status, _, err = run("train", "s3://bucket/t.sqlite", "--target", "y", *FAST)
    assert (status, "only CSV, Parquet and JSON" in err) == (2, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--schedule", "cosin"], "did you mean 'cosine'"),
        (["--warmup", 5], "--warmup is for --schedule cosine"),
        (["--momentum", 0.9], "adamw has no option 'momentum'"),
        (["--label-smoothing", 1.5], "label_smoothing"),
        (["--loss", "hinge", "--label-smoothing", 0.1], "for a cross-entropy"),
        (["--min-delta", "x"], "--min-delta"),
    ],
)
def test_options_of_training_that_cannot_be(run, options, said):
    status, _, err = run("train", PENGUINS, "--target", "species", *FAST, *options)
    assert (status, err.count("\n")) == (2, 1)
    assert said in err


def test_every_option_of_training_changes_the_network(run):
    def fingerprint(*options):
        status, out, err = run("train", PENGUINS, "--target", "species", *FAST, "--json", *options)
        assert status == 0, err
        return json.loads(out)["fingerprint"]

    changes = [
        [], ["--schedule", "step", "--optimizer", "sgd"], ["--schedule", "cosine"], ["--schedule", "cosine", "--warmup", 9],
        ["--label-smoothing", 0.2], ["--optimizer", "sgd"], ["--optimizer", "sgd", "--momentum", 0.9],
        ["--weight-decay", 0.5], ["--clip-value", 1e-4], ["--clip-global-norm", 1e-3], ["--dropout", 0.3],
        ["--learning-rate", 0.01], ["--batch-size", 16], ["--hidden", "32"], ["--activation", "tanh"],
        ["--scaling", "robust"], ["--class-weight", "balanced"], ["--seed", 1],
    ]  # fmt: skip
    found = [fingerprint(*options) for options in changes]
    assert len(set(found)) >= len(found) - 1  # step does not step in so few updates


def complete(words):
    environment = {
        **os.environ, "_ONEFOLD_COMPLETE": "complete_bash",
        "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1),
    }  # fmt: skip
    command = [sys.executable, "-m", "onefold"]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    ).stdout.split()


def test_the_shell_completes_commands_and_options():
    assert complete("onefold pre") == ["predict"]
    assert complete("onefold train --lear") == ["--learning-rate"]


def test_completion_can_be_shown_and_installed(tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path)}
    for action in ("--show-completion", "--install-completion"):
        # The shell that completes is the one that asks; `true` keeps it there.
        command = ["bash", "-c", f"{sys.executable} -m onefold {action}; true"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert "bash" in done.stdout, done.stderr
    written = [p for p in tmp_path.rglob("*") if p.is_file() and "onefold" in p.read_text()]
    assert written
