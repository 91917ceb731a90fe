"""Training rows of a fit: equal rows, held-out rows, bootstrap draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, gen_batches

from ._cells import cell_columns, cell_keys
from ._columns import CHUNK_ROWS as CHUNK_ROWS
from ._columns import chunk_rows
from ._dtypes import dtype_groups, selector
from ._keys import key_of_bytes

# Of a table with more columns of one dtype of numbers, a key of them is made of their bytes.
_MOST_COLUMNS = 256


def row_keys(X: pd.DataFrame | np.ndarray) -> np.ndarray:
    """Compute a key of each row from its content: equal rows have equal keys.

    Cells that hold arrays or structures of atoms enter by their content, and many columns of one
    dtype by the bytes of a row; a column of any other table enters as pandas hashes it.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features) or (n_samples,)

    Returns
    -------
    ndarray of uint64, shape (n_samples,)
    """
    frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(X, copy=False)
    of_arrays = cell_columns(frame)
    groups = dtype_groups(frame.dtypes)
    wide = [own for dtype, own in groups.items() if dtype is not None and len(own) > _MOST_COLUMNS]
    if not of_arrays and not wide:
        return pd.util.hash_pandas_object(frame, index=False).to_numpy()
    keys = [cell_keys(frame.iloc[:, j]) for j in of_arrays]
    keys += [_keys_of_numbers(frame, own) for own in wide]
    replaced = {j for own in (of_arrays, *wide) for j in own}
    others = [j for j in range(frame.shape[1]) if j not in replaced]
    if others:
        keys.append(pd.util.hash_pandas_object(frame.iloc[:, others], index=False).to_numpy())
    if len(keys) == 1:
        return keys[0]
    return pd.util.hash_pandas_object(pd.DataFrame(np.column_stack(keys)), index=False).to_numpy()


def _keys_of_numbers(frame: pd.DataFrame, columns: list[int]) -> np.ndarray:
    """Compute a key of each row from many columns of one dtype."""
    keys = np.empty(len(frame), dtype=np.uint64)
    for chunk in gen_batches(len(frame), chunk_rows(len(columns))):
        values = frame.iloc[chunk, selector(columns)].to_numpy()
        if values.dtype.kind == "f":  # of -0.0, and of NaN, there are several patterns of bits
            values = values + values.dtype.type(0)
            values[np.isnan(values)] = np.nan
        values = np.ascontiguousarray(values)
        keys[chunk] = [key_of_bytes(row) for row in values]
    return keys


def count_distinct_rows(X: pd.DataFrame | np.ndarray, y: np.ndarray | None, enough: int) -> int:
    """Count rows that differ in a table or its target, until there are enough.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs), or None
    enough : int
        Number at which the count may stop.
    """
    seen: set[tuple] = set()
    start, most = 0, chunk_rows(X.shape[1])
    n_rows = min(max(enough, 1), most)  # which are enough, unless some are equal
    while start < len(X) and len(seen) < enough:
        chunk = slice(start, start + n_rows)
        start, n_rows = chunk.stop, min(2 * n_rows, most)
        keys = [row_keys(X[chunk])] + ([] if y is None else [row_keys(y[chunk])])
        seen.update(zip(*(key.tolist() for key in keys), strict=True))
    return len(seen)


def bootstrap_rows(strata: np.ndarray, random_state: Any, draw: tuple[int, ...]) -> np.ndarray:
    """Draw rows with replacement, from each stratum as many as it has.

    Parameters
    ----------
    strata : ndarray of shape (n_samples,)
        Kind of each row, such as its class: a draw has as many rows of each.
    random_state : int, RandomState or None
        That of the ensemble's member.
    draw : tuple of int
        Numbers of the member and of the draw: each has rows of its own.

    Returns
    -------
    ndarray of int, shape (n_samples,)
        In rising order.
    """
    seed = check_random_state(random_state).randint(2**31)
    rng = np.random.default_rng((seed, *draw))
    drawn = [
        rng.choice(own, len(own))
        for own in (np.flatnonzero(strata == stratum) for stratum in np.unique(strata))
    ]
    return np.sort(np.concatenate(drawn))


def split_rows(
    keys: np.ndarray,
    strata: np.ndarray | None,
    fraction: float,
    seed: int,
    sample_weight: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows into those to learn from and those to validate with.

    Rows with the same key stay together, so that replicates of one input are not on both sides;
    and the split depends on the rows alone, not on their order or how often each occurs. So an
    integer sample weight stays the same as repeating a row.

    Parameters
    ----------
    keys : ndarray of shape (n_samples,)
        A number for each row, equal for equal rows.
    strata : ndarray of int, shape (n_samples,), or None
        Kind of each row: both parts have the same proportions, where there are enough rows.
    fraction : float
        Share of the distinct keys to validate with.
    seed : int
    sample_weight : ndarray of shape (n_samples,), optional
        How much each row counts where rows of one key are in different strata.

    Returns
    -------
    train, valid : ndarray of int
        Positions of rows.

    Raises
    ------
    ValueError
        If there are fewer than two distinct keys.
    """
    distinct, group = np.unique(keys, return_inverse=True)
    n_groups = len(distinct)
    if n_groups < 2:
        raise ValueError(
            f"early_stopping needs at least two distinct rows to validate with one of them; "
            f"n_samples={len(keys)} with {n_groups} distinct. Set early_stopping=False."
        )
    n_valid = min(max(int(np.ceil(fraction * n_groups)), 1), n_groups - 1)
    stratify = None
    if strata is not None:
        # rows of one key may be of several strata: the heaviest one stands for the key
        kinds, code = np.unique(strata, return_inverse=True)
        cell = group * len(kinds) + code
        counts = np.bincount(cell, sample_weight, minlength=n_groups * len(kinds))
        majority = counts.reshape(n_groups, len(kinds)).argmax(axis=1)
        n_kinds = np.bincount(majority)
        n_kinds = n_kinds[n_kinds > 0]
        # train_test_split needs two keys of each kind, and a place for each kind in both parts
        if n_kinds.min() > 1 and len(n_kinds) <= min(n_valid, n_groups - n_valid):
            stratify = majority
    _, valid_groups = train_test_split(
        np.arange(n_groups), test_size=n_valid, stratify=stratify, random_state=seed
    )
    is_held_out = np.zeros(n_groups, dtype=bool)
    is_held_out[valid_groups] = True
    is_valid = is_held_out[group]
    return np.flatnonzero(~is_valid), np.flatnonzero(is_valid)
