"""Estimators and tables of tests of design."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sknestedae import NestedAutoencoder, SupervisedAutoencoder, SupervisedAutoencoderClassifier
from sknestedae._estimators._differentiable import DifferentiableChain
from sknestedae.blocks import ImageBlock, SpectrumBlock
from sknestedae.design._candidates import Candidates
from sknestedae.design._constraints import Constraints
from sknestedae.design._design import candidate_columns
from sknestedae.design._objectives import read_objectives
from sknestedae.design._search import SearchProblem

from .array_tables import as_cells
from .structures import atoms_block, salts

TINY = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}


def table(n_rows=60, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"u": rng.normal(3, 2, n_rows), "v": rng.normal(size=n_rows)})
    X["kind"] = pd.Categorical(rng.choice(list("pqr"), n_rows))
    X["count"] = rng.integers(1, 9, n_rows)
    return X, X["u"] + X["count"] + (X["kind"] == "p")


def one_scale(**parameters):
    X, y = table()
    parameters = {"predictor": "network", **parameters}
    return SupervisedAutoencoder(3, **TINY, **parameters).fit(X, y), X, 5.0


def a_classifier():
    X, y = table()
    labels = np.where(y > y.median(), "good", "bad")
    return SupervisedAutoencoderClassifier(3, **TINY).fit(X, labels), X, "good"


def a_chain(of_stages=None, **parameters):
    X, y = table()
    settings = {"predictor": "network", **TINY, **(of_stages or {})}
    stage = SupervisedAutoencoder(2, **settings)
    stages = [("a", stage, ["u", "v"]), ("b", stage, ["kind", "count"])]
    targets = np.column_stack([X["u"] + X["v"], y])
    chain = NestedAutoencoder(stages, random_state=0, **parameters)
    return chain.fit(X, targets), X, {"a": 1.0, "b": "max"}


SIDE, N_CHANNELS = 6, 9
ARRAYS = [
    ("image", ImageBlock(n_channels=(4,)), "image"),
    ("spectrum", SpectrumBlock(n_channels=(4,), kernel_size=3), "spectrum"),
]


def arrays(n_rows=30, seed=0):
    """Give images of a spot and spectra of a peak, and where both are."""
    rng = np.random.default_rng(seed)
    z, grid = rng.normal(size=(n_rows, 2)), np.linspace(-1, 1, SIDE)
    down, right = (0.5 * z[:, k, None, None] for k in (0, 1))
    images = np.exp(-3 * ((grid[:, None] - down) ** 2 + (grid - right) ** 2))
    spectra = np.exp(-((np.linspace(-2, 2, N_CHANNELS) - z[:, :1]) ** 2))
    return images.astype(np.float32), spectra.astype(np.float32), z


def table_of_arrays(n_rows=30, seed=0):
    """Give a table with two columns whose cells hold arrays, and a target."""
    images, spectra, z = arrays(n_rows, seed)
    kinds = pd.Categorical(np.random.default_rng(1).choice(list("pq"), n_rows))
    X = pd.DataFrame(
        {"u": z[:, 1], "image": list(images), "kind": kinds, "spectrum": list(spectra)}
    )
    return X, pd.Series(z[:, 0] + z[:, 1])


def with_arrays(**parameters):
    X, y = table_of_arrays()
    return SupervisedAutoencoder(3, blocks=ARRAYS, **TINY, **parameters).fit(X, y), X, 1.0


def a_chain_with_arrays(**parameters):
    """Give a chain whose two stages have an array each, in blocks of one name."""
    X, y = table_of_arrays()
    first, second = (
        SupervisedAutoencoder(2, blocks=[("shape", block, column)], **TINY)
        for _, block, column in ARRAYS
    )
    stages = [("a", first, ["u", "image"]), ("b", second, ["kind", "spectrum"])]
    chain = NestedAutoencoder(stages, random_state=0, **parameters)
    return chain.fit(X, np.column_stack([X["u"], y])), X, {"a": 0.5, "b": "max"}


def with_structures(**parameters):
    """Give an estimator of structures and a number, and its table."""
    crystals, y = salts()
    X = pd.DataFrame({"structure": as_cells(crystals), "u": np.sin(np.arange(len(y)))})
    blocks = [("crystal", atoms_block(), "structure")]
    return SupervisedAutoencoder(3, blocks=blocks, **TINY, **parameters).fit(X, y), X, "max"


def problem_of(estimator, X, target, **constraints):
    """Give a search problem, with the known rows as candidates and as a table."""
    chain = DifferentiableChain(estimator)
    rows, _ = chain.known_rows(X)
    rows = pd.DataFrame(rows)
    columns = candidate_columns(chain, rows)
    limits = {"fixed": None, "bounds": None, "sums": None, **constraints}
    known = Candidates.from_table(rows, columns)
    objectives = read_objectives(target, chain)
    problem = SearchProblem(
        chain.members(), Constraints(columns, **limits), objectives, known, 1.0
    )
    return problem, known, rows
