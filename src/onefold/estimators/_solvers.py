"""scikit-learn's solvers as rules of update: its formulas for Adam, momentum and the learning rate."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onefold import optim
from onefold._errors import OptionError
from onefold.optim import SGD, Adam, Optimizer, Schedule
from onefold.optim.schedules import powers
from onefold.train.programs import Architecture
from onefold.train.state import OptimizerState

Array = NDArray[np.float64]

#: Below this an adaptive learning rate stops the training instead of shrinking again.
_LEAST_RATE = 1e-6


class ScikitSGD(SGD):
    """Gradient descent whose momentum may be any number from 0 to 1, as in scikit-learn."""

    def __init__(self, learning_rate: float | Schedule, momentum: float, nesterov: bool) -> None:
        Optimizer.__init__(self, learning_rate)
        self.momentum = float(momentum)
        self.nesterov = bool(nesterov) and self.momentum > 0


class ScikitAdam(Adam):
    """Adam with epsilon beside the root of the second moment before its bias is corrected.

    The step is `rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)`, the form at the
    end of section 2 of Kingma and Ba 2015; `onefold.Adam` has PyTorch's, the one of its algorithm 1.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reached = (0, 1.0, 1.0)  # updates, and the powers of the two decays there

    def own(self, t: Array, rates: Array) -> list[Array | float]:
        """See `Optimizer.own`: the powers go on from the update before, which costs little."""
        last, first_power, second_power = self._reached
        if last != t[0] - 1:
            last = int(t[0]) - 1
            first_power = float(powers(self.beta_1, np.array([float(last)]))[0])
            second_power = float(powers(self.beta_2, np.array([float(last)]))[0])
        first = _continued(first_power, self.beta_1, len(t))
        second = _continued(second_power, self.beta_2, len(t))
        self._reached = (int(t[-1]), float(first[-1]), float(second[-1]))
        return [
            self.beta_1,
            self.beta_2,
            self.epsilon,
            rates * np.sqrt(1 - second) / (1 - first),
            1.0,
        ]


def _continued(power: float, base: float, count: int) -> Array:
    """`power` times base, base^2, ..., base^count, one product after another."""
    factors = np.full(count, base)
    factors[0] *= power
    return np.multiply.accumulate(factors)


def optimizer_for(estimator: Any) -> Optimizer:
    """The rule of update that an estimator's parameters describe."""
    solver = estimator.solver
    if isinstance(solver, Optimizer):
        return copy.deepcopy(solver)  # what a schedule has heard stays out of the user's object
    rate: float | Schedule
    if isinstance(estimator.learning_rate, Schedule):
        rate = copy.deepcopy(estimator.learning_rate)
    else:
        rate = float(estimator.learning_rate_init)
    if solver == "sgd":
        return ScikitSGD(rate, estimator.momentum, estimator.nesterovs_momentum)
    if solver == "adam":
        betas = {"beta_1": float(estimator.beta_1), "beta_2": float(estimator.beta_2)}
        return ScikitAdam(rate, **betas, epsilon=float(estimator.epsilon))
    return optim.get(solver, learning_rate=rate)


class Solver:
    """An optimizer at work: its state, and a learning rate that changes from epoch to epoch.

    Attributes
    ----------
    optimizer : Optimizer
    learning_rate : float or Schedule
        Of the coming update.
    updates : int
        Updates made.
    """

    def __init__(self, estimator: Any) -> None:
        self.optimizer = optimizer_for(estimator)
        rule = estimator.learning_rate
        scaled = isinstance(self.optimizer, ScikitSGD) and not isinstance(rule, Schedule)
        self._rule = rule if scaled else "constant"
        self._initial = float(estimator.learning_rate_init)
        self._power = float(estimator.power_t)
        self._state: OptimizerState | None = None
        self._kept: tuple[int, list[dict[str, NDArray[Any]]]] | None = None  # unpickled

    @property
    def learning_rate(self) -> float | Schedule:
        """Of the coming update."""
        return self.optimizer.learning_rate

    def state_for(self, architecture: Architecture) -> OptimizerState:
        """The arrays that the optimizer keeps for a network, made when they are first asked for."""
        if self._state is None:
            self._state = OptimizerState(architecture, self.optimizer.states)
            if self._kept is not None:
                self._state.updates = self._kept[0]
                for parameters, arrays in zip(self._state.states, self._kept[1], strict=True):
                    parameters.assign(arrays)
                self._kept = None
        return self._state

    def end_epoch(self, rows_seen: int) -> None:
        """Lower the rate of "invscaling"; `rows_seen` counts from the beginning of the fit."""
        if self._rule == "invscaling":
            self._change_rate(self._initial / (rows_seen + 1) ** self._power)

    def stops(self, message: str, verbose: Any) -> bool:
        """Whether training that no longer gets better ends; "adaptive" first tries smaller rates."""
        rate = self.learning_rate
        if self._rule != "adaptive" or not isinstance(rate, float):
            if verbose:
                print(f"{message} Stopping.")
            return True
        if rate <= _LEAST_RATE:
            if verbose:
                print(f"{message} Learning rate too small. Stopping.")
            return True
        self._change_rate(rate / 5)
        if verbose:
            print(f"{message} Setting learning rate to {self.learning_rate:f}")
        return False

    def _change_rate(self, rate: float) -> None:
        """A new rate; the velocity of the weights stays.

        The kernel keeps velocity over minus the rate, so that changes by the ratio of the rates.
        """
        old = self.optimizer.learning_rate
        assert isinstance(old, float)
        if rate == old:
            return
        self.optimizer.learning_rate = rate
        if self._state is not None:
            for parameters in self._state.states:
                parameters.assign({n: a * (old / rate) for n, a in parameters.arrays().items()})

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__ | {"_state": None}
        if self._state is not None:
            state["_kept"] = (self._state.updates, [p.arrays() for p in self._state.states])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def checked_solver(solver: Any) -> None:
    """Refuse a name that no optimizer has."""
    if isinstance(solver, str) and solver not in ("lbfgs", *optim.OPTIMIZERS):
        optim.get(solver)
    if not isinstance(solver, str | Optimizer):
        raise OptionError(f"solver is a name or an onefold optimizer, not {solver!r}")
