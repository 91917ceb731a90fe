"""Placeholder until merge."""

from torch import nn

from .._persistence import public
from ._array import ArrayBlock


@public("sknestedae.blocks")
class ImageBlock(ArrayBlock):
    kind = "image"
    reads_missing = False

    def __init__(self, scale="block", kernel_size=3):
        self.scale = scale
        self.kernel_size = kernel_size

    def make_encoder(self, layout):
        return nn.Linear(layout.n_values, 32), 32

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, layout.n_values)
