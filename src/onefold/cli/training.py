"""From encoded parts to a trained network, as a recipe says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onefold import optim
from onefold._errors import OptionError
from onefold.cli import metrics
from onefold.cli.preparation import Prepared, left
from onefold.cli.recipe import Recipe
from onefold.data import Target
from onefold.network import Network
from onefold.nn import losses
from onefold.nn.layers import Dense, Dropout, Embedding, Layer
from onefold.nn.losses import CrossEntropy, Loss
from onefold.train.callbacks import Callback, History

_SMOOTHING = 0.1  # of the labels of a cross-entropy, where nothing is said
_BESIDE = 24_000_000  # bytes
_BESIDE_ROW = 8


@dataclass(frozen=True)
class Trained:
    """A network with its table's encoding and its figures."""

    network: Network
    history: History
    scores: dict[str, float]


@dataclass(frozen=True)
class Record:
    """What a training was, as the model file keeps it.

    Attributes
    ----------
    rows : dict of str to int
        Of every part.
    rows_without_target : int
    table_sha256 : str or None
        Of the table's files.
    epochs, updates : int
    stopped : str
    best_epoch : int or None
        From 0.
    curves : dict of str to tuple of float
        "loss", and "val_loss" where there are validation rows, by epoch.
    test : dict of str to float
        Scores on the test rows.
    rows_sha256 : str or None
        Of the encoded rows, where the table has no files.
    """

    rows: dict[str, int]
    rows_without_target: int
    table_sha256: str | None
    epochs: int
    updates: int
    stopped: str
    best_epoch: int | None
    curves: dict[str, tuple[float, ...]]
    test: dict[str, float]
    rows_sha256: str | None = None

    def is_of(self, prepared: Prepared) -> bool:
        """Whether the training had these rows."""
        return (self.table_sha256, self.rows_sha256) == (prepared.digest, prepared.rows_digest)


def check(recipe: Recipe) -> None:
    """Refuse names and values that cannot be before a table is read, which may take long.

    Raises
    ------
    OptionError
        An unknown activation, optimizer, schedule or loss, or a value outside its range.
    """
    _hidden(recipe)
    Embedding({0: 2}, recipe.embedding_size)
    _optimizer(recipe)
    if recipe.loss is not None:
        losses.get(recipe.loss)


def build(recipe: Recipe, prepared: Prepared) -> Network:
    """The network that a recipe describes for a table."""
    layers = [*_hidden(recipe), Dense(prepared.target.outputs)]
    if codes := prepared.encoder.embeddings:
        layers.insert(0, Embedding(codes, recipe.embedding_size))
    return Network(layers, inputs=prepared.encoder.width, seed=recipe.seed)


def _hidden(recipe: Recipe) -> list[Layer]:
    layers: list[Layer] = []
    for units in recipe.hidden:
        layers.append(Dense(units, recipe.activation))
        if recipe.dropout:
            layers.append(Dropout(recipe.dropout))
    return layers


def _loss(recipe: Recipe, target: Target) -> Loss:
    loss = losses.get(recipe.loss or target.loss)
    if isinstance(loss, CrossEntropy):
        given = recipe.label_smoothing
        return CrossEntropy(label_smoothing=_SMOOTHING if given is None else given)
    if recipe.label_smoothing:
        raise OptionError("--label-smoothing is for a cross-entropy, that is, for classes")
    return loss


def _optimizer(recipe: Recipe) -> optim.Optimizer:
    rate: float | optim.Schedule = recipe.learning_rate
    if recipe.warmup and recipe.schedule != "cosine":
        raise OptionError("--warmup is for --schedule cosine")
    if recipe.schedule is not None:
        config = {"name": recipe.schedule, "initial": recipe.learning_rate}
        more = {"warmup": recipe.warmup} if recipe.warmup else {}
        rate = optim.schedules.from_config({**config, **more})
        assert isinstance(rate, optim.Schedule)
    names = ("weight_decay", "clip_value", "clip_global_norm", "momentum")
    given = {name: getattr(recipe, name) for name in names if getattr(recipe, name) is not None}
    return optim.get(recipe.optimizer, learning_rate=rate, **given)


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
        loss=_loss(recipe, prepared.target),
        optimizer=_optimizer(recipe),
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        sample_weight=prepared.weights.get("train"),
        validation=held_out,
        patience=recipe.patience,
        min_delta=recipe.min_delta,
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
    record = Record(
        rows={name: len(y) for name, (_, y) in prepared.parts.items()},
        rows_without_target=prepared.skipped,
        table_sha256=prepared.digest,
        epochs=history.epochs,
        updates=history.updates,
        stopped=history.stopped,
        best_epoch=history.best_epoch,
        curves={name: tuple(values) for name, values in history.logs.items()},
        test=scores,
        rows_sha256=prepared.rows_digest,
    )
    network.extra = {
        "recipe": asdict(recipe),
        "encoder": prepared.encoder.to_config(),
        "target": prepared.target.to_config(),
        "record": asdict(record),
    }
    return Trained(network, history, scores)
