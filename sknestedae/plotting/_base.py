"""What the displays share: matplotlib at use, colours, labels, columns as plain arrays."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from .._estimators._unwrap import innermost

# Okabe and Ito's colours, which the colour-blind can tell apart, without yellow (too faint on
# white) and with black last.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
# A second mark of a category, for grey print. 7 colours and 8 markers repeat after 56 categories.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
OTHER_COLOR = "0.5"  # of rare categories, taken together
MISSING_COLOR = "0.8"


def combine_styles(defaults: dict[str, Any], given: dict[str, Any] | None, artist: type) -> dict:
    """Let a user's keywords win over ours, also where they are aliases, such as lw."""
    from matplotlib.cbook import normalize_kwargs

    return {**normalize_kwargs(defaults, artist), **normalize_kwargs(given or {}, artist)}


def combine_legend_styles(defaults: dict[str, Any], given: dict[str, Any] | None) -> dict:
    """Let a user's keywords of a legend win; ours anchor it only if the user does not place it."""
    given = given or {}
    if "loc" in given:
        defaults = {key: defaults[key] for key in defaults if key != "bbox_to_anchor"}
    return {**defaults, **given}


def check_has(estimator: Any, names: Iterable[str], caller: str) -> None:
    """Refuse an estimator without the methods or attributes that a display needs."""
    missing = [name for name in names if not hasattr(estimator, name)]
    if missing:
        raise TypeError(
            f"The 'estimator' parameter of {caller} must have {' and '.join(missing)}; "
            f"{type(estimator).__name__} has not."
        )


def with_unit(name: str, unit: str | None) -> str:
    """Write a unit behind a name, where there is one and the name does not end in it."""
    if not unit:
        return name
    ends = (f"({unit})", f"[{unit}]", f", {unit}", f"/{unit}", f"/ {unit}", f" in {unit}")
    return name if name.rstrip().endswith(ends) else f"{name} ({unit})".strip()


def name_of(label: Hashable) -> str:
    """Write a column's label: the levels of a two-level label side by side."""
    return ": ".join(map(str, label)) if isinstance(label, tuple) else str(label)


def shorten(text: str, width: int) -> str:
    """Cut a long text, with an ellipsis in place of its end."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def three_digits(value: float) -> str:
    """Write a number with three significant digits, trailing zeros included."""
    return f"{value:#.3g}".rstrip(".")


def is_one_label(key: Any, labels: Sequence[Hashable]) -> bool:
    """Tell whether a key is one column's name or position rather than a list of them."""
    if isinstance(key, str | Integral):
        return True
    return isinstance(key, tuple) and key in labels


def core_of(estimator: Any) -> Any:
    """Give the innermost estimator, also of a frozen one."""
    while isinstance(estimator, FrozenEstimator) or innermost(estimator) is not estimator:
        is_frozen = isinstance(estimator, FrozenEstimator)
        estimator = estimator.estimator if is_frozen else innermost(estimator)
    return estimator


def column_position(X: pd.DataFrame, key: Any, parameter: str, *, named: bool = True) -> int:
    """Give the position of a column that is named or, where it is not a name, indexed.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_features)
    key : str, int or tuple
        Name or position.
    parameter : str
        For the message.
    named : bool
        Whether the columns have names; those of an array have positions alone.
    """
    labels = list(X.columns)
    if key in labels:
        return labels.index(key)
    n_columns = len(labels)
    is_index = isinstance(key, Integral) and not isinstance(key, bool)
    if is_index and -n_columns <= int(key) < n_columns:
        return int(key) % n_columns
    known = f"columns {labels}" if named else f"{len(labels)} columns without names"
    raise ValueError(f"The '{parameter}' parameter names the column {key!r}; X has {known}.")


def as_floats(column: pd.Series) -> np.ndarray:
    """Give a numeric column as floats, NaN where missing; of shape (n_samples,)."""
    return pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)


def grouped_categories(
    column: pd.Series, max_categories: int
) -> tuple[list[tuple[str, np.ndarray]], tuple[str, np.ndarray] | None]:
    """Split the rows of a column by category, the rare ones taken together.

    Parameters
    ----------
    column : Series of shape (n_samples,)
        Categories; missing ones belong to no group.
    max_categories : int
        Largest number of groups. Where there are more categories, the most frequent
        ``max_categories - 1`` have their own.

    Returns
    -------
    groups : list of (str, ndarray of bool, shape (n_samples,))
        Name and rows of each category: in their order, or by frequency where some are rare.
    others : (str, ndarray of bool, shape (n_samples,)) or None
        The same for the rare ones together.
    """
    if not isinstance(max_categories, Integral) or max_categories < 2:
        raise ValueError(
            f"The 'max_categories' parameter must be an int of at least 2, got {max_categories!r}."
        )
    codes = pd.Categorical(column)
    counts = np.bincount(codes.codes[codes.codes >= 0], minlength=len(codes.categories))
    order = np.flatnonzero(counts)
    n_rare = 0
    if len(order) > max_categories:
        order = np.argsort(-counts, kind="stable")
        n_rare = int((counts > 0).sum()) - (max_categories - 1)
        order = order[: max_categories - 1]
    groups = [(str(codes.categories[k]), codes.codes == k) for k in order]
    if not n_rare:
        return groups, None
    rest = (codes.codes >= 0) & ~np.isin(codes.codes, order)
    return groups, (f"{n_rare} others", rest)


def check_units(units: Mapping[Hashable, str] | None) -> dict[Hashable, str]:
    """Give the units of columns as a dictionary."""
    if units is None:
        return {}
    if not isinstance(units, Mapping):
        raise TypeError(
            f"The 'units' parameter must map names of columns to units, got {units!r}."
        )
    return dict(units)
