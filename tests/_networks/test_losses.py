"""Penalties on weights, against plain NumPy."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from sknestedae._networks._losses import l1_penalty, l2_penalty

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
