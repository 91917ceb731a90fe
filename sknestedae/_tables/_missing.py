"""Missing values of a table: finding them, and filling them from completed rows.

How a row is completed is up to the caller. Nothing here knows of torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types
from sklearn.utils import Bunch, gen_batches

from .._compat import stack_level_of_caller
from ..exceptions import ToleranceWarning
from ._cells import (
    array_columns,
    cell_columns,
    cells_of,
    fill_cell,
    holds_arrays,
    holds_cells,
    is_measured_in_part,
    is_missing_in_part,
)
from ._columns import chunk_rows, take_column
from ._dtypes import assemble, cast_numbers, dtype_groups, selector, with_dtype
from ._input import TableKind, give_back
from ._splits import row_keys


class Completions(NamedTuple):
    """Completed rows, of rows with missing values.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_completions, n_features)
        Completed rows; entries that were measured may hold anything.
    rows : ndarray of int, shape (n_completions,)
        Which row each completes, in rising order; of one row, the more probable first.
    mismatch : ndarray of shape (n_completions,)
    nearest : ndarray of shape (n_samples,)
        The smallest mismatch that was found for each row, also where it is above the tolerance.
    """

    X: pd.DataFrame | np.ndarray
    rows: np.ndarray
    mismatch: np.ndarray
    nearest: np.ndarray


# How several completions are searched for: how many, and within which mismatch.
CompletionSearch = tuple[int, float]


def complete_table(
    X: pd.DataFrame | np.ndarray,
    find: Callable[[Any, CompletionSearch | None], Completions],
    predict: Callable[[Any], Any] | None,
    n_candidates: int | None,
    tolerance: float | None,
) -> pd.DataFrame | np.ndarray | Bunch:
    """Complete a checked table; or return several completions of each row.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
    find : callable
        Completes rows with missing values: each once, or in the ways that are searched for.
    predict : callable or None
        Gives the target of completed rows, or None.
    n_candidates, tolerance
        As in ``complete``.

    Returns
    -------
    DataFrame, ndarray or Bunch
        As ``complete`` gives it.
    """
    limit = check_search(n_candidates, tolerance)
    incomplete = np.flatnonzero(missing_entries(X).any(axis=1))
    nearest = np.zeros(len(X))
    found = Completions(X[:0], incomplete, np.zeros(0), np.zeros(0))
    if len(incomplete):
        search = None if n_candidates is None else (n_candidates, limit)
        found = find(take_rows(X, incomplete), search)
        nearest[incomplete] = found.nearest
    if n_candidates is None:
        warn_of_mismatch(nearest, limit, "is completed all the same")
        return fill_missing(X, found.X, incomplete)
    warn_of_mismatch(nearest, limit, "has no candidate")
    filled, rows, position = fill_candidates(X, found.X, incomplete[found.rows])
    # completions that differ in no entry, such as after rounding to integers, are one
    kept = first_of_each(filled, rows)
    filled, position = take_rows(filled, kept), position[kept]
    prediction = None
    if predict is not None:
        # without any candidate, one row is predicted for the shape, and none of it is given
        prediction = predict(filled if len(filled) else take_rows(X, slice(0, 1)))
    return Bunch(
        X=filled,
        row=rows[kept],
        mismatch=np.where(position >= 0, np.append(found.mismatch, 0.0)[position], 0.0),
        prediction=None if prediction is None else prediction[: len(filled)],
    )


def give_back_filled(
    found: pd.DataFrame | np.ndarray | Bunch, kind: TableKind
) -> pd.DataFrame | np.ndarray | Bunch:
    """Return the result of ``complete_table`` as the kind of frame that came in."""
    if isinstance(found, Bunch):
        found.X = give_back(found.X, kind)
        return found
    return give_back(found, kind)


def check_search(n_candidates: int | None, tolerance: float | None) -> float:
    """Check the parameters of a search for completions; return the tolerance as a number."""
    is_count = isinstance(n_candidates, Integral) and not isinstance(n_candidates, bool)
    if n_candidates is not None and not (is_count and n_candidates >= 1):
        raise ValueError(
            f"The 'n_candidates' parameter must be a positive int or None, got {n_candidates!r}."
        )
    if tolerance is None:
        return np.inf
    is_number = isinstance(tolerance, Real) and not isinstance(tolerance, bool)
    if not (is_number and tolerance > 0):
        raise ValueError(
            f"The 'tolerance' parameter must be a positive number or None, got {tolerance!r}."
        )
    return float(tolerance)


def warn_of_mismatch(mismatch: np.ndarray, tolerance: float, fate: str) -> None:
    """Warn about rows whose best completion is not within a tolerance."""
    outside = np.flatnonzero(mismatch > tolerance)
    if len(outside):
        warnings.warn(
            f"{len(outside)} of {len(mismatch)} rows have no completion within tolerance="
            f"{tolerance:g}: the first of them, row {outside[0]}, {fate}. Its smallest mismatch "
            f"is {mismatch[outside[0]]:.3g}; that of all of them is "
            f"{mismatch[outside].min():.3g}.",
            ToleranceWarning,
            stacklevel=stack_level_of_caller(),
        )


def take_rows(X: Any, rows: np.ndarray | slice | Sequence[int]) -> Any:
    """Return some rows of a DataFrame or an array, by position or by a mask."""
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]


def missing_entries(X: pd.DataFrame | np.ndarray) -> np.ndarray:
    """Return which entries were not measured, as a bool ndarray of shape (n_samples, n_features).

    A cell that holds an array counts as missing if any entry of its array is.
    """
    if isinstance(X, pd.DataFrame):
        missing = X.isna().to_numpy(dtype=bool)
    else:
        missing = np.asarray(pd.isna(X))
    of_arrays = array_columns(X)
    if of_arrays:
        missing = missing.copy()
        for j in of_arrays:
            missing[:, j] = [is_missing_in_part(cell) for cell in cells_of(take_column(X, j))]
    return missing


def measured_rows(X: pd.DataFrame | np.ndarray, columns: Sequence[int]) -> np.ndarray:
    """Return in which rows anything was measured of some columns.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
    columns : sequence of int
        Their positions.

    Returns
    -------
    ndarray of bool, shape (n_samples,)
    """
    columns = list(columns)
    if not isinstance(X, pd.DataFrame):
        X = pd.DataFrame(X, copy=False)
    measured = np.zeros(len(X), dtype=bool)
    for dtype, group in dtype_groups(X.dtypes.to_numpy()[columns]).items():
        own = [columns[k] for k in group]
        if dtype is None:  # a column at a time: nothing as large as the table is made
            for j in own:
                measured |= _is_measured(X.iloc[:, j])
                if measured.all():  # as one column tells of most tables
                    return measured
            continue
        for rows in gen_batches(len(X), chunk_rows(len(own))):
            part = X.iloc[rows, selector(own)].to_numpy()
            measured[rows] |= ~np.isnan(part).all(axis=1)
    return measured


def _is_measured(column: pd.Series) -> np.ndarray:
    """Return in which rows anything was measured of a column of any dtype."""
    if holds_arrays(column):
        return np.array([is_measured_in_part(cell) for cell in cells_of(column)], dtype=bool)
    return column.notna().to_numpy(dtype=bool)


def fill_missing(
    X: pd.DataFrame | np.ndarray,
    completed: pd.DataFrame | np.ndarray,
    rows: np.ndarray | None = None,
) -> pd.DataFrame | np.ndarray:
    """Return a table with its missing values taken from another one.

    Measured entries stay as they are, and so do values that the other table misses too. A column
    of a DataFrame keeps its dtype (a number filled into integers is rounded); one with nothing
    measured takes that of the other table. Of a cell that holds an array, the missing entries
    alone are taken.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
    completed : DataFrame or ndarray of shape (n_rows, n_features)
    rows : ndarray of int, shape (n_rows,), optional
        Which rows of X the other table has, in rising order; all others are complete.
    """
    missing = missing_entries(X)
    if rows is None:
        rows = np.arange(len(X))
    if isinstance(X, pd.DataFrame):
        # where an array was fitted, completed rows are one
        return _fill_frame(X, pd.DataFrame(completed), rows, missing)
    filled, completed = np.array(X), np.asarray(completed)
    filled[missing] = completed[missing[rows]]
    for j in cell_columns(X):
        filled[:, j] = _fill_cells(X[:, j], completed[:, j], rows, missing[:, j])
    return filled


def _fill_frame(
    X: pd.DataFrame, completed: pd.DataFrame, rows: np.ndarray, missing: np.ndarray
) -> pd.DataFrame:
    """Fill a DataFrame; columns of one dtype of plain numbers at once."""
    # a position for each column whose values are missing in all rows, in some, or in none
    is_absent = missing.all(axis=0) & (len(X) > 0)
    is_whole = ~missing.any(axis=0)
    frames: list[pd.DataFrame] = []
    order: list[int] = []

    def add(frame: pd.DataFrame, columns: Sequence[int]) -> None:
        frames.append(frame.set_axis(X.index, axis=0))
        order.extend(columns)

    for source, is_taken in ((X, is_whole), (completed, is_absent)):
        taken = np.flatnonzero(is_taken).tolist()
        if taken:
            add(source.iloc[:, selector(taken)], taken)
    some = np.flatnonzero(~is_absent & ~is_whole).tolist()
    dtypes, others = X.dtypes.to_numpy(), completed.dtypes.to_numpy()
    # of plain numbers, floats alone can be missing
    plain = [dtypes[j] if _is_plain(dtypes[j]) and _is_plain(others[j]) else None for j in some]
    for dtype, group in dtype_groups(plain).items():
        own = [some[k] for k in group]
        if dtype is None:
            for j in own:
                add(_fill_column(X, completed, j, rows, missing[:, j]).to_frame(), [j])
            continue
        chosen = selector(own)
        values, where = np.array(X.iloc[:, chosen].to_numpy()), missing[:, chosen]
        given = completed.iloc[:, chosen].to_numpy()[where[rows]]
        values[where] = cast_numbers(given, dtype)
        add(pd.DataFrame(values, copy=False), own)
    if not frames:  # a table without columns
        return X.copy()
    return assemble(frames, order).set_axis(X.columns, axis=1)


def _is_plain(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in "fiub"


def _fill_column(
    X: pd.DataFrame, completed: pd.DataFrame, j: int, rows: np.ndarray, missing: np.ndarray
) -> pd.Series:
    """Fill one column of a DataFrame, of any dtype."""
    column = X.iloc[:, j]
    if holds_cells(column):
        filled = _fill_cells(cells_of(column), cells_of(completed.iloc[:, j]), rows, missing)
        return pd.Series(filled, dtype=object).astype(column.dtype)
    where = np.flatnonzero(missing)
    return _fill_values(column, where, completed.iloc[np.searchsorted(rows, where), j])


def _fill_cells(
    cells: np.ndarray, completed: np.ndarray, rows: np.ndarray, missing: np.ndarray
) -> np.ndarray:
    """Fill cells that hold arrays, of shape (n_samples,)."""
    filled = cells.copy()
    for i in np.flatnonzero(missing):
        filled[i] = fill_cell(cells[i], completed[np.searchsorted(rows, i)])
    return filled


def fill_candidates(
    X: pd.DataFrame | np.ndarray, completed: pd.DataFrame | np.ndarray, rows: np.ndarray
) -> tuple[pd.DataFrame | np.ndarray, np.ndarray, np.ndarray]:
    """Complete each row in several ways; return complete rows once, as they are.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
    completed : DataFrame or ndarray of shape (n_completions, n_features)
    rows : ndarray of int, shape (n_completions,)
        Which row each completes.

    Returns
    -------
    filled : DataFrame or ndarray of shape (n_filled, n_features)
    rows : ndarray of int, shape (n_filled,)
        In rising order.
    position : ndarray of int, shape (n_filled,)
        Of the completion; -1 of a row that was complete.
    """
    whole = np.flatnonzero(~missing_entries(X).any(axis=1))
    every = np.concatenate([whole, rows])
    position = np.concatenate([np.full(len(whole), -1), np.arange(len(rows))])
    order = np.argsort(every, kind="stable")
    every, position = every[order], position[order]
    part = take_rows(X, every)
    # complete rows take nothing, so that any row will do for them
    source = take_rows(completed, np.maximum(position, 0)) if len(rows) else part
    return fill_missing(part, source), every, position


def first_of_each(X: pd.DataFrame | np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return which completions differ from all earlier ones of their row.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_completions, n_features)
    rows : ndarray of int, shape (n_completions,)
        Which row each completes.

    Returns
    -------
    ndarray of bool, shape (n_completions,)
    """
    keys = pd.DataFrame({"row": rows, "content": row_keys(X)})
    return ~keys.duplicated().to_numpy()


def _fill_values(column: pd.Series, where: np.ndarray, values: pd.Series) -> pd.Series:
    """Put values at some positions of a column, in its dtype."""
    is_given = values.notna().to_numpy()
    where, values = where[is_given], values[is_given]
    if isinstance(column.dtype, pd.CategoricalDtype):
        known = set(column.cat.categories)
        new = sorted({v for v in values if v not in known}, key=str)
        column = column.cat.add_categories(new) if new else column  # else their dtype may change
    elif types.is_numeric_dtype(column.dtype) and types.is_numeric_dtype(values.dtype):
        values = with_dtype(values.to_numpy(), column.dtype)
    # by way of objects: no dtype of pandas refuses them, or warns of a change
    filled = column.astype(object)
    filled.iloc[where] = values.astype(object).tolist()
    return filled.astype(column.dtype)
