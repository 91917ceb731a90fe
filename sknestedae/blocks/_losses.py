"""Losses of decoded values: errors of numbers, and cross-entropies of categories."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from .._tables._layout import Layout

# The error of a number, by the name that a user gives it: torch's functions, or any with their
# arguments. A new one is offered by the estimators' parameters as soon as it stands here.
ELEMENTWISE: dict[str, Callable[..., Tensor]] = {
    "squared_error": F.mse_loss,
    "absolute_error": F.l1_loss,
    "huber": F.huber_loss,
}


# Of the sum of a given spectrum: a decoded one is taken to have at least so much.
_LEAST_TOTAL = 0.01


def numeric_error(
    output: Tensor, target: Tensor, loss: str, weight: Tensor | None = None
) -> Tensor:
    """Sum the errors of numbers.

    Parameters
    ----------
    output, target : Tensor of shape (n_samples, n_columns)
        In scaled units.
    loss : str
        A key of ``ELEMENTWISE``, the error of an entry; "huber" has a threshold of 1 scaled unit.
    weight : Tensor of shape (n_samples, n_columns) or (n_samples, 1), optional
        Weight of each entry; 0 where it was not measured.

    Returns
    -------
    Tensor of shape ()
    """
    if weight is None and output.ndim == 2:  # one network: torch's own sum is the faster one
        return ELEMENTWISE[loss](output, target, reduction="sum")
    error = ELEMENTWISE[loss](output, target, reduction="none")
    return (error if weight is None else error * weight).sum(dim=(-2, -1))


def categorical_error(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Sum the cross-entropies of one categorical column.

    Parameters
    ----------
    logits : Tensor of shape (n_samples, n_categories)
    target : Tensor of shape (n_samples, n_categories)
        Probabilities, such as a one-hot group.
    weight : Tensor of shape (n_samples,), optional

    Returns
    -------
    Tensor of shape ()
        In nats.
    """
    error = -(target * F.log_softmax(logits, dim=-1)).sum(dim=-1)  # (..., n_samples)
    return (error if weight is None else error * weight).sum(dim=-1)


def entry_errors(output: Tensor, values: Tensor, layout: Layout, loss: str) -> Tensor:
    """Return the error of each entry of a block: of its numbers, then of its categories.

    Parameters
    ----------
    output, values : Tensor of shape (..., n_samples, layout.n_values)
        The decoded and the given values.
    layout : Layout
    loss : str
        Of the numbers; a category's is the cross-entropy.

    Returns
    -------
    Tensor of shape (..., n_samples, layout.n_columns)
    """
    n = layout.n_numeric
    errors = ELEMENTWISE[loss](output[..., :n], values[..., :n], reduction="none")
    if not layout.n_categories:
        return errors
    of_groups = [
        -(values[..., group] * F.log_softmax(output[..., group], dim=-1)).sum(dim=-1)
        for group in layout.groups()
    ]
    return torch.cat([errors, torch.stack(of_groups, dim=-1)], dim=-1)


def cumulative_errors(output: Tensor, values: Tensor, loss: str) -> Tensor:
    """Return the errors of the cumulative distributions of spectra.

    A spectrum is divided by its sum, and added up along its axis: the share of it below each
    channel. Channels are equally far from each other. The mean of the errors over channels is the
    Wasserstein distance of order 1, with absolute errors, or the Cramér distance, with squared
    ones, on an axis of length 1.

    Parameters
    ----------
    output, values : Tensor of shape (..., n_channels)
        The decoded and the given spectra, in their own unit. What is below 0 counts as 0. A given
        spectrum of zeros is no distribution: it has no error.
    loss : str
        A key of ``ELEMENTWISE``, the error of a share.

    Returns
    -------
    Tensor of shape (..., n_channels)
    """
    output, values = output.clamp(min=0), values.clamp(min=0)
    totals = values.sum(dim=-1, keepdim=True)
    # a decoded spectrum of next to nothing has no large gradient
    least = _LEAST_TOTAL * totals
    given = values / totals.clamp(min=torch.finfo(values.dtype).tiny)
    decoded = output / torch.maximum(output.sum(dim=-1, keepdim=True), least).clamp(
        min=torch.finfo(values.dtype).tiny
    )
    # of the difference, as two sums lose digits that their difference needs
    difference = (decoded - given).cumsum(dim=-1) * (totals > 0)
    return ELEMENTWISE[loss](difference, torch.zeros_like(difference), reduction="none")


def block_error(
    output: Tensor, values: Tensor, layout: Layout, loss: str, weight: Tensor | None = None
) -> Tensor:
    """Sum the reconstruction errors of a block: its numbers' and its categories'.

    Parameters
    ----------
    output, values : Tensor of shape (n_samples, layout.n_values)
        The decoded and the given values.
    layout : Layout
    loss : str
        Of the numbers; a category's is the cross-entropy.
    weight : Tensor of shape (n_samples, layout.n_columns) or (n_samples, 1), optional
        Weight of each entry of the table.

    Returns
    -------
    Tensor of shape (), or (n_networks,) where all of these have a first dimension over networks
    """
    n_numeric = layout.n_numeric
    if not layout.n_categories:
        return numeric_error(output, values, loss, weight)
    if weight is not None:
        weight = weight.expand(*weight.shape[:-1], layout.n_columns)
    total = output.new_zeros(())
    if n_numeric:
        part = None if weight is None else weight[..., :n_numeric]
        total = numeric_error(output[..., :n_numeric], values[..., :n_numeric], loss, part)
    for k, group in enumerate(layout.groups()):
        part = None if weight is None else weight[..., n_numeric + k]
        total = total + categorical_error(output[..., group], values[..., group], part)
    return total
