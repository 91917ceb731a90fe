"""The columns that candidates have, and the values that known rows have in them."""

from __future__ import annotations

from collections.abc import Collection, Hashable

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_integer_dtype

from .._tables._columns import resolve_columns
from .._tables._statistics import standard_deviation


class CandidateColumns:
    """The columns of a table, and the values that known rows have in them.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_features)
        Known rows, without missing values.
    categories : dict of int to ndarray
        Categories that were seen in ``fit``, for each categorical column.
    used : collection of int, optional
        Positions of the columns that a stage has; nothing is said about the others. All by
        default.
    seen : str
        Where categories were seen, for messages.

    Attributes
    ----------
    labels : list
        Of all columns.
    numeric : list of int
        Positions of the numeric columns that a stage has.
    n_columns : int
        Number of columns that a stage has.
    low, high, scale : ndarray of shape (n_features,)
        Range and standard deviation of the known rows; NaN for all but numeric columns.
    is_integer : ndarray of bool, shape (n_features,)
        Whether values are whole numbers; also for columns of True and False.
    """

    def __init__(
        self,
        X: pd.DataFrame,
        categories: dict[int, np.ndarray],
        used: Collection[int] | None = None,
        seen: str = "in fit",
    ) -> None:
        self.labels = list(X.columns)
        self.categories = categories
        self.seen = seen
        used = sorted(range(X.shape[1]) if used is None else used)
        self.numeric = [j for j in used if j not in categories]
        self.n_columns = len(used)
        self.low, self.high, self.scale = (np.full(X.shape[1], np.nan) for _ in range(3))
        self.is_integer = np.zeros(X.shape[1], dtype=bool)
        for j in self.numeric:
            values = X.iloc[:, j].to_numpy(dtype=np.float64)
            self.low[j], self.high[j] = values.min(), values.max()
            self.scale[j] = standard_deviation(values) or 1.0
            dtype = X.dtypes.iloc[j]
            self.is_integer[j] = is_integer_dtype(dtype) or is_bool_dtype(dtype)

    def position(self, key: Hashable, parameter: str) -> int:
        """Give the position of one column that a parameter names."""
        found = resolve_columns(
            key, self.labels, len(self.labels), f"The '{parameter}' parameter"
        ).tolist()
        if len(found) != 1:
            raise ValueError(
                f"The '{parameter}' parameter must name single columns; {key!r} stands for "
                f"{len(found)}."
            )
        if found[0] not in self.categories and found[0] not in self.numeric:
            raise ValueError(
                f"The '{parameter}' parameter names column {self.name(found[0])}, which no stage "
                "has: nothing can be said about it."
            )
        return found[0]

    def name(self, j: int) -> str:
        """Give a column's label, for a message."""
        return repr(self.labels[j])
