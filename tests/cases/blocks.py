"""A block of a user."""

from __future__ import annotations

from torch import nn

from sknestedae.blocks import Block


class SpectrumBlock(Block):
    """A spectrum through a convolution, for the tests."""

    def __init__(self, n_channels=2, kernel_size=3):
        self.n_channels = n_channels
        self.kernel_size = kernel_size

    def make_encoder(self, layout):
        convolution = nn.Conv1d(1, self.n_channels, self.kernel_size, stride=2)
        width = (layout.n_values - self.kernel_size) // 2 + 1
        encoder = nn.Sequential(nn.Unflatten(1, (1, -1)), convolution, nn.SiLU(), nn.Flatten())
        return encoder, self.n_channels * width

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, layout.n_values)
