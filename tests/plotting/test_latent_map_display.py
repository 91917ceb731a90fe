"""Tests of LatentMapDisplay: numbers stand where they were measured."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from cases.arrays import make_spectra
from cases.kinds import make_dual, make_kinds
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA

from sknestedae import NestedAutoencoder, SupervisedAutoencoder
from sknestedae.plotting import LatentMapDisplay
from sknestedae.plotting._latent_map import make_maps

POSITIONS = np.argwhere(np.ones((5, 8), dtype=bool))


@pytest.fixture(scope="module")
def Z():
    return np.random.RandomState(0).normal(size=(40, 3))


# -- maps


def test_each_number_stands_at_its_position(Z):
    order = np.random.RandomState(1).permutation(40)[:33]
    maps, origin = make_maps(Z[order], np.add(POSITIONS[order], [3, 100]))
    assert origin == (3, 100)
    for k, (i, j) in enumerate(POSITIONS):
        expected = Z[k] if k in order else np.full(3, np.nan)
        assert_array_equal(maps[:, i, j], expected)


def test_a_shape_begins_at_the_first_pixel():
    maps, origin = make_maps(np.array([[7.0]]), [[1, 2]], (3, 4))
    assert origin == (0, 0)
    assert maps.shape == (1, 3, 4)
    assert np.argwhere(~np.isnan(maps[0])).tolist() == [[1, 2]]


def test_ticks_are_rows_and_columns(Z):
    display = LatentMapDisplay.from_latents(Z, np.add(POSITIONS, [3, 100]), components=0)
    (image,) = display.images_
    assert tuple(image.get_extent()) == (99.5, 107.5, 7.5, 2.5)
    assert_array_equal(image.get_array(), Z[:, 0].reshape(5, 8))
    assert (display.axes_[0].get_xlabel(), display.axes_[0].get_ylabel()) == ("Column", "Row")


@pytest.mark.parametrize(
    ("positions", "shape", "message"),
    [
        ([[0, 0]], None, r"each of the 2 rows, got .* \(1, 2\)"),
        ([[0, 0.5], [0, 1]], None, r"whole numbers.* \[0.0, 0.5\] in row 0"),
        ([[0, 1], [0, np.nan]], None, "whole numbers.* in row 1"),
        ([[0, 1], [0, 1]], None, r"each pixel once; \[0, 1\] stands again in row 1"),
        ([[0, 1], [2, 0]], (2, 2), r"within the shape \(2, 2\); it is \[2, 0\] in row 1"),
        ([[0, 1], [-1, 0]], (2, 2), r"it is \[-1, 0\] in row 1"),
        ([[0, 1], [1, 0]], 4, "'shape' parameter must be a height and a width.* got 4"),
        ([[0, 1], [1, 0]], (2, 0), r"'shape' parameter .* got \(2, 0\)"),
    ],
)
def test_positions_that_are_no_pixels(positions, shape, message):
    with pytest.raises(ValueError, match=message):
        make_maps(np.ones((2, 1)), positions, shape)


# -- colours


def test_latents_have_a_sequential_colour_map(Z):
    display = LatentMapDisplay.from_latents(Z, POSITIONS)
    assert [image.get_cmap().name for image in display.images_] == ["viridis"] * 3
    assert display.images_[1].get_clim() == (Z[:, 1].min(), Z[:, 1].max())


def test_a_special_value_is_the_middle_of_a_diverging_one(Z):
    display = LatentMapDisplay.from_latents(Z + 5, POSITIONS, center=4.0)
    for image in display.images_:
        low, high = image.get_clim()
        assert low + high == pytest.approx(8)
        assert low <= image.get_array().min()
        assert high >= image.get_array().max()
        assert image.get_cmap().name == "RdBu_r"
    blank = display.axes_[0].get_facecolor()
    assert blank[:3] != (1, 1, 1)  # that is the middle


def test_a_prior_around_zero_is_the_middle():
    X = make_spectra()[0]
    pca = PCA(2).fit(X)
    display = LatentMapDisplay.from_estimator(pca, X, POSITIONS)
    assert display.center is None
    pca.beta = 1e-3
    assert LatentMapDisplay.from_estimator(pca, X, POSITIONS).center == 0
    assert LatentMapDisplay.from_estimator(pca, X, POSITIONS, center=None).center is None


def test_keywords_reach_the_images(Z):
    display = LatentMapDisplay.from_latents(
        Z, POSITIONS, image_kwargs={"cmap": "magma", "norm": plt.Normalize(0, 9)}
    )
    assert display.images_[2].get_cmap().name == "magma"
    assert display.images_[2].get_clim() == (0, 9)


# -- latents and values


def test_latents_of_an_estimator():
    X = make_spectra()[0]
    sae = SupervisedAutoencoder(3, hidden_layer_sizes=(6,), max_iter=2, random_state=0).fit(X)
    display = LatentMapDisplay.from_estimator(sae, X, POSITIONS, components=[2, -3])
    Z = sae.transform(X)
    assert_array_equal(display.maps_, Z.T[[2, 0]].reshape(2, 5, 8))
    assert [ax.get_title() for ax in display.axes_] == ["Latent 2", "Latent 0"]


def test_latents_of_a_stage():
    X = make_spectra()[0]
    tiny = SupervisedAutoencoder(2, hidden_layer_sizes=(6,), max_iter=2, random_state=0)
    chain = NestedAutoencoder([("a", tiny, slice(0, 12)), ("b", tiny, slice(12, 24))]).fit(X)
    display = LatentMapDisplay.from_estimator(chain, X, POSITIONS, stage="a")
    Z = chain["a"].transform(X[:, :12])
    assert_array_equal(display.maps_, Z.T.reshape(2, 5, 8))


def test_values_have_names_and_a_label():
    error = pd.Series(np.arange(40.0), name="RMSE of a pixel")
    error[3] = np.nan
    display = LatentMapDisplay.from_values(error, POSITIONS, label="RMSE (eV)")
    assert display.axes_[0].get_title() == "RMSE of a pixel"
    assert display.colorbars_[0].ax.get_ylabel() == "RMSE (eV)"
    assert np.isnan(display.maps_[0, 0, 3])
    frame = pd.DataFrame({"a": error, "b": 1.0})
    display = LatentMapDisplay.from_values(frame, POSITIONS)
    assert [ax.get_title() for ax in display.axes_] == ["a", "b"]
    display = LatentMapDisplay.from_values(frame.to_numpy(), POSITIONS, names=["x", "y"])
    assert display.axes_[1].get_title() == "y"


def test_panels_and_axes(Z):
    display = LatentMapDisplay.from_latents(Z, POSITIONS, n_cols=2)
    assert display.axes_[0].get_gridspec().get_geometry() == (2, 2)
    assert [ax.get_xlabel() for ax in display.axes_] == ["", "Column", "Column"]
    assert [ax.get_ylabel() for ax in display.axes_] == ["Row", "", "Row"]
    figure, axes = plt.subplots(3)
    display = LatentMapDisplay.from_latents(Z, POSITIONS, ax=axes)
    assert list(display.axes_) == list(axes)
    assert display.figure_ is figure


def test_row_labels_are_compared(Z):
    frame = pd.DataFrame(Z, index=np.arange(40))
    with pytest.raises(ValueError, match="order"):
        LatentMapDisplay.from_values(frame, pd.DataFrame(POSITIONS, index=np.arange(40)[::-1]))


@pytest.mark.parametrize("components", [3, [-4], [0.5], [], "pca"])
def test_latents_that_are_not_there(Z, components):
    with pytest.raises(ValueError, match="'components' parameter must be int from -3 to 2"):
        LatentMapDisplay.from_latents(Z, POSITIONS, components=components)


def test_too_many_maps_are_asked_for():
    with pytest.raises(ValueError, match=r"'components' parameter must name .* there are 25"):
        LatentMapDisplay.from_latents(np.ones((40, 25)), POSITIONS)
    with pytest.raises(ValueError, match=r"'names' parameter must name each of the 2 maps"):
        LatentMapDisplay.from_values(np.ones((40, 2)), POSITIONS, names="a")
    with pytest.raises(ValueError, match=r"'values' parameter .* got \(40, 1, 1\)"):
        LatentMapDisplay.from_values(np.ones((40, 1, 1)), POSITIONS)


def test_latents_of_one_kind_of_data():
    X, present = make_kinds()
    dual = make_dual(2).fit(X)
    display = LatentMapDisplay.from_estimator(dual, X, POSITIONS, block="image", components=-1)
    expected = np.full(40, np.nan)
    expected[present["image"]] = dual.transform(X[present["image"]], block="image")[:, 1]
    assert_allclose(display.maps_[0].ravel(), expected)
    display = LatentMapDisplay.from_estimator(dual, X, POSITIONS)
    assert_allclose(display.maps_.reshape(2, -1).T, dual.transform(X))
    assert [image.get_cmap().name for image in display.images_] == ["viridis"] * 2
    with pytest.raises(ValueError, match=r"'block' parameter must name kinds .* got 'x'"):
        LatentMapDisplay.from_estimator(dual, X, POSITIONS, block="x")
