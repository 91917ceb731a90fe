"""Which tables and figures stand on the page."""

import re

import numpy as np
import pandas as pd
import pytest
from cases.report import (
    TINY,
    Parser,
    cheap_and_dear,
    check_markdown,
    check_page,
    many,
    with_arrays,
)
from sklearn.base import clone
from sklearn.model_selection import KFold

from sknestedae import (
    NestedAutoencoder,
    ScaleKFold,
    SupervisedAutoencoder,
    report,
    stack_scales,
)
from sknestedae._estimators._nested import std_of_scale
from sknestedae._report._content import NOTHING, fixed, number, percent


def test_columns_that_tell_nothing_are_named():
    rng = np.random.RandomState(0)
    rows = np.arange(40)
    partly = np.where(rows < 5, np.nan, rng.normal(size=40))
    kinds = np.resize(["u", "v", "w"], 40)
    X = pd.DataFrame(
        {
            "order": rows,
            "any order": rng.permutation(40) - 7.0,
            "one left out": np.where(rows > 30, rows + 1, rows),
            "twice": np.maximum(rows, 1),
            "halves": rows / 2,
            "shifted": rows + 0.5,
            "missing": np.where(rows == 3, np.nan, rows),
            "far": np.full(40, 1e18),
            "a": partly,
            "b": partly,
            "elsewhere": np.where(rows == 20, np.nan, partly),
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


def test_an_ensemble_shows_its_spread(X, y):
    sae = SupervisedAutoencoder(predictor="network", n_members=3, bootstrap=True, **TINY).fit(X, y)
    folds = list(KFold(3, shuffle=True, random_state=5).split(X))
    page = check_page(report(sae, X, y, cv=folds, random_state=0).html)
    inside = []
    for train, test in folds:
        mean, sd = clone(sae).fit(X.iloc[train], y[train]).predict(X.iloc[test], return_std=True)
        inside += (np.abs(y[test] - mean) <= 2 * sd).to_list()
    row = page.table("gap: prediction intervals by the spread").iloc[1]
    assert row["Rows within, held out"] == percent(np.mean(inside))


def test_a_chain_tells_what_was_passed_on_and_how_sure_it_is(rendered):
    X, y = stack_scales(*cheap_and_dear())
    stages = [
        ("scale0", SupervisedAutoencoder(predictor="network", **TINY), list("abc")),
        ("scale1", SupervisedAutoencoder(predictor="gaussian_process", **TINY), []),
    ]
    nae = NestedAutoencoder(stages, random_state=0).fit(X, y)
    folds = list(ScaleKFold(3, shuffle=True, random_state=5).split(X, y))
    card = report(nae, X, y, cv=folds, random_state=0, units={"dear": "eV"})
    page = check_page(card.html)
    check_markdown(card.markdown)
    later = y[("scale1", "dear")]
    measured, errors, inside = [], [], []
    for train, test in folds:
        test = test[later.iloc[test].notna()]
        own = clone(nae).fit(X.iloc[train], y.iloc[train])
        measured += own.passed_on(X.iloc[test])["scale0"]["measured"].to_list()
        error = np.abs(own.predict(X.iloc[test])[:, 1] - later.iloc[test])
        errors += error.to_list()
        inside += (error <= 2 * std_of_scale(own, X.iloc[test], 1)).to_list()
    measured, errors = np.array(measured), np.array(errors)
    assert 0 < measured.sum() < len(measured)
    table = page.table("dear: rows by the value that the earlier scale passed on")
    for name, own in (("its measured value", measured), ("a predicted value", ~measured)):
        expected = [str(own.sum()), number(errors[own].mean())]
        assert table.loc[name].to_list() == expected
    assert list(table.columns) == ["Rows held out", "MAE (eV)"]
    row = page.table("dear: prediction intervals by the standard deviation").iloc[1]
    assert row["Rows within, held out"] == percent(np.mean(inside))
    table = page.table("The predictors")
    score = nae["scale1"].leave_one_out_score_
    expected = ["Gaussian process", fixed(score), "the same in 3 of 3"]
    assert table.loc["stage scale1"].to_list() == expected
    assert table.loc["stage scale0"].to_list() == ["network", NOTHING, "the same in 3 of 3"]
    captions = [t["caption"] for t in page.tables]
    assert not [
        c
        for c in captions
        if c.startswith(("cheap: rows by", "cheap: prediction int")) and "residuals" not in c
    ]
    text = "".join(page.text)
    assert "all columns up to its scale are equal" in text
    assert "gives no prediction interval" not in text


def test_a_chain_of_the_paper_has_no_word_of_gaussian_processes():
    X, y = stack_scales(*cheap_and_dear())
    nae = NestedAutoencoder(n_components=2, max_iter=1, passthrough=False, random_state=0)
    card = report(nae.fit(X, y), X, y, cv=2, random_state=0)
    assert "Gaussian process" not in card.html
    assert "rows by what" not in card.html
    assert "The estimator itself gives no prediction interval." in card.html


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
    assert len(page.table("Prediction intervals of 90 %")) == 13


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


@pytest.mark.parametrize(("shape", "n_members"), [(None, 2), ((5, 6), 1)])
def test_an_array_is_told_once(shape, n_members, rendered):
    X, y, sae = with_arrays(target_shape=shape, n_members=n_members)
    y = y.copy()
    y[:20, 3] = np.nan
    X.loc[:4, "p7"] = np.nan
    card = report(sae, X, y, cv=2, random_state=0, units={"y": "eV"})
    page = check_page(card.html)
    check_markdown(card.markdown)
    text = "".join(page.text)
    assert "40 rows with 2 columns of numbers and an array of 5 × 6." in text  # noqa: RUF001
    assert "40 rows, 2 columns and 1 array" in text
    assert f"{percent(5 / (40 * 32))} of the values are missing" in text
    assert list(page.table("Columns").index) == ["centre", "height", "image"]
    said = "24 numbers" if shape is None else "5 × 6"  # noqa: RUF001
    assert list(page.table("Targets").index) == [f"y (eV), {said}"]
    assert {"figure-targets", "figure-predictions-0", "figure-calibration-0"} < set(page.ids)
    assert len([name for name in page.ids if name.startswith("figure-predictions")]) == 1
    assert len(card.limits) < 12
    assert "extra-trees forest stands in for gradient boosting" in text
    assert "A target that is an array is one target" in text
