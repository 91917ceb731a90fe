"""Penalties on weights and on variational latents, as pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def l1_penalty(weights: Sequence[Tensor]) -> Tensor:
    """Sum the absolute values of all weights."""
    return _total([weight.abs().sum() for weight in weights])


def l2_penalty(weights: Sequence[Tensor]) -> Tensor:
    """Sum the squares of all weights, halved."""
    return 0.5 * _total([weight.square().sum() for weight in weights])


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    r"""Return the divergence of each latent's density from its prior, in nats.

    The Kullback-Leibler divergence of :math:`N(\mu, \sigma^2)` from :math:`N(0, 1)` (Kingma and
    Welling 2013, appendix B).

    Parameters
    ----------
    mean, log_variance : Tensor of shape (..., n_components)
    """
    # the variance less one by expm1, which keeps its digits where the variance is near 1
    return (mean.square() + log_variance.expm1() - log_variance) / 2


@torch.no_grad()
def add_penalty_gradients(
    weights: Sequence[Tensor],
    encoder_weights: Sequence[Tensor],
    l1: float | Tensor,
    alpha: float | Tensor,
) -> None:
    """Add the gradients of both penalties, times their strengths, to those of the weights.

    They are known in closed form: that of an absolute value is the sign, of half a square the
    weight. Frozen weights get none.

    Parameters
    ----------
    weights, encoder_weights : sequence of Tensor
        Weights that the L2 and the L1 penalty act on.
    l1, alpha : float or Tensor of shape (n_networks,)
        Strengths; of each network where weights have a first dimension over networks.
    """
    if isinstance(alpha, Tensor) or alpha:
        for weight in weights:
            _add_gradient(weight, weight, alpha)
    if isinstance(l1, Tensor) or l1:
        for weight in encoder_weights:
            _add_gradient(weight, weight.sign(), l1)


def _add_gradient(weight: Tensor, gradient: Tensor, strength: float | Tensor) -> None:
    if not weight.requires_grad:
        return
    if weight.grad is None:  # nothing of the data depends on it
        weight.grad = torch.zeros_like(weight)
    if isinstance(strength, Tensor):
        weight.grad.addcmul_(gradient, strength.view(-1, *[1] * (weight.ndim - 1)))
    else:
        weight.grad.add_(gradient, alpha=strength)


def _total(sums: Sequence[Tensor]) -> Tensor:
    return sums[0] if len(sums) == 1 else torch.stack(list(sums)).sum()
