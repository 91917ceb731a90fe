"""The observation model: the likelihood of measured entries, given latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from .._layers._device import to_array, torch_dtype
from .._networks._autoencoder import AutoencoderModule, Latents
from .._networks._batch import Batch, Subset
from .._networks._penalties import divergence
from .._tables._encoder import TableEncoder
from .._tables._layout import Encoded
from .._training._data import TensorIterator
from ._covariance import ErrorCovariance, MeasuredErrors
from ._density import LatentStatistics
from ._residuals import (
    all_errors,
    categorical_groups,
    joined,
    known_groups,
    known_numbers,
    numeric_errors,
    rows_of_size,
)

# Rows that are scored, or whose modes are searched for, at once.
CHUNK_ROWS = 1024

# A column is not trusted more than to a hundredth of its standard deviation, and a sum of errors
# of correlated columns to a thousandth: else one entry could outweigh all others.
_LEAST_ERROR = 0.01
_LEAST_SUM = 0.001

# Of its variance, a number has at least this share for itself: a covariance has an inverse then.
_LEAST_NOISE = 1e-3

# No divisor is 0, where columns that were not standardised have very small numbers.
_LEAST_SQUARE = 1e-300

# Entries of matrices that are solved at once.
_SOLVE_ENTRIES = 1 << 22

# An example stands for rows around it: this is added to the variance of each number, in units of
# the column's variance.
_WIDTH = 0.03


class ObservationModel:
    r"""The likelihood of a row's measured entries, given the latents of a fitted network.

    Numbers are normal around the decoded ones, :math:`x \sim N(d(z), \Psi)`, with the covariance
    of the errors of the training rows: their mean squares and correlations. A category has the
    decoded probabilities. Entries that were not measured do not count.

    Everything but the network itself is on the CPU and in double precision.

    Parameters
    ----------
    module : AutoencoderModule
        In eval mode.
    table : TableEncoder
    statistics : LatentStatistics
        Of the training rows.
    bounds : (float, float)
        Of each latent, as its activation has them.
    device : torch.device
        Of the module.

    Attributes
    ----------
    units : dict of str to ndarray of shape (layout.n_numeric,)
        For each block, the standard deviations of its numbers, in units of the encoded values.
    variance : dict of str to Tensor of shape (layout.n_numeric,)
        For each block, the variances of the numbers, given latents.
    errors : ErrorCovariance
        Of the errors of all numbers, side by side.
    posed : set of str
        Blocks whose latents cannot tell a pose: what they decode is turned as each row is.
    mean, covariance : Tensor of shape (n_components,) and (n_components, n_components)
        Of the latents of the training rows; of variational ones 0 and 1, as their prior has.
    """

    def __init__(
        self,
        module: AutoencoderModule,
        table: TableEncoder,
        statistics: LatentStatistics,
        bounds: tuple[float, float],
        device: torch.device,
    ) -> None:
        self.module = module
        self.table = table
        self.layouts = table.layouts
        self.statistics = statistics
        self.bounds = bounds
        self.device = device
        self.dtype = torch_dtype(table.dtype)
        # values are in standard deviations, unless they were not standardised
        self.units = {name: codec.encoded_scale() for name, codec in table.codecs.items()}
        least = {name: _least_square(_LEAST_ERROR, units) for name, units in self.units.items()}
        self.variance = {
            name: torch.from_numpy(np.maximum(error, least[name]))
            for name, error in statistics.error.items()
        }
        self.errors = self._errors()
        self.n_components = len(statistics.mean)
        if statistics.spread is None:
            self.mean = torch.from_numpy(statistics.mean)
            self.covariance = torch.from_numpy(statistics.regular_covariance())
        else:  # variational latents have a prior
            self.mean = torch.zeros(self.n_components, dtype=torch.float64)
            self.covariance = torch.eye(self.n_components, dtype=torch.float64)
        self.posed = set()
        for name, layout in self.layouts.items():
            probe = {name: torch.zeros(1, layout.n_values, dtype=torch.float64)}
            if module.align(probe, Batch(probe))[name] is not probe[name]:
                self.posed.add(name)

    def _errors(self) -> ErrorCovariance:
        """Return the covariance of the errors, with the least variances."""
        factors = torch.from_numpy(self.statistics.factors)
        variance = joined(list(self.variance.values()), 0)
        noise = torch.maximum(variance - (factors**2).sum(dim=1), _LEAST_NOISE * variance)
        return ErrorCovariance(noise, factors)

    @property
    def has_few_factors(self) -> bool:
        """Whether the covariance has fewer factors than numbers, as for arrays and wide rows."""
        n_numeric, n_factors = self.statistics.factors.shape
        return n_factors < n_numeric

    def rows(self, blocks: Mapping[str, Encoded]) -> Batch:
        """Return encoded rows as tensors on the CPU."""
        return Batch.from_arrays(blocks, None, None, torch.device("cpu"))

    def encode(self, rows: Batch) -> Tensor:
        """Return the latents of rows, of shape (n_rows, n_components)."""
        return self.module.encode(rows.to(self.device)).cpu().double()

    def decode(self, latents: Tensor, rows: Batch | None = None) -> dict[str, Tensor]:
        """Return each block's values, of shape (n_rows, layout.n_values).

        Parameters
        ----------
        latents : Tensor of shape (n_rows, n_components)
        rows : Batch or None
            Rows whose pose decoded values take, where latents cannot tell it.
        """
        chunks = [
            {name: values.cpu().double() for name, values in self.module.decode(own).items()}
            for own in latents.to(self.device, self.dtype).split(rows_of_size(self.layouts))
        ]
        decoded = {name: joined([chunk[name] for chunk in chunks], 0) for name in self.layouts}
        return decoded if rows is None else self.module.align(decoded, rows)

    def decode_with_jacobian(
        self, latents: Tensor, rows: Batch
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        r"""Decode, and return Jacobians, of shape (n_rows, layout.n_values, n_components).

        Rows do not mix in a decoder, so that one derivative in the direction of a latent gives
        those of all rows. It is taken backward twice, as torch's forward mode warns of its own
        imports: a gradient is linear in the weights :math:`w` of the values,
        :math:`g(w) = J^\top w`, so that the derivative of :math:`g(w) \cdot e_k` by :math:`w`
        is the column :math:`J e_k`, at any :math:`w`.

        Parameters
        ----------
        latents : Tensor of shape (n_rows, n_components)
        rows : Batch
            Whose pose decoded values take.
        """
        with torch.enable_grad():
            given = latents.detach().requires_grad_()
            decoded = self.decode(given, rows)
            values = joined(list(decoded.values()), 1)
            weights = torch.zeros_like(values, requires_grad=True)
            (gradient,) = torch.autograd.grad(values, given, weights, create_graph=True)
            jacobian = values.new_empty(*values.shape, self.n_components)
            for k, one in enumerate(torch.eye(self.n_components, dtype=given.dtype)):
                (column,) = torch.autograd.grad(
                    gradient, weights, one.expand_as(given), retain_graph=True
                )
                jacobian[:, :, k] = column
        by_block = jacobian.split([v.shape[1] for v in decoded.values()], dim=1)
        return (
            {name: v.detach() for name, v in decoded.items()},
            dict(zip(decoded, by_block, strict=True)),
        )

    def measured_errors(self, rows: Batch, scale: Tensor) -> MeasuredErrors:
        """Return the covariance of the errors of each row's measured entries.

        Parameters
        ----------
        rows : Batch
        scale : Tensor of shape (n_rows,)
            The variance of each row's errors, in units of that of the training rows.
        """
        like = self.errors.noise
        known = [known_numbers(rows, name, own, like) for name, own in self.layouts.items()]
        return self.errors.of_measured(joined(known, 1), scale)

    def negative_log_likelihood(
        self, decoded: Mapping[str, Tensor], rows: Batch, errors: MeasuredErrors
    ) -> Tensor:
        """Return the negative log-likelihood of rows, of shape (n_rows,), but for a constant.

        Parameters
        ----------
        decoded : mapping of str to Tensor
            As ``decode`` gives it for the rows.
        rows : Batch
        errors : MeasuredErrors
            Of the rows.
        """
        _, error = all_errors(decoded, rows, self.layouts)
        total = errors.squared_distance(error) / 2
        for name, layout in self.layouts.items():
            for values, target, is_known in categorical_groups(decoded[name], rows, name, layout):
                total -= is_known * (target * torch.log_softmax(values, dim=1)).sum(dim=1)
        return total

    def gradient_and_hessian(
        self,
        decoded: Mapping[str, Tensor],
        jacobians: Mapping[str, Tensor],
        rows: Batch,
        errors: MeasuredErrors,
        others: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the gradient of the negative log-likelihood, and its Gauss-Newton Hessian.

        Parameters
        ----------
        decoded, jacobians : mapping of str to Tensor
            As ``decode_with_jacobian`` gives them.
        rows : Batch
        errors : MeasuredErrors
            Of the rows.
        others : Tensor of shape (n_numeric, n_others) or None
            Derivatives of the errors of numbers by something else that they depend on.

        Returns
        -------
        gradient : Tensor of shape (n_rows, n_components + n_others)
        hessian : Tensor of shape (n_rows, n_components + n_others, n_components + n_others)
        """
        _, error = all_errors(decoded, rows, self.layouts)
        J = joined([jacobians[name][:, : own.n_numeric] for name, own in self.layouts.items()], 1)
        if others is not None:
            J = torch.cat([J, others.expand(len(rows), -1, -1)], dim=2)
        gradient, hessian = errors.gradient_and_hessian(error, J)
        own_latents = slice(self.n_components)
        for name, layout in self.layouts.items():
            categorical = zip(
                layout.groups(), categorical_groups(decoded[name], rows, name, layout), strict=True
            )
            for group, (logits, target, is_known) in categorical:
                p, J = torch.softmax(logits, dim=1), jacobians[name][:, group]
                # of a cross-entropy by its logits, the gradient is p - target and the Hessian
                # diag(p) - p p^T, here times J on both sides
                off = is_known[:, None] * (p - target)
                gradient[:, own_latents] += torch.einsum("njk,nj->nk", J, off)
                mean = torch.einsum("njk,nj->nk", J, p)
                second = torch.einsum("njk,nj,njl->nkl", J, p, J)
                second = second - mean[:, :, None] * mean[:, None, :]
                hessian[:, own_latents, own_latents] += is_known[:, None, None] * second
        return gradient, hessian

    def expected_values(
        self, decoded: Mapping[str, Tensor], rows: Batch, errors: MeasuredErrors
    ) -> dict[str, Tensor]:
        """Return decoded values minus their expected errors, given those of measured numbers.

        Numbers that were measured, and categories, stay as they are decoded.
        """
        _, error = all_errors(decoded, rows, self.layouts)
        expected = errors.expected(error)
        widths = [layout.n_numeric for layout in self.layouts.values()]
        values = {}
        for name, part in zip(self.layouts, expected.split(widths, dim=1), strict=True):
            values[name] = decoded[name].clone()
            values[name][:, : part.shape[1]] -= part
        return values

    # -- examples

    def squared_distances_of_examples(self, decoded: Mapping[str, Tensor], rows: Batch) -> Tensor:
        """Return the squared distance of each row's numbers from those of many decoded examples.

        A difference is in units of the variance of the number, which is larger here by the width
        of an example, as it stands for rows around it.

        Parameters
        ----------
        decoded : mapping of str to Tensor of shape (n_examples, layout.n_values)
        rows : Batch

        Returns
        -------
        Tensor of shape (n_rows, n_examples)
        """
        total = torch.zeros(len(rows), len(next(iter(decoded.values()))), dtype=torch.float64)
        for name, layout in self.layouts.items():
            values, n = decoded[name], layout.n_numeric
            x = rows.values[name][:, :n].double()
            weight = known_numbers(rows, name, layout, x) / self._width(name)
            if name in self.posed:
                total += self._squared_distances_by_pose(values, rows, name, weight)
                continue
            # weight * (x - values) ** 2 multiplied out: all rows against all examples are products
            # of matrices
            values = values[:, :n]
            total += (weight * x**2).sum(dim=1, keepdim=True)
            total += weight @ (values**2).T - 2 * (weight * x) @ values.T
        return total

    def _width(self, name: str) -> Tensor:
        """Return the variances of a block's numbers, of rows around an example."""
        return self.variance[name] + _WIDTH * torch.from_numpy(self.units[name]) ** 2

    def _squared_distances_by_pose(
        self, values: Tensor, rows: Batch, name: str, weight: Tensor
    ) -> Tensor:
        """Do the same with each example in the pose of each row."""
        distances = []
        for i in range(len(rows)):
            one = rows[[i] * len(values)]
            aligned = self.module.align({name: values}, one)[name][:, : weight.shape[1]]
            x = one.values[name][:, : weight.shape[1]]
            distances.append(((aligned - x) ** 2) @ weight[i])
        return torch.stack(distances)

    def present_blocks(self, rows: Batch) -> Tensor:
        """Return which blocks have a measured number, of shape (n_rows, n_blocks)."""
        like = self.errors.noise
        known = [known_numbers(rows, name, own, like) for name, own in self.layouts.items()]
        return torch.stack([own.any(dim=1) for own in known], dim=1)

    def measured_blocks(self, rows: Batch) -> Tensor:
        """Return which blocks have a measured entry, of shape (n_rows, n_blocks)."""
        whole = torch.ones(len(rows), 1, dtype=torch.bool)  # a block without a missing value
        known = [rows.measured.get(name, whole).any(dim=1) for name in self.layouts]
        return torch.stack(known, dim=1)

    def decodes_all_of(self, present: Sequence[bool] | Tensor) -> bool:
        """Return whether the decoded values of some blocks are all inputs of their encoders."""
        layouts = zip(self.layouts.values(), present, strict=True)
        return not any(layout.ragged for layout, is_present in layouts if is_present)

    def as_rows(
        self, decoded: Mapping[str, Tensor], present: Sequence[bool], like: Batch | None = None
    ) -> Batch:
        """Return decoded examples as rows in which some blocks are measured.

        Parameters
        ----------
        decoded : mapping of str to Tensor of shape (n_examples, layout.n_values)
        present : sequence of bool
            Which blocks.
        like : Batch, optional
            Rows as the encoder takes them, where the examples are to be encoded: more may enter
            it than is decoded, of which the examples have nothing.
        """
        measured = {
            name: torch.full((len(decoded[name]), layout.n_columns), is_present)
            for (name, layout), is_present in zip(self.layouts.items(), present, strict=True)
        }
        ragged = {
            name: {part: own.without_entries(len(decoded[name])) for part, own in parts.items()}
            for name, parts in (like.ragged if like is not None else {}).items()
        }
        return Batch(dict(decoded), measured, ragged=ragged)

    def spacing(self, decoded: Mapping[str, Tensor], some: Tensor, nearest: Tensor) -> Tensor:
        """Return the mean squares by which numbers of some examples differ from those of others.

        Parameters
        ----------
        decoded : mapping of str to Tensor of shape (n_examples, layout.n_values)
        some, nearest : Tensor of int64, shape (n_pairs,)

        Returns
        -------
        Tensor of shape (n_numeric,)
            Of all blocks, side by side.
        """
        given = Batch({name: values[some] for name, values in decoded.items()})
        others = {name: values[nearest] for name, values in decoded.items()}
        _, difference = all_errors(self.module.align(others, given), given, self.layouts)
        return (difference**2).mean(dim=0)

    def expected_squared_distance(self, spacing: Tensor, rows: Batch) -> Tensor:
        """Return the expected squared distance of a row from the nearest example.

        Parameters
        ----------
        spacing : Tensor of shape (n_numeric,)
            As ``spacing`` gives it.
        rows : Batch

        Returns
        -------
        Tensor of shape (n_rows,)
            Of what was measured: it differs from the example as examples do, and by its error.
        """
        width = joined([self._width(name) for name in self.layouts], 0)
        known = [known_numbers(rows, name, own, width) for name, own in self.layouts.items()]
        return joined(known, 1) @ ((spacing + self.errors.variance) / width)

    def categories_of_examples(self, decoded: Mapping[str, Tensor], rows: Batch) -> Tensor:
        """Return the negative log-likelihood of each row's categories for each of many examples.

        Returns
        -------
        Tensor of shape (n_rows, n_examples)
        """
        total = torch.zeros(len(rows), len(next(iter(decoded.values()))), dtype=torch.float64)
        for name, layout in self.layouts.items():
            is_measured = known_groups(rows, name, layout)
            for group, is_known in zip(layout.groups(), is_measured, strict=True):
                target = is_known[:, None] * rows.values[name][:, group].double()
                total -= target @ torch.log_softmax(decoded[name][:, group], dim=1).T
        return total

    # -- what was measured

    @np.errstate(over="ignore")  # a mismatch may be infinite
    def mismatch(
        self, decoded: Mapping[str, Tensor], rows: Batch
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sum the squared errors of a row's measured columns, and count these.

        Errors of numbers are in standard deviations of the column; of a category, one minus its
        probability.
        """
        total, count = np.zeros(len(rows)), np.zeros(len(rows))
        for name, layout in self.layouts.items():
            known, error = numeric_errors(decoded[name], rows, name, layout)
            total += (((known * error).numpy() / self.units[name]) ** 2).sum(axis=1)
            count += known.numpy().sum(axis=1)
            for values, target, is_known in categorical_groups(decoded[name], rows, name, layout):
                p = (torch.softmax(values, dim=1) * target).sum(dim=1)
                total += (is_known * (1 - p) ** 2).numpy()
                count += is_known.numpy()
        return total, count

    def points(self, decoded: Mapping[str, Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """Return decoded numbers, in standard deviations, and codes of categories.

        Returns
        -------
        numbers : ndarray of shape (n_rows, n_numeric)
        codes : ndarray of int, shape (n_rows, n_categorical)
        """
        numbers, codes = [], []
        for name, layout in self.layouts.items():
            numbers.append(decoded[name][:, : layout.n_numeric].numpy() / self.units[name])
            codes += [decoded[name][:, group].argmax(dim=1).numpy() for group in layout.groups()]
        n_rows = len(numbers[0])
        return np.hstack(numbers), np.array(codes, dtype=int).reshape(len(codes), n_rows).T

    def is_open(self, rows: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Return which numbers and categories were not measured, in the shapes of ``points``."""
        numbers, codes = [], []
        for name, layout in self.layouts.items():
            measured = rows.measured.get(name)
            if measured is None:
                measured = torch.ones(len(rows), layout.n_columns, dtype=torch.bool)
            numbers.append(~measured[:, : layout.n_numeric].numpy())
            codes.append(~measured[:, layout.n_numeric :].numpy())
        return np.hstack(numbers), np.hstack(codes)

    def hold(self, rows: Batch, codes: np.ndarray) -> Batch:
        """Return rows with missing categories filled as if they had been measured.

        Parameters
        ----------
        rows : Batch
        codes : ndarray of int, shape (n_rows, n_categorical)
        """
        values, measured, k = dict(rows.values), dict(rows.measured), 0
        for name, layout in self.layouts.items():
            for i, group in enumerate(layout.groups()):
                if name in measured:
                    known = measured[name][:, layout.n_numeric + i]
                    one_hot = torch.nn.functional.one_hot(
                        torch.from_numpy(codes[:, k]), group.stop - group.start
                    ).to(values[name].dtype)
                    own = torch.where(known[:, None], values[name][:, group], one_hot)
                    values[name] = values[name].clone()
                    values[name][:, group] = own
                    measured[name] = measured[name].clone()
                    measured[name][:, layout.n_numeric + i] = True
                k += 1
        return replace(rows, values=values, measured=measured)

    @torch.no_grad()
    def scores(self, blocks: Mapping[str, Encoded]) -> np.ndarray:
        r"""Return the log densities of rows at their encoded latents, of shape (n_samples,).

        .. math::

            -\tfrac12 (z - \mu)^\top \Sigma^{-1} (z - \mu)
            - \frac{n}{n_\text{measured}} L(x \mid z)

        but for a constant, with :math:`z` from the encoder, the mean and the covariance of all
        training rows, and the negative log-likelihood :math:`L` by the covariance of the errors of
        columns. It is scaled up as if all :math:`n` columns of a row had been measured. Of
        variational latents the divergence of the row's density from the prior stands in the place
        of the first term.
        """
        scores = []
        n_rows = min(rows_of_size(self.layouts), CHUNK_ROWS)
        for rows in TensorIterator(Subset(self.rows(blocks)), n_rows):
            latents = self.module.latents(rows.to(self.device))
            decoded = self.decode(latents.mean.cpu().double(), rows)
            known, error = all_errors(decoded, rows, self.layouts)
            loss = self._correlated_negative_log_likelihood(known, error)
            n_measured = known.sum(dim=1)
            for name, layout in self.layouts.items():
                for values, target, is_known in categorical_groups(
                    decoded[name], rows, name, layout
                ):
                    loss -= is_known * (target * torch.log_softmax(values, dim=1)).sum(dim=1)
                    n_measured += is_known
            n_columns = sum(layout.n_columns for layout in self.layouts.values())
            surprise = self._surprise(latents)
            scores.append(to_array(-loss * n_columns / n_measured.clamp(min=1) - surprise))
        found = np.concatenate(scores)
        return np.where(np.isnan(found), -np.inf, found)  # errors further away than numbers go

    def _surprise(self, latents: Latents) -> Tensor:
        """Return how far latents are from those of training rows, in nats, of shape (n_rows,)."""
        mean = latents.mean.cpu().double()
        if latents.log_variance is None:
            step = mean - self.mean
            return ((step @ torch.linalg.inv(self.covariance)) * step).sum(dim=1) / 2
        return divergence(mean, latents.log_variance.cpu().double()).sum(dim=1)

    @cached_property
    def _whole_covariance(self) -> Tensor:
        """The covariance of the errors of all numbers, of shape (n_numeric, n_numeric)."""
        least = np.concatenate([_least_square(_LEAST_SUM, u) for u in self.units.values()])
        covariance = self.statistics.factors @ self.statistics.factors.T
        error = np.concatenate(list(self.statistics.error.values()))
        np.fill_diagonal(covariance, error + least)
        return invertible(torch.from_numpy(covariance))

    def _correlated_negative_log_likelihood(self, known: Tensor, error: Tensor) -> Tensor:
        """Return the negative log-likelihood of correlated numbers, of shape (n_rows,).

        It is half of their squared Mahalanobis distance; of a row with missing values, by the
        covariance of its measured columns.

        Parameters
        ----------
        known, error : Tensor of shape (n_rows, n_numeric)
        """
        if self.has_few_factors:
            ones = torch.ones(len(error), dtype=torch.float64)
            return self.errors.of_measured(known, ones).squared_distance(error) / 2
        covariance = self._whole_covariance
        error = known * error
        distance = ((error @ torch.linalg.inv(covariance)) * error).sum(dim=1) / 2
        incomplete = torch.nonzero((known == 0).any(dim=1))[:, 0]
        for some in incomplete.split(max(_SOLVE_ENTRIES // max(covariance.numel(), 1), 1)):
            own = known[some]
            # the marginal covariance of what was measured: unmeasured columns stand by themselves,
            # with a variance of 1 and an error of 0, so that all rows have one shape
            part = own[:, :, None] * own[:, None, :] * covariance + torch.diag_embed(1 - own)
            solved = torch.linalg.solve(part, error[some])
            distance[some] = (solved * error[some]).sum(dim=1) / 2
        return distance


def invertible(covariance: Tensor) -> Tensor:
    """Return a covariance as it is, or where rounding made it singular, one that is not.

    Parameters
    ----------
    covariance : Tensor of shape (n, n)
        With a positive diagonal.

    Returns
    -------
    Tensor of shape (n, n)
        Correlations are shrunk by a few units of rounding, n of them for n columns.
    """
    _, info = torch.linalg.inv_ex(covariance)
    if not info:
        return covariance
    shrink = 1 - 8 * len(covariance) * torch.finfo(covariance.dtype).eps
    diagonal = torch.diag_embed(torch.diagonal(covariance))
    return diagonal + shrink * (covariance - diagonal)


def _least_square(share: float, units: np.ndarray) -> np.ndarray:
    """Return the least variance of errors, from a share of each column's unit."""
    return np.maximum((share * units) ** 2, _LEAST_SQUARE)
