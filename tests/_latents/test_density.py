"""Statistics of the training rows: learnt, merged, weighted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from cases.completion import fitted_chain, hide, plane
from cases.nested import cells, sae
from numpy.testing import assert_allclose

from sknestedae import NestedAutoencoder, SupervisedAutoencoder, stack_scales
from sknestedae._estimators._fitted import fitted_part
from sknestedae._latents._density import LatentStatistics
from sknestedae._networks._batch import Batch, Subset


def test_statistics_merge_to_those_of_all_rows_the_earlier_ones_counting_less():
    X = plane(60)
    estimator = SupervisedAutoencoder(2, max_iter=2, random_state=0).fit(X)

    def learn(rows, weight=None):
        data = Batch.from_arrays(
            fitted_part(estimator).encode(X[rows]), None, weight, torch.device("cpu")
        )
        return LatentStatistics.learn(
            estimator.net_.module_, Subset(data), fitted_part(estimator).layouts
        )

    weight = np.repeat([0.9, 1.0], [20, 40])
    whole = learn(slice(None), weight)
    merged = learn(slice(0, 20)).merge(learn(slice(20, None)))
    assert_allclose(merged.weight, whole.weight)
    assert_allclose(merged.mean, whole.mean)
    assert_allclose(merged.covariance, whole.covariance)
    assert_allclose(merged.error["table"], whole.error["table"])
    assert 58 <= len(merged.examples) <= 60  # in shares of their weights
    assert {tuple(z) for z in merged.examples} <= {tuple(z) for z in learn(slice(None)).examples}


@pytest.mark.parametrize("powers", [(1000, 1000), (-1000, -1000), (3, 0), (0, 3), (-1000, 1000)])
def test_statistics_merge_by_weights_of_any_size(powers):
    X = plane(60)
    estimator = SupervisedAutoencoder(2, max_iter=2, random_state=0).fit(X)

    def learn(rows, power):
        data = Batch.from_arrays(
            fitted_part(estimator).encode(X[rows]), None, None, torch.device("cpu")
        )
        layouts = fitted_part(estimator).layouts
        return LatentStatistics.learn(estimator.net_.module_, Subset(data), layouts, power)

    old, new = learn(slice(0, 20), powers[0]), learn(slice(20, None), powers[1])
    merged = old.merge(new)
    ratio = 0.9 * 20 / 40 * 2.0 ** max(powers[0] - powers[1], -1000)
    assert_allclose(merged.mean, (ratio * old.mean + new.mean) / (1 + ratio))
    assert_allclose(merged.weight * 2.0 ** (merged.power - powers[1]), 40 * (1 + ratio))


def test_the_weight_of_statistics_is_that_of_all_rows(monkeypatch):
    monkeypatch.setattr("sknestedae._latents._density._ENOUGH_ROWS", 20)
    estimator = SupervisedAutoencoder(2, max_iter=2, random_state=0).fit(plane(60))
    assert_allclose(fitted_part(estimator).latent_statistics.weight, 60)


def test_a_weight_fills_as_repeated_rows_do():
    """Of two kinds in numbers of 5 to 3, the rarer one is three times as heavy."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=80), "kind": ["x"] * 50 + ["y"] * 30})
    weight = np.repeat([1, 3], [50, 30])
    settings = {"hidden_layer_sizes": (), "max_iter": 30, "random_state": 0}
    weighted = SupervisedAutoencoder(2, **settings).fit(X, sample_weight=weight)
    repeated = SupervisedAutoencoder(2, **settings).fit(X.loc[np.repeat(np.arange(80), weight)])
    incomplete = pd.DataFrame({"a": [np.nan], "kind": [None]})
    for estimator in (weighted, repeated):
        assert estimator.complete(incomplete)["kind"].item() == "y"
        is_y = (
            estimator.inverse_transform(fitted_part(estimator).latent_statistics.examples)["kind"]
            == "y"
        )
        assert abs(is_y.mean() - 90 / 140) < 0.02  # of 1000 examples, or of 140 rows


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.7, 0.9])
def test_the_covariance_of_errors_is_one_whatever_was_measured(fraction):
    """Pairs of columns are seen in rows of their own, so that their products may disagree."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(120, 3)) @ rng.normal(size=(3, 12)) + 0.02 * rng.normal(size=(120, 12))
    X[rng.uniform(size=X.shape) < fraction] = np.nan
    X = X[np.isfinite(X).any(axis=1)]
    estimator = SupervisedAutoencoder(1, max_iter=20, random_state=0).fit(X)
    statistics = fitted_part(estimator).latent_statistics
    residual, squares = statistics.factors @ statistics.factors.T, statistics.error["table"]
    assert (np.diag(residual) <= squares * (1 + 1e-12)).all()
    np.fill_diagonal(residual, squares)
    scale = np.sqrt(squares)
    # with missing values 0.02 of the variance in each direction; without, a rounded 0
    least = 0.0199 if fraction else -1e-12
    assert np.linalg.eigvalsh(residual / np.outer(scale, scale))[0] >= least


def test_latents_that_are_all_constant_give_scores_and_fill():
    X = plane(40)
    estimator = SupervisedAutoencoder(2, max_iter=2, random_state=0).fit(X)
    with torch.no_grad():
        for parameter in estimator.net_.module_.encoder.parameters():
            parameter.zero_()
    fitted_part(estimator).latent_statistics = LatentStatistics.learn(
        estimator.net_.module_,
        Subset(
            Batch.from_arrays(fitted_part(estimator).encode(X), None, None, torch.device("cpu"))
        ),
        fitted_part(estimator).layouts,
    )
    assert np.isfinite(estimator.score_samples(X)).all()
    assert np.isfinite(estimator.complete(hide(X)[0])).all()


def test_partial_fit_adds_to_the_statistics_and_early_stopping_leaves_rows_out():
    X = plane(60)
    estimator = SupervisedAutoencoder(2, random_state=0)
    for part in (X[:20], X[20:]):
        estimator.partial_fit(part)
    assert_allclose(fitted_part(estimator).latent_statistics.weight, 0.9 * 20 + 40)
    stopped = SupervisedAutoencoder(
        2, early_stopping=True, validation_fraction=0.25, max_iter=2, random_state=0
    ).fit(X)
    assert fitted_part(stopped).latent_statistics.weight == 45


def test_refinement_learns_latents_anew():
    chain, X, y = fitted_chain(refine_iter=2)
    stacked, _ = stack_scales(X, y, names=["a", "b"])
    rows = stacked.loc["b"].index
    *_, (stage, table) = chain._fitted.iter_stages(chain._read(stacked.loc[["b"]]))
    latents = stage.estimator.transform(table)
    assert_allclose(
        fitted_part(stage.estimator).latent_statistics.mean, latents.mean(axis=0), rtol=1e-6
    )
    assert len(rows) == len(latents)


@pytest.mark.parametrize("weight", [2.0**-900, 3.0, 2.0**900])
def test_the_weight_of_statistics_is_that_of_all_rows_after_refinement_too(weight):
    X, y = cells()
    stages = [("a", sae(1), [0]), ("b", sae(2), list(range(1, X.shape[1])))]
    chain = NestedAutoencoder(stages, refine_iter=1, random_state=0)
    chain.fit(X, y, sample_weight=np.full(len(X), weight))
    statistics = fitted_part(chain["b"]).latent_statistics
    assert statistics.weight * 2.0 ** (statistics.power - np.log2(weight)) == pytest.approx(len(X))


def test_the_spread_is_the_mean_variance_of_variational_latents():
    X, weight = plane(40), np.linspace(0.1, 3, 40)
    estimator = SupervisedAutoencoder(2, beta=1e-3, max_iter=4, random_state=0)
    statistics = fitted_part(estimator.fit(X, sample_weight=weight)).latent_statistics
    mean, std = estimator.transform(X, return_std=True)
    assert_allclose(statistics.spread, np.average(std**2, axis=0, weights=weight))
    assert_allclose(statistics.mean, np.average(mean, axis=0, weights=weight))
    points = SupervisedAutoencoder(2, max_iter=2, random_state=0).fit(X)
    assert fitted_part(points).latent_statistics.spread is None


def test_spreads_merge_as_all_moments_do(monkeypatch):
    X = plane(60)
    estimator = SupervisedAutoencoder(2, beta=1e-3, max_iter=4, random_state=0).fit(X)
    fitted = fitted_part(estimator)

    def learn(rows):
        data = Batch.from_arrays(fitted.encode(X[rows]), None, None, torch.device("cpu"))
        return LatentStatistics.learn(estimator.net_.module_, Subset(data), fitted.layouts)

    monkeypatch.setattr("sknestedae._latents._density.MEMORY", 1.0)
    merged = learn(slice(0, 20)).merge(learn(slice(20, None)))
    assert_allclose(merged.spread, learn(slice(None)).spread)
    without = SupervisedAutoencoder(2, max_iter=2, random_state=0)
    for part in (X[:20], X[20:]):
        without.partial_fit(part)
    assert fitted_part(without).latent_statistics.spread is None
