"""Adam for many networks against torch's Adam for each of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sknestedae._networks._stacked import stack_parameters, take_networks
from sknestedae._training._vectorized_adam import StackedAdam

SHAPES = [(3, 2), (3,), ()]


def draw(n_networks, seed):
    generator = torch.Generator().manual_seed(seed)
    return [
        [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]
        for _ in range(n_networks)
    ]


def take_steps(optimizer, parameters, gradients):
    for own in gradients:
        for parameter, gradient in zip(parameters, own, strict=True):
            # in memory as the parameter, as backward leaves it, and the fused Adam needs it
            parameter.grad = torch.empty_like(parameter).copy_(gradient)
        optimizer.step()


@pytest.mark.parametrize("rates", [(0.1, 0.1, 0.1), (0.1, 0.01, 1.0)])
def test_each_network_steps_as_alone_also_when_another_has_left(rates):
    start = draw(3, seed=0)
    gradients = [draw(3, seed=1 + step) for step in range(6)]
    has_one_rate = len(set(rates)) == 1
    stack = [stack_parameters(list(own)) for own in zip(*start, strict=True)]
    optimizer = StackedAdam(stack, has_one_rate)
    optimizer.set_rates(np.array(rates))
    of_stack = [[torch.stack(g) for g in zip(*step, strict=True)] for step in gradients]
    take_steps(optimizer, stack, of_stack[:3])
    left = torch.tensor([0, 2])
    with torch.no_grad():
        for parameter in stack:
            parameter.grad = None
            parameter.data = take_networks(parameter.data, left)
    optimizer.select(left)
    optimizer.set_rates(np.array(rates)[[0, 2]])
    take_steps(optimizer, stack, [[g[left] for g in step] for step in of_stack[3:]])
    for k, network in enumerate(left.tolist()):
        own = [nn.Parameter(value.clone()) for value in start[network]]
        alone = torch.optim.Adam(own, lr=rates[network])
        take_steps(alone, own, [step[network] for step in gradients])
        for parameter, expected, moments in zip(stack, own, optimizer.moments(k), strict=True):
            torch.testing.assert_close(parameter[k], expected.data)
            for name, value in alone.state[expected].items():
                torch.testing.assert_close(torch.as_tensor(moments[name]), value)
