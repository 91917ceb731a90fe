"""Structures of atoms to arrays of floats and back: the nearest known structure."""

from __future__ import annotations

import json
from weakref import ref

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from cases.array_tables import as_cells
from cases.structures import (
    SAME_CRYSTALS,
    SAME_MOLECULES,
    as_pymatgen,
    crooked,
    doubled,
    molecules,
    reordered,
    salts,
)
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae._atoms import _codec
from sknestedae._atoms._codec import AtomsCodec, measure, moments
from sknestedae._atoms._surroundings import Geometry, SurroundingsCache
from sknestedae._tables._base_codec import BlockColumns
from sknestedae._tables._columns import ColumnLabels
from sknestedae._tables._structures import read_structure
from sknestedae.exceptions import UnseenCategoryWarning

CRYSTALS = Geometry(cutoff=5.0, n_radial=10)
MOLECULES = Geometry(cutoff=4.0, n_radial=8, n_angular=2, message_cutoff=3.0)


def table_of(structures, name="structure"):
    return pd.DataFrame({name: as_cells(structures)})


def codec_of(X, positions=(0,), n_features=1000, crystals=CRYSTALS, molecules=MOLECULES):
    columns = BlockColumns(list(positions), ColumnLabels.of(X))
    return AtomsCodec(columns, crystals=crystals, molecules=molecules, n_features=n_features)


def fit(structures, rows=None, weight=None, **settings):
    X = table_of(structures)
    codec = codec_of(X, **settings)
    return codec.fit(X, codec.prepare(X), rows, weight)


def encode(codec, structures):
    return codec.encode(table_of(structures))


KINDS = {"crystals": crooked, "molecules": lambda: molecules()[0]}


@pytest.fixture(scope="module", params=KINDS)
def fitted(request):
    structures = KINDS[request.param]()
    return structures, fit(structures)


@pytest.fixture(scope="module")
def of_salts():
    structures = salts()[0]
    return structures, fit(structures)


# -- what comes back


def test_values_are_composition_density_and_size(of_salts):
    structures, codec = of_salts
    encoded = encode(codec, structures)
    assert encoded.measured is None
    assert codec.layout.n_values == encoded.values.shape[1] == 7 + 10 + 1
    raw = encoded.values * codec.unit + codec.mean
    elements = np.array([3, 9, 11, 17, 19, 35, 53])
    assert_array_equal(codec.elements, elements)
    shares = np.array([[np.mean(own.numbers == z) for z in elements] for own in structures])
    assert_allclose(raw[:, codec.fields["composition"]], shares, atol=1e-6)
    volumes = [own.get_volume() / len(own) for own in structures]
    assert_allclose(np.exp(raw[:, -1]), volumes, rtol=1e-5)


def test_the_size_of_a_molecule_is_its_number_of_atoms():
    structures, y = molecules()
    codec = fit(structures)
    raw = encode(codec, structures).values * codec.unit + codec.mean
    assert_allclose(np.exp(raw[:, -1]), y, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_has_a_third_of_the_variance(kind):
    structures = KINDS[kind]()
    codec = fit(structures)
    values = encode(codec, structures).values.astype(np.float64)
    assert_allclose(values.mean(axis=0), 0, atol=1e-5)
    # in all, the variance is the number of values, as that of standardised columns
    variances = [values[:, own].var(axis=0).sum() for own in codec.fields.values()]
    assert_allclose(variances, codec.layout.n_values / 3, rtol=1e-5)


def test_a_field_that_does_not_vary_has_no_rounding_for_a_scale():
    structures = [bulk("NaCl", "rocksalt", a=5.6)] * 7
    codec = fit(structures, weight=np.linspace(0.1, 0.73, 7))  # their mean is rounded
    values = encode(codec, structures).values
    assert not codec.deviation.any()
    assert_allclose(values, 0, atol=1e-6)
    assert_array_equal(codec.encoded_scale(), 1)
    others = encode(codec, [bulk("NaCl", "rocksalt", a=5.7)]).values
    assert np.abs(others).max() < 1


def test_the_size_of_slabs_and_wires():
    structure = read_structure(bulk("NaCl", "rocksalt", a=5.6))
    assert measure(structure) == pytest.approx(5.6**3 / 4)
    area = np.linalg.norm(np.cross(*structure.cell[:2]))
    for n_directions, size in ((2, area), (1, 5.6 / 2**0.5)):
        periodic = np.arange(3) < n_directions
        cell = structure.cell * periodic[:, None]
        assert measure(structure._replace(cell=cell, periodic=periodic)) == pytest.approx(size)
    assert measure(read_structure(molecule("H2O"))) == 1


# -- what enters


def test_equal_atoms_enter_once(of_salts):
    structures, codec = of_salts
    atoms = encode(codec, [structures[0], doubled(structures[0]), structures[5]]).ragged["atoms"]
    assert_array_equal(atoms.lengths, [2, 2, 2])
    assert_array_equal(atoms.starts, [0, 2, 4])
    assert_allclose(atoms.columns["counts"], 0.5)
    assert_array_equal(np.sort(atoms.columns["numbers"][:2]), [3, 9])


def test_counts_of_molecules_are_by_the_mean_number_of_atoms():
    structures, y = molecules()
    codec = fit(structures)
    assert codec.size == pytest.approx(y.mean())
    atoms = encode(codec, structures).ragged["atoms"]
    totals = np.add.reduceat(atoms.columns["counts"], atoms.starts)
    assert_allclose(totals, y / y.mean(), rtol=1e-6)


def atoms_of(codec, structures):
    """Give the densities of all atoms, and the share of each in its structure."""
    atoms = encode(codec, structures).ragged["atoms"]
    counts = atoms.columns["counts"].astype(np.float64)
    shares = counts / np.repeat(np.add.reduceat(counts, atoms.starts), atoms.lengths)
    return atoms.columns["densities"].astype(np.float64), shares


def test_densities_are_standardised(fitted):
    structures, codec = fitted
    densities, shares = atoms_of(codec, structures)
    mean = np.average(densities, axis=0, weights=shares)
    variance = np.average((densities - mean) ** 2, axis=0, weights=shares)
    assert_allclose(mean, 0, atol=1e-4)
    assert_allclose(variance[variance > 1e-6], 1, rtol=1e-3)


def test_of_many_densities_the_main_directions_enter():
    """They hold what differs most, and are not correlated; their size falls, but by less."""
    structures = molecules(3)[0]
    whole, some = fit(structures), fit(structures, n_features=6)
    assert some.layout.ragged[0] == ("atoms", 6)
    assert whole.layout.ragged[0][1] > 100
    densities, shares = atoms_of(some, structures)
    products = np.cov(densities.T, aweights=shares, ddof=0)
    variances = np.diag(products)
    assert np.abs(products - np.diag(variances)).max() < 1e-3 * variances[0]
    assert (np.diff(variances) < 0).all()
    # halfway whitened: variances are the roots of those of the standardised densities
    densities, shares = atoms_of(whole, structures)
    largest = np.linalg.eigvalsh(np.cov(densities.T, aweights=shares, ddof=0))[::-1][:6]
    assert_allclose(variances, np.sqrt(largest), rtol=1e-2)


def test_pairs_are_of_atoms_of_their_own_row():
    structures = molecules()[0]
    codec = fit(structures)
    assert codec.layout.ragged[1] == ("pairs", 2)
    ragged = encode(codec, structures).ragged
    atoms, pairs = ragged["atoms"], ragged["pairs"]
    members = np.add.reduceat(atoms.columns["members"].astype(int), atoms.starts)
    assert_array_equal(members, [len(own) for own in structures])
    for row in range(len(structures)):
        own = slice(pairs.starts[row], pairs.starts[row] + pairs.lengths[row])
        for name in ("sender", "receiver"):
            assert pairs.columns[name][own].max() < atoms.lengths[row]
        assert (pairs.columns["distance"][own] < MOLECULES.message_cutoff).all()
        # two atoms are a pair once
        assert (pairs.columns["receiver"][own] <= pairs.columns["sender"][own]).all()
    assert codec.layout.ragged[0][1] == atoms.columns["densities"].shape[1]
    plain = fit(structures, molecules=Geometry(cutoff=4.0, n_radial=8))
    assert set(encode(plain, structures).ragged) == {"atoms"}


CHANGES = {
    **{("crystals", name): change for name, change in SAME_CRYSTALS.items()},
    **{("molecules", name): change for name, change in SAME_MOLECULES.items()},
    ("crystals", "pymatgen"): as_pymatgen,
    ("molecules", "pymatgen"): as_pymatgen,
}


@pytest.mark.parametrize(("kind", "change"), CHANGES, ids=" ".join)
def test_the_same_structure_is_encoded_alike(kind, change):
    structures = KINDS[kind]()
    codec = fit(structures)
    one, other = (
        encode(codec, own) for own in (structures, list(map(CHANGES[kind, change], structures)))
    )
    assert_allclose(other.values, one.values, atol=1e-4)
    atoms, same = one.ragged["atoms"], other.ragged["atoms"]
    assert_array_equal(atoms.lengths, same.lengths)
    for row, start in enumerate(atoms.starts):
        own = slice(start, start + atoms.lengths[row])
        # in any order: atoms are sorted by element, and then by what is around them
        tables = [
            np.column_stack([p.columns["numbers"][own], p.columns["densities"][own]])
            for p in (atoms, same)
        ]
        distances = np.abs(tables[0][:, None] - tables[1][None]).max(axis=2)
        # deviations of 1e-4 of the largest count: float32 has 1e-7 of it, which is 1e-3 then
        assert distances.min(axis=1).max() < 2e-3


def test_a_missing_structure_is_the_mean_without_atoms(of_salts):
    structures, codec = of_salts
    encoded = encode(codec, [structures[0], None, np.nan, structures[1]])
    assert_array_equal(encoded.measured.any(axis=1), [True, False, False, True])
    assert_array_equal(encoded.measured.all(axis=1), [True, False, False, True])
    assert_array_equal(encoded.values[1:3], [codec.missing_row()] * 2)
    assert_array_equal(encoded.ragged["atoms"].lengths, [2, 0, 0, 2])
    none = encode(codec, [None, None])
    assert_array_equal(none.ragged["atoms"].lengths, [0, 0])
    assert not none.values.any()


def test_rows_in_chunks_are_rows_at_once(monkeypatch, fitted):
    structures, codec = fitted
    some = [structures[0], None, *structures[1:]]
    whole = encode(codec, some)
    monkeypatch.setattr(_codec, "_AT_ONCE", 2)
    parts, again = encode(codec, some), fit(structures)
    assert_array_equal(parts.values, whole.values)
    for name, own in whole.ragged.items():
        assert_array_equal(own.lengths, parts.ragged[name].lengths)
        assert_array_equal(own.starts[own.lengths > 0], parts.ragged[name].starts[own.lengths > 0])
        for column, values in own.columns.items():
            assert_array_equal(parts.ragged[name].columns[column], values)
    assert_array_equal(again.projection, codec.projection)
    assert_array_equal(again.mean, codec.mean)


# -- what is learnt


def test_rows_that_are_held_out_are_not_learnt_from():
    structures = salts()[0]
    rows = np.array([0, 5, 9, 12])
    some, alone = fit(structures, rows), fit([structures[i] for i in rows])
    for name in ("elements", "mean", "deviation", "unit", "centre", "projection", "known_values"):
        assert_array_equal(getattr(some, name), getattr(alone, name))
    assert len(some.known) == 4


def test_moments_of_chunks_are_those_of_repeated_rows(monkeypatch):
    generator = np.random.default_rng(0)
    values = generator.normal(3, 2, (20, 4)).astype(np.float32)
    weight = generator.integers(1, 5, 20)
    every = np.repeat(values.astype(np.float64), weight, axis=0)
    monkeypatch.setattr(_codec, "_ATOMS_AT_ONCE", 6)  # the last chunk is a shorter one
    mean, covariance = moments(values, weight.astype(np.float64))
    # a hundred roundings of numbers up to some tens
    assert_allclose(mean, every.mean(axis=0), rtol=1e-12)
    assert_allclose(covariance, np.cov(every.T, bias=True), rtol=1e-12, atol=1e-12)


def test_entries_take_few_bytes():
    ragged = encode(fit(molecules()[0]), molecules()[0]).ragged
    sizes = {part: {k: v.itemsize for k, v in own.columns.items()} for part, own in ragged.items()}
    assert sizes == {
        "atoms": {"numbers": 1, "densities": 4, "counts": 4, "members": 1},
        "pairs": {"receiver": 1, "sender": 1, "distance": 4, "number": 1},
    }


def test_pairs_of_many_atoms_take_more_bytes(monkeypatch):
    """Also where a smaller molecule comes first, in another chunk."""
    rng = np.random.default_rng(0)
    grid = 1.6 * np.argwhere(np.ones((7, 7, 6)))
    large = Atoms(numbers=np.full(len(grid), 6), positions=grid + rng.uniform(0, 0.3, grid.shape))
    small = molecules()[0][0]
    codec = fit([small, large], molecules=Geometry(cutoff=2.0, n_radial=4, message_cutoff=2.0))
    monkeypatch.setattr(_codec, "_AT_ONCE", 1)
    both = encode(codec, [small, large]).ragged["pairs"]
    assert both.columns["sender"].dtype == both.columns["receiver"].dtype == np.int16
    for row, structure in enumerate((small, large)):
        alone = encode(codec, [structure]).ragged["pairs"]
        own = slice(both.starts[row], both.starts[row] + both.lengths[row])
        for name, values in alone.columns.items():
            assert_array_equal(both.columns[name][own], values)
    assert both.columns["sender"].max() == len(large) - 1


@pytest.mark.parametrize("method", ["prepare", "fit", "encode", "check_cells", "note_unlearnt"])
def test_few_structures_are_in_memory(monkeypatch, method):
    monkeypatch.setattr(_codec, "_AT_ONCE", 2)
    monkeypatch.setattr(_codec, "_ENOUGH", 3)
    X = table_of(salts()[0])
    codec = codec_of(X)
    dtype = codec.prepare(X)
    if method != "fit":
        codec.fit(X, dtype)
    alive, most = [], 0

    def watched(cell):
        nonlocal alive, most
        structure = read_structure(cell)
        alive = [own for own in alive if own() is not None] + [ref(structure.numbers)]
        most = max(most, len(alive))
        return structure

    monkeypatch.setattr(_codec, "read_structure", watched)
    codec.fit(X, dtype) if method == "fit" else getattr(codec, method)(X)
    # a chunk while the next one is read; those that are known; and one that is looked at
    assert 0 < most <= 2 * 2 + 1


def test_a_large_table_leaves_nothing_in_the_cache(monkeypatch):
    """Neither do the few structures of it that are enough to learn from, and would fit in."""
    structures = salts()[0]
    X = table_of(structures)
    monkeypatch.setattr(_codec, "_ENOUGH", 2)
    cache = SurroundingsCache(10**6)
    monkeypatch.setattr(_codec, "CACHE", cache)
    fit(structures)
    n_bytes = cache.n_bytes
    assert len(cache) == 2
    cache.clear()
    cache.max_bytes = n_bytes
    fit(structures).encode(X)
    assert not len(cache)


def test_a_growing_array_is_its_parts():
    rng = np.random.default_rng(0)
    lengths = {0: "u1", 3: "u1", 1: "i2", 40: "u1", 7: "i4", 5: "i2"}
    parts = [rng.integers(0, 100, (n, 2)).astype(kind) for n, kind in lengths.items()]
    growing = _codec._Growing()
    for own in parts:
        growing.add(own)
    found = growing.array()
    assert_array_equal(found, np.concatenate(parts))
    assert found.dtype == np.int32
    assert found.base is None  # no room is left behind it


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_is_a_repetition(kind):
    structures = KINDS[kind]()
    weight = 1.0 + np.arange(len(structures)) % 3
    rows = np.repeat(np.arange(len(structures)), weight.astype(int))
    weighted = fit(structures, weight=weight)
    repeated = fit([structures[i] for i in rows])
    for name in ("mean", "deviation", "unit", "centre", "projection"):
        # each is a sum of float32 in another order
        assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-4, atol=1e-6)
    plain = fit(structures)
    assert np.abs(plain.mean - repeated.mean).max() > 1e-3


def test_few_elements_are_told_apart_and_many_by_their_properties(of_salts):
    _, many = of_salts
    few = fit([bulk("NaCl", "rocksalt", a=a) for a in (5.5, 5.6, 5.7)])
    assert few.channels.n_channels == 2
    assert many.channels.n_channels == 5


def test_of_too_many_some_are_enough(monkeypatch):
    structures = salts()[0]
    whole = fit(structures)
    monkeypatch.setattr(_codec, "_ENOUGH", 6)
    some = fit(structures)
    assert len(some.known) == len(some.known_values) == 6
    assert_array_equal(some.elements, whole.elements)  # those of all rows
    assert np.isfinite(encode(some, structures).values).all()


@pytest.mark.parametrize("kind", KINDS)
def test_of_too_many_atoms_some_are_enough(monkeypatch, kind):
    """The values that come back are of all; surroundings are learnt of some structures."""
    structures = KINDS[kind]()
    whole = fit(structures)
    monkeypatch.setattr(_codec, "_ENOUGH_ATOMS", 10)
    some = fit(structures)
    assert_allclose(some.mean, whole.mean, rtol=1e-12)
    assert_array_equal(some.known_values, whole.known_values)
    assert not np.allclose(some.centre, whole.centre)


# -- decode


def test_a_training_row_is_nearest_to_itself(fitted):
    structures, codec = fitted
    ((positions, cells),) = codec.decode(encode(codec, structures).values)
    assert positions == [0]
    assert cells.shape == (len(structures), 1)
    for own, found in zip(structures, cells[:, 0], strict=True):
        assert found is not own
        assert_array_equal(found.numbers, own.numbers)
        assert_array_equal(found.positions, own.positions)
        # a root of a difference of float32
        assert found.info["mismatch"] < 2e-3


def test_what_was_decoded_is_said(of_salts):
    structures, codec = of_salts
    ((_, cells),) = codec.decode(encode(codec, structures).values)
    for own, found in zip(structures, cells[:, 0], strict=True):
        info = found.info
        symbols = own.get_chemical_symbols()
        assert info["composition"] == pytest.approx(dict.fromkeys(symbols, 0.5), abs=1e-4)
        assert info["volume_per_atom"] == pytest.approx(own.get_volume() / 2, rel=1e-5)
        assert info["radial_density"].shape == info["distances"].shape == (10,)
        assert (info["radial_density"] >= 0).all()


def test_the_mismatch_is_in_standard_deviations(of_salts):
    """Of values that are off by one deviation of their field each, it is near 1."""
    structures, codec = of_salts
    values = encode(codec, structures[:1]).values.astype(np.float64)
    ((_, cells),) = codec.decode(values + 100)
    difference = np.sqrt((((values + 100) - codec.known_values) ** 2).mean(axis=1)).min()
    assert cells[0, 0].info["mismatch"] == pytest.approx(difference, rel=1e-4)


def test_the_composition_is_shares_without_those_of_nothing(of_salts):
    _, codec = of_salts
    raw = codec.mean.copy()
    raw[codec.fields["composition"]] = [0.6, -0.3, 0.0, 0.2, 0.001, 0.0, 0.0]
    raw[-1] = 1e9  # no overflow
    found = codec.describe((raw - codec.mean) / codec.unit)
    assert list(found["composition"]) == ["Li", "Cl"]
    assert found["composition"]["Li"] == pytest.approx(0.6 / 0.801, abs=1e-4)
    assert np.isfinite(found["volume_per_atom"])


@pytest.mark.parametrize(
    ("pbc", "name"),
    [
        ((1, 1, 1), "volume_per_atom"),
        ((1, 1, 0), "area_per_atom"),
        ((1, 0, 0), "length_per_atom"),
        ((0, 0, 0), "n_atoms"),
    ],
    ids=str,
)
def test_the_size_has_a_name(pbc, name):
    structures = salts()[0][:4]
    for own in structures:
        own.pbc = pbc
    codec = fit(structures)
    assert codec.size_name == name
    ((_, cells),) = codec.decode(encode(codec, structures).values)
    assert cells[0, 0].info[name] > 0


def test_no_rows_are_decoded_to_no_rows(of_salts):
    _, codec = of_salts
    ((_, cells),) = codec.decode(np.zeros((0, codec.layout.n_values)))
    assert cells.shape == (0, 1)


# -- elements that were not learnt


def test_unknown_elements_are_told(of_salts):
    structures, codec = of_salts
    cesium = bulk("CsI", "rocksalt", a=6.5)
    encode(codec, structures)
    message = r"^1 of 3 structures in column 'structure' have elements .* \(Cs\); .* properties al"
    with pytest.warns(UnseenCategoryWarning, match=message):
        encoded = encode(codec, [cesium, structures[0], None])
    # it has no share of the elements that were learnt
    raw = encoded.values[0] * codec.unit + codec.mean
    assert_allclose(raw[codec.fields["composition"]], [0, 0, 0, 0, 0, 0, 0.5], atol=1e-6)


def test_elements_of_rows_held_out_are_known():
    structures = [*salts()[0], bulk("CsI", "rocksalt", a=6.5)]
    codec = fit(structures, rows=np.arange(24))
    assert 55 not in codec.elements
    encode(codec, structures)
    later = fit(salts()[0])
    with pytest.warns(UnseenCategoryWarning):
        encode(later, structures)
    later.note_unlearnt(table_of(structures))
    encode(later, structures)
    with pytest.warns(UnseenCategoryWarning, match=r"\(Rb\)"):
        encode(later, [bulk("RbI", "rocksalt", a=6.5)])


# -- in files


def test_the_state_is_plain(fitted):
    structures, codec = fitted
    state = codec.get_state()
    for name, value in state.items():
        if isinstance(value, np.ndarray):
            assert value.dtype != object, name
        else:
            json.dumps(value)
    loaded = codec_of(table_of(structures))
    loaded.set_state(state)
    one, other = encode(codec, structures), encode(loaded, structures)
    assert_array_equal(one.values, other.values)
    assert loaded.layout == codec.layout
    assert loaded.numeric == codec.numeric
    assert one.values.dtype == other.values.dtype
    for name, own in one.ragged.items():
        for column, values in own.columns.items():
            assert_array_equal(other.ragged[name].columns[column], values)
    cells, expected = (own.decode(one.values)[0][1][:, 0] for own in (loaded, codec))
    assert all(a == b for a, b in zip(cells, expected, strict=True))
    assert_array_equal(loaded.affine(), codec.affine())


# -- what is refused


def test_tables_that_are_refused():
    crystals = salts()[0][:3]
    with pytest.raises(ValueError, match=r"cells of one column, but the block has 2 .*'a', 'b'"):
        codec_of(pd.DataFrame({"a": as_cells(crystals), "b": as_cells(crystals)}), (0, 1)).prepare(
            pd.DataFrame()
        )
    X = table_of([None, None])
    message = r"Column 'structure' has no structure in any row: all cells are missing. Drop it, or"
    with pytest.raises(ValueError, match=message):
        codec_of(X).prepare(X)
    X = table_of([None, *crystals])
    codec = codec_of(X)
    message = "has no structure in the rows to learn from: all cells are missing. Drop it, or pass"
    with pytest.raises(ValueError, match=message):
        codec.fit(X, codec.prepare(X), rows=np.array([0]))


def test_rows_are_named(of_salts):
    """Behind missing ones, and in a later chunk."""
    structures, codec = of_salts
    far = Atoms("NaCl", [[0, 0, 0], [15, 0, 0]], cell=[30, 30, 30], pbc=True)
    some = [None, *structures, far]
    for call in (lambda: encode(codec, some), lambda: fit(some)):
        with pytest.raises(
            ValueError, match=r"in row 25, .* no neighbour within the cutoff of 5 "
        ):
            call()
    assert codec.can_describe(read_structure(structures[0]))
    assert not codec.can_describe(read_structure(far))


def test_classes_tell_which_atoms_are_one(of_salts):
    structures, codec = of_salts
    two = doubled(structures[3])
    (classes,) = codec.classes_of([read_structure(two)])
    assert classes.shape == (4,)
    for z in set(two.numbers):
        assert len(set(classes[two.numbers == z])) == 1
    (other,) = codec.classes_of([read_structure(reordered(two))])
    assert sorted(other) == sorted(classes)


def test_cells_are_checked(of_salts):
    structures, codec = of_salts
    codec.check_cells(table_of([None, structures[0]]))
    with pytest.raises(ValueError, match="had crystals in fit, but holds a molecule in row 1"):
        codec.check_cells(table_of([None, molecule("H2O")]))
    with pytest.raises(TypeError, match=r"row 0 holds 1\.5, which is float"):
        codec.check_cells(table_of([1.5]))
