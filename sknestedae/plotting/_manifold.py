"""A display of the columns that are decoded from a grid of latents."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.decomposition import PCA

from .._ambient import isolated_but_output
from .._estimators._unwrap import check_one_table, innermost, up_to_stage
from .._tables._input import to_pandas
from ..blocks._drawing import as_images, color_limits
from ._arrays import (
    ArrayColumns,
    axis_of,
    decoded_arrays,
    flat_table,
    named_arrays,
    panels_of,
    read_array,
)
from ._base import (
    MISSING_COLOR,
    OTHER_COLOR,
    PALETTE,
    as_floats,
    categorical_positions,
    check_has,
    check_quantiles,
    check_units,
    colorbar_beside,
    combine_styles,
    decode_as,
    grouped_categories,
    has_prior,
    held_latents,
    in_two_lines,
    make_axes,
    match_columns,
    name_of,
    names_of_principal_components,
    picture_size,
    point_size,
    shorten,
    spread_heights,
    without_structures,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colorbar import Colorbar
    from matplotlib.image import AxesImage
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

_SPACINGS = ("linear", "quantile", "normal")
# Half a side of a cell that a spectrum is drawn in, where the points are 1 apart.
_HALF = 0.45
# Between the tiles of a mosaic, as a share of their size; at least a pixel.
_GAP = 0.06
_SEQUENCE = "viridis"
_MAX_TICKS = 5
# Beside and above a panel, for labels, title and colour bar, in inches.
_ROOM = (1.3, 0.9)


class ManifoldDisplay:
    """Decoded columns on a grid of two latents, with the other latents held fixed.

    At each point of the grid stands the decoded value: an image is a tile of a mosaic, a spectrum
    a line in a cell of its own, a number the colour of a heat map, a category a colour with a
    legend. Each array or column has a panel; an image of several channels has one for each of the
    first four. All tiles or cells of a panel share one scale.

    It is recommended to use :func:`~sknestedae.plotting.ManifoldDisplay.from_estimator` to create
    a display. All parameters are stored as attributes.

    Parameters
    ----------
    values : list of one or two array-like of shape (n_steps,)
        Values of each latent, in ascending order: of the one that grows to the right, and of the
        one that grows upwards. Of one latent the grid is a strip.
    decoded : {array-like, DataFrame} of shape (n_points, n_columns)
        The table at the points, row by row from the lowest, each row from the left.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Data with the names of the columns and their dtypes. The columns of two DataFrames are
        matched by name, else by position.
    names : list of one or two str, default=("Latent 0", "Latent 1")
        Names of the latents.
    coordinates : array-like of shape (n_samples, n_latents), default=None
        Coordinates of the rows of X on the plane, for ``show_rows``.
    categorical_features : "from_dtype" or array-like, default="from_dtype"
        Which columns are categorical: by dtype, or those of these names or indices (and those
        that do not hold numbers).
    units : dict, default=None
        Unit of each column and array, by name (of two levels, also by the second alone); those
        without a unit can be left out.
    arrays : dict, default=None
        Columns that are one array: from its name to ``(columns, shape)``, such as
        ``{"image": (slice(0, 256), (16, 16))}``, or to the columns alone for one axis. None: the
        whole table where it has more than two dimensions, and columns whose cells are arrays.

    Attributes
    ----------
    columns_ : list
        Labels of the columns and arrays, one a panel.
    artists_ : list of matplotlib AxesImage or list of matplotlib Line2D
        The artists of each of these panels: the mosaic or the heat map, or the lines of the
        spectra in the order of the points.
    colorbars_ : list of matplotlib Colorbar or None
        Colour bar of each of these panels; None of spectra and categories.
    legends_ : list of matplotlib Legend or None
        Legend of each of these panels: of the categories, or of the grey line in each cell, which
        is the mean of all spectra of the grid.
    scatter_ : matplotlib PathCollection or None
        The rows of X.
    axes_ : ndarray of shape (n_panels,) of matplotlib Axes
        Axes of the panels; those with the rows of X last. Their ticks stand at points of the grid
        and show the latents there.
    figure_ : matplotlib Figure
        Figure with the panels.

    See Also
    --------
    ManifoldDisplay.from_estimator : Decode the latents of a fitted estimator.
    TraversalDisplay : Changes along one latent, with numbers as lines in their own unit.
    LatentDisplay : Samples in the space of the latents.

    Notes
    -----
    Columns that are decoded far from all rows are extrapolations. A grid between quantiles of two
    latents can have corners without any row; ``show_rows`` draws the rows in a panel of their own.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.plotting import ManifoldDisplay
    >>> X = load_digits().data[:100]
    >>> sae = SupervisedAutoencoder(n_components=2, max_iter=5, random_state=0).fit(X)
    >>> display = ManifoldDisplay.from_estimator(sae, X, arrays={"digit": (slice(0, 64), (8, 8))})
    >>> display.columns_
    ['digit']
    >>> plt.show()  # doctest: +SKIP
    >>> plt.close("all")
    """

    def __init__(
        self,
        values,
        decoded,
        X,
        *,
        names=("Latent 0", "Latent 1"),
        coordinates=None,
        categorical_features="from_dtype",
        units=None,
        arrays=None,
    ):
        self.values = values
        self.decoded = decoded
        self.X = X
        self.names = names
        self.coordinates = coordinates
        self.categorical_features = categorical_features
        self.units = units
        self.arrays = arrays

    def plot(
        self,
        ax=None,
        *,
        columns=None,
        show_rows=False,
        n_cols=None,
        line_kwargs=None,
        image_kwargs=None,
    ):
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel. If None, a new figure is made.
        columns : str, int or list of them, default=None
            The columns to draw, by name or index, and arrays by name, in this order. None draws
            all arrays.
        show_rows : bool, default=False
            Whether one more panel shows where the rows of X lie on the plane. Rows off the grid
            are left out, and counted in its title.
        n_cols : int, default=None
            Largest number of panels side by side in a new figure. None: 3, and 1 of strips.
        line_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`, for spectra.
        image_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.imshow`, such as `cmap`, for mosaics of images
            and heat maps of numbers.

        Returns
        -------
        display : :class:`~sknestedae.plotting.ManifoldDisplay`
            Object that stores the values and the artists.
        """
        grid = _Grid.read(self.values, self.names)
        panels = self._panels(grid, columns)
        n_panels = len(panels) + bool(show_rows)
        sides = np.array([panel.sides for panel in panels]).max(axis=0)
        height, width = sides * (grid.n_up, grid.n_across)
        size, single = picture_size(height, width, 3.3), picture_size(height, width, 4.6)
        room = (max(_ROOM[0], *(panel.room for panel in panels)), _ROOM[1])
        self.axes_ = make_axes(
            ax,
            n_panels,
            (1 if grid.n_up == 1 else 3) if n_cols is None else n_cols,
            panel_size=(size[0] + room[0], size[1] + room[1]),
            single_size=(single[0] + room[0], single[1] + room[1]),
        )
        self.figure_ = self.axes_[0].figure
        self.columns_ = [panel.label for panel in panels]
        self.artists_: list[AxesImage | list[Line2D]] = []
        self.colorbars_: list[Colorbar | None] = []
        self.legends_: list[Legend | None] = []
        self.scatter_: PathCollection | None = None
        for axes, panel in zip(self.axes_, panels, strict=False):
            kwargs = line_kwargs if panel.kind == "spectrum" else image_kwargs
            artist, bar, legend = _DRAW[panel.kind](axes, grid, panel, kwargs or {})
            self.artists_.append(artist)
            self.colorbars_.append(bar)
            self.legends_.append(legend)
            grid.label(axes)
        if show_rows:
            self.scatter_ = self._draw_rows(self.axes_[-1], grid)
        return self

    def _panels(self, grid: _Grid, columns: Any) -> list[_Panel]:
        """List the content of each panel."""
        decoded, (given, shape) = flat_table(self.decoded)[0], flat_table(self.X)
        table, back = pd.DataFrame(given), pd.DataFrame(decoded)
        if len(back) != grid.n_points:
            raise ValueError(
                f"The decoded table must have a row for each of the {grid.n_points} points of the "
                f"grid, got {len(back)}."
            )
        positions = match_columns(table, decoded)
        if not positions:
            raise ValueError(
                "X and the decoded table must have the same columns, got "
                f"{list(table.columns)} and {list(back.columns)}."
            )
        positions = without_structures(table, positions)
        arrays = named_arrays(table, self.arrays, shape)
        chosen = panels_of(table, columns, positions, arrays, "decoded")
        if columns is None:
            chosen = [what for what in chosen if isinstance(what, ArrayColumns)]
        if not chosen:
            known = ", ".join(repr(table.columns[j]) for j in list(positions)[:6]) or "none"
            more = ", ..." if len(positions) > 6 else ""
            raise ValueError(
                "The 'columns' parameter must name columns to draw, as no array is known among "
                f"the decoded columns, which are {known}{more}; or name arrays in 'arrays'."
            )
        own = {j for array in arrays for j in array.columns}
        numbers = {j: k for j, k in positions.items() if j not in own}
        X = table if isinstance(self.X, pd.DataFrame) else table.to_numpy()
        categorical = categorical_positions(self.categorical_features, X, table, back, numbers)
        units = check_units(self.units)
        panels: list[_Panel] = []
        for what in chosen:
            if isinstance(what, ArrayColumns):
                placed = what._replace(columns=[positions[j] for j in what.columns])
                values, axis = read_array(back, placed), axis_of(table, what)
                panels += _array_panels(what, values, axis, units.get(what.name, ""))
                continue
            label = table.columns[what]
            feature = label[-1] if isinstance(label, tuple) else label
            is_named = isinstance(self.X, pd.DataFrame) or not isinstance(label, Integral)
            panels.append(
                _Panel(
                    label,
                    name_of(label) if is_named else f"Column {label}",
                    "category" if what in categorical else "number",
                    back.iloc[:, positions[what]],
                    units.get(label, units.get(feature, "")),
                )
            )
        return panels

    def _draw_rows(self, ax: Axes, grid: _Grid) -> PathCollection:
        """Draw the rows of X where they lie between the points of the grid."""
        if self.coordinates is None:
            raise ValueError(
                "The 'show_rows' parameter needs 'coordinates', where the rows of X lie on the "
                "plane; got None."
            )
        places = grid.place(np.asarray(self.coordinates, dtype=float))
        inside = ((places >= -0.5) & (places <= grid.ends)).all(axis=1)
        for k in range(grid.n_points):
            ax.plot(k % grid.n_across, k // grid.n_across, "+", color=MISSING_COLOR, zorder=1)
        size = point_size(len(places), 27.0)
        x, y = places[inside].T
        style: dict[str, Any] = {"color": PALETTE[0], "alpha": 0.7, "linewidth": 0, "zorder": 2}
        scatter = ax.scatter(x, y, s=size, **style)
        ax.set_title(f"Rows of X: {inside.sum():,} of {len(places):,}", fontsize="medium")
        ax.set(xlim=(-0.5, grid.ends[0]), ylim=(-0.5, grid.ends[1]), aspect="equal")
        grid.label(ax)
        return scatter

    @classmethod
    @isolated_but_output
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        stage=None,
        components=None,
        at="mean",
        n_steps=9,
        quantiles=(0.05, 0.95),
        spacing="auto",
        columns=None,
        show_rows=False,
        categorical_features=None,
        units=None,
        arrays=None,
        n_cols=None,
        ax=None,
        line_kwargs=None,
        image_kwargs=None,
    ):
        """Decode a grid of latents, and draw it.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``transform`` and ``inverse_transform``, or a fitted
            :class:`~sklearn.pipeline.Pipeline` of such steps.
        X : {array-like, DataFrame} of shape (n_samples, n_features) or (n_samples, ...)
            The columns that were fitted, for the rows whose latents span the grid.
        stage : str or int, default=None
            Name or position of a stage, where the estimator is a
            :class:`~sknestedae.NestedAutoencoder` or ends in one: its latents are decoded, to its
            own columns and those of the stages before. None: all that the estimator decodes.
        components : int, tuple of one or two int, "pca" or None, default=None
            The latents that move, counted from 0; negative ones count from the last. The first
            grows to the right, the second upwards; one alone makes a strip. "pca" moves along the
            first two principal components of all latents of X. None moves the first two latents,
            or the only one.
        at : {"mean", "median"}, int or array-like of shape (n_latents,), default="mean"
            Values of the other latents: the mean or the median of X, those of one row of X (by
            position), or the given ones. The plane goes through this point.
        n_steps : int or tuple of int, default=9
            Number of points along each latent; two numbers are those of the first and the second.
        quantiles : tuple of two float, default=(0.05, 0.95)
            The grid is from the first quantile of a latent in X to the second.
        spacing : {"auto", "linear", "quantile", "normal"}, default="auto"
            Positions of the points between them. "linear": at equal distances. "quantile": at
            equal steps of the probability in X, so that equally many rows lie between them.
            "normal": at equal steps of the probability of a normal distribution with the mean and
            the standard deviation of the latent in X, and between its quantiles: variational
            latents lie so. "auto": "normal" for an estimator with ``beta``, else "linear".
        columns : str, int or list of them, default=None
            The columns to draw, by name or index, and arrays by name, in this order. None draws
            all arrays.
        show_rows : bool, default=False
            Whether one more panel shows where the rows of X lie on the plane. Rows off the grid
            are left out, and counted in its title.
        categorical_features : "from_dtype", array-like or None, default=None
            Which columns are categorical: by dtype, or those of these names or indices (and those
            that do not hold numbers). None takes the estimator's own parameter of this name,
            where it has one.
        units : dict, default=None
            Unit of each column and array, by name (of two levels, also by the second alone); those
            without a unit can be left out.
        arrays : dict, default=None
            Columns that are one array: from its name to ``(columns, shape)``, or to the columns
            alone for one axis. None: the estimator's blocks of arrays.
        n_cols : int, default=None
            Largest number of panels side by side in a new figure. None: 3, and 1 of strips.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel. If None, a new figure is made.
        line_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`, for spectra.
        image_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.imshow`, such as `cmap`, for mosaics of images
            and heat maps of numbers.

        Returns
        -------
        display : :class:`~sknestedae.plotting.ManifoldDisplay`
            Object that stores the values and the artists.

        Raises
        ------
        ValueError
            If there is no such latent, or nothing to draw.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sknestedae import SupervisedAutoencoder
        >>> from sknestedae.plotting import ManifoldDisplay
        >>> X = load_wine(as_frame=True).data
        >>> sae = SupervisedAutoencoder(n_components=3, max_iter=5, random_state=0).fit(X)
        >>> display = ManifoldDisplay.from_estimator(
        ...     sae, X, components=(0, 2), columns=["alcohol", "hue"], units={"alcohol": "vol%"}
        ... )
        >>> display.axes_[0].get_ylabel()
        'Latent 2'
        >>> display.colorbars_[0].ax.get_ylabel()
        'vol%'
        """
        caller = f"{cls.__name__}.from_estimator"
        check_has(estimator, ["transform", "inverse_transform"], caller)
        check_one_table(X, caller, "Pass one of them, and the chain up to its stage.")
        X = to_pandas(X)
        if stage is not None:
            estimator = up_to_stage(estimator, stage)
        if isinstance(spacing, str) and spacing == "auto":
            spacing = "normal" if has_prior(estimator) else "linear"
        Z = np.asarray(estimator.transform(X))
        plane = _Plane.choose(Z, components)
        values = _values(plane.coordinates, n_steps, quantiles, spacing)
        decoded = decode_as(estimator, plane.points(values, held_latents(Z, at)), X)
        if arrays is None:
            arrays = decoded_arrays(estimator, X, decoded)
        if categorical_features is None:
            own = innermost(estimator, steps=False)
            categorical_features = getattr(own, "categorical_features", None)
        display = cls(
            values,
            decoded,
            X,
            names=plane.names,
            coordinates=plane.coordinates,
            categorical_features=categorical_features,
            units=units,
            arrays=arrays,
        )
        return display.plot(
            ax,
            columns=columns,
            show_rows=show_rows,
            n_cols=n_cols,
            line_kwargs=line_kwargs,
            image_kwargs=image_kwargs,
        )


# ---------------------------------------------------------------------------------------------
# Latents


class _Plane(NamedTuple):
    """One or two directions in the space of the latents.

    Parameters
    ----------
    directions : ndarray of shape (n_directions, n_latents)
        Orthonormal.
    center : ndarray of shape (n_latents,)
        Where all coordinates are 0.
    coordinates : ndarray of shape (n_samples, n_directions)
        Of the data.
    names : list of str
        Of the directions.
    """

    directions: np.ndarray
    center: np.ndarray
    coordinates: np.ndarray
    names: list[str]

    @classmethod
    def choose(cls, Z: np.ndarray, components: Any) -> _Plane:
        """Return the directions that a user names."""
        n_latents = Z.shape[1]
        if isinstance(components, str) and components == "pca":
            pca = PCA(n_components=min(2, *Z.shape), svd_solver="full")
            pca.set_output(transform="default")
            with np.errstate(invalid="ignore"):  # latents that are all equal explain nothing
                coordinates = pca.fit_transform(Z)
            names = names_of_principal_components(pca.explained_variance_ratio_)
            return cls(pca.components_, pca.mean_, coordinates, names)
        if components is None:
            components = tuple(range(min(2, n_latents)))
        chosen = np.atleast_1d(np.asarray(components))
        is_int = chosen.dtype.kind in "iu" and chosen.ndim == 1 and len(chosen) in (1, 2)
        in_range = is_int and (chosen >= -n_latents).all() and (chosen < n_latents).all()
        if not in_range or len(np.unique(chosen % n_latents)) < len(chosen):
            raise ValueError(
                f"The 'components' parameter must be one or two different int from {-n_latents} "
                f"to {n_latents - 1}, as there are {n_latents} latents, or 'pca'; got "
                f"{components!r}."
            )
        chosen = chosen % n_latents
        directions = np.eye(n_latents, dtype=Z.dtype)[chosen]
        names = [f"Latent {k}" for k in chosen]
        return cls(directions, np.zeros(n_latents, Z.dtype), Z[:, chosen], names)

    def points(self, values: Sequence[np.ndarray], start: np.ndarray) -> np.ndarray:
        """Return the latents at the points of a grid, of shape (n_points, n_latents).

        Parameters
        ----------
        values : list of ndarray of shape (n_steps,)
            Along each direction.
        start : ndarray of shape (n_latents,)
            A point that the plane goes through.
        """
        first, *rest = values
        second = rest[0] if rest else np.zeros(1)
        grid = np.stack([np.tile(first, len(second)), np.repeat(second, len(first))], axis=1)
        along = (start - self.center) @ self.directions.T
        origin = start - along @ self.directions
        return origin + grid[:, : len(self.directions)] @ self.directions


def _values(
    coordinates: np.ndarray, n_steps: Any, quantiles: Any, spacing: Any
) -> list[np.ndarray]:
    """Return the values along each direction, in ascending order."""
    n_directions = coordinates.shape[1]
    given = [n_steps] * n_directions if isinstance(n_steps, Integral) else n_steps
    is_list = isinstance(given, list | tuple | np.ndarray) and len(given) == n_directions
    if not is_list or not all(isinstance(n, Integral) and int(n) > 1 for n in given):
        raise ValueError(
            "The 'n_steps' parameter must be an int of at least 2, or one for each of the "
            f"{n_directions} latents that move, got {n_steps!r}."
        )
    numbers = [int(n) for n in given]
    if spacing not in _SPACINGS:
        raise ValueError(
            f"The 'spacing' parameter must be 'auto', 'linear', 'quantile' or 'normal', got "
            f"{spacing!r}."
        )
    first, last = check_quantiles(quantiles).tolist()
    columns = list(zip(coordinates.T, numbers, strict=True))
    if spacing == "linear":
        ends = [np.quantile(own, [first, last]) for own, _ in columns]
        return [np.linspace(low, high, n) for (low, high), n in zip(ends, numbers, strict=True)]
    if spacing == "quantile":
        return [np.quantile(own, np.linspace(first, last, n)) for own, n in columns]
    if first == 0 or last == 1:
        raise ValueError(
            "The 'quantiles' parameter must lie above 0 and below 1 where the spacing is "
            f"'normal', as its end is infinite; got {quantiles!r}."
        )
    return [own.mean() + own.std() * norm.ppf(np.linspace(first, last, n)) for own, n in columns]


class _Grid(NamedTuple):
    """A grid of points that are drawn 1 apart, whatever the values of the latents.

    Parameters
    ----------
    values : list of ndarray of shape (n_steps,)
        One or two.
    names : list of str
    """

    values: list[np.ndarray]
    names: list[str]

    @classmethod
    def read(cls, values: Any, names: Any) -> _Grid:
        """Check the user's values and names."""
        found = [np.asarray(axis, dtype=float) for axis in values]
        if len(found) not in (1, 2) or any(axis.ndim != 1 or not len(axis) for axis in found):
            raise ValueError(
                "The 'values' parameter must be a list of one or two arrays of shape (n_steps,), "
                f"got {values!r}."
            )
        names = list(names)[: len(found)]
        if len(names) < len(found):
            raise ValueError(
                f"The 'names' parameter must name each of the {len(found)} latents, got {names!r}."
            )
        return cls(found, names)

    @property
    def n_across(self) -> int:
        """Number of points side by side."""
        return len(self.values[0])

    @property
    def n_up(self) -> int:
        """Number of points above each other."""
        return len(self.values[1]) if len(self.values) > 1 else 1

    @property
    def n_points(self) -> int:
        """Number of points."""
        return self.n_across * self.n_up

    @property
    def ends(self) -> tuple[float, float]:
        """Right and upper end of the last cell."""
        return self.n_across - 0.5, self.n_up - 0.5

    def place(self, coordinates: np.ndarray) -> np.ndarray:
        """Return the coordinates of points of the plane in the figure, of shape (n_samples, 2).

        They are NaN where the grid does not tell: beyond its cells, or along values that are all
        equal. Within the outer half of an outer cell, the distance of the last two values counts.
        """
        places = []
        for column, values in zip(coordinates.T, self.values, strict=True):
            distinct, at = np.unique(values, return_index=True)
            if len(distinct) < 2:
                places.append(np.where(column == distinct[0], 0.0, np.nan))
                continue
            first, last = np.diff(distinct)[[0, -1]] / np.diff(at)[[0, -1]]
            known = np.r_[distinct[0] - first, distinct, distinct[-1] + last]
            at = np.r_[at[0] - 1, at, at[-1] + 1]
            places.append(np.interp(column, known, at, left=np.nan, right=np.nan))
        if len(places) == 1:  # spread over the height, so that rows do not hide each other
            places.append(0.8 * spread_heights(len(coordinates)) - 0.4)
        return np.column_stack(places)

    def label(self, ax: Axes) -> None:
        """Write the values of the latents at some of the points, and their names."""
        _write_ticks(ax.xaxis, self.values[0])
        ax.set_xlabel(in_two_lines(self.names[0]))
        if len(self.values) > 1:
            _write_ticks(ax.yaxis, self.values[1])
            ax.set_ylabel(in_two_lines(self.names[1]))
        else:
            ax.set_yticks([])
        ax.tick_params(length=2)
        ax.spines[:].set_visible(False)


def _write_ticks(axis: Any, values: np.ndarray) -> None:
    """Write the values of some points, evenly from the first one on."""
    shown = np.arange(0, len(values), -(-(len(values) - 1) // (_MAX_TICKS - 1)) or 1)
    axis.set_ticks(shown, _write_numbers(values[shown]))


def _write_numbers(values: np.ndarray) -> list[str]:
    """Write numbers with the fewest digits that distinguish them, two at least."""
    values = np.where(np.abs(values) < 1e-6 * np.ptp(values), 0.0, values)
    for n_digits in range(2, 7):
        said = [f"{value:.{n_digits}g}" for value in values]
        if len(set(said)) == len(set(values.tolist())):
            break
    return [text.replace("-", "\N{MINUS SIGN}") for text in said]


# ---------------------------------------------------------------------------------------------
# Panels


class _Panel(NamedTuple):
    """A column, a spectrum or a channel of an image, at all points.

    Parameters
    ----------
    label : Hashable
    title : str
    kind : {"image", "spectrum", "number", "category"}
    values : ndarray of shape (n_points, height, width) or (n_points, n_channels), or Series
    unit : str
    x : Index or None
        Where the channels of a spectrum lie.
    """

    label: Hashable
    title: str
    kind: str
    values: Any
    unit: str
    x: Any = None

    @property
    def sides(self) -> tuple[float, float]:
        """Height and width of a cell, of which the longer one is 1."""
        if self.kind != "image":
            return 1.0, 1.0
        height, width = self.values.shape[1:]
        return height / max(height, width), width / max(height, width)

    @property
    def room(self) -> float:
        """Width of the colour bar or legend beside the panel, in inches."""
        return 2.4 if self.kind == "category" else 0.0


def _array_panels(array: ArrayColumns, values: np.ndarray, axis: Any, unit: str) -> list[_Panel]:
    """Return the panel of a spectrum, or one for each channel of an image."""
    if len(array.shape) == 1:
        return [_Panel(array.name, array.name, "spectrum", values, unit, axis)]
    images = as_images(values, array.shape)
    if images.shape[1] == 1:
        return [_Panel(array.name, array.name, "image", images[:, 0], unit)]
    return [
        _Panel(array.name, f"{array.name}, channel {k}", "image", images[:, k], unit)
        for k in range(images.shape[1])
    ]


def _title(ax: Axes, text: str, *, width: int = 40) -> None:
    ax.set_title(shorten(text, width), fontsize="medium")


def _draw_image(ax: Axes, grid: _Grid, panel: _Panel, kwargs: dict[str, Any]) -> tuple:
    """Draw images as one mosaic, of which the lowest row holds the first points."""
    picture, extent, aspect = make_mosaic(panel.values, grid.n_across)
    low, high = color_limits(panel.values)
    style = {"cmap": _SEQUENCE, "vmin": low, "vmax": high, "interpolation": "nearest", **kwargs}
    if "norm" in style:
        del style["vmin"], style["vmax"]
    artist = ax.imshow(np.ma.masked_invalid(picture), extent=extent, aspect=aspect, **style)
    _title(ax, panel.title)
    return artist, colorbar_beside(artist, ax, panel.unit), None


def make_mosaic(
    images: np.ndarray, n_across: int
) -> tuple[np.ndarray, tuple[float, float, float, float], float]:
    """Put images side by side and above each other, with a gap between them.

    Parameters
    ----------
    images : ndarray of shape (n_points, height, width)
        Row by row from the lowest one.
    n_across : int
        Number of images in a row.

    Returns
    -------
    picture : ndarray of shape (n_rows, n_columns)
        NaN in the gaps.
    extent : (float, float, float, float)
        Left, right, lower and upper end, where the middles of the images are 1 apart, and the
        lowest one on the left is at (0, 0).
    aspect : float
        Of axes in which pixels are squares.
    """
    n_images, height, width = images.shape
    n_up = n_images // n_across
    gap = max(1, round(_GAP * max(height, width)))
    tiles = np.full((n_up, n_across, height + gap, width + gap), np.nan)
    tiles[:, :, :height, :width] = images.reshape(n_up, n_across, height, width)[::-1]
    picture = tiles.swapaxes(1, 2).reshape(n_up * (height + gap), n_across * (width + gap))
    half = width / (width + gap) / 2, height / (height + gap) / 2
    extent = (-half[0], n_across - 1 + half[0], -half[1], n_up - 1 + half[1])
    return picture[:-gap, :-gap], extent, (height + gap) / (width + gap)


def _draw_spectra(ax: Axes, grid: _Grid, panel: _Panel, kwargs: dict[str, Any]) -> tuple:
    """Draw a spectrum in each cell, on the mean of all."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    spectra, n_channels = panel.values, panel.values.shape[1]
    x = np.arange(n_channels) if panel.x is None else np.asarray(panel.x, dtype=float)
    name = "channel" if panel.x is None else panel.x.name
    first, last = float(x.min()), float(x.max())
    low, high = color_limits(spectra)
    across = _HALF * (2 * (x - first) / ((last - first) or 1.0) - 1)
    up = _HALF * (2 * (spectra - low) / (high - low) - 1)
    style = combine_styles({"color": PALETTE[0], "linewidth": 1.2}, kwargs, Line2D)
    lines: list[Line2D] = []
    mean_line = None
    for k in range(grid.n_points):
        j, i = k % grid.n_across, k // grid.n_across
        corner = j - _HALF, i - _HALF
        frame: dict[str, Any] = {"facecolor": "0.97", "edgecolor": "none", "zorder": 0}
        ax.add_patch(Rectangle(corner, 2 * _HALF, 2 * _HALF, **frame))
        (mean_line,) = ax.plot(j + across, i + up.mean(axis=0), color="0.7", linewidth=1.0)
        lines += ax.plot(j + across, i + up[k], **style)
    ax.set(xlim=(-0.5, grid.ends[0]), ylim=(-0.5, grid.ends[1]), aspect="equal")
    across_said = " ".join(filter(None, [name, f"{first:.4g} to {last:.4g}"]))
    up_said = " ".join(filter(None, [f"{low:.2g} to {high:.2g}", panel.unit]))
    said = f"{shorten(panel.title, 40)}\ncell: {across_said} across, {up_said} up"
    ax.set_title(said.replace("-", "\N{MINUS SIGN}"), fontsize="medium")
    assert mean_line is not None
    place: dict[str, Any] = {
        "loc": "upper left",
        "bbox_to_anchor": (1.0, 1.0),
        "borderaxespad": 0.2,
    }
    legend = ax.legend(
        [lines[0], mean_line],
        ["decoded", "mean"],
        frameon=False,
        fontsize="small",
        handlelength=1.0,
        **place,
    )
    return lines, None, legend


def _draw_numbers(ax: Axes, grid: _Grid, panel: _Panel, kwargs: dict[str, Any]) -> tuple:
    """Draw a heat map of one column."""
    values = as_floats(panel.values)
    low, high = color_limits(values)
    style = {"cmap": _SEQUENCE, "vmin": low, "vmax": high, "interpolation": "nearest", **kwargs}
    if "norm" in style:
        del style["vmin"], style["vmax"]
    picture = np.ma.masked_invalid(values.reshape(grid.n_up, grid.n_across))
    artist = ax.imshow(picture, origin="lower", aspect="equal", **style)
    _title(ax, panel.title)
    return artist, colorbar_beside(artist, ax, panel.unit), None


def _draw_categories(ax: Axes, grid: _Grid, panel: _Panel, kwargs: dict[str, Any]) -> tuple:
    """Draw a map of the most probable category, with a colour for each."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    groups, others = grouped_categories(panel.values, len(PALETTE))
    colors = [*PALETTE[: len(groups)]]
    if others is not None:
        groups = [*groups, others]
        colors.append(OTHER_COLOR)
    codes = np.full(grid.n_points, np.nan)
    for k, (_, rows) in enumerate(groups):
        codes[rows] = k
    picture = np.ma.masked_invalid(codes.reshape(grid.n_up, grid.n_across))
    colormap = ListedColormap(colors).with_extremes(bad=MISSING_COLOR)
    limits: dict[str, Any] = {"vmin": -0.5, "vmax": len(colors) - 0.5, "interpolation": "nearest"}
    artist = ax.imshow(picture, origin="lower", aspect="equal", cmap=colormap, **limits)
    _title(ax, panel.title)
    legend = ax.legend(
        handles=[
            Patch(facecolor=color, label=shorten(name, 24))
            for (name, _), color in zip(groups, colors, strict=True)
        ],
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        borderaxespad=0,
        frameon=False,
        handlelength=1.0,
        handleheight=1.0,
    )
    return artist, None, legend


_DRAW = {
    "image": _draw_image,
    "spectrum": _draw_spectra,
    "number": _draw_numbers,
    "category": _draw_categories,
}
