"""Arrays in mapped files within a memory budget: their pages are given back while rows are read."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from onefold import _native
from onefold.train.budget import parse_size


@contextmanager
def bounded(memory: int | float | str | None, *arrays: Any) -> Iterator[None]:
    """While open, the process grows by `memory` at most for pages of the arrays that are mapped files.

    Their pages are given back when the process has grown by that much; the system keeps them in its
    cache, so reading them again costs no reading of the disk while there is memory to spare. Linux only.
    """
    mapped = [array for array in map(mapped_file, arrays) if array is not None]
    if memory is None or not mapped:
        yield
        return
    limit = _native.resident() + parse_size(memory) * 3 // 4  # some come before it is noticed
    for array in mapped:
        _native.watch(array, limit)
    try:
        yield
    finally:
        for array in mapped:
            _native.unwatch(array)
            release(array)


Method = TypeVar("Method", bound=Callable[..., Any])


def within_memory(method: Method) -> Method:
    """Make a method `(self, X, ..., validation=, memory=)` keep mapped rows within its `memory`."""

    @wraps(method)
    def call(self: Any, X: Any, *rest: Any, memory: Any = None, **options: Any) -> Any:
        validation = options.get("validation")
        held_out = validation[:1] if isinstance(validation, tuple | list) else ()
        with bounded(memory, X, *held_out):
            return method(self, X, *rest, memory=memory, **options)

    return cast(Method, call)


def mapped_file(array: Any) -> NDArray[Any] | None:
    """The array in a mapped file that stands behind an array, or None.

    A copy-on-write mapping holds values that are nowhere else, so it is none.
    """
    base = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and isinstance(base.base, mmap.mmap):
            return base if base.mode != "c" else None
        base = base.base
    return None


def release(array: NDArray[Any]) -> None:
    """Give the pages of an array in a mapped file back now."""
    base = mapped_file(array)
    if base is not None and hasattr(mmap, "MADV_DONTNEED"):
        base.base.madvise(mmap.MADV_DONTNEED)  # type: ignore[union-attr]
