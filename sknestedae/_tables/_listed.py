"""A list of tables, one for each scale: read as one table, and restored from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ._input import (
    ArrayKind,
    TableKind,
    as_cells,
    check_same_rows,
    give_back,
    read_rows,
    read_table,
    read_target,
    table_kind,
)
from ._labels import ColumnLabels
from ._missing import fill_missing
from ._scales import (
    StackedScales,
    doubt_join,
    doubt_units,
    is_scale_list,
    refuse_folded_lists,
    stack,
)

# A list that holds these is one of targets, and none of numbers or labels.
_TABLES = (pd.Series, pd.DataFrame)


class GivenTables(NamedTuple):
    """Table, target and weights that ``fit`` or ``score`` was given; a list of tables as one.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
    y, sample_weight : array-like or None
        Read, with the row labels of X.
    frame_kinds : list of {FrameKind, ArrayKind, None}
        Of each table of a list, or of the one table.
    same_rows : bool or None
        Whether the tables of a list describe the same rows; None of one table.
    scales : list of str or None
        Names of the tables of a list; None of one table.
    """

    X: pd.DataFrame | np.ndarray
    y: Any
    sample_weight: Any
    frame_kinds: list[TableKind]
    same_rows: bool | None
    scales: list[str] | None


def read_given(
    X: Any, y: Any, sample_weight: Any, names: list[str] | None, same_rows: bool | str
) -> GivenTables:
    """Read the data of ``fit``: one table, or one table for each scale.

    Parameters
    ----------
    X, y, sample_weight
        As in the ``fit`` of a chain.
    names : list of str or None
        Names of the stages; None where they are those of the scales.
    same_rows : bool or "auto"
        As in ``stack_scales``.
    """
    if isinstance(X, dict) and any(isinstance(table, _TABLES) for table in X.values()):
        raise TypeError(
            f"X is a dict with {len(X)} entries. Pass a list of tables, in the order of the "
            "scales: list(X.values())."
        )
    if not is_scale_list(X):
        if isinstance(y, list | tuple) and any(isinstance(own, _TABLES) for own in y):
            raise TypeError(
                f"y is a list of {len(y)} targets, but X is one table. Pass a list of tables, one "
                "for each scale; or, with one table, one y with a column for each target."
            )
        read, y, sample_weight = read_rows(X, y, sample_weight)
        return GivenTables(as_cells(read), y, sample_weight, [table_kind(X)], None, None)
    refuse_folded_lists()
    if names is not None:
        check_n_tables(X, names, may_be_fewer=False)
    stacked = stack(X, y, names, same_rows)
    if sample_weight is not None:
        sample_weight = stack_weights(sample_weight, stacked.rows, X)
    kinds = [table_kind(table) for table in X]
    doubt_units(stacked)
    doubt_join(stacked)
    read = read_rows(stacked.X, stacked.y, sample_weight)
    return GivenTables(*read, kinds, stacked.same_rows, stacked.names)


def check_n_tables(X_list: Any, names: list[str], *, may_be_fewer: bool) -> None:
    """Refuse a list without one table for each stage; it may be shorter if so asked."""
    if len(X_list) > len(names) or (len(X_list) < len(names) and not may_be_fewer):
        raise ValueError(
            f"X is a list of {len(X_list)} tables, but there are {len(names)} stages: "
            f"{names}. Pass one table per stage; or, where the list is a part of a longer "
            "one, such as a fold, make one table of the whole with stack_scales first."
        )


def stack_weights(sample_weight: Any, rows: list[np.ndarray], X_list: Any) -> Any:
    """Bring the weights of a list of tables into the order of the one table.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), or list of them
    rows : list of ndarray of int
        Positions in the one table of each scale's rows.
    X_list : list of tables
    """
    n_rows = [len(own) for own in rows]
    n_samples = 1 + max(own.max() for own in rows)
    if n_samples == n_rows[0]:  # the same rows at every scale
        return sample_weight
    if (
        not isinstance(sample_weight, list | tuple)
        or [np.size(w) for w in sample_weight] != n_rows
    ):
        raise ValueError(
            "sample_weight must be a list of the weights of each table's rows, of lengths "
            f"{n_rows}."
        )
    weights = np.empty(n_samples)
    for k, (own, weight) in enumerate(zip(rows, sample_weight, strict=True)):
        name = f"sample_weight[{k}]"
        weight = read_target(weight, name)
        check_same_rows(read_table(X_list[k]), **{name: weight})
        weights[own] = weight
    return weights


@dataclass(frozen=True)
class TableList:
    """The list of tables that is equivalent to the table of a fitted chain.

    Parameters
    ----------
    columns : dict of str to list of int
        Positions of the own columns of each stage.
    labels : ColumnLabels
        Of the one table.
    frame_kinds : list of {FrameKind, ArrayKind, None}
        Of the tables that ``fit`` was given.
    same_rows : bool
        Whether the tables describe the same rows; else a table carries the columns of those
        before it.
    """

    columns: dict[str, list[int]]
    labels: ColumnLabels
    frame_kinds: list[TableKind]
    same_rows: bool

    def stack(self, X_list: Any, y_list: Any = None) -> StackedScales:
        """Make one table of a list; the tables of later scales may be missing."""
        names = self.labels.scales or list(self.columns)
        if set(names) < set(self.columns):  # those without a column of their own stand in no label
            names = list(self.columns)
        check_n_tables(X_list, names, may_be_fewer=True)
        # names of columns tell by themselves; what arrays mean, fit has decided
        has_names = any(isinstance(read_table(table), pd.DataFrame) for table in X_list)
        same_rows = "auto" if has_names else self.same_rows
        # a scale without a column of its own was told by its target in fit
        stacked = stack(X_list, y_list, names[: len(X_list)], same_rows, needs_new=False)
        return stacked._replace(X=self._with_fitted_labels(stacked.X))

    def _with_fitted_labels(self, X: pd.DataFrame) -> pd.DataFrame:
        """Take the scales off the labels, where ``fit`` was given one table without them."""
        if not self.labels.is_frame or self.labels.scales is not None:
            return X
        features = X.columns.droplevel(0)
        if not features.is_unique or not set(features) <= set(self.labels.labels):
            return X  # such as tables without names, which have positions there
        order = [label for label in self.labels.labels if label in features]
        return X.set_axis(features, axis=1)[order]

    def decoded_table(self, decoded: Any) -> Any:
        """Return decoded columns in the form of the last scale's table in the list."""
        if not self.labels.is_frame:
            return decoded
        if self.same_rows:  # such a table has its own columns alone
            decoded = decoded.loc[:, [self.labels.labels[j] for j in self._own_columns]]
        if self.labels.scales is not None:
            decoded = decoded.droplevel(0, axis=1)
        kinds = dict(enumerate(self.frame_kinds))
        return give_back(decoded, kinds.get(len(self.columns) - 1))

    def completed_table(self, completed: pd.DataFrame, given: Any, rows: Any) -> Any:
        """Convert completed rows to the form of the last scale's table in the list.

        Parameters
        ----------
        completed : DataFrame of shape (n_completions, n_features)
            With all columns of the one table.
        given : table
            The entry of the list.
        rows : ndarray of int or slice
            Its rows which were completed.
        """
        completed = completed.iloc[:, self._columns_of_table()]
        kind, given = table_kind(given), read_table(given)
        if isinstance(kind, ArrayKind):
            return kind.restore(completed)
        if not isinstance(given, pd.DataFrame):
            return completed.to_numpy()
        completed = completed.droplevel(0, axis=1) if self.labels.scales else completed
        given = given.iloc[rows]
        # the entry tells the order of its columns, and the dtypes
        return give_back(fill_missing(given, completed.reindex(columns=given.columns)), kind)

    def _columns_of_table(self) -> list[int]:
        """Return the columns of the last table, with those of no stage, such as a key."""
        names = list(self.columns)[-1:] if self.same_rows else list(self.columns)
        listed = {j for name in names for j in self.columns[name]}
        if self.labels.scales is not None:
            listed |= {j for j, label in enumerate(self.labels.labels) if str(label[0]) in names}
        return sorted(listed)

    @property
    def _own_columns(self) -> list[int]:
        """Return the own columns of the last stage."""
        return list(self.columns.values())[-1]
