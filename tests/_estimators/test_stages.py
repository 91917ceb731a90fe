"""The stages of a chain one by one: their columns, and what they are refused for."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from cases.nested import AB, cells, crystals, sae, same_rows
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.preprocessing import FunctionTransformer

from sknestedae import NestedAutoencoder, stack_scales
from sknestedae._estimators._fitted import fitted_part
from sknestedae._estimators._stages import Stage, heads_of, predict_with_std
from sknestedae.exceptions import NoTargetError


def bad_fit(stages=None, X=None, y=None, **parameters):
    X = cells()[0] if X is None else X
    return NestedAutoencoder(stages, **{"max_iter": 1, **parameters}).fit(X, y)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([("a", sae(), []), ("b", sae(), ["mass"])], r"Stage 'a' has no columns: \[\] is none"),
        ([("a", sae(), ["radius"]), ("b", sae(), ["mess"])], "in stage 'b', names the .*'mess'"),
        ([("a__b", sae(), ["radius"])], "without '__', got 'a__b'"),
        ([("a", sae(), ["radius"]), ("a", sae(), ["mass"])], r"\['a'\] are there more than once"),
        ([("latents", sae(), ["radius"])], r"names that parameters have, got \['latents'\]"),
        ([("a", sae())], "must be a list of tuples"),
        ([], "at least one stage"),
    ],
)
def test_stages_that_can_not_be(stages, message):
    with pytest.raises(ValueError, match=message):
        bad_fit(stages)


def test_stages_that_can_not_do_what_they_must():
    with pytest.raises(TypeError, match="stage 'a' must have the methods fit and transform"):
        bad_fit([("a", 3, ["radius"])])
    X, y = crystals()
    with pytest.raises(
        TypeError, match="Stage 'a' has a target, but its estimator has no predict"
    ):
        bad_fit([("a", PCA(1), [0]), ("b", sae(), [1])], X, np.column_stack([y, y]))
    with pytest.raises(TypeError, match="In stage 'a': PCA cannot be fitted with sample_weight"):
        NestedAutoencoder([("a", PCA(1), [0, 1])]).fit(X, sample_weight=np.ones(40))
    chain = NestedAutoencoder([("a", FunctionTransformer(), [0, 1])]).fit(X)
    assert chain.get_feature_names_out().tolist() == ["a__latent0", "a__latent1"]
    with pytest.raises(NoTargetError, match="without a target"):
        NestedAutoencoder(max_iter=1).fit(X).predict(X)


def test_tables_that_do_not_go_together():
    (first, gap), (second, pce) = crystals(), cells()
    with pytest.raises(ValueError, match=r"lacks \['mass'\]"):
        bad_fit(None, [first, second.drop(columns="mass")], [gap, pce])
    with pytest.raises(ValueError, match="y_list has 1 targets, but there are 2 scales"):
        bad_fit(None, [first, second], [gap])
    with pytest.raises(ValueError, match="a list of 1 tables, but there are 2 stages"):
        bad_fit(AB, [first], [gap])
    with pytest.raises(ValueError, match="'scale1' has 29 rows, but its table has 30"):
        bad_fit(None, [first, second], [gap, pce[1:]])
    twice = pd.concat([second, second[["mass"]]], axis=1)
    with pytest.raises(ValueError, match=r"X has the columns \['mass'\] more than once"):
        bad_fit(None, twice)
    with pytest.raises(ValueError, match="sample_weight must be a list of the weights"):
        NestedAutoencoder(max_iter=1).fit([first, second], sample_weight=np.ones(70))


def test_targets_and_rows_that_are_not_there():
    (first, gap), (second, pce) = crystals(), cells()
    with pytest.raises(ValueError, match="'scale0' has no measured row among the 40 rows"):
        bad_fit(None, [first, second], [gap * np.nan, pce])
    X, y = stack_scales([first, second], [gap, pce])
    y.loc[X.index.get_level_values(0) == "scale1", ("scale0", "gap")] = 1.0
    y.loc[X.index.get_level_values(0) == "scale0", ("scale0", "gap")] = np.nan
    with pytest.raises(ValueError, match=r"30 are measured in rows of other scales"):
        bad_fit(None, X, y)
    empty = second.copy()
    empty.iloc[[4, 6]] = None
    with pytest.raises(ValueError, match=r"Row 4 \(index 4\) has .*, as have 1 more; leave"):
        bad_fit(AB, empty, pce)
    stacked, y = stack_scales([first, empty.drop(index=6)], [gap, pce.drop(index=6)])
    position = stacked.index.get_loc(("scale1", 4))
    where = re.escape(f"Row {position} (index ('scale1', 4)) has nothing measured at any")
    with pytest.raises(ValueError, match=where):
        bad_fit(None, stacked, y)
    with pytest.raises(ValueError, match=r"Stage 'scale1' has 1 row\(s\) to train on"):
        bad_fit(None, [first, second.iloc[:1]], [gap, pce[:1]])
    with pytest.raises(ValueError, match=r"y has 3 columns, .* but the scales are"):
        bad_fit(AB, second, np.ones((30, 3)))
    infinite = second.copy()
    infinite["thickness"] = np.inf
    with pytest.raises(ValueError, match="In stage 'b': Column 'thickness' contains infinity"):
        bad_fit(AB, infinite, pce)


def test_a_scale_reaches_later_ones_past_one_that_was_not_measured():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3)), columns=list("abc"))
    stages = [(f"stage {label}", sae(), [label]) for label in X]
    chain = NestedAutoencoder(stages).fit(X)
    incomplete = X.assign(b=np.nan)
    assert (
        chain.transform(incomplete) != chain.transform(incomplete.assign(a=incomplete["a"] + 1))
    ).all()


def test_an_estimator_that_needs_labels_has_the_weights_of_the_labelled_rows():
    X = np.random.default_rng(0).normal(size=(40, 3))
    y, weight = X[:, :2].copy(), np.linspace(0.1, 2, 40)
    y[::3, 0] = np.nan
    kmeans = KMeans(3, n_init=1, random_state=0)
    chain = NestedAutoencoder([("k", kmeans, [0, 1]), ("s", sae(), [2])]).fit(X, y, weight)
    known = ~np.isnan(y[:, 0])
    alone = clone(kmeans).fit(X[known, :2], sample_weight=weight[known])
    assert_allclose(chain["k"].cluster_centers_, alone.cluster_centers_)


def round_by_place(X):
    """Give back what is given, rounded in another way at each place, as a product may be."""
    values = np.array(X, dtype=float)
    return values * (1 + np.finfo(float).eps * (np.arange(len(values)) % 3))[:, None]


def test_replicates_stay_together_at_a_later_stage_too():
    """Early stopping tells them by their latents, which are the same to the last bit."""
    (first, second), (_, target) = same_rows(n_rows=40)
    X = pd.concat([first, second], axis=1)
    stages = [
        ("a", FunctionTransformer(round_by_place), ["u0", "v0"]),
        ("b", sae(early_stopping=True, validation_fraction=0.2), ["u1", "v1"]),
    ]
    many = pd.concat([X] * 4, ignore_index=True)
    chain = NestedAutoencoder(stages).fit(many, pd.concat([target] * 4, ignore_index=True))
    totals = chain["b"].net_.totals_
    assert (totals["train"].rows, totals["valid"].rows) == (4 * 32, 4 * 8)


@pytest.mark.parametrize("network", [0, 1])
def test_an_ensemble_has_a_standard_deviation_where_one_member_has(network):
    """Whichever member it is: with predictor="auto" and drawn rows, members may differ."""
    X, y = crystals()
    estimator = sae(predictor="gaussian_process", n_members=2).fit(X, y)
    fitted_part(estimator.members_[network]).head = None
    stage = Stage("a", estimator, [0, 1])
    assert [head is None for head in heads_of(stage)] == [network == 0, network == 1]
    prediction, std = predict_with_std(stage, X, None)
    process = estimator.members_[1 - network]
    assert (std >= process.predict(X, return_std=True)[1] / np.sqrt(2)).all()
    assert_allclose(prediction, estimator.predict(X))


def test_other_stages_have_no_standard_deviation():
    X, y = crystals()
    for estimator in (sae(), sae(n_members=2), PLSRegression(1)):
        stage = Stage("a", estimator.fit(X, y), [0, 1])
        prediction, std = predict_with_std(stage, X, None)
        assert std is None
        assert_allclose(prediction, estimator.predict(X))
