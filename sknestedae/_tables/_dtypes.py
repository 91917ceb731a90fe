"""Data types of columns as plain values, and decoded values back in them."""

from __future__ import annotations

from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from ._input import arrow_dtype, arrow_spec, decimals


def dtype_spec(dtype: Any) -> str | dict[str, Any]:
    """Describe a dtype by its name, or by plain values where the name does not tell all.

    A file holds such a description: pickled dtypes depend on the version of pandas.
    """
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
    """Give the dtype that was described."""
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
    """Give a column of decoded values a dtype; integers by rounding, within their range."""
    return restore_dtype(column, dtype_spec(dtype))


def restore_dtype(column: np.ndarray, spec: str | dict[str, Any]) -> pd.Series:
    """Give a column of decoded values the dtype of a description; integers by rounding."""
    dtype = _dtype_of(spec)
    if isinstance(dtype, pd.CategoricalDtype):
        return pd.Series(pd.Categorical(column, dtype=dtype))
    if isinstance(dtype, pd.ArrowDtype) and hasattr(dtype.pyarrow_dtype, "scale"):
        return pd.Series(decimals(column, dtype.pyarrow_dtype.scale)).astype(dtype)
    if types.is_bool_dtype(dtype) and column.dtype != object:
        column = column > 0.5
    # the dtype of NumPy below a nullable one, or below a sparse one
    plain = getattr(dtype, "numpy_dtype", getattr(dtype, "subtype", dtype))
    if types.is_float_dtype(dtype) and column.dtype != object:
        column = clip_to_float(column, plain)
    if types.is_integer_dtype(dtype) and column.dtype != object:
        plain = np.dtype(plain)
        bounds = np.iinfo(plain)
        # float(max) of a 64-bit integer rounds up, out of its range
        top = np.nextafter(float(bounds.max), 0) if plain.itemsize == 8 else bounds.max
        column = np.clip(np.rint(column.astype(np.float64)), bounds.min, top).astype(plain)
    return pd.Series(column).astype(dtype)


def clip_to_float(column: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Cast to a float dtype; a number out of its range becomes its smallest or largest one."""
    if dtype == np.float64:  # nothing is out of its range; infinity would show an error elsewhere
        return column.astype(dtype)
    bounds = np.finfo(dtype)
    return np.clip(column.astype(np.float64), bounds.min, bounds.max).astype(dtype)


def all_numbers(column: np.ndarray) -> bool:
    """Tell whether every element of an array of objects is a number."""
    return all(isinstance(value, Number) for value in column)
