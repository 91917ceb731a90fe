"""Errors of decoded values, entry by entry, where they were measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from .._networks._batch import Batch
from .._tables._layout import Layout


def all_errors(
    decoded: Mapping[str, Tensor], rows: Batch, layouts: Mapping[str, Layout]
) -> tuple[Tensor, Tensor]:
    """Give which numbers of all blocks were measured, as 0 and 1, and their errors."""
    known, errors = zip(
        *(numeric_errors(decoded[name], rows, name, layout) for name, layout in layouts.items()),
        strict=True,
    )
    return torch.cat(known, dim=1), torch.cat(errors, dim=1)


def numeric_errors(
    decoded: Tensor, rows: Batch, name: str, layout: Layout
) -> tuple[Tensor, Tensor]:
    """Give which numbers of a block were measured, as 0 and 1, and their errors."""
    n = layout.n_numeric
    error = decoded[:, :n] - rows.values[name][:, :n]
    measured = rows.measured.get(name)
    known = torch.ones_like(error) if measured is None else measured[:, :n].to(error.dtype)
    return known, error


def known_groups(rows: Batch, name: str, layout: Layout) -> Iterator[Tensor]:
    """Tell for each categorical column in which rows it is known, as 0 and 1."""
    measured = rows.measured.get(name)
    for k in range(len(layout.n_categories)):
        if measured is None:
            yield torch.ones(len(rows), dtype=torch.float64)
        else:
            yield measured[:, layout.n_numeric + k].double()


def categorical_groups(
    decoded: Tensor, rows: Batch, name: str, layout: Layout
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Give, for each categorical column, its logits, its one-hot values, and which are known."""
    for group, known in zip(layout.groups(), known_groups(rows, name, layout), strict=True):
        yield decoded[:, group], rows.values[name][:, group].double(), known
