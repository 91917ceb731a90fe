"""Pairs of latents: their moments, the map between them, how well they belong together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.preprocessing import StandardScaler

from sknestedae._latents._pairs import PairMoments, PairStatistics, shrinkage_of
from sknestedae._networks._batch import Batch, Subset
from sknestedae._networks._dual import DualModule
from sknestedae._tables._layout import Layout
from sknestedae.blocks import DenseBlock

# Sums of some thousand numbers of the size of 1, and an inverse of a well conditioned matrix.
ROUNDING = {"rtol": 1e-9, "atol": 1e-9}


def pairs(n_pairs=60, n_latents=3, noise=0.5, seed=0):
    """Draw latents of two kinds, the second linear in the first but for noise."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(n_pairs, n_latents)) * [1.0, 3.0, 0.1][:n_latents] + 2
    slopes = rng.normal(size=(n_latents, n_latents))
    return first, first @ slopes - 5 + noise * rng.normal(size=first.shape), slopes


def moments(*args, weight=None, **kwargs):
    first, second, _ = pairs(*args, **kwargs)
    return PairMoments.of(first, second, np.ones(len(first)) if weight is None else weight)


def assert_same(one, other):
    assert_allclose(one.weight, other.weight, **ROUNDING)
    assert_allclose(one.mean, other.mean, **ROUNDING)
    assert_allclose(one.covariance, other.covariance, **ROUNDING)
    assert_allclose(one.shrinkage, other.shrinkage, **ROUNDING)


def test_moments_are_those_of_the_pairs():
    first, second, _ = pairs()
    weight = np.linspace(0.1, 3, 60)
    found, Z = PairMoments.of(first, second, weight), np.hstack([first, second])
    assert found.weight == pytest.approx(weight.sum())
    assert_allclose(found.mean, np.average(Z, axis=0, weights=weight))
    assert_allclose(found.covariance, np.cov(Z.T, aweights=weight, ddof=0), **ROUNDING)


def test_the_score_of_a_pair_is_a_ratio_of_normal_densities():
    """But for a constant."""
    own = moments(30)
    first, second, _ = pairs(7, seed=1)
    second = second[:4]
    covariance = own.regular_covariance()
    joint = multivariate_normal(own.mean, covariance)
    alone = [
        multivariate_normal(own.mean[part], covariance[part, part])
        for part in (slice(0, 3), slice(3, 6))
    ]
    expected = [
        [joint.logpdf(np.r_[a, b]) - alone[0].logpdf(a) - alone[1].logpdf(b) for b in second]
        for a in first
    ]
    found = own.log_ratio(first, second)
    assert found.shape == (7, 4)
    difference = found - expected
    assert_allclose(difference, np.full((7, 4), difference[0, 0]), **ROUNDING)


def test_the_map_is_a_ridge_regression():
    """Of standardised latents; its strength is what the shrinkage of their correlations says."""
    first, second, _ = pairs(25)
    own = PairMoments.of(first, second, np.ones(25))
    assert 0.01 < own.shrinkage < 1
    scaler = StandardScaler().fit(first)
    ridge = Ridge(25 * own.shrinkage / (1 - own.shrinkage)).fit(scaler.transform(first), second)
    map_ = own.map()
    assert_allclose(first @ map_[:3] + map_[3], ridge.predict(scaler.transform(first)), **ROUNDING)


def test_of_many_pairs_the_map_is_nearly_that_of_least_squares():
    first, second, _ = pairs(4000)
    own = PairMoments.of(first, second, np.ones(4000))
    assert own.shrinkage == 0.01  # as little as there is
    plane = LinearRegression().fit(first, second)
    # latents that are independent have slopes smaller by the share of the shrinkage, 1 %; those
    # of a draw of 4000 are correlated by some 1 / sqrt(4000) = 0.016
    scale = np.abs(plane.coef_.T * first.std(axis=0)[:, None]).max()
    difference = (own.map()[:3] - plane.coef_.T) * first.std(axis=0)[:, None]
    assert np.abs(difference).max() < 0.02 * scale
    assert_allclose(
        own.mean[:3] @ own.map()[:3] + own.map()[3], second.mean(axis=0), **ROUNDING
    )  # the mean of one is that of the other, whatever the shrinkage


def test_partners_are_found_by_their_score():
    first, second, _ = pairs(200, noise=0.01)
    own = PairMoments.of(first, second, np.ones(200))
    found = own.log_ratio(first, second).argmax(axis=1)
    assert (found == np.arange(200)).mean() > 0.9
    # of latents that tell nothing of each other, all pairs are alike
    rng = np.random.default_rng(3)
    alone = PairMoments.of(first, rng.normal(size=first.shape), np.ones(200))
    assert alone.shrinkage > own.shrinkage


def test_a_constant_latent_tells_nothing():
    first, second, _ = pairs()
    first[:, 1] = 4.0
    own = PairMoments.of(first, second, np.ones(60))
    assert np.isfinite(own.map()).all()
    assert_allclose(own.map()[1], 0, atol=1e-12)
    score = own.log_ratio(first, second)
    assert np.isfinite(score).all()
    moved = first.copy()
    moved[:, 1] = 7.0
    again = PairMoments.of(moved, second, np.ones(60))
    assert_allclose(again.log_ratio(moved, second), score, **ROUNDING)


@pytest.mark.parametrize("n_pairs", [1, 2, 3])
def test_few_pairs_give_numbers(n_pairs):
    own = moments(n_pairs)
    assert 0.01 <= own.shrinkage <= 1
    assert np.isfinite(own.map()).all()
    first, second, _ = pairs(5, seed=1)
    assert np.isfinite(own.log_ratio(first, second)).all()


def test_one_pair_says_no_more_than_its_mean():
    first, second, _ = pairs(1)
    own = PairMoments.of(first, second, np.ones(1))
    assert_allclose(own.map()[:3], 0, atol=1e-12)
    assert_allclose(own.map()[3], second[0])


def test_a_weight_is_as_many_rows():
    first, second, _ = pairs()
    weight = np.arange(60) % 4
    repeated = np.repeat(np.arange(60), weight)
    kept = weight > 0
    assert_same(
        PairMoments.of(first[kept], second[kept], weight[kept].astype(float)),
        PairMoments.of(first[repeated], second[repeated], np.ones(len(repeated))),
    )


def test_the_size_of_weights_moves_no_moment():
    weight = np.linspace(0.1, 3, 60)
    one, other = moments(weight=weight), moments(weight=1e-9 * weight)
    assert_allclose(one.covariance, other.covariance, **ROUNDING)
    assert_allclose(one.shrinkage, other.shrinkage, **ROUNDING)
    assert_allclose(one.map(), other.map(), **ROUNDING)


def test_the_shrinkage_falls_as_pairs_are_more():
    """By one over their number, once latents and noise are the same."""
    found = {n: moments(n, noise=5.0).shrinkage for n in (20, 50, 100)}
    assert found[20] > found[50] > found[100] > 0.01
    corners = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert shrinkage_of(corners, np.ones(4), np.eye(2)) == 1  # they are independent


def test_moments_of_parts_merge_to_those_of_all(monkeypatch):
    first, second, _ = pairs()
    weight = np.linspace(0.1, 3, 60)
    whole = PairMoments.of(first, second, weight)
    parts = [
        PairMoments.of(first[rows], second[rows], weight[rows])
        for rows in (slice(0, 20), slice(20, None))
    ]
    monkeypatch.setattr("sknestedae._latents._pairs.MEMORY", 1.0)
    merged = parts[0].merge(parts[1])
    assert merged.weight == pytest.approx(whole.weight)
    assert_allclose(merged.mean, whole.mean, **ROUNDING)
    assert_allclose(merged.covariance, whole.covariance, **ROUNDING)


def test_later_parts_count_more():
    first, second, _ = pairs()
    parts = [
        PairMoments.of(first[rows], second[rows], np.ones(30))
        for rows in (slice(0, 30), slice(30, None))
    ]
    weight = np.repeat([0.9, 1.0], 30)
    whole, merged = PairMoments.of(first, second, weight), parts[0].merge(parts[1])
    assert merged.weight == pytest.approx(57)
    assert_allclose(merged.mean, whole.mean, **ROUNDING)
    assert_allclose(merged.covariance, whole.covariance, **ROUNDING)


def test_swapped_moments_are_those_of_the_other_direction():
    first, second, _ = pairs()
    own = moments()
    assert_same(own.swapped(), PairMoments.of(second, first, np.ones(60)))
    assert_same(own.swapped().swapped(), own)
    a, b = first[:4], second[:5]
    assert_allclose(own.swapped().log_ratio(b, a), own.log_ratio(a, b).T, **ROUNDING)


# -- of all blocks of a network

LAYOUTS = {"a": Layout(3), "b": Layout(2), "c": Layout(2)}


def network(is_separated=False, is_variational=False):
    torch.manual_seed(0)
    return DualModule(
        layouts=LAYOUTS,
        blocks=dict.fromkeys(LAYOUTS, DenseBlock()),
        n_components=2,
        hidden_layer_sizes=(),
        decoder_hidden_layer_sizes=(),
        predictor_hidden_layer_sizes=(),
        activation="silu",
        latent_activation="identity",
        dropout=0.0,
        target_layout=None,
        is_separated=is_separated,
        is_variational=is_variational,
    ).double()


def rows(n_rows=40, weights=False):
    """Draw rows: the last quarter without "b", and none that has "b" and "c"."""
    generator = torch.Generator().manual_seed(0)
    values = {
        name: torch.randn(n_rows, layout.n_values, generator=generator).double()
        for name, layout in LAYOUTS.items()
    }
    has_b = (torch.arange(n_rows) < 3 * n_rows // 4)[:, None]
    measured = {"b": has_b.expand(-1, 2), "c": ~has_b.expand(-1, 2)}
    weight = torch.rand(n_rows, 1, generator=generator).double() + 0.1 if weights else None
    return Batch(values, measured, weight=weight)


@pytest.mark.parametrize("is_variational", [False, True])
@pytest.mark.parametrize("index", [None, torch.arange(5, 38)])
@pytest.mark.parametrize("weights", [False, True])
def test_statistics_are_of_the_rows_that_have_both_blocks(weights, index, is_variational):
    module, batch = network(is_variational=is_variational).eval(), rows(weights=weights)
    found = PairStatistics.learn(module, Subset(batch, index))
    assert list(found.moments) == [("a", "b"), ("a", "c")]
    some = batch if index is None else batch[index]
    for name in "bc":
        has_both = some.measured[name][:, 0].numpy()
        Z = [module.latents_of(some, key).mean.detach().numpy()[has_both] for key in ("a", name)]
        weight = some.weight[:, 0].numpy()[has_both] if weights else np.ones(has_both.sum())
        assert_same(found.of("a", name), PairMoments.of(*Z, weight))
        assert_same(found.of(name, "a"), PairMoments.of(*Z[::-1], weight))
    assert found.of("b", "c") is None
    assert found.of("c", "b") is None


def test_of_many_rows_some_that_are_spread_evenly_are_enough(monkeypatch):
    monkeypatch.setattr("sknestedae._latents._pairs._ENOUGH_PAIRS", 10)
    module, batch = network(), rows()
    found = PairStatistics.learn(module, Subset(batch))
    chosen = torch.from_numpy(np.linspace(0, 39, 10).round().astype(int))
    expected = PairStatistics.learn(module, Subset(batch, chosen))
    assert found.of("a", "b").weight == (chosen < 30).sum()
    assert_same(found.of("a", "b"), expected.of("a", "b"))


def test_statistics_of_a_stream_keep_pairs_that_later_rows_lack():
    module, batch = network(), rows()
    old = PairStatistics.learn(module, Subset(batch))
    new = PairStatistics.learn(module, Subset(batch, torch.arange(30, 40)))
    assert list(new.moments) == [("a", "c")]
    merged = old.merge(new)
    assert_same(merged.of("a", "b"), old.of("a", "b"))
    assert_same(merged.of("a", "c"), old.of("a", "c").merge(new.of("a", "c")))
    again = new.merge(old)
    assert_same(again.of("a", "b"), old.of("a", "b"))
    assert_same(again.of("b", "a"), old.of("b", "a"))


def test_maps_of_a_network_are_those_from_and_to_its_first_block():
    module, batch = network(is_separated=True), rows()
    found = PairStatistics.learn(module, Subset(batch))
    found.set_maps(module)
    for name in "bc":
        assert_array_equal(module.map(name, "to").numpy(), found.of(name, "a").map())
        assert_array_equal(module.map(name, "from").numpy(), found.of("a", name).map())
    # statistics are of each block's own space, whatever the maps
    again = PairStatistics.learn(module, Subset(batch))
    assert_same(again.of("a", "b"), found.of("a", "b"))
    common = network()
    found.set_maps(common)
    assert common.map("b", "to") is None


def test_a_state_of_plain_values_is_read_back():
    found = PairStatistics.learn(network(), Subset(rows()))
    state = found.to_state()
    assert {type(value) for entry in state for value in entry.values()} == {
        list,
        float,
        np.ndarray,
    }
    back = PairStatistics.from_state(state)
    assert list(back.moments) == list(found.moments)
    for pair, own in found.moments.items():
        for name, value in vars(own).items():
            assert_array_equal(getattr(back.moments[pair], name), value)
    again = PairStatistics.from_state(state)  # reading takes nothing out of it
    assert list(again.moments) == list(found.moments)
