"""The autoencoder network: blocks -> latents -> blocks and predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .._layers._dense import ACTIVATIONS, Dropout, dense_stack
from .._tables._layout import Layout
from ..blocks import Block, DenseBlock


class Outputs(NamedTuple):
    """The outputs of the network for a batch.

    ``latents`` is of shape (n_samples, n_components); ``blocks`` holds one tensor of shape
    (n_samples, layout.n_values) a block; ``prediction`` is of shape (n_samples, n_outputs), or
    None without a predictor.
    """

    latents: Tensor
    blocks: dict[str, Tensor]
    prediction: Tensor | None


def make_block_encoder(name: str, block: Block, layout: Layout) -> tuple[nn.Module, int]:
    """Let a block make its encoder, with the width of what it gives, and check both.

    Raises
    ------
    ValueError
        With the name of the block, its promise and what came instead.
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
    return encoder, n_outputs


def make_block_decoder(name: str, block: Block, layout: Layout, n_inputs: int) -> nn.Module:
    """Let a block make its decoder, and check it as ``make_block_encoder`` does."""
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
    name: str, block: Block, method: str, module: nn.Module, n_given: int, n_promised: int
) -> None:
    """Send two rows through a module of a block, and compare with what the block promised."""
    if type(block) is DenseBlock:  # a subclass may make anything
        return
    rule = (
        f"The block {name!r} ({type(block).__name__}): the module of {method} must give the shape "
        f"(2, {n_promised}) for two rows of the shape (2, {n_given})"
    )
    try:
        with torch.no_grad():
            given = module.eval()(torch.zeros(2, n_given))
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
    n_outputs : int
        Width of the prediction; 0 for no predictor.

    Attributes
    ----------
    encoder_weights, weights : list of Parameter
        Weights that the L1 and the L2 penalty act on: no biases.
    dense_layers : list of torch.nn.Linear
        All but what blocks of other kinds than DenseBlock bring with them.
    """

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
        n_outputs: int,
    ) -> None:
        super().__init__()
        widths = {}
        self.block_encoders = nn.ModuleDict()
        for name, block in blocks.items():
            self.block_encoders[name], widths[name] = make_block_encoder(
                name, block, layouts[name]
            )
        encoder_sizes = (sum(widths.values()), *hidden_layer_sizes)
        self.encoder = nn.Sequential(
            *dense_stack(encoder_sizes, activation, dropout),
            nn.Linear(encoder_sizes[-1], n_components),
            ACTIVATIONS[latent_activation](),
        )

        decoder_sizes = (n_components, *decoder_hidden_layer_sizes)
        self.decoder = nn.Sequential(*dense_stack(decoder_sizes, activation, dropout))
        self.block_decoders = nn.ModuleDict(
            {
                name: make_block_decoder(name, block, layouts[name], decoder_sizes[-1])
                for name, block in blocks.items()
            }
        )
        self.predictor: nn.Module | None = None
        if n_outputs:
            predictor_sizes = (n_components, *predictor_hidden_layer_sizes)
            self.predictor = nn.Sequential(
                *dense_stack(predictor_sizes, activation, dropout),
                nn.Linear(predictor_sizes[-1], n_outputs),
            )

        dense: list[nn.Module] = [
            self.encoder,
            self.decoder,
            *([self.predictor] if self.predictor else []),
        ]
        for name, block in blocks.items():
            if isinstance(block, DenseBlock):
                dense += [self.block_encoders[name], self.block_decoders[name]]
        self.dense_layers = [
            layer for part in dense for layer in part.modules() if isinstance(layer, nn.Linear)
        ]
        encoding = (self.block_encoders, self.encoder)
        self.encoder_weights = [p for part in encoding for p in part.parameters() if p.ndim > 1]
        self.weights = [p for p in self.parameters() if p.ndim > 1]

    def encode(self, values: Mapping[str, Tensor]) -> Tensor:
        """Give the latents, of shape (n_samples, n_components), of each block's values."""
        inputs = [encoder(values[name]) for name, encoder in self.block_encoders.items()]
        return self.encoder(inputs[0] if len(inputs) == 1 else torch.cat(inputs, dim=-1))

    def decode(self, latents: Tensor) -> dict[str, Tensor]:
        """Give each block's values, of shape (n_samples, layout.n_values), of latents."""
        hidden = self.decoder(latents) if len(self.decoder) else latents
        return {name: decoder(hidden) for name, decoder in self.block_decoders.items()}

    def predict(self, latents: Tensor) -> Tensor | None:
        """Give the prediction, of shape (n_samples, n_outputs), of latents."""
        return None if self.predictor is None else self.predictor(latents)

    def forward(self, values: Mapping[str, Tensor]) -> Outputs:
        """Encode, decode and predict."""
        latents = self.encode(values)
        return Outputs(latents, self.decode(latents), self.predict(latents))


# Modules that need none of torch's own generators in training on the CPU.
_PLAIN = (nn.Linear, nn.Sequential, nn.ModuleDict, Dropout, AutoencoderModule)


def draws_from_torch(module: nn.Module, device: torch.device) -> bool:
    """Tell whether a module may draw from torch's own generators in training."""
    plain = {*_PLAIN, *ACTIVATIONS.values()}
    return device.type != "cpu" or any(type(m) not in plain for m in module.modules())
