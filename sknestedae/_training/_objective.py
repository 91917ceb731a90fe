"""The objective: loss terms by name, and their sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._networks._autoencoder import AutoencoderModule, Outputs
from .._networks._batch import Batch, Subset
from .._networks._losses import add_penalty_gradients, l1_penalty, l2_penalty
from .._tables._layout import Layout
from ..blocks._errors import block_error
from ._data import CHUNK_ROWS
from ._schedules import epoch_means


@dataclass
class Totals:
    """Total weights of a data set, which its sums of errors are divided by."""

    rows: int
    weight: float
    reconstruction: float
    prediction: float


class Objective(nn.Module):
    """The loss terms, by name, and their sum.

    ``reconstruction`` and ``prediction`` are means over measured entries, weighted by samples.
    ``l1`` and ``l2`` are penalties on weights.

    Parameters
    ----------
    layouts : mapping of str to Layout
        Each block's layout.
    target_layout : Layout or None
        Of the target; None without one.
    reconstruction_loss, prediction_loss : str
        Error of a number; a category's is the cross-entropy.
    reconstruction_weight, prediction_weight, l1, alpha : float
        What the terms are multiplied with.
    """

    def __init__(
        self,
        *,
        layouts: Mapping[str, Layout],
        target_layout: Layout | None,
        reconstruction_loss: str,
        prediction_loss: str,
        reconstruction_weight: float,
        prediction_weight: float,
        l1: float,
        alpha: float,
    ) -> None:
        super().__init__()
        self.layouts = dict(layouts)
        self.target_layout = target_layout
        self.reconstruction_loss = reconstruction_loss
        self.prediction_loss = prediction_loss
        self.reconstruction_weight = reconstruction_weight
        self.prediction_weight = prediction_weight
        self.l1 = l1
        self.alpha = alpha

    def totals(self, dataset: Subset) -> Totals:
        """Sum up the weights of all measured entries of a data set."""
        totals = Totals(len(dataset), 0.0, 0.0, 0.0)
        every = dataset.rows
        has_weights = every.weight is not None or every.labelled is not None or every.measured
        step = CHUNK_ROWS if has_weights else max(len(dataset), 1)
        for start in range(0, len(dataset), step):
            index: Any = slice(start, start + step)
            if dataset.index is not None:
                index = dataset.index[index].to(every.device)
            count = min(step, len(dataset) - start)
            weight = None if every.weight is None else every.weight[index]
            totals.weight += _total(weight, None, count, 1)
            for name, layout in self.layouts.items():
                known = every.measured[name][index] if name in every.measured else None
                totals.reconstruction += _total(weight, known, count, layout.n_columns)
            if self.target_layout is not None:
                known = None if every.labelled is None else every.labelled[index]
                totals.prediction += _total(weight, known, count, self.target_layout.n_columns)
        return totals

    def data_terms(self, outputs: Outputs, rows: Batch) -> dict[str, Tensor]:
        """Sum the errors of a batch, by term."""
        parts = [
            block_error(
                outputs.blocks[name],
                rows.values[name],
                layout,
                self.reconstruction_loss,
                rows.entry_weight(rows.measured.get(name)),
            )
            for name, layout in self.layouts.items()
        ]
        terms = {"reconstruction": parts[0] if len(parts) == 1 else torch.stack(parts).sum(dim=0)}
        layout, prediction, target = self.target_layout, outputs.prediction, rows.target
        if layout is not None and prediction is not None and target is not None:
            terms["prediction"] = block_error(
                prediction,
                target,
                layout,
                self.prediction_loss,
                rows.entry_weight(rows.labelled),
            )
        return terms

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
        """Give what each term's sum over a data set is multiplied with."""
        factors = {}
        for name in ("reconstruction", "prediction"):
            total = getattr(totals, name)
            factors[name] = getattr(self, f"{name}_weight") / total if total else 0.0
        return factors

    def epoch_terms(self, sums: Mapping[str, Tensor], totals: Totals) -> dict[str, float]:
        """Give an epoch's means from its sums, and as ``loss`` their weighted sum.

        A term without any measured entry is NaN, and adds nothing to the loss.
        """
        means = epoch_means(
            {name: np.array([value.item()]) for name, value in sums.items()},
            {name: np.array([getattr(totals, name)]) for name in sums},
            {name: np.array([getattr(self, f"{name}_weight")]) for name in sums},
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
