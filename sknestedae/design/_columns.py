"""The columns of candidates, and the values of the known rows in them."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from math import prod

import numpy as np
import pandas as pd
import torch
from pandas.api.types import is_bool_dtype, is_integer_dtype

from .._tables._base_codec import Codec
from .._tables._cells import holds_cells
from .._tables._columns import resolve_columns
from .._tables._dtypes import cast_numbers
from .._tables._layout import Encoded
from .._tables._statistics import column_deviations, common_scale, standard_deviation


class ArrayColumns:
    """The columns of an array block, such as an image, which candidates have as a whole.

    Candidates hold the block's values as the first member of an ensemble encodes them.

    Parameters
    ----------
    name : str
        The name of the block in the parameters of ``propose``.
    own : list of int
        Position in the known rows of each column of its stage's table; latents of the stage
        before are behind these.
    codec : Codec
        Of the block in the first member of an ensemble.
    X : DataFrame of shape (n_samples, n_features)
        Known rows.

    Attributes
    ----------
    positions : list of int
        Of the block's columns in the known rows, in the block's order.
    weight : ndarray of shape (n_values,)
        Factors of encoded values. With them, the Euclidean distance of two arrays is the root mean
        square over their entries, in standard deviations that all entries have in common.
    has_cells : bool
        Whether the cells of a column hold the arrays.
    is_rounded : bool
        Whether the arrays hold whole numbers, to which decoded ones are rounded.
    is_stocked : bool
        Whether arrays cannot be generated, such as structures of atoms: then candidates have one
        of the ``stock``.
    stock : ndarray of object, shape (n_stock, 1)
        The known rows, and those of libraries behind them.
    values_of_stock : Tensor of shape (n_stock, n_values)
        Their values, as the first member of an ensemble encodes them.
    """

    def __init__(self, name: str, own: Sequence[int], codec: Codec, X: pd.DataFrame) -> None:
        self.name, self.own, self.codec = name, list(own), codec
        self.positions = list(dict.fromkeys(self.own[j] for j in codec.entry_columns))
        self.has_cells = holds_cells(X.iloc[:, self.positions[0]])
        self.is_stocked = bool(codec.layout.ragged)
        rows = self.take(X)
        known = self.encode(rows).values
        self.stock = rows if self.is_stocked else rows[:0]
        self.values_of_stock = torch.from_numpy(known[: len(self.stock)])
        self.low, self.high = (torch.from_numpy(f(known, axis=0)) for f in (np.min, np.max))
        _, scale = codec.affine()
        _, deviation, n_measured = column_deviations(iter([(known, None)]))
        unit = common_scale(deviation * scale, n_measured)
        self.weight = scale / (unit * np.sqrt(len(scale)))
        self._whole_dtype = _whole_dtype(X.dtypes.iloc[self.positions])
        self.is_rounded = False
        if self.is_stocked:
            return
        decoded = codec.decode(known[:1])[0][1][0, 0]
        self.is_rounded = self._whole_dtype is not None or np.asarray(decoded).dtype.kind in "biu"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an array."""
        return self.codec.layout.shape or (self.codec.layout.n_values,)

    @property
    def n_entries(self) -> int:
        """Number of an array's entries."""
        return prod(self.shape)

    def take(self, X: pd.DataFrame) -> np.ndarray:
        """Return the block's columns of a table, of shape (n_samples, n_positions)."""
        return X.iloc[:, self.positions].to_numpy(dtype=object if self.has_cells else None)

    def encode(self, rows: np.ndarray, codec: Codec | None = None) -> Encoded:
        """Encode some rows of the block's columns.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_positions)
            As ``take`` gives them.
        codec : Codec, optional
            Of another member of an ensemble; by default the first one's.
        """
        codec = self.codec if codec is None else codec
        dtype = np.result_type(rows.dtype, np.float32)  # with NaN, and no number is lost
        table = np.full((len(rows), codec.columns.labels.n_columns), np.nan, dtype=dtype)
        place = {j: i for i, j in enumerate(self.own)}
        table[:, [place[j] for j in self.positions]] = rows
        return codec.encode(table)

    def add_to_stock(self, rows: np.ndarray) -> int:
        """Append rows to the stock; return the position of the first of them."""
        first = len(self.stock)
        self.stock = np.concatenate([self.stock, rows])
        values = torch.from_numpy(self.encode(rows).values)
        self.values_of_stock = torch.cat([self.values_of_stock, values])
        return first

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Decode values to rows, in whole numbers where the known rows hold such.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_values)

        Returns
        -------
        ndarray of shape (n_rows, n_positions)
        """
        ((positions, rows),) = self.codec.decode(values)
        place = {j: i for i, j in enumerate(self.positions)}
        order = np.argsort([place[self.own[j]] for j in positions])
        if self._whole_dtype is not None:
            rows = cast_numbers(rows, self._whole_dtype).astype(rows.dtype)
        return rows[:, order]

    def clamp(self, values: torch.Tensor) -> torch.Tensor:
        """Bring decoded values into the range of each entry in the known rows."""
        return values.clamp(self.low, self.high)


def _whole_dtype(dtypes: pd.Series) -> np.dtype | None:
    """Return the dtype of columns of whole numbers; None for others."""
    found = {getattr(dtype, "numpy_dtype", dtype) for dtype in dtypes}
    dtype = found.pop()
    is_whole = isinstance(dtype, np.dtype) and dtype.kind in "biu"
    return dtype if is_whole and not found else None


class CandidateColumns:
    """The columns of a table, and the values of the known rows in them.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_features)
        Known rows, without missing values.
    categories : dict of int to ndarray
        Categories that were seen in ``fit``, for each categorical column.
    used : collection of int, optional
        Positions of the columns that a stage has; nothing is said about the others. All by
        default.
    seen : str
        Where categories were seen, for messages.
    arrays : sequence of ArrayColumns
        Blocks of arrays.
    aliases : dict of str to str
        Other names of these, by which they can be named, too.

    Attributes
    ----------
    labels : list
        Of all columns.
    numeric : list of int
        Positions of the numeric columns that a stage has, and that are of no array.
    places : dict of int to int
        Of each of these, its place among them.
    n_columns : int
        Number of columns that a stage has; an array counts as one.
    low, high, scale : ndarray of shape (n_features,)
        Range and standard deviation of the known rows; NaN for all but numeric columns.
    is_integer : ndarray of bool, shape (n_features,)
        Whether values are whole numbers; also for columns of True and False.
    arrays : dict of str to ArrayColumns
    """

    def __init__(
        self,
        X: pd.DataFrame,
        categories: dict[int, np.ndarray],
        used: Collection[int] | None = None,
        seen: str = "in fit",
        arrays: Sequence[ArrayColumns] = (),
        aliases: dict[str, str] | None = None,
    ) -> None:
        self.labels = list(X.columns)
        self.categories = categories
        self.seen = seen
        self.arrays = {own.name: own for own in arrays}
        self.aliases = aliases or {}
        self._array_of = {j: own for own in arrays for j in own.positions}
        used = sorted(range(X.shape[1]) if used is None else used)
        self.numeric = [j for j in used if j not in categories and j not in self._array_of]
        self.places = {j: i for i, j in enumerate(self.numeric)}
        self.n_columns = len(self.numeric) + len(categories) + len(self.arrays)
        self.low, self.high, self.scale = (np.full(X.shape[1], np.nan) for _ in range(3))
        self.is_integer = np.zeros(X.shape[1], dtype=bool)
        for j in self.numeric:
            values = X.iloc[:, j].to_numpy(dtype=np.float64)
            self.low[j], self.high[j] = values.min(), values.max()
            self.scale[j] = standard_deviation(values) or 1.0
            dtype = X.dtypes.iloc[j]
            self.is_integer[j] = is_integer_dtype(dtype) or is_bool_dtype(dtype)

    def position(self, key: Hashable, parameter: str) -> int:
        """Return the position of one column, of no array, that a parameter names."""
        try:
            found = self._positions(key, parameter)
        except ValueError as error:
            if not self.arrays:
                raise
            raise ValueError(f"{error} {self._known_arrays()}") from error
        own = self.array(key, parameter)
        if own is None:
            own = next((self._array_of[j] for j in found if j in self._array_of), None)
        if own is not None:
            raise ValueError(
                f"The '{parameter}' parameter names {key!r}, which is of the block {own.name!r}. "
                "An array is proposed as a whole: 'fixed' and 'library' may name the block, but "
                "no entry of it, and it has no bounds and no sum."
            )
        if len(found) != 1:
            raise ValueError(
                f"The '{parameter}' parameter must name single columns; {key!r} stands for "
                f"{len(found)}."
            )
        if found[0] not in self.categories and found[0] not in self.numeric:
            raise ValueError(
                f"The '{parameter}' parameter names column {self.name(found[0])}, which no stage "
                "has, so that it has no effect."
            )
        return found[0]

    def array(self, key: Hashable, parameter: str) -> ArrayColumns | None:
        """Return the block of arrays that a parameter names, by its name or its columns.

        None where it names none, such as a number or one entry of an array.
        """
        if not self.arrays:
            return None
        try:
            found = self._positions(key, parameter)
        except ValueError:
            name = self.aliases.get(key, key) if isinstance(key, str) else ""
            return self.arrays.get(name)
        own = self._array_of.get(found[0]) if found else None
        return own if own is not None and set(found) == set(own.positions) else None

    def owner(self, key: Hashable, parameter: str) -> ArrayColumns | None:
        """Return the block of arrays that a column belongs to; None if it belongs to none."""
        found = self._positions(key, parameter) if self.arrays else []
        return next((self._array_of[j] for j in found if j in self._array_of), None)

    def known_array(self, key: Hashable, parameter: str) -> ArrayColumns:
        """Return the block of arrays that a parameter names, or raise an error."""
        own = self.array(key, parameter)
        if own is None:
            raise ValueError(
                f"The '{parameter}' parameter names {key!r}, which is no block of arrays. "
                f"{self._known_arrays()}"
            )
        return own

    def _positions(self, key: Hashable, parameter: str) -> list[int]:
        return resolve_columns(
            key, self.labels, len(self.labels), f"The '{parameter}' parameter"
        ).tolist()

    def _known_arrays(self) -> str:
        """List the blocks of arrays, for a message."""
        names = ", ".join(map(repr, self.arrays))
        return f"The blocks of arrays are {names}." if names else "There are no blocks of arrays."

    def name(self, j: int) -> str:
        """Return a column's label, for a message."""
        return repr(self.labels[j])
