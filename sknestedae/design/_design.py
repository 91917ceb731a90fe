"""Candidates for a wanted target."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state
from torch import Tensor

from .._ambient import isolated
from .._compat import stack_level_of_caller
from .._estimators._differentiable import DifferentiableChain
from .._estimators._nested import NestedAutoencoder
from .._latents._inference import choose_distinct
from .._persistence import public
from .._tables._codec import TabularCodec
from .._tables._input import ArrayKind, table_kind
from ..exceptions import NoTargetError, ToleranceWarning
from ._candidates import Candidates, coordinates, embed, is_alike
from ._columns import ArrayColumns, CandidateColumns
from ._constraints import Constraints
from ._objectives import (
    DEFAULT_TOLERANCE,
    DesignObjective,
    read_objectives,
    set_scales,
    target_columns,
)
from ._search import SearchProblem

# Searches along the gradient, for each candidate and at least.
_STARTS, _MIN_STARTS = 4, 48
_N_NEAREST = 3
# A candidate that hardly differs from a known row is chosen only where it is better than others by
# more than this: the loss of a value that is missed by the tolerance.
_PRICE_OF_KNOWN = DEFAULT_TOLERANCE**2
# Of candidates with arrays, so many of the best are compared with each other for each that is
# wanted.
_MOST_CHOICES = 50


@public("sknestedae.design")
@dataclass(repr=False)
class Design:
    """Candidates for a wanted target, the best first; made by :func:`propose`.

    Attributes
    ----------
    X : DataFrame or ndarray of shape (n_candidates, n_features) or (n_candidates, ...)
        The candidates, as a table or an array that the estimator takes.
    prediction : ndarray of shape (n_candidates,) or (n_candidates, n_outputs)
        The estimator's predictions for them.
    prediction_std : ndarray of the same shape
        As ``predict(X, return_std=True)`` gives it: of Gaussian processes, that of a new
        measurement; of an ensemble, the spread of its members. NaN of a network alone.
    meets : ndarray of bool, shape (n_candidates,)
        Whether all predictions meet the target; always True for "max" and "min".
    loss : ndarray of shape (n_candidates,)
        The loss that was minimised: how far predictions are from the targets, in standard
        deviations of the known rows' predictions (squared; for "max" and "min" the prediction
        itself, for a class minus the logarithm of its probability), and how far the candidate is
        outside of the domain.
    latent_distance, input_distance : ndarray of shape (n_candidates,)
        Distance to the nearest known row, in the last latents and in the columns: root mean
        squares, in standard deviations; a category that differs counts 1. An array is one column:
        its distance is the root mean square over its entries, in one unit for all of them.
    domain : ndarray of shape (n_candidates,)
        Fraction of the known rows whose ``score_samples`` is lower: near 0, the candidate is less
        like the training rows than nearly all that is known.
    nearest : ndarray of shape (n_candidates, n_nearest)
        Index of the known rows that are nearest in the columns; for an array the position in X.
        For a list of tables, labels of the one table that they make: ``(scale, index)``, where
        index is that of the scale's own table.
    target_names : list of str
        Of the predictions.
    """

    X: pd.DataFrame | np.ndarray
    prediction: np.ndarray
    prediction_std: np.ndarray
    meets: np.ndarray
    loss: np.ndarray
    latent_distance: np.ndarray
    input_distance: np.ndarray
    domain: np.ndarray
    nearest: np.ndarray
    target_names: list[str]

    def __len__(self) -> int:
        return len(self.meets)

    def __repr__(self) -> str:
        return f"<Design: {len(self)} candidates, {int(self.meets.sum())} meet the target>"

    def to_frame(self) -> pd.DataFrame:
        """Give one table: the candidates' columns, then the predictions and distances.

        Of an array of more dimensions, each row is the cell of a column ``"X"``.

        Returns
        -------
        DataFrame of shape (n_candidates, n_columns)

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn.datasets import load_iris
        >>> from sknestedae import SupervisedAutoencoder
        >>> from sknestedae.design import propose
        >>> iris = load_iris(as_frame=True).data
        >>> X, y = iris.iloc[:, :2], iris["petal length (cm)"]
        >>> sae = SupervisedAutoencoder(2, max_iter=20, random_state=0).fit(X, y)
        >>> frame = propose(sae, X, "max", n_candidates=2, random_state=0).to_frame()
        >>> frame.columns.to_list()[2:5]
        ['predicted target', 'predicted target, std', 'meets']
        """
        # of an array of more dimensions, each row is a cell
        is_table = np.ndim(self.X) == 2
        frame = pd.DataFrame(self.X if is_table else {"X": list(self.X)})
        if frame.columns.nlevels > 1:
            frame.columns = [": ".join(map(str, label)) for label in frame.columns]
        frame = frame.reset_index(drop=True)
        shape = (len(self), len(self.target_names))
        prediction = self.prediction.reshape(shape)
        std = self.prediction_std.reshape(shape)
        for i, name in enumerate(self.target_names):
            frame[f"predicted {name}"] = prediction[:, i]
            frame[f"predicted {name}, std"] = std[:, i]
        for name in ("meets", "latent_distance", "input_distance", "domain"):
            frame[name] = getattr(self, name)
        frame["nearest"] = pd.Series(self.nearest[:, 0].tolist(), dtype=object)
        return frame


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
    random_state=None,
):
    """Propose rows that are predicted to have a wanted target.

    The latents of the last stage are searched: decoded to the columns of all scales, brought into
    the constraints, encoded again and predicted, so that the target is compared with the
    estimator's own prediction for the very row that is proposed. First known rows, mixtures of
    them and latents around them are looked at, then the gradient is followed from the best and
    from some others, then with the categories decided; at last other categories and rows of the
    library are tried on the best. See the :ref:`User Guide <design>`.

    An array, such as an image or a spectrum, is proposed as a whole: it is what the decoder gives,
    within the range of each entry in the known rows; or a row of a ``library``; or ``fixed``. A
    decoded one is invented, and tells what to look for. One of a library can be had.

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
        Some columns with the combinations of values that they may have, one a row: such as the
        properties of compounds that can be had. Each candidate has one of these rows. A dict gives
        blocks of arrays one library each, by name: an array of shape (n_rows, ...), a list of
        arrays, or a DataFrame of the block's columns. NaN where an entry was not measured. Where
        one block is all there is, its arrays need no dict.
    tolerance : float or dict of floats, default=None
        Within which a wanted value is met, in its units; a range is aimed at that far within its
        ends. A dict names targets as ``target`` does. None: a tenth of the standard deviation of
        the predictions of the known rows.
    domain_weight : float, default=0.3
        Price of leaving the domain in which 95 % of the known rows lie, by the squared Mahalanobis
        distance of each stage's latents. A candidate whose squared distance is twice the limit of
        the domain pays as much as this number of standard deviations of a target that is
        maximised. 0: no price, which lets a maximum be sought where the estimator knows little.
    random_state : int, RandomState instance or None, default=None
        Of the search.

    Returns
    -------
    design : Design
        The candidates with predictions, spread, distances and nearest known rows. Those that meet
        the target come first, then by ``loss``. No candidate is a known row, and one that hardly
        differs from a known row comes only where it is better. Columns that no stage has are
        missing in them. Arrays are as in X: in cells, in columns, or in more dimensions.

    Raises
    ------
    ValueError
        If constraints contradict each other, or name a column, block or category that is not
        there; if an array does not have the shape of its block, or a library has no rows.
    TypeError
        If an array holds other things than numbers.
    NoTargetError
        If the estimator was fitted without a target.
    NotFittedError
        If it was not fitted.

    Warns
    -----
    ToleranceWarning
        If no candidate meets the target, or fewer distinct ones are found than wanted; it tells
        the nearest prediction.

    Notes
    -----
    A prediction at a candidate that was chosen because of its prediction is too good on average,
    the more so the further it is from known rows. The spread, the distances and ``domain`` are
    there to judge that; only experiments tell.

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
    _check_parameters(n_candidates, domain_weight)
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

    known = Candidates.from_table(frame, columns)
    problem = SearchProblem(chain.members(), constraints, objectives, known, domain_weight)
    found, losses = problem.search(max(_STARTS * n_candidates, _MIN_STARTS), rng)
    chosen = _choose(found, losses, known, problem, n_candidates)
    found = found.take(chosen)
    rows_of_libraries = {k: v for own in constraints.libraries for k, v in own.arrays.items()}
    table = found.to_table(frame, columns, rows_of_libraries)
    if not isinstance(rows, pd.DataFrame):
        table = table.to_numpy(dtype=rows.dtype)
    design = _describe(chain, table, rows, found, known, problem)
    design.nearest = index[design.nearest]
    design.loss = losses.numpy()[chosen]
    design = _sort(design)
    _warn(design, objectives, predicted, n_candidates)
    kind = table_kind(X)
    if isinstance(kind, ArrayKind):
        design.X = kind.restore(design.X)
    return design


def _check_parameters(n_candidates: Any, domain_weight: Any) -> None:
    if (
        not isinstance(n_candidates, Integral)
        or isinstance(n_candidates, bool)
        or n_candidates < 1
    ):
        raise ValueError(
            f"The 'n_candidates' parameter must be a positive int, got {n_candidates!r}."
        )
    is_number = isinstance(domain_weight, Real) and not isinstance(domain_weight, bool)
    if not is_number or not 0 <= domain_weight < np.inf:
        raise ValueError(
            f"The 'domain_weight' parameter must be a number of 0 or more, got {domain_weight!r}."
        )


def candidate_columns(chain: DifferentiableChain, X: pd.DataFrame) -> CandidateColumns:
    """Give the columns that candidates have, from the known rows and from ``fit``.

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
    """Give the blocks of arrays of all stages, and other names for them."""
    arrays, aliases = [], {}
    for (k, block), name in chain.block_names().items():
        codec = chain.stages[k].table.codecs[block]
        if isinstance(codec, TabularCodec):
            continue
        arrays.append(ArrayColumns(name, chain.columns[k], codec, X))
        aliases[f"{chain.names[k]}__{block}"] = name
    return arrays, aliases


def _choose(
    found: Candidates, losses: Tensor, known: Candidates, problem: SearchProblem, n_candidates: int
) -> np.ndarray:
    """Choose the best candidates that differ from each other and from the known rows.

    Returns
    -------
    ndarray of int, shape (n_chosen,)
        Positions, the best first.
    """
    is_usable = np.isfinite(losses.numpy()) & problem.constraints.keeps_sums(found)
    usable = np.flatnonzero(is_usable)
    if problem.columns.arrays:  # which take much memory: the best alone, none of them twice
        first = found.first_of_each()
        usable = first[is_usable[first]]
        best = np.argsort(losses.numpy()[usable], kind="stable")[: _MOST_CHOICES * n_candidates]
        usable = np.sort(usable[best])
    if not len(usable):
        return usable
    found, losses = found.take(usable), losses[usable]
    values = problem.values_of_libraries
    points, codes = coordinates(found, problem.columns, values)
    known_points, known_codes = coordinates(known, problem.columns)
    price = _PRICE_OF_KNOWN * is_alike(points, codes, known_points, known_codes)
    order = np.argsort(losses.numpy() + price, kind="stable")
    # Rows are compared by their bytes, in one pass over many; + 0.0 makes 0.0 of -0.0, which is
    # the same number with other bytes.
    rows = {row.tobytes() for row in np.hstack([known_points.round(9), known_codes]) + 0.0}
    every = np.hstack([points.round(9), codes]) + 0.0
    order = np.array([i for i in order if every[i].tobytes() not in rows], dtype=int)
    return usable[np.array(choose_distinct(points, codes, order, n_candidates), dtype=int)]


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
        return _no_candidates(X, (0, *estimator.predict(rows[:1]).shape[1:]), n_nearest, names)
    if len(estimator.members_) > 1 or any(stage.head is not None for stage in chain.stages):
        prediction, std = _predict_with_spread(estimator, X)
    else:
        prediction = estimator.predict(X)
        std = np.full(prediction.shape, np.nan)
    columns = prediction.reshape(found.n_rows, -1)
    meets = [objective.is_met(columns[:, objective.column]) for objective in problem.objectives]
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
        meets=np.all(meets, axis=0),
        loss=np.zeros(found.n_rows),
        latent_distance=in_latents[:, 0] / np.sqrt(latents.shape[1]),
        input_distance=distance[:, 0],
        domain=(known_scores[None, :] < scores[:, None]).mean(axis=1),
        nearest=position,
        target_names=names,
    )


def _no_candidates(
    X: pd.DataFrame | np.ndarray, shape: tuple[int, ...], n_nearest: int, names: list[str]
) -> Design:
    """Give a design without rows."""
    empty = np.empty(0)
    return Design(
        X=X,
        prediction=np.empty(shape),
        prediction_std=np.empty(shape),
        meets=empty.astype(bool),
        loss=empty,
        latent_distance=empty,
        input_distance=empty,
        domain=empty,
        nearest=np.empty((0, n_nearest), dtype=int),
        target_names=names,
    )


def _predict_with_spread(
    estimator: Any, X: pd.DataFrame | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give an ensemble's prediction and spread; for a class, that of its probability."""
    if hasattr(estimator, "predict_proba") and not isinstance(estimator, NestedAutoencoder):
        p, p_std = estimator.predict_proba(X, return_std=True)
        best = p.argmax(axis=1)
        return estimator.classes_[best], p_std[np.arange(len(best)), best]
    return estimator.predict(X, return_std=True)


def _target_names(chain: DifferentiableChain) -> list[str]:
    return [column.name for column in target_columns(chain)]


def _sort(design: Design) -> Design:
    """Put candidates that meet the target first, then those of smaller loss."""
    order = np.lexsort((design.loss, ~design.meets))
    values = {}
    for name, value in vars(design).items():
        if name == "target_names":
            values[name] = value
        elif isinstance(value, pd.DataFrame):
            values[name] = value.iloc[order].reset_index(drop=True)
        else:
            values[name] = value[order]
    return Design(**values)


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
    if len(design) and not design.meets.any():
        of_known, found = known.reshape(len(known), -1), design.prediction.reshape(len(design), -1)
        missed = [
            objective.describe_nearest(found[:, objective.column], of_known[:, objective.column])
            for objective in objectives
            if objective.kind not in ("max", "min")
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
