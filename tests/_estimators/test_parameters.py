"""Parameters of an estimator and of its blocks: given, set, cloned, searched over."""

from __future__ import annotations

import numpy as np
import pytest
from cases.supervised import TINY, regression
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
)
from sknestedae.blocks import Block, DenseBlock
from sknestedae.model_selection import BatchedGridSearchCV

both = pytest.mark.parametrize("cls", [SupervisedAutoencoder, SupervisedAutoencoderClassifier])


class WideBlock(Block):
    """A layer of some width, and a block within as a setting."""

    def __init__(self, width=3, inner=None):
        self.width = width
        self.inner = inner

    def make_encoder(self, layout):
        return nn.Linear(layout.n_values, self.width), self.width

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, layout.n_values)


def listed(**of_a):
    return [("a", WideBlock(**of_a), [0, 1]), ("b", WideBlock(7), [2])]


def width_of(estimator, name):
    return estimator.net_.module_.block_encoders[name].out_features


@both
def test_settings_of_blocks_are_parameters(cls):
    blocks = listed(inner=DenseBlock())
    params = cls(blocks=blocks).get_params()
    assert params["blocks"] is blocks
    assert params["blocks__a"] is blocks[0][1]
    own = {key: value for key, value in params.items() if key.startswith("blocks__")}
    assert own == {
        "blocks__a": blocks[0][1],
        "blocks__a__width": 3,
        "blocks__a__inner": blocks[0][1].inner,
        "blocks__a__inner__dropout": 0.0,
        "blocks__a__inner__clip": 5.0,
        "blocks__b": blocks[1][1],
        "blocks__b__width": 7,
        "blocks__b__inner": None,
    }
    assert not [key for key in cls(blocks=blocks).get_params(deep=False) if "__" in key]


@both
def test_settings_of_the_only_block_are_parameters(cls):
    block = WideBlock(4)
    params = cls(blocks=block).get_params()
    own = {key: value for key, value in params.items() if key.startswith("blocks")}
    assert own == {"blocks": block, "blocks__width": 4, "blocks__inner": None}


@pytest.mark.parametrize("blocks", ["auto", None, [], ["nonsense"], [("a", "b")]], ids=str)
def test_without_blocks_there_are_no_more_parameters(blocks):
    params = SupervisedAutoencoder(blocks=blocks).get_params()
    assert [key for key in params if key.startswith("blocks")] == ["blocks"]


def test_parameters_are_set_by_their_names():
    estimator = SupervisedAutoencoder(blocks=listed())
    assert estimator.set_params(blocks__a__width=5, alpha=0.3) is estimator
    assert (estimator.blocks[0][1].width, estimator.blocks[1][1].width) == (5, 7)
    assert estimator.alpha == 0.3
    assert estimator.set_params() is estimator
    alone = SupervisedAutoencoder(blocks=WideBlock()).set_params(blocks__width=9)
    assert alone.blocks.width == 9


def test_a_block_is_replaced_and_its_settings_with_it():
    """Whatever the order in which they are given, as in a pipeline."""
    before = listed()
    estimator = SupervisedAutoencoder(blocks=before)
    new = WideBlock(2)
    estimator.set_params(blocks__a__width=6, blocks__a=new)
    assert estimator.blocks == [("a", new, [0, 1]), before[1]]
    assert new.width == 6
    assert before[0][1].width == 3  # a list that others may hold is left alone
    estimator.set_params(blocks__c__width=8, blocks=[("c", WideBlock(), [0])])
    assert estimator.blocks[0][1].width == 8
    estimator.set_params(blocks__width=8, blocks=WideBlock())
    assert estimator.blocks.width == 8


@pytest.mark.parametrize(
    ("blocks", "key", "message"),
    [
        (listed(), "blocks__c__width", r"'blocks__c__width' .* of its blocks are \['a', 'b'\]"),
        (listed(), "blocks__c", r"'blocks__c' for estimator SupervisedAutoencoder"),
        (listed(), "blocks__a__depth", "Invalid parameter 'depth' for estimator WideBlock"),
        (WideBlock(), "blocks__depth", "Invalid parameter 'depth' for estimator WideBlock"),
        ("auto", "blocks__a__width", r"'blocks__a__width' .* of its blocks are \[\]"),
        (None, "blocks__a", r"'blocks__a' .* of its blocks are \[\]"),
        (listed(), "block_s", "Invalid parameter 'block_s'"),
    ],
    ids=str,
)
@both
def test_a_name_that_is_no_parameter(cls, blocks, key, message):
    message = message.replace("SupervisedAutoencoder", cls.__name__)
    with pytest.raises(ValueError, match=message):
        cls(blocks=clone(blocks, safe=False)).set_params(**{key: 1})


@pytest.mark.parametrize("blocks", [listed(), WideBlock(5)], ids=["list", "one"])
def test_a_clone_has_blocks_of_its_own(blocks):
    estimator = SupervisedAutoencoder(blocks=blocks)
    copied = clone(estimator)
    ours, theirs = copied.get_params(), estimator.get_params()
    assert ours.keys() == theirs.keys()
    widths = [key for key in ours if key.endswith("width")]
    assert [ours[key] for key in widths] == [theirs[key] for key in widths]
    copied.set_params(**{widths[0]: 99})
    assert estimator.get_params()[widths[0]] != 99


@pytest.mark.parametrize(
    ("blocks", "key", "name"),
    [(listed(), "blocks__a__width", "a"), (WideBlock(), "blocks__width", "X")],
    ids=["list", "one"],
)
@pytest.mark.parametrize("search", [GridSearchCV, BatchedGridSearchCV])
def test_a_search_over_the_settings_of_a_block(search, blocks, key, name):
    X, y = regression()
    estimator = SupervisedAutoencoder(**TINY, blocks=blocks)
    found = search(estimator, {key: [2, 5]}, cv=2, error_score="raise").fit(X, y)
    expected = [
        SupervisedAutoencoder(**TINY, blocks=clone(blocks, safe=False)).set_params(**{key: width})
        for width in (2, 5)
    ]
    for k, one in enumerate(expected):
        own = [found.cv_results_[f"split{i}_test_score"][k] for i in range(2)]
        halves = [(slice(30, None), slice(30)), (slice(30), slice(30, None))]
        alone = [clone(one).fit(X[t], y[t]).score(X[v], y[v]) for t, v in halves]
        np.testing.assert_allclose(own, alone, rtol=1e-6)
    best = found.best_params_[key]
    assert width_of(found.best_estimator_, name) == best
    assert estimator.get_params()[key] == 3  # the settings of the given one stay


def test_a_search_over_blocks_themselves():
    X, y = regression()
    grid = {"blocks__a": [WideBlock(2), DenseBlock()]}
    search = GridSearchCV(
        SupervisedAutoencoder(**TINY, blocks=listed()), grid, cv=2, error_score="raise"
    ).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) == 2


def test_settings_of_blocks_of_a_stage():
    X, y = regression()
    stages = [
        ("first", SupervisedAutoencoder(**TINY, blocks=[("a", WideBlock(), [0])]), [0, 1]),
        ("second", SupervisedAutoencoder(**TINY), [2, 3]),
    ]
    chain = NestedAutoencoder(stages).set_params(first__blocks__a__width=6).fit(X, y)
    assert width_of(chain["first"], "a") == 6


def test_settings_of_the_block_of_the_target_are_parameters():
    X, y = regression()
    estimator = SupervisedAutoencoder(**TINY, target_block=WideBlock())
    assert estimator.get_params()["target_block__width"] == 3
    assert estimator.set_params(target_block__width=4).target_block.width == 4
    assert estimator.fit(X, y).predict(X).shape == y.shape


def test_changing_a_block_after_fit_leaves_the_fit_alone():
    X, y = regression()
    estimator = SupervisedAutoencoder(**TINY, blocks=listed()).fit(X, y)
    expected = estimator.predict(X)
    estimator.set_params(blocks__a__width=9)
    assert_array_equal(estimator.predict(X), expected)
    assert width_of(clone(estimator).fit(X, y), "a") == 9
