"""A last layer whose outputs keep to bounds."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# The mean of a target lies at least this far within its bounds, in scaled units: where it is at
# a bound itself, no input of the layer would give it.
_LEAST_DISTANCE = 1e-3


class Bounded(nn.Module):
    """Outputs within bounds, by a softplus of one bound, or a logistic function of two.

    An input of 0 gives the output 0, which is the mean of a standardised target; where that is
    not within the bounds, it gives a value that is.

    Parameters
    ----------
    n_outputs : int
    has_low, has_high : bool
        Which bounds there are; ``set_bounds`` says where.
    """

    low: Tensor
    high: Tensor

    def __init__(self, n_outputs: int, has_low: bool, has_high: bool) -> None:
        super().__init__()
        self.has_low = has_low
        self.has_high = has_high
        # they follow from the target's scale, and are no part of the parameters that are stored
        self.register_buffer("low", torch.full((n_outputs,), -1.0), persistent=False)
        self.register_buffer("high", torch.full((n_outputs,), 1.0), persistent=False)

    def set_bounds(self, low: Tensor, high: Tensor) -> None:
        """Set the bounds.

        Parameters
        ----------
        low, high : Tensor of shape (n_outputs,)
            In scaled units; not used where there is no such bound.
        """
        if self.has_low:
            self.low = low.to(self.low)
        if self.has_high:
            self.high = high.to(self.high)

    def forward(self, values: Tensor) -> Tensor:
        """Return outputs within the bounds, of the shape (..., n_samples, n_outputs) of values."""
        return bound(
            values, self.low if self.has_low else None, self.high if self.has_high else None
        )

    def extra_repr(self) -> str:
        """Return the bounds there are, for the module's repr."""
        return f"has_low={self.has_low}, has_high={self.has_high}"


def bound(values: Tensor, low: Tensor | None, high: Tensor | None) -> Tensor:
    """Map numbers to values within bounds; 0 to 0, if 0 is within them.

    Parameters
    ----------
    values : Tensor of shape (..., n_outputs)
    low, high : Tensor of shape (..., n_outputs) or None
        None where there is no such bound.

    Returns
    -------
    Tensor of the shape of values
    """
    shift = offset(low, high) if low is not None or high is not None else 0.0
    if low is not None and high is not None:
        # a logistic function with the slope 1/4 * width at its middle, moved to go through start
        return low + (high - low) * torch.sigmoid(values + shift)
    if low is not None:
        return low + F.softplus(values + shift)
    return values if high is None else high - F.softplus(-values + shift)


def offset(low: Tensor | None, high: Tensor | None) -> Tensor:
    """Return the shift of numbers that maps 0 to 0, or to a value within the bounds.

    Parameters
    ----------
    low, high : Tensor of shape (..., n_outputs) or None
        Not both of them None.
    """
    if low is not None and high is not None:
        # 0 is not within them where a target is not standardised: then begin at the middle
        start = torch.where(low * high > 0, (low + high) / 2, 0.0)
        below = (start - low).clamp(min=_LEAST_DISTANCE)
        above = (high - start).clamp(min=_LEAST_DISTANCE)
        return torch.log(below / above)
    if low is not None:
        return _inverse_softplus(_distance(-low))
    assert high is not None
    return _inverse_softplus(_distance(high))


def _distance(to_bound: Tensor) -> Tensor:
    """Return how far from a bound an input of 0 is mapped: 1 where 0 is beyond the bound."""
    return torch.where(to_bound < 0, 1.0, to_bound)


def _inverse_softplus(values: Tensor) -> Tensor:
    """Return the inverse of softplus for positive numbers."""
    values = values.clamp(min=_LEAST_DISTANCE)
    return values + torch.log(-torch.expm1(-values))


def is_bounded(low: float | None, high: float | None) -> tuple[bool, bool]:
    """Return which bounds exist: None or infinity is no bound."""
    return (
        low is not None and not math.isinf(low),
        high is not None and not math.isinf(high),
    )
