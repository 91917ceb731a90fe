"""Tests of TraversalDisplay: the way along a latent, its panels and their order."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from cases.arrays import ENERGY, Compressor, make_images, make_spectra, make_table
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    stack_scales,
)
from sknestedae.exceptions import NoTargetError
from sknestedae.plotting import TraversalDisplay
from sknestedae.plotting._traversal import array_movement

TINY = {"n_components": 2, "hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


@pytest.fixture(scope="module")
def X():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(40, 2)) * [1, 50], columns=["radius", "energy"])
    X["phase"] = pd.Categorical(np.resize(["cubic", "hexagonal", "cubic"], 40))
    X["mass"] = rng.normal(size=40)
    X.loc[::5, "radius"] = np.nan
    X.loc[::7, "phase"] = np.nan
    return X


@pytest.fixture(scope="module")
def sae(X):
    return SupervisedAutoencoder(**TINY).fit(X, X["energy"])


def titles(display):
    return [ax.get_title() for ax in display.axes_]


# -- the way


@pytest.mark.parametrize("at", ["median", "mean", 3, [0.5, -1.0]])
def test_lines_are_decoded_along_one_latent(sae, X, at):
    display = TraversalDisplay.from_estimator(
        sae, X, latent=1, at=at, n_steps=7, columns=["energy", "radius"], predict=False
    )
    Z = sae.transform(X)
    path = np.empty((7, 2))
    held = {"median": np.median(Z[:, 0]), "mean": Z[:, 0].mean(), 3: Z[3, 0]}
    path[:, 0] = held[at] if np.ndim(at) == 0 else 0.5
    path[:, 1] = np.linspace(*np.quantile(Z[:, 1], [0.05, 0.95]), 7)
    decoded = sae.inverse_transform(path)
    for k, column in enumerate(["energy", "radius"]):
        expected = np.column_stack([path[:, 1], decoded[column]])
        assert_allclose(display.artists_[k].get_xydata(), expected)
    assert display.axes_[0].get_xlim() == (path[0, 1], path[-1, 1])
    assert display.axes_[-1].get_xlabel() == "Latent 1"


def test_bands_are_the_middle_of_the_data(sae, X):
    display = TraversalDisplay.from_estimator(sae, X, quantiles=(0.25, 0.75), columns="radius")
    band, line = display.bands_[-1], display.artists_[-1]
    low, high = X["radius"].quantile([0.25, 0.75])
    y = band.get_path().vertices[:, 1] if not hasattr(band, "get_height") else None
    ends = (band.get_y(), band.get_y() + band.get_height()) if y is None else (y.min(), y.max())
    assert_allclose(ends, (low, high))
    Z = sae.transform(X)[:, 0]
    assert_allclose(line.get_xdata()[[0, -1]], np.quantile(Z, [0.25, 0.75]))


def test_a_principal_component_moves_what_it_holds():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(100, 1)) * [5.0, 0.0, 2.0], columns=list("abc"))
    X["b"] = rng.normal(size=100)
    pca = PCA(2).fit(X)
    display = TraversalDisplay.from_estimator(pca, X)
    assert set(display.columns_[:2]) == {"a", "c"}
    # From the 5 % to the 95 % quantile of a normal variable: 2 x 1.64 standard deviations.
    assert_allclose(display.movement_[["a", "c"]], 3.29, rtol=0.15)
    # Their correlation in 100 rows has a standard error of 0.1, here taken three times.
    assert display.movement_["b"] < 0.3 * 3.29
    second = TraversalDisplay.from_estimator(pca, X, latent=-1)
    assert second.columns_[0] == "b"
    assert second.axes_[-1].get_xlabel() == "Latent 1"


# -- panels


def test_columns_that_move_most_come_first(sae, X):
    display = TraversalDisplay.from_estimator(sae, X, predict=False)
    assert display.movement_.is_monotonic_decreasing
    assert display.columns_ == display.movement_.index.to_list()
    display = TraversalDisplay.from_estimator(sae, X, predict=False, max_columns=2)
    assert display.columns_ == display.movement_.index.to_list()[:2]
    assert len(display.movement_) == 4


def test_movement_is_in_standard_deviations():
    X = pd.DataFrame({"a": [0.0, 2.0, 4.0], "b": ["x", "y", "x"], "c": 1.0, "d": [1.0, 2, 3]})
    decoded = pd.DataFrame({"a": [1.0, 4.0], "b": ["x", "y"], "c": [1.0, 2.0], "d": [2.0, 2.0]})
    display = TraversalDisplay([0.0, 1.0], decoded, X).plot()
    # one-hot values of b: from (1, 0) to (0, 1), and variances of 2/9 each
    expected = {"b": np.sqrt(2 / (4 / 9)), "a": 3 / np.sqrt(8 / 3), "d": 0, "c": np.nan}
    pd.testing.assert_series_equal(display.movement_, pd.Series(expected, name="movement"))


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_movement_is_in_standard_deviations_of_any_unit(unit):
    X = pd.DataFrame({"a": np.array([0.0, 2.0, 4.0]) * unit, "constant": 0.1})
    assert X["constant"].to_numpy().std() > 0  # by rounding
    decoded = pd.DataFrame({"a": np.array([1.0, 4.0]) * unit, "constant": [0.1, 0.2]})
    display = TraversalDisplay([0.0, 1.0], decoded, X).plot()
    assert_allclose(display.movement_[["a", "constant"]], [3 / np.sqrt(8 / 3), np.nan])


def test_bars_are_the_stretches_of_a_category():
    X = pd.DataFrame({"phase": ["cubic", "hexagonal", "tetragonal"]})
    decoded = X.iloc[[0, 0, 1, 0]]
    display = TraversalDisplay([0.0, 1.0, 2.0, 3.0], decoded, X).plot()
    bars = [(bar.get_x(), bar.get_width()) for bar in display.artists_[0]]
    assert bars == [(0, 1.5), (1.5, 1), (2.5, 0.5)]
    middle = [bar.get_y() + bar.get_height() / 2 for bar in display.artists_[0]]
    assert_allclose(middle, [0, 1, 0])
    names = [text.get_text() for text in display.axes_[0].get_yticklabels()]
    assert names == ["cubic", "hexagonal"]
    assert display.bands_ == [None]


def test_units_and_names(sae, X):
    units = {"radius": "Å", "gap": "eV"}
    display = TraversalDisplay.from_estimator(
        sae, X, columns=["radius", "phase"], units=units, target_names=["gap"]
    )
    assert titles(display) == ["Predicted gap", "radius", "phase"]
    assert [ax.get_ylabel() for ax in display.axes_] == ["eV", "Å", ""]
    assert display.columns_ == ["gap", "radius", "phase"]


# -- predictions


def test_the_prediction_is_that_of_the_decoded_table(sae, X):
    display = TraversalDisplay.from_estimator(sae, X, columns="radius")
    assert titles(display)[0] == "Predicted target"
    expected = sae.predict(display.decoded)
    assert_allclose(display.artists_[0].get_ydata(), expected)
    assert_allclose(display.predictions_of_X.iloc[:, 0], sae.predict(X))


def test_without_a_target_there_is_no_prediction(X):
    sae = SupervisedAutoencoder(**TINY).fit(X)
    assert TraversalDisplay.from_estimator(sae, X).predictions is None
    with pytest.raises(NoTargetError, match="without a target"):
        TraversalDisplay.from_estimator(sae, X, predict=True)
    table = X[["energy", "mass"]]
    with pytest.raises(TypeError, match="must have predict; PCA does not"):
        TraversalDisplay.from_estimator(PCA(1).fit(table), table, predict=True)


def test_a_predicted_class_is_in_words(X):
    labels = (X["energy"] > 0).astype(int)
    model = SupervisedAutoencoderClassifier(**TINY).fit(X, labels)
    display = TraversalDisplay.from_estimator(model, X, columns="energy", target_names=["sign"])
    names = {text.get_text() for text in display.axes_[0].get_yticklabels()}
    assert names <= {"0", "1"}
    assert display.bands_[0] is None


# -- chains, pipelines, arrays


@pytest.fixture(scope="module")
def chain(X):
    y = pd.DataFrame({"inner": X["mass"], "outer": np.where(X["energy"] > 0, "high", "low")})
    stages = [
        ("inner", SupervisedAutoencoder(**TINY), ["mass", "radius"]),
        ("outer", SupervisedAutoencoderClassifier(**TINY), ["phase"]),
    ]
    return NestedAutoencoder(stages).fit(X, y)


def test_a_chain_decodes_all_its_scales(chain, X):
    display = TraversalDisplay.from_estimator(chain, X, target_names=["mass", "level"])
    assert set(display.columns_[2:]) == {"mass", "radius", "phase"}  # energy is of no stage
    assert titles(display)[:2] == ["Predicted mass", "Predicted level"]
    prediction = chain.predict(display.decoded)
    assert_allclose(display.artists_[0].get_ydata(), prediction[:, 0].astype(float))
    with pytest.raises(ValueError, match="column 'energy', which is not decoded"):
        TraversalDisplay.from_estimator(chain, X, columns=["energy"])


def test_a_stage_decodes_its_own_columns(chain, X):
    display = TraversalDisplay.from_estimator(chain, X, stage="inner", latent=1)
    assert sorted(display.columns_) == ["mass", "radius", "target"]
    first = chain["inner"]
    table = X[["mass", "radius"]]
    expected = TraversalDisplay.from_estimator(first, table, latent=1, columns="mass")
    k = display.columns_.index("mass")
    assert_allclose(display.artists_[k].get_xydata(), expected.artists_[1].get_xydata())


def test_scales_with_rows_of_their_own():
    rng = np.random.RandomState(0)
    tables = [pd.DataFrame(rng.normal(size=(30, 2)), columns=list("ab"))]
    tables.append(pd.DataFrame(rng.normal(size=(24, 3)), columns=list("abc")))
    chain = NestedAutoencoder(n_components=2, max_iter=3, random_state=0)
    chain.fit(tables, [tables[0]["a"], tables[1]["c"]])
    X, _ = stack_scales(tables)
    display = TraversalDisplay.from_estimator(chain, X.loc[["scale0"]], stage=0, units={"a": "m"})
    assert titles(display)[0] == "Predicted target"
    assert sorted(titles(display)[1:]) == ["scale0: a", "scale0: b"]
    k = display.columns_.index(("scale0", "a"))
    assert display.axes_[k].get_ylabel() == "m"
    display = TraversalDisplay.from_estimator(chain, X.loc[["scale1"]])
    assert len(display.columns_) == 5
    with pytest.raises(TypeError, match=r"'X' parameter .* must be one table, got 2 tables"):
        TraversalDisplay.from_estimator(chain, tables)


@pytest.mark.parametrize("as_frame", [True, False])
def test_a_chain_that_leaves_columns_out_behind_other_steps(X, as_frame):
    table = X[["energy", "mass", "radius"]]
    table = table if as_frame else table.to_numpy()
    stages = [
        ("a", SupervisedAutoencoder(**TINY), [2]),
        ("b", SupervisedAutoencoder(**TINY), [0]),
    ]
    pipeline = make_pipeline(StandardScaler(), NestedAutoencoder(stages)).fit(table, X["energy"])
    display = TraversalDisplay.from_estimator(pipeline, table, n_steps=5)
    labels = ["energy", "radius"] if as_frame else [0, 2]
    assert sorted(display.columns_[1:]) == labels
    nested = pipeline[-1]
    Z = np.tile(np.median(pipeline.transform(table), axis=0), (5, 1))
    Z[:, 0] = display.values
    back = nested.inverse_transform(Z) * pipeline[0].scale_[[0, 2]] + pipeline[0].mean_[[0, 2]]
    k = display.columns_.index(labels[0])
    assert_allclose(display.artists_[k].get_ydata(), np.asarray(back)[:, 0])
    alone = np.column_stack([back[:, 0], np.full(5, np.nan), back[:, 1]])
    alone = pd.DataFrame(alone, columns=table.columns) if as_frame else alone
    assert_allclose(display.artists_[0].get_ydata(), pipeline.predict(alone))


def test_arrays_and_objects(X):
    table = X[["energy", "phase"]].to_numpy(dtype=object)
    sae = SupervisedAutoencoder(categorical_features=[1], **TINY).fit(table, X["energy"])
    display = TraversalDisplay.from_estimator(sae, table, columns=[1, 0])
    assert titles(display) == ["Predicted target", "Column 1", "Column 0"]
    assert display.bands_[1] is None
    numbers = np.column_stack([X["energy"], np.resize([1, 2, 3], 40)])
    sae = SupervisedAutoencoder(categorical_features=[1], **TINY).fit(numbers)
    display = TraversalDisplay.from_estimator(sae, numbers, columns=[1])
    assert display.bands_ == [None]


def test_all_latents_of_a_chain(chain, X):
    chain = chain[:2].set_params(latents="all")
    display = TraversalDisplay.from_estimator(chain, X, latent=0, predict=False)
    assert display.movement_["phase"] == 0  # each stage's latents give its own columns
    assert (display.movement_[["mass", "radius"]] > 0).all()


# -- keywords, axes, errors


def test_draws_on_the_axes_passed_with_keywords(sae, X):
    figure, axes = plt.subplots(1, 3)
    display = TraversalDisplay.from_estimator(
        sae,
        X,
        columns=["energy", "phase"],
        ax=axes,
        line_kwargs={"lw": 3},
        band_kwargs={"fc": "red"},
        bar_kwargs={"fc": "green"},
    )
    assert list(display.axes_) == list(axes)
    assert display.figure_ is figure
    assert display.artists_[1].get_linewidth() == 3
    assert display.bands_[1].get_facecolor() == (1, 0, 0, 1)
    assert display.artists_[2][0].get_facecolor() == (0, 128 / 255, 0, 1)
    assert [ax.get_xlabel() for ax in axes] == ["Latent 0"] * 3


def test_the_lowest_panels_name_the_latent(sae, X):
    display = TraversalDisplay.from_estimator(sae, X, n_cols=2)  # five panels
    assert_array_equal([bool(ax.get_xlabel()) for ax in display.axes_], [0, 0, 0, 1, 1])


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"latent": 2}, ValueError, r"'latent' .* int from -2 to 1, .* got 2"),
        ({"latent": "a"}, ValueError, "'latent' .* got 'a'"),
        ({"n_steps": 1}, ValueError, "'n_steps' .* at least 2, got 1"),
        ({"quantiles": (0.9, 0.1)}, ValueError, r"'quantiles' .* got \(0.9, 0.1\)"),
        ({"at": "mode"}, ValueError, "'at' .* got 'mode'"),
        ({"at": 40}, ValueError, "'at' .* one of the 40 rows of X, got 40"),
        ({"at": [1.0]}, ValueError, r"'at' .* 2 latents, got \[1.0\]"),
        ({"predict": "yes"}, ValueError, "'predict' .* got 'yes'"),
        ({"target_names": ["a", "b"]}, ValueError, r"names of the 1 .* got \['a', 'b'\]"),
        ({"columns": []}, ValueError, "'columns' parameter must name at least one"),
        ({"columns": ["gap"]}, ValueError, "'columns' parameter names the column 'gap'"),
        ({"max_columns": 0}, ValueError, "'max_columns' .* got 0"),
        ({"n_cols": 0}, ValueError, "'n_cols' .* got 0"),
        ({"units": "eV"}, TypeError, "'units' parameter must map .* got 'eV'"),
        ({"stage": "inner"}, ValueError, "'stage' parameter names .* has no stages"),
    ],
)
def test_errors_say_what_is_wrong(sae, X, parameters, error, message):
    with pytest.raises(error, match=message):
        TraversalDisplay.from_estimator(sae, X, **parameters)


def test_errors_of_tables_and_estimators(sae, X):
    with pytest.raises(ValueError, match="a row for each of the 2 values of the latent, got 40"):
        TraversalDisplay([0.0, 1.0], X, X).plot()
    with pytest.raises(ValueError, match="must have the same columns"):
        TraversalDisplay([0.0, 1.0], np.ones((2, 3)), X).plot()
    with pytest.raises(TypeError, match="must have transform and inverse_transform; Linear"):
        TraversalDisplay.from_estimator(LinearRegression(), X)


# -- arrays: one panel each


@pytest.fixture(scope="module")
def wide():
    return make_table()


def test_an_array_has_one_panel(wide):
    X, blocks = wide
    fitted = Compressor(3, blocks).fit(X)
    display = TraversalDisplay.from_estimator(fitted, X, 1, n_steps=21, predict=False)
    assert set(display.columns_) == {("table", "centre"), ("table", "height"), "spectrum", "image"}
    assert display.columns_ == display.movement_.index.to_list()
    Z = fitted.transform(X)
    path = np.tile(np.median(Z, axis=0), (21, 1))
    path[:, 1] = np.linspace(*np.quantile(Z[:, 1], [0.05, 0.95]), 21)
    decoded = fitted.inverse_transform(path)
    for name in ("spectrum", "image"):
        moved = np.ptp(decoded[name].to_numpy(), axis=0)
        spread = X[name].to_numpy().std(axis=0)
        expected = np.sqrt((moved**2).sum() / (spread**2).sum())
        assert display.movement_[name] == pytest.approx(expected)
    lines = display.artists_[display.columns_.index("spectrum")]
    steps = np.round(np.linspace(0, 20, len(lines))).astype(int)
    assert_allclose([line.get_ydata() for line in lines], decoded["spectrum"].iloc[steps])
    assert_allclose(lines[0].get_xdata(), ENERGY)
    k = display.columns_.index("image")
    pictures = display.artists_[k]
    steps = np.round(np.linspace(0, 20, len(pictures))).astype(int)
    expected = decoded["image"].to_numpy().reshape(21, 5, 6)[steps]
    assert_allclose([picture.get_array() for picture in pictures], expected)
    said = [text.get_text().replace("\N{MINUS SIGN}", "-") for text in display.axes_[k].texts]
    assert said == [f"{value:.2g}" for value in path[steps, 1]]
    assert display.axes_[k].get_xlabel() == "Latent 1"
    assert display.bands_[k] is None


def test_arrays_are_chosen_by_name(wide):
    X, blocks = wide
    fitted = Compressor(3, blocks).fit(X)
    display = TraversalDisplay.from_estimator(
        fitted, X, columns=["image", ("table", "height")], predict=False
    )
    assert display.columns_ == ["image", ("table", "height")]
    display = TraversalDisplay.from_estimator(fitted, X, max_columns=1, predict=False)
    assert len(display.columns_) == 1


def test_a_target_that_is_one_array_has_one_panel():
    images, spectra = make_images(), make_spectra()[0]
    fitted = Compressor(3).fit(images, images)
    display = TraversalDisplay.from_estimator(fitted, images, target_names=["picture"])
    assert display.columns_ == ["picture", "X"]
    assert display.axes_[0].get_title() == "Predicted picture"
    fitted = Compressor(3).fit(images, spectra)
    assert len(TraversalDisplay.from_estimator(fitted, images).columns_) == 9  # 8 and the image
    fitted.target_block = "any"
    display = TraversalDisplay.from_estimator(fitted, images)
    assert display.columns_ == ["target", "X"]
    assert len(display.artists_[0][0].get_ydata()) == 24
    with pytest.raises(ValueError, match="names of the 1 predicted targets"):
        TraversalDisplay.from_estimator(fitted, images, target_names=["a", "b"])


def test_of_many_targets_those_that_move_most():
    rng = np.random.RandomState(0)
    predictions = pd.DataFrame(np.linspace(0, 1, 5)[:, None] * np.arange(12.0)).add_prefix("t")
    X = rng.normal(size=(30, 1))
    spread = pd.DataFrame(rng.normal(size=(30, 12))).add_prefix("t")
    display = TraversalDisplay(
        np.arange(5), X[:5], X, predictions=predictions, predictions_of_X=spread
    ).plot(max_columns=3)
    size = (predictions.max() / spread.std(ddof=0)).nlargest(3)
    assert display.columns_ == [*size.index, 0]


@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_movement_of_an_array_in_any_unit(unit):
    rng = np.random.RandomState(0)
    data, path = rng.normal(size=(30, 4)), rng.normal(size=(7, 4))
    data[:, 3] = 0.1  # no part in the spread
    data[5, 0] = np.nan
    spread = np.nanstd(data[:, :3], axis=0)
    expected = np.linalg.norm(np.ptp(path, axis=0)) / np.linalg.norm(spread)
    assert array_movement(path * unit, data * unit) == pytest.approx(expected)
    assert np.isnan(array_movement(path, np.tile([0.1, 0.3, 0.7, 1.1], (30, 1))))
    assert np.isnan(array_movement(path, np.full((30, 4), np.nan)))
