"""The predictor for few rows: a Gaussian process of a table's columns, beside the network.

The network keeps encoder, decoder and latents. The Gaussian process takes the columns as they
enter the network, and in a chain the values that the stages before pass on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from .._gaussian_process._differentiable import ProcessMeans
from .._gaussian_process._process import GaussianProcesses
from .._tables._encoder import TableEncoder
from .._tables._layout import Encoded
from .._tables._splits import count_distinct_rows
from .._tables._target import NumericTarget

# With more distinct rows that are labelled, predictor="auto" leaves the target to the network; a
# Gaussian process that is asked for takes so many of them.
MOST_ROWS = 2000
# With more outputs, each of which would have a process, predictor="auto" takes the network.
MOST_OUTPUTS = 10
# A value farther from the mean than so many standard deviations counts as one so far: its square
# is then finite, and so is the prediction.
_FARTHEST = 1e100


class Passed(NamedTuple):
    """The columns and predictions that a stage's predictor has from the stages before, row by row.

    Parameters
    ----------
    values : ndarray of float64, shape (n_samples, n_passed)
        Columns of earlier stages as they enter these, then predictions in their units.
    is_number : ndarray of bool, shape (n_passed,)
        Which are numbers; the others are of one-hot groups.
    std : ndarray of shape (n_samples, n_predictions)
        Standard deviation of the predictions; 0 where it was measured or is not known. NaN where
        it was not asked for.
    n_own : int
        Number of the stage's own columns, behind which the latents stand in its table.
    unit : ndarray of shape (n_predictions,) or None, default=None
        Of predictions that are one array, such as a spectrum: the number they are divided by. None
        where each is divided by its own standard deviation.
    """

    values: np.ndarray
    is_number: np.ndarray
    std: np.ndarray
    n_own: int
    unit: np.ndarray | None = None

    @property
    def n_predictions(self) -> int:
        """The number of predictions, which are the last values."""
        return self.std.shape[1]

    def take(self, rows: Any) -> Passed:
        """Return some rows."""
        return self._replace(values=self.values[rows], std=self.std[rows])


class DenseValues(NamedTuple):
    """The positions of numbers and categories among the values that enter a network.

    Parameters
    ----------
    positions : dict of str to ndarray of int
        For each block, where its values are.
    is_number : ndarray of bool, shape (n_values,)
        Of all of them, block by block.
    columns : ndarray of int, shape (n_values,)
        The column of the table that each belongs to.
    """

    positions: dict[str, np.ndarray]
    is_number: np.ndarray
    columns: np.ndarray

    @classmethod
    def of(cls, table: TableEncoder, columns: Any) -> DenseValues:
        """Find the values of some columns by their positions in the table; arrays have none."""
        positions, is_number, owners = {}, [], []
        for name, codec in table.codecs.items():
            if codec.layout.shape or codec.has_cells:
                continue
            owner = codec.layout.spread(np.asarray(codec.entry_columns, dtype=int))
            positions[name] = np.flatnonzero(np.isin(owner, columns))
            is_number.append(positions[name] < codec.layout.n_numeric)
            owners.append(owner[positions[name]])
        if not positions:
            return cls({}, np.empty(0, dtype=bool), np.empty(0, dtype=int))
        return cls(positions, np.concatenate(is_number), np.concatenate(owners))

    def gather(self, blocks: dict[str, Encoded]) -> np.ndarray:
        """Return the values side by side, of shape (n_samples, n_values), in double precision."""
        parts = [blocks[name].values[:, own] for name, own in self.positions.items()]
        n_samples = len(next(iter(blocks.values())).values)
        return np.hstack([np.empty((n_samples, 0)), *parts])  # in double precision

    def gather_tensors(self, values: dict[str, Tensor]) -> list[Tensor]:
        """Return the values of each block, in double precision."""
        return [
            values[name][:, torch.from_numpy(own)].double() for name, own in self.positions.items()
        ]


@dataclass(frozen=True, eq=False)
class Head:
    """Gaussian processes of a table's columns and of the values that earlier stages pass on.

    Parameters
    ----------
    processes : GaussianProcesses
        Of each output, in the scaled units of the target.
    n_columns : int
        The number of the table's first columns that are inputs.
    n_passed, n_predictions : int
        The number of inputs that stages before pass on, and of the predictions among these.
    centre, scale : ndarray of shape (n_inputs,)
        By which inputs are scaled: own values, then passed ones.
    """

    processes: GaussianProcesses
    n_columns: int
    n_passed: int
    n_predictions: int
    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(
        cls,
        own: np.ndarray,
        is_number: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        passed: Passed | None,
        *,
        n_columns: int,
        seed: int,
    ) -> Head:
        """Fit the processes.

        Parameters
        ----------
        own : ndarray of shape (n_samples, n_values)
            The stage's own columns as they enter its network.
        is_number : ndarray of bool, shape (n_values,)
        y : ndarray of shape (n_samples, n_outputs)
            In scaled units, NaN where it is not known.
        sample_weight : ndarray of shape (n_samples,) or None
        passed : Passed or None
        n_columns : int
            The number of the table's first columns that are inputs.
        seed : int
            Of rows that are drawn, where there are too many.

        Returns
        -------
        Head

        Raises
        ------
        ValueError
            If an output is known in no row.
        """
        n_predictions = 0
        if passed is not None:
            n_predictions = passed.n_predictions
            own = np.hstack([own, passed.values])
            is_number = np.concatenate([is_number, passed.is_number])
        centre, scale = _affine(own, is_number, sample_weight)
        if passed is not None and passed.unit is not None:
            # a channel in which the few rows hardly differ may be strong in a new one
            scale[own.shape[1] - n_predictions :] = passed.unit
        widths = [own.shape[1] - n_predictions, n_predictions]
        processes = GaussianProcesses.fit(
            (own - centre) / scale,
            y,
            sample_weight,
            widths=[width for width in widths if width],
            max_rows=MOST_ROWS,
            seed=seed,
        )
        n_passed = 0 if passed is None else passed.values.shape[1]
        return cls(processes, n_columns, n_passed, n_predictions, centre, scale)

    @property
    def score(self) -> float:
        """R² of the leave-one-out predictions, the mean over outputs; NaN where it has none."""
        return float(np.mean(self.processes.leave_one_out_score()))

    def takes(self, passed: Passed | None) -> bool:
        """Return whether the inputs are those of the fit: alone, a stage is passed nothing."""
        return (passed is not None) == bool(self.n_passed)

    def mean(self, own: np.ndarray, passed: Passed | None) -> np.ndarray:
        """Predict, of shape (n_samples, n_outputs), in the scaled units of the target."""
        return self.processes.mean(self._inputs(own, passed))

    def std(self, own: np.ndarray, passed: Passed | None) -> np.ndarray:
        """Return the standard deviation of a new measurement, of shape (n_samples, n_outputs).

        The uncertainty of a passed prediction is in it, as far as the mean depends on it.
        """
        inputs = self._inputs(own, passed)
        squares = self.processes.std(inputs) ** 2
        if passed is not None:
            for i, std in enumerate(passed.std.T):
                if not std.any():
                    continue
                j = inputs.shape[1] - passed.n_predictions + i
                shift = np.zeros_like(inputs)
                shift[:, j] = std / self.scale[j]
                up, down = (self.processes.mean(inputs + s) for s in (shift, -shift))
                squares += ((up - down) / 2) ** 2
        return np.sqrt(squares)

    def _inputs(self, own: np.ndarray, passed: Passed | None) -> np.ndarray:
        values = own if passed is None else np.hstack([own, passed.values])
        with np.errstate(over="ignore"):
            scaled = (values - self.centre) / self.scale
        return np.clip(scaled, -_FARTHEST, _FARTHEST)

    # -- in files

    def to_state(self) -> dict[str, Any]:
        """Return plain values."""
        return {**vars(self), "processes": self.processes.to_state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Head:
        """Make a head from the state of ``to_state``."""
        processes = GaussianProcesses.from_state(state["processes"])
        return cls(**{**state, "processes": processes})


class HeadMean(nn.Module):
    """The mean of a head, with gradients by its inputs.

    Parameters
    ----------
    head : Head
    bounds : (ndarray, ndarray) of shape (n_outputs,)
        Of the target, in its scaled units.
    """

    centre: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, head: Head, bounds: tuple[np.ndarray, np.ndarray]) -> None:
        super().__init__()
        self.means = ProcessMeans(head.processes)
        named = ("centre", head.centre), ("scale", head.scale), ("low", bounds[0])
        for name, array in (*named, ("high", bounds[1])):
            self.register_buffer(name, torch.as_tensor(array, dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        """Predict, of shape (n_samples, n_outputs), in scaled units and double precision."""
        scaled = ((inputs - self.centre) / self.scale).clamp(-_FARTHEST, _FARTHEST)
        return self.means(scaled).clamp(self.low, self.high)


def _affine(
    values: np.ndarray, is_number: np.ndarray, sample_weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale of inputs; those of one-hot groups, and constant ones, stay."""
    mean = np.average(values, axis=0, weights=sample_weight)
    square = np.average((values - mean) ** 2, axis=0, weights=sample_weight)
    scale = np.sqrt(square)
    size = np.abs(values).max(axis=0, initial=0.0)
    varies = is_number & (scale > 1e-9 * size)  # else the rest is rounding
    return np.where(is_number, mean, 0.0), np.where(varies, scale, 1.0)


# ---------------------------------------------------------------------------------------------
# The choice


def choose_head(
    predictor: str,
    table: TableEncoder,
    target: NumericTarget,
    X: pd.DataFrame | np.ndarray,
    codes: np.ndarray,
    sample_weight: np.ndarray | None,
    passed: Passed | None,
    seed: int,
) -> Head | None:
    """Fit a Gaussian process, if it is asked for, or if "auto" prefers it for these rows.

    Parameters
    ----------
    predictor : {"network", "gaussian_process", "auto"}
    table : TableEncoder
        Fitted.
    target : NumericTarget
        Fitted.
    X : DataFrame or ndarray of shape (n_samples, n_features)
        Checked.
    codes : ndarray of shape (n_samples, n_outputs)
        The result of ``target.read``.
    sample_weight : ndarray of shape (n_samples,) or None
    passed : Passed or None
    seed : int
        Of rows that are drawn, where there are too many.

    Returns
    -------
    Head or None
        None where the network predicts.

    Raises
    ------
    ValueError
        If it is asked for, and the table or the target holds arrays.
    """
    if predictor == "network":
        return None
    array = _first_array(table, target)
    if array is not None:
        if predictor == "auto":
            return None
        raise ValueError(
            "The 'predictor' parameter is 'gaussian_process', which takes numbers and categories "
            f"alone, but {array} holds arrays; use 'network' or 'auto'."
        )
    n_columns = table.n_features if passed is None else passed.n_own
    encoded = target.encode(codes)
    y = encoded.values.astype(np.float64)
    if encoded.measured is not None:
        y[~encoded.measured] = np.nan
    if predictor == "auto" and y.shape[1] > MOST_OUTPUTS:
        return None
    if predictor == "auto" and _has_many_rows(X, n_columns, y, passed):
        return None
    dense = DenseValues.of(table, np.arange(n_columns))
    own = dense.gather(table.transform(X))
    try:
        head = Head.fit(
            own, dense.is_number, y, sample_weight, passed, n_columns=n_columns, seed=seed
        )
    except np.linalg.LinAlgError:
        if predictor == "auto":  # the network is at hand
            return None
        raise
    # not better than the mean, or not known: NaN is not above 0 either
    return None if predictor == "auto" and not head.score > 0 else head


def _first_array(table: TableEncoder, target: NumericTarget) -> str | None:
    """Name a block, or the target, that holds arrays."""
    for name, codec in table.codecs.items():
        if codec.layout.shape or codec.has_cells:
            return f"block {name!r}"
    return "the target" if target.layout.shape or target.cell_shape else None


def _has_many_rows(
    X: pd.DataFrame | np.ndarray, n_columns: int, y: np.ndarray, passed: Passed | None
) -> bool:
    """Return whether more distinct rows are labelled than a Gaussian process is fitted to."""
    labelled = np.flatnonzero(~np.isnan(y).all(axis=1))
    if len(labelled) <= MOST_ROWS:
        return False
    # the first of very many rows tell, unless most are equal: a copy of all would be large
    for rows in (labelled[: 2 * MOST_ROWS], labelled):
        own = X.iloc[rows, :n_columns] if isinstance(X, pd.DataFrame) else X[rows, :n_columns]
        others = None if passed is None else passed.values[rows]
        if count_distinct_rows(own, others, MOST_ROWS + 1) > MOST_ROWS:
            return True
    return False
