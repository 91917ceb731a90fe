"""Which tables and figures stand on the page."""

import re

import numpy as np
import pandas as pd
import pytest
from cases.report import TINY, Parser, check_markdown, check_page, many, with_arrays
from sklearn.base import clone
from sklearn.model_selection import KFold

from sknestedae import SupervisedAutoencoder, report
from sknestedae._report._content import percent


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


def test_an_ensemble_shows_its_spread(X, y, rendered):
    sae = SupervisedAutoencoder(n_members=3, bootstrap=True, **TINY).fit(X, y)
    folds = list(KFold(3, shuffle=True, random_state=5).split(X))
    page = check_page(report(sae, X, y, cv=folds, random_state=0).html)
    inside = []
    for train, test in folds:
        mean, sd = clone(sae).fit(X.iloc[train], y[train]).predict(X.iloc[test], return_std=True)
        inside += (np.abs(y[test] - mean) <= 2 * sd).to_list()
    row = page.table("gap: prediction intervals by the spread").iloc[1]
    assert row["Rows within, held out"] == percent(np.mean(inside))


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


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("shape", [None, (5, 6)])
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
