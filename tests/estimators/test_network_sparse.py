"""Sparse rows give the network estimators the bits of dense ones, and are dense piece by piece only."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

import onefold as of
from onefold.estimators import _shared
from onefold.estimators.network_inputs import SparseInputs

RNG = np.random.default_rng(4)
X = RNG.normal(size=(500, 9)) * (RNG.random((500, 9)) < 0.3)
WEIGHT = RNG.integers(0, 3, 500)
TARGETS = {
    "classes": RNG.integers(0, 3, 500),
    "two": np.where(X[:, 0] > 0, "yes", "no"),
    "labels": RNG.integers(0, 2, (500, 4)),
    "several": RNG.integers(0, 3, (500, 2)),
    "numbers": X[:, :2] @ [[1.0, 2], [3, -1]],
    "gamma": RNG.gamma(2, size=500),
}
PIECES = {"whole": 1 << 24, "batches": 6000, "parts of batches": 300}


def model(kind, **options):
    regression = kind in ("numbers", "gamma")
    made = of.NetworkRegressor if regression else of.NetworkClassifier
    if kind == "gamma":
        options["loss"] = "gamma"
    return made((12,), random_state=0, max_iter=4, dropout=0.2, batch_size=64, **options)


def print_of(fitted):
    return (
        fitted.network_.fingerprint(),
        fitted.loss_curve_,
        fitted.validation_loss_curve_,
        fitted.validation_scores_,
    )


def predicted(fitted, rows):
    name = "predict_proba" if hasattr(fitted, "predict_proba") else "predict"
    found = getattr(fitted, name)(rows)
    return np.concatenate([np.ravel(part) for part in found]).tobytes()


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("kind", TARGETS)
def test_the_bits_of_dense_rows(kind, piece, monkeypatch):
    dense = model(kind).fit(X, TARGETS[kind], WEIGHT)
    monkeypatch.setattr(_shared, "PIECE_BYTES", PIECES[piece])
    for form in (scipy.sparse.csr_array, scipy.sparse.csc_matrix, scipy.sparse.coo_array):
        sparse = model(kind).fit(form(X), TARGETS[kind], WEIGHT)
        assert print_of(sparse) == print_of(dense)
        assert predicted(sparse, form(X)) == predicted(dense, X) == predicted(sparse, X)
        assert sparse.score(form(X), TARGETS[kind]) == dense.score(X, TARGETS[kind])


@pytest.mark.parametrize(
    "options",
    [
        {"early_stopping": True, "scoring": "accuracy"}, {"n_jobs": 2}, {"memory": "150kB"},
        {"standardize": False}, {"micro_batch": 7, "dtype": "float64"}, {"early_stopping": False},
    ],
    ids=str,
)  # fmt: skip
def test_the_bits_whatever_the_options(options):
    plain = {k: v for k, v in options.items() if k not in ("n_jobs", "memory", "micro_batch")}
    dense = model("classes", **plain).fit(X, TARGETS["classes"])
    sparse = model("classes", **options).fit(scipy.sparse.csr_array(X), TARGETS["classes"])
    assert print_of(sparse) == print_of(dense)


def test_missing_values_and_rows_for_validation():
    holes = X.copy()
    holes[::7, 2] = np.nan
    y, form = TARGETS["numbers"], scipy.sparse.csr_array
    dense = model("numbers").fit(holes[:400], y[:400], X_val=holes[400:], y_val=y[400:])
    for train, held_out in ((form, form), (form, np.array), (np.array, form)):
        sparse = model("numbers").fit(
            train(holes[:400]), y[:400], X_val=held_out(holes[400:]), y_val=y[400:]
        )
        assert print_of(sparse) == print_of(dense)
    assert dense.network_.inputs == 10


def test_warm_start_callbacks_and_what_is_shown(capfd):
    class Watch(of.Callback):
        seen = 0

        def on_batch_end(self, update, logs):
            self.seen += 1

    watch, rows = Watch(), scipy.sparse.csr_array(X)
    options = {"early_stopping": False, "warm_start": True}
    part = model("classes", callbacks=[watch], verbose=1, **options).fit(rows, TARGETS["classes"])
    part.fit(rows, TARGETS["classes"])
    whole = model("classes", early_stopping=False).set_params(max_iter=8).fit(X, TARGETS["classes"])
    assert part.network_.fingerprint() == whole.network_.fingerprint()
    assert watch.seen == 8 * 8
    assert "epoch 4/4" in capfd.readouterr().err
    with pytest.raises(of.OptionError, match=r"a callback is an onefold.Callback"):
        model("classes", callbacks=[print]).fit(rows, TARGETS["classes"])


def test_rows_are_made_dense_within_the_memory(monkeypatch):
    sizes = []
    real = SparseInputs.toarray

    def watched(self):
        out = real(self)
        sizes.append(out.nbytes)
        return out

    monkeypatch.setattr(SparseInputs, "toarray", watched)
    wide = scipy.sparse.random(600, 4000, density=1e-3, format="csr", random_state=0)
    fitted = of.NetworkClassifier((8,), max_iter=1, random_state=0, memory="8MB")
    fitted.fit(wide, np.arange(600) % 2)
    assert 0 < max(sizes) <= 2_000_000
    sizes.clear()
    fitted.predict(wide)
    assert sum(sizes) == 600 * 4000 * 4
    assert max(sizes) <= 2_000_000


def test_a_budget_too_small_names_what_was_given():
    wide = scipy.sparse.random(300, 3000, density=1e-3, format="csr", random_state=0)
    fitted = of.NetworkClassifier((8,), max_iter=1, random_state=0, memory="100kB")
    with pytest.raises(of.BudgetError, match="memory='100kB' is too small") as caught:
        fitted.fit(wide, np.arange(300) % 2)
    fitted.set_params(memory=caught.value.least).fit(wide, np.arange(300) % 2)


def test_texts():
    texts = ["a good film", "a bad film", "awful", "great, great", "nice", "horribly bad"] * 10
    liked = [1, 0, 0, 1, 1, 0] * 10
    piped = make_pipeline(TfidfVectorizer(), of.NetworkClassifier((8,), random_state=0))
    assert piped.fit(texts, liked).score(texts, liked) == 1
    display = of.LossDirectionDisplay.from_estimator(piped, texts, liked, steps=3)
    assert display.losses[1] < 0.1


def test_columns_of_sparse_rows_are_numbers():
    rows = scipy.sparse.csr_array(X)
    with pytest.raises(of.OptionError, match="columns of a sparse X"):
        of.NetworkClassifier(categorical_features=[0]).fit(rows, TARGETS["classes"])
    worded = of.NetworkClassifier(categorical_features=[0], max_iter=1).fit(np.round(X), WEIGHT)
    with pytest.raises(TypeError, match="dense data is required"):
        worded.predict(rows)
