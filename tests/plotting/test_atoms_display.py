"""Tests of AtomsDisplay: where atoms stand, which are in front, and their colours."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae import SupervisedAutoencoder
from sknestedae._tables._structures import read_structure
from sknestedae.blocks import AtomsBlock
from sknestedae.datasets import make_crystals
from sknestedae.inspection import atom_scores
from sknestedae.plotting import AtomsDisplay
from sknestedae.plotting._atoms import view_axes, with_images
from sknestedae.plotting._base import MISSING_COLOR

ase = pytest.importorskip("ase")
from ase.build import bulk, fcc111, molecule  # noqa: E402

WATER = molecule("H2O")
SALT = bulk("NaCl", "rocksalt", a=5.6, cubic=True)


def centres(display, k=0):
    return np.array([circle.center for circle in display.artists_[k]])


# -- the view


@pytest.mark.parametrize("view", [None, (0.0, 0.0), (30.0, -60.0), (90.0, 10.0)])
@pytest.mark.parametrize("atoms", [WATER, SALT, molecule("CO2"), molecule("H")], ids=str)
def test_a_view_is_a_rotation(atoms, view):
    """No mirror image, which would be another molecule."""
    axes = view_axes(read_structure(atoms), view)
    assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)


def test_the_view_from_the_front_and_from_above():
    structure = read_structure(SALT)
    # seen from the end of x: y to the right, z up; from above, x points down
    assert_allclose(view_axes(structure, (0, 0)), [[0, 1, 0], [0, 0, 1], [1, 0, 0]], atol=1e-12)
    assert_allclose(view_axes(structure, (90, 0)), [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], atol=1e-12)


def test_molecules_are_seen_where_they_are_flat():
    """However a molecule was turned, its picture is as broad as it can be, but for the turn."""
    display = AtomsDisplay.from_scores(WATER, [1.0, 2.0, 3.0])
    seen = centres(display)
    assert len({tuple(np.round(place, 2)) for place in seen}) == 3
    true = np.linalg.norm(WATER.positions[1] - WATER.positions[2])
    places = dict(zip(display.atoms_[0], seen, strict=True))
    distance = np.linalg.norm(places[1] - places[2])
    assert np.cos(np.deg2rad(12)) * np.cos(np.deg2rad(18)) * true <= distance <= true + 1e-9


def test_those_in_front_are_on_top():
    display = AtomsDisplay.from_scores(SALT, np.arange(8.0), view=(14, 20))
    positions, atoms = with_images(read_structure(SALT))
    seen = positions @ view_axes(read_structure(SALT), (14, 20)).T
    order = np.argsort(seen[:, 2], kind="stable")
    assert_allclose(centres(display), seen[order, :2])
    assert display.atoms_[0] == atoms[order].tolist()
    ranks = [circle.get_zorder() for circle in display.artists_[0]]
    assert ranks == sorted(set(ranks))
    # the symbol of an atom is just above it, and below the next one
    assert [text.get_zorder() for text in display.axes_[0].texts] == [k + 1 for k in ranks]
    symbols = [text.get_text() for text in display.axes_[0].texts]
    assert symbols == [SALT.symbols[k] for k in display.atoms_[0]]


# -- atoms on faces


def test_atoms_on_faces_stand_on_all_of_them():
    drawn, atoms = with_images(read_structure(SALT))
    # 8 corners, 6 faces; 12 edges and the middle
    symbols = np.array(SALT.symbols)[atoms]
    assert (np.sum(symbols == "Na"), np.sum(symbols == "Cl")) == (14, 13)
    assert len(np.unique(np.round(drawn, 6), axis=0)) == 27
    assert_allclose([drawn.min(), drawn.max()], [0, 5.6], atol=1e-9)


def test_atoms_outside_are_brought_into_the_cell():
    moved = SALT.copy()
    moved.positions += 3 * SALT.cell[0] - 2 * SALT.cell[1]
    found = np.round(with_images(read_structure(moved))[0], 6)
    assert {tuple(p) for p in found + 0.0} == {
        tuple(p) for p in np.round(with_images(read_structure(SALT))[0], 6) + 0.0
    }


def test_molecules_and_slabs():
    positions, atoms = with_images(read_structure(WATER))
    assert_array_equal(positions, WATER.positions)
    slab = fcc111("Cu", (1, 1, 2), vacuum=4.0)
    drawn, atoms = with_images(read_structure(slab))
    assert_allclose(np.unique(np.round(drawn[:, 2], 6)), np.unique(slab.positions[:, 2].round(6)))
    assert set(atoms) == {0, 1}
    display = AtomsDisplay.from_scores(slab, [1.0, 2.0])
    assert len(display.axes_[0].lines) == 4  # a rhombus
    assert not AtomsDisplay.from_scores(WATER, [1.0, 2.0, 3.0]).axes_[0].lines


@pytest.mark.parametrize("show_cell", [True, False])
def test_the_cell_has_twelve_edges(show_cell):
    display = AtomsDisplay.from_scores(SALT, np.arange(8.0), show_cell=show_cell)
    assert len(display.axes_[0].lines) == 12 * show_cell


# -- colours


def test_colours_are_the_scores():
    scores = pd.DataFrame({"share": [0.0, 0.5, 1.0], "deletion": [-1.0, 0.0, 4.0]})
    display = AtomsDisplay.from_scores(WATER, scores, units={"share": "eV"})
    assert [axes.get_title() for axes in display.axes_] == ["share", "deletion"]
    assert [bar.ax.get_ylabel() for bar in display.colorbars_] == ["share (eV)", "deletion"]
    for k, (low, high, name) in enumerate([(0, 1, "viridis"), (-4, 4, "RdBu_r")]):
        own = scores.iloc[:, k]
        for circle, atom in zip(display.artists_[k], display.atoms_[k], strict=True):
            expected = plt.get_cmap(name)((own[atom] - low) / (high - low))
            assert_allclose(circle.get_facecolor(), expected, atol=1 / 255)
    assert display.colorbars_[1].vmin == -4


def test_a_missing_score_is_grey():
    display = AtomsDisplay.from_scores(WATER, [np.nan, 1.0, 2.0])
    circle = display.artists_[0][display.atoms_[0].index(0)]
    assert circle.get_facecolor() == to_rgba(MISSING_COLOR)


def test_structures_share_the_colours_of_a_score():
    scores = pd.DataFrame({"share": np.arange(8.0), "element": list("OHHCHHHH")})
    molecules = [WATER, molecule("CH4")]
    display = AtomsDisplay.from_scores(molecules, scores, names=["water", "methane"])
    assert [axes.get_title() for axes in display.axes_] == ["water: share", "methane: share"]
    assert {(bar.vmin, bar.vmax) for bar in display.colorbars_} == {(0.0, 7.0)}
    assert sorted(display.atoms_[1]) == [0, 1, 2, 3, 4]
    radii = [circle.radius for circle in display.artists_[1]]
    assert max(radii) == radii[display.atoms_[1].index(0)]  # carbon


def test_many_atoms_have_no_symbols():
    few, many = (SALT.repeat((1, 1, n)) for n in (1, 3))
    shown = [AtomsDisplay.from_scores(own, np.arange(len(own))).axes_[0] for own in (few, many)]
    assert [len(axes.texts) for axes in shown] == [27, 0]


def test_keywords_reach_the_circles():
    _, ax = plt.subplots()
    display = AtomsDisplay.from_scores(
        WATER, [1.0, 2.0, 3.0], ax=ax, cmap="magma", circle_kwargs={"lw": 3}
    )
    assert display.axes_[0] is ax
    assert {circle.get_linewidth() for circle in display.artists_[0]} == {3}
    assert display.colorbars_[0].cmap.name == "magma"


# -- of an estimator


@pytest.fixture(scope="module")
def crystals():
    return make_crystals(16, random_state=0)


@pytest.fixture(scope="module", params=[True, False])
def sae(crystals, request):
    block = AtomsBlock(n_units=8, per_atom=request.param)
    settings = {"blocks": [("crystal", block, "structure")], "max_iter": 2, "random_state": 0}
    return SupervisedAutoencoder(2, **settings).fit(crystals.data, crystals.mean_frequency)


def test_scores_of_an_estimator(sae, crystals):
    display = AtomsDisplay.from_estimator(sae, crystals.data, rows=[3, 0])
    scores = atom_scores(sae, crystals.data.iloc[[3, 0]])
    names = [name for name in ("share", "attention", "deletion") if scores[name].notna().any()]
    assert ("share" in names) == sae.blocks_["crystal"].block.per_atom
    assert list(display.scores[0].columns) == names
    assert_array_equal(pd.concat(display.scores), scores[names])
    assert len(display.axes_) == 2 * len(names)
    assert display.axes_[0].get_title() == f"row 3: {names[0]}"
    one = AtomsDisplay.from_estimator(sae, crystals.data, columns="deletion")
    assert [axes.get_title() for axes in one.axes_] == ["deletion"]
    two = AtomsDisplay.from_estimator(sae, crystals.data, columns=np.array(["deletion", names[0]]))
    assert [axes.get_title() for axes in two.axes_] == ["deletion", names[0]]


def test_a_list_of_structures(crystals):
    structures = crystals.data["structure"].tolist()
    sae = SupervisedAutoencoder(2, max_iter=2, blocks=AtomsBlock(n_units=8), random_state=0)
    sae = sae.fit(structures, crystals.mean_frequency)
    display = AtomsDisplay.from_estimator(sae, structures, rows=-1, columns=["attention"])
    assert display.structures[0] is structures[-1]


# -- bad input


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"scores": [1.0, 2.0]}, "a row for each of the 3 atoms, got 2"),
        ({"scores": pd.DataFrame({"element": list("OHH")})}, r"columns of numbers.* got None"),
        ({"columns": "share"}, r"'columns' parameter .* have \['score'\]; got 'share'"),
        (
            {"scores": [np.nan] * 3, "columns": "score"},
            r"scores \['score'\] are NaN for all atoms",
        ),
        ({"names": ["a", "b"]}, r"each of the 1 structures, got \['a', 'b'\]"),
        ({"structures": []}, r"'structures' parameter must have one structure at least, got \[\]"),
        ({"view": 30}, "an elevation and an azimuth in degrees, got 30"),
        ({"view": ("up", 1)}, "an elevation and an azimuth in degrees, got "),
    ],
)
def test_bad_scores(kwargs, message):
    with pytest.raises(ValueError, match=message):
        AtomsDisplay.from_scores(**{"structures": WATER, "scores": [1.0, 2.0, 3.0], **kwargs})


def test_too_many_panels():
    with pytest.raises(ValueError, match=r"30 panels, of 15 structures with 2 scores each.*24"):
        AtomsDisplay.from_scores([WATER] * 15, pd.DataFrame(np.ones((45, 2))))


@pytest.mark.parametrize(
    ("rows", "message"), [(16, "has 16; got 16"), ([0.5], r"got \[0.5\]"), ([], r"got \[\]")]
)
def test_bad_rows(sae, crystals, rows, message):
    with pytest.raises(ValueError, match=f"The 'rows' parameter .*{message}"):
        AtomsDisplay.from_estimator(sae, crystals.data, rows=rows)
