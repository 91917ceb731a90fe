"""Cross-validation of the report: folds, held-out predictions, baselines and scores."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, r2_score, recall_score
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from .._compat import safe_indexing
from .._estimators._unwrap import steps_before, up_to_stage
from .._notices import Notices
from .._tables._labels import scale_columns
from ..model_selection import ScaleKFold, batched_cross_validate
from ..plotting._arrays import flat_table, pooled_r2, read_decoded
from ..plotting._base import count, decode_as
from ._as_column import WIDEST_BOOSTED, forest_settings, prepared, properties_as_columns
from ._passed import Predictor, find_predictors, measured_or_predicted, std_of_process
from ._task import Target, Task, flat_target, label_text, row_means, stages_of

MODEL = "this model"
LEARNT = "this model, on rows it learnt from"
HIGHER_IS_BETTER = {
    "R²": True,
    "MAE": False,
    "accuracy": True,
    "balanced accuracy": True,
    "log loss": False,
}
_ALPHAS = np.logspace(-3, 3, 13)
# With fewer rows gradient boosting's threads wait for each other, on a shared machine 50 times
# longer than one of them works.
_WORTH_THREADS = 10_000
# Baselines that learn many numbers in one fit as they would one by one.
_LEARN_MANY = ("median", "ridge regression", "extra-trees forest")
# In front of the name of a baseline that has what a chain passes on.
AS_COLUMN = "predicted property as a column → "
# Of more columns, gradient boosting would have to learn each in a fit of its own.
MOST_BOOSTED = 12
# In place of the position of a stage.
_ALL_STAGES = -1
# Of more columns, baselines learn so many principal components of them.
_MOST_OUTPUTS = 32


# Rows to learn from and rows held out.
Split = tuple[np.ndarray, np.ndarray]


class Score(NamedTuple):
    """One score of one model; ``fold`` counts from 0."""

    target: str
    model: str
    metric: str
    fold: int
    score: float


@dataclass(frozen=True)
class HeldOut:
    """Predictions of rows while they were held out; a row may be in several folds, or in none.

    Parameters
    ----------
    fold, row : ndarray of int, shape (n_predictions,)
    truth, predicted : ndarray of float, shape (n_predictions,)
        Numbers, or positions of classes; of an array (n_predictions, n_elements).
    spread : ndarray of the same shape, or None
        Standard deviation of an ensemble's members, or that a Gaussian process gives; NaN in
        folds without one.
    probability : ndarray of shape (n_predictions, n_classes) or None
    passed : ndarray of float, shape (n_predictions,), or None
        1 where the measured value of an earlier stage was passed on, 0 where a predicted one,
        NaN where nothing. None without a stage before.
    """

    fold: np.ndarray
    row: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    spread: np.ndarray | None
    probability: np.ndarray | None
    passed: np.ndarray | None = None


@dataclass(frozen=True)
class Evaluation:
    """The results of cross-validation.

    Parameters
    ----------
    splits : list of (ndarray, ndarray)
        Rows to learn from and rows held out, of each fold.
    how : str
        How the rows were split, in words.
    held_out : list of HeldOut
        For each target.
    scores : DataFrame
        One row a score, with the columns target, model, metric, fold and score.
    reconstruction : DataFrame of shape (n_splits, 2)
        R² of the reconstruction, with the columns "held out" and "learnt from".
    decoded : dict of int to ndarray of shape (n_samples,)
        Reconstruction of each column that comes back, of rows while they were held out; NaN or
        None where they never were. Of an array (n_samples, n_elements).
    decoded_by_pca : dict of int to ndarray of shape (n_samples,)
        The same of as many principal components.
    messages : list of str
        Warnings that were given on the way.
    predictors : list of dict of int to Predictor
        For each fold, the predictor of each stage, by its position.
    """

    splits: list[Split]
    how: str
    held_out: list[HeldOut]
    scores: pd.DataFrame
    reconstruction: pd.DataFrame
    decoded: dict[int, np.ndarray]
    decoded_by_pca: dict[int, np.ndarray]
    messages: list[str]
    predictors: list[dict[int, Predictor]] = field(default_factory=list)

    def has_process(self, target: Target) -> bool:
        """Return whether a Gaussian process predicts a target, be it in some folds alone."""
        return any(target.stage in own and own[target.stage].is_process for own in self.predictors)

    @cached_property
    def by_model(self) -> dict[tuple[str, str], dict[str, pd.Series]]:
        """The scores by target and model, then by metric; a series over folds each."""
        found: dict[tuple[str, str], dict[str, dict[int, float]]] = {}
        for target, model, metric, fold, score in self.scores.itertuples(index=False):
            found.setdefault((target, model), {}).setdefault(metric, {})[fold] = score
        return {
            key: {metric: pd.Series(of_folds) for metric, of_folds in own.items()}
            for key, own in found.items()
        }


def evaluate(task: Task, cv: Any, rng: np.random.RandomState) -> Evaluation:
    """Cross-validate the model and its baselines on the same folds."""
    splits, how = make_splits(task, cv, rng)
    seed = rng.randint(2**31)
    rows: list[Score] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Notices(apart=True):
            estimators = batched_cross_validate(
                clone(task.model),
                task.X,
                task.y,
                cv=splits,
                scoring=_no_score,
                return_estimator=True,
                error_score="raise",
            )["estimator"]
            last: _Last = {}
            held_out = [
                _predict_held_out(task, target, splits, estimators, rows, last)
                for target in task.targets
            ]
            reconstruction = _score_reconstruction(task, splits, estimators)
            decoded = _decode_held_out(task, splits, estimators)
    messages = _messages(caught)
    rows += _score_baselines(task, splits, seed)
    scores = pd.DataFrame(rows, columns=["target", "model", "metric", "fold", "score"])
    by_pca = _decode_by_pca(task, splits, estimators) if decoded else {}
    predictors = [find_predictors(estimator) for estimator in estimators]
    return Evaluation(
        splits, how, held_out, scores, reconstruction, decoded, by_pca, messages, predictors
    )


def _no_score(estimator: Any, X: Any, y: Any = None) -> float:
    """Stand in for a score: predictions are scored afterwards, each once for all metrics."""
    return 0.0


def _messages(caught: list[warnings.WarningMessage]) -> list[str]:
    """Return each warning once; those of other kinds are none of the report's."""
    texts: dict[str, int] = {}
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            text = f"{warning.category.__name__}: {' '.join(str(warning.message).split())}"
            texts[text] = texts.get(text, 0) + 1
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return [text if n == 1 else f"{text} (given {n} times)" for text, n in texts.items()]


# ---------------------------------------------------------------------------------------------
# Splits


def make_splits(task: Task, cv: Any, rng: np.random.RandomState) -> tuple[list[Split], str]:
    """Return the rows of each fold, and a description of their choice.

    Raises
    ------
    ValueError
        If there are fewer rows, groups or known targets than folds, no fold, or a target of which
        the folds hold out no known value.
    TypeError
        If ``cv`` is neither a number, a splitter nor a list of splits.
    """
    if isinstance(cv, Integral) and not isinstance(cv, bool):
        _check_enough(task, int(cv))
        splitter, strata, how = _choose_splitter(task, int(cv), rng.randint(2**31))
    elif hasattr(cv, "split") and not isinstance(cv, str):
        splitter, strata, how = cv, task.y, f"Folds of {cv!r}"
    elif isinstance(cv, list | tuple | Iterator):
        splitter, strata, how = None, None, "Folds as they were given"
    else:
        raise TypeError(
            "The 'cv' parameter must be a number of folds, a splitter, or a list of (train, test) "
            f"pairs, got {cv!r}."
        )
    with warnings.catch_warnings():
        # classes with fewer rows than there are folds are a limit that the page states
        warnings.filterwarnings("ignore", message="The least populated class")
        pairs = cv if splitter is None else splitter.split(task.X, strata, task.groups)
        positions = np.arange(task.n_samples)  # a split may be a mask of rows
        splits = [
            (positions[np.asarray(train)], positions[np.asarray(test)]) for train, test in pairs
        ]
    if not splits:
        raise ValueError(f"The 'cv' parameter gives no fold: {cv!r}.")
    _check_held_out(task, splits)
    return splits, how


def _check_held_out(task: Task, splits: list[Split]) -> None:
    """Refuse folds without a held-out value of a target to score."""
    held_out = np.unique(np.concatenate([test for _, test in splits]))
    for target in task.targets:
        if not target.known[held_out].any():
            raise ValueError(
                "The folds of the 'cv' parameter must hold out rows in which the target "
                f"{target.name!r} is known, got {count(len(splits), 'fold')} with "
                f"{count(len(held_out), 'held-out row')} and no known value among them."
            )


def _check_enough(task: Task, n_folds: int) -> None:
    """Refuse more folds than rows or groups."""
    if n_folds < 2:
        raise ValueError(f"The 'cv' parameter must be at least 2 folds, got {n_folds}.")
    counts = {"X has": (task.n_samples, "row")}
    if task.groups is not None:
        counts["groups has"] = (len(np.unique(task.groups)), "distinct group")
    for target in task.targets:
        counts[f"the target {target.name!r} has"] = (int(target.known.sum()), "known value")
    for what, (n, unit) in counts.items():
        if n < n_folds:
            raise ValueError(
                f"The 'cv' parameter asks for {n_folds} folds, but {what} {count(n, unit)}."
            )


def _choose_splitter(task: Task, n_folds: int, seed: int) -> tuple[Any, Any, str]:
    """Choose the splitter of the rows, its y, and its description."""
    if task.groups is None:
        whole = ""
    else:
        whole = f" of whole groups ({len(np.unique(task.groups)):,} of them)"
    settings = {"n_splits": n_folds, "shuffle": True, "random_state": seed}
    if task.has_own_rows and scale_columns(task.X) is not None:
        how = f"{n_folds} shuffled folds{whole}, each scale's rows dealt out on their own"
        return ScaleKFold(**settings), task.y, how
    strata, by = _strata(task, n_folds)
    grouped = task.groups is not None
    if strata is None:
        kind: Any = GroupKFold if grouped else KFold
        return kind(**settings), None, f"{n_folds} shuffled folds{whole}"
    kind = StratifiedGroupKFold if grouped else StratifiedKFold
    return kind(**settings), strata, f"{n_folds} shuffled folds{whole}, each with its share {by}"


def _strata(task: Task, n_folds: int) -> tuple[np.ndarray | None, str]:
    """Return the strata of rows, and their name; each fold should have its share of them."""
    parts, by = [], []
    if task.has_own_rows:
        parts.append(task.scale)
        by.append("of each scale")
    for target in task.targets[-1:]:  # a table has one stratum a row: the last target's
        if target.classes is not None:
            parts.append(np.nan_to_num(target.values, nan=-1))
            by.append("of each class")
        elif not target.known.all():
            parts.append(target.known)
            by.append("of the known targets")
    if not parts:
        return None, ""
    strata = pd.DataFrame(dict(enumerate(parts))).groupby(list(range(len(parts)))).ngroup()
    if strata.value_counts().max() < n_folds or strata.nunique() < 2:
        return None, ""
    return strata.to_numpy(), " and ".join(by)


# ---------------------------------------------------------------------------------------------
# The model


# The last predictions of a fold's model, of rows held out or learnt from: the rows, and with a
# standard deviation or without. Targets that are known in the same rows share them.
_Last = dict[tuple[Hashable, ...], tuple[np.ndarray, pd.DataFrame, pd.DataFrame | None]]


def _predict_held_out(
    task: Task,
    target: Target,
    splits: list[Split],
    estimators: list[Any],
    scores: list[Score],
    last: _Last,
) -> HeldOut:
    """Predict one target of each fold's held-out rows, and score that."""
    parts = []
    for k, ((train, test), estimator) in enumerate(zip(splits, estimators, strict=True)):
        for name, rows in ((MODEL, test), (LEARNT, train)):
            own = rows[target.known[rows]]
            if not len(own):
                continue
            asked = _std_to_ask(task, target, estimator, name)
            key = (k, name, asked)
            if key not in last or not np.array_equal(last[key][0], own):
                last[key] = (own, *_predict_all(task, estimator, own, asked))
            part = _pick(task, target, estimator, k, last[key])
            values = metrics(target, part.truth, part.predicted, part.probability)
            _note(scores, target, name, k, values)
            if name == MODEL:
                passed = measured_or_predicted(task, target, estimator, own)
                parts.append(replace(part, passed=passed))
    return _join(parts)


def _join(parts: list[HeldOut]) -> HeldOut:
    """Put the predictions of folds one behind the other; a fold may have no spread."""
    joined: dict[str, Any] = {}
    for name in (f.name for f in fields(HeldOut)):
        of_folds = [getattr(part, name) for part in parts]
        if all(own is None for own in of_folds):
            joined[name] = None
            continue
        joined[name] = np.concatenate(
            [
                np.full(part.predicted.shape, np.nan) if own is None else own
                for part, own in zip(parts, of_folds, strict=True)
            ]
        )
    return HeldOut(**joined)


def _std_to_ask(task: Task, target: Target, estimator: Any, name: str) -> int | None:
    """Return the stage whose standard deviation is asked; of an ensemble all, and None of none."""
    if target.classes is not None:
        return None
    if task.is_ensemble:
        return _ALL_STAGES
    found = find_predictors(estimator).get(target.stage)
    return target.stage if name == MODEL and found is not None and found.is_process else None


def _predict_all(
    task: Task, estimator: Any, rows: np.ndarray, asked: int | None
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Predict all targets of some rows with one fold's model."""
    X = safe_indexing(task.X, rows)
    if asked == _ALL_STAGES:
        predicted, spread = estimator.predict(X, return_std=True)
        return flat_target(predicted), flat_target(spread)
    whole = flat_target(estimator.predict(X))
    std = None if asked is None else std_of_process(estimator, asked, X)
    if std is None:
        return whole, None
    assert asked is not None
    stds = np.full(whole.shape, np.nan)
    stds[:, [j for t in task.targets if t.stage == asked for j in t.outputs]] = std
    return whole, pd.DataFrame(stds)


def _pick(
    task: Task,
    target: Target,
    estimator: Any,
    fold: int,
    predictions: tuple[np.ndarray, pd.DataFrame, pd.DataFrame | None],
) -> HeldOut:
    """Pick one target out of one fold's predictions, of a class with its probabilities."""
    rows, predicted, spreads = predictions
    spread = probability = None
    if spreads is not None:
        spread = target.pick(spreads)
    if target.classes is not None:
        part = estimator if target.stage_name is None else up_to_stage(estimator, target.stage)
        if hasattr(part, "predict_proba"):
            codes = [target.codes[label] for label in part.classes_.tolist()]
            proba = part.predict_proba(safe_indexing(task.X, rows))
            probability = _align(proba, codes, len(target.classes))
    values = target.pick(predicted)
    truth = target.values[rows]
    return HeldOut(np.full(len(rows), fold), rows, truth, values, spread, probability)


def _align(probability: np.ndarray, codes: list[int], n_classes: int) -> np.ndarray:
    """Add a column for each class that a fold did not have."""
    aligned = np.zeros((len(probability), n_classes))
    aligned[:, codes] = np.asarray(probability, dtype=np.float64)
    return aligned / aligned.sum(axis=1, keepdims=True)


def metrics(
    target: Target, truth: np.ndarray, predicted: np.ndarray, probability: np.ndarray | None
) -> dict[str, float]:
    """Compute the scores of a target: of numbers R² and MAE, of classes three.

    Of an array both are of all its measured elements together.
    """
    if target.shape:
        error = float(np.nanmean(np.abs(truth - predicted)))
        r2 = pooled_r2(truth, predicted) if len(truth) > 1 else np.nan
        return {"R²": r2, "MAE": error}
    if target.classes is None:
        r2 = r2_score(truth, predicted) if len(truth) > 1 and np.ptp(truth) > 0 else np.nan
        return {"R²": float(r2), "MAE": float(mean_absolute_error(truth, predicted))}
    values = {
        "accuracy": accuracy_score(truth, predicted),
        "balanced accuracy": recall_score(
            truth, predicted, labels=np.unique(truth), average="macro", zero_division=0
        ),
    }
    if probability is not None:
        values["log loss"] = log_loss(truth, probability, labels=np.arange(len(target.classes)))
    return {name: float(value) for name, value in values.items()}


def _note(
    scores: list[Score], target: Target, model: str, fold: int, values: dict[str, float]
) -> None:
    """Record the scores of one model on one fold."""
    scores += [Score(target.name, model, metric, fold, value) for metric, value in values.items()]


# ---------------------------------------------------------------------------------------------
# Baselines


def baselines(
    table: pd.DataFrame, target: Target, seed: int, n_outputs: int = 1
) -> dict[str, BaseEstimator]:
    """Return the baselines of a target: simple models to try first.

    Parameters
    ----------
    table : DataFrame
        Numbers as floats, texts as categories.
    target : Target
    seed : int
    n_outputs : int, default=1
        Number of columns of y that are learnt from the same rows. Of many, trees learn all in one
        fit, and of very many their principal components, as these bound time and memory. So do
        trees that look at some columns of a wide table.
    """
    by_line, by_forest = _line_and_forest(table, target, seed, n_outputs)
    is_wide = table.shape[1] > WIDEST_BOOSTED
    if target.classes is None and (target.shape or n_outputs > MOST_BOOSTED or is_wide):
        return {
            "median": DummyRegressor(strategy="median"),
            "ridge regression": by_line,
            "extra-trees forest": by_forest,
        }
    if target.classes is None:
        return {
            "median": DummyRegressor(strategy="median"),
            "ridge regression": by_line,
            "gradient boosting": HistGradientBoostingRegressor(
                categorical_features="from_dtype", random_state=seed
            ),
        }
    simple = {
        "most frequent class": DummyClassifier(strategy="prior"),
        "logistic regression": by_line,
    }
    if is_wide:
        return {**simple, "extra-trees forest": by_forest}
    return {
        **simple,
        "gradient boosting": HistGradientBoostingClassifier(
            categorical_features="from_dtype", random_state=seed
        ),
    }


def baselines_with_property(
    table: pd.DataFrame, target: Target, seed: int, n_outputs: int = 1
) -> dict[str, BaseEstimator]:
    """Return the baselines that have earlier properties among their columns.

    Parameters
    ----------
    table : DataFrame
        With these columns.
    target : Target
    seed : int
    n_outputs : int, default=1
        As in :func:`baselines`.
    """
    by_line, by_forest = _line_and_forest(table, target, seed, n_outputs)
    line = "ridge regression" if target.classes is None else "logistic regression"
    return {f"{AS_COLUMN}{line}": by_line, f"{AS_COLUMN}extra-trees forest": by_forest}


def _line_and_forest(
    table: pd.DataFrame, target: Target, seed: int, n_outputs: int
) -> tuple[BaseEstimator, BaseEstimator]:
    """Return a linear model and a forest; for very many columns, of their components."""
    settings = forest_settings(table, seed)
    if target.classes is not None:
        line: Any = LogisticRegression(max_iter=1000)
        forest: Any = ExtraTreesClassifier(**settings)
    else:
        line = RidgeCV(alphas=_ALPHAS, alpha_per_target=True)
        forest = ExtraTreesRegressor(**settings)
        n_components = min(_MOST_OUTPUTS, len(table) - 1)
        if n_outputs > _MOST_OUTPUTS and n_components > 0:
            line, forest = (
                TransformedTargetRegressor(
                    model,
                    transformer=PCA(n_components, random_state=seed),
                    check_inverse=False,
                )
                for model in (line, forest)
            )
    return make_pipeline(prepared(table), line), make_pipeline(prepared(table), forest)


def _score_baselines(task: Task, splits: list[Split], seed: int) -> list[Score]:
    """Fit each baseline where a target is known, and score it on the rows held out."""
    alike: dict[Hashable, list[Target]] = {}
    for target in task.targets:
        key: Hashable = (target.stage, target.known.tobytes())
        is_alone = target.classes is not None or target.shape
        alike.setdefault(target.name if is_alone else key, []).append(target)
    scores: dict[str, list[Score]] = {target.name: [] for target in task.targets}
    is_small = task.n_samples < _WORTH_THREADS
    with threadpool_limits(1, "openmp") if is_small else nullcontext():
        for targets in alike.values():
            table = task.frame(targets[0].stage if task.stage_names else None)
            known = targets[0].known
            for k, (train, test) in enumerate(splits):
                learnt, held = train[known[train]], test[known[test]]
                if not (len(learnt) and len(held)):
                    continue
                given = table.iloc[learnt], table.iloc[held]
                _score_baselines_of_fold(given, targets, (learnt, held), k, seed, scores)
                rows = np.concatenate([learnt, held])
                earlier = properties_as_columns(task, targets[0], train, rows, seed)
                if earlier is None:
                    continue
                both = pd.concat([table.iloc[rows].reset_index(drop=True), earlier], axis=1)
                given = both[: len(learnt)], both[len(learnt) :]
                _score_baselines_of_fold(
                    given, targets, (learnt, held), k, seed, scores, baselines_with_property
                )
    return [row for target in task.targets for row in scores[target.name]]


def _score_baselines_of_fold(
    tables: tuple[pd.DataFrame, pd.DataFrame],
    targets: list[Target],
    rows: Split,
    fold: int,
    seed: int,
    scores: dict[str, list[Score]],
    make: Callable[..., dict[str, BaseEstimator]] = baselines,
) -> None:
    """Score the baselines of targets that are known in the same rows, or of one of classes."""
    learnt, held = rows
    # a column without values tells nothing, and gradient boosting cannot have it
    used = tables[0].columns[tables[0].notna().any()]
    X_learnt, X_held = tables[0][used], tables[1][used]
    has_text = any(isinstance(dtype, pd.CategoricalDtype) for dtype in X_learnt.dtypes)
    n_outputs = sum(len(target.outputs) for target in targets)
    for name, estimator in make(X_learnt, targets[0], seed, n_outputs).items():
        given: tuple[pd.DataFrame, pd.DataFrame] | Split = (X_learnt, X_held)
        if name == "gradient boosting" and not has_text:  # it is quicker with arrays
            given = (X_learnt.to_numpy(), X_held.to_numpy())
        learns_many = name.removeprefix(AS_COLUMN) in _LEARN_MANY
        for part in [targets] if learns_many else [[target] for target in targets]:
            y = _fill_with_means(np.column_stack([target.values[learnt] for target in part]))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                estimator.fit(given[0], y[:, 0] if y.shape[1] == 1 else y)
            predicted = estimator.predict(given[1]).reshape(len(held), -1)
            for i, target in enumerate(part):
                probability = None
                if target.classes is not None:
                    codes = estimator.classes_.astype(int).tolist()
                    proba = estimator.predict_proba(given[1])
                    probability = _align(proba, codes, len(target.classes))
                back = predicted if target.shape else predicted[:, i]
                values = metrics(target, target.values[held], back, probability)
                _note(scores[target.name], target, name, fold, values)


def _fill_with_means(y: np.ndarray) -> np.ndarray:
    """Put the mean of an array's element where it is missing, as baselines take no NaN in y.

    Parameters
    ----------
    y : ndarray of shape (n_samples, n_outputs)
        Single columns have no missing value.
    """
    missing = np.isnan(y)
    if not missing.any():
        return y
    return np.where(missing, np.nan_to_num(row_means(y.T)), y)


# ---------------------------------------------------------------------------------------------
# Reconstruction


def _score_reconstruction(task: Task, splits: list[Split], estimators: list[Any]) -> pd.DataFrame:
    """Return R² of the reconstruction of each fold, of rows held out and of rows learnt from."""
    return pd.DataFrame(
        [
            [_reconstruction_score(e, safe_indexing(task.X, part)) for part in (test, train)]
            for (train, test), e in zip(splits, estimators, strict=True)
        ],
        columns=["held out", "learnt from"],
    )


def _reconstruction_score(estimator: Any, X: pd.DataFrame | np.ndarray) -> float:
    """Return R² of the reconstruction; NaN where no stage is an autoencoder."""
    try:
        return float(estimator.score(X))
    except ValueError:
        return np.nan


def _decode_held_out(
    task: Task, splits: list[Split], estimators: list[Any]
) -> dict[int, np.ndarray]:
    """Encode and decode the rows of each fold by the model that did not see them."""
    decoded: dict[int, np.ndarray] = {}
    for (_, test), estimator in zip(splits, estimators, strict=True):
        back = _decode(task, estimator, test)
        for j, values in back.items():
            if j not in decoded:
                decoded[j] = _empty(task, j)
            decoded[j][test] = values
    return decoded


def _empty(task: Task, j: int) -> np.ndarray:
    """Return a column without values, for what the folds will give back."""
    elements = task.columns[j].elements
    if elements is not None:
        return np.full(elements.shape, np.nan)
    is_text = task.columns[j].is_categorical
    return np.full(task.n_samples, None if is_text else np.nan, object if is_text else float)


def _decode(task: Task, estimator: Any, rows: np.ndarray) -> dict[int, np.ndarray]:
    """Return the reconstruction of each column that comes back, by its position in the task.

    Parameters
    ----------
    task : Task
    estimator : estimator
        Fitted without these rows.
    rows : ndarray of int
    """
    if not _can_decode(task, estimator):
        return {}
    X = safe_indexing(task.X, rows)
    back = flat_table(decode_as(estimator, estimator.transform(X), X))[0]
    X = flat_table(X)[0]
    labels = list(X.columns) if isinstance(X, pd.DataFrame) else list(range(X.shape[1]))
    # a chain whose stages leave columns out gives a frame with the labels of those it has
    place = {j: j for j in range(len(labels))}
    if isinstance(back, pd.DataFrame) and set(back.columns) <= set(labels):
        position = {label: j for j, label in enumerate(labels)}
        place = {position[label]: i for i, label in enumerate(back.columns)}
    frame = pd.DataFrame(back)
    decoded = {}
    for j, column in enumerate(task.columns):
        if not set(column.positions) <= place.keys():
            continue
        own = [place[i] for i in column.positions]
        if column.array is not None:
            assert column.elements is not None
            array = column.array._replace(columns=own)
            decoded[j] = read_decoded(frame, array, column.elements[rows])
            continue
        values = frame.iloc[:, own[0]]
        if column.is_categorical:
            decoded[j] = np.array([label_text(value) for value in values.tolist()], dtype=object)
        else:
            decoded[j] = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return decoded


def _can_decode(task: Task, estimator: Any) -> bool:
    """Return whether each stage can decode."""
    stages = stages_of(task.core)
    has_all = all(hasattr(stage, "inverse_transform") for _, stage, _ in stages)
    return has_all and hasattr(estimator, "inverse_transform")


def _decode_by_pca(
    task: Task, splits: list[Split], estimators: list[Any]
) -> dict[int, np.ndarray]:
    """Do the same with principal components, as many as there are latents.

    Of one scale alone, and without steps before it. Numbers are imputed by their means, and all
    is standardised; categories are one-hot, and the largest value of a group is given back.
    """
    if task.stage_names or steps_before(task.model):
        return {}
    decoded = {j: _empty(task, j) for j in range(len(task.columns))}
    n_latents = task.core.transform(safe_indexing(task.X, [0])).shape[1]
    for train, test in splits:
        parts, layout = [], []
        for j, column in enumerate(task.columns):
            values = column.values
            if column.is_categorical:
                known = values.iloc[train].dropna().unique().tolist()
                part = np.column_stack([(values == c).to_numpy(float) for c in known] or [[]])
                part = part.reshape(task.n_samples, len(known))
                part = np.where(column.measured[:, None], part, np.nan)
            else:
                known, part = None, column.numbers
            parts.append(part)
            layout.append((j, part.shape[1], known))
        full = np.hstack(parts)
        prepare = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
        prepare.set_output(transform="default")
        scaled = prepare.fit(full[train]).transform(full)
        pca = PCA(min(n_latents, len(train), full.shape[1]), svd_solver="full")
        with np.errstate(invalid="ignore"):  # a table of constants has no variance to explain
            pca.fit(scaled[train])
        back = prepare[-1].inverse_transform(pca.inverse_transform(pca.transform(scaled[test])))
        start = 0
        for j, width, known in layout:
            part = back[:, start : start + width]
            if known is None:
                decoded[j][test] = part if task.columns[j].array else part[:, 0]
            elif known:
                decoded[j][test] = np.array(known, dtype=object)[part.argmax(axis=1)]
            start += width
    return decoded
