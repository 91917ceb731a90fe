"""The dual network: an encoder and a decoder for each block, and one latent space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .._layers._dense import RandomStream
from ._autoencoder import AutoencoderModule, Latents, Outputs, run, split_latents
from ._batch import Batch
from ._parts import PartsModule, blocks_of_parts


class DualModule(AutoencoderModule):
    """An autoencoder with an encoder and a decoder for each block, and one latent space.

    The latents of a row are the mean over the blocks that were measured. All else is as in
    AutoencoderModule.

    Parameters
    ----------
    is_separated : bool
        Whether each block has a latent space of its own. That of the first block is the common
        one; ``set_maps`` says how the others lie in it.
    **architecture
        Of AutoencoderModule.
    """

    joins_blocks: ClassVar[bool] = False
    encoder: nn.ModuleDict
    decoder: nn.ModuleDict

    def __init__(self, *, is_separated: bool, **architecture: Any) -> None:
        super().__init__(**architecture)
        of_parts = blocks_of_parts(self.blocks)
        if of_parts:
            raise ValueError(
                "per_atom=True needs one encoder for all blocks of a row; where each has its "
                f"own, the block {of_parts[0]!r} must have per_atom=False."
            )
        self.is_separated = is_separated
        for part in self.modules():
            if isinstance(part, RandomStream):  # a decoder is called for each kind
                part.is_shared = True
        _, *others = self.blocks
        for name in others if is_separated else ():
            # slopes, and behind them the offset; no parameters: they follow from the pairs
            same = torch.eye(self.n_components + 1, self.n_components)
            self.register_buffer(f"to_common_{name}", same, persistent=False)
            self.register_buffer(f"from_common_{name}", same.clone(), persistent=False)

    def _make_encoders(
        self, make: Callable[[int], nn.Sequential], widths: Mapping[str, int]
    ) -> nn.ModuleDict:
        return nn.ModuleDict({name: make(width) for name, width in widths.items()})

    def _make_decoders(self, make: Callable[[], nn.Sequential]) -> nn.ModuleDict:
        return nn.ModuleDict({name: make() for name in self.blocks})

    def set_maps(self, to_common: Mapping[str, Tensor], from_common: Mapping[str, Tensor]) -> None:
        """Set the linear maps between each block's latents, but the first's, and the common space.

        Each is of shape (n_components + 1, n_components): slopes, and behind them the offset.
        """
        for kind, maps in (("to", to_common), ("from", from_common)):
            for name, matrix in maps.items():
                buffer = getattr(self, f"{kind}_common_{name}")
                setattr(self, f"{kind}_common_{name}", matrix.to(buffer))

    def map(self, name: str, direction: str) -> Tensor | None:
        """Return the map of a block's latents "to" the common space or "from" it; None if same."""
        return getattr(self, f"{direction}_common_{name}", None)

    # -- one block

    def latents_of(self, rows: Batch, name: str) -> Latents:
        """Return the latents of rows from one block alone, in the space of its own."""
        values = self.encode_block(
            name, rows.values[name], rows.measured.get(name), rows.ragged.get(name)
        )
        return split_latents(self.encoder[name](values), self.noise is not None)

    def common_latents_of(self, rows: Batch, name: str) -> Latents:
        """Return the latents of rows from one block alone, in the common space."""
        return moved(self.latents_of(rows, name), self.map(name, "to"))

    def decode_own(self, name: str, latents: Tensor) -> Tensor:
        """Return a block's values, (n_samples, layout.n_values), of latents in its own space."""
        return self.block_decoders[name](run(self.decoder[name], latents))

    def decode_block(self, name: str, latents: Tensor) -> Tensor:
        """Decode latents in the common space to a block's values."""
        return self.decode_own(name, moved(Latents(latents), self.map(name, "from")).mean)

    # -- all blocks

    def latents(self, rows: Batch) -> Latents:
        """Return the means, over the blocks that each row has, of latents and of variances.

        Rows without any block have latents of 0.
        """
        return self.mean_of({name: self.latents_of(rows, name) for name in self.blocks}, rows)

    def mean_of(self, found: Mapping[str, Latents], rows: Batch) -> Latents:
        """Return the mean, over the blocks of each row, of the latents from each block."""
        shares = rows.shares(list(found))
        common = {name: moved(own, self.map(name, "to")) for name, own in found.items()}
        mean = _sum([shares[name] * own.mean for name, own in common.items()])
        variances = [
            shares[name] * own.log_variance.exp()
            for name, own in common.items()
            if own.log_variance is not None
        ]
        if not variances:
            return Latents(mean)
        return Latents(mean, _sum(variances).clamp(min=torch.finfo(mean.dtype).tiny).log())

    def decode(self, latents: Tensor) -> dict[str, Tensor]:
        """Return each block's values, of shape (n_samples, layout.n_values), of latents."""
        return {name: self.decode_block(name, latents) for name in self.blocks}

    def forward(self, rows: Batch) -> Outputs:
        """Encode each block by itself; decode and predict from each, and from the mean."""
        latents = {name: self.latents_of(rows, name) for name in self.blocks}
        drawn = {name: self.draw(own) for name, own in latents.items()}
        first, *_ = self.blocks
        sources = {}
        for name, z in drawn.items():
            targets = (name,) if self.is_separated else self.blocks
            predicts = name == first or not self.is_separated
            sources[name] = Outputs(
                latents[name].mean,
                {target: self.decode_own(target, z) for target in targets},
                self.predict(z) if predicts else None,
                latents[name].log_variance,
            )
        return DualOutputs(self, rows, latents, sources)  # type: ignore[return-value]


class DualOutputs:
    """The outputs of the dual network for a batch, as ``Outputs`` has them.

    The outputs from the mean of the latents are computed on request; training does not need them.

    Parameters
    ----------
    module : DualModule
    rows : Batch
    found : mapping of str to Latents
        From each block alone.
    sources : mapping of str to Outputs
        What these give.
    """

    def __init__(
        self,
        module: DualModule,
        rows: Batch,
        found: Mapping[str, Latents],
        sources: Mapping[str, Outputs],
    ) -> None:
        self._module, self._rows, self._found = module, rows, found
        self.sources = sources

    @cached_property
    def _mean(self) -> Latents:
        return self._module.mean_of(self._found, self._rows)

    @property
    def latents(self) -> Tensor:
        """The mean of the latents, of shape (n_samples, n_components)."""
        return self._mean.mean

    @property
    def log_variance(self) -> Tensor | None:
        """The logarithm of the mean variance, of the shape of the latents; None of points."""
        return self._mean.log_variance

    @cached_property
    def blocks(self) -> dict[str, Tensor]:
        """Each block's values, of shape (n_samples, layout.n_values)."""
        return self._module.decode(self.latents)

    @cached_property
    def prediction(self) -> Tensor | None:
        """The prediction, of shape (n_samples, n_outputs), or None without a predictor."""
        return self._module.predict(self.latents)


def moved(latents: Latents, map_: Tensor | None) -> Latents:
    """Return latents, moved by slopes and an offset; variances as of independent latents."""
    if map_ is None:
        return latents
    slopes, offset = map_[:-1], map_[-1]
    mean = latents.mean @ slopes + offset
    if latents.log_variance is None:
        return Latents(mean)
    variance = latents.log_variance.exp() @ slopes.square()
    return Latents(mean, variance.clamp(min=torch.finfo(mean.dtype).tiny).log())


def _sum(tensors: list[Tensor]) -> Tensor:
    return sum(tensors[1:], tensors[0])


def make_module(architecture: Mapping[str, Any]) -> AutoencoderModule:
    """Build the network that an architecture is of.

    It is a dual one if it has a setting for spaces, and one of parts if a block has parts.
    """
    if "is_separated" in architecture:
        return DualModule(**architecture)
    if blocks_of_parts(architecture["blocks"]):
        return PartsModule(**architecture)
    return AutoencoderModule(**architecture)
