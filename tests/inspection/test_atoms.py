"""Scores of atoms: they add up, they are those of equal atoms, and deletion is what it says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from cases.array_tables import as_cells
from cases.structures import SETTINGS, atoms_block, crooked, doubled, molecules, reordered, salts
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from sknestedae import NestedAutoencoder, SupervisedAutoencoder, SupervisedAutoencoderClassifier
from sknestedae._atoms import _surroundings
from sknestedae._atoms._surroundings import CACHE, surroundings_of
from sknestedae._layers._atoms import AtomsEncoder
from sknestedae._tables._structures import structure_key
from sknestedae.blocks import SpectrumBlock
from sknestedae.exceptions import NoTargetError
from sknestedae.inspection import _atoms, atom_predictions, atom_scores

SCORES = ["share", "attention", "deletion"]


def make(kind=SupervisedAutoencoder, per_atom=True, **settings):
    return kind(blocks=atoms_block(per_atom=per_atom), **{**SETTINGS, **settings})


def sums(scores, column):
    """Sum a score over the atoms of each structure."""
    return scores[column].groupby(level="row", sort=False).sum().to_numpy()


@pytest.fixture(scope="module")
def of_crystals():
    X = crooked()
    return make().fit(X, np.arange(float(len(X)))), X


@pytest.fixture(scope="module")
def of_molecules():
    X, y = molecules()
    return make().fit(X, y), X


def test_deletion_looks_once_and_leaves_the_cache_as_it_was(of_molecules, monkeypatch):
    """What is left of a structure without an atom is asked for by no other call."""
    model, X = of_molecules
    CACHE.clear()
    model.predict(X)
    n_bytes, seen = CACHE.n_bytes, []

    def watched(structures, *rest):
        seen.extend(structure_key(own) for own in structures)
        return surroundings_of(structures, *rest)

    monkeypatch.setattr(_surroundings, "surroundings_of", watched)
    atom_scores(model, X)
    assert CACHE.n_bytes == n_bytes
    assert len(seen) == len(set(seen)) > len(X)


@pytest.mark.parametrize("n_members", [1, 2])
def test_shares_add_up_to_the_prediction(n_members):
    for X, y in (molecules(), (crooked(), np.arange(6.0))):
        model = make(n_members=n_members).fit(X, y)
        # rounding of single precision, in the unit of the target
        assert_allclose(sums(atom_scores(model, X), "share"), model.predict(X), atol=1e-5)


def test_shares_of_several_outputs():
    X, y = molecules()
    Y = np.column_stack([y, -3 * y, np.sin(y)])
    model = make().fit(X, Y)
    for k in range(3):
        found = sums(atom_scores(model, X, output=k), "share")
        assert_allclose(found, model.predict(X)[:, k], atol=1e-5)
    # without an output, the mean of several
    assert_allclose(sums(atom_scores(model, X), "share"), model.predict(X).mean(axis=1), atol=1e-5)


def test_attention_is_one_in_all(of_crystals, of_molecules):
    for model, X in (of_crystals, of_molecules):
        scores = atom_scores(model, X)
        assert (scores["attention"] > 0).all()
        assert_allclose(sums(scores, "attention"), 1, atol=1e-6)


def test_attention_is_that_of_the_prediction(of_molecules, monkeypatch):
    model, X = of_molecules
    used = []
    original = AtomsEncoder.attention

    def record(*args):
        used.append(original(*args))
        return used[-1]

    monkeypatch.setattr(AtomsEncoder, "attention", record)
    model.predict(X[:1])
    # no two atoms of this molecule are equal, but the network has them in another order
    (heads,) = used
    found = atom_scores(model, X[:1])["attention"]
    assert_allclose(np.sort(found), np.sort(heads.mean(dim=1).numpy(force=True)), atol=1e-6)


def test_deletion_is_the_prediction_without_the_atom(of_molecules):
    model, X = of_molecules
    scores = atom_scores(model, X[:3])
    for (row, atom), found in scores["deletion"].items():
        rest = X[row].copy()
        del rest[atom]
        expected = model.predict([X[row]])[0] - model.predict([rest])[0]
        assert found == pytest.approx(expected, abs=1e-5)


def test_without_an_atom_that_holds_all_together():
    pairs = [Atoms("He", [(0, 0, 0)]), Atoms("NaCl", [(0, 0, 0), (0, 0, 2.5)])]
    far = Atoms("Ar3", [(0, 0, 0), (0, 0, 5), (0, 0, 10)])
    model = make().fit([*pairs, far], np.arange(3.0))
    deletion = atom_scores(model, [*pairs, far])["deletion"]
    # of helium nothing is left; of the row of argon, two atoms out of reach
    assert np.isnan(deletion.to_numpy()).tolist() == [True, False, False, False, True, False]


def test_predictions_of_atoms(of_crystals):
    model, X = of_crystals
    found = atom_predictions(model, X)
    assert found.shape == (sum(len(own) for own in X),)
    scores = atom_scores(model, X)
    n_atoms = np.repeat([len(own) for own in X], [len(own) for own in X])
    assert_allclose(found / n_atoms, scores["share"], atol=1e-6)


def test_spectra_of_atoms():
    X, _ = molecules()
    Y = np.random.default_rng(0).uniform(size=(len(X), 8))
    model = make(target_block=SpectrumBlock(n_channels=(2,)), target_bounds=(0, None)).fit(X, Y)
    found = atom_predictions(model, X)
    assert found.shape == (sum(len(own) for own in X), 8)
    assert (found >= 0).all()
    ends = np.cumsum([len(own) for own in X])[:-1]
    means = [own.mean(axis=0) for own in np.split(found, ends)]
    assert_allclose(means, model.predict(X), atol=1e-6)


def test_a_larger_cell_shares_among_more_atoms(of_crystals):
    model, X = of_crystals
    one, two = (atom_scores(model, [own]) for own in (X[0], doubled(X[0])))
    assert len(two) == 2 * len(one)
    for name in ("share", "attention"):
        assert_allclose(two[name].to_numpy(), np.tile(one[name] / 2, 2), atol=1e-6)


def test_equal_atoms_have_equal_scores():
    X, y = salts(1)
    model = make().fit(X, y)
    scores = atom_scores(model, [X[0].repeat((2, 1, 1))])
    for _, own in scores.groupby("element"):
        assert_allclose(own[SCORES], np.tile(own[SCORES].iloc[0], (2, 1)), atol=1e-5)


def test_scores_go_with_the_atoms(of_crystals):
    model, X = of_crystals
    order = np.random.default_rng(1).permutation(len(X[0]))
    one, two = (atom_scores(model, [own]) for own in (X[0], reordered(X[0])))
    assert two["element"].tolist() == one["element"].iloc[order].tolist()
    assert_allclose(two[SCORES], one[SCORES].iloc[order], atol=1e-5)


def test_rows_are_named_by_the_table(of_molecules):
    model, X = of_molecules
    table = pd.DataFrame({0: as_cells(X[:2])}, index=["water", "methane"])
    scores = atom_scores(model, table)
    assert scores.index.names == ["row", "atom"]
    assert scores.loc["water", "element"].tolist() == ["O", "H", "H"]
    assert scores.columns.tolist() == ["element", *SCORES]
    assert_array_equal(scores[SCORES], atom_scores(model, X[:2])[SCORES])


def test_structures_in_parts_are_those_at_once(of_molecules, monkeypatch):
    model, X = of_molecules
    whole = atom_scores(model, X)
    monkeypatch.setattr(_atoms, "_AT_ONCE", 3)
    assert_allclose(atom_scores(model, X)[SCORES], whole[SCORES], atol=1e-5)


def test_without_predictions_of_atoms_there_is_no_share():
    X, y = molecules()
    model = make(per_atom=False).fit(X, y)
    scores = atom_scores(model, X)
    assert scores["share"].isna().all()
    assert scores[["attention", "deletion"]].notna().all(axis=None)
    with pytest.raises(ValueError, match="the block 'X' needs per_atom=True, and a target of num"):
        atom_predictions(model, X)


def test_log_odds_are_no_mean_over_atoms():
    X, y = molecules()
    clf = make(SupervisedAutoencoderClassifier).fit(X, np.where(y > 4, "large", "small"))
    scores = atom_scores(clf, X, output="large")
    assert scores["share"].isna().all()
    assert_allclose(scores["deletion"], -atom_scores(clf, X, output="small")["deletion"])


def test_the_stage_of_a_chain_that_has_the_structures():
    X, y = molecules(2)
    first = pd.DataFrame({"molecule": as_cells(X)})
    second = first.iloc[:8].assign(temperature=np.arange(8.0)).reset_index(drop=True)
    stages = [
        ("made", make(), ["molecule"]),
        ("used", SupervisedAutoencoder(**SETTINGS), ["temperature"]),
    ]
    stages[0][1].blocks = [("crystal", atoms_block(per_atom=True), "molecule")]
    nae = NestedAutoencoder(stages).fit([first, second], [y, np.arange(8.0)])
    scores = atom_scores(nae, second)
    alone = nae["made"].predict(second[["molecule"]])
    assert_allclose(sums(scores, "share"), alone, atol=1e-5)
    named = atom_scores(nae, second, block="made__crystal")
    assert_array_equal(named[SCORES], scores[SCORES])


# ---------------------------------------------------------------------------------------------
# Bad input


def test_what_is_refused(of_molecules):
    model, X = of_molecules
    with pytest.raises(ValueError, match=r"block of structures, .* \['X'\]; got 'Y'"):
        atom_scores(model, X, block="Y")
    table = pd.DataFrame({0: as_cells([X[0], None])})
    with pytest.raises(ValueError, match=r"no structure in row 1, .*; drop the row"):
        atom_scores(model, table)
    with pytest.raises(NotFittedError):
        atom_scores(make(), X)
    with pytest.raises(NoTargetError, match="The estimator was fitted without a target"):
        atom_scores(make().fit(X), X)
    numbers = np.arange(12.0).reshape(6, 2)
    plain = SupervisedAutoencoder(**SETTINGS).fit(numbers, numbers[:, 0])
    with pytest.raises(ValueError, match="No block of the estimator holds structures of atoms"):
        atom_scores(plain, numbers)
