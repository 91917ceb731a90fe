"""What the stages of a fitted chain give, put together: predictions, and decoded columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.metrics import accuracy_score

from .._tables._input import to_pandas
from .._tables._target import r2
from .._tables._weights import scale_weights
from ._ensemble import mean_and_spread
from ._stages import Stage, StageTargets, as_fitted, naming


def predict_stages(
    walked: Iterable[tuple[Stage, Any]], wanted: dict[str, list[int]], *, as_labels: bool
) -> dict[int, np.ndarray]:
    """Give the prediction of each wanted column of y.

    Parameters
    ----------
    walked : iterable of (Stage, table)
        The stages, each with its table.
    wanted : dict of str to list of int
        Columns of y, by stage.
    as_labels : bool
        Whether a class is given as its label; else as the probabilities of all classes, of shape
        (n_samples, n_classes).

    Returns
    -------
    dict of int to ndarray of shape (n_samples,) or (n_samples, n_classes)
        By column of y.
    """
    outputs: dict[int, np.ndarray] = {}
    for stage, table in walked:
        if stage.name not in wanted:
            continue
        estimator, table = stage.estimator, as_fitted(stage.estimator, table)
        if not as_labels and is_classifier(estimator):
            if hasattr(estimator, "predict_proba"):
                values = estimator.predict_proba(table)
            else:
                is_class = estimator.predict(table)[:, None] == estimator.classes_
                values = is_class.astype(float)
            outputs[wanted[stage.name][0]] = values
        else:
            values = np.asarray(estimator.predict(table))
            columns = values.reshape(len(values), -1).T
            outputs |= dict(zip(wanted[stage.name], columns, strict=True))
    return outputs


def mean_of_members(
    outputs: list[dict[int, np.ndarray]], classes: dict[int, np.ndarray]
) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """Give the members' mean and spread; of a class the one of the largest mean probability.

    Parameters
    ----------
    outputs : list of dict
        Of each member, with probabilities of classes.
    classes : dict of int to ndarray of shape (n_classes,)
        Of the columns of y that hold some.

    Returns
    -------
    means, spreads : dict of int to ndarray of shape (n_samples,)
    """
    means, spreads = {}, {}
    for j in outputs[0]:
        mean, spread = mean_and_spread([own[j] for own in outputs], True)
        if j in classes:
            best = mean.argmax(axis=1)
            spread = spread[np.arange(len(spread)), best]
            mean = classes[j][best]
        means[j], spreads[j] = mean, spread
    return means, spreads


def score_of_members(
    outputs: list[dict[int, np.ndarray]],
    target: StageTargets,
    classes: dict[int, np.ndarray],
    sample_weight: np.ndarray | None,
) -> list[float]:
    """Score the mean of the members, stage by stage: R² of numbers, accuracy of classes.

    Parameters
    ----------
    outputs, classes
        As in ``mean_of_members``.
    target : StageTargets
    sample_weight : ndarray of shape (n_samples,) or None

    Returns
    -------
    list of float
        Of the stages with a known target; R² of several columns is their mean.
    """
    frame = target.frame
    assert frame is not None
    scores = []
    for name, own in target.columns.items():
        of_stage = []
        for j in own:
            known = frame.iloc[:, j].notna().to_numpy()
            if not known.any():
                continue
            truth = np.asarray(frame.iloc[known, j].tolist())
            mean, _ = mean_and_spread([output[j][known] for output in outputs], True)
            metric = r2
            if j in classes:
                metric, mean = accuracy_score, classes[j][mean.argmax(axis=1)]
            weight = None if sample_weight is None else scale_weights(sample_weight[known])[0]
            with naming(name):
                of_stage.append(metric(truth, mean, sample_weight=weight))
        if of_stage:
            scores.append(float(np.mean(of_stage)))
    return scores


def decode_stages(
    stages: list[Stage], Z: np.ndarray, n_latents: list[int], *, of_all: bool
) -> dict[int, pd.Series]:
    """Give the own columns of all stages, by position in X.

    Parameters
    ----------
    stages : list of Stage
        Fitted.
    Z : ndarray of shape (n_samples, n_latents)
        Of the last stage; each stage's decoder gives the latents of the one before. Or those of
        all stages side by side.
    n_latents : list of int
        Of each stage.
    of_all : bool
        Which of the two.

    Raises
    ------
    AttributeError
        If a stage has no ``inverse_transform``.
    ValueError
        If a stage does not give back what it was given.
    """
    given = np.split(Z, np.cumsum(n_latents)[:-1], axis=1) if of_all else None
    decoded: dict[int, pd.Series] = {}
    for k in reversed(range(len(stages))):
        name, estimator, columns = stages[k]
        if not hasattr(estimator, "inverse_transform"):
            raise AttributeError(
                f"Stage {name!r} is a {type(estimator).__name__} and has no inverse_transform."
            )
        table = to_pandas(estimator.inverse_transform(Z if given is None else given[k]))
        if not isinstance(table, pd.DataFrame):
            table = pd.DataFrame(np.asarray(table))
        n_columns = len(columns) + (n_latents[k - 1] if k else 0)
        if table.shape[1] != n_columns:
            raise ValueError(
                f"Stage {name!r} gives {table.shape[1]} columns back, and not its own "
                f"{len(columns)} with the {n_columns - len(columns)} latents before."
            )
        decoded |= {j: table.iloc[:, i] for i, j in enumerate(columns)}
        Z = table.iloc[:, len(columns) :].to_numpy(dtype=Z.dtype)
    return decoded


def join_columns(columns: dict[int, Any]) -> np.ndarray:
    """Make an array of columns by position; of objects, if they are not all of numbers.

    Returns
    -------
    ndarray of shape (n_samples, n_columns)
    """
    ordered = [np.asarray(columns[j]) for j in sorted(columns)]
    is_number = all(np.issubdtype(column.dtype, np.number) for column in ordered)
    return np.column_stack(ordered if is_number else [c.astype(object) for c in ordered])
