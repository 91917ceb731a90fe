"""Kinds of columns, and which columns a parameter names."""

import numpy as np
import pandas as pd
import pytest
from cases.array_tables import as_cells
from cases.tables import numbers, with_missing
from numpy.testing import assert_array_equal

from sknestedae._tables import _columns
from sknestedae._tables._columns import (
    CHUNK_ROWS,
    categorical_mask,
    chunk_rows,
    factorize,
    is_categorical,
    keeps_column_types,
    kinds_by_content,
    read_floats,
    resolve_columns,
    sort_categories,
)
from sknestedae._tables._encoder import TableEncoder
from sknestedae._tables._labels import ColumnLabels

TABLE = pd.DataFrame({"a": [1, 2, 1], "b": [0.5, 1.5, 2.5], "c": ["x", "y", "x"]})


def test_sort_categories_of_one_and_of_several_types():
    assert sort_categories(np.array([3, 1, 2], object)).tolist() == [1, 2, 3]
    assert sort_categories(np.array(["b", 2, "a", 1], object)).tolist() == [1, 2, "a", "b"]


def test_factorize_gives_missing_as_minus_one():
    codes, distinct = factorize(pd.Series(["b", None, "a", "b"]), "'w'")
    assert codes.tolist() == [0, -1, 1, 0]
    assert distinct.tolist() == ["b", "a"]
    with pytest.raises(TypeError, match="Column 'w' is categorical and its argument must be"):
        factorize(pd.Series([["b"], ["a"]]), "'w'")


NUMERIC = {
    "int": [1, 2],
    "float": [1.5, np.nan],
    "Int64": pd.array([1, None], "Int64"),
    "Float64": pd.array([1.5, None], "Float64"),
    "objects": np.array([1, 2.5], object),
    "nothing": np.array([None, None], object),
    "sparse": pd.arrays.SparseArray([0, 1]),
}


CATEGORICAL = {
    "bool": [True, False],
    "boolean": pd.array([True, None], "boolean"),
    "words": ["x", "y"],
    "string": pd.array(["x", None], "string"),
    "category": pd.Categorical([1, 2]),
    "intervals": pd.cut([1.0, 2.0], 2),
    "bool objects": np.array([True, None], object),
    "mixed": np.array(["x", 1.5], object),
}


REFUSED = {
    "dates": pd.to_datetime(["2020-01-01", "2021-01-01"]),
    "durations": pd.to_timedelta([1, 2]),
    "periods": pd.period_range("2020-01", periods=2, freq="M"),
    "complex": np.array([1j, 2]),
    "complex objects": np.array([1j, 2], object),
    "bytes": np.array([b"x", b"y"], object),
    "lists": pd.Series([[1], [2]]),
}


@pytest.mark.parametrize("column", NUMERIC.values(), ids=NUMERIC)
def test_numeric_kinds(column):
    assert not is_categorical(pd.Series(column), "'a'")


@pytest.mark.parametrize("column", CATEGORICAL.values(), ids=CATEGORICAL)
def test_categorical_kinds(column):
    assert is_categorical(pd.Series(column), "'a'")


@pytest.mark.parametrize("column", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("categorical_features", ["from_dtype", None])
def test_refused_kinds(column, categorical_features):
    X = pd.DataFrame({"fine": [1, 2], "odd": column})
    with pytest.raises(TypeError, match=r"Column 'odd' (has dtype|holds)"):
        TableEncoder(categorical_features).fit(X)
    with pytest.raises(TypeError, match=r"Column 'odd' (has dtype|holds)"):
        TableEncoder().fit(pd.DataFrame({"fine": [1, 2], "odd": [1.0, 2]})).transform(X)


@pytest.mark.parametrize(
    ("X", "categorical_features", "expected"),
    [
        (TABLE, "from_dtype", True),
        (TABLE, None, True),
        (numbers(), "from_dtype", False),
        (numbers(), [0], False),
        (numbers().astype(object), [0], True),
        (numbers().astype(object), None, False),
        ([[1, "x"]], [1], True),
        ([[1, 2]], "from_dtype", False),
        (as_cells([np.ones(2), None], missing=[1])[:, None], None, True),
    ],
)
def test_keeps_column_types(X, categorical_features, expected):
    assert keeps_column_types(X, categorical_features, False) is expected


LABELS = [("a", "x"), ("a", "y"), ("b", "z"), ("b", "x")]


@pytest.mark.parametrize(
    ("columns", "labels", "expected"),
    [
        (slice(1, None), None, [1, 2, 3]),
        (slice(None, None, 2), None, [0, 2]),
        (slice("q", "r"), list("pqrs"), [1, 2]),
        (slice("r"), list("pqrs"), [0, 1, 2]),
        (slice("r", None), list("pqrs"), [2, 3]),
        ("a", LABELS, [0, 1]),
        ("z", LABELS, [2]),
        (("b", "x"), LABELS, [3]),
        ([("b", "x"), "y", 0], LABELS, [3, 1, 0]),
        (slice("a"), LABELS, [0, 1]),
        (slice("b", None), LABELS, [2, 3]),
        (-1, None, [3]),
    ],
)
def test_columns_are_resolved(columns, labels, expected):
    assert resolve_columns(columns, labels, 4, "It").tolist() == expected


def test_a_feature_of_two_scales_must_be_told_apart():
    with pytest.raises(ValueError, match="It names the column 'x'; X has columns"):
        resolve_columns("x", LABELS, 4, "It")


def test_thousands_of_names_are_found_at_once():
    """Each by one look-up: a search through all labels for each would take minutes."""
    labels = [("a" if j % 2 else "b", f"x{j}") for j in range(60_000)]
    order = np.random.default_rng(0).permutation(60_000)
    for names in ([labels[j] for j in order], [labels[j][1] for j in order]):
        assert_array_equal(resolve_columns(names, labels, 60_000, "It"), order)


def test_a_message_lists_the_first_of_many_columns():
    with pytest.raises(
        ValueError, match=r"X has 5000 columns, the first of them \[0, 1, "
    ) as caught:
        resolve_columns("x", list(range(5000)), 5000, "It")
    assert len(str(caught.value)) < 1000


def test_a_message_lists_first_levels_or_says_that_there_are_no_names():
    labels = [(kind, j) for kind in ("image", "spectrum") for j in range(50)]
    message = r"the column 'spectra'; X has 100 columns, with the first levels \['image', 'spe"
    with pytest.raises(ValueError, match=message):
        resolve_columns("spectra", labels, 100, "It")
    with pytest.raises(ValueError, match=r"'image'; X has 100 columns without names"):
        resolve_columns("image", None, 100, "It")


@pytest.mark.parametrize("key", [[1, 2], {}, ("a", ["x"])])
def test_what_is_no_name_names_no_column(key):
    with pytest.raises(ValueError, match="It names the column"):
        resolve_columns([key], LABELS, 4, "It")


# -- many columns at once

WIDE = {
    "a": [1.5, np.nan, 2.5],
    "b": np.array([1, 2, 3], np.int16),
    "c": np.array([1.5, np.nan, 2.5], np.float32),
    "d": [True, False, True],
    "e": pd.array([1, None, 3], "Int64"),
    "f": [3.5, 4.5, np.nan],
    "g": np.array([1, None, 2.5], object),
    "h": np.array([1.5, 2.5, np.nan], np.float16),
    "i": np.array([2**40, 1, 2]),
    "j": pd.array([1.5, None, 2.5], "Float32"),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [list("abcdefghij"), list("fcjba"), list("af"), ["e"], []])
@pytest.mark.parametrize("rows", [None, slice(1, 3), np.array([2, 0, 2])])
def test_columns_are_read_as_each_alone_is(monkeypatch, dtype, columns, rows):
    monkeypatch.setattr(_columns, "_CHUNK_VALUES", 4)  # two rows of two columns
    X = pd.DataFrame(WIDE, index=[5, 5, 7])
    positions = [X.columns.get_loc(label) for label in columns]
    found = read_floats(X, positions, ColumnLabels.of(X), np.dtype(dtype), "", rows=rows)
    assert found.dtype == dtype
    assert found.flags.c_contiguous
    taken = X if rows is None else X.iloc[rows]
    assert found.shape == (len(taken), len(columns))
    for k, label in enumerate(columns):
        assert_array_equal(found[:, k], taken[label].to_numpy(dtype=dtype, na_value=np.nan))


@pytest.mark.parametrize("columns", [[0, 1, 2, 3], [1, 2], [3, 0]])
@pytest.mark.parametrize("rows", [None, slice(1, 5), np.array([4, 0, 0])])
@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_columns_of_an_array_are_read(columns, rows, copy, order):
    X = np.asarray(with_missing(np.random.default_rng(0).normal(size=(6, 4))), order=order)
    labels = ColumnLabels.of(X)
    found = read_floats(X, columns, labels, np.dtype(float), "", rows=rows, copy=copy)
    assert_array_equal(found, X[slice(None) if rows is None else rows][:, columns])
    is_all = columns == [0, 1, 2, 3] and not isinstance(rows, np.ndarray)
    # a copy of all columns would be as large as the table
    assert np.shares_memory(found, X) == (is_all and not copy)
    assert found.flags.c_contiguous or (is_all and not copy)


def test_columns_of_one_dtype_are_read_at_once(monkeypatch):
    monkeypatch.setattr(_columns, "_read_column", None)
    monkeypatch.setattr(_columns, "is_categorical", None)
    X = pd.DataFrame(numbers(7, 3)).assign(a=np.arange(7), b=np.float32(0.5), c=True)
    assert_array_equal(
        read_floats(X, [0, 1, 2, 3, 4, 5], ColumnLabels.of(X), np.dtype(float), ""),
        X.astype(float),
    )
    mask = categorical_mask(X, range(6), ColumnLabels.of(X))
    assert mask.tolist() == [False] * 5 + [True]


def test_every_kind_of_column_is_told():
    kinds = NUMERIC | CATEGORICAL
    X = pd.DataFrame(kinds)
    columns = [k for k in range(len(kinds)) if k != 1]
    found = categorical_mask(X, columns, ColumnLabels.of(X))
    names = list(kinds)
    assert found.tolist() == [names[k] in CATEGORICAL for k in columns]
    with pytest.raises(TypeError, match="Column 'a' has dtype datetime64"):
        categorical_mask(
            pd.DataFrame({"a": REFUSED["dates"]}), [0], ColumnLabels(1, True, ["a"], [None], None)
        )


def test_of_wide_tables_fewer_rows_are_looked_at():
    assert chunk_rows(0) == chunk_rows(1) == chunk_rows(64) == CHUNK_ROWS
    assert chunk_rows(4096) == 256
    assert chunk_rows(10**9) == 1


def test_columns_of_arrays_are_no_categories():
    X = pd.DataFrame({"mixed": ["a", "b", 1.5], "x": as_cells(list(np.ones((3, 2))))})
    assert kinds_by_content(X) == [0]
    assert kinds_by_content(X[["x"]]) is None
