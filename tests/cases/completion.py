"""Fitted estimators of tests of completion."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cases.nested import sae, two_scales
from sknestedae import NestedAutoencoder, SupervisedAutoencoder, stack_scales
from sknestedae._estimators._completion import ChainCompleter
from sknestedae._estimators._stages import Stage
from sknestedae._latents._inference import PosteriorModeSearch

LINEAR = {
    "hidden_layer_sizes": (),
    "alpha": 0.0,
    "max_iter": 300,
    "learning_rate_init": 0.03,
    "random_state": 0,
}


def plane(n_rows=200, n_columns=6, seed=0):
    """Give rows on a plane of two dimensions."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, 2)) @ rng.normal(size=(2, n_columns)) + 3


def fitted_plane():
    X = plane()
    return SupervisedAutoencoder(2, **LINEAR).fit(X[:150]), X[150:]


def hide(X, fraction=0.3, seed=0):
    hidden = np.random.default_rng(seed).uniform(size=X.shape) < fraction
    if isinstance(X, pd.DataFrame):
        return X.mask(pd.DataFrame(hidden, X.index, X.columns)), hidden
    return np.where(hidden, np.nan, X), hidden


# ---------------------------------------------------------------------------------------------
# The search


def chain_of(estimator):
    return ChainCompleter([Stage(*stage) for stage in estimator.stages_])


def fitted_chain(**parameters):
    X, y = two_scales()
    chain = NestedAutoencoder([("a", sae(3), "a"), ("b", sae(2), "b")], **parameters)
    return chain.fit(X, y), X, y


def search_of_chain():
    """Give the search of both stages, with rows in which entries are missing."""
    chain, X, _ = fitted_chain()
    completer = chain_of(chain)
    incomplete, _ = hide(X[1], 0.2, seed=3)
    stacked, _ = stack_scales([X[0], incomplete], names=["a", "b"])
    table = chain._read(stacked.loc[["b"]])
    parts = completer.batches(table, range(2), None)
    return PosteriorModeSearch(completer.models, completer.between), parts
