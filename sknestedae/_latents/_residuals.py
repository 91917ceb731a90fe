"""Errors of decoded values, entry by entry, where they were measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from .._networks._batch import Batch
from .._tables._layout import Layout

# Size of the decoded values of the rows that are decoded at once. Inside of a network a row of an
# image can be thirty times as large.
CHUNK_BYTES = 1 << 20


def rows_of_size(layouts: Mapping[str, Layout], n_bytes: int = CHUNK_BYTES) -> int:
    """Return the number of rows whose decoded values fit into a number of bytes."""
    width = sum(layout.n_values for layout in layouts.values())
    return max(n_bytes // (8 * max(width, 1)), 1)


def all_errors(
    decoded: Mapping[str, Tensor], rows: Batch, layouts: Mapping[str, Layout]
) -> tuple[Tensor, Tensor]:
    """Return which numbers of all blocks were measured, as 0 and 1, and their errors."""
    known, errors = zip(
        *(numeric_errors(decoded[name], rows, name, layout) for name, layout in layouts.items()),
        strict=True,
    )
    return joined(known, 1), joined(errors, 1)


def joined(parts: Sequence[Tensor], dim: int) -> Tensor:
    """Put tensors side by side; of one, without a copy."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=dim)


def numeric_errors(
    decoded: Tensor, rows: Batch, name: str, layout: Layout
) -> tuple[Tensor, Tensor]:
    """Return which numbers of a block were measured, as 0 and 1, and their errors."""
    n = layout.n_numeric
    error = decoded[:, :n] - rows.values[name][:, :n]
    return known_numbers(rows, name, layout, error), error


def known_numbers(rows: Batch, name: str, layout: Layout, like: Tensor) -> Tensor:
    """Return which numbers of a block were measured, as 0 and 1 of the type of another tensor."""
    measured = rows.measured.get(name)
    if measured is None:
        return like.new_ones(len(rows), layout.n_numeric)
    return measured[:, : layout.n_numeric].to(like.dtype)


def known_groups(rows: Batch, name: str, layout: Layout) -> Iterator[Tensor]:
    """Return the rows in which each categorical column is known, as 0 and 1."""
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
