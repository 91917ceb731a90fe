"""The covariance of a Gaussian process: smooth, linear in each block, additive over columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

# Where the smooth functions of a standardised column have their bumps, and how wide these are.
BUMP_WIDTH = 0.6
CENTRES = BUMP_WIDTH * np.arange(-5, 6)


@dataclass(frozen=True)
class Hyperparameters:
    """The hyperparameters of the covariance, for a target of unit variance.

    Attributes
    ----------
    smooth : float
        Variance of the smooth (Matérn 3/2) term.
    length : float
        Length scale of the smooth term, in the units of the inputs.
    noise : float
        Variance of the noise of a row of weight one.
    linear : tuple of float
        Variance of the coefficients of each block's linear term.
    additive : float
        Variance of the sum of smooth functions of single columns.
    relevances : tuple of float
        For each column, the length scale of the smooth term divided by its own. Empty: all are 1.
    """

    smooth: float
    length: float
    noise: float
    linear: tuple[float, ...]
    additive: float = 0.0
    relevances: tuple[float, ...] = ()

    @classmethod
    def from_log(cls, log_parameters: np.ndarray, n_relevances: int = 0) -> Hyperparameters:
        """Make them from logarithms: smooth, length, linear, additive, relevances, noise."""
        smooth, length, *rest, noise = np.exp(log_parameters).tolist()
        *linear, additive = rest[: len(rest) - n_relevances]
        relevances = tuple(rest[len(rest) - n_relevances :])
        return cls(smooth, length, noise, tuple(linear), additive, relevances)

    def to_log(self) -> np.ndarray:
        """Return their logarithms, in the order of ``from_log``."""
        first, last = (self.smooth, self.length, *self.linear), (*self.relevances, self.noise)
        return np.log([*first, self.additive, *last])

    def scale_columns(self, X: np.ndarray) -> np.ndarray:
        """Return columns in units of their length scales, of shape (n_rows, n_columns)."""
        return X * (np.array(self.relevances or 1.0) / self.length)


def blocks_of(X: np.ndarray, widths: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield the columns of each block, which stand side by side."""
    end = 0
    for width in widths:
        end += width
        yield X[:, end - width : end]


def matern(r: np.ndarray) -> np.ndarray:
    """Compute the Matérn 3/2 correlation (Rasmussen & Williams 2006, eq. 4.17).

    Parameters
    ----------
    r : ndarray
        Distances in units of the length scale.

    Returns
    -------
    ndarray
        Of the shape of r: one at distance zero.
    """
    scaled = np.sqrt(3.0) * r
    return (1.0 + scaled) * np.exp(-scaled)


def distances(A: np.ndarray, B: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Compute the Euclidean distances between the rows of two tables.

    By one matrix product, which is fast. What it loses by cancellation is of the order of the
    rounding error in the *squared* distance, and the Matérn 3/2 correlation depends on that alone
    near zero: the covariance does not see it.

    Returns
    -------
    ndarray of shape (len(A), len(B))
    """
    squares = np.matmul(-2.0 * A, B.T, out=out)
    squares += (A**2).sum(axis=1)[:, None]
    squares += (B**2).sum(axis=1)
    return np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)


def bumps(X: np.ndarray) -> np.ndarray:
    """Compute bell-shaped functions of each column, of which smooth functions are made.

    Their products, summed, are the covariance of a sum of smooth functions of single columns, as
    in a generalised additive model (Duvenaud, Nickisch, Rasmussen, NIPS 24, 226, 2011). By these
    functions it is a matrix product, and no sum over columns for each pair of rows.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        Standardised. Beyond the outermost bumps, the functions go back to zero.

    Returns
    -------
    ndarray of shape (n_rows, n_columns * n_centres)
        With sums of squares of about 1.
    """
    scaled = (X[:, :, None] - CENTRES) / BUMP_WIDTH
    values = np.exp(-0.5 * scaled**2, out=scaled)
    # of one column, the squares of bumps that are as far apart as they are wide sum up to sqrt(pi)
    return values.reshape(len(X), -1) / (np.pi**0.25 * max(X.shape[1], 1) ** 0.5)


def covariance(
    A: np.ndarray, B: np.ndarray, widths: Sequence[int], parameters: Hyperparameters
) -> np.ndarray:
    """Compute the covariance of the function, without noise, between the rows of two tables.

    Parameters
    ----------
    A, B : ndarray of shape (n_a, n_columns), (n_b, n_columns)
    widths : sequence of int
        Numbers of columns of the blocks, with the sum n_columns.
    parameters : Hyperparameters

    Returns
    -------
    ndarray of shape (n_a, n_b)
    """
    scaled = parameters.scale_columns(A), parameters.scale_columns(B)
    result = parameters.smooth * matern(distances(*scaled))
    parts = zip(parameters.linear, blocks_of(A, widths), blocks_of(B, widths), strict=True)
    for variance_of_block, a, b in parts:
        result += variance_of_block * (a @ b.T)
    if parameters.additive:
        result += parameters.additive * (bumps(A) @ bumps(B).T)
    return result


def variance(A: np.ndarray, widths: Sequence[int], parameters: Hyperparameters) -> np.ndarray:
    """Compute the diagonal of ``covariance(A, A, widths, parameters)``.

    Returns
    -------
    ndarray of shape (n_a,)
    """
    result = np.full(len(A), parameters.smooth)
    for variance_of_block, a in zip(parameters.linear, blocks_of(A, widths), strict=True):
        result += variance_of_block * (a**2).sum(axis=1)
    if parameters.additive:
        result += parameters.additive * (bumps(A) ** 2).sum(axis=1)
    return result


class KernelOfRows:
    """The covariance among fixed rows, for many hyperparameters.

    Products of rows are computed once, and each call writes into the same arrays: to allocate
    these anew takes longer than to compute what is in them.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
    widths : sequence of int
        Numbers of columns of the blocks.
    """

    def __init__(self, X: np.ndarray, widths: Sequence[int]) -> None:
        self.X, self.widths = X, tuple(widths)
        factors = [*blocks_of(X, widths), bumps(X)]
        self.products = [values @ values.T for values in factors]
        self.buffers = np.empty((4, len(X), len(X)))

    def with_gradient(
        self, log_parameters: np.ndarray
    ) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Compute the covariance without noise, and a function for gradients in its parameters.

        Parameters
        ----------
        log_parameters : ndarray of shape (n_blocks + 4,) or (n_blocks + 4 + n_columns,)
            Logarithms in the order of ``Hyperparameters.from_log``, without or with relevances.

        Returns
        -------
        covariance : ndarray of shape (n_rows, n_rows)
            Overwritten by the next call.
        gradient : callable
            Of a matrix of shape (n_rows, n_rows), symmetric, of which the lower triangle is given
            and the rest is zero: the trace of its product with each derivative of the covariance,
            of the shape of ``log_parameters`` but for the last, the noise, which is no part of
            this covariance. It holds until the next call.
        """
        n_relevances = len(log_parameters) - len(self.widths) - 4
        parameters = Hyperparameters.from_log(log_parameters, n_relevances)
        columns = np.sqrt(3.0) * parameters.scale_columns(self.X)
        scratch, decay, smooth, K = self.buffers
        distances(columns, columns, out=scratch)
        np.exp(np.negative(scratch, out=decay), out=decay)
        decay *= parameters.smooth
        np.multiply(decay, scratch, out=smooth)
        smooth += decay
        K[:] = smooth
        variances = (*parameters.linear, parameters.additive)
        for variance_of_term, product in zip(variances, self.products, strict=True):
            K += np.multiply(product, variance_of_term, out=scratch)

        def gradient(triangle: np.ndarray) -> np.ndarray:
            by_column = trace_by_column(np.multiply(triangle.T, decay, out=scratch), columns)
            by_variance = [trace_of_product(triangle, product) for product in self.products]
            by_smooth = trace_of_product(triangle, smooth)
            by_relevance = by_column[:n_relevances]
            first = [by_smooth, -by_column.sum(), *np.multiply(variances, by_variance)]
            return np.array([*first, *by_relevance])

        return K, gradient


def trace_of_product(lower_triangle: np.ndarray, D: np.ndarray) -> float:
    """Compute the trace of the product of two symmetric matrices, the first lower triangular.

    The first is in Fortran's order, as LAPACK gives it; the second is read in its own order.
    """
    both = np.vdot(lower_triangle.T, D)
    return 2.0 * both - lower_triangle.diagonal() @ D.diagonal()


def trace_by_column(triangle: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Compute the smooth term of a gradient in the logarithm of each column's relevance.

    The derivative of (1 + r) exp(-r), with r² the sum over columns of squared differences
    (a_j - b_j)², by the logarithm of what column j is multiplied by is -exp(-r) (a_j - b_j)². It
    is summed over all pairs of rows: by a matrix product, without a matrix for each column.

    Parameters
    ----------
    triangle : ndarray of shape (n_rows, n_rows)
        What exp(-r) of each pair is multiplied by, times exp(-r), in one of the triangles.
    columns : ndarray of shape (n_rows, n_columns)

    Returns
    -------
    ndarray of shape (n_columns,)
    """
    of_rows = triangle.sum(axis=0) + triangle.sum(axis=1)
    crossed = np.einsum("ij,ij->j", columns, triangle @ columns)
    # each pair is in the triangle once and counts twice; the diagonal has no differences
    return -2.0 * (of_rows @ columns**2 - 2.0 * crossed)
