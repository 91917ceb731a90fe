"""Weights of rows, brought to a range in which products and inverses stay finite."""

from __future__ import annotations

import numpy as np

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
        less than 2. A weight that is very small beside it is 0.
    power : int
        Which one.
    """
    largest = np.max(sample_weight, initial=0.0)
    if largest == 0:
        return sample_weight, 0
    power = int(np.frexp(largest)[1]) - 1
    scaled = np.ldexp(sample_weight, -power)
    return np.where(scaled < _LEAST_WEIGHT, 0.0, scaled), power
