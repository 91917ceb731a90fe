"""All parameters of a network in one array, and their gradients in another."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class FlatParameters:
    """The parameters of a network, or of a stack of networks, laid into one tensor.

    An optimizer then works on one tensor instead of many. Penalised weights come first, those of
    the encoder before the others, so that each penalty is on one slice.

    Parameters
    ----------
    module : torch.nn.Module
        Its parameters stay what they are, in new memory; each of a stack has a first dimension
        over networks.
    n_networks : int or None, default=None
        Of a stack; None of a single network.

    Attributes
    ----------
    values, gradients : Tensor of shape (n_parameters,) or (n_networks, n_parameters)
    n_encoder_weights, n_weights : int
        How many of the first are weights that the L1 and the L2 penalty act on.
    arrays : (ndarray, ndarray)
        Both, on the CPU, as arrays of the same memory.
    parameters : list of Parameter
        In the order in which they lie.
    """

    def __init__(self, module: nn.Module, n_networks: int | None = None) -> None:
        of_encoder = list(getattr(module, "encoder_weights", ()))
        weights = list(getattr(module, "weights", ()))
        first = {id(p): p for p in (*of_encoder, *weights)}  # each once, in this order
        rest = [p for p in module.parameters() if id(p) not in first]
        self.parameters: list[nn.Parameter] = [*first.values(), *rest]
        lead = () if n_networks is None else (n_networks,)
        own = [p.detach().reshape(*lead, -1) for p in self.parameters]
        self.n_encoder_weights = sum(p.shape[-1] for p in own[: len(of_encoder)])
        self.n_weights = sum(p.shape[-1] for p in own[: len(first)])
        self._one: nn.Parameter | None = None
        self._lay(torch.cat(own, dim=-1))

    def _lay(self, values: Tensor) -> None:
        """Make each parameter, and its gradient, a view of its part."""
        self.values: Tensor = values
        self.gradients: Tensor = torch.zeros_like(values)
        if values.device.type == "cpu":
            self.arrays = (values.numpy(), self.gradients.numpy())
        for parameter, value in zip(self.parameters, self.views(values), strict=True):
            parameter.grad = None  # of another shape, where networks left the stack
            parameter.data = value
        if self._one is not None:
            self._one.grad = None
            self._one.data = values
        self._places = [(p.data_ptr(), p.stride()) for p in self.parameters]
        self.give_gradients()

    def give_gradients(self) -> None:
        """Make the gradient of each parameter a view of its part, whatever it was."""
        gradients = self.views(self.gradients)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        if self._one is not None:
            self._one.grad = self.gradients

    def as_one(self) -> nn.Parameter:
        """Return all of a network as one parameter of the same memory, for an optimizer."""
        self._one = nn.Parameter(self.values)
        self._one.grad = self.gradients
        return self._one

    def views(self, flat: Tensor) -> list[Tensor]:
        """Return the part of each parameter in a tensor of the shape of ``values``, as a view."""
        lead = flat.shape[:-1]
        shapes = [parameter.shape[len(lead) :] for parameter in self.parameters]
        parts = flat.split([shape.numel() for shape in shapes], dim=-1)
        return [part.view((*lead, *shape)) for part, shape in zip(parts, shapes, strict=True)]

    def select(self, networks: Tensor) -> None:
        """Go on with some networks of a stack."""
        self._lay(self.values[networks])

    def add_penalty_gradients(
        self, l1: float | np.ndarray | None, alpha: float | np.ndarray | None
    ) -> None:
        """Add the gradients of both penalties to those of the weights.

        Parameters
        ----------
        l1, alpha : float, or ndarray of shape (n_networks, 1)
            Strengths; 0 or None for no penalty.
        """
        values, gradients = self.arrays
        if isinstance(alpha, np.ndarray) or alpha:
            own = gradients[..., : self.n_weights]
            own += alpha * values[..., : self.n_weights]
        if isinstance(l1, np.ndarray) or l1:
            own = gradients[..., : self.n_encoder_weights]
            own += l1 * np.sign(values[..., : self.n_encoder_weights])

    def holds(self) -> bool:
        """Return whether all parameters are still where they were laid, and are to be trained."""
        return all(
            parameter.requires_grad and (parameter.data_ptr(), parameter.stride()) == place
            for parameter, place in zip(self.parameters, self._places, strict=True)
        )
