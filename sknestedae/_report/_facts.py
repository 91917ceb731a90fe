"""Facts about the data and the scores, as numbers; the sentences about them are elsewhere."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score

from .._tables._splits import row_keys
from ..plotting._arrays import pooled_r2
from ..plotting._base import core_of
from ._folds import HIGHER_IS_BETTER, LEARNT, MODEL, Evaluation, HeldOut
from ._task import Column, Target, Task, stages_of

# Nominal shares of rows that prediction intervals should hold.
NOMINAL = (0.5, 0.8, 0.9, 0.95)
# Significance level of the test that says which of two models is better.
LEVEL = 0.05
# Scores that differ by less, relative to their size, are equal: a network's numbers have 24 bits.
_ROUNDING = 8 * float(np.finfo(np.float32).eps)
# Fewer consecutive integers may well be a property.
_FEWEST_COUNTED = 10


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
        Share of held-out rows that have an equal one among the training rows, over all folds.
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
    """Count rows that occur more than once, and the bounds that this puts on scores."""
    known = np.ones(task.n_samples, dtype=bool) if target is None else target.known
    last = target.stage if target is not None and task.stage_names else None
    keys = row_keys(task.frame(last))  # a target depends on the columns up to its stage
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
        y = pd.DataFrame(target.values[rows].reshape(len(rows), -1))
        grouped = y.groupby(group)
        n_contradicting = int((grouped.transform("nunique") > 1).any(axis=1).sum())
        if target.classes is not None:
            y, grouped = y[0], grouped[0]
            best = grouped.transform(lambda part: part.mode().iloc[0])
            floor = ceiling = float(accuracy_score(y, best))
        else:
            # of all functions of these columns, the group's median has the least absolute error,
            # and its mean the least squared one
            median, mean = (grouped.transform(kind).to_numpy() for kind in ("median", "mean"))
            floor = float(np.nanmean(np.abs(y.to_numpy() - median)))
            ceiling = pooled_r2(y.to_numpy(), mean)
    return Replicates(
        len(rows), len(size), int(repeated.sum()), n_contradicting, leak, floor, ceiling
    )


class Comparison(NamedTuple):
    """The model beside a baseline, by the leading metric of a target.

    Parameters
    ----------
    metric, baseline : str
    model_score, baseline_score : float
        Means over folds.
    gain : float
        Mean over folds of how much better the model is; negative where it is worse.
    low, high : float
        Ends of its interval, see :func:`interval_of_gain`.
    n_better, n_worse, n_folds : int
        Folds in which the model is better, or worse.
    """

    metric: str
    baseline: str
    model_score: float
    baseline_score: float
    gain: float
    low: float
    high: float
    n_better: int
    n_worse: int
    n_folds: int

    @property
    def verdict(self) -> int:
        """1 if the model is better, -1 if it is worse, 0 if the difference is not significant."""
        return judge(self.low, self.high)


def leading_metric(target: Target) -> str:
    """Return the metric that decides which of two models is better.

    Of numbers the mean absolute error: a fold has it even if its target is constant, and the
    median, the simplest baseline, has the least of all constants. Of classes the balanced
    accuracy: each class counts alike, a constant is worth chance, and a model without
    probabilities has it.
    """
    return "MAE" if target.classes is None else "balanced accuracy"


def interval_of_gain(gains: ArrayLike, test_to_train: float) -> tuple[float, float]:
    """Return the 95 % confidence interval of the gain of one model over another, from folds.

    It is that of the corrected resampled t-test of C. Nadeau and Y. Bengio, Machine Learning 52,
    239 (2003). Folds share rows to learn from, so that the differences of their scores depend on
    each other: the variance of their mean counts as (1 / n_folds + test_to_train) of theirs, in
    place of 1 / n_folds.

    Parameters
    ----------
    gains : array-like of shape (n_folds,)
        How much better the first model is in each fold.
    test_to_train : float
        Number of rows that a fold holds out, over that of rows it learns from.

    Returns
    -------
    low, high : float
        Infinite of one fold.
    """
    from scipy.stats import t

    gain = np.asarray(gains, dtype=float)
    n_folds = len(gain)
    if n_folds < 2:
        return -np.inf, np.inf
    error = gain.std(ddof=1) * np.sqrt(1 / n_folds + test_to_train)
    half = t.ppf(1 - LEVEL / 2, n_folds - 1) * error
    return float(gain.mean() - half), float(gain.mean() + half)


def judge(low: float, high: float) -> int:
    """Return 1 if the interval of the gain is above 0, -1 if below, else 0."""
    return int(low > 0) - int(high < 0)


def scores_of(evaluation: Evaluation, target: Target, model: str = MODEL) -> dict[str, pd.Series]:
    """Return the scores of a model by metric; a series over folds each."""
    return evaluation.by_model.get((target.name, model), {})


def baselines_of(evaluation: Evaluation, target: Target) -> list[str]:
    """Return the names of the baselines, from the simplest on."""
    names = [model for name, model in evaluation.by_model if name == target.name]
    return [name for name in names if name not in (MODEL, LEARNT)]


def compare(evaluation: Evaluation, target: Target) -> list[Comparison]:
    """Compare the model with each baseline, fold by fold; none where there is no score."""
    metric = leading_metric(target)
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    own = scores_of(evaluation, target)[metric]
    comparisons = []
    for name in baselines_of(evaluation, target):
        other = scores_of(evaluation, target, name)[metric]
        gain = (sign * (own - other)).dropna()
        if not len(gain):
            continue
        model, baseline = own[gain.index], other[gain.index]
        # what rounding alone can make of two equal scores is no difference
        gain[gain.abs() <= _ROUNDING * (model.abs() + baseline.abs())] = 0.0
        counts = [
            [target.known[rows].sum() for rows in evaluation.splits[fold]] for fold in gain.index
        ]
        ratio = float(np.mean([held / learnt for learnt, held in counts]))
        comparisons.append(
            Comparison(
                metric,
                name,
                float(model.mean()),
                float(baseline.mean()),
                float(gain.mean()),
                *interval_of_gain(gain, ratio),
                int((gain > 0).sum()),
                int((gain < 0).sum()),
                len(gain),
            )
        )
    return comparisons


def best_baseline(comparisons: list[Comparison]) -> Comparison | None:
    """Return the comparison with the best of the baselines, if there is one."""
    if not comparisons:
        return None
    sign = 1 if HIGHER_IS_BETTER[comparisons[0].metric] else -1
    return max(comparisons, key=lambda c: sign * c.baseline_score)


def worth(evaluation: Evaluation, target: Target) -> float:
    """Return a score that is 0 for a constant and 1 for the truth, whatever the target."""
    own = scores_of(evaluation, target)
    if target.classes is None:
        return float(own["R²"].mean())
    chance = 1 / max(len(target.classes), 2)
    return float((own["balanced accuracy"].mean() - chance) / (1 - chance))


class Intervals(NamedTuple):
    """Prediction intervals, and the share of held-out rows that lie within them.

    Parameters
    ----------
    nominal : ndarray of shape (n_levels,)
        Share of rows that should.
    actual : ndarray of shape (n_levels,)
        Share of rows that do.
    half_width : ndarray of shape (n_levels,)
        In the target's unit, averaged over rows.
    inside : ndarray of bool, shape (n_levels, n_predictions)
        Which rows do; of an array (n_levels, n_predictions, n_elements).
    """

    nominal: np.ndarray
    actual: np.ndarray
    half_width: np.ndarray
    inside: np.ndarray


def residual_intervals(held_out: HeldOut) -> Intervals | None:
    """Take each fold's prediction intervals from the residuals of the other folds.

    The half-width is the quantile of their absolute values, at the level that split-conformal
    prediction takes. None with one fold alone.
    """
    folds = np.unique(held_out.fold)
    if len(folds) < 2:
        return None
    residual = np.abs(held_out.truth - held_out.predicted)
    half = np.full((len(NOMINAL), *residual.shape), np.nan)
    for fold in folds:
        is_own = held_out.fold == fold
        others = np.sort(residual[~is_own], axis=0)  # of each element; NaN comes last
        n_known = (~np.isnan(others)).sum(axis=0)
        for i, level in enumerate(NOMINAL):
            # the + 1 stands for the new row itself, so that a share of at least level is held
            rank = np.minimum(np.ceil((n_known + 1) * level).astype(int), n_known)
            place = np.expand_dims(np.maximum(rank - 1, 0), 0)
            half[i, is_own] = np.take_along_axis(others, place, axis=0)
    return _make_intervals(np.array(NOMINAL), residual, half)


def spread_intervals(held_out: HeldOut) -> Intervals:
    """Take the prediction ± k standard deviations, as if errors were Gaussian.

    They are those of the members, or of a Gaussian process; a fold without one does not count.
    """
    from scipy.stats import norm

    assert held_out.spread is not None
    residual = np.abs(held_out.truth - held_out.predicted)
    residual = np.where(np.isnan(held_out.spread), np.nan, residual)
    factors = np.array([1.0, 2.0, 3.0])
    half = np.multiply.outer(factors, held_out.spread)
    return _make_intervals(2 * norm.cdf(factors) - 1, residual, half)


def _make_intervals(nominal: np.ndarray, residual: np.ndarray, half: np.ndarray) -> Intervals:
    """Count which residuals lie within their half-widths, of shape (n_levels, n_predictions, ...).

    Of an array each element counts, where it is known.
    """
    inside = residual <= half
    known = ~np.isnan(residual)
    own = tuple(range(1, half.ndim))
    actual = inside.sum(axis=own) / max(known.sum(), 1)
    return Intervals(nominal, actual, np.nanmean(half, axis=own), inside)


class Reliability(NamedTuple):
    """Share of right predictions, against the probability of the predicted class.

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
    """Compare the probability of the predicted class with its accuracy."""
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


def counts_rows(task: Task, column: Column) -> bool:
    """Return whether a column has the values of an index: n consecutive integers, one a row.

    Their order does not matter. Where scales have rows of their own, each may count on its own.
    """
    own = task.scale >= column.stage
    if column.is_categorical or column.stage < 0 or column.array is not None:
        return False
    values = column.values.to_numpy()

    def is_index(rows: np.ndarray) -> bool:
        part = np.sort(values[rows])  # a missing value comes last
        return (
            len(part) >= _FEWEST_COUNTED
            and float(part[0]).is_integer()
            and bool((np.diff(part) == 1).all())
        )

    of_scales = [own & (task.scale == k) for k in np.unique(task.scale[own])]
    return bool(own.any()) and (is_index(own) or all(is_index(rows) for rows in of_scales))


def equal_columns(task: Task) -> list[list[Column]]:
    """Return columns that are equal in all rows, and missing in the same ones, together.

    Arrays are compared as a whole: many pixels of an image may always be the same.
    """
    alike: dict[Hashable, list[Column]] = {}
    for column in task.columns:
        if column.stage < 0 or not column.measured.any():
            continue
        values = column.values
        if column.is_categorical:
            key: Hashable = tuple(values.astype(object).where(column.measured, None))
        else:  # one zero, and one missing value
            numbers = column.numbers
            key = np.where(np.isnan(numbers), np.nan, numbers + 0.0).tobytes()
        alike.setdefault(key, []).append(column)
    return [columns for columns in alike.values() if len(columns) > 1]


def reconstruction_table(task: Task, evaluation: Evaluation) -> pd.DataFrame:
    """Return errors of the reconstruction of each column, while its rows were held out.

    Returns
    -------
    DataFrame
        By position of the column: n, mae, r2, accuracy, majority (the share of the commonest
        category), pca (R² or accuracy of as many principal components).
    """
    rows: dict[int, dict[str, float]] = {}
    for j, decoded in sorted(evaluation.decoded.items()):
        column = task.columns[j]
        if column.elements is not None:
            found = _array_row(column.elements, decoded, evaluation.decoded_by_pca.get(j))
            rows |= {} if found is None else {j: found}
            continue
        use = column.measured & pd.notna(decoded)
        if not use.any():
            continue
        true, back = column.values[use].to_numpy(), decoded[use]
        row: dict[str, float] = {"n": int(use.sum())}
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


def _array_row(
    true: np.ndarray, decoded: np.ndarray, by_pca: np.ndarray | None
) -> dict[str, float] | None:
    """Return the errors of an array's reconstruction, over all its elements; None without any.

    Parameters
    ----------
    true, decoded, by_pca : ndarray of shape (n_samples, n_elements)
        NaN where not measured, or never held out.
    """
    known = ~np.isnan(true) & ~np.isnan(decoded)
    if not known.any():
        return None
    true = np.where(known, true, np.nan)
    row = {"n": float(known.any(axis=1).sum()), "mae": float(np.nanmean(np.abs(true - decoded)))}
    row["r2"] = pooled_r2(true, decoded)
    if by_pca is not None and not np.isnan(by_pca[known]).any():
        row["pca"] = pooled_r2(true, by_pca)
    return row


def n_parameters(core: Any) -> list[tuple[str | None, int]]:
    """Return the number of weights and biases of each stage that is a network of this package."""
    found = []
    for name, estimator, _ in stages_of(core):
        net = getattr(core_of(estimator), "net_", None)
        if net is not None:
            found.append((name, sum(p.numel() for p in net.module_.parameters())))
    return found


class Facts(NamedTuple):
    """All facts about the targets, by their names.

    Parameters
    ----------
    comparisons : dict of str to list of Comparison
        One for each baseline.
    replicates : dict of (str or None) to Replicates
        Without targets, under None.
    by_residual : dict of str to (Intervals or None)
        Prediction intervals from residuals; None of classes, and with one fold alone.
    by_spread : dict of str to (Intervals or None)
        Those from the members of an ensemble, or from a Gaussian process.
    curves : dict of str to (Reliability or None)
        Of classes with probabilities.
    """

    comparisons: dict[str, list[Comparison]]
    replicates: dict[str | None, Replicates]
    by_residual: dict[str, Intervals | None]
    by_spread: dict[str, Intervals | None]
    curves: dict[str, Reliability | None]


def find_facts(task: Task, evaluation: Evaluation) -> Facts:
    """Find all facts about each target."""
    facts = Facts({}, {}, {}, {}, {})
    if not task.targets:
        facts.replicates[None] = find_replicates(task, evaluation, None)
    for target, held_out in zip(task.targets, evaluation.held_out, strict=True):
        name, is_number = target.name, target.classes is None
        facts.comparisons[name] = compare(evaluation, target)
        facts.replicates[name] = find_replicates(task, evaluation, target)
        facts.by_residual[name] = residual_intervals(held_out) if is_number else None
        has_spread = held_out.spread is not None
        facts.by_spread[name] = spread_intervals(held_out) if has_spread else None
        facts.curves[name] = reliability(held_out)
    return facts
