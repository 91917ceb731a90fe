"""Codec for structures of atoms: encoding, decoding, and the nearest known structure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import pairwise_distances_argmin_min

from .._notices import notice
from .._tables._base_codec import BlockColumns, Codec, Piece
from .._tables._cells import cells_of, is_nothing
from .._tables._columns import take_column
from .._tables._layout import Encoded, Layout, Ragged
from .._tables._structures import (
    LAST_ELEMENT,
    STRUCTURE_OF_A_WORD,
    Structure,
    is_structure,
    read_structure,
    to_atoms,
)
from ..exceptions import UnseenCategoryWarning
from ._elements import symbol_of
from ._surroundings import (
    CACHE,
    CachePass,
    Channels,
    Edges,
    Geometry,
    Surroundings,
    SurroundingsError,
)

# Structures that are enough for means and deviations, and to be the known ones.
_ENOUGH = 10_000

# Atoms that are enough for the directions in which their surroundings differ.
_ENOUGH_ATOMS = 30_000

# Structures that are in memory, with their surroundings, beside the arrays that are made of them.
# Surroundings of a hundred take some ten MB, and more at once would not be faster.
_AT_ONCE = 128

# Atoms whose surroundings are in double precision at once.
_ATOMS_AT_ONCE = 4096

# Types of counts, from the smallest one.
_SMALL = (np.uint8, np.int16, np.int32, np.int64)

# Arrays that are filled entry by entry grow by this share of their length, or by more.
_GROWTH = 1 / 16

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
        Atomic numbers in the training rows.
    n_directions : int
        In how many directions the structures repeat; 0 of molecules.
    mean, deviation, unit : ndarray of float64, shape (n_values,)
        Of the values that come back: ``(x - mean) / unit`` is encoded.
    centre : ndarray of shape (n_densities,)
    projection : ndarray of shape (n_densities, n_kept)
        Of surroundings: ``(x - centre) @ projection`` is encoded.
    size : float
        Mean number of atoms of the molecules in the training rows; 1 for crystals.
    known : list of Structure
        Up to 10,000 of the training rows' structures.
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
        """Whether the structures are periodic in any direction."""
        return self.n_directions > 0

    @property
    def geometry(self) -> Geometry:
        """The settings of the description of surroundings."""
        return self._geometries[self.is_periodic]

    @property
    def channels(self) -> Channels:
        """The channels that distinguish the elements of neighbours."""
        if len(self.elements) > _FEW_ELEMENTS:
            return Channels.of_properties()
        return Channels.of_elements(self.elements)

    @property
    def fields(self) -> dict[str, slice]:
        """The slices of the elements' shares, the radial density and the size in the values."""
        n_elements, n_radial = len(self.elements), self.geometry.n_radial
        return {
            "composition": slice(0, n_elements),
            "radial": slice(n_elements, n_elements + n_radial),
            "size": slice(n_elements + n_radial, n_elements + n_radial + 1),
        }

    @property
    def layout(self) -> Layout:
        """The layout of the encoded values."""
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
        """Return the mean and the scale that numbers are encoded with."""
        return self.mean, self.unit

    def encoded_scale(self) -> np.ndarray:
        """Return the standard deviation of each number as it is encoded."""
        return np.where(self.deviation > 0, self.deviation / self.unit, 1.0)

    def missing_row(self) -> np.ndarray:
        """Return the encoded values of a row that was not measured: the means."""
        return np.zeros(self._n_values, dtype=self._dtype)

    # -- fit

    def prepare(self, X: pd.DataFrame | np.ndarray) -> np.dtype:
        """Inspect the cells of a whole table.

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
            raise ValueError(self._without_structures("in any row"))
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
            If no training row has a structure, or the surroundings of one cannot be described.
        """
        self._dtype = np.dtype(dtype)
        # all are read once, and some of them again: not all are in memory at once
        present, sizes, elements = [], [], _no_elements()
        for row, structure in self._measured(X, rows):
            present.append(row)
            sizes.append(len(structure.numbers))
            elements[structure.numbers] = True
        if not present:
            raise ValueError(self._without_structures("in the rows to learn from"))
        self.elements = np.flatnonzero(elements)
        self.size = 1.0 if self.is_periodic else float(np.mean(sizes))
        chosen = np.array(present)[_evenly(len(present), _ENOUGH)]
        some = list(self._measured(X, chosen))
        weight = np.ones(len(some)) if sample_weight is None else sample_weight[chosen]
        self.known = [structure for _, structure in some]
        values = self._learn(some, weight, len(X))
        self.known_values = ((values - self.mean) / self.unit).astype(np.float32)
        if rows is not None:  # those that early stopping holds out are no news
            self.note_unlearnt(X)
        self.numeric = self.columns.positions * self._n_values
        return self

    def _learn(
        self, some: list[tuple[int, Structure]], weight: np.ndarray, n_rows: int
    ) -> np.ndarray:
        """Learn from some structures of a table; return the values that come back for each."""
        n_kept = -(-_ENOUGH_ATOMS * len(some) // sum(len(s.numbers) for _, s in some))
        with_atoms = np.array(_evenly(len(some), n_kept))
        values = np.empty((len(some), self._n_values))
        densities, counts = _Growing(), _Growing()
        others = np.setdiff1d(np.arange(len(some)), with_atoms)
        # without angles and pairs, which the values that come back do not need
        plain = replace(self.geometry, n_angular=0, message_cutoff=0.0)
        for geometry, own in ((self.geometry, with_atoms), (plain, others)):
            places = iter(own)
            # as many as of the whole table: where these are too many to keep, so are the first
            current = CACHE.begin(n_rows)
            for chunk, found in self._with_surroundings((some[i] for i in own), geometry, current):
                at = list(islice(places, len(chunk)))
                values[at] = self._values([structure for _, structure in chunk], found)
                if own is with_atoms:
                    densities.add(np.concatenate([around.densities for around in found]))
                    shares = (around.shares for around in found)
                    counts.add(
                        np.concatenate([w * p for w, p in zip(weight[at], shares, strict=True)])
                    )
        self._learn_values(values, weight)
        self._learn_directions(densities.array(), counts.array())
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
        """Standardise features of surroundings; if there are too many, reduce them by PCA."""
        self.centre, covariance = moments(densities, counts)
        deviation = np.sqrt(covariance.diagonal())
        varies = deviation > 1e-4 * max(deviation.max(), 1e-12)
        scale = np.where(varies, 1 / np.where(varies, deviation, 1.0), 0.0)
        if len(scale) <= self._n_features:
            self.projection = np.diag(scale)
            return
        variances, directions = np.linalg.eigh(scale[:, None] * covariance * scale)
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
        """Yield rows with their structures, None where missing."""
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
                    f" {STRUCTURE_OF_A_WORD}; or, where compositions are all there is, give "
                    "shares of elements as columns of numbers."
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

    def _measured(
        self, X: pd.DataFrame | np.ndarray, rows: np.ndarray | None
    ) -> Iterator[tuple[int, Structure]]:
        """Yield the rows that have a structure, with it."""
        for row, structure in self._structures(X, rows):
            if structure is not None:
                yield row, structure

    def _with_surroundings(
        self,
        structures: Iterable[tuple[int, Structure]],
        geometry: Geometry,
        current: CachePass,
    ) -> Iterator[tuple[list[tuple[int, Structure]], list[Surroundings]]]:
        """Yield structures with the surroundings of their atoms, some hundred at a time.

        Parameters
        ----------
        structures : iterable of (int, Structure)
            With their rows. They are asked for as they are needed.
        geometry : Geometry
        current : CachePass
            That the structures are a part of.

        Yields
        ------
        list of (int, Structure)
        list of Surroundings
        """
        left = iter(structures)
        while chunk := list(islice(left, _AT_ONCE)):
            part = [structure for _, structure in chunk]
            try:
                found = CACHE.find(part, geometry, self.channels, current)
            except SurroundingsError as error:
                row = chunk[error.row][0]
                raise ValueError(f"{self._column()} holds, in row {row}, {error}.") from error
            yield chunk, found

    def _column(self) -> str:
        return f"Column {self.columns.labels.name(self.columns.positions[0])}"

    def _without_structures(self, where: str) -> str:
        return (
            f"{self._column()} has no structure {where}: all cells are missing. Drop it, or pass "
            "rows where it was measured."
        )

    def check_cells(self, X: pd.DataFrame | np.ndarray) -> None:
        """Refuse cells that hold no structure, or one of another kind than in ``fit``."""
        for _ in self._of_kind(X):
            pass

    def _of_kind(self, X: pd.DataFrame | np.ndarray) -> Iterator[tuple[int, Structure]]:
        """Yield the rows that have a structure, with it, which is of the kind of ``fit``."""
        for row, structure in self._measured(X, None):
            self._check_kind(row, structure)
            yield row, structure

    def _check_kind(self, row: int, structure: Structure) -> None:
        if structure.periodic.sum() == self.n_directions:
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
            (surroundings) and ``counts``. Where messages are sent, it has ``members`` as well,
            the number of equal atoms; and there are "pairs", with columns ``receiver``,
            ``sender``, ``distance`` and ``number`` (of pairs of their members), two atoms once.
        """
        n_rows = len(X)
        values = np.zeros((n_rows, self._n_values), dtype=self._dtype)
        measured = np.zeros(n_rows, dtype=bool)
        atoms = _Entries(n_rows)
        pairs = _Entries(n_rows) if self.geometry.message_cutoff else None
        # of a table without structures, arrays have their width and type all the same
        atoms.add([], [], self._columns_of_atoms([], []))
        if pairs is not None:
            pairs.add([], [], _columns_of_pairs([], self._dtype))
        unseen = self._count_unseen()
        given, current = self._of_kind(X), CACHE.begin(n_rows)
        for chunk, around in self._with_surroundings(given, self.geometry, current):
            rows = [row for row, _ in chunk]
            structures = [structure for _, structure in chunk]
            measured[rows] = True
            unseen.add(structures)
            values[rows] = (self._values(structures, around) - self.mean) / self.unit
            lengths = [len(own.numbers) for own in around]
            atoms.add(rows, lengths, self._columns_of_atoms(structures, around))
            if pairs is not None:
                edges = [own.edges for own in around]
                lengths = [len(own.source) for own in edges]
                pairs.add(rows, lengths, _columns_of_pairs(edges, self._dtype))
        self._notice_unseen(unseen, n_rows)
        ragged = {"atoms": atoms.ragged()}
        if pairs is not None:
            ragged["pairs"] = pairs.ragged()
        known = np.repeat(measured[:, None], self._n_values, axis=1)
        return Encoded(values, None if measured.all() else known, ragged)

    def _columns_of_atoms(
        self, structures: Sequence[Structure], found: Sequence[Surroundings]
    ) -> dict[str, np.ndarray]:
        """Return the atoms of structures behind each other, equal ones of a structure once."""
        none = np.zeros((0, len(self.centre)), np.float32)
        densities = np.concatenate([none, *(own.densities for own in found)]).astype(self._dtype)
        densities -= self.centre.astype(self._dtype)
        shares = [own.shares for own in found]
        if not self.is_periodic:
            shares = [
                own * (len(structure.numbers) / self.size)
                for own, structure in zip(shares, structures, strict=True)
            ]
        numbers = np.concatenate([np.zeros(0, np.int64), *(own.numbers for own in found)])
        columns = {
            "numbers": _small(numbers),
            "densities": densities @ self.projection.astype(self._dtype),
            "counts": np.concatenate([np.zeros(0), *shares]).astype(self._dtype),
        }
        if self.geometry.message_cutoff:
            members = [np.bincount(own.classes) for own in found]
            columns["members"] = _small(np.concatenate([np.zeros(0, np.int64), *members]))
        return columns

    def _values(
        self, structures: Sequence[Structure], found: Sequence[Surroundings]
    ) -> np.ndarray:
        """Return the values that come back: shares of elements, radial density, size."""
        values = np.zeros((len(structures), self._n_values))
        for own, structure in zip(values, structures, strict=True):
            n_atoms = len(structure.numbers)
            counts = np.bincount(structure.numbers, minlength=LAST_ELEMENT + 1)[self.elements]
            own[self.fields["composition"]] = counts / n_atoms
            own[-1] = np.log(measure(structure) / n_atoms if self.is_periodic else n_atoms)
        values[:, self.fields["radial"]] = [own.radial for own in found]
        return values

    def classes_of(self, structures: Sequence[Structure]) -> list[np.ndarray]:
        """Return the class of each atom, of shape (n_atoms,); atoms of a class enter as one."""
        return [own.classes for own in CACHE.find(structures, self.geometry, self.channels)]

    def can_describe(self, structure: Structure) -> bool:
        """Return whether the surroundings of all atoms of a structure can be described."""
        try:
            CACHE.find([structure], self.geometry, self.channels)
        except SurroundingsError:
            return False
        return True

    # -- decode

    def decode(self, values: np.ndarray) -> list[Piece]:
        """Return the known structure that decoded values are nearest to, as ``ase.Atoms``.

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
        """Describe the encoded values of one row in words and numbers.

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
        """The name of the size of a structure."""
        return SIZES[self.n_directions]

    # -- what else stood in the table of fit

    def note_unlearnt(self, X: pd.DataFrame | np.ndarray) -> None:
        """Record elements that a table of ``fit`` has outside of the training rows."""
        present = _no_elements()
        for _, structure in self._measured(X, None):
            present[structure.numbers] = True
        present[self._unlearnt] = True
        present[self.elements] = False
        self._unlearnt = np.flatnonzero(present)

    def notice_unseen(self, X: pd.DataFrame | np.ndarray) -> None:
        """Warn about elements that were not in the table of ``fit``."""
        unseen = self._count_unseen()
        unseen.add(structure for _, structure in self._measured(X, None))
        self._notice_unseen(unseen, len(X))

    def _count_unseen(self) -> _Unseen:
        return _Unseen(np.concatenate([self.elements, self._unlearnt]))

    def _notice_unseen(self, unseen: _Unseen, n_rows: int) -> None:
        elements = np.flatnonzero(unseen.elements)
        if not len(elements):
            return
        shown = ", ".join(symbol_of(z) for z in elements[:8])
        notice(
            f"{unseen.n_structures} of {n_rows} structures in column "
            f"{self.columns.labels.name(self.columns.positions[0])} have elements that fit did "
            f"not see ({shown}); they enter by their properties alone, such as mass and radius.",
            UnseenCategoryWarning,
            key=(UnseenCategoryWarning, self._column(), shown),
            weight=unseen.n_structures,
        )

    # -- in files

    def get_state(self) -> dict[str, Any]:
        """Return the fitted state as plain values: of structures, arrays."""
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
        """Restore the state of ``get_state``."""
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


def _no_elements() -> np.ndarray:
    """Return marks of atomic numbers, none of them set."""
    return np.zeros(LAST_ELEMENT + 1, dtype=bool)


class _Unseen:
    """Elements that are not among known ones, and the number of structures with any.

    Parameters
    ----------
    known : ndarray of int
        Atomic numbers.

    Attributes
    ----------
    elements : ndarray of bool, shape (119,)
        At the atomic number of each, whether it was there and is not known.
    n_structures : int
    """

    def __init__(self, known: np.ndarray) -> None:
        self._is_new = ~_no_elements()
        self._is_new[known] = False
        self.elements = _no_elements()
        self.n_structures = 0

    def add(self, structures: Iterable[Structure]) -> None:
        """Find unknown elements in some structures."""
        for structure in structures:
            own = structure.numbers[self._is_new[structure.numbers]]
            self.n_structures += bool(len(own))
            self.elements[own] = True


class _Growing:
    """An array that grows at its end.

    It grows in its place where the system can do so, as Linux can with large ones. Parts that are
    put together in the end would be in memory twice.
    """

    def __init__(self) -> None:
        self._array: np.ndarray | None = None
        self._length = 0

    def add(self, values: np.ndarray) -> None:
        """Put values behind those that are there, of the larger of both types."""
        if self._array is None:
            self._array = np.array(values)
        dtype = np.promote_types(self._array.dtype, values.dtype)
        if dtype != self._array.dtype:
            self._array = self._array.astype(dtype)
        stop = self._length + len(values)
        if stop > len(self._array):
            self._resize(max(stop, round(len(self._array) * (1 + _GROWTH))))
        self._array[self._length : stop] = values
        self._length = stop

    def array(self) -> np.ndarray:
        """Return the array, to which nothing is added from then on."""
        assert self._array is not None
        self._resize(self._length)
        return self._array

    def _resize(self, length: int) -> None:
        assert self._array is not None
        # no other name refers to it: it was not given away
        self._array.resize((length, *self._array.shape[1:]), refcheck=False)


class _Entries:
    """The entries of rows behind each other, such as atoms, as they come.

    Parameters
    ----------
    n_rows : int
    """

    def __init__(self, n_rows: int) -> None:
        self._columns: dict[str, _Growing] = {}
        self._starts = np.zeros(n_rows, dtype=np.int64)
        self._lengths = np.zeros(n_rows, dtype=np.int64)
        self._n_entries = 0

    def add(self, rows: list[int], lengths: list[int], columns: Mapping[str, np.ndarray]) -> None:
        """Put the entries of rows behind those that are there."""
        for name, values in columns.items():
            self._columns.setdefault(name, _Growing()).add(values)
        self._starts[rows] = self._n_entries + np.cumsum(lengths, dtype=np.int64) - lengths
        self._lengths[rows] = lengths
        self._n_entries += sum(lengths)

    def ragged(self) -> Ragged:
        """Return all of them."""
        columns = {name: own.array() for name, own in self._columns.items()}
        return Ragged(columns, self._starts, self._lengths)


def _columns_of_pairs(edges: list[Edges], dtype: np.dtype) -> dict[str, np.ndarray]:
    """Return the pairs of neighbours of structures behind each other, in few bytes.

    Atoms are counted in their own structure, and equal ones are one: a byte is enough for all but
    large structures.
    """
    none = np.zeros(0, np.int32)
    return {
        "receiver": _small(np.concatenate([none, *(own.source for own in edges)])),
        "sender": _small(np.concatenate([none, *(own.target for own in edges)])),
        "distance": np.concatenate([none.astype(dtype), *(own.distances for own in edges)]),
        "number": _small(np.concatenate([none, *(own.numbers for own in edges)])),
    }


def _small(counts: np.ndarray) -> np.ndarray:
    """Return counts, 0 or more, in the smallest type that holds all of them and that torch has."""
    most = counts.max(initial=0)
    return counts.astype(next(k for k in _SMALL if most <= np.iinfo(k).max), copy=False)


def moments(values: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the covariance of rows that count by a weight, in double precision.

    Some rows at a time: all of them in this precision would take several times their memory.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_values)
    weight : ndarray of shape (n_rows,)

    Returns
    -------
    mean : ndarray of float64, shape (n_values,)
    covariance : ndarray of float64, shape (n_values, n_values)
    """
    chunks = [slice(k, k + _ATOMS_AT_ONCE) for k in range(0, len(values), _ATOMS_AT_ONCE)]
    sums = [weight[own] @ values[own].astype(np.float64) for own in chunks]
    mean = np.sum(sums, axis=0) / weight.sum()
    covariance = np.zeros((values.shape[1], values.shape[1]))
    for own in chunks:
        steps = values[own] - mean
        covariance += (weight[own, None] * steps).T @ steps
    return mean, covariance / weight.sum()


def measure(structure: Structure) -> float:
    """Return the volume, area or length of the cell's periodic vectors, in Angstrom.

    It is 1 without periodic directions.
    """
    vectors = structure.cell[structure.periodic]
    return float(np.sqrt(np.linalg.det(vectors @ vectors.T)))


def _evenly(n: int, n_most: int) -> list[int]:
    """Return a number of positions, at most, that are spread evenly over all."""
    if n <= n_most:
        return list(range(n))
    return (np.arange(n_most) * n // n_most).tolist()
