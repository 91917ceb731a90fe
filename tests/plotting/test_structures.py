"""Columns of structures: the values that are compared, and the rows that are drawn."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae import SupervisedAutoencoder
from sknestedae.blocks import AtomsBlock
from sknestedae.datasets import make_crystals
from sknestedae.plotting import ReconstructionDisplay, TraversalDisplay
from sknestedae.plotting._structures import compare_structures, has_structures

pytest.importorskip("ase")


@pytest.fixture(scope="module")
def crystals():
    return make_crystals(24, random_state=0).data


@pytest.fixture(scope="module")
def sae(crystals):
    block = AtomsBlock(n_units=8, cutoff=5.0, n_radial=9)
    return SupervisedAutoencoder(
        4, blocks=[("crystal", block, "structure")], max_iter=3, random_state=0
    ).fit(crystals)


def molecules():
    from ase.build import molecule

    return pd.Series([molecule(name) for name in ("H2O", "CH4", "NH3")], dtype=object)


def test_which_columns_have_structures(crystals):
    assert has_structures(crystals["structure"])
    assert not has_structures(pd.Series(["NaCl", None, [1, 2]], dtype=object))
    assert not has_structures(pd.Series([1.0, 2.0]))


@pytest.mark.parametrize("kind", ["crystals", "molecules"])
def test_a_structure_agrees_with_itself(crystals, kind):
    column = crystals["structure"] if kind == "crystals" else molecules()
    values = compare_structures(column, column)
    assert_array_equal(values.given, values.decoded)
    assert values.measured.all()
    assert values.same_formula.all()
    assert values.r2() == 1
    assert not values.row_errors().any()
    composition, _, size = values.fields()
    assert_allclose(values.given[:, composition].sum(axis=1), 1)
    first = column.iloc[0]
    expected = first.get_volume() / len(first) if kind == "crystals" else len(first)
    assert_allclose(np.exp(values.given[0, size]), expected)
    assert values.size == ("Å³ an atom" if kind == "crystals" else "atoms")


def test_what_came_back_is_what_was_decoded(sae, crystals):
    """The values of the nearest structure itself are not compared, but those in its info."""
    back = sae.inverse_transform(sae.transform(crystals))["structure"]
    values = compare_structures(crystals["structure"], back)
    composition, radial, size = values.fields()
    for row, cell in enumerate(back):
        found = dict(zip(values.elements, values.decoded[row, composition], strict=True))
        assert {symbol: s for symbol, s in found.items() if s} == cell.info["composition"]
        assert_array_equal(values.decoded[row, radial], cell.info["radial_density"])
        assert_allclose(np.exp(values.decoded[row, size]), cell.info["volume_per_atom"])
    assert_allclose(values.distances, np.linspace(0.5, 5.0, 9))


def test_given_values_are_those_that_the_block_learns(sae, crystals):
    """Encoded and described, a structure has the values that the display computes."""
    from ase.data import atomic_numbers

    from sknestedae._estimators._fitted import fitted_part

    back = sae.inverse_transform(sae.transform(crystals))["structure"]
    values = compare_structures(crystals["structure"], back)
    encoded = fitted_part(sae).table.transform(crystals)["crystal"].values
    # the block has the elements of the table in the order of their numbers
    seen = np.flatnonzero(values.given[:, values.fields()[0]].any(axis=0))
    seen = sorted(seen, key=lambda k: atomic_numbers[values.elements[k]])
    columns = [*seen, *range(len(values.elements), values.given.shape[1])]
    # each is a line of the other, with one slope and offset a column
    for own, other in zip(values.given[:, columns].T, encoded.T, strict=True):
        if np.ptp(other) > 1e-6:
            assert np.corrcoef(own, other)[0, 1] == pytest.approx(1, abs=1e-5)


def test_a_missing_structure_is_left_out(sae, crystals):
    part = crystals.copy()
    part.loc[[3, 5], "structure"] = None
    back = sae.inverse_transform(sae.transform(part))["structure"]
    values = compare_structures(part["structure"], back)
    assert np.flatnonzero(~values.measured).tolist() == [3, 5]
    display = ReconstructionDisplay.from_estimator(sae, part)
    assert display.metrics_.loc["structure", "n_samples"] == 22
    (rows,) = display.rows_
    assert len(rows) == 4
    assert not {3, 5} & set(rows)
    assert len(display.artists_[0]) == 16


def test_the_panel(sae, crystals):
    display = ReconstructionDisplay.from_estimator(sae, crystals)
    back = sae.inverse_transform(sae.transform(crystals))["structure"]
    values = compare_structures(crystals["structure"], back)
    same = [
        a.symbols.formula.reduce()[0].count() == b.symbols.formula.reduce()[0].count()
        for a, b in zip(crystals["structure"], back, strict=True)
    ]
    assert display.metrics_.loc["structure", "accuracy"] == np.mean(same)
    assert display.metrics_.loc["structure", "r2"] == values.r2()
    assert f"R² {values.r2():.3f}" in display.axes_[0].get_title()
    error = values.row_errors()[display.rows_[0]]
    assert (np.diff(error) >= 0).all()
    titles = [panel.get_title(loc="left") for panel in display.axes_[0].child_axes[::2]]
    assert titles == ["Q1", "Q2", "Q3", "Q4"]


def test_fields_count_the_same():
    """A change by the spread of a field is the same error, whichever field it is."""
    column = molecules()
    values = compare_structures(column, column)
    errors = []
    for own in values.fields():
        spread = np.sqrt(values.given[:, own].var(axis=0).sum())
        decoded = values.given.copy()
        decoded[0, own.start] += spread
        errors.append(values._replace(decoded=decoded).row_errors()[0])
    assert_allclose(errors, np.sqrt(1 / 3), rtol=1e-6)


def test_beside_other_columns(sae, crystals):
    table = crystals.assign(pressure=np.linspace(0, 1, 24))
    back = table.copy()
    back["structure"] = sae.inverse_transform(sae.transform(crystals))["structure"].to_numpy()
    display = ReconstructionDisplay.from_reconstruction(table, back)
    assert display.metrics_.index.to_list() == ["structure", "pressure"]
    assert display.metrics_.loc["pressure", "mae"] == 0


def test_a_list_of_structures_is_a_column():
    """Also of molecules with equal numbers of atoms, which pandas would take for a table."""
    for column in (molecules(), molecules().iloc[[0, 0, 0]]):
        given, y = column.tolist(), np.arange(3.0)
        block = AtomsBlock(n_units=8)
        sae = SupervisedAutoencoder(2, blocks=block, max_iter=2, random_state=0).fit(given, y)
        display = ReconstructionDisplay.from_estimator(sae, given)
        assert display.metrics_["n_samples"].tolist() == [3]
        assert TraversalDisplay.from_estimator(sae, given).columns_ == ["target"]


def test_a_column_without_any(crystals):
    nothing = pd.DataFrame({"structure": pd.Series([None] * 4, dtype=object)})
    display = ReconstructionDisplay.from_reconstruction(nothing, crystals.iloc[:4])
    assert "not measured" in display.axes_[0].get_title()
