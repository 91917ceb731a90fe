"""Losses of arrays and their gradients against torch's, which define them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sknestedae._tables._layout import Layout
from sknestedae.blocks._losses import ELEMENTWISE, block_error
from sknestedae.blocks._slopes import SLOPES, BlockSlope, inner

LAYOUTS = {"numbers": Layout(3), "categories": Layout(0, (2, 4)), "both": Layout(2, (3, 1, 2))}
N_NETWORKS, N_ROWS = 3, 7


def arrays(layout, weights, dtype):
    """Give decoded and given values of a stack, and weights of rows, of entries, or none."""
    rng = np.random.default_rng(0)
    shape = (N_NETWORKS, N_ROWS, layout.n_values)
    decoded, given = 2 * rng.normal(size=(2, *shape))
    for group in layout.groups():  # a one-hot group, or nothing in it
        width = group.stop - group.start
        given[..., group] = np.eye(width + 1)[rng.integers(0, width + 1, shape[:2])][..., :width]
    n_columns = {"none": 0, "rows": 1, "entries": layout.n_columns}[weights]
    weight = rng.integers(0, 3, (*shape[:2], n_columns)) * 0.7  # a third of them is 0
    given[0, 0] = decoded[0, 0]  # no error
    return [own.astype(dtype) for own in (decoded, given)] + [
        weight.astype(dtype) if n_columns else None
    ]


def test_each_loss_of_numbers_has_a_gradient():
    assert set(SLOPES) == set(ELEMENTWISE)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weights", ["none", "rows", "entries"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("loss", SLOPES)
def test_sums_and_gradients_are_torchs_of_one_and_of_many(loss, layout, weights, dtype):
    """To roundings of a sum over all entries of a network."""
    decoded, given, weight = arrays(layout, weights, dtype)
    outputs = torch.from_numpy(decoded.copy()).requires_grad_()
    others = [None if own is None else torch.from_numpy(own) for own in (given, weight)]
    expected = block_error(outputs, others[0], layout, loss, others[1])
    expected.sum().backward()
    slope, before = BlockSlope(layout, loss), decoded.copy()
    total, gradient = slope(decoded, given, weight)
    eps = np.finfo(dtype).eps
    tolerance = N_ROWS * layout.n_values * eps
    assert np.array_equal(decoded, before)
    assert gradient.dtype == dtype
    np.testing.assert_allclose(total, expected.detach().numpy(), rtol=tolerance)
    size = max(np.abs(outputs.grad.numpy()).max(), 1)
    np.testing.assert_allclose(gradient, outputs.grad.numpy(), rtol=0, atol=32 * eps * size)
    for k in range(N_NETWORKS):
        own, of_own = slope(decoded[k], given[k], None if weight is None else weight[k])
        np.testing.assert_allclose(own, total[k], rtol=tolerance)
        np.testing.assert_allclose(of_own, gradient[k], rtol=0, atol=32 * eps * size)


def test_large_logits_do_not_overflow():
    slope = BlockSlope(Layout(0, (2,)), "squared_error")
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        total, gradient = slope(np.array([[1e5, -1e5]]), np.array([[0.0, 1.0]]), None)
    assert total == 2e5
    assert gradient.tolist() == [[1.0, -1.0]]


def test_products_are_summed_for_each_network():
    one, other = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    np.testing.assert_allclose(inner(one, other), (one * other).sum(axis=(1, 2)))
    np.testing.assert_allclose(inner(one[0], other[0]), (one[0] * other[0]).sum())
