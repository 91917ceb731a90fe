"""A display of cross-validated scores against the number of latents."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import get_scorer

from .._ambient import isolated_but_output
from .._estimators._unwrap import check_one_table, innermost, unfrozen
from ..exceptions import CollapsedLatentsWarning
from ..model_selection import BatchedGridSearchCV
from ._base import PALETTE, check_has, combine_styles, make_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import ErrorbarContainer
    from matplotlib.lines import Line2D


# What stands at the axis of the panel that counts variational latents.
_ACTIVE = "active latents"


class ComponentsDisplay:
    """Cross-validated scores against the number of latents, with a panel for each score.

    A point is the mean over folds, with its standard error; a filled one is the smallest number of
    latents whose mean score is within one standard error of the best, the rule of [1]_ (see also
    [2]_, Section 7.10). The dashed line marks this bound.

    It is recommended to use :func:`~sknestedae.plotting.ComponentsDisplay.from_estimator` or
    :func:`~sknestedae.plotting.ComponentsDisplay.from_search` to create a display. All parameters
    are stored as attributes.

    Parameters
    ----------
    n_components : array-like of shape (n_values,)
        Numbers of latents, in ascending order.
    scores : dict of str to array-like of shape (n_values, n_splits)
        The scores of each fold, greater is better, by their labels at the axes.
    xlabel : str, default="Number of latents"
        Name of the number.
    n_active : array-like of shape (n_values, n_splits) or None, default=None
        Number of variational latents that have not collapsed to their prior, in each fold. They
        have a panel of their own, the last one.

    Attributes
    ----------
    summary_ : DataFrame of shape (n_values, 2 * n_panels)
        Mean and standard error (``mean``, ``sem``) of each score, and of ``active latents``, by
        number of latents.
    chosen_ : dict of str to int
        For each score the smallest number within one standard error of the best.
    lines_ : list of matplotlib ErrorbarContainer
        The means and standard errors of each panel.
    points_ : list of matplotlib Line2D
        The chosen point of each panel.
    axes_ : ndarray of shape (n_panels,) of matplotlib Axes
        Axes of the panels.
    figure_ : matplotlib Figure
        Figure with the panels.

    See Also
    --------
    ComponentsDisplay.from_estimator : Cross-validate an estimator, and draw it.
    ComponentsDisplay.from_search : Draw a search that was made before.
    sknestedae.model_selection.BatchedGridSearchCV : Trains all networks at once.

    Notes
    -----
    The folds of a cross-validation share most of the rows that they learn from. The standard error
    takes them for independent, so that it is a rough measure, not a confidence interval.

    References
    ----------
    .. [1] L. Breiman, J. H. Friedman, R. A. Olshen, C. J. Stone, "Classification and Regression
       Trees", Wadsworth (1984).
    .. [2] T. Hastie, R. Tibshirani, J. Friedman, "The Elements of Statistical Learning", 2nd ed.,
       Springer (2009).

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_diabetes
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.plotting import ComponentsDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> sae = SupervisedAutoencoder(max_iter=5, random_state=0)
    >>> display = ComponentsDisplay.from_estimator(sae, X, y, n_components=(1, 2, 4), cv=3)
    >>> sorted(display.chosen_)
    ['prediction', 'reconstruction']
    >>> plt.show()  # doctest: +SKIP
    """

    def __init__(self, n_components, scores, *, xlabel="Number of latents", n_active=None):
        self.n_components = n_components
        self.scores = scores
        self.xlabel = xlabel
        self.n_active = n_active

    def plot(self, ax=None, *, line_kwargs=None, point_kwargs=None):
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each panel. If None, a new figure is made.
        line_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.errorbar`.
        point_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`, for the chosen point.

        Returns
        -------
        display : :class:`~sknestedae.plotting.ComponentsDisplay`
            Object that stores the values and the artists.
        """
        from matplotlib.lines import Line2D

        n_components = _check_numbers(self.n_components)
        panels = dict(self.scores)
        if self.n_active is not None:
            panels[_ACTIVE] = self.n_active
        summary = {}
        for name, values in panels.items():
            values = np.asarray(values, dtype=float)
            if values.ndim != 2 or len(values) != len(n_components) or values.shape[1] < 2:
                raise ValueError(
                    f"The scores {name!r} must be of shape ({len(n_components)}, n_splits), with "
                    f"at least two folds, got {values.shape}."
                )
            sem = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
            summary[name, "mean"], summary[name, "sem"] = values.mean(axis=1), sem
        self.summary_ = pd.DataFrame(summary, index=pd.Index(n_components, name="n_components"))
        self.axes_ = make_axes(
            ax,
            len(panels),
            3,
            panel_size=(4.2, 3.6),
            layout="constrained",
            is_tidy=True,
            has_grid=True,
        )
        self.figure_ = self.axes_[0].figure
        self.chosen_: dict[str, int] = {}
        self.lines_: list[ErrorbarContainer] = []
        self.points_: list[Line2D] = []
        for i, (axes, name) in enumerate(zip(self.axes_, panels, strict=True)):
            color = PALETTE[i % len(PALETTE)]
            mean, sem = (self.summary_[name, what].to_numpy() for what in ("mean", "sem"))
            style = {"color": color, "marker": "o", "capsize": 3, "markerfacecolor": "white"}
            style = combine_styles(style, line_kwargs, Line2D)
            self.lines_.append(axes.errorbar(n_components, mean, sem, **style))
            _set_ticks(axes, n_components)
            if name == _ACTIVE:
                axes.plot(n_components, n_components, color="0.6", linestyle="--", linewidth=1)
                axes.set(xlabel=self.xlabel, ylabel=f"{name[:1].upper()}{name[1:]}")
                axes.set_title("All of them: dashed line", fontsize="medium")
                continue
            k, bound = one_standard_error(mean, sem, name)
            self.chosen_[name] = int(n_components[k])
            style = {"color": style["color"], "marker": "o", "markersize": 9, "linestyle": "none"}
            style = combine_styles({**style, "zorder": 3}, point_kwargs, Line2D)
            self.points_ += axes.plot(n_components[k], mean[k], **style)
            axes.axhline(bound, color="0.6", linestyle="--", linewidth=1, zorder=1)
            axes.set(xlabel=self.xlabel, ylabel=f"{name[:1].upper()}{name[1:]} score")
            title = f"{n_components[k]} within one standard error of the best"
            axes.set_title(title, fontsize="medium")
        return self

    @classmethod
    @isolated_but_output
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        n_components=(1, 2, 3, 4, 6, 8, 12),
        param="n_components",
        scoring=None,
        cv=5,
        groups=None,
        n_jobs=None,
        ax=None,
        line_kwargs=None,
        point_kwargs=None,
    ):
        """Cross-validate an estimator with several numbers of latents, and draw the scores.

        The networks of all numbers and folds are trained in one run. Of variational latents the
        number of active ones is drawn as well. Where ``predictor`` or ``passthrough`` is "auto",
        the networks predict: a Gaussian process of the columns would not depend on the number of
        latents.

        Parameters
        ----------
        estimator : estimator instance
            Supervised autoencoder or chain, or a pipeline that ends in one; it is cloned, and need
            not be fitted.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Table to learn from. Tables of several scales: see :func:`~sknestedae.stack_scales`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target, if there is one.
        n_components : array-like of int, default=(1, 2, 3, 4, 6, 8, 12)
            Numbers of latents to try.
        param : str, default="n_components"
            Name of the parameter, such as ``"crystal__n_components"`` for one stage of a chain.
        scoring : dict of str to (str or callable), default=None
            Scorers, by their labels at the axes. None: "reconstruction" is the estimator's
            ``score(X)``, which is R² of the reconstruction; and, with a target, "prediction" its
            ``score(X, y)``, which is R² or accuracy.
        cv : int, cross-validation generator or iterable, default=5
            Folds of the rows.
        groups : array-like of shape (n_samples,), default=None
            Groups of rows for the splitter.
        n_jobs : int, default=None
            As in :class:`~sknestedae.model_selection.BatchedGridSearchCV`.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each score. If None, a new figure is made.
        line_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.errorbar`.
        point_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`, for the chosen point.

        Returns
        -------
        display : :class:`~sknestedae.plotting.ComponentsDisplay`
            Object that stores the values and the artists.

        Raises
        ------
        TypeError
            If X is a list of tables.
        ValueError
            If there are not at least two numbers, or the estimator has no such parameter.

        Examples
        --------
        >>> from sknestedae import NestedAutoencoder, SupervisedAutoencoder, stack_scales
        >>> from sknestedae.datasets import make_nested_functions
        >>> from sknestedae.plotting import ComponentsDisplay
        >>> X, _ = stack_scales(make_nested_functions(60, random_state=0).data)
        >>> stages = [
        ...     ("inner", SupervisedAutoencoder(2, max_iter=3), "scale0"),
        ...     ("outer", SupervisedAutoencoder(2, max_iter=3), "scale1"),
        ... ]
        >>> nae = NestedAutoencoder(stages, random_state=0)
        >>> display = ComponentsDisplay.from_estimator(
        ...     nae, X, n_components=[1, 2], param="outer__n_components", cv=3
        ... )
        >>> display.summary_.index.to_list()
        [1, 2]
        """
        caller = f"{cls.__name__}.from_estimator"
        check_has(estimator, ["fit", "score", "get_params"], caller)
        check_one_table(X, caller, "Make one table of them with stack_scales.")
        numbers = _check_numbers(n_components).tolist()
        _check_param(param, estimator)
        scorers = _check_scoring(scoring, y)
        estimator = _with_networks(estimator)
        beta = param.removesuffix("n_components") + "beta"
        if estimator.get_params().get(beta) is not None:
            scorers[_ACTIVE] = partial(_count_active, param=param)
        search = BatchedGridSearchCV(
            estimator, {param: numbers}, scoring=scorers, refit=False, cv=cv, n_jobs=n_jobs
        )
        with warnings.catch_warnings():
            # their number is drawn
            warnings.simplefilter("ignore", CollapsedLatentsWarning)
            search.fit(X, y, **({} if groups is None else {"groups": groups}))
        return cls.from_search(
            search, param=param, ax=ax, line_kwargs=line_kwargs, point_kwargs=point_kwargs
        )

    @classmethod
    def from_search(
        cls,
        search,
        *,
        param="n_components",
        ax=None,
        line_kwargs=None,
        point_kwargs=None,
    ):
        """Draw a search that was made before.

        Parameters
        ----------
        search : fitted search
            Of scikit-learn or of :mod:`sknestedae.model_selection`, over the parameter. Where
            others were searched over too, each number has its best candidate, by the mean of the
            score that is drawn.
        param : str, default="n_components"
            Name of the parameter.
        ax : matplotlib Axes or array-like of them, default=None
            Axes to draw on, one for each score. If None, a new figure is made.
        line_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.errorbar`.
        point_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`, for the chosen point.

        Returns
        -------
        display : :class:`~sknestedae.plotting.ComponentsDisplay`
            Object that stores the values and the artists.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.model_selection import GridSearchCV
        >>> from sknestedae import SupervisedAutoencoder
        >>> from sknestedae.plotting import ComponentsDisplay
        >>> X, y = load_diabetes(return_X_y=True)
        >>> grid = {"n_components": [1, 2], "alpha": [0.01, 0.1]}
        >>> sae = SupervisedAutoencoder(max_iter=3, random_state=0)
        >>> search = GridSearchCV(sae, grid, cv=3).fit(X, y)
        >>> list(ComponentsDisplay.from_search(search).scores)
        ['test']
        """
        check_has(search, ["cv_results_", "n_splits_"], f"{cls.__name__}.from_search")
        results = search.cv_results_
        key = f"param_{param}"
        if key not in results:
            known = [name.removeprefix("param_") for name in results if name.startswith("param_")]
            raise ValueError(
                f"The 'param' parameter must be one of those searched over, {known}, got "
                f"{param!r}."
            )
        of_candidate = np.ma.asarray(results[key]).tolist()  # masked where it was not set: None
        numbers = _check_numbers([n for n in of_candidate if n is not None])
        prefix = "mean_test_"
        names = [name.removeprefix(prefix) for name in results if name.startswith(prefix)]
        scores = {}
        for name in names:
            means = np.asarray(results[f"{prefix}{name}"], dtype=float)
            splits = np.column_stack(
                [results[f"split{i}_test_{name}"] for i in range(search.n_splits_)]
            )
            # other parameters may vary, too: a number has as many candidates as they have values
            best = []
            for number in numbers:
                own = [k for k, n in enumerate(of_candidate) if n == number]
                best.append(max(own, key=lambda k: np.nan_to_num(means[k], nan=-np.inf)))
            scores["test" if name == "score" else name] = splits[best]
        xlabel = "Number of latents"
        if "__" in param and param.split("__")[-1] == "n_components":
            xlabel += f" ({param.split('__')[-2]})"
        display = cls(numbers, scores, xlabel=xlabel, n_active=scores.pop(_ACTIVE, None))
        return display.plot(ax, line_kwargs=line_kwargs, point_kwargs=point_kwargs)


def one_standard_error(mean: np.ndarray, sem: np.ndarray, name: str = "test") -> tuple[int, float]:
    """Find the first candidate within one standard error of the best.

    Parameters
    ----------
    mean, sem : ndarray of shape (n_candidates,)
        Mean scores and their standard errors, the simplest candidate first; NaN is left out.
    name : str
        Of the score, for the message.

    Returns
    -------
    index : int
    bound : float
        The best mean less its standard error.
    """
    finite = np.isfinite(mean)  # a candidate whose fits failed has NaN
    if not finite.any():
        raise ValueError(f"The score {name!r} is missing or infinite at all numbers of latents.")
    best = int(np.argmax(np.where(finite, mean, -np.inf)))
    bound = float(mean[best] - sem[best])
    return int(np.flatnonzero(finite & (mean >= bound))[0]), bound


def _with_networks(estimator: Any) -> Any:
    """Return a copy whose network predicts, unless a Gaussian process was asked for."""
    of_networks = {"predictor": "network", "passthrough": False}
    changed = {
        name: of_networks[own]
        for name, value in estimator.get_params().items()
        if (own := name.rpartition("__")[2]) in of_networks
        and isinstance(value, str)
        and value == "auto"
    }
    return clone(estimator).set_params(**changed)


def _check_param(param: str, estimator: Any) -> None:
    """Refuse a name that is no parameter; name parameters of steps or stages that end alike."""
    names = estimator.get_params()
    if param in names:
        return
    alike = sorted(name for name in names if name.endswith(f"__{param.split('__')[-1]}"))
    hint = f" Try {' or '.join(map(repr, alike))}." if alike else ""
    raise ValueError(
        f"The 'param' parameter must be one of the parameters of the "
        f"{type(estimator).__name__}, got {param!r}.{hint}"
    )


def _check_numbers(numbers: Iterable[Any]) -> np.ndarray:
    """Return distinct numbers of latents in ascending order."""
    given = list(numbers)
    is_int = all(isinstance(n, Integral) and not isinstance(n, bool) for n in given)
    is_usable = is_int and min(given, default=0) > 0
    if not is_usable or len(set(given)) < 2:
        raise ValueError(
            f"The numbers of latents must be at least two positive int, got {given!r}."
        )
    return np.unique(np.array(given, dtype=int))


def _check_scoring(scoring: Any, y: Any) -> dict[str, Callable[..., float]]:
    """Return the scorers by name."""
    if scoring is None:
        scorers: dict[str, Callable[..., float]] = {"reconstruction": _reconstruction}
        return scorers if y is None else {**scorers, "prediction": _prediction}
    if not isinstance(scoring, Mapping) or not scoring:
        raise TypeError(
            f"The 'scoring' parameter must map names to scorers, or be None, got {scoring!r}."
        )
    return {str(name): get_scorer(scorer) for name, scorer in scoring.items()}


def _count_active(estimator: Any, X: Any, y: Any = None, *, param: str) -> float:
    """Count the active latents of a fitted estimator, or of the stage that a parameter is of."""
    found = innermost(estimator)
    names = param.split("__")[:-1]
    if names and not hasattr(found, "n_active_components_"):
        found = innermost(unfrozen(found[names[-1]]))
    return float(found.n_active_components_)


def _reconstruction(estimator: Any, X: Any, y: Any = None) -> float:
    return estimator.score(X)


def _prediction(estimator: Any, X: Any, y: Any) -> float:
    return estimator.score(X, y)


def _set_ticks(ax: Axes, numbers: np.ndarray) -> None:
    """Put ticks at the numbers, on a logarithmic axis where they span a wide range."""
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    if numbers[-1] >= 12 * numbers[0]:
        ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(list(numbers)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
