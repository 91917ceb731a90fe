"""Batches of many networks: each network's own rows, in its own order, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .._layers._device import epoch_seed
from .._networks._batch import Batch, Subset


@dataclass
class StackedBatches:
    """Batches of all networks for some steps.

    Parameters
    ----------
    rows : Batch
        Tensors of shape (n_steps, n_networks, batch_size, n_columns). Where a batch has fewer
        rows, the last ones have the weight 0.
    is_full : list of bool
        For each step, whether all batches are full and all weights 1.
    share : Tensor of shape (n_steps, n_networks)
        Number of rows of a network by those of its batch.
    """

    rows: Batch
    is_full: list[bool]
    share: Tensor

    def __len__(self) -> int:
        return len(self.is_full)

    def __getitem__(self, step: int) -> Batch:
        """Return the batches of one step."""
        rows = self.rows[step]
        return replace(rows, weight=None) if self.is_full[step] else rows


class BatchSampler:
    """The rows in the batches of a network: those of its own fit, in its order.

    Parameters
    ----------
    subset : Subset
    seed : int
        Of the net.
    first_epoch : int
        Number of epochs before this fit.
    shuffle : bool
    batch_size : int
    """

    def __init__(
        self, subset: Subset, seed: int, first_epoch: int, shuffle: bool, batch_size: int
    ) -> None:
        self.n_rows = len(subset)
        self.n_batches = -(-self.n_rows // batch_size)
        self._index = None if subset.index is None else subset.index.numpy()
        self._seed = seed
        self._first_epoch = first_epoch
        self._shuffle = shuffle
        self.batch_size = batch_size
        self._epoch = -1
        self._order = np.empty((0, batch_size), dtype=np.int64)

    def fill(self, out: np.ndarray, step: int, generator: torch.Generator) -> None:
        """Write the rows of the next batches, -1 where a batch has no more.

        Parameters
        ----------
        out : ndarray of int64, shape (n_steps, batch_size)
        step : int
            Number of batches before.
        generator : torch.Generator
            To be seeded.
        """
        done = 0
        while done < len(out):  # the steps may reach over the ends of epochs
            epoch, start = divmod(step + done, self.n_batches)
            order = self._order_of(epoch, generator)
            part = order[start : start + len(out) - done]
            out[done : done + len(part)] = part
            done += len(part)

    def _order_of(self, epoch: int, generator: torch.Generator) -> np.ndarray:
        """Return the rows of an epoch's batches, of shape (n_batches, batch_size)."""
        if epoch != self._epoch:
            padded = np.full(self.n_batches * self.batch_size, -1, dtype=np.int64)
            order: np.ndarray = np.arange(self.n_rows)
            if self._shuffle:
                generator.manual_seed(epoch_seed(self._seed, self._first_epoch + epoch + 1))
                order = torch.randperm(self.n_rows, generator=generator).numpy()
            padded[: self.n_rows] = order if self._index is None else self._index[order]
            self._epoch, self._order = epoch, padded.reshape(-1, self.batch_size)
        return self._order


def gather(tables: Sequence[Batch], index: np.ndarray) -> Batch:
    """Take rows of each network's table, where networks may share tables.

    Parameters
    ----------
    tables : sequence of Batch
        One a network.
    index : ndarray of int64, shape (..., n_networks, batch_size)
        Which rows; -1 for none.

    Returns
    -------
    Batch
        Tensors of shape (..., n_networks, batch_size, n_columns). Rows of -1 have the weight 0;
        there are weights if there are such rows, or if a table has weights.
    """
    first, device = tables[0], tables[0].device
    networks: dict[int, list[int]] = {}  # of each distinct table, which networks learn from it
    for k, table in enumerate(tables):
        networks.setdefault(id(table), []).append(k)
    is_missing = index < 0
    where = torch.from_numpy(np.where(is_missing, 0, index)).to(device)

    def take(of_tables: list[Tensor | None]) -> Tensor | None:
        """Gather a tensor of every table: 1 in a table without it, None where all are without."""
        like = next((tensor for tensor in of_tables if tensor is not None), None)
        if like is None:
            return None
        if len(networks) == 1:
            return like[where]  # (..., n_networks, batch_size, n_columns)
        out = torch.ones((*index.shape, like.shape[1]), dtype=like.dtype, device=device)
        for own in networks.values():
            tensor = of_tables[own[0]]
            if tensor is not None:
                out[..., own, :, :] = tensor[where[..., own, :]]
        return out

    values, measured = {}, {}
    for name in first.values:
        values[name] = take([table.values[name] for table in tables])
        measured[name] = take([table.measured.get(name) for table in tables])
    weight = take([table.weight for table in tables])
    if is_missing.any():
        kept = torch.from_numpy(~is_missing).to(device)[..., None]
        dtype = next(iter(first.values.values())).dtype
        weight = kept.to(dtype) if weight is None else weight * kept
    return Batch(
        {name: tensor for name, tensor in values.items() if tensor is not None},
        {name: tensor for name, tensor in measured.items() if tensor is not None},
        take([table.target for table in tables]),
        take([table.labelled for table in tables]),
        weight,
    )


def stack_batches(
    tables: Sequence[Batch], samplers: Sequence[BatchSampler], step: int, n_steps: int
) -> StackedBatches:
    """Gather the batches of all networks for some steps.

    Parameters
    ----------
    tables : sequence of Batch
        One a network.
    samplers : sequence of BatchSampler
        One a network.
    step : int
        Number of steps before.
    n_steps : int
        For how many steps.
    """
    batch_size = samplers[0].batch_size
    index = np.empty((len(tables), n_steps, batch_size), dtype=np.int64)
    generator = torch.Generator()
    for out, sampler in zip(index, samplers, strict=True):
        sampler.fill(out, step, generator)
    index = np.ascontiguousarray(index.swapaxes(0, 1))  # (n_steps, n_networks, batch_size)
    n_rows = np.array([sampler.n_rows for sampler in samplers])
    lengths = (index >= 0).sum(axis=2)  # (n_steps, n_networks)
    has_weights = any(table.weight is not None for table in tables)
    like = next(iter(tables[0].values.values()))
    return StackedBatches(
        gather(tables, index),
        [not has_weights and bool((own == batch_size).all()) for own in lengths],
        torch.as_tensor(n_rows / lengths, dtype=like.dtype, device=like.device),
    )
