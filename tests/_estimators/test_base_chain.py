"""A chain as a sequence of stages: parameters, parts, latents and how they are wrapped."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.nested import cells, crystals, sae, two_scales
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.utils import estimator_html_repr

from sknestedae import NestedAutoencoder, stack_scales


def test_names_columns_and_parameters():
    X, y = cells()
    chain = NestedAutoencoder(
        [("crystal", sae(), ["radius", "mass"]), ("device", sae(3), slice("layer", "thickness"))]
    )
    assert chain.get_params()["crystal__n_components"] == 2
    chain.set_params(crystal__n_components=4, device__alpha=0.5)
    chain.fit(X, y)
    assert chain["crystal"].n_components == 4
    assert chain["device"].alpha == 0.5
    assert chain.named_stages_.crystal is chain["crystal"] is chain[0]
    assert chain.get_feature_names_out().tolist() == [
        f"device__supervisedautoencoder{i}" for i in range(3)
    ]
    latents = [f"crystal__supervisedautoencoder{i}" for i in range(4)]
    assert chain["device"].feature_names_in_.tolist() == ["layer", "thickness", *latents]
    assert chain.feature_names_in_.tolist() == X.columns.to_list()
    history = chain.history_.loc["crystal"].dropna(axis=1)
    pd.testing.assert_frame_equal(history, chain["crystal"].history_)
    assert chain.n_iter_ == 6
    replaced = clone(chain).set_params(crystal=PCA(1))
    assert isinstance(replaced.stages[0][1], PCA)
    assert replaced.stages[0][2] == ["radius", "mass"]
    assert chain.stages[1][1].n_components == 3  # what was cloned did not change


def test_parameters_of_the_default_estimator():
    X_list, y_list = two_scales()
    chain = NestedAutoencoder(max_iter=1).set_params(estimator__n_components=3)
    assert chain.get_params()["estimator__n_components"] == 3
    assert [Z.shape[1] for Z in chain.fit(X_list, y_list).transform(X_list)] == [3, 3]
    grid = {"estimator__n_components": [1, 2]}
    search = GridSearchCV(NestedAutoencoder(max_iter=1), grid, cv=2, error_score="raise")
    assert search.fit(*stack_scales(X_list, y_list)).best_params_["estimator__n_components"] < 3
    with pytest.raises(ValueError, match="Invalid parameter"):
        NestedAutoencoder().set_params(estimator__components=3)


def test_set_output():
    X_list, y_list = two_scales()
    chain = NestedAutoencoder(estimator=sae()).fit(X_list, y_list).set_output(transform="pandas")
    Z = chain.transform(X_list[1])
    assert Z.columns.to_list() == chain.get_feature_names_out().tolist()
    assert_array_equal(Z.index, X_list[1].index)
    first, second = chain.transform(X_list)
    assert first.columns.to_list() == [f"scale0__supervisedautoencoder{i}" for i in range(2)]
    assert second.shape == (30, 2)
    back = chain.inverse_transform(Z)
    assert_array_equal(back.index, Z.index)


def test_the_first_stages_are_a_chain():
    X_list, y_list = two_scales()
    chain = NestedAutoencoder(estimator=sae()).fit(X_list, y_list)
    part = chain[:1]
    assert len(part) == 1
    assert part[0] is chain[0]
    assert_array_equal(part.predict(X_list[0]), chain.predict(X_list)[0])
    assert_array_equal(part.predict(X_list[1]), chain.predict(X_list[1])[:, 0])
    for key, error, message in (
        (slice(1, None), ValueError, "begins with its first stage"),
        (slice(0, 0), ValueError, "at least one stage"),
        ("x", KeyError, "no stage 'x'"),
    ):
        with pytest.raises(error, match=message):
            chain[key]
    unfitted = NestedAutoencoder([("a", sae(), [0]), ("b", sae(), [1])])
    assert len(unfitted[:1]) == 1
    assert unfitted["b"] is unfitted.stages[1][1]
    with pytest.raises(TypeError, match="come from the data"):
        len(NestedAutoencoder())


def test_diagram_shows_the_chain():
    stages = [("crystal", sae(), ["radius"]), ("device", PCA(1), ["mass"])]
    for chain in (NestedAutoencoder(stages), NestedAutoencoder(stages).fit(crystals()[0])):
        html = estimator_html_repr(chain)
        places = [html.rindex(text) for text in ("<div>crystal: ", "latents of crystal", "PCA")]
        assert places == sorted(places)


def test_latents_of_all_stages():
    X_list, y_list = two_scales()
    X, y = stack_scales(X_list, y_list)
    last = NestedAutoencoder(estimator=sae(), n_components=[2, 3]).fit(X, y)
    every = clone(last).set_params(latents="all").fit(X, y)
    Z = every.transform(X)
    assert_array_equal(Z, np.hstack([last[:1].transform(X), last.transform(X)]))
    assert every.get_feature_names_out().tolist() == [
        "scale0__supervisedautoencoder0",
        "scale0__supervisedautoencoder1",
        *(f"scale1__supervisedautoencoder{i}" for i in range(3)),
    ]
    assert_array_equal([z.shape[1] for z in every.transform(X_list)], [2, 5])
    back = every.inverse_transform(Z)
    crystal = last["scale0"].inverse_transform(Z[:, :2])
    assert_array_equal(back["scale0"], crystal)
    assert_array_equal(back["scale1"], last.inverse_transform(Z[:, 2:])["scale1"])


def test_latents_of_a_fit_are_those_that_transform_gives():
    X_list, y_list = two_scales()
    chain = NestedAutoencoder(estimator=sae()).set_output(transform="pandas")
    for fitted, Z in zip(
        chain.fit_transform(X_list, y_list), chain.transform(X_list), strict=True
    ):
        pd.testing.assert_frame_equal(fitted, Z)


def test_output_is_wrapped_as_the_configuration_says_and_in_subclasses():
    class Chain(NestedAutoencoder):
        pass

    X_list, y_list = two_scales()
    chain = Chain(estimator=sae()).fit(X_list, y_list)
    for part, Z in zip((chain[:1], chain), chain.transform(X_list), strict=True):
        assert isinstance(part, Chain)
        assert isinstance(Z, np.ndarray)
    with config_context(transform_output="pandas"):
        wrapped = chain.transform(X_list)
        assert isinstance(chain.transform(X_list[1]), pd.DataFrame)
    for Z, plain in zip(wrapped, chain.transform(X_list), strict=True):
        assert_array_equal(Z.to_numpy(), plain)


def test_a_part_of_an_ensemble_is_an_ensemble():
    X_list, y_list = two_scales()
    chain = NestedAutoencoder(estimator=sae(), n_members=2).fit(X_list, y_list)
    part = chain[:1]
    assert len(part.members_) == 2
    assert [len(member) for member in part.members_] == [1, 1]
    assert len(chain) == 2
    mean, spread = part.predict(X_list[0], return_std=True)
    of_members = [member.predict(X_list)[0] for member in chain.members_]
    assert_allclose(mean, np.mean(of_members, axis=0))
    assert_allclose(spread, np.std(of_members, axis=0, ddof=1))


def test_another_last_estimator_changes_the_last_stage_alone():
    X_list, y_list = two_scales()
    chain = NestedAutoencoder(estimator=sae(), n_members=2).fit(X_list, y_list)
    before = chain.predict(X_list)
    changed = chain._with_last_estimator(chain.members_[1][-1])
    assert changed[0] is chain[0]
    assert changed[1] is chain.members_[1][1]
    assert len(changed.members_) == 1
    assert_array_equal(changed[:1].predict(X_list[0]), chain.members_[0].predict(X_list)[0])
    for now, then in zip(chain.predict(X_list), before, strict=True):
        assert_array_equal(now, then)


def test_what_there_is_after_fit_alone():
    chain = NestedAutoencoder(estimator=sae())
    names = ("stages_", "targets_", "members_", "n_iter_", "history_", "refine_history_")
    for name in names:
        with pytest.raises(AttributeError, match=f"has no {name} before fit"):
            getattr(chain, name)
    chain.fit(*two_scales())
    for name in names[:-1]:
        assert hasattr(chain, name)
    assert not hasattr(chain, "refine_history_")
