"""Candidates as tensors: from a table and back, and their distances."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from .._latents._inference import DISTINCT
from .._tables._dtypes import dtype_spec, restore_dtype
from .._tables._keys import key_of_bytes
from ._columns import CandidateColumns

_NOTHING: Mapping[str, Tensor] = MappingProxyType({})


class Candidates(NamedTuple):
    """Rows of a table as tensors that can be differentiated.

    Attributes
    ----------
    numbers : Tensor of float64, shape (n_candidates, n_numeric)
        In the units of the columns.
    shares : dict of int to Tensor of float64, shape (n_candidates, n_categories)
        Probabilities of the categories, for each categorical column. One-hot once a category is
        decided; all 0 for a category that was never seen.
    arrays : dict of str to Tensor of shape (n_candidates, n_values)
        Values of each block of arrays, as the first member of an ensemble encodes them.
    rows : dict of str to Tensor of int64, shape (n_candidates,)
        Of each block of arrays that is taken from a library, in the place of values: the row of
        that library.
    """

    numbers: Tensor
    shares: dict[int, Tensor]
    arrays: Mapping[str, Tensor] = _NOTHING
    rows: Mapping[str, Tensor] = _NOTHING

    @classmethod
    def from_table(cls, X: pd.DataFrame, columns: CandidateColumns) -> Candidates:
        """Return rows as numbers, one-hot categories and values of arrays."""
        numbers = X.iloc[:, columns.numeric].to_numpy(dtype=np.float64)
        shares = {}
        for j, categories in columns.categories.items():
            values = X.iloc[:, j].to_numpy(dtype=object)
            one_hot = values[:, None] == categories.astype(object)[None, :]
            shares[j] = torch.from_numpy(one_hot.astype(np.float64))
        arrays = {
            name: torch.from_numpy(own.encode(own.take(X)).values)
            for name, own in columns.arrays.items()
            if not own.is_stocked
        }
        # the known rows are the first of a stock
        stocked = [name for name, own in columns.arrays.items() if own.is_stocked]
        rows = dict.fromkeys(stocked, torch.arange(len(X)))
        # a copy, as the array of pandas may be read-only, of which torch warns
        return cls(torch.from_numpy(np.array(numbers, order="C")), shares, arrays, rows)

    def to_table(
        self,
        like: pd.DataFrame,
        columns: CandidateColumns,
        libraries: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> pd.DataFrame:
        """Return candidates as a table with the columns and dtypes of the known rows.

        Columns that no stage has are missing, where need be in a dtype that can be.

        Parameters
        ----------
        like : DataFrame of shape (n_samples, n_features)
            Known rows.
        columns : CandidateColumns
        libraries : mapping of str to ndarray of shape (n_rows, n_positions)
            For each block of arrays that is taken from a library, its rows.
        """
        nothing = like.iloc[:0].reset_index(drop=True).reindex(range(self.n_rows))
        found: dict[int, pd.Series] = {}
        for j, dtype in enumerate(like.dtypes):
            if j in columns.categories:
                values = columns.categories[j][self.shares[j].argmax(dim=1).numpy()]
            elif j in columns.places:
                values = self.numbers[:, columns.places[j]].numpy()
            else:
                found[j] = nothing.iloc[:, j]
                continue
            # known rows may be a part that lacks categories which were seen in fit
            if isinstance(dtype, pd.CategoricalDtype) and not set(values) <= set(dtype.categories):
                dtype = pd.CategoricalDtype(columns.categories[j])
            found[j] = pd.Series(values).astype(dtype)
        for name, own in columns.arrays.items():
            if name not in self.rows:
                cells = own.decode(self.arrays[name].numpy())
            else:
                source = own.stock if own.is_stocked else libraries[name]
                cells = source[self.rows[name].numpy()]
            for j, column in zip(own.positions, cells.T, strict=True):
                found[j] = restore_dtype(column, dtype_spec(like.dtypes.iloc[j]))
        ordered = {j: found[j] for j in range(like.shape[1])}
        return pd.DataFrame(ordered).set_axis(like.columns, axis=1)

    @property
    def n_rows(self) -> int:
        """Number of candidates."""
        return len(self.numbers)

    def take(self, rows: np.ndarray | slice) -> Candidates:
        """Return some of the candidates."""
        index = torch.from_numpy(rows) if isinstance(rows, np.ndarray) else rows
        of_arrays = ({k: t[index] for k, t in own.items()} for own in (self.arrays, self.rows))
        shares = {j: p[index] for j, p in self.shares.items()}
        return Candidates(self.numbers[index], shares, *of_arrays)

    def joined(self, *others: Candidates) -> Candidates:
        """Return these candidates and others."""
        every = (self, *others)
        return Candidates(
            torch.cat([some.numbers for some in every]),
            {j: torch.cat([some.shares[j] for some in every]) for j in self.shares},
            {k: torch.cat([some.arrays[k] for some in every]) for k in self.arrays},
            {k: torch.cat([some.rows[k] for some in every]) for k in self.rows},
        )

    def first_of_each(self) -> np.ndarray:
        """Return the positions of candidates that no earlier one is equal to, in their order."""
        # Rows are compared by their bytes; + 0.0 makes 0.0 of -0.0, which is the same number with
        # other bytes.
        parts = [self.numbers + 0.0, *self.shares.values()]
        parts += [rows[:, None].double() for rows in self.rows.values()]
        tables = [torch.cat(parts, dim=1).numpy()]
        tables += [(values + 0.0).numpy() for values in self.arrays.values()]
        keys = np.array(
            [[key_of_bytes(np.ascontiguousarray(row)) for row in own] for own in tables],
            dtype=np.uint64,
        )
        return np.sort(np.unique(keys, axis=1, return_index=True)[1])


def coordinates(
    candidates: Candidates,
    columns: CandidateColumns,
    libraries: Mapping[str, Tensor] = _NOTHING,
) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers and arrays in standard deviations, and codes of categories.

    The mean of the squares of a difference of points is that over columns, of which an array is
    one.

    Parameters
    ----------
    candidates : Candidates
    columns : CandidateColumns
    libraries : mapping of str to Tensor of shape (n_rows, n_values)
        For each block of arrays that is taken from a library, the values of its rows.

    Returns
    -------
    points : ndarray of shape (n_candidates, n_points)
    codes : ndarray of int, shape (n_candidates, n_categorical)
        -1 for a category that was never seen.
    """
    points = _points(candidates, columns, libraries)
    n_alone = len(columns.numeric) + len(columns.arrays)
    if columns.arrays:
        points *= np.sqrt(points.shape[1] / n_alone)
    codes = [
        torch.where(shares.any(dim=1), shares.argmax(dim=1), -1).numpy()
        for shares in candidates.shares.values()
    ]
    return points, np.array(codes, dtype=int).reshape(len(codes), len(points)).T


def _points(
    candidates: Candidates, columns: CandidateColumns, libraries: Mapping[str, Tensor]
) -> np.ndarray:
    """Return points, the sum of whose squared differences is that over columns."""
    points = candidates.numbers.numpy() / columns.scale[columns.numeric]
    if not columns.arrays:
        return points
    parts = [points]
    for name, own in columns.arrays.items():
        values = candidates.arrays.get(name)
        if values is None:
            source = own.values_of_stock if own.is_stocked else libraries[name]
            values = source[candidates.rows[name]]
        parts.append(values.numpy() * own.weight)
    return np.hstack(parts)


def embed(
    candidates: Candidates,
    columns: CandidateColumns,
    libraries: Mapping[str, Tensor] = _NOTHING,
) -> np.ndarray:
    """Return points whose Euclidean distance is the root mean square over columns.

    Two categories that differ are 1 apart, as are two numbers by a standard deviation, and two
    arrays whose entries differ by one on average.
    """
    one_hot = []
    for shares in candidates.shares.values():
        # a category that was never seen is as far from each of the others as these are
        never_seen = 1 - shares.sum(dim=1, keepdim=True)
        # two one-hot rows that differ do so in two places: their distance is the root of 2
        one_hot.append(torch.cat([shares, never_seen], dim=1).numpy() / np.sqrt(2))
    points = _points(candidates, columns, libraries)
    return np.hstack([points, *one_hot]) / np.sqrt(max(columns.n_columns, 1))


def is_alike(
    points: np.ndarray, codes: np.ndarray, known_points: np.ndarray, known_codes: np.ndarray
) -> np.ndarray:
    """Return which candidates hardly differ from a known row.

    The measure is that by which candidates count as distinct from each other: the same
    categories, and numbers within a root mean square of ``DISTINCT`` standard deviations.

    Parameters
    ----------
    points, codes : ndarray
        Of the candidates, as ``coordinates`` gives them.
    known_points, known_codes : ndarray
        Of the known rows.

    Returns
    -------
    ndarray of bool, shape (n_candidates,)
    """
    scale = np.sqrt(max(points.shape[1], 1))
    near = NearestNeighbors(n_neighbors=1).fit(np.hstack([known_points / scale, known_codes]))
    distance, _ = near.kneighbors(np.hstack([points / scale, codes]))
    return distance[:, 0] <= DISTINCT  # codes that differ are 1 apart at least
