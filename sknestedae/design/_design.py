"""Candidates for a wanted target."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
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
from .._latents._inference import DISTINCT, choose_distinct
from .._persistence import public
from .._tables._input import to_pandas
from .._tables._missing import take_rows
from .._tables._scales import is_scale_list, last_scale, measured_scales
from .._tables._statistics import standard_deviation
from ..exceptions import NoTargetError, ToleranceWarning
from ._constraints import SUM_TOLERANCE, Constraints, Kinds
from ._search import Candidates, SearchProblem
from ._targets import DesignObjective, outputs_of, position_of, read_objectives

# Without a tolerance, a value is met within this fraction of the spread of the predictions.
_TOLERANCE = 0.1
# Searches along the gradient, for each candidate and at least.
_STARTS, _MIN_STARTS = 4, 48
_N_NEAREST = 3
# What is as good as known is chosen only where it is better than what is new by more than this:
# the loss of a value that is missed by the tolerance.
_PRICE_OF_KNOWN = _TOLERANCE**2


@public("sknestedae.design")
@dataclass(repr=False)
class Design:
    """Candidates for a wanted target, the best first; made by :func:`propose`.

    Attributes
    ----------
    X : DataFrame or ndarray of shape (n_candidates, n_features)
        The candidates, as a table that the estimator takes.
    prediction : ndarray of shape (n_candidates,) or (n_candidates, n_outputs)
        What the estimator predicts of them.
    prediction_std : ndarray of the same shape
        Spread of an ensemble's members; NaN without one.
    meets : ndarray of bool, shape (n_candidates,)
        Whether all predictions are what was wanted; always True of "max" and "min".
    loss : ndarray of shape (n_candidates,)
        What was minimised: what is missed of the targets, in standard deviations of the known
        rows' predictions (squared; of "max" and "min" the prediction itself, of a class minus the
        logarithm of its probability), and how far the candidate is outside of the domain.
    latent_distance, input_distance : ndarray of shape (n_candidates,)
        Distance to the nearest known row, in the last latents and in the columns: root mean
        squares, in standard deviations; a category that differs counts 1.
    domain : ndarray of shape (n_candidates,)
        Fraction of the known rows whose ``score_samples`` is lower: near 0, the candidate is less
        like the training rows than nearly all that is known.
    nearest : ndarray of shape (n_candidates, n_nearest)
        Index of the known rows that are nearest in the columns; of an array the position in X.
        Of a list of tables, labels of the one table that they make: ``(scale, index)``, where
        index is that of the scale's own table.
    target_names : list of str
        Of the predictions.
    """

    X: Any
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
        """Give one table: the candidates' columns, then what is known of them.

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
        frame = pd.DataFrame(self.X)
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
    the constraints, encoded again and predicted, so that what is wanted is wanted of the
    estimator's own prediction of the very row that is proposed. First known rows, mixtures of
    them and latents around them are looked at, then the gradient is followed from the best and
    from some others, then with the categories decided; at last other categories and rows of the
    library are tried on the best. See the :ref:`User Guide <design>`.

    Parameters
    ----------
    estimator : estimator
        Fitted with a target: a :class:`~sknestedae.SupervisedAutoencoder`, its classifier, or a
        :class:`~sknestedae.NestedAutoencoder` of them. Of an ensemble, the mean prediction is
        searched with, which one member's errors mislead less.
    X : array-like or DataFrame of shape (n_samples, n_features), or list of them
        Known rows of the last scale, such as those of training; gaps are completed. Of a list of
        tables, or a table of several scales, the rows of the last scale.
    target : float, (float, float), "max", "min", class label, or dict of these
        What is wanted: a value, a range, as much or as little as possible, or a class. Where the
        estimator predicts several targets, a dict by stage (where it has one target), by
        ``"stage i"``, or by the position of a column of y.
    n_candidates : int, default=10
        Number of distinct candidates, at most.
    fixed : dict, default=None
        Values of columns, by name or position; of a categorical column, a category seen in
        ``fit`` (by the first member, where members of an ensemble see different rows).
    bounds : dict, default=None
        (low, high) of numeric columns, a list of categories of categorical ones. Others are
        bounded by what is known: the range of the known rows, and the categories of ``fit``.
    sums : list of (list of columns, float), default=None
        Columns that sum up to a number, such as the fractions of a composition to 1.
    library : DataFrame, default=None
        Some columns with the combinations of values that they may have, one a row: such as the
        properties of compounds that can be had. Each candidate has one of these rows.
    tolerance : float or dict of floats, default=None
        Within which a wanted value is met, in its units; a range is aimed at that far within its
        ends. A dict names targets as ``target`` does. None: a tenth of the standard deviation of
        the predictions of the known rows.
    domain_weight : float, default=0.3
        Price of leaving the domain in which 95 % of the known rows lie, by the Mahalanobis
        distance of each stage's latents: what its square is above theirs costs as much, in
        fractions of it, as that many standard deviations of a target that is maximised. 0:
        nothing, which lets a maximum be sought where the estimator knows little.
    random_state : int, RandomState instance or None, default=None
        Of the search.

    Returns
    -------
    design : Design
        The candidates with predictions, spread, distances and nearest known rows. Those that meet
        the target come first, then by ``loss``. Known rows are none of them, and rows that are
        hardly different come only where they are better. Columns that no stage has are missing in
        them.

    Raises
    ------
    ValueError
        If constraints contradict each other, or name a column or category that is not there.
    NoTargetError
        If the estimator was fitted without a target.
    NotFittedError
        If it was not fitted.

    Warns
    -----
    ToleranceWarning
        If no candidate meets the target, or fewer distinct ones are found than wanted; it says
        what comes nearest.

    Notes
    -----
    A prediction at a candidate that was chosen because of its prediction is too good on average,
    the more so the further it is from what is known. The spread, the distances and ``domain`` are
    there to judge that; experiments are what tells.

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
    """
    _check_parameters(n_candidates, domain_weight)
    flow = DifferentiableChain(estimator, "propose")
    if all(stage.target is None for stage in flow.fitted):
        raise NoTargetError(
            f"This {type(flow.estimator).__name__} was fitted without a target (y=None): there is "
            "nothing that candidates could be proposed for."
        )
    rng = check_random_state(random_state)
    known, index = _known_rows(flow, X)
    is_frame = isinstance(known, pd.DataFrame)
    frame = known if is_frame else pd.DataFrame(known)
    kinds = _kinds(flow, frame)
    constraints = Constraints(kinds, fixed, bounds, sums, library)
    wishes = read_objectives(target, flow)
    _set_scales(wishes, flow.estimator.predict(known), tolerance, _target_names(flow))

    flows = [DifferentiableChain(member) for member in flow.estimator.members_]
    draft = _as_draft(frame, kinds)
    space = SearchProblem(flows, constraints, wishes, draft, domain_weight)
    found, losses = space.search(max(_STARTS * n_candidates, _MIN_STARTS), rng)
    chosen = _choose(found, losses, draft, space, n_candidates)
    found = found.take(chosen)
    table = _as_table(found, frame, kinds)
    design = _describe(
        flow, table if is_frame else _as_array(table, known), known, found, draft, space, wishes
    )
    design.nearest = index[design.nearest]
    design.loss = losses.numpy()[chosen]
    design = _sort(design)
    _warn(design, wishes, flow.estimator.predict(known), n_candidates)
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


def _known_rows(flow: DifferentiableChain, X: Any) -> tuple[Any, np.ndarray]:
    """Give the checked rows of the last scale, without gaps, and what to call them.

    Which is their index, or of an array their positions in X.
    """
    estimator = flow.estimator
    X = to_pandas(X)
    index = X.index.to_numpy() if isinstance(X, pd.DataFrame) else None
    if not isinstance(estimator, NestedAutoencoder):
        X = estimator.complete(estimator._check_X(X, reset=False))
        return X, np.arange(len(X)) if index is None else index
    if is_scale_list(X):
        X = estimator._stack(X).X
        index = X.index.to_numpy()
    X = estimator._check_X(X, reset=False)
    index = np.arange(len(X)) if index is None else index
    measured = measured_scales(X, flow.columns)
    rows = np.flatnonzero(last_scale(measured) == len(flow) - 1)
    if not len(rows):
        raise ValueError(
            f"X has no row with a measured column of the last stage, {flow.names[-1]!r}, among "
            f"its {len(X)} rows."
        )
    return estimator.complete(take_rows(X, rows)), index[rows]


def _kinds(flow: DifferentiableChain, X: pd.DataFrame) -> Kinds:
    """Give the kinds of the columns of known rows."""
    used = {j for own in flow.columns for j in own}
    ensembles = [e for e in (flow.estimator, *flow.estimators) if len(e.members_) > 1]
    seen = "in fit"
    if any(ensemble.bootstrap for ensemble in ensembles):  # others may have seen other categories
        seen += " by the ensemble's first member, whose decoder gives the candidates"
    return Kinds(X, _categories(flow), used, seen)


def _categories(flow: DifferentiableChain) -> dict[int, np.ndarray]:
    """Give the categories of each categorical column of X."""
    return {
        own[j]: categories
        for fitted, own in zip(flow.fitted, flow.columns, strict=True)
        for j, categories in fitted.table.categories.items()
    }


def _set_scales(
    wishes: list[DesignObjective], prediction: np.ndarray, tolerance: Any, names: list[str]
) -> None:
    """Take each target's unit from what is predicted of the known rows."""
    columns = prediction.reshape(len(prediction), -1)
    given = _tolerances(wishes, tolerance, names)
    for wish in wishes:
        if wish.kind == "class":
            continue
        wish.scale = standard_deviation(columns[:, wish.column].astype(float)) or 1.0
        own = given.get(wish.column)
        wish.tolerance = _TOLERANCE * wish.scale if own is None else float(own)


def _tolerances(wishes: list[DesignObjective], tolerance: Any, names: list[str]) -> dict[int, Any]:
    """Give the tolerance of each column of y."""
    wanted = [wish.column for wish in wishes]
    items = (
        tolerance.items() if isinstance(tolerance, Mapping) else [(j, tolerance) for j in wanted]
    )
    given: dict[int, Any] = {}
    for key, value in items:
        column = position_of(key, names, "tolerance")
        if column not in wanted:
            raise ValueError(
                f"The 'tolerance' parameter names {key!r}, of which nothing is wanted."
            )
        if column in given:
            raise ValueError(
                f"The 'tolerance' parameter names the target {names[column]!r} twice."
            )
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if value is not None and not (is_number and value > 0):
            raise ValueError(
                f"The 'tolerance' parameter must be positive, got {value!r} for {names[column]!r}."
            )
        given[column] = value
    return given


def _as_draft(X: pd.DataFrame, kinds: Kinds) -> Candidates:
    """Give known rows as numbers and one-hot categories; all 0 of one that was never seen."""
    numbers = X.iloc[:, kinds.numeric].to_numpy(dtype=np.float64)
    shares = {}
    for j, categories in kinds.categories.items():
        values = X.iloc[:, j].to_numpy(dtype=object)
        one_hot = values[:, None] == categories.astype(object)[None, :]
        shares[j] = torch.from_numpy(one_hot.astype(np.float64))
    return Candidates(
        torch.from_numpy(np.array(numbers, order="C")), shares
    )  # pandas' is read-only


def _as_table(draft: Candidates, like: pd.DataFrame, kinds: Kinds) -> pd.DataFrame:
    """Give candidates as a table with the columns and dtypes of the known rows.

    Columns that no stage has are missing, where need be in a dtype that can be.
    """
    columns: list[pd.Series] = []
    nothing = like.iloc[:0].reset_index(drop=True).reindex(range(len(draft.numbers)))
    for j, dtype in enumerate(like.dtypes):
        if j in kinds.categories:
            values: Any = kinds.categories[j][draft.shares[j].argmax(dim=1).numpy()]
        elif j not in kinds.numeric:
            columns.append(nothing.iloc[:, j])
            continue
        else:
            values = draft.numbers[:, kinds.numeric.index(j)].numpy()
        if isinstance(dtype, pd.CategoricalDtype) and not set(values) <= set(dtype.categories):
            dtype = pd.CategoricalDtype(kinds.categories[j])
        columns.append(pd.Series(values).astype(dtype))
    return pd.concat(columns, axis=1).set_axis(like.columns, axis=1)


def _as_array(table: pd.DataFrame, like: np.ndarray) -> np.ndarray:
    return table.to_numpy(dtype=like.dtype)


def _choose(
    draft: Candidates,
    losses: torch.Tensor,
    known: Candidates,
    space: SearchProblem,
    n_candidates: int,
) -> np.ndarray:
    """Choose the best candidates that differ from each other and from the known rows."""
    kinds = space.kinds
    points, codes = _coordinates(draft, kinds)
    known_points, known_codes = _coordinates(known, kinds)
    is_usable = np.isfinite(losses.numpy()) & _keeps_sums(draft, space.constraints)
    price = _PRICE_OF_KNOWN * _is_alike(points, codes, known_points, known_codes)
    order = np.argsort(losses.numpy() + price, kind="stable")
    order = order[is_usable[order]]
    rows = {row.tobytes() for row in np.hstack([known_points.round(9), known_codes]) + 0.0}
    every = np.hstack([points.round(9), codes]) + 0.0
    order = np.array([i for i in order if every[i].tobytes() not in rows], dtype=int)
    return np.array(choose_distinct(points, codes, order, n_candidates), dtype=int)


def _is_alike(
    points: np.ndarray, codes: np.ndarray, known_points: np.ndarray, known_codes: np.ndarray
) -> np.ndarray:
    """Tell which candidates a known row is so near to that of two candidates one would stay."""
    scale = np.sqrt(max(points.shape[1], 1))
    near = NearestNeighbors(n_neighbors=1).fit(np.hstack([known_points / scale, known_codes]))
    distance, _ = near.kneighbors(np.hstack([points / scale, codes]))
    return distance[:, 0] <= DISTINCT  # codes that differ are 1 apart at least


def _coordinates(draft: Candidates, kinds: Kinds) -> tuple[np.ndarray, np.ndarray]:
    """Give numbers in standard deviations, and codes of categories; -1 where never seen."""
    points = draft.numbers.numpy() / kinds.scale[kinds.numeric]
    codes = [
        torch.where(shares.any(dim=1), shares.argmax(dim=1), -1).numpy()
        for shares in draft.shares.values()
    ]
    return points, np.array(codes, dtype=int).reshape(len(codes), len(points)).T


def _keeps_sums(draft: Candidates, constraints: Constraints) -> np.ndarray:
    """Tell which candidates keep the sums, which rounding of integers may break."""
    keeps = np.ones(len(draft.numbers), dtype=bool)
    for columns, total in constraints.sums:
        own = [constraints.kinds.numeric.index(j) for j in columns]
        sums = draft.numbers[:, own].sum(dim=1).numpy()
        keeps &= np.abs(sums - total) <= SUM_TOLERANCE * max(1.0, abs(total))
    return keeps


def _describe(
    flow: DifferentiableChain,
    X: Any,
    known: Any,
    found: Candidates,
    known_draft: Candidates,
    space: SearchProblem,
    wishes: list[DesignObjective],
) -> Design:
    """Predict the candidates, and say how far they are from what is known.

    ``nearest`` are positions among the known rows.
    """
    estimator = flow.estimator
    n_found = len(found.numbers)
    n_nearest = min(_N_NEAREST, len(known))
    if not n_found:
        shape = (0, *estimator.predict(known[:1]).shape[1:])
        empty = np.empty(0)
        nothing = np.empty(shape)
        return Design(
            X,
            nothing,
            nothing,
            empty.astype(bool),
            empty,
            empty,
            empty,
            empty,
            np.empty((0, n_nearest), dtype=int),
            _target_names(flow),
        )
    if len(estimator.members_) > 1:
        prediction, std = _predict_with_spread(estimator, X)
    else:
        prediction = estimator.predict(X)
        std = np.full(prediction.shape, np.nan)
    columns = prediction.reshape(n_found, -1)
    meets = np.all([wish.is_met(columns[:, wish.column]) for wish in wishes], axis=0)
    with torch.no_grad():
        latents = space.latents(found)[-1].numpy()
    inverse = np.linalg.inv(space.factor.numpy())
    known_scores = estimator.score_samples(known)
    scores = estimator.score_samples(X)
    near = NearestNeighbors(n_neighbors=n_nearest).fit(_embed(known_draft, space.kinds))
    distance, position = near.kneighbors(_embed(found, space.kinds))
    whitened = space.known.numpy() @ inverse.T
    in_latents, _ = NearestNeighbors(n_neighbors=1).fit(whitened).kneighbors(latents @ inverse.T)
    return Design(
        X=X,
        prediction=prediction,
        prediction_std=std,
        meets=meets,
        loss=np.zeros(n_found),
        latent_distance=in_latents[:, 0] / np.sqrt(latents.shape[1]),
        input_distance=distance[:, 0],
        domain=(known_scores[None, :] < scores[:, None]).mean(axis=1),
        nearest=position,
        target_names=_target_names(flow),
    )


def _predict_with_spread(estimator: Any, X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Give an ensemble's prediction and spread; of a class, that of its probability."""
    if hasattr(estimator, "predict_proba") and not isinstance(estimator, NestedAutoencoder):
        p, p_std = estimator.predict_proba(X, return_std=True)
        best = p.argmax(axis=1)
        return estimator.classes_[best], p_std[np.arange(len(best)), best]
    return estimator.predict(X, return_std=True)


def _embed(draft: Candidates, kinds: Kinds) -> np.ndarray:
    """Give points whose Euclidean distance is the root mean square over columns."""
    points, _ = _coordinates(draft, kinds)
    one_hot = []
    for shares in draft.shares.values():
        never_seen = 1 - shares.sum(dim=1, keepdim=True)  # is as far from each as these are
        one_hot.append(torch.cat([shares, never_seen], dim=1).numpy() / np.sqrt(2))
    return np.hstack([points, *one_hot]) / np.sqrt(max(kinds.n_columns, 1))


def _target_names(flow: DifferentiableChain) -> list[str]:
    return [name for name, *_ in outputs_of(flow)]


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
    design: Design, wishes: list[DesignObjective], known: np.ndarray, n_candidates: int
) -> None:
    """Say if nothing meets the target, or too few candidates were found."""
    columns = known.reshape(len(known), -1)
    if len(design) and not design.meets.any():
        told = []
        for wish in wishes:
            if wish.kind in ("max", "min"):
                continue
            own = columns[:, wish.column]
            found = design.prediction.reshape(len(design), -1)[:, wish.column]
            text = f"{wish.name} was to be {wish.describe()}"
            if wish.kind == "class":
                text += f", predicted are {sorted(set(found.tolist()), key=str)}"
            else:
                middle = np.clip(found.astype(float), wish.low, wish.high)
                nearest = found[np.abs(found.astype(float) - middle).argmin()]
                text += f"; nearest is {nearest:.4g}"
                low, high = own.astype(float).min(), own.astype(float).max()
                text += f", and the known rows are predicted from {low:.4g} to {high:.4g}"
            told.append(text)
        warnings.warn(
            f"None of the {len(design)} candidates meets the target: {'; '.join(told)}.",
            ToleranceWarning,
            stacklevel=stack_level_of_caller(),
        )
    if len(design) < n_candidates:
        warnings.warn(
            f"Only {len(design)} distinct candidates were found within the constraints, of "
            f"n_candidates={n_candidates}.",
            ToleranceWarning,
            stacklevel=stack_level_of_caller(),
        )
