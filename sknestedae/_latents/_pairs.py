"""Pairs of latents: joint statistics of latents from two blocks of one row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import torch

from .._networks._batch import Subset
from .._networks._dual import DualModule
from .._training._data import TensorIterator
from ._density import MEMORY, evenly
from ._residuals import rows_of_size

# Pairs that are enough for means and covariances.
_ENOUGH_PAIRS = 10_000

# Correlations are shrunk by this at least: latents of one kind may depend on each other.
_LEAST_SHRINKAGE = 0.01

# Digits behind the point by which standardised latents differ: equal rows may differ by rounding.
_DIGITS = 4


@dataclass
class PairMoments:
    """Joint mean and covariance of the latents from two blocks, over the rows that have both.

    Parameters
    ----------
    weight : float
        Total weight of these rows, divided by two to the ``power``.
    mean : ndarray of shape (2 * n_components,)
        Of the latents from the first block, then of those from the second.
    covariance : ndarray of shape (2 * n_components, 2 * n_components)
    shrinkage : float
        By which correlations are to be shrunk (Ledoit and Wolf, J. Multivar. Anal. 88, 365, 2004).
    power : int, default=0
        As in ``LatentStatistics``.
    """

    weight: float
    mean: np.ndarray
    covariance: np.ndarray
    shrinkage: float
    power: int = 0

    @classmethod
    def of(
        cls, first: np.ndarray, second: np.ndarray, weight: np.ndarray, power: int = 0
    ) -> PairMoments:
        """Learn from latents of shape (n_pairs, n_components) and weights of the pairs."""
        Z = np.hstack([first, second])
        mean = np.average(Z, axis=0, weights=weight)
        centred = Z - mean
        covariance = (weight[:, None] * centred).T @ centred / weight.sum()
        unit = _deviations(covariance)
        correlation = covariance / np.outer(unit, unit)
        shrinkage = max(shrinkage_of(centred / unit, weight, correlation), _LEAST_SHRINKAGE)
        return cls(float(weight.sum()), mean, covariance, shrinkage, power)

    def merge(self, other: PairMoments) -> PairMoments:
        """Combine with the moments of later rows of a stream, which count more."""
        power = max(self.power, other.power)
        # in one power of two, so that neither weight overflows
        old, new = (np.ldexp(one.weight, one.power - power) for one in (self, other))
        weight = float(MEMORY * old + new)
        a, b = MEMORY * old / weight, new / weight
        step = other.mean - self.mean
        covariance = a * self.covariance + b * other.covariance + a * b * np.outer(step, step)
        shrinkage = a * self.shrinkage + b * other.shrinkage
        return PairMoments(weight, self.mean + b * step, covariance, shrinkage, power)

    def swapped(self) -> PairMoments:
        """Return the moments with the second block first."""
        n = len(self.mean) // 2
        order = np.r_[n : 2 * n, :n]
        covariance = self.covariance[np.ix_(order, order)]
        return replace(self, mean=self.mean[order], covariance=covariance)

    def regular_covariance(self) -> np.ndarray:
        """Return the covariance with its correlations shrunk, so that it can be inverted."""
        unit = _deviations(self.covariance)
        diagonal = np.diag(unit**2)
        return (1 - self.shrinkage) * self.covariance + self.shrinkage * diagonal

    def map(self) -> np.ndarray:
        """Return the linear map from the first block's latents to the expected second ones.

        The shrunk correlations make it a ridge regression.

        Returns
        -------
        ndarray of shape (n_components + 1, n_components)
            Slopes, and behind them the offset.
        """
        n = len(self.mean) // 2
        covariance = self.regular_covariance()
        slopes = np.linalg.solve(covariance[:n, :n], covariance[:n, n:])
        return np.vstack([slopes, self.mean[n:] - self.mean[:n] @ slopes])

    def log_ratio(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        r"""Compute how much more probable pairs are as pairs than by chance.

        .. math::

            \log \frac{p(z_1, z_2)}{p(z_1)\,p(z_2)}

        of normal densities, but for a constant.

        Parameters
        ----------
        first : ndarray of shape (n_first, n_components)
        second : ndarray of shape (n_second, n_components)

        Returns
        -------
        ndarray of shape (n_first, n_second)
        """
        n = len(self.mean) // 2
        covariance = self.regular_covariance()
        joint = np.linalg.inv(covariance)
        first, second = first - self.mean[:n], second - self.mean[n:]

        def own(z: np.ndarray, part: slice) -> np.ndarray:
            excess = joint[part, part] - np.linalg.inv(covariance[part, part])
            return ((z @ excess) * z).sum(axis=1)

        a, b = slice(0, n), slice(n, 2 * n)
        with np.errstate(over="ignore", invalid="ignore"):
            cross = first @ joint[a, b] @ second.T
            found = -(own(first, a)[:, None] + own(second, b)[None, :] + 2 * cross) / 2
        return np.where(np.isnan(found), -np.inf, found)  # latents further away than numbers go


@dataclass
class PairStatistics:
    """The moments of all pairs of blocks that some row has both of.

    Parameters
    ----------
    moments : dict of (str, str) to PairMoments
        By the names of the blocks, in the order of the network.
    """

    moments: dict[tuple[str, str], PairMoments]

    @classmethod
    def learn(cls, module: DualModule, dataset: Subset, power: int = 0) -> PairStatistics:
        """Learn from the rows of a data set, each block's latents in their own space.

        Of each pair of blocks, some thousand rows that are spread evenly where there are more.

        Parameters
        ----------
        module : DualModule
        dataset : Subset
        power : int, default=0
            Power of two that the weights of the rows were divided by.
        """
        names = list(module.blocks)
        index = torch.arange(len(dataset)) if dataset.index is None else dataset.index
        has_kind = {name: dataset.rows.has(name)[index.numpy()] for name in names}
        pairs, n_pairs = {}, {}
        for a, b in combinations(names, 2):
            rows_of_both = np.flatnonzero(has_kind[a] & has_kind[b])
            if len(rows_of_both):
                # of the rows that have both: pairs may be few among many rows
                pairs[a, b] = rows_of_both[evenly(len(rows_of_both), _ENOUGH_PAIRS)]
                n_pairs[a, b] = len(rows_of_both)
        if not pairs:
            return cls({})
        some = np.unique(np.concatenate(list(pairs.values())))
        rows = Subset(dataset.rows, index[torch.from_numpy(some)])
        Z, weight = _latents_of_kinds(module, rows)
        moments = {}
        for (a, b), rows_of_both in pairs.items():
            at = np.searchsorted(some, rows_of_both)
            found = PairMoments.of(Z[a][at], Z[b][at], weight[at], power)
            share = n_pairs[a, b] / len(at)
            moments[a, b] = replace(found, weight=found.weight * share)
        return cls(moments)

    def merge(self, other: PairStatistics) -> PairStatistics:
        """Combine with the statistics of later rows of a stream."""
        moments = {**self.moments, **other.moments}
        for pair in self.moments.keys() & other.moments.keys():
            moments[pair] = self.moments[pair].merge(other.moments[pair])
        return PairStatistics(moments)

    def of(self, first: str, second: str) -> PairMoments | None:
        """Return the moments of two blocks, the first of them first; None without a pair."""
        if (first, second) in self.moments:
            return self.moments[first, second]
        swapped = self.moments.get((second, first))
        return None if swapped is None else swapped.swapped()

    def set_maps(self, module: DualModule) -> None:
        """Set the maps to the space of the first block in a network with separated spaces."""
        first, *others = module.blocks
        to_common, from_common = {}, {}
        for name in others if module.is_separated else ():
            moments = self.of(name, first)
            if moments is not None:
                to_common[name] = torch.from_numpy(moments.map())
                from_common[name] = torch.from_numpy(moments.swapped().map())
        module.set_maps(to_common, from_common)

    def to_state(self) -> list[dict[str, Any]]:
        """Return plain values and arrays."""
        return [{"pair": list(pair), **vars(own)} for pair, own in self.moments.items()]

    @classmethod
    def from_state(cls, state: list[Mapping[str, Any]]) -> PairStatistics:
        """Make the object from the state of ``to_state``."""
        moments = {}
        for entry in state:
            own = dict(entry)
            first, second = own.pop("pair")
            moments[first, second] = PairMoments(**own)
        return cls(moments)


def _latents_of_kinds(
    module: DualModule, dataset: Subset
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the latents of rows from each block, in its own space, and the weights of the rows.

    Returns
    -------
    Z : dict of str to ndarray of shape (n_samples, n_components)
        Of a row without a block, they mean nothing.
    weight : ndarray of shape (n_samples,)
    """
    latents: dict[str, list[np.ndarray]] = {name: [] for name in module.blocks}
    weights: list[np.ndarray] = []
    with torch.no_grad():
        for rows in TensorIterator(dataset, rows_of_size(module.layouts)):
            own_weight = torch.ones(len(rows)) if rows.weight is None else rows.weight[:, 0]
            weights.append(own_weight.double().cpu().numpy())
            for name, parts in latents.items():
                parts.append(module.latents_of(rows, name).mean.double().cpu().numpy())
    Z = {name: np.concatenate(parts) for name, parts in latents.items()}
    return Z, np.concatenate(weights)


def shrinkage_of(Z: np.ndarray, weight: np.ndarray, correlation: np.ndarray) -> float:
    """Return the shrinkage of correlations that Ledoit and Wolf (2004) estimate.

    The number of rows that their error falls with is that of the distinct ones: weights may be
    of any size, and a row of weight 2 is the same as two equal ones.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_latents)
        Standardised.
    weight : ndarray of shape (n_samples,)
    correlation : ndarray of shape (n_latents, n_latents)
        Of the weighted rows.
    """
    n_distinct = len(np.unique(Z.round(_DIGITS), axis=0))
    square = (correlation**2).sum()
    fourth = np.average((Z**2).sum(axis=1) ** 2, weights=weight)
    error = (fourth - square) / n_distinct  # of the correlations, summed over all
    distance = ((correlation - np.eye(len(correlation))) ** 2).sum()
    return 1.0 if error >= distance else float(max(error, 0.0) / distance)


def _deviations(covariance: np.ndarray) -> np.ndarray:
    """Return standard deviations; 1 for a constant latent."""
    variance = np.diag(covariance)
    return np.sqrt(np.where(variance > 0, variance, 1.0))
