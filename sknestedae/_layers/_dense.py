"""Dense layers: activations, initial weights, and random numbers from streams of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._device import derive_seed

# Functions of each entry on its own, without parameters, by the name that a user gives them.
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

# Range of a latent's values, for each activation that bounds them.
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

# Number of units that random numbers are drawn for at once.
_UNITS_AT_ONCE = 1 << 14


class RandomStream(nn.Module):
    """A layer with a stream of random numbers of its own, drawn for many small batches at once.

    On a GPU the layer draws from torch's own generator.

    Attributes
    ----------
    is_shared : bool
        Whether the layer is called several times in a training step. Then numbers are drawn anew
        in each call: a gradient may still need those of the call before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_shared = False
        self._stream = _Stream()

    def draw(self, out: Tensor, generator: torch.Generator | None) -> None:
        """Fill a tensor of any shape, on the CPU, with random numbers."""
        raise NotImplementedError

    def seed(self, seed: int | None, n_batches: int | None = None) -> None:
        """Begin a stream; with None, one that torch's own generator draws.

        Parameters
        ----------
        seed : int or None
        n_batches : int, optional
            For how many batches numbers are needed.
        """
        stream = self._stream
        stream.n_batches = n_batches
        if seed is None:
            stream.generator = stream.drawn = stream.array = None
            return
        if stream.generator is None:
            stream.generator = torch.Generator()
        stream.generator.manual_seed(seed)
        stream.step = 0 if stream.drawn is None else len(stream.drawn)

    def take(self, like: Tensor) -> Tensor:
        """Return the next numbers, one for each unit of (n_samples, n_units)."""
        step = self._next(like)
        assert self._stream.drawn is not None
        return self._stream.drawn[step, : len(like)]

    def take_array(self, like: np.ndarray) -> np.ndarray:
        """Return the next numbers as an array, for an array."""
        stream = self._stream
        array = stream.array
        has_any = array is not None and stream.step < len(array) and not self.is_shared
        if array is not None and has_any and len(like) <= array.shape[1]:
            step, stream.step = stream.step, stream.step + 1
        else:
            step = self._next(torch.from_numpy(like))
            assert stream.drawn is not None
            array = stream.array = stream.drawn.numpy()
        return array[step, : len(like)]

    def _next(self, like: Tensor) -> int:
        """Draw numbers where none are left; give the step that is the next one."""
        stream = self._stream
        if stream.drawn is None or len(like) > stream.drawn.shape[1]:
            n_steps = 1 if self.is_shared else n_steps_at_once(like.shape, stream.n_batches)
            stream.drawn = like.new_empty((n_steps, *like.shape))
            stream.step = n_steps
        if stream.step == len(stream.drawn):
            if self.is_shared:
                stream.drawn = torch.empty_like(stream.drawn)
            self.draw(stream.drawn, stream.generator)
            stream.step = 0
        stream.step += 1
        return stream.step - 1


class _Stream:
    """The numbers that a stream has drawn; not in the module, whose attributes are slow to set.

    Attributes
    ----------
    generator : torch.Generator or None
    n_batches : int or None
        For how many batches numbers are needed.
    drawn : Tensor of shape (n_steps, n_samples, n_units), or None
    array : ndarray or None
        The same memory.
    step : int
        The next of the steps.
    """

    def __init__(self) -> None:
        self.generator: torch.Generator | None = None
        self.n_batches: int | None = None
        self.drawn: Tensor | None = None
        self.array: np.ndarray | None = None
        self.step = 0


class Dropout(RandomStream):
    """Dropout with a stream of masks of its own; on a GPU it is torch's own.

    Parameters
    ----------
    p : float
        Probability that a unit is dropped; rounded to a multiple of 1 / 65536.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def draw(self, out: Tensor, generator: torch.Generator | None) -> None:
        """Fill a tensor with masks."""
        draw_masks(out, self.p, generator)

    def forward(self, values: Tensor) -> Tensor:
        """Drop units of (n_samples, n_units), and scale up the others, in training."""
        if not self.training:
            return values
        if values.device.type != "cpu":
            return F.dropout(values, self.p)
        return values * self.take(values)

    def extra_repr(self) -> str:
        """Return the parameter, for the module's repr."""
        return f"p={self.p}"


class Clip(nn.Module):
    """Clip numbers to a limit on either side of zero.

    Parameters
    ----------
    limit : float
        Above 0.
    """

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, values: Tensor) -> Tensor:
        """Clip values of any shape."""
        return values.clamp(-self.limit, self.limit)

    def extra_repr(self) -> str:
        """Return the parameter, for the module's repr."""
        return f"limit={self.limit:g}"


class LatentNoise(RandomStream):
    """Draw latents from normal densities, so that gradients reach mean and variance.

    The reparametrization of Kingma and Welling (2013): a mean plus a standard deviation times
    noise that depends on nothing.
    """

    def draw(self, out: Tensor, generator: torch.Generator | None) -> None:
        """Fill a tensor with standard normal numbers."""
        out.normal_(generator=generator)

    def forward(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Return latents of (n_samples, n_components): drawn in training, else the means."""
        if not self.training:
            return mean
        noise = self.take(mean) if mean.device.type == "cpu" else torch.randn_like(mean)
        return mean + (log_variance / 2).exp() * noise


def n_steps_at_once(shape: Sequence[int], n_batches: int | None) -> int:
    """Return the number of batches to draw random numbers for at once."""
    n_steps = max(_UNITS_AT_ONCE // math.prod(shape), 1)
    return n_steps if n_batches is None else min(n_steps, n_batches)


def draw_masks(out: Tensor, p: float, generator: torch.Generator | None) -> None:
    """Draw masks of dropout: 0, or the factor of a kept unit, so that the mean stays.

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
    bits = torch.empty(-(-n_units // 4), dtype=torch.int64)  # 16 bits a unit, rounded up
    bits.random_(-(2**63), None, generator=generator)
    kept = bits.numpy().view(np.int16)[:n_units] >= np.int16(n_dropped - 2**15)
    # by NumPy, several times as fast as torch where the factors are of another type
    filled = out.numpy()
    factor = filled.dtype.type(2**16 / (2**16 - n_dropped))
    np.multiply(kept.reshape(filled.shape), factor, out=filled)


def seed_streams(
    module: nn.Module, seeds: Sequence[int] | None, n_batches: int | None = None
) -> None:
    """Begin the streams of random numbers of a network's layers; end them with None.

    Parameters
    ----------
    module : torch.nn.Module
    seeds : sequence of int or None
        Numbers that a layer's seed is derived from, with that of the layer.
    n_batches : int, optional
        For how many batches numbers are needed.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, RandomStream)]
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
