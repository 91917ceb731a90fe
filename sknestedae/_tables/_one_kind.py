"""The data of one kind alone: to a table in which all other kinds are missing, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ._encoder import TableEncoder
from ._input import n_dims, read_table


def table_of_kind(X: Any, name: str, encoder: TableEncoder) -> pd.DataFrame | np.ndarray:
    """Give a table with the columns of ``fit``, of which those of one kind alone are measured.

    Parameters
    ----------
    X : array-like, DataFrame or Series
        The kind's own columns, or its arrays, of shape (n_samples, ...); or a whole table, of
        which the kind's columns are taken.
    name : str
        Of the kind.
    encoder : TableEncoder
        Fitted.

    Raises
    ------
    ValueError
        If X has neither the columns of the kind nor those of the table.
    """
    labels, positions = encoder.column_labels, encoder.codecs[name].columns.positions
    if not isinstance(X, pd.Series):
        X = read_table(X)
    elif X.name is None and labels.is_frame:  # it is the column that the kind has
        X = X.to_frame(labels.labels[positions[0]])
    else:
        X = X.to_frame()
    if isinstance(X, pd.DataFrame) and labels.is_frame:
        part = _own_columns(X, name, encoder)
    else:
        part = _own_array(X, name, encoder)
    if labels.is_frame:
        columns = labels.index()
        if not isinstance(part, pd.DataFrame):
            part = pd.DataFrame(part)
        part = part.set_axis(columns[positions], axis=1)
        return part.reindex(columns=columns)
    dtype = object if encoder.keeps_objects else np.result_type(part.dtype, np.float32)
    table = np.full((len(part), encoder.n_features), np.nan, dtype=dtype)
    table[:, positions] = part
    return table


def _own_columns(X: pd.DataFrame, name: str, encoder: TableEncoder) -> pd.DataFrame:
    """Give the columns of a kind, in the order of ``fit``, of a DataFrame."""
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
        f"X must have the {len(own)} columns of the kind {name!r}, such as {own[0]!r}, or all "
        f"{encoder.n_features} columns of fit; got {X.shape[1]} columns, such as "
        f"{X.columns[0] if len(X.columns) else None!r}."
    )


def _own_array(X: Any, name: str, encoder: TableEncoder) -> np.ndarray:
    """Give the values of a kind of an array, of shape (n_samples, n_columns)."""
    codec = encoder.codecs[name]
    positions, shape = codec.columns.positions, codec.layout.shape
    X = np.asarray(X)
    if codec.has_cells and X.dtype == object and n_dims(X) == 1:  # a column of cells
        X = X[:, None]
    rule = (
        f"X must have the shape (n_samples, {len(positions)}) of the columns of the kind "
        f"{name!r}"
        + (f", or (n_samples, {', '.join(map(str, shape))}) of its arrays" if shape else "")
        + f", or (n_samples, {encoder.n_features}) of the whole table"
    )
    if codec.has_cells and X.shape[1:] == shape:
        cells = np.empty((len(X), 1), dtype=object)
        for row, array in zip(cells, X, strict=True):
            row[0] = array
        return cells
    if shape and X.shape[1:] == shape:
        return X.reshape(len(X), -1)
    is_read = not codec.has_cells or X.dtype == object  # else numbers, where cells hold arrays
    if n_dims(X) == 2 and X.shape[1] == len(positions) and is_read:
        return X
    if n_dims(X) == 2 and X.shape[1] == encoder.n_features:
        return X[:, positions]
    raise ValueError(f"{rule}; got the shape {X.shape}.")


def kind_of_table(
    table: pd.DataFrame | np.ndarray, name: str, encoder: TableEncoder, *, as_array: bool
) -> pd.DataFrame | np.ndarray:
    """Give the columns of one kind of a table with the columns of ``fit``.

    Parameters
    ----------
    table : DataFrame or ndarray of shape (n_samples, n_features)
    name : str
        Of the kind.
    encoder : TableEncoder
        Fitted.
    as_array : bool
        Whether to give an array rather than a DataFrame: of a spectrum or an image, with its
        shape.
    """
    codec = encoder.codecs[name]
    positions, shape = codec.columns.positions, codec.layout.shape
    if isinstance(table, pd.DataFrame):
        part = table.iloc[:, positions]
        if not as_array:
            return part
        if codec.has_cells:
            cells = part.iloc[:, 0].tolist()
            return np.stack(cells) if cells else np.empty((0, *shape))
        values = part.to_numpy()
    else:
        values = table[:, positions]
    return values.reshape(len(values), *shape) if shape else values
