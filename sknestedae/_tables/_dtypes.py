"""Data types of columns as plain values, and decoded values back in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from ._input import arrow_dtype, arrow_spec, decimals


def dtype_spec(dtype: Any) -> str | dict[str, Any]:
    """Describe a dtype by its name, or by plain values where the name is not enough.

    A file holds such a description: pickled dtypes depend on the version of pandas.
    """
    if isinstance(dtype, np.dtype) and dtype.kind in "fiub":
        return str(dtype)  # at once, as a table may have thousands of such columns
    if isinstance(dtype, pd.CategoricalDtype):
        return {
            "categories": np.asarray(dtype.categories, dtype=object),
            "dtype": dtype_spec(dtype.categories.dtype),
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


def _dtype_of(spec: str | dict[str, Any]) -> Any:
    """Return the dtype that was described."""
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
    """Convert a column of decoded values to a dtype; integers by rounding, within their range."""
    return restore_dtype(column, dtype_spec(dtype))


def restore_dtype(column: np.ndarray, spec: str | dict[str, Any]) -> pd.Series:
    """Convert a column of decoded values to a described dtype; integers by rounding."""
    dtype = _dtype_of(spec)
    if isinstance(dtype, pd.CategoricalDtype):
        return pd.Series(pd.Categorical(column, dtype=dtype))
    if isinstance(dtype, pd.ArrowDtype) and hasattr(dtype.pyarrow_dtype, "scale"):
        return pd.Series(decimals(column, dtype.pyarrow_dtype.scale)).astype(dtype)
    if types.is_bool_dtype(dtype) and column.dtype != object:
        column = column > 0.5
    # the dtype of NumPy below a nullable one, or below a sparse one
    plain = getattr(dtype, "numpy_dtype", getattr(dtype, "subtype", dtype))
    is_number = types.is_float_dtype(dtype) or types.is_integer_dtype(dtype)
    if is_number and column.dtype != object:
        column = cast_numbers(column, np.dtype(plain))
    return pd.Series(column).astype(dtype)


def cast_numbers(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Cast decoded numbers to a dtype: within its range, integers by rounding, booleans at 0.5.

    Parameters
    ----------
    values : ndarray of any shape
        Of floats.
    dtype : dtype
        Of floats, integers or booleans.

    Returns
    -------
    ndarray of the same shape
    """
    if dtype.kind == "b":
        return values > 0.5
    if dtype.kind == "f":
        return clip_to_float(values, dtype)
    bounds = np.iinfo(dtype)
    # float(max) of a 64-bit integer rounds up, out of its range
    top = np.nextafter(float(bounds.max), 0) if dtype.itemsize == 8 else bounds.max
    return np.clip(np.rint(values.astype(np.float64)), bounds.min, top).astype(dtype)


def clip_to_float(column: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Cast to a float dtype; a number out of its range becomes its smallest or largest one."""
    if dtype == np.float64:  # nothing is out of its range; infinity would show an error elsewhere
        return column.astype(dtype)
    bounds = np.finfo(dtype)
    if column.dtype == dtype:  # infinity alone is out of its range
        return np.clip(column, bounds.min, bounds.max)
    if column.dtype != np.float64:
        column = column.astype(np.float64)
    # in the type that is wanted at once, without another copy of a large table
    out = np.empty(column.shape, dtype=dtype)
    return np.clip(column, bounds.min, bounds.max, out=out, casting="same_kind")


def all_numbers(column: np.ndarray) -> bool:
    """Return whether every element of an array of objects is a number."""
    return all(isinstance(value, Number) for value in column)


# ---------------------------------------------------------------------------------------------
# Many columns at once


def dtype_groups(dtypes: Iterable[Any]) -> dict[np.dtype | None, list[int]]:
    """Group the positions of columns by their dtype of plain numbers; None for all others.

    Parameters
    ----------
    dtypes : iterable of dtype

    Returns
    -------
    dict of dtype or None to list of int
        Of floats, integers and booleans of NumPy; in rising order.
    """
    groups: dict[np.dtype | None, list[int]] = {}
    before, own = object(), []
    for j, dtype in enumerate(dtypes):
        if dtype is not before:  # columns of one block of pandas share the object
            is_plain = isinstance(dtype, np.dtype) and dtype.kind in "fiub"
            before, own = dtype, groups.setdefault(dtype if is_plain else None, [])
        own.append(j)
    return groups


def selector(positions: Sequence[int]) -> slice | list[int]:
    """Return positions as a slice where they follow each other: it makes a view, not a copy."""
    positions = list(positions)
    if not positions or positions != list(range(positions[0], positions[0] + len(positions))):
        return positions
    return slice(positions[0], positions[-1] + 1)


def frame_of(
    pieces: Sequence[tuple[Sequence[int], np.ndarray]],
    labels: pd.Index,
    specs: Sequence[str | dict[str, Any]],
    index: pd.Index | None = None,
) -> pd.DataFrame:
    """Put decoded columns together to a DataFrame, each in its dtype.

    Columns of one dtype of plain numbers are made at once, as there may be thousands of them.

    Parameters
    ----------
    pieces : sequence of (sequence of int, ndarray of shape (n_samples, n_positions))
        Positions of columns, and their values: floats, or objects. All columns, each once.
    labels : Index
        Of all columns.
    specs : sequence of n_columns str or dict
        The columns' dtypes, as ``dtype_spec`` describes them.
    index : Index, optional
        Of the DataFrame.

    Returns
    -------
    DataFrame of shape (n_samples, n_columns)
    """
    frames, order = [], []
    for positions, values in pieces:
        n_own = len(positions)
        dtypes = _plain_dtypes([specs[j] for j in positions], values.dtype)
        for dtype, own in dtype_groups(dtypes).items():
            if dtype is None:
                columns = [restore_dtype(values[:, k], specs[positions[k]]) for k in own]
                made = pd.DataFrame(dict(zip(own, columns, strict=True)))
            else:
                part = values if len(own) == n_own else values[:, selector(own)]
                made = pd.DataFrame(cast_numbers(part, dtype), copy=False)
            frames.append(made)
            order += [positions[k] for k in own]
    frame = assemble(frames, order).set_axis(labels, axis=1)
    return frame if index is None else frame.set_axis(index, axis=0)


def _plain_dtypes(specs: list[Any], values: np.dtype) -> list[np.dtype | None]:
    """Return the dtypes of plain numbers among descriptions; None of others, and of objects."""
    if values.kind == "O":
        return [None] * len(specs)
    known: dict[str, np.dtype | None] = {}
    plain: list[np.dtype | None] = []
    for spec in specs:
        if not isinstance(spec, str):
            plain.append(None)
            continue
        if spec not in known:
            dtype = _dtype_of(spec)
            known[spec] = dtype if isinstance(dtype, np.dtype) and dtype.kind in "fiub" else None
        plain.append(known[spec])
    return plain


def assemble(frames: Sequence[pd.DataFrame], order: Sequence[int]) -> pd.DataFrame:
    """Put frames of the same rows side by side, and their columns into an order.

    Parameters
    ----------
    frames : sequence of DataFrame
        At least one. Their rows go by position, and have the index of the first.
    order : sequence of int
        Position of each column in the result; each once.

    Returns
    -------
    DataFrame of shape (n_samples, n_columns)
        Its columns are named by their positions.
    """
    first = frames[0].index
    aligned = [frame if frame.index is first else frame.set_axis(first) for frame in frames]
    whole = aligned[0] if len(frames) == 1 else pd.concat(aligned, axis=1, ignore_index=True)
    whole = whole.set_axis(pd.RangeIndex(whole.shape[1]), axis=1)
    if list(order) == list(range(len(order))):
        return whole
    return whole.iloc[:, np.argsort(order)].set_axis(whole.columns, axis=1)
