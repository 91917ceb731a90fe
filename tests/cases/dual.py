"""Tables of several kinds, and dual autoencoders of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sknestedae import DualAutoencoder, stack_kinds
from sknestedae.blocks import DenseBlock, ImageBlock, SpectrumBlock

TINY = {
    "n_components": 2,
    "hidden_layer_sizes": (8,),
    "max_iter": 3,
    "random_state": 0,
}
N_ROWS, SHAPE, N_CHANNELS = 30, (4, 5), 8


def latent(n_rows=N_ROWS, seed=0):
    """Draw what all kinds of a row are functions of."""
    return np.random.default_rng(seed).uniform(-1, 1, n_rows)


def images_of(t):
    """Give an image of a spot at t, of shape (n_samples, 4, 5)."""
    row, column = np.mgrid[:4, :5]
    return np.exp(-((row - 1.5 - t[:, None, None]) ** 2 + (column - 2) ** 2) / 2)


def spectra_of(t):
    """Give a peak at t, of shape (n_samples, 8)."""
    return np.exp(-((np.linspace(-1, 1, N_CHANNELS) - t[:, None]) ** 2) / 0.2)


def numbers_of(t):
    """Give a table of a number, an integer and a category."""
    return pd.DataFrame(
        {
            "size": 20 + 3 * t,
            "count": np.round(5 + 4 * t).astype(int),
            "phase": pd.Categorical(np.where(t > 0, "cubic", "hexagonal")),
        }
    )


def two_kinds(n_rows=N_ROWS, seed=0, dtype="float64"):
    """Give a table of images and spectra, and the target."""
    t = latent(n_rows, seed)
    X = stack_kinds(image=images_of(t).astype(dtype), spectrum=spectra_of(t).astype(dtype))
    return X, 3 * t


def three_kinds(n_rows=N_ROWS, seed=0):
    """Give a table of images, spectra, and columns of other kinds, and the target."""
    t = latent(n_rows, seed)
    X = stack_kinds(image=images_of(t), spectrum=spectra_of(t), table=numbers_of(t))
    return X, 3 * t


def blocks_of(invariance=None):
    return [
        ("image", ImageBlock(n_channels=(2,), invariance=invariance), "image"),
        ("spectrum", SpectrumBlock(n_channels=(2,)), "spectrum"),
    ]


def dual(cls=DualAutoencoder, **settings):
    """Make a dual autoencoder of images and spectra; all else is a kind "table"."""
    return cls(**{**TINY, "blocks": blocks_of(), **settings})


def curves(n_rows=80, seed=0, noise=0.0):
    """Give two kinds of three and two numbers, as an array, and what they are functions of."""
    t = latent(n_rows, seed)
    X = np.c_[np.sin(t), t**2, t, np.exp(t), t**3 + 2 * t]
    return X + noise * np.random.default_rng(seed + 1).normal(size=X.shape), t


CURVES = [("a", DenseBlock(), [0, 1, 2]), ("b", DenseBlock(), [3, 4])]


def dual_of_curves(cls=DualAutoencoder, **settings):
    return cls(**{**TINY, "blocks": CURVES, **settings})


def without(X, **rows):
    """Give a table in which some rows lack some kinds."""
    X = X.copy()
    for name, index in rows.items():
        own = [j for j, label in enumerate(X.columns) if label[0] == name]
        for j in own:
            column = X.iloc[:, j].astype(object).to_numpy(copy=True)
            column[index] = None
            values = pd.Series(column, index=X.index)
            dtype = X.dtypes.iloc[j]
            is_numeric = isinstance(dtype, np.dtype)
            X.isetitem(j, values.astype("float64" if is_numeric else dtype))
    return X
