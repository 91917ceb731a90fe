"""Many tables to one, folds of scales, scores of stages: nothing here trains but one fit."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn.metrics import accuracy_score, mean_absolute_error
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sknestedae import (
    NestedAutoencoder,
    ScaleKFold,
    SupervisedAutoencoder,
    stack_scales,
    stage_scorer,
)
from sknestedae._tables._scales import is_scale_list, last_scale, measured_scales
from sknestedae._tables._target import match_targets
from sknestedae.exceptions import SameRowsWarning


def crystals(n_rows=6):
    return pd.DataFrame(
        {
            "radius": np.linspace(1, 2, n_rows),
            "count": np.arange(n_rows),
            "mixed": np.arange(n_rows) % 2 == 0,
        },
        index=[f"c{i}" for i in range(n_rows)],
    )


def cells(n_rows=4):
    own = pd.DataFrame({"layer": pd.Categorical(["TiO2", "SnO2"] * (n_rows // 2))})
    return pd.concat([crystals(n_rows).reset_index(drop=True), own], axis=1)


# -- stack_scales


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
        ([pd.concat({"a": crystals()}, axis=1)], None, None, "columns of 2 levels"),
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


# -- rows and targets


def test_last_measured_scale():
    X = pd.DataFrame({"a": [1, 2, np.nan, np.nan], "b": [None, "x", "y", None]})
    measured = measured_scales(X, [[0], [1]])
    assert_array_equal(last_scale(measured), [0, 1, 1, -1])
    as_array = measured_scales(X.to_numpy(dtype=object), [[0], [1]])
    assert_array_equal(as_array, measured)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["b", "a", "b"], [[1], [0, 2]]),
        ([("b", "x"), ("b", "y")], [[], [0, 1]]),
        ([0, 1], [[0], [1]]),
        (["x"], [[], [0]]),
        ([("u", 1), ("v", 1), ("v", 2)], [[0], [1, 2]]),
    ],
)
def test_targets_by_name_else_in_order(columns, expected):
    y = pd.DataFrame(np.ones((2, len(columns))))
    y.columns = pd.Index(columns)
    assert match_targets(y, ["a", "b"]) == expected


def test_targets_that_match_nothing():
    with pytest.raises(ValueError, match=r"y has the columns \['0', '1', '2'\], but the scales"):
        match_targets(pd.DataFrame(np.ones((2, 3))), ["a", "b"])


# -- ScaleKFold


def test_folds_of_a_scale_are_those_of_its_rows_alone():
    X, y = stack_scales([crystals(12), cells(20)], [None, np.arange(20.0)])
    rows = np.flatnonzero(X.index.get_level_values(0) == "scale1")
    expected = [rows[test] for _, test in KFold(5, shuffle=True, random_state=3).split(rows)]
    for scales in (None, ["scale1"]):
        splitter = ScaleKFold(5, shuffle=True, random_state=3, scales=scales)
        assert splitter.get_n_splits() == 5
        for (train, test), own in zip(splitter.split(X, y), expected, strict=True):
            held_out = test[np.isin(test, rows)]
            assert_array_equal(held_out, own)
            assert len(np.intersect1d(train, test)) == 0
            assert len(train) + len(test) == len(X)
            assert (len(test) == len(own)) == (scales is not None)


def test_groups_stay_together_across_scales():
    X, _ = stack_scales([crystals(12), cells(20)])
    rng = np.random.default_rng(0)
    groups = rng.choice(list("abcdefgh"), len(X)).astype(object)
    groups[rng.random(len(X)) < 0.2] = None
    seen = []
    for train, test in ScaleKFold(3, shuffle=True, random_state=0).split(X, groups=groups):
        named = [{g for g in groups[part] if g is not None} for part in (train, test)]
        assert not named[0] & named[1]
        seen += test.tolist()
    assert sorted(seen) == list(range(len(X)))


def test_folds_of_one_scale_are_those_of_scikit_learn():
    X = np.ones((20, 2))
    groups = np.arange(20) // 3
    ours = ScaleKFold(4, shuffle=True, random_state=1).split(X, groups=groups)
    theirs = GroupKFold(4, shuffle=True, random_state=1).split(X, groups=groups)
    for (_, test), (_, expected) in zip(ours, theirs, strict=True):
        assert_array_equal(test, expected)


def test_a_known_target_makes_a_row_one_of_its_scale():
    X = pd.concat(
        {"a": pd.DataFrame({"u": [1.0] * 4}), "b": pd.DataFrame({"v": [1, np.nan, 1, np.nan]})},
        axis=1,
    )
    y = [np.nan, 2.0, 3.0, np.nan]
    tests = [test.tolist() for _, test in ScaleKFold(3, scales=["b"]).split(X, y)]
    assert tests == [[0], [1], [2]]


@pytest.mark.parametrize(
    ("parameters", "X", "message"),
    [
        ({"n_splits": 5}, stack_scales([crystals(12), cells(4)])[0], "'scale1' cannot be split"),
        ({"scales": ["x"]}, crystals(), "list of scales of X, which are"),
        ({"scales": "scale0"}, crystals(), "must be a list of scales"),
        ({}, [crystals(), cells()], "stack_scales"),
        ({"n_splits": 1}, crystals(), "cannot be split: k-fold"),
        (
            {"random_state": 0},
            crystals(),
            "cannot be split: Setting a random_state has no effect",
        ),
    ],
)
def test_folds_that_can_not_be(parameters, X, message):
    with pytest.raises(ValueError, match=message):
        next(ScaleKFold(**parameters).split(X))


def test_repr_of_folds():
    assert repr(ScaleKFold(3)) == (
        "ScaleKFold(n_splits=3, shuffle=False, random_state=None, scales=None)"
    )


# -- stage_scorer


@pytest.fixture(scope="module")
def fitted():
    X, y = stack_scales(
        [crystals(30), cells(20)],
        [np.arange(30.0), np.where(np.arange(20) % 2, "low", "high")],
        names=["crystal", "cell"],
    )
    return NestedAutoencoder(max_iter=2, random_state=0).fit(X, y), X, y


def test_scores_of_a_stage_are_of_its_measured_rows(fitted):
    nae, X, y = fitted
    prediction = nae.predict(X)
    known = y["crystal"]["y"].notna().to_numpy()
    scorer = stage_scorer(mean_absolute_error, "crystal", greater_is_better=False)
    expected = -mean_absolute_error(y["crystal"]["y"][known], prediction[known, 0].astype(float))
    assert scorer(nae, X, y) == pytest.approx(expected, rel=1e-12)
    assert stage_scorer(mean_absolute_error, 0)(nae, X, y) == pytest.approx(-expected, rel=1e-12)
    weight = np.where(known, 2.0, 5.0)
    assert scorer(nae, X, y, sample_weight=weight) == pytest.approx(expected, rel=1e-12)
    accuracy = stage_scorer(accuracy_score, "cell")
    known = y["cell"]["y"].notna().to_numpy()
    assert accuracy(nae, X, y) == np.mean(prediction[known, 1] == y["cell"]["y"][known])
    assert pickle.loads(pickle.dumps(scorer))(nae, X, y) == scorer(nae, X, y)
    assert repr(scorer) == (
        "stage_scorer(mean_absolute_error, 'crystal', greater_is_better=False)"
    )


def test_scorer_through_pipeline_and_search(fitted):
    _, X, y = fitted
    scorer = stage_scorer(mean_absolute_error, "crystal", greater_is_better=False)
    pipeline = make_pipeline(FunctionTransformer(), NestedAutoencoder(max_iter=2, random_state=0))
    search = GridSearchCV(
        pipeline,
        {"nestedautoencoder__n_components": [1, 2]},
        scoring=scorer,
        cv=ScaleKFold(2, shuffle=True, random_state=0),
        error_score="raise",
    ).fit(X, y)
    assert search.best_score_ < 0
    assert scorer(search, X, y) < 0
    assert cross_val_score(search, X, y, scoring=scorer, cv=2, error_score="raise").shape == (2,)


def test_scorers_that_can_not_score(fitted):
    nae, X, y = fitted
    for stage, message in (("x", "no stage 'x'"), (7, "no stage 7")):
        with pytest.raises(ValueError, match=message):
            stage_scorer(mean_absolute_error, stage)(nae, X, y)
    rows = X.index.get_level_values(0) == "cell"
    with pytest.raises(ValueError, match="no measured row to score with; all 20 are missing"):
        stage_scorer(mean_absolute_error, "crystal")(nae, X[rows], y[rows])
    with pytest.raises(TypeError, match="metric must be callable, got 'mae'"):
        stage_scorer("mae", "crystal")
    flat = SupervisedAutoencoder(max_iter=1).fit(np.ones((3, 2)) * [[1], [2], [3]])
    with pytest.raises(TypeError, match=r"needs a NestedAutoencoder.*got SupervisedAutoencoder"):
        stage_scorer(mean_absolute_error, "crystal")(flat, X, y)
    unsupervised = NestedAutoencoder(max_iter=1).fit(X)
    with pytest.raises(ValueError, match="'cell' was fitted without a target"):
        stage_scorer(mean_absolute_error, "cell")(unsupervised, X, y)


# -- what a list of bare arrays means


def test_arrays_that_may_be_both_say_what_they_were_taken_for():
    first, second = np.zeros((6, 2)), np.ones((6, 3))
    with pytest.warns(SameRowsWarning, match=r"have 6 rows each.*same_rows=False"):
        stacked, _ = stack_scales([first, second])
    assert stacked.shape == (6, 5)
    same, _ = stack_scales([first, second], same_rows=True)
    pd.testing.assert_frame_equal(same, stacked)
    own, _ = stack_scales([first, second], same_rows=False)
    assert own.shape == (12, 3)


@pytest.mark.parametrize(
    ("X_list", "same"),
    [
        ([np.zeros((6, 2)), np.ones((5, 3))], False),  # other numbers of rows
        ([np.zeros((6, 3)), np.ones((6, 2))], True),  # nothing can be carried
        ([np.zeros((6, 2)), np.ones((6, 2))], True),
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


def test_groups_may_be_anything():
    X, _ = stack_scales([crystals(6)[["radius"]], crystals(6)[["count", "mixed"]]])
    for groups in (
        pd.Series([(1, "a"), (2, "b"), (3, "c")] * 2, X.index),
        pd.date_range("2024-01-01", periods=3).repeat(2),
        pl.Series(["u", "v", "w"] * 2),
        [("a", 1), ("b", 2), None] * 2,
    ):
        for train, test in ScaleKFold(2).split(X, groups=groups):
            names = pd.Series(list(groups), dtype=object)
            assert not set(names[train].dropna()) & set(names[test].dropna())
