"""Weights of rows, of any size."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sknestedae._tables._weights import scale_weights


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
