"""Rows in files within a memory budget: read by position, not through a mapping of the user's."""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from onefold import _native

_PIECE_BYTES = 1 << 22  # read at a time outside the executor


class FileRows(np.memmap[Any, Any]):
    """An array in a file that has no name: the file goes with the last who uses the array."""

    descriptor: int | None = None

    @classmethod
    def create(cls, shape: tuple[int, int]) -> FileRows:
        """Zeros of float32, in the system's folder for temporary files.

        Raises
        ------
        OSError
            There is no room.
        """
        size = 4 * shape[0] * shape[1]
        with tempfile.TemporaryFile(prefix="onefold-") as file:
            if hasattr(os, "posix_fallocate"):  # says at once where there is no room
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            rows = cls(file, np.float32, "r+", shape=shape)
            rows.descriptor = os.dup(file.fileno())
        weakref.finalize(rows, os.close, rows.descriptor)
        return rows

    def write(self, first: int, begin: int, values: NDArray[np.float32]) -> None:
        """Write `values` (rows, columns) from a row and a column on, past the mapping."""
        assert self.descriptor is not None
        descriptor, width = self.descriptor, self.shape[1]
        if values.shape[1] == width:
            _write(descriptor, np.ascontiguousarray(values), 4 * width * first)
            return
        step = max(1, _PIECE_BYTES // (4 * width))
        for start in range(0, len(values), step):  # the other columns stay as they are
            piece = values[start : start + step]
            at = 4 * width * (first + start)
            whole = np.empty((len(piece), width), np.float32)
            _read(descriptor, whole, at)
            whole[:, begin : begin + piece.shape[1]] = piece
            _write(descriptor, whole, at)


def resident() -> int:
    """Bytes of the process that are resident now; 0 where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def bounded(memory: int | float | str | None, *arrays: Any) -> Iterator[None]:
    """While open, and where there is a budget, arrays in mapped files are read by position.

    So they take the plan's bytes, and not what the system makes resident of a mapping.
    """
    opened: list[tuple[NDArray[Any], IO[bytes] | None]] = []
    try:
        for array in arrays if memory is not None else ():
            base = mapped_file(array)
            if base is None or not array.flags.c_contiguous:
                continue
            descriptor = getattr(base, "descriptor", None)
            file = _reopened(base) if descriptor is None else None
            if file is not None:
                descriptor = file.fileno()
            if descriptor is None:
                continue
            start = _address(array) - _address(base) + (base.offset if file else 0)
            _native.read_by_position(array, descriptor, start, ours=file is None)
            opened.append((array, file))
        yield
    finally:
        for array, file in opened:
            _native.forget(array)
            if file is not None:
                file.close()


Method = TypeVar("Method", bound=Callable[..., Any])


def within_memory(method: Method) -> Method:
    """Make a method `(self, X, ..., validation=, memory=)` keep rows in files within its `memory`."""

    @wraps(method)
    def call(self: Any, X: Any, *rest: Any, memory: Any = None, **options: Any) -> Any:
        validation = options.get("validation")
        held_out = validation[:1] if isinstance(validation, tuple | list) else ()
        with bounded(memory, X, *held_out):
            return method(self, X, *rest, memory=memory, **options)

    return cast(Method, call)


def mapped_file(array: Any) -> np.memmap[Any, Any] | None:
    """The array in a mapped file that stands behind an array, or None.

    A copy-on-write mapping holds values that are nowhere else, so it is none.
    """
    base = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and isinstance(base.base, mmap.mmap):
            return base if base.mode != "c" else None
        base = base.base
    return None


def rows_of(array: NDArray[Any], first: int, count: int) -> NDArray[Any]:
    """Some rows of an array: a view, or a copy where they are read by position or lie in our own file."""
    view = array[first : first + count]
    found = _native.row_file(view) if len(view) else None
    base = mapped_file(view)
    if found is None and isinstance(base, FileRows) and base.descriptor is not None:
        found = base.descriptor, _address(view) - _address(base)
    if found is None or not view.flags.c_contiguous:
        return view
    out = np.empty(view.shape, view.dtype)
    _read(found[0], out, found[1])
    return out


def pieces(array: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    """All rows of an array in pieces of some megabytes, with the number of their first row."""
    step = max(1, _PIECE_BYTES // max(1, array.shape[1] * array.itemsize))
    for first in range(0, len(array), step):
        yield first, rows_of(array, first, step)


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


def _reopened(base: np.memmap[Any, Any]) -> IO[bytes] | None:
    """The file of a mapping, opened again; None where another file has its name by now."""
    if not isinstance(base.filename, str | Path):
        return None
    try:
        file = open(base.filename, "rb")  # noqa: SIM115 - the caller closes it
    except OSError:
        return None
    status = os.fstat(file.fileno())
    if (os.major(status.st_dev), os.minor(status.st_dev), status.st_ino) == _file_at(
        _address(base)
    ):
        return file
    file.close()
    return None


def _file_at(address: int) -> tuple[int, int, int] | None:
    """Device and number of the file that is mapped at an address (Linux)."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        span, _, _, device, number, *_ = line.split()
        begin, end = (int(part, 16) for part in span.split("-"))
        if begin <= address < end:
            major, minor = (int(part, 16) for part in device.split(":"))
            return major, minor, int(number)
    return None


def _read(descriptor: int, out: NDArray[Any], at: int) -> None:
    view = out.reshape(-1).view(np.uint8).data
    done = 0
    while done < len(view):
        got = os.preadv(descriptor, [view[done:]], at + done)
        if got == 0:
            raise OSError("the file of the rows is shorter than it was; leave it as it is")
        done += got


def _write(descriptor: int, values: NDArray[Any], at: int) -> None:
    """In blocks of the file's own: its pages are then large ones, twice as fast to read."""
    view = values.reshape(-1).view(np.uint8).data
    done = 0
    while done < len(view):
        block = _PIECE_BYTES - (at + done) % _PIECE_BYTES
        done += os.pwrite(descriptor, view[done : done + block], at + done)
