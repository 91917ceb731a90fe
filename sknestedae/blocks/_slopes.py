"""Losses of decoded NumPy arrays and their gradients in closed form, equal to ``_losses``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._tables._layout import Layout


def inner(one: np.ndarray, other: np.ndarray) -> np.ndarray | float:
    """Sum products over the last two dimensions: a float, or of shape (n_networks,)."""
    if one.ndim == 2:
        return np.vdot(one, other)
    return np.einsum("kij,kij->k", one, other)


def _squared(
    difference: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray | float, np.ndarray]:
    slope = difference + difference if weight is None else (2 * weight) * difference
    return 0.5 * inner(slope, difference), slope


def _absolute(
    difference: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray | float, np.ndarray]:
    slope = np.sign(difference)
    if weight is not None:
        slope *= weight
    return inner(slope, difference), slope


def _huber(
    difference: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray | float, np.ndarray]:
    slope = np.clip(difference, -1.0, 1.0)
    rest = difference - 0.5 * slope  # half a square where it is small, else |d| - 1/2
    if weight is not None:
        slope *= weight
    return inner(slope, rest), slope


# For each loss of numbers: of differences and weights, the sum and its gradient.
SLOPES: dict[str, Callable] = {
    "squared_error": _squared,
    "absolute_error": _absolute,
    "huber": _huber,
}


class BlockSlope:
    """The error of a block and its gradient, as ``block_error`` defines it.

    Parameters
    ----------
    layout : Layout
    loss : str
        Of the numbers; a category's is the cross-entropy.
    """

    def __init__(self, layout: Layout, loss: str) -> None:
        self._numeric = SLOPES[loss]
        self._n_numeric = layout.n_numeric
        sizes = np.array(layout.n_categories, dtype=np.intp)
        self._starts = np.cumsum(sizes) - sizes
        self._group = np.repeat(np.arange(len(sizes)), sizes)  # of each category

    def __call__(
        self, decoded: np.ndarray, given: np.ndarray, weight: np.ndarray | None
    ) -> tuple[np.ndarray | float, np.ndarray]:
        """Sum the errors, and return the gradient of the sum with respect to the decoded values.

        Parameters
        ----------
        decoded, given : ndarray of shape (..., n_samples, layout.n_values)
        weight : ndarray of shape (..., n_samples, layout.n_columns) or (..., n_samples, 1) or None

        Returns
        -------
        total : float, or ndarray of shape (n_networks,)
        gradient : ndarray of the shape of decoded
            A new array.
        """
        n = self._n_numeric
        if not len(self._group):
            return self._numeric(decoded - given, weight)
        gradient = np.empty_like(decoded)
        total, gradient[..., n:] = self._of_categories(
            decoded[..., n:], given[..., n:], _part(weight, slice(n, None))
        )
        if n:
            of_numbers, gradient[..., :n] = self._numeric(
                decoded[..., :n] - given[..., :n], _part(weight, slice(n))
            )
            total = total + of_numbers
        return total, gradient

    def _of_categories(
        self, logits: np.ndarray, given: np.ndarray, weight: np.ndarray | None
    ) -> tuple[np.ndarray | float, np.ndarray]:
        """Sum the cross-entropies of all categorical columns at once."""
        starts, group = self._starts, self._group
        logits = logits - np.maximum.reduceat(logits, starts, axis=-1)[..., group]
        shares = np.exp(logits)
        sums = np.add.reduceat(shares, starts, axis=-1)
        logits -= np.log(sums)[..., group]  # they are logarithms of shares now
        shares /= sums[..., group]
        if weight is not None:
            given = given * (weight if weight.shape[-1] == 1 else weight[..., group])
        shares *= np.add.reduceat(given, starts, axis=-1)[..., group]
        shares -= given
        return -inner(given, logits), shares


def _part(weight: np.ndarray | None, columns: slice) -> np.ndarray | None:
    """Return the weights of some columns; a weight for all of them stays."""
    return weight if weight is None or weight.shape[-1] == 1 else weight[..., columns]
