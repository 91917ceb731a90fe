"""The fit of one chain: its stages are configured, trained one after the other, then refined."""

from __future__ import annotations

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator

from .._tables._staged import StagedTable, StageTargets
from ._base import BaseSupervisedAutoencoder
from ._classifier import SupervisedAutoencoderClassifier
from ._ensemble import strata_of
from ._fitted import fitted_part
from ._out_of_fold import learn_out_of_fold
from ._passing import (
    PassedOn,
    PassedRows,
    check_frozen,
    iter_inputs,
    measured_targets,
)
from ._refinement import StageData, refine
from ._stages import (
    Stage,
    check_stage,
    encode_alike,
    fit_stage,
    heads_of,
    iter_stages,
    latents_of,
    naming,
    reads_kinds,
    set_stage_params,
)
from ._supervised import SupervisedAutoencoder
from ._validation import own_blocks


class TrainedStages(NamedTuple):
    """Stages that were trained one after the other.

    Parameters
    ----------
    rows : list of ndarray of int
        Which rows of the table each stage was trained on.
    data : list of StageData
        The data that each was trained on.
    n_latents : list of int
        Of each stage.
    gathered : PassedRows
        The values that they passed on; its plan knows what was measured.
    """

    rows: list[np.ndarray]
    data: list[StageData]
    n_latents: list[int]
    gathered: PassedRows


# ---------------------------------------------------------------------------------------------
# Before anything is trained


def configure_stages(
    estimators: list[Any],
    columns: dict[str, list[int]],
    target: StageTargets,
    n_components: Any,
    parameters: dict[str, Any],
    passthrough: bool | str,
) -> list[Stage]:
    """Clone each stage's estimator and pass the chain's parameters on.

    Parameters
    ----------
    estimators : list of {estimator, None}
        Of each stage; None where the target decides.
    columns : dict of str to list of int
        Positions of the own columns of each stage.
    target : StageTargets
    n_components : int, sequence of {int, None}, or None
        As the chain has it.
    parameters : dict of str to object
        Parameters that are set on every stage that has them, unless None.
    passthrough : bool or "auto"
        As the chain has it.

    Raises
    ------
    ValueError
        If there are not as many numbers of latents as stages.
    """
    names = list(columns)
    if n_components is None or isinstance(n_components, Integral):
        n_components = [n_components] * len(names)
    elif len(n_components) != len(names):
        raise ValueError(
            f"The 'n_components' parameter has {len(n_components)} numbers, but there are "
            f"{len(names)} stages: {names}."
        )
    stages = []
    for k, (name, estimator, n) in enumerate(zip(names, estimators, n_components, strict=True)):
        if estimator is None:
            estimator = default_estimator(name, target, is_first=k == 0, passthrough=passthrough)
        estimator = clone(estimator)
        set_stage_params(estimator, {**parameters, "n_components": n})
        stages.append(Stage(name, estimator, columns[name]))
    return stages


def default_estimator(
    name: str, target: StageTargets, *, is_first: bool, passthrough: bool | str
) -> SupervisedAutoencoder | SupervisedAutoencoderClassifier:
    """Return the default estimator of a stage, which depends on its target."""
    holds_labels = target.holds_labels(name)
    if holds_labels:
        target.doubt_labels(name)
    # a later scale may have few rows, and must not learn the latents' noise by heart
    alpha = {} if is_first else {"alpha": "auto"}
    if holds_labels:
        return SupervisedAutoencoderClassifier(**alpha)
    predictor = "auto" if passthrough else "network"  # without it, the chain of the paper
    if passthrough is True and not is_first:
        predictor = "gaussian_process"
    return SupervisedAutoencoder(predictor=predictor, **alpha)


def strata_of_scales(table: StagedTable, target: StageTargets, stages: list[Stage]) -> np.ndarray:
    """Return the stratum of each row; a bootstrap draw takes as many rows of each as it has.

    Parameters
    ----------
    table : StagedTable
    target : StageTargets
    stages : list of Stage
        Configured.

    Returns
    -------
    ndarray of int, shape (n_samples,)
    """
    kinds = pd.DataFrame({"scale": table.last_with(target.known(len(table)))})
    is_class = [True]
    if target.frame is not None:
        kinds = pd.concat([kinds, target.frame.reset_index(drop=True)], axis=1)
        classes = {
            j
            for stage in stages
            if is_classifier(stage.estimator)
            for j in target.columns[stage.name]
        }
        is_class += [j in classes for j in range(target.frame.shape[1])]
    return strata_of(kinds, is_class)


# ---------------------------------------------------------------------------------------------
# Training


def train_stages(
    stages: list[Stage],
    table: StagedTable,
    target: StageTargets,
    sample_weight: np.ndarray | None,
    whole: StagedTable,
    train_rows: str,
    passing: list[PassedOn | None],
) -> TrainedStages:
    """Check everything, then train configured stages in place, one after the other.

    Parameters
    ----------
    stages : list of Stage
    table : StagedTable
    target : StageTargets
    sample_weight : ndarray of shape (n_samples,) or None
    whole : StagedTable
        The table that this one was a part of: it has also rows of weight 0, and those that a
        member of an ensemble did not draw.
    train_rows : "own" or "all"
        As the chain has it.
    passing : list of {PassedOn, None}
        The inputs of each stage's predictor; measured values are not known yet.

    Raises
    ------
    ValueError, TypeError
        If a stage cannot be trained.
    """
    for k, stage in enumerate(stages):
        _set_columns(stage, k, whole)
    rows = table.training_rows(target.known(len(table)), train_rows)
    for stage, own in zip(stages, rows, strict=True):
        check_stage(stage, target, own)
    gathered, latents = PassedRows(table, passing), None
    trained = TrainedStages(rows, [], [], gathered)
    for k, (stage, own) in enumerate(zip(stages, rows, strict=True)):
        data = StageData(
            [table.stage(k, latents, own)],
            target.stage(stage.name, own),
            None if sample_weight is None else sample_weight[own],
        )
        with naming(stage.name):
            beside = gathered.to(k, stage, own)
            check_frozen(stage, beside)
            fit_stage(stage.estimator, data, beside)
            if whole.labels.is_frame and isinstance(stage.estimator, BaseSupervisedAutoencoder):
                fitted_part(stage.estimator).table.know_mixed(whole.own_columns(k))
            # what later stages are trained on; of the last stage, a row to count its latents
            later = np.unique(np.concatenate(rows[k + 1 :] or [own[:1]]))
            given = table.stage(k, latents, later)
            encoded = encode_alike(stage.estimator, given, table.seen(k)[later])
            passed = next((p for p in passing if p is not None and p.source == k), None)
            if passed is not None:
                known = measured_targets(stage, target)
                unseen = learn_out_of_fold(stage, table, data, own, later, beside, passed)
                gathered.learn(k, known, unseen, rows)
            gathered.add(k, stage, given, later)
        values = np.full((len(table), encoded.shape[1]), np.nan, dtype=encoded.dtype)
        values[later] = encoded
        latents = latents_of(stage, values)
        trained.data.append(data)
        trained.n_latents.append(encoded.shape[1])
    return trained


def _set_columns(stage: Stage, k: int, whole: StagedTable) -> None:
    """Set which columns of an estimator are categorical, and the blocks of its own columns."""
    # the whole table says which columns are categorical, and not the rows of a scale alone
    categorical = whole.categorical_columns(k) if reads_kinds(stage.estimator) else None
    if categorical is not None:
        stage.estimator.set_params(categorical_features=categorical)
    if k and isinstance(stage.estimator, BaseSupervisedAutoencoder):
        stage.estimator.set_params(blocks=own_blocks(stage.estimator.blocks, len(stage.columns)))


def refine_stages(
    stages: list[Stage],
    table: StagedTable,
    trained: TrainedStages,
    *,
    max_iter: int,
    seed: int,
    verbose: int,
) -> pd.DataFrame:
    """Train fitted stages on in place, all of them together.

    A Gaussian process that takes values of earlier stages is then fitted anew.

    Parameters
    ----------
    stages : list of Stage
        Trained one after the other.
    table : StagedTable
    trained : TrainedStages
    max_iter, seed, verbose : int
        As ``refine`` takes them.

    Returns
    -------
    DataFrame
        The history.

    Raises
    ------
    TypeError
        If a stage is no supervised autoencoder.
    """
    estimators, is_frozen = [], []
    for stage in stages:
        is_frozen.append(isinstance(stage.estimator, FrozenEstimator))
        estimators.append(stage.estimator.estimator if is_frozen[-1] else stage.estimator)
        if not isinstance(estimators[-1], BaseSupervisedAutoencoder):
            raise TypeError(
                f"With refine_iter={max_iter} all stages must be supervised "
                f"autoencoders; stage {stage.name!r} is a {type(estimators[-1]).__name__}."
            )
    # the rows of a stage go through all stages before it, whose latents change from now on
    data = [
        own._replace(
            tables=[seen for _, seen in iter_stages(table.take(own_rows), stages[: k + 1])]
        )
        for k, (own, own_rows) in enumerate(zip(trained.data, trained.rows, strict=True))
    ]
    history = refine(
        [stage.name for stage in stages],
        estimators,
        is_frozen,
        data,
        max_iter=max_iter,
        seed=seed,
        verbose=verbose,
    )
    _refit_heads(stages, trained)
    return history


def _refit_heads(stages: list[Stage], trained: TrainedStages) -> None:
    """Fit Gaussian processes of later stages anew: predictions and latents before have changed."""
    for k, (stage, own) in enumerate(zip(stages, trained.data, strict=True)):
        if not k or isinstance(stage.estimator, FrozenEstimator) or heads_of(stage) == [None]:
            continue
        *_, given = iter_inputs(stages[: k + 1], trained.gathered.of_rows(trained.rows[k]))
        stage.estimator._refit_head(given.table, own.y, own.sample_weight, given.passed)
