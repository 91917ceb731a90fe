"""Targets to arrays and back."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import r2_score
from sklearn.preprocessing import LabelBinarizer, StandardScaler

from sknestedae._tables._codec import TabularCodec
from sknestedae._tables._layout import Layout
from sknestedae._tables._target import (
    ClassTarget,
    NumericTarget,
    check_bounds,
    match_targets,
    pooled_r2,
    r2,
    read_labels,
    read_numbers,
    stack_target,
    target_frame,
    target_from_state,
    target_to_state,
)

EPS = np.finfo(np.float64).eps


def learn(y, weight=None, rows=None, standardize=True):
    """Read a target and learn its scale."""
    target = NumericTarget(standardize)
    values = target.read(y)
    target.fit(values, rows, weight)
    return target, values


# -- numbers

WITH_MISSING = {
    "array": np.array([1.0, np.nan, 3.0]),
    "column": np.array([[1.0], [np.nan], [3.0]]),
    "list": [1, None, 3],
    "Series": pd.Series([1.0, None, 3.0]),
    "objects": pd.Series([1, pd.NA, 3], dtype=object),
    "Int64": pd.Series([1, None, 3], dtype="Int64"),
    "Float64": pd.array([1, None, 3], "Float64"),
    "categories": pd.Series(pd.Categorical([1, None, 3])),
    "DataFrame": pd.DataFrame({"y": pd.array([1, None, 3], "Int64")}),
}


@pytest.mark.parametrize("y", WITH_MISSING.values(), ids=WITH_MISSING)
def test_numbers_are_read_with_nan_where_missing(y):
    values = NumericTarget(True).read(y)
    np.testing.assert_array_equal(values, [[1], [np.nan], [3]])
    assert values.dtype == np.float64


def test_numbers_are_standardised_as_standard_scaler_does():
    y = np.random.default_rng(0).normal(size=(50, 2)) * [1, 100] + [0, 7]
    weight = np.random.default_rng(1).uniform(0.5, 2, 50)
    rows = np.arange(5, 50)
    target, values = learn(y, weight, rows)
    scaler = StandardScaler().fit(y[rows], sample_weight=weight[rows])
    encoded, measured = target.encode(values)[:2]
    np.testing.assert_allclose(encoded, scaler.transform(y), rtol=0, atol=500 * EPS)
    assert measured is None
    assert target.layout == Layout(2)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("shape", [(40,), (40, 1), (40, 3)])
def test_decoding_gives_back_units_and_shape(shape, standardize):
    y = np.random.default_rng(0).normal(size=shape) * 50 + 3
    target, values = learn(y, standardize=standardize)
    decoded = target.decode(target.encode(values).values)
    assert decoded.shape == shape
    np.testing.assert_allclose(decoded, y, rtol=0, atol=8 * EPS * np.abs(y).max())


def test_unlabelled_entries_are_not_measured():
    y = np.array([[1, np.nan], [np.nan, np.nan], [3, 5]])
    target, values = learn(y)
    encoded, measured = target.encode(values)[:2]
    np.testing.assert_array_equal(measured, ~np.isnan(y))
    np.testing.assert_array_equal(encoded, [[-1, 0], [0, 0], [1, 0]])
    assert target.strata(values).tolist() == [1, 0, 1]


def test_some_rows_are_read():
    y = np.array([1.0, np.nan, 3.0])
    assert NumericTarget(True).read(y, np.array([True, False, True])).tolist() == [[1], [3]]
    with pytest.raises(ValueError, match="y has no labelled row"):
        NumericTarget(True).read(y, np.array([1]))


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([np.nan, np.nan], ValueError, r"y has no labelled row: all 2 are NaN\..*pass y=None"),
        ([[1, np.nan], [2, np.nan]], ValueError, r"Output 1 of y has no labelled row"),
        ([1, np.inf], ValueError, r"Input y contains infinity.*must be finite, or NaN"),
        (["a", "b"], ValueError, r"could not convert string to float"),
        (np.ones((2, 2, 2)), ValueError, r"the 'target_block' parameter must say"),
        ([], ValueError, r"Found array with 0 sample\(s\)"),
        (3.0, TypeError, r"at least 1 dimension"),
    ],
)
def test_bad_numbers_raise(y, error, message):
    with pytest.raises(error, match=message):
        NumericTarget(True).read(y)


def test_wrong_number_of_outputs_raises():
    target, _ = learn(np.ones((3, 2)))
    with pytest.raises(ValueError, match="y has 1 outputs, but the estimator was fitted with 2"):
        target.read(np.ones(3))


def test_later_targets_may_have_no_label():
    target, _ = learn([1.0, 2.0])
    assert np.isnan(target.read([np.nan, np.nan], needs_label=False)).all()
    with pytest.raises(ValueError, match="y has no labelled row"):
        target.read([np.nan, np.nan])


def test_errors_of_the_scale_name_y():
    with pytest.raises(ValueError, match="In y: Column 0 has no measured value"):
        learn([np.nan, 1.0], rows=np.array([0]))
    target, _ = learn([0, 1e-150])
    with pytest.raises(ValueError, match="In y: Column 0 contains infinity"):
        target.encode(target.read([1e200]))


@pytest.mark.parametrize("power", [-900, 0, 900])
def test_r2_is_that_of_scikit_learn_in_any_unit(power):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=20)
    prediction, weight = truth + 0.1 * rng.normal(size=20), rng.uniform(1, 2, 20)
    found = r2(np.ldexp(truth, power), np.ldexp(prediction, power), np.ldexp(weight, power // 2))
    assert found == r2_score(truth, prediction, sample_weight=weight)


def test_the_largest_numbers_of_both_signs_are_read():
    y = [1.7e308, -1.7e308] * 16
    target, read = learn(y)
    scaled, _ = target.encode(read)[:2]
    assert scaled.ravel().tolist() == [1, -1] * 16
    assert target.decode(scaled).tolist() == y


def test_r2_of_a_prediction_that_is_far_out_is_a_number():
    truth = np.array([1e-300, 2e-300])
    assert r2(truth, np.array([1e300, -1e300])) < -1e200
    with pytest.raises(ValueError, match="infinity"):
        r2(truth, np.array([1.0, np.inf]))


@pytest.mark.parametrize("standardize", [False, True])
def test_affine_is_what_decoding_does_to_outputs(standardize):
    y = np.array([[1.0, 10.0], [2.0, 50.0], [6.0, np.nan]])
    target, _ = learn(y, standardize=standardize)
    mean, scale = target.affine()
    prediction = np.array([[0.0, 0.0], [1.0, -2.0]])
    np.testing.assert_allclose(target.decode(prediction), prediction * scale + mean)
    assert (mean == 0).all() == (not standardize)


# -- classes

LABELS = {
    "integers": ([2, 0, 2, 1], [0, 1, 2]),
    "floats": ([2.0, 0.0, 2.0, 1.0], [0, 1, 2]),
    "words": (["b", "", "b", "aa"], ["", "aa", "b"]),
    "bools": ([True, False, True, True], [False, True]),
    "bool array": (np.array([True, False]), [False, True]),
    "object array": (np.array(["b", "a"], object), ["a", "b"]),
    "Series of words": (pd.Series(["b", "a"]), ["a", "b"]),
    "categories": (pd.Series(pd.Categorical(["b", "a"], categories=["c", "b", "a"])), ["a", "b"]),
    "integer categories": (pd.Categorical([3, 1, 3]), [1, 3]),
    "string": (pd.array(["b", "a"], "string"), ["a", "b"]),
}


@pytest.mark.parametrize(("y", "classes"), LABELS.values(), ids=LABELS)
def test_classes_are_one_hot(y, classes):
    target = ClassTarget()
    codes = target.read(y)
    assert target.classes.tolist() == classes
    assert target.layout == Layout(0, (len(classes),))
    values, measured = target.encode(codes)[:2]
    assert measured is None
    one_hot = LabelBinarizer().fit_transform(np.asarray(y))
    one_hot = np.hstack([1 - one_hot, one_hot]) if len(classes) == 2 else one_hot
    np.testing.assert_array_equal(values, one_hot)
    assert target.decode(values).tolist() == np.asarray(y).tolist()
    assert target.strata(codes) is codes


UNLABELLED = {
    "NaN beside floats": (np.array([1.0, np.nan, 0.0]), [0.0, 1.0], np.floating),
    "NaN beside integers": ([1, np.nan, 0], [0, 1], np.integer),
    "NaN beside words": (["b", np.nan, "a"], ["a", "b"], np.str_),
    "None beside words": (["b", None, "a"], ["a", "b"], np.str_),
    "None beside bools": ([True, None, False], [False, True], np.bool_),
    "NA": ([1, pd.NA, 0], [0, 1], np.integer),
    "object array": (np.array(["b", None, "a"], object), ["a", "b"], np.str_),
    "Int64": (pd.Series([1, None, 0], dtype="Int64"), [0, 1], np.integer),
    "boolean": (pd.Series([True, None, False], dtype="boolean"), [False, True], np.bool_),
    "string": (pd.Series(["b", None, "a"], dtype="string"), ["a", "b"], np.str_),
    "words": (pd.Series(["b", None, "a"]), ["a", "b"], np.str_),
    "categories": (pd.Series(["b", None, "a"], dtype="category"), ["a", "b"], np.str_),
}


@pytest.mark.parametrize(("y", "classes", "kind"), UNLABELLED.values(), ids=UNLABELLED)
def test_missing_labels_are_unlabelled_rows(y, classes, kind):
    target = ClassTarget()
    codes = target.read(y)
    assert codes.tolist() == [1, -1, 0]
    assert target.classes.tolist() == classes
    assert np.issubdtype(target.classes.dtype, kind)
    values, measured = target.encode(codes)[:2]
    assert measured.tolist() == [[True], [False], [True]]
    np.testing.assert_array_equal(values[[0, 2]], [[0, 1], [1, 0]])


def test_minus_one_is_a_class():
    target = ClassTarget()
    assert target.read([-1, 1, -1]).tolist() == [0, 1, 0]
    assert target.classes.tolist() == [-1, 1]


def test_given_classes_need_not_all_occur():
    target = ClassTarget(["c", "a", "b"])
    assert target.read(["c", None]).tolist() == [2, -1]
    assert target.read(["b", "b"]).tolist() == [1, 1]
    assert target.layout == Layout(0, (3,))


def test_some_labels_are_read():
    kept = np.array([True, False, True, True])
    target = ClassTarget()
    assert target.read(["b", "dropped", "a", None], kept).tolist() == [1, 0, -1]
    assert target.classes.tolist() == ["a", "b"]


def test_a_column_is_read_with_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        assert ClassTarget().read(np.array([[1], [0]])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([None, np.nan, pd.NA], ValueError, r"y has no labelled row: all 3 are missing"),
        ([1, 1, None], ValueError, r"y has only one class, 1; a classifier needs at least two"),
        (["a", "a"], ValueError, r"y has only one class, 'a'"),
        ([0.5, 1.5], ValueError, r"Unknown label type: continuous"),
        (["a", 1], ValueError, r"y mixes strings with other labels, such as 'a' with 1;"),
        ([0.0, np.inf], ValueError, r"y contains infinity"),
        ([[0, 1], [1, 0]], ValueError, r"y should be a 1d array"),
    ],
)
def test_bad_labels_raise(y, error, message):
    with pytest.raises(error, match=message):
        ClassTarget().read(y)


@pytest.mark.parametrize(
    ("classes", "y", "label"),
    [
        ([0, 2], [0, 1], "1"),
        ([0, 2], [0, 3], "3"),
        ([0, 2], ["a", "b"], "'a'"),
        (["a", "b"], ["a", "bb"], "'bb'"),
        (["a", "b"], [0, 1], "0"),
    ],
)
def test_unknown_label_raises(classes, y, label):
    with pytest.raises(ValueError, match=f"label {label}, which is not one of the classes"):
        ClassTarget(classes).read(y)


# -- targets of several scales


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["b", "a", "b"], [[1], [0, 2]]),
        ([("b", "x"), ("b", "y")], [[], [0, 1]]),
        ([0, 1], [[0], [1]]),
        (["x"], [[], [0]]),
        ([("u", 1), ("v", 1), ("v", 2)], [[0], [1, 2]]),
    ],
)
def test_targets_by_name_else_in_order(columns, expected):
    y = pd.DataFrame(np.ones((2, len(columns))))
    y.columns = pd.Index(columns)
    assert match_targets(y, ["a", "b"]) == expected


def test_targets_that_match_nothing():
    with pytest.raises(ValueError, match=r"y has 3 columns, \['0', '1', '2'\], but the scales"):
        match_targets(pd.DataFrame(np.ones((2, 3))), ["a", "b"])


# -- bounds


@pytest.mark.parametrize(
    ("bounds", "value"), [((0, None), -0.5), ((None, 1.0), 2.0), ((0.0, 1.0), 2.0)]
)
def test_a_target_outside_its_bounds_is_named(bounds, value):
    """By its row among all that were given, also where some are left out."""
    y = np.full((6, 2), 0.5)
    y[0, 0] = np.nan
    y[4, 1] = y[5, 0] = value
    message = rf"'target_bounds' .* within .*, but y is {value:g} in row 4, output 1 \(2 values"
    for rows in (slice(None), np.arange(6) > 2):
        with pytest.raises(ValueError, match=message):
            NumericTarget(True, bounds=bounds).read(y, rows)
    assert len(NumericTarget(True, bounds=bounds).read(y, np.arange(4))) == 4
    check_bounds(np.array([[v] for v in bounds if v is not None]), bounds, np.arange(2))


@pytest.mark.parametrize("standardize", [False, True])
def test_bounds_are_scaled_as_the_outputs_are(standardize):
    y = np.random.default_rng(0).uniform(0, 9, size=(30, 2)) * [1, 1000]
    target = NumericTarget(standardize, bounds=(0, None))
    target.fit(target.read(y), None, None)
    low, high = target.scaled_bounds()
    assert high.tolist() == [np.inf, np.inf]
    as_target = target.encode(np.zeros((1, 2))).values[0]
    np.testing.assert_allclose(low, as_target, rtol=8 * EPS)
    other = NumericTarget(standardize, bounds=(None, 9000))
    other.fit(other.read(y), None, None)
    low, high = other.scaled_bounds()
    assert low.tolist() == [-np.inf, -np.inf]
    np.testing.assert_allclose(high, other.encode(np.full((1, 2), 9000.0)).values[0], rtol=8 * EPS)


def test_decoded_values_are_within_the_bounds():
    """Rounding may take them out of what the network's last layer keeps to."""
    y = np.linspace(0.1, 0.9, 7)
    target = NumericTarget(True, bounds=(0.1, 0.9))
    target.fit(target.read(y), None, None)
    ends = np.array(target.scaled_bounds())
    decoded = target.decode(np.vstack([ends, ends * 1.1]))
    assert decoded.tolist() == [0.1, 0.9, 0.1, 0.9]
    without = NumericTarget(True)
    without.fit(without.read(y), None, None)
    assert without.decode(ends * 1.1).max() > 0.9


# -- arrays


def array_target(y, **settings):
    target = NumericTarget(True, TabularCodec, **settings)
    target.fit(target.read(y), None, None)
    return target


@pytest.mark.parametrize("shape", [(20, 6), (20, 2, 3), (20, 1, 2, 3)])
def test_an_array_a_row_comes_back_in_its_shape(shape):
    y = np.random.default_rng(0).uniform(1, 2, size=shape)
    target = array_target(y, bounds=(0, None))
    flat = target.read(y)
    assert flat.shape == (20, 6)
    decoded = target.decode(target.encode(flat).values)
    assert decoded.shape == shape
    np.testing.assert_allclose(decoded, y, rtol=8 * EPS)
    again = target_from_state(target_to_state(target), TabularCodec)
    np.testing.assert_array_equal(again.decode(target.encode(flat).values), decoded)
    assert again.bounds == (0, None)
    np.testing.assert_array_equal(again.scaled_bounds(), target.scaled_bounds())


def test_an_array_of_another_shape_is_refused():
    target = array_target(np.arange(120.0).reshape(20, 2, 3))
    assert target.read(np.ones((4, 2, 3))).shape == (4, 6)
    assert target.read(np.ones((4, 6))).shape == (4, 6)  # the same, flattened
    with pytest.raises(ValueError, match=r"row of y has the shape \(3, 2\), .* with \(2, 3\)"):
        target.read(np.ones((4, 3, 2)))
    with pytest.raises(ValueError, match=r"y has 8 outputs, .* with 6"):
        target.read(np.ones((4, 2, 4)))


def test_numbers_by_themselves_have_no_arrays():
    with pytest.raises(ValueError, match="the 'target_block' parameter must say"):
        NumericTarget(True).read(np.ones((4, 2, 3)))


# -- pooled R²


def test_pooled_r2_of_one_output_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth, weight = rng.normal(size=(30, 1)), rng.uniform(0.5, 2, 30)
    prediction = truth + rng.normal(0, 0.3, size=(30, 1))
    for own in (None, weight):
        expected = r2_score(truth, prediction, sample_weight=own)
        assert pooled_r2(truth, prediction, own) == pytest.approx(expected, rel=1e-12)


def test_pooled_r2_counts_outputs_by_their_deviations():
    """An output that is always 0 can be as wrong as it likes beside one of a large deviation."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(30, 3)) * [0, 1, 100]
    prediction = truth + rng.normal(0, 1, size=(30, 3))
    error = ((prediction - truth) ** 2).sum()
    deviation = ((truth - truth.mean(axis=0)) ** 2).sum()
    assert pooled_r2(truth, prediction) == pytest.approx(1 - error / deviation, rel=1e-12)
    assert pooled_r2(truth, prediction) > 0.99 > r2_score(truth[:, 1:], prediction[:, 1:])


def test_pooled_r2_leaves_out_what_is_not_known():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(30, 2))
    prediction = truth + rng.normal(0, 0.3, size=(30, 2))
    weight = np.ones(30)
    weight[:10] = 0
    hidden = truth.copy()
    hidden[:10] = np.nan
    expected = pooled_r2(truth[10:], prediction[10:])
    assert pooled_r2(hidden, prediction) == pytest.approx(expected, rel=1e-12)
    assert pooled_r2(truth, prediction, weight) == pytest.approx(expected, rel=1e-12)
    assert pooled_r2(hidden, prediction, np.ones(30)) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="y has no labelled row to score with"):
        pooled_r2(np.full((3, 2), np.nan), np.ones((3, 2)))


def test_pooled_r2_where_nothing_deviates():
    assert pooled_r2(np.ones((3, 2)), np.ones((3, 2))) == 1
    assert pooled_r2(np.ones((3, 2)), np.zeros((3, 2))) == 0


# -- arrays in cells

IMAGES = np.random.default_rng(0).normal(size=(3, 2, 4))


def in_cells(arrays):
    """Put arrays into a column of objects; the second one is missing."""
    cells = np.empty(len(arrays), dtype=object)
    cells[:] = list(arrays)
    cells[1] = None
    return cells


CELLS = {
    "Series": pd.Series(in_cells(IMAGES)),
    "NaN": pd.Series(in_cells(IMAGES)).where(np.arange(3) != 1, np.nan),
    "DataFrame": pd.DataFrame({"dos": in_cells(IMAGES)}),
    "objects": in_cells(IMAGES),
    "column of objects": in_cells(IMAGES)[:, None],
    "lists": pd.Series([IMAGES[0].tolist(), pd.NA, IMAGES[2].tolist()]),
}


@pytest.mark.parametrize("y", CELLS.values(), ids=CELLS)
def test_arrays_in_cells_are_one_array(y):
    expected = IMAGES.copy()
    expected[1] = np.nan
    read = read_numbers(y, allow_nd=True)
    np.testing.assert_array_equal(read, expected)
    assert read.dtype == np.float64
    with pytest.raises(ValueError, match=r"shape \(2, 4\); the 'target_block' parameter must say"):
        read_numbers(y)
    with pytest.raises(
        TypeError, match=r"holds .* or the y of a SupervisedAutoencoder with a tar"
    ):
        read_labels(y)


def test_a_spectrum_a_cell_needs_a_block_as_well():
    with pytest.raises(ValueError, match=r"shape \(2,\); the 'target_block' parameter must say"):
        read_numbers(pd.Series([[1.0, 2.0], [3.0, 4.0]]))


def test_what_holds_no_arrays_is_not_stacked():
    for y in (
        np.arange(3.0),
        [1, 2, 3],
        pd.Series(["a", None]),
        pd.DataFrame({"a": [1], "b": [2]}),
    ):
        assert stack_target(y) is y


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (
            pd.Series([[1, 2], None, [1, 2, 3]]),
            ValueError,
            r"row 0 has \(2,\) and row 2 has \(3,\)",
        ),
        (pd.Series([[1, 2], 5.0]), TypeError, "row 1 holds 5.0, which is no array"),
        (pd.Series([[1, 2], ["a", "b"]]), TypeError, "row 1 holds an array of <U1"),
        (pd.Series([[1, 2], "word"]), TypeError, "row 1 holds 'word', which is no array"),
        (
            pd.DataFrame({"n": [1, 2], "dos": [[1, 2], [3, 4]]}),
            ValueError,
            "Column 'dos' of y holds arrays, so that it must be the only one; but y has 2 columns",
        ),
    ],
)
def test_cells_that_are_no_target(y, error, message):
    with pytest.raises(error, match=message):
        stack_target(y)


def test_an_array_a_row_is_one_column_of_a_target():
    frame, is_1d = target_frame(IMAGES)
    assert is_1d
    assert frame.shape == (3, 1)
    np.testing.assert_array_equal(np.stack(frame[0]), IMAGES)
    listed, is_1d = target_frame(IMAGES.tolist())
    assert is_1d
    np.testing.assert_array_equal(stack_target(listed), IMAGES)
    column, is_1d = target_frame(pd.Series(in_cells(IMAGES)))
    assert is_1d
    assert match_targets(column, ["a", "b"]) == [[], [0]]  # as one number a row
    with pytest.raises(ValueError, match="one dimension or more, got the number 3"):
        target_frame(3)


def test_of_many_columns_a_message_shows_some():
    wide = pd.DataFrame(np.zeros((2, 500)))
    with pytest.raises(
        ValueError, match=r"500 columns, \['0', '1', '\.\.\.', '499'\].*pd\.Series"
    ):
        match_targets(wide, ["a", "b"])
