"""Helpers of the displays: colours and panels, labels, and the columns of a table to draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from .._estimators._unwrap import innermost, steps_before
from .._tables._cells import holds_structures
from .._tables._columns import is_categorical, resolve_columns
from .._tables._input import to_pandas

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colorbar import Colorbar
    from numpy.typing import ArrayLike

# Okabe and Ito's colours, which the colour-blind can tell apart, without yellow (too faint on
# white) and with black last.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
# A second mark of a category, for grey print. 7 colours and 8 markers repeat after 56 categories.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# How much larger than a circle's square each one is, for marks that look equally large.
_AREAS = {"s": 0.85, "^": 1.1, "D": 0.7, "v": 1.1, "P": 1.3, "X": 1.3, "*": 1.8}
OTHER_COLOR = "0.5"  # of rare categories, taken together
MISSING_COLOR = "0.8"


# ---------------------------------------------------------------------------------------------
# Styles and panels


def combine_styles(
    defaults: dict[str, Any], given: dict[str, Any] | None, artist: type[Artist]
) -> dict[str, Any]:
    """Merge keywords; a user's replace ours, also where they are aliases, such as lw."""
    from matplotlib.cbook import normalize_kwargs

    return {**normalize_kwargs(defaults, artist), **normalize_kwargs(given or {}, artist)}


def combine_legend_styles(
    defaults: dict[str, Any], given: dict[str, Any] | None
) -> dict[str, Any]:
    """Merge keywords of a legend; a user's replace ours, and its place our anchor."""
    given = given or {}
    if "loc" in given:
        defaults = {key: defaults[key] for key in defaults if key != "bbox_to_anchor"}
    return {**defaults, **given}


def point_size(n_points: int, largest: float = 45.0) -> float:
    """Return the area of a marker in square points: smaller where there are more of them.

    Parameters
    ----------
    n_points : int
        Number of points in the axes. From about 200 on, the area falls as its square root does,
        down to a ninth of the largest, so that single points can still be seen.
    largest : float, default=45.0
        Of a few points.
    """
    return largest * float(np.clip(np.sqrt(180 / max(n_points, 1)), 1 / 9, 1))


def marker_size(size: float, marker: str) -> float:
    """Return the area of a marker that looks as large as a circle of this area."""
    return size * _AREAS.get(marker, 1.0)


def category_style(k: int, size: float) -> dict[str, Any]:
    """Return keywords of a scatter plot for one of several categories.

    The first seven are filled, each with a colour and a marker of its own. Then the colours
    return, with other markers, seven hollow and seven filled in turn.

    Parameters
    ----------
    k : int
        Number of the category, from 0.
    size : float
        Area of a circle, in square points.
    """
    color, marker = PALETTE[k % len(PALETTE)], MARKERS[k % len(MARKERS)]
    style = {"marker": marker, "s": marker_size(size, marker)}
    if k // len(PALETTE) % 2:
        return {**style, "facecolors": "none", "edgecolors": color, "linewidth": 1.2}
    return {**style, "color": color}


def tidy(ax: Axes, *, has_grid: bool = True) -> Axes:
    """Take away the frame above and at the right of an axes, and draw a faint grid below all.

    A display does this to axes that it makes itself; those of a user stay as they are.
    """
    ax.spines[["top", "right"]].set_visible(False)
    if has_grid:
        ax.set_axisbelow(True)
        ax.grid(color="0.92", linewidth=0.8)
    return ax


def make_axes(
    ax: Axes | ArrayLike | None,
    n_panels: int,
    n_cols: int,
    *,
    panel_size: tuple[float, float] = (3.2, 3.4),
    single_size: tuple[float, float] = (4.8, 4.8),
    layout: str = "compressed",
    is_tidy: bool = False,
    has_grid: bool = False,
) -> np.ndarray:
    """Return an axes for each panel, of shape (n_panels,): the ones passed or new ones.

    Parameters
    ----------
    ax : Axes, array-like of them or None
    n_panels, n_cols : int
        Number of panels, and how many of them stand side by side at most.
    panel_size : tuple of float
        Width and height of one of several panels, in inches.
    single_size : tuple of float
        Of the only one; by default it is as high as any other figure.
    layout : str
        Of the new figure.
    is_tidy, has_grid : bool
        Whether new axes have no frame above and at the right, and whether a grid: see
        :func:`tidy`.
    """
    import matplotlib.pyplot as plt

    if ax is not None:
        axes = np.asarray(ax, dtype=object).ravel()
        if len(axes) < n_panels:
            raise ValueError(
                f"The 'ax' parameter must hold an axes for each of the {n_panels} panels, got "
                f"{len(axes)}."
            )
        return axes[:n_panels]
    if not isinstance(n_cols, Integral) or n_cols < 1:
        raise ValueError(f"The 'n_cols' parameter must be a positive int, got {n_cols!r}.")
    n_cols = min(int(n_cols), n_panels)
    n_rows = -(-n_panels // n_cols)
    size = single_size if n_panels == 1 else (panel_size[0] * n_cols, panel_size[1] * n_rows)
    figure = plt.figure(figsize=size, layout=layout)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)  # inches
    made = [figure.add_subplot(n_rows, n_cols, k + 1) for k in range(n_panels)]
    return np.array([tidy(ax, has_grid=has_grid) if is_tidy else ax for ax in made])


def picture_size(height: float, width: float, longer: float) -> tuple[float, float]:
    """Return width and height of a picture in inches, of which the longer side is given.

    Parameters
    ----------
    height, width : float
        In any unit.
    longer : float
        Inches.
    """
    largest = max(height, width)
    return max(longer * width / largest, 0.6), max(longer * height / largest, 0.6)


def colorbar_beside(artist: ScalarMappable, ax: Axes, label: str, width: float = 0.05) -> Colorbar:
    """Draw a colour bar at the right of an axes, as high as its picture is.

    Parameters
    ----------
    artist : ScalarMappable
    ax : Axes
    label : str
    width : float, default=0.05
        Of the bar, as a share of the picture's.
    """
    place = ax.inset_axes((1 + 0.8 * width, 0.0, width, 1.0))
    bar = ax.figure.colorbar(artist, cax=place, label=label)
    bar.outline.set_visible(False)
    return bar


# ---------------------------------------------------------------------------------------------
# Text


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


def in_two_lines(label: str | None) -> str:
    """Write what stands in brackets at the end of a label below it, for narrow panels."""
    name, bracket, rest = (label or "").partition(" (")
    return f"{name}\n({rest}" if bracket else name


def count(n: int, one: str, many: str | None = None) -> str:
    """Write a number of things."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def three_digits(value: float) -> str:
    """Write a number with three significant digits, trailing zeros included."""
    return f"{value:#.3g}".rstrip(".")


def check_units(units: Mapping[Hashable, str] | None) -> dict[Hashable, str]:
    """Return the units of columns as a dictionary."""
    if units is None:
        return {}
    if not isinstance(units, Mapping):
        raise TypeError(
            f"The 'units' parameter must map names of columns to units, got {units!r}."
        )
    return dict(units)


# ---------------------------------------------------------------------------------------------
# Estimators


def check_has(estimator: Any, names: Iterable[str], caller: str) -> None:
    """Refuse an estimator without the methods or attributes that a display needs."""
    missing = [name for name in names if not hasattr(estimator, name)]
    if missing:
        raise TypeError(
            f"The 'estimator' parameter of {caller} must have {' and '.join(missing)}; "
            f"{type(estimator).__name__} does not."
        )


def core_of(estimator: Any) -> Any:
    """Return the innermost estimator, also of a frozen one."""
    while isinstance(estimator, FrozenEstimator) or innermost(estimator) is not estimator:
        is_frozen = isinstance(estimator, FrozenEstimator)
        estimator = estimator.estimator if is_frozen else innermost(estimator)
    return estimator


def has_prior(estimator: Any) -> bool:
    """Return whether latents are variational: around 0, with the standard normal prior.

    Parameters
    ----------
    estimator : estimator
        Fitted; of a chain, all stages that give its latents.
    """
    core = core_of(estimator)
    if not hasattr(core, "stages_"):
        return getattr(core, "beta", None) is not None
    stages = [stage for _, stage, _ in core.stages_]
    given = stages if getattr(core, "latents", "last") == "all" else stages[-1:]
    return all(has_prior(stage) for stage in given)


def decode_as(
    estimator: Any, Z: np.ndarray, X: pd.DataFrame | np.ndarray
) -> pd.DataFrame | np.ndarray:
    """Decode latents to the columns of a table; of a chain, label the columns that come back.

    Returns
    -------
    ndarray or DataFrame
        A DataFrame, with the labels (of an array: the positions) of X, where a chain of stages
        leaves out some of the columns.
    """
    nested = innermost(estimator)
    if not hasattr(nested, "stages_"):
        return to_pandas(estimator.inverse_transform(Z))
    # a chain behind steps: its own table has to go back through them, too
    steps = steps_before(estimator)
    head = make_pipeline(*steps, "passthrough")
    back = to_pandas(nested.inverse_transform(Z))
    columns = sorted(j for _, _, own in nested.stages_ for j in own)
    labels = X.columns if isinstance(X, pd.DataFrame) else pd.RangeIndex(np.shape(X)[1])
    if len(columns) == nested.n_features_in_:
        return head.inverse_transform(back) if steps else back
    if not steps:
        is_named = isinstance(X, pd.DataFrame) and isinstance(back, pd.DataFrame)
        return back if is_named else pd.DataFrame(back).set_axis(labels[columns], axis=1)
    # the steps need all columns: what no stage has is missing, and taken out again
    full = pd.DataFrame(np.asarray(back), columns=columns)
    full = full.reindex(columns=range(nested.n_features_in_))
    names = getattr(nested, "feature_names_in_", None)
    full = full.to_numpy() if names is None else full.set_axis(names, axis=1)
    back = pd.DataFrame(np.asarray(head.inverse_transform(full))).set_axis(labels, axis=1)
    return back.loc[:, back.notna().any().to_numpy()]


# ---------------------------------------------------------------------------------------------
# Latents


def check_quantiles(quantiles: Any) -> np.ndarray:
    """Return the first and the last quantile of a path, of shape (2,)."""
    ends = np.asarray(quantiles, dtype=float)
    if ends.shape != (2,) or not 0 <= ends[0] < ends[1] <= 1:
        raise ValueError(
            "The 'quantiles' parameter must be two ascending numbers from 0 to 1, got "
            f"{quantiles!r}."
        )
    return ends


def spread_heights(n_samples: int) -> np.ndarray:
    """Return heights between 0 and 1 for points along a line, evenly and always the same.

    Multiples of the golden ratio's inverse, less their integer part, fill the interval evenly
    for any number of points, and neighbours in the table are far from each other.
    """
    return np.arange(n_samples) * ((np.sqrt(5) - 1) / 2) % 1


def names_of_principal_components(shares: ArrayLike) -> list[str]:
    """Name principal components, with their shares of the variance."""
    return [
        f"Principal component {k} ({share:.1%} of variance)".replace("%", " %")
        for k, share in enumerate(np.nan_to_num(np.asarray(shares, dtype=float)), start=1)
    ]


def held_latents(Z: np.ndarray, at: Any) -> np.ndarray:
    """Return the values of the latents that stay fixed while others move, of shape (n_latents,).

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_latents)
        Those of the data.
    at : {"median", "mean"}, int or array-like of shape (n_latents,)
        Of all rows, of one row by its position, or these.
    """
    if isinstance(at, str) and at in ("median", "mean"):
        return np.median(Z, axis=0) if at == "median" else Z.mean(axis=0)
    if isinstance(at, Integral) and not isinstance(at, bool):
        if not -len(Z) <= int(at) < len(Z):
            raise ValueError(
                f"The 'at' parameter must be the position of one of the {len(Z)} rows of X, got "
                f"{at!r}."
            )
        return Z[int(at)]
    start = np.asarray([] if isinstance(at, str) else at)
    if start.shape != Z.shape[1:] or start.dtype.kind not in "fiu":
        raise ValueError(
            f"The 'at' parameter must be 'median', 'mean', a row's position or {Z.shape[1]} "
            f"latents, got {at!r}."
        )
    return start


# ---------------------------------------------------------------------------------------------
# Columns


def column_positions(X: pd.DataFrame | np.ndarray, columns: Any, parameter: str) -> list[int]:
    """Return the positions of the columns that a parameter names, in its order.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
    columns : str, int, tuple, slice or list of them
        Names, or positions: see :func:`~sknestedae._tables._columns.resolve_columns`.
    parameter : str
        Its name, for the message of an error.
    """
    labels = list(X.columns) if isinstance(X, pd.DataFrame) else None
    subject = f"The '{parameter}' parameter"
    return resolve_columns(columns, labels, np.shape(X)[1], subject).tolist()


def columns_to_draw(
    X: pd.DataFrame | np.ndarray, columns: Any, decoded: Collection[int], word: str
) -> list[int]:
    """Return the positions of the columns that the parameter ``columns`` of a display names.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
    columns : str, int, tuple, slice or list of them
    decoded : collection of int
        Positions of the columns that came back from the latents; others cannot be drawn.
    word : str
        The display's word for a column that comes back, such as "decoded".
    """
    chosen = column_positions(X, columns, "columns")
    if not chosen:
        raise ValueError("The 'columns' parameter must name at least one column, got [].")
    for j in chosen:
        if j not in decoded:
            label = X.columns[j] if isinstance(X, pd.DataFrame) else j
            raise ValueError(
                f"The 'columns' parameter names the column {label!r}, which is not {word}."
            )
    return chosen


def match_labels(true: pd.Index, reconstructed: pd.Index) -> dict[int, int]:
    """Map the position of each label that both have to its position in the other."""
    labels = list(reconstructed)
    if reconstructed.nlevels == 2 and true.nlevels == 1:
        n_scales = Counter(feature for _, feature in labels)  # of one scale's plain table
        labels = [label[1] if n_scales[label[1]] == 1 else label for label in labels]
    place = {label: k for k, label in enumerate(labels)}
    return {j: place[label] for j, label in enumerate(true) if label in place}


def match_columns(table: pd.DataFrame, decoded: Any) -> dict[int, int]:
    """Return the column of a decoded table for each column of a table that it has.

    Parameters
    ----------
    table : DataFrame of shape (n_samples, n_features)
    decoded : DataFrame or ndarray of shape (n_points, n_columns)
        Columns of a DataFrame are found by their labels, of an array by their positions.
    """
    back = pd.DataFrame(decoded)
    if isinstance(decoded, pd.DataFrame):
        return match_labels(table.columns, back.columns)
    return {j: j for j in range(table.shape[1])} if table.shape[1] == back.shape[1] else {}


def without_structures(table: pd.DataFrame, positions: Mapping[int, int]) -> dict[int, int]:
    """Leave out columns of structures of atoms, which stand on no axis.

    Parameters
    ----------
    table : DataFrame
    positions : dict of int to int
        By the position of each column in the table.
    """
    return {j: k for j, k in positions.items() if not holds_structures(table.iloc[:, j])}


def categorical_positions(
    given: Any,
    X: pd.DataFrame | np.ndarray,
    true: pd.DataFrame,
    decoded: pd.DataFrame,
    positions: Mapping[int, int],
) -> set[int]:
    """Return the positions of the categorical ones among a table's decoded columns.

    Parameters
    ----------
    given : "from_dtype", array-like or None
        Which columns are categorical, whatever their dtype.
    X : DataFrame or ndarray of shape (n_samples, n_features)
        The table as it was given.
    true, decoded : DataFrame
        The table and the decoded one.
    positions : dict of int to int
        For the position of each column of the table that came back, the one there.
    """
    by_dtype = given is None or (isinstance(given, str) and given == "from_dtype")
    named = [] if by_dtype else column_positions(X, given, "categorical_features")
    chosen = set(named)
    true_is_plain, decoded_is_plain = plain_columns(true), plain_columns(decoded)
    return {
        j
        for j, k in positions.items()
        if j in chosen
        or (not true_is_plain[j] and is_categorical(true.iloc[:, j], repr(true.columns[j])))
        or (not decoded_is_plain[k] and is_categorical(decoded.iloc[:, k], repr(true.columns[j])))
    }


def plain_columns(table: pd.DataFrame) -> np.ndarray:
    """Return which columns hold numbers by NumPy's dtype alone, of shape (n_columns,)."""
    return np.array([isinstance(t, np.dtype) and t.kind in "fiu" for t in table.dtypes], bool)


def as_floats(column: pd.Series) -> np.ndarray:
    """Return a numeric column as floats, NaN where missing; of shape (n_samples,)."""
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
    codes = pd.Categorical(column)  # the code of a missing value is -1
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
