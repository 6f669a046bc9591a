"""What every estimator needs: threads, weights of rows, classes as targets, sparse rows in pieces."""

from __future__ import annotations

import functools
import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import joblib
import numpy as np
import scipy.sparse
from joblib.parallel import get_active_backend
from numpy.typing import NDArray
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _check_sample_weight

from onefold import _native
from onefold._errors import BudgetError, DataError, DivergedError, OptionError
from onefold.train.budget import format_size, parse_size

Array = NDArray[Any]

#: Bytes of the dense rows that a sparse matrix is turned into at a time.
PIECE_BYTES = 1 << 24


class NonFiniteError(DivergedError, ValueError):
    """Training ended in weights that are not finite; the kind of error that scikit-learn raises."""


def refuse_non_finite() -> None:
    """Raise the error of training that did not stay finite."""
    raise NonFiniteError(
        "Solver produced non-finite parameter weights. The input data may contain large values "
        "and need to be preprocessed. Scale X, or try a smaller learning_rate_init."
    )


@functools.cache
def processors() -> int:
    """Processors that this process may use, by affinity and by the limits of its container."""
    return int(joblib.cpu_count())


def thread_count(n_jobs: int | None) -> int:
    """Threads of an estimator.

    Parameters
    ----------
    n_jobs : int or None
        As in joblib: -1 is every processor, -2 all but one. None is every processor too, but what
        `OMP_NUM_THREADS` says where it is set (as joblib does in its workers), and one in a worker
        of multiprocessing or in a thread of joblib's, whose number is not known here.

    Returns
    -------
    int
    """
    if n_jobs is None:
        if multiprocessing.current_process().daemon or _in_thread_of_joblib():
            return 1
        limit = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
        count = min(int(limit), processors()) if limit.isdigit() else processors()
    else:
        if isinstance(n_jobs, bool) or not hasattr(n_jobs, "__index__") or int(n_jobs) == 0:
            raise OptionError(f"n_jobs is None or a whole number other than 0, not {n_jobs!r}")
        count = int(n_jobs) if n_jobs > 0 else processors() + 1 + int(n_jobs)
    return max(1, min(count, _native.MAX_THREADS))


def _in_thread_of_joblib() -> bool:
    """Whether this is a worker of joblib's "threading" backend."""
    if threading.current_thread() is threading.main_thread():
        return False
    backend, _ = get_active_backend()
    return (getattr(backend, "nesting_level", None) or 0) > 0


def row_weights(
    X: Any,
    sample_weight: Any,
    dtype: Any,
    *,
    class_weight: Mapping[Any, float] | str | None = None,
    y: Any = None,
) -> Array | None:
    """Weight of every row: its sample weight times the weight of its class; None where all are one.

    Returns
    -------
    array of `dtype`, shape (rows, 1), or None
    """
    if sample_weight is None and class_weight is None:
        return None
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weights < 0).any():
        row = int(np.argmax(weights < 0))
        raise DataError(
            f"Negative values in data passed to `sample_weight`: {weights[row]} in row {row}; "
            "weights are 0 or more"
        )
    if class_weight is not None:
        weights = weights * compute_sample_weight(class_weight, y)
    column = np.ascontiguousarray(weights.reshape(-1, 1), dtype=dtype)
    if not column.any():
        raise DataError("Sample weights must contain at least one non-zero number; all are zero")
    return column


class ClassEncoder:
    """Classes as the targets of a loss, and probabilities back to classes, by LabelBinarizer's rules.

    Parameters
    ----------
    y : array
        Targets, or the classes themselves.

    Attributes
    ----------
    classes : array, sorted
    kind : {"binary", "multiclass", "multilabel"}
        One class alone is binary.
    outputs : int
        Outputs of the network: one for two classes, else one for each class or label.
    """

    def __init__(self, y: Any) -> None:
        self.binarizer = LabelBinarizer().fit(y)
        self.classes: Array = self.binarizer.classes_
        kind = self.binarizer.y_type_
        self.kind = "multilabel" if kind.startswith("multilabel") else str(kind)
        self.outputs = 1 if self.kind == "binary" else len(self.classes)

    def encode(self, y: Any, dtype: Any) -> Array:
        """Targets of the network.

        Returns
        -------
        array
            Class numbers (int32, shape (rows,)) for several classes, else zeros and ones of
            `dtype`, shape (rows, outputs).
        """
        if self.kind == "multilabel":
            dense = y.toarray() if scipy.sparse.issparse(y) else np.asarray(y)
            return np.ascontiguousarray(dense != 0, dtype=dtype)
        numbers = np.searchsorted(self.classes, np.asarray(y))
        if self.kind == "multiclass":
            return numbers.astype(np.int32)
        # One class alone is the negative one.
        return np.ascontiguousarray((numbers > 0).reshape(-1, 1), dtype=dtype)

    def decode(self, probabilities: Array) -> Array:
        """Classes of the largest probability; labels above one half.

        Parameters
        ----------
        probabilities : array, shape (rows, outputs)
        """
        if self.kind == "multilabel":
            return np.asarray(self.binarizer.inverse_transform(probabilities))
        if self.kind == "multiclass":
            return np.asarray(self.classes[probabilities.argmax(axis=1)])
        last = len(self.classes) - 1  # one class alone is the negative one
        return np.asarray(self.classes[np.minimum(probabilities[:, 0] > 0.5, last)])


def is_multilabel(y: Any) -> bool:
    """Whether targets are several yes-or-no labels a row."""
    return bool(type_of_target(y).startswith("multilabel"))


def piece_bytes(X: Any, memory: int | float | str | None) -> int:
    """Bytes of sparse rows that are dense at a time: a quarter of the budget at most; 0 for dense X."""
    if not hasattr(X, "toarray"):
        return 0
    return PIECE_BYTES if memory is None else min(PIECE_BYTES, parse_size(memory) // 4)


@contextmanager
def budget_of_pieces(
    memory: int | float | str | None, piece_bytes: int
) -> Iterator[int | float | str | None]:
    """What of a budget dense pieces leave; a budget that is too small is named as it was given.

    Raises
    ------
    BudgetError
    """
    if memory is None or not piece_bytes:
        yield memory
        return
    try:
        yield max(1, parse_size(memory) - piece_bytes)
    except BudgetError as error:
        least = min((error.least - 1) * 4 // 3 + 1, error.least + PIECE_BYTES)
        raise BudgetError(
            f"memory={memory!r} is too small: training takes {format_size(error.least)}, and the sparse "
            f"rows that are dense at a time up to a third of that; give at least {least:,} bytes",
            least,
        ) from None


def piece_rows(columns: int, itemsize: int, piece_bytes: int) -> int:
    """Rows of a sparse matrix that are made dense at a time."""
    return max(1, piece_bytes // max(1, columns * itemsize))


def dense_pieces(X: Any, piece_bytes: int) -> Iterator[tuple[int, int, Array]]:
    """Rows of a matrix as dense arrays: (first, last + 1, rows).

    Sparse rows come in pieces of so many bytes, dense ones as they are.
    """
    if not hasattr(X, "toarray"):
        yield 0, X.shape[0], np.ascontiguousarray(X)
        return
    step = piece_rows(X.shape[1], X.dtype.itemsize, piece_bytes)
    for first in range(0, X.shape[0], step):
        rows = X[first : first + step].toarray()
        yield first, first + rows.shape[0], rows


def contiguous(X: Any) -> Any:
    """A dense matrix with its columns side by side; a sparse one as it is."""
    return X if scipy.sparse.issparse(X) else np.ascontiguousarray(X)
