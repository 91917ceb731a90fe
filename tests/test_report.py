"""Tests of report: the page is well-formed, its numbers are right, and it does not flatter."""

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import ttest_1samp
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    log_loss,
    mean_absolute_error,
    r2_score,
)
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from sknestedae import (
    NestedAutoencoder,
    ScaleKFold,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    report,
    stack_scales,
)
from sknestedae._report import _figures, _report, _task
from sknestedae._report._content import (
    Page,
    Picture,
    Section,
    Table,
    count,
    fixed,
    mean_and_sd,
    number,
    percent,
)
from sknestedae._report._facts import interval_of_gain, judge, residual_intervals
from sknestedae._report._folds import HeldOut
from sknestedae._report._markdown import to_markdown
from sknestedae._report._task import Target
from sknestedae.datasets import fetch_perovskites
from sknestedae.model_selection import BatchedGridSearchCV
from sknestedae.plotting._base import with_unit

TINY = {"n_components": 2, "hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0}
EVIL = '<b>a|b_$x$ & "q"</b>'
VOID = {"meta", "img", "br", "hr", "link"}


@pytest.fixture(scope="module")
def X():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(60, 3)), columns=["radius", "energy", EVIL])
    X.loc[::5, "radius"] = np.nan
    X["phase"] = pd.Categorical(np.resize(["cubic", "hexagonal", "<i>other</i>"], 60))
    return X


@pytest.fixture(scope="module")
def y(X):
    rng = np.random.RandomState(1)
    return (2 * X["energy"] + X[EVIL] + rng.normal(scale=0.3, size=60) + 10).rename("gap")


@pytest.fixture(scope="module")
def labels(y):
    return pd.Series(np.where(y > 10, "wide <gap>", "narrow"), name="kind")


@pytest.fixture(scope="module")
def sae(X, y):
    return SupervisedAutoencoder(**TINY).fit(X, y)


@pytest.fixture(scope="module")
def card(sae, X, y):
    return report(sae, X, y, cv=3, units={"gap": "eV", "radius": "Å"}, random_state=0)


SAVE = _figures._save


@pytest.fixture(scope="module", autouse=True)
def figures_are_made_but_not_rendered():
    """Leave out what takes most of the time of a tiny report."""

    def save(figure, name, alt, caption):
        return Picture(name, b"\x89PNG", (100, 100), alt, caption)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_figures, "_save", save)
        yield


@pytest.fixture
def rendered(monkeypatch):
    """Render figures after all."""
    monkeypatch.setattr(_figures, "_save", SAVE)
    monkeypatch.setattr(_figures, "_DPI", 20)


def two_scales(rng=0):
    """Make two scales with rows of their own."""
    rng = np.random.RandomState(rng)
    crystals = pd.DataFrame(rng.normal(size=(40, 3)), columns=["a", "b", "c"])
    devices = pd.DataFrame(rng.normal(size=(30, 3)), columns=["a", "b", "c"])
    devices["layer"] = pd.Categorical(np.resize(["x", "y"], 30))
    gap = (crystals["a"] + crystals["b"]).rename("gap")
    pce = (devices["a"] + (devices["layer"] == "x")).rename("pce")
    return [crystals, devices], [gap, pce]


# -- what a page is: read it with the standard library alone


class Parser(HTMLParser):
    """Collect tags that are open, ids, addresses and tables."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.addresses, self.tags = [], [], [], []
        self.tables, self.images, self.text = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attrs:
            self.ids.append(attrs["id"])
        self.addresses += [
            attrs[name] for name in ("src", "href", "srcset", "data") if name in attrs
        ]
        if tag == "img":
            self.images.append(attrs)
        if tag == "table":
            self.tables.append({"caption": "", "rows": []})
        elif tag == "tr":
            self.tables[-1]["rows"].append([])
        elif tag in ("th", "td"):
            self.tables[-1]["rows"][-1].append("")

    def handle_endtag(self, tag):
        assert tag not in VOID
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("th", "td"):
            self.tables[-1]["rows"][-1][-1] += data
        elif self.open and self.open[-1] == "caption":
            self.tables[-1]["caption"] += data
        if "style" not in self.open:
            self.text.append(data)

    def table(self, caption):
        (found,) = [t["rows"] for t in self.tables if t["caption"].startswith(caption)]
        return pd.DataFrame(found[1:], columns=found[0]).set_index(found[0][0])


def check_page(html):
    """Assert what holds for every page, and give it parsed."""
    page = Parser(html)
    assert not page.open
    assert html.startswith("<!DOCTYPE html>")
    assert len(page.ids) == len(set(page.ids))
    inside = [a[1:] for a in page.addresses if a.startswith("#")]
    assert set(inside) <= set(page.ids)
    outside = [a for a in page.addresses if not a.startswith(("#", "data:image/png;base64,"))]
    assert outside == ["https://doi.org/10.1039/D3MH01484C"]
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert all(image["alt"].strip() for image in page.images)
    assert "@import" not in html
    assert "url(" not in html
    for table in page.tables:
        assert len({len(row) for row in table["rows"]}) == 1
    return page


def check_markdown(text):
    """Assert that each table has as many cells in each line."""
    lines = text.splitlines()
    n_tables = 0
    for before, line in zip(["", *lines[:-1]], lines, strict=True):
        if not line.startswith("|"):
            continue
        n_cells = len(re.findall(r"(?<!\\)\|", line)) - 1
        if not before.startswith("|"):
            n_tables, width = n_tables + 1, n_cells
        assert n_cells == width
    return n_tables


def test_the_page_is_whole_and_self_contained(card):
    page = check_page(card.html)
    headings = ["glance", "limits", "data", "settings", "scores", "predictions", "calibration"]
    assert set(headings) < set(page.ids)
    assert check_markdown(card.markdown) == len(page.tables)
    assert card.markdown.count("](data:image/png;base64,") == len(page.images)
    assert repr(card).startswith("Report('SupervisedAutoencoder of gap', n_folds=3")


def test_names_are_escaped(card):
    assert EVIL not in card.html
    assert "<i>other" not in card.html
    text = "".join(Parser(card.html).text)
    assert EVIL in text
    assert "<i>other</i> (20)" in text
    assert EVIL not in card.markdown
    assert r"\<b\>a\|b\_\$x\$ \& " in card.markdown


def test_title_and_description_are_the_user_s(sae, X, y):
    card = report(sae, X, y, cv=2, title="<Gaps>", description="For *you* & me.", random_state=0)
    page = check_page(card.html)
    assert card.title == "<Gaps>"
    assert "<title>&lt;Gaps&gt;</title>" in card.html
    assert "For *you* & me." in page.text
    assert r"For \*you\* \& me." in card.markdown


def test_a_notebook_shows_it_in_a_frame_of_its_own(card):
    page = Parser(card._repr_html_())
    assert not page.open
    assert page.tags == ["iframe"]
    (inside,) = re.findall(r'srcdoc="([^"]*)"', card._repr_html_())
    assert "<" not in inside
    # links within it stay within it, and it is the page otherwise
    assert unescape(inside).replace('<base href="about:srcdoc">\n', "") == card.html


def test_files(card, tmp_path):
    path = card.save(tmp_path / "card.html")
    assert path.read_text(encoding="utf-8") == card.html
    path = card.save(str(tmp_path / "card.md"))
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"\]\(<(card_files/[\w-]+\.png)>\)", text)
    assert len(named) == len(set(named)) == len(Parser(card.html).images)
    for name in named:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert "data:" not in text
    with pytest.raises(ValueError, match=r"'path' parameter must end in .* got 'card.pdf'"):
        card.save(tmp_path / "card.pdf")


# -- its numbers are those of scikit-learn


def scores_of(card, model, metric, target="gap"):
    own = card.scores.query("target == @target and model == @model and metric == @metric")
    return own.sort_values("fold")["score"].to_numpy()


def test_scores_of_numbers(sae, X, y):
    cv = KFold(3, shuffle=True, random_state=5)
    card = report(sae, X, y, cv=cv, random_state=0)
    predicted = cross_val_predict(clone(sae), X, y, cv=cv)
    folds = [test for _, test in cv.split(X)]
    r2 = [r2_score(y[test], predicted[test]) for test in folds]
    mae = [mean_absolute_error(y[test], predicted[test]) for test in folds]
    # networks trained together differ in the order of sums: a few hundred roundings
    assert_allclose(scores_of(card, "this model", "R²"), r2, rtol=1e-6)
    assert_allclose(scores_of(card, "this model", "MAE"), mae, rtol=1e-6)
    median = [
        mean_absolute_error(y[test], np.full(len(test), y[train].median()))
        for train, test in cv.split(X)
    ]
    assert_allclose(scores_of(card, "median", "MAE"), median)
    table = check_page(card.html).table("gap: mean ± SD")
    assert table.loc["this model", "R²"] == mean_and_sd(r2, 3)
    assert table.loc["median", "MAE"] == mean_and_sd(median)
    by_fold = Parser(card.html).table("gap: R² of each fold")
    assert by_fold.loc["this model"].to_list() == [fixed(value) for value in r2]
    learnt = clone(sae).fit(
        X.iloc[folds[0].tolist() + folds[1].tolist()].sort_index(),
        y.iloc[folds[0].tolist() + folds[1].tolist()].sort_index(),
    )
    rows = np.sort(np.concatenate(folds[:2]))
    expected = learnt.score(X.iloc[rows], y.iloc[rows])
    known = scores_of(card, "this model, on rows it learnt from", "R²")
    assert known[2] == pytest.approx(expected, rel=1e-6)


def test_gradient_boosting_has_the_table_as_it_is(sae, X, y):
    cv = KFold(3, shuffle=True, random_state=5)
    card = report(sae, X, y, cv=cv, random_state=0)
    boosting = HistGradientBoostingRegressor(categorical_features="from_dtype")
    predicted = cross_val_predict(boosting, X, y, cv=cv)  # no early stopping: no randomness
    expected = [mean_absolute_error(y[test], predicted[test]) for _, test in cv.split(X)]
    assert_allclose(scores_of(card, "gradient boosting", "MAE"), expected)


def test_scores_of_classes(X, labels, rendered):
    cv = KFold(3, shuffle=True, random_state=5)
    sae = SupervisedAutoencoderClassifier(**TINY).fit(X, labels)
    card = report(sae, X, labels, cv=cv, random_state=0)
    page = check_page(card.html)
    check_markdown(card.markdown)
    proba = cross_val_predict(clone(sae), X, labels, cv=cv, method="predict_proba")
    predicted = sae.classes_[proba.argmax(axis=1)]
    folds = [test for _, test in cv.split(X)]
    for metric, function, values in [
        ("accuracy", accuracy_score, predicted),
        ("balanced accuracy", balanced_accuracy_score, predicted),
        ("log loss", log_loss, proba),
    ]:
        expected = [function(labels[test], values[test]) for test in folds]
        found = scores_of(card, "this model", metric, "kind")
        assert_allclose(found, expected, rtol=1e-6)
        cell = page.table("kind: mean ± SD").loc["this model", metric]
        assert cell == mean_and_sd(expected, 3)
    assert "most frequent class" in set(card.scores["model"])
    assert "figure-calibration-0" in page.ids


def test_rows_of_a_confusion_are_true_classes(monkeypatch):
    truth, predicted = np.array([0.0, 0, 0, 1, 1, 2]), np.array([0.0, 1, 1, 1, 1, 0])
    drawn = []

    def save(figure, name, alt, caption):
        drawn.append(figure.axes[0])
        return Picture(name, b"", (1, 1), alt, caption)

    monkeypatch.setattr(_figures, "_save", save)
    target = Target("kind", "", 0, None, ["a", "b", "c"], {}, truth)
    held_out = HeldOut(np.zeros(6), np.arange(6), truth, predicted, None, None)
    _figures._draw_confusion(0, target, held_out)
    (ax,) = drawn
    expected = confusion_matrix(truth, predicted, normalize="true")
    assert_allclose(ax.images[0].get_array(), expected)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert ax.get_ylabel() == "Measured kind"
    counts = {(text.get_position()[::-1]): text.get_text() for text in ax.texts}
    assert counts == {(0, 0): "1", (0, 1): "2", (1, 1): "2", (2, 0): "1"}


def test_numbers_of_a_table_stand_at_the_right_in_markdown():
    table = Table("scores", ("model", "MAE", "R²"), (("median", "1", "0"),), n_text=1)
    page = Page("page", (), (Section("scores", "Scores", (table,)),), "", ("", ""))
    assert "| model | MAE | R² |\n| :-- | --: | --: |\n| median | 1 | 0 |" in to_markdown(page)


def test_reconstruction_and_its_score(card, sae, X, y):
    folds = list(KFold(3, shuffle=True, random_state=5).split(X))
    card = report(sae, X, y, cv=folds, random_state=0)
    fitted = [clone(sae).fit(X.iloc[train], y[train]) for train, _ in folds]
    r2 = [e.score(X.iloc[test]) for e, (_, test) in zip(fitted, folds, strict=True)]
    page = Parser(card.html)
    row = page.table("Reconstruction of the table").loc["held out"].to_list()
    assert row == [mean_and_sd(r2, 3), *map(fixed, r2)]
    back = pd.concat(
        [
            e.inverse_transform(e.transform(X.iloc[test])).set_axis(X.index[test])
            for e, (_, test) in zip(fitted, folds, strict=True)
        ]
    ).sort_index()
    table = page.table("Reconstruction of each column")
    measured = X["radius"].notna()
    expected = r2_score(X["radius"][measured], back["radius"][measured])
    assert table.loc["radius", "R²"] == fixed(expected)
    right = np.mean(X["phase"].astype(str) == back["phase"].astype(str))
    assert table.loc["phase", "Right"] == percent(right)
    assert table.loc["phase", "Commonest"] == percent(1 / 3)


def test_principal_components_stand_beside(X):
    X = X[["energy", EVIL]].assign(sum=X["energy"] + X[EVIL])
    sae = SupervisedAutoencoder(**TINY).fit(X)
    page = check_page(report(sae, X, cv=3, random_state=0).html)
    table = page.table("Reconstruction of each column")
    assert set(table["Principal components"]) == {"1.000"}  # of rank 2


def test_intervals_are_those_of_the_other_folds():
    rng = np.random.RandomState(0)
    truth = rng.normal(size=2000)
    fold = np.repeat(np.arange(4), 500)
    zero = np.zeros(2000)
    held_out = HeldOut(fold, np.arange(2000), truth, zero, None, None)
    found = residual_intervals(held_out)
    # binomial: three standard deviations of a share of 2000 rows, and of 1500 that set the width
    margin = 3 * np.sqrt(found.nominal * (1 - found.nominal) * (1 / 2000 + 1 / 1500))
    assert (np.abs(found.actual - found.nominal) < margin).all()
    half = np.quantile(np.abs(truth[fold != 0]), 0.9, method="higher")
    inside = np.abs(truth[fold == 0]) <= half
    assert abs(found.inside[2][fold == 0].sum() - inside.sum()) <= 1
    assert residual_intervals(HeldOut(fold * 0, fold, truth, zero, None, None)) is None


# -- it says what speaks against the model


def test_replicates_without_groups_are_told(X, y):
    twice, target = pd.concat([X, X], ignore_index=True), pd.concat([y, y + 1], ignore_index=True)
    sae = SupervisedAutoencoder(**TINY).fit(twice, target)
    groups = np.tile(np.arange(60), 2)
    card = report(sae, twice, target, cv=5, random_state=0)
    said = "\n".join(card.limits)
    assert re.search(r"gap: \d+ % of the held-out rows are equal", said)
    assert "No groups were given" in said
    # each pair is 0.5 off its middle
    assert "120 rows of 120 are equal to another in all columns and have another target" in said
    assert "mean absolute error below 0.500" in said
    ceiling = 1 - 0.25 / np.var(target)
    assert f"R² above {fixed(ceiling)}," in said
    card = report(sae, twice, target, cv=5, groups=groups, random_state=0)
    assert "held-out rows are equal" not in "\n".join(card.limits)
    assert "5 shuffled folds of whole groups (60 of them)" in card.html


def test_share_of_equal_rows_is_that_of_the_folds(X, y):
    twice, target = pd.concat([X, X], ignore_index=True), pd.concat([y, y], ignore_index=True)
    sae = SupervisedAutoencoder(**TINY).fit(twice, target)
    cv = KFold(4, shuffle=True, random_state=1)
    known = [np.isin(test % 60, train % 60).mean() for train, test in cv.split(twice)]
    card = report(sae, twice, target, cv=cv, random_state=0)
    assert f"{percent(np.mean(known))} of the held-out rows are equal" in "\n".join(card.limits)


def test_what_is_known_of_the_solar_cells_is_found(data_dir):
    data = fetch_perovskites(data_home=data_dir)
    X, y = data.devices, data.pce
    sae = SupervisedAutoencoder(**{**TINY, "max_iter": 1}).fit(X, y)
    said = "\n".join(report(sae, X, y, cv=2, units=data.units, random_state=0).limits)
    # as the description of the data has it: 343 distinct inputs, medians off by 2.15 points
    assert "and 343 distinct rows" in said
    assert "mean absolute error below 2.15 %" in said


def test_a_better_baseline_is_named(X):
    # a line, which ridge finds and three epochs do not
    rng = np.random.RandomState(0)
    table = pd.DataFrame(rng.normal(size=(80, 2)), columns=["a", "b"])
    target = (table["a"] * 3).rename("line")
    sae = SupervisedAutoencoder(**TINY).fit(table, target)
    card = report(sae, table, target, random_state=0)
    (said,) = [s for s in card.limits if "ridge regression is better than this model" in s]
    own, ridge = (scores_of(card, m, "MAE", "line") for m in ("this model", "ridge regression"))
    errors = f"{number(own.mean())} against {number(ridge.mean())}"
    assert f"MAE {errors}, worse in 5 of 5 folds" in said
    (verdict,) = [t for t in Parser(card.html).text if t.startswith("By MAE this model is worse")]
    assert f"ridge regression ({errors}, worse in 5 of 5 folds)" in verdict
    assert "Worse than ridge regression, the best of them" in card.html


# -- one rule says which model is better


@pytest.fixture
def with_scores(monkeypatch):
    """Write a report of scores that are given, as {(model, metric): a score a fold}."""
    evaluate = _report.evaluate

    def write(estimator, X, y, scores, **settings):
        def invent(*args):
            evaluation = evaluate(*args)
            rows = evaluation.scores.copy()
            for (model, metric), values in scores.items():
                own = (rows["model"] == model) & (rows["metric"] == metric)
                rows.loc[own, "score"] = np.resize(values, own.sum())
            return replace(evaluation, scores=rows)

        monkeypatch.setattr(_report, "evaluate", invent)
        return report(estimator, X, y, random_state=0, **settings)

    return write


def verdicts_of(card, baseline):
    """Give what is said of a baseline, in the scores and among the limits: 1, 0 or -1."""
    (scores,) = [t for t in Parser(card.html).text if t.startswith("By ") and "this model" in t]
    parts = {
        1: re.search(r"better than (.*?)(; |$)", scores),
        0: re.search(r"not told apart from (.*?)(; |$)", scores),
        -1: re.search(r"worse than (.*?)(; |$)", scores),
    }
    (in_scores,) = [v for v, found in parts.items() if found and f"{baseline} (" in found[1]]
    own = [limit for limit in card.limits if f"{baseline} is better than this model" in limit]
    undecided = [limit for limit in card.limits if f"{baseline} cannot be told apart" in limit]
    assert len(own) + len(undecided) <= 1
    return in_scores, -len(own) if own else int(not undecided)


def test_a_baseline_has_one_verdict(sae, X, y, with_scores):
    scores = {
        ("this model", "MAE"): [1.0, 1.1, 0.9, 1.0, 1.0],
        ("ridge regression", "MAE"): [2.0, 2.1, 1.9, 2.1, 1.9],
        ("gradient boosting", "MAE"): [5.0, 0.5, 4.0, 0.6, 4.0],
        ("median", "MAE"): [4.0],
        # R² is better in each fold, but by less than it differs between folds
        ("this model", "R²"): [0.9, 0.9, 0.9, 0.9, 0.9],
        ("ridge regression", "R²"): [0.85, 0.85, 0.85, 0.85, -3.0],
    }
    card = with_scores(sae, X, y, scores)
    assert not [limit for limit in card.limits if "ridge" in limit]
    (undecided,) = [limit for limit in card.limits if "told apart" in limit]
    assert "this model and gradient boosting cannot be told apart: MAE 1.00 against" in undecided
    assert "better in 3 and worse in 2 of 5 folds; better by −" in undecided  # noqa: RUF001
    said = "Better than ridge regression, the best of them: MAE 1.00 against 2.00, better in 5 of"
    assert said in card.html
    assert verdicts_of(card, "ridge regression") == (1, 1)
    assert verdicts_of(card, "gradient boosting") == (0, 0)
    # the table has the other scores all the same
    assert "R²" in Parser(card.html).table("gap: mean ± SD")


@pytest.mark.parametrize("seed", range(4))
def test_verdicts_do_not_contradict_each_other(sae, X, y, with_scores, seed):
    rng = np.random.RandomState(seed)
    shifts = {"the median": 0.7, "ridge regression": 0.0, "gradient boosting": -0.7}
    own = rng.uniform(1, 2, size=5)
    gains = {name: rng.normal(shift, 0.3, size=5) for name, shift in shifts.items()}
    scores = {(name.removeprefix("the "), "MAE"): own + gain for name, gain in gains.items()}
    card = with_scores(sae, X, y, {("this model", "MAE"): own, **scores})
    expected = {name: judge(*interval_of_gain(gain, 12 / 48)) for name, gain in gains.items()}
    for name, verdict in expected.items():
        assert verdicts_of(card, name) == (verdict, verdict)
    best = min(gains, key=lambda name: gains[name].mean())
    words = {1: "Better than", 0: "Not told apart from", -1: "Worse than"}
    assert f"{words[expected[best]]} {best}, the best of them: MAE" in card.html


def test_classes_are_judged_by_balanced_accuracy(X, labels, with_scores):
    sae = SupervisedAutoencoderClassifier(**TINY).fit(X, labels)
    scores = {
        ("this model", "balanced accuracy"): [0.9, 0.91, 0.9, 0.89, 0.9],
        ("logistic regression", "balanced accuracy"): [0.7, 0.7, 0.72, 0.7, 0.69],
        ("this model", "log loss"): [9.0],
        ("this model", "accuracy"): [0.0],
    }
    card = with_scores(sae, X, labels, scores)
    assert verdicts_of(card, "logistic regression") == (1, 1)
    assert "differences in balanced accuracy between this model and a baseline" in card.html


def test_one_fold_has_no_verdict(sae, X, y):
    card = report(sae, X, y, cv=[(np.arange(40), np.arange(40, 60))], random_state=0)
    (said,) = [limit for limit in card.limits if "one fold cannot tell" in limit]
    assert said.startswith("gap: By MAE, one fold cannot tell whether this model is better than")
    assert all(name in said for name in ("the median (", "ridge regression (", "boosting ("))
    assert "One fold cannot tell which is better. The best of them is" in card.html
    for word in ("Better than", "Worse than", "this model is worse", "is better than this"):
        assert word not in card.html


def test_equal_scores_are_no_difference(sae, X, y, with_scores):
    own = np.linspace(1, 2, 5)
    rounded = own * (1 - 1e-8)  # below the spacing of 24 bits
    scores = {("this model", "MAE"): own, ("median", "MAE"): rounded}
    card = with_scores(sae, X, y, scores)
    (said,) = [limit for limit in card.limits if "and the median cannot" in limit]
    assert "better in 0 and worse in 0 of 5 folds; better by 0 to 0 (95 % interval)" in said


def test_intervals_of_gains_are_those_of_a_t_test():
    gains = np.random.RandomState(0).normal(0.3, 1, size=7)
    expected = ttest_1samp(gains, 0).confidence_interval(0.95)
    assert_allclose(interval_of_gain(gains, 0), expected)  # folds that share no rows
    low, high = interval_of_gain(gains, 0.25)
    assert low + high == pytest.approx(2 * gains.mean())
    # Nadeau and Bengio: the variance of the mean is 1 / n + test / train of that of the gains
    ratio = (high - low) / (expected.high - expected.low)
    assert ratio == pytest.approx(np.sqrt((1 / 7 + 0.25) / (1 / 7)))
    assert_allclose(interval_of_gain(-gains, 0.25), (-high, -low))
    assert interval_of_gain([5.0], 0.25) == (-np.inf, np.inf)


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [((0.1, 0.2), 1), ((-0.2, -0.1), -1), ((-0.1, 0.2), 0), ((0, 0), 0), ((-np.inf, np.inf), 0)],
)
def test_a_verdict_needs_an_interval_without_zero(interval, verdict):
    assert judge(*interval) == verdict


def test_intervals_know_how_many_rows_are_known(sae, X, y, with_scores):
    # 20 rows are learnt from, of which 10, 10 and 20 have a target; all others are held out
    target = y.mask(np.isin(np.arange(60), [*range(10), *range(20, 30)]))
    parts = np.split(np.arange(60), 3)
    folds = [(part, np.setdiff1d(np.arange(60), part)) for part in parts]
    gain = np.array([-0.2, 0.1, 0.3])
    scores = {("this model", "MAE"): [1.0], ("median", "MAE"): 1 + gain}
    card = with_scores(sae, X, target, scores, cv=folds)
    low, high = interval_of_gain(gain, np.mean([30 / 10, 30 / 10, 20 / 20]))
    (said,) = [limit for limit in card.limits if "and the median cannot" in limit]
    assert f"better by {number(low)} to {number(high)} (95 % interval)" in said


def test_a_model_that_learns_by_heart_is_told(X):
    rng = np.random.RandomState(0)
    table, noise = rng.normal(size=(40, 4)), rng.normal(size=40)
    settings = {"hidden_layer_sizes": (200,), "prediction_weight": 50, "learning_rate_init": 0.02}
    sae = SupervisedAutoencoder(8, max_iter=200, alpha=0, random_state=0, **settings)
    card = report(sae.fit(table, noise), table, noise, random_state=0)
    said = "\n".join(card.limits)
    assert "the model fits the rows it learnt from better than others" in said
    assert "Early stopping was not asked for" in said
    assert "R² is below 0" in said
    n_weights = sum(p.numel() for p in sae.net_.module_.parameters())
    assert f"There are {n_weights:,} parameters to learn and 40 distinct rows" in said


def test_what_the_data_lack_is_told(X, y):
    table, target = X.copy(), y.copy()
    table["seldom"] = np.where(np.arange(60) < 12, np.arange(60.0), np.nan)
    table["same"] = 1.0
    target[:15] = np.nan
    card = report(SupervisedAutoencoder(**TINY).fit(table, target), table, target, random_state=0)
    said = "\n".join(card.limits)
    assert "the target is missing in 15 of 60 rows (25 %)" in said
    assert "measured in less than half of their rows: seldom (20 %)" in said
    assert "one value in more than 99 % of their rows: same" in said
    assert "each with its share of the known targets" in card.html
    assert "folds hold out as few as 9 known values" in said
    page = check_page(card.html)
    assert page.table("Columns").loc["seldom", "Missing"] == "80 %"
    assert page.table("Targets that are numbers").loc["gap", "Missing"] == "15"


def test_columns_that_tell_nothing_are_named():
    rng = np.random.RandomState(0)
    rows = np.arange(40)
    gappy = np.where(rows < 5, np.nan, rng.normal(size=40))
    kinds = np.resize(["u", "v", "w"], 40)
    X = pd.DataFrame(
        {
            "order": rows,
            "any order": rng.permutation(40) - 7.0,
            "with a gap": np.where(rows > 30, rows + 1, rows),
            "twice": np.maximum(rows, 1),
            "halves": rows / 2,
            "shifted": rows + 0.5,
            "missing": np.where(rows == 3, np.nan, rows),
            "far": np.full(40, 1e18),
            "a": gappy,
            "b": gappy,
            "elsewhere": np.where(rows == 20, np.nan, gappy),
            "text": pd.Categorical(kinds),
            "same text": pd.Series(kinds, dtype=object),
            "another text": pd.Categorical(kinds[::-1]),
        }
    )
    card = report(SupervisedAutoencoder(**TINY).fit(X), X, cv=2, random_state=0)
    (said,) = [t for t in Parser(card.html).text if t.startswith("Only counting rows")]
    assert said.startswith("Only counting rows: order and any order. ")
    (said,) = [t for t in Parser(card.html).text if t.startswith("Equal in all rows")]
    assert said.startswith("Equal in all rows: a and b; text and same text. ")


def test_columns_that_are_never_measured_are_not_equal():
    X = pd.DataFrame({"a": np.random.RandomState(0).normal(size=30), "b": np.nan, "c": np.nan})
    fill = FunctionTransformer(np.nan_to_num)
    model = make_pipeline(fill, SupervisedAutoencoder(**TINY)).fit(X)
    assert "Equal in all rows" not in report(model, X, cv=2, random_state=0).html


def test_few_consecutive_numbers_may_be_a_property():
    X = pd.DataFrame({"dose": np.arange(9), "a": np.random.RandomState(0).normal(size=9)})
    card = report(SupervisedAutoencoder(**TINY).fit(X), X, cv=2, random_state=0)
    assert "Only counting rows" not in card.html
    assert "Equal in all rows" not in card.html


def test_an_index_may_begin_anew_with_each_scale():
    tables, targets = two_scales()
    tables = [table.assign(number=np.arange(len(table))) for table in tables]
    nae = NestedAutoencoder(n_components=2, max_iter=1, random_state=0).fit(tables, targets)
    card = report(nae, tables, targets, cv=2, random_state=0)
    assert "Only counting rows: number. " in card.html


def test_few_rows_of_a_class_are_told(X):
    labels = pd.Series(["common"] * 55 + ["rare"] * 5, name="kind")
    sae = SupervisedAutoencoderClassifier(**TINY).fit(X, labels)
    said = "\n".join(report(sae, X, labels, random_state=0).limits)
    assert "classes with fewer than 10 rows: rare (5)" in said
    assert "92 % of the rows are of the class common" in said


def test_where_the_settings_come_from_is_told(X, y):
    sae = SupervisedAutoencoder(**{**TINY, "random_state": None})
    search = BatchedGridSearchCV(sae, {"alpha": [0.01, 0.1, 1]}, cv=2).fit(X, y)
    said = "\n".join(report(search, X, y, cv=2, random_state=0).limits)
    assert "the best of 3 candidates of a search" in said
    assert "random_state is not set" in said


def test_frozen_stages_and_warnings_are_told(X):
    (crystals, devices), (gap, pce) = two_scales()
    first = SupervisedAutoencoder(**TINY).fit(crystals, gap)
    nae = NestedAutoencoder(
        [
            ("crystal", FrozenEstimator(first), ["a", "b", "c"]),
            ("device", SupervisedAutoencoder(**TINY), ["layer"]),
        ]
    ).fit(devices, pce)
    card = report(nae, devices, pce, cv=2, random_state=0)
    assert "Frozen stages (crystal) were not fitted anew" in "\n".join(card.limits)
    table = check_page(card.html).table("All parameters")
    assert (table.index == "stage crystal").any()


# -- every kind of estimator


def test_an_ensemble_shows_its_spread(X, y, rendered):
    sae = SupervisedAutoencoder(n_members=3, bootstrap=True, **TINY).fit(X, y)
    folds = list(KFold(3, shuffle=True, random_state=5).split(X))
    page = check_page(report(sae, X, y, cv=folds, random_state=0).html)
    inside = []
    for train, test in folds:
        mean, sd = clone(sae).fit(X.iloc[train], y[train]).predict(X.iloc[test], return_std=True)
        inside += (np.abs(y[test] - mean) <= 2 * sd).to_list()
    row = page.table("gap: intervals by the spread").iloc[1]
    assert row["Rows within, held out"] == percent(np.mean(inside))


def test_many_targets_of_an_array(X):
    table = X[["energy", EVIL]].to_numpy()
    target = np.column_stack([table @ [1, 2], table @ [2, -1]])
    sae = SupervisedAutoencoder(**TINY).fit(table, target)
    card = report(sae, table, target, cv=2, random_state=0, units={0: "eV", "y1": "%"})
    page = check_page(card.html)
    assert set(card.scores["target"]) == {"y0", "y1"}
    assert "Column 0 (eV)" in "".join(page.text)
    assert "y1 (%)" in page.table("Targets").index


@pytest.mark.parametrize(
    ("name", "unit", "expected"),
    [
        ("PCE", "%", "PCE (%)"),
        ("PCE (%)", "%", "PCE (%)"),
        ("PCE [%]", "%", "PCE [%]"),
        ("E / eV", "eV", "E / eV"),
        ("E/eV", "eV", "E/eV"),
        ("gap in eV", "eV", "gap in eV"),
        ("gap, eV", "eV", "gap, eV"),
        ("PCE (%)", "ppm", "PCE (%) (ppm)"),
        ("level", "el", "level (el)"),
        ("PCE (%)", "", "PCE (%)"),
    ],
)
def test_a_unit_is_written_once(name, unit, expected):
    assert with_unit(name, unit) == expected


@pytest.mark.parametrize("n_members", [1, 2])
def test_units_stand_once_and_on_each_axis(monkeypatch, n_members):
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(60, 2)), columns=["T (K)", "energy"])
    name = "a long name of the power conversion efficiency (%)"
    y = pd.DataFrame({"PCE (%)": X["energy"], name: X["T (K)"]})
    labels = {}

    def save(figure, name, alt, caption):
        labels[name] = [(ax.get_xlabel(), ax.get_ylabel()) for ax in figure.axes]
        return Picture(name, b"\x89PNG", (100, 100), alt, caption)

    monkeypatch.setattr(_figures, "_save", save)
    sae = SupervisedAutoencoder(n_members=n_members, **TINY).fit(X, y)
    units = dict.fromkeys(y.columns, "%") | {"T (K)": "K", "energy": "eV"}
    card = report(sae, X, y, cv=2, units=units, random_state=0)
    text = "".join(Parser(card.html).text)
    drawn = [label for own in labels.values() for pair in own for label in pair]
    for said in [text, *drawn]:
        assert "(%) (%)" not in said
        assert "(K) (K)" not in said
    page = Parser(card.html)
    assert "PCE (%)" in page.table("Targets that are numbers").index
    assert {"T (K)", "energy (eV)"} == set(page.table("Columns").index)
    for k in (0, 1):
        for label in [
            *labels[f"figure-predictions-{k}"][0],
            *labels[f"figure-predictions-{k}"][1],
        ]:
            assert label.endswith("(%)")
    assert labels["figure-targets"][0] == ("PCE (%)", "Rows")
    assert labels["figure-latents-0-0"][1][1] == "PCE (%)"
    spread = [label for label in labels["figure-calibration-0"][1] if "Share" not in label]
    assert len(spread) == n_members
    assert all(label.endswith("(%)") for label in spread)
    assert labels["figure-history-0"] == [("Epoch", "Loss (scaled units)")]
    assert labels["figure-reconstruction"][1] == ("True (eV)", "Reconstructed (eV)")


# -- many targets are spoken of together


def many(n_targets, X):
    """Make targets of a table: lines, and noise in every third."""
    rng = np.random.RandomState(0)
    table = X[["energy", EVIL]]
    y = table.to_numpy() @ rng.normal(size=(2, n_targets))
    y[:, ::3] = rng.normal(size=y[:, ::3].shape)
    y = pd.DataFrame(y + rng.normal(scale=0.1, size=y.shape)).add_prefix("t")
    return table, y, SupervisedAutoencoder(**TINY).fit(table, y)


def test_statements_that_are_alike_are_one(X):
    table, y, sae = many(6, X)
    y["t5"] *= 1000  # in a small unit errors are large, and no worse
    sae.fit(table, y)
    card = report(sae, table, y, cv=3, random_state=0)
    page = check_page(card.html)
    check_markdown(card.markdown)
    mean = card.scores.query("metric == 'MAE'").groupby(["target", "model"])["score"].mean()
    own = mean.xs("this model", level="model")
    ridge = mean.xs("ridge regression", level="model")
    found = [limit for limit in card.limits if "ridge regression is better" in limit]
    assert len(found) == 1
    n, names, worst, error, other = re.search(
        r"For (\d) of 6 targets \((.*)\) ridge regression is better than this model. "
        r"The worst is (t\d): MAE (\S+) against (\S+), worse in 3 of 3 folds.",
        found[0],
    ).groups()
    names = re.split(", | and ", names)
    assert 1 < len(names) == int(n) < 6
    assert worst == (own / ridge)[names].idxmax() != "t5"
    assert (error, other) == (number(own[worst]), number(ridge[worst]))
    table = page.table("Targets of numbers")
    assert list(table.index) == list(y.columns)
    best = mean.drop(["this model", "this model, on rows it learnt from"], level="model")
    assert table["Best baseline"].to_list() == [best[name].idxmin() for name in y.columns]
    is_best = table["Best baseline"] == "ridge regression"
    is_worse = table["This model is"] == "worse"
    assert set(table.index[is_best & is_worse]) == set(names) & set(table.index[is_best])
    text = "".join(page.text)
    assert f"beside ridge regression, not told apart for {6 - int(n)}, worse for {n} of 6" in text
    counts = table["This model is"].value_counts()
    assert f"Not told apart for {counts['not told apart']}, worse for {counts['worse']} of" in text
    assert "For all 6 targets: 60 distinct rows of 60; none occurs twice." in page.text
    assert {f"figure-predictions-{k}" for k in range(6)} < set(page.ids)


def test_statements_together_are_those_of_each_target(X, monkeypatch):
    table, y, sae = many(8, X)
    y.loc[:9, ["t1", "t4"]] = np.nan
    sae.fit(table, y)
    card = report(sae, table, y, cv=4, random_state=0)
    monkeypatch.setattr(_task, "FEW_TARGETS", 8)
    each = [s for s in report(sae, table, y, cv=4, random_state=0).limits if re.match(r"t\d:", s)]
    together = re.findall(r"^For (?:all )?(\d)(?: of 8)? targets", "\n".join(card.limits), re.M)
    alone = [s for s in card.limits if re.match(r"t\d:", s)]
    assert set(alone) < set(each)
    assert sum(map(int, together)) + len(alone) == len(each)
    said = "For all 8 targets folds hold out fewer than 20 known values. The worst is t1: folds"
    assert said in "\n".join(card.limits)
    assert "For 2 of 8 targets (t1 and t4) the target is missing in some rows." in "\n".join(
        card.limits
    )
    kinds = [s.partition(") ")[2].partition(".")[0] for s in card.limits if s.startswith("For ")]
    assert len(kinds) == len(set(kinds))


def test_few_targets_are_spoken_of_one_by_one(X):
    table, y, sae = many(4, X)
    card = report(sae, table, y, cv=3, random_state=0)
    assert not [limit for limit in card.limits if limit.startswith("For ")]
    text = Parser(card.html).text
    assert {f"{name}, beside baselines" for name in y.columns} < set(text)


def test_figures_of_very_many_targets_are_of_the_worst(X):
    table, y, sae = many(13, X)
    card = report(sae, table, y, cv=2, random_state=0)
    page = check_page(card.html)
    r2 = card.scores.query("metric == 'R²' and model == 'this model'")
    worst = r2.groupby("target")["score"].mean().nsmallest(4).index
    expected = {f"figure-predictions-{name[1:]}" for name in worst}
    assert expected == {name for name in page.ids if name.startswith("figure-predictions")}
    assert len(page.table("Intervals of 90 %")) == 13


def test_baselines_of_many_targets_are_those_of_each(X):
    table, y, sae = many(3, X)  # noise asks for another strength of ridge than a line
    y.loc[:9, "t2"] = np.nan
    sae.fit(table, y)
    folds = list(KFold(3, shuffle=True, random_state=5).split(table))
    card = report(sae, table, y, cv=folds, random_state=0)
    for name in y.columns:
        ridge, boosting, median = [], [], []
        for train, test in folds:
            train, test = (part[y[name].iloc[part].notna()] for part in (train, test))
            (A, a), (B, b) = ((table.iloc[p], y[name].iloc[p]) for p in (train, test))
            line = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-3, 3, 13)))
            ridge.append(mean_absolute_error(b, line.fit(A, a).predict(B)))
            trees = HistGradientBoostingRegressor().fit(A, a)
            boosting.append(mean_absolute_error(b, trees.predict(B)))
            median.append(np.mean(np.abs(b - a.median())))
        assert_allclose(scores_of(card, "ridge regression", "MAE", name), ridge)
        assert_allclose(scores_of(card, "gradient boosting", "MAE", name), boosting)
        assert_allclose(scores_of(card, "median", "MAE", name), median)


def test_baselines_have_the_columns_up_to_their_stage():
    rng = np.random.RandomState(0)
    tables = [
        pd.DataFrame(rng.normal(size=(40, 2)), columns=list(names)) for names in ("ab", "cd")
    ]
    both = pd.concat(tables, axis=1)
    y = [both.sum(axis=1).rename("first"), (both["a"] - both["d"]).rename("last")]
    nae = NestedAutoencoder(n_components=2, max_iter=1, random_state=0).fit(tables, y)
    folds = list(KFold(2, shuffle=True, random_state=5).split(both))
    card = report(nae, tables, y, cv=folds, random_state=0)
    for table, target in ((tables[0], y[0]), (both, y[1])):
        line = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-3, 3, 13)))
        predicted = cross_val_predict(line, table, target, cv=folds)
        expected = [mean_absolute_error(target[test], predicted[test]) for _, test in folds]
        assert_allclose(scores_of(card, "ridge regression", "MAE", target.name), expected)


def test_more_targets_need_no_more_predictions_or_lines(X, monkeypatch):
    predict, counts = SupervisedAutoencoder.predict, []
    fit, n_lines = RidgeCV.fit, []

    def counted_fit(self, *args, **kwargs):
        n_lines[-1] += 1
        return fit(self, *args, **kwargs)

    def counted(self, X, *args, **kwargs):
        counts[-1] += len(X) > 1
        return predict(self, X, *args, **kwargs)

    monkeypatch.setattr(SupervisedAutoencoder, "predict", counted)
    monkeypatch.setattr(RidgeCV, "fit", counted_fit)
    for n_targets in (1, 6):
        table, y, sae = many(n_targets, X)
        counts.append(0)
        n_lines.append(0)
        report(sae, table, y, cv=3, random_state=0)
    assert counts == [6, 6]  # rows held out, and rows learnt from, of each fold
    assert n_lines == [3, 3]


def test_baselines_of_few_rows_take_one_thread(sae, X, y, monkeypatch):
    fit, seen = HistGradientBoostingRegressor.fit, []

    def threads():
        return {p["num_threads"] for p in threadpool_info() if p["user_api"] == "openmp"}

    def watched(self, *args, **kwargs):
        seen.append(threads())
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(HistGradientBoostingRegressor, "fit", watched)
    with threadpool_limits(2, "openmp"):
        report(sae, X, y, cv=2, random_state=0)
        assert threads() == {2}
    assert seen == [{1}, {1}]


def test_without_a_target(X, rendered):
    card = report(SupervisedAutoencoder(**TINY).fit(X), X, cv=2, random_state=0)
    page = check_page(card.html)
    assert not len(card.scores)
    assert "figure-predictions-0" not in page.ids
    assert "figure-latents-0-0" in page.ids
    assert card.title == "SupervisedAutoencoder"
    check_markdown(card.markdown)


def test_a_pipeline(X, y):
    table = X[["energy", EVIL]]
    model = make_pipeline(StandardScaler(), SupervisedAutoencoder(**TINY)).fit(table, y)
    card = report(model, table, y, cv=2, random_state=0)
    page = check_page(card.html)
    assert card.title == "StandardScaler → SupervisedAutoencoder of gap"
    assert (page.table("All parameters").index == "step StandardScaler").any()
    assert "Reconstruction of each column" in [t["caption"][:29] for t in page.tables]


def test_a_list_of_tables_is_the_one_table(rendered):
    tables, targets = two_scales()
    groups = [None, np.resize(["u", "v", "w"], 30)]
    nae = NestedAutoencoder(n_components=2, max_iter=3, random_state=0).fit(tables, targets)
    units = {"gap": "eV", "a": "Å"}
    card = report(nae, tables, targets, cv=3, groups=groups, units=units, random_state=0)
    page = check_page(card.html)
    check_markdown(card.markdown)
    assert set(card.scores["target"]) == {"gap", "pce"}
    assert "each scale&#x27;s rows dealt out on their own" in card.html
    assert "of whole groups (43 of them)" in card.html  # 40 rows without one
    assert page.table("Targets").loc["gap (eV)"].to_list()[:3] == ["scale0", "40", "0"]
    assert {"figure-chain", "figure-latents-0-0", "figure-latents-1-0"} < set(page.ids)

    X, y = stack_scales(tables, targets)
    of_rows = pd.Series(groups[1], index=range(30))
    stacked = [of_rows.get(i) if scale == "scale1" else None for scale, i in X.index]
    other = report(nae, X, y, cv=3, groups=stacked, units=units, random_state=0)
    assert other.html == card.html


def test_scores_of_a_chain():
    X, y = stack_scales(*two_scales())
    nae = NestedAutoencoder(n_components=2, max_iter=3, random_state=0).fit(X, y)
    cv = ScaleKFold(3, shuffle=True, random_state=7)
    card = report(nae, X, y, cv=cv, random_state=0)
    for k, name in enumerate(["gap", "pce"]):
        expected = []
        for train, test in cv.split(X, y):
            fitted = clone(nae).fit(X.iloc[train], y.iloc[train])
            known = y.iloc[test, k].notna().to_numpy()
            predicted = fitted.predict(X.iloc[test])[known, k]
            expected.append(mean_absolute_error(y.iloc[test, k][known], predicted))
        assert_allclose(scores_of(card, "this model", "MAE", name), expected, rtol=1e-6)
    # the device's rows say nothing of the gap: its baseline has 40 rows less a fold
    train, test = next(cv.split(X, y))
    gap = y[("scale0", "gap")]
    median = np.nanmedian(gap.iloc[train])
    expected = np.nanmean(np.abs(gap.iloc[test] - median))
    assert scores_of(card, "median", "MAE", "gap")[0] == pytest.approx(expected)


def test_a_chain_that_ends_in_classes_with_other_transformers():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(50, 5)), columns=list("abcde"))
    y = pd.Series(rng.randint(3, size=50)).astype("Int64").rename("phase")
    y[:5] = pd.NA
    nae = NestedAutoencoder(
        [
            ("first", PCA(1), ["a", "b"]),
            ("last", SupervisedAutoencoderClassifier(**TINY), ["d", "e"]),
        ]
    )
    card = report(nae.fit(X, y), X, y, cv=3, random_state=0)
    page = check_page(card.html)
    assert page.table("Classes of phase").index.to_list() == ["0", "1", "2", "(missing)"]
    assert {"figure-latents-0-0", "figure-latents-1-0", "figure-history-1"} < set(page.ids)
    assert "figure-history-0" not in page.ids
    row = page.table("Columns").loc["c"]  # of no stage
    assert row["Stage"] == "none"
    assert "log loss" in set(card.scores["metric"])


def test_categories_that_are_numbers(X, y):
    table = pd.DataFrame({"site": np.resize([1, 2, 3], 60), "energy": X["energy"]})
    sae = SupervisedAutoencoder(categorical_features=["site"], **TINY).fit(table, y)
    page = check_page(report(sae, table, y, cv=2, random_state=0).html)
    row = page.table("Columns").loc["site"]
    assert row["Kind"] == "categories"
    assert row["Values"].startswith("1 (20), 2 (20), 3 (20)")
    assert page.table("Reconstruction of each column").loc["site", "Commonest"] == "33 %"


def test_folds_that_overlap_or_leave_rows_out(sae, X, y):
    cv = ShuffleSplit(3, test_size=0.2, random_state=0)
    card = report(sae, X, y, cv=cv, random_state=0)
    check_page(card.html)
    assert card.scores["fold"].nunique() == 3
    assert "ShuffleSplit(" in card.html
    check_page(report(sae, X, y, cv=[(np.arange(40), np.arange(40, 60))], random_state=0).html)


def test_folds_may_be_masks_of_rows(sae, X, y):
    rows = np.arange(60)
    folds = [(rows % 3 != k, rows % 3 == k) for k in range(3)]
    card = report(sae, X, y, cv=folds, random_state=0)
    positions = [(rows[train], rows[test]) for train, test in folds]
    expected = report(sae, X, y, cv=positions, random_state=0)
    pd.testing.assert_frame_equal(card.scores, expected.scores)
    assert card.html == expected.html


def test_a_fold_without_a_known_target_has_no_score(X, y):
    target = y.mask(np.arange(60) < 20)
    sae = SupervisedAutoencoder(**TINY).fit(X, target)
    rows = np.arange(60)
    folds = [(rows[20:], rows[:20]), (rows[:40], rows[40:])]
    card = report(sae, X, target, cv=folds, random_state=0)
    assert set(card.scores.query("model == 'this model'")["fold"]) == {1}


def test_columns_by_the_dozen(y):
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(60, 30))).add_prefix("c")
    X["many"] = pd.Categorical([f"kind {i}" for i in range(60)])
    card = report(SupervisedAutoencoder(**TINY).fit(X, y), X, y, cv=2, random_state=0)
    page = check_page(card.html)
    assert len(page.table("Columns")) == len(page.table("Reconstruction of each column")) == 31
    assert "The 12 of 31 columns that come back worst" in card.html
    said = "\n".join(card.limits)
    assert re.search("In the folds a warning was given. UnseenCategoryWarning: .*'many'", said)


# -- what it leaves as it was


def test_nothing_is_left_behind(sae, X, y, rendered):
    figure = plt.figure()
    numpy_state, torch_state = np.random.get_state(), torch.get_rng_state()
    weights = [p.clone() for p in sae.net_.module_.parameters()]
    before = X.copy()
    with plt.rc_context({"axes.facecolor": "black", "font.size": 30}):
        settings = dict(plt.rcParams)
        first = report(sae, X, y, cv=2, random_state=0)
        assert dict(plt.rcParams) == settings
    second = report(sae, X, y, cv=2, random_state=0)
    assert first.html == second.html  # whatever the user's style is
    assert plt.get_fignums() == [figure.number]
    plt.close(figure)
    assert_allclose(np.random.get_state()[1], numpy_state[1])
    assert torch.equal(torch.get_rng_state(), torch_state)
    for now, then in zip(sae.net_.module_.parameters(), weights, strict=True):
        assert torch.equal(now, then)
    pd.testing.assert_frame_equal(X, before)


# -- bad input


def test_errors_of_estimators(sae, X, y):
    with pytest.raises(NotFittedError):
        report(SupervisedAutoencoder(), X, y)
    with pytest.raises(NotFittedError):
        report(make_pipeline(StandardScaler(), SupervisedAutoencoder()), X, y)
    line = LinearRegression().fit(X[["energy"]], y)
    with pytest.raises(TypeError, match=r"'estimator' parameter .* got LinearRegression"):
        report(line, X[["energy"]], y)
    with pytest.raises(ValueError, match="fitted without a target: fit it with y, or pass"):
        report(SupervisedAutoencoder(**TINY).fit(X), X, y)
    with pytest.raises(ValueError, match=r"fitted to a target of 1 column\(s\), but y is None"):
        report(sae, X)
    with pytest.raises(ValueError, match=r"y has 2 column\(s\), but the .* was fitted to 1"):
        report(sae, X, np.column_stack([y, y]))


def test_errors_of_tables(sae, X, y):
    with pytest.raises(ValueError, match="X and y must have as many rows, got 60 and 59"):
        report(sae, X, y[1:])
    with pytest.raises(ValueError, match="X and groups must have as many rows, got 60 and 3"):
        report(sae, X, y, groups=[1, 2, 3])
    with pytest.raises(ValueError, match="feature names"):
        report(sae, X.rename(columns={"energy": "other"}), y)
    with pytest.raises(ValueError, match="X must have two dimensions"):
        report(sae, np.ones(3), y)
    with pytest.raises(TypeError, match=r"'units' parameter .* got 'eV'"):
        report(sae, X, y, units="eV")
    tables, targets = two_scales()
    nae = NestedAutoencoder(n_components=2, max_iter=1, random_state=0).fit(tables, targets)
    with pytest.raises(ValueError, match="list of 1 tables, but the estimator has 2 stages"):
        report(nae, tables[:1], targets[:1])
    with pytest.raises(ValueError, match=r"'groups' parameter .* lengths \[40, 30\]"):
        report(nae, tables, targets, groups=np.arange(70))
    with pytest.raises(ValueError, match=r"lengths \[40, 30\]; got 3 in place of 30"):
        report(nae, tables, targets, groups=[None, [1, 2, 3]])


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"cv": 1}, ValueError, "at least 2 folds, got 1"),
        ({"cv": 61}, ValueError, "asks for 61 folds, but X has 60 rows"),
        ({"cv": "five"}, TypeError, "'cv' parameter must be .* got 'five'"),
        ({"cv": []}, ValueError, r"gives no fold: \[\]"),
        (
            {"cv": 4, "groups": np.resize([0, 1, 2], 60)},
            ValueError,
            "asks for 4 folds, but groups has 3 distinct groups",
        ),
    ],
)
def test_errors_of_folds(sae, X, y, parameters, error, message):
    with pytest.raises(error, match=message):
        report(sae, X, y, **parameters)


def test_too_few_known_targets(X, y):
    target = y.where(np.arange(60) < 4)
    sae = SupervisedAutoencoder(**TINY).fit(X, target)
    with pytest.raises(ValueError, match="5 folds, but the target 'gap' has 4 known values"):
        report(sae, X, target)


def test_folds_that_hold_out_no_known_target(X, y):
    target = y.mask(np.arange(60) < 30)
    sae = SupervisedAutoencoder(**TINY).fit(X, target)
    rows = np.arange(60)
    said = "the target 'gap' is known, got 1 fold with 20 held-out rows and no known value"
    with pytest.raises(ValueError, match=said):
        report(sae, X, target, cv=[(rows[20:], rows[:20])])
    # of a chain it is enough that one target is never held out
    table, both = stack_scales(*two_scales())
    nae = NestedAutoencoder(n_components=2, max_iter=1, random_state=0).fit(table, both)
    is_device = table.index.get_level_values("scale") == "scale1"
    crystals, devices = np.flatnonzero(~is_device), np.flatnonzero(is_device)
    folds = [
        (np.r_[crystals, devices[10:]], devices[:10]),
        (np.r_[crystals, devices[:10]], devices[10:]),
    ]
    said = "the target 'gap' is known, got 2 folds with 30 held-out rows and no known value"
    with pytest.raises(ValueError, match=said):
        report(nae, table, both, cv=folds)


# -- how numbers are written


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (number(0.0123456), "0.0123"),
        (number(-12345.6), "−12346"),  # noqa: RUF001
        (number(1.5e9), "1.50e9"),
        (number(2e-7), "2.00e−7"),  # noqa: RUF001
        (number(np.nan), "–"),  # noqa: RUF001
        (number(0), "0"),
        (mean_and_sd([1.0, 2.0, 3.0]), "2.00 ± 1.00"),
        (mean_and_sd([44.61, 41.0, 48.2]), "44.6 ± 3.6"),
        (mean_and_sd([0.5], 3), "0.500"),
        (mean_and_sd([np.nan]), "–"),  # noqa: RUF001
        (mean_and_sd([0.0, 0.0]), "0 ± 0"),
        (mean_and_sd([1e9, 3e9]), "2.00e9 ± 1.4e9"),
        (fixed(-0.25), "−0.250"),  # noqa: RUF001
        (percent(0), "0 %"),
        (percent(1), "100 %"),
        (percent(0.0001), "< 0.1 %"),
        (percent(0.99999), "> 99.9 %"),
        (percent(0.053), "5.3 %"),
        (percent(0.5), "50 %"),
        (count(1, "row"), "1 row"),
        (count(1200, "class", "classes"), "1,200 classes"),
    ],
)
def test_numbers_are_written_for_readers(written, expected):
    assert written == expected


def test_folds_of_groups_are_those_of_scikit_learn(sae, X, y):
    groups = np.resize(np.arange(20), 60)
    card = report(sae, X, y, cv=GroupKFold(4), groups=groups, random_state=0)
    predicted = cross_val_predict(clone(sae), X, y, cv=GroupKFold(4), groups=groups)
    expected = [
        mean_absolute_error(y[test], predicted[test])
        for _, test in GroupKFold(4).split(X, y, groups)
    ]
    assert_allclose(scores_of(card, "this model", "MAE"), expected, rtol=1e-6)


def test_a_target_of_none_of_the_classes(X, y):
    labels = np.where(y > y.mean(), "wide", "narrow")
    model = SupervisedAutoencoderClassifier(2, max_iter=2, random_state=0).fit(X, labels)
    with pytest.raises(ValueError, match=r"none of the classes .* \['narrow', 'wide'\]"):
        report(model, X, y, cv=2)
