"""Codec for one array in each row, such as a spectrum or an image: encoded as floats and decoded.

An array stands in a table as many columns of numbers, in C order, or as one column whose cells
hold arrays. Nothing here knows of torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from math import isqrt, prod
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import gen_batches

from .._notices import notice
from ..exceptions import ChannelOrderWarning, ConstantBlockWarning
from ._base_codec import BlockColumns, Codec
from ._cells import array_columns, cells_of, read_cell
from ._columns import chunk_rows, read_floats, take_column
from ._dtypes import cast_numbers, clip_to_float, selector
from ._input import is_array
from ._layout import Encoded, Layout
from ._splits import row_keys
from ._statistics import column_deviations, common_scale, standardize_measured, unscale

# What one entry of an array is called, and what several are.
_NOUNS = {"spectrum": ("channel", "channels"), "image": ("pixel", "pixels")}
_NOUN = ("entry", "entries")  # of other kinds

# Numbers of dimensions that an array of a kind can have; of other kinds, any.
_DIMENSIONS = {"spectrum": (1,), "image": (2, 3)}
_SHAPES = {
    "spectrum": "(n_channels,)",
    "image": "(height, width) or (channels, height, width)",
}

# An image has at most so many channels if its last axis looks like that of the channels.
_FEW_CHANNELS = 4

# A label of an entry, such as "3,12": its indices.
_INDICES = re.compile(r"\d+(?:,\d+)+")


# ---------------------------------------------------------------------------------------------
# Shapes


def find_shape(
    kind: str,
    n_entries: int,
    given: Sequence[int] | None,
    found: tuple[int, ...],
    labels: Sequence[Any],
) -> tuple[int, ...]:
    """Find the shape of the arrays of a block.

    Parameters
    ----------
    kind : str
    n_entries : int
        Number of an array's entries.
    given : sequence of int or None
        The parameter ``shape``.
    found : tuple of int
        Shape of the arrays, where there were such; () of columns of numbers.
    labels : sequence
        Of the columns of numbers.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If shapes contradict each other, or none is known, or it is none of this kind.

    Warns
    -----
    ChannelOrderWarning
        If the shape that was given looks like that of channels last.
    """
    allowed = _DIMENSIONS.get(kind)
    if given is not None:
        shape = check_shape(kind, given)
        if found and shape != found:
            raise ValueError(f"The {kind} has arrays of shape {found}, but shape={shape}.")
        if prod(shape) != n_entries:
            raise ValueError(
                f"The {kind} has {n_entries} columns, but shape={shape} needs {prod(shape)}."
            )
        if not found and kind == "image" and looks_like_channels_last(shape):
            notice(
                f"shape={shape} looks like (height, width, channels), but the channels of an "
                f"image come first: there are {shape[0]} channels of {shape[1]} x {shape[2]} "
                "pixels now.",
                ChannelOrderWarning,
            )
        return shape
    indices = indices_of_labels(labels)
    by_label = None if indices is None or kind == "spectrum" else shape_of_indices(indices)
    if kind == "image" and indices is not None and by_label is None:
        raise ValueError(
            f"The image has columns with labels of pixels, such as {labels[0]!r}; but they are "
            "not those of one image, row by row. Bring them into that order, or give shape="
            f"{_SHAPES['image']}."
        )
    shape = found or by_label or (n_entries,)
    if kind == "image" and not found and by_label is None:
        side = isqrt(n_entries)
        if side * side != n_entries:
            raise ValueError(
                f"The image has {n_entries} columns, which are not a square number of them; say "
                f"which image they make, with shape={_SHAPES['image']}."
            )
        return side, side
    if allowed is not None and len(shape) not in allowed:
        raise ValueError(
            f"The {kind} has arrays of shape {shape}; it must have the shape {_SHAPES[kind]}."
        )
    if kind == "image" and looks_like_channels_last(shape):
        raise ValueError(
            f"The image has arrays of shape {shape}, which looks like (height, width, channels); "
            "channels come first, (channels, height, width). Bring them there, such as with "
            "np.moveaxis(image, -1, 0) for each image, or np.moveaxis(images, -1, 1) for an array "
            f"of them. If there are {shape[0]} channels, set shape={shape}."
        )
    return shape


def check_shape(kind: str, shape: Any) -> tuple[int, ...]:
    """Check the parameter ``shape``, and return it as a tuple of positive integers.

    Raises
    ------
    ValueError
        If it is no shape, or none of this kind.
    """
    allowed = _DIMENSIONS.get(kind)
    sizes = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    is_shape = bool(sizes) and all(isinstance(n, Integral) and int(n) > 0 for n in sizes)
    if not is_shape or (allowed is not None and len(sizes) not in allowed):
        wanted = f", {_SHAPES[kind]}" if kind in _SHAPES else ""
        raise ValueError(
            f"The 'shape' parameter of the {kind} must be a tuple of positive integers{wanted}, "
            f"got {shape!r}."
        )
    return tuple(int(n) for n in sizes)


def looks_like_channels_last(shape: Sequence[int]) -> bool:
    """Return whether the shape of an image can hardly be (channels, height, width).

    It is so where the last axis alone is as short as that of channels.
    """
    return len(shape) == 3 and shape[2] <= _FEW_CHANNELS < min(shape[0], shape[1])


def indices_of_labels(labels: Sequence[Any]) -> list[tuple[int, ...]] | None:
    """Read the indices of an array's entries off their labels, such as "3,12".

    Parameters
    ----------
    labels : sequence
        Of columns; of more than one level, the last one counts.

    Returns
    -------
    list of tuple of int, or None
        As many indices in each; None if labels are none.
    """
    names = [label[-1] if isinstance(label, tuple) else label for label in labels]
    if not names or not all(isinstance(n, str) and _INDICES.fullmatch(n) for n in names):
        return None
    indices = [tuple(map(int, name.split(","))) for name in names]
    return indices if len({len(index) for index in indices}) == 1 else None


def shape_of_indices(indices: Sequence[tuple[int, ...]]) -> tuple[int, ...] | None:
    """Return the shape of the array whose entries have these indices, in C order.

    The indices of an axis may be some of many, such as those of a part of an image.

    Returns
    -------
    tuple of int or None
        None if they are not those of an array, or in another order.
    """
    axes = [sorted(set(axis)) for axis in zip(*indices, strict=True)]
    return tuple(map(len, axes)) if list(indices) == list(product(*axes)) else None


# ---------------------------------------------------------------------------------------------
# The codec


class ArrayCodec(Codec):
    """Encode one array in each row as floats, and decode it.

    Entries are centred, each by its mean, and divided by one standard deviation of all of them, or
    by one of their own. A missing entry becomes its mean.

    Parameters
    ----------
    columns : BlockColumns
        Columns of numbers, which are an array's entries in C order; or one column whose cells
        hold arrays, None or NaN where a row was not measured.
    kind : str
        The name of the kind, for messages: "spectrum", of shape (n_channels,); "image", of shape
        (height, width) or (channels, height, width); any other, of any shape.
    shape : tuple of int, optional
        By default the shape of the arrays in the cells; of columns, that of the array that was
        flattened to them, or what labels such as "3,12" tell; else of an image a square, and of
        others as many entries as columns.
    scale : "block", "column" or None, default="block"
        "block": one standard deviation for all entries, the root mean square of theirs. "column":
        one for each. None: values are not changed, nor are they where ``columns.standardize`` is
        False.
    copies : callable, optional
        From the shape to copies of an array that are to be the same, such as mirrored ones: an
        ndarray of int, shape (n_copies, n_entries), where each entry of a copy stands in the
        array; or None. Means and deviations are those over all copies.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
        Of the encoded values.
    mean, deviation : ndarray of float64, shape (n_entries,)
        Of each entry; also where values are not changed. The deviation of a constant entry is 0.
    unit : float
        The one standard deviation; 1 if all entries are constant.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    mean: np.ndarray
    deviation: np.ndarray
    unit: float
    _cell_dtype: np.dtype | None  # of the arrays in cells; None of columns of numbers

    def __init__(
        self,
        columns: BlockColumns,
        *,
        kind: str,
        shape: Sequence[int] | None = None,
        scale: str | None = "block",
        copies: Callable[[tuple[int, ...]], np.ndarray | None] | None = None,
    ) -> None:
        if scale not in ("block", "column", None):
            raise ValueError(
                f"The 'scale' parameter of the {kind} must be 'block', 'column' or None, got "
                f"{scale!r}."
            )
        super().__init__(columns)
        self.columns = columns
        self.kind = kind
        self.given_shape = shape
        self._copies = copies
        self.scale = scale if columns.standardize else None

    # -- what was learnt

    @property
    def layout(self) -> Layout:
        """The layout of the encoded values."""
        return Layout(self.n_entries, (), self.shape, is_standardized=self.scale is not None)

    @property
    def n_entries(self) -> int:
        """Number of an array's entries."""
        return prod(self.shape)

    @property
    def entry_columns(self) -> list[int]:
        """Position in the table of each entry; of a cell that holds an array, the same for all."""
        positions = self.columns.positions
        return positions * (self.n_entries if self.has_cells else 1)

    @property
    def has_cells(self) -> bool:
        """Whether a cell of the table holds the whole array."""
        return self._cell_dtype is not None

    # -- fit

    def prepare(self, X: pd.DataFrame | np.ndarray) -> np.dtype:
        """Find the shape of the arrays in the columns of a whole table.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)

        Returns
        -------
        dtype
            float32 if it holds all numbers without loss, as it does those of float32 and integers
            of 16 bits; else float64.

        Raises
        ------
        TypeError
            If a cell holds no array of numbers.
        ValueError
            If arrays differ in their shape, or it is unknown, or no shape of this kind.
        """
        positions, labels = self.columns.positions, self.columns.labels
        cells = array_columns(X, positions)
        if len(cells) > 1 or (cells and len(positions) > 1):
            raise ValueError(
                f"The {self.kind} has {len(positions)} columns, of which {labels.name(cells[0])} "
                "holds arrays; it must have one such column, or columns of numbers."
            )
        if cells:
            dtypes, found = self._look_at_cells(cells_of(take_column(X, cells[0])))
            self._cell_dtype = np.result_type(*dtypes)
            n_entries, names = prod(found), []
        else:
            dtypes = X.dtypes.to_numpy()[positions] if isinstance(X, pd.DataFrame) else [X.dtype]
            self._cell_dtype = None
            n_entries, found = len(positions), tuple(self.columns.cell_shape)
            names = [labels.labels[j] for j in positions] if labels.is_frame else []
        self.shape = find_shape(self.kind, n_entries, self.given_shape, found, names)
        self.numeric = self.entry_columns
        return np.dtype("float32" if all(map(_is_small, dtypes)) else "float64")

    def _look_at_cells(self, cells: np.ndarray) -> tuple[list[np.dtype], tuple[int, ...]]:
        """Return the dtypes and the one shape of the arrays in the cells of a column."""
        dtypes, shape, first = set(), None, 0
        for row, cell in enumerate(cells):
            array = self._read_cell(cell, row)
            if array is None:
                continue
            if shape is None:
                shape, first = array.shape, row
            elif array.shape != shape:
                raise ValueError(
                    f"{self._column()} has arrays of several shapes: {shape} in row {first} and "
                    f"{array.shape} in row {row}; all must have one."
                )
            dtypes.add(array.dtype)
        assert shape is not None  # that of the array by which the column was known
        if not prod(shape):
            raise ValueError(f"{self._column()} has arrays without an entry, of shape {shape}.")
        return list(dtypes), shape

    def fit(
        self,
        X: pd.DataFrame | np.ndarray,
        dtype: np.dtype,
        rows: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
    ) -> ArrayCodec:
        """Learn means and scales.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            That ``prepare`` looked at.
        dtype : dtype
            Of the encoded values, float32 or float64.
        rows : ndarray of int, optional
            The rows to learn from; all of them by default.
        sample_weight : ndarray of shape (n_samples,), optional
            Weights of all rows.

        Raises
        ------
        ValueError
            If an entry has no measured value in these rows, or an infinite one in any.

        Warns
        -----
        ConstantBlockWarning
            If these rows are all the same.
        """
        self.dtype = np.dtype(dtype)
        if rows is not None:  # of the others, it is looked whether they are finite
            for _ in self._chunks(X, np.setdiff1d(np.arange(len(X)), rows)):
                pass
        chunks = (
            (values, None if sample_weight is None else sample_weight[chosen])
            for chosen, values in self._chunks(X, rows)
        )
        self.mean, self.deviation, n_measured = column_deviations(chunks)
        unmeasured = np.flatnonzero(n_measured == 0)
        if len(unmeasured):
            held_out = "" if rows is None else " (early stopping holds the others out)"
            more = f", nor have {len(unmeasured) - 1} others" if len(unmeasured) > 1 else ""
            raise ValueError(
                f"{self._column()} has no measured value of {self._entry(unmeasured[0])} in the "
                f"rows to learn from{held_out}{more}; leave it out, or pass rows where it was "
                "measured."
            )
        places = None if self._copies is None else self._copies(self.shape)
        if places is not None:
            self.mean, self.deviation, n_measured = pool_copies(
                self.mean, self.deviation, n_measured, places
            )
        self.unit = common_scale(self.deviation, n_measured)
        if not self.deviation.any():
            notice(
                f"{self._column()} is the same in all rows to learn from: none of its "
                f"{self.n_entries} {_NOUNS.get(self.kind, _NOUN)[1]} varies, so that nothing is "
                "learnt from it.",
                ConstantBlockWarning,
            )
        return self

    # -- reading

    def _chunks(
        self, X: pd.DataFrame | np.ndarray, rows: np.ndarray | None
    ) -> Iterator[tuple[slice | np.ndarray, np.ndarray]]:
        """Yield rows, and their numbers of shape (n_rows, n_entries); some after others."""
        n_rows = len(X) if rows is None else len(rows)
        for chunk in gen_batches(n_rows, chunk_rows(self.n_entries)):
            chosen = chunk if rows is None else rows[chunk]
            # in C order, as the order of sums would else depend on how X lies in memory
            values = np.ascontiguousarray(self._read(X, chosen))
            self._check_finite(values, chosen)
            yield chosen, values

    def check_cells(self, X: pd.DataFrame | np.ndarray) -> None:
        """Refuse cells that hold no array, or one of another shape than in ``fit``."""
        for _ in self._chunks(X, None) if self.has_cells else ():
            pass

    def _read(
        self, X: pd.DataFrame | np.ndarray, rows: slice | np.ndarray, *, copy: bool = False
    ) -> np.ndarray:
        """Read some rows as floats, of shape (n_rows, n_entries); NaN where missing."""
        positions, labels = self.columns.positions, self.columns.labels
        if self.has_cells:
            return self._read_cells(cells_of(take_column(X, positions[0])), rows)
        advice = "Convert it to numbers, with NaN where it has none."
        try:
            return read_floats(X, positions, labels, self.dtype, advice, rows=rows, copy=copy)
        except TypeError as error:
            raise TypeError(f"The {self.kind} cannot be read. {error}") from error

    @np.errstate(over="ignore")  # an overflow becomes infinity, which the caller refuses
    def _read_cells(self, cells: np.ndarray, rows: slice | np.ndarray) -> np.ndarray:
        """Read the arrays of some cells."""
        positions = np.arange(len(cells))[rows]
        values = np.full((len(positions), self.n_entries), np.nan, dtype=self.dtype)
        for i, row in enumerate(positions.tolist()):
            array = self._read_cell(cells[row], row)
            if array is None:
                continue
            if array.shape != self.shape:
                raise ValueError(
                    f"{self._column()} has an array of shape {array.shape} in row {row}; it must "
                    f"have the shape {self.shape}, as in fit."
                )
            values[i] = array.reshape(-1)
        return values

    def _read_cell(self, cell: Any, row: int) -> np.ndarray | None:
        """Read the array of one cell; None if it is missing."""
        try:
            return read_cell(cell)
        except (TypeError, ValueError) as error:
            if is_array(cell) and isinstance(error, ValueError):
                raise ValueError(
                    f"{self._column()} holds lists of several lengths in row {row}: {error}"
                ) from error
            raise TypeError(
                f"{self._column()} must hold arrays of numbers, with None or NaN where a row was "
                f"not measured; row {row} holds {error}."
            ) from error

    def _check_finite(self, values: np.ndarray, rows: slice | np.ndarray) -> None:
        """Refuse infinity in some rows."""
        infinite = np.isinf(values)
        if infinite.any():
            i, k = np.argwhere(infinite)[0]
            row = rows.start + i if isinstance(rows, slice) else rows[i]
            raise ValueError(
                f"{self._column()} contains infinity or a value too large for {self.dtype}, in "
                f"{self._entry(k)} (first in row {row}); a value must be finite, or NaN where it "
                "was not measured."
            )

    def _column(self) -> str:
        """Return the beginning of a message: the kind, and the column whose cells hold arrays."""
        if len(self.columns.positions) > 1:
            return f"The {self.kind}"
        return f"The {self.kind} in column {self.columns.labels.name(self.columns.positions[0])}"

    def _entry(self, k: int) -> str:
        """Return an entry's name in a message: its indices, and its column."""
        index = tuple(int(i) for i in np.unravel_index(int(k), self.shape))
        name = f"{_NOUNS.get(self.kind, _NOUN)[0]} {index[0] if len(index) == 1 else index}"
        if len(self.columns.positions) == 1:
            return name
        return f"{name} (column {self.columns.labels.name(self.columns.positions[k])})"

    # -- encode

    def encode(self, X: pd.DataFrame | np.ndarray) -> Encoded:
        """Encode the block's columns of a table.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)

        Returns
        -------
        Encoded
            Values of shape (n_samples, n_entries), and where they were measured.
        """
        values = self._read(X, slice(None), copy=True)
        measured = standardize_measured(
            values,
            None if self.scale is None else self.affine(),
            self.missing_row(),
            chunk_rows(self.n_entries),
            lambda part, first: self._check_finite(part, slice(first, None)),
        )
        return Encoded(values, measured)

    # -- decode

    def decode(self, values: np.ndarray) -> list[tuple[list[int], np.ndarray]]:
        """Decode values to columns in their own units.

        Parameters
        ----------
        values : ndarray of shape (n_samples, n_entries)

        Returns
        -------
        list of one tuple (list of int, ndarray of shape (n_samples, n_positions))
            Positions in the table, and floats; or objects, of which each is an array in the dtype
            that the cells had.
        """
        decoded = np.empty(values.shape, dtype=self.dtype)
        mean, scale = self.affine()
        for chunk in gen_batches(len(values), chunk_rows(self.n_entries)):
            part = values[chunk]
            part = part if self.scale is None else unscale(part, mean, scale)
            decoded[chunk] = clip_to_float(part, self.dtype)
        if self._cell_dtype is None:
            return [(list(self.columns.positions), decoded)]
        cells = np.empty((len(values), 1), dtype=object)
        arrays = decoded.reshape(-1, *self.shape)
        for i in range(len(values)):
            cells[i, 0] = cast_numbers(arrays[i], self._cell_dtype)
        return [(list(self.columns.positions), cells)]

    # -- what encoded values mean

    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the scale that entries are standardised with.

        Returns
        -------
        mean, scale : ndarray of float64, shape (n_entries,)
            0 and 1 where they are not standardised.
        """
        if self.scale is None:
            return np.zeros_like(self.mean), np.ones_like(self.mean)
        if self.scale == "block":
            return self.mean, np.full_like(self.mean, self.unit)
        return self.mean, np.where(self.deviation == 0, 1.0, self.deviation)

    def encoded_scale(self) -> np.ndarray:
        """Return the standard deviation of each entry as it is encoded, of shape (n_entries,).

        One for all entries, unless each is scaled by its own: a pixel at the edge that hardly
        changes is no finer a measure than the others.
        """
        return np.full_like(self.mean, self.unit if self.scale is None else 1.0)

    def missing_row(self) -> np.ndarray:
        """Return the encoded values of a row that was not measured, of shape (n_entries,)."""
        return self.mean if self.scale is None else np.zeros_like(self.mean)

    # -- equal rows

    def digest(self, X: pd.DataFrame | np.ndarray) -> np.ndarray:
        """Compute a key of each row from its array: equal arrays have equal keys.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)

        Returns
        -------
        ndarray of uint64, shape (n_samples,)
        """
        own = selector(self.columns.positions)
        return row_keys(X.iloc[:, own] if isinstance(X, pd.DataFrame) else X[:, own])

    # -- in files

    def get_state(self) -> dict[str, Any]:
        """Return the fitted state as plain values."""
        return {
            "shape": list(self.shape),
            "dtype": self.dtype.name,
            "cell_dtype": None if self._cell_dtype is None else self._cell_dtype.name,
            "mean": self.mean,
            "deviation": self.deviation,
            "unit": self.unit,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the state of ``get_state``."""
        self.shape = tuple(state["shape"])
        self.dtype = np.dtype(state["dtype"])
        name = state["cell_dtype"]
        self._cell_dtype = None if name is None else np.dtype(name)
        self.mean, self.deviation = state["mean"], state["deviation"]
        self.unit = state["unit"]
        self.numeric = self.entry_columns


def _is_small(dtype: Any) -> bool:
    """Return whether float32 holds every number of a dtype, of NumPy or of pandas."""
    plain = getattr(dtype, "numpy_dtype", getattr(dtype, "subtype", dtype))
    if not isinstance(plain, np.dtype):
        return False
    most = {"b": 1, "i": 2, "u": 2, "f": 4}
    return plain.itemsize <= most.get(plain.kind, 0)


def pool_copies(
    mean: np.ndarray, deviation: np.ndarray, n_measured: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return means and deviations of arrays and their copies together.

    Parameters
    ----------
    mean, deviation, n_measured : ndarray of shape (n_entries,)
        Of the arrays alone, and the total weight of each entry.
    places : ndarray of int, shape (n_copies, n_entries)
        Where each entry of a copy stands in the array.

    Returns
    -------
    mean, deviation, n_measured : ndarray of shape (n_entries,)
        The same for an entry and for those that copies put in its place.
    """
    total = n_measured[places].sum(axis=0)
    share = n_measured[places] / total
    means, deviations = mean[places], deviation[places]
    # steps from one of them, as what rounding leaves of equal ones would be a deviation
    step = means - means[0]
    step = step - (share * step).sum(axis=0)
    largest = max(np.abs(step).max(), deviations.max())
    if largest == 0:
        return means[0], np.zeros_like(mean), total
    # the square of a quotient is a number where that of a deviation may be none
    square = np.square(deviations / largest) + np.square(step / largest)
    pooled = means[0] + (share * (means - means[0])).sum(axis=0)
    return pooled, largest * np.sqrt((share * square).sum(axis=0)), total
