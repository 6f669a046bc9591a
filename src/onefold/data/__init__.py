"""Tables: sources, encoders, and the split into parts.

`penguins.csv` beside this file is the palmerpenguins table (Gorman, Williams and Fraser 2014), CC0.
"""

from pathlib import Path

from onefold.data.encoder import Encoder
from onefold.data.source import CsvSource, Source
from onefold.data.split import split
from onefold.data.target import Target

__all__ = ["PENGUINS", "CsvSource", "Encoder", "Source", "Target", "split"]

#: The example table that ships with onefold.
PENGUINS = Path(__file__).with_name("penguins.csv")
