"""Which rows are learnt from, how many at once, and how firmly the weights are held."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sknestedae._tables._splits import split_rows
from sknestedae._tables._weights import scale_weights
from sknestedae._training._defaults import MANY_DISTINCT_ROWS, auto_alpha, auto_batch_size


def test_split_rows_keeps_replicates_together():
    keys = np.repeat(np.arange(20), np.arange(1, 21))
    train, valid = split_rows(keys, None, 0.25, 0)
    assert len(np.unique(keys[valid])) == 5
    assert not set(keys[train]) & set(keys[valid])
    assert_array_equal(np.sort(np.append(train, valid)), np.arange(len(keys)))
    order = np.random.default_rng(0).permutation(len(keys))
    _, shuffled = split_rows(keys[order], None, 0.25, 0)
    assert set(keys[order][shuffled]) == set(keys[valid])


@pytest.mark.parametrize("n_rows", [3, 10, 11, 40])
def test_split_rows_holds_out_the_fraction_and_less_than_a_row_more(n_rows):
    """As the splits of scikit-learn do; of at least two rows one is held out, and one is not."""
    for fraction in (0.01, 0.1, 0.25, 0.33):
        train, valid = split_rows(np.arange(n_rows), None, fraction, 0)
        assert fraction * n_rows <= len(valid) < fraction * n_rows + 1
        assert len(train) == n_rows - len(valid)
    for fraction, n_valid in ((0.01, 1), (0.99, n_rows - 1)):
        assert len(split_rows(np.arange(n_rows), None, fraction, 0)[1]) == n_valid


def test_split_rows_stratifies_where_it_can():
    keys, strata = np.arange(100), np.repeat([0, 1], [90, 10])
    _, valid = split_rows(keys, strata, 0.2, 0)
    assert (strata[valid] == 1).sum() == 2
    rare = np.repeat([0, 1], [99, 1])
    assert len(split_rows(keys, rare, 0.2, 0)[1]) == 20


def test_split_rows_counts_weights_as_repeated_rows():
    rng = np.random.default_rng(0)
    keys, strata = rng.integers(0, 30, 90), rng.integers(0, 2, 90)
    weight = rng.integers(1, 5, 90)
    _, weighted = split_rows(keys, strata, 0.3, 0, weight)
    repeated = np.repeat(np.arange(90), weight)
    _, plain = split_rows(keys[repeated], strata[repeated], 0.3, 0)
    assert set(keys[weighted]) == set(keys[repeated][plain])
    _, unweighted = split_rows(keys, strata, 0.3, 0)
    assert set(keys[unweighted]) != set(keys[weighted])


@pytest.mark.parametrize("power", [-1074, -300, 0, 300, 1019])
def test_scaled_weights_are_near_1_in_the_same_proportions(power):
    weight = np.array([1.0, 0.0, 3.0, 17.0])
    scaled, found = scale_weights(np.ldexp(weight, power))
    assert_array_equal(scaled, weight / 16)
    assert found == power + 4


def test_a_weight_is_0_where_its_inverse_would_leave_single_precision():
    scaled, _ = scale_weights(np.array([1.0, 2.0**-100, 2.0**-101, 5e-324]))
    assert_array_equal(scaled, [1.0, 2.0**-100, 0.0, 0.0])
    assert np.isfinite(np.float32(len(scaled) << 24) / np.float32(scaled[1]))
    assert_array_equal(scale_weights(np.zeros(3))[0], 0)


def test_auto_batch_size():
    sizes = [auto_batch_size(n) for n in (1, 400, 10_000, 100_000, 1_000_000)]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (32, 1024)


def test_split_rows_needs_two_kinds_of_rows():
    with pytest.raises(ValueError, match="at least two distinct rows"):
        split_rows(np.ones(5), None, 0.5, 0)


def test_auto_alpha_falls_from_few_rows_to_many():
    alphas = [auto_alpha(n) for n in range(1, 700)]
    assert_array_equal(np.diff(alphas) <= 0, True)
    assert auto_alpha(1) == auto_alpha(44) == 0.15
    assert auto_alpha(100) == pytest.approx(0.03)
    assert auto_alpha(MANY_DISTINCT_ROWS) == auto_alpha(10**9) == 1e-3
    assert auto_alpha(MANY_DISTINCT_ROWS - 1) > 1e-3
