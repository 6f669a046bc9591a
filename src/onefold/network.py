"""The network: the object that users hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onefold import optim
from onefold._errors import DataError, OptionError
from onefold.nn import losses
from onefold.nn.layers import Dense, Layer, layer_config, layer_from_config
from onefold.nn.summary import summary
from onefold.train import first_look
from onefold.train.accumulation import Accumulation
from onefold.train.budget import Budget, Plan, thread_count
from onefold.train.callbacks import Callback, History, attached
from onefold.train.evaluation import Evaluator, held_out, mean_over_pieces
from onefold.train.kept import KeptSession
from onefold.train.loop import Training
from onefold.train.options import Options, positive
from onefold.train.prediction import Prediction
from onefold.train.programs import Architecture
from onefold.train.residency import within_memory
from onefold.train.session import Session, prepare
from onefold.train.state import OptimizerState, ParameterView, State

if TYPE_CHECKING:
    from onefold.nn.losses import Loss
    from onefold.optim import Optimizer

Array = NDArray[Any]


class Network:
    """A network of layers, trained to the same bits whatever memory and threads it gets.

    Parameters
    ----------
    layers : sequence of Layer
        From the first to the last, at least one of them `Dense`.
    inputs : int
        Columns of the data.
    seed : int, default 0
        Keys the initial weights, the orders of rows and the dropout masks.
    dtype : {"float32", "float64"}, default "float32"

    Attributes
    ----------
    layers : tuple of Layer
    inputs, outputs : int
    extra : dict
        JSON values kept in the model file.

    Raises
    ------
    OptionError
        No layers, a layer that is not one, an unknown dtype, a bad width or seed.

    Examples
    --------
    >>> import numpy as np, onefold as of
    >>> x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    >>> net = of.Network([of.Dense(1)], inputs=1, seed=0)
    >>> history = net.fit(x, 3 * x[:, 0] + 1, loss="squared_error", optimizer=of.SGD(0.1),
    ...                   epochs=100, batch_size=16)
    >>> net.predict(np.zeros((1, 1), np.float32)).round(3)
    array([[1.]], dtype=float32)
    """

    def __init__(
        self, layers: Sequence[Layer], inputs: int, *, seed: int = 0, dtype: str = "float32"
    ) -> None:
        for layer in layers:
            if not isinstance(layer, Layer):
                raise OptionError(f"a layer is Dense(...), Dropout(...) or the like, not {layer!r}")
        if not any(isinstance(layer, Dense) for layer in layers):
            raise OptionError("a network needs at least one Dense layer")
        if isinstance(inputs, bool) or not hasattr(inputs, "__index__") or int(inputs) < 1:
            raise OptionError(f"inputs is the number of columns, from 1 up, not {inputs!r}")
        if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= int(seed) < 2**64:
            raise OptionError(f"seed is an integer from 0 to 2**64 - 1, not {seed!r}")
        name = (
            str(np.dtype(dtype)) if dtype in ("float32", "float64", np.float32, np.float64) else ""
        )
        if not name:
            raise OptionError(f"dtype is 'float32' or 'float64', not {dtype!r}")
        self.layers = tuple(layers)
        self.inputs = int(inputs)
        self.extra: dict[str, Any] = {}
        self._architecture = Architecture.of(self.layers, self.inputs, name)
        self._state = State.initial(self._architecture, int(seed))
        self._optimizers: WeakKeyDictionary[Optimizer, OptimizerState] = WeakKeyDictionary()
        self._kept = KeptSession()
        self._prediction = Prediction(self._architecture, self._state)
        self._link: str | None = None  # of the loss it was trained with

    # What it is.

    @property
    def outputs(self) -> int:
        """Width of the output."""
        return self._architecture.outputs

    @property
    def seed(self) -> int:
        """The seed given at the start."""
        return self._state.seed

    @property
    def dtype(self) -> str:
        """Type of the parameters, as a string."""
        return self._architecture.dtype

    @property
    def updates(self) -> int:
        """Updates made in the network's life."""
        return self._state.updates

    @property
    def parameters(self) -> Mapping[str, Array]:
        """Every parameter by name: "dense_0.weight" (inputs, units), "dense_0.bias" (units,).

        Reading gives a copy, row-major; assigning to an entry replaces the parameter.
        """
        return ParameterView(self._state.parameters)

    @property
    def weight_names(self) -> list[str]:
        """Names of the weights of its dense layers, first to last."""
        return [
            f"{n}.weight" for n, _, _, layer in self._architecture.layers if layer.kind == "dense"
        ]

    @property
    def parameter_count(self) -> int:
        """Number of weights, biases and numbers of embedded categories."""
        return sum(spec.matrix[0] * spec.matrix[1] for _, _, spec in self._architecture.parameters)

    def fingerprint(self) -> str:
        """SHA-256 of the parameters in canonical order, as 64 hexadecimal digits.

        Two networks with the same fingerprint have the same bits in every parameter.
        """
        return self._state.parameters.fingerprint()

    def summary(self) -> str:
        """The layers as a table: output width, neurons, synapses and parameters."""
        return summary(self.layers, self.inputs, self.dtype)

    def __repr__(self) -> str:
        return f"Network({list(self.layers)!r}, inputs={self.inputs}, seed={self.seed}, dtype={self.dtype!r})"

    # Training.

    @within_memory
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        loss: str | Loss = "squared_error",
        optimizer: str | Optimizer = "adam",
        epochs: int = 10,
        batch_size: int = 32,
        micro_batch: int | str = "auto",
        memory: int | float | str | None = None,
        sample_weight: ArrayLike | None = None,
        validation: tuple[Any, ...] | None = None,
        shuffle: bool = True,
        stop_below: float | None = None,
        patience: int | None = None,
        min_delta: float = 0.0,
        time_limit: float | None = None,
        threads: int | None = None,
        callbacks: Sequence[Callback] = (),
        verbose: int | None = None,
        checkpoint: str | Path | None = None,
        checkpoint_every: float = 30.0,
        resume: bool = False,
    ) -> History:
        """Train by mini-batch gradient descent until something says stop.

        Parameters
        ----------
        X : array, shape (rows, inputs)
            float32, float64 and uint8 are read where they lie; other numbers are copied.
        y : array, shape (rows,) or (rows, outputs)
            Targets, or integer class labels for a cross-entropy.
        loss : str or Loss
            "squared_error", "cross_entropy", ... or a function wrapped in `CustomLoss`.
        optimizer : str or Optimizer
            An optimizer object keeps its state for this network from one call to the next.
        epochs : int
        batch_size : int
            Rows of an update: this shapes the result. The last batch of an epoch may be smaller.
        micro_batch : int or "auto"
            Rows that run at a time: this does not shape the result.
        memory : int or str, optional
            Budget for everything that training holds besides the data, such as "200MB".
        sample_weight : array, shape (rows,), optional
            Zero or more; the gradient is the weighted sum divided by the weights' sum.
        validation : (X, y) or (X, y, sample_weight), optional
        shuffle : bool
            Whether each epoch has an order of its own. A batch of all rows takes them as they stand.
        stop_below : float, optional
            Stop after the epoch whose mean training loss is below this.
        patience : int, optional
            Stop after so many epochs without a better validation loss (training loss where there
            is no validation set), and go back to the best epoch's parameters.
        min_delta : float
            How much better a loss must be to count.
        time_limit : float, optional
            Seconds.
        threads : int, optional
            All processors by default; this does not shape the result.
        callbacks : sequence of Callback
        verbose : int, optional
            0 shows nothing, 1 a progress bar on a terminal or else a line an epoch; by default a
            bar where there is a terminal.
        checkpoint : path, optional
            File that is kept up to date, and left behind by Ctrl-C.
        checkpoint_every : float
            Seconds between checkpoints.
        resume : bool
            Go on from the checkpoint if there is one; the result has the bits of a run that was
            never interrupted.

        Returns
        -------
        History

        Raises
        ------
        ShapeError, DtypeError, DataError, OptionError
            Arrays or options that cannot be.
        BudgetError
            `memory` is too small; says the least that would do.
        DivergedError
            The loss stopped being finite; the last good parameters are kept.
        """
        chosen_loss = losses.get(loss)
        chosen_optimizer = optim.get(optimizer)
        options = Options(
            epochs, batch_size, shuffle, stop_below, patience, min_delta, time_limit,
            None if checkpoint is None else Path(checkpoint), checkpoint_every, resume,
        )  # fmt: skip
        threads = thread_count(threads)
        looked = not (
            memory is None
            and not callbacks
            and checkpoint is None
            and first_look.pays(self._architecture, chosen_loss, X)
        )
        x, targets, weights = prepare(
            self._architecture, chosen_loss, X, y, sample_weight, threads=threads, look=looked
        )
        options_batch = min(options.batch_size, len(x))
        optimizer_state = self._optimizer_state(chosen_optimizer)
        session = self._kept.take(
            self._architecture,
            self._state,
            chosen_optimizer,
            optimizer_state,
            x,
            loss=chosen_loss,
            labels=targets.labels,
            weighted=weights is not None,
            batch_size=options_batch,
            micro_batch=micro_batch,
            memory=memory,
            threads=threads,
            ordered=len(x) if shuffle and options_batch < len(x) else 0,
            copies=max(
                1 if options.patience is None else 2,
                1 if looked else 1 + len(optimizer_state.states),
            ),
        )
        validated = None
        if validation is not None:
            validated = held_out(self._architecture, self._state, chosen_loss, validation, threads)
        heard = attached(callbacks, self, options.epochs, verbose)
        link, self._link = self._link, chosen_loss.link_for(self.outputs)
        training = Training(
            session, (x, targets.array, weights), validated, options, heard, self._config(),
            looked=looked,
        )  # fmt: skip
        try:
            history = training.run()
        except DataError:
            if not looked:  # the inputs are refused, and the network is as it was
                self._link = link
            raise
        self._kept.keep(session)
        return history

    def _evaluator(
        self, loss: Loss, labels: bool, weighted: bool, threads: int | None, rows: int
    ) -> Evaluator:
        return Evaluator(
            self._architecture,
            self._state,
            loss,
            labels=labels,
            weighted=weighted,
            threads=threads,
            rows=rows,
        )

    def _optimizer_state(self, optimizer: Optimizer) -> OptimizerState:
        if optimizer not in self._optimizers:
            self._optimizers[optimizer] = OptimizerState(self._architecture, optimizer.states)
        return self._optimizers[optimizer]

    # Gradient accumulation.

    @within_memory
    def loss_and_gradient(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        loss: str | Loss = "squared_error",
        sample_weight: ArrayLike | None = None,
        micro_batch: int | str = "auto",
        memory: int | float | str | None = None,
        threads: int | None = None,
    ) -> tuple[float, dict[str, Array]]:
        """Mean loss and its gradient over all rows, as one batch (dropout masks included).

        Parameters
        ----------
        X, y, loss, sample_weight, micro_batch, memory, threads
            As in `fit`.

        Returns
        -------
        loss : float
            Weighted mean.
        gradient : dict of str to array
            By parameter name, in the parameter's shape.
        """
        chosen = losses.get(loss)
        x, targets, weights = prepare(
            self._architecture, chosen, X, y, sample_weight, threads=thread_count(threads)
        )
        session = Session(
            self._architecture,
            self._state,
            chosen,
            labels=targets.labels,
            weighted=weights is not None,
            batch_size=len(x),
            micro_batch=micro_batch,
            memory=memory,
            threads=threads,
            inputs=x,
        )
        step = Accumulation(session)
        step.add_checked(x, targets.array, weights)
        return step.loss, session.mean_gradient()

    def accumulate(
        self,
        *,
        loss: str | Loss = "squared_error",
        optimizer: str | Optimizer = "adam",
        labels: bool | None = None,
        weighted: bool = False,
        batch_size: int = 1024,
        micro_batch: int | str = "auto",
        memory: int | float | str | None = None,
        threads: int | None = None,
    ) -> Accumulation:
        """One update from pieces given by hand: `with net.accumulate(...) as step: step.add(X, y)`.

        The weights stay as they are while pieces are added; leaving the block makes the update of
        the whole batch, to the bit. Leaving it by an exception makes none.

        Parameters
        ----------
        loss, optimizer, micro_batch, memory, threads
            As in `fit`. Pass the same optimizer object every time: it keeps its state.
        labels : bool, optional
            Whether targets are class labels; by default known from the first piece.
        weighted : bool
            Whether pieces come with sample weights.
        batch_size : int
            The largest piece that is expected, for the choice of the micro-batch.

        Returns
        -------
        Accumulation
        """
        chosen_loss, chosen = losses.get(loss), optim.get(optimizer)
        state = self._optimizer_state(chosen)

        def session(piece_labels: bool, piece_weighted: bool) -> Session:
            return Session(
                self._architecture,
                self._state,
                chosen_loss,
                labels=piece_labels,
                weighted=piece_weighted,
                batch_size=batch_size,
                micro_batch=micro_batch,
                memory=memory,
                threads=threads,
                optimizer=chosen,
                optimizer_state=state,
            )

        self._link = chosen_loss.link_for(self.outputs)
        return Accumulation(session, self._architecture, chosen_loss)

    def plan(
        self,
        *,
        batch_size: int,
        micro_batch: int | str = "auto",
        memory: int | float | str | None = None,
        rows: int = 0,
        loss: str | Loss = "squared_error",
        optimizer: str | Optimizer = "adam",
        labels: bool = False,
        weighted: bool = False,
        patience: int | None = None,
        threads: int | None = None,
    ) -> Plan:
        """The exact bytes that training takes, part by part, before anything runs.

        Parameters
        ----------
        batch_size, micro_batch, memory, loss, optimizer, patience, threads
            As in `fit`.
        rows : int
            Rows of the data, whose order is kept while they are shuffled.
        labels, weighted : bool
            Whether targets are class labels, whether rows have weights.

        Returns
        -------
        Plan
            Of a run without a `memory`, whose inputs are large, in memory and wide beside the network, so
            that they are looked through as training reads them, the plan is larger by a copy of the
            optimizer's state.
        """
        chosen = losses.get(loss)
        plan = chosen.plan(self.outputs, labels, self._architecture.final_activation)
        program = self._architecture.training(plan, weighted=weighted)
        wanted = optim.get(optimizer)
        budget = Budget(
            program, len(wanted.states), rows, thread_count(threads),
            1 if patience is None else 2, wanted.clip_global_norm is not None,
        )  # fmt: skip
        return budget.choose(positive("batch_size", batch_size), micro_batch, memory)

    # Use.

    def predict(self, X: ArrayLike, *, threads: int | None = None) -> Array:
        """Output of the network.

        Parameters
        ----------
        X : array, shape (rows, inputs)
        threads : int, optional

        Returns
        -------
        array, shape (rows, outputs)
            Of the network's dtype. A row has the same bits alone and among others.
        """
        return self._prediction.output(X, None, threads)

    def predict_proba(self, X: ArrayLike, *, threads: int | None = None) -> Array:
        """Probabilities (or rates): the output with the link of the loss it was trained with.

        That is the softmax or sigmoid of a cross-entropy, the exponential of a Poisson loss; a
        network that ends with it already is left as it is.

        Returns
        -------
        array, shape (rows, outputs)
        """
        return self._prediction.output(X, self._link, threads)

    @within_memory
    def evaluate(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        loss: str | Loss = "squared_error",
        sample_weight: ArrayLike | None = None,
        memory: int | float | str | None = None,
        threads: int | None = None,
    ) -> float:
        """Weighted mean of the loss over all rows, without dropout.

        Parameters
        ----------
        X, y, loss, sample_weight, threads
            As in `fit`.
        memory : int, float or str, optional
            What the pages of rows in a mapped file may take at a time, such as "100MB".
        """
        chosen = losses.get(loss)
        x, targets, weights = prepare(
            self._architecture, chosen, X, y, sample_weight, threads=thread_count(threads)
        )
        evaluator = self._evaluator(chosen, targets.labels, weights is not None, threads, len(x))
        return evaluator(x, targets.array, weights)

    def evaluate_pieces(
        self,
        pieces: Iterable[tuple[ArrayLike, ArrayLike]],
        *,
        loss: str | Loss = "squared_error",
        threads: int | None = None,
    ) -> float:
        """Mean of the loss over rows that come a piece at a time; the bits of `evaluate` over all of them.

        Parameters
        ----------
        pieces : iterable of (X, y)
            One after another, each as in `fit`. All have the same kind of targets.
        loss, threads
            As in `fit`.

        Raises
        ------
        DataError
            There is no row.
        """
        return mean_over_pieces(self._architecture, self._state, losses.get(loss), pieces, threads)

    # Files.

    def save(self, path: str | Path, extra: Mapping[str, Any] | None = None) -> None:
        """Write the network to one safetensors file, whole or not at all.

        Parameters
        ----------
        path : path
        extra : mapping, optional
            JSON values to keep with it; by default `self.extra`.
        """
        from onefold import model_file

        model_file.save(self, path, extra)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copy: everything that further training depends on, the optimizers' states too."""
        return {
            "layers": self.layers, "inputs": self.inputs, "seed": self.seed, "dtype": self.dtype,
            "extra": self.extra, "link": self._link,
            "updates": self._state.updates, "epochs": self._state.epochs,
            "parameters": self._state.parameters.arrays(),
            "optimizers": [
                (optimizer, state.updates, [part.arrays() for part in state.states])
                for optimizer, state in self._optimizers.items()
            ],
        }  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(  # type: ignore[misc]
            state["layers"], state["inputs"], seed=state["seed"], dtype=state["dtype"]
        )
        self.extra, self._link = state["extra"], state["link"]
        self._state.updates, self._state.epochs = state["updates"], state["epochs"]
        self._state.parameters.assign(state["parameters"])
        for optimizer, updates, parts in state["optimizers"]:
            kept = self._optimizer_state(optimizer)
            kept.updates = updates
            for part, values in zip(kept.states, parts, strict=True):
                part.assign(values)

    def _config(self) -> dict[str, Any]:
        return {
            "layers": [layer_config(layer) for layer in self.layers],
            "inputs": self.inputs,
            "seed": self.seed,
            "dtype": self.dtype,
        }

    @classmethod
    def _from_config(cls, config: Mapping[str, Any]) -> Network:
        layers = [layer_from_config(layer) for layer in config["layers"]]
        return cls(layers, config["inputs"], seed=config["seed"], dtype=config["dtype"])
