"""Networks of tests of vectorized training."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.testing import assert_allclose

from sknestedae import SupervisedAutoencoder

# Weights in float64 differ by no more than this, after 200 steps and more.
ATOL = 1e-5
SMALL = {"n_components": 3, "hidden_layer_sizes": (8,), "max_iter": 10, "batch_size": 16}


def data(n_rows=130, incomplete=True):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 6))
    y = X[:, 0] + X[:, 1] ** 2
    if incomplete:
        X[rng.random(X.shape) < 0.1] = np.nan
        y[::9] = np.nan
    return X, y


def sae(**settings):
    """Make an autoencoder whose score depends on its network, as no Gaussian process predicts."""
    return SupervisedAutoencoder(
        **{**SMALL, "predictor": "network", "random_state": 0, **settings}
    )


def parameters(estimator):
    return [p.detach().cpu().numpy() for p in estimator.net_.module_.parameters()]


def assert_same_fit(one, other):
    for a, b in zip(parameters(one), parameters(other), strict=True):
        assert_allclose(a, b, rtol=0, atol=ATOL)
    pd.testing.assert_frame_equal(one.history_, other.history_, rtol=1e-6)
    assert (one.n_iter_, one.best_iter_) == (other.n_iter_, other.best_iter_)
    ours, theirs = (e.__getstate__()["_fitted"]["net"]["optimizer"] for e in (one, other))
    assert ours.keys() == theirs.keys()
    for key in ours:
        assert_allclose(ours[key], theirs[key], rtol=0, atol=ATOL)
