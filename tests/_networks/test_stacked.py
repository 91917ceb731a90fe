"""The modules of many networks as one, against each of them."""

from __future__ import annotations

import numpy as np
import torch
from cases.vectorized import data, sae

from sknestedae._layers._bounds import Bounded
from sknestedae._layers._dense import Dropout, LatentNoise
from sknestedae._networks._batch import Batch
from sknestedae._networks._stacked import (
    StackedDropout,
    StackedLatentNoise,
    StackedModule,
    stack_modules,
)


def test_modules_of_many_keep_order_and_shape():
    X, y = data()
    modules = [sae(random_state=k).fit(X, y).net_.module_ for k in range(3)]
    stacked = stack_modules(modules)
    for k, module in enumerate(modules):
        for own, of_all in zip(module.parameters(), stacked.parameters(), strict=True):
            assert torch.equal(of_all[k], own)
        kinds = [(module.weights, stacked.weights)]
        kinds.append((module.encoder_weights, stacked.encoder_weights))
        for own, of_all in kinds:
            assert [tuple(w.shape) for w in own] == [tuple(w.shape[1:]) for w in of_all]
    values = torch.randn(3, 7, 6, dtype=torch.float64)
    outputs = stacked(Batch({"table": values}))
    for k, module in enumerate(modules):
        expected = module(Batch({"table": values[k]}))
        torch.testing.assert_close(outputs.latents[k], expected.latents)
        torch.testing.assert_close(outputs.blocks["table"][k], expected.blocks["table"])
        torch.testing.assert_close(outputs.prediction[k], expected.prediction)


def test_layers_have_masks_of_their_own():
    stacked = StackedDropout([Dropout(0.5), Dropout(0.5)])
    stacked.seed(np.arange(2), [0, 1], np.array([3, 3]))
    drawn = stacked(torch.ones(2, 10, 50))
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(stacked.eval()(torch.ones(2, 3, 4)), torch.ones(2, 3, 4))


def test_layers_that_stay_keep_their_masks_and_streams():
    """Also those of a layer that no batch has passed yet."""
    whole, part = (StackedDropout([Dropout(p) for p in (0.2, 0.5, 0.7)]) for _ in range(2))
    for layer in (whole, part):
        layer.seed(np.arange(3), [0, 1, 2], np.array([4, 4, 4]))
    left = np.array([0, 2])
    part.select(left)
    values = torch.ones(3, 10, 50)
    for _ in range(2):
        expected = whole(values)
        assert torch.equal(part(values[: len(part.p)]), expected[left])
    again = StackedDropout([Dropout(0.5)] * 3)
    again.seed(np.arange(3), [0, 1, 2], np.array([4, 4, 4]))
    first = again(values)
    again.select(left)
    assert not torch.equal(again(values[:2]), first[left])  # the next masks of the streams


def test_noise_of_many_is_that_of_each():
    """Also where networks have other numbers of batches, and where some of them have ended."""
    stacked = stack_modules([LatentNoise(), LatentNoise(), LatentNoise()])
    assert type(stacked) is StackedLatentNoise
    seeds, n_batches = [4, 5, 6], np.array([2, 3, 5])
    stacked.seed(np.arange(3), seeds, n_batches)
    alone = [LatentNoise() for _ in range(3)]
    for layer, seed, n in zip(alone, seeds, n_batches, strict=True):
        layer.seed(seed, int(n))
    left = np.arange(3)
    for step in range(10):
        if step == 4:
            left = np.array([0, 2])
            stacked.select(left)
        mean, log_variance = torch.randn(2, len(left), 6, 2)
        drawn = stacked(mean, log_variance)
        for k, network in enumerate(left):
            assert torch.equal(drawn[k], alone[network](mean[k], log_variance[k]))
    assert torch.equal(stacked.eval()(mean, log_variance), mean)


def test_layers_of_many_that_are_called_twice_in_a_step_draw_as_each_alone():
    layers = [LatentNoise() for _ in range(2)]
    for layer in layers:
        layer.is_shared = True
    stacked = stack_modules(layers)
    assert stacked.is_shared
    stacked.seed(np.arange(2), [3, 4], np.array([6, 6]))
    for layer, seed in zip(layers, [3, 4], strict=True):
        layer.seed(seed, 6)
    mean = torch.zeros(2, 5, 3)
    drawn = [stacked(mean, mean) for _ in range(6)]
    kept = [own.clone() for own in drawn]
    stacked(mean, mean)
    for own, other in zip(drawn, kept, strict=True):
        assert torch.equal(own, other)
        for k, layer in enumerate(layers):
            assert torch.equal(own[k], layer(mean[k], mean[k]))


def test_bounds_of_many_are_each_their_own():
    layers = [Bounded(2, has_low=True, has_high=False) for _ in range(3)]
    for k, layer in enumerate(layers):
        layer.set_bounds(torch.tensor([-1.0 - k, -2.0 - k]), torch.zeros(2))
    stacked = stack_modules(layers)
    values = torch.randn(3, 5, 2)
    for k, layer in enumerate(layers):
        torch.testing.assert_close(stacked(values)[k], layer(values[k]))
        assert torch.equal(layer.low, torch.tensor([-1.0 - k, -2.0 - k]))  # as they were


class Told(torch.nn.Module):
    """A module of a user that is told what is missing."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(4, 3))

    def forward(self, values, missing):
        return (values if missing is None else values.masked_fill(missing, 9.0)) @ self.weight


def test_a_stack_of_any_modules_passes_on_what_is_missing():
    modules = [Told() for _ in range(3)]
    stacked = stack_modules(modules)
    assert type(stacked) is StackedModule
    values, missing = torch.randn(3, 5, 4), torch.rand(3, 5, 4) > 0.5
    for k, module in enumerate(modules):
        own = module(values[k], missing[k])
        torch.testing.assert_close(stacked(values, missing)[k], own)
