"""Libraries: what a candidate has of one row, and rows of arrays that are no such rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from ase.build import bulk
from cases.design import N_CHANNELS, SIDE, arrays, problem_of, with_arrays, with_structures
from numpy.testing import assert_array_equal

from sknestedae.design._library import Library, read_arrays, read_fixed_array


@pytest.fixture(scope="module")
def problem():
    return problem_of(*with_arrays())


def test_a_row_gives_all_that_the_library_has(problem):
    problem, known, _ = problem
    images, _, _ = arrays(2, seed=3)
    rows = read_arrays(problem.columns.arrays["image"], images, "library", [])
    library = Library(
        problem.columns, {0: np.array([7.0, 8.0])}, {2: np.array([1, 0])}, {"image": rows}
    )
    assert len(library) == 2
    assert library.positions == {0, 1, 2}
    assert library.pinned == [0]
    three = known.take(np.arange(3))
    some = library.place(three, torch.tensor([1, 0, 1]))
    assert some.numbers.ravel().tolist() == [8, 7, 8]
    assert torch.equal(three.numbers, known.numbers[:3])  # what was given is as it was
    assert some.shares[2].tolist() == [[1, 0], [0, 1], [1, 0]]
    assert some.rows["image"].tolist() == [1, 0, 1]
    assert "image" not in some.arrays
    assert torch.equal(some.arrays["spectrum"], known.arrays["spectrum"][:3])


def test_the_nearest_row_counts_an_array_as_one_column(problem):
    problem, known, _ = problem
    own = problem.columns.arrays["image"]
    images, _, _ = arrays()
    rows = read_arrays(own, images[:2], "library", [])
    scale = problem.columns.scale[0]
    near = known.take(np.zeros(1, dtype=int))  # has the image of row 0
    between = (images[0].astype(float) - images[1]).ravel()
    distance = np.linalg.norm(between / own.codec.affine()[1] * own.weight)
    for factor, expected in ((0.9, 0), (1.1, 1)):
        u = near.numbers[0, 0].item() + np.array([factor * distance * scale, 0.0])
        snapped = Library(problem.columns, {0: u}, {}, {"image": rows}).snap(near)
        assert snapped.rows["image"].tolist() == [expected]
    again = Library(problem.columns, {}, {}, {"image": rows}).snap(snapped)
    assert again.rows["image"].tolist() == [1]  # what has a row keeps it


@pytest.mark.parametrize(
    "spelling",
    [
        lambda images: images,
        lambda images: images.reshape(len(images), -1),
        list,
        lambda images: pd.Series(list(images)),
        lambda images: pd.DataFrame({"image": list(images)}),
        torch.from_numpy,
        lambda images: [image.tolist() for image in images],
    ],
)
def test_rows_of_arrays_are_read_in_any_spelling(problem, spelling):
    own = problem[0].columns.arrays["image"]
    images, _, _ = arrays(3)
    found = read_arrays(own, spelling(images), "library", ["u", "image", "kind", "spectrum"])
    assert found.shape == (3, 1)
    assert_array_equal(np.stack(list(found[:, 0])), images)


@pytest.mark.parametrize(
    "spelling", [lambda x: x, lambda x: x.ravel(), lambda x: x.tolist(), torch.from_numpy]
)
def test_a_fixed_array_is_read_in_any_spelling(problem, spelling):
    own = problem[0].columns.arrays["image"]
    image = arrays(1)[0][0]
    assert_array_equal(read_fixed_array(own, spelling(image))[0, 0], image)


def test_a_fixed_row_of_a_table_is_an_array(problem):
    own = problem[0].columns.arrays["spectrum"]
    channels = pd.Series(np.arange(N_CHANNELS, dtype=float))
    assert_array_equal(read_fixed_array(own, channels)[0, 0], np.arange(N_CHANNELS))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (np.zeros((0, SIDE, SIDE)), ValueError, "'image', must give at least one row"),
        (np.zeros((2, SIDE, 3)), ValueError, r"row 0: it has the shape \(6, 3\), but .* \(6, 6\)"),
        ([np.zeros((SIDE, SIDE)), None], ValueError, "row 1: it is missing"),
        (np.full((1, SIDE, SIDE), np.nan), ValueError, "row 0: it holds missing values alone"),
        (np.full((1, SIDE, SIDE), np.inf), ValueError, "row 0: it holds infinity"),
        (["a"], TypeError, "row 0: it holds 'a', which is no array"),
        ("a", TypeError, "must give rows that are arrays, got 'a'"),
        (3, TypeError, "must give rows that are arrays, got 3"),
        (
            pd.DataFrame({"picture": [np.zeros((SIDE, SIDE))]}),
            ValueError,
            "all columns of the block and no others, 1 such as 'image'; it has 1, such as 'pict",
        ),
    ],
)
def test_rows_that_are_no_arrays_of_the_block_are_refused(problem, given, error, message):
    own = problem[0].columns.arrays["image"]
    with pytest.raises(error, match=message):
        read_arrays(own, given, "library", ["u", "image", "kind", "spectrum"])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (np.zeros(5), ValueError, r"'fixed' parameter, for the block 'image': it has the shape"),
        (None, ValueError, "it is missing"),
        (2.0, TypeError, "it holds 2.0, which is no array"),
    ],
)
def test_values_that_are_no_array_of_the_block_are_refused(problem, given, error, message):
    with pytest.raises(error, match=message):
        read_fixed_array(problem[0].columns.arrays["image"], given)


# ---------------------------------------------------------------------------------------------
# Structures of atoms


def test_rows_of_structures_stand_behind_the_known_ones():
    problem, known, X = problem_of(*with_structures())
    own = problem.columns.arrays["crystal"]
    n_known = len(own.stock)  # the known rows, and each distinct one of them as a library
    given = [bulk("NaI", "rocksalt", a=6.4), bulk("KBr", "rocksalt", a=6.6)]
    rows = read_arrays(own, given, "library", [])
    assert rows.shape == (2, 1)
    library = Library(problem.columns, {}, {}, {"crystal": rows})
    assert library.first == {"crystal": n_known}
    some = library.place(known.take(np.arange(3)), torch.tensor([1, 0, 1]))
    assert some.rows["crystal"].tolist() == [n_known + 1, n_known, n_known + 1]
    table = some.to_table(X, problem.columns)
    assert [own is given[i] for i, own in zip([1, 0, 1], table["structure"], strict=True)]
    assert known.rows["crystal"].tolist() == list(range(len(X)))


def test_a_known_structure_stands_in_the_library_once():
    """Where no library is given, the known rows are one, each of its structures once."""
    estimator, X, target = with_structures()
    twice = pd.concat([X, X], ignore_index=True)
    problem, _, _ = problem_of(estimator, twice, target)
    (library,) = problem.constraints.libraries
    assert len(library) == len(X)
    fixed, _, _ = problem_of(estimator, X, target, fixed={"structure": X.loc[3, "structure"]})
    (only,) = fixed.constraints.libraries
    assert len(only) == 1


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (["NaCl"], TypeError, r"structures of atoms; row 0 is 'NaCl', which is str"),
        ([bulk("NaCl", "rocksalt", a=5.6), None], TypeError, r"row 1 is None"),
        (bulk("NaCl", "rocksalt", a=5.6), TypeError, "must give a list of structures, got one"),
        ([], ValueError, "at least one row, got none"),
        (3.5, TypeError, "rows that are arrays, got 3.5"),
    ],
    ids=str,
)
def test_rows_that_are_no_structures(given, error, message):
    estimator, X, target = with_structures()
    with pytest.raises(error, match=rf"'library' parameter.*{message}"):
        problem_of(estimator, X, target, library={"structure": given})


def test_a_fixed_structure_is_one():
    problem, _, X = problem_of(*with_structures())
    own = problem.columns.arrays["crystal"]
    assert read_fixed_array(own, X.loc[2, "structure"])[0, 0] is X.loc[2, "structure"]
    with pytest.raises(TypeError, match=r"'fixed' parameter, .* row 0 is 1\.5, which is float"):
        read_fixed_array(own, 1.5)
