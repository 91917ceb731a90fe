"""The observation model: likelihoods of examples, held categories, scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases.completion import fitted_chain, fitted_plane, hide, plane, search_of_chain
from cases.nested import cells, sae
from numpy.testing import assert_allclose, assert_array_equal
from torch.distributions import Normal, kl_divergence

from sknestedae import SupervisedAutoencoder, stack_scales
from sknestedae._estimators._fitted import fitted_part
from sknestedae._latents._covariance import ErrorCovariance
from sknestedae._latents._observation import invertible


def test_distances_of_examples_are_those_of_the_rows():
    """All rows against all examples at once, as each against each, in wider units."""
    search, parts = search_of_chain()
    model, rows = search.models[1], parts[1]
    with torch.no_grad():
        _, decoded = search.examples
        every = model.squared_distances_of_examples(decoded[1], rows)
        categories = model.categories_of_examples(decoded[1], rows)
        wide = model.errors.variance + 0.03
        independent = ErrorCovariance(wide, wide.new_zeros(len(wide), 0))
        known = rows.measured["table"][:, : len(wide)].double()
        errors = independent.of_measured(known, torch.ones(len(rows)))
        for j in (0, 5):
            one = {name: v[j].expand(len(rows), -1) for name, v in decoded[1].items()}
            assert_allclose(
                (every / 2 + categories)[:, j].numpy(),
                model.negative_log_likelihood(one, rows, errors).numpy(),
                rtol=1e-8,
            )


@pytest.mark.parametrize("unit", [1e-200, 1e-150])
def test_very_small_numbers_that_are_not_standardised_give_scores_and_fill(unit):
    X = plane(40) * unit
    estimator = SupervisedAutoencoder(2, max_iter=2, standardize=False, random_state=0).fit(X)
    assert np.isfinite(estimator.score_samples(X)).all()
    assert np.isfinite(estimator.complete(hide(X)[0])).all()


def test_held_categories_are_those_that_were_open():
    X, y = cells()
    model = fitted_part(sae().fit(X, y)).observation_model()
    rows = model.rows(model.table.transform(X))
    held = model.hold(rows, np.ones((len(X), 1), dtype=int))
    group = slice(3, 5)
    is_open = np.array(X["layer"].isna())
    assert is_open.sum() == 1
    assert_array_equal(held.values["table"][is_open, group], [[0, 1]])
    assert torch.equal(held.values["table"][~is_open], rows.values["table"][~is_open])
    assert held.measured["table"][:, 3].all()
    assert not rows.measured["table"][:, 3].all()


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
    table, _ = stack_scales(X, y, names=["a", "b"])
    scores = chain.score_samples(table)
    first, second = chain.score_samples(X)
    is_first = table.index.get_level_values("scale") == "a"
    assert_allclose(scores[is_first], first)
    assert_allclose(scores[~is_first], second)
    assert_allclose(first, chain["a"].score_samples(X[0]))
    of_stages = [
        stage.estimator.score_samples(part[~is_first])
        for stage, part in chain._fitted.iter_stages(chain._read(table))
    ]
    assert_allclose(second, np.sum(of_stages, axis=0))


def test_the_score_of_an_ensemble_is_the_median_of_its_members():
    X, y = cells()
    many = sae(n_members=3).fit(X, y)
    expected = np.median([member.score_samples(X) for member in many.members_], axis=0)
    assert_allclose(many.score_samples(X), expected)


@pytest.mark.parametrize("n_columns_at_most", [500, 3])
def test_errors_are_judged_by_what_they_have_in_common(monkeypatch, n_columns_at_most):
    """Each row by itself, by the covariance of what was measured of it, whole or as factors."""
    monkeypatch.setattr("sknestedae._latents._density._MANY_COLUMNS", n_columns_at_most)
    X = plane()
    estimator = SupervisedAutoencoder(1, max_iter=5, random_state=0).fit(X)
    model, (incomplete, _) = fitted_part(estimator).observation_model(), hide(X[:20])
    incomplete[0] = X[0]
    Z = estimator.transform(incomplete)
    mean, scale = fitted_part(estimator).table.affine(range(incomplete.shape[1]))
    scaled = (incomplete - mean) / scale
    decoded = model.decode(torch.from_numpy(Z))["table"].detach().numpy()
    statistics = model.statistics
    covariance = statistics.factors @ statistics.factors.T
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() > 0.1
    if n_columns_at_most == 3:
        assert 0 < statistics.factors.shape[1] < 6
        np.fill_diagonal(covariance, np.maximum(statistics.error["table"], 1e-4))
    else:
        assert statistics.factors.shape == (6, 6)
        np.fill_diagonal(covariance, statistics.error["table"] + 1e-6)
    precision = np.linalg.inv(statistics.regular_covariance())
    for i, score in enumerate(estimator.score_samples(incomplete)):
        own = ~np.isnan(incomplete[i])
        error = (decoded[i] - scaled[i])[own]
        loss = error @ np.linalg.solve(covariance[np.ix_(own, own)], error) / 2
        step = Z[i] - statistics.mean
        assert_allclose(score, -loss * 6 / own.sum() - step @ precision @ step / 2, rtol=1e-8)


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


def test_variational_latents_have_the_prior_that_they_were_trained_with():
    X = plane(40)
    model = fitted_part(
        SupervisedAutoencoder(2, beta=1e-3, max_iter=4, random_state=0).fit(X)
    ).observation_model()
    assert torch.equal(model.mean, torch.zeros(2).double())
    assert torch.equal(model.covariance, torch.eye(2).double())
    points = fitted_part(SupervisedAutoencoder(2, max_iter=4, random_state=0).fit(X))
    model = points.observation_model()
    assert_array_equal(model.mean.numpy(), points.latent_statistics.mean)
    assert_array_equal(model.covariance.numpy(), points.latent_statistics.regular_covariance())


def test_scores_of_variational_latents_contain_the_divergence():
    """Where variances alone change, the scores do as the divergence does."""
    X = plane(40)
    estimator = SupervisedAutoencoder(2, beta=1e-3, max_iter=4, random_state=0).fit(X)

    def divergences():
        density = Normal(*map(torch.from_numpy, estimator.transform(X, return_std=True)))
        return kl_divergence(density, Normal(0.0, 1.0)).sum(dim=1).numpy()

    scores, before = estimator.score_samples(X), divergences()
    with torch.no_grad():
        *_, last, _ = estimator.net_.module_.encoder
        last.bias[2:] += torch.tensor([1.0, -0.5])
    change = divergences() - before
    assert np.abs(change).min() > 0.01
    assert_allclose(estimator.score_samples(X) - scores, -change, rtol=1e-9, atol=1e-9)
