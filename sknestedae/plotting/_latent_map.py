"""A display of latents, or of one number for each row, as maps on the sample."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils import check_array

from .._ambient import isolated_but_output
from .._estimators._unwrap import check_one_table, up_to_stage
from .._tables._input import check_same_rows, to_pandas
from ..blocks._drawing import color_limits
from ._base import (
    MISSING_COLOR,
    as_floats,
    check_has,
    colorbar_beside,
    has_prior,
    make_axes,
    picture_size,
    shorten,
)
from ._kinds import Kinds

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

# More maps than this are drawn only if they are asked for.
_MAX_MAPS = 24
# Beside and above a map, for labels, title and colour bar, in inches.
_ROOM = (1.35, 0.85)
_DIVERGING = "RdBu_r"
_SEQUENTIAL = "viridis"


class LatentMapDisplay:
    """Maps of latents on the sample, with a panel for each latent.

    A row of the table is a pixel: the latents of its spectrum or of the patch around it are drawn
    where it was measured. Pixels that are not in the table are blank. Any number for each row can
    be drawn in the same way, such as the error of each pixel.

    It is recommended to use :func:`~sknestedae.plotting.LatentMapDisplay.from_estimator`,
    :func:`~sknestedae.plotting.LatentMapDisplay.from_latents` or
    :func:`~sknestedae.plotting.LatentMapDisplay.from_values` to create a display. All parameters
    are stored as attributes.

    Parameters
    ----------
    values : array-like of shape (n_samples, n_maps)
        One number for each row and map; NaN is blank.
    positions : array-like of shape (n_samples, 2)
        Row and column of each pixel, whole numbers.
    names : list of str
        Title of each map.
    shape : tuple of two int, default=None
        Height and width of the map, which begins at row 0 and column 0. None: just as large as the
        positions need.
    center : float, default=None
        Middle of a diverging colour map, such as 0 for a difference. None: the colour map is
        sequential.
    label : str, default=""
        Text at the colour bars, such as a quantity with its unit.

    Attributes
    ----------
    maps_ : ndarray of shape (n_maps, height, width)
        NaN where blank.
    origin_ : (int, int)
        Row and column of the first pixel of the maps.
    images_ : list of matplotlib AxesImage
        The maps.
    colorbars_ : list of matplotlib Colorbar
        Their colour bars.
    axes_ : ndarray of shape (n_maps,) of matplotlib Axes
        Axes of the maps.
    figure_ : matplotlib Figure
        Figure with the maps.

    See Also
    --------
    LatentMapDisplay.from_estimator : Encode a table, and draw its latents.
    LatentMapDisplay.from_latents : Draw latents that were computed before.
    LatentMapDisplay.from_values : Draw one number for each row, such as an error.
    LatentDisplay : Rows in the plane of two latents.
    PairsDisplay : True and predicted arrays of some rows.

    Notes
    -----
    The colour map is sequential because 0 has no meaning in most latent spaces: they are points
    wherever the training left them. In those of an estimator with ``beta`` the prior lies around
    0, and ``from_estimator`` draws a diverging map around it.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sknestedae.plotting import LatentMapDisplay
    >>> positions = np.argwhere(np.ones((6, 8), dtype=bool))
    >>> Z = np.column_stack([np.sin(positions[:, 0]), positions.sum(axis=1)])
    >>> display = LatentMapDisplay.from_latents(Z, positions)
    >>> display.maps_.shape
    (2, 6, 8)
    >>> plt.show()  # doctest: +SKIP
    >>> plt.close("all")
    """

    def __init__(self, values, positions, names, *, shape=None, center=None, label=""):
        self.values = values
        self.positions = positions
        self.names = names
        self.shape = shape
        self.center = center
        self.label = label

    def plot(self, ax=None, *, n_cols=4, image_kwargs=None):
        """Draw the maps.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each map. If None, a new figure is made.
        n_cols : int, default=4
            Largest number of maps side by side in a new figure.
        image_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.imshow`, such as `cmap`, `norm`, `vmin` and
            `vmax`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.LatentMapDisplay`
            Object that stores the values and the artists.
        """
        values = np.asarray(self.values, dtype=float)
        self.maps_, self.origin_ = make_maps(values, self.positions, self.shape)
        height, width = self.maps_.shape[1:]
        width_in, height_in = picture_size(height, width, 2.3)
        single = picture_size(height, width, 3.4)
        self.axes_ = make_axes(
            ax,
            len(self.maps_),
            n_cols,
            panel_size=(width_in + _ROOM[0], height_in + _ROOM[1]),
            single_size=(single[0] + _ROOM[0], single[1] + _ROOM[1]),
        )
        self.figure_ = self.axes_[0].figure
        row, column = self.origin_
        extent = (column - 0.5, column + width - 0.5, row + height - 0.5, row - 0.5)
        self.images_: list[AxesImage] = []
        for axes, image, name in zip(self.axes_, self.maps_, self.names, strict=True):
            style = self._style(image) | (image_kwargs or {})
            if "norm" in style:
                style = {key: v for key, v in style.items() if key not in ("vmin", "vmax")}
            place = {"extent": extent, "interpolation": "nearest", "origin": "upper"}
            masked = np.ma.masked_invalid(image)
            self.images_.append(axes.imshow(masked, **{**place, **style}))
            axes.set_title(shorten(str(name), 40), fontsize="medium")
            axes.locator_params(nbins=5, integer=True)
            if self.center is not None:  # white is the middle of the colours
                axes.set_facecolor(MISSING_COLOR)
        n_last = len(self.axes_) if ax is not None else min(n_cols, len(self.axes_))
        for k, axes in enumerate(self.axes_):
            axes.set_xlabel("Column" if k >= len(self.axes_) - n_last else "")
            axes.set_ylabel("Row" if ax is not None or k % n_cols == 0 else "")
        self.colorbars_ = [
            colorbar_beside(image, axes, self.label, width=0.12 / width_in)
            for image, axes in zip(self.images_, self.axes_, strict=True)
        ]
        return self

    def _style(self, image: np.ndarray) -> dict[str, Any]:
        """Return the colour map and its ends."""
        low, high = color_limits(image)
        if self.center is None:
            return {"cmap": _SEQUENTIAL, "vmin": low, "vmax": high}
        half = max(high - self.center, self.center - low) or 1.0
        return {"cmap": _DIVERGING, "vmin": self.center - half, "vmax": self.center + half}

    @classmethod
    @isolated_but_output
    def from_estimator(
        cls,
        estimator,
        X,
        positions,
        *,
        stage=None,
        block=None,
        components=None,
        shape=None,
        center="auto",
        n_cols=4,
        ax=None,
        image_kwargs=None,
    ):
        """Encode a table and draw its latents as maps.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``transform``, or a fitted pipeline that ends in one.
        X : {array-like, DataFrame} of shape (n_samples, n_features) or (n_samples, ...)
            The table that was fitted; one row for each pixel.
        positions : array-like of shape (n_samples, 2)
            Row and column of each pixel, whole numbers.
        stage : str or int, default=None
            Name or position of a stage, where the estimator is a
            :class:`~sknestedae.NestedAutoencoder` or ends in one: its latents are drawn. None:
            the latents of the whole estimator.
        block : str, default=None
            Name of a kind of data of a :class:`~sknestedae.DualAutoencoder`: its latents alone are
            drawn; pixels that lack it are blank. None: the latents of all kinds that a pixel has.
        components : int, list of int or None, default=None
            The latents to draw, counted from 0; negative ones count from the last. None draws all,
            if they are 24 at most.
        shape : tuple of two int, default=None
            Height and width of the map, which begins at row 0 and column 0. None: just as large as
            the positions need.
        center : float, None or "auto", default="auto"
            Middle of a diverging colour map; None for a sequential one. "auto": 0 for an estimator
            with ``beta``, whose prior lies around it, else None.
        n_cols : int, default=4
            Largest number of maps side by side in a new figure.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each map. If None, a new figure is made.
        image_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.LatentMapDisplay`
            Object that stores the values and the artists.

        Examples
        --------
        >>> import numpy as np
        >>> from sknestedae import SupervisedAutoencoder
        >>> from sknestedae.plotting import LatentMapDisplay
        >>> positions = np.argwhere(np.ones((5, 5), dtype=bool))
        >>> X = np.sin(positions[:, :1] + np.linspace(0, 3, 12)) + positions[:, 1:]
        >>> sae = SupervisedAutoencoder(2, max_iter=5, random_state=0).fit(X)
        >>> display = LatentMapDisplay.from_estimator(sae, X, positions, components=1)
        >>> display.axes_[0].get_title()
        'Latent 1'
        """
        caller = f"{cls.__name__}.from_estimator"
        check_has(estimator, ["transform"], caller)
        check_one_table(X, caller, "Pass the latents of one scale to from_latents.")
        X, positions = to_pandas(X), to_pandas(positions, "positions")
        check_same_rows(X, positions=positions)
        if stage is not None:
            estimator = up_to_stage(estimator, stage)
        if isinstance(center, str) and center == "auto":
            center = 0.0 if has_prior(estimator) else None
        if block is None:
            Z = check_array(estimator.transform(X), input_name="Z")
        else:
            table = Kinds.read(estimator, X, caller)
            table.check(block, "block")
            Z = table.latents(block)
        display = cls(*_maps_of(Z, positions, components), shape=shape, center=center)
        return display.plot(ax, n_cols=n_cols, image_kwargs=image_kwargs)

    @classmethod
    def from_latents(
        cls,
        Z,
        positions,
        *,
        components=None,
        shape=None,
        center=None,
        n_cols=4,
        ax=None,
        image_kwargs=None,
    ):
        """Draw latents that were computed before as maps.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Latents.
        positions : array-like of shape (n_samples, 2)
            Row and column of each pixel, whole numbers.
        components : int, list of int or None, default=None
            The latents to draw, counted from 0; negative ones count from the last. None draws all,
            if they are 24 at most.
        shape : tuple of two int, default=None
            Height and width of the map, which begins at row 0 and column 0. None: just as large as
            the positions need.
        center : float, default=None
            Middle of a diverging colour map; None for a sequential one.
        n_cols : int, default=4
            Largest number of maps side by side in a new figure.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each map. If None, a new figure is made.
        image_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.LatentMapDisplay`
            Object that stores the values and the artists.

        Examples
        --------
        >>> import numpy as np
        >>> from sknestedae.plotting import LatentMapDisplay
        >>> Z = np.arange(8.0).reshape(4, 2)
        >>> display = LatentMapDisplay.from_latents(Z, [[0, 0], [0, 1], [1, 0], [2, 2]])
        >>> display.maps_[0]
        array([[ 0.,  2., nan],
               [ 4., nan, nan],
               [nan, nan,  6.]])
        """
        Z = check_array(Z, input_name="Z")
        positions = to_pandas(positions, "positions")
        display = cls(*_maps_of(Z, positions, components), shape=shape, center=center)
        return display.plot(ax, n_cols=n_cols, image_kwargs=image_kwargs)

    @classmethod
    def from_values(
        cls,
        values,
        positions,
        *,
        names=None,
        shape=None,
        center=None,
        label="",
        n_cols=4,
        ax=None,
        image_kwargs=None,
    ):
        """Draw one number for each row as a map, such as the error of each pixel.

        Parameters
        ----------
        values : array-like of shape (n_samples,) or (n_samples, n_maps)
            One number for each row and map; NaN is blank.
        positions : array-like of shape (n_samples, 2)
            Row and column of each pixel, whole numbers.
        names : str or list of str, default=None
            Title of each map. None: the name of a Series or of the columns of a DataFrame.
        shape : tuple of two int, default=None
            Height and width of the map, which begins at row 0 and column 0. None: just as large as
            the positions need.
        center : float, default=None
            Middle of a diverging colour map, such as 0 for a difference. None: the colour map is
            sequential, as for an error, which has no middle.
        label : str, default=""
            Text at the colour bars, such as a quantity with its unit.
        n_cols : int, default=4
            Largest number of maps side by side in a new figure.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each map. If None, a new figure is made.
        image_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.LatentMapDisplay`
            Object that stores the values and the artists.

        Examples
        --------
        >>> import numpy as np
        >>> from sknestedae.plotting import LatentMapDisplay
        >>> positions = np.argwhere(np.ones((4, 4), dtype=bool))
        >>> rmse = positions.sum(axis=1) / 100
        >>> display = LatentMapDisplay.from_values(rmse, positions, names="Error", label="RMSE")
        >>> display.colorbars_[0].ax.get_ylabel()
        'RMSE'
        """
        values, positions = to_pandas(values, "values"), to_pandas(positions, "positions")
        check_same_rows(values, positions=positions)
        values, found = _read_values(values)
        if names is None:
            names = found
        names = [names] if isinstance(names, str) else [str(name) for name in names]
        if len(names) != values.shape[1]:
            raise ValueError(
                f"The 'names' parameter must name each of the {values.shape[1]} maps, got "
                f"{names!r}."
            )
        display = cls(values, positions, names, shape=shape, center=center, label=label)
        return display.plot(ax, n_cols=n_cols, image_kwargs=image_kwargs)


def make_maps(values: np.ndarray, positions: Any, shape: Any = None) -> tuple[np.ndarray, Any]:
    """Put the numbers of rows at their positions in maps.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_maps)
    positions : array-like of shape (n_samples, 2)
        Row and column, whole numbers.
    shape : tuple of two int, optional
        Height and width. None: just as large as the positions need.

    Returns
    -------
    maps : ndarray of shape (n_maps, height, width)
        NaN where there is no row.
    origin : (int, int)
        Row and column of the first pixel: of the smallest position, or 0 with a shape.

    Raises
    ------
    ValueError
        If a position is not a pixel, lies outside of the shape, or stands twice.
    """
    given = np.asarray(positions)
    if given.shape != (len(values), 2):
        raise ValueError(
            f"The 'positions' parameter must have a row and a column for each of the "
            f"{len(values)} rows, got an array of shape {given.shape}."
        )
    places = given.astype(float)
    is_whole = np.isfinite(places) & (places == np.round(places))
    if not is_whole.all():
        k = int(np.flatnonzero(~is_whole.all(axis=1))[0])
        raise ValueError(
            "The 'positions' parameter must hold whole numbers, the row and the column of each "
            f"pixel; it is {given[k].tolist()} in row {k}."
        )
    places = places.astype(int)
    if shape is None:
        origin = places.min(axis=0)
        height, width = (int(n) for n in places.max(axis=0) - origin + 1)
    else:
        origin = np.zeros(2, dtype=int)
        height, width = _check_shape(shape)
        outside = (places < 0).any(axis=1) | (places >= (height, width)).any(axis=1)
        if outside.any():
            k = int(np.flatnonzero(outside)[0])
            raise ValueError(
                f"The 'positions' parameter must lie within the shape {(height, width)}; it is "
                f"{places[k].tolist()} in row {k}."
            )
    flat = np.ravel_multi_index(tuple((places - origin).T), (height, width))
    found, first = np.unique(flat, return_index=True)
    if len(found) < len(flat):
        k = int(np.setdiff1d(np.arange(len(flat)), first)[0])
        raise ValueError(
            "The 'positions' parameter must give each pixel once; "
            f"{places[k].tolist()} stands again in row {k}."
        )
    maps = np.full((values.shape[1], height * width), np.nan)
    maps[:, flat] = values.T
    return maps.reshape(-1, height, width), (int(origin[0]), int(origin[1]))


def _check_shape(shape: Any) -> tuple[int, int]:
    """Return a height and a width."""
    is_pair = isinstance(shape, tuple | list | np.ndarray) and len(shape) == 2
    if not is_pair or not all(isinstance(n, Integral) and int(n) > 0 for n in shape):
        raise ValueError(
            f"The 'shape' parameter must be a height and a width, two positive int, got {shape!r}."
        )
    return int(shape[0]), int(shape[1])


def _choose(n_components: int, components: Any) -> list[int]:
    """Return the positions of the latents to draw."""
    if components is None:
        if n_components > _MAX_MAPS:
            raise ValueError(
                f"The 'components' parameter must name latents to draw if there are more than "
                f"{_MAX_MAPS}; there are {n_components}."
            )
        return list(range(n_components))
    chosen = np.atleast_1d(np.asarray(components))
    is_int = chosen.dtype.kind in "iu" and chosen.ndim == 1 and len(chosen)
    if not is_int or (chosen < -n_components).any() or (chosen >= n_components).any():
        raise ValueError(
            f"The 'components' parameter must be int from {-n_components} to {n_components - 1}, "
            f"as there are {n_components} latents; got {components!r}."
        )
    return [int(k) % n_components for k in chosen]


def _maps_of(Z: np.ndarray, positions: Any, components: Any) -> tuple[np.ndarray, Any, list[str]]:
    """Return the latents to draw, their positions and their names."""
    chosen = _choose(Z.shape[1], components)
    return Z[:, chosen], positions, [f"Latent {k}" for k in chosen]


def _read_values(values: Any) -> tuple[np.ndarray, list[str]]:
    """Return numbers of shape (n_samples, n_maps), and the names they come with."""
    if isinstance(values, pd.Series):
        values = values.to_frame("" if values.name is None else values.name)
    if isinstance(values, pd.DataFrame):
        columns = [as_floats(values.iloc[:, j]) for j in range(values.shape[1])]
        return np.column_stack(columns), [str(label) for label in values.columns]
    found = np.asarray(values, dtype=float)
    if found.ndim not in (1, 2):
        raise ValueError(
            "The 'values' parameter must be of shape (n_samples,) or (n_samples, n_maps), got "
            f"{found.shape}."
        )
    found = found.reshape(len(found), -1)
    return found, [""] * found.shape[1]
