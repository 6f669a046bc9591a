"""Losses: names, options, the targets that they take, and the kernels that compute them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onefold._errors import DataError, DtypeError, OptionError, ShapeError, unknown

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
class Targets:
    """Checked targets: (rows, outputs) numbers, or int32 labels of shape (rows,)."""

    array: Array
    labels: bool = False


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
        return Targets(self._check(_numbers(y, outputs, dtype)))

    def _check(self, y: Array) -> Array:
        return y

    def link_for(self, outputs: int) -> str | None:
        """Activation that turns a linear output into a probability or a rate."""
        return None

    def to_config(self) -> dict[str, Any]:
        """Name and options, JSON-able."""
        return {"name": self.name, **asdict(self)}


def _numbers(y: Array, outputs: int, dtype: np.dtype[Any]) -> Array:
    if y.dtype.kind not in "fiub":
        raise DtypeError(f"y has dtype {y.dtype}; pass numbers (encode classes as 0, 1, 2, ...)")
    if y.ndim == 1 and outputs == 1:
        y = y.reshape(-1, 1)
    if y.ndim != 2 or y.shape[1] != outputs:
        raise ShapeError(
            f"y has shape {y.shape}, the network has {outputs} output{'s' if outputs > 1 else ''}; "
            f"pass y of shape (rows, {outputs})" + (" or (rows,)" if outputs == 1 else "")
        )
    if y.dtype not in (np.float32, np.float64):
        y = y.astype(dtype)
    y = np.ascontiguousarray(y)
    if not np.isfinite(y).all():
        row, column = np.argwhere(~np.isfinite(y))[0]
        raise DataError(
            f"y holds {y[row, column]} in row {row}, column {column}; leave such rows out"
        )
    return y


def _labels(y: Array, outputs: int) -> Array:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.kind not in "iub":
        raise DtypeError(
            f"class labels are integers, y has dtype {y.dtype}; "
            f"pass y.astype(int), or one column a class: shape (rows, {outputs})"
        )
    if len(y) and not (int(y.min()) >= 0 and int(y.max()) < outputs):
        row = int(np.argmax((y < 0) | (y >= outputs)))
        raise DataError(
            f"labels must be 0..{outputs - 1} for {outputs} outputs, found {y[row]} in row {row}"
        )
    return np.ascontiguousarray(y, dtype=np.int32)


def _within(y: Array, low: float, high: float, what: str) -> Array:
    outside = (y < low) | (y > high)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise DataError(f"{what}, found {y[row, column]} in row {row}")
    return y


def _check_option(name: str, value: Any, valid: bool, requirement: str) -> None:
    if not isinstance(value, int | float) or not valid:
        raise OptionError(f"{name} is {requirement}, not {value!r}")


class _Plain(Loss):
    """A loss of the output as it is."""

    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """See `Loss.plan`."""
        return LossPlan(self.name, self._options())

    def _options(self) -> tuple[float, ...]:
        return ()


@dataclass(frozen=True)
class SquaredError(_Plain):
    """Mean over outputs of (z - y)²."""

    name = "squared_error"


@dataclass(frozen=True)
class AbsoluteError(_Plain):
    """Mean over outputs of |z - y|."""

    name = "absolute_error"


@dataclass(frozen=True)
class Huber(_Plain):
    """Half the squared error up to `delta`, linear beyond (Huber 1964), averaged over outputs."""

    name = "huber"
    delta: float = 1.0

    def __post_init__(self) -> None:
        _check_option("delta", self.delta, 0 < self.delta < math.inf, "positive")

    def _options(self) -> tuple[float, ...]:
        return (self.delta,)


@dataclass(frozen=True)
class LogCosh(_Plain):
    """Mean over outputs of log(cosh(z - y))."""

    name = "log_cosh"


@dataclass(frozen=True)
class Quantile(_Plain):
    """The pinball loss of a quantile, from 0 to 1 (Koenker and Bassett 1978)."""

    name = "quantile"
    quantile: float = 0.5

    def __post_init__(self) -> None:
        _check_option("quantile", self.quantile, 0 < self.quantile < 1, "between 0 and 1")

    def _options(self) -> tuple[float, ...]:
        return (self.quantile,)


@dataclass(frozen=True)
class Poisson(Loss):
    """Mean over outputs of rate - y log(rate); a linear output is the logarithm of the rate."""

    name = "poisson"

    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """See `Loss.plan`; other final activations are taken as the rate itself."""
        if final_activation in ("linear", "exponential"):
            return LossPlan("poisson_log", drop_final_activation=final_activation != "linear")
        return LossPlan("poisson", (1e-7,))

    def _check(self, y: Array) -> Array:
        return _within(y, 0, math.inf, "counts are zero or more")

    def link_for(self, outputs: int) -> str | None:
        """The exponential."""
        return "exponential"


@dataclass(frozen=True)
class Gamma(Loss):
    """Mean over outputs of log(mean) + y / mean, half the gamma deviance up to a constant.

    A linear output is the logarithm of the mean.
    """

    name = "gamma"

    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """See `Loss.plan`; other final activations are taken as the mean itself."""
        if final_activation in ("linear", "exponential"):
            return LossPlan("gamma_log", drop_final_activation=final_activation != "linear")
        return LossPlan("gamma", (1e-7,))

    def _check(self, y: Array) -> Array:
        return _within(y, np.finfo(y.dtype).tiny, math.inf, "gamma targets are above zero")

    def link_for(self, outputs: int) -> str | None:
        """The exponential."""
        return "exponential"


def _fused(link: str, final_activation: str, loss: str) -> bool:
    """Whether the final activation is the link; an error where it is neither that nor linear."""
    if final_activation not in ("linear", link):
        raise OptionError(
            f"{loss} takes a linear output layer (its {link} is part of the loss) or one that ends in "
            f"{link!r}, not {final_activation!r}; leave the activation of the last layer out"
        )
    return final_activation == link


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Mean over outputs of the cross-entropy of sigmoid(z); several outputs are several labels."""

    name = "binary_cross_entropy"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)

    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """See `Loss.plan`."""
        fused = _fused("sigmoid", final_activation, self.name)
        return LossPlan(
            "sigmoid_cross_entropy", (self.label_smoothing,), drop_final_activation=fused
        )

    def _check(self, y: Array) -> Array:
        return _within(y, 0, 1, "binary targets are from 0 to 1")

    def link_for(self, outputs: int) -> str | None:
        """The sigmoid."""
        return "sigmoid"


@dataclass(frozen=True)
class CategoricalCrossEntropy(Loss):
    """Cross-entropy of softmax(z) with a distribution for each row, shape (rows, classes)."""

    name = "categorical_cross_entropy"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)

    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """See `Loss.plan`; a final log_softmax changes nothing and may stay."""
        _several(outputs, self.name)
        fused = final_activation != "log_softmax" and _fused("softmax", final_activation, self.name)
        kernel = "softmax_cross_entropy_labels" if labels else "softmax_cross_entropy"
        return LossPlan(kernel, (self.label_smoothing,), labels, fused)

    def _check(self, y: Array) -> Array:
        return _within(y, 0, math.inf, "class weights of a row are zero or more")

    def link_for(self, outputs: int) -> str | None:
        """The softmax."""
        return "softmax"


@dataclass(frozen=True)
class SparseCategoricalCrossEntropy(CategoricalCrossEntropy):
    """Cross-entropy of softmax(z) with one integer class a row, shape (rows,)."""

    name = "sparse_categorical_cross_entropy"

    def targets(self, y: Array, outputs: int, dtype: np.dtype[Any]) -> Targets:
        """See `Loss.targets`."""
        _several(outputs, self.name)
        if (y.ndim == 2 and y.shape[1] != 1) or y.ndim > 2:
            raise ShapeError(f"y has shape {y.shape}; pass one class label a row, shape (rows,)")
        return Targets(_labels(y, outputs), labels=True)


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """The cross-entropy that fits: binary for one output, else by integer labels or by distributions.

    Parameters
    ----------
    label_smoothing : float, default 0
        Share of every target that is spread evenly over the classes (Szegedy et al. 2016).
    """

    name = "cross_entropy"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)

    def _choice(self, outputs: int, labels: bool) -> Loss:
        if outputs == 1:
            return BinaryCrossEntropy(self.label_smoothing)
        if labels:
            return SparseCategoricalCrossEntropy(self.label_smoothing)
        return CategoricalCrossEntropy(self.label_smoothing)

    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """See `Loss.plan`."""
        return self._choice(outputs, labels).plan(outputs, labels, final_activation)

    def targets(self, y: Array, outputs: int, dtype: np.dtype[Any]) -> Targets:
        """See `Loss.targets`: (rows,) integers are labels, (rows, outputs) distributions."""
        labels = outputs > 1 and (y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1))
        return self._choice(outputs, labels).targets(y, outputs, dtype)

    def link_for(self, outputs: int) -> str | None:
        """Sigmoid for one output, else softmax."""
        return "sigmoid" if outputs == 1 else "softmax"


@dataclass(frozen=True)
class Hinge(_Plain):
    """Mean over outputs of max(1 - y z, 0); targets are -1 and 1, or 0 and 1."""

    name = "hinge"

    def _check(self, y: Array) -> Array:
        values = set(np.unique(y).tolist())
        if values <= {-1.0, 1.0}:
            return y
        if values <= {0.0, 1.0}:
            return y * 2 - 1
        found = ", ".join(str(v) for v in sorted(values)[:5])
        raise DataError(f"hinge targets are -1 and 1, or 0 and 1; found {found}")


@dataclass(frozen=True)
class SquaredHinge(Hinge):
    """Mean over outputs of max(1 - y z, 0)²; targets as for `Hinge`."""

    name = "squared_hinge"


@dataclass(frozen=True)
class KLDivergence(Loss):
    """sum y log(y / softmax(z)) over classes; behind other activations z is the distribution."""

    name = "kl_divergence"

    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """See `Loss.plan`."""
        if final_activation in ("linear", "softmax", "log_softmax"):
            return LossPlan(
                "softmax_kl_divergence", drop_final_activation=final_activation == "softmax"
            )
        return LossPlan("kl_divergence", (1e-7,))

    def _check(self, y: Array) -> Array:
        return _within(y, 0, math.inf, "distributions are zero or more")

    def link_for(self, outputs: int) -> str | None:
        """The softmax."""
        return "softmax"


@dataclass(frozen=True)
class CosineSimilarity(_Plain):
    """1 - cos(z, y): Keras's loss plus one, so that 0 is perfect."""

    name = "cosine_similarity"


LossFunction = Callable[[Array, Array, Array], tuple[Any, Any]]


@dataclass(frozen=True)
class CustomLoss(Loss):
    """A loss written in Python.

    Parameters
    ----------
    function : callable
        `f(y_true, y_pred, weight)` gives the loss of every row, shape (rows,), and its derivative
        with respect to `y_pred`, shape (rows, outputs), both with the weight already in them. A
        row's result may depend on that row alone: then the batch can be cut anywhere. `weight` has
        shape (rows,) and is one where no weights were given.
    """

    name = "custom"
    function: LossFunction

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise OptionError(f"CustomLoss takes a function, not {self.function!r}")

    def plan(self, outputs: int, labels: bool, final_activation: str) -> LossPlan:
        """See `Loss.plan`."""
        return LossPlan("host")

    def call(self, y: Array, z: Array, weight: Array) -> tuple[Array, Array]:
        """Call the function and check what it gives."""
        result = self.function(y, z, weight)
        if not isinstance(result, tuple) or len(result) != 2:
            raise ShapeError("a custom loss returns (loss of each row, gradient)")
        loss, gradient = (np.asarray(part, dtype=np.float64) for part in result)
        if loss.shape not in ((len(z),), (len(z), 1)):
            raise ShapeError(
                f"a custom loss returned losses of shape {loss.shape}, not ({len(z)},)"
            )
        if gradient.shape != z.shape and not (z.shape[1] == 1 and gradient.shape == (len(z),)):
            raise ShapeError(
                f"a custom loss returned a gradient of shape {gradient.shape}, not {z.shape}"
            )
        return loss.reshape(-1), gradient.reshape(z.shape)

    def to_config(self) -> dict[str, Any]:
        """Name of the function; it cannot be built again from this."""
        return {"name": self.name, "function": getattr(self.function, "__qualname__", "function")}


def _check_smoothing(value: float) -> None:
    _check_option("label_smoothing", value, 0 <= value < 1, "from 0 up to, not including, 1")


def _several(outputs: int, name: str) -> None:
    if outputs < 2:
        raise OptionError(
            f"{name} needs an output for each class, the network has {outputs}; "
            "give the last layer as many units as there are classes, or use 'binary_cross_entropy'"
        )


_CLASSES: tuple[type[Loss], ...] = (
    SquaredError,
    AbsoluteError,
    Huber,
    LogCosh,
    Quantile,
    Poisson,
    Gamma,
    CrossEntropy,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    SparseCategoricalCrossEntropy,
    Hinge,
    SquaredHinge,
    KLDivergence,
    CosineSimilarity,
)

#: Every loss by name.
LOSSES: dict[str, type[Loss]] = {cls.name: cls for cls in _CLASSES}

#: Other names of the field.
ALIASES: dict[str, str] = {
    "mse": "squared_error",
    "mean_squared_error": "squared_error",
    "mae": "absolute_error",
    "mean_absolute_error": "absolute_error",
    "pinball": "quantile",
    "logcosh": "log_cosh",
    "log_loss": "cross_entropy",
    "bce": "binary_cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
    "categorical_crossentropy": "categorical_cross_entropy",
    "sparse_categorical_crossentropy": "sparse_categorical_cross_entropy",
    "kld": "kl_divergence",
}


def get(loss: str | Loss | LossFunction) -> Loss:
    """A loss from its name, an object, or a function `f(y_true, y_pred, weight)`.

    Raises
    ------
    OptionError
        There is none of that name; says the nearest.
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        name = ALIASES.get(loss, loss)
        if name in LOSSES:
            return LOSSES[name]()
        raise unknown("loss", loss, {*LOSSES, *ALIASES})
    if callable(loss):
        return CustomLoss(loss)
    raise unknown("loss", loss, LOSSES)


def from_config(config: Mapping[str, Any]) -> Loss:
    """The loss that `to_config` described."""
    options = dict(config)
    name = options.pop("name", None)
    if name not in LOSSES:
        raise unknown("loss", name, LOSSES)
    return LOSSES[name](**options)
