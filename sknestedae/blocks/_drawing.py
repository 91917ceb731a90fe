"""Plots of a block's values in one axes: lines for spectra, pictures for images, else dots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._tables._layout import Layout

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D
    from numpy.typing import ArrayLike

# What was given is broad and grey, and what came back lies on it: where both agree, both show.
GIVEN_COLOR = "0.6"
DECODED_COLOR = "#D55E00"  # of Okabe and Ito
# Of numbers that have no middle; it is even in brightness, also in grey print.
SEQUENCE = "viridis"
_MISSING_COLOR = "0.85"
# Spectra and channels of an image beyond these numbers cannot be told apart in one axes.
MAX_ROWS = 8
_MAX_CHANNELS = 4
# Between pictures, as a share of their size; at least a pixel.
_GAP = 0.06
# Elements beyond this number, and smaller shares, leave no room for their names.
_MAX_ELEMENTS, _LEAST_SHARE = 6, 0.02
# Lanes of dots beyond this number leave no room for their names.
_MAX_LANES = 24


def draw_values(
    ax: Axes,
    given: ArrayLike,
    decoded: ArrayLike | None,
    layout: Layout,
    *,
    label: str = "",
    unit: str = "",
    x: ArrayLike | None = None,
    names: Sequence[str] = ("given", "decoded"),
    titles: Sequence[str] = (),
) -> Sequence[Artist]:
    """Draw values of a block as their layout has them.

    Parameters
    ----------
    ax : Axes
    given : array-like of shape (n_values,) or (n_rows, n_values)
        Numbers of an array in their own unit. Numbers that stand for themselves in scaled units,
        as they share one axis, and categories as shares of each.
    decoded : array-like of the same shape, or None
        None where there is nothing to compare with.
    layout : Layout
        Of one axis: lines. Of two or three: pictures. Without a shape: dots.
    label, unit : str
        Name of the values, for the axis, and their unit.
    x : array-like of shape (n_channels,), optional
        Coordinates of a spectrum's channels, such as energies.
    names : sequence of two str
        Names of the given and the decoded values.
    titles : sequence of str, default=()
        Of the rows, where they are several.

    Returns
    -------
    sequence of Artist
    """
    if not layout.shape:
        return draw_entries(ax, given, decoded, layout, names=names)
    return draw_array(
        ax,
        given,
        decoded,
        layout.shape,
        label=label,
        unit=unit,
        x=x,
        names=names,
        titles=titles,
    )


def draw_array(
    ax: Axes,
    given: ArrayLike,
    decoded: ArrayLike | None,
    shape: Sequence[int],
    *,
    label: str = "",
    unit: str = "",
    x: ArrayLike | None = None,
    names: Sequence[str] = ("given", "decoded"),
    titles: Sequence[str] = (),
) -> Sequence[Artist]:
    """Draw arrays of one axis as lines, of two or three as pictures.

    Parameters
    ----------
    ax, given, decoded, label, unit, x, names, titles
        As in :func:`draw_values`.
    shape : sequence of int
        Of the array of one row.
    """
    if len(shape) == 1:
        return draw_spectrum(
            ax, given, decoded, x=x, label=label, unit=unit, names=names, titles=titles
        )
    return draw_images(ax, given, decoded, shape=shape, names=names, titles=titles)


# ---------------------------------------------------------------------------------------------
# Lines


def draw_spectrum(
    ax: Axes,
    given: ArrayLike,
    decoded: ArrayLike | None = None,
    *,
    x: ArrayLike | None = None,
    label: str = "",
    unit: str = "",
    xlabel: str | None = None,
    names: Sequence[str] = ("given", "decoded"),
    titles: Sequence[str] = (),
    line_kwargs: dict[str, Any] | None = None,
) -> list[Line2D]:
    """Draw spectra as lines; several in one axes are shifted, as spectra are stacked in papers.

    Parameters
    ----------
    ax : Axes
    given : array-like of shape (n_channels,) or (n_rows, n_channels)
        NaN where not measured: the line has a hole there.
    decoded : array-like of the same shape, or None
        Drawn on what was given. None: the lines are coloured by their order, and not shifted.
    x : array-like of shape (n_channels,), optional
        Coordinates of the channels. A Series or an Index that has a name names the axis.
    label, unit : str
        Name of the numbers, and their unit.
    xlabel : str, optional
        Name of the axis. None: the name of `x`, or "Channel" without `x`.
    names : sequence of two str
        For the legend.
    titles : sequence of str, default=()
        Written at the right of the spectra of a stack.
    line_kwargs : dict, optional
        Keywords for :meth:`matplotlib.axes.Axes.plot`, for all lines.

    Returns
    -------
    list of Line2D
        Of each row the given one, and the decoded one behind it.
    """
    spectra = np.atleast_2d(np.asarray(given, dtype=float))
    if x is None:
        position, name = np.arange(spectra.shape[1]), "Channel"
    else:
        position, name = np.asarray(x, dtype=float), getattr(x, "name", None) or ""
    kwargs = line_kwargs or {}
    if decoded is None:
        lines = _draw_sequence(ax, position, spectra, kwargs)
    else:
        after = np.atleast_2d(np.asarray(decoded, dtype=float))
        lines = _draw_pairs(ax, position, spectra, after, names, kwargs)
    if len(position) > 1:
        ax.set_xlim(min(position[0], position[-1]), max(position[0], position[-1]))
    ylabel = f"{label} ({unit})" if label and unit else label or unit
    ax.set(xlabel=name if xlabel is None else xlabel, ylabel=ylabel)
    if decoded is not None and len(spectra) > 1:
        ax.set_yticks([])
        step = f"{shift_between(spectra, after):.2g} {unit}".rstrip()
        ax.set_ylabel(f"{label or 'Value'}, stacked by {step}")
        for title, line in zip(titles, lines[::2], strict=False):
            height = np.asarray(line.get_ydata(), dtype=float)
            if np.isfinite(height).any():
                style: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center"}
                ax.text(1.01, float(np.nanmedian(height)), title, fontsize="small", **style)
    return lines


def _draw_sequence(
    ax: Axes, x: np.ndarray, spectra: np.ndarray, kwargs: dict[str, Any]
) -> list[Line2D]:
    """Draw lines that are coloured from the first to the last."""
    colors = sequence_colors(len(spectra)) if len(spectra) > 1 else [GIVEN_COLOR]
    return [
        ax.plot(x, row, **{"color": color, "linewidth": 1.4, **kwargs})[0]
        for row, color in zip(spectra, colors, strict=True)
    ]


def sequence_colors(n_colors: int) -> list[Any]:
    """Return colours from the first to the last of a sequence, without the palest."""
    from matplotlib import colormaps

    return [tuple(color) for color in colormaps[SEQUENCE](np.linspace(0, 0.92, n_colors))]


def _draw_pairs(
    ax: Axes,
    x: np.ndarray,
    given: np.ndarray,
    decoded: np.ndarray,
    names: Sequence[str],
    kwargs: dict[str, Any],
) -> list[Line2D]:
    """Draw each given spectrum and the decoded one on it, the first pair on top."""
    shift = shift_between(given, decoded)
    lines: list[Line2D] = []
    for k, (before, after) in enumerate(zip(given, decoded, strict=True)):
        style = {"color": GIVEN_COLOR, "linewidth": 2.6, "solid_capstyle": "round", **kwargs}
        lines += ax.plot(x, before - k * shift, **style, label=names[0] if k == 0 else None)
        style = {"color": DECODED_COLOR, "linewidth": 1.2, **kwargs}
        lines += ax.plot(x, after - k * shift, **style, label=names[1] if k == 0 else None)
    place: dict[str, Any] = {"loc": "best"}
    if len(given) > 1:  # above the stack, where no line is
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.14 * (high - low))
        place = {"loc": "upper right", "ncols": 2, "borderaxespad": 0.1, "columnspacing": 1.0}
    ax.legend(frameon=False, fontsize="small", handlelength=1.4, **place)
    return lines


def shift_between(given: np.ndarray, decoded: np.ndarray) -> float:
    """Return the distance at which stacked spectra do not cross, rounded up to two digits.

    Parameters
    ----------
    given, decoded : ndarray of shape (n_rows, n_channels)
        NaN where not measured.

    Returns
    -------
    float
        0 for one row, or without any range.
    """
    if len(given) < 2:
        return 0.0
    both = np.concatenate([given, decoded], axis=1)
    both = both[~np.isnan(both).all(axis=1)]
    if len(both) < 2:
        return 0.0
    # the lowest point of a row must lie above the highest of the one below
    room = 1.05 * float(np.max(np.nanmax(both[1:], axis=1) - np.nanmin(both[:-1], axis=1)))
    if not room > 0:
        return 0.0
    unit = 10.0 ** (np.floor(np.log10(room)) - 1)
    return float(np.ceil(room / unit) * unit)


# ---------------------------------------------------------------------------------------------
# Pictures


def draw_images(
    ax: Axes,
    given: ArrayLike,
    decoded: ArrayLike | None = None,
    *,
    shape: Sequence[int],
    names: Sequence[str] = ("given", "decoded"),
    titles: Sequence[str] = (),
    limits: tuple[float, float] | None = None,
    image_kwargs: dict[str, Any] | None = None,
) -> list[AxesImage]:
    """Draw images side by side in one axes, on one colour scale.

    One image and the decoded one stand side by side. Of several, each has a column: the given one
    above, the decoded one below. The channels of an image stand below each other, 4 at most. Where
    there is nothing to compare with, several images stand in reading order, the first channel of
    each.

    Parameters
    ----------
    ax : Axes
    given : array-like of shape (height * width,), (n_rows, height * width) or (n_rows, *shape)
        NaN where not measured, which is grey.
    decoded : array-like of the same shape, or None
    shape : sequence of int
        ``(height, width)`` or ``(channels, height, width)``.
    names : sequence of two str
        Written at the pictures.
    titles : sequence of str, default=()
        Written below the columns of several images.
    limits : (float, float), optional
        Ends of the colour scale. None: those of all that is drawn.
    image_kwargs : dict, optional
        Keywords for :meth:`matplotlib.axes.Axes.imshow`, such as `cmap`.

    Returns
    -------
    list of AxesImage
        By row of the tiles, from the top.
    """
    before = as_images(given, shape)
    after = None if decoded is None else as_images(decoded, shape)
    shown = before if after is None else np.concatenate([before, after])
    if limits is None:
        limits = color_limits(shown)
    kwargs = image_kwargs or {}
    n_rows, n_channels, height, width = before.shape
    if after is None and n_rows > 1:
        return _draw_gallery(ax, before[:, 0], titles, limits, kwargs)
    groups = [before] if after is None else [before, after]
    labels = list(names[:2]) if after is not None else []
    if n_rows == 1:  # one column for what was given, one for what came back
        tiles = np.stack([group[0] for group in groups], axis=1)
        artists = _draw_tiles(ax, tiles, limits, kwargs)
        ax.set_xticks(_centres(len(labels), width), labels)
        return artists
    artists = _draw_tiles(ax, np.concatenate([g.swapaxes(0, 1) for g in groups]), limits, kwargs)
    middle = _centres(2 * n_channels, height).reshape(2, -1).mean(axis=1)
    ax.set_yticks(middle, labels, rotation=90, va="center")
    ax.set_xticks(_centres(len(titles), width), titles, fontsize="small")
    return artists


def _draw_gallery(
    ax: Axes,
    images: np.ndarray,
    titles: Sequence[str],
    limits: tuple[float, float],
    kwargs: dict[str, Any],
) -> list[AxesImage]:
    """Draw images of shape (n_rows, height, width) in reading order, with a title below each."""
    n_images, height, width = images.shape
    n_cols = n_images if n_images < 4 else -(-n_images // 2)
    lines = [images[i : i + n_cols] for i in range(0, n_images, n_cols)]
    gap = 0.3 if titles else _GAP
    artists = []
    for i, line in enumerate(lines):
        top = _place(i, height, gap)[0]
        artists += _draw_tiles(ax, line[None, :, :, :], limits, kwargs, top)
        for k, title in enumerate(titles[i * n_cols : i * n_cols + len(line)]):
            place = _place(k, width)[0] + width / 2, top + height * 1.03
            ax.text(*place, title, ha="center", va="top", fontsize="small")
    bottom = _place(len(lines) - 1, height, gap)[1]
    ax.set(
        xlim=(0, _place(n_cols - 1, width)[1]),
        ylim=(bottom + (0.22 * height if titles else 0), 0),
    )
    return artists


def as_images(values: ArrayLike, shape: Sequence[int]) -> np.ndarray:
    """Return images as (n_rows, n_channels, height, width), of the first few channels.

    Parameters
    ----------
    values : array-like of shape (n_values,), (n_rows, n_values) or (n_rows, *shape)
    shape : sequence of int
        Those before the last two count as channels.
    """
    images = np.asarray(values, dtype=float).reshape(-1, *_channels_first(shape))
    return images[:, :_MAX_CHANNELS]


def _channels_first(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return (n_channels, height, width) for a shape of two axes or more."""
    *outer, height, width = shape
    return int(np.prod(outer, dtype=int)), int(height), int(width)


def color_limits(values: np.ndarray) -> tuple[float, float]:
    """Return the ends of a colour scale: of a range that is none, one around it."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    if low == high:
        margin = abs(low) / 2 or 0.5
        return low - margin, high + margin
    return low, high


def _place(k: int, size: int, gap: float = _GAP) -> tuple[float, float]:
    """Return the ends of the tile at position k along an axis, with a gap of this share."""
    start = k * (size + max(1.0, gap * size))
    return start, start + size


def _centres(n_tiles: int, size: int) -> np.ndarray:
    """Return the middles of tiles along an axis."""
    return np.array([_place(k, size)[0] + size / 2 for k in range(n_tiles)])


def _draw_tiles(
    ax: Axes,
    tiles: np.ndarray,
    limits: tuple[float, float],
    kwargs: dict[str, Any],
    top: float = 0.0,
) -> list[AxesImage]:
    """Draw tiles of shape (n_rows, n_columns, height, width), the first row on top."""
    from matplotlib import colormaps

    style = {"cmap": SEQUENCE, "vmin": limits[0], "vmax": limits[1], **kwargs}
    style["cmap"] = colormaps.get_cmap(style["cmap"]).with_extremes(bad=_MISSING_COLOR)
    if "norm" in style:
        del style["vmin"], style["vmax"]
    height, width = tiles.shape[2:]
    artists = []
    for i, row in enumerate(tiles):
        for j, tile in enumerate(row):
            (left, right), (above, below) = _place(j, width), _place(i, height)
            extent = (left, right, top + below, top + above)
            place = {"extent": extent, "interpolation": "nearest"}
            artists.append(ax.imshow(np.ma.masked_invalid(tile), **{**place, **style}))
    ends = _place(tiles.shape[1] - 1, width)[1], top + _place(len(tiles) - 1, height)[1]
    ax.set(xlim=(0, ends[0]), ylim=(ends[1], 0), xticks=[], yticks=[])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return artists


# ---------------------------------------------------------------------------------------------
# Structures


def draw_structures(
    ax: Axes,
    given: ArrayLike,
    decoded: ArrayLike | None = None,
    *,
    elements: Sequence[str],
    distances: ArrayLike,
    size: str = "",
    names: Sequence[str] = ("given", "decoded"),
    titles: Sequence[str] = (),
) -> list[Any]:
    """Draw structures of atoms: bars of their composition beside the radial density.

    Each structure has a strip of its own. The elements with the largest shares are drawn, 6 at
    most.

    Parameters
    ----------
    ax : Axes
    given : array-like of shape (n_elements + n_distances + 1,) or (n_rows, the same)
        Shares of the elements, the square root of the mean radial density of neighbours, and the
        logarithm of the size. NaN in a whole row that was not measured.
    decoded : array-like of the same shape, or None
    elements : sequence of str, length n_elements
        Symbols.
    distances : array-like of shape (n_distances,)
        Of neighbours, in Angstrom.
    size : str, default=""
        Name of the size, such as "volume per atom (Å³)"; written with the numbers above the radial
        density. "" leaves it out.
    names : sequence of two str
        For the legend.
    titles : sequence of str, default=()
        Of the rows.

    Returns
    -------
    list of BarContainer and Line2D
        For each row the bars and the line of the given values, then those of the decoded ones.
    """
    before = np.atleast_2d(np.asarray(given, dtype=float))
    after = None if decoded is None else np.atleast_2d(np.asarray(decoded, dtype=float))
    groups = [before] if after is None else [before, after]
    styles: list[dict[str, Any]] = [
        {"color": GIVEN_COLOR, "width": 0.8, "linewidth": 2.6},
        {"color": DECODED_COLOR, "width": 0.35, "linewidth": 1.2},
    ]
    ax.set_axis_off()
    n_rows, n_elements = len(before), len(elements)
    artists: list[Any] = []
    for row in range(n_rows):
        # a third of a strip is for the names below it and the title of the next one
        place = (1 - (row + 1) / n_rows, (0.64 if n_rows > 1 else 0.9) / n_rows)
        bars = ax.inset_axes((0.0, place[0], 0.42, place[1]))
        lines = ax.inset_axes((0.5, place[0], 0.5, place[1]))
        shares = [np.nan_to_num(group[row, :n_elements]) for group in groups]
        shown = _largest(shares)
        for group, share, style, name in zip(groups, shares, styles, names, strict=False):
            drawn = bars.bar(range(len(shown)), share[shown], style["width"], color=style["color"])
            line = {key: style[key] for key in ("color", "linewidth")}
            density = group[row, n_elements:-1]
            artists += [drawn, *lines.plot(np.asarray(distances), density, label=name, **line)]
        bars.set_xticks(range(len(shown)), [elements[k] for k in shown], fontsize="small")
        bars.set(xlim=(-0.6, max(len(shown), 3) - 0.4), ylim=(0, 1), yticks=[0, 1])
        bars.set_title(titles[row] if row < len(titles) else "", fontsize="small", loc="left")
        lines.set_title(_say_size(size, groups, row), fontsize="small", loc="left")
        lines.set(ylim=(0, None), yticks=[])
        if row == 0 and after is not None:
            lines.legend(frameon=False, fontsize="small", loc="upper right", handlelength=1.4)
        for panel in (bars, lines):
            panel.tick_params(labelsize="small", length=2)
            panel.spines[["top", "right"]].set_visible(False)
        if row < n_rows - 1:
            lines.set_xticklabels([])
    bars.set_xlabel("Share of the atoms", fontsize="small")
    lines.set_xlabel("Distance (Å); root of the radial density", fontsize="small")
    return artists


def _largest(shares: Sequence[np.ndarray]) -> np.ndarray:
    """Return the elements to draw: the given ones, then the decoded ones, by their shares."""
    order = np.lexsort([-shares[-1], -shares[0]])  # the last one is the first key
    is_large = np.max(shares, axis=0) >= _LEAST_SHARE
    return order[is_large[order]][:_MAX_ELEMENTS]


def _say_size(size: str, groups: Sequence[np.ndarray], row: int) -> str:
    """Write the size of a structure as it was given, and as it was decoded."""
    found = [float(np.exp(group[row, -1])) for group in groups]
    if not size or not np.isfinite(found[0]):
        return ""
    return f"{size}: " + " → ".join(f"{value:.3g}" for value in found)


# ---------------------------------------------------------------------------------------------
# Dots


def draw_entries(
    ax: Axes,
    given: ArrayLike,
    decoded: ArrayLike | None = None,
    layout: Layout | None = None,
    *,
    labels: Sequence[str] | None = None,
    names: Sequence[str] = ("given", "decoded"),
) -> list[PathCollection]:
    """Draw numbers and shares of categories as dots, in a lane each.

    Where there are more than 24, those that differ most are drawn.

    Parameters
    ----------
    ax : Axes
    given : array-like of shape (n_values,) or (n_rows, n_values)
        In scaled units, which numbers of several units need to share an axis; NaN where not
        measured.
    decoded : array-like of the same shape, or None
    layout : Layout, optional
        Says which values are shares of the categories of one column.
    labels : sequence of str, optional
        Names of the values. None: their positions.
    names : sequence of two str
        For the legend.

    Returns
    -------
    list of PathCollection
        The given values, then the decoded ones.
    """
    before = np.atleast_2d(np.asarray(given, dtype=float))
    after = None if decoded is None else np.atleast_2d(np.asarray(decoded, dtype=float))
    chosen = _choose_lanes(before, after)
    if labels is None:
        labels = _lane_names(before.shape[1], layout)
    lanes = np.arange(len(chosen))
    every = np.tile(lanes, len(before))
    style: dict[str, Any] = {"linewidth": 0, "zorder": 2}
    first = ax.scatter(
        before[:, chosen].ravel(), every, s=60, color=GIVEN_COLOR, label=names[0], **style
    )
    artists = [first]
    if after is not None:
        style["zorder"] = 3
        second = ax.scatter(
            after[:, chosen].ravel(), every, s=18, color=DECODED_COLOR, label=names[1], **style
        )
        artists.append(second)
        ax.legend(frameon=False, fontsize="small", loc="best")
    ax.hlines(lanes, *ax.get_xlim(), color="0.92", linewidth=1, zorder=1)
    ax.set_yticks(lanes, [labels[j] for j in chosen], fontsize="small")
    ax.set_ylim(len(chosen) - 0.5, -0.5)
    ax.margins(x=0)
    ax.set_xlabel("Scaled value")
    return artists


def _choose_lanes(given: np.ndarray, decoded: np.ndarray | None) -> np.ndarray:
    """Return the positions of the values to draw in order: all, or those that differ most."""
    n_values = given.shape[1]
    if n_values <= _MAX_LANES or decoded is None:
        return np.arange(min(n_values, _MAX_LANES))
    size = np.nansum((given - decoded) ** 2, axis=0)
    return np.sort(np.argsort(-size, kind="stable")[:_MAX_LANES])


def _lane_names(n_values: int, layout: Layout | None) -> list[str]:
    """Name values by their position: a column's, and a category's within it."""
    n_numeric = n_values if layout is None else layout.n_numeric
    found = [f"{k}" for k in range(n_numeric)]
    for column, width in enumerate(() if layout is None else layout.n_categories):
        found += [f"{n_numeric + column}: category {k}" for k in range(width)]
    return found
