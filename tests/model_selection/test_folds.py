"""Folds that have a share of each scale, and folds of positions with a gap."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from cases.scales import cells, crystals
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score

from sknestedae import ScaleKFold, stack_scales
from sknestedae.datasets import patches_at
from sknestedae.model_selection import GapKFold
from sknestedae.model_selection._folds import group_codes, slab_bounds


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


# --- folds of positions -----------------------------------------------------------------------


def pixels(n_rows, n_columns):
    """Positions (row, column) of a map, row by row."""
    return np.indices((n_rows, n_columns)).reshape(2, -1).T


def splits(positions, *args, **kwargs):
    return list(GapKFold(*args, **kwargs).split(None, groups=positions))


def test_four_directions_of_the_patches_of_a_map():
    """Centres of 8 x 8 patches of a 32 x 32 map: 10 lines to learn from, 8 left out, 7 to test."""
    positions = pixels(25, 25) + 4
    lines = np.arange(25) + 4
    found = splits(positions, 4, gap=8, test_size=7)
    expected = [(axis, low, high) for axis in (0, 1) for low, high in ((4, 10), (22, 28))]
    for (train, test), (axis, low, high) in zip(found, expected, strict=True):
        assert (len(train), len(test)) == (250, 175)
        along = positions[:, axis]
        assert_array_equal(np.unique(along[test]), lines[(lines >= low) & (lines <= high)])
        far = (lines < low - 8) | (lines > high + 8)
        assert_array_equal(np.unique(along[train]), lines[far])
        assert far.sum() == 10
    same = splits(positions, 4, gap=8, test_size=0.3)  # 7.5 lines are rounded down, to 7
    for ours, theirs in zip(found, same, strict=True):
        assert_array_equal(ours[0], theirs[0])
        assert_array_equal(ours[1], theirs[1])


@pytest.mark.parametrize("seed", range(20))
def test_no_training_row_is_within_the_gap(seed):
    """Positions of any number of axes, on a grid and scattered, with a gap of any width."""
    rng = np.random.default_rng(seed)
    n_axes = int(rng.integers(1, 4))
    positions = rng.normal(size=(60, n_axes))
    if seed % 2:
        positions = positions.round(1)  # many rows on one line
    gap = rng.uniform(0, 0.5)
    n_slabs = int(rng.integers(2, 5))
    test_size = [None, 3, 0.2][seed % 3]
    found = splits(positions, n_slabs * n_axes, gap, test_size=test_size)
    assert len(found) == n_slabs * n_axes
    for k, (train, test) in enumerate(found):
        along = positions[:, k // n_slabs]
        assert len(train)
        assert len(test)
        distances = np.abs(along[train][:, None] - along[test])
        assert distances.min() > gap
        # and only rows within the gap are left out
        rest = np.setdiff1d(np.arange(60), np.concatenate([train, test]))
        assert len(rest) + len(train) + len(test) == 60
        to_slab = np.maximum(along[test].min() - along[rest], along[rest] - along[test].max())
        assert (to_slab <= gap + 1e-12).all()
        assert (to_slab > 0).all()


def test_a_share_of_lines_is_not_rounded_twice():
    # 0.29 * 100 is 28.999999999999996.
    assert [len(test) for _, test in splits(np.arange(100), 2, gap=0, test_size=0.29)] == [29, 29]


def test_without_test_size_each_row_is_held_out_once_on_each_axis():
    positions = pixels(11, 6)
    found = splits(positions, 6, gap=1)
    sizes = [len(test) for _, test in found]
    assert sizes == [4 * 6, 4 * 6, 3 * 6, 2 * 11, 2 * 11, 2 * 11]
    for axis in (0, 1):
        held_out = np.concatenate([test for _, test in found[3 * axis : 3 * axis + 3]])
        assert_array_equal(np.sort(held_out), np.arange(66))
    # A slab in the middle has a gap on both sides.
    train, test = found[1]
    assert np.unique(positions[test, 0]).tolist() == [4, 5, 6, 7]
    assert np.unique(positions[train, 0]).tolist() == [0, 1, 2, 9, 10]


def test_without_a_gap_one_axis_is_split_as_without_positions():
    found = splits(np.arange(23), 4, gap=0)
    expected = KFold(4).split(np.zeros(23))
    for (train, test), (their_train, their_test) in zip(found, expected, strict=True):
        assert_array_equal(train, their_train)
        assert_array_equal(test, their_test)


def test_positions_in_any_unit_and_order():
    """Of 0.3 mm a step, 14 steps - 6 steps are a little more than 8, and within such a gap."""
    assert 14 * 0.3 - 6 * 0.3 > 8 * 0.3
    rng = np.random.default_rng(0)
    order = rng.permutation(25 * 25)
    inverse = np.argsort(order)
    steps = pixels(25, 25)
    found = splits((steps * 0.3)[order], 4, gap=8 * 0.3, test_size=7)
    expected = splits(steps, 4, gap=8, test_size=7)
    for ours, theirs in zip(found, expected, strict=True):
        for rows, their_rows in zip(ours, theirs, strict=True):
            assert_array_equal(rows, np.sort(inverse[their_rows]))


@pytest.mark.parametrize("size", [4, 5])
def test_a_gap_of_a_pixel_less_than_a_patch_leaves_no_common_pixel(size):
    number = np.arange(20.0 * 20).reshape(20, 20)
    patches, _, positions = patches_at(number, number[:, :, None], size)
    for gap, is_apart in ((size - 1, True), (size - 2, False)):
        for train, test in splits(positions, 4, gap=gap, test_size=4):
            common = np.intersect1d(patches[train], patches[test])
            assert (len(common) == 0) == is_apart


def test_slabs_lie_at_equal_distances():
    # 24 lines: 3 slabs of 8 lines, or 4 of 7 whose distances of 5 2/3 lines are rounded.
    assert slab_bounds(24, 3, 8) == slab_bounds(24, 3, None) == [(0, 8), (8, 16), (16, 24)]
    assert slab_bounds(24, 4, 7) == [(0, 7), (6, 13), (11, 18), (17, 24)]


def as_arrow(positions):
    return pl.DataFrame(positions).to_arrow()


@pytest.mark.parametrize(
    "kind", [np.asarray, pd.DataFrame, pl.DataFrame, as_arrow, torch.as_tensor, np.ndarray.tolist]
)
def test_spellings_of_positions(kind):
    positions = pixels(6, 6)
    found = splits(kind(positions), 4, gap=1, test_size=2)
    for ours, theirs in zip(found, splits(positions, 4, gap=1, test_size=2), strict=True):
        assert_array_equal(ours[0], theirs[0])
        assert_array_equal(ours[1], theirs[1])


def test_positions_are_groups_of_scikit_learn():
    positions = pixels(8, 8)
    X, y = positions * [1.0, 2.0], positions.sum(axis=1)
    folds = GapKFold(4, gap=1, test_size=2)
    assert folds.get_n_splits() == 4
    by_hand = [
        Ridge().fit(X[train], y[train]).score(X[test], y[test])
        for train, test in folds.split(X, y, positions)
    ]
    assert_array_equal(cross_val_score(Ridge(), X, y, groups=positions, cv=folds), by_hand)
    search = GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=folds).fit(X, y, groups=positions)
    assert search.n_splits_ == 4
    assert search.cv_results_["split3_test_score"][0] == by_hand[3]
    with config_context(enable_metadata_routing=True):
        routed = cross_val_score(Ridge(), X, y, params={"groups": positions}, cv=folds)
    assert_array_equal(routed, by_hand)


def test_a_splitter_is_copied_and_shown():
    folds = GapKFold(4, gap=8, test_size=7)
    assert repr(folds) == "GapKFold(gap=8, n_splits=4, test_size=7)"
    assert repr(pickle.loads(pickle.dumps(folds))) == repr(folds)


def test_rows_of_positions_and_data_must_agree():
    X = pd.DataFrame({"x": np.arange(9.0)}, index=list("abcdefghi"))
    positions = pd.DataFrame({"r": np.arange(9)}, index=list("ihgfedcba"))
    folds = GapKFold(2, gap=1)
    with pytest.raises(ValueError, match="X and groups have the same row labels in another order"):
        list(folds.split(X, groups=positions))
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[9, 8\]"):
        list(folds.split(X, groups=np.arange(8)))


@pytest.mark.parametrize(
    ("parameters", "positions", "message"),
    [
        ({}, None, r"needs the positions of the rows. Pass them as 'groups'"),
        ({}, [[0.0, np.nan]] * 9, r"Input groups contains NaN"),
        ({}, np.ma.masked_less(pixels(5, 5), 1), r"Input groups contains NaN"),
        ({}, [["a", "b"]] * 9, r"could not convert string to float"),
        (
            {"gap": -1},
            pixels(5, 5),
            r"'gap' parameter of GapKFold.* not negative; got -1",
        ),
        ({"gap": None}, pixels(5, 5), r"'gap' parameter of GapKFold.*got None"),
        ({"gap": np.nan}, pixels(5, 5), r"'gap' parameter of GapKFold.*got nan"),
        ({"gap": 3}, pixels(5, 5), r"too large: 3 leaves no training rows .*from 0.0 to 2.0 on a"),
        ({"n_splits": 5}, pixels(5, 5), r"'n_splits'.*multiple of .*, 2, and at least 4; got 5"),
        ({"n_splits": 2}, pixels(5, 5), r"'n_splits'.*multiple of .*, 2, and at least 4; got 2"),
        ({"n_splits": 4.0}, pixels(5, 5), r"'n_splits' parameter of GapKFold.*got 4.0"),
        ({"n_splits": 8}, pixels(5, 3), r"asks for 4 folds on each axis; axis 1 has only 3"),
        ({"test_size": 5}, pixels(6, 5), r"'test_size'.*those of axis 1, 5, .*got 5"),
        ({"test_size": 0.1}, pixels(6, 5), r"'test_size'.*at least one; got 0.1"),
        ({"test_size": 1.5}, pixels(6, 5), r"'test_size' parameter of GapKFold.*got 1.5"),
        ({"test_size": "7"}, pixels(6, 5), r"'test_size' parameter of GapKFold.*got '7'"),
    ],
)
def test_errors_of_folds_of_positions(parameters, positions, message):
    with pytest.raises(ValueError, match=message):
        list(GapKFold(**{"n_splits": 4, "gap": 0, **parameters}).split(None, groups=positions))
