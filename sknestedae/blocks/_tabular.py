"""The block of ordinary columns."""

from __future__ import annotations

from torch import nn

from .._layers._dense import Clip, Dropout
from .._persistence import public
from .._tables._layout import Layout
from ._base import Block
from ._settings import check_at_least, check_fraction


@public("sknestedae.blocks")
class DenseBlock(Block):
    """Kind of data: ordinary columns, which enter as they are and come back by a linear layer.

    A subclass may make other modules. It is a dense block, too: the parameter ``initialization``
    of the estimator draws the weights of all linear layers that it makes, and sets their biases
    to 0. Its modules are checked as those of any block are.

    Parameters
    ----------
    dropout : float, default=0.0
        Probability that a value is hidden from the encoder in a training step: a number then
        enters as its column's mean (a denoising autoencoder). The others are scaled up, so that
        their sum stays.
    clip : float or None, default=5.0
        Largest distance of a number from its column's mean, in standard deviations: a number
        beyond it enters the encoder as one at that distance, and is itself reconstructed. At least
        1. None, or ``standardize=False``: no limit.

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

    def __init__(self, dropout: float = 0.0, clip: float | None = 5.0) -> None:
        self.dropout = dropout
        self.clip = clip

    def make_encoder(self, layout: Layout) -> tuple[nn.Module, int]:
        """Make a module without weights, of shape (n_samples, layout.n_values)."""
        p = check_fraction("dropout", getattr(self, "dropout", 0.0))
        limit = getattr(self, "clip", None)
        if limit is not None:  # from 1 on, so that the 0 and 1 of categories stay
            limit = check_at_least("clip", limit, 1)
        layers: list[nn.Module] = []
        if limit is not None and layout.n_numeric and layout.is_standardized:
            layers.append(Clip(limit))
        if p:
            layers.append(Dropout(p))
        encoder = nn.Sequential(*layers) if len(layers) > 1 else (layers or [nn.Identity()])[0]
        return encoder, layout.n_values

    def make_decoder(self, layout: Layout, n_inputs: int) -> nn.Module:
        """Make a linear layer from (n_samples, n_inputs) to (n_samples, layout.n_values)."""
        return nn.Linear(n_inputs, layout.n_values)
