"""Settings that follow from the data: batch size and strength of the L2 penalty."""

from __future__ import annotations

import numpy as np


def auto_batch_size(n_samples: int) -> int:
    """Return the number of rows in a batch that suits a number of rows: 32 to 1024."""
    return int(np.clip(2 ** int(np.log2(max(n_samples, 1) / 16)), 32, 1024))


# The strength of the L2 penalty that alpha="auto" gives many rows: of numbers, and of classes.
# Where classes can be told apart, a cross-entropy falls without end: the network becomes ever
# surer of the rows that it learns from, and too sure of others.
LEAST_ALPHA = 1e-3
LEAST_ALPHA_OF_CLASSES = 2.5e-3
# What it is at most.
MOST_ALPHA = 0.15
# From this number of distinct rows on, alpha="auto" no longer depends on it.
MANY_DISTINCT_ROWS = 548
# How noisy classes are is judged by so many rows and values of a row, at most: it takes time as
# the square of the values.
MOST_JUDGED_ROWS = 2000
MOST_JUDGED_VALUES = 500
# Penalties of the ridge regression by which it is judged, for values of unit variance.
_RIDGES = np.logspace(-3, 2, 11)


def auto_alpha(n_distinct: int, least: float = LEAST_ALPHA) -> float:
    """Return the strength of the L2 penalty that suits a number of distinct rows.

    It falls with the square of the number, from 0.15 (45 rows or fewer) to the least (0.001: 548
    or more): the network then does not overfit a few dozen rows, and can fit a few hundred.
    """
    return float(np.clip(300 / n_distinct**2, least, MOST_ALPHA))


def alpha_of_classes(
    X: np.ndarray, codes: np.ndarray, weight: np.ndarray | None, n_judged: int, n_distinct: float
) -> float:
    """Return the strength of the L2 penalty that suits a table and its classes.

    It is the share of noise in the classes, times the number of values of a row, divided by the
    number of rows: a ridge regression of standardised values whose signal is as strong as the
    classes vary has this penalty. Where classes follow from the values, weights may grow; where
    they are noisy and the values many, a network would overfit the noise. The penalty is shared
    out among the classes but one, as the errors of several classes add up.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_values)
        Labelled rows as they enter the network.
    codes : ndarray of int, shape (n_rows,)
        Their classes.
    weight : ndarray of shape (n_rows,) or None
    n_judged : int
        Number of distinct rows among these.
    n_distinct : float
        Number of distinct labelled rows in the whole table.
    """
    noise, n_values, n_classes = noise_of_classes(X, codes, weight, n_judged)
    alpha = noise * n_values / (n_distinct * max(n_classes - 1, 1))
    return float(np.clip(alpha, LEAST_ALPHA_OF_CLASSES, MOST_ALPHA))


def noise_of_classes(
    X: np.ndarray, codes: np.ndarray, weight: np.ndarray | None, n_distinct: int
) -> tuple[float, int, int]:
    """Estimate the share of the classes' variance that a linear model leaves unexplained.

    By a ridge regression of indicators of the classes, with the penalty that generalised
    cross-validation chooses (Golub, Heath and Wahba, Technometrics 21, 215, 1979). A row of weight
    two is two equal rows.

    Returns
    -------
    noise : float
        From 0 to 1.
    n_values : int
        Number of values that vary.
    n_classes : int
    """
    share = np.full(len(X), 1.0) if weight is None else np.asarray(weight, dtype=float)
    share = share / share.sum()
    present, own = np.unique(codes, return_inverse=True)
    Y = np.eye(len(present))[own]
    size = np.abs(X).max(axis=0, initial=0.0)
    X, Y = (values - share @ values for values in (np.asarray(X, dtype=float), Y))
    scale = np.sqrt(share @ X**2)
    varies = scale > 1e-9 * size  # else the rest is rounding
    X = X[:, varies] / scale[varies]
    total = float(share @ (Y**2).sum(axis=1))
    if not total or not varies.any():
        return 1.0, int(varies.sum()), len(present)
    eigenvalues, vectors = np.linalg.eigh((X.T * share) @ X)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    projected = ((vectors.T @ (X.T * share) @ Y) ** 2).sum(axis=1)
    kept = eigenvalues[:, None] / (eigenvalues[:, None] + _RIDGES)  # (n_values, n_ridges)
    with np.errstate(divide="ignore", invalid="ignore"):
        explained = np.where(eigenvalues > 0, projected / eigenvalues, 0.0)
    left = total - explained @ (1 - (1 - kept) ** 2)
    # share of the rows that are left to judge by: the means of the classes take one
    freedom = 1 - (kept.sum(axis=0) + 1) / n_distinct
    errors = np.where(freedom > 0, left / np.maximum(freedom, 1e-9) ** 2, np.inf)
    return float(np.clip(errors.min() / total, 0.0, 1.0)), int(varies.sum()), len(present)
