"""Generated tables in the form of the perovskites."""

import re

import numpy as np
import pandas as pd
import pytest

from sknestedae.datasets import make_perovskites
from sknestedae.datasets._perovskites import _CRYSTAL_COLUMNS

COLUMNS = list(_CRYSTAL_COLUMNS.values())


@pytest.fixture(scope="module")
def made():
    return make_perovskites(200, 400, n_compositions=30, random_state=0)


def test_tables_have_the_form_of_the_real_ones(made):
    assert list(made.crystals.columns) == COLUMNS
    assert list(made.devices.columns) == [*COLUMNS, "ETL", "HTL"]
    assert made.crystals.shape == (200, 15)
    assert made.devices.shape == (400, 17)
    assert [table.name for table in made.target] == ["gap", "pce"]
    assert all((table.dtypes.iloc[:15] == "float64").all() for table in made.data)
    assert all(made.devices[name].dtype == "category" for name in ("ETL", "HTL"))
    assert not any(table.isna().any(axis=None) for table in [*made.data, *made.target])
    for table, target, names in zip(
        made.data,
        made.target,
        [made.crystal_formula, made.device_composition],
        strict=True,
    ):
        pd.testing.assert_index_equal(table.index, pd.RangeIndex(len(table)))
        assert table.index.equals(target.index)
        assert table.index.equals(names.index)


def test_each_crystal_is_there_once_and_no_device_has_it(made):
    assert made.crystal_formula.is_unique
    assert not made.crystals.duplicated().any()
    assert made.device_composition.nunique() <= 30
    assert not made.device_composition.isin(made.crystal_formula).any()


def test_a_composition_decides_the_columns(made):
    own = made.devices[COLUMNS].groupby(made.device_composition)
    assert (own.nunique() == 1).all(axis=None)


def test_a_mixture_is_the_average_of_its_ions():
    # Of 9000 of all 21420 compositions, many have pure ions and mixtures on the site A.
    made = make_perovskites(9000, 1, random_state=0)
    site = made.crystal_formula.str.extract(r"^(\(.*?\)|A\d)")[0]
    columns = made.crystals.filter(regex="^A_").groupby(site).first()
    mixtures = 0
    for name, row in columns.iterrows():
        parts = re.findall(r"(A\d)_([\d.]+)", name)
        if parts:
            mean = sum(float(share) * columns.loc[ion] for ion, share in parts)
            np.testing.assert_allclose(row, mean, rtol=0, atol=1e-12)
            mixtures += 1
    assert mixtures == 30  # ten pairs of five ions, in three shares


def test_ions_are_the_same_in_every_call():
    first, second = (make_perovskites(9000, 1, random_state=seed) for seed in (0, 1))
    tables = [made.crystals.set_axis(made.crystal_formula, axis=0) for made in (first, second)]
    common = tables[0].index.intersection(tables[1].index)
    assert len(common) > 1000
    pd.testing.assert_frame_equal(tables[0].loc[common], tables[1].loc[common])


def test_the_efficiency_is_that_of_gap_and_layers_with_noise_of_one():
    made = make_perovskites(50, 4000, n_compositions=40, random_state=0)
    layers = made.devices["ETL"].cat.codes - made.devices["HTL"].cat.codes
    own = (made.pce - layers).groupby(made.device_composition)
    n_devices, noise = own.size(), own.var()
    noise = np.average(noise.dropna(), weights=n_devices[noise.notna()] - 1)
    # The variance of n draws has a standard deviation of sqrt(2 / n): six of them are allowed.
    assert abs(noise - 1) < 6 * np.sqrt(2 / (4000 - 40))


def test_better_crystals_have_other_layers(made):
    crystal = make_perovskites(2000, 4000, n_compositions=400, random_state=0)
    codes = crystal.devices["ETL"].cat.codes
    assert set(codes) == {0, 1, 2}
    # A device of a crystal has one of two neighbouring layers, and never all three.
    assert (codes.groupby(crystal.device_composition).nunique() <= 2).all()


def test_random_state_decides_all(made):
    again = make_perovskites(200, 400, n_compositions=30, random_state=0)
    other = make_perovskites(200, 400, n_compositions=30, random_state=1)
    pd.testing.assert_frame_equal(made.devices, again.devices)
    pd.testing.assert_series_equal(made.pce, again.pce)
    assert not made.crystals.equals(other.crystals)


def test_gaps_and_efficiencies_are_positive(made):
    assert (made.gap > 0).all()
    assert (made.pce >= 0).all()


@pytest.mark.parametrize("name", ["n_crystals", "n_devices", "n_compositions"])
def test_a_number_below_one_is_refused(name):
    with pytest.raises(ValueError, match=rf"'{name}'.*Got 0"):
        make_perovskites(**{name: 0})
