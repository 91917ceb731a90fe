"""Spectra and images to arrays of floats and back."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from cases.array_tables import SPELLINGS, as_cells, codec_of, fitted_codec, images, spell
from cases.tables import EPS, with_missing
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae._tables._array_codec import (
    ArrayCodec,
    check_shape,
    find_shape,
    indices_of_labels,
    looks_like_channels_last,
    pool_copies,
    shape_of_indices,
)
from sknestedae._tables._layout import Layout
from sknestedae._tables._statistics import column_statistics, standardize_in_place
from sknestedae.exceptions import ChannelOrderWarning, ConstantBlockWarning

SCALES = ["block", "column", None]


# -- spellings


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_encoded_alike_to_the_bit_and_comes_back(spelling, scale):
    X = with_missing(images(shape=(3, 4)))
    expected = fitted_codec(spell(X, "array"), scale=scale, shape=(3, 4))
    table = spell(X, spelling)
    codec = fitted_codec(table, scale=scale, shape=(3, 4))
    assert codec.layout == Layout(12, (), (3, 4), is_standardized=scale is not None)
    assert codec.dtype == np.float64
    values, measured = codec.encode(table)[:2]
    wanted = expected.encode(spell(X, "array"))
    assert_array_equal(values, wanted.values)
    assert_array_equal(measured, ~np.isnan(X.reshape(-1, 12)))
    assert not np.shares_memory(values, np.asarray(table))
    assert values.flags.c_contiguous
    ((positions, decoded),) = codec.decode(values)
    assert positions == list(range(table.shape[1]))
    if decoded.dtype == object:
        assert decoded.shape == (20, 1)
        decoded = np.stack(decoded[:, 0].tolist())
    known = ~np.isnan(X)
    # a difference and a sum of numbers of this size are rounded, and two products
    assert_allclose(decoded.reshape(X.shape)[known], X[known], rtol=0, atol=8 * EPS * 10)


@pytest.mark.parametrize("spelling", ["array", "frame", "blocks of pandas", "objects"])
@pytest.mark.parametrize("positions", [[1, 2, 3, 4], [5, 7, 2, 0]])
def test_columns_of_a_table_in_any_place(spelling, positions):
    X = images(shape=(9,))
    codec = fitted_codec(spell(X, spelling), kind="spectrum", positions=positions)
    alone = fitted_codec(X[:, positions], kind="spectrum")
    assert_array_equal(
        codec.encode(spell(X, spelling)).values, alone.encode(X[:, positions]).values
    )
    assert codec.decode(alone.encode(X[:, positions]).values)[0][0] == positions
    assert codec.entry_columns == positions


def test_the_entries_of_a_cell_are_of_one_column():
    X = pd.DataFrame({"a": [1.0] * 5, "x": as_cells(images(5, (2, 3)))})
    codec = fitted_codec(X, positions=[1])
    assert codec.entry_columns == [1] * 6
    assert codec.decode(codec.encode(X).values)[0][0] == [1]


def test_arrays_that_were_flattened_keep_their_shape():
    codec = fitted_codec(images(shape=(2, 3, 4)).reshape(20, -1), cell_shape=(2, 3, 4))
    assert codec.shape == (2, 3, 4)


@pytest.mark.parametrize("scale", SCALES)
def test_how_an_array_lies_in_memory_does_not_matter(scale):
    X = images(60).reshape(60, -1)
    codec, other = fitted_codec(X, scale=scale), fitted_codec(np.asfortranarray(X), scale=scale)
    values = other.encode(np.asfortranarray(X)).values
    assert_array_equal(values, codec.encode(X).values)
    assert values.flags.c_contiguous


# -- mean and scale


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("subset", [False, True])
@pytest.mark.parametrize("spelling", ["array", "frame", "cells"])
def test_one_scale_is_the_root_mean_square_of_the_deviations(spelling, weighted, missing, subset):
    X = with_missing(images(60)) if missing else images(60)
    rng = np.random.default_rng(2)
    weight = rng.uniform(0.5, 2, 60) if weighted else None
    rows = rng.permutation(60)[:40] if subset else None
    codec = fitted_codec(spell(X, spelling), rows, weight)
    flat = X.reshape(60, -1) if rows is None else X.reshape(60, -1)[rows]
    own = np.ones(60) if weight is None else weight
    w = (own if rows is None else own[rows])[:, None] * ~np.isnan(flat)
    mean = (w * np.nan_to_num(flat)).sum(axis=0) / w.sum(axis=0)
    square = w * np.nan_to_num(flat - mean) ** 2
    # rounding of sums of 60 numbers of this size
    assert_allclose(codec.mean, mean, rtol=60 * EPS)
    assert_allclose(codec.unit, np.sqrt(square.sum() / w.sum()), rtol=2 * 60 * EPS)
    assert_allclose(codec.deviation, np.sqrt(square.sum(axis=0) / w.sum(axis=0)), rtol=1e3 * EPS)


@pytest.mark.parametrize("scale", SCALES)
def test_integer_weights_equal_repeated_rows(scale):
    X = with_missing(images(30))
    weight = np.random.default_rng(0).integers(1, 4, 30)
    table = spell(X, "cells")
    weighted = fitted_codec(table, None, weight.astype(float), scale=scale)
    repeated = fitted_codec(table.iloc[np.repeat(np.arange(30), weight)], scale=scale)
    assert_allclose(weighted.encode(table).values, repeated.encode(table).values, atol=1e3 * EPS)


def test_a_scale_a_column_is_that_of_plain_columns():
    X = images().reshape(20, -1)
    X[:, 3] = 7.0
    mean, scale, _ = column_statistics(iter([(X, None)]))
    codec = fitted_codec(X, scale="column")
    expected = X.copy()
    standardize_in_place(expected, mean, scale)
    assert_array_equal(codec.encode(X).values, expected)
    assert_array_equal(codec.affine(), (mean, scale))
    assert_array_equal(codec.encoded_scale(), np.ones(16))


@pytest.mark.parametrize(("scale", "standardize"), [(None, True), ("block", False)])
def test_without_a_scale_numbers_stay(scale, standardize):
    X = with_missing(images()).reshape(20, -1)
    codec = fitted_codec(X, scale=scale, standardize=standardize)
    values, measured = codec.encode(X)[:2]
    assert_array_equal(values[measured], X[measured])
    assert_array_equal(values, np.where(measured, X, codec.mean))
    assert_array_equal(codec.affine(), (np.zeros(16), np.ones(16)))
    assert_array_equal(codec.decode(values)[0][1], values)
    assert_array_equal(codec.encoded_scale(), np.full(16, codec.unit))


@pytest.mark.parametrize("scale", SCALES)
def test_affine_and_scale_are_those_of_the_encoded_values(scale):
    X = images(200).reshape(200, -1)
    X[:, 5] = 2.5
    codec = fitted_codec(X, scale=scale)
    values = codec.encode(X).values
    mean, divisor = codec.affine()
    assert_allclose(values, (X - mean) / divisor, atol=1e2 * EPS)
    # one for all, the root mean square of theirs; also of an entry that hardly changes, or never
    squares = values.std(axis=0) ** 2
    expected = 1 if scale == "column" else np.sqrt(squares.mean())
    assert_allclose(codec.encoded_scale(), expected, rtol=1e3 * EPS)


@pytest.mark.parametrize("scale", SCALES)
def test_constant_pixels_come_back_as_they_are(scale):
    X = images().reshape(20, -1)
    X[:, [0, 9]] = 0.1, -3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codec = fitted_codec(X, scale=scale)
    decoded = codec.decode(codec.encode(X).values)[0][1]
    assert_array_equal(decoded[:, [0, 9]], X[:, [0, 9]])


def test_numbers_of_any_size_have_a_scale():
    for unit in (1e-200, 1e200):
        X = images().reshape(20, -1)
        codec, plain = fitted_codec(X * unit), fitted_codec(X)
        assert_allclose(codec.unit / unit, plain.unit, rtol=1e2 * EPS)
        assert_allclose(codec.encode(X * unit).values, plain.encode(X).values, atol=1e3 * EPS)


def test_single_precision_numbers_are_summed_in_double_precision():
    """Sums of 40,000 of them would err by more in single precision than the mean does here."""
    X = (1000 + np.random.default_rng(0).normal(size=(40_000, 4))).astype(np.float32)
    codec = fitted_codec(X)
    exact = X.astype(np.float64)
    # numbers around 1000 are told apart to 6e-5 in single precision
    assert_allclose(codec.mean, exact.mean(axis=0), rtol=0, atol=1e-8)
    assert_allclose(codec.unit, np.sqrt(exact.var(axis=0).mean()), rtol=1e-6)
    assert codec.encode(X).values.dtype == np.float32


@pytest.mark.parametrize("rows", [None, np.arange(3, 21)])
@pytest.mark.parametrize("spelling", ["array", "frame", "cells"])
def test_what_is_learnt_does_not_depend_on_chunks(monkeypatch, spelling, rows):
    X = with_missing(images(23))
    table = spell(X, spelling)
    weight = np.random.default_rng(0).uniform(0.5, 2, 23)
    whole = fitted_codec(table, rows, weight)
    values, measured = whole.encode(table)[:2]
    monkeypatch.setattr("sknestedae._tables._columns._CHUNK_VALUES", 5 * 16)  # 5 rows
    codec = fitted_codec(table, rows, weight)
    assert_allclose(codec.mean, whole.mean, rtol=60 * EPS)
    assert_allclose(codec.unit, whole.unit, rtol=60 * EPS)
    again = codec.encode(table)
    assert_allclose(again.values, values, atol=1e3 * EPS)
    assert_array_equal(again.measured, measured)
    assert_allclose(
        np.array(codec.decode(values)[0][1].tolist(), float).ravel(),
        np.array(whole.decode(values)[0][1].tolist(), float).ravel(),
        atol=1e3 * EPS,
    )


# -- copies that are to be the same

MIRRORED = np.array([[0, 1, 2, 3], [3, 2, 1, 0]])  # of a spectrum, say


@pytest.mark.parametrize("unit", [1.0, 1e200, 1e-200])
def test_pooled_statistics_are_those_of_all_copies(unit):
    X = with_missing(images(30, (4,))) * unit
    w = ~np.isnan(X)
    mean, deviation = np.nanmean(X, axis=0), np.nanstd(X / unit, axis=0) * unit
    pooled = pool_copies(mean, deviation, w.sum(axis=0).astype(float), MIRRORED)
    copies = np.concatenate([X[:, place] for place in MIRRORED])
    assert_allclose(pooled[0], np.nanmean(copies, axis=0), rtol=1e2 * EPS)
    assert_allclose(pooled[1] / unit, np.nanstd(copies / unit, axis=0), rtol=1e2 * EPS)
    assert_array_equal(pooled[2], (~np.isnan(copies)).sum(axis=0))


@pytest.mark.parametrize("value", [0.0, 0.3, 0.7])
def test_entries_that_are_constant_in_all_copies_stay_so(value):
    """What rounding leaves of a mean is no deviation: it would be divided by."""
    mean, deviation = np.array([value, 2.0, 5.0, value]), np.array([0.0, 0.5, 0.25, 0.0])
    weight = np.array([3.0, 1.0, 2.0, 0.7])
    pooled = pool_copies(mean, deviation, weight, MIRRORED)
    assert_array_equal(pooled[0][[0, 3]], value)
    assert_array_equal(pooled[1] == 0, [True, False, False, True])
    X = np.tile([value, 2.0, 5.0, value], (4, 1))
    with pytest.warns(ConstantBlockWarning):  # the copies differ from each other
        fitted_codec(np.tile([value] * 4, (4, 1)), kind="spectrum", copies=lambda shape: MIRRORED)
    codec = fitted_codec(X, kind="spectrum", copies=lambda shape: MIRRORED)
    assert_allclose(codec.deviation, [0, 1.5, 1.5, 0])
    assert_array_equal(codec.encoded_scale()[[0, 3]], 1)


# -- missing values


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_row_that_was_not_measured_is_encoded_as_the_missing_row(scale, missing):
    X = pd.DataFrame({"x": as_cells(images(6))})
    codec = fitted_codec(X, scale=scale)
    assert codec.encode(X).measured is None
    given = X.copy()
    given.loc[2, "x"] = missing
    values, measured = codec.encode(given)[:2]
    assert_array_equal(values[2], codec.missing_row())
    assert_array_equal(measured.any(axis=1), np.arange(6) != 2)
    nothing, measured = codec.encode(pd.DataFrame({"x": np.full(3, np.nan)}))[
        :2
    ]  # of no cell at all
    assert_array_equal(nothing, np.tile(codec.missing_row(), (3, 1)))
    assert not measured.any()


@pytest.mark.parametrize(
    ("kind", "shape", "entry", "name"),
    [
        ("spectrum", (6,), 4, "channel 4"),
        ("image", (2, 3), 4, r"pixel \(1, 1\)"),
        ("image", (2, 2, 2), 6, r"pixel \(1, 1, 0\)"),
        ("sound", (3, 2), 4, r"entry \(2, 0\)"),
    ],
)
@pytest.mark.parametrize("spelling", ["frame", "cells"])
def test_an_entry_without_a_value_is_named(kind, shape, entry, name, spelling):
    X = images(10, shape)
    X.reshape(10, -1)[:7, entry] = np.nan
    where = rf" \(column 'p{entry}'\)" if spelling == "frame" else ""
    column = "" if spelling == "frame" else " in column 'x'"
    message = rf"The {kind}{column} has no measured value of {name}{where} in the rows to learn"
    rows = np.arange(7)
    table = spell(X, spelling)
    given = {} if spelling == "cells" else {"shape": shape}
    with pytest.raises(
        ValueError, match=message + r" from \(early stopping holds the others out\)"
    ):
        fitted_codec(table, rows, kind=kind, **given)
    with pytest.raises(ValueError, match=message + " from;"):
        fitted_codec(table.iloc[:7], kind=kind, **given)
    fitted_codec(table, kind=kind, **given)


def test_other_entries_without_a_value_are_counted():
    X = images(5, (6,))
    X[:, [1, 2, 5]] = np.nan
    with pytest.raises(ValueError, match=r"channel 1 .*, nor have 2 others"):
        fitted_codec(X, kind="spectrum")


# -- dtypes


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float16", "float32"),
        ("float32", "float32"),
        ("uint8", "float32"),
        ("int8", "float32"),
        ("uint16", "float32"),
        ("int16", "float32"),
        ("bool", "float32"),
        ("int32", "float64"),
        ("uint32", "float64"),
        ("int64", "float64"),
        ("float64", "float64"),
    ],
)
def test_single_precision_where_it_holds_every_number(dtype, expected):
    X = (images(8) * 10).astype(dtype)
    X[:, 0, 0] = np.arange(8) % 2
    for spelling in ("array", "frame", "cells"):
        assert codec_of(spell(X, spelling)).prepare(spell(X, spelling)) == expected
    assert codec_of(spell(X, "lists")).prepare(spell(X, "lists")) == (
        "float32" if dtype == "bool" else "float64"  # numbers of Python are of 64 bits
    )


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("Int16", "float32"), ("Float32", "float32"), ("boolean", "float32"), ("Int32", "float64")],
)
def test_dtypes_that_can_be_missing(dtype, expected):
    X = pd.DataFrame({"a": [1, 0, 1, None], "b": [0, 1, None, 1]}).astype(dtype)
    codec = codec_of(X, kind="spectrum")
    assert codec.prepare(X) == expected
    values, measured = codec.fit(X, np.dtype(expected)).encode(X)[:2]
    assert_array_equal(measured, X.notna())
    assert values.dtype == expected


def test_one_column_of_double_precision_makes_all_so():
    X = pd.DataFrame(images().astype(np.float32).reshape(20, -1))
    assert codec_of(X).prepare(X) == np.float32
    X[3] = X[3].astype(np.float64)
    assert codec_of(X).prepare(X) == np.float64
    cells = pd.DataFrame({"x": as_cells([np.ones((2, 2), np.float32), np.ones((2, 2))])})
    assert codec_of(cells).prepare(cells) == np.float64


@pytest.mark.parametrize("spelling", ["array", "frame", "cells"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16"])
def test_small_integers_do_not_wrap(spelling, dtype):
    """The difference of a pixel and a mean, and sums of pixels, are out of their range."""
    bounds = np.iinfo(dtype)
    X = np.random.default_rng(0).choice([bounds.min, bounds.max], (300, 2, 2)).astype(dtype)
    table = spell(X, spelling)
    codec = fitted_codec(table)
    exact = X.reshape(300, -1).astype(np.float64)
    assert_allclose(codec.mean, exact.mean(axis=0), rtol=1e3 * EPS)
    expected = (exact - codec.mean) / codec.unit
    assert_allclose(codec.encode(table).values, expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "float32", "float16", "bool"])
def test_cells_come_back_in_their_dtype_and_range(dtype):
    X = (images(8, (2, 2)) * 10).astype(dtype)
    X[:, 0, 0] = np.arange(8) % 2
    table = pd.DataFrame({"x": as_cells(X)})
    codec = fitted_codec(table)
    values = codec.encode(table).values
    decoded = np.stack(codec.decode(values)[0][1][:, 0].tolist())
    assert decoded.dtype == dtype
    eps = np.finfo("float16" if dtype == "float16" else "float32").eps
    assert_allclose(decoded.astype(float), X.astype(float), atol=4 * eps * np.abs(X).max())


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_integers_in_cells_stay_in_their_range(dtype):
    table = pd.DataFrame({"x": as_cells((images(8, (2, 2)) * 10).astype(dtype))})
    ((_, decoded),) = fitted_codec(table).decode(np.full((2, 4), [[1e9], [-1e9]]))
    assert_array_equal(decoded[0, 0], np.iinfo(dtype).max)
    assert_array_equal(decoded[1, 0], np.iinfo(dtype).min)


def test_cells_of_several_dtypes_come_back_in_one_that_holds_all():
    table = pd.DataFrame({"x": as_cells([np.uint8([1, 200]), np.int8([-3, 4]), np.uint8([5, 6])])})
    codec = fitted_codec(table, kind="spectrum")
    assert codec.dtype == np.float32
    assert codec.decode(codec.encode(table).values)[0][1][0, 0].dtype == np.int16


def test_columns_come_back_within_the_range_of_floats():
    X = images().astype(np.float32).reshape(20, -1)
    decoded = fitted_codec(X).decode(np.full((1, 16), 3e38, np.float32))[0][1]
    assert decoded.dtype == np.float32
    assert np.isfinite(decoded).all()


# -- shapes


@pytest.mark.parametrize(
    ("kind", "n", "given", "found", "labels", "expected"),
    [
        ("spectrum", 7, None, (), [], (7,)),
        ("spectrum", 7, None, (7,), [], (7,)),
        ("spectrum", 4, None, (), ["0,0", "0,1", "1,0", "1,1"], (4,)),
        ("image", 16, None, (), [], (4, 4)),
        ("image", 1, None, (), [], (1, 1)),
        ("image", 12, (3, 4), (), [], (3, 4)),
        ("image", 12, [1, 3, 4], (), [], (1, 3, 4)),
        ("image", 12, (3, 4), (3, 4), [], (3, 4)),
        ("image", 12, None, (2, 6), [], (2, 6)),
        ("image", 4, None, (), [("i", "0,0"), ("i", "0,1"), ("i", "1,0"), ("i", "1,1")], (2, 2)),
        ("image", 6, None, (), ["0,7", "0,8", "0,9", "3,7", "3,8", "3,9"], (2, 3)),
        ("image", 4, (4, 1), (), ["0,0", "0,1", "1,0", "1,1"], (4, 1)),
        ("image", 300, (100, 1, 3), (), [], (100, 1, 3)),
        ("image", 1000, (25, 10, 4), (25, 10, 4), [], (25, 10, 4)),
        ("sound", 6, None, (), [], (6,)),
        ("sound", 6, None, (2, 3), [], (2, 3)),
        ("sound", 6, (1, 2, 3, 1), (), [], (1, 2, 3, 1)),
        ("sound", 4, None, (), ["0,0", "0,1", "1,0", "1,1"], (2, 2)),
        ("sound", 2, None, (), ["0,5", "1,6"], (2,)),  # decimal commas, say
    ],
)
def test_a_shape_is_found(kind, n, given, found, labels, expected):
    assert find_shape(kind, n, given, found, labels) == expected


@pytest.mark.parametrize(
    ("kind", "n", "given", "found", "labels", "message"),
    [
        (
            "image",
            12,
            None,
            (),
            [],
            "The image has 12 columns, which are not a square.*shape=\\(h",
        ),
        ("image", 12, (4, 4), (), [], r"has 12 columns, but shape=\(4, 4\) needs 16"),
        ("image", 16, (2, 8), (4, 4), [], r"arrays of shape \(4, 4\), but shape=\(2, 8\)"),
        ("image", 16, None, (16,), [], r"of shape \(16,\); it must have the shape \(height, wid"),
        ("image", 16, None, (1, 1, 4, 4), [], r"of shape \(1, 1, 4, 4\); it must"),
        ("spectrum", 16, None, (4, 4), [], r"of shape \(4, 4\); it must have.*\(n_channels,\)"),
        ("spectrum", 16, (4, 4), (), [], r"'shape' parameter of the spectrum.*got \(4, 4\)"),
        ("image", 300, None, (10, 10, 3), [], r"looks like \(height, width, channels\)"),
        ("image", 4, None, (), ["0,0", "1,0", "0,1", "1,1"], "not those of one image, row by row"),
        ("image", 3, None, (), ["0,0", "0,1", "1,0"], "not those of one image"),
    ],
)
def test_shapes_that_contradict_or_are_none(kind, n, given, found, labels, message):
    with pytest.raises(ValueError, match=message):
        find_shape(kind, n, given, found, labels)


@pytest.mark.parametrize("shape", [(0, 4), (-1, 2), (2.0, 2), "ab", 4, None, (), (1, 2, 3, 4)])
def test_what_is_no_shape_of_an_image(shape):
    with pytest.raises(
        ValueError, match=r"'shape' parameter of the image must be a tuple.*\(chan"
    ):
        check_shape("image", shape)


def test_sizes_may_be_integers_of_numpy():
    assert check_shape("image", np.array([3, 4])) == (3, 4)
    assert check_shape("spectrum", 5) == (5,)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((16, 16, 3), True),
        ((64, 48, 1), True),
        ((5, 5, 4), True),
        ((3, 16, 16), False),
        ((3, 16, 4), False),
        ((16, 3, 3), False),
        ((16, 16, 5), False),
        ((16, 3), False),
    ],
)
def test_channels_last_is_told_where_it_is_plain(shape, expected):
    assert looks_like_channels_last(shape) == expected


def test_a_shape_with_channels_last_warns_where_no_array_shows_it():
    with pytest.warns(ChannelOrderWarning, match=r"shape=\(8, 8, 3\).*8 channels of 8 x 3"):
        find_shape("image", 192, (8, 8, 3), (), [])


def test_indices_are_read_off_labels():
    assert indices_of_labels(["0,0", ("image", "12,3")]) == [(0, 0), (12, 3)]
    for labels in ([], [0, 1], ["a"], ["1"], ["1,2", "1,2,3"], ["1, 2"], [("1,2", "a")], ["-1,0"]):
        assert indices_of_labels(labels) is None
    assert shape_of_indices([(1, 0, 0), (1, 0, 5), (4, 0, 0), (4, 0, 5)]) == (2, 1, 2)
    assert shape_of_indices([(0, 0), (0, 0)]) is None
    assert shape_of_indices([(0, 1), (0, 0)]) is None


# -- bad input


@pytest.mark.parametrize("infinity", [np.inf, -np.inf])
@pytest.mark.parametrize("scale", ["block", None])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_infinity_is_named_with_its_entry_and_row(monkeypatch, spelling, scale, infinity):
    monkeypatch.setattr("sknestedae._tables._columns._CHUNK_VALUES", 4 * 16)  # 4 rows
    X = images(10)
    good = spell(X, spelling)
    X = X.copy()
    X[6, 1, 2] = infinity
    message = r"The image.* contains infinity .* pixel \(1, 2\).*\(first in row 6\)"
    with pytest.raises(ValueError, match=message):
        fitted_codec(spell(X, spelling), scale=scale)
    with pytest.raises(ValueError, match=message):  # also in a row that is not learnt from
        fitted_codec(spell(X, spelling), np.array([0, 1, 8]), scale=scale)
    with pytest.raises(ValueError, match=message):
        fitted_codec(good, scale=scale).encode(spell(X, spelling))


def test_what_is_too_large_for_single_precision():
    X = images().astype(np.float32).reshape(20, -1)
    codec, far = fitted_codec(X), X.astype(np.float64)
    far[3, 5] = 1e39
    with pytest.raises(ValueError, match=r"too large for float32, in pixel \(1, 1\) .*row 3"):
        codec.encode(far)
    cells = pd.DataFrame({"x": as_cells(X.reshape(-1, 4, 4))})
    far = pd.DataFrame({"x": as_cells(far.reshape(-1, 4, 4))})
    with pytest.raises(ValueError, match=r"too large for float32, in pixel \(1, 1\) .*row 3"):
        fitted_codec(cells).encode(far)


@pytest.mark.parametrize("name", ["fit", "encode"])
def test_shapes_that_differ_are_named_with_their_row(name):
    X = pd.DataFrame({"a": [1.0] * 4, "x": as_cells(images(4, (2, 3)), missing=[0])})
    codec = fitted_codec(X, positions=[1])
    bad = X.copy()
    bad.at[2, "x"] = np.ones((3, 2))
    message = {
        "fit": r"column 'x' has arrays of several shapes: \(2, 3\) in row 1 and \(3, 2\) in row 2",
        "encode": r"column 'x' has an array of shape \(3, 2\) in row 2; it must .* \(2, 3\)",
    }[name]
    with pytest.raises(ValueError, match=message):
        codec.encode(bad) if name == "encode" else fitted_codec(bad, positions=[1])


@pytest.mark.parametrize(
    ("cell", "error", "message"),
    [
        (np.array([["a", "b"]] * 2), TypeError, "row 2 holds an array of <U1"),
        (np.ones((2, 2), complex), TypeError, "row 2 holds an array of complex128"),
        (1.5, TypeError, "row 2 holds 1.5, which is no array"),
        ("word", TypeError, "row 2 holds 'word', which is no array"),
        ([[1.0], [1.0, 2.0]], ValueError, "lists of several lengths in row 2"),
    ],
)
def test_cells_that_hold_no_array_of_numbers(cell, error, message):
    X = pd.DataFrame({"x": as_cells(images(4, (2, 2)))})
    codec, bad = fitted_codec(X), X.copy()
    bad.at[2, "x"] = cell
    for call in (lambda: fitted_codec(bad), lambda: codec.encode(bad)):
        with pytest.raises(error, match=f"The image in column 'x'.*{message}"):
            call()


def test_arrays_without_an_entry():
    X = pd.DataFrame({"x": as_cells([np.ones((0, 2))] * 3)})
    with pytest.raises(ValueError, match=r"arrays without an entry, of shape \(0, 2\)"):
        fitted_codec(X)


def test_columns_that_hold_words():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    with pytest.raises(
        TypeError, match=r"The spectrum cannot be read\. Column 'b' is numeric.*'x'"
    ):
        fitted_codec(X, kind="spectrum")
    dates = X.assign(b=pd.Timestamp("2024-01-01"))
    with pytest.raises(TypeError, match=r"The spectrum cannot be read\. Column 'b' has dtype"):
        fitted_codec(dates, kind="spectrum")


def test_arrays_beside_other_columns_of_a_block():
    X = pd.DataFrame({"a": [1.0] * 3, "x": as_cells(images(3))})
    with pytest.raises(ValueError, match="The image has 2 columns, of which 'x' holds arrays"):
        fitted_codec(X)


def test_an_unknown_scale():
    with pytest.raises(ValueError, match=r"'scale' parameter of the image must be .*, got 'row'"):
        codec_of(images().reshape(20, -1), scale="row")


@pytest.mark.parametrize("spelling", ["array", "cells"])
@pytest.mark.parametrize("scale", SCALES)
def test_a_block_that_never_varies_warns(spelling, scale):
    X = np.tile(images(1), (5, 1, 1))
    with pytest.warns(ConstantBlockWarning, match="same in all rows .*none of its 16 pixels"):
        codec = fitted_codec(spell(X, spelling), scale=scale)
    assert codec.unit == 1
    values = codec.encode(spell(X, spelling)).values
    assert_array_equal(values, 0 if scale else X.reshape(5, -1))
    X[4, 0, 0] += 1  # one pixel in one row varies
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted_codec(spell(X, spelling), scale=scale)


# -- keys, memory, files


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_equal_arrays_have_equal_keys(spelling):
    X = with_missing(images(12))
    X[7] = X[3]
    table = spell(X, spelling)
    codec = codec_of(table)
    keys = codec.digest(table)
    assert keys.dtype == np.uint64
    assert keys[7] == keys[3]
    assert len(set(keys)) == 11


def test_keys_are_those_of_the_block_alone():
    X = pd.DataFrame({"a": range(4), "x": as_cells([np.ones(3), np.zeros(3)] * 2)})
    keys = codec_of(X, kind="spectrum", positions=[1]).digest(X)
    assert keys[0] == keys[2] != keys[1] == keys[3]


@pytest.mark.parametrize("spelling", ["array", "frame", "blocks of pandas", "cells"])
def test_fitting_and_encoding_take_one_copy(monkeypatch, spelling):
    """Chunks of 16 rows of 512: what they need is little beside the encoded values, of 2 MiB."""
    monkeypatch.setattr("sknestedae._tables._columns._CHUNK_VALUES", 2**14)
    X = images(1024, (512,), dtype=np.float32)
    table = spell(X, spelling)
    codec = codec_of(table, kind="spectrum")
    tracemalloc.start()
    codec.fit(table, codec.prepare(table))
    encoded = codec.encode(table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert encoded.values.nbytes == X.nbytes
    assert peak < 1.5 * X.nbytes


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("spelling", ["frame", "cells"])
def test_a_codec_is_made_anew_of_its_state(spelling, scale):
    X = spell(with_missing(images(dtype=np.float32)), spelling)
    codec = fitted_codec(X, scale=scale)
    again = ArrayCodec(codec.columns, kind="image", scale=scale)
    again.set_state(codec.get_state())
    assert again.layout == codec.layout
    assert again.entry_columns == codec.entry_columns
    values, measured = codec.encode(X)[:2]
    assert_array_equal(again.encode(X).values, values)
    assert_array_equal(again.encode(X).measured, measured)
    (ours, decoded), (theirs, anew) = codec.decode(values)[0], again.decode(values)[0]
    assert ours == theirs
    assert decoded.dtype == anew.dtype
    for one, other in zip(decoded.ravel(), anew.ravel(), strict=True):
        assert_array_equal(one, other)
    for value in codec.get_state().values():
        assert isinstance(value, str | float | list | np.ndarray | None)


@pytest.mark.parametrize("scale", SCALES)
def test_pixels_do_not_mix(scale):
    """What one pixel holds changes the shared unit of all, and nothing else of the others."""
    X = images().reshape(20, -1)
    codec = fitted_codec(X, scale=scale)
    changed = X.copy()
    changed[3, 5] += 10
    ours, theirs = codec.encode(X).values, codec.encode(changed).values
    others = np.ones(X.shape, bool)
    others[3, 5] = False
    assert_array_equal(ours[others], theirs[others])
    assert ours[3, 5] != theirs[3, 5]
