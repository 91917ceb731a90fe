"""An autoencoder in which each part of a row, such as an atom, has latents and a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .._layers._dense import Dropout
from .._layers._ragged import row_sum
from ..blocks import Block
from ._autoencoder import AutoencoderModule, Latents, Outputs, split_latents
from ._batch import Batch


class Parts(NamedTuple):
    """The latents of the parts of rows.

    Parameters
    ----------
    latents : Latents
        Of shape (n_parts, n_components).
    row : Tensor of int64, shape (n_parts,)
        Which row each part is of.
    share : Tensor of shape (n_parts, 1)
        How much each counts in its row; 1 in all.
    n_rows : int
    """

    latents: Latents
    row: Tensor
    share: Tensor
    n_rows: int

    def mean(self, values: Tensor) -> Tensor:
        """Average over the parts of each row, of shape (n_rows, n_units)."""
        return row_sum(values * self.share, self.row, self.n_rows)


class PartsModule(AutoencoderModule):
    """A supervised autoencoder whose rows are made of parts.

    The common encoder takes each part together with the inputs of the whole row, and the latents
    of a row are the mean over its parts. So is its prediction, and the share of each part in it is
    exact. The latents of the row must predict the same: other stages, a search of latents and the
    decoder know nothing else.

    Parameters
    ----------
    **architecture
        As of AutoencoderModule. One of the blocks has parts.

    Raises
    ------
    ValueError
        If several blocks have parts.
    """

    def __init__(self, **architecture: Any) -> None:
        super().__init__(**architecture)
        names = blocks_of_parts(self.blocks)
        if len(names) > 1:
            raise ValueError(
                f"per_atom=True is possible for one block, whose parts then make up a row; the "
                f"blocks {names} have it."
            )
        self.of_parts = names[0]
        for layer in self.modules():
            if isinstance(layer, Dropout):  # called for parts, whose number varies, and for rows
                layer.is_shared = True

    def parts(self, rows: Batch) -> Parts:
        """Return the latents of the parts of rows."""
        rows = self._visible(rows)
        name = self.of_parts
        known = rows.measured.get(name)
        found = self.block_encoders[name].parts(  # type: ignore[operator]
            rows.values[name], None if known is None else ~known, rows.ragged[name]
        )
        inputs = [
            found.values
            if other == name
            else self.encode_block(other, own, rows.measured.get(other), rows.ragged.get(other))[
                found.row
            ]
            for other, own in rows.values.items()
        ]
        absent = self.absent_of(rows)
        encoded = self._encode_joined(inputs, None if absent is None else absent[found.row])
        latents = split_latents(encoded, self.noise is not None)
        return Parts(latents, found.row, found.share, len(rows))

    def latents(self, rows: Batch) -> Latents:
        """Return the mean of the latents over the parts of each row, and of their variances."""
        return _mean_latents(self.parts(rows))

    def encode_and_predict(self, rows: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the latents of rows, and the mean over parts of their predictions."""
        parts = self.parts(rows)
        of_parts = self.predict(parts.latents.mean)
        prediction = None if of_parts is None else parts.mean(of_parts)
        return parts.mean(parts.latents.mean), prediction

    def forward(self, rows: Batch) -> Outputs:
        """Encode, decode and predict."""
        parts = self.parts(rows)
        latents = _mean_latents(parts)
        drawn = self.draw(latents)
        prediction = self.predict(parts.latents.mean + (drawn - latents.mean)[parts.row])
        return Outputs(
            latents.mean,
            self.decode(drawn),
            None if prediction is None else parts.mean(prediction),
            latents.log_variance,
            prediction_of_latents=self.predict(drawn),
        )


def _mean_latents(parts: Parts) -> Latents:
    mean, log_variance = parts.latents
    if log_variance is None:
        return Latents(parts.mean(mean))
    least = torch.finfo(log_variance.dtype).tiny
    return Latents(parts.mean(mean), parts.mean(log_variance.exp()).clamp(min=least).log())


def blocks_of_parts(blocks: Mapping[str, Block]) -> list[str]:
    """Name the blocks whose parts have latents of their own."""
    return [name for name, block in blocks.items() if block.per_atom]
