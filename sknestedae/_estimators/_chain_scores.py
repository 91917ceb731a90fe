"""Scores of fitted chains: of targets, of reconstructions and of single rows."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import accuracy_score

from .._tables._missing import take_rows
from .._tables._staged import StagedTable, StageTargets
from .._tables._target import pooled_r2, r2, stack_target
from .._tables._weights import scale_weights
from ._base import BaseSupervisedAutoencoder
from ._ensemble import mean_and_spread
from ._fitted_chain import FittedChain
from ._outputs import Outputs, classes_of_targets, outputs_of_members
from ._stages import as_fitted, naming
from ._unwrap import innermost, unfrozen


def score_reconstruction(
    chain: FittedChain, table: StagedTable, sample_weight: np.ndarray | None
) -> float:
    """Return the mean R² of the stages' reconstructions: own columns, and the latents before.

    Raises
    ------
    ValueError
        If no stage is a supervised autoencoder.
    """
    weight = {} if sample_weight is None else {"sample_weight": sample_weight}
    scores = []
    for stage, own in chain.iter_stages(table):
        if isinstance(unfrozen(innermost(stage.estimator)), BaseSupervisedAutoencoder):
            with naming(stage.name):
                scores.append(stage.estimator.score(own, **weight))
    if not scores:
        raise ValueError("Without y only supervised autoencoders have a score.")
    return float(np.mean(scores))


def score_targets(
    chains: list[FittedChain],
    table: StagedTable,
    target: StageTargets,
    sample_weight: np.ndarray | None,
) -> float:
    """Return the mean score of the stages with a known target.

    Parameters
    ----------
    chains : list of FittedChain
        The members of an ensemble, or the one chain.
    table : StagedTable
    target : StageTargets
    sample_weight : ndarray of shape (n_samples,) or None

    Raises
    ------
    ValueError
        If no target has a measured row.
    """
    if len(chains) > 1:
        wanted = {name: own for name, own in chains[0].targets.items() if own}
        outputs = outputs_of_members(chains, table, wanted)
        scores = score_of_members(outputs, target, classes_of_targets(chains[0]), sample_weight)
    else:
        scores = score_stages(chains[0], table, target, sample_weight)
    if not scores:
        raise ValueError("y has no labelled row to score with: all targets are missing.")
    return float(np.mean(scores))


def score_stages(
    chain: FittedChain,
    table: StagedTable,
    target: StageTargets,
    sample_weight: np.ndarray | None,
) -> list[float]:
    """Return the score of each stage with a known target, as its own estimator has it."""
    scores = []
    for stage, own, passed in chain.iter_inputs(table):
        rows = np.flatnonzero(target.known_of(stage.name))
        if not len(rows):
            continue
        weight = {} if sample_weight is None else {"sample_weight": sample_weight[rows]}
        with naming(stage.name):
            # the stage's estimator scores, be it a pipeline or a search with a scorer of its own
            part = as_fitted(stage.estimator, take_rows(own, rows))
            wanted = target.stage(stage.name, rows)
            if passed is None:
                scores.append(stage.estimator.score(part, wanted, **weight))
            else:
                score = stage.estimator._score_beside
                scores.append(score(part, wanted, weight.get("sample_weight"), passed.take(rows)))
    return scores


def score_of_members(
    outputs: list[Outputs],
    target: StageTargets,
    classes: dict[int, np.ndarray],
    sample_weight: np.ndarray | None,
) -> list[float]:
    """Score the mean of the members, stage by stage: R² of numbers, accuracy of classes.

    Errors of one array a row are pooled, as its own estimator does.

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
            mean, _ = mean_and_spread([output[j][known] for output in outputs], True)
            metric = r2
            truth = stack_target(frame.iloc[known, j])
            if isinstance(truth, np.ndarray):
                metric = pooled_r2
                truth, mean = truth.reshape(len(truth), -1), mean.reshape(len(mean), -1)
            else:  # metrics know no pandas dtype that could hold missing values
                truth = np.asarray(truth.tolist())
            if j in classes:
                metric, mean = accuracy_score, classes[j][mean.argmax(axis=1)]
            # metrics add weights up, of which the largest floats would overflow
            weight = None if sample_weight is None else scale_weights(sample_weight[known])[0]
            with naming(name):
                of_stage.append(metric(truth, mean, sample_weight=weight))
        if of_stage:
            scores.append(float(np.mean(of_stage)))
    return scores


def score_rows(chains: list[FittedChain], table: StagedTable) -> np.ndarray:
    """Compute how likely rows are: a log density, low for rows unlike the training rows.

    Returns
    -------
    ndarray of shape (n_samples,)
        The median, over members, of the sum over the stages at which a row was measured.
    """
    members = []
    for chain in chains:
        scores = np.zeros(len(table))
        for k, (stage, own) in enumerate(chain.iter_stages(table)):
            # of a scale at which nothing was measured, the latents before would be scored alone
            rows = np.flatnonzero(table.measured[:, k])
            if len(rows):
                part = as_fitted(stage.estimator, take_rows(own, rows))
                scores[rows] += unfrozen(stage.estimator).score_samples(part)
        members.append(scores)
    return np.median(members, axis=0)
