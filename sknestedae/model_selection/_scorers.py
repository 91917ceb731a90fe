"""Scorers of one stage of a chain, and of translations between kinds of data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from .._estimators._unwrap import innermost, steps_before
from .._persistence import public
from .._tables._cells import holds_arrays
from .._tables._input import check_same_rows, read_table
from .._tables._target import stack_target, target_frame


def stage_scorer(metric, stage, *, greater_is_better=True, **kwargs):
    """Make a scorer for the target of one stage of a chain.

    Parameters
    ----------
    metric : callable
        ``metric(y_true, y_pred, **kwargs)``, such as those of :mod:`sklearn.metrics`. Given
        ``sample_weight`` as well, where the scorer is.
    stage : str or int
        Name or position of the stage.
    greater_is_better : bool, default=True
        Whether a larger value is better. If not, the score is the negative of the metric.
    **kwargs : dict
        Further arguments of the metric.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y)``, for the ``scoring`` of a search or a cross-validation. The
        estimator is a fitted :class:`NestedAutoencoder`, or a pipeline or search that ends in one.

    Raises
    ------
    TypeError
        If ``metric`` is not callable. The scorer raises it for another kind of estimator, and a
        ValueError if there is no such stage, or no measured row of its target.

    Examples
    --------
    >>> from sklearn.metrics import mean_absolute_error
    >>> from sklearn.model_selection import cross_val_score
    >>> from sknestedae import NestedAutoencoder, ScaleKFold, stack_scales, stage_scorer
    >>> from sknestedae.datasets import make_nested_functions
    >>> X, y = stack_scales(*make_nested_functions(60, random_state=0, return_X_y=True))
    >>> error = stage_scorer(mean_absolute_error, "scale0", greater_is_better=False)
    >>> nae = NestedAutoencoder(max_iter=5, random_state=0)
    >>> cross_val_score(nae, X, y, scoring=error, cv=ScaleKFold(3, shuffle=True)).shape
    (3,)
    """
    if not callable(metric):
        raise TypeError(f"metric must be callable, got {metric!r}.")
    return StageScorer(metric, stage, 1 if greater_is_better else -1, kwargs)


@public("sknestedae.model_selection")
class StageScorer:
    """Scorer for the target of one stage, made by ``stage_scorer``.

    Parameters
    ----------
    metric : callable
    stage : str or int
    sign : {1, -1}
    kwargs : dict
        Further arguments of the metric.
    """

    def __init__(
        self, metric: Callable[..., float], stage: str | int, sign: int, kwargs: dict[str, Any]
    ) -> None:
        self.metric = metric
        self.stage = stage
        self.sign = sign
        self.kwargs = kwargs

    def __repr__(self) -> str:
        metric = getattr(self.metric, "__name__", repr(self.metric))
        sign = "" if self.sign > 0 else ", greater_is_better=False"
        return f"stage_scorer({metric}, {self.stage!r}{sign})"

    def __call__(self, estimator: Any, X: Any, y_true: Any, sample_weight: Any = None) -> float:
        """Score the predictions of a fitted estimator."""
        columns = _target_columns(innermost(estimator), self.stage)
        truth, _ = target_frame(y_true)
        check_same_rows(read_table(X), y=truth)
        predicted = estimator.predict(X)
        if truth.shape[1] == 1 and holds_arrays(truth.iloc[:, 0]):
            predicted = pd.Series(list(predicted))  # spectra have two dimensions, as columns have
        prediction, _ = target_frame(predicted)
        check_consistent_length(truth, prediction)
        truth = _of_stage(truth, columns, prediction.shape[1], self.stage)
        prediction = prediction.iloc[:, columns].infer_objects()
        known = truth.notna().all(axis=1).to_numpy()
        if not known.any():
            raise ValueError(
                f"The target of stage {self.stage!r} has no measured row to score with; all "
                f"{len(known)} are missing."
            )
        kwargs = dict(self.kwargs)
        if sample_weight is not None:
            kwargs["sample_weight"] = np.asarray(sample_weight)[known]
        values = [_plain(frame[known].infer_objects()) for frame in (truth, prediction)]
        return self.sign * self.metric(*values, **kwargs)


def translation_scorer(source, target):
    """Make a scorer for the translation of one kind of data to another.

    Parameters
    ----------
    source, target : str
        Names of kinds.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)``, for the ``scoring`` of a search or a cross-validation: R²
        over the rows that have both kinds, as
        :meth:`~sknestedae.DualAutoencoder.translation_score` has it. The estimator is a fitted
        :class:`~sknestedae.DualAutoencoder`, or a pipeline or search that ends in one.

    Raises
    ------
    TypeError
        The scorer raises it for another kind of estimator, and a ValueError if there is no such
        kind, or no row that has both.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import cross_val_score
    >>> from sknestedae import DualAutoencoder, translation_scorer
    >>> from sknestedae.blocks import DenseBlock
    >>> X = np.random.default_rng(0).normal(size=(60, 1)) * [1, 2, -1]
    >>> kinds = [("a", DenseBlock(), [0]), ("b", DenseBlock(), [1, 2])]
    >>> dual = DualAutoencoder(1, blocks=kinds, max_iter=60, random_state=0)
    >>> scores = cross_val_score(dual, X, scoring=translation_scorer("a", "b"), cv=3)
    >>> bool(scores.min() > 0.9)
    True
    """
    return TranslationScorer(source, target)


@public("sknestedae.model_selection")
class TranslationScorer:
    """Scorer for translations between kinds of data, made by ``translation_scorer``.

    Parameters
    ----------
    source, target : str
        Names of kinds.
    """

    def __init__(self, source: str, target: str) -> None:
        self.source = source
        self.target = target

    def __repr__(self) -> str:
        return f"translation_scorer({self.source!r}, {self.target!r})"

    def __call__(self, estimator: Any, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Score the translations of a fitted estimator; y is ignored."""
        dual = innermost(estimator)
        check_is_fitted(dual)
        if not hasattr(dual, "translation_score"):
            raise TypeError(
                "translation_scorer needs a DualAutoencoder, or a pipeline or search that ends in "
                f"one; got {type(dual).__name__}."
            )
        for step in steps_before(estimator):
            X = step.transform(X)
        return dual.translation_score(X, self.source, self.target, sample_weight)


def _plain(frame: pd.DataFrame) -> np.ndarray:
    """Return columns without missing entries as an array, of one dimension if there is one.

    Of a column whose cells hold arrays, one with a column for each of their numbers.
    """
    arrays = stack_target(frame)
    if isinstance(arrays, np.ndarray):
        return arrays.reshape(len(arrays), -1)
    columns = [np.asarray(frame.iloc[:, j].tolist()) for j in range(frame.shape[1])]
    return columns[0] if len(columns) == 1 else np.column_stack(columns)


def _of_stage(truth: pd.DataFrame, columns: list[int], n_targets: int, stage: Any) -> pd.DataFrame:
    """Return a stage's columns of y, which holds all targets or those of the last stage alone."""
    if truth.shape[1] == n_targets:
        return truth.iloc[:, columns]
    if truth.shape[1] == len(columns) and columns[-1] == n_targets - 1:
        return truth
    raise ValueError(
        f"y must have the {n_targets} targets of the chain as columns, or those of its last stage "
        f"alone; to score stage {stage!r}, it got {truth.shape[1]}. With a table and a target "
        "for each scale: X, y = stack_scales(X_list, y_list)."
    )


def _target_columns(estimator: Any, stage: str | int) -> list[int]:
    """Return the columns of y that belong to a stage."""
    check_is_fitted(estimator)
    if not hasattr(estimator, "targets_"):
        raise TypeError(
            "stage_scorer needs a NestedAutoencoder, or a pipeline or search that ends in one; "
            f"got {type(estimator).__name__}."
        )
    names = list(estimator.targets_)
    if isinstance(stage, int) and -len(names) <= stage < len(names):
        stage = names[stage]
    if stage not in names:
        raise ValueError(f"There is no stage {stage!r}; the stages are {names}.")
    if not estimator.targets_[stage]:
        raise ValueError(f"Stage {stage!r} was fitted without a target.")
    return estimator.targets_[stage]
