"""Tables and estimators of tests of several scales."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sknestedae import SupervisedAutoencoder, SupervisedAutoencoderClassifier

TINY = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


def sae(n_components=2, **kwargs):
    # what the tests ask about chains, a process of columns would hide
    return SupervisedAutoencoder(n_components, **{"predictor": "network", **TINY, **kwargs})


def clf(n_components=2, **kwargs):
    return SupervisedAutoencoderClassifier(n_components, **{**TINY, **kwargs})


def crystals(n_rows=40, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"radius": rng.normal(2, 0.3, n_rows), "mass": rng.normal(50, 9, n_rows)})
    return X, (X["radius"] * 2 + rng.normal(0, 0.1, n_rows)).rename("gap")


def cells(n_rows=30, seed=1):
    """Give a table that carries the crystals' columns, with a gap of its own."""
    X, gap = crystals(n_rows, seed)
    rng = np.random.default_rng(seed + 9)
    X["layer"] = pd.Categorical(rng.choice(["TiO2", "SnO2"], n_rows))
    X["thickness"] = rng.integers(1, 9, n_rows)
    y = gap + (X["layer"] == "TiO2") + rng.normal(0, 0.1, n_rows)
    X.loc[3, "layer"] = None
    X.loc[5, "radius"] = np.nan
    return X, y.rename("pce")


def two_scales():
    (first, gap), (second, pce) = crystals(), cells()
    return [first, second], [gap, pce]


def same_rows(n_scales=2, n_rows=40, n_columns=2, seed=0):
    """Give tables of the same rows, with a target each."""
    X = np.random.default_rng(seed).normal(size=(n_rows, n_scales * n_columns))
    tables = [
        pd.DataFrame(
            X[:, k * n_columns :][:, :n_columns], columns=[f"{c}{k}" for c in "uvw"[:n_columns]]
        )
        for k in range(n_scales)
    ]
    return tables, [table.sum(axis=1).rename(f"y{k}") for k, table in enumerate(tables)]


AB = [("a", sae(), ["radius", "mass"]), ("b", sae(), ["layer", "thickness"])]
