"""Checks of the settings that blocks of arrays have in common."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from numbers import Integral, Real
from typing import Any

import numpy as np

SCALES = ("block", "column", None)


def check_convolutions(n_channels: Sequence[int], kernel_size: int) -> tuple[int, ...]:
    """Check the settings of convolutions.

    Returns
    -------
    tuple of int
        The numbers of channels.

    Raises
    ------
    ValueError
        With the name of the setting, its rule and the value.
    """
    is_list = isinstance(n_channels, list | tuple)
    if not is_list or not n_channels or not all(map(is_positive, n_channels)):
        raise ValueError(
            "n_channels must be a tuple of integers of 1 or more, the number of channels after "
            f"each convolution, got {n_channels!r}."
        )
    if not is_positive(kernel_size) or kernel_size % 2 == 0:
        raise ValueError(
            "kernel_size must be an odd integer of 1 or more, so that a kernel has a centre, got "
            f"{kernel_size!r}."
        )
    return tuple(int(n) for n in n_channels)


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Check that a setting is one of some values, also of those that cannot be hashed.

    Raises
    ------
    ValueError
        With the name of the setting, its rule and the value.
    """
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        *most, last = map(repr, choices)
        raise ValueError(f"{name} must be {', '.join(most)} or {last}, got {value!r}.")


def is_positive(value: Any) -> bool:
    """Return whether a setting is an integer of 1 or more; True is none."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def check_fraction(name: str, value: Any) -> float:
    """Return a number of 0 or more that is below 1."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 <= float(value) < 1:
        raise ValueError(f"{name} must be a number of 0 or more, below 1; got {value!r}.")
    return float(value)


def check_bool(name: str, value: Any) -> bool:
    """Return True or False, also of NumPy."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False; got {value!r}.")
    return bool(value)


def check_count(name: str, value: Any, *, least: int = 1, most: int | None = None) -> int:
    """Return an integer that is not below the least, nor above the most."""
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_integer or int(value) < least or (most is not None and int(value) > most):
        rule = f"of {least} or more" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be an integer {rule}; got {value!r}.")
    return int(value)


def check_length(
    name: str,
    value: Any,
    *,
    above: float = 0.0,
    most: float = inf,
    may_be_zero: bool = False,
) -> float:
    """Return a distance in Angstrom above one and at most another, or 0 where it may be."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not (above < float(value) < inf or (may_be_zero and value == 0)):
        rule = f"above {above:g}" if not may_be_zero else f"of 0 or above {above:g}"
        raise ValueError(f"{name} must be a distance {rule} in Angstrom; got {value!r}.")
    if float(value) > most:
        raise ValueError(f"{name} must be at most {most:g} Angstrom; got {value!r}.")
    return float(value)


def check_at_least(name: str, value: Any, least: float) -> float:
    """Return a finite number that is not below the least."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not least <= float(value) < inf:
        raise ValueError(f"{name} must be a number of {least:g} or more, got {value!r}.")
    return float(value)
