"""The block of ordinary columns."""

from __future__ import annotations

from torch import nn

from .._persistence import public
from .._tables._layout import Layout
from ._base import Block


@public("sknestedae.blocks")
class DenseBlock(Block):
    """Ordinary columns: they enter the encoder as they are, and come back by one linear layer.

    A subclass may make other modules. It is a dense block, too: the parameter ``initialization``
    of the estimator draws the weights of all linear layers that it makes, and sets their biases
    to 0. Its modules are checked as those of any block are.

    See Also
    --------
    Block : The interface, for kinds of data of your own.

    Examples
    --------
    >>> from sknestedae.blocks import DenseBlock
    >>> DenseBlock()
    DenseBlock()
    """

    def make_encoder(self, layout: Layout) -> tuple[nn.Module, int]:
        """Make an identity of shape (n_samples, layout.n_values)."""
        return nn.Identity(), layout.n_values

    def make_decoder(self, layout: Layout, n_inputs: int) -> nn.Module:
        """Make a linear layer from (n_samples, n_inputs) to (n_samples, layout.n_values)."""
        return nn.Linear(n_inputs, layout.n_values)
