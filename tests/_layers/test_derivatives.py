"""Activations of arrays against torch's modules, which define them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sknestedae._layers._dense import ACTIVATIONS
from sknestedae._layers._derivatives import DERIVATIVES

# Small and large, both signs, 0, and the places at which a definition changes.
VALUES = np.r_[0.0, [s * v for s in (-1, 1) for v in (1e-8, 1e-3, 0.5, 1, 3, 9, 19.9, 20.1, 60)]]

every_kind = pytest.mark.parametrize("kind", DERIVATIVES, ids=lambda kind: kind.__name__)


def test_each_activation_of_an_estimator_has_a_derivative():
    assert set(DERIVATIVES) == set(ACTIVATIONS.values()) - {nn.Identity}


@every_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_outputs_and_derivatives_are_torchs(kind, dtype):
    """To a few roundings of an output, which may be a sum of terms as large as the input."""
    inputs = torch.from_numpy(VALUES.astype(dtype)).requires_grad_()
    expected = kind()(inputs)
    upstream = np.linspace(-2, 2, len(VALUES)).astype(dtype)
    expected.backward(torch.from_numpy(upstream))
    outputs, gradient = VALUES.astype(dtype), upstream.copy()
    derivative = DERIVATIVES[kind]
    with np.errstate(over="ignore"):
        kept = derivative.apply(outputs)
    derivative.chain(gradient, outputs, kept)
    size = 16 * np.finfo(dtype).eps * (1 + np.abs(VALUES))
    assert outputs.dtype == gradient.dtype == dtype
    assert kept is None or kept.dtype == dtype
    assert (np.abs(outputs - expected.detach().numpy()) <= size).all()
    assert (np.abs(gradient - inputs.grad.numpy()) <= 2 * size).all()


@every_kind
def test_what_is_no_number_stays_none(kind):
    """Else a training that diverges would not be seen."""
    outputs = np.array([np.nan, 1.0])
    with np.errstate(invalid="ignore"):
        DERIVATIVES[kind].apply(outputs)
    assert np.isnan(outputs).tolist() == [True, False]
