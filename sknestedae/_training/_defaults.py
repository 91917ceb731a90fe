"""Settings that follow from the data: batch size and strength of the L2 penalty."""

from __future__ import annotations

import numpy as np


def auto_batch_size(n_samples: int) -> int:
    """Give the number of rows in a batch that suits a number of rows: 32 to 1024."""
    return int(np.clip(2 ** int(np.log2(max(n_samples, 1) / 16)), 32, 1024))


# The strength of the L2 penalty that alpha="auto" gives many rows: of numbers, and of classes.
# Where classes can be told apart, a cross-entropy falls without end: the network becomes ever
# surer of the rows that it learns from, and too sure of others.
LEAST_ALPHA = 1e-3
LEAST_ALPHA_OF_CLASSES = 5e-3
# From this number of distinct rows on, alpha="auto" no longer depends on it.
MANY_DISTINCT_ROWS = 548


def auto_alpha(n_distinct: int, least: float = LEAST_ALPHA) -> float:
    """Give the strength of the L2 penalty that suits a number of distinct rows.

    It falls with the square of the number, from 0.15 (45 rows or fewer) to the least (0.001: 548
    or more): between the two a few dozen rows cannot be learnt by heart, and a few hundred are
    followed.
    """
    return float(np.clip(300 / n_distinct**2, least, 0.15))
