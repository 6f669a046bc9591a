"""Dataclasses from JSON values that came from a file, which anyone may have written."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def build(cls: type[T], values: Any) -> T:
    """An instance of a dataclass from the values of its fields, each of the type that it should have.

    Lists become tuples, whole numbers floats where floats are wanted. Fields with a default may be
    missing.

    Raises
    ------
    ValueError
        No mapping, a field is missing or unknown, or a value has another type; says which.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{cls.__name__} is no mapping")
    hints = get_type_hints(cls)
    names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for name in values:
        if name not in names:
            raise ValueError(f"{cls.__name__} has no field {name!r}")
    given = {name: _typed(value, hints[name], name) for name, value in values.items()}
    try:
        return cls(**given)
    except TypeError as error:  # a field is missing
        raise ValueError(str(error)) from error


def _typed(value: Any, hint: Any, name: str) -> Any:
    """The value as its type hint wants it."""
    kind, inner = get_origin(hint), get_args(hint)
    if kind in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        return _typed(value, next(each for each in inner if each is not type(None)), name)
    if kind is tuple and isinstance(value, list | tuple):
        return tuple(_typed(each, inner[0], name) for each in value)
    if kind is dict and isinstance(value, Mapping):
        return {_typed(k, inner[0], name): _typed(v, inner[1], name) for k, v in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 2**1000 else value
    if hint in (bool, int, float, str) and type(value) is hint:
        return value
    raise ValueError(f"{name} is {value!r:.60}")
