"""Checks of the settings that blocks of arrays have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

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
    """Tell whether a setting is an integer of 1 or more; True is none."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def check_fraction(name: str, value: Any) -> float:
    """Give a number of 0 or more that is below 1."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 <= float(value) < 1:
        raise ValueError(f"{name} must be a number of 0 or more, below 1; got {value!r}.")
    return float(value)


def check_not_negative(name: str, value: Any) -> float:
    """Give a finite number of 0 or more."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 <= float(value) < math.inf:
        raise ValueError(f"{name} must be a number of 0 or more, got {value!r}.")
    return float(value)
