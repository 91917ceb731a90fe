"""Structures of atoms: found, read, checked, given back."""

import builtins
from collections import namedtuple

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from cases.structures import Crystal, Sites
from numpy.testing import assert_array_equal

from sknestedae._tables._structures import (
    Structure,
    is_structure,
    read_structure,
    structure_key,
    to_atoms,
)

CELL = np.array([[3.0, 0.1, 0.0], [0.0, 3.5, 0.2], [0.3, 0.0, 4.0]])
POSITIONS = np.array([[0.0, 0.0, 0.0], [1.4, 1.5, 1.6]])


def atoms(numbers=(11, 17), positions=POSITIONS, cell=CELL, pbc=True):
    return Atoms(numbers=numbers, positions=positions, cell=cell, pbc=pbc)


def assert_equal_structures(one, two):
    for a, b in zip(one, two, strict=True):
        assert_array_equal(a, b)
        assert a.dtype == b.dtype


STRUCTURES = [
    atoms(),
    molecule("H2O"),
    Crystal([11, 17], POSITIONS, CELL),
    Sites([11, 17], POSITIONS),
    read_structure(atoms()),
]
NAMES = ["numbers", "positions", "cell", "pbc"]


@pytest.mark.parametrize("value", STRUCTURES, ids=lambda value: type(value).__name__)
def test_a_structure_is_found(value):
    assert is_structure(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        1.5,
        "NaCl",
        np.nan,
        pd.NA,
        (1, 2),
        [atoms()],
        np.zeros((2, 3)),
        np.array([atoms()], dtype=object),
        dict.fromkeys(NAMES, 0),
        pd.DataFrame([[0] * 4], columns=NAMES),
        pd.Series([0] * 4, index=NAMES),
        pd.DataFrame([[0] * 2], columns=["cart_coords", "species"]),
        Atoms,
        namedtuple("Pair", "a b")(1, 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_values_are_no_structures(value):
    assert not is_structure(value)
    with pytest.raises(TypeError, match="which is no structure of atoms"):
        read_structure(value)


def test_ase_and_pymatgen_say_the_same():
    structure = read_structure(atoms())
    assert_equal_structures(structure, read_structure(Crystal([11, 17], POSITIONS, CELL)))
    assert_equal_structures(structure, read_structure(structure))
    assert_array_equal(structure.numbers, [11, 17])
    assert_array_equal(structure.positions, POSITIONS)
    assert_array_equal(structure.cell, CELL)
    free = read_structure(atoms(cell=None, pbc=False))
    assert_equal_structures(free, read_structure(Sites([11, 17], POSITIONS)))


def test_a_lattice_without_pbc_is_periodic():
    crystal = Crystal([11, 17], POSITIONS, CELL)
    del crystal.lattice.pbc
    assert read_structure(crystal).periodic.all()


def test_arrays_are_copies():
    value = atoms()
    structure = read_structure(value)
    value.positions[:] = 7.0
    value.numbers[:] = 1
    value.cell[:] = 0.0
    assert_equal_structures(structure, read_structure(atoms()))
    again = read_structure(structure)
    assert not any(np.shares_memory(a, b) for a, b in zip(structure, again, strict=True))


def test_the_box_of_a_molecule_is_dropped():
    boxed = read_structure(atoms(pbc=False))
    assert_equal_structures(boxed, read_structure(atoms(cell=None, pbc=False)))
    assert not boxed.cell.any()


@pytest.mark.parametrize("pbc", [(True, True, False), (False, True, False)])
def test_vectors_without_periodicity_are_dropped(pbc):
    wrong = CELL.copy()
    wrong[~np.array(pbc)] = np.nan
    slab = read_structure(atoms(cell=np.nan_to_num(wrong), pbc=pbc))
    assert_equal_structures(slab, read_structure(Crystal([11, 17], POSITIONS, wrong, pbc)))
    assert_array_equal(slab.cell[list(pbc)], CELL[list(pbc)])
    assert_array_equal(slab.periodic, pbc)


FLAT = [[1.0, 0, 0], [0, 1, 0], [1, 1, 0]]
NOWHERE = [[0.0, 0, 0], [np.nan, 0, 0]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Atoms(), r"^a structure without atoms$"),
        (atoms(positions=NOWHERE), r"^a structure with 2 atoms whose positions hold NaN$"),
        (Atoms("H", [[np.inf, 0, 0]]), r"^a structure with 1 atom whose positions hold infinite"),
        (Atoms("HX", POSITIONS), r"whose atom 1, .* has the atomic number 0; it must be 1 to 118"),
        (Sites([119], [[0, 0, 0]]), r"whose atom 0, .* the atomic number 119; it must be 1 to 11"),
        (Crystal([1, 1], POSITIONS, CELL, ordered=False), r"^a structure whose sites .* ordered"),
        (atoms(cell=None), r"periodic along vector 0 of its cell, .* is zero; give the cell, or"),
        (atoms(cell=[1, 0, 1]), r"periodic along vector 1 of its cell"),
        (atoms(cell=FLAT), r"whose cell has no volume: .*\[1.0, 1.0, 0.0\]\] are linearly dep"),
        (atoms(cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]], pbc=(1, 1, 0)), r"are linearly dependent"),
        (atoms(cell=[1, np.nan, 1]), r"^a structure with 2 atoms whose cell holds NaN"),
        (Structure(np.ones(3), POSITIONS, CELL, np.ones(3, bool)), r"3 atoms and 2 positions$"),
    ],
)
def test_errors(value, message):
    with pytest.raises(ValueError, match=message):
        read_structure(value)


def test_a_very_skewed_cell_is_read():
    """Its volume is small, but far above rounding."""
    skewed = [[3.0, 0, 0], [3000.0, 3, 0], [0, 3000, 3.0]]
    assert_array_equal(read_structure(atoms(cell=skewed)).cell, skewed)


def test_keys_follow_from_content():
    structure = read_structure(atoms())
    key = structure_key(structure)
    assert 0 <= key < 2**64
    assert key == structure_key(read_structure(Crystal([11, 17], POSITIONS, CELL)))
    assert key == structure_key(structure._replace(positions=structure.positions * 1.0))
    others = [
        atoms(numbers=[11, 9]),
        atoms(positions=POSITIONS + 1e-9),
        atoms(cell=CELL * (1 + 1e-9)),
        atoms(pbc=(1, 1, 0)),
        atoms(pbc=False),
        atoms()[::-1],
    ]
    assert len({key, *(structure_key(read_structure(other)) for other in others)}) == 7


def test_minus_zero_is_zero():
    negative = POSITIONS.copy()
    negative[0] = -0.0
    assert np.signbit(negative[0]).all()
    keys = {structure_key(read_structure(atoms(positions=p))) for p in (POSITIONS, negative)}
    assert len(keys) == 1


@pytest.mark.parametrize("value", [bulk("NaCl", "rocksalt", a=5.6), molecule("CH4")])
def test_atoms_come_back(value):
    structure = read_structure(value)
    given = to_atoms(structure, {"mismatch": 0.5})
    assert isinstance(given, Atoms)
    assert given.info == {"mismatch": 0.5}
    assert_equal_structures(read_structure(given), structure)
    assert to_atoms(structure).info == {}
    given.positions += 1.0
    assert_equal_structures(read_structure(value), structure)


def test_without_ase_it_says_what_to_install(monkeypatch):
    load = builtins.__import__

    def without_ase(name, *args, **kwargs):
        if name.split(".")[0] == "ase":
            raise ImportError(name)
        return load(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_ase)
    with pytest.raises(ImportError, match=r"'ase'.*pip install '\.\[atoms\]'"):
        to_atoms(read_structure(atoms()))
