"""The covariance of many numbers' errors, as a low rank plus a diagonal."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

# The most common factors of the errors: enough for what the errors of a spectrum or of an image
# have in common, and each one costs time in every step of a search.
MAX_FACTORS = 16

# Of the variance of each number, at least this share stands by itself, so that a covariance has an
# inverse.
_LEAST_SHARE = 0.02

_TINY = np.finfo(np.float64).tiny


# ---------------------------------------------------------------------------------------------
# From the errors of a sample


def common_factors(error: np.ndarray, known: np.ndarray | None, weight: np.ndarray) -> np.ndarray:
    r"""Find the common factors of the errors of numbers (factor analysis).

    The correlations of :math:`p` errors are modelled as :math:`F F^\top` and a diagonal. A factor
    is an eigenvector of the sample's correlations whose eigenvalue is larger than those of
    independent errors can be: above :math:`(1 + \sqrt\gamma)^2` with :math:`\gamma = p / n`
    (Marchenko and Pastur, Math. USSR Sb. 1, 457, 1967). Eigenvalues of a sample are too large, and
    its eigenvectors point away from the true ones: both are shrunk as Donoho, Gavish and Johnstone
    (Ann. Stat. 46, 1742, 2018) derive it for the squared error of a covariance.

    Parameters
    ----------
    error : ndarray of shape (n_rows, n_numeric)
        0 where nothing was measured.
    known : ndarray of shape (n_rows, n_numeric) or None
        Where something was, as 0 and 1 or bool; None for everywhere.
    weight : ndarray of shape (n_rows,)

    Returns
    -------
    ndarray of shape (n_numeric, n_factors)
        In the units of the errors: the sum of squares over factors is the part of a number's
        mean squared error that it has in common with others. Without a factor where errors are
        independent, or rows few.
    """
    share = weight / weight.sum()
    part = np.ones(error.shape[1]) if known is None else share @ known
    squares = (share @ error**2) / np.where(part > 0, part, 1.0)
    if not np.isfinite(squares).all():  # larger than numbers go
        return np.zeros((error.shape[1], 0))
    scale = np.sqrt(np.where(squares > 0, squares, 1.0))
    values, vectors, pairs = _leading_correlations(error / scale, known, share)
    # rows of different weights count as fewer of the same, and a pair is not measured in every row
    n_rows = max(pairs / (share**2).sum(), 1.0)
    strength = shrink_spikes(values, error.shape[1] / n_rows)
    chosen = strength > 0
    factors = vectors[:, chosen] * np.sqrt(strength[chosen])
    common = (factors**2).sum(axis=1, keepdims=True)
    factors *= np.sqrt(np.minimum((1 - _LEAST_SHARE) / np.maximum(common, _TINY), 1.0))
    return factors * scale[:, None]


def _leading_correlations(
    error: np.ndarray, known: np.ndarray | None, share: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the largest eigenvalues of a sample's correlations, with their vectors.

    Parameters
    ----------
    error : ndarray of shape (n_rows, n_numeric)
        With a mean square of 1 where measured, and 0 elsewhere. It is written over.
    known : ndarray of shape (n_rows, n_numeric) or None
    share : ndarray of shape (n_rows,)
        Weights that add up to 1.

    Returns
    -------
    values : ndarray of shape (n_values,)
    vectors : ndarray of shape (n_numeric, n_values)
    pairs : float
        Mean share of the weight at which both of a pair of numbers were measured.
    """
    n_rows, n_numeric = error.shape
    root = np.sqrt(share)[:, None]
    error *= root
    n_values = min(MAX_FACTORS, n_rows, n_numeric)
    last = [min(n_rows, n_numeric) - n_values, min(n_rows, n_numeric) - 1]
    pairs = 1.0
    if n_numeric <= n_rows:
        products = error.T @ error
        if known is not None:
            counts = (root * known).T @ (root * known)
            products /= np.maximum(counts, _TINY)
            pairs = float(counts.mean())
        values, vectors = scipy.linalg.eigh(products, subset_by_index=last)
        return values, vectors, pairs
    # from the products of rows, which are fewer
    if known is not None:
        part = share @ known
        error /= np.sqrt(np.where(part > 0, part, 1.0))  # a diagonal of 1 for the correlations
        pairs = float(part.mean() ** 2)
    values, left = scipy.linalg.eigh(error @ error.T, subset_by_index=last)
    return values, (error.T @ left) / np.sqrt(np.maximum(values, _TINY)), pairs


def shrink_spikes(values: np.ndarray, ratio: float) -> np.ndarray:
    r"""Shrink the eigenvalues of a sample's correlations by their share of noise.

    An eigenvalue :math:`\ell` of the truth, beside many of 1, gives in a sample the larger one
    :math:`\lambda = \ell (1 + \gamma / (\ell - 1))`; the sample's vector and the true one have the
    squared cosine :math:`c^2 = (1 - \gamma / (\ell - 1)^2) / (1 + \gamma / (\ell - 1))`.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        Eigenvalues of the sample, in units of the variance of independent noise.
    ratio : float
        Number of columns by that of rows, :math:`\gamma`.

    Returns
    -------
    ndarray of shape (n_values,)
        :math:`(\ell - 1) c^2`, or 0 of one that may be noise.
    """
    edge = (1 + np.sqrt(ratio)) ** 2
    inside = np.maximum(values, edge) + 1 - ratio
    true = (inside + np.sqrt(np.maximum(inside**2 - 4 * np.maximum(values, edge), 0))) / 2
    excess = np.maximum(true - 1, _TINY)
    cosine = (1 - ratio / excess**2) / (1 + ratio / excess)
    return np.where(values > edge, excess * np.maximum(cosine, 0), 0.0)


def factors_of(products: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Write a covariance of a few numbers as factors, as many as numbers, and a diagonal.

    Parameters
    ----------
    products : ndarray of shape (n_numeric, n_numeric)
        A covariance.
    squares : ndarray of shape (n_numeric,)
        Its diagonal.

    Returns
    -------
    ndarray of shape (n_numeric, n_numeric)
        Off the diagonal, the products of its rows are the covariance. What they lack on it is
        the same share of each number's variance, the largest possible one.
    """
    scale = np.sqrt(np.where(squares > 0, squares, 1.0))[:, None]
    values, vectors = np.linalg.eigh(products / (scale * scale.T))
    least = max(values.min(initial=np.inf), 0.0)
    return vectors * np.sqrt(np.maximum(values - least, 0.0)) * scale


def merge_factors(
    first: np.ndarray, second: np.ndarray, shares: tuple[float, float], squares: np.ndarray
) -> np.ndarray:
    r"""Return the common factors of two parts of a stream together.

    The mean of both parts' :math:`F F^\top` has as many factors as both together. The strongest
    are kept: as many as a part has, or may have.

    Parameters
    ----------
    first, second : ndarray of shape (n_numeric, n_factors)
    shares : (float, float)
        Of the two parts, which add up to 1.
    squares : ndarray of shape (n_numeric,)
        Mean squared errors of both together.

    Returns
    -------
    ndarray of shape (n_numeric, n_factors)
    """
    both = np.hstack([np.sqrt(shares[0]) * first, np.sqrt(shares[1]) * second])
    scale = np.sqrt(np.where(squares > 0, squares, 1.0))[:, None]
    # in units of the errors, so that those of large numbers do not outweigh the others
    left, strength, _ = np.linalg.svd(both / scale, full_matrices=False)
    return (left * strength * scale)[:, : max(MAX_FACTORS, first.shape[1])]


# ---------------------------------------------------------------------------------------------
# What follows from it for rows of which not all was measured


class ErrorCovariance(NamedTuple):
    r"""A covariance :math:`\Psi = D + F F^\top` of the errors of numbers.

    ``noise``, the diagonal of :math:`D`, is of shape (n_numeric,), and ``factors`` of shape
    (n_numeric, n_factors). Without a factor errors are independent.
    """

    noise: Tensor
    factors: Tensor

    @property
    def variance(self) -> Tensor:
        """The variance of each error, of shape (n_numeric,)."""
        return self.noise + (self.factors**2).sum(dim=1)

    def of_measured(self, known: Tensor, scale: Tensor) -> MeasuredErrors:
        """Return the covariance of the measured entries of each row.

        Parameters
        ----------
        known : Tensor of shape (n_rows, n_numeric)
            What was, as 0 and 1.
        scale : Tensor of shape (n_rows,)
            By which the covariance of a row is larger.
        """
        weight, F = known / self.noise, self.factors
        # the same of all rows: one matrix
        own = weight[:1] if bool((known == known[:1]).all()) else weight
        inner = (own[:, None, :] * F.T) @ F + torch.eye(F.shape[1], dtype=F.dtype)
        return MeasuredErrors(F, weight, torch.linalg.cholesky(inner), scale)


class MeasuredErrors(NamedTuple):
    r"""The covariance :math:`\Psi_m` of the errors of measured entries, row by row.

    With :math:`W`, the inverse of :math:`D` where something was measured and 0 elsewhere, its
    inverse is :math:`W - W F A^{-1} F^\top W` with :math:`A = I + F^\top W F`, by Woodbury's
    identity: no matrix has more rows than there are factors.

    ``factors`` is :math:`F`, ``weight`` of shape (n_rows, n_numeric) the diagonals of :math:`W`,
    and ``root`` of shape (n_rows, n_factors, n_factors) the Cholesky factors of :math:`A`; it has
    one row where the same was measured of all. ``scale`` is of shape (n_rows,).
    """

    factors: Tensor
    weight: Tensor
    root: Tensor
    scale: Tensor

    def take(self, rows: Tensor) -> MeasuredErrors:
        """Return some of the rows."""
        root = self.root if len(self.root) == 1 else self.root[rows]
        return MeasuredErrors(self.factors, self.weight[rows], root, self.scale[rows])

    def squared_distance(self, error: Tensor) -> Tensor:
        r"""Return the squared Mahalanobis distance :math:`e_m^\top \Psi_m^{-1} e_m`.

        Parameters
        ----------
        error : Tensor of shape (n_rows, n_numeric)
            Of what was not measured, it may be any number.

        Returns
        -------
        Tensor of shape (n_rows,)
        """
        weighted = self.weight * error
        total = (weighted * error).sum(dim=1)
        if self.factors.shape[1]:
            total = total - (self._scores(weighted) * (weighted @ self.factors)).sum(dim=1)
        return total / self.scale

    def gradient_and_hessian(self, error: Tensor, jacobian: Tensor) -> tuple[Tensor, Tensor]:
        r"""Return :math:`J_m^\top \Psi_m^{-1} e_m` and :math:`J_m^\top \Psi_m^{-1} J_m`.

        They are the gradient of half of the squared distance with respect to the variables of the
        errors, and the Hessian where errors are linear in these.

        Parameters
        ----------
        error : Tensor of shape (n_rows, n_numeric)
        jacobian : Tensor of shape (n_rows, n_numeric, n_components)
            Derivatives of the errors.

        Returns
        -------
        gradient : Tensor of shape (n_rows, n_components)
        hessian : Tensor of shape (n_rows, n_components, n_components)
        """
        weighted = jacobian * self.weight[:, :, None]
        gradient = torch.einsum("njk,nj->nk", weighted, error)
        hessian = torch.einsum("njk,njl->nkl", weighted, jacobian)
        if self.factors.shape[1]:
            slopes = weighted.transpose(1, 2) @ self.factors  # (n_rows, n_components, n_factors)
            scores = self._scores(self.weight * error)
            gradient = gradient - torch.einsum("nkr,nr->nk", slopes, scores)
            hessian = hessian - slopes @ torch.cholesky_solve(slopes.transpose(1, 2), self.root)
        return gradient / self.scale[:, None], hessian / self.scale[:, None, None]

    def expected(self, error: Tensor) -> Tensor:
        r"""Return the expected errors of numbers that were not measured.

        It is :math:`F_o F_m^\top \Psi_m^{-1} e_m`, the mean of a normal density given a part of
        its variables.

        Returns
        -------
        Tensor of shape (n_rows, n_numeric)
            0 where something was measured.
        """
        is_open = (self.weight == 0).to(error.dtype)
        return is_open * (self._scores(self.weight * error) @ self.factors.T)

    def _scores(self, weighted: Tensor) -> Tensor:
        """Return the scores of the factors, of shape (n_rows, n_factors), by weighted errors."""
        return torch.cholesky_solve((weighted @ self.factors)[:, :, None], self.root)[:, :, 0]
