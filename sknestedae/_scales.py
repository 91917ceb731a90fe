"""Many tables, one a scale, to one table; and what splits and scores such a table.

A table that tells its scales has columns of two levels, ``(scale, feature)``. Its rows belong to
the last scale at which anything was measured of them. Nothing here knows of torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import Pipeline
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted

from ._compat import stack_level_of_caller, tables_in_model_selection
from ._input import check_same_rows, n_dims, read_table, read_target, to_pandas
from ._persistence import public
from .exceptions import SameRowsWarning

__all__ = ["ScaleKFold", "stack_scales", "stage_scorer"]


# Types that can hold a missing entry, by the kind of those that can not.
_NULLABLE = {"i": "Int", "u": "UInt", "b": "boolean"}


# ---------------------------------------------------------------------------------------------
# Which tables, which rows, which targets


def is_scale_list(X: Any) -> bool:
    """Tell a list of tables, one a scale, from a list of rows: its elements are 2-D."""
    return isinstance(X, list | tuple) and bool(X) and all(n_dims(table) == 2 for table in X)


def refuse_folded_lists() -> None:
    """Refuse that a function of ``sklearn.model_selection`` folds a list over its tables.

    Raises
    ------
    ValueError
        If one of them is running above us, with a list of tables as its X.
    """
    if any(is_scale_list(X) for X in tables_in_model_selection()):
        raise ValueError(
            "X is a list of tables, one a scale; a split would deal out whole tables instead of "
            "their rows. Pass one table: X, y = stack_scales(X_list, y_list)."
        )


def scale_columns(X: Any) -> dict[str, list[int]] | None:
    """Give the scales of a table with columns of two levels, and the positions of their columns.

    They come in the order of their first columns. None for any other table.
    """
    if not isinstance(X, pd.DataFrame) or X.columns.nlevels < 2:
        return None
    columns: dict[str, list[int]] = {}
    for j, scale in enumerate(X.columns.get_level_values(0)):
        columns.setdefault(str(scale), []).append(j)
    return columns


def measured_scales(X: Any, columns: Sequence[Sequence[int]]) -> np.ndarray:
    """Tell at which scales something was measured of each row.

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
        for j in own:  # a column at a time: nothing as large as the table is made
            column = X.iloc[:, j] if isinstance(X, pd.DataFrame) else X[:, j]
            measured[:, k] |= ~np.asarray(pd.isna(column), dtype=bool)
    return measured


def last_scale(measured: np.ndarray) -> np.ndarray:
    """Give the last scale at which something was measured, of shape (n_samples,); -1 for none."""
    n_scales = measured.shape[1]
    last = n_scales - 1 - np.argmax(measured[:, ::-1], axis=1)
    return np.where(measured.any(axis=1), last, -1)


def target_frame(y: Any) -> tuple[pd.DataFrame, bool]:
    """Give a target as a DataFrame of its columns, and whether it has one dimension.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Numbers or labels. A column of one dimension has no name.
    """
    y = read_target(y)
    if isinstance(y, pd.DataFrame):
        return y, False
    if isinstance(y, pd.Series):
        return y.rename(0).to_frame(), True
    values = np.asarray(y, dtype=object) if isinstance(y, list | tuple) else np.asarray(y)
    if values.ndim not in (1, 2):
        raise ValueError(f"y must have one dimension or two, got the shape {values.shape}.")
    return pd.DataFrame(values).infer_objects(), values.ndim == 1


def match_targets(y: pd.DataFrame, names: Sequence[str]) -> list[list[int]]:
    """Say which columns of a target belong to which scale.

    Parameters
    ----------
    y : DataFrame of shape (n_samples, n_outputs)
    names : sequence of str
        The scales.

    Returns
    -------
    list of n_scales lists of int
        Positions of columns. One column belongs to the last scale, unless it is named after
        another.

    Raises
    ------
    ValueError
        If the columns are neither named after scales nor as many as scales.
    """
    given = [str(label[0] if isinstance(label, tuple) else label) for label in y.columns]
    names, distinct = list(names), list(dict.fromkeys(given))
    if set(distinct) <= set(names):
        owners = [names.index(label) for label in given]
    elif len(names) == 1 or len(given) == 1:
        owners = [len(names) - 1] * len(given)
    elif len(distinct) == len(names):
        owners = [distinct.index(label) for label in given]
    else:
        raise ValueError(
            f"y has the columns {given}, but the scales are {names}: name each column after its "
            "scale, such as in a DataFrame with columns of two levels (scale, target), or give "
            "one column a scale."
        )
    return [[j for j, owner in enumerate(owners) if owner == k] for k in range(len(names))]


# ---------------------------------------------------------------------------------------------
# Many tables to one


class Stack(NamedTuple):
    """One table made of many, its target, and where each scale's rows are in it.

    ``same_rows`` tells whether the tables describe the same rows.
    """

    X: pd.DataFrame
    y: pd.DataFrame | None
    rows: list[np.ndarray]
    same_rows: bool


def stack_scales(X_list, y_list=None, names=None, *, same_rows="auto"):
    """Make one table, and one target, of one table per scale.

    The result goes wherever scikit-learn takes X and y: into ``cross_validate``, a grid search or
    a pipeline, which can not cut a list of tables into folds.

    Parameters
    ----------
    X_list : list of {array-like, DataFrame} of shape (n_samples_k, n_features_k)
        One table per scale, the coarsest description first. Tables with as many rows and without
        a common column describe the same rows. Otherwise each table has rows of its own, and
        carries the columns of all scales before it beside its own: found by name among the
        columns of a DataFrame, and as the first columns of an array.
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
        If rows cannot be matched, with the missing columns in the message; if a scale has no
        column of its own, a column stands twice, ``y_list`` has another length than ``X_list``,
        or a table and its target have the same row labels in another order.

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
    stacked = stack(X_list, y_list, names, same_rows)
    return stacked.X, stacked.y


def stack(
    X_list: Any,
    y_list: Any = None,
    names: Sequence[str] | None = None,
    same_rows: bool | str = "auto",
) -> Stack:
    """Do what ``stack_scales`` does, and give the positions of each scale's rows beside."""
    if not is_scale_list(X_list):
        raise ValueError(
            "X_list must be a list of tables of two dimensions, one a scale, got "
            f"{type(X_list).__name__}: {X_list!r:.60}."
        )
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
        own = _own_columns(tables, names)
        rows = _interleave([len(table) for table in tables])
        index = _stacked_index(tables, rows, names)
    columns, data = [], []
    for k, labels in enumerate(own):
        carrying = slice(
            k, k + 1 if same_rows else None
        )  # the scales that have this one's columns
        for label in labels:
            columns.append((names[k], label))
            parts = [table[label] for table in tables[carrying]]
            data.append(_scatter(parts, rows[carrying], len(index)))
    X = _two_levels(columns, data, index)
    columns, data = [], []
    for name, target, own_rows in zip(names, targets, rows, strict=True):
        if target is None:
            continue
        for j, label in enumerate(target.columns):
            columns.append((name, label))
            data.append(_scatter([target.iloc[:, j]], [own_rows], len(index)))
    y = _two_levels(columns, data, index) if columns else None
    return Stack(X, y, rows, same_rows)


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
    """Give a table as a DataFrame or an array."""
    table = read_table(table, f"The table of scale {name!r}")
    return table if isinstance(table, pd.DataFrame) else np.asarray(table)


def _target_tables(y_list: Any, X_list: Any, names: list[str]) -> list[pd.DataFrame | None]:
    """Give each scale's target as a DataFrame with names of its columns."""
    if y_list is None:
        return [None] * len(names)
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
    targets: list[pd.DataFrame | None] = []
    for y, X, name in zip(y_list, X_list, names, strict=True):
        if y is None:
            targets.append(None)
            continue
        y = read_target(y, f"the target of scale {name!r}")
        target, is_1d = target_frame(y)
        if len(target) != len(X):
            raise ValueError(
                f"The target of scale {name!r} has {len(target)} rows, but its table has {len(X)}."
            )
        if is_1d:
            label = getattr(y, "name", None)
            target = target.set_axis(["y" if label is None else label], axis=1)
        check_same_rows(X, **{f"the target of scale {name!r}": target})
        targets.append(target)
    return targets


def _describe_same_rows(X_list: Any, names: list[str], same_rows: bool | str) -> bool:
    """Tell whether all tables have as many rows, and no two of them a column in common.

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


def _may_carry(X_list: Any) -> bool:
    """Tell whether each array may hold the columns of those before, as rows of its own would."""
    widths = [table.shape[1] for table in X_list]
    is_named = any(isinstance(table, pd.DataFrame) for table in X_list)
    grows = all(before < after for before, after in zip(widths[:-1], widths[1:], strict=True))
    return len(widths) > 1 and not is_named and grows


def _as_frames(X_list: Any, names: list[str], *, same_rows: bool) -> list[pd.DataFrame]:
    """Give each table as a DataFrame; the columns of an array have the names of those before."""
    tables: list[pd.DataFrame] = []
    known: list[Any] = []  # columns of the scales so far
    for table, name in zip(X_list, names, strict=True):
        if not isinstance(table, pd.DataFrame):
            first = [] if same_rows else known[: table.shape[1]]
            new = range(len(known), len(known) + table.shape[1] - len(first))
            table = pd.DataFrame(table, columns=[*first, *(f"x{j}" for j in new)])
            table = table.infer_objects()
        if table.columns.nlevels > 1:
            raise ValueError(
                f"The table of scale {name!r} has columns of {table.columns.nlevels} levels; the "
                "tables of a list have one. A table with columns (scale, feature) needs no list."
            )
        if 0 in table.shape:
            raise ValueError(
                f"The table of scale {name!r} has {table.shape[0]} rows and {table.shape[1]} "
                "columns; at least one of each is needed."
            )
        tables.append(table)
        known += [label for label in table.columns if label not in known]
    return tables


def _own_columns(tables: list[pd.DataFrame], names: list[str]) -> list[list[Any]]:
    """Give the columns that each scale adds to those of the scales before."""
    own: list[list[Any]] = []
    for k, table in enumerate(tables):
        for name, labels in zip(names, own, strict=False):
            missing = [label for label in labels if label not in table.columns]
            if missing:
                raise ValueError(
                    f"The rows of scales {name!r} and {names[k]!r} can not be matched: the table "
                    f"of {names[k]!r} must have the columns of {name!r} for its own rows, and "
                    f"lacks {missing}. (Tables of the same rows have as many rows and no common "
                    "column.)"
                )
        before = {label for labels in own for label in labels}
        own.append([label for label in table.columns if label not in before])
        if not own[-1]:
            raise ValueError(
                f"Scale {names[k]!r} has no column of its own: all of {list(table.columns)} are "
                "those of the scales before."
            )
    return own


def _check_same_index(tables: list[pd.DataFrame], X_list: Any, names: list[str]) -> None:
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
    """Spread the rows of all scales evenly among each other; give each scale's positions."""
    time = np.concatenate([(np.arange(n) + 0.5) / n for n in n_rows])
    position = np.empty(len(time), dtype=int)
    position[np.argsort(time, kind="stable")] = np.arange(len(time))
    return np.split(position, np.cumsum(n_rows)[:-1])


def _stacked_index(
    tables: list[pd.DataFrame], rows: list[np.ndarray], names: list[str]
) -> pd.MultiIndex:
    """Give the index (scale, index of the table) of interleaved rows."""
    order = np.argsort(np.concatenate(rows))
    scale = np.repeat(names, [len(table) for table in tables])
    labels = np.empty(len(order), dtype=object)
    labels[:] = [label for table in tables for label in table.index]
    return pd.MultiIndex.from_arrays(
        [scale[order], pd.Index(labels[order], tupleize_cols=False).infer_objects()],
        names=["scale", None],
    )


def _scatter(parts: list[pd.Series], rows: list[np.ndarray], n_rows: int) -> pd.Series:
    """Put parts of a column where they belong; integers and booleans can be missing elsewhere."""
    dtypes = {part.dtype for part in parts}
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


# ---------------------------------------------------------------------------------------------
# Folds and scores


@public("sknestedae")
class ScaleKFold:
    """Folds of the rows of each scale on its own.

    Each fold holds out a share of every scale's rows. Rows belong to the last scale at which they
    have a measured feature or a known target.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=False
        Whether each scale's rows (or groups) are shuffled before they are dealt out.
    random_state : int, RandomState instance or None, default=None
        Seed of the order. An int gives each scale the folds that
        :class:`~sklearn.model_selection.KFold` would give its rows alone.
    scales : list of str or None, default=None
        Names of the scales whose rows are held out in turn; the rows of all others are in every
        training part. None: all scales.

    See Also
    --------
    stack_scales : Make one table of one table per scale.
    sklearn.model_selection.GroupKFold : Folds that keep groups together.

    Notes
    -----
    With ``groups``, all rows of a group are held out together, whatever their scales. A row whose
    group is missing (None or NaN) is a group of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from sknestedae import ScaleKFold, stack_scales
    >>> rng = np.random.RandomState(0)
    >>> X, y = stack_scales([rng.normal(size=(6, 2)), rng.normal(size=(4, 3))])
    >>> for train, test in ScaleKFold(2).split(X):
    ...     print(X.index[test].get_level_values("scale").value_counts().to_dict())
    {'scale0': 3, 'scale1': 2}
    {'scale0': 3, 'scale1': 2}
    """

    def __init__(self, n_splits=5, *, shuffle=False, random_state=None, scales=None):
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state
        self.scales = scales

    def __repr__(self) -> str:
        return (
            f"ScaleKFold(n_splits={self.n_splits}, shuffle={self.shuffle}, "
            f"random_state={self.random_state}, scales={self.scales})"
        )

    def get_n_splits(self, X=None, y=None, groups=None):
        """Give the number of folds.

        Parameters
        ----------
        X, y, groups : object
            Not used.

        Returns
        -------
        int
        """
        return self.n_splits

    def split(self, X, y=None, groups=None):
        """Give training and held-out rows of each fold.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A table with columns of two levels, (scale, feature), such as ``stack_scales`` makes.
            Any other table is one scale.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target.
        groups : array-like of shape (n_samples,), default=None
            Group of each row.

        Yields
        ------
        train, test : ndarray of int
            Positions of rows, in their order.

        Raises
        ------
        ValueError
            If a scale has fewer rows or groups than there are folds, ``scales`` names one that
            is not there, or X is a list of tables.
        """
        if is_scale_list(X):
            raise ValueError(
                "X is a list of tables, one a scale. Pass one table: X, y = stack_scales(X_list, "
                "y_list)."
            )
        X = read_table(X)
        groups = to_pandas(groups, "groups")  # of any kind: a date may name one
        check_same_rows(X, groups=groups)
        fold = self._folds(X, y, groups)
        for k in range(self.n_splits):
            yield np.flatnonzero(fold != k), np.flatnonzero(fold == k)

    def _folds(self, X: Any, y: Any, groups: Any) -> np.ndarray:
        """Give each row the number of the fold that holds it out, -1 for none."""
        names, scale = _scale_of_rows(X, y)
        if self.scales is not None:
            unknown = [name for name in self.scales if name not in names]
            if unknown or isinstance(self.scales, str):
                raise ValueError(
                    f"The 'scales' parameter must be a list of scales of X, which are {names}; "
                    f"got {self.scales!r}."
                )
        groups = _group_codes(groups, len(scale))
        check_consistent_length(scale, groups)
        fold_of_group = np.full(groups.max() + 1, -1)
        fold = np.full(len(scale), -1)
        for k, name in enumerate(names):
            if self.scales is not None and name not in self.scales:
                continue
            rows = np.flatnonzero((scale == k) & (fold_of_group[groups] < 0))
            if len(rows):
                fold_of_group[groups[rows]] = self._deal(rows, groups[rows], name)
            fold[scale == k] = fold_of_group[groups[scale == k]]
        return fold

    def _deal(self, rows: np.ndarray, groups: np.ndarray, name: str) -> np.ndarray:
        """Deal the rows of one scale into folds; give each row's."""
        is_grouped = len(np.unique(groups)) < len(groups)
        kind: Any = GroupKFold if is_grouped else KFold
        fold = np.empty(len(rows), dtype=int)
        try:
            splitter = kind(self.n_splits, shuffle=self.shuffle, random_state=self.random_state)
            splits = splitter.split(rows, groups=groups if is_grouped else None)
            for k, (_, test) in enumerate(splits):
                fold[test] = k
        except ValueError as error:
            raise ValueError(f"Scale {name!r} can not be split: {error}") from error
        return fold


def _scale_of_rows(X: Any, y: Any) -> tuple[list[str], np.ndarray]:
    """Give the scales of a table, and of each row the position of its own."""
    X = read_table(X)
    columns = scale_columns(X)
    if columns is None:
        return ["scale0"], np.zeros(len(X), dtype=int)
    names = list(columns)
    measured = measured_scales(X, list(columns.values()))
    if y is not None:
        target, _ = target_frame(y)
        check_consistent_length(X, target)
        check_same_rows(X, y=target)
        measured |= measured_scales(target, match_targets(target, names))
    return names, last_scale(measured)


def _group_codes(groups: Any, n_samples: int) -> np.ndarray:
    """Give each group a number; a row without a group is one of its own."""
    if groups is None:
        return np.arange(n_samples)
    codes, distinct = pd.factorize(column_or_1d(np.asarray(groups, dtype=object)))
    alone = codes < 0
    codes[alone] = len(distinct) + np.arange(alone.sum())
    return codes


def stage_scorer(metric, stage, *, greater_is_better=True, **kwargs):
    """Make a scorer of the target of one stage, where it was measured.

    Parameters
    ----------
    metric : callable
        ``metric(y_true, y_pred, **kwargs)``, such as those of :mod:`sklearn.metrics`. Given
        ``sample_weight`` as well, where the scorer is.
    stage : str or int
        Name or position of the stage.
    greater_is_better : bool, default=True
        Whether a larger value is better. If not, the score is the negative of the metric.
    **kwargs : dict
        Further arguments of the metric.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y)``, for the ``scoring`` of a search or a cross-validation. The
        estimator is a fitted :class:`NestedAutoencoder`, or a pipeline or search that ends in one.

    Raises
    ------
    TypeError
        If ``metric`` is not callable. The scorer raises it for another kind of estimator, and a
        ValueError if there is no such stage, or no measured row of its target.

    Examples
    --------
    >>> from sklearn.metrics import mean_absolute_error
    >>> from sklearn.model_selection import cross_val_score
    >>> from sknestedae import NestedAutoencoder, ScaleKFold, stack_scales, stage_scorer
    >>> from sknestedae.datasets import make_nested_functions
    >>> X, y = stack_scales(*make_nested_functions(60, random_state=0, return_X_y=True))
    >>> error = stage_scorer(mean_absolute_error, "scale0", greater_is_better=False)
    >>> nae = NestedAutoencoder(max_iter=5, random_state=0)
    >>> cross_val_score(nae, X, y, scoring=error, cv=ScaleKFold(3, shuffle=True)).shape
    (3,)
    """
    if not callable(metric):
        raise TypeError(f"metric must be callable, got {metric!r}.")
    return StageScorer(metric, stage, 1 if greater_is_better else -1, kwargs)


@public("sknestedae.model_selection")
class StageScorer:
    """What ``stage_scorer`` makes.

    Parameters
    ----------
    metric : callable
    stage : str or int
    sign : {1, -1}
    kwargs : dict
        Further arguments of the metric.
    """

    def __init__(
        self, metric: Callable[..., float], stage: str | int, sign: int, kwargs: dict[str, Any]
    ) -> None:
        self.metric = metric
        self.stage = stage
        self.sign = sign
        self.kwargs = kwargs

    def __repr__(self) -> str:
        metric = getattr(self.metric, "__name__", repr(self.metric))
        sign = "" if self.sign > 0 else ", greater_is_better=False"
        return f"stage_scorer({metric}, {self.stage!r}{sign})"

    def __call__(self, estimator: Any, X: Any, y_true: Any, sample_weight: Any = None) -> float:
        """Score the predictions of a fitted estimator."""
        columns = _target_columns(innermost(estimator), self.stage)
        truth, _ = target_frame(y_true)
        check_same_rows(read_table(X), y=truth)
        prediction, _ = target_frame(estimator.predict(X))
        check_consistent_length(truth, prediction)
        truth, prediction = truth.iloc[:, columns], prediction.iloc[:, columns].infer_objects()
        known = truth.notna().all(axis=1).to_numpy()
        if not known.any():
            raise ValueError(
                f"The target of stage {self.stage!r} has no measured row to score with; all "
                f"{len(known)} are missing."
            )
        kwargs = dict(self.kwargs)
        if sample_weight is not None:
            kwargs["sample_weight"] = np.asarray(sample_weight)[known]
        values = [_plain(frame[known].infer_objects()) for frame in (truth, prediction)]
        return self.sign * self.metric(*values, **kwargs)


def _plain(frame: pd.DataFrame) -> np.ndarray:
    """Give columns without missing entries as an array, of one dimension if there is one."""
    columns = [np.asarray(frame.iloc[:, j].tolist()) for j in range(frame.shape[1])]
    return columns[0] if len(columns) == 1 else np.column_stack(columns)


def _target_columns(estimator: Any, stage: str | int) -> list[int]:
    """Give the columns of y that belong to a stage."""
    check_is_fitted(estimator)
    if not hasattr(estimator, "targets_"):
        raise TypeError(
            "stage_scorer needs a NestedAutoencoder, or a pipeline or search that ends in one; "
            f"got {type(estimator).__name__}."
        )
    names = list(estimator.targets_)
    if isinstance(stage, int) and -len(names) <= stage < len(names):
        stage = names[stage]
    if stage not in names:
        raise ValueError(f"There is no stage {stage!r}; the stages are {names}.")
    if not estimator.targets_[stage]:
        raise ValueError(f"Stage {stage!r} was fitted without a target.")
    return estimator.targets_[stage]


def innermost(estimator: Any, *, steps: bool = True) -> Any:
    """Give the estimator that a search found or that a pipeline ends in.

    Parameters
    ----------
    estimator : estimator
    steps : bool, default=True
        Whether a pipeline may have steps before its last one.
    """
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline) and (steps or len(estimator) == 1):
            estimator = estimator[-1]
        else:
            return estimator
