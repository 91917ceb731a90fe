"""The neighbours of atoms, by two ways, against ase."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.neighborlist import neighbor_list
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae._atoms import _neighbours
from sknestedae._atoms._neighbours import neighbours
from sknestedae._tables._structures import read_structure

BOTH = pytest.mark.parametrize("use_vesin", [True, False])


def random_crystal(seed, n_atoms=4, pbc=True, skew=1.0):
    """Atoms on a jittered grid, so that none are at one place, in a random cell."""
    rng = np.random.default_rng(seed)
    cell = 4.0 * np.eye(3) + rng.uniform(-1, 1, (3, 3))
    cell[2] += skew * cell[0] - skew * cell[1]
    sites = np.array([[i, j, k] for i in (0, 0.5) for j in (0, 0.5) for k in (0, 0.5)])
    fractions = rng.permutation(sites)[:n_atoms] + rng.uniform(0, 0.1, (n_atoms, 3))
    fractions += rng.integers(-2, 3, (n_atoms, 3))  # also outside of the cell
    return Atoms(rng.integers(1, 80, n_atoms), cell=cell, scaled_positions=fractions, pbc=pbc)


CASES = {
    "molecule": (molecule("C6H6"), 3.0),
    "larger molecule": (molecule("C60"), 4.0),
    "lone atom": (Atoms("He"), 5.0),
    "one atom in a cell": (bulk("Cu"), 6.0),
    "tiny cell": (Atoms("H", cell=[[0.9, 0, 0], [0.4, 0.8, 0], [0.3, 0.2, 0.9]], pbc=True), 4.0),
    "rock salt": (bulk("NaCl", "rocksalt", a=5.6), 5.0),
    "slab": (fcc111("Al", (2, 2, 3), vacuum=8.0), 5.0),
    "wire": (random_crystal(5, pbc=(False, True, False)), 7.0),
    "skewed slab": (random_crystal(6, pbc=(True, False, True), skew=3.0), 6.0),
    **{f"random {seed}": (random_crystal(seed), 5.0) for seed in range(3)},
    "skewed": (random_crystal(3, skew=6.0), 5.0),
    "many atoms": (bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (3, 3, 3), 6.0),
    "beyond the cutoff": (Atoms("HeHe", [[0, 0, 0], [0, 0, 9.0]]), 5.0),
}


def as_rows(source, target, vectors):
    """Give pairs in an order that does not depend on who found them."""
    rows = np.column_stack([source, target, np.round(vectors, 6) + 0.0])
    return rows[np.lexsort(rows.T[::-1])]


@BOTH
@pytest.mark.parametrize("name", CASES)
def test_the_pairs_are_those_of_ase(name, use_vesin):
    atoms, cutoff = CASES[name]
    found = neighbours(read_structure(atoms), cutoff, use_vesin)
    expected = neighbor_list("ijD", atoms, cutoff)
    assert found.source.dtype == found.target.dtype == np.int64
    assert_allclose(as_rows(*found[:3]), as_rows(*expected), atol=3e-6)
    assert_allclose(found.distances, np.linalg.norm(found.vectors, axis=1), rtol=1e-12)
    assert (np.diff(found.source) >= 0).all()


def test_some_cases_need_many_images():
    atoms, cutoff = CASES["tiny cell"]
    assert len(neighbours(read_structure(atoms), cutoff).source) > 300


@BOTH
def test_a_lattice_has_many_cells(use_vesin):
    """A cell with vectors a thousand times as long spans the same lattice."""
    skewed = [[3.0, 0, 0], [3000.0, 3, 0], [0, 3000, 3.0]]
    plain, found = (
        neighbours(read_structure(Atoms("Cu", cell=cell, pbc=True)), 6.0, use_vesin)
        for cell in (3 * np.eye(3), skewed)
    )
    assert_allclose(as_rows(*found[:3]), as_rows(*plain[:3]), atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_a_reduced_cell_is_of_the_same_lattice(seed):
    rng = np.random.default_rng(seed)
    cell = rng.normal(size=(3, 3)) + np.eye(3)
    mixed = cell @ np.eye(3)
    for _ in range(6):
        i, j = rng.permutation(3)[:2]
        mixed[i] += rng.integers(-3, 4) * mixed[j]
    reduced = _neighbours._reduced_cell(mixed)
    steps = reduced @ np.linalg.inv(cell)
    assert_allclose(steps, np.round(steps), atol=1e-8)
    assert abs(np.linalg.det(np.round(steps))) == pytest.approx(1)
    # shortest vectors: none of the combinations of two cells around is shorter than the first
    around = np.array(np.meshgrid(*[np.arange(-2, 3)] * 3)).reshape(3, -1).T
    lengths = np.linalg.norm(around[around.any(axis=1)] @ reduced, axis=1)
    assert np.linalg.norm(reduced, axis=1).min() <= lengths.min() * (1 + 1e-9)


@BOTH
@pytest.mark.parametrize("pbc", [False, True])
def test_two_atoms_at_one_place(use_vesin, pbc):
    atoms = Atoms("OHH", [[0, 0, 0], [0, 0, 1], [0.01, 0, 8.02]], cell=[7, 7, 7], pbc=pbc)
    if not pbc:
        atoms.positions[2, 2] = 1.02
    atoms = atoms[[0, 2, 1]]
    message = r"atoms \d and \d, counted from 0, are at one place: 0.02\d+ Angstrom"
    with pytest.raises(ValueError, match=message):
        neighbours(read_structure(atoms), 5.0, use_vesin)


@BOTH
def test_the_two_atoms_are_named(use_vesin):
    atoms = Atoms("HHH", [[0, 0, 0], [0, 0, 3], [0, 0, 3]])
    with pytest.raises(ValueError, match="atoms 1 and 2,"):
        neighbours(read_structure(atoms), 5.0, use_vesin)


@BOTH
def test_a_lattice_that_repeats_too_soon(use_vesin):
    atoms = Atoms("H", cell=[0.01, 3, 3], pbc=True)
    with pytest.raises(ValueError, match=r"repeats after 0.01 Angstrom; .* 0.1 Angstrom apart"):
        neighbours(read_structure(atoms), 5.0, use_vesin)


def test_without_vesin_numpy_finds_them(monkeypatch):
    atoms, cutoff = CASES["rock salt"]
    structure = read_structure(atoms)
    monkeypatch.setattr(_neighbours, "_vesin", lambda: None)
    found = neighbours(structure, cutoff)
    for one, two in zip(found, neighbours(structure, cutoff, False), strict=True):
        assert_array_equal(one, two)


def test_ten_thousand_atoms():
    atoms = bulk("Cu", cubic=True) * (14, 14, 14)
    atoms.rattle(0.05, seed=0)
    counts = [
        np.bincount(neighbours(read_structure(atoms), 3.2, use_vesin).source)
        for use_vesin in (True, False)
    ]
    assert len(atoms) > 10_000
    assert_array_equal(*counts)
    assert_array_equal(counts[0], 12)
