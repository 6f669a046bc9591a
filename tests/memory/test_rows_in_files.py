"""Rows that are read from files: the same bits as in memory, in the bytes that the plan says."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

import onefold as of
from onefold import _native
from onefold.train.residency import FileRows, bounded, pieces, rows_of

ROWS, WIDTH = 30_000, 37


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, WIDTH), dtype=np.float32)
    return X, (X[:, 0] + X[:, 1] > 0).astype(np.int64)


def in_file(X):
    rows = FileRows.create(X.shape)
    rows.write(0, 0, X)
    return rows


def network():
    return of.Network([of.Dense(16, "relu"), of.Dropout(0.1), of.Dense(1)], inputs=WIDTH, seed=3)


def train(X, y, held_out, **options):
    net = network()
    net.fit(
        X, y, loss="cross_entropy", epochs=2, batch_size=300, verbose=0,
        validation=(held_out, y[: len(held_out)]), patience=5, **options,
    )  # fmt: skip
    return net.fingerprint()


def test_a_block_of_columns_leaves_the_others_alone(data):
    X, _ = data
    rows = FileRows.create(X.shape)
    for begin in (30, 0, 20, 10):
        rows.write(0, begin, X[:4000, begin : begin + 10])
        rows.write(4000, begin, X[4000:, begin : begin + 10])
    assert np.array_equal(rows, X)
    assert all(
        np.array_equal(piece, X[first : first + len(piece)]) for first, piece in pieces(rows)
    )
    assert np.array_equal(rows_of(rows[100:], 7, 5), X[107:112])


# A budget in which every window is a micro-batch, one with a part of the rows, one with all of them.
@pytest.mark.parametrize("memory", ["1.7MB", "3MB", "8MB"])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_bits_of_a_run_in_memory(data, memory, threads):
    X, y = data
    rows = in_file(X)
    assert train(rows, y, rows[:900], memory=memory, threads=threads) == train(X, y, X[:900])


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_mapped_arrays_of_every_type(data, tmp_path, dtype):
    X, y = data
    X = (X * 20 + 100).astype(dtype)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")[100:]
    X, y = X[100:], y[100:]
    assert train(mapped, y, mapped[:50], memory="2MB") == train(X, y, X[:50])


def test_gradients_and_losses(data):
    X, y = data
    rows, net = in_file(X), network()
    loss, gradient = net.loss_and_gradient(rows, y, memory="300kB")
    same, other = net.loss_and_gradient(X, y)
    assert loss == same
    assert all(np.array_equal(gradient[name], other[name]) for name in other)
    assert net.evaluate(rows, y, memory="1MB") == net.evaluate(X, y)


def test_rows_are_read_and_not_mapped(data, tmp_path):
    """What the file holds counts, not what the mapping was told: its pages are never looked at."""
    X, y = data
    path = tmp_path / "x.f32"
    X.tofile(path)
    mapped = np.memmap(path, np.float32, "r", shape=X.shape)
    file = tmp_path / "other.f32"
    (X + 1).tofile(file)
    net = network()
    with file.open("rb") as other, bounded(None):
        _native.read_by_position(mapped, other.fileno(), 0)
        found = net.evaluate(mapped, y)
        _native.forget(mapped)
    assert found == net.evaluate(X + 1, y)
    assert net.evaluate(mapped, y) == net.evaluate(X, y)


def test_the_window_is_in_the_plan(data):
    from onefold.train.session import Session, prepare

    X, y = data
    rows, net = in_file(X), network()
    with bounded("2MB", rows):
        x, targets, _ = prepare(net._architecture, of.nn.losses.get("squared_error"), rows, y, None)
        session = Session(
            net._architecture, net._state, of.nn.losses.get("squared_error"), labels=False,
            weighted=False, batch_size=100, memory="2MB", ordered=len(x), inputs=x, threads=2,
        )  # fmt: skip
        plan = session.plan
        order = _native.permutation(len(x), 0, 0)
        session.executor.begin(0)
        before = session.executor.nbytes
        optimizer = of.SGD(0.0)
        session.executor.set_update_rule(optimizer.kernel, [False] * 4, np.inf, np.inf, [])
        session.executor.train(
            x, targets.array.reshape(-1, 1), None, order, batch_size=100, first_batch=0,
            first_update=0, scalars=np.zeros((2, 2)), seconds=0.0, loss=0.0, weight=0.0,
        )  # fmt: skip
    assert plan.window > 0
    assert plan.total <= 2e6
    # What is left is used, but for rows that would not save going through the file once more.
    room = plan.window_rows + (2_000_000 - plan.total) // (4 * WIDTH + 8)
    times = -(-ROWS // (room - 100))
    assert plan.window_rows == -(-ROWS // times) + 100
    assert session.executor.nbytes - before == plan.window


@pytest.fixture(scope="module")
def large():
    """Rows of 120 MB: a window of some 30 MB is filled through a mapping."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((300_000, 100), dtype=np.float32)
    return X, in_file(X), (X[:, 0] > 0).astype(np.int64)


def train_large(X, y, **options):
    net = of.Network([of.Dense(4, "relu"), of.Dense(1)], inputs=100, seed=1)
    net.fit(X, y, loss="cross_entropy", batch_size=1000, verbose=0, **options)
    return net.fingerprint()


def mapped_bytes():
    """What is resident of files in this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssFile:"))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_pages_of_our_own_file_are_given_back(large, threads):
    X, rows, y = large
    seen, done = [], threading.Event()

    def look():
        while not done.is_set():
            seen.append(mapped_bytes())

    before = mapped_bytes()
    looking = threading.Thread(target=look)
    looking.start()
    found = train_large(rows, y, memory="48MB", threads=threads)
    done.set()
    looking.join()
    most = max(seen) - before
    assert 0 < most <= threads * 6 * 2**20 + 2**20  # three large pages each, and code
    assert found == train_large(X, y, threads=threads)


def test_our_own_file_where_the_page_cache_has_let_go_of_it(large):
    X, rows, y = large
    os.fsync(rows.descriptor)
    os.posix_fadvise(rows.descriptor, 0, X.nbytes // 2, os.POSIX_FADV_DONTNEED)
    assert train_large(rows, y, memory="48MB") == train_large(X, y)


def test_a_file_that_was_cut_short(data, tmp_path):
    X, y = data
    path = tmp_path / "x.f32"
    X.tofile(path)
    mapped = np.memmap(path, np.float32, "r", shape=X.shape)
    os.truncate(path, X.nbytes // 2)
    with pytest.raises(OSError, match="shorter than it was"):
        network().fit(mapped, y, epochs=1, verbose=0, memory="2MB")


def test_another_file_of_that_name_is_not_read(data, tmp_path):
    X, y = data
    path = tmp_path / "x.f32"
    X.tofile(path)
    mapped = np.memmap(path, np.float32, "r", shape=X.shape)
    path.unlink()
    np.zeros_like(X).tofile(path)
    net = network()
    assert net.evaluate(mapped, y, memory="1MB") == net.evaluate(X, y)


def test_a_budget_that_holds_no_window(data):
    X, y = data
    with pytest.raises(of.BudgetError, match="give at least"):
        network().fit(in_file(X), y, epochs=1, verbose=0, memory="20kB")
