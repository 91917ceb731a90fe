"""The objectives of a design: the wanted values of targets, and losses of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from .._estimators._differentiable import DifferentiableChain
from .._tables._statistics import standard_deviation
from .._tables._target import ClassTarget
from ._acquisition import log_expected_improvement, upper_confidence_bound

# Without a tolerance, a value is met within this fraction of the spread of the predictions.
DEFAULT_TOLERANCE = 0.1
# In an acquisition function, a standard deviation counts as this large at least, in those of the
# predictions of the known rows.
_LEAST_STD = 1e-6

Acquisition = Literal["mean", "expected_improvement", "upper_confidence_bound"]
ACQUISITIONS: tuple[Acquisition, ...] = get_args(Acquisition)


class TargetColumn(NamedTuple):
    """One column of y.

    Attributes
    ----------
    name : str
        For tables and messages.
    stage, output : int
        The stage that predicts it, and the position among that stage's outputs.
    """

    name: str
    stage: int
    output: int


@dataclass
class DesignObjective:
    """The objective for one column of y: a value, a range, an extreme or a class.

    Parameters
    ----------
    column : int
        Position in y.
    stage, output : int
        The stage that predicts it, and the position among that stage's outputs.
    name : str
        For tables and messages.
    kind : {"value", "range", "max", "min", "class"}
    low, high : float
        Wanted range; for a value the same number twice.
    label : object
        Wanted class.
    code : int
        Its position among the classes.
    scale : float
        Unit of the loss: the standard deviation of the known rows' predictions.
    tolerance : float
        Largest difference from a wanted value; largest distance inside a range's ends to aim at.
    acquisition : {"mean", "expected_improvement", "upper_confidence_bound"}
        The criterion for "max" and "min".
    kappa : float
        Number of standard deviations of the upper confidence bound.
    best : float
        The best prediction of a known row, above which there is an improvement.
    """

    column: int
    stage: int
    output: int
    name: str
    kind: Literal["value", "range", "max", "min", "class"]
    low: float = np.nan
    high: float = np.nan
    label: Any = None
    code: int = -1
    scale: float = 1.0
    tolerance: float = 0.0
    acquisition: Acquisition = "mean"
    kappa: float = 0.0
    best: float = np.nan

    @property
    def is_bounded(self) -> bool:
        """Whether a prediction can meet it: "max" and "min" have no end."""
        return self.kind not in ("max", "min")

    @property
    def needs_std(self) -> bool:
        """Whether the loss depends on the standard deviation of a prediction."""
        return not self.is_bounded and self.acquisition != "mean"

    def loss(
        self, prediction: Tensor, std: Tensor | None = None, best: float | None = None
    ) -> Tensor:
        """Return the loss of predictions, of shape (n_samples,).

        Parameters
        ----------
        prediction : Tensor of shape (n_samples,)
            In the units of y; for a class the probability of the wanted one.
        std : Tensor of shape (n_samples,), optional
            Standard deviation of the prediction, where the acquisition needs one.
        best : float, optional
            In the place of the attribute.
        """
        if self.kind == "class":
            return -prediction.clamp(min=torch.finfo(prediction.dtype).tiny).log()
        if not self.is_bounded:
            gain = (prediction if self.kind == "max" else -prediction) / self.scale
            if not self.needs_std:
                return -gain
            assert std is not None
            # without any spread there is no slope, and no logarithm
            scaled = (std / self.scale).clamp(min=_LEAST_STD)
            if self.acquisition == "upper_confidence_bound":
                return -upper_confidence_bound(gain, scaled, self.kappa)
            known = (self.best if best is None else best) / self.scale
            known = known if self.kind == "max" else -known
            return -log_expected_improvement(gain, scaled, known)
        # a range is aimed at from within: at its very end, half of the true values are outside
        margin = min((self.high - self.low) / 4, self.tolerance)
        low, high = self.low + margin, self.high - margin
        missed = (low - prediction).clamp(min=0) + (prediction - high).clamp(min=0)
        return (missed / self.scale) ** 2

    def is_met(self, prediction: np.ndarray) -> np.ndarray:
        """Return which predictions, of shape (n_samples,), meet a bounded objective."""
        if self.kind == "class":
            return np.asarray(prediction == self.label)
        slack = self.tolerance if self.kind == "value" else 0.0
        values = prediction.astype(float)
        return (values >= self.low - slack) & (values <= self.high + slack)

    def describe(self) -> str:
        """Write the objective, for a message."""
        if self.kind == "class":
            return repr(self.label)
        if self.kind == "value":
            return f"{self.low:g} +- {self.tolerance:.3g}"
        return f"{self.low:g} to {self.high:g}" if self.kind == "range" else self.kind

    def describe_nearest(self, found: np.ndarray, known: np.ndarray) -> str:
        """Write the objective and the prediction that comes nearest, for a message.

        Parameters
        ----------
        found, known : ndarray of shape (n_candidates,) and (n_samples,)
            Predictions for the candidates and for the known rows.
        """
        text = f"{self.name} was to be {self.describe()}"
        if self.kind == "class":
            return text + f", predicted are {sorted(set(found.tolist()), key=str)}"
        values, known = found.astype(float), known.astype(float)
        nearest = found[np.abs(values - np.clip(values, self.low, self.high)).argmin()]
        return (
            f"{text}; nearest is {nearest:.4g}, and the known rows are predicted from "
            f"{known.min():.4g} to {known.max():.4g}"
        )


def read_objectives(target: Any, chain: DifferentiableChain) -> list[DesignObjective]:
    """Read the parameter ``target``.

    Raises
    ------
    ValueError
        If it names no target of the estimator, or an objective makes no sense.
    """
    columns = target_columns(chain)
    names = [column.name for column in columns]
    if not isinstance(target, Mapping):
        if len(columns) > 1:
            raise ValueError(
                f"The 'target' parameter must be a dict, as the estimator predicts {names}: such "
                f"as {{{names[-1]!r}: 'max'}}, got {target!r}."
            )
        target = {0: target}
    if not target:
        raise ValueError("The 'target' parameter must want something, got {}.")
    objectives: list[DesignObjective] = []
    for key, wanted in target.items():
        j = position_of(key, names, "target")
        if j in [objective.column for objective in objectives]:
            raise ValueError(f"The 'target' parameter names the target {names[j]!r} twice.")
        name, stage, output = columns[j]
        where = f"The 'target' parameter, for {name!r},"
        of_stage = chain.stages[stage].target
        n_outputs = 1 if of_stage is None else of_stage.layout.n_columns
        if n_outputs > 1 and sum(column.stage == stage for column in columns) == 1:
            raise ValueError(
                f"{where} asks for an array of {n_outputs} numbers in one column of y, none of "
                "which can be named; fit the stage to columns of numbers, such as one that is "
                "computed from the array."
            )
        given = (
            _read_class(wanted, of_stage.classes.tolist(), where)
            if isinstance(of_stage, ClassTarget)
            else _read_number(wanted, where)
        )
        objectives.append(DesignObjective(j, stage, output, name, **given))
    return objectives


def target_columns(chain: DifferentiableChain) -> list[TargetColumn]:
    """Return each column of y, in its order."""
    found = {}
    targets = getattr(chain.estimator, "targets_", None)
    for k, (name, stage) in enumerate(zip(chain.names, chain.stages, strict=True)):
        if stage.target is None:
            continue
        n_columns = 1 if isinstance(stage.target, ClassTarget) else stage.target.layout.n_values
        columns = list(range(n_columns)) if targets is None else targets[name]
        for i, column in enumerate(columns):
            label = name or "target"
            found[column] = TargetColumn(label if len(columns) == 1 else f"{label} {i}", k, i)
    return [found[column] for column in sorted(found)]


def position_of(key: Any, names: list[str], parameter: str) -> int:
    """Return the position of the column of y that a key of a parameter names, or counts."""
    if key in names:
        return names.index(key)
    is_index = isinstance(key, Integral) and not isinstance(key, bool)
    if is_index and 0 <= key < len(names):
        return int(key)
    raise ValueError(
        f"The '{parameter}' parameter names {key!r}; the estimator predicts {names}, counted "
        "from 0."
    )


def _read_class(wanted: Any, classes: list[Any], where: str) -> dict[str, Any]:
    """Read an objective for a class, as keyword arguments."""
    if wanted not in classes:
        raise ValueError(f"{where} must be one of the classes {classes}, got {wanted!r}.")
    return {"kind": "class", "label": wanted, "code": classes.index(wanted)}


def _read_number(wanted: Any, where: str) -> dict[str, Any]:
    """Read an objective for a number or a range, as keyword arguments."""
    if isinstance(wanted, str) and wanted in ("max", "min"):
        return {"kind": wanted}
    ends = (wanted, wanted) if isinstance(wanted, Real) else wanted
    is_pair = isinstance(ends, tuple | list | np.ndarray) and np.shape(ends) == (2,)
    if not is_pair or not all(isinstance(e, Real) and not np.isnan(float(e)) for e in ends):
        raise ValueError(
            f"{where} must be a number, a range (low, high), 'max' or 'min', got {wanted!r}."
        )
    low, high = (float(end) for end in ends)
    if low > high or (low == high and np.isinf(low)):
        raise ValueError(f"{where} must have low <= high, and one finite, got {wanted!r}.")
    return {"kind": "value" if isinstance(wanted, Real) else "range", "low": low, "high": high}


def set_scales(
    objectives: list[DesignObjective],
    prediction: np.ndarray,
    tolerance: float | Mapping[Any, float | None] | None,
    names: list[str],
) -> None:
    """Take each target's unit from the predictions for the known rows.

    Parameters
    ----------
    objectives : list of DesignObjective
        Their ``scale`` and ``tolerance`` are set.
    prediction : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        For the known rows.
    tolerance : float, dict or None
        As in ``propose``.
    names : list of str
        Of the columns of y.
    """
    columns = prediction.reshape(len(prediction), -1)
    given = _tolerances(objectives, tolerance, names)
    for objective in objectives:
        if objective.kind == "class":
            continue
        objective.scale = standard_deviation(columns[:, objective.column].astype(float)) or 1.0
        own = given.get(objective.column)
        objective.tolerance = DEFAULT_TOLERANCE * objective.scale if own is None else float(own)


def set_acquisition(
    objectives: list[DesignObjective],
    prediction: np.ndarray,
    acquisition: Acquisition,
    kappa: float,
) -> None:
    """Set the acquisition function of each maximum and minimum.

    Parameters
    ----------
    objectives : list of DesignObjective
        The ``acquisition``, ``kappa`` and ``best`` of each maximum and minimum are set.
    prediction : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        For the known rows.
    acquisition, kappa
        As in ``propose``.

    Raises
    ------
    ValueError
        If nothing is maximised or minimised, and the acquisition is for that alone.
    """
    sought = [objective for objective in objectives if not objective.is_bounded]
    if acquisition != "mean" and not sought:
        wanted = {objective.name: objective.describe() for objective in objectives}
        raise ValueError(
            f"The 'acquisition' parameter must be 'mean' where no target is 'max' or 'min', got "
            f"{acquisition!r} with the target {wanted}."
        )
    columns = prediction.reshape(len(prediction), -1)
    for objective in sought:
        objective.acquisition, objective.kappa = acquisition, float(kappa)
        known = columns[:, objective.column].astype(float)
        objective.best = float(known.max() if objective.kind == "max" else known.min())


def _tolerances(
    objectives: list[DesignObjective],
    tolerance: float | Mapping[Any, float | None] | None,
    names: list[str],
) -> dict[int, float | None]:
    """Return the tolerance of each column of y that has an objective."""
    wanted = [objective.column for objective in objectives]
    items = (
        tolerance.items() if isinstance(tolerance, Mapping) else [(j, tolerance) for j in wanted]
    )
    given: dict[int, float | None] = {}
    for key, value in items:
        column = position_of(key, names, "tolerance")
        if column not in wanted:
            raise ValueError(
                f"The 'tolerance' parameter names {key!r}, which has no wanted value in 'target'."
            )
        if column in given:
            raise ValueError(
                f"The 'tolerance' parameter names the target {names[column]!r} twice."
            )
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if value is not None and not (is_number and value > 0):
            raise ValueError(
                f"The 'tolerance' parameter must be positive, got {value!r} for {names[column]!r}."
            )
        given[column] = value
    return given
