"""The block of an image, and latents that do not depend on how it was turned."""

import pickle

import numpy as np
import pytest
import torch
from cases.turned import turned_images, with_numbers
from sklearn.base import clone

from sknestedae import SupervisedAutoencoder
from sknestedae._layers._convolution import symmetric_copies
from sknestedae._tables._base_codec import BlockColumns
from sknestedae._tables._labels import ColumnLabels
from sknestedae.blocks import DenseBlock, ImageBlock, Layout
from sknestedae.blocks._image import nearest_copies

SHAPES = [(1, 1), (2, 3), (5, 5), (3, 4, 6), (2, 7, 7)]


def layout_of(shape):
    return Layout(int(torch.Size(shape).numel()), shape=shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("invariance", [None, "symmetries", "rotation"])
def test_modules_of_any_size(shape, invariance):
    if invariance == "rotation":
        shape = (*shape[:-1], shape[-2])
    block, layout = ImageBlock(invariance=invariance), layout_of(shape)
    encoder, n_outputs = block.make_encoder(layout)
    values = torch.randn(3, layout.n_values)
    assert encoder(values).shape == (3, n_outputs)
    assert encoder(values, values > 0).shape == (3, n_outputs)
    assert block.make_decoder(layout, 4)(torch.randn(3, 4)).shape == values.shape
    assert block.reads_missing


def test_channels_stand_first():
    layout = layout_of((3, 4, 6))
    encoder, _ = ImageBlock(n_channels=(2,)).make_encoder(layout)
    assert encoder.convolutions[0].in_channels == 3
    decoder = ImageBlock(n_channels=(2,)).make_decoder(layout, 4)
    assert decoder.convolutions[-1].out_channels == 3


@pytest.mark.parametrize("shape", SHAPES)
def test_features_without_the_pose(shape):
    encoder, _ = ImageBlock(invariance="symmetries").make_encoder(layout_of(shape))
    encoder.double().eval()
    images = torch.randn(4, *shape, dtype=torch.float64)
    expected = encoder(images.flatten(1))
    for copy in symmetric_copies(images):
        torch.testing.assert_close(encoder(copy.flatten(1)), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3), (5, 5), (3, 4, 6), (2, 7, 7)])
@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
def test_align_finds_the_pose(shape, leading):
    """Whatever the dimensions before: of networks, of candidates."""
    block, layout = ImageBlock(invariance="symmetries"), layout_of(shape)
    given = torch.randn(*leading, 6, *shape)
    for copy in symmetric_copies(given):
        decoded = copy.flatten(-len(shape))
        aligned = block.align(decoded, given.flatten(-len(shape)), None, layout)
        assert torch.equal(aligned, given.flatten(-len(shape)))


def test_align_leaves_images_as_they_are_without_invariance():
    decoded = torch.randn(3, 16)
    assert ImageBlock().align(decoded, torch.randn(3, 16), None, layout_of((4, 4))) is decoded


def test_align_compares_known_pixels_alone():
    shape, layout = (1, 2, 2), layout_of((2, 2))
    block = ImageBlock(invariance="symmetries")
    decoded = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    given = torch.tensor([[0.0, 0.6, 9.0, 0.0]])  # 9 stands where nothing was measured
    known = torch.tensor([[True, True, False, True]])
    expected = torch.tensor([[0.0, 1.0, 0.0, 0.0]])
    assert torch.equal(block.align(decoded, given, known, layout), expected)
    assert torch.equal(nearest_copies(decoded, given, known, shape), expected)
    # the smallest error of any pose, and not that of the given pixel values
    assert not torch.equal(block.align(decoded, given, None, layout), expected)


def test_align_has_the_smallest_error_and_gradients():
    block, layout = ImageBlock(invariance="symmetries"), layout_of((4, 4))
    decoded, given = torch.randn(2, 50, 16, dtype=torch.float64)
    known = torch.rand(50, 16) > 0.3
    aligned = block.align(decoded.requires_grad_(), given, known, layout)
    errors = torch.stack(
        [
            ((copy.flatten(1) - given).square() * known).sum(dim=1)
            for copy in symmetric_copies(decoded.unflatten(1, (4, 4)))
        ]
    )
    own = ((aligned - given).square() * known).sum(dim=1)
    torch.testing.assert_close(own, errors.amin(dim=0))
    aligned.sum().backward()  # each pixel of the decoded image is one of the aligned
    assert torch.equal(decoded.grad, torch.ones_like(decoded))


@pytest.mark.parametrize(
    "layout", [Layout(64), Layout(64, shape=(64,)), Layout(16, shape=(1,) * 4)]
)
def test_no_image(layout):
    for make in (ImageBlock().make_encoder, lambda layout: ImageBlock().make_decoder(layout, 3)):
        with pytest.raises(ValueError, match=r"an image must have the shape .* give it .* shape="):
            make(layout)


@pytest.mark.parametrize(
    "setting", [{"n_channels": 3}, {"kernel_size": 2}, {"invariance": "rotations"}]
)
def test_settings_are_checked_when_modules_are_made(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        ImageBlock(**setting).make_encoder(layout_of((4, 4)))


def test_clone_and_pickle():
    block = ImageBlock((4, 4), n_channels=(4,), kernel_size=5, invariance="symmetries", scale=None)
    for copied in (clone(block), pickle.loads(pickle.dumps(block))):
        assert copied.get_params() == block.get_params()
    assert repr(ImageBlock()) == "ImageBlock()"


def test_means_are_those_of_all_poses():
    """Else an image and its mirror image would be encoded by other numbers."""
    images = np.random.default_rng(0).normal(size=(20, 3, 3)) + np.arange(9.0).reshape(3, 3)
    flat, turned = images.reshape(20, 9), images[:, ::-1].reshape(20, 9)
    labels = ColumnLabels(9, False, [], [], None)
    columns = BlockColumns(list(range(9)), labels, cell_shape=(3, 3))

    def encode(block, X):
        codec = block.make_codec(columns)
        codec.fit(X, codec.prepare(X))
        return codec.encode(X).values.reshape(20, 3, 3)

    as_they_are, invariant = ImageBlock(), ImageBlock(invariance="symmetries")
    # sums of nine numbers in another order
    np.testing.assert_allclose(
        encode(invariant, turned), encode(invariant, flat)[:, ::-1], rtol=0, atol=1e-12
    )
    learnt = as_they_are.make_codec(columns)
    learnt.fit(flat, learnt.prepare(flat))
    of_other = learnt.encode(turned).values.reshape(20, 3, 3)
    assert np.abs(of_other - encode(as_they_are, flat)[:, ::-1]).max() > 0.1
    fitted = invariant.make_codec(columns)
    fitted.fit(flat, fitted.prepare(flat))
    np.testing.assert_allclose(
        fitted.encode(turned).values.reshape(20, 3, 3),
        encode(invariant, flat)[:, ::-1],
        rtol=0,
        atol=1e-12,
    )
    assert as_they_are.copies((3, 3)) is None
    assert invariant.copies((3, 3)).shape == (8, 9)


def test_settings_reach_the_codec():
    X = np.random.default_rng(0).normal(size=(20, 12)) * np.arange(1.0, 13.0) + 5
    columns = BlockColumns(list(range(12)), ColumnLabels(12, False, [], [], None))

    def encode(**settings):
        codec = ImageBlock(shape=(3, 4), **settings).make_codec(columns)
        codec.fit(X, codec.prepare(X))
        assert codec.layout.shape == (3, 4)
        return codec.encode(X).values

    np.testing.assert_array_equal(encode(scale=None), X)
    np.testing.assert_allclose(encode(scale="column").std(axis=0), 1, rtol=1e-12)
    of_block = encode()
    assert of_block.std(axis=0).max() > 1.5
    np.testing.assert_allclose(np.square(of_block).mean(), 1, rtol=1e-12)
    with pytest.raises(ValueError, match=r"scale must be 'block', .* got 'pixel'"):
        encode(scale="pixel")


# -- any angle

ROTATION = ImageBlock(n_channels=(4,), invariance="rotation")
SETTINGS = {"n_components": 2, "hidden_layer_sizes": (16,), "max_iter": 40, "random_state": 0}


@pytest.fixture(scope="module")
def fitted():
    return SupervisedAutoencoder(blocks=ROTATION, **SETTINGS).fit(turned_images(150))


@pytest.mark.parametrize("angle", [10, 40, 90, 200])
def test_latents_do_not_depend_on_the_angle(fitted, angle):
    """Of images that were drawn as they are turned, and that the fit has not seen."""
    given, turned = (fitted.transform(turned_images(60, 1, a)) for a in (0, angle))
    change = np.linalg.norm(turned - given, axis=1)
    spread = np.linalg.norm(given - given.mean(axis=0), axis=1)
    assert np.median(change) < 0.1 * np.median(spread)


def test_two_latents_are_enough_where_the_angle_is_no_third():
    """Shapes of two numbers: what the angle adds is too much for a plain image."""
    train, test = turned_images(200), turned_images(60, seed=1)
    scores = [
        SupervisedAutoencoder(
            blocks=ImageBlock(n_channels=(4,), invariance=invariance), **SETTINGS
        )
        .fit(train)
        .score(test)
        for invariance in (None, "rotation")
    ]
    assert scores[0] < 0.6
    assert scores[1] > 0.8


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
@pytest.mark.parametrize("shape", [(6, 6), (2, 7, 7)])
def test_align_turns_by_the_angle(shape, leading):
    """By quarters of a turn, which are exact; with gradients of what was decoded."""
    layout = layout_of(shape)
    given = torch.randn(*leading, 5, *shape, dtype=torch.float64)
    for k in range(4):
        decoded = torch.rot90(given, k, (-2, -1)).flatten(-len(shape)).requires_grad_()
        flat = given.flatten(-len(shape))
        angles = ROTATION.angles(decoded, flat, None, layout)
        assert angles.shape == (*leading, 5)
        assert not angles.requires_grad
        off = (torch.rad2deg(angles) + 90 * k + 180) % 360 - 180
        assert off.abs().max() < 3  # the parabola is not that of the pixels
        aligned = ROTATION.align(decoded, flat, None, layout)
        assert (aligned - flat).square().mean() < 0.05
        aligned.sum().backward()
        assert decoded.grad.isfinite().all()
        assert decoded.grad.any()


def test_the_average_over_all_angles_has_no_angle():
    """It is the best guess where nothing tells how an image was turned."""
    layout, images = layout_of((12, 12)), torch.from_numpy(turned_images(20))
    average = ROTATION.average_poses(images.flatten(1), layout)
    quarter = ROTATION.average_poses(images.rot90(1, (1, 2)).flatten(1), layout)
    torch.testing.assert_close(quarter, average)
    turned = [torch.from_numpy(turned_images(20, angle=a)) for a in range(0, 360, 5)]
    expected = torch.stack(turned).mean(dim=0).flatten(1)
    steps = torch.arange(12) - 5.5
    inside = (torch.hypot(steps[:, None], steps) <= 6).flatten()
    # to the nearest pixel: half of one, where a bump of three pixels has a slope of 0.6 at most
    assert (average - expected)[:, inside].abs().max() < 0.3
    assert (average - expected)[:, inside].abs().mean() < 0.02


@pytest.mark.parametrize("shape", [(4, 6), (3, 4, 6)])
def test_a_rectangle_has_no_rotation(shape):
    layout = layout_of(shape)
    message = rf"invariance=.rotation. needs square images, .* got the shape \({shape[0]}, .* Crop"
    with pytest.raises(ValueError, match=message):
        ROTATION.make_encoder(layout)
    with pytest.raises(ValueError, match=message):
        ROTATION.copies(shape)
    with pytest.raises(ValueError, match=message):
        SupervisedAutoencoder(blocks=ROTATION, max_iter=1).fit(np.zeros((5, *shape)))


def test_means_are_those_of_all_angles():
    block, images = clone(ROTATION), turned_images(50)
    images = images + np.linspace(0, 1, 12)  # a tilt that all images have
    flat = images.reshape(50, -1)
    columns = BlockColumns(list(range(144)), ColumnLabels(144, False, [], [], None))
    codec = block.set_params(shape=(12, 12)).make_codec(columns)
    codec.fit(flat, codec.prepare(flat))
    mean = codec.affine()[0].reshape(12, 12)
    assert np.abs(mean - np.rot90(mean)).max() < 0.02
    assert np.abs(flat.mean(axis=0).reshape(12, 12) - mean).max() > 0.3


def test_what_else_there_is_goes_with_any_angle(fitted):
    images = turned_images(60, seed=1)
    holey = images.copy()
    holey[:, 5, 4:7] = np.nan
    filled = fitted.complete(holey)
    assert np.array_equal(filled[~np.isnan(holey)], images[~np.isnan(holey)])
    error = np.abs(filled - images)[np.isnan(holey)].mean()
    mean = np.abs(turned_images(150).mean(axis=0) - images)[np.isnan(holey)].mean()
    assert error < mean / 2
    scores = fitted.score_samples(images)
    turned = np.abs(fitted.score_samples(turned_images(60, 1, 40)) - scores)
    noise = np.random.default_rng(0).normal(scale=0.3, size=images.shape)
    assert np.median(turned) < np.median(scores - fitted.score_samples(images + noise)) / 10
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(images), fitted.transform(images))


def test_beside_other_kinds_and_with_a_target():
    X = with_numbers(turned_images(80))
    X.loc[::5, "image"] = None
    y = np.nan_to_num(X["a"].to_numpy())
    blocks = [("image", ROTATION, ["image"]), ("numbers", DenseBlock(), ["a", "b"])]
    sae = SupervisedAutoencoder(blocks=blocks, **{**SETTINGS, "max_iter": 5}).fit(X, y)
    assert np.isfinite(sae.predict(X)).all()
    assert all(cell.shape == (12, 12) for cell in sae.complete(X)["image"])
