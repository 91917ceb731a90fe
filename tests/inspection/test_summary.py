"""The layers of a network as a table."""

import numpy as np
import pandas as pd
import pytest
import torch
from cases.inspection import TINY
from cases.kinds import make_dual, make_kinds
from cases.nested import clf, sae, same_rows, two_scales
from cases.structures import SETTINGS, atoms_block, salts
from numpy.testing import assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import NestedAutoencoder, SupervisedAutoencoder
from sknestedae.blocks import ImageBlock
from sknestedae.inspection import summary

PARTS = ["encoder", "decoder", "predictor"]


def fitted_networks():
    """Give networks of every kind, and of every way in which rows go through one."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    images = rng.normal(size=(12, 6, 6))
    crystals, energy = salts(1)
    mixed = pd.DataFrame({"s": crystals, "t": np.arange(len(crystals)) * 1.0})
    atoms = {"blocks": [("s", atoms_block(per_atom=True), ["s"])], **SETTINGS}
    settings = {**TINY, "predictor": "network"}
    return {
        "table": SupervisedAutoencoder(**settings, dropout=0.1).fit(X, y),
        "variational": SupervisedAutoencoder(**settings, beta=1e-3).fit(X.astype(np.float32), y),
        "without hidden layers": SupervisedAutoencoder(
            **{**settings, "hidden_layer_sizes": ()}, target_bounds=(-9, None)
        ).fit(X, y),
        "images": SupervisedAutoencoder(**settings, blocks=ImageBlock(n_channels=(2,))).fit(
            images
        ),
        "atoms": SupervisedAutoencoder(**atoms).fit(mixed, energy),
        "dual": make_dual().fit(make_kinds()[0]),
        "separated": make_dual(alignment="separated").fit(make_kinds()[0]),
    }


@pytest.fixture(scope="module")
def networks():
    return fitted_networks()


def test_all_parameters_are_counted_once(networks):
    for name, estimator in networks.items():
        layers, module = summary(estimator), estimator.net_.module_
        expected = sum(parameter.numel() for parameter in module.parameters())
        assert layers["n_parameters"].sum() == expected, name
        assert layers.index.is_unique
        for layer, row in layers.iterrows():
            own = module.get_submodule(layer)
            assert type(own).__name__ == row["type"]
            if isinstance(own, torch.nn.Linear):
                n_biases = 0 if own.bias is None else own.out_features
                n_weights = own.in_features * own.out_features
                assert row["n_parameters"] == n_weights + n_biases


def test_parts_stand_in_the_order_of_rows(networks):
    for name, estimator in networks.items():
        layers = summary(estimator)
        places = layers["part"].map(PARTS.index)
        assert places.is_monotonic_increasing, name
        assert set(layers["block"]) <= {"", *estimator.blocks_}
        assert ("predictor" in set(layers["part"])) == (
            estimator.net_.module_.predictor is not None
        )


def test_what_enters_a_layer_is_what_the_one_before_gave(networks):
    layers = summary(networks["table"])
    encoder = layers[layers["part"] == "encoder"]
    assert encoder["input_shape"].iloc[0] == (3,)
    assert encoder["output_shape"].iloc[-1] == (TINY["n_components"],)
    for name in ("encoder", "decoder"):
        own = layers[layers.index.str.startswith(f"{name}.")]
        assert own["input_shape"].iloc[1:].to_list() == own["output_shape"].iloc[:-1].to_list()
    assert layers.loc["block_decoders.table", "output_shape"] == (3,)
    assert layers["output_shape"].iloc[-1] == (2,)
    images = summary(networks["images"])
    assert images["input_shape"].iloc[0] == (1, 6, 6)
    assert set(images["block"]) == {"", "X"}
    variational = summary(networks["variational"])
    assert (2 * TINY["n_components"],) in variational["output_shape"].to_list()


def test_the_network_stays_as_it_is(networks):
    estimator = networks["table"]
    module = estimator.net_.module_
    before = {name: value.clone() for name, value in module.state_dict().items()}
    summary(estimator)
    assert not module.training
    assert not any(len(layer._forward_hooks) for layer in module.modules())
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_chain_has_the_layers_of_its_stages():
    X, y = two_scales()
    stages = [
        ("a", sae(3), ["radius", "mass"]),
        ("b", sae(predictor="gaussian_process"), ["layer", "thickness"]),
    ]
    chain = NestedAutoencoder(stages).fit(X, y)
    layers = summary(chain)
    assert layers.index.names == ["stage", "layer"]
    assert_array_equal(layers.index.unique("stage"), ["a", "b"])
    pd.testing.assert_frame_equal(layers.loc["a"], summary(chain["a"]))
    last = layers.iloc[-1]
    assert (last["part"], last["type"], last["n_parameters"]) == (
        "predictor",
        "GaussianProcess",
        0,
    )
    # the second stage has two columns, one of them of two categories, and the latents before
    assert layers.loc[("b", "encoder.0"), "input_shape"] == (1 + 2 + 3,)


def test_stages_of_other_kinds_have_a_row():
    tables, y = same_rows()
    X, labels = np.hstack(tables), np.where(y[1] > 0, "yes", "no")
    inner = NestedAutoencoder([("c", sae(), [0]), ("d", sae(), [1])])
    stages = [("a", PCA(2), [0, 1]), ("b", make_pipeline(StandardScaler(), clf()), [2, 3])]
    layers = summary(NestedAutoencoder(stages).fit(X, labels))
    assert layers.loc[("a", ""), "type"] == "PCA"
    assert layers.loc[("a", ""), "n_parameters"] == 0
    assert layers.loc["b"]["output_shape"].iloc[-1] == (2,)
    nested = summary(NestedAutoencoder([("i", inner, [0, 1]), ("b", sae(), [2, 3])]).fit(X))
    assert_array_equal(nested.index.unique("stage"), ["i__c", "i__d", "b"])


def test_pipelines_searches_and_ensembles():
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20.0)
    alone = summary(SupervisedAutoencoder(**TINY).fit(X, y))
    search = GridSearchCV(SupervisedAutoencoder(**TINY, n_members=2), {"alpha": [0.1]}, cv=2)
    layers = summary(make_pipeline(StandardScaler(), search).fit(X, y))
    pd.testing.assert_frame_equal(layers, alone)


def test_what_has_no_layers():
    X = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(TypeError, match=r"summary needs a supervised autoencoder or .* got a PCA"):
        summary(PCA(1).fit(X))
    with pytest.raises(NotFittedError):
        summary(SupervisedAutoencoder())
