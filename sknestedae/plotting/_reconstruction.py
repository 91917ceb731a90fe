"""A display of true against reconstructed values, column by column, or array by array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error

from .._ambient import isolated_but_output
from .._estimators._unwrap import check_one_table, innermost, up_to_stage
from .._tables._input import to_pandas
from .._tables._target import r2
from ..blocks._drawing import draw_structures
from ._arrays import (
    ArrayColumns,
    axis_of,
    examples_by_quartile,
    fitted_arrays,
    flat_table,
    named_arrays,
    panels_of,
    place_arrays,
    pooled_r2,
    read_array,
    read_decoded,
    row_errors,
)
from ._base import (
    MISSING_COLOR,
    PALETTE,
    as_floats,
    categorical_positions,
    check_has,
    check_units,
    colorbar_beside,
    combine_styles,
    decode_as,
    grouped_categories,
    make_axes,
    match_labels,
    name_of,
    point_size,
    shorten,
    three_digits,
)
from ._structures import compare_structures, has_structures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# More panels than this are drawn only if they are asked for.
_MAX_PANELS = 24


class ReconstructionDisplay:
    """True against reconstructed values, with a panel for each column or array.

    A numeric column is a scatter plot with the identity line, and the mean absolute error (in the
    column's own unit) and R² in its title. A categorical column has a bar for each category, with
    the fraction of its samples that are reconstructed correctly. Columns that are one array, such
    as a spectrum or an image, have one panel with four rows: Q1 to Q4 are the middle ones of the
    four quartiles of the error, from the smallest to the largest. A block that decodes an array in
    a pose of its own has it turned as the true one first. A column of structures has such a panel
    with four rows, too: bars of the composition beside the mean radial density. Entries that were
    not measured are left out.

    It is recommended to use :func:`~sknestedae.plotting.ReconstructionDisplay.from_estimator` or
    :func:`~sknestedae.plotting.ReconstructionDisplay.from_reconstruction` to create a display.
    All parameters are stored as attributes.

    Parameters
    ----------
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        True values; NaN where not measured.
    X_reconstructed : {array-like, DataFrame} of shape (n_samples, n_features)
        Reconstructed values of the same samples. The columns of two DataFrames are matched by
        name, else by position. A name of one level is also that of the one feature of the name
        in columns of two levels, (scale, feature).
    categorical_features : "from_dtype" or array-like, default="from_dtype"
        Which columns are categorical: by dtype, or those of these names or indices (and those
        that do not hold numbers).
    units : dict, default=None
        Unit of each column or array, by name; those without a unit can be left out.
    arrays : dict, default=None
        Columns that are one array: from its name to ``(columns, shape)``, such as
        ``{"image": (slice(0, 256), (16, 16))}``, or to the columns alone for one axis. None: the
        whole table where it has more than two dimensions, and columns whose cells are arrays.

    Attributes
    ----------
    metrics_ : DataFrame of shape (n_panels, 4)
        For each column or array: the number of measured samples ``n_samples``, mean absolute error
        ``mae`` and ``r2`` of numbers, and ``accuracy`` (the fraction that is correct) of
        categories. Of an array, the errors and squares of all elements are taken together. Of
        structures, `r2` is the mean of those of the composition, the radial density and the size,
        and `accuracy` the fraction whose nearest known structure has their composition.
    artists_ : list of matplotlib PathCollection, BarContainer or list of matplotlib Artist
        The points or the bars of each panel; the artists of an array.
    lines_ : list of matplotlib Line2D or None
        The identity line of each panel; None in that of a categorical column or an array.
    rows_ : list of list of int
        Rows that are drawn of the array of each panel; empty for a column, which shows all.
    axes_ : ndarray of shape (n_panels,) of matplotlib Axes
        Axes of the panels.
    figure_ : matplotlib Figure
        Figure with the panels.

    See Also
    --------
    ReconstructionDisplay.from_estimator : Encode and decode a table, and draw it.
    ReconstructionDisplay.from_reconstruction : Draw tables that were computed before.
    sklearn.metrics.PredictionErrorDisplay : The same for the prediction of a target.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.plotting import ReconstructionDisplay
    >>> iris = load_iris(as_frame=True)
    >>> sae = SupervisedAutoencoder(n_components=2, max_iter=5, random_state=0).fit(iris.data)
    >>> display = ReconstructionDisplay.from_estimator(
    ...     sae, iris.data, columns=["petal length (cm)", "petal width (cm)"]
    ... )
    >>> display.metrics_.columns.to_list()
    ['n_samples', 'mae', 'r2', 'accuracy']
    >>> plt.show()  # doctest: +SKIP
    """

    def __init__(
        self,
        X,
        X_reconstructed,
        *,
        categorical_features="from_dtype",
        units=None,
        arrays=None,
    ):
        self.X = X
        self.X_reconstructed = X_reconstructed
        self.categorical_features = categorical_features
        self.units = units
        self.arrays = arrays

    def plot(
        self,
        ax=None,
        *,
        columns=None,
        n_cols=4,
        max_categories=10,
        scatter_kwargs=None,
        line_kwargs=None,
        bar_kwargs=None,
    ):
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel. If None, a new figure is made.
        columns : str, int or list of them, default=None
            The columns to draw, by name or index, and arrays by name. None draws all, if the
            panels are 24 at most.
        n_cols : int, default=4
            Largest number of panels side by side in a new figure.
        max_categories : int, default=10
            Largest number of bars in a panel. Where there are more categories, the rarest are
            taken together.
        scatter_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.scatter`.
        line_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`, for the identity lines.
        bar_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.barh`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.ReconstructionDisplay`
            Object that stores the values and the artists.
        """
        units = check_units(self.units)
        X, true, reconstructed, positions = _match_tables(self.X, self.X_reconstructed)
        arrays = named_arrays(true, self.arrays, flat_table(self.X)[1])
        chosen = panels_of(true, columns, positions, arrays, "reconstructed")
        if columns is None and len(chosen) > _MAX_PANELS:
            raise ValueError(
                f"The 'columns' parameter must name columns to draw if X has more than "
                f"{_MAX_PANELS}; X has {len(chosen)}."
            )
        structures = {
            j
            for j, k in positions.items()
            if has_structures(true.iloc[:, j]) or has_structures(reconstructed.iloc[:, k])
        }
        own = {j for array in arrays for j in array.columns} | structures
        alone = {j: k for j, k in positions.items() if j not in own}
        categorical = categorical_positions(
            self.categorical_features, X, true, reconstructed, alone
        )
        n_axes = [len(what.shape) for what in chosen if isinstance(what, ArrayColumns)]
        n_axes += [2 for what in chosen if isinstance(what, int) and what in structures]
        # equal squares alone are set closely; two rows of pictures are wider than high
        layout = "constrained" if n_axes else "compressed"
        single = (5.6, 3.2) if max(n_axes, default=0) > 1 else (4.8, 4.8)
        if structures.intersection(what for what in chosen if isinstance(what, int)):
            single = (6.4, 5.6)
        self.axes_ = make_axes(
            ax,
            len(chosen),
            n_cols,
            panel_size=(2.7, 2.9),
            single_size=single,
            layout=layout,
            is_tidy=True,
        )
        self.figure_ = self.axes_[0].figure
        panels = []
        for axes, what in zip(self.axes_, chosen, strict=True):
            if isinstance(what, ArrayColumns):
                name = what.name
                after = reconstructed.iloc[:, [positions[j] for j in what.columns]]
                panel = _draw_array(axes, what, true, after, units.get(name, ""))
            else:
                before, after = true.iloc[:, what], reconstructed.iloc[:, positions[what]]
                name = name_of(before.name) if isinstance(X, pd.DataFrame) else f"Column {what}"
                known = before.notna().to_numpy()
                before, after = before[known], after[known]
                if not known.any():
                    panel = _blank(axes)
                elif what in structures:
                    panel = _draw_structures(axes, before, after, np.flatnonzero(known))
                elif what in categorical:
                    panel = _draw_categories(axes, before, after, max_categories, bar_kwargs)
                else:
                    unit = units.get(before.name, "")
                    panel = _draw_numbers(axes, before, after, unit, scatter_kwargs, line_kwargs)
            axes.set_title(f"{shorten(name, 32)}\n{panel.text}", fontsize="medium")
            panels.append(panel)
        self.artists_ = [panel.artist for panel in panels]
        self.lines_ = [panel.line for panel in panels]
        self.rows_ = [panel.rows for panel in panels]
        self.metrics_ = pd.DataFrame(
            [panel.metrics for panel in panels],
            index=_labels_of(true, chosen),
            columns=["n_samples", "mae", "r2", "accuracy"],
        )
        self.metrics_["n_samples"] = self.metrics_["n_samples"].astype(int)
        return self

    @classmethod
    @isolated_but_output
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        stage=None,
        columns=None,
        categorical_features=None,
        units=None,
        arrays=None,
        n_cols=4,
        max_categories=10,
        ax=None,
        scatter_kwargs=None,
        line_kwargs=None,
        bar_kwargs=None,
    ):
        """Encode and decode a table, and draw it against the reconstruction.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``transform`` and ``inverse_transform``, or a fitted
            :class:`~sklearn.pipeline.Pipeline` of such steps.
        X : {array-like, DataFrame} of shape (n_samples, n_features) or (n_samples, ...)
            The columns that were fitted; NaN where not measured.
        stage : str or int, default=None
            Name or position of a stage, where the estimator is a
            :class:`~sknestedae.NestedAutoencoder` or ends in one: its latents are decoded, to its
            own columns and those of the stages before. None: all that the estimator decodes.
        columns : str, int or list of them, default=None
            The columns to draw, by name or index, and arrays by name. None draws all, if the
            panels are 24 at most.
        categorical_features : "from_dtype", array-like or None, default=None
            Which columns are categorical: by dtype, or those of these names or indices (and those
            that do not hold numbers). None takes the estimator's own parameter of this name,
            where it has one.
        units : dict, default=None
            Unit of each column or array, by name; those without a unit can be left out.
        arrays : dict, default=None
            Columns that are one array: from its name to ``(columns, shape)``, such as
            ``{"image": (slice(0, 256), (16, 16))}``, or to the columns alone for one axis. None:
            the estimator's blocks of arrays.
        n_cols : int, default=4
            Largest number of panels side by side in a new figure.
        max_categories : int, default=10
            Largest number of bars in a panel. Where there are more categories, the rarest are
            taken together.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel. If None, a new figure is made.
        scatter_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.scatter`.
        line_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`, for the identity lines.
        bar_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.barh`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.ReconstructionDisplay`
            Object that stores the values and the artists.

        See Also
        --------
        ReconstructionDisplay.from_reconstruction : Draw tables that were computed before.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sknestedae import SupervisedAutoencoder
        >>> from sknestedae.plotting import ReconstructionDisplay
        >>> X = load_wine(as_frame=True).data
        >>> sae = SupervisedAutoencoder(max_iter=5, random_state=0).fit(X)
        >>> display = ReconstructionDisplay.from_estimator(
        ...     sae, X, columns=["alcohol", "ash"], units={"alcohol": "vol%"}
        ... )
        >>> display.axes_[0].get_xlabel()
        'True (vol%)'
        """
        caller = f"{cls.__name__}.from_estimator"
        check_has(estimator, ["transform", "inverse_transform"], caller)
        remedy = "Pass one of them, and its reconstruction, to from_reconstruction."
        check_one_table(X, caller, remedy)
        X = to_pandas(X)
        if stage is not None:
            estimator = up_to_stage(estimator, stage)
        X_reconstructed = decode_as(estimator, estimator.transform(X), X)
        if arrays is None:
            positions = _match_tables(X, X_reconstructed)[-1]
            arrays = place_arrays(fitted_arrays(estimator), positions)
        if categorical_features is None:
            # Behind other steps of a pipeline, positions and names would be of other columns.
            own = innermost(estimator, steps=False)
            categorical_features = getattr(own, "categorical_features", None)
        return cls.from_reconstruction(
            X,
            X_reconstructed,
            columns=columns,
            categorical_features=categorical_features,
            units=units,
            arrays=arrays,
            n_cols=n_cols,
            max_categories=max_categories,
            ax=ax,
            scatter_kwargs=scatter_kwargs,
            line_kwargs=line_kwargs,
            bar_kwargs=bar_kwargs,
        )

    @classmethod
    def from_reconstruction(
        cls,
        X,
        X_reconstructed,
        *,
        columns=None,
        categorical_features="from_dtype",
        units=None,
        arrays=None,
        n_cols=4,
        max_categories=10,
        ax=None,
        scatter_kwargs=None,
        line_kwargs=None,
        bar_kwargs=None,
    ):
        """Draw a table against a reconstruction that was computed before.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            True values; NaN where not measured.
        X_reconstructed : {array-like, DataFrame} of shape (n_samples, n_features)
            Reconstructed values of the same samples. The columns of two DataFrames are matched by
            name, else by position. A name of one level is also that of the one feature of the name
            in columns of two levels, (scale, feature).
        columns : str, int or list of them, default=None
            The columns to draw, by name or index, and arrays by name. None draws all, if the
            panels are 24 at most.
        categorical_features : "from_dtype" or array-like, default="from_dtype"
            Which columns are categorical: by dtype, or those of these names or indices (and those
            that do not hold numbers).
        units : dict, default=None
            Unit of each column or array, by name; those without a unit can be left out.
        arrays : dict, default=None
            Columns that are one array: from its name to ``(columns, shape)``, such as
            ``{"image": (slice(0, 256), (16, 16))}``, or to the columns alone for one axis. None:
            the whole table where it has more than two dimensions, and columns whose cells are
            arrays.
        n_cols : int, default=4
            Largest number of panels side by side in a new figure.
        max_categories : int, default=10
            Largest number of bars in a panel. Where there are more categories, the rarest are
            taken together.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel. If None, a new figure is made.
        scatter_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.scatter`.
        line_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`, for the identity lines.
        bar_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.barh`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.ReconstructionDisplay`
            Object that stores the values and the artists.

        See Also
        --------
        ReconstructionDisplay.from_estimator : Encode and decode a table, and draw it.

        Examples
        --------
        >>> import pandas as pd
        >>> from sknestedae.plotting import ReconstructionDisplay
        >>> X = pd.DataFrame({"length": [1.0, 2.0, None], "phase": ["a", "b", "b"]})
        >>> X_reconstructed = pd.DataFrame({"length": [1.5, 2.5, 2.0], "phase": ["a", "a", "b"]})
        >>> display = ReconstructionDisplay.from_reconstruction(X, X_reconstructed)
        >>> display.metrics_.round(2)
                n_samples  mae   r2  accuracy
        length          2  0.5  0.0       NaN
        phase           3  NaN  NaN      0.67
        """
        X, X_reconstructed = to_pandas(X), to_pandas(X_reconstructed, "X_reconstructed")
        display = cls(
            X,
            X_reconstructed,
            categorical_features=categorical_features,
            units=units,
            arrays=arrays,
        )
        return display.plot(
            ax,
            columns=columns,
            n_cols=n_cols,
            max_categories=max_categories,
            scatter_kwargs=scatter_kwargs,
            line_kwargs=line_kwargs,
            bar_kwargs=bar_kwargs,
        )


def _match_tables(
    X: Any, X_reconstructed: Any
) -> tuple[Any, pd.DataFrame, pd.DataFrame, dict[int, int]]:
    """Bring both tables to two dimensions, and match their columns.

    Returns
    -------
    X : DataFrame or ndarray of shape (n_samples, n_features)
    true, reconstructed : DataFrame
    positions : dict of int to int
        The column of the second for each of the first that it has.
    """
    X, shape = flat_table(X)
    X_reconstructed, shape_back = flat_table(X_reconstructed)
    if shape != shape_back and shape and shape_back:
        raise ValueError(
            f"The rows of X and X_reconstructed must have the same shape, got {shape} and "
            f"{shape_back}."
        )
    true, reconstructed = pd.DataFrame(X), pd.DataFrame(X_reconstructed)
    if len(true) != len(reconstructed):
        raise ValueError(
            f"X and X_reconstructed must have the same samples, got {len(true)} and "
            f"{len(reconstructed)} rows."
        )
    is_part = true.shape[1] != reconstructed.shape[1]  # labels are an array's positions
    if isinstance(X_reconstructed, pd.DataFrame) and (isinstance(X, pd.DataFrame) or is_part):
        positions = match_labels(true.columns, reconstructed.columns)
        if not positions:
            raise ValueError(
                f"X and X_reconstructed must have columns in common, got {list(true.columns)} "
                f"and {list(reconstructed.columns)}."
            )
    elif is_part:
        raise ValueError(
            f"X and X_reconstructed must have the same columns, got {true.shape[1]} and "
            f"{reconstructed.shape[1]}."
        )
    else:
        positions = {j: j for j in range(true.shape[1])}
    return X, true, reconstructed, positions


def _labels_of(table: pd.DataFrame, chosen: list[int | ArrayColumns]) -> pd.Index:
    """Return the labels of panels: those of columns, and names of arrays."""
    if not any(isinstance(what, ArrayColumns) for what in chosen):
        return table.columns[chosen]
    labels = [w.name if isinstance(w, ArrayColumns) else table.columns[w] for w in chosen]
    return pd.Index(labels, tupleize_cols=False)


class _Panel(NamedTuple):
    """The content of a panel: the text in its title, its scores, the artists, the rows drawn."""

    text: str
    metrics: dict[str, float]
    artist: Any = None
    line: Line2D | None = None
    rows: Sequence[int] = ()


def _blank(ax: Axes) -> _Panel:
    """Leave a panel empty, for a column that was never measured."""
    ax.set(xticks=[], yticks=[])
    return _Panel("not measured", {"n_samples": 0})


def _say_errors(metrics: dict[str, float], unit: str) -> str:
    """Write the errors of numbers, in two lines where one is too narrow."""
    text = f"MAE {three_digits(metrics['mae'])} {unit}".rstrip()
    if "r2" not in metrics:
        return text
    separator = ", " if len(text) < 20 else "\n"  # the panel is narrow
    return f"{text}{separator}R² {metrics['r2']:.3f}"


def _draw_array(
    ax: Axes, array: ArrayColumns, true: pd.DataFrame, reconstructed: pd.DataFrame, unit: str
) -> _Panel:
    """Draw four rows of an array, one of each quartile of the error, as the array draws itself."""
    from matplotlib.image import AxesImage

    before = read_array(true, array)
    own = array._replace(columns=list(range(reconstructed.shape[1])))
    after = read_decoded(reconstructed, own, before)
    known = ~np.isnan(before)
    if not known.any():
        return _blank(ax)
    error = row_errors(before, after, "rmse")
    examples = examples_by_quartile(error, 1)
    rows = [row for row, _ in examples]
    artists = list(
        array.plot(
            ax,
            before[rows],
            after[rows],
            label="",
            unit=unit,
            x=axis_of(true, array),
            names=("true", "decoded"),
            titles=[f"Q{quarter}" for _, quarter in examples],
        )
    )
    if artists and isinstance(artists[0], AxesImage):
        colorbar_beside(artists[0], ax, unit)
    metrics: dict[str, float] = {"n_samples": int(known.any(axis=1).sum())}
    metrics["mae"] = float(np.nanmean(np.abs(before - after)))
    r2_of_array = pooled_r2(before, after)
    if np.isfinite(r2_of_array):
        metrics["r2"] = r2_of_array
    return _Panel(_say_errors(metrics, unit), metrics, artists, None, rows)


def _draw_structures(
    ax: Axes, true: pd.Series, reconstructed: pd.Series, places: np.ndarray
) -> _Panel:
    """Draw four structures, one of each quartile of the error, by composition and density."""
    values = compare_structures(true, reconstructed)
    if not values.measured.any():
        return _blank(ax)
    examples = examples_by_quartile(np.where(values.measured, values.row_errors(), np.nan), 1)
    rows = [row for row, _ in examples]
    artists = draw_structures(
        ax,
        values.given[rows],
        values.decoded[rows],
        elements=values.elements,
        distances=values.distances,
        size=values.size,
        names=("true", "decoded"),
        titles=[f"Q{quarter}" for _, quarter in examples],
    )
    same = float(values.same_formula[values.measured].mean())
    metrics: dict[str, float] = {"n_samples": int(values.measured.sum()), "accuracy": same}
    text = f"composition right {same:.3f}"
    if np.isfinite(values.r2()):
        metrics["r2"] = values.r2()
        text = f"R² {metrics['r2']:.3f}, {text}"
    return _Panel(text, metrics, artists, None, places[rows].tolist())


def _numeric_metrics(true: np.ndarray, reconstructed: np.ndarray) -> dict[str, float]:
    """Compute the errors of a column; a column without variance has no R²."""
    values = {"n_samples": len(true), "mae": float(mean_absolute_error(true, reconstructed))}
    if np.ptp(true) > 0:
        values["r2"] = float(r2(true, reconstructed))
    return values


def _agree(true: pd.Series, reconstructed: pd.Series) -> np.ndarray:
    """Return in which rows two columns have the same category."""
    return np.array(
        [bool(a == b) for a, b in zip(true.to_numpy(), reconstructed.to_numpy(), strict=True)]
    )


def _draw_numbers(
    ax: Axes,
    true: pd.Series,
    reconstructed: pd.Series,
    unit: str,
    scatter_kwargs: dict[str, Any] | None,
    line_kwargs: dict[str, Any] | None,
) -> _Panel:
    """Draw a numeric column in a square panel, with the identity line from edge to edge."""
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    x, y = as_floats(true), as_floats(reconstructed)
    ends = [min(x.min(), y.min()), max(x.max(), y.max())]
    margin = 0.05 * (ends[1] - ends[0]) or 0.5
    limits = (ends[0] - margin, ends[1] + margin)
    style: dict[str, Any] = {"color": "0.4", "linestyle": "--", "linewidth": 1, "zorder": 1}
    (line,) = ax.plot(limits, limits, **combine_styles(style, line_kwargs, Line2D))
    style = {"s": point_size(len(x), 27.0), "alpha": 0.5, "linewidth": 0}
    style = combine_styles({"color": PALETTE[0], **style}, scatter_kwargs, PathCollection)
    points = ax.scatter(x, y, **style)
    behind = f" ({unit})" if unit else ""
    ax.set(xlim=limits, ylim=limits, xlabel=f"True{behind}", ylabel=f"Reconstructed{behind}")
    ax.set_aspect("equal", adjustable="box")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    metrics = _numeric_metrics(x, y)
    return _Panel(_say_errors(metrics, unit), metrics, points, line)


def _draw_categories(
    ax: Axes,
    true: pd.Series,
    reconstructed: pd.Series,
    max_categories: int,
    bar_kwargs: dict[str, Any] | None,
) -> _Panel:
    """Draw, for each category, the fraction of its samples that is reconstructed correctly."""
    from matplotlib.patches import Rectangle

    correct = _agree(true, reconstructed)
    groups, others = grouped_categories(true, max_categories)
    colors = [PALETTE[4]] * len(groups)  # light: the category's name stands on it
    if others is not None:
        groups, colors = [*groups, others], [*colors, MISSING_COLOR]
    fractions = [correct[rows].mean() for _, rows in groups]
    names = [f"{shorten(name, 20)} ({rows.sum()})" for name, rows in groups]
    style = combine_styles({"color": colors}, bar_kwargs, Rectangle)
    bars = ax.barh(np.arange(len(groups)), fractions, **style)
    # names inside, so that this panel is as large as that of a numeric column
    ax.set_yticks(np.arange(len(groups)), names, ha="left", fontsize="small")
    ax.tick_params(axis="y", length=0, pad=-6)
    ax.set_box_aspect(1)
    ax.set(xlim=(0, 1), xticks=[0, 0.5, 1], xlabel="Fraction correct")
    ax.invert_yaxis()
    accuracy = float(np.mean(correct))
    metrics = {"n_samples": len(correct), "accuracy": accuracy}
    return _Panel(f"accuracy {accuracy:.3f}", metrics, bars)
