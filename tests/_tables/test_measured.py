"""What was measured of a material is found again by what its row holds, however it is written."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sknestedae._tables._measured import MeasuredValues, count_mixed, material_keys

# The same two rows, (1, 0) and (2, 1).
SPELLINGS = {
    "integers": np.array([[1, 0], [2, 1]]),
    "floats": np.array([[1.0, 0.0], [2.0, 1.0]]),
    "float32": np.array([[1.0, 0.0], [2.0, 1.0]], dtype=np.float32),
    "minus zero": np.array([[1.0, -0.0], [2.0, 1.0]]),
    "objects": np.array([[1, 0], [2.0, True]], dtype=object),
    "booleans": pd.DataFrame({"a": [1, 2], "b": [False, True]}),
    "pandas' own": pd.DataFrame(
        {"a": pd.array([1, 2], "UInt8"), "b": pd.array([False, True], "boolean")}
    ),
    "categories": pd.DataFrame({"a": pd.Categorical([1, 2]), "b": pd.Categorical([False, True])}),
    "categories of floats": pd.DataFrame({"a": pd.Categorical([1.0, 2.0]), "b": [-0.0, 1.0]}),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_number_counts_by_its_value(name):
    learnt = MeasuredValues.of(SPELLINGS["integers"], np.array([[3.0], [4.0]]))
    assert_array_equal(learnt.find(SPELLINGS[name]), [[3.0], [4.0]])
    learnt = MeasuredValues.of(SPELLINGS[name], np.array([[3.0], [4.0]]))
    assert_array_equal(learnt.find(SPELLINGS["floats"][::-1]), [[4.0], [3.0]])


def test_a_word_is_not_a_number_and_no_kind_of_words_differs_from_another():
    words = pd.DataFrame({"a": ["1", "2"]})
    learnt = MeasuredValues.of(words, np.array([[3.0], [4.0]]))
    assert np.isnan(learnt.find(pd.DataFrame({"a": [1, 2]}))).all()
    for dtype in ("string", "category", object):
        assert_array_equal(learnt.find(words.astype(dtype)), [[3.0], [4.0]])


def test_a_row_is_found_whatever_stands_beside_it_in_its_column():
    """A column of numbers alone has another dtype than one with a word in it."""
    learnt = MeasuredValues.of(pd.DataFrame({"a": ["x", 1, 2.5]}), np.array([[1.0], [2.0], [3.0]]))
    assert_array_equal(learnt.find(pd.DataFrame({"a": [2.5, 1, True]})), [[3.0], [2.0], [2.0]])
    assert_array_equal(learnt.find(pd.DataFrame({"a": ["x", 1.0]})), [[1.0], [2.0]])


@pytest.mark.parametrize("dtype", ["int64", "Int64", "uint64", "category", object])
def test_an_identifier_of_more_digits_than_a_float_has_is_told_from_the_next(dtype):
    ids = pd.DataFrame({"a": [2**60, 2**60 + 1]})
    learnt = MeasuredValues.of(ids.astype(dtype), np.array([[1.0], [2.0]]))
    assert_array_equal(learnt.find(ids), [[1.0], [2.0]])
    assert np.isnan(learnt.find(ids + 2)).all()


def test_what_was_measured_again_gives_the_mean_of_each_output():
    rows = np.array([[0.0], [1.0], [0.0], [0.0], [2.0]])
    y = np.array([[1.0, 2.0], [5.0, np.nan], [2.0, np.nan], [6.0, 4.0], [np.nan, np.nan]])
    learnt = MeasuredValues.of(rows, y)
    found = learnt.find(np.array([[2.0], [1.0], [0.0]]))
    assert_array_equal(found, [[np.nan, np.nan], [5.0, np.nan], [3.0, 3.0]])
    assert len(learnt.keys) == 2  # a row without any measured value says nothing


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA, pd.NaT])
def test_a_row_with_a_missing_entry_is_never_known(nothing):
    rows = pd.DataFrame({"a": ["x", nothing, "x"], "b": [1.0, 1.0, np.nan]}, dtype=object)
    keys, is_whole = material_keys(rows)
    assert is_whole.tolist() == [True, False, False]
    assert len(keys) == 3
    learnt = MeasuredValues.of(rows, np.array([[1.0], [2.0], [3.0]]))
    assert_array_equal(learnt.find(rows), [[1.0], [np.nan], [np.nan]])


def test_missing_numbers_of_pandas():
    rows = pd.DataFrame({"a": pd.array([1, None, 3], "Int64"), "b": pd.Categorical([1, 2, None])})
    learnt = MeasuredValues.of(rows, np.arange(3.0)[:, None])
    assert_array_equal(learnt.find(rows), [[0.0], [np.nan], [np.nan]])
    assert_array_equal(learnt.find(pd.DataFrame({"a": [1.0], "b": [1.0]})), [[0.0]])


def test_cells_with_arrays():
    spectra = np.random.default_rng(0).normal(size=(3, 5))
    rows = pd.DataFrame({"a": [1, 2, 3], "s": list(spectra)})
    learnt = MeasuredValues.of(rows, np.arange(3.0)[:, None])
    other = pd.DataFrame({"a": [3.0, 1.0, 2.0], "s": [spectra[2], list(spectra[0]), spectra[0]]})
    assert_array_equal(learnt.find(other), [[2.0], [0.0], [np.nan]])
    other["s"] = [np.where(np.arange(5) == 1, np.nan, s) for s in other["s"]]
    assert np.isnan(learnt.find(other)).all()  # an array with a gap may be many


def test_no_row_is_known_where_nothing_was_measured():
    rows = np.arange(4.0)[:, None]
    learnt = MeasuredValues.of(rows, np.full((4, 2), np.nan))
    assert_array_equal(learnt.find(rows), np.full((4, 2), np.nan))


def test_a_wide_table():
    """Of many columns a key is made of bytes, elsewhere."""
    X = np.random.default_rng(0).normal(size=(4, 300))
    learnt = MeasuredValues.of(X, np.arange(4.0)[:, None])
    other = X[::-1].copy()
    other[0, 299] += 1e-5
    assert_array_equal(learnt.find(other), [[np.nan], [2.0], [1.0], [0.0]])


def test_the_state_is_plain_and_gives_the_same():
    rows = np.arange(4.0)[:, None]
    learnt = MeasuredValues.of(rows, rows**2)
    state = learnt.to_state()
    assert {name: type(value) for name, value in state.items()} == {
        "keys": np.ndarray,
        "values": np.ndarray,
    }
    assert_array_equal(MeasuredValues(**state).find(rows), rows**2)


def test_a_word_is_not_a_missing_entry():
    words, nothing = ["None", "nan", "<NA>", "NaT"], [None, np.nan, pd.NA, pd.NaT]
    rows, other = (
        pd.DataFrame({"a": pd.Series(cells, dtype=object)}) for cells in (words, nothing)
    )
    values = np.arange(4.0)[:, None]
    assert_array_equal(MeasuredValues.of(rows, values).find(rows), values)
    assert np.isnan(MeasuredValues.of(rows, values).find(other)).all()
    assert np.isnan(MeasuredValues.of(other, values).find(rows)).all()


def test_a_table_in_single_precision_is_the_same_table():
    rows = np.array([[0.1, 1.0], [2**24 + 1.0, 0.3]])
    measured = MeasuredValues.of(rows, np.array([[1.0], [2.0]]))
    assert_array_equal(measured.find(rows[:1].astype(np.float32)), [[1.0]])
    # an integer keeps its digits, which single precision would round
    assert_array_equal(measured.find(rows[1:] - [[1.0, 0.0]]), [[np.nan]])


@pytest.mark.parametrize("as_array", [True, False])
def test_materials_are_mixed_where_two_rows_differ_in_what_both_have_measured(as_array):
    rows = pd.DataFrame(
        {
            "size": [1.0, np.nan, 1.0, 2.0, 3.0, 3.0, np.nan, 4.0],
            "lattice": ["fcc", "fcc", None, "fcc", "bcc", "hcp", "fcc", None],
        }
    )
    materials = np.array([0, 0, 0, 1, 2, 2, 3, 3])  # of 2, the lattices differ
    assert count_mixed(materials, rows.to_numpy() if as_array else rows) == 1
    materials[3] = 0  # another size than the first row, with gaps in between
    assert count_mixed(materials, rows.to_numpy() if as_array else rows) == 2
    assert count_mixed(materials[:0], rows[:0]) == 0
