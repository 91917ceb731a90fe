"""The block of a spectrum: numbers along one axis, of which neighbours belong together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import nn

from .._layers._convolution import ConvolutionDecoder, ConvolutionEncoder
from .._persistence import public
from .._tables._layout import Layout
from ._array import ArrayBlock
from ._settings import check_convolutions


@public("sknestedae.blocks")
class SpectrumBlock(ArrayBlock):
    """A spectrum: numbers along one axis, such as energies, of which neighbours belong together.

    Columns of numbers in their order, or one column whose cells are arrays of one length, enter
    through convolutions along the axis, and come back by a linear layer that convolutions refine.
    Any number of channels from 1 on will do.

    Parameters
    ----------
    n_channels : tuple of int, default=(4,)
        Number of channels after each convolution of the encoder; each halves the length. The
        decoder goes the same way back.
    kernel_size : int, default=5
        Length of the kernels; odd.
    scale : {"block", "column"} or None, default="block"
        Unit of the numbers inside of the network. Each channel is centred. "block" divides all of
        them by one number, so that strong channels count more than weak ones, as in the spectrum
        itself; "column" divides each by its own standard deviation, so that all count the same,
        also those of noise. None leaves the numbers as they are.

    See Also
    --------
    ImageBlock : Numbers along two axes.
    DenseBlock : Columns that stand by themselves.

    Notes
    -----
    An entry that was not measured enters as the mean of its channel, and the encoder is told which
    ones these are. It has no part in the reconstruction error.

    Examples
    --------
    >>> from sknestedae.blocks import Layout, SpectrumBlock
    >>> block = SpectrumBlock(n_channels=(4, 8))
    >>> layout = Layout(102, shape=(102,))
    >>> encoder, n_outputs = block.make_encoder(layout)
    >>> n_outputs  # 102 channels as they are, and 8 channels of a quarter of the length
    310
    """

    kind: ClassVar[str] = "spectrum"

    def __init__(
        self,
        n_channels: Sequence[int] = (4,),
        kernel_size: int = 5,
        scale: str | None = "block",
    ) -> None:
        self.n_channels = n_channels
        self.kernel_size = kernel_size
        self.scale = scale

    def make_encoder(self, layout: Layout) -> tuple[nn.Module, int]:
        """Make convolutions of (n_samples, layout.n_values), told what is missing."""
        n_channels = check_convolutions(self.n_channels, self.kernel_size)
        encoder = ConvolutionEncoder((1, *_shape(layout)), n_channels, self.kernel_size)
        return encoder, encoder.n_outputs

    def make_decoder(self, layout: Layout, n_inputs: int) -> nn.Module:
        """Make a linear layer and convolutions from (n_samples, n_inputs) to the spectrum."""
        n_channels = check_convolutions(self.n_channels, self.kernel_size)
        return ConvolutionDecoder(n_inputs, (1, *_shape(layout)), n_channels, self.kernel_size)


def _shape(layout: Layout) -> tuple[int, ...]:
    """Give the shape of a spectrum, (n_channels,).

    Raises
    ------
    ValueError
        If the values are no numbers along one axis.
    """
    shape = layout.shape or (layout.n_numeric,)
    if layout.n_categories or len(shape) != 1:
        raise ValueError(
            "a spectrum must be numbers along one axis, got "
            + (f"{len(layout.n_categories)} columns of categories." if layout.n_categories else "")
            + (f"an array of the shape {shape}." if len(shape) != 1 else "")
        )
    return shape
