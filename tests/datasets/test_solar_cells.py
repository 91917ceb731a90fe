"""Tests of the crystals and solar cells that come with the package."""

import csv
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal, assert_series_equal

from sknestedae import NestedAutoencoder
from sknestedae.datasets import load_solar_cells, solar_cell_formula

SHARES = [["FA", "MA", "Cs"], ["I", "Br", "Cl"]]
DEVICE = {"FA": 0.5, "MA": 0.3, "Cs": 0.2, "Sn": 0.4, "I": 0.6, "Br": 0.3, "Cl": 0.1}
DEVICE |= {"thickness": 450, "annealing": 120, "ETL": "SnO2", "HTL": "NiO"}


@pytest.fixture(scope="module")
def data():
    return load_solar_cells()


# --- the formula ------------------------------------------------------------------------------


def test_a_device_by_hand():
    gap = 1.6 * 0.6 + 2.3 * 0.3 + 3 * 0.1 - 0.05 * 0.5 + 0.1 * 0.2 - 0.3 * 0.6 * 0.3
    gap += -0.25 * 0.4 - 0.6 * 0.4 * 0.6
    best = 150 * 0.5 + 100 * 0.3 + 170 * 0.2
    exponent = ((gap - 1.35) / 0.5) ** 2 + (100 / 400) ** 2 + ((120 - best) / 70) ** 2
    truth = solar_cell_formula(pd.DataFrame([DEVICE]))
    assert truth.columns.to_list() == ["volume", "gap", "efficiency"]
    assert truth["gap"][0] == pytest.approx(gap, rel=1e-12)
    efficiency = 20 * np.exp(-exponent) - 5 * 0.4 + 1.5 - 1
    assert truth["efficiency"][0] == pytest.approx(efficiency, rel=1e-12)


def test_volume_is_a_mean_over_ions():
    """So that a mixture of two crystals has the mixture of their volumes."""
    rows = pd.DataFrame([DEVICE, {**DEVICE, "FA": 0.1, "MA": 0.7, "I": 0.2, "Br": 0.7}])
    mixed = rows[["FA", "MA", "Cs", "Sn", "I", "Br", "Cl"]].mean().to_frame().T
    volumes = solar_cell_formula(rows)["volume"]
    assert_allclose(solar_cell_formula(mixed)["volume"], volumes.mean(), rtol=1e-12)


def test_crystals_have_no_efficiency(data):
    truth = solar_cell_formula(data.crystals)
    assert truth.columns.to_list() == ["volume", "gap"]
    assert truth.index.equals(data.crystals.index)


def test_an_efficiency_is_not_negative_and_a_missing_layer_leaves_it_open():
    rows = pd.DataFrame([{**DEVICE, "Sn": 1.0, "annealing": 900}, {**DEVICE, "HTL": None}])
    efficiency = solar_cell_formula(rows)["efficiency"]
    assert efficiency[0] == 0
    assert np.isnan(efficiency[1])


def test_columns_and_layers_that_the_formula_does_not_know_are_named():
    with pytest.raises(ValueError, match=r"lacks the columns \['Sn', 'HTL'\] of the formula"):
        solar_cell_formula(pd.DataFrame([DEVICE]).drop(columns=["Sn", "HTL"]))
    with pytest.raises(ValueError, match=r"'ETL' must hold .*'SnO2', 'TiO2'.* got \['glass'\]"):
        solar_cell_formula(pd.DataFrame([{**DEVICE, "ETL": "glass"}]))


# --- the tables -------------------------------------------------------------------------------


def test_sizes_are_those_of_the_docstring(data):
    crystals, devices = data.data
    assert (crystals.shape, devices.shape) == ((250, 8), (180, 12))
    assert data.gap.notna().sum() == 240
    assert data.efficiency.notna().sum() == 150
    assert devices.columns[:8].equals(crystals.columns)
    assert devices.select_dtypes("number").shape[1] == 10
    assert set(data.units) <= {*devices.columns, *data.target_names}
    assert data.device_formula.nunique() == 37
    assert data.device_formula[data.device_formula.isin(data.crystal_formula)].nunique() == 26
    assert data.crystal_formula.is_unique
    assert (data.gap.min(), data.gap.max()) == (1.24, 2.96)
    assert (data.efficiency.min(), data.efficiency.max()) == (0, 16.1)
    for text in ("250 crystals", "240 of them", "180 solar cells", "150 of them", "26 of the 37"):
        assert text in " ".join(data.DESCR.split())


def test_both_spellings_of_the_call(data):
    tables, targets = load_solar_cells(return_X_y=True)
    for table, own in zip(tables, (data.crystals, data.devices), strict=True):
        assert_frame_equal(table, own)
    for target, own in zip(targets, (data.gap, data.efficiency), strict=True):
        assert_series_equal(target, own)
    tables[0].iloc[:] = 0  # a table of one's own
    assert load_solar_cells().crystals["I"].max() == 1


@pytest.mark.parametrize("names", SHARES)
def test_shares_sum_up_to_one(data, names):
    for table in data.data:
        assert_allclose(table[names].sum(axis=1), 1, rtol=1e-12)


def test_numbers_are_those_of_the_formula_but_for_noise(data):
    """Of n normal errors, none is beyond 4.5 standard deviations but once in a thousand files."""
    of_crystals = solar_cell_formula(data.crystals)
    of_devices = solar_cell_formula(data.devices)
    for errors, std in (
        (data.gap - of_crystals["gap"], 0.04),
        (data.crystals["volume"] - of_crystals["volume"], 1.0),
    ):
        assert errors.abs().max() < 4.5 * std
        # the standard deviation of n normal numbers is off by std / sqrt(2 n), here three times
        assert abs(errors.std() - std) < 3 * std / np.sqrt(2 * errors.notna().sum())
    is_positive = (of_devices["efficiency"] > 4) & data.efficiency.notna()
    errors = (data.efficiency - of_devices["efficiency"])[is_positive]
    assert errors.abs().max() < 4.5 * 0.8


def test_one_compound_has_one_volume_in_both_files(data):
    volumes = data.devices["volume"].groupby(data.device_formula).unique()
    assert (volumes.map(len) == 1).all()
    computed = data.crystals["volume"].set_axis(data.crystal_formula).dropna()
    both = volumes.index.intersection(computed.index)
    assert len(both) > 20
    assert (volumes[both].map(lambda found: found[0]) == computed[both]).all()


def test_a_chain_takes_it(data):
    chain = NestedAutoencoder(n_components=2, max_iter=1, random_state=0)
    chain = chain.fit(*load_solar_cells(return_X_y=True))
    assert np.isfinite(chain.predict(data.devices)).all()


# --- the files --------------------------------------------------------------------------------


def test_files_come_with_the_package_and_are_small(data):
    folder = files("sknestedae.datasets") / "data"
    assert [Path(name).parent for name in data.filenames] == [Path(str(folder))] * 2
    assert sum(Path(name).stat().st_size for name in data.filenames) < 40_000


def test_files_are_messy(data):
    """What the tutorial shows must be there to be shown."""
    crystals, devices = (Path(name).read_text(encoding="utf-8") for name in data.filenames)
    first, second = (
        pd.DataFrame(list(csv.DictReader(text.splitlines(), delimiter=delimiter)))
        for text, delimiter in ((crystals, ","), (devices, ";"))
    )
    assert first.duplicated().sum() == second.duplicated().sum() == 4
    assert first["volume"].isin(["-"]).any()
    assert first["volume"].isin(["-999"]).any()
    assert first["gap"].str.endswith(" eV").any()
    assert first["gap"].isin(["n/a"]).any()
    assert second["efficiency"].str.fullmatch(r"\d+,\d|-").all()
    assert second["thickness"].str.fullmatch(r"\d+ nm|n/a").all()
    assert {"spiro-OMeTAD", "Spiro OMeTAD", "spiro-ometad"} <= set(second["HTL"])
    assert {"SnO2", "SnO2 "} <= set(second["ETL"])
    assert pd.to_datetime(second["made_on"]).is_monotonic_increasing
    recipe = [*data.devices.columns]
    assert second.drop_duplicates()[recipe].duplicated().sum() > 20  # replicates


def test_the_tutorial_cleans_the_files_as_the_loader_does(data):
    tutorial = Path(__file__).parents[2] / "examples" / "plot_first_hour.py"
    cells = tutorial.read_text(encoding="utf-8").split("\n# %%\n")
    (cleaning,) = (cell for cell in cells if cell.startswith("# 3. Clean them"))
    made = {"pd": pd, "crystals_file": data.filenames[0], "devices_file": data.filenames[1]}
    exec(cleaning, made)
    for name, table, target in (
        ("crystals", data.crystals, data.gap),
        ("devices", data.devices, data.efficiency),
    ):
        assert_frame_equal(made[name][table.columns], table)
        assert_series_equal(made[name][target.name], target)
