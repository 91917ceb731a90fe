"""Cells that hold arrays or structures: found, read, filled, compared."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from ase.build import bulk, molecule
from cases.array_tables import as_cells
from cases.structures import as_pymatgen, doubled, reordered
from numpy.testing import assert_array_equal

from sknestedae._tables._cells import (
    array_columns,
    cell_columns,
    cell_keys,
    cells_of,
    fill_cell,
    holds_arrays,
    holds_cells,
    holds_structures,
    is_measured_in_part,
    is_missing_in_part,
    read_cell,
)

ARRAY = np.array([1.0, np.nan, 3.0])


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([ARRAY, None], True),
        ([None, np.nan, pd.NA, pd.NaT, [1, 2]], True),
        ([torch.ones(2), None], True),
        ([(1, 2)], True),
        (["word", ARRAY], False),
        ([None, np.nan], False),
        ([1.5, 2], False),
        ([Decimal("NaN"), [1.0]], True),
        ([np.float32("nan"), ARRAY], True),
    ],
)
def test_the_first_cell_that_is_not_missing_tells(cells, expected):
    column = pd.Series(as_cells(cells), dtype=object)
    assert holds_arrays(column) == expected
    assert holds_arrays(column.to_numpy()) == expected


@pytest.mark.parametrize("dtype", ["float64", "int8", "string", "category", "str", "Int64"])
def test_columns_of_other_dtypes_hold_none(dtype):
    assert not holds_arrays(
        pd.Series([None] if dtype not in ("float64", "int8") else [1], dtype=dtype)
    )


def test_lists_of_arrow_are_arrays():
    column = pd.Series([[1.0, 2.0], None], dtype=pd.ArrowDtype(pa.list_(pa.float32())))
    assert holds_arrays(column)
    assert_array_equal(read_cell(cells_of(column)[0]), [1, 2])
    assert read_cell(cells_of(column)[1]) is None


def test_columns_with_arrays_are_found_in_a_table():
    X = pd.DataFrame({"a": [1.0, 2], "b": ["x", None], "c": as_cells([None, ARRAY]), "d": [1, 2]})
    assert array_columns(X) == [2]
    assert array_columns(X.to_numpy(dtype=object)) == [2]
    assert array_columns(X, [0, 1]) == array_columns(X.to_numpy(dtype=object), [0, 1]) == []
    assert array_columns(np.ones((2, 3))) == []
    assert array_columns(as_cells([ARRAY])) == []  # one column, and no table


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ([1.0, None, pd.NA], [1, np.nan, np.nan]),
        ((Decimal("1.5"), True), [1.5, 1]),
        (torch.tensor([1.0, 2.0]), [1, 2]),
        (np.ma.masked_array([1, 2], [False, True]), [1, np.nan]),
        (np.array([True, False]), [True, False]),
    ],
)
def test_a_cell_is_read_as_numbers(cell, expected):
    assert_array_equal(read_cell(cell), expected)
    assert read_cell(cell).dtype.kind in "biuf"


def test_the_dtype_of_an_array_stays():
    for dtype in ("float16", "float32", "uint8", "int64", "bool"):
        assert read_cell(np.ones(2, dtype)).dtype == dtype


@pytest.mark.parametrize("cell", [None, np.nan, pd.NA, pd.NaT, np.float32("nan")])
def test_a_missing_cell_is_none(cell):
    assert read_cell(cell) is None
    assert is_missing_in_part(cell)
    assert not is_measured_in_part(cell)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (1.5, "1.5, which is no array"),
        ("word", "'word', which is no array"),
        (np.array(["a", "b"]), "an array of <U1, which are no real numbers"),
        (np.array([1 + 2j]), "an array of complex128"),
        (np.array(["2020-01-01"], "datetime64[D]"), "an array of datetime64"),
        ([1.0, "a"], "an array of <U32"),
        ([None, "a"], "an array with str in it"),
    ],
)
def test_other_cells_are_refused(cell, message):
    with pytest.raises(TypeError, match=message):
        read_cell(cell)


def test_lists_of_several_lengths_are_refused():
    with pytest.raises(ValueError, match="inhomogeneous"):
        read_cell([[1.0], [1.0, 2.0]])


def test_a_cell_may_be_measured_in_part():
    assert is_missing_in_part(ARRAY)
    assert is_measured_in_part(ARRAY)
    assert not is_missing_in_part([1, 2])
    assert not is_measured_in_part(np.full(2, np.nan))


def test_missing_entries_of_a_cell_are_filled():
    completed = np.array([7.0, 8, 9])
    assert_array_equal(fill_cell(ARRAY, completed), [1, 8, 3])
    assert fill_cell(ARRAY.astype(np.float32), completed).dtype == np.float32
    assert_array_equal(fill_cell([1.0, None, 3.0], [7, 8, 9]), [1, 8, 3])
    assert fill_cell(None, completed) is completed
    assert fill_cell(ARRAY, None) is ARRAY
    whole = np.array([1, 2, 3])
    assert fill_cell(whole, completed) is whole
    with pytest.raises(ValueError, match=r"\(3,\) cannot be filled from \(2,\)"):
        fill_cell(ARRAY, completed[:2])


def test_equal_arrays_have_equal_keys_whatever_holds_them():
    same = [np.float32([0.0, 2.5]), np.array([-0.0, 2.5]), [0, 2.5], torch.tensor([0.0, 2.5])]
    assert len(set(cell_keys(as_cells(same)))) == 1
    image = np.arange(6.0).reshape(2, 3)
    assert len(set(cell_keys(as_cells([image, np.asfortranarray(image)])))) == 1
    odd = np.array([0x7FF8000000000001], np.uint64).view(np.float64)  # another NaN
    with_nan = [np.append(odd, 1.0), np.array([np.nan, 1.0])]
    assert len(set(cell_keys(as_cells(with_nan)))) == 1
    missing = [None, np.nan, np.full(3, np.nan), np.full((2, 2), np.nan)]
    assert len(set(cell_keys(as_cells(missing)))) == 1


def test_different_arrays_have_different_keys():
    cells = [np.arange(6.0), np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(3, 2)]
    cells += [np.arange(5.0), np.append(np.arange(5.0), np.nan), None, np.zeros(6)]
    keys = cell_keys(as_cells(cells))
    assert keys.dtype == np.uint64
    assert len(set(keys)) == len(cells)
    order = np.array([3, 0, 6, 1, 5, 4, 2])
    assert_array_equal(cell_keys(as_cells(cells)[order]), keys[order])


def test_text_of_a_long_array_would_not_tell():
    """The text of an array of thousands of numbers has its ends alone."""
    first, second = np.zeros(5000), np.zeros(5000)
    second[2500] = 1
    assert str(first) == str(second)
    assert len(set(cell_keys(as_cells([first, second])))) == 2


# -- structures of atoms

SALT = bulk("NaCl", "rocksalt", a=5.6)


@pytest.mark.parametrize(
    "structure",
    [SALT, molecule("H2O"), as_pymatgen(SALT)],
    ids=["crystal", "molecule", "of pymatgen"],
)
def test_structures_are_found(structure):
    column = pd.Series(as_cells([None, np.nan, structure]), dtype=object)
    for own in (column, column.to_numpy()):
        assert holds_structures(own)
        assert holds_cells(own)
        assert not holds_arrays(own)


def test_columns_with_structures_are_cells_and_no_arrays():
    X = pd.DataFrame({"a": [1.0, 2], "b": ["x", None], "c": as_cells([None, ARRAY])})
    X["d"] = as_cells([SALT, None])
    for table in (X, X.to_numpy(dtype=object)):
        assert cell_columns(table) == [2, 3]
        assert array_columns(table) == [2]
        assert cell_columns(table, [0, 1, 3]) == [3]
    assert cell_columns(np.ones((2, 3))) == []


def test_a_structure_is_measured_as_a_whole():
    other = molecule("H2O")
    assert fill_cell(SALT, other) is SALT
    for nothing in (None, np.nan, pd.NA):
        assert fill_cell(nothing, other) is other
    assert fill_cell(SALT, None) is SALT


def test_keys_of_structures():
    """Those of their content, whatever holds them, and none of the missing cell."""
    cells = [SALT, SALT.copy(), as_pymatgen(SALT), reordered(doubled(SALT)), molecule("H2O"), None]
    keys = cell_keys(as_cells(cells))
    assert len(set(keys[:3])) == 1
    assert len(set(keys)) == 4
    moved = SALT.copy()
    moved.positions[0, 0] += 1e-9
    assert cell_keys(as_cells([moved]))[0] != keys[0]
