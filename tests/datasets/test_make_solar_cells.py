"""Tests of the maker of two files that come with the package."""

from pathlib import Path

import numpy as np

from sknestedae.datasets import _make_solar_cells, load_solar_cells


def test_it_makes_the_files_that_come_with_the_package(tmp_path):
    made = _make_solar_cells.make_files(tmp_path)
    shipped = [Path(name) for name in load_solar_cells().filenames]
    assert [path.name for path in made] == [path.name for path in shipped]
    for own, other in zip(made, shipped, strict=True):
        assert own.read_bytes() == other.read_bytes()


def test_shares_are_tenths_of_one():
    shares = _make_solar_cells._shares(
        200, ["a", "b", "c"], [0.5, 0.5, 0.5], np.random.RandomState(0)
    )
    tenths = 10 * shares.to_numpy()
    np.testing.assert_allclose(tenths, tenths.round(), atol=1e-12)
    np.testing.assert_allclose(tenths.sum(axis=1), 10, rtol=1e-12)
    assert (tenths >= 0).all()


def test_a_formula_by_hand():
    shares = {"FA": 0.5, "MA": 0.0, "Cs": 0.5, "Pb": 1.0, "Sn": 0.0, "I": 0.8, "Br": 0.2, "Cl": 0}
    assert _make_solar_cells._formula(shares) == "FA0.5Cs0.5PbI2.4Br0.6"
    shares |= {"Pb": 0.3, "Sn": 0.7, "I": 1.0, "Br": 0.0}
    assert _make_solar_cells._formula(shares) == "FA0.5Cs0.5Pb0.3Sn0.7I3"
