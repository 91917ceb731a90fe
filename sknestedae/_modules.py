"""The autoencoder network: blocks -> latents -> blocks and predictor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._table import Layout
from ._torch import derive_seed
from .blocks import Block, DenseBlock

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "leaky_relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
}
# What a latent can be, of the activations that bound it.
RANGES = {
    "relu": (0.0, math.inf),
    "tanh": (-1.0, 1.0),
    "logistic": (0.0, 1.0),
    "elu": (-1.0, math.inf),
    "softplus": (0.0, math.inf),
}

INITIALIZATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "xavier_normal": nn.init.xavier_normal_,
    "xavier_uniform": nn.init.xavier_uniform_,
    "kaiming_normal": nn.init.kaiming_normal_,
    "kaiming_uniform": nn.init.kaiming_uniform_,
}


class Outputs(NamedTuple):
    """What the network gives for a batch.

    ``latents`` is of shape (n_samples, n_components); ``blocks`` holds one tensor of shape
    (n_samples, layout.n_values) a block; ``prediction`` is of shape (n_samples, n_outputs), or
    None without a predictor.
    """

    latents: Tensor
    blocks: dict[str, Tensor]
    prediction: Tensor | None


# Units whose masks of dropout are drawn together.
_MASK_UNITS = 1 << 14


class Dropout(nn.Module):
    """Dropout with a stream of masks of its own, drawn for many small batches at once.

    On a GPU torch's own dropout is used.

    Parameters
    ----------
    p : float
        Probability that a unit is dropped; rounded to a multiple of 1 / 65536.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self._generator: torch.Generator | None = None
        self._n_batches: int | None = None
        self._masks: Tensor | None = None
        self._step = 0

    def seed(self, seed: int | None, n_batches: int | None = None) -> None:
        """Begin a stream of masks; with None, one that torch's own generator draws.

        Parameters
        ----------
        seed : int or None
        n_batches : int, optional
            For how many batches masks are needed.
        """
        self._n_batches = n_batches
        if seed is None:
            self._generator = self._masks = None
            return
        if self._generator is None:
            self._generator = torch.Generator()
        self._generator.manual_seed(seed)
        self._step = 0 if self._masks is None else len(self._masks)

    def forward(self, values: Tensor) -> Tensor:
        """Drop units of (n_samples, n_units), and scale up the others, in training."""
        if not self.training:
            return values
        if values.device.type != "cpu":
            return F.dropout(values, self.p)
        if self._masks is None or len(values) > self._masks.shape[1]:
            n_steps = n_steps_of_masks(values.shape, self._n_batches)
            self._masks = values.new_empty((n_steps, *values.shape))
            self._step = n_steps
        if self._step == len(self._masks):
            draw_masks(self._masks, self.p, self._generator)
            self._step = 0
        mask = self._masks[self._step, : len(values)]
        self._step += 1
        return values * mask

    def extra_repr(self) -> str:
        """Give the parameter, for the module's repr."""
        return f"p={self.p}"


def n_steps_of_masks(shape: Sequence[int], n_batches: int | None) -> int:
    """Say for how many batches of a shape masks are drawn together, of so many if it is known."""
    n_steps = max(_MASK_UNITS // math.prod(shape), 1)
    return n_steps if n_batches is None else min(n_steps, n_batches)


def draw_masks(out: Tensor, p: float, generator: torch.Generator | None) -> None:
    """Draw which units are kept, and what they are multiplied with so that the mean stays.

    A unit is kept or dropped by 16 random bits, four units to a number that is drawn: several
    times as fast as a number for each unit.

    Parameters
    ----------
    out : Tensor of any shape, on the CPU
        To be filled.
    p : float
        Probability to be dropped.
    generator : torch.Generator or None
    """
    n_units, n_dropped = out.numel(), min(round(p * 2**16), 2**16 - 1)
    bits = torch.empty(-(-n_units // 4), dtype=torch.int64)
    bits.random_(-(2**63), None, generator=generator)
    kept = bits.view(torch.int16)[:n_units] >= n_dropped - 2**15
    torch.mul(kept.view(out.shape), out.new_tensor(2**16 / (2**16 - n_dropped)), out=out)


def seed_dropout(
    module: nn.Module, seeds: Sequence[int] | None, n_batches: int | None = None
) -> None:
    """Begin the streams of masks of a network's layers; end them with None.

    Parameters
    ----------
    module : torch.nn.Module
    seeds : sequence of int or None
        Numbers that a layer's seed is derived from, with that of the layer.
    n_batches : int, optional
        For how many batches masks are needed.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, Dropout)]
    for k, layer in enumerate(layers):
        layer.seed(None if seeds is None else derive_seed(*seeds, k), n_batches)


def dense_stack(sizes: Sequence[int], activation: str, dropout: float) -> list[nn.Module]:
    """Make hidden layers: linear, activation and, where it is not 0, dropout.

    Parameters
    ----------
    sizes : sequence of int
        Width of the input, then of each hidden layer.
    activation : str
        A key of ``ACTIVATIONS``.
    dropout : float
        Probability that a hidden unit is dropped in training.
    """
    layers: list[nn.Module] = []
    for n_inputs, n_outputs in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(n_inputs, n_outputs), ACTIVATIONS[activation]()]
        if dropout:
            layers.append(Dropout(dropout))
    return layers


def make_block_encoder(name: str, block: Block, layout: Layout) -> tuple[nn.Module, int]:
    """Let a block make its encoder, with the width of what it gives, and check both.

    Raises
    ------
    ValueError
        With the name of the block, what is promised and what came.
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


def _ask(name: str, block: Block, method: str, *args: Any) -> Any:
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
        What the L1 and the L2 penalty act on: no biases.
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


# What these do in training, they do without torch's own generators on the CPU.
_PLAIN = (nn.Linear, nn.Sequential, nn.ModuleDict, Dropout, AutoencoderModule)


def draws_from_torch(module: nn.Module, device: torch.device) -> bool:
    """Tell whether a module may draw from torch's own generators in training."""
    plain = {*_PLAIN, *ACTIVATIONS.values()}
    return device.type != "cpu" or any(type(m) not in plain for m in module.modules())


def initialize(layers: Sequence[nn.Linear], method: str) -> None:
    """Draw the weights of dense layers anew, with zero biases, from torch's generator.

    Parameters
    ----------
    layers : sequence of torch.nn.Linear
    method : str
        A key of ``INITIALIZATIONS`` (Glorot and Bengio 2010; He et al. 2015).
    """
    for layer in layers:
        INITIALIZATIONS[method](layer.weight)
        if layer.bias is not None:  # a block may make a layer without one
            nn.init.zeros_(layer.bias)
