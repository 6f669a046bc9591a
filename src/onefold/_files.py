"""Files of tensors with a JSON header, in the safetensors format; written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold._errors import ModelFileError, OnefoldError

#: Version of the arithmetic (docs/arithmetic.md); a release that changes a bit raises it.
ARITHMETIC = 1
_MAX_HEADER = 100 << 20  # bytes


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to; on leaving it is flushed to the disk and renamed over `path`.

    Raises
    ------
    ModelFileError
        The file could not be written (also a built-in OSError's message); `path` is as before, as it
        is after any other error.
    """
    path = Path(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        yield Path(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        if isinstance(error, OnefoldError):
            raise
        raise ModelFileError(
            f"could not write {path}: {error.strerror or error}; nothing was changed there"
        ) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all; see `replacing`."""
    with replacing(path) as beside:
        beside.write_bytes(content)


def write_tensors(
    path: Path, tensors: Mapping[str, NDArray[Any]], kind: str, header: Mapping[str, Any]
) -> None:
    """Write arrays and a header of JSON values."""
    from safetensors.numpy import save

    # One entry: the format does not keep the order of several, and equal models are equal files.
    content = {"format": kind, "arithmetic": ARITHMETIC, "header": header}
    metadata = {"onefold": json.dumps(content)}
    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    write_bytes(path, save(contiguous, metadata=metadata))


def read_header(path: Path, kind: str) -> dict[str, Any]:
    """The header of a file, without its arrays.

    Raises
    ------
    ModelFileError
        Not there, damaged, of another kind, or of another arithmetic version.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_MAX_HEADER, path.stat().st_size):
                raise ModelFileError(f"{path} is not a {kind} file, or is cut short")
            metadata = json.loads(file.read(length)).get("__metadata__") or {}
    except OSError as error:
        raise ModelFileError(f"could not read {path}: {error.strerror or error}") from error
    except (ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{path} is not a {kind} file, or is damaged") from error
    try:
        content = json.loads(metadata["onefold"])
        found, version = content["format"], content["arithmetic"]
        header = dict(content["header"])
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise ModelFileError(f"{path} is not a {kind} file, or has a damaged header") from error
    if found != kind:
        raise ModelFileError(f"{path} is not a {kind} file, but a {found} file")
    if version != ARITHMETIC:
        raise ModelFileError(
            f"{path} was written with arithmetic version {version}, this is version {ARITHMETIC}; "
            "open it with the release that wrote it"
        )
    return header


def read_tensors(path: Path, kind: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays and header of a file that `write_tensors` wrote. Nothing in the file is executed."""
    header = read_header(path, kind)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path), header
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelFileError(f"{path} is damaged: {error}") from error
