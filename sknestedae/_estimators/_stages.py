"""One stage of a chain at a time: its rows, its target, its estimator."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from .._compat import stack_level_of_caller
from .._notices import notice
from .._tables._columns import is_categorical, kinds_by_content, resolve_columns
from .._tables._input import check_same_rows, label_rows, read_table, read_target
from .._tables._labels import ColumnLabels, scale_columns
from .._tables._scales import check_names, last_scale, measured_scales
from .._tables._splits import row_keys
from .._tables._target import match_targets, target_frame
from .._tables._text import doubt
from ..exceptions import DivergenceError, FewRowsWarning, TextColumnWarning
from ._base import BaseSupervisedAutoencoder
from ._fitted import fitted_part
from ._refinement import StageData
from ._unwrap import innermost, names_of_latents, unfrozen

# With fewer rows of its own, and this many times more of later scales, a stage gives a warning.
_FEW_ROWS = 10


class Stage(NamedTuple):
    """A link of the chain.

    Parameters
    ----------
    name : str
    estimator : estimator
    columns : list of int
        Positions of the stage's own columns.
    """

    name: str
    estimator: Any
    columns: list[int]


# ---------------------------------------------------------------------------------------------
# Stages and their columns


def check_stages(stages: list, parameters: Collection[str]) -> list[str]:
    """Check the parameter ``stages``, whatever the data, and give the names.

    Parameters
    ----------
    stages : list
    parameters : collection of str
        Names that are taken.
    """
    for entry in stages:
        if not (isinstance(entry, tuple | list) and len(entry) == 3):
            raise ValueError(
                "The 'stages' parameter must be a list of tuples (name, estimator, columns), got "
                f"{entry!r} in it."
            )
    if not stages:
        raise ValueError("The 'stages' parameter must have at least one stage, got [].")
    names = check_names([name for name, _, _ in stages], "stages")
    taken = sorted(set(names) & set(parameters))
    if taken:
        raise ValueError(
            f"The 'stages' parameter must not have names that parameters have, got {taken}."
        )
    for name, estimator, _ in stages:
        if not (hasattr(estimator, "fit") and hasattr(estimator, "transform")):
            raise TypeError(
                f"The estimator of stage {name!r} must have fit and transform; {estimator!r} has "
                "not."
            )
    return names


def find_stages(stages: list | None, X: Any, columns: ColumnLabels) -> list[Stage]:
    """Give the stages with their columns in a table.

    Parameters
    ----------
    stages : list of (str, estimator, columns) or None
        None: one for each scale of the table, without an estimator.
    X : DataFrame or ndarray of shape (n_samples, n_features)
    columns : ColumnLabels
        Of X.

    Raises
    ------
    ValueError
        If a stage has no column, or one of another stage.
    """
    if stages is None:
        scales = scale_columns(X) or {"scale0": list(range(X.shape[1]))}
        check_names(list(scales), "X")
        return [Stage(name, None, own) for name, own in scales.items()]
    found = []
    owner: dict[int, str] = {}
    labels = columns.labels if columns.is_frame else None
    for name, estimator, wanted in stages:
        wanted = wanted(X) if callable(wanted) else wanted
        subject = f"The 'stages' parameter, in stage {name!r},"
        own = resolve_columns(wanted, labels, X.shape[1], subject).tolist()
        if not own:
            raise ValueError(
                f"Stage {name!r} has no columns: {wanted!r} is none of X (n_features="
                f"{X.shape[1]})."
            )
        for j in own:
            if j in owner:
                raise ValueError(
                    f"Column {columns.name(j)} is given to stage {owner[j]!r} and again to stage "
                    f"{name!r}; a column is the own column of one stage."
                )
            owner[j] = name
        found.append(Stage(name, estimator, own))
    return found


def stage_table(
    X: Any,
    rows: Any,
    columns: ColumnLabels,
    stage: Stage,
    before: Stage | None,
    latents: np.ndarray | None,
) -> Any:
    """Give a stage's table: its own columns, then the latents of the stage before.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
    rows : ndarray of int or slice
    columns : ColumnLabels
        Of X.
    stage, before : Stage
        The stage, and the one before it, if there is one.
    latents : ndarray of shape (n_samples, n_latents) or None
        Of the stage before.

    Returns
    -------
    DataFrame or ndarray of shape (n_rows, n_own_columns + n_latents)
    """
    if not columns.is_frame:
        own = X[rows][:, stage.columns]
        return own if latents is None else np.hstack([own, latents[rows]])
    own = X.iloc[rows, stage.columns]
    labels = columns.features(stage.columns)
    if before is None or latents is None:
        return own.set_axis(pd.Index(labels, tupleize_cols=False), axis=1)
    found = pd.DataFrame(latents[rows], index=own.index)
    names: list[Any] = [
        (before.name, name) for name in names_of_latents(before.estimator, found.shape[1])
    ]
    if all(isinstance(label, str) for label in labels):  # names are strings, all or none
        names = ["__".join(name) for name in names]
    return pd.concat([own, found], axis=1).set_axis(
        pd.Index([*labels, *names], tupleize_cols=False), axis=1
    )


# ---------------------------------------------------------------------------------------------
# Targets and rows


class StageTargets(NamedTuple):
    """A target, and which of its columns belong to which stage.

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

    @classmethod
    def of(cls, y: Any, rows: Any, names: list[str], X: Any) -> StageTargets:
        """Read what ``fit`` was given, in those of its rows that a table has."""
        if y is None:
            return cls(None, True, {name: [] for name in names})
        frame, is_1d = target_frame(y)
        columns = match_targets(frame, names)
        return cls(label_rows(frame[rows], X), is_1d, dict(zip(names, columns, strict=True)))

    def stage(self, name: str, rows: np.ndarray) -> Any:
        """Give a stage's target in some rows: a column, a DataFrame of several, or None."""
        columns = self.columns[name]
        if self.frame is None or not columns:
            return None
        part = self.frame.iloc[rows, columns]
        if len(columns) > 1:
            return part.to_numpy() if all(d.kind in "fiu" for d in part.dtypes) else part
        column = part.iloc[:, 0]
        return column.to_numpy() if isinstance(column.dtype, np.dtype) else column

    def known(self, n_samples: int) -> np.ndarray:
        """Tell of which stages a row has a target; of shape (n_samples, n_stages)."""
        if self.frame is None:
            return np.zeros((n_samples, len(self.columns)), dtype=bool)
        return measured_scales(self.frame, list(self.columns.values()))

    def known_of(self, name: str) -> np.ndarray:
        """Tell which rows have a target of one stage, of shape (n_samples,)."""
        return measured_scales(self.frame, [self.columns[name]])[:, 0]

    def holds_labels(self, name: str) -> bool:
        """Tell whether a stage's target is of classes: strings, booleans or categories."""
        columns = self.columns[name]
        if self.frame is None or len(columns) != 1:
            return False
        return is_categorical(self.frame.iloc[:, columns[0]], f"of y for stage {name!r}")

    def doubt_labels(self, name: str) -> None:
        """Warn of labels that seem to be numbers, dates or names of rows."""
        assert self.frame is not None
        said = doubt(self.frame.iloc[:, self.columns[name][0]])
        if said is not None:
            notice(
                f"The target of stage {name!r} {said}. As it stands, the stage learns to tell "
                "classes; if that is meant, give it a SupervisedAutoencoderClassifier or the "
                "target the dtype 'category'.",
                TextColumnWarning,
            )


def training_rows(
    measured: np.ndarray, known: np.ndarray, stages: list[Stage], X: Any, train_rows: str
) -> list[np.ndarray]:
    """Give the rows that each stage is trained on.

    Parameters
    ----------
    measured, known : ndarray of bool, shape (n_samples, n_stages)
        At which stages a row has a measured column, and a known target.
    stages : list of Stage
    X : DataFrame or ndarray
        For the messages.
    train_rows : "own" or "all"

    Returns
    -------
    list of ndarray of int
    """
    empty = np.flatnonzero(~measured.any(axis=1))
    if len(empty):
        label = f" (index {X.index[empty[0]]!r})" if isinstance(X, pd.DataFrame) else ""
        raise ValueError(
            f"Row {empty[0]}{label} has nothing measured at any scale, and so do {len(empty) - 1} "
            "others; leave such rows out."
        )
    last = last_scale(measured | known)
    rows = []
    for k, stage in enumerate(stages):
        own, some = np.flatnonzero(last == k), np.flatnonzero(measured[:, k])
        takes_own = train_rows == "own" and len(own) > 0
        if takes_own and len(own) < _FEW_ROWS and len(some) > _FEW_ROWS * len(own):
            warnings.warn(
                f"Stage {stage.name!r} is trained on the {len(own)} rows of which it is the last "
                f"measured scale, and not on {len(some)} that have its columns. If the others "
                "only lack later columns, set train_rows='all'.",
                FewRowsWarning,
                stacklevel=stack_level_of_caller(),
            )
        rows.append(own if takes_own else some)
    return rows


def stack_weights(sample_weight: Any, rows: list[np.ndarray], X_list: Any) -> Any:
    """Bring the weights of a list of tables into the order of the one table."""
    if sample_weight is None:
        return None
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


# ---------------------------------------------------------------------------------------------
# One stage's estimator


@contextmanager
def naming(stage: str) -> Iterator[None]:
    """Say of an error which stage it comes from."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if type(error) not in (ValueError, TypeError, DivergenceError):
            raise
        raise type(error)(f"In stage {stage!r}: {error}") from error


def set_stage_params(estimator: Any, values: dict[str, Any]) -> None:
    """Set parameters that are not None on an estimator, or on the last step of a pipeline."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    if isinstance(estimator, FrozenEstimator):
        return
    known = estimator.get_params(deep=False)
    estimator.set_params(
        **{name: v for name, v in values.items() if v is not None and name in known}
    )


def hold_kinds(stage: Stage, X: Any) -> None:
    """Let a whole table say what a stage's columns are, and not the rows of its scale alone."""
    estimator = stage.estimator
    if not isinstance(estimator, BaseSupervisedAutoencoder):
        return
    chosen = estimator.categorical_features
    if isinstance(chosen, str) and chosen == "from_dtype":
        held = kinds_by_content(X, stage.columns)  # in a stage's table its own columns come first
        if held is not None:
            estimator.set_params(categorical_features=held)


def tell_mixed(stage: Stage, X: Any) -> None:
    """Tell a fitted stage which of its columns hold numbers beside words in the whole table."""
    if isinstance(stage.estimator, BaseSupervisedAutoencoder) and isinstance(X, pd.DataFrame):
        fitted_part(stage.estimator).table.know_mixed(X.iloc[:, stage.columns])


def check_stage(stage: Stage, target: StageTargets, rows: np.ndarray) -> None:
    """Refuse, before anything is trained, what a stage cannot be trained on."""
    if isinstance(stage.estimator, FrozenEstimator):
        return
    if len(rows) < 2:
        raise ValueError(
            f"Stage {stage.name!r} has {len(rows)} row(s) to train on (n_samples={len(rows)}); at "
            "least 2 are needed."
        )
    if not target.columns[stage.name]:
        return
    if not hasattr(stage.estimator, "predict"):
        raise TypeError(
            f"Stage {stage.name!r} has a target, but its estimator has no predict: "
            f"{stage.estimator!r}."
        )
    if not target.known_of(stage.name)[rows].any():
        elsewhere = target.known_of(stage.name).sum()
        raise ValueError(
            f"The target of stage {stage.name!r} has no measured row among the {len(rows)} rows "
            f"that it is trained on ({elsewhere} are measured in rows of other scales)."
        )


def fit_stage(estimator: Any, data: StageData) -> None:
    """Fit a stage's estimator, unless it is frozen."""
    (table,), y, weight = data
    if isinstance(estimator, FrozenEstimator):
        estimator.fit(table, y)  # checks that it was fitted
        return
    if y is not None and not getattr(innermost(estimator), "_takes_unlabelled_rows", False):
        missing = pd.isna(pd.DataFrame(y)).any(axis=1).to_numpy()
        if missing.any():
            table, y = table[~missing], np.asarray(y)[~missing]
            weight = None if weight is None else weight[~missing]
    parameters = {}
    if weight is not None:
        prefix, last = "", estimator
        while isinstance(last, Pipeline):
            prefix, last = f"{prefix}{last.steps[-1][0]}__", last.steps[-1][1]
        if not has_fit_parameter(last, "sample_weight"):
            raise TypeError(f"{type(last).__name__} cannot be fitted with sample_weight.")
        parameters[f"{prefix}sample_weight"] = weight
    estimator.fit(table, y, **parameters)


def as_fitted(estimator: Any, table: Any) -> Any:
    """Give a frozen estimator an array, if that is what it was fitted with."""
    is_frozen = isinstance(estimator, FrozenEstimator) and isinstance(table, pd.DataFrame)
    return table.to_numpy() if is_frozen and not hasattr(estimator, "feature_names_in_") else table


def transform_stage(estimator: Any, table: Any) -> np.ndarray:
    """Give an estimator's output as an array of shape (n_samples, n_latents)."""
    Z = estimator.transform(as_fitted(estimator, table))
    Z = np.asarray(Z.toarray() if hasattr(Z, "toarray") else Z)
    if Z.ndim != 2:
        raise ValueError(
            f"{type(estimator).__name__} gave latents of shape {Z.shape}; they must have two "
            "dimensions."
        )
    return Z


def encode_stage(estimator: Any, table: Any, seen: np.ndarray) -> np.ndarray:
    """Give the latents for the next stage: missing where nothing was measured of a row so far."""
    if seen.all():
        return transform_stage(estimator, table)
    encoded = transform_stage(estimator, table[seen] if seen.any() else table)
    latents = np.full((len(table), encoded.shape[1]), np.nan, dtype=encoded.dtype)
    if seen.any():
        latents[seen] = encoded
    return latents


def encode_alike(estimator: Any, table: Any, seen: np.ndarray) -> np.ndarray:
    """Do so for rows that are learnt from: equal rows get equal latents, to the last bit.

    A matrix product may round equal rows differently. The next stage tells replicates, which
    early stopping must not part, by their equal content.
    """
    _, first, group = np.unique(row_keys(table), return_index=True, return_inverse=True)
    if len(first) == len(group):
        return encode_stage(estimator, table, seen)
    if isinstance(unfrozen(estimator), BaseSupervisedAutoencoder):
        fitted_part(unfrozen(estimator)).table.notice_unseen(table)  # counted in all rows
    take = table.iloc if isinstance(table, pd.DataFrame) else table
    return encode_stage(estimator, take[first], seen[first])[group]


def iter_stages(X: Any, columns: ColumnLabels, stages: list[Stage]) -> Iterator[tuple[Stage, Any]]:
    """Send a checked table through fitted stages; give each stage with its table."""
    measured = measured_scales(X, [stage.columns for stage in stages])
    latents = before = None
    for k, stage in enumerate(stages):
        table = stage_table(X, slice(None), columns, stage, before, latents)
        yield stage, table
        if k + 1 < len(stages):
            seen = np.asarray(measured[:, : k + 1].any(axis=1))
            latents, before = encode_stage(stage.estimator, table, seen), stage
