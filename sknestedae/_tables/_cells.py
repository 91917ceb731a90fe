"""Cells that hold arrays or structures of atoms: finding, reading, filling, comparing.

A column of such cells is one of objects. A cell holds an array or a list of numbers, such as a
spectrum or an image a row, or a structure, or nothing where a row was not measured; inside of an
array, NaN stands for an entry that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from ._input import as_array, is_array, unmask
from ._keys import key_of_bytes
from ._structures import is_structure, read_structure, structure_key

# Missing values of a column of cells have this key, as do arrays without any measured entry.
_NOTHING = 0


def holds_arrays(column: pd.Series | np.ndarray) -> bool:
    """Return whether the cells of a column hold arrays: its first one that is not missing does."""
    return is_array(_first_cell(column))


def holds_structures(column: pd.Series | np.ndarray) -> bool:
    """Return whether the cells of a column hold structures of atoms, by its first one."""
    return is_structure(_first_cell(column))


def holds_cells(column: pd.Series | np.ndarray) -> bool:
    """Return whether a column's cells hold arrays or structures of atoms, by its first one."""
    first = _first_cell(column)
    return is_array(first) or is_structure(first)


def _first_cell(column: pd.Series | np.ndarray) -> Any:
    """Return the first cell that is not missing of a column that may hold more than numbers."""
    is_object = isinstance(column.dtype, np.dtype) and column.dtype.kind == "O"
    is_list = isinstance(column.dtype, pd.ArrowDtype) and "list" in str(column.dtype)
    if not (is_object or is_list):
        return None
    return next((value for value in column if not is_nothing(value)), None)


def cell_columns(X: pd.DataFrame | np.ndarray, columns: Sequence[int] | None = None) -> list[int]:
    """Return the positions of a table's columns whose cells hold arrays or structures of atoms.

    Parameters
    ----------
    X, columns
        As in ``array_columns``.
    """
    return _columns_that(holds_cells, X, columns)


def array_columns(X: pd.DataFrame | np.ndarray, columns: Sequence[int] | None = None) -> list[int]:
    """Return the positions of a table's columns whose cells hold arrays.

    Parameters
    ----------
    X : DataFrame or ndarray
    columns : sequence of int, optional
        Which columns to look at, by position; all of them by default.
    """
    return _columns_that(holds_arrays, X, columns)


def _columns_that(
    holds: Callable[[pd.Series | np.ndarray], bool],
    X: pd.DataFrame | np.ndarray,
    columns: Sequence[int] | None,
) -> list[int]:
    """Return the positions of the columns whose cells are of a kind."""
    if not isinstance(X, pd.DataFrame):
        if X.dtype.kind != "O" or X.ndim != 2:
            return []
        columns = range(X.shape[1]) if columns is None else columns
        return [j for j in columns if holds(X[:, j])]
    dtypes = X.dtypes.to_numpy()
    columns = range(len(dtypes)) if columns is None else columns
    # most columns need not be taken out of the table: their dtype tells enough
    may_hold = [j for j in columns if not _is_plain(dtypes[j])]
    return [j for j in may_hold if holds(X.iloc[:, j])]


def _is_plain(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind != "O"


def cells_of(column: pd.Series | np.ndarray) -> np.ndarray:
    """Return the cells of a column, as an ndarray of object, shape (n_samples,)."""
    if isinstance(column, pd.Series):
        return column.to_numpy(dtype=object)
    return np.asarray(column, dtype=object)


def is_nothing(value: Any) -> bool:
    """Return whether a cell is missing as a whole."""
    is_number = isinstance(value, float | np.floating | Decimal)
    return value is None or value is pd.NA or value is pd.NaT or (is_number and value != value)


def read_cell(value: Any) -> np.ndarray | None:
    """Return the numbers of a cell.

    Parameters
    ----------
    value : array, tensor, list or missing value

    Returns
    -------
    ndarray of bool, int or float, of any shape, or None
        NaN where an entry is missing; None of a cell that is missing.

    Raises
    ------
    TypeError
        If it holds no array, or an array of other things than real numbers.
    ValueError
        If lists in a list have several lengths.
    """
    if not is_array(value):
        if is_nothing(value):
            return None
        raise TypeError(f"{value!r:.60}, which is no array")
    value = as_array(value)
    if isinstance(value, np.ma.MaskedArray):
        value = unmask(value)
    array = np.asarray(value)
    if array.dtype.kind in "biuf":
        return array
    if array.dtype != object:
        raise TypeError(f"an array of {array.dtype}, which are no real numbers")
    missing = np.asarray(pd.isna(array))
    for kind in {type(entry) for entry in array[~missing]}:
        if not issubclass(kind, Real | Decimal | np.bool_):
            raise TypeError(f"an array with {kind.__name__} in it, which are no real numbers")
    return np.where(missing, np.nan, array).astype(np.float64)


def read_cells(cells: Iterable[Any], name: str) -> list[np.ndarray | None]:
    """Return the arrays of cells, all of one shape; None for a missing cell.

    Parameters
    ----------
    cells : iterable of arrays, tensors, lists and missing values
    name : str
        Of what holds them, in messages.

    Raises
    ------
    TypeError
        If one holds no array, or an array of other things than real numbers.
    ValueError
        If they have several shapes.
    """
    try:
        arrays = [read_cell(cell) for cell in cells]
    except TypeError as error:
        raise TypeError(f"{name} holds {error}.") from error
    shape, first = None, 0
    for row, array in enumerate(arrays):
        if array is None:
            continue
        if shape is None:
            shape, first = array.shape, row
        elif array.shape != shape:
            raise ValueError(
                f"{name} holds arrays of several shapes: {shape} in row {first}, and "
                f"{array.shape} in row {row}; all must have one."
            )
    return arrays


def is_missing_in_part(value: Any) -> bool:
    """Return whether a cell is missing, or an entry of its array is."""
    array = read_cell(value)
    return array is None or bool(array.dtype.kind == "f" and np.isnan(array).any())


def is_measured_in_part(value: Any) -> bool:
    """Return whether any entry of a cell's array was measured."""
    array = read_cell(value)
    return array is not None and not (array.dtype.kind == "f" and bool(np.isnan(array).all()))


def fill_cell(value: Any, completed: Any) -> Any:
    """Return a cell with its missing entries taken from another one; measured ones stay.

    A structure of atoms is measured as a whole, or missing.

    Parameters
    ----------
    value : array, list or missing value
    completed : array, list or missing value
        Of the same shape; whatever it misses stays missing.

    Returns
    -------
    ndarray, or value
        In the dtype of the cell's own array; the other one as it is, where the cell is missing.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if is_structure(value) or is_structure(completed):
        return completed if is_nothing(value) else value
    array, other = read_cell(value), read_cell(completed)
    if array is None or other is None:
        return value if other is None else completed
    if array.shape != other.shape:
        raise ValueError(f"An array of shape {array.shape} cannot be filled from {other.shape}.")
    if array.dtype.kind != "f":
        return value
    return np.where(np.isnan(array), other, array).astype(array.dtype)


def cell_keys(column: pd.Series | np.ndarray) -> np.ndarray:
    """Compute a key of each cell of a column from its content.

    Arrays of equal shape and equal numbers have equal keys, whatever holds them: an array of
    float32 or of float64, or a list. An array without a measured entry is a missing cell. A
    structure has the key of its atoms, in their order.

    Returns
    -------
    ndarray of uint64, shape (n_samples,)
    """
    cells = cells_of(column)
    return np.fromiter((_cell_key(value) for value in cells), np.uint64, len(cells))


def _cell_key(value: Any) -> int:
    if is_structure(value):
        return structure_key(read_structure(value))
    array = read_cell(value)
    if array is None:
        return _NOTHING
    # float64 holds what other dtypes do, but for the largest integers, which then are rounded
    numbers = array.astype(np.float64) + 0.0  # -0.0 becomes 0.0
    missing = np.isnan(numbers)
    if missing.all():
        return _NOTHING
    numbers[missing] = np.nan  # there is more than one pattern of bits for it
    return key_of_bytes(np.ascontiguousarray(numbers), str(array.shape).encode())
