"""The session that a network keeps between two runs: reused, never seen in a result, given back."""

import subprocess
import sys
import weakref

import numpy as np
import pytest

import onefold as of
from onefold.train import kept


def network(seed=0):
    return of.Network([of.Dense(16, "relu"), of.Dense(3)], inputs=5, seed=seed)


def rows(count=300):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 5)).astype(np.float32)
    return x, rng.integers(0, 3, count).astype(np.int32)


def session_of(net):
    held = net._kept._kept
    return None if held is None else held[1]


RUNS = [
    {},
    {"optimizer": of.Adam(1e-2)},  # another one of the same kind
    {"batch_size": 50},
    {"batch_size": 50, "micro_batch": 7},
    {"batch_size": 50, "micro_batch": 7, "patience": 1},
    {"loss": of.losses.CrossEntropy(label_smoothing=0.1)},
    {"optimizer": of.SGD(0.1, momentum=0.9)},
    {"optimizer": of.Adam(clip_global_norm=0.01)},
    {"threads": 1},
    {},
]


def prints_after_runs(keeping):
    """Fingerprints after each run; the optimizer that several runs share lives as long as they do."""
    x, y = rows()
    net, adam = network(), of.Adam()
    usual = {"loss": "cross_entropy", "epochs": 2, "batch_size": 32, "verbose": 0}
    for options in RUNS:
        net.fit(x, y, **{**usual, "optimizer": adam, **options})
        net.parameters["dense_1.bias"] = net.parameters["dense_1.bias"] + np.float32(0.5)
        if not keeping:
            net._kept = kept.KeptSession()
        yield net.fingerprint()


def test_runs_one_after_another_have_the_bits_of_runs_with_sessions_of_their_own():
    assert list(prints_after_runs(keeping=True)) == list(prints_after_runs(keeping=False))


def test_a_session_is_used_again_only_for_the_same_run():
    x, y = rows()
    net = network()
    adam = of.Adam()

    def fit(x=x, y=y, **options):
        net.fit(x, y, **{"loss": "cross_entropy", "optimizer": adam, "epochs": 1, "verbose": 0} | options)  # fmt: skip
        return session_of(net)

    session = fit()
    assert fit() is session
    assert fit(optimizer=of.Adam(1e-2)) is session
    assert fit(shuffle=False) is not session
    for other in ({"batch_size": 16}, {"threads": 1}, {"memory": "1GB"}, {"micro_batch": 4}):
        before = session_of(net)
        assert fit(**other) is not before


def test_another_network_that_trains_gets_the_memory():
    x, y = rows()
    first, second = network(), network(1)
    options = {"loss": "cross_entropy", "epochs": 1, "verbose": 0}
    first.fit(x, y, **options)
    session = weakref.ref(session_of(first))
    second.fit(x, y, **options)
    assert session() is None
    assert session_of(second) is not None
    session = weakref.ref(session_of(second))
    del second
    assert session() is None


def test_what_is_large_or_failed_or_reads_a_file_is_not_kept(monkeypatch, tmp_path):
    x, y = rows()
    net = network()
    options = {"loss": "cross_entropy", "epochs": 1, "verbose": 0}
    net.fit(x, y, **options)
    held = session_of(net).bytes
    monkeypatch.setattr(kept, "_MOST_BYTES", held - 1)
    net.fit(x, y, **options)
    assert session_of(net) is None
    monkeypatch.setattr(kept, "_MOST_BYTES", held)
    net.fit(x, y, **options)
    assert session_of(net) is not None
    np.save(tmp_path / "x.npy", x)
    net.fit(np.load(tmp_path / "x.npy", mmap_mode="r"), y, memory="100MB", **options)
    assert session_of(net) is None
    with pytest.raises(of.DivergedError):
        net.fit(x, y, **options | {"optimizer": of.SGD(1e38)})
    assert session_of(net) is None


def test_a_script_ends_quietly():
    """Its loss is in the same globals as the network, which keeps a session that holds the loss."""
    script = """
import numpy as np, onefold as of
def loss(y_true, y_pred, weight):
    return weight * np.square(y_pred - y_true).sum(axis=1), 2 * weight[:, None] * (y_pred - y_true)
net = of.Network([of.Dense(4, "relu"), of.Dense(1)], inputs=3)
net.fit(np.ones((8, 3)), np.ones((8, 1)), loss=of.CustomLoss(loss), epochs=2, verbose=0)
"""
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stderr == ""
