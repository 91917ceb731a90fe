"""Tables and settings of tests of one scale."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.datasets import make_regression

TINY = {
    "n_components": 2,
    "hidden_layer_sizes": (8,),
    "predictor_hidden_layer_sizes": (8,),
    "max_iter": 5,
    "random_state": 0,
}


def regression(n_samples=60, n_features=4, **kwargs):
    return make_regression(n_samples, n_features, noise=1.0, random_state=0, **kwargs)


def mixed_table(n_samples=60):
    """Give a table with missing values, of numbers, integers, words, categories and booleans."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "radius": rng.normal(2, 0.3, n_samples),
            "count": rng.integers(0, 9, n_samples),
            "layer": rng.choice(["TiO2", "SnO2", "ZnO"], n_samples),
            "phase": pd.Categorical(rng.choice(["a", "b"], n_samples), categories=["a", "b", "c"]),
            "mixed": rng.random(n_samples) > 0.5,
        },
        index=[f"row {i}" for i in range(n_samples)],
    )
    y = X["radius"] * 3 + (X["layer"] == "ZnO") + rng.normal(0, 0.1, n_samples)
    X.loc[X.index[3], "radius"] = np.nan
    X.loc[X.index[5], "layer"] = None
    return X, y.rename("gap")
