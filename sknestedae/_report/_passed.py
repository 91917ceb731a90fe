"""The predictor of each stage, the values passed on to it, and its standard deviation."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from sklearn.pipeline import make_pipeline

from .._compat import safe_indexing
from .._estimators._nested import std_of_scale
from .._estimators._unwrap import innermost, steps_before
from ..plotting._base import core_of
from ._task import Target, Task, stages_of


class Predictor(NamedTuple):
    """The predictor of a stage's target: a network or a Gaussian process.

    Parameters
    ----------
    kind : {"network", "gaussian_process"}
    score : float
        R² of the Gaussian process by leave-one-out, in the rows it was fitted to; NaN of a
        network.
    """

    kind: str
    score: float

    @property
    def is_process(self) -> bool:
        """Return whether it is a Gaussian process."""
        return self.kind == "gaussian_process"


def find_predictors(estimator: Any) -> dict[int, Predictor]:
    """Return the predictor of each stage, by its position, for stages that can have either.

    Parameters
    ----------
    estimator : estimator
        Fitted; a pipeline or search that ends in an autoencoder or a chain, too.
    """
    core = innermost(estimator)
    found = {}
    for k, (name, stage, _) in enumerate(stages_of(core)):
        own = core_of(stage)
        has_target = name is None or bool(core.targets_[name])
        if has_target and hasattr(own, "predictor_"):
            found[k] = Predictor(own.predictor_, getattr(own, "leave_one_out_score_", np.nan))
    return found


def std_of_process(estimator: Any, stage: int, X: Any) -> np.ndarray | None:
    """Return the standard deviation of a stage's process, of shape (n_samples, n_outputs).

    None where it does not give one, as in a stage that is a pipeline.
    """
    core, X = innermost(estimator), _behind_steps(estimator, X)
    if hasattr(core, "stages_"):
        std = std_of_scale(core, X, stage)
    else:
        std = core.predict(X, return_std=True)[1]
    return None if std is None else np.reshape(std, (len(std), -1))


def measured_or_predicted(
    task: Task, target: Target, estimator: Any, rows: np.ndarray
) -> np.ndarray | None:
    """Return whether the values passed on to a target's predictor were measured or predicted.

    Returns
    -------
    ndarray of float, shape (n_rows,), or None
        1 for a measured value, 0 for a predicted one, NaN for nothing; None without a stage
        before.
    """
    if not target.stage:
        return None
    nothing = np.full(len(rows), np.nan)
    found = find_predictors(estimator).get(target.stage)
    if found is None or not found.is_process:
        return nothing
    passed = innermost(estimator).passed_on(_behind_steps(estimator, safe_indexing(task.X, rows)))
    for name in reversed(task.stage_names[: target.stage]):
        # the last stage before that passes on; of several outputs each has its number
        own = re.compile(re.escape(name) + r"(\[\d+\])?")
        labels = [c for c in passed.columns if c[1] == "measured" and own.fullmatch(c[0])]
        if labels:
            return passed[labels].to_numpy(dtype=bool).all(axis=1).astype(float)
    return nothing


def _behind_steps(estimator: Any, X: Any) -> Any:
    """Send a table through the steps that stand before the autoencoder or chain."""
    steps = steps_before(estimator)
    return make_pipeline(*steps).transform(X) if steps else X
