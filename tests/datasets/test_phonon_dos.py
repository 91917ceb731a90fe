"""Tests of the phonon loader; none of them uses a network."""

import builtins
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pooch
import pytest
from numpy.testing import assert_array_equal

from sknestedae.datasets import _phonon_dos, fetch_phonon_dos

pytest.importorskip("ase")

FILE = "phonon_dos_1521.csv"
SMALL = """mp_id,structure,phfreq,phdos,pdos
mp-1,"{'numbers': [11, 17], 'positions': [[0, 0, 0], [0, 0, 2.8]], 'cell': [[0, 2.8, 2.8], \
[2.8, 0, 2.8], [2.8, 2.8, 0]], 'pbc': [True, True, True]}","[0.0, 20.0]","[0.25, 1.0]","{}"
mp-2,"{'numbers': [14], 'positions': [[-0.0, 0, 0]], 'cell': [[2, 0, 0], [0, 2, 0], [0, 0, 2]], \
'pbc': [True, True, True]}","[0.0, 20.0]","[1.0, 0.5]","{}"
"""


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Make every attempt to download fail the test."""

    def refuse(self, url, output_file, pooch, check_only=False):
        raise AssertionError(f"a test tried to download {url}")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", refuse)


@pytest.fixture
def data_home(data_dir, tmp_path):
    """A data home with a copy of the file."""
    source = data_dir / "phonon_dos" / FILE
    if not source.is_file():
        pytest.skip(f"{source} is not there")
    (tmp_path / "phonon_dos").mkdir()
    shutil.copyfile(source, tmp_path / "phonon_dos" / FILE)
    return tmp_path


def as_published(monkeypatch, tmp_path, text=SMALL):
    """Let a small file be the published one; give its path."""
    path = tmp_path / "published.csv"
    path.write_text(text)
    checksum = hashlib.sha256(_phonon_dos._content(path)).hexdigest()
    monkeypatch.setattr(_phonon_dos, "_FILE", _phonon_dos._FILE._replace(sha256=checksum))
    return path


def test_the_crystals(data_home):
    dataset = fetch_phonon_dos(data_home=data_home, download_if_missing=False)
    assert dataset.data.shape == (1521, 1)
    assert dataset.target.shape == (1521, 51)
    assert_array_equal(dataset.frequencies, np.arange(0, 1001, 20))
    assert dataset.data.index.is_unique
    assert dataset.data.index[0] == "mp-1000"
    atoms = dataset.data["structure"]
    assert str(atoms.iloc[0].symbols) == dataset.formula[0] == "BaTe"
    # what the description says
    sizes = atoms.map(len)
    assert (sizes.min(), sizes.max()) == (2, 40)
    assert len(set().union(*(set(each.numbers) for each in atoms))) == 64
    assert all(each.pbc.all() for each in atoms)
    assert np.isfinite(dataset.target).all()
    assert dataset.target.min() >= 0
    assert_array_equal(dataset.target.max(axis=1), 1)
    assert (dataset.target[:, -1] > 0).sum() == 99
    assert len(set(dataset.formula)) == 1391
    known = set(dataset.formula[dataset.train])
    assert sum(formula in known for formula in dataset.formula[dataset.test]) == 23
    for needed in ("1521", "99 spectra", "1391 formulas", "23 of the 153", "MIT licence"):
        assert needed in dataset.DESCR


def test_frame_and_split(data_home):
    dataset = fetch_phonon_dos(data_home=data_home)
    assert_array_equal(np.stack(dataset.frame["dos"]), dataset.target)
    assert dataset.frame[["structure"]].equals(dataset.data)
    parts = [dataset.train, dataset.validation, dataset.test]
    assert [len(part) for part in parts] == [1216, 152, 153]
    assert_array_equal(np.sort(np.concatenate(parts)), np.arange(1521))
    assert_array_equal(dataset.train, np.random.RandomState(73).permutation(1521)[:1216])
    data, target = fetch_phonon_dos(data_home=data_home, return_X_y=True)
    assert data.index.equals(dataset.data.index)
    assert_array_equal(target, dataset.target)


def test_the_published_file_has_more_columns(data_home):
    """Those that are not read, and another way to write numbers, change no checksum."""
    path = data_home / "phonon_dos" / FILE
    table = pd.read_csv(path, dtype=str)
    table["pdos"] = "{'Ba': [0.0, 1.0]}"
    table["phdos"] = table["phdos"].str.replace("0.0,", "0,", regex=False)
    table[table.columns[::-1]].to_csv(path, index=False)
    assert fetch_phonon_dos(data_home=data_home).target.shape == (1521, 51)


@pytest.mark.parametrize(
    ("old", "new"),
    [("mp-2", "mp-3"), ("[14]", "[32]"), ("2.8]]", "2.7]]"), ("[2, 0, 0]", "[2, 0, 1]"),
     ("0.5]", "0.6]"), ("'pbc': [True", "'pbc': [False")],
)  # fmt: skip
def test_all_that_is_read_is_verified(monkeypatch, tmp_path, old, new):
    as_published(monkeypatch, tmp_path)
    (tmp_path / "phonon_dos").mkdir()
    path = tmp_path / "phonon_dos" / FILE
    path.write_text(SMALL)
    assert fetch_phonon_dos(data_home=tmp_path).target.shape == (2, 2)
    assert old in SMALL
    path.write_text(SMALL.replace(old, new))
    with pytest.raises(OSError, match=rf"{FILE}.*checksum is [0-9a-f]{{64}}, expected"):
        fetch_phonon_dos(data_home=tmp_path)
    assert path.exists()  # it may be the user's own


@pytest.mark.parametrize("text", ["something else", SMALL.replace("20.0", "30.0", 1), ""])
def test_a_file_that_cannot_be_read(tmp_path, text):
    (tmp_path / "phonon_dos").mkdir()
    (tmp_path / "phonon_dos" / FILE).write_text(text)
    with pytest.raises(OSError, match=rf"{FILE}.*checksum is none, as it cannot be read"):
        fetch_phonon_dos(data_home=tmp_path)


def test_downloads_once_and_verifies(monkeypatch, tmp_path):
    published = as_published(monkeypatch, tmp_path)
    asked = []

    def copy(self, url, output_file, pooch, check_only=False):
        asked.append(url)
        shutil.copyfile(published, output_file)

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", copy)
    first = fetch_phonon_dos(data_home=tmp_path)
    again = fetch_phonon_dos(data_home=str(tmp_path), download_if_missing=False)
    assert asked == [_phonon_dos._FILE.url]
    assert asked[0].startswith("https://raw.githubusercontent.com/ninarina12/phononDoS_tutorial/")
    assert_array_equal(first.target, [[0.25, 1.0], [1.0, 0.5]])
    assert_array_equal(again.target, first.target)
    assert [str(atoms.symbols) for atoms in again.data["structure"]] == ["NaCl", "Si"]


@pytest.mark.parametrize("text", [SMALL.replace("0.25", "0.24"), "404: not found"])
def test_another_file_is_not_kept(monkeypatch, tmp_path, text):
    as_published(monkeypatch, tmp_path)

    def write(self, url, output_file, pooch, check_only=False):
        Path(output_file).write_text(text)

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", write)
    with pytest.raises(OSError, match=rf"{FILE} could not be downloaded .*checksum is .*expected"):
        fetch_phonon_dos(data_home=tmp_path)
    assert not (tmp_path / "phonon_dos" / FILE).exists()


def test_missing_file_without_download(tmp_path):
    with pytest.raises(OSError, match=rf"{FILE} is not in .*download_if_missing"):
        fetch_phonon_dos(data_home=tmp_path, download_if_missing=False)


def test_without_ase(monkeypatch):
    original = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "ase":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"_dos gives ase.Atoms.*'\.\[atoms\]'"):
        fetch_phonon_dos()


@pytest.mark.parametrize(
    "kwargs",
    [{"data_home": 3}, {"download_if_missing": "no"}, {"return_X_y": 2}, {"n_retries": -1}],
)
def test_parameters_are_validated(kwargs):
    (name,) = kwargs
    with pytest.raises(ValueError, match=rf"The '{name}' parameter of fetch_phonon_dos"):
        fetch_phonon_dos(**kwargs)
