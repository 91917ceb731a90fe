"""The mean of a fitted Gaussian process as a torch module, with gradients by its inputs."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from ._kernel import BUMP_WIDTH, CENTRES, bumps
from ._process import GaussianProcess, GaussianProcesses


class ProcessMean(nn.Module):
    """The mean of a fitted Gaussian process, in double precision.

    Parameters
    ----------
    process : GaussianProcess
    """

    inputs: Tensor
    inverse_lengths: Tensor
    coefficients: Tensor
    centre: Tensor
    linear: Tensor
    of_bumps: Tensor
    centres: Tensor

    def __init__(self, process: GaussianProcess) -> None:
        super().__init__()
        parameters = process.parameters
        linear = torch.as_tensor(parameters.linear, dtype=torch.float64)
        self.register_buffer("inputs", torch.tensor(process.inputs))
        self.register_buffer("coefficients", torch.tensor(process.coefficients))
        self.register_buffer("centre", torch.tensor(process.centre))
        # the linear terms of all blocks are one, with a variance for each column
        self.register_buffer("linear", linear.repeat_interleave(torch.tensor(process.widths)))
        # what the bumps of a row are multiplied by, as the linear terms are one vector
        self.register_buffer(
            "of_bumps",
            torch.from_numpy(parameters.additive * (process.coefficients @ bumps(process.inputs))),
        )
        self.register_buffer("centres", torch.tensor(CENTRES))
        one_each = parameters.scale_columns(np.ones_like(process.centre))
        self.register_buffer("inverse_lengths", torch.from_numpy(one_each))
        self.smooth = parameters.smooth
        self.offset, self.scale = process.offset, process.scale

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
        # in units of the columns' length scales
        scaled, inputs = centred * self.inverse_lengths, self.inputs * self.inverse_lengths
        squares = (scaled**2).sum(1)[:, None] + (inputs**2).sum(1) - 2.0 * scaled @ inputs.T
        # The covariance is flat at distance zero, but the square root has no slope there: where
        # a row is one of the training rows, the root is taken of a one that leads nowhere.
        apart = squares > 0
        root = torch.where(apart, squares, 1.0).sqrt()
        distance = torch.where(apart, root, 0.0) * 3.0**0.5
        smooth = self.smooth * (1.0 + distance) * torch.exp(-distance)
        # (x * variances) . sum of coefficients times rows: one vector for the linear terms
        slope = self.linear * (self.coefficients @ self.inputs)
        value = smooth @ self.coefficients + centred @ slope + self._additive(centred)
        return self.offset + self.scale * value

    def _additive(self, centred: Tensor) -> Tensor:
        """Compute the smooth functions of single columns, as ``bumps`` has them."""
        n_columns = centred.shape[1]
        scaled = (centred[:, :, None] - self.centres) / BUMP_WIDTH
        values = torch.exp(-0.5 * scaled**2).flatten(1)
        return values @ self.of_bumps / (math.pi**0.25 * max(n_columns, 1) ** 0.5)


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
