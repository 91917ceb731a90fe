"""Mean and standard deviation of columns, in any unit and to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from sklearn.utils import gen_batches

# A column is brought near 1, by a power of two, if its largest absolute value is beyond these:
# else its squares, or what weights make of them, could leave the range of floats.
_FAR = 2.0**300

# Numbers are taken from one of them if they span less than this share of the largest: else what
# rounding leaves of a mean is not small beside a standard deviation.
_NEAR = 2.0**-20

# A number that is computed in n steps errs by n / 2 units in its last place at most, and in two
# orders, each way. Up to so many steps, equal numbers are seen as equal.
_STEPS = 8


def column_statistics(
    chunks: Iterator[tuple[np.ndarray, np.ndarray | None]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute mean and standard deviation of each column's measured entries, chunk by chunk.

    A column in another unit, by a power of two, has the same numbers in that unit, to the last
    bit. A column is constant if its values span no more than their rounding errors, for any number
    of rows, weights and chunks.

    Parameters
    ----------
    chunks : iterator of (ndarray of shape (n_rows, n_columns), ndarray of shape (n_rows,) or None)
        Rows and their weights, at least one chunk; a row of weight 0 is left out.

    Returns
    -------
    mean, scale : ndarray of shape (n_columns,)
        The scale of a constant column is 1.
    n_measured : ndarray of shape (n_columns,)
        Total weight of the measured entries.
    """
    mean, deviation, n_measured = column_deviations(chunks)
    return mean, np.where(deviation == 0, 1.0, deviation), n_measured


def column_deviations(
    chunks: Iterator[tuple[np.ndarray, np.ndarray | None]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute ``column_statistics``, with a deviation of 0 for constant columns.

    Returns
    -------
    mean, deviation, n_measured : ndarray of shape (n_columns,)
        Of a column without a measured entry, the first two are of no meaning.
    """
    running: _RunningStatistics | None = None
    with np.errstate(all="ignore"):  # of a column without any value so far, infinities meet
        for rows, weight in chunks:
            if running is None:
                running = _RunningStatistics(rows.shape[1], rows.dtype)
            running.add(rows, weight)
        if running is None:
            raise ValueError("There are no rows to learn a mean and a scale from.")
        return (*running.result(), running.n_measured)


def common_scale(deviation: np.ndarray, n_measured: np.ndarray) -> float:
    """Return one scale of many columns: the root mean square of their deviations.

    Parameters
    ----------
    deviation : ndarray of shape (n_columns,)
        Standard deviation of each column, around a mean of its own; 0 of a constant one.
    n_measured : ndarray of shape (n_columns,)
        Total weight of its measured entries, which is what it counts with.

    Returns
    -------
    float
        1 if all columns are constant.
    """
    largest = float(deviation.max(initial=0.0))
    if largest == 0:
        return 1.0
    # the square of a quotient is a number where that of a deviation may be none
    share = n_measured / n_measured.sum()
    scale = largest * np.sqrt(share @ np.square(deviation / largest))
    return max(float(scale), float(np.finfo(np.float64).smallest_subnormal))


class _RunningStatistics:
    """Mean and variance of the rows so far.

    Numbers are counted in units of ``2**power`` of their column, and from ``shift`` of them: a
    number ``x`` as ``x / 2**power - shift``. Both follow from the extremes so far; where they
    change, mean and variance move along.

    Parameters
    ----------
    n_columns : int
    dtype : dtype
        Of the rows.
    """

    def __init__(self, n_columns: int, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.low = np.full(n_columns, np.inf, dtype)
        self.high = np.full(n_columns, -np.inf, dtype)
        self.power = np.zeros(n_columns, dtype=np.intc)
        self.shift = np.zeros(n_columns)
        self.mean = np.zeros(n_columns)  # counted as said above, as is the variance
        self.variance = np.zeros(n_columns)
        self.n_measured = np.zeros(n_columns)

    def add(self, rows: np.ndarray, weight: np.ndarray | None) -> None:
        """Add rows of shape (n_rows, n_columns), with weights of shape (n_rows,)."""
        if weight is not None and not weight.all():
            rows = np.where(weight[:, None] > 0, rows, np.nan)
        self._widen(rows)
        if self.power.any():
            rows = np.ldexp(rows, -self.power)
        if self.shift.any():
            rows = rows - self.shift
        mean, variance, n_measured = _moments(rows, weight)
        total = self.n_measured + n_measured
        share = np.where(total > 0, n_measured / total, 0.0)
        # A column that the whole chunk misses has a mean of NaN in it, and a share of 0.
        step = np.where(share > 0, mean - self.mean, 0.0)
        within = np.where(share > 0, variance - self.variance, 0.0)
        # The variance of two parts is the mean of theirs, and that between their means (Chan,
        # Golub & LeVeque 1983); each factor of it is small enough not to overflow.
        self.variance = self.variance + share * within + (share * step) * ((1 - share) * step)
        self.mean = self.mean + share * step
        self.n_measured = total

    def _widen(self, rows: np.ndarray) -> None:
        """Extend the extremes to new rows, and convert mean and variance to the new unit."""
        self.low = np.fmin(self.low, np.fmin.reduce(rows, axis=0, initial=np.inf))
        self.high = np.fmax(self.high, np.fmax.reduce(rows, axis=0, initial=-np.inf))
        power, shift = _frame(self.low, self.high, self.power, self.shift)
        less = self.power - power
        moved = np.ldexp(self.mean, less) + (np.ldexp(self.shift, less) - shift)
        self.mean = np.where(self.n_measured > 0, moved, 0.0)
        self.variance = np.ldexp(self.variance, 2 * less)
        self.power, self.shift = power, shift

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and deviation in the columns' own units, each of shape (n_columns,)."""
        mean = np.ldexp(self.mean + self.shift, self.power)
        # a scale of the smallest numbers may be rounded down to 0
        least = np.finfo(np.float64).smallest_subnormal
        scale = np.maximum(np.ldexp(np.sqrt(self.variance), self.power), least)
        return mean, np.where(_is_constant(self.low, self.high, self.dtype), 0.0, scale)


def _moments(
    rows: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute mean and variance of each column of one chunk, in two passes.

    They are those of scikit-learn's StandardScaler, whose checks of a table take longer than the
    sums over some hundred rows. It also corrects the variance for the rounding of the mean; here
    no number is large beside its column's spread, so that this would change nothing.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        NaN where an entry is missing; else finite.
    weight : ndarray of shape (n_rows,) or None

    Returns
    -------
    mean, variance : ndarray of float64, shape (n_columns,)
        NaN of a column without a measured entry.
    n_measured : ndarray of float64, shape (n_columns,)
        Total weight of the measured entries.
    """
    rows = np.ascontiguousarray(rows)  # sums are rounded by how numbers lie in memory
    missing = np.isnan(rows)
    is_whole = not missing.any()
    if weight is None:
        n_measured = len(rows) - missing.sum(axis=0, dtype=np.float64)
    else:
        weight = weight.astype(rows.dtype).astype(np.float64)  # in the precision of the table
        n_measured = np.where(missing, 0.0, weight[:, None]).sum(axis=0)

    def total(values: np.ndarray) -> np.ndarray:
        if weight is None:
            return values.sum(axis=0, dtype=np.float64)
        return weight @ values.astype(np.float64, copy=False)

    mean = total(rows if is_whole else np.where(missing, rows.dtype.type(0), rows)) / n_measured
    deviation = rows - mean
    if not is_whole:
        deviation[missing] = 0.0
    deviation *= deviation
    return mean, total(deviation) / n_measured, n_measured


def standard_deviation(values: np.ndarray) -> float:
    """Return the standard deviation of measured numbers of any size; 0 if they are constant."""
    values = np.asarray(values, np.float64)
    if not len(values):
        return 0.0
    low, high = values.min(keepdims=True), values.max(keepdims=True)
    if _is_constant(low, high, values.dtype).item():
        return 0.0
    power, shift = _frame(low, high)
    return float(np.ldexp((np.ldexp(values, -power) - shift).std(), power).item())


def standardize_in_place(values: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> None:
    """Subtract a mean from each column and divide by a scale; what overflows becomes infinity.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_columns)
        Of float32 or float64; changed in place, as memory may not hold a copy of a large table.
    mean, scale : ndarray of float64, shape (n_columns,)
    """
    # The difference of the largest number and the smallest is twice as large, which is no number.
    # Half of it is one; and a quotient stays the same where both sides are halved.
    bound = np.finfo(values.dtype)
    factor = np.where(np.abs(mean) >= float(bound.max) * float(bound.eps) / 4, 0.5, 1.0)
    with np.errstate(over="ignore"):
        if (factor < 1).any():
            values *= factor
        values -= mean * factor
        values /= scale * factor


def standardize_measured(
    values: np.ndarray,
    affine: tuple[np.ndarray, np.ndarray] | None,
    fill: np.ndarray,
    n_rows: int,
    check: Callable[[np.ndarray, int], None],
) -> np.ndarray | None:
    """Standardise in place, and fill what is missing; some rows after others.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_columns)
        Of float32 or float64, NaN where an entry is missing; changed in place.
    affine : tuple of ndarray of float64, shape (n_columns,), or None
        Mean and scale; None where numbers stay as they are.
    fill : ndarray of shape (n_columns,)
        Value of a missing entry.
    n_rows : int
        How many rows are taken at once.
    check : callable
        Takes some rows, before they are filled, and the position of the first; may raise.

    Returns
    -------
    ndarray of bool, of the shape of values, or None
        Where entries were measured; None if all of them were, which needs no memory.
    """
    measured = None
    for chunk in gen_batches(len(values), n_rows):
        part = values[chunk]
        missing = np.isnan(part)
        if affine is not None:
            standardize_in_place(part, *affine)
        check(part, chunk.start)
        if missing.any():
            if measured is None:
                measured = np.ones(values.shape, dtype=bool)
            measured[chunk] = ~missing
            np.copyto(part, fill, where=missing)
    return measured


def unscale(column: np.ndarray, mean: float | np.ndarray, scale: float | np.ndarray) -> np.ndarray:
    """Undo ``standardize_in_place``; what overflows becomes the largest number.

    Parameters
    ----------
    column : ndarray of shape (n_samples,) or (n_samples, n_columns)
        One column, or several.
    mean, scale : float or ndarray of float64, shape (n_columns,)

    Returns
    -------
    ndarray of the shape of column
    """
    with np.errstate(over="ignore"):
        decoded = column * scale + mean
        lost = np.isinf(decoded) & np.isfinite(column)
        if lost.any():  # a product may be out of range where the sum is not
            bound = np.finfo(decoded.dtype).max / 2
            mean, scale = (np.broadcast_to(x, column.shape)[lost] for x in (mean, scale))
            half = column[lost] * (scale / 2) + mean / 2
            decoded[lost] = 2 * np.clip(half, -bound, bound)
    return decoded


def _frame(
    low: np.ndarray,
    high: np.ndarray,
    power: np.ndarray | int = 0,
    shift: np.ndarray | float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the power of two and the number that columns are counted in, and from.

    Parameters
    ----------
    low, high : ndarray of shape (n_columns,)
        Smallest and largest value so far; infinite where there was none.
    power, shift : ndarray of shape (n_columns,), or 0
        Those so far; the shift is in units of the power.

    Returns
    -------
    power : ndarray of int, shape (n_columns,)
        0 of columns of any usual unit.
    shift : ndarray of shape (n_columns,)
        0 of columns that are not all near one number; else it stays the same.
    """
    largest = np.maximum(np.abs(low), np.abs(high))
    is_far = np.isfinite(largest) & ((largest > _FAR) | (largest < 1 / _FAR))
    new = np.where(is_far, np.frexp(largest)[1], 0)
    is_near = (low <= high) & (high - low <= _NEAR * largest)
    shift = np.where(shift != 0, np.ldexp(shift, power - new), np.ldexp(low, -new))
    return new, np.where(is_near, shift, 0.0)


def _is_constant(low: np.ndarray, high: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return which columns span at most some units in the last place of the largest number."""
    bound = np.finfo(dtype)
    _, power = np.frexp(np.maximum(np.abs(low), np.abs(high)))
    unit = np.maximum(np.ldexp(float(bound.eps), power - 1), float(bound.smallest_subnormal))
    return high - low <= _STEPS * unit
