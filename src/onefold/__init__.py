"""onefold trains neural networks to the same bits, whatever memory, threads or machine they get."""

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
from onefold.nn.layers import Activation, Dense, Dropout, Layer
from onefold.nn.losses import CrossEntropy, CustomLoss, Huber, Loss, Poisson, Quantile
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
    "History",
    "Huber",
    "Layer",
    "Lion",
    "Loss",
    "ModelFileError",
    "Nadam",
    "Network",
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
