"""The parts of a page, for HTML and for Markdown alike; and how numbers are written."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from ..plotting._base import shorten

NOTHING = "–"  # noqa: RUF001 - an en dash, where there is no number


@dataclass(frozen=True)
class Text:
    """A paragraph of plain text."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Pairs:
    """Names with a short text each."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """A table of texts; the first column names the rows.

    Parameters
    ----------
    caption : str
    header : tuple of str
    rows : tuple of tuple of str
    n_text : int
        Number of columns, from the left, that hold words rather than numbers.
    strong : frozenset of int
        Rows to emphasise.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_text: int = 1
    strong: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Picture:
    """A figure.

    Parameters
    ----------
    name : str
        Distinct, of letters, digits and hyphens.
    png : bytes
    size : tuple of two int
        Width and height in pixels of CSS.
    alt : str
        What it shows, for those who cannot see it.
    caption : str
    """

    name: str
    png: bytes = field(repr=False)
    size: tuple[int, int]
    alt: str
    caption: str


@dataclass(frozen=True)
class Folded:
    """Parts that are folded away below a line of text."""

    summary: str
    parts: tuple[Part, ...]


Part = Text | Bullets | Pairs | Table | Picture | Folded


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading; ``key`` is its address in the page."""

    key: str
    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Page:
    """The page: a title, a line below it, and sections."""

    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]
    footer: str
    citation: tuple[str, str]


# ---------------------------------------------------------------------------------------------
# Numbers and words


def number(value: float, digits: int = 3) -> str:
    """Write a number with some significant digits; those before the point are all kept."""
    if value is None or not np.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e6 or size < 1e-4:
        text = f"{value:.{digits - 1}e}"
        mantissa, exponent = text.split("e")
        return _minus(f"{mantissa}e{int(exponent)}")
    places = max(0, digits - 1 - int(np.floor(np.log10(size))))
    return _minus(f"{value:.{places}f}")


def plain_number(value: float) -> str:
    """Write a measured number, such as an end of a range, without trailing zeros."""
    if value is None or not np.isfinite(value):
        return NOTHING
    return _minus(f"{value:.6g}" if abs(value) < 1e6 else f"{value:.4g}")


def mean_and_sd(values: ArrayLike, places: int | None = None) -> str:
    """Write mean ± standard deviation, with as many places or three digits of the larger one."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        return NOTHING
    mean = float(known.mean())
    sd = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    size = max(abs(mean), sd)  # both have the places of the larger one
    if places is None and (size >= 1e6 or 0 < size < 1e-4):
        return number(mean) if len(known) < 2 else f"{number(mean)} ± {number(sd, 2)}"
    if places is None:
        places = 0 if size == 0 else max(0, 2 - int(np.floor(np.log10(size))))
    text = f"{mean:.{places}f}"
    return _minus(text if len(known) < 2 else f"{text} ± {sd:.{places}f}")


def fixed(value: float, places: int = 3) -> str:
    """Write a number with some places behind the point, such as a score of at most 1."""
    return _minus(f"{value:.{places}f}") if np.isfinite(value) else NOTHING


def percent(share: float) -> str:
    """Write a share; one that is not nothing is not written as 0 %, nor one below 1 as 100 %."""
    if not np.isfinite(share):
        return NOTHING
    for bound, text in ((0.001, "< 0.1 %"), (0.999, "> 99.9 %")):
        if 0 < share < 1 and (share < bound if bound < 0.5 else share > bound):
            return text
    return f"{100 * share:.{1 if share < 0.0995 or share > 0.9905 else 0}f} %".replace(".0 ", " ")


def enumerate_words(words: Sequence[str], most: int = 6) -> str:
    """Write a list within a sentence; a long one is cut."""
    words = list(words)
    if len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} others"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def package_version() -> str:
    """Return the version of this package."""
    return str(sys.modules[__name__.partition(".")[0]].__version__)


def short(value: object, width: int = 120) -> str:
    """Write a value on one line, not too long."""
    return shorten(" ".join(str(value).split()), width)


def _minus(text: str) -> str:
    return text.replace("-", "−")  # noqa: RUF001 - a minus sign, as wide as a plus
