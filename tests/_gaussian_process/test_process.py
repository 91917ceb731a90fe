"""Gaussian process regression: limits, invariances, leave-one-out, state."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from sknestedae._gaussian_process import _process
from sknestedae._gaussian_process._evidence import merge_rows, prior_of
from sknestedae._gaussian_process._kernel import Hyperparameters
from sknestedae._gaussian_process._process import GaussianProcess, GaussianProcesses

WIDTHS = (2, 1)
HELD = Hyperparameters(smooth=0.8, length=1.5, noise=0.1, linear=(0.3, 0.7), additive=0.4)


def table(n=25, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = 5 + X[:, 0] + np.sin(2 * X[:, 1]) + 0.3 * rng.normal(size=n)
    return X, y, rng.integers(1, 4, size=n).astype(float)


def assert_same(first, second, rtol=1e-9):
    """Two processes with the same hyperparameters and predictions."""
    X = table(10, seed=9)[0]
    for name in ("smooth", "length", "noise", "linear", "relevances"):
        got, wanted = getattr(first.parameters, name), getattr(second.parameters, name)
        np.testing.assert_allclose(got, wanted, rtol=1e-5)
    np.testing.assert_allclose(first.mean(X), second.mean(X), rtol=rtol)
    np.testing.assert_allclose(first.std(X), second.std(X), rtol=rtol)


# -- invariances


def test_weights_are_repeats():
    X, y, weight = table()
    repeated = np.repeat(np.arange(len(y)), weight.astype(int))
    weighted = GaussianProcess.fit(X, y, weight, widths=WIDTHS)
    longer = GaussianProcess.fit(X[repeated], y[repeated], widths=WIDTHS)
    assert_same(weighted, longer)
    assert weighted.leave_one_out_score() == pytest.approx(longer.leave_one_out_score())


def test_a_weight_of_zero_and_no_target_are_no_row():
    X, y, weight = table()
    expected = GaussianProcess.fit(X[2:], y[2:], weight[2:], widths=WIDTHS)
    y[0], weight[1] = np.nan, 0
    assert_same(GaussianProcess.fit(X, y, weight, widths=WIDTHS), expected)


def test_the_order_of_rows_changes_nothing():
    X, y, weight = table()
    order = np.random.default_rng(1).permutation(len(y))
    few = {"widths": WIDTHS, "max_rows": 20, "max_search_rows": 15}
    first = GaussianProcess.fit(X, y, weight, **few)
    assert_same(GaussianProcess.fit(X[order], y[order], weight[order], **few), first, 1e-6)


@pytest.mark.parametrize(("factor", "shift"), [(1e3, 7.0), (-1e-4, 0.0), (1.0, -200.0)])
def test_the_units_of_the_target_change_only_units(factor, shift):
    X, y, weight = table()
    X[4] = X[3]  # what is spread within equal rows has units, too
    first = GaussianProcess.fit(X, y, weight, widths=WIDTHS)
    second = GaussianProcess.fit(X, factor * y + shift, weight, widths=WIDTHS)
    at = table(10, seed=9)[0]
    # the search ends within its tolerance, on a path that rounding moves
    np.testing.assert_allclose(second.mean(at), factor * first.mean(at) + shift, rtol=1e-6)
    np.testing.assert_allclose(second.std(at), abs(factor) * first.std(at), rtol=1e-6)
    errors = factor * first.leave_one_out().error
    scale = abs(factor) * y.std()
    np.testing.assert_allclose(second.leave_one_out().error, errors, atol=1e-6 * scale)
    assert second.leave_one_out_score() == pytest.approx(first.leave_one_out_score(), rel=1e-6)


def test_a_shift_of_the_inputs_changes_nothing():
    X, y, weight = table()
    shift = np.array([3.0, -1.0, 2.0])
    first = GaussianProcess.fit(X, y, weight, widths=WIDTHS)
    second = GaussianProcess.fit(X + shift, y, weight, widths=WIDTHS)
    at = table(10, seed=9)[0]
    np.testing.assert_allclose(second.mean(at + shift), first.mean(at), rtol=1e-6)


# -- limits


def test_the_linear_terms_alone_are_ridge_regression():
    X, y, weight = table()
    parameters = Hyperparameters(smooth=0.0, length=1.0, noise=0.2, linear=(0.5, 0.5))
    process = GaussianProcess.fit(X, y, weight, widths=WIDTHS, parameters=parameters)
    ridge = Ridge(alpha=0.2 / 0.5).fit(X, y, weight)
    at = table(10, seed=9)[0]
    np.testing.assert_allclose(process.mean(at), ridge.predict(at), rtol=1e-10)


def test_each_block_has_a_variance_of_its_own():
    """Without any of its variance, a block has no effect."""
    X, y, _ = table()
    parameters = Hyperparameters(smooth=0.0, length=1.0, noise=0.2, linear=(0.5, 0.0))
    process = GaussianProcess.fit(X, y, widths=WIDTHS, parameters=parameters)
    expected = Ridge(alpha=0.2 / 0.5).fit(X[:, :2], y).predict(X[:, :2])
    np.testing.assert_allclose(process.mean(X), expected, rtol=1e-10)


def test_far_from_the_data_nothing_is_known():
    X, y, _ = table()
    smooth = Hyperparameters(smooth=0.8, length=1.5, noise=0.1, linear=(0.0, 0.0))
    process = GaussianProcess.fit(X, y, widths=WIDTHS, parameters=smooth)
    far = np.full((1, 3), 1e3)
    np.testing.assert_allclose(process.mean(far), y.mean(), rtol=1e-12)
    np.testing.assert_allclose(process.std(far), y.std() * np.sqrt(0.8 + 0.1), rtol=1e-12)
    np.testing.assert_allclose(process.std(far, False), y.std() * np.sqrt(0.8), rtol=1e-12)
    distances = process.std(X[:1] + np.linspace(0, 30, 20)[:, None])
    assert distances[0] == distances.min()
    assert distances[-1] == distances.max()


def test_on_rows_of_large_weight_the_noise_alone_is_left():
    X, y, _ = table()
    process = GaussianProcess.fit(X, y, np.full(25, 1e6), widths=WIDTHS, parameters=HELD)
    # what is left of the variance is about that of the mean of 1e6 observations
    assert (process.std(X, with_noise=False) < 2 * y.std() * np.sqrt(0.1 / 1e6)).all()
    np.testing.assert_allclose(process.std(X), y.std() * np.sqrt(0.1), rtol=1e-5)
    np.testing.assert_allclose(process.mean(X), y, atol=1e-3)


def test_rounding_makes_no_variance_negative():
    X, y, _ = table()
    process = GaussianProcess.fit(X, y, np.full(25, 1e17), widths=WIDTHS, parameters=HELD)
    std = process.std(X, with_noise=False)
    # a variance near zero has the rounding of the terms that it is the difference of
    assert (std >= 0).all()
    assert (std < 1e-6 * y.std()).all()


def test_variance_falls_with_every_row():
    X, y, _ = table()
    process = GaussianProcess.fit(X, y, widths=WIDTHS)
    fewer = process.given(process.rows.take(np.arange(10)))
    at = table(10, seed=9)[0]
    assert (process.std(at) < fewer.std(at)).all()
    assert fewer.parameters is process.parameters


# -- few rows, and a constant target


@pytest.mark.parametrize("value", [3.7, -1e6, 0.0])
def test_a_constant_target_is_predicted(value):
    X, _, _ = table()
    process = GaussianProcess.fit(X, np.full(25, value), widths=WIDTHS)
    at = 10 * table(10, seed=9)[0]
    np.testing.assert_array_equal(process.mean(at), value)
    std = process.std(at)
    assert (std > 0).all()
    assert (std < 1e-6 * (abs(value) or 1)).all()
    assert np.isnan(process.leave_one_out_score())


def test_rounding_is_no_spread():
    X, y, _ = table()
    process = GaussianProcess.fit(X, 0.3 + 1e-15 * y, widths=WIDTHS)
    assert process.parameters == Hyperparameters.from_log(prior_of(WIDTHS).mode)


@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("value", [40.0, 0.0])
def test_one_row_is_predicted_with_a_wide_std(value, repeats):
    X = np.ones((repeats, 3))
    process = GaussianProcess.fit(X, np.full(repeats, value), widths=WIDTHS)
    assert process.mean(X) == pytest.approx(value)
    assert (process.std(X + 2) > (abs(value) or 1)).all()
    assert process.parameters == Hyperparameters.from_log(prior_of(WIDTHS).mode)
    assert np.isnan(process.leave_one_out_score())


def test_equal_rows_with_unequal_targets_give_their_mean():
    process = GaussianProcess.fit(np.ones((2, 3)), np.array([1.0, 2.0]), widths=WIDTHS)
    assert process.mean(np.ones((1, 3))) == pytest.approx(1.5)
    assert process.scale == pytest.approx(0.5)
    assert process.parameters == Hyperparameters.from_log(prior_of(WIDTHS).mode)


def test_two_rows():
    X, y, _ = table(2)
    process = GaussianProcess.fit(X, y, widths=WIDTHS)
    assert np.isfinite(process.mean(X)).all()
    assert np.isfinite(process.leave_one_out_score())


def test_no_row_gives_an_empty_prediction():
    X, y, _ = table()
    process = GaussianProcess.fit(X, y, widths=WIDTHS)
    assert process.mean(X[:0]).shape == process.std(X[:0]).shape == (0,)


# -- leave one out


def test_leave_one_out_equals_leaving_out():
    X, y, weight = table()
    X[4] = X[3]
    process = GaussianProcess.fit(X, y, weight, widths=WIDTHS)
    rows = process.rows
    errors, weights = process.leave_one_out()
    assert len(errors) == 24
    np.testing.assert_array_equal(weights, rows.weight)
    for i, error in enumerate(errors):
        rest = np.delete(np.arange(24), i)
        others = process.given(rows.take(rest), process.precisions[rest])
        expected = rows.y[i] - others.mean(rows.X[i : i + 1])[0]
        assert error == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_the_score_is_that_of_all_rows():
    """Equal rows are left out together, and each has an error of its own."""
    X, y, weight = table()
    X[4] = X[3]
    process = GaussianProcess.fit(X, y, weight, widths=WIDTHS)
    predicted = process.rows.y - process.leave_one_out().error
    kinds = [np.flatnonzero((row == process.rows.X).all(axis=1))[0] for row in X]
    expected = r2_score(y, predicted[kinds], sample_weight=weight)
    assert process.leave_one_out_score() == pytest.approx(expected, rel=1e-10)


# -- length scales


def test_an_irrelevant_column_gets_a_longer_length_scale():
    X, _, _ = table(60)
    y = X[:, 0] * X[:, 2] + 0.1 * np.random.default_rng(5).normal(size=60)
    first, irrelevant, last = GaussianProcess.fit(X, y, widths=WIDTHS).parameters.relevances
    assert min(first, last) > 1.5 * irrelevant


# -- heavy tails


def with_outliers():
    X, y, _ = table(80)
    noise = np.random.default_rng(5).standard_normal(80)
    clean = X[:, 0] + np.sin(2 * X[:, 1])
    y = clean + 0.1 * noise
    y[::20] += 8.0
    return X, y, clean


def test_outliers_are_followed_less():
    """Four rows of eighty, far off, hardly move the function; of equal noise they do."""
    X, y, clean = with_outliers()
    process = GaussianProcess.fit(X, y, widths=WIDTHS)
    equal = GaussianProcess.fit(X, y, widths=WIDTHS, parameters=process.parameters)
    rest = np.delete(np.arange(80), np.s_[::20])
    error, of_equal = (np.abs(p.mean(X) - clean)[rest].mean() for p in (process, equal))
    assert error < of_equal / 2
    is_outlier = process.rows.y - process.mean(process.rows.X) > 4
    assert is_outlier.sum() == 4
    assert process.precisions[is_outlier].max() < process.precisions[~is_outlier].min()
    assert np.average(process.precisions, weights=process.rows.weight) == pytest.approx(1)


def test_the_standard_deviation_has_the_outliers_in_it():
    """It is that of a measurement, not of the rows that are near the function."""
    X, y, _ = with_outliers()
    process = GaussianProcess.fit(X, y, widths=WIDTHS)
    residuals = y - process.mean(X)
    spread = process.scale * np.sqrt(process.spread)
    assert spread == pytest.approx(np.sqrt(np.mean(residuals**2)), rel=0.1)
    far = np.full((1, 3), 50.0)
    known = process.std(far, with_noise=False) ** 2
    np.testing.assert_allclose(process.std(far) ** 2 - known, spread**2, rtol=1e-6)


def test_hyperparameters_that_are_given_have_equal_noise():
    X, y, weight = table()
    process = GaussianProcess.fit(X, y, weight, widths=WIDTHS, parameters=HELD)
    np.testing.assert_array_equal(process.precisions, np.ones(25))
    assert process.spread == HELD.noise


# -- many rows


def test_no_more_rows_than_allowed(monkeypatch):
    X, y, _ = table(60)
    searched = []
    search = _process.most_probable
    monkeypatch.setattr(
        _process,
        "most_probable",
        lambda rows, *others, **named: searched.append(rows) or search(rows, *others, **named),
    )
    few = {"widths": WIDTHS, "max_rows": 30, "max_search_rows": 20}
    process = GaussianProcess.fit(X, y, seed=1, **few)
    assert len(process.rows.y) == 30
    assert [len(rows.y) for rows in searched] == [10, 20]
    assert_same(GaussianProcess.fit(X, y, seed=1, **few), process)
    other = GaussianProcess.fit(X, y, seed=2, **few)
    assert not np.array_equal(other.rows.X, process.rows.X)
    # offset and scale are those of all rows
    assert process.offset == pytest.approx(y.mean())
    assert process.scale == pytest.approx(y.std())


def test_predictions_in_parts_are_the_same(monkeypatch):
    X, y, _ = table()
    process = GaussianProcess.fit(X, y, widths=WIDTHS)
    mean, std = process.mean(X), process.std(X)
    sizes = []
    compute = _process.covariance

    def counted(A, B, *arguments):
        sizes.append(len(A) * len(B))
        return compute(A, B, *arguments)

    monkeypatch.setattr(_process, "covariance", counted)
    monkeypatch.setattr(_process, "MAX_ENTRIES", 4 * 33)  # four rows, with eleven bumps a column
    np.testing.assert_allclose(process.mean(X), mean, rtol=1e-12)
    np.testing.assert_allclose(process.std(X), std, rtol=1e-12)
    assert max(sizes) == 100
    assert len(sizes) == 2 * 7  # parts of four rows


# -- state


def test_the_state_is_all():
    X, y, weight = table()
    process = GaussianProcess.fit(X, y, weight, widths=WIDTHS)
    state = process.to_state()
    assert all(isinstance(v, float) or v.dtype in (float, int) for v in state.values())
    again = GaussianProcess.from_state(state)
    np.testing.assert_array_equal(again.mean(X), process.mean(X))
    np.testing.assert_array_equal(again.std(X), process.std(X))
    assert again.leave_one_out_score() == process.leave_one_out_score()
    assert again.parameters == process.parameters
    assert again.widths == process.widths


# -- errors


@pytest.mark.parametrize("weight", [None, np.ones(25)], ids=["no weights", "weights"])
def test_no_target(weight):
    X = table()[0]
    with pytest.raises(ValueError, match=r"at least one row .* none of the 25 rows has one"):
        GaussianProcess.fit(X, np.full(25, np.nan), weight, widths=WIDTHS)


def test_no_weight():
    X, y, _ = table()
    with pytest.raises(ValueError, match="weight is above zero; none of the 25 rows"):
        GaussianProcess.fit(X, y, np.zeros(25), widths=WIDTHS)


def test_columns_and_blocks_must_agree():
    X, y, _ = table()
    with pytest.raises(ValueError, match=r"sum\(widths\) = 4 columns; it has the shape \(25, 3\)"):
        GaussianProcess.fit(X, y, widths=(2, 2))
    process = GaussianProcess.fit(X, y, widths=WIDTHS)
    with pytest.raises(ValueError, match=r"sum\(widths\) = 3 columns; it has the shape \(25, 2\)"):
        process.mean(X[:, :2])


def test_inputs_must_be_finite():
    X, y, _ = table()
    X[3, 1] = np.inf
    with pytest.raises(ValueError, match="X must be finite; it is not in column 1"):
        GaussianProcess.fit(X, y, widths=WIDTHS)


# -- several targets


def several():
    X, y, weight = table()
    Y = np.column_stack([y, 2 - 3 * X[:, 2] ** 2])
    Y[:5, 0], Y[7, 1] = np.nan, np.nan
    return X, Y, weight


def test_each_target_has_a_process_of_its_own():
    X, Y, weight = several()
    both = GaussianProcesses.fit(X, Y, weight, widths=WIDTHS)
    own = [GaussianProcess.fit(X, y, weight, widths=WIDTHS) for y in Y.T]
    assert len(both) == 2
    assert [len(process.rows.y) for process in both] == [20, 24]
    assert both.mean(X).shape == both.std(X).shape == (25, 2)
    scores = both.leave_one_out_score()
    for k, process in enumerate(own):
        np.testing.assert_array_equal(both.mean(X)[:, k], process.mean(X))
        np.testing.assert_array_equal(both.std(X)[:, k], process.std(X))
        assert scores[k] == process.leave_one_out_score()
        assert both[k].parameters == process.parameters


def test_the_state_of_several():
    X, Y, _ = several()
    many = np.tile(Y, 6) * np.arange(1, 13)  # more than ten: "10" is after "9"
    both = GaussianProcesses.fit(X, many, widths=WIDTHS)
    state = both.to_state()
    assert all(isinstance(v, float) or v.dtype in (float, int) for v in state.values())
    shuffled = dict(sorted(state.items()))
    np.testing.assert_array_equal(GaussianProcesses.from_state(shuffled).mean(X), both.mean(X))


def test_a_target_without_values_is_named():
    X, Y, _ = several()
    Y[:, 1] = np.nan
    with pytest.raises(ValueError, match=r"Column 1 of y: .* none of the 25 rows"):
        GaussianProcesses.fit(X, Y, widths=WIDTHS)


# -- covariances given the rows


def test_the_covariance_of_rows_with_themselves_is_their_variance():
    X, y, weight = table()
    process = GaussianProcess.fit(X, y, weight, widths=WIDTHS, parameters=HELD)
    at = table(6, seed=3)[0]
    covariance = process.covariance(at, at)
    variance_of_function = process.std(at, with_noise=False) ** 2
    np.testing.assert_allclose(covariance.diagonal(), variance_of_function, rtol=1e-9)
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-12 * covariance.max())


def test_one_more_measurement_explains_what_the_covariance_says():
    """Conditioning on a row takes cov² / (variance + noise) from the variance of all others."""
    X, y, _ = table()
    new, at = table(1, seed=3)[0], table(6, seed=4)[0]
    before = GaussianProcess.fit(X, y, widths=WIDTHS, parameters=HELD)
    rows = merge_rows(np.vstack([X, new]), np.append(y, 0.0), None)
    after = before.given(rows)
    covariance = before.covariance(at, new)[:, 0]
    total = before.covariance(new, new)[0, 0] + before.noise_variance
    expected = before.std(at, with_noise=False) ** 2 - covariance**2 / total
    np.testing.assert_allclose(after.std(at, with_noise=False) ** 2, expected, rtol=1e-9)
    noise = before.std(at) ** 2 - before.std(at, with_noise=False) ** 2
    np.testing.assert_allclose(noise, before.noise_variance, rtol=1e-9)


def test_the_root_is_that_of_the_inverse_covariance():
    X, y, weight = table()
    process = GaussianProcess.fit(X, y, weight, widths=WIDTHS, parameters=HELD)
    root = process.root_of_precision
    np.testing.assert_array_equal(root, np.tril(root))
    targets = (process.rows.y - process.offset) / process.scale
    np.testing.assert_allclose(root.T @ (root @ targets), process.coefficients, rtol=1e-9)
