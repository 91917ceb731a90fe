r"""Posterior modes of latents, given the measured entries of rows (MAP estimates).

Fitted networks are read as a probabilistic model of rows. The latents :math:`z` of the last stage
have a normal prior; a number :math:`x_j` is normal around the decoder's output :math:`d_j(z)`,
with the variance :math:`\sigma_j^2` of the errors of the training rows; a category has the
decoder's probabilities; and the latents of a stage before are numbers of the next stage's table.
The negative log posterior density of one stage is, but for a constant,

.. math::

    -\log p(z \mid x) = \tfrac12 (z - \mu)^\top \Sigma^{-1} (z - \mu)
         + \sum_{j\ \text{measured}} \frac{(d_j(z) - x_j)^2}{2 \sigma_j^2}
         - \sum_{c\ \text{measured}} \log p_c(z)

The first term is the prior, the others are the negative log-likelihood. The mode is searched for
by Levenberg and Marquardt's method: Newton's, with the Gauss-Newton approximation of the Hessian
and a damping that grows where a step does not help.

Latents are not normal over all of a table, but nearly so among rows that are alike. The prior is
therefore the mixture of the training rows' latents, and it is brought to one normal density for
each row: :math:`\mu` and :math:`\Sigma` are the mean and the covariance of the examples, each with
the weight of its likelihood (importance sampling). For a linear network and a normal table this is
probabilistic principal component analysis (Tipping and Bishop, J. R. Stat. Soc. B 61, 611, 1999),
with a variance for each column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._layers._device import to_array
from .._networks._batch import Batch
from .._networks._chain import LatentColumns
from .._tables._missing import CompletionSearch
from ._observation import CHUNK_ROWS, ObservationModel

# Values of derivatives that are computed at once.
_CHUNK_VALUES = 1 << 23

# An example stands for rows around it: this is added to the local covariance of latents, in units
# of the global one.
_REACH = 0.1

# Of the search: damping at first, and its factors after a step that did not help, or that did
# (Marquardt, SIAM J. Appl. Math. 11, 431, 1963); and the number of steps at most.
_DAMPING, _WORSE, _BETTER = 1e-2, 4.0, 1 / 3
_MAX_ITER = 50

# Candidates are distinct if a category differs, or their numbers by this many standard deviations
# (root mean square over columns).
DISTINCT = 0.1

# Searches for each candidate that is wanted, as some end alike or do not fit; and how many of a
# row's best examples they begin at.
_SEARCHES = 4
_N_BEST = 300


# ---------------------------------------------------------------------------------------------
# The search, of one stage or of several of a chain at once


class Prior(NamedTuple):
    """A normal prior of the last stage's latents, one for each row.

    ``mean`` is of shape (n_rows, n_components), ``precision``, the inverse of the covariance, of
    shape (n_rows, n_components, n_components).
    """

    mean: Tensor
    precision: Tensor


class PosteriorModes(NamedTuple):
    """Posterior modes of rows, one of each row or several.

    Parameters
    ----------
    rows : ndarray of int, shape (n_modes,)
        Which row each belongs to; of one row, the more probable first.
    latents : ndarray of shape (n_modes, n_components)
        Of the last stage.
    decoded : list of dict of str to ndarray of shape (n_modes, layout.n_values)
        Of each stage, categories as probabilities.
    mismatch : ndarray of shape (n_modes,)
        Root mean square, over measured columns, of the errors of ``ObservationModel.mismatch``.
    nearest : ndarray of shape (n_rows,)
        The smallest mismatch that was found for each row, also where it is above the tolerance.
    """

    rows: np.ndarray
    latents: np.ndarray
    decoded: list[dict[str, np.ndarray]]
    mismatch: np.ndarray
    nearest: np.ndarray


class PosteriorModeSearch:
    """Search for posterior modes of latents, of one stage or of some that follow each other.

    Parameters
    ----------
    models : sequence of ObservationModel
        One a stage.
    between : sequence of LatentColumns
        Where the latents of each stage but the last stand in the next one's values. They are
        unknown, and all are searched for at once; those that the first stage may have among its
        values are data.

    Attributes
    ----------
    slices : list of slice
        Where each stage's latents stand among those of all stages, side by side.
    n_rows : int
        Number of rows in a chunk.
    examples : (Tensor, list of dict of str to Tensor)
        Latents of training rows, and their decoded values, as ``decode_down`` gives them: the
        components of the mixture.
    """

    def __init__(
        self, models: Sequence[ObservationModel], between: Sequence[LatentColumns] = ()
    ) -> None:
        self.models = list(models)
        self.between = list(between)
        ends = np.cumsum([model.n_components for model in models]).tolist()
        starts = [0, *ends[:-1]]
        self.slices = [slice(a, b) for a, b in zip(starts, ends, strict=True)]
        last = self.models[-1]
        width = sum(
            layout.n_values * model.n_components
            for model in self.models
            for layout in model.layouts.values()
        )
        self.n_rows = max(min(CHUNK_ROWS, _CHUNK_VALUES // max(width, 1)), 1)
        with torch.no_grad():
            self.examples = self.decode_down(torch.from_numpy(last.statistics.examples))

    def decode_down(self, latents: Tensor) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """Decode the last stage's latents down to the first.

        Returns
        -------
        latents : Tensor of shape (n_rows, n_latents)
            Of all stages, side by side.
        decoded : list of dict of str to Tensor
            Of all stages.
        """
        every, decoded = [latents], [self.models[-1].decode(latents)]
        for model, columns in zip(self.models[-2::-1], self.between[::-1], strict=True):
            every.insert(0, columns.get(decoded[0]).clamp(*model.bounds))
            decoded.insert(0, model.decode(every[0]))
        return torch.cat(every, dim=1), decoded

    def negative_log_likelihood_of_examples(self, parts: Sequence[Batch]) -> Tensor:
        """Give the negative log-likelihoods of all examples, of shape (n_rows, n_examples)."""
        _, decoded = self.examples
        terms = [
            model.negative_log_likelihood_of_examples(values, rows)
            for model, values, rows in zip(self.models, decoded, parts, strict=True)
        ]
        return torch.stack(terms).sum(dim=0)

    def example_weights(self, parts: Sequence[Batch]) -> Tensor:
        """Give the posterior weights of the examples, of shape (n_rows, n_examples).

        All examples have one prior weight, so that these are their likelihoods by the sum of them,
        the evidence.
        """
        losses = self.negative_log_likelihood_of_examples(parts)
        # to a row further away than numbers go, all examples are alike
        return torch.softmax(-losses.clamp(max=torch.finfo(losses.dtype).max), dim=1)

    def local_prior(self, weights: Tensor) -> Prior:
        """Give the normal density with the mean and covariance of the weighted examples.

        Parameters
        ----------
        weights : Tensor of shape (n_rows, n_examples)
        """
        last = self.models[-1]
        Z = torch.from_numpy(last.statistics.examples)
        mean = weights @ Z
        products = (Z[:, :, None] * Z[:, None, :]).flatten(1)  # (n_examples, n_components ** 2)
        covariance = (weights @ products).unflatten(1, (Z.shape[1], -1))
        covariance = covariance - mean[:, :, None] * mean[:, None, :]
        # A row may be like one example alone, whose covariance is 0: the added part keeps the
        # precision finite, and lets the latents leave the example.
        return Prior(mean, torch.linalg.inv(covariance + _REACH * last.covariance))

    def negative_log_posterior(
        self, latents: Tensor, parts: Sequence[Batch], prior: Prior
    ) -> Tensor:
        """Give the negative log posterior densities of rows, of shape (n_rows,)."""
        own = [latents[:, part] for part in self.slices]
        step = own[-1] - prior.mean
        total = torch.einsum("ni,nij,nj->n", step, prior.precision, step) / 2
        for k, (model, rows) in enumerate(zip(self.models, parts, strict=True)):
            decoded = model.decode(own[k])
            total = total + model.negative_log_likelihood(decoded, rows)
            if k:  # the latents of the stage before are normal around what this one decodes
                error = self.between[k - 1].get(decoded) - own[k - 1]
                total = total + (error**2 / (2 * self._latent_variance(k))).sum(dim=1)
        return total

    def _latent_variance(self, k: int) -> Tensor:
        """Give the variance of the latents before stage k, given its own, in their own units."""
        columns = self.between[k - 1]
        return self.models[k].variance[columns.block][columns.index] * columns.scale**2

    def gradient_and_hessian(
        self, latents: Tensor, parts: Sequence[Batch], prior: Prior
    ) -> tuple[Tensor, Tensor]:
        """Give the gradient of the negative log posterior, and its Gauss-Newton Hessian.

        Gauss and Newton leave the decoder's second derivatives out, so that the Hessian is
        positive definite: of a number it is the outer product of the Jacobian's row, by the
        variance.

        Returns
        -------
        gradient : Tensor of shape (n_rows, n_latents)
        hessian : Tensor of shape (n_rows, n_latents, n_latents)
        """
        n_rows, n_latents = latents.shape
        gradient = torch.zeros(n_rows, n_latents, dtype=torch.float64)
        hessian = torch.zeros(n_rows, n_latents, n_latents, dtype=torch.float64)
        last = self.slices[-1]
        step = latents[:, last] - prior.mean
        gradient[:, last] = torch.einsum("nij,nj->ni", prior.precision, step)
        hessian[:, last, last] = prior.precision
        for k, (model, rows, own) in enumerate(zip(self.models, parts, self.slices, strict=True)):
            decoded, jacobians = model.decode_with_jacobian(latents[:, own])
            first, second = model.gradient_and_hessian(decoded, jacobians, rows)
            gradient[:, own] += first
            hessian[:, own, own] += second
            if k:
                columns, before = self.between[k - 1], self.slices[k - 1]
                error = columns.get(decoded) - latents[:, before]
                # the error depends on the latents of both stages: (n_rows, n_before, n_latents)
                J = torch.zeros(n_rows, error.shape[1], n_latents, dtype=torch.float64)
                J[:, :, own] = jacobians[columns.block][:, columns.index] * columns.scale[:, None]
                J[:, :, before] = -torch.eye(error.shape[1], dtype=torch.float64)
                weighted = J / self._latent_variance(k)[:, None]
                gradient += torch.einsum("njk,nj->nk", weighted, error)
                hessian += torch.einsum("njk,njl->nkl", weighted, J)
        return gradient, hessian

    def minimize(self, parts: Sequence[Batch], start: Tensor, prior: Prior) -> Tensor:
        """Minimise the negative log posterior by the method of Levenberg and Marquardt.

        Rows are independent: each has its own damping, and leaves when its search has ended.

        Parameters
        ----------
        parts : sequence of Batch
            The same rows as each stage sees them.
        start : Tensor of shape (n_rows, n_latents)
            Of all stages.
        prior : Prior

        Returns
        -------
        Tensor of shape (n_rows, n_latents)
        """
        latents = self._bound(start)
        least = self.negative_log_posterior(latents, parts, prior)
        damping = torch.full_like(least, _DAMPING)
        active = torch.arange(len(start))
        for _ in range(_MAX_ITER):
            some = [rows[active] for rows in parts]
            own = Prior(prior.mean[active], prior.precision[active])
            gradient, hessian = self.gradient_and_hessian(latents[active], some, own)
            # Marquardt's damping, in units of the diagonal: no scaling of a latent changes a step
            diagonal = torch.diagonal(hessian, dim1=1, dim2=2)
            damped = hessian + torch.diag_embed(damping[active, None] * diagonal)
            trial = self._bound(latents[active] - torch.linalg.solve(damped, gradient))
            found = self.negative_log_posterior(trial, some, own)
            gain = least[active] - found
            better = gain > 0  # not where it is NaN
            chosen = active[better]
            latents[chosen], least[chosen] = trial[better], found[better]
            damping[active] *= torch.where(better, _BETTER, _WORSE).to(damping.dtype)
            # a step that gains next to nothing, or hardly moves any more, ends a row's search
            done = (better & (gain < 1e-6 * (1 + found.abs()))) | (damping[active] > 1e6)
            active = active[~done]
            if not len(active):
                break
        return latents

    def _bound(self, latents: Tensor) -> Tensor:
        """Move latents to where their activation can bring them."""
        parts = zip(self.models, self.slices, strict=True)
        return torch.cat([latents[:, own].clamp(*model.bounds) for model, own in parts], dim=1)

    @torch.no_grad()
    def find(
        self, parts: Sequence[Batch], search: CompletionSearch | None = None
    ) -> PosteriorModes:
        """Find the posterior mode of each row, or several as a search wants them.

        Parameters
        ----------
        parts : sequence of Batch
            The same rows as each stage sees them.
        search : CompletionSearch or None
            How many modes of each row, at most, and within which mismatch.
        """
        step = self.n_rows if search is None else max(self.n_rows // (_SEARCHES * search[0]), 1)
        found = []
        for i in range(0, len(parts[0]), step):
            some = [rows[i : i + step] for rows in parts]
            part = self._modes(some) if search is None else self._candidates(some, *search)
            found.append(part._replace(rows=part.rows + i))
        return _concatenate(found)

    def _modes(self, parts: Sequence[Batch]) -> PosteriorModes:
        """Give the posterior mode of each row, and its decoded values.

        A category has the weighted mean of the examples' probabilities, its posterior in the
        mixture: no one point of the latents stands for an uncertain category.
        """
        weights = self.example_weights(parts)
        prior = self.local_prior(weights)
        start, _ = self.decode_down(prior.mean)
        latents = self.minimize(parts, start, prior)
        decoded = self._decode_all(latents)
        mismatch = self._mismatch(decoded, parts)
        _, examples = self.examples
        for model, values, of_examples in zip(self.models, decoded, examples, strict=True):
            for name, layout in model.layouts.items():
                for group in layout.groups():
                    p = torch.softmax(of_examples[name][:, group], dim=1)
                    values[name][:, group] = weights @ p
        return self._as_modes(np.arange(len(latents)), latents, decoded, mismatch, mismatch)

    def _decode_all(self, latents: Tensor) -> list[dict[str, Tensor]]:
        """Decode the latents of each stage."""
        parts = zip(self.models, self.slices, strict=True)
        return [model.decode(latents[:, own]) for model, own in parts]

    def _mismatch(self, decoded: list[dict[str, Tensor]], parts: Sequence[Batch]) -> np.ndarray:
        """Give the root mean square of the errors of all measured columns, of shape (n_rows,)."""
        sums = [
            model.mismatch(values, rows)
            for model, values, rows in zip(self.models, decoded, parts, strict=True)
        ]
        total, count = (np.sum(part, axis=0) for part in zip(*sums, strict=True))
        return np.sqrt(total / np.maximum(count, 1))

    def _as_modes(
        self,
        rows: np.ndarray,
        latents: Tensor,
        decoded: list[dict[str, Tensor]],
        mismatch: np.ndarray,
        nearest: np.ndarray,
    ) -> PosteriorModes:
        """Bring what was found to arrays."""
        arrays = [{name: to_array(values) for name, values in part.items()} for part in decoded]
        return PosteriorModes(
            rows, to_array(latents[:, self.slices[-1]]), arrays, mismatch, nearest
        )

    def _candidates(
        self, parts: Sequence[Batch], n_candidates: int, tolerance: float
    ) -> PosteriorModes:
        """Give several modes of each row that differ in entries that were not measured.

        Each search begins at an example, has a prior around it, and holds its categories as if
        they were measured. The examples differ in open entries; those come first that, with
        all that are alike, have the most posterior weight.
        """
        last = self.models[-1]
        open_numbers, open_codes = self._is_open(parts)
        numbers, codes = self._points(self.examples[1])
        weights = to_array(self.example_weights(parts))
        begun = [
            weightiest(numbers[:, n], codes[:, c], w, _SEARCHES * n_candidates)
            for n, c, w in zip(open_numbers, open_codes, weights, strict=True)
        ]
        # the searches of all rows side by side: whose each is, and which example it begins at
        index = np.repeat(np.arange(len(begun)), [len(own) for own in begun])
        drawn = np.concatenate(begun)
        every = [rows[torch.from_numpy(index)] for rows in parts]
        held = [
            model.hold(rows, own)
            for model, rows, own in zip(
                self.models, every, self._split_codes(codes[drawn]), strict=True
            )
        ]
        center = torch.from_numpy(last.statistics.examples[drawn])
        precision = torch.linalg.inv(_REACH * last.covariance).expand(len(drawn), -1, -1)
        start, _ = self.decode_down(center)
        latents = self.minimize(held, start, Prior(center, precision))
        decoded = self._decode_all(latents)
        mismatch = self._mismatch(decoded, every)
        numbers, _ = self._points(decoded)
        chosen: list[int] = []
        for i, (n, c) in enumerate(zip(open_numbers, open_codes, strict=True)):
            own = np.flatnonzero((index == i) & (mismatch <= tolerance))
            chosen += choose_distinct(numbers[:, n], codes[drawn][:, c], own, n_candidates)
        kept = np.array(chosen, dtype=int)
        nearest = np.full(len(begun), np.inf)
        np.minimum.at(nearest, index, mismatch)
        held_values = self._decoded_as_held(decoded, held, kept)
        return self._as_modes(index[kept], latents[kept], held_values, mismatch[kept], nearest)

    def _is_open(self, parts: Sequence[Batch]) -> tuple[np.ndarray, np.ndarray]:
        """Tell which numbers and categories of the tables' own columns were not measured.

        Latents between the stages are none of a table's own columns.
        """
        numbers, codes = [], []
        for k, (model, rows) in enumerate(zip(self.models, parts, strict=True)):
            own, of_codes = model.is_open(rows)
            if k:
                columns = self.between[k - 1]
                names = list(model.layouts)
                before = sum(
                    model.layouts[name].n_numeric for name in names[: names.index(columns.block)]
                )
                own[:, before + columns.index.numpy()] = False
            numbers.append(own)
            codes.append(of_codes)
        return np.hstack(numbers), np.hstack(codes)

    def _points(self, decoded: Sequence[Mapping[str, Tensor]]) -> tuple[np.ndarray, np.ndarray]:
        """Give the decoded numbers and codes of all stages, side by side."""
        points = [model.points(v) for model, v in zip(self.models, decoded, strict=True)]
        numbers, codes = zip(*points, strict=True)
        return np.hstack(numbers), np.hstack(codes)

    def _split_codes(self, codes: np.ndarray) -> list[np.ndarray]:
        """Give the codes of each stage."""
        counts = [
            sum(len(layout.n_categories) for layout in model.layouts.values())
            for model in self.models
        ]
        return np.split(codes, np.cumsum(counts)[:-1], axis=1)

    def _decoded_as_held(
        self, decoded: list[dict[str, Tensor]], held: list[Batch], kept: np.ndarray
    ) -> list[dict[str, Tensor]]:
        """Give decoded values with the categories that were held."""
        chosen = []
        for model, values, rows in zip(self.models, decoded, held, strict=True):
            own = {name: v[kept].clone() for name, v in values.items()}
            for name, layout in model.layouts.items():
                for group in layout.groups():
                    own[name][:, group] = rows.values[name][kept][:, group].double()
            chosen.append(own)
        return chosen


def _concatenate(found: Sequence[PosteriorModes]) -> PosteriorModes:
    """Put the modes of chunks of rows together."""
    decoded = [
        {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
        for chunks in zip(*(part.decoded for part in found), strict=True)
    ]
    return PosteriorModes(
        rows=np.concatenate([part.rows for part in found]),
        latents=np.concatenate([part.latents for part in found]),
        decoded=decoded,
        mismatch=np.concatenate([part.mismatch for part in found]),
        nearest=np.concatenate([part.nearest for part in found]),
    )


def weightiest(
    numbers: np.ndarray, codes: np.ndarray, weights: np.ndarray, n_wanted: int
) -> np.ndarray:
    """Choose examples that differ, those first that with all that are alike weigh most.

    Parameters
    ----------
    numbers : ndarray of shape (n_examples, n_numbers)
        In standard deviations.
    codes : ndarray of int, shape (n_examples, n_categorical)
    weights : ndarray of shape (n_examples,)
    n_wanted : int
        How many at most.

    Returns
    -------
    ndarray of int
    """
    left = np.argsort(-weights, kind="stable")[:_N_BEST]
    chosen, total = [], []
    while len(left):
        alike = _are_alike(numbers, codes, left, left[0])
        chosen.append(left[0])
        total.append(weights[left[alike]].sum())
        left = left[~alike]
    return np.array(chosen)[np.argsort(-np.array(total), kind="stable")[:n_wanted]]


def _are_alike(
    numbers: np.ndarray, codes: np.ndarray, rows: np.ndarray | list[int], other: int
) -> np.ndarray:
    """Tell which rows are not distinct from another one."""
    step = numbers[rows] - numbers[other]
    distance = np.sqrt((step**2).mean(axis=1)) if step.shape[1] else np.zeros(len(step))
    return (codes[rows] == codes[other]).all(axis=1) & (distance <= DISTINCT)


def choose_distinct(
    numbers: np.ndarray, codes: np.ndarray, order: np.ndarray, n_wanted: int
) -> list[int]:
    """Choose candidates, the first in an order first, that differ from all chosen before.

    Parameters
    ----------
    numbers : ndarray of shape (n_candidates, n_numbers)
        In standard deviations.
    codes : ndarray of int, shape (n_candidates, n_categorical)
    order : ndarray of int
        Candidates that may be chosen.
    n_wanted : int
        How many at most.

    Returns
    -------
    list of int
    """
    chosen: list[int] = []
    for j in order:
        if not _are_alike(numbers, codes, chosen, j).any():
            chosen.append(int(j))
            if len(chosen) == n_wanted:
                break
    return chosen
