"""A display of the latents of several kinds of data, which compares those of one row."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import check_array

from .._ambient import isolated_but_output
from .._tables._columns import is_categorical
from .._tables._input import check_same_rows, to_pandas
from ._base import (
    MARKERS,
    MISSING_COLOR,
    OTHER_COLOR,
    PALETTE,
    as_floats,
    colorbar_beside,
    combine_legend_styles,
    combine_styles,
    count,
    grouped_categories,
    in_two_lines,
    make_axes,
    marker_size,
    name_of,
    point_size,
    shorten,
    spread_heights,
    three_digits,
    with_unit,
)
from ._kinds import Kinds
from ._latent import as_column, choose_components

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection, PathCollection
    from matplotlib.colorbar import Colorbar
    from matplotlib.legend import Legend

_NOT_MEASURED = "not measured"
_LINE_COLOR = "0.45"


class AlignmentDisplay:
    """Latents of several kinds of data side by side, with lines between those of one row.

    Each kind has a panel, all with the same axes; a last panel has all kinds, with a thin line
    from the latents of a row's one kind to those of its others. Where two kinds of data hold the
    same information, lines are short, and a label lies at the same place in all panels. Kinds
    differ in their markers, labels in their colours. Rows that have one kind alone are hollow, and
    are left out of the last panel.

    It is recommended to use :func:`~sknestedae.plotting.AlignmentDisplay.from_estimator` or
    :func:`~sknestedae.plotting.AlignmentDisplay.from_latents` to create a display. All parameters
    are stored as attributes.

    Parameters
    ----------
    coordinates : dict of str to ndarray of shape (n_samples, 1) or (n_samples, 2)
        By kind, the coordinates of each row; NaN where it lacks the kind. With one column, rows
        are spread evenly over the vertical axis, each at the same height in all panels.
    xlabel, ylabel : str, default=None
        Labels of the axes.
    color : array-like of shape (n_samples,), default=None
        Labels of the rows: numbers, or categories, strings or booleans. None: a colour for each
        kind.
    color_label : str, default=None
        Name of the labels; the name of `color`, if None and if it is a Series.
    color_unit : str, default=None
        Their unit.
    distance_ratio : float, default=None
        Relative distance between the latents of one row (see Notes), for the last panel's title.

    Attributes
    ----------
    scatters_ : dict of str to list of matplotlib PathCollection
        The markers in each panel, by kind, and of the last panel by ``"pairs"``.
    lines_ : matplotlib LineCollection
        The lines between latents of one row, from their mean to each of them.
    n_pairs_ : int
        Number of rows that have two kinds or more.
    colorbar_ : matplotlib Colorbar or None
        Colour bar of labels that are numbers.
    legend_ : matplotlib Legend
        Legend of labels that are categories, of kinds, and of rows of one kind alone.
    axes_ : ndarray of shape (n_kinds + 1,) of matplotlib Axes
        Axes of the panels.
    figure_ : matplotlib Figure
        Figure with the panels.

    See Also
    --------
    AlignmentDisplay.from_estimator : Encode each kind of a table, and draw the latents.
    AlignmentDisplay.from_latents : Draw latents that were computed before.
    LatentDisplay : Latents of rows, whatever kinds they have.
    PairsDisplay.from_translation : Arrays that were translated from one kind to another.

    Notes
    -----
    ``distance_ratio`` is the root of the mean squared distance between latents of one row, from
    two kinds, over that between latents of different rows: 0 where kinds agree, about 1 where they
    have nothing to do with each other. All latents count, also those that are not drawn.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sknestedae.plotting import AlignmentDisplay
    >>> rng = np.random.RandomState(0)
    >>> Z = rng.normal(size=(60, 2))
    >>> latents = {"image": Z, "spectrum": Z + rng.normal(scale=0.2, size=(60, 2))}
    >>> display = AlignmentDisplay.from_latents(latents, Z[:, 0] > 0)
    >>> round(display.distance_ratio, 2)
    0.12
    >>> plt.show()  # doctest: +SKIP
    >>> plt.close("all")
    """

    def __init__(
        self,
        coordinates,
        *,
        xlabel=None,
        ylabel=None,
        color=None,
        color_label=None,
        color_unit=None,
        distance_ratio=None,
    ):
        self.coordinates = coordinates
        self.xlabel = xlabel
        self.ylabel = ylabel
        self.color = color
        self.color_label = color_label
        self.color_unit = color_unit
        self.distance_ratio = distance_ratio

    def plot(
        self,
        ax=None,
        *,
        max_categories=7,
        n_cols=4,
        scatter_kwargs=None,
        line_kwargs=None,
        legend_kwargs=None,
    ):
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each kind and one for the pairs. If None, a new figure is
            made.
        max_categories : int, default=7
            Largest number of categories with a colour of their own. Where there are more, the
            rarest are drawn together in grey.
        n_cols : int, default=4
            Largest number of panels side by side in a new figure.
        scatter_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.scatter`, such as `cmap` or `s`.
        line_kwargs : dict, default=None
            Keywords for :class:`matplotlib.collections.LineCollection`.
        legend_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.legend`, such as `loc` or `ncols`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.AlignmentDisplay`
            Object that stores the values and the artists.
        """
        places = _check_latents(self.coordinates, "coordinates", (1, 2))
        n_samples = len(next(iter(places.values())))
        is_line = next(iter(places.values())).shape[1] == 1
        if is_line:  # a row lies at one height in all panels
            heights = spread_heights(n_samples)
            places = {name: np.column_stack([own, heights]) for name, own in places.items()}
        present = {name: ~np.isnan(own).any(axis=1) for name, own in places.items()}
        paired = np.sum([*present.values()], axis=0) > 1
        self.n_pairs_ = int(paired.sum())
        cmap = (scatter_kwargs or {}).get("cmap", "viridis")
        colors = _Colors.of(self._column(n_samples), max_categories, cmap)
        self.axes_ = make_axes(ax, len(places) + 1, n_cols, panel_size=(3.4, 3.3), is_tidy=True)
        self.figure_ = self.axes_[0].figure
        size = point_size(n_samples, 36.0)
        style = _Style(size, scatter_kwargs)
        self.scatters_: dict[str, list[PathCollection]] = {"pairs": []}
        last = self.axes_[-1]
        self.lines_ = _draw_lines(last, places, present, paired, line_kwargs)
        for k, (name, axes) in enumerate(zip(places, self.axes_, strict=False)):
            own, alone = places[name], present[name] & ~paired
            draw = (axes, own, k, colors, style)
            self.scatters_[name] = _scatter(*draw, paired & present[name], is_hollow=False)
            self.scatters_[name] += _scatter(*draw, alone, is_hollow=True)
            both = (last, own, k, colors, style)
            self.scatters_["pairs"] += _scatter(*both, paired & present[name], is_hollow=False)
            axes.set_title(self._title(name, present[name], alone), fontsize="medium")
        last.set_title(self._title_of_pairs(), fontsize="medium")
        self._share_axes(places, is_line)
        has_alone = any((present[name] & ~paired).any() for name in places)
        self._draw_legends(list(places), colors, has_alone, legend_kwargs)
        return self

    def _column(self, n_samples: int) -> pd.Series | None:
        """Return the labels as a column, and store their name."""
        self._label = None
        if self.color is None:
            return None
        column = as_column(self.color, n_samples, "y")
        label = self.color_label
        if label is None and column.name is not None:
            label = name_of(column.name)
        self._label = with_unit(label or "", self.color_unit) or None
        return column

    @staticmethod
    def _title(name: str, present: np.ndarray, alone: np.ndarray) -> str:
        said = f"{shorten(name, 30)}\n{count(int(present.sum()), 'row')}"
        return f"{said}, {alone.sum():,} alone" if alone.any() else said

    def _title_of_pairs(self) -> str:
        said = "Rows of all kinds" if len(self.coordinates) > 2 else "Pairs"
        found = count(self.n_pairs_, "row")
        if self.distance_ratio is None or not np.isfinite(self.distance_ratio):
            return f"{said}\n{found}"
        return f"{said}\n{found}, distance ratio {three_digits(self.distance_ratio)}"

    def _share_axes(self, places: Mapping[str, np.ndarray], is_line: bool) -> None:
        """Set the same limits and labels for all panels."""
        every = np.concatenate([own[~np.isnan(own).any(axis=1)] for own in places.values()])
        low, high = every.min(axis=0), every.max(axis=0)
        margin = 0.05 * np.where(high > low, high - low, 1.0)
        for axes in self.axes_:
            axes.set(
                xlim=(low[0] - margin[0], high[0] + margin[0]),
                ylim=(low[1] - margin[1], high[1] + margin[1]),
                xlabel=in_two_lines(self.xlabel),
            )
            if is_line:
                axes.set_yticks([])
        self.axes_[0].set_ylabel("" if is_line else in_two_lines(self.ylabel))

    def _draw_legends(
        self, kinds: list[str], colors: _Colors, has_alone: bool, legend_kwargs: Any
    ) -> None:
        """Explain colours, markers and hollow rows, at the right of the last panel."""
        from matplotlib.artist import Artist
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        last = self.axes_[-1]
        self.colorbar_: Colorbar | None = None
        if colors.values is not None and self.scatters_["pairs"]:
            self.colorbar_ = colorbar_beside(colors.scale(), last, self._label or "")

        def handle(label: str, marker: str, color: Any, is_hollow: bool = False) -> Line2D:
            face = "none" if is_hollow else color
            style = {"markerfacecolor": face, "markeredgecolor": color, "color": "none"}
            return Line2D([], [], marker=marker, label=label, markersize=6, **style)

        handles: list[Artist] = [
            Patch(facecolor=color, label=name) for name, _, color in colors.groups
        ]
        by_kind = colors.column is None
        handles += [
            handle(shorten(name, 30), MARKERS[k], PALETTE[k % len(PALETTE)] if by_kind else "0.3")
            for k, name in enumerate(kinds)
        ]
        if has_alone:
            handles.append(handle("one kind alone", "o", "0.3", True))
        x = 1.02 if self.colorbar_ is None else 1.34
        style = {
            "loc": "upper left",
            "bbox_to_anchor": (x, 1.0),
            "borderaxespad": 0,
            "frameon": False,
            "handlelength": 1.6,
            "title": self._label if self.colorbar_ is None else None,
            "alignment": "left",
        }
        style = combine_legend_styles(style, legend_kwargs)
        self.legend_: Legend = last.legend(handles=handles, **style)

    @classmethod
    @isolated_but_output
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        kinds=None,
        components=None,
        color_label=None,
        color_unit=None,
        max_categories=7,
        n_cols=4,
        ax=None,
        scatter_kwargs=None,
        line_kwargs=None,
        legend_kwargs=None,
    ):
        """Encode each kind of data of a table, and draw the latents.

        Parameters
        ----------
        estimator : estimator instance
            Fitted :class:`~sknestedae.DualAutoencoder`, or a pipeline or search that ends in one.
        X : array-like or DataFrame of shape (n_samples, n_features)
            The table that was fitted. Rows may lack kinds.
        y : array-like of shape (n_samples,), default=None
            Labels that colour the rows, missing where not known: categories, strings and booleans
            have a legend, numbers have a colour bar. Turn numbers that are labels into strings or
            categories.
        kinds : list of str, default=None
            Names of the kinds to draw, two or more, in this order. None: all.
        components : int, tuple of one or two int, "pca" or None, default=None
            The latents to draw, counted from 0; negative ones count from the last. "pca" draws the
            first two principal components of the latents of all kinds together. None draws the
            latents themselves where there are one or two, else "pca".
        color_label : str, default=None
            Name of the labels. If None, that of y where it is a Series.
        color_unit : str, default=None
            Their unit.
        max_categories : int, default=7
            Largest number of categories with a colour of their own. Where there are more, the
            rarest are drawn together in grey.
        n_cols : int, default=4
            Largest number of panels side by side in a new figure.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each kind and one for the pairs. If None, a new figure is
            made.
        scatter_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.scatter`, such as `cmap` or `s`.
        line_kwargs : dict, default=None
            Keywords for :class:`matplotlib.collections.LineCollection`.
        legend_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.legend`, such as `loc` or `ncols`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.AlignmentDisplay`
            Object that stores the values and the artists.

        Raises
        ------
        ValueError
            If there is no such kind, or no row has it.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sknestedae import DualAutoencoder
        >>> from sknestedae.blocks import DenseBlock
        >>> from sknestedae.plotting import AlignmentDisplay
        >>> iris = load_iris(as_frame=True)
        >>> blocks = [("sepal", DenseBlock(), [0, 1]), ("petal", DenseBlock(), [2, 3])]
        >>> dual = DualAutoencoder(2, blocks=blocks, max_iter=5, random_state=0).fit(iris.data)
        >>> display = AlignmentDisplay.from_estimator(
        ...     dual, iris.data, iris.target_names[iris.target], color_label="species"
        ... )
        >>> display.legend_.get_title().get_text()
        'species'
        """
        caller = f"{cls.__name__}.from_estimator"
        y = to_pandas(y, "y")
        if y is not None:
            check_same_rows(to_pandas(X), y=y)
        table = Kinds.read(estimator, X, caller)
        names = list(table.columns) if kinds is None else kinds
        if not isinstance(names, list | tuple) or len(set(names)) < max(2, len(names)):
            raise ValueError(
                "The 'kinds' parameter must be a list of two or more different kinds of data of "
                f"{list(table.columns)}, got {kinds!r}."
            )
        for name in names:
            table.check(name, "kinds")
        return cls.from_latents(
            {name: table.latents(name) for name in names},
            y,
            components=components,
            color_label=color_label,
            color_unit=color_unit,
            max_categories=max_categories,
            n_cols=n_cols,
            ax=ax,
            scatter_kwargs=scatter_kwargs,
            line_kwargs=line_kwargs,
            legend_kwargs=legend_kwargs,
        )

    @classmethod
    def from_latents(
        cls,
        Z,
        y=None,
        *,
        components=None,
        color_label=None,
        color_unit=None,
        max_categories=7,
        n_cols=4,
        ax=None,
        scatter_kwargs=None,
        line_kwargs=None,
        legend_kwargs=None,
    ):
        """Draw latents that were computed before.

        Parameters
        ----------
        Z : dict of str to array-like of shape (n_samples, n_components)
            Latents by kind, of two kinds or more and of the same rows; NaN where a row lacks the
            kind.
        y : array-like of shape (n_samples,), default=None
            Labels that colour the rows, missing where not known: categories, strings and booleans
            have a legend, numbers have a colour bar. Turn numbers that are labels into strings or
            categories.
        components : int, tuple of one or two int, "pca" or None, default=None
            The latents to draw, counted from 0; negative ones count from the last. "pca" draws the
            first two principal components of the latents of all kinds together. None draws the
            latents themselves where there are one or two, else "pca".
        color_label : str, default=None
            Name of the labels. If None, that of y where it is a Series.
        color_unit : str, default=None
            Their unit.
        max_categories : int, default=7
            Largest number of categories with a colour of their own. Where there are more, the
            rarest are drawn together in grey.
        n_cols : int, default=4
            Largest number of panels side by side in a new figure.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each kind and one for the pairs. If None, a new figure is
            made.
        scatter_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.scatter`, such as `cmap` or `s`.
        line_kwargs : dict, default=None
            Keywords for :class:`matplotlib.collections.LineCollection`.
        legend_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.legend`, such as `loc` or `ncols`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.AlignmentDisplay`
            Object that stores the values and the artists.

        Examples
        --------
        >>> import numpy as np
        >>> from sknestedae.plotting import AlignmentDisplay
        >>> Z = np.random.RandomState(0).normal(size=(20, 3))
        >>> lacking = np.where(np.arange(20)[:, None] < 5, np.nan, Z)
        >>> display = AlignmentDisplay.from_latents({"image": Z, "spectrum": lacking})
        >>> display.n_pairs_
        15
        """
        latents = _check_latents(Z, "Z")
        stacked = np.concatenate(list(latents.values()))
        known = ~np.isnan(stacked).any(axis=1)
        n_components = stacked.shape[1]
        if components is None:
            components = "pca" if n_components > 2 else tuple(range(n_components))
        found, labels = choose_components(stacked[known], components)
        coordinates = np.full((len(stacked), found.shape[1]), np.nan)
        coordinates[known] = found
        parts = np.split(coordinates, len(latents))
        display = cls(
            dict(zip(latents, parts, strict=True)),
            xlabel=labels[0],
            ylabel=labels[1] if len(labels) > 1 else None,
            color=y,
            color_label=color_label,
            color_unit=color_unit,
            distance_ratio=distance_ratio(list(latents.values())),
        )
        return display.plot(
            ax,
            max_categories=max_categories,
            n_cols=n_cols,
            scatter_kwargs=scatter_kwargs,
            line_kwargs=line_kwargs,
            legend_kwargs=legend_kwargs,
        )


def _check_latents(
    Z: Any, parameter: str, n_columns: tuple[int, ...] = ()
) -> dict[str, np.ndarray]:
    """Return latents or coordinates by kind; a row with a missing one has none of the kind."""
    if not isinstance(Z, Mapping) or len(Z) < 2:
        got = list(Z) if isinstance(Z, Mapping) else type(Z).__name__
        raise ValueError(
            f"The '{parameter}' parameter must map the names of two or more kinds to arrays, got "
            f"{got}."
        )
    found = {}
    for name, own in Z.items():
        values = np.asarray(own, dtype=float)
        if values.ndim != 2 or (n_columns and values.shape[1] not in n_columns):
            wanted = " or ".join(f"(n_samples, {n})" for n in n_columns)
            raise ValueError(
                f"The '{parameter}' parameter must hold arrays of shape "
                f"{wanted or '(n_samples, n_components)'}, but that of {name!r} has the shape "
                f"{values.shape}."
            )
        missing = np.isnan(values).any(axis=1)
        check_array(values[~missing], input_name=f"the latents of {name!r}")
        found[str(name)] = np.where(missing[:, None], np.nan, values)
    shapes = {name: values.shape for name, values in found.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(
            f"The '{parameter}' parameter must hold arrays of one shape, got {shapes}."
        )
    return found


def distance_ratio(latents: list[np.ndarray]) -> float:
    """Compare the distance of latents of one row with that of latents of different rows.

    Parameters
    ----------
    latents : list of ndarray of shape (n_samples, n_components)
        Of each kind; NaN where a row lacks it.

    Returns
    -------
    float
        Root of the ratio of the mean squares, over all pairs of kinds. NaN where fewer than two
        rows have a pair, or all latents are equal.
    """
    own = other = 0.0
    for a, b in combinations(latents, 2):
        known = ~(np.isnan(a) | np.isnan(b)).any(axis=1)
        n = int(known.sum())
        if n < 2:
            continue
        center = a[known].mean(axis=0)
        first, second = a[known] - center, b[known] - center
        same = ((first - second) ** 2).sum()
        # over all n * n combinations of rows, where products sum to 0 as the first ones do; those
        # of one row are taken out again
        every = n * ((first**2).sum() + (second**2).sum())
        own += same
        other += (every - same) / (n - 1)
    return float(np.sqrt(own / other)) if other > 0 else np.nan


# ---------------------------------------------------------------------------------------------
# Artists


class _Style(NamedTuple):
    """Size of the markers, and the user's keywords."""

    size: float
    given: dict[str, Any] | None


class _Colors(NamedTuple):
    """Colours of the rows by their label, the same in all panels.

    Parameters
    ----------
    column : Series of shape (n_samples,) or None
        The labels; None where each kind has a colour.
    groups : list of (str, ndarray of bool, color)
        Name, rows and colour of each category; of numbers, of those that are missing.
    values : ndarray of shape (n_samples,) or None
        Labels that are numbers.
    cmap : str or Colormap
        For numbers.
    """

    column: pd.Series | None
    groups: list[tuple[str, np.ndarray, Any]]
    values: np.ndarray | None
    cmap: Any

    @classmethod
    def of(cls, column: pd.Series | None, max_categories: int, cmap: Any) -> _Colors:
        """Choose a colour for each label."""
        if column is None:
            return cls(None, [], None, cmap)
        missing = column.isna().to_numpy()
        last = [(_NOT_MEASURED, missing, MISSING_COLOR)] if missing.any() else []
        if not is_categorical(column, "'y'"):
            values = as_floats(column)
            if np.isinf(values).any():
                row = int(np.flatnonzero(np.isinf(values))[0])
                raise ValueError(
                    "The 'y' parameter must hold finite numbers, or NaN where not known; it is "
                    f"{values[row]} in row {row}."
                )
            return cls(column, last, None if missing.all() else values, cmap)
        groups, others = grouped_categories(column, max_categories)
        found = [
            (shorten(name, 30), rows, PALETTE[k % len(PALETTE)])
            for k, (name, rows) in enumerate(groups)
        ]
        if others is not None:
            last.insert(0, (*others, OTHER_COLOR))
        return cls(column, found + last, None, cmap)

    def scale(self) -> Any:
        """Return the scale of numbers, of all rows."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        assert self.values is not None
        ends = np.nanmin(self.values), np.nanmax(self.values)
        return ScalarMappable(Normalize(*ends), self.cmap)

    def of_rows(self) -> np.ndarray:
        """Return the colour of each row by its label, of shape (n_samples, 4)."""
        from matplotlib.colors import to_rgba

        assert self.column is not None
        colors = np.zeros((len(self.column), 4))
        if self.values is not None:
            colors = self.scale().to_rgba(self.values)
        for _, rows, color in self.groups:
            colors[rows] = to_rgba(color)
        return colors


def _scatter(
    ax: Axes,
    places: np.ndarray,
    kind: int,
    colors: _Colors,
    style: _Style,
    rows: np.ndarray,
    *,
    is_hollow: bool,
) -> list[PathCollection]:
    """Draw some rows of a kind."""
    from matplotlib.collections import PathCollection

    if not rows.any():
        return []
    given = {key: value for key, value in (style.given or {}).items() if key != "cmap"}
    if colors.column is None:
        color = np.array([PALETTE[kind % len(PALETTE)]])
    else:
        color = colors.of_rows()[rows]
    defaults: dict[str, Any] = {
        "s": marker_size(style.size, MARKERS[kind % len(MARKERS)]),
        "alpha": 0.8,
        "linewidth": 0.8 if is_hollow else 0,
        "marker": MARKERS[kind % len(MARKERS)],
        "facecolors": "none" if is_hollow else color,
        "edgecolors": color,
        "zorder": 2,
    }
    x, y = places[rows].T
    return [ax.scatter(x, y, **combine_styles(defaults, given, PathCollection))]


def _draw_lines(
    ax: Axes,
    places: Mapping[str, np.ndarray],
    present: Mapping[str, np.ndarray],
    paired: np.ndarray,
    line_kwargs: dict[str, Any] | None,
) -> LineCollection:
    """Join the latents of each row with their mean; of two kinds this is one straight line."""
    from matplotlib.collections import LineCollection

    stacked = np.stack(list(places.values()))  # (n_kinds, n_samples, 2)
    means = np.full(stacked.shape[1:], np.nan)
    means[paired] = np.nanmean(stacked[:, paired], axis=0)
    lines = [
        np.stack([means[rows], own[rows]], axis=1)
        for name, own in places.items()
        for rows in [paired & present[name]]
    ]
    alpha = float(np.clip(150 / max(1, paired.sum()), 0.15, 0.7))
    style = {"colors": _LINE_COLOR, "linewidths": 0.7, "alpha": alpha, "zorder": 1}
    artist = LineCollection(
        list(np.concatenate(lines)), **combine_styles(style, line_kwargs, LineCollection)
    )
    ax.add_collection(artist)
    return artist
