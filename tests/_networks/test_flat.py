"""Parameters in one array: the same numbers in another memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sknestedae._networks._autoencoder import AutoencoderModule
from sknestedae._networks._flat import FlatParameters
from sknestedae._networks._penalties import add_penalty_gradients
from sknestedae._networks._stacked import stack_modules
from sknestedae._tables._layout import Layout
from sknestedae.blocks import DenseBlock


def make_module(seed=0):
    """Make a network with a square matrix, and two matrices of one shape."""
    layouts = {"a": Layout(2), "b": Layout(1)}
    module = AutoencoderModule(
        layouts=layouts,
        blocks=dict.fromkeys(layouts, DenseBlock()),
        n_components=2,
        hidden_layer_sizes=(3, 3),
        decoder_hidden_layer_sizes=(3, 3),
        predictor_hidden_layer_sizes=(3,),
        activation="tanh",
        latent_activation="identity",
        dropout=0.0,
        target_layout=Layout(1),
    ).double()
    with torch.no_grad():
        for own in module.parameters():
            own.normal_(generator=torch.Generator().manual_seed(seed))
    return module


def make_stack(n_networks=3):
    return stack_modules([make_module(seed) for seed in range(n_networks)])


@pytest.mark.parametrize("n_networks", [None, 3])
def test_parameters_stay_what_they_are_in_one_memory(n_networks):
    module = make_module() if n_networks is None else make_stack()
    before = [own.detach().clone() for own in module.parameters()]
    own = list(module.parameters())
    flat = FlatParameters(module, n_networks)
    assert list(map(id, module.parameters())) == list(map(id, own))
    assert set(map(id, flat.parameters)) == set(map(id, own))
    for parameter, value in zip(own, before, strict=True):
        assert torch.equal(parameter, value)
    flat.values.mul_(2)
    flat.arrays[1][...] = 3
    for parameter, value in zip(own, before, strict=True):
        assert torch.equal(parameter, 2 * value)
        assert (parameter.grad == 3).all()
    parts = zip(flat.parameters, flat.views(flat.values), strict=True)
    assert all(torch.equal(parameter, view) for parameter, view in parts)
    first = flat.parameters[: len(module.encoder_weights)]
    assert set(map(id, first)) == set(map(id, module.encoder_weights))


@pytest.mark.parametrize("l1", [0.0, 0.3])
@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_penalties_are_on_the_weights_that_they_act_on(l1, alpha):
    expected, module = make_module(), make_module()
    for parameter in expected.parameters():
        parameter.grad = torch.ones_like(parameter)
    add_penalty_gradients(expected.weights, expected.encoder_weights, l1, alpha)
    flat = FlatParameters(module)
    flat.gradients.fill_(1.0)
    flat.add_penalty_gradients(l1, alpha)
    for own, other in zip(module.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad)


def test_each_network_has_penalties_of_its_own():
    flat = FlatParameters(make_stack(), 3)
    strengths = np.array([[0.0], [0.5], [2.0]])
    flat.add_penalty_gradients(strengths, None)
    flat.add_penalty_gradients(None, strengths[::-1])
    for k in range(3):
        alone = FlatParameters(make_module(k))
        alone.add_penalty_gradients(strengths[k, 0], strengths[2 - k, 0])
        np.testing.assert_allclose(flat.arrays[1][k], alone.arrays[1])


def freeze(module):
    module.decoder[0].bias.requires_grad_(False)


def replace(module):
    module.decoder[0].bias.data = module.decoder[0].bias.data.clone()


def swap(module):
    one, other = module.encoder[2].weight, module.decoder[2].weight
    one.data, other.data = other.data, one.data


def transpose(module):
    module.encoder[2].weight.data = module.encoder[2].weight.data.T


@pytest.mark.parametrize("change", [freeze, replace, swap, transpose])
def test_it_tells_where_a_parameter_is_no_longer_its_part(change):
    module = make_module()
    flat = FlatParameters(module)
    with torch.no_grad():
        module.encoder[0].weight.mul_(2)  # in place, it is
    assert flat.holds()
    change(module)
    assert not flat.holds()
    assert FlatParameters(module).holds() == (change is not freeze)


def test_gradients_that_were_taken_away_come_back():
    module = make_module()
    flat = FlatParameters(module)
    one = flat.as_one()
    assert one.data_ptr() == flat.values.data_ptr()
    for parameter in (one, *module.parameters()):
        parameter.grad = None
    flat.give_gradients()
    flat.gradients.fill_(2.0)
    assert all((parameter.grad == 2).all() for parameter in (one, *module.parameters()))


def test_some_networks_of_a_stack_go_on():
    stack = make_stack()
    flat = FlatParameters(stack, 3)
    one = flat.as_one()
    flat.select(torch.tensor([0, 2]))
    assert one.shape == one.grad.shape == flat.values.shape == (2, flat.values.shape[1])
    for own, *alone in zip(
        stack.parameters(), make_module(0).parameters(), make_module(2).parameters(), strict=True
    ):
        assert isinstance(own, nn.Parameter)
        assert torch.equal(own, torch.stack(alone))
        assert own.grad.shape == own.shape
    one.data.zero_()
    assert not any(own.any() for own in stack.parameters())
