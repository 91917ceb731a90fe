"""Candidates as tensors: from a table and back, and their distances."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from cases.design import one_scale, problem_of
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae._estimators._differentiable import DifferentiableChain
from sknestedae.design._candidates import Candidates, coordinates, embed, is_alike
from sknestedae.design._design import candidate_columns


def test_rows_come_back_from_candidates():
    estimator, X, target = one_scale()
    problem, known, rows = problem_of(estimator, X, target)
    pd.testing.assert_frame_equal(known.to_table(rows, problem.columns), rows)


def test_many_candidates_are_joined_at_once():
    estimator, X, target = one_scale()
    _, known, _ = problem_of(estimator, X, target)
    parts = [known.take(np.arange(i, i + 2)) for i in range(0, 6, 2)]
    joined = parts[0].joined(*parts[1:])
    assert joined.n_rows == 6
    assert torch.equal(joined.numbers, known.numbers[:6])
    assert torch.equal(joined.shares[2], known.shares[2][:6])


def test_rows_that_hardly_differ_from_known_ones():
    """The root mean square of the numbers decides, and another category is another row."""
    known, of_known = np.array([[0.0, 0.0], [5.0, 5.0]]), np.array([[0], [1]])
    points = np.array([[0.09, 0.09], [0.11, 0.11], [0.0, 0.13], [5.0, 5.0]])
    codes = np.array([[0], [0], [0], [0]])
    assert_array_equal(is_alike(points, codes, known, of_known), [True, False, True, False])


def test_a_category_that_was_never_seen_is_none_of_those_that_were():
    estimator, X, _ = one_scale()
    X = X.assign(kind=["z", *X["kind"].astype(str)[1:]])
    columns = candidate_columns(DifferentiableChain(estimator), X)
    candidates = Candidates.from_table(X, columns)
    points, codes = coordinates(candidates, columns)
    assert codes[0] == -1
    assert (codes[1:] >= 0).all()
    asked = candidates.take(np.zeros(3, dtype=int))._replace(shares={2: torch.eye(3).double()})
    _, of_asked = coordinates(asked, columns)
    known = points[:1].repeat(3, axis=0)
    assert not is_alike(known, of_asked, points[:1], codes[:1]).any()
    step = embed(asked, columns) - embed(candidates, columns)[0]
    assert_allclose(np.sqrt((step**2).sum(axis=1)), np.sqrt(1 / 4))  # one of four columns
