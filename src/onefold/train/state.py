"""What a network has learned so far, and the file form of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onefold import _native
from onefold._errors import DataError, ShapeError, unknown
from onefold.train.programs import Architecture


class Parameters:
    """One array for every parameter, handed out row-major under its name.

    Values, gradients and optimizer states are all kept in this form.
    """

    def __init__(self, architecture: Architecture) -> None:
        self._specs = {name: spec for name, _, spec in architecture.parameters}
        self._places = {name: place for place, name in enumerate(self._specs)}
        self.dtype = np.dtype(architecture.dtype)
        self.store = _native.Store(architecture.shapes, self.dtype == np.float64)

    def names(self) -> list[str]:
        """Names in canonical order."""
        return list(self._specs)

    def get(self, name: str) -> NDArray[Any]:
        """A copy of one array."""
        if name not in self._specs:
            raise unknown("parameter", name, self._specs)
        out = np.empty(self._specs[name].shape, self.dtype)
        self.store.get(self._places[name], out)
        return out

    def set(self, name: str, values: Any) -> None:
        """Replace one array.

        Raises
        ------
        ShapeError
            Another shape than the parameter's.
        DataError
            NaN or infinity.
        """
        if name not in self._specs:
            raise unknown("parameter", name, self._specs)
        array = np.ascontiguousarray(values, dtype=self.dtype)
        if array.shape != self._specs[name].shape:
            raise ShapeError(f"{name} has shape {self._specs[name].shape}, not {array.shape}")
        if not np.isfinite(array).all():
            raise DataError(f"{name} would hold NaN or infinity; parameters are finite")
        self.store.set(self._places[name], array)

    def assign(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Replace arrays of the right shapes, whatever values they hold."""
        for name, array in arrays.items():
            values = np.ascontiguousarray(array, dtype=self.dtype)
            self.store.set(self._places[name], values)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Copies of all arrays by name."""
        return {name: self.get(name) for name in self._specs}

    def finite(self) -> bool:
        """Whether no array holds NaN or infinity."""
        return all(bool(np.isfinite(self.get(name)).all()) for name in self._specs)

    def fingerprint(self) -> str:
        """SHA-256 of names, shapes and little-endian row-major bytes, in canonical order."""
        digest = hashlib.sha256()
        for name, array in self.arrays().items():
            digest.update(f"{name}{array.shape}".encode())
            digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()


class ParameterView(Mapping[str, NDArray[Any]]):
    """The parameters of a network by name: reading copies, assigning replaces."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._parameters.names():
            raise KeyError(name)
        return self._parameters.get(name)

    def __setitem__(self, name: str, values: ArrayLike) -> None:
        self._parameters.set(name, values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters.names())

    def __len__(self) -> int:
        return len(self._parameters.names())

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {self[name].shape}" for name in self)


@dataclass
class State:
    """A network's parameters, and how far its life has come.

    Attributes
    ----------
    parameters : Parameters
    seed : int
    updates, epochs : int
        Updates made and epochs begun; they key dropout masks and orders of rows, so that a second
        run does not repeat the first one's.
    """

    parameters: Parameters
    seed: int
    updates: int = 0
    epochs: int = 0

    @classmethod
    def initial(cls, architecture: Architecture, seed: int) -> State:
        """A new network's: every parameter has the first values that its layer gives it."""
        state = cls(Parameters(architecture), seed)
        counts: dict[int, int] = {}
        for name, key, spec in architecture.parameters:
            place = counts.get(key, 0)
            counts[key] = place + 1
            values = spec.initializer(spec.matrix, seed, key, place, np.dtype(architecture.dtype))
            state.parameters.set(name, values.reshape(spec.shape))
        return state


class OptimizerState:
    """The arrays that an optimizer keeps for a network, and its count of updates."""

    def __init__(self, architecture: Architecture, names: tuple[str, ...]) -> None:
        self.names = names
        self.states = [Parameters(architecture) for _ in names]
        self.updates = 0

    @property
    def stores(self) -> list[_native.Store]:
        """The native arrays, in the order of the optimizer's states."""
        return [state.store for state in self.states]
