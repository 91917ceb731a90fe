"""A table to named blocks of arrays, and back.

A table is a DataFrame or a two-dimensional array. Its columns are grouped in *blocks*. The values
of a block are one float array: the scaled numeric columns first, then one one-hot group a
categorical column. Nothing here knows of torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import gen_batches

from .._notices import notice
from ..exceptions import UnseenCategoryWarning
from ._columns import (
    factorize,
    is_categorical,
    mixes_kinds,
    notice_doubt,
    resolve_columns,
    sort_categories,
    words_of,
)
from ._dtypes import all_numbers, clip_to_float, dtype_spec, restore_dtype, unscale
from ._labels import ColumnLabels
from ._layout import DEFAULT_BLOCK, Encoded, Layout
from ._splits import CHUNK_ROWS
from ._statistics import column_statistics
from ._text import hint_of_spelling


def share_unlearnt(tables: Sequence[TableEncoder]) -> None:
    """Let encoders that learnt from parts of one table know what the other parts held."""
    for j in tables[0].categories:
        seen = [value for table in tables for value in (*table.categories[j], *table.unlearnt[j])]
        every = pd.unique(np.array(seen, dtype=object))
        for table in tables:
            own = pd.Index(table.categories[j]).get_indexer(every)
            table.unlearnt[j] = every[own < 0]


class TableEncoder:
    """Encode a table as blocks of float arrays, and decode them.

    Numeric columns are standardised; a missing entry becomes the column's mean. Categorical
    columns become one-hot groups; a missing entry becomes the categories' frequencies, and a
    category that was not seen in ``fit`` becomes zeros.

    Parameters
    ----------
    categorical_features : "from_dtype", None or array-like
        Which columns are categorical: by dtype, none, or names, indices or a mask.
    standardize : bool
        Whether numeric columns are centred and scaled to unit variance.
    blocks : sequence of (str, columns), default=()
        Names and columns (names or indices) of blocks; the other columns make up the block
        ``"table"``.

    Attributes
    ----------
    layouts : dict of str to Layout
        Each block's layout.
    dtype_name : str
        float32 if every numeric column was float32 (or float16), else float64.
    """

    def __init__(
        self,
        categorical_features: Any = "from_dtype",
        standardize: bool = True,
        blocks: Sequence[tuple[str, Any]] = (),
    ) -> None:
        self.categorical_features = categorical_features
        self.standardize = standardize
        self.blocks = tuple(blocks)

    # -- fit

    def fit(
        self,
        X: pd.DataFrame | np.ndarray,
        rows: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
    ) -> TableEncoder:
        """Learn columns, categories and scales.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
        rows : ndarray of int, optional
            The rows to learn from; all of them by default. Kinds of columns are read from all.
        sample_weight : ndarray of shape (n_samples,), optional
            Weights of all rows; a mean and a scale are weighted with them.
        """
        self._learn_columns(X)
        is_categorical_column = self._categorical_mask(X)
        self._assign_blocks(is_categorical_column)
        self.dtype_name = self._float_dtype(X).name
        self._learn_numeric(X, rows, sample_weight)
        self._learn_categories(X, rows, sample_weight)
        self._lay_out()
        return self

    def _lay_out(self) -> None:
        self.layouts = {
            name: Layout(len(numeric), tuple(len(self.categories[j]) for j in categorical))
            for name, (numeric, categorical) in self.columns.items()
        }

    def _learn_columns(self, X: Any) -> None:
        self.n_features = X.shape[1]
        self.column_labels = ColumnLabels.of(X)
        if isinstance(X, pd.DataFrame):
            self.dtypes = [dtype_spec(dtype) for dtype in X.dtypes]

    def _categorical_mask(self, X: Any) -> np.ndarray:
        chosen = self.categorical_features
        if isinstance(chosen, str) and chosen == "from_dtype":
            if not isinstance(X, pd.DataFrame):
                return np.zeros(self.n_features, dtype=bool)
            mask = np.array(
                [is_categorical(X.iloc[:, j], self._label(j)) for j in range(self.n_features)],
                dtype=bool,
            )
            for j in np.flatnonzero(mask).tolist():
                notice_doubt(X.iloc[:, j], self._label(j))
            return mask
        mask = np.zeros(self.n_features, dtype=bool)
        if chosen is not None:
            mask[self._resolve_columns(chosen, "categorical_features")] = True
        return mask

    def _resolve_columns(self, columns: Any, parameter: str) -> np.ndarray:
        """Give the positions of columns that are named, indexed or masked."""
        labels = self.column_labels.labels if self.column_labels.is_frame else None
        return resolve_columns(columns, labels, self.n_features, f"The '{parameter}' parameter")

    def _assign_blocks(self, is_categorical_column: np.ndarray) -> None:
        """Give each block its numeric and its categorical columns, as positions in the table."""
        owner: dict[int, str] = {}
        for name, columns in self.blocks:
            positions = self._resolve_columns(columns, "blocks")
            if not len(positions):
                raise ValueError(f"The 'blocks' parameter gives no column to {name!r}.")
            for j in positions:
                if j in owner:
                    raise ValueError(
                        f"The 'blocks' parameter gives column {self._label(j)} to both "
                        f"{owner[j]!r} and {name!r}."
                    )
                owner[int(j)] = name
        names = [name for name, _ in self.blocks]
        if len(owner) < self.n_features:
            names.append(DEFAULT_BLOCK)
        self.columns: dict[str, tuple[list[int], list[int]]] = {name: ([], []) for name in names}
        for j in range(self.n_features):
            kind = 1 if is_categorical_column[j] else 0
            self.columns[owner.get(j, DEFAULT_BLOCK)][kind].append(j)

    @property
    def dtype(self) -> np.dtype:
        """Type of the encoded values."""
        return np.dtype(self.dtype_name)

    @property
    def _numeric(self) -> list[int]:
        return [j for numeric, _ in self.columns.values() for j in numeric]

    @property
    def _categorical(self) -> list[int]:
        return [j for _, categorical in self.columns.values() for j in categorical]

    def _float_dtype(self, X: Any) -> np.dtype:
        dtypes = (
            [X.dtypes.iloc[j] for j in self._numeric] if isinstance(X, pd.DataFrame) else [X.dtype]
        )
        small = (np.dtype("float16"), np.dtype("float32"))
        return np.dtype("float32" if dtypes and all(d in small for d in dtypes) else "float64")

    def _learn_numeric(
        self, X: Any, rows: np.ndarray | None, sample_weight: np.ndarray | None
    ) -> None:
        numeric = self._numeric
        self.mean = np.zeros(self.n_features)
        self.scale = np.ones(self.n_features)
        if not numeric:
            return
        values = self._numeric_array(X, numeric)
        for chunk in gen_batches(len(values), CHUNK_ROWS):
            self._check_finite(values[chunk], numeric, chunk.start)
        order = np.arange(len(values)) if rows is None else rows
        chunks = (
            (
                values[order[chunk]] if rows is not None else values[chunk],
                None if sample_weight is None else sample_weight[order[chunk]],
            )
            for chunk in gen_batches(len(order), CHUNK_ROWS)
        )
        mean, scale, n_measured = column_statistics(chunks)
        for j, is_measured in zip(numeric, n_measured > 0, strict=True):
            if not is_measured:
                raise ValueError(self._nothing_measured(j, rows))
        self.mean[numeric], self.scale[numeric] = mean, scale

    def _nothing_measured(self, j: int, rows: np.ndarray | None) -> str:
        held_out = "" if rows is None else " (early stopping holds the others out)"
        return (
            f"Column {self._label(j)} has no measured value in the rows to learn from"
            f"{held_out}; drop it, or pass rows where it was measured."
        )

    def _learn_categories(
        self, X: Any, rows: np.ndarray | None, sample_weight: np.ndarray | None
    ) -> None:
        self.categories: dict[int, np.ndarray] = {}
        self.frequencies: dict[int, np.ndarray] = {}
        # what stood in the table, but in no row that was learnt from
        self.unlearnt: dict[int, np.ndarray] = {}
        self.mixed: list[int] = []
        for j in self._categorical:
            codes, distinct = factorize(self._column(X, j), self._label(j))
            weight = np.ones(len(codes)) if sample_weight is None else sample_weight
            if rows is not None:
                codes, weight = codes[rows], weight[rows]
            measured = codes >= 0
            if not measured.any():
                raise ValueError(self._nothing_measured(j, rows))
            total = np.bincount(codes[measured], weight[measured], minlength=len(distinct))
            present = sort_categories(distinct[total > 0])
            order = pd.Index(distinct).get_indexer(present)
            self.categories[j] = present
            self.unlearnt[j] = distinct[total == 0]
            self.frequencies[j] = total[order] / total.sum()

    def know_unlearnt(self, X: pd.DataFrame | np.ndarray) -> None:
        """Note categories that a table of ``fit`` has in no row that was learnt from."""
        self.know_mixed(X)
        for j in self._categorical:
            _, distinct = factorize(self._column(X, j), self._label(j))
            own = pd.Index(self.categories[j]).get_indexer(distinct)
            self.unlearnt[j] = distinct[own < 0]

    def know_mixed(self, X: Any) -> None:
        """Note in which columns a whole table, of which this one was a part, mixes kinds.

        Any rows of such a column may hold numbers alone, or words alone.

        Parameters
        ----------
        X : DataFrame or array
            Of the first columns, or all.
        """
        if isinstance(X, pd.DataFrame):
            found = [j for j in self._categorical if j < X.shape[1] and mixes_kinds(X.iloc[:, j])]
            self.mixed = sorted({*self.mixed, *found})

    # -- in files

    def to_state(self) -> dict[str, Any]:
        """Give what was learnt as plain values."""
        state = dict(vars(self))
        del state["layouts"]
        return {**state, "column_labels": self.column_labels.to_state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TableEncoder:
        """Make an encoder of what ``to_state`` gave."""
        encoder = cls()
        vars(encoder).update(state)
        encoder.column_labels = ColumnLabels.from_state(state["column_labels"])
        encoder._lay_out()
        return encoder

    # -- transform

    def transform(self, X: pd.DataFrame | np.ndarray) -> dict[str, Encoded]:
        """Encode a table with the columns that were fitted.

        Returns
        -------
        dict of str to Encoded
            For each block.
        """
        return {
            name: self._encode_block(X, numeric, categorical, self.layouts[name])
            for name, (numeric, categorical) in self.columns.items()
        }

    def _encode_block(
        self, X: Any, numeric: list[int], categorical: list[int], layout: Layout
    ) -> Encoded:
        if not categorical:  # the plain case: one array, one copy
            values = self._numeric_array(X, numeric, copy=True)
            return Encoded(values, self._standardise(values, numeric))
        values = np.zeros((len(X), layout.n_values), dtype=self.dtype)
        missing = np.zeros((len(X), layout.n_columns), dtype=bool)
        if numeric:
            part = values[:, : len(numeric)]
            part[:] = self._numeric_array(X, numeric)
            measured = self._standardise(part, numeric)
            if measured is not None:
                missing[:, : len(numeric)] = ~measured
        for k, (j, group) in enumerate(zip(categorical, layout.groups(), strict=True)):
            missing[:, len(numeric) + k] = self._encode_categories(X, j, values[:, group])
        return Encoded(values, ~missing if missing.any() else None)

    def _standardise(self, values: np.ndarray, numeric: list[int]) -> np.ndarray | None:
        """Standardise in place, with the mean where nothing was measured; say what was."""
        mean, scale = self.mean[numeric], self.scale[numeric]
        # twice the largest number is no number, but its half is
        bound = np.finfo(self.dtype)
        factor = np.where(np.abs(mean) >= float(bound.max) * float(bound.eps) / 4, 0.5, 1.0)
        measured = None
        for chunk in gen_batches(len(values), CHUNK_ROWS):
            part = values[chunk]
            missing = np.isnan(part)
            if self.standardize:
                with np.errstate(over="ignore"):  # overflow is infinity, which raises
                    if (factor < 1).any():
                        part *= factor
                    part -= mean * factor
                    part /= scale * factor
            self._check_finite(part, numeric, chunk.start)
            if missing.any():
                if measured is None:
                    measured = np.ones(values.shape, dtype=bool)
                measured[chunk] = ~missing
                part[missing] = np.broadcast_to(0.0 if self.standardize else mean, part.shape)[
                    missing
                ]
        return measured

    def _encode_categories(self, X: Any, j: int, out: np.ndarray) -> np.ndarray:
        """Write the one-hot group of a column into ``out``; give where nothing is known."""
        codes, distinct = factorize(self._column(X, j), self._label(j))
        self._check_kind(j, distinct)
        missing = codes < 0
        lookup = pd.Index(self.categories[j]).get_indexer(distinct)
        self._warn_of_unseen(j, codes, distinct[lookup < 0], lookup)
        position = np.where(missing, -1, np.append(lookup, -1)[codes])
        known = position >= 0
        out[np.flatnonzero(known), position[known]] = 1.0
        out[missing] = self.frequencies[j]
        return ~known

    def notice_unseen(self, X: pd.DataFrame | np.ndarray) -> None:
        """Warn of values that were not in the table of ``fit``, of all rows of a table."""
        for j in self._categorical:
            codes, distinct = factorize(self._column(X, j), self._label(j))
            lookup = pd.Index(self.categories[j]).get_indexer(distinct)
            self._warn_of_unseen(j, codes, distinct[lookup < 0], lookup)

    def _warn_of_unseen(
        self, j: int, codes: np.ndarray, unknown: np.ndarray, lookup: np.ndarray
    ) -> None:
        """Warn of values of a column that were not in the table of ``fit``."""
        unseen = unknown[pd.Index(self.unlearnt[j]).get_indexer(unknown) < 0]
        if not len(unseen):
            return
        is_unseen = np.append(lookup < 0, False)
        n_rows = int(is_unseen[codes].sum())
        shown = ", ".join(map(repr, unseen[:5].tolist())) + (", ..." if len(unseen) > 5 else "")
        known = self.categories[j]
        hints = (hint_of_spelling(value, known) for value in unseen[:50])
        notice(
            f"{n_rows} of {len(codes)} rows have a value in column {self._label(j)} that fit did "
            f"not see ({shown}); there the column enters as zeros, as none of the {len(known)} "
            f"categories, such as {known[0]!r}.{next(filter(None, hints), '')}",
            UnseenCategoryWarning,
            key=(UnseenCategoryWarning, self._label(j), shown),
            weight=n_rows,
        )

    def _check_kind(self, j: int, distinct: np.ndarray) -> None:
        """Refuse numbers in a column of words, and words in a column of numbers."""
        fitted = self.categories[j]
        words = {isinstance(value, str) for value in (*fitted, *self.unlearnt[j])}
        given = {isinstance(value, str) for value in distinct}
        if j not in self.mixed and given and words.isdisjoint(given):
            raise TypeError(
                f"Column {self._label(j)} was categorical in fit, with categories such as "
                f"{fitted[0]!r}; it holds {type(distinct[0]).__name__} such as {distinct[0]!r} "
                "now."
            )

    # -- inverse

    def inverse_transform(self, decoded: dict[str, np.ndarray], index: Any = None) -> Any:
        """Give the table that decoded values stand for.

        Parameters
        ----------
        decoded : dict of str to ndarray of shape (n_samples, layout.n_values)
            For each block; of a categorical group, the largest value names the category.
        index : Index, optional
            Of the DataFrame, where a DataFrame was fitted.

        Returns
        -------
        DataFrame or ndarray of shape (n_samples, n_features)
            The fitted columns in their own units and order; with their dtypes, where a DataFrame
            was fitted. An array is of floats, or of objects if a category is not a number.
        """
        columns: dict[int, np.ndarray] = {}
        for name, (numeric, categorical) in self.columns.items():
            values, layout = decoded[name], self.layouts[name]
            for k, j in enumerate(numeric):
                columns[j] = values[:, k]
                if self.standardize:
                    columns[j] = unscale(columns[j], self.mean[j], self.scale[j])
            for j, group in zip(categorical, layout.groups(), strict=True):
                columns[j] = self.categories[j][values[:, group].argmax(axis=1)]
        ordered = [columns[j] for j in range(self.n_features)]
        if self.column_labels.is_frame:
            return self._frame(ordered, index)
        numbers = all(np.issubdtype(c.dtype, np.number) or all_numbers(c) for c in ordered)
        if numbers:
            return np.column_stack([clip_to_float(column, self.dtype) for column in ordered])
        return np.column_stack([column.astype(object) for column in ordered])

    def _frame(self, columns: list[np.ndarray], index: Any) -> pd.DataFrame:
        frame = pd.DataFrame(
            {
                j: restore_dtype(column, spec)
                for j, (column, spec) in enumerate(zip(columns, self.dtypes, strict=True))
            }
        )
        frame.columns = self.column_labels.index()
        return frame if index is None else frame.set_axis(index, axis=0)

    # -- columns

    def check_labels(self, X: pd.DataFrame) -> None:
        """Refuse a DataFrame whose columns are not those of ``fit``, in their order."""
        self.column_labels.check(X)

    def affine(self, columns: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Give the mean and the scale that numbers are standardised with.

        A number ``x`` of a table is encoded as ``(x - mean) / scale``.

        Parameters
        ----------
        columns : sequence of int
            Positions in the table.

        Returns
        -------
        mean, scale : ndarray of float64, shape (n_columns,)
            0 and 1 of what is not standardised, and of categories.
        """
        positions = np.asarray(columns, dtype=int)
        if not self.standardize:
            return np.zeros(len(positions)), np.ones(len(positions))
        return self.mean[positions], self.scale[positions]

    def _label(self, j: int) -> str:
        return self.column_labels.name(j)

    def _column(self, X: Any, j: int) -> Any:
        return X.iloc[:, j] if isinstance(X, pd.DataFrame) else X[:, j]

    @np.errstate(over="ignore")  # overflow is infinity, which raises
    def _numeric_array(self, X: Any, columns: list[int], copy: bool = False) -> np.ndarray:
        """Read columns as floats, NaN where missing."""
        if not isinstance(X, pd.DataFrame) and X.dtype != object:
            part = X if columns == list(range(X.shape[1])) else X[:, columns]
            return part.astype(self.dtype, copy=copy and part is X)
        out = np.empty((len(X), len(columns)), dtype=self.dtype)
        for k, j in enumerate(columns):
            column = self._column(X, j)
            column = column if isinstance(column, pd.Series) else pd.Series(column)
            words = words_of(column) if is_categorical(column, self._label(j)) else None
            if words is not None and len(words):
                raise TypeError(
                    f"Column {self._label(j)} is numeric and must hold numbers; it holds "
                    f"{words.iloc[0]!r}. {self._advise_on_words()}"
                )
            try:
                out[:, k] = column.to_numpy(dtype=self.dtype, na_value=np.nan)
            except OverflowError as error:
                raise ValueError(
                    f"Column {self._label(j)} holds an integer too large for {self.dtype}."
                ) from error
        return out

    def _advise_on_words(self) -> str:
        if "layouts" in vars(self):  # what a column is was decided in fit
            return "It held numbers in fit; convert it to numbers, with NaN where it has none."
        return "Name it in categorical_features if it is categorical."

    def _check_finite(self, values: np.ndarray, columns: list[int], first_row: int) -> None:
        """Refuse infinity in some rows of the numeric columns."""
        infinite = np.isinf(values)
        if infinite.any():
            row, k = np.argwhere(infinite)[0]
            raise ValueError(
                f"Column {self._label(columns[k])} contains infinity or a value too large for "
                f"{self.dtype} (first in row {first_row + row}); a value must be finite, or NaN "
                "where it was not measured."
            )
