r"""Latents that explain what was measured of a row, and how well they do.

Fitted networks are read as a model of rows. Latents :math:`z` of the last stage are spread as
those of the training rows; a number :math:`x_j` is the decoder's, with the variance
:math:`\sigma_j^2` of the training rows' errors; a category has the decoder's probabilities; and
the latents of a stage before are numbers of the next one's table. The energy of a row is its
negative log-probability, but for a constant; of one stage

.. math::

    E(z) = \tfrac12 (z - \mu)^\top \Sigma^{-1} (z - \mu)
         + \sum_{j\ \text{measured}} \frac{(d_j(z) - x_j)^2}{2 \sigma_j^2}
         - \sum_{c\ \text{measured}} \log p_c(z)

Latents are not normal over all of a table, but nearly so among rows that are alike: :math:`\mu`
and :math:`\Sigma` are those of training rows whose decoded values agree with what was measured,
each with the weight of its likelihood (importance sampling). For a linear network and a normal
table this is probabilistic principal component analysis (Tipping and Bishop, J. R. Stat. Soc. B
61, 611, 1999), with a variance for each column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._layers._device import to_array
from .._networks._batch import Batch
from .._networks._chain import LatentColumns
from .._tables._missing import CompletionSearch
from ._observation import ObservationModel

# Rows that are explained together, and values of derivatives that are computed together.
_CHUNK_ROWS = 1024


_CHUNK_VALUES = 1 << 23


# An example speaks for rows around it: this is added to the local covariance of latents, in units
# of the global one.
_REACH = 0.1


# Of the search: damping at first, and what it is multiplied with after a step that did not help,
# or that did (Marquardt, SIAM J. Appl. Math. 11, 431, 1963).
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
# Some stages of a chain, together


class Prior(NamedTuple):
    """Where the last latents of each row are looked for.

    ``center`` is of shape (n_rows, n_components), ``precision`` of shape (n_rows, n_components,
    n_components).
    """

    center: Tensor
    precision: Tensor


class PosteriorModes(NamedTuple):
    """What explains rows, each once or in several ways.

    Parameters
    ----------
    rows : ndarray of int, shape (n_explained,)
        Which row each explains; of one row, the more probable first.
    latents : ndarray of shape (n_explained, n_components)
        Of the last link.
    decoded : list of dict of str to ndarray of shape (n_explained, layout.n_values)
        Of each link, categories as probabilities.
    mismatch : ndarray of shape (n_explained,)
        Root mean square, over measured columns, of what ``ObservationModel.mismatch`` sums up.
    nearest : ndarray of shape (n_rows,)
        The smallest mismatch that was found for each row, also where it is above the tolerance.
    """

    rows: np.ndarray
    latents: np.ndarray
    decoded: list[dict[str, np.ndarray]]
    mismatch: np.ndarray
    nearest: np.ndarray


class PosteriorModeSearch:
    """Find the latents that explain rows, of one stage or of some that follow each other.

    Parameters
    ----------
    links : sequence of ObservationModel
    between : sequence of LatentColumns
        Where the latents of each link but the last stand in the next one's values. They are
        unknown, and searched for together; those that the first link may have among its values
        are data.
    """

    def __init__(
        self, links: Sequence[ObservationModel], between: Sequence[LatentColumns] = ()
    ) -> None:
        self.links = list(links)
        self.between = list(between)
        ends = np.cumsum([link.n_components for link in links]).tolist()
        starts = [0, *ends[:-1]]
        self.slices = [slice(a, b) for a, b in zip(starts, ends, strict=True)]
        last = self.links[-1]
        width = sum(
            layout.n_values * link.n_components
            for link in self.links
            for layout in link.layouts.values()
        )
        self.n_rows = max(min(_CHUNK_ROWS, _CHUNK_VALUES // max(width, 1)), 1)
        with torch.no_grad():
            self.examples = self.decode_down(torch.from_numpy(last.belief.examples))

    def decode_down(self, latents: Tensor) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """Decode the last link's latents down to the first.

        Returns
        -------
        latents : Tensor of shape (n_rows, n_latents)
            Of all links, side by side.
        decoded : list of dict of str to Tensor
            Of all links.
        """
        every, decoded = [latents], [self.links[-1].decode(latents)]
        for link, columns in zip(self.links[-2::-1], self.between[::-1], strict=True):
            every.insert(0, columns.get(decoded[0]).clamp(*link.bounds))
            decoded.insert(0, link.decode(every[0]))
        return torch.cat(every, dim=1), decoded

    def misfits(self, parts: Sequence[Batch]) -> Tensor:
        """Give the energy of each row against each example, of shape (n_rows, n_examples)."""
        _, decoded = self.examples
        misfits = [
            link.misfits(values, rows)
            for link, values, rows in zip(self.links, decoded, parts, strict=True)
        ]
        return torch.stack(misfits).sum(dim=0)

    def weigh(self, parts: Sequence[Batch]) -> Tensor:
        """Weigh the examples by how well they explain each row, of shape (n_rows, n_examples)."""
        misfits = self.misfits(parts)
        # to a row further away than numbers go, all examples are alike
        return torch.softmax(-misfits.clamp(max=torch.finfo(misfits.dtype).max), dim=1)

    def local_prior(self, weights: Tensor) -> Prior:
        """Give the weighted mean and the precision of the examples' latents."""
        last = self.links[-1]
        Z = torch.from_numpy(last.belief.examples)
        center = weights @ Z
        products = (Z[:, :, None] * Z[:, None, :]).flatten(1)
        covariance = (weights @ products).unflatten(1, (Z.shape[1], -1))
        covariance = covariance - center[:, :, None] * center[:, None, :]
        return Prior(center, torch.linalg.inv(covariance + _REACH * last.covariance))

    def energy(self, latents: Tensor, parts: Sequence[Batch], prior: Prior) -> Tensor:
        """Give the energies of rows, of shape (n_rows,)."""
        own = [latents[:, part] for part in self.slices]
        step = own[-1] - prior.center
        total = torch.einsum("ni,nij,nj->n", step, prior.precision, step) / 2
        for k, (link, rows) in enumerate(zip(self.links, parts, strict=True)):
            decoded = link.decode(own[k])
            total = total + link.misfit(decoded, rows)
            if k:
                columns = self.between[k - 1]
                gap = columns.get(decoded) - own[k - 1]
                total = total + (gap**2 / (2 * self._gap_variance(k))).sum(dim=1)
        return total

    def _gap_variance(self, k: int) -> Tensor:
        """Give the variance of the latents of the link before, in their own units."""
        columns = self.between[k - 1]
        return self.links[k].variance[columns.block][columns.index] * columns.scale**2

    def slope(
        self, latents: Tensor, parts: Sequence[Batch], prior: Prior
    ) -> tuple[Tensor, Tensor]:
        """Give gradients, and the Gauss-Newton part of second derivatives.

        Returns
        -------
        gradient : Tensor of shape (n_rows, n_latents)
        curvature : Tensor of shape (n_rows, n_latents, n_latents)
        """
        n_rows, n_latents = latents.shape
        gradient = torch.zeros(n_rows, n_latents, dtype=torch.float64)
        curvature = torch.zeros(n_rows, n_latents, n_latents, dtype=torch.float64)
        last = self.slices[-1]
        step = latents[:, last] - prior.center
        gradient[:, last] = torch.einsum("nij,nj->ni", prior.precision, step)
        curvature[:, last, last] = prior.precision
        for k, (link, rows, own) in enumerate(zip(self.links, parts, self.slices, strict=True)):
            decoded, slopes = link.decode_with_slope(latents[:, own])
            first, second = link.misfit_slope(decoded, slopes, rows)
            gradient[:, own] += first
            curvature[:, own, own] += second
            if k:
                columns, before = self.between[k - 1], self.slices[k - 1]
                gap = columns.get(decoded) - latents[:, before]
                J = torch.zeros(n_rows, gap.shape[1], n_latents, dtype=torch.float64)
                J[:, :, own] = slopes[columns.block][:, columns.index] * columns.scale[:, None]
                J[:, :, before] = -torch.eye(gap.shape[1], dtype=torch.float64)
                weighted = J / self._gap_variance(k)[:, None]
                gradient += torch.einsum("njk,nj->nk", weighted, gap)
                curvature += torch.einsum("njk,njl->nkl", weighted, J)
        return gradient, curvature

    def search(self, parts: Sequence[Batch], start: Tensor, prior: Prior) -> Tensor:
        """Find latents of least energy, by the method of Levenberg and Marquardt.

        Parameters
        ----------
        parts : sequence of Batch
            The same rows as each link sees them.
        start : Tensor of shape (n_rows, n_latents)
            Of all links.
        prior : Prior

        Returns
        -------
        Tensor of shape (n_rows, n_latents)
        """
        latents = self._bound(start)
        least = self.energy(latents, parts, prior)
        damping = torch.full_like(least, _DAMPING)
        active = torch.arange(len(start))
        for _ in range(_MAX_ITER):
            some = [rows[active] for rows in parts]
            own = Prior(prior.center[active], prior.precision[active])
            gradient, curvature = self.slope(latents[active], some, own)
            diagonal = torch.diagonal(curvature, dim1=1, dim2=2)
            damped = curvature + torch.diag_embed(damping[active, None] * diagonal)
            trial = self._bound(latents[active] - torch.linalg.solve(damped, gradient))
            found = self.energy(trial, some, own)
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
        parts = zip(self.links, self.slices, strict=True)
        return torch.cat([latents[:, own].clamp(*link.bounds) for link, own in parts], dim=1)

    @torch.no_grad()
    def find(
        self, parts: Sequence[Batch], search: CompletionSearch | None = None
    ) -> PosteriorModes:
        """Explain rows, each once or as a search wants it.

        Parameters
        ----------
        parts : sequence of Batch
            The same rows as each link sees them.
        search : (int, float) or None
            How many explanations of each row, at most, and within which mismatch.
        """
        step = self.n_rows if search is None else max(self.n_rows // (_SEARCHES * search[0]), 1)
        found = []
        for i in range(0, len(parts[0]), step):
            some = [rows[i : i + step] for rows in parts]
            part = self._most_probable(some) if search is None else self._several(some, *search)
            found.append(part._replace(rows=part.rows + i))
        return _concatenate(found)

    def _most_probable(self, parts: Sequence[Batch]) -> PosteriorModes:
        """Give the most probable latents of rows, and what they decode to.

        A category has the mean probabilities of the examples, as no one point of the latents
        stands for what is uncertain.
        """
        weights = self.weigh(parts)
        prior = self.local_prior(weights)
        start, _ = self.decode_down(prior.center)
        latents = self.search(parts, start, prior)
        decoded = self._decode_all(latents)
        mismatch = self._mismatch(decoded, parts)
        _, examples = self.examples
        for link, values, of_examples in zip(self.links, decoded, examples, strict=True):
            for name, layout in link.layouts.items():
                for group in layout.groups():
                    p = torch.softmax(of_examples[name][:, group], dim=1)
                    values[name][:, group] = weights @ p
        return self._explained(np.arange(len(latents)), latents, decoded, mismatch, mismatch)

    def _decode_all(self, latents: Tensor) -> list[dict[str, Tensor]]:
        """Decode the latents of each link."""
        parts = zip(self.links, self.slices, strict=True)
        return [link.decode(latents[:, own]) for link, own in parts]

    def _mismatch(self, decoded: list[dict[str, Tensor]], parts: Sequence[Batch]) -> np.ndarray:
        sums = [
            link.mismatch(values, rows)
            for link, values, rows in zip(self.links, decoded, parts, strict=True)
        ]
        total, count = (np.sum(part, axis=0) for part in zip(*sums, strict=True))
        return np.sqrt(total / np.maximum(count, 1))

    def _explained(
        self,
        rows: np.ndarray,
        latents: Tensor,
        decoded: list[dict[str, Tensor]],
        mismatch: np.ndarray,
        nearest: np.ndarray,
    ) -> PosteriorModes:
        arrays = [{name: to_array(values) for name, values in part.items()} for part in decoded]
        return PosteriorModes(
            rows, to_array(latents[:, self.slices[-1]]), arrays, mismatch, nearest
        )

    def _several(
        self, parts: Sequence[Batch], n_candidates: int, tolerance: float
    ) -> PosteriorModes:
        """Explain each row in several ways that differ in what was not measured.

        Each search begins at an example, is drawn to it, and holds its categories. The examples
        are distinct in what is open; those come first that, with all that are alike, have the
        most weight.
        """
        last = self.links[-1]
        open_numbers, open_codes = self._is_open(parts)
        numbers, codes = self._points(self.examples[1])
        weights = to_array(self.weigh(parts))
        begun = [
            weightiest(numbers[:, n], codes[:, c], w, _SEARCHES * n_candidates)
            for n, c, w in zip(open_numbers, open_codes, weights, strict=True)
        ]
        index = np.repeat(np.arange(len(begun)), [len(own) for own in begun])
        drawn = np.concatenate(begun)
        every = [rows[torch.from_numpy(index)] for rows in parts]
        held = [
            link.hold(rows, own)
            for link, rows, own in zip(
                self.links, every, self._split_codes(codes[drawn]), strict=True
            )
        ]
        center = torch.from_numpy(last.belief.examples[drawn])
        precision = torch.linalg.inv(_REACH * last.covariance).expand(len(drawn), -1, -1)
        start, _ = self.decode_down(center)
        latents = self.search(held, start, Prior(center, precision))
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
        return self._explained(index[kept], latents[kept], held_values, mismatch[kept], nearest)

    def _is_open(self, parts: Sequence[Batch]) -> tuple[np.ndarray, np.ndarray]:
        """Tell what was not measured of rows: numbers and categories, of the tables' own columns.

        Latents between the stages are none of a table's own columns.
        """
        numbers, codes = [], []
        for k, (link, rows) in enumerate(zip(self.links, parts, strict=True)):
            own, of_codes = link.is_open(rows)
            if k:
                columns = self.between[k - 1]
                names = list(link.layouts)
                before = sum(
                    link.layouts[name].n_numeric for name in names[: names.index(columns.block)]
                )
                own[:, before + columns.index.numpy()] = False
            numbers.append(own)
            codes.append(of_codes)
        return np.hstack(numbers), np.hstack(codes)

    def _points(self, decoded: Sequence[Mapping[str, Tensor]]) -> tuple[np.ndarray, np.ndarray]:
        """Give the decoded numbers and codes of all links, side by side."""
        points = [link.points(v) for link, v in zip(self.links, decoded, strict=True)]
        numbers, codes = zip(*points, strict=True)
        return np.hstack(numbers), np.hstack(codes)

    def _split_codes(self, codes: np.ndarray) -> list[np.ndarray]:
        """Give the codes of each link."""
        counts = [
            sum(len(layout.n_categories) for layout in link.layouts.values())
            for link in self.links
        ]
        return np.split(codes, np.cumsum(counts)[:-1], axis=1)

    def _decoded_as_held(
        self, decoded: list[dict[str, Tensor]], held: list[Batch], kept: np.ndarray
    ) -> list[dict[str, Tensor]]:
        """Give decoded values with the categories that were held."""
        chosen = []
        for link, values, rows in zip(self.links, decoded, held, strict=True):
            own = {name: v[kept].clone() for name, v in values.items()}
            for name, layout in link.layouts.items():
                for group in layout.groups():
                    own[name][:, group] = rows.values[name][kept][:, group].double()
            chosen.append(own)
        return chosen


def _concatenate(found: Sequence[PosteriorModes]) -> PosteriorModes:
    decoded = [
        {name: np.concatenate([link[name] for link in links]) for name in links[0]}
        for links in zip(*(part.decoded for part in found), strict=True)
    ]
    arrays = {
        field: np.concatenate([getattr(part, field) for part in found])
        for field in ("rows", "latents", "mismatch", "nearest")
    }
    return PosteriorModes(decoded=decoded, **arrays)


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


def _are_alike(numbers: np.ndarray, codes: np.ndarray, rows: Any, other: int) -> np.ndarray:
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
