"""Folds of the rows of each scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold
from sklearn.utils import check_consistent_length, column_or_1d

from .._persistence import public
from .._tables._input import check_same_rows, read_table, to_pandas
from .._tables._labels import scale_columns
from .._tables._scales import last_scale, measured_scales, refuse_scale_list
from .._tables._target import match_targets, target_frame


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
        refuse_scale_list(X)
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
        groups = group_codes(groups, len(scale))
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
        kind = GroupKFold if is_grouped else KFold
        fold = np.empty(len(rows), dtype=int)
        try:
            splitter = kind(self.n_splits, shuffle=self.shuffle, random_state=self.random_state)
            splits = splitter.split(rows, groups=groups if is_grouped else None)
            for k, (_, test) in enumerate(splits):
                fold[test] = k
        except ValueError as error:
            raise ValueError(f"Scale {name!r} cannot be split: {error}") from error
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


def group_codes(groups: Any, n_samples: int) -> np.ndarray:
    """Give each group a number; a row without a group is one of its own."""
    if groups is None:
        return np.arange(n_samples)
    codes, distinct = pd.factorize(column_or_1d(np.asarray(groups, dtype=object)))
    alone = codes < 0
    codes[alone] = len(distinct) + np.arange(alone.sum())
    return codes
