"""The fitted half of a kind of data: what a block's columns are as one array, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ._labels import ColumnLabels
from ._layout import Encoded, Layout


@dataclass(frozen=True)
class BlockColumns:
    """The columns of one block in a table.

    Parameters
    ----------
    positions : list of int
        Of the block's columns in the table, in the table's order.
    labels : ColumnLabels
        Of the whole table.
    standardize : bool
    categorical : tuple of int or None
        Positions that a user named as categorical; None: by dtype.
    cell_shape : tuple of int
        X was of shape (n_samples, *cell_shape) and was flattened; else ().
    """

    positions: list[int]
    labels: ColumnLabels
    standardize: bool
    categorical: tuple[int, ...] | None
    cell_shape: tuple[int, ...] = ()


class Codec(ABC):
    """The fitted half of a kind of data."""

    def __init__(self, columns: BlockColumns, **settings: Any) -> None:
        self.columns = columns

    @abstractmethod
    def prepare(self, X: pd.DataFrame | np.ndarray) -> np.dtype:
        """Look at the columns of the whole table; give the dtype that holds its numbers."""

    @abstractmethod
    def fit(
        self,
        X: pd.DataFrame | np.ndarray,
        dtype: np.dtype,
        rows: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
    ) -> Codec:
        """Learn from some rows of a table."""

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """How the encoded values lie."""

    @property
    @abstractmethod
    def entry_columns(self) -> list[int]:
        """Position in the table of each entry."""

    @abstractmethod
    def encode(self, X: pd.DataFrame | np.ndarray) -> Encoded:
        """Encode the block's columns of a table."""

    @abstractmethod
    def decode(self, values: np.ndarray) -> list[tuple[list[int], np.ndarray]]:
        """Give the columns that decoded values stand for."""

    @abstractmethod
    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Give the mean and the scale that numbers are standardised with."""

    @abstractmethod
    def encoded_scale(self) -> np.ndarray:
        """Give the standard deviation of each number as it is encoded."""

    @abstractmethod
    def missing_row(self) -> np.ndarray:
        """Give the encoded values of a row that was not measured."""

    def note_unlearnt(self, X: pd.DataFrame | np.ndarray) -> None:  # noqa: B027
        """Note what a table of ``fit`` has in no row that was learnt from."""

    def note_mixed(self, X: pd.DataFrame | np.ndarray) -> None:  # noqa: B027
        """Note which columns of a whole table hold numbers beside words."""

    def notice_unseen(self, X: pd.DataFrame | np.ndarray) -> None:  # noqa: B027
        """Warn of values that were not in the table of ``fit``."""

    @abstractmethod
    def get_state(self) -> dict[str, Any]:
        """Give what was learnt as plain values."""

    @abstractmethod
    def set_state(self, state: dict[str, Any]) -> None:
        """Take over what ``get_state`` gave."""
