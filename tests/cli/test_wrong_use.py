"""What wrong use gets: one line, and nothing half-written."""

from __future__ import annotations

import errno
import gzip

import pytest
from cli_shared import FAST, table, write

from onefold import _files

#: arguments, exit status, what is said
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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--activation", "rellu"], "did you mean 'relu'"),
        (["--optimizer", "adamm"], "did you mean 'adam'"),
        (["--schedule", "cosin"], "did you mean 'cosine'"),
        (["--loss", "hing"], "did you mean 'hinge'"),
        (["--dropout", 2], "Dropout"),
        (["--learning-rate", -1], "learning rate is positive"),
    ],
)
def test_options_are_looked_at_before_the_table(run, options, said):
    for command in ("train", "cv"):
        status, _, err = run(command, "none.csv", "--target", "y", *options)
        assert (status, err.count("\n")) == (2, 1)
        assert said in err


def test_without_a_command_there_is_help(run):
    status, out, err = run()
    assert status == 2
    assert "Usage: onefold" in out + err
    assert "error" not in out + err


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
