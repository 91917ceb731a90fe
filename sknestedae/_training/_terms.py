"""The named terms of the objective: sums of a batch's errors, and the entries that they count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from .._networks._autoencoder import Outputs
from .._networks._batch import Batch
from .._networks._penalties import divergence
from .._tables._layout import Layout
from ..blocks import Block
from ..blocks._losses import block_error, cumulative_errors


class Compared(NamedTuple):
    """Decoded values and the given ones, (..., n_samples, n_values), and each row's share.

    ``share`` is of shape (n_samples, 1), or None where it is 1 in all rows.
    """

    decoded: Tensor
    given: Tensor
    share: Tensor | None


class Term(Protocol):
    """A term of the objective.

    Attributes
    ----------
    name : str
        In the history.
    weight : float
        Factor of the mean error in the loss.
    warms_up : bool
        Whether the weight grows to its own in the first epochs.
    """

    @property
    def name(self) -> str:
        """Name in the history."""

    @property
    def weight(self) -> float:
        """Factor of the mean error in the loss."""

    @property
    def warms_up(self) -> bool:
        """Whether the weight grows to its own in the first epochs."""

    def error(self, outputs: Outputs, batch: Batch) -> Tensor | None:
        """Sum the errors of a batch, each times the weight of its row; None without any."""

    def entries(self, batch: Batch) -> tuple[Tensor | None, int]:
        """Return which entries count, None if all do, and how many there are in a row.

        The tensor is of shape (n_samples, 1) or (n_samples, n_entries).
        """


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
    source : str or None, default=None
        With an encoder for each block, the one that the latents are of; None of all blocks.
    """

    warms_up: ClassVar[bool] = False
    name: str
    block_name: str
    block: Block
    layout: Layout
    loss: str
    weight: float
    source: str | None = None

    def error(self, outputs: Outputs, batch: Batch) -> Tensor | None:
        """Sum the errors of a batch."""
        ((decoded, given, _),) = self.compared(outputs, batch)
        known = batch.entry_weight(self.entries(batch)[0])
        return sum_errors(self.block, decoded, given, self.layout, self.loss, known)

    def compared(self, outputs: Outputs, batch: Batch) -> list[Compared]:
        """Return the pairs of decoded and given values."""
        given, measured = batch.values[self.block_name], batch.measured.get(self.block_name)
        if self.source is not None:
            outputs = outputs.sources[self.source]
        decoded = self.block.align(outputs.blocks[self.block_name], given, measured, self.layout)
        return [Compared(decoded, given, None)]

    def entries(self, batch: Batch) -> tuple[Tensor | None, int]:
        """Return which entries are known, None if all are, and how many there are in a row."""
        measured = batch.measured.get(self.block_name)
        if self.source not in (None, self.block_name):
            measured = both(measured, batch.presence(self.source))
        return measured, self.layout.n_columns


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
    sources : tuple of str, default=()
        With an encoder for each block, those whose latents predict. A row counts once, however
        many of them it has.
    has_mean : bool, default=False
        Whether the mean of the latents predicts as well, of rows that have several blocks.
    """

    name: ClassVar[str] = "prediction"
    warms_up: ClassVar[bool] = False
    block: Block
    layout: Layout
    loss: str
    weight: float
    sources: tuple[str, ...] = ()
    has_mean: bool = False

    def error(self, outputs: Outputs, batch: Batch) -> Tensor | None:
        """Sum the errors of a batch; None without a target."""
        known = batch.entry_weight(batch.labelled)
        return add_up(
            sum_errors(self.block, decoded, given, self.layout, self.loss, times(known, share))
            for decoded, given, share in self.compared(outputs, batch)
        )

    def compared(self, outputs: Outputs, batch: Batch) -> list[Compared]:
        """Return the pairs of outputs and given values; none without a target."""
        if batch.target is None:
            return []
        parts = of_sources(outputs, batch, self.sources)
        if self.has_mean:
            parts = with_mean(outputs, parts)
        # with an encoder for each block no row is predicted from parts
        of_latents = None if self.sources else outputs.prediction_of_latents
        if of_latents is not None and outputs.prediction is not None:
            # the mean over parts, and the latents of the whole row: both are to predict
            half = outputs.latents.new_full((1, 1), 0.5)
            both_ways = (outputs.prediction, of_latents)
            return [Compared(own, batch.target, half) for own in both_ways]
        return [
            Compared(own.prediction, batch.target, share)
            for own, share in parts
            if own.prediction is not None
        ]

    def entries(self, batch: Batch) -> tuple[Tensor | None, int]:
        """Return which targets are known, None if all are, and the number of columns."""
        return both(batch.labelled, any_present(batch, self.sources)), self.layout.n_columns


@dataclass
class CumulativeTerm:
    """Errors of the cumulative distributions of spectra, added to the errors of their channels.

    Parameters
    ----------
    base : ReconstructionTerm or PredictionTerm
        Whose spectra they are.
    relative_weight : float
        Factor of the mean error in that of the base.
    mean, scale : Tensor of shape (n_channels,)
        With which the channels are scaled.
    """

    warms_up: ClassVar[bool] = False
    base: ReconstructionTerm | PredictionTerm
    relative_weight: float
    mean: Tensor
    scale: Tensor

    @property
    def name(self) -> str:
        """Name in the history."""
        return f"{self.base.name}__cumulative"

    @property
    def weight(self) -> float:
        """Factor of the mean error in the loss."""
        return self.relative_weight * self.base.weight

    def error(self, outputs: Outputs, batch: Batch) -> Tensor | None:
        """Sum the errors of a batch, of rows that are known in all channels."""
        known = batch.entry_weight(self.entries(batch)[0])
        mean, scale = self.mean.to(batch.device), self.scale.to(batch.device)

        def in_units(values: Tensor) -> Tensor:
            return values * scale + mean

        return add_up(
            weighted_sum(
                cumulative_errors(in_units(decoded), in_units(given), self.base.loss),
                times(known, share),
            )
            for decoded, given, share in self.base.compared(outputs, batch)
        )

    def entries(self, batch: Batch) -> tuple[Tensor | None, int]:
        """Return which rows are known in all channels, None if all; and the number of channels."""
        known, n_columns = self.base.entries(batch)
        return None if known is None else (known > 0).all(dim=-1, keepdim=True), n_columns


@dataclass
class DivergenceTerm:
    """Divergence of the latents' densities from their prior, in nats a row.

    Parameters
    ----------
    weight : float
        Factor of the mean over rows in the loss.
    sources : tuple of str, default=()
        With an encoder for each block, all of them. A row counts once, however many it has.
    name : str, default="divergence"
        In the history.
    """

    warms_up: ClassVar[bool] = True
    weight: float
    sources: tuple[str, ...] = ()
    name: str = "divergence"

    def error(self, outputs: Outputs, batch: Batch) -> Tensor | None:
        """Sum the divergences of a batch."""
        return add_up(
            weighted_sum(divergence(own.latents, own.log_variance), times(batch.weight, share))
            for own, share in of_sources(outputs, batch, self.sources)
            if own.log_variance is not None
        )

    def entries(self, batch: Batch) -> tuple[Tensor | None, int]:
        """Return which rows count; one entry a row."""
        return any_present(batch, self.sources), 1


@dataclass
class AlignmentTerm:
    """Squared distances between latents of the same rows, of each pair of encoders.

    Parameters
    ----------
    weight : float
        Factor of the mean, over pairs, rows and latents, in the loss.
    sources : tuple of str
    n_components : int
    """

    name: ClassVar[str] = "alignment"
    warms_up: ClassVar[bool] = False
    weight: float
    sources: tuple[str, ...]
    n_components: int

    def error(self, outputs: Outputs, batch: Batch) -> Tensor | None:
        """Sum the squared distances of a batch."""
        latents = {name: outputs.sources[name].latents for name in self.sources}
        return add_up(
            weighted_sum(
                (latents[a] - latents[b]).square(),
                batch.entry_weight(both(batch.presence(a), batch.presence(b))),
            )
            for a, b in combinations(self.sources, 2)
        )

    def entries(self, batch: Batch) -> tuple[Tensor | None, int]:
        """Return how many pairs each row has, and the number of latents."""
        counts = [
            both(batch.presence(a), batch.presence(b)) for a, b in combinations(self.sources, 2)
        ]
        if all(count is None for count in counts):
            return None, self.n_components * len(counts)
        whole = next(count for count in counts if count is not None).new_ones(1)
        total: Any = sum((whole if count is None else count).long() for count in counts)
        return total, self.n_components


# ---------------------------------------------------------------------------------------------
# Sums


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
    return weighted_sum(block.errors(decoded, given, layout, loss), weight)


def weighted_sum(errors: Tensor, weight: Tensor | None) -> Tensor:
    """Sum errors of shape (..., n_samples, n_entries) over the last two dimensions."""
    return (errors if weight is None else errors * weight).sum(dim=(-2, -1))


def add_up(sums: Any) -> Tensor | None:
    """Add sums; None if there is none."""
    parts = list(sums)
    return sum(parts[1:], parts[0]) if parts else None


# ---------------------------------------------------------------------------------------------
# Which rows have which blocks


def with_mean(
    outputs: Outputs, parts: list[tuple[Outputs, Tensor | None]]
) -> list[tuple[Outputs, Tensor | None]]:
    """Add the outputs of the mean latents to those of each encoder; shares are 1 in all again.

    A row of one block has no other mean than that of its encoder.
    """
    shares = torch.stack([share for _, share in parts if share is not None])
    n_blocks = (shares > 0).sum(dim=0)
    # (..., n_samples, 1); a quotient of integers would be of single precision
    of_mean = (n_blocks > 1).to(shares.dtype) / (n_blocks + 1)
    return [*((own, times(1 - of_mean, share)) for own, share in parts), (outputs, of_mean)]


def both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Combine two masks by a logical and; None is all."""
    if first is None or second is None:
        return second if first is None else first
    return first & second


def times(weight: Tensor | None, share: Tensor | None) -> Tensor | None:
    """Multiply weights; None is 1."""
    if weight is None or share is None:
        return share if weight is None else weight
    return weight * share


def any_present(batch: Batch, sources: Sequence[str]) -> Tensor | None:
    """Return which rows have any of some blocks, of shape (n_samples, 1); None if all do."""
    found: Tensor | None = None
    for name in sources:
        own = batch.presence(name)
        if own is None:
            return None
        found = own if found is None else found | own
    return found


def of_sources(
    outputs: Outputs, batch: Batch, sources: Sequence[str]
) -> list[tuple[Outputs, Tensor | None]]:
    """Return the outputs of each encoder, and each row's share of it; 1 in all.

    Without sources, those of the one encoder, which all rows have.
    """
    if not sources:
        return [(outputs, None)]
    shares = batch.shares(sources)
    return [(outputs.sources[name], shares[name]) for name in sources]
