"""The block of an image: numbers along two axes, read by convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from .._layers._convolution import (
    ConvolutionDecoder,
    ConvolutionEncoder,
    PoolOverSymmetries,
    symmetric_copies,
)
from .._layers._rotation import CanonicalEncoder, angles_between, turn, turned_places
from .._persistence import public
from .._tables._layout import Layout
from ._array import ArrayBlock
from ._settings import check_choice, check_convolutions

INVARIANCES = ("symmetries", "rotation", None)

# Width of the features that are averaged over the symmetries.
_N_POOLED = 128


@public("sknestedae.blocks")
class ImageBlock(ArrayBlock):
    """Kind of data: images, such as maps or micrographs, with one or several channels.

    Arrays of (n_samples, height, width) or (n_samples, channels, height, width), or cells that
    hold such arrays, enter through convolutions, and come back by a linear layer that convolutions
    refine. Any height and width from 1 on is possible. Channels stand first.

    Parameters
    ----------
    shape : tuple of int or None, default=None
        (height, width) or (channels, height, width) of an image. It is needed where an image is a
        row of many columns.
    n_channels : tuple of int, default=(16, 32)
        Number of channels after each convolution of the encoder; each halves height and width. The
        decoder goes the same way back.
    kernel_size : int, default=3
        Length of a side of the kernels; odd.
    invariance : {"symmetries", "rotation"} or None, default=None
        Transformations that the latents do not depend on. With "symmetries" they are the same for
        an image and its mirrored and turned copies: eight of a square, four of another rectangle
        (two mirrors and the half turn, which keep its shape). With "rotation" they are the same
        for every angle that a square image is turned by, up to interpolation between pixels; a
        mirror image has others. It suits targets that do not depend on the transformation either.
        Such latents do not hold the pose of an image: the reconstruction is turned as the given
        image before it is compared with it, to the copy or the angle with the smallest squared
        error.
    scale : {"block", "column"} or None, default="block"
        Unit of the numbers inside of the network. Each pixel is centred. "block" divides all of
        them by one number; "column" each by its own standard deviation. None leaves the numbers as
        they are.

    See Also
    --------
    SpectrumBlock : Numbers along one axis.
    DenseBlock : Columns that stand by themselves.

    Notes
    -----
    A pixel that was not measured enters as the mean of its place, and the encoder is told which
    ones these are. It has no part in the reconstruction error.

    With ``invariance="rotation"`` the encoder sees an image turned to a pose of its own, in which
    its brightest direction from the centre points right. It sees the inscribed disc alone, as the
    corners leave the frame in a turn. The decoder draws one pose, the canonical one, which is
    turned to the given image by the best of all angles, found on the disc; where this takes pixels
    from outside of the frame, they are as the edge next to them. So objects should lie in the
    disc, on an even background, and be some ten pixels wide or more. The angle is not learnt, and
    a rotationally invariant variational autoencoder (rVAE), which learns it, is another model for
    the same aim. :func:`~sknestedae.inspection.rotation_angles` gives the angles.

    References
    ----------
    E. Mehr, A. Lieutier, F. Sanchez Bermudez, V. Guitteny, N. Thome and M. Cord, "Manifold
    learning in quotient spaces", CVPR 2018: an autoencoder up to the symmetries of its data.

    T. Bepler, E. D. Zhong, K. Kelley, E. Brignole and B. Berger, "Explicitly disentangling image
    content from translation and rotation with spatial-VAE", NeurIPS 2019; for microscopy S. V.
    Kalinin, O. Dyck, S. Jesse and M. Ziatdinov, Sci. Adv. 7, eabd5084 (2021): latents beside an
    angle.

    Examples
    --------
    >>> from sknestedae.blocks import ImageBlock, Layout
    >>> block = ImageBlock(n_channels=(4, 8))
    >>> layout = Layout(256, shape=(16, 16))
    >>> encoder, n_outputs = block.make_encoder(layout)
    >>> n_outputs  # 256 pixels as they are, and 8 channels of 4 x 4
    384
    """

    kind: ClassVar[str] = "image"

    def __init__(
        self,
        shape: Sequence[int] | None = None,
        n_channels: Sequence[int] = (16, 32),
        kernel_size: int = 3,
        invariance: str | None = None,
        scale: str | None = "block",
    ) -> None:
        self.shape = shape
        self.n_channels = n_channels
        self.kernel_size = kernel_size
        self.invariance = invariance
        self.scale = scale

    def copies(self, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return the mirrored and turned copies of an image; None without ``invariance``."""
        check_choice("invariance", self.invariance, INVARIANCES)
        if self.invariance == "rotation":
            return turned_places(_check_square(shape)).numpy()
        return None if self.invariance is None else places_of_copies(shape).numpy()

    def make_encoder(self, layout: Layout) -> tuple[nn.Module, int]:
        """Make convolutions of (n_samples, layout.n_values), with a mask of missing pixels."""
        n_channels = check_convolutions(self.n_channels, self.kernel_size)
        check_choice("invariance", self.invariance, INVARIANCES)
        encoder = ConvolutionEncoder(_shape(layout), n_channels, self.kernel_size)
        if self.invariance is None:
            return encoder, encoder.n_outputs
        if self.invariance == "rotation":
            _check_square(layout.shape)
            return CanonicalEncoder(encoder), encoder.n_outputs
        return PoolOverSymmetries(encoder, _N_POOLED), _N_POOLED

    def make_decoder(self, layout: Layout, n_inputs: int) -> nn.Module:
        """Make a linear layer and convolutions from (n_samples, n_inputs) to the image."""
        n_channels = check_convolutions(self.n_channels, self.kernel_size)
        return ConvolutionDecoder(n_inputs, _shape(layout), n_channels, self.kernel_size)

    def align(
        self, decoded: Tensor, given: Tensor, known: Tensor | None, layout: Layout
    ) -> Tensor:
        """Turn and mirror decoded images to the pose of the given ones, with ``invariance``.

        Parameters
        ----------
        decoded, given : Tensor of shape (..., n_samples, layout.n_values)
        known : Tensor of bool, shape (..., n_samples, layout.n_columns), or None
            Which pixels were measured; None where all of them were.
        layout : Layout

        Returns
        -------
        Tensor of shape (..., n_samples, layout.n_values)
            Of each image the copy or the turned one with the smallest squared error over known
            pixels; the decoded one without ``invariance``.
        """
        check_choice("invariance", self.invariance, INVARIANCES)
        if self.invariance is None:
            return decoded
        if self.invariance == "rotation":
            angles = self.angles(decoded, given, known, layout)
            return turn(decoded.unflatten(-1, _shape(layout)), angles).flatten(-3)
        return nearest_copies(decoded, given, known, _shape(layout))

    def average_poses(self, decoded: Tensor, layout: Layout) -> Tensor:
        """Average decoded images over their mirrored or turned copies, with ``invariance``."""
        copies = self.copies(_shape(layout))
        if copies is None:
            return decoded
        total = torch.zeros_like(decoded)
        for copy in torch.from_numpy(copies).to(decoded.device):
            total += decoded[..., copy]
        return total / len(copies)

    def angles(
        self, decoded: Tensor, given: Tensor, known: Tensor | None, layout: Layout
    ) -> Tensor:
        """Return the angles by which ``align`` turns decoded images (``invariance="rotation"``).

        Parameters
        ----------
        decoded, given, known, layout
            As of ``align``.

        Returns
        -------
        Tensor of shape (..., n_samples)
            In radians, counter-clockwise. Without a gradient: at the angle with the smallest
            error, the derivative of the error with respect to the angle is 0.
        """
        shape = _check_square(_shape(layout))
        return angles_between(
            decoded.detach().unflatten(-1, shape),
            given.detach().unflatten(-1, shape),
            None if known is None else known.unflatten(-1, shape),
        )


def nearest_copies(
    decoded: Tensor, given: Tensor, known: Tensor | None, shape: tuple[int, ...]
) -> Tensor:
    """Return the turned or mirrored copy of each decoded image that is nearest to the given one.

    Parameters
    ----------
    decoded, given : Tensor of shape (..., n_values)
        Flattened images.
    known : Tensor of shape (..., n_values) or None
        Mask of the pixels that are compared, or their weights; None for all.
    shape : tuple of int
        (channels, height, width) of an image.

    Returns
    -------
    Tensor of shape (..., n_values)
        Gradients go through the copy that was taken.
    """
    copies = places_of_copies(shape).to(decoded.device)
    with torch.no_grad():
        # (..., n_copies); one copy at a time, which needs an eighth of the memory
        errors = torch.stack(
            [_squared_distance(decoded[..., copy], given, known) for copy in copies], dim=-1
        )
        nearest = copies[errors.argmin(dim=-1)]  # (..., n_values)
    return decoded.gather(-1, nearest)


def places_of_copies(shape: tuple[int, ...]) -> Tensor:
    """Return where the pixels of mirrored and turned copies stand in an image.

    Parameters
    ----------
    shape : tuple of int
        (height, width) or (channels, height, width) of an image.

    Returns
    -------
    Tensor of int64, shape (n_copies, n_values)
    """
    places = torch.arange(math.prod(shape)).view(shape)
    return torch.stack([copy.flatten() for copy in symmetric_copies(places)])


def _squared_distance(first: Tensor, second: Tensor, weight: Tensor | None) -> Tensor:
    squares = (first - second).square()
    return (squares if weight is None else squares * weight).sum(dim=-1)


def _check_square(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of an image, or raise an error if it is not square.

    Raises
    ------
    ValueError
        If it is not square.
    """
    if shape[-2] != shape[-1]:
        raise ValueError(
            'invariance="rotation" needs square images, as a rectangle leaves its frame when it '
            f"is turned; got the shape {tuple(shape)}. Crop them, or use "
            'invariance="symmetries".'
        )
    return shape


def _shape(layout: Layout) -> tuple[int, ...]:
    """Return the shape of an image, (channels, height, width).

    Raises
    ------
    ValueError
        If the values are no image.
    """
    if len(layout.shape) not in (2, 3):
        raise ValueError(
            "an image must have the shape (height, width) or (channels, height, width), got "
            f"{layout.n_columns} columns of the shape {layout.shape}; give it to the block as "
            "shape=."
        )
    return layout.shape if len(layout.shape) == 3 else (1, *layout.shape)
