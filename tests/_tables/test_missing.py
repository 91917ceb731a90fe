"""Missing values of a table: what takes their place, and what stays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sknestedae._tables._missing import (
    Completions,
    complete_table,
    fill_candidates,
    fill_missing,
    first_of_each,
    missing_entries,
)


def frame():
    return pd.DataFrame(
        {
            "number": [1.5, np.nan, 2.5],
            "count": pd.array([1, 2, None], dtype="Int64"),
            "kind": pd.Categorical(["a", None, "a"]),
            "word": ["x", "y", None],
        },
        index=["r", "s", "s"],
    )


def other(rows=(0, 1, 2)):
    completed = pd.DataFrame(
        {"number": [7.0, 8, 9], "count": [7, 8, 9], "kind": ["b", "c", "b"], "word": list("uvw")}
    )
    return completed.iloc[list(rows)]


@pytest.mark.parametrize("as_frame", [False, True])
def test_missing_values_alone_are_filled(as_frame):
    X, completed = (frame(), other()) if as_frame else (frame().to_numpy(), other().to_numpy())
    missing = missing_entries(X)
    assert missing.sum() == 4
    filled = fill_missing(X, completed)
    assert_array_equal(np.asarray(filled)[missing], np.asarray(completed)[missing])
    assert_array_equal(np.asarray(filled)[~missing], np.asarray(X)[~missing])
    if as_frame:
        assert filled.index.equals(X.index)
        assert (filled.dtypes.drop("kind") == X.dtypes.drop("kind")).all()
        assert filled["kind"].cat.categories.to_list() == ["a", "c"]


def test_a_table_may_have_the_incomplete_rows_alone():
    whole = fill_missing(frame(), other())
    pd.testing.assert_frame_equal(fill_missing(frame(), other([1, 2]), np.array([1, 2])), whole)


def test_candidates_are_in_the_order_of_the_rows_and_whole_rows_once():
    filled, rows, position = fill_candidates(frame(), other([2, 0, 1]), np.array([1, 1, 2]))
    assert_array_equal(rows, [0, 1, 1, 2])
    assert_array_equal(position, [-1, 0, 1, 2])
    assert filled["number"].to_list() == [1.5, 9, 7, 2.5]
    assert filled["word"].to_list() == ["x", "y", "y", "v"]


def test_completions_of_one_row_that_are_the_same_count_once():
    X = np.array([[1, 2], [1, 2], [1, 3], [1, 2]])
    assert_array_equal(first_of_each(X, np.array([0, 0, 0, 1])), [True, False, True, True])


def test_only_incomplete_rows_are_asked_for():
    X = np.array([[1.0, 2.0], [np.nan, 3.0], [4.0, np.nan]])
    asked = []

    def find(part, search):
        asked.append((part, search))
        return Completions(np.full(part.shape, 9.0), np.arange(2), np.zeros(2), np.zeros(2))

    assert_array_equal(complete_table(X, find, None, None, None), [[1, 2], [9, 3], [4, 9]])
    found = complete_table(X, find, lambda rows: rows.sum(axis=1), 3, 0.5)
    assert_array_equal(found.row, [0, 1, 2])
    assert_array_equal(found.prediction, [3, 12, 13])
    for part, search in asked:
        assert_array_equal(part, X[1:])
        assert search in (None, (3, 0.5))
    assert_array_equal(complete_table(X[:1], find, None, None, None), X[:1])
    assert len(asked) == 2


def test_mismatches_stand_beside_their_candidates():
    """A complete row is its own candidate, with none, wherever it stands."""
    X = np.array([[np.nan, 2.0], [1.0, 2.0], [4.0, np.nan], [3.0, 4.0]])

    def find(part, search):
        candidates = np.full((3, 2), 9.0) + np.arange(3)[:, None]
        rows, mismatch = np.array([0, 0, 1]), np.array([0.1, 0.2, 0.3])
        return Completions(candidates, rows, mismatch, np.array([0.1, 0.3]))

    found = complete_table(X, find, None, 2, 0.5)
    assert_array_equal(found.row, [0, 0, 1, 2, 3])
    assert_array_equal(found.mismatch, [0.1, 0.2, 0, 0.3, 0])
    assert_array_equal(found.X, [[9, 2], [10, 2], [1, 2], [4, 11], [3, 4]])


@pytest.mark.parametrize("dtype", ["str", "string", pd.StringDtype("python"), object])
def test_a_filled_category_keeps_its_dtype(dtype):
    categories = pd.CategoricalDtype(pd.Index(["a", "b"], dtype=dtype))
    X = pd.DataFrame({"kind": pd.Series(["a", None, "b"]).astype(categories)})
    filled = fill_missing(X, pd.DataFrame({"kind": ["b"] * 3}))
    assert filled["kind"].tolist() == ["a", "b", "b"]
    assert filled["kind"].dtype == X["kind"].dtype
