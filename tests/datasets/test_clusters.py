"""Tests of the simulated clusters: the physics, the geometry, and what a call gives."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal, assert_array_less

from sknestedae.datasets import make_nanoparticle_clusters
from sknestedae.datasets._clusters import (
    cluster_images,
    dipole_matrix,
    extinction,
    polarisability,
)

ENERGIES = np.linspace(1.2, 3.2, 64)
WAVE_NUMBERS = np.sqrt(1.77) * ENERGIES / 197.327  # nm^-1
ARRAYS = ["images", "spectra", "n_particles", "energies", "radii", "positions"]


@pytest.fixture(scope="module")
def clusters():
    return make_nanoparticle_clusters(300, noise=0.0, random_state=0)


def turned(positions):
    """Turn positions (..., 2), (down, right), by 90 degrees as np.rot90 turns an image."""
    return np.stack([-positions[..., 1], positions[..., 0]], axis=-1)


# --- the physics ------------------------------------------------------------------------------


def test_a_single_sphere_is_the_same_everywhere():
    positions = np.array([[[0.0, 0.0]], [[37.0, -11.0]]])
    here, there = extinction(positions, np.array([20.0, 20.0]), ENERGIES)
    assert_array_equal(here, there)
    alone = 4 * np.pi * WAVE_NUMBERS * polarisability(np.array([20.0]), ENERGIES)[0].imag
    assert_allclose(here, alone, rtol=1e-6)  # hbar c is written with six digits here


def test_the_resonance_of_a_small_sphere():
    """Where the metal is -2 times the medium, and half as high where it is damped away from it.

    9 - 8.5^2 / (E^2 + 0.12 i E) + 2 * 1.77 is 0 at E^2 = 8.5^2 / 12.54 without damping. With it,
    the imaginary part of the polarisability is proportional to E / ((E^2 - E0^2)^2 + (.12 E)^2).
    """
    resonance, damping = 8.5 / np.sqrt(9 + 2 * 1.77), 0.12
    ends = (np.sqrt(damping**2 + 4 * resonance**2) + damping * np.array([-1, 1])) / 2
    energies = np.array([resonance, *ends])
    # Of a radius of 0.01 nm, light and radiation are (k a)^3 < 1e-11 of what is tested.
    height = energies * polarisability(np.array([0.01]), energies)[0].imag
    assert_allclose(height / height[0], [1, 0.5, 0.5], rtol=1e-6)


def test_the_radiative_correction_keeps_the_energy():
    # Of a dipole p in a field 1, Im(p) is what it takes, 2/3 k^3 |p|^2 what it radiates. A large
    # sphere at its resonance radiates nearly all of it, and none radiates more.
    dipoles = polarisability(np.array([14.0, 24.0, 200.0]), ENERGIES)
    share = 2 / 3 * WAVE_NUMBERS**3 * np.abs(dipoles) ** 2 / dipoles.imag
    assert (share < 1).all()
    assert share[2].max() > 0.99


def test_two_far_spheres_are_twice_one():
    distance = 1e6  # nm
    radii = np.array([20.0])
    two = extinction(np.array([[[0.0, 0.0], [0.0, distance]]]), radii, ENERGIES)
    one = extinction(np.zeros((1, 1, 2)), radii, ENERGIES)
    # The field of one at the other is at most this times the field of the light, and changes
    # the dipole by this, which may turn it: the part in phase can be the smaller one.
    dipole = polarisability(radii, ENERGIES)[0]
    coupling = WAVE_NUMBERS**2 * np.abs(dipole) / distance
    bound = 2 * coupling * np.abs(dipole) / dipole.imag
    assert bound.max() < 1e-2
    assert_array_less(np.abs(two[0] / (2 * one[0]) - 1), bound)


def test_two_near_spheres_are_not_twice_one():
    radii = np.array([20.0])
    two = extinction(np.array([[[0.0, 0.0], [0.0, 42.0]]]), radii, ENERGIES)[0]
    one = extinction(np.zeros((1, 1, 2)), radii, ENERGIES)[0]
    # The resonance along the pair moves to lower energies (Draine and Flatau; textbooks).
    assert ENERGIES[two.argmax()] < ENERGIES[one.argmax()] - 0.1


def test_the_dipoles_solve_their_equations():
    """The fields of all other dipoles and of the light, summed by hand, drive each dipole."""
    positions = np.array([[0.0, 0.0], [45.0, 10.0], [20.0, 55.0]])
    radii = np.array([18.0])
    matrix = dipole_matrix(positions[None], radii, ENERGIES)[0]
    field = np.tile([0.6, 0.8], 3)
    dipoles = np.linalg.solve(matrix, field[:, None])[..., 0].reshape(-1, 3, 2)
    alpha = polarisability(radii, ENERGIES)[0]
    for e, k in enumerate(WAVE_NUMBERS):
        for i in range(3):
            driving = np.array([0.6, 0.8], dtype=complex)
            for j in {0, 1, 2} - {i}:
                r = np.linalg.norm(positions[i] - positions[j])
                n = np.array([*(positions[i] - positions[j]) / r, 0.0])
                p = np.array([*dipoles[e, j], 0.0])
                # Jackson, Classical Electrodynamics, eq. 9.18, in Gaussian units
                far = k**2 * np.cross(np.cross(n, p), n) / r
                near = (3 * n * (n @ p) - p) * (1 / r**3 - 1j * k / r**2)
                driving += (np.exp(1j * k * r) * (far + near))[:2]
            # wave numbers with six digits, phases up to 3
            assert_allclose(dipoles[e, i], alpha[e] * driving, rtol=1e-5)


def test_light_does_not_see_where_and_how_turned_a_cluster_is(clusters):
    positions, radii = clusters.positions, clusters.radii
    given = extinction(positions, radii, ENERGIES)
    angle = 0.3
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = extinction(positions @ rotation.T + [5.0, -40.0], radii, ENERGIES)
    assert_allclose(moved, given, rtol=1e-9)
    mirrored = extinction(positions * [1, -1], radii, ENERGIES)
    assert_allclose(mirrored, given, rtol=1e-9)


def test_spectra_do_not_depend_on_the_other_clusters(clusters):
    some = [3, 0, 77]
    given = extinction(clusters.positions, clusters.radii, ENERGIES)[some]
    alone = extinction(clusters.positions[some], clusters.radii[some], ENERGIES)
    assert_allclose(alone, given, rtol=1e-12)


# --- the images -------------------------------------------------------------------------------


def test_a_turned_cluster_is_a_turned_image(clusters):
    images = cluster_images(turned(clusters.positions), clusters.radii)
    # float32 of numbers up to 1
    assert_allclose(images, np.rot90(clusters.images, axes=(1, 2)), atol=1e-7)
    spectra = extinction(turned(clusters.positions), clusters.radii, ENERGIES)
    assert_allclose(spectra / clusters.spectrum_scale, clusters.spectra, rtol=1e-6)


def test_positions_are_rows_and_columns_of_the_image():
    # The centre of the pixel in row 3, column 12 is (3 - 7.5, 12 - 7.5) pixels off the centre.
    position = 12.0 * np.array([3 - 7.5, 12 - 7.5])
    image = cluster_images(position[None, None], np.array([6.0]))[0]
    assert image[3, 12] == 1.0
    assert np.unravel_index(image.argmax(), image.shape) == (3, 12)
    # Neighbours are a pixel away, where a sphere of half a pixel has just ended.
    assert_allclose(image.sum(), 1.0, atol=1e-12)


def test_images_show_the_covered_area(clusters):
    # The edge is linear over a pixel of side d: the sum over a fine grid would be the area
    # pi (a^2 + d^2 / 12) of each sphere. A grid of the same d errs by a few per cent.
    area = clusters.n_particles * np.pi * (clusters.radii**2 + 12.0**2 / 12) / 12.0**2
    assert_allclose(clusters.images.sum(axis=(1, 2)) / area, 1, atol=0.1)
    assert_allclose((clusters.images.sum(axis=(1, 2)) / area).mean(), 1, atol=0.01)
    assert clusters.images.min() == 0
    assert clusters.images.max() == 1


# --- the geometry -----------------------------------------------------------------------------


def test_geometry_is_within_its_ranges(clusters):
    positions, radii, n_particles = clusters.positions, clusters.radii, clusters.n_particles
    assert_array_equal(np.isfinite(positions).all(axis=2).sum(axis=1), n_particles)
    assert_array_equal(np.isfinite(positions).all(axis=2), np.arange(3) < n_particles[:, None])
    assert 14 <= radii.min() < 14.5
    assert 23.5 < radii.max() <= 24
    off_centre = np.linalg.norm(np.nanmean(positions, axis=1), axis=1)
    assert 5.5 < off_centre.max() <= 6
    gaps = {}
    for i, j in ((0, 1), (1, 2), (0, 2)):
        distance = np.linalg.norm(positions[:, i] - positions[:, j], axis=1)
        gaps[i, j] = (distance - 2 * radii)[n_particles > j]
    for pair in ((0, 1), (1, 2)):
        assert 2 <= gaps[pair].min() + 1e-9 < 2.5
        assert 13.5 < gaps[pair].max() <= 14 + 1e-9
    assert gaps[0, 2].min() >= 2 - 1e-9  # not closer than neighbours
    assert gaps[0, 2].max() > 30  # and not always a triangle
    edge = np.nanmax(np.abs(positions), axis=(1, 2)) + radii
    assert edge.max() < 8 * 12


def test_as_many_clusters_of_each_size(clusters):
    # A share of 1/3 of 300 has a standard deviation of 8.2.
    counts = np.bincount(clusters.n_particles, minlength=4)
    assert counts[0] == 0
    assert_allclose(counts[1:], 100, atol=4 * 8.2)


# --- what a call gives ------------------------------------------------------------------------


def test_shapes_and_dtypes(clusters):
    shapes = {name: (clusters[name].shape, clusters[name].dtype) for name in ARRAYS}
    assert shapes == {
        "images": ((300, 16, 16), np.float32),
        "spectra": ((300, 64), np.float32),
        "n_particles": ((300,), int),
        "energies": ((64,), float),
        "radii": ((300,), float),
        "positions": ((300, 3, 2), float),
    }
    assert clusters.pixel_size == 12.0
    assert_allclose(clusters.energies, ENERGIES)


def test_spectra_are_scaled_by_a_quantile_of_their_maxima(clusters):
    assert_allclose(np.quantile(clusters.spectra.max(axis=1), 0.95), 1, rtol=1e-6)
    sections = extinction(clusters.positions, clusters.radii, ENERGIES)
    assert_allclose(clusters.spectra * clusters.spectrum_scale, sections, rtol=1e-6)


def test_noise_is_added_to_the_same_clusters(clusters):
    noisy = make_nanoparticle_clusters(300, noise=0.1, random_state=0)
    assert_array_equal(noisy.positions, clusters.positions)
    for name in ("images", "spectra"):
        assert_array_equal(noisy[f"noise_free_{name}"], clusters[name])
        assert_array_equal(clusters[f"noise_free_{name}"], clusters[name])
        noise = noisy[name] - clusters[name]
        # The standard deviation of n numbers is known to about 1 / sqrt(2 n): .5 % and less.
        assert_allclose(noise.std(), 0.1, rtol=0.02)
        assert_allclose(noise.mean(), 0, atol=4 * 0.1 / np.sqrt(noise.size))
    default = make_nanoparticle_clusters(300, random_state=0)
    assert_allclose((default.spectra - clusters.spectra).std(), 0.02, rtol=0.03)


def test_random_state_determines_all():
    first, again, other = (make_nanoparticle_clusters(5, random_state=seed) for seed in (1, 1, 2))
    for name in ARRAYS:
        assert_array_equal(first[name], again[name])
    assert not np.array_equal(first.images, other.images)
    drawn = make_nanoparticle_clusters(5, random_state=np.random.RandomState(1))
    assert_array_equal(first.spectra, drawn.spectra)


def test_more_clusters_than_are_solved_at_once(monkeypatch, clusters):
    monkeypatch.setattr("sknestedae.datasets._clusters._ROWS_AT_ONCE", 7)
    again = make_nanoparticle_clusters(300, noise=0.0, random_state=0)
    assert_allclose(again.spectra, clusters.spectra, rtol=1e-6)


@pytest.mark.parametrize("kwargs", [{"n_samples": 0}, {"noise": -0.1}, {"random_state": "paper"}])
def test_parameters_are_validated(kwargs):
    (name,) = kwargs
    with pytest.raises(ValueError, match=rf"The '{name}' parameter of make_nanoparticle_clusters"):
        make_nanoparticle_clusters(**kwargs)
