"""A display of true and predicted arrays, such as spectra, for rows of each quartile of error."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from .._ambient import isolated_but_output
from .._estimators._unwrap import check_one_table
from .._tables._input import as_array, check_same_rows, to_pandas
from ..blocks._drawing import as_images, color_limits, draw_images, draw_spectrum
from ._arrays import examples_by_quartile, row_errors, stack_cells
from ._base import check_has, colorbar_beside, core_of, make_axes, three_digits
from ._kinds import Kinds

_ERROR_NAMES = {"rmse": "RMSE", "mae": "MAE"}
_NAMES = ("true", "predicted")


class PairsDisplay:
    """True and predicted arrays of some rows from each quartile of the error.

    Spectra are two lines, images two pictures side by side on one colour scale. The rows are not
    chosen by eye: they are the middle ones of each quartile of the error, or drawn at random from
    it, so that good and bad ones are shown in their proportion.

    It is recommended to use :func:`~sknestedae.plotting.PairsDisplay.from_estimator` or
    :func:`~sknestedae.plotting.PairsDisplay.from_predictions` to create a display. All parameters
    are stored as attributes.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_channels) or (n_samples, ..., height, width)
        True arrays; NaN where not measured.
    y_pred : array-like of the same shape
        Predicted arrays of the same samples.
    x : array-like of shape (n_channels,), default=None
        Coordinates of the channels, such as energies. The name of a Series or an Index names the
        axis. None: the labels of a DataFrame's columns if they are numbers, else the number of the
        channel.
    shape : tuple of int, default=None
        Shape of the image of one row, where images are given flattened.
    inputs : array-like of shape (n_samples, ...), default=None
        The input of each prediction; an image or a spectrum is drawn beside it.
    input_x : array-like of shape (n_input_channels,), default=None
        Coordinates of the channels of inputs that are spectra.
    input_name : str, default="Input"
        Title of the inputs.
    error : {"rmse", "mae"} or callable, default="rmse"
        The error of a row: root of the mean squared, or mean absolute error over its measured
        elements; or a function of both arrays, of shape (n_samples, n_elements), that gives one
        number a row.
    label, unit : str, default=""
        Name of the elements, and their unit.

    Attributes
    ----------
    errors_ : ndarray of shape (n_samples,)
        Error of each row; NaN where nothing was measured.
    examples_ : DataFrame of shape (n_panels, 3)
        The ``row``, the ``quartile`` (from 1, with the smallest errors, to 4) and the ``error`` of
        each panel.
    axes_ : ndarray of shape (n_panels,) of matplotlib Axes
        Axes of the panels.
    input_axes_ : ndarray of shape (n_panels,) of matplotlib Axes, or None
        Axes of the inputs.
    artists_ : list of list of matplotlib Line2D or AxesImage
        The true and the predicted array of each panel.
    colorbar_ : matplotlib Colorbar or None
        Colour bar of the images.
    figure_ : matplotlib Figure
        Figure with the panels.

    See Also
    --------
    PairsDisplay.from_estimator : Predict, and draw.
    PairsDisplay.from_predictions : Draw arrays that were predicted before.
    PairsDisplay.from_translation : Translate one kind of data to another, and draw.
    LatentMapDisplay : The error of each pixel, as a map.
    ReconstructionDisplay : The same for reconstructions.
    sklearn.metrics.PredictionErrorDisplay : True and predicted numbers.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sknestedae.plotting import PairsDisplay
    >>> rng = np.random.RandomState(0)
    >>> energy = np.linspace(1, 3, 50)
    >>> y_true = np.exp(-((energy - rng.uniform(1.5, 2.5, size=(20, 1))) ** 2) / 0.1)
    >>> y_pred = y_true + rng.normal(scale=0.05, size=y_true.shape)
    >>> display = PairsDisplay.from_predictions(y_true, y_pred, x=energy)
    >>> display.examples_["quartile"].to_list()
    [1, 2, 3, 4]
    >>> plt.show()  # doctest: +SKIP
    >>> plt.close("all")
    """

    def __init__(
        self,
        y_true,
        y_pred,
        *,
        x=None,
        shape=None,
        inputs=None,
        input_x=None,
        input_name="Input",
        error="rmse",
        label="",
        unit="",
    ):
        self.y_true = y_true
        self.y_pred = y_pred
        self.x = x
        self.shape = shape
        self.inputs = inputs
        self.input_x = input_x
        self.input_name = input_name
        self.error = error
        self.label = label
        self.unit = unit

    def plot(
        self,
        ax=None,
        *,
        n_examples=1,
        random_state=None,
        n_cols=4,
        line_kwargs=None,
        image_kwargs=None,
    ):
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel, and before each one for its input, if there are
            inputs. If None, a new figure is made.
        n_examples : int, default=1
            Number of rows of each quartile.
        random_state : int, RandomState instance or None, default=None
            Seed of the rows that are drawn. None: those in the middle of each quartile.
        n_cols : int, default=4
            Largest number of axes side by side in a new figure.
        line_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`, for spectra.
        image_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.imshow`, such as `cmap`, for images.

        Returns
        -------
        display : :class:`~sknestedae.plotting.PairsDisplay`
            Object that stores the values and the artists.
        """
        true, predicted, shape = self._arrays()
        self.errors_ = row_errors(true, predicted, self.error)
        examples = examples_by_quartile(self.errors_, n_examples, random_state)
        rows = [row for row, _ in examples]
        self.examples_ = pd.DataFrame(examples, columns=["row", "quartile"])
        self.examples_["error"] = self.errors_[rows]
        inputs = self._inputs(len(true))
        n_each = 1 if inputs is None else 2
        size = (3.1, 2.7) if len(shape) == 1 else (3.1, 2.3)
        if n_each == 2 and isinstance(n_cols, Integral):  # an input beside its own pair
            n_cols = max(2, int(n_cols) // 2 * 2)
        is_tidy = len(shape) == 1 and inputs is None  # an image keeps its frame
        axes = make_axes(
            ax, n_each * len(rows), n_cols, panel_size=size, layout="constrained", is_tidy=is_tidy
        ).reshape(len(rows), n_each)
        self.axes_ = axes[:, -1]
        self.input_axes_ = None if inputs is None else axes[:, 0]
        self.figure_ = self.axes_[0].figure
        self.colorbar_ = None
        if len(shape) == 1:
            self._draw_lines(true[rows], predicted[rows], line_kwargs or {})
        else:
            self._draw_pictures(true[rows], predicted[rows], shape, image_kwargs)
        name = _ERROR_NAMES.get(self.error) if isinstance(self.error, str) else None
        name = name or getattr(self.error, "__name__", "error")
        for axes_of_row, (row, quartile) in zip(self.axes_, examples, strict=True):
            said = f"{name} {three_digits(self.errors_[row])} {self.unit}".rstrip()
            axes_of_row.set_title(f"Quartile {quartile}, row {row}\n{said}", fontsize="medium")
        if inputs is not None:
            _draw_inputs(axes[:, 0], inputs[rows], self.input_x, self.input_name)
        return self

    def _arrays(self) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
        """Return both as arrays of shape (n_samples, n_elements), and the shape of a row."""
        true, predicted = _read(self.y_true, "y_true"), _read(self.y_pred, "y_pred")
        if true.shape != predicted.shape:
            raise ValueError(
                f"y_true and y_pred must have the same shape, got {true.shape} and "
                f"{predicted.shape}."
            )
        if true.ndim < 2 or true.shape[1] < 2:
            raise ValueError(
                "y_true must have one array for each row, of shape (n_samples, n_channels) or "
                f"(n_samples, height, width), got {true.shape}. For numbers, use sklearn.metrics."
                "PredictionErrorDisplay."
            )
        shape = true.shape[1:]
        if self.shape is not None:
            given = tuple(self.shape)
            if np.prod(given) != np.prod(shape) or (len(shape) > 1 and given != shape):
                raise ValueError(
                    f"The 'shape' parameter must be that of a row, got {given}, but y_true has "
                    f"the shape {true.shape}."
                )
            shape = given
        if len(shape) == 1 and self.x is not None and np.shape(self.x) != shape:
            raise ValueError(
                f"The 'x' parameter must have a number for each of the {shape[0]} channels, got "
                f"an array of shape {np.shape(self.x)}."
            )
        n_samples = len(true)
        return true.reshape(n_samples, -1), predicted.reshape(n_samples, -1), shape

    def _inputs(self, n_samples: int) -> np.ndarray | None:
        """Return the inputs as an array of shape (n_samples, ...)."""
        if self.inputs is None:
            return None
        inputs = _read(self.inputs, "inputs")
        if len(inputs) != n_samples or inputs.ndim < 2:
            raise ValueError(
                f"The 'inputs' parameter must have an array for each of the {n_samples} rows, got "
                f"the shape {inputs.shape}."
            )
        return inputs

    def _draw_lines(
        self, true: np.ndarray, predicted: np.ndarray, line_kwargs: dict[str, Any]
    ) -> None:
        """Draw spectra, all on one vertical scale."""
        x = self.x
        if x is None and isinstance(self.y_true, pd.DataFrame):
            x = _numbers_of(self.y_true.columns)
        self.artists_: list[list[Any]] = []
        for axes, before, after in zip(self.axes_, true, predicted, strict=True):
            lines = draw_spectrum(
                axes,
                before,
                after,
                x=x,
                label=self.label,
                unit=self.unit,
                names=_NAMES,
                line_kwargs=line_kwargs,
            )
            self.artists_.append(list(lines))
            if axes is not self.axes_[0]:
                axes.get_legend().remove()
                axes.set_ylabel("")
        low, high = color_limits(np.concatenate([true, predicted]))
        margin = 0.05 * (high - low)
        for axes in self.axes_:
            axes.set_ylim(low - margin, high + margin)

    def _draw_pictures(
        self,
        true: np.ndarray,
        predicted: np.ndarray,
        shape: tuple[int, ...],
        image_kwargs: dict[str, Any] | None,
    ) -> None:
        """Draw images, all on one colour scale."""
        shown = np.concatenate([as_images(true, shape), as_images(predicted, shape)])
        self.artists_ = []
        for axes, before, after in zip(self.axes_, true, predicted, strict=True):
            images = draw_images(
                axes,
                before,
                after,
                shape=shape,
                names=_NAMES,
                limits=color_limits(shown),
                image_kwargs=image_kwargs,
            )
            self.artists_.append(list(images))
        label = f"{self.label} ({self.unit})" if self.label and self.unit else self.label
        last = self.artists_[-1][0]
        self.colorbar_ = colorbar_beside(last, self.axes_[-1], label or self.unit)

    @classmethod
    @isolated_but_output
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        x=None,
        shape=None,
        inputs=False,
        error="rmse",
        n_examples=1,
        random_state=None,
        label="",
        unit="",
        n_cols=4,
        ax=None,
        line_kwargs=None,
        image_kwargs=None,
    ):
        """Predict arrays, and draw them beside the true ones.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``predict``, or a pipeline or search that ends in one.
        X : {array-like, DataFrame} of shape (n_samples, n_features) or (n_samples, ...)
            The table that was fitted; best of rows that were held out (a test set).
        y : array-like of shape (n_samples, n_channels) or (n_samples, ..., height, width)
            True arrays; NaN where not measured.
        x : array-like of shape (n_channels,), default=None
            Coordinates of the channels, such as energies. The name of a Series or an Index names
            the axis. None: the labels of a DataFrame's columns if they are numbers, else the
            number of the channel.
        shape : tuple of int, default=None
            Shape of the image of one row, where images are given flattened. None: that of the
            estimator's `target_block`, where it has one with a shape.
        inputs : bool or array-like of shape (n_samples, ...), default=False
            The input to draw beside each pair: X, or another array, such as larger patches.
        error : {"rmse", "mae"} or callable, default="rmse"
            The error of a row, see :class:`~sknestedae.plotting.PairsDisplay`.
        n_examples : int, default=1
            Number of rows of each quartile.
        random_state : int, RandomState instance or None, default=None
            Seed of the rows that are drawn. None: those in the middle of each quartile.
        label, unit : str, default=""
            Name of the elements, and their unit.
        n_cols : int, default=4
            Largest number of axes side by side in a new figure.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel, and before each one for its input, if there are
            inputs. If None, a new figure is made.
        line_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`, for spectra.
        image_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.imshow`, such as `cmap`, for images.

        Returns
        -------
        display : :class:`~sknestedae.plotting.PairsDisplay`
            Object that stores the values and the artists.

        See Also
        --------
        PairsDisplay.from_predictions : Draw arrays that were predicted before.

        Examples
        --------
        >>> import numpy as np
        >>> from sknestedae import SupervisedAutoencoder
        >>> from sknestedae.plotting import PairsDisplay
        >>> rng = np.random.RandomState(0)
        >>> X = rng.uniform(size=(40, 2))
        >>> y = X[:, :1] * np.sin(np.linspace(0, 6, 32)) + X[:, 1:]
        >>> sae = SupervisedAutoencoder(2, max_iter=5, random_state=0).fit(X, y)
        >>> display = PairsDisplay.from_estimator(sae, X, y, unit="eV")
        >>> display.errors_.shape
        (40,)
        """
        caller = f"{cls.__name__}.from_estimator"
        check_has(estimator, ["predict"], caller)
        check_one_table(X, caller, "Pass the predictions to from_predictions.")
        X, y = to_pandas(X), to_pandas(y, "y")
        check_same_rows(X, y=y)
        y_pred = estimator.predict(X)
        if shape is None and np.ndim(y) == 2:
            shape = getattr(getattr(core_of(estimator), "target_block", None), "shape", None)
        if isinstance(inputs, bool | np.bool_):
            inputs = X if inputs else None
        return cls.from_predictions(
            y,
            y_pred,
            x=x,
            shape=shape,
            inputs=inputs,
            error=error,
            n_examples=n_examples,
            random_state=random_state,
            label=label,
            unit=unit,
            n_cols=n_cols,
            ax=ax,
            line_kwargs=line_kwargs,
            image_kwargs=image_kwargs,
        )

    @classmethod
    @isolated_but_output
    def from_translation(
        cls,
        estimator,
        X,
        source,
        target,
        *,
        inputs=True,
        average_poses=True,
        x=None,
        error="rmse",
        n_examples=1,
        random_state=None,
        label="",
        unit="",
        n_cols=4,
        ax=None,
        line_kwargs=None,
        image_kwargs=None,
    ):
        """Translate one kind of data to another, and draw it beside the true one.

        Parameters
        ----------
        estimator : estimator instance
            Fitted :class:`~sknestedae.DualAutoencoder`, or a pipeline or search that ends in one.
        X : array-like or DataFrame of shape (n_samples, n_features)
            The whole table; best of rows that were held out (a test set). Rows that lack one of
            the kinds are left out.
        source, target : str
            Names of the kind that is given and of the one that is drawn, an array such as a
            spectrum or an image. The same name twice draws the reconstruction.
        inputs : bool, default=True
            Whether the given kind is drawn beside each pair, where it is an array.
        average_poses : bool, default=True
            For a target whose latents do not hold its pose, such as an image with an
            ``invariance``: whether to draw the average over the poses. If not, each
            image comes in the pose of the true one, which no translation can know.
        x : array-like of shape (n_channels,), default=None
            Coordinates of the target's channels, such as energies. None: the labels of its columns
            if they are numbers, else the number of the channel.
        error : {"rmse", "mae"} or callable, default="rmse"
            The error of a row, see :class:`~sknestedae.plotting.PairsDisplay`.
        n_examples : int, default=1
            Number of rows of each quartile.
        random_state : int, RandomState instance or None, default=None
            Seed of the rows that are drawn. None: those in the middle of each quartile.
        label, unit : str, default=""
            Name of the target's elements, and their unit.
        n_cols : int, default=4
            Largest number of axes side by side in a new figure.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel, and before each one for its input, if there are
            inputs. If None, a new figure is made.
        line_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`, for spectra.
        image_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.imshow`, such as `cmap`, for images.

        Returns
        -------
        display : :class:`~sknestedae.plotting.PairsDisplay`
            Object that stores the values and the artists.

        Raises
        ------
        ValueError
            If there is no such kind, the target is not an array, or no row has both kinds.

        See Also
        --------
        AlignmentDisplay : Latents of several kinds, with lines between those of one row.

        Examples
        --------
        >>> import numpy as np
        >>> from sknestedae import DualAutoencoder
        >>> from sknestedae.blocks import DenseBlock, SpectrumBlock
        >>> from sknestedae.plotting import PairsDisplay
        >>> rng = np.random.RandomState(0)
        >>> peak = rng.uniform(size=(40, 1))
        >>> spectra = np.exp(-((np.linspace(0, 1, 20) - peak) ** 2) / 0.02)
        >>> X = np.hstack([spectra, peak])  # a spectrum and a number
        >>> blocks = [
        ...     ("spectrum", SpectrumBlock(), slice(0, 20)),
        ...     ("number", DenseBlock(), [20]),
        ... ]
        >>> dual = DualAutoencoder(1, blocks=blocks, max_iter=3, random_state=0).fit(X)
        >>> display = PairsDisplay.from_translation(dual, X, "number", "spectrum")
        >>> display.errors_.shape
        (40,)
        """
        table = Kinds.read(estimator, X, f"{cls.__name__}.from_translation")
        table.check(source, "source")
        table.check(target, "target")
        if target not in table.arrays:
            raise ValueError(
                "The 'target' parameter must name a kind that is one array, such as a spectrum or "
                f"an image; {target!r} is a table of {len(table.columns[target])} columns."
            )
        shape, given = table.arrays[target].shape, None
        if inputs and source in table.arrays:
            given = table.values(source).reshape(-1, *table.arrays[source].shape)
        predicted = table.translated(source, target, average_poses=average_poses)
        display = cls(
            table.values(target).reshape(-1, *shape),
            predicted.reshape(-1, *shape),
            x=table.axis(target) if x is None else x,
            inputs=given,
            input_x=None if given is None else table.axis(source),
            input_name=f"Given {source}",
            error=error,
            label=label,
            unit=unit,
        )
        return display.plot(
            ax,
            n_examples=n_examples,
            random_state=random_state,
            n_cols=n_cols,
            line_kwargs=line_kwargs,
            image_kwargs=image_kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true,
        y_pred,
        *,
        x=None,
        shape=None,
        inputs=None,
        error="rmse",
        n_examples=1,
        random_state=None,
        label="",
        unit="",
        n_cols=4,
        ax=None,
        line_kwargs=None,
        image_kwargs=None,
    ):
        """Draw arrays that were predicted before, by any model.

        Parameters
        ----------
        y_true : array-like of shape (n_samples, n_channels) or (n_samples, ..., height, width)
            True arrays; NaN where not measured.
        y_pred : array-like of the same shape
            Predicted arrays of the same samples.
        x : array-like of shape (n_channels,), default=None
            Coordinates of the channels, such as energies. The name of a Series or an Index names
            the axis. None: the labels of a DataFrame's columns if they are numbers, else the
            number of the channel.
        shape : tuple of int, default=None
            Shape of the image of one row, where images are given flattened.
        inputs : array-like of shape (n_samples, ...), default=None
            The input of each prediction; an image or a spectrum is drawn beside it.
        error : {"rmse", "mae"} or callable, default="rmse"
            The error of a row, see :class:`~sknestedae.plotting.PairsDisplay`.
        n_examples : int, default=1
            Number of rows of each quartile.
        random_state : int, RandomState instance or None, default=None
            Seed of the rows that are drawn. None: those in the middle of each quartile.
        label, unit : str, default=""
            Name of the elements, and their unit.
        n_cols : int, default=4
            Largest number of axes side by side in a new figure.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel, and before each one for its input, if there are
            inputs. If None, a new figure is made.
        line_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`, for spectra.
        image_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.imshow`, such as `cmap`, for images.

        Returns
        -------
        display : :class:`~sknestedae.plotting.PairsDisplay`
            Object that stores the values and the artists.

        Raises
        ------
        ValueError
            If the shapes differ, or a row is a number.

        See Also
        --------
        PairsDisplay.from_estimator : Predict, and draw.

        Examples
        --------
        >>> import numpy as np
        >>> from sknestedae.plotting import PairsDisplay
        >>> rng = np.random.RandomState(0)
        >>> y_true = rng.uniform(size=(12, 8, 8))
        >>> display = PairsDisplay.from_predictions(y_true, y_true * 0.9, n_examples=2)
        >>> len(display.axes_)
        8
        """
        display = cls(
            to_pandas(y_true, "y_true"),
            to_pandas(y_pred, "y_pred"),
            x=x,
            shape=shape,
            inputs=to_pandas(inputs, "inputs"),
            error=error,
            label=label,
            unit=unit,
        )
        return display.plot(
            ax,
            n_examples=n_examples,
            random_state=random_state,
            n_cols=n_cols,
            line_kwargs=line_kwargs,
            image_kwargs=image_kwargs,
        )


def _read(values: Any, name: str) -> np.ndarray:
    """Return arrays of all rows as floats, NaN where not measured."""
    values = stack_cells(values)
    try:
        if isinstance(values, pd.DataFrame | pd.Series):
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.ma.filled(np.ma.asarray(as_array(values), dtype=np.float64), np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers, and arrays of one shape: {error}") from error


def _numbers_of(labels: pd.Index) -> pd.Index | None:
    """Return labels of columns that are numbers, of two levels the second ones."""
    last = labels.get_level_values(-1).infer_objects()
    is_position = isinstance(labels, pd.RangeIndex)
    return last if pd.api.types.is_numeric_dtype(last) and not is_position else None


def _draw_inputs(axes: np.ndarray, inputs: np.ndarray, x: Any, name: str) -> None:
    """Draw the inputs of predictions, all on one scale."""
    shape, limits = inputs.shape[1:], color_limits(inputs)
    margin = 0.05 * (limits[1] - limits[0])
    for ax, values in zip(axes, inputs, strict=True):
        if len(shape) > 1:
            draw_images(ax, values.ravel(), shape=shape, limits=limits)
        else:
            draw_spectrum(ax, values, x=x)
            ax.set_ylim(limits[0] - margin, limits[1] + margin)
        ax.set_title(name, fontsize="medium")
