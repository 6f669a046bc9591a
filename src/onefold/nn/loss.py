"""What every loss is: it checks its targets and says which kernel computes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onefold._errors import OptionError
from onefold.nn.targets import Targets, checked_numbers

Array = NDArray[Any]


@dataclass(frozen=True)
class LossPlan:
    """How a loss is computed for one network.

    Attributes
    ----------
    kernel : str
        Name of the kernel; "host" for a loss written in Python.
    numbers : tuple of float
        The kernel's options.
    labels : bool
        Whether targets are class labels.
    drop_final_activation : bool
        Whether the loss contains the network's final activation.
    """

    kernel: str
    numbers: tuple[float, ...] = ()
    labels: bool = False
    drop_final_activation: bool = False


@dataclass(frozen=True)
class Loss(ABC):
    """A loss: a number for each row, whose weighted mean is minimised.

    Where the network ends linearly, the loss takes its output through the link (softmax or sigmoid
    for cross-entropies, exponential for Poisson); a final activation equal to the link is fused.
    """

    name: ClassVar[str]

    @abstractmethod
    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """How the loss is computed behind a network's final activation."""

    def targets(self, y: Array, outputs: int, dtype: np.dtype[Any]) -> Targets:
        """Check targets and bring them into the form that the kernels read.

        Raises
        ------
        ShapeError, DtypeError, DataError
            Another number of columns, not numbers, NaN or infinity, out of the loss's range.
        """
        return Targets(self._check(checked_numbers(y, outputs, dtype)))

    def _check(self, y: Array) -> Array:
        return y

    def link_for(self, outputs: int) -> str | None:
        """Activation that turns a linear output into a probability or a rate."""
        return None

    def to_config(self) -> dict[str, Any]:
        """Name and options, JSON-able."""
        return {"name": self.name, **asdict(self)}


class PlainLoss(Loss):
    """A loss of the output as it is."""

    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """See `Loss.plan`."""
        return LossPlan(self.name, self._options())

    def _options(self) -> tuple[float, ...]:
        return ()


def check_option(name: str, value: Any, valid: bool, requirement: str) -> None:
    """Refuse an option that is no number or out of range."""
    if not isinstance(value, int | float) or not valid:
        raise OptionError(f"{name} is {requirement}, not {value!r}")
