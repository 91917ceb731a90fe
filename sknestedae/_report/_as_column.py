"""The usual alternative to nesting: a predicted earlier property as one more column.

The property of an earlier scale is predicted by a forest of trees and put beside the columns; for
a material that was measured there, the measured value. A chain passes the same on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from .._tables._measured import MeasuredValues
from ._task import Target, Task

# With more columns in the table, gradient boosting would take longer than all else, and trees look
# at some columns of it alone.
WIDEST_BOOSTED = 512
# A row that has the property itself is predicted as if it were new, from so many parts.
_N_PARTS = 5


class _Source(NamedTuple):
    """Earlier properties that are known in the same rows of one scale.

    Parameters
    ----------
    columns : DataFrame of shape (n_samples, n_columns)
        What the forest learns from; numbers.
    identity : DataFrame of shape (n_samples, n_columns)
        What tells one material from another.
    values : ndarray of shape (n_samples, n_properties)
        NaN where not known.
    """

    columns: pd.DataFrame
    identity: pd.DataFrame
    values: np.ndarray


def prepared(table: pd.DataFrame) -> ColumnTransformer:
    """Return a transformer of a table to numbers: imputed and standardised, or one-hot."""
    is_text = [isinstance(dtype, pd.CategoricalDtype) for dtype in table.dtypes]
    texts = list(table.columns[is_text])
    numbers = list(table.columns[~np.array(is_text, dtype=bool)])
    fill = SimpleImputer(strategy="constant", fill_value="(missing)")
    return make_column_transformer(
        (make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()), numbers),
        (make_pipeline(fill, OneHotEncoder(handle_unknown="ignore")), texts),
    ).set_output(transform="default")


def forest_settings(table: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return the settings of a forest of extra trees; in a wide table it looks at some columns."""
    is_wide = table.shape[1] > WIDEST_BOOSTED
    return {"random_state": seed, "max_features": "sqrt" if is_wide else 1.0}


def earlier_targets(task: Task, target: Target) -> list[Target]:
    """Return the targets of earlier stages that can stand as a column: plain numbers."""
    return [
        earlier
        for earlier in task.targets
        if earlier.stage < target.stage and earlier.classes is None and not earlier.shape
    ]


def properties_as_columns(
    task: Task, target: Target, learnt: np.ndarray, wanted: np.ndarray, seed: int
) -> pd.DataFrame | None:
    """Return the earlier scales' properties of some rows, as one would without a chain.

    Parameters
    ----------
    task : Task
    target : Target
        Of a later stage.
    learnt : ndarray of int
        All rows that may be used for training.
    wanted : ndarray of int
        Rows to give. Of the training rows, no row gets its own value: a new row's would not be
        known either.
    seed : int

    Returns
    -------
    DataFrame of shape (n_wanted, n_properties) or None
        Named "p0" and so on. None without a property that is known in some row.
    """
    found = []
    for source in _sources(task, target):
        rows = learnt[~np.isnan(source.values[learnt, 0])]
        if not len(rows):
            continue
        values = np.full(source.values.shape, np.nan)
        new = np.setdiff1d(wanted, rows)
        values[new] = _find(source, rows, new, seed)
        own = np.isin(rows, wanted)
        if own.any():
            for train, test in _parts(rows, task.groups, seed):
                asked = rows[test[own[test]]]
                values[asked] = _find(source, rows[train], asked, seed)
        found.append(values[wanted])
    if not found:
        return None
    return pd.DataFrame(np.hstack(found)).add_prefix("p")


def _sources(task: Task, target: Target) -> Iterator[_Source]:
    """Return the earlier properties; those known in the same rows of one scale together."""
    alike: dict[tuple[int, bytes], list[Target]] = {}
    for earlier in earlier_targets(task, target):
        alike.setdefault((earlier.stage, earlier.known.tobytes()), []).append(earlier)
    for (stage, _), targets in alike.items():
        columns = task.frame(stage)
        identity = task.frame(stage, merge_rare=False)
        if task.key is not None:
            identity = task.key.values.to_frame()
        values = np.column_stack([earlier.values for earlier in targets])
        yield _Source(columns, identity, values)


def _parts(
    rows: np.ndarray, groups: np.ndarray | None, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Split rows by whole groups; a single group leaves no training rows."""
    own = None if groups is None else groups[rows]
    n = len(rows) if own is None else len(np.unique(own))
    if n < 2:
        return iter(())
    kind = KFold if own is None else GroupKFold
    splitter = kind(min(_N_PARTS, n), shuffle=True, random_state=seed)
    return splitter.split(rows, groups=own)


def _find(source: _Source, learnt: np.ndarray, asked: np.ndarray, seed: int) -> np.ndarray:
    """Return the measured values of known materials, and predict all others."""
    if not len(asked):
        return np.empty((0, source.values.shape[1]))
    y = source.values[learnt]
    measured = MeasuredValues.of(source.identity.iloc[learnt], y)
    values = measured.find(source.identity.iloc[asked])
    if not np.isnan(values).any():
        return values
    used = source.columns.columns[source.columns.iloc[learnt].notna().any()]
    if not len(used):
        return np.where(np.isnan(values), y.mean(axis=0), values)
    X = source.columns[used]
    forest = make_pipeline(prepared(X), ExtraTreesRegressor(**forest_settings(X, seed)))
    forest.fit(X.iloc[learnt], y[:, 0] if y.shape[1] == 1 else y)
    predicted = forest.predict(X.iloc[asked]).reshape(values.shape)
    return np.where(np.isnan(values), predicted, values)
