"""Warnings about data: each is given once by a public call, and points at the user's own line.

A table may pass through many encoders in one call, such as those of an ensemble's members or of a
chain's stages, and each of them notices the same.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from types import TracebackType

from ._compat import stack_level_of_caller

# Notices of the public call that runs in a thread: by key, a weight and a warning.
Found = dict[Hashable, tuple[int, str, type[Warning]]]
_LOCAL = threading.local()


def notice(text: str, category: type[Warning], key: Hashable = None, weight: int = 0) -> None:
    """Warn at the end of the public call that is running, or here and now without one.

    Parameters
    ----------
    text : str
    category : type
        Of the warning.
    key : hashable, optional
        Of warnings with one key, that of the largest weight is given; by default the text.
    weight : int
    """
    subject = getattr(_LOCAL, "subject", None)
    text = text if subject is None else f"{subject}: {text}"
    found = current()
    if found is None:
        warnings.warn(text, category, stacklevel=stack_level_of_caller())
        return
    key = text if key is None else key
    if key not in found or found[key][0] < weight:
        found[key] = (weight, text, category)


@contextmanager
def noticing(subject: str) -> Iterator[None]:
    """Begin the notices of the calls inside with their subject, such as "In y"."""
    before = getattr(_LOCAL, "subject", None)
    _LOCAL.subject = subject
    try:
        yield
    finally:
        _LOCAL.subject = before


def current() -> Found | None:
    """Return the notices of the public call that is running; None without one."""
    return getattr(_LOCAL, "found", None)


class Notices:
    """Collect notices of the calls inside; the outermost one warns at its end.

    Parameters
    ----------
    found : dict, optional
        Notices to add to, such as those of a call that runs in another thread; it is the other
        that warns.
    apart : bool, default=False
        Whether to warn at its own end, within another call too, such as where warnings are caught.
    """

    def __init__(self, found: Found | None = None, *, apart: bool = False) -> None:
        self._given = found
        self._apart = apart
        self._is_outermost = False

    def __enter__(self) -> Notices:
        self._before = current()
        if self._given is not None:
            _LOCAL.found = self._given
        elif self._before is None or self._apart:
            self._is_outermost = True
            _LOCAL.found = {}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        found, _LOCAL.found = current() or {}, self._before
        if self._is_outermost and error is None:
            for _, text, category in found.values():
                warnings.warn(text, category, stacklevel=stack_level_of_caller())
