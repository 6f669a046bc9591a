"""The promises of the arithmetic, with embeddings."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import onefold as of
from onefold import _core
from onefold.optim import OPTIMIZERS, get

LEVELS = _core.levels()
COUNTS = {4: 500, 0: 7, 9: 33}


@pytest.fixture
def rows():
    """Inputs (211, 11) with three columns of codes, labels of 4 classes, and weights."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(211, 11)).astype(np.float32)
    for column, count in COUNTS.items():
        # Some categories are frequent, most have a row or none.
        X[:, column] = np.minimum(rng.geometric(0.1, 211), count) - 1
    X[:, 4] = rng.integers(0, 500, 211)
    X[:, 2] = rng.integers(0, 3, 211)
    return X, rng.integers(0, 4, 211), rng.integers(0, 4, 211).astype(np.float32)


def make(dtype="float32"):
    # The second embedding's column 1 is the data's column 2.
    layers = [of.Embedding(COUNTS, {4: 8, 0: 40, 9: 3}), of.Embedding({1: 3}, 2), of.Dropout(0.25)]
    layers += [of.Dense(18, "tanh"), of.Dense(4)]
    return of.Network(layers, inputs=11, seed=3, dtype=dtype)


def train(rows, dtype="float32", optimizer=None, net=None, **options):
    X, y, w = rows
    net = net or make(dtype)
    options = {"epochs": 2, "batch_size": 100, "verbose": 0, **options}
    net.fit(
        X,
        y,
        loss="cross_entropy",
        sample_weight=w,
        optimizer=optimizer or of.AdamW(0.01),
        **options,
    )
    return net.fingerprint()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("clip", [None, 0.02])
def test_micro_batch_threads_and_level_cannot_be_seen(rows, dtype, clip, monkeypatch):
    def run(**options):
        return train(rows, dtype, of.AdamW(0.01, clip_global_norm=clip), **options)

    whole = run(micro_batch=100, threads=1)
    assert whole != make(dtype).fingerprint()
    found = {run(micro_batch=micro_batch) for micro_batch in (1, 7, 33, "auto")}
    found |= {run(threads=threads, micro_batch=33) for threads in (2, 3, 7)}
    for level in LEVELS:
        monkeypatch.setenv("ONEFOLD_ISA", level)
        found |= {run(micro_batch=9, threads=2)}
    assert found == {whole}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(rows, name, monkeypatch):
    found = set()
    for level in LEVELS:
        monkeypatch.setenv("ONEFOLD_ISA", level)
        for micro_batch in (9, 100):
            optimizer = get(name, weight_decay=0.01, clip_value=0.05)
            found.add(train(rows, optimizer=optimizer, micro_batch=micro_batch, epochs=1))
    assert len(found) == 1


def test_memory_and_files_cannot_be_seen(rows, tmp_path):
    X, y, w = rows
    whole = train(rows)
    plan = make().plan(
        batch_size=100, optimizer="adamw", loss="cross_entropy", labels=True, weighted=True
    )
    least = plan.total - plan.values - plan.tiles + 30_000
    assert train(rows, memory=least) == whole
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert train((mapped, y, w), memory=10**6) == whole
    assert train((X.astype(np.float64), y, w)) == whole


def test_bytes_are_codes_too(rows):
    X, y, w = rows
    small = np.abs(X).astype(np.uint8) % 3
    assert train((small, y, w)) == train((small.astype(np.float32), y, w))


def test_pieces_by_hand_are_the_batch(rows):
    X, y, w = rows
    whole = train(rows, optimizer=of.Adam(0.01), shuffle=False, batch_size=211, epochs=1)
    net = make()
    with net.accumulate(loss="cross_entropy", optimizer=of.Adam(0.01)) as step:
        for part in (slice(0, 1), slice(1, 90), slice(90, None)):
            step.add(X[part], y[part], w[part])
    assert net.fingerprint() == whole


def test_a_row_alone_and_among_others(rows, monkeypatch):
    X = rows[0]
    together = make().predict(X)
    for level in LEVELS:
        monkeypatch.setenv("ONEFOLD_ISA", level)
        net = make()
        np.testing.assert_array_equal(net.predict(X, threads=3), together)
        for row in (0, 5, 210):
            np.testing.assert_array_equal(net.predict(X[row : row + 1])[0], together[row])


def test_saved_pickled_and_resumed(rows, tmp_path):
    net = make()
    train(rows, net=net)
    net.save(tmp_path / "m.onefold")
    loaded = of.load(tmp_path / "m.onefold")
    assert repr(loaded) == repr(net)
    for other in (loaded, pickle.loads(pickle.dumps(net))):
        assert other.fingerprint() == net.fingerprint()
        np.testing.assert_array_equal(other.predict(rows[0]), net.predict(rows[0]))
    path = tmp_path / "run.checkpoint"
    train(rows, epochs=1, checkpoint=path)
    assert train(rows, epochs=2, checkpoint=path, resume=True) == net.fingerprint()
