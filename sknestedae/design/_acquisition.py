"""Acquisition functions: the gain of a measurement, from its mean and standard deviation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Nearer to the best known value than so many standard deviations, the formula is used as it
# stands; further below, it would be a difference of numbers that are nearly the same.
_TURN = -1.0
_LOG_SQRT_2_PI = 0.5 * math.log(2 * math.pi)


def upper_confidence_bound(mean: Tensor, std: Tensor, kappa: float) -> Tensor:
    """Compute the upper confidence bound: the mean plus ``kappa`` standard deviations.

    Parameters
    ----------
    mean, std : Tensor of shape (n_samples,)
    kappa : float

    Returns
    -------
    Tensor of shape (n_samples,)
    """
    return mean + kappa * std


def expected_improvement(mean: Tensor, std: Tensor, best: float | Tensor) -> Tensor:
    r"""Compute the expected improvement of a normally distributed value over the best one.

    With z = (mean - best) / std it is std (φ(z) + z Φ(z)); as std goes to 0, it is mean - best, or
    0 where that is negative.

    Parameters
    ----------
    mean, std : Tensor of shape (n_samples,)
        A standard deviation may be 0.
    best : float
        The best value that is known.

    Returns
    -------
    Tensor of shape (n_samples,)
        In the units of the mean.

    References
    ----------
    D. R. Jones, M. Schonlau, W. J. Welch, Journal of Global Optimization 13, 455 (1998).
    """
    is_sure = std <= 0
    apart = mean - best
    improvement = log_expected_improvement(mean, torch.where(is_sure, 1.0, std), best).exp()
    return torch.where(is_sure, apart.clamp(min=0), improvement)


def log_expected_improvement(mean: Tensor, std: Tensor, best: float | Tensor) -> Tensor:
    """Compute the logarithm of the expected improvement, also where that is nearly 0.

    A search along the gradient needs it: most rows have an expected improvement that is 0 in
    double precision, and a flat function leads nowhere.

    Parameters
    ----------
    mean, std : Tensor of shape (n_samples,)
        Standard deviations above 0.
    best : float

    Returns
    -------
    Tensor of shape (n_samples,)

    References
    ----------
    S. Ament et al., Advances in Neural Information Processing Systems 36 (2023), of the idea.
    """
    z = (mean - best) / std
    near, far = z.clamp(min=_TURN), z.clamp(max=_TURN)
    density = torch.exp(-0.5 * near**2 - _LOG_SQRT_2_PI)
    log_near = (density + near * torch.special.ndtr(near)).log()
    # φ(z) + z Φ(z) = φ(z) (1 - |z| m(|z|)), with Mills' ratio m = (1 - Φ) / φ
    log_far = -0.5 * far**2 - _LOG_SQRT_2_PI + _log_of_rest(-far)
    return std.log() + torch.where(z > _TURN, log_near, log_far)


def _log_of_rest(x: Tensor) -> Tensor:
    """Return the logarithm of 1 - x m(x), of Mills' ratio m, for x of 1 or more.

    The rest loses its digits as x grows, as it is about 1 / x²: from 100 on, the first terms of
    its asymptotic series are exact to double precision's twelfth digit.
    """
    series = x.clamp(min=100.0) ** -2
    log_series = series.log() + torch.log1p(-3 * series + 15 * series**2 - 105 * series**3)
    below = x.clamp(max=100.0)
    mills = math.sqrt(math.pi / 2) * torch.special.erfcx(below / math.sqrt(2))
    return torch.where(x < 100.0, (1 - below * mills).log(), log_series)
