"""Names with units, the columns to draw, and the panels of all displays."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sknestedae.plotting._base import (
    categorical_positions,
    column_positions,
    columns_to_draw,
    count,
    make_axes,
    point_size,
    with_unit,
)


@pytest.mark.parametrize(
    ("name", "unit", "expected"),
    [
        ("PCE", "%", "PCE (%)"),
        ("PCE (%)", "%", "PCE (%)"),
        ("PCE [%]", "%", "PCE [%]"),
        ("E / eV", "eV", "E / eV"),
        ("E/eV", "eV", "E/eV"),
        ("gap in eV", "eV", "gap in eV"),
        ("gap, eV", "eV", "gap, eV"),
        ("PCE (%)", "ppm", "PCE (%) (ppm)"),
        ("level", "el", "level (el)"),
        ("PCE (%)", "", "PCE (%)"),
    ],
)
def test_a_unit_is_written_once(name, unit, expected):
    assert with_unit(name, unit) == expected


def test_things_are_counted():
    assert count(1, "row") == "1 row"
    assert count(2, "row") == "2 rows"
    assert count(1200, "class", "classes") == "1,200 classes"


@pytest.fixture
def X():
    return pd.DataFrame(np.zeros((3, 3)), columns=["a", "b", "c"])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [("b", [1]), (["c", "a"], [2, 0]), (-1, [2]), ([1, "a"], [1, 0]), ([False, True, False], [1])],
)
def test_columns_are_named_or_counted(X, columns, expected):
    assert columns_to_draw(X, columns, range(3), "decoded") == expected
    assert columns_to_draw(X.to_numpy(), expected, range(3), "decoded") == expected


def test_columns_of_two_levels_are_named_by_either():
    labels = pd.MultiIndex.from_tuples([("crystal", "a"), ("device", "a"), ("device", "b")])
    X = pd.DataFrame(np.zeros((2, 3)), columns=labels)
    assert column_positions(X, ("device", "a"), "columns") == [1]
    assert column_positions(X, "device", "columns") == [1, 2]
    assert column_positions(X, ["b"], "columns") == [2]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("d", r"'columns' parameter names the column 'd'; X has columns \['a', 'b', 'c'\]"),
        (3, "'columns' parameter names the column 3"),
        ([], r"'columns' parameter must name at least one column, got \[\]"),
        (["a", "c"], "'columns' parameter names the column 'c', which is not decoded"),
    ],
)
def test_columns_that_cannot_be_drawn(X, columns, message):
    with pytest.raises(ValueError, match=message):
        columns_to_draw(X, columns, [0, 1], "decoded")


def test_categorical_columns_are_named_or_seen(X):
    X = X.assign(b=["u", "v", "u"], c=[1, 2, 1])
    decoded, positions = X[["c", "b"]], {1: 1, 2: 0}
    for given in ("from_dtype", None):
        assert categorical_positions(given, X, X, decoded, positions) == {1}
    assert categorical_positions(["c"], X, X, decoded, positions) == {1, 2}
    # a column that did not come back is not drawn, so that its kind does not matter
    assert categorical_positions([True, False, True], X, X, decoded, positions) == {1, 2}


def test_panels_are_those_given_or_new_ones():
    _, given = plt.subplots(1, 3)
    assert list(make_axes(given, 2, 4)) == list(given[:2])
    with pytest.raises(ValueError, match="'ax' parameter must hold an axes for each of the 4"):
        make_axes(given, 4, 4)
    made = make_axes(None, 5, 3)
    assert made.shape == (5,)
    assert len({ax.get_gridspec().get_geometry() for ax in made} | {(2, 3)}) == 1
    with pytest.raises(ValueError, match="'n_cols' parameter must be a positive int, got 0"):
        make_axes(None, 2, 0)


def test_points_shrink_with_the_root_of_their_number_between_two_limits():
    assert point_size(1) == point_size(180) == 45
    assert_allclose(point_size(720), 45 / 2)
    assert_allclose(point_size(10**6), 5)
    assert_allclose(point_size(720, 10.0), 5)


def test_axes_are_tidy_only_if_asked_for():
    for is_tidy in (False, True):
        (ax,) = make_axes(None, 1, 1, is_tidy=is_tidy)
        visible = [ax.spines[side].get_visible() for side in ("top", "right", "left", "bottom")]
        assert visible == [not is_tidy, not is_tidy, True, True]
