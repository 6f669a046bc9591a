"""Copies of estimators, in this process and in others: the same bits, and no more threads than processors."""

from __future__ import annotations

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from composition_shared import ALL, classifiers, data_for, name, regressors, sure
from sklearn.base import clone

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@ALL
def test_clone_and_pickle(model):
    x, y = data_for(model)
    fitted = clone(model).fit(x, y)
    assert clone(fitted).get_params() == model.get_params()
    assert sure(pickle.loads(pickle.dumps(fitted)), x) == sure(fitted, x)
    again = clone(pickle.loads(pickle.dumps(fitted))).fit(x, y)
    assert sure(again, x) == sure(fitted, x)


def test_other_processes(tmp_path):
    """A model that one process saves predicts the same bits in another."""
    models = [clone(model).fit(*data_for(model)) for model in classifiers() + regressors()]
    joblib.dump([(model, data_for(model)[0]) for model in models], tmp_path / "models.joblib")
    code = (
        "import joblib, sys, numpy as np\n"
        "for m, x in joblib.load(sys.argv[1]):\n"
        "    p = m.predict_proba(x) if hasattr(m, 'predict_proba') else m.predict(x)\n"
        "    print(np.asarray(p).tobytes().hex())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "models.joblib")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for line, model in zip(found.stdout.split(), models, strict=True):
        assert bytes.fromhex(line) == sure(model, data_for(model)[0])


@ALL
def test_workers_share_the_processors(model):
    x, y = data_for(model)
    with joblib.parallel_config("loky", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(_trained)(model, x, y) for _ in range(2))
    here = sure(clone(model).fit(x, y), x)
    share = max(1, joblib.cpu_count() // 2)
    assert [bits for bits, _ in found] == [here, here]
    assert [threads for _, threads in found] == [share, share]


def _trained(model, x, y):
    from onefold.estimators._shared import thread_count

    return sure(clone(model).fit(x, y), x), thread_count(None)


@ALL
@pytest.mark.parametrize("backend", ["threading", "loky", "multiprocessing"])
def test_workers_do_not_ask_for_more_threads_than_there_are_processors(model, backend):
    """Whatever the workers are; and the models of all have the same bits."""
    x, y = data_for(model)
    short = clone(model).set_params(max_iter=3)
    with joblib.parallel_config(backend, n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(_trained)(short, x, y) for _ in range(4))
    assert {bits for bits, _ in found} == {sure(clone(short).fit(x, y), x)}
    assert sum(threads for _, threads in found[:2]) <= max(2, joblib.cpu_count())


@ALL
def test_the_order_of_calls_cannot_be_seen(model):
    """Fits and predictions of several models, mixed in any order and by pieces, leave no trace."""
    x, y = data_for(model)
    short = clone(model).set_params(max_iter=4)
    first, other = (
        clone(short).fit(x, y),
        clone(short).set_params(random_state=7).fit(x[::-1], y[::-1]),
    )
    alone = sure(first, x)
    again = clone(short)
    for _ in range(2):  # a second fit begins anew
        other.predict(x[:7])
        again.fit(x, y)
        other.fit(x[::-1], y[::-1])
        pieces = [sure(again, x[i : i + 41]) for i in range(0, 160, 41)]
        assert b"".join(pieces) == alone
    assert again.network_.fingerprint() == first.network_.fingerprint()
    if hasattr(model, "partial_fit"):
        classes = {"classes": np.unique(y)} if "Classifier" in name(model) else {}
        mixed, plain = clone(model), clone(model)
        for i in (0, 80):
            plain.partial_fit(x[i : i + 80], y[i : i + 80], **classes)
        for i in (0, 80):
            mixed.partial_fit(x[i : i + 80], y[i : i + 80], **classes).predict(x)
            other.partial_fit(x[:50], y[:50], **classes)
        assert mixed.network_.fingerprint() == plain.network_.fingerprint()
