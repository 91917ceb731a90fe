"""The covariance of errors as common factors and a diagonal."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sknestedae._latents._covariance import (
    MAX_FACTORS,
    ErrorCovariance,
    common_factors,
    factors_of,
    merge_factors,
    shrink_spikes,
)


def correlated(n_rows, n_numeric, n_factors, rng):
    """Give errors of a variance of 2 in each number, half of it common, and their factors."""
    factors = rng.choice([-1.0, 1.0], size=(n_numeric, n_factors)) / np.sqrt(n_factors)
    scores = rng.normal(size=(n_rows, n_factors))
    return scores @ factors.T + rng.normal(size=(n_rows, n_numeric)), factors


def without_diagonal(products):
    return products - np.diag(np.diag(products))


# -- from the errors of a sample


@pytest.mark.parametrize(("n_rows", "n_numeric"), [(1000, 500), (200, 500)])
def test_what_errors_have_in_common_is_found(n_rows, n_numeric):
    """From products of numbers and from products of rows, whichever are fewer."""
    rng = np.random.default_rng(0)
    error, true = correlated(n_rows, n_numeric, 3, rng)
    found = common_factors(error, None, np.ones(n_rows))
    assert found.shape == (n_numeric, 3)
    expected, given = without_diagonal(true @ true.T), without_diagonal(found @ found.T)
    sample = without_diagonal(error.T @ error / n_rows)
    assert np.linalg.norm(given - expected) < np.linalg.norm(sample - expected)
    # the same in other units, small and large
    scale = np.geomspace(1e-3, 1e3, n_numeric)[:, None]
    scaled = common_factors(error * scale[:, 0], None, np.ones(n_rows)) / scale
    assert_allclose(scaled @ scaled.T, found @ found.T, atol=1e-9)


@pytest.mark.parametrize(("n_rows", "n_numeric"), [(500, 100), (60, 300)])
def test_independent_errors_have_nothing_in_common(n_rows, n_numeric):
    error = np.random.default_rng(0).normal(size=(n_rows, n_numeric))
    # a matrix of noise passes the edge by a little now and then: hardly anything is left of it
    factors = common_factors(error, None, np.ones(n_rows))
    assert (factors**2).sum() < 0.02 * n_numeric


def test_a_number_keeps_a_part_of_its_variance_and_factors_are_few():
    error = np.random.default_rng(0).normal(size=(3000, 1)) @ np.ones((1, 300))
    factors = common_factors(error, None, np.ones(3000))
    assert factors.shape == (300, 1)
    assert_allclose((factors**2).sum(axis=1), 0.98 * (error**2).mean(axis=0))
    rng = np.random.default_rng(0)
    error, _ = correlated(4000, 100, 2 * MAX_FACTORS, rng)
    assert common_factors(error, None, np.ones(4000)).shape == (100, MAX_FACTORS)


@pytest.mark.parametrize(("n_rows", "n_numeric", "left"), [(2000, 40, 1.0), (300, 400, 0.7)])
def test_missing_entries_hardly_weaken_what_is_common(n_rows, n_numeric, left):
    """Of wide rows, by the share of entries that are there: a pair is rarer than a number."""
    rng = np.random.default_rng(0)
    error, _ = correlated(n_rows, n_numeric, 2, rng)
    known = rng.uniform(size=error.shape) < 0.7
    whole = common_factors(error, None, np.ones(n_rows))
    holey = common_factors(error * known, known, np.ones(n_rows))
    expected, given = without_diagonal(whole @ whole.T), without_diagonal(holey @ holey.T)
    assert (given * expected).sum() / (expected**2).sum() == pytest.approx(left, abs=0.1)
    # a kind that is missing as a whole does not touch what its own numbers have in common
    known = np.repeat(rng.uniform(size=(n_rows, 1)) < 0.7, n_numeric, axis=1)
    holey = common_factors(error * known, known, np.ones(n_rows))
    given = without_diagonal(holey @ holey.T)
    assert (given * expected).sum() / (expected**2).sum() == pytest.approx(1, abs=0.1)


def test_a_whole_weight_counts_as_so_many_rows_a_share_as_fewer():
    """Weights of 0 leave rows out; one scale of all weights changes nothing."""
    rng = np.random.default_rng(0)
    error, _ = correlated(400, 30, 2, rng)
    weight = np.repeat([1.0, 0.0], 200)
    some = common_factors(error[:200], None, np.ones(200))
    for factors in (common_factors(error, None, weight), common_factors(error, None, 7 * weight)):
        assert_allclose(factors @ factors.T, some @ some.T, rtol=1e-9, atol=1e-12)


def test_errors_larger_than_numbers_go_have_no_factors():
    error = np.full((5, 3), 1e200)
    with np.errstate(over="ignore"):
        assert common_factors(error, None, np.ones(5)).shape == (3, 0)


def test_an_eigenvalue_of_the_sample_is_brought_back_to_the_true_one():
    """The formulas of the docstring, forward: a true eigenvalue gives a known larger one."""
    ratio, true = 0.5, np.array([3.0, 6.0])
    sample = true * (1 + ratio / (true - 1))
    cosine = (1 - ratio / (true - 1) ** 2) / (1 + ratio / (true - 1))
    assert_allclose(shrink_spikes(sample, ratio), (true - 1) * cosine)
    edge = (1 + np.sqrt(ratio)) ** 2
    assert (shrink_spikes(np.array([0.0, 1.0, edge]), ratio) == 0).all()
    # of many rows the sample is the truth
    assert_allclose(shrink_spikes(np.array([4.0]), 1e-9), [3.0], rtol=1e-6)


def test_a_whole_covariance_is_written_as_factors():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(6, 6)) * np.geomspace(1e-2, 1e2, 6)[:, None]
    covariance = A @ A.T
    factors = factors_of(covariance, np.diag(covariance))
    assert_allclose(without_diagonal(factors @ factors.T), without_diagonal(covariance), atol=1e-9)
    left = 1 - np.diag(factors @ factors.T) / np.diag(covariance)
    assert_allclose(left, left[0], rtol=1e-6)  # one share of each
    scale = np.sqrt(np.diag(covariance))
    least = np.linalg.eigvalsh(covariance / np.outer(scale, scale)).min()
    assert left[0] == pytest.approx(least, rel=1e-6)


def test_two_parts_merge_to_the_mean_of_their_products():
    rng = np.random.default_rng(0)
    scale = np.geomspace(1e-3, 1e3, 30)[:, None]
    one = scale * rng.normal(size=(30, 3))
    two = scale * rng.normal(size=(30, 2))
    merged = merge_factors(one, two, (0.25, 0.75), scale[:, 0] ** 2)
    expected = 0.25 * one @ one.T + 0.75 * two @ two.T
    assert_allclose((merged @ merged.T) / (scale * scale.T), expected / (scale * scale.T))
    # the strongest are kept, in units of the numbers
    many = np.eye(30)[:, :MAX_FACTORS] * np.arange(1, MAX_FACTORS + 1)
    merged = merge_factors(many, 100 * np.eye(30)[:, -1:], (0.5, 0.5), np.ones(30))
    assert merged.shape == (30, MAX_FACTORS)
    # the new one is there, and the weakest of the old ones went
    assert_allclose(np.sum(merged**2, axis=1)[[0, 1, -1]], [0, 2, 5000], atol=1e-9)


# -- of rows of which not all was measured


@pytest.fixture
def setting():
    rng = np.random.default_rng(0)
    covariance = ErrorCovariance(
        torch.from_numpy(rng.uniform(0.5, 2, size=7)), torch.from_numpy(rng.normal(size=(7, 2)))
    )
    known = torch.from_numpy((rng.uniform(size=(5, 7)) < 0.6).astype(float))
    known[0], known[1] = 1, 0  # all, and nothing
    scale = torch.from_numpy(rng.uniform(1, 3, size=5))
    error = torch.from_numpy(rng.normal(size=(5, 7)))
    return covariance, known, scale, error


def dense(covariance):
    return torch.diag(covariance.noise) + covariance.factors @ covariance.factors.T


def test_the_squared_distance_is_that_by_the_covariance_of_what_was_measured(setting):
    covariance, known, scale, error = setting
    whole = dense(covariance)
    assert_allclose(covariance.variance, torch.diagonal(whole))
    given = covariance.of_measured(known, scale).squared_distance(error)
    for i in range(5):
        own = known[i] == 1
        e = error[i, own]
        expected = e @ torch.linalg.solve(whole[own][:, own], e) / scale[i]
        assert given[i].item() == pytest.approx(expected.item(), abs=1e-12)


def test_rows_of_which_the_same_was_measured_share_one_matrix(setting):
    covariance, known, scale, error = setting
    alike = known[2].expand(5, 7)
    errors = covariance.of_measured(alike, scale)
    assert len(errors.root) == 1
    mixed = covariance.of_measured(torch.cat([alike, known[:1]]), torch.cat([scale, scale[:1]]))
    assert len(mixed.root) == 6
    both = torch.cat([error, error[:1]])
    assert_allclose(errors.squared_distance(error), mixed.squared_distance(both)[:5])
    some = torch.tensor([3, 1])
    for all_rows in (errors, covariance.of_measured(known, scale)):
        assert_allclose(
            all_rows.take(some).squared_distance(error[some]),
            all_rows.squared_distance(error)[some],
        )


def test_gradient_and_hessian_are_those_of_half_the_squared_distance(setting):
    covariance, known, scale, error = setting
    rng = np.random.default_rng(1)
    J = torch.from_numpy(rng.normal(size=(5, 7, 3)))
    errors = covariance.of_measured(known, scale)

    def half(z):
        return errors.squared_distance(error + torch.einsum("njk,nk->nj", J, z)) / 2

    z = torch.zeros(5, 3, dtype=torch.float64)
    gradient, hessian = errors.gradient_and_hessian(error, J)
    expected = torch.autograd.functional.jacobian(half, z)
    assert_allclose(gradient, torch.stack([expected[i, i] for i in range(5)]), atol=1e-12)
    for i in range(5):
        second = torch.autograd.functional.hessian(lambda z, i=i: half(z)[i], z)[i, :, i]
        assert_allclose(hessian[i], second, atol=1e-12)


def test_the_expected_errors_are_those_of_a_normal_density_given_a_part(setting):
    covariance, known, scale, error = setting
    whole = dense(covariance)
    given = covariance.of_measured(known, scale).expected(error)
    for i in range(5):
        own, rest = known[i] == 1, known[i] == 0
        solved = torch.linalg.solve(whole[own][:, own], error[i, own])
        assert_allclose(given[i, rest], whole[rest][:, own] @ solved, atol=1e-12)
        assert (given[i, own] == 0).all()


def test_without_factors_errors_are_independent(setting):
    covariance, known, scale, error = setting
    alone = ErrorCovariance(covariance.noise, covariance.factors[:, :0])
    errors = alone.of_measured(known, scale)
    expected = (known * error**2 / alone.noise).sum(dim=1) / scale
    assert_allclose(errors.squared_distance(error), expected)
    assert (errors.expected(error) == 0).all()
