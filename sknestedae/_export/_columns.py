"""Columns of a table as one tensor of numbers, and the codecs of blocks as torch modules."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from .._networks._autoencoder import AutoencoderModule
from .._networks._batch import Batch
from .._tables._array_codec import ArrayCodec
from .._tables._base_codec import Codec
from .._tables._categories import Categories
from .._tables._cells import cells_of, read_cell
from .._tables._codec import TabularCodec
from .._tables._columns import read_floats, take_column
from .._tables._encoder import TableEncoder
from .._tables._labels import ColumnLabels, entry_names

_ADVICE = "It held numbers in fit; convert it to numbers, with NaN where it has none."

# What a category that is none of those of ``fit`` is written as; a missing one is NaN.
UNKNOWN = -1.0


@dataclass
class TensorColumns:
    """The positions of a table's columns in a tensor of numbers.

    A number stands as it is, a category as its position among the categories, and a cell that
    holds an array as the entries of the array, in C order.

    Parameters
    ----------
    labels : ColumnLabels
    categories : dict of int to Categories
        Of each categorical column, by its position.
    shapes : dict of int to tuple of int
        Of the arrays of each column whose cells hold such.
    stages : dict of str to list of int
        The own columns of each stage. Columns of no stage are not in the tensor.
    """

    labels: ColumnLabels
    categories: dict[int, Categories]
    shapes: dict[int, tuple[int, ...]]
    stages: dict[str, list[int]]

    @classmethod
    def of(
        cls,
        labels: ColumnLabels,
        stages: dict[str, list[int]],
        tables: Sequence[TableEncoder],
    ) -> TensorColumns:
        """Find the positions and categories of a table's columns.

        Parameters
        ----------
        labels : ColumnLabels
        stages : dict of str to list of int
            The own columns of each stage, which come first among those of its table.
        tables : sequence of TableEncoder
            Of each stage.

        Raises
        ------
        ValueError
            If a column is of numbers in one stage, and of categories in another.
        """
        found: dict[int, list[Categories]] = {}
        shapes: dict[int, tuple[int, ...]] = {}
        numeric: set[int] = set()
        for table, own in zip(tables, stages.values(), strict=True):
            for codec in table.codecs.values():
                numeric.update(own[j] for j in codec.numeric if j < len(own))
                for j, categories in codec.categories.items():
                    found.setdefault(own[j], []).append(categories)
                if codec.has_cells:
                    shapes[own[codec.numeric[0]]] = codec.layout.shape
        for j in numeric & set(found):
            raise ValueError(
                f"Column {labels.name(j)} holds numbers in one stage and categories in another; "
                "in a tensor it must be one of them in all stages."
            )
        return cls(labels, {j: _join(parts) for j, parts in found.items()}, shapes, stages)

    @cached_property
    def used(self) -> list[int]:
        """Positions of the table's columns that stand in the tensor."""
        return sorted({j for own in self.stages.values() for j in own})

    def width(self, j: int) -> int:
        """Return the number of tensor columns of a used column."""
        return prod(self.shapes.get(j, ()))

    def places(self, j: int) -> list[int]:
        """Return the positions of a column's numbers in the tensor."""
        start = sum(self.width(i) for i in self.used if i < j)
        return list(range(start, start + self.width(j)))

    def names(self) -> list[Hashable]:
        """Name each column of the tensor; those of an array by their positions."""
        names: list[Hashable] = []
        labels = self.labels.index().tolist()
        for j in self.used:
            names += entry_names(labels[j], self.shapes[j]) if j in self.shapes else [labels[j]]
        return names

    def categories_by_name(self) -> dict[Hashable, list[Any]]:
        """Return the categories of each categorical column, in the order of their codes."""
        labels = self.labels.index().tolist()
        return {labels[j]: own.values.tolist() for j, own in sorted(self.categories.items())}

    def read(self, X: pd.DataFrame | np.ndarray) -> np.ndarray:
        """Return a table as numbers, of shape (n_samples, n_inputs).

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            With the columns of ``fit``.

        Raises
        ------
        ValueError
            If it has others.
        """
        if isinstance(X, pd.DataFrame) and self.labels.is_frame and len(self.stages) > 1:
            X = self.labels.align(X, self.stages)
        elif not isinstance(X, pd.DataFrame):
            X = np.asarray(X)
            X = X.reshape(len(X), -1)  # rows may be arrays
        if X.shape[1] != self.labels.n_columns:
            raise ValueError(
                f"X has {X.shape[1]} columns; it must have the {self.labels.n_columns} columns of "
                "fit."
            )
        if isinstance(X, pd.DataFrame):
            self.labels.check(X)
        return np.hstack([self._read_column(X, j) for j in self.used])

    def _read_column(self, X: pd.DataFrame | np.ndarray, j: int) -> np.ndarray:
        """Return a column as numbers, of shape (n_samples, width)."""
        if j in self.categories:
            return self._read_categories(take_column(X, j), self.categories[j])
        if j in self.shapes:
            return self._read_cells(take_column(X, j), j)
        return read_floats(X, [j], self.labels, np.dtype("float64"), _ADVICE)

    def _read_categories(
        self, column: pd.Series | np.ndarray, categories: Categories
    ) -> np.ndarray:
        one_hot = np.zeros((len(column), len(categories.values)))
        is_known = categories.encode(column, one_hot)
        # a missing value stands as frequencies, one that is no category as zeros
        codes = np.where(one_hot.any(axis=1), np.nan, UNKNOWN)
        codes[is_known] = one_hot[is_known].argmax(axis=1)
        return codes[:, None]

    def _read_cells(self, column: pd.Series | np.ndarray, j: int) -> np.ndarray:
        values = np.full((len(column), self.width(j)), np.nan)
        for row, cell in enumerate(cells_of(column)):
            array = read_cell(cell)
            if array is None:
                continue
            if array.shape != self.shapes[j]:
                raise ValueError(
                    f"Column {self.labels.name(j)} has an array of shape {array.shape} in row "
                    f"{row}; it must have the shape {self.shapes[j]}, as in fit."
                )
            values[row] = array.reshape(-1)
        return values


def _join(parts: list[Categories]) -> Categories:
    """Return the categories of a column that several stages have, each once."""
    values = pd.unique(np.concatenate([part.values for part in parts]))
    return replace(parts[0], values=values, frequencies=np.full(len(values), 1 / len(values)))


def refusal_of(codec: Codec) -> str | None:
    """Return the reason why a codec cannot be exported as a module; None if it can."""
    if type(codec).encode in (TabularCodec.encode, ArrayCodec.encode):
        return None
    return (
        f"its columns are read by a {type(codec).__name__}, which is not written in torch; "
        "numbers, categories and arrays can be exported"
    )


class BlockInput(nn.Module):
    """The codec of one block in torch: from raw columns to the block's values.

    Parameters
    ----------
    codec : Codec
        Of numbers and categories, or of arrays.
    places : sequence of int
        Where the numbers of the block stand in a stage's tensor.
    groups : sequence of (int, ndarray of shape (n_categories,))
        For each categorical column, where it stands, and the codes of its categories.
    """

    places: Tensor
    mean: Tensor
    scale: Tensor
    fill: Tensor

    def __init__(
        self, codec: Codec, places: Sequence[int], groups: Sequence[tuple[int, np.ndarray]]
    ) -> None:
        super().__init__()
        self.register_buffer("places", torch.tensor(list(places), dtype=torch.long))
        mean, scale = codec.affine()
        fill = np.asarray(codec.missing_row())
        for name, array in (("mean", mean), ("scale", scale), ("fill", fill[: len(places)])):
            self.register_buffer(name, torch.tensor(array, dtype=torch.float64))
        self.columns_of_groups = [place for place, _ in groups]
        for k, ((_, codes), group) in enumerate(zip(groups, codec.layout.groups(), strict=True)):
            self.register_buffer(f"codes_{k}", torch.tensor(codes, dtype=torch.float64))
            self.register_buffer(f"fill_{k}", torch.tensor(fill[group], dtype=torch.float64))

    def forward(self, table: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values, (n_samples, n_values), and which entries were measured.

        Parameters
        ----------
        table : Tensor of shape (n_samples, n_inputs)
            NaN where a value is missing.
        """
        values, measured = [], []
        if len(self.places):
            numbers = table[:, self.places]
            is_missing = numbers.isnan()
            scaled = (numbers - self.mean) / self.scale
            values.append(torch.where(is_missing, self.fill, scaled))
            measured.append(~is_missing)
        for k, place in enumerate(self.columns_of_groups):
            code = table[:, place : place + 1]
            is_it = code == getattr(self, f"codes_{k}")
            fill = getattr(self, f"fill_{k}")
            values.append(torch.where(code.isnan(), fill, is_it.to(table.dtype)))
            measured.append(is_it.any(dim=1, keepdim=True))
        return torch.cat(values, dim=1), torch.cat(measured, dim=1)


class StageEncoder(nn.Module):
    """The encoder of one stage: from raw columns and the latents of the stage before.

    Parameters
    ----------
    table : TableEncoder
    module : AutoencoderModule
    columns : TensorColumns
    own : sequence of int
        Positions in the whole table of the stage's own columns.
    """

    own: Tensor

    def __init__(
        self,
        table: TableEncoder,
        module: AutoencoderModule,
        columns: TensorColumns,
        own: Sequence[int],
    ) -> None:
        super().__init__()
        places: dict[int, list[int]] = {}  # of the table's columns, in the stage's tensor
        start = 0
        for j in range(table.n_features):  # the latents before are the last of them
            width = columns.width(own[j]) if j < len(own) else 1
            places[j] = list(range(start, start + width))
            start += width
        positions = [place for j in own for place in columns.places(j)]
        self.register_buffer("own", torch.tensor(positions, dtype=torch.long))
        self.inputs = nn.ModuleDict()
        for name, codec in table.codecs.items():
            of_numbers = dict.fromkeys(codec.numeric)  # once, where a cell holds all of them
            numeric = [place for j in of_numbers for place in places[j]]
            groups = [
                (places[j][0], columns.categories[own[j]].find(codec.categories[j].values))
                for j in codec.categorical
            ]
            self.inputs[name] = BlockInput(codec, numeric, groups)
        self.network = module

    def forward(self, table: Tensor) -> Tensor:
        """Return the latents, (n_samples, n_components), of the stage's own table."""
        blocks: Mapping[str, tuple[Tensor, Tensor]] = {
            name: own(table) for name, own in self.inputs.items()
        }
        dtype = next(self.network.parameters()).dtype
        rows = Batch(
            {name: values.to(dtype) for name, (values, _) in blocks.items()},
            {name: measured for name, (_, measured) in blocks.items()},
        )
        return self.network.encode(rows)
