"""A diagram of a chain of stages: the columns, latents and targets of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._estimators._unwrap import innermost
from ._base import PALETTE, check_has, combine_styles, core_of, count, shorten, three_digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
    from matplotlib.text import Text

_COLORS = {
    "columns": PALETTE[4],
    "stage": PALETTE[0],
    "latents": PALETTE[2],
    "target": PALETTE[1],
}
# All lengths are in inches.
_WIDTHS = {"columns": 2.4, "stage": 2.7, "latents": 1.1, "target": 1.4}
_SPACE = 0.3  # between boxes, where the arrows are
_MARGIN = 0.06
_PAD = 0.08  # between a box's edge and its text
_LINE_HEIGHT = 1.35  # of the font's size
_SMALL, _MEDIUM, _LARGE = 8.0, 9.0, 10.0  # points
_MAX_LINES = 3  # of names
_TERMS = ("reconstruction", "prediction")
_Point = tuple[float, float]


class NestedDisplay:
    """Diagram of a chain of stages, from top to bottom.

    Each stage is a box with its name, its estimator and the loss that it ended with. From the
    left come the stage's own columns, from above the latents of the stage before. Its outputs are
    a narrower box of latents, and at the right the stage's target, where it has one.

    It is recommended to use :func:`~sknestedae.plotting.NestedDisplay.from_estimator` to create a
    display. All parameters are stored as attributes.

    Parameters
    ----------
    stages : DataFrame of shape (n_stages, n_properties)
        One row for each stage, with its name as index, and the columns ``estimator`` (its name),
        ``n_columns``, ``columns`` (list of their names), ``n_latents``, ``target`` (its size in
        words, such as "1 output"; missing without one), ``target_names`` (list) and ``loss`` (when
        the losses are of, in words; missing without losses). The terms of the loss can follow:
        ``train_reconstruction``, ``train_prediction``, ``valid_reconstruction`` and
        ``valid_prediction``, NaN where a stage has none.

    Attributes
    ----------
    stage_boxes_, column_boxes_, latent_boxes_, target_boxes_ : dict of str to FancyBboxPatch
        The boxes of each stage, by its name; a stage without a target has no target box.
    texts_ : dict of str to dict of str to list of matplotlib Text
        For each stage, the lines in its boxes "columns", "stage", "latents" and "target".
    arrows_ : list of matplotlib FancyArrowPatch
        The arrows, from the first stage to the last.
    ax_ : matplotlib Axes
        Axes with the diagram.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    NestedDisplay.from_estimator : Draw a fitted chain.
    HistoryDisplay : The loss terms of one stage over the epochs.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sknestedae import NestedAutoencoder
    >>> from sknestedae.datasets import make_nested_functions
    >>> from sknestedae.plotting import NestedDisplay
    >>> X_list, y_list = make_nested_functions(60, random_state=0, return_X_y=True)
    >>> nae = NestedAutoencoder(n_components=[2, 5], max_iter=5, random_state=0)
    >>> display = NestedDisplay.from_estimator(nae.fit(X_list, y_list))
    >>> display.stages[["n_columns", "n_latents", "target"]]
            n_columns  n_latents     target
    scale0          4          2  2 outputs
    scale1          9          5  3 outputs
    >>> plt.show()  # doctest: +SKIP
    """

    def __init__(self, stages):
        self.stages = stages

    def plot(self, ax=None, *, box_kwargs=None, arrow_kwargs=None):
        """Draw the diagram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; its frame and ticks are hidden. Text shrinks where it is smaller than
            the diagram, which is 7 inches wide and about 1.5 inches high per stage. If None, a
            new figure of that size is made.
        box_kwargs : dict, default=None
            Keywords for :class:`matplotlib.patches.FancyBboxPatch`, such as `facecolor`.
        arrow_kwargs : dict, default=None
            Keywords for :class:`matplotlib.patches.FancyArrowPatch`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.NestedDisplay`
            Object that stores the values and the artists.
        """
        import matplotlib.pyplot as plt

        content = {name: _content(name, row) for name, row in self.stages.iterrows()}
        boxes, (width, height) = _place(content)
        if ax is None:
            ax = plt.figure(figsize=(width, height)).add_axes((0, 0, 1, 1))
        self.ax_, self.figure_ = ax, ax.figure
        ax.set_axis_off()
        ax.set(xlim=(0, width), ylim=(-height, 0))
        ax.set_aspect("equal", adjustable="box")
        room = ax.get_window_extent().size / self.figure_.dpi
        scale = min(1.0, *(room / (width, height)))
        drawn: dict[str, dict[str, FancyBboxPatch]] = {kind: {} for kind in _COLORS}
        self.texts_: dict[str, dict[str, list[Text]]] = {}
        self.arrows_: list[FancyArrowPatch] = []
        for name, of_stage in boxes.items():
            self.texts_[name] = {}
            for kind, box in of_stage.items():
                patch, texts = _draw_box(ax, box, _COLORS[kind], scale, box_kwargs)
                drawn[kind][name] = patch
                self.texts_[name][kind] = texts
        for start, end in _arrows(list(boxes.values())):
            self.arrows_.append(_draw_arrow(ax, start, end, scale, arrow_kwargs))
        self.stage_boxes_, self.column_boxes_ = drawn["stage"], drawn["columns"]
        self.latent_boxes_, self.target_boxes_ = drawn["latents"], drawn["target"]
        return self

    @classmethod
    def from_estimator(
        cls, estimator, *, target_names=None, ax=None, box_kwargs=None, arrow_kwargs=None
    ):
        """Draw a fitted chain.

        Parameters
        ----------
        estimator : estimator instance
            Fitted :class:`~sknestedae.NestedAutoencoder`, or a fitted pipeline or search that ends
            in one. Losses are those of the epoch that a stage kept, or of the last epoch of the
            refinement.
        target_names : list of str, default=None
            Name of each column of the y that was fitted. If None, targets have their number alone.
        ax : matplotlib Axes, default=None
            Axes to draw on; its frame and ticks are hidden. Text shrinks where it is smaller than
            the diagram, which is 7 inches wide and about 1.5 inches high per stage. If None, a
            new figure of that size is made.
        box_kwargs : dict, default=None
            Keywords for :class:`matplotlib.patches.FancyBboxPatch`, such as `facecolor`.
        arrow_kwargs : dict, default=None
            Keywords for :class:`matplotlib.patches.FancyArrowPatch`.

        Returns
        -------
        display : :class:`~sknestedae.plotting.NestedDisplay`
            Object that stores the values and the artists.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sknestedae import NestedAutoencoder, SupervisedAutoencoder
        >>> from sknestedae.plotting import NestedDisplay
        >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
        >>> sae = SupervisedAutoencoder(n_components=2, max_iter=5, random_state=0)
        >>> stages = [
        ...     ("body", sae, ["age", "sex", "bmi", "bp"]),
        ...     ("blood", sae, slice("s1", "s6")),
        ... ]
        >>> nae = NestedAutoencoder(stages).fit(X, y)
        >>> display = NestedDisplay.from_estimator(nae, target_names=["progression"])
        >>> [text.get_text() for text in display.texts_["body"]["columns"]]
        ['4 columns', 'age, sex, bmi, bp']
        >>> [text.get_text() for text in display.texts_["blood"]["target"]]
        ['1 output', 'progression']
        """
        caller = f"{cls.__name__}.from_estimator"
        estimator = innermost(estimator)
        check_is_fitted(estimator)
        check_has(estimator, ["stages_", "targets_"], caller)
        display = cls(_describe_stages(estimator, _check_target_names(estimator, target_names)))
        return display.plot(ax, box_kwargs=box_kwargs, arrow_kwargs=arrow_kwargs)


# ---------------------------------------------------------------------------------------------
# Properties of the stages


def _check_target_names(estimator: Any, names: Any) -> list[str] | None:
    """Return the names of the target's columns as a list."""
    if names is None:
        return None
    n_outputs = sum(len(columns) for columns in estimator.targets_.values())
    if isinstance(names, str) or len(names) != n_outputs:
        raise ValueError(
            f"The 'target_names' parameter must be a list of the names of the {n_outputs} columns "
            f"of y, got {names!r}."
        )
    return [str(name) for name in names]


def _describe_stages(estimator: Any, target_names: list[str] | None) -> pd.DataFrame:
    """Return the properties of each stage of a fitted chain, as NestedDisplay takes them."""
    rows = []
    n_before = 0
    for k, (name, stage, columns) in enumerate(estimator.stages_):
        n_named = len(estimator[: k + 1].get_feature_names_out())
        outputs = estimator.targets_[name]
        rows.append(
            {
                "estimator": _describe_class(stage),
                "n_columns": len(columns),
                "columns": _names_of_columns(estimator, stage, columns),
                "n_latents": n_named - n_before,
                "target": _describe_target(stage, len(outputs)),
                "target_names": [] if target_names is None else [target_names[j] for j in outputs],
                **_losses(estimator, name, stage),
            }
        )
        n_before = n_named if estimator.latents == "all" else 0  # "all" names those before, too
    names = [name for name, _, _ in estimator.stages_]
    return pd.DataFrame(rows, index=names)


def _describe_class(estimator: Any) -> str:
    """Describe an estimator by its class and the classes inside it."""
    kind = type(estimator).__name__
    if isinstance(estimator, FrozenEstimator):
        return f"{_describe_class(estimator.estimator)}, frozen"
    if isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
        return f"{kind}: {', '.join(map(_describe_class, steps))}"
    if hasattr(estimator, "best_estimator_"):
        return f"{kind}: {_describe_class(estimator.best_estimator_)}"
    return kind


def _names_of_columns(nested: Any, stage: Any, columns: list[int]) -> list[str]:
    """Return the names of a stage's own columns, or their positions where there are none."""
    names = list(getattr(stage, "feature_names_in_", []))[: len(columns)]
    if len(names) < len(columns):  # a frozen one may have been fitted to an array
        known = getattr(nested, "feature_names_in_", range(nested.n_features_in_))
        names = [known[j] for j in columns]
    return [str(name) for name in names]


def _describe_target(stage: Any, n_outputs: int) -> str | None:
    """Write how large a target is."""
    if not n_outputs:
        return None
    classes = getattr(core_of(stage), "classes_", None)
    if n_outputs == 1 and isinstance(classes, np.ndarray):
        return count(len(classes), "class", "classes")
    return count(n_outputs, "output")


def _losses(nested: Any, name: str, stage: Any) -> dict[str, Any]:
    """Return the loss terms that a stage ended with, and when."""
    refined = getattr(nested, "refine_history_", None)
    history = getattr(core_of(stage), "history_", None)
    if refined is not None:
        when, last = "after refinement", refined.iloc[-1]
        last = last.rename(lambda column: column.removeprefix(f"{name}__"))
    elif history is not None and history.index.nlevels == 1:  # a chain's own has two
        epoch = history.index[-1]
        # without held-out rows the last epoch is kept, unless it diverged
        if any(column.startswith("valid_") for column in history) or history.iloc[-1].isna().any():
            epoch = getattr(core_of(stage), "best_iter_", epoch)
        when, last = f"at epoch {epoch}", history.loc[epoch]
    else:
        return {"loss": None}
    terms = [f"{rows}_{term}" for rows in ("train", "valid") for term in _TERMS]
    return {"loss": when, **{term: float(last[term]) for term in terms if term in last}}


# ---------------------------------------------------------------------------------------------
# Text and places


class _Line(NamedTuple):
    """A line of text, and how it is written."""

    text: str
    size: float
    weight: str = "normal"

    @property
    def height(self) -> float:
        return self.size * _LINE_HEIGHT / 72


class _Box(NamedTuple):
    """A box: its centre, its size and its lines."""

    x: float
    y: float
    width: float
    height: float
    lines: list[_Line]


def _width_of(line: _Line) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=line.size, weight=line.weight)
    width, _, _ = text_to_path.get_text_width_height_descent(line.text, font, ismath=False)
    return width / 72


def _fit(line: _Line, width: float) -> _Line:
    """Shorten a line until it is no wider than this."""
    while _width_of(line) > width and len(line.text) > 1:
        line = line._replace(text=shorten(line.text, len(line.text) - 1))
    return line


def _wrap(names: Sequence[str], size: float, width: float) -> list[_Line]:
    """Write names, or the words of one name, in a few lines; the last tells if there are more."""
    separator = ","
    if len(names) == 1:
        names, separator = names[0].split(), ""
    width -= _width_of(_Line(", …", size))
    lines: list[str] = []
    for name in names:
        name = _fit(_Line(name, size), width).text
        longer = f"{lines[-1]}{separator} {name}" if lines else name
        if lines and _width_of(_Line(longer, size)) <= width:
            lines[-1] = longer
        elif len(lines) == _MAX_LINES:
            lines[-1] += f"{separator} …"
            break
        else:
            lines = [*lines[:-1], *(f"{line}{separator}" for line in lines[-1:]), name]
    return [_Line(line, size) for line in lines]


def _content(name: str, stage: pd.Series) -> dict[str, list[_Line]]:
    """Return the lines of each box of a stage."""
    widths = {kind: width - 2 * _PAD for kind, width in _WIDTHS.items()}
    body = [_Line(name, _LARGE, "bold"), _Line(stage["estimator"], _MEDIUM)]
    if not pd.isna(stage["loss"]):
        body.append(_Line(f"loss {stage['loss']}:", _SMALL))
        for term in _TERMS:
            value, held_out = (stage.get(f"{rows}_{term}", np.nan) for rows in ("train", "valid"))
            if not pd.isna(value):
                more = "" if pd.isna(held_out) else f" (validation {three_digits(held_out)})"
                body.append(_Line(f"{term} {three_digits(value)}{more}", _SMALL))
    content = {
        "columns": [
            _Line(count(stage["n_columns"], "column"), _MEDIUM, "bold"),
            *_wrap(stage["columns"], _SMALL, widths["columns"]),
        ],
        "stage": [_fit(line, widths["stage"]) for line in body],
        "latents": [
            _fit(_Line(count(stage["n_latents"], "latent"), _MEDIUM, "bold"), widths["latents"])
        ],
    }
    if not pd.isna(stage["target"]):
        content["target"] = [
            _Line(stage["target"], _MEDIUM, "bold"),
            *_wrap(stage["target_names"], _SMALL, widths["target"]),
        ]
    return content


def _place(
    content: dict[str, dict[str, list[_Line]]],
) -> tuple[dict[str, dict[str, _Box]], tuple[float, float]]:
    """Return the boxes of each stage, the first on top, and the size of the whole."""
    left = dict.fromkeys(["columns", "stage", "target"], _MARGIN)
    left["stage"] += _WIDTHS["columns"] + _SPACE
    left["target"] = left["stage"] + _WIDTHS["stage"] + _SPACE
    has_targets = any("target" in lines for lines in content.values())
    last = "target" if has_targets else "stage"
    left["latents"] = left["stage"] + (_WIDTHS["stage"] - _WIDTHS["latents"]) / 2
    boxes: dict[str, dict[str, _Box]] = {}
    top = -_MARGIN
    for name, of_stage in content.items():
        heights = {
            kind: sum(line.height for line in lines) + 2 * _PAD for kind, lines in of_stage.items()
        }
        row = max(height for kind, height in heights.items() if kind != "latents")
        y = dict.fromkeys(of_stage, top - row / 2)
        # below its stage, which may be lower than the row
        y["latents"] -= heights["stage"] / 2 + _SPACE + heights["latents"] / 2
        boxes[name] = {
            kind: _Box(
                left[kind] + _WIDTHS[kind] / 2, y[kind], _WIDTHS[kind], heights[kind], lines
            )
            for kind, lines in of_stage.items()
        }
        bottom = min(top - row, y["latents"] - heights["latents"] / 2)
        top = bottom - _SPACE
    return boxes, (left[last] + _WIDTHS[last] + _MARGIN, _MARGIN - bottom)


def _arrows(boxes: list[dict[str, _Box]]) -> list[tuple[_Point, _Point]]:
    """Return the ends of each arrow: along each row, and from top to bottom."""
    ends = []
    before = None
    for box in boxes:
        beside = [box[kind] for kind in ("columns", "stage", "target") if kind in box]
        for a, b in zip(beside[:-1], beside[1:], strict=True):
            ends.append(((a.x + a.width / 2, a.y), (b.x - b.width / 2, b.y)))
        below = [*([] if before is None else [before]), box["stage"], box["latents"]]
        for a, b in zip(below[:-1], below[1:], strict=True):
            ends.append(((a.x, a.y - a.height / 2), (b.x, b.y + b.height / 2)))
        before = box["latents"]
    return ends


def _draw_box(
    ax: Axes, box: _Box, color: str, scale: float, box_kwargs: dict[str, Any] | None
) -> tuple[FancyBboxPatch, list[Text]]:
    """Draw a box and the lines in it."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import FancyBboxPatch

    defaults = {
        "facecolor": to_rgba(color, 0.18),
        "edgecolor": color,
        "linewidth": 1.2 * scale,
        "boxstyle": "round,pad=0,rounding_size=0.06",
    }
    corner = box.x - box.width / 2, box.y - box.height / 2
    patch = FancyBboxPatch(
        corner, box.width, box.height, **combine_styles(defaults, box_kwargs, FancyBboxPatch)
    )
    ax.add_patch(patch)
    y = box.y + box.height / 2 - _PAD
    texts = []
    for line in box.lines:
        style: dict[str, Any] = {
            "fontsize": line.size * scale,
            "fontweight": line.weight,
            "parse_math": False,
        }
        y -= line.height / 2
        texts.append(
            ax.text(box.x, y, line.text, ha="center", va="center_baseline", clip_on=False, **style)
        )
        y -= line.height / 2
    return patch, texts


def _draw_arrow(
    ax: Axes, start: _Point, end: _Point, scale: float, arrow_kwargs: dict[str, Any] | None
) -> FancyArrowPatch:
    from matplotlib.patches import FancyArrowPatch

    defaults = {
        "arrowstyle": "-|>",
        "mutation_scale": 11 * scale,
        "color": "0.3",
        "linewidth": 1.2 * scale,
        "shrinkA": 0,
        "shrinkB": 0,
        "zorder": 3,
    }
    arrow = FancyArrowPatch(start, end, **combine_styles(defaults, arrow_kwargs, FancyArrowPatch))
    ax.add_patch(arrow)
    return arrow
