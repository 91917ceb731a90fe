"""The interface of a block."""

from __future__ import annotations

from abc import ABC, abstractmethod

from sklearn.base import BaseEstimator
from torch import nn

from .._persistence import public
from .._tables._layout import Layout


@public("sknestedae.blocks")
class Block(BaseEstimator, ABC):
    """How one kind of data enters the encoder and comes back from the decoder.

    A block holds settings only, as keyword arguments of its ``__init__``; the modules that it
    makes hold the parameters. It is cloned and stored as an estimator is.

    See Also
    --------
    DenseBlock : The block of ordinary columns.

    Examples
    --------
    A block that sends a spectrum through a convolution:

    >>> from torch import nn
    >>> from sknestedae.blocks import Block
    >>> class SpectrumBlock(Block):
    ...     def __init__(self, kernel_size=5):
    ...         self.kernel_size = kernel_size
    ...
    ...     def make_encoder(self, layout):
    ...         pad = self.kernel_size // 2
    ...         convolution = nn.Conv1d(1, 4, self.kernel_size, stride=2, padding=pad)
    ...         encoder = nn.Sequential(nn.Unflatten(1, (1, -1)), convolution, nn.Flatten())
    ...         return encoder, 4 * ((layout.n_values - 1) // 2 + 1)
    ...
    ...     def make_decoder(self, layout, n_inputs):
    ...         return nn.Linear(n_inputs, layout.n_values)
    >>> SpectrumBlock()
    SpectrumBlock()
    """

    @abstractmethod
    def make_encoder(self, layout: Layout) -> tuple[nn.Module, int]:
        """Make the module that turns the block's values into inputs of the common encoder.

        Parameters
        ----------
        layout : Layout
            How the values are made up: ``n_numeric`` columns of numbers, then the one-hot groups
            of ``n_categories``; ``n_values`` in all.

        Returns
        -------
        encoder : torch.nn.Module
            From (n_samples, layout.n_values) to (n_samples, n_outputs).
        n_outputs : int
            Width of its outputs.
        """

    @abstractmethod
    def make_decoder(self, layout: Layout, n_inputs: int) -> nn.Module:
        """Make the module that turns outputs of the common decoder into the block's values.

        Parameters
        ----------
        layout : Layout
            How the values are made up.
        n_inputs : int
            Width of the common decoder's outputs.

        Returns
        -------
        decoder : torch.nn.Module
            From (n_samples, n_inputs) to (n_samples, layout.n_values): numbers in scaled units,
            and unnormalised log-probabilities (logits) for each one-hot group.
        """
