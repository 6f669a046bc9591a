"""The interface of the multi-layer perceptrons, held against that of the installed scikit-learn."""

from __future__ import annotations

import inspect
import re
import warnings

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags

import onefold

NAMES = ("MLPClassifier", "MLPRegressor")
DATA = {
    "MLPClassifier": make_classification(120, 5, random_state=0),
    "MLPRegressor": make_regression(120, 5, random_state=0),
}
FITS = [
    {}, {"solver": "sgd", "learning_rate": "adaptive"}, {"solver": "lbfgs"}, {"early_stopping": True},
    {"solver": "lbfgs", "early_stopping": True}, {"warm_start": True},
]  # fmt: skip


def pair(name):
    return getattr(neural_network, name), getattr(onefold, name)


def public(names):
    return {name for name in names if not name.startswith("_")}


def learned(model):
    return {name for name in public(vars(model)) if name.endswith("_")}


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_with_its_place_and_default(name):
    theirs, ours = (inspect.signature(cls).parameters for cls in pair(name))
    shared = [parameter for parameter in ours if parameter in theirs]
    assert shared == list(theirs)
    for parameter, value in theirs.items():
        assert (ours[parameter].kind, ours[parameter].default) == (value.kind, value.default)
    added = [ours[parameter] for parameter in ours if parameter not in theirs]
    assert {parameter.kind for parameter in added} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("name", NAMES)
def test_every_value_that_a_parameter_may_have(name):
    """What scikit-learn's declared constraints allow, ours allow; the names added are more."""
    theirs, ours = (cls._parameter_constraints for cls in pair(name))
    for parameter, allowed in theirs.items():
        wider = [str(constraint) for constraint in ours[parameter]]
        for constraint in allowed:
            options = getattr(constraint, "options", None)
            if options is None:
                assert str(constraint) in wider, parameter
            else:
                found = [getattr(each, "options", set()) for each in ours[parameter]]
                assert any(options <= each for each in found), parameter


@pytest.mark.parametrize("name", NAMES)
def test_every_method_with_its_arguments(name):
    theirs, ours = pair(name)
    assert public(dir(theirs)) <= public(dir(ours))
    for method in public(dir(theirs)):
        if not callable(getattr(theirs, method)):
            continue
        wanted = inspect.signature(getattr(theirs, method)).parameters
        found = inspect.signature(getattr(ours, method)).parameters
        if method.endswith("_request"):  # keywords, in alphabetical order
            assert set(wanted) <= set(found)
            continue
        assert list(found)[: len(wanted)] == list(wanted), method
        for argument, value in wanted.items():
            assert (found[argument].kind, found[argument].default) == (value.kind, value.default)


@pytest.mark.parametrize("options", FITS, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_every_fitted_attribute_and_its_kind(name, options):
    theirs, ours = (cls(max_iter=4, random_state=0, **options) for cls in pair(name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for model in (theirs, ours):
            model.fit(*DATA[name])
    assert learned(ours) == learned(theirs)
    for attribute in learned(theirs):
        wanted, found = getattr(theirs, attribute), getattr(ours, attribute)
        kinds = (float, int, str, list, np.ndarray, type(None))
        assert [isinstance(found, k) for k in kinds] == [isinstance(wanted, k) for k in kinds], (
            attribute
        )


@pytest.mark.parametrize("name", NAMES)
def test_tags(name):
    theirs, ours = pair(name)
    assert get_tags(ours()) == get_tags(theirs())


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_attributes_are_documented(name):
    cls = getattr(onefold, name)
    parameters, attributes = cls.__doc__.split("Attributes\n")
    for parameter in cls().get_params():
        assert re.search(rf"^    (\w+, )*{parameter}(, \w+)* :", parameters, re.M), parameter
    fitted = cls(max_iter=2, early_stopping=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(*DATA[name])
    for attribute in learned(fitted):
        assert attribute in attributes


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown(name):
    """The text names what differs from the defaults, the page for notebooks all parameters."""
    cls = getattr(onefold, name)
    assert repr(cls()) == f"{name}()"
    model = cls(solver=onefold.SGD(0.1), dropout=0.1, max_iter=3)
    assert "SGD(0.1" in repr(model)
    assert "dropout=0.1" in repr(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        page = model.fit(*DATA[name])._repr_html_()
    assert name in page
    assert all(parameter in page for parameter in model.get_params())
