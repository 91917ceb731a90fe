"""A fitted Gaussian process as torch modules, differentiable in its inputs: mean and std."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from ._kernel import BUMP_WIDTH, CENTRES, bumps
from ._process import GaussianProcess, GaussianProcesses

# Of a target of unit variance: less than this is what rounding leaves of a variance, and the root
# has no slope at 0.
_LEAST_VARIANCE = 1e-12


def _matern(A: Tensor, B: Tensor) -> Tensor:
    """Compute the Matérn 3/2 correlation between the rows of two tables.

    Parameters
    ----------
    A, B : Tensor of shape (n_a, n_columns), (n_b, n_columns)
        In units of the length scales of the columns.

    Returns
    -------
    Tensor of shape (n_a, n_b)
    """
    squares = (A**2).sum(1)[:, None] + (B**2).sum(1) - 2.0 * A @ B.T
    # The covariance is flat at distance zero, but the square root has no slope there: where a row
    # is one of the training rows, the root is taken of a one that leads nowhere.
    apart = squares > 0
    root = torch.where(apart, squares, 1.0).sqrt()
    scaled = torch.where(apart, root, 0.0) * 3.0**0.5
    return (1.0 + scaled) * torch.exp(-scaled)


def _bumps(centred: Tensor, centres: Tensor) -> Tensor:
    """Compute bell-shaped functions of each column, as ``bumps`` has them.

    Returns
    -------
    Tensor of shape (n_samples, n_columns * n_centres)
    """
    scaled = (centred[:, :, None] - centres) / BUMP_WIDTH
    values = torch.exp(-0.5 * scaled**2).flatten(1)
    return values / (math.pi**0.25 * max(centred.shape[1], 1) ** 0.5)


class _Process(nn.Module):
    """The parts of a fitted Gaussian process that its mean and its standard deviation share.

    Parameters
    ----------
    process : GaussianProcess
    """

    inputs: Tensor
    inverse_lengths: Tensor
    centre: Tensor
    linear: Tensor
    centres: Tensor

    def __init__(self, process: GaussianProcess) -> None:
        super().__init__()
        parameters = process.parameters
        linear = torch.as_tensor(parameters.linear, dtype=torch.float64)
        inverse_lengths = parameters.scale_columns(np.ones_like(process.centre))
        self.register_buffer("inputs", torch.tensor(process.inputs))
        self.register_buffer("inverse_lengths", torch.from_numpy(inverse_lengths))
        self.register_buffer("centre", torch.tensor(process.centre))
        # the linear terms of all blocks are one, with a variance for each column
        self.register_buffer("linear", linear.repeat_interleave(torch.tensor(process.widths)))
        self.register_buffer("centres", torch.tensor(CENTRES))
        self.smooth, self.additive = parameters.smooth, parameters.additive
        self.offset, self.scale = process.offset, process.scale

    def _smooth_covariance(self, centred: Tensor) -> Tensor:
        """Compute the Matérn term with each training row, of shape (n_samples, n_rows)."""
        lengths = self.inverse_lengths
        return self.smooth * _matern(centred * lengths, self.inputs * lengths)


class ProcessMean(_Process):
    """The mean of a fitted Gaussian process, in double precision.

    Parameters
    ----------
    process : GaussianProcess
    """

    coefficients: Tensor
    of_bumps: Tensor

    def __init__(self, process: GaussianProcess) -> None:
        super().__init__(process)
        self.register_buffer("coefficients", torch.tensor(process.coefficients))
        # the bumps of a row are multiplied by one vector, as the linear terms are
        of_bumps = self.additive * (process.coefficients @ bumps(process.inputs))
        self.register_buffer("of_bumps", torch.from_numpy(of_bumps))

    def forward(self, X: Tensor) -> Tensor:
        """Compute the mean.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_columns)

        Returns
        -------
        Tensor of shape (n_samples,)
            In float64.
        """
        centred = X - self.centre  # in float64, whatever X is
        # (x * variances) . sum of coefficients times rows: one vector for the linear terms
        slope = self.linear * (self.coefficients @ self.inputs)
        value = self._smooth_covariance(centred) @ self.coefficients + centred @ slope
        return self.offset + self.scale * (value + _bumps(centred, self.centres) @ self.of_bumps)


class ProcessStd(_Process):
    """The standard deviation of the function of a fitted Gaussian process, in double precision.

    That of the function, without the noise of a measurement.

    Parameters
    ----------
    process : GaussianProcess
    """

    root: Tensor
    of_bumps: Tensor

    def __init__(self, process: GaussianProcess) -> None:
        super().__init__(process)
        self.register_buffer("root", torch.tensor(process.root_of_precision))
        self.register_buffer("of_bumps", torch.from_numpy(bumps(process.inputs)))

    def forward(self, X: Tensor) -> Tensor:
        """Compute the standard deviation.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_columns)

        Returns
        -------
        Tensor of shape (n_samples,)
            In float64; where rounding leaves no variance, a small one without a slope.
        """
        centred = X - self.centre
        of_X = _bumps(centred, self.centres)
        covariance = self._smooth_covariance(centred) + (centred * self.linear) @ self.inputs.T
        covariance = covariance + self.additive * (of_X @ self.of_bumps.T)
        prior = self.smooth + (centred**2) @ self.linear + self.additive * (of_X**2).sum(dim=1)
        explained = ((covariance @ self.root.T) ** 2).sum(dim=1)
        return self.scale * (prior - explained).clamp(min=_LEAST_VARIANCE).sqrt()


class ProcessMeans(nn.Module):
    """The means of fitted Gaussian processes, one for each target.

    Parameters
    ----------
    processes : GaussianProcesses
    """

    def __init__(self, processes: GaussianProcesses) -> None:
        super().__init__()
        self.means = nn.ModuleList(ProcessMean(process) for process in processes)

    def forward(self, X: Tensor) -> Tensor:
        """Compute the means: a tensor of shape (n_samples, n_outputs), in float64."""
        return torch.stack([mean(X) for mean in self.means], dim=1)
