"""Checks that estimators share."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from cases.array_tables import as_cells
from cases.supervised import regression
from numpy.testing import assert_array_equal
from sklearn.linear_model import Ridge
from torch import nn

from sknestedae import SupervisedAutoencoder
from sknestedae._estimators._validation import (
    all_or_nothing,
    check_beta,
    check_block_names,
    check_block_weights,
    check_blocks,
    check_divergence,
    check_spread,
    check_table,
    check_target_bounds,
    check_training_rows,
    warn_of_collapse,
)
from sknestedae._tables._codec import TabularCodec
from sknestedae._tables._encoder import TableEncoder
from sknestedae.blocks import ArrayBlock, AtomsBlock, DenseBlock, ImageBlock, SpectrumBlock
from sknestedae.exceptions import (
    CollapsedLatentsWarning,
    DivergenceError,
    DivergenceWarning,
)


@pytest.mark.parametrize("as_table", [np.asarray, pd.DataFrame, lambda X: X.tolist()])
def test_rows_of_weight_0_are_left_out(as_table):
    X, y = regression()
    weight = np.arange(len(X)) % 3.0
    rows = check_training_rows(as_table(X), y, weight)
    assert_array_equal(np.asarray(rows.X), X[weight > 0])
    assert_array_equal(rows.of(y), y[weight > 0])
    assert_array_equal(rows.of(pd.Series(y)), y[rows.kept])
    assert_array_equal(rows.sample_weight, weight[weight > 0])
    assert rows.of(None) is None


@pytest.mark.parametrize("weight", [None, 2.0])
def test_of_positive_weights_all_rows_are_kept(weight):
    X, y = regression()
    rows = check_training_rows(X, y, weight if weight is None else np.full(len(X), weight))
    assert rows.X is X
    assert rows.of(y) is y
    assert len(y[rows.kept]) == len(X)
    assert rows.power == 0


def test_weights_are_scaled_by_a_power_of_two():
    X, y = regression()
    weight = np.linspace(1, 3, len(X)) * 2.0**40
    weight[0] = 1e-200  # beside the others it is nothing
    rows = check_training_rows(X, y, weight, scale=True)
    assert_array_equal(np.ldexp(rows.sample_weight, rows.power), weight[1:])
    assert 1 <= rows.sample_weight.max() < 2
    assert len(check_training_rows(X, y, weight).X) == len(X)


def test_what_does_not_belong_together_is_refused():
    X, y = regression()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        check_training_rows(X, y[1:], np.zeros(len(X)))
    with pytest.raises(ValueError, match=r"inconsistent|shape"):
        check_training_rows(X, y, np.ones(len(X) - 1))
    with pytest.raises(ValueError, match="Negative values"):
        check_training_rows(X, y, np.full(len(X), -1.0))
    with pytest.raises(ValueError, match=r"is 0 for all rows|one non-zero"):
        check_training_rows(X, y, np.zeros(len(X)))


def test_estimators_are_as_they_were_where_a_fit_fails():
    X, y = regression()
    old, new = Ridge().fit(X, y), Ridge(2)
    coef = old.coef_

    def fit_and_fail():
        with all_or_nothing(old, new):
            old.set_params(alpha=3).fit(X, -y)
            new.fit(X, y)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_and_fail()
    assert old.coef_ is coef
    assert old.alpha == 1
    assert vars(new) == vars(Ridge(2))
    with all_or_nothing(old, new):
        new.fit(X, y)
    assert hasattr(new, "coef_")


def net(best_iter, diverged_iter):
    best = SimpleNamespace(best_iter_=best_iter, diverged_iter_=diverged_iter)
    return SimpleNamespace(callbacks_=[("_best_epoch", best)])


def test_a_divergence_is_told_by_what_is_left():
    assert check_divergence(net(5, None), "The loss", "Wait.") == 5
    with pytest.warns(DivergenceWarning, match=r"^The loss diverged .* epoch 4; .* 3, is kept. W"):
        assert check_divergence(net(3, 4), "The loss", "Wait.") == 3
    with pytest.raises(DivergenceError, match=r"in epoch 1, before any epoch could be kept. Wait"):
        check_divergence(net(0, 1), "The loss", "Wait.")


# -- kinds of data


class Images(ArrayBlock):
    """A block of arrays, with the codec of numbers."""

    def make_codec(self, columns):
        return TabularCodec(columns)

    def make_encoder(self, layout):
        return nn.Linear(layout.n_values, 3), 3

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, layout.n_values)


def test_blocks_are_given_as_triples():
    table, image = np.ones((3, 4)), Images()
    assert check_blocks(None, table) == []
    assert check_blocks("auto", table) == []
    assert check_blocks("auto", pd.DataFrame({"a": ["x", None]})) == []
    assert check_blocks(image, table) == [("X", image, slice(None))]
    triples = [("image", image, [0, 1]), ("other", DenseBlock(), slice(2, 4))]
    assert check_blocks(triples, table) == triples


def test_a_column_of_arrays_has_a_block_by_its_shape():
    """A name that cannot be a block's is that of its place."""
    X = pd.DataFrame({"size": [1.0, 2.0]})
    X["line"] = [None, np.ones(5)]
    X["map"] = [np.ones((2, 2)), np.nan]
    X["my map"] = X["table"] = X["map"]
    X[("a", 1)] = X["line"]
    X["words"] = ["x", "y"]
    found = check_blocks("auto", X)
    kinds = {name: (type(block), columns) for name, block, columns in found}
    assert kinds == {
        "line": (SpectrumBlock, [1]),
        "map": (ImageBlock, [2]),
        "column_3": (ImageBlock, [3]),
        "column_4": (ImageBlock, [4]),
        "a_1": (SpectrumBlock, [5]),
    }


def test_a_column_of_structures_has_a_block():
    """Also of an array, in which arrays are read as they are."""
    salt = bulk("NaCl", "rocksalt", a=5.6)
    X = pd.DataFrame({"size": [1.0, 2.0], "crystal": as_cells([None, salt])})
    X["line"] = [np.ones(5), None]
    found = check_blocks("auto", X)
    kinds = {name: (type(block), columns) for name, block, columns in found}
    assert kinds == {"crystal": (AtomsBlock, [1]), "line": (SpectrumBlock, [2])}
    array = X.to_numpy(dtype=object)
    found = check_blocks("auto", array)
    assert [(name, type(own), columns) for name, own, columns in found] == [
        ("column_1", AtomsBlock, [1])
    ]
    assert check_blocks(None, X) == []
    column = as_cells([salt, None])[:, None]
    ((_, block, columns),) = check_blocks("auto", column)
    assert (type(block), columns) == (AtomsBlock, [0])


@pytest.mark.parametrize("name", ["two__parts", "table", "keys", "1a", 1])
def test_names_that_blocks_cannot_have(name):
    with pytest.raises(ValueError, match=r"'blocks' parameter .* got \['good', "):
        check_blocks([("good", DenseBlock(), [0]), (name, DenseBlock(), [1])], np.ones((2, 2)))
    with pytest.raises(ValueError, match="distinct names"):
        check_block_names(["good", "good"])


def test_blocks_count_alike_unless_their_weights_say_otherwise():
    assert check_block_weights(None, ["a", "b", "c", "d"]) == dict.fromkeys("abcd", 0.25)
    assert check_block_weights({"a": 3, "b": np.float32(1)}, ["b", "a"]) == {"b": 0.25, "a": 0.75}
    assert check_block_weights({"a": 0, "b": 2}, ["a", "b"]) == {"a": 0, "b": 1}


@pytest.mark.parametrize(
    "weights",
    [
        {"a": 1},
        {"a": 1, "b": 1, "c": 1},
        {"a": 1, "b": -1},
        {"a": 0, "b": 0},
        {"a": 1, "b": np.nan},
        {"a": 1, "b": np.inf},
        {"a": 1, "b": None},
        {"a": 1, "b": "1"},
        {"a": 1, "b": True},
        {},
    ],
    ids=str,
)
def test_bad_weights_of_blocks_raise(weights):
    with pytest.raises(ValueError, match=r"'block_weights' .* the blocks are \['a', 'b'\], got"):
        check_block_weights(weights, ["a", "b"])


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        (None, (None, None)),
        ((0, None), (0.0, None)),
        ([None, 1], (None, 1.0)),
        ((-np.inf, np.inf), (None, None)),
        ((0, 100), (0.0, 100.0)),
        ((np.float32(-1.5), np.int64(2)), (-1.5, 2.0)),
    ],
)
def test_bounds_of_a_target(bounds, expected):
    found = check_target_bounds(bounds)
    assert found == expected
    assert {type(end) for end in found} <= {float, type(None)}


@pytest.mark.parametrize(
    "bounds", [(0,), (0, 1, 2), (1, 0), (1, 1), (np.nan, 1), ("0", 1), (False, 1), 3.0, {0, 1}]
)
def test_bad_bounds_raise(bounds):
    with pytest.raises(ValueError, match=r"'target_bounds' parameter must be None or \(low, hi"):
        check_target_bounds(bounds)


def checked(X, blocks, fitted=None):
    estimator = SupervisedAutoencoder(blocks=blocks)
    if fitted is not None:
        estimator.n_features_in_ = fitted.n_features
    return check_table(estimator, X, "from_dtype", fitted)


def test_rows_of_any_shape_are_laid_flat_for_a_block_that_takes_all():
    X = np.arange(24.0).reshape(2, 3, 4)
    assert_array_equal(checked(X, Images()), X.reshape(2, 12))
    for blocks in (None, "auto", [("a", Images(), [0])]):
        with pytest.raises(ValueError, match=r"with dim 3, .* shape \(2, 3, 4\)\. .*=ImageBlock"):
            checked(X, blocks)


def test_rows_keep_the_shape_that_they_were_fitted_with():
    X = np.arange(24.0).reshape(2, 3, 4)
    by_shape = TableEncoder(cell_shape=(3, 4)).fit(X.reshape(2, 12))
    by_width = TableEncoder().fit(X.reshape(2, 12))
    assert_array_equal(checked(X, Images(), by_shape), X.reshape(2, 12))
    assert_array_equal(checked(X.reshape(2, 12), Images(), by_shape), X.reshape(2, 12))
    with pytest.raises(ValueError, match=r"shape \(4, 3\), but those of fit had \(3, 4\)"):
        checked(X.reshape(2, 4, 3), Images(), by_shape)
    with pytest.raises(ValueError, match=r"shape \(3, 4\), but those of fit had \(12,\)"):
        checked(X, Images(), by_width)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("uint8", "float32"),
        ("int16", "float32"),
        ("bool", "float32"),
        ("int32", "float64"),
        ("float32", "float32"),
        ("float64", "float64"),
    ],
)
def test_pixels_that_float32_holds_are_float32(dtype, expected):
    X = np.arange(12).reshape(2, 3, 2).astype(dtype)
    found = checked(X, Images())
    assert found.dtype == expected
    assert_array_equal(found, X.reshape(2, 6).astype(float))
    assert checked(X.reshape(2, 6), Images()).dtype == expected
    # numbers of a table are what they were
    assert checked(np.arange(4, dtype="uint8").reshape(2, 2), "auto").dtype == "float64"


# -- variational latents


def test_a_beta_says_whether_latents_are_densities():
    assert not check_beta(None, "tanh")
    for beta in (0, 0.0, 1.0):
        assert check_beta(beta, "identity")
    with pytest.raises(ValueError, match=r"'latent_activation' .* \(beta=0.5\).*got 'relu'"):
        check_beta(0.5, "relu")


def test_points_have_no_spread():
    check_spread(True)
    with pytest.raises(ValueError, match=r"return_std=True needs variational latents"):
        check_spread(False)


@pytest.mark.parametrize("n_active", [None, 3])
def test_nothing_is_said_of_latents_that_are_points_or_active(n_active):
    warn_of_collapse(n_active, 3, 0.1)


def test_collapsed_latents_are_said_with_their_number():
    with pytest.warns(CollapsedLatentsWarning, match=r"2 of 3 latents .*'beta' \(it is 0.1\)"):
        warn_of_collapse(1, 3, 0.1)
