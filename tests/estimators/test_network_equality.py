"""The same bits whatever threads, memory, pieces, processes and containers of the same numbers."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest

import onefold as of
from onefold.estimators.network_inputs import weighted_moment

RNG = np.random.default_rng(2)
X = RNG.normal(size=(600, 7))
X[RNG.random(X.shape) < 0.1] = np.nan
TARGETS = {
    "classes": RNG.integers(0, 3, 600),
    "two": RNG.integers(0, 2, 600),
    "labels": RNG.integers(0, 2, (600, 4)),
    "several": RNG.integers(0, 3, (600, 2)),
    "numbers": RNG.normal(size=600),
    "columns": RNG.normal(size=(600, 3)),
    "positive": RNG.gamma(2, size=600),
}
LOSSES = {"positive": ("gamma", "poisson"), "numbers": ("squared_error", "absolute_error", "huber")}


def model(kind, **options):
    regression = kind in ("numbers", "columns", "positive")
    made = of.NetworkRegressor if regression else of.NetworkClassifier
    options = {"random_state": 0, "max_iter": 4, "dropout": 0.2, "batch_size": 200, **options}
    return made((33, 12), **options)


def fingerprint(fitted):
    return fitted.network_.fingerprint()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (kind, {"loss": loss} if loss else {})
        for kind in TARGETS
        for loss in LOSSES.get(kind, (None,))
    ],
    ids=str,
)
def test_threads_memory_and_pieces_cannot_be_seen(kind, options):
    y, w = TARGETS[kind], RNG.integers(0, 3, 600)

    def run(**more):
        return model(kind, **options, **more).fit(X, y, w)

    plain = run()
    variants = [{"n_jobs": 1}, {"n_jobs": 2}, {"n_jobs": -1}, {"micro_batch": 1}, {"micro_batch": 17},
                {"memory": "600kB"}, {"memory": 5_000_000, "n_jobs": 2}]  # fmt: skip
    for variant in variants:
        other = run(**variant)
        assert fingerprint(other) == fingerprint(plain), variant
        assert other.loss_curve_ == plain.loss_curve_
        assert np.array_equal(other.predict(X), plain.predict(X))


def test_containers_of_the_same_numbers_cannot_be_seen():
    names = [f"c{i}" for i in range(7)]
    frame = pd.DataFrame(X, columns=names)
    w = RNG.random(600)
    forms = {
        "C order": np.ascontiguousarray(X),
        "Fortran order": np.asfortranarray(X),
        "every second row": np.repeat(X, 2, axis=0)[::2],
        "list": X.tolist(),
        "objects": X.astype(object),
        "pandas": frame,
        "pandas of objects": frame.astype(object),
        "pandas with its own missing values": frame.convert_dtypes(),
        "polars": pl.DataFrame(X, schema=names),
        "polars with nulls": pl.DataFrame(X, schema=names).fill_nan(None),
    }
    seen = {}
    for name, form in forms.items():
        fitted = model("numbers").fit(form, TARGETS["numbers"], w)
        seen[name] = (fingerprint(fitted), fitted.predict(form).tobytes())
    assert len(set(seen.values())) == 1, seen


def test_bytes_stay_bytes_until_they_are_inputs():
    images = RNG.integers(0, 256, (600, 9)).astype(np.uint8)
    prints = {
        fingerprint(model("classes").fit(x, TARGETS["classes"]))
        for x in (images, images.astype(float), images.astype(np.int64), images.astype(np.float32))
    }
    assert len(prints) == 1
    read = model("classes")
    read.fit(images, TARGETS["classes"])
    assert read._inputs.read(read, images).numbers.dtype == np.uint8


def test_one_column_as_frame_and_array():
    for x in (X[:, :1], np.asfortranarray(X[:, :1]), pd.DataFrame({"a": X[:, 0]})):
        fitted = model("numbers", early_stopping=False).fit(x, TARGETS["numbers"])
        assert fitted._inputs._scaling.mean.tolist() == [_mean(X[:, 0])]


def test_moments_are_chains_over_all_rows():
    values = RNG.normal(size=(600_000, 1)) + 10
    _, moment = weighted_moment(values, None, np.zeros(1), 1)
    assert moment[0] == np.add.accumulate(values[:, 0])[-1] / 600_000


def _mean(values):
    total = np.float64(0)
    for value in values[~np.isnan(values)]:
        total += value
    return total / np.count_nonzero(~np.isnan(values))


def test_a_frame_with_words_does_not_depend_on_who_made_it():
    words = RNG.choice(["red", "green", "blue"], 600)
    when = np.datetime64("2020-01-01") + np.arange(600)
    columns = {"x": X[:, 0], "colour": words, "day": when, "flag": X[:, 1] > 0}
    prints = {
        fingerprint(model("numbers").fit(frame(columns), TARGETS["numbers"]))
        for frame in (pd.DataFrame, pl.DataFrame)
    }
    assert len(prints) == 1


def test_a_row_alone_has_the_bits_that_it_has_among_others():
    for kind in ("numbers", "several", "positive"):
        fitted = model(kind, **({"loss": "gamma"} if kind == "positive" else {})).fit(
            X, TARGETS[kind]
        )
        whole = fitted.predict(X)
        assert all(
            np.array_equal(fitted.predict(X[i : i + 1])[0], whole[i]) for i in range(0, 600, 37)
        )
        if kind == "several":
            p = fitted.predict_proba(X)
            assert np.array_equal(fitted.predict_proba(X[5:6])[1][0], p[1][5])


def test_other_processes_train_to_the_same_bits_with_their_share_of_threads():
    def run(backend):
        with joblib.parallel_config(backend, n_jobs=2):
            jobs = (joblib.delayed(_fit)(seed) for seed in (0, 1, 2, 3))
            return joblib.Parallel()(jobs)

    here = [_fit(seed) for seed in (0, 1, 2, 3)]
    assert run("loky") == run("threading") == here


def _fit(seed):
    return fingerprint(model("classes", random_state=seed).fit(X, TARGETS["classes"]))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_threads_are_those_that_were_asked_for(n_jobs, monkeypatch):
    seen = []
    for name in ("fit", "predict", "predict_proba"):
        plain = getattr(of.Network, name)

        def watched(self, *arguments, plain=plain, **options):
            seen.append(options["threads"])
            return plain(self, *arguments, **options)

        monkeypatch.setattr(of.Network, name, watched)
    fitted = model("classes", n_jobs=n_jobs).fit(X, TARGETS["classes"])
    fitted.predict(X)
    fitted.predict_proba(X)
    assert seen == [n_jobs] * 3


def test_threads_may_share_a_fitted_estimator():
    fitted = model("classes").fit(X, TARGETS["classes"])
    whole = fitted.predict_proba(X)
    with joblib.parallel_config("threading", n_jobs=4):
        parts = joblib.Parallel()(
            joblib.delayed(fitted.predict_proba)(X[i : i + 200]) for i in range(0, 400, 5)
        )
    for i, part in zip(range(0, 400, 5), parts, strict=True):
        assert np.array_equal(part, whole[i : i + 200])


def test_random_state_is_what_matters():
    first, again, other = (
        fingerprint(model("classes", random_state=seed).fit(X, TARGETS["classes"]))
        for seed in (1, np.random.RandomState(1), 2)
    )
    assert first == again != other
