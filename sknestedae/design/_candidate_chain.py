"""The way between candidates and a chain's stages: encode, decode, and predict with gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._estimators._differentiable import DifferentiableChain, StageOutputs
from .._networks._batch import Batch
from .._tables._target import ClassTarget, NumericTarget
from ._candidates import Candidates
from ._columns import CandidateColumns
from ._objectives import DesignObjective


class _BlockColumns(NamedTuple):
    """How the columns of one block of a stage correspond to those of candidates.

    Attributes
    ----------
    here, there : Tensor of int64, shape (n_own,)
        Positions of the stage's own numbers, among the block's values and among the candidates'
        numbers. The latents of the stage before are numbers of the block too, but none of these.
    mean, scale : Tensor of float64, shape (n_own,)
        What the stage's table standardises these numbers with.
    categorical : list of (int, Tensor of shape (n_categories, n_categories of the stage))
        For each categorical column of the block: its position in the table, and a matrix of 0 and
        1 from the candidates' categories to those that the stage has seen.
    """

    here: Tensor
    there: Tensor
    mean: Tensor
    scale: Tensor
    categorical: list[tuple[int, Tensor]]


class StageAdapter:
    """The way between candidates and the values of one stage's blocks.

    Parameters
    ----------
    chain : DifferentiableChain
    k : int
        Position of the stage.
    columns : CandidateColumns
    """

    def __init__(self, chain: DifferentiableChain, k: int, columns: CandidateColumns) -> None:
        table, own = chain.stages[k].table, chain.columns[k]
        self.dtype = chain.stages[k].dtype
        self.device = chain.stages[k].device
        self.layouts = table.layouts
        self.blocks: dict[str, _BlockColumns] = {}
        for name, (numeric, categorical) in table.columns.items():
            # a stage's own columns come first in its table, the latents before are the last
            used = [j for j in numeric if j < len(own)]
            mean, scale = table.affine(used)
            here = [i for i, j in enumerate(numeric) if j < len(own)]
            there = [columns.numeric.index(own[j]) for j in used]
            self.blocks[name] = _BlockColumns(
                torch.tensor(here, dtype=torch.long),
                torch.tensor(there, dtype=torch.long),
                torch.from_numpy(mean),
                torch.from_numpy(scale),
                [
                    (own[j], category_matrix(columns.categories[own[j]], table.categories[j]))
                    for j in categorical
                ],
            )

    def encode(self, candidates: Candidates) -> dict[str, Tensor]:
        """Give each block's values, where the network is; 0 where latents stand.

        Returns
        -------
        dict of str to Tensor of shape (n_candidates, layout.n_values)
            With gradients.
        """
        values = {}
        for name, layout in self.layouts.items():
            here, there, mean, scale, categorical = self.blocks[name]
            numbers = torch.zeros(candidates.n_rows, layout.n_numeric, dtype=torch.float64)
            scaled = (candidates.numbers[:, there] - mean) / scale
            parts = [numbers.index_copy(1, here, scaled)]
            parts += [candidates.shares[j] @ matrix for j, matrix in categorical]
            values[name] = torch.cat(parts, dim=1).to(self.device, self.dtype)
        return values

    def decode(self, decoded: Mapping[str, Tensor]) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """Give the columns that a stage's decoded values stand for.

        Parameters
        ----------
        decoded : dict of str to Tensor of shape (n_candidates, layout.n_values)

        Returns
        -------
        numbers : dict of int to Tensor of shape (n_candidates,)
            In the units of the columns, by position among the candidates' numbers.
        logits : dict of int to Tensor of shape (n_candidates, n_categories)
            By position in the table.
        """
        numbers: dict[int, Tensor] = {}
        logits: dict[int, Tensor] = {}
        for name, layout in self.layouts.items():
            values = decoded[name].cpu().double()
            here, there, mean, scale, categorical = self.blocks[name]
            own = values[:, here] * scale + mean
            numbers.update(zip(there.tolist(), own.unbind(dim=1), strict=True))
            for (j, _), group in zip(categorical, layout.groups(), strict=True):
                logits[j] = values[:, group]
        return numbers, logits


def category_matrix(ours: np.ndarray, theirs: np.ndarray) -> Tensor:
    """Give a matrix that brings shares of our categories to theirs.

    A member of an ensemble may have seen fewer categories than the first one: a category that it
    does not know has a row of 0, as it enters that member's network.

    Parameters
    ----------
    ours, theirs : ndarray of shape (n_ours,) and (n_theirs,)

    Returns
    -------
    Tensor of float64, shape (n_ours, n_theirs)
        1 where two categories are the same, else 0.
    """
    same = ours.astype(object)[:, None] == theirs.astype(object)[None, :]
    return torch.from_numpy(same.astype(np.float64))


class CandidateChain:
    """A differentiable chain that takes candidates and gives them.

    Candidates, latents and predictions are on the CPU and in double precision, whatever the
    networks are.

    Parameters
    ----------
    chain : DifferentiableChain
    columns : CandidateColumns
    """

    def __init__(self, chain: DifferentiableChain, columns: CandidateColumns) -> None:
        self.chain = chain
        self.adapters = [StageAdapter(chain, k, columns) for k in range(len(chain))]

    def forward(self, candidates: Candidates) -> list[StageOutputs]:
        """Send candidates up the stages."""
        return self.chain.forward([Batch(adapter.encode(candidates)) for adapter in self.adapters])

    def latents(self, candidates: Candidates) -> list[Tensor]:
        """Give each stage's latents, of shape (n_candidates, n_components)."""
        return [outputs.latents.cpu().double() for outputs in self.forward(candidates)]

    def decode(self, latents: Tensor) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """Send latents of the last stage down; give all columns, as a stage adapter does."""
        last = self.adapters[-1]
        numbers: dict[int, Tensor] = {}
        logits: dict[int, Tensor] = {}
        decoded = self.chain.decode(latents.to(last.device, last.dtype))
        for adapter, values in zip(self.adapters, decoded, strict=True):
            of_stage, logits_of_stage = adapter.decode(values)
            numbers.update(of_stage)
            logits.update(logits_of_stage)
        return numbers, logits

    def prediction(self, objective: DesignObjective, outputs: StageOutputs) -> Tensor:
        """Give the prediction that an objective is about, of shape (n_candidates,).

        In the units of y; for a class its probability.

        Parameters
        ----------
        objective : DesignObjective
        outputs : StageOutputs
            Of the stage that predicts it.
        """
        target = self.chain.stages[objective.stage].target
        assert outputs.prediction is not None
        scaled = outputs.prediction.cpu().double()
        if isinstance(target, ClassTarget):
            return torch.softmax(scaled, dim=1)[:, objective.code]
        assert isinstance(target, NumericTarget)
        mean, scale = target.affine()
        i = objective.output
        return scaled[:, i] * scale[i] + mean[i]
