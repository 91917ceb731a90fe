"""Vectorized networks: the modules of many as one, with a first dimension over networks.

Modules that the package makes itself become batched products; others go through torch's own
vectorizing map. The output of a stacked module for one network is that of its own module.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._layers._bounds import Bounded
from .._layers._dense import (
    ACTIVATIONS,
    Clip,
    Dropout,
    LatentNoise,
    RandomStream,
    n_steps_at_once,
)
from ._autoencoder import AutoencoderModule
from ._dual import DualModule


class StackedLinear(nn.Module):
    """The linear layers of many networks, from (n_networks, n_samples, n_inputs).

    Parameters
    ----------
    layers : sequence of torch.nn.Linear
        Of one shape.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = stack_parameters([layer.weight for layer in layers])
        self.bias = (
            None if layers[0].bias is None else stack_parameters([la.bias for la in layers])
        )

    def forward(self, values: Tensor) -> Tensor:
        """Return outputs of shape (n_networks, n_samples, n_outputs)."""
        if self.weight.shape[1] == 1:  # one output: products of vectors, which bmm is slow at
            # (n_networks, n_samples, n_inputs) * (n_networks, 1, n_inputs)
            outputs = (values * self.weight).sum(dim=-1, keepdim=True)
            return outputs if self.bias is None else outputs + self.bias.unsqueeze(1)
        weight = self.weight.transpose(1, 2)  # (n_networks, n_inputs, n_outputs)
        if self.bias is None:
            return torch.bmm(values, weight)
        return torch.baddbmm(self.bias.unsqueeze(1), values, weight)


class _Ahead:
    """The number of steps that all networks of a stream take together; not a module's attributes.

    Attributes
    ----------
    n_left : int
        So many.
    n_after : int
        Number of steps that have been drawn, or have room, behind them.
    """

    def __init__(self) -> None:
        self.n_left = 0
        self.n_after = 0


class StackedStream(nn.Module):
    """Layers of many networks with random numbers, each with the stream of a single fit.

    Parameters
    ----------
    layers : sequence of RandomStream
    """

    def __init__(self, layers: Sequence[RandomStream]) -> None:
        super().__init__()
        self.draws = np.array([layer.draw for layer in layers], dtype=object)
        self.is_shared = layers[0].is_shared  # then new memory is taken in each call
        self._generators = np.array([torch.Generator() for _ in layers])
        self._n_batches = np.zeros(len(layers), dtype=int)
        self._n_steps = np.zeros(len(layers), dtype=int)
        self._step = np.zeros(len(layers), dtype=int)  # -1: numbers are to be drawn
        self._drawn = torch.empty(0)
        self._ahead = _Ahead()

    def seed(self, networks: np.ndarray, seeds: Sequence[int], n_batches: np.ndarray) -> None:
        """Begin the streams of some networks, for as many batches as they have in an epoch."""
        self._go_back()
        for generator, seed in zip(self._generators[networks], seeds, strict=True):
            generator.manual_seed(seed)
        self._n_batches[networks] = n_batches
        self._step[networks] = -1

    def select(self, networks: np.ndarray) -> None:
        """Go on with some of the networks."""
        self._go_back()
        self.draws = self.draws[networks]
        self._generators = self._generators[networks]
        self._n_batches = self._n_batches[networks]
        self._n_steps = self._n_steps[networks]
        self._step = self._step[networks]
        if self._drawn.numel():  # on a GPU torch draws them
            self._drawn = self._drawn[networks]

    def take(self, like: Tensor) -> Tensor:
        """Return the next numbers, one for each of (n_networks, n_samples, n_units)."""
        ahead = self._ahead
        if not ahead.n_left:
            self._draw(like)
        if ahead.n_left:
            ahead.n_left -= 1
            return self._drawn[:, -1 - ahead.n_left - ahead.n_after]
        drawn = self._drawn[np.arange(len(like)), self._step]
        np.add(self._step, 1, out=self._step)
        return drawn

    def take_array(self, like: np.ndarray) -> np.ndarray:
        """Return the next numbers as an array, for an array."""
        return self.take(torch.from_numpy(like)).numpy()

    def _draw(self, like: Tensor) -> None:
        """Draw numbers for the networks that have none left.

        Where all are at the same step, they are taken ahead together, without a look at each.
        """
        if (self._step < 0).any():
            self._make_room(like)
        if self.is_shared:
            self._drawn = torch.empty_like(self._drawn)
        for k in np.flatnonzero((self._step < 0) | (self._step == self._n_steps)):
            self.draws[k](self._drawn[k, : self._n_steps[k]], self._generators[k])
            self._step[k] = 0
        if (self._step == self._step[0]).all():
            end = int(self._n_steps.min())
            self._ahead.n_left = end - int(self._step[0])
            self._ahead.n_after = self._drawn.shape[1] - end
            self._step[:] = end

    def _go_back(self) -> None:
        """Count the steps of each network again."""
        np.subtract(self._step, self._ahead.n_left, out=self._step)
        self._ahead.n_left = 0

    def _make_room(self, like: Tensor) -> None:
        """Make room for numbers of (n_networks, n_steps, n_samples, n_units), once."""
        shape = like.shape[1:]
        self._n_steps = np.array(
            [1 if self.is_shared else n_steps_at_once(shape, int(n)) for n in self._n_batches]
        )
        if not self._drawn.numel():
            n_most = int(self._n_steps.max())
            self._drawn = like.new_empty((len(like), n_most, *shape))


class StackedDropout(StackedStream):
    """Dropout of many networks, each with the probability and the masks of a single fit.

    Parameters
    ----------
    layers : sequence of Dropout
    """

    def __init__(self, layers: Sequence[Dropout]) -> None:
        super().__init__(layers)
        self.p = np.array([layer.p for layer in layers])

    def select(self, networks: np.ndarray) -> None:
        """Go on with some of the networks."""
        super().select(networks)
        self.p = self.p[networks]

    def forward(self, values: Tensor) -> Tensor:
        """Drop units of (n_networks, n_samples, n_units), and scale up the others, in training."""
        if not self.training:
            return values
        if values.device.type != "cpu":
            kept = 1 - torch.as_tensor(self.p, dtype=values.dtype, device=values.device)
            kept = kept[:, None, None]
            return values * torch.bernoulli(kept.expand_as(values)) / kept
        return values * self.take(values)


class StackedLatentNoise(StackedStream):
    """The noise of the latents of many networks, each with that of a single fit.

    Parameters
    ----------
    layers : sequence of LatentNoise
    """

    forward = LatentNoise.forward


class StackedModule(nn.Module):
    """Modules of any kind with the same structure, by torch's own vectorizing map.

    Parameters
    ----------
    modules : sequence of torch.nn.Module
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.stacked = copy.deepcopy(modules[0])
        places = zip(*(_parameter_places(module) for module in modules), strict=True)
        for (owner, name), parameters in zip(
            [(owner, name) for owner, name, _ in _parameter_places(self.stacked)],
            ([parameter for _, _, parameter in place] for place in places),
            strict=True,
        ):
            owner.register_parameter(name, stack_parameters(parameters))

    def forward(self, values: Tensor, missing: Tensor | None = None) -> Tensor:
        """Return the outputs of each network's module for its own (n_samples, n_inputs).

        ``missing`` is the second argument of modules that are told what is missing.
        """
        given = (values,) if missing is None else (values, missing)

        def call(parameters: dict[str, Tensor], *given: Tensor) -> Tensor:
            return torch.func.functional_call(self.stacked, parameters, given)

        parameters: dict[str, Tensor] = dict(self.stacked.named_parameters())
        return torch.func.vmap(call, randomness="different")(parameters, *given)


def _parameter_places(module: nn.Module) -> list[tuple[nn.Module, str, nn.Parameter]]:
    """Return each parameter with the module that owns it and its name there."""
    return [
        (owner, name, parameter)
        for owner in module.modules()
        for name, parameter in owner.named_parameters(recurse=False)
    ]


def stack_parameters(parameters: Sequence[Tensor]) -> nn.Parameter:
    """Stack parameters; a matrix lies in memory as its transpose, which is the factor of products.

    Its gradient comes so as well, and need not be copied.
    """
    stack = torch.stack([parameter.detach() for parameter in parameters])
    if stack.ndim == 3:
        stack = stack.transpose(1, 2).contiguous().transpose(1, 2)
    return nn.Parameter(stack)


def take_networks(stack: Tensor, networks: Tensor) -> Tensor:
    """Take the parameters of some networks, with the order in memory that they have."""
    if stack.ndim == 3 and not stack.is_contiguous():
        return stack.transpose(1, 2)[networks].transpose(1, 2)
    return stack[networks]


# Modules that are the same for one network and for many, and modules that run others in turn.
_ELEMENTWISE = (*ACTIVATIONS.values(), Clip)
_CONTAINERS = (AutoencoderModule, DualModule, nn.Sequential, nn.ModuleDict, Bounded)


def stack_modules(modules: Sequence[Any]) -> Any:
    """Make one module of the modules of many networks, for values with a dimension before.

    Parameters
    ----------
    modules : sequence of torch.nn.Module
        Of one structure.

    Returns
    -------
    torch.nn.Module
        Its parameters are in the same order, with a first dimension over networks.
    """
    # by type, and not by isinstance: a subclass may compute something else
    first = modules[0]
    if type(first) is nn.Linear:
        return StackedLinear(modules)
    if type(first) is Dropout:
        return StackedDropout(modules)
    if type(first) is LatentNoise:
        return StackedLatentNoise(modules)
    if type(first) in _ELEMENTWISE:
        return first
    has_own = any(True for _ in first.parameters(recurse=False))
    if type(first) not in _CONTAINERS or has_own:
        return StackedModule(modules)
    # a container, such as a Sequential: a shallow copy runs the same code over stacked children
    stacked = copy.copy(first)
    stacked._modules = {
        name: None if child is None else stack_modules([m._modules[name] for m in modules])
        for name, child in first._modules.items()
    }
    # with a dimension over samples, along which they are the same
    stacked._buffers = {
        name: torch.stack([m._buffers[name] for m in modules]).unsqueeze(1)
        for name in first._buffers
    }
    if isinstance(first, AutoencoderModule):
        # the penalised weights of the copy are the stacks of the first network's
        of = dict(zip(map(id, first.parameters()), stacked.parameters(), strict=True))
        stacked.encoder_weights = [of[id(weight)] for weight in first.encoder_weights]
        stacked.weights = [of[id(weight)] for weight in first.weights]
    return stacked
