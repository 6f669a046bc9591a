"""Embeddings: codes of categories become vectors that are learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onefold._errors import OptionError, ShapeError
from onefold.nn import initializers
from onefold.nn.layer import Forward, Layer, ParameterSpec, V

SIZE = 8
#: Codes are numbers of the network's type, and in float32 whole numbers are exact up to here.
_MOST_CATEGORIES = 1 << 24


class Embedding(Layer):
    """Columns that hold codes of categories become vectors, one learned for each category.

    A row of the output is the other columns in their order, then the vector of each embedded column, in
    the order in which they are given.

    Parameters
    ----------
    categories : mapping of int to int
        For each column of codes, how many categories it has: its codes are 0 to one less.
    size : int or mapping of int to int, default 8
        Length of the vectors, of all columns or by column. 8 is what RealMLP takes for any number of
        categories (Holzmueller et al. 2024).
    initializer : str or Initializer, default "uniform"
        First values; by default uniform from -0.05 to 0.05, as in Keras.

    Raises
    ------
    OptionError
        No column, or one, a number of categories or a size that cannot be.

    Notes
    -----
    Parameters are `column_3` and the like, shape (categories, size). The layer stands first, or after
    other embeddings: codes are read from the data, where they are checked before anything runs.
    The gradient of a category's vector is the sum over its rows, one chain in their order.

    Examples
    --------
    >>> Embedding({3: 1000, 5: 40})
    Embedding({3: 1000, 5: 40}, size=8)
    """

    kind = "embedding"
    code = 3

    def __init__(
        self,
        categories: Mapping[int, int],
        size: int | Mapping[int, int] = SIZE,
        *,
        initializer: str | initializers.Initializer = "uniform",
    ) -> None:
        if not isinstance(categories, Mapping) or not categories:
            raise OptionError(
                "Embedding takes a mapping of columns to their numbers of categories, such as "
                f"{{3: 1000}}, not {categories!r}"
            )
        self.categories = {
            _whole("a column", column, 0): _whole("a number of categories", count, 1)
            for column, count in categories.items()
        }
        if max(self.categories.values()) > _MOST_CATEGORIES:
            raise OptionError(f"a column has {_MOST_CATEGORIES:,} categories at most")
        sizes = size if isinstance(size, Mapping) else dict.fromkeys(self.categories, size)
        if set(sizes) != set(self.categories):
            raise OptionError(
                f"size is a number, or one for each column of {list(self.categories)}, not {size!r}"
            )
        self.sizes = {column: _whole("a size", sizes[column], 1) for column in self.categories}
        self.initializer = initializers.get(initializer)

    @property
    def codes(self) -> Mapping[int, int]:
        """The columns of codes and their numbers of categories."""
        return self.categories

    def outputs(self, inputs: int) -> int:
        """The other columns and all vectors side by side."""
        return inputs - len(self.categories) + sum(self.sizes.values())

    def passed(self, inputs: int) -> list[int | None]:
        """See `Layer.passed`."""
        others = [column for column in range(inputs) if column not in self.categories]
        return [*others, *[None] * sum(self.sizes.values())]

    def parameters(self, inputs: int) -> list[ParameterSpec]:
        """A table of vectors for each column.

        Raises
        ------
        ShapeError
            The input has not so many columns.
        """
        last = max(self.categories)
        if last >= inputs:
            raise ShapeError(f"{self!r} has codes in column {last}, its input has {inputs} columns")
        return [
            ParameterSpec(f"column_{column}", (count, self.sizes[column]), self.initializer)
            for column, count in self.categories.items()
        ]

    def declare(
        self, program: Forward[V], x: V, first: int, key: int, *, activate: bool = True
    ) -> V:
        """See `Layer.declare`."""
        return program.embedding(x, list(self.categories), first)

    def config(self) -> dict[str, Any]:
        """See `Layer.config`."""
        return {
            "categories": [list(item) for item in self.categories.items()],
            "sizes": list(self.sizes.values()),
            "initializer": self.initializer.to_config(),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Embedding:
        """The layer that `config` described."""
        categories = dict(config["categories"])
        return cls(
            categories,
            dict(zip(categories, config["sizes"], strict=True)),
            initializer=initializers.from_config(config["initializer"]),
        )

    def __repr__(self) -> str:
        sizes = set(self.sizes.values())
        return (
            f"Embedding({self.categories}, size={sizes.pop() if len(sizes) == 1 else self.sizes})"
        )


def _whole(what: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < least:
        raise OptionError(
            f"{what} of an Embedding is a whole number from {least} up, not {value!r}"
        )
    return int(value)
