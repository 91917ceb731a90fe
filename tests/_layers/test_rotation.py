"""Turning images, the angle between two, and an encoder that does not depend on it."""

import math

import numpy as np
import pytest
import torch

from sknestedae._layers._convolution import ConvolutionEncoder
from sknestedae._layers._rotation import CanonicalEncoder, angles_between, turn, turned_places

SIDE = 16
CENTRE = (SIDE - 1) / 2
HEIGHTS = (1.0, 0.7, 0.5)
# A linear interpolation is wrong by at most 1 / 8 of the second derivative, along both axes. That
# of a bump of the height 1 is 1 / 4 at its top.
INTERPOLATION = sum(HEIGHTS) * 2 / (8 * 4)
# Far from any step of the angles that are tried: one in 5.6 degrees, or finer.
ANGLES = [0.0, 13.0, 40.0, 111.0, 200.0, 359.0]


def bumps(angle=0.0, n_samples=6, seed=0, symmetry=1):
    """Smooth images, drawn as they are turned: no pixel is interpolated."""
    rng = np.random.default_rng(seed)
    steps = np.arange(SIDE) - CENTRE
    right, up = np.meshgrid(steps, -steps)
    images = 0.0
    for height in HEIGHTS:
        radius, place = rng.uniform(1, 4.5, n_samples), rng.uniform(0, 2 * np.pi, n_samples)
        for k in range(symmetry):
            at = place + math.radians(angle) + 2 * np.pi * k / symmetry
            x, y = (radius * np.cos(at))[:, None, None], (radius * np.sin(at))[:, None, None]
            images = images + height * np.exp(-((right - x) ** 2 + (up - y) ** 2) / 8)
    return torch.from_numpy(images).unsqueeze(1)


def encoder_of(shape=(1, SIDE, SIDE), seed=0):
    torch.manual_seed(seed)
    return CanonicalEncoder(ConvolutionEncoder(shape, (4, 8), 3)).double()


def modulo(degrees, period=360):
    """Give how far angles are from 0, modulo a period."""
    return ((degrees + period / 2) % period - period / 2).abs()


# -- turning


@pytest.mark.parametrize("k", range(5))
@pytest.mark.parametrize("side", [1, 2, 5, 8])
def test_quarter_turns_are_exact(side, k):
    images = torch.randn(3, 2, side, side, dtype=torch.float64)
    turned = turn(images, torch.full((3,), k * math.pi / 2, dtype=torch.float64))
    torch.testing.assert_close(turned, torch.rot90(images, k, (-2, -1)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("angle", ANGLES)
def test_a_turn_is_counter_clockwise_by_the_angle(angle):
    turned = turn(bumps(), torch.full((6,), math.radians(angle), dtype=torch.float64))
    inside = slice(4, 12)  # which never comes from outside of the frame
    error = (turned - bumps(angle))[..., inside, inside].abs().max()
    assert error < INTERPOLATION


def test_what_comes_from_outside_is_as_the_edge():
    images = torch.arange(16.0).view(1, 1, 4, 4)
    turned = turn(images, torch.tensor([math.pi / 4]))
    # the top right corner comes from the middle of the right, beyond the frame: 7 and 11
    assert turned[0, 0, 0, 3] == pytest.approx(9, abs=1e-5)
    assert turned.min() >= 0
    assert turned.max() <= 15
    same = turn(torch.full((1, 1, 4, 4), 3.0), torch.tensor([1.0]))
    torch.testing.assert_close(same, torch.full_like(same, 3.0))


def test_gradients_of_first_and_second_order():
    images = torch.randn(2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    angles = torch.tensor([0.3, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(turn, (images, angles))
    assert torch.autograd.gradgradcheck(turn, (images, angles.detach()))


# -- the angle between two images


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("leading", [(6,), (2, 3)])
def test_the_angle_between_two_is_found(angle, leading):
    shape = (*leading, 1, SIDE, SIDE)
    found = angles_between(bumps().view(shape), bumps(angle).view(shape), None)
    assert found.shape == leading
    assert modulo(torch.rad2deg(found) - angle).max() < 1


@pytest.mark.parametrize("symmetry", [2, 3])
def test_the_angle_is_known_up_to_the_symmetry(symmetry):
    given = bumps(40.0, symmetry=symmetry)
    found = angles_between(bumps(symmetry=symmetry), given, None)
    assert modulo(torch.rad2deg(found) - 40, 360 / symmetry).max() < 1


def test_no_other_angle_is_better():
    """Of images that have nothing to do with each other, whose error has several minima."""
    decoded, given = bumps(seed=1), bumps(seed=2)
    steps, right = torch.arange(SIDE) - CENTRE, torch.arange(SIDE) - CENTRE
    disc = torch.hypot(steps[:, None], right) <= SIDE / 2

    def error(angles):
        return ((turn(decoded, angles) - given)[..., disc]).square().sum(dim=(-2, -1))

    tried = torch.stack([error(torch.full((6,), math.radians(a)).double()) for a in range(360)])
    best = error(angles_between(decoded, given, None))
    worst = tried.max(dim=0).values
    # of two ways to interpolate, the same but for some percent of the range
    assert (best - tried.min(dim=0).values < 0.03 * (worst - tried.min(dim=0).values)).all()


def test_pixels_that_are_not_known_do_not_count():
    given, known = bumps(40.0), torch.ones(6, 1, SIDE, SIDE)
    given[..., 3:6, 3:12] = 9.0
    known[..., 3:6, 3:12] = 0
    off = [
        modulo(torch.rad2deg(angles_between(bumps(), given, w)) - 40)
        for w in (known, known.bool(), None)
    ]
    assert off[0].median() < 3
    torch.testing.assert_close(off[0], off[1])
    assert off[2].median() > 10


@pytest.mark.parametrize("value", [0.0, 3.0, math.nan, math.inf])
def test_an_angle_is_always_a_number(value):
    """Also where all are as good, and in a fit that diverges, of which other code tells."""
    images = torch.full((2, 1, 8, 8), value)
    angles = angles_between(images, torch.ones(2, 1, 8, 8), None)
    assert angles.isfinite().all()
    assert encoder_of((1, 8, 8)).angles(images.flatten(1).double()).isfinite().all()


# -- an encoder that does not see it


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("symmetry", [1, 2, 3])
def test_features_do_not_depend_on_the_angle(angle, symmetry):
    encoder = encoder_of()
    given = encoder(bumps(symmetry=symmetry, n_samples=40).flatten(1))
    turned = encoder(bumps(angle, symmetry=symmetry, n_samples=40).flatten(1))
    spread = (given - given.mean(dim=0)).norm(dim=1).median()
    change = (turned - given).norm(dim=1)
    # what interpolation leaves; a few images have two directions that are as good
    assert change.median() < 0.1 * spread
    plain = encoder.encoder
    moved = plain(bumps(angle, symmetry=symmetry, n_samples=40).flatten(1))
    moved = (moved - plain(bumps(symmetry=symmetry, n_samples=40).flatten(1))).norm(dim=1)
    if angle in (40.0, 200.0) and symmetry != 2:
        assert moved.median() > 0.5 * spread  # which the encoder alone would give


@pytest.mark.parametrize("angle", ANGLES)
def test_the_pose_turns_with_the_image(angle):
    encoder = encoder_of()
    before = encoder.angles(bumps(n_samples=40).flatten(1))
    after = encoder.angles(bumps(angle, n_samples=40).flatten(1))
    off = modulo(torch.rad2deg(after - before) - angle)
    assert off.median() < 1


def test_the_brightest_direction_points_right():
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 4, 1] = 1  # on the left
    encoder = CanonicalEncoder(ConvolutionEncoder((1, 9, 9), (2,), 3))
    assert torch.rad2deg(encoder.angles(image.flatten(1))).item() == pytest.approx(180, abs=0.1)
    seen = encoder(image.flatten(1))[0, :81].view(9, 9)  # the array enters as it is, too
    assert seen[4, 7].item() == pytest.approx(1, abs=1e-3)


def test_corners_are_not_seen():
    encoder, images = encoder_of(), bumps()
    changed = images.clone()
    changed[..., 0, 0] += 5
    torch.testing.assert_close(encoder(changed.flatten(1)), encoder(images.flatten(1)))
    changed[..., 8, 8] += 5
    assert not torch.allclose(encoder(changed.flatten(1)), encoder(images.flatten(1)))


def test_channels_that_are_negatives_of_each_other():
    """Their sum has no direction."""
    encoder = encoder_of((2, SIDE, SIDE))
    before, after = (
        encoder.angles(torch.cat([own, -own], dim=1).flatten(1))
        for own in (bumps(n_samples=40), bumps(40.0, n_samples=40))
    )
    assert modulo(torch.rad2deg(after - before) - 40).median() < 1


def test_missing_pixels_are_turned_as_the_image():
    encoder = encoder_of()
    torch.nn.init.normal_(encoder.encoder.missing.weight)
    images, missing = bumps(), torch.zeros(6, 1, SIDE, SIDE, dtype=torch.bool)
    missing[..., 4:6, 7:12] = True
    given = encoder(images.flatten(1), missing.flatten(1))
    assert not torch.allclose(given, encoder(images.flatten(1)))
    quarter = [torch.rot90(own, 1, (-2, -1)).flatten(1) for own in (images, missing)]
    torch.testing.assert_close(encoder(*quarter), given, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(encoder(quarter[0], missing.flatten(1)), given)


def test_gradients_flow_to_images_and_parameters():
    encoder = encoder_of((1, 6, 6))
    values = torch.randn(3, 36, dtype=torch.float64, requires_grad=True)
    # with what the angle adds: the features depend on it by interpolation alone, but they do
    assert torch.autograd.gradcheck(encoder, (values,), atol=1e-6)
    encoder(values, values.detach() > 1).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_buffers_and_any_dtype(dtype):
    """A module with buffers would not be trained in a stack."""
    encoder = encoder_of().to(dtype)
    assert not list(encoder.buffers())
    assert encoder(bumps().flatten(1).to(dtype)).dtype == dtype


# -- means over all angles


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (2, 8, 8)])
def test_places_of_turned_copies(shape):
    places = turned_places(shape)
    n_values = math.prod(shape)
    assert torch.equal(places[0], torch.arange(n_values))
    assert places.min() >= 0
    assert places.max() < n_values
    image = torch.arange(float(n_values)).view(shape)
    quarter = image.flatten()[places[len(places) // 4]].view(shape)
    assert torch.equal(quarter, torch.rot90(image, 1, (-2, -1)))
    channels = torch.arange(n_values) // (shape[-1] ** 2)
    assert torch.equal(channels[places], channels.expand_as(places))


def test_a_mean_over_copies_has_no_direction():
    image = bumps(n_samples=1)[0, 0]
    rings = image.flatten()[turned_places((SIDE, SIDE))].mean(dim=0).view(SIDE, SIDE)
    steps = torch.arange(SIDE) - CENTRE
    radius = torch.hypot(steps[:, None], steps)
    for at in (2.1, 4.0, 5.6):
        ring = (radius - at).abs() < 0.2
        assert rings[ring].std() < 0.2 * image[ring].std()
