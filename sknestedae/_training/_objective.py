"""The objective: a list of named loss terms, and penalties on weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from .._networks._autoencoder import AutoencoderModule, Outputs
from .._networks._batch import Batch, Subset
from .._networks._penalties import add_penalty_gradients, l1_penalty, l2_penalty
from .._tables._layout import Layout
from ..blocks import Block
from ..blocks._losses import block_error
from ._data import CHUNK_ROWS
from ._schedules import epoch_means


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


@dataclass
class ReconstructionTerm:
    """Errors of one decoded block.

    Parameters
    ----------
    name : str
        "reconstruction" of the only block; of one of several, its name behind it.
    block_name : str
    block : Block
        Which gives the errors of entries.
    layout : Layout
        The block's layout.
    loss : str
        Error of a number; a category's is the cross-entropy.
    weight : float
        Factor of the mean error in the loss.
    """

    name: str
    block_name: str
    block: Block
    layout: Layout
    loss: str
    weight: float

    def error(self, outputs: Outputs, batch: Batch) -> Tensor | None:
        """Sum the errors of a batch."""
        given, measured = batch.values[self.block_name], batch.measured.get(self.block_name)
        decoded = self.block.align(outputs.blocks[self.block_name], given, measured, self.layout)
        known = batch.entry_weight(measured)
        return sum_errors(self.block, decoded, given, self.layout, self.loss, known)

    def entries(self, batch: Batch) -> tuple[Tensor | None, int]:
        """Give which entries are known, None if all are, and how many there are in a row."""
        return batch.measured.get(self.block_name), self.layout.n_columns


@dataclass
class PredictionTerm:
    """Errors of the prediction.

    Parameters
    ----------
    block : Block
        Which gives the errors of entries.
    layout : Layout
        The target's layout.
    loss, weight : str and float
        As in ``ReconstructionTerm``.
    """

    name: ClassVar[str] = "prediction"
    block: Block
    layout: Layout
    loss: str
    weight: float

    def error(self, outputs: Outputs, batch: Batch) -> Tensor | None:
        """Sum the errors of a batch; None without a target."""
        if outputs.prediction is None or batch.target is None:
            return None
        known = batch.entry_weight(batch.labelled)
        return sum_errors(
            self.block, outputs.prediction, batch.target, self.layout, self.loss, known
        )

    def entries(self, batch: Batch) -> tuple[Tensor | None, int]:
        """Give which targets are known, None if all are, and the number of columns."""
        return batch.labelled, self.layout.n_columns


def sum_errors(
    block: Block,
    decoded: Tensor,
    given: Tensor,
    layout: Layout,
    loss: str,
    weight: Tensor | None,
) -> Tensor:
    """Sum the weighted errors of a block's entries, over the last two dimensions.

    Parameters
    ----------
    block : Block
    decoded, given : Tensor of shape (..., n_samples, layout.n_values)
    layout : Layout
    loss : str
    weight : Tensor of shape (..., n_samples, layout.n_columns) or (..., n_samples, 1), or None
        Weight of each entry.
    """
    if type(block).errors is Block.errors:  # the same sums, by faster ways
        return block_error(decoded, given, layout, loss, weight)
    errors = block.errors(decoded, given, layout, loss)
    return (errors if weight is None else errors * weight).sum(dim=(-2, -1))


class Objective(nn.Module):
    """The loss: a list of named data terms, and penalties on weights.

    A data term is a mean over measured entries, weighted by samples; ``l1`` and ``l2`` are
    penalties. Of several blocks each has a term of its own, and the reconstruction error is their
    mean by the shares of the blocks.

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

    Attributes
    ----------
    terms : list of ReconstructionTerm or PredictionTerm
        The data terms, in the order in which they are added up.
    weights : dict of str to float
        Each data term's factor in the loss, by its name.
    block_shares : dict of str to float
        Each block's share of the reconstruction error.
    shares : dict of str to float
        By the names of their terms, the shares of several blocks; empty of one block.
    """

    def __init__(
        self,
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
    ) -> None:
        super().__init__()
        names = {
            name: "reconstruction" if len(layouts) == 1 else f"reconstruction__{name}"
            for name in layouts
        }
        self.terms: list[ReconstructionTerm | PredictionTerm] = [
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
            self.terms.append(
                PredictionTerm(target_block, target_layout, prediction_loss, prediction_weight)
            )
        self.weights = {term.name: term.weight for term in self.terms}
        self.block_shares = dict(block_shares)
        self.shares = (
            {} if len(layouts) == 1 else {names[name]: block_shares[name] for name in layouts}
        )
        self.l1 = l1
        self.alpha = alpha

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
        """Give the penalties that are on, as they add to the objective."""
        terms = {}
        if self.l1:
            terms["l1"] = self.l1 * l1_penalty(module.encoder_weights)
        if self.alpha:
            terms["l2"] = self.alpha * l2_penalty(module.weights)
        return terms

    def factors(self, totals: Totals) -> dict[str, float]:
        """Give the factor of each term's sum over a data set: its weight by its total."""
        factors = {}
        for name, weight in self.weights.items():
            total = totals.entries[name]
            factors[name] = weight / total if total else 0.0
        return factors

    def epoch_terms(self, sums: Mapping[str, Tensor], totals: Totals) -> dict[str, float]:
        """Give an epoch's means from its sums, and as ``loss`` their weighted sum.

        A term without any measured entry is NaN, and adds nothing to the loss.
        """
        means = epoch_means(
            {name: np.array([value.item()]) for name, value in sums.items()},
            {name: np.array([totals.entries[name]]) for name in sums},
            {name: np.array([self.weights[name]]) for name in sums},
            self.shares,
        )
        return {name: float(value[0]) for name, value in means.items()}


def _total(weight: Tensor | None, known: Tensor | None, n_rows: int, n_columns: int) -> float:
    """Sum the weights of the known entries of some rows; all of them are known if None."""
    if known is None:
        total = n_rows if weight is None else weight.sum(dtype=torch.float64).item()
        return float(total * n_columns)
    entries = known if weight is None else known * weight
    total = entries.sum(dtype=torch.float64).item()
    return float(total * n_columns if known.shape[1] == 1 else total)
