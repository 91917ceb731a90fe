"""A display of true against reconstructed values, column by column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error

from .._ambient import isolated_but_output
from .._estimators._unwrap import check_one_table, innermost, up_to_stage
from .._tables._input import to_pandas
from .._tables._target import r2
from ._base import (
    MISSING_COLOR,
    PALETTE,
    as_floats,
    categorical_positions,
    check_has,
    check_units,
    columns_to_draw,
    combine_styles,
    decode_as,
    grouped_categories,
    make_axes,
    match_labels,
    name_of,
    shorten,
    three_digits,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.container import BarContainer
    from matplotlib.lines import Line2D

# More panels than this are drawn only if they are asked for.
_MAX_PANELS = 24


class ReconstructionDisplay:
    """True against reconstructed values, with a panel for each column.

    A numeric column is a scatter plot with the identity line, and the mean absolute error (in the
    column's own unit) and R² in its title. A categorical column has a bar for each category, with
    the fraction of its samples that are reconstructed correctly. Entries that were not measured
    are left out.

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
        Unit of each column, by name; columns without a unit can be left out.

    Attributes
    ----------
    metrics_ : DataFrame of shape (n_panels, 4)
        For each column: the number of measured samples ``n_samples``, mean absolute error
        ``mae`` and ``r2`` of a numeric one, and ``accuracy`` (the fraction that is correct) of a
        categorical one.
    artists_ : list of matplotlib PathCollection or BarContainer
        The points or the bars of each panel.
    lines_ : list of matplotlib Line2D or None
        The identity line of each panel; None in that of a categorical column.
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

    def __init__(self, X, X_reconstructed, *, categorical_features="from_dtype", units=None):
        self.X = X
        self.X_reconstructed = X_reconstructed
        self.categorical_features = categorical_features
        self.units = units

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
            Axes to draw on, one for each column. If None, a new figure is made.
        columns : str, int or list of them, default=None
            The columns to draw, by name or index. None draws all, if they are 24 at most.
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
        true, reconstructed, positions = self._tables()
        chosen = self._choose_columns(positions, columns)
        categorical = categorical_positions(
            self.categorical_features, self.X, true, reconstructed, positions
        )
        self.axes_ = make_axes(ax, len(chosen), n_cols)
        self.figure_ = self.axes_[0].figure
        self.artists_: list[PathCollection | BarContainer | None] = []
        self.lines_: list[Line2D | None] = []
        metrics = []
        for axes, j in zip(self.axes_, chosen, strict=True):
            before, after = true.iloc[:, j], reconstructed.iloc[:, positions[j]]
            measured = before.notna().to_numpy()
            before, after = before[measured], after[measured]
            if not measured.any():
                panel = _Panel("not measured", {})
                axes.set(xticks=[], yticks=[])
            elif j in categorical:
                panel = _draw_categories(axes, before, after, max_categories, bar_kwargs)
            else:
                unit = units.get(before.name, "")
                panel = _draw_numbers(axes, before, after, unit, scatter_kwargs, line_kwargs)
            name = name_of(before.name) if isinstance(self.X, pd.DataFrame) else f"Column {j}"
            axes.set_title(f"{shorten(name, 32)}\n{panel.text}", fontsize="medium")
            self.artists_.append(panel.artist)
            self.lines_.append(panel.line)
            metrics.append({"n_samples": int(measured.sum()), **panel.metrics})
        self.metrics_ = pd.DataFrame(
            metrics,
            index=true.columns[chosen],
            columns=["n_samples", "mae", "r2", "accuracy"],
        )
        return self

    def _tables(self) -> tuple[pd.DataFrame, pd.DataFrame, dict[int, int]]:
        """Give both tables, and the column of the second for each of the first that it has."""
        true, reconstructed = pd.DataFrame(self.X), pd.DataFrame(self.X_reconstructed)
        if len(true) != len(reconstructed):
            raise ValueError(
                f"X and X_reconstructed must have the same samples, got {len(true)} and "
                f"{len(reconstructed)} rows."
            )
        is_part = true.shape[1] != reconstructed.shape[1]  # labels are an array's positions
        if isinstance(self.X_reconstructed, pd.DataFrame) and (
            isinstance(self.X, pd.DataFrame) or is_part
        ):
            positions = match_labels(true.columns, reconstructed.columns)
            if not positions:
                raise ValueError(
                    f"X and X_reconstructed must have columns in common, got {list(true.columns)} "
                    f"and {list(reconstructed.columns)}."
                )
        elif true.shape[1] != reconstructed.shape[1]:
            raise ValueError(
                f"X and X_reconstructed must have the same columns, got {true.shape[1]} and "
                f"{reconstructed.shape[1]}."
            )
        else:
            positions = {j: j for j in range(true.shape[1])}
        return true, reconstructed, positions

    def _choose_columns(self, positions: Mapping[int, int], columns: Any) -> list[int]:
        """Give the positions in X of the columns to draw."""
        if columns is None:
            if len(positions) > _MAX_PANELS:
                raise ValueError(
                    f"The 'columns' parameter must name columns to draw if X has more than "
                    f"{_MAX_PANELS}; X has {len(positions)}."
                )
            return list(positions)
        return columns_to_draw(self.X, columns, positions, "reconstructed")

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
        n_cols=4,
        max_categories=10,
        ax=None,
        scatter_kwargs=None,
        line_kwargs=None,
        bar_kwargs=None,
    ):
        """Encode and decode a table, and draw it against what came back.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``transform`` and ``inverse_transform``, or a fitted
            :class:`~sklearn.pipeline.Pipeline` of such steps.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The columns that were fitted; NaN where not measured.
        stage : str or int, default=None
            Name or position of a stage, where the estimator is a
            :class:`~sknestedae.NestedAutoencoder` or ends in one: its latents are decoded, to its
            own columns and those of the stages before. None: what the estimator gives.
        columns : str, int or list of them, default=None
            The columns to draw, by name or index. None draws all, if they are 24 at most.
        categorical_features : "from_dtype", array-like or None, default=None
            Which columns are categorical: by dtype, or those of these names or indices (and those
            that do not hold numbers). None takes the estimator's own parameter of this name,
            where it has one.
        units : dict, default=None
            Unit of each column, by name; columns without a unit can be left out.
        n_cols : int, default=4
            Largest number of panels side by side in a new figure.
        max_categories : int, default=10
            Largest number of bars in a panel. Where there are more categories, the rarest are
            taken together.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each column. If None, a new figure is made.
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
            The columns to draw, by name or index. None draws all, if they are 24 at most.
        categorical_features : "from_dtype" or array-like, default="from_dtype"
            Which columns are categorical: by dtype, or those of these names or indices (and those
            that do not hold numbers).
        units : dict, default=None
            Unit of each column, by name; columns without a unit can be left out.
        n_cols : int, default=4
            Largest number of panels side by side in a new figure.
        max_categories : int, default=10
            Largest number of bars in a panel. Where there are more categories, the rarest are
            taken together.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each column. If None, a new figure is made.
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
        display = cls(X, X_reconstructed, categorical_features=categorical_features, units=units)
        return display.plot(
            ax,
            columns=columns,
            n_cols=n_cols,
            max_categories=max_categories,
            scatter_kwargs=scatter_kwargs,
            line_kwargs=line_kwargs,
            bar_kwargs=bar_kwargs,
        )


class _Panel(NamedTuple):
    """The content of a panel: the text in its title, the scores of its column, the artists."""

    text: str
    metrics: dict[str, float]
    artist: PathCollection | BarContainer | None = None
    line: Line2D | None = None


def _numeric_metrics(true: np.ndarray, reconstructed: np.ndarray) -> dict[str, float]:
    """Compute the errors of a column; a column without variance has no R²."""
    values = {"mae": float(mean_absolute_error(true, reconstructed))}
    if np.ptp(true) > 0:
        values["r2"] = float(r2(true, reconstructed))
    return values


def _agree(true: pd.Series, reconstructed: pd.Series) -> np.ndarray:
    """Tell in which rows two columns have the same category."""
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
    style = {"s": float(np.clip(4000 / len(x), 6, 20)), "alpha": 0.5, "linewidth": 0}
    style = combine_styles({"color": PALETTE[0], **style}, scatter_kwargs, PathCollection)
    points = ax.scatter(x, y, **style)
    behind = f" ({unit})" if unit else ""
    ax.set(xlim=limits, ylim=limits, xlabel=f"True{behind}", ylabel=f"Reconstructed{behind}")
    ax.set_aspect("equal", adjustable="box")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    metrics = _numeric_metrics(x, y)
    text = f"MAE {three_digits(metrics['mae'])} {unit}".rstrip()
    if "r2" in metrics:
        separator = ", " if len(text) < 20 else "\n"  # the panel is narrow
        text += f"{separator}R² {metrics['r2']:.3f}"
    return _Panel(text, metrics, points, line)


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
    return _Panel(f"accuracy {accuracy:.3f}", {"accuracy": accuracy}, bars)
