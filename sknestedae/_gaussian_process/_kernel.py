"""The covariance of a Gaussian process: smooth, linear in each block, additive over columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """

    smooth: float
    length: float
    noise: float
    linear: tuple[float, ...]
    additive: float = 0.0

    @classmethod
    def from_log(cls, log_parameters: np.ndarray) -> Hyperparameters:
        """Make them from their logarithms: smooth, length, linear terms, additive, noise."""
        smooth, length, *linear, additive, noise = np.exp(log_parameters).tolist()
        return cls(smooth, length, noise, tuple(linear), additive)

    def to_log(self) -> np.ndarray:
        """Give their logarithms, in the order of ``from_log``."""
        return np.log([self.smooth, self.length, *self.linear, self.additive, self.noise])


def blocks_of(X: np.ndarray, widths: Sequence[int]) -> Iterator[np.ndarray]:
    """Give the columns of each block, which stand side by side."""
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


def distances(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Compute the Euclidean distances between the rows of two tables.

    By one matrix product, which is fast. What it loses by cancellation is of the order of the
    rounding error in the *squared* distance, and the Matérn 3/2 correlation depends on that alone
    near zero: the covariance does not see it.

    Returns
    -------
    ndarray of shape (len(A), len(B))
    """
    squares = (A**2).sum(axis=1)[:, None] + (B**2).sum(axis=1) - 2.0 * (A @ B.T)
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
    result = parameters.smooth * matern(distances(A, B) / parameters.length)
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

    Distances and products of rows are computed once, and each call writes into the same arrays:
    to allocate these anew takes longer than to compute what is in them.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
    widths : sequence of int
        Numbers of columns of the blocks.
    """

    def __init__(self, X: np.ndarray, widths: Sequence[int]) -> None:
        self.distances = distances(X, X)
        factors = [*blocks_of(X, widths), bumps(X)]
        self.products = [values @ values.T for values in factors]
        self.buffers = np.empty((len(self.products) + 5, len(X), len(X)))

    def with_gradients(self, log_parameters: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Compute the covariance without noise, and its derivatives.

        Parameters
        ----------
        log_parameters : ndarray of shape (n_blocks + 4,)
            Logarithms in the order of ``Hyperparameters.from_log``.

        Returns
        -------
        covariance : ndarray of shape (n_rows, n_rows)
        gradients : list of ndarray of shape (n_rows, n_rows)
            By the logarithms of smooth, length, the linear terms and additive. The noise, last
            among the parameters, has none: it is no part of this covariance. All are overwritten
            by the next call.
        """
        parameters = Hyperparameters.from_log(log_parameters)
        scaled, decay, K, smooth, by_length, *linear = self.buffers
        np.multiply(self.distances, np.sqrt(3.0) / parameters.length, out=scaled)
        np.exp(np.negative(scaled, out=decay), out=decay)
        decay *= parameters.smooth
        np.multiply(decay, scaled, out=by_length)
        np.add(decay, by_length, out=smooth)
        by_length *= scaled  # d/d(log length) of (1 + s) exp(-s) is s² exp(-s): s is as 1 / length
        K[:] = smooth
        variances = (*parameters.linear, parameters.additive)
        parts = zip(variances, self.products, linear, strict=True)
        for variance_of_block, product, derivative in parts:
            K += np.multiply(product, variance_of_block, out=derivative)
        return K, [smooth, by_length, *linear]
