"""Lines, pictures and dots of a block's values in one axes."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from cases.arrays import ENERGY, ShapeOnly, make_images, make_spectra
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae.blocks import AtomsBlock, Layout
from sknestedae.blocks._drawing import (
    as_images,
    color_limits,
    draw_entries,
    draw_images,
    draw_spectrum,
    draw_structures,
    draw_values,
    shift_between,
)


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def texts(labels):
    return [label.get_text() for label in labels]


# -- lines


def test_one_spectrum_is_two_lines_in_its_own_unit(ax):
    spectra, _ = make_spectra(2)
    x = pd.Index(ENERGY, name="Energy (eV)")
    lines = draw_spectrum(ax, *spectra, x=x, label="Extinction", unit="a.u.")
    for line, spectrum in zip(lines, spectra, strict=True):
        assert_array_equal(line.get_xydata(), np.c_[ENERGY, spectrum])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Energy (eV)", "Extinction (a.u.)")
    assert texts(ax.get_legend().get_texts()) == ["given", "decoded"]
    assert ax.get_xlim() == (ENERGY[0], ENERGY[-1])


@pytest.mark.parametrize(("label", "unit", "said"), [("I", "", "I"), ("", "eV", "eV")])
def test_a_label_or_a_unit_alone(ax, label, unit, said):
    draw_spectrum(ax, np.arange(3.0), label=label, unit=unit)
    assert ax.get_ylabel() == said
    assert ax.get_xlabel() == "Channel"


def test_an_axis_that_falls_is_drawn_from_small_to_large(ax):
    draw_spectrum(ax, np.arange(3.0), x=[900.0, 500.0, 100.0])
    assert ax.get_xlim() == (100.0, 900.0)


def test_a_stack_is_shifted_by_what_it_says(ax):
    spectra, _ = make_spectra(4)
    decoded = spectra + 0.1
    lines = draw_spectrum(ax, spectra, decoded, unit="eV", titles=["a", "b", "c", "d"])
    shift = shift_between(spectra, decoded)
    for k, (before, after) in enumerate(zip(lines[::2], lines[1::2], strict=True)):
        assert_allclose(before.get_ydata(), spectra[k] - k * shift)
        assert_allclose(after.get_ydata(), decoded[k] - k * shift)
    assert ax.get_ylabel() == f"Value, stacked by {shift:.2g} eV"
    assert float(f"{shift:.2g}") == pytest.approx(shift)  # two digits say it all
    assert texts(ax.texts) == ["a", "b", "c", "d"]


def test_stacked_spectra_do_not_cross():
    rng = np.random.RandomState(0)
    for scale in (1e-9, 1.0, 1e6):
        given, decoded = rng.normal(size=(2, 5, 30)) * scale
        shifted = np.concatenate([given, decoded], axis=1)
        shifted -= shift_between(given, decoded) * np.arange(5)[:, None]
        assert (shifted[:-1].min(axis=1) > shifted[1:].max(axis=1)).all()


def test_a_stack_of_nothing_has_no_shift():
    nothing = np.full((3, 4), np.nan)
    assert shift_between(nothing, nothing) == 0
    assert shift_between(np.ones((1, 4)), np.ones((1, 4))) == 0
    assert shift_between(np.zeros((3, 4)), np.zeros((3, 4))) == 0


def test_lines_of_a_sequence_are_coloured_and_not_shifted(ax):
    spectra, _ = make_spectra(3)
    lines = draw_spectrum(ax, spectra)
    assert_array_equal([line.get_ydata() for line in lines], spectra)
    assert len({line.get_color() for line in lines}) == 3
    assert ax.get_legend() is None


def test_a_missing_channel_is_a_hole(ax):
    spectra, _ = make_spectra(2)
    spectra[0, 3] = np.nan
    lines = draw_spectrum(ax, *spectra)
    assert np.isnan(lines[0].get_ydata()[3])


# -- pictures


def test_a_pair_stands_side_by_side_on_one_scale(ax):
    before, after = make_images(2)
    images = draw_images(ax, before.ravel(), after.ravel(), shape=(5, 6))
    assert_array_equal(images[0].get_array(), before)
    assert_array_equal(images[1].get_array(), after)
    assert images[0].get_clim() == images[1].get_clim() == color_limits(np.stack([before, after]))
    left, right = (image.get_extent() for image in images)
    assert left[1] < right[0]
    assert tuple(left[2:]) == tuple(right[2:]) == (5, 0)
    assert texts(ax.get_xticklabels()) == ["given", "decoded"]
    assert [left[0] < tick < left[1] for tick in ax.get_xticks()] == [True, False]


def test_several_pairs_have_a_column_each(ax):
    before, after = make_images(4), make_images(4, seed=1)
    images = draw_images(ax, before, after, shape=(5, 6), titles=list("abcd"))
    drawn = np.array([image.get_array() for image in images])
    assert_array_equal(drawn, np.concatenate([before, after]))
    tops = [image.get_extent()[3] for image in images]
    assert len(set(tops[:4])) == len(set(tops[4:])) == 1
    assert tops[0] < tops[4]
    assert texts(ax.get_yticklabels()) == ["given", "decoded"]
    assert texts(ax.get_xticklabels()) == ["a", "b", "c", "d"]


def test_images_alone_stand_in_reading_order(ax):
    images = draw_images(ax, make_images(5), shape=(5, 6), titles=list("abcde"))
    places = [(round(image.get_extent()[3], 6), image.get_extent()[0]) for image in images]
    assert places == sorted(places)
    assert len({top for top, _ in places}) == 2
    for text, image in zip(ax.texts, images, strict=True):
        left, right, bottom, _ = image.get_extent()
        assert left < text.get_position()[0] < right
        assert text.get_position()[1] > bottom
    top = ax.get_ylim()
    assert all(text.get_position()[1] < top[0] for text in ax.texts)


def test_channels_of_an_image_stand_below_each_other(ax):
    given = make_images(6).reshape(1, 6, 5, 6)
    images = draw_images(ax, given, given + 1, shape=(6, 5, 6))
    assert len(images) == 8  # four channels of each
    assert_array_equal(images[2].get_array(), given[0, 1])
    assert_array_equal(images[3].get_array(), given[0, 1] + 1)
    assert as_images(given, (6, 5, 6)).shape == (1, 4, 5, 6)


def test_missing_pixels_are_masked(ax):
    image = make_images(1)[0]
    image[1, 2] = np.nan
    (drawn,) = draw_images(ax, image.ravel(), shape=(5, 6))
    assert_array_equal(np.argwhere(drawn.get_array().mask), [[1, 2]])


def test_limits_of_a_range_that_is_none():
    assert color_limits(np.array([np.nan])) == (0.0, 1.0)
    assert color_limits(np.zeros(3)) == (-0.5, 0.5)
    assert color_limits(np.full(3, -4.0)) == (-6.0, -2.0)
    assert color_limits(np.array([np.nan, 1.0, 3.0])) == (1.0, 3.0)


def test_keywords_reach_the_pictures(ax):
    kwargs = {"cmap": "gray", "norm": plt.Normalize(0, 7)}
    images = draw_images(ax, make_images(2), shape=(5, 6), image_kwargs=kwargs)
    assert images[0].get_cmap().name == "gray"
    assert images[1].get_clim() == (0, 7)


# -- structures

ELEMENTS, DISTANCES = ["Br", "K", "Na"], [1.0, 2.0, 3.0]
# shares, density, and the logarithm of the size: 8 given, 9 decoded
GIVEN = np.array([0.5, 0.0, 0.5, 0.0, 1.0, 2.0, np.log(8)])
DECODED = np.array([0.4, 0.6, 0.0, 0.5, 1.5, 1.0, np.log(9)])


def heights(bars):
    return [bar.get_height() for bar in bars]


def test_composition_and_radial_density(ax):
    names = {"elements": ELEMENTS, "distances": DISTANCES, "size": "Å³ an atom"}
    before, line, after, decoded_line = draw_structures(ax, GIVEN, DECODED, **names)
    bars, lines = ax.child_axes
    assert texts(bars.get_xticklabels()) == ["Br", "Na", "K"]  # the given ones first
    assert heights(before) == [0.5, 0.5, 0.0]
    assert heights(after) == [0.4, 0.0, 0.6]
    assert_array_equal(line.get_xydata(), np.column_stack([DISTANCES, GIVEN[3:6]]))
    assert_array_equal(decoded_line.get_ydata(), DECODED[3:6])
    assert lines.get_title(loc="left") == "Å³ an atom: 8 → 9"
    assert texts(lines.get_legend().get_texts()) == ["given", "decoded"]


def test_each_structure_has_a_strip(ax):
    rows = np.array([GIVEN, DECODED, np.full(7, np.nan)])
    names = {"elements": ELEMENTS, "distances": DISTANCES, "titles": ["a", "b", "c"]}
    artists = draw_structures(ax, rows, rows[::-1], **names)
    assert len(artists) == 12
    panels = np.reshape(ax.child_axes, (3, 2))
    assert [panel.get_title(loc="left") for panel in panels[:, 0]] == ["a", "b", "c"]
    bottoms = [panel.get_position().y0 for panel in panels[:, 0]]
    assert bottoms == sorted(bottoms, reverse=True)
    assert [panel.get_legend() is None for panel in panels[:, 1]] == [False, True, True]


def test_a_structure_alone_has_no_legend(ax):
    artists = draw_structures(ax, GIVEN, elements=ELEMENTS, distances=DISTANCES, size="atoms")
    assert len(artists) == 2
    assert ax.child_axes[1].get_legend() is None
    assert ax.child_axes[1].get_title(loc="left") == "atoms: 8"


def test_of_many_elements_the_largest_shares(ax):
    shares = np.array([0.01, 0.02, 0.03, 0.04, 0.1, 0.15, 0.2, 0.45])
    row = np.concatenate([shares, [1.0, 0.0]])
    draw_structures(ax, row, elements=list("abcdefgh"), distances=[1.0])
    assert texts(ax.child_axes[0].get_xticklabels()) == list("hgfedc")


def test_the_block_of_structures_draws_so(ax):
    block = AtomsBlock(n_radial=3, cutoff=5.0)
    _, line = block.plot(ax, GIVEN, None, Layout(7), label="x", elements=ELEMENTS)
    assert texts(ax.child_axes[0].get_xticklabels()) == ["Br", "Na"]
    assert_array_equal(line.get_xdata(), [0.5, 2.75, 5.0])
    block.plot(ax, GIVEN, None, Layout(7))
    assert texts(ax.child_axes[2].get_xticklabels()) == ["0", "2"]


# -- dots


def test_each_value_has_a_lane(ax):
    layout = Layout(2, (3,))
    given, decoded = np.array([[0.5, -1, 0, 1, 0]]), np.array([[0.4, -2, 0.1, 0.8, 0.1]])
    artists = draw_entries(ax, given, decoded, layout)
    for artist, values in zip(artists, (given, decoded), strict=True):
        assert_array_equal(artist.get_offsets(), np.c_[values[0], np.arange(5)])
    assert texts(ax.get_yticklabels()) == ["0", "1", *(f"2: category {k}" for k in range(3))]


def test_of_many_values_those_that_differ_most(ax):
    given = np.zeros((2, 100))
    decoded = given + np.linspace(0, 1, 100)
    decoded[1, 3] = 9
    _, after = draw_entries(ax, given, decoded)
    assert len(after.get_offsets()) == 2 * 24
    assert texts(ax.get_yticklabels()) == ["3", *map(str, range(77, 100))]


# -- by layout


@pytest.mark.parametrize(
    ("layout", "n_artists"),
    [(ShapeOnly((30,)), 2), (ShapeOnly((5, 6)), 2), (ShapeOnly((2, 3, 5)), 4)],
)
def test_values_are_drawn_by_their_shape(ax, layout, n_artists):
    given, decoded = make_images(2).reshape(2, 30)
    artists = draw_values(ax, given, decoded, layout, unit="eV", titles=["a"])
    assert len(artists) == n_artists
    assert hasattr(artists[0], "get_extent") == (len(layout.shape) > 1)


def test_values_without_a_shape_are_dots(ax):
    class Plain(Layout):
        shape = ()

    artists = draw_values(ax, np.zeros(3), np.ones(3), Plain(3))
    assert [len(artist.get_offsets()) for artist in artists] == [3, 3]
