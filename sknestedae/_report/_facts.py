"""Facts about the data and the scores, as numbers; what is said of them stands elsewhere."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score

from .._table import row_keys
from ..plotting._base import core_of
from ._folds import HIGHER_IS_BETTER, LEARNT, MODEL, Evaluation, HeldOut
from ._task import Target, Task, stages_of

# Nominal shares of rows that intervals should hold.
NOMINAL = (0.5, 0.8, 0.9, 0.95)


class Replicates(NamedTuple):
    """Rows that are equal in all columns which a target may depend on.

    Parameters
    ----------
    n_rows : int
        Rows with a known target (without targets: all rows).
    n_distinct : int
        Distinct ones among them.
    n_repeated : int
        Rows that have an equal one.
    n_contradicting : int
        Rows that have an equal one with another target.
    leak : float
        Share of held-out rows that have an equal one among those learnt from, over all folds.
    floor, ceiling : float
        Of numbers the mean absolute error, and R², of the best function of these columns there
        can be on these rows; of classes its accuracy twice. NaN without replicates.
    """

    n_rows: int
    n_distinct: int
    n_repeated: int
    n_contradicting: int
    leak: float
    floor: float
    ceiling: float


def find_replicates(task: Task, evaluation: Evaluation, target: Target | None) -> Replicates:
    """Count rows that occur more than once, and what that means for scores."""
    known = np.ones(task.n_samples, dtype=bool) if target is None else target.known
    last = target.stage if target is not None and task.stage_names else None
    keys = row_keys(task.frame(last))
    rows = np.flatnonzero(known)
    _, group, size = np.unique(keys[rows], return_inverse=True, return_counts=True)
    is_held_out, is_known = 0, 0
    for train, test in evaluation.splits:
        held = test[known[test]]
        is_held_out += len(held)
        is_known += int(np.isin(keys[held], keys[train[known[train]]]).sum())
    leak = is_known / is_held_out if is_held_out else np.nan
    repeated = size[group] > 1
    n_contradicting, floor, ceiling = 0, np.nan, np.nan
    if target is not None and repeated.any():
        y = pd.Series(target.values[rows])
        grouped = y.groupby(group)
        n_contradicting = int((grouped.transform("nunique") > 1).sum())
        if target.classes is not None:
            best = grouped.transform(lambda part: part.mode().iloc[0])
            floor = ceiling = float(accuracy_score(y, best))
        else:
            floor = float(mean_absolute_error(y, grouped.transform("median")))
            if np.ptp(y.to_numpy()) > 0:
                ceiling = float(r2_score(y, grouped.transform("mean")))
    return Replicates(
        len(rows), len(size), int(repeated.sum()), n_contradicting, leak, floor, ceiling
    )


class Comparison(NamedTuple):
    """The model beside a baseline, by one metric.

    Parameters
    ----------
    metric, baseline : str
    model_score, baseline_score : float
        Means over folds.
    gain : float
        Mean over folds of how much better the model is; negative where it is worse.
    sd : float
        Standard deviation of the gain over folds; NaN of one fold.
    n_better, n_worse, n_folds : int
        Folds in which the model is better, or worse.
    """

    metric: str
    baseline: str
    model_score: float
    baseline_score: float
    gain: float
    sd: float
    n_better: int
    n_worse: int
    n_folds: int

    @property
    def verdict(self) -> int:
        """1 where the model is better by more than the folds differ, -1 where worse, else 0."""
        sd = 0.0 if np.isnan(self.sd) else self.sd
        return int(np.sign(self.gain)) if abs(self.gain) > sd else 0


def scores_of(evaluation: Evaluation, target: Target, model: str = MODEL) -> dict[str, pd.Series]:
    """Give the scores of a model by metric; a series over folds each."""
    scores = evaluation.scores
    own = scores[(scores["target"] == target.name) & (scores["model"] == model)]
    return {
        metric: part.set_index("fold")["score"]
        for metric, part in own.groupby("metric", sort=False)
    }


def baselines_of(evaluation: Evaluation, target: Target) -> list[str]:
    """Give the names of the baselines, from the simplest on."""
    scores = evaluation.scores
    names = scores.loc[scores["target"] == target.name, "model"].unique()
    return [name for name in names if name not in (MODEL, LEARNT)]


def compare(evaluation: Evaluation, target: Target) -> list[Comparison]:
    """Hold the model against each baseline, fold by fold."""
    own = scores_of(evaluation, target)
    comparisons = []
    for metric, values in own.items():
        sign = 1 if HIGHER_IS_BETTER[metric] else -1
        for name in baselines_of(evaluation, target):
            other = scores_of(evaluation, target, name)[metric]
            gain = (sign * (values - other)).dropna()
            if not len(gain):
                continue
            comparisons.append(
                Comparison(
                    metric,
                    name,
                    float(values[gain.index].mean()),
                    float(other[gain.index].mean()),
                    float(gain.mean()),
                    float(gain.std(ddof=1)) if len(gain) > 1 else np.nan,
                    int((gain > 0).sum()),
                    int((gain < 0).sum()),
                    len(gain),
                )
            )
    return comparisons


class Intervals(NamedTuple):
    """How many held-out rows lie within intervals around their prediction.

    Parameters
    ----------
    nominal : ndarray of shape (n_levels,)
        Share of rows that should.
    actual : ndarray of shape (n_levels,)
        Share of rows that do.
    half_width : ndarray of shape (n_levels,)
        In the target's unit, averaged over rows.
    inside : ndarray of bool, shape (n_levels, n_predictions)
        Which rows do.
    """

    nominal: np.ndarray
    actual: np.ndarray
    half_width: np.ndarray
    inside: np.ndarray


def residual_intervals(held_out: HeldOut) -> Intervals | None:
    """Take each fold's intervals from the residuals of the other folds.

    The half-width is the quantile of their absolute values, at the level that split-conformal
    prediction takes. None with one fold alone.
    """
    folds = np.unique(held_out.fold)
    if len(folds) < 2:
        return None
    residual = np.abs(held_out.truth - held_out.predicted)
    half = np.empty((len(NOMINAL), len(residual)))
    for fold in folds:
        is_own = held_out.fold == fold
        others = np.sort(residual[~is_own])
        for i, level in enumerate(NOMINAL):
            rank = min(int(np.ceil((len(others) + 1) * level)), len(others))
            half[i, is_own] = others[rank - 1]
    inside = residual <= half
    return Intervals(np.array(NOMINAL), inside.mean(axis=1), half.mean(axis=1), inside)


def spread_intervals(held_out: HeldOut) -> Intervals:
    """Take the prediction ± k standard deviations of the members, as if errors were Gaussian."""
    from scipy.stats import norm

    assert held_out.spread is not None
    residual = np.abs(held_out.truth - held_out.predicted)
    factors = np.array([1.0, 2.0, 3.0])
    half = factors[:, None] * held_out.spread
    inside = residual <= half
    nominal = 2 * norm.cdf(factors) - 1
    return Intervals(nominal, inside.mean(axis=1), half.mean(axis=1), inside)


class Reliability(NamedTuple):
    """How often the most probable class is right, against its probability.

    Parameters
    ----------
    confidence, accuracy, n_rows : ndarray of shape (n_bins,)
        Means over bins of about as many rows each, in the order of confidence.
    error : float
        Mean difference of the two, weighted by rows: the expected calibration error.
    excess : float
        Mean confidence less accuracy of all rows: positive where the model is too sure.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    n_rows: np.ndarray
    error: float
    excess: float


def reliability(held_out: HeldOut) -> Reliability | None:
    """Hold the probability of the predicted class against how often it is right."""
    if held_out.probability is None or not len(held_out.row):
        return None
    confidence = held_out.probability.max(axis=1)
    right = held_out.probability.argmax(axis=1) == held_out.truth
    n_bins = int(np.clip(len(right) // 20, 1, 10))
    parts = np.array_split(np.argsort(confidence, kind="stable"), n_bins)
    means = np.array([[confidence[p].mean(), right[p].mean(), len(p)] for p in parts])
    error = float(np.average(np.abs(means[:, 0] - means[:, 1]), weights=means[:, 2]))
    excess = float(confidence.mean() - right.mean())
    return Reliability(means[:, 0], means[:, 1], means[:, 2].astype(int), error, excess)


def reconstruction_table(task: Task, evaluation: Evaluation) -> pd.DataFrame:
    """Give errors of the reconstruction of each column, while its rows were held out.

    Returns
    -------
    DataFrame
        By position of the column: n, mae, r2, accuracy, majority (the share of the commonest
        category), pca (R² or accuracy of as many principal components).
    """
    rows: dict[int, dict[str, Any]] = {}
    for j, decoded in sorted(evaluation.decoded.items()):
        column = task.columns[j]
        use = column.measured & pd.notna(decoded)
        if not use.any():
            continue
        true, back = column.values[use].to_numpy(), decoded[use]
        row: dict[str, Any] = {"n": int(use.sum())}
        pca = evaluation.decoded_by_pca.get(j)
        linear = None if pca is None or pd.isna(pca[use]).any() else pca[use]
        if column.is_categorical:
            row["accuracy"] = float(np.mean(true == back))
            row["majority"] = float(pd.Series(true).value_counts(normalize=True).iloc[0])
            row["pca"] = np.nan if linear is None else float(np.mean(true == linear))
        else:
            row["mae"] = float(mean_absolute_error(true, back))
            if np.ptp(true) > 0:
                row["r2"] = float(r2_score(true, back))
                row["pca"] = np.nan if linear is None else float(r2_score(true, linear))
        rows[j] = row
    columns = ["n", "mae", "r2", "accuracy", "majority", "pca"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float)


def n_parameters(core: Any) -> list[tuple[str | None, int]]:
    """Give the number of weights and biases of each stage that is a network of ours."""
    found = []
    for name, estimator, _ in stages_of(core):
        net = getattr(core_of(estimator), "net_", None)
        if net is not None:
            found.append((name, sum(p.numel() for p in net.module_.parameters())))
    return found
