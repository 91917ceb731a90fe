"""Simulated clusters of metal particles: an image and an extinction spectrum of each."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch, check_random_state, gen_batches

from .._compat import Interval, validate_params

_N_PIXELS = 16  # along each side of an image
_PIXEL_SIZE = 12.0  # nm
_ENERGIES = np.linspace(1.2, 3.2, 64)  # eV
_MOST_PARTICLES = 3

# Ranges of the geometry, in nm. The longest chain, 3 spheres of 24 nm with gaps of 14 nm, is 172
# nm long: it fits into the image of 192 nm however it is turned, also 6 nm off the centre.
_RADIUS = (14.0, 24.0)
_GAP = (2.0, 14.0)
_OFF_CENTRE = 6.0

# Drude metal (energies in eV) in a medium with the refractive index of water, squared.
_BOUND_PERMITTIVITY, _PLASMA_ENERGY, _DAMPING = 9.0, 8.5, 0.12
_MEDIUM = 1.77
_HBAR_C = 197.3269804  # eV nm

_SCALE_QUANTILE = 0.95  # of the largest value of each spectrum
_ROWS_AT_ONCE = 500  # bounds the memory for the dipoles' equations: 37 kB a row

_DESCR = """\
Simulated clusters of metal particles
-------------------------------------

:Kinds of data: an image (16 x 16 pixels of 12 nm) and a spectrum (64 energies, 1.2 to 3.2 eV)
:Samples: as many as asked for
:Labels: the number of particles, 1 to 3, and the geometry
:Missing values: none

Each sample is a cluster of one to three equal metal spheres in a plane: radius 14 to 24 nm, gaps
of 2 to 14 nm between neighbours, the centre of the cluster up to 6 nm off the centre of the image.
The image shows how much of each pixel is covered by spheres. The spectrum is the extinction of
light that meets the plane at a right angle, averaged over both polarisations, from the coupled
dipole approximation: one dipole for each sphere (Draine and Flatau, J. Opt. Soc. Am. A 11, 1491
(1994), doi:10.1364/JOSAA.11.001491), a polarisability with the radiative correction (Draine,
Astrophys. J. 333, 848 (1988), doi:10.1086/166795), and the Drude permittivity of a metal in water.

What to know before using them:

* The noise-free image determines the noise-free spectrum. The spectrum determines the image only
  up to rotation, reflection and shift of the cluster, which it does not see.
* One dipole for each sphere is too simple where gaps are much smaller than the radius: real
  spectra shift more. The data are for methods, not for a measured particle.
* Spectra are in units of the 95 % quantile of the largest values of all spectra of the call. Take
  training and test samples from one call, or multiply by ``spectrum_scale`` to have nm^2.
* Noise has the same standard deviation on every pixel and channel. To reconstruct it is no merit:
  compare with the noise-free arrays as well.
"""


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_nanoparticle_clusters(
    n_samples: int = 1000,
    *,
    noise: float = 0.02,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    r"""Make images and extinction spectra of simulated clusters of metal particles.

    Each sample is a cluster of one to three equal spheres, seen by a microscope and by a
    spectrometer. The geometry behind both is known.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of clusters.
    noise : float, default=0.02
        Standard deviation of the Gaussian noise on each pixel and each channel. Noise-free pixels
        are between 0 and 1, and 95 % of the noise-free spectra have their maximum below 1.
    random_state : int, RandomState instance or None, default=None
        Determines geometry and noise. Pass an int for the same clusters in every call; they are
        then the same at every level of noise.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        images : ndarray of shape (n_samples, 16, 16), float32
            Share of each pixel that is covered by spheres, with noise.
        spectra : ndarray of shape (n_samples, 64), float32
            Extinction cross-sections in units of `spectrum_scale`, with noise.
        n_particles : ndarray of shape (n_samples,), int
            Number of spheres: 1, 2 or 3.
        energies : ndarray of shape (64,)
            Photon energies of the channels, in eV.
        radii : ndarray of shape (n_samples,)
            Radius of the spheres of each cluster, in nm.
        positions : ndarray of shape (n_samples, 3, 2)
            Centres of the spheres, in nm from the centre of the image: (down, right), as the
            rows and the columns of the image count. NaN for spheres that a cluster does not have.
        noise_free_images : ndarray of shape (n_samples, 16, 16), float32
            The images without noise.
        noise_free_spectra : ndarray of shape (n_samples, 64), float32
            The spectra without noise.
        pixel_size : float
            Length of a side of a pixel, in nm: 12.
        spectrum_scale : float
            The 95 % quantile of the largest cross-section of each cluster, in nm².
        DESCR : str
            Description of the data set.

    See Also
    --------
    fetch_bepfm : A measured map with a spectrum at each pixel.

    Notes
    -----
    Radii, gaps between neighbours and directions are uniform in their ranges: 14 to 24 nm, 2 to
    14 nm, and all directions. The third sphere is a neighbour of the second, and at least 2 nm
    away from the first. The centre of a cluster is uniform within 6 nm of the centre of the image.

    A sphere of radius :math:`a` with permittivity
    :math:`\varepsilon = 9 - 8.5^2 / (E^2 + 0.12 \mathrm{i} E)` (:math:`E` in eV; a Drude metal) in
    a medium with :math:`\varepsilon_m = 1.77` has the polarisability [2]_

    .. math::

        \alpha = \left(\frac{1}{\alpha_0} - \frac{2}{3} \mathrm{i} k^3\right)^{-1}, \quad
        \alpha_0 = a^3 \frac{\varepsilon - \varepsilon_m}{\varepsilon + 2 \varepsilon_m},

    where :math:`k = \sqrt{\varepsilon_m} E / \hbar c`. The dipoles of a cluster solve [1]_

    .. math::

        \frac{\mathbf{p}_i}{\alpha} - \sum_{j \neq i} \frac{e^{\mathrm{i} k r}}{r} \left[
            k^2 (1 - \mathbf{n} \mathbf{n}^T) + \frac{1 - \mathrm{i} k r}{r^2}
            (3 \mathbf{n} \mathbf{n}^T - 1)
        \right] \mathbf{p}_j = \mathbf{E}_0

    with the distance :math:`r` and the direction :math:`\mathbf{n}` from sphere j to i, and the
    cross-section is :math:`4 \pi k \sum_i \mathrm{Im}\, \mathbf{E}_0 \cdot \mathbf{p}_i`, averaged
    over two polarisations :math:`\mathbf{E}_0` of length 1 in the plane of the spheres. Light that
    meets the plane at a right angle has the same phase at each sphere.

    Arrays are float32, as measured ones mostly are: the noise is far larger than the rounding.

    References
    ----------
    .. [1] B. T. Draine and P. J. Flatau, "Discrete-dipole approximation for scattering
       calculations", J. Opt. Soc. Am. A 11, 1491 (1994). :doi:`10.1364/JOSAA.11.001491`
    .. [2] B. T. Draine, "The discrete-dipole approximation and its application to interstellar
       graphite grains", Astrophys. J. 333, 848 (1988). :doi:`10.1086/166795`

    Examples
    --------
    >>> from sknestedae.datasets import make_nanoparticle_clusters
    >>> clusters = make_nanoparticle_clusters(100, random_state=0)
    >>> clusters.images.shape, clusters.spectra.shape
    ((100, 16, 16), (100, 64))
    >>> sorted(set(clusters.n_particles.tolist()))
    [1, 2, 3]
    """
    rng = check_random_state(random_state)
    n_particles = rng.randint(1, _MOST_PARTICLES + 1, size=n_samples)
    radii = rng.uniform(*_RADIUS, size=n_samples)
    positions = _draw_positions(radii, n_particles, rng)
    images = cluster_images(positions, radii)
    sections = extinction(positions, radii, _ENERGIES)
    scale = float(np.quantile(sections.max(axis=1), _SCALE_QUANTILE))
    spectra = sections / scale
    noisy_images = images + noise * rng.normal(size=images.shape)
    noisy_spectra = spectra + noise * rng.normal(size=spectra.shape)
    return Bunch(
        images=noisy_images.astype(np.float32),
        spectra=noisy_spectra.astype(np.float32),
        n_particles=n_particles,
        energies=_ENERGIES.copy(),
        radii=radii,
        positions=positions,
        noise_free_images=images.astype(np.float32),
        noise_free_spectra=spectra.astype(np.float32),
        pixel_size=_PIXEL_SIZE,
        spectrum_scale=scale,
        DESCR=_DESCR,
    )


def _draw_positions(
    radii: NDArray[np.float64], n_particles: NDArray[np.int_], rng: np.random.RandomState
) -> NDArray[np.float64]:
    """Draw centres of spheres, (n_samples, 3, 2) in nm; NaN where there is no sphere."""
    n_samples = len(radii)
    gaps = rng.uniform(*_GAP, size=(n_samples, 2))
    first, second = (2 * radii[:, None] + gaps).T  # distances between neighbours
    # The law of cosines gives the smallest angle at the second sphere at which the third one
    # stays clear of the first; all larger angles do.
    nearest = 2 * radii + _GAP[0]
    smallest = np.arccos((first**2 + second**2 - nearest**2) / (2 * first * second))
    direction = rng.uniform(0, 2 * np.pi, size=n_samples)
    angle = rng.uniform(smallest, 2 * np.pi - smallest)
    positions = np.zeros((n_samples, _MOST_PARTICLES, 2))
    positions[:, 0] = first[:, None] * _unit_vectors(direction)
    positions[:, 2] = second[:, None] * _unit_vectors(direction + angle)
    # A cluster of two is the first and the second sphere, one of one is the first.
    positions[np.arange(_MOST_PARTICLES) >= n_particles[:, None]] = np.nan
    positions -= np.nanmean(positions, axis=1, keepdims=True)
    distance = _OFF_CENTRE * np.sqrt(rng.uniform(size=n_samples))  # uniform over the disc
    shift = distance[:, None] * _unit_vectors(rng.uniform(0, 2 * np.pi, size=n_samples))
    return positions + shift[:, None]


def _unit_vectors(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the directions of angles (n,) as vectors (n, 2)."""
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def cluster_images(
    positions: NDArray[np.float64], radii: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Draw spheres, anti-aliased: about the share of each pixel that they cover.

    An edge rises over one pixel in proportion to the distance. Spheres that do not overlap thus
    never add up to more than 1.

    Parameters
    ----------
    positions : ndarray of shape (n_samples, n_spheres, 2)
        Centres (down, right) in nm from the centre of the image; NaN where there is no sphere.
    radii : ndarray of shape (n_samples,)
        Radii in nm.

    Returns
    -------
    images : ndarray of shape (n_samples, 16, 16)
    """
    centres = (np.arange(_N_PIXELS) - (_N_PIXELS - 1) / 2) * _PIXEL_SIZE
    images = np.zeros((len(positions), _N_PIXELS, _N_PIXELS))
    for down, right in positions.transpose(1, 2, 0):
        distance = np.hypot(centres[:, None] - down[:, None, None], centres - right[:, None, None])
        covered = np.clip((radii[:, None, None] - distance) / _PIXEL_SIZE + 0.5, 0, 1)
        images += np.nan_to_num(covered)  # no sphere covers nothing
    return images


def extinction(
    positions: NDArray[np.float64], radii: NDArray[np.float64], energies: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute extinction cross-sections of clusters in a plane, for light at a right angle to it.

    Parameters
    ----------
    positions : ndarray of shape (n_samples, n_spheres, 2)
        Centres in the plane, in nm; NaN where there is no sphere.
    radii : ndarray of shape (n_samples,)
        Radii in nm.
    energies : ndarray of shape (n_energies,)
        Photon energies in eV.

    Returns
    -------
    sections : ndarray of shape (n_samples, n_energies)
        Cross-sections in nm², averaged over both polarisations in the plane.
    """
    sections = np.empty((len(positions), len(energies)))
    n_spheres = np.isfinite(positions).all(axis=2).sum(axis=1)
    for n in np.unique(n_spheres):
        rows = np.flatnonzero(n_spheres == n)  # the spheres there are stand first
        for chunk in gen_batches(len(rows), _ROWS_AT_ONCE):
            matrix = dipole_matrix(positions[rows[chunk], :n], radii[rows[chunk]], energies)
            fields = np.tile(np.eye(2), (n, 1))  # (2 n, 2): a column for each polarisation
            dipoles = np.linalg.solve(matrix, fields)  # (chunk, energies, 2 n, 2)
            work = (fields * dipoles.imag).sum(axis=-2).mean(axis=-1)  # of the field
            sections[rows[chunk]] = 4 * np.pi * _wave_numbers(energies) * work
    return sections


def dipole_matrix(
    positions: NDArray[np.float64], radii: NDArray[np.float64], energies: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Return the matrices that turn the dipoles of clusters into the fields that drive them.

    Parameters
    ----------
    positions : ndarray of shape (n_samples, n_spheres, 2)
        Centres in the plane, in nm.
    radii : ndarray of shape (n_samples,)
        Radii in nm.
    energies : ndarray of shape (n_energies,)
        Photon energies in eV.

    Returns
    -------
    matrix : ndarray of shape (n_samples, n_energies, 2 * n_spheres, 2 * n_spheres)
        In nm⁻³. A dipole has its two components in the plane next to each other.
    """
    n_samples, n_spheres, _ = positions.shape
    wave = _wave_numbers(energies)
    inverse = 1 / polarisability(radii, energies)
    matrix = np.zeros((n_samples, len(energies), n_spheres, 2, n_spheres, 2), dtype=complex)
    for i in range(n_spheres):
        matrix[:, :, i, :, i] = inverse[..., None, None] * np.eye(2)
        for j in range(i):
            field = _dipole_field(positions[:, i] - positions[:, j], wave)
            matrix[:, :, i, :, j] = matrix[:, :, j, :, i] = -field  # even in the distance
    return matrix.reshape(n_samples, len(energies), 2 * n_spheres, 2 * n_spheres)


def _dipole_field(
    distance: NDArray[np.float64], wave: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Return fields (n, n_energies, 2, 2) in nm⁻³ of unit dipoles at distances (n, 2) in nm."""
    r = np.hypot(*distance.T)[:, None, None, None]
    k = wave[:, None, None]
    along = (distance[:, :, None] * distance[:, None, :])[:, None] / r**2
    far = k**2 * (np.eye(2) - along)
    near = (1 - 1j * k * r) / r**2 * (3 * along - np.eye(2))
    return np.exp(1j * k * r) / r * (far + near)


def polarisability(
    radii: NDArray[np.float64], energies: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Return the polarisability of spheres in nm³, with the radiative correction.

    Parameters
    ----------
    radii : ndarray of shape (n_samples,)
        Radii in nm.
    energies : ndarray of shape (n_energies,)
        Photon energies in eV.

    Returns
    -------
    polarisability : ndarray of shape (n_samples, n_energies)
    """
    metal = _BOUND_PERMITTIVITY - _PLASMA_ENERGY**2 / (energies**2 + 1j * _DAMPING * energies)
    static = radii[:, None] ** 3 * (metal - _MEDIUM) / (metal + 2 * _MEDIUM)
    inverse: NDArray[np.complex128] = 1 / static - 2j / 3 * _wave_numbers(energies) ** 3
    return 1 / inverse


def _wave_numbers(energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return wave numbers in the medium, in nm⁻¹, of photon energies in eV."""
    return np.sqrt(_MEDIUM) * energies / _HBAR_C
