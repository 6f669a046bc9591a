"""Columns of many categories: which are kept, which have an input each, which are codes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from data_shared import learn

import onefold as of
from onefold.data import Encoder, EncoderFit
from onefold.data.statistics import MAX_CATEGORIES


def learn_codes(cells, **options):
    kinds = {name: "text" if column.dtype == object else "number" for name, column in cells.items()}
    fit = EncoderFit(kinds, **{"one_hot": 64, "least_rows": 20, **options})
    fit.add(cells)
    return fit.finish()


def test_rare_categories_share_a_place():
    encoder = learn({"c": [f"c{i % 100}" for i in range(1000)] + ["c3"] * 5})
    (column,) = encoder.columns
    assert column.width == MAX_CATEGORIES + 1
    assert "c3" in column.categories
    assert "100 categories" in encoder.notices[0]


def test_codes_of_categories_for_an_embedding():
    cells = np.array([f"c{i % 90:02d}" for i in range(900)] + [None], dtype=object)
    grade = np.array([i % 3 for i in range(901)], float)
    fit = EncoderFit({"name": "text", "grade": "number"}, max_categories=90)
    fit.add({"name": cells, "grade": grade})
    encoder = fit.finish()
    assert not encoder.notices
    codes = encoder.codes({"name": cells, "grade": np.where(grade == 2, np.nan, grade)})
    assert codes["name"].tolist() == [*(i % 90 for i in range(900)), 90]
    assert codes["grade"][:3].tolist() == [0, 1, 3]
    encoded = encoder.encode({"name": cells, "grade": grade})
    assert np.array_equal(encoded[:, :91].argmax(axis=1), codes["name"])
    with pytest.raises(of.OptionError, match="max_categories"):
        EncoderFit({"x": "text"}, max_categories=0)


def test_columns_of_many_categories_become_codes():
    words = [f"c{i % 90:02d}" for i in range(900)] + ["c07"] * 5 + ["c03"] * 3 + [None] * 2
    cells = {
        "few": np.array([f"{'uvw'[i % 3]}" for i in range(910)], dtype=object),
        "many": np.array(words, dtype=object),
        "x": np.arange(910.0),
    }
    kept = learn_codes(cells, max_categories=64, least_rows=1)
    assert kept.columns[1].kind == "categorical"  # 64 are left, and have an input each
    encoder = learn_codes(cells, least_rows=1)
    assert encoder.width == 4 + 1 + 1
    assert encoder.embeddings == {4: 91}
    assert encoder.input_names()[3:] == ["few: other", "many", "x"]
    assert encoder.columns[1].categories[:3] == ("c07", "c03", "c00")
    cells["many"][0] = "new"
    found = encoder.encode(cells)
    assert found[0, 4] == found[-1, 4] == 90
    assert found[7, 4] == 0
    np.testing.assert_array_equal(found[:, 4], encoder.codes(cells)["many"])
    assert Encoder.from_config(json.loads(json.dumps(encoder.to_config()))) == encoder
    net = of.Network([of.Embedding(encoder.embeddings), of.Dense(1)], inputs=encoder.width)
    net.predict(found)
    with pytest.raises(of.OptionError, match="one_hot is a number from 1 up, not 0"):
        EncoderFit({"x": "text"}, one_hot=0)


def test_rare_categories_are_not_embedded():
    words = [f"c{i % 70:02d}" for i in range(1400)] + [
        f"rare{i}" for i in range(30) for _ in range(9)
    ]
    cells = {"c": np.array(words, dtype=object)}
    encoder = learn_codes(cells)
    assert encoder.embeddings == {0: 71}
    assert encoder.encode({"c": np.array(["rare3", "c00"], dtype=object)}).ravel().tolist() == [
        70,
        0,
    ]
    assert "the 70 most frequent are kept" in encoder.notices[0]
    assert "--least-rows" in encoder.notices[0]
    assert learn_codes(cells, least_rows=9).embeddings == {0: 101}
    # Where few are frequent, the 64 most frequent ones have an input each.
    few = learn_codes(cells, least_rows=21)
    assert few.embeddings == {}
    assert few.width == 65
    assert "--least-rows keeps rarer ones" in few.notices[0]
    # Where no more are frequent than may have an input each, these have one.
    some = learn_codes(cells, one_hot=80)
    assert some.embeddings == {}
    assert some.width == 71
    assert "--least-rows keeps rarer ones" in some.notices[0]
    assert learn_codes(cells, one_hot=100).width == 101
    limited = learn_codes(cells, max_categories=66)
    assert limited.embeddings == {0: 67}
    assert "--max-categories keeps more" in limited.notices[0]
