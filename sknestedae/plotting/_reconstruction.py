"""A display of true against reconstructed values, column by column."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error
from sklearn.pipeline import make_pipeline

from .._ambient import isolated_but_output
from .._estimators._unwrap import check_one_table, innermost, steps_before, up_to_stage
from .._tables._columns import is_categorical
from .._tables._input import to_pandas
from .._tables._target import r2
from ._base import (
    MISSING_COLOR,
    PALETTE,
    as_floats,
    check_has,
    check_units,
    column_position,
    combine_styles,
    grouped_categories,
    is_one_label,
    name_of,
    shorten,
    three_digits,
)

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
        import matplotlib.pyplot as plt

        units = check_units(self.units)
        true, reconstructed, positions = self._tables()
        chosen = self._choose_columns(true, positions, columns)
        categorical = categorical_positions(
            self.categorical_features, true, reconstructed, positions, self.X
        )
        self.axes_ = make_axes(plt, ax, len(chosen), n_cols)
        self.figure_ = self.axes_[0].figure
        self.artists_: list[Any] = []
        self.lines_: list[Any] = []
        metrics = []
        for panel, j in zip(self.axes_, chosen, strict=True):
            before, after = true.iloc[:, j], reconstructed.iloc[:, positions[j]]
            measured = before.notna().to_numpy()
            before, after = before[measured], after[measured]
            name = name_of(before.name) if isinstance(self.X, pd.DataFrame) else f"Column {j}"
            if not measured.any():
                values: dict[str, float] = {}
                artist = line = None
                text = "not measured"
                panel.set(xticks=[], yticks=[])
            elif j in categorical:
                values = {"accuracy": float(np.mean(_agree(before, after)))}
                artist, line = _draw_bars(panel, before, after, max_categories, bar_kwargs), None
                text = f"accuracy {values['accuracy']:.3f}"
            else:
                x, y = as_floats(before), as_floats(after)
                unit = units.get(before.name, "")
                values = _numeric_metrics(x, y)
                artist, line = _draw_points(panel, x, y, unit, scatter_kwargs, line_kwargs)
                text = f"MAE {three_digits(values['mae'])} {unit}".rstrip()
                if "r2" in values:
                    separator = ", " if len(text) < 20 else "\n"  # the panel is narrow
                    text += f"{separator}R² {values['r2']:.3f}"
            panel.set_title(f"{shorten(name, 32)}\n{text}", fontsize="medium")
            self.artists_.append(artist)
            self.lines_.append(line)
            metrics.append({"n_samples": int(measured.sum()), **values})
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

    def _choose_columns(
        self, true: pd.DataFrame, positions: dict[int, int], columns: Any
    ) -> list[int]:
        """Give the positions in X of the columns to draw."""
        if columns is None:
            if len(positions) > _MAX_PANELS:
                raise ValueError(
                    f"The 'columns' parameter must name columns to draw if X has more than "
                    f"{_MAX_PANELS}; X has {len(positions)}."
                )
            return list(positions)
        keys = [columns] if is_one_label(columns, list(true.columns)) else list(columns)
        if not keys:
            raise ValueError("The 'columns' parameter must name at least one column, got [].")
        named = isinstance(self.X, pd.DataFrame)
        chosen = [column_position(true, key, "columns", named=named) for key in keys]
        for j, key in zip(chosen, keys, strict=True):
            if j not in positions:
                raise ValueError(
                    f"The 'columns' parameter names the column {key!r}, which is not "
                    "reconstructed."
                )
        return chosen

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


def decode_as(estimator: Any, Z: Any, X: Any) -> Any:
    """Decode latents to the columns of a table; of a chain, tell which columns come back.

    Returns
    -------
    ndarray or DataFrame
        A DataFrame, with the labels (of an array: the positions) of X, where a chain of stages
        leaves out some of the columns.
    """
    nested = innermost(estimator)
    if not hasattr(nested, "stages_"):
        return to_pandas(estimator.inverse_transform(Z))
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


def categorical_positions(
    given: Any, true: pd.DataFrame, decoded: pd.DataFrame, positions: dict[int, int], X: Any
) -> set[int]:
    """Give the positions of the categorical ones among a table's decoded columns.

    Parameters
    ----------
    given : "from_dtype", array-like or None
        Which columns are categorical, whatever their dtype.
    true, decoded : DataFrame
        The table and what came back.
    positions : dict of int to int
        For the position of each column of the table that came back, the one there.
    X : DataFrame or ndarray
        The table as it was given.
    """
    named: list[int] = []
    if given is not None and not (isinstance(given, str) and given == "from_dtype"):
        keys = [given] if is_one_label(given, list(true.columns)) else list(given)
        if keys and all(isinstance(key, bool | np.bool_) for key in keys):
            keys = list(np.flatnonzero(keys))
        is_frame = isinstance(X, pd.DataFrame)
        named = [
            column_position(true, key, "categorical_features", named=is_frame) for key in keys
        ]
    return {
        j
        for j, k in positions.items()
        if j in named
        or is_categorical(true.iloc[:, j], repr(true.columns[j]))
        or is_categorical(decoded.iloc[:, k], repr(true.columns[j]))
    }


def match_labels(true: pd.Index, reconstructed: pd.Index) -> dict[int, int]:
    """Give, for the position of each label that is found in the other, the position there."""
    labels = list(reconstructed)
    if reconstructed.nlevels == 2 and true.nlevels == 1:
        features = [feature for _, feature in labels]  # of one scale's plain table
        labels = [label[1] if features.count(label[1]) == 1 else label for label in labels]
    return {j: labels.index(label) for j, label in enumerate(true) if label in labels}


def make_axes(
    plt: Any,
    ax: Any,
    n_panels: int,
    n_cols: int,
    *,
    panel_size: tuple[float, float] = (3.2, 3.4),
    layout: str = "compressed",
) -> np.ndarray:
    """Give one axes a panel, of shape (n_panels,): the ones passed or those of a new figure.

    Parameters
    ----------
    plt : module
        ``matplotlib.pyplot``.
    ax : Axes, array-like of them or None
    n_panels, n_cols : int
        Number of panels, and how many of them stand side by side at most.
    panel_size : tuple of float
        Width and height of one of several panels, in inches.
    layout : str
        Of the new figure.
    """
    if ax is not None:
        axes = np.asarray(ax, dtype=object).ravel()
        if len(axes) < n_panels:
            raise ValueError(
                f"The 'ax' parameter must hold an axes for each of the {n_panels} columns, got "
                f"{len(axes)}."
            )
        return axes[:n_panels]
    if not isinstance(n_cols, Integral) or n_cols < 1:
        raise ValueError(f"The 'n_cols' parameter must be a positive int, got {n_cols!r}.")
    n_cols = min(int(n_cols), n_panels)
    n_rows = -(-n_panels // n_cols)
    # a single panel is as high as any other figure
    size = (4.8, 4.8) if n_panels == 1 else (panel_size[0] * n_cols, panel_size[1] * n_rows)
    figure = plt.figure(figsize=size, layout=layout)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)  # inches
    return np.array([figure.add_subplot(n_rows, n_cols, k + 1) for k in range(n_panels)])


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


def _draw_points(
    ax: Any,
    true: np.ndarray,
    reconstructed: np.ndarray,
    unit: str,
    scatter_kwargs: dict | None,
    line_kwargs: dict | None,
) -> tuple[Any, Any]:
    """Draw a numeric column in a square panel, with the identity line from edge to edge."""
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    ends = [min(true.min(), reconstructed.min()), max(true.max(), reconstructed.max())]
    margin = 0.05 * (ends[1] - ends[0]) or 0.5
    limits = (ends[0] - margin, ends[1] + margin)
    style = {"color": "0.4", "linestyle": "--", "linewidth": 1, "zorder": 1}
    (line,) = ax.plot(limits, limits, **combine_styles(style, line_kwargs, Line2D))
    style = {"s": float(np.clip(4000 / len(true), 6, 20)), "alpha": 0.5, "linewidth": 0}
    style = combine_styles({"color": PALETTE[0], **style}, scatter_kwargs, PathCollection)
    points = ax.scatter(true, reconstructed, **style)
    unit = f" ({unit})" if unit else ""
    ax.set(xlim=limits, ylim=limits, xlabel=f"True{unit}", ylabel=f"Reconstructed{unit}")
    ax.set_aspect("equal", adjustable="box")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    return points, line


def _draw_bars(
    ax: Any,
    true: pd.Series,
    reconstructed: pd.Series,
    max_categories: int,
    bar_kwargs: dict | None,
) -> Any:
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
    return bars
