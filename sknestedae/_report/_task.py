"""The subject of a report: the model, its table column by column, and its targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._compat import safe_indexing
from .._estimators._base import BaseSupervisedAutoencoder
from .._estimators._fitted import fitted_part
from .._estimators._nested import NestedAutoencoder
from .._estimators._unwrap import innermost, steps_before, unfrozen
from .._tables._columns import is_categorical
from .._tables._input import check_same_rows, read_table, read_target, to_pandas
from .._tables._labels import ColumnLabels, scale_columns
from .._tables._scales import is_scale_list, last_scale, stack
from .._tables._target import stack_target, target_frame
from ..exceptions import NoTargetError
from ..model_selection._folds import group_codes
from ..plotting._arrays import (
    ArrayColumns,
    fitted_arrays,
    flat_table,
    named_arrays,
    panels_of,
    place_arrays,
    read_array,
    stack_cells,
)
from ..plotting._base import as_floats, core_of, name_of, with_unit
from ._content import short

# With more targets the page speaks of them together.
FEW_TARGETS = 4
# More categories than gradient boosting takes are put together, the rarest ones.
_MAX_CATEGORIES = 250


@dataclass(frozen=True)
class Column:
    """A column of X, or columns of it that are one array.

    Parameters
    ----------
    name, unit : str
    stage : int
        Position of the stage that has it; 0 without stages, -1 where no stage has it.
    is_categorical : bool
    values : Series of shape (n_samples,)
        Floats, or text as categories; NaN where not measured. Of an array the mean of its
        elements.
    positions : tuple of int
        Its columns in X.
    array : ArrayColumns or None
        The array's columns and shape.
    elements : ndarray of shape (n_samples, n_elements), or None
        The array's elements, NaN where not measured.
    """

    name: str
    unit: str
    stage: int
    is_categorical: bool
    values: pd.Series
    positions: tuple[int, ...]
    array: ArrayColumns | None = None
    elements: np.ndarray | None = None

    @property
    def measured(self) -> np.ndarray:
        """Return whether it was measured, of shape (n_samples,); of an array, any element."""
        return self.values.notna().to_numpy()

    @property
    def numbers(self) -> np.ndarray:
        """Numbers of shape (n_samples, n_elements): of a plain column, itself alone."""
        if self.elements is not None:
            return self.elements
        return self.values.to_numpy(dtype=np.float64)[:, None]


@dataclass(frozen=True)
class Target:
    """A column of y, or columns of it that are one array.

    Parameters
    ----------
    name, unit : str
    stage : int
        Position of the stage that predicts it; 0 without stages.
    stage_name : str or None
    classes : list of str or None
        Names of the classes; None for numbers.
    codes : dict
        Position of each class by its label.
    values : ndarray of float, shape (n_samples,), or (n_samples, n_elements) of an array
        Numbers, or positions of classes; NaN where not known.
    outputs : tuple of int
        Positions of its columns in y.
    shape : tuple of int
        Of the array of one row; ``()`` of a single column.
    """

    name: str
    unit: str
    stage: int
    stage_name: str | None
    classes: list[str] | None
    codes: dict[Hashable, int]
    values: np.ndarray
    outputs: tuple[int, ...] = (0,)
    shape: tuple[int, ...] = ()

    @property
    def known(self) -> np.ndarray:
        """Return whether it is known, of shape (n_samples,); of an array, any element."""
        unknown = np.isnan(self.values)
        return ~(unknown.all(axis=1) if self.shape else unknown)

    @property
    def row_values(self) -> np.ndarray:
        """One number for each row, of shape (n_samples,): of an array the mean of its elements."""
        return row_means(self.values) if self.shape else self.values

    @property
    def label(self) -> str:
        """Name with unit."""
        return with_unit(self.name, self.unit)

    def pick(self, predicted: pd.DataFrame) -> np.ndarray:
        """Return its predictions among all columns of y, as ``values`` holds the truth."""
        own = predicted.iloc[:, list(self.outputs)]
        if self.shape:
            return own.to_numpy(dtype=np.float64)
        column = own.iloc[:, 0]
        if self.classes is None:
            return column.to_numpy(dtype=np.float64)
        return np.array([self.codes[label] for label in column.tolist()], dtype=float)


@dataclass(frozen=True)
class Task:
    """The model and its data.

    Parameters
    ----------
    model : estimator
        Fitted; a search's best estimator.
    search : estimator or None
        The search that found it.
    core : estimator
        The autoencoder or the chain in the model.
    X : DataFrame or ndarray of shape (n_samples, n_features) or (n_samples, ...)
    y : Series, DataFrame, ndarray or None
        As ``fit`` takes them.
    columns : list of Column
        Columns that are one array are one.
    targets : list of Target
    stage_names : list of str
        Empty without stages.
    scale : ndarray of int, shape (n_samples,)
        Position of the last stage at which something is known of a row.
    groups : ndarray of int, shape (n_samples,), or None
        A row without a group is one of its own.
    key : Column or None
        The column by which a chain knows materials again.
    """

    model: Any
    search: Any
    core: Any
    X: pd.DataFrame | np.ndarray
    y: pd.Series | pd.DataFrame | np.ndarray | None
    columns: list[Column]
    targets: list[Target]
    stage_names: list[str]
    scale: np.ndarray
    groups: np.ndarray | None
    key: Column | None = None

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return len(self.scale)

    @property
    def has_own_rows(self) -> bool:
        """Return whether scales have rows of their own."""
        return len(np.unique(self.scale)) > 1

    @property
    def has_many_targets(self) -> bool:
        """Return whether targets are so many that they are described together."""
        return len(self.targets) > FEW_TARGETS

    @property
    def is_ensemble(self) -> bool:
        """Return whether the model itself, and not a part of it, gives a spread."""
        return len(self.core.members_) > 1 and not _has_search(self.model)

    def own_rows(self, target: Target) -> np.ndarray:
        """Return which rows are of a target's scale, or all where scales share rows."""
        own = self.scale == target.stage
        return own if self.has_own_rows and own.any() else np.ones(self.n_samples, dtype=bool)

    def frame(self, last_stage: int | None = None, *, merge_rare: bool = True) -> pd.DataFrame:
        """Return the columns up to a stage, named "x0" and so on; floats, or categories of text.

        An array has a column for each element. Of a categorical column with very many categories
        the rarest are one, unless rows are to be told apart.
        """
        kept: list[pd.DataFrame | pd.Series] = []
        for j, column in enumerate(self.columns):
            if column.stage < 0 or (last_stage is not None and column.stage > last_stage):
                continue
            if column.elements is not None:
                kept.append(pd.DataFrame(column.elements).add_prefix(f"x{j}_"))
            else:
                values = column.values
                values = _merge_rare(values) if column.is_categorical and merge_rare else values
                kept.append(values.rename(f"x{j}"))
        return pd.concat(kept, axis=1) if kept else pd.DataFrame(index=range(self.n_samples))


def read_task(estimator: Any, X: Any, y: Any, groups: Any, units: Mapping[Hashable, str]) -> Task:
    """Check the arguments of a report, and bring them into one form.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is, or ends in, no autoencoder of this package.
    ValueError
        If X, y and groups do not go together or with what was fitted.
    """
    model, search = estimator, None
    _check_fitted(estimator)
    while hasattr(model, "best_estimator_"):
        model, search = model.best_estimator_, search or model
    core = innermost(model)
    if not isinstance(core, BaseSupervisedAutoencoder | NestedAutoencoder):
        raise TypeError(
            "The 'estimator' parameter of report must be a SupervisedAutoencoder, a "
            "SupervisedAutoencoderClassifier, a NestedAutoencoder, or a pipeline or search that "
            f"ends in one; got {type(core).__name__}."
        )
    stage_names = [name for name, _, _ in getattr(core, "stages_", [])]
    X, y, groups = _one_table(X, y, groups, stage_names)
    n_samples = len(X)
    model.transform(safe_indexing(X, [0]))  # the estimator's own words on wrong columns
    _check_target(model, X, y)
    columns = _read_columns(model, core, X, units)
    targets = [] if y is None else _read_targets(core, y, units)
    scale = np.zeros(n_samples, dtype=int)
    if stage_names:
        measured = np.zeros((n_samples, len(stage_names)), dtype=bool)
        for column in columns:
            if column.stage >= 0:
                measured[:, column.stage] |= column.measured
        for target in targets:
            measured[:, target.stage] |= target.known
        scale = np.maximum(last_scale(measured), 0)
    codes = None if groups is None else group_codes(groups, n_samples)
    j = _key_position(core, flat_table(X)[0], bool(steps_before(model)))
    key = next((column for column in columns if column.positions == (j,)), None)
    return Task(model, search, core, X, y, columns, targets, stage_names, scale, codes, key)


# ---------------------------------------------------------------------------------------------
# The estimator


def _check_fitted(estimator: Any) -> None:
    """Refuse an estimator that is not fitted; of a pipeline, one whose last step is not."""
    message = (
        "The 'estimator' parameter must be fitted, got a %(name)s that is not: the report is "
        "about this model, beside clones of it that are fitted in folds. Call 'fit' first."
    )
    if isinstance(estimator, Pipeline) and len(estimator):
        check_is_fitted(estimator[-1], msg=message)
    check_is_fitted(estimator, msg=message)


def _has_search(model: Any) -> bool:
    """Return whether a pipeline ends in a search."""
    while isinstance(model, Pipeline):
        model = model[-1]
    return hasattr(model, "best_estimator_")


def stages_of(core: Any) -> list[tuple[str | None, Any, list[int]]]:
    """Return name, estimator and own columns of each stage; of one scale, the estimator itself."""
    if hasattr(core, "stages_"):
        return core.stages_
    return [(None, core, list(range(core.n_features_in_)))]


def _check_target(model: Any, X: pd.DataFrame | np.ndarray, y: Any) -> None:
    """Refuse a target that the model was not fitted to, and none where it was."""
    try:
        predicted = flat_target(model.predict(safe_indexing(X, [0])))
        n_outputs = predicted.shape[1]
    except (NoTargetError, AttributeError):
        n_outputs = 0
    if y is None and n_outputs:
        raise ValueError(
            f"The estimator was fitted to a target of {n_outputs} column(s), but y is None: pass "
            "the y it was fitted to, so that folds can be fitted anew."
        )
    if y is None:
        return
    given = flat_target(y)
    if not n_outputs:
        raise ValueError(
            "y is given, but the estimator was fitted without a target: fit it with y, or pass "
            "y=None for a report on the reconstruction alone."
        )
    if given.shape[1] != n_outputs:
        raise ValueError(
            f"y has {given.shape[1]} column(s), but the estimator was fitted to {n_outputs}."
        )


# ---------------------------------------------------------------------------------------------
# Table and target


def _one_table(
    X: Any, y: Any, groups: Any, stage_names: list[str]
) -> tuple[pd.DataFrame | np.ndarray, Any, Any]:
    """Make one table of a list, and check that all have a value for each row."""
    if is_scale_list(X):
        if len(X) != len(stage_names):
            raise ValueError(
                f"X is a list of {len(X)} tables, but the estimator has {len(stage_names)} stages."
            )
        stacked = stack(X, y, stage_names)
        X, y = stacked.X, stacked.y
        n_rows = [len(rows) for rows in stacked.rows]
        if groups is not None and sum(n_rows) == len(X):
            groups = _stack_groups(groups, stacked.rows)
    else:
        X = read_table(X)
        X = X if isinstance(X, pd.DataFrame) else np.asarray(X)
        if not isinstance(X, pd.DataFrame) and X.ndim < 2:
            raise ValueError(f"X must have two dimensions or more, got the shape {X.shape}.")
        y = None if y is None else read_target(stack_cells(to_pandas(y, "y")), cells=True)
        groups = to_pandas(groups, "groups")  # of any kind: a date may name one
        check_same_rows(X, y=y, groups=groups)
    for name, given in (("y", y), ("groups", groups)):
        if given is not None and len(given) != len(X):
            raise ValueError(
                f"X and {name} must have as many rows, got {len(X)} and {len(given)}."
            )
    return X, y, groups


def flat_target(y: Any) -> pd.DataFrame:
    """Return a target as a DataFrame of its columns; arrays are flattened."""
    return flat_cells(target_frame(flat_table(y)[0])[0])[0]


def flat_cells(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[int], dict[int, tuple[int, ...]]]:
    """Expand the arrays in cells to one column for each number.

    Parameters
    ----------
    frame : DataFrame of shape (n_samples, n_outputs)

    Returns
    -------
    flat : DataFrame of shape (n_samples, n_columns)
    owners : list of int, of length n_columns
        The position in ``frame`` of each column.
    shapes : dict of int to tuple of int
        Of the arrays, by positions in ``frame``.
    """
    parts, owners, shapes = [], [], {}
    for j in range(frame.shape[1]):
        part = frame.iloc[:, [j]]
        array = stack_target(part)
        if isinstance(array, np.ndarray):
            shapes[j] = array.shape[1:]
            part = pd.DataFrame(array.reshape(len(array), -1), index=frame.index)
            part.columns = pd.Index([frame.columns[j]] * part.shape[1], tupleize_cols=False)
        parts.append(part)
        owners += [j] * part.shape[1]
    if not shapes:
        return frame, owners, shapes
    labels = [label for part in parts for label in part.columns]
    flat = pd.concat([part.set_axis(range(part.shape[1]), axis=1) for part in parts], axis=1)
    return flat.set_axis(pd.Index(labels, tupleize_cols=False), axis=1), owners, shapes


def row_means(values: np.ndarray) -> np.ndarray:
    """Return the mean of each row's measured elements; NaN where there is none.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_elements)
    """
    known = ~np.isnan(values)
    n_known = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(n_known > 0, total / np.maximum(n_known, 1), np.nan)


def _stack_groups(groups: Any, rows: list[np.ndarray]) -> np.ndarray:
    """Bring the groups of a list of tables into the order of the one table."""
    lengths = [len(own) for own in rows]
    if not isinstance(groups, list | tuple) or len(groups) != len(rows):
        raise ValueError(
            "The 'groups' parameter must be a list of the groups of each table's rows (or None), "
            f"of lengths {lengths}, as X is a list of tables with rows of their own."
        )
    stacked = np.full(sum(lengths), None, dtype=object)
    for own, given in zip(rows, groups, strict=True):
        if given is None:
            continue
        if len(given) != len(own):
            raise ValueError(
                "The 'groups' parameter must be a list of the groups of each table's rows, of "
                f"lengths {lengths}; got {len(given)} in place of {len(own)}."
            )
        stacked[own] = np.asarray(given, dtype=object)
    return stacked


def _read_columns(
    model: Any, core: Any, X: pd.DataFrame | np.ndarray, units: Mapping[Hashable, str]
) -> list[Column]:
    """Describe each column of X, and each array."""
    flat, shape = flat_table(X)
    frame = pd.DataFrame(flat).infer_objects()
    has_steps = bool(steps_before(model))
    stage_of = _stage_of_columns(core, flat, has_steps)
    key = _key_position(core, flat, has_steps)
    if key is not None:
        stage_of[key] = -1  # it names materials, and is no property of them
    named = set() if has_steps else _fitted_categories(core)
    is_frame = isinstance(X, pd.DataFrame)
    names = _short_names(list(frame.columns)) if is_frame else []
    positions = _decoded_positions(core, frame.shape[1])
    arrays = place_arrays(fitted_arrays(model), positions)
    columns = []
    for what in panels_of(
        frame, None, range(frame.shape[1]), named_arrays(frame, arrays, shape), "decoded"
    ):
        if isinstance(what, ArrayColumns):
            elements = read_array(frame, what)
            values = pd.Series(row_means(elements))
            unit = _unit_of(what.name, units)
            stage = stage_of[what.columns[0]]
            own = tuple(what.columns)
            columns.append(Column(what.name, unit, stage, False, values, own, what, elements))
            continue
        label = frame.columns[what]
        values = frame.iloc[:, what].reset_index(drop=True)
        try:
            is_text = what in named or is_categorical(values, repr(label))
        except TypeError:  # such as dates, of which steps before make numbers
            is_text = True
        values = _as_text(values) if is_text else pd.Series(as_floats(values))
        name = names[what] if is_frame else f"Column {what}"
        unit = _unit_of(label if is_frame else what, units)
        columns.append(Column(name, unit, stage_of[what], is_text, values, (what,)))
    return columns


def _decoded_positions(core: Any, n_columns: int) -> dict[int, int]:
    """Return the position among the decoded columns of each column of X that comes back."""
    own = {j for _, _, columns in stages_of(core) for j in columns if j < n_columns}
    return {j: k for k, j in enumerate(sorted(own))}


def _fitted_categories(core: Any) -> set[int]:
    """Return the positions of the columns that an estimator took as categories."""
    found = set()
    for _, stage, own in stages_of(core):
        estimator = unfrozen(stage)
        if isinstance(estimator, BaseSupervisedAutoencoder):
            # a stage's own columns come first in its table, before the latents of others
            categories = fitted_part(estimator).table.categories
            found |= {own[i] for i in categories if i < len(own)}
    return found


def _stage_of_columns(core: Any, X: pd.DataFrame | np.ndarray, has_steps: bool) -> list[int]:
    """Return the position of the first stage that has each column; -1 where none has it."""
    n_columns = X.shape[1]
    if not hasattr(core, "stages_"):
        return [0] * n_columns
    names = [name for name, _, _ in core.stages_]
    scales = scale_columns(X)
    if isinstance(X, pd.DataFrame) and scales is not None and set(scales) <= set(names):
        return [names.index(str(scale)) for scale in X.columns.get_level_values(0)]
    if has_steps:  # they may make other columns; all are taken to be known to each stage
        return [0] * n_columns
    owners = [-1] * n_columns
    for k, (_, _, own) in reversed(list(enumerate(core.stages_))):
        for j in own:
            owners[j] = k  # an earlier one of several that have it
    return owners


def _key_position(core: Any, X: pd.DataFrame | np.ndarray, has_steps: bool) -> int | None:
    """Return the position of the column that names materials.

    None without one, and where steps before the chain may have made it.
    """
    key = getattr(core, "key", None)
    if key is None or (has_steps and not isinstance(X, pd.DataFrame)):
        return None
    try:
        return ColumnLabels.of(X).position(key, "key")
    except ValueError:
        return None


def _as_text(values: pd.Series) -> pd.Series:
    """Return a column as categories of text, NaN where missing."""
    texts = values.astype(object).where(values.notna(), None)
    return pd.Series(
        pd.Categorical([None if text is None else label_text(text) for text in texts])
    )


def _merge_rare(values: pd.Series) -> pd.Series:
    """Put the rarest categories together, where there are too many for gradient boosting."""
    counts = values.value_counts()
    if len(counts) <= _MAX_CATEGORIES:
        return values
    rare = counts.index[_MAX_CATEGORIES - 1 :]
    return values.astype(object).where(~values.isin(rare), "(rare)").astype("category")


def label_text(value: Any) -> str:
    """Write a class or a category; a whole number without its point."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _unit_of(label: Hashable, units: Mapping[Hashable, str]) -> str:
    """Return the unit of a column, which may be named by its feature alone."""
    keys = [label, name_of(label), *([label[-1]] if isinstance(label, tuple) else [])]
    return next((str(units[key]) for key in keys if key in units), "")


def _short_names(labels: Sequence[Hashable]) -> list[str]:
    """Name columns, those of two levels by their feature alone, as far as it stands once."""
    features = [name_of(label[-1]) if isinstance(label, tuple) else None for label in labels]
    n_times = Counter(features)
    return [
        name_of(label) if feature is None or n_times[feature] > 1 else feature
        for label, feature in zip(labels, features, strict=True)
    ]


def distinct(names: list[str]) -> list[str]:
    """Tell names that occur twice apart, by their position."""
    n_times = Counter(names)
    return [f"{name} ({j})" if n_times[name] > 1 else name for j, name in enumerate(names)]


def _read_targets(core: Any, y: Any, units: Mapping[Hashable, str]) -> list[Target]:
    """Describe each column of y, and each array."""
    flat, shape = flat_table(y)
    whole, is_1d = target_frame(flat)
    frame, places, shapes = flat_cells(whole)
    labels: list[Any] = list(whole.columns)
    if is_1d:
        name = getattr(y, "name", None)
        labels = ["y" if name is None else name]
    elif not isinstance(y, pd.DataFrame):
        labels = [f"y{j}" for j in labels] if len(labels) > 1 else ["y"]
    names = distinct(_short_names(labels))
    owner = dict.fromkeys(range(len(labels)), 0)
    stages = stages_of(core)
    for k, (name, _, _) in enumerate(stages if hasattr(core, "stages_") else []):
        owner |= dict.fromkeys(core.targets_[name], k)
    targets = []
    for k, (stage_name, estimator, _) in enumerate(stages):
        own = [i for i, j in enumerate(places) if owner[j] == k]
        own_shape = _array_shape(
            estimator, len(own), shapes.get(places[own[0]], shape) if own else shape
        )
        if own_shape:
            name = "y" if stage_name is None else f"y of {stage_name}"
            values = frame.iloc[:, own].to_numpy(dtype=np.float64, na_value=np.nan)
            common = (name, _unit_of(name, units), k, stage_name)
            targets.append(Target(*common, None, {}, values, tuple(own), own_shape))
            continue
        for i in own:
            j = places[i]
            common = (names[j], _unit_of(labels[j], units), k, stage_name)
            values = frame.iloc[:, i]
            if is_classifier(core_of(estimator)):
                encoded = _encode_classes(values, core_of(estimator).classes_.tolist(), names[j])
                targets.append(Target(*common, *encoded, (i,)))
            else:
                numbers = as_floats(values.reset_index(drop=True))
                targets.append(Target(*common, None, {}, numbers, (i,)))
    return sorted(targets, key=lambda target: target.outputs[0])


def _array_shape(estimator: Any, n_outputs: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a target that is one array; ``()`` where its columns are by themselves.

    Parameters
    ----------
    estimator : estimator
        That predicts it.
    n_outputs : int
        Number of its columns.
    shape : tuple of int
        Of the rows of y, where it has more than two dimensions.
    """
    if shape:
        return shape
    block = getattr(core_of(estimator), "target_block", None)
    if block is None or n_outputs < 2:
        return ()
    own = getattr(block, "shape", None)
    return (n_outputs,) if own is None else tuple(own)


def _encode_classes(
    values: pd.Series, fitted: list[Any], name: str
) -> tuple[list[str], dict[Hashable, int], np.ndarray]:
    """Return the names of the classes that a target has, their positions, and each row's.

    Raises
    ------
    ValueError
        If it has none of the classes that the estimator was fitted to.
    """
    missing = pd.isna(values).to_numpy()
    known = values[~missing].tolist()
    labels = np.unique(np.asarray(known)).tolist()
    if known and not set(labels) & set(fitted):
        raise ValueError(
            f"The target {name!r} has none of the classes that the estimator was fitted to, which "
            f"are {short(fitted, 200)}; got {labels[0]!r} and others. Pass the y that it was "
            "fitted to."
        )
    codes = {value: code for code, value in enumerate(labels)}
    numbers = np.full(len(values), np.nan)
    numbers[~missing] = [codes[value] for value in known]
    return list(map(label_text, labels)), codes, numbers
