"""What the tests share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import onefold as of

ROOT = Path(__file__).parent.parent


@pytest.fixture
def data_folder():
    """The folder of real tables, or a skip that says where it is looked for."""
    folder = Path(os.environ.get("ONEFOLD_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real tables: {folder} is not there; set ONEFOLD_DATA")
    return folder


@pytest.fixture
def small():
    """Inputs (211, 13), class labels of 4, and weights, some of them zero."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(211, 13)).astype(np.float32)
    y = rng.integers(0, 4, 211)
    w = rng.integers(0, 4, 211).astype(np.float32)
    return X, y, w


@pytest.fixture
def make_net():
    """A function that makes a network of two hidden layers with dropout."""

    def make(dtype="float32", seed=3):
        layers = [of.Dense(33, "relu"), of.Dropout(0.25), of.Dense(18, "tanh"), of.Dense(4)]
        return of.Network(layers, inputs=13, seed=seed, dtype=dtype)

    return make
