"""Tests of the piezoresponse loader; none of them uses a network."""

import hashlib
import io
import shutil
from pathlib import Path

import numpy as np
import pooch
import pytest
from numpy.testing import assert_array_equal

from sknestedae.datasets import _bepfm, fetch_bepfm, patches_at

FILE = "bepfm_test_data.npy"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Make every attempt to download fail the test."""

    def refuse(self, url, output_file, pooch, check_only=False):
        raise AssertionError(f"a test tried to download {url}")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", refuse)


@pytest.fixture
def data_home(data_dir, tmp_path):
    """A data home with a copy of the file."""
    (tmp_path / "be_pfm").mkdir()
    shutil.copyfile(data_dir / "be_pfm" / FILE, tmp_path / "be_pfm" / FILE)
    return tmp_path


def test_the_cube(data_home, data_dir):
    dataset = fetch_bepfm(data_home=data_home, download_if_missing=False)
    assert_array_equal(dataset.cube, np.load(data_dir / "be_pfm" / FILE))
    assert dataset.cube.shape == (32, 32, 102)
    assert len(dataset.axes) == 3
    assert (dataset.cube.min(), dataset.cube.max()) == (0.0, 1.0)
    assert np.isfinite(dataset.cube).all()
    for needed in ("32 x 32", "102", "MIT licence", "github.com/ziatdinovmax/GPim"):
        assert needed in dataset.DESCR


def test_the_axes_are_rows_columns_and_frequencies(data_home):
    """Neighbouring frequencies are alike, and so are neighbouring pixels in both directions."""
    cube = fetch_bepfm(data_home=data_home).cube
    spread = cube.std()
    for axis in range(3):
        assert np.diff(cube, axis=axis).std() < 0.5 * spread
    # The resonance: a peak that is not at an end of the band.
    assert 10 < cube.mean(axis=(0, 1)).argmax() < 92


def test_patches(data_home):
    cube = fetch_bepfm(data_home=data_home).cube
    patches, spectra, positions = patches_at(cube[:, :, 55], cube, 8)
    assert patches.shape == (625, 8, 8)
    assert spectra.shape == (625, 102)
    assert (positions.min(), positions.max()) == (4, 28)


def test_downloads_once_and_verifies(monkeypatch, tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.linspace(0, 1, 24).reshape(2, 3, 4))
    content = buffer.getvalue()
    checksum = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(_bepfm, "_FILE", _bepfm._FILE._replace(sha256=checksum))
    asked = []

    def copy(self, url, output_file, pooch, check_only=False):
        asked.append(url)
        Path(output_file).write_bytes(content)

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", copy)
    first = fetch_bepfm(data_home=tmp_path)
    again = fetch_bepfm(data_home=str(tmp_path), download_if_missing=False)
    assert asked == [_bepfm._FILE.url]
    assert asked[0].startswith("https://raw.githubusercontent.com/ziatdinovmax/GPim/")
    assert asked[0].endswith(f"/expdata/{FILE}")
    assert first.cube.shape == (2, 3, 4)
    assert_array_equal(first.cube, again.cube)


def test_another_file(tmp_path):
    (tmp_path / "be_pfm").mkdir()
    (tmp_path / "be_pfm" / FILE).write_bytes(b"something else")
    with pytest.raises(OSError, match=rf"{FILE}.*checksum is [0-9a-f]{{64}}, expected"):
        fetch_bepfm(data_home=tmp_path)


def test_missing_file_without_download(tmp_path):
    with pytest.raises(OSError, match=rf"{FILE} is not in .*download_if_missing"):
        fetch_bepfm(data_home=tmp_path, download_if_missing=False)


@pytest.mark.parametrize(
    "kwargs", [{"data_home": 3}, {"download_if_missing": "no"}, {"n_retries": -1}]
)
def test_parameters_are_validated(kwargs):
    (name,) = kwargs
    with pytest.raises(ValueError, match=rf"The '{name}' parameter of fetch_bepfm"):
        fetch_bepfm(**kwargs)
