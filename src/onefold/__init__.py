"""onefold trains neural networks to the same bits, whatever memory, threads or machine they get."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from onefold._errors import (
    BudgetError,
    DataError,
    DivergedError,
    DtypeError,
    ModelFileError,
    OnefoldError,
    OptionError,
    ShapeError,
    TableError,
)
from onefold.model_file import load
from onefold.network import Network
from onefold.nn import initializers, losses
from onefold.nn.layers import Activation, Dense, Dropout, Embedding, Layer
from onefold.nn.losses import CrossEntropy, CustomLoss, Gamma, Huber, Loss, Poisson, Quantile
from onefold.optim import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Nadam,
    Optimizer,
    RMSprop,
    schedules,
)
from onefold.train.callbacks import Callback, History

if TYPE_CHECKING:
    from onefold.estimators import (
        LossCurveDisplay,
        LossDirectionDisplay,
        MLPClassifier,
        MLPRegressor,
        NetworkClassifier,
        NetworkDisplay,
        NetworkRegressor,
    )

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Activation",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "BudgetError",
    "Callback",
    "CrossEntropy",
    "CustomLoss",
    "DataError",
    "Dense",
    "DivergedError",
    "Dropout",
    "DtypeError",
    "Embedding",
    "Gamma",
    "History",
    "Huber",
    "Layer",
    "Lion",
    "Loss",
    "LossCurveDisplay",
    "LossDirectionDisplay",
    "MLPClassifier",
    "MLPRegressor",
    "ModelFileError",
    "Nadam",
    "Network",
    "NetworkClassifier",
    "NetworkDisplay",
    "NetworkRegressor",
    "OnefoldError",
    "Optimizer",
    "OptionError",
    "Poisson",
    "Quantile",
    "RMSprop",
    "ShapeError",
    "TableError",
    "initializers",
    "load",
    "losses",
    "schedules",
]


def __getattr__(name: str) -> Any:
    """The estimators, which need scikit-learn, are loaded when they are first touched."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("onefold.estimators"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
