"""The figures of a report: none is left open, and none depends on the user's settings."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Hashable
from functools import partial, wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .._compat import safe_indexing
from .._estimators._unwrap import up_to_stage
from ..blocks._drawing import draw_images
from ..plotting import (
    HistoryDisplay,
    LatentDisplay,
    NestedDisplay,
    PairsDisplay,
    ReconstructionDisplay,
)
from ..plotting._arrays import ArrayColumns
from ..plotting._base import PALETTE, colorbar_beside, core_of, count, shorten, tidy, with_unit
from ._content import Picture
from ._facts import Intervals, Reliability
from ._folds import Evaluation, HeldOut
from ._task import Target, Task, distinct, stages_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_P = ParamSpec("_P")
_R = TypeVar("_R")

_DPI = 160
_CSS_DPI = 96
# Points beyond this number would only hide each other.
MAX_POINTS = 4000
# Panels of a figure; more columns stand in the table alone.
MAX_PANELS = 12

_tidy = partial(tidy, has_grid=False)  # a report is read beside its tables


def _plain_style(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a function draw with matplotlib's own settings, whatever the user's are."""

    @wraps(draw)
    def drawn(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        import matplotlib.style

        with matplotlib.style.context("default", after_reset=True):
            return draw(*args, **kwargs)

    return drawn


def _name(text: str, width: int) -> str:
    """Write a name in a figure: not too long, and no formula even if it has two $."""
    return shorten(text, width).replace("$", r"\$")


def _label(target: Target, width: int) -> str:
    """Write the name of a target in a figure, with its unit also where the name is too long."""
    if len(target.label) <= width:
        return _name(target.label, width)
    unit = _name(target.unit, 20)
    return with_unit(_name(target.name, max(width - len(unit) - 3, 8)), unit)


def _unit(target: Target) -> str:
    """Write the unit behind a label of an axis that does not name the target."""
    return f" ({_name(target.unit, 20)})" if target.unit else ""


def _figure(width: float, height: float) -> Figure:
    """Make a figure that pyplot does not know."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, name: str, alt: str, caption: str) -> Picture:
    """Render a figure, without matplotlib's version in it: equal figures are equal files."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    width, height = (round(float(x) * _CSS_DPI) for x in figure.get_size_inches())
    return Picture(name, buffer.getvalue(), (width, height), alt, caption)


# ---------------------------------------------------------------------------------------------
# Data and model


@_plain_style
def draw_targets(task: Task) -> Picture:
    """Draw how each target is distributed."""
    from matplotlib.ticker import MaxNLocator

    shown = task.targets[:MAX_PANELS]
    n_cols = min(3, len(shown))
    n_rows = -(-len(shown) // n_cols)
    figure = _figure(3.4 * n_cols if n_cols > 1 else 5.0, 2.6 * n_rows)
    for k, target in enumerate(shown):
        ax = _tidy(figure.add_subplot(n_rows, n_cols, k + 1))
        values = target.values[target.known]
        if target.shape:
            _draw_target_array(ax, target)
        elif target.classes is None:
            n_bins = int(np.clip(2 * len(values) ** (1 / 3), 5, 40))
            ax.hist(values, bins=n_bins, color=PALETTE[0], edgecolor="white", linewidth=0.5)
            ax.set(xlabel=_label(target, 40), ylabel="Rows")
            ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        else:
            counts = np.bincount(values.astype(int), minlength=len(target.classes))
            order = np.argsort(-counts, kind="stable")[:15]
            bars = ax.barh([_name(target.classes[c], 20) for c in order], counts[order])
            for bar in bars:
                bar.set_color(PALETTE[0])
            ax.bar_label(bars, padding=3, fontsize="small")
            ax.set(xlabel="Rows", title=_name(target.label, 40))
            ax.invert_yaxis()
            ax.margins(x=0.12)
    names = ", ".join(target.name for target in shown)
    rest = len(task.targets) - len(shown)
    arrays = any(target.shape for target in shown)
    how = " Of an array the mean over the rows, and the middle 90 % of them." if arrays else ""
    return _save(
        figure,
        "figure-targets",
        f"{'Distribution' if arrays else 'Histogram'} of {names}",
        f"Known values of each target.{how}"
        + (f" {rest} further targets are not shown." * (rest > 0)),
    )


def _draw_target_array(ax: Axes, target: Target) -> None:
    """Draw how an array is distributed: a line with a band, or the mean image."""
    known = target.values[target.known]
    mean = np.nanmean(known, axis=0)
    low, high = np.nanquantile(known, [0.05, 0.95], axis=0)
    if len(target.shape) == 1:
        place = np.arange(len(mean))
        ax.fill_between(place, low, high, color=PALETTE[4], alpha=0.4, linewidth=0)
        ax.plot(place, mean, color=PALETTE[0])
        ax.set(xlabel="Channel", ylabel=_label(target, 30), xlim=(0, len(mean) - 1))
        return
    images = draw_images(ax, mean, shape=target.shape)
    colorbar_beside(images[0], ax, f"Mean of {_label(target, 24)}")


def _draw_elements(ax: Axes, values: np.ndarray, target: Target, label: str) -> None:
    """Draw one number for each element of an array, as a line or as a picture."""
    if len(target.shape) == 1:
        ax.plot(values, color=PALETTE[0])
        ax.set(xlabel="Channel", ylabel=label, xlim=(0, len(values) - 1))
        return
    images = draw_images(ax, values, shape=target.shape)
    colorbar_beside(images[0], ax, label)


@_plain_style
def draw_chain(task: Task) -> Picture:
    """Draw the stages of a chain."""
    import matplotlib

    n_stages = len(task.stage_names)
    figure = _figure(7.0, 1.7 * n_stages)
    named: dict[int, str] = {}
    for stage_name, columns in task.core.targets_.items():
        own = [target.name for target in task.targets if target.stage_name == stage_name]
        # an array in one column, or in many
        own = own if len(own) == len(columns) else own * len(columns)
        named |= dict(zip(columns, own, strict=True))
    names = [named[j] for j in sorted(named)] or None
    with matplotlib.rc_context({"text.parse_math": False}):  # names as they are
        NestedDisplay.from_estimator(task.model, target_names=names, ax=figure.add_subplot())
    return _save(
        figure,
        "figure-chain",
        f"Diagram of the {n_stages} stages: {', '.join(task.stage_names)}",
        "The chain: what each stage reads, encodes and predicts, and the loss it ended with.",
    )


def draw_histories(task: Task) -> list[Picture]:
    """Draw the losses of each stage that has epochs."""
    return [
        _draw_history(task, k, name)
        for k, (name, estimator, _) in enumerate(stages_of(task.core))
        if hasattr(core_of(estimator), "history_") and not hasattr(core_of(estimator), "stages_")
    ]


@_plain_style
def _draw_history(task: Task, k: int, name: str | None) -> Picture:
    """Draw the losses of one stage, or of an autoencoder of one scale."""
    figure = _figure(7.2, 3.6)
    stage = None if name is None else k
    ax = _tidy(figure.add_subplot())
    display = HistoryDisplay.from_estimator(task.model, stage=stage, ax=ax)
    ax.set_ylabel("Loss (scaled units)")
    of = "" if name is None else f" of the stage {name}"
    validated = any(column.startswith("valid_") for column in display.lines_)
    held = (
        "Dashed: rows that early stopping held out."
        if validated
        else "All are of the rows learnt from: no row was held out to stop early."
    )
    return _save(
        figure,
        f"figure-history-{k}",
        f"Loss terms{of} over {len(display.history)} epochs",
        f"Training{of} of the fitted estimator: each term of the loss after each epoch, in scaled "
        f"units. {held}",
    )


def draw_latents(task: Task, rng: np.random.RandomState) -> list[Picture]:
    """Draw the latents of each stage, coloured by each of its targets."""
    pictures = []
    for k, (name, estimator, _) in enumerate(stages_of(task.core)):
        if not hasattr(estimator, "transform"):
            continue
        rows = np.arange(task.n_samples)
        if task.has_own_rows and (task.scale == k).any():
            rows = np.flatnonzero(task.scale == k)
        n_rows = len(rows)
        if n_rows > MAX_POINTS:
            rows = np.sort(rng.choice(rows, MAX_POINTS, replace=False))
        own = [t for t in task.targets if t.stage == k][:2]
        for i, target in enumerate(own or [None]):
            pictures.append(_draw_plane(task, k, i, name, target, rows, n_rows))
    return pictures


@_plain_style
def _draw_plane(
    task: Task,
    k: int,
    i: int,
    name: str | None,
    target: Target | None,
    rows: np.ndarray,
    n_rows: int,
) -> Picture:
    """Draw some rows in the plane of the latents of one stage, coloured by one target."""
    model = task.model if name is None else up_to_stage(task.model, k)
    Z = np.asarray(model.transform(safe_indexing(task.X, rows)))
    color = None
    if target is not None:
        values = target.row_values[rows]
        if target.classes is None:
            color = pd.Series(values)
        else:
            classes = distinct([_name(name, 40) for name in target.classes])
            codes = np.nan_to_num(values, nan=-1).astype(int)
            color = pd.Series(pd.Categorical.from_codes(codes, classes))
    color_label = None if target is None else _label(target, 40)
    if target is not None and target.shape:
        color_label = f"Mean of {color_label}"
    figure = _figure(7.2, 3.4 if Z.shape[1] == 1 else 4.8)
    LatentDisplay.from_latents(
        Z,
        components="pca" if Z.shape[1] > 2 else None,
        color=color,
        color_label=color_label,
        ax=_tidy(figure.add_subplot()),
    )
    of = "" if name is None else f" of the stage {name}"
    what = "" if target is None else f"{'mean of the ' if target.shape else ''}measured"
    by = "" if target is None else f", coloured by the {what} {target.name}"
    part = f" {len(rows):,} of {n_rows:,} rows, drawn at random." if len(rows) < n_rows else ""
    how = (
        f"the first two principal components of {Z.shape[1]} latents"
        if Z.shape[1] > 2
        else count(Z.shape[1], "latent")
    )
    return _save(
        figure,
        f"figure-latents-{k}-{i}",
        f"Scatter plot of the rows in the plane of {how}{of}{by}",
        f"Rows in the latent space{of} of the fitted estimator: {how}{by}.{part} These are the "
        "rows it was shown, not rows held out.",
    )


# ---------------------------------------------------------------------------------------------
# Predictions


@_plain_style
def draw_predictions(
    k: int, target: Target, held_out: HeldOut, note: str, rng: np.random.RandomState
) -> Picture:
    """Draw held-out predictions against the truth."""
    if target.classes is not None:
        return _draw_confusion(k, target, held_out)
    if target.shape:
        return _draw_pairs(k, target, held_out, note)
    true, predicted = held_out.truth, held_out.predicted
    shown = np.arange(len(true))
    if len(true) > MAX_POINTS:
        shown = rng.choice(len(true), MAX_POINTS, replace=False)
    figure = _figure(8.2, 3.9)
    ax, below = figure.subplots(1, 2)
    low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    margin = 0.04 * (high - low) or 0.5
    limits = (low - margin, high + margin)
    style = {
        "s": float(np.clip(6000 / len(shown), 6, 22)),
        "alpha": 0.45,
        "linewidth": 0,
        "color": PALETTE[0],
    }
    _tidy(ax).plot(limits, limits, color="0.4", linestyle="--", linewidth=1, zorder=1)
    ax.scatter(true[shown], predicted[shown], **style)
    name, unit = _label(target, 34), _unit(target)
    ax.set(
        xlim=limits,
        ylim=limits,
        xlabel=f"Measured {name}",
        ylabel=f"Predicted, held out{unit}",
    )
    ax.set_aspect("equal", adjustable="box")
    residual = true - predicted
    _tidy(below).axhline(0, color="0.4", linestyle="--", linewidth=1, zorder=1)
    below.scatter(predicted[shown], residual[shown], **style)
    _draw_quantiles(below, predicted, residual)
    below.set(xlabel=f"Predicted {name}", ylabel=f"Measured − predicted{unit}")  # noqa: RUF001
    return _save(
        figure,
        f"figure-predictions-{k}",
        f"Two scatter plots: predicted against measured {target.name}, and residuals against "
        "predictions",
        f"{target.name}: each row predicted by the fold's model that did not see it "
        f"({len(true):,} predictions). Dashed: no error. Lines at the right: median, and 5 % and "
        f"95 % quantiles, of the residuals in bins of about as many rows.{note}",
    )


def _draw_quantiles(ax: Axes, predicted: np.ndarray, residual: np.ndarray) -> None:
    """Draw quantiles of residuals in bins of predictions, where there are rows enough."""
    n_bins = int(np.clip(len(predicted) // 40, 0, 10))
    if n_bins < 2:
        return
    parts = np.array_split(np.argsort(predicted, kind="stable"), n_bins)
    centres = [predicted[part].mean() for part in parts]
    for q, width in ((0.05, 1.2), (0.5, 2), (0.95, 1.2)):
        values = [np.quantile(residual[part], q) for part in parts]
        ax.plot(centres, values, color=PALETTE[1], linewidth=width)


def _draw_pairs(k: int, target: Target, held_out: HeldOut, note: str) -> Picture:
    """Draw held-out predictions of an array beside the truth, and the error of each element."""
    true, predicted = held_out.truth, held_out.predicted
    figure = _figure(8.2, 4.6)
    grid = figure.add_gridspec(2, 4, height_ratios=(1, 1.1))
    axes = [figure.add_subplot(grid[0, i]) for i in range(4)]
    display = PairsDisplay(true, predicted, shape=target.shape, unit=_name(target.unit, 20)).plot(
        axes[: min(4, len(true))]
    )
    for ax in axes[len(display.axes_) :]:
        ax.set_axis_off()
    for ax, row in zip(display.axes_, display.examples_["row"], strict=True):
        title = ax.get_title().replace(f"row {row}", f"row {held_out.row[row]}")
        ax.set_title(title, fontsize="small")
        ax.tick_params(labelsize="small")
    with warnings.catch_warnings():  # an element that was never held out has no error
        warnings.simplefilter("ignore", RuntimeWarning)
        rmse = np.sqrt(np.nanmean((true - predicted) ** 2, axis=0))
        spread = np.nanstd(true, axis=0)
    unit = _unit(target)
    if len(target.shape) == 1:
        ax = _tidy(figure.add_subplot(grid[1, :]))
        _draw_elements(ax, rmse, target, f"Error, held out{unit}")
        ax.plot(spread, color="0.6", linestyle="--", label="standard deviation")
        ax.lines[0].set_label("root mean square of the error")
        ax.legend(frameon=False, fontsize="small")
    else:
        ax, beside = figure.add_subplot(grid[1, :2]), figure.add_subplot(grid[1, 2:])
        _draw_elements(ax, rmse, target, f"RMSE, held out{unit}")
        _draw_elements(beside, spread, target, f"Standard deviation{unit}")
    return _save(
        figure,
        f"figure-predictions-{k}",
        f"True and predicted {target.name} of four rows, and the error of each element",
        f"{target.name}: four of {len(true):,} predictions, each by the fold's model that did not "
        "see the row: the middle ones of the quartiles of the error, from the smallest. Below, "
        "the error of each element over all rows, and its standard deviation, which is the error "
        f"of a model that predicts the mean.{note}",
    )


def _draw_confusion(k: int, target: Target, held_out: HeldOut) -> Picture:
    """Draw which class was taken for which, as shares of the true class."""
    assert target.classes is not None
    counts = np.zeros((len(target.classes),) * 2, dtype=int)
    np.add.at(counts, (held_out.truth.astype(int), held_out.predicted.astype(int)), 1)
    order = np.arange(len(counts))
    is_cut = len(counts) > MAX_PANELS
    if is_cut:  # those that are most often taken for another
        wrong = counts.sum(axis=1) - np.diag(counts)
        order = np.sort(np.argsort(-wrong, kind="stable")[:MAX_PANELS])
    totals = np.maximum(counts.sum(axis=1), 1)
    shares, shown = (counts / totals[:, None])[np.ix_(order, order)], counts[np.ix_(order, order)]
    size = float(np.clip(1.6 + 0.62 * len(order), 3.6, 8))
    figure = _figure(size + 1.2, size)
    ax = figure.add_subplot()
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (i, j), n in np.ndenumerate(shown):
        if n:
            color = "white" if shares[i, j] > 0.55 else "black"
            ax.text(j, i, str(n), ha="center", va="center", color=color, fontsize="small")
    names = [_name(target.classes[c], 16) for c in order]
    ax.set_xticks(range(len(order)), names, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(order)), names)
    ax.set(xlabel="Predicted, held out", ylabel=f"Measured {_name(target.name, 30)}")
    figure.colorbar(image, ax=ax, label="Share of the measured class", shrink=0.85)
    cut = ""
    if is_cut:
        cut = f" The {len(order)} classes that are mistaken most often; others are left out."
    return _save(
        figure,
        f"figure-predictions-{k}",
        f"Confusion matrix of {target.name}",
        f"{target.name}: number of rows of each class that were predicted as each class, by the "
        f"fold's model that did not see them ({counts.sum():,} predictions).{cut}",
    )


# ---------------------------------------------------------------------------------------------
# Calibration


@_plain_style
def draw_reliability(k: int, target: Target, curve: Reliability) -> Picture:
    """Draw how often the predicted class is right, against its probability."""
    figure = _figure(5.2, 4.2)
    ax = _tidy(figure.add_subplot())
    ax.plot([0, 1], [0, 1], color="0.4", linestyle="--", linewidth=1, zorder=1)
    _draw_shares(ax, curve.confidence, curve.accuracy, curve.n_rows)
    low = min(curve.confidence.min(), curve.accuracy.min(), 0.9)
    ax.set(
        xlim=(max(0, low - 0.08), 1.02),
        ylim=(max(0, low - 0.15), 1.02),
        xlabel="Probability of the predicted class",
        ylabel="Share that is right, held out",
    )
    return _save(
        figure,
        f"figure-calibration-{k}",
        f"Reliability curve of {target.name}",
        f"{target.name}: share of right predictions against the probability that the model gave "
        f"them, in {count(len(curve.n_rows), 'bin')} of about {int(np.mean(curve.n_rows))} "
        "held-out rows. Bars: 95 % confidence intervals (Wilson). Below the dashed line the model "
        "is too "
        "sure.",
    )


@_plain_style
def draw_intervals(
    k: int,
    target: Target,
    held_out: HeldOut,
    by_residual: Intervals | None,
    by_spread: Intervals | None,
    is_process: bool = False,
) -> Picture | None:
    """Draw the share of held-out rows within prediction intervals, and standard deviations.

    These are of an ensemble's members, or of a Gaussian process.
    """
    if by_residual is None and by_spread is None:
        return None
    figure = _figure(8.2, 3.9)
    axes = figure.subplots(1, 2)
    ax = _tidy(axes[0])
    ax.plot([0, 1], [0, 1], color="0.4", linestyle="--", linewidth=1, zorder=1)
    of = "" if is_process else " of members"
    for intervals, color, marker, label in (
        (by_residual, PALETTE[0], "o", "residuals of other folds"),
        (by_spread, PALETTE[1], "s", f"± 1, 2, 3 standard deviations{of}"),
    ):
        if intervals is not None:
            nominal, actual = intervals.nominal, intervals.actual
            ax.plot(nominal, actual, color=color, marker=marker, label=label)
    ax.set(
        xlim=(0, 1.02),
        ylim=(0, 1.02),
        xlabel="Share of rows that should lie within",
        ylabel="Share that does, held out",
    )
    ax.legend(frameon=False, fontsize="small", loc="upper left")
    words = (
        "left: share of held-out rows within a prediction interval, against the share that should "
        "be; below the dashed line intervals are too narrow."
    )
    if by_spread is not None:
        words += _draw_spread(_tidy(axes[1]), target, held_out, is_process)
    elif by_residual is not None and target.shape:
        words += _draw_element_coverage(axes[1], target, by_residual)
    elif by_residual is not None:
        words += _draw_coverage(_tidy(axes[1]), target, held_out, by_residual)
    return _save(
        figure,
        f"figure-calibration-{k}",
        f"Share of held-out rows within prediction intervals of {target.name}, against the "
        "nominal share",
        f"{target.name}: {words}",
    )


def _draw_shares(
    ax: Axes, x: ArrayLike, shares: np.ndarray | list[float], n_rows: np.ndarray | list[int]
) -> None:
    """Draw shares of rows with their 95 % confidence intervals."""
    from scipy.stats import binomtest

    ends = []
    for share, n in zip(shares, n_rows, strict=True):
        interval = binomtest(round(share * n), int(n)).proportion_ci(0.95, "wilson")
        ends.append([max(share - interval.low, 0), max(interval.high - share, 0)])
    ends_below_and_above = np.transpose(ends)
    ax.errorbar(
        x, shares, ends_below_and_above, color=PALETTE[0], marker="o", capsize=2, linewidth=1.2
    )


def _draw_coverage(ax: Axes, target: Target, held_out: HeldOut, intervals: Intervals) -> str:
    """Draw where along the prediction an interval holds; give the words for the caption."""
    level = len(intervals.nominal) // 2
    nominal = intervals.nominal[level]
    predicted, inside = held_out.predicted, intervals.inside[level]
    n_bins = int(np.clip(len(predicted) // 40, 1, 6))
    parts = np.array_split(np.argsort(predicted, kind="stable"), n_bins)
    shares = [inside[part].mean() for part in parts]
    ax.axhline(nominal, color="0.4", linestyle="--", linewidth=1, zorder=1)
    _draw_shares(ax, [predicted[p].mean() for p in parts], shares, [len(p) for p in parts])
    ax.set(
        ylim=(min(0.5, *shares) - 0.05, 1.02),
        xlabel=f"Predicted {_label(target, 34)}",
        ylabel=f"Share within the {100 * nominal:.0f} % interval",
    )
    return (
        f" Right: the share within the {100 * nominal:.0f} % interval in {count(n_bins, 'bin')} "
        "of predictions, with 95 % confidence intervals (Wilson): where it leaves the dashed "
        "line, one width for all rows is too narrow, or too wide."
    )


def _draw_element_coverage(ax: Axes, target: Target, intervals: Intervals) -> str:
    """Draw for which elements of an array an interval holds; give the words for the caption."""
    level = len(intervals.nominal) // 2
    nominal = intervals.nominal[level]
    label = f"Share within the {100 * nominal:.0f} % interval"
    shares = intervals.inside[level].mean(axis=0)
    _draw_elements(ax, shares, target, label)
    if len(target.shape) == 1:
        _tidy(ax).axhline(nominal, color="0.4", linestyle="--", linewidth=1, zorder=1)
        ax.set_ylim(min(0.5, shares.min()) - 0.05, 1.02)
    return (
        f" Right: the share within the {100 * nominal:.0f} % interval, of each element, which has "
        "a width of its own."
    )


def _draw_spread(ax: Axes, target: Target, held_out: HeldOut, is_process: bool) -> str:
    """Draw errors against standard deviations; give the words for the caption."""
    assert held_out.spread is not None
    error = np.abs(held_out.truth - held_out.predicted).ravel()  # of an array all elements
    known = ~np.isnan(error) & ~np.isnan(held_out.spread.ravel())
    spread, error = held_out.spread.ravel()[known], error[known]
    n_bins = int(np.clip(len(spread) // 20, 1, 10))
    parts = np.array_split(np.argsort(spread, kind="stable"), n_bins)
    x = [np.sqrt(np.mean(spread[part] ** 2)) for part in parts]
    y = [np.sqrt(np.mean(error[part] ** 2)) for part in parts]
    top = 1.08 * max(*x, *y)
    ax.plot([0, top], [0, top], color="0.4", linestyle="--", linewidth=1, zorder=1)
    ax.plot(x, y, color=PALETTE[0], marker="o")
    unit = _unit(target)
    ax.set(
        xlim=(0, 1.1 * max(x)),
        ylim=(0, top),
        xlabel=f"{'Standard deviation' if is_process else 'Spread of members'}{unit}",
        ylabel=f"Error, held out{unit}",
    )
    what, larger = "spread", "than the members' disagreement"
    if is_process:
        what, larger = "Gaussian process's standard deviation", "than it says"
    return (
        f" Right: root mean square of the error against that of the {what}, in "
        f"{count(n_bins, 'bin')} of about as many rows; above the dashed line errors are larger "
        f"{larger}."
    )


# ---------------------------------------------------------------------------------------------
# Reconstruction


@_plain_style
def draw_reconstruction(task: Task, evaluation: Evaluation, chosen: list[int]) -> Picture:
    """Draw columns against their reconstruction, while rows were held out."""
    n_cols = min(4, len(chosen))
    n_rows = -(-len(chosen) // n_cols)
    figure = _figure(2.75 * n_cols, 3.05 * n_rows)
    axes = [figure.add_subplot(n_rows, n_cols, k + 1) for k in range(len(chosen))]
    true, back = [], []
    arrays: dict[str, ArrayColumns] = {}
    units: dict[Hashable, str] = {}
    names = distinct([_name(column.name, 60) for column in task.columns])
    start = 0
    for j in chosen:
        column, decoded, name = task.columns[j], evaluation.decoded[j], names[j]
        units[name] = _name(column.unit, 20)
        if column.array is not None:
            width = decoded.shape[1]
            own = list(range(start, start + width))
            arrays[name] = column.array._replace(name=name, columns=own)
            labels = [(name, i) for i in range(width)]
            true.append(pd.DataFrame(column.elements).set_axis(labels, axis=1))
            back.append(pd.DataFrame(decoded).set_axis(labels, axis=1))
            start += width
            continue
        use = column.measured & pd.notna(decoded)
        true.append(column.values.where(use).rename(name).to_frame())
        back.append(pd.Series(decoded, name=name).to_frame())
        start += 1
    ReconstructionDisplay(
        pd.concat(true, axis=1), pd.concat(back, axis=1), units=units, arrays=arrays
    ).plot(axes)
    n_all = len(evaluation.decoded)
    has_text = any(task.columns[j].is_categorical for j in chosen)
    bars = " Bars: share of a category's rows that come back right." if has_text else ""
    which = (
        f"The {len(chosen)} of {n_all} columns that come back worst"
        if len(chosen) < n_all
        else "Each column"
    )
    if arrays:
        bars += (
            " Of an array, four rows: the middle ones of the quartiles of the error, Q1 with the "
            "smallest to Q4."
        )
    return _save(
        figure,
        "figure-reconstruction",
        f"Reconstructed against true values of {count(len(chosen), 'column')}",
        f"{which}: the value that the latents give back against the true one, of rows while they "
        f"were held out.{bars}",
    )
