"""A table as a chain sees it, read once: each stage's columns, and each row's measured scales.

All questions of a chain about a table, its rows and its target are answered here, so that a table
does not travel through the folders of the package. Nothing here knows of torch, or of a network.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .._compat import stack_level_of_caller
from .._notices import notice
from ..exceptions import FewRowsWarning, TextColumnWarning
from ._cells import holds_cells
from ._columns import is_categorical, kinds_by_content, resolve_columns
from ._dtypes import selector
from ._labels import ColumnLabels
from ._missing import take_rows
from ._scales import check_names, columns_of_scales, last_scale, measured_scales
from ._target import match_targets, target_frame
from ._text import doubt

# With fewer rows of its own, and this many times more of later scales, a stage gives a warning.
_FEW_ROWS = 10


class StageLatents(NamedTuple):
    """The latents of one stage, which the next stage takes beside its own columns.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_latents)
        Missing for rows without a measured value so far.
    names : list of (str, str)
        Name of the stage and of the latent.
    """

    values: np.ndarray
    names: list[tuple[str, str]]


class StagedTable:
    """One table, as the stages of a chain see it.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
        Checked.
    labels : ColumnLabels
        Of X.
    columns : dict of str to list of int
        Positions of the own columns of each stage, by its name.
    measured : ndarray of bool, shape (n_samples, n_stages), optional
        The scales at which each row has a measured value, where these are known already.

    Attributes
    ----------
    last : ndarray of int, shape (n_samples,)
        Each row's last measured scale; -1 for none.
    """

    def __init__(
        self,
        X: pd.DataFrame | np.ndarray,
        labels: ColumnLabels,
        columns: dict[str, list[int]],
        measured: np.ndarray | None = None,
    ) -> None:
        self.X = X
        self.labels = labels
        self.columns = columns
        self.measured = (
            measured_scales(X, list(columns.values())) if measured is None else measured
        )
        self.last = last_scale(self.measured)

    @classmethod
    def of(
        cls,
        X: pd.DataFrame | np.ndarray,
        stages: list[tuple[str, Any, Any]] | None,
        y: Any = None,
        scales: list[str] | None = None,
        key: Any = None,
    ) -> StagedTable:
        """Find the columns of the stages in a checked table.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
        stages : list of (str, estimator, columns) or None
            None: one for each scale of the table.
        y : array-like or None
            The target: a scale may differ in it alone.
        scales : list of str or None
            Names of the tables of a list that the table was made of.
        key : label or None
            A column that names materials, which is no column of a stage.

        Raises
        ------
        ValueError
            If the first stage has no column, or any of an array of columns that are not there.
        """
        labels = ColumnLabels.of(X)
        # columns by a function, as in ColumnTransformer, are the one thing that needs the table
        if stages is None:
            columns = labels.scale_columns() or {"scale0": list(range(X.shape[1]))}
            columns = columns_of_scales(columns, y, scales)
            check_names(list(columns), "X")
        else:
            known = columns_of_scales(labels.scale_columns() or {}, y, scales)
            wanted = {
                name: columns(X) if callable(columns) else columns for name, _, columns in stages
            }
            # a scale that a target alone tells has a name, and no columns
            wanted = {
                name: [] if isinstance(own, str) and known.get(own) == [] else own
                for name, own in wanted.items()
            }
            columns = find_columns(wanted, labels, X.shape[1])
        if key is not None:
            j = labels.position(key, "key")
            columns = {name: [i for i in own if i != j] for name, own in columns.items()}
        first = next(iter(columns))
        if not columns[first]:
            beside = "" if key is None else f" beside the key {key!r}"
            raise ValueError(f"Stage {first!r} has no columns{beside}; the first stage needs one.")
        return cls(X, labels, columns)

    def __len__(self) -> int:
        return len(self.X)

    def last_with(self, known: np.ndarray) -> np.ndarray:
        """Return the last scale at which each row has a known value, or a target alone.

        Parameters
        ----------
        known : ndarray of bool, shape (n_samples, n_stages)
            For which stages a row has a known target.
        """
        return last_scale(self.measured | known)

    def seen(self, k: int) -> np.ndarray:
        """Return which rows have a measured value up to a stage, of shape (n_samples,)."""
        return np.asarray(self.measured[:, : k + 1].any(axis=1))

    def take(self, rows: Any) -> StagedTable:
        """Return some rows, with the measured scales that are known already."""
        return StagedTable(take_rows(self.X, rows), self.labels, self.columns, self.measured[rows])

    def with_rows(self, X: pd.DataFrame | np.ndarray) -> StagedTable:
        """Return a table of other rows with the same columns."""
        return StagedTable(X, self.labels, self.columns)

    @property
    def row_labels(self) -> np.ndarray:
        """The index, or of an array the positions of rows; of shape (n_samples,)."""
        X = self.X
        return X.index.to_numpy() if isinstance(X, pd.DataFrame) else np.arange(len(X))

    def read_target(self, y: Any, rows: Any = slice(None)) -> StageTargets:
        """Read the target that ``fit`` was given beside the table.

        Parameters
        ----------
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), or None
        rows : ndarray of bool or slice
            Which of its rows the table has.
        """
        if y is None:
            return StageTargets(None, True, {name: [] for name in self.columns})
        frame, is_1d = target_frame(y)
        columns = match_targets(frame, list(self.columns))
        named = dict(zip(self.columns, columns, strict=True))
        return StageTargets(self.label(frame[rows]), is_1d, named)

    def label(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Set the row labels of the table, if it has any, on a target of the same rows."""
        return frame.set_axis(self.X.index) if isinstance(self.X, pd.DataFrame) else frame

    def own_columns(self, k: int) -> pd.DataFrame | np.ndarray:
        """Return a stage's own columns."""
        own = list(self.columns.values())[k]
        return self.X.iloc[:, own] if isinstance(self.X, pd.DataFrame) else self.X[:, own]

    def stage(
        self, k: int, latents: StageLatents | None, rows: Any = slice(None)
    ) -> pd.DataFrame | np.ndarray:
        """Return a stage's table: its own columns, then the latents of the stage before.

        Parameters
        ----------
        k : int
            Position of the stage.
        latents : StageLatents or None
            Of all rows; None for the first stage.
        rows : ndarray of int or slice
            Which rows to give; those of a scale may be few of many.

        Returns
        -------
        DataFrame or ndarray of shape (n_rows, n_own_columns + n_latents)
        """
        columns = list(self.columns.values())[k]
        if not isinstance(self.X, pd.DataFrame):
            own = _take(self.X, rows, selector(columns))
            return own if latents is None else np.hstack([own, latents.values[rows]])
        own = self.X.iloc[rows, selector(columns)]  # at once: a copy of all rows may be large
        labels = self.labels.features(columns)
        if latents is None:
            return own.set_axis(pd.Index(labels, tupleize_cols=False), axis=1)
        before = pd.DataFrame(latents.values[rows], index=own.index)
        names: list[Any] = latents.names
        if all(isinstance(label, str) for label in labels):
            # scikit-learn knows names of features only where all of them are strings
            names = ["__".join(name) for name in names]
        return pd.concat([own, before], axis=1).set_axis(
            pd.Index([*labels, *names], tupleize_cols=False), axis=1
        )

    def categorical_columns(self, k: int) -> list[int] | None:
        """Return which of a stage's columns are categorical, where part of the rows would mislead.

        Returns
        -------
        list of int or None
            Positions among the stage's columns, its own columns first; None where any rows of
            them tell the same.
        """
        return kinds_by_content(self.X, list(self.columns.values())[k])

    def training_rows(self, known: np.ndarray, train_rows: str) -> list[np.ndarray]:
        """Choose the rows that each stage is trained on.

        Parameters
        ----------
        known : ndarray of bool, shape (n_samples, n_stages)
            For which stages a row has a known target.
        train_rows : "own" or "all"

        Returns
        -------
        list of ndarray of int

        Raises
        ------
        ValueError
            If a row has nothing measured at any scale.

        Warns
        -----
        FewRowsWarning
            If a stage has few rows of its own, and later ones have many that it could use.
        """
        empty = np.flatnonzero(self.last == -1)
        if len(empty):
            label = ""
            if isinstance(self.X, pd.DataFrame):
                label = f" (index {self.X.index[empty[:1]].tolist()[0]!r})"
            others = f", as have {len(empty) - 1} more" if len(empty) > 1 else ""
            raise ValueError(
                f"Row {empty[0]}{label} has nothing measured at any scale{others}; leave such "
                "rows out."
            )
        last = self.last_with(known)
        rows = []
        for k, name in enumerate(self.columns):
            own = np.flatnonzero(last == k)
            # without columns of its own, a stage has all rows that are known there or later
            has = self.measured[:, k] if self.columns[name] else last >= k
            some = np.flatnonzero(has)
            takes_own = train_rows == "own" and len(own) > 0
            if takes_own and len(own) < _FEW_ROWS and len(some) > _FEW_ROWS * len(own):
                warnings.warn(
                    f"Stage {name!r} is trained on the {len(own)} rows of which it is the last "
                    f"measured scale, and not on {len(some)} that have its columns. If the "
                    "others only lack later columns, set train_rows='all'.",
                    FewRowsWarning,
                    stacklevel=stack_level_of_caller(),
                )
            rows.append(own if takes_own else some)
        return rows


def _take(X: np.ndarray, rows: Any, columns: slice | list[int]) -> np.ndarray:
    """Copy some columns of some rows, with the entries of a row side by side in memory."""
    if isinstance(rows, slice):
        return X[rows].take(np.arange(X.shape[1])[columns], axis=1)
    return X[rows, columns] if isinstance(columns, slice) else X[np.ix_(rows, columns)]


def find_columns(
    wanted: dict[str, Any], labels: ColumnLabels, n_features: int
) -> dict[str, list[int]]:
    """Return the positions of the own columns of each stage.

    Parameters
    ----------
    wanted : dict of str to {str, int, slice, array-like}
        The columns of each stage, as ``resolve_columns`` takes them.
    labels : ColumnLabels
        Of the table.
    n_features : int
        Number of its columns.

    Raises
    ------
    ValueError
        If a stage has no column, and was not given an empty list; the first needs one.
    """
    found: dict[str, list[int]] = {}
    known = labels.labels if labels.is_frame else None
    for name, columns in wanted.items():
        subject = f"The 'stages' parameter, in stage {name!r},"
        own = resolve_columns(columns, known, n_features, subject).tolist()
        if not own and (not found or not _is_empty(columns)):
            raise ValueError(
                f"Stage {name!r} has no columns: {columns!r} is none of X (n_features="
                f"{n_features})."
            )
        found[name] = own
    return found


def _is_empty(columns: Any) -> bool:
    """Return whether the choice of columns is empty, rather than of unknown columns."""
    return isinstance(columns, list | tuple) and not columns


class StageTargets(NamedTuple):
    """A target, and the columns of it that belong to each stage.

    Parameters
    ----------
    frame : DataFrame of shape (n_samples, n_outputs) or None
    is_1d : bool
        Whether it was given with one dimension.
    columns : dict of str to list of int
        For each stage.
    """

    frame: pd.DataFrame | None
    is_1d: bool
    columns: dict[str, list[int]]

    def stage(self, name: str, rows: np.ndarray) -> Any:
        """Return a stage's target in some rows: a column, a DataFrame of several, or None."""
        columns = self.columns[name]
        if self.frame is None or not columns:
            return None
        part = self.frame.iloc[rows, columns]
        if len(columns) > 1:
            return part.to_numpy() if all(d.kind in "fiu" for d in part.dtypes) else part
        column = part.iloc[:, 0]
        # a dtype of pandas alone, such as category, says more than NumPy's object would
        return column.to_numpy() if isinstance(column.dtype, np.dtype) else column

    def known(self, n_samples: int) -> np.ndarray:
        """Return whether each row has a target of each stage; bool, (n_samples, n_stages)."""
        if self.frame is None:
            return np.zeros((n_samples, len(self.columns)), dtype=bool)
        return measured_scales(self.frame, list(self.columns.values()))

    def known_of(self, name: str) -> np.ndarray:
        """Return which rows have a target of one stage, of shape (n_samples,)."""
        return measured_scales(self.frame, [self.columns[name]])[:, 0]

    def holds_labels(self, name: str) -> bool:
        """Return whether a stage's target is of classes: strings, booleans or categories."""
        columns = self.columns[name]
        if self.frame is None or len(columns) != 1:
            return False
        column = self.frame.iloc[:, columns[0]]
        return not holds_cells(column) and is_categorical(column, f"of y for stage {name!r}")

    def holds_scalars(self, name: str) -> bool:
        """Return whether a stage has a target of numbers or classes, not of arrays."""
        if self.frame is None:
            return False
        return bool(self.columns[name]) and not any(
            holds_cells(self.frame.iloc[:, j]) for j in self.columns[name]
        )

    def doubt_labels(self, name: str) -> None:
        """Warn about labels that seem to be numbers, dates or names of rows."""
        assert self.frame is not None
        said = doubt(self.frame.iloc[:, self.columns[name][0]])
        if said is not None:
            notice(
                f"The target of stage {name!r} {said}. As it stands, the stage learns to "
                "predict classes; if that is meant, give it a SupervisedAutoencoderClassifier or "
                "the target the dtype 'category'.",
                TextColumnWarning,
            )
