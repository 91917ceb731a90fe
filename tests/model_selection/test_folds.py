"""Folds that have a share of each scale."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from cases.scales import cells, crystals
from numpy.testing import assert_array_equal
from sklearn.model_selection import GroupKFold, KFold

from sknestedae import ScaleKFold, stack_scales
from sknestedae.model_selection._folds import group_codes


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


def test_a_row_without_a_group_is_one_of_its_own():
    codes = group_codes(["b", None, "a", np.nan, "b"], 5)
    assert codes[0] == codes[4]
    assert len(set(codes)) == 4
    assert group_codes(None, 3).tolist() == [0, 1, 2]
