"""Mean and standard deviation of columns, in any unit and in chunks."""

from fractions import Fraction

import numpy as np
import pytest
from cases.tables import EPS, numbers, rounding, with_missing
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches

from sknestedae._tables._statistics import (
    column_deviations,
    column_statistics,
    common_scale,
    standard_deviation,
    standardize_in_place,
    standardize_measured,
    unscale,
)


def learn(X, weight=None, n_rows=16_384):
    """Give mean and scale of columns, so many rows at a time."""
    chunks = gen_batches(len(X), n_rows)
    mean, scale, _ = column_statistics(
        (X[rows], None if weight is None else weight[rows]) for rows in chunks
    )
    return mean, scale


def test_column_statistics_counts_the_weight_of_measured_entries():
    rows = np.array([[1.0, np.nan], [3.0, np.nan], [5.0, 7.0]])
    weight = np.array([1.0, 2.0, 1.0])
    mean, scale, n_measured = column_statistics(iter([(rows, weight)]))
    assert mean.tolist() == [3.0, 7.0]
    assert scale.tolist() == [np.sqrt(2.0), 1.0]
    assert n_measured.tolist() == [4.0, 1.0]


def test_a_row_of_weight_0_makes_no_column_vary():
    rows = np.array([[1.0], [1e300], [1.0]])
    mean, scale, n_measured = column_statistics(iter([(rows, np.array([1.0, 0.0, 1.0]))]))
    assert (mean, scale, n_measured) == (1, 1, 2)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e-300, 1e150, 12345.678])
@pytest.mark.parametrize("weight", [None, 1e-4, 1e4])
def test_constant_column_has_scale_one(value, weight):
    X = np.full((50, 1), value)
    mean, scale = learn(X, None if weight is None else np.full(50, weight))
    assert scale == 1
    assert abs(mean[0] - value) <= 50 * EPS * abs(value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("incomplete", [False, True])
def test_statistics_are_those_of_scikit_learn(dtype, weighted, incomplete):
    X = numbers(40).astype(dtype)
    weight = np.random.default_rng(1).uniform(0.5, 2, len(X)) if weighted else None
    if incomplete:
        X = with_missing(X)
    scaler = StandardScaler().fit(X, sample_weight=weight)
    mean, scale, n_measured = column_statistics(iter([(X, weight)]))
    # sums in any order: of numbers, and of squares and weights, which have one sign
    assert (np.abs(mean - scaler.mean_) <= rounding(X, len(X))).all()
    np.testing.assert_allclose(scale, scaler.scale_, rtol=len(X) * EPS)
    np.testing.assert_allclose(n_measured, scaler.n_samples_seen_, rtol=len(X) * EPS)


@pytest.mark.parametrize("weight", [None, np.linspace(1, 2, 1000)])
def test_statistics_do_not_depend_on_how_a_table_lies_in_memory(weight):
    X = with_missing(numbers(1000))
    for found, wanted in zip(learn(np.asfortranarray(X), weight), learn(X, weight), strict=True):
        np.testing.assert_array_equal(found, wanted)


def exact_statistics(values, weight):
    """Compute mean and standard deviation without any rounding but the last."""
    values, weight = [[Fraction(float(v)) for v in part] for part in (values, weight)]
    total = sum(weight)
    mean = sum(w * v for w, v in zip(weight, values, strict=True)) / total
    variance = sum(w * (v - mean) ** 2 for w, v in zip(weight, values, strict=True)) / total
    power = int(np.frexp(float(max(np.abs(values))))[1])  # the root of a number near 1
    return float(mean), float(np.ldexp(np.sqrt(float(variance / Fraction(4) ** power)), power))


SPREADS = {
    "usual": (3.0, 1.0),
    "no offset": (0.0, 1.0),
    "an offset": (1e9, 0.002),
    "an offset, a few spacings": (-1e9, 40 * np.spacing(1e9)),
    "a small unit": (1e-200, 1e-200),
    "a smaller unit": (0.0, 1e-300),
    "a small unit, an offset": (-1e-200, 1e-212),
    "a large unit": (1e200, 1e201),
    "a large unit, an offset": (1e200, 1e188),
    "the largest numbers": (0.0, 1.7e308 / 4),
}


@pytest.mark.parametrize(("center", "spread"), SPREADS.values(), ids=SPREADS)
@pytest.mark.parametrize("weighted", [False, True])
def test_statistics_are_exact_but_for_rounding(center, spread, weighted):
    """Of any size, and of any offset; in chunks of which the first is constant."""
    rng = np.random.default_rng(0)
    x = center + spread * rng.uniform(-4, 4, 60)
    x[:7] = x[0]
    weight = rng.integers(1, 1000, 60) if weighted else np.ones(60)
    (mean,), (scale,) = learn(x[:, None], weight.astype(float) if weighted else None, n_rows=7)
    exact_mean, exact_scale = exact_statistics(x, weight)
    # Sums of 60 numbers, and of their squares, lose less than twice 60 eps of what they hold: of
    # the span, and of an offset what its own last place rounds.
    lost = 120 * EPS * np.max(np.abs(x - x[0]) if spread < 1e-6 * abs(center) else np.abs(x))
    assert abs(mean - exact_mean) <= lost + np.spacing(abs(center))
    assert abs(scale - exact_scale) <= lost
    values = x[:, None].copy()
    standardize_in_place(values, np.array([mean]), np.array([scale]))
    assert np.abs(values).max() < 10
    back = unscale(values[:, 0], mean, scale)
    np.testing.assert_allclose(back / 4, x / 4, rtol=8 * EPS, atol=8 * EPS * scale)


@pytest.mark.parametrize("n_rows", [20, 108_000])
def test_a_number_at_a_large_offset_is_not_constant(n_rows):
    x = 1e9 + 0.002 * np.random.default_rng(0).normal(size=n_rows)
    _, (scale,) = learn(x[:, None])
    # x - 1e9 is exact; the rest is the rounding of sums of numbers of both signs
    np.testing.assert_allclose(scale, (x - 1e9).std(), rtol=n_rows * EPS)


@pytest.mark.parametrize("n_rows", [3, 40_000])
@pytest.mark.parametrize("weight", [None, 1e-300, "random"])
@pytest.mark.parametrize("power", [0, 900, -900])
def test_what_differs_by_the_order_of_a_computation_is_constant(n_rows, weight, power):
    """Eight fractions sum up to 1 but for rounding; the same, and 64 spacings more, is no sum."""
    rng = np.random.default_rng(0)
    part = rng.dirichlet(np.ones(8), size=n_rows)
    x = np.array([np.add.accumulate(row)[-1] for row in part])
    assert len(set(x)) > 1
    X = np.ldexp(np.column_stack([x, np.where(np.arange(n_rows) == 1, 1 + 64 * EPS, x)]), power)
    weight = rng.uniform(1, 2, n_rows) if weight == "random" else weight
    weight = np.full(n_rows, weight) if isinstance(weight, float) else weight
    _, (constant, varied) = learn(X, weight)
    assert constant == 1
    assert varied < np.ldexp(64 * EPS, power)


@pytest.mark.parametrize("power", [-700, -300, -40, 40, 300, 700])
def test_a_unit_changes_mean_and_scale_alone(power):
    """To the last bit, for a power of two."""
    X = with_missing(np.hstack([numbers(), numbers() + 1e9]))
    in_other_unit = np.ldexp(X, power)
    plain, scaled = learn(X, n_rows=16), learn(in_other_unit, n_rows=16)
    np.testing.assert_array_equal(scaled[0], np.ldexp(plain[0], power))
    np.testing.assert_array_equal(scaled[1], np.ldexp(plain[1], power))
    standardize_in_place(X, *plain)
    standardize_in_place(in_other_unit, *scaled)
    np.testing.assert_array_equal(X, in_other_unit)


def test_chunks_of_very_different_size():
    x = np.array([0, 0, 1e-200, 3e-200, 1e-3, 2, 5e250, -1e250, 1, np.nan, 7e-300, np.nan])
    (mean,), (scale,) = learn(x[:, None], n_rows=2)
    expected = exact_statistics(x[~np.isnan(x)], np.ones(10))
    np.testing.assert_allclose([mean, scale], expected, rtol=60 * EPS)


def test_standard_deviation_of_numbers_of_any_size():
    x = numbers()[:, 1]
    for power in (-900, -1, 0, 900):
        assert standard_deviation(np.ldexp(x, power)) == np.ldexp(x.std(), power)
    assert standard_deviation(np.full(7, 0.1)) == standard_deviation(np.array([])) == 0
    assert np.full(7, 0.1).std() > 0  # what rounding leaves


def test_a_constant_column_deviates_by_nothing():
    X = np.array([[1.0, 0.1, 2.0], [3.0, 0.1, 2.0], [5.0, 0.1, np.nan]])
    mean, deviation, n_measured = column_deviations(iter([(X, None)]))
    found = column_statistics(iter([(X, None)]))
    np.testing.assert_array_equal(found, (mean, [deviation[0], 1, 1], n_measured))
    assert (deviation == 0).tolist() == [False, True, True]


@pytest.mark.parametrize("unit", [1.0, 1e-300, 1e200, 5e-324])
def test_one_scale_of_columns_weighs_each_with_what_was_measured(unit):
    deviation, n_measured = np.array([3.0, 0.0, 4.0]) * unit, np.array([1.0, 2.0, 3.0])
    expected = np.sqrt((9 + 48) / 6) * unit
    # the smallest number is 5e-324, so that a multiple of it is rounded to a whole one
    assert abs(common_scale(deviation, n_measured) - expected) <= max(8 * EPS * expected, 5e-324)


def test_one_scale_of_constant_columns():
    assert common_scale(np.zeros(3), np.ones(3)) == 1
    assert common_scale(np.array([5e-324, 0]), np.array([1.0, 1e6])) > 0


@pytest.mark.parametrize("n_rows", [3, 100])
@pytest.mark.parametrize("scaled", [False, True])
def test_missing_entries_are_filled_after_the_others_are_standardised(n_rows, scaled):
    X = with_missing(numbers())
    affine = (np.nanmean(X, axis=0), np.nanstd(X, axis=0)) if scaled else None
    fill = np.array([7.0, 8.0, 9.0])
    expected = np.where(np.isnan(X), fill, (X - affine[0]) / affine[1] if scaled else X)
    seen, values = [], X.copy()
    measured = standardize_measured(
        values, affine, fill, n_rows, lambda part, first: seen.append((first, len(part)))
    )
    np.testing.assert_array_equal(measured, ~np.isnan(X))
    np.testing.assert_array_equal(values, expected)
    assert seen[0] == (0, min(n_rows, 60))
    assert sum(n for _, n in seen) == 60
    assert standardize_measured(values, None, fill, n_rows, lambda part, first: None) is None


def test_several_columns_are_unscaled_as_each_is():
    X = np.array([[9.0, 1.0], [-9.0, 2.0]])
    mean, scale = np.array([0.0, 5.0]), np.array([1e308, 2.0])
    found = unscale(X, mean, scale)  # of the first column a product is out of range
    for k in range(2):
        np.testing.assert_array_equal(found[:, k], unscale(X[:, k], mean[k], scale[k]))
    assert np.isfinite(found).all()
