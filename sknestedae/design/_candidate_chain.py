"""A differentiable chain for candidates: encode, decode, and predict with gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._estimators._differentiable import DifferentiableChain, StageOutputs
from .._layers._ragged import RaggedTensors
from .._networks._batch import Batch
from .._tables._base_codec import Codec
from .._tables._target import ClassTarget, NumericTarget
from ._candidates import Candidates
from ._columns import ArrayColumns, CandidateColumns
from ._library import Library
from ._objectives import DesignObjective


class _BlockColumns(NamedTuple):
    """The positions of one block's columns among those of candidates.

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


class _BlockArrays(NamedTuple):
    """The conversion of candidates' values of a block of arrays to those of one codec.

    Attributes
    ----------
    name : str
        Of the arrays of candidates.
    gain, offset : Tensor of shape (n_values,), or None
        A member of an ensemble has a scale of its own: its values are those of the candidates
        times the gain plus the offset. None where they are the same.
    values, measured : Tensor of shape (n_rows, n_values), or None
        Of the rows of a library, or of the stock, where the block has one; None where every entry
        was measured.
    ragged : dict of str to RaggedTensors
        Other inputs, of rows that have several lengths.
    """

    name: str
    gain: Tensor | None
    offset: Tensor | None
    values: Tensor | None
    measured: Tensor | None
    ragged: Mapping[str, RaggedTensors]


class StageAdapter:
    """The conversion between candidates and the values of one stage's blocks.

    Parameters
    ----------
    chain : DifferentiableChain
    k : int
        Position of the stage.
    columns : CandidateColumns
    libraries : sequence of Library
        Whose blocks of arrays candidates may have.
    """

    def __init__(
        self,
        chain: DifferentiableChain,
        k: int,
        columns: CandidateColumns,
        libraries: Sequence[Library] = (),
    ) -> None:
        table, own = chain.stages[k].table, chain.columns[k]
        self.dtype = chain.stages[k].dtype
        self.device = chain.stages[k].device
        self.layouts = table.layouts
        self.blocks: dict[str, _BlockColumns] = {}
        self.arrays: dict[str, _BlockArrays] = {}
        of_columns = {j: arrays for arrays in columns.arrays.values() for j in arrays.positions}
        for name, (numeric, categorical) in table.columns.items():
            # a stage's own columns come first in its table, the latents before are the last
            used = [j for j in numeric if j < len(own)]
            arrays = of_columns.get(own[used[0]]) if used else None
            if arrays is not None:
                self.arrays[name] = _match_arrays(arrays, table.codecs[name], libraries)
                continue
            mean, scale = table.affine(used)
            here = [i for i, j in enumerate(numeric) if j < len(own)]
            there = [columns.places[own[j]] for j in used]
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
        # of the candidates' numbers, those that the stage decodes, in the order of ``decode``
        self.there = torch.cat(
            [block.there for block in self.blocks.values()] or [torch.zeros(0, dtype=torch.long)]
        )

    def encode(self, candidates: Candidates) -> Batch:
        """Return each block's values on the network's device; 0 in the place of latents.

        Returns
        -------
        Batch
            Values of shape (n_candidates, layout.n_values), with gradients.
        """
        rows = Batch({})
        for name, layout in self.layouts.items():
            if name in self.arrays:
                values, measured = self._encode_arrays(self.arrays[name], candidates)
                ragged = self.arrays[name].ragged
                if ragged:
                    own = candidates.rows[self.arrays[name].name]
                    rows.ragged[name] = {
                        part: entries[own].to(self.device) for part, entries in ragged.items()
                    }
                rows.values[name] = values.to(self.device, self.dtype)
                if measured is not None:
                    rows.measured[name] = measured.to(self.device)
                continue
            here, there, mean, scale, categorical = self.blocks[name]
            numbers = torch.zeros(candidates.n_rows, layout.n_numeric, dtype=torch.float64)
            scaled = (candidates.numbers[:, there] - mean) / scale
            parts = [numbers.index_copy(1, here, scaled)]
            parts += [candidates.shares[j] @ matrix for j, matrix in categorical]
            rows.values[name] = torch.cat(parts, dim=1).to(self.device, self.dtype)
        return rows

    def _encode_arrays(
        self, block: _BlockArrays, candidates: Candidates
    ) -> tuple[Tensor, Tensor | None]:
        """Return a block's values, and which of them were measured; None if all were."""
        if block.name in candidates.rows:
            rows = candidates.rows[block.name]
            assert block.values is not None
            return block.values[rows], None if block.measured is None else block.measured[rows]
        values = candidates.arrays[block.name]
        if block.gain is not None and block.offset is not None:
            values = values * block.gain + block.offset
        return values, None

    def decode(
        self, decoded: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[int, Tensor], dict[str, Tensor]]:
        """Return the columns that a stage's decoded values stand for.

        Parameters
        ----------
        decoded : dict of str to Tensor of shape (n_candidates, layout.n_values)

        Returns
        -------
        numbers : Tensor of shape (n_candidates, n_own)
            In the units of the columns, at the places ``there`` among the candidates' numbers.
        logits : dict of int to Tensor of shape (n_candidates, n_categories)
            By position in the table.
        arrays : dict of str to Tensor of shape (n_candidates, n_values)
        """
        numbers: list[Tensor] = []
        logits: dict[int, Tensor] = {}
        arrays: dict[str, Tensor] = {}
        for name, layout in self.layouts.items():
            if name in self.arrays:
                arrays[self.arrays[name].name] = decoded[name].cpu()
                continue
            values = decoded[name].cpu().double()
            here, _, mean, scale, categorical = self.blocks[name]
            numbers.append(values[:, here] * scale + mean)
            for (j, _), group in zip(categorical, layout.groups(), strict=True):
                logits[j] = values[:, group]
        n_rows = len(next(iter(decoded.values())))
        joined = torch.cat(numbers, dim=1) if numbers else torch.zeros(n_rows, 0).double()
        return joined, logits, arrays


def _match_arrays(
    arrays: ArrayColumns, codec: Codec, libraries: Sequence[Library]
) -> _BlockArrays:
    """Find the conversion of candidates' values of a block of arrays to those of a codec."""
    (mean, scale), (own_mean, own_scale) = arrays.codec.affine(), codec.affine()
    gain, offset = scale / own_scale, (mean - own_mean) / own_scale
    is_same = bool((gain == 1).all() and (offset == 0).all())
    rows = next(
        (some.arrays[arrays.name] for some in libraries if arrays.name in some.arrays), None
    )
    if arrays.is_stocked:
        rows = arrays.stock
    cpu = torch.device("cpu")
    values, measured, ragged = (None, None, {}) if rows is None else arrays.encode(rows, codec)
    return _BlockArrays(
        arrays.name,
        None if is_same else torch.from_numpy(gain),
        None if is_same else torch.from_numpy(offset),
        None if values is None else torch.from_numpy(values),
        None if measured is None else torch.from_numpy(measured),
        {part: RaggedTensors.from_arrays(own, cpu) for part, own in ragged.items()},
    )


def category_matrix(ours: np.ndarray, theirs: np.ndarray) -> Tensor:
    """Return a matrix that brings shares of our categories to theirs.

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


class MemberPrediction(NamedTuple):
    """The prediction of one member for an objective, in the units of y.

    Attributes
    ----------
    mean : Tensor of shape (n_candidates,)
        For a class its probability.
    std : Tensor of shape (n_candidates,) or None
        Of a Gaussian process, where it is needed: of the function, without noise.
    inputs : Tensor of shape (n_candidates, n_inputs) or None
        Of that Gaussian process.
    """

    mean: Tensor
    std: Tensor | None = None
    inputs: Tensor | None = None


class Moments(NamedTuple):
    """Mean and standard deviation of the prediction for an objective, in the units of y.

    Attributes
    ----------
    mean : Tensor of shape (n_candidates,)
    std : Tensor of shape (n_candidates,) or None
        None without members and without a Gaussian process.
    members : list of MemberPrediction
    """

    mean: Tensor
    std: Tensor | None
    members: list[MemberPrediction]

    @classmethod
    def of_members(cls, members: list[MemberPrediction]) -> Moments:
        """Return the moments of a mixture of members.

        The variance is that of a sample of means, and the mean of the members' own variances.
        """
        means = torch.stack([member.mean for member in members])
        own = [member.std**2 for member in members if member.std is not None]
        variances = []
        if len(members) > 1:
            # a root has no slope at 0, where members agree
            variances.append(means.var(dim=0).clamp(min=torch.finfo(means.dtype).tiny))
        if own:
            variances.append(torch.stack(own).sum(dim=0) / len(members))
        std = torch.stack(variances).sum(dim=0).sqrt() if variances else None
        return cls(means.mean(dim=0), std, members)

    @classmethod
    def joined(cls, parts: list[Moments]) -> Moments:
        """Join the moments of candidates that were predicted in parts."""
        members = [
            MemberPrediction(
                torch.cat([own.mean for own in of_member]),
                _joined([own.std for own in of_member]),
                _joined([own.inputs for own in of_member]),
            )
            for of_member in zip(*(part.members for part in parts), strict=True)
        ]
        mean = torch.cat([part.mean for part in parts])
        return cls(mean, _joined([part.std for part in parts]), members)


def _joined(parts: list[Tensor | None]) -> Tensor | None:
    known = [part for part in parts if part is not None]
    return torch.cat(known) if known else None


class CandidateChain:
    """A differentiable chain whose inputs and decoded outputs are candidates.

    Candidates, latents and predictions are on the CPU, numbers and predictions in double
    precision, whatever the networks are.

    Parameters
    ----------
    chain : DifferentiableChain
    columns : CandidateColumns
    libraries : sequence of Library
        Whose blocks of arrays candidates may have.
    """

    def __init__(
        self,
        chain: DifferentiableChain,
        columns: CandidateColumns,
        libraries: Sequence[Library] = (),
    ) -> None:
        self.chain = chain
        self.adapters = [StageAdapter(chain, k, columns, libraries) for k in range(len(chain))]
        self._order = torch.cat([adapter.there for adapter in self.adapters]).argsort()

    def forward(self, candidates: Candidates) -> list[StageOutputs]:
        """Send candidates up the stages."""
        return self.chain.forward([adapter.encode(candidates) for adapter in self.adapters])

    def latents(self, candidates: Candidates) -> list[Tensor]:
        """Return each stage's latents, of shape (n_candidates, n_components)."""
        return [outputs.latents.cpu().double() for outputs in self.forward(candidates)]

    def decode(self, latents: Tensor) -> tuple[Tensor, dict[int, Tensor], dict[str, Tensor]]:
        """Decode latents of the last stage down the chain to all columns.

        Returns
        -------
        numbers : Tensor of shape (n_candidates, n_numeric)
            In the units of the columns.
        logits : dict of int to Tensor of shape (n_candidates, n_categories)
            By position in the table.
        arrays : dict of str to Tensor of shape (n_candidates, n_values)
        """
        last = self.adapters[-1]
        numbers: list[Tensor] = []
        logits: dict[int, Tensor] = {}
        arrays: dict[str, Tensor] = {}
        decoded = self.chain.decode(latents.to(last.device, last.dtype))
        for adapter, values in zip(self.adapters, decoded, strict=True):
            of_stage, logits_of_stage, arrays_of_stage = adapter.decode(values)
            numbers.append(of_stage)
            logits.update(logits_of_stage)
            arrays.update(arrays_of_stage)
        return torch.cat(numbers, dim=1)[:, self._order], logits, arrays

    def member_prediction(
        self, objective: DesignObjective, outputs: list[StageOutputs]
    ) -> MemberPrediction:
        """Return the prediction for an objective, with its standard deviation if that is needed.

        Parameters
        ----------
        objective : DesignObjective
        outputs : list of StageOutputs
            Of all stages.
        """
        k, i = objective.stage, objective.output
        target = self.chain.stages[k].target
        prediction = outputs[k].prediction
        assert prediction is not None
        scaled = prediction.cpu().double()
        if isinstance(target, ClassTarget):
            return MemberPrediction(torch.softmax(scaled, dim=1)[:, objective.code])
        assert isinstance(target, NumericTarget)
        mean, scale = target.affine()
        value = scaled[:, i] * scale[i] + mean[i]
        std = self.chain.std(k, i, outputs) if objective.needs_std else None
        if std is None:
            return MemberPrediction(value)
        return MemberPrediction(value, std.cpu() * scale[i], outputs[k].inputs)

    def has_process(self, objective: DesignObjective) -> bool:
        """Return whether a Gaussian process predicts an objective's target."""
        return self.chain.heads[objective.stage] is not None

    def covariance(
        self, objective: DesignObjective, member: MemberPrediction, row: int
    ) -> tuple[np.ndarray, float]:
        """Return the covariance of a Gaussian process between candidates and one of them.

        Parameters
        ----------
        objective : DesignObjective
        member : MemberPrediction
            For that objective, by this chain.
        row : int
            Position of the one among the candidates.

        Returns
        -------
        covariance : ndarray of shape (n_candidates,)
            In squared units of y.
        noise : float
            Variance of a measurement about the function.
        """
        k, i = objective.stage, objective.output
        target = self.chain.stages[k].target
        assert isinstance(target, NumericTarget)
        assert member.inputs is not None
        unit = target.affine()[1][i] ** 2
        inputs = member.inputs.cpu().numpy()
        covariance = self.chain.covariance(k, i, inputs, inputs[[row]])
        return unit * covariance[:, 0], unit * self.chain.noise_variance(k, i)
