"""Out-of-fold predictions: what a stage predicts for its training rows without seeing them.

A network overfits some of its rows. A later stage that learnt from such predictions, or from the
measured values themselves, would trust them more than those of new rows deserve. So it is given
predictions of networks that were trained without the row, as in scikit-learn's StackingRegressor.
A Gaussian process needs none: its prediction of a new row is the mean of what would be measured.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GroupKFold

from .._notices import Notices
from .._tables._measured import MeasuredValues, material_keys
from .._tables._missing import take_rows
from .._tables._staged import StagedTable
from .._training._concurrent import run_concurrently
from ._head import Passed
from ._passing import PassedOn, as_columns, take_columns
from ._refinement import StageData
from ._stages import Stage, fit_stage, heads_of, predict_stage

_N_FOLDS = 5


def learn_out_of_fold(
    stage: Stage,
    table: StagedTable,
    data: StageData,
    rows: np.ndarray,
    later: np.ndarray,
    given: Passed | None,
    passed: PassedOn,
) -> MeasuredValues | None:
    """Predict, out of fold, the targets that a fitted stage passes on for its training rows.

    Parameters
    ----------
    stage : Stage
        Fitted.
    table : StagedTable
    data : StageData
        The data that it was trained on.
    rows, later : ndarray of int
        The rows that it was trained on, and those that later stages are.
    given : Passed or None
        The values of earlier stages that it had beside its table, for its rows.
    passed : PassedOn
        The values of it that a later stage has.

    Returns
    -------
    MeasuredValues or None
        By what the rows are: of none, where no row of later stages is among those of this one,
        whose predictions then are such already. None where a Gaussian process predicts, a fitted
        stage was frozen, or all rows are one material.
    """
    if None not in heads_of(stage) or isinstance(stage.estimator, FrozenEstimator):
        return None
    keys, _ = material_keys(take_columns(table.X, passed.identity, rows))
    wanted, _ = material_keys(take_columns(table.X, passed.identity, later))
    n_folds = min(_N_FOLDS, len(np.unique(keys)))
    if n_folds < 2:
        return None
    if not np.isin(keys, wanted).any():
        return MeasuredValues(keys[:0], np.empty((0, 1)))  # one column: for all outputs, nothing
    folds = list(GroupKFold(n_folds).split(keys, groups=keys))
    fits = [partial(_predict_fold, stage, data, given, *fold) for fold in folds]
    found = None
    for task, (_, test) in zip(run_concurrently(fits), folds, strict=True):
        if task.error is not None:
            raise task.error
        if task.value is not None:
            if found is None:
                found = np.full((len(rows), task.value.shape[1]), np.nan)
            found[test] = task.value
    if found is None:
        return None
    return MeasuredValues.of(take_columns(table.X, passed.identity, rows), found)


def _predict_fold(
    stage: Stage, data: StageData, given: Passed | None, train: np.ndarray, test: np.ndarray
) -> np.ndarray | None:
    """Fit a stage anew to some of its rows, and predict others; None without enough labels."""
    y = np.asarray(data.y)
    known = ~pd.isna(pd.DataFrame(y)).any(axis=1).to_numpy()
    labels = pd.unique(y[train[known[train]]]) if is_classifier(stage.estimator) else []
    if known[train].sum() < 2 or (is_classifier(stage.estimator) and len(labels) < 2):
        return None
    fold = stage._replace(estimator=clone(stage.estimator))
    part = StageData(
        [take_rows(data.tables[0], train)],
        y[train],
        None if data.sample_weight is None else data.sample_weight[train],
    )
    beside = None if given is None else given.take(test)
    with Notices({}):  # a fold lacks categories that the table has: that is no news for the user
        fit_stage(fold.estimator, part, None if given is None else given.take(train))
        values = predict_stage(fold, take_rows(data.tables[0], test), beside, as_labels=False)
    if not is_classifier(stage.estimator):
        return as_columns(values)
    whole = np.zeros((len(test), len(stage.estimator.classes_)))
    whole[:, np.isin(stage.estimator.classes_, fold.estimator.classes_)] = values
    return whole
