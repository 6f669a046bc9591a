"""From what scikit-learn's users pass as X to inputs of a network: scaling, missing values, categories.

Sums are chains over the rows in their order, so the layout of an array (that of a data frame is another)
cannot be seen in the scaling's bits.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.utils.validation import check_array, validate_data

from onefold._errors import DataError, OptionError, TableError
from onefold.data import Encoder, EncoderFit
from onefold.data.columns import Column, kind_of, plain

Array = NDArray[Any]
_CHUNK_BYTES = 1 << 22
_SPARSE_BYTES = 1 << 18  # few, since they come on top of the pieces that the memory is shared among
#: Bytes stay bytes: images are an eighth of what they would be as float64.
_CHECKS = {"dtype": [np.float64, np.float32, np.uint8], "ensure_all_finite": "allow-nan"}


@dataclass(frozen=True)
class Rows:
    """Rows of a table: its numbers, shape (rows, columns), NaN for missing, and its other columns.

    The numbers may be a CSR matrix.
    """

    numbers: Any
    words: dict[str, Column]

    def __len__(self) -> int:
        return int(self.numbers.shape[0])

    def take(self, rows: Array) -> Rows:
        """Some of the rows."""
        words = {name: column[rows] for name, column in self.words.items()}
        return Rows(self.numbers[rows], words)


class Scaling:
    """Numbers standardised by weighted moments; a missing one becomes the mean, and says so.

    The column that says so is there when a value was missing in training.

    Parameters
    ----------
    values : array, shape (rows, columns)
        NaN is missing.
    weight : array, shape (rows,), or None
    standardize : bool
        False leaves the numbers as they are.

    Attributes
    ----------
    fill, mean, scale : float64 arrays, shape (columns,)
        What a missing value becomes, what is subtracted, what is divided by: one where a column has no
        variation.
    marked : bool array, shape (columns,)
        Columns in which a value was missing.
    """

    def __init__(self, values: Any, weight: Array | None, *, standardize: bool) -> None:
        columns = values.shape[1]
        self.mean, self.scale = np.zeros(columns), np.ones(columns)
        self.marked = np.zeros(columns, dtype=bool)
        for _, rows in _chunks(values):
            self.marked |= np.isnan(rows).any(axis=0)
        _, self.fill = weighted_moment(values, weight, self.mean, 1)
        if standardize:
            self.mean = self.fill
            _, variance = weighted_moment(values, weight, self.mean, 2)
            # What rounding alone makes of equal values: of each square, and of the mean.
            rounding = np.finfo(float).eps * values.shape[0]
            noise = rounding * variance + (rounding * self.mean) ** 2
            self.scale = np.where(variance <= noise, 1.0, np.sqrt(variance))

    @property
    def width(self) -> int:
        """Inputs of the network."""
        return len(self.mean) + int(self.marked.sum())

    def into(self, out: Array, values: Any) -> None:
        """Write the inputs of rows, shape (rows, width)."""
        columns = len(self.mean)
        for part, rows in _chunks(values):
            missing = np.isnan(rows)
            filled = np.where(missing, self.fill, rows)
            out[part, :columns] = (filled - self.mean) / self.scale
            out[part, columns:] = missing[:, self.marked]


def weighted_moment(
    values: Any, weight: Array | None, origin: Array, power: int
) -> tuple[Array, Array]:
    """Sum of the weights, and weighted mean of (value - origin)**power, over values that are not NaN.

    Returns
    -------
    count, moment : float64 arrays, shape (columns,)
    """
    columns = values.shape[1]
    totals = np.zeros(2 * columns)
    for part, rows in _chunks(values):
        missing = np.isnan(rows)
        terms = np.empty((len(missing), 2 * columns))
        terms[:, :columns] = ~missing
        terms[:, columns:] = np.where(missing, 0.0, (rows - origin) ** power)
        if weight is not None:
            terms *= weight[part, None]
        # accumulate goes from one row to the next, one rounding a step
        totals = np.add.accumulate(np.concatenate([totals[None], terms]), axis=0)[-1]
    count = totals[:columns]
    return count, totals[columns:] / np.where(count > 0, count, 1.0)


def _chunks(values: Any) -> Iterator[tuple[slice, Array]]:
    """Some rows after the other, dense."""
    sparse, total = scipy.sparse.issparse(values), values.shape[0]
    step = max(1, (_SPARSE_BYTES if sparse else _CHUNK_BYTES) // (8 * max(1, values.shape[1])))
    for first in range(0, total, step):
        part = slice(first, min(first + step, total))
        yield part, values[part].toarray() if sparse else values[part]


class SparseInputs:
    """Inputs of a network that are worked out from sparse rows when they are asked for.

    Parameters
    ----------
    inputs : TableInputs
        Fitted.
    numbers : CSR matrix
    dtype : dtype
        Of the network.

    Attributes
    ----------
    shape : (rows, width)
    """

    def __init__(self, inputs: TableInputs, numbers: Any, dtype: np.dtype[Any]) -> None:
        self.inputs, self.numbers, self.dtype = inputs, numbers, dtype
        self.shape = (int(numbers.shape[0]), inputs.width)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> SparseInputs:
        return SparseInputs(self.inputs, self.numbers[rows], self.dtype)

    def toarray(self) -> Array:
        """The inputs of all these rows, shape (rows, width)."""
        return self.inputs.encode(Rows(self.numbers, {}), self.dtype)


class TableInputs:
    """Reads X, learns how it becomes inputs of a network, and makes them.

    Parameters
    ----------
    categorical : "from_dtype", array-like or None
        `categorical_features` of the estimator.
    standardize : bool

    Attributes
    ----------
    kinds : dict of str to str
        The columns that are not numbers, "text" or "date", or that are numbers of categories.
    """

    def __init__(self, categorical: Any, *, standardize: bool) -> None:
        self.categorical = categorical
        self.standardize = standardize
        self.kinds: dict[str, str] = {}
        self._places: list[int] = []  # of those columns in X
        self._named: list[str] = []  # those that are categories because the user says so
        self._scaling: Scaling
        self._encoder: Encoder | None = None

    def read(self, estimator: Any, X: Any, *, reset: bool = False) -> Rows:
        """Check X by scikit-learn's rules; with `reset` it is the X of a fit.

        Raises
        ------
        ValueError, TypeError
            As `sklearn.utils.validation.check_array` has them.
        """
        frame = _frame(X)
        if reset:
            self._find(estimator, X, frame)
        if not self.kinds:
            checks = {**_CHECKS, "accept_sparse": "csr"}
            return Rows(validate_data(estimator, X, reset=reset, **checks), {})
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        checks = {**_CHECKS, "estimator": estimator, "input_name": "X"}
        if frame is None:
            if any(kind != "number" for kind in self.kinds.values()):
                raise DataError(
                    f"{type(estimator).__name__} was fitted on a data frame whose columns "
                    f"{', '.join(self.kinds)} are not numbers; pass a data frame with these columns"
                )
            values = check_array(X, **checks)
            words = {n: values[:, i].astype(np.float64) for n, i in self._at()}
            return Rows(np.delete(values, self._places, axis=1), words)
        words = {name: plain(_column(frame, i), self.kinds[name]) for name, i in self._at()}
        rest = [i for i in range(frame.shape[1]) if i not in self._places]
        if not rest:
            return Rows(np.empty((frame.shape[0], 0)), words)
        return Rows(check_array(frame[:, rest].to_native(), **checks), words)

    def _at(self) -> list[tuple[str, int]]:
        return list(zip(self.kinds, self._places, strict=True))

    def _find(self, estimator: Any, X: Any, frame: Any) -> None:
        """Which columns are not numbers."""
        self.kinds, self._places, self._named = {}, [], []
        names = list(map(str, frame.columns)) if frame is not None else None
        given = _given(self.categorical, X, names)
        if frame is None:
            if given and scipy.sparse.issparse(X):
                raise OptionError(
                    "categorical_features names columns of a sparse X; its columns are numbers: pass "
                    "None, or X.toarray()"
                )
            for place in given:
                self._add(f"x{place}", place, "number", named=True)
            return
        if len(frame) == 0:
            raise DataError(
                f"Found array with 0 sample(s) (shape={frame.shape}) while a minimum of 1 is required "
                f"by {type(estimator).__name__}; pass at least one row"
            )
        for place, name in enumerate(names or ()):
            kind = _kind(frame, place)
            dtype = frame.schema.dtypes()[place]
            category = dtype in (nw.Categorical, nw.Enum)
            other = category or kind != "number" or dtype == nw.Duration
            if place in given or (self.categorical is not None and other):
                self._add(name, place, kind, named=category or place in given)

    def _add(self, name: str, place: int, kind: str, *, named: bool) -> None:
        self.kinds[name] = kind
        self._places.append(place)
        if named:
            self._named.append(name)

    def fit(self, rows: Rows, weight: Array | None) -> None:
        """Learn the scaling of the numbers and the places of the categories.

        Raises
        ------
        DataError
            No column is left to learn from.
        """
        self._scaling = Scaling(rows.numbers, weight, standardize=self.standardize)
        self._encoder, notices = None, []
        if self.kinds:
            fit = EncoderFit(self.kinds, categorical=self._named)
            fit.add(rows.words)
            try:
                self._encoder = fit.finish()
                notices = self._encoder.notices
            except TableError as error:  # none of them says anything
                if self._scaling.width == 0:
                    raise DataError(str(error)) from error
                left_out = str(error).partition(": ")[2].split("; ")
                notices = [one.replace(": ", " is left out: ", 1) for one in left_out]
        for notice in notices:
            if ": constant" not in notice:
                words = re.sub(r" \(--[^)]*\)", "", notice)  # options of the command
                warnings.warn(words, UserWarning, stacklevel=5)

    @property
    def width(self) -> int:
        """Inputs of the network."""
        return self._scaling.width + (self._encoder.width if self._encoder else 0)

    def lazy(self, rows: Rows, dtype: np.dtype[Any]) -> Array | SparseInputs:
        """Inputs of the network; those of sparse rows wait until they are asked for."""
        if scipy.sparse.issparse(rows.numbers):
            return SparseInputs(self, rows.numbers, dtype)
        return self.encode(rows, dtype)

    def encode(self, rows: Rows, dtype: np.dtype[Any]) -> Array:
        """Inputs of the network, shape (rows, width)."""
        out = np.empty((len(rows), self.width), dtype)
        self._scaling.into(out[:, : self._scaling.width], rows.numbers)
        if self._encoder:
            out[:, self._scaling.width :] = self._encoder.encode(rows.words)
        return out

    def names(self, estimator: Any) -> list[str]:
        """A name for every input of the network."""
        total = estimator.n_features_in_
        known = getattr(estimator, "feature_names_in_", [f"x{i}" for i in range(total)])
        numbers = [str(known[i]) for i in range(total) if i not in self._places]
        marked = [f"{n} missing" for n, m in zip(numbers, self._scaling.marked, strict=True) if m]
        return numbers + marked + (self._encoder.input_names() if self._encoder else [])


def _frame(X: Any) -> Any:
    """A data frame as narwhals has it, or None for anything else."""
    found = nw.from_native(X, eager_only=True, pass_through=True)
    return found if isinstance(found, nw.DataFrame) else None


def _column(frame: Any, place: int) -> Column:
    series = frame[:, place]
    column: Column = series.to_numpy()
    if column.dtype.kind == "m":  # a duration is its microseconds
        micros = column.astype("timedelta64[us]")
        return np.where(np.isnat(micros), np.nan, micros.astype(np.int64))
    if column.dtype == object:
        column = column.copy()
        column[series.is_null().to_numpy()] = None  # pandas has several words for it
    return column


def _kind(frame: Any, place: int) -> str:
    series = frame[:, place]
    if series.dtype.is_numeric() or (series.dtype == nw.Boolean and not series.null_count()):
        return "number"
    if series.dtype.is_nested():
        raise DataError(
            f"column {series.name!r} holds {series.dtype}; a column holds numbers, texts, categories, "
            "dates or truth values: make columns of its parts, or drop it"
        )
    return kind_of(_column(frame, place))


def _given(categorical: Any, X: Any, names: Sequence[str] | None) -> list[int]:
    """Places of the columns that the user calls categories.

    Raises
    ------
    OptionError
        Not a mask, places or names of columns of X.
    """
    if categorical is None or isinstance(categorical, str):
        return []
    wanted = np.asarray(categorical)
    shape = X.shape if hasattr(X, "shape") else np.shape(X)
    columns = len(names) if names is not None else shape[1]
    if wanted.size == 0:
        return []
    if wanted.dtype == bool:
        if wanted.shape != (columns,):
            raise OptionError(
                f"categorical_features as a boolean mask has shape (n_features,) = ({columns},), "
                f"not {wanted.shape}"
            )
        return [int(i) for i in np.flatnonzero(wanted)]
    if wanted.dtype.kind in "iu":
        wrong = [int(i) for i in wanted if not 0 <= i < columns]
        if wrong:
            raise OptionError(
                f"categorical_features as places lie in [0, n_features - 1] = [0, {columns - 1}], "
                f"found {wrong[0]}"
            )
        return sorted({int(i) for i in wanted})
    places = {name: place for place, name in enumerate(names or ())}
    unknown = [str(name) for name in wanted.tolist() if str(name) not in places]
    if unknown:
        raise OptionError(
            f"categorical_features names {unknown[0]!r}, which is no column of "
            + (
                f"X (columns: {', '.join(list(places)[:20])})"
                if names
                else "an array: pass a frame"
            )
        )
    return sorted(places[str(name)] for name in wanted.tolist())
