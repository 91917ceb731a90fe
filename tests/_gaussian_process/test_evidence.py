"""The posterior of hyperparameters: gradient, equal rows, priors, jitter, search."""

import numpy as np
import pytest

from sknestedae._gaussian_process import _evidence
from sknestedae._gaussian_process._evidence import (
    LEAST_NOISE,
    RELEVANCE_SPREAD,
    DistinctRows,
    diagonal_of_inverse,
    equal_rows,
    factor,
    inverse,
    merge_rows,
    most_probable,
    negative_log_posterior,
    precisions,
    prior_of,
)
from sknestedae._gaussian_process._kernel import Hyperparameters, KernelOfRows, covariance

WIDTHS = (2, 1)
RELEVANCES = (0.3, 2.0, 1.1)
LOGS = [np.log([1.3, 1.7, 0.4, 0.9, 0.7, 0.2]), np.log([0.2, 3.0, 0.1, 2.0, 0.1, 0.6])]


def table(n=12, seed=0):
    """Give rows, targets and integer weights; some rows are equal, with unequal targets."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    X[1] = X[0]
    X[5] = X[4] = X[3]
    y = X[:, 0] + rng.normal(size=n)
    return X, y, rng.integers(1, 4, size=n).astype(float)


def logs_of(found):
    return np.log([found.smooth, found.length, *found.linear, found.additive, found.noise])


def with_relevances(log_parameters, relevances=RELEVANCES):
    return np.insert(log_parameters, -1, np.log(relevances))


def value_of(rows, log_parameters):
    kernel, prior = KernelOfRows(rows.X, WIDTHS), prior_of(WIDTHS, len(log_parameters) > 6)
    return negative_log_posterior(log_parameters, kernel, rows, prior)[0]


def value_without_merging(X, y, log_parameters):
    """Compute the same from the covariance of all rows, also of equal ones."""
    parameters, prior = Hyperparameters.from_log(log_parameters), prior_of(WIDTHS)
    K = covariance(X, X, WIDTHS, parameters) + parameters.noise * np.eye(len(X))
    distance = (log_parameters - prior.mode) / prior.spread
    likelihood = y @ np.linalg.solve(K, y) + np.linalg.slogdet(K)[1]
    return 0.5 * likelihood + 0.5 * distance @ distance


# -- equal rows


def test_equal_rows_are_one():
    X = np.array([[1.0, 2.0], [0.0, 0.0], [1.0, 2.0], [-0.0, 0.0]])
    rows = merge_rows(X, np.array([1.0, 5.0, 4.0, 5.0]), np.array([1.0, 1.0, 2.0, 1.0]))
    by_target = np.argsort(rows.y)
    assert rows.X[by_target].tolist() == [[1, 2], [0, 0]]
    assert rows.y[by_target].tolist() == [3, 5]
    assert rows.weight[by_target].tolist() == [3, 2]
    assert rows.within[by_target].tolist() == [1 * 2**2 + 2 * 1**2, 0]


def test_rows_without_target_or_weight_are_left_out():
    X, y, weight = table()
    keep = np.arange(12) >= 3
    expected = merge_rows(X[keep], y[keep], weight[keep])
    y[:2], weight[2] = np.nan, 0
    for got, wanted in zip(merge_rows(X, y, weight), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_nothing_is_left_of_rows_without_targets():
    assert not len(merge_rows(np.ones((3, 2)), np.full(3, np.nan)).y)


def test_rows_without_columns_are_all_equal():
    rows = merge_rows(np.empty((3, 0)), np.array([1.0, 2.0, 3.0]))
    assert rows.y.tolist() == [2]
    assert rows.within.tolist() == [2]


def test_the_order_of_rows_is_lost():
    X, y, weight = table()
    order = np.random.default_rng(1).permutation(len(y))
    for got, wanted in zip(
        merge_rows(X[order], y[order], weight[order]), merge_rows(X, y, weight), strict=True
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_equal_targets_keep_their_value():
    """A weighted mean by division would differ from them in the last digit."""
    rows = merge_rows(np.ones((3, 1)), np.full(3, 0.1), np.array([0.1, 0.2, 0.3]))
    assert rows.y.tolist() == [0.1]
    assert rows.within.tolist() == [0.0]


def test_each_row_finds_its_kind():
    X, _, _ = table()
    first, group = equal_rows(X)
    np.testing.assert_array_equal(X[first][group], X)
    assert len(first) == 12 - 3


def test_merging_changes_the_posterior_by_a_constant_alone():
    X, y, _ = table()
    first, second = (
        value_of(merge_rows(X, y), log) - value_without_merging(X, y, log) for log in LOGS
    )
    assert first == pytest.approx(second, abs=1e-10)


def test_weights_are_repeats_in_the_posterior():
    X, y, weight = table()
    repeated = np.repeat(np.arange(len(y)), weight.astype(int))
    first, second = (
        value_of(merge_rows(X, y, weight), log)
        - value_without_merging(X[repeated], y[repeated], log)
        for log in LOGS
    )
    assert first == pytest.approx(second, abs=1e-10)


# -- the posterior


@pytest.mark.parametrize(
    "log",
    [*LOGS, *map(with_relevances, LOGS)],
    ids=["short", "long", "short by column", "by column"],
)
def test_the_gradient_agrees_with_differences(log):
    X, y, weight = table()
    rows, prior = merge_rows(X, y, weight / 2), prior_of(WIDTHS, len(log) > 6)
    kernel = KernelOfRows(rows.X, WIDTHS)
    _, gradient = negative_log_posterior(log, kernel, rows, prior)
    steps = 1e-5 * np.eye(len(log))
    expected = [(value_of(rows, log + step) - value_of(rows, log - step)) / 2e-5 for step in steps]
    # central differences of values of about 10: step², and 10 * 1e-16 / step
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("log", LOGS, ids=["short", "long"])
def test_equal_relevances_leave_the_posterior_as_it_is(log):
    rows = merge_rows(*table())
    got = value_of(rows, with_relevances(log, (1.0, 1.0, 1.0)))
    assert got == pytest.approx(value_of(rows, log), rel=1e-12)


@pytest.mark.parametrize("by_column", [False, True], ids=["one length", "by column"])
def test_without_rows_the_modes_of_the_priors_are_most_probable(by_column):
    """Rows of nearly no weight say nothing."""
    X, y, _ = table()
    rows = merge_rows(X, y, np.full(12, 1e-9))
    found = most_probable(rows, WIDTHS, with_relevances=by_column)
    # where the gradient of the prior is below the 0.01 of the search: 0.01 * spread², in logs
    expected = prior_of(WIDTHS, by_column).mode
    np.testing.assert_allclose(found.to_log(), expected, atol=0.01 * 2**2)


def test_the_length_scale_grows_with_the_number_of_columns():
    narrow, wide = prior_of([4]), prior_of([16])
    assert wide.mode[1] - narrow.mode[1] == pytest.approx(np.log(2))


def test_a_linear_term_has_one_variance_whatever_its_width():
    """The sum over the columns of the block, of unit variance each, times the coefficients'."""
    for width in (1, 5, 30):
        assert width * np.exp(prior_of([width]).mode[2]) == pytest.approx(1)


# -- the search


def test_no_other_hyperparameters_are_more_probable():
    X, y, weight = table(20)
    rows = merge_rows(X, (y - y.mean()) / y.std(), weight)
    found = most_probable(rows, WIDTHS)
    best = value_of(rows, logs_of(found))
    prior, rng = prior_of(WIDTHS), np.random.default_rng(0)
    for _ in range(200):
        assert value_of(rows, rng.normal(prior.mode, prior.spread)) > best


@pytest.mark.parametrize(
    ("better", "n", "function", "noise"),
    [
        (0, 30, lambda X: np.sin(5 * X[:, 0]), 0.1),
        (1, 15, lambda X: X.sum(axis=1) + 0.6 * np.sin(2 * X[:, 0]), 2.0),
    ],
    ids=["little noise", "much noise"],
)
def test_of_two_maxima_the_higher_is_found(monkeypatch, better, n, function, noise):
    """One start ends in the lower, and which one does depends on the data."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(n, 2))
    y = function(X) + noise * rng.normal(size=n)
    rows = merge_rows(X, (y - y.mean()) / y.std())
    kernel, prior = KernelOfRows(rows.X, [2]), prior_of([2])

    def best_value():
        found = most_probable(rows, [2])
        log = logs_of(found)
        return negative_log_posterior(log, kernel, rows, prior)[0]

    value, starts = best_value(), _evidence.STARTS
    alone = []
    for start in starts:
        monkeypatch.setattr(_evidence, "STARTS", (start,))
        alone.append(best_value())
    assert np.argmin(alone) == better
    assert np.ptp(alone) > 1
    assert value == min(alone)


def test_an_exact_target_ends_at_the_least_noise():
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = X @ [1.0, 2.0, 3.0]
    noise = most_probable(merge_rows(X, y / y.std()), WIDTHS).noise
    assert noise == pytest.approx(LEAST_NOISE)


def test_an_irrelevant_column_gets_a_longer_length_scale():
    """Of a product of two columns, which is neither linear nor a sum of functions of columns."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(60, 3))
    y = X[:, 0] * X[:, 2] + 0.1 * rng.normal(size=60)
    rows = merge_rows(X, (y - y.mean()) / y.std())
    first, irrelevant, last = most_probable(rows, WIDTHS, with_relevances=True).relevances
    assert min(first, last) > 1.5 * irrelevant
    # the search that goes on from one length scale for all ends there, too, and gains by it
    start = most_probable(rows, WIDTHS)
    found = most_probable(rows, WIDTHS, start, with_relevances=True)
    assert value_of(rows, found.to_log()) < value_of(rows, start.to_log()) - 1
    np.testing.assert_allclose(found.relevances, (first, irrelevant, last), rtol=0.05)


def test_the_order_of_columns_of_a_block_changes_nothing():
    X, y, weight = table(20)
    order = np.array([1, 0, 2])
    found, swapped = (
        most_probable(merge_rows(columns, y, weight), WIDTHS, with_relevances=True)
        for columns in (X, X[:, order])
    )
    # the gradient is below 0.01 in the end, and the curvature at least that of the prior
    atol = 2 * 0.01 * RELEVANCE_SPREAD**2
    wanted = np.log(found.relevances)[order]
    np.testing.assert_allclose(np.log(swapped.relevances), wanted, atol=atol)


# -- matrices


def positive(n=6, seed=0):
    root = np.random.default_rng(seed).normal(size=(n, n))
    return root @ root.T + np.eye(n)


def test_factor_and_inverse():
    K = positive()
    lower = factor(K)
    np.testing.assert_allclose(lower @ lower.T, K, rtol=1e-12)
    assert not np.triu(lower, 1).any()
    inverted = inverse(lower)
    np.testing.assert_allclose(inverted, np.tril(np.linalg.inv(K)), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(diagonal_of_inverse(lower), inverted.diagonal(), rtol=1e-10)


def test_a_singular_matrix_gets_jitter():
    K = 7 * np.ones((5, 5))
    lower = factor(K)
    np.testing.assert_allclose(lower @ lower.T, K, rtol=1e-5)
    np.testing.assert_array_equal(K, 7 * np.ones((5, 5)))


def test_a_regular_matrix_gets_none():
    K = 1e-20 * positive()
    lower = factor(K)
    np.testing.assert_allclose(lower @ lower.T, K, rtol=1e-12)


@pytest.mark.parametrize("K", [-np.eye(3), np.full((3, 3), np.nan)], ids=["negative", "nan"])
def test_a_matrix_that_stays_not_positive_is_named(K):
    with pytest.raises(np.linalg.LinAlgError, match="kernel matrix of 3 rows must be positive"):
        factor(K)


@pytest.mark.parametrize("fails_at", [3, 4, 5])
def test_a_search_turns_back_from_a_step_too_far(monkeypatch, fails_at):
    rng = np.random.default_rng(0)
    rows = merge_rows(rng.normal(size=(40, 2)), rng.normal(size=40))
    expected = most_probable(rows, [2])
    calls = []

    def fragile(K):
        calls.append(len(K))
        if len(calls) == fails_at:
            raise np.linalg.LinAlgError
        return factor(K)

    monkeypatch.setattr(_evidence, "factor", fragile)
    found = most_probable(rows, [2])
    np.testing.assert_allclose(found.to_log(), expected.to_log(), atol=0.2)


def test_a_search_that_finds_no_matrix_at_all_says_so(monkeypatch):
    def fragile(K):
        raise np.linalg.LinAlgError("never")

    monkeypatch.setattr(_evidence, "factor", fragile)
    rows = merge_rows(np.arange(6.0)[:, None], np.arange(6.0) ** 2)
    with pytest.raises(np.linalg.LinAlgError, match="never"):
        most_probable(rows, [1])


def test_some_of_the_rows():
    rows = merge_rows(*table())
    some = rows.take(np.array([2, 0]))
    assert isinstance(some, DistinctRows)
    assert some.y.tolist() == [rows.y[2], rows.y[0]]


# -- precisions


def rows_and_covariance():
    rows = merge_rows(*table())
    return rows, covariance(rows.X, rows.X, WIDTHS, Hyperparameters.from_log(LOGS[0]))


def test_many_degrees_of_freedom_are_equal_noise(monkeypatch):
    """Student's t is then normal: precisions differ from one by about n_degrees ** -1."""
    rows, K = rows_and_covariance()
    monkeypatch.setattr(_evidence, "DEGREES_OF_FREEDOM", 1e9)
    np.testing.assert_allclose(precisions(rows, K, 0.2)[0], 1.0, atol=1e-6)
    monkeypatch.undo()
    assert np.ptp(precisions(rows, K, 0.2)[0]) > 0.1


def test_the_precisions_are_those_of_the_function_that_they_give(monkeypatch):
    """After many rounds they no longer change, and the residuals are those of the process."""
    rows, K = rows_and_covariance()
    monkeypatch.setattr(_evidence, "N_ROUNDS", 200)
    found, variance = precisions(rows, K, 0.2)
    noise = np.diag(0.2 / (rows.weight * found))
    mean = K @ np.linalg.solve(K + noise, rows.y)
    uncertain = np.diag(K - K @ np.linalg.solve(K + noise, K))
    squares = rows.weight * ((rows.y - mean) ** 2 + uncertain) + rows.within
    expected = (4 + rows.weight) / (4 + squares / 0.2)
    expected /= np.average(expected, weights=rows.weight)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert variance == pytest.approx(squares.sum() / rows.weight.sum(), rel=1e-6)


def test_three_rounds_come_near(monkeypatch):
    rows, K = rows_and_covariance()
    found, _ = precisions(rows, K, 0.2)
    monkeypatch.setattr(_evidence, "N_ROUNDS", 200)
    np.testing.assert_allclose(found, precisions(rows, K, 0.2)[0], rtol=0.1)


def test_the_search_goes_on_from_where_it_is_told_to():
    rows = merge_rows(*table(20))
    best = most_probable(rows, WIDTHS)
    again = most_probable(rows, WIDTHS, best)
    np.testing.assert_allclose(logs_of(again), logs_of(best), atol=0.05)
    np.testing.assert_allclose(best.to_log(), logs_of(best))
