"""Which columns enter the first layer, on data with a known answer."""

import numpy as np
import pandas as pd
import pytest
import torch
from cases.design import SIDE
from cases.inspection import TINY
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
)
from sknestedae.blocks import ArrayBlock, DenseBlock
from sknestedae.inspection import (
    column_usage,
    encoder_weights,
)


def test_latents_of_a_linear_encoder_follow_from_the_weights(X):
    linear = SupervisedAutoencoder(**{**TINY, "hidden_layer_sizes": ()}).fit(X)
    weights = encoder_weights(linear)
    assert weights.columns.to_list() == list(linear.get_feature_names_out())
    assert weights.index.get_level_values(0).to_list() == [
        *("radius", "energy", "phase", "phase", "phase", "mass")
    ]
    values = pd.DataFrame(
        {
            (column, category): (X[column] - X[column].mean()) / X[column].std(ddof=0)
            if category == ""
            else X[column] == category
            for column, category in weights.index
        }
    )
    difference = linear.transform(X) - values.to_numpy(dtype=float) @ weights.to_numpy()
    assert_allclose(difference, np.broadcast_to(difference[0], difference.shape))  # the bias


def test_weights_of_a_hidden_layer_have_a_column_a_unit(sae):
    weights = encoder_weights(sae)
    assert weights.shape == (6, 8)
    assert weights.columns[0] == "unit0"
    assert weights.loc["phase"].index.to_list() == ["cubic", "hexagonal", "tetragonal"]
    assert weights.xs("", level="category").index.to_list() == ["radius", "energy", "mass"]


def test_usage_sums_the_weights_of_a_column(sae):
    weights, usage = encoder_weights(sae).abs(), column_usage(sae, threshold=0.5)
    assert usage.index.to_list() == ["radius", "energy", "phase", "mass"]
    top = weights.to_numpy().max()
    for column, row in usage.iterrows():
        own = weights.loc[column].to_numpy()
        assert row["l1"] == pytest.approx(own.sum())
        assert row["l2"] == pytest.approx(np.linalg.norm(own))
        assert row["largest"] == pytest.approx(own.max() / top)
        assert row["n_units"] == (own > 0.5 * top).any(axis=0).sum()
    assert usage["largest"].max() == 1
    assert_array_equal(usage["used"], usage["n_units"] > 0)


def test_an_l1_penalty_leaves_out_what_the_target_has_no_use_for():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(200, 5)), columns=list("abcde"))
    X["word"] = rng.choice(["x", "y", "z"], size=200)
    y = X["b"] + 2 * (X["word"] == "x") - X["e"]
    sae = SupervisedAutoencoder(
        2,
        hidden_layer_sizes=(10,),
        reconstruction_weight=0,
        l1=0.01,
        alpha=0,
        max_iter=300,
        random_state=0,
    )
    used = column_usage(sae.fit(X, y))["used"]
    assert used[used].index.to_list() == ["b", "e", "word"]
    assert column_usage(sae.set_params(l1=0.0).fit(X, y))["used"].all()


def test_weights_of_a_stage_name_the_latents_before(chain):
    usage = column_usage(chain)
    latents = [f"inner__supervisedautoencoder{k}" for k in range(2)]
    assert usage.index.to_list() == ["phase", "mass", *latents]
    assert column_usage(chain, "inner").index.to_list() == ["energy", "radius"]
    pd.testing.assert_frame_equal(column_usage(chain, 1), usage)


def test_weights_of_arrays_have_positions(X):
    table = X[["radius", "energy", "mass"]].to_numpy()
    sae = SupervisedAutoencoder(**TINY)
    assert column_usage(sae.fit(table)).index.to_list() == [0, 1, 2]
    chain = NestedAutoencoder([("a", sae, [2]), ("b", sae, [1, 0])]).fit(table)
    assert column_usage(chain, "a").index.to_list() == [2]
    latents = [f"a__supervisedautoencoder{k}" for k in range(2)]
    assert column_usage(chain).index.to_list() == [1, 0, *latents]


def test_weights_inside_pipelines_searches_and_two_levels(X):
    table = X[["radius", "energy"]]
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"))
    pipeline.steps.append(("sae", SupervisedAutoencoder(**TINY)))
    assert column_usage(pipeline.fit(table)).index.to_list() == ["radius", "energy"]
    search = GridSearchCV(SupervisedAutoencoder(**TINY), {"n_components": [2]}, cv=2).fit(table)
    assert column_usage(search).index.to_list() == ["radius", "energy"]
    both = pd.concat({"one": table, "two": X[["phase"]]}, axis=1)
    weights = encoder_weights(SupervisedAutoencoder(**TINY).fit(both))
    assert weights.index[0] == (("one", "radius"), "")
    usage = column_usage(SupervisedAutoencoder(**TINY).fit(both))
    assert usage.index.to_list() == [("one", "radius"), ("one", "energy"), ("two", "phase")]


def test_weights_of_a_block_are_of_its_outputs(with_block):
    weights = encoder_weights(with_block)
    assert weights.loc["twice"].index.to_list() == [0, 1, 2, 3]
    assert weights.loc["radius"].shape == (1, 8)
    assert len(weights) == with_block.net_.module_.encoder[0].in_features


class Renamed(DenseBlock):
    """A dense block whose columns enter as they are."""


class Before(DenseBlock):
    """A dense block with a layer before."""

    def make_encoder(self, layout):
        return torch.nn.Linear(layout.n_values, 3), 3


@pytest.mark.parametrize(
    ("block", "index"), [(DenseBlock(), [""]), (Renamed(), [""]), (Before(), [0, 1, 2])]
)
def test_weights_of_subclasses_of_dense_block(X, y, block, index):
    """A column is named where it enters as it is, else the block is."""
    sae = SupervisedAutoencoder(**TINY, blocks=[("mine", block, ["mass"])])
    weights = encoder_weights(sae.fit(X[["radius", "mass"]], y))
    name = "mine" if isinstance(block, Before) else "mass"
    assert weights.loc[name].index.to_list() == index


@pytest.mark.parametrize("threshold", [-0.1, 1, "1%"])
def test_the_threshold_is_a_fraction(sae, threshold):
    with pytest.raises(ValueError, match=f"'threshold' parameter .* got {threshold!r}"):
        column_usage(sae, threshold=threshold)


class Strict(ArrayBlock):
    """A block whose encoder must be told what is missing."""

    def make_encoder(self, layout):
        class Encoder(nn.Linear):
            def forward(self, values, missing):
                return super().forward(values)

        return Encoder(layout.n_values, 5), 5

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, layout.n_values)


def test_weights_of_blocks_of_arrays_are_of_their_outputs(of_arrays):
    sae, X = of_arrays
    usage = column_usage(sae)
    assert usage.index.to_list() == ["u", "image", "kind", "spectrum"]
    weights = encoder_weights(sae)
    assert len(weights) == sae.net_.module_.encoder[0].in_features
    assert len(weights.loc["image"]) > SIDE**2  # the pixels, and the outputs of convolutions
    strict = SupervisedAutoencoder(**TINY, blocks=[("image", Strict(), "image")])
    weights = encoder_weights(strict.fit(X[["u", "image"]]))
    assert weights.loc["image"].index.to_list() == [0, 1, 2, 3, 4]
