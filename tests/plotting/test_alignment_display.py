"""Tests of AlignmentDisplay: the latents of each kind, the lines of one row, and the colours."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from cases.kinds import KINDS, make_dual, make_kinds
from matplotlib.colors import to_rgba
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA

from sknestedae.plotting import AlignmentDisplay
from sknestedae.plotting._alignment import distance_ratio
from sknestedae.plotting._base import MARKERS, MISSING_COLOR, OTHER_COLOR, PALETTE


@pytest.fixture(scope="module")
def data():
    return make_kinds()


@pytest.fixture(scope="module")
def dual(data):
    return make_dual().fit(data[0])


@pytest.fixture
def latents():
    rng = np.random.RandomState(0)
    Z = rng.normal(size=(12, 2))
    first, second = Z.copy(), Z + rng.normal(scale=0.1, size=Z.shape)
    first[:2], second[10:] = np.nan, np.nan
    return {"a": first, "b": second}


def points(collections):
    return np.concatenate([np.asarray(own.get_offsets()) for own in collections])


# -- latents


def test_latents_of_each_kind_in_the_same_components(dual, data):
    X, present = data
    display = AlignmentDisplay.from_estimator(
        dual, X, kinds=["image", "spectrum"], components=(2, 0)
    )
    both = present["image"] & present["spectrum"]
    for name in ("image", "spectrum"):
        Z = dual.transform(X[present[name]], block=name)[:, [2, 0]]
        paired = both[present[name]]
        solid, hollow = display.scatters_[name]
        assert_allclose(solid.get_offsets(), Z[paired], rtol=1e-6)
        assert_allclose(hollow.get_offsets(), Z[~paired], rtol=1e-6)
        assert len(solid.get_facecolors()) > 0
        assert len(hollow.get_facecolors()) == 0
    limits = {(ax.get_xlim(), ax.get_ylim()) for ax in display.axes_}
    assert len(limits) == 1
    assert [ax.get_xlabel() for ax in display.axes_] == ["Latent 2"] * 3
    assert display.axes_[0].get_ylabel() == "Latent 0"
    n_own = [int(present[name].sum()) for name in ("image", "spectrum")]
    n_both = int(both.sum())
    titles = [ax.get_title() for ax in display.axes_]
    assert titles[0] == f"image\n{n_own[0]} rows, {n_own[0] - n_both} alone"
    assert titles[1] == f"spectrum\n{n_own[1]} rows, {n_own[1] - n_both} alone"
    assert titles[2].startswith(f"Pairs\n{n_both} rows, distance ratio ")


def test_principal_components_of_all_kinds_where_latents_are_many(dual, data):
    X, present = data
    display = AlignmentDisplay.from_estimator(dual, X)
    assert list(display.coordinates) == list(dual.blocks_)
    parts = [dual.transform(X[present[name]], block=name) for name in dual.blocks_]
    pca = PCA(2).fit(np.concatenate(parts))
    for name, own in zip(dual.blocks_, parts, strict=True):
        # in float32; a component may have another sign
        found = display.coordinates[name][present[name]]
        assert_allclose(np.abs(found), np.abs(pca.transform(own)), rtol=1e-3, atol=1e-5)
        assert np.isnan(display.coordinates[name][~present[name]]).all()
    share = f"{pca.explained_variance_ratio_[0]:.1%}".replace("%", " %")
    assert display.axes_[0].get_xlabel() == f"Principal component 1\n({share} of variance)"
    assert len(display.axes_) == 4
    assert display.axes_[-1].get_title().startswith("Rows of all kinds\n")


def test_two_latents_are_drawn_themselves(latents):
    display = AlignmentDisplay.from_latents(latents)
    assert display.xlabel == "Latent 0"
    assert display.ylabel == "Latent 1"
    assert_allclose(points(display.scatters_["a"]), latents["a"][2:][np.r_[:8, 8:10]])


def test_one_latent_lies_at_one_height_in_all_panels(latents):
    one = {name: Z[:, :1] for name, Z in latents.items()}
    display = AlignmentDisplay.from_latents(one)
    first, second = (display.scatters_[name][0].get_offsets() for name in "ab")
    assert_allclose(first[:, 1], second[:, 1])
    assert len(set(np.round(first[:, 1], 6))) == 8
    assert len(display.axes_[0].get_yticks()) == 0


# -- lines


def test_lines_join_the_latents_of_one_row(latents):
    display = AlignmentDisplay.from_latents(latents)
    assert display.n_pairs_ == 8
    middle = (latents["a"] + latents["b"])[2:10] / 2
    ends = np.array([line[1] for line in display.lines_.get_segments()])
    starts = np.array([line[0] for line in display.lines_.get_segments()])
    assert_allclose(starts, np.tile(middle, (2, 1)))
    assert_allclose(ends, np.concatenate([latents["a"][2:10], latents["b"][2:10]]))
    assert_allclose(points(display.scatters_["pairs"]), ends)
    assert display.lines_.axes is display.axes_[-1]


def test_of_three_kinds_rows_that_have_two_are_joined(latents):
    third = np.full((12, 2), np.nan)
    third[0] = 5.0
    display = AlignmentDisplay.from_latents({**latents, "c": third})
    assert display.n_pairs_ == 9
    assert len(display.lines_.get_segments()) == 2 * 9
    assert_allclose(points(display.scatters_["c"]), [[5.0, 5.0]])


def test_a_latent_that_is_missing_leaves_its_row_out(latents):
    latents["a"][5, 1] = np.nan
    display = AlignmentDisplay.from_latents(latents)
    assert display.n_pairs_ == 7
    assert np.isnan(display.coordinates["a"][5]).all()
    plain = AlignmentDisplay(latents).plot()
    assert plain.n_pairs_ == 7
    assert_allclose(plain.lines_.get_segments(), display.lines_.get_segments())
    third = np.where(np.arange(12)[:, None] == 6, [[np.nan, 3.0]], np.nan)
    third[0], latents["b"][0] = 5.0, np.nan  # a row of the third kind alone
    more = AlignmentDisplay({**latents, "c": third}).plot()
    assert_allclose(more.lines_.get_segments(), display.lines_.get_segments())


def test_rows_without_a_partner_draw_no_line():
    Z = np.arange(8.0).reshape(4, 2)
    first, second = Z.copy(), Z.copy()
    first[2:], second[:2] = np.nan, np.nan
    display = AlignmentDisplay.from_latents({"a": first, "b": second})
    assert display.n_pairs_ == 0
    assert display.scatters_["pairs"] == []
    assert display.axes_[-1].get_title() == "Pairs\n0 rows"


def test_the_distance_ratio():
    rng = np.random.RandomState(0)
    a, b = rng.normal(size=(2, 9, 3))
    b[3] = np.nan
    known = np.delete(np.arange(9), 3)
    same = [((a[i] - b[i]) ** 2).sum() for i in known]
    other = [((a[i] - b[j]) ** 2).sum() for i in known for j in known if i != j]
    expected = np.sqrt(np.mean(same) / np.mean(other))
    assert distance_ratio([a, b]) == pytest.approx(expected)
    assert distance_ratio([a + 100.0, b + 100.0]) == pytest.approx(expected)
    assert distance_ratio([a, a]) == 0
    assert np.isnan(distance_ratio([np.ones((4, 2)), np.ones((4, 2))]))
    assert np.isnan(distance_ratio([a[:1], b[:1]]))
    # independent latents: 1, with a standard error of about 1 / sqrt(n_rows * n_latents)
    a, b = rng.normal(size=(2, 400, 5))
    assert distance_ratio([a, b]) == pytest.approx(1, abs=4 / np.sqrt(2000))
    # of three kinds, pairs of kinds count alike where all rows have all
    c = rng.normal(size=(400, 5))
    squares = [distance_ratio(pair) ** 2 for pair in ([a, b], [a, c], [b, c])]
    assert distance_ratio([a, b, c]) ** 2 == pytest.approx(np.mean(squares), rel=0.05)


# -- colours


def test_labels_have_one_colour_in_all_panels(latents):
    y = pd.Series(["x", "y", "x", "z"] * 3, name="label")
    y[3] = None
    display = AlignmentDisplay.from_latents(latents, y)
    colors = dict(zip("xyz", PALETTE, strict=False))
    expected = np.array([to_rgba(colors.get(label, MISSING_COLOR)) for label in y])
    expected[:, 3] = 0.8
    assert_allclose(display.scatters_["a"][0].get_facecolors(), expected[2:10])
    assert_allclose(display.scatters_["b"][0].get_facecolors(), expected[2:10])
    assert_allclose(display.scatters_["b"][1].get_edgecolors(), expected[:2])
    said = [text.get_text() for text in display.legend_.get_texts()]
    assert said == ["x", "y", "z", "not measured", "a", "b", "one kind alone"]
    assert display.legend_.get_title().get_text() == "label"
    assert display.colorbar_ is None


def test_rare_labels_are_grey_together(latents):
    y = list("aaaabbbccdef")
    display = AlignmentDisplay.from_latents(latents, y, max_categories=3)
    said = [text.get_text() for text in display.legend_.get_texts()]
    assert said[:3] == ["a", "b", "4 others"]
    colors = display.scatters_["b"][0].get_facecolors()
    assert_allclose(colors[-1][:3], to_rgba(OTHER_COLOR)[:3])


def test_numbers_have_one_scale_in_all_panels(latents):
    y = np.arange(12.0)
    y[4] = np.nan
    display = AlignmentDisplay.from_latents(
        latents, y, color_label="gap", color_unit="eV", scatter_kwargs={"cmap": "magma"}
    )
    assert display.colorbar_.ax.get_ylabel() == "gap (eV)"
    magma = plt.get_cmap("magma")
    expected = magma(y / 11)
    expected[4] = to_rgba(MISSING_COLOR)
    expected[:, 3] = 0.8
    assert_allclose(display.scatters_["a"][0].get_facecolors(), expected[2:10])
    assert_allclose(display.scatters_["b"][1].get_edgecolors(), expected[:2])
    assert display.colorbar_.mappable.get_clim() == (0, 11)
    assert display.colorbar_.mappable.get_cmap().name == "magma"
    with pytest.raises(ValueError, match=r"'y' parameter must hold finite .* it is inf in row 3"):
        AlignmentDisplay.from_latents(latents, np.where(np.arange(12) == 3, np.inf, y))


def test_kinds_differ_in_markers_and_without_labels_in_colours(latents):
    display = AlignmentDisplay.from_latents(latents, scatter_kwargs={"s": 7})
    for k, name in enumerate("ab"):
        solid = display.scatters_[name][0]
        assert_allclose(solid.get_facecolors()[0][:3], to_rgba(PALETTE[k])[:3])
        assert_array_equal(solid.get_sizes(), [7])
    handles = display.legend_.legend_handles
    assert [handle.get_marker() for handle in handles[:2]] == list(MARKERS[:2])
    complete = {name: Z[2:10] for name, Z in latents.items()}
    said = AlignmentDisplay.from_latents(complete).legend_.get_texts()
    assert [text.get_text() for text in said] == ["a", "b"]


# -- axes, errors


def test_draws_on_the_axes_passed_with_keywords(latents):
    figure, axes = plt.subplots(1, 3)
    display = AlignmentDisplay.from_latents(
        latents, ax=axes, line_kwargs={"lw": 3}, legend_kwargs={"loc": "lower left"}
    )
    assert list(display.axes_) == list(axes)
    assert display.figure_ is figure
    assert display.lines_.get_linewidth() == [3]


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"kinds": ["image"]}, ValueError, r"two or more different .* got \['image'\]"),
        ({"kinds": ["image", "image"]}, ValueError, r"'kinds' .* got \['image', 'image'\]"),
        ({"kinds": "image"}, ValueError, "'kinds' .* got 'image'"),
        ({"kinds": ["image", "x"]}, ValueError, "'kinds' parameter must name kinds .* got 'x'"),
        ({"components": 3}, ValueError, "'components' .* latent 3, but there are 3"),
        ({"y": [1.0, 2.0]}, ValueError, r"'y' .* each of the 40 samples, got .* \(2,\)"),
        ({"y": "label"}, ValueError, "'y' parameter must be an array .* got 'label'"),
        ({"max_categories": 1, "y": ["a", "b"] * 20}, ValueError, "'max_categories' .* got 1"),
        ({"n_cols": 0}, ValueError, "'n_cols' .* got 0"),
    ],
)
def test_errors_say_what_is_wrong(dual, data, parameters, error, message):
    with pytest.raises(error, match=message):
        AlignmentDisplay.from_estimator(dual, data[0], **parameters)


def test_errors_of_latents(latents):
    with pytest.raises(ValueError, match=r"'Z' parameter must map .* two or more .* got ndarray"):
        AlignmentDisplay.from_latents(latents["a"])
    with pytest.raises(ValueError, match=r"'Z' parameter must map .* got \['a'\]"):
        AlignmentDisplay.from_latents({"a": latents["a"]})
    with pytest.raises(ValueError, match=r"arrays of one shape, got {'a': \(12, 2\), 'b': \(11"):
        AlignmentDisplay.from_latents({**latents, "b": latents["b"][1:]})
    with pytest.raises(ValueError, match=r"but that of 'b' has the shape \(12,\)"):
        AlignmentDisplay.from_latents({**latents, "b": latents["b"][:, 0]})
    with pytest.raises(ValueError, match="latents of 'a' contains infinity"):
        AlignmentDisplay.from_latents({**latents, "a": np.full((12, 2), np.inf)})
    with pytest.raises(ValueError, match=r"'coordinates' .* \(n_samples, 1\) or \(n_samples, 2\)"):
        AlignmentDisplay({name: np.ones((4, 3)) for name in KINDS}).plot()
