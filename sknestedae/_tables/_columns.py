"""Columns of a table: numbers or categories, and which ones a parameter names."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from .._notices import notice
from ..exceptions import TextColumnWarning
from ._input import holds_categories
from ._labels import ColumnLabels
from ._text import doubt


def is_categorical(column: pd.Series, label: str) -> bool:
    """Tell whether a DataFrame's column holds categories rather than numbers.

    Raises
    ------
    TypeError
        If the column holds neither, such as dates.
    """
    return holds_categories(column, f"Column {label}")


def take_column(X: pd.DataFrame | np.ndarray, j: int) -> pd.Series | np.ndarray:
    """Give one column of a table, by its position."""
    return X.iloc[:, j] if isinstance(X, pd.DataFrame) else X[:, j]


@np.errstate(over="ignore")  # an overflow becomes infinity, which the caller refuses
def read_floats(
    X: pd.DataFrame | np.ndarray,
    columns: list[int],
    labels: ColumnLabels,
    dtype: np.dtype,
    advice: str,
    *,
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
    copy : bool, default=False
        Whether the result may not share memory with X.

    Returns
    -------
    ndarray of shape (n_samples, n_columns)
    """
    if not isinstance(X, pd.DataFrame) and X.dtype != object:
        # an index makes a copy, and columns that are all of the table need none
        part = X if columns == list(range(X.shape[1])) else X[:, columns]
        return part.astype(dtype, copy=copy and part is X)
    out = np.empty((len(X), len(columns)), dtype=dtype)
    for k, j in enumerate(columns):
        column = take_column(X, j)
        column = column if isinstance(column, pd.Series) else pd.Series(column)
        name = labels.name(j)
        words = _words_of(column) if is_categorical(column, name) else None
        if words is not None and len(words):
            raise TypeError(
                f"Column {name} is numeric and must hold numbers; it holds {words.iloc[0]!r}. "
                f"{advice}"
            )
        try:
            out[:, k] = column.to_numpy(dtype=dtype, na_value=np.nan)
        except OverflowError as error:
            raise ValueError(f"Column {name} holds an integer too large for {dtype}.") from error
    return out


def _words_of(column: pd.Series) -> pd.Series:
    """Give what cannot count as a number in a categorical column; booleans can, as 0 and 1."""
    values = column[column.notna()]
    if isinstance(column.dtype, pd.CategoricalDtype):
        return values
    return values[[isinstance(value, str) for value in values]]


def factorize(column: pd.Series | np.ndarray, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Give the codes (-1 where missing) and the distinct values of a column."""
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
        The beginning of a message, such as "The 'blocks' parameter".

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
        # A name stands for one column or, as a first level, for several: a slice begins at the
        # first of them (element 0) and ends with the last of them (element -1).
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
    """Give the positions of the columns that one name or index stands for."""
    if labels is not None and key in labels:  # before positions, as a label may be an integer
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


def keeps_column_types(X: Any, categorical_features: Any, fitted_categories: bool) -> bool:
    """Tell whether X keeps its columns' own types, rather than being read as an array of floats.

    A DataFrame does; and an array of objects, where some of its columns are named as categorical,
    or were found to be so in ``fit``.
    """
    if isinstance(X, pd.DataFrame):
        return True
    named = categorical_features is not None and not isinstance(categorical_features, str)
    if not (named or fitted_categories):
        return False
    dtype = getattr(X, "dtype", None)  # a list has none
    return not (isinstance(dtype, np.dtype) and dtype.kind in "fiub")


def cell_columns(X: Any) -> dict[int, int]:
    """Find the columns of a DataFrame whose cells hold arrays.

    Parameters
    ----------
    X : DataFrame or another table

    Returns
    -------
    dict of int to int
        The number of dimensions of a cell, by the column's position.
    """
    if not isinstance(X, pd.DataFrame):
        return {}
    found = {}
    for j, dtype in enumerate(X.dtypes):
        if not types.is_object_dtype(dtype):
            continue
        for cell in X.iloc[:, j]:
            if isinstance(cell, np.ndarray) and cell.ndim > 0:
                found[j] = cell.ndim
            if cell is not None and cell is not pd.NA and not isinstance(cell, float):
                break  # the first value tells
    return found


def notice_doubt(column: pd.Series, label: str) -> None:
    """Warn of a column of text that seems to be no category."""
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
    # Any rows of a usual column tell what it is; only one of mixed kinds takes the whole table.
    if not any(mixes_kinds(X.iloc[:, j]) for j in columns):
        return None
    found, cells = [], cell_columns(X)
    for i, j in enumerate(columns):
        if j in cells:
            continue
        column, label = X.iloc[:, j], repr(X.columns[j])
        if is_categorical(column, label):
            notice_doubt(column, label)  # who takes the answer asks no more
            found.append(i)
    return found


def mixes_kinds(column: pd.Series) -> bool:
    """Tell whether a column of objects holds numbers beside words or booleans."""
    if not types.is_object_dtype(column.dtype):
        return False
    kinds = {type(value) for value in column[column.notna()]}
    is_number = [issubclass(kind, Real | Decimal) and kind is not bool for kind in kinds]
    return any(is_number) and not all(is_number)
