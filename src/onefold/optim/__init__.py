"""Optimizers and learning-rate schedules."""

from onefold.optim.adam import Adam, Adamax, AdamW, Nadam
from onefold.optim.optimizer import Optimizer
from onefold.optim.optimizers import (
    OPTIMIZERS,
    SGD,
    Adadelta,
    Adagrad,
    Lion,
    RMSprop,
    from_config,
    get,
)
from onefold.optim.schedules import (
    SCHEDULES,
    Cosine,
    Exponential,
    Inverse,
    OneCycle,
    Polynomial,
    ReduceOnPlateau,
    Schedule,
    Step,
)

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Cosine",
    "Exponential",
    "Inverse",
    "Lion",
    "Nadam",
    "OneCycle",
    "Optimizer",
    "Polynomial",
    "RMSprop",
    "ReduceOnPlateau",
    "Schedule",
    "Step",
    "from_config",
    "get",
]
