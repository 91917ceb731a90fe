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
_DIGITS = (
    r"[+\u2212-]?\s*(?:\d{1,3}(?:[ ',.\u00a0\u202f]\d{3})+|\d+)?(?:[.,]\d+)?(?:[eE][+-]?\d+)?"
)

_UNITS = (
    "%|wt%|at%|pm|nm|um|µm|μm|mm|cm|km|Å|°|°C|K|meV|eV|keV|ns|ms|min|Hz|kHz|MHz|GHz|mg|kg|mol|mV|"
    "kV|mA|mW|kW|Pa|kPa|MPa|GPa|mbar|bar|kJ|mL|ppm|rpm|deg"
)

# Blanks, apostrophes, points and commas may part the thousands of a number. The first group is
# the number, so that the points of a unit are not looked at.
_BLANKS = " '\u00a0\u202f"

_BEGINS = re.compile(rf"\s*[+\u2212-]?\s*(\d{{1,3}}(?:[{_BLANKS}]\d{{3}})+(?:[.,]\d+)?|[\d.,]+)")

_GROUPS = {sign: re.compile(rf"[1-9]\d{{0,2}}(?:[{sign}]\d{{3}})+") for sign in ".,"}

_INTEGER = re.compile(r"\s*[+-]?\d+\s*")

_NUMBER = re.compile(rf"\s*(?=[^a-zA-Z]*\d){_DIGITS}\s*")

# A unit directly after the number must be a known one, else "4H" and the like would be one; after
# a blank, any word is.
_WITH_UNIT = re.compile(
    rf"\s*(?=[^a-zA-Z]*\d){_DIGITS}(?:\s*(?:{_UNITS})|\s+[A-Za-zµμΩ°Å%][\w/^²³·*.%-]*)\s*"
)

# A limit, an uncertainty or a range, with a unit or without.
_VALUE = r"[+\u2212-]?(?:\d[\d.,]*|[.,]\d+)(?:[eE][+-]?\d+)?"

_RANGE = re.compile(
    rf"\s*({_VALUE})\s*(?:-|\u2013|\.\.+|to)\s*({_VALUE})"
    r"(?:\s*[^\d\s-]*|\s+[A-Za-zµμΩ°Å%][\w/^²³·*.%-]*)\s*"
)

_MARKED = re.compile(
    rf"\s*(?:[<>≤≥~≈]=?\s*{_VALUE}|{_VALUE}\s*(?:±|\+/?-)\s*{_VALUE}|{_VALUE}\s*\(\d+\))"
    r"(?:\s*[^\d\s<>±()-]*|\s+[A-Za-zµμΩ°Å%][\w/^²³·*.%-]*)\s*"
)

# The code by which the advice takes a number, and a unit, out of a text.
_TAKE_NUMBER = ".str.extract(r'([-+]?[\\d.]+(?:[eE][-+]?\\d+)?)')[0].astype(float)"

_TAKE_UNIT = re.compile(r"([^\d\s.,+-]\S*)\s*$")

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"

_DATE = re.compile(
    r"\s*(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})"
    rf"|(?:\d{{1,2}}\.?\s+)?(?:{_MONTHS})[a-z]*\.?,?\s+(?:\d{{1,2}},?\s+)?\d{{4}})"
    r"(?:[T ]\s*\d{1,2}:\d{2}.*)?\s*",
    re.IGNORECASE,
)

_DATES = "holds dates as text, such as"

# What files write where nothing was measured.
_MISSING = {"", "-", "--", "?", "n/a", "na", "n.a.", "nan", "none", "null", "missing", "unknown"}
_MISSING |= {"k.a.", "n.d.", "nd"}


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
        what, remedy = numbers
        return f"{what}; as categories their order and distances are lost. {remedy}"
    if _share(_DATE, said) >= _SHARE:
        return f"{_DATES} {_examples(said)}; as categories their order is lost. {_to_days(said)}"
    twins = _twins(words)
    if twins is not None:
        return twins
    n_rows = int(column.notna().sum())
    if len(values) >= _FEW_VALUES and n_rows < _ROWS_PER_VALUE * len(values):
        return (
            f"has {len(values)} values in {n_rows} rows, such as {_examples(said)}: it names rows "
            "and has no information about new ones. Leave it out, or put properties in its place, "
            "such as those of a compound for its formula"
        )
    return None


def remedy_of_target(y: Any) -> str:
    """Return how to convert a target of text that stands for numbers or dates; "" if it does not.

    Parameters
    ----------
    y : array-like of shape (n_rows,)

    Returns
    -------
    str
        Sentences after a blank.
    """
    values = np.ravel(np.asarray(y, dtype=object))
    words = [w for w in dict.fromkeys(values) if isinstance(w, str)] if len(values) else []
    said = [w for w in words[:_MOST_VALUES] if w.strip().lower() not in _MISSING]
    if not said:
        return ""
    numbers = _as_numbers(said, words)
    if numbers is not None:
        what, remedy = numbers
    elif _share(_DATE, said) >= _SHARE:
        what, remedy = f"{_DATES} {_examples(said)}", _to_days(said)
    else:
        return ""
    return f" It {what}. {remedy.replace('(column', '(y').replace('column.', 'y.')}."


def _as_numbers(said: list[str], words: list[str]) -> tuple[str, str] | None:
    """Return what words are that read as numbers, with units or without, and what to do.

    ``words`` are all of them, those that say "missing" as well.
    """
    if _share(_INTEGER, said) == 1:
        return None
    marked = [word for word in said if _is_marked(word)]
    plain = [word for word in said if _NUMBER.fullmatch(word)]
    with_unit = [word for word in said if _WITH_UNIT.fullmatch(word) and word not in marked]
    enough = _SHARE * len(said)
    if marked and len(marked) + len(plain) + len(with_unit) >= enough:
        return (
            "holds numbers as text, of which some have a limit, a range or an uncertainty, such "
            f"as {_examples([*marked[:2], *(plain or with_unit)[:1]])}",
            "Say what each stands for, such as half of a detection limit, the middle of a range, "
            "or the number before the uncertainty, and convert the column to numbers",
        )
    point, doubtful = _to_point([*plain, *with_unit])
    if len(plain) >= enough:
        others = [word for word in words if not _NUMBER.fullmatch(word)]
        coerce = (
            f", errors='coerce'), which makes {others[0]!r} a missing value" if others else ")"
        )
        return (
            f"holds numbers as text, such as {_examples(said)}",
            f"Convert it, such as with pd.to_numeric(column{point}{coerce}{doubtful}",
        )
    if len(with_unit) >= enough:
        return _with_units(with_unit, f"column{point}{_TAKE_NUMBER}", doubtful)
    if plain and with_unit and len(plain) + len(with_unit) >= enough:
        return (
            "holds numbers as text, some with a unit and some without, such as "
            f"{_examples([with_unit[0], plain[0]])}",
            "Bring them to one unit, and convert the column to numbers",
        )
    return None


def _with_units(words: list[str], number: str, doubtful: str) -> tuple[str, str]:
    """Return what to do with numbers that have a unit, or several; ``number`` is code."""
    of_unit: dict[str, str] = {}
    for word in words:
        unit = _TAKE_UNIT.search(word)
        of_unit.setdefault("" if unit is None else unit.group(1), word)
    if len(of_unit) == 1:
        return (
            f"holds numbers with a unit as text, such as {_examples(words)}",
            f"Convert it, such as with {number}{doubtful}",
        )
    factors = ", ".join(f"{unit!r}: ..." for unit in of_unit)
    return (
        f"holds numbers with {len(of_unit)} units as text, such as "
        f"{_examples(list(of_unit.values()))}",
        f"Bring them to one unit: multiply {number} by the factor of the unit, "
        f"column.str.extract(r'{_TAKE_UNIT.pattern}')[0].map({{{factors}}}){doubtful}",
    )


def _is_marked(word: str) -> bool:
    """Return whether a word is a number with a limit or an uncertainty, or a range that rises."""
    if _MARKED.fullmatch(word):
        return True
    ends = _RANGE.fullmatch(word)
    if ends is None:
        return False
    try:  # "70-30" is a ratio, "12-034" the name of a sample
        low, high = (float(end.replace(",", ".").replace("\u2212", "-")) for end in ends.groups())
    except ValueError:
        return False
    return low < high and not any(re.match(r"0\d", end) for end in ends.groups())


def _to_point(said: list[str]) -> tuple[str, str]:
    """Return the code that turns numbers to what pandas reads, and a doubt where it may err.

    Two of a sign in one number, or a sign before the other one, part thousands. A sign that is not
    before three digits is the decimal one, and so says what the other one is, in all words.
    """
    numbers = [found.group(1) for found in map(_BEGINS.match, said) if found]
    code = "".join(
        f".str.replace({blank!r}, '')"
        for blank in _BLANKS
        if any(blank in number for number in numbers)
    )
    if any("\u2212" in word for word in said):
        code += ".str.replace('\u2212', '-')"
    numbers = [re.sub(f"[{_BLANKS}]", "", number) for number in numbers]
    has = {sign: [number for number in numbers if sign in number] for sign in ".,"}
    decimal = {sign: any(_is_decimal(number, sign) for number in has[sign]) for sign in ".,"}
    if not has[","]:
        parts = any(number.count(".") > 1 for number in numbers)
        return code + (".str.replace('.', '')" if parts else ""), ""
    if any(number.count(",") > 1 for number in numbers) or (decimal["."] and not decimal[","]):
        return code + ".str.replace(',', '')", ""
    if has["."] and not decimal["."]:
        code += ".str.replace('.', '')"
    doubtful = "" if decimal[","] else ". If the comma parts thousands, replace it by '' instead"
    return code + ".str.replace(',', '.')", doubtful


def _is_decimal(number: str, sign: str) -> bool:
    """Return whether a sign of a number, a point or comma, can only be its decimal one."""
    other = "," if sign == "." else "."
    if number.count(sign) != 1 or number.rindex(sign) < number.rfind(other):
        return False
    return other in number or _GROUPS[sign].fullmatch(number) is None


def _to_days(said: list[str]) -> str:
    """Return the code that makes days of dates, and a doubt where day and month may swap."""
    parted = [re.match(r"\s*(\d{1,2})([-/.])(\d{1,2})[-/.]\d", word) for word in said]
    found = [match for match in parted if match]
    day_first = any(int(match.group(1)) > 12 or match.group(2) == "." for match in found)
    unclear = found and not day_first and all(int(match.group(3)) <= 12 for match in found)
    return (
        "Convert it, such as to a number of days with (pd.to_datetime(column"
        f"{', dayfirst=True' if day_first else ''}) - pd.Timestamp(2020, 1, 1)).dt.days"
        + ("; with dayfirst=True if the day comes before the month" if unclear else "")
    )


def _twins(words: list[str]) -> str | None:
    """Return the reason if two words differ by blanks or capitals alone.

    Words of one letter, and two symbols such as Co and CO, are left alone.
    """
    known: dict[str, str] = {}
    for word in words:
        twin = known.setdefault(" ".join(word.split()), word)
        if twin != word:
            return (
                f"has categories that differ by blanks alone, such as {_examples([twin, word])}. "
                "Make them one, such as with column.str.strip()"
            )
    known = {}
    for word in words:
        twin = known.setdefault(" ".join(word.casefold().split()), word)
        symbols = len(word) == 2 and word[0].isupper() and twin[0].isupper()
        if twin != word and len(word) > 1 and not symbols:
            return (
                "has categories that differ by capitals alone, such as "
                f"{_examples([twin, word])}. Make them one, such as with column.str.lower()"
            )
    return None


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
