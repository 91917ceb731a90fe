"""Constraints of candidates: projections, and what contradicts itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from cases.design import SIDE, TINY, arrays, problem_of, table_of_arrays, with_arrays
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae import SupervisedAutoencoder
from sknestedae.blocks import ImageBlock
from sknestedae.design._candidates import Candidates
from sknestedae.design._columns import CandidateColumns
from sknestedae.design._constraints import Constraints, project_to_sum


def columns():
    X = pd.DataFrame(
        {
            "a": [0.0, 0.2, 0.9],
            "b": [0.1, 0.5, 1.0],
            "c": [0.0, 0.3, 0.6],
            "n": [1, 2, 5],
            "layer": ["TiO2", "SnO2", "TiO2"],
        }
    )
    return CandidateColumns(X, {4: np.array(["SnO2", "TiO2"], dtype=object)})


def constraints(fixed=None, bounds=None, sums=None, library=None):
    return Constraints(columns(), fixed, bounds, sums, library)


# ---------------------------------------------------------------------------------------------
# Projections


def test_the_projection_to_a_sum_is_the_nearest_point():
    """No other point with the sum, within the bounds, lies towards what was given."""
    rng = np.random.default_rng(0)
    low, high = torch.tensor([0.0, 0.1, -1.0]), torch.tensor([1.0, 0.6, 0.5])
    low, high = low.double(), high.double()
    values = torch.from_numpy(rng.normal(size=(50, 3)))
    found = project_to_sum(values, low, high, 0.8)
    assert_allclose(found.sum(dim=1).numpy(), 0.8, atol=1e-12)
    assert (found >= low).all()
    assert (found <= high).all()
    others = rng.uniform(low.numpy(), high.numpy(), size=(5000, 3))
    others[:, 2] = 0.8 - others[:, 0] - others[:, 1]
    inside = others[(others[:, 2] >= -1) & (others[:, 2] <= 0.5)]
    assert len(inside) > 100
    outward = (values - found).numpy()
    for given, direction in zip(found.numpy(), outward, strict=True):
        assert ((inside - given) @ direction).max() < 1e-9


def test_the_projection_has_gradients():
    rng = np.random.default_rng(1)
    low, high = torch.zeros(4).double(), torch.ones(4).double()
    values = torch.from_numpy(rng.uniform(-0.5, 1.2, size=(6, 4))).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: project_to_sum(v, low, high, 1.0), (values,))


def test_what_keeps_the_constraints_stays():
    numbers = torch.tensor([[0.2, 0.3, 0.5, 2.0]]).double()
    assert_allclose(constraints(sums=[(["a", "b", "c"], 1.0)]).project(numbers), numbers)
    assert_allclose(constraints().project(numbers), numbers)


def test_columns_are_bounded_by_what_is_known_unless_told_otherwise():
    numbers = torch.full((1, 4), 99.0).double()
    assert_array_equal(constraints().project(numbers).numpy(), [[0.9, 1.0, 0.6, 5.0]])
    wider = constraints(bounds={"a": (0, 50)}, fixed={"b": -3.0})
    assert_array_equal(wider.project(numbers).numpy(), [[50.0, -3.0, 0.6, 5.0]])


def test_a_fixed_column_takes_its_part_of_a_sum():
    free = constraints(fixed={"a": 0.5}, sums=[(["a", "b", "c"], 1.0)])
    projected = free.project(torch.rand(20, 4, dtype=torch.float64)).numpy()
    assert_allclose(projected[:, 0], 0.5)
    assert_allclose(projected[:, :3].sum(axis=1), 1.0)


def test_categories_that_are_not_allowed_have_no_share():
    logits = torch.tensor([[9.0, 1.0]])
    for free in (
        constraints(bounds={"layer": ["TiO2"]}),
        constraints(fixed={"layer": "TiO2"}),
        constraints(fixed={4: "TiO2"}),
    ):
        assert_array_equal(torch.softmax(free.logits(4, logits), dim=1).numpy(), [[0, 1]])


def test_columns_of_a_library_are_those_of_its_nearest_row():
    library = pd.DataFrame({"a": [0.0, 0.9], "layer": ["TiO2", "SnO2"]})
    free = constraints(library=library)
    numbers = torch.tensor([[0.1, 0.4, 0.1, 1.0], [0.8, 0.4, 0.1, 1.0]]).double()
    shares = {4: torch.tensor([[0.0, 1.0], [1.0, 0.0]]).double()}
    snapped = free.snap(Candidates(numbers, shares))
    assert_array_equal(snapped.numbers[:, 0].numpy(), [0.0, 0.9])
    assert_array_equal(snapped.numbers[:, 1:].numpy(), numbers[:, 1:].numpy())
    assert_array_equal(snapped.shares[4].numpy(), shares[4].numpy())
    assert free.pinned == [0]
    only = constraints(library=library, fixed={"layer": "SnO2"})
    snapped = only.snap(Candidates(numbers, shares))
    assert_array_equal(snapped.numbers[:, 0].numpy(), [0.9, 0.9])


@pytest.mark.parametrize("given", [{"bounds": {"a": (0, 0.9)}}, {"fixed": {"a": 0.5}}])
def test_a_library_keeps_bounds_that_are_those_of_the_known_rows(given):
    """Only what nothing was said of may be as the library has it."""
    library = pd.DataFrame({"a": [0.5, 40.0]})
    assert constraints(library=library).libraries[0].numbers[0].tolist() == [0.5, 40.0]
    assert constraints(library=library, **given).libraries[0].numbers[0].tolist() == [0.5]
    same = CandidateColumns(pd.DataFrame({"a": [0.5, 0.5]}), {})
    assert Constraints(same, {"a": 0.5}, None, None, library).libraries[0].numbers[0].tolist() == [
        0.5
    ]


def test_infinite_bounds_within_a_sum_are_what_the_others_leave():
    open_ends = constraints(
        bounds={"a": (0, np.inf), "b": (0.1, np.inf), "c": (0, 0.6)}, sums=[(["a", "b", "c"], 1.0)]
    )
    assert_allclose(open_ends.low[:3], [0, 0.1, 0])
    assert_allclose(open_ends.high[:3], [0.9, 1.0, 0.6])
    below = constraints(bounds={"a": (-np.inf, 0.5)}, sums=[(["a", "b"], 1.0)])
    assert_allclose((below.low[0], below.high[0]), (0, 0.5))  # b is 1 at most
    alone = constraints(bounds={"a": (-np.inf, np.inf)}, sums=[(["a"], 3.0)])
    assert alone.low[0] == alone.high[0] == 3
    for free in (open_ends, below):
        columns, total = free.sums[0]
        found = free.project(torch.randn(20, 4, dtype=torch.float64)).numpy()[:, columns]
        assert_allclose(found.sum(axis=1), total)


# ---------------------------------------------------------------------------------------------
# Bad input


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fixed": {"z": 1}}, "'fixed' parameter names the column 'z'; X has columns"),
        ({"fixed": {"a": "x"}}, "'fixed' parameter must give a finite number for column 'a'"),
        ({"fixed": {"a": np.nan}}, "finite number for column 'a', got nan"),
        (
            {"fixed": {"layer": "ZnO"}},
            r"category 'ZnO' of column 'layer', which was never seen in fit; the categories are "
            r"\['SnO2', 'TiO2'\]",
        ),
        (
            {"fixed": {"a": 3}, "bounds": {"a": (0, 1)}},
            r"Column 'a' is fixed at 3, outside its bounds \(0, 1\)",
        ),
        (
            {"fixed": {"layer": "TiO2"}, "bounds": {"layer": ["SnO2"]}},
            "fixed at 'TiO2', which is not one of the categories that 'bounds' leaves",
        ),
        ({"bounds": {"a": (2, 1)}}, r"low <= high; column 'a' has \(2, 1\)"),
        ({"bounds": {"a": 2}}, r"must give \(low, high\) for column 'a', got 2"),
        ({"bounds": {"a": (0, np.nan)}}, "low <= high"),
        ({"bounds": {"n": (2.1, 2.9)}}, "'n', which has whole numbers, none between 2.1 and 2.9"),
        ({"fixed": {"n": 1.5}}, "whole number for column 'n', .* got 1.5"),
        ({"fixed": {"a": True}}, "finite number for column 'a', got True"),
        ({"bounds": {"layer": "TiO2"}}, "list of categories for column 'layer', got 'TiO2'"),
        ({"bounds": {"layer": []}}, "leaves column 'layer' no category"),
        (
            {"sums": [(["a", "b"], 5.0)]},
            r"\['a', 'b'\] are to sum up to 5, but their bounds allow only sums from 0.1 to 1.9",
        ),
        (
            {"sums": [(["a", "b"], 1.0)], "fixed": {"a": 0.9, "b": 0.9}},
            "allow only sums from 1.8 to 1.8",
        ),
        ({"sums": [(["a", "layer"], 1.0)]}, "names 'layer', which holds categories"),
        ({"sums": [(["a", "b"], 1.0), (["b", "c"], 1.0)]}, "names column 'b' twice"),
        ({"sums": [["a", "b", "c"]]}, "must be a list of .columns, total."),
        ({"library": [[1]]}, "'library' parameter must be a DataFrame .* got list"),
        ({"library": pd.DataFrame({"a": [np.nan]})}, "missing values in column 'a'"),
        (
            {"library": pd.DataFrame({"a": [0.5]}), "sums": [(["a", "b"], 1.0)]},
            "stands in it twice or is tied by a sum",
        ),
        (
            {"library": pd.DataFrame({"a": [0.5, 0.6]}), "fixed": {"a": 0.1}},
            "None of the 2 rows of the 'library' parameter keeps the bounds",
        ),
        ({"library": pd.DataFrame({"layer": ["ZnO"]})}, "'ZnO' of column 'layer'"),
        (
            {"library": pd.DataFrame({"n": [1.0, 1.5]})},
            "'library' parameter must give a whole number for column 'n', .* got 1.5",
        ),
        (
            {"library": pd.DataFrame({"a": [0.5, "some"]})},
            "'library' parameter must give a finite number for column 'a', got 'some'",
        ),
        ({"library": pd.DataFrame({"a": [np.inf]})}, "finite number for column 'a', got inf"),
        ({"sums": [(["a", "b"], np.inf)]}, r"finite total, got \(\['a', 'b'\], inf\)"),
        ({"sums": [(["a", "b"], np.nan)]}, r"finite total, got \(\['a', 'b'\], nan\)"),
        ({"sums": [([], 0.0)]}, r"must tie columns to a finite total, got \(\[\], 0.0\)"),
        (
            {"sums": [(["a", "b"], 1.0)], "bounds": {"a": (-np.inf, 1), "b": (0, np.inf)}},
            r"needs finite bounds: column 'a' has \(-inf, 1\), and the other .* \(-inf, 1\)",
        ),
        ({"bounds": {"a": (np.inf, np.inf)}}, r"finite numbers.*column 'a' has \(inf, inf\)"),
    ],
)
def test_constraints_that_make_no_sense_are_told_with_their_numbers(given, message):
    with pytest.raises(ValueError, match=message):
        constraints(**given)


def test_whole_numbers_are_bounded_by_whole_numbers():
    """So that rounding does not leave the bounds; True and False are whole numbers."""
    bounded = constraints(bounds={"n": (1.5, 4.5)})
    assert (bounded.low[3], bounded.high[3]) == (2, 4)
    flags = CandidateColumns(pd.DataFrame({"on": [True, False], "a": [0.5, 1.0]}), {})
    fixed = Constraints(flags, {"on": True}, None, None)
    assert fixed.low[0] == fixed.high[0] == 1


@pytest.mark.parametrize("sums", [3, "ab"])
def test_sums_are_a_list(sums):
    with pytest.raises(TypeError, match=rf"'sums' parameter must be a list .* got {sums!r}"):
        constraints(sums=sums)


@pytest.mark.parametrize("parameter", ["fixed", "bounds"])
def test_constraints_of_columns_are_dicts(parameter):
    with pytest.raises(TypeError, match=f"'{parameter}' parameter must be a dict"):
        constraints(**{parameter: [("a", 1)]})


# ---------------------------------------------------------------------------------------------
# Arrays


@pytest.fixture(scope="module")
def columns_with_arrays():
    return problem_of(*with_arrays())[0].columns


def test_arrays_are_fixed_or_from_libraries(columns_with_arrays):
    images, spectra, _ = arrays(4, seed=3)
    free = Constraints(
        columns_with_arrays, {"image": images[0]}, None, None, {"spectrum": spectra}
    )
    fixed, library = free.libraries
    assert (list(fixed.arrays), len(fixed)) == (["image"], 1)
    assert (list(library.arrays), len(library)) == (["spectrum"], 4)
    assert free.pinned == []
    assert free.leaves_some_free


def test_arrays_and_numbers_of_a_library_belong_together(columns_with_arrays):
    """Rows that break a bound are left out with their arrays."""
    X, _ = table_of_arrays(6, seed=3)
    free = Constraints(columns_with_arrays, None, {"u": (0, 9)}, None, X[["image", "u", "kind"]])
    (library,) = free.libraries
    kept = X[X["u"] >= 0]
    assert 0 < len(kept) < 6
    assert library.numbers[0].tolist() == kept["u"].to_list()
    assert all(map(np.array_equal, library.arrays["image"][:, 0], kept["image"]))
    assert_array_equal(library.shares[2].argmax(dim=1), kept["kind"].cat.codes)


def test_the_only_block_needs_no_name():
    images, _, _ = arrays()
    estimator = SupervisedAutoencoder(2, **TINY, blocks=ImageBlock(n_channels=(2,)))
    problem, _, _ = problem_of(estimator.fit(images, images[:, 0, 0]), images, "max")
    assert problem.constraints.leaves_some_free  # the image, which is decoded
    for library in (images[:3], images[:3].reshape(3, -1), {"X": images[:3]}):
        free = Constraints(problem.columns, None, None, None, library)
        assert_array_equal(free.libraries[0].arrays["X"], images[:3].reshape(3, -1))
        assert not free.leaves_some_free


IMAGE = np.zeros((SIDE, SIDE))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"fixed": {"picture": IMAGE}},
            "'picture'; X has columns .* The blocks of arrays are 'im",
        ),
        ({"fixed": {"image": IMAGE[:2]}}, r"for the block 'image': it has the shape \(2, 6\)"),
        ({"library": {"u": [1.0]}}, "'library' parameter names 'u', which is no block of arrays"),
        ({"library": {"picture": [IMAGE]}}, "names 'picture', which is no block of arrays"),
        ({"library": {"image": [IMAGE[0]]}}, r"row 0: it has the shape \(6,\)"),
        ({"library": {"image": []}}, "must give at least one row"),
        ({"library": {}}, "must give each block once, and one at least, got"),
        ({"library": {"image": [IMAGE], 1: [IMAGE]}}, "must give each block once"),
        ({"library": IMAGE[None]}, "or a dict of such by block, got ndarray"),
        (
            {"library": {"image": [IMAGE]}, "fixed": {"image": IMAGE}},
            "gives the block 'image', which is fixed or has a library already",
        ),
        ({"bounds": {"image": (0, 1)}}, "it has no bounds and no sum"),
        ({"sums": [(["u", "image"], 1.0)]}, "it has no bounds and no sum"),
    ],
)
def test_arrays_are_given_as_a_whole(columns_with_arrays, given, message):
    limits = {"fixed": None, "bounds": None, "sums": None, **given}
    with pytest.raises(ValueError, match=message):
        Constraints(columns_with_arrays, **limits)
