"""What a candidate may be: columns that are fixed, bounded, tied by a sum, or from a list."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from pandas.api.types import is_bool_dtype, is_integer_dtype
from torch import Tensor

from .._tables._columns import resolve_columns
from .._tables._input import to_pandas
from .._tables._statistics import standard_deviation

# A sum is kept to this fraction of what it sums up.
SUM_TOLERANCE = 1e-6
# Halvings of the interval in which the shift of a sum lies: more than a double has bits.
_N_HALVINGS = 60


class Kinds:
    """The columns of a table, and what values they have.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_features)
        Known rows, without gaps.
    categories : dict of int to ndarray
        Categories that were seen in ``fit``, of each categorical column.
    used : collection of int, optional
        Positions of the columns that a stage has; nothing is said of the others. All by default.
    seen : str
        Where categories were seen, for messages.

    Attributes
    ----------
    labels : list
        Of all columns.
    numeric : list of int
        Positions of the numeric columns that a stage has.
    n_columns : int
        Number of columns that a stage has.
    low, high, scale : ndarray of shape (n_features,)
        Range and standard deviation of the known rows; NaN of all but numeric columns.
    is_integer : ndarray of bool, shape (n_features,)
        Whether values are whole numbers; also of columns of True and False.
    """

    def __init__(
        self,
        X: pd.DataFrame,
        categories: dict[int, np.ndarray],
        used: Collection[int] | None = None,
        seen: str = "in fit",
    ) -> None:
        self.labels = list(X.columns)
        self.categories = categories
        self.seen = seen
        used = sorted(range(X.shape[1]) if used is None else used)
        self.numeric = [j for j in used if j not in categories]
        self.n_columns = len(used)
        self.low, self.high, self.scale = (np.full(X.shape[1], np.nan) for _ in range(3))
        self.is_integer = np.zeros(X.shape[1], dtype=bool)
        for j in self.numeric:
            values = X.iloc[:, j].to_numpy(dtype=np.float64)
            self.low[j], self.high[j] = values.min(), values.max()
            self.scale[j] = standard_deviation(values) or 1.0
            dtype = X.dtypes.iloc[j]
            self.is_integer[j] = is_integer_dtype(dtype) or is_bool_dtype(dtype)

    def position(self, key: Hashable, parameter: str) -> int:
        """Give the position of one column that a parameter names."""
        found = resolve_columns(
            key, self.labels, len(self.labels), f"The '{parameter}' parameter"
        ).tolist()
        if len(found) != 1:
            raise ValueError(
                f"The '{parameter}' parameter must name single columns; {key!r} stands for "
                f"{len(found)}."
            )
        if found[0] not in self.categories and found[0] not in self.numeric:
            raise ValueError(
                f"The '{parameter}' parameter names column {self.name(found[0])}, which no stage "
                "has: nothing can be said of it."
            )
        return found[0]

    def name(self, j: int) -> str:
        """Give a column's label, for a message."""
        return repr(self.labels[j])


class Constraints:
    """What each column of a candidate may be.

    Parameters
    ----------
    kinds : Kinds
    fixed, bounds, sums, library
        As in ``propose``.

    Attributes
    ----------
    low, high : ndarray of shape (n_features,)
        Of numeric columns; equal where fixed.
    allowed : dict of int to ndarray of bool, shape (n_categories,)
        Of categorical columns.
    sums : list of (list of int, float)
    told : set of int
        Columns of ``bounds`` and ``fixed``.
    library : DataFrame or None
        Allowed rows of some columns, which are its labels, as positions.

    Raises
    ------
    ValueError
        If they contradict each other, or name what is not there; the message has the numbers.
    """

    def __init__(
        self,
        kinds: Kinds,
        fixed: Mapping[Hashable, Any] | None,
        bounds: Mapping[Hashable, Any] | None,
        sums: Sequence[tuple[Any, float]] | None,
        library: pd.DataFrame | None = None,
    ) -> None:
        self.kinds = kinds
        self.low, self.high = kinds.low.copy(), kinds.high.copy()
        self.allowed = {j: np.ones(len(c), dtype=bool) for j, c in kinds.categories.items()}
        self.told: set[int] = set()
        for key, value in _items(bounds, "bounds"):
            j = kinds.position(key, "bounds")
            self._bound(j, value)
            self.told.add(j)
        for key, value in _items(fixed, "fixed"):
            j = kinds.position(key, "fixed")
            self._fix(j, value, is_bounded=j in self.told)
            self.told.add(j)
        self.sums: list[tuple[list[int], float]] = []
        for entry in _entries(sums):
            self._tie(entry)
        self.library = None if library is None else self._read_library(library)

    def _bound(self, j: int, value: Any) -> None:
        name = self.kinds.name(j)
        if j in self.allowed:
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
            categories = self.kinds.categories[j].tolist()
            self.allowed[j] = np.array([category in chosen for category in categories], dtype=bool)
            return
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
        if self.kinds.is_integer[j]:
            if np.ceil(low) > np.floor(high):
                raise ValueError(
                    f"The 'bounds' parameter leaves column {name}, which has whole numbers, none "
                    f"between {low:g} and {high:g}."
                )
            low, high = np.ceil(low), np.floor(high)
        self.low[j], self.high[j] = low, high

    def _fix(self, j: int, value: Any, *, is_bounded: bool) -> None:
        name = self.kinds.name(j)
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
        name, is_whole = self.kinds.name(j), self.kinds.is_integer[j]
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

    def _code(self, j: int, category: Any, parameter: str) -> int:
        categories = self.kinds.categories[j]
        found = np.flatnonzero(categories.astype(object) == category)
        if not len(found):
            raise ValueError(
                f"The '{parameter}' parameter names the category {category!r} of column "
                f"{self.kinds.name(j)}, which was never seen {self.kinds.seen}; the categories "
                f"are {categories.tolist()}."
            )
        return int(found[0])

    def _tie(self, entry: Any) -> None:
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
        columns = [self.kinds.position(key, "sums") for key in keys]
        taken = {j for others, _ in self.sums for j in others}
        for j in columns:
            name = self.kinds.name(j)
            if j in self.allowed:
                raise ValueError(f"The 'sums' parameter names {name}, which holds categories.")
            if j in taken or columns.count(j) > 1:
                raise ValueError(f"The 'sums' parameter names column {name} twice.")
        low, high = self.low[columns].sum(), self.high[columns].sum()
        slack = SUM_TOLERANCE * max(1.0, abs(total))
        if not low - slack <= total <= high + slack:
            raise ValueError(
                f"The columns {keys} are to sum up to {total:g}, but their bounds allow only sums "
                f"from {low:g} to {high:g}."
            )
        self._close(columns, total)
        self.sums.append((columns, total))

    def _close(self, columns: list[int], total: float) -> None:
        """Replace infinite ends within a sum by what the other columns leave."""
        low, high = self.low.copy(), self.high.copy()
        for j in columns:
            others = [i for i in columns if i != j]
            if np.isinf(high[j]):
                self.high[j] = max(total - low[others].sum(), low[j])
            if np.isinf(low[j]):
                self.low[j] = min(total - high[others].sum(), self.high[j])
            if not np.isfinite([self.low[j], self.high[j]]).all():
                raise ValueError(
                    f"The 'sums' parameter needs finite bounds: column {self.kinds.name(j)} has "
                    f"({low[j]:g}, {high[j]:g}), and the other columns leave it "
                    f"({self.low[j]:g}, {self.high[j]:g})."
                )

    def _read_library(self, library: Any) -> pd.DataFrame:
        """Give the rows of the library that keep all other constraints."""
        library = to_pandas(library, "library")
        is_frame = isinstance(library, pd.DataFrame)
        if not is_frame or not library.size:
            raise ValueError(
                "The 'library' parameter must be a DataFrame with at least one row and column, "
                f"got {f'one of shape {library.shape}' if is_frame else type(library).__name__}."
            )
        columns = [self.kinds.position(key, "library") for key in library]
        tied = {j for own, _ in self.sums for j in own}
        allowed = np.ones(len(library), dtype=bool)
        for i, j in enumerate(columns):
            name, values = self.kinds.name(j), library.iloc[:, i]
            if j in tied or columns.count(j) > 1:
                raise ValueError(
                    f"The 'library' parameter has column {name}, which stands in it twice or is "
                    "tied by a sum."
                )
            if values.isna().any():
                raise ValueError(f"The 'library' parameter has gaps in column {name}.")
            if j in self.allowed:
                codes = [self._code(j, value, "library") for value in values.tolist()]
                allowed &= self.allowed[j][codes]
            else:
                for value in values.tolist():
                    self._check_number(j, value, "library")
                # what the library has is known, also outside of the known rows' range
                if j in self.told:
                    numbers = values.to_numpy(dtype=np.float64)
                    allowed &= (numbers >= self.low[j]) & (numbers <= self.high[j])
        if not allowed.any():
            raise ValueError(
                f"None of the {len(library)} rows of the 'library' parameter keeps the bounds "
                "and fixed values."
            )
        return library.set_axis(columns, axis=1)[allowed].reset_index(drop=True)

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
        numeric = self.kinds.numeric
        low, high = (torch.from_numpy(ends[numeric]) for ends in (self.low, self.high))
        projected = numbers.clamp(low, high)
        for columns, total in self.sums:
            own = [numeric.index(j) for j in columns]
            part = project_to_sum(numbers[:, own], low[own], high[own], total)
            projected = projected.index_copy(1, torch.tensor(own), part)
        return projected

    def logits(self, j: int, logits: Tensor) -> Tensor:
        """Rule out the categories of a column that are not allowed."""
        return logits.masked_fill(~torch.from_numpy(self.allowed[j]), -torch.inf)

    def snap(self, numbers: Tensor, shares: dict[int, Tensor]) -> tuple[Tensor, dict[int, Tensor]]:
        """Bring the columns of the library to its nearest row.

        Parameters
        ----------
        numbers : Tensor of shape (n_candidates, n_numeric)
        shares : dict of int to Tensor of shape (n_candidates, n_categories)
            One-hot.

        Returns
        -------
        numbers, shares
            Of the same shapes.
        """
        if self.library is None:
            return numbers, shares
        ours, theirs = [], []
        places = {j: self.kinds.numeric.index(j) for j in self.library if j not in shares}
        for j in self.library:
            if j in shares:
                ours.append(shares[j])
                theirs.append(self._one_hot(j))
            else:
                theirs.append(self._numbers(j)[:, None] / self.kinds.scale[j])
                ours.append(numbers[:, [places[j]]] / self.kinds.scale[j])
        nearest = torch.cdist(torch.cat(ours, dim=1), torch.cat(theirs, dim=1)).argmin(dim=1)
        return self.place(numbers, shares, nearest)

    def place(
        self, numbers: Tensor, shares: dict[int, Tensor], rows: Tensor
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Give candidates rows of the library, by their positions in it."""
        assert self.library is not None
        numbers, shares = numbers.clone(), dict(shares)
        for j in self.library:
            if j in shares:
                shares[j] = self._one_hot(j)[rows]
            else:
                numbers[:, self.kinds.numeric.index(j)] = self._numbers(j)[rows]
        return numbers, shares

    def _one_hot(self, j: int) -> Tensor:
        assert self.library is not None
        codes = [self._code(j, value, "library") for value in self.library[j].tolist()]
        return torch.eye(len(self.kinds.categories[j]), dtype=torch.float64)[codes]

    def _numbers(self, j: int) -> Tensor:
        assert self.library is not None
        return torch.tensor(self.library[j].to_numpy(dtype=np.float64))

    @property
    def pinned(self) -> list[int]:
        """Positions of the library's columns among the numeric ones."""
        columns = [] if self.library is None else list(self.library)
        return [self.kinds.numeric.index(j) for j in columns if j in self.kinds.numeric]


def project_to_sum(values: Tensor, low: Tensor, high: Tensor, total: float) -> Tensor:
    """Give the nearest values within bounds that sum up to a total.

    They are the values shifted by one number and clipped, where the number follows from the sum.

    Parameters
    ----------
    values : Tensor of shape (n_rows, n_columns)
    low, high : Tensor of shape (n_columns,)
        With ``low.sum() <= total <= high.sum()``.
    total : float
    """
    with torch.no_grad():
        below = (low - values).min(dim=1, keepdim=True).values
        above = (high - values).max(dim=1, keepdim=True).values
        for _ in range(_N_HALVINGS):
            shift = (below + above) / 2
            is_short = (values + shift).clamp(low, high).sum(dim=1, keepdim=True) < total
            below, above = torch.where(is_short, shift, below), torch.where(is_short, above, shift)
        shift = (below + above) / 2
        is_free = ((values + shift > low) & (values + shift < high)).to(values.dtype)
        n_free = is_free.sum(dim=1, keepdim=True).clamp(min=1)
    # the shift's own derivative: what one free value gains, all free ones give back
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
