"""Columns of a table that are one array, such as a spectrum: finding, reading, choosing rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_random_state

from .._estimators._unwrap import steps_before
from .._tables._input import as_array, column_of_structures
from .._tables._structures import is_structure
from ..blocks._drawing import draw_array
from ._base import column_positions, columns_to_draw, core_of, match_columns


class ArrayColumns(NamedTuple):
    """Columns that are one array, or one column whose cells are arrays.

    Parameters
    ----------
    name : str
    columns : list of int
        Positions in the table, in the order of the array's elements.
    shape : tuple of int
    plot : callable
        Called with axes, given values, decoded ones or None, and keywords `label`, `unit`, `x`,
        `names` and `titles`; see :func:`~sknestedae.blocks._drawing.draw_values`.
    align : callable or None
        From decoded values and given ones, of shape (n_samples, n_values), NaN where not measured,
        to decoded ones in the pose of the given; see :meth:`~sknestedae.blocks.Block.align`.
    """

    name: str
    columns: list[int]
    shape: tuple[int, ...]
    plot: Callable[..., Any]
    align: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None

    @property
    def n_values(self) -> int:
        """Number of the array's elements."""
        return int(np.prod(self.shape, dtype=int))


def make_array(name: str, columns: list[int], shape: Sequence[int]) -> ArrayColumns:
    """Describe an array that is drawn according to the number of its axes."""
    shape = tuple(int(n) for n in shape)
    return ArrayColumns(name, columns, shape, partial(_draw, shape))


def _draw(shape: tuple[int, ...], ax: Any, given: Any, decoded: Any, **keywords: Any) -> Any:
    return draw_array(ax, given, decoded, shape, **keywords)


# ---------------------------------------------------------------------------------------------
# Tables


def flat_table(X: Any) -> tuple[Any, tuple[int, ...]]:
    """Return an array of more than two dimensions as one of two, and the shape of its rows.

    Parameters
    ----------
    X : array-like or DataFrame
        A list of structures of atoms becomes an array of one column. Anything else is given back
        as it is, with the shape ``()``.
    """
    if isinstance(X, pd.DataFrame | pd.Series):
        return X, ()
    X = as_array(column_of_structures(X, "X"))  # pandas would look into each structure
    values = X if isinstance(X, np.ndarray) else None
    if values is None or values.ndim < 3:
        return X, ()
    return values.reshape(len(values), -1), values.shape[1:]


def shape_of_cells(column: pd.Series) -> tuple[int, ...]:
    """Return the shape of the arrays that a column's cells hold; ``()`` where they hold none.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if column.dtype != object:
        return ()
    shapes = {np.shape(cell) for cell in column if _is_array(cell)}
    if len(shapes) > 1:
        raise ValueError(
            f"The arrays in the column {column.name!r} must have one shape, got {sorted(shapes)}."
        )
    return shapes.pop() if shapes else ()


def _is_array(cell: Any) -> bool:
    # NumPy takes a structure for the list of its atoms
    return not isinstance(cell, str) and not is_structure(cell) and np.ndim(cell) > 0


def read_array(X: pd.DataFrame, array: ArrayColumns) -> np.ndarray:
    """Return the values of an array, NaN where not measured, of shape (n_samples, n_values).

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_features)
    array : ArrayColumns
    """
    part = X.iloc[:, array.columns]
    if part.shape[1] == 1 and shape_of_cells(part.iloc[:, 0]):
        values = np.full((len(part), array.n_values), np.nan)
        for i, cell in enumerate(part.iloc[:, 0]):
            if _is_array(cell):
                values[i] = np.asarray(cell, dtype=np.float64).ravel()
        return values
    return part.to_numpy(dtype=np.float64, na_value=np.nan)


def read_decoded(X: pd.DataFrame, array: ArrayColumns, given: np.ndarray) -> np.ndarray:
    """Return the decoded values of an array in the pose of the given ones.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_columns)
        The decoded table.
    array : ArrayColumns
        With its columns in this table.
    given : ndarray of shape (n_samples, n_values)
        NaN where not measured.
    """
    decoded = read_array(X, array)
    return decoded if array.align is None else array.align(decoded, given)


def stack_cells(y: Any) -> Any:
    """Return a column whose cells are arrays as one array, and all else as it is.

    Parameters
    ----------
    y : Series, DataFrame of one column, or other
    """
    column = y.iloc[:, 0] if isinstance(y, pd.DataFrame) and y.shape[1] == 1 else y
    if not isinstance(column, pd.Series):
        return y
    shape = shape_of_cells(column)
    if not shape:
        return y
    array = make_array("", [0], shape)
    return read_array(column.to_frame(), array).reshape(-1, *shape)


def axis_of(X: pd.DataFrame, array: ArrayColumns) -> pd.Index | None:
    """Return the numbers that label the columns of a spectrum, such as energies, if they do.

    Labels of two levels are numbers where all of the second level are.
    """
    if len(array.shape) != 1 or len(array.columns) < 2:
        return None
    labels = X.columns[array.columns]
    last = labels.get_level_values(-1)
    is_number = pd.api.types.is_numeric_dtype(last.infer_objects())
    if isinstance(X.columns, pd.RangeIndex) or not is_number:
        return None
    return last.infer_objects()


# ---------------------------------------------------------------------------------------------
# Which columns are arrays


def fitted_arrays(estimator: Any) -> list[ArrayColumns]:
    """Return the arrays among the columns that an estimator decodes.

    Parameters
    ----------
    estimator : estimator
        Fitted; of a chain, the blocks of its stages. One behind other steps of a pipeline has
        other columns than the table, and none is given.

    Returns
    -------
    list of ArrayColumns
        With positions among the decoded columns, which are those of the table without those that
        no stage has.
    """
    core = core_of(estimator)
    if steps_before(estimator):
        return []
    if not hasattr(core, "stages_"):
        return [*_blocks_of(core, None)]
    decoded = sorted(j for _, _, own in core.stages_ for j in own)
    place = {j: k for k, j in enumerate(decoded)}
    return [
        array
        for _, stage, own in core.stages_
        if not steps_before(stage)
        for array in _blocks_of(core_of(stage), [place[j] for j in own])
    ]


def _blocks_of(estimator: Any, own: list[int] | None) -> Iterable[ArrayColumns]:
    """Yield the arrays of one autoencoder; ``own`` is where its first columns stand."""
    for name, fitted in getattr(estimator, "blocks_", {}).items():
        shape = tuple(fitted.layout.shape)
        columns = list(fitted.columns)
        if own is not None:
            if max(columns) >= len(own):  # the latents of a stage before
                continue
            columns = [own[j] for j in columns]
        if shape:
            plot, align = partial(_plot_block, fitted), partial(_align_block, fitted)
            yield ArrayColumns(name, columns, shape, plot, align)


def _plot_block(fitted: Any, ax: Any, given: Any, decoded: Any, **keywords: Any) -> Any:
    return fitted.block.plot(ax, given, decoded, fitted.layout, **keywords)


def _align_block(fitted: Any, decoded: np.ndarray, given: np.ndarray) -> np.ndarray:
    known = ~np.isnan(given)
    aligned = fitted.block.align(
        torch.from_numpy(decoded.copy()),  # pandas may not let it be written to
        torch.from_numpy(np.where(known, given, 0.0)),
        None if known.all() else torch.from_numpy(known),
        fitted.layout,
    )
    return aligned.numpy()


def place_arrays(
    arrays: list[ArrayColumns], positions: Mapping[int, int]
) -> dict[str, ArrayColumns] | None:
    """Return arrays of the decoded columns by name, with their positions in the table.

    Parameters
    ----------
    arrays : list of ArrayColumns
        With positions among the decoded columns.
    positions : dict of int to int
        For each column of the table that came back, its position there.

    Returns
    -------
    dict of str to ArrayColumns, or None
        Those whose columns the table has; None if there is none.
    """
    back = {k: j for j, k in positions.items()}
    names = [array.name for array in arrays]
    placed = {}
    for i, array in enumerate(arrays):
        if all(k in back for k in array.columns):
            # stages of a chain may have blocks of one name
            name = array.name if names.count(array.name) == 1 else f"{array.name} ({i})"
            columns = [back[k] for k in array.columns]
            placed[name] = array._replace(name=name, columns=columns)
    return placed or None


def decoded_arrays(estimator: Any, X: Any, decoded: Any) -> dict[str, ArrayColumns] | None:
    """Return the arrays of a fitted estimator by name, with their positions in a table.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X, decoded : DataFrame or ndarray
        The table, and the table decoded from its latents.
    """
    table, back = pd.DataFrame(flat_table(X)[0]), flat_table(decoded)[0]
    return place_arrays(fitted_arrays(estimator), match_columns(table, back))


def panels_of(
    X: pd.DataFrame, columns: Any, decoded: Iterable[int], arrays: list[ArrayColumns], word: str
) -> list[int | ArrayColumns]:
    """List the content of each panel: one column, or one array.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_features)
    columns : str, int, tuple, slice, list of them or None
        Names of arrays, or columns. All columns of an array are the array. None: all arrays, and
        each other column.
    decoded : iterable of int
        Positions of the columns that came back.
    arrays : list of ArrayColumns
    word : str
        The display's word for a column that comes back, such as "decoded".
    """
    decoded = list(decoded)
    known = set(decoded)
    arrays = [array for array in arrays if known.issuperset(array.columns)]
    if columns is None:
        return _collapse(decoded, arrays)
    by_name = {array.name: array for array in arrays if array.name not in list(X.columns)}
    is_many = isinstance(columns, list | tuple) and columns not in list(X.columns)
    keys = list(columns) if is_many else [columns]
    if not any(isinstance(key, str) and key in by_name for key in keys):
        return _collapse(columns_to_draw(X, columns, decoded, word), arrays)
    chosen: list[int] = []
    for key in keys:
        named = by_name.get(key) if isinstance(key, str) else None
        chosen += named.columns if named else columns_to_draw(X, key, decoded, word)
    return _collapse(chosen, arrays)


def _collapse(chosen: list[int], arrays: list[ArrayColumns]) -> list[int | ArrayColumns]:
    """Put an array in the place of its first column, where all of its columns are chosen."""
    given = set(chosen)
    whole = [array for array in arrays if given.issuperset(array.columns)]
    owner = {j: array for array in whole for j in array.columns}
    panels: list[int | ArrayColumns] = []
    drawn: set[str] = set()
    for j in chosen:
        array = owner.get(j)
        if array is None:
            panels.append(j)
        elif array.name not in drawn:
            drawn.add(array.name)
            panels.append(array)
    return panels


def is_array_target(estimator: Any, predicted: np.ndarray) -> bool:
    """Return whether predictions are one array a row, such as a spectrum.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    predicted : ndarray of shape (n_samples, ...)
    """
    has_block = getattr(core_of(estimator), "target_block", None) is not None
    return predicted.ndim > 2 or (predicted.ndim == 2 and predicted.shape[1] > 1 and has_block)


def named_arrays(X: pd.DataFrame, arrays: Any, shape: tuple[int, ...]) -> list[ArrayColumns]:
    """Return the arrays that a user named, or those in the cells of the table.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_features)
    arrays : dict or None
        From names to ``(columns, shape)``, or to columns of a spectrum alone. None: each column
        whose cells are arrays.
    shape : tuple of int
        Of the rows, where the table was an array of more than two dimensions; then it is one.
    """
    if arrays is None and shape:
        return [make_array("X", list(range(X.shape[1])), shape)]
    if arrays is None:
        cells = {j: shape_of_cells(X.iloc[:, j]) for j in range(X.shape[1])}
        return [make_array(str(X.columns[j]), [j], own) for j, own in cells.items() if own]
    if not isinstance(arrays, Mapping):
        raise TypeError(
            f"The 'arrays' parameter must map names to columns and shapes, got {arrays!r}."
        )
    return [_named_array(X, str(name), given) for name, given in arrays.items()]


def _named_array(X: pd.DataFrame, name: str, given: Any) -> ArrayColumns:
    if isinstance(given, ArrayColumns):  # a display's own, of a fitted estimator
        return given
    has_shape = isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], tuple)
    columns, shape = given if has_shape else (given, None)
    positions = column_positions(X, columns, "arrays")
    if shape is None:
        cells = shape_of_cells(X.iloc[:, positions[0]]) if len(positions) == 1 else ()
        shape = cells or (len(positions),)
    array = make_array(name, positions, shape)
    if len(positions) > 1 and array.n_values != len(positions):
        raise ValueError(
            f"The 'arrays' parameter gives {name!r} the shape {shape}, which has {array.n_values} "
            f"elements, but {len(positions)} columns."
        )
    return array


# ---------------------------------------------------------------------------------------------
# Errors, and rows to show


def row_errors(true: np.ndarray, predicted: np.ndarray, error: Any) -> np.ndarray:
    """Compute the error of each row, over its measured elements.

    Parameters
    ----------
    true, predicted : ndarray of shape (n_samples, n_values)
        NaN where not measured.
    error : {"rmse", "mae"} or callable
        Root of the mean squared, or mean absolute error; or a function of both arrays.

    Returns
    -------
    ndarray of shape (n_samples,)
        NaN where nothing was measured.
    """
    if callable(error):
        values = np.asarray(error(true, predicted), dtype=float)
        if values.shape != (len(true),):
            raise ValueError(
                f"The 'error' parameter must give a number for each of the {len(true)} rows, got "
                f"an array of shape {values.shape}."
            )
        return values
    if error not in ("rmse", "mae"):
        raise ValueError(
            f"The 'error' parameter must be 'rmse', 'mae' or a function, got {error!r}."
        )
    known = np.isfinite(true) & np.isfinite(predicted)
    n_known = known.sum(axis=1)
    size = np.where(known, np.abs(true - predicted), 0.0)
    power = 2 if error == "rmse" else 1
    # in units of the row's largest one, so that no square overflows
    largest = np.max(size, axis=1, initial=0.0)
    unit = np.where(largest > 0, largest, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = ((size / unit[:, None]) ** power).sum(axis=1) / n_known
    return unit * mean ** (1 / power)


def pooled_r2(true: np.ndarray, predicted: np.ndarray) -> float:
    """Compute R² pooled over the elements of an array: sums of squares over all of them.

    Each element's deviations are from its own mean over the rows.

    Parameters
    ----------
    true, predicted : ndarray of shape (n_samples, n_values)
        NaN where not measured.

    Returns
    -------
    float
        NaN where no element varies.
    """
    known = np.isfinite(true) & np.isfinite(predicted)
    n_known = np.maximum(known.sum(axis=0), 1)
    deviation = np.where(known, true - np.where(known, true, 0.0).sum(axis=0) / n_known, 0.0)
    error = np.where(known, true - predicted, 0.0)
    unit = np.max(np.abs(deviation), initial=0.0)
    if not unit > 0:
        return np.nan
    return float(1 - ((error / unit) ** 2).sum() / ((deviation / unit) ** 2).sum())


def examples_by_quartile(
    error: np.ndarray, n_each: int, random_state: Any = None
) -> list[tuple[int, int]]:
    """Draw rows at random from each quarter of the rows, by their error.

    Parameters
    ----------
    error : ndarray of shape (n_samples,)
        Rows in which it is NaN are left out.
    n_each : int
        Number of rows of each quarter.
    random_state : int, RandomState instance or None
        None: the rows in the middle of each quarter, which are the same each time.

    Returns
    -------
    list of (int, int)
        Row and quarter, counted from 1, in the order of the error.
    """
    if not isinstance(n_each, Integral) or n_each < 1:
        raise ValueError(f"The 'n_examples' parameter must be a positive int, got {n_each!r}.")
    known = np.flatnonzero(~np.isnan(error))
    if not len(known):
        raise ValueError("No row has a measured and a predicted value to compare.")
    order = known[np.argsort(error[known], kind="stable")]
    rng = None if random_state is None else check_random_state(random_state)
    found = []
    for quarter, rows in enumerate(np.array_split(order, 4), start=1):
        n_drawn = min(int(n_each), len(rows))
        if rng is None:
            places = ((np.arange(n_drawn) + 0.5) * len(rows) / max(n_drawn, 1)).astype(int)
        else:
            places = np.sort(rng.choice(len(rows), n_drawn, replace=False))
        found += [(int(rows[k]), quarter) for k in places]
    return found
