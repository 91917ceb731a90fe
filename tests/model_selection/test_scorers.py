"""Scores of one stage of a chain."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from cases.dual import dual, two_kinds, without
from cases.scales import cells, crystals
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, mean_absolute_error
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sknestedae import (
    NestedAutoencoder,
    ScaleKFold,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    stack_scales,
    stage_scorer,
    translation_scorer,
)


@pytest.fixture(scope="module")
def fitted():
    X, y = stack_scales(
        [crystals(30), cells(20)],
        [np.arange(30.0), np.where(np.arange(20) % 2, "low", "high")],
        names=["crystal", "cell"],
    )
    return NestedAutoencoder(max_iter=2, random_state=0).fit(X, y), X, y


def test_scores_of_a_stage_are_of_its_measured_rows(fitted):
    nae, X, y = fitted
    prediction = nae.predict(X)
    known = y["crystal"]["y"].notna().to_numpy()
    scorer = stage_scorer(mean_absolute_error, "crystal", greater_is_better=False)
    expected = -mean_absolute_error(y["crystal"]["y"][known], prediction[known, 0].astype(float))
    assert scorer(nae, X, y) == pytest.approx(expected, rel=1e-12)
    assert stage_scorer(mean_absolute_error, 0)(nae, X, y) == pytest.approx(-expected, rel=1e-12)
    weight = np.where(known, 2.0, 5.0)
    assert scorer(nae, X, y, sample_weight=weight) == pytest.approx(expected, rel=1e-12)
    accuracy = stage_scorer(accuracy_score, "cell")
    known = y["cell"]["y"].notna().to_numpy()
    assert accuracy(nae, X, y) == np.mean(prediction[known, 1] == y["cell"]["y"][known])
    assert pickle.loads(pickle.dumps(scorer))(nae, X, y) == scorer(nae, X, y)
    assert repr(scorer) == (
        "stage_scorer(mean_absolute_error, 'crystal', greater_is_better=False)"
    )


def test_the_last_target_may_come_alone(fitted):
    nae, X, y = fitted
    accuracy = stage_scorer(accuracy_score, "cell")
    assert accuracy(nae, X, y["cell"]["y"]) == accuracy(nae, X, y)
    with pytest.raises(ValueError, match=r"2 targets .* stage 'crystal', it got 1"):
        stage_scorer(mean_absolute_error, "crystal")(nae, X, y["cell"]["y"])


@pytest.mark.parametrize("kind", [pd.Series, pd.DataFrame])
def test_scores_of_the_one_column_of_a_target(kind):
    """Labels, with the dimensions of y: two of a DataFrame, which are no arrays in cells."""
    X, labels = crystals(20), np.where(np.arange(20) % 3, "low", "high")
    y = kind(labels, index=X.index)
    classifier = SupervisedAutoencoderClassifier(2, max_iter=2, random_state=0)
    nae = NestedAutoencoder([("crystal", classifier, list(X))]).fit(X, y)
    accuracy = stage_scorer(accuracy_score, "crystal")(nae, X, y)
    assert accuracy == np.mean(nae.predict(X).ravel() == labels)


def test_scorer_through_pipeline_and_search(fitted):
    _, X, y = fitted
    scorer = stage_scorer(mean_absolute_error, "crystal", greater_is_better=False)
    pipeline = make_pipeline(FunctionTransformer(), NestedAutoencoder(max_iter=2, random_state=0))
    search = GridSearchCV(
        pipeline,
        {"nestedautoencoder__n_components": [1, 2]},
        scoring=scorer,
        cv=ScaleKFold(2, shuffle=True, random_state=0),
        error_score="raise",
    ).fit(X, y)
    assert search.best_score_ < 0
    assert scorer(search, X, y) < 0
    assert cross_val_score(search, X, y, scoring=scorer, cv=2, error_score="raise").shape == (2,)


def test_scorers_that_can_not_score(fitted):
    nae, X, y = fitted
    for stage, message in (("x", "no stage 'x'"), (7, "no stage 7")):
        with pytest.raises(ValueError, match=message):
            stage_scorer(mean_absolute_error, stage)(nae, X, y)
    rows = X.index.get_level_values(0) == "cell"
    with pytest.raises(ValueError, match="no measured row to score with; all 20 are missing"):
        stage_scorer(mean_absolute_error, "crystal")(nae, X[rows], y[rows])
    with pytest.raises(TypeError, match="metric must be callable, got 'mae'"):
        stage_scorer("mae", "crystal")
    flat = SupervisedAutoencoder(max_iter=1).fit(np.ones((3, 2)) * [[1], [2], [3]])
    with pytest.raises(TypeError, match=r"needs a NestedAutoencoder.*got SupervisedAutoencoder"):
        stage_scorer(mean_absolute_error, "crystal")(flat, X, y)
    unsupervised = NestedAutoencoder(max_iter=1).fit(X)
    with pytest.raises(ValueError, match="'cell' was fitted without a target"):
        stage_scorer(mean_absolute_error, "cell")(unsupervised, X, y)


# -- translations


@pytest.fixture(scope="module")
def kinds():
    X, y = two_kinds()
    return dual().fit(X, y), X, y


def test_the_score_of_a_translation_is_the_estimator_s_own(kinds):
    model, X, y = kinds
    scorer = translation_scorer("image", "spectrum")
    expected = model.translation_score(X, "image", "spectrum")
    assert scorer(model, X) == scorer(model, X, y) == scorer(model, X, -y) == expected
    other = translation_scorer("spectrum", "image")(model, X)
    assert other == model.translation_score(X, "spectrum", "image") != expected
    weight = np.linspace(0, 2, len(X))
    found = scorer(model, X, sample_weight=weight)
    assert found == model.translation_score(X, "image", "spectrum", sample_weight=weight)
    assert pickle.loads(pickle.dumps(scorer))(model, X) == expected
    assert repr(scorer) == "translation_scorer('image', 'spectrum')"


def test_translations_are_scored_through_pipelines_and_searches(kinds):
    _, X, y = kinds
    scorer = translation_scorer("image", "spectrum")
    pipeline = make_pipeline(FunctionTransformer(), dual())
    search = GridSearchCV(
        pipeline,
        {"dualautoencoder__alignment": [0.1, 1.0]},
        scoring=scorer,
        cv=2,
        error_score="raise",
    ).fit(X, y)
    best = search.best_estimator_
    assert (
        scorer(search, X) == scorer(best, X) == best[-1].translation_score(X, "image", "spectrum")
    )
    scores = cross_val_score(dual(), X, scoring=scorer, cv=2, error_score="raise")
    assert np.isfinite(scores).all()
    # what stands before the last step is done to X
    turned = make_pipeline(FunctionTransformer(np.negative), dual()).fit(X, y)
    assert scorer(turned, X) == turned[-1].translation_score(-X, "image", "spectrum")


def test_translations_that_can_not_be_scored(kinds):
    model, X, y = kinds
    scorer = translation_scorer("image", "spectrum")
    plain = SupervisedAutoencoder(2, max_iter=1).fit(np.arange(12.0).reshape(6, 2))
    with pytest.raises(TypeError, match=r"needs a DualAutoencoder.*got SupervisedAutoencoder"):
        scorer(plain, X)
    with pytest.raises(ValueError, match="'source' parameter must be one of the kinds"):
        translation_scorer("sound", "image")(model, X)
    with pytest.raises(ValueError, match="No row of X has both kinds"):
        scorer(model, without(X, image=slice(None)))
    with pytest.raises(NotFittedError):
        scorer(dual(), X, y)
