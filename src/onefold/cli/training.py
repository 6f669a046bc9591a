"""From encoded parts to a trained network, as a recipe says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onefold import optim
from onefold.cli import metrics
from onefold.cli.preparation import Prepared, left
from onefold.cli.recipe import Recipe
from onefold.network import Network
from onefold.nn.layers import Dense, Dropout, Layer
from onefold.train.callbacks import Callback, History

_BESIDE = 24_000_000  # bytes
_BESIDE_ROW = 8


@dataclass(frozen=True)
class Trained:
    """A network with its table's encoding and its figures."""

    network: Network
    history: History
    scores: dict[str, float]


def build(recipe: Recipe, prepared: Prepared) -> Network:
    """The network that a recipe describes for a table."""
    layers: list[Layer] = []
    for units in recipe.hidden:
        layers.append(Dense(units, recipe.activation))
        if recipe.dropout:
            layers.append(Dropout(recipe.dropout))
    layers.append(Dense(prepared.target.outputs))
    return Network(layers, inputs=prepared.encoder.width, seed=recipe.seed)


def follow(
    recipe: Recipe,
    prepared: Prepared,
    *,
    memory: str | None = None,
    micro_batch: int | str = "auto",
    threads: int | None = None,
    time_limit: float | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Trained:
    """Train as the recipe says. Memory, micro-batch and threads do not shape the result."""
    options: dict[str, Any] = {"learning_rate": recipe.learning_rate}
    for name in ("weight_decay", "clip_global_norm"):
        if getattr(recipe, name) is not None:
            options[name] = getattr(recipe, name)
    network = build(recipe, prepared)
    inputs, targets = prepared.parts["train"]
    held_out: tuple[Any, ...] | None = prepared.parts.get("validation")
    if held_out is not None and "validation" in prepared.weights:
        held_out = (*held_out, prepared.weights["validation"])
    # Besides the plan there are the targets in the loss's form and what measuring takes.
    rows = sum(len(y) for _, y in prepared.parts.values())
    beside = _BESIDE + _BESIDE_ROW * rows
    budget = None if memory is None else str(max(1, int(left(memory)) - beside))
    history = network.fit(
        inputs,
        targets,
        loss=recipe.loss or prepared.target.loss,
        optimizer=optim.get(recipe.optimizer, **options),
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        sample_weight=prepared.weights.get("train"),
        validation=held_out,
        patience=recipe.patience,
        stop_below=recipe.stop_below,
        time_limit=time_limit,
        memory=budget,
        micro_batch=micro_batch,
        threads=threads,
        checkpoint=checkpoint,
        resume=resume,
        callbacks=callbacks,
        verbose=0,
    )
    scores = {}
    if "test" in prepared.parts:
        x, y = prepared.parts["test"]
        scores = metrics.scores(
            prepared.target, network, x, y, memory=None if memory is None else left(memory)
        )
    network.extra = {
        "recipe": asdict(recipe),
        "encoder": prepared.encoder.to_config(),
        "target": prepared.target.to_config(),
        "record": {
            "rows": {name: len(y) for name, (_, y) in prepared.parts.items()},
            "rows_without_target": prepared.skipped,
            "table_sha256": prepared.digest,
            "epochs": history.epochs,
            "updates": history.updates,
            "stopped": history.stopped,
            "best_epoch": history.best_epoch,
            "curves": history.logs,
            "test": scores,
        },
    }
    return Trained(network, history, scores)
