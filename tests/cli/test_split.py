"""Which rows train, which validate, which test."""

from __future__ import annotations

import json

import pytest
from cli_shared import table

from onefold.cli.preparation import prepare
from onefold.cli.recipe import Recipe


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


def test_folds_cut_the_table_into_parts(tmp_path):
    path = table(tmp_path / "t.csv", 50)
    recipe = Recipe(target="y", epochs=1)
    tests = [prepare(recipe, recipe.table(path), (i, 4)).parts["test"][0] for i in range(4)]
    assert sum(map(len, tests)) == 50


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
