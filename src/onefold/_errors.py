"""The errors that onefold raises, and how they are worded.

A message names the thing, says what was expected and what came, and gives a way out. Each error is
also the built-in kind that people catch.
"""

from __future__ import annotations

from collections.abc import Iterable


class OnefoldError(Exception):
    """Anything that onefold refuses or could not do."""


class ShapeError(OnefoldError, ValueError):
    """An array has the wrong number of rows, columns or dimensions."""


class DtypeError(OnefoldError, TypeError):
    """An array or an argument has the wrong type."""


class DataError(OnefoldError, ValueError):
    """Values that cannot be trained on: NaN, infinities, no rows, labels out of range, bad weights."""


class OptionError(OnefoldError, ValueError):
    """An option has a value outside its range, or a name that does not exist."""


class BudgetError(OnefoldError, ValueError):
    """A memory budget is too small; the message says the least that would do.

    Attributes
    ----------
    least : int
        The bytes that would do; 0 where they are not known.
    """

    def __init__(self, message: str, least: int = 0) -> None:
        super().__init__(message)
        self.least = least


class DivergedError(OnefoldError, ArithmeticError):
    """The loss stopped being finite; the network keeps its last good parameters."""


class TableError(OnefoldError, ValueError):
    """A table cannot be read, or does not have the columns that are needed."""


class ModelFileError(OnefoldError, ValueError):
    """A model file or checkpoint is damaged, of another kind, or could not be written."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """`'; did you mean 'adam'?'`, or nothing when no choice is near."""
    import difflib  # ten milliseconds that only an error is worth

    found = difflib.get_close_matches(name.lower(), list(choices), n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def unknown(kind: str, name: object, choices: Iterable[str]) -> OptionError:
    """The error for a name that is not in `choices`, with the nearest right one."""
    names = sorted(choices)
    hint = nearest(str(name), names)
    return OptionError(f"unknown {kind} {name!r}{hint} (one of: {', '.join(names)})")
