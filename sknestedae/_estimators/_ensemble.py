"""Ensembles: members that differ by their seeds, and by the rows that they see if asked."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import check_random_state

from .._compat import safe_indexing
from .._tables._splits import bootstrap_rows
from .._training._concurrent import run_concurrently


def make_members(estimator: Any) -> list[Any]:
    """Give the members of an ensemble, not fitted; the first is what it would be on its own."""
    members = [clone(estimator).set_params(n_members=1) for _ in range(estimator.n_members)]
    rng = check_random_state(estimator.random_state)
    seeds = rng.randint(2**31 - 1, size=estimator.n_members - 1)
    for member, seed in zip(members[1:], seeds, strict=True):
        member.set_params(random_state=int(seed))
    return members


def fit_members(
    members: list[Any],
    X: Any,
    y: Any,
    sample_weight: Any,
    strata: np.ndarray | None,
    method: str = "fit",
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
        "fit" or "partial_fit".
    **parameters
        Of the method.
    """

    def fit(k: int) -> Any:
        data = [X, y, sample_weight]
        if strata is not None:
            # a new draw for each member, and for each part of a stream
            n_iter = getattr(members[k], "n_iter_", 0)
            rows = bootstrap_rows(strata, members[k].random_state, (k, n_iter))
            data = [None if part is None else safe_indexing(part, rows) for part in data]
        *table, weight = data
        return getattr(members[k], method)(*table, sample_weight=weight, **parameters)

    for task in run_concurrently([partial(fit, k) for k in range(len(members))]):
        if task.error is not None:
            raise task.error


def members_to_fit(estimator: Any, *, resume: bool) -> list[Any]:
    """Give the members of an ensemble: new ones, or those that are to go on.

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
    own = ("n_members", "random_state")
    shared = {k: v for k, v in estimator.get_params(deep=False).items() if k not in own}
    return [clone_state(members[0]), *(clone_state(m).set_params(**shared) for m in members[1:])]


def clone_state(member: Any) -> Any:
    """Give a member that may be fitted on, while the one that there is stays as it is."""
    copied = object.__new__(type(member))  # copy.copy would build the net anew
    copied.__dict__.update(vars(member))
    return copied


def adopt_first_member(estimator: Any, members: list[Any]) -> None:
    """Make an estimator what its first member is, and let it keep the others."""
    first, *others = members
    parameters = estimator.get_params(deep=False)
    fitted = {name: value for name, value in vars(first).items() if name not in parameters}
    for name in [name for name in vars(estimator) if name.endswith("_")]:
        delattr(estimator, name)  # of an earlier fit
    estimator.__dict__.update(fitted)
    estimator._others = others


def members_of(estimator: Any) -> list[Any]:
    """Give the fitted members of an ensemble, or the one estimator alone."""
    others = vars(estimator).get("_others", [])
    if not others:
        return [estimator]
    first = clone_state(estimator).set_params(n_members=1)
    del first._others
    return [first, *others]


def mean_and_spread(values: list[np.ndarray], return_std: bool) -> Any:
    """Give the members' mean and, if asked, their standard deviation (of a sample).

    Raises
    ------
    ValueError
        If a spread is asked of one member.
    """
    if not return_std:
        return values[0] if len(values) == 1 else _moments(values)[0]
    if len(values) == 1:
        raise ValueError(
            "return_std=True needs an ensemble: the 'n_members' parameter must have been 2 or "
            "more in fit, got 1."
        )
    return _moments(values)


def _moments(values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Give mean and standard deviation of the largest and the smallest numbers as of others."""
    _, power = np.frexp(np.max(np.abs(values), axis=0))
    scaled = np.ldexp(values, -power)
    mean, spread = np.mean(scaled, axis=0), np.std(scaled, axis=0, ddof=1)
    return np.ldexp(mean, power), np.ldexp(spread, power)


def strata_of(y: Any, is_class: Any) -> np.ndarray:
    """Say which rows of a target are of a kind: of one class, or with any number known.

    Parameters
    ----------
    y : DataFrame of shape (n_samples, n_outputs)
    is_class : sequence of bool
        Which columns hold classes.

    Returns
    -------
    ndarray of int, shape (n_samples,)
    """
    is_class = np.asarray(is_class)
    kinds = pd.DataFrame({k: pd.factorize(y.iloc[:, k])[0] for k in np.flatnonzero(is_class)})
    kinds["known"] = y.loc[:, ~is_class].notna().any(axis=1).to_numpy()
    return kinds.groupby(list(kinds.columns)).ngroup().to_numpy()
