"""Conversion of one kind's data to a table in which other kinds are missing, and back."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pandas as pd

from ._cells import holds_arrays, read_cells
from ._encoder import TableEncoder
from ._input import as_array, n_dims, read_table


def read_kind(X: Any, parameter: str = "X") -> pd.DataFrame | pd.Series | np.ndarray:
    """Return data of one kind as a DataFrame, a column of arrays, or an array.

    Parameters
    ----------
    X : array-like, DataFrame or Series
        Also a list of arrays, of rows that were not measured None.
    parameter : str, default="X"
        Name of the parameter, in messages.
    """
    if isinstance(X, pd.Series):
        return X
    if isinstance(X, list | tuple):
        rows = as_array(X)
        # rows that are lists of numbers, or categories beside numbers, are read as a table is
        if any(row is None or (isinstance(row, np.ndarray) and row.ndim > 1) for row in rows):
            return _stacked(rows, parameter)
    if X is None or isinstance(X, str) or (isinstance(X, np.ndarray) and not X.ndim):
        return np.asarray(X)  # no table, which whoever needs one says
    return read_table(X, parameter)


def _stacked(cells: Any, parameter: str) -> np.ndarray:
    """Return arrays as rows of one, of shape (n_samples, ...); NaN where there is none."""
    arrays = read_cells(cells, parameter)
    whole = [array for array in arrays if array is not None]
    if not whole:
        raise ValueError(f"{parameter} has {len(arrays)} rows, none of which was measured.")
    if len(whole) == len(arrays):
        return np.stack(whole)
    dtype = np.result_type(np.float32, *whole)
    stacked = np.full((len(arrays), *whole[0].shape), np.nan, dtype)
    stacked[[array is not None for array in arrays]] = whole
    return stacked


def table_of_kind(
    X: Any, name: str, encoder: TableEncoder, parameter: str = "X"
) -> pd.DataFrame | np.ndarray:
    """Return a table with the columns of ``fit`` in which one kind alone is measured.

    Parameters
    ----------
    X : array-like, DataFrame or Series
        The kind's own columns, or its arrays, of shape (n_samples, ...); or a whole table, of
        which the kind's columns are taken.
    name : str
        Of the kind.
    encoder : TableEncoder
        Fitted.
    parameter : str, default="X"
        Name of the parameter, in messages.

    Raises
    ------
    ValueError
        If X has neither the columns of the kind nor those of the table.
    """
    labels, positions = encoder.column_labels, encoder.codecs[name].columns.positions
    X = read_kind(X, parameter)
    index = X.index if isinstance(X, pd.Series) else None
    is_column = index is not None
    if is_column and not encoder.codecs[name].has_cells and holds_arrays(X):
        X = _stacked(X, parameter)
    elif is_column and X.name is None and labels.is_frame:  # it is the column that the kind has
        X = X.to_frame(labels.labels[positions[0]])
    elif is_column:
        X = X.to_frame()
    if isinstance(X, pd.DataFrame) and labels.is_frame:
        part = _own_columns(X, name, encoder, parameter)
    else:
        part = _own_array(X, name, encoder, parameter)
    if labels.is_frame:
        columns = labels.index()
        if not isinstance(part, pd.DataFrame):
            part = pd.DataFrame(part, index)
        part = part.set_axis(columns[positions], axis=1)
        return part.reindex(columns=columns)
    dtype = object if encoder.keeps_objects else np.result_type(part.dtype, np.float32)
    table = np.full((len(part), encoder.n_features), np.nan, dtype=dtype)
    table[:, positions] = part
    return table


def _own_columns(
    X: pd.DataFrame, name: str, encoder: TableEncoder, parameter: str
) -> pd.DataFrame:
    """Return the columns of a kind, in the order of ``fit``, of a DataFrame."""
    labels, positions = encoder.column_labels, encoder.codecs[name].columns.positions
    if X.shape[1] == encoder.n_features:
        encoder.check_labels(X)
        return X.iloc[:, positions]
    own = [labels.labels[j] for j in positions]
    # the kind may be one level of two: then its own table has the other alone
    features = [label[-1] if isinstance(label, tuple) else label for label in own]
    for wanted in (own, features):
        if len(X.columns) == len(own) and set(X.columns) == set(wanted):
            return X[wanted]
    raise ValueError(
        f"{parameter} must have the {len(own)} columns of the kind {name!r}, such as {own[0]!r}, "
        f"or all {encoder.n_features} columns of fit; got {X.shape[1]} columns, such as "
        f"{X.columns[0] if len(X.columns) else None!r}."
    )


def _own_array(X: Any, name: str, encoder: TableEncoder, parameter: str) -> np.ndarray:
    """Return the values of a kind of an array, of shape (n_samples, n_columns)."""
    codec = encoder.codecs[name]
    positions, shape = codec.columns.positions, codec.layout.shape
    X = np.asarray(X)
    if codec.has_cells and X.dtype == object and n_dims(X) == 1:  # a column of cells
        X = X[:, None]
    rule = (
        f"{parameter} must have the shape (n_samples, {len(positions)}) of the columns of the "
        f"kind {name!r}"
        + (f", or (n_samples, {', '.join(map(str, shape))}) of its arrays" if shape else "")
        + f", or (n_samples, {encoder.n_features}) of the whole table"
    )
    if codec.has_cells and X.shape[1:] == shape:
        cells = np.empty((len(X), 1), dtype=object)
        for row, array in zip(cells, X, strict=True):
            row[0] = array
        return cells
    if shape and X.shape[1:] == shape:
        return X.reshape(len(X), prod(shape))
    is_read = not codec.has_cells or X.dtype == object  # else numbers, where cells hold arrays
    if n_dims(X) == 2 and X.shape[1] == len(positions) and is_read:
        return X
    if n_dims(X) == 2 and X.shape[1] == encoder.n_features:
        return X[:, positions]
    got = f"the shape {X.shape}" if X.ndim else repr(X.item())
    raise ValueError(f"{rule}; got {got}.")


def kind_of_table(
    table: pd.DataFrame | np.ndarray, name: str, encoder: TableEncoder, *, as_array: bool
) -> pd.DataFrame | np.ndarray:
    """Return the columns of one kind of a table with the columns of ``fit``.

    Parameters
    ----------
    table : DataFrame or ndarray of shape (n_samples, n_features)
    name : str
        Of the kind.
    encoder : TableEncoder
        Fitted.
    as_array : bool
        Whether to return an array rather than a DataFrame: of a spectrum or an image, with its
        shape.
    """
    codec = encoder.codecs[name]
    positions, shape = codec.columns.positions, codec.layout.shape
    if isinstance(table, pd.DataFrame):
        part = table.iloc[:, positions]
        if not as_array:
            return part
        if codec.has_cells and shape:  # structures of atoms have none
            cells = part.iloc[:, 0].tolist()
            return np.stack(cells) if cells else np.empty((0, *shape))
        values = part.to_numpy()
    else:
        values = table[:, positions]
    return values.reshape(len(values), *shape) if shape else values
