"""Structures of atoms: what enters, what comes back, and which known structure is the nearest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import pairwise_distances_argmin_min

from .._notices import notice
from .._tables._base_codec import BlockColumns, Codec, Piece
from .._tables._cells import cells_of, is_nothing
from .._tables._columns import take_column
from .._tables._layout import Encoded, Layout, Ragged
from .._tables._structures import LAST_ELEMENT, Structure, is_structure, read_structure, to_atoms
from ..exceptions import UnseenCategoryWarning
from ._elements import symbol_of
from ._surroundings import CACHE, Channels, Edges, Geometry, Surroundings, SurroundingsError

# Structures that are enough for means and deviations, and to be the known ones.
_ENOUGH = 10_000

# Atoms that are enough for the directions in which their surroundings differ.
_ENOUGH_ATOMS = 30_000

# Structures whose surroundings are in memory beside the arrays that are made of them.
_AT_ONCE = 512

# Up to so many elements, surroundings are told apart by each; of more, by their properties.
_FEW_ELEMENTS = 6

# Main directions are divided by this power of their variance: halfway between their own sizes and
# one size for all, which would make much of those that hardly vary.
_WHITENING = 0.25

# Kinds of structures by the number of directions in which they repeat, and their size, as the
# `info` of a decoded one names it. Volumes, areas, lengths and numbers are no common size.
_KINDS = ("molecule", "wire", "slab", "crystal")
SIZES = ("n_atoms", "length_per_atom", "area_per_atom", "volume_per_atom")

# An element with a smaller share is left out of a decoded composition.
_LEAST_SHARE = 0.005


class AtomsCodec(Codec):
    """Encode structures of atoms, and find the known structure that decoded values are nearest to.

    A structure enters as the set of its atoms, equal ones once. Three fields come back, each with
    a third of the variance: the shares of the elements; the mean radial density of neighbours;
    and the logarithm of the size, which is a crystal's volume per atom (of a slab or a wire its
    area or length) or a molecule's number of atoms.

    Parameters
    ----------
    columns : BlockColumns
        One column, whose cells hold structures; None where a row was not measured.
    crystals, molecules : Geometry
        How surroundings are described of periodic structures, and of others.
    n_features : int
        Surroundings are described by so many numbers at most, the directions in which they differ
        most.

    Attributes
    ----------
    elements : ndarray of int, shape (n_elements,)
        Atomic numbers that were learnt from.
    n_directions : int
        In how many directions the structures repeat; 0 of molecules.
    mean, deviation, unit : ndarray of float64, shape (n_values,)
        Of the values that come back: ``(x - mean) / unit`` is encoded.
    centre : ndarray of shape (n_densities,)
    projection : ndarray of shape (n_densities, n_kept)
        Of surroundings: ``(x - centre) @ projection`` is encoded.
    size : float
        Mean number of atoms of the molecules that were learnt from; 1 of crystals.
    known : list of Structure
        Up to 10,000 of those that were learnt from.
    known_values : ndarray of float32, shape (n_known, n_values)
        Theirs, encoded.
    """

    elements: np.ndarray
    n_directions: int
    mean: np.ndarray
    deviation: np.ndarray
    unit: np.ndarray
    centre: np.ndarray
    projection: np.ndarray
    size: float
    known: list[Structure]
    known_values: np.ndarray
    _unlearnt: np.ndarray  # elements of rows that were not learnt from
    _dtype: np.dtype

    def __init__(
        self, columns: BlockColumns, *, crystals: Geometry, molecules: Geometry, n_features: int
    ) -> None:
        super().__init__(columns)
        self._geometries = {True: crystals, False: molecules}
        self._n_features = n_features
        self._unlearnt = np.zeros(0, dtype=np.int64)

    # -- what was learnt

    @property
    def is_periodic(self) -> bool:
        """Whether the structures repeat in any direction."""
        return self.n_directions > 0

    @property
    def geometry(self) -> Geometry:
        """How surroundings are described."""
        return self._geometries[self.is_periodic]

    @property
    def channels(self) -> Channels:
        """What of a neighbour's element is told apart."""
        if len(self.elements) > _FEW_ELEMENTS:
            return Channels.of_properties()
        return Channels.of_elements(self.elements)

    @property
    def fields(self) -> dict[str, slice]:
        """Where the shares of the elements, the radial density and the size are in the values."""
        n_elements, n_radial = len(self.elements), self.geometry.n_radial
        return {
            "composition": slice(0, n_elements),
            "radial": slice(n_elements, n_elements + n_radial),
            "size": slice(n_elements + n_radial, n_elements + n_radial + 1),
        }

    @property
    def layout(self) -> Layout:
        """How the encoded values lie."""
        ragged: tuple[tuple[str, int], ...] = (("atoms", self.projection.shape[1]),)
        if self.geometry.message_cutoff:
            ragged += (("pairs", 2),)
        return Layout(self._n_values, (), (), ragged)

    @property
    def _n_values(self) -> int:
        return len(self.elements) + self.geometry.n_radial + 1

    @property
    def has_cells(self) -> bool:
        """Whether a cell of the table holds several of the numbers."""
        return True

    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Give the mean and the scale that numbers are encoded with."""
        return self.mean, self.unit

    def encoded_scale(self) -> np.ndarray:
        """Give the standard deviation of each number as it is encoded."""
        return np.where(self.deviation > 0, self.deviation / self.unit, 1.0)

    def missing_row(self) -> np.ndarray:
        """Give the encoded values of a row that was not measured: the means."""
        return np.zeros(self._n_values, dtype=self._dtype)

    # -- fit

    def prepare(self, X: pd.DataFrame | np.ndarray) -> np.dtype:
        """Look at the cells of a whole table.

        Raises
        ------
        TypeError
            If a cell holds no structure of atoms.
        ValueError
            If there are several columns, or no structure; or not all repeat in as many directions.
        """
        positions, labels = self.columns.positions, self.columns.labels
        if len(positions) != 1:
            names = [labels.name(j) for j in positions]
            raise ValueError(
                f"Structures of atoms are cells of one column, but the block has {len(names)} of "
                f"them: {', '.join(names)}."
            )
        first: dict[int, int] = {}
        for row, structure in self._structures(X, None):
            if structure is not None:
                first.setdefault(int(structure.periodic.sum()), row)
        if not first:
            raise ValueError(f"{self._column()} has no structure in any row.")
        if len(first) > 1:
            one, two = sorted(first, reverse=True)[:2]
            raise ValueError(
                f"{self._column()} mixes {_KINDS[one]}s and {_KINDS[two]}s: the structure in row "
                f"{first[one]} is periodic in {one} directions, that in row {first[two]} in "
                f"{two}. They have no common size, so that each kind needs a column, or a model, "
                "of its own."
            )
        (self.n_directions,) = first
        return np.dtype(np.float32)

    def fit(
        self,
        X: pd.DataFrame | np.ndarray,
        dtype: np.dtype,
        rows: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
    ) -> AtomsCodec:
        """Learn elements, scales, and the directions in which surroundings differ.

        Raises
        ------
        ValueError
            If no row to learn from has a structure, or the surroundings of one cannot be told.
        """
        self._dtype = np.dtype(dtype)
        learnt = np.arange(len(X)) if rows is None else np.asarray(rows)
        found = [(row, s) for row, s in self._structures(X, learnt) if s is not None]
        if not found:
            raise ValueError(f"{self._column()} has no structure in the rows to learn from.")
        self.elements = np.unique(np.concatenate([s.numbers for _, s in found]))
        self.size = 1.0
        if not self.is_periodic:
            self.size = float(np.mean([len(s.numbers) for _, s in found]))
        some = [found[i] for i in _evenly(len(found), _ENOUGH)]
        weight = np.ones(len(some))
        if sample_weight is not None:
            weight = sample_weight[[row for row, _ in some]]
        self.known = [structure for _, structure in some]
        values = self._learn(some, weight)
        self.known_values = ((values - self.mean) / self.unit).astype(np.float32)
        if rows is not None:  # those that early stopping holds out are no news
            self.note_unlearnt(X)
        self.numeric = self.columns.positions * self._n_values
        return self

    def _learn(self, some: list[tuple[int, Structure]], weight: np.ndarray) -> np.ndarray:
        """Learn from some structures; give the values that come back of each."""
        n_kept = -(-_ENOUGH_ATOMS * len(some) // sum(len(s.numbers) for _, s in some))
        with_atoms = np.array(_evenly(len(some), n_kept))
        values = np.empty((len(some), self._n_values))
        densities, counts = [], []
        others = np.setdiff1d(np.arange(len(some)), with_atoms)
        # without angles and pairs, which the values that come back do not need
        plain = replace(self.geometry, n_angular=0, message_cutoff=0.0)
        for geometry, own in ((self.geometry, with_atoms), (plain, others)):
            for chunk, found in self._with_surroundings([some[i] for i in own], geometry):
                places = own[chunk]
                values[places] = self._values([some[i][1] for i in places], found)
                if own is with_atoms:
                    densities += [around.densities for around in found]
                    shares = (around.shares for around in found)
                    counts += [w * part for w, part in zip(weight[places], shares, strict=True)]
        self._learn_values(values, weight)
        self._learn_directions(np.concatenate(densities), np.concatenate(counts))
        return values

    def _learn_values(self, values: np.ndarray, weight: np.ndarray) -> None:
        self.mean = np.average(values, axis=0, weights=weight)
        variance = np.average((values - self.mean) ** 2, axis=0, weights=weight)
        self.deviation = np.sqrt(variance)
        # rounding is no deviation
        self.deviation[self.deviation < 1e-7 * (1 + np.abs(self.mean))] = 0.0
        self.unit = np.ones(len(self.mean))
        for own in self.fields.values():
            total = (self.deviation[own] ** 2).sum()
            if total > 0:  # the squares of a field add up to a third of all values
                self.unit[own] = np.sqrt(len(self.fields) * total / len(self.mean))

    def _learn_directions(self, densities: np.ndarray, counts: np.ndarray) -> None:
        """Standardise what is known of surroundings; of too much, the main directions."""
        densities = densities.astype(np.float64)
        self.centre = np.average(densities, axis=0, weights=counts)
        steps = densities - self.centre
        deviation = np.sqrt(np.average(steps**2, axis=0, weights=counts))
        varies = deviation > 1e-4 * max(deviation.max(), 1e-12)
        scale = np.where(varies, 1 / np.where(varies, deviation, 1.0), 0.0)
        if len(scale) <= self._n_features:
            self.projection = np.diag(scale)
            return
        steps = steps * scale
        variances, directions = np.linalg.eigh((counts[:, None] * steps).T @ steps / counts.sum())
        # the largest first, each with its largest entry positive
        main = directions[:, ::-1][:, : self._n_features]
        largest = main[np.abs(main).argmax(axis=0), np.arange(main.shape[1])]
        main = main * np.where(largest < 0, -1.0, 1.0)
        if variances[-1] <= 0:  # all atoms are alike
            variances = np.ones(len(variances))
        variances = np.maximum(variances[::-1][: self._n_features], 1e-6 * variances[-1])
        self.projection = scale[:, None] * main * variances**-_WHITENING

    # -- reading

    def _structures(
        self, X: pd.DataFrame | np.ndarray, rows: np.ndarray | None
    ) -> Iterator[tuple[int, Structure | None]]:
        """Give rows with their structures, None where missing."""
        cells = cells_of(take_column(X, self.columns.positions[0]))
        for row in range(len(cells)) if rows is None else rows.tolist():
            yield row, self._read(cells[row], row)

    def _read(self, cell: Any, row: int) -> Structure | None:
        if is_nothing(cell):
            return None
        if not is_structure(cell):
            advice = ""
            if isinstance(cell, str):
                advice = (
                    " A formula or the name of a file has no positions: make a structure of it, "
                    "such as with ase.io.read('NaCl.cif') or ase.build.bulk('NaCl', 'rocksalt', "
                    "a=5.64); or, where compositions are all there is, give shares of elements "
                    "as columns of numbers."
                )
            raise TypeError(
                f"{self._column()} must hold structures of atoms, such as ase.Atoms, with None "
                f"where a row was not measured; row {row} holds {cell!r:.60}, which is "
                f"{type(cell).__name__}.{advice}"
            )
        try:
            return read_structure(cell)
        except ValueError as error:
            raise ValueError(f"{self._column()} holds, in row {row}, {error}.") from error

    def _with_surroundings(
        self, structures: Sequence[tuple[int, Structure]], geometry: Geometry
    ) -> Iterator[tuple[slice, list[Surroundings]]]:
        """Give the surroundings of the atoms of structures, some hundred at a time.

        Parameters
        ----------
        structures : sequence of (int, Structure)
            With their rows, for messages.
        geometry : Geometry

        Yields
        ------
        slice
            Which of the structures.
        list of Surroundings
        """
        for start in range(0, len(structures), _AT_ONCE):  # there may be none
            chunk = slice(start, start + _AT_ONCE)
            part = [structure for _, structure in structures[chunk]]
            try:
                found = CACHE.find(part, geometry, self.channels)
            except SurroundingsError as error:
                row = structures[start + error.row][0]
                raise ValueError(f"{self._column()} holds, in row {row}, {error}.") from error
            yield chunk, found

    def _column(self) -> str:
        return f"Column {self.columns.labels.name(self.columns.positions[0])}"

    def check_cells(self, X: pd.DataFrame | np.ndarray) -> None:
        """Refuse cells that hold no structure, or one of another kind than in ``fit``."""
        for row, structure in self._structures(X, None):
            self._check_kind(row, structure)

    def _check_kind(self, row: int, structure: Structure | None) -> None:
        if structure is None or structure.periodic.sum() == self.n_directions:
            return
        then, now = _KINDS[self.n_directions], _KINDS[structure.periodic.sum()]
        raise ValueError(
            f"{self._column()} had {then}s in fit, but holds a {now} in row {row}; set the cell "
            "and pbc of the structure as those of fit."
        )

    # -- encode

    def encode(self, X: pd.DataFrame | np.ndarray) -> Encoded:
        """Encode the structures of a table.

        Returns
        -------
        Encoded
            With ``ragged``: "atoms", with columns ``numbers`` (atomic numbers), ``densities``
            (surroundings) and ``counts``; and, where messages are sent, "pairs".
        """
        found = list(self._structures(X, None))
        values = np.zeros((len(found), self._n_values), dtype=self._dtype)
        measured = np.array([structure is not None for _, structure in found], dtype=bool)
        n_atoms = sum(len(s.numbers) for _, s in found if s is not None)
        atoms = _Atoms(n_atoms, len(found), self.projection.shape[1], self._dtype)
        pairs = [_columns_of_pairs([], self._dtype)]
        n_pairs = np.zeros(len(found), dtype=np.int64)
        for row, structure in found:
            self._check_kind(row, structure)
        given = [(row, structure) for row, structure in found if structure is not None]
        for chunk, around in self._with_surroundings(given, self.geometry):
            rows = [row for row, _ in given[chunk]]
            structures = [structure for _, structure in given[chunk]]
            values[rows] = (self._values(structures, around) - self.mean) / self.unit
            atoms.add(rows, *self._encode_atoms(structures, around))
            if self.geometry.message_cutoff:
                edges = [own.edges for own in around]
                pairs.append(_columns_of_pairs(edges, self._dtype))
                n_pairs[rows] = [len(own.source) for own in edges]
        ragged = {"atoms": atoms.ragged()}
        if self.geometry.message_cutoff:
            # column after column, so that few of them are in memory twice
            columns = {
                name: np.concatenate([part.pop(name) for part in pairs]) for name in list(pairs[0])
            }
            ragged["pairs"] = Ragged(columns, np.cumsum(n_pairs) - n_pairs, n_pairs)
        self._notice_unseen([structure for _, structure in found])
        known = np.repeat(measured[:, None], self._n_values, axis=1)
        return Encoded(values, None if measured.all() else known, ragged)

    def _encode_atoms(
        self, structures: Sequence[Structure], found: Sequence[Surroundings]
    ) -> tuple[list[int], np.ndarray, np.ndarray, np.ndarray]:
        """Give of structures how many atoms enter, their numbers, densities and counts."""
        densities = np.concatenate([own.densities for own in found]).astype(self._dtype)
        densities -= self.centre.astype(self._dtype)
        shares = [own.shares for own in found]
        if not self.is_periodic:
            shares = [
                own * (len(structure.numbers) / self.size)
                for own, structure in zip(shares, structures, strict=True)
            ]
        return (
            [len(own.numbers) for own in found],
            np.concatenate([own.numbers for own in found]),
            densities @ self.projection.astype(self._dtype),
            np.concatenate(shares),
        )

    def _values(
        self, structures: Sequence[Structure], found: Sequence[Surroundings]
    ) -> np.ndarray:
        """Give the values that come back: shares of elements, radial density, size."""
        values = np.zeros((len(structures), self._n_values))
        for own, structure in zip(values, structures, strict=True):
            n_atoms = len(structure.numbers)
            counts = np.bincount(structure.numbers, minlength=LAST_ELEMENT + 1)[self.elements]
            own[self.fields["composition"]] = counts / n_atoms
            own[-1] = np.log(measure(structure) / n_atoms if self.is_periodic else n_atoms)
        values[:, self.fields["radial"]] = [own.radial for own in found]
        return values

    def classes_of(self, structures: Sequence[Structure]) -> list[np.ndarray]:
        """Tell which atoms of structures enter as one: the class of each, of shape (n_atoms,)."""
        return [own.classes for own in CACHE.find(structures, self.geometry, self.channels)]

    def can_describe(self, structure: Structure) -> bool:
        """Tell whether the surroundings of all atoms of a structure can be told."""
        try:
            CACHE.find([structure], self.geometry, self.channels)
        except SurroundingsError:
            return False
        return True

    # -- decode

    def decode(self, values: np.ndarray) -> list[Piece]:
        """Give the known structure that decoded values are nearest to, as ``ase.Atoms``.

        Its ``info`` has ``mismatch``, the root mean square difference of the values in standard
        deviations of each field; and what was decoded: ``composition``, a dict of shares of
        elements, ``volume_per_atom`` (cubic Angstrom) or ``n_atoms``, and the ``radial_density``
        at ``distances``.
        """
        cells = np.empty((len(values), 1), dtype=object)
        if len(values):
            nearest, distance = pairwise_distances_argmin_min(
                values.astype(np.float32), self.known_values
            )
            for i, k in enumerate(nearest):
                info = {"mismatch": float(distance[i] / np.sqrt(self._n_values))}
                cells[i, 0] = to_atoms(self.known[k], info | self.describe(values[i]))
        return [(list(self.columns.positions), cells)]

    def describe(self, values: np.ndarray) -> dict[str, Any]:
        """Say in words and numbers what encoded values of one row stand for.

        Returns
        -------
        dict
            ``composition``, the shares of elements by their symbol; the size by the name
            ``size_name``; and ``radial_density``, the square root of the mean density of
            neighbours at ``distances`` in Angstrom.
        """
        raw = values * self.unit + self.mean
        shares = np.clip(raw[self.fields["composition"]], 0, None)
        shares = shares / max(shares.sum(), 1e-12)
        order = np.argsort(-shares, kind="stable")
        composition = {
            symbol_of(self.elements[k]): round(float(shares[k]), 4)
            for k in order
            if shares[k] >= _LEAST_SHARE
        }
        size = float(np.exp(np.clip(raw[-1], -50, 50)))
        return {
            "composition": composition,
            self.size_name: size,
            "radial_density": np.clip(raw[self.fields["radial"]], 0, None),
            "distances": self.geometry.distances,
        }

    @property
    def size_name(self) -> str:
        """What the size of a structure is called."""
        return SIZES[self.n_directions]

    # -- what else stood in the table of fit

    def note_unlearnt(self, X: pd.DataFrame | np.ndarray) -> None:
        """Note elements that a table of ``fit`` has in no row that was learnt from."""
        numbers = [s.numbers for _, s in self._structures(X, None) if s is not None]
        if numbers:
            every = np.unique(np.concatenate([*numbers, self._unlearnt]))
            self._unlearnt = np.setdiff1d(every, self.elements)

    def notice_unseen(self, X: pd.DataFrame | np.ndarray) -> None:
        """Warn of elements that were not in the table of ``fit``."""
        self._notice_unseen([structure for _, structure in self._structures(X, None)])

    def _notice_unseen(self, structures: Sequence[Structure | None]) -> None:
        known = np.concatenate([self.elements, self._unlearnt])
        unseen: set[int] = set()
        n_rows = 0
        for structure in structures:
            if structure is not None:
                own = np.setdiff1d(structure.numbers, known)
                n_rows += bool(len(own))
                unseen.update(own.tolist())
        if not unseen:
            return
        shown = ", ".join(symbol_of(z) for z in sorted(unseen)[:8])
        notice(
            f"{n_rows} of {len(structures)} structures in column "
            f"{self.columns.labels.name(self.columns.positions[0])} have elements that fit did "
            f"not see ({shown}); they enter by their properties alone, such as mass and radius.",
            UnseenCategoryWarning,
            key=(UnseenCategoryWarning, self._column(), shown),
            weight=n_rows,
        )

    # -- in files

    def get_state(self) -> dict[str, Any]:
        """Give what was learnt as plain values: of structures, arrays."""
        return {
            "elements": self.elements,
            "unlearnt": self._unlearnt,
            "n_directions": self.n_directions,
            "dtype": self._dtype.name,
            "mean": self.mean,
            "deviation": self.deviation,
            "unit": self.unit,
            "centre": self.centre,
            "projection": self.projection,
            "size": self.size,
            "known_values": self.known_values,
            "n_atoms": np.array([len(s.numbers) for s in self.known]),
            "numbers": np.concatenate([s.numbers for s in self.known]),
            "positions": np.concatenate([s.positions for s in self.known]),
            "cells": np.stack([s.cell for s in self.known]),
            "periodic": np.stack([s.periodic for s in self.known]),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Take what ``get_state`` gave."""
        for name in ("elements", "n_directions", "mean", "deviation", "unit", "centre"):
            setattr(self, name, state[name])
        self.projection, self.size = state["projection"], state["size"]
        self.known_values = state["known_values"]
        self._unlearnt, self._dtype = state["unlearnt"], np.dtype(state["dtype"])
        ends = np.cumsum(state["n_atoms"])[:-1]
        parts = [np.split(state[name], ends) for name in ("numbers", "positions")]
        self.known = [
            Structure(*own) for own in zip(*parts, state["cells"], state["periodic"], strict=True)
        ]
        self.numeric = self.columns.positions * self._n_values


class _Atoms:
    """Room for the atoms of all rows, equal ones of a structure once.

    Parameters
    ----------
    n_atoms : int
        At most.
    n_rows : int
    n_features : int
    dtype : dtype
    """

    def __init__(self, n_atoms: int, n_rows: int, n_features: int, dtype: np.dtype) -> None:
        self.numbers = np.empty(n_atoms, dtype=np.int64)
        self.densities = np.empty((n_atoms, n_features), dtype=dtype)
        self.counts = np.empty(n_atoms, dtype=dtype)
        self.starts = np.zeros(n_rows, dtype=np.int64)
        self.lengths = np.zeros(n_rows, dtype=np.int64)
        self.n_atoms = 0

    def add(
        self,
        rows: list[int],
        lengths: list[int],
        numbers: np.ndarray,
        densities: np.ndarray,
        counts: np.ndarray,
    ) -> None:
        """Put the atoms of rows behind those that are there."""
        own = slice(self.n_atoms, self.n_atoms + len(numbers))
        self.numbers[own], self.densities[own], self.counts[own] = numbers, densities, counts
        self.starts[rows] = self.n_atoms + np.cumsum(lengths) - lengths
        self.lengths[rows] = lengths
        self.n_atoms = own.stop

    def ragged(self) -> Ragged:
        """Give what is filled."""
        columns = {
            name: getattr(self, name)[: self.n_atoms]
            for name in ("numbers", "densities", "counts")
        }
        return Ragged(columns, self.starts, self.lengths)


def _columns_of_pairs(edges: list[Edges], dtype: np.dtype) -> dict[str, np.ndarray]:
    """Give the pairs of neighbours of structures behind each other, in few bytes.

    Atoms are counted in their own structure: two bytes are enough for all but the largest.
    """
    n_most = max((int(own.source.max(initial=0)) for own in edges), default=0)
    small = np.dtype(np.int16 if n_most <= np.iinfo(np.int16).max else np.int32)
    parts: dict[str, tuple[list[np.ndarray], np.dtype]] = {
        "receiver": ([own.source for own in edges], small),
        "sender": ([own.target for own in edges], small),
        "distance": ([own.distances for own in edges], dtype),
        "weight": ([own.weights for own in edges], dtype),
    }
    return {
        name: np.concatenate([np.zeros(0, kind), *own]).astype(kind, copy=False)
        for name, (own, kind) in parts.items()
    }


def measure(structure: Structure) -> float:
    """Give the volume, area or length that the vectors of periodic directions span, in Angstrom.

    Of nothing periodic it is 1.
    """
    vectors = structure.cell[structure.periodic]
    return float(np.sqrt(np.linalg.det(vectors @ vectors.T)))


def _evenly(n: int, n_most: int) -> list[int]:
    """Give up to so many positions that are spread evenly over all."""
    if n <= n_most:
        return list(range(n))
    return (np.arange(n_most) * n // n_most).tolist()
