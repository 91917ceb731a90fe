"""The block of a spectrum: numbers along one axis, read by convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import nn

from .._layers._convolution import ConvolutionDecoder, ConvolutionEncoder
from .._persistence import public
from .._tables._layout import Layout
from ._array import ArrayBlock
from ._settings import check_at_least, check_convolutions


@public("sknestedae.blocks")
class SpectrumBlock(ArrayBlock):
    r"""Kind of data: spectra, numbers along one axis such as energies, read by convolutions.

    Columns of numbers in their order, or one column whose cells are arrays of one length, enter
    through convolutions along the axis, and come back by a linear layer that convolutions refine.
    Any number of channels from 1 on is possible.

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
    cumulative_weight : float, default=0.0
        Weight of the error of the cumulative distribution along the axis, added to the error of
        the entries, where the spectrum is reconstructed or, as a ``target_block``, predicted. For
        densities of states and other distributions: see the notes.

    See Also
    --------
    ImageBlock : Numbers along two axes.
    DenseBlock : Columns that stand by themselves.

    Notes
    -----
    An entry that was not measured enters as the mean of its channel, and the encoder is told which
    ones these are. It has no part in the reconstruction error.

    With errors of each channel by itself, a peak that is predicted one channel aside costs as much
    as one that is predicted at the other end. With ``cumulative_weight`` the loss has one more
    term, the error of the cumulative distribution, which is the share of a spectrum below each
    channel,

    .. math:: \frac{w}{n} \sum_i \ell(\hat F_i - F_i), \qquad
        F_i = \sum_{j \le i} s_j \Big/ \sum_j s_j.

    With squared errors it is the Cramér distance of two distributions [1]_ [2]_, with absolute
    ones the Wasserstein distance of order 1, also called the earth mover's distance, on an axis of
    length 1; so a weight means the same for any number of channels. It grows with the distance by
    which intensity is misplaced, so that means and other moments along the axis are better
    predicted. An alternative is a divergence of the normalised spectra, as in Mat2Spec [3]_, which
    ignores distances along the axis.

    Channels are taken to be equally far from each other, and entries below 0 as 0: it is for
    quantities that cannot be negative, such as densities of states; a target then has
    ``target_bounds=(0, None)``. Shares are below 1 where errors of channels are in standard
    deviations, so that weights near 10 are usual. In ``history_`` it is ``prediction__cumulative``
    or ``reconstruction__cumulative``. A spectrum with a missing entry has no part in it.

    References
    ----------
    .. [1] H. Cramér, "On the composition of elementary errors", Scandinavian Actuarial Journal
       1928, 13 and 141 (1928). :doi:`10.1080/03461238.1928.10416862`
    .. [2] G. J. Székely and M. L. Rizzo, "Energy statistics: A class of statistics based on
       distances", J. Stat. Plan. Inference 143, 1249 (2013). :doi:`10.1016/j.jspi.2013.03.018`
    .. [3] S. Kong, F. Ricci, D. Guevarra, J. B. Neaton, C. P. Gomes and J. M. Gregoire, "Density
       of states prediction for materials discovery via contrastive learning from probabilistic
       embeddings", Nat. Commun. 13, 949 (2022). :doi:`10.1038/s41467-022-28543-x`

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
        cumulative_weight: float = 0.0,
    ) -> None:
        self.n_channels = n_channels
        self.kernel_size = kernel_size
        self.scale = scale
        self.cumulative_weight = cumulative_weight

    def make_encoder(self, layout: Layout) -> tuple[nn.Module, int]:
        """Make convolutions of (n_samples, layout.n_values), with a mask of missing channels."""
        n_channels = check_convolutions(self.n_channels, self.kernel_size)
        encoder = ConvolutionEncoder((1, *_shape(layout)), n_channels, self.kernel_size)
        return encoder, encoder.n_outputs

    def make_decoder(self, layout: Layout, n_inputs: int) -> nn.Module:
        """Make a linear layer and convolutions from (n_samples, n_inputs) to the spectrum."""
        n_channels = check_convolutions(self.n_channels, self.kernel_size)
        check_at_least("cumulative_weight", self.cumulative_weight, 0)
        return ConvolutionDecoder(n_inputs, (1, *_shape(layout)), n_channels, self.kernel_size)


def _shape(layout: Layout) -> tuple[int, ...]:
    """Return the shape of a spectrum, (n_channels,).

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
