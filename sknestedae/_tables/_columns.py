"""Columns of a table: numbers or categories, and columns that a parameter names."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types
from sklearn.utils import gen_batches

from .._notices import notice
from ..exceptions import TextColumnWarning
from ._cells import cell_columns, holds_cells
from ._dtypes import dtype_groups, selector
from ._input import holds_categories
from ._labels import ColumnLabels
from ._text import doubt

# Rows looked at together: it bounds what a pass over a large table needs beside the table.
CHUNK_ROWS = 16_384

# Of wide tables fewer: so many numbers are looked at together, which is 8 MiB of float64.
_CHUNK_VALUES = 2**20

# Columns that are copied at once, of which some hundred rows fit into a cache.
_COPIED_COLUMNS = 128

# A message lists so many columns.
_MOST_LABELS = 20


def is_categorical(column: pd.Series, label: str) -> bool:
    """Return whether a DataFrame's column holds categories rather than numbers.

    Raises
    ------
    TypeError
        If the column holds neither, such as dates.
    """
    return holds_categories(column, f"Column {label}")


def chunk_rows(n_columns: int) -> int:
    """Return the number of rows of a wide table that are looked at together."""
    return min(CHUNK_ROWS, max(1, _CHUNK_VALUES // max(n_columns, 1)))


def take_column(X: pd.DataFrame | np.ndarray, j: int) -> pd.Series | np.ndarray:
    """Return one column of a table, by its position."""
    return X.iloc[:, j] if isinstance(X, pd.DataFrame) else X[:, j]


def categorical_mask(X: pd.DataFrame, columns: Sequence[int], labels: ColumnLabels) -> np.ndarray:
    """Return which of some columns hold categories rather than numbers.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_features)
    columns : sequence of int
        Positions of the columns to look at.
    labels : ColumnLabels
        Names of the table's columns, for messages.

    Returns
    -------
    ndarray of bool, shape (n_columns,)

    Raises
    ------
    TypeError
        If a column holds neither, such as dates.
    """
    dtypes = X.dtypes.to_numpy()
    mask = np.zeros(len(columns), dtype=bool)
    for dtype, own in dtype_groups(dtypes[list(columns)]).items():
        if dtype is not None:  # a dtype of plain numbers tells enough
            mask[own] = dtype.kind == "b"
            continue
        for k in own:
            mask[k] = is_categorical(X.iloc[:, columns[k]], labels.name(columns[k]))
    return mask


@np.errstate(over="ignore")  # an overflow becomes infinity, which the caller refuses
def read_floats(
    X: pd.DataFrame | np.ndarray,
    columns: list[int],
    labels: ColumnLabels,
    dtype: np.dtype,
    advice: str,
    *,
    rows: slice | np.ndarray | None = None,
    copy: bool = False,
) -> np.ndarray:
    """Read columns of numbers as floats, NaN where a value is missing.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
    columns : list of int
        Positions of the columns to read.
    labels : ColumnLabels
        Names of the columns, for messages.
    dtype : dtype
        float32 or float64.
    advice : str
        The end of a message about a column of words.
    rows : slice or ndarray of int, optional
        Which rows to read; all of them by default.
    copy : bool, default=False
        Whether the result may not share memory with X.

    Returns
    -------
    ndarray of shape (n_rows, n_columns)
    """
    if isinstance(rows, slice):
        X, rows = X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows], None
    if not isinstance(X, pd.DataFrame):
        if X.dtype.kind != "O":
            return _read_array(X, selector(columns), dtype, rows, copy=copy)
        X = pd.DataFrame(X, copy=False)
    out = np.empty((len(X) if rows is None else len(rows), len(columns)), dtype=dtype)
    groups = dtype_groups(X.dtypes.to_numpy()[columns])
    others = groups.pop(None, [])
    for own in groups.values():  # columns of one dtype at once, and some rows after others
        target, source = selector(own), selector([columns[k] for k in own])
        for chunk in gen_batches(len(out), chunk_rows(len(own))):
            part = X.iloc[chunk if rows is None else rows[chunk], source].to_numpy()
            if isinstance(target, slice):
                _copy(part, out[chunk, target])
            else:
                out[chunk, target] = part
    for k in others:
        column = X.iloc[:, columns[k]]
        column = column if rows is None else column.iloc[rows]
        out[:, k] = _read_column(column, labels.name(columns[k]), dtype, advice)
    return out


def _copy(source: np.ndarray, out: np.ndarray) -> None:
    """Copy numbers whose columns, as those of a DataFrame, may be the ones to lie in memory.

    Small squares fit into the caches of a CPU, which makes it four times as fast.
    """
    for j in range(0, out.shape[1], _COPIED_COLUMNS):
        columns = slice(j, j + _COPIED_COLUMNS)
        out[:, columns] = source[:, columns]


def _read_array(
    X: np.ndarray, chosen: slice | list[int], dtype: np.dtype, rows: Any, *, copy: bool
) -> np.ndarray:
    """Read columns of an array of numbers; the numbers of a row follow each other in memory."""
    if rows is not None:
        part = X[rows, chosen] if isinstance(chosen, slice) else X[np.ix_(rows, chosen)]
        return np.ascontiguousarray(part, dtype=dtype)  # of rows by position a copy was made
    if chosen == slice(0, X.shape[1]):  # columns that are all of the table need no copy
        return np.array(X, dtype=dtype, order="C") if copy else X.astype(dtype, copy=False)
    if isinstance(chosen, slice):
        return np.array(X[:, chosen], dtype=dtype, order="C")
    return X.take(chosen, axis=1).astype(dtype, copy=False)


def _read_column(column: pd.Series, name: str, dtype: np.dtype, advice: str) -> np.ndarray:
    """Read one column of numbers as floats, whatever holds them."""
    words = _words_of(column) if is_categorical(column, name) else None
    if words is not None and len(words):
        raise TypeError(
            f"Column {name} is numeric and must hold numbers; it holds {words.iloc[0]!r}. {advice}"
        )
    try:
        return column.to_numpy(dtype=dtype, na_value=np.nan)
    except OverflowError as error:
        raise ValueError(f"Column {name} holds an integer too large for {dtype}.") from error


def _words_of(column: pd.Series) -> pd.Series:
    """Return values that are no numbers in a categorical column; booleans count as 0 and 1."""
    values = column[column.notna()]
    if isinstance(column.dtype, pd.CategoricalDtype):
        return values
    return values[[isinstance(value, str) for value in values]]


def factorize(column: pd.Series | np.ndarray, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes (-1 where missing) and the distinct values of a column."""
    try:
        codes, distinct = pd.factorize(column)
    except TypeError as error:
        raise TypeError(
            f"Column {label} is categorical and its argument must be a string, a boolean or a "
            f"number in each row: {error}"
        ) from error
    # objects, as categories are compared and stored by value, whatever dtype they came in
    distinct = np.asarray(distinct, dtype=object)
    if any(isinstance(value, float | np.floating) and np.isinf(value) for value in distinct):
        raise ValueError(
            f"Column {label} contains infinity; a category must be finite, or NaN where it was "
            "not measured."
        )
    return codes, distinct


def sort_categories(categories: np.ndarray) -> np.ndarray:
    """Sort distinct values; by their text where they cannot be compared."""
    try:
        return np.sort(categories)
    except TypeError:
        return np.array(
            sorted(categories, key=lambda value: (str(type(value)), str(value))), object
        )


def resolve_columns(
    columns: Any, labels: list | None, n_features: int, subject: str
) -> np.ndarray:
    """Return the positions of columns.

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
        The beginning of a message, such as "The 'blocks' parameter".

    Returns
    -------
    ndarray of int

    Raises
    ------
    ValueError
        If a column is not there, or a mask has another length.
    """
    known = _Labels(labels, n_features, subject)
    if isinstance(columns, slice):
        ends = (columns.start, columns.stop)
        if labels is None or all(end is None or isinstance(end, Integral) for end in ends):
            return np.arange(n_features)[columns]
        # A name stands for one column or, as a first level, for several: a slice begins at the
        # first of them (element 0) and ends with the last of them (element -1).
        first, last = (
            None if end is None else known.positions(end)[-k] for k, end in enumerate(ends)
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
    found = [j for key in keys for j in known.positions(key)]
    return np.array(found, dtype=int)


class _Labels:
    """Labels of columns, by which each of thousands of names is found at once.

    Parameters
    ----------
    labels : list or None
        Of all columns; None of an array.
    n_features : int
    subject : str
        The beginning of a message.
    """

    def __init__(self, labels: list | None, n_features: int, subject: str) -> None:
        self.labels = labels
        self.n_features = n_features
        self.subject = subject
        self.whole: dict[Any, int] = {}
        self.first: dict[Any, list[int]] = {}
        self.second: dict[Any, list[int]] = {}
        for j, label in enumerate(labels or []):
            self.whole.setdefault(label, j)
            if isinstance(label, tuple):
                self.first.setdefault(label[0], []).append(j)
                if len(label) == 2:
                    self.second.setdefault(label[1], []).append(j)

    def positions(self, key: Any) -> list[int]:
        """Return the positions of the columns that one name or index stands for."""
        whole, first, second = (
            _find(known, key) for known in (self.whole, self.first, self.second)
        )
        if whole is not None:  # before positions, as a label may be an integer
            return [whole]
        is_index = isinstance(key, Integral) and not isinstance(key, bool)
        if is_index and -self.n_features <= key < self.n_features:
            return [int(key) % self.n_features]
        if first is not None or (second is not None and len(second) == 1):
            return first or second
        raise ValueError(f"{self.subject} names the column {key!r}; X has {self._known()}.")

    def _known(self) -> str:
        """List the columns for a message; of many, the first levels or the first columns."""
        if self.labels is None:
            return f"{self.n_features} columns without names, which are known by position"
        if len(self.labels) <= _MOST_LABELS:
            return f"columns {self.labels}"
        if self.first and len(self.first) <= _MOST_LABELS:
            return f"{self.n_features} columns, with the first levels {list(self.first)}"
        return f"{self.n_features} columns, the first of them {self.labels[:_MOST_LABELS]}"


def _find(known: dict[Any, Any], key: Any) -> Any:
    """Return the value of a key; None if there is none, or the key cannot be hashed."""
    try:
        return known.get(key)
    except TypeError:
        return None


def keeps_column_types(X: Any, categorical_features: Any, fitted_categories: bool) -> bool:
    """Return whether X keeps its columns' own types, rather than being read as an array of floats.

    A DataFrame does; and an array of objects, where some of its columns are named as categorical,
    or were found to be so in ``fit``, or have cells that hold arrays or structures of atoms.
    """
    if isinstance(X, pd.DataFrame):
        return True
    dtype = getattr(X, "dtype", None)  # a list has none
    if isinstance(dtype, np.dtype) and dtype.kind in "fiub":
        return False
    named = categorical_features is not None and not isinstance(categorical_features, str)
    return named or fitted_categories or (isinstance(X, np.ndarray) and bool(cell_columns(X)))


def notice_doubt(column: pd.Series, label: str) -> None:
    """Warn about a column of text that seems to be no category."""
    said = doubt(column)
    if said is not None:
        notice(
            f"Column {label} {said}. If it holds categories all the same, say so: name it in "
            "categorical_features, or give it the dtype 'category'.",
            TextColumnWarning,
        )


def kinds_by_content(
    X: pd.DataFrame | np.ndarray, columns: Sequence[int] | None = None
) -> list[int] | None:
    """Return which columns are categorical, where some mix words and numbers.

    Some rows of such a column may hold numbers alone; so its kind must be decided once, by the
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
    dtypes = X.dtypes.to_numpy()
    # Any rows of a usual column tell what it is; only one of mixed kinds takes the whole table.
    if not any(dtypes[j].kind == "O" and mixes_kinds(X.iloc[:, j]) for j in columns):
        return None
    found = []
    for i, j in enumerate(columns):
        column, label = X.iloc[:, j], repr(X.columns[j])
        if not holds_cells(column) and is_categorical(column, label):
            notice_doubt(column, label)  # who takes the answer asks no more
            found.append(i)
    return found


def mixes_kinds(column: pd.Series) -> bool:
    """Return whether a column of objects mixes numbers with words or booleans."""
    if not types.is_object_dtype(column.dtype):
        return False
    kinds = {type(value) for value in column[column.notna()]}
    is_number = [issubclass(kind, Real | Decimal) and kind is not bool for kind in kinds]
    return any(is_number) and not all(is_number)
