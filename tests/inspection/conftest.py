"""Estimators of a small table, of which one has a stage a scale, and of arrays."""

import numpy as np
import pandas as pd
import pytest
from cases.design import ARRAYS, table_of_arrays
from cases.inspection import TINY, Doubling, two_stages

from sknestedae import SupervisedAutoencoder


@pytest.fixture(scope="module")
def X():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(60, 2)) * [1, 50] + [3, 0], columns=["radius", "energy"])
    X["phase"] = pd.Categorical(np.resize(["cubic", "hexagonal", "tetragonal"], 60))
    X["mass"] = rng.normal(size=60)
    return X


@pytest.fixture(scope="module")
def y(X):
    return X["radius"] * 2 + X["phase"].cat.codes + X["energy"] / 20


@pytest.fixture(scope="module")
def sae(X, y):
    return SupervisedAutoencoder(**TINY).fit(X, y)


@pytest.fixture(scope="module")
def chain(X, y):
    targets = pd.concat({"inner": X[["energy"]], "outer": y.to_frame("y")}, axis=1)
    return two_stages().fit(X, targets)


@pytest.fixture(scope="module")
def with_block(X, y):
    blocks = [("twice", Doubling(), ["energy", "mass"])]
    return SupervisedAutoencoder(blocks=blocks, **TINY).fit(X, y)


@pytest.fixture(scope="module")
def of_arrays():
    X, y = table_of_arrays()
    return SupervisedAutoencoder(**TINY, blocks=ARRAYS).fit(X, y), X
