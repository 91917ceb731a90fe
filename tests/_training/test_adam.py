"""Adam on arrays against torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sknestedae._training import _adam
from sknestedae._training._adam import adam_step, make_step

N_STEPS, RATE, SETTINGS = 300, 0.01, {"betas": (0.8, 0.99), "eps": 1e-6}

# Each step is as large as the rate, but for roundings of moments that are sums of some hundred
# terms; a moment forgets what is older than 100 steps.
ROUNDINGS = 100 * N_STEPS * RATE


def gradients(dtype, shape=(9,)):
    """Give gradients of each step, from far below ``eps`` to far above it."""
    drawn = np.random.default_rng(0).normal(size=(N_STEPS, *shape))
    return (drawn * np.logspace(-9, 2, shape[-1])).astype(dtype)


def make_adam(dtype=np.float64, n_parameters=9, **settings):
    tensor = torch.nn.Parameter(torch.linspace(-1, 1, n_parameters, dtype=torch.float64))
    tensor.data = tensor.data.to(torch.from_numpy(np.zeros(0, dtype)).dtype)
    tensor.grad = torch.zeros_like(tensor)
    return tensor, torch.optim.Adam([tensor], lr=RATE, fused=True, **SETTINGS, **settings)


def run(tensor, step, of_steps):
    for gradient in of_steps:
        tensor.grad.copy_(torch.from_numpy(gradient))
        step()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hundreds_of_steps_are_torchs(dtype):
    """Also where the learning rate changes on the way, and where torch goes on, and arrays."""
    tensor, adam = make_adam(dtype)
    mixed, mixed_adam = make_adam(dtype)
    for k, part in enumerate(np.split(gradients(dtype), 3)):
        for own in (adam, mixed_adam):
            own.param_groups[0]["lr"] = RATE / (1 + k)
        run(tensor, adam.step, part)
        step = make_step(mixed_adam)
        assert step != mixed_adam.step
        run(mixed, mixed_adam.step if k == 1 else step, part)
    tolerance = ROUNDINGS * np.finfo(dtype).eps
    np.testing.assert_allclose(*(t.detach().numpy() for t in (mixed, tensor)), atol=tolerance)
    found, expected = mixed_adam.state[mixed], adam.state[tensor]
    assert found.keys() == expected.keys()
    assert found["step"] == expected["step"] == N_STEPS
    assert found["step"].dtype == expected["step"].dtype
    for name in ("exp_avg", "exp_avg_sq"):
        scale = expected[name].abs().numpy()
        error = np.abs((found[name] - expected[name]).numpy())
        assert (error <= 300 * np.finfo(dtype).eps * np.maximum(scale, scale.mean())).all()


def test_each_network_of_a_stack_has_a_rate_of_its_own():
    rates = np.array([[1e-3], [1e-2], [1.0]])
    values, first, second = np.zeros((3, 3, 9))
    of_steps = gradients(np.float64, (3, 9))
    for k, gradient in enumerate(of_steps):
        adam_step(values, gradient, first, second, step=k + 1, rate=rates)
    for k, rate in enumerate(rates[:, 0]):
        own, own_first, own_second = np.zeros((3, 9))
        for j, gradient in enumerate(of_steps):
            adam_step(own, gradient[k], own_first, own_second, step=j + 1, rate=rate)
        np.testing.assert_allclose(values[k], own, rtol=1e-12)


def test_large_arrays_are_left_to_torch(monkeypatch):
    monkeypatch.setattr(_adam, "MOST_PARAMETERS", 9)
    _, adam = make_adam(n_parameters=9)
    assert make_step(adam) != adam.step
    _, adam = make_adam(n_parameters=10)
    assert make_step(adam) == adam.step
