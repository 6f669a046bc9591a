"""Targets there and back, and the split of rows."""

from __future__ import annotations

import numpy as np
import pytest

import onefold as of
from onefold.data import Table, Target, split


def text(cells):
    return Table({"y": cells}).column("y")


@pytest.mark.parametrize(
    ("cells", "task", "classes"),
    [
        (["a", "b", "a"], "binary", ("a", "b")),
        ([1, 0, 1], "binary", ("0", "1")),
        ([True, False], "binary", ("false", "true")),
        (["a", "b", "c"] * 3, "classes", ("a", "b", "c")),
        ([10, 2, 1] * 10, "classes", ("1", "2", "10")),
        ([i / 7 for i in range(30)], "regression", ()),
        (list(range(100)), "regression", ()),
    ],
)
def test_the_kind_of_target_is_found_out(cells, task, classes):
    target = Target.find("y", text(cells))
    assert (target.task, target.classes) == (task, classes)


def test_targets_there_and_back():
    target = Target.find("y", text([5, 2, 2, 9.5]), "regression")
    encoded = target.encode(text([5, 2]))
    np.testing.assert_allclose(
        [float(v) for v in target.decode(encoded[:, None])], [5, 2], rtol=1e-6
    )
    classes = Target.find("y", text(["b", "a", "c", "a"] * 9))
    assert classes.decode(np.eye(3)[classes.encode(text(["c", "a"]))]) == ["c", "a"]
    binary = Target.find("y", text(["no", "yes"]))
    assert binary.decode(np.array([[-0.1], [0.1]])) == ["no", "yes"]
    with pytest.raises(of.TableError, match="'d' in row 2, which training never saw"):
        classes.encode(text(["a", "d"]))


def test_a_split_has_its_shares_of_every_class():
    classes = np.repeat([0, 1, 2], [70, 20, 10])
    parts = split(100, [0.6, 0.2], seed=1, classes=classes)
    assert sorted(np.concatenate(parts).tolist()) == list(range(100))
    assert [len(part) for part in parts] == [60, 20, 20]
    assert [np.bincount(classes[part]).tolist() for part in parts] == [
        [42, 12, 6],
        [14, 4, 2],
        [14, 4, 2],
    ]
    again, other = (split(100, [0.6, 0.2], seed=seed, classes=classes) for seed in (1, 2))
    assert [part.tolist() for part in again] == [part.tolist() for part in parts]
    assert other[0].tolist() != parts[0].tolist()
