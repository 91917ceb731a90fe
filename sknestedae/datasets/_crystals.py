"""Simulated crystals: prototypes of ions, with a density of states by a formula."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import ndtr
from sklearn.utils import Bunch, check_random_state

from .._compat import Interval, validate_params
from ._base import check_ase

if TYPE_CHECKING:
    from ase import Atoms

# Radii of ions in Angstrom, by their charge: Shannon, Acta Crystallogr. A 32, 751 (1976), with six
# neighbours, doi:10.1107/S0567739476001551.
_CATIONS = {
    1: {"Li": 0.76, "Na": 1.02, "K": 1.38, "Rb": 1.52, "Cs": 1.67},
    2: {"Mg": 0.72, "Ca": 1.00, "Sr": 1.18, "Ba": 1.35, "Zn": 0.74, "Cd": 0.95},
    4: {"Ti": 0.605, "Zr": 0.72, "Hf": 0.71, "Sn": 0.69},
}
_ANIONS = {
    1: {"F": 1.33, "Cl": 1.81, "Br": 1.96, "I": 2.20},
    2: {"O": 1.40, "S": 1.84, "Se": 1.98, "Te": 2.21},
}
_COULOMB = 14.399645  # e^2 / (4 pi eps0), in eV Angstrom
_WAVE_NUMBER = 521.4709  # cm^-1 of sqrt(1 eV / Angstrom^2 / u)
_STRAIN = 0.04  # largest relative change of the lattice constant
_BINS = np.linspace(0.0, 600.0, 21)  # cm^-1
_WIDTH = 25.0  # standard deviation of a peak, in cm^-1

_FACE_CENTRED = np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])
_CUBE = np.eye(3)


@dataclass(frozen=True)
class _Prototype:
    """A crystal structure of ions, with lengths in units of the lattice constant.

    Parameters
    ----------
    charges : tuple of tuple of int
        Charges that its ions may have: cations, then the anion, without signs.
    cell : ndarray of shape (3, 3)
        Primitive vectors, in rows.
    sites : tuple of int
        For each atom of the cell, which of the ions it is.
    places : tuple of (float, float, float)
        Of the atoms, in Cartesian coordinates.
    bonds : tuple of (int, int, int, float)
        For each kind of bond to the anion: the cation, the number of anions around it, the number
        of such cations around an anion, and the distance.
    """

    charges: tuple[tuple[int, ...], ...]
    cell: np.ndarray
    sites: tuple[int, ...]
    places: tuple[tuple[float, float, float], ...]
    bonds: tuple[tuple[int, int, int, float], ...]


_OF_TWO = ((1, 1), (2, 2))
_QUARTER, _HALF = 3**0.5 / 4, 3**0.5 / 2  # of the diagonal of a cube
_PROTOTYPES = {
    "rocksalt": _Prototype(
        _OF_TWO, _FACE_CENTRED, (0, 1), ((0, 0, 0), (0.5, 0.5, 0.5)), ((0, 6, 6, 0.5),)
    ),
    "caesium chloride": _Prototype(
        _OF_TWO, _CUBE, (0, 1), ((0, 0, 0), (0.5, 0.5, 0.5)), ((0, 8, 8, _HALF),)
    ),
    "zinc blende": _Prototype(
        _OF_TWO, _FACE_CENTRED, (0, 1), ((0, 0, 0), (0.25, 0.25, 0.25)), ((0, 4, 4, _QUARTER),)
    ),
    "fluorite": _Prototype(
        ((2, 1), (4, 2)),
        _FACE_CENTRED,
        (0, 1, 1),
        ((0, 0, 0), (0.25, 0.25, 0.25), (0.75, 0.75, 0.75)),
        ((0, 8, 4, _QUARTER),),
    ),
    "perovskite": _Prototype(
        ((1, 2, 1), (2, 4, 2)),
        _CUBE,
        (0, 1, 2, 2, 2),
        ((0, 0, 0), (0.5, 0.5, 0.5), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)),
        ((0, 12, 4, 0.5**0.5), (1, 6, 2, 0.5)),
    ),
}

_DESCR = """\
Simulated crystals
------------------

:Samples: as many as asked for
:Structures: rocksalt, caesium chloride, zinc blende, fluorite and perovskite, of ions; 2 to 5
    atoms in the primitive cell
:Target: density of states of vibrations in 20 bins, 0 to 600 cm^-1, which add up to 1
:Missing values: none

The lattice constant is that at which the closest ions touch, by the radii of Shannon, strained by
up to 4 % in both directions. A bond of two ions at the distance d is a spring with the constant
k = z z' e^2 / (4 pi eps0 d^3), with charges z and z'. Each atom swings alone, as in Einstein's
model: with the wave number of sqrt(K / m), where K is a third of the sum of k over its bonds, and
m its mass. It has a peak there, with a standard deviation of 25 cm^-1; the density of states is
the mean over the atoms.

What to know before using them:

* The noise-free target is exactly a mean of spectra of single atoms, which are in `atom_spectra`.
* Real crystals have modes in which atoms move together, and other springs. Not all of these
  compositions exist, nor in this structure. The data are for methods, not for materials.
* Noise multiplies each bin by a number of its own, so that nothing is below 0.
"""


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "prototypes": ["array-like", None],
        "noise": [Interval(Real, 0, None, closed="left")],
        "return_X_y": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_crystals(
    n_samples: int = 200,
    *,
    prototypes: Sequence[str] | None = None,
    noise: float = 0.05,
    return_X_y: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch | tuple[pd.DataFrame, np.ndarray]:
    r"""Make crystals of ions with densities of states by a formula.

    Masses, charges and distances of the atoms determine the target, and the part of each atom in
    it is known. No download is needed.

    Parameters
    ----------
    n_samples : int, default=200
        Number of crystals.
    prototypes : list of str, default=None
        Crystal structures to draw from: "rocksalt", "caesium chloride", "zinc blende", "fluorite"
        and "perovskite". None: all.
    noise : float, default=0.05
        Standard deviation of the logarithm of the number that each bin is multiplied by.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    random_state : int, RandomState instance or None, default=None
        Determines crystals and noise. Pass an int for the same crystals in every call; they are
        then the same at every level of noise.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : DataFrame of shape (n_samples, 1)
            Column `structure`, whose cells are ``ase.Atoms``: primitive cells in Å.
        target : ndarray of shape (n_samples, 20)
            Share of the vibrations in each bin, with noise.
        frequencies : ndarray of shape (20,)
            Middles of the bins, in cm⁻¹.
        noise_free_target : ndarray of shape (n_samples, 20)
            The target without noise; each row adds up to 1.
        atom_spectra : list of n_samples ndarray of shape (n_atoms, 20)
            Of each atom; their mean is the noise-free target.
        mean_frequency : ndarray of shape (n_samples,)
            Mean wave number of the atoms' vibrations, in cm⁻¹.
        prototype : ndarray of shape (n_samples,)
            Name of the crystal structure.
        formula : ndarray of shape (n_samples,)
            Such as ``"SrTiO3"``, for the groups of a split.
        DESCR : str
            Description of the data set.

    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    ImportError
        If ase is not installed.

    See Also
    --------
    fetch_phonon_dos : Crystals with computed phonon densities of states.

    Notes
    -----
    Ions touch by the radii of [1]_. A bond of the ions :math:`a` and :math:`b` is a spring
    :math:`k_{ab} = z_a z_b e^2 / (4 \pi \varepsilon_0 d_{ab}^3)`, the curvature of the attraction
    of their charges up to a factor. An atom of the mass :math:`m_a` swings with
    :math:`\omega_a^2 = \sum_b k_{ab} / (3 m_a)`, as in the model of Einstein [2]_. The attribute
    `DESCR` says more.

    References
    ----------
    .. [1] R. D. Shannon, "Revised effective ionic radii and systematic studies of interatomic
       distances in halides and chalcogenides", Acta Crystallogr. A 32, 751 (1976).
       :doi:`10.1107/S0567739476001551`
    .. [2] A. Einstein, "Die Plancksche Theorie der Strahlung und die Theorie der spezifischen
       Wärme", Ann. Phys. 327, 180 (1907). :doi:`10.1002/andp.19063270110`

    Examples
    --------
    >>> from sknestedae.datasets import make_crystals
    >>> crystals = make_crystals(100, random_state=0)
    >>> crystals.data.shape, crystals.target.shape
    ((100, 1), (100, 20))
    >>> crystals.data.loc[0, "structure"].symbols.formula.format("metal") == crystals.formula[0]
    True
    """
    check_ase("make_crystals")
    names = _check_prototypes(prototypes)
    generator = check_random_state(random_state)
    candidates = {name: list(_compositions(_PROTOTYPES[name])) for name in names}
    structures, spectra, means, formulas, chosen = [], [], [], [], []
    for _ in range(n_samples):
        name = names[generator.randint(len(names))]
        ions = candidates[name][generator.randint(len(candidates[name]))]
        strain = generator.uniform(-_STRAIN, _STRAIN)
        atoms, lattice_constant = _build(_PROTOTYPES[name], ions, strain)
        frequencies = _frequencies(_PROTOTYPES[name], ions, lattice_constant, atoms)
        structures.append(atoms)
        spectra.append(_peaks(frequencies))
        means.append(frequencies.mean())
        formulas.append(atoms.symbols.formula.format("metal"))
        chosen.append(name)
    noise_free = np.array([own.mean(axis=0) for own in spectra])
    # drawn in any case, so that crystals of a generator that goes on do not depend on the noise
    factor = np.exp(noise * generator.standard_normal(noise_free.shape))
    target = noise_free * factor
    data = pd.DataFrame({"structure": pd.Series(structures, dtype=object)})
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        frequencies=(_BINS[1:] + _BINS[:-1]) / 2,
        noise_free_target=noise_free,
        atom_spectra=spectra,
        mean_frequency=np.array(means),
        prototype=np.array(chosen),
        formula=np.array(formulas),
        DESCR=_DESCR,
    )


def _check_prototypes(prototypes: Any) -> list[str]:
    """Return the names of the structures to draw from."""
    names = list(_PROTOTYPES) if prototypes is None else list(prototypes)
    unknown = [name for name in names if name not in _PROTOTYPES]
    if isinstance(prototypes, str) or unknown or not names:
        raise ValueError(
            f"The 'prototypes' parameter of make_crystals must be a list of {list(_PROTOTYPES)}, "
            f"got {prototypes!r}."
        )
    return names


def _compositions(prototype: _Prototype) -> Iterator[tuple[tuple[str, int, float], ...]]:
    """Yield the possible ions of a structure, each with symbol, charge and radius.

    The first cation of a perovskite is the larger one.
    """
    for charges in prototype.charges:
        tables = [*(_CATIONS[z] for z in charges[:-1]), _ANIONS[charges[-1]]]
        for symbols in product(*tables):
            radii = [table[symbol] for table, symbol in zip(tables, symbols, strict=True)]
            if len(radii) < 3 or radii[0] > radii[1]:
                yield tuple(zip(symbols, charges, radii, strict=True))


def _build(
    prototype: _Prototype, ions: Sequence[tuple[str, int, float]], strain: float
) -> tuple[Atoms, float]:
    """Build a primitive cell; return the lattice constant as well, in Angstrom."""
    from ase import Atoms

    anion_radius = ions[-1][2]
    # the smallest constant at which no ions overlap
    constant = max((ions[i][2] + anion_radius) / length for i, _, _, length in prototype.bonds)
    constant *= 1 + strain
    atoms = Atoms(
        symbols=[ions[i][0] for i in prototype.sites],
        positions=constant * np.array(prototype.places, dtype=float),
        cell=constant * prototype.cell,
        pbc=True,
    )
    return atoms, constant


def _frequencies(
    prototype: _Prototype,
    ions: Sequence[tuple[str, int, float]],
    lattice_constant: float,
    atoms: Atoms,
) -> np.ndarray:
    """Return the wave number of each atom's vibration alone, in cm^-1, of shape (n_atoms,)."""
    stiffness = np.zeros(len(ions))  # of each ion, in eV / Angstrom^2
    for cation, n_anions, n_cations, length in prototype.bonds:
        charges = ions[cation][1] * ions[-1][1]
        spring = _COULOMB * charges / (length * lattice_constant) ** 3
        stiffness[cation] += n_anions * spring / 3
        stiffness[-1] += n_cations * spring / 3
    ratio = stiffness[list(prototype.sites)] / atoms.get_masses()
    return _WAVE_NUMBER * np.sqrt(ratio)


def _peaks(frequencies: np.ndarray) -> np.ndarray:
    """Return the part of a normal peak at each frequency in each bin, (n_atoms, n_bins)."""
    edges = np.concatenate([[-np.inf], _BINS[1:-1], [np.inf]])  # the ends take what lies outside
    return np.diff(ndtr((edges - frequencies[:, None]) / _WIDTH), axis=1)
