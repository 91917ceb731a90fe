"""Outputs within bounds: the function, and the layer."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd import gradcheck

from sknestedae._layers._bounds import Bounded, bound, is_bounded

BOUNDS = {"both": (-1.5, 4.0), "low": (-0.7, None), "high": (None, 2.0)}
every_kind = pytest.mark.parametrize(("low", "high"), BOUNDS.values(), ids=BOUNDS)
# Sums and products of a few numbers of the size of the bounds.
EPS = {dtype: 50 * torch.finfo(dtype).eps for dtype in (torch.float32, torch.float64)}
LINE = torch.cat([torch.linspace(-30, 30, 601), torch.tensor([-1e30, -1e3, 1e3, 1e30])])


def tensor(number, dtype=torch.float64):
    return None if number is None else torch.tensor([number], dtype=dtype)


def bounded(values, low, high):
    return bound(values, tensor(low, values.dtype), tensor(high, values.dtype))


@every_kind
@pytest.mark.parametrize("dtype", EPS)
def test_0_becomes_0(low, high, dtype):
    """The mean of a standardised target, from where training begins."""
    found = bounded(torch.zeros(1, dtype=dtype), low, high)
    assert found.dtype == dtype
    assert found.abs().item() <= EPS[dtype]


@every_kind
@pytest.mark.parametrize("dtype", EPS)
def test_outputs_are_within_the_bounds_for_any_input(low, high, dtype):
    found = bounded(LINE.to(dtype)[:, None], low, high)
    assert torch.isfinite(found).all()
    if low is not None:
        assert found.min() >= low - EPS[dtype]
        assert found.min() <= low + EPS[dtype]  # and comes as near as is asked for
    if high is not None:
        assert found.max() <= high + EPS[dtype]
        assert found.max() >= high - EPS[dtype]


@every_kind
def test_outputs_grow_with_the_input(low, high):
    values = torch.linspace(-8, 8, 401, dtype=torch.float64)[:, None]
    assert (bounded(values, low, high).diff(dim=0) > 0).all()


def test_without_a_bound_it_is_the_identity():
    assert torch.equal(bound(LINE, None, None), LINE)


@pytest.mark.parametrize("side", ["low", "high"])
def test_far_from_its_bound_an_output_is_its_input(side):
    """A softplus is linear there: a bound that is far away changes nothing."""
    values = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None]
    far = tensor(30.0)
    found = bound(values, -far, None) if side == "low" else bound(values, None, far)
    assert (found - values).abs().max() <= math.exp(-27)  # what softplus(27) is more than 27


@every_kind
def test_gradients(low, high):
    values = torch.linspace(-5, 5, 11, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda given: bounded(given[:, None], low, high), values)


@every_kind
@pytest.mark.parametrize("dtype", EPS)
def test_gradients_are_finite_for_any_input(low, high, dtype):
    values = LINE.to(dtype).clone().requires_grad_()
    bounded(values[:, None], low, high).sum().backward()
    assert torch.isfinite(values.grad).all()
    assert (values.grad >= 0).all()


@pytest.mark.parametrize("distance", [0.0, 1e-12, 1e-4])
@pytest.mark.parametrize("kind", BOUNDS)
def test_a_mean_near_a_bound_is_given_and_can_be_left(distance, kind):
    """A target that is nearly always 0, or constant, has its mean at the bound."""
    low, high = BOUNDS[kind]
    if low is None:
        high = distance
    else:
        low = -distance
    values = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    found = bounded(values, low, high)
    assert found.abs().item() <= 1.001e-3  # a thousandth of a standard deviation
    found.sum().backward()
    # near a bound the slope is the distance from it, of a softplus and of a logistic function
    assert values.grad.item() == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("low", "high", "start"), [(1.0, 5.0, 3.0), (-5.0, -1.0, -3.0), (1.0, None, 2.0)]
)
def test_where_0_is_outside_it_begins_inside(low, high, start):
    """As where a target is not standardised; at the bound itself there would be no gradient."""
    values = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    found = bounded(values, low, high)
    assert found.item() == pytest.approx(start)
    found.sum().backward()
    assert values.grad.item() > 0.5


def test_where_0_is_above_the_upper_bound_it_begins_inside():
    assert bounded(torch.zeros(1, dtype=torch.float64), None, -4.0).item() == pytest.approx(-5)


def test_bounds_of_several_outputs():
    low, high = torch.tensor([-1.0, -2.0]), torch.tensor([1.0, 3.0])
    layer = Bounded(2, has_low=True, has_high=True)
    layer.set_bounds(low, high)
    found = layer(torch.tensor([[-99.0, -99.0], [99.0, 99.0]]))
    torch.testing.assert_close(found, torch.stack([low, high]))


def test_a_bound_that_there_is_not_is_never_used():
    """Infinity would spread as NaN."""
    layer = Bounded(1, has_low=True, has_high=False)
    layer.set_bounds(torch.tensor([-2.0]), torch.tensor([math.inf]))
    assert torch.isfinite(layer.high).all()
    torch.testing.assert_close(layer(torch.tensor([[-99.0], [99.0]])).min(), torch.tensor(-2.0))
    assert "has_low=True, has_high=False" in repr(layer)


def test_the_layer_has_no_parameters_and_keeps_its_type():
    """Its bounds follow from the target's scale, and are not stored with the parameters."""
    layer = Bounded(2, has_low=True, has_high=True).double()
    layer.set_bounds(torch.full((2,), -1.0), torch.ones(2))
    assert layer.low.dtype == torch.float64
    assert not list(layer.parameters())
    assert not layer.state_dict()


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ((None, None), (False, False)),
        ((0.0, None), (True, False)),
        ((-math.inf, 1.0), (False, True)),
        ((0, math.inf), (True, False)),
        ((0, 1), (True, True)),
    ],
)
def test_which_bounds_there_are(bounds, expected):
    assert is_bounded(*bounds) == expected
