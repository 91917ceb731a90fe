"""The format of stored estimators: plain values and names of public classes, with a number.

A file must outlive the folders that its estimators were made in. So a state has numbers, strings,
arrays, and lists and dicts of these; all else is made anew from them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ._version import __version__
from .exceptions import StateFormatError

# Raised when a state of the version before can no longer be read.
FORMAT = 8
_FORMAT, _VERSION = "_format", "_sknestedae_version"

T = TypeVar("T", bound=type | Callable)


def public(module: str) -> Callable[[T], T]:
    """Set the module of a class to the address where users import it, which a file holds."""

    def set_module(named: T) -> T:
        named.__module__ = module
        return named

    return set_module


def stamp(state: dict[str, Any]) -> dict[str, Any]:
    """Add the number of the format, and the version that writes it."""
    return {**state, _FORMAT: FORMAT, _VERSION: __version__}


def check_stamp(state: dict[str, Any], owner: Any) -> dict[str, Any]:
    """Take the number of the format out of a state.

    Raises
    ------
    StateFormatError
        If it is another one than this version reads.
    """
    state = dict(state)
    number, version = state.pop(_FORMAT, None), state.pop(_VERSION, None)
    if number != FORMAT:
        written = "an early version" if version is None else f"version {version}"
        raise StateFormatError(
            f"This {type(owner).__name__} was stored by {written} of sknestedae, in the format "
            f"{number}; version {__version__} reads the format {FORMAT}. Load it with the version "
            "that stored it, or fit it anew."
        )
    return state
