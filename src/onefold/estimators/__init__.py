"""Estimators with scikit-learn's interface; each is loaded when it is first touched.

`import onefold` does not import scikit-learn: `onefold.MLPClassifier` does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onefold.estimators.displays import LossCurveDisplay, LossDirectionDisplay, NetworkDisplay
    from onefold.estimators.mlp_classifier import MLPClassifier
    from onefold.estimators.mlp_regressor import MLPRegressor
    from onefold.estimators.network_classifier import NetworkClassifier
    from onefold.estimators.network_regressor import NetworkRegressor

__all__ = [
    "LossCurveDisplay",
    "LossDirectionDisplay",
    "MLPClassifier",
    "MLPRegressor",
    "NetworkClassifier",
    "NetworkDisplay",
    "NetworkRegressor",
]

_MODULES = {
    "MLPClassifier": "mlp_classifier",
    "MLPRegressor": "mlp_regressor",
    "NetworkClassifier": "network_classifier",
    "NetworkRegressor": "network_regressor",
    "LossCurveDisplay": "displays",
    "LossDirectionDisplay": "displays",
    "NetworkDisplay": "displays",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
