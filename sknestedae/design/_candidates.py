"""Candidates as tensors: from a table and back, their distances, and the sums they keep."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from .._latents._inference import DISTINCT
from ._columns import CandidateColumns


class Candidates(NamedTuple):
    """Rows of a table as tensors that can be differentiated.

    Attributes
    ----------
    numbers : Tensor of float64, shape (n_candidates, n_numeric)
        In the units of the columns.
    shares : dict of int to Tensor of float64, shape (n_candidates, n_categories)
        Probabilities of the categories, for each categorical column. One-hot once a category is
        decided; all 0 for a category that was never seen.
    """

    numbers: Tensor
    shares: dict[int, Tensor]

    @classmethod
    def from_table(cls, X: pd.DataFrame, columns: CandidateColumns) -> Candidates:
        """Give rows as numbers and one-hot categories."""
        numbers = X.iloc[:, columns.numeric].to_numpy(dtype=np.float64)
        shares = {}
        for j, categories in columns.categories.items():
            values = X.iloc[:, j].to_numpy(dtype=object)
            one_hot = values[:, None] == categories.astype(object)[None, :]
            shares[j] = torch.from_numpy(one_hot.astype(np.float64))
        # a copy, as the array of pandas may be read-only, of which torch warns
        return cls(torch.from_numpy(np.array(numbers, order="C")), shares)

    def to_table(self, like: pd.DataFrame, columns: CandidateColumns) -> pd.DataFrame:
        """Give candidates as a table with the columns and dtypes of the known rows.

        Columns that no stage has are missing, where need be in a dtype that can be.
        """
        found: list[pd.Series] = []
        nothing = like.iloc[:0].reset_index(drop=True).reindex(range(self.n_rows))
        for j, dtype in enumerate(like.dtypes):
            if j in columns.categories:
                values = columns.categories[j][self.shares[j].argmax(dim=1).numpy()]
            elif j in columns.numeric:
                values = self.numbers[:, columns.numeric.index(j)].numpy()
            else:
                found.append(nothing.iloc[:, j])
                continue
            # known rows may be a part that lacks categories which were seen in fit
            if isinstance(dtype, pd.CategoricalDtype) and not set(values) <= set(dtype.categories):
                dtype = pd.CategoricalDtype(columns.categories[j])
            found.append(pd.Series(values).astype(dtype))
        return pd.concat(found, axis=1).set_axis(like.columns, axis=1)

    @property
    def n_rows(self) -> int:
        """Number of candidates."""
        return len(self.numbers)

    def take(self, rows: np.ndarray) -> Candidates:
        """Give some of the candidates."""
        index = torch.from_numpy(rows)
        return Candidates(self.numbers[index], {j: p[index] for j, p in self.shares.items()})

    def joined(self, *others: Candidates) -> Candidates:
        """Give these candidates and others."""
        every = (self, *others)
        shares = {j: torch.cat([some.shares[j] for some in every]) for j in self.shares}
        return Candidates(torch.cat([some.numbers for some in every]), shares)


def coordinates(
    candidates: Candidates, columns: CandidateColumns
) -> tuple[np.ndarray, np.ndarray]:
    """Give numbers in standard deviations, and codes of categories.

    Returns
    -------
    points : ndarray of shape (n_candidates, n_numeric)
    codes : ndarray of int, shape (n_candidates, n_categorical)
        -1 for a category that was never seen.
    """
    points = candidates.numbers.numpy() / columns.scale[columns.numeric]
    codes = [
        torch.where(shares.any(dim=1), shares.argmax(dim=1), -1).numpy()
        for shares in candidates.shares.values()
    ]
    return points, np.array(codes, dtype=int).reshape(len(codes), len(points)).T


def embed(candidates: Candidates, columns: CandidateColumns) -> np.ndarray:
    """Give points whose Euclidean distance is the root mean square over columns.

    Two categories that differ are 1 apart, as are two numbers by a standard deviation.
    """
    points, _ = coordinates(candidates, columns)
    one_hot = []
    for shares in candidates.shares.values():
        # a category that was never seen is as far from each of the others as these are
        never_seen = 1 - shares.sum(dim=1, keepdim=True)
        # two one-hot rows that differ do so in two places: their distance is the root of 2
        one_hot.append(torch.cat([shares, never_seen], dim=1).numpy() / np.sqrt(2))
    return np.hstack([points, *one_hot]) / np.sqrt(max(columns.n_columns, 1))


def is_alike(
    points: np.ndarray, codes: np.ndarray, known_points: np.ndarray, known_codes: np.ndarray
) -> np.ndarray:
    """Tell which candidates hardly differ from a known row.

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
