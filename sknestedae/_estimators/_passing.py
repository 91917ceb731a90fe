"""The columns, and the predicted or measured targets, that a stage passes on beside its latents.

It goes to the predictor of a later stage, where that is a Gaussian process, and to nothing else:
latents, decoders and completion are those of the paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator

from .._notices import notice
from .._tables._measured import MeasuredValues, count_mixed, material_keys
from .._tables._missing import take_rows
from .._tables._staged import StagedTable, StageTargets
from .._tables._target import NumericTarget
from ..exceptions import MaterialKeyWarning
from ._base import BaseSupervisedAutoencoder
from ._fitted import fitted_part
from ._head import DenseValues, Passed
from ._stages import (
    Stage,
    as_fitted,
    encode_stage,
    latents_of,
    predict_stage,
    predict_with_std,
)
from ._supervised import SupervisedAutoencoder
from ._unwrap import innermost, unfrozen


class StageInput(NamedTuple):
    """A stage with its inputs: its table, and the values that earlier stages pass on.

    Parameters
    ----------
    stage : Stage
    table : DataFrame or ndarray of shape (n_samples, n_columns)
        Its own columns, and the latents of the stage before.
    passed : Passed or None
        The values of earlier stages that its predictor has beside them.
    """

    stage: Stage
    table: Any
    passed: Passed | None


@dataclass(frozen=True)
class PassedOn:
    """The columns and the prediction that a stage's predictor has from the stages before it.

    Parameters
    ----------
    columns : dict of int to list of int
        Positions of its own columns, by position of an earlier stage.
    source : int or None
        Position of the stage whose prediction is passed on.
    identity : list of int
        Columns of X that identify a material, to find its measured value at that stage.
    by_key : bool
        Whether this is one column that names materials.
    measured : MeasuredValues or None
        The values measured there; None before they are known, and without a source.
    """

    columns: dict[int, list[int]]
    source: int | None
    identity: list[int]
    by_key: bool
    measured: MeasuredValues | None = None

    def to_state(self) -> dict[str, Any]:
        """Return plain values."""
        measured = None if self.measured is None else self.measured.to_state()
        return {**vars(self), "measured": measured}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> PassedOn:
        """Make the object from the state of ``to_state``."""
        measured = state["measured"]
        measured = None if measured is None else MeasuredValues(**measured)
        return cls(**{**state, "measured": measured})


# ---------------------------------------------------------------------------------------------
# Before the training


def plan_passing(
    stages: list[Stage],
    target: StageTargets,
    passthrough: bool | str,
    key: int | None,
) -> list[PassedOn | None]:
    """Plan the values that each stage's predictor has from the stages before; None for none.

    Parameters
    ----------
    stages : list of Stage
        Configured.
    target : StageTargets
    passthrough : bool or "auto"
        As the chain has it.
    key : int or None
        Column of X that names materials; None where their columns tell.

    Raises
    ------
    ValueError
        With ``passthrough=True``, if a stage cannot be passed anything.
    """
    plan: list[PassedOn | None] = [None]
    for k, stage in enumerate(stages[1:], 1):
        wanted = passthrough is not False and bool(target.columns[stage.name])
        if not wanted or not _can_take(stage.estimator):
            if wanted and passthrough is True:
                raise ValueError(_cannot_take(stage))
            plan.append(None)
            continue
        sources = [j for j in range(k) if target.holds_scalars(stages[j].name)]
        if passthrough is True and not sources:
            raise ValueError(
                f"The 'passthrough' parameter is True, but no stage before {stage.name!r} has a "
                "target of numbers or classes, so that there is no prediction to pass on."
            )
        passed = _passed_to(stages, k, sources[-1] if sources else None, key)
        plan.append(passed if passed.columns or sources else None)
    return plan


def _can_take(estimator: Any) -> bool:
    if isinstance(estimator, FrozenEstimator):  # it is given what it was fitted with
        found = unfrozen(estimator)
        if not isinstance(found, SupervisedAutoencoder) or not found.__sklearn_is_fitted__():
            return False
        head = fitted_part(found).head
        return head is not None and head.n_passed > 0
    return isinstance(estimator, SupervisedAutoencoder) and estimator.predictor != "network"


def check_frozen(stage: Stage, passed: Passed | None) -> None:
    """Refuse to pass values on to a frozen stage that was fitted with others."""
    if not isinstance(stage.estimator, FrozenEstimator) or passed is None:
        return
    head, n_passed = fitted_part(unfrozen(stage.estimator)).head, passed.values.shape[1]
    if head is not None and head.n_passed != n_passed:
        raise ValueError(
            f"Stage {stage.name!r} is frozen, and was fitted with {head.n_passed} values that the "
            f"stages before it passed on; this chain passes {n_passed} on."
        )


def _cannot_take(stage: Stage) -> str:
    estimator = stage.estimator
    what = f"is a {type(estimator).__name__}"
    if isinstance(estimator, SupervisedAutoencoder):
        what = "has predictor='network'"
    return (
        "The 'passthrough' parameter is True, but only a Gaussian process takes the values that "
        f"are passed on, and stage {stage.name!r} {what}: give it a SupervisedAutoencoder with "
        "predictor='gaussian_process' or 'auto'."
    )


def _passed_to(stages: list[Stage], k: int, source: int | None, key: int | None) -> PassedOn:
    """Plan the values that one stage has: each column once, and not its own ones."""
    taken, columns = set(stages[k].columns), {}
    for j, earlier in enumerate(stages[:k]):
        if isinstance(_autoencoder_in(earlier), BaseSupervisedAutoencoder):
            new = [i for i, column in enumerate(earlier.columns) if column not in taken]
            taken |= {earlier.columns[i] for i in new}
            if new:
                columns[j] = new
    identity: list[int] = []
    if source is not None:
        known = {column for earlier in stages[: source + 1] for column in earlier.columns}
        identity = sorted(known) if key is None else [key]
    return PassedOn(columns, source, identity, key is not None)


def _autoencoder_in(stage: Stage) -> Any:
    """Return the autoencoder of a stage, out of its search or frozen estimator."""
    found = unfrozen(innermost(unfrozen(stage.estimator), steps=False))
    # before the fit, a search (which can refit) has no best estimator yet
    return found.estimator if hasattr(found, "refit") else found


# ---------------------------------------------------------------------------------------------
# Row by row


class PassedRows:
    """The values that are passed on, gathered stage by stage while rows go up the chain.

    Parameters
    ----------
    table : StagedTable
    plan : list of {PassedOn, None}
        For each stage.
    with_std : bool, default=False
        Whether standard deviations are gathered, too. They take as long as all else.
    known : dict of int to ndarray of shape (n_samples, n_outputs), optional
        In training, the measured targets of the rows themselves, by stage; NaN where missing.
    unseen : dict of int to MeasuredValues, optional
        In training, out-of-fold predictions, by stage. They replace all known values of a row,
        since those of new rows are no better.

    Attributes
    ----------
    predictions : dict of int to ndarray of shape (n_samples, n_outputs)
        Of the stages that pass a prediction on: the measured values where there are any.
    is_measured : dict of int to ndarray of bool, of the same shape
    stds : dict of int to ndarray, of the same shape
        Standard deviations of the predictions; 0 where they were measured, or are not known; NaN
        where they are not gathered.
    """

    def __init__(
        self,
        table: StagedTable,
        plan: list[PassedOn | None],
        *,
        with_std: bool = False,
        known: dict[int, np.ndarray] | None = None,
        unseen: dict[int, MeasuredValues] | None = None,
    ) -> None:
        self.table = table
        self.plan = plan
        self.with_std = with_std
        self.known = {} if known is None else known
        self.unseen = {} if unseen is None else unseen
        self.predictions: dict[int, np.ndarray] = {}
        self.is_measured: dict[int, np.ndarray] = {}
        self.stds: dict[int, np.ndarray] = {}
        self._values: dict[tuple[int, int], np.ndarray] = {}
        self._is_number: dict[tuple[int, int], np.ndarray] = {}
        self._units: dict[int, np.ndarray | None] = {}

    def of_rows(self, rows: np.ndarray) -> PassedRows:
        """Return a new object for some rows, with the same plan and nothing gathered yet."""
        known = {k: values[rows] for k, values in self.known.items()}
        return PassedRows(self.table.take(rows), self.plan, known=known, unseen=self.unseen)

    def learn(
        self,
        k: int,
        known: np.ndarray,
        unseen: MeasuredValues | None,
        rows_of: list[np.ndarray],
    ) -> None:
        """Store the measured targets of a stage, before the values that it passes on are added.

        Parameters
        ----------
        k : int
        known : ndarray of shape (n_samples, n_outputs)
            Measured targets of the rows themselves; NaN where missing.
        unseen : MeasuredValues or None
            Out-of-fold predictions, where they are needed.
        rows_of : list of ndarray of int
            The rows that each stage is trained on.
        """
        self.plan = learn_measured(self.plan, k, self.table, known, rows_of)
        self.known[k] = known
        if unseen is not None:
            self.unseen[k] = unseen

    def to(self, k: int, stage: Stage, rows: Any = slice(None)) -> Passed | None:
        """Return the inputs that a stage's predictor has beside its table, for some rows."""
        own = self.plan[k]
        if own is None:
            return None
        empty = np.empty((len(self.table), 0))
        values = [empty, *(self._values[j, k] for j in own.columns)]
        is_number = [self._is_number[j, k] for j in own.columns]
        std, unit = empty, None
        if own.source is not None:
            predicted = self.predictions[own.source]
            values.append(predicted)
            is_number.append(np.full(predicted.shape[1], True))
            std, unit = self.stds[own.source], self._units[own.source]
        n_own = len(stage.columns)
        return Passed(np.hstack(values), np.concatenate(is_number), std, n_own, unit).take(rows)

    def add(self, k: int, stage: Stage, own: Any, rows: Any = slice(None)) -> None:
        """Add the values that a fitted stage passes on, for some rows.

        Parameters
        ----------
        k : int
        stage : Stage
        own : DataFrame or ndarray of shape (n_rows, n_columns)
            The stage's table of these rows.
        rows : ndarray of int or slice
            Which rows of the table they are.
        """
        columns = {
            later: passed.columns[k]
            for later, passed in enumerate(self.plan)
            if passed is not None and k in passed.columns
        }
        if columns:
            self._add_columns(k, stage, own, rows, columns)
        # all later stages with this source know materials by the same columns
        passed = next((passed for passed in self.plan if passed and passed.source == k), None)
        if passed is not None:
            self._add_predictions(k, stage, own, rows, passed)

    def _add_columns(
        self, k: int, stage: Stage, own: Any, rows: Any, columns: dict[int, list[int]]
    ) -> None:
        """Add some of a stage's own columns to the later stages that have them as inputs."""
        estimator = _autoencoder_in(stage)
        fitted = fitted_part(estimator)
        checked = estimator._check_X(as_fitted(stage.estimator, own), reset=False)
        encoded = fitted.encode(checked)
        for later, wanted in columns.items():
            dense = DenseValues.of(fitted.table, wanted)
            self._values[k, later] = self._spread(dense.gather(encoded), rows)
            self._is_number[k, later] = dense.is_number

    def _add_predictions(
        self, k: int, stage: Stage, own: Any, rows: Any, passed: PassedOn
    ) -> None:
        """Add a stage's predictions, or its measured targets."""
        beside = self.to(k, stage, rows)
        if self.with_std:
            found, of_found = predict_with_std(stage, own, beside)
            predicted = as_columns(found)
            std = np.zeros_like(predicted) if of_found is None else as_columns(of_found)
        else:
            predicted = as_columns(predict_stage(stage, own, beside, as_labels=False))
            std = np.full_like(predicted, np.nan)
        measured = np.full_like(predicted, np.nan)
        materials = take_columns(self.table.X, passed.identity, rows)
        if k in self.unseen:
            out_of_fold = self.unseen[k].find(materials)
            predicted = np.where(np.isnan(out_of_fold), predicted, out_of_fold)
        else:
            if passed.measured is not None:
                measured = passed.measured.find(materials)
            if k in self.known:
                known = self.known[k][rows]
                measured = np.where(np.isnan(known), measured, known)
        self._units[k] = _unit_of_array(stage)
        is_measured = ~np.isnan(measured)
        self.is_measured[k] = self._spread(is_measured, rows)
        self.predictions[k] = self._spread(np.where(is_measured, measured, predicted), rows)
        self.stds[k] = self._spread(np.where(is_measured, 0.0, std), rows)

    def _spread(self, values: np.ndarray, rows: Any) -> np.ndarray:
        """Spread values of some rows to all rows, with NaN, or False, for the others."""
        if isinstance(rows, slice):
            return values
        empty = False if values.dtype == bool else np.nan
        whole = np.full((len(self.table), values.shape[1]), empty)
        whole[rows] = values
        return whole


def _unit_of_array(stage: Stage) -> np.ndarray | None:
    """Return the number that a stage's target is divided by, if it is one array; else None."""
    estimator = _autoencoder_in(stage)
    if not isinstance(estimator, SupervisedAutoencoder):
        return None
    target = fitted_part(estimator).target
    if not isinstance(target, NumericTarget) or not target.layout.shape:
        return None
    return target.affine()[1]


def iter_inputs(stages: list[Stage], gathered: PassedRows) -> Iterator[StageInput]:
    """Send a table through fitted stages; yield each with its table and the values passed to it.

    Parameters
    ----------
    stages : list of Stage
        Fitted.
    gathered : PassedRows
        Of the table. It takes in all that the stages pass on.
    """
    latents, table = None, gathered.table
    for k, stage in enumerate(stages):
        own = table.stage(k, latents)
        yield StageInput(stage, own, gathered.to(k, stage))
        if k + 1 < len(stages):
            gathered.add(k, stage, own)
            latents = latents_of(stage, encode_stage(stage.estimator, own, table.seen(k)))


def describe_passed(
    table: StagedTable, stages: list[Stage], plan: list[PassedOn | None]
) -> pd.DataFrame:
    """Make the table of the predictions that are passed on, and whether they were measured.

    Returns
    -------
    DataFrame of shape (n_samples, 3 * n_predictions)
        With columns of two levels: the stage, with the number of its output where it has several;
        and "value", "std" and "measured".
    """
    gathered = PassedRows(table, plan, with_std=True)
    for _ in iter_inputs(stages, gathered):
        pass
    columns: dict[tuple[str, str], np.ndarray] = {}
    for k, values in gathered.predictions.items():
        n_outputs = values.shape[1]
        for i in range(n_outputs):
            name = stages[k].name if n_outputs == 1 else f"{stages[k].name}[{i}]"
            columns[name, "value"] = values[:, i]
            columns[name, "std"] = gathered.stds[k][:, i]
            columns[name, "measured"] = gathered.is_measured[k][:, i]
    labels = pd.MultiIndex.from_tuples(list(columns), names=["stage", None])
    if not columns:
        labels = pd.MultiIndex.from_arrays([[], []], names=["stage", None])
    frame = pd.DataFrame(dict(enumerate(columns.values())), index=table.row_labels)
    return frame.set_axis(labels, axis=1)


def learn_measured(
    plan: list[PassedOn | None],
    k: int,
    table: StagedTable,
    known: np.ndarray,
    rows_of: list[np.ndarray],
) -> list[PassedOn | None]:
    """Return the plan with the measured targets of a stage, if the stage passes them on.

    Parameters
    ----------
    plan : list of {PassedOn, None}
    k : int
        Position of the stage.
    table : StagedTable
    known : ndarray of shape (n_samples, n_outputs)
        NaN where nothing was measured.
    rows_of : list of ndarray of int
        The rows that each stage is trained on.

    Returns
    -------
    list of {PassedOn, None}

    Warns
    -----
    MaterialKeyWarning
        If a key finds no measured row, or rows that differ.
    """
    learnt = list(plan)
    rows = np.flatnonzero(~np.isnan(known).all(axis=1))
    for later, passed in enumerate(plan):
        if passed is not None and passed.source == k:
            measured = MeasuredValues.of(take_columns(table.X, passed.identity, rows), known[rows])
            learnt[later] = replace(passed, measured=measured)
            if passed.by_key:
                found = measured.find(take_columns(table.X, passed.identity, rows_of[later]))
                _doubt_key(table, k, later, passed, rows, found)
    return learnt


def _doubt_key(
    table: StagedTable,
    k: int,
    later: int,
    passed: PassedOn,
    rows: np.ndarray,
    found: np.ndarray,
) -> None:
    """Warn of a key that finds nothing, or rows whose columns differ.

    Parameters
    ----------
    table : StagedTable
    k, later : int
        Positions of the stage that passes on, and of the one that is given this.
    passed : PassedOn
    rows : ndarray of int
        Those with a known target at the first.
    found : ndarray of shape (n_rows, n_outputs)
        Measured targets of the rows that the later stage is trained on; NaN if unknown.
    """
    key, names = table.labels.name(passed.identity[0]), list(table.columns)
    if np.isnan(found).all():
        notice(
            f"No row of stage {names[later]!r} shares its value of the key {key} with a row of "
            f"stage {names[k]!r} that has a known target: a prediction is passed on in all "
            f"{len(found)} rows, never a measured value.",
            MaterialKeyWarning,
        )
    keys, is_whole = material_keys(take_columns(table.X, passed.identity, rows))
    own = sorted({j for name in names[: k + 1] for j in table.columns[name]})
    n_mixed = count_mixed(keys[is_whole], take_columns(table.X, own, rows[is_whole]))
    if n_mixed:
        values = "1 value that stands" if n_mixed == 1 else f"{n_mixed} values that stand"
        notice(
            f"The key {key} has {values} for rows of stage {names[k]!r} whose "
            "columns differ: the mean of their targets is passed on.",
            MaterialKeyWarning,
        )


def measured_targets(stage: Stage, target: StageTargets) -> np.ndarray:
    """Return a stage's target in the form of its prediction; NaN where it was not measured.

    Returns
    -------
    ndarray of shape (n_samples, n_outputs)
        Of classes, one column each.

    Raises
    ------
    ValueError
        If a number is infinite, be it in a row that the stage is not trained on.
    """
    assert target.frame is not None
    frame = target.frame.iloc[:, target.columns[stage.name]]
    if not is_classifier(stage.estimator):
        values = frame.astype(np.float64).to_numpy()
        infinite = np.isinf(values).any(axis=1)
        if infinite.any():
            raise ValueError(
                "y contains infinity or a value too large for float64 (first in row "
                f"{infinite.argmax()}); a value must be finite, or NaN where it was not measured."
            )
        return values
    labels = frame.iloc[:, 0].astype(object)
    labels = labels.where(labels.notna(), None)  # pd.NA is equal to nothing, and not unequal
    is_class = labels.to_numpy()[:, None] == stage.estimator.classes_.astype(object)[None, :]
    return np.where(labels.isna().to_numpy()[:, None], np.nan, is_class.astype(np.float64))


def as_columns(values: np.ndarray) -> np.ndarray:
    """Return predictions of one dimension as a column."""
    return np.asarray(values, dtype=np.float64).reshape(len(values), -1)


def take_columns(X: pd.DataFrame | np.ndarray, columns: list[int], rows: Any) -> Any:
    """Return some columns of some rows of a table."""
    part = X.iloc[:, columns] if isinstance(X, pd.DataFrame) else X[:, columns]
    return part if isinstance(rows, slice) else take_rows(part, rows)
