"""Learning-rate schedules and early stopping: the rules that follow an epoch's loss.

The rules hold for many networks at once, each with settings of its own; the fit of a single one
is the case of arrays of one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

# The schedules that a user may ask for.
SCHEDULES = ("constant", "cosine", "plateau")

# A plateau: the loss has not fallen by this share of itself (the default of torch's schedule).
_PLATEAU_GAIN = 1e-4


# Share of the epochs in which the weight of the divergence grows to its own.
_WARM_UP = 0.25


def n_epochs_of_warm_up(max_iter: int) -> int:
    """Return the number of epochs of a fit in which the weights of terms grow (warm-up)."""
    return math.ceil(_WARM_UP * max_iter)


def warmth(epoch: ArrayLike, n_epochs: ArrayLike) -> np.ndarray:
    """Return the share of their full weight that terms have in an epoch of the warm-up.

    It grows evenly from 0 in the first epoch, so that the network learns to use its latents before
    they cost anything (Bowman et al., CoNLL 2016; Soenderby et al., NeurIPS 2016).

    Parameters
    ----------
    epoch : array-like of int
        How many epochs of this fit came before.
    n_epochs : array-like of int
        How many the warm-up takes; 0 for none.

    Returns
    -------
    ndarray of float64
    """
    return np.minimum(np.asarray(epoch) / np.maximum(n_epochs, 1), 1.0) ** np.sign(n_epochs)


class LearningRates:
    """Learning-rate schedules: the factor of each network's first learning rate.

    Parameters
    ----------
    schedules : sequence of str
        One a network, of ``SCHEDULES``.
    max_iter : array-like of int
        Number of epochs in which the cosine falls to 0.
    patience : array-like of int
        Number of epochs without gain that a plateau may last.
    warm_up : array-like of int, default=0
        Number of first epochs in which no plateau is looked for: the loss may rise there.

    Attributes
    ----------
    factor : ndarray of shape (n_networks,)
    """

    def __init__(
        self,
        schedules: Sequence[str],
        max_iter: ArrayLike,
        patience: ArrayLike,
        warm_up: ArrayLike = 0,
    ) -> None:
        self._is_cosine = np.array([schedule == "cosine" for schedule in schedules])
        self._has_plateau = np.array([schedule == "plateau" for schedule in schedules])
        self._max_iter = np.asarray(max_iter)
        self._patience = np.asarray(patience)
        self._warm_up = np.broadcast_to(warm_up, self._is_cosine.shape)
        self._best = np.full(len(self._is_cosine), np.inf)
        self._n_bad = np.zeros(len(self._is_cosine), dtype=int)
        self.factor = np.ones(len(self._is_cosine))

    def select(self, networks: np.ndarray) -> None:
        """Go on with some of the networks."""
        self._is_cosine = self._is_cosine[networks]
        self._has_plateau = self._has_plateau[networks]
        self._max_iter = self._max_iter[networks]
        self._patience = self._patience[networks]
        self._warm_up = self._warm_up[networks]
        self._best = self._best[networks]
        self._n_bad = self._n_bad[networks]
        self.factor = self.factor[networks]

    def step(self, rows: slice | np.ndarray, epoch: int | np.ndarray, loss: np.ndarray) -> None:
        """Set the factors that follow an epoch.

        Parameters
        ----------
        rows : slice or ndarray of int
            The networks that ended an epoch; the others stay as they are.
        epoch : int or ndarray of int
            How many epochs of this fit they have behind them.
        loss : ndarray of float64
            Theirs, that a plateau is looked for in.
        """
        # All three schedules are computed for all networks, and each takes its own: a handful of
        # operations on small arrays, where a loop over networks would take longer than a step.
        is_warm = epoch > self._warm_up[rows]
        is_better = is_warm & (loss < self._best[rows] * (1 - _PLATEAU_GAIN))
        self._best[rows] = np.where(is_better, loss, self._best[rows])
        n_bad = np.where(is_better | ~is_warm, 0, self._n_bad[rows] + 1)
        halves = self._has_plateau[rows] & (n_bad > self._patience[rows])
        self._n_bad[rows] = np.where(halves, 0, n_bad)
        cosine = (1 + np.cos(np.pi * np.minimum(epoch / self._max_iter[rows], 1))) / 2
        stepwise = np.where(halves, 0.5, 1.0) * self.factor[rows]
        self.factor[rows] = np.where(self._is_cosine[rows], cosine, stepwise)


class BestEpochs:
    """Early stopping: each network's best epoch, and whether its training goes on.

    Parameters
    ----------
    tol : array-like of float
        A smaller fall of the loss is no gain.
    patience : array-like of float
        Number of epochs without gain after which a network stops; infinite for never.
    warm_up : array-like of int, default=0
        Number of first epochs that are not compared: the latest is the best of them. While the
        weight of a term grows, the network learns what will cost it later, and the loss with the
        whole weight rises.

    Attributes
    ----------
    best_iter, diverged_iter : ndarray of int, shape (n_networks,)
        Number of the best epoch, and of the one in which the loss or a parameter was no number; 0
        for none.
    """

    def __init__(self, tol: ArrayLike, patience: ArrayLike, warm_up: ArrayLike = 0) -> None:
        self._tol = np.asarray(tol, dtype=float)
        self._patience = np.asarray(patience, dtype=float)
        self._warm_up = np.broadcast_to(warm_up, self._tol.shape)
        n_networks = len(self._tol)
        self._best = np.full(n_networks, np.inf)
        self._n_no_change = np.zeros(n_networks, dtype=int)
        self.best_iter = np.zeros(n_networks, dtype=int)
        self.diverged_iter = np.zeros(n_networks, dtype=int)

    def select(self, networks: np.ndarray) -> None:
        """Go on with some of the networks."""
        self._tol = self._tol[networks]
        self._patience = self._patience[networks]
        self._warm_up = self._warm_up[networks]
        self._best = self._best[networks]
        self._n_no_change = self._n_no_change[networks]
        self.best_iter = self.best_iter[networks]
        self.diverged_iter = self.diverged_iter[networks]

    def judge(
        self,
        rows: slice | np.ndarray,
        epoch: int | np.ndarray,
        loss: np.ndarray,
        is_finite: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compare an epoch with the best one.

        Parameters
        ----------
        rows : slice or ndarray of int
            The networks that ended an epoch.
        epoch : int or ndarray of int
            Its number.
        loss : ndarray of float64
            Theirs, that is monitored.
        is_finite : ndarray of bool
            Whether all losses and parameters are.

        Returns
        -------
        is_best, stops : ndarray of bool
            Whether the epoch is to be kept, and whether it was the last one.
        """
        is_warm = epoch > self._warm_up[rows]
        with np.errstate(invalid="ignore"):
            no_gain = is_warm & (loss > self._best[rows] - self._tol[rows])
            is_best = is_finite & (~is_warm | (loss < self._best[rows]))
        self._n_no_change[rows] = np.where(no_gain, self._n_no_change[rows] + 1, 0)
        self._best[rows] = np.where(is_best & is_warm, loss, self._best[rows])
        self.best_iter[rows] = np.where(is_best, epoch, self.best_iter[rows])
        self.diverged_iter[rows] = np.where(is_finite, 0, epoch)
        return is_best, ~is_finite | (self._n_no_change[rows] >= self._patience[rows])


def epoch_means(
    sums: Mapping[str, np.ndarray],
    totals: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    groups: Mapping[str, Mapping[str, float]],
) -> dict[str, np.ndarray]:
    """Return the means of an epoch's terms, and as ``loss`` their weighted sum.

    Parameters
    ----------
    sums, totals, weights : mapping of str to ndarray of shape (n_networks,)
        For each term, the sum of its errors, the total weight of its entries, and the factor of
        its mean in the loss.
    groups : mapping of str to mapping of str to float
        Means of several terms, such as ``reconstruction`` of several blocks: their shares of it.

    Returns
    -------
    dict of str to ndarray of shape (n_networks,)
        A term without any measured entry is NaN, and adds nothing to the loss.
    """
    loss, means = np.zeros(1), {}
    for name, value in sums.items():
        has_entries = totals[name] > 0
        mean = np.divide(value, totals[name], where=has_entries, out=np.full(len(value), np.nan))
        means[name] = mean
        loss = loss + np.where(has_entries, weights[name] * mean, 0.0)
    of_all = {}
    for group, own in groups.items():
        parts = np.array([share * means[name] for name, share in own.items()])
        has_any = ~np.isnan(parts).all(axis=0)
        of_all[group] = np.where(has_any, np.nansum(parts, axis=0), np.nan)
    return {"loss": loss, **of_all, **means}
