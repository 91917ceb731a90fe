"""The surroundings of atoms: densities of neighbours, invariant to rotation, shift and order.

Around an atom, each neighbour at distance d adds, to each radial function, a Gaussian of d times a
smooth cutoff over d. Channels weight the neighbours by their element. The angular power spectrum
adds products of real spherical harmonics; their sum over m makes it free of rotations: with the
norm used here, the harmonics of degree l of two unit vectors multiply to the Legendre polynomial
of the cosine between them (the addition theorem).

Atoms of one element with equal surroundings are one class with a share. So a structure, and a cell
of it that is twice as large, give the same.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from .._tables._keys import key_of_bytes
from .._tables._structures import LAST_ELEMENT, Structure, structure_key
from ._elements import (
    ELECTRONEGATIVITY,
    LAST_IN_TABLE,
    RADIUS,
    VALENCE,
    WEIGHT,
    element_properties,
    element_values,
    symbol_of,
)
from ._neighbours import Neighbours, neighbours

NEAREST_GAUSSIAN = 0.5  # Angstrom; nothing is nearer, but in broken structures
_MOST_ANGULAR = 4
# Atoms count as equal where moving atoms by this much, in Angstrom, explains their difference. It
# is above the rounding of positions in files, and far below what a property depends on.
_RESOLUTION = 1e-4
# Structures are described together until they have so many pairs: NumPy's time for a call is
# shared, and the arrays stay in the processor's cache.
_PAIRS_AT_ONCE = 8192
# Of a structure with more pairs, values of pairs are made and summed in parts.
_PAIRS_IN_MEMORY = 65_536
# A pass over structures whose surroundings take so many times the memory for them keeps none: the
# next one would find less than a quarter.
_LARGEST_PASS = 4
# What is kept apart for a while has the memory divided by this.
_SHARE_ASIDE = 2


@dataclass(frozen=True)
class Geometry:
    """The settings of the densities around an atom: cutoffs, radial functions, degrees.

    Parameters
    ----------
    cutoff : float
        Distance up to which atoms are neighbours, in Angstrom.
    n_radial : int
        Number of Gaussians of the distance, with centres from .5 Angstrom to the cutoff, and with
        the distance of two centres as standard deviation.
    n_angular : int
        Largest degree of the angular power spectrum, up to 4; 0 leaves it out.
    angular_cutoff : float
        Of the power spectrum, in Angstrom.
    n_angular_radial : int
        Number of Gaussians of the power spectrum.
    message_cutoff : float
        Distance up to which pairs are kept as edges, in Angstrom; 0 keeps none.
    """

    cutoff: float = 7.0
    n_radial: int = 28
    n_angular: int = 0
    angular_cutoff: float = 4.5
    n_angular_radial: int = 5
    message_cutoff: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.n_angular <= _MOST_ANGULAR:
            raise ValueError(f"n_angular must be 0 to {_MOST_ANGULAR}, got {self.n_angular}.")

    @property
    def reach(self) -> float:
        """The largest of the cutoffs."""
        angular = self.angular_cutoff if self.n_angular else 0.0
        return max(self.cutoff, angular, self.message_cutoff)

    @property
    def distances(self) -> np.ndarray:
        """The centres of the Gaussians of the distance, in Angstrom, of shape (n_radial,)."""
        return _centres(self.cutoff, self.n_radial)[0]

    def n_features(self, n_channels: int) -> int:
        """Return the number of densities of an atom."""
        n_products = n_channels * self.n_angular_radial
        n_pairs = n_products * (n_products + 1) // 2
        return n_channels * self.n_radial + self.n_angular * n_pairs


class Channels:
    """Weights of neighbours by their element.

    Parameters
    ----------
    weights : ndarray of shape (119, n_channels)
        Of each atomic number; the row of number 0 is not used.

    Attributes
    ----------
    weights : ndarray of float64, shape (119, n_channels)
    key : int
        A number that follows from the weights.
    """

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = np.array(weights, np.float64, order="C")
        self.weights.setflags(write=False)
        self.key = key_of_bytes(self.weights, str(self.weights.shape).encode())

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return self.weights.shape[1]

    def __hash__(self) -> int:
        return self.key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Channels) and np.array_equal(self.weights, other.weights)

    @classmethod
    def of_properties(cls) -> Channels:
        """Return channels of properties: 1, weight, radius, electronegativity, valence.

        Each has the mean 1 over the elements of the table.
        """
        values = element_values(np.arange(1, LAST_ELEMENT + 1))
        chosen = values[:, [WEIGHT, RADIUS, ELECTRONEGATIVITY, VALENCE]]
        chosen[:, 0] = np.exp(chosen[:, 0])
        chosen /= chosen[:LAST_IN_TABLE].mean(axis=0)
        return cls(np.vstack([np.zeros(5), np.column_stack([np.ones(len(chosen)), chosen])]))

    @classmethod
    def of_elements(cls, numbers: Sequence[int] | np.ndarray) -> Channels:
        """Return one channel for each of some elements, in ascending order.

        An element that is not among them is shared out over them: the softmax of minus the
        squared distance of its properties to theirs.
        """
        chosen = np.unique(np.asarray(numbers, np.int64))
        if not len(chosen):
            raise ValueError("Channels of elements need one element or more.")
        everything = np.arange(1, LAST_ELEMENT + 1)
        table, own = element_properties(everything), element_properties(chosen)
        squares = ((table[:, None] - own[None]) ** 2).sum(axis=2)
        shares = np.exp(squares.min(axis=1, keepdims=True) - squares)
        shares /= shares.sum(axis=1, keepdims=True)
        shares[chosen - 1] = np.eye(len(chosen))
        return cls(np.vstack([np.zeros(len(chosen)), shares]))


class Edges(NamedTuple):
    """Pairs of classes of atoms that are near, those of equal distance as one.

    A pair of two classes is there once, as each sees the other as often as it is seen.

    Attributes
    ----------
    source, target : ndarray of int32, shape (n_edges,)
        The class that is looked from, ascending, and the one that is seen, which is the same or a
        later one.
    distances : ndarray of float32, shape (n_edges,)
        In Angstrom.
    numbers : ndarray of int32, shape (n_edges,)
        Of pairs of atoms, from one class to the other; within a class, of both directions.
        Divided by the atoms of a class, it is the mean number of such neighbours of one.
    """

    source: np.ndarray
    target: np.ndarray
    distances: np.ndarray
    numbers: np.ndarray


class Surroundings(NamedTuple):
    """A structure as the set of its classes of equal atoms.

    Attributes
    ----------
    numbers : ndarray of int64, shape (n_classes,)
        Atomic numbers, ascending.
    shares : ndarray of float64, shape (n_classes,)
        Of all atoms; their sum is 1.
    classes : ndarray of int64, shape (n_atoms,)
        The class of each atom.
    densities : ndarray of float32, shape (n_classes, n_features)
        Square roots: of the radial densities, channel by channel, and, with its sign, of the
        power spectrum, degree by degree.
    radial : ndarray of float32, shape (n_radial,)
        Square root of the radial density of neighbours of all elements, as the mean over atoms.
    edges : Edges
    """

    numbers: np.ndarray
    shares: np.ndarray
    classes: np.ndarray
    densities: np.ndarray
    radial: np.ndarray
    edges: Edges

    @property
    def n_bytes(self) -> int:
        """The memory of the arrays."""
        arrays = (self.numbers, self.shares, self.classes, self.densities, self.radial)
        return sum(array.nbytes for array in (*arrays, *self.edges))


# What surroundings follow from: a structure's content, the geometry, and the channels.
_Key = tuple[int, Geometry, int]


class SurroundingsError(ValueError):
    """A structure whose surroundings cannot be found.

    Attributes
    ----------
    row : int
        Its position among those given.
    """

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message, row)
        self.row = row

    def __str__(self) -> str:
        return str(self.args[0])


def smooth_cutoff(distances: np.ndarray, cutoff: float) -> np.ndarray:
    """Compute half a cosine that falls from 1 at distance 0 to 0 at the cutoff and beyond."""
    return 0.5 + 0.5 * np.cos(np.pi * np.minimum(distances / cutoff, 1.0))


def gaussians(distances: np.ndarray, cutoff: float, n_functions: int) -> np.ndarray:
    """Return Gaussians of distances, shape (n_distances, n_functions)."""
    centres, width = _centres(cutoff, n_functions)
    scaled = (distances[:, None] - centres) / width
    return np.exp(-0.5 * scaled * scaled)


def _centres(cutoff: float, n_functions: int) -> tuple[np.ndarray, float]:
    """Return the centres of Gaussians, and their standard deviation, in Angstrom."""
    centres = np.linspace(NEAREST_GAUSSIAN, cutoff, n_functions)
    return centres, (cutoff - NEAREST_GAUSSIAN) / max(n_functions - 1, 1)


def harmonics(units: np.ndarray, degree: int) -> np.ndarray:
    """Return the real spherical harmonics of unit vectors up to a degree.

    Parameters
    ----------
    units : ndarray of shape (n, 3)
    degree : int
        The largest, up to 4.

    Returns
    -------
    ndarray of shape (n, (degree + 1) ** 2)
        From degree 0 on. The squares of those of one degree sum to 1.
    """
    x, y, z = units.T
    found = [np.ones_like(x), x, y, z]
    if degree >= 2:
        xx, yy, zz = x * x, y * y, z * z
        root = np.sqrt(3)
        found += [root * x * y, root * y * z, root * x * z]
        found += [1.5 * zz - 0.5, root / 2 * (xx - yy)]
    if degree >= 3:
        a, b, c = np.sqrt(5 / 8), np.sqrt(3 / 8), np.sqrt(15)
        found += [a * y * (3 * xx - yy), a * x * (xx - 3 * yy)]
        found += [b * y * (5 * zz - 1), b * x * (5 * zz - 1)]
        found += [c * x * y * z, c / 2 * z * (xx - yy), z * (2.5 * zz - 1.5)]
    if degree >= 4:
        a, b, c, d = np.sqrt(35), np.sqrt(35 / 8), np.sqrt(5), np.sqrt(5 / 8)
        found += [a / 2 * x * y * (xx - yy), a / 8 * (xx * xx - 6 * xx * yy + yy * yy)]
        found += [b * y * z * (3 * xx - yy), b * x * z * (xx - 3 * yy)]
        found += [c / 2 * x * y * (7 * zz - 1), c / 4 * (xx - yy) * (7 * zz - 1)]
        found += [d * y * z * (7 * zz - 3), d * x * z * (7 * zz - 3)]
        found += [(35 * zz * zz - 30 * zz + 3) / 8]
    return np.stack(found[: (degree + 1) ** 2], axis=1)


def surroundings(structure: Structure, geometry: Geometry, channels: Channels) -> Surroundings:
    """Describe the surroundings of the atoms of one structure, as `surroundings_of` does."""
    return surroundings_of([structure], geometry, channels)[0]


def surroundings_of(
    structures: Sequence[Structure], geometry: Geometry, channels: Channels
) -> list[Surroundings]:
    """Describe the surroundings of the atoms of structures, each for itself.

    Raises
    ------
    SurroundingsError
        If two atoms are at one place, or if an atom of several has no neighbour within the
        cutoff. A structure of one single atom need not have one.
    """
    found: list[Surroundings] = []
    for chunk, pairs in _chunks(structures, geometry.reach):
        found += _Chunk(chunk, pairs, len(found), geometry, channels).describe()
    return found


def _chunks(
    structures: Sequence[Structure], reach: float
) -> Iterator[tuple[list[Structure], list[Neighbours]]]:
    """Yield structures with their neighbours, several at once where they are small."""
    chunk: list[Structure] = []
    pairs: list[Neighbours] = []
    n_pairs = 0
    for row, structure in enumerate(structures):
        try:
            found = neighbours(structure, reach)
        except ValueError as error:
            raise SurroundingsError(str(error), row) from error
        chunk.append(structure)
        pairs.append(found)
        n_pairs += len(found.source)
        if n_pairs >= _PAIRS_AT_ONCE:
            yield chunk, pairs
            chunk, pairs, n_pairs = [], [], 0
    if chunk:
        yield chunk, pairs


class _Chunk:
    """Several structures as one list of atoms, and their pairs as one list."""

    def __init__(
        self,
        structures: list[Structure],
        pairs: list[Neighbours],
        row: int,
        geometry: Geometry,
        channels: Channels,
    ) -> None:
        self.row, self.geometry, self.channels = row, geometry, channels
        self.sizes = np.array([len(structure.numbers) for structure in structures])
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)])
        self.numbers = np.concatenate([structure.numbers for structure in structures])
        offsets = np.repeat(self.starts[:-1], [len(found.source) for found in pairs])
        self.source = np.concatenate([found.source for found in pairs]) + offsets
        self.target = np.concatenate([found.target for found in pairs]) + offsets
        self.vectors = np.concatenate([found.vectors for found in pairs])
        self.distances = np.concatenate([found.distances for found in pairs])

    def describe(self) -> list[Surroundings]:
        """Compute the surroundings of the atoms of each structure."""
        self._check_neighbours()
        radial, total = self._radial()
        blocks = [(radial, self._radial_tolerance(radial))]
        if self.geometry.n_angular:
            blocks.append(self._angular())
        of_structure = np.repeat(np.arange(len(self.sizes)), self.sizes)
        classes, order, firsts = _classes(of_structure, self.numbers, blocks)
        members = np.diff(np.append(firsts, len(order)))
        densities = _root(
            np.concatenate([_means(sums, order, firsts, members) for sums, _ in blocks], axis=1)
        )
        every = np.arange(len(self.numbers))
        means = _sum_groups(np.sqrt(total), every, self.starts[:-1]) / self.sizes[:, None]
        # classes ascend with structures, as atoms do
        splits = np.searchsorted(of_structure[order[firsts]], np.arange(len(self.sizes) + 1))
        edges = self._edges(classes)
        edge_splits = np.searchsorted(edges.source, splits)
        numbers = self.numbers[order[firsts]]
        found = []
        for row in range(len(self.sizes)):
            own = slice(splits[row], splits[row + 1])
            atoms = slice(self.starts[row], self.starts[row + 1])
            part = slice(edge_splits[row], edge_splits[row + 1])
            found.append(
                Surroundings(
                    numbers=numbers[own].copy(),
                    shares=members[own] / self.sizes[row],
                    classes=classes[atoms] - splits[row],
                    densities=densities[own].copy(),
                    radial=means[row].astype(np.float32),
                    edges=Edges(
                        (edges.source[part] - splits[row]).astype(np.int32),
                        (edges.target[part] - splits[row]).astype(np.int32),
                        edges.distances[part].copy(),
                        edges.numbers[part].copy(),
                    ),
                )
            )
        return found

    def _check_neighbours(self) -> None:
        """Raise where an atom of several has no neighbour."""
        cutoff = self.geometry.cutoff
        counts = np.bincount(self.source[self.distances < cutoff], minlength=len(self.numbers))
        alone = np.flatnonzero(counts == 0)
        if not len(alone):
            return
        rows = np.searchsorted(self.starts, alone, side="right") - 1
        for row, atom in zip(rows, alone, strict=True):
            if self.sizes[row] > 1:
                symbol = symbol_of(self.numbers[atom])
                raise SurroundingsError(
                    f"a structure whose atom {atom - self.starts[row]} ({symbol}), counted from "
                    f"0, has no neighbour within the cutoff of {cutoff:g} Angstrom; a larger "
                    "cutoff finds one",
                    self.row + int(row),
                )

    def _sums(
        self, values_of: Callable[[np.ndarray], np.ndarray], n_values: int, near: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sum the contributions of pairs over the neighbours of each atom.

        First over neighbours of one element, of which there are few, then over elements with
        the weights of each channel.

        Parameters
        ----------
        values_of : callable
            From pairs, by their position, to an ndarray of shape (n_pairs, n_values). It is asked
            for some at a time, as all of a large structure would need much memory.
        n_values : int
        near : ndarray of int
            Which pairs to sum over.

        Returns
        -------
        by_channel : ndarray of shape (n_atoms, n_channels, n_values)
        total : ndarray of shape (n_atoms, n_values)
            Of all neighbours, each with weight 1.
        """
        weights = self.channels.weights
        n_atoms, shape = len(self.numbers), (len(self.numbers), weights.shape[1], n_values)
        if not len(near):
            return np.zeros(shape), np.zeros((n_atoms, n_values))
        bins = self.source[near] * (LAST_ELEMENT + 1) + self.numbers[self.target[near]]
        order = np.argsort(bins, kind="stable")
        bins = bins[order]
        firsts = _firsts(np.diff(bins) != 0)
        bounds = np.append(firsts, len(order))
        by_element = np.empty((len(firsts), n_values))
        # groups are cut where the next part of pairs begins
        cuts = np.searchsorted(firsts, np.arange(0, len(order), _PAIRS_IN_MEMORY))
        for low, high in zip(cuts, np.append(cuts[1:], len(firsts)), strict=True):
            part = order[bounds[low] : bounds[high]]
            own = firsts[low:high] - bounds[low]
            by_element[low:high] = _sum_groups(values_of(near[part]), np.arange(len(part)), own)
        atoms, elements = np.divmod(bins[firsts], LAST_ELEMENT + 1)
        # where the rows of an atom begin; one without neighbours has none
        starts, rows = np.searchsorted(atoms, np.arange(n_atoms)), np.arange(len(atoms))
        by_channel = np.empty(shape)
        for channel in range(weights.shape[1]):
            shares = weights[elements, channel]
            by_channel[:, channel] = _sum_groups(by_element, rows, starts, shares)
        return by_channel, _sum_groups(by_element, rows, starts)

    def _radial(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the radial densities, shape (n_atoms, n_channels * n_radial), and the total."""
        cutoff, n_radial = self.geometry.cutoff, self.geometry.n_radial

        def values_of(pairs: np.ndarray) -> np.ndarray:
            distances = self.distances[pairs]
            values = gaussians(distances, cutoff, n_radial)
            values *= (smooth_cutoff(distances, cutoff) / distances)[:, None]
            return values

        by_channel, total = self._sums(values_of, n_radial, np.arange(len(self.distances)))
        return by_channel.reshape(len(by_channel), -1), total

    def _radial_tolerance(self, radial: np.ndarray) -> np.ndarray:
        """Return the change of each atom's densities if distances change by the resolution.

        The slope of a Gaussian is at most its height over its standard deviation; where it is
        the steepest, the one beside it is large. So the largest density stands for the height.
        """
        _, width = _centres(self.geometry.cutoff, self.geometry.n_radial)
        return _RESOLUTION / width * radial.max(axis=1, initial=0.0)

    def _angular(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the power spectrum of each atom, before the root, and its tolerance.

        It is a product of two sums, whose slope has twice that of the Gaussians and of the
        harmonics; these turn by the degree over the distance, which is an Angstrom or more.
        """
        degree, n_radial = self.geometry.n_angular, self.geometry.n_angular_radial
        cutoff, n_harmonics = self.geometry.angular_cutoff, (degree + 1) ** 2

        def values_of(pairs: np.ndarray) -> np.ndarray:
            distances = self.distances[pairs]
            shape = harmonics(self.vectors[pairs] / distances[:, None], degree)
            values = gaussians(distances, cutoff, n_radial)
            values *= smooth_cutoff(distances, cutoff)[:, None]
            products = values[:, :, None] * shape[:, None, :]
            return products.reshape(len(pairs), n_radial * n_harmonics)

        near = np.flatnonzero(self.distances < cutoff)
        n_products = self.channels.n_channels * n_radial
        sums = self._sums(values_of, n_radial * n_harmonics, near)[0]
        sums = sums.reshape(len(self.numbers), n_products, n_harmonics)
        one, two = np.triu_indices(n_products)
        flat = one * n_products + two
        spectra = []
        for level in range(1, degree + 1):
            part = sums[:, :, level**2 : (level + 1) ** 2]
            power = part @ part.transpose(0, 2, 1)
            spectra.append(np.take(power.reshape(len(power), n_products**2), flat, axis=1))
        _, width = _centres(cutoff, n_radial)
        largest = sums[:, :, 0].max(axis=1, initial=0.0) ** 2
        tolerance = 2 * _RESOLUTION * (1 / width + degree) * largest
        return np.concatenate(spectra, axis=1), tolerance

    def _edges(self, classes: np.ndarray) -> Edges:
        """Return the pairs of classes within the cutoff of messages, in the order of classes."""
        cutoff = self.geometry.message_cutoff
        source, target = classes[self.source], classes[self.target]
        near = np.flatnonzero((self.distances < cutoff) & (source <= target))
        if not len(near):
            nothing = np.zeros(0, np.int32)
            return Edges(nothing, nothing, nothing.astype(np.float32), nothing)
        source, target, distances = source[near], target[near], self.distances[near]
        order = np.lexsort((distances, target, source))
        source, target, distances = source[order], target[order], distances[order]
        is_new = (np.diff(source) != 0) | (np.diff(target) != 0)
        firsts = _firsts(is_new | (np.diff(distances) > _RESOLUTION))
        counts = np.diff(np.append(firsts, len(order)))
        return Edges(
            source[firsts],
            target[firsts],
            (np.add.reduceat(distances, firsts) / counts).astype(np.float32),
            counts.astype(np.int32),
        )


def _firsts(is_new: np.ndarray) -> np.ndarray:
    """Return where groups begin, from whether an entry differs from the one before it."""
    return np.concatenate([[0], np.flatnonzero(is_new) + 1])


def _sum_groups(
    values: np.ndarray, order: np.ndarray, firsts: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Sum rows over groups, each with a weight; a sparse product is far faster than `reduceat`.

    Parameters
    ----------
    values : ndarray of shape (n, n_values)
    order : ndarray of int, shape (n_ordered,)
        Rows in the order of groups.
    firsts : ndarray of int, shape (n_groups,)
        Where in this order a group begins; an empty one begins where the next does.
    weights : ndarray of shape (n_ordered,), optional
    """
    weights = np.ones(len(order)) if weights is None else weights
    bounds = np.append(firsts, len(order))
    return csr_array((weights, order, bounds), shape=(len(firsts), len(values))) @ values


def _root(sums: np.ndarray) -> np.ndarray:
    """Return the square root of the absolute values, with their signs."""
    return np.copysign(np.sqrt(np.abs(sums)), sums)


def _means(
    sums: np.ndarray, order: np.ndarray, firsts: np.ndarray, members: np.ndarray
) -> np.ndarray:
    """Return the mean over the members of each class, in single precision."""
    means = sums.astype(np.float32)[order[firsts]]
    several = np.flatnonzero(members > 1)
    if len(several):
        atoms, starts = _in_groups(order, firsts, members, several)
        together = _sum_groups(sums, atoms, starts)
        means[several] = together / members[several, None]
    return means


def _in_groups(
    order: np.ndarray, firsts: np.ndarray, sizes: np.ndarray, chosen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the atoms of chosen groups, in their order, and the start of each group."""
    own = sizes[chosen]
    starts = np.cumsum(own) - own
    within = np.arange(own.sum()) - np.repeat(starts, own)
    return order[np.repeat(firsts[chosen], own) + within], starts


def _classes(
    of_structure: np.ndarray, numbers: np.ndarray, blocks: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort atoms into classes of equal ones.

    Atoms are sorted by structure, element, and their mark, a mean of the first block. Equal ones
    then stand side by side, and where the marks of two in this order differ by more than the
    tolerance, a new class begins. Of what is left together all entries are compared.

    Parameters
    ----------
    of_structure : ndarray of int, shape (n_atoms,)
    numbers : ndarray of int, shape (n_atoms,)
    blocks : list of (ndarray of shape (n_atoms, n_values), ndarray of shape (n_atoms,))
        Numbers to compare, and their tolerance for each atom.

    Returns
    -------
    classes : ndarray of int64, shape (n_atoms,)
        Of each atom, counted over all structures.
    order : ndarray of int, shape (n_atoms,)
        Of atoms, by class.
    firsts : ndarray of int, shape (n_classes,)
        Where in this order a class begins.
    """
    # weights that no symmetry of the values shares, at most 1.5
    first, tolerance = blocks[0]
    mark = first @ (1 + 0.5 * np.cos(np.arange(first.shape[1]) ** 2)) / first.shape[1]
    tolerance = 1.5 * tolerance
    order = np.lexsort((mark, numbers, of_structure))
    is_new = (np.diff(of_structure[order]) != 0) | (np.diff(numbers[order]) != 0)
    is_new |= np.diff(mark[order]) > tolerance[order[1:]]
    firsts = _firsts(is_new)
    sizes = np.diff(np.append(firsts, len(order)))
    alike = np.flatnonzero(sizes > 1)
    wide: list[int] = []
    for sums, own in blocks:
        if len(alike):
            is_wide = _are_wide(sums, own, *_in_groups(order, firsts, sizes, alike))
            wide += alike[is_wide].tolist()
            alike = alike[~is_wide]
    for group in wide:
        part = slice(firsts[group], firsts[group] + sizes[group])
        split = _split(order[part], mark, tolerance, blocks)
        order[part] = split[:, 0]
        # an entry of is_new stands for the border before the atom after it
        is_new[part.start : part.stop - 1] = split[1:, 1]
    firsts = _firsts(is_new)
    classes = np.empty(len(order), np.int64)
    classes[order] = np.cumsum(np.concatenate([[0], is_new]))
    return classes, order, firsts


def _are_wide(
    sums: np.ndarray, tolerance: np.ndarray, atoms: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """Return which groups of atoms have an entry that differs by more than the tolerance."""
    values = sums[atoms]
    highest = np.maximum.reduceat(values, starts, axis=0)
    width = highest - np.minimum.reduceat(values, starts, axis=0)
    return width.max(axis=1) > np.maximum.reduceat(tolerance[atoms], starts)


def _split(
    atoms: np.ndarray,
    mark: np.ndarray,
    tolerance: np.ndarray,
    blocks: list[tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Split a group of atoms, in the order of their marks, by the first atom of each class.

    Returns
    -------
    ndarray of int, shape (n, 2)
        The atoms in the order of their classes, and 1 where a class begins.
    """
    # another mark rules out most of those that the first one leaves, in large structures
    sums = blocks[0][0]
    other = sums @ np.cos(1 + np.arange(sums.shape[1]) ** 2) / sums.shape[1]
    found: list[list[int]] = []
    firsts, lowest = np.empty(len(atoms), np.int64), 0
    for atom in atoms:
        while lowest < len(found) and mark[atom] - mark[firsts[lowest]] > tolerance[atom]:
            lowest += 1
        near = firsts[lowest : len(found)]
        near = lowest + np.flatnonzero(np.abs(other[near] - other[atom]) <= tolerance[atom])
        for values, own in blocks:
            differences = np.abs(values[firsts[near]] - values[atom])
            near = near[(differences <= own[atom]).all(axis=1)]
        if len(near):
            found[near[-1]].append(atom)
        else:
            firsts[len(found)] = atom
            found.append([atom])
    return np.array(
        [(atom, place == 0) for members in found for place, atom in enumerate(members)], np.int64
    )


class CachePass:
    """One pass over many structures: its number, and the memory that all of them would take.

    Parameters
    ----------
    number : int
        A later pass has a larger one.
    n_structures : int
        How many there are in all; they come some at a time.
    """

    def __init__(self, number: int, n_structures: int) -> None:
        self.number = number
        self.n_structures = n_structures
        self._n_found = self._n_bytes = 0

    def count(self, found: Iterable[Surroundings]) -> None:
        """Count the found surroundings of some structures."""
        for one in found:
            self._n_found += 1
            self._n_bytes += one.n_bytes

    @property
    def n_bytes(self) -> float:
        """The memory that all structures would take, by those that were counted."""
        return self._n_bytes / max(self._n_found, 1) * self.n_structures


class SurroundingsCache:
    """A cache of surroundings, up to a number of bytes.

    Those of earlier passes make room, the ones used least recently first. Those of the same pass
    never do: where it is larger than the memory, its first part stays, and the next pass over the
    same structures finds it. Otherwise the end of a pass would push out its beginning, and the
    next one would find nothing. Of a pass that is many times larger, the part that would be found
    is not worth its memory, and nothing is kept.

    Parameters
    ----------
    max_bytes : int
        Of the arrays that are kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.n_bytes = 0
        # with the number of the pass that used them last; the least recently used one first
        self._found: OrderedDict[_Key, tuple[Surroundings, int]] = OrderedDict()
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._of_thread = threading.local()

    def __len__(self) -> int:
        return len(self._found)

    def __reduce__(self) -> tuple[Any, ...]:
        # another process begins with an empty one: finding again costs less than sending
        return type(self), (self.max_bytes,)

    def begin(self, n_structures: int) -> CachePass:
        """Begin a pass over structures that are given to `find` some at a time."""
        return CachePass(next(self._numbers), n_structures)

    def find(
        self,
        structures: Sequence[Structure],
        geometry: Geometry,
        channels: Channels,
        current: CachePass | None = None,
    ) -> list[Surroundings]:
        """Return the surroundings of structures, as `surroundings_of` does; do not change them.

        Parameters
        ----------
        structures, geometry, channels
            As in `surroundings_of`.
        current : CachePass, optional
            That the structures are a part of; by default they are a pass by themselves.
        """
        current = self.begin(len(structures)) if current is None else current
        keys = [(structure_key(structure), geometry, channels.key) for structure in structures]
        known = self._known(keys, current)
        aside: SurroundingsCache | None = getattr(self._of_thread, "aside", None)
        if aside is not None:
            known.update(aside._known([key for key in keys if key not in known], current))
        # of equal structures, the first one is looked at
        first = {key: row for row, key in reversed(list(enumerate(keys))) if key not in known}
        rows = sorted(first.values())
        try:
            found = surroundings_of([structures[row] for row in rows], geometry, channels)
        except SurroundingsError as error:
            raise SurroundingsError(str(error), rows[error.row]) from error
        new = {keys[row]: one for row, one in zip(rows, found, strict=True)}
        known.update(new)
        current.count(known[key] for key in keys)
        if current.n_bytes <= _LARGEST_PASS * self.max_bytes:
            (self if aside is None else aside)._keep(new, current)
        return [known[key] for key in keys]

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Keep the surroundings that this thread finds apart, and forget them in the end.

        For structures that are asked for again soon, and never later.
        """
        self._of_thread.aside = SurroundingsCache(self.max_bytes // _SHARE_ASIDE)
        try:
            yield
        finally:
            self._of_thread.aside = None

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._found.clear()
            self.n_bytes = 0

    def _known(self, keys: Iterable[_Key], current: CachePass) -> dict[_Key, Surroundings]:
        """Return cached surroundings, and mark them as used in this pass."""
        known: dict[_Key, Surroundings] = {}
        with self._lock:
            for key in keys:
                if key in self._found:
                    known[key] = self._found.pop(key)[0]
                    self._found[key] = known[key], current.number
        return known

    def _keep(self, new: Mapping[_Key, Surroundings], current: CachePass) -> None:
        with self._lock:
            for key, found in new.items():
                if key not in self._found and self._make_room(found.n_bytes, current):
                    self._found[key] = found, current.number
                    self.n_bytes += found.n_bytes

    def _make_room(self, n_bytes: int, current: CachePass) -> bool:
        """Drop entries of earlier passes; return whether there is room for a number of bytes."""
        if n_bytes > self.max_bytes:
            return False
        while self.n_bytes + n_bytes > self.max_bytes:
            key, (oldest, number) = next(iter(self._found.items()))
            if number >= current.number:
                return False
            del self._found[key]
            self.n_bytes -= oldest.n_bytes
        return True


# Folds, members of an ensemble and candidates of a search see the same structures. What is found
# follows from the content of a structure alone, so that it changes no result whether it is here.
CACHE = SurroundingsCache(max_bytes=256 * 2**20)
