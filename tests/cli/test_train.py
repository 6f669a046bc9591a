"""From a table to a model: what is printed, what is left, and what shapes the network."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from cli_shared import FAST, PENGUINS, table, write

from onefold.cli.preparation import prepare
from onefold.cli.recipe import Recipe
from onefold.cli.training import follow


def test_penguins_from_one_command(run):
    status, out, err = run("train", PENGUINS, "--target", "species")
    assert status == 0
    assert "accuracy" in out
    accuracy = float(out.split("accuracy ")[1].split("%")[0])
    assert accuracy >= 97
    fingerprint = out.split("fingerprint ")[1][:8]
    assert "bill_length_mm" in err
    assert "rows: 241 train, 34 validation, 69 test" in err

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


@pytest.mark.parametrize("scaling", ["clipped", "robust", "quantile"])
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
    words = {"clipped": "deviation", "robust": "interquartile range", "quantile": "rank, from"}
    assert words[scaling] in run("inspect", "model.onefold")[1]


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


def test_lines_that_go_to_a_file_are_not_wrapped(run, tmp_path):
    classes = ["a rather long name of a class, number " + word for word in ["one", "two", "three"]]
    path = table(tmp_path / "t.csv", 60, "x,y", lambda i: f'{i % 7},"{classes[i % 3]}"')
    status, _, err = run("train", path, "--target", "y", "--epochs", 25)
    assert status == 0
    lines = err.splitlines()
    assert any(line.endswith(", ".join(sorted(classes))) for line in lines)
    assert lines == [line.rstrip() for line in lines]
    epochs = [line.split()[1] for line in lines if line.startswith("epoch")]
    assert (epochs[0], epochs[-1], len(epochs)) == ("1/25", "25/25", 14)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_bars_on_a_terminal(run, tmp_path):
    path = table(tmp_path / "t.csv", 300)
    run("train", path, "--target", "y", *FAST)
    for arguments, said in {
        ("train", path, "--target", "y", "-o", "m"): ["encoding", "300 rows", "epoch 3"],
        ("predict", "model.onefold", path, "-o", "p"): ["predicting", "300 predictions in p"],
        ("evaluate", "model.onefold", path): ["reading", "300 rows"],
        ("cv", path, "--target", "y", "--folds", "2"): ["cross-validating", "fold 2/2"],
    }.items():
        more = ["--epochs", "3"] if arguments[0] in ("train", "cv") else []
        shown = on_a_terminal([*map(str, arguments), *more], tmp_path)
        assert "\u2501" in shown
        for word in said:
            assert word in shown, (arguments[0], word)
        assert "\u2501" not in on_a_terminal([*map(str, arguments), *more, "--quiet"], tmp_path)


def on_a_terminal(arguments, folder):
    """What the command writes where standard error is a terminal."""
    import pty

    ours, theirs = pty.openpty()
    code = "import sys; from onefold.cli import main; sys.exit(main())"
    running = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert running.wait() == 0
    return shown.decode(errors="replace")
