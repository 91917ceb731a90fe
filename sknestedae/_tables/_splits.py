"""Which rows are learnt from: rows that are equal, held-out rows, bootstrap draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, gen_batches

# Rows looked at together: it bounds what a pass over a large table needs beside the table.
CHUNK_ROWS = 16_384


def row_keys(X: pd.DataFrame | np.ndarray) -> np.ndarray:
    """Give each row a number that follows from its content: equal rows have equal keys.

    Returns
    -------
    ndarray of uint64, shape (n_samples,)
    """
    return pd.util.hash_pandas_object(pd.DataFrame(X), index=False).to_numpy()


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
    for chunk in gen_batches(len(X), CHUNK_ROWS):
        keys = [row_keys(X[chunk])] + ([] if y is None else [row_keys(y[chunk])])
        seen.update(zip(*(key.tolist() for key in keys), strict=True))
        if len(seen) >= enough:
            break
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
        counts = np.zeros((n_groups, len(kinds)))
        np.add.at(counts, (group, code), 1 if sample_weight is None else sample_weight)
        majority = counts.argmax(axis=1)
        n_kinds = np.bincount(majority)
        n_kinds = n_kinds[n_kinds > 0]
        # train_test_split needs two keys of each kind, and a place for each kind in both parts
        if n_kinds.min() > 1 and len(n_kinds) <= min(n_valid, n_groups - n_valid):
            stratify = majority
    _, valid_groups = train_test_split(
        np.arange(n_groups), test_size=n_valid, stratify=stratify, random_state=seed
    )
    is_valid = np.isin(group, valid_groups)
    return np.flatnonzero(~is_valid), np.flatnonzero(is_valid)
