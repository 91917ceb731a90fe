"""Structures of atoms: salts, molecules, copies that are the same, objects like pymatgen's."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule

from sknestedae.blocks import AtomsBlock

# The smallest network over atoms, with all that a larger one has.
TINY_ATOMS = {"n_units": 8, "n_rounds": 1, "n_heads": 2, "embedding": 4}
SETTINGS = {"n_components": 3, "max_iter": 3, "hidden_layer_sizes": (8,), "random_state": 0}

MOLECULES = ["H2O", "CH4", "NH3", "C2H6", "CO2", "HCN", "CH3OH", "C6H6", "N2O", "C2H4"]


def atoms_block(**settings):
    """Make a block with the smallest network."""
    return AtomsBlock(**{**TINY_ATOMS, **settings})


def salts(n_scales=2):
    """Give rock salts of several sizes, and a target: mean mass and size."""
    crystals, y = [], []
    for i, cation in enumerate(["Li", "Na", "K"]):
        for j, anion in enumerate(["F", "Cl", "Br", "I"]):
            for scale in np.linspace(0.97, 1.03, n_scales):
                size = scale * (4 + 0.5 * i + 0.5 * j)
                crystals.append(bulk(cation + anion, "rocksalt", a=size))
                y.append(crystals[-1].get_masses().mean() + 5 * scale)
    return crystals, np.array(y)


def crooked(n=6, seed=0):
    """Give crystals of four atoms without any symmetry."""
    rng = np.random.default_rng(seed)
    found = []
    for crystal in salts(1)[0][:n]:
        own = crystal.repeat((1, 1, 2))
        own.set_cell(own.cell[:] @ (np.eye(3) + 0.05 * rng.normal(size=(3, 3))), scale_atoms=True)
        own.positions += 0.15 * rng.normal(size=own.positions.shape)
        found.append(own)
    return found


def molecules(n_copies=1, seed=0):
    """Give small molecules, slightly bent, and their numbers of atoms as a target."""
    rng = np.random.default_rng(seed)
    found = [molecule(name) for name in MOLECULES for _ in range(n_copies)]
    for own in found:
        own.positions += 0.03 * rng.normal(size=own.positions.shape)
    return found, np.array([float(len(own)) for own in found])


# -- copies that are the same


def reordered(atoms, seed=1):
    """Give the atoms in another order."""
    return atoms[np.random.default_rng(seed).permutation(len(atoms))]


def shifted(atoms):
    """Give the atoms at another origin, not brought back into the cell."""
    own = atoms.copy()
    own.positions += [1.3, -0.7, 25.1]
    return own


def turned(atoms, seed=2):
    """Give the atoms, and their cell, turned by any angle."""
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    own = atoms.copy()
    own.positions = own.positions @ rotation
    own.cell = own.cell[:] @ rotation
    return own


def doubled(atoms):
    """Give a crystal in a cell twice as large."""
    return atoms.repeat((1, 2, 1))


def with_other_vectors(atoms):
    """Give a crystal with other vectors of the same lattice, and atoms in other cells."""
    own = atoms.copy()
    own.cell = np.array([[1, 1, 0], [0, 1, -1], [0, 0, 1]]) @ atoms.cell[:]
    own.positions = own.positions + (np.arange(len(own)) % 3)[:, None] * own.cell[0]
    return own


def boxed(atoms):
    """Give a molecule in a box that it does not repeat in."""
    own = atoms.copy()
    own.cell = [30.0, 31.0, 32.0]
    return own


SAME = {"order": reordered, "shift": shifted, "rotation": turned}
SAME_CRYSTALS = {**SAME, "doubled cell": doubled, "other vectors": with_other_vectors}
SAME_MOLECULES = {**SAME, "box": boxed}

# -- what pymatgen has


class Sites:
    """What pymatgen's IMolecule and Molecule have; an attribute error where not ordered."""

    def __init__(self, numbers, positions, ordered=True):
        self._numbers, self._positions, self._ordered = numbers, positions, ordered

    @property
    def is_ordered(self):
        return self._ordered

    @property
    def species(self):
        if not self._ordered:
            raise AttributeError("species property only works for ordered sites!")
        return [SimpleNamespace(Z=number, symbol="?") for number in self._numbers]

    @property
    def cart_coords(self):
        return np.array(self._positions)


class Crystal(Sites):
    """What pymatgen's IStructure and Structure have."""

    def __init__(self, numbers, positions, cell, pbc=(True, True, True), ordered=True):
        super().__init__(numbers, positions, ordered)
        self._lattice = SimpleNamespace(matrix=np.array(cell), pbc=pbc)

    @property
    def lattice(self):
        return self._lattice


def as_pymatgen(atoms: Atoms):
    """Give atoms as an object like pymatgen's."""
    if atoms.pbc.any():
        return Crystal(atoms.numbers, atoms.positions, atoms.cell[:], tuple(atoms.pbc))
    return Sites(atoms.numbers, atoms.positions)
