"""The objective: a list of named loss terms, and penalties on weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from .._networks._autoencoder import AutoencoderModule, Outputs
from .._networks._batch import Batch, Subset
from .._networks._penalties import add_penalty_gradients, l1_penalty, l2_penalty
from .._tables._layout import Layout
from ..blocks import Block
from ._data import CHUNK_ROWS
from ._schedules import epoch_means
from ._terms import CumulativeTerm, DivergenceTerm, PredictionTerm, ReconstructionTerm, Term

# Mean and scale of numbers, each of shape (n_numbers,).
Scale = tuple[Tensor, Tensor]


@dataclass
class Totals:
    """Total weights of a data set, which its sums of errors are divided by.

    Parameters
    ----------
    rows : int
        Number of rows.
    weight : float
        Total weight of the rows.
    entries : dict of str to float
        For each term, the total weight of its measured entries.
    """

    rows: int
    weight: float
    entries: dict[str, float]


class Objective(nn.Module):
    """The loss: a list of named data terms, and penalties on weights.

    A data term is a mean over measured entries, weighted by samples; ``l1`` and ``l2`` are
    penalties.

    Parameters
    ----------
    terms : sequence of Term
        The data terms, in the order in which they are added up.
    block_shares : mapping of str to float
        Each block's share of the reconstruction error; 1 in all.
    groups : mapping of str to mapping of str to float
        Means of several terms that the history has as well: for each, the shares of its terms.
    l1, alpha : float
        Factors of the penalties.

    Attributes
    ----------
    weights : dict of str to float
        Each data term's factor in the loss, by its name.
    """

    def __init__(
        self,
        terms: Sequence[Term],
        *,
        block_shares: Mapping[str, float],
        groups: Mapping[str, Mapping[str, float]],
        l1: float,
        alpha: float,
    ) -> None:
        super().__init__()
        self.terms = list(terms)
        self.weights = {term.name: term.weight for term in self.terms}
        self.block_shares = dict(block_shares)
        self.groups = {name: dict(shares) for name, shares in groups.items()}
        self.l1 = l1
        self.alpha = alpha

    @classmethod
    def supervised(
        cls,
        *,
        layouts: Mapping[str, Layout],
        blocks: Mapping[str, Block],
        target_layout: Layout | None,
        target_block: Block,
        block_shares: Mapping[str, float],
        reconstruction_loss: str,
        prediction_loss: str,
        reconstruction_weight: float,
        prediction_weight: float,
        l1: float,
        alpha: float,
        beta: float | None = None,
        scales: Mapping[str | None, Scale] = MappingProxyType({}),
    ) -> Objective:
        """Make the objective of a supervised autoencoder.

        Of several blocks each has a term of its own, and the reconstruction error is their mean by
        the shares of the blocks.

        Parameters
        ----------
        layouts : mapping of str to Layout
            Each block's layout.
        blocks : mapping of str to Block
            The same keys.
        target_layout : Layout or None
            Of the target; None without one.
        target_block : Block
            Which gives the errors of the target.
        block_shares : mapping of str to float
            Each block's share of the reconstruction error; 1 in all.
        reconstruction_loss, prediction_loss : str
            Error of a number; a category's is the cross-entropy.
        reconstruction_weight, prediction_weight, l1, alpha : float
            Factors of the terms.
        beta : float or None, default=None
            Of variational latents, as ``divergence_weight`` takes it.
        scales : mapping of str or None to (Tensor, Tensor)
            Mean and scale of the numbers of each block, and under None of the target.
        """
        is_one = len(layouts) == 1
        names = {
            name: "reconstruction" if is_one else f"reconstruction__{name}" for name in layouts
        }
        terms: list[Term] = [
            ReconstructionTerm(
                names[name],
                name,
                blocks[name],
                layout,
                reconstruction_loss,
                reconstruction_weight * block_shares[name],
            )
            for name, layout in layouts.items()
        ]
        if target_layout is not None:
            terms.append(
                PredictionTerm(target_block, target_layout, prediction_loss, prediction_weight)
            )
        terms += cumulative_terms(terms, scales)
        if beta is not None:
            terms.append(DivergenceTerm(divergence_weight(beta, layouts)))
        shares = {names[name]: block_shares[name] for name in layouts}
        return cls(
            terms,
            block_shares=block_shares,
            groups={} if is_one else {"reconstruction": shares},
            l1=l1,
            alpha=alpha,
        )

    @property
    def warms_up(self) -> bool:
        """Whether the weight of a term grows in the first epochs."""
        return any(term.warms_up for term in self.terms)

    def totals(self, dataset: Subset) -> Totals:
        """Sum up the weights of all measured entries of a data set, of each term."""
        totals = Totals(len(dataset), 0.0, {term.name: 0.0 for term in self.terms})
        every = dataset.rows
        # without values and targets, so that no rows of a large table are copied for this
        known = Batch({}, every.measured, None, every.labelled, every.weight)
        has_weights = every.weight is not None or every.labelled is not None or every.measured
        step = CHUNK_ROWS if has_weights else max(len(dataset), 1)
        for start in range(0, len(dataset), step):
            index: slice | Tensor = slice(start, start + step)
            if dataset.index is not None:
                index = dataset.index[index].to(every.device)
            count = min(step, len(dataset) - start)
            chunk = known[index]
            totals.weight += _total(chunk.weight, None, count, 1)
            for term in self.terms:
                is_known, n_columns = term.entries(chunk)
                totals.entries[term.name] += _total(chunk.weight, is_known, count, n_columns)
        return totals

    def data_terms(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Sum the errors of a batch, by term."""
        errors = {term.name: term.error(outputs, batch) for term in self.terms}
        return {name: error for name, error in errors.items() if error is not None}

    def add_penalty_gradients(self, module: AutoencoderModule) -> None:
        """Add the penalties' gradients to those of the data terms."""
        add_penalty_gradients(module.weights, module.encoder_weights, self.l1, self.alpha)

    def penalty_terms(self, module: AutoencoderModule) -> dict[str, Tensor]:
        """Return the penalties that are on, as they add to the objective."""
        terms = {}
        if self.l1:
            terms["l1"] = self.l1 * l1_penalty(module.encoder_weights)
        if self.alpha:
            terms["l2"] = self.alpha * l2_penalty(module.weights)
        return terms

    def factors(self, totals: Totals, warmth: float = 1.0) -> dict[str, float]:
        """Return the factor of each term's sum over a data set: its weight by its total.

        Parameters
        ----------
        totals : Totals
        warmth : float, default=1.0
            From 0 to 1, the share of their weight that terms have which warm up.
        """
        factors = {}
        for term in self.terms:
            total = totals.entries[term.name]
            factor = term.weight / total if total else 0.0
            factors[term.name] = factor * warmth if term.warms_up else factor
        return factors

    def epoch_terms(self, sums: Mapping[str, Tensor], totals: Totals) -> dict[str, float]:
        """Return an epoch's means from its sums, and as ``loss`` their weighted sum.

        A term without any measured entry is NaN, and adds nothing to the loss.
        """
        means = epoch_means(
            {name: np.array([value.item()]) for name, value in sums.items()},
            {name: np.array([totals.entries[name]]) for name in sums},
            {name: np.array([self.weights[name]]) for name in sums},
            self.groups,
        )
        return {name: float(value[0]) for name, value in means.items()}


def cumulative_terms(
    terms: Sequence[Term], scales: Mapping[str | None, Scale]
) -> list[CumulativeTerm]:
    """Return terms of cumulative distributions for those terms whose blocks ask for them.

    Parameters
    ----------
    terms : sequence of Term
    scales : mapping of str or None to (Tensor, Tensor)
        Mean and scale of the numbers of each block, and under None of the target.
    """
    found = []
    for term in terms:
        if isinstance(term, ReconstructionTerm | PredictionTerm) and term.block.cumulative_weight:
            name = term.block_name if isinstance(term, ReconstructionTerm) else None
            found.append(CumulativeTerm(term, term.block.cumulative_weight, *scales[name]))
    return found


def divergence_weight(beta: float, layouts: Mapping[str, Layout]) -> float:
    """Return the factor of the divergence in the loss, ``2 * beta / n_columns``.

    The loss has the mean of squared errors where the evidence lower bound has half of their sum,
    in units of the variance of the noise. With this factor the loss is, at ``beta=1``, the
    negative bound times ``2 / n_columns``: for one block, with a noise as large as the block's
    scale; for several, with a noise that follows from their shares.
    """
    return 2 * beta / sum(layout.n_columns for layout in layouts.values())


def _total(weight: Tensor | None, known: Tensor | None, n_rows: int, n_columns: int) -> float:
    """Sum the weights of the known entries of some rows; all of them are known if None."""
    if known is None:
        total = n_rows if weight is None else weight.sum(dtype=torch.float64).item()
        return float(total * n_columns)
    entries = known if weight is None else known * weight
    total = entries.sum(dtype=torch.float64).item()
    return float(total * n_columns if known.shape[1] == 1 else total)
