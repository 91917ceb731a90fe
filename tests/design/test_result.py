"""The result of a design: what it says of itself, as text and as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sknestedae.design import Design


def a_design(meets, wanted, prediction=(3.0, 1.0, 2.0), names=("y",)):
    rows = np.arange(3.0)
    prediction = np.array(prediction)
    return Design(
        pd.DataFrame({"x": rows}, index=[4, 5, 6]),
        prediction,
        np.full(prediction.shape, 0.5),
        None if meets is None else np.array(meets),
        rows,
        rows,
        rows,
        rows,
        rows[:, None].astype(int),
        list(names),
        wanted,
    )


@pytest.mark.parametrize(
    ("meets", "wanted", "expected"),
    [
        ([True, False, True], {"y": "2 +- 1"}, "3 candidates, 2 meet the target"),
        (None, {"y": "max"}, "3 candidates, 'y' predicted 1 to 3 (max)"),
        (None, {"y": "min"}, "3 candidates, 'y' predicted 1 to 3 (min)"),
    ],
)
def test_it_says_what_there_is_to_say(meets, wanted, expected):
    assert repr(a_design(meets, wanted)) == f"<Design: {expected}>"


def test_a_maximum_beside_a_value_has_a_part_of_its_own():
    prediction = [[1.5, 20.0], [1.6, 19.0], [1.9, 18.0]]
    wanted = {"gap": "1.6 +- 0.1", "efficiency": "max"}
    design = a_design([True, True, False], wanted, prediction, ("gap", "efficiency"))
    assert repr(design) == (
        "<Design: 3 candidates, 2 meet the target of 'gap', 'efficiency' predicted 18 to 20 (max)>"
    )


def test_nothing_found_is_said_too():
    design = a_design(None, {"y": "max"}).take(np.array([], dtype=int))
    assert len(design) == len(design.to_frame()) == 0
    assert repr(design) == "<Design: 0 candidates>"


def test_a_table_says_whether_a_target_is_met_where_there_is_something_to_meet():
    assert "meets" not in a_design(None, {"y": "max"}).to_frame()
    assert a_design([True, False, True], {"y": "2"}).to_frame()["meets"].tolist() == [
        True,
        False,
        True,
    ]


def test_some_in_another_order():
    design = a_design([True, False, True], {"y": "2"}).take(np.array([2, 0]))
    for name in ("loss", "latent_distance", "input_distance", "domain"):
        assert_array_equal(getattr(design, name), [2, 0])
    assert_array_equal(design.prediction, [2, 3])
    assert_array_equal(design.meets, [True, True])
    assert_array_equal(design.nearest, [[2], [0]])
    assert design.X["x"].tolist() == [2, 0]
    assert design.X.index.tolist() == [0, 1]
    assert (design.target_names, design.wanted) == (["y"], {"y": "2"})
