"""The data of one kind alone, in every spelling, to a table of all kinds and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.array_tables import as_cells, images
from numpy.testing import assert_array_equal

from sknestedae import stack_kinds
from sknestedae._tables._encoder import TableEncoder
from sknestedae._tables._one_kind import kind_of_table, table_of_kind
from sknestedae.blocks import DenseBlock, ImageBlock, SpectrumBlock

N_ROWS = 6
IMAGES = images(N_ROWS, (2, 3))
SPECTRA = images(N_ROWS, (4,), seed=1)
NUMBERS = pd.DataFrame(
    {"radius": np.linspace(1, 2, N_ROWS), "phase": pd.Categorical(list("abcabc"))},
    index=[f"row {i}" for i in range(N_ROWS)],
)
FLAT = IMAGES.reshape(N_ROWS, -1)
KINDS = [
    ("image", ImageBlock().make_codec, "image"),
    ("spectrum", SpectrumBlock().make_codec, "spectrum"),
]


def two_levels():
    """Give a table of all kinds, with columns of two levels; numbers have the row labels."""
    return stack_kinds(image=IMAGES, table=NUMBERS, spectrum=SPECTRA)


def fitted(X, kinds=KINDS):
    return TableEncoder("from_dtype", True, kinds).fit(X, None, None)


def encoded(X, encoder, name):
    """Give the values of a kind as a network sees them, and whether others are missing."""
    table = table_of_kind(X, name, encoder)
    assert table.shape[1] == encoder.n_features
    found = encoder.transform(table)
    for other, own in found.items():
        if other != name:
            assert not own.measured.any()
    assert found[name].measured is None or found[name].measured.all()
    return found[name].values


FRAME_SPELLINGS = {
    "own columns": lambda X: X["image"],
    "own columns in another order": lambda X: X["image"].iloc[:, ::-1],
    "own columns with both levels": lambda X: X[["image"]],
    "both levels in another order": lambda X: X[["image"]].iloc[:, ::-1],
    "the whole table": lambda X: X,
    "a flat array": lambda X: FLAT,
    "an array": lambda X: IMAGES,
    "lists": lambda X: IMAGES.tolist(),
    "an array of the whole": lambda X: X.to_numpy(),
    "other row labels": lambda X: X["image"].set_axis(list("uvwxyz")),
}


@pytest.mark.parametrize("spelling", FRAME_SPELLINGS)
def test_a_kind_of_a_frame(spelling):
    X = two_levels()
    encoder = fitted(X)
    expected = encoder.transform(X)["image"].values
    given = FRAME_SPELLINGS[spelling](X)
    assert_array_equal(encoded(given, encoder, "image"), expected)
    table = table_of_kind(given, "image", encoder)
    assert table.columns.equals(X.columns)
    if isinstance(given, pd.DataFrame):
        assert table.index.equals(given.index)


@pytest.mark.parametrize("package", ["polars", "pyarrow"])
def test_a_kind_of_a_frame_of_another_package(package):
    module = pytest.importorskip(package)
    X = pd.DataFrame(FLAT, columns=list("abcdef")).assign(size=1.0 + np.arange(N_ROWS))
    kinds = [("image", DenseBlock().make_codec, list("abcdef"))]
    encoder = fitted(X, kinds)
    expected = encoder.transform(X)["image"].values
    make = module.from_pandas if package == "polars" else module.Table.from_pandas
    for given in (X, X[list("fabcde")]):
        assert_array_equal(encoded(make(given), encoder, "image"), expected)


def test_numbers_and_categories_are_a_kind_too():
    X = two_levels()
    encoder = fitted(X)
    expected = encoder.transform(X)["table"].values
    objects = NUMBERS.to_numpy()
    for given in (NUMBERS, NUMBERS[["phase", "radius"]], X[["table"]], objects):
        assert_array_equal(encoded(given, encoder, "table"), expected)


def test_a_column_may_come_as_a_series():
    X = pd.DataFrame(SPECTRA[:, :3], columns=list("abc"))
    encoder = fitted(X, [("first", DenseBlock().make_codec, ["b"])])
    expected = encoder.transform(X)["first"].values
    for given in (X["b"], X["b"].rename(None), X[["b"]], X[["b"]].to_numpy()):
        assert_array_equal(encoded(given, encoder, "first"), expected)
    of_array = fitted(X.to_numpy(), [("first", DenseBlock().make_codec, [1])])
    for given in (X["b"], X["b"].rename(None)):
        assert_array_equal(encoded(given, of_array, "first"), expected)


ARRAY_SPELLINGS = {
    "own columns": lambda X: X[:, 2:8],
    "an array": lambda X: X[:, 2:8].reshape(N_ROWS, 2, 3),
    "the whole table": lambda X: X,
    "lists": lambda X: X[:, 2:8].tolist(),
    "a frame": lambda X: pd.DataFrame(X[:, 2:8]),
    "a frame of the whole": pd.DataFrame,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spelling", ARRAY_SPELLINGS)
def test_a_kind_of_an_array(spelling, dtype):
    X = np.hstack([SPECTRA[:, :2], FLAT, SPECTRA[:, 2:]]).astype(dtype)
    block = ImageBlock(shape=(2, 3))
    encoder = fitted(X, [("image", block.make_codec, slice(2, 8))])
    given = ARRAY_SPELLINGS[spelling](X)
    expected = encoder.transform(X)["image"].values
    assert_array_equal(encoded(given, encoder, "image"), expected)
    assert table_of_kind(given, "image", encoder).dtype == (
        "float64" if spelling == "lists" else dtype
    )


def test_integers_of_an_array_can_be_missing_elsewhere():
    X = np.arange(12).reshape(4, 3)
    encoder = fitted(X.astype(float), [("first", DenseBlock().make_codec, [0])])
    table = table_of_kind(X[:, :1], "first", encoder)
    assert_array_equal(table[:, 0], X[:, 0])
    assert np.isnan(table[:, 1:]).all()


CELLS = pd.DataFrame({"image": as_cells(IMAGES), "spectrum": as_cells(SPECTRA)})
CELL_SPELLINGS = {
    "the whole table": CELLS,
    "own column": CELLS[["image"]],
    "series": CELLS["image"],
    "array": IMAGES,
    "nested lists": IMAGES.tolist(),
    "array of cells": as_cells(IMAGES)[:, None],
    "column of cells": as_cells(IMAGES),
    "array of all cells": CELLS.to_numpy(),
}


@pytest.mark.parametrize("spelling", CELL_SPELLINGS)
@pytest.mark.parametrize("is_frame", [True, False])
def test_cells_that_hold_arrays(spelling, is_frame):
    X = CELLS if is_frame else CELLS.to_numpy()
    kinds = KINDS if is_frame else [(n, c, [i]) for i, (n, c, _) in enumerate(KINDS)]
    encoder = fitted(X, kinds)
    expected = encoder.transform(X)["image"].values
    assert_array_equal(encoded(CELL_SPELLINGS[spelling], encoder, "image"), expected)


def test_a_missing_cell_is_a_row_without_the_kind():
    encoder = fitted(CELLS)
    table = table_of_kind(pd.Series(as_cells(IMAGES, missing=[2])), "image", encoder)
    assert encoder.transform(table)["image"].present().tolist() == [i != 2 for i in range(N_ROWS)]


def test_entries_that_are_missing_stay_missing():
    encoder = fitted(two_levels())
    some = SPECTRA.copy()
    some[1] = np.nan
    some[2, 3] = np.nan
    own = encoder.transform(table_of_kind(some, "spectrum", encoder))["spectrum"]
    assert own.present().tolist() == [True, False, True, True, True, True]


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("image", IMAGES[:, :1], r"\(n_samples, 6\) of the columns of the kind 'image', or "
         r"\(n_samples, 2, 3\) of its arrays, or \(n_samples, 12\) of the whole table; got the "
         r"shape \(6, 1, 3\)"),
        ("image", FLAT[:, :5], r"got the shape \(6, 5\)"),
        ("image", FLAT[0], r"got the shape \(6,\)"),
        ("table", FLAT, r"\(n_samples, 2\) of the columns of the kind 'table', or "
         r"\(n_samples, 12\) of the whole table; got the shape \(6, 6\)"),
        ("image", NUMBERS, r"the 6 columns of the kind 'image', such as \('image', '0,0'\), or "
         r"all 12 columns of fit; got 2 columns, such as 'radius'"),
        ("table", NUMBERS[["radius"]], r"the 2 columns .* got 1 columns, such as 'radius'"),
        ("table", NUMBERS.iloc[:, :0], r"the 2 columns .* got 0 columns, such as None"),
        ("table", NUMBERS.rename(columns={"phase": "Phase"}), r"got 2 columns, such as 'radius'"),
    ],
)  # fmt: skip
def test_what_is_no_data_of_a_kind(name, given, message):
    with pytest.raises(ValueError, match=f"X must have .*{message}"):
        table_of_kind(given, name, fitted(two_levels()))


def test_a_table_of_other_columns_is_refused_by_their_names():
    X = two_levels()
    other = X.rename(columns={"radius": "width"}, level=1)
    with pytest.raises(ValueError, match="radius"):
        table_of_kind(other, "table", fitted(X))


# -- back


def test_the_columns_of_a_kind_come_back_as_they_were():
    X = two_levels()
    encoder = fitted(X)
    part = kind_of_table(X, "table", encoder, as_array=False)
    pd.testing.assert_frame_equal(part, X[["table"]])
    assert_array_equal(kind_of_table(X, "image", encoder, as_array=True), IMAGES)
    assert_array_equal(kind_of_table(X, "spectrum", encoder, as_array=True), SPECTRA)
    assert kind_of_table(X, "table", encoder, as_array=True).shape == (N_ROWS, 2)


def test_arrays_come_back_with_their_shape():
    X = np.hstack([SPECTRA, FLAT])
    encoder = fitted(X, [("image", ImageBlock(shape=(2, 3)).make_codec, slice(4, 10))])
    for as_array in (True, False):
        assert_array_equal(kind_of_table(X, "image", encoder, as_array=as_array), IMAGES)
        assert_array_equal(kind_of_table(X, "table", encoder, as_array=as_array), SPECTRA)


def test_cells_come_back_as_cells_or_as_one_array():
    encoder = fitted(CELLS)
    part = kind_of_table(CELLS, "image", encoder, as_array=False)
    pd.testing.assert_frame_equal(part, CELLS[["image"]])
    assert_array_equal(kind_of_table(CELLS, "image", encoder, as_array=True), IMAGES)
    none = kind_of_table(CELLS.iloc[:0], "image", encoder, as_array=True)
    assert none.shape == (0, 2, 3)
