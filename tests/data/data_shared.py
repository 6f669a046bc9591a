"""What the tests of tables share."""

from __future__ import annotations

import itertools

import numpy as np

from onefold.data import EncoderFit, Table


def learn(source, pieces=1, **options):
    table = Table(source)
    fit = EncoderFit(table.kinds, **options)
    whole = {name: table.column(name) for name in table.kinds}
    rows = len(next(iter(whole.values())))
    cuts = np.linspace(0, rows, pieces + 1).astype(int)
    for begin, end in itertools.pairwise(cuts):
        fit.add({name: column[begin:end] for name, column in whole.items()}, int(begin))
    return fit.finish()


def encode(encoder, source):
    table = Table(source)
    return encoder.encode({name: table.column(name) for name in table.kinds})
