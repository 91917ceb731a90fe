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
by the Levenberg-Marquardt method: Newton's, with the Gauss-Newton approximation of the Hessian and
a damping that grows where a step does not help. Where errors of numbers are correlated, the sum
over them is a Mahalanobis distance, and a number that was not measured is the decoded one minus
its expected error, given the errors of the measured ones.

Latents are not normal over all of a table, but nearly so among rows that are alike. The prior is
therefore the mixture of the training rows' latents, and it is brought to one normal density for
each row: :math:`\mu` and :math:`\Sigma` are the mean and the covariance of the examples, each with
the weight of its likelihood (importance sampling). For a linear network and a normal table this is
probabilistic principal component analysis (Tipping and Bishop, J. R. Stat. Soc. B 61, 611, 1999),
with a variance for each column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._layers._device import to_array
from .._networks._batch import Batch
from .._networks._chain import LatentColumns
from .._tables._missing import CompletionSearch
from ._covariance import MeasuredErrors
from ._observation import CHUNK_ROWS, ObservationModel

# Size of what is computed at once: derivatives, of which so many arrays are in memory at a time,
# and matrices of errors.
_CHUNK_BYTES = 64 << 20
_N_COPIES = 4

# An example stands for rows around it: this is added to the local covariance of latents, in units
# of the global one.
_REACH = 0.1

# Examples whose distance from the next one is looked at.
_N_SPACED = 100

# Of the errors of encoded latents, at least this share of the latents' covariance.
_LEAST_SPREAD = 1e-2

# A scale of errors at which what was measured tells nothing any more.
_LARGEST_SCALE = 1e12

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


class RowDensities(NamedTuple):
    """The parameters of the posterior densities of rows, apart from their values.

    Parameters
    ----------
    mean : Tensor of shape (n_rows, n_components)
        Of the normal prior of the last stage's latents.
    precision : Tensor of shape (n_rows, n_components, n_components)
        The inverse of its covariance.
    errors : list of MeasuredErrors
        The covariance of the errors, at each stage.
    """

    mean: Tensor
    precision: Tensor
    errors: list[MeasuredErrors]

    def take(self, rows: Tensor) -> RowDensities:
        """Return those of some rows."""
        errors = [own.take(rows) for own in self.errors]
        return RowDensities(self.mean[rows], self.precision[rows], errors)


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
        self.n_rows = max(min(CHUNK_ROWS, _CHUNK_BYTES // self._row_bytes()), 1)
        # rows of arrays, and wide ones, are of a region of their own more often than not
        self.has_scale = any(model.has_few_factors for model in self.models)
        with torch.no_grad():
            self.examples = self.decode_down(torch.from_numpy(last.statistics.examples))
        self._spacings: dict[tuple[bool, ...], list[Tensor]] = {}
        self._encoding_errors: dict[tuple[bool, ...], Tensor] = {}

    def _row_bytes(self) -> int:
        """Return the size of the derivatives of a row, and of the matrices of its errors."""
        entries = 0
        for model in self.models:
            n_values = sum(layout.n_values for layout in model.layouts.values())
            n_numeric, n_factors = model.errors.factors.shape
            entries += _N_COPIES * n_values * model.n_components
            entries += n_factors * (n_numeric + 2 * n_factors)
        return 8 * max(entries, 1)

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

    def densities(self, parts: Sequence[Batch]) -> tuple[RowDensities, Tensor]:
        """Return the densities for the search of rows, and the posterior weights of the examples.

        Parameters
        ----------
        parts : sequence of Batch
            The same rows as each stage sees them.

        Returns
        -------
        densities : RowDensities
        weights : Tensor of shape (n_rows, n_examples)
        """
        weights, scale = self.weigh_examples(parts)
        mean, precision = self.local_prior(weights)
        if self.has_scale and len(self.models) == 1:
            mean, precision = self._with_encoded(parts[0], mean, precision, scale)
        return RowDensities(mean, precision, self._errors(parts, scale)), weights

    def _with_encoded(
        self, rows: Batch, mean: Tensor, precision: Tensor, scale: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Multiply priors by the encoder's density for rows with missing blocks.

        A network that was trained with ``block_dropout`` tells latents from the other blocks. How
        well it does is seen on the examples, and the errors of a row are larger by its scale. It
        is not seen where more enters the encoder than is decoded, as of structures of atoms: there
        priors stay as they are.
        """
        model = self.models[0]
        present = model.measured_blocks(rows)
        mean, precision = mean.clone(), precision.clone()
        for blocks in torch.unique(present, dim=0):
            if bool(blocks.all()) or not bool(blocks.any()) or not model.decodes_all_of(blocks):
                continue
            own = torch.nonzero((present == blocks).all(dim=1))[:, 0]
            added = torch.linalg.inv(self._encoding_error(tuple(blocks.tolist()), rows))
            added = added / scale[own, None, None]
            both = precision[own] + added
            pull = torch.einsum("nij,nj->ni", precision[own], mean[own])
            pull = pull + torch.einsum("nij,nj->ni", added, model.encode(rows[own]))
            mean[own] = torch.linalg.solve(both, pull)
            precision[own] = both
        return mean, precision

    def _encoding_error(self, present: tuple[bool, ...], like: Batch) -> Tensor:
        """Return the mean products of errors of latents that are encoded from some blocks only."""
        if present not in self._encoding_errors:
            (model,), (decoded,) = self.models, self.examples[1]
            values = {n: v.to(model.dtype) for n, v in decoded.items()}
            rows = model.as_rows(values, present, like)
            error = model.encode(rows) - self.examples[0]
            least = _LEAST_SPREAD * model.covariance
            self._encoding_errors[present] = error.T @ error / len(error) + least
        return self._encoding_errors[present]

    def _errors(self, parts: Sequence[Batch], scale: Tensor) -> list[MeasuredErrors]:
        """Return the covariance of the errors of each stage's measured entries."""
        any_latents = torch.zeros(len(parts[0]), self.slices[-1].stop, dtype=torch.float64)
        stages = zip(self.models, self._with_latents(any_latents, parts), strict=True)
        return [model.measured_errors(rows, scale) for model, rows in stages]

    def weigh_examples(self, parts: Sequence[Batch]) -> tuple[Tensor, Tensor]:
        r"""Return the posterior weights of the examples, and the scale of each row's errors.

        All examples have one prior weight, so that their posterior weights are their likelihoods
        by the sum of them, the evidence.

        The errors of training rows are those of rows that the network has seen. Errors grow with
        the distance of a row from these: to first order linearly. So where rows are arrays, the
        variance is :math:`1 + (d / d_0)^2` times that of the training rows, with the distance
        :math:`d` from the nearest example, and :math:`d_0` that of an example from the next. Rows
        of a few columns are mostly near others, and have 1.

        Returns
        -------
        weights : Tensor of shape (n_rows, n_examples)
        scale : Tensor of shape (n_rows,)
        """
        stages = list(zip(self.models, self.examples[1], parts, strict=True))
        distances = torch.stack(
            [model.squared_distances_of_examples(v, rows) for model, v, rows in stages]
        ).sum(dim=0)
        # to a row further away than numbers go, all examples are alike
        distances = distances.clamp(min=0, max=torch.finfo(distances.dtype).max)
        scale = torch.ones(len(distances), dtype=distances.dtype)
        if self.has_scale:
            scale = scale + self._relative_distance(distances, parts)
        losses = [model.categories_of_examples(v, rows) for model, v, rows in stages]
        losses.append(distances / (2 * scale[:, None]))
        return torch.softmax(-torch.stack(losses).sum(dim=0), dim=1), scale

    def _relative_distance(self, distances: Tensor, parts: Sequence[Batch]) -> Tensor:
        """Compare squared distances from the nearest example with their expected values.

        Parameters
        ----------
        distances : Tensor of shape (n_rows, n_examples)
        parts : sequence of Batch

        Returns
        -------
        Tensor of shape (n_rows,)
        """
        present = torch.cat(
            [model.present_blocks(rows) for model, rows in zip(self.models, parts, strict=True)], 1
        )
        expected = torch.zeros(len(distances), dtype=distances.dtype)
        for blocks in torch.unique(present, dim=0):
            own = torch.nonzero((present == blocks).all(dim=1))[:, 0]
            stages = zip(self.models, self._spacing(tuple(blocks.tolist())), parts, strict=True)
            for model, spacing, rows in stages:
                expected[own] += model.expected_squared_distance(spacing, rows[own])
        found = distances.min(dim=1).values / expected
        # 0 by 0 of a row without a number
        return found.nan_to_num(0.0).clamp(max=_LARGEST_SCALE)

    def _spacing(self, present: tuple[bool, ...]) -> list[Tensor]:
        """Return the mean squares by which numbers of an example differ from those of the nearest.

        Parameters
        ----------
        present : tuple of bool
            Which blocks of all stages tell the nearest.

        Returns
        -------
        list of Tensor of shape (n_numeric,)
            Of each stage.
        """
        if present not in self._spacings:
            decoded = self.examples[1]
            n_examples = len(self.examples[0])
            some = torch.linspace(0, n_examples - 1, min(n_examples, _N_SPACED)).round().long()
            rest = list(present)
            distances = torch.zeros(len(some), n_examples, dtype=torch.float64)
            for k, (model, values) in enumerate(zip(self.models, decoded, strict=True)):
                own, rest = rest[: len(model.layouts)], rest[len(model.layouts) :]
                rows = model.as_rows({name: v[some] for name, v in values.items()}, own)
                if k:  # latents are no numbers of a row
                    columns = self.between[k - 1]
                    rows.measured[columns.block][:, columns.index] = False
                distances += model.squared_distances_of_examples(values, rows)
            distances[torch.arange(len(some)), some] = torch.inf
            # of one example alone, itself
            nearest = distances.argmin(dim=1) if n_examples > 1 else some
            self._spacings[present] = [
                model.spacing(values, some, nearest)
                for model, values in zip(self.models, decoded, strict=True)
            ]
        return self._spacings[present]

    def local_prior(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return the normal density with the mean and covariance of the weighted examples.

        Parameters
        ----------
        weights : Tensor of shape (n_rows, n_examples)

        Returns
        -------
        mean : Tensor of shape (n_rows, n_components)
        precision : Tensor of shape (n_rows, n_components, n_components)
        """
        last = self.models[-1]
        Z = torch.from_numpy(last.statistics.examples)
        mean = weights @ Z
        products = (Z[:, :, None] * Z[:, None, :]).flatten(1)  # (n_examples, n_components ** 2)
        covariance = (weights @ products).unflatten(1, (Z.shape[1], -1))
        covariance = covariance - mean[:, :, None] * mean[:, None, :]
        # A row may be like one example alone, whose covariance is 0: the added part keeps the
        # precision finite, and lets the latents leave the example. Where the weights spread over
        # several, as those of a scaled row do, their own covariance tells how far.
        reach = torch.full_like(mean[:, 0], _REACH)
        if self.has_scale:
            reach = reach * (weights**2).sum(dim=1)  # by the number of examples that count
        covariance = covariance + reach[:, None, None] * last.covariance
        if last.statistics.spread is not None:  # an example is a density
            covariance = covariance + torch.diag(torch.from_numpy(last.statistics.spread))
        return mean, torch.linalg.inv(covariance)

    def negative_log_posterior(
        self, latents: Tensor, parts: Sequence[Batch], densities: RowDensities
    ) -> Tensor:
        """Return the negative log posterior densities of rows, of shape (n_rows,)."""
        step = latents[:, self.slices[-1]] - densities.mean
        total = torch.einsum("ni,nij,nj->n", step, densities.precision, step) / 2
        for k, rows in enumerate(self._with_latents(latents, parts)):
            decoded = self.models[k].decode(latents[:, self.slices[k]], rows)
            loss = self.models[k].negative_log_likelihood(decoded, rows, densities.errors[k])
            total = total + loss
        return total

    def _with_latents(self, latents: Tensor, parts: Sequence[Batch]) -> list[Batch]:
        """Return rows as each stage sees them, with the latents before as if these were measured.

        They are numbers of the later stage's table, normal around what it decodes.
        """
        given = [parts[0]]
        for columns, rows, before in zip(self.between, parts[1:], self.slices, strict=False):
            block = columns.block
            values = {**rows.values, block: rows.values[block].double()}
            measured = rows.measured[block].clone()
            measured[:, columns.index] = True
            known = replace(rows, values=values, measured={**rows.measured, block: measured})
            given.append(columns.put(known, latents[:, before]))
        return given

    def gradient_and_hessian(
        self, latents: Tensor, parts: Sequence[Batch], densities: RowDensities
    ) -> tuple[Tensor, Tensor]:
        """Return the gradient of the negative log posterior, and its Gauss-Newton Hessian.

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
        step = latents[:, last] - densities.mean
        gradient[:, last] = torch.einsum("nij,nj->ni", densities.precision, step)
        hessian[:, last, last] = densities.precision
        for k, rows in enumerate(self._with_latents(latents, parts)):
            model, own = self.models[k], self.slices[k]
            decoded, jacobians = model.decode_with_jacobian(latents[:, own], rows)
            # of a later stage, the errors depend on the latents before as well
            before = range(n_latents)[self.slices[k - 1]] if k else range(0)
            index = torch.tensor([*range(n_latents)[own], *before])
            first, second = model.gradient_and_hessian(
                decoded, jacobians, rows, densities.errors[k], self._slopes(k) if k else None
            )
            gradient[:, index] += first
            hessian[:, index[:, None], index] += second
        return gradient, hessian

    def _slopes(self, k: int) -> Tensor:
        """Return derivatives of the errors of stage k with respect to the latents before.

        Returns
        -------
        Tensor of shape (n_numeric, n_components of the stage before)
        """
        columns, layouts = self.between[k - 1], self.models[k].layouts
        names = list(layouts)
        first = sum(layouts[name].n_numeric for name in names[: names.index(columns.block)])
        n_numeric = sum(layout.n_numeric for layout in layouts.values())
        slopes = torch.zeros(n_numeric, len(columns.index), dtype=torch.float64)
        slopes[first + columns.index] = -torch.diag(1 / columns.scale.double())
        return slopes

    def minimize(self, parts: Sequence[Batch], start: Tensor, densities: RowDensities) -> Tensor:
        """Minimise the negative log posterior by the method of Levenberg and Marquardt.

        Rows are independent: each has its own damping, and leaves when its search has ended.

        Parameters
        ----------
        parts : sequence of Batch
            The same rows as each stage sees them.
        start : Tensor of shape (n_rows, n_latents)
            Of all stages.
        densities : RowDensities

        Returns
        -------
        Tensor of shape (n_rows, n_latents)
        """
        latents = self._bound(start)
        least = self.negative_log_posterior(latents, parts, densities)
        damping = torch.full_like(least, _DAMPING)
        active = torch.arange(len(start))
        for _ in range(_MAX_ITER):
            some = [rows[active] for rows in parts]
            own = densities.take(active)
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
        """Clip latents to the range of their activation."""
        parts = zip(self.models, self.slices, strict=True)
        return torch.cat([latents[:, own].clamp(*model.bounds) for model, own in parts], dim=1)

    @torch.no_grad()
    def find(
        self, parts: Sequence[Batch], search: CompletionSearch | None = None
    ) -> PosteriorModes:
        """Find the posterior mode of each row, or several candidates for a search.

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
        """Return the posterior mode of each row, and its decoded values.

        A category has the weighted mean of the examples' probabilities, its posterior in the
        mixture: no one point of the latents stands for an uncertain category.
        """
        densities, weights = self.densities(parts)
        start, _ = self.decode_down(densities.mean)
        latents = self.minimize(parts, start, densities)
        decoded = self._decode_all(latents, parts)
        mismatch = self._mismatch(decoded, parts)
        decoded = self._expected(latents, decoded, parts, densities)
        _, examples = self.examples
        for model, values, of_examples in zip(self.models, decoded, examples, strict=True):
            for name, layout in model.layouts.items():
                for group in layout.groups():
                    p = torch.softmax(of_examples[name][:, group], dim=1)
                    values[name][:, group] = weights @ p
        return self._as_modes(np.arange(len(latents)), latents, decoded, mismatch, mismatch)

    def _decode_all(self, latents: Tensor, parts: Sequence[Batch]) -> list[dict[str, Tensor]]:
        """Decode the latents of each stage."""
        stages = zip(self.models, self.slices, parts, strict=True)
        return [model.decode(latents[:, own], rows) for model, own, rows in stages]

    def _expected(
        self,
        latents: Tensor,
        decoded: list[dict[str, Tensor]],
        parts: Sequence[Batch],
        densities: RowDensities,
    ) -> list[dict[str, Tensor]]:
        """Subtract expected errors from the decoded values of each stage."""
        given = self._with_latents(latents, parts)
        stages = zip(self.models, decoded, given, densities.errors, strict=True)
        return [model.expected_values(v, rows, errors) for model, v, rows, errors in stages]

    def _mismatch(self, decoded: list[dict[str, Tensor]], parts: Sequence[Batch]) -> np.ndarray:
        """Return the root mean square error over all measured columns, of shape (n_rows,)."""
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
        """Convert the result to arrays."""
        arrays = [{name: to_array(values) for name, values in part.items()} for part in decoded]
        return PosteriorModes(
            rows, to_array(latents[:, self.slices[-1]]), arrays, mismatch, nearest
        )

    def _candidates(
        self, parts: Sequence[Batch], n_candidates: int, tolerance: float
    ) -> PosteriorModes:
        """Return several modes of each row that differ in missing entries.

        Each search begins at an example, has a prior around it, and holds its categories as if
        they were measured. The examples differ in open entries; those come first that, with
        all that are alike, have the most posterior weight.
        """
        last = self.models[-1]
        open_numbers, open_codes = self._is_open(parts)
        numbers, codes = self._points(self.examples[1])
        weights, scale = self.weigh_examples(parts)
        begun = [
            weightiest(numbers[:, n], codes[:, c], w, _SEARCHES * n_candidates)
            for n, c, w in zip(open_numbers, open_codes, to_array(weights), strict=True)
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
        errors = self._errors(every, scale[torch.from_numpy(index)])
        densities = RowDensities(center, precision, errors)
        latents = self.minimize(held, start, densities)
        decoded = self._decode_all(latents, every)
        mismatch = self._mismatch(decoded, every)
        decoded = self._expected(latents, decoded, every, densities)
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
        """Return which numbers and categories of the tables' own columns were not measured.

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
        """Return the decoded numbers and codes of all stages, side by side."""
        points = [model.points(v) for model, v in zip(self.models, decoded, strict=True)]
        numbers, codes = zip(*points, strict=True)
        return np.hstack(numbers), np.hstack(codes)

    def _split_codes(self, codes: np.ndarray) -> list[np.ndarray]:
        """Return the codes of each stage."""
        counts = [
            sum(len(layout.n_categories) for layout in model.layouts.values())
            for model in self.models
        ]
        return np.split(codes, np.cumsum(counts)[:-1], axis=1)

    def _decoded_as_held(
        self, decoded: list[dict[str, Tensor]], held: list[Batch], kept: np.ndarray
    ) -> list[dict[str, Tensor]]:
        """Return decoded values with the categories that were held."""
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
    """Choose examples that differ, by the total weight of each with all that are alike.

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
    best = np.argsort(-weights, kind="stable")[:_N_BEST]
    alike = _all_alike(numbers[best], codes[best])
    left, chosen, total = np.full(len(best), True), [], []
    while left.any():
        first = int(left.argmax())
        own = left & alike[first]
        chosen.append(best[first])
        total.append(weights[best[own]].sum())
        left &= ~own
    return np.array(chosen)[np.argsort(-np.array(total), kind="stable")[:n_wanted]]


def _all_alike(numbers: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return which of all pairs of rows are not distinct, of shape (n_rows, n_rows)."""
    n_rows, n_numbers = numbers.shape
    alike = np.full((n_rows, n_rows), True)
    for column in codes.T:
        alike &= column[:, None] == column
    if n_numbers:
        # one product of matrices, as there may be thousands of numbers; centred, so that little
        # is lost to rounding where all numbers are large
        centered = numbers - numbers.mean(axis=0)
        squares = (centered**2).sum(axis=1)
        distance = squares[:, None] + squares - 2 * centered @ centered.T
        alike &= distance <= n_numbers * DISTINCT**2
    np.fill_diagonal(alike, True)
    return alike


def _are_alike(
    numbers: np.ndarray, codes: np.ndarray, rows: np.ndarray | list[int], other: int
) -> np.ndarray:
    """Return which rows are not distinct from another one."""
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
