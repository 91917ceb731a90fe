"""A table as a chain sees it: its stages' tables, and what is known of its rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sknestedae._tables._labels import ColumnLabels
from sknestedae._tables._scales import last_scale, measured_scales
from sknestedae._tables._staged import StagedTable, StageLatents, find_columns
from sknestedae.exceptions import FewRowsWarning, TextColumnWarning

STAGES = [("a", None, ["r", "m"]), ("b", None, ["t"])]


def frame(n_rows=6):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n_rows, 4)), columns=["t", "r", "x", "m"])
    X.loc[[1, 4], "t"] = np.nan
    X.loc[2, ["r", "m"]] = np.nan
    X.loc[3, "r"] = np.nan
    return X.set_axis([f"row {i}" for i in range(n_rows)], axis=0)


def as_given(kind):
    X = frame()
    if kind == "frame":
        return StagedTable.of(X, STAGES)
    return StagedTable.of(X.to_numpy(), [("a", None, [1, 3]), ("b", None, [0])])


@pytest.fixture(params=["frame", "array"])
def table(request):
    return as_given(request.param)


def latents_of(table, n_latents=2):
    values = np.arange(len(table) * n_latents, dtype=float).reshape(len(table), n_latents)
    return StageLatents(values, [("a", f"z{i}") for i in range(n_latents)])


def test_what_is_measured_is_known_from_the_beginning(table):
    assert list(table.columns.items()) == [("a", [1, 3]), ("b", [0])]
    assert_array_equal(table.measured, measured_scales(table.X, [[1, 3], [0]]))
    assert_array_equal(table.last, last_scale(table.measured))
    assert_array_equal(table.last, [1, 0, 1, 1, 0, 1])
    assert_array_equal(table.seen(0), [True, True, False, True, True, True])
    assert table.seen(1).all()
    assert table.row_labels[-1] == ("row 5" if table.labels.is_frame else 5)


def test_some_rows_are_those_of_a_table_read_anew(table):
    rows = np.array([4, 2, 2])
    part = table.take(rows)
    again = table.with_rows(part.X)
    assert len(part) == 3
    assert_array_equal(part.measured, again.measured)
    assert_array_equal(part.last, table.last[rows])
    latents = latents_of(table)
    own = StageLatents(latents.values[rows], latents.names)
    assert_array_equal(part.stage(1, own), table.stage(1, latents, rows))


def test_a_stage_has_its_own_columns_then_the_latents_before(table):
    whole = np.asarray(table.X)
    assert_array_equal(table.stage(0, None), whole[:, [1, 3]])
    assert_array_equal(table.own_columns(0), whole[:, [1, 3]])
    latents = latents_of(table)
    assert_array_equal(table.stage(1, latents), np.column_stack([whole[:, 0], latents.values]))
    rows = np.array([5, 0])
    assert_array_equal(table.stage(1, latents, rows), np.asarray(table.stage(1, latents))[rows])


@pytest.mark.parametrize("columns", [[1, 3], [1, 2]])
@pytest.mark.parametrize("rows", [slice(None), slice(1, 3), np.array([5, 0])])
def test_a_stage_of_an_array_has_a_copy_with_rows_in_order(columns, rows):
    X = np.asfortranarray(frame().to_numpy())
    own = StagedTable.of(X, [("a", None, columns)]).stage(0, None, rows)
    assert_array_equal(own, X[rows][:, columns])
    assert own.flags.c_contiguous
    assert not np.shares_memory(own, X)  # an estimator may change it


def test_latents_are_named_after_their_stage():
    table = as_given("frame")
    own = table.stage(1, latents_of(table))
    assert own.columns.to_list() == ["t", "a__z0", "a__z1"]
    assert own.index.equals(table.X.index)
    numbered = StagedTable.of(
        table.X.set_axis(range(4), axis=1), [("a", None, [1]), ("b", None, [0])]
    )
    # names are strings, all or none
    assert numbered.stage(1, latents_of(table)).columns.to_list() == [0, ("a", "z0"), ("a", "z1")]


def test_stages_are_the_scales_of_two_levels_or_the_one_table():
    X = frame()
    assert StagedTable.of(X, None).columns == {"scale0": [0, 1, 2, 3]}
    X.columns = pd.MultiIndex.from_tuples([("u", "t"), ("v", "r"), ("u", "x"), ("v", "m")])
    table = StagedTable.of(X, None)
    assert table.columns == {"u": [0, 2], "v": [1, 3]}
    assert table.stage(0, None).columns.to_list() == ["t", "x"]


def test_columns_may_be_found_by_a_function_of_the_table():
    X = frame()
    table = StagedTable.of(
        X, [("a", None, lambda X: X.columns[X.notna().all()]), ("b", None, "r")]
    )
    assert table.columns == {"a": [2], "b": [1]}


def test_columns_that_cannot_be():
    labels = ColumnLabels.of(frame())
    with pytest.raises(ValueError, match=r"Stage 'a' has no columns: \[\] is none"):
        find_columns({"a": [], "b": ["r"]}, labels, 4)
    with pytest.raises(ValueError, match=r"Stage 'b' has no columns: slice.* is none"):
        find_columns({"a": ["r"], "b": slice(4, 9)}, labels, 4)


def test_a_later_stage_may_have_the_columns_of_another_or_none():
    labels = ColumnLabels.of(frame())
    found = find_columns({"a": ["r"], "b": ["r", "m"], "c": []}, labels, 4)
    assert found["a"] == found["b"][:1]
    assert found["c"] == []


def test_rows_belong_to_the_last_scale_at_which_they_are_known(table):
    unknown = np.zeros((6, 2), dtype=bool)
    own, later = table.training_rows(unknown, "own")
    assert_array_equal(own, [1, 4])
    assert_array_equal(later, [0, 2, 3, 5])
    known = unknown.copy()
    known[4, 1] = True  # a target alone makes it one of the last scale
    assert_array_equal(table.training_rows(known, "own")[0], [1])
    every, later = table.training_rows(known, "all")
    assert_array_equal(every, [0, 1, 3, 4, 5])
    assert_array_equal(later, [0, 2, 3, 5])


def test_few_rows_of_many_give_a_warning_and_empty_ones_an_error():
    X = frame(40)
    X.loc["row 5":, ["t", "r", "m"]] = 1.0
    with pytest.warns(FewRowsWarning, match=r"'a' is trained on the 2 rows.*not on 39"):
        StagedTable.of(X, STAGES).training_rows(np.zeros((40, 2), dtype=bool), "own")
    X.loc["row 7", ["t", "r", "m"]] = np.nan
    with pytest.raises(ValueError, match=r"Row 7 \(index 'row 7'\) has nothing measured"):
        StagedTable.of(X, STAGES).training_rows(np.zeros((40, 2), dtype=bool), "own")


def test_a_target_belongs_to_stages_and_rows(table):
    y = pd.DataFrame({"b": [1.0, None, 3.0, 4.0, 5.0, 6.0], "a": list("uvuvuv")})
    target = table.read_target(y)
    assert target.columns == {"a": [1], "b": [0]}
    assert not target.is_1d
    assert_array_equal(target.known(6), np.column_stack([np.ones(6), y["b"].notna()]))
    assert_array_equal(target.known_of("b"), y["b"].notna())
    assert target.holds_labels("a")
    assert not target.holds_labels("b")
    assert_array_equal(target.stage("b", np.array([4, 2])), [5.0, 3.0])
    kept = np.arange(6) % 2 == 0
    part = table.take(np.flatnonzero(kept)).read_target(y, kept)
    assert_array_equal(part.stage("b", np.arange(3)), [1.0, 3.0, 5.0])
    if table.labels.is_frame:
        assert part.frame.index.to_list() == ["row 0", "row 2", "row 4"]


def test_no_target_is_known_of_no_row(table):
    target = table.read_target(None)
    assert target.columns == {"a": [], "b": []}
    assert not target.known(6).any()
    assert target.stage("a", np.arange(6)) is None
    assert not target.holds_labels("a")


def test_the_whole_table_says_what_a_column_of_objects_is():
    X = frame()
    X["m"] = [1, 2, 3, 4, 5, "word"]
    table = StagedTable.of(X, STAGES)
    with pytest.warns(TextColumnWarning, match="beside the text 'word'"):
        assert table.categorical_columns(0) == [1]
    assert table.categorical_columns(1) is None
    assert table.take(np.arange(3)).categorical_columns(0) is None


def test_a_stage_without_columns_has_the_rows_that_are_known_there():
    X = np.arange(12.0).reshape(6, 2)
    table = StagedTable.of(X, [("a", None, [0, 1]), ("b", None, [])])
    known = np.array([[True, False]] * 2 + [[True, True]] * 4)
    for train_rows, first in (("own", [0, 1]), ("all", range(6))):
        rows = table.training_rows(known, train_rows)
        assert_array_equal(rows[0], first)
        assert_array_equal(rows[1], [2, 3, 4, 5])
