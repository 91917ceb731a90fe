"""A library: a table of allowed rows; each candidate has one of them in some columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .._tables._cells import read_cell
from .._tables._input import as_array, to_pandas
from .._tables._structures import is_structure
from ._candidates import Candidates
from ._columns import ArrayColumns, CandidateColumns


class Library:
    """Rows that some columns of candidates are taken from, all of a row together.

    Parameters
    ----------
    columns : CandidateColumns
    numbers : dict of int to ndarray of shape (n_rows,)
        Of numeric columns, by their positions.
    codes : dict of int to ndarray of int, shape (n_rows,)
        Of categorical columns, by their positions.
    arrays : dict of str to ndarray of shape (n_rows, n_positions)
        Of blocks of arrays, by their names.

    Attributes
    ----------
    values : dict of str to Tensor of shape (n_rows, n_values)
        Of the blocks of arrays, as the first member of an ensemble encodes them.
    first : dict of str to int
        Of the blocks of arrays, the number of the first row in candidates: its position in the
        stock of a block that has one, else 0.
    """

    def __init__(
        self,
        columns: CandidateColumns,
        numbers: Mapping[int, np.ndarray],
        codes: Mapping[int, np.ndarray],
        arrays: Mapping[str, np.ndarray],
    ) -> None:
        self.columns = columns
        self.arrays = dict(arrays)
        self._n_rows = len([*numbers.values(), *codes.values(), *arrays.values()][0])
        self.numbers = {j: torch.from_numpy(np.array(v, np.float64)) for j, v in numbers.items()}
        # (n_rows, n_categories) each
        self.shares = {
            j: torch.eye(len(columns.categories[j]), dtype=torch.float64)[torch.from_numpy(own)]
            for j, own in codes.items()
        }
        self.first: dict[str, int] = {}
        self.values: dict[str, Tensor] = {}
        for name, rows in arrays.items():
            own = columns.arrays[name]
            self.first[name] = own.add_to_stock(rows) if own.is_stocked else 0
            if own.is_stocked:
                self.values[name] = own.values_of_stock[self.first[name] :]
            else:
                self.values[name] = torch.from_numpy(own.encode(rows).values)

    def __len__(self) -> int:
        return self._n_rows

    @property
    def positions(self) -> set[int]:
        """Positions of its columns."""
        of_arrays = (self.columns.arrays[name].positions for name in self.arrays)
        return {*self.numbers, *self.shares, *(j for own in of_arrays for j in own)}

    @property
    def pinned(self) -> list[int]:
        """Places of its columns among the numeric ones."""
        return [self.columns.places[j] for j in self.numbers]

    def place(self, candidates: Candidates, rows: Tensor) -> Candidates:
        """Set the library's columns of each candidate to a row of the library.

        Parameters
        ----------
        candidates : Candidates
        rows : Tensor of int64, shape (n_candidates,)
            Positions in the library.
        """
        numbers, shares = candidates.numbers, dict(candidates.shares)
        if self.numbers:
            numbers = numbers.clone()
            for j, values in self.numbers.items():
                numbers[:, self.columns.places[j]] = values[rows]
        shares |= {j: own[rows] for j, own in self.shares.items()}
        arrays = {k: own for k, own in candidates.arrays.items() if k not in self.arrays}
        own = {name: rows + first for name, first in self.first.items()}
        return Candidates(numbers, shares, arrays, {**candidates.rows, **own})

    def snap(self, candidates: Candidates) -> Candidates:
        """Bring the library's columns to its nearest row; those that have a row keep it.

        Parameters
        ----------
        candidates : Candidates
            With decided categories.

        Returns
        -------
        Candidates
            As many.
        """
        if any(name in candidates.rows for name in self.arrays):
            return candidates
        ours, theirs = [], []
        for j, values in self.numbers.items():
            scale = self.columns.scale[j]
            ours.append(candidates.numbers[:, [self.columns.places[j]]] / scale)
            theirs.append(values[:, None] / scale)
        for j, shares in self.shares.items():
            ours.append(candidates.shares[j])
            theirs.append(shares)
        for name, values in self.values.items():
            weight = torch.from_numpy(self.columns.arrays[name].weight)
            ours.append(candidates.arrays[name] * weight)
            theirs.append(values * weight)
        nearest = torch.cdist(torch.cat(ours, dim=1), torch.cat(theirs, dim=1)).argmin(dim=1)
        return self.place(candidates, nearest)


# ---------------------------------------------------------------------------------------------
# Reading of arrays


def read_arrays(own: ArrayColumns, given: Any, parameter: str, labels: list[Any]) -> np.ndarray:
    """Read rows of a block of arrays that a parameter gives.

    Parameters
    ----------
    own : ArrayColumns
    given : array of shape (n_rows, *shape) or (n_rows, n_entries), DataFrame, or list of arrays
        A DataFrame has the block's columns; a Series, as a list, has an array in each element.
    parameter : str
    labels : list
        Of all columns of the known rows.

    Returns
    -------
    ndarray of shape (n_rows, n_positions)

    Raises
    ------
    TypeError
        If it holds other things than arrays of numbers.
    ValueError
        If there is no row, an array has another shape, or is missing.
    """
    where = f"The '{parameter}' parameter, for the block {own.name!r},"
    given = to_pandas(given, parameter)
    if isinstance(given, pd.DataFrame):
        cells = _cells_of_frame(own, given, where, labels)
    elif is_structure(given):
        raise TypeError(f"{where} must give a list of structures, got one: {given!r:.60}.")
    elif hasattr(as_array(given), "__len__") and not isinstance(given, str):
        cells = list(as_array(given))
    else:
        raise TypeError(f"{where} must give rows that are arrays, got {given!r:.60}.")
    if not len(cells):
        raise ValueError(f"{where} must give at least one row, got none.")
    if own.is_stocked:
        return _read_structures(cells, where)
    rows = [_read_array(own, cell, f"{where} row {i}:") for i, cell in enumerate(cells)]
    return _as_columns(own, rows)


def read_fixed_array(own: ArrayColumns, given: Any) -> np.ndarray:
    """Read the one array that the parameter ``fixed`` gives a block.

    Parameters
    ----------
    own : ArrayColumns
    given : array of shape (*shape) or (n_entries,), or Series

    Returns
    -------
    ndarray of shape (1, n_positions)

    Raises
    ------
    TypeError, ValueError
        As of ``read_arrays``.
    """
    where = f"The 'fixed' parameter, for the block {own.name!r}:"
    if own.is_stocked:
        return _read_structures([given], where)
    given = to_pandas(given, "fixed")
    cell = given.to_numpy() if isinstance(given, pd.Series) else given
    return _as_columns(own, [_read_array(own, cell, where)])


def _read_structures(cells: Sequence[Any], where: str) -> np.ndarray:
    """Return structures of atoms as rows of one column, of shape (n_rows, 1)."""
    rows = np.empty((len(cells), 1), dtype=object)
    for i, cell in enumerate(cells):
        if not is_structure(cell):
            raise TypeError(
                f"{where} must give structures of atoms; row {i} is {cell!r:.60}, which is "
                f"{type(cell).__name__}."
            )
        rows[i, 0] = cell
    return rows


def _as_columns(own: ArrayColumns, arrays: list[np.ndarray]) -> np.ndarray:
    """Return arrays as rows of a block's columns, of shape (n_rows, n_positions)."""
    if not own.has_cells:
        return np.stack([array.ravel() for array in arrays])
    found = np.empty((len(arrays), 1), dtype=object)
    for i, array in enumerate(arrays):
        found[i, 0] = array.reshape(own.shape)
    return found


def _cells_of_frame(
    own: ArrayColumns, given: pd.DataFrame, where: str, labels: list[Any]
) -> list[Any]:
    """Return the arrays in the columns of a DataFrame, one a row."""
    wanted = [labels[j] for j in own.positions]
    inner = [label[-1] if isinstance(label, tuple) else label for label in wanted]
    names = list(given.columns)
    for known in (wanted, inner):
        if len(set(known)) == len(known) and set(known) == set(names):
            ordered = given.iloc[:, [names.index(label) for label in known]]
            return list(ordered.iloc[:, 0]) if own.has_cells else list(ordered.to_numpy())
    raise ValueError(
        f"{where} must have all columns of the block and no others, {len(wanted)} such as "
        f"{wanted[-1]!r}; it has {len(names)}, such as {names[-1]!r}."
    )


def _read_array(own: ArrayColumns, cell: Any, where: str) -> np.ndarray:
    """Read one array of a block: of its shape, or flattened to its entries."""
    try:
        array = read_cell(cell)
    except TypeError as error:
        raise TypeError(f"{where} it holds {error}.") from error
    if array is None:
        raise ValueError(f"{where} it is missing; it must be an array.")
    if array.shape not in (own.shape, (prod(own.shape),)):
        raise ValueError(
            f"{where} it has the shape {array.shape}, but the estimator was fitted with arrays of "
            f"the shape {own.shape}."
        )
    numbers = array.astype(np.float64)
    if np.isinf(numbers).any() or np.isnan(numbers).all():
        what = "infinity" if np.isinf(numbers).any() else "missing values alone"
        raise ValueError(f"{where} it holds {what}; give numbers.")
    return array
