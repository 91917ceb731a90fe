"""What is believed of rows: where their latents lie, and how large a network's errors are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.covariance import ledoit_wolf_shrinkage
from torch import Tensor

from ._table import Encoded, Layout, TableEncoder
from ._torch import to_array
from ._training import Rows, Subset, TensorIterator

# Training rows that are enough for means and variances, and to stand for all latents.
_ENOUGH_ROWS = 10_000
_N_EXAMPLES = 1000
_CHUNK_ROWS = 1024
# A column is not trusted more than to a hundredth of its standard deviation, and a latent has at
# least a thousandth of the latents' mean variance: else one entry could outweigh all others.
_LEAST_ERROR = 0.01
_LEAST_VARIANCE = 1e-3
# What is divided by is not 0, where columns that were not standardised have very small numbers.
_LEAST_SQUARE = 1e-300
# Of more columns than this, the errors are taken as if they were independent of each other. A sum
# of errors is not trusted more than to a thousandth of a standard deviation.
_MANY_COLUMNS = 200
_LEAST_SUM = 0.001
# Of a table with gaps, mean products of pairs may contradict each other: the correlations are
# shrunk until this is left of the variance in every direction.
_LEAST_SHARE = 0.02
# What an earlier part of a stream counts beside a new one, as the network has changed since.
_MEMORY = 0.9
# Entries of matrices that are solved together.
_SOLVE_ENTRIES = 1 << 22
# An example speaks for rows around it: this is added to the variance of each number, in units of
# the column's variance.
_WIDTH = 0.03


# ---------------------------------------------------------------------------------------------
# What is learnt of the training rows


@dataclass
class Belief:
    """What latents and errors of the training rows look like.

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
        cls, module: Any, dataset: Subset, layouts: Mapping[str, Layout], power: int = 0
    ) -> Belief:
        """Learn from rows, or some of them that are spread evenly where there are many."""
        index = torch.arange(len(dataset)) if dataset.index is None else dataset.index
        n_rows = len(dataset)
        some = index[torch.from_numpy(_evenly(n_rows, _ENOUGH_ROWS))]
        parts: list[list[np.ndarray]] = []
        with torch.no_grad():
            for rows in TensorIterator(Subset(dataset.rows, some), _ENOUGH_ROWS):
                encoded = module.encode(rows.values)
                known, error = _all_errors(module.decode(encoded), rows, layouts)
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

    def merge(self, other: Belief) -> Belief:
        """Combine with what was learnt, later, from other rows of a stream."""
        power = max(self.power, other.power)
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
        return Belief(
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


# ---------------------------------------------------------------------------------------------
# Errors of one stage


class Link:
    """A fitted network with what it takes to explain rows of its table.

    Everything but the network itself is on the CPU and in double precision.

    Parameters
    ----------
    module : AutoencoderModule
        In eval mode.
    table : TableEncoder
    belief : Belief
    bounds : (float, float)
        Of each latent, as its activation has them.
    device : torch.device
        Of the module.
    """

    def __init__(
        self,
        module: Any,
        table: TableEncoder,
        belief: Belief,
        bounds: tuple[float, float],
        device: torch.device,
    ) -> None:
        self.module = module
        self.table = table
        self.layouts = table.layouts
        self.belief = belief
        self.bounds = bounds
        self.device = device
        self.dtype = torch.from_numpy(np.empty(0, table.dtype)).dtype
        # values are in standard deviations, unless they were not standardised
        self.units = {
            name: np.ones(len(numeric)) if table.standardize else table.scale[numeric]
            for name, (numeric, _) in table.columns.items()
        }
        least = {name: _least_square(_LEAST_ERROR, units) for name, units in self.units.items()}
        self.variance = {
            name: torch.from_numpy(np.maximum(error, least[name]))
            for name, error in belief.error.items()
        }
        self.mean = torch.from_numpy(belief.mean)
        self.covariance = torch.from_numpy(belief.regular_covariance())
        self.n_components = len(belief.mean)

    def rows(self, blocks: Mapping[str, Encoded]) -> Rows:
        """Give encoded rows as tensors on the CPU."""
        return Rows.from_arrays(blocks, None, None, torch.device("cpu"))

    def encode(self, rows: Rows) -> Tensor:
        """Give the latents of rows, of shape (n_rows, n_components)."""
        values = {name: v.to(self.device) for name, v in rows.values.items()}
        return self.module.encode(values).cpu().double()

    def decode(self, latents: Tensor) -> dict[str, Tensor]:
        """Give each block's values, of shape (n_rows, layout.n_values)."""
        decoded = self.module.decode(latents.to(self.device, self.dtype))
        return {name: values.cpu().double() for name, values in decoded.items()}

    def decode_with_slope(self, latents: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Decode, and give derivatives, of shape (n_rows, layout.n_values, n_components).

        Rows do not mix in a decoder, so that one derivative in a direction gives those of all
        rows. It is taken backward twice: torch's forward mode warns of its own imports.
        """
        with torch.enable_grad():
            given = latents.detach().requires_grad_()
            decoded = self.decode(given)
            values = torch.cat(list(decoded.values()), dim=1)
            weights = torch.zeros_like(values, requires_grad=True)
            (gradient,) = torch.autograd.grad(values, given, weights, create_graph=True)
            slopes = [
                torch.autograd.grad(gradient, weights, one.expand_as(given), retain_graph=True)[0]
                for one in torch.eye(self.n_components, dtype=given.dtype)
            ]
        jacobian = torch.stack(slopes, dim=2).split([v.shape[1] for v in decoded.values()], dim=1)
        return (
            {name: v.detach() for name, v in decoded.items()},
            dict(zip(decoded, jacobian, strict=True)),
        )

    def misfit(self, decoded: Mapping[str, Tensor], rows: Rows) -> Tensor:
        """Give the energy of measured entries, of shape (n_rows,)."""
        total = torch.zeros(len(rows), dtype=torch.float64)
        for name, layout in self.layouts.items():
            known, error = _errors(decoded[name], rows, name, layout)
            total += (known * error**2 / (2 * self.variance[name])).sum(dim=1)
            for values, target, is_known in _groups(decoded[name], rows, name, layout):
                total -= is_known * (target * torch.log_softmax(values, dim=1)).sum(dim=1)
        return total

    def misfit_slope(
        self, decoded: Mapping[str, Tensor], slopes: Mapping[str, Tensor], rows: Rows
    ) -> tuple[Tensor, Tensor]:
        """Give gradients of the misfit by the latents, and Gauss's and Newton's curvature.

        Parameters
        ----------
        decoded, slopes : mapping of str to Tensor
            As ``decode_with_slope`` gives them.
        rows : Rows

        Returns
        -------
        gradient : Tensor of shape (n_rows, n_components)
        curvature : Tensor of shape (n_rows, n_components, n_components)
        """
        gradient: Any = 0.0
        curvature: Any = 0.0
        for name, layout in self.layouts.items():
            known, error = _errors(decoded[name], rows, name, layout)
            J = slopes[name][:, : layout.n_numeric]  # (n_rows, n_numeric, n_components)
            weighted = J * (known / self.variance[name])[:, :, None]
            gradient = gradient + torch.einsum("njk,nj->nk", weighted, error)
            curvature = curvature + torch.einsum("njk,njl->nkl", weighted, J)
            categorical = zip(
                layout.groups(), _groups(decoded[name], rows, name, layout), strict=True
            )
            for group, (logits, target, is_known) in categorical:
                p, J = torch.softmax(logits, dim=1), slopes[name][:, group]
                off = is_known[:, None] * (p - target)
                gradient = gradient + torch.einsum("njk,nj->nk", J, off)
                mean = torch.einsum("njk,nj->nk", J, p)
                second = torch.einsum("njk,nj,njl->nkl", J, p, J)
                second = second - mean[:, :, None] * mean[:, None, :]
                curvature = curvature + is_known[:, None, None] * second
        return gradient, curvature

    def misfits(self, decoded: Mapping[str, Tensor], rows: Rows) -> Tensor:
        """Give the energy of each row against each of many decoded examples, with its width.

        Returns
        -------
        Tensor of shape (n_rows, n_examples)
        """
        n_examples = len(next(iter(decoded.values())))
        total = torch.zeros(len(rows), n_examples, dtype=torch.float64)
        for name, layout in self.layouts.items():
            values = decoded[name][:, : layout.n_numeric]
            known, error = _errors(torch.zeros_like(values[:1]), rows, name, layout)
            x = -error
            width = _WIDTH * torch.from_numpy(self.units[name]) ** 2
            weight = known / (self.variance[name] + width)
            total += (weight * x**2).sum(dim=1, keepdim=True) / 2
            total += weight @ (values**2).T / 2 - (weight * x) @ values.T
            known_groups = _known_groups(rows, name, layout)
            for group, is_known in zip(layout.groups(), known_groups, strict=True):
                target = is_known[:, None] * rows.values[name][:, group].double()
                total -= target @ torch.log_softmax(decoded[name][:, group], dim=1).T
        return total

    @np.errstate(over="ignore")  # a mismatch may be infinite
    def mismatch(self, decoded: Mapping[str, Tensor], rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Sum the squared errors of a row's measured columns, and count these.

        Errors of numbers are in standard deviations of the column; of a category, one minus its
        probability.
        """
        total, count = np.zeros(len(rows)), np.zeros(len(rows))
        for name, layout in self.layouts.items():
            known, error = _errors(decoded[name], rows, name, layout)
            total += (((known * error).numpy() / self.units[name]) ** 2).sum(axis=1)
            count += known.numpy().sum(axis=1)
            for values, target, is_known in _groups(decoded[name], rows, name, layout):
                p = (torch.softmax(values, dim=1) * target).sum(dim=1)
                total += (is_known * (1 - p) ** 2).numpy()
                count += is_known.numpy()
        return total, count

    def points(self, decoded: Mapping[str, Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """Give decoded numbers, in standard deviations, and codes of categories.

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

    def is_open(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Tell which of these numbers and categories were not measured, in the same shapes."""
        numbers, codes = [], []
        for name, layout in self.layouts.items():
            measured = rows.measured.get(name)
            if measured is None:
                measured = torch.ones(len(rows), layout.n_columns, dtype=torch.bool)
            numbers.append(~measured[:, : layout.n_numeric].numpy())
            codes.append(~measured[:, layout.n_numeric :].numpy())
        return np.hstack(numbers), np.hstack(codes)

    def hold(self, rows: Rows, codes: np.ndarray) -> Rows:
        """Give rows with their open categories as if they were measured.

        Parameters
        ----------
        rows : Rows
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
        return Rows(values, measured)

    @torch.no_grad()
    def scores(self, blocks: Mapping[str, Encoded]) -> np.ndarray:
        """Give minus the energies of the encoder's latents, of shape (n_samples,).

        With the mean and the covariance of all training rows, and with what the errors of columns
        have in common. The misfit of a row with gaps is scaled up, as if all of its columns were
        measured.
        """
        precision = torch.linalg.inv(self.covariance)
        scores = []
        for rows in TensorIterator(Subset(self.rows(blocks)), _CHUNK_ROWS):
            latents = self.encode(rows)
            decoded = self.decode(latents)
            known, error = _all_errors(decoded, rows, self.layouts)
            misfit = self._correlated_misfit(known, error)
            n_measured = known.sum(dim=1)
            for name, layout in self.layouts.items():
                for values, target, is_known in _groups(decoded[name], rows, name, layout):
                    misfit -= is_known * (target * torch.log_softmax(values, dim=1)).sum(dim=1)
                    n_measured += is_known
            n_columns = sum(layout.n_columns for layout in self.layouts.values())
            step = latents - self.mean
            distance = ((step @ precision) * step).sum(dim=1)
            scores.append(to_array(-misfit * n_columns / n_measured.clamp(min=1) - distance / 2))
        found = np.concatenate(scores)
        return np.where(np.isnan(found), -np.inf, found)  # errors further away than numbers go

    def _correlated_misfit(self, known: Tensor, error: Tensor) -> Tensor:
        """Give half of the squared Mahalanobis distances of errors, of shape (n_rows,).

        Of a row with gaps, by the covariance of what was measured of it.
        """
        least = np.concatenate([_least_square(_LEAST_SUM, u) for u in self.units.values()])
        if self.belief.residual is None:
            variance = torch.cat(list(self.variance.values()))
            return (known * error**2 / (2 * variance)).sum(dim=1)
        covariance = invertible(torch.from_numpy(self.belief.residual + np.diag(least)))
        error = known * error
        misfit = ((error @ torch.linalg.inv(covariance)) * error).sum(dim=1) / 2
        gaps = torch.nonzero((known == 0).any(dim=1))[:, 0]
        for some in gaps.split(max(_SOLVE_ENTRIES // max(covariance.numel(), 1), 1)):
            own = known[some]
            # unmeasured columns stand by themselves, with an error of 0
            part = own[:, :, None] * own[:, None, :] * covariance + torch.diag_embed(1 - own)
            solved = torch.linalg.solve(part, error[some])
            misfit[some] = (solved * error[some]).sum(dim=1) / 2
        return misfit


def invertible(covariance: Tensor) -> Tensor:
    """Give a covariance as it is, or where rounding made it singular, one that is not.

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
    """Give the least variance of errors, of a share of each column's unit."""
    return np.maximum((share * units) ** 2, _LEAST_SQUARE)


def _all_errors(
    decoded: Mapping[str, Tensor], rows: Rows, layouts: Mapping[str, Layout]
) -> tuple[Tensor, Tensor]:
    """Give which numbers of all blocks were measured, as 0 and 1, and their errors."""
    known, errors = zip(
        *(_errors(decoded[name], rows, name, layout) for name, layout in layouts.items()),
        strict=True,
    )
    return torch.cat(known, dim=1), torch.cat(errors, dim=1)


def _errors(decoded: Tensor, rows: Rows, name: str, layout: Layout) -> tuple[Tensor, Tensor]:
    """Give which numbers of a block were measured, as 0 and 1, and their errors."""
    n = layout.n_numeric
    error = decoded[:, :n] - rows.values[name][:, :n]
    measured = rows.measured.get(name)
    known = torch.ones_like(error) if measured is None else measured[:, :n].to(error.dtype)
    return known, error


def _known_groups(rows: Rows, name: str, layout: Layout) -> Iterator[Tensor]:
    """Tell for each categorical column in which rows it is known, as 0 and 1."""
    measured = rows.measured.get(name)
    for k in range(len(layout.n_categories)):
        if measured is None:
            yield torch.ones(len(rows), dtype=torch.float64)
        else:
            yield measured[:, layout.n_numeric + k].double()


def _groups(
    decoded: Tensor, rows: Rows, name: str, layout: Layout
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Give, for each categorical column, its logits, its one-hot values, and which are known."""
    for group, known in zip(layout.groups(), _known_groups(rows, name, layout), strict=True):
        yield decoded[:, group], rows.values[name][:, group].double(), known
