"""Fashion-MNIST with 784-512-512-10: at least 89 % of the test images, whatever the memory.

Reads the four official files (IDX, gzip) from a folder and trains a dense network for ten epochs.
Pixels stay bytes: the first layer's inputs are scaled once, as float32, because a network learns
best from values around zero.

    python examples/fashion_mnist.py FOLDER [--memory 40MB] [--threads 2] [--epochs 10]

The accuracy and the fingerprint that it prints do not depend on --memory or --threads.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np

import onefold as of


def read_idx(path: Path) -> np.ndarray:
    """An array of bytes from an IDX file: magic number, sizes (big-endian), then the values."""
    content = gzip.decompress(path.read_bytes())
    zeros, kind, dimensions = content[:2], content[2], content[3]
    if zeros != b"\0\0" or kind != 8:
        raise SystemExit(f"{path} is not an IDX file of bytes")
    shape = np.frombuffer(content, ">i4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def read_part(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images as rows of 784 values around zero, and labels from 0 to 9."""
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz")
    pixels = images.reshape(len(images), -1).astype(np.float32)
    return (pixels - 72.94) / 90.02, labels  # mean and deviation of the training pixels


def train(
    folder: Path,
    *,
    epochs: int,
    memory: str | None,
    threads: int | None,
    verbose: int | None = None,
):
    """The trained network and its accuracy on the test images."""
    x, y = read_part(folder, "train")
    x_test, y_test = read_part(folder, "t10k")
    net = of.Network(
        [
            of.Dense(512, "relu"),
            of.Dropout(0.2),
            of.Dense(512, "relu"),
            of.Dropout(0.2),
            of.Dense(10),
        ],
        inputs=784,
        seed=0,
    )
    net.fit(
        x, y, loss="cross_entropy", optimizer=of.Adam(of.schedules.Cosine(1e-3)),
        epochs=epochs, batch_size=128, memory=memory, threads=threads, verbose=verbose,
    )  # fmt: skip
    return net, float((net.predict(x_test).argmax(axis=1) == y_test).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with the four .gz files")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--memory", help="budget for training, such as 40MB")
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    net, accuracy = train(
        given.folder, epochs=given.epochs, memory=given.memory, threads=given.threads
    )
    print(net.summary())
    print(f"test accuracy {accuracy:.2%}, fingerprint {net.fingerprint()[:8]}")


if __name__ == "__main__":
    main()
