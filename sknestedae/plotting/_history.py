"""A display of the loss terms over the epochs of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from .._estimators._unwrap import innermost, stage_position
from ._base import (
    PALETTE,
    check_has,
    combine_legend_styles,
    combine_styles,
    core_of,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# A term has the same colour in every figure.
_COLORS = {
    "loss": "#000000",
    "reconstruction": PALETTE[0],
    "prediction": PALETTE[1],
    "l1": PALETTE[2],
    "l2": PALETTE[3],
    "learning_rate": PALETTE[4],
}


class HistoryDisplay:
    """Line plot of the loss terms over the epochs of training.

    It is recommended to use :func:`~sknestedae.plotting.HistoryDisplay.from_estimator` to create
    a display. All parameters are stored as attributes.

    Parameters
    ----------
    history : DataFrame of shape (n_epochs, n_columns)
        One row for each epoch, with the epoch as index, and one column for each term:
        ``train_loss``, ``valid_loss``, ``train_reconstruction``, ..., and terms without such a
        prefix.
    best_iter : int, default=None
        The epoch to mark as the best one.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        The line of each column of `history` that is drawn.
    best_line_ : matplotlib Line2D or None
        The mark of the best epoch.
    legend_ : matplotlib Legend
        The legend.
    ax_ : matplotlib Axes
        Axes with the lines.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    HistoryDisplay.from_estimator : Draw the history of a fitted estimator.
    sklearn.model_selection.LearningCurveDisplay : Scores over the number of samples.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_diabetes
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.plotting import HistoryDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> sae = SupervisedAutoencoder(max_iter=5, early_stopping=True, random_state=0).fit(X, y)
    >>> display = HistoryDisplay.from_estimator(sae, terms=["reconstruction", "prediction"])
    >>> for text in display.legend_.get_texts():
    ...     print(text.get_text())
    reconstruction (training)
    reconstruction (validation)
    prediction (training)
    prediction (validation)
    best epoch (5)
    >>> plt.show()  # doctest: +SKIP
    """

    def __init__(self, history, *, best_iter=None):
        self.history = history
        self.best_iter = best_iter

    def plot(self, ax=None, *, terms=None, log_scale=True, line_kwargs=None, legend_kwargs=None):
        """Draw the terms.

        The legend stands to the right of the axes. Where you pass `ax`, make its figure with
        ``layout="constrained"``, so that there is room for it, or put it elsewhere with
        `legend_kwargs`.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, a new figure is made.
        terms : str or list of str, default=None
            The terms to draw, such as "loss", "reconstruction", "prediction", "l1", "l2" or
            "learning_rate". None draws the losses, which are the terms of the training rows and
            of the validation rows, and neither penalties nor the learning rate, which can be many
            orders of magnitude smaller.
        log_scale : bool, default=True
            Whether the vertical axis is logarithmic. It is linear nevertheless where no value is
            positive.
        line_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`.
        legend_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.legend`, such as `loc` or `ncols`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.HistoryDisplay`
            Object that stores the values and the artists.
        """
        import matplotlib.pyplot as plt
        from matplotlib.lines import Line2D
        from matplotlib.ticker import MaxNLocator

        chosen = _choose_terms(self.history, terms)
        if ax is None:
            _, ax = plt.subplots(figsize=(7.6, 4.4), layout="constrained")
            tidy(ax)
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_: dict[str, Line2D] = {}
        self.best_line_: Line2D | None = None
        for k, (term, columns) in enumerate(chosen.items()):
            for column in columns:
                label, linestyle = _describe(term, column)
                defaults = {
                    "color": _COLORS.get(term, PALETTE[(k + 4) % len(PALETTE)]),
                    "linestyle": linestyle,
                    "linewidth": 2.5 if term == "loss" else 1.5,  # it may lie under its only term
                    "marker": "o" if len(self.history) == 1 else None,  # a line needs two epochs
                    "label": label,
                }
                (self.lines_[column],) = ax.plot(
                    self.history.index,
                    self.history[column],
                    **combine_styles(defaults, line_kwargs, Line2D),
                )
        if self.best_iter is not None:
            self.best_line_ = ax.axvline(
                self.best_iter,
                color="0.5",
                linestyle=":",
                zorder=1,
                label=f"best epoch ({self.best_iter})",
            )
        drawn = self.history[list(self.lines_)].to_numpy(dtype=np.float64)
        is_loss = any(column.startswith(("train_", "valid_")) for column in self.lines_)
        only = next(iter(chosen)).replace("_", " ").capitalize() if len(chosen) == 1 else "Terms"
        ax.set(
            xlabel="Epoch",
            ylabel="Loss" if is_loss else only,
            yscale="log" if log_scale and (drawn > 0).any() else "linear",
        )
        if ax.get_yscale() == "log":
            _write_plain_numbers(ax, drawn)
        ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
        place = {"loc": "upper left", "bbox_to_anchor": (1.02, 1), "borderaxespad": 0}
        style = combine_legend_styles({"frameon": False, **place}, legend_kwargs)
        self.legend_ = ax.legend(**style)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        stage=None,
        terms=None,
        log_scale=True,
        ax=None,
        line_kwargs=None,
        legend_kwargs=None,
    ):
        """Draw the history of a fitted estimator.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with ``history_``, or a fitted :class:`~sklearn.pipeline.Pipeline` of
            which the last step is one. Its best epoch is marked, if some rows were held out to
            find it.
        stage : str or int, default=None
            Name or position of a stage, where the estimator is a
            :class:`~sknestedae.NestedAutoencoder` or ends in one: the history of that stage is
            drawn. None: the last stage's.
        terms : str or list of str, default=None
            The terms to draw, such as "loss", "reconstruction", "prediction", "l1", "l2" or
            "learning_rate". None draws the losses, which are the terms of the training rows and
            of the validation rows, and neither penalties nor the learning rate, which can be many
            orders of magnitude smaller.
        log_scale : bool, default=True
            Whether the vertical axis is logarithmic. It is linear nevertheless where no value is
            positive.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, a new figure is made.
        line_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`.
        legend_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.legend`, such as `loc` or `ncols`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.HistoryDisplay`
            Object that stores the values and the artists.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sknestedae import SupervisedAutoencoder
        >>> from sknestedae.plotting import HistoryDisplay
        >>> X, y = load_diabetes(return_X_y=True)
        >>> sae = SupervisedAutoencoder(max_iter=5, random_state=0).fit(X, y)
        >>> display = HistoryDisplay.from_estimator(sae)
        >>> list(display.lines_)
        ['train_loss', 'train_reconstruction', 'train_prediction']
        """
        caller = f"{cls.__name__}.from_estimator"
        while stage is not None or hasattr(innermost(estimator), "stages_"):
            k = stage_position(estimator, -1 if stage is None else stage)
            _, estimator, _ = innermost(estimator).stages_[k]
            estimator, stage = core_of(estimator), None  # a stage may be a chain itself
        estimator = core_of(estimator)
        check_is_fitted(estimator)
        check_has(estimator, ["history_"], caller)
        validated = any(column.startswith("valid_") for column in estimator.history_)
        display = cls(
            estimator.history_,
            best_iter=getattr(estimator, "best_iter_", None) if validated else None,
        )
        return display.plot(
            ax,
            terms=terms,
            log_scale=log_scale,
            line_kwargs=line_kwargs,
            legend_kwargs=legend_kwargs,
        )


def _write_plain_numbers(ax: Axes, drawn: np.ndarray) -> None:
    """Label a logarithmic axis of a few decades 0.2, 0.5, 1 rather than with powers of ten.

    Parameters
    ----------
    ax : Axes
    drawn : ndarray
        The numbers on it; NaN where there is none.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    positive = drawn[drawn > 0]
    n_decades = np.log10(positive.max() / positive.min())
    if n_decades > 3:
        return
    steps = [1, 2, 3, 4, 6, 8] if n_decades < 1 else [1, 2, 5] if n_decades < 2 else [1]
    ax.yaxis.set_major_locator(LogLocator(subs=steps))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _choose_terms(history: pd.DataFrame, terms: Any) -> dict[str, list[str]]:
    """Return the columns of each term to draw, training first."""
    found: dict[str, list[str]] = {}
    for column in history.columns:
        found.setdefault(column.removeprefix("train_").removeprefix("valid_"), []).append(column)
    if terms is None:
        losses = [term for term, columns in found.items() if columns != [term]]
        return {term: found[term] for term in losses or found}
    terms = [terms] if isinstance(terms, str) else list(terms)
    unknown = [term for term in terms if term not in found]
    if unknown or not terms:
        raise ValueError(
            f"The 'terms' parameter must name some of the terms {sorted(found)}, got "
            f"{unknown or terms!r}."
        )
    return {term: found[term] for term in terms}


def _describe(term: str, column: str) -> tuple[str, str]:
    """Return label and line style of a column."""
    if column == f"train_{term}":
        return f"{term} (training)", "-"
    if column == f"valid_{term}":
        return f"{term} (validation)", "--"
    return term.replace("_", " "), "-"
