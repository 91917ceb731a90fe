"""Arrays and tables of several kinds to one table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from cases.array_tables import as_cells, images
from numpy.testing import assert_array_equal

from sknestedae import stack_kinds
from sknestedae._tables._array_codec import find_shape

ROWS = ["r", "s", "t", "u"]


def spectra(n_rows=4, dtype=np.float32):
    return np.arange(n_rows * 3).reshape(n_rows, 3).astype(dtype)


def table(rows=ROWS):
    columns = {"size": [1.5, 2.5, np.nan, 4.5], "count": [1, 2, 3, 4], "word": list("abac")}
    return pd.DataFrame(columns, index=["r", "s", "t", "u"]).loc[list(rows)]


@pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 2, 3), (1, 1)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64", "bool"])
def test_the_entries_of_an_array_are_columns_from_which_its_shape_is_found(shape, dtype):
    X = images(5, shape, dtype=dtype)
    stacked = stack_kinds(image=X, table=pd.DataFrame({"a": range(5)}))
    assert set(stacked["image"].dtypes) == {np.dtype(dtype)}
    assert_array_equal(stacked["image"].to_numpy().reshape(X.shape), X)
    labels = [label for label in stacked.columns if label[0] == "image"]
    kind = "image" if len(shape) > 1 else "spectrum"
    assert find_shape(kind, X[0].size, None, (), labels) == shape
    assert stacked.columns.names == ["kind", None]


def test_labels_of_features():
    X = stack_kinds(image=images(4, (2, 3)), spectrum=spectra(), one=np.ones(4), table=table())
    assert list(X["image"].columns) == ["0,0", "0,1", "0,2", "1,0", "1,1", "1,2"]
    assert list(X["spectrum"].columns) == [0, 1, 2]
    assert list(X["one"].columns) == [0]
    assert list(X["table"].columns) == ["size", "count", "word"]
    assert list(stack_kinds(image=images(1, (2, 1, 2)))["image"].columns)[2] == "1,0,0"
    named = stack_kinds(a=pd.Series([1.0, 2.0], name="length"), b=pd.Series([1.0, 2.0]))
    assert list(named.columns) == [("a", "length"), ("b", 0)]


def test_columns_of_a_frame_keep_their_dtypes():
    words = table().astype({"word": "category"})
    X = stack_kinds(table=words, spectrum=pd.DataFrame(spectra(), index=ROWS))
    pd.testing.assert_frame_equal(X["table"], words, check_names=False, check_column_type=False)
    assert X.index.equals(words.index)


SPELLINGS = {
    "list": lambda X: X.tolist(),
    "list of arrays": list,
    "tensor": torch.from_numpy,
    "masked": lambda X: np.ma.masked_array(X, np.zeros(X.shape, bool)),
    "cells": lambda X: pd.Series(as_cells(X)),
    "array of cells": as_cells,
    "strided": lambda X: np.asfortranarray(X),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_an_array_of_any_spelling(spelling, shape):
    X = images(4, shape)
    expected = stack_kinds(x=X)
    pd.testing.assert_frame_equal(stack_kinds(x=SPELLINGS[spelling](X)), expected)


def test_the_table_does_not_change_with_the_array():
    X, own = images(), pd.DataFrame(spectra(20))
    stacked = stack_kinds(image=X, spectrum=own)
    before = stacked.copy()
    X[:] = 7
    own.iloc[:, 0] = 7
    pd.testing.assert_frame_equal(stacked, before)


def test_what_was_masked_is_missing():
    X = np.ma.masked_array([[1, 2], [3, 4]], [[False, True], [False, False]])
    assert_array_equal(stack_kinds(x=X), [[1, np.nan], [3, 4]])


def test_frames_of_other_packages_go_by_position():
    X = stack_kinds(x=pl.DataFrame({"a": [1.5, None], "b": ["u", "v"]}), y=np.ones((2, 2)))
    assert list(X.columns) == [("x", "a"), ("x", "b"), ("y", 0), ("y", 1)]
    assert X[("x", "a")].isna().tolist() == [False, True]


def test_rows_are_matched_by_their_labels():
    own = pd.DataFrame(spectra(3), index=["u", "x", "s"])
    X = stack_kinds(
        table=table(), spectrum=own, image=pd.Series(as_cells(images(2)), index=["x", "y"])
    )
    assert X.index.tolist() == ["r", "s", "t", "u", "x", "y"]
    assert_array_equal(X["spectrum"].loc[["u", "x", "s"]], own)
    assert X["spectrum"].loc[["r", "t", "y"]].isna().all(axis=None)
    assert_array_equal(X["image"].loc[["x", "y"]], images(2).reshape(2, -1))
    assert set(X["spectrum"].dtypes) == {np.dtype("float32")}
    assert set(X["image"].dtypes) == {np.dtype("float64")}
    assert X["table"].loc[ROWS, "word"].tolist() == list("abac")
    assert X["table"].loc[["x", "y"]].isna().all(axis=None)


def test_rows_in_another_order_are_brought_into_the_first():
    order = ["t", "r", "u", "s"]
    own = pd.DataFrame(spectra(dtype=np.uint8), index=ROWS).loc[order]
    X = stack_kinds(table=table(), spectrum=own)
    assert X.index.tolist() == ROWS
    assert_array_equal(X["spectrum"], spectra())
    assert set(X["spectrum"].dtypes) == {np.dtype("uint8")}  # no row lacks it


@pytest.mark.parametrize(
    ("dtype", "expected", "of_array"),
    [
        ("uint8", "float32", "float32"),
        ("int16", "float32", "float32"),
        ("int32", "Int32", "float64"),
        ("uint64", "UInt64", "float64"),
        ("bool", "boolean", "float32"),
        ("float32", "float32", "float32"),
        ("float64", "float64", "float64"),
    ],
)
def test_what_integers_become_where_rows_are_missing(dtype, expected, of_array):
    values = np.array([[0, 1], [1, 0]]).astype(dtype)
    frame, cells = pd.DataFrame(values, index=[0, 1]), pd.Series(as_cells(values), index=[0, 1])
    other = pd.Series([1.0, 2.0], index=[1, 2])
    for mixed in (False, True):
        own = frame.assign(word=["a", "b"]) if mixed else frame
        X = stack_kinds(x=own, y=other)["x"]
        assert set(X.dtypes.iloc[:2].astype(str)) == {expected}
        assert_array_equal(X.iloc[:2, :2].astype(float), values.astype(float))
        assert X.iloc[2].isna().all()
    X = stack_kinds(x=cells, y=other)["x"]
    assert set(X.dtypes) == {np.dtype(of_array)}
    assert_array_equal(X.iloc[:2], values.astype(float))


def test_a_row_of_which_an_array_was_not_measured():
    X = stack_kinds(x=[np.ones(2), None, np.zeros(2)], y=np.ones(3))
    assert_array_equal(X["x"], [[1, 1], [np.nan, np.nan], [0, 0]])
    part = pd.Series(as_cells([np.float32([1, np.nan]), None], missing=[1]))
    assert stack_kinds(x=part)["x"].isna().to_numpy().tolist() == [[False, True], [True, True]]
    assert set(stack_kinds(x=part).dtypes) == {np.dtype("float32")}


def test_one_index_serves_kinds_without_one():
    X = stack_kinds(image=images(4), table=table(), spectrum=pd.DataFrame(spectra(), index=ROWS))
    assert X.index.tolist() == ROWS
    assert_array_equal(X["image"], images(4).reshape(4, -1))


def test_an_index_of_two_levels():
    rows = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)])
    own = pd.DataFrame(spectra(3), index=rows)
    X = stack_kinds(x=own, y=pd.Series([1.0, 2.0], index=rows[[2, 0]]))
    assert X.index.equals(rows)
    assert_array_equal(X["y"][0], [2, np.nan, 1])


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({}, "There is no kind to stack"),
        ({"a": np.ones((3, 2)), "b": np.ones((4, 2))}, "many: a has 3, b has 4. Give each kind"),
        ({"a": np.ones((3, 2)), "b": table()}, "many: a has 3, b has 4"),
        (
            {"a": np.ones(3), "b": table("rst"), "c": table("rsu")},
            "The indices of b and c differ, and other kinds have none",
        ),
        (
            {"a": table("rsts"), "b": table("rst")},
            r"The index of a has 1 label\(s\) more than once, such as 's'",
        ),
        (
            {"a": table("rs"), "b": table("tu")},
            "No row label of a, such as 'r', is in another kind, such as 't'.*a has 2, b has",
        ),
        (
            {"a": table("rs"), "b": table("st"), "c": table("u")},
            "No row label of c, such as 'u', .*such as 'r'",
        ),
        (
            {"a": table(), "b": pd.DataFrame(spectra(), index=range(4))},
            "No row label of a, such as 'r', .*such as 0",
        ),
        (
            {"a": table(), "b": table().set_index("word", append=True)},
            "No row label of a, such as 'r', .*such as .'r', 'a'",
        ),
        (
            {"a": pd.DataFrame([[1, 2]], columns=["x", "x"])},
            r"a has the columns \['x'\] more than",
        ),
        ({"a": stack_kinds(x=np.ones(2))}, "a has columns of 2 levels"),
        ({"a": np.ones((0, 2))}, "a has 0 rows and 2 columns"),
        ({"a": np.ones((2, 0))}, "a has 2 rows and 0 columns"),
        ({"a": 1.5}, "a must have a row for each sample, got 1.5"),
        ({"a": [[1, 2], [3]]}, "a holds rows of several shapes"),
        (
            {"a": pd.Series(as_cells([np.ones(2), None, np.ones(3)], missing=[1]))},
            r"a holds arrays of several shapes: \(2,\) in row 0, and \(3,\) in row 2",
        ),
        ({"a__b": np.ones(2)}, "'kinds' parameter must have names .* without '__', got 'a__b'"),
    ],
)
def test_what_cannot_be_stacked(kinds, message):
    with pytest.raises(ValueError, match=message):
        stack_kinds(**kinds)


@pytest.mark.parametrize(
    "value",
    [
        pd.Series(as_cells([np.array(["a"]), np.array(["b"])])),
        pd.Series(pd.to_datetime(["2020-01-01"])),
        np.array(["2020-01-01"], "datetime64[D]"),
    ],
)
def test_what_is_neither_number_nor_category(value):
    with pytest.raises(TypeError, match=r"^a h(as|olds)"):
        stack_kinds(a=value)


KINDS = {
    "positions": lambda X, own: {"image": X, "spectrum": own.to_numpy()},
    "frames": lambda X, own: {"image": pd.DataFrame(X.reshape(50, -1)), "spectrum": own},
    "cells": lambda X, own: {"image": pd.Series(as_cells(X)), "spectrum": own},
}


@pytest.mark.parametrize("kinds", KINDS)
def test_columns_of_a_kind_are_one_array(kinds):
    """It is made at once, and read without a copy, as there may be thousands of columns."""
    own = pd.DataFrame(spectra(50), index=np.arange(50) + 7)
    stacked = stack_kinds(**KINDS[kinds](images(50, (20, 20), dtype=np.float32), own))
    for name in ("image", "spectrum"):
        assert np.shares_memory(stacked[name].to_numpy(), stacked[name].to_numpy())
