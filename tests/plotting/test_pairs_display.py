"""Tests of PairsDisplay: which rows are drawn, lines and pictures, and what is said of them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from cases.arrays import ENERGY, Compressor, make_images, make_spectra
from cases.kinds import make_dual, make_kinds
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge
from sklearn.metrics import root_mean_squared_error

from sknestedae import SupervisedAutoencoder
from sknestedae.plotting import PairsDisplay


@pytest.fixture(scope="module")
def spectra():
    return make_spectra()[0]


@pytest.fixture(scope="module")
def predicted(spectra):
    rng = np.random.RandomState(1)
    return spectra + rng.uniform(0, 0.2, size=(40, 1)) * rng.normal(size=spectra.shape)


@pytest.fixture(scope="module")
def pictures():
    return make_images(), make_images(seed=1)


def titles(display):
    return [ax.get_title() for ax in display.axes_]


# -- rows


def test_a_row_of_each_quartile_is_drawn(spectra, predicted):
    display = PairsDisplay.from_predictions(spectra, predicted, n_examples=2, unit="eV")
    error = [root_mean_squared_error(*pair) for pair in zip(spectra, predicted, strict=True)]
    assert_allclose(display.errors_, error)
    examples = display.examples_
    assert examples["quartile"].to_list() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert_array_equal(examples["error"], display.errors_[examples["row"]])
    rank = np.argsort(np.argsort(error))[examples["row"]]
    assert_array_equal(rank // 10 + 1, examples["quartile"])
    first = examples.iloc[0]
    said = f"Quartile 1, row {first['row']:.0f}\nRMSE {first['error']:#.3g} eV"
    assert titles(display)[0] == said


def test_rows_at_random_come_from_random_state_alone(spectra, predicted):
    def rows(state):
        display = PairsDisplay.from_predictions(spectra, predicted, random_state=state)
        return display.examples_["row"].to_list()

    assert rows(0) == rows(0) != rows(1)
    assert rows(None) == rows(None)


def test_errors_of_other_kinds(spectra, predicted):
    display = PairsDisplay.from_predictions(spectra, predicted, error="mae")
    assert_allclose(display.errors_, np.abs(spectra - predicted).mean(axis=1))
    assert titles(display)[0].splitlines()[1].startswith("MAE ")

    def largest(true, back):
        return np.abs(true - back).max(axis=1)

    display = PairsDisplay.from_predictions(spectra, predicted, error=largest)
    assert_allclose(display.errors_, largest(spectra, predicted))
    assert titles(display)[0].splitlines()[1].startswith("largest ")


def test_rows_that_were_not_measured_are_left_out(spectra, predicted):
    part = spectra.copy()
    part[:30] = np.nan
    part[30:, 3] = np.nan
    display = PairsDisplay.from_predictions(part, predicted, n_examples=9)
    assert sorted(display.examples_["row"]) == list(range(30, 40))
    kept = np.delete(np.arange(24), 3)
    assert display.errors_[31] == pytest.approx(
        root_mean_squared_error(spectra[31, kept], predicted[31, kept])
    )


# -- lines


def test_spectra_are_lines_on_one_scale(spectra, predicted):
    x = pd.Index(ENERGY, name="Energy (eV)")
    display = PairsDisplay.from_predictions(spectra, predicted, x=x, label="I", unit="a.u.")
    for ax, artists, row in zip(
        display.axes_, display.artists_, display.examples_["row"], strict=True
    ):
        for line, values in zip(artists, (spectra[row], predicted[row]), strict=True):
            assert_array_equal(line.get_xydata(), np.c_[ENERGY, values])
        assert ax.get_xlabel() == "Energy (eV)"
        assert ax.get_ylim() == display.axes_[0].get_ylim()
    legend = display.axes_[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["true", "predicted"]
    assert display.axes_[0].get_ylabel() == "I (a.u.)"
    assert display.colorbar_ is None


def test_labels_of_columns_are_the_axis(spectra, predicted):
    frame = pd.DataFrame(spectra, columns=ENERGY)
    display = PairsDisplay.from_predictions(frame, predicted)
    assert_array_equal(display.artists_[0][0].get_xdata(), ENERGY)
    display = PairsDisplay.from_predictions(frame.set_axis(range(24), axis=1), predicted)
    assert_array_equal(display.artists_[0][0].get_xdata(), np.arange(24))


def test_cells_that_hold_arrays(spectra, predicted):
    display = PairsDisplay.from_predictions(pd.Series(list(spectra)), list(predicted))
    assert_allclose(display.errors_, PairsDisplay.from_predictions(spectra, predicted).errors_)


# -- pictures


def test_images_are_pictures_on_one_scale(pictures):
    true, predicted = pictures
    display = PairsDisplay.from_predictions(true, predicted, label="I", unit="counts")
    rows = display.examples_["row"].to_list()
    shown = np.concatenate([true[rows], predicted[rows]])
    for artists, row in zip(display.artists_, rows, strict=True):
        assert_array_equal(artists[0].get_array(), true[row])
        assert_array_equal(artists[1].get_array(), predicted[row])
        assert artists[0].get_clim() == artists[1].get_clim() == (shown.min(), shown.max())
    assert display.colorbar_.ax.get_ylabel() == "I (counts)"


def test_flattened_images_are_the_same(pictures):
    true, predicted = (images.reshape(40, 30) for images in pictures)
    display = PairsDisplay.from_predictions(true, predicted, shape=(5, 6))
    assert_array_equal(display.errors_, PairsDisplay.from_predictions(*pictures).errors_)
    assert display.artists_[0][0].get_array().shape == (5, 6)


def test_channels_of_images(pictures):
    true, predicted = (images.reshape(20, 2, 5, 6) for images in pictures)
    display = PairsDisplay.from_predictions(true, predicted)
    assert len(display.artists_[0]) == 4


# -- inputs and axes


def test_inputs_stand_before_their_pair(spectra, predicted, pictures):
    display = PairsDisplay.from_predictions(spectra, predicted, inputs=pictures[0], n_cols=3)
    for ax, row in zip(display.input_axes_, display.examples_["row"], strict=True):
        assert_array_equal(ax.images[0].get_array(), pictures[0][row])
        assert ax.get_title() == "Input"
    assert display.axes_[0].get_gridspec().get_geometry() == (4, 2)  # a pair is not torn apart
    display = PairsDisplay.from_predictions(*pictures, inputs=spectra)
    assert_array_equal(
        display.input_axes_[0].lines[0].get_ydata(), spectra[display.examples_["row"][0]]
    )
    assert PairsDisplay.from_predictions(*pictures).input_axes_ is None


def test_draws_on_the_axes_passed(spectra, predicted, pictures):
    figure, axes = plt.subplots(2, 4)
    display = PairsDisplay.from_predictions(spectra, predicted, inputs=pictures[0], ax=axes)
    assert list(display.input_axes_) == list(axes.ravel()[::2])
    assert list(display.axes_) == list(axes.ravel()[1::2])
    assert display.figure_ is figure


def test_keywords_reach_the_artists(spectra, predicted, pictures):
    display = PairsDisplay.from_predictions(spectra, predicted, line_kwargs={"linewidth": 7})
    assert display.artists_[0][1].get_linewidth() == 7
    display = PairsDisplay.from_predictions(*pictures, image_kwargs={"cmap": "gray"})
    assert display.artists_[0][0].get_cmap().name == "gray"


# -- estimators


def test_an_estimator_of_ours(spectra):
    X = make_spectra()[1]
    sae = SupervisedAutoencoder(2, hidden_layer_sizes=(6,), max_iter=2, random_state=0)
    sae.fit(X, spectra)
    display = PairsDisplay.from_estimator(sae, X, spectra, inputs=True)
    expected = PairsDisplay.from_predictions(spectra, sae.predict(X)).errors_
    assert_array_equal(display.errors_, expected)
    assert display.input_axes_ is not None


def test_an_estimator_of_images(pictures):
    images = pictures[0]
    fitted = Compressor(2).fit(images, images)
    display = PairsDisplay.from_estimator(fitted, images, images, inputs=pictures[1])
    assert display.artists_[0][0].get_array().shape == (5, 6)
    row = display.examples_["row"][0]
    assert_array_equal(display.input_axes_[0].images[0].get_array(), pictures[1][row])


def test_the_shape_of_a_target_block(pictures):
    class Block:
        shape = (5, 6)

    X, flat = make_spectra()[1], pictures[0].reshape(40, 30)
    ridge = Ridge().fit(X, flat)
    ridge.target_block = Block()
    display = PairsDisplay.from_estimator(ridge, X, flat)
    assert display.artists_[0][0].get_array().shape == (5, 6)


# -- translations


@pytest.fixture(scope="module")
def kinds():
    X, present = make_kinds()
    return make_dual().fit(X), X, present


def test_a_translation_stands_beside_what_was_given_and_the_truth(kinds):
    dual, X, present = kinds
    both = present["image"] & present["spectrum"]
    display = PairsDisplay.from_translation(dual, X, "image", "spectrum", unit="a.u.")
    found = dual.translate(X[both], "image", "spectrum").to_numpy()
    true = X["spectrum"][both].to_numpy()
    known = ~np.isnan(true)
    expected = np.sqrt(np.nanmean((true - found) ** 2, axis=1))
    assert_allclose(display.errors_[both], expected, rtol=1e-6)
    assert np.isnan(display.errors_[~both]).all()
    assert known.all(axis=1).sum() == both.sum() - 1  # one spectrum has a gap
    positions = np.flatnonzero(both)
    for k, row in enumerate(display.examples_["row"]):
        lines = display.artists_[k]
        assert_allclose(lines[0].get_ydata(), X["spectrum"].iloc[row])
        assert_allclose(lines[1].get_ydata(), found[np.flatnonzero(positions == row)[0]])
        assert_allclose(lines[0].get_xdata(), ENERGY)
        picture = display.input_axes_[k].images[0].get_array()
        assert_allclose(picture.ravel(), X["image"].iloc[row])
        assert display.input_axes_[k].get_title() == "Given image"


def test_a_given_spectrum_lies_at_its_energies(kinds):
    dual, X, _ = kinds
    display = PairsDisplay.from_translation(dual, X, "spectrum", "image")
    row = display.examples_["row"][0]
    (line,) = display.input_axes_[0].lines
    assert_allclose(line.get_data(), [ENERGY, X["spectrum"].iloc[row]])
    assert len({ax.get_ylim() for ax in display.input_axes_}) == 1
    assert display.artists_[0][0].get_array().shape == (5, 6)
    assert (
        PairsDisplay.from_translation(dual, X, "spectrum", "image", inputs=False).input_axes_
        is None
    )


def test_a_table_can_be_translated_but_has_no_picture(kinds):
    dual, X, present = kinds
    display = PairsDisplay.from_translation(dual, X, "table", "image")
    assert display.input_axes_ is None
    both = present["table"] & present["image"]
    assert_array_equal(~np.isnan(display.errors_), both)
    with pytest.raises(ValueError, match=r"'target' parameter must .* 'table' is a table of 2"):
        PairsDisplay.from_translation(dual, X, "image", "table")


def test_a_kind_to_itself_is_the_reconstruction(kinds):
    dual, X, present = kinds
    display = PairsDisplay.from_translation(dual, X, "image", "image")
    found = dual.translate(X[present["image"]], "image", "image").to_numpy()
    expected = PairsDisplay.from_predictions(X["image"][present["image"]].to_numpy(), found)
    assert_allclose(display.errors_[present["image"]], expected.errors_)


def test_images_in_the_pose_of_the_true_one(kinds):
    """A copy in another pose is turned back; the error cannot grow by this."""
    _, X, present = kinds
    both = present["image"] & present["spectrum"]
    invariant = make_dual()
    invariant.blocks[0][1].set_params(invariance="symmetries")
    invariant.fit(X)
    display = PairsDisplay.from_translation(invariant, X, "spectrum", "image", average_poses=False)
    one = invariant.translate(X[both], "spectrum", "image", average_poses=False).to_numpy()
    true = X["image"][both].to_numpy()
    copies = [
        own.reshape(len(one), -1)
        for own in (one.reshape(-1, 5, 6)[:, ::a, ::b] for a in (1, -1) for b in (1, -1))
    ]
    smallest = np.min([np.nanmean((own - true) ** 2, axis=1) for own in copies], axis=0)
    assert_allclose(display.errors_[both], np.sqrt(smallest), rtol=1e-5)
    averaged = PairsDisplay.from_translation(invariant, X, "spectrum", "image")
    mean = invariant.translate(X[both], "spectrum", "image").to_numpy()
    expected = np.sqrt(np.nanmean((mean - true) ** 2, axis=1))
    assert_allclose(averaged.errors_[both], expected, rtol=1e-5)


def test_errors_of_kinds(kinds):
    dual, X, _ = kinds
    with pytest.raises(ValueError, match=r"'source' parameter must name kinds .* got 'x'"):
        PairsDisplay.from_translation(dual, X, "x", "image")
    with pytest.raises(ValueError, match=r"'target' parameter must name kinds .* got None"):
        PairsDisplay.from_translation(dual, X, "image", None)
    with pytest.raises(TypeError, match="from_translation must have transform and translate"):
        PairsDisplay.from_translation(Ridge(), X, "image", "spectrum")


# -- errors


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"shape": (5, 6)}, r"'shape' parameter must .* got \(5, 6\), but .* \(40, 24\)"),
        ({"x": [1, 2]}, r"'x' parameter must .* each of the 24 channels, got .* \(2,\)"),
        ({"inputs": np.ones((3, 2))}, r"'inputs' parameter must .* 40 rows, got .* \(3, 2\)"),
        ({"inputs": np.ones(40)}, r"'inputs' parameter must .* 40 rows, got .* \(40,\)"),
        ({"error": "max"}, "'error' parameter must .* got 'max'"),
        ({"n_cols": 0}, "'n_cols' parameter .* got 0"),
    ],
)
def test_errors_say_what_is_wrong(spectra, predicted, parameters, message):
    with pytest.raises(ValueError, match=message):
        PairsDisplay.from_predictions(spectra, predicted, **parameters)


def test_errors_of_arrays(spectra, predicted, pictures):
    with pytest.raises(ValueError, match=r"same shape, got \(40, 24\) and \(39, 24\)"):
        PairsDisplay.from_predictions(spectra, predicted[1:])
    with pytest.raises(ValueError, match="PredictionErrorDisplay"):
        PairsDisplay.from_predictions(np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match=r"'shape' parameter .* got \(6, 5\)"):
        PairsDisplay.from_predictions(*pictures, shape=(6, 5))
    with pytest.raises(ValueError, match="y_pred must hold numbers"):
        PairsDisplay.from_predictions(spectra, [["a"] * 24] * 40)
    with pytest.raises(TypeError, match="must have predict"):
        PairsDisplay.from_estimator(object(), spectra, spectra)
