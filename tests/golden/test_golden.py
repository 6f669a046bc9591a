"""Fingerprints of small trainings, kept: nobody changes a bit by accident.

A change here is a change of the arithmetic: raise onefold._files.ARITHMETIC, say so in the changelog,
and write the new fingerprints (python tests/golden/test_golden.py prints them).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import onefold as of
from onefold import _native
from onefold.optim import Cosine, OneCycle

KEPT = Path(__file__).with_name("fingerprints.json")


def table(rows, columns, outputs):
    """Exact small numbers, from integer arithmetic alone."""
    n = np.arange(rows * columns, dtype=np.int64).reshape(rows, columns)
    X = ((n * 2654435761 % 4093) / 2048 - 1).astype(np.float32)
    y = (np.arange(rows) * 40503 % 1009) % max(outputs, 2)
    return X, y


def classes():
    X, y = table(300, 11, 5)
    net = of.Network(
        [of.Dense(40, "relu"), of.Dropout(0.3), of.Dense(21, "tanh"), of.Dense(5)],
        inputs=11,
        seed=5,
    )
    net.fit(
        X,
        y,
        loss="cross_entropy",
        optimizer=of.Adam(Cosine(0.01, warmup=5)),
        epochs=4,
        batch_size=64,
        verbose=0,
    )
    return net


def regression():
    X, y = table(200, 7, 100)
    net = of.Network([of.Dense(50, "gelu"), of.Dense(1)], inputs=7, seed=2, dtype="float64")
    optimizer = of.AdamW(OneCycle(0.02), clip_global_norm=0.5)
    net.fit(X, y / 100.0, loss="huber", optimizer=optimizer, epochs=5, batch_size=32, verbose=0)
    return net


def weighted_binary():
    X, y = table(250, 9, 2)
    net = of.Network([of.Dense(33, "silu"), of.Dense(17, "prelu"), of.Dense(1)], inputs=9, seed=8)
    optimizer = of.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=1e-3, clip_value=0.5)
    net.fit(
        X, y, loss="cross_entropy", optimizer=optimizer, epochs=5, batch_size=50, verbose=0,
        sample_weight=np.arange(250) % 4,
    )  # fmt: skip
    return net


def every_activation():
    X, y = table(64, 6, 3)
    names = [
        "elu",
        "selu",
        "mish",
        "softplus",
        "gelu_tanh",
        "softsign",
        "log_sigmoid",
        "celu",
        "softmax",
    ]
    net = of.Network([*(of.Dense(12, name) for name in names), of.Dense(3)], inputs=6, seed=4)
    net.fit(X, y, loss="cross_entropy", optimizer="nadam", epochs=3, batch_size=16, verbose=0)
    return net


def initializers():
    names = [
        "orthogonal",
        "truncated_normal",
        "glorot_normal",
        "he_uniform",
        "lecun_normal",
        "uniform",
    ]
    layers = [of.Dense(10 + i, weight_initializer=name) for i, name in enumerate(names)]
    return of.Network(layers, inputs=9, seed=123456789)


CASES = [classes, regression, weighted_binary, every_activation, initializers]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_fingerprint_is_the_kept_one(case, monkeypatch):
    kept = json.loads(KEPT.read_text())[case.__name__]
    for level in _native.levels():
        monkeypatch.setenv("ONEFOLD_ISA", level)
        assert case().fingerprint() == kept


if __name__ == "__main__":
    found = {case.__name__: case().fingerprint() for case in CASES}
    KEPT.write_text(json.dumps(found, indent=1) + "\n")
    print(KEPT.read_text())
