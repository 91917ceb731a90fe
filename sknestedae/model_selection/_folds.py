"""Cross-validation splitters: folds of each scale's rows, and of positions with a gap."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator, GroupKFold, KFold
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from .._persistence import public
from .._tables._input import check_same_rows, read_table, read_target, to_pandas
from .._tables._labels import scale_columns
from .._tables._scales import (
    columns_of_scales,
    last_scale,
    measured_scales,
    refuse_scale_list,
)
from .._tables._target import match_targets, target_frame


@public("sknestedae")
class ScaleKFold:
    """Cross-validation folds of the rows of each scale on its own.

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
        """Return the number of folds.

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
        """Yield training and held-out rows of each fold.

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
            If a scale has fewer rows or groups than there are folds, ``scales`` names an unknown
            scale, or X is a list of tables.
        """
        refuse_scale_list(X)
        X = read_table(X)
        groups = to_pandas(groups, "groups")  # of any kind: a date may name one
        check_same_rows(X, groups=groups)
        fold = self._folds(X, y, groups)
        for k in range(self.n_splits):
            yield np.flatnonzero(fold != k), np.flatnonzero(fold == k)

    def _folds(self, X: Any, y: Any, groups: Any) -> np.ndarray:
        """Return the number of the fold that holds each row out, -1 for none."""
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
        """Deal the rows of one scale into folds; return the fold of each row."""
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
    """Return the scales of a table, and of each row the position of its own."""
    X = read_table(X)
    columns = scale_columns(X)
    if columns is None:
        return ["scale0"], np.zeros(len(X), dtype=int)
    columns = columns_of_scales(columns, y)
    names = list(columns)
    measured = measured_scales(X, list(columns.values()))
    if y is not None:
        target, _ = target_frame(y)
        check_consistent_length(X, target)
        check_same_rows(X, y=target)
        measured |= measured_scales(target, match_targets(target, names))
    return names, last_scale(measured)


def group_codes(groups: Any, n_samples: int) -> np.ndarray:
    """Return the number of each row's group; a row without a group is a group of its own."""
    if groups is None:
        return np.arange(n_samples)
    codes, distinct = pd.factorize(column_or_1d(np.asarray(groups, dtype=object)))
    alone = codes < 0
    codes[alone] = len(distinct) + np.arange(alone.sum())
    return codes


@public("sknestedae.model_selection")
class GapKFold(BaseCrossValidator):
    """Cross-validation folds of positions, with a gap between training and test rows.

    Rows that are near each other, such as pixels of a map or patches that overlap, are alike: a
    random split has neighbours of nearly all test rows among the training rows, and its scores
    are too good. Here the test rows of a fold are a slab of the sample: all rows between two
    values of one coordinate. The training rows are those that are further from the slab than the
    gap, along the same axis.

    Parameters
    ----------
    n_splits : int
        Number of folds: a multiple of the number of axes of the positions, and at least two for
        each axis. The first folds are slabs along the first axis, from low to high positions, the
        next ones along the second.
    gap : float
        A training row is further than this from each test row, along the axis of the fold; in the
        unit of the positions. For patches of n pixels, a gap of n - 1 leaves no pixel that is in a
        training and in a test patch.
    test_size : int, float or None, default=None
        Thickness of a slab. An int is a number of distinct positions along the axis, such as
        lines of pixels; a float between 0 and 1 a share of them, rounded down. The slabs lie at
        equal distances, the first one at the low and the last one at the high end. None: the slabs
        of an axis are next to each other and hold each row once, as those of
        :class:`~sklearn.model_selection.KFold` do.

    See Also
    --------
    sknestedae.datasets.patches_at : Patches of an image, with the positions of their centres.
    sklearn.model_selection.TimeSeriesSplit : Test rows that come after the training rows.

    Notes
    -----
    Positions are given as ``groups``, to `split` or to a function of scikit-learn such as
    :func:`~sklearn.model_selection.cross_val_score`. With scikit-learn's metadata routing switched
    on, `groups` are requested by default.

    A fold of two axes with ``n_splits=4`` and a `test_size` of less than half is a direction: up,
    down, left and right.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.model_selection import cross_val_score
    >>> from sknestedae.model_selection import GapKFold
    >>> positions = np.indices((10, 10)).reshape(2, -1).T  # (row, column) of 100 pixels
    >>> folds = GapKFold(4, gap=2, test_size=3)
    >>> for train, test in folds.split(positions, groups=positions):
    ...     print(len(train), len(test), np.unique(positions[test, 0]).tolist())
    50 30 [0, 1, 2]
    50 30 [7, 8, 9]
    50 30 [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    50 30 [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    >>> y = positions.sum(axis=1)
    >>> len(cross_val_score(Ridge(), positions, y, groups=positions, cv=folds))
    4
    """

    # scikit-learn's name for what a splitter asks of metadata routing
    __metadata_request__split = {"groups": True}  # noqa: RUF012

    def __init__(self, n_splits, gap, *, test_size=None):
        self.n_splits = n_splits
        self.gap = gap
        self.test_size = test_size

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object
            Not used.

        Returns
        -------
        int
        """
        return self.n_splits

    def split(self, X=None, y=None, groups=None):
        """Yield training and test rows of each fold.

        Parameters
        ----------
        X : table or array-like of shape (n_samples, ...), default=None
            Data; only its number of rows and its row labels are used.
        y : object
            Not used.
        groups : table or array-like of shape (n_samples,) or (n_samples, n_axes)
            Positions of the rows: numbers in any unit, the same for each axis.

        Yields
        ------
        train, test : ndarray of int
            Positions of rows in the table, in their order.

        Raises
        ------
        ValueError
            If `groups` is None, has missing or infinite positions, or not the rows of X; if there
            are not two folds or more for each axis, and as many for each; if an axis does not have
            enough distinct positions; or if the gap leaves a fold without training rows.
        """
        gap = self.gap
        if not isinstance(gap, Real) or not 0 <= float(gap) < np.inf:
            raise ValueError(
                "The 'gap' parameter of GapKFold must be a number that is not negative; "
                f"got {gap!r}."
            )
        positions = self._read_positions(X, groups)
        n_slabs = self._n_slabs(positions.shape[1])
        for axis, along in enumerate(positions.T):
            for low, high in self._slabs(np.unique(along), n_slabs, axis):
                train, test = rows_around_slab(along, low, high, float(gap))
                if not len(train):
                    raise ValueError(
                        f"The 'gap' parameter of GapKFold is too large: {gap} leaves no "
                        f"training rows beside the test rows from {low} to {high} on axis {axis} "
                        f"of the positions, which are from {along.min()} to {along.max()}."
                    )
                yield train, test

    def _read_positions(self, X: Any, groups: Any) -> np.ndarray:
        """Return positions (n_samples, n_axes) as floats."""
        if groups is None:
            raise ValueError(
                "GapKFold needs the positions of the rows. Pass them as 'groups', an array of "
                "shape (n_samples,) or (n_samples, n_axes)."
            )
        groups = read_target(groups, "groups")
        if X is not None:
            check_same_rows(X, groups=groups)
            check_consistent_length(X, groups)
        positions = check_array(groups, dtype=np.float64, ensure_2d=False, input_name="groups")
        if positions.ndim == 1:
            positions = positions[:, None]
        return positions

    def _n_slabs(self, n_axes: int) -> int:
        """Return the number of folds along each axis."""
        is_number = isinstance(self.n_splits, Integral) and not isinstance(self.n_splits, bool)
        if not is_number or self.n_splits % n_axes or self.n_splits < 2 * n_axes:
            raise ValueError(
                "The 'n_splits' parameter of GapKFold must be a multiple of the number of axes of "
                f"the positions, {n_axes}, and at least {2 * n_axes}; got {self.n_splits!r}."
            )
        return int(self.n_splits) // n_axes

    def _slabs(self, lines: np.ndarray, n_slabs: int, axis: int) -> list[tuple[float, float]]:
        """Return the first and the last position of each slab along an axis."""
        n_lines = len(lines)
        if n_lines < n_slabs:
            raise ValueError(
                f"The 'n_splits' parameter of GapKFold asks for {n_slabs} folds on each axis; "
                f"axis {axis} has only {n_lines} distinct positions."
            )
        size: Any = self.test_size
        if isinstance(size, float | np.floating) and 0 < size < 1:
            size = int(size * n_lines + 1e-9)  # 0.29 of 100 is 29, and not a little less
        is_count = isinstance(size, Integral) and not isinstance(size, bool)
        if size is not None and not (is_count and 1 <= size < n_lines):
            raise ValueError(
                "The 'test_size' parameter of GapKFold must be None, a number of distinct "
                f"positions that is at least 1 and smaller than those of axis {axis}, {n_lines}, "
                f"or a share of them that holds at least one; got {self.test_size!r}."
            )
        return [
            (float(lines[start]), float(lines[stop - 1]))
            for start, stop in slab_bounds(n_lines, n_slabs, size)
        ]


def slab_bounds(n_lines: int, n_slabs: int, size: int | None) -> list[tuple[int, int]]:
    """Deal out lines into slabs.

    Parameters
    ----------
    n_lines, n_slabs : int
    size : int or None
        Lines in each slab, which lie at equal distances from one end to the other. None: the
        slabs hold each line once; the first ones have one line more than the others if necessary.

    Returns
    -------
    bounds : list of (start, stop)
    """
    if size is not None:
        starts = np.linspace(0, n_lines - size, n_slabs).round().astype(int).tolist()
        return [(start, start + size) for start in starts]
    sizes = np.full(n_slabs, n_lines // n_slabs)
    sizes[: n_lines % n_slabs] += 1
    stops = np.cumsum(sizes)
    return list(zip((stops - sizes).tolist(), stops.tolist(), strict=True))


def rows_around_slab(
    positions: np.ndarray, low: float, high: float, gap: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that are further from a slab than a gap, and those inside.

    Parameters
    ----------
    positions : ndarray of shape (n_samples,)
    low, high : float
        The first and the last position in the slab.
    gap : float

    Returns
    -------
    outside, inside : ndarray of int
    """
    distance = np.maximum(low - positions, positions - high)  # below 0 inside
    # 0.9 - 0.1 is not 0.8: two positions, their difference and the gap are rounded.
    rounding = 4 * np.finfo(np.float64).eps * np.abs(positions).max()
    is_inside = (low <= positions) & (positions <= high)
    return np.flatnonzero(~is_inside & (distance > gap + rounding)), np.flatnonzero(is_inside)
