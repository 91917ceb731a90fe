"""Candidates as tensors: from a table and back, and their distances."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from cases.design import arrays, one_scale, problem_of, with_arrays
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


# ---------------------------------------------------------------------------------------------
# Arrays


def test_rows_with_arrays_come_back_from_candidates():
    estimator, X, target = with_arrays()
    problem, known, rows = problem_of(estimator, X, target)
    found = known.to_table(rows, problem.columns)
    pd.testing.assert_frame_equal(found, rows, rtol=1e-5, atol=1e-6)
    assert found["image"][0].dtype == np.float32


def test_candidates_take_the_very_rows_of_a_library():
    estimator, X, target = with_arrays()
    images, _, _ = arrays(4, seed=3)
    problem, known, rows = problem_of(estimator, X, target, library={"image": images})
    (library,) = problem.constraints.libraries
    some = library.place(known.take(np.arange(3)), torch.tensor([2, 0, 2]))
    assert list(some.arrays) == ["spectrum"]
    found = some.to_table(rows, problem.columns, library.arrays)
    assert_array_equal(np.stack(list(found["image"])), images[[2, 0, 2]])
    assert_array_equal(found["u"], rows["u"][:3])


def test_an_array_counts_as_one_column_in_distances():
    """One unit of an image is as far as one standard deviation of a number."""
    estimator, X, target = with_arrays()
    problem, known, _ = problem_of(estimator, X, target)
    columns = problem.columns
    one = known.take(np.zeros(3, dtype=int))
    values, numbers = one.arrays["image"].double().clone(), one.numbers.clone()
    values[1] += torch.from_numpy(1 / (6 * columns.arrays["image"].weight))  # 6 x 6 pixels
    numbers[2] += columns.scale[0]
    one = one._replace(numbers=numbers, arrays={**one.arrays, "image": values})
    steps = np.linalg.norm(embed(one, columns) - embed(one, columns)[0], axis=1)
    assert_allclose(steps, [0, 0.5, 0.5], rtol=1e-6)  # the root of one of four columns
    points, _ = coordinates(one, columns)
    squares = ((points - points[0]) ** 2).mean(axis=1)
    assert_allclose(squares, [0, 1 / 3, 1 / 3], rtol=1e-6)  # one of three that are no category


def test_candidates_that_are_equal_to_earlier_ones_are_told():
    numbers = torch.tensor([[1.0], [1.0], [-0.0], [0.0], [1.0]]).double()
    arrays_of = {"image": torch.tensor([[2.0], [2.0], [0.0], [-0.0], [3.0]])}
    rows = {"spectrum": torch.tensor([1, 1, 0, 0, 1])}
    some = Candidates(numbers, {}, arrays_of, rows)
    assert some.first_of_each().tolist() == [0, 2, 4]
    others = some._replace(rows={"spectrum": torch.tensor([1, 2, 0, 0, 1])})
    assert others.first_of_each().tolist() == [0, 1, 2, 4]
    two = some.take(np.array([4, 0])).joined(some.take(slice(0, 1)))
    assert two.first_of_each().tolist() == [0, 1]
    assert two.arrays["image"].ravel().tolist() == [3, 2, 2]
