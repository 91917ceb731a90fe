"""The report of a fitted estimator: its sections in order, and its files."""

from __future__ import annotations

from datetime import datetime, timezone
from os import PathLike
from pathlib import Path

import pandas as pd
from sklearn.utils import check_random_state

from .._ambient import isolated_but_output
from ..plotting._base import check_units
from . import _sections
from ._content import Page, Picture, Section, package_version, short
from ._facts import find_facts
from ._folds import evaluate
from ._html import in_frame, to_html
from ._limits import find_limits
from ._markdown import to_markdown
from ._task import Task, read_task

_CITATION = (
    "Nested autoencoders: N. Thota, M. Sharma Priyadarshini and R. Hernandez, Mater. Horiz. 11, "
    "700 (2024).",
    "https://doi.org/10.1039/D3MH01484C",
)
_SUFFIXES = (".html", ".htm", ".md", ".markdown")


class Report:
    """A model card as a page of HTML or of Markdown.

    :func:`report` gives it. In a notebook it shows itself.

    Parameters
    ----------
    page : Page
        Its title and sections.
    scores : DataFrame
        Held-out scores.
    limits : list of str
        Known limits.

    Attributes
    ----------
    title : str
        The title of the page.
    html : str
        The page as one HTML document, with its figures and its style inside. It loads nothing
        and runs no code.
    markdown : str
        The page as Markdown, with its figures as data URIs.
    scores : DataFrame of shape (n_scores, 5)
        Every score with its ``target``, ``model`` (this one, a baseline, or this one on the rows
        it learnt from), ``metric``, ``fold`` (from 0) and ``score``.
    limits : list of str
        The statements under "Known limits".

    See Also
    --------
    report : Write the report of a fitted estimator.
    """

    def __init__(self, page: Page, scores: pd.DataFrame, limits: list[str]) -> None:
        self._page = page
        self.title = page.title
        self.scores = scores
        self.limits = limits
        self.html = to_html(page)

    @property
    def markdown(self) -> str:
        """The page as Markdown."""
        return to_markdown(self._page)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the report to a file.

        Parameters
        ----------
        path : str or path-like
            Ends in ``.html``, or in ``.md``. Figures of Markdown are written to a folder beside
            the file, named after it with ``_files`` at the end, as few readers of Markdown show
            data URIs.

        Returns
        -------
        path : pathlib.Path
            The file.

        Raises
        ------
        ValueError
            If the path ends in something else.
        """
        path = Path(path)
        if path.suffix.lower() not in _SUFFIXES:
            raise ValueError(
                f"The 'path' parameter must end in one of {', '.join(_SUFFIXES)}, got "
                f"{path.name!r}."
            )
        if path.suffix.lower() in (".html", ".htm"):
            path.write_text(self.html, encoding="utf-8")
            return path
        folder = path.with_name(f"{path.stem}_files")

        def write(picture: Picture) -> str:
            folder.mkdir(exist_ok=True)
            (folder / f"{picture.name}.png").write_bytes(picture.png)
            return f"<{folder.name}/{picture.name}.png>"

        path.write_text(to_markdown(self._page, write), encoding="utf-8")
        return path

    def __repr__(self) -> str:
        n_folds = self.scores["fold"].nunique()
        return f"Report({self.title!r}, n_folds={n_folds}, n_limits={len(self.limits)})"

    def _repr_html_(self) -> str:
        return in_frame(self.html, self.title)


@isolated_but_output
def report(
    estimator,
    X,
    y=None,
    *,
    cv=5,
    groups=None,
    title=None,
    description=None,
    units=None,
    random_state=None,
):
    """Write a model card of a fitted estimator: data, settings, honest scores and limits.

    The page describes data and settings, and shows training, latents, predictions, calibration
    and reconstruction. Its scores are honest ones: the settings are fitted anew in each fold, all
    folds at once, and compared with baselines on the same folds. For a chain, one baseline has the
    same information: the property of an earlier scale, measured or predicted by trees, as a
    column. Statements against the model follow from the numbers.

    Read more in the :ref:`User Guide <report>`.

    Parameters
    ----------
    estimator : estimator instance
        Fitted :class:`SupervisedAutoencoder`, :class:`SupervisedAutoencoderClassifier` or
        :class:`NestedAutoencoder`, or a pipeline or search that ends in one. Of a search, its best
        estimator is looked at.
    X : array-like or DataFrame of shape (n_samples, n_features), or list of them
        The table it was fitted to; for a chain, a list of one table per scale, too.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), list of them, or None, \
default=None
        The target it was fitted to, missing where it is not known; None where it was fitted
        without one.
    cv : int, splitter or iterable, default=5
        A number of folds, which are shuffled: of rows, or of groups; with a share of each class,
        or of each scale (:class:`ScaleKFold`). Or anything else that scikit-learn takes as ``cv``.
    groups : array-like of shape (n_samples,), list of them, or None, default=None
        Rows of one group, such as replicates, are held out together. Beside a list of tables with
        rows of their own, a list of the groups of each, or None.
    title : str, default=None
        Title of the page. None: the name of the estimator, and its targets.
    description : str, default=None
        Purpose, author and data of the model, for instance; a paragraph below the title.
    units : dict, default=None
        Unit of each column and target, by name. A target without a name is called "y".
    random_state : int, RandomState instance or None, default=None
        Seed of folds, of trees, and of the rows that are drawn where there are many.

    Returns
    -------
    report : Report
        With ``html``, ``markdown``, ``scores``, ``limits``, and a method ``save``.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is or ends in another kind of estimator, or ``cv`` cannot split.
    ValueError
        If X has other columns than it was fitted to; if y is given to an estimator without a
        target, or is not given to one with a target; if lengths differ; if there are fewer rows,
        groups or known targets than folds; or if the folds hold out no known value of a target.

    See Also
    --------
    sknestedae.model_selection.batched_cross_validate : The scores alone.
    sknestedae.plotting.LatentDisplay : One of the figures.

    Notes
    -----
    A fitted estimator does not keep the ``sample_weight`` that it was fitted with, so that in the
    folds all rows count alike, for the model as for its baselines, and in the scores too.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sknestedae import SupervisedAutoencoder, report
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> X, y = X[:100], y[:100]
    >>> sae = SupervisedAutoencoder(2, max_iter=5, random_state=0).fit(X, y)
    >>> card = report(sae, X, y, cv=3, random_state=0)
    >>> card.title
    'SupervisedAutoencoder of target'
    >>> card.scores.query("model == 'this model' and metric == 'R²'")["fold"].to_list()
    [0, 1, 2]
    >>> card.save("diabetes.html")  # doctest: +SKIP
    """
    units = check_units(units)
    rng = check_random_state(random_state)
    task = read_task(estimator, X, y, groups, units)
    evaluation = evaluate(task, cv, rng)
    facts = find_facts(task, evaluation)
    statements = find_limits(task, evaluation, facts)
    sections = [
        _sections.glance(task, evaluation, facts, len(statements)),
        _sections.limits(statements),
        _sections.data(task, facts),
        _sections.settings(task, evaluation),
        _sections.scores(task, evaluation, facts),
        _sections.predictions(task, evaluation, facts, rng),
        _sections.calibration(task, evaluation, facts),
        _sections.reconstruction(task, evaluation),
        _sections.latents(task, rng),
        _sections.training(task),
    ]
    page = _make_page(task, title, description, [s for s in sections if s is not None])
    return Report(page, evaluation.scores, statements)


def _make_page(
    task: Task, title: str | None, description: str | None, sections: list[Section]
) -> Page:
    """Put the sections under a title."""
    if title is None:
        of = ", ".join(target.name for target in task.targets[:3])
        title = f"{_sections.describe_model(task)}{f' of {of}' if of else ''}"
    date = datetime.now(timezone.utc).date().isoformat()
    lead = [] if description is None else [str(description)]
    footer = f"Written by sknestedae {package_version()} on {date}."
    return Page(short(title, 200), tuple(lead), tuple(sections), footer, _CITATION)
