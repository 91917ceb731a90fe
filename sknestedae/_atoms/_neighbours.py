"""Neighbour lists of atoms within a cutoff, over all periodic images."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from .._tables._structures import Structure

# No two atoms of a compound are as near as this, in Angstrom; H2 has .74.
LEAST_DISTANCE = 0.1
# Up to so many distances are computed at once; of more points a tree finds the near ones.
_MOST_DISTANCES = 100_000
# Below so many atoms without a cell, computing all distances is faster than any list.
_FEW_ATOMS = 64


class Neighbours(NamedTuple):
    """Pairs of an atom and a neighbour of it, by the number of the atom.

    Attributes
    ----------
    source, target : ndarray of int64, shape (n_pairs,)
        The atom, ascending, and the atom that its neighbour is or is an image of.
    vectors : ndarray of float64, shape (n_pairs, 3)
        From the atom to its neighbour, in Angstrom.
    distances : ndarray of float64, shape (n_pairs,)
        Their lengths.
    """

    source: np.ndarray
    target: np.ndarray
    vectors: np.ndarray
    distances: np.ndarray


def neighbours(structure: Structure, cutoff: float, use_vesin: bool | None = None) -> Neighbours:
    """Find the neighbours of each atom.

    Parameters
    ----------
    structure : Structure
    cutoff : float
        In Angstrom.
    use_vesin : bool, optional
        Whether the package vesin finds them, or NumPy and scipy. By default vesin where it is
        installed, but for small molecules. Both give the same pairs, in another order.

    Raises
    ------
    ValueError
        If two atoms are at one place, or a vector of the lattice is shorter than atoms are apart.
    """
    cell = _reduced_cell(structure.cell[structure.periodic])
    positions = structure.positions
    is_small_molecule = not len(cell) and len(positions) <= _FEW_ATOMS
    if use_vesin or (use_vesin is None and not is_small_molecule and _vesin() is not None):
        found = _of_vesin(positions, cell, cutoff)
    elif len(cell):
        found = _of_crystal(positions, cell, cutoff)
    else:
        found = _near(positions, positions, np.arange(len(positions)), cutoff)
    _check_distances(found)
    return found


def _reduced_cell(cell: np.ndarray) -> np.ndarray:
    """Return short vectors of the same lattice, shape (n_periodic, 3).

    Of a skewed cell, far more images would have to be looked at. The vectors are reduced in pairs
    (Lagrange and Gauss), and the longest by both others, until none becomes shorter.
    """
    cell = cell[np.argsort((cell**2).sum(axis=1), kind="stable")]
    while len(cell) > 1:
        others, longest = cell[:-1], cell[-1]
        if len(others) == 2:
            others = _reduced_cell(others)
        steps = np.linalg.lstsq(others.T, longest, rcond=None)[0]
        near = np.array(np.meshgrid(*np.stack([np.floor(steps), np.ceil(steps)], axis=1)))
        candidates = longest - near.reshape(len(others), -1).T @ others
        shortest = candidates[(candidates**2).sum(axis=1).argmin()]
        length, before = (shortest**2).sum(), (longest**2).sum()
        longest = shortest if length < before * (1 - 1e-9) else longest
        cell = np.vstack([others, longest])
        if (longest**2).sum() >= (others[-1] ** 2).sum():
            break
        cell = cell[np.argsort((cell**2).sum(axis=1), kind="stable")]
    if len(cell) and not np.sqrt((cell[0] ** 2).sum()) >= LEAST_DISTANCE:
        raise ValueError(
            f"a structure whose lattice repeats after {np.sqrt((cell[0] ** 2).sum()):.3g} "
            f"Angstrom; atoms must be {LEAST_DISTANCE} Angstrom apart or more"
        )
    return cell


def _full_cell(cell: np.ndarray) -> np.ndarray:
    """Add unit vectors in the directions without periodicity, at right angles to all others."""
    rest = np.linalg.svd(cell)[2][len(cell) :] if len(cell) else np.eye(3)
    return np.vstack([cell, rest])


def _of_crystal(positions: np.ndarray, cell: np.ndarray, cutoff: float) -> Neighbours:
    """Find neighbours in a periodic structure, among the images that can be near."""
    full, n_periodic = _full_cell(cell), len(cell)
    inverse = np.linalg.inv(full)
    fractions = positions @ inverse
    fractions[:, :n_periodic] %= 1.0
    # in each direction, the cutoff as a share of the distance of two faces of the cell
    margins = cutoff * np.sqrt((inverse[:, :n_periodic] ** 2).sum(axis=0))
    ranges = [np.arange(-n, n + 1) for n in np.ceil(margins).astype(int)]
    steps = np.array(np.meshgrid(*ranges, indexing="ij")).reshape(n_periodic, -1).T
    images = fractions[None, :, :n_periodic] + steps[:, None]
    image, atom = np.nonzero(((images >= -margins) & (images <= 1 + margins)).all(axis=2))
    home = fractions @ full
    points = home[atom] + (steps @ cell)[image]
    return _near(home, points, atom, cutoff)


def _near(home: np.ndarray, points: np.ndarray, atoms: np.ndarray, cutoff: float) -> Neighbours:
    """Return the pairs of atoms at home and of points, which are images of atoms, within a cutoff.

    An atom at its own place is no neighbour of itself.
    """
    if len(home) * len(points) <= _MOST_DISTANCES:
        squares = ((home[:, None] - points[None]) ** 2).sum(axis=2)
        source, point = np.nonzero(squares <= cutoff**2)
    else:
        pairs = cKDTree(home).sparse_distance_matrix(
            cKDTree(points), cutoff, output_type="ndarray"
        )
        order = np.lexsort((pairs["j"], pairs["i"]))
        source, point = pairs["i"][order], pairs["j"][order]
    vectors = points[point] - home[source]
    distances = np.sqrt((vectors**2).sum(axis=1))
    target = atoms[point]
    # an image of an atom is at least LEAST_DISTANCE away from it: what is nearer is itself
    is_other = (source != target) | (distances > LEAST_DISTANCE / 2)
    if not is_other.all():
        source, target = source[is_other], target[is_other]
        vectors, distances = vectors[is_other], distances[is_other]
    return Neighbours(source, target, vectors, distances)


@lru_cache(maxsize=1)
def _vesin() -> Any:
    """Return the module vesin, or None where it is not installed; asked once, as it takes time."""
    try:
        import vesin
    except ImportError:
        return None
    return vesin


def _of_vesin(positions: np.ndarray, cell: np.ndarray, cutoff: float) -> Neighbours:
    vesin = _vesin()
    options = {"cutoff": cutoff, "full_list": True}
    try:
        # several threads would give the pairs in an order of chance, and sums that differ
        finder = vesin.NeighborList(**options, n_threads=1)
    except TypeError:  # older versions have but one thread
        finder = vesin.NeighborList(**options)
    source, target, vectors = finder.compute(
        points=positions,
        box=_full_cell(cell),
        periodic=np.arange(3) < len(cell),
        quantities="ijD",
    )
    order = np.argsort(source, kind="stable")
    vectors = vectors[order]
    return Neighbours(
        source[order].astype(np.int64),
        target[order].astype(np.int64),
        vectors,
        np.sqrt((vectors**2).sum(axis=1)),
    )


def _check_distances(found: Neighbours) -> None:
    distances = found.distances
    if not len(distances):
        return
    nearest = int(distances.argmin())
    if distances[nearest] >= LEAST_DISTANCE:
        return
    atoms = sorted((int(found.source[nearest]), int(found.target[nearest])))
    raise ValueError(
        f"a structure whose atoms {atoms[0]} and {atoms[1]}, counted from 0, are at one place: "
        f"{distances[nearest]:.3g} Angstrom apart, which must be {LEAST_DISTANCE} or more"
    )
