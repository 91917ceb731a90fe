"""Conversion of a target, of numbers or of classes, to arrays and back.

A row without a label holds NaN, or the code -1 of classes. Nothing here knows of torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import r2_score
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from .._notices import noticing
from ._base_codec import BlockColumns, Codec, MakeCodec
from ._cells import array_columns, read_cell
from ._codec import TabularCodec
from ._dtypes import clip_to_float
from ._input import as_cells, read_target
from ._labels import ColumnLabels
from ._layout import Encoded, Layout
from ._text import remedy_of_target
from ._weights import scale_weights

# An error that is so many times the largest true value is as bad as any: its square is a number.
_HUGE = 2.0**400

# What a target of words is told that do not read as numbers.
_NUMBERS = (
    " If some of its text stands for numbers, convert it, such as with "
    "pd.to_numeric(y, errors='coerce')."
)

# Of more columns than this a message shows some.
_MANY = 12


def target_frame(y: Any) -> tuple[pd.DataFrame, bool]:
    """Return a target as a DataFrame of its columns, and whether it has one dimension.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Numbers or labels. A column of one dimension has no name. With more dimensions, one column
        of arrays, which has one dimension as well.
    """
    y = read_target(y, cells=True)
    if isinstance(y, pd.DataFrame):
        return y, False
    if isinstance(y, pd.Series):
        return y.rename(0).to_frame(), True
    values = np.asarray(y, dtype=object) if isinstance(y, list | tuple) else np.asarray(y)
    if values.ndim == 0:
        raise ValueError(f"y must have one dimension or more, got the number {y!r}.")
    if values.ndim > 2:
        numbers = values.astype(np.float64) if values.dtype == object else values
        return as_cells(numbers).set_axis([0], axis=1), True
    return pd.DataFrame(values).infer_objects(), values.ndim == 1


def stack_target(y: Any) -> Any:
    """Return a target whose cells hold arrays as one array; any other one as it is.

    Parameters
    ----------
    y : Series, DataFrame, ndarray or other
        As ``read_target`` gives it.

    Returns
    -------
    ndarray of float64, shape (n_samples, *shape), or y
        NaN in a row whose cell is missing.

    Raises
    ------
    ValueError
        If arrays have several shapes, or there is another column beside that of arrays.
    TypeError
        If a cell holds no array, or an array of other things than numbers.
    """
    if isinstance(y, pd.Series):
        frame = y.to_frame("y")
    elif isinstance(y, pd.DataFrame) or (isinstance(y, np.ndarray) and y.dtype == object):
        frame = pd.DataFrame(y)
    else:
        return y
    arrays = array_columns(frame)
    if not arrays:
        return y
    if frame.shape[1] > 1:
        raise ValueError(
            f"Column {frame.columns[arrays[0]]!r} of y holds arrays, so that it must be the only "
            f"one; but y has {frame.shape[1]} columns."
        )
    return _stack_cells(frame.iloc[:, 0])


def _stack_cells(column: pd.Series) -> np.ndarray:
    """Return the arrays in the cells of a target as one."""
    cells = []
    for i, value in enumerate(column):
        try:
            cells.append(read_cell(value))
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"Each row of y must hold an array of numbers, but row {i} holds {error}."
            ) from error
    first, shape = next((i, cell.shape) for i, cell in enumerate(cells) if cell is not None)
    stacked = np.full((len(cells), *shape), np.nan)
    for i, cell in enumerate(cells):
        if cell is not None and cell.shape != shape:
            raise ValueError(
                "Each row of y must hold an array of one shape, but row "
                f"{first} has {shape} and row {i} has {cell.shape}."
            )
        if cell is not None:
            stacked[i] = cell
    return stacked


def match_targets(y: pd.DataFrame, names: Sequence[str]) -> list[list[int]]:
    """Match the columns of a target to scales.

    Parameters
    ----------
    y : DataFrame of shape (n_samples, n_outputs)
    names : sequence of str
        The scales.

    Returns
    -------
    list of n_scales lists of int
        Positions of columns. One column belongs to the last scale, unless it is named after
        another.

    Raises
    ------
    ValueError
        If the columns are neither named after scales nor as many as scales.
    """
    given = [str(label[0] if isinstance(label, tuple) else label) for label in y.columns]
    names, distinct = list(names), list(dict.fromkeys(given))
    if set(distinct) <= set(names):
        owners = [names.index(label) for label in given]
    elif len(names) == 1 or len(given) == 1:
        owners = [len(names) - 1] * len(given)
    elif len(distinct) == len(names):
        owners = [distinct.index(label) for label in given]
    else:
        shown = given if len(given) <= _MANY else [*given[:2], "...", given[-1]]
        raise ValueError(
            f"y has {len(given)} columns, {shown}, but the scales are {names}: name each column "
            "after its scale, such as in a DataFrame with columns of two levels (scale, target), "
            "or give one column a scale. An array a row, such as a spectrum, is one column where "
            "its cells hold the arrays: pd.Series(list(y))."
        )
    return [[j for j, owner in enumerate(owners) if owner == k] for k in range(len(names))]


@np.errstate(invalid="ignore")  # scikit-learn adds all up, and so the largest of both signs
def read_numbers(y: Any, *, allow_nd: bool = False) -> np.ndarray:
    """Check a numeric target and return it as floats, NaN where it is not known.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    allow_nd : bool, default=False
        Whether it may have more dimensions, or arrays in its cells, as with a ``target_block``.

    Returns
    -------
    ndarray of float64, of the same shape
        Of cells that hold arrays, of shape (n_samples, *shape).

    Raises
    ------
    ValueError
        If it holds anything but numbers, or more dimensions than allowed.
    """
    given = read_target(y, cells=True)
    y = stack_target(given)
    shape = y.shape if hasattr(y, "shape") else np.asarray(y).shape
    if not allow_nd and (len(shape) > 2 or y is not given):
        raise ValueError(
            f"Each row of y is an array of shape {shape[1:]}; the 'target_block' parameter must "
            "say of which kind, such as SpectrumBlock() or ImageBlock(), got None."
        )
    try:
        if isinstance(y, pd.Series | pd.DataFrame):  # None and pd.NA become NaN
            y = y.to_numpy(dtype=np.float64, na_value=np.nan)
        return check_array(
            y,
            ensure_2d=False,
            allow_nd=allow_nd,
            dtype=np.float64,
            ensure_all_finite="allow-nan",
            input_name="y",
        )
    except ValueError as error:
        if "infinity" in str(error):
            raise ValueError(
                f"{error} A target must be finite, or NaN where it was not measured; the "
                "logarithm of zero is not finite."
            ) from error
        if "could not convert" not in str(error):
            raise
        raise ValueError(
            f"y must hold numbers: {error}. For classes there are "
            "SupervisedAutoencoderClassifier and DualAutoencoderClassifier."
            f"{remedy_of_target(given) or _NUMBERS} A missing target is an unlabelled row."
        ) from error


def read_labels(
    y: Any, rows: Any = slice(None), *, needs_label: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Check a target of classes.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels; NaN, None or pd.NA where a row is not labelled.
    rows : slice or mask
        Which rows to read.
    needs_label : bool
        Whether it is an error if no row is labelled.

    Returns
    -------
    labels : ndarray of shape (n_labelled,)
        Of one type, of the labelled rows.
    labelled : ndarray of bool, shape (n_rows,)
    """
    for label in y if isinstance(y, list) else ():
        if isinstance(label, tuple):  # NumPy would make columns of them
            raise TypeError(
                f"y contains {label!r}; a label must be a string, a number or a boolean."
            )
    y = read_target(y)
    if not isinstance(getattr(y, "dtype", None), np.dtype):
        # NumPy would make the word "nan" of a NaN beside words, and floats of nullable
        # integers and booleans.
        y = np.asarray(y, dtype=object)
    y = column_or_1d(y, warn=True)[rows]
    labelled = ~np.asarray(pd.isna(y), dtype=bool)
    if needs_label and not labelled.any():
        raise ValueError(f"y has no labelled row: all {len(y)} are missing.")
    labels = y[labelled]
    if labels.dtype == object:
        words = [label for label in labels if isinstance(label, str)]
        if 0 < len(words) < len(labels):
            other = next(label for label in labels if not isinstance(label, str))
            raise ValueError(
                f"y mixes strings with other labels, such as {words[0]!r} with {other!r}; convert "
                "them to one type, with NaN where nothing was measured."
            )
        labels = np.asarray(labels.tolist())
    if len(labels):
        assert_all_finite(labels, input_name="y")
        check_classification_targets(labels)
    return labels, labelled


def target_to_state(target: NumericTarget | ClassTarget | None) -> dict[str, Any] | None:
    """Return a fitted target as plain values."""
    return None if target is None else target.to_state()


def target_from_state(
    state: dict[str, Any] | None, make_codec: MakeCodec | None = None
) -> NumericTarget | ClassTarget | None:
    """Make a target from the state of ``target_to_state``; numbers with a new codec."""
    if state is None:
        return None
    if "classes" in state:
        return ClassTarget.from_state(state)
    return NumericTarget.from_state(state, make_codec)


def r2(truth: np.ndarray, prediction: np.ndarray, sample_weight: Any = None) -> float:
    """Return R² of a prediction, which is the same in any unit, of any scale of the weights.

    Parameters
    ----------
    truth, prediction : ndarray of shape (n_samples,)
    sample_weight : ndarray of shape (n_samples,), optional
    """
    truth, prediction = np.asarray(truth, np.float64), np.asarray(prediction, np.float64)
    # In units of the largest true value, squares are numbers; a power of two rounds nothing.
    _, power = np.frexp(np.max(np.abs(truth), initial=0.0))
    with np.errstate(over="ignore"):
        scaled = np.clip(np.ldexp(prediction, -power), -_HUGE, _HUGE)
    # infinity stays, for scikit-learn to refuse it
    scaled = np.where(np.isinf(prediction), prediction, scaled)
    if sample_weight is not None:
        sample_weight, _ = scale_weights(sample_weight)
    return r2_score(np.ldexp(truth, -power), scaled, sample_weight=sample_weight)


def pooled_r2(truth: np.ndarray, prediction: np.ndarray, sample_weight: Any = None) -> float:
    """Return R² of outputs that have one unit: their squared errors are pooled.

    Parameters
    ----------
    truth, prediction : ndarray of shape (n_samples, n_outputs)
        Entries where the truth is NaN do not count; deviations are from the mean of each output.
    sample_weight : ndarray of shape (n_samples,), optional

    Raises
    ------
    ValueError
        If the truth is NaN in all entries.
    """
    known = ~np.isnan(truth)
    if not known.any():
        raise ValueError("y has no labelled row to score with: all are NaN.")
    weight = known if sample_weight is None else known * np.reshape(sample_weight, (-1, 1))
    total = weight.sum(axis=0)
    values = np.where(known, truth, 0.0)
    mean = (weight * values).sum(axis=0) / np.where(total > 0, total, 1)
    error = (weight * (values - prediction) ** 2).sum()
    deviation = (weight * (values - mean) ** 2).sum()
    if deviation == 0:
        return 1.0 if error == 0 else 0.0
    return float(1 - error / deviation)


# What a target can be: its smallest and its largest value, None where there is no such bound.
Bounds = tuple[float | None, float | None]


class NumericTarget:
    """Target of one or more numbers, or of one array; standardised; NaN where not labelled.

    Parameters
    ----------
    standardize : bool
        Whether outputs are centred and scaled to unit variance.
    make_codec : callable, optional
        What makes the codec of a target that is one array, such as a spectrum; by default all
        outputs are numbers by themselves.
    bounds : (float or None, float or None), default=(None, None)
        Bounds of a number; a value outside is an error.

    Attributes
    ----------
    cell_shape : tuple of int
        Of one row's target, where it has more than one dimension; else ``()``.
    """

    _codec: Codec

    def __init__(
        self,
        standardize: bool,
        make_codec: MakeCodec | None = None,
        bounds: Bounds = (None, None),
    ) -> None:
        self.standardize = standardize
        self.bounds = bounds
        self.is_1d: bool | None = None
        self.cell_shape: tuple[int, ...] = ()
        self._make_codec = make_codec

    def read(self, y: Any, rows: Any = slice(None), *, needs_label: bool = True) -> np.ndarray:
        """Check a target and return some of its rows as floats of shape (n_rows, n_outputs)."""
        is_array = self._make_codec is not None
        y = read_numbers(y, allow_nd=is_array)
        shape, is_1d, number = y.shape[1:], y.ndim == 1, np.arange(len(y))[rows]
        y = y.reshape(len(y), -1)[rows]
        if self.is_1d is None:
            self._read_as = is_1d, shape if len(shape) > 1 else ()
        elif y.shape[1] != self.layout.n_numeric:
            raise ValueError(
                f"y has {y.shape[1]} outputs, but the estimator was fitted with "
                f"{self.layout.n_numeric}. Training that goes on keeps its outputs; for others, "
                "begin a new fit with the weights of the encoder, as 'For torch users' in the "
                "user guide shows."
            )
        elif len(shape) > 1 and shape != (self.cell_shape or self.layout.shape):
            raise ValueError(
                f"Each row of y has the shape {shape}, but the estimator was fitted with "
                f"{self.cell_shape or self.layout.shape}."
            )
        unlabelled = np.flatnonzero(np.isnan(y).all(axis=0))
        if needs_label and len(unlabelled):
            which = "y" if y.shape[1] == 1 else f"Output {unlabelled[0]} of y"
            raise ValueError(
                f"{which} has no labelled row: all {len(y)} are NaN. Without a target, pass "
                "y=None."
            )
        check_bounds(y, self.bounds, number)
        return y

    def strata(self, y: np.ndarray) -> np.ndarray:
        """Return whether rows are labelled, of shape (n_samples,)."""
        return (~np.isnan(y)).any(axis=1).astype(int)

    def fit(self, y: np.ndarray, rows: np.ndarray | None, weight: np.ndarray | None) -> None:
        """Learn means and scales from some rows of the result of ``read``.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_outputs)
        rows : ndarray of int, or None
            The rows to learn from; None for all.
        weight : ndarray of shape (n_samples,), or None
        """
        self.is_1d, self.cell_shape = self._read_as
        with _naming_y():
            codec = self._new_codec(y.shape[1])
            codec.prepare(y)
            self._codec = codec.fit(y, y.dtype, rows, weight)

    def _new_codec(self, n_outputs: int) -> Codec:
        labels = ColumnLabels(n_outputs, False, [], [], None)
        columns = BlockColumns(
            list(range(n_outputs)), labels, self.standardize, (), self.cell_shape
        )
        return (self._make_codec or TabularCodec)(columns)

    @property
    def layout(self) -> Layout:
        """The layout of the outputs."""
        return self._codec.layout

    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the scale that outputs are standardised with, of shape (n_outputs,).

        0 and 1 where they are not.
        """
        return self._codec.affine()

    def encode(self, y: np.ndarray) -> Encoded:
        """Standardise outputs that ``read`` gave, of shape (n_samples, n_outputs)."""
        with _naming_y():
            return self._codec.encode(y)

    def scaled_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of each standardised output, infinite where there is none."""
        mean, scale = self.affine()
        low, high = self.bounds
        return (
            ((-np.inf if low is None else low) - mean) / scale,
            ((np.inf if high is None else high) - mean) / scale,
        )

    def decode(self, prediction: np.ndarray) -> np.ndarray:
        """Convert predictions of shape (n_samples, n_outputs) to the units and the shape of y."""
        y = np.empty(prediction.shape)
        for positions, values in self._codec.decode(prediction):
            y[:, positions] = clip_to_float(values, np.dtype(np.float64))
        low, high = self.bounds
        if low is not None or high is not None:
            np.clip(y, low, high, out=y)  # the network keeps to them but for rounding
        if self.cell_shape:
            return y.reshape(len(y), *self.cell_shape)
        return y.ravel() if self.is_1d else y

    def to_state(self) -> dict[str, Any]:
        """Return the fitted state as plain values."""
        return {
            "standardize": self.standardize,
            "bounds": self.bounds,
            "is_1d": self.is_1d,
            "cell_shape": self.cell_shape,
            "n_outputs": self.layout.n_numeric,
            "codec": self._codec.get_state(),
        }

    @classmethod
    def from_state(
        cls, state: dict[str, Any], make_codec: MakeCodec | None = None
    ) -> NumericTarget:
        """Make a target from the state of ``to_state``."""
        target = cls(state["standardize"], make_codec, tuple(state["bounds"]))
        target.is_1d, target.cell_shape = state["is_1d"], tuple(state["cell_shape"])
        target._codec = target._new_codec(state["n_outputs"])
        target._codec.set_state(state["codec"])
        return target


def check_bounds(y: np.ndarray, bounds: Bounds, number: np.ndarray) -> None:
    """Refuse a target that is not within its bounds.

    Parameters
    ----------
    y : ndarray of shape (n_samples, n_outputs)
        NaN where it is not known.
    bounds : (float or None, float or None)
    number : ndarray of int, shape (n_samples,)
        Of each row, where others were left out.
    """
    low, high = bounds
    outside = np.zeros(y.shape, dtype=bool)
    if low is not None:
        outside |= y < low
    if high is not None:
        outside |= y > high
    if outside.any():
        row, k = np.argwhere(outside)[0]
        raise ValueError(
            f"The 'target_bounds' parameter says that a target is within {bounds}, but y is "
            f"{y[row, k]:g} in row {number[row]}, output {k} ({int(outside.sum())} values in all "
            "are outside)."
        )


class ClassTarget:
    """Target of one class, one-hot; missing where a row is not labelled.

    Parameters
    ----------
    classes : array-like, optional
        All classes there are; by default, those of the first target that is read.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
    """

    def __init__(self, classes: Any = None) -> None:
        self.classes: Any = None
        if classes is not None:
            self._take_classes(read_labels(classes)[0], "classes")

    def _take_classes(self, labels: np.ndarray, where: str) -> None:
        self.classes = np.unique(labels)
        if len(self.classes) < 2:
            raise ValueError(
                f"{where} has only one class, {self.classes.tolist()[0]!r}; a classifier needs at "
                "least two, in rows with a positive sample_weight."
            )

    def read(self, y: Any, rows: Any = slice(None), *, needs_label: bool = True) -> np.ndarray:
        """Check a target and return codes of some rows, of shape (n_rows,); -1 if not labelled."""
        labels, labelled = read_labels(y, rows, needs_label=needs_label)
        codes = np.full(len(labelled), -1)
        if not len(labels):
            return codes
        if self.classes is None:
            self._take_classes(labels, "y")
        position = np.searchsorted(self.classes, labels)
        # a label after all classes would be beyond the end
        position = np.minimum(position, len(self.classes) - 1)
        unknown = self.classes[position] != labels
        if unknown.any():
            raise ValueError(
                f"y contains the label {labels[unknown].tolist()[0]!r}, which is not one of the "
                f"classes {self.classes.tolist()}."
            )
        codes[labelled] = position
        return codes

    def strata(self, codes: np.ndarray) -> np.ndarray:
        """Return each row's class, -1 where it is not labelled; of shape (n_samples,)."""
        return codes

    def fit(self, codes: np.ndarray, rows: np.ndarray | None, weight: np.ndarray | None) -> None:
        """Learn nothing: the classes are all there is."""

    @property
    def layout(self) -> Layout:
        """The layout of the outputs: one group, with a value for each class."""
        return Layout(0, (len(self.classes),))

    def encode(self, codes: np.ndarray) -> Encoded:
        """Return the one-hot group of codes that ``read`` gave, of shape (n_samples,)."""
        labelled = codes >= 0
        values = np.eye(len(self.classes))[
            codes
        ]  # the code -1 reads the last class, and is not measured
        return Encoded(values, None if labelled.all() else labelled[:, None])

    def decode(self, prediction: np.ndarray) -> np.ndarray:
        """Return the class with the largest value in each row of (n_rows, n_classes)."""
        return self.classes[prediction.argmax(axis=1)]

    def to_state(self) -> dict[str, Any]:
        """Return the classes as plain values."""
        return {"classes": self.classes}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> ClassTarget:
        """Make a target from the state of ``to_state``."""
        target = cls()
        target.classes = state["classes"]
        return target


@contextmanager
def _naming_y() -> Iterator[None]:
    """Add "In y" to errors and warnings: the number of a column alone would seem one of X."""
    try:
        with noticing("In y"):
            yield
    except ValueError as error:
        raise ValueError(f"In y: {error}") from error
