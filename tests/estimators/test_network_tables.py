"""Tables as they are: missing values, categories, texts, dates, and real ones."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

import onefold as of
from onefold import data

RNG = np.random.default_rng(3)


def frame(rows=500):
    """A table whose target needs every column."""
    table = pd.DataFrame(
        {
            "size": RNG.normal(50, 10, rows),
            "colour": RNG.choice(["red", "green", "blue"], rows),
            "grade": pd.Categorical(RNG.choice(["A", "B", "C"], rows)),
            "day": pd.Timestamp("2021-01-01") + pd.to_timedelta(RNG.integers(0, 700, rows), "D"),
            "new": RNG.random(rows) < 0.5,
            "count": pd.array(RNG.integers(0, 5, rows), dtype="Int64"),
            "text": [str(v) for v in RNG.integers(0, 9, rows)],
        }
    )
    y = (
        table["size"] / 10
        + 2.0 * (table["colour"] == "red")
        - 1.5 * (table["grade"] == "C")
        + table["new"]
        + table["count"].astype(float)
        + (table["day"] - pd.Timestamp("2021-01-01")).dt.days / 200
        + table["text"].astype(float) / 3
    )
    return table, np.asarray(y, float)


def test_every_kind_of_column_is_learned_from():
    table, y = frame()
    whole = of.NetworkRegressor(random_state=0).fit(table, y)
    assert whole.score(table, y) > 0.99
    assert list(whole.feature_names_in_) == list(table)
    assert whole.n_features_in_ == 7
    for column in table:
        less = table.drop(columns=column)
        assert of.NetworkRegressor(random_state=0).fit(less, y).score(less, y) < 0.99, column


def test_missing_values_are_marked_and_known_again():
    table, y = frame()
    for i, name in enumerate(table):
        if name != "new":
            table.loc[table.index[i::9], name] = None
    model = of.NetworkRegressor(random_state=0).fit(table, y)
    names = model._inputs.names(model)
    assert "size missing" in names
    assert "count missing" in names
    assert "colour: other" in names
    assert len(names) == len(set(names)) == model.network_.inputs
    one = table.iloc[:3].copy()
    one["size"] = np.nan
    filled = one.assign(size=np.nanmean(table["size"]))
    assert not np.allclose(model.predict(one), model.predict(filled))


def test_missing_numbers_become_the_mean_where_training_had_none():
    X = RNG.normal(size=(200, 2)) + 3
    model = of.NetworkRegressor(random_state=0, max_iter=20).fit(X, X[:, 0])
    assert model.network_.inputs == 2
    holes, means = X[:5].copy(), X[:5].copy()
    holes[:, 1], means[:, 1] = np.nan, model._inputs._scaling.fill[1]
    np.testing.assert_allclose(model.predict(holes), model.predict(means), rtol=1e-12)


def test_a_missing_value_that_tells_something():
    X = RNG.normal(size=(600, 1))
    X[::3] = np.nan
    y = np.isnan(X[:, 0]).astype(int)
    assert of.NetworkClassifier(random_state=0).fit(X, y).score(X, y) == 1


def test_unseen_categories_share_a_place():
    table, y = frame()
    model = of.NetworkRegressor(random_state=0).fit(table, y)
    strange, stranger = table.copy(), table.copy()
    strange["colour"], stranger["colour"] = "violet", None
    assert np.array_equal(model.predict(strange), model.predict(stranger))


def test_numbers_as_categories():
    code = RNG.integers(0, 6, 500)
    y = np.array([5.0, -3, 9, 0, 2, -7])[code]
    X = np.column_stack([code, RNG.normal(size=500)]).astype(float)
    names = {"none": None, "mask": [True, False], "places": [0], "negative": [-1]}
    for form in ("mask", "places"):
        model = of.NetworkRegressor((), random_state=0, categorical_features=names[form])
        assert model.fit(X, y).score(X, y) > 0.99
        assert model.network_.inputs == 8
    assert of.NetworkRegressor((), random_state=0).fit(X, y).score(X, y) < 0.5
    table = pd.DataFrame({"code": code, "noise": X[:, 1]})
    by_name = of.NetworkRegressor((), random_state=0, categorical_features=["code"]).fit(table, y)
    by_dtype = of.NetworkRegressor((), random_state=0).fit(table.astype({"code": "category"}), y)
    mask = of.NetworkRegressor((), random_state=0, categorical_features=[True, False]).fit(X, y)
    prints = {m.network_.fingerprint() for m in (by_name, by_dtype, mask)}
    assert len(prints) == 1


def test_weights_count_in_the_scaling():
    X, w = RNG.gamma(1, size=(300, 2)), RNG.integers(0, 4, 300)
    scaling = of.NetworkRegressor(max_iter=1).fit(X, X[:, 0], w)._inputs._scaling
    repeated = np.repeat(X, w, axis=0)
    np.testing.assert_allclose(scaling.mean, repeated.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(scaling.scale, repeated.std(axis=0), rtol=1e-13)


def test_numbers_far_from_zero_and_constant_ones():
    X = np.column_stack([1e12 + RNG.normal(size=200), np.full(200, 0.1), np.full(200, 1e100)])
    scaling = of.NetworkRegressor(max_iter=1).fit(X, X[:, 0] - 1e12)._inputs._scaling
    assert scaling.scale[0] == pytest.approx(X[:, 0].std(), rel=1e-6)
    assert scaling.scale[1:].tolist() == [1, 1]


def test_columns_that_identify_rows_are_left_out_and_said():
    table, y = frame()
    table["key"] = [f"row {i}" for i in range(len(table))]
    with pytest.warns(UserWarning, match="key is left out: looks like an identifier"):
        model = of.NetworkRegressor(random_state=0, max_iter=2).fit(table, y)
    assert not any("key" in name for name in model._inputs.names(model))
    alone = table[["size", "key"]].assign(same="x")
    with pytest.warns(UserWarning, match="key is left out: looks like an identifier") as found:
        model = of.NetworkRegressor(max_iter=2).fit(alone, y)
    assert model._inputs.names(model) == ["size"]
    assert [str(warning.message) for warning in found] == [
        "key is left out: looks like an identifier"
    ]
    assert found[0].filename == __file__
    with pytest.raises(ValueError, match="no column is left to learn from"):
        of.NetworkRegressor().fit(alone[["key"]], y)


def test_many_categories_are_said_without_an_option_of_the_command():
    table = pd.DataFrame({"town": [f"town {i}" for i in np.repeat(np.arange(90), 3)]})
    with pytest.warns(UserWarning, match="town has 90 categories; the 64 most frequent") as found:
        of.NetworkRegressor(max_iter=1).fit(table, np.arange(270.0))
    assert str(found[0].message).endswith("the others share one place")


def test_columns_of_all_sorts():
    a, rows = RNG.normal(size=300), np.arange(300)
    long = rows % 7
    sorts = {
        "duration": (pd.to_timedelta(long, "h"), long),
        "time zone": (pd.date_range("2020", periods=300, freq="D", tz="Europe/Zurich"), rows / 100),
        "texts with NA": (pd.array(np.where(long > 3, "x", "y"), dtype="string"), long > 3),
        "truth with NA": (
            pd.array([None if v == 0 else v > 3 for v in long], dtype="boolean"),
            long > 3,
        ),
        "numbers and texts": (
            pd.Series([("x" if v > 3 else int(v)) for v in long], dtype=object),
            long > 3,
        ),
    }
    for name, (column, y) in sorts.items():
        table = pd.DataFrame({"a": a, "b": column})
        model = of.NetworkRegressor(random_state=0).fit(table, y)
        assert model.score(table, y) > 0.95, name


def test_nested_columns_and_names_that_stand_twice_are_refused():
    table = pl.DataFrame({"a": [1.0, 2.0], "b": [[1, 2], [3, 4]]})
    with pytest.raises(ValueError, match=r"column 'b' holds List\(Int64\)"):
        of.NetworkRegressor().fit(table, [0, 1])
    twice = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], columns=["a", "a"])
    with pytest.raises(ValueError, match="unique column names"):
        of.NetworkRegressor().fit(twice, [0, 1])


def test_words_alone():
    y = RNG.integers(0, 3, 300)
    table = pl.DataFrame({"a": np.array(["x", "y", "z"])[y], "b": RNG.choice(["p", "q"], 300)})
    assert of.NetworkClassifier(random_state=0).fit(table, y).score(table, y) == 1


def test_penguins_and_their_missing_cells():
    table = pd.read_csv(data.PENGUINS)
    y = table.pop("species")
    parts = train_test_split(table, y, random_state=0, stratify=y)
    model = of.NetworkClassifier(random_state=0).fit(parts[0], parts[2])
    assert model.score(parts[1], parts[3]) > 0.97
    assert set(model.predict(table)) == {"Adelie", "Chinstrap", "Gentoo"}


def test_houses_as_they_come(data_folder):
    table = pd.read_csv(data_folder / "california_housing" / "housing.csv")
    y = table.pop("median_house_value")
    train, test, y_train, y_test = train_test_split(table, y, random_state=0, train_size=4000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = of.NetworkRegressor(random_state=0).fit(train, y_train)
    ours = model.score(test, y_test)
    codes = table.assign(ocean_proximity=table["ocean_proximity"].astype("category"))
    with threadpool_limits(1):  # its threads wait by spinning
        trees = HistGradientBoostingRegressor(random_state=0).fit(codes.loc[train.index], y_train)
    theirs = trees.score(codes.loc[test.index], y_test)
    assert ours > 0.7
    assert ours > theirs - 0.08


def test_customers_whose_numbers_read_as_text(data_folder):
    (path,) = (data_folder / "telco_churn").glob("*.csv")
    table = pd.read_csv(path)
    y = table.pop("Churn")
    train, test, y_train, y_test = train_test_split(table, y, random_state=0, stratify=y)
    with pytest.warns(UserWarning, match="customerID is left out"):
        model = of.NetworkClassifier(random_state=0, max_iter=60).fit(train, y_train)
    assert model.score(test, y_test) > 0.78
    assert "TotalCharges missing" not in model._inputs.names(model)
    assert any(n.startswith("TotalCharges") for n in model._inputs.names(model))
