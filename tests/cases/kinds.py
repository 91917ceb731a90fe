"""A table of images, spectra and numbers, of which rows lack some, and a dual autoencoder."""

import numpy as np
import pandas as pd

from sknestedae import DualAutoencoder
from sknestedae.blocks import ImageBlock, SpectrumBlock

from .arrays import ENERGY, make_images, make_spectra

N_ROWS = 40
KINDS = ["image", "spectrum", "table"]


def make_kinds():
    """Make a table of three kinds; of the rows, by kind, which ones have it."""
    spectra, numbers = make_spectra(N_ROWS)
    parts = {
        "image": pd.DataFrame(make_images(N_ROWS).reshape(N_ROWS, -1)),
        "spectrum": pd.DataFrame(spectra, columns=ENERGY),
        "table": pd.DataFrame(numbers, columns=["centre", "height"]),
    }
    rows = np.arange(N_ROWS)
    present = {"image": rows >= 4, "spectrum": (rows < 30) | (rows >= 35), "table": rows >= 10}
    for name, part in parts.items():
        part.loc[~present[name]] = np.nan
    # of one row a part of each array is missing: it has the kinds, nevertheless
    parts["image"].iloc[20, :3] = np.nan
    parts["spectrum"].iloc[20, 5] = np.nan
    parts["table"].iloc[20, 0] = np.nan
    return pd.concat(parts, axis=1), present


def make_dual(n_components=3, **settings):
    """Make a small dual autoencoder of these kinds; the numbers are the kind "table"."""
    blocks = [
        ("image", ImageBlock((5, 6), n_channels=(2,)), "image"),
        ("spectrum", SpectrumBlock(n_channels=(2,), kernel_size=3), "spectrum"),
    ]
    settings = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0, **settings}
    return DualAutoencoder(n_components, blocks=blocks, **settings)
