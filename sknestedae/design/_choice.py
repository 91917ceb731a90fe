"""The choice of candidates among all that a search found: good, new and distinct ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .._latents._inference import choose_distinct
from ._candidate_chain import Moments
from ._candidates import Candidates, coordinates, is_alike
from ._objectives import DEFAULT_TOLERANCE
from ._search import SearchProblem

# A candidate that hardly differs from a known row is chosen only where it is better than others by
# more than this: the loss of a value that is missed by the tolerance.
_PRICE_OF_KNOWN = DEFAULT_TOLERANCE**2
# Of candidates with arrays, so many of the best are compared with each other for each that is
# wanted.
_MOST_CHOICES = 50
# Of so many of the best, each next one of a batch is chosen by what is known once those before it
# are measured.
_MOST_IN_BATCH = 2000


def choose(
    found: Candidates, losses: Tensor, known: Candidates, problem: SearchProblem, n_candidates: int
) -> np.ndarray:
    """Choose the best candidates that differ from each other and from the known rows.

    Where an acquisition function is sought, each next one is chosen as if those before it had
    been measured.

    Returns
    -------
    ndarray of int, shape (n_chosen,)
        Positions, the best first.
    """
    is_usable = np.isfinite(losses.numpy()) & problem.constraints.keeps_sums(found)
    usable = np.flatnonzero(is_usable)
    if problem.columns.arrays:  # which take much memory: the best alone, none of them twice
        first = found.first_of_each()
        usable = first[is_usable[first]]
        best = np.argsort(losses.numpy()[usable], kind="stable")[: _MOST_CHOICES * n_candidates]
        usable = np.sort(usable[best])
    if not len(usable):
        return usable
    found, losses = found.take(usable), losses[usable]
    values = problem.values_of_libraries
    points, codes = coordinates(found, problem.columns, values)
    known_points, known_codes = coordinates(known, problem.columns)
    price = _PRICE_OF_KNOWN * is_alike(points, codes, known_points, known_codes)
    order = np.argsort(losses.numpy() + price, kind="stable")
    # Rows are compared by their bytes, in one pass over many; + 0.0 makes 0.0 of -0.0, which is
    # the same number with other bytes.
    rows = {row.tobytes() for row in np.hstack([known_points.round(9), known_codes]) + 0.0}
    every = np.hstack([points.round(9), codes]) + 0.0
    order = np.array([i for i in order if every[i].tobytes() not in rows], dtype=int)
    if not any(objective.needs_std for objective in problem.objectives):
        return usable[np.array(choose_distinct(points, codes, order, n_candidates), dtype=int)]
    best = order[:_MOST_IN_BATCH]
    batch = _Batch(problem, found.take(best), losses[best] + torch.from_numpy(price[best]))
    return usable[best[batch.choose(points[best], codes[best], n_candidates)]]


class _Batch:
    """A batch of candidates, chosen one by one as if those before had been measured.

    A measurement is assumed to equal the prediction: the mean stays, the standard deviation of all
    that depends on it falls, and the best known value rises.

    Parameters
    ----------
    problem : SearchProblem
    found : Candidates
    losses : Tensor of shape (n_candidates,)

    References
    ----------
    D. Ginsbourger, R. Le Riche, L. Carraro, in Computational Intelligence in Expensive
    Optimization Problems, Springer (2010): the "kriging believer", for the expected improvement.
    T. Desautels, A. Krause, J. W. Burdick, JMLR 15, 3873 (2014), for the upper confidence bound.
    """

    def __init__(self, problem: SearchProblem, found: Candidates, losses: Tensor) -> None:
        self.problem = problem
        self.moments = {
            i: moments
            for i, moments in enumerate(problem.moments_of_all(found))
            if problem.objectives[i].needs_std
        }
        self.best = {i: problem.objectives[i].best for i in self.moments}
        self.variances = {i: _variance(moments) for i, moments in self.moments.items()}
        # what measurements before have explained: (n_before, n_candidates), in units of y
        self.explained: dict[int, list[np.ndarray]] = {i: [] for i in self.moments}
        self.others = losses.numpy() - sum(self._loss(i) for i in self.moments)

    def choose(self, points: np.ndarray, codes: np.ndarray, n_candidates: int) -> np.ndarray:
        """Choose candidates; return their positions, of shape (n_chosen,).

        Parameters
        ----------
        points, codes : ndarray
            As ``coordinates`` gives them.
        n_candidates : int
            How many at most.
        """
        chosen: list[int] = []
        while len(chosen) < n_candidates:
            losses = self.others + sum(self._loss(i) for i in self.moments)
            order = np.argsort(losses, kind="stable")
            # of those chosen before first, and then of the best: one more that differs from them
            order = np.concatenate([chosen, order[~np.isin(order, chosen)]]).astype(int)
            longer = choose_distinct(points, codes, order, len(chosen) + 1)
            if len(longer) == len(chosen):
                break
            chosen = longer
            self._believe(chosen[-1])
        return np.array(chosen, dtype=int)

    def _loss(self, i: int) -> np.ndarray:
        """Return the loss of an objective, of shape (n_candidates,)."""
        std = torch.from_numpy(np.sqrt(self.variances[i]))
        loss = self.problem.objectives[i].loss(self.moments[i].mean, std, self.best[i])
        return loss.numpy()

    def _believe(self, row: int) -> None:
        """Condition on a candidate, with its prediction as the measured value."""
        for i, moments in self.moments.items():
            covariance, noise = self.problem.covariance(i, moments, row)
            for before in self.explained[i]:
                covariance = covariance - before * before[row]
            total = covariance[row] + noise
            if total > 0:
                self.explained[i].append(covariance / np.sqrt(total))
                fallen = self.variances[i] - self.explained[i][-1] ** 2
                self.variances[i] = np.maximum(fallen, 0.0)
            mean = float(moments.mean[row])
            is_max = self.problem.objectives[i].kind == "max"
            self.best[i] = max(self.best[i], mean) if is_max else min(self.best[i], mean)


def _variance(moments: Moments) -> np.ndarray:
    assert moments.std is not None
    return moments.std.numpy() ** 2
