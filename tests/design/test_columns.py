"""Columns of candidates: what known rows say of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae.design._columns import CandidateColumns


def test_scales_are_standard_deviations_and_1_of_constants():
    X = pd.DataFrame({"small": [0, 1e-200, 2e-200], "large": [0, 1e200, 2e200], "same": 0.1})
    assert np.std(np.full(3, 0.1)) > 0  # by rounding
    assert_allclose(
        CandidateColumns(X, {}).scale, [np.sqrt(2 / 3) * 1e-200, np.sqrt(2 / 3) * 1e200, 1]
    )


def test_ranges_and_whole_numbers_are_those_of_the_known_rows():
    X = pd.DataFrame({"on": [True, False], "a": [0.5, 1.0], "n": [3, 1], "kind": ["p", "q"]})
    columns = CandidateColumns(X, {3: np.array(["p", "q"], dtype=object)})
    assert columns.numeric == [0, 1, 2]
    assert_array_equal(columns.is_integer, [True, False, True, False])
    assert_array_equal(columns.low, [0, 0.5, 1, np.nan])
    assert_array_equal(columns.high, [1, 1, 3, np.nan])


def test_a_column_of_no_stage_has_no_position():
    columns = CandidateColumns(pd.DataFrame({"a": [1.0], "b": [2.0]}), {}, used=[1])
    assert columns.n_columns == 1
    assert columns.position("b", "fixed") == 1
    with pytest.raises(ValueError, match="'fixed' parameter names column 'a', which no stage has"):
        columns.position("a", "fixed")
