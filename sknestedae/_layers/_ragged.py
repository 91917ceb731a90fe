"""Rows of several lengths as tensors, and sums, means and softmax over the entries of each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from .._tables._layout import Ragged
from ._device import to_tensor


class Gathered(NamedTuple):
    """The entries of some rows, behind each other.

    Parameters
    ----------
    columns : dict of str to Tensor of shape (n_entries, ...)
    row : Tensor of int64, shape (n_entries,)
        Which of the rows each entry is of; rising.
    lengths : Tensor of int64, shape (n_rows,)
        Number of entries of each row, 0 included.
    """

    columns: dict[str, Tensor]
    row: Tensor
    lengths: Tensor

    @property
    def starts(self) -> Tensor:
        """The positions at which the entries of each row begin, of shape (n_rows,)."""
        return self.lengths.cumsum(0) - self.lengths


class RaggedTensors:
    """Rows of several lengths: the entries of all of them, and the range of each row.

    Rows are taken without a copy of their entries, until ``gather`` makes one.

    Parameters
    ----------
    columns : mapping of str to Tensor of shape (n_entries, ...)
    starts, lengths : Tensor of int64, shape (n_rows,)
        Where a row's entries begin, and how many there are.
    """

    def __init__(self, columns: Mapping[str, Tensor], starts: Tensor, lengths: Tensor) -> None:
        self.columns = dict(columns)
        self.starts = starts
        self.lengths = lengths

    @classmethod
    def from_arrays(cls, ragged: Ragged, device: torch.device) -> RaggedTensors:
        """Make tensors from arrays; on the CPU they share the memory."""
        return cls(
            {name: to_tensor(column, device) for name, column in ragged.columns.items()},
            to_tensor(ragged.starts, device),
            to_tensor(ragged.lengths, device),
        )

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, rows: int | slice | list[int] | Tensor) -> RaggedTensors:
        """Return some rows, in any order and number of times."""
        return RaggedTensors(self.columns, self.starts[rows], self.lengths[rows])

    def gather(self) -> Gathered:
        """Return the entries of these rows alone, in the order of the rows."""
        row = torch.repeat_interleave(self.lengths)
        ends = self.lengths.cumsum(0)
        within = torch.arange(len(row), device=row.device) - (ends - self.lengths)[row]
        index = self.starts[row] + within
        columns = {name: column[index] for name, column in self.columns.items()}
        return Gathered(columns, row, self.lengths)

    def compact(self) -> RaggedTensors:
        """Return the same rows, with no entries of others in memory."""
        columns, _, lengths = self.gather()
        return RaggedTensors(columns, lengths.cumsum(0) - lengths, lengths)

    def without_entries(self, n_rows: int) -> RaggedTensors:
        """Return rows of this kind that have no entries, such as those of a missing block."""
        none = self.lengths.new_zeros(n_rows)
        columns = {name: column[:0] for name, column in self.columns.items()}
        return RaggedTensors(columns, none, none)

    def to(self, device: torch.device) -> RaggedTensors:
        """Return the rows on a device; themselves where they are there."""
        if device == self.lengths.device:
            return self
        own = self.compact()
        columns = {name: column.to(device) for name, column in own.columns.items()}
        return RaggedTensors(columns, own.starts.to(device), own.lengths.to(device))

    def tensors(self) -> list[Tensor]:
        """Return all tensors in a fixed order."""
        return [*self.columns.values(), self.starts, self.lengths]


# ---------------------------------------------------------------------------------------------
# Over the entries of each row


def row_sum(values: Tensor, row: Tensor, n_rows: int) -> Tensor:
    """Sum the entries of each row; a row without any has 0.

    Parameters
    ----------
    values : Tensor of shape (n_entries, n_units)
    row : Tensor of int64, shape (n_entries,)
    n_rows : int

    Returns
    -------
    Tensor of shape (n_rows, n_units)
    """
    return values.new_zeros(n_rows, values.shape[1]).index_add(0, row, values)


def row_softmax(scores: Tensor, weight: Tensor, row: Tensor, n_rows: int) -> Tensor:
    """Return softmax over the entries of each row, in which an entry counts by its weight.

    An entry of weight 2 is the same as two equal entries of weight 1, together.

    Parameters
    ----------
    scores : Tensor of shape (n_entries, n_heads)
    weight : Tensor of shape (n_entries, 1)
        Positive.
    row : Tensor of int64, shape (n_entries,)
    n_rows : int

    Returns
    -------
    Tensor of shape (n_entries, n_heads)
        1 in all for each row that has entries.
    """
    index = row[:, None].expand_as(scores)
    largest = scores.new_full((n_rows, scores.shape[1]), -torch.inf)
    largest = largest.scatter_reduce(0, index, scores.detach(), "amax")  # cancels in the quotient
    shares = (scores - largest[row]).exp() * weight
    return shares / row_sum(shares, row, n_rows)[row]
