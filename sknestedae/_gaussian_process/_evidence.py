"""Hyperparameters of a Gaussian process by maximum a posteriori, with weights of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cho_solve
from scipy.linalg.blas import dsyr
from scipy.linalg.lapack import dpotrf, dpotri, dtrtri
from scipy.optimize import minimize

from ._kernel import Hyperparameters, KernelOfRows

# Jitter in units of the mean of the diagonal. The last is far below any noise that is fitted.
JITTERS = (0.0, 1e-14, 1e-12, 1e-10, 1e-8, 1e-6)
# A variance of noise below this, where a target is exact, changes no prediction any more.
LEAST_NOISE = 1e-7
# How far a hyperparameter may go from the mode of its prior, in logarithms.
FARTHEST = 10.0
# Where the search starts: steps from the modes of the priors, in standard deviations of them, of
# the length scale and of the noise. The posterior has sometimes two maxima: with little noise and
# a short length scale, and with much noise and a long one.
STARTS = ((0.0, -1.0), (1.0, 0.5))
# The noise has tails as those of Student's t with so many degrees of freedom: a row far from all
# that its neighbours say is followed less. Light tails lose little by it.
DEGREES_OF_FREEDOM = 4.0
# Standard deviation, a priori, of the logarithm of the relevance of a column: a factor of 1.5.
RELEVANCE_SPREAD = 0.4
# Rounds in which the rows' precisions and the function are found in turn. Three come near enough.
N_ROUNDS = 3


class DistinctRows(NamedTuple):
    """Rows that differ from each other.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_columns)
    y : ndarray of shape (n_rows,)
        Weighted means of the targets of equal rows.
    weight : ndarray of shape (n_rows,)
        Sums of the weights of equal rows.
    within : ndarray of shape (n_rows,)
        Weighted sums of the squared deviations of the targets of equal rows from their mean.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    within: np.ndarray

    def with_precisions(self, precisions: np.ndarray) -> DistinctRows:
        """Multiply weights and sums of squares of rows by their precisions."""
        return self._replace(weight=self.weight * precisions, within=self.within * precisions)

    def take(self, indices: np.ndarray) -> DistinctRows:
        """Return some of the rows."""
        return DistinctRows(*(values[indices] for values in self))


class Prior(NamedTuple):
    """Independent normal priors of the logarithms of the hyperparameters.

    Attributes
    ----------
    mode, spread : ndarray of shape (n_parameters,)
        Means, which are the modes, and standard deviations, in the order of
        ``Hyperparameters.from_log``.
    """

    mode: np.ndarray
    spread: np.ndarray


def merge_rows(X: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> DistinctRows:
    """Make one row of equal rows, and leave out rows without weight or target.

    A function has one value where inputs are equal, so that this loses nothing: the mean of the
    targets, their summed weight and the spread among them are all that the likelihood needs. The
    result is in an order that does not depend on that of the rows given.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_columns)
    y : ndarray of shape (n_samples,)
        NaN where there is no target.
    weight : ndarray of shape (n_samples,) or None
        A row of weight two counts as two equal rows.

    Returns
    -------
    DistinctRows
    """
    X, y = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=float)
    used = ~np.isnan(y) & (weight > 0)
    X, y, weight = X[used] + 0.0, y[used], weight[used]  # + 0.0: no row differs by a negative zero
    first, group = equal_rows(X)
    total = np.bincount(group, weight)
    # deviations from one of the group's targets: equal targets keep exactly their value
    origin = y[first]
    mean = origin + np.bincount(group, weight * (y - origin[group])) / total
    within = np.bincount(group, weight * (y - mean[group]) ** 2)
    return DistinctRows(X[first], mean, total, within)


def equal_rows(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the position of one row of each kind, and the kind of each row."""
    if not X.size:
        return np.arange(min(len(X), 1)), np.zeros(len(X), dtype=int)
    keys = np.ascontiguousarray(X).view(np.dtype((np.void, X.shape[1] * X.itemsize))).ravel()
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    return first, group


def prior_of(widths: Sequence[int], with_relevances: bool = False) -> Prior:
    """Return weak priors, for standardised inputs and a target of unit variance.

    The length scale is around the typical distance of rows, which grows as the square root of
    the number of columns. A linear term has, a priori, about the target's variance in all, and
    the additive term a twentieth: it grows where the data support it. The columns are equally
    relevant, unless the data show otherwise.
    """
    n_columns, n_relevances = max(sum(widths), 1), sum(widths) if with_relevances else 0
    linear = [-np.log(max(width, 1)) for width in widths]
    mode = [0.0, np.log(n_columns) / 2, *linear, np.log(0.05), *n_relevances * [0.0], np.log(0.1)]
    spread = [1.5, 1.0, *(2.0 for _ in widths), 2.0, *n_relevances * [RELEVANCE_SPREAD], 1.5]
    return Prior(np.array(mode), np.array(spread))


def factor(K: np.ndarray) -> np.ndarray:
    """Return the lower Cholesky factor of a kernel matrix, with as little jitter as it needs.

    Parameters
    ----------
    K : ndarray of shape (n_rows, n_rows)

    Returns
    -------
    ndarray of shape (n_rows, n_rows)
        Zero above the diagonal.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix is not positive definite with the largest jitter.
    """
    unit = np.trace(K) / max(len(K), 1)
    for jitter in JITTERS:
        lower, info = dpotrf(K + jitter * unit * np.eye(len(K)) if jitter else K, lower=1)
        if info == 0 and np.isfinite(lower.diagonal()).all():
            return lower
    raise np.linalg.LinAlgError(
        f"The kernel matrix of {len(K)} rows must be positive definite. It is not, even with "
        f"{JITTERS[-1]:g} of its mean diagonal, {unit:.3g}, added to the diagonal."
    )


def inverse(lower: np.ndarray) -> np.ndarray:
    """Compute the inverse of a matrix from its Cholesky factor: the lower triangle, else zero."""
    result, _ = dpotri(lower, lower=1)
    return result


def diagonal_of_inverse(lower: np.ndarray) -> np.ndarray:
    """Return the diagonal of the inverse, of shape (n_rows,), from the Cholesky factor."""
    result, _ = dtrtri(lower, lower=1)
    return np.einsum("ij,ij->j", result, result)


def negative_log_posterior(
    log_parameters: np.ndarray, kernel: KernelOfRows, rows: DistinctRows, prior: Prior
) -> tuple[float, np.ndarray]:
    """Compute the negative log posterior density of the hyperparameters, but for a constant.

    A row of weight w counts as w equal rows. Their likelihood is that of their mean, with the
    variance noise / w, times the likelihood of the noise given the spread among them.

    Parameters
    ----------
    log_parameters : ndarray of shape (n_parameters,)
        In the order of ``Hyperparameters.from_log``, without or with relevances.
    kernel : KernelOfRows
        Of the rows' inputs.
    rows : DistinctRows
        With the target standardised.
    prior : Prior

    Returns
    -------
    value : float
    gradient : ndarray of shape (n_parameters,)
        See Rasmussen & Williams 2006, eq. 5.9.
    """
    K, gradient_of_kernel = kernel.with_gradient(log_parameters)
    noise = np.exp(log_parameters[-1])
    diagonal = noise / rows.weight
    K.flat[:: len(K) + 1] += diagonal
    lower = factor(K)
    solved = cho_solve((lower, True), rows.y, check_finite=False)
    # the inverse minus the square of what was solved for, whose trace with a derivative of the
    # covariance is twice the derivative of the likelihood
    difference = dsyr(-1.0, solved, lower=1, a=inverse(lower), overwrite_a=1)
    # within groups: n_more degrees of freedom, and the sum of squares among them
    n_more, squares = rows.weight.sum() - len(rows.y), rows.within.sum() / noise
    distance = (log_parameters - prior.mode) / prior.spread
    value = (
        0.5 * rows.y @ solved
        + np.log(lower.diagonal()).sum()
        + 0.5 * (n_more * log_parameters[-1] + squares)
        + 0.5 * distance @ distance
    )
    by_noise = difference.diagonal() @ diagonal + n_more - squares
    traces = np.append(gradient_of_kernel(difference), by_noise)
    return value, 0.5 * traces + distance / prior.spread


def precisions(rows: DistinctRows, K: np.ndarray, noise: float) -> tuple[np.ndarray, float]:
    """Compute the relative precision of each row, for noise with heavy tails (Student's t).

    Student's t is a normal density whose precision is drawn from a gamma density. Given the
    function, the mean of that precision has a closed form, and given the precisions the function
    is a Gaussian process: they are found in turn (variational inference of Student's t noise;
    Tipping & Lawrence, Neurocomputing 69, 123 (2005)). Equal rows share one precision.

    Parameters
    ----------
    rows : DistinctRows
        With the target standardised.
    K : ndarray of shape (n_rows, n_rows)
        Their covariance without noise.
    noise : float
        Variance of the noise of a row of weight one and precision one.

    Returns
    -------
    found : ndarray of shape (n_rows,)
        Their mean, weighted by rows, is one.
    variance : float
        Of a single measurement about the function, the mean over rows.
    """
    found = np.ones(len(rows.y))
    for _ in range(N_ROUNDS):
        variance = noise / (rows.weight * found)
        covariance = K.copy()
        covariance.flat[:: len(K) + 1] += variance
        lower = factor(covariance)
        # of the function in the rows: target minus mean, and variance
        error = variance * cho_solve((lower, True), rows.y, check_finite=False)
        uncertain = variance - variance**2 * diagonal_of_inverse(lower)
        squares = rows.weight * (error**2 + np.maximum(uncertain, 0.0)) + rows.within
        found = (DEGREES_OF_FREEDOM + rows.weight) / (DEGREES_OF_FREEDOM + squares / noise)
        found /= np.average(found, weights=rows.weight)
    return found, float(squares.sum() / rows.weight.sum())


def most_probable(
    rows: DistinctRows,
    widths: Sequence[int],
    start: Hyperparameters | None = None,
    *,
    with_relevances: bool = False,
) -> Hyperparameters:
    """Find the hyperparameters of the highest posterior density.

    Parameters
    ----------
    rows : DistinctRows
        With the target standardised.
    widths : sequence of int
        Numbers of columns of the blocks.
    start : Hyperparameters or None, default=None
        Where the search begins; None: at two places.
    with_relevances : bool, default=False
        Whether each column has a length scale of its own.

    Returns
    -------
    Hyperparameters
    """
    prior, kernel = prior_of(widths, with_relevances), KernelOfRows(rows.X, widths)
    n_relevances = sum(widths) if with_relevances else 0
    lowest, highest = prior.mode - FARTHEST, prior.mode + FARTHEST
    lowest[-1] = np.log(LEAST_NOISE)
    if start is None:
        steps = np.zeros((len(STARTS), len(prior.mode)))
        steps[:, [1, -1]] = STARTS
        starts = prior.mode + steps * prior.spread
    else:
        relevances = start.relevances or (1.0,) * sum(widths)
        starts = replace(start, relevances=relevances[:n_relevances]).to_log()[None]
    results = []

    def value_and_gradient(log_parameters: np.ndarray, *others: Any) -> tuple[float, np.ndarray]:
        try:
            return negative_log_posterior(log_parameters, *others)
        except np.linalg.LinAlgError:  # a step too far, from which the search turns back
            return np.inf, np.zeros_like(log_parameters)

    for first in starts:
        result = minimize(
            value_and_gradient,
            first,
            args=(kernel, rows, prior),
            jac=True,
            method="L-BFGS-B",
            bounds=np.column_stack([lowest, highest]),
            options={"maxiter": 100, "ftol": 1e-6, "gtol": 1e-2},
        )
        results.append(result)
    best = min(results, key=lambda result: result.fun)
    if not np.isfinite(best.fun):
        negative_log_posterior(best.x, kernel, rows, prior)  # raises the error
    return Hyperparameters.from_log(best.x, n_relevances)
