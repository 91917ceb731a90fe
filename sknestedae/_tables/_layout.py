"""A block's values, and their layout: numbers first, then one-hot groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from .._persistence import public

# The block of every column that no block was asked for.
DEFAULT_BLOCK = "table"


@public("sknestedae.blocks")
@dataclass(frozen=True)
class Layout:
    """The order of a block's values along the last axis: numbers, then one-hot groups.

    Parameters
    ----------
    n_numeric : int
        Number of numeric columns; they come first, one value each.
    n_categories : tuple of int
        Number of categories of each categorical column; a one-hot group each, in this order.
    shape : tuple of int, default=()
        Of the numbers, where they are one array in C order: ``(n_channels,)`` of a spectrum,
        ``(height, width)`` or ``(channels, height, width)`` of an image. ``()`` where each number
        stands for itself.
    ragged : tuple of (str, int), default=()
        Of what enters the encoder beside the values where rows have several lengths: name, and
        number of numbers of an entry, such as ``("atoms", 140)``.
    is_standardized : bool, default=True
        Whether the numbers are in units of their standard deviations, about their means.
    """

    n_numeric: int
    n_categories: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    ragged: tuple[tuple[str, int], ...] = ()
    is_standardized: bool = True

    @property
    def n_values(self) -> int:
        """Width of the block's values."""
        return self.n_numeric + sum(self.n_categories)

    @property
    def n_columns(self) -> int:
        """Number of the block's entries: each number, and each category."""
        return self.n_numeric + len(self.n_categories)

    def spread(self, columns: np.ndarray) -> np.ndarray:
        """Repeat the entry of each column for each of its values, along the last axis."""
        widths = [1] * self.n_numeric + list(self.n_categories)
        return np.repeat(columns, widths, axis=-1)

    def groups(self) -> Iterator[slice]:
        """Yield the slice of each categorical column's one-hot group."""
        start = self.n_numeric
        for width in self.n_categories:
            yield slice(start, start + width)
            start += width


@public("sknestedae.blocks")
@dataclass(frozen=True)
class Ragged:
    """Rows of several lengths, such as sets of atoms: the entries of all rows, behind each other.

    Parameters
    ----------
    columns : dict of str to ndarray of shape (n_entries, ...)
        Numbers of each entry, by name.
    starts : ndarray of int64, shape (n_samples,)
        Where the entries of each row begin.
    lengths : ndarray of int64, shape (n_samples,)
        How many each row has.

    Examples
    --------
    >>> import numpy as np
    >>> from sknestedae.blocks import Ragged
    >>> sets = Ragged.of_rows([{"mass": np.array([1.0, 16.0])}, {"mass": np.array([12.0])}])
    >>> sets.columns["mass"]
    array([ 1., 16., 12.])
    >>> sets.take(np.array([1])).starts
    array([2])
    """

    columns: Mapping[str, np.ndarray]
    starts: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of_rows(cls, rows: Sequence[Mapping[str, np.ndarray]]) -> Ragged:
        """Put the entries of rows behind each other.

        Parameters
        ----------
        rows : sequence of dict of str to ndarray of shape (n_entries_of_row, ...)
            All with the same columns; a row without entries has arrays of length 0.

        Raises
        ------
        ValueError
            If there are no rows, or the columns of a row differ in length.
        """
        if not rows:
            raise ValueError("rows must have one row at least, which says the columns; got [].")
        names = list(rows[0])
        for i, row in enumerate(rows):
            found = {name: len(row[name]) for name in names}
            if len(set(found.values())) > 1:
                raise ValueError(
                    f"All columns of a row must have one length; in row {i} of rows they have "
                    f"{found}."
                )
        columns = {name: np.concatenate([row[name] for row in rows]) for name in names}
        lengths = np.array([len(row[names[0]]) for row in rows], dtype=np.int64)
        return cls(columns, np.cumsum(lengths) - lengths, lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, rows: np.ndarray) -> Ragged:
        """Return some rows; the entries themselves are shared."""
        return Ragged(self.columns, self.starts[rows], self.lengths[rows])


@public("sknestedae.blocks")
class Encoded(NamedTuple):
    """The values of one block, and a mask of the measured entries.

    ``values`` is an ndarray of shape (n_samples, layout.n_values), as the decoder returns them.
    ``measured`` is a bool ndarray of shape (n_samples, layout.n_columns), or None where every
    entry was. ``ragged`` has other inputs of the encoder, by name, where rows have several
    lengths.
    """

    values: np.ndarray
    measured: np.ndarray | None
    ragged: Mapping[str, Ragged] = MappingProxyType({})

    def present(self) -> np.ndarray:
        """Return in which rows any entry was measured, of shape (n_samples,)."""
        if self.measured is None:
            return np.ones(len(self.values), dtype=bool)
        return np.asarray(self.measured.any(axis=1))

    def take(self, rows: np.ndarray) -> Encoded:
        """Return some rows."""
        measured = None if self.measured is None else self.measured[rows]
        ragged = {name: own.take(rows) for name, own in self.ragged.items()}
        return Encoded(self.values[rows], measured, ragged)
