"""The surroundings of atoms: what they are, and what does not change them."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell, molecule
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import eval_legendre

from sknestedae._atoms import _surroundings
from sknestedae._atoms._elements import element_properties, element_values
from sknestedae._atoms._surroundings import (
    Channels,
    Geometry,
    SurroundingsCache,
    SurroundingsError,
    gaussians,
    harmonics,
    smooth_cutoff,
    surroundings,
    surroundings_of,
)
from sknestedae._tables._structures import read_structure

PROPERTIES = Channels.of_properties()
PLAIN = Geometry(cutoff=5.0, n_radial=6)
FULL = Geometry(
    cutoff=5.0,
    n_radial=6,
    n_angular=3,
    angular_cutoff=4.0,
    n_angular_radial=2,
    message_cutoff=3.5,
)


def perovskite():
    """Give a crystal with low symmetry, in which a doubled cell is all that is equal."""
    sites = [[0, 0, 0], [0.5, 0.5, 0.52], [0.5, 0.5, 0], [0.5, 0.03, 0.5], [0, 0.5, 0.5]]
    cell = [[4.0, 0, 0], [0.2, 4.1, 0], [0, 0.1, 4.2]]
    return Atoms("BaTiO3", cell=cell, scaled_positions=sites, pbc=True)


def rock_salt():
    return bulk("NaCl", "rocksalt", a=5.6)


def describe(atoms, geometry=FULL, channels=PROPERTIES):
    return surroundings(read_structure(atoms), geometry, channels)


def assert_same(one, two, atol=1e-6):
    """Compare what two structures give, but for the number of their atoms."""
    assert_array_equal(one.numbers, two.numbers)
    assert_allclose(one.shares, two.shares, rtol=1e-12)
    assert_allclose(one.densities, two.densities, atol=atol)
    assert_allclose(one.radial, two.radial, atol=atol)
    for name in ("source", "target", "distances"):
        assert_allclose(getattr(one.edges, name), getattr(two.edges, name), atol=atol)
    per_atom = [
        own.edges.numbers / np.bincount(own.classes)[own.edges.source] for own in (one, two)
    ]
    assert_allclose(*per_atom, rtol=1e-12)


@pytest.mark.parametrize("degree", range(5))
def test_harmonics_multiply_to_legendre_polynomials(degree):
    units = np.random.default_rng(0).normal(size=(20, 3))
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    own = harmonics(units, degree)
    assert own.shape == (20, (degree + 1) ** 2)
    for level in range(degree + 1):
        part = own[:, level**2 : (level + 1) ** 2]
        assert_allclose(part @ part.T, eval_legendre(level, units @ units.T), atol=1e-13)


def test_the_cutoff_is_smooth():
    assert_allclose(smooth_cutoff(np.array([0.0, 2.0, 4.0, 5.0]), 4.0), [1, 0.5, 0, 0], atol=1e-15)
    near = smooth_cutoff(4.0 - np.array([1e-3, 1e-4]), 4.0)
    assert near[0] / near[1] == pytest.approx(100, rel=1e-3)  # its slope ends at 0, too


def test_gaussians_cover_the_distances():
    centres = np.linspace(0.5, 5.0, 6)
    values = gaussians(centres, 5.0, 6)
    assert_allclose(np.diag(values), 1)
    assert_allclose(np.diag(values, 1), np.exp(-0.5))
    assert np.isfinite(gaussians(centres, 5.0, 1)).all()


def pairs_by_hand(atoms, atom, cutoff):
    """Give atomic numbers and vectors of what is around an atom, image by image."""
    steps = np.array(np.meshgrid(*[np.arange(-3, 4)] * 3)).reshape(3, -1).T
    steps = steps if atoms.pbc.any() else np.zeros((1, 3))
    vectors = atoms.positions[None] + (steps @ atoms.cell[:])[:, None] - atoms.positions[atom]
    distances = np.linalg.norm(vectors, axis=2)
    image, other = np.nonzero((distances < cutoff) & (distances > 1e-6))
    return atoms.numbers[other], vectors[image, other]


@pytest.mark.parametrize(
    "atoms", [perovskite(), molecule("CH3CH2OH")], ids=["crystal", "molecule"]
)
def test_radial_densities_are_sums_over_neighbours(atoms):
    found = describe(atoms, PLAIN)
    assert found.densities.shape == (len(found.numbers), PLAIN.n_features(5))
    for atom, place in enumerate(found.classes):
        numbers, vectors = pairs_by_hand(atoms, atom, PLAIN.cutoff)
        d = np.linalg.norm(vectors, axis=1)
        values = np.exp(-0.5 * ((d[:, None] - np.linspace(0.5, 5, 6)) / 0.9) ** 2)
        values *= ((0.5 + 0.5 * np.cos(np.pi * d / 5)) / d)[:, None]
        expected = np.sqrt(PROPERTIES.weights[numbers].T @ values)
        # single precision, and the resolution at which atoms are equal
        assert_allclose(found.densities[place].reshape(5, 6), expected, rtol=1e-6, atol=1e-7)


def test_the_power_spectrum_is_a_sum_over_pairs_of_neighbours():
    atoms, channels = perovskite(), Channels.of_elements([8, 22, 56])
    found = describe(atoms, FULL, channels)
    one, two = np.triu_indices(6)
    parts = found.densities[:, 3 * FULL.n_radial :].reshape(len(found.numbers), 3, 21)
    for atom, place in enumerate(found.classes):
        numbers, vectors = pairs_by_hand(atoms, atom, FULL.angular_cutoff)
        d = np.linalg.norm(vectors, axis=1)
        cosines = (vectors / d[:, None]) @ (vectors / d[:, None]).T
        radial = gaussians(d, 4.0, 2) * smooth_cutoff(d, 4.0)[:, None]
        products = (channels.weights[numbers][:, :, None] * radial[:, None]).reshape(len(d), -1)
        for level in (1, 2, 3):
            power = products.T @ eval_legendre(level, cosines) @ products
            expected = np.copysign(np.sqrt(np.abs(power)), power)[one, two]
            # the root of what rounding leaves of terms of 100 that cancel
            assert_allclose(parts[place, level - 1], expected, rtol=1e-6, atol=2e-6)


def rotated(atoms):
    other = atoms.copy()
    other.rotate(37, (1, 2, 3), rotate_cell=True)
    return other


def shifted(atoms):
    other = atoms.copy()
    other.positions += [0.7, -1.3, 12.1]
    return other


def shuffled(atoms):
    return atoms[np.random.default_rng(0).permutation(len(atoms))]


CHANGES = {
    "rotated": rotated,
    "mirrored": lambda atoms: Atoms(
        atoms.numbers, -atoms.positions, cell=-atoms.cell[:], pbc=atoms.pbc
    ),
    "shifted": shifted,
    "shuffled": shuffled,
}
CELLS = {
    "doubled": lambda atoms: atoms * (2, 1, 1),
    "many": lambda atoms: shuffled(atoms * (2, 2, 3)),
    "other cell": lambda atoms: make_supercell(atoms, [[1, 1, 0], [0, 1, 2], [0, 0, 1]]),
    "all at once": lambda atoms: rotated(shifted(shuffled(atoms * (1, 3, 1)))),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("make", [perovskite, rock_salt, lambda: molecule("CH3CH2OH")])
def test_rotation_shift_and_order_change_nothing(make, name):
    assert_same(describe(make()), describe(CHANGES[name](make())))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("make", [perovskite, rock_salt])
def test_the_choice_of_the_cell_changes_nothing(make, name):
    atoms = CELLS[name](make())
    assert_same(describe(make()), describe(atoms))
    assert len(describe(atoms).classes) == len(atoms)


def test_numpy_and_vesin_give_the_same(monkeypatch):
    with_vesin = describe(perovskite())
    monkeypatch.setattr("sknestedae._atoms._neighbours._vesin", lambda: None)
    assert_same(with_vesin, describe(perovskite()))


@pytest.mark.parametrize(
    ("atoms", "numbers", "counts"),
    [
        (rock_salt() * (2, 1, 1), [11, 17], [2, 2]),
        (bulk("Si"), [14], [2]),
        (molecule("CH4"), [1, 6], [4, 1]),
        (molecule("CO2"), [6, 8], [1, 2]),
        (molecule("CH3CH2OH"), [1, 1, 1, 1, 6, 6, 8], [1, 1, 2, 2, 1, 1, 1]),
    ],
)
def test_equal_atoms_are_one_class(atoms, numbers, counts):
    found = describe(atoms, PLAIN)
    assert_array_equal(found.numbers, numbers)
    assert_array_equal(np.sort(np.bincount(found.classes)), np.sort(counts))
    assert_allclose(found.shares, np.bincount(found.classes) / len(atoms))
    assert_array_equal(found.numbers[found.classes], atoms.numbers)


@pytest.mark.parametrize("geometry", [PLAIN, FULL], ids=["radial", "angular"])
@pytest.mark.parametrize(("moved", "n_classes"), [(1e-6, 2), (0.03, 16)])
def test_what_rounding_moves_stays_equal(geometry, moved, n_classes):
    atoms = rock_salt() * (2, 2, 2)
    exact = describe(atoms, geometry)
    atoms.rattle(moved, seed=0)
    found = describe(atoms, geometry)
    assert len(found.numbers) == n_classes
    if n_classes == 2:
        assert_allclose(found.densities[:, :30], exact.densities[:, :30], atol=1e-4)


def test_directions_alone_can_tell_atoms_apart():
    """A flat and a pyramidal carbon with the same distances: radial densities are equal."""
    star = 1.5 * np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]])
    tent = 1.5 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    positions = np.vstack([[[0, 0, 0]], star, [[30, 0, 0]], tent + np.array([30, 0, 0])])
    atoms = Atoms("CF4CF4", positions)
    near = Geometry(cutoff=2.0, n_radial=4)
    assert (describe(atoms, near).numbers == 6).sum() == 1
    angular = Geometry(cutoff=2.0, n_radial=4, n_angular=2, angular_cutoff=2.0, n_angular_radial=2)
    assert (describe(atoms, angular).numbers == 6).sum() == 2


def test_one_mark_of_several_classes():
    """Rows that differ, while the means that sort them are equal, are told apart."""
    marks = 1 + 0.5 * np.cos(np.arange(3.0) ** 2)
    step = np.array([1 / marks[0], -1 / marks[1], 0])
    sums = np.ones((6, 3)) + np.outer([0, 0.3, 0, 0.3, 0, 0.9], step)
    sums[:, 2] += 1e-5 * np.arange(6)  # less than the tolerance: the order of atoms by their mark
    tolerance = np.full(6, 1e-3)
    numbers, own = np.array([1, 1, 1, 1, 8, 8]), np.zeros(6, int)
    classes, order, firsts = _surroundings._classes(own, numbers, [(sums, tolerance)])
    assert_array_equal(classes[[0, 1]], classes[[2, 3]])
    assert len(set(classes.tolist())) == len(firsts) == 4
    assert_array_equal(classes[order[firsts]], np.arange(4))
    assert (np.diff(classes[order]) >= 0).all()
    apart = _surroundings._classes(np.arange(6), numbers, [(sums, tolerance)])[0]
    assert_array_equal(apart, np.arange(6))


def test_the_mean_of_a_class_stands_for_it():
    sums = np.arange(8.0).reshape(4, 2)
    order, firsts, members = np.array([3, 0, 2, 1]), np.array([0, 1, 3]), np.array([1, 2, 1])
    means = _surroundings._means(sums, order, firsts, members)
    assert_array_equal(means, [[6, 7], [2, 3], [2, 3]])
    assert means.dtype == np.float32


def test_marks_spare_comparisons(monkeypatch):
    """Of the hydrogen atoms of ethanol, only the two pairs of equal ones are compared."""
    compared = []
    are_wide = _surroundings._are_wide

    def watched(sums, tolerance, atoms, starts):
        compared.append(len(atoms))
        return are_wide(sums, tolerance, atoms, starts)

    monkeypatch.setattr(_surroundings, "_are_wide", watched)
    describe(molecule("CH3CH2OH"), PLAIN)
    assert compared == [4]


def test_many_atoms_without_symmetry():
    atoms = bulk("Cu", cubic=True) * (5, 5, 5)
    atoms.rattle(0.1, seed=0)
    found = describe(atoms, PLAIN)
    assert len(found.numbers) == len(atoms)
    assert_array_equal(np.sort(found.classes), np.arange(500))


def test_each_class_has_the_densities_of_its_atoms():
    """A shuffled structure has the same rows, atom by atom."""
    atoms = perovskite()
    order = np.random.default_rng(1).permutation(len(atoms))
    one, two = describe(atoms), describe(atoms[order])
    assert_allclose(one.densities[one.classes][order], two.densities[two.classes], atol=1e-6)


@pytest.mark.parametrize("channels", [PROPERTIES, Channels.of_elements([8])])
def test_the_radial_density_is_a_mean_over_atoms(channels):
    found = describe(perovskite(), PLAIN, channels)
    unweighted = describe(perovskite(), PLAIN).densities[:, : PLAIN.n_radial]
    assert_allclose(found.radial, found.shares @ unweighted, rtol=1e-5)


def test_edges_are_numbers_of_pairs():
    geometry = Geometry(cutoff=5.0, n_radial=4, message_cutoff=4.2)
    edges = describe(rock_salt() * (2, 1, 1), geometry).edges
    # six of the other kind at half the lattice constant, twelve of its own at the root of a half
    assert_array_equal(edges.source, [0, 0, 1])
    assert_array_equal(edges.target, [0, 1, 1])
    distances = np.array([5.6 / np.sqrt(2), 2.8, 5.6 / np.sqrt(2)])
    assert_allclose(edges.distances, distances, rtol=1e-6)
    assert_array_equal(edges.numbers, 2 * np.array([12, 6, 12]))  # of two atoms of each class
    assert edges.distances.dtype == np.float32
    assert edges.source.dtype == edges.target.dtype == edges.numbers.dtype == np.int32


def test_edges_see_all_members_of_a_class():
    """Atoms that are equal may differ in their neighbours' classes: edges count those of all."""
    geometry = Geometry(cutoff=1.5, n_radial=4, message_cutoff=2.5)
    atoms = Atoms("HHHH", [[0, 0, 0], [0, 0, 1], [0, 2, 0], [0, 2, 1]])
    atoms += Atoms("HH", [[0, 40, 0], [0, 40, 1]])
    found = describe(atoms, geometry)
    assert len(found.numbers) == 1
    distances = np.array([1, 2, np.sqrt(5)])
    assert_allclose(found.edges.distances, distances, rtol=1e-6)
    assert_array_equal(found.edges.numbers, [6, 4, 4])


def test_without_messages_there_are_no_edges():
    assert not any(len(part) for part in describe(rock_salt(), PLAIN).edges)


@pytest.mark.parametrize("atoms", [Atoms("He"), Atoms("He", cell=[30, 30, 30], pbc=True)])
def test_a_lone_atom_has_nothing_around(atoms):
    found = describe(atoms)
    assert_array_equal(found.numbers, [2])
    assert found.densities.shape == (1, FULL.n_features(5))
    assert not found.densities.any()
    assert not found.radial.any()
    assert not len(found.edges.source)


def test_an_atom_of_several_without_neighbours():
    atoms = Atoms("HHOHe", [[0, 0, 0], [0, 0, 1], [0, 9, 0], [0, 0, 2]])
    message = r"whose atom 2 \(O\), counted from 0, has no neighbour within the cutoff of 5 Angstr"
    with pytest.raises(SurroundingsError, match=message) as caught:
        surroundings_of([read_structure(a) for a in (Atoms("He"), atoms)], FULL, PROPERTIES)
    assert caught.value.row == 1
    # a longer reach for messages is no cutoff
    with pytest.raises(SurroundingsError, match="cutoff of 5 Angstrom; a larger cutoff finds one"):
        describe(atoms, Geometry(cutoff=5.0, n_radial=4, message_cutoff=12.0))
    assert len(describe(atoms, Geometry(cutoff=12.0)).numbers) == 4


def test_the_row_of_an_error_counts_from_the_first_structure(monkeypatch):
    monkeypatch.setattr(_surroundings, "_PAIRS_AT_ONCE", 1)
    structures = [rock_salt(), rock_salt(), Atoms("HH", [[0, 0, 0], [0, 0, 9]])]
    with pytest.raises(SurroundingsError, match="has no neighbour") as caught:
        surroundings_of([read_structure(atoms) for atoms in structures], PLAIN, PROPERTIES)
    assert caught.value.row == 2


def test_atoms_at_one_place_say_in_which_structure():
    structures = [rock_salt(), rock_salt(), Atoms("HH", [[0, 0, 0], [0, 0, 0.01]])]
    with pytest.raises(SurroundingsError, match=r"atoms 0 and 1, .* at one place") as caught:
        surroundings_of([read_structure(atoms) for atoms in structures], PLAIN, PROPERTIES)
    assert caught.value.row == 2
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.row) == (str(caught.value), 2)


@pytest.mark.parametrize("n_pairs", [1, 300, 10**6])
def test_together_and_alone_are_the_same(monkeypatch, n_pairs):
    structures = [
        read_structure(atoms)
        for atoms in (perovskite(), molecule("CH4"), Atoms("He"), rock_salt(), perovskite())
    ]
    monkeypatch.setattr(_surroundings, "_PAIRS_AT_ONCE", n_pairs)
    together = surroundings_of(structures, FULL, PROPERTIES)
    for structure, found in zip(structures, together, strict=True):
        alone = surroundings(structure, FULL, PROPERTIES)
        assert_same(found, alone)
        assert_array_equal(found.classes, alone.classes)
    assert surroundings_of([], FULL, PROPERTIES) == []


@pytest.mark.parametrize("n_pairs", [1, 7, 100])
def test_pairs_may_be_summed_in_parts(monkeypatch, n_pairs):
    whole = describe(perovskite())
    monkeypatch.setattr(_surroundings, "_PAIRS_IN_MEMORY", n_pairs)
    assert_same(describe(perovskite()), whole)


def test_geometries():
    assert Geometry() == Geometry(cutoff=7.0)
    assert Geometry(n_angular=0, angular_cutoff=9.0).reach == 7.0
    assert Geometry(n_angular=1, angular_cutoff=9.0).reach == 9.0
    assert Geometry(message_cutoff=8.0).reach == 8.0
    assert Geometry(n_angular=3).n_features(5) == 5 * 28 + 3 * 325
    with pytest.raises(ValueError, match="n_angular must be 0 to 4, got 5"):
        Geometry(n_angular=5)


def test_channels_of_properties():
    weights = PROPERTIES.weights
    assert weights.shape == (119, PROPERTIES.n_channels) == (119, 5)
    assert (weights[1:] > 0).all()
    assert_allclose(weights[1:104].mean(axis=0), 1)
    assert_array_equal(weights[1:, 0], 1)
    mass = np.exp(element_values(np.array([8, 16]))[:, 0])
    assert_allclose(weights[16, 1] / weights[8, 1], mass[1] / mass[0])


def test_channels_of_elements():
    channels = Channels.of_elements([17, 11])
    assert_array_equal(channels.weights[[11, 17]], np.eye(2))
    assert_allclose(channels.weights[1:].sum(axis=1), 1)
    rubidium, bromine = channels.weights[37], channels.weights[35]
    assert rubidium[0] > 0.9
    assert bromine[1] > 0.9
    table = element_properties(np.array([11, 17, 14]))
    squares = ((table[:2] - table[2]) ** 2).sum(axis=1)
    assert_allclose(np.log(channels.weights[14] / channels.weights[14, 0]), squares[0] - squares)
    with pytest.raises(ValueError, match="one element or more"):
        Channels.of_elements([])


def test_channels_are_equal_by_content():
    assert Channels.of_elements([1, 8]) == Channels.of_elements(np.array([8, 1, 1]))
    assert hash(Channels.of_properties()) == hash(PROPERTIES)
    assert Channels.of_elements([1]) != Channels.of_elements([8, 1])
    assert Channels.of_elements([1, 6]).key != Channels.of_elements([1, 8]).key
    assert not PROPERTIES.weights.flags.writeable


@pytest.fixture
def looked_at(monkeypatch):
    """Give a list of the structures that surroundings are computed of."""
    seen = []

    def watched(structures, geometry, channels):
        seen.extend(structures)
        return surroundings_of(structures, geometry, channels)

    monkeypatch.setattr(_surroundings, "surroundings_of", watched)
    return seen


SOME = [read_structure(molecule(name)) for name in ("H2O", "CH4", "NH3", "CO2")]
SIZES = [surroundings(structure, PLAIN, PROPERTIES).n_bytes for structure in SOME]


def test_the_cache_looks_once(looked_at):
    cache = SurroundingsCache(10**6)
    first = cache.find([SOME[0], SOME[1], SOME[0]], PLAIN, PROPERTIES)
    assert first[0] is first[2]
    assert len(looked_at) == len(cache) == 2
    again = cache.find([SOME[1], SOME[2]], PLAIN, Channels.of_properties())
    assert again[0] is first[1]
    assert len(looked_at) == 3
    for structure, found in zip(SOME[1:3], again, strict=True):
        assert_same(found, surroundings_of([structure], PLAIN, PROPERTIES)[0], atol=0)
    cache.find(SOME[:1], FULL, PROPERTIES)
    cache.find(SOME[:1], PLAIN, Channels.of_elements([1, 8]))
    assert len(looked_at) == 5
    cache.clear()
    assert len(cache) == cache.n_bytes == 0


def test_the_cache_forgets_what_was_used_least_recently(looked_at):
    cache = SurroundingsCache(sum(SIZES) - 1)
    cache.find(SOME[:3], PLAIN, PROPERTIES)
    cache.find(SOME[:1], PLAIN, PROPERTIES)  # used again
    cache.find(SOME[3:], PLAIN, PROPERTIES)
    assert cache.n_bytes <= cache.max_bytes
    assert cache.n_bytes == sum(SIZES) - SIZES[1]
    looked_at.clear()
    cache.find([SOME[0], SOME[2], SOME[3]], PLAIN, PROPERTIES)
    assert not looked_at
    cache.find([SOME[1]], PLAIN, PROPERTIES)
    assert len(looked_at) == 1


def test_the_next_pass_finds_what_a_larger_one_began_with(looked_at):
    """Had the end pushed out the beginning, it would find nothing."""
    cache = SurroundingsCache(SIZES[0] + SIZES[1])
    for _ in range(2):
        looked_at.clear()
        current = cache.begin(4)
        found = [cache.find([one], PLAIN, PROPERTIES, current)[0] for one in SOME]
        assert len(cache) == 2
    assert [id(one) for one in looked_at] == [id(one) for one in SOME[2:]]
    for one, structure in zip(found, SOME, strict=True):
        assert_same(one, surroundings(structure, PLAIN, PROPERTIES), atol=0)


def test_an_earlier_pass_makes_room(looked_at):
    cache = SurroundingsCache(sum(SIZES[:3]))
    cache.find(SOME[:2], PLAIN, PROPERTIES)
    current = cache.begin(3)
    cache.find(SOME[2:], PLAIN, PROPERTIES, current)  # in the place of the first, or of both
    cache.find(SOME[:1], PLAIN, PROPERTIES, current)
    looked_at.clear()
    cache.find(SOME[2:], PLAIN, PROPERTIES)
    assert not looked_at


@pytest.mark.parametrize("more", [-1, 1])
def test_a_pass_of_many_times_the_memory_keeps_nothing(more):
    cache = SurroundingsCache(2 * SIZES[0])
    times = _surroundings._LARGEST_PASS
    cache.find(SOME[:1], PLAIN, PROPERTIES, cache.begin(2 * times + more))
    assert len(cache) == (1 if more < 0 else 0)


def test_what_is_kept_apart_is_forgotten(looked_at):
    cache = SurroundingsCache(10**6)
    cache.find(SOME[:1], PLAIN, PROPERTIES)
    with cache.aside(), ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            cache.find(SOME[:2], PLAIN, PROPERTIES)
        assert len(looked_at) == 2  # each once
        assert len(cache) == 1
        pool.submit(cache.find, SOME[2:3], PLAIN, PROPERTIES).result()
        assert len(cache) == 2  # another thread's are kept as always
    cache.find(SOME[1:2], PLAIN, PROPERTIES)
    assert len(cache) == 3
    assert len(looked_at) == 4


def test_what_is_too_large_is_not_kept():
    cache = SurroundingsCache(min(SIZES) - 1)
    assert len(cache.find(SOME, PLAIN, PROPERTIES)) == 4
    assert len(cache) == cache.n_bytes == 0
    cache = SurroundingsCache(max(SIZES))
    cache.find(SOME[:1], PLAIN, PROPERTIES)
    cache.find(SOME[:1], FULL, PROPERTIES)  # drops nothing
    assert cache.n_bytes == SIZES[0]


def test_the_cache_names_the_row_of_an_error():
    cache = SurroundingsCache(10**6)
    cache.find(SOME[:2], PLAIN, PROPERTIES)
    broken = read_structure(Atoms("HH", [[0, 0, 0], [0, 0, 9.0]]))
    with pytest.raises(SurroundingsError, match="has no neighbour") as caught:
        cache.find([*SOME[:3], broken], PLAIN, PROPERTIES)
    assert caught.value.row == 3


def test_another_process_begins_with_an_empty_cache():
    cache = SurroundingsCache(10**6)
    cache.find(SOME, PLAIN, PROPERTIES)
    copy = pickle.loads(pickle.dumps(cache))
    assert len(copy) == 0
    assert copy.max_bytes == 10**6


def test_threads_share_a_cache():
    cache = SurroundingsCache(2 * max(SIZES))
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda k: cache.find([SOME[k % 4]], PLAIN, PROPERTIES)[0], range(40))
        )
    for k, one in enumerate(found):
        assert_array_equal(one.numbers, np.unique(SOME[k % 4].numbers))
    assert cache.n_bytes <= cache.max_bytes
