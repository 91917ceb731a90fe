"""Tests of ComponentsDisplay: scores against the number of latents, and the one that is enough."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import (
    NestedAutoencoder,
    ScaleKFold,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    stack_scales,
)
from sknestedae.plotting import ComponentsDisplay
from sknestedae.plotting._components import one_standard_error

TINY = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
NUMBERS = (1, 2, 4)


@pytest.fixture(scope="module")
def Xy():
    X = np.random.RandomState(0).normal(size=(60, 4))
    return X, X[:, 0] + 0.1 * X[:, 1]


@pytest.fixture(scope="module")
def sae():
    return SupervisedAutoencoder(**TINY)


@pytest.fixture(scope="module")
def search(sae, Xy):
    sae = clone(sae).set_params(predictor="network")
    return GridSearchCV(sae, {"n_components": NUMBERS}, cv=3).fit(*Xy)


# -- scores


def test_scores_are_those_of_a_search(sae, Xy, search):
    display = ComponentsDisplay.from_estimator(sae, *Xy, n_components=NUMBERS, cv=3)
    assert sae.predictor == "auto"  # whose process would predict the same from any latents
    assert list(display.scores) == ["reconstruction", "prediction"]
    results = search.cv_results_
    folds = np.column_stack([results[f"split{i}_test_score"] for i in range(3)])
    assert_allclose(display.scores["prediction"], folds, rtol=1e-6)  # trained at once
    summary = display.summary_["prediction"]
    assert summary.index.to_list() == list(NUMBERS)
    assert_allclose(summary["mean"], folds.mean(axis=1), rtol=1e-6)
    assert_allclose(summary["sem"], folds.std(axis=1, ddof=1) / np.sqrt(3), rtol=1e-6)
    train, test = next(KFold(3).split(Xy[0]))
    first = SupervisedAutoencoder(1, **TINY).fit(Xy[0][train], Xy[1][train])
    expected = first.score(Xy[0][test])
    assert display.scores["reconstruction"][0, 0] == pytest.approx(expected, rel=1e-6)


def test_without_a_target_there_is_one_panel(sae, Xy):
    display = ComponentsDisplay.from_estimator(sae, Xy[0], n_components=[2, 1], cv=2)
    assert len(display.axes_) == len(display.figure_.axes) == 1
    assert display.axes_[0].get_ylabel() == "Reconstruction score"
    assert_array_equal(display.n_components, [1, 2])


def test_the_known_dimension_is_where_the_reconstruction_saturates():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(150, 3)) @ rng.normal(size=(3, 8)) + 0.05 * rng.normal(size=(150, 8))
    linear = SupervisedAutoencoder(
        hidden_layer_sizes=(), alpha=0, max_iter=200, learning_rate_init=0.03, random_state=0
    )
    display = ComponentsDisplay.from_estimator(linear, X, n_components=[1, 2, 3, 4], cv=2)
    gains = display.summary_["reconstruction", "mean"].diff()
    assert gains[2] > 0.1
    assert gains[3] > 0.03
    assert gains[4] < 0.1 * gains[3]  # only noise is left


def test_a_chain_by_the_latents_of_one_stage():
    rng = np.random.RandomState(0)
    tables = [pd.DataFrame(rng.normal(size=(30, 2)), columns=list("ab"))]
    tables.append(pd.DataFrame(rng.normal(size=(24, 3)), columns=list("abc")))
    targets = [tables[0]["a"], tables[1]["c"]]
    X, y = stack_scales(tables, targets, names=["inner", "outer"])
    inner, outer = SupervisedAutoencoder(2, **TINY), SupervisedAutoencoder(2, **TINY)
    chain = NestedAutoencoder([("inner", inner, "inner"), ("outer", outer, "outer")])
    display = ComponentsDisplay.from_estimator(
        chain, X, y, n_components=[1, 2], param="inner__n_components", cv=ScaleKFold(2)
    )
    assert display.axes_[0].get_xlabel() == "Number of latents (inner)"
    train, test = next(ScaleKFold(2).split(X, y))
    networks = dict.fromkeys(("inner__predictor", "outer__predictor"), "network")
    chain.set_params(inner__n_components=1, **networks).fit(X.iloc[train], y.iloc[train])
    expected = chain.score(X.iloc[test], y.iloc[test])
    assert display.scores["prediction"][0, 0] == pytest.approx(expected, rel=1e-6)
    with pytest.raises(TypeError, match=r"'X' parameter .* must be one table, got 2 tables"):
        ComponentsDisplay.from_estimator(chain, tables, targets)


def test_pipelines_classifiers_groups_and_scorers(Xy):
    X, y = Xy
    pipeline = make_pipeline(StandardScaler(), SupervisedAutoencoderClassifier(**TINY))
    groups = np.arange(60) // 6
    display = ComponentsDisplay.from_estimator(
        pipeline,
        X,
        y > 0,
        n_components=[1, 2],
        param="supervisedautoencoderclassifier__n_components",
        cv=GroupKFold(2),
        groups=groups,
    )
    assert display.scores["prediction"].max() <= 1
    error = make_scorer(mean_absolute_error, greater_is_better=False)
    display = ComponentsDisplay.from_estimator(
        SupervisedAutoencoder(**TINY),
        X,
        y,
        n_components=[1, 2],
        cv=2,
        scoring={"R²": "r2", "minus MAE": error},
    )
    assert [ax.get_ylabel() for ax in display.axes_] == ["R² score", "Minus MAE score"]
    assert (display.scores["minus MAE"] < 0).all()


# -- from a search


def test_a_search_gives_its_scores(search):
    display = ComponentsDisplay.from_search(search)
    results = search.cv_results_
    assert_allclose(display.summary_["test", "mean"], results["mean_test_score"])


def test_each_number_has_its_best_candidate(Xy):
    X, y = Xy
    grid = {"pca__n_components": [3, 1], "ridge__alpha": [1e-3, 1e5]}
    model = make_pipeline(PCA(), Ridge())
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    display = ComponentsDisplay.from_search(search, param="pca__n_components")
    table = pd.DataFrame(search.cv_results_)
    best = table.groupby("param_pca__n_components")["mean_test_score"].max()
    assert_allclose(display.summary_["test", "mean"], best.sort_index())
    assert display.axes_[0].get_xlabel() == "Number of latents (pca)"


def test_a_search_over_some_candidates_only(sae, Xy):
    grid = [{"n_components": [1, 2]}, {"alpha": [0.1]}]
    search = GridSearchCV(sae, grid, cv=2, scoring=["r2"], refit=False).fit(*Xy)
    assert list(ComponentsDisplay.from_search(search).scores) == ["r2"]
    drawn = RandomizedSearchCV(
        sae, {"n_components": [1, 2, 3]}, n_iter=3, cv=2, random_state=0
    ).fit(*Xy)
    assert ComponentsDisplay.from_search(drawn).summary_.index.to_list() == [1, 2, 3]


# -- the rule


@pytest.mark.parametrize(
    ("mean", "sem", "index"),
    [
        ([0.1, 0.5, 0.9], [0.1, 0.1, 0.1], 2),
        ([0.1, 0.85, 0.9], [0.1, 0.01, 0.06], 1),  # of the best one, not of its own
        ([0.1, 0.85, 0.9], [0.1, 0.06, 0.01], 2),
        ([0.9, 0.1, 0.95], [0.0, 0.0, 0.05], 0),
        ([0.9, 0.5, 0.9], [0.0, 0.0, 0.0], 0),
        ([np.nan, 0.8, 0.9], [np.nan, 0.1, 0.1], 1),
    ],
)
def test_the_smallest_within_one_standard_error_of_the_best(mean, sem, index):
    found, bound = one_standard_error(np.array(mean), np.array(sem))
    assert found == index
    best = np.nanargmax(mean)
    assert bound == pytest.approx(mean[best] - sem[best])


def test_the_chosen_number_is_marked():
    scores = {"test": np.array([[0.1, 0.3], [0.8, 0.9], [0.85, 0.95]])}
    display = ComponentsDisplay([1, 2, 16], scores).plot()
    assert display.chosen_ == {"test": 2}
    assert_allclose(display.points_[0].get_xydata(), [[2, 0.85]])
    assert display.axes_[0].get_title() == "2 within one standard error of the best"
    assert_allclose(display.axes_[0].lines[-1].get_ydata(), 0.9 - 0.05)
    assert [t.get_text() for t in display.axes_[0].get_xticklabels()] == ["1", "2", "16"]
    assert display.axes_[0].get_xscale() == "log"


def test_missing_scores_are_left_out():
    scores = {"test": np.array([[np.nan, 0.3], [0.8, 0.9], [0.1, 0.2]])}
    assert ComponentsDisplay([1, 2, 3], scores).plot().chosen_ == {"test": 2}
    with pytest.raises(ValueError, match="score 'test' is missing or infinite at all"):
        ComponentsDisplay([1, 2], {"test": np.full((2, 2), np.nan)}).plot()


# -- keywords, axes, errors


def test_draws_on_the_axes_passed_with_keywords(search):
    figure, ax = plt.subplots()
    display = ComponentsDisplay.from_search(
        search, ax=ax, line_kwargs={"c": "red", "lw": 3}, point_kwargs={"ms": 4}
    )
    assert display.figure_ is figure
    line = display.lines_[0].lines[0]
    assert (line.get_color(), line.get_linewidth()) == ("red", 3)
    assert (display.points_[0].get_color(), display.points_[0].get_markersize()) == ("red", 4)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_components": [3]}, ValueError, r"at least two positive int, got \[3\]"),
        ({"n_components": []}, ValueError, r"at least two positive int, got \[\]"),
        ({"n_components": [0, 1]}, ValueError, r"positive int, got \[0, 1\]"),
        ({"n_components": [[1, 2], [2, 2]]}, ValueError, r"positive int, got \[\[1, 2\]"),
        ({"param": "crystal__n_components"}, ValueError, "'param' .* got 'crystal__n_comp"),
        ({"scoring": "r2"}, TypeError, "'scoring' parameter must map names .* got 'r2'"),
    ],
)
def test_errors_say_what_is_wrong(sae, Xy, parameters, error, message):
    with pytest.raises(error, match=message):
        ComponentsDisplay.from_estimator(sae, *Xy, **{"n_components": [1, 2], **parameters})


def test_the_error_of_a_pipeline_names_the_parameter_of_its_step(sae, Xy):
    model = make_pipeline(StandardScaler(), sae)
    with pytest.raises(ValueError, match=r"'n_components'. Try '(\w+)'\.$") as caught:
        ComponentsDisplay.from_estimator(model, *Xy, n_components=[1, 2])
    assert str(caught.value).split("'")[-2] == "supervisedautoencoder__n_components"


def test_errors_of_searches_and_scores(sae, search):
    with pytest.raises(TypeError, match="must have cv_results_ and n_splits_"):
        ComponentsDisplay.from_search(sae)
    with pytest.raises(ValueError, match=r"searched over, \['n_components'\], got 'alpha'"):
        ComponentsDisplay.from_search(search, param="alpha")
    with pytest.raises(ValueError, match=r"'test' must be of shape \(2, n_splits\).* \(2, 1\)"):
        ComponentsDisplay([1, 2], {"test": [[1], [2]]}).plot()
    with pytest.raises(ValueError, match="an axes for each of the 1"):
        ComponentsDisplay.from_search(search, ax=[])
