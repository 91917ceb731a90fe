"""Tests of patches: where their centres are, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sknestedae.datasets import patches_at


@pytest.fixture
def cube():
    """A map of 6 rows and 9 columns with 4 channels, every number once."""
    return np.arange(6.0 * 9 * 4).reshape(6, 9, 4)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
def test_the_centre_of_a_patch_is_where_its_spectrum_was_measured(cube, size):
    image = cube[:, :, 2]
    patches, spectra, positions = patches_at(image, cube, size)
    n_patches = (6 - size + 1) * (9 - size + 1)
    assert patches.shape == (n_patches, size, size)
    assert spectra.shape == (n_patches, 4)
    assert positions.shape == (n_patches, 2)
    assert_array_equal(patches[:, size // 2, size // 2], spectra[:, 2])
    for patch, spectrum, (row, column) in zip(patches, spectra, positions, strict=True):
        assert_array_equal(spectrum, cube[row, column])
        top, left = row - size // 2, column - size // 2
        assert_array_equal(patch, image[top : top + size, left : left + size])


def test_patches_come_row_by_row(cube):
    _, _, positions = patches_at(cube[:, :, 0], cube, 4)
    assert positions.tolist() == [[r, c] for r in (2, 3, 4) for c in (2, 3, 4, 5, 6, 7)]


def test_a_turned_patch_of_odd_size_keeps_its_centre_and_one_of_even_size_does_not(cube):
    for size, keeps in ((5, True), (4, False)):
        patches, spectra, _ = patches_at(cube[:, :, 0], cube, size)
        turned = np.rot90(patches, axes=(1, 2))
        assert (turned[:, size // 2, size // 2] == spectra[:, 0]).all() == keeps


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 3])  # patches of one pixel could be a view
def test_copies_with_the_dtype_that_came(cube, dtype, size):
    cube = cube.astype(dtype)
    image = cube[:, :, 1]
    before = cube.copy()
    patches, spectra, _ = patches_at(image, cube, size)
    assert patches.dtype == spectra.dtype == dtype
    patches[:], spectra[:] = 0, 0
    assert_array_equal(cube, before)


def test_missing_pixels_stay_missing(cube):
    image = cube[:, :, 0].copy()
    image[0, 0] = np.nan
    patches, spectra, _ = patches_at(image.tolist(), cube.tolist(), 2)
    assert np.isnan(patches).sum() == np.isnan(patches[0, 0, 0]) == 1
    assert np.isfinite(spectra).all()


@pytest.mark.parametrize(
    ("image_shape", "cube_shape", "size", "message"),
    [
        ((6, 9, 1), (6, 9, 4), 3, r"image must have the shape \(height, width\); got \(6, 9, 1\)"),
        ((6, 9), (6, 9), 3, r"cube must have the shape \(height, width, n_channels\); got \(6, 9"),
        ((6, 9), (4, 6, 9), 3, r"channels last: the shape \(6, 9, n_channels\); got \(4, 6, 9\)"),
        ((6, 9), (9, 6, 4), 3, r"\(6, 9, n_channels\); got \(9, 6, 4\)"),
        ((6, 9), (6, 9, 4), 7, r"size must be at most the height.*\(6, 9\); got 7"),
        ((6, 9), (6, 9, 4), 0, r"The 'size' parameter of patches_at must be.*Got 0"),
        ((6, 9), (6, 9, 4), 2.5, r"The 'size' parameter of patches_at must be.*Got 2.5"),
    ],
)
def test_errors(image_shape, cube_shape, size, message):
    with pytest.raises(ValueError, match=message):
        patches_at(np.zeros(image_shape), np.zeros(cube_shape), size)
