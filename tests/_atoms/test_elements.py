"""Properties of the elements."""

import ase.data
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae._atoms._elements import (
    ELECTRONEGATIVITY,
    LAST_IN_TABLE,
    PROPERTIES,
    RADIUS,
    SYMBOLS,
    VALENCE,
    WEIGHT,
    element_properties,
    element_values,
)

ALL = np.arange(1, LAST_IN_TABLE + 1)


def column(name):
    (found,) = (j for j, prop in enumerate(PROPERTIES) if name in prop)
    return found


def values(symbols, name):
    return element_values(numbers(symbols))[:, column(name)]


def numbers(symbols):
    return np.array([ase.data.atomic_numbers[symbol] for symbol in symbols.split()])


def test_the_table_is_complete():
    table = element_values(ALL)
    assert table.shape == (103, len(PROPERTIES))
    assert np.isfinite(table).all()
    assert list(SYMBOLS) == ase.data.chemical_symbols[1 : LAST_IN_TABLE + 1]
    assert PROPERTIES[WEIGHT].startswith("log of the atomic weight")


def test_weights_and_radii_are_those_of_ase():
    table = element_values(ALL)
    # an element without a stable isotope has a whole number here
    assert_allclose(
        np.exp(table[:, WEIGHT]), ase.data.atomic_masses[1 : LAST_IN_TABLE + 1], rtol=5e-4
    )
    with_radius = slice(0, 96)  # Cordero's table ends with curium
    expected = ase.data.covalent_radii[1:97]
    assert_allclose(table[with_radius, RADIUS], expected, rtol=1e-12)


def test_values_of_carbon():
    carbon = dict(zip(PROPERTIES, element_values(np.array([6]))[0], strict=True))
    assert carbon["electronegativity on Pauling's scale"] == 2.55
    assert carbon["first ionisation energy in eV"] == pytest.approx(11.26, abs=0.01)
    assert carbon["number of valence electrons"] == 4
    assert (carbon["period"], carbon["group"]) == (2, 14)
    assert carbon["filled share of the p shell"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("symbols", "group", "valence"),
    [
        ("H Li Na K Rb Cs Fr", 1, 1),
        ("Be Mg Ca Sr Ba Ra", 2, 2),
        ("Sc Y Lu Lr La Ce Gd Yb U No", 3, 3),
        ("Fe Ru Os", 8, 8),
        ("Zn Cd Hg", 12, 12),
        ("B Al Ga In Tl", 13, 3),
        ("F Cl Br I At", 17, 7),
        ("Ne Ar Kr Xe Rn", 18, 8),
        ("He", 18, 2),
    ],
)
def test_groups(symbols, group, valence):
    assert_array_equal(values(symbols, "group"), group)
    assert_array_equal(values(symbols, "valence"), valence)


def test_periods():
    lasts = numbers("He Ne Ar Kr Xe Rn")
    assert_array_equal(values("He Ne Ar Kr Xe Rn", "period"), np.arange(1, 7))
    assert_array_equal(element_values(lasts + 1)[:, column("period")], np.arange(2, 8))


@pytest.mark.parametrize(
    ("symbols", "spdf"),
    [
        ("H", [0.5, 0, 0, 0]),
        ("He", [1, 0, 0, 0]),
        ("Ne Ar", [1, 1, 0, 0]),
        ("Kr Xe", [1, 1, 1, 0]),
        ("Rn", [1, 1, 1, 1]),
        ("Sc Y", [1, 0, 0.1, 0]),
        ("Lu Lr", [1, 0, 0.1, 1]),
        ("La Ac", [1, 0, 0, 1 / 14]),
        ("Yb No", [1, 0, 0, 1]),
        ("Ga", [1, 1 / 6, 1, 0]),
    ],
)
def test_shells(symbols, spdf):
    columns = [column(f"the {shell} shell") for shell in "spdf"]
    rows = element_values(numbers(symbols))[:, columns]
    assert_allclose(rows, np.tile(spdf, (len(rows), 1)))


@pytest.mark.parametrize(
    ("symbols", "name", "sign"),
    [
        ("F Cl Br I", "radius", 1),
        ("F Cl Br I", "electronegativity", -1),
        ("F Cl Br I At", "ionisation", -1),
        ("He Ne Ar Kr Xe Rn", "polarisability", 1),
        ("Ne Ar Kr Xe", "electronegativity", -1),
        ("Na K Rb Cs", "polarisability", 1),
        ("Li Be B C N O F", "electronegativity", 1),
        ("La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu", "electronegativity", 1),
        ("La Ce Pr Nd Pm Sm Gd Tb Dy Er Yb", "radius", -1),
    ],
)
def test_trends(symbols, name, sign):
    assert (np.diff(values(symbols, name)) * sign > 0).all()


def test_standardised_over_the_table():
    table = element_properties(ALL)
    assert_allclose(table.mean(axis=0), 0, atol=1e-12)
    assert_allclose(table.std(axis=0), 1, rtol=1e-12)
    for one, two in zip(table.T, element_values(ALL).T, strict=True):
        assert np.corrcoef(one, two)[0, 1] > 1 - 1e-12


@pytest.mark.parametrize(
    ("one", "alike", "other"),
    [("Cl", "Br", "Na"), ("Zr", "Hf", "Sn"), ("Nd", "Pr", "Hf"), ("K", "Rb", "Ca")],
)
def test_elements_of_a_group_are_alike(one, alike, other):
    own, near, far = element_properties(numbers(f"{one} {alike} {other}"))
    assert np.linalg.norm(near - own) < np.linalg.norm(far - own)


def test_beyond_the_table_the_group_decides():
    assert_array_equal(element_values(numbers("Rf Og Ts")), element_values(numbers("Hf Rn At")))
    beyond = np.arange(LAST_IN_TABLE + 1, 119)
    assert np.isfinite(element_properties(beyond)).all()
    assert_array_equal(element_properties(numbers("Db")), element_properties(numbers("Ta")))


def test_the_table_cannot_be_changed():
    assert element_values(ALL).flags.writeable  # a copy
    element_values(ALL)[:] = 0
    assert element_values(ALL)[0, ELECTRONEGATIVITY] == 2.2
    assert element_values(ALL)[0, VALENCE] == 1
