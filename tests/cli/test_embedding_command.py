"""Tables with a column of many categories, from one command to the other."""

from __future__ import annotations

import json

import numpy as np
import pytest

import onefold as of
from onefold.cli import main
from onefold.cli.preparation import prepare
from onefold.cli.recipe import Recipe

SHOPS, ROWS = 300, 24_000  # more shops than have an input each, and some 50 training rows of each
OPTIONS = ["--target", "sales", "--epochs", "2", "--quiet"]


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs the command in an empty folder that has shops.csv; gives its status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    worth = rng.normal(size=SHOPS)
    shops = np.arange(ROWS) % SHOPS
    size = rng.normal(size=ROWS)
    lines = ["size,shop,kind,sales"]
    for i, shop in enumerate(shops.tolist()):
        name = "" if i % 101 == 7 else f"shop{shop:03d}"
        lines.append(f"{size[i]:.6f},{name},{'uvw'[i % 3]},{worth[shop] + 0.2 * size[i]:.6f}")
    (tmp_path / "shops.csv").write_text("\n".join(lines) + "\n")

    def call(*arguments):
        status = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_train_inspect_predict_verify(run):
    status, out, _ = run("train", "shops.csv", *OPTIONS)
    assert status == 0
    net = of.load("model.onefold")
    assert net.inputs == 1 + 1 + 4
    assert repr(net.layers[0]) == f"Embedding({{1: {SHOPS + 1}}}, size=8)"
    fingerprint = out.split("fingerprint ")[1][:8]
    status, out, _ = run("inspect", "model.onefold")
    assert status == 0
    assert f"shop: categorical, {SHOPS} categories, embedded: shop" in out
    neurons = 64 + 64 + 1
    assert f"6 inputs, {neurons} neurons, {(1 + 4 + 8) * 64 + 64 * 64 + 64:,} synapses" in out
    status, out, _ = run("verify", "model.onefold", "shops.csv", "--quiet")
    assert (status, out[:15]) == (0, f"equal: {fingerprint}")
    with open("new.csv", "w") as file:
        file.write("size,shop,kind\n0.5,shop003,u\n0.5,not there,u\n0.5,,u\n")
    status, out, _ = run("predict", "model.onefold", "new.csv", "--quiet")
    found = out.split()[1:]
    assert found[0] != found[1] == found[2]
    assert run("evaluate", "model.onefold", "shops.csv")[0] == 0


def test_what_the_shared_place_cannot_know(run):
    """Of 300 shops 64 have a place of their own: the others' worth is unknown to the network."""
    errors = {}
    for name, options in (("embedded", []), ("shared", ["--max-categories", "64"])):
        status, out, _ = run(
            "train",
            "shops.csv",
            "--target",
            "sales",
            "--epochs",
            "10",
            "--quiet",
            "--json",
            *options,
        )
        assert status == 0
        errors[name] = json.loads(out)["test"]["rmse"]
    assert errors["embedded"] < 0.6 * errors["shared"]


def test_memory_and_threads_cannot_be_seen(run):
    found = set()
    for options in ([], ["--memory", "1GB"], ["--threads", "3"], ["--micro-batch", "5"]):
        _, out, _ = run("train", "shops.csv", *OPTIONS, *options)
        found.add(out.split("fingerprint ")[1][:8])
    assert len(found) == 1


def test_options_on_the_line_and_in_a_file(run, tmp_path):
    (tmp_path / "options.toml").write_text("one-hot = 2\nembedding_size = 3\nepochs = 1\n")
    status, _, err = run(
        "train", "shops.csv", "--target", "sales", "--config", "options.toml",
        "--max-categories", "100",
    )  # fmt: skip
    assert status == 0
    assert f"shop has {SHOPS} categories; the 100 most frequent are kept" in err
    assert f"{SHOPS} categories" not in err.split("note:")[0]
    assert repr(of.load("model.onefold").layers[0]) == "Embedding({1: 101, 2: 4}, size=3)"
    run("train", "shops.csv", *OPTIONS, "--one-hot", SHOPS)
    assert of.load("model.onefold").inputs == 1 + SHOPS + 1 + 4
    status, _, err = run("train", "shops.csv", *OPTIONS, "--embedding-size", "0")
    assert status == 2
    assert "size of an Embedding" in err
    status, _, err = run("train", "shops.csv", *OPTIONS, "--one-hot", "0")
    assert (status, "one_hot is a number from 1 up" in err) == (2, True)
    _, _, err = run("train", "shops.csv", *OPTIONS[:-1], "--least-rows", "5000")
    assert f"shop has {SHOPS} categories; the 64 most frequent are kept" in err
    assert "(--least-rows keeps rarer ones)" in err


def test_a_recipe_from_before_embeddings_means_what_it_meant(run):
    """It had no word for them, and 64 categories at most."""
    old = {"target": "sales", "max_categories": 64}
    recipe = Recipe.from_config(old)
    prepared = prepare(recipe, recipe.table("shops.csv"))
    assert prepared.encoder.embeddings == {}
    assert prepared.encoder.width == 1 + 65 + 4


def test_folds_and_report(run):
    status, out, _ = run("cv", "shops.csv", *OPTIONS, "--folds", "2")
    assert (status, out[:4]) == (0, "root")
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    run("train", "shops.csv", *OPTIONS)
    status, _, _ = run("report", "model.onefold", "shops.csv", "--quiet")
    assert status == 0
    with open("report.html", encoding="utf-8") as file:
        page = file.read()
    assert "13 inputs" in page  # of the first dense layer: 5 and a vector of 8
    assert "shop [8]" in page
