"""Model files: safetensors with the architecture and the user's own values in the header."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onefold import _files
from onefold._errors import ModelFileError, OnefoldError
from onefold.network import Network

_FORMAT = "onefold model"
_LINKS = (None, "sigmoid", "softmax", "exponential")  # of the losses


def save(network: Network, path: str | Path, extra: Mapping[str, Any] | None = None) -> None:
    """Write a network; see `Network.save`."""
    state = network._state
    header = {
        "network": network._config(),
        "updates": state.updates,
        "epochs": state.epochs,
        "link": network._link,
        "fingerprint": network.fingerprint(),
        "extra": dict(network.extra if extra is None else extra),
    }
    _files.write_tensors(Path(path), state.parameters.arrays(), _FORMAT, header)


def read_header(path: str | Path) -> dict[str, Any]:
    """The header of a model file, without its arrays.

    Returns
    -------
    dict
        "network" (layers, inputs, seed, dtype), "updates", "epochs", "link", "fingerprint", "extra".
    """
    return _files.read_header(Path(path), _FORMAT)


def load(path: str | Path) -> Network:
    """Read a network that `Network.save` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path : path

    Returns
    -------
    Network

    Raises
    ------
    ModelFileError
        Not there, cut short, damaged, of another kind or arithmetic version; says which.
    """
    tensors, header = _files.read_tensors(Path(path), _FORMAT)
    try:
        _check_size(header["network"], sum(array.size for array in tensors.values()))
        network = Network._from_config(header["network"])
        for name in network._state.parameters.names():
            if tensors[name].dtype != network._state.parameters.dtype:
                raise ModelFileError(f"{name} is {tensors[name].dtype}")
            network._state.parameters.set(name, tensors[name])
        network._state.updates = int(header["updates"])
        network._state.epochs = int(header["epochs"])
        network._link = header["link"]
        if network._link not in _LINKS:
            raise ModelFileError(f"unknown link {network._link!r:.60}")
        network.extra = dict(header["extra"])
        expected = header["fingerprint"]
    except (OnefoldError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"{path} is damaged: {error}") from error
    if network.fingerprint() != expected:
        raise ModelFileError(f"{path} is damaged: its parameters do not match their fingerprint")
    return network


def _check_size(config: Mapping[str, Any], elements: int) -> None:
    """Refuse an architecture larger than the arrays that came with it, before memory is taken."""
    width = int(config["inputs"])
    needed = 0
    for layer in config["layers"]:
        if layer.get("kind") == "embedding":
            sizes = [int(size) for size in layer["sizes"]]
            counts = [int(count) for _, count in layer["categories"]]
            needed += sum(n * size for n, size in zip(counts, sizes, strict=True))
            width += sum(sizes) - len(sizes)
        if layer.get("kind") == "dense":
            needed += width * int(layer["units"])
            width = int(layer["units"])
    if width < 1 or not 0 < needed <= elements:
        raise ValueError("the architecture does not fit the arrays")
