"""Columns of structures: given and decoded ones, as numbers that can be compared."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .._atoms._codec import SIZES, measure
from .._atoms._elements import symbol_of
from .._atoms._surroundings import CACHE, Channels, Geometry
from .._tables._structures import Structure, is_structure, read_structure
from ._arrays import pooled_r2

# What came back stands in the `info` of the nearest known structure.
_COMPOSITION, _DENSITY, _DISTANCES = "composition", "radial_density", "distances"
# The size by its name there, and as an axis says it.
_UNITS_OF_SIZES = {
    "volume_per_atom": "Å³ an atom",
    "area_per_atom": "Å² an atom",
    "length_per_atom": "Å an atom",
    "n_atoms": "atoms",
}


# The mean density of all neighbours does not depend on them.
_CHANNELS = Channels.of_elements([1])


class StructureValues(NamedTuple):
    """Structures of a column and their reconstructions.

    Attributes
    ----------
    given, decoded : ndarray of shape (n_samples, n_elements + n_distances + 1)
        Shares of the elements, the square root of the mean radial density, and the logarithm of
        the size; NaN in rows that were not measured.
    elements : list of str
        Symbols.
    distances : ndarray of shape (n_distances,)
        In Angstrom.
    size : str
        Name of the size.
    same_formula : ndarray of bool, shape (n_samples,)
        Whether the reconstructed structure has the same shares of elements.
    """

    given: np.ndarray
    decoded: np.ndarray
    elements: list[str]
    distances: np.ndarray
    size: str
    same_formula: np.ndarray

    @property
    def measured(self) -> np.ndarray:
        """The rows that have a given and a decoded structure."""
        known = np.isfinite(self.given) & np.isfinite(self.decoded)
        return np.asarray(known.all(axis=1))

    def fields(self) -> list[slice]:
        """Return the slices of composition, radial density and size in the values."""
        n_elements, n_values = len(self.elements), self.given.shape[1]
        ends = [0, n_elements, n_values - 1, n_values]
        return [slice(*pair) for pair in zip(ends, ends[1:], strict=False)]

    def row_errors(self) -> np.ndarray:
        """Return the error of each row, in which each field counts the same, by its spread."""
        squares = np.zeros(len(self.given))
        for own in self.fields():
            spread = np.nansum(np.nanvar(self.given[self.measured, own], axis=0))
            error = ((self.given[:, own] - self.decoded[:, own]) ** 2).sum(axis=1)
            squares += error / (spread if spread > 0 else 1.0)
        return np.sqrt(squares / len(self.fields()))

    def r2(self) -> float:
        """Return the mean of the R² of the fields that vary; NaN where none does."""
        found = [
            pooled_r2(self.given[self.measured, own], self.decoded[self.measured, own])
            for own in self.fields()
        ]
        known = [value for value in found if np.isfinite(value)]
        return float(np.mean(known)) if known else np.nan


def has_structures(column: pd.Series) -> bool:
    """Return whether a column's cells hold structures of atoms."""
    return column.dtype == object and any(is_structure(cell) for cell in column)


def compare_structures(given: pd.Series, decoded: pd.Series) -> StructureValues:
    """Read structures and their reconstructions.

    Parameters
    ----------
    given : Series of shape (n_samples,)
        Structures; anything else is not measured.
    decoded : Series of shape (n_samples,)
        The nearest known structures, as ``inverse_transform`` gives them: the decoded values stand
        in their ``info``. A structure without them has its own values.
    """
    infos = [_info_of(cell) for cell in decoded]
    distances = next((np.asarray(info[_DISTANCES], float) for info in infos if info), None)
    geometry = Geometry()
    if distances is not None:
        geometry = Geometry(cutoff=float(distances[-1]), n_radial=len(distances))
    before, after = (
        [read_structure(cell) if is_structure(cell) else None for cell in column]
        for column in (given, decoded)
    )
    symbols = sorted(
        {symbol for own in before if own is not None for symbol in _composition(own)}
        | {symbol for own in after if own is not None for symbol in _composition(own)}
        | {symbol for info in infos if info for symbol in info[_COMPOSITION]}
    )
    values = [_values(own, None, symbols, geometry) for own in before]
    back = [_values(own, info, symbols, geometry) for own, info in zip(after, infos, strict=True)]
    first = next((own for own in before if own is not None), None)
    return StructureValues(
        np.array(values),
        np.array(back),
        symbols,
        geometry.distances,
        "" if first is None else _UNITS_OF_SIZES[_size_name(first)],
        np.array([_same_formula(*pair) for pair in zip(before, after, strict=True)]),
    )


def _info_of(cell: Any) -> dict[str, Any] | None:
    """Return the decoded values in the ``info`` of a structure, if there are any."""
    info = getattr(cell, "info", None)
    names = (_COMPOSITION, _DENSITY, _DISTANCES)
    return info if isinstance(info, dict) and all(name in info for name in names) else None


def _composition(structure: Structure) -> dict[str, float]:
    """Return the shares of the elements by their symbols."""
    numbers, counts = np.unique(structure.numbers, return_counts=True)
    shares = counts / counts.sum()
    return {symbol_of(z): float(share) for z, share in zip(numbers, shares, strict=True)}


def _same_formula(first: Structure | None, second: Structure | None) -> bool:
    if first is None or second is None:
        return False
    one, other = _composition(first), _composition(second)
    return one.keys() == other.keys() and all(np.isclose(one[k], other[k]) for k in one)


def _size_name(structure: Structure) -> str:
    """Name the size as the ``info`` of decoded structures does."""
    return SIZES[int(structure.periodic.sum())]


def _values(
    structure: Structure | None,
    info: dict[str, Any] | None,
    symbols: list[str],
    geometry: Geometry,
) -> np.ndarray:
    """Return the values of a structure, or the decoded ones beside it; NaN without one."""
    if structure is None:
        return np.full(len(symbols) + geometry.n_radial + 1, np.nan)
    name = _size_name(structure)
    n_atoms = len(structure.numbers)
    if info is not None:
        shares, density, size = info[_COMPOSITION], info[_DENSITY], info.get(name, np.nan)
    else:
        shares = _composition(structure)
        density = CACHE.find([structure], geometry, _CHANNELS)[0].radial
        size = n_atoms if name == "n_atoms" else measure(structure) / n_atoms
    composition = [shares.get(symbol, 0.0) for symbol in symbols]
    return np.concatenate([composition, density, [np.log(size)]])
