"""Columns that are one array: found, read, scored, and rows chosen by their error."""

import numpy as np
import pandas as pd
import pytest
from cases.arrays import ENERGY, Compressor, make_images, make_spectra, make_table
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae.plotting._arrays import (
    axis_of,
    examples_by_quartile,
    fitted_arrays,
    flat_table,
    make_array,
    named_arrays,
    panels_of,
    place_arrays,
    pooled_r2,
    read_array,
    row_errors,
    shape_of_cells,
    stack_cells,
)


@pytest.fixture(scope="module")
def table():
    return make_table()


# -- tables


def test_an_array_of_many_dimensions_is_flattened_in_c_order():
    images = make_images(3)
    flat, shape = flat_table(images)
    assert shape == (5, 6)
    assert_array_equal(flat, images.reshape(3, 30))
    frame = pd.DataFrame(np.ones((2, 2)))
    for other in (frame, frame.to_numpy()):
        assert flat_table(other)[0] is other
        assert flat_table(other)[1] == ()


def test_cells_are_read_as_columns_are():
    images = make_images(4)
    cells = pd.Series(list(images), name="image")
    cells[2] = None
    array = make_array("image", [1], (5, 6))
    frame = pd.DataFrame({"a": 1.0, "image": cells})
    values = read_array(frame, array)
    expected = images.reshape(4, 30).copy()
    expected[2] = np.nan
    assert_array_equal(values, expected)
    wide = pd.DataFrame(expected)
    assert_array_equal(read_array(wide, make_array("image", list(range(30)), (5, 6))), expected)
    stacked = stack_cells(cells)
    assert stacked.shape == (4, 5, 6)
    assert_array_equal(stacked.reshape(4, 30), expected)
    assert stack_cells(frame["a"]) is frame["a"] or stack_cells(frame["a"]).equals(frame["a"])


def test_cells_of_other_shapes_are_refused():
    column = pd.Series([np.ones(3), np.ones(4)], name="x")
    with pytest.raises(ValueError, match=r"column 'x' must have one shape, got \[\(3,"):
        shape_of_cells(column)
    assert shape_of_cells(pd.Series(["abc", None, 1.0], dtype=object)) == ()


def test_labels_that_are_numbers_are_the_axis(table):
    X, blocks = table
    spectrum, image = (make_array(*block) for block in blocks)
    assert_array_equal(axis_of(X, spectrum), ENERGY)
    assert axis_of(X, image) is None
    plain = pd.DataFrame(make_spectra(3)[0])
    array = make_array("s", list(range(24)), (24,))
    assert axis_of(plain, array) is None  # positions, which are no energies
    assert_array_equal(axis_of(plain.set_axis(ENERGY, axis=1), array), ENERGY)
    assert axis_of(plain.add_prefix("e"), array) is None


# -- which columns


def test_blocks_of_a_fitted_estimator(table):
    X, blocks = table
    fitted = Compressor(2, blocks).fit(X)
    for estimator in (fitted, make_pipeline(fitted), FrozenEstimator(fitted)):
        found = fitted_arrays(estimator)
        assert [(a.name, a.columns, a.shape) for a in found] == blocks
    scaled = make_pipeline(StandardScaler(), fitted)  # it has other columns than its table
    assert fitted_arrays(scaled) == []
    assert fitted_arrays(StandardScaler().fit(X.to_numpy())) == []


class Stages:
    """A chain: only what tells where its blocks are."""

    def __init__(self, stages):
        self.stages_ = stages


def test_blocks_of_stages_stand_where_the_decoded_columns_do(table):
    X, _ = table
    first = Compressor(2, [("spectrum", [1, 2, 3], (3,))]).fit(X)
    last = Compressor(2, [("spectrum", [0, 1], (2,)), ("latents", [2, 3], (2,))]).fit(X)
    # column 4 belongs to no stage, so that those behind it come back one place earlier
    chain = Stages([("a", first, [7, 6, 1, 0]), ("b", last, [5, 3])])
    found = fitted_arrays(chain)
    assert [(a.name, a.columns) for a in found] == [("spectrum", [4, 1, 0]), ("spectrum", [3, 2])]
    placed = place_arrays(found, {j: k for k, j in enumerate([0, 1, 3, 5, 6, 7])})
    assert {name: a.columns for name, a in placed.items()} == {
        "spectrum (0)": [6, 1, 0],
        "spectrum (1)": [5, 3],
    }
    assert list(place_arrays(found, {3: 2, 5: 3})) == ["spectrum (1)"]
    assert place_arrays(found, {}) is None


def test_arrays_that_a_user_names(table):
    X, _ = table
    arrays = {"s": "spectrum", "i": ("image", (5, 6)), "part": [("table", "centre"), 1]}
    found = named_arrays(X, arrays, ())
    assert [(a.name, len(a.columns), a.shape) for a in found] == [
        ("s", 24, (24,)),
        ("i", 30, (5, 6)),
        ("part", 2, (2,)),
    ]
    (whole,) = named_arrays(pd.DataFrame(np.ones((2, 30))), None, (5, 6))
    assert (whole.columns, whole.shape) == (list(range(30)), (5, 6))
    cells = pd.DataFrame({"a": [1.0, 2.0], "c": [np.ones(3), None]})
    assert [(a.name, a.columns, a.shape) for a in named_arrays(cells, None, ())] == [
        ("c", [1], (3,))
    ]
    assert named_arrays(cells, {"x": "c"}, ())[0].shape == (3,)


def test_errors_of_arrays_that_a_user_names(table):
    X, _ = table
    with pytest.raises(TypeError, match="'arrays' parameter must map names"):
        named_arrays(X, ["spectrum"], ())
    with pytest.raises(ValueError, match=r"'i' the shape \(5, 5\), which has 25 .* 30 columns"):
        named_arrays(X, {"i": ("image", (5, 5))}, ())
    with pytest.raises(ValueError, match="'arrays' parameter names the column 'x'"):
        named_arrays(X, {"i": "x"}, ())


def test_panels(table):
    X, blocks = table
    arrays = [make_array(*block) for block in blocks]
    everything = list(range(56))

    def chosen(columns, decoded=everything):
        panels = panels_of(X, columns, decoded, arrays, "decoded")
        return [getattr(panel, "name", panel) for panel in panels]

    assert chosen(None) == [0, 1, "spectrum", "image"]
    assert chosen(None, everything[:30]) == [0, 1, "spectrum", 26, 27, 28, 29]
    assert chosen("image") == chosen(["image"]) == ["image"]
    assert chosen(["image", ("table", "height"), "spectrum"]) == ["image", 1, "spectrum"]
    assert chosen(slice(1, 26)) == [1, "spectrum"]
    assert chosen([2, 3]) == [2, 3]  # two channels, by themselves
    with pytest.raises(ValueError, match="which is not decoded"):
        chosen("image", everything[:5])


def test_a_column_goes_before_an_array_of_its_name():
    X = pd.DataFrame({"a": [1.0], "b": [2.0], "c": [3.0]})
    array = make_array("a", [1, 2], (2,))
    assert panels_of(X, "a", range(3), [array], "decoded") == [0]


# -- errors


def test_errors_of_rows():
    rng = np.random.RandomState(0)
    true, predicted = rng.normal(size=(2, 6, 5))
    expected = [root_mean_squared_error(*pair) for pair in zip(true, predicted, strict=True)]
    assert_allclose(row_errors(true, predicted, "rmse"), expected)
    mae = np.abs(true - predicted).mean(axis=1)
    assert_allclose(row_errors(true, predicted, "mae"), mae)
    assert_array_equal(row_errors(true, predicted, lambda a, b: a[:, 0]), true[:, 0])
    true[0, 1:], true[1] = np.nan, np.nan
    found = row_errors(true, predicted, "rmse")
    assert found[0] == pytest.approx(abs(true[0, 0] - predicted[0, 0]))
    assert np.isnan(found[1])
    assert_allclose(found[2:], expected[2:])


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_errors_of_rows_in_any_unit(unit):
    rng = np.random.RandomState(0)
    true, predicted = rng.normal(size=(2, 6, 5))
    expected = row_errors(true, predicted, "rmse") * unit
    assert_allclose(row_errors(true * unit, predicted * unit, "rmse"), expected)
    assert pooled_r2(true * unit, predicted * unit) == pytest.approx(pooled_r2(true, predicted))


def test_errors_of_rows_say_what_is_wrong():
    ones = np.ones((3, 2))
    with pytest.raises(ValueError, match=r"'error' parameter must be .* got 'r2'"):
        row_errors(ones, ones, "r2")
    with pytest.raises(ValueError, match=r"'error' parameter must .* 3 rows, got .* \(\)"):
        row_errors(ones, ones, lambda a, b: 0.0)


def test_r2_is_pooled_over_the_elements():
    rng = np.random.RandomState(0)
    true = rng.normal(size=(30, 4)) * [1, 10, 3, 0.1] + [5, 0, 0, 0]
    predicted = true + rng.normal(size=true.shape)
    expected = r2_score(true, predicted, multioutput="variance_weighted")
    assert pooled_r2(true, predicted) == pytest.approx(expected)
    masked = np.column_stack([true, np.full(30, np.nan)])
    assert pooled_r2(masked, np.column_stack([predicted, predicted[:, 0]])) == pytest.approx(
        expected
    )
    assert np.isnan(pooled_r2(np.ones((3, 2)), np.zeros((3, 2))))


# -- examples


def test_examples_are_of_each_quarter():
    error = np.random.RandomState(0).permutation(40).astype(float)
    error = np.append(error, np.nan)
    for state in (None, 0, np.random.RandomState(1)):
        for n_each in (1, 3):
            examples = examples_by_quartile(error, n_each, state)
            assert [quarter for _, quarter in examples] == np.repeat([1, 2, 3, 4], n_each).tolist()
            rows = [row for row, _ in examples]
            assert len(set(rows)) == len(rows)
            assert (error[rows] // 10 + 1 == [quarter for _, quarter in examples]).all()
            assert list(error[rows]) == sorted(error[rows])


def test_examples_without_a_seed_are_the_middle_ones():
    error = np.arange(40.0)
    assert [row for row, _ in examples_by_quartile(error, 1)] == [5, 15, 25, 35]
    rows = {row for seed in range(20) for row, _ in examples_by_quartile(error, 1, seed)}
    assert len(rows) > 20
    assert examples_by_quartile(error, 2, 3) == examples_by_quartile(error, 2, 3)


def test_examples_of_few_rows():
    assert examples_by_quartile(np.array([2.0, 1.0]), 3) == [(1, 1), (0, 2)]
    with pytest.raises(ValueError, match="No row has a measured and a predicted value"):
        examples_by_quartile(np.array([np.nan]), 1)
    with pytest.raises(ValueError, match=r"'n_examples' parameter .* got 0"):
        examples_by_quartile(np.ones(4), 0)
