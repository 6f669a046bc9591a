"""Checkpoints: everything that a run needs to go on to the same bits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onefold import _files
from onefold._errors import ModelFileError
from onefold.train.state import OptimizerState, Parameters, State

_FORMAT = "onefold checkpoint"


@dataclass
class Position:
    """Where a run stands.

    Attributes
    ----------
    epoch, update : int
        Epochs finished, and updates finished of the one at hand.
    loss, weight : float
        The epoch's totals so far.
    """

    epoch: int = 0
    update: int = 0
    loss: float = 0.0
    weight: float = 0.0


def write(
    path: Path,
    run: dict[str, Any],
    progress: dict[str, Any],
    state: State,
    optimizer: OptimizerState,
    best: Parameters | None,
) -> None:
    """Write a checkpoint beside `path` and rename it, so that `path` is always whole.

    `run` describes the training (it must be the same on resuming), `progress` how far it came.
    """
    tensors = {f"parameters/{name}": array for name, array in state.parameters.arrays().items()}
    for key, arrays in zip(optimizer.names, optimizer.states, strict=True):
        tensors |= {f"optimizer/{key}/{name}": array for name, array in arrays.arrays().items()}
    if best is not None:
        tensors |= {f"best/{name}": array for name, array in best.arrays().items()}
    header = {
        "run": run,
        "progress": progress,
        "updates": state.updates,
        "epochs": state.epochs,
        "optimizer_updates": optimizer.updates,
    }
    _files.write_tensors(path, tensors, _FORMAT, header)


def read(
    path: Path,
    run: dict[str, Any],
    state: State,
    optimizer: OptimizerState,
    best: Parameters | None,
) -> dict[str, Any]:
    """Put a checkpoint's arrays back and return its progress.

    Raises
    ------
    ModelFileError
        The file is damaged, or belongs to another training.
    """
    tensors, header = _files.read_tensors(path, _FORMAT)
    try:
        for name, value in run.items():
            if header["run"].get(name) != json.loads(json.dumps(value)):
                raise ModelFileError(
                    f"checkpoint {path} belongs to another training: {name} was "
                    f"{header['run'].get(name)!r} and is now {value!r}; "
                    "use the same options, or another checkpoint file"
                )
        for name in state.parameters.names():
            state.parameters.set(name, tensors[f"parameters/{name}"])
            for key, arrays in zip(optimizer.names, optimizer.states, strict=True):
                arrays.set(name, tensors[f"optimizer/{key}/{name}"])
            if best is not None and f"best/{name}" in tensors:
                best.set(name, tensors[f"best/{name}"])
        state.updates = int(header["updates"])
        state.epochs = int(header["epochs"])
        optimizer.updates = int(header["optimizer_updates"])
        return dict(header["progress"])
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"checkpoint {path} is damaged: {error}") from error
