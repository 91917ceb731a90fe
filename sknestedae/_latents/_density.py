"""Latents and errors of the training rows: means, covariances and examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.covariance import ledoit_wolf_shrinkage

from .._networks._autoencoder import AutoencoderModule
from .._networks._batch import Subset
from .._tables._layout import Layout
from .._training._data import TensorIterator
from ._residuals import all_errors

# Training rows that are enough for means and variances, and to stand for all latents.
_ENOUGH_ROWS = 10_000
_N_EXAMPLES = 1000

# A latent has at least a thousandth of the latents' mean variance, so that the covariance has an
# inverse.
_LEAST_VARIANCE = 1e-3

# With more columns than this, errors are taken as independent of each other.
_MANY_COLUMNS = 200

# Of a table with missing values, mean products of pairs may contradict each other: no covariance
# has them. The correlations are shrunk until this is left of the variance in every direction.
_LEAST_SHARE = 0.02

# Weight of a row of an earlier part of a stream by that of a new one, as the network has changed.
_MEMORY = 0.9


# ---------------------------------------------------------------------------------------------
# Statistics of the training rows


@dataclass
class LatentStatistics:
    """Moments of the latents and of the errors of the training rows, and examples of latents.

    Parameters
    ----------
    weight : float
        Total weight of the rows that it was learnt from, divided by two to the ``power``.
    mean : ndarray of shape (n_components,)
    covariance : ndarray of shape (n_components, n_components)
    error : dict of str to ndarray of shape (layout.n_numeric,)
        For each block, the mean squared error of each decoded number.
    residual : ndarray of shape (n_numeric, n_numeric) or None
        Mean products of the errors of all decoded numbers, shrunk towards their squares after
        Ledoit and Wolf (J. Multivar. Anal. 88, 365, 2004); None of very many columns.
    examples : ndarray of shape (n_examples, n_components)
        Latents of up to 1000 of the rows.
    power : int, default=0
        So that a total of the largest weights is a number, and one of the smallest not 0.
    """

    weight: float
    mean: np.ndarray
    covariance: np.ndarray
    error: dict[str, np.ndarray]
    residual: np.ndarray | None
    examples: np.ndarray
    power: int = 0

    @classmethod
    def learn(
        cls,
        module: AutoencoderModule,
        dataset: Subset,
        layouts: Mapping[str, Layout],
        power: int = 0,
    ) -> LatentStatistics:
        """Learn from rows, or some of them that are spread evenly where there are many."""
        index = torch.arange(len(dataset)) if dataset.index is None else dataset.index
        n_rows = len(dataset)
        some = index[torch.from_numpy(_evenly(n_rows, _ENOUGH_ROWS))]
        parts: list[list[np.ndarray]] = []
        with torch.no_grad():
            for rows in TensorIterator(Subset(dataset.rows, some), _ENOUGH_ROWS):
                encoded = module.encode(rows)
                known, error = all_errors(module.decode(encoded), rows, layouts)
                ones = encoded.new_ones(len(rows), 1)
                weights = ones if rows.weight is None else rows.weight
                found = (encoded, weights[:, 0], known, known * error)
                parts.append([values.double().cpu().numpy() for values in found])
        Z, share, knowns, errors = (np.concatenate(part) for part in zip(*parts, strict=True))
        mean = np.average(Z, axis=0, weights=share)
        covariance = (share[:, None] * (Z - mean)).T @ (Z - mean) / share.sum()
        squares, residual = _products(errors, knowns, share)
        ends = np.cumsum([layout.n_numeric for layout in layouts.values()])[:-1]
        by_block = dict(zip(layouts, np.split(squares, ends), strict=True))
        examples = Z[_by_weight(share, _N_EXAMPLES)]
        return cls(
            float(share.sum() * n_rows / len(share)),
            mean,
            covariance,
            by_block,
            residual,
            examples,
            power,
        )

    def merge(self, other: LatentStatistics) -> LatentStatistics:
        """Combine with the statistics of later rows of a stream.

        Means and covariances of two parts are those of all rows (Chan, Golub and LeVeque, Am.
        Stat. 37, 242, 1983), with less weight of the earlier part.
        """
        power = max(self.power, other.power)
        # in one power of two, so that neither weight overflows
        old, new = (np.ldexp(one.weight, one.power - power) for one in (self, other))
        weight = float(_MEMORY * old + new)
        a, b = _MEMORY * old / weight, new / weight
        step = other.mean - self.mean
        covariance = a * self.covariance + b * other.covariance + a * b * np.outer(step, step)
        error = {name: a * self.error[name] + b * other.error[name] for name in self.error}
        residual = None
        if self.residual is not None and other.residual is not None:
            residual = a * self.residual + b * other.residual
        n_examples = min(len(self.examples) + len(other.examples), _N_EXAMPLES)
        n_old = round(a * n_examples)
        examples = [
            own[_by_weight(np.ones(len(own)), n)]
            for own, n in ((self.examples, n_old), (other.examples, n_examples - n_old))
        ]
        return LatentStatistics(
            weight,
            self.mean + b * step,
            covariance,
            error,
            residual,
            np.concatenate(examples),
            power,
        )

    def regular_covariance(self) -> np.ndarray:
        """Give a covariance that can be inverted, also where a latent is constant."""
        spread = np.trace(self.covariance) / len(self.mean)
        if spread < np.finfo(np.float64).eps:  # all are: any unit is as good
            spread = 1.0
        return self.covariance + _LEAST_VARIANCE * spread * np.eye(len(self.mean))


def _products(
    error: np.ndarray, known: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Give the mean squares of errors, and their mean products, shrunk towards independence.

    Parameters
    ----------
    error, known : ndarray of shape (n_rows, n_numeric)
        0 where nothing was measured.
    weight : ndarray of shape (n_rows,)

    Returns
    -------
    squares : ndarray of shape (n_numeric,)
    products : ndarray of shape (n_numeric, n_numeric), or None of very many columns
    """
    tiny = np.finfo(np.float64).tiny  # of a column without any entry
    squares = weight @ error**2 / np.maximum(weight @ known, tiny)
    n_numeric = error.shape[1]
    if n_numeric > _MANY_COLUMNS:
        return squares, None
    counts = (weight[:, None] * known).T @ known
    products = (weight[:, None] * error).T @ error / np.maximum(counts, tiny)
    if n_numeric < 2 or len(error) < 2:
        return squares, products
    scale = np.sqrt(np.where(squares > 0, squares, 1))
    # their shrinkage falls with the number of rows; of a pair, only some rows count
    pairs = counts.mean() / weight.sum()
    shrinkage = min(ledoit_wolf_shrinkage(error / scale, assume_centered=True) / pairs, 1.0)
    if not known.all():
        least = np.linalg.eigvalsh(products / np.outer(scale, scale))[0]
        if (1 - shrinkage) * least + shrinkage < _LEAST_SHARE:
            shrinkage = (_LEAST_SHARE - least) / (1 - least)
    return squares, (1 - shrinkage) * products + shrinkage * np.diag(squares)


def _by_weight(weight: np.ndarray, n_wanted: int) -> np.ndarray:
    """Give positions of examples that stand for weighted rows; heavy ones more than once.

    Of rows that weigh alike, each once at most.
    """
    if np.ptp(weight) == 0:
        n_wanted = min(n_wanted, len(weight))
    total = np.cumsum(weight)
    position = np.searchsorted(total, (np.arange(n_wanted) + 0.5) / n_wanted * total[-1])
    return np.minimum(position, len(weight) - 1)


def _evenly(n: int, n_wanted: int) -> np.ndarray:
    """Give up to so many positions, evenly spread over n."""
    return np.linspace(0, n - 1, min(n, n_wanted)).round().astype(int)
