"""Penalties on weights, against plain NumPy; on latents, against torch."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck
from torch.distributions import Normal, kl_divergence

from sknestedae._networks._penalties import (
    add_penalty_gradients,
    divergence,
    l1_penalty,
    l2_penalty,
)

# Sums of a hundred numbers of the size of 1, in float64.
ATOL = 1000 * np.finfo(np.float64).eps


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape) * 2


def tensor(array, requires_grad=False):
    return None if array is None else torch.tensor(array, requires_grad=requires_grad)


def test_penalties():
    parts = [draw(3, 2), draw(4, 5, seed=1)]
    for chosen in (parts[:1], parts):
        flat = np.concatenate([part.ravel() for part in chosen])
        tensors = [tensor(part) for part in chosen]
        assert l1_penalty(tensors).item() == pytest.approx(np.abs(flat).sum(), abs=ATOL)
        assert l2_penalty(tensors).item() == pytest.approx((flat**2).sum() / 2, abs=ATOL)


@pytest.mark.parametrize("penalty", [l1_penalty, l2_penalty])
def test_gradients_of_penalties(penalty):
    parts = tuple(tensor(draw(2, 3, seed=seed), requires_grad=True) for seed in (0, 1))
    assert gradcheck(lambda *given: penalty(given), parts)


@pytest.mark.parametrize("as_tensor", [False, True], ids=["one", "many networks"])
def test_gradients_that_are_added_are_those_of_the_penalties(as_tensor):
    """Of many networks in a stack each has its own strengths."""
    l1, alpha = (np.array([0.3, 2.0]), np.array([0.0, 0.7]))
    parts = [tensor(draw(2, 3, 4, seed=seed), requires_grad=True) for seed in (0, 1)]
    expected = torch.autograd.grad(
        sum(
            float(l1[k]) * l1_penalty([parts[0][k]])
            + float(alpha[k]) * l2_penalty([part[k] for part in parts])
            for k in range(2)
        ),
        parts,
    )
    if as_tensor:
        parts[0].grad = torch.ones_like(parts[0])  # what is there stays; of none there are zeros
        add_penalty_gradients(parts, parts[:1], tensor(l1), tensor(alpha))
        found = [parts[0].grad - 1, parts[1].grad]
    else:
        of_each = []
        for k in range(2):
            own = [part.detach()[k].clone().requires_grad_() for part in parts]
            add_penalty_gradients(own, own[:1], float(l1[k]), float(alpha[k]))
            of_each.append([torch.zeros(3, 4) if w.grad is None else w.grad for w in own])
        found = [torch.stack(of_weight) for of_weight in zip(*of_each, strict=True)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=0, atol=ATOL)


def test_divergence_of_latents_is_that_of_normal_densities():
    mean, log_variance = tensor(draw(4, 5, 3)), tensor(draw(4, 5, 3, seed=1))
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(divergence(mean, log_variance), expected, rtol=1e-12, atol=ATOL)


def test_divergence_is_0_of_the_prior_alone():
    """Near it, half of the squares: what float32 would lose of exp(v) - 1 is kept."""
    zero = torch.zeros(1)
    assert divergence(zero, zero).item() == 0
    v = torch.tensor([1e-3])
    # exp(v) - 1 - v is v^2 / 2 + v^3 / 6; in float32 v itself is known to 6e-8 of it
    expected = (1e-3**2 / 2 + 1e-3**3 / 6) / 2
    assert divergence(zero, v).item() == pytest.approx(expected, rel=2 * 6e-8 * 1e-3 / 5e-7)


def test_gradients_of_the_divergence():
    parts = tuple(tensor(draw(2, 3, seed=seed), requires_grad=True) for seed in (0, 1))
    assert gradcheck(divergence, parts)
