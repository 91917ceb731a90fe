"""How many rows at once, and how firmly the weights are held."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sknestedae._training._defaults import (
    LEAST_ALPHA_OF_CLASSES,
    MANY_DISTINCT_ROWS,
    MOST_ALPHA,
    alpha_of_classes,
    auto_alpha,
    auto_batch_size,
    noise_of_classes,
)


def test_auto_batch_size():
    sizes = [auto_batch_size(n) for n in (1, 400, 10_000, 100_000, 1_000_000)]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (32, 1024)


def test_auto_alpha_falls_from_few_rows_to_many():
    alphas = [auto_alpha(n) for n in range(1, 700)]
    assert_array_equal(np.diff(alphas) <= 0, True)
    assert auto_alpha(1) == auto_alpha(44) == 0.15
    assert auto_alpha(100) == pytest.approx(0.03)
    assert auto_alpha(MANY_DISTINCT_ROWS) == auto_alpha(10**9) == 1e-3
    assert auto_alpha(MANY_DISTINCT_ROWS - 1) > 1e-3


# -- classes


def classes_of(n_rows=400, n_columns=6, n_classes=2, share=0.0, seed=0):
    """Give a one-hot column a class, columns of noise, and classes of which a share is random."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n_rows) % n_classes
    X = np.hstack([np.eye(n_classes)[codes], rng.normal(size=(n_rows, n_columns))])
    is_random = rng.uniform(size=n_rows) < share
    return X, np.where(is_random, rng.integers(n_classes, size=n_rows), codes)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_the_noise_of_classes(n_classes):
    X, codes = classes_of(n_classes=n_classes)
    noise, n_values, found = noise_of_classes(X, codes, None, len(X))
    assert noise < 1e-3
    assert (n_values, found) == (n_classes + 6, n_classes)
    X, codes = classes_of(2000, n_classes=n_classes, share=0.5)
    # half of the rows keep their class: a correlation of a half, of which the square is explained
    assert noise_of_classes(X, codes, None, len(X))[0] == pytest.approx(0.75, abs=0.1)
    X, codes = classes_of(2000, n_classes=n_classes, share=1)
    assert noise_of_classes(X, codes, None, len(X))[0] > 0.98


def test_columns_by_which_rows_could_be_learnt_by_heart_do_not_hide_the_noise():
    """In the rows themselves, 90 columns explain nearly all of 100 random classes."""
    X, codes = classes_of(100, 90, share=1)
    assert noise_of_classes(X, codes, None, len(X))[0] > 0.8
    assert noise_of_classes(X[:50], codes[:50], None, 50)[0] > 0.8  # more columns than rows


def test_units_and_constant_columns_do_not_matter():
    X, codes = classes_of(share=0.3)
    expected = noise_of_classes(X, codes, None, len(X))
    units = np.geomspace(1, 1e4, X.shape[1])
    for other in (X * units, X - units, np.hstack([X, np.full((len(X), 2), 7.0)])):
        found = noise_of_classes(other, codes, None, len(X))
        assert found == pytest.approx(expected, rel=1e-6)


def test_a_weight_of_two_is_two_equal_rows():
    X, codes = classes_of(60, n_classes=3, share=0.3)
    twice = np.arange(60) % 3 > 0
    weight = np.where(twice, 2.0, 1.0)
    repeated = [np.concatenate([own, own[twice]]) for own in (X, codes)]
    weighted = alpha_of_classes(X, codes, weight, 60, 60)
    assert weighted == pytest.approx(alpha_of_classes(*repeated, None, 60, 60), rel=1e-9)
    assert weighted != pytest.approx(alpha_of_classes(X, codes, None, 60, 60), rel=1e-3)
    assert weighted == pytest.approx(alpha_of_classes(X, codes, 1e-3 * weight, 60, 60), rel=1e-9)


def test_the_penalty_of_classes():
    X, codes = classes_of(400, 18, share=1)
    noise, *_ = noise_of_classes(X, codes, None, 400)
    assert alpha_of_classes(X, codes, None, 400, 400) == pytest.approx(noise * 20 / 400)
    assert alpha_of_classes(X, codes, None, 400, 800) == pytest.approx(noise * 20 / 800)
    assert alpha_of_classes(X, codes, None, 400, 1e9) == LEAST_ALPHA_OF_CLASSES
    X, codes = classes_of(400, 17, n_classes=3, share=1)
    noise, *_ = noise_of_classes(X, codes, None, 400)
    assert alpha_of_classes(X, codes, None, 400, 400) == pytest.approx(noise * 20 / 400 / 2)
    X, codes = classes_of(20, 50, share=1)
    assert alpha_of_classes(X, codes, None, 20, 20) == MOST_ALPHA
    for few in (slice(0, 20, 2), slice(1)):  # one class; one row
        found = alpha_of_classes(X[few], codes[few], None, 1, 1)
        assert LEAST_ALPHA_OF_CLASSES <= found <= MOST_ALPHA
