"""Spectra and images, and a transformer that knows which of its columns are one array."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from sknestedae.blocks._drawing import draw_values

ENERGY = np.linspace(1.0, 3.0, 24)


def make_spectra(n_samples=40, seed=0):
    """Make peaks of 24 channels, of shape (n_samples, 24), and their (n_samples, 2) centres."""
    rng = np.random.RandomState(seed)
    centre, height = rng.uniform(1.5, 2.5, n_samples), rng.uniform(0.5, 1.0, n_samples)
    spectra = height[:, None] * np.exp(-((ENERGY - centre[:, None]) ** 2) / 0.1)
    return spectra + rng.normal(scale=0.01, size=spectra.shape), np.c_[centre, height]


def make_images(n_samples=40, seed=0):
    """Make discs, of shape (n_samples, 5, 6)."""
    rng = np.random.RandomState(seed)
    row, column = np.mgrid[:5, :6]
    y, x = rng.uniform(1, 3, n_samples), rng.uniform(1, 4, n_samples)
    distance = np.hypot(row - y[:, None, None], column - x[:, None, None])
    return np.exp(-(distance**2)) + rng.normal(scale=0.01, size=distance.shape)


class ShapeOnly(NamedTuple):
    """A layout that is no more than a shape."""

    shape: tuple


class DrawnBlock:
    """A block that draws itself by its shape, and counts how often."""

    n_drawn = 0

    def plot(self, ax, given, decoded, layout, **keywords):
        self.n_drawn += 1
        self.given = given
        return draw_values(ax, given, decoded, layout, **keywords)

    def align(self, decoded, given, known, layout):
        return decoded


class Fitted(NamedTuple):
    """A block as it was fitted: the members that the displays read."""

    block: object
    layout: object
    columns: list


class Compressor(BaseEstimator):
    """Principal components of a table, with blocks of arrays as an autoencoder has them."""

    def __init__(self, n_components=3, blocks=()):
        self.n_components = n_components
        self.blocks = blocks

    def fit(self, X, y=None):
        self.shape_ = np.shape(X)[1:]
        self.columns_ = getattr(X, "columns", None)
        flat = self._flat(X)
        self.n_features_in_ = flat.shape[1]
        self.mean_ = np.nanmean(flat, axis=0)
        self.pca_ = PCA(self.n_components, svd_solver="full").fit(self._fill(X))
        self.blocks_ = {
            name: Fitted(DrawnBlock(), ShapeOnly(shape), columns)
            for name, columns, shape in self.blocks
        }
        if y is not None:
            self.y_shape_ = np.shape(y)[1:]
            self.ridge_ = Ridge().fit(self._fill(X), np.asarray(y).reshape(len(y), -1))
        return self

    def _flat(self, X):
        values = np.asarray(X, dtype=float)
        return values.reshape(len(values), -1)

    def _fill(self, X):
        flat = self._flat(X)
        return np.where(np.isnan(flat), self.mean_, flat)

    def transform(self, X):
        return self.pca_.transform(self._fill(X))

    def inverse_transform(self, Z):
        back = self.pca_.inverse_transform(Z).reshape(-1, *self.shape_)
        return back if self.columns_ is None else pd.DataFrame(back, columns=self.columns_)

    def predict(self, X):
        return self.ridge_.predict(self._fill(X)).reshape(-1, *self.y_shape_)


def make_table(n_samples=40):
    """Make a table of two numbers, a spectrum and an image, and the blocks of the last two."""
    spectra, numbers = make_spectra(n_samples)
    parts = {
        "table": pd.DataFrame(numbers, columns=["centre", "height"]),
        "spectrum": pd.DataFrame(spectra, columns=ENERGY),
        "image": pd.DataFrame(make_images(n_samples).reshape(n_samples, -1)),
    }
    blocks = [
        ("spectrum", list(range(2, 26)), (24,)),
        ("image", list(range(26, 56)), (5, 6)),
    ]
    return pd.concat(parts, axis=1), blocks
