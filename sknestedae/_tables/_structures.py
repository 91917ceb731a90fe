"""Structures of atoms, such as crystals and molecules: finding, reading, checking, converting.

They are read by their attributes, so that neither ase nor pymatgen is needed: objects like
``ase.Atoms`` and pymatgen's ``Structure`` and ``Molecule``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._extras import missing_package
from ._keys import key_of_bytes

if TYPE_CHECKING:
    from ase import Atoms

# The largest atomic number.
LAST_ELEMENT = 118
# Cell vectors of length 1 that span less volume than this are taken as linearly dependent. It is
# far above rounding, and far below any lattice: an angle of .1 degrees gives 2e-3.
_LEAST_VOLUME = 1e-6

# What to do where a word stands in place of a structure.
STRUCTURE_OF_A_WORD = (
    "A formula or the name of a file has no positions: make a structure of it, such as with "
    "ase.io.read('NaCl.cif') or ase.build.bulk('NaCl', 'rocksalt', a=5.64)"
)

# What a class has: ase.Atoms, a pymatgen crystal, a pymatgen molecule.
_OF_ASE = ("numbers", "positions", "cell", "pbc")
_OF_PYMATGEN = ("cart_coords", "species")


class Structure(NamedTuple):
    """Atoms at positions, in a cell or without one.

    Attributes
    ----------
    numbers : ndarray of int64, shape (n_atoms,)
        Atomic numbers, 1 to 118.
    positions : ndarray of float64, shape (n_atoms, 3)
        In Angstrom.
    cell : ndarray of float64, shape (3, 3)
        The vectors of the cell as rows, in Angstrom; zeros in directions without periodicity.
    periodic : ndarray of bool, shape (3,)
        Whether the structure repeats along each vector.
    """

    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    periodic: np.ndarray


def _kind_of(value: Any) -> str | None:
    kind: Any = type(value)  # not a `type`: these are no Hashable to mypy
    return _kind_of_class(kind)


@lru_cache(maxsize=512)
def _kind_of_class(kind: type) -> str | None:
    """Find the package of a class of structures by the attributes of the class.

    Classes are asked rather than objects: a DataFrame may have columns of these names, and a
    class needs to be asked once.
    """
    if issubclass(kind, Structure):
        return "own"
    if all(hasattr(kind, name) for name in _OF_ASE):
        return "ase"
    if all(hasattr(kind, name) for name in _OF_PYMATGEN):
        return "crystal" if hasattr(kind, "lattice") else "molecule"
    return None


def is_structure(value: Any) -> bool:
    """Return whether a value is a structure of atoms: of ase, of pymatgen, or `Structure`."""
    return _kind_of(value) is not None


def is_structure_type(kind: Any) -> bool:
    """Return whether the objects of a class are structures of atoms."""
    return _kind_of_class(kind) is not None


def read_structure(value: Any) -> Structure:
    """Read a structure.

    Parameters
    ----------
    value : ase.Atoms, pymatgen Structure or Molecule, or Structure

    Returns
    -------
    Structure
        With arrays of its own. The vectors of directions without periodicity are zeros: a
        molecule in a box is a molecule.

    Raises
    ------
    TypeError
        If it is none.
    ValueError
        If it has no atoms, positions or a cell with missing or infinite numbers, an atom of no
        element, sites that several elements share, or a cell without a volume. The message
        begins with the fault; the caller puts the place before it.
    """
    kind = _kind_of(value)
    if kind is None:
        raise TypeError(f"{value!r:.60}, which is no structure of atoms")
    if kind in ("own", "ase"):
        numbers, positions, cell = value.numbers, value.positions, value.cell[:]
        periodic = value.periodic if kind == "own" else value.pbc
    else:
        numbers, positions = _numbers_of_sites(value), value.cart_coords
        cell, periodic = np.zeros((3, 3)), False
        if kind == "crystal":
            cell, periodic = value.lattice.matrix, getattr(value.lattice, "pbc", True)
    structure = Structure(
        np.array(numbers, np.int64).reshape(-1),
        np.array(positions, np.float64).reshape(-1, 3),
        np.array(cell, np.float64).reshape(3, 3),
        np.array(np.broadcast_to(np.asarray(periodic, bool), 3)),
    )
    structure.cell[~structure.periodic] = 0.0
    _check(structure)
    return structure


def _numbers_of_sites(value: Any) -> list[int]:
    """Return the atomic numbers of pymatgen's sites, each of which must hold one whole atom."""
    if not getattr(value, "is_ordered", True):
        raise ValueError(
            "a structure whose sites are shared by several elements or partly empty (it is not "
            "ordered); give a structure with one atom at each site"
        )
    return [species.Z for species in value.species]


def _check(structure: Structure) -> None:
    numbers, positions, cell, periodic = structure
    n_atoms = len(numbers)
    if not n_atoms:
        raise ValueError("a structure without atoms")
    name = f"a structure with {n_atoms} atom{'s' if n_atoms > 1 else ''}"
    if len(positions) != n_atoms:
        raise ValueError(f"{name} and {len(positions)} positions")
    if numbers.min() < 1 or numbers.max() > LAST_ELEMENT:
        atom = int(np.flatnonzero((numbers < 1) | (numbers > LAST_ELEMENT))[0])
        raise ValueError(
            f"{name} whose atom {atom}, counted from 0, has the atomic number {numbers[atom]}; "
            f"it must be 1 to {LAST_ELEMENT}"
        )
    _check_finite(positions, f"{name} whose positions hold")
    if periodic.any():
        _check_cell(cell, periodic, name)


def _check_finite(array: np.ndarray, begin: str) -> None:
    if not np.isfinite(array).all():
        raise ValueError(f"{begin} {'NaN' if np.isnan(array).any() else 'infinite numbers'}")


def _check_cell(cell: np.ndarray, periodic: np.ndarray, name: str) -> None:
    """Check that the vectors of periodic directions span a length, an area or a volume."""
    _check_finite(cell, f"{name} whose cell holds")
    vectors = cell[periodic]
    lengths = np.sqrt((vectors**2).sum(axis=1))
    directions = np.flatnonzero(periodic)
    if not lengths.all():
        raise ValueError(
            f"{name} which is periodic along vector {directions[lengths == 0][0]} of its cell, "
            "counted from 0, while this vector is zero; give the cell, or pbc=False"
        )
    vectors = vectors / lengths[:, None]
    if np.linalg.det(vectors @ vectors.T) < _LEAST_VOLUME**2:
        raise ValueError(
            f"{name} whose cell has no volume: the vectors {cell[periodic].tolist()} are "
            "linearly dependent"
        )


def structure_key(structure: Structure) -> int:
    """Return a number of 64 bits that follows from a structure's content.

    The order of atoms and the origin are part of the content.
    """
    numbers, positions, cell, periodic = structure
    parts = [numbers, periodic, positions.ravel(), cell.ravel()]
    content = np.concatenate(parts, dtype=np.float64) + 0.0  # -0.0 becomes 0.0
    return key_of_bytes(content, b"structure")


def to_atoms(structure: Structure, info: dict[str, Any] | None = None) -> Atoms:
    """Return a structure as ``ase.Atoms``.

    Parameters
    ----------
    structure : Structure
    info : dict, optional
        Whatever else is to be said of it, for ``Atoms.info``.
    """
    try:
        from ase import Atoms
    except ImportError as error:
        raise missing_package("A structure as ase.Atoms", "ase", "atoms") from error
    numbers, positions, cell, periodic = structure
    return Atoms(numbers=numbers, positions=positions, cell=cell, pbc=periodic, info=info)
