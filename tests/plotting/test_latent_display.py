"""Tests of LatentDisplay: what the artists hold, not how they look."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import NestedAutoencoder, SupervisedAutoencoder
from sknestedae.plotting import LatentDisplay
from sknestedae.plotting._latent import _find_color

TINY = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


@pytest.fixture(scope="module")
def X():
    rng = np.random.RandomState(0)
    numbers = pd.DataFrame(rng.normal(size=(40, 3)), columns=["a", "b", "c"])
    return numbers.assign(phase=pd.Categorical(np.resize(["cubic", "hexagonal"], 40)))


@pytest.fixture(scope="module")
def sae(X):
    return SupervisedAutoencoder(n_components=3, **TINY).fit(X)


def points(display):
    """All points that are drawn, in the order of the artists."""
    return np.concatenate([scatter.get_offsets() for scatter in display.scatters_])


def legend_texts(display):
    return [text.get_text() for text in display.legend_.get_texts()]


# -- what is drawn


def test_points_are_the_latents(sae, X):
    display = LatentDisplay.from_estimator(sae, X)
    assert isinstance(display, LatentDisplay)
    assert_allclose(points(display), sae.transform(X)[:, :2])
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Latent 0", "Latent 1")
    assert display.colorbar_ is None
    assert display.legend_ is None
    assert display.figure_ is display.ax_.figure


def test_components_are_chosen_by_number(sae, X):
    display = LatentDisplay.from_estimator(sae, X, components=(-1, 0))
    assert_allclose(points(display), sae.transform(X)[:, [2, 0]])
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Latent 2", "Latent 0")


def test_principal_components_say_their_variance(sae, X):
    display = LatentDisplay.from_estimator(sae, X, components="pca")
    pca = PCA(n_components=2, svd_solver="full")
    assert_allclose(points(display), pca.fit_transform(sae.transform(X)))
    share = 100 * pca.explained_variance_ratio_
    assert display.ax_.get_xlabel() == f"Principal component 1 ({share[0]:.1f} % of variance)"
    assert display.ax_.get_ylabel() == f"Principal component 2 ({share[1]:.1f} % of variance)"


def test_equal_latents_have_no_principal_variance():
    display = LatentDisplay.from_latents(np.ones((5, 3)), components="pca")
    assert display.ax_.get_xlabel() == "Principal component 1 (0.0 % of variance)"


@pytest.mark.parametrize("set_output", ["default", "pandas"])
def test_works_on_a_pipeline(X, set_output):
    pipeline = make_pipeline(StandardScaler(), SupervisedAutoencoder(n_components=2, **TINY))
    pipeline.set_output(transform=set_output).fit(X[["a", "b", "c"]])
    display = LatentDisplay.from_estimator(pipeline, X[["a", "b", "c"]], color="a")
    assert_allclose(points(display), np.asarray(pipeline.transform(X[["a", "b", "c"]])))
    assert display.colorbar_.ax.get_ylabel() == "a"


def test_a_single_latent_is_a_strip():
    Z = np.random.RandomState(0).normal(size=(30, 1))
    display = LatentDisplay.from_latents(Z)
    drawn = points(display)
    assert_allclose(drawn[:, 0], Z[:, 0])
    assert drawn[:, 1].min() >= 0
    assert drawn[:, 1].max() < 1
    assert len(np.unique(drawn[:, 1])) == len(Z)
    assert display.ax_.get_xlabel() == "Latent 0"
    assert list(display.ax_.get_yticks()) == []


def test_a_single_latent_has_a_strip_for_each_category():
    Z = np.random.RandomState(0).normal(size=(30, 2))
    color = np.resize(["a", "b", None], 30).astype(object)
    display = LatentDisplay.from_latents(Z, components=1, color=color)
    strips = {s.get_label(): s.get_offsets()[:, 1] for s in display.scatters_}
    assert strips["a"].min() > strips["b"].max()
    assert strips["b"].min() > strips["not measured"].max()


# -- colours


def test_numbers_have_a_colour_bar_with_name_and_unit(sae, X):
    gap = pd.Series(np.linspace(0, 5, 40), name="gap")
    display = LatentDisplay.from_estimator(sae, X, color=gap, color_unit="eV")
    assert_array_equal(display.scatters_[0].get_array(), gap)
    assert display.colorbar_.ax.get_ylabel() == "gap (eV)"
    assert display.legend_ is None
    display = LatentDisplay.from_estimator(sae, X, color=gap, color_label="Band gap")
    assert display.colorbar_.ax.get_ylabel() == "Band gap"


def test_color_names_a_column(sae, X):
    display = LatentDisplay.from_estimator(sae, X, color="b")
    assert_array_equal(display.scatters_[0].get_array(), X["b"])
    assert display.colorbar_.ax.get_ylabel() == "b"


def test_color_indexes_a_column_of_an_array():
    X = np.random.RandomState(0).normal(size=(20, 3))
    sae = SupervisedAutoencoder(n_components=2, **TINY).fit(X)
    display = LatentDisplay.from_estimator(sae, X, color=1)
    assert_array_equal(display.scatters_[0].get_array(), X[:, 1])
    assert display.colorbar_.ax.get_ylabel() == "Column 1"


def test_color_names_a_column_of_two_levels(sae, X):
    table = X.set_axis(pd.MultiIndex.from_product([["crystal"], X.columns]), axis=1)
    sae = SupervisedAutoencoder(n_components=2, **TINY).fit(table)
    display = LatentDisplay.from_estimator(sae, table, color=("crystal", "a"))
    assert_array_equal(display.scatters_[0].get_array(), X["a"])
    assert display.colorbar_.ax.get_ylabel() == "crystal: a"


def test_categories_have_a_legend_and_colours_of_their_own(sae, X):
    display = LatentDisplay.from_estimator(sae, X, color="phase")
    assert legend_texts(display) == ["cubic", "hexagonal"]
    assert display.legend_.get_title().get_text() == "phase"
    assert display.colorbar_ is None
    Z = sae.transform(X)
    for scatter, name in zip(display.scatters_, ["cubic", "hexagonal"], strict=True):
        assert scatter.get_label() == name
        assert_allclose(scatter.get_offsets(), Z[X["phase"] == name, :2])
    first, second = (scatter.get_facecolor()[0, :3] for scatter in display.scatters_)
    assert np.abs(first - second).max() > 0.3


def test_rare_categories_lie_on_top():
    """Else a frequent one hides them."""
    color = np.repeat(["a", "b", "c"], [15, 1, 4])
    display = LatentDisplay.from_latents(np.zeros((20, 2)), color=color)
    heights = {s.get_label(): s.get_zorder() for s in display.scatters_}
    assert heights["b"] > heights["c"] > heights["a"]


@pytest.mark.parametrize(
    "color",
    [
        np.resize([True, False], 40),
        pd.Categorical(np.resize(["x", "y"], 40)),
        pd.Series(np.resize([1, 2], 40), dtype="category"),
        pd.DataFrame({"label": np.resize(["x", "y"], 40)}),
        list(np.resize(["x", "y"], 40)),
    ],
    ids=["bool", "Categorical", "category", "DataFrame", "list"],
)
def test_kinds_of_categories(sae, X, color):
    display = LatentDisplay.from_estimator(sae, X, color=color)
    assert len(legend_texts(display)) == 2


def test_a_category_without_samples_is_not_in_the_legend(sae, X):
    color = pd.Categorical(["x"] * 40, categories=["w", "x"])
    assert legend_texts(LatentDisplay.from_estimator(sae, X, color=color)) == ["x"]


def test_rare_categories_are_taken_together():
    color = np.repeat(list("abcdefg"), [1, 2, 9, 3, 8, 7, 1])
    Z = np.random.RandomState(0).normal(size=(len(color), 2))
    display = LatentDisplay.from_latents(Z, color=color, max_categories=4)
    assert legend_texts(display) == ["c", "e", "f", "4 others"]
    others = next(s for s in display.scatters_ if s.get_label() == "4 others")
    assert_allclose(others.get_offsets(), Z[np.isin(color, list("abdg"))])


def test_many_categories_differ_in_colour_or_marker():
    color = [f"{k:02d}" for k in range(40)]
    Z = np.random.RandomState(0).normal(size=(40, 2))
    display = LatentDisplay.from_latents(Z, color=color, max_categories=40)
    looks = {
        (
            tuple(s.get_edgecolor()[0]),
            len(s.get_facecolor()),  # none of a hollow one
            s.get_paths()[0].vertices.tobytes(),
        )
        for s in display.scatters_
    }
    assert len(looks) == 40


def test_classes_of_one_colour_differ_in_marker_and_in_being_filled():
    color = [f"{k:02d}" for k in range(14)]
    Z = np.random.RandomState(0).normal(size=(14, 2))
    display = LatentDisplay.from_latents(Z, color=color, max_categories=14)
    for first, second in zip(display.scatters_[:7], display.scatters_[7:], strict=True):
        assert_array_equal(first.get_edgecolor(), second.get_edgecolor())
        assert (len(first.get_facecolor()), len(second.get_facecolor())) == (1, 0)
        vertices = (s.get_paths()[0].vertices for s in (first, second))
        assert not np.array_equal(*vertices)


@pytest.mark.parametrize("name", ["c", "color"])
def test_one_colour_of_the_user_fills_all_classes(name):
    color = [f"{k:02d}" for k in range(9)]
    display = LatentDisplay.from_latents(np.zeros((9, 2)), color=color, scatter_kwargs={name: "r"})
    for scatter in display.scatters_:
        assert_allclose(scatter.get_facecolor()[0, :3], [1, 0, 0])
        assert_allclose(scatter.get_edgecolor()[0, :3], [1, 0, 0])


def test_axes_of_a_user_keep_their_frame():
    _, ax = plt.subplots()
    LatentDisplay.from_latents(np.eye(3), ax=ax)
    assert all(spine.get_visible() for spine in ax.spines.values())
    made = LatentDisplay.from_latents(np.eye(3)).ax_
    assert not made.spines["top"].get_visible()


def test_interactive_figure_has_the_points_and_looks_of_the_plain_one():
    pytest.importorskip("plotly")
    color = np.array([f"{k:02d}" for k in np.arange(30) % 9], dtype=object)
    color[3] = None
    Z = np.random.RandomState(0).normal(size=(30, 2))
    display = LatentDisplay.from_latents(Z, color=color)
    traces = display.to_plotly().data
    # samples that were not measured are the last trace, and the first artist that is drawn
    handles = [text.get_text() for text in display.legend_.get_texts()]
    assert [trace.name for trace in traces] == handles
    plain = {scatter.get_label(): scatter for scatter in display.scatters_}
    for trace in traces:
        scatter = plain[trace.name]
        assert_allclose(np.column_stack([trace.x, trace.y]), scatter.get_offsets())
        is_hollow = len(scatter.get_facecolor()) == 0
        assert trace.marker.symbol.endswith("-open") == is_hollow
        if trace.name != "not measured":
            assert_allclose(to_rgba(trace.marker.color)[:3], scatter.get_edgecolor()[0, :3])


def test_interactive_figure_shows_rows_under_the_pointer():
    pytest.importorskip("plotly")
    Z, numbers = np.arange(6.0).reshape(3, 2), [0.5, np.nan, 2.5]
    display = LatentDisplay(Z, color=numbers, color_label="gap", color_unit="eV")
    # labels that figures use themselves, and one twice
    table = pd.DataFrame([[1, 2, "p"], [3, 4, "q"], [5, 6, "r"]], columns=["x", "x", ("a", "b")])
    figure = display.to_plotly(table)
    measured, missing = figure.data
    assert measured.customdata.tolist() == [[0, 1, 2, "p"], [2, 5, 6, "r"]]
    assert missing.customdata.tolist() == [[1, 3, 4, "q"]]
    for name in ("x (column 0)=%{customdata[1]}", "x (column 1)=%{customdata[2]}"):
        assert name in measured.hovertemplate
    assert "a: b=%{customdata[3]}" in measured.hovertemplate
    assert figure.layout.coloraxis.colorbar.title.text == "gap (eV)"
    assert_array_equal(measured.marker.color, [0.5, 2.5])
    with pytest.raises(ValueError, match="'hover' parameter must have a row for each of the 3 sa"):
        display.to_plotly(table[:2])


def test_interactive_figure_names_the_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.express", None)
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(ImportError, match=r"to_plotly needs the package 'plotly'.*interactive"):
        LatentDisplay(np.eye(2)).to_plotly()


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA], ids=["NaN", "None", "NA"])
@pytest.mark.parametrize("kind", ["numbers", "categories"])
def test_missing_colours_are_grey_and_named(sae, X, kind, missing):
    color = pd.Series(np.arange(40.0) if kind == "numbers" else ["x"] * 40, dtype=object)
    color[::4] = missing
    display = LatentDisplay.from_estimator(sae, X, color=color)
    grey = display.scatters_[0]
    assert grey.get_label() == "not measured"
    assert_allclose(grey.get_offsets(), sae.transform(X)[::4, :2])
    assert_allclose(grey.get_facecolor()[0, :3], to_rgba("0.8")[:3])
    assert legend_texts(display)[-1] == "not measured"
    assert len(points(display)) == 40
    if kind == "numbers":
        assert display.legend_.get_title().get_text() == ""
        assert_array_equal(display.scatters_[1].get_array(), color[color.notna()].astype(float))


def test_all_colours_missing(sae, X):
    display = LatentDisplay.from_estimator(sae, X, color=np.full(40, np.nan))
    assert legend_texts(display) == ["not measured"]
    assert display.colorbar_ is None


# -- keywords and axes


def test_keywords_reach_the_artists(sae, X):
    display = LatentDisplay.from_estimator(
        sae,
        X,
        color="phase",
        scatter_kwargs={"s": 5, "lw": 1, "zorder": 3},
        legend_kwargs={"loc": "lower left", "title": "Phase"},
    )
    assert all(scatter.get_sizes() == [5] for scatter in display.scatters_)
    assert all(scatter.get_linewidth() == [1] for scatter in display.scatters_)
    assert display.legend_.get_title().get_text() == "Phase"
    assert display.legend_.get_bbox_to_anchor().bounds == display.ax_.bbox.bounds  # inside
    display = LatentDisplay.from_estimator(sae, X, scatter_kwargs={"c": "red"})
    assert_allclose(display.scatters_[0].get_facecolor()[0, :3], [1, 0, 0])
    display = LatentDisplay.from_estimator(
        sae,
        X,
        color=X["a"].mask(X["b"] > 0),
        scatter_kwargs={"cmap": "magma", "vmin": -1, "vmax": 1},
    )
    assert display.colorbar_.cmap.name == "magma"
    assert (display.colorbar_.vmin, display.colorbar_.vmax) == (-1, 1)


def test_draws_on_the_axes_passed(sae, X):
    figure, ax = plt.subplots()
    display = LatentDisplay.from_estimator(sae, X, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert display.plot().ax_ is not ax


# -- errors


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"components": (0, 3)}, "'components' parameter names the latent 3, but there are 3"),
        ({"components": (0, 1, 2)}, r"'components' parameter must be .* got \(0, 1, 2\)"),
        ({"components": "umap"}, "'components' parameter must be .* got 'umap'"),
        ({"components": (0.5, 1)}, "'components' parameter must be"),
        ({"components": ()}, "'components' parameter must be"),
        ({"color": "d"}, "'color' parameter names the column 'd'; X has columns .*'phase'"),
        ({"color": [1, 2]}, r"'color' parameter must have a value for each of the 40 .* \(2,\)"),
        ({"color": np.ones((40, 2))}, "'color' parameter must have a value for each"),
        ({"color": np.append(np.inf, np.ones(39))}, "'color' parameter .* is inf in row 0"),
        ({"color": "phase", "max_categories": 1}, "'max_categories' parameter .* got 1"),
    ],
)
def test_errors_say_what_is_wrong(sae, X, parameters, message):
    with pytest.raises(ValueError, match=message):
        LatentDisplay.from_estimator(sae, X, **parameters)


def test_errors_of_estimators(sae, X):
    with pytest.raises(TypeError, match="must have transform; LinearRegression does not"):
        LatentDisplay.from_estimator(LinearRegression(), X)
    with pytest.raises(NotFittedError):
        LatentDisplay.from_estimator(SupervisedAutoencoder(), X)


def test_a_list_of_tables_is_refused(X):
    class ManyScales:
        def transform(self, X):
            return [np.ones((3, 2)), np.ones((4, 2))]

    with pytest.raises(TypeError, match=r"must be one table, got 2 tables.*from_latents"):
        LatentDisplay.from_estimator(ManyScales(), [X, X])


# -- stages of a chain


@pytest.fixture(scope="module")
def stages():
    return [
        ("first", SupervisedAutoencoder(n_components=3, **TINY), ["c", "a"]),
        ("last", SupervisedAutoencoder(n_components=2, **TINY), ["b"]),
    ]


@pytest.mark.parametrize("latents", ["last", "all"])
def test_latents_of_a_stage(X, stages, latents):
    chain = NestedAutoencoder(stages, latents=latents).fit(X, X["b"])
    first = chain["first"].transform(X[["c", "a"]])
    last = chain.transform(X)[:, -2:]
    for stage, Z in [("first", first), (-2, first), ("last", last), (1, last)]:
        display = LatentDisplay.from_estimator(chain, X, stage=stage, color="phase")
        assert_allclose(display.coordinates, Z[:, :2])
    assert chain.latents == latents
    assert_allclose(points(LatentDisplay.from_estimator(chain, X)), chain.transform(X)[:, :2])


def test_latents_of_a_stage_behind_other_steps(X, stages):
    numbers = X[["a", "b", "c"]]
    scaler = StandardScaler().set_output(transform="pandas")
    pipeline = make_pipeline(scaler, NestedAutoencoder(stages))
    search = GridSearchCV(pipeline, {"nestedautoencoder__max_iter": [2]}, cv=2)
    for estimator in (pipeline.fit(numbers), search.fit(numbers)):
        fitted = getattr(estimator, "best_estimator_", estimator)
        Z = fitted[-1]["first"].transform(fitted[0].transform(numbers)[["c", "a"]])
        display = LatentDisplay.from_estimator(estimator, numbers, stage="first")
        assert_allclose(display.coordinates, Z[:, :2])


def test_a_stage_that_is_not_there(X, sae, stages):
    chain = NestedAutoencoder(stages).fit(X)
    with pytest.raises(
        ValueError, match=r"'stage' .* 'middle'; the stages are \['first', 'last'\]"
    ):
        LatentDisplay.from_estimator(chain, X, stage="middle")
    with pytest.raises(ValueError, match=r"'stage' .* a SupervisedAutoencoder has no stages"):
        LatentDisplay.from_estimator(sae, X, stage=0)
    with pytest.raises(TypeError, match="must be one table, got 2 tables"):
        LatentDisplay.from_estimator(chain, [X, X], stage=0)


def test_a_colour_is_one_column():
    labels = pd.MultiIndex.from_tuples([("crystal", "a"), ("device", "a"), ("device", "b")])
    X = pd.DataFrame(np.arange(6.0).reshape(2, 3), columns=labels)
    assert _find_color(X, "b").to_list() == [2, 5]
    assert _find_color(X, ("crystal", "a")).to_list() == [0, 3]
    with pytest.raises(ValueError, match="one column of X, but 'device' is the name of 2"):
        _find_color(X, "device")
