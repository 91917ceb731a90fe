"""Outputs of a chain's stages, put together; the rest is in test_nested and test_members."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae._estimators._outputs import join_columns, mean_of_members


def test_members_agree_on_a_class_by_their_mean_probability():
    """Two members are for a class by little, one is against it by much."""
    p = [np.array([[0.6, 0.4]]), np.array([[0.6, 0.4]]), np.array([[0.1, 0.9]])]
    numbers = [np.array([1.0]), np.array([2.0]), np.array([6.0])]
    outputs = [{0: a, 1: b} for a, b in zip(p, numbers, strict=True)]
    means, spreads = mean_of_members(outputs, {0: np.array(["no", "yes"])})
    assert_array_equal(means[0], ["yes"])
    assert_allclose(spreads[0], np.std([0.4, 0.4, 0.9], ddof=1))
    assert_allclose((means[1], spreads[1]), ([3.0], [np.sqrt(7)]))


def test_the_spread_of_a_class_is_that_of_its_own_probability():
    """Members are of one mind on the class that is chosen, and not on the two others."""
    p = [
        np.array([[0.5, 0.5, 0.0], [0.2, 0.1, 0.7]]),
        np.array([[0.5, 0.1, 0.4], [0.6, 0.1, 0.3]]),
    ]
    means, spreads = mean_of_members([{3: own} for own in p], {3: np.array(["a", "b", "c"])})
    assert_array_equal(means[3], ["a", "c"])
    assert_allclose(spreads[3], [0, np.std([0.7, 0.3], ddof=1)], atol=1e-15)


def test_columns_are_joined_by_position():
    numbers = {2: np.array([3, 4]), 0: np.array([1.5, 2.5])}
    assert_array_equal(join_columns(numbers), [[1.5, 3], [2.5, 4]])
    mixed = join_columns({**numbers, 1: np.array(["a", "b"])})
    assert mixed.dtype == object
    assert mixed.tolist() == [[1.5, "a", 3], [2.5, "b", 4]]
