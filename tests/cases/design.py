"""Estimators and tables of tests of design."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sknestedae import NestedAutoencoder, SupervisedAutoencoder, SupervisedAutoencoderClassifier
from sknestedae._estimators._differentiable import DifferentiableChain
from sknestedae.design._candidates import Candidates
from sknestedae.design._constraints import Constraints
from sknestedae.design._design import candidate_columns
from sknestedae.design._objectives import read_objectives
from sknestedae.design._search import SearchProblem

TINY = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}


def table(n_rows=60, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"u": rng.normal(3, 2, n_rows), "v": rng.normal(size=n_rows)})
    X["kind"] = pd.Categorical(rng.choice(list("pqr"), n_rows))
    X["count"] = rng.integers(1, 9, n_rows)
    return X, X["u"] + X["count"] + (X["kind"] == "p")


def one_scale(**parameters):
    X, y = table()
    return SupervisedAutoencoder(3, **TINY, **parameters).fit(X, y), X, 5.0


def a_classifier():
    X, y = table()
    labels = np.where(y > y.median(), "good", "bad")
    return SupervisedAutoencoderClassifier(3, **TINY).fit(X, labels), X, "good"


def a_chain(of_stages=None, **parameters):
    X, y = table()
    stage = SupervisedAutoencoder(2, **TINY, **(of_stages or {}))
    stages = [("a", stage, ["u", "v"]), ("b", stage, ["kind", "count"])]
    targets = np.column_stack([X["u"] + X["v"], y])
    chain = NestedAutoencoder(stages, random_state=0, **parameters)
    return chain.fit(X, targets), X, {"a": 1.0, "b": "max"}


def problem_of(estimator, X, target, **constraints):
    """Give a search problem, with the known rows as candidates and as a table."""
    chain = DifferentiableChain(estimator)
    rows, _ = chain.known_rows(X)
    columns = candidate_columns(chain, rows)
    limits = {"fixed": None, "bounds": None, "sums": None, **constraints}
    known = Candidates.from_table(rows, columns)
    objectives = read_objectives(target, chain)
    problem = SearchProblem(
        chain.members(), Constraints(columns, **limits), objectives, known, 1.0
    )
    return problem, known, rows
