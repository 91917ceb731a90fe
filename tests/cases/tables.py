"""Tables of plain numbers, with and without missing entries, and their way through an encoder."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sknestedae._tables._encoder import TableEncoder
from sknestedae._tables._layout import DEFAULT_BLOCK

EPS = np.finfo(np.float64).eps


def numbers(n_rows=60, n_columns=3, seed=0):
    """Draw columns of different means and scales."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, n_columns)) * [0.01, 1, 300] + [5, 0, -1000]


def with_missing(X, share=0.2, seed=1):
    """Leave some entries out."""
    X = X.copy()
    X[np.random.default_rng(seed).random(X.shape) < share] = np.nan
    return X


def rounding(X, n_operations=8):
    """Bound what a few float64 operations lose, relative to the largest value of each column."""
    return n_operations * EPS * np.nanmax(np.abs(X), axis=0)


def encode(X, **settings):
    """Fit on a table and encode it as one block."""
    encoder = TableEncoder(**settings).fit(X)
    return encoder, encoder.transform(X)[DEFAULT_BLOCK]


def round_trip(X, **settings):
    """Encode a table and decode it again."""
    encoder = TableEncoder(**settings).fit(X)
    decoded = {name: block.values for name, block in encoder.transform(X).items()}
    return encoder.inverse_transform(decoded, X.index if isinstance(X, pd.DataFrame) else None)
