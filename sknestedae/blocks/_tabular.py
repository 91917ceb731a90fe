"""The block of ordinary columns."""

from __future__ import annotations

from torch import nn

from .._layers._dense import Dropout
from .._persistence import public
from .._tables._layout import Layout
from ._base import Block
from ._settings import check_fraction


@public("sknestedae.blocks")
class DenseBlock(Block):
    """Ordinary columns: they enter the encoder as they are, and come back by one linear layer.

    A subclass may make other modules. It is a dense block, too: the parameter ``initialization``
    of the estimator draws the weights of all linear layers that it makes, and sets their biases
    to 0. Its modules are checked as those of any block are.

    Parameters
    ----------
    dropout : float, default=0.0
        Probability that a value is hidden from the encoder in a training step: a number then
        enters as its column's mean (a denoising autoencoder). The others are scaled up, so that
        their sum stays.

    See Also
    --------
    Block : The interface, for kinds of data of your own.

    References
    ----------
    P. Vincent, H. Larochelle, Y. Bengio and P.-A. Manzagol, "Extracting and composing robust
    features with denoising autoencoders", ICML 2008.

    Examples
    --------
    >>> from sknestedae.blocks import DenseBlock
    >>> DenseBlock(dropout=0.1)
    DenseBlock(dropout=0.1)
    """

    def __init__(self, dropout: float = 0.0) -> None:
        self.dropout = dropout

    def make_encoder(self, layout: Layout) -> tuple[nn.Module, int]:
        """Make an identity, or dropout, of shape (n_samples, layout.n_values)."""
        p = check_fraction("dropout", getattr(self, "dropout", 0.0))
        return Dropout(p) if p else nn.Identity(), layout.n_values

    def make_decoder(self, layout: Layout, n_inputs: int) -> nn.Module:
        """Make a linear layer from (n_samples, n_inputs) to (n_samples, layout.n_values)."""
        return nn.Linear(n_inputs, layout.n_values)
