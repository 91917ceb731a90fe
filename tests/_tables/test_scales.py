"""Many tables, one a scale, to one table."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from cases.scales import cells, crystals
from numpy.testing import assert_array_equal

from sknestedae import stack_scales
from sknestedae._tables._scales import (
    doubt_join,
    is_scale_list,
    last_scale,
    measured_scales,
    stack,
)
from sknestedae.exceptions import SameRowsWarning, UnmeasuredScaleWarning


def test_a_single_row_stands_in_the_middle_of_another_scale_s():
    """So that no part of the table has the rows of one scale alone, from whichever end."""
    small, large = pd.DataFrame({"a": [0.0]}), pd.DataFrame({"a": range(4), "b": range(4)})
    X, _ = stack_scales([small, large])
    assert X.index.get_level_values("scale").tolist() == [
        "scale1",
        "scale1",
        "scale0",
        "scale1",
        "scale1",
    ]


def test_rows_of_their_own_are_interleaved_and_found_again():
    first, second = crystals(), cells()
    X, y = stack_scales([first, second], [np.arange(6.0), pd.Series(range(4), name="pce")])
    assert X.shape == (10, 4)
    assert y.columns.to_list() == [("scale0", "y"), ("scale1", "pce")]
    for name, table in (("scale0", first), ("scale1", second)):
        back = X.loc[name].droplevel(0, axis=1)[table.columns]
        assert_array_equal(back.index, table.index)
        for column in table:
            assert_array_equal(back[column].to_numpy(dtype=object), table[column].to_numpy())
    assert X.loc["scale0", "scale1"].isna().all(axis=None)
    assert_array_equal(y.loc["scale0"]["scale0"]["y"], np.arange(6))
    assert y.loc["scale1"]["scale0"].isna().all(axis=None)
    assert_array_equal(y.loc["scale1"]["scale1"]["pce"], np.arange(4))


def test_every_contiguous_part_has_its_share_of_each_scale():
    X, _ = stack_scales([crystals(50), cells(200)])
    for part in np.array_split(np.arange(250), 5):
        assert (X.index[part].get_level_values("scale") == "scale0").sum() == 10


def test_integers_and_booleans_stay_so_where_a_scale_is_missing():
    second = cells().assign(thickness=np.arange(4), doped=[True, False, True, True])
    X, y = stack_scales([crystals(), second], [["a", "b", "a", "b", "a", "a"], [1, 2, 1, 2]])
    assert X["scale0"]["count"].dtype == "int64"  # measured at both scales
    assert X["scale1"]["thickness"].dtype == "Int64"
    assert X["scale1"]["doped"].dtype == "boolean"
    assert isinstance(X["scale1"]["layer"].dtype, pd.CategoricalDtype)
    assert y["scale1"]["y"].dtype == "Int64"
    assert set(y.loc["scale0"]["scale0"]["y"]) == {"a", "b"}


def test_categories_of_several_tables_are_united():
    first = pd.DataFrame({"kind": pd.Categorical(["a", "b", "a"])})
    second = pd.DataFrame({"kind": pd.Categorical(["c", "b"]), "size": [1.0, 2.0]})
    X, _ = stack_scales([first, second])
    column = X["scale0"]["kind"]
    assert isinstance(column.dtype, pd.CategoricalDtype)
    assert column.loc["scale1"].to_list() == ["c", "b"]


def test_same_rows_stand_side_by_side():
    first = crystals()
    second = pd.DataFrame({"layer": list("ababab")}, index=first.index)
    X, y = stack_scales([first, second], [None, np.arange(6.0)], names=["crystal", "cell"])
    assert X.columns.to_list() == [
        ("crystal", "radius"),
        ("crystal", "count"),
        ("crystal", "mixed"),
        ("cell", "layer"),
    ]
    assert_array_equal(X.index, first.index)
    assert X["crystal"].dtypes.equals(first.dtypes)
    assert y.columns.to_list() == [("cell", "y")]


def test_arrays_carry_earlier_columns_first():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(5, 2)), rng.normal(size=(3, 3))
    X, y = stack_scales([first, second], np.arange(3.0))
    assert X.columns.to_list() == [("scale0", "x0"), ("scale0", "x1"), ("scale1", "x2")]
    assert_array_equal(X.loc["scale1"], second)
    assert y.columns.to_list() == [("scale1", "y")]  # one target belongs to the last scale
    side_by_side, _ = stack_scales([first, rng.normal(size=(5, 1))])
    assert side_by_side.columns.to_list() == X.columns.to_list()


def test_an_array_of_objects_keeps_its_kinds_of_columns():
    X, _ = stack_scales([np.ones((3, 1)), np.array([[1.0, "a"], [2.0, "b"]], dtype=object)])
    assert X["scale0"]["x0"].dtype == "float64"
    assert X["scale1"]["x1"].loc["scale1"].to_list() == ["a", "b"]


def test_three_scales():
    a = pd.DataFrame({"a": np.arange(4.0)})
    b = pd.DataFrame({"a": np.arange(3.0), "b": np.arange(3.0)})
    c = pd.DataFrame({"b": np.arange(2.0), "c": np.arange(2.0), "a": np.arange(2.0)})
    X, y = stack_scales([a, b, c])
    assert y is None
    assert X.columns.to_list() == [("scale0", "a"), ("scale1", "b"), ("scale2", "c")]
    assert_array_equal(X.loc["scale2"], np.column_stack([np.arange(2.0)] * 3))


@pytest.mark.parametrize(
    ("X_list", "y_list", "names", "message"),
    [
        ([crystals(), cells().drop(columns="radius")], None, None, r"lacks \['radius'\]"),
        ([crystals(), pd.DataFrame({"layer": ["a"]})], None, None, "cannot be matched"),
        ([np.ones((3, 4)), np.ones((2, 3))], None, None, r"lacks \['x3'\]"),
        ([crystals(), crystals(4)], None, None, "'scale1' has no column of its own"),
        ([crystals(), cells()], [np.ones(6)], None, "y_list has 1 targets, but there are 2"),
        ([crystals(), cells()], [np.ones(6), np.ones(3)], None, "'scale1' has 3 rows.* has 4"),
        ([crystals(), cells()], np.ones((4, 2)), None, "must be a list of a target"),
        ([crystals(), cells()], None, ["a"], "2 tables, but 1 scales"),
        ([crystals(), cells()], None, ["a", "a"], "distinct names"),
        ([crystals(), cells()], None, ["a", "b__c"], "without '__', got 'b__c'"),
        ([crystals(), cells()], None, ["a", 1], "must have names that are strings"),
        (crystals(), None, None, "must be a list of tables"),
        ([np.ones(3)], None, None, "must be a list of tables"),
        ([], None, None, "must be a list of tables"),
        ([crystals().iloc[:0]], None, None, "0 rows and 3 columns"),
        ([crystals()[["radius", "radius"]]], None, None, r"columns \['radius'\] more than once"),
        (
            [pd.concat({"a": crystals()}, axis=1)],
            None,
            None,
            "columns of 2 levels.* whose cells hold arrays",
        ),
        (
            [crystals(), pd.DataFrame({"layer": list("ababab")})],
            None,
            None,
            "as many rows and no common column.*indices differ",
        ),
    ],
)
def test_what_can_not_be_stacked(X_list, y_list, names, message):
    with pytest.raises(ValueError, match=message):
        stack_scales(X_list, y_list, names)


def test_sparse_tables_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"scale 'scale0' is a sparse csr.*sparse_output=False"):
        stack_scales([sparse.eye(3, format="csr"), sparse.eye(4, format="csr")])


def test_a_list_of_rows_is_no_list_of_tables():
    assert not is_scale_list([[1, 2], [3, 4]])
    assert not is_scale_list([])
    assert not is_scale_list(np.ones((2, 2, 2)))
    assert is_scale_list([[[1, 2], [3, 4]]])
    assert is_scale_list((np.ones((2, 2)), crystals()))


def test_last_measured_scale():
    X = pd.DataFrame({"a": [1, 2, np.nan, np.nan], "b": [None, "x", "y", None]})
    measured = measured_scales(X, [[0], [1]])
    assert_array_equal(last_scale(measured), [0, 1, 1, -1])
    as_array = measured_scales(X.to_numpy(dtype=object), [[0], [1]])
    assert_array_equal(as_array, measured)


def test_arrays_that_may_be_both_say_what_they_were_taken_for():
    first, second = np.zeros((6, 2)), np.ones((6, 3))
    with pytest.warns(SameRowsWarning, match=r"have 6 rows each.*same_rows=False"):
        stacked, _ = stack_scales([first, second])
    assert stacked.shape == (6, 5)
    same, _ = stack_scales([first, second], same_rows=True)
    pd.testing.assert_frame_equal(same, stacked)
    own, _ = stack_scales([first, second], same_rows=False)
    assert own.shape == (12, 3)


def test_arrays_of_one_shape_may_be_one_property_by_two_methods():
    first, second = np.zeros((6, 2)), np.ones((6, 2))
    with pytest.warns(SameRowsWarning, match=r"have 6 rows each.*same_rows=False"):
        stacked, _ = stack_scales([first, second])
    assert stacked.shape == (6, 4)
    targets = [np.zeros(6), np.ones(6)]
    own, _ = stack_scales([first, second], targets, same_rows=False)
    assert own.shape == (12, 2)


@pytest.mark.parametrize(
    ("X_list", "same"),
    [
        ([np.zeros((6, 2)), np.ones((5, 3))], False),  # other numbers of rows
        ([np.zeros((6, 3)), np.ones((6, 2))], True),  # nothing can be carried
        ([crystals()[["radius"]], crystals()[["count", "mixed"]]], True),  # names tell
        ([crystals()[["radius"]], crystals()[["radius", "count"]]], False),
        ([np.zeros((6, 2))], True),
    ],
)
def test_lists_that_tell_what_they_are_give_no_warning(X_list, same):
    stacked, _ = stack_scales(X_list)
    n_columns = sum(table.shape[1] for table in X_list)
    assert (len(stacked) == len(X_list[0]) and stacked.shape[1] == n_columns) is same


def test_tables_that_can_not_be_what_was_said():
    for X_list, problem in (
        ([np.zeros((6, 2)), np.ones((5, 3))], r"have \[6, 5\] rows"),
        (
            [crystals()[["radius"]], crystals()[["radius", "count"]]],
            r"both have the columns \['ra",
        ),
    ):
        with pytest.raises(ValueError, match=f"'same_rows' parameter is True.*{problem}"):
            stack_scales(X_list, same_rows=True)
    with pytest.raises(ValueError, match=r"lacks \['radius'\]"):
        stack_scales([crystals()[["radius"]], crystals()[["count"]]], same_rows=False)
    with pytest.raises(ValueError, match=r"'same_rows' parameter must be True, False or 'auto'"):
        stack_scales([np.zeros((6, 2))], same_rows="own")


@pytest.mark.parametrize("names", ["gap", ["gap", "efficiency"]])
def test_names_in_place_of_targets_are_told_how_to_pass_columns(names):
    first = crystals()
    second = first.iloc[:3].assign(layer=list("aba"))
    with pytest.raises(ValueError, match=r"y is .*'gap'.*for each scale.*table\['gap'\]"):
        stack_scales([first, second], names)


@pytest.mark.parametrize("key_stays", [True, False])
def test_rows_whose_name_found_no_partner_in_a_join_are_told(key_stays):
    first = crystals().assign(name=[f"C-{k}" for k in range(6)])
    samples = pd.DataFrame({"name": ["C-1", "c 2", "C-3", "C4"], "thick": [1.0, 2, 3, 4]})
    joined = samples.merge(first, on="name", how="left")
    if not key_stays:
        first, joined = first.drop(columns="name"), joined.drop(columns="name")
    with pytest.warns(
        UnmeasuredScaleWarning, match=r"2 of 4 rows of scale 'scale1', such as row 1, have no kno"
    ):
        doubt_join(stack([first, joined]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        doubt_join(stack([first, joined.iloc[[0, 2]]]))
        doubt_join(stack([first, samples[["thick"]].iloc[[0, 1] * 3].set_axis(first.index)]))
