"""Which rows are learnt from: rows that are equal, and held-out rows."""

import numpy as np
import pandas as pd
import pytest
from cases.array_tables import as_cells, images
from cases.tables import numbers, with_missing
from numpy.testing import assert_array_equal

from sknestedae._tables._splits import count_distinct_rows, row_keys, split_rows

TABLE = pd.DataFrame({"a": [1, 2, 1], "b": [0.5, 1.5, 2.5], "c": ["x", "y", "x"]})


def test_equal_rows_have_equal_keys_wherever_they_stand():
    X = pd.concat([TABLE.assign(d=pd.Categorical(["u", None, "u"]))] * 2, ignore_index=True)
    keys = row_keys(X)
    assert keys[0] == keys[3]
    assert len(set(keys)) == 3
    order = np.array([4, 2, 0, 5, 1, 3])
    np.testing.assert_array_equal(row_keys(X.iloc[order]), keys[order])


def test_keys_follow_from_values_not_from_the_coding_of_categories():
    words = pd.DataFrame({"a": pd.Categorical(["x", "y"], categories=["x", "y"])})
    recoded = pd.DataFrame({"a": pd.Categorical(["x", "y"], categories=["y", "z", "x"])})
    np.testing.assert_array_equal(row_keys(words), row_keys(recoded))


def test_keys_of_arrays():
    X = with_missing(numbers())
    X[7] = X[3]
    keys = row_keys(X)
    assert keys[7] == keys[3]
    assert len(set(keys)) == len(X) - 1
    np.testing.assert_array_equal(row_keys(X[::-1]), keys[::-1])


def test_distinct_rows_are_counted():
    X = np.repeat(np.arange(5.0), 3)[:, None]
    y = np.tile([0.0, 1.0, 1.0], 5)
    assert count_distinct_rows(X, None, 100) == 5
    assert count_distinct_rows(X, y, 100) == 10
    assert count_distinct_rows(pd.DataFrame(X), y[:, None], 100) == 10
    large = np.arange(40_000.0)[:, None]
    assert 10 <= count_distinct_rows(large, None, 10) < 100  # it looks at a few


def test_split_rows_keeps_replicates_together():
    keys = np.repeat(np.arange(20), np.arange(1, 21))
    train, valid = split_rows(keys, None, 0.25, 0)
    assert len(np.unique(keys[valid])) == 5
    assert not set(keys[train]) & set(keys[valid])
    assert_array_equal(np.sort(np.append(train, valid)), np.arange(len(keys)))
    order = np.random.default_rng(0).permutation(len(keys))
    _, shuffled = split_rows(keys[order], None, 0.25, 0)
    assert set(keys[order][shuffled]) == set(keys[valid])


@pytest.mark.parametrize("n_rows", [3, 10, 11, 40])
def test_split_rows_holds_out_the_fraction_and_less_than_a_row_more(n_rows):
    """As the splits of scikit-learn do; of at least two rows one is held out, and one is not."""
    for fraction in (0.01, 0.1, 0.25, 0.33):
        train, valid = split_rows(np.arange(n_rows), None, fraction, 0)
        assert fraction * n_rows <= len(valid) < fraction * n_rows + 1
        assert len(train) == n_rows - len(valid)
    for fraction, n_valid in ((0.01, 1), (0.99, n_rows - 1)):
        assert len(split_rows(np.arange(n_rows), None, fraction, 0)[1]) == n_valid


def test_split_rows_stratifies_where_it_can():
    keys, strata = np.arange(100), np.repeat([0, 1], [90, 10])
    _, valid = split_rows(keys, strata, 0.2, 0)
    assert (strata[valid] == 1).sum() == 2
    rare = np.repeat([0, 1], [99, 1])
    assert len(split_rows(keys, rare, 0.2, 0)[1]) == 20


def test_split_rows_counts_weights_as_repeated_rows():
    rng = np.random.default_rng(0)
    keys, strata = rng.integers(0, 30, 90), rng.integers(0, 2, 90)
    weight = rng.integers(1, 5, 90)
    _, weighted = split_rows(keys, strata, 0.3, 0, weight)
    repeated = np.repeat(np.arange(90), weight)
    _, plain = split_rows(keys[repeated], strata[repeated], 0.3, 0)
    assert set(keys[weighted]) == set(keys[repeated][plain])
    _, unweighted = split_rows(keys, strata, 0.3, 0)
    assert set(keys[unweighted]) != set(keys[weighted])


def test_split_rows_needs_two_kinds_of_rows():
    with pytest.raises(ValueError, match="at least two distinct rows"):
        split_rows(np.ones(5), None, 0.5, 0)


# -- keys of arrays and of wide tables


def test_keys_of_narrow_tables_are_those_of_pandas():
    """Which rows are held out follows from keys, so that they may not change."""
    for X in (TABLE, numbers(), numbers(5, 3).astype(np.float32), TABLE.to_numpy(dtype=object)):
        expected = pd.util.hash_pandas_object(pd.DataFrame(X), index=False)
        assert_array_equal(row_keys(X), expected)


def test_keys_of_cells_that_hold_arrays():
    arrays = as_cells([*images(4), None], missing=[4])
    X = pd.DataFrame({"a": [1, 1, 1, 2, 1], "x": arrays})
    X = pd.concat([X, X], ignore_index=True)
    X.at[5, "x"] = X.at[5, "x"].tolist()  # a list is as good
    keys = row_keys(X)
    assert keys.dtype == np.uint64
    assert_array_equal(keys[:5], keys[5:])
    assert len(set(keys)) == 5
    of_objects = row_keys(X.to_numpy(dtype=object))
    assert len(set(of_objects)) == 5
    assert_array_equal(of_objects[:5], of_objects[5:])
    assert len(set(row_keys(X.assign(a=np.arange(10))))) == 10
    assert len(set(row_keys(X.assign(y=X["x"][::-1].to_numpy())))) == 5


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "bool"])
@pytest.mark.parametrize("more", [False, True])
def test_keys_of_wide_tables(monkeypatch, dtype, more):
    monkeypatch.setattr("sknestedae._tables._columns._CHUNK_VALUES", 3000)  # 5 rows
    X = (np.random.default_rng(0).random((23, 600)) + 0.5).astype(int).astype(dtype)
    X[7] = X[3]
    table = pd.DataFrame(X)
    if more:
        table["word"] = ["x", *["y"] * 22]
        table["size"] = [0.5] * 22 + [1.5]
    keys = row_keys(table)
    assert keys.dtype == np.uint64
    assert keys[7] == keys[3]
    assert len(set(keys)) == 22
    order = np.random.default_rng(1).permutation(23)
    assert_array_equal(row_keys(table.iloc[order]), keys[order])
    if more:
        assert len(set(row_keys(table.assign(word=[str(k) for k in range(23)])))) == 23
    else:
        assert_array_equal(row_keys(X), keys)
        assert_array_equal(row_keys(np.asfortranarray(X)), keys)


def test_equal_numbers_of_wide_tables_have_equal_keys_whatever_their_bits():
    X = np.zeros((4, 400))
    X[1] = -0.0
    X[2:, 5] = np.nan
    X[3, 5:6].view(np.uint64)[:] |= 1  # another NaN
    keys = row_keys(X)
    assert keys[0] == keys[1] != keys[2] == keys[3]


def test_distinct_rows_of_wide_tables_are_counted_some_after_others(monkeypatch):
    monkeypatch.setattr("sknestedae._tables._columns._CHUNK_VALUES", 3000)
    X = np.repeat(np.random.default_rng(0).random((8, 600)), 4, axis=0)
    assert count_distinct_rows(X, None, 100) == 8
    assert count_distinct_rows(pd.DataFrame(X), X[::-1], 100) == 8
    assert count_distinct_rows(X, None, 2) == 2  # six rows are looked at
    assert count_distinct_rows(pd.DataFrame({"x": as_cells(X)}), None, 100) == 8
