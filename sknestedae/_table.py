"""A table to named blocks of arrays, and back.

A table is a DataFrame or a two-dimensional array. Its columns are grouped in *blocks*. The values
of a block are one float array: the scaled numeric columns first, then one one-hot group a
categorical column. Nothing here knows of torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Number, Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches

from ._input import arrow_dtype, arrow_spec, decimals, holds_categories
from ._notices import notice
from ._persistence import public
from ._text import doubt, hint_of_spelling
from .exceptions import TextColumnWarning, UnseenCategoryWarning

# Rows looked at together: it bounds what a pass over a large table needs beside the table.
_CHUNK_ROWS = 16_384
# The block of every column that no block was asked for.
DEFAULT_BLOCK = "table"


@public("sknestedae.blocks")
@dataclass(frozen=True)
class Layout:
    """How the last axis of a block's values is made up.

    Parameters
    ----------
    n_numeric : int
        Number of numeric columns; they come first, one value each.
    n_categories : tuple of int
        Number of categories of each categorical column; a one-hot group each, in this order.
    """

    n_numeric: int
    n_categories: tuple[int, ...] = ()

    @property
    def n_values(self) -> int:
        """Width of the block's values."""
        return self.n_numeric + sum(self.n_categories)

    @property
    def n_columns(self) -> int:
        """Number of the table's columns in the block."""
        return self.n_numeric + len(self.n_categories)

    def spread(self, columns: np.ndarray) -> np.ndarray:
        """Repeat what belongs to a column for each of its values, along the last axis."""
        widths = [1] * self.n_numeric + list(self.n_categories)
        return np.repeat(columns, widths, axis=-1)

    def groups(self) -> Iterator[slice]:
        """Give the slice of each categorical column's one-hot group."""
        start = self.n_numeric
        for width in self.n_categories:
            yield slice(start, start + width)
            start += width


class Encoded(NamedTuple):
    """The values of one block, and which of them were measured.

    ``values`` is an ndarray of shape (n_samples, layout.n_values); ``measured`` a bool ndarray of
    shape (n_samples, layout.n_columns), or None where every entry was.
    """

    values: np.ndarray
    measured: np.ndarray | None


# ---------------------------------------------------------------------------------------------
# One column


def is_categorical(column: pd.Series, label: str) -> bool:
    """Tell whether a DataFrame's column holds categories rather than numbers.

    Raises
    ------
    TypeError
        If the column holds neither, such as dates.
    """
    return holds_categories(column, f"Column {label}")


def _words(column: pd.Series) -> pd.Series:
    """Give what can not count as a number in a categorical column; booleans can, as 0 and 1."""
    values = column[column.notna()]
    if isinstance(column.dtype, pd.CategoricalDtype):
        return values
    return values[[isinstance(value, str) for value in values]]


def factorize(column: Any, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Give the codes (-1 where missing) and the distinct values of a column."""
    try:
        codes, distinct = pd.factorize(column)
    except TypeError as error:
        raise TypeError(
            f"Column {label} is categorical and its argument must be a string, a boolean or a "
            f"number in each row: {error}"
        ) from error
    distinct = np.asarray(distinct, dtype=object)
    if any(isinstance(value, float | np.floating) and np.isinf(value) for value in distinct):
        raise ValueError(
            f"Column {label} contains infinity; a category must be finite, or NaN where it was "
            "not measured."
        )
    return codes, distinct


def sort_categories(categories: np.ndarray) -> np.ndarray:
    """Sort distinct values; by their text where they can not be compared."""
    try:
        return np.sort(categories)
    except TypeError:
        return np.array(
            sorted(categories, key=lambda value: (str(type(value)), str(value))), object
        )


def resolve_columns(
    columns: Any, labels: list | None, n_features: int, subject: str
) -> np.ndarray:
    """Give the positions of columns.

    Parameters
    ----------
    columns : str, int, slice or array-like
        A name or index, a list of them, a mask, or a slice of indices or of names (its end
        included, as in pandas). Of labels with two levels, also the first level alone, for all
        its columns, and the second alone, where it stands once.
    labels : list or None
        Names of the table's columns; None of an array.
    n_features : int
        Number of the table's columns.
    subject : str
        What the message of an error begins with.

    Returns
    -------
    ndarray of int

    Raises
    ------
    ValueError
        If a column is not there, or a mask has another length.
    """
    if isinstance(columns, slice):
        ends = (columns.start, columns.stop)
        if labels is None or all(end is None or isinstance(end, Integral) for end in ends):
            return np.arange(n_features)[columns]
        first, last = (
            None if end is None else _positions(end, labels, n_features, subject)[-k]
            for k, end in enumerate(ends)
        )
        return np.arange(n_features)[first : None if last is None else last + 1 : columns.step]
    is_label = isinstance(columns, tuple) and labels is not None and columns in labels
    try:
        keys: list[Any] = (
            [columns] if isinstance(columns, str | Integral) or is_label else list(columns)
        )
    except TypeError as error:
        raise ValueError(
            f"{subject} must give columns as names, indices or a mask, got {columns!r}."
        ) from error
    if keys and all(isinstance(key, bool | np.bool_) for key in keys):
        if len(keys) != n_features:
            raise ValueError(
                f"{subject} is a mask of {len(keys)} columns, but X has {n_features}."
            )
        return np.flatnonzero(np.asarray(keys, dtype=bool))
    found = [j for key in keys for j in _positions(key, labels, n_features, subject)]
    return np.array(found, dtype=int)


def _positions(key: Any, labels: list | None, n_features: int, subject: str) -> list[int]:
    """Give the positions of what one name or index stands for."""
    if labels is not None and key in labels:
        return [labels.index(key)]
    is_index = isinstance(key, Integral) and not isinstance(key, bool)
    if is_index and -n_features <= key < n_features:
        return [int(key) % n_features]
    pairs = [(j, label) for j, label in enumerate(labels or []) if isinstance(label, tuple)]
    of_first = [j for j, label in pairs if label[0] == key]
    of_second = [j for j, label in pairs if label[1:] == (key,)]
    if of_first or len(of_second) == 1:
        return of_first or of_second
    known = f"columns {labels}" if labels is not None else f"{n_features} columns"
    raise ValueError(f"{subject} names the column {key!r}; X has {known}.")


def row_keys(X: pd.DataFrame | np.ndarray) -> np.ndarray:
    """Give each row a number that follows from its content: equal rows have equal keys.

    Returns
    -------
    ndarray of uint64, shape (n_samples,)
    """
    return pd.util.hash_pandas_object(pd.DataFrame(X), index=False).to_numpy()


def count_distinct_rows(X: pd.DataFrame | np.ndarray, y: np.ndarray | None, enough: int) -> int:
    """Count rows that differ in a table or its target, until there are enough.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs), or None
    enough : int
        Number at which the count may stop.
    """
    seen: set[tuple] = set()
    for chunk in gen_batches(len(X), _CHUNK_ROWS):
        keys = [row_keys(X[chunk])] + ([] if y is None else [row_keys(y[chunk])])
        seen.update(zip(*(key.tolist() for key in keys), strict=True))
        if len(seen) >= enough:
            break
    return len(seen)


# A column is brought near 1, by a power of two, if its largest absolute value is beyond these:
# else its squares, or what weights make of them, could leave the range of floats.
_FAR = 2.0**300
# Numbers are taken from one of them if they span less than this share of the largest: else what
# rounding leaves of a mean is not small beside a standard deviation.
_NEAR = 2.0**-20
# A number that is computed in n steps errs by n / 2 units in its last place at most, and in two
# orders, each way. Up to so many steps, equal numbers are seen as equal.
_STEPS = 8


def column_statistics(
    chunks: Iterator[tuple[np.ndarray, np.ndarray | None]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute mean and standard deviation of each column's measured entries, chunk by chunk.

    A column in another unit, by a power of two, has the same numbers in that unit, to the last
    bit. A column is constant if its values span no more than a computation of them may err by:
    whatever the number of rows, their weights and the chunks.

    Parameters
    ----------
    chunks : iterator of (ndarray of shape (n_rows, n_columns), ndarray of shape (n_rows,) or None)
        Rows and their weights; a row of weight 0 is left out.

    Returns
    -------
    mean, scale : ndarray of shape (n_columns,)
        The scale of a constant column is 1.
    n_measured : ndarray of shape (n_columns,)
        Total weight of the measured entries.
    """
    low: Any = np.inf
    high: Any = -np.inf
    power: Any = 0
    shift: Any = 0.0
    mean: Any = 0.0
    variance: Any = 0.0
    n_measured: Any = 0.0
    dtype = np.dtype(np.float64)
    with np.errstate(all="ignore"):  # of a column without any value so far, infinities meet
        for rows, weight in chunks:
            dtype = rows.dtype
            if weight is not None and not weight.all():
                rows = np.where(weight[:, None] > 0, rows, np.nan)
            low = np.fmin(low, np.fmin.reduce(rows, axis=0, initial=np.inf))
            high = np.fmax(high, np.fmax.reduce(rows, axis=0, initial=-np.inf))
            new_power, new_shift = _frame(low, high, power, shift)
            less = power - new_power
            moved = np.ldexp(mean, less) + (np.ldexp(shift, less) - new_shift)
            mean = np.where(n_measured > 0, moved, 0.0)
            variance = np.ldexp(variance, 2 * less)
            power, shift = new_power, new_shift
            if power.any():
                rows = np.ldexp(rows, -power)
            if shift.any():
                rows = rows - shift
            scaler = StandardScaler().fit(rows, sample_weight=weight)
            total = n_measured + scaler.n_samples_seen_
            share = np.where(total > 0, scaler.n_samples_seen_ / total, 0.0)
            # A column that the whole chunk misses has a mean of NaN in it, and a share of 0.
            step = np.where(share > 0, scaler.mean_ - mean, 0.0)
            within = np.where(share > 0, scaler.var_ - variance, 0.0)
            variance = variance + share * within + (share * step) * ((1 - share) * step)
            mean = mean + share * step
            n_measured = total
        mean = np.ldexp(mean + shift, power)
        # a scale of the smallest numbers may be rounded down to 0
        least = np.finfo(np.float64).smallest_subnormal
        scale = np.maximum(np.ldexp(np.sqrt(variance), power), least)
        scale = np.where(_is_constant(low, high, dtype), 1.0, scale)
    return mean, scale, np.broadcast_to(n_measured, mean.shape)


def standard_deviation(values: np.ndarray) -> float:
    """Give the standard deviation of measured numbers of any size; 0 if they are constant."""
    values = np.asarray(values, np.float64)
    if not len(values):
        return 0.0
    low, high = values.min(keepdims=True), values.max(keepdims=True)
    if _is_constant(low, high, values.dtype).item():
        return 0.0
    power, shift = _frame(low, high, 0, 0.0)
    return float(np.ldexp((np.ldexp(values, -power) - shift).std(), power).item())


def _frame(
    low: np.ndarray, high: np.ndarray, power: Any, shift: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Give the power of two and the number that columns are counted in, and from.

    Parameters
    ----------
    low, high : ndarray of shape (n_columns,)
        Smallest and largest value so far; infinite where there was none.
    power, shift : ndarray of shape (n_columns,), or 0
        Those so far; the shift is in units of the power.

    Returns
    -------
    power : ndarray of int, shape (n_columns,)
        0 of columns of any usual unit.
    shift : ndarray of shape (n_columns,)
        0 of columns that are not all near one number; else it stays the same.
    """
    largest = np.maximum(np.abs(low), np.abs(high))
    is_far = np.isfinite(largest) & ((largest > _FAR) | (largest < 1 / _FAR))
    new = np.where(is_far, np.frexp(largest)[1], 0)
    is_near = (low <= high) & (high - low <= _NEAR * largest)
    shift = np.where(shift != 0, np.ldexp(shift, power - new), np.ldexp(low, -new))
    return new, np.where(is_near, shift, 0.0)


def _is_constant(low: np.ndarray, high: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Tell which columns span no more than some units in the last place of the largest number."""
    bound = np.finfo(dtype)
    _, power = np.frexp(np.maximum(np.abs(low), np.abs(high)))
    unit = np.maximum(np.ldexp(float(bound.eps), power - 1), float(bound.smallest_subnormal))
    return high - low <= _STEPS * unit


# ---------------------------------------------------------------------------------------------
# The table


def keeps_column_types(X: Any, categorical_features: Any, fitted_categories: bool) -> bool:
    """Tell whether X keeps its columns' own types, rather than being read as one of floats.

    A DataFrame does; and an array of objects, where some of its columns are named as categorical,
    or were found to be so in ``fit``.
    """
    if isinstance(X, pd.DataFrame):
        return True
    named = categorical_features is not None and not isinstance(categorical_features, str)
    if not (named or fitted_categories):
        return False
    dtype = getattr(X, "dtype", None)
    return not (isinstance(dtype, np.dtype) and dtype.kind in "fiub")


def notice_doubt(column: pd.Series, label: str) -> None:
    """Warn of a column of text that seems to be no category."""
    said = doubt(column)
    if said is not None:
        notice(
            f"Column {label} {said}. If it holds categories all the same, say so: name it in "
            "categorical_features, or give it the dtype 'category'.",
            TextColumnWarning,
        )


def kinds_by_content(X: Any, columns: Sequence[int] | None = None) -> list[int] | None:
    """Tell which columns are categorical, where some hold words beside numbers.

    Of such a column, some rows may hold numbers alone; so what it is must be decided once, by the
    whole table.

    Parameters
    ----------
    X : DataFrame or array
    columns : sequence of int, optional
        Which columns to look at, by position; all of them by default.

    Returns
    -------
    list of int or None
        Positions among these columns; None where any rows of them tell the same.
    """
    if not isinstance(X, pd.DataFrame):
        return None
    columns = range(X.shape[1]) if columns is None else columns
    if not any(_mixes_kinds(X.iloc[:, j]) for j in columns):
        return None
    found = []
    for i, j in enumerate(columns):
        column, label = X.iloc[:, j], repr(X.columns[j])
        if is_categorical(column, label):
            notice_doubt(column, label)  # who takes the answer asks no more
            found.append(i)
    return found


def share_unlearnt(tables: Sequence[TableEncoder]) -> None:
    """Let encoders that learnt from parts of one table know what the other parts held."""
    for j in tables[0].categories:
        seen = [value for table in tables for value in (*table.categories[j], *table.unlearnt[j])]
        every = pd.unique(np.array(seen, dtype=object))
        for table in tables:
            own = pd.Index(table.categories[j]).get_indexer(every)
            table.unlearnt[j] = every[own < 0]


def _mixes_kinds(column: pd.Series) -> bool:
    """Tell whether a column of objects holds numbers beside words or booleans."""
    if not types.is_object_dtype(column.dtype):
        return False
    kinds = {type(value) for value in column[column.notna()]}
    is_number = [issubclass(kind, Real | Decimal) and kind is not bool for kind in kinds]
    return any(is_number) and not all(is_number)


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
        self.is_frame = isinstance(X, pd.DataFrame)
        if self.is_frame:
            self.labels = list(X.columns)
            self.level_names = list(X.columns.names)
            self.dtypes = [_dtype_spec(dtype) for dtype in X.dtypes]

    def _categorical_mask(self, X: Any) -> np.ndarray:
        chosen = self.categorical_features
        if isinstance(chosen, str) and chosen == "from_dtype":
            if not self.is_frame:
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
        labels = self.labels if self.is_frame else None
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
        dtypes = [X.dtypes.iloc[j] for j in self._numeric] if self.is_frame else [X.dtype]
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
        for chunk in gen_batches(len(values), _CHUNK_ROWS):
            self._check_finite(values[chunk], numeric, chunk.start)
        order = np.arange(len(values)) if rows is None else rows
        chunks = (
            (
                values[order[chunk]] if rows is not None else values[chunk],
                None if sample_weight is None else sample_weight[order[chunk]],
            )
            for chunk in gen_batches(len(order), _CHUNK_ROWS)
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
            found = [j for j in self._categorical if j < X.shape[1] and _mixes_kinds(X.iloc[:, j])]
            self.mixed = sorted({*self.mixed, *found})

    # -- in files

    def to_state(self) -> dict[str, Any]:
        """Give what was learnt as plain values."""
        state = dict(vars(self))
        del state["layouts"]
        return state

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TableEncoder:
        """Make an encoder of what ``to_state`` gave."""
        encoder = cls()
        vars(encoder).update(state)
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
        for chunk in gen_batches(len(values), _CHUNK_ROWS):
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
                    columns[j] = _unscale(columns[j], self.mean[j], self.scale[j])
            for j, group in zip(categorical, layout.groups(), strict=True):
                columns[j] = self.categories[j][values[:, group].argmax(axis=1)]
        ordered = [columns[j] for j in range(self.n_features)]
        if self.is_frame:
            return self._frame(ordered, index)
        numbers = all(np.issubdtype(c.dtype, np.number) or _all_numbers(c) for c in ordered)
        if numbers:
            return np.column_stack([_clip_to_float(column, self.dtype) for column in ordered])
        return np.column_stack([column.astype(object) for column in ordered])

    def _frame(self, columns: list[np.ndarray], index: Any) -> pd.DataFrame:
        frame = pd.DataFrame(
            {
                j: _restore_dtype(column, spec)
                for j, (column, spec) in enumerate(zip(columns, self.dtypes, strict=True))
            }
        )
        if len(self.level_names) > 1:
            frame.columns = pd.MultiIndex.from_tuples(self.labels, names=self.level_names)
        else:
            frame.columns = pd.Index(self.labels, name=self.level_names[0], tupleize_cols=False)
        return frame if index is None else frame.set_axis(index, axis=0)

    # -- columns

    def check_labels(self, X: pd.DataFrame) -> None:
        """Refuse a DataFrame whose columns are not those of ``fit``, in their order.

        scikit-learn compares names that are strings; this compares all, such as two-level ones.
        """
        labels = list(X.columns)
        if self.is_frame and labels != self.labels:
            j = next(j for j, label in enumerate(labels) if label != self.labels[j])
            raise ValueError(
                f"The columns must be those of fit, in the same order: column {j} was "
                f"{self.labels[j]!r} and is {labels[j]!r} now."
            )

    def _label(self, j: int) -> str:
        return repr(self.labels[j]) if self.is_frame else f"{j}"

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
            words = _words(column) if is_categorical(column, self._label(j)) else None
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


# ---------------------------------------------------------------------------------------------
# dtypes, as plain values that any format can store


def _dtype_spec(dtype: Any) -> Any:
    """Describe a dtype by its name, or by plain values where the name does not tell all."""
    if isinstance(dtype, pd.CategoricalDtype):
        return {
            "categories": np.asarray(dtype.categories, dtype=object),
            "dtype": _dtype_spec(dtype.categories.dtype),
            "ordered": bool(dtype.ordered),
        }
    try:
        if types.pandas_dtype(str(dtype)) == dtype:
            return str(dtype)
    except (TypeError, NotImplementedError):  # there is no such name
        pass
    if isinstance(dtype, pd.ArrowDtype):
        return {"arrow": arrow_spec(dtype.pyarrow_dtype)}
    if isinstance(dtype, pd.SparseDtype):
        return {"sparse": str(dtype.subtype), "fill": dtype.fill_value}
    if isinstance(dtype, pd.StringDtype):
        return {"string": dtype.storage, "missing": "NA" if dtype.na_value is pd.NA else "nan"}
    return "object"


def _dtype_of(spec: Any) -> Any:
    """Give the dtype that was described."""
    if not isinstance(spec, dict):
        return types.pandas_dtype(spec)
    if "arrow" in spec:
        return pd.ArrowDtype(arrow_dtype(spec["arrow"]))
    if "sparse" in spec:
        return pd.SparseDtype(spec["sparse"], spec["fill"])
    if "string" in spec:
        missing = {} if spec["missing"] == "NA" else {"na_value": np.nan}
        return pd.StringDtype(spec["string"], **missing)
    categories = pd.Index(spec["categories"], dtype=_dtype_of(spec["dtype"]))
    return pd.CategoricalDtype(categories, spec["ordered"])


def with_dtype(column: np.ndarray, dtype: Any) -> pd.Series:
    """Give a column of decoded values a dtype; integers by rounding, within their range."""
    return _restore_dtype(column, _dtype_spec(dtype))


def _restore_dtype(column: np.ndarray, spec: Any) -> pd.Series:
    """Give a column the dtype of a description; integers by rounding."""
    dtype = _dtype_of(spec)
    if isinstance(dtype, pd.CategoricalDtype):
        return pd.Series(pd.Categorical(column, dtype=dtype))
    if isinstance(dtype, pd.ArrowDtype) and hasattr(dtype.pyarrow_dtype, "scale"):
        return pd.Series(decimals(column, dtype.pyarrow_dtype.scale)).astype(dtype)
    if types.is_bool_dtype(dtype) and column.dtype != object:
        column = column > 0.5
    plain = getattr(dtype, "numpy_dtype", getattr(dtype, "subtype", dtype))
    if types.is_float_dtype(dtype) and column.dtype != object:
        column = _clip_to_float(column, plain)
    if types.is_integer_dtype(dtype) and column.dtype != object:
        plain = np.dtype(plain)
        bounds = np.iinfo(plain)
        # float(max) of a 64-bit integer rounds up, out of its range
        top = np.nextafter(float(bounds.max), 0) if plain.itemsize == 8 else bounds.max
        column = np.clip(np.rint(column.astype(np.float64)), bounds.min, top).astype(plain)
    return pd.Series(column).astype(dtype)


def _unscale(column: np.ndarray, mean: float, scale: float) -> np.ndarray:
    """Undo a scaling; what is out of the range of floats becomes its end."""
    with np.errstate(over="ignore"):
        decoded = column * scale + mean
        lost = np.isinf(decoded) & np.isfinite(column)
        if lost.any():  # a product may be out of range where the sum is not
            bound = np.finfo(decoded.dtype).max / 2
            half = column[lost] * (scale / 2) + mean / 2
            decoded[lost] = 2 * np.clip(half, -bound, bound)
    return decoded


def _clip_to_float(column: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Cast to a float dtype; what is out of its range becomes its smallest or largest number."""
    if dtype == np.float64:  # nothing is out of its range; infinity would show an error elsewhere
        return column.astype(dtype)
    bounds = np.finfo(dtype)
    return np.clip(column.astype(np.float64), bounds.min, bounds.max).astype(dtype)


def _all_numbers(column: np.ndarray) -> bool:
    return all(isinstance(value, Number) for value in column)
