"""Activations of NumPy arrays, and their derivatives in closed form.

They stand beside torch's modules, which are the definition: a network of a few hundred units
spends nine tenths of a step on the overhead of automatic differentiation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import erf
from torch import nn

# Of torch's SELU (Klambauer et al., NeurIPS 2017), and of torch's defaults.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
_LEAKY_SLOPE = 0.01
_SOFTPLUS_THRESHOLD = 20.0


class Derivative(NamedTuple):
    """An activation of arrays, in place, and its derivative.

    Parameters
    ----------
    apply : callable
        ``apply(values)`` turns the inputs into the outputs, in place, and gives what the
        derivative needs beside the outputs: an array, or None.
    chain : callable
        ``chain(gradient, outputs, kept)`` multiplies the gradient of the outputs by the derivative
        of the activation, in place, so that it is that of the inputs.
    """

    apply: Callable[[np.ndarray], np.ndarray | None]
    chain: Callable[[np.ndarray, np.ndarray, Any], None]


def _logistic_of(values: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-values)), as a new array."""
    found = np.negative(values)
    np.exp(found, out=found)
    found += 1.0
    return np.reciprocal(found, out=found)


def _relu(values: np.ndarray) -> None:
    np.maximum(values, 0.0, out=values)


def _chain_relu(gradient: np.ndarray, outputs: np.ndarray, kept: None) -> None:
    gradient *= np.sign(outputs)  # of what is not negative: faster than by a mask


def _tanh(values: np.ndarray) -> None:
    np.tanh(values, out=values)


def _chain_tanh(gradient: np.ndarray, outputs: np.ndarray, kept: None) -> None:
    slope = np.multiply(outputs, outputs)
    np.subtract(1.0, slope, out=slope)
    gradient *= slope


def _logistic(values: np.ndarray) -> None:
    np.copyto(values, _logistic_of(values))


def _chain_logistic(gradient: np.ndarray, outputs: np.ndarray, kept: None) -> None:
    slope = np.subtract(1.0, outputs)
    slope *= outputs
    gradient *= slope


def _silu(values: np.ndarray) -> np.ndarray:
    share = _logistic_of(values)
    values *= share
    return share


def _chain_silu(gradient: np.ndarray, outputs: np.ndarray, share: np.ndarray) -> None:
    slope = np.subtract(1.0, share)
    slope *= outputs
    slope += share
    gradient *= slope


def _gelu(values: np.ndarray) -> np.ndarray:
    """Keep the derivative itself, which needs the inputs: Phi(z) + z phi(z)."""
    share = erf(values * math.sqrt(0.5))
    share += 1.0
    share *= 0.5
    slope = np.square(values)
    slope *= -0.5
    np.exp(slope, out=slope)
    slope *= values
    slope *= 1 / math.sqrt(2 * math.pi)
    slope += share
    values *= share
    return slope


def _chain_by_slope(gradient: np.ndarray, outputs: np.ndarray, slope: np.ndarray) -> None:
    gradient *= slope


def _elu(values: np.ndarray) -> None:
    below = np.minimum(values, 0.0)
    np.expm1(below, out=below)
    np.maximum(values, 0.0, out=values)
    values += below


def _chain_elu(gradient: np.ndarray, outputs: np.ndarray, kept: None) -> None:
    slope = np.minimum(outputs, 0.0)  # exp(z) - 1 where z is negative, whose derivative is exp(z)
    slope += 1.0
    gradient *= slope


def _selu(values: np.ndarray) -> np.ndarray:
    """Keep the derivative: the scale of what is positive, below 0 that times alpha exp(z)."""
    below = np.minimum(values, 0.0)
    np.expm1(below, out=below)
    is_below = values <= 0  # as torch has it at 0 itself
    np.maximum(values, 0.0, out=values)
    values += _SELU_ALPHA * below
    values *= _SELU_SCALE
    slope = np.where(is_below, _SELU_ALPHA * (below + 1.0), 1.0)
    slope *= _SELU_SCALE
    return slope.astype(values.dtype, copy=False)


def _leaky_relu(values: np.ndarray) -> None:
    np.maximum(values, _LEAKY_SLOPE * values, out=values)


def _chain_leaky_relu(gradient: np.ndarray, outputs: np.ndarray, kept: None) -> None:
    np.multiply(gradient, _LEAKY_SLOPE, out=gradient, where=outputs <= 0)


def _softplus(values: np.ndarray) -> np.ndarray:
    slope = _logistic_of(values)
    is_large = values > _SOFTPLUS_THRESHOLD  # from here on torch takes it to be the identity
    slope[is_large] = 1.0
    np.logaddexp(values, 0.0, out=values, where=~is_large)
    return slope


# By torch's module, for those with its default arguments. Without an entry there is no derivative.
DERIVATIVES: dict[type[nn.Module], Derivative] = {
    nn.ReLU: Derivative(_relu, _chain_relu),
    nn.Tanh: Derivative(_tanh, _chain_tanh),
    nn.Sigmoid: Derivative(_logistic, _chain_logistic),
    nn.SiLU: Derivative(_silu, _chain_silu),
    nn.GELU: Derivative(_gelu, _chain_by_slope),
    nn.ELU: Derivative(_elu, _chain_elu),
    nn.SELU: Derivative(_selu, _chain_by_slope),
    nn.LeakyReLU: Derivative(_leaky_relu, _chain_leaky_relu),
    nn.Softplus: Derivative(_softplus, _chain_by_slope),
}
