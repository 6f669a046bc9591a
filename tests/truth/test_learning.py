"""It learns: the documented example on real images."""

from __future__ import annotations

import importlib.util
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "fashion_mnist.py"


def test_fashion_mnist_reaches_89_percent(data_folder):
    spec = importlib.util.spec_from_file_location("fashion_mnist", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    net, accuracy = example.train(
        data_folder / "fashion_mnist", epochs=10, memory="40MB", threads=None, verbose=0
    )
    assert accuracy >= 0.89
    assert net.outputs == 10
