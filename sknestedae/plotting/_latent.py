"""A display of samples in the space of the latents."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.utils import check_array

from .._ambient import isolated_but_output
from .._estimators._unwrap import check_one_table, up_to_stage
from .._extras import missing_package
from .._tables._columns import is_categorical
from .._tables._input import check_same_rows, to_pandas
from ._arrays import flat_table
from ._base import (
    MARKERS,
    MISSING_COLOR,
    OTHER_COLOR,
    PALETTE,
    as_floats,
    category_style,
    check_has,
    column_positions,
    combine_legend_styles,
    combine_styles,
    grouped_categories,
    name_of,
    names_of_principal_components,
    point_size,
    shorten,
    spread_heights,
    tidy,
    with_unit,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.collections import PathCollection
    from matplotlib.colorbar import Colorbar
    from matplotlib.legend import Legend

_NOT_MEASURED = "not measured"
# Of MARKERS, in plotly.
_PLOTLY_NAMES = (
    *("circle", "square", "triangle-up", "diamond"),
    *("triangle-down", "cross", "x", "star"),
)


class LatentDisplay:
    """Scatter plot of samples in the space of their latents.

    It is recommended to use :func:`~sknestedae.plotting.LatentDisplay.from_estimator` or
    :func:`~sknestedae.plotting.LatentDisplay.from_latents` to create a display. All parameters
    are stored as attributes.

    Parameters
    ----------
    coordinates : ndarray of shape (n_samples, 1) or (n_samples, 2)
        Coordinates of each sample. With one column, samples lie along the horizontal axis and are
        spread evenly over the vertical one, so that they do not hide each other; categories lie
        one below the other.
    xlabel, ylabel : str, default=None
        Labels of the axes.
    color : array-like of shape (n_samples,), default=None
        Variable that colours the samples: numbers, or categories, strings or booleans.
    color_label : str, default=None
        Name of that variable; the name of `color`, if None and if it is a Series.
    color_unit : str, default=None
        Its unit.

    Attributes
    ----------
    scatters_ : list of matplotlib PathCollection
        The samples without a measured colour first, if there are some; then those with one, or
        those of each category, as in the legend. Each has its label (``get_label()``).
    colorbar_ : matplotlib Colorbar or None
        Colour bar of a numeric variable.
    legend_ : matplotlib Legend or None
        Legend of a categorical variable, or of missing colours.
    ax_ : matplotlib Axes
        Axes with the scatter plot.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    LatentDisplay.from_estimator : Encode a table and draw its latents.
    LatentDisplay.from_latents : Draw latents that were computed before.
    ReconstructionDisplay : True against reconstructed values of the table.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.plotting import LatentDisplay
    >>> iris = load_iris(as_frame=True)
    >>> sae = SupervisedAutoencoder(n_components=2, max_iter=5, random_state=0).fit(iris.data)
    >>> species = iris.target_names[iris.target]
    >>> display = LatentDisplay.from_estimator(sae, iris.data, color=species)
    >>> [text.get_text() for text in display.legend_.get_texts()]
    ['setosa', 'versicolor', 'virginica']
    >>> plt.show()  # doctest: +SKIP
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
    ):
        self.coordinates = coordinates
        self.xlabel = xlabel
        self.ylabel = ylabel
        self.color = color
        self.color_label = color_label
        self.color_unit = color_unit

    def plot(self, ax=None, *, max_categories=10, scatter_kwargs=None, legend_kwargs=None):
        """Draw the samples.

        A legend of categories stands to the right of the axes. Where you pass `ax`, make its
        figure with ``layout="constrained"``, so that there is room for it, or put it elsewhere
        with `legend_kwargs`.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, a new figure is made.
        max_categories : int, default=10
            Largest number of categories with a colour of their own. Where there are more, the
            rarest are drawn together in grey.
        scatter_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.scatter`, such as `cmap`, `norm` or `s`.
        legend_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.legend`, such as `loc` or `ncols`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.LatentDisplay`
            Object that stores the values and the artists.
        """
        import matplotlib.pyplot as plt

        coordinates = _spread(np.asarray(self.coordinates))
        is_line = np.shape(self.coordinates)[1] == 1
        column, label = self._color_column(len(coordinates))
        if ax is None:
            _, ax = plt.subplots(figsize=(7.2, 3.6 if is_line else 4.8), layout="constrained")
            tidy(ax).spines["left"].set_visible(not is_line)
        self.ax_, self.figure_ = ax, ax.figure
        self.scatters_: list[PathCollection] = []
        self.colorbar_: Colorbar | None = None
        self.legend_: Legend | None = None

        def draw(rows: slice | np.ndarray, lane: int = 0, **defaults: Any) -> PathCollection:
            size = point_size(len(coordinates))
            defaults = {"s": size, "alpha": 0.8, "linewidth": 0, **defaults}
            if {"c", "color"} & (scatter_kwargs or {}).keys():  # one of the user's for all points
                for name in ("color", "facecolors", "edgecolors"):
                    defaults.pop(name, None)
            style = combine_styles(defaults, scatter_kwargs, _path_collection())
            if {
                "color",
                "facecolor",
            } & style.keys():  # matplotlib warns of a colour map without numbers
                for name in ("cmap", "norm", "vmin", "vmax"):
                    style.pop(name, None)
            x, y = coordinates[rows].T
            self.scatters_.append(ax.scatter(x, y - 1.3 * lane * is_line, **style))
            return self.scatters_[-1]

        if column is None:
            draw(slice(None), color=PALETTE[0])
        elif is_categorical(column, "'color'"):
            handles = self._draw_categories(draw, column, max_categories)
            self._draw_legend(handles, label, legend_kwargs)
        else:
            handles = self._draw_numbers(draw, as_floats(column), label)
            self._draw_legend(handles, None, legend_kwargs)
        ax.set(xlabel=self.xlabel, ylabel=self.ylabel)
        if is_line:
            ax.set_yticks([])
        return self

    def to_plotly(self, hover=None):
        """Draw the samples as a plotly figure, to zoom in and to read rows under the pointer.

        This needs plotly, which the extra ``interactive`` brings.

        Parameters
        ----------
        hover : {array-like, DataFrame} of shape (n_samples, n_columns), default=None
            Values to show where the pointer is on a sample, such as the table that was encoded.
            None: the position of the row, latents and colour alone.

        Returns
        -------
        figure : plotly.graph_objects.Figure
            A notebook shows it; ``figure.write_html("latents.html")`` stores it as a page.

        Examples
        --------
        >>> import numpy as np
        >>> from sknestedae.plotting import LatentDisplay
        >>> display = LatentDisplay(np.eye(2), xlabel="Latent 0", color=["a", "b"])
        >>> display.to_plotly().write_html("latents.html")  # doctest: +SKIP
        """
        try:
            import plotly.express as px
        except ImportError as error:
            raise missing_package("LatentDisplay.to_plotly", "plotly", "interactive") from error

        labels = {"x": self.xlabel or "x", "y": self.ylabel or "y"}
        table = _table_of_points(_spread(np.asarray(self.coordinates)), hover, labels)
        column, label = self._color_column(len(table))
        labels["color"] = label or "color"
        look: dict[str, Any] = {"color_discrete_sequence": list(PALETTE)}
        missing = np.zeros(len(table), bool) if column is None else column.isna().to_numpy()
        if column is not None and is_categorical(column, "'color'"):
            groups, _ = grouped_categories(column, max(2, len(column)))
            table["color"] = column.astype(str).to_numpy()
            look |= {"color": "color", "symbol": "color", "symbol_sequence": _plotly_symbols()}
            look["category_orders"] = {"color": [name for name, _ in groups]}
        elif column is not None:
            table["color"] = as_floats(column)
            look |= {"color": "color", "color_continuous_scale": "viridis"}

        def draw(rows: np.ndarray, **look: Any) -> Any:
            shown = {"hover_data": list(table.columns.drop(["x", "y", "color"], errors="ignore"))}
            style = {"labels": labels, "template": "simple_white", "opacity": 0.8, **shown}
            return px.scatter(table[rows], x="x", y="y", **style, **look)

        figure = draw(~missing, **look)
        if missing.any():
            grey = draw(missing, color_discrete_sequence=[f"rgb{(204,) * 3}"])
            figure.add_trace(grey.data[0].update(name=_NOT_MEASURED, showlegend=True))
            figure.update_layout(legend={"x": 0, "y": 1.1} if "symbol" not in look else {})
        figure.update_traces(marker_size=np.sqrt(point_size(len(table))) * 4 / 3)  # in pixels
        return figure.update_yaxes(visible=np.shape(self.coordinates)[1] == 2)

    def _color_column(self, n_samples: int) -> tuple[pd.Series | None, str | None]:
        """Return the colours as a column, and their name."""
        if self.color is None:
            return None, None
        column = as_column(self.color, n_samples)
        label = self.color_label
        if label is None and column.name is not None:
            label = name_of(column.name)
        return column, with_unit(label or "", self.color_unit) or None

    def _draw_categories(
        self, draw: Callable[..., PathCollection], column: pd.Series, max_categories: int
    ) -> list[PathCollection]:
        """Draw each category, and return the legend's entries; rare and missing ones last."""
        groups, others = grouped_categories(column, max_categories)
        missing = column.isna().to_numpy()
        n_lanes = len(groups) + (others is not None)
        last = []
        if missing.any():
            style = {"color": MISSING_COLOR, "label": _NOT_MEASURED, "zorder": 1}
            last.append(draw(missing, n_lanes, **style))
        if others is not None:
            style = {"color": OTHER_COLOR, "label": others[0], "zorder": 1}
            last.insert(0, draw(others[1], len(groups), **style))
        # the rarest on top, so that a frequent one does not hide it
        height = np.argsort(np.argsort([-rows.sum() for _, rows in groups], kind="stable"))
        return [
            draw(
                rows,
                k,
                **category_style(k, point_size(len(column))),
                label=shorten(name, 40),
                zorder=2 + height[k] / len(groups),
            )
            for k, (name, rows) in enumerate(groups)
        ] + last

    def _draw_numbers(
        self, draw: Callable[..., PathCollection], values: np.ndarray, label: str | None
    ) -> list[PathCollection]:
        """Draw numbers with a colour bar, and return the legend's entries: the missing ones."""
        if np.isinf(values).any():
            raise ValueError(
                "The 'color' parameter must hold finite numbers, or NaN where not measured; it "
                f"is {values[np.isinf(values)][0]} in row {np.flatnonzero(np.isinf(values))[0]}."
            )
        missing = np.isnan(values)
        handles = []
        if missing.any():
            handles.append(draw(missing, color=MISSING_COLOR, label=_NOT_MEASURED, zorder=1))
        if not missing.all():
            draw(~missing, c=values[~missing], cmap="viridis")
            self.colorbar_ = self.figure_.colorbar(self.scatters_[-1], ax=self.ax_, label=label)
            assert self.colorbar_.solids is not None
            self.colorbar_.solids.set_alpha(1)  # points are half transparent, their scale is not
        return handles

    def _draw_legend(
        self,
        handles: list[PathCollection],
        title: str | None,
        legend_kwargs: dict[str, Any] | None,
    ) -> None:
        if not handles:
            return
        if self.colorbar_ is None:
            place = {"loc": "upper left", "bbox_to_anchor": (1.02, 1), "borderaxespad": 0}
        else:  # the colour bar is at the right
            place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2}
        style = {"title": title, "alignment": "left", "frameon": False, **place}
        self.legend_ = self.ax_.legend(
            handles=handles, **combine_legend_styles(style, legend_kwargs)
        )
        for handle in filter(None, self.legend_.legend_handles):
            handle.set(alpha=1, sizes=[36])

    @classmethod
    @isolated_but_output
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        stage=None,
        components=None,
        color=None,
        color_label=None,
        color_unit=None,
        max_categories=10,
        ax=None,
        scatter_kwargs=None,
        legend_kwargs=None,
    ):
        """Encode a table and draw its latents.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``transform``, or a fitted :class:`~sklearn.pipeline.Pipeline`
            of which the last step is one.
        X : {array-like, DataFrame} of shape (n_samples, n_features) or (n_samples, ...)
            The columns that were fitted.
        stage : str or int, default=None
            Name or position of a stage, where the estimator is a
            :class:`~sknestedae.NestedAutoencoder` or ends in one: its latents are drawn. None:
            the latents of the whole estimator.
        components : int, tuple of one or two int, "pca" or None, default=None
            The latents to draw, counted from 0; negative ones count from the last. "pca" draws the
            first two principal components of all latents of X. None draws the first two latents,
            or the only one.
        color : array-like of shape (n_samples,) or name of a column, default=None
            Variable that colours the samples, by row, or the name (of an array: the index) of a
            column of X. Categories, strings and booleans have a legend, numbers have a colour bar;
            turn numbers that are labels into strings or categories. Samples where it is missing
            are drawn in grey and labelled "not measured".
        color_label : str, default=None
            Name of that variable. If None, the name of the column or of the Series.
        color_unit : str, default=None
            Unit of that variable.
        max_categories : int, default=10
            Largest number of categories with a colour of their own. Where there are more, the
            rarest are drawn together in grey.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, a new figure is made.
        scatter_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.scatter`, such as `cmap`, `norm` or `s`.
        legend_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.legend`, such as `loc` or `ncols`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.LatentDisplay`
            Object that stores the values and the artists.

        See Also
        --------
        LatentDisplay.from_latents : Draw latents that were computed before.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sknestedae import SupervisedAutoencoder
        >>> from sknestedae.plotting import LatentDisplay
        >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
        >>> sae = SupervisedAutoencoder(n_components=4, max_iter=5, random_state=0).fit(X, y)
        >>> display = LatentDisplay.from_estimator(
        ...     sae, X, components=(0, 2), color="age", color_unit="scaled years"
        ... )
        >>> display.ax_.get_xlabel(), display.ax_.get_ylabel()
        ('Latent 0', 'Latent 2')
        >>> display.colorbar_.ax.get_ylabel()
        'age (scaled years)'
        """
        caller = f"{cls.__name__}.from_estimator"
        check_has(estimator, ["transform"], caller)
        check_one_table(X, caller, "Pass the latents of one scale to from_latents.")
        X, color = to_pandas(X), to_pandas(color, "color")
        check_same_rows(X, color=color)
        if stage is not None:
            estimator = up_to_stage(estimator, stage)
        Z = estimator.transform(X)
        return cls.from_latents(
            Z,
            components=components,
            color=_find_color(X, color),
            color_label=color_label,
            color_unit=color_unit,
            max_categories=max_categories,
            ax=ax,
            scatter_kwargs=scatter_kwargs,
            legend_kwargs=legend_kwargs,
        )

    @classmethod
    def from_latents(
        cls,
        Z,
        *,
        components=None,
        color=None,
        color_label=None,
        color_unit=None,
        max_categories=10,
        ax=None,
        scatter_kwargs=None,
        legend_kwargs=None,
    ):
        """Draw latents that were computed before.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Latents.
        components : int, tuple of one or two int, "pca" or None, default=None
            The latents to draw, counted from 0; negative ones count from the last. "pca" draws the
            first two principal components of all latents. None draws the first two latents, or
            the only one.
        color : array-like of shape (n_samples,), default=None
            Variable that colours the samples, by row. Categories, strings and booleans have a
            legend, numbers have a colour bar; turn numbers that are labels into strings or
            categories. Samples where it is missing are drawn in grey and labelled "not measured".
        color_label : str, default=None
            Name of that variable. If None, the name of the Series.
        color_unit : str, default=None
            Unit of that variable.
        max_categories : int, default=10
            Largest number of categories with a colour of their own. Where there are more, the
            rarest are drawn together in grey.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, a new figure is made.
        scatter_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.scatter`, such as `cmap`, `norm` or `s`.
        legend_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.legend`, such as `loc` or `ncols`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.LatentDisplay`
            Object that stores the values and the artists.

        See Also
        --------
        LatentDisplay.from_estimator : Encode a table and draw its latents.

        Examples
        --------
        >>> import numpy as np
        >>> from sknestedae.plotting import LatentDisplay
        >>> Z = np.random.RandomState(0).normal(size=(50, 3)) * [3.0, 1.0, 0.1]
        >>> display = LatentDisplay.from_latents(Z, components="pca")
        >>> display.ax_.get_xlabel()
        'Principal component 1 (90.9 % of variance)'
        """
        Z = check_array(Z, order="C", input_name="Z")  # equal in any layout, to the last bit
        coordinates, labels = choose_components(Z, components)
        if color is not None:
            color = as_column(color, len(Z))
        display = cls(
            coordinates,
            xlabel=labels[0],
            ylabel=labels[1] if len(labels) > 1 else None,
            color=color,
            color_label=color_label,
            color_unit=color_unit,
        )
        return display.plot(
            ax,
            max_categories=max_categories,
            scatter_kwargs=scatter_kwargs,
            legend_kwargs=legend_kwargs,
        )


def _path_collection() -> type[Artist]:
    from matplotlib.collections import PathCollection

    return PathCollection


def _table_of_points(coordinates: np.ndarray, hover: Any, labels: dict[str, Any]) -> pd.DataFrame:
    """Make the table of an interactive figure, and add the labels of a user's columns.

    A user's columns may have any names, also equal ones: here they have names of our own, and
    labels that differ, without which plotly shows but one of them.
    """
    table = pd.DataFrame({"row": range(len(coordinates))})
    table["x"], table["y"] = coordinates.T
    if hover is None:
        return table
    shown = pd.DataFrame(flat_table(to_pandas(hover, "hover"))[0])
    if len(shown) != len(table):
        raise ValueError(
            f"The 'hover' parameter must have a row for each of the {len(table)} samples, got "
            f"{len(shown)} rows."
        )
    own = {f"column {j}": shown.iloc[:, j].to_numpy() for j in range(shown.shape[1])}
    for j, (key, name) in enumerate(zip(own, map(name_of, shown.columns), strict=True)):
        is_new = name not in {"row", *labels.values()}
        labels[key] = name if is_new else f"{name} (column {j})"
    return table.assign(**own)


def _plotly_symbols() -> list[str]:
    """Return the markers of categories by plotly's names, as `category_style` has them."""
    names = dict(zip(MARKERS, _PLOTLY_NAMES, strict=True))
    styles = [category_style(k, 1.0) for k in range(len(PALETTE) * len(MARKERS))]
    return [names[style["marker"]] + "-open" * ("facecolors" in style) for style in styles]


def _spread(coordinates: np.ndarray) -> np.ndarray:
    """Add heights to points along a line."""
    if coordinates.shape[1] == 2:
        return coordinates
    return np.column_stack([coordinates, spread_heights(len(coordinates))])


def choose_components(Z: np.ndarray, components: Any) -> tuple[np.ndarray, list[str]]:
    """Return the coordinates to draw, of shape (n_samples, 1) or (n_samples, 2), and their names.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_latents)
    components : int, tuple of one or two int, "pca" or None
    """
    n_components = Z.shape[1]
    if isinstance(components, str) and components == "pca":
        pca = PCA(n_components=min(2, *Z.shape), svd_solver="full")
        pca.set_output(transform="default")
        with np.errstate(invalid="ignore"):  # latents that are all equal explain nothing
            coordinates = pca.fit_transform(Z)
        return coordinates, names_of_principal_components(pca.explained_variance_ratio_)
    if components is None:
        components = tuple(range(min(2, n_components)))
    chosen = np.atleast_1d(np.asarray(components))
    if chosen.dtype.kind not in "iu" or chosen.ndim != 1 or len(chosen) not in (1, 2):
        raise ValueError(
            "The 'components' parameter must be an int, a tuple of one or two int, or 'pca', got "
            f"{components!r}."
        )
    for k in chosen:
        if not -n_components <= k < n_components:
            raise ValueError(
                f"The 'components' parameter names the latent {k}, but there are {n_components} "
                "latents, counted from 0."
            )
    chosen = chosen % n_components
    return Z[:, chosen], [f"Latent {k}" for k in chosen]


def _find_color(X: pd.DataFrame | np.ndarray, color: Any) -> Any:
    """Return the column of X that a colour names, or the colours themselves."""
    X = flat_table(X)[0]
    frame = X if isinstance(X, pd.DataFrame) else None
    named = isinstance(color, str | Integral) or (
        isinstance(color, tuple) and frame is not None and color in list(frame.columns)
    )
    if not named:
        return color
    found = column_positions(X, color, "color")
    if len(found) != 1:
        raise ValueError(
            f"The 'color' parameter must name one column of X, but {color!r} is the name of "
            f"{len(found)}."
        )
    column = pd.DataFrame(X).iloc[:, found[0]]
    return column if frame is not None else column.rename(f"Column {column.name}")


def as_column(color: Any, n_samples: int, parameter: str = "color") -> pd.Series:
    """Return colours as a column with a row for each sample.

    Parameters
    ----------
    color : array-like of shape (n_samples,)
    n_samples : int
    parameter : str
        Its name, for the message of an error.
    """
    if isinstance(color, str) or not np.iterable(color):
        hint = ", or in from_estimator the name of a column of X" if parameter == "color" else ""
        raise ValueError(
            f"The '{parameter}' parameter must be an array with one value for each sample{hint}, "
            f"got {color!r}."
        )
    if isinstance(color, pd.DataFrame):
        color = color.squeeze(axis=1)
    elif not isinstance(color, pd.Series):
        color = color if isinstance(color, pd.Categorical) else np.squeeze(np.asarray(color))
    shape = np.shape(color)
    if shape != (n_samples,):
        raise ValueError(
            f"The '{parameter}' parameter must have a value for each of the {n_samples} samples, "
            f"got an array of shape {shape}."
        )
    return pd.Series(color)
