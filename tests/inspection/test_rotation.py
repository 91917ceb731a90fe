"""The angles by which images are turned, of any estimator that has them."""

import numpy as np
import pytest
from cases.turned import turned_images, with_numbers
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sknestedae import DualAutoencoder, NestedAutoencoder, SupervisedAutoencoder, stack_kinds
from sknestedae.blocks import DenseBlock, ImageBlock, SpectrumBlock
from sknestedae.inspection import rotation_angles

BLOCK = ImageBlock(n_channels=(4,), invariance="rotation")
SETTINGS = {"n_components": 2, "hidden_layer_sizes": (16,), "max_iter": 40, "random_state": 0}


def modulo(degrees):
    return (degrees + 180) % 360 - 180


@pytest.fixture(scope="module")
def sae():
    return SupervisedAutoencoder(blocks=BLOCK, **SETTINGS).fit(turned_images(150))


@pytest.mark.parametrize("angle", [10, 40, 200])
def test_a_turned_image_has_another_angle(sae, angle):
    """Of images that the estimator has not seen, counter-clockwise."""
    before, after = (rotation_angles(sae, turned_images(60, seed=1, angle=a)) for a in (0, angle))
    assert before.shape == (60,)
    assert before.min() >= 0
    assert before.max() < 360
    off = np.abs(modulo(after - before - angle))
    assert np.median(off) < 2
    assert np.quantile(off, 0.9) < 5


def test_quarter_turns(sae):
    images = turned_images(60, seed=1)
    turned = rotation_angles(sae, np.rot90(images, axes=(1, 2)))
    off = np.abs(modulo(turned - rotation_angles(sae, images) - 90))
    assert np.median(off) < 0.01  # which is exact but for the rounding of float32


def test_angles_are_from_the_canonical_pose(sae):
    """What the decoder draws, turned by the angle, is nearest to the image."""
    images = turned_images(60, seed=1)
    drawn = sae.inverse_transform(sae.transform(images))
    angles = rotation_angles(sae, drawn)
    # the pose of its latents, which are those of the image but for the error of both
    assert np.median(np.abs(modulo(angles))) < 5


def test_missing_pixels(sae):
    images = turned_images(60, seed=1)
    holey = images.copy()
    holey[:, 4:6, 5:8] = np.nan
    holey[3] = np.nan
    angles = rotation_angles(sae, holey)
    assert_array_equal(np.flatnonzero(np.isnan(angles)), [3])
    off = np.delete(np.abs(modulo(angles - rotation_angles(sae, images))), 3)
    assert np.median(off) < 10


def test_of_whatever_holds_the_autoencoder(sae):
    images = turned_images(40, seed=1)
    expected = rotation_angles(sae, images)
    few = [(np.arange(9), np.arange(9, 18))]  # the refit is what is asked
    search = GridSearchCV(sae, {"alpha": [sae.alpha]}, cv=few).fit(turned_images(150))
    for other in (search, FrozenEstimator(sae), make_pipeline(sae)):
        assert_allclose(rotation_angles(other, images), expected)
    behind = make_pipeline(FunctionTransformer(), sae)
    with pytest.raises(TypeError, match=r"rotation_angles needs .* pass the last step"):
        rotation_angles(behind, images)
    with pytest.raises(TypeError, match="rotation_angles must be one table"):
        rotation_angles(sae, [images, images])
    with pytest.raises(NotFittedError):
        rotation_angles(SupervisedAutoencoder(blocks=BLOCK), images)


def test_of_an_ensemble_those_of_the_first_member():
    images, settings = turned_images(40), {**SETTINGS, "max_iter": 3}
    ensemble = SupervisedAutoencoder(blocks=BLOCK, n_members=2, **settings).fit(images)
    assert_array_equal(
        rotation_angles(ensemble, images), rotation_angles(ensemble.members_[0], images)
    )


def test_of_a_block_among_others_and_a_stage_among_others():
    X = with_numbers(turned_images(60))
    X["second"] = list(turned_images(60, seed=1))
    blocks = [("image", BLOCK, ["image"]), ("numbers", DenseBlock(), ["a", "b"])]
    settings = {**SETTINGS, "max_iter": 3}
    one = SupervisedAutoencoder(blocks=blocks, **settings).fit(X[["image", "a", "b"]])
    expected = rotation_angles(one, X[["image", "a", "b"]])
    assert_array_equal(rotation_angles(one, X[["image", "a", "b"]], block="image"), expected)

    second = SupervisedAutoencoder(blocks=[("image", BLOCK, ["second"])], **settings)
    stages = [("inner", one, ["image", "a", "b"]), ("outer", second, ["second"])]
    chain = NestedAutoencoder(stages).fit(X)
    inner = rotation_angles(chain, X, block="inner__image")
    assert_allclose(inner, rotation_angles(chain.stages_[0][1], X[["image", "a", "b"]]))
    assert rotation_angles(chain, X, block="outer__image").shape == (60,)
    with pytest.raises(
        ValueError, match=r"there are \['inner__image', 'outer__image'\]; got None"
    ):
        rotation_angles(chain, X)


def test_of_a_dual_autoencoder():
    images, later = turned_images(150), turned_images(60, seed=1)
    spectra = np.sort(images.reshape(150, -1), axis=1)[:, ::-8]
    blocks = [("image", BLOCK, "image"), ("spectrum", SpectrumBlock(n_channels=(4,)), "spectrum")]
    dual = DualAutoencoder(blocks=blocks, **{**SETTINGS, "max_iter": 20})
    dual.fit(stack_kinds(image=images, spectrum=spectra))
    own = np.sort(later.reshape(60, -1), axis=1)[:, ::-8]
    table, turned = (
        stack_kinds(image=turned_images(60, 1, angle), spectrum=own) for angle in (0, 40)
    )
    off = modulo(rotation_angles(dual, turned) - rotation_angles(dual, table) - 40)
    assert np.median(np.abs(off)) < 5


@pytest.mark.parametrize("invariance", [None, "symmetries"])
def test_of_no_such_block(invariance):
    images, block = turned_images(20), ImageBlock(n_channels=(2,), invariance=invariance)
    sae = SupervisedAutoencoder(blocks=block, **{**SETTINGS, "max_iter": 1}).fit(images)
    with pytest.raises(ValueError, match=r"'block' .* which there are \[\]; got None"):
        rotation_angles(sae, images)


@pytest.mark.parametrize("name", ["image", 3, ["X"]])
def test_a_block_that_there_is_not(sae, name):
    with pytest.raises(ValueError, match=r"'block' .* there are \['X'\]; got"):
        rotation_angles(sae, turned_images(5), block=name)
