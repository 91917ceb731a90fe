"""Which rows are learnt from, how many at once, and how firmly the weights are held."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state


def auto_batch_size(n_samples: int) -> int:
    """Give the number of rows in a batch that suits a number of rows: 32 to 1024."""
    return int(np.clip(2 ** int(np.log2(max(n_samples, 1) / 16)), 32, 1024))


# From this number of distinct rows on, alpha="auto" no longer depends on it.
MANY_DISTINCT_ROWS = 548


def auto_alpha(n_distinct: int) -> float:
    """Give the strength of the L2 penalty that suits a number of distinct rows.

    It falls with the square of the number, from 0.15 (45 rows or fewer) to 0.001 (548 or more):
    between the two a few dozen rows can not be learnt by heart, and a few hundred are followed.
    """
    return float(np.clip(300 / n_distinct**2, 1e-3, 0.15))


# A row that weighs less than this share of the heaviest counts as one of weight 0. Above it, a
# weight, its inverse and what they are multiplied with stay in the range of single precision.
_LEAST_WEIGHT = 2.0**-100


def scale_weights(sample_weight: np.ndarray) -> tuple[np.ndarray, int]:
    """Bring weights near 1, as only their proportions matter.

    Parameters
    ----------
    sample_weight : ndarray of shape (n_samples,)

    Returns
    -------
    sample_weight : ndarray of shape (n_samples,)
        The same, divided by a power of two, which rounds nothing: the largest is 1 or more, and
        less than 2. What is very small beside it is 0.
    power : int
        Which one.
    """
    largest = np.max(sample_weight, initial=0.0)
    if largest == 0:
        return sample_weight, 0
    power = int(np.frexp(largest)[1]) - 1
    scaled = np.ldexp(sample_weight, -power)
    return np.where(scaled < _LEAST_WEIGHT, 0.0, scaled), power


def bootstrap_rows(strata: np.ndarray, random_state: Any, draw: tuple[int, ...]) -> np.ndarray:
    """Draw rows with replacement, from each stratum as many as it has.

    Parameters
    ----------
    strata : ndarray of shape (n_samples,)
        What must not be lost, such as the classes.
    random_state : int, RandomState or None
        Of the member.
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
        What tells rows apart.
    strata : ndarray of int, shape (n_samples,), or None
        What should be in both parts in the same proportion, where there are enough rows.
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
        kinds, code = np.unique(strata, return_inverse=True)
        counts = np.zeros((n_groups, len(kinds)))
        np.add.at(counts, (group, code), 1 if sample_weight is None else sample_weight)
        majority = counts.argmax(axis=1)
        n_kinds = np.bincount(majority)
        n_kinds = n_kinds[n_kinds > 0]
        if n_kinds.min() > 1 and len(n_kinds) <= min(n_valid, n_groups - n_valid):
            stratify = majority
    _, valid_groups = train_test_split(
        np.arange(n_groups), test_size=n_valid, stratify=stratify, random_state=seed
    )
    is_valid = np.isin(group, valid_groups)
    return np.flatnonzero(~is_valid), np.flatnonzero(is_valid)
