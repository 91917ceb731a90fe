"""The covariance: its parts, its diagonal, its derivatives."""

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import DotProduct, Matern

from sknestedae._gaussian_process._kernel import (
    Hyperparameters,
    KernelOfRows,
    blocks_of,
    bumps,
    covariance,
    distances,
    matern,
    variance,
)

WIDTHS = (3, 1)
PARAMETERS = Hyperparameters(smooth=1.3, length=1.7, noise=0.2, linear=(0.4, 0.9), additive=0.6)
LOG = np.log([1.3, 1.7, 0.4, 0.9, 0.6, 0.2])


def inputs(n=8, seed=0):
    return np.random.default_rng(seed).normal(size=(n, sum(WIDTHS)))


def test_the_logarithms_are_in_one_order():
    parameters = Hyperparameters.from_log(LOG)
    got = [parameters.smooth, parameters.length, *parameters.linear]
    got += [parameters.additive, parameters.noise]
    np.testing.assert_allclose(got, np.exp(LOG), rtol=1e-15)


def test_blocks_stand_side_by_side():
    X = inputs()
    first, second = blocks_of(X, WIDTHS)
    np.testing.assert_array_equal(np.hstack([first, second]), X)
    assert first.shape[1] == 3


def test_matern_is_one_at_zero_and_falls():
    values = matern(np.linspace(0, 20, 100))
    assert values[0] == 1
    assert (np.diff(values) < 0).all()
    assert 0 < values[-1] < 1e-12


def test_distances_are_those_of_the_rows():
    A, B = inputs(5, 1), inputs(4, 2)
    expected = np.linalg.norm(A[:, None] - B, axis=2)
    np.testing.assert_allclose(distances(A, B), expected, rtol=1e-12)


def test_the_distance_of_equal_rows_is_never_nan():
    """By cancellation, the square may be below zero; its root may be 1e-8 of the row's length."""
    X = 100 * inputs(50, 3)
    assert (distances(X, X).diagonal() < 1e-7 * 1000).all()


def test_covariance_is_the_sum_of_its_terms():
    A, B = inputs(5, 1), inputs(4, 2)
    linear = DotProduct(sigma_0=0, sigma_0_bounds="fixed")
    expected = (
        PARAMETERS.smooth * Matern(PARAMETERS.length, nu=1.5)(A, B)
        + PARAMETERS.linear[0] * linear(A[:, :3], B[:, :3])
        + PARAMETERS.linear[1] * linear(A[:, 3:], B[:, 3:])
        + PARAMETERS.additive * bumps(A) @ bumps(B).T
    )
    np.testing.assert_allclose(covariance(A, B, WIDTHS, PARAMETERS), expected, rtol=1e-12)


def test_bumps_make_functions_of_single_columns():
    """Their products are those of one column after the other, and fall with the distance."""
    A, B = inputs(5, 1), inputs(4, 2)
    columns = [bumps(A[:, [j]]) @ bumps(B[:, [j]]).T for j in range(4)]
    np.testing.assert_allclose(bumps(A) @ bumps(B).T, np.mean(columns, axis=0), rtol=1e-12)
    x = np.linspace(-2, 2, 81)[:, None]
    K = bumps(x) @ bumps(x).T
    # bumps as far apart as they are wide are seen from all places alike, but for the sum's ripple:
    # 2 exp(-pi²) of it, 1e-4; and the product of two is a bell of twice their squared width
    bell = np.exp(-((x - x.T) ** 2) / (4 * 0.6**2))
    np.testing.assert_allclose(K, bell, atol=2e-3)


def test_variance_is_the_diagonal():
    X = inputs()
    expected = covariance(X, X, WIDTHS, PARAMETERS).diagonal()
    # the covariance of a row with itself has its distance from rounding: 1e-8, squared
    np.testing.assert_allclose(variance(X, WIDTHS, PARAMETERS), expected, rtol=1e-13)


def test_the_kernel_of_rows_is_their_covariance():
    X = inputs()
    kernel = KernelOfRows(X, WIDTHS)
    for step in (0.0, 0.3):  # a second call, into the same arrays
        K, _ = kernel.with_gradients(LOG + step)
        expected = covariance(X, X, WIDTHS, Hyperparameters.from_log(LOG + step))
        np.testing.assert_allclose(K, expected, rtol=1e-12)


@pytest.mark.parametrize("position", range(6))
def test_derivatives_agree_with_differences(position):
    kernel, step = KernelOfRows(inputs(), WIDTHS), np.zeros(6)
    step[position] = 1e-5
    derivatives = [D.copy() for D in kernel.with_gradients(LOG)[1]]
    above = kernel.with_gradients(LOG + step)[0].copy()
    below = kernel.with_gradients(LOG - step)[0]
    expected = (above - below) / 2e-5
    got = derivatives[position] if position < 5 else 0.0  # the noise is no part of it
    # the error of central differences: step², here 1e-10, and rounding 1e-16 / step, 1e-11
    np.testing.assert_allclose(got, expected, atol=1e-9)
