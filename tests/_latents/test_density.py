"""What is believed of rows: learnt, merged, weighted; misfits and scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from cases.completion import explainer_of_chain, fitted_chain, fitted_plane, hide, plane
from cases.nested import cells, sae
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae import NestedAutoencoder, SupervisedAutoencoder
from sknestedae._estimators._fitted import fitted_part
from sknestedae._latents._density import LatentStatistics
from sknestedae._latents._observation import invertible
from sknestedae._networks._batch import Batch, Subset


def test_misfits_of_examples_are_those_of_the_rows():
    """All rows against all examples at once, as each against each, but for the width."""
    explainer, parts = explainer_of_chain()
    link, rows = explainer.links[1], parts[1]
    with torch.no_grad():
        _, decoded = explainer.examples
        every = link.misfits(decoded[1], rows)
        wide = {name: v + 0.03 for name, v in link.variance.items()}
        narrow, link.variance = link.variance, wide
        for j in (0, 5):
            one = {name: v[j].expand(len(rows), -1) for name, v in decoded[1].items()}
            assert_allclose(every[:, j].numpy(), link.misfit(one, rows).numpy(), rtol=1e-8)
        link.variance = narrow


def test_belief_merges_to_that_of_all_rows_the_earlier_ones_counting_less():
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
def test_beliefs_merge_by_weights_of_any_size(powers):
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


@pytest.mark.parametrize("unit", [1e-200, 1e-150])
def test_very_small_numbers_that_are_not_standardised_give_scores_and_fill(unit):
    X = plane(40) * unit
    estimator = SupervisedAutoencoder(2, max_iter=2, standardize=False, random_state=0).fit(X)
    assert np.isfinite(estimator.score_samples(X)).all()
    assert np.isfinite(estimator.complete(hide(X)[0])).all()


def test_the_weight_of_a_belief_is_that_of_all_rows(monkeypatch):
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
    gaps = pd.DataFrame({"a": [np.nan], "kind": [None]})
    for estimator in (weighted, repeated):
        assert estimator.complete(gaps)["kind"].item() == "y"
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
    residual, squares = (
        fitted_part(estimator).latent_statistics.residual,
        fitted_part(estimator).latent_statistics.error["table"],
    )
    assert_allclose(np.diag(residual), squares)
    scale = np.sqrt(squares)
    # 0.02 of the variance in each direction with gaps; without, what rounding leaves of 0
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


def test_partial_fit_adds_to_the_belief_and_early_stopping_leaves_rows_out():
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
    stacked = chain._stack(X, y)
    rows = stacked.X.loc["b"].index
    *_, (stage, table) = chain._walk(chain._check_X(stacked.X.loc[["b"]], reset=False))
    latents = stage.estimator.transform(table)
    assert_allclose(
        fitted_part(stage.estimator).latent_statistics.mean, latents.mean(axis=0), rtol=1e-6
    )
    assert len(rows) == len(latents)


@pytest.mark.parametrize("weight", [2.0**-900, 3.0, 2.0**900])
def test_the_weight_of_a_belief_is_that_of_all_rows_after_refinement_too(weight):
    X, y = cells()
    stages = [("a", sae(1), [0]), ("b", sae(2), list(range(1, X.shape[1])))]
    chain = NestedAutoencoder(stages, refine_iter=1, random_state=0)
    chain.fit(X, y, sample_weight=np.full(len(X), weight))
    belief = fitted_part(chain["b"]).latent_statistics
    assert belief.weight * 2.0 ** (belief.power - np.log2(weight)) == pytest.approx(len(X))


def test_held_categories_are_those_that_were_open():
    X, y = cells()
    link = fitted_part(sae().fit(X, y)).observation_model()
    rows = link.rows(link.table.transform(X))
    held = link.hold(rows, np.ones((len(X), 1), dtype=int))
    group = slice(3, 5)
    is_open = np.array(X["layer"].isna())
    assert is_open.sum() == 1
    assert_array_equal(held.values["table"][is_open, group], [[0, 1]])
    assert torch.equal(held.values["table"][~is_open], rows.values["table"][~is_open])
    assert held.measured["table"][:, 3].all()
    assert not rows.measured["table"][:, 3].all()


# ---------------------------------------------------------------------------------------------
# Scores


def test_rows_from_elsewhere_score_lower():
    """Far along the plane, and off it: both are seen."""
    estimator, X = fitted_plane()
    scores = estimator.score_samples(X)
    mean = X.mean(axis=0)
    assert np.median(estimator.score_samples(mean + 6 * (X - mean))) < scores.min()
    off = X + 3 * X.std(axis=0) * np.array([1, -1, 1, -1, 1, -1])
    assert np.median(estimator.score_samples(off)) < scores.min()
    assert scores.shape == (len(X),)


def test_the_score_of_a_chain_is_the_sum_of_what_was_measured():
    chain, X, y = fitted_chain()
    table = chain._stack(X, y).X
    scores = chain.score_samples(table)
    first, second = chain.score_samples(X)
    is_first = table.index.get_level_values("scale") == "a"
    assert_allclose(scores[is_first], first)
    assert_allclose(scores[~is_first], second)
    assert_allclose(first, chain["a"].score_samples(X[0]))


def test_the_score_of_an_ensemble_is_the_median_of_its_members():
    X, y = cells()
    many = sae(n_members=3).fit(X, y)
    expected = np.median([member.score_samples(X) for member in many.members_], axis=0)
    assert_allclose(many.score_samples(X), expected)


@pytest.mark.parametrize("n_columns_at_most", [500, 3])
def test_errors_are_judged_by_what_they_have_in_common(monkeypatch, n_columns_at_most):
    """Each row by itself, by the covariance of what was measured of it; of many columns, alone."""
    monkeypatch.setattr("sknestedae._latents._density._MANY_COLUMNS", n_columns_at_most)
    X = plane()
    estimator = SupervisedAutoencoder(1, max_iter=5, random_state=0).fit(X)
    link, (gaps, _) = fitted_part(estimator).observation_model(), hide(X[:20])
    gaps[0] = X[0]
    Z = estimator.transform(gaps)
    scaled = (gaps - fitted_part(estimator).table.mean) / fitted_part(estimator).table.scale
    decoded = link.decode(torch.from_numpy(Z))["table"].detach().numpy()
    belief = link.belief
    if n_columns_at_most == 3:
        assert belief.residual is None
        covariance = np.diag(np.maximum(belief.error["table"], 1e-4))
    else:
        covariance = belief.residual + 1e-6 * np.eye(6)
        assert np.abs(belief.residual - np.diag(belief.error["table"])).max() > 0.1
    precision = np.linalg.inv(belief.regular_covariance())
    for i, score in enumerate(estimator.score_samples(gaps)):
        own = ~np.isnan(gaps[i])
        error = (decoded[i] - scaled[i])[own]
        misfit = error @ np.linalg.solve(covariance[np.ix_(own, own)], error) / 2
        step = Z[i] - belief.mean
        assert_allclose(score, -misfit * 6 / own.sum() - step @ precision @ step / 2, rtol=1e-8)


def test_a_covariance_that_rounding_made_singular_can_be_inverted():
    """Two columns that are the same up to rounding, of errors as large as 1e10."""
    size = torch.tensor([1e10, 2e9, 3e-4], dtype=torch.float64)
    singular = size[:, None] * size
    with pytest.raises(RuntimeError, match="singular"):
        torch.linalg.inv(singular)
    mended = invertible(singular)
    assert torch.linalg.inv(mended).isfinite().all()
    relative = (mended / singular - 1).abs().max()
    assert relative <= 8 * 3 * torch.finfo(torch.float64).eps * 1.5
    regular = singular + torch.diag(size**2)
    assert invertible(regular) is regular
