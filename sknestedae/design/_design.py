"""Inverse design: propose candidates for a wanted target."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state

from .._ambient import isolated
from .._compat import stack_level_of_caller
from .._estimators._differentiable import DifferentiableChain
from .._estimators._nested import NestedAutoencoder
from .._tables._codec import TabularCodec
from .._tables._input import ArrayKind, table_kind
from .._threads import one_torch_thread
from ..exceptions import NoTargetError, OutsideDomainWarning, ToleranceWarning
from ._candidates import Candidates, embed
from ._choice import choose
from ._columns import ArrayColumns, CandidateColumns
from ._constraints import SUM_TOLERANCE, Constraints
from ._objectives import (
    ACQUISITIONS,
    DesignObjective,
    read_objectives,
    set_acquisition,
    set_scales,
    target_columns,
)
from ._result import Design
from ._search import SearchProblem

# Searches along the gradient, for each candidate and at least.
_STARTS, _MIN_STARTS = 4, 48
_N_NEAREST = 3
# Where fewer of the known rows than this are less typical than a candidate, it lies outside of the
# domain that they cover.
_LEAST_DOMAIN = 0.01
_MOST_NAMES = 3


@isolated
def propose(
    estimator,
    X,
    target,
    *,
    n_candidates=10,
    fixed=None,
    bounds=None,
    sums=None,
    library=None,
    tolerance=None,
    domain_weight=0.3,
    acquisition="mean",
    kappa=1.96,
    random_state=None,
):
    """Propose rows that are predicted to have a wanted target: inverse design.

    The latents of the last stage are searched: decoded to the columns of all scales, brought into
    the constraints, encoded again and predicted, so that the target is compared with the
    estimator's own prediction for the very row that is proposed. First known rows, mixtures of
    them and latents around them are looked at, then the gradient is followed from the best and
    from some others, then with the categories decided; at last other categories and rows of the
    library are tried on the best. See the :ref:`User Guide <design>`.

    An array, such as an image or a spectrum, is proposed as a whole: it is the output of the
    decoder, within the range of each entry in the known rows; or a row of a ``library``; or
    ``fixed``. A decoded array is generated, and shows what to look for. One of a library exists.

    Parameters
    ----------
    estimator : estimator
        Fitted with a target: a :class:`~sknestedae.SupervisedAutoencoder`, its classifier, or a
        :class:`~sknestedae.NestedAutoencoder` of them. For an ensemble, the mean prediction is
        searched with, which one member's errors mislead less.
    X : array-like or DataFrame of shape (n_samples, n_features), or list of them
        Known rows of the last scale, such as those of training; missing values are completed. For
        a list of tables, or a table of several scales, the rows of the last scale.
    target : float, (float, float), "max", "min", class label, or dict of these
        The wanted value, range, maximum, minimum or class. Where the estimator predicts several
        targets, a dict by stage (where it has one target), by ``"stage i"``, or by the position
        of a column of y.
    n_candidates : int, default=10
        Number of distinct candidates, at most.
    fixed : dict, default=None
        Values of columns, by name or position; for a categorical column, a category seen in
        ``fit`` (by the first member, where members of an ensemble see different rows). For a block
        of arrays an array, by the name of the block (``"stage__block"``, where two stages have a
        block of that name) or of its column.
    bounds : dict, default=None
        (low, high) for numeric columns, a list of categories for categorical ones. Others are
        bounded by the range of the known rows, and the categories of ``fit``.
    sums : list of (list of columns, float), default=None
        Columns that sum up to a number, such as the fractions of a composition to 1.
    library : DataFrame, dict or array, default=None
        Some columns with the combinations of values that they may have, one in each row: such as
        the properties of compounds that exist. Each candidate has one of these rows. A dict gives
        blocks of arrays one library each, by name: an array of shape (n_rows, ...), a list of
        arrays, or a DataFrame of the block's columns. NaN where an entry was not measured. Where
        one block is all there is, its arrays need no dict.
    tolerance : float or dict of floats, default=None
        Largest difference from a wanted value, in its units; for a range, the distance from its
        ends that the search aims at. A dict names targets as ``target`` does. None: a tenth of the
        standard deviation of the predictions of the known rows.
    domain_weight : float, default=0.3
        Penalty for leaving the domain in which 95 % of the known rows lie, by the squared
        Mahalanobis distance of each stage's latents. A candidate whose squared distance is twice
        the limit of the domain pays as much as this number of standard deviations of a target that
        is maximised. 0: no penalty: a maximum may then lie where the estimator knows little.
    acquisition : {"mean", "expected_improvement", "upper_confidence_bound"}, default="mean"
        The criterion for a target of "max" or "min". "mean": the best prediction, to find one good
        row. The others are for rounds of experiments (Bayesian optimisation, active learning), as
        they also explore uncertain candidates. "expected_improvement": the expected gain over the
        best prediction of a known row. "upper_confidence_bound": the prediction plus ``kappa``
        standard deviations; for "min", the lower bound. Both need an estimator with a standard
        deviation: an ensemble (``n_members``), or ``predictor="gaussian_process"``; of the latter
        without the noise of a measurement. Each next candidate is chosen as if those before it had
        been measured, with the result that is predicted, so that they differ.
    kappa : float, default=1.96
        Number of standard deviations of ``acquisition="upper_confidence_bound"``, 0 or more: with
        a larger one, more is explored.
    random_state : int, RandomState instance or None, default=None
        Seed of the search.

    Returns
    -------
    design : Design
        The candidates with predictions, spread, distances and nearest known rows. Those that meet
        the target come first, then by ``loss``; with another acquisition than "mean", as they were
        chosen, so that the first ones are the batch of fewer. No candidate is a known row, and one
        that hardly differs from a known row comes only where it is better. Columns that no stage
        has are missing in them. Arrays are as in X: in cells, in columns, or in more dimensions.

    Raises
    ------
    ValueError
        If constraints contradict each other, or name an unknown column, block or category; if an
        array does not have the shape of its block, or a library has no rows; if the estimator or
        the target does not allow the acquisition.
    TypeError
        If an array holds other things than numbers.
    NoTargetError
        If the estimator was fitted without a target.
    NotFittedError
        If it was not fitted.

    Warns
    -----
    ToleranceWarning
        If no candidate meets the target, or fewer distinct ones are found than wanted; the message
        has the nearest prediction.
    OutsideDomainWarning
        If all candidates lie outside of the domain that the known rows cover: each has a
        ``domain`` below 0.01. The message names parameters to change.

    Notes
    -----
    A prediction at a candidate that was chosen because of its prediction is too good on average,
    the more so the further it is from known rows. The spread, the distances and ``domain`` are
    there to judge that; only experiments show the truth.

    Examples
    --------
    >>> import numpy as np
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.design import propose
    >>> rng = np.random.default_rng(0)
    >>> X = rng.dirichlet([1, 1, 1], size=200)
    >>> y = X[:, 0] - X[:, 1]
    >>> sae = SupervisedAutoencoder(2, max_iter=30, random_state=0).fit(X, y)
    >>> design = propose(sae, X, 0.5, n_candidates=3, sums=[([0, 1, 2], 1.0)], random_state=0)
    >>> bool(design.meets.all()), design.X.shape
    (True, (3, 3))
    >>> bool(np.allclose(design.X.sum(axis=1), 1))
    True

    The one image of a library with the largest predicted target:

    >>> from sknestedae.blocks import ImageBlock
    >>> images = rng.normal(size=(30, 4, 4))
    >>> block = ImageBlock(n_channels=(2,))
    >>> sae = SupervisedAutoencoder(2, blocks=block, max_iter=5, random_state=0)
    >>> sae = sae.fit(images[:20], images[:20, 0, 0])
    >>> design = propose(sae, images[:20], "max", library=images[20:], n_candidates=1)
    >>> design.X.shape, bool((design.X[0] == images[20 + sae.predict(images[20:]).argmax()]).all())
    ((1, 4, 4), True)
    """
    _check_parameters(n_candidates, domain_weight, acquisition, kappa)
    chain = DifferentiableChain(estimator, "propose")
    if all(stage.target is None for stage in chain.stages):
        raise NoTargetError(
            f"This {type(chain.estimator).__name__} was fitted without a target (y=None): there "
            "is nothing that candidates could be proposed for."
        )
    rng = check_random_state(random_state)
    rows, index = chain.known_rows(X)
    frame = pd.DataFrame(rows)
    columns = candidate_columns(chain, frame)
    constraints = Constraints(columns, fixed, bounds, sums, library)
    objectives = read_objectives(target, chain)
    predicted = chain.estimator.predict(rows)
    set_scales(objectives, predicted, tolerance, _target_names(chain))
    set_acquisition(objectives, predicted, acquisition, kappa)

    known = Candidates.from_table(frame, columns)
    problem = SearchProblem(chain.members(), constraints, objectives, known, domain_weight)
    _check_spread(problem)
    # hundreds of steps with few candidates, in which threads would wait for each other
    with one_torch_thread(not problem.columns.arrays):
        found, losses = problem.search(max(_STARTS * n_candidates, _MIN_STARTS), rng)
        chosen = choose(found, losses, known, problem, n_candidates)
    found = found.take(chosen)
    rows_of_libraries = {k: v for own in constraints.libraries for k, v in own.arrays.items()}
    table = found.to_table(frame, columns, rows_of_libraries)
    if not isinstance(rows, pd.DataFrame):
        table = table.to_numpy(dtype=rows.dtype)
    design = _describe(chain, table, rows, found, known, problem)
    design.nearest = index[design.nearest]
    design.loss = losses.numpy()[chosen]
    design = _sort(design, by_loss=acquisition == "mean")
    _warn(design, objectives, predicted, n_candidates)
    _warn_of_domain(design, problem, found, known.n_rows)
    kind = table_kind(X)
    if isinstance(kind, ArrayKind):
        design.X = kind.restore(design.X)
    return design


def _check_parameters(n_candidates: Any, domain_weight: Any, acquisition: Any, kappa: Any) -> None:
    if (
        not isinstance(n_candidates, Integral)
        or isinstance(n_candidates, bool)
        or n_candidates < 1
    ):
        raise ValueError(
            f"The 'n_candidates' parameter must be a positive int, got {n_candidates!r}."
        )
    for name, value in {"domain_weight": domain_weight, "kappa": kappa}.items():
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not is_number or not 0 <= value < np.inf:
            raise ValueError(
                f"The '{name}' parameter must be a number of 0 or more, got {value!r}."
            )
    if not isinstance(acquisition, str) or acquisition not in ACQUISITIONS:
        raise ValueError(
            f"The 'acquisition' parameter must be one of {list(ACQUISITIONS)}, got "
            f"{acquisition!r}."
        )


def _check_spread(problem: SearchProblem) -> None:
    """Refuse an acquisition that needs standard deviations, where predictions have none."""
    for objective in problem.objectives:
        if objective.needs_std and not problem.knows_std(objective):
            raise ValueError(
                f"The 'acquisition' parameter is {objective.acquisition!r}, which needs the "
                f"standard deviation of the prediction of {objective.name!r}, and one network has "
                "none: fit an ensemble (n_members=5 or more), or with "
                "predictor='gaussian_process', or use acquisition='mean'."
            )


def candidate_columns(chain: DifferentiableChain, X: pd.DataFrame) -> CandidateColumns:
    """Return the columns that candidates have, from the known rows and from ``fit``.

    Parameters
    ----------
    chain : DifferentiableChain
    X : DataFrame of shape (n_samples, n_features)
        Known rows, without missing values.
    """
    categories = {
        own[j]: seen
        for stage, own in zip(chain.stages, chain.columns, strict=True)
        for j, seen in stage.table.categories.items()
    }
    used = {j for own in chain.columns for j in own}
    ensembles = [e for e in (chain.estimator, *chain.estimators) if len(e.members_) > 1]
    seen = "in fit"
    if any(ensemble.bootstrap for ensemble in ensembles):  # others may have seen other categories
        seen += " by the ensemble's first member, whose decoder gives the candidates"
    arrays, aliases = _array_columns(chain, X)
    return CandidateColumns(X, categories, used, seen, arrays, aliases)


def _array_columns(
    chain: DifferentiableChain, X: pd.DataFrame
) -> tuple[list[ArrayColumns], dict[str, str]]:
    """Return the blocks of arrays of all stages, and other names for them."""
    arrays, aliases = [], {}
    for (k, block), name in chain.block_names().items():
        codec = chain.stages[k].table.codecs[block]
        if isinstance(codec, TabularCodec):
            continue
        arrays.append(ArrayColumns(name, chain.columns[k], codec, X))
        aliases[f"{chain.names[k]}__{block}"] = name
    return arrays, aliases


def _describe(
    chain: DifferentiableChain,
    X: pd.DataFrame | np.ndarray,
    rows: pd.DataFrame | np.ndarray,
    found: Candidates,
    known: Candidates,
    problem: SearchProblem,
) -> Design:
    """Predict the candidates, and measure how far they are from the known rows.

    Parameters
    ----------
    chain : DifferentiableChain
    X, rows : DataFrame or ndarray
        The candidates and the known rows, as tables.
    found, known : Candidates
        The same as tensors.
    problem : SearchProblem

    Returns
    -------
    Design
        Without losses. ``nearest`` holds positions among the known rows.
    """
    estimator, names = chain.estimator, _target_names(chain)
    n_nearest = min(_N_NEAREST, known.n_rows)
    if not found.n_rows:
        shape = (0, *estimator.predict(rows[:1]).shape[1:])
        return _no_candidates(X, shape, n_nearest, names, problem)
    if len(estimator.members_) > 1 or any(stage.head is not None for stage in chain.stages):
        prediction, std = _predict_with_spread(estimator, X)
    else:
        prediction = estimator.predict(X)
        std = np.full(prediction.shape, np.nan)
    columns = prediction.reshape(found.n_rows, -1)
    meets = [
        objective.is_met(columns[:, objective.column])
        for objective in problem.objectives
        if objective.is_bounded
    ]
    with torch.no_grad():
        latents = problem.latents(found)[-1].numpy()
    # in whitened latents, the Euclidean distance is Mahalanobis'
    inverse = np.linalg.inv(problem.factor.numpy())
    whitened = problem.latents_of_known.numpy() @ inverse.T
    in_latents, _ = NearestNeighbors(n_neighbors=1).fit(whitened).kneighbors(latents @ inverse.T)
    near = NearestNeighbors(n_neighbors=n_nearest).fit(embed(known, problem.columns))
    distance, position = near.kneighbors(
        embed(found, problem.columns, problem.values_of_libraries)
    )
    known_scores, scores = estimator.score_samples(rows), estimator.score_samples(X)
    return Design(
        X=X,
        prediction=prediction,
        prediction_std=std,
        meets=np.all(meets, axis=0) if meets else None,
        loss=np.zeros(found.n_rows),
        latent_distance=in_latents[:, 0] / np.sqrt(latents.shape[1]),
        input_distance=distance[:, 0],
        domain=(known_scores[None, :] < scores[:, None]).mean(axis=1),
        nearest=position,
        target_names=names,
        wanted=_wanted(problem),
    )


def _wanted(problem: SearchProblem) -> dict[str, str]:
    return {objective.name: objective.describe() for objective in problem.objectives}


def _no_candidates(
    X: pd.DataFrame | np.ndarray,
    shape: tuple[int, ...],
    n_nearest: int,
    names: list[str],
    problem: SearchProblem,
) -> Design:
    """Return a design without rows."""
    empty = np.empty(0)
    return Design(
        X=X,
        prediction=np.empty(shape),
        prediction_std=np.empty(shape),
        meets=empty.astype(bool) if any(own.is_bounded for own in problem.objectives) else None,
        loss=empty,
        latent_distance=empty,
        input_distance=empty,
        domain=empty,
        nearest=np.empty((0, n_nearest), dtype=int),
        target_names=names,
        wanted=_wanted(problem),
    )


def _predict_with_spread(
    estimator: Any, X: pd.DataFrame | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return an ensemble's prediction and spread; for a class, that of its probability."""
    if hasattr(estimator, "predict_proba") and not isinstance(estimator, NestedAutoencoder):
        p, p_std = estimator.predict_proba(X, return_std=True)
        best = p.argmax(axis=1)
        return estimator.classes_[best], p_std[np.arange(len(best)), best]
    return estimator.predict(X, return_std=True)


def _target_names(chain: DifferentiableChain) -> list[str]:
    return [column.name for column in target_columns(chain)]


def _sort(design: Design, by_loss: bool) -> Design:
    """Put candidates that meet the target first, then those of smaller loss, or as chosen."""
    missed = np.zeros(len(design)) if design.meets is None else ~design.meets
    order = design.loss if by_loss else np.arange(len(design))
    return design.take(np.lexsort((order, missed)))


def _warn(
    design: Design, objectives: list[DesignObjective], known: np.ndarray, n_candidates: int
) -> None:
    """Warn if no candidate meets the target, or too few candidates were found.

    Parameters
    ----------
    design : Design
    objectives : list of DesignObjective
    known : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Predictions for the known rows.
    n_candidates : int
        How many candidates were wanted.
    """
    if len(design) and design.meets is not None and not design.meets.any():
        of_known, found = known.reshape(len(known), -1), design.prediction.reshape(len(design), -1)
        missed = [
            objective.describe_nearest(found[:, objective.column], of_known[:, objective.column])
            for objective in objectives
            if objective.is_bounded
        ]
        warnings.warn(
            f"None of the {len(design)} candidates meets the target: {'; '.join(missed)}.",
            ToleranceWarning,
            stacklevel=stack_level_of_caller(),
        )
    if len(design) < n_candidates:
        warnings.warn(
            f"Only {len(design)} distinct candidates were found within the constraints, of "
            f"n_candidates={n_candidates}. Known rows are no candidates.",
            ToleranceWarning,
            stacklevel=stack_level_of_caller(),
        )


def _warn_of_domain(
    design: Design, problem: SearchProblem, found: Candidates, n_known: int
) -> None:
    """Warn if all candidates lie outside of the domain that the known rows cover."""
    if not len(design) or design.domain.max() >= _LEAST_DOMAIN:
        return
    names = _columns_beyond(problem, found)
    more = f", and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    beyond = (
        f"Outside of the range of the known rows are {', '.join(names[:_MOST_NAMES])}{more}: "
        "allow less by 'bounds', 'fixed' or the 'library'. "
    )
    who = f"All {len(design)} candidates lie" if len(design) > 1 else "The one candidate lies"
    warnings.warn(
        f"{who} outside of the domain that the {n_known} known rows cover: at most "
        f"{design.domain.max():.1%} of these are less typical ('domain'). Such predictions are "
        f"extrapolations, not supported by data. {beyond if names else ''}To stay nearer to the "
        "known rows, tie columns that belong together by 'sums' or a 'library' of rows that "
        f"exist, narrow 'bounds', or raise 'domain_weight' (now {problem.domain_weight:g}). "
        "'nearest' has the known rows next to each candidate; more measured rows there would "
        "extend the domain.",
        OutsideDomainWarning,
        stacklevel=stack_level_of_caller(),
    )


def _columns_beyond(problem: SearchProblem, found: Candidates) -> list[str]:
    """Name the columns in which all candidates are outside of the range of the known rows."""
    columns = problem.columns
    low, high, scale = (own[columns.numeric] for own in (columns.low, columns.high, columns.scale))
    numbers = found.numbers.numpy()
    slack = SUM_TOLERANCE * scale  # what a sum rounds is not beyond
    beyond = ((numbers < low - slack) | (numbers > high + slack)).all(axis=0)
    return [
        f"{columns.name(columns.numeric[i])} ({low[i]:.4g} to {high[i]:.4g})"
        for i in np.flatnonzero(beyond)
    ]
