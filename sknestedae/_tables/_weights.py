"""Weights of rows, brought to a range in which products and inverses stay finite."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from numbers import Real
from typing import Any

import numpy as np

# A row that weighs less than this share of the heaviest counts as one of weight 0. Above it, a
# weight, its inverse and what they are multiplied with stay in the range of single precision.
_LEAST_WEIGHT = 2.0**-100


def scale_weights(sample_weight: np.ndarray) -> tuple[np.ndarray, int]:
    """Scale weights to near 1, as only their proportions matter.

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


def factors_of_classes(
    class_weight: Mapping[Any, Any] | str,
    classes: np.ndarray,
    codes: np.ndarray,
    weight: np.ndarray,
) -> np.ndarray:
    """Return the factors of the rows' weights by the parameter ``class_weight``.

    Parameters
    ----------
    class_weight : dict or "balanced"
        "balanced": classes with labelled rows get the same total weight, and the labelled rows
        keep their total weight. A class that is not in the dict has the weight 1.
    classes : ndarray of shape (n_classes,)
    codes : ndarray of int, shape (n_samples,)
        Positions among the classes; -1 where a row is not labelled, whose weight stays.
    weight : ndarray of shape (n_samples,)
        Weights of the rows, 0 or more, as they were given.

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If a weight is no number of 0 or more; or if a key is no class, and a class has no key.
    """
    if isinstance(class_weight, str):
        labelled = codes >= 0
        totals = np.bincount(codes[labelled], weight[labelled], minlength=len(classes))
        found = totals > 0
        factors = np.divide(
            totals.sum() / max(found.sum(), 1), totals, where=found, out=np.ones(len(classes))
        )
    else:
        factors = _factors_of_dict(class_weight, classes)
    return np.append(factors, 1.0)[codes]  # the code -1 reads the last entry


def _factors_of_dict(class_weight: Mapping[Any, Any], classes: np.ndarray) -> np.ndarray:
    """Return the weight of each class, of shape (n_classes,)."""
    for label, value in class_weight.items():
        if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= float(value) < inf:
            raise ValueError(
                "The 'class_weight' parameter must give each class a number of 0 or more, got "
                f"{value!r} for {label!r}."
            )
    labels = classes.tolist()
    unknown = [label for label in class_weight if label not in labels]
    without = [label for label in labels if label not in class_weight]
    if unknown and without:
        raise ValueError(
            f"The 'class_weight' parameter has weights for {unknown}, but not for {without}; its "
            f"keys must be classes of y, {labels}. A class without a key has the weight 1."
        )
    return np.array([float(class_weight.get(label, 1.0)) for label in labels])
