"""Acquisition functions: against their definition, and in their limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import norm

from sknestedae.design._acquisition import (
    expected_improvement,
    log_expected_improvement,
    upper_confidence_bound,
)

EPS = np.finfo(float).eps


def tensors(*values):
    return [torch.tensor(value, dtype=torch.float64) for value in values]


@pytest.mark.parametrize(("mean", "std"), [(1.3, 0.5), (0.0, 1.0), (-1.0, 0.8), (-0.4, 2.0)])
def test_expected_improvement_is_the_mean_of_what_is_gained(mean, std):
    """Within five standard errors of a mean over draws."""
    best, n_draws = 0.2, 100_000
    draws = np.random.default_rng(0).normal(mean, std, n_draws)
    gained = np.maximum(draws - best, 0)
    (found,) = expected_improvement(*tensors([mean], [std]), best).numpy()
    assert abs(found - gained.mean()) < 5 * gained.std() / np.sqrt(n_draws)


def test_of_a_sure_value_the_improvement_is_what_it_is_better():
    mean = torch.linspace(-2, 3, 11, dtype=torch.float64)
    expected = (mean.numpy() - 0.5).clip(0)
    at_zero = expected_improvement(mean, torch.zeros(11, dtype=torch.float64), 0.5).numpy()
    assert_allclose(at_zero, expected, atol=0)
    # at the best value itself std / sqrt(2 pi) is gained, and nowhere more than that beside it
    for std in (1e-3, 1e-6):
        spread = torch.full((11,), std, dtype=torch.float64)
        near = expected_improvement(mean, spread, 0.5).numpy()
        assert_allclose(near, expected, atol=std * norm.pdf(0) * (1 + 1e-9))
        assert_allclose(near[5], std * norm.pdf(0), rtol=1e-12)


def test_the_logarithm_is_that_of_the_formula():
    """Where the formula has digits: it loses those of z² and of its small difference."""
    z = np.linspace(-6, 6, 49)
    naive = norm.pdf(z) + z * norm.cdf(z)
    found = log_expected_improvement(*tensors(3 + 2 * z, np.full(49, 2.0)), 3.0).numpy()
    lost = 50 * EPS * norm.pdf(z) / naive
    assert (np.abs(found - np.log(2 * naive)) <= lost + 50 * EPS * np.abs(found)).all()


def test_the_logarithm_has_no_jumps_and_always_a_slope():
    """Also where the improvement is 0 in double precision, and where branches meet."""
    for z in (-1.0, -100.0):
        step = 1e-9
        below, above = log_expected_improvement(
            *tensors([z - step, z + step], [1.0, 1.0]), 0.0
        ).tolist()
        slope = max(abs(z), 1) + 1  # of log phi it is |z|
        assert abs(above - below) <= 2 * step * slope + 1e-11 * abs(below)
    z = torch.tensor([-1e6, -1e3, -101.0, -99.0, -3.0, 0.0, 5.0]).double().requires_grad_()
    value = log_expected_improvement(z, torch.ones(7, dtype=torch.float64), 0.0)
    (slope,) = torch.autograd.grad(value.sum(), z)
    assert torch.isfinite(value).all()
    assert (slope > 0).all()
    assert torch.autograd.gradcheck(
        lambda mean, std: log_expected_improvement(mean, std, 0.3),
        [
            torch.tensor(own).double().requires_grad_()
            for own in ([-8.0, -0.5, 2.0], [0.4, 1.0, 3])
        ],
    )


def test_more_is_gained_of_what_is_better_or_less_sure():
    mean, std = (torch.linspace(a, b, 9, dtype=torch.float64) for a, b in ((-3, 3), (0.1, 2)))
    for by_mean in expected_improvement(mean[:, None], std[None], 0.5).T:
        assert (by_mean.diff() > 0).all()
    for by_std in expected_improvement(mean[:, None], std[None], 0.5):
        assert (by_std.diff() > 0).all()


def test_the_upper_bound_without_a_weight_is_the_mean():
    mean, std = tensors([1.0, -2.0], [0.5, 3.0])
    assert (upper_confidence_bound(mean, std, 0) == mean).all()
    assert_allclose(upper_confidence_bound(mean, std, 1e-9) - mean, 1e-9 * std, rtol=1e-6)
    # a new measurement is below it with the probability that a table of the normal has
    assert_allclose(norm.cdf(upper_confidence_bound(mean, std, 1.96), mean, std), norm.cdf(1.96))
