"""The autoencoder network: blocks -> latents -> blocks and predictor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from numbers import Integral
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from .._layers._atoms import ATOMS_MODULES
from .._layers._bounds import Bounded, is_bounded
from .._layers._convolution import CONVOLUTION_MODULES
from .._layers._dense import ACTIVATIONS, Clip, Dropout, LatentNoise, dense_stack
from .._layers._ragged import RaggedTensors
from .._layers._rotation import CanonicalEncoder
from .._tables._layout import Layout
from ..blocks import Block, DenseBlock
from ._batch import Batch

# Range of the logarithm of a latent's variance, so that its exponential is a number.
_LOG_VARIANCES = (-20.0, 10.0)


class Outputs(NamedTuple):
    """The outputs of the network for a batch.

    ``latents`` is of shape (n_samples, n_components): of variational latents, the means;
    ``blocks`` holds one tensor of shape (n_samples, layout.n_values) a block; ``prediction`` is of
    shape (n_samples, n_outputs), or None without a predictor; ``log_variance`` is of the shape of
    the latents, or None where they are points. With an encoder for each block, ``sources`` holds
    the outputs from the latents of each. Where rows are predicted from their parts,
    ``prediction_of_latents`` is the prediction from the latents of the whole row.
    """

    latents: Tensor
    blocks: dict[str, Tensor]
    prediction: Tensor | None
    log_variance: Tensor | None = None
    sources: Mapping[str, Outputs] = {}
    prediction_of_latents: Tensor | None = None


class Latents(NamedTuple):
    """The latents of rows: points, or normal densities whose entries are independent.

    Parameters
    ----------
    mean : Tensor of shape (n_samples, n_components)
    log_variance : Tensor of the same shape or None
        None of points.
    """

    mean: Tensor
    log_variance: Tensor | None = None


def make_block_encoder(name: str, block: Block, layout: Layout) -> tuple[nn.Module, int]:
    """Make the encoder of a block, with the width of its outputs, and check both.

    Raises
    ------
    ValueError
        With the name of the block, the expected and the found output.
    """
    made = _ask(name, block, "make_encoder", layout)
    parts = made if isinstance(made, tuple | list) else (made,)
    is_pair = len(parts) == 2 and isinstance(parts[1], Integral)
    if not is_pair or not isinstance(parts[0], nn.Module):
        what = ", ".join(type(part).__name__ for part in parts)
        raise ValueError(
            f"The block {name!r} ({type(block).__name__}): make_encoder must return a tuple of a "
            f"torch module and the number of its outputs, an int, but returned {what}."
        )
    encoder, n_outputs = parts[0], int(parts[1])
    _check_widths(name, block, "make_encoder", encoder, layout.n_values, n_outputs)
    if block.reads_missing and not block.reads_ragged:
        missing = torch.ones(2, layout.n_columns, dtype=torch.bool)
        _check_widths(name, block, "make_encoder", encoder, layout.n_values, n_outputs, missing)
    return encoder, n_outputs


def make_block_decoder(name: str, block: Block, layout: Layout, n_inputs: int) -> nn.Module:
    """Make the decoder of a block, and check it as ``make_block_encoder`` does."""
    made = _ask(name, block, "make_decoder", layout, n_inputs)
    if not isinstance(made, nn.Module):
        raise ValueError(
            f"The block {name!r} ({type(block).__name__}): make_decoder must return a torch "
            f"module, but returned {type(made).__name__}."
        )
    _check_widths(name, block, "make_decoder", made, n_inputs, layout.n_values)
    return made


def _ask(name: str, block: Block, method: str, *args: Layout | int) -> object:
    try:
        return getattr(block, method)(*args)
    except Exception as error:
        raise ValueError(
            f"The block {name!r} ({type(block).__name__}): {method}"
            f"({', '.join(map(str, args))}) fails: {error}"
        ) from error


def _check_widths(
    name: str,
    block: Block,
    method: str,
    module: nn.Module,
    n_given: int,
    n_promised: int,
    missing: Tensor | None = None,
) -> None:
    """Check the outputs of a block's module for two rows."""
    # a subclass of DenseBlock may make anything; of rows of several lengths, none are at hand
    if type(block) is DenseBlock or (block.reads_ragged and method == "make_encoder"):
        return
    rule = (
        f"The block {name!r} ({type(block).__name__}): the module of {method} must give the shape "
        f"(2, {n_promised}) for two rows of the shape (2, {n_given})"
    )
    try:
        with torch.no_grad():
            reads_missing = block.reads_missing and method == "make_encoder"
            others = (missing,) if reads_missing else ()
            given = module.eval()(torch.zeros(2, n_given), *others)
    except Exception as error:
        raise ValueError(f"{rule}, but fails: {error}") from error
    if not isinstance(given, Tensor):
        raise ValueError(f"{rule}, but gives {type(given).__name__}.")
    if given.shape != (2, n_promised):
        raise ValueError(f"{rule}, but gives the shape {tuple(given.shape)}.")
    module.train()


class AutoencoderModule(nn.Module):
    """A supervised autoencoder.

    Each block's encoder turns its values into inputs of a common encoder, which gives the
    latents; a common decoder and each block's decoder turn the latents back, and a predictor
    turns them into the target.

    Parameters
    ----------
    layouts : mapping of str to Layout
        Each block's layout.
    blocks : mapping of str to Block
        Each block's settings; the same keys.
    n_components : int
        Number of latents.
    hidden_layer_sizes, decoder_hidden_layer_sizes, predictor_hidden_layer_sizes : sequence of int
        Widths of the hidden layers of the encoder, the decoder and the predictor.
    activation, latent_activation : str
        Of the hidden layers and of the latents; keys of ``ACTIVATIONS``.
    dropout : float
        After each hidden layer.
    target_layout : Layout or None
        Of the target; None for no predictor.
    target_block : Block or None, default=None
        Makes the last layer of the predictor; None for a linear one.
    target_bounds : (float or None, float or None), default=(None, None)
        Bounds of the target, in its own units. ``set_target_bounds`` sets them in scaled units.
    block_dropout : float, default=0.0
        Probability that a block of a row is hidden from the encoder in training; of several
        blocks, one at least is left.
    is_variational : bool, default=False
        Whether the encoder gives a normal density of the latents, of which training draws them.

    Attributes
    ----------
    encoder_weights, weights : list of Parameter
        Weights that the L1 and the L2 penalty act on: no biases.
    block_widths : dict of str to int
        Width of the outputs of each block's encoder.
    dense_layers : list of torch.nn.Linear
        All but those in blocks of other kinds than DenseBlock.
    """

    # Whether all blocks together enter one encoder, which is told which of them are missing.
    joins_blocks: ClassVar[bool] = True

    def __init__(
        self,
        *,
        layouts: Mapping[str, Layout],
        blocks: Mapping[str, Block],
        n_components: int,
        hidden_layer_sizes: Sequence[int],
        decoder_hidden_layer_sizes: Sequence[int],
        predictor_hidden_layer_sizes: Sequence[int],
        activation: str,
        latent_activation: str,
        dropout: float,
        target_layout: Layout | None,
        target_block: Block | None = None,
        target_bounds: tuple[float | None, float | None] = (None, None),
        block_dropout: float = 0.0,
        is_variational: bool = False,
    ) -> None:
        super().__init__()
        self.layouts = dict(layouts)
        self.blocks = dict(blocks)
        self.n_components = n_components
        widths: dict[str, int] = {}
        self.block_encoders = nn.ModuleDict()
        for name, block in blocks.items():
            self.block_encoders[name], widths[name] = make_block_encoder(
                name, block, layouts[name]
            )
        self.block_widths = widths
        n_latents = 2 * n_components if is_variational else n_components

        def make_encoder(n_inputs: int) -> nn.Sequential:
            sizes = (n_inputs, *hidden_layer_sizes)
            return nn.Sequential(
                *dense_stack(sizes, activation, dropout),
                nn.Linear(sizes[-1], n_latents),
                ACTIVATIONS[latent_activation](),
            )

        self.encoder = self._make_encoders(make_encoder, widths)
        self.noise = LatentNoise() if is_variational else None

        decoder_sizes = (n_components, *decoder_hidden_layer_sizes)
        self.decoder = self._make_decoders(
            lambda: nn.Sequential(*dense_stack(decoder_sizes, activation, dropout))
        )
        self.block_decoders = nn.ModuleDict(
            {
                name: make_block_decoder(name, block, layouts[name], decoder_sizes[-1])
                for name, block in blocks.items()
            }
        )
        self.predictor: nn.Module | None = None
        of_target: set[nn.Module] = set()  # what a block of the target brings with it
        if target_layout is not None:
            predictor_sizes = (n_components, *predictor_hidden_layer_sizes)
            last: nn.Module = (
                nn.Linear(predictor_sizes[-1], target_layout.n_values)
                if target_block is None
                else make_block_decoder("y", target_block, target_layout, predictor_sizes[-1])
            )
            if target_block is not None and not isinstance(target_block, DenseBlock):
                of_target.update(last.modules())
            has_low, has_high = is_bounded(*target_bounds)
            bounded = [Bounded(target_layout.n_values, has_low, has_high)]
            self.predictor = nn.Sequential(
                *dense_stack(predictor_sizes, activation, dropout),
                last,
                *(bounded if has_low or has_high else ()),
            )
        # which blocks of a row were not measured at all, to the first layer of the encoder; 0 at
        # first, so that nothing is said by a flag that training never saw
        self.absence: nn.Linear | None = None
        several = self.joins_blocks and len(blocks) > 1
        if several:
            n_first = (*hidden_layer_sizes, n_latents)[0]
            self.absence = nn.Linear(len(blocks), n_first, bias=False)
        hides = block_dropout > 0 and several  # the only block is never hidden
        self.block_dropout = Dropout(block_dropout) if hides else None
        for name, layout in layouts.items() if hides else ():
            row = torch.zeros(layout.n_values)  # no parameter: it follows from the codec
            self.register_buffer(f"missing_{name}", row, persistent=False)

        dense: list[nn.Module] = [
            self.encoder,
            self.decoder,
            *([self.predictor] if self.predictor else []),
        ]
        for name, block in blocks.items():
            if isinstance(block, DenseBlock):
                dense += [self.block_encoders[name], self.block_decoders[name]]
        self.dense_layers = [
            layer
            for part in dense
            for layer in part.modules()
            if isinstance(layer, nn.Linear) and layer not in of_target
        ]
        if self.absence is not None:
            nn.init.zeros_(self.absence.weight)
        encoding = (self.block_encoders, self.encoder)
        self.encoder_weights = [p for part in encoding for p in part.parameters() if p.ndim > 1]
        self.weights = [p for p in self.parameters() if p.ndim > 1]

    def _make_encoders(
        self, make: Callable[[int], nn.Sequential], widths: Mapping[str, int]
    ) -> nn.Module:
        """Make the common encoder, from the outputs of the blocks' encoders to latents."""
        return make(sum(widths.values()))

    def _make_decoders(self, make: Callable[[], nn.Sequential]) -> nn.Module:
        """Make the common decoder, from latents to the inputs of the blocks' decoders."""
        return make()

    def encoder_alone(self) -> AutoencoderModule:
        """Return a copy that can encode, without the layers behind the latents."""
        copy = deepcopy(self)
        copy.decoder, copy.block_decoders, copy.predictor = nn.Identity(), nn.ModuleDict(), None
        copy.dense_layers, copy.weights = [], []  # these would hold the layers all the same
        return copy

    def set_target_bounds(self, low: Tensor, high: Tensor) -> None:
        """Set the bounds of the target, in scaled units; of shape (n_outputs,)."""
        for layer in self.predictor.modules() if self.predictor is not None else ():
            if isinstance(layer, Bounded):
                layer.set_bounds(low, high)

    def encode(self, rows: Batch) -> Tensor:
        """Return the latents of rows, (n_samples, n_components); of densities, the means."""
        return self.latents(rows).mean

    def latents(self, rows: Batch) -> Latents:
        """Return the latents of rows, or their densities."""
        return split_latents(self._encoded(rows), self.noise is not None)

    def draw(self, latents: Latents) -> Tensor:
        """Return latents of shape (n_samples, n_components): in training, drawn from densities."""
        if self.noise is None:
            return latents.mean
        return self.noise(*latents)

    def _encoded(self, rows: Batch) -> Tensor:
        """Return the outputs of the encoder, of shape (n_samples, n_latents)."""
        rows = self._visible(rows)
        inputs = [
            self.encode_block(name, own, rows.measured.get(name), rows.ragged.get(name))
            for name, own in rows.values.items()
        ]
        return self._encode_joined(inputs, self.absent_of(rows))

    def _visible(self, rows: Batch) -> Batch:
        """Return rows as the encoder sees them: in training, some blocks may be hidden."""
        if self.block_dropout is None or not self.training:
            return rows
        values, measured = self._hide_blocks(rows.values, rows.measured)
        return replace(rows, values=values, measured=measured)

    def absent_of(self, rows: Batch) -> Tensor | None:
        """Return which blocks of each row were not measured; None if the encoder takes no mask."""
        if self.absence is None or not rows.measured:
            return None
        return self._absent(rows.values, rows.measured)

    def _encode_joined(self, inputs: Sequence[Tensor], absent: Tensor | None) -> Tensor:
        """Apply the common encoder to the outputs of the blocks' encoders."""
        joined = inputs[0] if len(inputs) == 1 else torch.cat(list(inputs), dim=-1)
        if absent is None or self.absence is None:
            return self.encoder(joined)
        first, *others = self.encoder.children()
        hidden = first(joined) + self.absence(absent)
        for layer in others:
            hidden = layer(hidden)
        return hidden

    def encode_block(
        self,
        name: str,
        values: Tensor,
        measured: Tensor | None,
        ragged: Mapping[str, RaggedTensors] | None = None,
    ) -> Tensor:
        """Apply the encoder of a block to its values; of shape (n_samples, width)."""
        encoder, block = self.block_encoders[name], self.blocks[name]
        missing = None if measured is None else ~measured
        if block.reads_ragged:
            return encoder(values, missing, ragged)
        return encoder(values, missing) if block.reads_missing else encoder(values)

    def _absent(self, values: Mapping[str, Tensor], measured: Mapping[str, Tensor]) -> Tensor:
        """Return which blocks of each row were not measured, of shape (n_samples, n_blocks)."""
        like = next(iter(values.values()))
        flags = [
            like.new_zeros(like.shape[:-1])
            if name not in measured
            else (~measured[name].any(dim=-1)).to(like.dtype)
            for name in self.block_encoders
        ]
        return torch.stack(flags, dim=-1)

    def _hide_blocks(
        self, values: Mapping[str, Tensor], measured: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Hide some blocks of some rows, at random, as if they had not been measured.

        Of the blocks that a row has, one at least is left.
        """
        like = next(iter(values.values()))
        names = list(values)
        assert self.block_dropout is not None
        kept = self.block_dropout(like.new_ones((*like.shape[:-1], len(names)))) > 0
        present = self._absent(values, measured) == 0
        kept |= ~(kept & present).any(dim=-1, keepdim=True)
        hidden_values, hidden_measured = dict(values), dict(measured)
        for k, name in enumerate(names):
            own = kept[..., k : k + 1]
            n_columns = self.layouts[name].n_columns
            known = measured.get(name)
            hidden_measured[name] = (
                own.expand(*own.shape[:-1], n_columns) if known is None else known & own
            )
            missing_row = getattr(self, f"missing_{name}")
            hidden_values[name] = torch.where(own, values[name], missing_row)
        return hidden_values, hidden_measured

    def set_missing_rows(self, rows: Mapping[str, Tensor]) -> None:
        """Set the values that replace a missing block, of shape (layout.n_values,) each."""
        for name, row in rows.items() if self.block_dropout is not None else ():
            buffer = getattr(self, f"missing_{name}")
            setattr(self, f"missing_{name}", row.to(buffer))

    def decode(self, latents: Tensor) -> dict[str, Tensor]:
        """Decode latents to each block's values, of shape (n_samples, layout.n_values)."""
        hidden = run(self.decoder, latents)
        return {name: decoder(hidden) for name, decoder in self.block_decoders.items()}

    def align(self, decoded: Mapping[str, Tensor], rows: Batch) -> dict[str, Tensor]:
        """Bring decoded values to the pose of the given ones, as each block does it."""
        return {
            name: values
            if type(self.blocks[name]).align is Block.align
            else self.blocks[name].align(
                values, rows.values[name], rows.measured.get(name), self.layouts[name]
            )
            for name, values in decoded.items()
        }

    def predict(self, latents: Tensor) -> Tensor | None:
        """Predict from latents; of shape (n_samples, n_outputs)."""
        return None if self.predictor is None else self.predictor(latents)

    def encode_and_predict(self, rows: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the latents of rows and their predictions, None without a target."""
        latents = self.encode(rows)
        return latents, self.predict(latents)

    def forward(self, rows: Batch) -> Outputs:
        """Encode, decode and predict."""
        latents = self.latents(rows)
        drawn = self.draw(latents)
        return Outputs(latents.mean, self.decode(drawn), self.predict(drawn), latents.log_variance)


def run(layers: nn.Module, values: Tensor) -> Tensor:
    """Send values through layers, of which there may be none."""
    is_empty = next(layers.children(), None) is None
    return values if is_empty else layers(values)


def split_latents(encoded: Tensor, is_variational: bool) -> Latents:
    """Split an encoder's outputs, (n_samples, n_latents), into means and log variances."""
    if not is_variational:
        return Latents(encoded)
    mean, log_variance = encoded.chunk(2, dim=-1)
    return Latents(mean, log_variance.clamp(*_LOG_VARIANCES))


# Modules that need none of torch's own generators in training on the CPU.
_PLAIN = (
    nn.Linear,
    nn.Sequential,
    nn.ModuleDict,
    nn.ModuleList,
    nn.Identity,
    Clip,
    Dropout,
    LatentNoise,
    Bounded,
    *ATOMS_MODULES,
    *CONVOLUTION_MODULES,
    CanonicalEncoder,
)


def draws_from_torch(module: nn.Module, device: torch.device) -> bool:
    """Return whether a module may draw from torch's own generators in training."""
    plain = {*_PLAIN, *ACTIVATIONS.values()}
    return device.type != "cpu" or any(
        type(part) not in plain and not isinstance(part, AutoencoderModule)
        for part in module.modules()
    )
