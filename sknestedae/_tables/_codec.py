"""Codec for numbers and categories of one block: encoded as an array of floats and decoded.

A codec is the fitted half of a kind of data. It is given a whole table, reads its own columns of
it, and returns one array with a mask of the measured entries. Nothing here knows of torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import gen_batches

from .._persistence import public
from ._base_codec import BlockColumns, Codec, Piece
from ._categories import Categories
from ._columns import categorical_mask, notice_doubt, read_floats, take_column
from ._layout import Encoded, Layout
from ._splits import CHUNK_ROWS
from ._statistics import column_statistics, standardize_measured, unscale

# Numbers whose mean is computed at once: more do not fit into the caches of a CPU.
_SUMMED_VALUES = 2**18

# What to do about words in a column of numbers: what a column is was decided in fit.
_ADVICE_IN_FIT = "Name it in categorical_features if it is categorical."
_ADVICE_AFTER_FIT = "It held numbers in fit; convert it to numbers, with NaN where it has none."


@public("sknestedae.blocks")
class TabularCodec(Codec):
    """Encode numbers and categories as floats, and decode them.

    Numbers come first, one value each, standardised; then a one-hot group for each categorical
    column. A missing number becomes the column's mean, and a missing category the categories'
    frequencies; a category that was not seen in ``fit`` becomes zeros.

    Parameters
    ----------
    columns : BlockColumns

    Attributes
    ----------
    dtype : dtype
        Of the encoded values, float32 or float64.
    standardize : bool
        Whether numbers are centred and scaled to unit variance.
    mean, scale : ndarray of float64, shape (n_numeric,)
        Mean and standard deviation of the numbers; also where they are not standardised.
    """

    dtype: np.dtype
    mean: np.ndarray
    scale: np.ndarray

    def __init__(self, columns: BlockColumns) -> None:
        super().__init__(columns)
        self.labels = columns.labels
        self.standardize = columns.standardize

    @property
    def layout(self) -> Layout:
        """The layout of the encoded values."""
        return Layout(
            len(self.numeric),
            tuple(len(self.categories[j].values) for j in self.categorical),
            is_standardized=self.standardize,
        )

    # -- fit

    def prepare(self, X: pd.DataFrame | np.ndarray) -> np.dtype | None:
        """Find which columns are numbers and which are categories, in a whole table.

        Raises
        ------
        TypeError
            If a column holds neither, such as dates.
        """
        chosen = self.columns.categorical
        if chosen is not None:
            self.categorical = [j for j in self.columns.positions if j in set(chosen)]
        elif isinstance(X, pd.DataFrame):
            positions = self.columns.positions
            mask = categorical_mask(X, positions, self.labels)
            self.categorical = [positions[k] for k in np.flatnonzero(mask)]
            for j in self.categorical:
                notice_doubt(X.iloc[:, j], self.labels.name(j))
        else:
            self.categorical = []
        is_category = set(self.categorical)
        self.numeric = [j for j in self.columns.positions if j not in is_category]
        return _float_dtype(X, self.numeric)

    def fit(
        self,
        X: pd.DataFrame | np.ndarray,
        dtype: np.dtype,
        rows: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
    ) -> TabularCodec:
        """Learn means, scales and categories.

        Raises
        ------
        ValueError
            If a column has no measured value in these rows, or an infinite one in any.
        """
        self.dtype = dtype
        self._fit_numbers(X, rows, sample_weight)
        self.categories = {}
        for j in self.categorical:
            name = self.labels.name(j)
            learnt = Categories.learn(take_column(X, j), name, rows, sample_weight)
            if learnt is None:
                raise ValueError(_nothing_measured(name, rows))
            self.categories[j] = learnt
        return self

    def _fit_numbers(
        self,
        X: pd.DataFrame | np.ndarray,
        rows: np.ndarray | None,
        sample_weight: np.ndarray | None,
    ) -> None:
        self.mean, self.scale = np.zeros(0), np.ones(0)
        if not self.numeric:
            return
        values = self._read_numbers(X, _ADVICE_IN_FIT)
        for chunk in gen_batches(len(values), CHUNK_ROWS):
            self._check_finite(values[chunk], chunk.start)
        order = np.arange(len(values)) if rows is None else rows
        n_rows = min(CHUNK_ROWS, max(_SUMMED_VALUES // len(self.numeric), 1))
        chunks = (
            (
                values[order[chunk]] if rows is not None else values[chunk],
                None if sample_weight is None else sample_weight[order[chunk]],
            )
            for chunk in gen_batches(len(order), n_rows)
        )
        self.mean, self.scale, n_measured = column_statistics(chunks)
        for j, is_measured in zip(self.numeric, n_measured > 0, strict=True):
            if not is_measured:
                raise ValueError(_nothing_measured(self.labels.name(j), rows))

    def _read_numbers(
        self, X: pd.DataFrame | np.ndarray, advice: str, *, copy: bool = False
    ) -> np.ndarray:
        return read_floats(X, self.numeric, self.labels, self.dtype, advice, copy=copy)

    def _check_finite(self, values: np.ndarray, first_row: int) -> None:
        """Refuse infinity in some rows of the numbers."""
        infinite = np.isinf(values)
        if infinite.any():
            row, k = np.argwhere(infinite)[0]
            raise ValueError(
                f"Column {self.labels.name(self.numeric[k])} contains infinity or a value too "
                f"large for {self.dtype} (first in row {first_row + row}); a value must be "
                "finite, or NaN where it was not measured."
            )

    # -- encode

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
        n_numeric, layout = len(self.numeric), self.layout
        if not self.categorical:  # the usual case: one array, one copy
            values = self._read_numbers(X, _ADVICE_AFTER_FIT, copy=True)
            return Encoded(values, self._standardize(values))
        values = np.zeros((len(X), layout.n_values), dtype=self.dtype)
        measured = np.ones((len(X), layout.n_columns), dtype=bool)
        if n_numeric:
            numbers = self._read_numbers(X, _ADVICE_AFTER_FIT, copy=True)
            is_known = self._standardize(numbers)  # before it is among others, which is faster
            values[:, :n_numeric] = numbers
            if is_known is not None:
                measured[:, :n_numeric] = is_known
        for k, (j, group) in enumerate(zip(self.categorical, layout.groups(), strict=True)):
            column = take_column(X, j)
            measured[:, n_numeric + k] = self.categories[j].encode(column, values[:, group])
        return Encoded(values, None if measured.all() else measured)

    def _standardize(self, values: np.ndarray) -> np.ndarray | None:
        """Standardise numbers in place, and put the mean where one is missing.

        Returns
        -------
        ndarray of bool, of the shape of values, or None
            Where numbers were measured; None if all of them were, which needs no memory.
        """
        affine = (self.mean, self.scale) if self.standardize else None
        fill = self.missing_row()[: len(self.numeric)]
        return standardize_measured(values, affine, fill, CHUNK_ROWS, self._check_finite)

    # -- decode

    def decode(self, values: np.ndarray) -> list[Piece]:
        """Decode values to columns in their own units.

        Parameters
        ----------
        values : ndarray of shape (n_samples, layout.n_values)
            Of a categorical group, the largest value names the category.
        """
        pieces: list[Piece] = []
        if self.numeric:
            numbers = values[:, : len(self.numeric)]
            if self.standardize:
                numbers = unscale(numbers, self.mean, self.scale)
            pieces.append((self.numeric, numbers))
        for j, group in zip(self.categorical, self.layout.groups(), strict=True):
            pieces.append(([j], self.categories[j].decode(values[:, group])[:, None]))
        return pieces

    # -- what encoded values mean

    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the scale that numbers are standardised with.

        Returns
        -------
        mean, scale : ndarray of float64, shape (n_numeric,)
            0 and 1 where they are not standardised.
        """
        if not self.standardize:
            return np.zeros_like(self.mean), np.ones_like(self.scale)
        return self.mean, self.scale

    def encoded_scale(self) -> np.ndarray:
        """Return the standard deviation of each number as it is encoded, of shape (n_numeric,)."""
        return np.ones_like(self.scale) if self.standardize else self.scale

    def missing_row(self) -> np.ndarray:
        """Return the encoded values of a row that was not measured, of shape (n_values,)."""
        means = np.zeros_like(self.mean) if self.standardize else self.mean
        return np.concatenate([means, *(c.frequencies for c in self.categories.values())])

    # -- what else stood in the table of fit

    def note_unlearnt(self, X: pd.DataFrame | np.ndarray) -> None:
        """Record categories that a table of ``fit`` has outside of the training rows."""
        for j, categories in self.categories.items():
            categories.note_column(take_column(X, j))

    def note_mixed(self, X: pd.DataFrame | np.ndarray) -> None:
        """Record which columns of a whole table mix numbers and words; of its first, or all."""
        for j, categories in self.categories.items():
            if j < X.shape[1]:
                categories.note_kinds(take_column(X, j))

    def notice_unseen(self, X: pd.DataFrame | np.ndarray) -> None:
        """Warn about values that were not in the table of ``fit``."""
        for j, categories in self.categories.items():
            categories.notice_unseen(take_column(X, j))

    # -- in files

    def get_state(self) -> dict[str, Any]:
        """Return the fitted state as plain values."""
        return {
            "numeric": self.numeric,
            "categorical": self.categorical,
            "dtype": self.dtype.name,
            "mean": self.mean,
            "scale": self.scale,
            "categories": [self.categories[j].to_state() for j in self.categorical],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the state of ``get_state``."""
        self.numeric, self.categorical = state["numeric"], state["categorical"]
        self.dtype = np.dtype(state["dtype"])
        self.mean, self.scale = state["mean"], state["scale"]
        learnt = [Categories(**own) for own in state["categories"]]
        self.categories = dict(zip(self.categorical, learnt, strict=True))


def _float_dtype(X: pd.DataFrame | np.ndarray, numeric: list[int]) -> np.dtype | None:
    """Return float32 where single precision holds every number, else float64; None without any."""
    if not isinstance(X, pd.DataFrame):
        dtypes = [X.dtype]
    elif numeric:
        dtypes = list(X.dtypes.iloc[numeric])
    else:
        return None
    small = (np.dtype("float16"), np.dtype("float32"))
    return np.dtype("float32" if all(dtype in small for dtype in dtypes) else "float64")


def _nothing_measured(name: str, rows: Sequence[int] | np.ndarray | None) -> str:
    held_out = "" if rows is None else " (early stopping holds the others out)"
    return (
        f"Column {name} has no measured value in the rows to learn from{held_out}; drop it, or "
        "pass rows where it was measured."
    )
