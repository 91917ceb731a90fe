"""Convolutions over one array for each row, such as a spectrum or an image, and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# By the number of axes that a kernel moves along.
_CONVOLUTIONS: dict[int, Callable[..., nn.Conv1d | nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}
_TRANSPOSED: dict[int, Callable[..., nn.Module]] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d}


class ConvolutionEncoder(nn.Module):
    """Strided convolutions over one array for each row, with the array itself among the outputs.

    Each convolution halves every side, rounded up. The array enters the next layer as well as it
    is, so that a linear function of it needs no convolution.

    Parameters
    ----------
    shape : tuple of int
        (channels, length) or (channels, height, width) of an array.
    n_channels : sequence of int
        Number of channels after each convolution.
    kernel_size : int
        Length of a side of the kernels; odd.

    Attributes
    ----------
    n_outputs : int
        Width of the outputs.
    """

    def __init__(
        self, shape: tuple[int, ...], n_channels: Sequence[int], kernel_size: int
    ) -> None:
        super().__init__()
        self.shape = shape
        convolution = _CONVOLUTIONS[len(shape) - 1]
        sizes = (shape[0], *n_channels)
        self.convolutions = nn.ModuleList(
            convolution(n_in, n_out, kernel_size, stride=2, padding=kernel_size // 2)
            for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True)
        )
        # of the flags of missing entries; 0, so that it is as if nothing was told at first
        self.missing = convolution(
            shape[0], sizes[1], kernel_size, stride=2, padding=kernel_size // 2, bias=False
        )
        nn.init.zeros_(self.missing.weight)
        self.is_line = len(shape) == 2 and shape[0] == 1
        self.activation = nn.SiLU()
        side = shape[1:]
        for _ in n_channels:
            side = halved(side)
        self.n_outputs = math.prod(shape) + sizes[-1] * math.prod(side)

    def forward(self, values: Tensor, missing: Tensor | None = None) -> Tensor:
        """Return outputs of shape (n_samples, n_outputs).

        Parameters
        ----------
        values : Tensor of shape (n_samples, n_values)
            Flattened arrays.
        missing : Tensor of bool, shape (n_samples, n_values), optional
            Which entries were not measured; None where all of them were.
        """
        first, *others = self.convolutions
        arrays = self._enter(values, first)
        if missing is not None:
            arrays = arrays + self._enter(missing.to(values.dtype), self.missing)
        arrays = self.activation(arrays)
        if self.is_line and others:
            arrays = arrays.transpose(-1, -2)
        for convolution in others:
            arrays = self.activation(convolution(arrays))
        return torch.cat([values, arrays.flatten(1)], dim=-1)

    def _enter(self, values: Tensor, convolution: nn.Module) -> Tensor:
        """Apply the first convolution to rows; its channels are last if they are lines."""
        if self.is_line:
            assert isinstance(convolution, nn.Conv1d)
            return convolve_line(values, convolution.weight[:, 0], convolution.bias)
        return convolution(values.unflatten(-1, self.shape))


class PoolOverSymmetries(nn.Module):
    """Features that are the same for an image and its mirrored and turned copies.

    Outputs of an encoder go through a hidden layer, and are averaged over the symmetries of the
    image (the group average of Cohen and Welling, 2016, over whole features). In training each
    image of a batch is seen as one of its copies, which costs an eighth of the time, and makes the
    features of each copy alike on their own. Which one it is follows from the image's place in the
    batch. Rows come in a new order in each epoch, so this is as good as a draw, and each copy is
    as frequent as any other in every batch.

    Parameters
    ----------
    encoder : ConvolutionEncoder
        Of an image.
    n_outputs : int
        Width of the hidden layer.

    References
    ----------
    T. S. Cohen and M. Welling, "Group equivariant convolutional networks", ICML 2016.
    """

    def __init__(self, encoder: ConvolutionEncoder, n_outputs: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.hidden = nn.Linear(encoder.n_outputs, n_outputs)
        self.activation = nn.SiLU()
        self.n_outputs = n_outputs

    def forward(self, values: Tensor, missing: Tensor | None = None) -> Tensor:
        """Return outputs of shape (n_samples, n_outputs), as ``ConvolutionEncoder`` does."""
        if self.training:
            return self._features(
                self._one_copy(values), None if missing is None else self._one_copy(missing)
            )
        features = self._features(
            self._all_copies(values), None if missing is None else self._all_copies(missing)
        )
        # the size of the axis, which a program that was exported can take of other batches, too
        return features.unflatten(0, (-1, values.shape[0])).mean(dim=0)

    def _features(self, values: Tensor, missing: Tensor | None) -> Tensor:
        return self.activation(self.hidden(self.encoder(values, missing)))

    def _all_copies(self, flat: Tensor) -> Tensor:
        """Make all copies: (n_copies * n_samples, n_values) from (n_samples, n_values)."""
        return torch.cat(symmetric_copies(flat.unflatten(-1, self.encoder.shape))).flatten(1)

    def _one_copy(self, flat: Tensor) -> Tensor:
        """Return a copy of each image: of the first one the first, of the next one the next."""
        return copies_by_place(flat.unflatten(-1, self.encoder.shape)).flatten(1)


class ConvolutionDecoder(nn.Module):
    """A linear layer to a whole array, and convolutions that refine it.

    The convolutions begin with a small array of many channels, and double every side up to that
    of the array, in as many steps as the encoder halves it. They are transposed ones with
    stride 2: doubling first, and a convolution then, takes three times as long on a CPU.

    Parameters
    ----------
    n_inputs : int
        Width of the inputs.
    shape : tuple of int
        (channels, length) or (channels, height, width) of an array.
    n_channels : sequence of int
        Number of channels of the encoder's convolutions, which are gone through backwards.
    kernel_size : int
        Length of a side of the kernels; odd.
    """

    def __init__(
        self, n_inputs: int, shape: tuple[int, ...], n_channels: Sequence[int], kernel_size: int
    ) -> None:
        super().__init__()
        sides = [shape[1:]]
        for _ in n_channels:
            sides.append(halved(sides[-1]))
        self.is_line = len(shape) == 2 and shape[0] == 1
        self.n_values = math.prod(shape)
        self.small = (n_channels[-1], *sides[-1])
        if self.is_line and len(n_channels) == 1:
            self.small = self.small[::-1]  # as they are spread
        self.linear = nn.Linear(n_inputs, math.prod(shape))
        self.to_small = nn.Linear(n_inputs, math.prod(self.small))
        sizes = (*n_channels[::-1], shape[0])
        convolution = _TRANSPOSED[len(shape) - 1]
        self.convolutions = nn.ModuleList(
            convolution(
                n_in,
                n_out,
                kernel_size,
                stride=2,
                padding=kernel_size // 2,
                # twice the side before less 1 for odd sides, and one more for even ones
                output_padding=tuple(1 - n % 2 for n in side),
                bias=k < len(n_channels) - 1,  # the linear layer has that of the array
            )
            for k, (n_in, n_out, side) in enumerate(
                zip(sizes[:-1], sizes[1:], sides[-2::-1], strict=True)
            )
        )
        self.activation = nn.SiLU()

    def forward(self, inputs: Tensor) -> Tensor:
        """Decode (n_samples, n_inputs) to flattened arrays of shape (n_samples, n_values)."""
        arrays = self.activation(self.to_small(inputs)).unflatten(-1, self.small)
        *others, last = self.convolutions
        for convolution in others:
            arrays = self.activation(convolution(arrays))
        if self.is_line:
            assert isinstance(last, nn.ConvTranspose1d)
            lines = arrays.transpose(-1, -2) if others else arrays
            refined = spread_line(lines, last.weight[:, 0])[..., : self.n_values]
        else:
            refined = last(arrays).flatten(1)
        return self.linear(inputs) + refined


def convolve_line(values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve lines of one channel with stride 2.

    The same as torch's convolution, as a product with windows of the line. As no gradient of the
    line is to be found, this takes two thirds of its time for a hundred entries.

    Parameters
    ----------
    values : Tensor of shape (..., length)
    weight : Tensor of shape (n_channels, kernel_size)
        The size is odd; lines are continued by zeros.
    bias : Tensor of shape (n_channels,) or None

    Returns
    -------
    Tensor of shape (..., ceil(length / 2), n_channels)
    """
    size = weight.shape[-1]
    windows = F.pad(values, (size // 2, size // 2)).unfold(-1, size, 2)
    return F.linear(windows, weight, bias)


def spread_line(arrays: Tensor, weight: Tensor) -> Tensor:
    """Spread lines of many channels to lines of one, of twice the length.

    The same as torch's transposed convolution with stride 2, as sums of shifted pairs of entries.

    Parameters
    ----------
    arrays : Tensor of shape (..., length, n_channels)
    weight : Tensor of shape (n_channels, kernel_size)
        The size is odd.

    Returns
    -------
    Tensor of shape (..., 2 * length)
    """
    reach = weight.shape[-1] // 2  # entry i goes to 2 i - reach, ..., 2 i + reach
    # with a zero before or after them these are whole pairs: number i, and those around it
    pairs = arrays @ F.pad(weight, (reach % 2, 1 - reach % 2))
    parts = pairs.unflatten(-1, (-1, 2)).unbind(-2)
    middle = (reach + 1) // 2
    total = parts[middle]
    for shift in range(1, min(middle + 1, arrays.shape[-2])):  # beyond, all of it falls outside
        total = total + F.pad(parts[middle - shift], (0, 0, -shift, shift))
        if middle + shift < len(parts):
            total = total + F.pad(parts[middle + shift], (0, 0, shift, -shift))
    return total.flatten(-2)


def halved(side: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sides of an array after a convolution with stride 2: half of each, rounded up."""
    return tuple(-(-n // 2) for n in side)


# Axes that an image is mirrored along; a square is transposed after it as well.
_MIRRORS = ((), (-1,), (-2,), (-2, -1))


def count_symmetries(shape: Sequence[int]) -> int:
    """Count the symmetries that keep the shape (..., height, width) of an image.

    Eight of a square, four of another rectangle, which a quarter turn would give another shape.
    """
    return 2 * len(_MIRRORS) if shape[-1] == shape[-2] else len(_MIRRORS)


def symmetric_copy(images: Tensor, k: int) -> Tensor:
    """Return a mirrored or turned copy of images (..., height, width); number 0 is the image."""
    copy = images.flip(_MIRRORS[k % len(_MIRRORS)])
    return copy if k < len(_MIRRORS) else copy.transpose(-2, -1)


def symmetric_copies(images: Tensor) -> list[Tensor]:
    """Return all mirrored and turned copies of images that have their shape.

    Parameters
    ----------
    images : Tensor of shape (..., height, width)

    Returns
    -------
    list of Tensor, each of the shape of images
        The image first.
    """
    return [symmetric_copy(images, k) for k in range(count_symmetries(images.shape))]


def copies_by_place(images: Tensor) -> Tensor:
    """Return one mirrored or turned copy of each image, all kinds of copies in turn.

    Parameters
    ----------
    images : Tensor of shape (n_samples, channels, height, width)

    Returns
    -------
    Tensor of the shape of images
        Image i of n kinds becomes its copy number i modulo n.
    """
    copies, n_copies = images.clone(), count_symmetries(images.shape)
    for k in range(1, n_copies):
        copies[k::n_copies] = symmetric_copy(images[k::n_copies], k)
    return copies


# All modules that a network with convolutions is made of, none of which draws random numbers.
CONVOLUTION_MODULES = (
    *(nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d),
    *(ConvolutionEncoder, PoolOverSymmetries, ConvolutionDecoder),
)
