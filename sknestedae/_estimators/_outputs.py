"""Outputs of fitted chains: latents, predictions and decoded columns of all stages as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier

from .._tables._input import to_pandas
from .._tables._staged import StagedTable
from ._ensemble import log_mean, mean_and_spread
from ._fitted_chain import FittedChain
from ._passing import StageInput
from ._stages import Stage, as_fitted, predict_stage, predict_with_std, transform_stage

# The values of some columns of y, by their positions.
Outputs = dict[int, np.ndarray]


# ---------------------------------------------------------------------------------------------
# Up the chain


def latents_of_chain(chain: FittedChain, table: StagedTable, *, of_all: bool) -> np.ndarray:
    """Return the latents of the last stage, or those of all stages side by side.

    Returns
    -------
    ndarray of shape (n_samples, n_latents)
    """
    tables = list(chain.iter_stages(table))
    if not of_all:
        tables = tables[-1:]
    return np.hstack([transform_stage(stage.estimator, own) for stage, own in tables])


def predict_chains(
    chains: list[FittedChain],
    table: StagedTable,
    *,
    only_last: bool = False,
    return_std: bool = False,
) -> Any:
    """Predict all targets, or those of the last stage alone.

    Parameters
    ----------
    chains : list of FittedChain
        The members of an ensemble, or the one chain.
    table : StagedTable
    only_last : bool
        Whether a table of a list is asked for, which has the target of its own stage.
    return_std : bool
        Whether to return the spread of the members as well.

    Returns
    -------
    ndarray of shape (n_samples,) or (n_samples, n_outputs), two of them, or None
        None if there is no such target.
    """
    first = chains[0]
    last = first.stages[-1].name
    wanted = {
        name: columns
        for name, columns in first.targets.items()
        if columns and (name == last or not only_last)
    }
    if not wanted:
        return None
    is_1d = first.y_is_1d or only_last
    if len(chains) == 1 and not return_std:
        return join_outputs(
            predict_stages(first.iter_inputs(table), wanted, as_labels=True), is_1d
        )
    if not return_std:
        outputs = outputs_of_members(chains, table, wanted)
        means, _ = mean_of_members(outputs, classes_of_targets(first))
        return join_outputs(means, is_1d)
    found = [
        outputs_with_stds(chain.iter_inputs(table, with_std=True), wanted) for chain in chains
    ]
    outputs, stds = [own for own, _ in found], [std for _, std in found]
    _check_stds(stds, wanted)
    if len(chains) == 1:
        # of a stage whose network predicts, beside one that knows its own
        stds = [{j: np.full(v.shape, np.nan) for j, v in outputs[0].items()} | stds[0]]
    means, spreads = mean_of_members(outputs, classes_of_targets(first), stds)
    return join_outputs(means, is_1d), join_outputs(spreads, is_1d)


def _check_stds(stds: list[Outputs], wanted: dict[str, list[int]]) -> None:
    """Refuse standard deviations of one chain without a Gaussian process."""
    if len(stds) == 1 and not stds[0]:
        raise ValueError(
            "return_std=True needs an ensemble or a Gaussian process: the chain's 'n_members' "
            "parameter must have been 2 or more in fit, got 1, or the 'predictor' parameter of "
            f"a stage among {list(wanted)} 'gaussian_process'."
        )


def predict_proba_chains(
    chains: list[FittedChain], table: StagedTable, *, return_std: bool
) -> Any:
    """Return the probabilities of the last stage's classes: the members' mean, and their spread.

    Returns
    -------
    ndarray of shape (n_samples, n_classes), or two of them
    """
    members = []
    for chain in chains:
        *_, (stage, own) = chain.iter_stages(table)
        members.append(stage.estimator.predict_proba(as_fitted(stage.estimator, own)))
    return mean_and_spread(members, return_std)


def predict_log_proba_chains(chains: list[FittedChain], table: StagedTable) -> np.ndarray:
    """Return the logarithms of the probabilities of the last stage's classes, of all members.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
    """
    members = []
    for chain in chains:
        *_, (stage, own) = chain.iter_stages(table)
        members.append(stage.estimator.predict_log_proba(as_fitted(stage.estimator, own)))
    return log_mean(members)


def outputs_of_members(
    chains: list[FittedChain], table: StagedTable, wanted: dict[str, list[int]]
) -> list[Outputs]:
    """Return each member's prediction of each wanted column of y, classes as probabilities."""
    return [predict_stages(chain.iter_inputs(table), wanted, as_labels=False) for chain in chains]


def classes_of_targets(chain: FittedChain) -> dict[int, np.ndarray]:
    """Return the classes of the columns of y that hold classes, of shape (n_classes,) each."""
    return {
        j: stage.estimator.classes_
        for stage in chain.stages
        for j in chain.targets[stage.name]
        if is_classifier(stage.estimator)
    }


def join_outputs(columns: Outputs, is_1d: bool) -> np.ndarray:
    """Make an array of predicted columns; a single one has one dimension where y had."""
    if len(columns) == 1 and is_1d:
        return next(iter(columns.values()))
    if any(values.ndim > 1 for values in columns.values()):
        columns = {j: _in_cells(values) for j, values in columns.items()}
    return join_columns(columns)


def _in_cells(values: np.ndarray) -> np.ndarray:
    """Return an array a row as an array of objects, of shape (n_samples,); all else as it is."""
    if values.ndim == 1:
        return values
    cells = np.empty(len(values), dtype=object)
    cells[:] = list(values)
    return cells


def predict_stages(
    inputs: Iterable[StageInput], wanted: dict[str, list[int]], *, as_labels: bool
) -> Outputs:
    """Return the prediction of each wanted column of y.

    Parameters
    ----------
    inputs : iterable of StageInput
        The stages, each with its inputs.
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
    outputs: Outputs = {}
    for stage, table, passed in inputs:
        if stage.name in wanted:
            values = predict_stage(stage, table, passed, as_labels=as_labels)
            outputs |= _by_column(values, wanted[stage.name])
    return outputs


def _by_column(values: np.ndarray, columns: list[int]) -> Outputs:
    """Return a stage's prediction by columns of y; arrays and probabilities belong to one."""
    if len(columns) == 1 and values[:1].size > 1:
        return {columns[0]: values}
    return dict(zip(columns, values.reshape(len(values), -1).T, strict=True))


def outputs_with_stds(
    inputs: Iterable[StageInput], wanted: dict[str, list[int]]
) -> tuple[Outputs, Outputs]:
    """Return the predictions of the wanted columns of y, and standard deviations beside them.

    Parameters
    ----------
    inputs : iterable of StageInput
        The stages, each with its inputs.
    wanted : dict of str to list of int
        Columns of y, by stage.

    Returns
    -------
    outputs : dict of int to ndarray
        Of all wanted columns; of classes, probabilities.
    stds : dict of int to ndarray
        Of those that Gaussian processes predict.
    """
    outputs: Outputs = {}
    stds: Outputs = {}
    for stage, table, passed in inputs:
        if stage.name in wanted:
            values, std = predict_with_std(stage, table, passed)
            outputs |= _by_column(values, wanted[stage.name])
            if std is not None:
                stds |= _by_column(std, wanted[stage.name])
    return outputs, stds


def mean_of_members(
    outputs: list[Outputs], classes: dict[int, np.ndarray], stds: list[Outputs] | None = None
) -> tuple[Outputs, Outputs]:
    """Return the members' mean and spread; for classes, the one with the largest mean probability.

    Parameters
    ----------
    outputs : list of dict
        Of each member, with probabilities of classes.
    classes : dict of int to ndarray of shape (n_classes,)
        Of the columns of y that hold some.
    stds : list of dict, optional
        Standard deviations of each member's predictions, of the columns where it has them.

    Returns
    -------
    means, spreads : dict of int to ndarray of shape (n_samples,)
    """
    means, spreads = {}, {}
    for j in outputs[0]:
        known = [] if stds is None else [own.get(j) for own in stds]
        mean, spread = mean_and_spread([own[j] for own in outputs], True, known)
        if j in classes:
            best = mean.argmax(axis=1)
            spread = spread[np.arange(len(spread)), best]  # of the probability of that class
            mean = classes[j][best]
        means[j], spreads[j] = mean, spread
    return means, spreads


# ---------------------------------------------------------------------------------------------
# Down the chain


def decode_chain(
    chain: FittedChain, Z: np.ndarray, index: pd.Index | None, *, of_all: bool
) -> pd.DataFrame | np.ndarray:
    """Return the own columns of all stages, in the order of ``fit``.

    Parameters
    ----------
    chain : FittedChain
    Z : ndarray of shape (n_samples, n_latents)
    index : Index or None
        Row labels of a DataFrame that is given; None: numbers of rows.
    of_all : bool
        Whether Z holds the latents of all stages side by side, or those of the last.

    Returns
    -------
    DataFrame or ndarray of shape (n_samples, n_columns)
        A DataFrame of pandas, if the fitted table had names of columns.
    """
    decoded = decode_stages(chain.stages, Z, chain.n_latents, of_all=of_all)
    if not chain.labels.is_frame:
        return join_columns(decoded)
    frame = pd.concat([decoded[j] for j in sorted(decoded)], axis=1)
    frame.columns = chain.labels.index()[sorted(decoded)]
    return frame if index is None else frame.set_axis(index, axis=0)


def decode_stages(
    stages: list[Stage], Z: np.ndarray, n_latents: list[int], *, of_all: bool
) -> dict[int, pd.Series]:
    """Return the own columns of all stages, by position in X.

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
        If a stage does not reconstruct as many columns as it was given.
    """
    given = np.split(Z, np.cumsum(n_latents)[:-1], axis=1) if of_all else None
    decoded: dict[int, pd.Series] = {}
    # from the last stage to the first: what a stage decodes holds the latents of the one before
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
