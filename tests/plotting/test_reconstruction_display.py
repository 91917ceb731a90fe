"""Tests of ReconstructionDisplay: points, bars and the numbers in the titles."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from cases.arrays import Compressor, make_images, make_spectra, make_table
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics import PredictionErrorDisplay, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sknestedae import NestedAutoencoder, SupervisedAutoencoder, stack_scales
from sknestedae.blocks import ImageBlock
from sknestedae.plotting import HistoryDisplay, ReconstructionDisplay

TINY = {"n_components": 2, "hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


@pytest.fixture(scope="module")
def X():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(40, 2)) * [1, 50], columns=["radius", "energy"])
    X.loc[::5, "radius"] = np.nan
    X["phase"] = pd.Categorical(np.resize(["cubic", "hexagonal", "cubic"], 40))
    X.loc[::7, "phase"] = np.nan
    return X


@pytest.fixture(scope="module")
def sae(X):
    return SupervisedAutoencoder(**TINY).fit(X, X["energy"])


def title(display, k=0):
    return display.axes_[k].get_title()


# -- numeric columns


def test_points_are_true_against_reconstructed_where_measured(sae, X):
    display = ReconstructionDisplay.from_estimator(sae, X)
    assert len(display.axes_) == 3
    back = sae.inverse_transform(sae.transform(X))
    for k, column in enumerate(["radius", "energy"]):
        measured = X[column].notna()
        expected = np.column_stack([X[column], back[column]])[measured]
        assert_allclose(display.artists_[k].get_offsets(), expected)
    assert display.metrics_["n_samples"].to_list() == [32, 40, 34]


def test_errors_are_in_the_title_in_the_column_s_own_unit(sae, X):
    display = ReconstructionDisplay.from_estimator(sae, X, units={"radius": "Å", "gap": "eV"})
    back = sae.inverse_transform(sae.transform(X))["radius"]
    error = (X["radius"] - back).dropna()
    deviation = X["radius"] - X["radius"].mean()
    mae, r2 = error.abs().mean(), 1 - (error**2).sum() / (deviation**2).sum()
    assert display.metrics_.loc["radius", "mae"] == pytest.approx(mae)
    assert display.metrics_.loc["radius", "r2"] == pytest.approx(r2)
    assert title(display) == f"radius\nMAE {mae:#.3g} Å, R² {r2:.3f}"
    ax = display.axes_[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("True (Å)", "Reconstructed (Å)")
    assert display.axes_[1].get_xlabel() == "True"


@pytest.mark.parametrize("unit", [2.0**-900, 2.0**900])
def test_r2_is_the_same_in_any_unit(unit):
    true = pd.DataFrame({"a": [1.0, 2.0, 4.0]})
    back = pd.DataFrame({"a": [1.5, 2.0, 3.5]})
    plain = ReconstructionDisplay(true, back).plot().metrics_.loc["a", "r2"]
    assert ReconstructionDisplay(true * unit, back * unit).plot().metrics_.loc["a", "r2"] == plain


def test_the_identity_line_goes_from_corner_to_corner(sae, X):
    display = ReconstructionDisplay.from_estimator(sae, X, columns="energy")
    ax, line = display.axes_[0], display.lines_[0]
    assert_array_equal(line.get_xdata(), line.get_ydata())
    assert tuple(line.get_xdata()) == ax.get_xlim() == ax.get_ylim()


def test_perfect_reconstruction_has_no_error():
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "x"]})
    display = ReconstructionDisplay.from_reconstruction(X, X)
    assert title(display, 0) == "a\nMAE 0.00, R² 1.000"
    assert title(display, 1) == "b\naccuracy 1.000"


def test_a_constant_column_has_no_r2():
    display = ReconstructionDisplay.from_reconstruction(np.ones((3, 1)), np.ones((3, 1)) * 100)
    assert title(display) == "Column 0\nMAE 99.0"
    assert np.isnan(display.metrics_.loc[0, "r2"])


# -- categorical columns


def test_bars_are_fractions_correct(sae, X):
    display = ReconstructionDisplay.from_estimator(sae, X, columns="phase")
    correct = (sae.inverse_transform(sae.transform(X))["phase"] == X["phase"])[X["phase"].notna()]
    expected = correct.groupby(X["phase"].dropna().astype(str)).mean()
    bars = display.artists_[0]
    assert_allclose([bar.get_width() for bar in bars], expected)
    names = [text.get_text() for text in display.axes_[0].get_yticklabels()]
    counts = X["phase"].value_counts()
    assert names == [f"{name} ({counts[name]})" for name in ("cubic", "hexagonal")]
    assert title(display) == f"phase\naccuracy {correct.mean():.3f}"
    assert display.metrics_.loc["phase", "accuracy"] == pytest.approx(correct.mean())
    assert display.lines_ == [None]


def test_rare_categories_share_a_bar():
    X = pd.DataFrame({"m": list("aaaabbbcde")})
    wrong = pd.DataFrame({"m": list("aaaabbbcxx")})
    display = ReconstructionDisplay.from_reconstruction(X, wrong, max_categories=3)
    names = [text.get_text() for text in display.axes_[0].get_yticklabels()]
    assert names == ["a (4)", "b (3)", "3 others (3)"]
    assert_allclose([bar.get_width() for bar in display.artists_[0]], [1, 1, 1 / 3])


def test_numbers_that_are_categories(X):
    table = pd.DataFrame({"group": np.resize([1, 2, 3], 40), "x": X["energy"]})
    sae = SupervisedAutoencoder(categorical_features=["group"], **TINY).fit(table)
    display = ReconstructionDisplay.from_estimator(sae, table)  # the estimator knows them
    assert display.metrics_["accuracy"].notna().to_list() == [True, False]
    back = sae.inverse_transform(sae.transform(table))
    for chosen, expected in [
        ("from_dtype", [False, False]),
        (["group"], [True, False]),
        ([0], [True, False]),
        ([True, False], [True, False]),
    ]:
        display = ReconstructionDisplay.from_reconstruction(
            table, back, categorical_features=chosen
        )
        assert display.metrics_["accuracy"].notna().to_list() == expected


def test_categories_in_an_array_of_objects(X):
    table = X[["energy", "phase"]].to_numpy(dtype=object)
    sae = SupervisedAutoencoder(categorical_features=[1], **TINY).fit(table)
    display = ReconstructionDisplay.from_estimator(sae, table)
    assert display.metrics_["mae"].notna().to_list() == [True, False]
    assert title(display, 1).startswith("Column 1\naccuracy")


# -- tables and columns


def test_works_on_an_array_with_missing_values(X):
    table = X[["radius", "energy"]].to_numpy()
    sae = SupervisedAutoencoder(**TINY).fit(table)
    display = ReconstructionDisplay.from_estimator(sae, table, columns=[1, 0], units={1: "eV"})
    assert display.metrics_["n_samples"].to_dict() == {1: 40, 0: 32}
    assert title(display).startswith("Column 1\n")
    assert display.axes_[0].get_xlabel() == "True (eV)"


@pytest.mark.parametrize("set_output", ["default", "pandas"])
def test_works_on_a_pipeline_in_the_units_of_its_input(X, set_output):
    table = X[["radius", "energy"]]
    pipeline = make_pipeline(StandardScaler(), SupervisedAutoencoder(**TINY))
    pipeline.set_output(transform=set_output).fit(table)
    display = ReconstructionDisplay.from_estimator(pipeline, table, columns="energy")
    back = np.asarray(pipeline.inverse_transform(pipeline.transform(table)))[:, 1]
    assert_allclose(display.artists_[0].get_offsets(), np.column_stack([table["energy"], back]))
    assert title(display).startswith("energy\n")


def test_works_on_transformers_of_others():
    X = np.random.RandomState(0).normal(size=(20, 3))
    pca = PCA(3).fit(X)
    display = ReconstructionDisplay.from_estimator(pca, X)
    assert_allclose(display.metrics_["r2"], 1)


def test_columns_are_matched_by_name():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    display = ReconstructionDisplay.from_reconstruction(X, X[["b"]].set_axis([7, 8]))
    assert display.metrics_.index.to_list() == ["b"]
    assert display.metrics_.loc["b", "mae"] == 0


def test_a_column_without_measured_values_says_so():
    X = pd.DataFrame({"a": [np.nan, np.nan]})
    display = ReconstructionDisplay.from_reconstruction(X, X.fillna(1.0))
    assert title(display) == "a\nnot measured"
    assert display.metrics_.loc["a", "n_samples"] == 0
    assert display.artists_ == [None]


def test_columns_of_two_levels(X):
    table = pd.concat({"crystal": X[["radius"]], "device": X[["energy"]]}, axis=1)
    sae = SupervisedAutoencoder(**TINY).fit(table)
    display = ReconstructionDisplay.from_estimator(sae, table, columns=("device", "energy"))
    assert title(display).startswith("device: energy\n")


# -- keywords and axes


def test_panels_are_laid_out_in_rows():
    X = np.random.RandomState(0).normal(size=(5, 7))
    display = ReconstructionDisplay.from_reconstruction(X, X, n_cols=3)
    assert len(display.axes_) == len(display.figure_.axes) == 7
    assert display.axes_[0].get_gridspec().get_geometry() == (3, 3)


def test_draws_on_the_axes_passed(sae, X):
    figure, axes = plt.subplots(2, 2)
    display = ReconstructionDisplay.from_estimator(sae, X, ax=axes)
    assert list(display.axes_) == list(axes.ravel()[:3])
    assert display.figure_ is figure
    display = ReconstructionDisplay.from_estimator(sae, X, columns="energy", ax=axes[1, 1])
    assert list(display.axes_) == [axes[1, 1]]


def test_keywords_reach_the_artists(sae, X):
    display = ReconstructionDisplay.from_estimator(
        sae,
        X,
        columns=["energy", "phase"],
        scatter_kwargs={"s": 3},
        line_kwargs={"ls": ":"},
        bar_kwargs={"fc": "red"},
    )
    assert display.artists_[0].get_sizes() == [3]
    assert display.lines_[0].get_linestyle() == ":"
    assert display.artists_[1][0].get_facecolor() == (1, 0, 0, 1)


# -- errors


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"columns": ["gap"]}, ValueError, "'columns' parameter names the column 'gap'"),
        ({"columns": []}, ValueError, r"'columns' parameter must .* got \[\]"),
        ({"columns": 3}, ValueError, "'columns' parameter names the column 3"),
        ({"units": "eV"}, TypeError, "'units' parameter must map .* got 'eV'"),
        ({"categorical_features": ["x"]}, ValueError, "'categorical_features' parameter names"),
        ({"n_cols": 0}, ValueError, "'n_cols' parameter .* got 0"),
    ],
)
def test_errors_say_what_is_wrong(sae, X, parameters, error, message):
    with pytest.raises(error, match=message):
        ReconstructionDisplay.from_estimator(sae, X, **parameters)


def test_errors_of_tables(sae, X):
    with pytest.raises(ValueError, match="same samples, got 40 and 39 rows"):
        ReconstructionDisplay.from_reconstruction(X, X[1:])
    with pytest.raises(ValueError, match="same columns, got 2 and 1"):
        ReconstructionDisplay.from_reconstruction(np.ones((2, 2)), np.ones((2, 1)))
    with pytest.raises(ValueError, match="columns in common"):
        ReconstructionDisplay.from_reconstruction(X[["radius"]], X[["energy"]])
    with pytest.raises(ValueError, match="'energy', which is not reconstructed"):
        ReconstructionDisplay.from_reconstruction(X, X[["radius"]], columns="energy")
    with pytest.raises(ValueError, match=r"'columns' parameter must .* more than 24; X has 25"):
        ReconstructionDisplay.from_reconstruction(np.ones((2, 25)), np.ones((2, 25)))
    with pytest.raises(ValueError, match=r"'ax' parameter must .* each of the 3 panels, got 1"):
        ReconstructionDisplay.from_estimator(sae, X, ax=plt.figure().add_subplot())
    with pytest.raises(TypeError, match="must have transform and inverse_transform; Linear"):
        ReconstructionDisplay.from_estimator(LinearRegression(), X)


# -- the display that scikit-learn has already


@pytest.mark.parametrize("kind", ["actual_vs_predicted", "residual_vs_predicted"])
def test_scikit_learn_s_prediction_error_display_works(sae, X, kind):
    y = X["energy"].to_numpy()
    display = PredictionErrorDisplay.from_estimator(sae, X, y, kind=kind, subsample=None)
    prediction = sae.predict(X)
    vertical = y if kind == "actual_vs_predicted" else y - prediction
    assert_allclose(display.scatter_.get_offsets(), np.column_stack([prediction, vertical]))


def test_categories_of_integers_inside_a_search():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=40), rng.integers(0, 3, 40)])
    sae = SupervisedAutoencoder(2, max_iter=2, categorical_features=[-1], random_state=0)
    search = GridSearchCV(sae, {"n_components": [2]}, cv=2).fit(X)
    for estimator in (search, search.best_estimator_, make_pipeline(search.best_estimator_)):
        display = ReconstructionDisplay.from_estimator(estimator, X)
        assert list(display.metrics_["accuracy"].notna()) == [False, True]
    assert len(HistoryDisplay.from_estimator(search).history) == 2


# -- chains of stages


def numbers(n_samples=40):
    values = np.random.RandomState(0).normal(size=(n_samples, 5))
    return pd.DataFrame(values, columns=list("abcde"))


def two_stages(first, last):
    return NestedAutoencoder(
        [
            ("first", SupervisedAutoencoder(**TINY), first),
            ("last", SupervisedAutoencoder(**TINY), last),
        ]
    )


def test_a_chain_leaves_columns_of_no_stage_out():
    X = numbers()
    chain = two_stages(["d", "a"], ["e"]).fit(X)
    display = ReconstructionDisplay.from_estimator(chain, X)
    assert [title(display, k)[0] for k in range(3)] == ["a", "d", "e"]
    assert_allclose(
        display.artists_[1].get_offsets()[:, 1], chain.inverse_transform(chain.transform(X))["d"]
    )
    display = ReconstructionDisplay.from_estimator(chain, X, stage="first")
    first = chain["first"]
    back = first.inverse_transform(first.transform(X[["d", "a"]]))
    assert display.metrics_.index.to_list() == ["a", "d"]
    for artist, name in zip(display.artists_, "ad", strict=True):
        assert_allclose(artist.get_offsets(), np.c_[X[name], back[name]])
    with pytest.raises(ValueError, match="column 'e', which is not reconstructed"):
        ReconstructionDisplay.from_estimator(chain, X, stage=0, columns=["e"])


def test_columns_of_no_stage_in_arrays():
    X = numbers().to_numpy()
    chain = two_stages([3, 0], [4]).fit(X)
    for stage, columns in [(None, [0, 3, 4]), ("last", [0, 3, 4]), ("first", [0, 3])]:
        display = ReconstructionDisplay.from_estimator(chain, X, stage=stage)
        assert display.metrics_.index.to_list() == columns
        assert title(display, 1).startswith("Column 3\n")
    display = ReconstructionDisplay.from_estimator(chain, X, stage="first", columns=3)
    first = chain["first"]
    back = first.inverse_transform(first.transform(X[:, [3, 0]]))
    assert_allclose(display.artists_[0].get_offsets(), np.c_[X[:, 3], back[:, 0]])


@pytest.mark.parametrize("output", ["default", "pandas"])
@pytest.mark.parametrize("as_frame", [True, False])
def test_a_stage_behind_other_steps(output, as_frame):
    X = numbers() * 50 + 7
    X = X if as_frame else X.to_numpy()
    scaler = make_pipeline(MinMaxScaler(), StandardScaler()).set_output(transform=output)
    pipeline = make_pipeline(scaler, two_stages([3, 0], [1, 2, 4])).fit(X)
    display = ReconstructionDisplay.from_estimator(pipeline, X)
    assert len(display.axes_) == 5
    display = ReconstructionDisplay.from_estimator(pipeline, X, stage=0)
    assert display.metrics_.index.to_list() == (["a", "d"] if as_frame else [0, 3])
    part = pipeline[-1][:1]
    scaled = np.asarray(part.inverse_transform(part.transform(scaler.transform(X))))
    full = np.column_stack([scaled[:, 0], np.zeros((40, 2)), scaled[:, 1], np.zeros(40)])
    expected = scaler.inverse_transform(full)[:, [0, 3]]
    for artist, column in zip(display.artists_, expected.T, strict=True):
        assert_allclose(artist.get_offsets()[:, 1], column)


def test_a_chain_of_a_search():
    X = numbers()
    search = GridSearchCV(two_stages(["a"], ["b"]), {"max_iter": [2]}, cv=2).fit(X)
    display = ReconstructionDisplay.from_estimator(search, X, stage="first")
    assert display.metrics_.index.to_list() == ["a"]


@pytest.fixture(scope="module")
def tables():
    X = numbers().assign(phase=pd.Categorical(np.resize(["cubic", "hexagonal"], 40)))
    return [X[["a", "b"]], X.loc[:14, ["b", "c", "a", "phase"]]]


@pytest.mark.parametrize("stacked", [True, False])
def test_a_chain_of_scales(tables, stacked):
    X, _ = stack_scales(tables)
    chain = NestedAutoencoder(estimator=SupervisedAutoencoder(**TINY))
    chain.fit(X if stacked else tables)
    display = ReconstructionDisplay.from_estimator(chain, X, units={("scale1", "c"): "eV"})
    assert title(display, 2).startswith("scale1: c\n")
    assert display.axes_[2].get_xlabel() == "True (eV)"
    assert display.metrics_["n_samples"].to_list() == [55, 55, 15, 15]
    display = ReconstructionDisplay.from_estimator(chain, X, stage="scale0")
    assert display.metrics_.index.to_list() == [("scale0", "a"), ("scale0", "b")]


def test_the_plain_table_of_a_scale(tables):
    chain = NestedAutoencoder(estimator=SupervisedAutoencoder(**TINY)).fit(tables)
    display = ReconstructionDisplay.from_estimator(chain, tables[1], units={"c": "eV"})
    assert display.metrics_.index.to_list() == ["b", "c", "a", "phase"]
    back = chain.inverse_transform(chain.transform(tables[1]))
    expected = np.c_[tables[1]["b"], back["scale0", "b"]]
    assert_allclose(display.artists_[0].get_offsets(), expected)
    assert display.axes_[1].get_xlabel() == "True (eV)"
    assert display.metrics_["accuracy"].notna().to_list() == [False, False, False, True]
    for X in tables:  # the columns of later stages may be missing
        display = ReconstructionDisplay.from_estimator(chain, X, stage=0)
        assert sorted(display.metrics_.index) == ["a", "b"]


def test_a_feature_of_two_scales_is_matched_by_none():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0]})
    labels = [("scale0", "a"), ("scale1", "a"), ("scale1", "b")]
    back = pd.DataFrame(np.ones((2, 3)), columns=pd.MultiIndex.from_tuples(labels))
    display = ReconstructionDisplay.from_reconstruction(X, back)
    assert display.metrics_.index.to_list() == ["b"]


def test_a_stage_that_is_not_there(X, sae):
    chain = two_stages(["radius"], ["energy"]).fit(X.dropna())
    with pytest.raises(
        ValueError, match=r"'stage' .* 'middle'; the stages are \['first', 'last'\]"
    ):
        ReconstructionDisplay.from_estimator(chain, X, stage="middle")
    with pytest.raises(ValueError, match=r"'stage' .* a SupervisedAutoencoder has no stages"):
        ReconstructionDisplay.from_estimator(sae, X, stage=0)


# -- arrays: one panel each


@pytest.fixture(scope="module")
def wide():
    return make_table()


def test_a_block_of_an_array_has_one_panel(wide):
    X, blocks = wide
    fitted = Compressor(3, blocks).fit(X)
    display = ReconstructionDisplay.from_estimator(fitted, X, units={"spectrum": "a.u."})
    labels = [("table", "centre"), ("table", "height"), "spectrum", "image"]
    assert display.metrics_.index.to_list() == labels
    assert title(display, 2).startswith("spectrum\nMAE ")
    assert " a.u." in title(display, 2)
    assert [block.block.n_drawn for block in fitted.blocks_.values()] == [1, 1]
    back = fitted.inverse_transform(fitted.transform(X))
    true, decoded = X["image"].to_numpy(), back["image"].to_numpy()
    expected = {
        "n_samples": 40,
        "mae": np.abs(true - decoded).mean(),
        "r2": r2_score(true, decoded, multioutput="variance_weighted"),
    }
    assert display.metrics_.loc["image"].dropna().to_dict() == pytest.approx(expected)
    error = np.sqrt(((true - decoded) ** 2).mean(axis=1))
    assert [len(rows) for rows in display.rows_] == [0, 0, 4, 4]
    assert_array_equal(np.argsort(np.argsort(error))[display.rows_[3]], [5, 15, 25, 35])
    assert_array_equal(fitted.blocks_["image"].block.given, true[display.rows_[3]])
    assert_allclose(display.artists_[0].get_offsets()[:, 0], X["table", "centre"])


def test_columns_of_an_array_are_drawn_when_asked_for(wide):
    X, blocks = wide
    fitted = Compressor(3, blocks).fit(X)
    display = ReconstructionDisplay.from_estimator(fitted, X, columns=["image", 3])
    assert display.metrics_.index.to_list() == ["image", X.columns[3]]
    assert display.axes_[1].get_xlabel() == "True"


@pytest.mark.parametrize("flat", [False, True])
def test_a_table_of_many_dimensions_is_one_array(flat):
    images = make_images()
    fitted = Compressor(3).fit(images)
    back = fitted.inverse_transform(fitted.transform(images))
    if flat:
        display = ReconstructionDisplay.from_reconstruction(
            images.reshape(40, 30), back.reshape(40, 30), arrays={"X": (slice(None), (5, 6))}
        )
    else:
        display = ReconstructionDisplay.from_estimator(fitted, images)
    assert display.metrics_.index.to_list() == ["X"]
    assert display.metrics_.loc["X", "mae"] == pytest.approx(np.abs(images - back).mean())
    drawn = [artist.get_array() for artist in display.artists_[0]]
    rows = display.rows_[0]
    assert_array_equal(drawn[:4], images[rows])
    assert_allclose(drawn[4:], back[rows])
    assert [text.get_text() for text in display.axes_[0].get_xticklabels()] == [
        "Q1",
        "Q2",
        "Q3",
        "Q4",
    ]


def test_cells_that_hold_arrays():
    spectra, numbers = make_spectra()
    X = pd.DataFrame({"centre": numbers[:, 0], "spectrum": list(spectra)})
    X.loc[3, "spectrum"] = None
    back = pd.DataFrame({"centre": numbers[:, 0], "spectrum": list(spectra + 0.5)})
    display = ReconstructionDisplay.from_reconstruction(X, back)
    assert display.metrics_["n_samples"].to_dict() == {"centre": 40, "spectrum": 39}
    assert display.metrics_.loc["spectrum", "mae"] == pytest.approx(0.5)
    assert len(display.artists_[1]) == 8


def test_an_array_that_was_never_measured():
    X = np.full((5, 2, 3), np.nan)
    display = ReconstructionDisplay.from_reconstruction(X, np.ones((5, 2, 3)))
    assert title(display) == "X\nnot measured"
    assert display.metrics_.loc["X", "n_samples"] == 0


def test_rows_of_other_shapes():
    with pytest.raises(ValueError, match=r"same shape, got \(2, 3\) and \(3, 2\)"):
        ReconstructionDisplay.from_reconstruction(np.ones((5, 2, 3)), np.ones((5, 3, 2)))


def test_an_image_that_was_turned_is_turned_back():
    images = make_images()[:, :, :5]
    images[3, 1, 2] = np.nan
    block = ImageBlock(n_channels=(2,), invariance="symmetries")
    sae = SupervisedAutoencoder(blocks=block, **TINY).fit(images)
    display = ReconstructionDisplay.from_estimator(sae, images)
    back = sae.inverse_transform(sae.transform(images))
    copies = [np.rot90(image, k, (1, 2)) for image in (back, back[:, ::-1]) for k in range(4)]
    squares = np.nanmean((np.stack(copies) - images) ** 2, axis=(2, 3))
    nearest = np.stack(copies)[squares.argmin(axis=0), np.arange(40)]
    assert (squares.argmin(axis=0) != 0).any()
    assert display.metrics_["mae"].iloc[0] == pytest.approx(np.nanmean(np.abs(nearest - images)))
    rows = display.rows_[0]
    drawn = [artist.get_array() for artist in display.artists_[0]]
    assert_allclose(drawn[4:], nearest[rows], rtol=1e-6)
