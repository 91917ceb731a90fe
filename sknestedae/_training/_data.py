"""Batches of a data set in memory, in the place of torch's DataLoader."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch

from .._networks._batch import Batch, Subset
from .._tables._layout import Layout

# Entries gathered at once, of one network or of a stack: large enough that the cost of the call is
# spread over many small batches, small enough that the copy is nothing beside a large table.
CHUNK_ENTRIES = 1 << 20

# Rows that pass through the network at once where nothing is learnt from them, and values. Those
# of arrays count several times, as they become many channels in convolutions.
CHUNK_ROWS = 16_384
_CHUNK_VALUES = 1 << 22
_ARRAY_COUNT = 4


def rows_at_once(layouts: Iterable[Layout]) -> int:
    """Return the number of rows that pass through the network at once outside of training.

    Parameters
    ----------
    layouts : iterable of Layout
        Of the blocks, and of the target.
    """
    width = sum(layout.n_values * (_ARRAY_COUNT if layout.shape else 1) for layout in layouts)
    return min(CHUNK_ROWS, max(_CHUNK_VALUES // max(width, 1), 1))


class TensorIterator:
    """Slice batches from tensors in memory; skorch takes it in the place of a DataLoader.

    Shuffled rows are gathered many batches at a time, and batches are views of that.

    Parameters
    ----------
    dataset : Subset
    batch_size : int
    shuffle : bool, default=False
    generator : torch.Generator, optional
        Of the order, which the net seeds for each epoch; by default torch's own.
    """

    def __init__(
        self,
        dataset: Subset,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator

    def __len__(self) -> int:
        return math.ceil(len(self.dataset) / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for chunk in self.chunks():
            for start in range(0, len(chunk), self.batch_size):
                yield chunk[start : start + self.batch_size]

    def chunks(self) -> Iterator[Batch]:
        """Yield the rows of many batches at once, in their order."""
        rows, order, n_rows = self.dataset.rows, self.dataset.index, len(self.dataset)
        if self.shuffle:
            # drawn on the CPU, so that the order is the same on every device
            permutation = torch.randperm(n_rows, generator=self.generator)
            order = permutation if order is None else order[permutation]
        width = sum(tensor[0].numel() for tensor in rows.values.values())
        step = max(CHUNK_ENTRIES // (width * self.batch_size), 1) * self.batch_size
        for start in range(0, n_rows, step):
            # one gather for many batches, as its call costs more than to copy a small batch
            own = slice(start, start + step)
            yield rows[own if order is None else order[own].to(rows.device)]
