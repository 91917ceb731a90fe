"""The labels of a table's columns, and the alignment of other tables to them.

Labels of two levels are ``(scale, feature)``.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from .._compat import stack_level_of_caller
from ..exceptions import UnmeasuredScaleWarning


def scale_columns(X: Any) -> dict[str, list[int]] | None:
    """Return the scales of a table with columns of two levels, and the positions of their columns.

    They come in the order of their first columns. None for any other table.
    """
    if not isinstance(X, pd.DataFrame) or X.columns.nlevels < 2:
        return None
    columns: dict[str, list[int]] = {}
    for j, scale in enumerate(X.columns.get_level_values(0)):
        columns.setdefault(str(scale), []).append(j)
    return columns


@dataclass(frozen=True)
class ColumnLabels:
    """Labels of the columns of a table, of one level or two, as plain values.

    Parameters
    ----------
    n_columns : int
    is_frame : bool
        Whether the columns have labels.
    labels : list
        Of each column; empty for an array.
    level_names : list
        Of each level of the labels; empty for an array.
    scales : list of str or None
        The first levels, in their order; None without a second.
    """

    n_columns: int
    is_frame: bool
    labels: list[Any]
    level_names: list[Any]
    scales: list[str] | None

    @classmethod
    def of(cls, X: pd.DataFrame | np.ndarray) -> ColumnLabels:
        """Read the labels of a table of shape (n_samples, n_columns)."""
        columns = scale_columns(X)
        scales = None if columns is None else list(columns)
        if not isinstance(X, pd.DataFrame):
            return cls(X.shape[1], False, [], [], scales)
        return cls(X.shape[1], True, X.columns.tolist(), list(X.columns.names), scales)

    def to_state(self) -> dict[str, Any]:
        """Return the labels as plain values."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> ColumnLabels:
        """Make labels from the state of ``to_state``."""
        return cls(**state)

    def name(self, j: int) -> str:
        """Return a column's label or position, for a message."""
        return repr(self.labels[j]) if self.is_frame else f"{j}"

    def position(self, label: Any, parameter: str) -> int:
        """Return the position of the one column with a label, or with this second level.

        Raises
        ------
        ValueError
            If there is none, or more than one.
        """
        known = self.labels if self.is_frame else list(range(self.n_columns))
        found = [j for j, own in enumerate(known) if own == label]
        if not found and self.scales is not None:
            # the columns of a list of arrays are named after their positions
            names = (label, f"x{label}") if isinstance(label, Integral) else (label,)
            found = [j for j, own in enumerate(known) if own[1] in names and len(own) == 2]
        if len(found) != 1:
            how_many = f"{len(found)} columns have" if found else "no column has"
            raise ValueError(
                f"The '{parameter}' parameter must be the label of one column of X, got "
                f"{label!r}: {how_many} this label; the columns are {known!r:.200}."
            )
        return found[0]

    def index(self) -> pd.Index:
        """Return the labels as a DataFrame has them; for an array, the positions."""
        if not self.is_frame:
            return pd.RangeIndex(self.n_columns)
        if self.scales is not None:
            return pd.MultiIndex.from_tuples(self.labels, names=self.level_names)
        return pd.Index(self.labels, name=self.level_names[0], tupleize_cols=False)

    def check(self, X: pd.DataFrame) -> None:
        """Refuse a DataFrame whose columns are not these, in their order.

        scikit-learn compares names that are strings; this compares all, such as two-level ones.
        """
        labels = X.columns.tolist()
        if self.is_frame and labels != self.labels:
            j = next(j for j, label in enumerate(labels) if label != self.labels[j])
            raise ValueError(
                f"The columns must be those of fit, in the same order: column {j} was "
                f"{self.labels[j]!r} and is {labels[j]!r} now."
            )

    def features(self, positions: list[int]) -> list[Any]:
        """Return the labels of some columns without their scale.

        With it, where labels would be the same, or strings beside others, which scikit-learn
        takes for a mistake: such as the numbers of a spectrum beside the names of a table.
        """
        labels = [self.labels[j] for j in positions]
        if self.scales is None:
            return labels
        # of three levels or more, a feature is named by all that come after its scale
        features = [label[1] if len(label) == 2 else label[1:] for label in labels]
        of_one_kind = len({isinstance(feature, str) for feature in features}) <= 1
        return features if of_one_kind and len(set(features)) == len(features) else labels

    def scale_columns(self) -> dict[str, list[int]] | None:
        """Return the positions of each scale's columns; None without a second level."""
        if self.scales is None:
            return None
        columns: dict[str, list[int]] = {scale: [] for scale in self.scales}
        for j, label in enumerate(self.labels):
            columns[str(label[0])].append(j)
        return columns

    def name_columns_of(self, X: np.ndarray) -> pd.DataFrame:
        """Make a DataFrame from an array that has as many columns."""
        return pd.DataFrame(X).infer_objects().set_axis(self.index(), axis=1)

    def align(self, X: pd.DataFrame, stages: dict[str, list[int]]) -> pd.DataFrame:
        """Align a DataFrame to these columns, in this order, as far as stages need them.

        Of two levels, features alone are found in their scale, and the order does not matter. The
        columns of a whole stage may be missing; then a warning is given. Other columns of one
        level are left to scikit-learn, which tells what is wrong with them.

        Parameters
        ----------
        X : DataFrame
        stages : dict of str to list of int
            The own columns of each stage.

        Raises
        ------
        ValueError
            If columns of two levels are others.
        """
        if X.columns.tolist() == self.labels:
            return X
        labels = self._full_labels(X)
        given = set(labels)
        # A stage may be missing as a whole; a part of one is an error of the caller's.
        lacking = {j for j, label in enumerate(self.labels) if label not in given}
        absent = [name for name, own in stages.items() if own and lacking >= set(own)]
        present = {j for name, own in stages.items() if name not in absent for j in own}
        is_subset = len(given) == len(labels) == len(self.labels) - len(lacking)
        is_usable = is_subset and bool(present) and not present & lacking
        if self.scales is None and not (is_usable and lacking):
            return X
        if not is_usable:
            known, counts = set(self.labels), Counter(labels)
            problems = {
                "lacks": [self.labels[j] for j in sorted(lacking)],
                "has others:": [label for label in labels if label not in known],
                "has more than once:": sorted({x for x in labels if counts[x] > 1}, key=str),
            }
            found = [f"{what} {which}" for what, which in problems.items() if which]
            raise ValueError(f"The columns must be those of fit. X {' and '.join(found)}.")
        if absent:
            warnings.warn(
                f"X has no column of stage {' and '.join(map(repr, absent))}; its columns enter "
                "as not measured.",
                UnmeasuredScaleWarning,
                stacklevel=stack_level_of_caller(),
            )
        # tuples as flat labels, so that whole labels are compared
        X = X.set_axis(pd.Index(labels, tupleize_cols=False), axis=1)
        X = X.reindex(columns=pd.Index(self.labels, tupleize_cols=False))
        return X.set_axis(self.index(), axis=1)

    def _full_labels(self, X: pd.DataFrame) -> list[Any]:
        """Return the labels of X, with its scale where a label is a feature of one scale alone."""
        if self.scales is None or X.columns.nlevels > 1:
            return X.columns.tolist()
        of_feature: dict[Any, Any] = {}  # None where several scales have the feature
        for label in self.labels:
            of_feature[label[1:]] = label if label[1:] not in of_feature else None
        return [of_feature.get((label,)) or label for label in X.columns]


def entry_names(label: Hashable, shape: tuple[int, ...]) -> list[Hashable]:
    """Name the entries of an array in C order, such as "image[3, 4]".

    Parameters
    ----------
    label : hashable
        Of the column of arrays. Of one with several levels, the last one has the index.
    shape : tuple of int
        Of the arrays.

    Returns
    -------
    list of hashable
    """
    indices = [", ".join(map(str, index)) for index in np.ndindex(*shape)]
    if isinstance(label, tuple):
        return [(*label[:-1], f"{label[-1]}[{i}]") for i in indices]
    return [f"{label}[{i}]" for i in indices]
