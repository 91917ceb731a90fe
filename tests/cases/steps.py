"""A table and an autoencoder so small that a step is one of few."""

from __future__ import annotations

import numpy as np

from sknestedae import SupervisedAutoencoder

N_EPOCHS = 6
SMALL = {
    "n_components": 2,
    "hidden_layer_sizes": (5,),
    "max_iter": N_EPOCHS,
    "batch_size": 7,
    "random_state": 0,
}


def data(n_rows=20):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 4))
    return X, X[:, 0] + X[:, 1] ** 2


def sae(**settings):
    return SupervisedAutoencoder(**{**SMALL, **settings})
