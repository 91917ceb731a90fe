"""Tests of the perovskite loader; none of them uses a network."""

import hashlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pooch
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GroupKFold, KFold

from sknestedae.datasets import _perovskites, fetch_perovskites

CRYSTAL_FILE = "PSC_bandgaps_dataset.csv"
DEVICE_FILE = "PSC_efficiencies_dataset.csv"
ION_COLUMNS = [
    f"{site}_{quantity}"
    for site in "ABX"
    for quantity in (
        "ion_radius",
        "atomic_weight",
        "electron_affinity",
        "ionisation_energy",
        "electronegativity",
    )
]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Make every attempt to download fail the test."""

    def refuse(self, url, output_file, pooch, check_only=False):
        raise AssertionError(f"a test tried to download {url}")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", refuse)


@pytest.fixture
def data_home(data_dir, tmp_path):
    """A data home with copies of the two files."""
    (tmp_path / "perovskites").mkdir()
    for name in (CRYSTAL_FILE, DEVICE_FILE):
        shutil.copyfile(data_dir / "perovskites" / name, tmp_path / "perovskites" / name)
    return tmp_path


@pytest.fixture
def perovskites(data_home):
    return fetch_perovskites(data_home=data_home)


@pytest.fixture
def raw(data_dir):
    """The two files as they are, all columns of strings."""
    return [
        pd.read_csv(data_dir / "perovskites" / name, dtype=str, keep_default_na=False)
        for name in (CRYSTAL_FILE, DEVICE_FILE)
    ]


def serve(monkeypatch, contents):
    """Let pooch 'download' these contents (url -> bytes); return the list of addresses asked."""
    asked = []

    def copy(self, url, output_file, pooch, check_only=False):
        asked.append(url)
        Path(output_file).write_bytes(contents[url])

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", copy)
    return asked


def made_up_files():
    """Two rows in the layout of each file, with the layers "None" and "na"."""
    crystals = pd.DataFrame(
        {
            f"{site}_{ending}": [f"{number}.5", f"{number}.25"]
            for number, (site, ending) in enumerate(
                (site, ending)
                for site in "ABX"
                for ending in ("ion_rad", "at_wt", "EA", "IE", "En")
            )
        }
    ).assign(Index=["1", "2"], Formula=["MAPbI_3", "CsPbI_3"], Gap=["1.5", "2.5"])
    devices = pd.DataFrame(
        {
            f"{site}_{ending}": [f"{number}.5", f"{number}.25"]
            for number, (site, ending) in enumerate(
                (site, ending)
                for site in "ABC"
                for ending in ("ion_radius", "atom_wt", "EA", "IE", "EN")
            )
        }
    ).assign(
        Perovskite_composition_long_form=["Cs0.10FA0.90PbI3", "CsPbBr0.50I2.50"],
        ETL_stack_sequence=["None", "TiO2-c"],
        HTL_stack_sequence=["na", "None"],
        JV_reverse_scan_PCE=["12.5", "0.0"],
        JV_scan_speed=["", ""],
    )
    return crystals.to_csv(index=False).encode(), devices.to_csv(index=False).encode()


def use_made_up_files(monkeypatch):
    """Replace the two published files by made-up ones; return their contents by address."""
    contents = {}
    for name, content in zip(("_CRYSTAL_FILE", "_DEVICE_FILE"), made_up_files(), strict=True):
        remote = getattr(_perovskites, name)
        checksum = hashlib.sha256(content).hexdigest()
        monkeypatch.setattr(_perovskites, name, remote._replace(sha256=checksum))
        contents[remote.url] = content
    return contents


# --- the data ---------------------------------------------------------------------------------


def test_shapes_and_names(perovskites):
    assert perovskites.crystals.shape == (494, 15)
    assert perovskites.devices.shape == (2018, 17)
    assert list(perovskites.crystals.columns) == ION_COLUMNS
    assert list(perovskites.devices.columns) == [*ION_COLUMNS, "ETL", "HTL"]
    assert perovskites.feature_names == [ION_COLUMNS, [*ION_COLUMNS, "ETL", "HTL"]]
    assert perovskites.target_names == ["gap", "pce"]
    assert perovskites.data[0] is perovskites.crystals
    assert perovskites.data[1] is perovskites.devices
    for position, name in enumerate(perovskites.target_names):
        assert perovskites.target[position] is perovskites[name]
        assert perovskites[name].name == name
        assert len(perovskites[name]) == len(perovskites.data[position])
        assert perovskites[name].dtype == np.float64
    assert set(perovskites.units) == {*ION_COLUMNS, "gap", "pce"}


def test_dtypes(perovskites):
    assert (perovskites.crystals.dtypes == np.float64).all()
    assert (perovskites.devices[ION_COLUMNS].dtypes == np.float64).all()
    for layer, n_kinds in (("ETL", 7), ("HTL", 4)):
        assert isinstance(perovskites.devices[layer].dtype, pd.CategoricalDtype)
        assert len(perovskites.devices[layer].cat.categories) == n_kinds
    for table in (*perovskites.data, *perovskites.target):
        assert not table.isna().any(axis=None)


def test_values_are_those_of_the_files(perovskites, raw):
    crystals, devices = raw
    for site, device_site in zip("ABX", "ABC", strict=True):
        for ours, in_crystals, in_devices in (
            ("ion_radius", "ion_rad", "ion_radius"),
            ("atomic_weight", "at_wt", "atom_wt"),
            ("electron_affinity", "EA", "EA"),
            ("ionisation_energy", "IE", "IE"),
            ("electronegativity", "En", "EN"),
        ):
            column = f"{site}_{ours}"
            expected = crystals[f"{site}_{in_crystals}"].astype(float)
            assert_array_equal(perovskites.crystals[column], expected)
            expected = devices[f"{device_site}_{in_devices}"].astype(float)
            assert_array_equal(perovskites.devices[column], expected)
    assert_array_equal(perovskites.devices["ETL"].astype(str), devices["ETL_stack_sequence"])
    assert_array_equal(perovskites.devices["HTL"].astype(str), devices["HTL_stack_sequence"])
    assert_array_equal(perovskites.gap, crystals["Gap"].astype(float))
    assert_array_equal(perovskites.pce, devices["JV_reverse_scan_PCE"].astype(float))
    assert_array_equal(perovskites.crystal_formula, crystals["Formula"])


def test_both_scales_have_the_same_units(perovskites):
    # MAPbI3 is in both files; the crystal file is rounded to three digits.
    is_mapi = perovskites.crystal_formula == "MAPbI_3"
    crystal = perovskites.crystals[is_mapi]
    device = perovskites.devices.loc[perovskites.device_composition == "MAPbI3", ION_COLUMNS]
    assert len(crystal) == 1
    assert len(device) == 984
    assert_allclose(device, np.repeat(crystal.to_numpy(), 984, axis=0), rtol=5e-3)


def test_as_arrays(data_home, perovskites):
    arrays = fetch_perovskites(data_home=data_home, as_frame=False)
    assert set(arrays) == set(perovskites)
    for key in ("crystals", "devices", "gap", "pce", "crystal_formula", "device_composition"):
        assert type(arrays[key]) is np.ndarray
        assert_array_equal(arrays[key], perovskites[key].to_numpy(dtype=arrays[key].dtype))
    assert arrays.crystals.dtype == arrays.gap.dtype == arrays.pce.dtype == np.float64
    assert arrays.devices.dtype == object
    assert {type(value) for value in arrays.devices[:, 0]} == {float}
    assert {type(value) for value in arrays.devices[:, -1]} == {str}
    assert arrays.data[1] is arrays.devices
    assert arrays.feature_names == perovskites.feature_names


@pytest.mark.parametrize("as_frame", [True, False])
def test_return_X_y(data_home, as_frame):
    X, y = fetch_perovskites(data_home=data_home, return_X_y=True, as_frame=as_frame)
    dataset = fetch_perovskites(data_home=data_home, as_frame=as_frame)
    for given, key in zip((*X, *y), ("crystals", "devices", "gap", "pce"), strict=True):
        assert type(given) is type(dataset[key])
        assert_array_equal(given, dataset[key])


# --- what the description says of the data ----------------------------------------------------


def test_ranges_of_the_targets(perovskites):
    assert (perovskites.gap.min(), perovskites.gap.max()) == (0.37, 5.37)
    assert (perovskites.pce.min(), perovskites.pce.max()) == (0.0, 23.0)


def test_properties_are_linear_in_the_composition(perovskites, raw):
    ions = ["K", "Rb", "Cs", "MA", "FA", "Ca", "Sr", "Ba", "Ge", "Sn", "Pb", "Cl", "Br", "I"]
    composition = raw[0][ions].to_numpy(dtype=float)
    # The fractions are rounded too, to a sum of 1.004 at the most: hence the tolerance.
    assert np.linalg.matrix_rank(composition - composition.mean(axis=0), tol=0.1) == 11
    X = perovskites.crystals.to_numpy()
    fitted = composition @ np.linalg.lstsq(composition, X, rcond=None)[0]
    assert_allclose(fitted, X, rtol=0.01)

    X = perovskites.devices[ION_COLUMNS].to_numpy()
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    assert np.linalg.matrix_rank(X, tol=1e-2) == 6


def test_replicates(perovskites):
    groups = perovskites.pce.groupby(
        [perovskites.devices[name] for name in perovskites.devices], observed=True
    )
    assert groups.ngroups == 343
    error = (perovskites.pce - groups.transform("median")).abs().mean()
    assert_allclose(error, 2.15, atol=0.005)


def test_composition_is_a_group_of_equal_ion_properties(perovskites, raw):
    composition = perovskites.device_composition
    assert raw[1]["Perovskite_composition_long_form"].nunique() == 239
    assert composition.nunique() == 235
    ion_rows = perovskites.devices[ION_COLUMNS].drop_duplicates()
    assert len(ion_rows) == 235
    assert composition[ion_rows.index].is_unique


def share_of_known_inputs(devices, splits):
    """For each split, the share of validation rows whose input is among the training rows."""
    rows = devices.astype(str).agg("|".join, axis=1).to_numpy()
    return [np.isin(rows[test], rows[train]).mean() for train, test in splits]


def test_a_split_by_rows_leaks_and_a_grouped_split_does_not(perovskites):
    devices, groups = perovskites.devices, perovskites.device_composition
    by_rows = KFold(5, shuffle=True, random_state=0).split(devices)
    shares = share_of_known_inputs(devices, by_rows)
    assert_allclose(shares, 0.895, atol=0.02)  # 88 to 91 %
    grouped = GroupKFold(5).split(devices, groups=groups)
    assert share_of_known_inputs(devices[ION_COLUMNS], grouped) == [0.0] * 5


def test_description_names_sources_and_licence(perovskites):
    for needed in (
        "10.1039/D1EE02971A",
        "10.1038/s41560-021-00941-3",
        "10.1039/D3MH01484C",
        "MIT licence",
        *(column for column in ION_COLUMNS if column.startswith("A_")),
        *set(perovskites.units.values()),
    ):
        assert needed in perovskites.DESCR


# --- the files --------------------------------------------------------------------------------


def test_downloads_once_and_verifies(monkeypatch, tmp_path):
    contents = use_made_up_files(monkeypatch)
    asked = serve(monkeypatch, contents)
    dataset = fetch_perovskites(data_home=tmp_path)
    assert asked == list(contents)
    assert [url.rsplit("/", 1)[1] for url in asked] == [CRYSTAL_FILE, DEVICE_FILE]
    assert sorted(path.name for path in (tmp_path / "perovskites").iterdir()) == [
        CRYSTAL_FILE,
        DEVICE_FILE,
    ]
    again = fetch_perovskites(data_home=str(tmp_path), download_if_missing=False)
    assert len(asked) == 2
    pd.testing.assert_frame_equal(dataset.devices, again.devices)


def test_na_and_none_are_kinds_of_layer(monkeypatch, tmp_path):
    serve(monkeypatch, use_made_up_files(monkeypatch))
    dataset = fetch_perovskites(data_home=tmp_path)
    assert dataset.devices["ETL"].to_list() == ["None", "TiO2-c"]
    assert dataset.devices["HTL"].to_list() == ["na", "None"]
    assert dataset.device_composition.to_list() == ["Cs0.1FA0.9PbI3", "CsPbBr0.5I2.5"]
    assert dataset.devices["X_ion_radius"].to_list() == [10.5, 10.25]
    assert_array_equal(dataset.devices[ION_COLUMNS], dataset.crystals)


def test_only_the_missing_file_is_downloaded(monkeypatch, tmp_path):
    contents = use_made_up_files(monkeypatch)
    asked = serve(monkeypatch, contents)
    (tmp_path / "perovskites").mkdir()
    crystal_url, device_url = contents
    (tmp_path / "perovskites" / CRYSTAL_FILE).write_bytes(contents[crystal_url])
    fetch_perovskites(data_home=tmp_path)
    assert asked == [device_url]


def test_default_folder_is_that_of_scikit_learn(monkeypatch, tmp_path):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    serve(monkeypatch, use_made_up_files(monkeypatch))
    fetch_perovskites()
    assert (tmp_path / "home" / "perovskites" / CRYSTAL_FILE).is_file()


def test_missing_files_without_download(tmp_path):
    with pytest.raises(OSError, match=rf"{CRYSTAL_FILE} is not in .*download_if_missing"):
        fetch_perovskites(data_home=tmp_path, download_if_missing=False)


@pytest.mark.parametrize("name", [CRYSTAL_FILE, DEVICE_FILE])
@pytest.mark.parametrize("download_if_missing", [True, False])
def test_changed_local_file(monkeypatch, tmp_path, name, download_if_missing):
    serve(monkeypatch, use_made_up_files(monkeypatch))
    fetch_perovskites(data_home=tmp_path)
    path = tmp_path / "perovskites" / name
    changed = path.read_bytes() + b"\n"
    path.write_bytes(changed)
    with pytest.raises(OSError, match=rf"{name}.*checksum is [0-9a-f]{{64}}, expected"):
        fetch_perovskites(data_home=tmp_path, download_if_missing=download_if_missing)
    assert path.read_bytes() == changed  # it may be the user's own


def test_changed_download(monkeypatch, tmp_path):
    contents = use_made_up_files(monkeypatch)
    asked = serve(monkeypatch, dict.fromkeys(contents, b"something else"))
    with pytest.raises(OSError, match=rf"{CRYSTAL_FILE}.*SHA256 hash.*does not match"):
        fetch_perovskites(data_home=tmp_path, n_retries=0)
    assert len(asked) == 1
    assert list((tmp_path / "perovskites").iterdir()) == []


def test_failed_download_is_tried_again(monkeypatch, tmp_path):
    contents = use_made_up_files(monkeypatch)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    asked = serve(monkeypatch, dict.fromkeys(contents, b"something else"))
    with pytest.raises(OSError, match=CRYSTAL_FILE):
        fetch_perovskites(data_home=tmp_path, n_retries=2)
    assert len(asked) == 3


def test_without_network(monkeypatch, tmp_path):
    use_made_up_files(monkeypatch)

    def refuse(self, url, output_file, pooch, check_only=False):
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", refuse)
    with pytest.raises(OSError, match=rf"{CRYSTAL_FILE} could not be downloaded.*not known"):
        fetch_perovskites(data_home=tmp_path, n_retries=0)


def test_published_addresses_name_a_commit():
    for remote in (_perovskites._CRYSTAL_FILE, _perovskites._DEVICE_FILE):
        assert remote.url.startswith("https://raw.githubusercontent.com/rxhernandez/NestedAE/7855")
        assert remote.url.endswith(f"/{remote.filename}")


def test_without_pooch(monkeypatch, tmp_path):
    contents = use_made_up_files(monkeypatch)
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"fetch_perovskites.*pip install pooch"):
        fetch_perovskites(data_home=tmp_path)
    # It is not needed where the files are there.
    (tmp_path / "perovskites").mkdir(exist_ok=True)
    for name, content in zip((CRYSTAL_FILE, DEVICE_FILE), contents.values(), strict=True):
        (tmp_path / "perovskites" / name).write_bytes(content)
    assert fetch_perovskites(data_home=tmp_path).gap.to_list() == [1.5, 2.5]


@pytest.mark.parametrize(
    "kwargs",
    [
        {"data_home": 3},
        {"download_if_missing": "no"},
        {"return_X_y": "yes"},
        {"as_frame": "auto"},
        {"n_retries": -1},
    ],
)
def test_parameters_are_validated(kwargs):
    (name,) = kwargs
    with pytest.raises(ValueError, match=rf"The '{name}' parameter of fetch_perovskites"):
        fetch_perovskites(**kwargs)
