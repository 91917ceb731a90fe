"""Conversion of all kinds of tables, targets and missing entries to pandas or NumPy.

Inside the package a table is a DataFrame of pandas or an array of NumPy, and a missing entry is an
entry that ``pandas.isna`` finds. Every other kind of table is converted here first, so that
columns with names never lose them. Nothing here knows of torch.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types
from scipy import sparse

from .._compat import stack_level_of_caller
from .._extras import missing_package
from ..exceptions import RowLabelWarning
from ._structures import is_structure, is_structure_type

# Packages whose tables and columns narwhals reads; without narwhals they are refused by name.
_FRAME_PACKAGES = ("polars", "pyarrow", "modin", "cudf")

# What a cell may hold where a block reads it, as the arrays of one column.
_ARRAYS = (np.ndarray, list, tuple)

# A list of rows is known by so many of them.
_FIRST_ROWS = 10

# NumPy counts durations among its integers.
_TIMES = (date, time, timedelta, np.datetime64, np.timedelta64, pd.Period, pd.Interval)


# ---------------------------------------------------------------------------------------------
# Tables, columns and targets


def read_table(X: Any, name: str = "X") -> Any:
    """Bring a table to a DataFrame of pandas, or to what scikit-learn reads as an array.

    Parameters
    ----------
    X : DataFrame of pandas, polars or another package, Table of pyarrow, array, tensor or list
        A missing entry may be None, NaN, NaT, ``pd.NA``, a null, or masked in a masked array.
    name : str
        Name of the table in messages.

    Returns
    -------
    DataFrame or array-like
        A DataFrame where the columns have names; else an array or a list of rows, in which a
        missing entry is NaN.

    Raises
    ------
    TypeError
        If the values are neither numbers nor categories, such as dates; if the table is sparse, or
        not in memory yet.
    ValueError
        If two columns have one name.
    """
    if isinstance(X, str | Path):
        raise TypeError(
            f"{name} is {str(X)!r}; it must be a table. Read a file first, such as with "
            f"pd.read_csv({str(X)!r})."
        )
    _refuse_data_sets_of_torch(X, name)
    X = column_of_structures(to_pandas(X, name), name)
    if isinstance(X, pd.DataFrame):
        if not X.columns.is_unique:
            twice = X.columns[X.columns.duplicated()].unique().tolist()
            raise ValueError(
                f"{name} has the columns {twice} more than once; each column needs a name of its "
                "own."
            )
        return X
    if sparse.issparse(X):
        raise TypeError(
            f"{name} is a sparse {type(X).__name__}, but dense data is required. Set the step "
            "that made it to dense output, such as OneHotEncoder(sparse_output=False), or pass "
            f"{name}.toarray()."
        )
    _refuse_other_tables(X, name)
    return _read_array(X, name, cells=True)


def _refuse_data_sets_of_torch(X: Any, name: str) -> None:
    """Refuse data sets and data loaders of torch."""
    if any(base.__module__.startswith("torch.utils.data") for base in type(X).__mro__):
        raise TypeError(
            f"{name} is a {type(X).__name__} of torch, but a table has all rows at once: pass one "
            "array, tensor or DataFrame of shape (n_samples, n_features), such as torch.stack("
            "[row for row, _ in dataset]) of pairs. See 'For torch users' in the user guide."
        )


def is_column_of_structures(X: Any) -> bool:
    """Return whether a list, an array or a Series is a column in which structures of atoms are."""
    if isinstance(X, pd.Series) or (isinstance(X, np.ndarray) and X.ndim == 1):
        return X.dtype == object and _has_structure(X)
    return isinstance(X, list | tuple) and not is_structure(X) and _has_structure(X)


def column_of_structures(X: Any, name: str) -> Any:
    """Return a list, an array or a Series of structures of atoms as a table of one column.

    All else stays as it is. One structure alone is refused, and so are a list of rows with
    structures, which NumPy would look into, and a column that is all missing and has no kind.
    """
    if is_structure(X):
        raise TypeError(
            f"{name} is one structure of atoms, {X!r:.60}; give a list of structures, such as "
            f"[{name}]."
        )
    if not is_column_of_structures(X):
        _refuse_rows_of_structures(X, name)
        _refuse_column_of_none(X, name)
        return X
    if isinstance(X, pd.Series):
        return X.to_frame()
    cells = np.empty((len(X), 1), dtype=object)
    for row, structure in zip(cells, X, strict=True):  # NumPy would look into each structure
        row[0] = structure
    return cells


def _has_structure(values: Any) -> bool:
    """Return whether any of some values is a structure of atoms."""
    return any(is_structure(value) for value in values)


def _refuse_rows_of_structures(X: Any, name: str) -> None:
    """Refuse a list of rows with structures of atoms in them, by its first ones."""
    if not isinstance(X, list | tuple):
        return
    for i, row in enumerate(X[:_FIRST_ROWS]):
        if isinstance(row, list | tuple) and _has_structure(row):
            raise TypeError(
                f"{name} is a list of rows, of which row {i} holds a structure of atoms. Give "
                "structures alone as a list of them, such as [atoms, ...], and structures beside "
                f"other columns as a DataFrame, such as pd.DataFrame({name}, "
                "columns=['structure', 'temperature'])."
            )


def _refuse_column_of_none(X: Any, name: str) -> None:
    """Refuse a list, an array or a Series of None alone."""
    if not (
        isinstance(X, list | tuple | pd.Series) or (isinstance(X, np.ndarray) and X.ndim == 1)
    ):
        return
    if len(X) and all(value is None for value in X):
        raise ValueError(
            f"{name} is {len(X)} times None. A list of structures of atoms needs at least one; "
            "rows without a measured structure are a table, such as "
            f"pd.DataFrame({{'structure': {name}}})."
        )


def _refuse_other_tables(X: Any, name: str) -> None:
    """Refuse containers of tables or named columns, such as lists of tables and dicts."""
    if isinstance(X, list | tuple) and any(_is_table(table) for table in X):
        raise TypeError(
            f"{name} is a list of {len(X)} tables, but one table is needed here. A "
            "NestedAutoencoder takes a list of one table per scale, and stack_scales makes one "
            "table of it; of several kinds of data of the same rows, stack_kinds does."
        )
    if isinstance(X, dict) or getattr(getattr(X, "dtype", None), "names", None):
        raise TypeError(
            f"{name} is a {type(X).__name__} of named columns; make a table of it, such as "
            f"pd.DataFrame({name}), or of several kinds of data stack_kinds(**{name})."
        )


def _is_table(X: Any) -> bool:
    is_array = isinstance(X, np.ndarray | pd.DataFrame)
    return (is_array or _is_foreign(X) or sparse.issparse(X)) and n_dims(X) == 2


def read_target(y: Any, name: str = "y", *, cells: bool = False) -> Any:
    """Bring a target, weights or groups to pandas or NumPy; a list stays a list.

    Parameters
    ----------
    y : Series or DataFrame of any package, array, tensor or list
    name : str
        In messages.
    cells : bool, default=False
        Whether cells of a column may hold arrays; these are checked where they are read.

    Raises
    ------
    TypeError
        If the values are neither numbers nor labels, such as dates, or if it is the name of a
        column, which scikit-learn would count the letters of.
    """
    if isinstance(y, str):
        raise TypeError(
            f"{name} is the text {y!r}; it must hold a value for each row. A column is passed as "
            f"table[{y!r}]; if it is the target, leave it out of X: table.drop(columns={y!r})."
        )
    y = to_pandas(y, name)
    if is_structure(y) or is_column_of_structures(y):
        raise TypeError(f"{name} holds structures of atoms, which can be columns of X alone.")
    if isinstance(y, pd.DataFrame):
        for j, dtype in enumerate(y.dtypes):
            # of plain numbers there may be thousands, and their dtype tells enough
            if not (isinstance(dtype, np.dtype) and dtype.kind in "fiub"):
                _check_values(y.iloc[:, j], f"Column {y.columns[j]!r} of {name}", cells)
        return y
    if isinstance(y, pd.Series):
        _check_values(y, name, cells)
        return y
    return y if isinstance(y, list | tuple) and not y else _read_array(y, name, cells=cells)


def _check_values(column: pd.Series, name: str, cells: bool) -> None:
    """Refuse values of a target that are neither numbers nor labels, nor arrays if they may be."""
    is_list = isinstance(column.dtype, pd.ArrowDtype) and "list" in str(column.dtype)
    if cells and (is_list or types.is_object_dtype(column.dtype)):
        _refuse_others({type(value) for value in column if not is_array(value)}, name)
    else:
        holds_categories(column, name)


def n_dims(table: Any) -> int:
    """Return the number of dimensions of a table of any kind; of a list, by its first element."""
    if isinstance(table, list | tuple):
        return 1 + (n_dims(table[0]) if table else 0)
    if hasattr(table, "ndim"):
        return table.ndim
    if not _is_foreign(table):
        return 0
    shape = getattr(table, "shape", None)  # a chunked array of pyarrow has none
    return len(shape) if isinstance(shape, tuple) else 1


def _is_foreign(X: Any) -> bool:
    return type(X).__module__.split(".")[0] in _FRAME_PACKAGES


def to_pandas(X: Any, name: str = "X") -> Any:
    """Convert a frame with named columns to pandas; return all else as it is."""
    if X is None or isinstance(X, np.ndarray | list | tuple | pd.DataFrame | pd.Series):
        return X
    try:
        import narwhals as nw
    except ImportError:
        if not _is_foreign(X):
            return X
        use = f"{name} is a {_kind_of(X)} and"
        raise missing_package(use, "narwhals", "frames") from None
    found = nw.from_native(X, pass_through=True, allow_series=True)
    if isinstance(found, nw.LazyFrame):
        raise TypeError(
            f"{name} is a {_kind_of(X)}, which is not in memory; collect it first, such as with "
            f"{name}.collect() or {name}.compute()."
        )
    if isinstance(found, nw.Series):
        return _column_to_pandas(found, nw).rename(found.name or None)
    if isinstance(found, nw.DataFrame):
        whole = _numbers_to_pandas(found)
        if whole is not None:
            return whole
        data = {label: _column_to_pandas(found[label], nw) for label in found.columns}
        return pd.DataFrame(data, columns=found.columns, index=pd.RangeIndex(len(found)))
    return X


def _numbers_to_pandas(frame: Any) -> pd.DataFrame | None:
    """Return a frame whose columns have one dtype of numbers at once; None of any other."""
    dtypes = list(frame.schema.values())
    if len(dtypes) < 2 or not (dtypes[0].is_float() or dtypes[0].is_integer()):
        return None
    if any(dtype != dtypes[0] for dtype in dtypes) or str(dtypes[0]).endswith("128"):
        return None
    values = frame.to_numpy()
    if values.dtype != str(dtypes[0]).lower():  # of integers beside nulls, floats were made
        return None
    return pd.DataFrame(np.array(values), columns=frame.columns, copy=False)


def _kind_of(X: Any) -> str:
    return f"{type(X).__name__} of {type(X).__module__.split('.')[0]}"


def _column_to_pandas(column: Any, nw: Any) -> pd.Series:
    """Convert a column of another package to the dtype of pandas that holds it without loss."""
    dtype, has_nulls = column.dtype, column.null_count() > 0
    if dtype.is_float() or ((dtype.is_integer() or dtype == nw.Boolean) and not has_nulls):
        return pd.Series(np.array(column.to_numpy()))
    if dtype == nw.Int128 or dtype == nw.UInt128:  # NumPy has no such integers
        return pd.Series(column.to_list(), dtype=object)
    if dtype.is_integer():
        # by way of floats, as NumPy reads nulls, large integers would be rounded
        values = column.fill_null(0).to_numpy()
        return pd.Series(pd.arrays.IntegerArray(np.array(values), _nulls(column)))
    if dtype == nw.Boolean:
        values = column.fill_null(False).to_numpy().astype(bool)
        return pd.Series(pd.arrays.BooleanArray(values, _nulls(column)))
    if dtype == nw.String:
        return pd.Series(column.to_list(), dtype="string")
    if dtype == nw.Enum:
        return pd.Series(pd.Categorical(column.to_list(), list(dtype.categories), ordered=True))
    if dtype == nw.Categorical:
        return pd.Series(pd.Categorical(column.to_list()))
    if dtype == nw.Array or dtype == nw.List:
        return pd.Series(_cells_of_lists(column), dtype=object)
    return pd.Series(column.to_list(), dtype=object)  # such as decimals; dates are refused later


def _cells_of_lists(column: Any) -> np.ndarray:
    """Return a column of lists as arrays, in the dtype of the lists' numbers; NaN for a null."""
    cells = np.empty(len(column), dtype=object)
    nulls = _nulls(column)
    for i, values in enumerate(column.to_numpy()):
        if not nulls[i]:  # arrow nests arrays of objects, which a list of lists is made of
            is_nested = getattr(getattr(values, "dtype", None), "kind", "") == "O"
            cells[i] = _as_lists(values) if is_nested else values
    return cells


def _as_lists(values: Any) -> Any:
    return [_as_lists(v) for v in values] if isinstance(values, np.ndarray) else values


def _nulls(column: Any) -> np.ndarray:
    return np.array(column.is_null().to_numpy(), dtype=bool)


def _read_array(X: Any, name: str, *, cells: bool = False) -> Any:
    """Turn the missing entries of an array or a list into NaN, and refuse what is no value.

    Parameters
    ----------
    X : array-like
    name : str
        In messages.
    cells : bool, default=False
        Whether arrays in the cells of a table, or of a column, are left to who reads them.
    """
    X = as_array(X)
    if isinstance(X, np.ma.MaskedArray):
        X = unmask(X)
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    if kind == "c":
        raise ValueError(f"{name} holds {X.dtype}. Complex data not supported: take real numbers.")
    if kind in ("m", "M"):
        raise TypeError(f"{name} holds {X.dtype}; it must hold numbers. Convert it first.")
    if not (isinstance(X, list | tuple) or (isinstance(X, np.ndarray) and kind == "O")):
        return X
    values = _as_objects(X)
    kinds = {type(value) for value in values.flat}
    if cells and isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] == 1:
        # what else there is in a column of structures is told by who reads it
        kinds = set() if any(map(is_structure_type, kinds)) else kinds
    if cells and isinstance(X, np.ndarray) and X.ndim <= 2:
        kinds = {k for k in kinds if not (issubclass(k, _ARRAYS) or is_structure_type(k))}
    _refuse_others(kinds, name)
    missing = np.asarray(pd.isna(values))
    if not missing.any():
        return X
    return np.where(missing, np.nan, values)


def as_array(value: Any) -> Any:
    """Return a tensor as an array, also one of a list; leave all else as it is.

    Parameters
    ----------
    value : object

    Returns
    -------
    object
        A tensor on the CPU shares its memory with the array.
    """
    torch = sys.modules.get("torch")  # without torch there is no tensor
    if torch is None:
        return value
    if isinstance(value, list | tuple) and any(isinstance(v, torch.Tensor) for v in value):
        return type(value)([as_array(v) for v in value])
    if not isinstance(value, torch.Tensor):
        return value
    value = value.detach().cpu()
    if value.layout != torch.strided:
        value = value.to_dense()
    if value.dtype == torch.bfloat16:  # NumPy has no such numbers
        value = value.float()
    return np.asarray(value.resolve_conj().resolve_neg().numpy())


def is_array(value: Any) -> bool:
    """Return whether a cell holds an array, rather than a number, a word or nothing."""
    if isinstance(value, _ARRAYS):
        return not is_structure(value)  # which may be a named tuple
    return as_array(value) is not value


def unmask(X: np.ma.MaskedArray) -> np.ndarray:
    """Return a masked array as one with NaN where it is masked."""
    if not np.ma.is_masked(X):
        return np.asarray(X)
    dtype = X.dtype if X.dtype.kind == "f" else np.float64 if X.dtype.kind in "biu" else object
    return np.ma.filled(X.astype(dtype), np.nan)


def _as_objects(X: Any) -> np.ndarray:
    """Return the elements of a list or an array; NumPy would turn numbers among words to words."""
    if isinstance(X, list | tuple) and not any(
        hasattr(x, "__len__") and not isinstance(x, str) for x in X
    ):
        values = np.empty(len(X), dtype=object)
        values[:] = X
        return values
    return np.asarray(X, dtype=object)


# ---------------------------------------------------------------------------------------------
# Kinds of values


def holds_categories(column: pd.Series, subject: str) -> bool:
    """Return whether a column holds categories rather than numbers.

    Categories, booleans and strings are categorical; so are objects, if they are not all numbers.

    Parameters
    ----------
    column : Series
    subject : str
        The beginning of a message, such as "Column 'a'".

    Raises
    ------
    TypeError
        If the column holds neither, such as dates, durations or complex numbers.
    """
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype) or types.is_bool_dtype(dtype):
        return True
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):
        return False
    if types.is_object_dtype(dtype):
        kinds = {type(value) for value in column[column.notna()]}
        _refuse_others(kinds, subject)
        return not all(issubclass(kind, Real | Decimal) and kind is not bool for kind in kinds)
    if types.is_string_dtype(dtype):
        return True
    raise TypeError(
        f"{subject} has dtype {dtype}; it must hold numbers, strings, booleans or categories. "
        "Convert it first, such as a date to a number of days."
    )


def _refuse_others(kinds: set[type], subject: str) -> None:
    """Refuse values that are neither numbers, strings nor booleans; None and NA are missing."""
    missing = (type(None), type(pd.NA), type(pd.NaT))
    others = {
        kind
        for kind in kinds
        if kind not in missing
        and (not issubclass(kind, str | Real | Decimal | np.bool_) or issubclass(kind, _TIMES))
    }
    if others:
        names = ", ".join(sorted(kind.__name__ for kind in others))
        advice = "Convert it first, such as a date to a number of days."
        if all(issubclass(kind, _ARRAYS) for kind in others):
            advice = (
                "Arrays, such as spectra or images, are columns of X for a SpectrumBlock, an "
                "ImageBlock or an ArrayBlock of your own in blocks, or the y of a "
                "SupervisedAutoencoder with a target_block."
            )
        elif all(is_structure_type(kind) for kind in others):
            advice = (
                "Structures of atoms are a list, or cells of a column of a DataFrame; X with such "
                "a column has blocks='auto', or an AtomsBlock in blocks."
            )
        raise TypeError(
            f"{subject} holds {names}; every argument must be a string, a boolean, a category or "
            f"a number. {advice}"
        )


# ---------------------------------------------------------------------------------------------
# Rows


def check_same_rows(X: Any, **others: Any) -> None:
    """Refuse X and, for example, y whose rows have the same labels in another order.

    Labels are compared where both have some (as pandas has); all else goes by position.

    Parameters
    ----------
    X : table
    **others : Series, DataFrame or other
        By name.

    Raises
    ------
    ValueError
        If the labels are the same, in another order.

    Warns
    -----
    RowLabelWarning
        If most labels are the same and others are not, so that rows may not belong together; not
        of integers that count rows in the same order.
    """
    index = _row_labels(X)
    for name, other in others.items():
        given = _row_labels(other)
        if index is None or given is None or len(index) != len(given) or index.equals(given):
            continue
        ours, theirs = _label_keys(index), _label_keys(given)
        differ = np.flatnonzero(ours != theirs)
        if not len(differ):
            continue
        here, there = (labels[differ[:1]].tolist()[0] for labels in (index, given))
        example = f"row {differ[0]} is {here!r} in X and {there!r} in {name}"
        if np.array_equal(np.sort(ours), np.sort(theirs)):
            raise ValueError(
                f"X and {name} have the same row labels in another order: {example}. Bring them "
                "into one order, such as with .loc[X.index]; or drop the labels of one of them "
                "with to_numpy(), where its rows are those of the other by position."
            )
        n_common = int(np.isin(ours, theirs).sum())
        name_rows = index.is_unique and given.is_unique
        if name_rows and n_common > len(index) / 2 and not _count_alike(index, given):
            warnings.warn(
                f"{n_common} of the {len(index)} row labels of X are in {name} too, the others "
                f"are not, such as where {example}; rows are taken by position.",
                RowLabelWarning,
                stacklevel=stack_level_of_caller(),
            )


def _row_labels(X: Any) -> pd.Index | None:
    return X.index if isinstance(X, pd.DataFrame | pd.Series) else None


def _label_keys(index: pd.Index) -> np.ndarray:
    """Compute a key of each label, equal for equal labels."""
    # pandas hashes equal labels of several dtypes alike only as objects
    if index.nlevels == 1 and not types.is_integer_dtype(index.dtype):
        index = index.astype(object)
    return pd.util.hash_pandas_object(index, index=False).to_numpy()


def _count_alike(first: pd.Index, second: pd.Index) -> bool:
    """Return whether labels only number the rows, of the table or of a larger one.

    The labels of a part, such as a fold, are in one order if those of the whole were.
    """
    if any(isinstance(i, pd.RangeIndex) and (i.start, i.step) == (0, 1) for i in (first, second)):
        return True
    if not all(i.nlevels == 1 and types.is_integer_dtype(i.dtype) for i in (first, second)):
        return False
    return np.array_equal(np.argsort(first, kind="stable"), np.argsort(second, kind="stable"))


def read_rows(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Read the data of a fit or a score, and check that the rows belong together.

    Returns
    -------
    X, y, sample_weight
        As ``read_table`` and ``read_target`` give them, with the row labels of X; None stays None.

    Raises
    ------
    TypeError
        If y is a list of names of columns, which would count as values of as many rows.
    """
    X = read_table(X)
    _refuse_names(X, y)
    y = None if y is None else read_target(y, cells=True)
    if sample_weight is not None:
        sample_weight = read_target(sample_weight, "sample_weight")
    check_same_rows(X, y=y, sample_weight=sample_weight)
    return X, label_rows(y, X), label_rows(sample_weight, X)


def _refuse_names(X: Any, y: Any) -> None:
    """Refuse a list of names of columns in place of y; of as many as rows, they are labels."""
    is_list = isinstance(y, list | tuple) and len(y) > 0
    if not is_list or not isinstance(X, pd.DataFrame) or len(y) == len(X):
        return
    if all(isinstance(name, str) and name in X.columns for name in y):
        names = list(y)
        raise TypeError(
            f"y is {y!r}, names of columns; it must hold a value for each row. Columns are passed "
            f"as table[{names!r}]; if they are the target, leave them out of X: "
            f"table.drop(columns={names!r})."
        )


def label_rows(y: Any, X: Any) -> Any:
    """Set the row labels of X on y, so that parts of both are not compared by old ones."""
    index = _row_labels(X)
    if index is None or _row_labels(y) is None or len(y) != len(index):
        return y
    return y.set_axis(index, axis=0)


# ---------------------------------------------------------------------------------------------
# The kind of frame that came in


@dataclass(frozen=True)
class FrameKind:
    """The package of a frame, and its columns' dtypes there, as plain values.

    Parameters
    ----------
    package : "polars" or "pyarrow"
    dtypes : dict of str to dict
        By column: the dtype's name, and what else it needs.
    """

    package: str
    dtypes: dict[str, dict[str, Any]]

    def restore(self, frame: pd.DataFrame) -> Any:
        """Make a frame of the package of one of pandas, with the dtypes that its columns had.

        Parameters
        ----------
        frame : DataFrame of shape (n_samples, n_features)
            Some of the columns, in any order.
        """
        whole = self._restore_numbers(frame) if self.package == "polars" else None
        if whole is not None:
            return whole
        columns = {str(label): column for label, column in frame.items()}
        make = _polars_column if self.package == "polars" else _arrow_column
        made = {name: make(column, self.dtypes[name]) for name, column in columns.items()}
        if self.package == "polars":
            import polars

            return polars.DataFrame(made)
        import pyarrow

        return pyarrow.table(made)

    def _restore_numbers(self, frame: pd.DataFrame) -> Any:
        """Make a frame of polars at once, if its columns have one dtype; else return None."""
        import polars

        columns = [str(label) for label in frame.columns]
        kinds = {str(self.dtypes[name]) for name in columns}
        dtypes = set(frame.dtypes)
        if len(columns) < 2 or len(kinds) > 1 or len(dtypes) > 1:
            return None
        (dtype,) = dtypes
        is_plain = isinstance(dtype, np.dtype) and dtype.kind in "fiu"
        if not is_plain or dtype.name != self.dtypes[columns[0]]["name"].lower():
            return None
        made = polars.from_numpy(frame.to_numpy(), schema=columns, orient="row")
        return made.fill_nan(None) if dtype.kind == "f" else made


@dataclass(frozen=True)
class ArrayKind:
    """The shape of the rows of an array that has more than two dimensions.

    Parameters
    ----------
    shape : tuple of int
    """

    shape: tuple[int, ...]

    def restore(self, table: pd.DataFrame | np.ndarray) -> np.ndarray:
        """Reshape rows of (n_samples, n_features) to their own shape; or make cells of them."""
        if isinstance(table, pd.DataFrame):
            table = np.stack(table.iloc[:, 0].tolist()) if len(table) else np.empty(0)
        return table.reshape(len(table), *self.shape)


def as_cells(X: Any, label: str = "x0") -> Any:
    """Return an array of more than two dimensions as a DataFrame of one column.

    A chain deals columns out to its stages, and an array a row is one thing.

    Parameters
    ----------
    X : table
    label : str
        Of the column.

    Returns
    -------
    DataFrame of shape (n_samples, 1), or X
        Its cells are the rows of the array, without a copy; X as it is, where it is a table.
    """
    if not isinstance(X, np.ndarray) or X.ndim <= 2:
        return X
    cells = np.empty(len(X), dtype=object)
    cells[:] = list(X)
    return pd.DataFrame({label: cells})


# None where a table is given back as one of pandas, or as an array of two dimensions.
TableKind = FrameKind | ArrayKind | None


def table_kind(X: Any) -> TableKind:
    """Read the kind of a table."""
    if hasattr(X, "shape") and n_dims(X) > 2:
        return ArrayKind(tuple(X.shape[1:]))
    package = type(X).__module__.split(".")[0]
    if package == "polars" and type(X).__name__ == "DataFrame":
        return FrameKind(package, {name: _polars_spec(t) for name, t in X.schema.items()})
    if package == "pyarrow" and type(X).__name__ == "Table":
        types_of = {field.name: field.type for field in X.schema}
        return FrameKind(package, {name: {"arrow": arrow_spec(t)} for name, t in types_of.items()})
    return None


def kind_to_state(kind: TableKind) -> dict[str, Any] | None:
    """Return a kind as plain values."""
    return None if kind is None else dict(vars(kind))


def kind_from_state(state: dict[str, Any] | None) -> TableKind:
    """Make a kind from the state of ``kind_to_state``."""
    if state is None:
        return None
    return ArrayKind(tuple(state["shape"])) if "shape" in state else FrameKind(**state)


def give_back(table: Any, kind: TableKind) -> Any:
    """Return a table of pandas or NumPy as the kind of frame or array that came in."""
    if isinstance(kind, ArrayKind) or (kind is not None and isinstance(table, pd.DataFrame)):
        return kind.restore(table)
    return table


def _polars_spec(dtype: Any) -> dict[str, Any]:
    """Describe a dtype of polars by its name and its arguments."""
    spec: dict[str, Any] = {"name": getattr(dtype, "__name__", None) or type(dtype).__name__}
    if spec["name"] == "Enum":
        spec["categories"] = dtype.categories.to_list()
    elif spec["name"] == "Decimal":
        spec |= {"precision": dtype.precision, "scale": dtype.scale}
    elif spec["name"] in ("Array", "List"):
        spec["inner"] = _polars_spec(dtype.inner)
        spec |= {"shape": list(dtype.shape)[:1]} if spec["name"] == "Array" else {}
    return spec


def _polars_dtype(spec: dict[str, Any]) -> Any:
    """Make a dtype of polars from its description."""
    import polars

    settings = {key: value for key, value in spec.items() if key != "name"}
    if "inner" in settings:
        settings["inner"] = _polars_dtype(settings["inner"])
    if "shape" in settings:
        settings["shape"] = settings["shape"][0]
    dtype = getattr(polars, spec["name"])
    return dtype(**settings) if settings else dtype


def _polars_column(column: pd.Series, spec: dict[str, Any]) -> Any:
    """Make a Series of polars, with a described dtype where it holds every value."""
    import polars

    dtype = _polars_dtype(spec)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiub":
        made = polars.Series(column.to_numpy(), nan_to_null=True)
        return made if spec["name"] == "Null" else made.cast(dtype)
    values = _plain_values(column, spec.get("scale"))
    is_whole = "inner" in spec and all(isinstance(v, np.ndarray) for v in column)
    if is_whole and len({v.shape for v in column}) == 1:
        return polars.Series(np.stack(column.tolist())).cast(dtype)
    made = polars.Series(values, dtype=None if spec["name"] == "Null" else dtype, strict=False)
    if made.null_count() > sum(value is None for value in values):
        return polars.Series(values)  # such as a category that is none of an enumeration's
    return made


def _arrow_column(column: pd.Series, spec: dict[str, Any]) -> Any:
    """Make an array of pyarrow, with a described type."""
    import pyarrow

    dtype = arrow_dtype(spec["arrow"])
    is_null = pyarrow.types.is_null(dtype)  # a column without a value has no type to keep
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiub":
        made = pyarrow.array(column.to_numpy(), from_pandas=True)
        return made if is_null else made.cast(dtype)
    if pyarrow.types.is_nested(dtype) and all(getattr(v, "ndim", 0) == 1 for v in column):
        return pyarrow.array(column.tolist(), type=dtype)
    values = _plain_values(column, getattr(dtype, "scale", None))
    if pyarrow.types.is_dictionary(dtype):
        return pyarrow.array(values, type=dtype.value_type).dictionary_encode().cast(dtype)
    return pyarrow.array(values, type=None if is_null else dtype)


def _plain_values(column: pd.Series, scale: int | None) -> list[Any]:
    """Return the values of a column, None where missing; of a decimal with its places."""
    missing = column.isna().to_numpy()
    values = column.astype(object).tolist()
    if scale is not None:
        values = decimals(values, scale)
    values = [v.tolist() if isinstance(v, np.ndarray) else v for v in values]
    return [None if gone else value for value, gone in zip(values, missing, strict=True)]


def decimals(values: Any, scale: int) -> list[Any]:
    """Return numbers as decimals with a number of places, and None where there is no number."""
    step = Decimal(1).scaleb(-scale)
    return [None if pd.isna(v) else Decimal(str(v)).quantize(step) for v in values]


def arrow_spec(dtype: Any) -> str:
    """Describe a type of pyarrow by the hexadecimal text of its serialized schema."""
    import pyarrow

    return pyarrow.schema([pyarrow.field("", dtype)]).serialize().to_pybytes().hex()


def arrow_dtype(spec: str) -> Any:
    """Return the type of pyarrow that ``arrow_spec`` described."""
    import pyarrow

    return pyarrow.ipc.read_schema(pyarrow.py_buffer(bytes.fromhex(spec))).field(0).type
