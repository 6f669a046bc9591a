"""The promises of the arithmetic: whatever memory, threads and instruction set, the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import onefold as of
from onefold import _core
from onefold.nn.activations import ACTIVATIONS
from onefold.optim import OPTIMIZERS, Cosine, get
from onefold.train.session import Session

LEVELS = _core.levels()


def train(net, data, weighted=True, optimizer=None, **options):
    X, y, w = data
    options = {"epochs": 2, "batch_size": 100, "verbose": 0, **options}
    net.fit(
        X,
        y,
        loss="cross_entropy",
        optimizer=optimizer or of.Adam(Cosine(0.01), clip_value=0.05),
        sample_weight=w if weighted else None,
        **options,
    )
    return net.fingerprint()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("clip", [None, 0.02])
@pytest.mark.parametrize("weighted", [False, True])
def test_micro_batch_and_threads_cannot_be_seen(small, make_net, dtype, clip, weighted):
    def run(**options):
        optimizer = of.AdamW(Cosine(0.01), clip_global_norm=clip)
        return train(make_net(dtype), small, weighted, optimizer, **options)

    whole = run(micro_batch=100, threads=1)
    assert whole != make_net(dtype).fingerprint()
    for micro_batch in (1, 7, 33, 100, 1000, "auto"):
        assert run(micro_batch=micro_batch) == whole
    for threads in (1, 2, 3, 7):
        assert run(threads=threads, micro_batch=33) == whole


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", [["relu", "relu"], ["tanh", "gelu"]])
def test_how_threads_work_together_cannot_be_seen(dtype, hidden, monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(700, 70)), rng.integers(0, 5, 700)
    make = Session.__init__

    def run(mode, threads, **options):
        def make_so(self, *given, **named):
            make(self, *given, **named)
            self.executor.mode = mode
            sessions.append(self)

        sessions = []
        monkeypatch.setattr(Session, "__init__", make_so)
        layers = [of.Dense(100, hidden[0]), of.Dropout(0.1), of.Dense(75, hidden[1]), of.Dense(5)]
        net = of.Network(layers, inputs=70, dtype=dtype, seed=3)
        options = {"loss": "cross_entropy", "optimizer": of.Adam(0.01), "epochs": 2, **options}
        net.fit(x, y, batch_size=300, threads=threads, verbose=0, **options)
        assert sessions[0].executor.mode == mode
        return net.fingerprint()

    whole = run(None, 1)
    for level in LEVELS:
        monkeypatch.setenv("ONEFOLD_ISA", level)
        for mode in (0, 1, 2):  # past the caches: 1
            assert run(mode, 2) == whole
            assert run(mode, 3, micro_batch=130) == whole
    assert run(1, 2, optimizer=of.Adam(0.01, clip_global_norm=1e6)) == whole


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 2, 60])
def test_where_gradients_are_made_cannot_be_seen(dtype, batch_size, monkeypatch):
    """An update at once makes them in one place after another, or of a single row in the optimizer's step; one that
    is clipped by the norm where they belong. 420 outputs are enough for two threads, which may store past the caches.
    """
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(61, 230)), rng.integers(0, 4, 61)  # the last batch may be a single row
    make, modes = Session.__init__, []

    def make_so(self, *given, **named):
        make(self, *given, **named)
        self.executor.mode = modes[-1]

    monkeypatch.setattr(Session, "__init__", make_so)

    def run(threads, clip=None, mode=None, weights=None):
        modes.append(mode)
        layers = [of.Dense(420, "relu"), of.Dense(36, "relu"), of.Dense(4)]
        net = of.Network(layers, inputs=230, dtype=dtype, seed=6)
        optimizer = of.Adam(0.01, clip_global_norm=clip)
        net.fit(
            x, y, loss="cross_entropy", optimizer=optimizer, epochs=2, batch_size=batch_size,
            threads=threads, sample_weight=weights, verbose=0,
        )  # fmt: skip
        return net.fingerprint()

    for weights in (None, rng.uniform(0.5, 2, 61)):
        whole = run(1, clip=1e6, weights=weights)
        for level in LEVELS:
            with monkeypatch.context() as forced:
                forced.setenv("ONEFOLD_ISA", level)
                for threads, mode in ((1, None), (2, 0), (2, 1)):  # past the caches: 1
                    assert run(threads, None, mode, weights) == whole


def test_asking_for_rows_of_wide_inputs_cannot_be_seen():
    """Of all rows, which no cache holds, later ones are asked for while others run; of the first half none."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((17_000, 530), dtype=np.float32)
    y = rng.integers(0, 3, len(x))
    first_half = np.arange(len(x)) < 9_000

    def run(rows, weights=None, **options):
        net = of.Network([of.Dense(40, "relu"), of.Dense(3)], inputs=530, seed=2)
        options = {"loss": "cross_entropy", "optimizer": of.SGD(0.1), "epochs": 1, **options}
        net.fit(x[:rows], y[:rows], sample_weight=weights, batch_size=500, verbose=0, **options)
        return net.fingerprint()

    weights = first_half.astype(np.float32)
    assert run(17_000, weights, shuffle=False) == run(9_000, weights[:9_000], shuffle=False)
    whole = run(17_000, threads=1)
    for threads in (2, 3, 7):
        for micro_batch in (500, 130):
            assert run(17_000, threads=threads, micro_batch=micro_batch) == whole


@pytest.mark.parametrize("memory", ["70kB", "100 kB", "10MiB", 10**9])
def test_memory_cannot_be_seen(small, make_net, memory):
    whole = train(make_net(), small, micro_batch=100)
    assert train(make_net(), small, memory=memory) == whole


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_optimizer_on_every_level(small, make_net, name, dtype, monkeypatch):
    found = set()
    for level in LEVELS:
        monkeypatch.setenv("ONEFOLD_ISA", level)
        for micro_batch in (9, 100):
            optimizer = get(name, weight_decay=0.01, clip_global_norm=0.5)
            found.add(train(make_net(dtype), small, optimizer=optimizer, micro_batch=micro_batch))
    assert len(found) == 1


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: of.SGD(0.1, momentum=0.9),
        lambda: of.SGD(0.1, momentum=0.9, nesterov=True),
        lambda: of.Adam(0.01, amsgrad=True),
        lambda: of.AdamW(0.01, amsgrad=True),
        lambda: of.RMSprop(0.01, momentum=0.5),
        lambda: of.Adagrad(0.01, initial_accumulator=0.1),
    ],
)
def test_variants_of_optimizers(small, make_net, optimizer, monkeypatch):
    found = set()
    for level in LEVELS:
        monkeypatch.setenv("ONEFOLD_ISA", level)
        found.add(train(make_net(), small, optimizer=optimizer(), micro_batch=7))
        found.add(train(make_net(), small, optimizer=optimizer(), threads=3))
    assert len(found) == 1


def test_forced_level_is_used(monkeypatch):
    for level in LEVELS:
        monkeypatch.setenv("ONEFOLD_ISA", level)
        assert _core.level() == level
    monkeypatch.setenv("ONEFOLD_ISA", "mmx")
    with pytest.raises(ValueError, match=r"'mmx' is not available here; choose one of .*portable"):
        _core.level()


def test_accumulation_by_hand_is_the_batch(small, make_net):
    X, y, w = small
    whole = train(make_net(), small, shuffle=False, batch_size=211, epochs=3)
    for cuts in ([211], [1, 210], [50, 51, 110], [7] * 30 + [1]):
        net = make_net()
        optimizer = of.Adam(Cosine(0.01, updates=3), clip_value=0.05)
        for _ in range(3):
            with net.accumulate(loss="cross_entropy", optimizer=optimizer) as step:
                first = 0
                for rows in cuts:
                    part = slice(first, first + rows)
                    step.add(X[part], y[part], w[part])
                    first += rows
        assert net.fingerprint() == whole


def test_no_update_when_the_block_fails(small, make_net):
    X, y, _ = small
    net = make_net()
    before = net.fingerprint()
    with (
        pytest.raises(KeyError, match="stop"),
        net.accumulate(loss="cross_entropy", optimizer="adam") as step,
    ):
        step.add(X, y)
        raise KeyError("stop")
    assert net.fingerprint() == before
    assert net.updates == 0


def test_gradient_of_any_cut(small, make_net):
    X, y, w = small
    loss, whole = make_net().loss_and_gradient(X, y, loss="cross_entropy", sample_weight=w)
    assert set(whole) == set(make_net().parameters)
    for micro_batch in (1, 10, 33):
        other_loss, other = make_net().loss_and_gradient(
            X, y, loss="cross_entropy", sample_weight=w, micro_batch=micro_batch, threads=2
        )
        assert other_loss == loss
        for name in whole:
            np.testing.assert_array_equal(whole[name], other[name])


def test_a_loss_of_any_pieces(small, make_net):
    X, y, _ = small
    net = make_net()
    whole = net.evaluate(X, y, loss="cross_entropy")
    for step in (1, 7, 100, 211):
        pieces = ((X[i : i + step], y[i : i + step]) for i in range(0, len(X), step))
        assert net.evaluate_pieces(pieces, loss="cross_entropy") == whole
    with pytest.raises(of.DataError, match="there is no piece"):
        net.evaluate_pieces([])


def test_a_row_alone_and_among_others(small, make_net, monkeypatch):
    X = small[0]
    net = make_net()
    for level in LEVELS:
        monkeypatch.setenv("ONEFOLD_ISA", level)
        fresh = make_net()
        together = fresh.predict(X)
        np.testing.assert_array_equal(together, net.predict(X))
        for row in (0, 5, 210):
            np.testing.assert_array_equal(fresh.predict(X[row : row + 1])[0], together[row])
        np.testing.assert_array_equal(fresh.predict(X, threads=3), together)


def test_type_and_layout_of_the_inputs_cannot_be_seen(small, make_net):
    X, y, w = small
    X = np.round(X * 8).clip(0, 200)
    plain = train(make_net(), (X.astype(np.float32), y, w))
    padded = np.zeros((211, 20), np.float32)
    padded[:, 2:15] = X
    for other in (X.astype(np.float64), X.astype(np.uint8), X.astype(np.int64), padded[:, 2:15]):
        assert train(make_net(), (other, y, w)) == plain
    assert train(make_net(), (np.asfortranarray(X), y.astype(np.uint8), w.astype(float))) == plain


def test_zero_weights_are_rows_that_are_not_there(small):
    X, y, w = small
    net, other = (of.Network([of.Dense(8, "gelu"), of.Dense(4)], inputs=13) for _ in range(2))
    kept = w > 0
    a = net.loss_and_gradient(X, y, loss="cross_entropy", sample_weight=w)
    b = other.loss_and_gradient(X[kept], y[kept], loss="cross_entropy", sample_weight=w[kept])
    assert a[0] == b[0]
    for name in a[1]:
        np.testing.assert_array_equal(a[1][name], b[1][name])


def test_flushed_denormals_of_other_libraries_do_not_matter(small, make_net):
    torch = pytest.importorskip("torch")
    X, y, w = small
    data = (X * np.float32(1e-38), y, w)
    plain = train(make_net(), data)
    try:
        assert torch.set_flush_denormal(True)
        assert train(make_net(), data) == plain
    finally:
        torch.set_flush_denormal(False)


HIDDEN = sorted(set(ACTIVATIONS) - {"exponential", "threshold"})


@st.composite
def networks(draw):
    layers = []
    for _ in range(draw(st.integers(0, 3))):
        layers.append(
            ("dense", draw(st.integers(1, 70)), draw(st.sampled_from(HIDDEN)), draw(st.booleans()))
        )
        if draw(st.booleans()):
            layers.append(("dropout", draw(st.sampled_from([0.0, 0.1, 0.5]))))
        if draw(st.booleans()):
            layers.append(("activation", draw(st.sampled_from(HIDDEN))))
    return layers


def build(description, inputs, outputs, dtype):
    layers = []
    for kind, *options in description:
        if kind == "dense":
            layers.append(of.Dense(options[0], options[1], use_bias=options[2]))
        elif kind == "dropout":
            layers.append(of.Dropout(options[0]))
        else:
            layers.append(of.Activation(options[0]))
    return of.Network([*layers, of.Dense(outputs)], inputs=inputs, seed=11, dtype=dtype)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    description=networks(),
    inputs=st.integers(1, 50),
    outputs=st.integers(1, 40),
    rows=st.integers(1, 150),
    batch_size=st.integers(1, 160),
    micro_batch=st.integers(1, 160),
    threads=st.integers(1, 5),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    loss=st.sampled_from(
        ["squared_error", "cross_entropy", "huber", "log_cosh", "cosine_similarity"]
    ),
    dtype=st.sampled_from(["float32", "float64"]),
    level=st.sampled_from(LEVELS),
    weighted=st.booleans(),
    clip=st.sampled_from([None, 0.1]),
)
def test_any_network_any_cut(
    description, inputs, outputs, rows, batch_size, micro_batch, threads, optimizer, loss, dtype,
    level, weighted, clip, monkeypatch,
):  # fmt: skip
    rng = np.random.default_rng(rows)
    X = rng.normal(size=(rows, inputs)).astype(np.float32)
    y = rng.random((rows, outputs)).astype(np.float32)
    w = rng.integers(0, 3, rows).astype(np.float32) + (np.arange(rows) == 0)

    def run(**options):
        net = build(description, inputs, outputs, dtype)
        net.fit(
            X, y, loss=loss, optimizer=get(optimizer, clip_global_norm=clip, learning_rate=1e-3),
            epochs=2, batch_size=batch_size, sample_weight=w if weighted else None, verbose=0, **options,
        )  # fmt: skip
        return net.fingerprint(), net.predict(X).tobytes()

    monkeypatch.delenv("ONEFOLD_ISA", raising=False)
    plain = run(threads=1, micro_batch=batch_size)
    monkeypatch.setenv("ONEFOLD_ISA", level)
    assert run(threads=threads, micro_batch=micro_batch) == plain
