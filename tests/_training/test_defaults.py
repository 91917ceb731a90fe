"""How many rows at once, and how firmly the weights are held."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sknestedae._training._defaults import MANY_DISTINCT_ROWS, auto_alpha, auto_batch_size


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
