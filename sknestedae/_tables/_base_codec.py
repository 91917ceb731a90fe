"""The interface of a codec: columns of one block to arrays of floats, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._persistence import public
from ._categories import Categories
from ._labels import ColumnLabels
from ._layout import Encoded, Layout

# Decoded columns: the positions of some of them in the table, and their values side by side, as
# an array of shape (n_samples, n_positions).
Piece = tuple[list[int], np.ndarray]


@public("sknestedae.blocks")
@dataclass(frozen=True)
class BlockColumns:
    r"""The columns of a block in a table, with the user's settings for them.

    Parameters
    ----------
    positions : list of int
        Of the block's columns in the table.
    labels : ColumnLabels
        Of all columns of the table.
    standardize : bool
        The estimator's parameter.
    categorical : tuple of int or None
        Positions of the columns that a user named as categorical; None where dtypes tell.
    cell_shape : tuple of int
        Where X was an array of shape (n_samples, \*cell_shape) of more than two dimensions: the
        block has all of its entries, in C order. Else ``()``.
    """

    positions: list[int]
    labels: ColumnLabels
    standardize: bool = True
    categorical: tuple[int, ...] | None = None
    cell_shape: tuple[int, ...] = ()


@public("sknestedae.blocks")
class Codec(ABC):
    """The fitted half of a kind of data: it encodes columns as arrays of floats, and decodes them.

    A codec is given whole tables, and reads its own columns of them. What it learns are plain
    values. It knows nothing of torch.

    Parameters
    ----------
    columns : BlockColumns

    Attributes
    ----------
    columns : BlockColumns
    numeric : list of int
        For each number of the values, the position of its column in the table; the same for all
        numbers of a cell that holds an array. Known after ``prepare``.
    categorical : list of int
        Positions of the categorical columns. Known after ``prepare``.
    categories : dict of int to Categories
        Of each categorical column, by its position.
    """

    numeric: list[int]
    categorical: list[int]
    categories: dict[int, Categories]

    def __init__(self, columns: BlockColumns) -> None:
        self.columns = columns
        self.numeric = []
        self.categorical = []
        self.categories = {}

    # -- fit

    @abstractmethod
    def prepare(self, X: pd.DataFrame | np.ndarray) -> np.dtype | None:
        """Inspect the columns of a whole table, before the fit.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)

        Returns
        -------
        dtype or None
            float32 where single precision holds every number, else float64; None without numbers.
        """

    @abstractmethod
    def fit(
        self,
        X: pd.DataFrame | np.ndarray,
        dtype: np.dtype,
        rows: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
    ) -> Codec:
        """Learn scales and categories of a table that was prepared for.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
        dtype : dtype
            Of the encoded values, float32 or float64.
        rows : ndarray of int, optional
            The rows to learn from; all of them by default.
        sample_weight : ndarray of shape (n_samples,), optional
            Weights of all rows.
        """

    # -- what was learnt

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """The layout of the encoded values."""

    @property
    def has_cells(self) -> bool:
        """Whether a cell of the table holds several of the numbers."""
        return len(set(self.numeric)) < len(self.numeric)

    @property
    def entry_columns(self) -> list[int]:
        """The position in the table of each entry: of the numbers, then of the categories."""
        return [*self.numeric, *self.categorical]

    @abstractmethod
    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the scale that numbers are encoded with: ``(x - mean) / scale``.

        Returns
        -------
        mean, scale : ndarray of float64, shape (n_numeric,)
            0 and 1 where they are not scaled.
        """

    @abstractmethod
    def encoded_scale(self) -> np.ndarray:
        """Return the standard deviation of each number as it is encoded, of shape (n_numeric,).

        Errors of numbers are counted in it, such as the mismatch of a completed row.
        """

    @abstractmethod
    def missing_row(self) -> np.ndarray:
        """Return the encoded values of a row that was not measured, of shape (n_values,)."""

    # -- to arrays and back

    @abstractmethod
    def encode(self, X: pd.DataFrame | np.ndarray) -> Encoded:
        """Encode the block's columns of a table.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)

        Returns
        -------
        Encoded
            Values of shape (n_samples, layout.n_values), and where they were measured.
        """

    @abstractmethod
    def decode(self, values: np.ndarray) -> list[Piece]:
        """Decode values to columns in their own units.

        Parameters
        ----------
        values : ndarray of shape (n_samples, layout.n_values)

        Returns
        -------
        list of (list of int, ndarray of shape (n_samples, n_positions))
            Columns that have one dtype side by side, with their positions in the table.
        """

    # -- what else stood in the table of fit

    def note_unlearnt(self, X: pd.DataFrame | np.ndarray) -> None:  # noqa: B027
        """Record values that a table of ``fit`` has outside of the training rows."""

    def note_mixed(self, X: pd.DataFrame | np.ndarray) -> None:  # noqa: B027
        """Record which columns of a whole table mix numbers and words; of its first, or all."""

    def check_cells(self, X: pd.DataFrame | np.ndarray) -> None:  # noqa: B027
        """Refuse cells of another kind than those of ``fit``: arrays of one shape."""

    def notice_unseen(self, X: pd.DataFrame | np.ndarray) -> None:  # noqa: B027
        """Warn of values that were not in the table of ``fit``."""

    # -- in files

    @abstractmethod
    def get_state(self) -> dict[str, Any]:
        """Return the fitted state as plain values: numbers, strings, arrays, lists of them."""

    @abstractmethod
    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the state of ``get_state``, instead of ``prepare`` and ``fit``."""


# Makes the codec of a block that has these columns.
MakeCodec = Callable[[BlockColumns], Codec]
