"""The page says what speaks against the model, and does not contradict itself."""

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
    scores_of,
    two_scales,
    verdicts_of,
)
from sklearn.frozen import FrozenEstimator

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    report,
)
from sknestedae._report import _task
from sknestedae._report._content import fixed, number
from sknestedae._report._facts import Intervals, interval_of_gain, judge
from sknestedae._report._folds import AS_COLUMN
from sknestedae._report._limits import _of_calibration
from sknestedae._report._task import Target
from sknestedae.datasets import fetch_perovskites
from sknestedae.model_selection import BatchedGridSearchCV


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
    sae = SupervisedAutoencoder(predictor="network", **TINY).fit(table, target)
    card = report(sae, table, target, random_state=0)
    (said,) = [s for s in card.limits if "ridge regression is better than this model" in s]
    own, ridge = (scores_of(card, m, "MAE", "line") for m in ("this model", "ridge regression"))
    errors = f"{number(own.mean())} against {number(ridge.mean())}"
    assert f"MAE {errors}, worse in 5 of 5 folds" in said
    (verdict,) = [t for t in Parser(card.html).text if t.startswith("By MAE this model is worse")]
    assert f"ridge regression ({errors}, worse in 5 of 5 folds)" in verdict
    assert "Worse than ridge regression, the best of them" in card.html


# -- one rule says which model is better


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


@pytest.fixture(scope="module")
def chain():
    tables, y = cheap_and_dear()
    return NestedAutoencoder(n_components=2, max_iter=1, random_state=0).fit(tables, y)


@pytest.mark.parametrize("verdict", [-1, 0, 1])
def test_a_baseline_with_the_same_information_is_named(chain, with_scores, verdict):
    tables, y = cheap_and_dear()
    own = np.array([1.0, 1.1, 1.2])
    line, forest = own + {-1: -0.5, 0: np.array([-0.1, 0.1, 0]), 1: 0.5}[verdict], own + 1
    scores = {
        ("this model", "MAE"): own,
        (f"{AS_COLUMN}ridge regression", "MAE"): line,
        (f"{AS_COLUMN}extra-trees forest", "MAE"): forest,
    }
    card = with_scores(chain, tables, y, scores, cv=3)
    name = "ridge regression with the predicted property as a column"
    told = [limit for limit in card.limits if name in limit]
    text = "".join(Parser(card.html).text)
    if verdict < 0:
        assert told[0].startswith(f"dear: {name} is better than this model: MAE 1.10 against 0.6")
        assert told[0].endswith("the same information as the chain: nesting does not pay here.")
        assert f"Better than the chain, with the same information: {name}." in text
        assert f"Worse than {name}, the best of them" in text
    elif not verdict:
        assert told[0].startswith(f"dear: this model and {name} cannot be told apart")
        assert f"is called better; not told apart from it: {name}." in text
    else:
        assert not told
        assert "No baseline with the same information as the chain is called better." in text
    assert "does not pay" in "\n".join(card.limits) or verdict >= 0


def test_a_gaussian_process_is_not_said_to_overfit(X):
    rng = np.random.RandomState(0)
    table, noise = rng.normal(size=(40, 4)), rng.normal(scale=1e-3, size=40)
    y = np.sin(2 * table[:, 0]) * table[:, 1] + noise
    sae = SupervisedAutoencoder(predictor="gaussian_process", **TINY).fit(table, y)
    card = report(sae, table, y, cv=3, random_state=0)
    learnt = scores_of(card, "this model, on rows it learnt from", "MAE", "y")
    assert (1.5 * learnt < scores_of(card, "this model", "MAE", "y")).all()
    assert "overfits" not in "\n".join(card.limits)


def test_a_gaussian_process_that_is_too_sure_is_told():
    target = Target("gap", "eV", 0, None, None, {}, np.arange(3.0))
    intervals = Intervals(np.array([0.68, 0.95, 0.997]), np.array([0.3, 0.5, 0.6]), *[None] * 2)
    (finding,) = _of_calibration(target, intervals, None, True)
    said = "gap: the Gaussian process is surer than it is right: 50 % of the held-out rows lie"
    assert finding.said.startswith(said)
    assert "± 2 standard deviations it gives, where 95 %" in finding.said
    (finding,) = _of_calibration(target, intervals, None, False)
    assert "members agree more than they are right" in finding.said


def test_one_fold_has_no_verdict(sae, X, y):
    card = report(sae, X, y, cv=[(np.arange(40), np.arange(40, 60))], random_state=0)
    (said,) = [limit for limit in card.limits if "one fold cannot tell" in limit]
    assert said.startswith("gap: By MAE, one fold cannot tell whether this model is better than")
    assert all(name in said for name in ("the median (", "ridge regression (", "boosting ("))
    assert "One fold cannot tell which is better. The best of them is" in card.html
    for word in ("Better than", "Worse than", "this model is worse", "is better than this"):
        assert word not in card.html


# -- overfitting, data and settings


def test_a_model_that_learns_by_heart_is_told(X):
    rng = np.random.RandomState(0)
    table, noise = rng.normal(size=(40, 4)), rng.normal(size=40)
    settings = {"hidden_layer_sizes": (200,), "prediction_weight": 50, "learning_rate_init": 0.02}
    sae = SupervisedAutoencoder(8, max_iter=200, alpha=0, random_state=0, **settings)
    card = report(sae.fit(table, noise), table, noise, random_state=0)
    said = "\n".join(card.limits)
    assert re.search(r"y: the model overfits: MAE \S+ on the rows it learnt from, \S+ on", said)
    assert "Early stopping was not asked for" in said
    assert "R² is below 0" in said
    n_weights = sum(p.numel() for p in sae.net_.module_.parameters())
    assert f"There are {n_weights:,} parameters to learn and 40 distinct rows" in said


def test_columns_that_the_latents_lose_are_told():
    rng = np.random.RandomState(0)
    one = rng.normal(size=80)
    X = pd.DataFrame({f"kept{k}": one + 0.1 * rng.normal(size=80) for k in range(6)})
    X["lost"] = rng.normal(size=80)  # independent of the others; one latent cannot keep both
    sae = SupervisedAutoencoder(1, max_iter=60, alpha=0.1, random_state=0)
    said = "\n".join(report(sae.fit(X, one), X, one, random_state=0).limits)
    assert "no better than as their mean (R² not above 0, on rows held out): lost. Exp" in said


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


def test_few_rows_of_a_class_are_told(X):
    labels = pd.Series(["common"] * 55 + ["rare"] * 5, name="kind")
    sae = SupervisedAutoencoderClassifier(**TINY).fit(X, labels)
    said = "\n".join(report(sae, X, labels, random_state=0).limits)
    assert "classes with fewer than 10 rows: rare (5)" in said
    assert "92 % of the rows are of the class common" in said


def test_where_the_settings_come_from_is_told(X, y):
    sae = SupervisedAutoencoder(**{**TINY, "predictor": "network", "random_state": None})
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


# -- many targets are spoken of together


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
