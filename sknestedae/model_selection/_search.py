"""Searches and cross-validation with vectorized training of all folds' and candidates' networks.

The searches are scikit-learn's: its functions run as they are, with folds, scores, refit and
messages of their own. They give their fits to joblib, whose backend here runs them concurrently:
where a fit comes to train a network, it waits for the others, so that networks of one shape are
trained in one stack. The results are those of scikit-learn's functions.
"""

from __future__ import annotations

import re
import warnings
import weakref
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from numbers import Real
from types import EllipsisType
from typing import Any, ClassVar

import joblib
import numpy as np
import pandas as pd
from joblib.parallel import ParallelBackendBase, get_active_backend
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_validate
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if

from .._compat import DocumentationLink, Interval, fit_context, stack_level_of_caller
from .._persistence import public
from .._tables._scales import refuse_scale_list
from .._training._concurrent import run_concurrently
from ..exceptions import EqualScoresWarning


@contextmanager
def batched_training(n_jobs: int | None = None, *, working_memory: float | None = None):
    """Train the networks of all fits of scikit-learn's functions at once: a context manager.

    It serves any function that gives its fits to joblib, such as
    :func:`~sklearn.model_selection.learning_curve` or
    :class:`~sklearn.model_selection.HalvingGridSearchCV`. Networks that are trained at the same
    time, of one shape, share the time of a step. Other estimators run as ever.

    Parameters
    ----------
    n_jobs : int or None, default=None
        Number of workers that share the fits, each with its part of them at once. None: one, or
        those of the :func:`joblib.parallel_config` around; -1: as many as there are processors. It
        stands for the ``n_jobs`` of the functions inside.
    working_memory : float or None, default=None
        Bound of the memory that is in use at once for networks and for tables that they do not
        share, in MiB and in each worker. None: that of :func:`sklearn.set_config`, 1024 MiB unless
        set.

    See Also
    --------
    BatchedGridSearchCV : A search over a grid.
    batched_cross_validate : Scores of all folds.

    Notes
    -----
    All fits are under way at the same time, so that the measured time of one is that of all. A
    :func:`joblib.parallel_config` with ``backend="dask"`` around sends the parts to the workers of
    a cluster. The log "sknestedae" has the reason why a network is trained alone.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import validation_curve
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.model_selection import batched_training
    >>> X, y = load_diabetes(return_X_y=True)
    >>> sae = SupervisedAutoencoder(3, max_iter=5, random_state=0)
    >>> with batched_training():
    ...     train_scores, test_scores = validation_curve(
    ...         sae, X, y, param_name="alpha", param_range=[0.001, 0.01, 0.1]
    ...     )
    >>> test_scores.shape
    (3, 5)
    """
    workers = joblib.Parallel(n_jobs=n_jobs)
    around, _ = get_active_backend()
    n_workers = joblib.effective_n_jobs(n_jobs)
    backend = _Backend(workers, n_workers, around, working_memory)
    with joblib.parallel_config(backend=backend):
        yield


class _Result:
    """The result of a task to come: joblib's idea of a future."""

    def __init__(self, backend: _Backend, task: Callable, callback: Callable | None) -> None:
        self.task = task
        self.callback = callback
        self.value: Any = None
        self.error: BaseException | None = None
        self.is_done = False
        self._backend = backend

    def get(self, timeout: float | None = None) -> Any:
        if not self.is_done:
            self._backend.run_queue()
        if self.error is not None:
            raise self.error
        return self.value


class _Backend(ParallelBackendBase):
    """A backend of joblib that collects all tasks, and runs them concurrently.

    Parameters
    ----------
    workers : joblib.Parallel
        For the parts.
    n_workers : int
    around : ParallelBackendBase
        That of the workers.
    working_memory : float or None
    """

    supports_retrieve_callback = False
    _N_TASKS = 100_000  # as good as no limit: joblib is to hand over all tasks

    def __init__(
        self,
        workers: joblib.Parallel,
        n_workers: int,
        around: ParallelBackendBase,
        working_memory: float | None,
    ) -> None:
        super().__init__(nesting_level=0)
        self._workers = workers
        self._n_workers = n_workers
        self._around = around
        self._working_memory = working_memory
        self._queue: list[_Result] = []

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Return the number of tasks that may wait."""
        return self._N_TASKS

    def submit(self, func: Callable, callback: Callable | None = None) -> _Result:
        """Put a task into the queue."""
        result = _Result(self, func, callback)
        self._queue.append(result)
        return result

    apply_async = submit  # its name before joblib 1.5

    def run_queue(self) -> None:
        """Run all tasks of the queue."""
        queue, self._queue = self._queue, []
        n_parts = min(self._n_workers, len(queue))
        parts = [list(part) for part in np.array_split(np.array(queue, dtype=object), n_parts)]
        tasks = [[result.task for result in part] for part in parts]
        outcomes = self._run_parts(tasks)
        for part, outcome in zip(parts, outcomes, strict=True):
            for result, (value, error) in zip(part, outcome, strict=True):
                result.value, result.error, result.is_done = value, error, True
                result.task = None
                if result.callback is not None:
                    result.callback(result)

    def _run_parts(self, parts: list[list[Callable]]) -> list[list[tuple]]:
        """Run a part in each worker; return the value and the error of each task."""
        client = getattr(self._around, "client", None)
        if client is not None:
            # Not through joblib: it waits without end for a part that dask has given up, and
            # leaves a cluster of one worker idle.
            futures = [
                client.submit(_run_part, part, self._working_memory, pure=False) for part in parts
            ]
            with self._around.retrieval_context():
                return client.gather(futures)
        if len(parts) == 1:
            return [_run_part(parts[0], self._working_memory)]
        return self._workers(
            joblib.delayed(_run_part)(part, self._working_memory) for part in parts
        )

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Forget the tasks that wait."""
        self._queue = []


def _run_part(
    tasks: Sequence[Callable], working_memory: float | None
) -> list[tuple[Any, BaseException | None]]:
    """Run tasks concurrently; return the value and the error of each."""
    return [(done.value, done.error) for done in run_concurrently(tasks, working_memory)]


# ---------------------------------------------------------------------------------------------
# One copy of a fold's rows
#
# scikit-learn takes the rows of a fold anew for each candidate, and each fit holds its own until
# it is scored. Here all fits are under way at once, and so would be all copies: with 5 folds and
# 20 candidates of 100,000 rows and 50 columns, the peak was 2.9 GiB with a copy a fit, and 1.4 GiB
# with one a fold; each further candidate adds five copies or none. (Of 2,000 rows and 20 columns
# there was no difference, and of the time none beyond 10 percent.) To count the copies within
# working_memory instead gave 2.1 GiB, and smaller stacks. The rows are taken inside scikit-learn,
# so that the table itself must know what it has given: an array is asked for ``X[rows, ...]``, a
# DataFrame for ``X.take(rows)``. Whatever else is asked of them gives plain arrays and DataFrames.


class _SharedArray(np.ndarray):
    """An array that returns equal rows as one copy while that is in use.

    The copy cannot be written to, as other fits see it, too.
    """

    def __getitem__(self, key: Any) -> Any:
        match key:
            case (np.ndarray() as rows, EllipsisType()) if rows.dtype.kind == "i":
                return _taken(self, rows, lambda: _read_only(np.asarray(self)[key]))
        return np.asarray(self)[key]


class _SharedFrame(pd.DataFrame):
    """A DataFrame that returns equal rows with the memory of one copy while that is in use."""

    def take(self, indices: Any, axis: Any = 0, **kwargs: Any) -> pd.DataFrame:
        plain = pd.DataFrame(self, copy=False)
        if axis not in (0, "index"):
            return plain.take(indices, axis=axis, **kwargs)
        part = _taken(self, np.asarray(indices), lambda: plain.take(indices))
        own = part.copy(deep=False)  # so that a column that is set in one is not in the others
        object.__setattr__(own, "_shared", part)  # so that it lives as long as its shallow copy
        return own


def _read_only(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def _taken(owner: Any, rows: np.ndarray, take: Callable[[], Any]) -> Any:
    """Return the rows that were taken before, if somebody still has them; else take them."""
    # set on the object itself: a DataFrame would make a column of it
    taken = vars(owner).get("_taken")
    if taken is None:
        taken = weakref.WeakValueDictionary()
        object.__setattr__(owner, "_taken", taken)
    key = joblib.hash(rows)
    part = taken.get(key)
    if part is None:
        part = taken[key] = take()
    return part


def _share_rows(X: Any) -> Any:
    """Make an array or a DataFrame return equal rows as one object; leave anything else."""
    if type(X) is np.ndarray:
        return X.view(_SharedArray)
    if type(X) is pd.DataFrame:
        return _SharedFrame(X, copy=False)
    return X


# ---------------------------------------------------------------------------------------------
# Searches


class _BatchedSearch(DocumentationLink):
    """Base class of the searches: scikit-learn's fit, with networks trained at once."""

    n_jobs: int | None
    working_memory: float | None
    estimator: Any

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, **params):
        """Fit the estimator with all candidates on all folds, then the best one on all rows.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            As the estimator takes it. Tables of several scales: see
            :func:`~sknestedae.stack_scales`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target, if there is one.
        **params : dict of str to object
            Parameters of the estimator's ``fit``, the scorer and the splitter, such as
            ``sample_weight`` and ``groups``; those with a value a row are split with the rows.

        Returns
        -------
        self : object
            The fitted search.

        Warns
        -----
        EqualScoresWarning
            If all candidates have the same scores, and a Gaussian process may be the reason.
        """
        refuse_scale_list(X)
        with batched_training(self.n_jobs, working_memory=self.working_memory):
            fit = super().fit  # type: ignore[misc]
            fit(_share_rows(X), _share_rows(y), **params)
        _warn_of_equal_scores(self)
        return self

    @available_if(lambda search: hasattr(search.estimator, "transform"))
    def fit_transform(self, X, y=None, **params):
        """Fit, then transform X with the best estimator.

        Parameters
        ----------
        X, y, **params
            As in ``fit``.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Latents.
        """
        return self.fit(X, y, **params).transform(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        own = get_tags(self.estimator)
        tags.transformer_tags = own.transformer_tags
        tags.target_tags = own.target_tags
        tags.input_tags = own.input_tags
        return tags


def _warn_of_equal_scores(search: Any) -> None:
    """Warn where no candidate scored differently, as where a Gaussian process predicts.

    It does not depend on the network, so that a search over the network's hyperparameters is a
    draw, which the first candidate wins.
    """
    results = search.cv_results_
    settings = search.estimator.get_params()
    processes = [
        f"{key}={value!r}"
        for key, value in settings.items()
        if key.split("__")[-1] == "predictor"
        and isinstance(value, str)  # another estimator's may be anything
        and value in ("auto", "gaussian_process")
    ]
    if len(results["params"]) < 2 or not processes:
        return
    scores = np.array([results[key] for key in results if re.match(r"split\d+_test_", key)])
    if not np.allclose(scores, scores[:, :1], rtol=1e-9, atol=1e-12):  # NaN is not close, either
        return
    warnings.warn(
        f"The {scores.shape[1]} candidates have the same scores, so that the first one is the "
        f"best. With {processes[-1]} a Gaussian process predicts where few rows are labelled, and "
        "it does not depend on the network's hyperparameters. To search over these, set the "
        "'predictor' parameter to 'network'.",
        EqualScoresWarning,
        stacklevel=stack_level_of_caller(),
    )


@public("sknestedae.model_selection")
class BatchedGridSearchCV(_BatchedSearch, GridSearchCV):
    """Search over a grid of parameters, with the networks of candidates and folds trained at once.

    It is scikit-learn's :class:`~sklearn.model_selection.GridSearchCV`, and gives what that gives,
    several times as fast where networks are small. That holds for a
    :class:`~sknestedae.SupervisedAutoencoder`, its classifier, a
    :class:`~sknestedae.NestedAutoencoder`, which trains stage after stage, and a pipeline or any
    other estimator that has one of them in it. Candidates of one shape (number of latents, widths
    of layers, activation, losses, batch size) are trained together; other parameters may differ. A
    network that several candidates have in common, such as the first stage where only parameters
    of the second are searched over, is trained once, if it has a ``random_state``.

    Read more in the :ref:`User Guide <batched_training>`.

    Parameters
    ----------
    estimator : estimator object
        Is cloned for each candidate and fold.
    param_grid : dict or list of dict
        Names of parameters with lists of values to try.
    scoring : str, callable, list, tuple or dict, default=None
        As in :class:`~sklearn.model_selection.GridSearchCV`.
    n_jobs : int, default=None
        Number of workers that share the candidates, each with its part of them at once. None: one,
        or those of the :func:`joblib.parallel_config` around.
    refit : bool, str or callable, default=True
        Whether the best candidate is fitted to all rows, and the score that it is chosen by.
    cv : int, cross-validation generator or iterable, default=None
        Folds of the rows; None: five.
    verbose : int, default=0
        As in :class:`~sklearn.model_selection.GridSearchCV`.
    pre_dispatch : int or str, default="2*n_jobs"
        With an int, no more fits than that are under way at once. A str makes no bound.
    error_score : "raise" or float, default=np.nan
        Score of a candidate whose fit raises an error.
    return_train_score : bool, default=False
        Whether ``cv_results_`` has the scores of the training rows.
    working_memory : float, default=None
        Bound of the memory in use at once for networks and tables that they do not share, in MiB
        and in each worker. None: that of :func:`sklearn.set_config`, 1024 MiB unless set. More
        networks are trained in several parts.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As in :class:`~sklearn.model_selection.GridSearchCV`. A ``fit_time`` is the time of all
        fits that were under way with this one.

    See Also
    --------
    BatchedRandomizedSearchCV : Parameters drawn from distributions.
    batched_training : The same for any other function of scikit-learn.

    Notes
    -----
    The rows of a fold are one table for all fits on it. An estimator that writes into its X, such
    as a scaler with ``copy=False``, finds an array that cannot be written to. Of a DataFrame each
    fit has a shallow copy; before pandas 3, the others see changes of its columns in place.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.model_selection import BatchedGridSearchCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> sae = SupervisedAutoencoder(3, predictor="network", max_iter=20, random_state=0)
    >>> search = BatchedGridSearchCV(sae, {"alpha": [0.01, 0.1], "prediction_weight": [0.5, 1]})
    >>> search.fit(X, y).cv_results_["mean_test_score"].shape
    (4,)
    """

    _parameter_constraints: ClassVar[dict] = {
        **GridSearchCV._parameter_constraints,
        "working_memory": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(
        self,
        estimator,
        param_grid,
        *,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        pre_dispatch="2*n_jobs",
        error_score=np.nan,
        return_train_score=False,
        working_memory=None,
    ):
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.working_memory = working_memory


@public("sknestedae.model_selection")
class BatchedRandomizedSearchCV(_BatchedSearch, RandomizedSearchCV):
    """Search over drawn parameters, with the networks of candidates and folds trained at once.

    It is scikit-learn's :class:`~sklearn.model_selection.RandomizedSearchCV`, and gives what that
    gives; for what it trains together see :class:`BatchedGridSearchCV`. Parameters that change the
    shape of a network are best drawn from few values: each shape is trained on its own.

    Read more in the :ref:`User Guide <batched_training>`.

    Parameters
    ----------
    estimator : estimator object
        Is cloned for each candidate and fold.
    param_distributions : dict or list of dict
        Names of parameters with distributions (with a method ``rvs``) or lists to draw from.
    n_iter : int, default=10
        Number of candidates.
    scoring : str, callable, list, tuple or dict, default=None
        As in :class:`~sklearn.model_selection.RandomizedSearchCV`.
    n_jobs : int, default=None
        Number of workers that share the candidates, each with its part of them at once. None: one,
        or those of the :func:`joblib.parallel_config` around.
    refit : bool, str or callable, default=True
        Whether the best candidate is fitted to all rows, and the score that it is chosen by.
    cv : int, cross-validation generator or iterable, default=None
        Folds of the rows; None: five.
    verbose : int, default=0
        As in :class:`~sklearn.model_selection.RandomizedSearchCV`.
    pre_dispatch : int or str, default="2*n_jobs"
        With an int, no more fits than that are under way at once. A str makes no bound.
    random_state : int, RandomState instance or None, default=None
        Seed of the candidates that are drawn.
    error_score : "raise" or float, default=np.nan
        Score of a candidate whose fit raises an error.
    return_train_score : bool, default=False
        Whether ``cv_results_`` has the scores of the training rows.
    working_memory : float, default=None
        Bound of the memory in use at once for networks and tables that they do not share, in MiB
        and in each worker. None: that of :func:`sklearn.set_config`, 1024 MiB unless set. More
        networks are trained in several parts.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As in :class:`~sklearn.model_selection.RandomizedSearchCV`. A ``fit_time`` is the time of
        all fits that were under way with this one.

    See Also
    --------
    BatchedGridSearchCV : All combinations of given values.
    batched_training : The same for any other function of scikit-learn.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_diabetes
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.model_selection import BatchedRandomizedSearchCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> sae = SupervisedAutoencoder(3, predictor="network", max_iter=20, random_state=0)
    >>> search = BatchedRandomizedSearchCV(
    ...     sae, {"alpha": loguniform(1e-4, 1)}, n_iter=4, random_state=0
    ... )
    >>> search.fit(X, y).cv_results_["mean_test_score"].shape
    (4,)
    """

    _parameter_constraints: ClassVar[dict] = {
        **RandomizedSearchCV._parameter_constraints,
        "working_memory": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(
        self,
        estimator,
        param_distributions,
        *,
        n_iter=10,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        pre_dispatch="2*n_jobs",
        random_state=None,
        error_score=np.nan,
        return_train_score=False,
        working_memory=None,
    ):
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.working_memory = working_memory


def batched_cross_validate(
    estimator, X, y=None, *, n_jobs=None, working_memory=None, **parameters
) -> dict[str, Any]:
    """Score an estimator on each fold, with the networks of all folds trained at once.

    It is scikit-learn's :func:`~sklearn.model_selection.cross_validate`, and gives what that
    gives.

    Parameters
    ----------
    estimator : estimator object
        As in :class:`BatchedGridSearchCV`.
    X : array-like or DataFrame of shape (n_samples, n_features)
        As the estimator takes it. Tables of several scales: see :func:`~sknestedae.stack_scales`.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Target, if there is one.
    n_jobs : int, default=None
        Number of workers that share the folds, each with its part of them at once. None: one, or
        those of the :func:`joblib.parallel_config` around.
    working_memory : float, default=None
        As in :class:`BatchedGridSearchCV`.
    **parameters : dict of str to object
        ``groups``, ``scoring``, ``cv``, ``verbose``, ``params``, ``pre_dispatch``,
        ``return_train_score``, ``return_estimator``, ``return_indices`` and ``error_score``, as in
        :func:`~sklearn.model_selection.cross_validate`.

    Returns
    -------
    scores : dict of str to ndarray of shape (n_splits,)
        As :func:`~sklearn.model_selection.cross_validate` gives it. ``fit_time`` is the time of
        all fits together.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.model_selection import batched_cross_validate
    >>> X, y = load_diabetes(return_X_y=True)
    >>> sae = SupervisedAutoencoder(3, max_iter=20, random_state=0)
    >>> batched_cross_validate(sae, X, y)["test_score"].shape
    (5,)
    """
    refuse_scale_list(X)
    with batched_training(n_jobs, working_memory=working_memory):
        return cross_validate(
            estimator, _share_rows(X), _share_rows(y), n_jobs=n_jobs, **parameters
        )
