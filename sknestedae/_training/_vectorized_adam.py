"""Adam for many networks, each with a learning rate of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._networks._stacked import take_networks
from ._adam import make_step


class StackedAdam:
    """Adam for the stacked parameters of many networks.

    torch's Adam has one learning rate for a tensor. Where the rates of the networks differ, it is
    given zeros in the place of the parameters and a rate of 1, so that the zeros become the steps
    of a rate of 1. Each network's step is then added to its parameters, times its own rate. Adam's
    steps do not depend on the values of the parameters, so that these are the same steps.

    Parameters
    ----------
    parameters : sequence of Parameter of shape (n_networks, ...)
    has_one_rate : bool
        Whether all networks have the same learning rate, always.
    keeps_gradients : bool, default=False
        Whether the gradient of a parameter is the same tensor in all steps.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        has_one_rate: bool,
        keeps_gradients: bool = False,
    ) -> None:
        self.parameters = list(parameters)
        self.has_one_rate = has_one_rate
        self.keeps_gradients = keeps_gradients
        self._rates: list[Tensor] = []
        self._begin()

    def _begin(self) -> None:
        """Make an Adam without moments."""
        self._seen: list[Tensor] = list(self.parameters)
        if not self.has_one_rate:
            self._seen = [torch.zeros_like(parameter) for parameter in self.parameters]
        fused = self.parameters[0].device.type in ("cpu", "cuda")
        self._adam = torch.optim.Adam(self._seen, lr=1.0, fused=fused)
        self._take_step: Callable[[], Any] | None = None

    def set_rates(self, rates: np.ndarray) -> None:
        """Set the learning rates of the next steps, of shape (n_networks,)."""
        if self.has_one_rate:
            self._adam.param_groups[0]["lr"] = float(rates[-1])
            return
        like = self.parameters[0]
        tensor = torch.as_tensor(rates, dtype=like.dtype, device=like.device)
        # (n_networks, 1, ...), to multiply a parameter of each shape with
        self._rates = [tensor.view(-1, *[1] * (p.ndim - 1)) for p in self.parameters]

    def step(self) -> None:
        """Change the parameters by their gradients."""
        if self._take_step is None or not self.keeps_gradients:
            for seen, parameter in zip(self._seen, self.parameters, strict=True):
                seen.grad = parameter.grad
            self._take_step = make_step(self._adam) if self.keeps_gradients else self._adam.step
        self._take_step()
        if self.has_one_rate:
            return
        with torch.no_grad():
            for seen, parameter, rate in zip(
                self._seen, self.parameters, self._rates, strict=True
            ):
                parameter.addcmul_(seen, rate)
                seen.zero_()

    def select(self, networks: Tensor) -> None:
        """Go on with some of the networks, whose parameters have been selected before."""
        states = [self._adam.state[seen] for seen in self._seen]
        self._begin()
        for seen, state in zip(self._seen, states, strict=True):
            self._adam.state[seen] = {
                # the number of steps is one for all networks
                name: take_networks(value, networks) if value.ndim else value
                for name, value in state.items()
            }

    def moments(self, network: int) -> list[dict[str, np.ndarray]]:
        """Return for each parameter the moments of one network, by the names that Adam has."""
        return [
            {
                name: (value[network] if value.ndim else value).cpu().numpy()
                for name, value in self._adam.state[seen].items()
            }
            for seen in self._seen
        ]
