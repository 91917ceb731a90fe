"""Constraints on candidates: fixed values, bounds, sums, and libraries of allowed rows."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .._tables._cells import cell_keys
from .._tables._input import as_array, n_dims, to_pandas
from ._candidates import Candidates
from ._columns import CandidateColumns
from ._library import Library, read_arrays, read_fixed_array

# A sum is kept to this fraction of what it sums up.
SUM_TOLERANCE = 1e-6
# Halvings of the interval in which the shift of a sum lies: more than a double has bits.
_N_HALVINGS = 60


class Constraints:
    """Constraints on the columns of candidates: bounds, fixed values, sums, rows of a library.

    Parameters
    ----------
    columns : CandidateColumns
    fixed, bounds, sums, library
        As in ``propose``.

    Attributes
    ----------
    low, high : ndarray of shape (n_features,)
        Of numeric columns; equal where fixed.
    allowed : dict of int to ndarray of bool, shape (n_categories,)
        Of categorical columns.
    sums : list of (list of int, float)
    constrained : set of int
        Columns of ``bounds`` and ``fixed``.
    libraries : list of Library
        Allowed rows of some columns, or of blocks of arrays; of one that is fixed, the one row.

    Raises
    ------
    ValueError
        If they contradict each other, or name an unknown column or category; the message has the
        numbers.
    """

    def __init__(
        self,
        columns: CandidateColumns,
        fixed: Mapping[Hashable, Any] | None,
        bounds: Mapping[Hashable, Any] | None,
        sums: Sequence[tuple[Any, float]] | None,
        library: Any = None,
    ) -> None:
        self.columns = columns
        self.low, self.high = columns.low.copy(), columns.high.copy()
        self.allowed = {j: np.ones(len(c), dtype=bool) for j, c in columns.categories.items()}
        self.constrained: set[int] = set()
        self.libraries: list[Library] = []
        for key, value in _items(bounds, "bounds"):
            j = columns.position(key, "bounds")
            if j in self.allowed:
                self._bound_categories(j, value)
            else:
                self._bound(j, value)
            self.constrained.add(j)
        for key, value in _items(fixed, "fixed"):
            own = columns.array(key, "fixed")
            if own is not None:
                self._add_library("fixed", arrays={own.name: read_fixed_array(own, value)})
                continue
            j = columns.position(key, "fixed")
            self._fix(j, value, is_bounded=j in self.constrained)
            self.constrained.add(j)
        # after the bounds and fixed values, which say which sums there can be
        self.sums: list[tuple[list[int], float]] = []
        for entry in _entries(sums):
            self._add_sum(entry)
        self._read_library(library)
        self._stock_the_rest()

    def project(self, numbers: Tensor) -> Tensor:
        """Bring numeric columns into their bounds and sums, by the smallest shifts.

        Parameters
        ----------
        numbers : Tensor of shape (n_candidates, n_numeric)
            In the units of the columns.

        Returns
        -------
        Tensor of the same shape
            With gradients.
        """
        numeric = self.columns.numeric
        low, high = (torch.from_numpy(ends[numeric]) for ends in (self.low, self.high))
        projected = numbers.clamp(low, high)
        for tied, total in self.sums:
            own = [numeric.index(j) for j in tied]
            # of the numbers as they were given: from clipped ones, another point were the nearest
            part = project_to_sum(numbers[:, own], low[own], high[own], total)
            projected = projected.index_copy(1, torch.tensor(own), part)
        return projected

    def logits(self, j: int, logits: Tensor) -> Tensor:
        """Rule out the categories of a column that are not allowed."""
        return logits.masked_fill(~torch.from_numpy(self.allowed[j]), -torch.inf)

    def snap(self, candidates: Candidates) -> Candidates:
        """Bring the columns of each library to its nearest row; categories must be decided."""
        for library in self.libraries:
            candidates = library.snap(candidates)
        return candidates

    @property
    def pinned(self) -> list[int]:
        """Places of the libraries' columns among the numeric ones."""
        return [place for library in self.libraries for place in library.pinned]

    @property
    def leaves_some_free(self) -> bool:
        """Whether any column can vary besides the rows of libraries."""
        taken = {j for library in self.libraries for j in library.positions}
        return (
            any(self.low[j] < self.high[j] for j in self.columns.numeric if j not in taken)
            or any(own.sum() > 1 for j, own in self.allowed.items() if j not in taken)
            or any(own.positions[0] not in taken for own in self.columns.arrays.values())
        )

    def keeps_sums(self, candidates: Candidates) -> np.ndarray:
        """Return which candidates keep the sums, which rounding of integers may break."""
        keeps = np.ones(candidates.n_rows, dtype=bool)
        for tied, total in self.sums:
            own = [self.columns.numeric.index(j) for j in tied]
            sums = candidates.numbers[:, own].sum(dim=1).numpy()
            keeps &= np.abs(sums - total) <= SUM_TOLERANCE * max(1.0, abs(total))
        return keeps

    # -- reading of bounds and fixed values

    def _bound_categories(self, j: int, value: Any) -> None:
        name = self.columns.name(j)
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise ValueError(
                f"The 'bounds' parameter must give a list of categories for column {name}, "
                f"got {value!r}."
            )
        chosen = list(value)
        for category in chosen:
            self._code(j, category, "bounds")
        if not chosen:
            raise ValueError(f"The 'bounds' parameter leaves column {name} no category.")
        categories = self.columns.categories[j].tolist()
        self.allowed[j] = np.array([category in chosen for category in categories], dtype=bool)

    def _bound(self, j: int, value: Any) -> None:
        name = self.columns.name(j)
        try:
            low, high = (float(end) for end in value)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"The 'bounds' parameter must give (low, high) for column {name}, got {value!r}."
            ) from error
        if not low <= high or low == np.inf or high == -np.inf:
            raise ValueError(
                "The 'bounds' parameter must leave finite numbers, with low <= high; column "
                f"{name} has ({low:g}, {high:g})."
            )
        if self.columns.is_integer[j]:
            if np.ceil(low) > np.floor(high):
                raise ValueError(
                    f"The 'bounds' parameter leaves column {name}, which has whole numbers, none "
                    f"between {low:g} and {high:g}."
                )
            # so that rounding, once all is decided, does not leave the bounds
            low, high = np.ceil(low), np.floor(high)
        self.low[j], self.high[j] = low, high

    def _fix(self, j: int, value: Any, *, is_bounded: bool) -> None:
        name = self.columns.name(j)
        if j in self.allowed:
            code = self._code(j, value, "fixed")
            if not self.allowed[j][code]:
                raise ValueError(
                    f"Column {name} is fixed at {value!r}, which is not one of the categories "
                    "that 'bounds' leaves it."
                )
            self.allowed[j] = np.zeros(len(self.allowed[j]), dtype=bool)
            self.allowed[j][code] = True
            return
        self._check_number(j, value, "fixed")
        if is_bounded and not self.low[j] <= value <= self.high[j]:
            raise ValueError(
                f"Column {name} is fixed at {value:g}, outside its bounds ({self.low[j]:g}, "
                f"{self.high[j]:g})."
            )
        self.low[j] = self.high[j] = float(value)

    def _check_number(self, j: int, value: Any, parameter: str) -> None:
        """Check a value of a numeric column."""
        name, is_whole = self.columns.name(j), self.columns.is_integer[j]
        is_number = isinstance(value, Real) and (is_whole or not isinstance(value, bool))
        if not (is_number or isinstance(value, np.bool_)) or not np.isfinite(float(value)):
            raise ValueError(
                f"The '{parameter}' parameter must give a finite number for column {name}, got "
                f"{value!r}."
            )
        if is_whole and float(value) != round(float(value)):
            raise ValueError(
                f"The '{parameter}' parameter must give a whole number for column {name}, as all "
                f"of its known values are, got {value!r}."
            )

    def _code(self, j: int, category: Hashable, parameter: str) -> int:
        """Return the position of a category among those of its column."""
        categories = self.columns.categories[j]
        found = np.flatnonzero(categories.astype(object) == category)
        if not len(found):
            raise ValueError(
                f"The '{parameter}' parameter names the category {category!r} of column "
                f"{self.columns.name(j)}, which was never seen {self.columns.seen}; the "
                f"categories are {categories.tolist()}."
            )
        return int(found[0])

    # -- reading of sums

    def _add_sum(self, entry: Any) -> None:
        try:
            keys, total = entry
            total = float(total)
            keys = [keys] if isinstance(keys, str) else list(keys)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"The 'sums' parameter must be a list of (columns, total), got {entry!r} in it."
            ) from error
        if not keys or not np.isfinite(total):
            raise ValueError(
                f"The 'sums' parameter must tie columns to a finite total, got {entry!r} in it."
            )
        tied = [self.columns.position(key, "sums") for key in keys]
        taken = {j for others, _ in self.sums for j in others}
        for j in tied:
            name = self.columns.name(j)
            if j in self.allowed:
                raise ValueError(f"The 'sums' parameter names {name}, which holds categories.")
            if j in taken or tied.count(j) > 1:
                raise ValueError(f"The 'sums' parameter names column {name} twice.")
        low, high = self.low[tied].sum(), self.high[tied].sum()
        slack = SUM_TOLERANCE * max(1.0, abs(total))
        if not low - slack <= total <= high + slack:
            raise ValueError(
                f"The columns {keys} are to sum up to {total:g}, but their bounds allow only sums "
                f"from {low:g} to {high:g}."
            )
        self._close_infinite_ends(tied, total)
        self.sums.append((tied, total))

    def _close_infinite_ends(self, tied: list[int], total: float) -> None:
        """Replace infinite ends within a sum by the range that the other columns leave.

        The projection halves an interval, which must have two ends.
        """
        low, high = self.low.copy(), self.high.copy()
        for j in tied:
            others = [i for i in tied if i != j]
            if np.isinf(high[j]):
                self.high[j] = max(total - low[others].sum(), low[j])
            if np.isinf(low[j]):
                self.low[j] = min(total - high[others].sum(), self.high[j])
            if not np.isfinite([self.low[j], self.high[j]]).all():
                raise ValueError(
                    f"The 'sums' parameter needs finite bounds: column {self.columns.name(j)} has "
                    f"({low[j]:g}, {high[j]:g}), and the other columns leave it "
                    f"({self.low[j]:g}, {self.high[j]:g})."
                )

    # -- libraries

    def _read_library(self, library: Any) -> None:
        """Read the parameter: a table, a dict of blocks, or the arrays of the only block."""
        if library is None:
            return
        arrays = list(self.columns.arrays.values())
        if isinstance(library, Mapping):
            blocks = {self.columns.known_array(k, "library"): v for k, v in library.items()}
            if len(blocks) < len(library) or not blocks:
                raise ValueError(
                    "The 'library' parameter must give each block once, and one at least, got "
                    f"{list(library)}."
                )
        elif len(arrays) == self.columns.n_columns == 1 and (
            arrays[0].is_stocked or n_dims(as_array(library)) > 1
        ):
            blocks = {arrays[0]: library}
        else:
            self._read_table(to_pandas(library, "library"))
            return
        for own, rows in blocks.items():
            read = read_arrays(own, rows, "library", self.columns.labels)
            self._add_library("library", arrays={own.name: read})

    def _stock_the_rest(self) -> None:
        """Use the known rows as the library of blocks whose arrays cannot be generated."""
        taken = {name for library in self.libraries for name in library.arrays}
        for name, own in self.columns.arrays.items():
            if own.is_stocked and name not in taken:
                distinct = np.unique(cell_keys(own.stock[:, 0]), return_index=True)[1]
                self._add_library("library", arrays={name: own.stock[np.sort(distinct)]})

    def _read_table(self, library: Any) -> None:
        """Read the rows of a table that keep all other constraints."""
        is_frame = isinstance(library, pd.DataFrame)
        if not is_frame or not library.size:
            raise ValueError(
                "The 'library' parameter must be a DataFrame with at least one row and column, or "
                "a dict of such by block, "
                f"got {f'one of shape {library.shape}' if is_frame else type(library).__name__}."
            )
        owners = [self.columns.owner(key, "library") for key in library]
        arrays = {}
        for own in {own.name: own for own in owners if own is not None}.values():
            part = library.iloc[:, [i for i, owner in enumerate(owners) if owner is own]]
            arrays[own.name] = read_arrays(own, part, "library", self.columns.labels)
        others = library.iloc[:, [i for i, owner in enumerate(owners) if owner is None]]
        positions = [self.columns.position(key, "library") for key in others]
        tied = {j for own, _ in self.sums for j in own}
        allowed = np.ones(len(library), dtype=bool)
        for i, j in enumerate(positions):
            if j in tied or positions.count(j) > 1:
                raise ValueError(
                    f"The 'library' parameter has column {self.columns.name(j)}, which stands in "
                    "it twice or is tied by a sum."
                )
            allowed &= self._allowed_in_library(j, others.iloc[:, i])
        if not allowed.any():
            raise ValueError(
                f"None of the {len(library)} rows of the 'library' parameter keeps the bounds "
                "and fixed values."
            )
        kept = {j: others.iloc[allowed, i] for i, j in enumerate(positions)}
        self._add_library(
            "library",
            numbers={j: v.to_numpy() for j, v in kept.items() if j not in self.allowed},
            codes={j: self._codes(j, v) for j, v in kept.items() if j in self.allowed},
            arrays={name: rows[allowed] for name, rows in arrays.items()},
        )

    def _add_library(
        self,
        parameter: str,
        numbers: Mapping[int, np.ndarray] | None = None,
        codes: Mapping[int, np.ndarray] | None = None,
        arrays: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        taken = [name for library in self.libraries for name in library.arrays]
        for name in arrays or ():
            if name in taken:
                raise ValueError(
                    f"The '{parameter}' parameter gives the block {name!r}, which is fixed or has "
                    "a library already."
                )
        self.libraries.append(Library(self.columns, numbers or {}, codes or {}, arrays or {}))

    def _allowed_in_library(self, j: int, values: pd.Series) -> np.ndarray:
        """Return which of the library's values of a column keep its bounds, of shape (n_rows,)."""
        if values.isna().any():
            raise ValueError(
                f"The 'library' parameter has missing values in column {self.columns.name(j)}. "
                "Fill them first, such as with the estimator's complete, or drop the rows."
            )
        if j in self.allowed:
            return self.allowed[j][self._codes(j, values)]
        for value in values.tolist():
            self._check_number(j, value, "library")
        # a value in the library is known, also where it lies outside the known rows' range
        if j not in self.constrained:
            return np.ones(len(values), dtype=bool)
        numbers = values.to_numpy(dtype=np.float64)
        return (numbers >= self.low[j]) & (numbers <= self.high[j])

    def _codes(self, j: int, values: pd.Series) -> np.ndarray:
        """Return the positions of the library's categories of a column, of shape (n_rows,)."""
        return np.array([self._code(j, value, "library") for value in values.tolist()], dtype=int)


def project_to_sum(values: Tensor, low: Tensor, high: Tensor, total: float) -> Tensor:
    """Return the nearest values within bounds that sum up to a total.

    They are the values shifted by one number and clipped, where the number follows from the sum.

    Parameters
    ----------
    values : Tensor of shape (n_rows, n_columns)
    low, high : Tensor of shape (n_columns,)
        With ``low.sum() <= total <= high.sum()``.
    total : float

    Returns
    -------
    Tensor of shape (n_rows, n_columns)
        With gradients.
    """
    with torch.no_grad():
        # at these shifts all values are clipped to one end: the sum rises between them
        below = (low - values).min(dim=1, keepdim=True).values
        above = (high - values).max(dim=1, keepdim=True).values
        for _ in range(_N_HALVINGS):
            shift = (below + above) / 2
            is_short = (values + shift).clamp(low, high).sum(dim=1, keepdim=True) < total
            below, above = torch.where(is_short, shift, below), torch.where(is_short, above, shift)
        shift = (below + above) / 2
        is_free = ((values + shift > low) & (values + shift < high)).to(values.dtype)
        n_free = is_free.sum(dim=1, keepdim=True).clamp(min=1)
    # The halvings have no derivative, but the shift has: a gain of one free value is given back by
    # all free ones in equal parts. The term is 0, and only its derivative enters.
    moved = (is_free * values).sum(dim=1, keepdim=True) / n_free
    return (values + shift - (moved - moved.detach())).clamp(low, high)


def _entries(sums: Any) -> Iterable[Any]:
    if sums is None:
        return []
    if isinstance(sums, str) or not isinstance(sums, Iterable):
        raise TypeError(f"The 'sums' parameter must be a list of (columns, total), got {sums!r}.")
    return sums


def _items(given: Any, parameter: str) -> Iterable[tuple[Hashable, Any]]:
    if given is None:
        return []
    if not isinstance(given, Mapping):
        raise TypeError(f"The '{parameter}' parameter must be a dict of columns, got {given!r}.")
    return given.items()
