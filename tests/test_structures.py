"""Structures of atoms in every estimator: what goes in, what comes back, and what is missing."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import time
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest
import skops.io
from ase import Atoms
from ase.build import bulk, molecule
from cases.array_tables import as_cells
from cases.structures import (
    SAME_CRYSTALS,
    SAME_MOLECULES,
    SETTINGS,
    as_pymatgen,
    atoms_block,
    crooked,
    molecules,
    salts,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sknestedae import (
    DualAutoencoder,
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    report,
    stack_kinds,
    stack_scales,
)
from sknestedae.blocks import SpectrumBlock
from sknestedae.design import propose
from sknestedae.exceptions import UnseenCategoryWarning
from sknestedae.model_selection import BatchedGridSearchCV, ScaleKFold

CV = KFold(2, shuffle=True, random_state=0)


def make(kind=SupervisedAutoencoder, block=None, **settings):
    """Make an estimator whose X is structures."""
    return kind(blocks=block or atoms_block(), **{**SETTINGS, **settings})


def of_table(kind=SupervisedAutoencoder, **settings):
    """Make an estimator of a table with a column of structures."""
    blocks = [("crystal", atoms_block(), "structure")]
    return kind(blocks=blocks, **{**SETTINGS, **settings})


def table_of(crystals):
    """Give a table with a column of structures, one of numbers, and one of categories."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "structure": as_cells(crystals),
            "temperature": rng.normal(size=len(crystals)),
            "phase": pd.Categorical(rng.choice(["a", "b"], size=len(crystals))),
        }
    )


@pytest.fixture(scope="module")
def data():
    crystals, y = salts()
    return crystals, y


@pytest.fixture(scope="module")
def fitted(data):
    return make().fit(*data)


@pytest.fixture(scope="module")
def table(data):
    """A table, of which one row has no structure and another no number."""
    X = table_of(data[0])
    X.loc[3, "structure"] = None
    X.loc[5, "temperature"] = np.nan
    return X


@pytest.fixture(scope="module")
def of_mixed(table, data):
    return of_table().fit(table, data[1])


# ---------------------------------------------------------------------------------------------
# The same structure, told in another way


def outputs(model, X):
    return [model.transform(X), model.predict(X)]


def differences(model, X, others):
    """Give the largest change of latents and predictions, in standard deviations over rows."""
    for first, second in zip(outputs(model, X), outputs(model, others), strict=True):
        yield np.abs(first - second).max() / first.std(axis=0).max()


@pytest.fixture(scope="module", params=[False, True], ids=["of the set", "per atom"])
def of_crystals(request):
    X = crooked() + salts(1)[0]
    y = np.array([own.get_masses().mean() for own in X])
    return make(block=atoms_block(per_atom=request.param, degree=2)).fit(X, y)


@pytest.fixture(scope="module", params=[False, True], ids=["of the set", "per atom"])
def of_molecules(request):
    return make(block=atoms_block(per_atom=request.param)).fit(*molecules(2))


# float32 rounds by 6e-8; a sum over hundreds of neighbours, a root and a division by a deviation
# enlarge it to some 1e-6
TOLERANCE = 1e-5


@pytest.mark.parametrize("change", SAME_CRYSTALS.values(), ids=SAME_CRYSTALS)
def test_a_crystal_is_the_same_however_it_is_told(of_crystals, change):
    X = crooked(seed=3)
    others = [change(own) for own in X]
    assert max(differences(of_crystals, X, others)) < TOLERANCE
    # this is no constant: another crystal is another row
    assert min(differences(of_crystals, X, crooked(seed=4))) > 100 * TOLERANCE


@pytest.mark.parametrize("change", SAME_MOLECULES.values(), ids=SAME_MOLECULES)
def test_a_molecule_is_the_same_however_it_is_told(of_molecules, change):
    X, _ = molecules(seed=5)
    others = [change(own) for own in X]
    assert max(differences(of_molecules, X, others)) < TOLERANCE
    assert min(differences(of_molecules, X, molecules(seed=6)[0])) > 100 * TOLERANCE


def test_two_molecules_are_not_one(of_molecules):
    """A doubled crystal is the same; a doubled molecule is more."""
    X, _ = molecules()
    two = [own + own[:] for own in X]
    for own in two:
        own.positions[len(own) // 2 :] += 30.0
    assert min(differences(of_molecules, X, two)) > 0.01


def test_rows_do_not_depend_on_each_other(of_crystals):
    """Atoms of a batch lie behind each other: those of one row are not another's."""
    X = crooked() + salts(1)[0]
    whole = outputs(of_crystals, X)
    for rows in ([2], [7, 0, 7], list(range(len(X)))[::-1]):
        for of_all, own in zip(whole, outputs(of_crystals, [X[i] for i in rows]), strict=True):
            assert_allclose(own, of_all[rows], rtol=0, atol=1e-5 * np.abs(of_all).max())


# ---------------------------------------------------------------------------------------------
# Spellings


SPELLINGS = {
    "array": as_cells,
    "column": lambda X: as_cells(X)[:, None],
    "tuple": tuple,
    "series": lambda X: pd.Series(as_cells(X)),
    "table": lambda X: pd.DataFrame({"structure": as_cells(X)}),
    "pymatgen": lambda X: [as_pymatgen(own) for own in X],
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_spellings_are_one_thing(data, fitted, spell):
    X, y = data
    other = make().fit(spell(X), y)
    assert_array_equal(other.predict(spell(X)), fitted.predict(X))
    assert_array_equal(other.transform(spell(X)), fitted.transform(X))
    assert other.score(spell(X), y) == fitted.score(X, y)


def test_a_list_of_structures_needs_no_block(data):
    X, y = data
    model = SupervisedAutoencoder(**SETTINGS).fit(X, y)
    (fitted,) = (own for own in model.blocks_.values() if own.columns)
    assert type(fitted.block).__name__ == "AtomsBlock"
    assert model.n_features_in_ == 1
    assert model.transform(X).shape == (len(X), 3)


def test_a_column_of_structures_has_a_block_by_itself(data):
    X, y = table_of(data[0]), data[1]
    model = SupervisedAutoencoder(**SETTINGS).fit(X, y)
    kinds = {name: type(own.block).__name__ for name, own in model.blocks_.items()}
    assert kinds == {"structure": "AtomsBlock", "table": "DenseBlock"}
    assert model.feature_names_in_.tolist() == list(X)
    assert np.isfinite(model.score_samples(X)).all()


def test_tables_of_floats_stay_what_they_were(data):
    """Numbers beside structures are read as precisely as the table says."""
    X, y = table_of(data[0]), data[1]
    X["temperature"] = X["temperature"].astype("float64") + 1e6
    model = of_table().fit(X, y)
    other = X.assign(temperature=X["temperature"] + 0.1)  # lost in float32, whose step is 0.06
    assert model.transform(X).dtype == np.float64
    assert np.abs(model.transform(other) - model.transform(X)).max() > 1e-3
    found = model.inverse_transform(model.transform(X))
    assert found["temperature"].dtype == np.float64
    assert abs(found["temperature"] - 1e6).max() < 10


# ---------------------------------------------------------------------------------------------
# Missing ones


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA], ids=str)
def test_a_missing_structure(table, data, of_mixed, nothing):
    X = table.copy()
    X["structure"] = as_cells([nothing if i == 3 else own for i, own in enumerate(data[0])])
    model = of_table().fit(X, data[1])
    Z = model.transform(X)
    assert np.isfinite(Z).all()
    assert_array_equal(Z, of_mixed.transform(table))
    # what the row has is what its latents follow from
    other = X.assign(temperature=X["temperature"] + 1.0)
    assert np.abs(model.transform(other)[3] - Z[3]).max() > 1e-3
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.score_samples(X)).all()


def test_a_missing_structure_in_a_list(data):
    X, y = list(data[0]), data[1]
    X[4] = None
    model = make().fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    as_table = pd.DataFrame({"structure": as_cells(X)})
    assert_array_equal(make().fit(as_table, y).predict(as_table), model.predict(X))
    assert np.isfinite(model.predict([None, X[0]])).all()


def test_what_was_measured_stays_the_same_object(table, of_mixed):
    completed = of_mixed.complete(table)
    for row, own in enumerate(table["structure"]):
        if row != 3:
            assert completed.loc[row, "structure"] is own
    assert completed.drop(index=5)["temperature"].equals(table.drop(index=5)["temperature"])
    assert np.isfinite(completed.loc[5, "temperature"])
    info = completed.loc[3, "structure"].info
    assert info["mismatch"] >= 0
    assert sum(info["composition"].values()) == pytest.approx(1, abs=0.01)
    assert info["volume_per_atom"] > 0
    again = of_mixed.complete(completed)
    assert all(a is b for a, b in zip(again["structure"], completed["structure"], strict=True))


def test_a_missing_structure_becomes_one_that_was_learnt_from(table, of_mixed):
    found = of_mixed.complete(table).loc[3, "structure"]
    known = [own for own in table["structure"] if own is not None]
    assert any(
        np.array_equal(found.numbers, own.numbers)
        and np.array_equal(found.positions, own.positions)
        and np.array_equal(found.cell[:], own.cell[:])
        for own in known
    )


def test_a_list_is_completed_as_an_array_of_structures(data):
    X = list(data[0])
    X[4] = None
    completed = make().fit(X, data[1]).complete(X)
    assert completed.shape == (len(X), 1)
    assert completed[4, 0].info["mismatch"] >= 0
    assert completed[5, 0] is X[5]


def test_decoding_gives_known_structures(data, fitted):
    X, _ = data
    found = fitted.inverse_transform(fitted.transform(X))
    assert found.shape == (len(X), 1)
    formulas = {str(own.symbols) for own in X}
    for own in found[:, 0]:
        assert str(own.symbols) in formulas
        assert {"mismatch", "composition", "volume_per_atom"} <= set(own.info)


def test_a_molecule_comes_back_with_its_number_of_atoms():
    X, y = molecules(2)
    model = make(max_iter=60, batch_size=5).fit(X, y)
    found = model.inverse_transform(model.transform(X))
    sizes = [own.info["n_atoms"] for own in found[:, 0]]
    assert np.corrcoef(sizes, y)[0, 1] > 0.8
    assert not any(own.pbc.any() for own in found[:, 0])


# ---------------------------------------------------------------------------------------------
# Elements that were not learnt


def test_an_unknown_element_enters_by_its_properties(data, fitted):
    X = [bulk("CsI", "rocksalt", a=6.5), bulk("NaCl", "rocksalt", a=5.6)]
    with pytest.warns(UnseenCategoryWarning, match=r"1 of 2 structures .* \(Cs\)"):
        predicted = fitted.predict(X)
    assert np.isfinite(predicted).all()
    with pytest.warns(UnseenCategoryWarning):
        nothing_else = fitted.predict(X[:1])
    assert_allclose(nothing_else, predicted[:1], rtol=1e-5)
    # what moves a little is a little else
    moved = [bulk("CsI", "rocksalt", a=6.5 + step) for step in (0.0, 1e-3, 1e-2)]
    with pytest.warns(UnseenCategoryWarning):
        steps = np.abs(np.diff(fitted.predict(moved)))
    assert 0 < steps[0] < steps[1] < 0.05 * data[1].std()


def test_nothing_is_invented_of_an_unknown_element(fitted):
    """Its embedding beside the properties is 0 after training, as before."""
    weight = fitted.net_.module_.block_encoders["X"].embed.weight.detach().numpy()
    learnt = np.unique([3, 11, 19, 9, 17, 35, 53])
    assert not np.delete(weight, learnt, axis=0).any()
    assert weight[learnt].any(axis=1).all()


def test_elements_of_held_out_rows_are_no_surprise(data):
    X, y = data
    weight = np.array([0.0 if "Li" in own.symbols else 1.0 for own in X])
    make().fit(X, y, sample_weight=weight).predict(X)  # the table of fit had them
    labelled = [own for own in X if "Li" not in own.symbols]
    many = [*labelled, bulk("CsI", "rocksalt", a=6.5)]
    composition = []
    for seed in range(4):
        model = make(early_stopping=True, validation_fraction=0.5, random_state=seed)
        model.fit(many, np.arange(float(len(many)))).predict(many)
        composition.append(model.blocks_["X"].layout.n_numeric)
    # early stopping held out the caesium in some of the fits, but not in all
    assert len(set(composition)) == 2


# ---------------------------------------------------------------------------------------------
# With scikit-learn


def test_a_weight_is_a_repetition(data):
    """Rows in one batch, as those of other batches differ; then weight 2 is a row twice."""
    X, y = data
    weight = 1.0 + (np.arange(len(X)) % 3 == 0)
    weighted = make(batch_size=len(X)).fit(X, y, sample_weight=weight)
    rows = np.repeat(np.arange(len(X)), weight.astype(int))
    repeated = make(batch_size=len(rows)).fit([X[i] for i in rows], y[rows])
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-4, atol=1e-3)
    plain = make(batch_size=len(X)).fit(X, y)
    assert np.abs(plain.predict(X) - repeated.predict(X)).max() > 0.05


def test_a_plain_list_in_folds(data):
    X, y = data
    scores = cross_val_score(make(), X, y, cv=CV)
    assert np.isfinite(scores).all()
    as_table = pd.DataFrame({"structure": as_cells(X)})
    assert_array_equal(cross_val_score(make(), as_table, y, cv=CV), scores)
    assert_array_equal(cross_val_score(make_pipeline(make()), X, y, cv=CV), scores)


def test_classes_of_structures(data):
    X, y = data
    labels = np.where(y > np.median(y), "heavy", "light")
    clf = make(SupervisedAutoencoderClassifier, max_iter=40).fit(X, labels)
    assert clf.predict_proba(X).shape == (len(X), 2)
    assert clf.score(X, labels) > 0.8
    assert set(clf.predict(X)) <= {"heavy", "light"}


def test_a_search_over_the_cutoff(data):
    X = table_of(data[0])
    grid = {"blocks__crystal__cutoff": [4.0, 6.5]}
    search = GridSearchCV(of_table(), grid, cv=CV).fit(X, data[1])
    best = search.best_estimator_.blocks_["crystal"].block
    assert best.cutoff == search.best_params_["blocks__crystal__cutoff"]
    assert len(set(search.cv_results_["mean_test_score"])) == 2


def test_many_networks_at_once_are_those_of_single_fits(data):
    grid = {"alpha": [1e-4, 1e-2]}
    one = GridSearchCV(make(), grid, cv=CV, refit=False).fit(*data)
    many = BatchedGridSearchCV(make(), grid, cv=CV, refit=False).fit(*data)
    assert_allclose(
        one.cv_results_["mean_test_score"], many.cv_results_["mean_test_score"], rtol=1e-6
    )


@pytest.mark.parametrize("bootstrap", [False, True])
def test_members(data, bootstrap):
    X, y = data
    model = make(n_members=2, bootstrap=bootstrap).fit(X, y)
    mean, spread = model.predict(X, return_std=True)
    assert mean.shape == spread.shape == y.shape
    assert (spread > 0).any()
    assert_array_equal(model.transform(X), model.members_[0].transform(X))


def test_permutation_importance_of_a_column_of_structures(data):
    X, y = table_of(data[0]), data[1]
    model = of_table(max_iter=30).fit(X, y)
    found = permutation_importance(model, X, y, n_repeats=2, random_state=0).importances_mean
    assert np.argmax(found) == 0


def test_latents_as_a_table(data):
    X, y = table_of(data[0]), data[1]
    X.index = X.index + 100
    Z = of_table().set_output(transform="pandas").fit(X, y).transform(X)
    assert isinstance(Z, pd.DataFrame)
    assert Z.index.equals(X.index)
    in_pipeline = make_pipeline(of_table()).set_output(transform="pandas").fit(X, y)
    assert in_pipeline.transform(X).equals(Z)


def test_training_goes_on(data):
    X, y = data
    model = make().partial_fit(X, y).partial_fit(X[:9], y[:9])
    assert model.n_iter_ == 2
    warm = make(warm_start=True).fit(X, y)
    before = warm.predict(X)
    assert np.abs(warm.fit(X, y).predict(X) - before).max() > 1e-3
    assert warm.n_iter_ > SETTINGS["max_iter"]


def test_early_stopping(data):
    X, y = data
    model = make(early_stopping=True, validation_fraction=0.25).fit(X, y)
    assert "valid_prediction" in model.history_
    assert np.isfinite(model.history_["valid_loss"]).all()


def test_a_fit_lowers_the_loss(data):
    model = make(max_iter=60, batch_size=8).fit(*data)
    for name in ("train_reconstruction", "train_prediction"):
        assert model.history_[name].iloc[-1] < 0.7 * model.history_[name].iloc[0]


# -- in files


def through_pickle(estimator):
    return pickle.loads(pickle.dumps(estimator))


def through_skops(estimator):
    """Only public classes of the package have to be trusted, and there is no pickle inside."""
    dumped = skops.io.dumps(estimator)
    untrusted = skops.io.get_untrusted_types(data=dumped)
    assert all(name.startswith("sknestedae.") and "._" not in name for name in untrusted)
    with zipfile.ZipFile(io.BytesIO(dumped)) as archive:
        assert "pickle" not in archive.read("schema.json").decode().lower()
        for name in archive.namelist():
            if name.endswith(".npy"):
                np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
    return skops.io.loads(dumped, trusted=untrusted)


def assert_equal_structures(one, other):
    assert one == other
    assert one.info.keys() == other.info.keys()
    for name, value in one.info.items():
        assert_array_equal(value, other.info[name])


@pytest.mark.parametrize("through", [through_pickle, through_skops])
def test_files(table, data, of_mixed, through):
    loaded = through(of_mixed)
    assert_array_equal(loaded.predict(table), of_mixed.predict(table))
    Z = of_mixed.transform(table)
    assert_array_equal(loaded.transform(table), Z)
    for one, other in zip(
        loaded.complete(table)["structure"], of_mixed.complete(table)["structure"], strict=True
    ):
        assert_equal_structures(one, other)
    cesium = table[:2].assign(structure=as_cells([bulk("CsI", "rocksalt", a=6.5)] * 2))
    with pytest.warns(UnseenCategoryWarning, match=r"\(Cs\)"):
        loaded.predict(cesium)
    first, second = (
        through_pickle(own).partial_fit(table, data[1]).predict(table)
        for own in (of_mixed, loaded)
    )
    assert_array_equal(first, second)


@pytest.mark.parametrize("per_atom", [False, True])
def test_files_of_molecules(per_atom):
    X, y = molecules()
    model = make(block=atoms_block(per_atom=per_atom), n_members=2).fit(X, y)
    for through in (through_pickle, through_skops):
        loaded = through(model)
        assert_array_equal(loaded.predict(X), model.predict(X))
        Z = model.transform(X)
        found, expected = (own.inverse_transform(Z)[:, 0] for own in (loaded, model))
        for one, other in zip(found, expected, strict=True):
            assert_equal_structures(one, other)


def test_a_file_in_another_process(tmp_path, data, fitted):
    X, _ = data
    skops.io.dump(fitted, tmp_path / "model.skops")
    np.save(tmp_path / "numbers.npy", [own.numbers for own in X])
    np.save(tmp_path / "cells.npy", [own.cell[:] for own in X])
    np.save(tmp_path / "positions.npy", [own.positions for own in X])
    code = f"""
import numpy as np, skops.io
from ase import Atoms
folder = {str(tmp_path)!r}
parts = [np.load(f"{{folder}}/{{name}}.npy") for name in ("numbers", "positions", "cells")]
X = [Atoms(numbers=n, positions=p, cell=c, pbc=True) for n, p, c in zip(*parts)]
path = f"{{folder}}/model.skops"
model = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
np.save(f"{{folder}}/predicted.npy", model.predict(X))
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    assert_array_equal(np.load(tmp_path / "predicted.npy"), fitted.predict(X))


def test_a_clone_has_the_settings_alone(fitted):
    copied = clone(fitted)
    assert not hasattr(copied, "blocks_")
    assert copied.blocks.get_params() == fitted.blocks.get_params()
    assert "cutoff" in {name.split("__")[-1] for name in copied.get_params()}


# ---------------------------------------------------------------------------------------------
# Variational latents


@pytest.mark.parametrize("per_atom", [False, True])
def test_variational_latents(data, per_atom):
    X, y = data
    block = atoms_block(per_atom=per_atom)
    model = make(block=block, n_components=2, beta=1e-3, max_iter=20, batch_size=8).fit(X, y)
    assert "train_divergence" in model.history_
    assert model.history_["train_loss"].iloc[-1] < model.history_["train_loss"].iloc[0]
    mean, spread = model.transform(X, return_std=True)
    assert_array_equal(mean, model.transform(X))
    assert (spread > 0).all()
    drawn = model.sample(3, random_state=0)
    assert all("mismatch" in own.info for own in drawn[:, 0])
    assert np.isfinite(model.score_samples(X)).all()
    copies = [SAME_CRYSTALS["doubled cell"](own) for own in X]
    assert_allclose(model.transform(copies, return_std=True)[1], spread, rtol=1e-4)


# ---------------------------------------------------------------------------------------------
# Chains


@pytest.fixture(scope="module")
def scales(data):
    """Give crystals, and samples of some of them at a temperature, with both targets."""
    X, y = data
    rows = np.random.default_rng(0).permutation(len(X))[:14]
    temperature = np.random.default_rng(1).normal(size=14)
    crystals = pd.DataFrame({"structure": as_cells(X)})
    samples = crystals.iloc[rows].reset_index(drop=True).assign(temperature=temperature)
    return [crystals, samples], [y, y[rows] + temperature]


def chain(**settings):
    first = [("c", atoms_block(per_atom=settings.pop("per_atom", False)), "structure")]
    stages = [
        ("crystal", SupervisedAutoencoder(blocks=first, **SETTINGS), ["structure"]),
        ("sample", SupervisedAutoencoder(predictor="network", **SETTINGS), ["temperature"]),
    ]
    return NestedAutoencoder(stages, random_state=0, **settings)


@pytest.fixture(scope="module")
def fitted_chain(scales):
    return chain(refine_iter=1).fit(*scales)


def test_a_chain_finds_structures_by_itself(scales):
    tables, y = scales
    nae = NestedAutoencoder(max_iter=2, random_state=0).fit(tables, y)
    kinds = [type(own.block).__name__ for own in nae["scale0"].blocks_.values()]
    assert "AtomsBlock" in kinds
    first, second = nae.predict(tables)
    assert (len(first), len(second)) == (24, 14)
    assert np.isfinite(nae.score(tables, y))


@pytest.mark.parametrize(
    "settings",
    [
        {"refine_iter": 1},
        {"passthrough": False},
        {"passthrough": "auto"},
        {"n_members": 2},
        {"per_atom": True, "refine_iter": 1},
    ],
    ids=str,
)
def test_chains_of_atoms_and_a_table(scales, settings):
    tables, y = scales
    nae = chain(**settings).fit(tables, y)
    first, second = nae.predict(tables)
    assert (first.shape, second.shape) == ((24,), (14,))
    # both scales follow from the structure, in any of its spellings
    other = [
        table.assign(
            structure=as_cells(
                [SAME_CRYSTALS["rotation"](SAME_CRYSTALS["order"](own)) for own in table.structure]
            )
        )
        for table in tables
    ]
    for found, expected in zip(nae.predict(other), (first, second), strict=True):
        assert np.abs(found - expected).max() < 1e-5 * np.ptp(expected)
    if "n_members" not in settings:
        loaded = through_skops(nae)
        assert_array_equal(loaded.predict(tables)[1], second)


def test_one_table_of_scales_is_the_list(scales):
    tables, y = scales
    X, Y = stack_scales(tables, y)
    alike = NestedAutoencoder(max_iter=2, random_state=0)
    listed = clone(alike).fit(tables, y).predict(tables)
    stacked = clone(alike).fit(X, Y).predict(X)
    assert stacked.shape == (38, 2)
    is_sample = Y.iloc[:, 1].notna().to_numpy()
    assert_allclose(np.sort(stacked[is_sample, 1]), np.sort(listed[1]), rtol=1e-5)
    with warnings.catch_warnings():  # a fold may lack an element
        warnings.simplefilter("ignore", UnseenCategoryWarning)
        scores = cross_val_score(alike, X, Y, cv=ScaleKFold(2))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("spell", [list, as_cells, pd.Series], ids=["list", "array", "series"])
def test_a_scale_may_be_a_list_of_structures(data, spell):
    X, y = data
    table = pd.DataFrame({"temperature": np.arange(24.0)})
    nae = NestedAutoencoder(max_iter=2, random_state=0)
    first, second = nae.fit([spell(X), table], [y, 2 * y]).predict([spell(X), table])
    as_table = [pd.DataFrame({"x0": as_cells(X)}), table]
    expected = clone(nae).fit(as_table, [y, 2 * y]).predict(as_table)
    assert_array_equal(first, expected[0])
    assert_array_equal(second, expected[1])
    alone = NestedAutoencoder(estimator=make()).fit(spell(X), y)
    assert np.isfinite(alone.predict(spell(X))).all()


def test_a_chain_completes_both_scales(scales, fitted_chain):
    (crystals, samples), _ = scales
    crystals, samples = crystals.copy(), samples.copy()
    crystals.loc[0, "structure"] = None
    samples.loc[1, "structure"] = None
    samples.loc[2, "temperature"] = np.nan
    first, second = fitted_chain.complete([crystals, samples])
    assert first.loc[0, "structure"].info["mismatch"] >= 0
    assert second.loc[1, "structure"].info["mismatch"] >= 0
    assert np.isfinite(second.loc[2, "temperature"])
    assert all(first.loc[i, "structure"] is crystals.loc[i, "structure"] for i in range(1, 24))
    decoded = fitted_chain.inverse_transform(fitted_chain.transform([crystals, samples]))
    assert all(isinstance(own, Atoms) for own in decoded[0]["structure"])
    assert all(np.isfinite(own).all() for own in fitted_chain.score_samples([crystals, samples]))


def test_a_design_takes_structures_from_a_library(scales, fitted_chain):
    tables, _ = scales
    design = propose(fitted_chain, tables, {"sample": "max"}, n_candidates=2, random_state=0)
    known = {id(own) for own in tables[0]["structure"]}
    assert {id(own) for own in design.X["crystal", "structure"]} <= known
    library = [bulk("NaI", "rocksalt", a=6.4), bulk("KBr", "rocksalt", a=6.7)]
    design = propose(
        fitted_chain,
        tables,
        {"sample": "max"},
        library={"structure": library},
        n_candidates=1,
        random_state=0,
    )
    (found,) = design.X["crystal", "structure"]
    assert any(found is own for own in library)
    assert np.isfinite(design.prediction).all()


def test_a_report(scales, data):
    tables, y = scales
    X, y_of_crystals = data
    card = report(make().fit(X, y_of_crystals), X, y_of_crystals, cv=CV, random_state=0)
    mine = card.scores[card.scores["model"] == "this model"]
    assert np.isfinite(mine["score"]).all()
    table = tables[1].assign(phase=pd.Categorical(["a", "b"] * 7))
    model = SupervisedAutoencoder(**SETTINGS).fit(table, y[1])
    assert "<h1" in report(model, table, y[1], cv=CV, random_state=0).html
    nested = report(chain().fit(tables, y), tables, y, cv=2, random_state=0)
    assert set(nested.scores["target"]) == {"crystal: y", "sample: y"}


# ---------------------------------------------------------------------------------------------
# Two kinds, one latent space


def peaks(y):
    place = (y - y.min()) / np.ptp(y)
    return np.exp(-((np.linspace(0, 1, 12) - place[:, None]) ** 2) / 0.02)


def dual(**settings):
    blocks = [
        ("crystal", atoms_block(per_atom=settings.pop("per_atom", False)), "crystal"),
        ("spectrum", SpectrumBlock(n_channels=(2,)), "spectrum"),
    ]
    return DualAutoencoder(blocks=blocks, **{**SETTINGS, **settings})


@pytest.fixture(scope="module")
def kinds(data):
    return stack_kinds(crystal=data[0], spectrum=peaks(data[1]))


def test_kinds_are_stacked_from_any_spelling(data, kinds):
    X, y = data
    for spell in (as_cells, lambda own: pd.Series(as_cells(own)), tuple):
        other = stack_kinds(crystal=spell(X), spectrum=peaks(y))
        assert other.equals(kinds)
    some = stack_kinds(crystal=[None, *X[1:]], spectrum=peaks(y))
    assert pd.isna(some["crystal"].iloc[0, 0])
    assert some["crystal"].iloc[1, 0] is X[1]


@pytest.mark.parametrize("alignment", [1.0, "separated"])
def test_structures_and_spectra_have_one_latent_space(data, kinds, alignment):
    X, y = data
    spectra = peaks(y)
    model = dual(alignment=alignment).fit(kinds, y)
    assert model.translate(X, "crystal", "spectrum").shape == spectra.shape
    back = model.translate(spectra, "spectrum", "crystal")
    assert back.shape == (24, 1)
    assert {str(own.symbols) for own in back[:, 0]} <= {str(own.symbols) for own in X}
    assert model.retrieve(spectra, "spectrum", library=X).shape == (24, 5)
    found = model.retrieve(X, "crystal", library=spectra)
    turned = [SAME_CRYSTALS["rotation"](own) for own in X]
    assert_array_equal(model.retrieve(turned, "crystal", library=spectra), found)
    assert np.isfinite(model.predict(kinds)).all()
    loaded = through_skops(model)
    assert_array_equal(loaded.predict(kinds), model.predict(kinds))


def test_a_row_may_have_a_structure_or_a_spectrum_alone(data, kinds):
    some = kinds.copy()
    some.iloc[0, 0] = None
    some.iloc[1, 1:] = np.nan
    some.iloc[2, 3] = np.nan  # a channel of the spectrum
    model = dual().fit(some, data[1])
    completed = model.complete(some)
    assert completed.iloc[0, 0].info["mismatch"] >= 0
    assert completed.iloc[1, 0] is some.iloc[1, 0]
    assert np.isfinite(completed.iloc[:, 1:].to_numpy(dtype=float)).all()


def test_a_table_of_structures_and_arrays_is_completed(data):
    """Where a structure is there and other arrays are missing, and the other way round."""
    X, y = data
    table = pd.DataFrame({"structure": as_cells(X), "spectrum": as_cells(peaks(y))})
    table["size"] = y
    table.loc[0, "structure"] = None
    table.loc[1, "spectrum"] = None
    table.loc[2, "size"] = np.nan
    model = SupervisedAutoencoder(**SETTINGS, block_dropout=0.2).fit(table, y)
    completed = model.complete(table)
    assert completed.loc[0, "structure"].info["mismatch"] >= 0
    assert completed.loc[1, "spectrum"].shape == (12,)
    assert np.isfinite(completed["size"]).all()
    assert len(model.complete(table, n_candidates=2).X) >= 24


def test_atoms_of_a_dual_autoencoder_have_no_latents_of_their_own(kinds):
    with pytest.raises(ValueError, match=r"one encoder for all .* 'crystal' must have per_atom=F"):
        dual(per_atom=True).fit(kinds)


# ---------------------------------------------------------------------------------------------
# Bad input


def salt(positions=((0, 0, 0), (2.5, 0, 0)), cell=(5.0, 5.0, 5.0), pbc=True, symbols="NaCl"):
    return Atoms(symbols, positions, cell=cell, pbc=pbc)


FORMULA = r"row {row} holds 'NaCl', which is str\. A formula .* make a structure .* shares of elem"
BAD = {
    "no lattice": (salt(cell=None), ValueError, "row {row}, .* periodic along vector 0 .* zero"),
    "flat": (
        salt(cell=[[1, 0, 0], [0, 1, 0], [1, 1, 0]]),
        ValueError,
        "row {row}, .* whose cell has no volume",
    ),
    "one place": (
        salt([[0, 0, 0], [0, 0, 0]]),
        ValueError,
        r"row {row}, .* atoms 0 and 1, .* at one place: 0 Angstrom .* 0\.1 or more\.$",
    ),
    "an image at one place": (
        salt([[0, 0, 0], [5.001, 0, 0]]),
        ValueError,
        r"row {row}, .* at one place: 0\.001 A",
    ),
    "nan": (
        salt([[0, 0, 0], [np.nan, 0, 0]]),
        ValueError,
        "row {row}, a structure with 2 atoms whose positions hold NaN",
    ),
    "no atoms": (salt((), symbols=""), ValueError, "row {row}, a structure without atoms"),
    "a lonely atom": (
        salt([[0, 0, 0], [0, 0, 15.0]], [30.0, 30.0, 30.0]),
        ValueError,
        r"row {row}, .* atom 0 \(Na\), .* no neighbour within the cutoff of 7 A.* larger cutoff",
    ),
    "a formula": ("NaCl", TypeError, FORMULA),
    "a number": (3.5, TypeError, r"row {row} holds 3\.5, which is float\.$"),
    "an array": (np.ones(3), TypeError, r"row {row} holds array\(.*, which is ndarray"),
    "a dict": ({"a": 1}, TypeError, "row {row} holds {{'a': 1}}, which is dict"),
}


@pytest.mark.parametrize("spelling", ["list", "table"])
@pytest.mark.parametrize(("value", "error", "message"), BAD.values(), ids=BAD)
def test_bad_structures(data, fitted, of_mixed, value, error, message, spelling):
    X, y = list(data[0]), data[1]
    X[5] = value
    given, name = (X, "Column 0") if spelling == "list" else (table_of(X), "Column 'structure'")
    new, model = (make(), fitted) if spelling == "list" else (of_table(), of_mixed)
    with pytest.raises(error, match=f"{name} .*{message.format(row=5)}"):
        new.fit(given, y)
    some = given[4:7] if spelling == "list" else given.iloc[4:7]
    with pytest.raises(error, match=f"{name} .*{message.format(row=1)}"):
        model.predict(some)


def test_a_formula_before_all_structures(data):
    X = ["NaCl", *data[0][1:]]
    with pytest.raises(TypeError, match=r"Column 0 holds structures .* 'NaCl', .* A formula or"):
        make().fit(X, data[1])


def test_formulas_alone():
    table = pd.DataFrame({"formula": ["NaCl", "KCl", "NaF", "KF"]})
    blocks = [("crystal", atoms_block(), "formula")]
    with pytest.raises(TypeError, match=r"'crystal': Column 'formula' .*" + FORMULA.format(row=0)):
        make(block=blocks).fit(table)
    message = r"'NaCl'.* words are no structures of atoms\. A formula .* make a structure"
    with pytest.raises(ValueError, match=message):
        make().fit(table["formula"].tolist())
    with pytest.raises(ValueError, match=message):
        make(block=[("crystal", atoms_block(), [0])]).fit(table["formula"].to_numpy()[:, None])


def test_molecules_and_crystals_do_not_mix(data, fitted):
    X, y = list(data[0]), data[1]
    X[5] = molecule("H2O")
    message = r"mixes crystals and molecules: .* row 0 is periodic in 3 directions, .* row 5 in 0"
    with pytest.raises(ValueError, match=message):
        make().fit(X, y)
    with pytest.raises(ValueError, match=r"had crystals in fit, but holds a molecule in row 1"):
        fitted.predict(X[4:7])
    of_water = make().fit(molecules()[0])
    with pytest.raises(ValueError, match=r"had molecules in fit, but holds a crystal in row 0"):
        of_water.transform(X[:1])


def test_crystals_and_slabs_do_not_mix(data, fitted):
    X, y = list(data[0]), data[1]
    X[5] = X[5].copy()
    X[5].pbc = (True, True, False)
    message = r"mixes crystals and slabs: .* row 0 is periodic in 3 directions, .* row 5 in 2"
    with pytest.raises(ValueError, match=message):
        make().fit(X, y)
    with pytest.raises(ValueError, match=r"had crystals in fit, but holds a slab in row 1"):
        fitted.predict(X[4:7])


def test_atoms_that_are_all_alike():
    # of more numbers than `n_features`, the main directions are taken: here there is none
    crystals = [bulk("Al") for _ in range(4)]
    model = make(block=atoms_block(n_features=2)).fit(crystals)
    assert np.isfinite(model.transform(crystals)).all()


def test_one_structure_is_no_list(data, fitted):
    with pytest.raises(TypeError, match=r"X is one structure .* give a list .* \[X\]"):
        fitted.predict(data[0][0])


def test_structures_are_no_target(data):
    for y in (data[0], as_cells(data[0])):
        with pytest.raises(TypeError, match=r"y holds structures of atoms, .* columns of X alone"):
            SupervisedAutoencoder().fit(np.ones((24, 2)), y)


def test_a_column_that_was_not_there_in_fit(data):
    X, y = table_of(data[0]), data[1]
    model = SupervisedAutoencoder(**SETTINGS).fit(X.drop(columns="structure"), y)
    with pytest.raises(ValueError, match=r"unseen at fit time:\n- structure"):
        model.predict(X)
    with pytest.raises(ValueError, match=r"seen at fit time, yet now missing:\n- structure"):
        of_table().fit(X, y).predict(X.drop(columns="structure"))
    numbers = X.assign(structure=1.0)
    with pytest.raises(TypeError, match=r"'structure' must hold structures .* row 0 holds 1\.0"):
        of_table().fit(X, y).predict(numbers)


def test_structures_need_a_block(data):
    with pytest.raises(TypeError, match=r"holds Atoms; .* has blocks='auto', or an AtomsBlock"):
        SupervisedAutoencoder(blocks=None).fit(*data)


def test_structures_are_one_column(data):
    X = table_of(data[0])[["structure", "temperature"]]
    with pytest.raises(ValueError, match=r"cells of one column, .* 2 of them: 'structure', 'temp"):
        make().fit(X, data[1])
    with pytest.raises(ValueError, match=r"'structure' has no structure in any row"):
        make().fit(pd.DataFrame({"structure": as_cells([None] * 4)}))


def test_no_two_blocks_have_parts(data):
    X = table_of(data[0]).assign(other=as_cells(data[0]))
    blocks = [(name, atoms_block(per_atom=True), name) for name in ("structure", "other")]
    with pytest.raises(
        ValueError, match=r"per_atom=True .* one block, .*\['structure', 'other'\]"
    ):
        make(block=blocks).fit(X, data[1])


SETTINGS_THAT_ARE_NONE = [
    ({"cutoff": -1}, r"cutoff must be a distance above 0.5 in Angstrom; got -1"),
    ({"cutoff": 0.5}, r"cutoff must be a distance above 0\.5 in Angstrom; got 0\.5"),
    ({"cutoff": 1e4}, r"cutoff must be at most 30 Angstrom; got 10000\.0"),
    ({"cutoff": "7"}, r"cutoff must be a distance above 0.5 in Angstrom; got '7'"),
    ({"n_radial": 1}, r"n_radial must be an integer of 2 or more; got 1"),
    ({"n_units": 0}, r"n_units must be an integer of 1 or more; got 0"),
    ({"n_rounds": -1}, r"n_rounds must be an integer of 0 or more; got -1"),
    ({"n_heads": 0}, r"n_heads must be an integer of 1 or more; got 0"),
    ({"embedding": 2.5}, r"embedding must be an integer of 1 or more; got 2\.5"),
    ({"degree": 9}, r"degree must be an integer from 0 to 3; got 9"),
    ({"degree": "all"}, r"degree must be an integer from 0 to 3; got 'all'"),
    ({"message_cutoff": -1}, r"message_cutoff must be .* 0 or above 0\.7 .*; got -1"),
    (
        {"message_cutoff": 0.7},
        r"message_cutoff must be .* 0 or above 0\.7 .*; got 0\.7",
    ),
    (
        {"message_cutoff": None},
        r"message_cutoff must be .* 0 or above 0\.7 .*; got None",
    ),
    ({"per_atom": 1}, r"per_atom must be True or False; got 1"),
    ({"n_features": 0}, r"n_features must be an integer of 1 or more; got 0"),
]


@pytest.mark.parametrize(("settings", "message"), SETTINGS_THAT_ARE_NONE, ids=str)
def test_settings_that_are_refused(data, settings, message):
    with pytest.raises(ValueError, match=f"block 'X'.*{message}"):
        make(block=atoms_block(**settings)).fit(*data)


def test_ten_thousand_atoms_without_symmetry(fitted):
    """Of which all are told apart; a comparison of each with each would take a minute."""
    large = bulk("NaCl", "rocksalt", a=5.64, cubic=True).repeat((11, 11, 11))
    large.rattle(0.05, seed=0)
    start = time.process_time()
    predicted = fitted.predict([large])
    assert time.process_time() - start < 20
    assert np.isfinite(predicted).all()


def test_a_structure_in_a_column_that_had_none():
    numbers = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 0.0]})
    model = SupervisedAutoencoder(2, max_iter=1).fit(numbers, [1.0, 2.0, 3.0])
    other = numbers.astype(object)
    other.at[1, "a"] = bulk("NaCl", "rocksalt", a=5.6)
    with pytest.raises(TypeError, match=r"^Column 'a' holds Atoms; .* Structures of atoms are"):
        model.predict(other)
