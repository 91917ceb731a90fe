"""Dense layers: hidden layers, initial weights, dropout with random numbers of its own."""

import pytest
import torch
from torch import nn

from sknestedae._layers._dense import (
    ACTIVATIONS,
    INITIALIZATIONS,
    RANGES,
    Dropout,
    LatentNoise,
    dense_stack,
    initialize,
    seed_streams,
)


def test_dense_stack():
    kinds = [type(layer) for layer in dense_stack((4, 3, 2), "relu", 0.1)]
    assert kinds == [nn.Linear, nn.ReLU, Dropout] * 2
    assert dense_stack((4,), "relu", 0.1) == []


@pytest.mark.parametrize("method", INITIALIZATIONS)
def test_initializations(method):
    n_inputs, n_outputs = 400, 300
    layer = nn.Linear(n_inputs, n_outputs)
    torch.manual_seed(1)
    initialize([layer], method)
    drawn = layer.weight.detach().clone()
    assert (layer.bias == 0).all()
    # Glorot and Bengio 2010: var = 2 / (n_inputs + n_outputs); He et al. 2015: 2 / n_inputs.
    # torch's kaiming_uniform_ and kaiming_normal_ have a = 0 by default, which is He's.
    fan = (n_inputs + n_outputs) if method.startswith("xavier") else n_inputs
    # The variance of n draws is known to a share of about sqrt(2 / n); five times that.
    assert drawn.var().item() == pytest.approx(2 / fan, rel=5 * (2 / drawn.numel()) ** 0.5)
    bound = (6 / fan) ** 0.5
    assert (drawn.abs().max() <= bound) == method.endswith("uniform")
    torch.manual_seed(1)
    initialize([layer], method)
    assert torch.equal(layer.weight, drawn)


@pytest.mark.parametrize("p", [0.1, 0.6])
def test_dropout_drops_a_share_and_keeps_the_mean(p):
    layer = Dropout(p)
    layer.seed(0)
    n_units = 200_000
    values = layer(torch.ones(100, n_units // 100))
    share = (values == 0).double().mean().item()
    assert abs(share - p) < 5 * (p * (1 - p) / n_units) ** 0.5  # five standard deviations
    scale = 1 / (1 - round(p * 2**16) / 2**16)
    torch.testing.assert_close(values[values != 0].unique(), torch.tensor([scale]))
    assert torch.equal(layer.eval()(torch.ones(2, 3)), torch.ones(2, 3))


def test_dropout_follows_its_seed_whatever_the_batches():
    """Masks are drawn for several batches; a small one takes the first rows of its own."""
    drawn = []
    for n_last in (4, 2):
        layer = Dropout(0.5)
        layer.seed(3)
        rows = [8, 8, n_last, 8]
        drawn.append([layer(torch.ones(n, 50)) for n in rows])
    for k, (own, other) in enumerate(zip(*drawn, strict=True)):
        assert torch.equal(own[: len(other)], other), k
    assert not torch.equal(drawn[0][0], drawn[0][1])
    layer.seed(4)
    assert not torch.equal(layer(torch.ones(8, 50)), drawn[0][0])


def test_dropout_of_a_larger_batch_and_without_seed():
    layer = Dropout(0.5)
    assert layer(torch.ones(4, 5)).shape == (4, 5)
    assert layer(torch.ones(9, 5)).shape == (9, 5)
    torch.manual_seed(0)
    layer.seed(None)
    first = layer(torch.ones(9, 5))
    torch.manual_seed(0)
    layer.seed(None)
    assert torch.equal(first, layer(torch.ones(9, 5)))


# -- noise of latents


def noise_of(seed, n_batches=None):
    layer = LatentNoise()
    layer.seed(seed, n_batches)
    return layer


def test_latents_are_drawn_with_their_mean_and_variance():
    n_rows = 100_000
    mean, std = torch.tensor([3.0, -1.0]), torch.tensor([0.1, 2.0])
    drawn = noise_of(0)(mean.expand(n_rows, 2), 2 * std.log().expand(n_rows, 2))
    # of n draws a mean is known to std / sqrt(n), a variance to sqrt(2 / n); five times that
    assert ((drawn.mean(dim=0) - mean).abs() < 5 * std / n_rows**0.5).all()
    assert ((drawn.var(dim=0) / std**2 - 1).abs() < 5 * (2 / n_rows) ** 0.5).all()
    correlation = torch.corrcoef(drawn.T)[0, 1]
    assert abs(correlation) < 5 / n_rows**0.5


def test_latents_are_their_means_where_nothing_is_trained():
    mean, log_variance = torch.randn(2, 7, 3)
    assert noise_of(0).eval()(mean, log_variance) is mean


def test_the_stream_of_noise_is_one_for_all_batches():
    """It follows from the seed alone; a smaller batch takes the first rows of its own."""
    drawn = []
    for n_last in (4, 2):
        layer = noise_of(3)
        drawn.append([layer(torch.zeros(n, 5), torch.zeros(n, 5)) for n in (8, 8, n_last, 8)])
    for own, other in zip(*drawn, strict=True):
        assert torch.equal(own[: len(other)], other)
    assert not torch.equal(drawn[0][0], drawn[0][1])
    layer.seed(4)
    assert not torch.equal(layer(torch.zeros(8, 5), torch.zeros(8, 5)), drawn[0][0])
    layer.seed(3)
    assert torch.equal(layer(torch.zeros(8, 5), torch.zeros(8, 5)), drawn[0][0])


def test_gradients_reach_the_mean_and_the_variance_of_what_is_drawn():
    mean = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    log_variance = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    drawn = noise_of(0)(mean, log_variance)
    drawn.sum().backward()
    assert torch.equal(mean.grad, torch.ones(6, 2, dtype=torch.float64))
    # the derivative of exp(v / 2) * noise
    torch.testing.assert_close(log_variance.grad, (drawn - mean).detach() / 2)


def test_each_layer_of_a_network_has_a_stream_of_its_own():
    module = nn.ModuleList([LatentNoise(), LatentNoise(), Dropout(0.5)])
    seed_streams(module, (5, 1))
    zeros = torch.zeros(8, 5)
    first, second = (layer(zeros, zeros) for layer in module[:2])
    assert not torch.equal(first, second)
    seed_streams(module, (5, 1))
    assert torch.equal(module[1](zeros, zeros), second)
    torch.manual_seed(0)
    seed_streams(module, None)  # then torch's own generator draws
    first = module[0](zeros, zeros)
    torch.manual_seed(0)
    seed_streams(module, None)
    assert torch.equal(module[0](zeros, zeros), first)


@pytest.mark.parametrize("layer", [Dropout(0.5), LatentNoise()], ids=["masks", "noise"])
def test_numbers_of_a_layer_that_is_called_twice_in_a_step_stay(layer):
    """A gradient needs those of the first call after the second one."""
    layer.is_shared = True
    layer.seed(0, n_batches=5)
    drawn = [layer.take(torch.ones(4, 3)) for _ in range(5)]
    kept = [own.clone() for own in drawn]
    layer.take(torch.ones(4, 3))
    for own, other in zip(drawn, kept, strict=True):
        assert torch.equal(own, other)
    layer.seed(0, n_batches=5)
    again = [layer.take(torch.ones(4, 3)) for _ in range(5)]
    for own, other in zip(drawn, again, strict=True):
        assert torch.equal(own, other)
    assert not torch.equal(drawn[0], drawn[1])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_ranges_are_those_that_activations_reach(activation):
    """Within them the search for latents stays."""
    values = ACTIVATIONS[activation]()(torch.linspace(-1e4, 1e4, 200_001, dtype=torch.float64))
    low, high = RANGES.get(activation, (-float("inf"), float("inf")))
    assert low <= values.min()
    assert values.max() <= high
    if activation in RANGES:  # they are reached, at infinity at the latest
        assert values.min().item() == pytest.approx(low, abs=1e-6)
        assert values.max() > 9_000 if high == float("inf") else values.max() > high - 1e-6
