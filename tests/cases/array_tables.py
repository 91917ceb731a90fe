"""Images and spectra in every spelling of a table, and their way through a codec."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sknestedae._tables._array_codec import ArrayCodec
from sknestedae._tables._base_codec import BlockColumns
from sknestedae._tables._labels import ColumnLabels


def images(n_rows=20, shape=(4, 4), seed=0, dtype=np.float64):
    """Draw images whose pixels have means and deviations of their own."""
    rng = np.random.default_rng(seed)
    mean, scale = rng.uniform(2, 5, shape), rng.uniform(0.1, 2, shape)
    return (rng.normal(size=(n_rows, *shape)) * scale + mean).astype(dtype)


def as_cells(arrays, missing=()):
    """Put arrays into the cells of a column of objects; None in some rows."""
    cells = np.empty(len(arrays), dtype=object)
    for i, array in enumerate(arrays):
        cells[i] = None if i in missing else array
    return cells


def spell(arrays, spelling):
    """Give arrays as a table of one of several spellings."""
    flat = arrays.reshape(len(arrays), -1)
    if spelling == "array":
        return flat
    if spelling == "frame":
        return pd.DataFrame(flat).add_prefix("p")
    if spelling == "blocks of pandas":
        half = flat.shape[1] // 2
        parts = [pd.DataFrame(flat[:, :half]), pd.DataFrame(flat[:, half:])]
        return pd.concat(parts, axis=1, ignore_index=True).add_prefix("p")
    if spelling == "objects":
        return flat.astype(object)
    if spelling == "cells":
        return pd.DataFrame({"x": as_cells(arrays)})
    if spelling == "array of cells":
        return as_cells(arrays)[:, None]
    assert spelling == "lists"
    return pd.DataFrame({"x": as_cells([array.tolist() for array in arrays])})


SPELLINGS = [
    "array",
    "frame",
    "blocks of pandas",
    "objects",
    "cells",
    "array of cells",
    "lists",
]


def codec_of(X, kind="image", positions=None, standardize=True, cell_shape=(), **settings):
    """Make a codec for some columns of a table; for all of them by default."""
    positions = list(range(X.shape[1])) if positions is None else positions
    columns = BlockColumns(positions, ColumnLabels.of(X), standardize, None, cell_shape)
    return ArrayCodec(columns, kind=kind, **settings)


def fitted_codec(X, rows=None, weight=None, **settings):
    """Fit a codec to a table."""
    codec = codec_of(X, **settings)
    return codec.fit(X, codec.prepare(X), rows, weight)
