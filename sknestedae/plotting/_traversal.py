"""A display of the changes in a decoded table along one latent."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import is_classifier

from .._ambient import isolated_but_output
from .._estimators._unwrap import check_one_table, innermost, steps_before, up_to_stage
from .._tables._input import column_of_structures, to_pandas
from .._tables._statistics import standard_deviation
from ..blocks._drawing import sequence_colors
from ..exceptions import NoTargetError
from ._arrays import (
    ArrayColumns,
    axis_of,
    decoded_arrays,
    flat_table,
    is_array_target,
    make_array,
    named_arrays,
    panels_of,
    read_array,
    shape_of_cells,
)
from ._base import (
    PALETTE,
    as_floats,
    categorical_positions,
    check_has,
    check_quantiles,
    check_units,
    colorbar_beside,
    combine_styles,
    decode_as,
    held_latents,
    make_axes,
    match_columns,
    match_labels,
    name_of,
    plain_columns,
    shorten,
    without_structures,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

_BAND_COLOR = "0.92"
# Of an array, how many values of the latent are drawn: lines on each other, pictures in a row.
_N_LINES = 9
# Deviations of a constant, by rounding of its mean, are below this share of it.
_ROUNDING = 8 * float(np.finfo(np.float64).eps)
_N_IMAGES = 6


class TraversalDisplay:
    r"""Changes in a decoded table along one latent, with a panel for each column or array.

    A numeric column is a line in its own unit; the band behind it holds the middle 90 % of the
    data, so that a line that stays flat against the band hardly moves. A categorical column has a
    bar where a category is the most probable one. Columns that are one array have one panel: of a
    spectrum some lines, coloured by the latent's value, of an image a row of pictures. Columns and
    arrays that move most come first, and the predicted target, where there is one, before them.

    It is recommended to use :func:`~sknestedae.plotting.TraversalDisplay.from_estimator` to create
    a display. All parameters are stored as attributes.

    Parameters
    ----------
    values : ndarray of shape (n_steps,)
        Values of the latent, in ascending order.
    decoded : {array-like, DataFrame} of shape (n_steps, n_columns)
        The table at these values.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Data for the scale on which a column varies. The columns of two DataFrames are matched by
        name, else by position.
    predictions : DataFrame of shape (n_steps, n_outputs), default=None
        The predicted targets at these values; or an array of shape (n_steps, n_channels) or
        (n_steps, height, width), where the target is one array.
    predictions_of_X : DataFrame of shape (n_samples, n_outputs), default=None
        Those of the data, for the bands.
    target_name : str, default="target"
        Name of a target that is one array.
    xlabel : str, default="Latent"
        Name of the latent.
    quantiles : tuple of two float, default=(0.05, 0.95)
        Quantiles of the data at the ends of the bands.
    categorical_features : "from_dtype" or array-like, default="from_dtype"
        Which columns are categorical: by dtype, or those of these names or indices (and those
        that do not hold numbers).
    units : dict, default=None
        Unit of each column, array and target, by name (of two levels, also by the second alone);
        those without a unit can be left out.
    arrays : dict, default=None
        Columns that are one array: from its name to ``(columns, shape)``, such as
        ``{"image": (slice(0, 256), (16, 16))}``, or to the columns alone for one axis. None: the
        whole table where it has more than two dimensions, and columns whose cells are arrays.

    Attributes
    ----------
    movement_ : Series of shape (n_columns,)
        Change of each column along the path, from its smallest to its largest value, in standard
        deviations of the data; the largest first. For a categorical column that changes, the same
        of its one-hot values, :math:`\sqrt{2 / (1 - \sum p^2)}` with the frequencies :math:`p` of
        its categories; of an array the root of the sum of squares over its elements, of the
        movement over that of the standard deviation. NaN where the data does not vary.
    columns_ : list
        Labels of the panels: those of the predicted targets, then those of columns and arrays.
    artists_ : list of matplotlib Line2D, BarContainer or list of matplotlib Artist
        The line or the bars of each panel; the artists of an array.
    bands_ : list of matplotlib Patch or None
        The band of each panel; None in that of a categorical column or an array.
    axes_ : ndarray of shape (n_panels,) of matplotlib Axes
        Axes of the panels.
    figure_ : matplotlib Figure
        Figure with the panels.

    See Also
    --------
    TraversalDisplay.from_estimator : Change a latent of a fitted estimator, and decode.
    LatentDisplay : Samples in the space of the latents.
    sknestedae.inspection.latent_correlations : Correlations of latents with variables.

    Notes
    -----
    Latents share information. One may correlate with a variable because others do, and then the
    variable moves less along it alone than it does among the samples. Far from all samples a
    decoded table is an extrapolation.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.plotting import TraversalDisplay
    >>> X = load_iris(as_frame=True).data
    >>> sae = SupervisedAutoencoder(n_components=2, max_iter=5, random_state=0).fit(X)
    >>> display = TraversalDisplay.from_estimator(sae, X, latent=0)
    >>> len(display.axes_)
    4
    >>> plt.show()  # doctest: +SKIP
    """

    def __init__(
        self,
        values,
        decoded,
        X,
        *,
        predictions=None,
        predictions_of_X=None,
        target_name="target",
        xlabel="Latent",
        quantiles=(0.05, 0.95),
        categorical_features="from_dtype",
        units=None,
        arrays=None,
    ):
        self.values = values
        self.decoded = decoded
        self.X = X
        self.predictions = predictions
        self.predictions_of_X = predictions_of_X
        self.target_name = target_name
        self.xlabel = xlabel
        self.quantiles = quantiles
        self.categorical_features = categorical_features
        self.units = units
        self.arrays = arrays

    def plot(
        self,
        ax=None,
        *,
        columns=None,
        max_columns=8,
        n_cols=4,
        line_kwargs=None,
        band_kwargs=None,
        bar_kwargs=None,
    ):
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel. If None, a new figure is made.
        columns : str, int or list of them, default=None
            The columns to draw, by name or index, and arrays by name, in this order. None draws
            those that move most.
        max_columns : int, default=8
            Largest number of columns and arrays that are drawn with ``columns=None``, and of
            predicted targets.
        n_cols : int, default=4
            Largest number of panels side by side in a new figure.
        line_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`.
        band_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.axhspan`.
        bar_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.barh`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.TraversalDisplay`
            Object that stores the values and the artists.
        """
        units = check_units(self.units)
        panels = [*self._targets(max_columns), *self._columns(columns, max_columns)]
        has_arrays = any(isinstance(panel, _ArrayPanel) for panel in panels)
        size, single = ((3.7, 2.7), (7.2, 3.6)) if has_arrays else ((2.9, 2.5), (4.8, 4.8))
        self.axes_ = make_axes(
            ax,
            len(panels),
            n_cols,
            panel_size=size,
            single_size=single,
            layout="constrained",
            is_tidy=True,
        )
        self.figure_ = self.axes_[0].figure
        self.columns_ = [panel.label for panel in panels]
        self.artists_: list[Any] = []
        self.bands_: list[Rectangle | None] = []
        values = np.asarray(self.values, dtype=float)
        n_last = len(panels) if ax is not None else min(n_cols, len(panels))
        for k, (axes, panel) in enumerate(zip(self.axes_, panels, strict=True)):
            label, band = panel.label, None
            feature = label[-1] if isinstance(label, tuple) else label
            unit = units.get(label, units.get(feature, ""))
            artist: Any
            if isinstance(panel, _ArrayPanel):
                artist = _draw_array(axes, values, panel, unit, self.xlabel)
            else:
                if panel.is_categorical:
                    artist = _draw_categories(axes, values, panel, bar_kwargs)
                else:
                    band = _draw_band(axes, panel.data, self.quantiles, band_kwargs)
                    artist = _draw_line(axes, values, panel, line_kwargs)
                axes.set(ylabel="" if panel.is_categorical else unit, xlim=(values[0], values[-1]))
                if k >= len(panels) - n_last:  # of a new figure the lowest panel of each column
                    axes.set_xlabel(self.xlabel)
            self.artists_.append(artist)
            self.bands_.append(band)
            axes.set_title(shorten(self._title(panel), 30), fontsize="medium")
        return self

    def _title(self, panel: _Panel | _ArrayPanel) -> str:
        """Return the title of a panel."""
        label = panel.label
        is_named = isinstance(self.X, pd.DataFrame) or not isinstance(label, Integral)
        name = name_of(label) if is_named else f"Column {label}"
        return f"Predicted {name}" if panel.is_target else name

    def _paths(self) -> tuple[dict[int, int], pd.DataFrame, pd.DataFrame]:
        """Return the decoded column of each column, the data and the decoded table."""
        decoded = flat_table(self.decoded)[0]
        table, back = pd.DataFrame(flat_table(self.X)[0]), pd.DataFrame(decoded)
        if len(back) != len(self.values):
            raise ValueError(
                f"The table must have a row for each of the {len(self.values)} values of the "
                f"latent, got {len(back)}."
            )
        positions = match_columns(table, decoded)
        if not positions:
            raise ValueError(
                "X and the decoded table must have the same columns, got "
                f"{list(table.columns)} and {list(back.columns)}."
            )
        return positions, table, back

    def _targets(self, max_columns: Any) -> Sequence[_Panel | _ArrayPanel]:
        """Return the panel of each predicted target; of very many, those that move most."""
        if self.predictions is None:
            return []
        if not isinstance(self.predictions, pd.DataFrame):
            path = np.asarray(self.predictions, dtype=float)
            array = make_array(self.target_name, [], path.shape[1:])
            return [_ArrayPanel(array, path.reshape(len(path), -1), None, True)]
        after = self.predictions
        before = after if self.predictions_of_X is None else pd.DataFrame(self.predictions_of_X)
        panels = [
            _Panel(
                label,
                before.iloc[:, j],
                after.iloc[:, j],
                _holds_classes(before.iloc[:, j]),
                True,
            )
            for j, label in enumerate(after.columns)
        ]
        if len(panels) <= _check_max_columns(max_columns):
            return panels
        size = [-_movement(p.path, p.data, p.is_categorical) for p in panels]
        return [panels[k] for k in np.argsort(size, kind="stable")[:max_columns]]

    def _columns(self, columns: Any, max_columns: Any) -> list[_Panel | _ArrayPanel]:
        """Return the panel of each column or array to draw, and store how far all move."""
        positions, table, decoded = self._paths()
        positions = without_structures(table, positions)
        arrays = named_arrays(table, self.arrays, flat_table(self.X)[1])
        own = {j for array in arrays for j in array.columns}
        X = table if isinstance(self.X, pd.DataFrame) else table.to_numpy()
        categorical = categorical_positions(
            self.categorical_features,
            X,
            table,
            decoded,
            {j: k for j, k in positions.items() if j not in own},
        )

        def panel(what: int | ArrayColumns) -> _Panel | _ArrayPanel:
            if isinstance(what, ArrayColumns):
                path = _array_path(decoded, positions, what)
                return _ArrayPanel(what, path, axis_of(table, what))
            path = decoded.iloc[:, positions[what]]
            return _Panel(table.columns[what], table.iloc[:, what], path, what in categorical)

        every = panels_of(table, None, positions, arrays, "decoded")
        movement = _movements(every, table, decoded, positions, categorical)
        order = np.argsort([-m for m in movement], kind="stable")  # NaN comes last
        labels = [w.name if isinstance(w, ArrayColumns) else table.columns[w] for w in every]
        labels = pd.Index([labels[k] for k in order], tupleize_cols=False)
        self.movement_ = pd.Series(movement[order], index=labels, name="movement")
        if columns is None:
            return [panel(every[k]) for k in order[: _check_max_columns(max_columns)]]
        return [panel(what) for what in panels_of(table, columns, positions, arrays, "decoded")]

    @classmethod
    @isolated_but_output
    def from_estimator(
        cls,
        estimator,
        X,
        latent=0,
        *,
        stage=None,
        at="median",
        n_steps=50,
        quantiles=(0.05, 0.95),
        predict="auto",
        target_names=None,
        columns=None,
        max_columns=8,
        categorical_features=None,
        units=None,
        arrays=None,
        n_cols=4,
        ax=None,
        line_kwargs=None,
        band_kwargs=None,
        bar_kwargs=None,
    ):
        """Change one latent, decode the table at each value, and draw it.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``transform`` and ``inverse_transform``, or a fitted
            :class:`~sklearn.pipeline.Pipeline` of such steps.
        X : {array-like, DataFrame} of shape (n_samples, n_features) or (n_samples, ...)
            The columns that were fitted, for the rows that give the range of the latent.
        latent : int, default=0
            Position of the latent; negative ones count from the last.
        stage : str or int, default=None
            Name or position of a stage, where the estimator is a
            :class:`~sknestedae.NestedAutoencoder` or ends in one: its latents are decoded, to its
            own columns and those of the stages before. None: all that the estimator decodes.
        at : {"median", "mean"}, int or array-like of shape (n_latents,), default="median"
            Values of the other latents: the median or the mean of X, those of one row of X (by
            position), or the given ones.
        n_steps : int, default=50
            Number of values of the latent.
        quantiles : tuple of two float, default=(0.05, 0.95)
            The latent moves from its first quantile in X to the second; the bands are between the
            same quantiles of each column.
        predict : bool or "auto", default="auto"
            Whether the target predicted from the decoded table is drawn; "auto": where there is
            one. The table goes through the encoder again for it.
        target_names : list of str, default=None
            Name of each predicted target; one where the target is an array. None: "target", with a
            number if there are several.
        columns : str, int or list of them, default=None
            The columns to draw, by name or index, and arrays by name, in this order. None draws
            those that move most.
        max_columns : int, default=8
            Largest number of columns and arrays that are drawn with ``columns=None``, and of
            predicted targets.
        categorical_features : "from_dtype", array-like or None, default=None
            Which columns are categorical: by dtype, or those of these names or indices (and those
            that do not hold numbers). None takes the estimator's own parameter of this name,
            where it has one.
        units : dict, default=None
            Unit of each column, array and target, by name (of two levels, also by the second
            alone); those without a unit can be left out.
        arrays : dict, default=None
            Columns that are one array: from its name to ``(columns, shape)``, or to the columns
            alone for one axis. None: the estimator's blocks of arrays.
        n_cols : int, default=4
            Largest number of panels side by side in a new figure.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel. If None, a new figure is made.
        line_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`.
        band_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.axhspan`.
        bar_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.barh`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.TraversalDisplay`
            Object that stores the values and the artists.

        Raises
        ------
        NoTargetError
            If ``predict=True``, and the estimator was fitted without a target.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sknestedae import SupervisedAutoencoder
        >>> from sknestedae.plotting import TraversalDisplay
        >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
        >>> sae = SupervisedAutoencoder(n_components=3, max_iter=5, random_state=0).fit(X, y)
        >>> display = TraversalDisplay.from_estimator(
        ...     sae, X, latent=2, columns=["bmi", "bp"], target_names=["progression"]
        ... )
        >>> display.columns_
        ['progression', 'bmi', 'bp']
        """
        caller = f"{cls.__name__}.from_estimator"
        check_has(estimator, ["transform", "inverse_transform"], caller)
        check_one_table(X, caller, "Pass one of them, and the chain up to its stage.")
        X = column_of_structures(to_pandas(X), "X")
        if stage is not None:
            estimator = up_to_stage(estimator, stage)
        Z = np.asarray(estimator.transform(X))
        latent = _check_latent(latent, Z.shape[1])
        path = _way(Z, latent, at, n_steps, quantiles)
        decoded = decode_as(estimator, path, X)
        predictions = predictions_of_X = None
        if _predicts(estimator, X, predict, caller):
            predictions = _predict(estimator, _as_input(estimator, decoded, X), target_names)
            predictions_of_X = _predict(estimator, X, target_names)
        if arrays is None:
            arrays = decoded_arrays(estimator, X, decoded)
        if categorical_features is None:
            own = innermost(estimator, steps=False)
            categorical_features = getattr(own, "categorical_features", None)
        display = cls(
            path[:, latent],
            decoded,
            X,
            predictions=predictions,
            predictions_of_X=predictions_of_X,
            target_name="target" if target_names is None else target_names[0],
            xlabel=f"Latent {latent}",
            quantiles=quantiles,
            categorical_features=categorical_features,
            units=units,
            arrays=arrays,
        )
        return display.plot(
            ax,
            columns=columns,
            max_columns=max_columns,
            n_cols=n_cols,
            line_kwargs=line_kwargs,
            band_kwargs=band_kwargs,
            bar_kwargs=bar_kwargs,
        )


# ---------------------------------------------------------------------------------------------
# The way


def _check_latent(latent: Any, n_latents: int) -> int:
    """Return the position of a latent, counted from the first."""
    is_index = isinstance(latent, Integral) and not isinstance(latent, bool)
    if not is_index or not -n_latents <= int(latent) < n_latents:
        raise ValueError(
            f"The 'latent' parameter must be an int from {-n_latents} to {n_latents - 1}, as "
            f"there are {n_latents} latents; got {latent!r}."
        )
    return int(latent) % n_latents


def _way(Z: np.ndarray, latent: int, at: Any, n_steps: Any, quantiles: Any) -> np.ndarray:
    """Return latents with one that moves, of shape (n_steps, n_latents)."""
    if not isinstance(n_steps, Integral) or n_steps < 2:
        raise ValueError(f"The 'n_steps' parameter must be an int of at least 2, got {n_steps!r}.")
    ends = check_quantiles(quantiles)
    start = held_latents(Z, at)
    path = np.tile(start.astype(Z.dtype), (int(n_steps), 1))
    first, last = np.quantile(Z[:, latent], ends)
    path[:, latent] = np.linspace(first, last, int(n_steps))
    return path


def _predicts(estimator: Any, X: pd.DataFrame | np.ndarray, predict: Any, caller: str) -> bool:
    """Return whether a prediction is to be drawn."""
    if predict not in (True, False, "auto"):
        raise ValueError(f"The 'predict' parameter must be a bool or 'auto', got {predict!r}.")
    if predict is True:
        check_has(estimator, ["predict"], caller)
    if not predict or not hasattr(estimator, "predict"):
        return False
    try:  # an autoencoder has predict whether or not it was fitted with a target
        estimator.predict(X[:1])
    except NoTargetError:
        if predict is True:
            raise
        return False
    return True


def _as_input(
    estimator: Any, decoded: pd.DataFrame | np.ndarray, X: pd.DataFrame | np.ndarray
) -> pd.DataFrame | np.ndarray:
    """Add the other columns of X to a decoded table; they are missing."""
    is_whole = np.shape(decoded)[1] >= np.shape(X)[1]
    if is_whole or (isinstance(X, pd.DataFrame) and not steps_before(estimator)):
        return decoded
    assert isinstance(decoded, pd.DataFrame)  # where columns are left out, it says which came back
    if not isinstance(X, pd.DataFrame):
        values = np.asarray(decoded)
        full = np.full((len(values), np.shape(X)[1]), np.nan, dtype=np.result_type(values, float))
        full[:, list(decoded.columns)] = values
        return full
    positions = match_labels(X.columns, decoded.columns)
    # rows of X without their values, for their dtypes: the steps before may look at them
    blank = X.iloc[np.zeros(len(decoded), dtype=int)].reset_index(drop=True)
    parts = [
        decoded.iloc[:, positions[j]].reset_index(drop=True)
        if j in positions
        else blank.iloc[:, j].mask(np.ones(len(blank), dtype=bool))
        for j in range(X.shape[1])
    ]
    return pd.concat(parts, axis=1).set_axis(X.columns, axis=1)


def _predict(
    estimator: Any, X: pd.DataFrame | np.ndarray, names: Sequence[str] | None
) -> pd.DataFrame | np.ndarray:
    """Predict, as a table of shape (n_samples, n_outputs) in which classes are words.

    A target that is one array comes as an array of the shape (n_samples, ...).
    """
    values = np.asarray(estimator.predict(X))
    if is_array_target(estimator, values):
        _check_target_names(names, 1)
        return values
    frame = pd.DataFrame(values.reshape(len(values), -1)).infer_objects()
    n_targets, arrays = frame.shape[1], [j for j in frame if shape_of_cells(frame[j])]
    nested = innermost(estimator)
    if hasattr(nested, "stages_"):
        owners = {j: stage for name, stage, _ in nested.stages_ for j in nested.targets_[name]}
        classes = [is_classifier(owners[j]) for j in sorted(owners)]
    else:
        classes = [is_classifier(estimator)] * frame.shape[1]
    kept = [j for j in range(n_targets) if j not in arrays]  # no panel has room for those
    parts = [frame.iloc[:, j].astype(str) if classes[j] else frame.iloc[:, j] for j in kept]
    _check_target_names(names, n_targets)
    if names is None:
        names = ["target"] if n_targets == 1 else [f"target {j}" for j in range(n_targets)]
    names = [names[j] for j in kept]
    if not parts:
        return frame.iloc[:, :0]
    return pd.concat(parts, axis=1).set_axis(pd.Index(list(names), tupleize_cols=False), axis=1)


def _check_target_names(names: Sequence[str] | None, n_targets: int) -> None:
    """Refuse names that are not one for each target."""
    if names is not None and (isinstance(names, str) or len(names) != n_targets):
        raise ValueError(
            f"The 'target_names' parameter must be a list of the names of the {n_targets} "
            f"predicted targets, got {names!r}."
        )


def _check_max_columns(max_columns: Any) -> int:
    if not isinstance(max_columns, Integral) or max_columns < 1:
        raise ValueError(
            f"The 'max_columns' parameter must be a positive int, got {max_columns!r}."
        )
    return int(max_columns)


# ---------------------------------------------------------------------------------------------
# Panels


class _ArrayPanel(NamedTuple):
    """An array of columns or the predicted one: its values along the way, (n_steps, n_values)."""

    array: ArrayColumns
    path: np.ndarray
    x: Any = None
    is_target: bool = False

    @property
    def label(self) -> str:
        """Return the name of the array."""
        return self.array.name


class _Panel(NamedTuple):
    """A column of X or a predicted target: its values in the data, and along the way."""

    label: Hashable
    data: pd.Series
    path: pd.Series
    is_categorical: bool
    is_target: bool = False

    @property
    def color(self) -> str:
        """Return the colour of a line: targets stand out."""
        return PALETTE[1] if self.is_target else PALETTE[0]


def _holds_classes(column: pd.Series) -> bool:
    return column.dtype.kind not in "fiu"


def _array_path(
    decoded: pd.DataFrame, positions: Mapping[int, int], array: ArrayColumns
) -> np.ndarray:
    """Return an array's decoded values along the way, of shape (n_steps, n_values)."""
    return read_array(decoded, array._replace(columns=[positions[j] for j in array.columns]))


def _movements(
    every: Sequence[int | ArrayColumns],
    table: pd.DataFrame,
    decoded: pd.DataFrame,
    positions: Mapping[int, int],
    categorical: Collection[int],
) -> np.ndarray:
    """Compute how far each column or array moves, in standard deviations of the data.

    Returns
    -------
    ndarray of shape (n_columns,)
    """
    movement = np.full(len(every), np.nan)
    numbers: list[tuple[int, int]] = []
    is_plain = plain_columns(table)
    for i, what in enumerate(every):
        if isinstance(what, ArrayColumns):
            path = _array_path(decoded, positions, what)
            movement[i] = array_movement(path, read_array(table, what))
        elif what in categorical or not is_plain[what]:
            path = decoded.iloc[:, positions[what]]
            movement[i] = _movement(path, table.iloc[:, what], what in categorical)
        else:
            numbers.append((i, what))
    # thousands of columns of numbers are taken out of the tables at once
    own = [j for _, j in numbers]
    data = table.iloc[:, own].to_numpy(dtype=np.float64)
    paths = decoded.iloc[:, [positions[j] for j in own]].to_numpy(np.float64, na_value=np.nan)
    for (i, _), values, path in zip(numbers, data.T, paths.T, strict=True):
        scale = standard_deviation(values[~np.isnan(values)])
        movement[i] = float(np.ptp(path)) / scale if scale > 0 else np.nan
    return movement


def _movement(path: pd.Series, data: pd.Series, is_categorical: bool) -> float:
    """Compute how far a column moves, in standard deviations of the data."""
    known = data[data.notna()]
    if is_categorical:
        # two categories are sqrt(2) apart in one-hot values, whose variances sum to this
        frequencies = known.value_counts(normalize=True).to_numpy()
        variance = 1 - (frequencies**2).sum()
        changes = path.astype(object).nunique() > 1
        return np.sqrt(2 / variance) * changes if variance > 0 else np.nan
    scale = standard_deviation(as_floats(known))  # of these rows, as the frequencies above are
    return float(np.ptp(as_floats(path))) / scale if scale > 0 else np.nan


def array_movement(path: np.ndarray, data: np.ndarray) -> float:
    """Compute how far an array moves, in standard deviations of the data.

    Parameters
    ----------
    path : ndarray of shape (n_steps, n_values)
    data : ndarray of shape (n_samples, n_values)
        NaN where not measured.
    """
    known = ~np.isnan(data)
    n_known = np.maximum(known.sum(axis=0), 1)
    # in units of the largest one, so that no square overflows or is lost
    unit = np.max(np.abs(data), initial=0.0, where=known)
    if not unit > 0:
        return np.nan
    scaled = np.where(known, data / unit, 0.0)
    deviation = np.where(known, scaled - scaled.sum(axis=0) / n_known, 0.0)
    size = np.sqrt((deviation**2).sum(axis=0) / n_known)
    size[size <= _ROUNDING * np.abs(scaled).max(axis=0)] = 0.0  # a constant element
    total = np.linalg.norm(size)
    return float(np.linalg.norm(np.ptp(path / unit, axis=0)) / total) if total > 0 else np.nan


def _draw_array(
    ax: Axes, values: np.ndarray, panel: _ArrayPanel, unit: str, xlabel: str
) -> list[Artist]:
    """Draw an array at some values of the latent: lines in colours, or pictures in a row."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize
    from matplotlib.image import AxesImage

    is_line = len(panel.array.shape) == 1
    n_shown = min(_N_LINES if is_line else _N_IMAGES, len(values))
    steps = np.unique(np.round(np.linspace(0, len(values) - 1, n_shown)).astype(int))
    artists = list(
        panel.array.plot(
            ax,
            panel.path[steps],
            None,
            label="",
            unit=unit,
            x=panel.x,
            names=("decoded", ""),
            titles=[f"{v:.2g}".replace("-", "\N{MINUS SIGN}") for v in values[steps]],
        )
    )
    if artists and isinstance(artists[0], AxesImage):
        ax.set_xlabel(xlabel)
        colorbar_beside(artists[0], ax, unit)
    elif is_line:
        colors = ListedColormap(sequence_colors(256))
        scale = ScalarMappable(Normalize(values[0], values[-1]), colors)
        colorbar_beside(scale, ax, xlabel)
    return artists


def _draw_band(
    ax: Axes, data: pd.Series, quantiles: Any, band_kwargs: dict[str, Any] | None
) -> Rectangle | None:
    """Draw the band that most of the data lies in; none where nothing was measured."""
    from matplotlib.patches import Rectangle

    known = as_floats(data[data.notna()])
    if not len(known):
        return None
    style: dict[str, Any] = {"facecolor": _BAND_COLOR, "edgecolor": "none", "zorder": 0}
    style = combine_styles(style, band_kwargs, Rectangle)
    if "color" in style:  # matplotlib warns where the others stand beside it
        del style["facecolor"], style["edgecolor"]
    return ax.axhspan(*np.quantile(known, quantiles), **style)


def _draw_line(
    ax: Axes, values: np.ndarray, panel: _Panel, line_kwargs: dict[str, Any] | None
) -> Line2D:
    """Draw a column of numbers along the way."""
    from matplotlib.lines import Line2D

    style = combine_styles({"color": panel.color, "linewidth": 2}, line_kwargs, Line2D)
    (line,) = ax.plot(values, as_floats(panel.path), **style)
    return line


def _draw_categories(
    ax: Axes, values: np.ndarray, panel: _Panel, bar_kwargs: dict[str, Any] | None
) -> BarContainer:
    """Draw a bar for each range of the latent in which one category is decoded."""
    from matplotlib.patches import Rectangle

    codes, names = pd.factorize(panel.path.astype(object))
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    # one category passes into the next halfway between the two values they were decoded at
    halfway = (values[1:] + values[:-1]) / 2
    edges = np.concatenate([values[:1], halfway[starts[1:] - 1], values[-1:]])
    face = PALETTE[5] if panel.is_target else PALETTE[4]  # light: names stand on it
    style = combine_styles({"color": face, "height": 0.8}, bar_kwargs, Rectangle)
    bars = ax.barh(codes[starts], np.diff(edges), left=edges[:-1], **style)
    ax.set_yticks(
        np.arange(len(names)), [shorten(str(n), 24) for n in names], ha="left", fontsize="small"
    )
    ax.tick_params(axis="y", length=0, pad=-6)
    ax.set_ylim(max(len(names), 3) - 0.5, -0.5)  # from the top, bars no thicker than a third
    return bars
