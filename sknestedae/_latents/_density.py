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
from ._covariance import common_factors, factors_of, merge_factors
from ._residuals import all_errors, rows_of_size

# Training rows that are enough for means and variances, and to stand for all latents.
_ENOUGH_ROWS = 10_000
_N_EXAMPLES = 1000

# Size of the errors that are kept to see what they have in common: of wide rows, fewer are kept.
_ERROR_BYTES = 16 << 20

# A latent has at least a thousandth of the latents' mean variance, so that the covariance has an
# inverse.
_LEAST_VARIANCE = 1e-3

# Up to so many columns that stand by themselves have a whole covariance of their errors. Of more,
# and of arrays, common factors stand for it.
_MANY_COLUMNS = 200

# Of a table with missing values, mean products of pairs may contradict each other: no covariance
# has them. The correlations are shrunk until this is left of the variance in every direction.
_LEAST_SHARE = 0.02

# Weight of a row of an earlier part of a stream by that of a new one, as the network has changed.
MEMORY = 0.9


# ---------------------------------------------------------------------------------------------
# Statistics of the training rows


@dataclass
class LatentStatistics:
    """Moments of the latents and of the errors of the training rows, and examples of latents.

    Parameters
    ----------
    weight : float
        Total weight of the training rows, divided by two to the ``power``.
    mean : ndarray of shape (n_components,)
    covariance : ndarray of shape (n_components, n_components)
    error : dict of str to ndarray of shape (layout.n_numeric,)
        For each block, the mean squared error of each decoded number.
    factors : ndarray of shape (n_numeric, n_factors)
        What the errors of all decoded numbers have in common: the products of its rows are the
        covariances of two numbers. Of up to 200 columns that stand by themselves it has as many
        factors as columns, and the covariance is shrunk towards independence after Ledoit and
        Wolf (J. Multivar. Anal. 88, 365, 2004); else a few, after ``common_factors``.
    examples : ndarray of shape (n_examples, n_components)
        Latents of up to 1000 of the rows.
    power : int, default=0
        So that a total of the largest weights is a number, and one of the smallest not 0.
    spread : ndarray of shape (n_components,) or None, default=None
        Of variational latents, the mean of their variances over the rows; None of points.
    """

    weight: float
    mean: np.ndarray
    covariance: np.ndarray
    error: dict[str, np.ndarray]
    factors: np.ndarray
    examples: np.ndarray
    power: int = 0
    spread: np.ndarray | None = None

    @classmethod
    def learn(
        cls,
        module: AutoencoderModule,
        dataset: Subset,
        layouts: Mapping[str, Layout],
        power: int = 0,
    ) -> LatentStatistics:
        """Learn from rows, or some of them that are spread evenly where there are many.

        Errors are decoded in chunks of about a MB, so that they take little memory beside the
        rows.
        """
        index = torch.arange(len(dataset)) if dataset.index is None else dataset.index
        n_rows = len(dataset)
        some = index[torch.from_numpy(evenly(n_rows, _ENOUGH_ROWS))]
        errors = _ErrorMoments(len(some), sum(layout.n_numeric for layout in layouts.values()))
        latents, weights, variances = [], [], []
        with torch.no_grad():
            for rows in TensorIterator(Subset(dataset.rows, some), rows_of_size(layouts)):
                encoded, log_variance = module.latents(rows)
                decoded = module.align(module.decode(encoded), rows)
                known, error = all_errors(decoded, rows, layouts)
                ones = encoded.new_ones(len(rows), 1)
                weight = ones if rows.weight is None else rows.weight
                found = [v.double().cpu().numpy() for v in (encoded, weight[:, 0], known, error)]
                latents.append(found[0])
                weights.append(found[1])
                if log_variance is not None:
                    variances.append(log_variance.double().exp().cpu().numpy())
                errors.add(*found[1:])
        Z, share = np.concatenate(latents), np.concatenate(weights)
        mean = np.average(Z, axis=0, weights=share)
        covariance = (share[:, None] * (Z - mean)).T @ (Z - mean) / share.sum()
        is_array = any(layout.shape for layout in layouts.values())
        squares, factors = errors.result(share, is_array)
        ends = np.cumsum([layout.n_numeric for layout in layouts.values()])[:-1]
        return cls(
            weight=float(share.sum() * n_rows / len(share)),
            mean=mean,
            covariance=covariance,
            error=dict(zip(layouts, np.split(squares, ends), strict=True)),
            factors=factors,
            examples=Z[_by_weight(share, _N_EXAMPLES)],
            power=power,
            spread=np.average(np.concatenate(variances), axis=0, weights=share)
            if variances
            else None,
        )

    def merge(self, other: LatentStatistics) -> LatentStatistics:
        """Combine with the statistics of later rows of a stream.

        Means and covariances of two parts are those of all rows (Chan, Golub and LeVeque, Am.
        Stat. 37, 242, 1983), with less weight of the earlier part.
        """
        power = max(self.power, other.power)
        # in one power of two, so that neither weight overflows
        old, new = (np.ldexp(one.weight, one.power - power) for one in (self, other))
        weight = float(MEMORY * old + new)
        a, b = MEMORY * old / weight, new / weight
        step = other.mean - self.mean
        covariance = a * self.covariance + b * other.covariance + a * b * np.outer(step, step)
        error = {name: a * self.error[name] + b * other.error[name] for name in self.error}
        squares = np.concatenate(list(error.values()))
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
            merge_factors(self.factors, other.factors, (a, b), squares),
            np.concatenate(examples),
            power,
            None if other.spread is None else a * self.spread + b * other.spread,
        )

    def regular_covariance(self) -> np.ndarray:
        """Return a covariance that can be inverted, also where a latent is constant."""
        spread = np.trace(self.covariance) / len(self.mean)
        if spread < np.finfo(np.float64).eps:  # all are: any unit is as good
            spread = 1.0
        return self.covariance + _LEAST_VARIANCE * spread * np.eye(len(self.mean))


class _ErrorMoments:
    """Mean squares of errors, and the errors of some rows, gathered chunk by chunk.

    Parameters
    ----------
    n_rows, n_numeric : int
        Of all chunks together.
    """

    def __init__(self, n_rows: int, n_numeric: int) -> None:
        n_kept = max(_ERROR_BYTES // (8 * max(n_numeric, 1)), 1)
        self.kept = evenly(n_rows, n_kept)
        self.error = np.empty((len(self.kept), n_numeric))
        self.known = np.empty((len(self.kept), n_numeric), dtype=bool)
        self.squares = np.zeros(n_numeric)
        self.measured = np.zeros(n_numeric)
        self.n_rows = self.n_kept = 0

    def add(self, weight: np.ndarray, known: np.ndarray, error: np.ndarray) -> None:
        """Add the next rows: their weights, masks of measured entries, and errors."""
        error = known * error
        self.squares += weight @ error**2
        self.measured += weight @ known
        start, self.n_rows = self.n_rows, self.n_rows + len(error)
        own = self.kept[self.n_kept : np.searchsorted(self.kept, self.n_rows)] - start
        to = slice(self.n_kept, self.n_kept + len(own))
        self.error[to], self.known[to] = error[own], known[own]
        self.n_kept = to.stop

    def result(self, weight: np.ndarray, is_array: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean squares and the covariance of errors.

        Parameters
        ----------
        weight : ndarray of shape (n_rows,)
        is_array : bool
            Whether numbers are those of arrays.
        """
        # not 0 of a column without any entry
        squares = self.squares / np.maximum(self.measured, np.finfo(np.float64).tiny)
        weight = weight[self.kept]
        if not is_array and len(squares) <= _MANY_COLUMNS:
            products = _products(self.error, self.known.astype(float), weight, squares)
            return squares, factors_of(products, squares)
        known = None if self.known.all() else self.known
        return squares, common_factors(self.error, known, weight)


def _products(
    error: np.ndarray, known: np.ndarray, weight: np.ndarray, squares: np.ndarray
) -> np.ndarray:
    """Return the mean products of errors, shrunk towards independence.

    Parameters
    ----------
    error, known : ndarray of shape (n_rows, n_numeric)
        0 where nothing was measured.
    weight : ndarray of shape (n_rows,)
    squares : ndarray of shape (n_numeric,)
        Their mean squares.

    Returns
    -------
    ndarray of shape (n_numeric, n_numeric)
    """
    counts = (weight[:, None] * known).T @ known
    products = (weight[:, None] * error).T @ error / np.maximum(counts, np.finfo(float).tiny)
    if len(squares) < 2 or len(error) < 2:
        return products
    scale = np.sqrt(np.where(squares > 0, squares, 1))
    # their shrinkage falls with the number of rows; of a pair, only some rows count
    pairs = counts.mean() / weight.sum()
    shrinkage = min(ledoit_wolf_shrinkage(error / scale, assume_centered=True) / pairs, 1.0)
    if not known.all():
        least = np.linalg.eigvalsh(products / np.outer(scale, scale))[0]
        if (1 - shrinkage) * least + shrinkage < _LEAST_SHARE:
            shrinkage = (_LEAST_SHARE - least) / (1 - least)
    return (1 - shrinkage) * products + shrinkage * np.diag(squares)


def _by_weight(weight: np.ndarray, n_wanted: int) -> np.ndarray:
    """Return positions of examples that stand for weighted rows; heavy ones more than once.

    Of rows that weigh alike, each once at most.
    """
    if np.ptp(weight) == 0:
        n_wanted = min(n_wanted, len(weight))
    total = np.cumsum(weight)
    position = np.searchsorted(total, (np.arange(n_wanted) + 0.5) / n_wanted * total[-1])
    return np.minimum(position, len(weight) - 1)


def evenly(n: int, n_wanted: int) -> np.ndarray:
    """Return a number of positions, at most, evenly spread over n."""
    return np.linspace(0, n - 1, min(n, n_wanted)).round().astype(int)
