"""Facts: intervals, comparisons with baselines, columns that tell nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cases.report import TINY, two_scales, verdicts_of, with_arrays
from numpy.testing import assert_allclose
from scipy.stats import ttest_1samp
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    report,
)
from sknestedae._report._content import number, percent
from sknestedae._report._facts import (
    equal_columns,
    find_replicates,
    interval_of_gain,
    judge,
    residual_intervals,
    spread_intervals,
)
from sknestedae._report._folds import HeldOut, evaluate
from sknestedae._report._task import read_task


def test_intervals_are_those_of_the_other_folds():
    rng = np.random.RandomState(0)
    truth = rng.normal(size=2000)
    fold = np.repeat(np.arange(4), 500)
    zero = np.zeros(2000)
    held_out = HeldOut(fold, np.arange(2000), truth, zero, None, None)
    found = residual_intervals(held_out)
    # binomial: three standard deviations of a share of 2000 rows, and of 1500 that set the width
    margin = 3 * np.sqrt(found.nominal * (1 - found.nominal) * (1 / 2000 + 1 / 1500))
    assert (np.abs(found.actual - found.nominal) < margin).all()
    half = np.quantile(np.abs(truth[fold != 0]), 0.9, method="higher")
    inside = np.abs(truth[fold == 0]) <= half
    assert abs(found.inside[2][fold == 0].sum() - inside.sum()) <= 1
    assert residual_intervals(HeldOut(fold * 0, fold, truth, zero, None, None)) is None


def test_a_fold_without_a_standard_deviation_does_not_count():
    fold, zero = np.repeat([0, 1], 4), np.zeros(8)
    truth = np.array([0.5, 1.5, 2.5, 3.5] * 2)
    spread = np.where(fold == 0, 1.0, np.nan)
    held_out = HeldOut(fold, np.arange(8), truth, zero, spread, None)
    assert_allclose(spread_intervals(held_out).actual, [0.25, 0.5, 0.75])
    assert_allclose(spread_intervals(held_out).half_width, [1, 2, 3])


def test_share_of_equal_rows_is_that_of_the_folds(X, y):
    twice, target = pd.concat([X, X], ignore_index=True), pd.concat([y, y], ignore_index=True)
    sae = SupervisedAutoencoder(**TINY).fit(twice, target)
    cv = KFold(4, shuffle=True, random_state=1)
    known = [np.isin(test % 60, train % 60).mean() for train, test in cv.split(twice)]
    card = report(sae, twice, target, cv=cv, random_state=0)
    assert f"{percent(np.mean(known))} of the held-out rows are equal" in "\n".join(card.limits)


def test_classes_are_judged_by_balanced_accuracy(X, labels, with_scores):
    sae = SupervisedAutoencoderClassifier(**TINY).fit(X, labels)
    scores = {
        ("this model", "balanced accuracy"): [0.9, 0.91, 0.9, 0.89, 0.9],
        ("logistic regression", "balanced accuracy"): [0.7, 0.7, 0.72, 0.7, 0.69],
        ("this model", "log loss"): [9.0],
        ("this model", "accuracy"): [0.0],
    }
    card = with_scores(sae, X, labels, scores)
    assert verdicts_of(card, "logistic regression") == (1, 1)
    assert "differences in balanced accuracy between this model and a baseline" in card.html


def test_equal_scores_are_no_difference(sae, X, y, with_scores):
    own = np.linspace(1, 2, 5)
    rounded = own * (1 - 1e-8)  # below the spacing of 24 bits
    scores = {("this model", "MAE"): own, ("median", "MAE"): rounded}
    card = with_scores(sae, X, y, scores)
    (said,) = [limit for limit in card.limits if "and the median cannot" in limit]
    assert (
        "better in 0 and worse in 0 of 5 folds; better by 0 to 0 (95 % confidence interval)"
        in said
    )


def test_intervals_of_gains_are_those_of_a_t_test():
    gains = np.random.RandomState(0).normal(0.3, 1, size=7)
    expected = ttest_1samp(gains, 0).confidence_interval(0.95)
    assert_allclose(interval_of_gain(gains, 0), expected)  # folds that share no rows
    low, high = interval_of_gain(gains, 0.25)
    assert low + high == pytest.approx(2 * gains.mean())
    # Nadeau and Bengio: the variance of the mean is 1 / n + test / train of that of the gains
    ratio = (high - low) / (expected.high - expected.low)
    assert ratio == pytest.approx(np.sqrt((1 / 7 + 0.25) / (1 / 7)))
    assert_allclose(interval_of_gain(-gains, 0.25), (-high, -low))
    assert interval_of_gain([5.0], 0.25) == (-np.inf, np.inf)


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [((0.1, 0.2), 1), ((-0.2, -0.1), -1), ((-0.1, 0.2), 0), ((0, 0), 0), ((-np.inf, np.inf), 0)],
)
def test_a_verdict_needs_an_interval_without_zero(interval, verdict):
    assert judge(*interval) == verdict


def test_intervals_know_how_many_rows_are_known(sae, X, y, with_scores):
    # 20 rows are learnt from, of which 10, 10 and 20 have a target; all others are held out
    target = y.mask(np.isin(np.arange(60), [*range(10), *range(20, 30)]))
    parts = np.split(np.arange(60), 3)
    folds = [(part, np.setdiff1d(np.arange(60), part)) for part in parts]
    gain = np.array([-0.2, 0.1, 0.3])
    scores = {("this model", "MAE"): [1.0], ("median", "MAE"): 1 + gain}
    card = with_scores(sae, X, target, scores, cv=folds)
    low, high = interval_of_gain(gain, np.mean([30 / 10, 30 / 10, 20 / 20]))
    (said,) = [limit for limit in card.limits if "and the median cannot" in limit]
    assert f"better by {number(low)} to {number(high)} (95 % confidence interval)" in said


def test_columns_that_are_never_measured_are_not_equal():
    X = pd.DataFrame({"a": np.random.RandomState(0).normal(size=30), "b": np.nan, "c": np.nan})
    fill = FunctionTransformer(np.nan_to_num)
    model = make_pipeline(fill, SupervisedAutoencoder(**TINY)).fit(X)
    assert "Equal in all rows" not in report(model, X, cv=2, random_state=0).html


def test_few_consecutive_numbers_may_be_a_property():
    X = pd.DataFrame({"dose": np.arange(9), "a": np.random.RandomState(0).normal(size=9)})
    card = report(SupervisedAutoencoder(**TINY).fit(X), X, cv=2, random_state=0)
    assert "Only counting rows" not in card.html
    assert "Equal in all rows" not in card.html


def test_an_index_may_begin_anew_with_each_scale():
    tables, targets = two_scales()
    tables = [table.assign(number=np.arange(len(table))) for table in tables]
    nae = NestedAutoencoder(n_components=2, max_iter=1, random_state=0).fit(tables, targets)
    card = report(nae, tables, targets, cv=2, random_state=0)
    assert "Only counting rows: number. " in card.html


# -- arrays


def test_intervals_of_an_array_are_those_of_its_elements():
    rng = np.random.RandomState(0)
    truth, predicted, spread = rng.normal(size=(3, 40, 5))
    truth[rng.uniform(size=truth.shape) < 0.1] = np.nan
    fold, row = np.repeat(np.arange(4), 10), np.arange(40)
    whole = HeldOut(fold, row, truth, predicted, np.abs(spread), None)
    for make in (residual_intervals, spread_intervals):
        found = make(whole)
        known = ~np.isnan(truth)
        inside = []
        for k in range(5):
            own = known[:, k]
            numbers = (truth[own, k], predicted[own, k], whole.spread[own, k])
            part = make(HeldOut(fold[own], row[own], *numbers, None))
            inside.append(part.inside)
            assert (found.inside[:, own, k] == part.inside).all()
        n_inside = sum(part.sum(axis=1) for part in inside)
        assert_allclose(found.actual, n_inside / known.sum())


def test_equal_rows_with_another_array():
    X, y, sae = with_arrays()
    X, y = pd.concat([X, X], ignore_index=True), np.concatenate([y, y + 1])
    task = read_task(sae, X, y, None, {})
    evaluation = evaluate(task, 2, np.random.RandomState(0))
    found = find_replicates(task, evaluation, task.targets[0])
    assert (found.n_distinct, found.n_contradicting) == (40, 80)
    assert found.floor == pytest.approx(0.5)  # each pair is 0.5 off its middle
    variance = y.var(axis=0).mean()
    assert found.ceiling == pytest.approx(1 - 0.25 / variance)


def test_pixels_that_are_always_equal_are_no_fault():
    X, y, _ = with_arrays()
    X.loc[:, ["p0", "p1"]] = 0.0
    task = read_task(with_arrays()[2], X, y, None, {})
    assert equal_columns(task) == []
    image = task.columns[2]
    turned = replace(image, name="turned", elements=image.elements[:, ::-1])  # of equal means
    twice = replace(task, columns=[*task.columns, turned, replace(image, name="again")])
    assert [[column.name for column in own] for own in equal_columns(twice)] == [
        ["image", "again"]
    ]
