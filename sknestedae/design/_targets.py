"""What is wanted of a target, and how far a prediction is from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from torch import Tensor

from .._estimators._differentiable import DifferentiableChain
from .._estimators._fitted import fitted_part


@dataclass
class DesignObjective:
    """What is wanted of one column of y.

    Parameters
    ----------
    column : int
        Of y.
    stage, output : int
        Which stage predicts it, and as which of its outputs.
    name : str
        For tables and messages.
    kind : "value", "range", "max", "min" or "class"
    low, high : float
        Wanted range; the same number twice of a value.
    label : object
        Wanted class, and ``code``, its position.
    scale : float
        Unit of what is missed: the standard deviation of the known rows' predictions.
    tolerance : float
        Within which a value is met; how far within its ends a range is aimed at, at most.
    """

    column: int
    stage: int
    output: int
    name: str
    kind: str
    low: float = np.nan
    high: float = np.nan
    label: Any = None
    code: int = -1
    scale: float = 1.0
    tolerance: float = 0.0

    def loss(self, prediction: Tensor) -> Tensor:
        """Say how much is missed, of shape (n_samples,).

        Parameters
        ----------
        prediction : Tensor of shape (n_samples,)
            In the units of y; of a class the probability of the wanted one.
        """
        if self.kind == "class":
            return -prediction.clamp(min=torch.finfo(prediction.dtype).tiny).log()
        if self.kind in ("max", "min"):
            return (prediction if self.kind == "min" else -prediction) / self.scale
        # a range is aimed at from within: at its very end, half of what is true is outside
        margin = min((self.high - self.low) / 4, self.tolerance)
        low, high = self.low + margin, self.high - margin
        missed = (low - prediction).clamp(min=0) + (prediction - high).clamp(min=0)
        return (missed / self.scale) ** 2

    def is_met(self, prediction: np.ndarray) -> np.ndarray:
        """Tell which predictions, of shape (n_samples,), are what is wanted."""
        if self.kind == "class":
            return np.asarray(prediction == self.label)
        if self.kind in ("max", "min"):
            return np.ones(len(prediction), dtype=bool)
        slack = self.tolerance if self.kind == "value" else 0.0
        values = prediction.astype(float)
        return (values >= self.low - slack) & (values <= self.high + slack)

    def describe(self) -> str:
        """Write the wish, for a message."""
        if self.kind == "class":
            return repr(self.label)
        if self.kind == "value":
            return f"{self.low:g} +- {self.tolerance:.3g}"
        return f"{self.low:g} to {self.high:g}" if self.kind == "range" else self.kind


def read_objectives(target: Any, flow: DifferentiableChain) -> list[DesignObjective]:
    """Read the parameter ``target``.

    Raises
    ------
    ValueError
        If it names no target of the estimator, or what is wanted of one makes no sense.
    """
    outputs = outputs_of(flow)
    names = [name for name, *_ in outputs]
    if not isinstance(target, Mapping):
        if len(outputs) > 1:
            raise ValueError(
                f"The 'target' parameter must be a dict, as the estimator predicts {names}: such "
                f"as {{{names[-1]!r}: 'max'}}, got {target!r}."
            )
        target = {0: target}
    if not target:
        raise ValueError("The 'target' parameter must want something, got {}.")
    wishes: list[DesignObjective] = []
    for key, wanted in target.items():
        column = position_of(key, names, "target")
        if column in [wish.column for wish in wishes]:
            raise ValueError(f"The 'target' parameter names the target {names[column]!r} twice.")
        name, stage, output = outputs[column]
        wishes.append(_wish(wanted, DesignObjective(column, stage, output, name, ""), flow))
    return wishes


def outputs_of(flow: DifferentiableChain) -> list[tuple[str, int, int]]:
    """Give name, stage and position of each column of y, in its order."""
    found = {}
    targets = getattr(flow.estimator, "targets_", None)
    for k, (name, estimator) in enumerate(zip(flow.names, flow.estimators, strict=True)):
        fitted_target = fitted_part(estimator).target
        if fitted_target is None:
            continue
        n_columns = 1 if is_classifier(estimator) else fitted_target.layout.n_values
        columns = list(range(n_columns)) if targets is None else targets[name]
        for i, column in enumerate(columns):
            label = name or "target"
            found[column] = (label if len(columns) == 1 else f"{label} {i}", k, i)
    return [found[column] for column in sorted(found)]


def position_of(key: Any, names: list[str], parameter: str) -> int:
    """Give the position of the column of y that a key of a parameter names, or counts."""
    if key in names:
        return names.index(key)
    is_index = isinstance(key, Integral) and not isinstance(key, bool)
    if is_index and 0 <= key < len(names):
        return int(key)
    raise ValueError(
        f"The '{parameter}' parameter names {key!r}; the estimator predicts {names}, counted "
        "from 0."
    )


def _wish(wanted: Any, wish: DesignObjective, flow: DifferentiableChain) -> DesignObjective:
    estimator = flow.estimators[wish.stage]
    where = f"The 'target' parameter, for {wish.name!r},"
    if is_classifier(estimator):
        classes = estimator.classes_.tolist()
        if wanted not in classes:
            raise ValueError(f"{where} must be one of the classes {classes}, got {wanted!r}.")
        wish.kind, wish.label, wish.code = "class", wanted, classes.index(wanted)
        return wish
    if isinstance(wanted, str) and wanted in ("max", "min"):
        wish.kind = wanted
        return wish
    ends = (wanted, wanted) if isinstance(wanted, Real) else wanted
    is_pair = isinstance(ends, tuple | list | np.ndarray) and np.shape(ends) == (2,)
    if not is_pair or not all(isinstance(e, Real) and not np.isnan(float(e)) for e in ends):
        raise ValueError(
            f"{where} must be a number, a range (low, high), 'max' or 'min', got {wanted!r}."
        )
    low, high = (float(end) for end in ends)
    if low > high or (low == high and np.isinf(low)):
        raise ValueError(f"{where} must have low <= high, and one finite, got {wanted!r}.")
    wish.kind = "value" if isinstance(wanted, Real) else "range"
    wish.low, wish.high = low, high
    return wish
