"""The one object of what was fitted: what it does is what the public methods give."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from cases.supervised import TINY, mixed_table, regression
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score

from sknestedae import SupervisedAutoencoder
from sknestedae._estimators._fitted import (
    FittedAutoencoder,
    fitted_part,
    least_squares_plane,
    reconstruction_r2,
)
from sknestedae._tables._layout import Encoded, Layout
from sknestedae.blocks import DenseBlock


def fitted(**settings):
    X, y = mixed_table()
    return SupervisedAutoencoder(**{**TINY, **settings}).fit(X, y), X, y


def test_the_public_methods_are_those_of_the_object():
    estimator, X, _ = fitted()
    part = fitted_part(estimator)
    Z = estimator.transform(X)
    assert_array_equal(part.latents(X), Z)
    assert_array_equal(part.target.decode(part.predict(X)), estimator.predict(X))
    assert_array_equal(part.scores(X), estimator.score_samples(X))
    assert part.reconstruction_score(X, None) == estimator.score(X)
    assert part.table.inverse_transform(part.decode(Z)).equals(estimator.inverse_transform(Z))
    assert part.n_components == Z.shape[1]
    assert part.net is estimator.net_
    assert part.history is estimator.history_
    assert (part.best_iter, part.alpha) == (estimator.best_iter_, estimator.alpha_)


def test_a_batch_has_the_encoded_rows_on_the_device():
    estimator, X, _ = fitted()
    part = fitted_part(estimator)
    batch = part.batch(X)
    assert batch.device == part.device
    for name, block in part.encode(X).items():
        assert_array_equal(batch.values[name].numpy(), block.values)
        assert batch.values[name].dtype == part.dtype
        assert part.layouts[name].n_values == block.values.shape[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_type_is_that_of_the_parameters(dtype):
    X, y = regression()
    part = fitted_part(SupervisedAutoencoder(**TINY).fit(X.astype(dtype), y))
    assert {parameter.dtype for parameter in part.module.parameters()} == {part.dtype}
    assert part.dtype == getattr(torch, dtype)


def test_rows_in_chunks_are_the_rows(monkeypatch):
    estimator, X, _ = fitted()
    part = fitted_part(estimator)
    Z, decoded = part.latents(X), part.decode(part.latents(X))
    monkeypatch.setattr("sknestedae._training._data.CHUNK_ROWS", 7)
    assert_allclose(part.latents(X), Z, atol=1e-12)
    for name, values in part.decode(Z).items():
        assert_allclose(values, decoded[name], atol=1e-12)


def test_an_object_comes_back_from_its_state():
    estimator, X, _ = fitted()
    part = fitted_part(estimator)
    made = []

    def make_net(setup, alpha):
        made.append((setup.seed, alpha))
        return estimator._make_net(setup, part.device, alpha)

    again = FittedAutoencoder.from_state(part.to_state(), make_net)
    assert made == [(part.seed, part.alpha)]
    assert again.net is not part.net
    assert_array_equal(again.predict(X), part.predict(X))
    assert again.history.equals(part.history)


def test_training_on_makes_a_new_object():
    """What other rooms hold of a fit stays as it was."""
    estimator, X, y = fitted()
    part = fitted_part(estimator)
    before = part.predict(X)
    estimator.partial_fit(X, y)
    assert fitted_part(estimator) is not part
    assert fitted_part(estimator).table is part.table
    assert_array_equal(part.predict(X), before)
    assert len(part.history) == len(estimator.history_) - 1


def test_the_door_is_for_fitted_autoencoders():
    with pytest.raises(NotFittedError):
        fitted_part(SupervisedAutoencoder())
    with pytest.raises(TypeError, match="PCA is no supervised autoencoder"):
        fitted_part(PCA().fit(regression()[0]))


# -- R² of a reconstruction


def numbers(seed=0, n=30):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)), rng.normal(size=(n, 3)) / 2


def score(values, output, layout, measured=None, weight=None):
    blocks = {"table": Encoded(values, measured)}
    return reconstruction_r2(blocks, {"table": output}, {"table": layout}, {"table": 1.0}, weight)


def test_r2_of_one_number_is_that_of_scikit_learn():
    values, error = numbers()
    weight = np.linspace(0.5, 1.5, len(values))
    one, output = values[:, :1], (values + error)[:, :1]
    expected = r2_score(one, output, sample_weight=weight)
    assert_allclose(score(one, output, Layout(1), weight=weight), expected)


def test_r2_pools_columns():
    values, error = numbers()
    deviation = ((values - values.mean(axis=0)) ** 2).sum()
    assert_allclose(score(values, values + error, Layout(3)), 1 - (error**2).sum() / deviation)


def test_r2_leaves_out_what_was_not_measured():
    values, error = numbers()
    measured = np.arange(90).reshape(30, 3) % 4 > 0
    far = np.where(measured, values + error, 1e6)
    near = values + error
    assert score(values, far, Layout(3), measured) == score(values, near, Layout(3), measured)


def test_r2_of_categories_is_that_of_their_probabilities():
    codes = np.array([0, 1, 2, 0])
    one_hot, layout = np.eye(3)[codes], Layout(0, (3,))
    assert_allclose(score(one_hot, 50 * one_hot, layout), 1)
    shares = np.log(np.broadcast_to([0.5, 0.25, 0.25], (4, 3)))
    assert_allclose(score(one_hot, shares, layout), 0, atol=1e-12)
    assert_array_equal(shares, np.log(np.broadcast_to([0.5, 0.25, 0.25], (4, 3))))  # not written


@pytest.mark.parametrize("power", [-500, 500])
def test_r2_is_the_same_in_any_unit(power):
    values, error = numbers()
    scaled = np.ldexp(values, power), np.ldexp(values + error, power)
    assert_allclose(score(*scaled, Layout(3)), score(values, values + error, Layout(3)))


def test_r2_where_nothing_deviates():
    constant = np.ones((5, 1))
    assert score(constant, constant, Layout(1)) == 1
    assert score(constant, constant + 0.1, Layout(1)) == 0


LAYOUTS = {"a": Layout(3), "b": Layout(1, (2,))}


def two_blocks():
    values, error = numbers()
    one_hot = np.eye(2)[np.arange(30) % 2]
    b = np.column_stack([values[:, 0], one_hot])
    logits = np.column_stack([values[:, 0] + error[:, 1], error[:, 1:] * 3])
    measured = np.arange(60).reshape(30, 2) % 5 > 0
    blocks = {"a": Encoded(values, None), "b": Encoded(b, measured)}
    return blocks, {"a": values + error, "b": logits}


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1)])
def test_r2_counts_blocks_by_their_shares(shares):
    """Of each block the mean squared error, beside the mean squared deviation."""
    blocks, decoded = two_blocks()
    shares = dict(zip(LAYOUTS, shares, strict=True))
    weight = np.linspace(0.5, 1.5, 30)
    odds = np.exp(decoded["b"][:, 1:])
    probability = odds / odds.sum(axis=1, keepdims=True)
    outputs = {"a": decoded["a"], "b": np.column_stack([decoded["b"][:, 0], probability])}
    error = deviation = 0
    for name, share in shares.items():
        values, measured = blocks[name][:2]
        known = np.ones((30, 3)) if measured is None else LAYOUTS[name].spread(measured)
        known = known * weight[:, None]
        mean = (known * values).sum(axis=0) / known.sum(axis=0)
        error += share * (known * (values - outputs[name]) ** 2).sum() / known.sum()
        deviation += share * (known * (values - mean) ** 2).sum() / known.sum()
    found = reconstruction_r2(blocks, decoded, LAYOUTS, shares, weight)
    assert_allclose(found, 1 - error / deviation)


def test_r2_does_not_depend_on_how_many_columns_a_block_has():
    blocks, decoded = two_blocks()
    shares = {"a": 0.5, "b": 0.5}
    expected = reconstruction_r2(blocks, decoded, LAYOUTS, shares)
    more = {**blocks, "a": Encoded(np.tile(blocks["a"].values, 4), None)}
    again = {**decoded, "a": np.tile(decoded["a"], 4)}
    layouts = {**LAYOUTS, "a": Layout(12)}
    assert_allclose(reconstruction_r2(more, again, layouts, shares), expected)


def test_a_block_that_was_not_measured_has_no_part_in_r2():
    blocks, decoded = two_blocks()
    nothing = {**blocks, "b": Encoded(blocks["b"].values, np.zeros((30, 2), bool))}
    found = reconstruction_r2(nothing, decoded, LAYOUTS, {"a": 0.3, "b": 0.7})
    assert_allclose(found, score(blocks["a"].values, decoded["a"], LAYOUTS["a"]))


class Mirror(DenseBlock):
    """A block that cannot tell values from their negative."""

    def align(self, decoded, given, known, layout):
        mirrored = ((decoded + given) ** 2).sum(-1) < ((decoded - given) ** 2).sum(-1)
        return torch.where(mirrored[..., None], -decoded, decoded)


def test_a_score_compares_what_is_in_the_same_pose():
    X, y = regression()
    settings = {**TINY, "standardize": False}
    X = X - X.mean(axis=0)
    mirror = SupervisedAutoencoder(**settings, blocks=Mirror()).fit(X, y)
    part = fitted_part(mirror)
    decoded = part.decode(part.latents(X))["X"]
    nearer = np.where(
        (((decoded + X) ** 2).sum(axis=1) < ((decoded - X) ** 2).sum(axis=1))[:, None],
        -decoded,
        decoded,
    )
    assert (nearer != decoded).any()
    assert_allclose(mirror.score(X), score(X, nearer, Layout(4)))
    assert mirror.score(X) > score(X, decoded, Layout(4))


# -- training that goes on


def warm(**settings):
    return SupervisedAutoencoder(**{**TINY, "max_iter": 1}, warm_start=True, **settings)


class Curve(DenseBlock):
    """A block with a setting, for tables and targets."""

    def __init__(self, bend=1):
        self.bend = bend


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({"block_dropout": 0.1}, {"block_dropout": 0.2}, "'block_dropout' .* was 0.1 .* is 0.2"),
        (
            {"target_bounds": (-9000, None)},
            {"target_bounds": None},
            r"'target_bounds' .* was \(-9000.0, None\) .* and is \(None, None\) now",
        ),
        (
            {"target_block": Curve(2)},
            {"target_block": Curve(3)},
            r"'target_block' .* was Curve\(bend=2\) .* and is Curve\(bend=3\) now",
        ),
        ({"target_block": Curve()}, {"target_block": None}, "'target_block' .* is None now"),
        ({"blocks": Curve(2)}, {"blocks__bend": 3}, r"'blocks' .*Curve\(bend=2\).*\(bend=3\)"),
        ({"blocks": None}, {"blocks": Curve()}, "'blocks' .* was None in the last fit"),
        (
            {"blocks": [("a", Curve(2), [0])]},
            {"blocks": [("a", Curve(3), [0])]},
            r"'blocks' .*Curve\(bend=2\).*\(bend=3\)",
        ),
        (
            {"blocks": [("a", Curve(2), [0])]},
            {"blocks": [("a", Curve(2), slice(0, 1))]},
            "'blocks' .*'slice', 0, 1, None",
        ),
        ({"n_components": 2}, {"n_components": 3}, "'n_components' .* was 2 .* is 3 now"),
    ],
)
@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_training_goes_on_with_the_same_network_alone(before, after, message, how):
    X, y = regression()
    estimator = warm().set_params(**before).fit(X, y)
    getattr(estimator, how)(X, y)  # of the same settings it does
    assert len(estimator.history_) == 2
    predicted = estimator.predict(X)
    with pytest.raises(ValueError, match=message):
        getattr(clone_fitted(estimator).set_params(**after), how)(X, y)
    assert_array_equal(estimator.predict(X), predicted)


def clone_fitted(estimator):
    return pickle.loads(pickle.dumps(estimator))


@pytest.mark.parametrize(
    "settings",
    [
        {"blocks": Curve(2)},
        {"blocks": [("a", Curve(2), [0, 1])]},
        {"blocks": [("a", Curve(2), slice(0, 2))], "block_dropout": 0.3},
        {"blocks": "auto"},
        {"target_block": Curve(2), "target_bounds": (-9000, None)},
    ],
    ids=str,
)
def test_training_goes_on_after_a_file_as_without_one(settings):
    X, y = regression()
    estimator = warm(**settings).fit(X, y)
    again = clone_fitted(estimator)
    estimator.fit(X, y)
    again.set_params(**{key: clone(value, safe=False) for key, value in settings.items()})
    again.fit(X, y)
    assert_array_equal(again.predict(X), estimator.predict(X))
    assert again.history_.equals(estimator.history_)


def test_the_plane_of_values():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(20, 2)) + 4
    slopes, intercept = rng.normal(size=(2, 3)), rng.normal(size=3)
    found, at_zero = least_squares_plane(Z, Z @ slopes + intercept)
    assert_allclose(found, slopes, rtol=1e-12)
    assert_allclose(at_zero, intercept, rtol=1e-12)
    # of values that are curved: no plane is nearer, so that errors are orthogonal to it
    curved = Z**2 @ slopes
    found, at_zero = least_squares_plane(Z, curved)
    errors = curved - Z @ found - at_zero
    basis = np.column_stack([Z, np.ones(len(Z))])
    assert_allclose(basis.T @ errors, 0, atol=1e-10 * np.abs(curved).sum())
    assert np.abs(errors).max() > 0.1
    # latents that are twice the same: the smallest slopes, the same plane
    twice, same = least_squares_plane(np.hstack([Z, Z]), curved)
    assert_allclose(twice, np.vstack([found, found]) / 2, rtol=1e-10)
    assert_allclose(same, at_zero, rtol=1e-10)
