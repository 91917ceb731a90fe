"""Values measured at an earlier scale, found again by the content or the key of a row.

A row is known if its columns equal those of a training row, or if a column that names materials,
such as a formula, has the same value.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from ._cells import cell_columns, cell_keys
from ._missing import missing_entries
from ._splits import row_keys

# Up to here, a float tells every integer from the next.
_EXACT = 2**53


@dataclass(frozen=True)
class MeasuredValues:
    """The mean of the measured values of each material.

    Parameters
    ----------
    keys : ndarray of uint64, shape (n_materials,)
        In rising order.
    values : ndarray of float64, shape (n_materials, n_outputs)
        NaN where an output was not measured.
    """

    keys: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, rows: pd.DataFrame | np.ndarray, values: np.ndarray) -> MeasuredValues:
        """Learn the measured values.

        Parameters
        ----------
        rows : DataFrame or ndarray of shape (n_samples, n_columns)
            The columns that tell one material from another.
        values : ndarray of shape (n_samples, n_outputs)
            NaN where not measured.
        """
        keys, is_whole = material_keys(rows)
        known = is_whole & ~np.isnan(values).all(axis=1)
        found, group = np.unique(keys[known], return_inverse=True)
        means = np.full((len(found), values.shape[1]), np.nan)
        for i, column in enumerate(values[known].T):
            has = ~np.isnan(column)
            n = np.bincount(group[has], minlength=len(found))
            total = np.bincount(group[has], column[has], minlength=len(found))
            means[n > 0, i] = total[n > 0] / n[n > 0]
        return cls(found, means)

    def find(self, rows: pd.DataFrame | np.ndarray) -> np.ndarray:
        """Return the measured values of other rows, NaN for unknown ones.

        Parameters
        ----------
        rows : DataFrame or ndarray of shape (n_samples, n_columns)
            The same columns.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs)
        """
        found = np.full((len(rows), self.values.shape[1]), np.nan)
        if not len(self.keys):
            return found
        keys, is_whole = material_keys(rows)
        place = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        known = is_whole & (self.keys[place] == keys)
        found[known] = self.values[place[known]]
        return found

    def to_state(self) -> dict[str, Any]:
        """Return plain values."""
        return dict(vars(self))


def material_keys(rows: pd.DataFrame | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute a key of each row from its content, and whether it has no missing entry.

    A number counts by its value, whatever its type: 1, 1.0 and True are the same. A row with a
    missing entry may be many materials, and is never taken for a known one.

    Returns
    -------
    keys : ndarray of uint64, shape (n_samples,)
    is_whole : ndarray of bool, shape (n_samples,)
    """
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows).infer_objects()
    is_whole = np.asarray(~missing_entries(frame).any(axis=1))
    return row_keys(_cells_as_keys(frame)), is_whole


def count_mixed(materials: np.ndarray, rows: pd.DataFrame | np.ndarray) -> int:
    """Count the materials of which two rows differ in a column that both have measured.

    A missing value in one of two replicates does not make two materials of them.

    Parameters
    ----------
    materials : ndarray of shape (n_samples,)
        Which material each row is of.
    rows : DataFrame or ndarray of shape (n_samples, n_columns)
    """
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows).infer_objects()
    is_known = ~np.asarray(missing_entries(frame))
    is_mixed = pd.Series(False, index=np.unique(materials))
    for j, keys in _cells_as_keys(frame).items():
        pairs = pd.DataFrame({"material": materials, "keys": keys})[is_known[:, j]]
        n_values = pairs.drop_duplicates()["material"].value_counts()
        is_mixed[n_values.index[n_values > 1]] = True
    return int(is_mixed.sum())


def _cells_as_keys(frame: pd.DataFrame) -> pd.DataFrame:
    """Compute a key of each cell from its content; columns go by position."""
    arrays = set(cell_columns(frame))
    columns = {
        j: (cell_keys if j in arrays else _keys_by_value)(frame.iloc[:, j])
        for j in range(frame.shape[1])
    }
    return pd.DataFrame(columns)


def _keys_by_value(column: pd.Series) -> np.ndarray:
    """Compute a key of each cell from its value, independent of other cells.

    A number counts as a float, and all else as its word.
    """
    is_wide = pd.api.types.is_integer_dtype(column.dtype) and (column.abs() > _EXACT).any()
    if pd.api.types.is_numeric_dtype(column.dtype) and not is_wide:  # that of booleans, too
        return _float_keys(column.to_numpy(dtype=np.float64, na_value=np.nan))
    cells = column.astype(object).to_numpy()
    is_number = np.array([_is_float(cell) for cell in cells], dtype=bool)
    keys = np.empty(len(cells), dtype=np.uint64)
    keys[is_number] = _float_keys(cells[is_number].astype(np.float64))
    words = np.array([str(cell) for cell in cells[~is_number]], dtype=object)
    keys[~is_number] = pd.util.hash_array(words)
    return keys


def _is_float(cell: Any) -> bool:
    """Return whether a cell holds a number that is a float; identifiers may have more digits."""
    if not isinstance(cell, Real):
        return False
    return not isinstance(cell, int | np.integer) or abs(int(cell)) <= _EXACT


def _float_keys(values: np.ndarray) -> np.ndarray:
    """Return keys of numbers, in the precision of float32 but for integers.

    The same table may come in single precision, in which 0.1 is another number.
    """
    with np.errstate(over="ignore"):
        single = values.astype(np.float32).astype(np.float64)
    values = np.where((values == np.rint(values)) | np.isinf(single), values, single)
    return pd.util.hash_array(values + 0.0)  # -0.0 and 0.0 are one number of two patterns of bits
