"""The command as a process: Ctrl-C, colours, completion."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from cli_shared import PENGUINS, process, table


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
