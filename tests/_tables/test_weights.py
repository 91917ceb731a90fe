"""Weights of rows, of any size."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.class_weight import compute_class_weight

from sknestedae._tables._weights import factors_of_classes, scale_weights

# Three rows of the first class, one of the second, two of the third, and one without a label.
CODES = np.array([0, 2, 0, -1, 1, 0, 2])
CLASSES = np.array(["a", "b", "c"])


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


def test_balanced_classes_have_one_total_weight_and_rows_without_a_label_keep_theirs():
    weight = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 0.5, 1.0])
    factors = factors_of_classes("balanced", CLASSES, CODES, weight)
    totals = np.bincount(CODES[CODES >= 0], (weight * factors)[CODES >= 0])
    assert_allclose(totals, weight[CODES >= 0].sum() / 3, rtol=1e-15)
    assert factors[CODES < 0] == 1


def test_balanced_classes_are_those_of_scikit_learn():
    labelled = CODES >= 0
    expected = compute_class_weight("balanced", classes=CLASSES, y=CLASSES[CODES[labelled]])
    factors = factors_of_classes("balanced", CLASSES, CODES, np.ones(7))
    assert_allclose(factors[labelled], expected[CODES[labelled]], rtol=1e-15)


def test_an_integer_weight_balances_as_repeated_rows_do():
    weight = np.array([1, 2, 3, 1, 1, 2, 1])
    repeated = np.repeat(np.arange(7), weight)
    factors = factors_of_classes("balanced", CLASSES, CODES, weight.astype(float))
    again = factors_of_classes("balanced", CLASSES, CODES[repeated], np.ones(weight.sum()))
    assert_allclose(again, factors[repeated], rtol=1e-15)


def test_a_class_without_rows_does_not_count():
    two = np.array([0, 0, 0, 2])
    factors = factors_of_classes("balanced", CLASSES, two, np.ones(4))
    assert_allclose(factors, [2 / 3, 2 / 3, 2 / 3, 2], rtol=1e-15)


@pytest.mark.parametrize("classes", [CLASSES, np.arange(3), np.array([0.25, 0.5, 0.75])], ids=str)
def test_weights_by_class(classes):
    first, _, last = classes.tolist()
    factors = factors_of_classes({first: 2, last: 0.0}, classes, CODES, np.ones(7))
    assert_array_equal(factors, [2, 0, 2, 1, 1, 2, 0])
    # a fold may lack a class
    all_of_them = {**dict.fromkeys(classes.tolist(), 3), "rare": 5}
    assert_array_equal(factors_of_classes(all_of_them, classes, CODES, np.ones(7))[3:5], [1, 3])


@pytest.mark.parametrize("value", [-1, np.nan, np.inf, "2", True, None])
def test_a_weight_of_a_class_is_a_number_of_0_or_more(value):
    message = f"'class_weight' parameter must give each class a number of 0 or more, got {value!r}"
    with pytest.raises(ValueError, match=message):
        factors_of_classes({"a": value}, CLASSES, CODES, np.ones(7))


def test_a_weight_of_no_class():
    message = r"'class_weight' parameter has weights for \['d'\], but not for \['b', 'c'\]"
    with pytest.raises(ValueError, match=message):
        factors_of_classes({"a": 1, "d": 1}, CLASSES, CODES, np.ones(7))
