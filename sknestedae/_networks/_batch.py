"""Encoded rows as tensors: a data set, a subset of it, or a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import joblib
import numpy as np
import torch
from torch import Tensor

from .._layers._device import to_tensor
from .._layers._ragged import RaggedTensors
from .._tables._layout import Encoded


def take_rows(tensor: Tensor, rows: int | slice | list[int] | Tensor) -> Tensor:
    """Give the rows of a slice (a view) or of an index tensor (a copy).

    An index in brackets starts all threads for each epoch's order of a few hundred rows; on a
    shared machine they wait for each other, several times longer than an epoch takes. What
    ``index_select`` does with so few rows is done by one thread.
    """
    if isinstance(rows, Tensor) and rows.dtype == torch.int64 and rows.ndim == 1:
        return tensor.index_select(0, rows.to(tensor.device))
    return tensor[rows]


@dataclass
class Batch:
    """Rows of encoded data as tensors: a whole data set, or a batch of it.

    Parameters
    ----------
    values : dict of str to Tensor of shape (n_rows, layout.n_values)
        For each block.
    measured : dict of str to Tensor of bool, shape (n_rows, layout.n_columns)
        For each block in which an entry is missing.
    target : Tensor of shape (n_rows, n_outputs) or None
    labelled : Tensor of bool, shape (n_rows, 1) or (n_rows, n_outputs), or None
        Which targets are known; None if all are.
    weight : Tensor of shape (n_rows, 1) or None
        Sample weights; None if all are 1.
    ragged : dict of str to dict of str to RaggedTensors
        For each block whose rows have several lengths, what enters its encoder beside the values.
    """

    values: dict[str, Tensor]
    measured: dict[str, Tensor] = field(default_factory=dict)
    target: Tensor | None = None
    labelled: Tensor | None = None
    weight: Tensor | None = None
    ragged: dict[str, dict[str, RaggedTensors]] = field(default_factory=dict)

    @classmethod
    def from_arrays(
        cls,
        blocks: Mapping[str, Encoded],
        target: Encoded | None,
        sample_weight: np.ndarray | None,
        device: torch.device,
    ) -> Batch:
        """Make tensors from encoded arrays.

        On the CPU they share the arrays' memory, elsewhere they are copies.
        """
        dtype = next(iter(blocks.values())).values.dtype

        def optional(array: np.ndarray | None) -> Tensor | None:
            return None if array is None else to_tensor(array, device)

        with np.errstate(over="ignore"):  # infinite in float32: training tells that it diverges
            values = None if target is None else target.values.astype(dtype)
        weight = None if sample_weight is None else sample_weight.astype(dtype)[:, None]
        return cls(
            values={name: to_tensor(block.values, device) for name, block in blocks.items()},
            measured={
                name: to_tensor(block.measured, device)
                for name, block in blocks.items()
                if block.measured is not None
            },
            target=optional(values),
            labelled=None if target is None else optional(target.measured),
            weight=optional(weight),
            ragged={
                name: {
                    part: RaggedTensors.from_arrays(own, device)
                    for part, own in block.ragged.items()
                }
                for name, block in blocks.items()
                if block.ragged
            },
        )

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def __getitem__(self, rows: int | slice | list[int] | Tensor) -> Batch:
        """Return the rows of a slice (a view) or of an index tensor (a copy)."""

        def take(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else take_rows(tensor, rows)

        return Batch(
            {name: take_rows(tensor, rows) for name, tensor in self.values.items()},
            {name: take_rows(tensor, rows) for name, tensor in self.measured.items()},
            take(self.target),
            take(self.labelled),
            take(self.weight),
            self._each_ragged(lambda own: own[rows]),
        )

    def _each_ragged(
        self, change: Callable[[RaggedTensors], RaggedTensors]
    ) -> dict[str, dict[str, RaggedTensors]]:
        """Apply a function to each input that has rows of several lengths."""
        return {
            name: {part: change(own) for part, own in parts.items()}
            for name, parts in self.ragged.items()
        }

    @property
    def device(self) -> torch.device:
        """The device that the tensors are on."""
        return next(iter(self.values.values())).device

    def to(self, device: torch.device) -> Batch:
        """Return the rows on a device; themselves where they are there."""
        if device == self.device:
            return self

        def move(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.to(device)

        return Batch(
            {name: tensor.to(device) for name, tensor in self.values.items()},
            {name: tensor.to(device) for name, tensor in self.measured.items()},
            move(self.target),
            move(self.labelled),
            move(self.weight),
            self._each_ragged(lambda own: own.to(device)),
        )

    def tensors(self) -> list[Tensor | None]:
        """Return all tensors in a fixed order."""
        measured = [self.measured.get(name) for name in self.values]
        ragged = [t for parts in self.ragged.values() for r in parts.values() for t in r.tensors()]
        return [
            *self.values.values(),
            *measured,
            self.target,
            self.labelled,
            self.weight,
            *ragged,
        ]

    @property
    def n_bytes(self) -> int:
        """Size of all tensors together."""
        return sum(t.nbytes for t in self.tensors() if t is not None)

    def key(self) -> str:
        """Return a hash of the content."""
        return joblib.hash([None if t is None else t.cpu().numpy() for t in self.tensors()])

    def presence(self, name: str) -> Tensor | None:
        """Return which rows have a measured value of a block, of shape (n_rows, 1).

        None if it is complete in all rows.
        """
        measured = self.measured.get(name)
        return None if measured is None else measured.any(dim=-1, keepdim=True)

    def has(self, name: str) -> np.ndarray:
        """Return which rows have a measured value of a block, as an array of shape (n_rows,)."""
        present = self.presence(name)
        return np.ones(len(self), bool) if present is None else present[:, 0].cpu().numpy()

    def shares(self, names: Sequence[str]) -> dict[str, Tensor]:
        """Return the share of each block in a row: 1 / (number of its blocks), or 0 if missing.

        Each is of shape (n_rows, 1).
        """
        like = self.values[names[0]][..., :1]
        present = {name: self.presence(name) for name in names}
        flags = {
            name: torch.ones_like(like) if own is None else own.to(like.dtype)
            for name, own in present.items()
        }
        total = torch.stack(list(flags.values())).sum(dim=0).clamp(min=1)
        return {name: flag / total for name, flag in flags.items()}

    def entry_weight(self, known: Tensor | None) -> Tensor | None:
        """Combine sample weights with known entries; None if every entry counts 1."""
        if known is None:
            return self.weight
        if self.weight is None:
            return known.to(next(iter(self.values.values())).dtype)
        return known * self.weight


@dataclass
class Subset(torch.utils.data.Dataset):
    """Some rows of a data set, without a copy of them.

    Parameters
    ----------
    rows : Batch
    index : Tensor of int64 or None
        Which rows, on the CPU; None for all of them.
    """

    rows: Batch
    index: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows) if self.index is None else len(self.index)

    def __getitem__(self, i: int) -> Batch:
        return self.rows[[i if self.index is None else int(self.index[i])]]
