"""One stage of a chain at a time: its checks, its training, its latents."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from .._notices import notice
from .._tables._missing import take_rows
from .._tables._scales import check_names
from .._tables._splits import row_keys
from .._tables._staged import StagedTable, StageLatents, StageTargets
from ..exceptions import DivergenceError, FewRowsWarning
from ._base import BaseSupervisedAutoencoder
from ._fitted import fitted_part
from ._head import Head, Passed
from ._refinement import StageData
from ._unwrap import innermost, names_of_latents, unfrozen


class Stage(NamedTuple):
    """A stage of the chain.

    Parameters
    ----------
    name : str
    estimator : estimator
    columns : list of int
        Positions of the stage's own columns.
    """

    name: str
    estimator: Any
    columns: list[int]


def check_stages(stages: list, parameters: Collection[str]) -> list[str]:
    """Check the parameter ``stages`` without the data, and return the names.

    Parameters
    ----------
    stages : list
    parameters : collection of str
        Names that are taken.
    """
    for entry in stages:
        if not (isinstance(entry, tuple | list) and len(entry) == 3):
            raise ValueError(
                "The 'stages' parameter must be a list of tuples (name, estimator, columns), got "
                f"{entry!r} in it."
            )
    if not stages:
        raise ValueError("The 'stages' parameter must have at least one stage, got [].")
    names = check_names([name for name, _, _ in stages], "stages")
    taken = sorted(set(names) & set(parameters))
    if taken:
        raise ValueError(
            f"The 'stages' parameter must not have names that parameters have, got {taken}."
        )
    for name, estimator, _ in stages:
        if not (hasattr(estimator, "fit") and hasattr(estimator, "transform")):
            raise TypeError(
                f"The estimator of stage {name!r} must have the methods fit and transform, which "
                f"{estimator!r} lacks."
            )
    return names


# ---------------------------------------------------------------------------------------------
# Before a stage is trained


@contextmanager
def naming(stage: str) -> Iterator[None]:
    """Add the name of the stage to the message of an error."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if type(error) not in (ValueError, TypeError, DivergenceError):
            raise
        raise type(error)(f"In stage {stage!r}: {error}") from error


def set_stage_params(estimator: Any, values: dict[str, Any]) -> None:
    """Set parameters that are not None on an estimator, or on the last step of a pipeline."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    if isinstance(estimator, FrozenEstimator):
        return
    known = estimator.get_params(deep=False)
    estimator.set_params(
        **{name: v for name, v in values.items() if v is not None and name in known}
    )


def reads_kinds(estimator: Any) -> bool:
    """Return whether an estimator reads from its columns which of them are categorical."""
    if not isinstance(estimator, BaseSupervisedAutoencoder):
        return False
    chosen = estimator.categorical_features
    return isinstance(chosen, str) and chosen == "from_dtype"


def check_stage(stage: Stage, target: StageTargets, rows: np.ndarray) -> None:
    """Refuse, before anything is trained, rows or a target that a stage cannot be trained on."""
    if isinstance(stage.estimator, FrozenEstimator):
        return
    if len(rows) < 2:
        raise ValueError(
            f"Stage {stage.name!r} has {len(rows)} row(s) to train on (n_samples={len(rows)}); at "
            "least 2 are needed."
        )
    if not target.columns[stage.name]:
        return
    if not hasattr(stage.estimator, "predict"):
        raise TypeError(
            f"Stage {stage.name!r} has a target, but its estimator has no predict: "
            f"{stage.estimator!r}."
        )
    if not target.known_of(stage.name)[rows].any():
        elsewhere = target.known_of(stage.name).sum()
        raise ValueError(
            f"The target of stage {stage.name!r} has no measured row among the {len(rows)} rows "
            f"that it is trained on ({elsewhere} are measured in rows of other scales)."
        )
    if target.known_of(stage.name)[rows].sum() == 1:
        notice(
            f"The target of stage {stage.name!r} is known in one of the {len(rows)} rows that it "
            "is trained on: it says nothing about how the target varies.",
            FewRowsWarning,
        )


# ---------------------------------------------------------------------------------------------
# One stage, trained and asked


def fit_stage(estimator: Any, data: StageData, passed: Passed | None = None) -> None:
    """Fit a stage's estimator, unless it is frozen.

    Parameters
    ----------
    estimator : estimator
    data : StageData
    passed : Passed or None
        Inputs of its predictor beside the table; only a supervised autoencoder has such.
    """
    (table,), y, weight = data
    if isinstance(estimator, FrozenEstimator):
        estimator.fit(table, y)  # checks that it was fitted
        return
    if y is not None and not getattr(innermost(estimator), "_takes_unlabelled_rows", False):
        missing = pd.isna(pd.DataFrame(y)).any(axis=1).to_numpy()
        if missing.any():
            table, y = table[~missing], np.asarray(y)[~missing]
            weight = None if weight is None else weight[~missing]
    parameters = {}
    if weight is not None:
        prefix, last = "", estimator
        while isinstance(last, Pipeline):
            prefix, last = f"{prefix}{last.steps[-1][0]}__", last.steps[-1][1]
        if not has_fit_parameter(last, "sample_weight"):
            raise TypeError(f"{type(last).__name__} cannot be fitted with sample_weight.")
        parameters[f"{prefix}sample_weight"] = weight
    if passed is not None:
        estimator._fit_beside(table, y, **parameters, passed=passed)
    else:
        estimator.fit(table, y, **parameters)


def as_fitted(estimator: Any, table: pd.DataFrame | np.ndarray) -> pd.DataFrame | np.ndarray:
    """Convert the table of a frozen estimator to an array, if it was fitted with one."""
    if not isinstance(estimator, FrozenEstimator) or not isinstance(table, pd.DataFrame):
        return table
    return table if hasattr(estimator, "feature_names_in_") else table.to_numpy()


def predict_stage(
    stage: Stage,
    table: pd.DataFrame | np.ndarray,
    passed: Passed | None,
    *,
    as_labels: bool,
) -> np.ndarray:
    """Return a stage's prediction, of shape (n_samples,) or (n_samples, n_outputs).

    Parameters
    ----------
    stage : Stage
    table : DataFrame or ndarray
        The stage's own.
    passed : Passed or None
        Inputs of its predictor beside it.
    as_labels : bool
        Whether a class is given as its label; else as the probabilities of all classes, of shape
        (n_samples, n_classes).
    """
    estimator, table = stage.estimator, as_fitted(stage.estimator, table)
    if not as_labels and is_classifier(estimator):
        if hasattr(estimator, "predict_proba"):
            return estimator.predict_proba(table)
        # as if it were sure, so that members can be averaged all the same
        return (estimator.predict(table)[:, None] == estimator.classes_).astype(float)
    if passed is not None:
        return np.asarray(estimator._predict_beside(table, passed))
    return np.asarray(estimator.predict(table))


def heads_of(stage: Stage) -> list[Head | None]:
    """Return the head of each member of a fitted stage; None of a network that predicts alone."""
    estimator = unfrozen(innermost(unfrozen(stage.estimator), steps=False))
    if not isinstance(estimator, BaseSupervisedAutoencoder):
        return [None]
    return [fitted_part(member).head for member in estimator.members_]


def predict_with_std(
    stage: Stage, table: pd.DataFrame | np.ndarray, passed: Passed | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a stage's prediction, and its standard deviation where a Gaussian process predicts.

    The spread of an ensemble's members alone is not that of the error.

    Parameters
    ----------
    stage, table, passed
        As in ``predict_stage``.

    Returns
    -------
    prediction : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Of classes, their probabilities.
    std : ndarray of the same shape, or None
    """
    if not any(head is not None and head.takes(passed) for head in heads_of(stage)):
        return predict_stage(stage, table, passed, as_labels=False), None
    estimator = unfrozen(innermost(unfrozen(stage.estimator), steps=False))
    return estimator._predict_beside(as_fitted(stage.estimator, table), passed, return_std=True)


def transform_stage(estimator: Any, table: pd.DataFrame | np.ndarray) -> np.ndarray:
    """Return an estimator's output as an array of shape (n_samples, n_latents)."""
    Z = estimator.transform(as_fitted(estimator, table))
    Z = np.asarray(Z.toarray() if hasattr(Z, "toarray") else Z)
    if Z.ndim != 2:
        raise ValueError(
            f"{type(estimator).__name__} gave latents of shape {Z.shape}; they must have two "
            "dimensions."
        )
    return Z


def encode_stage(estimator: Any, table: pd.DataFrame | np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the latents for the next stage: NaN for rows without a measured value so far."""
    if seen.all():
        return transform_stage(estimator, table)
    # of rows without anything measured there are no latents, but for their number
    encoded = transform_stage(estimator, table[seen] if seen.any() else table)
    latents = np.full((len(table), encoded.shape[1]), np.nan, dtype=encoded.dtype)
    if seen.any():
        latents[seen] = encoded
    return latents


def encode_alike(estimator: Any, table: pd.DataFrame | np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Encode training rows: equal rows get exactly equal latents.

    A matrix product may round equal rows differently. The next stage tells replicates, which
    early stopping must not part, by their equal content.
    """
    _, first, group = np.unique(row_keys(table), return_index=True, return_inverse=True)
    if len(first) == len(group):
        return encode_stage(estimator, table, seen)
    if isinstance(unfrozen(estimator), BaseSupervisedAutoencoder):
        fitted_part(unfrozen(estimator)).table.notice_unseen(table)  # counted in all rows
    return encode_stage(estimator, take_rows(table, first), seen[first])[group]


def latents_of(stage: Stage, values: np.ndarray) -> StageLatents:
    """Return a stage's latents with their names, for the next stage."""
    names = names_of_latents(stage.estimator, values.shape[1])
    return StageLatents(values, [(stage.name, name) for name in names])


def iter_stages(
    table: StagedTable, stages: list[Stage]
) -> Iterator[tuple[Stage, pd.DataFrame | np.ndarray]]:
    """Send a table through fitted stages; yield each stage with its table."""
    latents = None
    for k, stage in enumerate(stages):
        own = table.stage(k, latents)
        yield stage, own
        if k + 1 < len(stages):
            latents = latents_of(stage, encode_stage(stage.estimator, own, table.seen(k)))
