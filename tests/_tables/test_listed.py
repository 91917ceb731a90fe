"""Lists of tables, one a scale, as one table and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.nested import same_rows, two_scales
from numpy.testing import assert_array_equal

from sknestedae import stack_scales
from sknestedae._tables._labels import ColumnLabels
from sknestedae._tables._listed import TableList, read_given, stack_weights

COLUMNS = {"scale0": [0, 1], "scale1": [2, 3]}


def table_list(tables, *, same_rows):
    X, _ = stack_scales(tables, same_rows=same_rows)
    return TableList(COLUMNS, ColumnLabels.of(X), [None, None], same_rows), X


def test_a_list_is_read_as_the_table_that_stack_scales_makes_of_it():
    X_list, y_list = two_scales()
    X, y = stack_scales(X_list, y_list)
    given = read_given(X_list, y_list, None, None, "auto")
    pd.testing.assert_frame_equal(given.X, X)
    pd.testing.assert_frame_equal(given.y, y)
    assert given.same_rows is False
    assert given.frame_kinds == [None, None]
    table = read_given(X, y, None, None, "auto")
    pd.testing.assert_frame_equal(table.X, X)
    assert table.same_rows is None
    assert table.frame_kinds == [None]


def test_weights_go_with_their_rows():
    X_list, _ = two_scales()
    X, _ = stack_scales(X_list)
    scale = X.index.get_level_values("scale")
    rows = [np.flatnonzero(scale == name) for name in COLUMNS]
    weights = [np.arange(len(table)) + 100.0 * k for k, table in enumerate(X_list)]
    stacked = stack_weights(weights, rows, X_list)
    for own, weight in zip(rows, weights, strict=True):
        assert_array_equal(stacked[own], weight)
    given = read_given(X_list, None, weights, None, "auto")
    assert_array_equal(given.sample_weight, stacked)
    with pytest.raises(ValueError, match=r"of lengths \[40, 30\]"):
        stack_weights(np.ones(70), rows, X_list)
    tables, _ = same_rows()
    once = np.arange(40.0)
    assert_array_equal(read_given(tables, None, once, None, "auto").sample_weight, once)


def test_a_list_has_a_table_a_stage_later_ones_may_lack():
    X_list, _ = two_scales()
    listed, X = table_list(X_list, same_rows=False)
    pd.testing.assert_frame_equal(listed.stack(X_list).X, X)
    assert list(listed.stack(X_list[:1]).X.columns) == list(X.columns[:2])
    with pytest.raises(ValueError, match="a list of 3 tables, but there are 2 stages"):
        listed.stack([*X_list, X_list[1]])
    with pytest.raises(ValueError, match="a list of 1 tables, but there are 2 stages"):
        read_given(X_list[:1], None, None, list(COLUMNS), "auto")


@pytest.mark.parametrize("same", [True, False])
def test_decoded_columns_are_those_of_the_table_that_was_given(same):
    tables = same_rows()[0] if same else two_scales()[0]
    listed, X = table_list(tables, same_rows=same)
    assert listed.decoded_table(X).columns.to_list() == tables[-1].columns.to_list()
    as_array = TableList(COLUMNS, ColumnLabels.of(X.to_numpy()), [None], same)
    assert as_array.decoded_table(X.to_numpy()).shape == X.shape


@pytest.mark.parametrize("same", [True, False])
def test_a_completed_table_keeps_what_was_measured(same):
    tables = same_rows()[0] if same else two_scales()[0]
    tables[-1].iloc[2, -1] = np.nan
    listed, X = table_list(tables, same_rows=same)
    rows = listed.stack(tables).rows[-1]
    filled = X.iloc[rows].copy()
    filled[filled.columns[-1]] = 7
    completed = listed.completed_table(filled, tables[-1], slice(None))
    assert completed.columns.to_list() == tables[-1].columns.to_list()
    assert completed.iloc[2, -1] == 7
    known = tables[-1].notna()
    pd.testing.assert_frame_equal(
        completed.astype(object).where(known), tables[-1].astype(object).where(known)
    )
    some = listed.completed_table(filled.iloc[[2, 2]], tables[-1], np.array([2, 2]))
    assert_array_equal(some.iloc[:, -1], [7, 7])
    as_array = [table.to_numpy(dtype=object) for table in tables]
    assert listed.completed_table(filled, as_array[-1], slice(None)).shape == tables[-1].shape


def test_a_dict_of_tables_is_told_to_be_a_list():
    X_list, _ = two_scales()
    with pytest.raises(TypeError, match=r"X is a dict with 2 entries.*list\(X.values\(\)\)"):
        read_given(dict(zip("ab", X_list, strict=True)), None, None, None, "auto")


@pytest.mark.parametrize("as_frames", [True, False])
def test_a_list_of_targets_beside_one_table_is_refused(as_frames):
    X_list, _ = two_scales()
    y_list = [pd.Series(np.zeros(len(table))) for table in X_list]
    y_list = [y.to_frame() for y in y_list] if as_frames else y_list
    with pytest.raises(
        TypeError, match=r"y is a list of 2 targets, but X is one table\. Pass a l"
    ):
        read_given(X_list[0], y_list, None, None, "auto")
