"""Inputs that are looked through while they are gathered: refused as before, and the same bits."""

import numpy as np
import pytest

import onefold as of
from onefold.train import first_look
from onefold.train.loop import Training

RNG = np.random.default_rng(0)
X = RNG.normal(size=(700, 40)).astype(np.float32)
Y = RNG.normal(size=700).astype(np.float32)
BAD = (np.nan, np.inf, -np.inf)


@pytest.fixture(params=[False, True], ids=["before", "while gathered"])
def later(request, monkeypatch):
    """Whether looking waits: small inputs do not make it, so here they count as large."""
    monkeypatch.setattr(first_look, "_LEAST_BYTES", 0 if request.param else 1 << 40)
    return request.param


@pytest.fixture
def waiting(monkeypatch):
    """The runs whose inputs are looked through while they are gathered."""
    monkeypatch.setattr(first_look, "_LEAST_BYTES", 0)
    found = []

    class Seen(first_look.FirstLook):
        def __init__(self, *given):
            found.append(self)
            super().__init__(*given)

    monkeypatch.setattr("onefold.train.loop.FirstLook", Seen)
    return found


def network(dtype="float32"):
    return of.Network([of.Dense(2, "relu"), of.Dense(1)], inputs=40, seed=1, dtype=dtype)


def fit(net, x=X, y=Y, **options):
    usual = {"loss": "squared_error", "batch_size": 64, "epochs": 2, "threads": 2, "verbose": 0}
    return net.fit(x, y, **usual | options)


def with_value(value, row, column=7, x=X):
    bad = x.copy()
    bad[row, column] = value
    return bad


@pytest.mark.parametrize("options", [{}, {"shuffle": False}, {"micro_batch": 9}, {"threads": 1}])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_and_losses(waiting, monkeypatch, dtype, options):
    x, y = X.astype(dtype), Y.astype(dtype)
    nets = [network(dtype), network(dtype)]
    histories = [fit(nets[0], x, y, **options)]
    assert len(waiting) == 1
    monkeypatch.setattr(first_look, "_LEAST_BYTES", 1 << 40)
    histories.append(fit(nets[1], x, y, **options))
    assert len(waiting) == 1
    assert nets[0].fingerprint() == nets[1].fingerprint()
    assert histories[0].logs == histories[1].logs


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("row", [0, 63, 64, 333, 699])
def test_what_is_refused_leaves_no_trace(later, monkeypatch, row, value):
    monkeypatch.setattr("onefold.train.loop._SLICE_SECONDS", 1e-9)  # an update at a time
    adam = of.Adam(1e-2)
    touched, untouched = network(), network()
    for _ in range(2):  # with a new optimizer, and with one that has made updates
        before = touched.fingerprint()
        with pytest.raises(
            of.DataError, match=f"X holds {value} in row {row}, column 7; remove or"
        ):
            fit(touched, with_value(value, row), optimizer=adam)
        assert touched.fingerprint() == before
        for net in (touched, untouched):
            fit(net, optimizer=adam)
        assert touched.fingerprint() == untouched.fingerprint()


def test_probabilities_stay_those_of_the_run_before(later):
    net = network()
    fit(net)
    before = net.predict_proba(X)
    with pytest.raises(of.DataError):
        fit(net, with_value(np.nan, 100), np.abs(Y), loss="poisson")
    np.testing.assert_array_equal(net.predict_proba(X), before)
    fit(net, y=np.abs(Y), loss="poisson")
    assert not (net.predict_proba(X) == net.predict(X)).all()


@pytest.mark.parametrize("patience", [None, 3])
def test_the_first_bad_value_is_named_whatever_is_kept_besides(later, patience):
    bad = with_value(np.inf, 650)
    bad[20, 3] = np.nan
    net = network()
    before = net.fingerprint()
    with pytest.raises(of.DataError, match="X holds nan in row 20, column 3"):
        fit(net, bad, patience=patience, optimizer=of.AdamW(1e-2, amsgrad=True))
    assert net.fingerprint() == before


def test_a_run_that_ends_within_its_first_epoch_looks_at_the_other_rows(waiting, monkeypatch):
    net = network()
    before = net.fingerprint()
    monkeypatch.setattr("onefold.train.loop._SLICE_SECONDS", 1e-9)
    monkeypatch.setattr(Training, "_seconds", lambda _: 1.0)
    options = {"shuffle": False, "time_limit": 0.5}
    with pytest.raises(of.DataError, match="X holds nan in row 699"):
        fit(net, with_value(np.nan, 699), **options)
    assert len(waiting) == 1
    assert net.fingerprint() == before
    history = fit(net, **options)
    assert (history.stopped, history.updates) == ("time_limit", 1)


def test_a_loss_that_diverges_is_no_fault_of_the_inputs(later):
    huge = X * np.float32(1e30)
    with pytest.raises(of.DivergedError, match="the loss became"):
        fit(network(), huge, optimizer=of.SGD(1e30))


@pytest.mark.parametrize("x", [X, with_value(np.nan, 5)])
def test_when_the_run_is_over_nobody_looks(waiting, x):
    net = network()
    fit(net)
    executor = net._kept._kept[1].executor
    executor.begin(0)
    executor.add(x[:64], Y[:64, None], None)
    assert executor.inputs_finite
    executor.watch_inputs(True)
    executor.add(x[:64], Y[:64, None], None)
    assert executor.inputs_finite == np.isfinite(x).all()
    executor.watch_inputs(False)
    assert executor.inputs_finite


@pytest.mark.parametrize(
    "changed",
    [
        lambda: {"memory": "100MB"},
        lambda: {"callbacks": [of.Callback()]},  # which holds the network
        lambda: {"x": X.astype(np.float64)},
        lambda: {"x": np.asfortranarray(X)},
        lambda: {"x": X.tolist()},
    ],
)
def test_where_looking_does_not_wait(waiting, changed):
    fit(network(), **changed())
    assert not waiting


def test_it_waits_only_where_a_network_does_little_with_each_value():
    large = np.empty((1 << 13, 1 << 10), np.float32)  # nobody reads it
    loss = of.losses.SquaredError()

    def pays(*widths, x=large):
        net = of.Network([of.Dense(w) for w in widths], inputs=x.shape[1])
        return first_look.pays(net._architecture, loss, x)

    assert pays(1)
    assert pays(64, 10)
    assert not pays(512, 10)
    assert not pays(1, x=large[:8000])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [1, 9, 700])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_cannot_be_predicted_is_refused_and_the_next_rows_are_not(dtype, rows, threads):
    net = network(dtype)
    for given in (X.astype("float32"), X.astype("float64")):
        good = given[:rows]
        expected = net.predict(good, threads=threads)
        for row in {0, rows // 2, rows - 1}:
            for value in BAD:
                with pytest.raises(of.DataError, match=f"X holds {value} in row {row}, column 7"):
                    net.predict(with_value(value, row, x=good), threads=threads)
            np.testing.assert_array_equal(net.predict(good, threads=threads), expected)


def test_what_overflows_the_type_of_the_network_cannot_be_predicted():
    x = X.astype(np.float64)
    x[2, 3] = 1e39
    with pytest.raises(of.DataError, match=r"X holds 1e\+39 in row 2, column 3"):
        network().predict(x)
    assert np.isfinite(network("float64").predict(x)).all()
