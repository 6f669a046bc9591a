"""When a run of training ends, and what it leaves on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onefold._errors import OptionError


def positive(name: str, value: Any) -> int:
    """A whole number from 1 up.

    Raises
    ------
    OptionError
        Anything else.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < 1:
        raise OptionError(f"{name} is a number from 1 up, not {value!r}")
    return int(value)


@dataclass
class Options:
    """The options of a run, checked; `Network.fit` says what each means."""

    epochs: int
    batch_size: int
    shuffle: bool
    stop_below: float | None
    patience: int | None
    min_delta: float
    time_limit: float | None
    checkpoint: Path | None
    checkpoint_every: float
    resume: bool

    def __post_init__(self) -> None:
        self.epochs = positive("epochs", self.epochs)
        self.batch_size = positive("batch_size", self.batch_size)
        if self.patience is not None:
            self.patience = positive("patience", self.patience)
        if self.resume and self.checkpoint is None:
            raise OptionError("resume needs checkpoint=PATH, the file to go on from")
        if self.time_limit is not None and not self.time_limit > 0:
            raise OptionError(f"time_limit is a number of seconds above 0, not {self.time_limit!r}")
