"""What every layer is: it declares its operations; programs are built from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

from onefold.nn import initializers

V = TypeVar("V")


class Forward(Protocol[V]):
    """The forward operations that a layer may declare (see onefold.program.Builder)."""

    def linear(self, x: V, weight: int, bias: int | None) -> V: ...
    def activation(self, x: V, name: str, numbers: tuple[float, ...] = ()) -> V: ...
    def prelu(self, x: V, slope: int) -> V: ...
    def dropout(self, x: V, rate: float, layer: int) -> V: ...
    def embedding(self, x: V, columns: Sequence[int], first: int) -> V: ...


@dataclass(frozen=True)
class ParameterSpec:
    """A parameter that a layer learns: its name within the layer, shape and first values."""

    name: str
    shape: tuple[int, ...]
    initializer: initializers.Initializer
    is_bias: bool = False

    @property
    def matrix(self) -> tuple[int, int]:
        """The shape as rows and columns: a vector is one row."""
        return (1, self.shape[0]) if len(self.shape) == 1 else (self.shape[0], self.shape[1])


class Layer(ABC):
    """One layer of a network.

    `kind` begins its name in the network ("dense_0"); `code` keys its random numbers, which
    therefore do not move when a layer of another kind is added.
    """

    kind: ClassVar[str]
    code: ClassVar[int]

    def outputs(self, inputs: int) -> int:
        """Width of the output for an input of width `inputs`."""
        return inputs

    def parameters(self, inputs: int) -> list[ParameterSpec]:
        """What the layer learns, for an input of width `inputs`."""
        return []

    @property
    def codes(self) -> Mapping[int, int]:
        """Columns of the input that hold codes, with the number that these are below."""
        return {}

    def passed(self, inputs: int) -> list[int | None]:
        """For each column of the output the column of the input that it is, or None."""
        return [None] * self.outputs(inputs)

    @property
    def final_activation(self) -> str:
        """Name of the activation that the layer ends with; a loss may fuse it."""
        return "linear"

    @abstractmethod
    def declare(
        self, program: Forward[V], x: V, first: int, key: int, *, activate: bool = True
    ) -> V:
        """Emit the layer's operations on `x` and return its output.

        Parameters
        ----------
        program
            Where operations are declared.
        x
            The layer's input.
        first : int
            Place of the layer's first parameter in the network's.
        key : int
            Number that keys the layer's random masks.
        activate : bool
            False leaves out the final activation, which the loss then contains.
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, for model files."""
