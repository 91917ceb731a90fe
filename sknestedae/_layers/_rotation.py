"""Rotation of images by any angle: turning, the angle between two, the canonical pose.

Angles are in radians, counter-clockwise as an image is drawn, with its first row on top.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ._convolution import ConvolutionEncoder

# Angles at which the pose of an image is searched for, one in six degrees, with a parabola between
# them; and over which means of pixels are taken.
_N_POSES = 64
# Sharpness of the ray that the pose is found by: half of its height at 34 degrees on both sides.
_SHARPNESS = 4.0


def turn(images: Tensor, angles: Tensor) -> Tensor:
    """Turn square images about their centres.

    Linear in the images, with any number of derivatives: ``torch.nn.functional.grid_sample`` has
    no second one, which the search for missing pixels needs.

    Parameters
    ----------
    images : Tensor of shape (..., channels, side, side)
    angles : Tensor of shape (...)

    Returns
    -------
    Tensor of the shape of images
        Linear between pixels. What comes from outside of the frame is as the edge next to it.
    """
    side = images.shape[-1]
    right, up = _coordinates(side, images)
    cosine, sine = angles.cos().unsqueeze(-1), angles.sin().unsqueeze(-1)
    # a pixel comes from where the turn back takes it
    turned = _sample(images, cosine * right + sine * up, cosine * up - sine * right)
    return turned.unflatten(-1, (side, side))


def angles_between(decoded: Tensor, given: Tensor, known: Tensor | None) -> Tensor:
    """Return the angles that turn images nearest to other images.

    The squared error is that on the inscribed disc, in polar coordinates, where a turn is a shift:
    a Fourier transform gives it at all angles at once, so that no local minimum is taken for the
    best. A parabola finds the minimum between angles.

    Parameters
    ----------
    decoded, given : Tensor of shape (..., channels, side, side)
    known : Tensor of the same shape, or None
        Weights of the given pixels, such as which of them were measured; None for all alike.

    Returns
    -------
    Tensor of shape (...)
    """
    known = torch.ones_like(given) if known is None else known.to(given)
    # area of a piece of a ring; (n_rings, 1)
    radius = _radii(given.shape[-1], given).unsqueeze(-1)
    weight = torch.fft.rfft(_polar(known) * radius)
    weighted = torch.fft.rfft(_polar(known * given) * radius)
    own = _polar(decoded)
    square = torch.fft.rfft(own.square())
    # sum of weight * (decoded, shifted, - given)^2, but for what does not depend on the shift
    terms = weight * square.conj() - 2 * weighted * torch.fft.rfft(own).conj()
    errors = torch.fft.irfft(terms.sum(dim=(-3, -2)), n=own.shape[-1])
    return _highest(-errors)


def turned_places(shape: tuple[int, ...]) -> Tensor:
    """Return where the pixels of turned copies stand in a square image, to the nearest pixel.

    Parameters
    ----------
    shape : tuple of int
        (side, side) or (channels, side, side) of an image.

    Returns
    -------
    Tensor of int64, shape (n_copies, n_values)
        The first copy is the image; the others are turned all around in equal steps.
    """
    side, n_channels = shape[-1], math.prod(shape[:-2])
    like = torch.empty(0, dtype=torch.float64)
    right, up = _coordinates(side, like)
    # a bit more, so that no place is half-way between pixels: rounding keeps quarters exactly then
    angles = _all_around(_N_POSES, like).unsqueeze(-1) + 1e-9
    column = (right * angles.cos() + up * angles.sin() + (side - 1) / 2).round()
    row = ((side - 1) / 2 - up * angles.cos() + right * angles.sin()).round()
    places = (row.clamp(0, side - 1) * side + column.clamp(0, side - 1)).long()
    starts = torch.arange(n_channels).unsqueeze(-1) * side**2
    return (places.unsqueeze(1) + starts).flatten(1)


class CanonicalEncoder(nn.Module):
    """An encoder of images that are first turned to a canonical pose.

    The pose is the direction in which an image has most: its correlation with a ray from the
    centre is largest. It turns with the image, so that the encoder sees the same image, up to
    interpolation, whatever the angle was. A ray has all harmonics of the angle, where the phase
    of one alone has no meaning for images of another symmetry. Of an image with a symmetry
    several directions are as good, and give the same image.

    Parameters
    ----------
    encoder : ConvolutionEncoder
        Of square images.
    """

    def __init__(self, encoder: ConvolutionEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.n_outputs = encoder.n_outputs

    def forward(self, values: Tensor, missing: Tensor | None = None) -> Tensor:
        """Return outputs of shape (n_samples, n_outputs), as ``ConvolutionEncoder`` does."""
        angles = self.angles(values)
        if missing is not None:
            missing = self._turn_back(missing.to(values.dtype), angles)
        return self.encoder(self._turn_back(values, angles), missing)

    def angles(self, values: Tensor) -> Tensor:
        """Return the angles that images stand at, of shape (n_samples,)."""
        return _highest(values @ _rays(self.encoder.shape, values).T)

    def _turn_back(self, values: Tensor, angles: Tensor) -> Tensor:
        """Turn flattened images back, with 0 outside of the disc, where no turned one has all."""
        turned = turn(values.unflatten(-1, self.encoder.shape), -angles)
        side = turned.shape[-1]
        inside = _distance(*_coordinates(side, turned)) <= side / 2
        return (turned * inside.view(side, side)).flatten(-3)


def _rays(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Draw rays from the centre to all sides, which end at the inscribed disc.

    They are smooth, so that the grid of pixels has no direction, and drawn for each batch: a
    module with a buffer is not trained in a stack.

    Parameters
    ----------
    shape : tuple of int
        (channels, side, side) of an image.
    like : Tensor
        With the dtype and device that are wanted.

    Returns
    -------
    Tensor of shape (n_rays, channels * side * side)
    """
    n_channels, side, _ = shape
    right, up = _coordinates(side, like)
    radius, angle = _distance(right, up) / (side / 2), torch.atan2(up, right)
    off = angle - _all_around(_N_POSES, like).unsqueeze(-1)
    images = torch.exp(_SHARPNESS * (off.cos() - 1)) * radius * (1 - radius.square()).clamp(min=0)
    # channels that are each other's negative would cancel each other with equal weights
    share = 1 / torch.arange(1, n_channels + 1, dtype=like.dtype, device=like.device)
    return (images.unsqueeze(1) * share.unsqueeze(-1)).flatten(1)


def _coordinates(side: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the coordinates of pixels from the centre, right and up, of (side * side,) each."""
    steps = torch.arange(side, dtype=like.dtype, device=like.device) - (side - 1) / 2
    return steps.repeat(side), (-steps).repeat_interleave(side)


def _distance(right: Tensor, up: Tensor) -> Tensor:
    """Return the distance from the centre; ONNX has no ``torch.hypot``."""
    return (right.square() + up.square()).sqrt()


def _all_around(n_angles: int, like: Tensor) -> Tensor:
    """Return angles in equal steps, from 0 on; of shape (n_angles,)."""
    steps = torch.arange(n_angles, dtype=like.dtype, device=like.device)
    return steps * (2 * math.pi / n_angles)


def _radii(side: int, like: Tensor) -> Tensor:
    """Return the radii of rings, up to the inscribed disc's edge; of shape (ceil(side / 2),)."""
    first = 0.5 if side % 2 == 0 else 0.0
    return torch.arange(-(-side // 2), dtype=like.dtype, device=like.device) + first


def _polar(images: Tensor) -> Tensor:
    """Return images in polar coordinates, of shape (..., channels, n_rings, n_angles)."""
    side = images.shape[-1]
    n_angles = max(32, 4 * side)  # more than pixels of the outermost ring
    angle = _all_around(n_angles, images)
    radius = _radii(side, images).unsqueeze(-1)
    right, up = (radius * angle.cos()).flatten(), (radius * angle.sin()).flatten()
    return _sample(images, right, up).unflatten(-1, (-1, n_angles))


def _sample(images: Tensor, right: Tensor, up: Tensor) -> Tensor:
    """Return images at places, linear between pixels, and beyond the edge as the edge is.

    Parameters
    ----------
    images : Tensor of shape (..., channels, side, side)
    right, up : Tensor of shape (..., n_places) or (n_places,)
        How far right and up of the centre they are, in pixels.

    Returns
    -------
    Tensor of shape (..., channels, n_places)
    """
    last = images.shape[-1] - 1
    column, row = (last / 2 + right).clamp(0, last), (last / 2 - up).clamp(0, last)
    left, top = column.detach().floor(), row.detach().floor()
    flat = images.flatten(-2)
    parts = []
    for down in (0, 1):
        for across in (0, 1):
            # 1 at the pixel, 0 at the one next to it
            weight = (1 - (row - top - down).abs()) * (1 - (column - left - across).abs())
            place = (top + down).clamp(max=last) * (last + 1) + (left + across).clamp(max=last)
            place = place.long().unsqueeze(-2).expand(*flat.shape[:-1], -1)
            parts.append(weight.unsqueeze(-2) * flat.gather(-1, place))
    return parts[0] + parts[1] + parts[2] + parts[3]


def _highest(scores: Tensor) -> Tensor:
    """Return the angles at which scores, all around in equal steps, are largest.

    Parameters
    ----------
    scores : Tensor of shape (..., n_angles)

    Returns
    -------
    Tensor of shape (...)
        Where the parabola through the largest and its neighbours is highest.
    """
    n_angles = scores.shape[-1]
    best = scores.detach().argmax(dim=-1, keepdim=True)
    before, at, after = (
        scores.gather(-1, (best + step) % n_angles).squeeze(-1) for step in (-1, 0, 1)
    )
    curvature = 2 * at - before - after
    # not where all three are the same, nor where scores are no numbers, as in a fit that diverges
    is_peak = (curvature > 0) & curvature.isfinite()
    step = (after - before) / (2 * torch.where(is_peak, curvature, torch.ones_like(at)))
    step = torch.where(is_peak, step, torch.zeros_like(step))
    return (best.squeeze(-1) + step) * (2 * math.pi / n_angles)
