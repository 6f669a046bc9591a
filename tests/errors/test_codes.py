"""Codes that are none, and embeddings that cannot be."""

from __future__ import annotations

import numpy as np
import pytest

import onefold as of

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, 20)


def good(dtype=np.float32):
    X = RNG.normal(size=(20, 4)).astype(dtype)
    X[:, 2] = RNG.integers(0, 1500, 20)
    return X


def net():
    return of.Network([of.Embedding({2: 1500}), of.Dense(2)], inputs=4)


def add(X):
    with net().accumulate(loss="cross_entropy", optimizer="adam") as step:
        step.add(X, Y)


def fit(X, **options):
    return net().fit(X, Y, loss="cross_entropy", epochs=1, verbose=0, **options)


WAYS = {
    "fit": fit,
    "validation": lambda X: fit(good(), validation=(X, Y)),
    "predict": lambda X: net().predict(X),
    "predict_proba": lambda X: net().predict_proba(X),
    "evaluate": lambda X: net().evaluate(X, Y, loss="cross_entropy"),
    "loss_and_gradient": lambda X: net().loss_and_gradient(X, Y, loss="cross_entropy"),
    "accumulate": add,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("value", "found"), [(1500, "1500"), (-1, "-1"), (2.5, "2.5"), (1e30, r"1\S*e\+30")]
)
def test_a_code_that_is_none(way, value, found):
    for dtype in (np.float32, np.float64):
        X = good(dtype)
        X[7, 2] = value
        message = (
            rf"X holds {found} in row 7, column 2, which is embedded with 1,500 categories; "
            "pass codes that are whole numbers from 0 to 1,499"
        )
        with pytest.raises(of.DataError, match=message):
            WAYS[way](X)
    X[7, 2] = 1499
    WAYS[way](X)


def test_in_a_later_piece_of_a_file(tmp_path):
    X = np.zeros((600_000, 4), np.float32)
    X[500_000, 2] = -3
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for rows in (X, mapped):
        with pytest.raises(of.DataError, match="holds -3 in row 500000, column 2"):
            net().predict(rows)


def test_missing_values_are_named_as_such():
    X = good()
    X[3, 2] = np.nan
    with pytest.raises(of.DataError, match="X holds nan in row 3, column 2; remove or fill in"):
        fit(X)


def test_integers_and_bytes():
    X = np.zeros((20, 4), int)
    X[5, 2] = 1500
    with pytest.raises(of.DataError, match="1500 in row 5"):
        fit(X)
    small = of.Network([of.Embedding({1: 7}), of.Dense(2)], inputs=4)
    X = np.zeros((20, 4), np.uint8)
    X[4, 1] = 7
    with pytest.raises(of.DataError, match="7 in row 4, column 1"):
        small.predict(X)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: of.Embedding({}), "takes a mapping of columns"),
        (lambda: of.Embedding(5), "takes a mapping of columns"),
        (
            lambda: of.Embedding({-1: 5}),
            "a column of an Embedding is a whole number from 0 up, not -1",
        ),
        (
            lambda: of.Embedding({0: 0}),
            "a number of categories of an Embedding .* from 1 up, not 0",
        ),
        (lambda: of.Embedding({0: 1 << 25}), "16,777,216 categories at most"),
        (
            lambda: of.Embedding({0: 5}, 0),
            "a size of an Embedding is a whole number from 1 up, not 0",
        ),
        (lambda: of.Embedding({0: 5}, {1: 3}), "size is a number, or one for each column of"),
        (lambda: of.Embedding({0: 5}, initializer="unform"), "did you mean 'uniform'"),
        (lambda: of.Network([of.Embedding({0: 5})], inputs=1), "at least one Dense"),
    ],
)
def test_options_that_cannot_be(make, message):
    with pytest.raises(of.OptionError, match=message):
        make()


def test_codes_come_from_the_data():
    with pytest.raises(of.ShapeError, match="has codes in column 4, its input has 4 columns"):
        of.Network([of.Embedding({4: 5}), of.Dense(1)], inputs=4)
    with pytest.raises(of.OptionError, match=r"embedding_0 reads codes .* put embeddings first"):
        of.Network([of.Dense(3), of.Embedding({0: 5}), of.Dense(1)], inputs=4)
    with pytest.raises(of.OptionError, match="embedding_1 reads codes from its column 3"):
        of.Network([of.Embedding({0: 5}), of.Embedding({3: 5}), of.Dense(1)], inputs=4)
