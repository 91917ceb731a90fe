"""Checks that estimators share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from .._compat import check_sample_weight, safe_indexing


@contextmanager
def all_or_nothing(estimator: BaseEstimator) -> Iterator[None]:
    """Leave an estimator as it was if fitting does not come to its end."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


def check_not_empty(X: pd.DataFrame) -> None:
    """Refuse a DataFrame without rows or columns, in scikit-learn's words for an array."""
    if 0 in X.shape:
        raise ValueError(
            f"Found array with {len(X)} sample(s) and {X.shape[1]} feature(s) "
            f"(shape={X.shape}) while a minimum of 1 is required of each."
        )


def drop_weightless(X: Any, sample_weight: np.ndarray) -> tuple[Any, np.ndarray, Any]:
    """Leave out rows of weight 0, so that nothing is learnt of them; say which are kept."""
    kept = sample_weight > 0
    if kept.all():
        return X, sample_weight, slice(None)
    if not kept.any():
        raise ValueError("sample_weight is 0 for all rows; at least one must be positive.")
    return X[kept], sample_weight[kept], kept


def leave_out_weightless(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Leave out rows of weight 0 before members draw rows: no draw may have only such."""
    if sample_weight is None:
        return X, y, sample_weight
    sample_weight = check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    kept = np.flatnonzero(sample_weight > 0)
    if len(kept) in (0, len(sample_weight)):
        return X, y, sample_weight
    X, y = (None if part is None else safe_indexing(part, kept) for part in (X, y))
    return X, y, sample_weight[kept]


def check_layer_sizes(sizes: Any, parameter: str) -> tuple[int, ...]:
    """Give widths of hidden layers as a tuple of positive integers."""
    sizes = (sizes,) if isinstance(sizes, Integral) else tuple(sizes)
    if not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
        raise ValueError(
            f"The '{parameter}' parameter must be a positive int or a sequence of them, got "
            f"{sizes!r}."
        )
    return tuple(int(size) for size in sizes)
