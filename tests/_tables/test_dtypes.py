"""Columns of every dtype come back in it."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from cases.array_tables import as_cells
from cases.tables import EPS, encode, round_trip
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from sknestedae._tables import _dtypes
from sknestedae._tables._dtypes import (
    assemble,
    cast_numbers,
    clip_to_float,
    dtype_groups,
    dtype_spec,
    frame_of,
    restore_dtype,
    selector,
)
from sknestedae._tables._encoder import TableEncoder
from sknestedae._tables._layout import DEFAULT_BLOCK, Layout

COLUMNS = {
    **{
        name: np.array([1, 100, 3, 7], dtype=name)
        for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    },
    "float32": np.array([1, -2, 3, 5], np.float32),
    "float64": [0.25, 1e6, -3, 5],
    "Int8": pd.array([1, 100, 3, 7], "Int8"),
    "UInt64": pd.array([1, 100, 3, 7], "UInt64"),
    "Float32": pd.array([1, 2, 3, 4], "Float32"),
    "Float64": pd.array([0.25, 2, 3, 4], "Float64"),
    "sparse": pd.arrays.SparseArray([0, 0, 1, 2]),
    "sparse floats": pd.arrays.SparseArray([0.0, 0.0, 1.5, 2.5], fill_value=0.0),
    "constant": [7, 7, 7, 7],
    "bool": [True, False, False, True],
    "boolean": pd.array([True, False, True, True], "boolean"),
    "str": ["x", "y", "", "x"],
    "string": pd.array(["x", "y", "", "x"], "string"),
    "string of Python": pd.array(["x", "y", "", "x"], pd.StringDtype("python")),
    "Arrow's strings": pd.array(["x", "y", "", "x"], pd.ArrowDtype(pa.string())),
    "Arrow's integers": pd.array([1, 100, 3, 7], pd.ArrowDtype(pa.int16())),
    "Arrow's booleans": pd.array([True, False, True, True], pd.ArrowDtype(pa.bool_())),
    "Arrow's decimals": pd.array(
        [Decimal("1.25"), Decimal("2.50"), Decimal("3.00"), Decimal("-4.75")],
        pd.ArrowDtype(pa.decimal128(9, 2)),
    ),
    "objects": np.array(["x", "y", True, 2.5], object),
    "numbers as objects": np.array([1.0, 2, 3, 4], object),
    "category": pd.Categorical(list("abca"), categories=list("zcba")),
    "ordered": pd.Categorical(list("abca"), categories=list("zcba"), ordered=True),
    "integers": pd.Categorical([3, 1, 2, 3]),
    "floats": pd.Categorical([0.5, 1.5, 0.5, 2.5]),
    "bools": pd.Categorical([True, False, False, True]),
    "dates": pd.Categorical(pd.to_datetime(["2020-01-01", "2021-01-01"] * 2)),
    "intervals": pd.cut([1.0, 2.0, 3.0, 4.0], 3),
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_round_trip_of_a_column(column):
    X = pd.DataFrame({"a": column}, index=["r", "s", "t", "u"])
    # float32's eps, relative to the largest value
    assert_frame_equal(round_trip(X), X, rtol=0, atol=8 * np.finfo(np.float32).eps * 100)


def test_round_trip_of_all_columns_at_once():
    X = pd.DataFrame(COLUMNS, index=pd.date_range("2020-01-01", periods=4, freq="W"))
    assert_frame_equal(round_trip(X), X, rtol=0, atol=8 * EPS * 1e6)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "Int16"])
def test_decoded_integers_stay_in_their_range(dtype, standardize):
    X = pd.DataFrame({"a": pd.array([0, 100], dtype=dtype)})
    encoder = TableEncoder(standardize=standardize).fit(X)
    far = encoder.inverse_transform({DEFAULT_BLOCK: np.array([[-1e6], [1e6]])})
    bounds = np.iinfo(dtype.lower())
    assert far["a"].tolist() == [bounds.min, bounds.max]
    assert far["a"].dtype == X["a"].dtype


@pytest.mark.parametrize("dtype", ["float16", "float32", "Float32", "float64"])
def test_decoded_floats_stay_in_their_range(dtype):
    X = pd.DataFrame({"a": pd.Series([0, 1], dtype=dtype), "b": [0.0, 1.0]})
    encoder = TableEncoder(standardize=False).fit(X)
    far = encoder.inverse_transform({DEFAULT_BLOCK: np.array([[-1e300, 0], [1e300, 0]])})
    bounds = np.finfo(dtype.lower())
    top = min(float(bounds.max), 1e300)
    assert far["a"].tolist() == [-top, top]
    assert far["a"].dtype == X["a"].dtype
    encoder = TableEncoder().fit(np.array([[-3e38], [3e38], [3e38]], np.float32))
    found = encoder.inverse_transform({DEFAULT_BLOCK: np.array([[-2.0], [2.0]], np.float32)})
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_decoded_integers_and_bools_are_rounded():
    X = pd.DataFrame({"i": [0, 9], "n": pd.array([0, 9], "Int64"), "b": [False, True]})
    encoder = TableEncoder(None, standardize=False).fit(X)
    decoded = np.array([[1.7, 1.7, 0.7], [-0.6, -0.6, 0.3]])
    found = encoder.inverse_transform({DEFAULT_BLOCK: decoded})
    expected = pd.DataFrame({"i": [2, -1], "n": [2, -1], "b": [True, False]})
    assert_frame_equal(found, expected.astype({"n": "Int64"}))


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_decoded_64_bit_integers_do_not_wrap(dtype):
    bounds = np.iinfo(dtype)
    X = pd.DataFrame({"a": np.array([bounds.min, bounds.max], dtype)})
    found = round_trip(X)["a"]
    assert found.dtype == dtype
    # A float64 near the largest integer has a spacing of eps times it.
    assert abs(int(found[1]) - bounds.max) <= 4 * EPS * bounds.max
    assert abs(int(found[0]) - bounds.min) <= 4 * EPS * bounds.max


def test_bools_as_numbers_come_back_as_bools():
    X = pd.DataFrame({"a": [True, False, True]})
    encoder, (values, *_) = encode(X, categorical_features=None)
    assert encoder.layouts == {DEFAULT_BLOCK: Layout(1)}
    assert values.shape == (3, 1)
    assert_frame_equal(round_trip(X, categorical_features=None), X)


# -- many columns at once


def test_columns_are_grouped_by_their_dtype_of_plain_numbers():
    float32, int8, boolean = map(np.dtype, ("float32", "int8", "bool"))
    dtypes = [float32, float32, object, int8, pd.Int8Dtype(), np.dtype("float32"), boolean]
    found = dtype_groups([*dtypes, np.dtype("datetime64[ns]"), np.dtype(object)])
    assert found == {float32: [0, 1, 5], None: [2, 4, 7, 8], int8: [3], boolean: [6]}
    assert dtype_groups([]) == {}


def test_positions_that_follow_each_other_are_a_slice():
    assert selector([3, 4, 5]) == slice(3, 6)
    assert selector(range(2)) == slice(0, 2)
    assert selector([3, 5]) == [3, 5]
    assert selector([5, 4]) == [5, 4]
    assert selector([]) == []


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int64", "bool"])
def test_many_columns_are_cast_as_each_is(dtype):
    values = np.array([[0.4, 1e300, -3.6], [0.6, -1e300, 200.5], [-np.inf, np.inf, 0]])
    found = cast_numbers(values, np.dtype(dtype))
    assert found.dtype == dtype
    for k in range(3):
        assert_array_equal(found[:, k], restore_dtype(values[:, k], dtype))


def test_single_precision_is_clipped_without_a_detour():
    values = np.array([np.inf, -np.inf, 1.5, np.nan], np.float32)
    top = np.finfo(np.float32).max
    assert_array_equal(clip_to_float(values, np.dtype("float32")), [top, -top, 1.5, np.nan])


DECODED = {
    "float64": np.array([0.5, 1e6, -3.0]),
    "float32": np.array([0.5, 1e6, 1e300]),
    "uint8": np.array([0.6, 300, -3.0]),
    "Int64": np.array([0.6, 300, -3.0]),
    "bool": np.array([0.4, 0.6, 1.0]),
    "category": np.array(["x", "y", "x"], object),
    "object": np.array(["x", 2, None], object),
    "float64 again": np.array([1.5, 2.5, 3.5]),
}


@pytest.mark.parametrize("order", [range(8), [3, 0, 5, 7, 1, 6, 2, 4]])
@pytest.mark.parametrize("apart", [False, True])
def test_a_frame_is_put_together_as_each_column_is(order, apart):
    """Of pieces in any order, with one column or many each."""
    names = [list(DECODED)[j] for j in order]
    dtype = pd.CategoricalDtype(["y", "x"])
    specs = [dtype_spec(dtype) if n == "category" else n.removesuffix(" again") for n in names]
    numbers = [j for j in range(8) if DECODED[names[j]].dtype != object]
    if apart:
        pieces = [([j], DECODED[names[j]][:, None]) for j in range(8)]
    else:
        pieces = [(numbers, np.column_stack([DECODED[names[j]] for j in numbers]))]
        pieces += [([j], DECODED[names[j]][:, None]) for j in range(8) if j not in numbers]
    labels = pd.MultiIndex.from_arrays([["s"] * 8, names], names=["kind", None])
    index = pd.Index(["r", "r", "t"])
    found = frame_of(pieces, labels, specs, index)
    expected = pd.concat(
        [restore_dtype(DECODED[n], spec) for n, spec in zip(names, specs, strict=True)], axis=1
    )
    assert_frame_equal(found, expected.set_axis(labels, axis=1).set_axis(index))
    assert_frame_equal(
        frame_of(pieces, labels, specs), expected.set_axis(labels, axis=1), check_index_type=False
    )


def test_cells_with_arrays_are_put_into_a_column():
    cells = as_cells([np.ones(2), np.zeros(2)])
    found = frame_of(
        [([1], cells[:, None]), ([0], np.ones((2, 1)))],
        pd.Index(["a", "x"]),
        ["float64", "object"],
    )
    assert found["x"].iloc[1] is cells[1]
    assert found.dtypes.tolist() == [np.dtype("float64"), np.dtype(object)]


def test_columns_of_one_dtype_are_restored_at_once(monkeypatch):
    monkeypatch.setattr(_dtypes, "restore_dtype", None)
    values = np.random.default_rng(0).normal(size=(5, 1000)).astype(np.float32)
    specs = ["float32"] * 999 + ["uint8"]
    found = frame_of([(range(1000), values)], pd.RangeIndex(1000), specs)
    assert_array_equal(found.iloc[:, :999], values[:, :999])
    assert found.dtypes.astype(str).tolist() == specs


def test_decoded_values_do_not_change_with_the_frame():
    values = np.ones((3, 2))
    frame = frame_of([([0, 1], values)], pd.RangeIndex(2), ["float64"] * 2)
    values[:] = 7
    assert_array_equal(frame, np.ones((3, 2)))


def test_frames_side_by_side_have_the_rows_of_the_first():
    first = pd.DataFrame({"a": [1, 2], "b": [3, 4]}, index=["r", "r"])
    found = assemble([first, pd.DataFrame({"a": [5, 6]})], [2, 0, 1])
    assert_frame_equal(found, pd.DataFrame([[3, 5, 1], [4, 6, 2]], index=["r", "r"]))
