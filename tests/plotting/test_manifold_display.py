"""Tests of ManifoldDisplay: the points of the grid, where they are drawn, and what is drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from cases.arrays import ENERGY, Compressor, make_images, make_table
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
)
from sknestedae.blocks import ImageBlock, SpectrumBlock
from sknestedae.plotting import ManifoldDisplay
from sknestedae.plotting._base import has_prior
from sknestedae.plotting._manifold import _Grid, make_mosaic

TINY = {"n_components": 3, "hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


@pytest.fixture(scope="module")
def X():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(40, 2)) * [1, 50], columns=["radius", "energy"])
    X["phase"] = pd.Categorical(np.resize(["cubic", "hexagonal", "cubic"], 40))
    X["mass"] = rng.normal(size=40)
    X.loc[::5, "radius"] = np.nan
    return X


@pytest.fixture(scope="module")
def sae(X):
    return SupervisedAutoencoder(**TINY).fit(X, X["energy"])


@pytest.fixture(scope="module")
def wide():
    X, blocks = make_table()
    return Compressor(3, blocks).fit(X), X


def titles(display):
    return [ax.get_title() for ax in display.axes_]


def ticks(axis):
    """Give the numbers that are written at the ticks."""
    said = [text.get_text().replace("\N{MINUS SIGN}", "-") for text in axis.get_ticklabels()]
    return np.array(said, dtype=float)


# -- the grid


@pytest.mark.parametrize("at", ["mean", "median", 3, [0.5, -1.0, 2.0]])
def test_two_latents_move_and_the_others_are_held(sae, X, at):
    display = ManifoldDisplay.from_estimator(
        sae, X, components=(2, 0), at=at, n_steps=(4, 3), quantiles=(0.2, 0.7), columns="energy"
    )
    Z = sae.transform(X)
    held = {"mean": Z.mean(axis=0), "median": np.median(Z, axis=0), 3: Z[3]}
    start = held[at] if np.ndim(at) == 0 else np.array(at)
    across, up = (np.linspace(*np.quantile(Z[:, k], [0.2, 0.7]), n) for k, n in [(2, 4), (0, 3)])
    points = np.array([[b, start[1], a] for b in up for a in across])
    expected = sae.inverse_transform(points)["energy"].to_numpy()
    # the first row of points is the lowest of the picture
    picture = display.artists_[0]
    assert picture.origin == "lower"
    # latents are float32: so is what they are decoded to, but for the unit of the column
    assert_allclose(picture.get_array(), expected.reshape(3, 4), rtol=1e-4, atol=1e-3)
    assert display.axes_[0].get_xlabel() == "Latent 2"
    assert display.axes_[0].get_ylabel() == "Latent 0"
    assert_allclose(ticks(display.axes_[0].xaxis), across, rtol=0.05)  # two digits
    assert_array_equal(display.axes_[0].get_yticks(), [0, 1, 2])


def test_the_plane_goes_through_the_mean(wide):
    """The middle point of equal steps between quantiles with one middle is the mean."""
    fitted, X = wide
    mirrored = np.r_[fitted.transform(X), -fitted.transform(X)]
    table = fitted.inverse_transform(mirrored)
    display = ManifoldDisplay.from_estimator(fitted, table, n_steps=3, columns="spectrum")
    center = fitted.inverse_transform(mirrored.mean(axis=0)[None])["spectrum"]
    assert_allclose(display.decoded["spectrum"].iloc[4], center.iloc[0], atol=1e-10)


def test_the_plane_of_principal_components(wide):
    """Where latents are turned, the plane of their principal components is the same."""
    fitted, X = wide
    turn = np.linalg.qr(np.random.RandomState(0).normal(size=(3, 3)))[0]

    class Turned(Compressor):
        def transform(self, X):
            return super().transform(X) @ turn + 2.0

        def inverse_transform(self, Z):
            return super().inverse_transform((Z - 2.0) @ turn.T)

    turned = Turned(3, fitted.blocks).fit(X)
    plain = ManifoldDisplay.from_estimator(fitted, X, components=(0, 1), n_steps=4)
    display = ManifoldDisplay.from_estimator(turned, X, components="pca", n_steps=4)
    Z = fitted.transform(X)  # principal components themselves; a sign may be another
    across, up = np.sign((display.coordinates * Z[:, :2]).sum(axis=0)).astype(int)
    assert_allclose(display.coordinates * (across, up), Z[:, :2], atol=1e-10)
    grid = display.decoded.to_numpy().reshape(4, 4, -1)[::up, ::across]
    assert_allclose(grid.reshape(16, -1), plain.decoded, atol=1e-10)
    spread = Z.std(axis=0) ** 2
    said = f"Principal component 1 ({spread[0] / spread.sum():.1%} of variance)"
    assert display.axes_[0].get_xlabel().replace("\n", " ") == said.replace("%", " %")
    assert display.axes_[0].get_ylabel().startswith("Principal component 2\n(")
    # the plane goes through a row
    display = ManifoldDisplay.from_estimator(turned, X, components="pca", at=5, n_steps=4)
    assert_allclose(fitted.transform(display.decoded)[:, 2], Z[5, 2], atol=1e-10)


def test_spacings(sae, X):
    Z = sae.transform(X)
    settings = {"n_steps": 5, "columns": "energy", "quantiles": (0.1, 0.9)}
    steps = np.linspace(0.1, 0.9, 5)
    display = ManifoldDisplay.from_estimator(sae, X, spacing="quantile", **settings)
    assert_allclose(display.values[1], np.quantile(Z[:, 1], steps))
    display = ManifoldDisplay.from_estimator(sae, X, spacing="normal", **settings)
    assert_allclose(display.values[1], norm(Z[:, 1].mean(), Z[:, 1].std()).ppf(steps), rtol=1e-5)
    linear = np.linspace(*np.quantile(Z[:, 1], [0.1, 0.9]), 5)
    for spacing in ("linear", "auto"):
        display = ManifoldDisplay.from_estimator(sae, X, spacing=spacing, **settings)
        assert_allclose(display.values[1], linear)


def test_variational_latents_are_spaced_as_their_prior(X):
    table = X[["energy", "mass"]]
    plain = SupervisedAutoencoder(**TINY).fit(table)
    variational = SupervisedAutoencoder(beta=0.1, **TINY).fit(table)
    assert has_prior(make_pipeline(variational))
    assert not has_prior(plain)
    display = ManifoldDisplay.from_estimator(variational, table, columns="mass", n_steps=5)
    Z = variational.transform(table)[:, 1]
    expected = Z.mean() + Z.std() * norm.ppf(np.linspace(0.05, 0.95, 5))
    assert_allclose(display.values[1], expected, rtol=1e-5)


@pytest.mark.parametrize(("latents", "expected"), [("last", True), ("all", False)])
def test_the_prior_of_a_chain_is_that_of_the_stages_that_give_its_latents(latents, expected):
    class Chain:
        def __init__(self):
            self.latents = latents
            self.stages_ = [("a", PCA(), []), ("b", PCA(), [])]
            self.stages_[1][1].beta = 0.5

    assert has_prior(Chain()) is expected


def test_one_latent_makes_a_strip(wide):
    fitted, X = wide
    one = Compressor(1, fitted.blocks).fit(X)
    for display in (
        ManifoldDisplay.from_estimator(one, X, n_steps=5),
        ManifoldDisplay.from_estimator(fitted, X, components=0, n_steps=5),
    ):
        assert len(display.values) == 1
        ax = display.axes_[1]
        assert ax.get_ylabel() == ""
        assert len(ax.get_yticks()) == 0
        picture = display.artists_[1].get_array()
        assert picture.shape == (5, 5 * 6 + 4)  # four gaps of one pixel
    height, width = display.figure_.get_size_inches()[::-1]
    assert height < width
    assert [ax.get_subplotspec().rowspan.start for ax in display.axes_] == [0, 1]
    settings = {"components": 0, "n_steps": 5, "show_rows": True, "quantiles": (0, 1)}
    display = ManifoldDisplay.from_estimator(fitted, X, **settings)
    assert len(display.scatter_.get_offsets()) == len(X)


# -- panels


def test_images_are_one_mosaic(wide):
    fitted, X = wide
    display = ManifoldDisplay.from_estimator(fitted, X, columns="image", n_steps=(4, 3))
    images = display.decoded["image"].to_numpy().reshape(3, 4, 5, 6)
    picture = display.artists_[0]
    assert_allclose(picture.get_clim(), (images.min(), images.max()))
    tiles = np.ma.filled(picture.get_array(), np.nan)
    assert tiles.shape == (3 * 5 + 2, 4 * 6 + 3)
    assert_allclose(tiles[-5:, :6], images[0, 0])  # the lowest row holds the smallest values
    assert_allclose(tiles[:5, -6:], images[2, 3])
    assert np.isnan(tiles).sum() == tiles.size - images.size
    left, right, low, high = picture.get_extent()
    assert (right - left) / tiles.shape[1] == pytest.approx(1 / 7)  # six pixels and a gap are 1
    assert (high - low) / tiles.shape[0] == pytest.approx(1 / 6)
    assert display.axes_[0].get_aspect() == pytest.approx(6 / 7)  # pixels are squares
    assert display.colorbars_[0].ax.get_ylabel() == ""
    assert display.columns_ == ["image"]


@pytest.mark.parametrize(("side", "gap"), [(3, 1), (16, 1), (50, 3)])
def test_the_gap_of_a_mosaic_is_a_share_of_a_tile(side, gap):
    images = np.arange(6.0)[:, None, None] * np.ones((6, side, side))
    picture, extent, aspect = make_mosaic(images, 3)
    assert picture.shape == (2 * side + gap, 3 * side + 2 * gap)
    assert aspect == 1
    # the middle of each tile lies at whole numbers
    pixel = (extent[1] - extent[0]) / picture.shape[1]
    for k, value in enumerate(images[:, 0, 0]):
        column = (k % 3 - extent[0]) / pixel
        row = (extent[3] - k // 3) / pixel
        assert picture[int(row), int(column)] == value


def test_spectra_are_lines_on_one_scale(wide):
    fitted, X = wide
    units = {"spectrum": "a.u."}
    display = ManifoldDisplay.from_estimator(
        fitted, X, columns="spectrum", n_steps=(4, 3), units=units, line_kwargs={"lw": 3}
    )
    spectra = display.decoded["spectrum"].to_numpy()
    lines = display.artists_[0]
    assert len(lines) == 12
    low, high = spectra.min(), spectra.max()
    for k, line in enumerate(lines):
        x, y = line.get_data()
        j, i = k % 4, k // 4
        assert_allclose((x - j) / 0.9 + 0.5, (ENERGY - 1) / 2, atol=1e-12)
        assert_allclose((y - i) / 0.9 + 0.5, (spectra[k] - low) / (high - low), atol=1e-12)
        assert line.get_linewidth() == 3
    grey = [line for line in display.axes_[0].lines if line not in lines]
    mean = (spectra.mean(axis=0) - low) / (high - low)
    assert_allclose(grey[5].get_ydata(), 1 + 0.9 * (mean - 0.5))
    title = display.axes_[0].get_title().replace("\N{MINUS SIGN}", "-")
    assert title == f"spectrum\ncell: 1 to 3 across, {low:.2g} to {high:.2g} a.u. up"
    assert [t.get_text() for t in display.legends_[0].get_texts()] == ["decoded", "mean"]


def test_numbers_are_a_heat_map_in_their_unit(wide):
    fitted, X = wide
    display = ManifoldDisplay.from_estimator(
        fitted,
        X,
        columns=[("table", "height"), "image"],
        units={"height": "nm"},
        image_kwargs={"cmap": "magma"},
    )
    assert display.columns_ == [("table", "height"), "image"]
    assert titles(display) == ["table: height", "image"]
    assert display.colorbars_[0].ax.get_ylabel() == "nm"
    values = display.decoded[("table", "height")].to_numpy().reshape(9, 9)
    assert_allclose(display.artists_[0].get_array(), values)
    assert [picture.get_cmap().name for picture in display.artists_] == ["magma", "magma"]


def test_a_norm_takes_the_place_of_the_ends(wide):
    from matplotlib.colors import Normalize

    fitted, X = wide
    display = ManifoldDisplay.from_estimator(
        fitted,
        X,
        columns=[("table", "height"), "image"],
        image_kwargs={"norm": Normalize(0, 7)},
    )
    assert [picture.get_clim() for picture in display.artists_] == [(0, 7), (0, 7)]


def test_categories_have_colours_and_a_legend():
    X = pd.DataFrame({"phase": ["cubic", "hexagonal", "other"]})
    decoded = pd.DataFrame({"phase": ["cubic", "cubic", "other", "cubic", "hexagonal", None]})
    display = ManifoldDisplay([[0.0, 1.0, 2.0], [0.0, 1.0]], decoded, X).plot(columns="phase")
    names = [text.get_text() for text in display.legends_[0].get_texts()]
    assert names == ["cubic", "hexagonal", "other"]
    codes = display.artists_[0].get_array()
    assert_array_equal(np.ma.filled(codes, -1), [[0, 0, 2], [0, 1, -1]])
    colors = [handle.get_facecolor() for handle in display.legends_[0].legend_handles]
    picture = display.artists_[0]
    assert_allclose(picture.to_rgba(np.arange(3.0)), colors)


def test_rare_categories_are_drawn_together():
    names = pd.Series([f"c{k:02d}" for k in range(10)])
    decoded = pd.DataFrame({"phase": names.repeat([3, 3, 3, 3, 3, 3, 2, 2, 1, 1]).to_numpy()})
    display = ManifoldDisplay([np.arange(24.0)], decoded, decoded).plot(columns="phase")
    said = [text.get_text() for text in display.legends_[0].get_texts()]
    assert said == ["c00", "c01", "c02", "c03", "c04", "c05", "4 others"]


def test_all_arrays_are_drawn_unless_columns_are_named(wide, sae, X):
    fitted, table = wide
    assert ManifoldDisplay.from_estimator(fitted, table).columns_ == ["spectrum", "image"]
    message = "'columns' .* no array is known .* which are 'radius', 'energy', 'phase', 'mass';"
    with pytest.raises(ValueError, match=message):
        ManifoldDisplay.from_estimator(sae, X)
    display = ManifoldDisplay.from_estimator(sae, X, arrays={"both": ["radius", "mass"]})
    assert display.columns_ == ["both"]
    assert display.decoded.columns.to_list() == X.columns.to_list()


def test_arrays_are_found_by_the_labels_of_their_columns(wide):
    X = wide[1]
    decoded = X.iloc[:9, ::-1]
    arrays = {"spectrum": slice(2, 26)}
    values = [np.arange(3.0), np.arange(3.0)]
    display = ManifoldDisplay(values, decoded, X, arrays=arrays).plot()
    spectra = X["spectrum"].to_numpy()[:9]
    low, high = spectra.min(), spectra.max()
    expected = 0.9 * ((spectra[4] - low) / (high - low) - 0.5) + 1
    assert_allclose(display.artists_[0][4].get_ydata(), expected)


def test_cells_that_hold_arrays():
    images = make_images(9)
    X = pd.DataFrame({"image": list(images), "number": np.arange(9.0)})
    display = ManifoldDisplay([np.arange(3.0), np.arange(3.0)], X, X).plot()
    assert display.columns_ == ["image"]
    assert_allclose(display.artists_[0].get_array()[-5:, :6], images[0])


def test_categories_are_those_of_the_estimator(X):
    numbers = np.column_stack([X["energy"], np.resize([1.0, 2.0, 3.0], 40)])
    sae = SupervisedAutoencoder(categorical_features=[1], **TINY).fit(numbers)
    display = ManifoldDisplay.from_estimator(sae, numbers, columns=[1, 0])
    assert display.legends_[0] is not None
    assert display.legends_[1] is None
    display = ManifoldDisplay.from_estimator(sae, numbers, columns=0, categorical_features=[0])
    assert display.legends_[0] is not None


def test_channels_of_an_image_have_panels():
    images = np.stack([make_images(seed=k) for k in range(5)], axis=1)  # (40, 5, 5, 6)
    fitted = Compressor(2).fit(images)
    display = ManifoldDisplay.from_estimator(fitted, images, n_steps=3)
    assert titles(display) == [f"X, channel {k}" for k in range(4)]
    tile = display.artists_[2].get_array()[-5:, :6]
    assert_allclose(tile, display.decoded[0, 2])


# -- the rows


def test_rows_lie_where_their_latents_are(wide):
    fitted, X = wide
    settings = {"n_steps": 5, "columns": "image", "show_rows": True, "spacing": "quantile"}
    display = ManifoldDisplay.from_estimator(fitted, X, quantiles=(0.2, 0.8), **settings)
    drawn = display.scatter_.get_offsets()
    Z = fitted.transform(X)[:, :2]
    inside = np.ones(len(Z), dtype=bool)
    places = np.empty_like(Z)
    for k, values in enumerate(display.values):
        step = np.diff(values)[[0, -1]]
        knots = np.r_[values[0] - step[0], values, values[-1] + step[1]]
        places[:, k] = np.interp(Z[:, k], knots, np.arange(-1, 6))
        inside &= (Z[:, k] >= values[0] - step[0] / 2) & (Z[:, k] <= values[-1] + step[1] / 2)
    assert 0 < inside.sum() < len(Z)
    assert_allclose(drawn, places[inside])
    assert display.axes_[-1].get_title() == f"Rows of X: {inside.sum()} of 40"
    assert len(display.axes_) == 2
    assert ManifoldDisplay.from_estimator(fitted, X).scatter_ is None


def test_rows_between_points_of_one_value():
    """Where points share a value, the distance of the next ones counts for each step."""
    grid = _Grid.read([[0.0, 1.0, 1.0, 2.0], [0.0, 3.0]], ["a", "b"])
    places = grid.place(np.array([[0.5, 0.0], [1.5, 1.5], [2.25, 4.5], [2.6, -3.1]]))
    # of 1.0 the first of its two points; from there to 2.0 it is two steps of 0.5
    assert_allclose(places, [[0.5, 0], [2, 0.5], [3.5, 1.5], [np.nan, np.nan]])


def test_a_latent_that_does_not_vary_can_be_drawn(wide):
    fitted, X = wide
    same = fitted.inverse_transform(np.tile(fitted.transform(X[:1]), (4, 1)))
    display = ManifoldDisplay.from_estimator(fitted, same, show_rows=True)
    assert np.isfinite(display.decoded.to_numpy()).all()


# -- estimators


def test_blocks_of_an_autoencoder(wide):
    X = wide[1]
    blocks = [
        ("image", ImageBlock((5, 6), n_channels=(2,)), "image"),
        ("spectrum", SpectrumBlock(n_channels=(2,), kernel_size=3), "spectrum"),
    ]
    labels = (X[("table", "height")] > 0.7).astype(int)
    model = SupervisedAutoencoderClassifier(blocks=blocks, **TINY).fit(X, labels)
    display = ManifoldDisplay.from_estimator(model, X, n_steps=3)
    assert display.columns_ == ["spectrum", "image"]
    images = model.inverse_transform(
        np.array([[display.values[0][0], display.values[1][0], model.transform(X)[:, 2].mean()]])
    )["image"]
    tile = display.artists_[1].get_array()[-5:, :6]
    assert_allclose(tile.ravel(), images.to_numpy().ravel(), rtol=1e-4, atol=1e-5)
    images = make_images()
    alone = SupervisedAutoencoder(blocks=ImageBlock(n_channels=(2,)), **TINY).fit(images)
    display = ManifoldDisplay.from_estimator(alone, images, n_steps=3)
    assert len(display.artists_) == 1


def test_stages_of_a_chain(X):
    y = pd.DataFrame({"inner": X["mass"], "outer": np.where(X["energy"] > 0, "high", "low")})
    stages = [
        ("inner", SupervisedAutoencoder(**TINY), ["mass", "radius"]),
        ("outer", SupervisedAutoencoderClassifier(**TINY), ["phase"]),
    ]
    chain = NestedAutoencoder(stages).fit(X, y)
    display = ManifoldDisplay.from_estimator(chain, X, stage="inner", columns="mass", n_steps=4)
    alone = ManifoldDisplay.from_estimator(
        chain["inner"], X[["mass", "radius"]], columns="mass", n_steps=4
    )
    assert_allclose(display.artists_[0].get_array(), alone.artists_[0].get_array(), rtol=1e-5)
    display = ManifoldDisplay.from_estimator(chain, X, columns=["phase", "mass"])
    assert display.legends_[0] is not None
    with pytest.raises(ValueError, match="column 'energy', which is not decoded"):
        ManifoldDisplay.from_estimator(chain, X, columns="energy")
    tables = [X[["mass"]], X[["mass", "energy"]].iloc[:30]]
    with pytest.raises(TypeError, match=r"'X' parameter .* must be one table, got 2 tables"):
        ManifoldDisplay.from_estimator(chain, tables)


def test_a_pipeline_decodes_to_its_own_table(X):
    table = X[["energy", "mass"]]
    pipeline = make_pipeline(StandardScaler(), PCA(2)).fit(table)
    display = ManifoldDisplay.from_estimator(pipeline, table, columns=["mass"], n_steps=3)
    points = np.array([[a, b] for b in display.values[1] for a in display.values[0]])
    expected = pipeline.inverse_transform(points)[:, 1].reshape(3, 3)
    assert_allclose(display.artists_[0].get_array(), expected)
    assert titles(display) == ["mass"]
    numbers = table.to_numpy()
    display = ManifoldDisplay.from_estimator(pipeline[1:], numbers, columns=1)
    assert titles(display) == ["Column 1"]


# -- axes, errors


def test_draws_on_the_axes_passed(wide):
    fitted, X = wide
    figure, axes = plt.subplots(1, 2)
    display = ManifoldDisplay.from_estimator(fitted, X, ax=axes)
    assert list(display.axes_) == list(axes)
    assert display.figure_ is figure


def test_ticks_tell_close_latents_apart():
    values = [[10.01, 10.02, 10.03], [-1.0, 0.0, 1.0]]
    decoded = np.arange(9.0)[:, None]
    display = ManifoldDisplay(values, decoded, decoded, names=["a", "b"]).plot(columns=0)
    assert_allclose(ticks(display.axes_[0].xaxis), values[0], rtol=1e-6)
    assert_allclose(ticks(display.axes_[0].yaxis), values[1])


def test_a_middle_that_is_zero_but_for_rounding_is_written_so():
    decoded = np.arange(3.0)[:, None]
    display = ManifoldDisplay([[-1.0, 1e-16, 1.0]], decoded, decoded).plot(columns=0)
    said = [text.get_text() for text in display.axes_[0].get_xticklabels()]
    assert said == ["\N{MINUS SIGN}1", "0", "1"]


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"components": 3}, ValueError, r"'components' .* int from -3 to 2, .* 3 latents.* got 3"),
        ({"components": (0, -3)}, ValueError, r"two different int .* got \(0, -3\)"),
        ({"components": (0, 1, 2)}, ValueError, r"'components' .* got \(0, 1, 2\)"),
        ({"components": "PCA"}, ValueError, "'components' .* or 'pca'; got 'PCA'"),
        ({"components": True}, ValueError, "'components' .* got True"),
        ({"n_steps": 1}, ValueError, "'n_steps' .* at least 2, .* got 1"),
        ({"n_steps": (3, 1)}, ValueError, r"'n_steps' .* got \(3, 1\)"),
        ({"n_steps": (3, 3, 3)}, ValueError, r"each of the 2 latents that move, got \(3, 3, 3\)"),
        ({"components": 0, "n_steps": (3, 3)}, ValueError, "each of the 1 latents that move"),
        ({"n_steps": 2.5}, ValueError, "'n_steps' .* got 2.5"),
        ({"quantiles": (0.9, 0.1)}, ValueError, r"'quantiles' .* got \(0.9, 0.1\)"),
        (
            {"quantiles": (0, 0.9), "spacing": "normal"},
            ValueError,
            r"'quantiles' .* above 0 and below 1 .* 'normal'.* got \(0, 0.9\)",
        ),
        ({"spacing": "log"}, ValueError, "'spacing' .* got 'log'"),
        ({"at": "mode"}, ValueError, "'at' .* 'mean', a row's position or 3 latents, got 'mode'"),
        ({"at": 40}, ValueError, "'at' .* one of the 40 rows of X, got 40"),
        ({"columns": []}, ValueError, "'columns' parameter must name at least one"),
        ({"columns": "gap"}, ValueError, "'columns' parameter names the column 'gap'"),
        ({"n_cols": 0, "columns": "mass"}, ValueError, "'n_cols' .* got 0"),
        ({"units": "eV", "columns": "mass"}, TypeError, "'units' parameter must map .* got 'eV'"),
        ({"stage": "inner"}, ValueError, "'stage' parameter names .* has no stages"),
    ],
)
def test_errors_say_what_is_wrong(sae, X, parameters, error, message):
    with pytest.raises(error, match=message):
        ManifoldDisplay.from_estimator(sae, X, **parameters)


def test_errors_of_tables_and_estimators(X):
    table = np.ones((4, 2))
    two = [[0.0, 1.0], [0.0, 1.0]]
    with pytest.raises(ValueError, match="a row for each of the 4 points of the grid, got 40"):
        ManifoldDisplay(two, X, X).plot()
    with pytest.raises(ValueError, match="must have the same columns"):
        ManifoldDisplay(two, np.ones((4, 3)), X).plot()
    with pytest.raises(ValueError, match="'values' parameter must be a list of one or two arr"):
        ManifoldDisplay([0.0, 1.0], table, table).plot(columns=0)
    with pytest.raises(ValueError, match=r"'names' .* each of the 2 latents, got \['a'\]"):
        ManifoldDisplay(two, table, table, names=["a"]).plot(columns=0)
    with pytest.raises(ValueError, match="'show_rows' parameter needs 'coordinates'"):
        ManifoldDisplay(two, table, table).plot(columns=0, show_rows=True)
    with pytest.raises(TypeError, match="must have transform and inverse_transform; Linear"):
        ManifoldDisplay.from_estimator(LinearRegression(), X)
