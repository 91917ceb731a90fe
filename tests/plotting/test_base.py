"""What the displays share."""

import pytest

from sknestedae.plotting._base import with_unit


@pytest.mark.parametrize(
    ("name", "unit", "expected"),
    [
        ("PCE", "%", "PCE (%)"),
        ("PCE (%)", "%", "PCE (%)"),
        ("PCE [%]", "%", "PCE [%]"),
        ("E / eV", "eV", "E / eV"),
        ("E/eV", "eV", "E/eV"),
        ("gap in eV", "eV", "gap in eV"),
        ("gap, eV", "eV", "gap, eV"),
        ("PCE (%)", "ppm", "PCE (%) (ppm)"),
        ("level", "el", "level (el)"),
        ("PCE (%)", "", "PCE (%)"),
    ],
)
def test_a_unit_is_written_once(name, unit, expected):
    assert with_unit(name, unit) == expected
