"""Conversion of many tables, one for each scale, to one table; and the scales of a table.

A table with scales has columns of two levels, ``(scale, feature)``. A row belongs to the last
scale at which it has a measured value. Nothing here knows of torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types

from .._compat import stack_level_of_caller, tables_in_model_selection
from ..exceptions import SameRowsWarning, UnitsWarning, UnmeasuredScaleWarning
from ._input import (
    as_array,
    as_cells,
    check_same_rows,
    is_column_of_structures,
    n_dims,
    read_table,
    read_target,
)
from ._missing import measured_rows
from ._target import target_frame

# Of fewer values, nothing is said about a range.
_FEW_VALUES = 5

# What is said of names of columns in place of targets.
_NAMES = (
    "y is {}; it must be a list of a target for each scale, with a value for each row. A column "
    "is passed as table['gap']; leave it out of X, then: table.drop(columns='gap')."
)

# Types that can hold a missing entry, by the kind of those that cannot.
_NULLABLE = {"i": "Int", "u": "UInt", "b": "boolean"}


# ---------------------------------------------------------------------------------------------
# A list of tables, and the scales of one table


def is_scale_list(X: Any) -> bool:
    """Return whether X is a list of tables, and not of rows: its elements are 2-D, or more.

    A list of structures of atoms is a table of one column.
    """
    return isinstance(X, list | tuple) and bool(X) and all(map(_is_table, X))


def _is_table(X: Any) -> bool:
    n = n_dims(X)
    is_array = n > 2 and isinstance(as_array(X), np.ndarray)
    return n == 2 or is_array or is_column_of_structures(X)


def refuse_scale_list(X: Any) -> None:
    """Refuse to split a list of tables into folds.

    Raises
    ------
    ValueError
        If X is such a list.
    """
    if is_scale_list(X):
        raise ValueError(
            "X is a list of tables, one a scale; a split would deal out whole tables instead of "
            "their rows. Pass one table: X, y = stack_scales(X_list, y_list)."
        )


def refuse_folded_lists() -> None:
    """Refuse it where a function of ``sklearn.model_selection`` is running above us."""
    for X in tables_in_model_selection():
        refuse_scale_list(X)


def measured_scales(X: pd.DataFrame | np.ndarray, columns: Sequence[Sequence[int]]) -> np.ndarray:
    """Return the scales at which each row has a measured value.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
    columns : sequence of n_scales sequences of int
        Positions of each scale's own columns.

    Returns
    -------
    ndarray of bool, shape (n_samples, n_scales)
    """
    measured = np.zeros((len(X), len(columns)), dtype=bool)
    for k, own in enumerate(columns):
        measured[:, k] = measured_rows(X, own)
    return measured


def columns_of_scales(
    columns: dict[str, list[int]], y: Any, names: Sequence[str] | None = None
) -> dict[str, list[int]]:
    """Return the columns of the scales, with those scales that only a target has.

    Two scales of the same columns, such as one property by a cheap and a dear method, differ in
    their targets: then every scale of the table has a target, and one more is among these.

    Parameters
    ----------
    columns : dict of str to list of int
        By the scales of the table.
    y : array-like or None
        Target, maybe a DataFrame with columns of two levels.
    names : sequence of str, optional
        Of all scales, where they are known.
    """
    if names is None:
        if not isinstance(y, pd.DataFrame) or y.columns.nlevels < 2:
            return columns
        names = list(dict.fromkeys(map(str, y.columns.get_level_values(0))))
    if not set(names) > set(columns):
        return columns
    return {name: columns.get(name, []) for name in names}


def last_scale(measured: np.ndarray) -> np.ndarray:
    """Return the last scale with a measured value, of shape (n_samples,); -1 for none."""
    n_scales = measured.shape[1]
    # argmax finds the first True, so that the order is reversed for the last
    last = n_scales - 1 - np.argmax(measured[:, ::-1], axis=1)
    return np.where(measured.any(axis=1), last, -1)


# ---------------------------------------------------------------------------------------------
# Many tables to one


class StackedScales(NamedTuple):
    """One table made of many, its target, and the positions of each scale's rows.

    ``same_rows`` tells whether the tables describe the same rows; ``names`` are of the scales,
    also of those that have no column of their own.
    """

    X: pd.DataFrame
    y: pd.DataFrame | None
    rows: list[np.ndarray]
    same_rows: bool
    names: list[str]


def stack_scales(X_list, y_list=None, names=None, *, same_rows="auto"):
    """Stack one table per scale to one table with columns (scale, feature), and their targets.

    The result goes wherever scikit-learn takes X and y: into ``cross_validate``, a grid search or
    a pipeline, which cannot cut a list of tables into folds.

    Parameters
    ----------
    X_list : list of {array-like, DataFrame} of shape (n_samples_k, n_features_k)
        One table per scale, the coarsest description first. Tables with as many rows and without
        a common column describe the same rows. Otherwise each table has rows of its own, and
        carries the columns of all scales before it beside its own: found by name among the
        columns of a DataFrame, and as the first columns of an array. A scale with a target needs
        no column of its own: one property, cheap and dear, of the same columns.
    y_list : list of {array-like of shape (n_samples_k,) or (n_samples_k, n_outputs_k), None}, \
default=None
        One target per scale; None for a scale without one. A single target of one dimension
        belongs to the last scale.
    names : list of str, default=None
        Names of the scales; "scale0", "scale1", ... by default.
    same_rows : bool or "auto", default="auto"
        Whether the tables describe the same rows, or each has rows of its own. "auto": as said
        above. Arrays have no names of columns, so that with as many rows in each both may be
        meant: then they are taken to describe the same rows, with a warning.

    Returns
    -------
    X : DataFrame of shape (n_samples, n_features)
        With columns of two levels, ``(scale, feature)``; NaN where a scale was not measured.
        Features of an array are "x0", "x1", .... Where rows are not the same, those of the scales
        are spread evenly among each other, each scale's in their order, so that every part of the
        table has its share of every scale; the index has two levels, ``(scale, index of the
        table)``, so that ``X.loc["scale1"]`` gives the rows of one scale.
    y : DataFrame of shape (n_samples, n_outputs) or None
        With columns of two levels, ``(scale, target)``; a target of one dimension without a name
        is called "y". None if there is no target.

    Raises
    ------
    ValueError
        If rows cannot be matched, with the missing columns in the message; if a scale has neither
        a column of its own nor a target, a column stands twice, ``y_list`` has another length than
        ``X_list``, or a table and its target have the same row labels in another order.

    Warns
    -----
    SameRowsWarning
        If arrays have as many rows each, and may be tables of the same rows or not.

    See Also
    --------
    ScaleKFold : Folds that have a share of each scale.
    NestedAutoencoder : The estimator that reads such a table.

    Examples
    --------
    >>> import pandas as pd
    >>> from sknestedae import stack_scales
    >>> crystals = pd.DataFrame({"radius": [2.2, 2.5, 1.7, 1.9]})
    >>> cells = pd.DataFrame({"radius": [2.2, 1.7], "layer": ["TiO2", "SnO2"]})
    >>> X, y = stack_scales([crystals, cells], [[1.6, 1.5, 1.7, 2.2], [19.0, 14.0]])
    >>> X
    scale    scale0 scale1
             radius  layer
    scale
    scale0 0    2.2    NaN
    scale1 0    2.2   TiO2
    scale0 1    2.5    NaN
           2    1.7    NaN
    scale1 1    1.7   SnO2
    scale0 3    1.9    NaN
    >>> y.loc["scale1"]
    scale scale0 scale1
               y      y
    0        NaN   19.0
    1        NaN   14.0
    """
    if not is_scale_list(X_list):
        raise ValueError(
            "X_list must be a list of tables of two dimensions, one a scale, got "
            f"{type(X_list).__name__}: {X_list!r:.60}."
        )
    stacked = stack(X_list, y_list, names, same_rows)
    return stacked.X, stacked.y


def stack(
    X_list: Any,
    y_list: Any = None,
    names: Sequence[str] | None = None,
    same_rows: bool | str = "auto",
    *,
    needs_new: bool = True,
) -> StackedScales:
    """Stack a list of tables as ``stack_scales`` does; also return each scale's rows.

    ``needs_new`` says that a scale must have a column of its own, or a target.
    """
    names = check_names(
        [f"scale{k}" for k in range(len(X_list))] if names is None else names, "names"
    )
    if len(names) != len(X_list):
        raise ValueError(f"There are {len(X_list)} tables, but {len(names)} scales: {names}.")
    X_list = [_dense(table, name) for table, name in zip(X_list, names, strict=True)]
    targets = _target_tables(y_list, X_list, names)
    same_rows = _describe_same_rows(X_list, names, same_rows)
    tables = _as_frames(X_list, names, same_rows=same_rows)
    if same_rows:
        _check_same_index(tables, X_list, names)
        own = [list(table.columns) for table in tables]
        rows, index = [np.arange(len(tables[0])) for _ in tables], tables[0].index
    else:
        own = _own_columns(tables, names, [not needs_new or y is not None for y in targets])
        rows = _interleave([len(table) for table in tables])
        index = _stacked_index(tables, rows, names)
    columns, data = [], []
    for k, labels in enumerate(own):
        # rows of their own carry the columns of the scales before; the same rows have them once
        carrying = slice(k, k + 1 if same_rows else None)
        for label in labels:
            columns.append((names[k], label))
            parts = [table[label] for table in tables[carrying]]
            data.append(_scatter(parts, rows[carrying], len(index)))
    X = _two_levels(columns, data, index)
    y = _stack_targets(targets, names, rows, index)
    return StackedScales(X, y, rows, same_rows, names)


def _stack_targets(
    targets: list[pd.DataFrame | None],
    names: list[str],
    rows: list[np.ndarray],
    index: pd.Index,
) -> pd.DataFrame | None:
    """Put the targets side by side, each in its scale's rows; None if there is none."""
    columns, data = [], []
    for name, target, own_rows in zip(names, targets, rows, strict=True):
        if target is None:
            continue
        for j, label in enumerate(target.columns):
            columns.append((name, label))
            data.append(_scatter([target.iloc[:, j]], [own_rows], len(index)))
    return _two_levels(columns, data, index) if columns else None


def doubt_units(stacked: StackedScales) -> None:
    """Warn about columns whose values at a later scale lie apart from those at their own.

    They do where the central nine tenths of both do not overlap, as with other units.

    Parameters
    ----------
    stacked : StackedScales

    Warns
    -----
    UnitsWarning
    """
    if stacked.same_rows:  # no column stands in two tables
        return
    apart = []
    for scale, feature in stacked.X.columns:
        column = stacked.X[(scale, feature)]
        if not types.is_numeric_dtype(column.dtype) or types.is_bool_dtype(column.dtype):
            continue
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        first = stacked.names.index(scale)
        own = _central_range(values[stacked.rows[first]])
        for name, rows in zip(stacked.names[first + 1 :], stacked.rows[first + 1 :], strict=True):
            later = _central_range(values[rows])
            if own[0] > later[1] or later[0] > own[1]:
                apart.append(
                    f"{feature!r} ({own[0]:.4g} to {own[1]:.4g} at {scale!r}, {later[0]:.4g} to "
                    f"{later[1]:.4g} at {name!r})"
                )
    if apart:
        others = f", and {len(apart) - 3} more" if len(apart) > 3 else ""
        warnings.warn(
            f"Columns have ranges that do not overlap at two scales: {'; '.join(apart[:3])}"
            f"{others}. If their units differ, bring them to one.",
            UnitsWarning,
            stacklevel=stack_level_of_caller(),
        )


def doubt_join(stacked: StackedScales) -> None:
    """Warn about rows of a later scale that know nothing of an earlier one.

    A join leaves such rows where a name finds no partner. A column by which they were joined is
    there; but a word that is in no row of its own scale says nothing.

    Parameters
    ----------
    stacked : StackedScales

    Warns
    -----
    UnmeasuredScaleWarning
    """
    if stacked.same_rows:  # nothing was joined
        return
    for k, scale in enumerate(stacked.names[:-1]):
        if scale not in stacked.X.columns.get_level_values(0):  # told by its target alone
            continue
        table = stacked.X[scale]
        known = np.zeros(len(table), dtype=bool)
        for j in range(table.shape[1]):
            column = table.iloc[:, j]
            is_known = column.notna().to_numpy()
            if types.infer_dtype(column, skipna=True) in ("string", "categorical"):
                is_known = is_known & column.isin(column.iloc[stacked.rows[k]]).to_numpy()
            known |= is_known
        for name, rows in zip(stacked.names[k + 1 :], stacked.rows[k + 1 :], strict=True):
            unknown = np.flatnonzero(~known[rows])
            if len(unknown):
                warnings.warn(
                    f"{len(unknown)} of {len(rows)} rows of scale {name!r}, such as row "
                    f"{unknown[0]}, have no known value in the columns of scale {scale!r}. If a "
                    "join left them, a name was not found: look for two spellings of it.",
                    UnmeasuredScaleWarning,
                    stacklevel=stack_level_of_caller(),
                )


def _central_range(values: np.ndarray) -> tuple[float, float]:
    """Return the quantiles of 5 and 95 %; infinite for too few values."""
    known = values[np.isfinite(values)]
    if len(known) < _FEW_VALUES:
        return -np.inf, np.inf
    low, high = np.quantile(known, [0.05, 0.95])
    return float(low), float(high)


def check_names(names: Sequence[Any], parameter: str) -> list[str]:
    """Check names of scales or stages: strings, distinct, without "__"."""
    names = list(names)
    for name in names:
        if not isinstance(name, str) or not name or "__" in name:
            raise ValueError(
                f"The '{parameter}' parameter must have names that are strings without '__', got "
                f"{name!r}."
            )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"The '{parameter}' parameter must have distinct names, but {twice} are there more "
            "than once."
        )
    return names


def _dense(table: Any, name: str) -> pd.DataFrame | np.ndarray:
    """Return a table as a DataFrame or an array."""
    table = read_table(table, f"The table of scale {name!r}")
    return table if isinstance(table, pd.DataFrame) else np.asarray(table)


def _target_tables(
    y_list: Any, X_list: list[pd.DataFrame | np.ndarray], names: list[str]
) -> list[pd.DataFrame | None]:
    """Return each scale's target as a DataFrame with names of its columns."""
    targets = _target_of_each(y_list, names)
    return [
        None if y is None else _target_table(y, X, name)
        for y, X, name in zip(targets, X_list, names, strict=True)
    ]


def _target_of_each(y_list: Any, names: list[str]) -> list[Any]:
    """Return each scale's target, None where it has none."""
    if y_list is None:
        return [None] * len(names)
    if isinstance(y_list, str):
        raise ValueError(_NAMES.format(repr(y_list)))
    if isinstance(y_list, list | tuple):
        is_one = bool(y_list) and all(np.isscalar(value) or value is pd.NA for value in y_list)
    else:
        is_one = n_dims(y_list) == 1
    if is_one:
        y_list = [None] * (len(names) - 1) + [y_list]
    elif not isinstance(y_list, list | tuple):
        raise ValueError(
            f"y_list must be a list of a target (or None) for each of the {len(names)} scales, or "
            f"one target of one dimension for the last, got {type(y_list).__name__}."
        )
    if len(y_list) != len(names):
        raise ValueError(
            f"y_list has {len(y_list)} targets, but there are {len(names)} scales: {names}. Give "
            "one a scale, None where there is none."
        )
    return list(y_list)


def _target_table(y: Any, X: pd.DataFrame | np.ndarray, name: str) -> pd.DataFrame:
    """Return the target of one scale as a DataFrame, and refuse one of other rows."""
    given = y
    y = read_target(y, f"the target of scale {name!r}", cells=True)
    target, is_1d = target_frame(y)
    if len(target) != len(X):
        if isinstance(given, list) and all(isinstance(value, str) for value in given):
            raise ValueError(_NAMES.format(given))
        raise ValueError(
            f"The target of scale {name!r} has {len(target)} rows, but its table has {len(X)}."
        )
    if is_1d:
        label = getattr(y, "name", None)
        target = target.set_axis(["y" if label is None else label], axis=1)
    check_same_rows(X, **{f"the target of scale {name!r}": target})
    return target


def _describe_same_rows(
    X_list: list[pd.DataFrame | np.ndarray], names: list[str], same_rows: bool | str
) -> bool:
    """Return whether all tables have as many rows, and no two of them a column in common.

    Raises
    ------
    ValueError
        If it was said that they do, and they cannot.
    """
    if not (isinstance(same_rows, bool | np.bool_) or same_rows == "auto"):
        raise ValueError(
            f"The 'same_rows' parameter must be True, False or 'auto', got {same_rows!r}."
        )
    n_rows = [len(table) for table in X_list]
    labels = [label for table in X_list for label in set(getattr(table, "columns", []))]
    common = sorted({label for label in labels if labels.count(label) > 1}, key=str)
    can_be_same = len(set(n_rows)) == 1 and not common
    if same_rows == "auto":
        if can_be_same and _may_carry(X_list):
            warnings.warn(
                f"The arrays of scales {names} have {n_rows[0]} rows each. They are taken to "
                "describe the same rows; if each has rows of its own, which carry the columns of "
                "the scales before, set same_rows=False (and same_rows=True for no warning).",
                SameRowsWarning,
                stacklevel=stack_level_of_caller(),
            )
        return can_be_same
    if same_rows and not can_be_same:
        what = f"both have the columns {common}" if common else f"have {n_rows} rows"
        raise ValueError(
            "The 'same_rows' parameter is True, so that tables must have as many rows and no "
            f"column in common; but those of scales {names} {what}."
        )
    return bool(same_rows)


def _may_carry(X_list: list[pd.DataFrame | np.ndarray]) -> bool:
    """Return whether each array may hold the columns of those before, as rows of its own would."""
    widths = [table.shape[1] for table in X_list]
    is_named = any(isinstance(table, pd.DataFrame) for table in X_list)
    is_named = is_named or any(table.ndim > 2 for table in X_list)  # they can carry nothing
    # as many columns as before: a scale that its target alone tells
    grows = all(before <= after for before, after in zip(widths[:-1], widths[1:], strict=True))
    return len(widths) > 1 and not is_named and grows


def _as_frames(
    X_list: list[pd.DataFrame | np.ndarray], names: list[str], *, same_rows: bool
) -> list[pd.DataFrame]:
    """Return each table as a DataFrame; the columns of an array have the names of those before."""
    tables: list[pd.DataFrame] = []
    known: list[Any] = []  # columns of the scales so far
    for table, name in zip(X_list, names, strict=True):
        if not isinstance(table, pd.DataFrame):
            first = [] if same_rows else known[: table.shape[1]]
            new = range(len(known), len(known) + table.shape[1] - len(first))
            if table.ndim > 2:
                table = as_cells(table, f"x{len(known)}")
            else:
                table = pd.DataFrame(table, columns=[*first, *(f"x{j}" for j in new)])
                table = table.infer_objects()
        if table.columns.nlevels > 1:
            raise ValueError(
                f"The table of scale {name!r} has columns of {table.columns.nlevels} levels; the "
                "tables of a list have one. A table with columns (scale, feature) needs no list; "
                "kinds of data at one scale are columns whose cells hold arrays."
            )
        if 0 in table.shape:
            raise ValueError(
                f"The table of scale {name!r} has {table.shape[0]} rows and {table.shape[1]} "
                "columns; at least one of each is needed."
            )
        tables.append(table)
        known += [label for label in table.columns if label not in known]
    return tables


def _own_columns(
    tables: list[pd.DataFrame], names: list[str], has_new: list[bool]
) -> list[list[Any]]:
    """Return the columns that each scale adds to those of the scales before.

    None, where a target alone is new: one property, cheap and dear, of the same kind of rows.
    """
    own: list[list[Any]] = []
    for k, table in enumerate(tables):
        for name, labels in zip(names, own, strict=False):
            missing = [label for label in labels if label not in table.columns]
            if missing:
                raise ValueError(
                    f"The rows of scales {name!r} and {names[k]!r} cannot be matched: the table "
                    f"of {names[k]!r} must have the columns of {name!r} for its own rows, and "
                    f"lacks {missing}. Join them first, such as with later.merge(earlier, "
                    "on=...), by a column that names the material. (Tables of the same rows have "
                    "as many rows and no common column.)"
                )
        before = {label for labels in own for label in labels}
        own.append([label for label in table.columns if label not in before])
        if not own[-1] and not has_new[k]:
            raise ValueError(
                f"Scale {names[k]!r} has no column of its own, and no target: all of "
                f"{list(table.columns)} are those of the scales before."
            )
    return own


def _check_same_index(
    tables: list[pd.DataFrame], X_list: list[pd.DataFrame | np.ndarray], names: list[str]
) -> None:
    """Refuse DataFrames of the same rows whose indices say that they are not."""
    frames = [k for k, table in enumerate(X_list) if isinstance(table, pd.DataFrame)]
    for k in frames[1:]:
        if not tables[frames[0]].index.equals(tables[k].index):
            raise ValueError(
                f"The tables of scales {names[frames[0]]!r} and {names[k]!r} have as many rows "
                "and no common column, so that they must describe the same rows; but their "
                "indices differ. Bring them into the same order, or reset their indices."
            )


def _interleave(n_rows: list[int]) -> list[np.ndarray]:
    """Spread the rows of all scales evenly among each other; return each scale's positions."""
    # Each scale's rows lie at equal distances between 0 and 1, and the order of all decides.
    time = np.concatenate([(np.arange(n) + 0.5) / n for n in n_rows])
    position = np.empty(len(time), dtype=int)
    position[np.argsort(time, kind="stable")] = np.arange(len(time))
    return np.split(position, np.cumsum(n_rows)[:-1])


def _stacked_index(
    tables: list[pd.DataFrame], rows: list[np.ndarray], names: list[str]
) -> pd.MultiIndex:
    """Return the index (scale, index of the table) of interleaved rows."""
    order = np.argsort(np.concatenate(rows))
    scale = np.repeat(names, [len(table) for table in tables])
    labels = np.empty(len(order), dtype=object)  # np.array would make two dimensions of tuples
    labels[:] = [label for table in tables for label in table.index]
    return pd.MultiIndex.from_arrays(
        [scale[order], pd.Index(labels[order], tupleize_cols=False).infer_objects()],
        names=["scale", None],
    )


def _scatter(parts: list[pd.Series], rows: list[np.ndarray], n_rows: int) -> pd.Series:
    """Put parts of a column at their positions; integers and booleans can be missing elsewhere."""
    dtypes = {part.dtype for part in parts}
    # pandas would make objects of categories of several dtypes
    if len(dtypes) > 1 and all(isinstance(dtype, pd.CategoricalDtype) for dtype in dtypes):
        values = types.union_categoricals(parts, ignore_order=True)
        column = pd.Series(values)
    else:
        column = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    positions = np.concatenate(rows)
    if len(positions) < n_rows and column.dtype.kind in _NULLABLE:
        kind, bits = _NULLABLE[column.dtype.kind], 8 * column.dtype.itemsize
        column = column.astype("boolean" if kind == "boolean" else f"{kind}{bits}")
    return column.set_axis(positions).reindex(range(n_rows))


def _two_levels(columns: list[tuple], data: list[pd.Series], index: pd.Index) -> pd.DataFrame:
    frame = pd.concat(data, axis=1, ignore_index=True)
    frame.columns = pd.MultiIndex.from_tuples(columns, names=["scale", None])
    return frame.set_axis(index, axis=0)
