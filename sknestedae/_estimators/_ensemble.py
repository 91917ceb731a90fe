"""Ensembles: members that differ by their seeds and, with ``bootstrap``, by their rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state

from .._compat import safe_indexing
from .._tables._columns import kinds_by_content
from .._tables._splits import bootstrap_rows
from .._tables._target import target_frame
from .._training._concurrent import run_concurrently
from ._fitted import fitted_part
from ._head import Passed


def make_members(estimator: BaseEstimator) -> list[BaseEstimator]:
    """Make the members of an ensemble, not fitted; the first is the single estimator."""
    members = [clone(estimator).set_params(n_members=1) for _ in range(estimator.n_members)]
    rng = check_random_state(estimator.random_state)
    seeds = rng.randint(2**31 - 1, size=estimator.n_members - 1)
    for member, seed in zip(members[1:], seeds, strict=True):
        member.set_params(random_state=int(seed))
    return members


def fit_members(
    members: list[BaseEstimator],
    X: Any,
    y: Any,
    sample_weight: Any,
    strata: np.ndarray | None,
    method: str,
    passed: Passed | None = None,
    **parameters: Any,
) -> None:
    """Fit the members side by side.

    Parameters
    ----------
    members : list of estimators
    X, y, sample_weight
        As in their ``fit``.
    strata : ndarray of shape (n_samples,) or None
        None: each member sees all rows. Else each sees rows drawn with replacement, as many from
        each stratum as it has.
    method : str
        The name of the method that fits a member.
    passed : Passed or None
        In a chain, the values that the stages before pass on.
    **parameters
        Of the method.
    """

    def fit(k: int) -> Any:
        data, own = [X, y, sample_weight], passed
        if strata is not None:
            # a new draw for each member, and for each part of a stream
            n_iter = getattr(members[k], "n_iter_", 0)
            rows = bootstrap_rows(strata, members[k].random_state, (k, n_iter))
            data = [None if part is None else safe_indexing(part, rows) for part in data]
            own = None if passed is None else passed.take(rows)
        *table, weight = data
        beside = {} if own is None else {"passed": own}
        return getattr(members[k], method)(*table, sample_weight=weight, **beside, **parameters)

    for task in run_concurrently([partial(fit, k) for k in range(len(members))]):
        if task.error is not None:
            raise task.error


def members_to_fit(estimator: BaseEstimator, *, resume: bool) -> list[BaseEstimator]:
    """Return the members of an ensemble to fit: new ones, or those to train on.

    Raises
    ------
    ValueError
        If there are to be more or fewer of them than in the last fit.
    """
    if not resume:
        return make_members(estimator)
    members = members_of(estimator)
    if len(members) != estimator.n_members:
        raise ValueError(
            f"The 'n_members' parameter was {len(members)} in the last fit and is "
            f"{estimator.n_members} now; warm_start and partial_fit go on with the same members."
        )
    return members


def share_parameters(estimator: BaseEstimator, members: list[BaseEstimator]) -> None:
    """Set the parameters of an ensemble on its members; the first one has its seed."""
    parameters = estimator.get_params(deep=False)
    del parameters["n_members"]
    first, *others = members
    first.set_params(**parameters)
    del parameters["random_state"]
    for member in others:
        member.set_params(**parameters)


def hold_kinds(members: list[BaseEstimator], X: Any, *, resume: bool) -> None:
    """Read the kinds of the columns from the whole table, not from the rows that a member draws.

    Of objects, a draw may miss all words, or all of some kind.

    Parameters
    ----------
    members : list of BaseSupervisedAutoencoder
        With the same ``categorical_features``.
    X : array-like or DataFrame of shape (n_samples, n_features)
        Table that they draw rows from.
    resume : bool
        Whether they go on, and keep to what the table of their first fit said.
    """
    chosen = members[0].categorical_features
    if not (isinstance(chosen, str) and chosen == "from_dtype"):
        return
    found = None if resume else kinds_by_content(X)
    for member in members:
        held = fitted_part(member).settings["categorical_features"] if resume else found
        if held is not None:
            member.set_params(categorical_features=held)


def members_of(estimator: BaseEstimator) -> list[BaseEstimator]:
    """Return the fitted members of an ensemble, or the one estimator alone.

    An ensemble holds all of its members, and the attributes of the first one as its own.
    """
    return list(estimator._members) or [estimator]


def mean_and_spread(
    values: list[np.ndarray],
    return_std: bool,
    stds: Sequence[np.ndarray | None] = (),
) -> Any:
    """Return the members' mean and, if asked, their standard deviation (of a sample).

    Parameters
    ----------
    values : list of ndarray
        Of each member.
    return_std : bool
    stds : list of {ndarray, None}, optional
        The standard deviation of each member's values; None for a member without one. The variance
        is then the mean of theirs, plus that of the members' values.

    Raises
    ------
    ValueError
        If there is one member, and it has no standard deviation.
    """
    if not return_std:
        return values[0] if len(values) == 1 else _moments(values)[0]
    known = [std for std in stds if std is not None]
    if len(values) == 1:
        if known:
            return values[0], known[0]
        raise ValueError(
            "return_std=True needs an ensemble or a Gaussian process: the 'n_members' parameter "
            "must have been 2 or more in fit, got 1, or the 'predictor' parameter "
            "'gaussian_process'."
        )
    mean, spread = _moments(values)
    if not known:
        return mean, spread
    variance = np.sum([std**2 for std in known], axis=0) / len(values)
    return mean, np.sqrt(spread**2 + variance)


def log_mean(logs: list[np.ndarray]) -> np.ndarray:
    """Compute the logarithm of the members' mean from their logarithms.

    Parameters
    ----------
    logs : list of ndarray
        Of each member; minus infinity of 0.
    """
    return logs[0] if len(logs) == 1 else logsumexp(logs, axis=0) - np.log(len(logs))


def _moments(values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean and standard deviation without overflow or underflow."""
    _, power = np.frexp(np.max(np.abs(values), axis=0))
    scaled = np.ldexp(values, -power)
    mean, spread = np.mean(scaled, axis=0), np.std(scaled, axis=0, ddof=1)
    return np.ldexp(mean, power), np.ldexp(spread, power)


def strata_of_rows(X: Any, y: Any, is_class: bool) -> np.ndarray:
    """Return the stratum of each row for a bootstrap: its class, or whether a number is known.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), or None
    is_class : bool
        Whether y holds classes.

    Returns
    -------
    ndarray of int, shape (n_samples,)
    """
    if y is None:  # a sparse matrix, which a member refuses, has no length
        return np.zeros(len(X) if hasattr(X, "__len__") else X.shape[0], dtype=int)
    frame, _ = target_frame(y)
    return strata_of(frame, [is_class] * frame.shape[1])


def strata_of(y: pd.DataFrame, is_class: Sequence[bool]) -> np.ndarray:
    """Return the stratum of each row of a target: its class, or whether any number is known.

    Parameters
    ----------
    y : DataFrame of shape (n_samples, n_outputs)
    is_class : sequence of bool
        Which columns hold classes.

    Returns
    -------
    ndarray of int, shape (n_samples,)
    """
    holds_classes = np.asarray(is_class)
    kinds = pd.DataFrame({k: pd.factorize(y.iloc[:, k])[0] for k in np.flatnonzero(holds_classes)})
    kinds["known"] = y.loc[:, ~holds_classes].notna().any(axis=1).to_numpy()
    return kinds.groupby(list(kinds.columns)).ngroup().to_numpy()
