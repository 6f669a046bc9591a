"""Plots of fitted estimators: the losses of the fit, the network, the loss around its weights.

For onefold's estimators; what needs `coefs_` and `loss_curve_` alone takes scikit-learn's MLP too.
matplotlib is an extra, imported when something is plotted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from onefold._errors import DataError, OnefoldError, OptionError
from onefold.estimators.directions import along_direction

Array = NDArray[Any]


class MissingLibraryError(OnefoldError, ImportError):
    """A library that onefold can do without is needed for this."""


def _axes(display: Any, ax: Any, width: float, height: float) -> Any:
    """The axes to draw on: those given, or those of a new figure; the display remembers them."""
    try:
        from matplotlib import pyplot
    except ModuleNotFoundError as error:
        raise MissingLibraryError(
            f"{type(display).__name__}.plot needs matplotlib; install it with: "
            "pip install 'onefold[report]'"
        ) from error
    if ax is None:
        _, ax = pyplot.subplots(figsize=(width, height), layout="constrained")
        ax.spines[["top", "right"]].set_visible(False)
    display.ax_, display.figure_ = ax, ax.figure
    return ax


class LossCurveDisplay:
    """Training and validation loss by epoch of one fit.

    Not to be confused with `sklearn.model_selection.LearningCurveDisplay`, which shows a score by the
    number of rows.

    Parameters
    ----------
    loss : sequence of float
        Training loss of every epoch.
    validation_loss : sequence of float, optional
    validation_score : sequence of float, optional
        Where early stopping looks at a score; drawn on an axis of its own.
    best_epoch : int, optional
        The epoch (from 0) whose weights were kept.

    Attributes
    ----------
    ax_, figure_ : matplotlib axes and figure
    lines_ : list of matplotlib lines

    Examples
    --------
    >>> import onefold as of
    >>> display = of.LossCurveDisplay([0.9, 0.5, 0.4], [1.0, 0.7, 0.8], best_epoch=1)
    >>> len(display.plot().lines_)
    2
    """

    def __init__(
        self,
        loss: Sequence[float],
        validation_loss: Sequence[float] | None = None,
        validation_score: Sequence[float] | None = None,
        *,
        best_epoch: int | None = None,
    ) -> None:
        if not len(loss):
            raise DataError("a loss curve needs the loss of at least one epoch, found none")
        self.loss = list(loss)
        self.validation_loss = None if validation_loss is None else list(validation_loss)
        self.validation_score = None if validation_score is None else list(validation_score)
        self.best_epoch = best_epoch

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> LossCurveDisplay:
        """Plot the losses of a fitted estimator.

        Parameters
        ----------
        estimator : fitted NetworkClassifier, NetworkRegressor, MLPClassifier or MLPRegressor
        ax : matplotlib axes, optional

        Returns
        -------
        LossCurveDisplay
        """
        estimator = _last_step(estimator)
        if not hasattr(estimator, "loss_curve_"):
            why = ": the solver 'lbfgs' keeps none" if hasattr(estimator, "coefs_") else ""
            raise OptionError(
                f"{type(estimator).__name__} has no loss curve{why}; pass NetworkClassifier, "
                "NetworkRegressor, or MLPClassifier or MLPRegressor with another solver, fitted"
            )
        scores = getattr(estimator, "validation_scores_", None)
        best = len(estimator.loss_curve_) if scores is None else int(np.argmax(scores)) + 1
        best = getattr(estimator, "best_iteration_", best)
        display = cls(
            estimator.loss_curve_,
            getattr(estimator, "validation_loss_curve_", None),
            scores,
            best_epoch=best - 1 if best < len(estimator.loss_curve_) else None,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> LossCurveDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib axes, optional
            A new figure by default.

        Returns
        -------
        self

        Raises
        ------
        MissingLibraryError
            matplotlib is not installed.
        """
        ax = _axes(self, ax, 6, 3.6)
        from onefold.estimators import drawing

        curves = {"loss": self.loss}
        if self.validation_loss is not None:
            curves["val_loss"] = self.validation_loss
        self.lines_ = drawing.loss_curves(ax, curves, self.best_epoch)
        if self.validation_score is not None:
            self.lines_.append(drawing.score_curve(ax, self.validation_score))
        return self


class NetworkDisplay:
    """Layers, neurons and synapses of a network: blue is a positive weight, orange a negative one.

    Of a wide layer the neurons with the largest weights are drawn.

    Parameters
    ----------
    weights : sequence of arrays, shape (inputs, units)
        Of every layer.
    input_names, output_names : sequence of str, optional

    Attributes
    ----------
    ax_, figure_ : matplotlib axes and figure
    synapses_ : list of matplotlib line collections
        Between each two layers.
    """

    def __init__(
        self,
        weights: Sequence[Array],
        *,
        input_names: Sequence[str] = (),
        output_names: Sequence[str] = (),
    ) -> None:
        if not len(weights):
            raise DataError("a network has at least one layer of weights, found none")
        self.weights = [np.asarray(w) for w in weights]
        self.input_names, self.output_names = list(input_names), list(output_names)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        neurons: int = 16,
        ax: Any = None,
    ) -> NetworkDisplay:
        """Plot the network of a fitted estimator.

        Parameters
        ----------
        estimator : fitted NetworkClassifier, NetworkRegressor, MLPClassifier or MLPRegressor
        input_names, output_names : sequence of str, optional
            By default those of the columns and classes.
        neurons : int, default 16
            That are drawn of a layer at most.
        ax : matplotlib axes, optional

        Returns
        -------
        NetworkDisplay
        """
        estimator = _last_step(estimator)
        display = cls(
            _weights(estimator),
            input_names=_input_names(estimator) if input_names is None else input_names,
            output_names=_output_names(estimator) if output_names is None else output_names,
        )
        return display.plot(neurons=neurons, ax=ax)

    def plot(self, *, neurons: int = 16, ax: Any = None) -> NetworkDisplay:
        """Draw.

        Parameters
        ----------
        neurons : int, default 16
            That are drawn of a layer at most.
        ax : matplotlib axes, optional
            A new figure by default.

        Returns
        -------
        self

        Raises
        ------
        MissingLibraryError
            matplotlib is not installed.
        """
        if isinstance(neurons, bool) or not hasattr(neurons, "__index__") or int(neurons) < 1:
            raise OptionError(f"neurons is a number from 1 up, not {neurons!r}")
        ax = _axes(self, ax, 3 + 1.7 * len(self.weights), 4.6)
        from onefold.estimators import drawing

        self.synapses_ = drawing.network(
            ax, self.weights, self.input_names, self.output_names, int(neurons)
        )
        return self


class LossDirectionDisplay:
    """The loss along a random direction through the weights (Li et al. 2018).

    Steps are shares of each neuron's own norm, so networks can be compared: in a flat valley the loss
    rises slowly on both sides.

    Parameters
    ----------
    steps, losses : sequences of float

    Attributes
    ----------
    ax_, figure_ : matplotlib axes and figure
    line_ : matplotlib line
    """

    def __init__(self, steps: Sequence[float], losses: Sequence[float]) -> None:
        self.steps, self.losses = np.asarray(steps, float), np.asarray(losses, float)
        if self.steps.shape != self.losses.shape or self.steps.ndim != 1 or not len(self.steps):
            raise DataError(
                f"steps has shape {self.steps.shape}, losses {self.losses.shape}; pass as many of "
                "one as of the other, at least one"
            )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        steps: int = 41,
        distance: float = 1.0,
        random_state: int = 0,
        ax: Any = None,
    ) -> LossDirectionDisplay:
        """Measure the loss of a fitted estimator around its weights, and plot it.

        Parameters
        ----------
        estimator : fitted NetworkClassifier, NetworkRegressor, MLPClassifier or MLPRegressor
        X, y, sample_weight
            Rows to measure on.
        steps : int, default 41
            Points; an odd number has the network itself among them.
        distance : float, default 1
            How far to both sides, in norms of the weights.
        random_state : int, default 0
            Of the direction.
        ax : matplotlib axes, optional

        Returns
        -------
        LossDirectionDisplay
        """
        if isinstance(steps, bool) or not hasattr(steps, "__index__") or int(steps) < 3:
            raise OptionError(f"steps is a number from 3 up, not {steps!r}")
        if not distance > 0:
            raise OptionError(f"distance is a number above 0, not {distance!r}")
        whole, estimator = _best(estimator), _last_step(estimator)
        if whole is not estimator and len(whole.steps) > 1:
            X = whole[:-1].transform(X)
        if not hasattr(estimator, "_evaluation"):
            raise OptionError(
                f"{type(estimator).__name__} is not an estimator of onefold; pass NetworkClassifier, "
                "NetworkRegressor, MLPClassifier or MLPRegressor, fitted"
            )
        line = along_direction(
            **estimator._evaluation(X, y, sample_weight),
            steps=int(steps),
            distance=float(distance),
            seed=int(random_state),
        )
        return cls(*zip(*line, strict=True)).plot(ax=ax)

    def plot(self, ax: Any = None) -> LossDirectionDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib axes, optional
            A new figure by default.

        Returns
        -------
        self

        Raises
        ------
        MissingLibraryError
            matplotlib is not installed.
        """
        ax = _axes(self, ax, 6, 3.6)
        from onefold.estimators import drawing

        points = list(zip(self.steps.tolist(), self.losses.tolist(), strict=True))
        self.line_ = drawing.direction(ax, points)
        return self


def _best(estimator: Any) -> Any:
    """The fitted estimator itself, or the best one of a search."""
    check_is_fitted(estimator)
    return getattr(estimator, "best_estimator_", estimator)


def _last_step(estimator: Any) -> Any:
    """The fitted estimator itself, or the one at the end of a pipeline, or the best of a search."""
    estimator = _best(estimator)
    return estimator[-1] if hasattr(estimator, "steps") else estimator


def _weights(estimator: Any) -> list[Array]:
    if hasattr(estimator, "network_"):
        network = estimator.network_
        return [network.parameters[name] for name in network.weight_names]
    if hasattr(estimator, "coefs_"):
        return list(estimator.coefs_)
    raise OptionError(
        f"{type(estimator).__name__} has no network; pass NetworkClassifier, NetworkRegressor, "
        "MLPClassifier or MLPRegressor, fitted"
    )


def _input_names(estimator: Any) -> list[str]:
    if hasattr(estimator, "_inputs"):
        return list(estimator._inputs.names(estimator))
    return [str(name) for name in getattr(estimator, "feature_names_in_", ())]


def _output_names(estimator: Any) -> list[str]:
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        return []
    if isinstance(classes, list):
        return [f"{i}: {name}" for i, part in enumerate(classes) for name in part]
    return [str(name) for name in (classes[1:] if len(classes) == 2 else classes)]
