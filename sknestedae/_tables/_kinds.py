"""Conversion of arrays and tables of several kinds, such as images and spectra, to one table.

The table has columns of two levels, ``(kind, feature)``. Nothing here knows of torch.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ._cells import cells_of, holds_arrays, holds_structures, read_cells
from ._dtypes import assemble, dtype_groups
from ._input import as_array, read_table, read_target, to_pandas, unmask
from ._scales import check_names
from ._structures import is_structure

# Types that can hold a missing entry, by the kind of those that cannot.
_NULLABLE = {"i": "Int", "u": "UInt"}


class _Kind(NamedTuple):
    """The columns of one kind.

    Parameters
    ----------
    columns : DataFrame or ndarray of shape (n_rows, n_columns)
    labels : list
        Of the columns.
    row_labels : Index or None
        None where rows go by position.
    """

    columns: pd.DataFrame | np.ndarray
    labels: list[Any]
    row_labels: pd.Index | None


def stack_kinds(**kinds):
    """Stack arrays and tables of several kinds, such as images and spectra, to one table.

    An estimator with ``blocks`` reads the result: the name of a kind stands for all its columns.

    Parameters
    ----------
    **kinds : {array-like of shape (n_samples, ...), DataFrame, Series}
        One kind each, by its name. An array may have any number of dimensions, such as
        (n_samples, height, width) for images. A Series, or a list, may hold an array or a
        structure of atoms in each row; there, None is a row of which the kind was not measured.

    Returns
    -------
    X : DataFrame of shape (n_samples, n_features)
        With columns of two levels, ``(kind, feature)``. A feature of a DataFrame has its own name;
        of a two-dimensional array, its position, an integer; of an array of more dimensions, its
        indices in a string, such as "3,12" for row 3 and column 12, or "0,3,12" in channel 0,
        from which an image block finds the shape. Rows are matched by their index where kinds
        have one, as objects of pandas do: those of the first kind come first, then those that
        later kinds add, and a kind that a row lacks is missing values. Without an index they are
        matched by position. Numbers keep their dtype; where rows are missing, integers of at most
        16 bits become float32, larger ones of an array float64, and those of a DataFrame, and
        booleans, a type of pandas that can be missing.

    Raises
    ------
    ValueError
        If rows cannot be matched: numbers of rows differ without an index; a label of an index
        stands twice; no row of a kind is one of another kind; or some kinds have an index, and
        others none and other numbers of rows.

    See Also
    --------
    stack_scales : The same for tables of several scales.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sknestedae import stack_kinds
    >>> images = np.zeros((3, 2, 2), dtype=np.float32)
    >>> stack_kinds(image=images, spectrum=[[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    kind image             spectrum
           0,0 0,1 1,0 1,1        0    1
    0      0.0 0.0 0.0 0.0      0.1  0.2
    1      0.0 0.0 0.0 0.0      0.3  0.4
    2      0.0 0.0 0.0 0.0      0.5  0.6

    With an index, rows may lack a kind:

    >>> spectra = pd.Series([np.array([0.1, 0.2]), np.array([0.3, 0.4])], index=["a", "b"])
    >>> sizes = pd.DataFrame({"diameter": [20.0, 15.0]}, index=["b", "c"])
    >>> stack_kinds(spectrum=spectra, table=sizes)
    kind spectrum         table
                0    1 diameter
    a         0.1  0.2      NaN
    b         0.3  0.4     20.0
    c         NaN  NaN     15.0
    """
    if not kinds:
        raise ValueError("There is no kind to stack; give one by its name, such as image=images.")
    names = check_names(list(kinds), "kinds")
    read = {name: _read_kind(kinds[name], name) for name in names}
    index = _common_index(read)
    frames = [_rows_of(kind, index) for kind in read.values()]
    whole = assemble(frames, range(sum(frame.shape[1] for frame in frames)))
    first = np.repeat(np.array(names, dtype=object), [frame.shape[1] for frame in frames])
    second = np.empty(len(first), dtype=object)
    second[:] = [label for kind in read.values() for label in kind.labels]
    columns = pd.MultiIndex.from_arrays([first, second], names=["kind", None])
    return whole.set_axis(columns, axis=1)


# ---------------------------------------------------------------------------------------------
# Reading one kind


def _read_kind(given: Any, name: str) -> _Kind:
    """Read one kind from an array, a DataFrame or a column of arrays."""
    has_index = isinstance(given, pd.DataFrame | pd.Series)
    value = as_array(to_pandas(given, name))
    if isinstance(value, np.ma.MaskedArray):
        value = unmask(value)
    if isinstance(value, pd.Series) and holds_arrays(value):
        columns, labels = _from_cells(cells_of(value), name)
    elif isinstance(value, pd.Series) and holds_structures(value):
        label = 0 if value.name is None else value.name
        columns, labels = value.to_frame(), [label]
    elif isinstance(value, pd.Series):
        label = 0 if value.name is None else value.name
        columns, labels = read_target(value, name).to_frame(), [label]
    elif isinstance(value, pd.DataFrame):
        columns = read_table(value, name)
        if columns.columns.nlevels > 1:
            raise ValueError(
                f"{name} has columns of {columns.columns.nlevels} levels; those of one kind have "
                "one."
            )
        labels = list(columns.columns)
    else:
        columns, labels = _from_array(value, name)
    if 0 in columns.shape:
        raise ValueError(
            f"{name} has {columns.shape[0]} rows and {columns.shape[1]} columns; at least one of "
            "each is needed."
        )
    return _Kind(columns, labels, value.index if has_index else None)


def _from_array(value: Any, name: str) -> tuple[pd.DataFrame | np.ndarray, list[Any]]:
    """Return an array, or a list of rows, with one row for each sample; and labels."""
    if isinstance(value, list | tuple) and any(v is None or is_structure(v) for v in value):
        cells = np.empty(len(value), dtype=object)
        cells[:] = value
        value = cells
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} holds rows of several shapes: {error}") from error
    if array.ndim == 0:
        raise ValueError(f"{name} must have a row for each sample, got {value!r:.60}.")
    if array.dtype.kind == "O" and array.ndim == 1 and holds_arrays(array):
        return _from_cells(array, name)
    if array.dtype.kind == "O" and array.ndim == 1 and holds_structures(array):
        return pd.Series(array, dtype=object).to_frame(), [0]
    flat = array.reshape(len(array), prod(array.shape[1:]))
    labels = _labels_of(array.shape[1:])
    if array.dtype.kind in "biuf":
        return np.array(flat, order="C"), labels  # the table must not change with the array
    return pd.DataFrame(read_table(flat, name)).infer_objects(), labels


def _from_cells(cells: np.ndarray, name: str) -> tuple[np.ndarray, list[Any]]:
    """Return the arrays of a column's cells as rows of one array; and labels."""
    arrays = read_cells(cells, name)
    whole = [array for array in arrays if array is not None]
    shape = whole[0].shape
    rows = np.stack(whole).reshape(len(whole), prod(shape))
    measured = np.array([array is not None for array in arrays])
    if not measured.all():
        rows = _spread(rows, np.cumsum(measured) - 1, measured)
    return rows, _labels_of(shape)


def _labels_of(shape: tuple[int, ...]) -> list[Any]:
    """Label the entries of an array: by position, or by their indices if there are several."""
    if len(shape) < 2:
        return list(range(shape[0] if shape else 1))
    return [",".join(map(str, index)) for index in np.ndindex(shape)]


# ---------------------------------------------------------------------------------------------
# Matching rows


def _common_index(kinds: dict[str, _Kind]) -> pd.Index:
    """Return the row labels of the table, and refuse kinds whose rows cannot be matched."""
    n_rows = {name: len(kind.columns) for name, kind in kinds.items()}
    indices = {
        name: kind.row_labels for name, kind in kinds.items() if kind.row_labels is not None
    }
    counts = ", ".join(f"{name} has {n}" for name, n in n_rows.items())
    if len(indices) < len(kinds):
        if len(set(n_rows.values())) > 1:
            raise ValueError(
                "Rows are matched by position where a kind has no index, so that all kinds must "
                f"have as many: {counts}. Give each kind an index, as a DataFrame or a Series of "
                "arrays."
            )
        index, *others = indices.values() or [pd.RangeIndex(next(iter(n_rows.values())))]
        if not all(index.equals(other) for other in others):
            raise ValueError(
                f"The indices of {' and '.join(indices)} differ, and other kinds have none, so "
                "that their rows cannot be matched. Give each kind an index."
            )
        return index
    for name, index in indices.items():
        if not index.is_unique:
            twice = index[index.duplicated()]
            raise ValueError(
                f"The index of {name} has {len(twice.unique())} label(s) more than once, such as "
                f"{twice.tolist()[0]!r}; rows are matched by them, so that each row needs one of "
                "its own."
            )
    _check_matched(indices, counts)
    index, *others = indices.values()
    for other in others:
        index = index.append(other[index.get_indexer(other) < 0])
    return index


def _check_matched(indices: dict[str, pd.Index], counts: str) -> None:
    """Refuse a kind whose rows are in no other kind."""
    for name, index in indices.items():
        others = [other for key, other in indices.items() if key != name]
        shared = (
            other.nlevels == index.nlevels and (other.get_indexer(index) >= 0).any()
            for other in others
        )
        if others and not any(shared):
            raise ValueError(
                f"No row label of {name}, such as {index.tolist()[0]!r}, is in another kind, "
                f"such as {others[0].tolist()[0]!r}; rows are matched by their labels ({counts})."
            )


def _rows_of(kind: _Kind, index: pd.Index) -> pd.DataFrame:
    """Return the columns of a kind for all rows of the table; missing where it has none."""
    columns, own = kind.columns, kind.row_labels
    position = np.arange(len(index)) if own is None else own.get_indexer(index)
    found = position >= 0
    is_same = found.all() and np.array_equal(position, np.arange(len(columns)))
    if is_same and isinstance(columns, pd.DataFrame):
        positions = pd.RangeIndex(columns.shape[1])
        return columns.set_axis(positions, axis=1).set_axis(index, axis=0)
    if isinstance(columns, pd.DataFrame):
        dtypes = set(columns.dtypes)
        if len(dtypes) > 1 or not _is_pixel(*dtypes):
            return _reindex(columns, position, index)
        columns = columns.to_numpy()  # many columns of one dtype at once
    if not is_same:
        columns = columns[position] if found.all() else _spread(columns, position, found)
    return pd.DataFrame(columns, index=index, copy=False)


def _reindex(frame: pd.DataFrame, position: np.ndarray, index: pd.Index) -> pd.DataFrame:
    """Take rows of a DataFrame; missing where the position is -1."""
    frame = frame.set_axis(pd.RangeIndex(frame.shape[1]), axis=1)
    if (position < 0).any():
        frame = _as_nullable(frame)
    frame = frame.set_axis(pd.RangeIndex(len(frame)), axis=0)
    return frame.reindex(position).set_axis(index, axis=0)


def _is_pixel(dtype: Any) -> bool:
    """Return whether numbers are floats, or integers that are as well stored as float32."""
    is_plain = isinstance(dtype, np.dtype)
    return is_plain and (dtype.kind == "f" or (dtype.kind in "iu" and dtype.itemsize <= 2))


def _spread(rows: np.ndarray, position: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Take rows of an array, and NaN where none is found."""
    dtype = rows.dtype if rows.dtype.kind == "f" else _float_of(rows.dtype)
    spread = np.full((len(position), rows.shape[1]), np.nan, dtype=dtype)
    spread[found] = rows[position[found]]
    return spread


def _float_of(dtype: np.dtype) -> np.dtype:
    """Return the smaller dtype of floats that holds integers or booleans without loss."""
    return np.dtype("float32" if dtype.itemsize <= 2 else "float64")


def _as_nullable(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert integers and booleans of a DataFrame to dtypes that can hold missing values."""
    dtypes: dict[int, Any] = {}
    for dtype, columns in dtype_groups(frame.dtypes).items():
        if dtype is None or dtype.kind == "f":
            continue
        if dtype.kind == "b":
            nullable: Any = "boolean"
        elif dtype.itemsize <= 2:
            nullable = _float_of(dtype)
        else:
            nullable = f"{_NULLABLE[dtype.kind]}{8 * dtype.itemsize}"
        dtypes |= dict.fromkeys(columns, nullable)
    return frame.astype(dtypes) if dtypes else frame
