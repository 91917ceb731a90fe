"""The covariance: its parts, its diagonal, its derivatives."""

from dataclasses import replace

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
    trace_by_column,
    trace_of_product,
    variance,
)

WIDTHS = (3, 1)
PARAMETERS = Hyperparameters(smooth=1.3, length=1.7, noise=0.2, linear=(0.4, 0.9), additive=0.6)
LOG = np.log([1.3, 1.7, 0.4, 0.9, 0.6, 0.2])
RELEVANCES = (0.5, 1.2, 3.0, 0.8)
UNEQUAL = replace(PARAMETERS, relevances=RELEVANCES)
LOG_UNEQUAL = np.log([1.3, 1.7, 0.4, 0.9, 0.6, *RELEVANCES, 0.2])


def inputs(n=8, seed=0):
    return np.random.default_rng(seed).normal(size=(n, sum(WIDTHS)))


def test_the_logarithms_are_in_one_order():
    parameters = Hyperparameters.from_log(LOG)
    got = [parameters.smooth, parameters.length, *parameters.linear]
    got += [parameters.additive, parameters.noise]
    np.testing.assert_allclose(got, np.exp(LOG), rtol=1e-15)
    np.testing.assert_allclose(PARAMETERS.to_log(), LOG, rtol=1e-15)


def test_the_logarithms_of_relevances_stand_before_that_of_the_noise():
    parameters = Hyperparameters.from_log(LOG_UNEQUAL, 4)
    np.testing.assert_allclose(parameters.relevances, RELEVANCES, rtol=1e-15)
    assert replace(parameters, relevances=()) == Hyperparameters.from_log(LOG)
    np.testing.assert_allclose(parameters.to_log(), LOG_UNEQUAL, atol=1e-15)


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


@pytest.mark.parametrize("parameters", [PARAMETERS, UNEQUAL], ids=["equal", "unequal"])
def test_covariance_is_the_sum_of_its_terms(parameters):
    A, B = inputs(5, 1), inputs(4, 2)
    linear = DotProduct(sigma_0=0, sigma_0_bounds="fixed")
    lengths = parameters.length / np.array(parameters.relevances or 1.0)
    expected = (
        parameters.smooth * Matern(lengths, nu=1.5)(A, B)
        + parameters.linear[0] * linear(A[:, :3], B[:, :3])
        + parameters.linear[1] * linear(A[:, 3:], B[:, 3:])
        + parameters.additive * bumps(A) @ bumps(B).T
    )
    np.testing.assert_allclose(covariance(A, B, WIDTHS, parameters), expected, rtol=1e-12)


def test_columns_of_relevance_one_have_one_length_scale():
    A, B = inputs(5, 1), inputs(4, 2)
    got = covariance(A, B, WIDTHS, replace(PARAMETERS, relevances=(1.0,) * 4))
    np.testing.assert_array_equal(got, covariance(A, B, WIDTHS, PARAMETERS))


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


@pytest.mark.parametrize("parameters", [PARAMETERS, UNEQUAL], ids=["equal", "unequal"])
def test_variance_is_the_diagonal(parameters):
    X = inputs()
    expected = covariance(X, X, WIDTHS, parameters).diagonal()
    # the covariance of a row with itself has its distance from rounding: 1e-8, squared
    np.testing.assert_allclose(variance(X, WIDTHS, parameters), expected, rtol=1e-13)


# -- the covariance among fixed rows


@pytest.mark.parametrize("log", [LOG, LOG_UNEQUAL], ids=["equal", "unequal"])
def test_the_kernel_of_rows_is_their_covariance(log):
    X = inputs()
    kernel = KernelOfRows(X, WIDTHS)
    for step in (0.0, 0.3):  # a second call, into the same arrays
        K, _ = kernel.with_gradient(log + step)
        parameters = Hyperparameters.from_log(log + step, len(log) - 6)
        np.testing.assert_allclose(K, covariance(X, X, WIDTHS, parameters), rtol=1e-12)


@pytest.mark.parametrize("log", [LOG, LOG_UNEQUAL], ids=["equal", "unequal"])
def test_gradients_agree_with_differences(log):
    kernel, matrix = KernelOfRows(inputs(), WIDTHS), symmetric(8, seed=3)
    _, gradient = kernel.with_gradient(log)
    # another matrix before it: the arrays that a call writes to must still hold what it needs
    gradient(np.asfortranarray(np.tril(symmetric(8, seed=4))))
    got = gradient(np.asfortranarray(np.tril(matrix)))
    expected = []
    for step in 1e-5 * np.eye(len(log)):
        above = np.vdot(matrix, kernel.with_gradient(log + step)[0])
        expected.append((above - np.vdot(matrix, kernel.with_gradient(log - step)[0])) / 2e-5)
    assert expected[-1] == 0  # the noise is no part of it
    # the error of central differences of sums of about 100: 100 * step², 100 * 1e-16 / step
    np.testing.assert_allclose(got, expected[:-1], atol=1e-7)


def symmetric(n=6, seed=0):
    root = np.random.default_rng(seed).normal(size=(n, n))
    return root + root.T


def test_trace_of_product():
    A, B = symmetric(seed=1), symmetric(seed=2)
    got = trace_of_product(np.asfortranarray(np.tril(A)), B)
    assert got == pytest.approx(np.trace(A @ B), rel=1e-12)


@pytest.mark.parametrize("triangle", [np.tril, np.triu])
def test_trace_by_column_is_a_sum_over_pairs_of_rows(triangle):
    X, matrix = inputs(6), symmetric()
    squares = (X[:, None] - X) ** 2
    expected = -np.einsum("ab,abj->j", matrix, squares)
    np.testing.assert_allclose(trace_by_column(triangle(matrix), X), expected, rtol=1e-12)
