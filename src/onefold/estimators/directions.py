"""The loss along a direction through the weights of a network: how flat the valley is that it lies in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold.network import Network
from onefold.nn.losses import Loss

Array = NDArray[Any]


def along_direction(
    network: Network,
    x: Array,
    y: Array,
    loss: str | Loss,
    *,
    sample_weight: Array | None = None,
    steps: int = 41,
    distance: float = 1.0,
    seed: int = 0,
    threads: int | None = None,
    factor: float = 1.0,
    constant: float = 0.0,
) -> list[tuple[float, float]]:
    """The loss at weights + step * direction; steps are shares of each neuron's own norm.

    The direction is random, each neuron's part scaled to the norm of its weights (Li et al. 2018);
    biases stay. The network is as before when this returns.

    Parameters
    ----------
    network : Network
    x, y, loss, sample_weight, threads
        As in `Network.evaluate`.
    steps : int
        Points, evenly from `-distance` to `distance`; an odd number has the network itself among them.
    distance : float
    seed : int
        Of the direction.
    factor, constant : float
        What is reported is `factor * loss + constant`.

    Returns
    -------
    list of (step, loss)
    """
    parameters: Any = network.parameters
    kept = {name: parameters[name].copy() for name in parameters}
    rng = np.random.Generator(np.random.Philox(seed))
    direction = {}
    for name, values in kept.items():
        if values.ndim == 2:
            drawn = rng.standard_normal(values.shape)
            lengths = np.maximum(np.linalg.norm(drawn, axis=0), 1e-12)
            direction[name] = drawn * (np.linalg.norm(values, axis=0) / lengths)
    line = []
    try:
        for step in np.linspace(-distance, distance, steps).tolist():
            for name, change in direction.items():
                parameters[name] = kept[name] + step * change
            found = network.evaluate(x, y, loss=loss, sample_weight=sample_weight, threads=threads)
            line.append((step, factor * found + constant))
    finally:
        for name, values in kept.items():
            parameters[name] = values
    return line
