"""What must not show in the weights: threads, memory, micro-batches, sparse rows and how they are cut."""

import copy
import os
import pickle
import re
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import onefold
from onefold import _native
from onefold.estimators import _shared

RNG = np.random.RandomState(5)
X = RNG.standard_normal((700, 12)) * (RNG.uniform(size=(700, 12)) < 0.3)
CLASSES = np.argmax(X @ RNG.standard_normal((12, 3)), axis=1)
NUMBERS = X @ RNG.standard_normal((12, 2))
WEIGHT = RNG.randint(0, 3, 700).astype(float)


@pytest.fixture(autouse=True)
def few_epochs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def classifier(**options):
    return onefold.MLPClassifier(**({"max_iter": 4, "random_state": 0} | options))


def regressor(**options):
    return onefold.MLPRegressor(**({"max_iter": 4, "random_state": 0} | options))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "rmsprop"])
def test_threads_memory_and_micro_batches(solver):
    def fit(**options):
        model = regressor(solver=solver, batch_size=300, dropout=0.2, **options)
        return model.fit(X, NUMBERS, sample_weight=WEIGHT)

    first = fit()
    for options in (
        {"n_jobs": 1}, {"n_jobs": 2}, {"n_jobs": 7}, {"micro_batch": 1}, {"micro_batch": 37},
        {"memory": "1MB"}, {"memory": 200_000, "n_jobs": 3},
    ):  # fmt: skip
        other = fit(**options)
        assert other.network_.fingerprint() == first.network_.fingerprint(), options
        assert other.loss_ == first.loss_
        np.testing.assert_array_equal(other.predict(X), first.predict(X))


@pytest.mark.parametrize(
    "piece", [1 << 24, 5000, 100], ids=["whole", "batches", "parts of batches"]
)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_rows(monkeypatch, solver, weight, piece):
    """Sparse rows are made dense in pieces, and give the bits of the dense ones."""
    dense = classifier(solver=solver, batch_size=32, dropout=0.1).fit(X, CLASSES, weight)
    monkeypatch.setattr(_shared, "PIECE_BYTES", piece)
    for form in (scipy.sparse.csr_matrix, scipy.sparse.csc_array):
        sparse = clone(dense).fit(form(X), CLASSES, weight)
        assert sparse.network_.fingerprint() == dense.network_.fingerprint()
        assert getattr(sparse, "loss_curve_", None) == getattr(dense, "loss_curve_", None)
        np.testing.assert_array_equal(sparse.predict_proba(form(X)), dense.predict_proba(X))


@pytest.fixture
def rows(monkeypatch):
    """How many rows were made dense, each time."""
    found = []
    real = scipy.sparse.csr_matrix.toarray
    monkeypatch.setattr(
        scipy.sparse.csr_matrix,
        "toarray",
        lambda m, *a, **k: found.append(m.shape[0]) or real(m, *a, **k),
    )
    return found


def test_sparse_rows_are_not_made_dense_whole(rows):
    wide = scipy.sparse.random(400, 20_000, density=1e-4, format="csr", random_state=0)
    model = onefold.MLPClassifier((8,), max_iter=1, random_state=0)
    model.fit(scipy.sparse.csr_matrix(wide), np.arange(400) % 2)
    assert max(rows) * 20_000 * 8 <= _shared.PIECE_BYTES
    assert sum(rows) == 400
    rows.clear()
    model.set_params(memory="40MB").fit(scipy.sparse.csr_matrix(wide), np.arange(400) % 2)
    assert max(rows) * 20_000 * 8 <= 10_000_000


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_budget_too_small_for_sparse_rows_names_what_was_given(solver):
    wide = scipy.sparse.random(300, 3000, density=1e-3, format="csr", random_state=0)
    y = np.arange(300) % 2
    model = onefold.MLPClassifier((8,), solver=solver, max_iter=1, random_state=0, memory="100kB")
    with pytest.raises(onefold.BudgetError, match="memory='100kB' is too small") as caught:
        model.fit(wide, y)
    needed = int(re.search(r"at least ([\d,]+) bytes", str(caught.value))[1].replace(",", ""))
    model.set_params(memory=needed).fit(wide, y)
    with pytest.raises(onefold.BudgetError):
        model.set_params(memory=needed - 1).fit(wide, y)


def test_rows_for_validation_are_made_dense_within_the_memory(rows):
    wide = scipy.sparse.csr_matrix(scipy.sparse.random(400, 5000, density=1e-3, random_state=0))
    y, options = np.arange(400) % 2, {"max_iter": 1, "random_state": 0, "memory": "16MB"}
    for more in ({"early_stopping": True}, {}, {"solver": "lbfgs"}):
        onefold.MLPClassifier((8,), **options, **more).fit(wide, y, X_val=wide, y_val=y)
    assert max(rows) * 5000 * 8 <= 4_000_000


FINGERPRINT = """
import warnings
import numpy as np, onefold
warnings.simplefilter("ignore")
x = np.random.default_rng(0).standard_normal((500, 9))
for dtype in ("float32", "float64"):
    model = onefold.MLPRegressor(hidden_layer_sizes=(40,), activation="tanh", max_iter=3, random_state=0)
    model.fit(x.astype(dtype), x[:, :2], sample_weight=np.abs(x[:, 3]))
    print(model.network_.fingerprint(), model.loss_)
"""


def test_instruction_sets():
    found = {
        subprocess.run(
            [sys.executable, "-c", FINGERPRINT], capture_output=True, check=True,
            env={**os.environ, "ONEFOLD_ISA": level},
        ).stdout
        for level in _native.levels()
    }  # fmt: skip
    assert len(found) == 1


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_layout_of_rows_does_not_show(order):
    model = classifier().fit(np.asarray(X, order=order), CLASSES)
    assert model.network_.fingerprint() == classifier().fit(X, CLASSES).network_.fingerprint()


def test_a_row_alone_is_predicted_as_among_others():
    model = regressor().fit(X, NUMBERS)
    np.testing.assert_array_equal(
        model.predict(X)[:5], [model.predict(X[i : i + 1])[0] for i in range(5)]
    )


@pytest.mark.parametrize("form", [np.array, scipy.sparse.csr_array], ids=["dense", "sparse"])
def test_pieces_with_other_threads_and_memory(form):
    def run(**options):
        model = regressor(dropout=0.3, **options)
        for first in range(0, 700, 100):
            rows = slice(first, first + 100)
            model.partial_fit(form(X[rows]), NUMBERS[rows], sample_weight=WEIGHT[rows])
        return model.network_.fingerprint()

    plain = run()
    for options in ({"n_jobs": 1}, {"n_jobs": 3}, {"memory": "300kB"}, {"micro_batch": 7}):
        assert run(**options) == plain, options


@pytest.mark.parametrize("solver", ["adam", "sgd", "adagrad"])
def test_pieces_go_on_after_pickling(solver):
    """partial_fit on pieces has the bits of itself, pickled and copied between the pieces."""

    def run(carry):
        model = regressor(solver=solver, dropout=0.3)
        for first in range(0, 700, 100):
            model = carry(model.partial_fit(X[first : first + 100], NUMBERS[first : first + 100]))
        return model.network_.fingerprint()

    whole = run(lambda model: model)
    assert run(lambda model: pickle.loads(pickle.dumps(model))) == whole
    assert run(copy.deepcopy) == whole


def test_a_piece_is_one_epoch():
    """partial_fit over all rows is fit with max_iter=1 (the documented meaning)."""
    fitted = classifier(max_iter=1).fit(X, CLASSES)
    piece = classifier().partial_fit(X, CLASSES, classes=[0, 1, 2])
    assert piece.network_.fingerprint() == fitted.network_.fingerprint()
    assert piece.n_iter_ == 1
    assert piece.t_ == 700


def test_weights_of_zero_are_as_good_as_absent():
    """In one batch of all rows; to rounding, since the chain is the same but for zeros."""
    model = regressor(batch_size=700, shuffle=False)
    weighted = clone(model).fit(X, NUMBERS, WEIGHT > 1)
    with pytest.warns(UserWarning, match="clipped"):
        some = model.fit(X[WEIGHT > 1], NUMBERS[WEIGHT > 1])
    assert weighted.network_.fingerprint() == some.network_.fingerprint()


def test_what_a_user_writes_into_the_weights_is_heeded():
    model = regressor().fit(X, NUMBERS)
    model.coefs_[-1][...] = 0
    model.intercepts_[-1] = np.array([1.0, 2.0])
    np.testing.assert_array_equal(model.predict(X[:2]), [[1, 2], [1, 2]])
    assert model.network_.parameters["dense_1.bias"].tolist() == [1, 2]


def test_processes():
    """In the processes of joblib: the same bits, and threads that share the processors."""
    alone = classifier().fit(X, CLASSES).network_.fingerprint()
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(_fingerprint)(classifier()) for _ in range(3))
    assert {fingerprint for fingerprint, _ in found} == {alone}
    assert all(threads * 2 <= max(2, joblib.cpu_count()) for _, threads in found)


def _fingerprint(model):
    return model.fit(X, CLASSES).network_.fingerprint(), _shared.thread_count(None)


def test_threads_that_share_an_estimator():
    model = classifier().fit(X, CLASSES)
    expected = model.predict_proba(X)
    found = joblib.Parallel(n_jobs=4, backend="threading")(
        joblib.delayed(model.predict_proba)(X) for _ in range(20)
    )
    for proba in found:
        np.testing.assert_array_equal(proba, expected)


MEASURE = """
import sys, warnings
import numpy as np, onefold
warnings.simplefilter("ignore")
x = np.random.default_rng(0).standard_normal((int(sys.argv[1]), 20))


def status(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def fit(x):
    options = {"hidden_layer_sizes": (64, 64), "solver": "lbfgs", "max_iter": 2, "random_state": 0}
    onefold.MLPRegressor(**options, memory="8MB").fit(x, x[:, 0])


fit(x[:64])
before = status("VmRSS")
fit(x)
print(status("VmHWM") - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="peaks are read from /proc")
def test_the_memory_of_lbfgs_does_not_grow_with_the_rows():
    """What a fit adds: a micro-batch, and two numbers a row (scikit-learn: all layers for all rows)."""
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", MEASURE, str(rows)], capture_output=True, check=True
            ).stdout
        )
        for rows in (20_000, 160_000)
    ]
    assert peaks[1] - peaks[0] < 140_000 * 8 * 4


def test_threads(monkeypatch):
    monkeypatch.setattr(_shared, "processors", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [_shared.thread_count(n) for n in (None, -1, -2, 3, -20)] == [8, 8, 7, 3, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert _shared.thread_count(None) == 2
    assert _shared.thread_count(-1) == 8
    with pytest.raises(onefold.OptionError, match="n_jobs"):
        _shared.thread_count(0)
