"""Adam on NumPy arrays: the same step as torch's, without the cost of its call."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

# Of more, torch's own step is the faster one: it passes over all arrays once, and not each time.
MOST_PARAMETERS = 15_000


def adam_step(
    values: np.ndarray,
    gradients: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    *,
    step: int,
    rate: float | np.ndarray,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> None:
    """Take a step of Adam (Kingma and Ba, 2015, algorithm 1), in place.

    Parameters
    ----------
    values, gradients : ndarray of shape (n_parameters,) or (n_networks, n_parameters)
    first, second : ndarray of the same shape
        The moments.
    step : int
        Number of the step, from 1.
    rate : float or ndarray of shape (n_networks, 1)
        Learning rate.
    betas : (float, float)
        Decay of the moments.
    eps : float
    """
    beta_1, beta_2 = betas
    # both corrections of the bias in two factors, so that no moment is divided by its own
    root = math.sqrt(1 - beta_2**step)
    rate = rate * (root / (1 - beta_1**step))
    change = gradients * (1 - beta_1)
    first *= beta_1
    first += change
    np.multiply(gradients, gradients, out=change)
    change *= 1 - beta_2
    second *= beta_2
    second += change
    np.sqrt(second, out=change)
    change += eps * root
    np.divide(first, change, out=change)
    change *= rate
    values -= change


def make_step(optimizer: torch.optim.Adam) -> Callable[[], Any]:
    """Return a step of an Adam that sees one tensor: of a few parameters, on arrays.

    The state is the optimizer's own, so that its next step may be torch's again.

    Parameters
    ----------
    optimizer : torch.optim.Adam
        Without weight decay and the like.
    """
    (group,) = optimizer.param_groups
    tensor, *others = group["params"]
    if others or tensor.numel() > MOST_PARAMETERS or tensor.device.type != "cpu":
        return optimizer.step
    state = optimizer.state[tensor]
    if not state:  # as torch begins it
        moments = {name: torch.zeros_like(tensor.detach()) for name in ("exp_avg", "exp_avg_sq")}
        state.update(step=torch.zeros((), dtype=torch.float32), **moments)
    count, first, second = (state[name].numpy() for name in ("step", "exp_avg", "exp_avg_sq"))
    values, gradients = tensor.detach().numpy(), tensor.grad.numpy()

    def step() -> None:
        count[...] += 1
        adam_step(
            values,
            gradients,
            first,
            second,
            step=int(count),
            rate=group["lr"],
            betas=group["betas"],
            eps=group["eps"],
        )

    return step
