"""Spellings of one table."""

from __future__ import annotations

import polars as pl
import pyarrow as pa
from pandas.api.types import is_string_dtype

SPELLINGS = {
    "polars": pl.from_pandas,
    "pyarrow": lambda X: pa.Table.from_pandas(X, preserve_index=False),
    "nullable": lambda X: X.convert_dtypes(dtype_backend="numpy_nullable"),
    "arrow dtypes": lambda X: X.convert_dtypes(dtype_backend="pyarrow"),
    "objects": lambda X: X.astype(object),
    "categories": lambda X: X.astype({j: "category" for j in X if is_string_dtype(X[j])}),
}
