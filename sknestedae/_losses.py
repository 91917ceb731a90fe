"""The terms of the objective, as pure functions of tensors.

Every data term is a *sum* over measured entries; the objective divides it by the total weight of
the measured entries of the whole training set (:class:`sknestedae._training.Objective`). So a
batch gives an unbiased estimate of one well-defined mean, whatever is missing, and an epoch's
metric is a sum over its rows, never a mean of batch means.

Tensors may have leading dimensions, such as one over networks that are trained at once; a term
then has them too. Shapes are given without them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ._table import Layout

ELEMENTWISE: dict[str, Callable[..., Tensor]] = {
    "squared_error": F.mse_loss,
    "absolute_error": F.l1_loss,
    "huber": F.huber_loss,
}


def numeric_error(
    output: Tensor, target: Tensor, loss: str, weight: Tensor | None = None
) -> Tensor:
    """Sum the errors of numbers.

    Parameters
    ----------
    output, target : Tensor of shape (n_samples, n_columns)
        In scaled units.
    loss : "squared_error", "absolute_error" or "huber"
        The error of an entry; of "huber" with a threshold of 1 scaled unit.
    weight : Tensor of shape (n_samples, n_columns) or (n_samples, 1), optional
        Weight of each entry; 0 where it was not measured.

    Returns
    -------
    Tensor of shape ()
    """
    if weight is None and output.ndim == 2:
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
    error = -(target * F.log_softmax(logits, dim=-1)).sum(dim=-1)
    return (error if weight is None else error * weight).sum(dim=-1)


def block_error(
    output: Tensor, values: Tensor, layout: Layout, loss: str, weight: Tensor | None = None
) -> Tensor:
    """Sum the reconstruction errors of a block: its numbers' and its categories'.

    Parameters
    ----------
    output, values : Tensor of shape (n_samples, layout.n_values)
        What was decoded and what was given.
    layout : Layout
    loss : str
        Of the numbers; a category's is the cross-entropy.
    weight : Tensor of shape (n_samples, layout.n_columns) or (n_samples, 1), optional
        Weight of each entry of the table.

    Returns
    -------
    Tensor of shape ()
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


def l1_penalty(weights: Sequence[Tensor]) -> Tensor:
    """Sum the absolute values of all weights."""
    return _total([weight.abs().sum() for weight in weights])


def l2_penalty(weights: Sequence[Tensor]) -> Tensor:
    """Sum the squares of all weights, halved."""
    return 0.5 * _total([weight.square().sum() for weight in weights])


@torch.no_grad()
def add_penalty_gradients(
    weights: Sequence[Tensor],
    encoder_weights: Sequence[Tensor],
    l1: float | Tensor,
    alpha: float | Tensor,
) -> None:
    """Add the gradients of both penalties, times their strengths, to those of the weights.

    They are known without a graph: an absolute value's is the sign, half a square's the weight.
    Frozen weights get none.

    Parameters
    ----------
    weights, encoder_weights : sequence of Tensor
        What the L2 and the L1 penalty act on.
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
