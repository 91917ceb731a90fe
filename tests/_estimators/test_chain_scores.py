"""Scores of chains: of their targets, of what they reconstruct, of single rows."""

from __future__ import annotations

import numpy as np
import pytest
from cases.nested import two_scales
from sklearn.decomposition import PCA

from sknestedae import NestedAutoencoder, stack_scales
from sknestedae._estimators._chain_scores import (
    score_reconstruction,
    score_rows,
    score_stages,
    score_targets,
)


@pytest.fixture(scope="module")
def scored():
    """Give a fitted chain, a table, its target and weights; of each scale with a class or not."""
    X_list, (gap, pce) = two_scales()
    kind = np.where(gap > gap.median(), "wide", "narrow")
    X, y = stack_scales(X_list, [kind, pce])
    chain = NestedAutoencoder(max_iter=3, random_state=0).fit(X, y)
    table = chain._read(X)
    weight = np.random.default_rng(0).integers(1, 4, len(X)).astype(float)
    return chain._fitted, table, table.read_target(y), weight


def test_equal_members_score_as_one_chain(scored):
    chain, table, target, weight = scored
    for own in (None, weight):
        one = score_targets([chain], table, target, own)
        assert score_targets([chain, chain], table, target, own) == pytest.approx(one, rel=1e-9)
        assert one == np.mean(score_stages(chain, table, target, own))


def test_a_score_is_of_the_rows_with_a_target(scored):
    chain, table, target, _ = scored
    known = np.flatnonzero(target.known_of("scale1"))
    part = target._replace(frame=target.frame.iloc[known])
    score = score_stages(chain, table.take(known), part, None)
    assert score == pytest.approx(score_stages(chain, table, target, None)[1:], rel=1e-9)
    nothing = target._replace(frame=target.frame.mask(np.ones(target.frame.shape, dtype=bool)))
    with pytest.raises(ValueError, match="all targets are missing"):
        score_targets([chain], table, nothing, None)


def test_a_reconstruction_is_scored_stage_by_stage(scored):
    chain, table, _, weight = scored
    expected = [
        stage.estimator.score(own, sample_weight=weight) for stage, own in chain.iter_stages(table)
    ]
    assert score_reconstruction(chain, table, weight) == np.mean(expected)


def test_rows_are_scored_by_the_stages_at_which_they_were_measured(scored):
    chain, table, _, _ = scored
    total = np.zeros(len(table))
    for k, (stage, own) in enumerate(chain.iter_stages(table)):
        scores = stage.estimator.score_samples(own)
        total += np.where(table.measured[:, k], scores, 0.0)
    np.testing.assert_allclose(score_rows([chain], table), total)
    np.testing.assert_allclose(score_rows([chain, chain], table), total)


def test_without_an_autoencoder_there_is_no_reconstruction():
    (first, _), _ = two_scales()
    chain = NestedAutoencoder([("a", PCA(1), [0]), ("b", PCA(1), [1])]).fit(first)
    with pytest.raises(ValueError, match="only supervised autoencoders have a score"):
        score_reconstruction(chain._fitted, chain._read(first), None)
