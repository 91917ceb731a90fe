"""Missing values of a table: what takes their place, and what stays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.array_tables import as_cells
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from sknestedae._tables import _missing
from sknestedae._tables._missing import (
    Completions,
    complete_table,
    fill_candidates,
    fill_missing,
    first_of_each,
    measured_rows,
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


# -- cells that hold arrays


def cells():
    """Give a table of which rows 1 and 2 miss a part of an array, and row 3 all of it."""
    arrays = [[1.0, 2], [np.nan, 4], [5, np.nan], [7, 8]]
    column = as_cells([np.array(a, np.float32) for a in arrays], missing=[3])
    return pd.DataFrame({"a": [1.0, 2, np.nan, 4], "x": column}, index=list("rstu"))


def completed_cells(rows=(0, 1, 2, 3)):
    arrays = as_cells([np.array([10.0, 20]) * (i + 1) for i in range(4)])
    return pd.DataFrame({"a": [9.0] * 4, "x": arrays}).iloc[list(rows)]


@pytest.mark.parametrize("as_frame", [False, True])
@pytest.mark.parametrize("rows", [None, np.array([1, 2, 3])])
def test_missing_entries_of_arrays_are_filled_and_measured_ones_stay(as_frame, rows):
    X, completed = cells(), completed_cells() if rows is None else completed_cells(rows)
    if not as_frame:
        X, completed = X.to_numpy(dtype=object), completed.to_numpy(dtype=object)
    assert_array_equal(missing_entries(X), [[0, 0], [0, 1], [1, 1], [0, 1]])
    filled = fill_missing(X, completed, rows)
    column = filled["x"] if as_frame else filled[:, 1]
    assert [cell.tolist() for cell in column] == [[1, 2], [20, 4], [5, 60], [40, 80]]
    assert [cell.dtype for cell in column] == ["float32"] * 3 + ["float64"]
    assert (filled["a"] if as_frame else filled[:, 0]).tolist() == [1, 2, 9, 4]
    before = cells()["x"]
    for cell, given in zip(X["x"] if as_frame else X[:, 1], before, strict=True):
        assert_array_equal(cell, given)  # what was given did not change
    if as_frame:
        assert filled.index.equals(X.index)
        assert filled["x"].iloc[0] is X["x"].iloc[0]


def test_a_column_of_arrays_of_which_nothing_was_measured():
    X = cells().assign(x=None)
    filled = fill_missing(X, completed_cells())
    assert [cell.tolist() for cell in filled["x"]] == [[10, 20], [20, 40], [30, 60], [40, 80]]


def test_candidates_of_rows_with_arrays():
    X = cells().iloc[:2]
    completed = completed_cells([1, 2, 1])
    filled, rows, position = fill_candidates(X, completed, np.array([1, 1, 1]))
    assert_array_equal(rows, [0, 1, 1, 1])
    assert_array_equal(position, [-1, 0, 1, 2])
    assert [cell.tolist() for cell in filled["x"]] == [[1, 2], [20, 4], [30, 4], [20, 4]]
    assert_array_equal(first_of_each(filled, rows), [True, True, True, False])


def test_rows_are_completed_that_miss_a_part_of_an_array():
    asked = []

    def find(part, search):
        asked.append(part.index.tolist())
        return Completions(completed_cells([1, 2, 3]), np.arange(3), np.zeros(3), np.zeros(3))

    found = complete_table(cells(), find, None, None, None)
    assert asked == [["s", "t", "u"]]
    assert not missing_entries(found).any()


# -- many columns at once


@pytest.mark.parametrize("as_frame", [False, True])
def test_rows_with_anything_measured(as_frame):
    X = pd.concat([frame().reset_index(drop=True), pd.DataFrame(np.full((3, 5), np.nan))], axis=1)
    X["x"] = as_cells([np.array([np.nan, 1.0]), np.full(2, np.nan), None], missing=[2])
    X["i"] = [1, 2, 3]
    columns = {"number": [1, 0, 1], "count": [1, 1, 0], "kind": [1, 0, 1], "x": [1, 0, 0]}
    names = list(X.columns)
    X = X if as_frame else X.to_numpy(dtype=object)
    for name, expected in columns.items():
        assert_array_equal(measured_rows(X, [names.index(name)]), expected)
    assert_array_equal(measured_rows(X, [4, 5, 6, 7, 8]), [0, 0, 0])
    assert_array_equal(measured_rows(X, [4, 0, 5, 6]), [1, 0, 1])
    assert_array_equal(measured_rows(X, [0, names.index("i")]), [1, 1, 1])
    assert_array_equal(measured_rows(X, []), [0, 0, 0])
    numbers = np.array([[1.0, np.nan], [np.nan, np.nan]])
    assert_array_equal(measured_rows(numbers, [0, 1]), [1, 0])


@pytest.mark.parametrize("n_rows", [1, 2])
def test_many_rows_are_looked_at_some_after_others(monkeypatch, n_rows):
    monkeypatch.setattr("sknestedae._tables._columns._CHUNK_VALUES", 4 * n_rows)
    X = np.full((7, 4), np.nan)
    X[[0, 3, 6], [1, 0, 3]] = 1
    assert_array_equal(np.flatnonzero(measured_rows(X, [0, 1, 2, 3])), [0, 3, 6])


WIDE_DTYPES = ["float32", "float64", "float16", "Float32", "object"]


@pytest.mark.parametrize("other", ["float64", "float32", "Float64", "int64"])
def test_many_columns_are_filled_as_each_is(other):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(6, 10)))
    X = X.mask(rng.random(X.shape) < 0.4)
    X = X.assign(**{"whole": 1.5, "absent": np.nan, "count": [1, 2, 3, 4, 5, 6]})
    X = X.astype({j: WIDE_DTYPES[j % 5] for j in range(10)}).set_axis(list("rrstuv"))
    completed = pd.DataFrame(rng.normal(size=(6, 13)) * 100).round().astype(other)
    completed.columns = X.columns
    filled = fill_missing(X, completed)
    for j, label in enumerate(X.columns):
        alone = fill_missing(X.iloc[:, [j]], completed.iloc[:, [j]])
        assert_frame_equal(filled.iloc[:, [j]], alone)
        taken, given = X[label].isna(), filled[label].astype(float).to_numpy()
        assert_array_equal(given[~taken], X[label][~taken].astype(float))
        assert_array_equal(given[taken], completed[label].to_numpy(dtype=float)[taken])
        assert filled[label].dtype == (completed if taken.all() else X)[label].dtype
    assert filled.index.equals(X.index)


def test_what_the_other_table_misses_stays_missing():
    X = pd.DataFrame({"a": [1.0, np.nan, np.nan], "b": [np.nan, 5.0, np.nan]})
    completed = pd.DataFrame({"a": [7.0, np.nan, 9.0], "b": [8.0, 8.0, np.nan]})
    expected = pd.DataFrame({"a": [1.0, np.nan, 9.0], "b": [8.0, 5.0, np.nan]})
    assert_frame_equal(fill_missing(X, completed), expected)


def test_a_value_out_of_the_range_of_a_dtype_becomes_its_largest():
    X = pd.DataFrame(np.array([[1, np.nan], [np.nan, 2]], np.float32))
    filled = fill_missing(X, pd.DataFrame(np.full((2, 2), 1e300)))
    top = np.finfo(np.float32).max
    assert_array_equal(filled, np.array([[1, top], [top, 2]], np.float32))


def test_columns_of_one_dtype_are_filled_at_once(monkeypatch):
    monkeypatch.setattr(_missing, "_fill_column", None)
    X = pd.DataFrame(np.ones((4, 2000), np.float32))
    X.iloc[1, ::3], X.iloc[:, 5] = np.nan, np.nan
    filled = fill_missing(X, pd.DataFrame(np.full((4, 2000), 7.0)))
    assert_array_equal(filled, np.where(X.isna(), 7, 1))
    assert filled.dtypes.iloc[5] == np.float64


def test_a_filled_table_does_not_change_with_the_one_that_was_given():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [np.nan, 3.0]})
    filled = fill_missing(X, X.fillna(0))
    filled.iloc[:, :] = 9.0
    assert X["a"].tolist() == [1, 2]
