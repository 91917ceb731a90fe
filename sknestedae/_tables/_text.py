"""Text that is no category: numbers, dates and names of rows, as in many files."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

# So many distinct values are looked at.
_MOST_VALUES = 1000

# So many of them must read as numbers, or as dates.
_SHARE = 0.9

# With fewer distinct values, and with more rows than this a value, text may well be categories.
_FEW_VALUES, _ROWS_PER_VALUE = 20, 2

# A number with an optional thousands separator, decimal point or comma, and exponent.
_DIGITS = r"[+-]?\s*(?:\d{1,3}(?:[ ',.\u00a0\u202f]\d{3})+|\d+)?(?:[.,]\d+)?(?:[eE][+-]?\d+)?"

_UNITS = (
    "%|wt%|at%|pm|nm|um|µm|μm|mm|cm|km|Å|°|°C|K|meV|eV|keV|ns|ms|min|Hz|kHz|MHz|GHz|mg|kg|mol|mV|"
    "kV|mA|mW|kW|Pa|kPa|MPa|GPa|mbar|bar|kJ|mL|ppm|rpm|deg"
)

_INTEGER = re.compile(r"\s*[+-]?\d+\s*")

_NUMBER = re.compile(rf"\s*(?=[^a-zA-Z]*\d){_DIGITS}\s*")

# A unit directly after the number must be a known one, else "4H" and the like would be one; after
# a blank, any word is.
_WITH_UNIT = re.compile(
    rf"\s*(?=[^a-zA-Z]*\d){_DIGITS}(?:\s*(?:{_UNITS})|\s+[A-Za-zµμΩ°Å%][\w/^²³·*.%-]*)\s*"
)

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"

_DATE = re.compile(
    r"\s*(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})"
    rf"|(?:\d{{1,2}}\.?\s+)?(?:{_MONTHS})[a-z]*\.?,?\s+(?:\d{{1,2}},?\s+)?\d{{4}})"
    r"(?:[T ]\s*\d{1,2}:\d{2}.*)?\s*",
    re.IGNORECASE,
)

# What files write where nothing was measured.
_MISSING = {"", "-", "--", "?", "n/a", "na", "n.a.", "nan", "none", "null", "missing", "unknown"}


def doubt(column: pd.Series) -> str | None:
    """Return the reason why a column of text seems to be no category; None without one.

    Parameters
    ----------
    column : Series
        Of strings, or of objects. A column with a categorical dtype was made one on purpose.

    Returns
    -------
    str or None
        What it seems to hold, with examples, and what to do.
    """
    is_text = types.is_object_dtype(column.dtype) or types.is_string_dtype(column.dtype)
    if not is_text or isinstance(column.dtype, pd.CategoricalDtype):
        return None
    values = pd.unique(column.dropna())  # a column of many rows may have few
    words = [value for value in values if isinstance(value, str)]
    if not words:
        return None
    if len(words) < len(values):
        return _beside_numbers(words, values)
    said = [w for w in words[:_MOST_VALUES] if w.strip().lower() not in _MISSING]
    if not said:
        return None
    numbers = _as_numbers(said, words)
    if numbers is not None:
        return numbers
    if _share(_DATE, said) >= _SHARE:
        return (
            f"holds dates as text, such as {_examples(said)}; as categories their order is lost. "
            "Convert it, such as to a number of days with (pd.to_datetime(column"
            f"{_day_first(said)}) - pd.Timestamp(2020, 1, 1)).dt.days"
        )
    twins = _twins(words)
    if twins:
        return (
            f"has categories that differ by blanks alone, such as {_examples(twins)}. Make them "
            "one, such as with column.str.strip()"
        )
    n_rows = int(column.notna().sum())
    if len(values) >= _FEW_VALUES and n_rows < _ROWS_PER_VALUE * len(values):
        return (
            f"has {len(values)} values in {n_rows} rows, such as {_examples(said)}: it names rows "
            "and has no information about new ones. Leave it out, or put properties in its place, "
            "such as those of a compound for its formula"
        )
    return None


def _as_numbers(said: list[str], words: list[str]) -> str | None:
    """Return the reason if words read as numbers, with units or without.

    ``words`` are all of them, those that say "missing" as well.
    """
    if _share(_INTEGER, said) == 1:
        return None
    point = _to_point(said)
    if _share(_NUMBER, said) >= _SHARE:
        others = [word for word in words if not _NUMBER.fullmatch(word)]
        coerce = (
            f", errors='coerce'), which makes {others[0]!r} a missing value" if others else ")"
        )
        return (
            f"holds numbers as text, such as {_examples(said)}; as categories their order and "
            f"distances are lost. Convert it, such as with pd.to_numeric(column{point}{coerce}"
        )
    if _share(_WITH_UNIT, said) >= _SHARE:
        return (
            f"holds numbers with a unit as text, such as {_examples(said)}; as categories their "
            f"order and distances are lost. Convert it, such as with column{point}"
            ".str.extract(r'([-+]?[\\d.]+(?:[eE][-+]?\\d+)?)')[0].astype(float)"
        )
    plain = [word for word in said if _NUMBER.fullmatch(word)]
    with_unit = [word for word in said if _WITH_UNIT.fullmatch(word)]
    if plain and with_unit and len(plain) + len(with_unit) >= _SHARE * len(said):
        return (
            "holds numbers as text, some with a unit and some without, such as "
            f"{_examples([with_unit[0], plain[0]])}; as categories their order and distances are "
            "lost. Bring them to one unit, and convert the column to numbers"
        )
    return None


def _to_point(said: list[str]) -> str:
    """Return the code that turns the commas in numbers to what pandas reads; "" without commas."""
    commas = [word for word in said if "," in word]
    if not commas:
        return ""
    # Two commas, or a point after one, are thousands: a decimal comma comes once, and last.
    if any(word.count(",") > 1 or "." in word[word.index(",") :] for word in commas):
        return ".str.replace(',', '')"
    if any("." in word for word in commas):
        return ".str.replace('.', '').str.replace(',', '.')"
    return ".str.replace(',', '.')"


def _day_first(said: list[str]) -> str:
    """Return the argument by which pandas reads 3.7.2024 as a day of July, if points part them."""
    dotted = [word for word in said if re.match(r"\s*\d{1,2}\.\d{1,2}\.\d", word)]
    return ", dayfirst=True" if dotted else ""


def _twins(words: list[str]) -> list[str]:
    """Return two words that differ by blanks alone, if there are any."""
    known: dict[str, str] = {}
    for word in words:
        twin = known.setdefault(" ".join(word.split()), word)
        if twin != word:
            return [twin, word]
    return []


def _beside_numbers(words: list[str], values: np.ndarray) -> str | None:
    """Return the reason if a few words among numbers turn all of them to categories.

    Words that read as numbers do so however many they are.
    """
    n_numbers = sum(not isinstance(value, str | bool | np.bool_) for value in values)
    if (
        n_numbers and _as_numbers(words[:_MOST_VALUES], words) is not None
    ):  # to coerce would lose them
        return (
            f"holds numbers beside numbers as text, such as {_examples(words)}, so that all of "
            "them are categories. Bring them to one unit, and convert the column to numbers"
        )
    if n_numbers < len(words):
        return None
    return (
        f"holds numbers beside the text {_examples(words)}, so that all of them are categories. "
        "Convert it to numbers, with NaN where nothing was measured, such as with "
        "pd.to_numeric(column, errors='coerce')"
    )


def _share(pattern: re.Pattern, words: list[str]) -> float:
    """Return the share of words that a pattern matches as a whole."""
    return sum(pattern.fullmatch(word) is not None for word in words) / len(words)


def _examples(words: list[str]) -> str:
    return ", ".join(repr(word if len(word) <= 30 else word[:27] + "...") for word in words[:3])


def hint_of_spelling(unknown: Any, known: np.ndarray) -> str:
    """Return a hint if an unknown word is a known one but for blanks or capitals; else ""."""
    if not isinstance(unknown, str):
        return ""
    words = [word for word in known if isinstance(word, str)]
    for kind, plain in (
        ("blanks around it", str.strip),
        ("capitals", str.casefold),
        ("blanks and capitals", lambda word: word.strip().casefold()),
    ):
        found = next((word for word in words if plain(word) == plain(unknown)), None)
        if found is not None:
            return f" {unknown!r} is {found!r} but for {kind}."
    return ""
