"""Tables: where they come from, how they become inputs and targets, how their rows are split.

`penguins.csv` beside this file is the palmerpenguins table (Gorman, Williams and Fraser 2014), CC0.
"""

from pathlib import Path

from onefold.data.columns import read_idx
from onefold.data.encoder import Encoder, EncoderFit
from onefold.data.split import split, split_in_order
from onefold.data.table import Table
from onefold.data.target import Target

__all__ = [
    "PENGUINS",
    "Encoder",
    "EncoderFit",
    "Table",
    "Target",
    "read_idx",
    "split",
    "split_in_order",
]

#: The example table that ships with onefold.
PENGUINS = Path(__file__).with_name("penguins.csv")
