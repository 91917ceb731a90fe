"""Kinds of columns, and which columns a parameter names."""

import numpy as np
import pandas as pd
import pytest
from cases.tables import numbers

from sknestedae._tables._columns import (
    factorize,
    is_categorical,
    keeps_column_types,
    resolve_columns,
    sort_categories,
)
from sknestedae._tables._encoder import TableEncoder

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
