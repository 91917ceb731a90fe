"""Tests of the simulated crystals."""

import builtins

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae.datasets import _crystals, make_crystals

pytest.importorskip("ase")

PROTOTYPES = _crystals._PROTOTYPES
every_prototype = pytest.mark.parametrize("name", PROTOTYPES)


def compositions(name):
    return list(_crystals._compositions(PROTOTYPES[name]))


@every_prototype
def test_bonds_are_those_that_ase_finds(name):
    """Each cation's bonds to anions: their number on both ends, and their length."""
    from ase.neighborlist import neighbor_list

    prototype = PROTOTYPES[name]
    ions = compositions(name)[0]
    atoms, constant = _crystals._build(prototype, ions, 0.0)
    sites = np.array(prototype.sites)
    anion = len(ions) - 1
    for cation, n_anions, n_cations, length in prototype.bonds:
        first, second = neighbor_list("ij", atoms, 1.001 * length * constant)
        shorter = neighbor_list("i", atoms, 0.999 * length * constant)
        of_pair = (sites[first] == cation) & (sites[second] == anion)
        assert of_pair.sum() == n_anions * (sites == cation).sum()
        assert of_pair.sum() == n_cations * (sites == anion).sum()
        if cation == anion - 1:  # the smallest cation is the nearest
            assert not len(shorter)


@every_prototype
@pytest.mark.parametrize("strain", [0.0, 0.03])
def test_ions_touch_and_charges_cancel(name, strain):
    prototype = PROTOTYPES[name]
    assert len(compositions(name)) >= 40
    for ions in compositions(name)[::7]:
        assert sum(ions[i][1] * (1 if i < len(ions) - 1 else -1) for i in prototype.sites) == 0
        _, constant = _crystals._build(prototype, ions, strain)
        rooms = [
            length * constant / (ions[cation][2] + ions[-1][2])
            for cation, _, _, length in prototype.bonds
        ]
        assert min(rooms) == pytest.approx(1 + strain, rel=1e-12)


def test_a_frequency_by_hand():
    """MgO: six springs of 4 e^2 / (4 pi eps0 d^3), and d is the sum of .72 and 1.40 Angstrom."""
    from scipy.constants import c, e, epsilon_0, pi, u

    ions = (("Mg", 2, 0.72), ("O", 2, 1.40))
    atoms, constant = _crystals._build(PROTOTYPES["rocksalt"], ions, 0.0)
    assert constant == pytest.approx(2 * 2.12)
    found = _crystals._frequencies(PROTOTYPES["rocksalt"], ions, constant, atoms)
    spring = 4 * e**2 / (4 * pi * epsilon_0 * 2.12e-10**3)
    expected = np.sqrt(6 * spring / 3 / (atoms.get_masses() * u)) / (2 * pi * c) / 100
    assert_allclose(found, expected, rtol=1e-5)  # of the constants' digits
    assert atoms.get_masses() == pytest.approx([24.305, 15.999])


def test_the_target_is_the_mean_over_atoms():
    dataset = make_crystals(30, noise=0.0, random_state=0)
    assert_array_equal(dataset.target, dataset.noise_free_target)
    assert_allclose(dataset.target.sum(axis=1), 1, rtol=1e-12)
    assert dataset.target.min() >= 0
    for atoms, own, mean in zip(
        dataset.data["structure"], dataset.atom_spectra, dataset.target, strict=True
    ):
        assert own.shape == (len(atoms), 20)
        assert_allclose(own.mean(axis=0), mean, rtol=1e-12, atol=1e-15)
        # equal elements swing in the same way
        for symbol in set(atoms.symbols):
            same = own[[s == symbol for s in atoms.symbols]]
            assert_array_equal(same, np.broadcast_to(same[0], same.shape))
    # the mean of a peak is its frequency, where it lies within the bins; which round it
    means = dataset.target @ dataset.frequencies
    inside = (dataset.mean_frequency > 150) & (dataset.mean_frequency < 400)
    assert inside.sum() > 5
    assert_allclose(means[inside], dataset.mean_frequency[inside], atol=5)


def test_noise_changes_the_target_alone():
    clean, noisy = (make_crystals(300, noise=noise, random_state=3) for noise in (0.0, 0.2))
    assert clean.data["structure"].tolist() == noisy.data["structure"].tolist()
    assert_array_equal(clean.target, noisy.noise_free_target)
    large = clean.target > 1e-3
    logarithm = np.log(noisy.target[large] / clean.target[large])
    # the standard error of a standard deviation is 1 / sqrt(2 n) of it
    assert logarithm.std() == pytest.approx(0.2, rel=5 / np.sqrt(2 * large.sum()))


def test_random_state():
    first, again, other = (make_crystals(8, random_state=seed) for seed in (0, 0, 1))
    assert first.data["structure"].tolist() == again.data["structure"].tolist()
    assert_array_equal(first.target, again.target)
    assert first.formula.tolist() != other.formula.tolist()
    data, target = make_crystals(8, random_state=0, return_X_y=True)
    assert data.equals(first.data)
    assert_array_equal(target, first.target)


def test_prototypes_are_chosen():
    dataset = make_crystals(40, prototypes=["perovskite", "fluorite"], random_state=0)
    assert set(dataset.prototype) == {"perovskite", "fluorite"}
    sizes = dataset.data["structure"].map(len)
    assert set(sizes[dataset.prototype == "perovskite"]) == {5}
    assert set(sizes[dataset.prototype == "fluorite"]) == {3}
    assert set(make_crystals(100, random_state=0).prototype) == set(PROTOTYPES)


@pytest.mark.parametrize("prototypes", ["rocksalt", ["wurtzite"], [], [3]])
def test_unknown_prototypes(prototypes):
    with pytest.raises(ValueError, match=r"The 'prototypes' parameter of make_crystals.* [Gg]ot "):
        make_crystals(3, prototypes=prototypes)


@pytest.mark.parametrize(
    "kwargs", [{"n_samples": 0}, {"noise": -1.0}, {"return_X_y": 2}, {"random_state": "a"}]
)
def test_parameters_are_validated(kwargs):
    (name,) = kwargs
    with pytest.raises(ValueError, match=rf"The '{name}' parameter of make_crystals"):
        make_crystals(**kwargs)


def test_without_ase(monkeypatch):
    original = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "ase":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"make_crystals gives ase\.Atoms.*'\.\[atoms\]'"):
        make_crystals(2)
