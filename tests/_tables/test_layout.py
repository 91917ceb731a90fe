"""How the values of a block lie."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sknestedae._tables._layout import Encoded, Layout, Ragged


def test_layout_counts_values_and_columns():
    layout = Layout(2, (3, 1))
    assert (layout.n_values, layout.n_columns) == (6, 4)
    assert list(layout.groups()) == [slice(2, 5), slice(5, 6)]
    assert layout.spread(np.array([[10, 20, 30, 40]])).tolist() == [[10, 20, 30, 30, 30, 40]]


def test_rows_of_encoded_values():
    values, measured = np.arange(6.0).reshape(3, 2), np.array([[1, 0], [0, 0], [1, 1]], dtype=bool)
    encoded = Encoded(values, measured)
    assert encoded.present().tolist() == [True, False, True]
    assert Encoded(values, None).present().tolist() == [True] * 3
    some = encoded.take(np.array([True, False, True]))
    assert_array_equal(some.values, values[[0, 2]])
    assert_array_equal(some.measured, measured[[0, 2]])
    assert Encoded(values, None).take(np.array([1])).measured is None


def test_rows_of_several_lengths():
    rows = [{"mass": np.array([1.0, 16.0])}, {"mass": np.zeros(0)}, {"mass": np.array([12.0])}]
    ragged = Ragged.of_rows(rows)
    assert len(ragged) == 3
    assert_array_equal(ragged.columns["mass"], [1, 16, 12])
    assert_array_equal(ragged.starts, [0, 2, 2])
    assert_array_equal(ragged.lengths, [2, 0, 1])
    some = ragged.take(np.array([2, 0]))
    assert_array_equal(some.starts, [2, 0])
    assert_array_equal(some.lengths, [1, 2])
    assert some.columns["mass"] is ragged.columns["mass"]


def test_encoded_rows_of_several_lengths():
    ragged = Ragged.of_rows([{"mass": np.ones(n)} for n in (2, 0, 1)])
    encoded = Encoded(np.zeros((3, 1)), None, {"atoms": ragged}).take(np.array([2, 2]))
    assert_array_equal(encoded.ragged["atoms"].lengths, [1, 1])
    assert Encoded(np.zeros((3, 1)), None).ragged == {}


def test_entries_of_rows_have_one_length():
    row = {"mass": np.ones(2), "place": np.ones((2, 3))}
    with pytest.raises(ValueError, match=r"in row 1 of rows they have \{'mass': 2, 'place': 1\}"):
        Ragged.of_rows([row, row | {"place": np.ones((1, 3))}])
    with pytest.raises(ValueError, match=r"rows must have one row at least"):
        Ragged.of_rows([])
