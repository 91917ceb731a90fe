"""The network of a chain: the modules of its stages, and the latents between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from .._layers._device import torch_dtype
from .._tables._encoder import TableEncoder
from ._autoencoder import AutoencoderModule, Outputs
from ._batch import Batch


@dataclass
class LatentColumns:
    """The positions of one stage's latents in the values of the next.

    Parameters
    ----------
    block : str
    index : Tensor of int64, shape (n_components,)
        Positions among the block's values.
    mean, scale : Tensor of shape (n_components,)
        By which the next stage's table scales them.
    """

    block: str
    index: Tensor
    mean: Tensor
    scale: Tensor

    @classmethod
    def of(cls, table: TableEncoder, n_components: int, device: torch.device) -> LatentColumns:
        """Find the latents, which are the table's last columns."""
        first = table.n_features - n_components
        for block, (numeric, _) in table.columns.items():  # noqa: B007
            index = [i for i, j in enumerate(numeric) if j >= first]
            if len(index) == n_components:
                break
        else:
            raise ValueError(
                "All latents of the stage before must be in one block of numbers; leave them out "
                "of 'blocks' and 'categorical_features'."
            )
        mean, scale = (
            torch.as_tensor(array, dtype=torch_dtype(table.dtype), device=device)
            for array in table.affine([numeric[i] for i in index])
        )
        return cls(block, torch.tensor(index, device=device), mean, scale)

    def put(self, rows: Batch, latents: Tensor) -> Batch:
        """Return a stage's rows with these latents, where a row has any."""
        values = rows.values[self.block]
        scaled = (latents.to(values.dtype) - self.mean) / self.scale
        measured = rows.measured.get(self.block)
        if measured is not None:  # numbers come first among columns, as among values
            scaled = torch.where(measured[:, self.index], scaled, values[:, self.index])
        placed = values.index_copy(1, self.index, scaled)
        return replace(rows, values={**rows.values, self.block: placed})

    def get(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return the latents that a stage's values, such as decoded ones, hold."""
        return values[self.block].index_select(1, self.index) * self.scale + self.mean


class Chain(nn.Module):
    """The modules of all stages, as one module that sends rows through them.

    Parameters
    ----------
    modules : sequence of AutoencoderModule
    latent_columns : sequence of LatentColumns
        For each stage but the first.
    """

    def __init__(
        self, modules: Sequence[AutoencoderModule], latent_columns: Sequence[LatentColumns]
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(modules)
        self.latent_columns = list(latent_columns)

    def forward(self, parts: Sequence[Batch]) -> tuple[Outputs, Batch]:
        """Send rows through the stages up to their own.

        Parameters
        ----------
        parts : sequence of Batch
            The same rows as each of the stages sees them, up to the rows' own stage.

        Returns
        -------
        outputs : Outputs
            Of the last of these stages.
        rows : Batch
            As that stage is given them.
        """
        *_, rows = self.iter_rows(parts)
        return self.stages[len(parts) - 1](rows), rows

    def iter_rows(self, parts: Sequence[Batch]) -> Iterator[Batch]:
        """Yield the rows as each stage is given them, of all up to the rows' own stage."""
        given = parts[0]
        yield given
        for k, rows in enumerate(parts[1:]):
            given = self.latent_columns[k].put(rows, self.stages[k].encode(given))  # type: ignore[operator]
            yield given
