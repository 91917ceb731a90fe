"""Chains whose stages pass columns and predictions on: the whole way, from tables to numbers."""

from __future__ import annotations

import pickle
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from cases.arrays import make_spectra
from cases.nested import cells, clf, crystals, sae, two_scales
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import NestedAutoencoder, SupervisedAutoencoder, stack_scales
from sknestedae._estimators._differentiable import DifferentiableChain
from sknestedae._estimators._fitted import fitted_part
from sknestedae._gaussian_process._process import GaussianProcesses
from sknestedae.blocks import SpectrumBlock
from sknestedae.design import propose
from sknestedae.exceptions import FewRowsWarning, MaterialKeyWarning, UnitsWarning
from sknestedae.inspection import integrated_gradients
from sknestedae.model_selection import BatchedGridSearchCV, ScaleKFold
from sknestedae.plotting import NestedDisplay, TraversalDisplay

QUICK = {"max_iter": 2, "random_state": 0}
COLUMNS = list("abc")


def gp(n_components=2, **settings):
    return sae(n_components, **{"predictor": "gaussian_process", "max_iter": 2, **settings})


def many(n_rows=40, seed=0):
    """Give the table of an earlier scale, and its cheap property."""
    X = pd.DataFrame(np.random.default_rng(seed).normal(size=(n_rows, 3)), columns=COLUMNS)
    return X, (np.sin(X["a"]) + X["b"]).rename("cheap")


def equal_columns():
    """Give one property by a cheap method, and of some of the rows by a dear one."""
    X, cheap = many()
    return [X, X.iloc[:15]], [cheap, (cheap + 0.3 * X["c"])[:15].rename("dear")]


def two_tables():
    """Give tables of two scales; six of the later rows are of materials of the earlier one."""
    X, cheap = many()
    later = pd.concat([X.iloc[:6], many(9, seed=1)[0]], ignore_index=True)
    later["t"] = np.random.default_rng(2).normal(size=15)
    return [X, later], [cheap, (np.sin(later["a"]) + later["b"] + later["t"]).rename("dear")]


def with_formulas(tables):
    """Add a column that names materials; that of the later rows is known in five of them."""
    names = np.array([f"m{k}" for k in range(100)], dtype=object)
    first, second = (table.copy() for table in tables)
    first.insert(0, "formula", names[: len(first)])
    second.insert(1, "formula", names[35 : 35 + len(second)])
    return [first, second]


def fit(tables, targets, sample_weight=None, **settings):
    return NestedAutoencoder(**{**QUICK, **settings}).fit(tables, targets, sample_weight)


@pytest.fixture(scope="module")
def equal():
    return fit(*equal_columns())


@pytest.fixture(scope="module")
def chain():
    return fit(*two_tables())


@pytest.fixture(scope="module")
def explicit():
    """Give a chain whose stages both predict by a Gaussian process."""
    return fit(*two_tables(), stages=[("x", gp(), COLUMNS), ("y", gp(), ["t"])])


def head_by_hand(nested, X, X_new, own, before, value, value_new, y):
    """Predict by a Gaussian process of columns, scaled as they come, and of what is passed."""
    inputs, new = (
        np.c_[part[own].to_numpy(), part[before].to_numpy(), passed]
        for part, passed in ((X, value), (X_new, value_new))
    )
    mean, scale = inputs.mean(axis=0), inputs.std(axis=0)
    processes = GaussianProcesses.fit(
        (inputs - mean) / scale,
        ((y - y.mean()) / y.std(ddof=0)).to_numpy()[:, None],
        widths=[inputs.shape[1] - 1, 1],
        max_rows=2000,
        seed=fitted_part(nested["scale1"]).seed,
    )
    new = (new - mean) / scale
    return processes.mean(new)[:, 0] * y.std(ddof=0) + y.mean(), processes.std(new)[:, 0] * y.std(
        ddof=0
    )


# ---------------------------------------------------------------------------------------------
# The default chain


def test_the_default_of_two_scales_of_numbers(chain):
    first, second = (stage for _, stage, _ in chain.stages_)
    assert (first.predictor, second.predictor) == ("auto", "auto")
    assert (first.alpha, second.alpha) == (1e-3, "auto")
    assert second.predictor_ == "gaussian_process"
    alone = fit(*many())
    assert alone["scale0"].predictor == SupervisedAutoencoder().predictor
    asked = fit(*two_tables(), passthrough=True)
    assert [stage.predictor for _, stage, _ in asked.stages_] == ["auto", "gaussian_process"]


def test_without_passthrough_it_is_the_chain_of_the_paper():
    tables, targets = two_tables()
    plain = fit(tables, targets, passthrough=False)
    stages = [
        ("scale0", SupervisedAutoencoder(predictor="network"), COLUMNS),
        ("scale1", SupervisedAutoencoder(predictor="network", alpha="auto"), ["t"]),
    ]
    by_hand = fit(tables, targets, stages=stages)
    for one, other in zip(plain.predict(tables), by_hand.predict(tables), strict=True):
        assert_array_equal(one, other)
    assert plain.passed_on(tables)[1].shape == (15, 0)
    assert {stage.predictor_ for _, stage, _ in plain.stages_} == {"network"}


def test_latents_and_decoded_tables_are_the_same_with_and_without(chain, equal):
    for fitted, (tables, targets) in ((chain, two_tables()), (equal, equal_columns())):
        plain = fit(tables, targets, passthrough=False)
        Z, latents = plain.transform(tables), fitted.transform(tables)
        for one, other in zip(Z, latents, strict=True):
            assert_array_equal(one, other)
        back = zip(plain.inverse_transform(Z), fitted.inverse_transform(latents), strict=True)
        for one, other in back:
            pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_a_later_stage_is_a_gaussian_process_of_columns_and_what_is_passed():
    tables, targets = two_tables()
    first = gp()
    nested = fit(tables, targets, stages=[("scale0", first, COLUMNS), ("scale1", gp(), ["t"])])
    cheap, cheap_std = nested["scale0"].predict(tables[1][COLUMNS], return_std=True)
    is_known = np.arange(15) < 6
    value = np.where(is_known, targets[0].to_numpy()[:15], cheap)
    later = tables[1]
    # the columns of the first scale are scaled by its own rows; a process does not see by which
    new = later.assign(**{name: later[name] + 0.1 for name in COLUMNS})
    value_new, std_new = nested["scale0"].predict(new[COLUMNS], return_std=True)
    found, std = (part[1] for part in nested.predict([tables[0], new], return_std=True))
    given = ("scale1", later, new, ["t"], COLUMNS)
    mean, noise = head_by_hand(nested, *given[1:], value, value_new, targets[1])
    # numbers enter networks with 24 bits
    assert_allclose(found, mean, rtol=1e-4, atol=1e-4)
    higher, _ = head_by_hand(nested, *given[1:], value, value_new + std_new, targets[1])
    lower, _ = head_by_hand(nested, *given[1:], value, value_new - std_new, targets[1])
    assert_allclose(std, np.sqrt(noise**2 + ((higher - lower) / 2) ** 2), rtol=1e-3)
    assert (std >= noise * (1 - 1e-3)).all()
    assert (cheap_std > 0).all()


# ---------------------------------------------------------------------------------------------
# Equal columns at two scales


def test_a_scale_may_have_the_columns_of_the_one_before(equal):
    tables, targets = equal_columns()
    assert [(name, own) for name, _, own in equal.stages_] == [
        ("scale0", [0, 1, 2]),
        ("scale1", []),
    ]
    X, y = stack_scales(tables, targets)
    stacked = fit(X, y)
    assert [name for name, _, _ in stacked.stages_] == ["scale0", "scale1"]
    cheap, dear = equal.predict(tables)
    of_dear = X.index.get_level_values(0) == "scale1"
    found = stacked.predict(X)
    # the rows of a batch stand in another order in a product of matrices
    assert_allclose(found[~of_dear, 0], cheap, rtol=1e-6)
    assert_allclose(found[of_dear, 1], dear, rtol=1e-6)
    arrays = [table.to_numpy() for table in tables]
    of_arrays = fit(arrays, targets)
    assert_allclose(of_arrays.predict(arrays)[1], dear, rtol=1e-6)
    assert of_arrays.passed_on(arrays)[1]["scale0"]["measured"].all()


@pytest.mark.parametrize("own", [[], COLUMNS, ["a", "b"]])
def test_stages_may_have_no_columns_or_shared_ones(own):
    tables, targets = equal_columns()
    X, dear = tables[0], targets[1].reindex(range(40))
    y = np.c_[targets[0], dear]
    nested = fit(X, y, stages=[("x", sae(), COLUMNS), ("y", gp(), own)])
    passed = nested._fitted.passing[1]
    others = [k for k in range(3) if COLUMNS[k] not in own]
    assert passed.columns == ({0: others} if others else {})
    assert nested.predict(X).shape == (40, 2)
    known = nested.predict(X)[:15, 1]
    assert np.corrcoef(known, dear[:15])[0, 1] > 0.95
    back = nested.inverse_transform(nested.transform(X))
    assert list(back.columns) == COLUMNS
    holed = X.assign(a=X["a"].mask(X.index == 3))
    assert nested.complete(holed).notna().all(axis=None)


def test_equal_tables_at_both_scales():
    (X, _), (cheap, _) = equal_columns()
    dear = 2 * cheap + 1
    nested = fit([X, X], [cheap, dear])
    assert nested.passed_on([X, X])[1]["scale0"]["measured"].all()
    assert_allclose(nested.predict([X, X])[1], dear, atol=0.05 * dear.std())
    # the prediction of the dear property by what was measured of the cheap one is a line
    other = many(20, seed=5)[0]
    assert not nested.passed_on([other, other])[1]["scale0"]["measured"].any()


def test_three_fidelities():
    X, cheap = many()
    tables = [X, X[:20], X[:10]]
    targets = [cheap, cheap[:20] ** 2, cheap[:10] ** 2 + X["c"][:10]]
    nested = fit(tables, targets)
    passed = nested.passed_on(tables)[2]
    assert passed.columns.get_level_values(0).unique().tolist() == ["scale0", "scale1"]
    assert_array_equal(passed["scale0"]["value"], cheap[:10])
    assert_array_equal(passed["scale1"]["value"], targets[1][:10])
    assert [part.source for part in nested._fitted.passing[1:]] == [0, 1]
    # rows of one table that have several targets, each stage with the rows that have its target
    y = pd.concat([target.reindex(range(40)) for target in targets], axis=1).to_numpy()
    stages = [("p", gp(), COLUMNS), ("q", gp(), []), ("r", gp(), [])]
    joint = fit(X, y, stages=stages)
    passed = joint.passed_on(X)
    assert passed["p"]["measured"].all()
    assert passed["q"]["measured"].tolist() == [k < 20 for k in range(40)]
    assert_allclose(joint.predict(X)[:10, 2], y[:10, 2], atol=0.3 * y[:10, 2].std())


def test_a_scale_without_columns_and_target_is_refused():
    tables, targets = equal_columns()
    for y in (None, [targets[0], None]):
        with pytest.raises(ValueError, match="'scale1' has no column of its own, and no target"):
            fit(tables, y)
    with pytest.raises(ValueError, match=r"Stage 'scale1' has 0 row\(s\) to train on"):
        fit(tables, [targets[0], targets[1] * np.nan])


# ---------------------------------------------------------------------------------------------
# What was measured


def test_a_known_row_is_predicted_from_what_was_measured(explicit):
    tables, _ = two_tables()
    nested = pickle.loads(pickle.dumps(explicit))
    before = nested.predict(tables)[1]
    measured = nested._fitted.passing[1].measured
    measured.values[:] += 3.0
    after = nested.predict(tables)[1]
    known = np.arange(15) < 6
    assert_array_equal(after[~known], before[~known])
    assert (np.abs(after - before)[known] > 1e-3).all()
    passed = nested.passed_on(tables)[1]["x"]
    assert_allclose(passed["value"][known], two_tables()[1][0][:6] + 3)
    # a row of which all but a rounding is the same is another material
    near = tables[1].assign(a=tables[1]["a"] + 1e-5)
    assert not nested.passed_on([tables[0], near])[1]["x"]["measured"].any()


def test_what_is_passed_is_measured_or_predicted(explicit):
    tables, targets = two_tables()
    first, passed = explicit.passed_on(tables)
    assert first.shape == (40, 0)
    passed = passed["x"]
    assert passed["measured"].tolist() == [k < 6 for k in range(15)]
    assert_array_equal(passed["value"][:6], targets[0][:6])
    mean, std = explicit["x"].predict(tables[1][COLUMNS], return_std=True)
    assert_allclose(passed["value"][6:], mean[6:])
    assert_allclose(passed["std"], np.where(np.arange(15) < 6, 0, std))
    assert passed["measured"].dtype == bool
    X, _ = stack_scales(tables, targets, names=["x", "y"])
    whole = explicit.passed_on(X)
    assert whole.index.equals(X.index)
    pd.testing.assert_frame_equal(
        whole[X.index.get_level_values(0) == "y"].reset_index(drop=True),
        explicit.passed_on(tables)[1].reset_index(drop=True),
        rtol=1e-9,
    )


def test_replicates_give_their_mean():
    tables, targets = two_tables()
    again = pd.concat([tables[0], tables[0][:2]], ignore_index=True)
    other = targets[0][:2] + np.array([2.0, 4.0])
    cheap = pd.concat([targets[0], other], ignore_index=True)
    nested = fit([again, tables[1]], [cheap, targets[1]])
    value = nested.passed_on([again, tables[1]])[1]["scale0"]["value"]
    assert_allclose(value[:3], targets[0][:3] + np.array([1.0, 2.0, 0.0]))


def test_rows_without_label_or_weight_were_not_measured():
    tables, targets = two_tables()
    cheap, dear = targets[0].copy(), targets[1].copy()
    cheap[[0, 9]] = np.nan
    dear[[1, 12]] = np.nan
    nested = fit(tables, [cheap, dear])
    measured = nested.passed_on(tables)[1]["scale0"]["measured"]
    assert measured.tolist() == [0 < k < 6 for k in range(15)]
    assert np.isfinite(nested.predict(tables)[1]).all()
    weights = [np.where(np.arange(40) == 2, 0.0, 1.0), np.ones(15)]
    nested = fit(tables, targets, weights)
    measured = nested.passed_on(tables)[1]["scale0"]["measured"]
    assert measured.tolist() == [k < 6 and k != 2 for k in range(15)]


def test_weights_of_the_later_rows_are_repeated_rows():
    tables, targets = equal_columns()
    targets[1] = targets[1] + np.random.default_rng(0).normal(0, 0.5, 15)
    n = np.arange(15) % 3 + 1
    weighted = fit(tables, targets, [np.ones(40), n.astype(float)])
    rows = np.repeat(np.arange(15), n)
    repeated = fit(
        [tables[0], tables[1].iloc[rows].reset_index(drop=True)],
        [targets[0], targets[1].iloc[rows].reset_index(drop=True)],
    )
    # all were measured before, and the networks take no part; the search stops at a tolerance
    found, expected = (nested.predict(tables)[1] for nested in (weighted, repeated))
    assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    plain = fit(tables, targets).predict(tables)[1]
    assert np.abs(found - plain).max() > 1e-4


def test_categories_and_missing_values():
    tables, targets = two_scales()
    nested = fit(tables, targets)
    mean = nested.predict(tables)[1]
    assert np.isfinite(mean).all()
    later = pd.concat([tables[0].iloc[:3], tables[1]], ignore_index=True)
    later.loc[1, "mass"] = np.nan
    passed = nested.passed_on([tables[0], later])[1]["scale0"]
    # a row with a gap may be many materials
    assert passed["measured"].tolist() == [True, False, True] + [False] * 30
    third = crystals(), cells(), cells(12, seed=4)
    tables = [table for table, _ in third]
    tables[2]["light"] = np.resize(["sun", "lamp", None], 12)
    nested = fit(tables, [y for _, y in third])
    assert set(nested._fitted.passing[2].columns) == {0, 1}
    assert np.isfinite(nested.predict(tables)[2]).all()
    unseen = tables[2].assign(layer="ZnO")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isfinite(nested.predict([tables[0], tables[1], unseen])[2]).all()


# ---------------------------------------------------------------------------------------------
# The key


@pytest.mark.parametrize("key", ["formula", ("scale0", "formula")])
def test_a_material_is_known_by_its_key(key):
    tables, targets = two_tables()
    named = with_formulas(tables)
    nested = fit(named, targets, key=key)
    assert [own for _, _, own in nested.stages_] == [[1, 2, 3], [4]]
    passed = nested.passed_on(named)[1]["scale0"]
    assert passed["measured"].tolist() == [k < 5 for k in range(15)]
    assert_array_equal(passed["value"][:5], targets[0][35:])
    # the same rows without the column: no material is known, and all is as before else
    without = nested.passed_on([named[0], named[1].assign(formula=None)])[1]["scale0"]
    assert not without["measured"].any()
    assert_allclose(without["value"][5:], passed["value"][5:])


def test_a_key_in_arrays_is_a_position():
    tables, targets = two_tables()
    first, second = tables
    named = [np.c_[np.arange(40), first], np.c_[np.arange(35, 50), second]]
    nested = fit(named, targets, key=0)
    assert [own for _, _, own in nested.stages_] == [[1, 2, 3], [4]]
    assert nested.passed_on(named)[1]["scale0"]["measured"].sum() == 5
    X = named[1]
    stages = [("x", sae(), [0, 1, 2, 3]), ("y", gp(), [4])]
    one = fit(X, np.c_[X[:, 1], targets[1]], stages=stages, key=0)
    assert [own for _, _, own in one.stages_] == [[1, 2, 3], [4]]
    assert one.passed_on(X)["x"]["measured"].all()
    assert not one.passed_on(X + np.array([100, 0, 0, 0, 0]))["x"]["measured"].any()


def test_a_key_that_cannot_be():
    tables, targets = two_tables()
    for key in ("formla", 7, ("scale0", "formula")):
        message = "'key' parameter must be the label of one column of X, got .*: no column has"
        with pytest.raises(ValueError, match=message):
            fit(tables, targets, key=key)
    for key in (1.5, ["a"]):
        with pytest.raises(
            ValueError, match="'key' parameter of NestedAutoencoder must be an inst"
        ):
            fit(tables, targets, key=key)
    alone = [tables[0][["a"]], tables[1][["a", "t"]]]
    with pytest.raises(
        ValueError, match="Stage 'scale0' has no columns beside the key 'a'; the f"
    ):
        fit(alone, targets, key="a")


def test_a_doubtful_key_gives_a_warning():
    tables, targets = two_tables()
    named = with_formulas(tables)
    named[1]["formula"] = "other " + named[1]["formula"]
    with pytest.warns(MaterialKeyWarning, match=r"No row of stage 'scale1' .* in all 15 rows"):
        fit(named, targets, key="formula")
    named = with_formulas(tables)
    named[0]["formula"] = ["m36", "m36", *named[0]["formula"][2:]]
    with pytest.warns(
        MaterialKeyWarning, match=r"formula'\) has 1 value that stands for rows of s"
    ):
        fit(named, targets, key="formula")


@pytest.mark.filterwarnings("error")
def test_a_key_in_order_gives_none():
    tables, targets = two_tables()
    fit(with_formulas(tables), targets, key="formula")


def test_units_that_differ_are_doubted():
    tables, targets = two_tables()
    message = r"ranges that do not overlap at two scales: 'b' \(.* at 'scale0', .* at 'scale1'\)"
    with pytest.warns(UnitsWarning, match=message):
        fit([tables[0], tables[1].assign(b=1e4 + 1e3 * tables[1]["b"])], targets)


@pytest.mark.filterwarnings("error")
def test_units_that_are_the_same_are_not_doubted():
    tables, targets = two_tables()
    fit(tables, targets)
    fit([tables[0], tables[1].assign(b=5 * tables[1]["b"])], targets)
    fit([tables[0], tables[1].iloc[:4].assign(b=1e6)], [targets[0], targets[1][:4]])  # too few
    fit(*two_scales())


# ---------------------------------------------------------------------------------------------
# passthrough=True, and stages of other kinds


def test_what_cannot_be_passed_on_is_refused():
    tables, targets = two_tables()

    def refused(second, message, y=targets):
        stages = [("x", sae(), COLUMNS), ("y", second, ["t"])]
        with pytest.raises(ValueError, match=message):
            fit(tables, y, stages=stages, passthrough=True)

    refused(sae(), r"'passthrough' parameter is True, .*stage 'y' has predictor='network': give")
    refused(make_pipeline(StandardScaler(), gp()), "stage 'y' is a Pipeline: give it a Supervised")
    refused(gp(), "is True, but no stage before 'y' has a target of numbers", [None, targets[1]])
    with pytest.raises(ValueError, match="'passthrough' parameter of NestedAutoencoder must be"):
        fit(tables, targets, passthrough="yes")
    labels = np.where(targets[1] > 0, "high", "low")
    with pytest.raises(ValueError, match="'scale1' is a SupervisedAutoencoderClassifier"):
        fit(tables, [targets[0], labels], passthrough=True)


def test_a_classifier_passes_probabilities():
    tables, targets = two_tables()
    labels = np.where(targets[0] > 0, "high", "low")
    nested = fit(tables, [labels, targets[1]], stages=[("x", clf(), COLUMNS), ("y", gp(), ["t"])])
    passed = nested.passed_on(tables)[1]
    assert passed.columns.get_level_values(0).unique().tolist() == ["x[0]", "x[1]"]
    values = passed.xs("value", axis=1, level=1).to_numpy()
    assert_array_equal(values[:6], np.c_[labels[:6] == "high", labels[:6] == "low"])
    assert_allclose(values[6:], nested["x"].predict_proba(tables[1][COLUMNS])[6:], rtol=1e-6)
    first, second = nested.predict(tables)
    assert set(first) <= {"high", "low"}
    assert np.corrcoef(second, targets[1])[0, 1] > 0.3
    by_default = fit(tables, [labels, targets[1]])
    assert by_default["scale1"].predictor == "auto"
    assert by_default.passed_on(tables)[1].shape == (15, 6)


def test_a_classifier_as_last_stage_is_passed_nothing():
    tables, targets = two_tables()
    labels = np.where(targets[1] > 0, "high", "low")
    nested = fit(tables, [targets[0], labels])
    assert nested.passed_on(tables)[1].shape == (15, 0)
    assert nested.predict_proba(tables)[1].shape == (15, 2)


def test_a_pipeline_passes_its_prediction_alone():
    tables, targets = two_tables()
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), gp())
    nested = fit(tables, targets, stages=[("x", pipeline, COLUMNS), ("y", gp(), ["t"])])
    passed = nested._fitted.passing[1]
    assert (passed.columns, passed.source) == ({}, 0)
    values = nested.passed_on(tables)[1]["x"]["value"]
    assert_array_equal(values[:6], targets[0][:6])
    assert_allclose(values[6:], nested["x"].predict(tables[1][COLUMNS])[6:])


def test_a_target_of_arrays_passes_columns_alone():
    spectra, numbers = make_spectra(20)
    first = sae(target_block=SpectrumBlock())
    X = pd.DataFrame(numbers, columns=["a", "b"])
    y = pd.DataFrame({"s": list(spectra), "n": numbers.sum(axis=1)})
    nested = fit(X, y, stages=[("x", first, ["a"]), ("y", gp(), ["b"])])
    passed = nested._fitted.passing[1]
    assert (passed.columns, passed.source) == ({0: [0]}, None)
    assert nested.passed_on(X).shape == (20, 0)
    assert nested["y"].predictor_ == "gaussian_process"
    assert_allclose(nested.predict(X)[:, 1].astype(float), y["n"], atol=0.3 * y["n"].std())


def test_a_frozen_stage_passes_as_it_is():
    tables, targets = two_tables()
    first = gp().fit(*many(30, seed=7))
    stages = [("x", FrozenEstimator(first), COLUMNS), ("y", gp(), ["t"])]
    nested = fit(tables, targets, stages=stages)
    passed = nested.passed_on(tables)[1]["x"]
    mean, std = first.predict(tables[1][COLUMNS], return_std=True)
    assert_allclose(passed["value"][6:], mean[6:])
    assert_allclose(passed["std"][6:], std[6:])
    # what the frozen stage was fitted to is not known here; what this fit was given is
    assert passed["measured"].tolist() == [k < 6 for k in range(15)]
    of_arrays = FrozenEstimator(gp().fit(many()[0].to_numpy(), many()[1]))
    nested = fit(tables, targets, stages=[("x", of_arrays, COLUMNS), ("y", gp(), ["t"])])
    assert np.isfinite(nested.predict(tables)[1]).all()


def test_a_search_as_a_stage():
    tables, targets = two_tables()
    search = GridSearchCV(sae(), {"predictor": ["network", "gaussian_process"]}, cv=2)
    nested = fit(tables, targets, stages=[("x", search, COLUMNS), ("y", gp(), ["t"])])
    assert nested._fitted.passing[1].columns == {0: [0, 1, 2]}
    assert (nested.passed_on(tables)[1]["x"]["std"][6:] > 0).all()


def test_ensembles_as_stages():
    tables, targets = two_tables()
    drawn = gp(n_members=2, bootstrap=True)
    nested = fit(tables, targets, stages=[("x", drawn, COLUMNS), ("y", drawn, ["t"])])
    # each member draws rows, and with them what is passed on to these
    assert np.corrcoef(nested.predict(tables)[1], targets[1])[0, 1] > 0.9
    mean, std = nested["x"].predict(tables[1][COLUMNS], return_std=True)
    passed = nested.passed_on(tables)[1]["x"]
    assert_allclose(passed["value"][6:], mean[6:])
    assert_allclose(passed["std"][6:], std[6:])
    with_network = [("x", sae(n_members=2), COLUMNS), ("y", gp(), ["t"])]
    nested = fit(tables, targets, stages=with_network)
    # the spread of networks is not that of their error
    assert (nested.passed_on(tables)[1]["x"]["std"] == 0).all()


@pytest.mark.parametrize("bootstrap", [False, True])
def test_an_ensemble_of_chains(bootstrap):
    tables, targets = two_tables()
    stages = [("x", gp(), COLUMNS), ("y", gp(), ["t"])]
    nested = fit(tables, targets, stages=stages, n_members=2, bootstrap=bootstrap)
    members = [member.predict(tables, return_std=True) for member in nested.members_]
    means, stds = (np.array([member[i][1] for member in members]) for i in (0, 1))
    mean, std = (part[1] for part in nested.predict(tables, return_std=True))
    assert_allclose(mean, means.mean(axis=0))
    assert_allclose(std**2, (stds**2).mean(axis=0) + means.var(axis=0, ddof=1))
    assert nested.score(tables, targets) == pytest.approx(
        np.mean([r2_score(y, p) for y, p in zip(targets, nested.predict(tables), strict=True)])
    )


def test_std_of_networks_is_not_known():
    tables, targets = two_tables()
    networks = fit(tables, targets, stages=[("x", sae(), COLUMNS), ("y", sae(), ["t"])])
    with pytest.raises(
        ValueError, match=r"chain's 'n_members'.*got 1, or.*\['x', 'y'\] 'gaussian"
    ):
        networks.predict(tables[1], return_std=True)
    nested = fit(tables, targets, stages=[("x", sae(), COLUMNS), ("y", gp(), ["t"])])
    prediction, std = nested.predict(tables[1], return_std=True)
    assert_allclose(prediction, nested.predict(tables[1]))
    assert np.isnan(std[:, 0]).all()
    assert (std[:, 1] > 0).all()
    alone = fit(tables, [None, targets[1]], stages=[("x", sae(), COLUMNS), ("y", gp(), ["t"])])
    _, std = alone.predict(tables, return_std=True)
    assert std[0] is None
    assert (std[1] > 0).all()


# ---------------------------------------------------------------------------------------------
# Scores, searches, parts


def test_the_score_is_that_of_the_prediction(explicit):
    tables, targets = two_tables()
    X, y = stack_scales(tables, targets, names=["x", "y"])
    found = [r2_score(t, p) for t, p in zip(targets, explicit.predict(tables), strict=True)]
    assert explicit.score(tables, targets) == pytest.approx(np.mean(found))
    assert explicit.score(X, y) == pytest.approx(np.mean(found))
    weights = [np.arange(40) / 40, np.arange(15) / 15]
    found = [
        r2_score(t, p, sample_weight=w)
        for t, p, w in zip(targets, explicit.predict(tables), weights, strict=True)
    ]
    assert explicit.score(tables, targets, weights) == pytest.approx(np.mean(found))


def test_parts_of_a_chain(explicit):
    tables, _ = two_tables()
    first, whole = explicit[:1], explicit[:2]
    assert_array_equal(first.predict(tables[0]), explicit.predict(tables)[0])
    assert_array_equal(whole.predict(tables)[1], explicit.predict(tables)[1])
    assert first.passed_on(tables[0]).shape == (40, 0)
    assert first._fitted.passing == [None]  # what was measured for a later stage is not kept
    assert whole.passed_on(tables)[1].shape == (15, 3)
    # alone, a stage is passed nothing, and its network predicts
    latents = explicit["x"].transform(tables[1][COLUMNS])
    own = pd.DataFrame(latents).set_axis(explicit["y"].feature_names_in_[1:], axis=1)
    own.insert(0, "t", tables[1]["t"])
    alone = explicit["y"].predict(own)
    assert not np.allclose(alone, explicit.predict(tables)[1])
    network = fit(
        *two_tables(), stages=[("x", sae(max_iter=2), COLUMNS), ("y", sae(max_iter=2), ["t"])]
    )
    assert_allclose(alone, network.predict(tables)[1], rtol=1e-6)


def test_a_search_over_passthrough_and_predictors():
    X, y = stack_scales(*two_tables())
    nested = NestedAutoencoder(estimator=sae(max_iter=2), **QUICK)
    grid = {
        "passthrough": ["auto", False],
        "estimator__predictor": ["network", "gaussian_process"],
    }
    cv = ScaleKFold(2)
    plain = GridSearchCV(nested, grid, cv=cv, error_score="raise").fit(X, y)
    scores = plain.cv_results_["mean_test_score"].reshape(2, 2)  # by predictor, then passthrough
    assert np.isfinite(scores).all()
    assert scores[0, 0] == scores[0, 1]  # networks are passed nothing
    assert scores[1, 0] > scores[1, 1]
    batched = BatchedGridSearchCV(nested, grid, cv=cv, error_score="raise").fit(X, y)
    assert_allclose(batched.cv_results_["mean_test_score"].reshape(2, 2), scores, rtol=1e-4)


def test_cross_validation_of_a_table_without_own_columns_of_the_last_scale():
    tables, targets = equal_columns()
    X, y = stack_scales(tables, targets)
    assert X.columns.get_level_values(0).unique().tolist() == ["scale0"]
    scores = cross_val_score(
        NestedAutoencoder(**QUICK), X, y, cv=ScaleKFold(3), error_score="raise"
    )
    assert (scores > 0.5).all()
    for train, test in ScaleKFold(3).split(X, y):
        for rows, n in ((train, 10), (test, 5)):
            assert y["scale1"].iloc[rows].notna().sum().item() == n


# ---------------------------------------------------------------------------------------------
# Stored, cloned, refined


@pytest.mark.parametrize("through", ["pickle", "skops"])
@pytest.mark.parametrize("key", [None, "formula"])
def test_a_stored_chain_predicts_the_same_to_the_bit(through, key):
    tables, targets = two_tables()
    tables = tables if key is None else with_formulas(tables)
    stages = [("x", gp(), COLUMNS), ("y", gp(), ["t"])]
    nested = fit(tables, targets, stages=stages, key=key)
    if through == "pickle":
        loaded = pickle.loads(pickle.dumps(nested))
    else:
        dumped = skops.io.dumps(nested)
        untrusted = skops.io.get_untrusted_types(data=dumped)
        assert all(name.startswith("sknestedae.") for name in untrusted)
        assert not any("._" in name for name in untrusted)  # a file names no private class
        loaded = skops.io.loads(dumped, trusted=untrusted)
    for one, other in zip(
        nested.predict(tables, return_std=True),
        loaded.predict(tables, return_std=True),
        strict=True,
    ):
        for own, again in zip(one, other, strict=True):
            assert_array_equal(own, again)
    passed, again = nested.passed_on(tables)[1], loaded.passed_on(tables)[1]
    pd.testing.assert_frame_equal(passed, again, check_exact=True)
    assert loaded["y"].leave_one_out_score_ == nested["y"].leave_one_out_score_


def test_a_clone_is_fitted_to_the_same(explicit):
    again = clone(explicit).fit(*two_tables())
    tables, _ = two_tables()
    assert_array_equal(again.predict(tables)[1], explicit.predict(tables)[1])
    params = clone(explicit).set_params(passthrough=False, key="a").get_params()
    assert (params["passthrough"], params["key"]) == (False, "a")


def test_after_a_refinement_the_heads_know_the_refined_stages(monkeypatch):
    """The network of the first stage predicts otherwise then, which is what is passed on.

    Of the six rows that it has learnt, the head still learns from predictions out of fold.
    """
    learnt, refit = [], SupervisedAutoencoder._refit_head

    def spy(self, X, y, sample_weight, passed):
        learnt.append(passed.values[:, -1])
        refit(self, X, y, sample_weight, passed)

    monkeypatch.setattr(SupervisedAutoencoder, "_refit_head", spy)
    tables, targets = two_tables()
    targets[0][:] = np.random.default_rng(0).normal(size=40)
    stages = [("scale0", sae(max_iter=2), COLUMNS), ("scale1", gp(), ["t"])]
    nested = fit(tables, targets, stages=stages, refine_iter=8)
    before = fit(tables, targets, stages=stages)
    value = nested.passed_on(tables)[1]["scale0"]["value"]
    assert np.abs(value - before.passed_on(tables)[1]["scale0"]["value"])[6:].max() > 1e-3
    predicted = nested["scale0"].predict(tables[1][COLUMNS])
    assert_allclose(value[6:], predicted[6:], rtol=1e-5)
    (given,) = learnt
    assert_allclose(given[6:], predicted[6:], rtol=1e-5)
    assert np.abs(given[:6] - targets[0][:6]).min() > 1e-3
    mean, _ = head_by_hand(nested, tables[1], tables[1], ["t"], COLUMNS, given, value, targets[1])
    assert_allclose(nested.predict(tables)[1], mean, rtol=1e-3, atol=1e-3)


# ---------------------------------------------------------------------------------------------
# Completion, design, inspection, displays


def test_completion_is_that_of_the_networks():
    tables, targets = two_tables()
    nested, plain = fit(tables, targets), fit(tables, targets, passthrough=False)
    holed = [tables[0].assign(a=np.nan), tables[1].assign(t=np.nan)]
    for one, other in zip(nested.complete(holed), plain.complete(holed), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    found = nested.complete(holed, n_candidates=2)[1]
    assert found.passed_on["scale0"]["measured"].sum() > 0
    assert len(found.passed_on) == len(found.X)
    assert_allclose(found.prediction, nested.predict([tables[0], found.X])[1], rtol=1e-6)
    X, _ = stack_scales(tables, targets)
    X.iloc[3, 1] = np.nan
    whole = nested.complete(X)
    assert whole.columns.equals(X.columns)
    assert whole["scale0"].notna().all(axis=None)
    assert nested.complete(X, n_candidates=1).passed_on.shape == (len(X), 3)


def test_completion_where_the_last_stage_has_no_column(equal):
    tables, _ = equal_columns()
    holed = [tables[0], tables[1].assign(b=np.nan)]
    first, second = equal.complete(holed)
    pd.testing.assert_frame_equal(first, tables[0])
    assert second.shape == tables[1].shape
    assert second.notna().all(axis=None)
    pd.testing.assert_frame_equal(second[["a", "c"]], tables[1][["a", "c"]])
    found = equal.complete(holed, n_candidates=2)[1]
    assert not found.passed_on["scale0"]["measured"].any()
    X, _ = stack_scales(*equal_columns())
    assert equal.complete(X.mask(np.eye(len(X), 3) == 1)).notna().all(axis=None)


@pytest.mark.parametrize("is_frame", [True, False])
def test_completion_keeps_the_key(is_frame):
    tables, targets = two_tables()
    if is_frame:
        named, key = with_formulas(tables), "formula"
    else:
        named, key = [np.c_[np.arange(len(t)), t] for t in tables], 0
    nested = fit(named, targets, key=key)
    holed = [pd.DataFrame(table).astype(object) for table in named]
    for table in holed:
        table.iloc[2, 1:3] = None
        table.iloc[4, 0] = None
    holed = holed if is_frame else [table.to_numpy(dtype=float) for table in holed]
    for given, found in zip(holed, nested.complete(holed), strict=True):
        assert found.shape == given.shape
        found = pd.DataFrame(found)
        column = 0 if not is_frame else "formula"
        before = pd.DataFrame(given)[column]
        assert found[column].isna().equals(before.isna())  # a key is no measurement to impute
        assert found[column].dropna().tolist() == before.dropna().tolist()
        assert found.drop(columns=column).notna().all(axis=None)
    candidates = nested.complete(holed, n_candidates=1)[1]
    assert candidates.X.shape == holed[1].shape
    assert candidates.passed_on["scale0"]["measured"].sum() > 0


def test_completion_keeps_columns_of_no_stage():
    tables, targets = two_tables()
    stages = [("x", sae(), ["a", "b"]), ("y", gp(), ["t"])]
    nested = fit(tables, targets, stages=stages)
    holed = [table.assign(a=table["a"].mask(table.index == 2)) for table in tables]
    for found, table in zip(nested.complete(holed), tables, strict=True):
        assert list(found.columns) == list(table.columns)
        assert_array_equal(found["c"], table["c"])
        assert found.notna().all(axis=None)


def new_rows(nested):
    X = many(12, seed=9)[0].assign(t=np.random.default_rng(3).normal(size=12))
    return X.set_axis(nested._fitted.labels.index(), axis=1)


def outputs_in_units(chain, parts):
    outputs = chain.forward(parts)
    return [
        own.prediction.double() * float(stage.target.affine()[1].item())
        + float(stage.target.affine()[0].item())
        for stage, own in zip(chain.stages, outputs, strict=True)
    ]


@pytest.mark.parametrize("predictor", ["network", "gaussian_process"])
def test_the_differentiable_chain_predicts_the_same_of_unknown_rows(predictor):
    tables, targets = two_tables()
    stages = [("x", gp(predictor=predictor), COLUMNS), ("y", gp(), ["t"])]
    nested = fit(tables, targets, stages=stages)
    X = new_rows(nested)
    chain = DifferentiableChain(nested)
    with torch.no_grad():
        found = torch.hstack(outputs_in_units(chain, chain.encode(X))).numpy()
    assert_allclose(found, nested.predict(X), rtol=1e-6, atol=1e-6)


def test_a_probability_is_passed_in_the_differentiable_chain():
    tables, targets = two_tables()
    labels = np.where(targets[0] > 0, "high", "low")
    nested = fit(tables, [labels, targets[1]], stages=[("x", clf(), COLUMNS), ("y", gp(), ["t"])])
    X = new_rows(nested)
    chain = DifferentiableChain(nested)
    with torch.no_grad():
        last = chain.forward(chain.encode(X))[-1].prediction
    found = chain.stages[1].target.decode(last.numpy())
    assert_allclose(found, nested.predict(X)[:, 1].astype(float), rtol=1e-6, atol=1e-6)


def test_gradients_are_differences(explicit):
    """Of the last prediction by the columns of both scales, through all that is passed on."""
    X = new_rows(explicit)
    chain = DifferentiableChain(explicit)
    parts = chain.encode(X)
    for part in parts:
        for values in part.values.values():
            values.requires_grad_(True)
    outputs_in_units(chain, parts)[-1].sum().backward()
    step = 1e-5
    for k, own in enumerate([COLUMNS, ["t"]]):
        (values,) = parts[k].values.values()
        for j, name in enumerate(own):
            up, down = X.copy(), X.copy()
            column = X.columns.get_loc(("x" if k == 0 else "y", name))
            up.isetitem(column, X.iloc[:, column] + step)
            down.isetitem(column, X.iloc[:, column] - step)
            slope = (explicit.predict(up) - explicit.predict(down))[:, 1] / (2 * step)
            (high,), (low,) = (chain.encode(part)[k].values.values() for part in (up, down))
            by_value = values.grad[:, j].double() * (high - low)[:, j].double() / (2 * step)
            assert_allclose(by_value.numpy(), slope, rtol=1e-4, atol=1e-5)


def test_candidates_are_predicted_as_the_chain_predicts_them(explicit):
    tables, targets = two_tables()
    X, _ = stack_scales(tables, targets, names=["x", "y"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        design = propose(explicit, X, {"y": "max"}, n_candidates=2, random_state=0)
    assert_allclose(design.prediction, explicit.predict(design.X), rtol=1e-6)
    assert design.prediction[:, 1].max() >= targets[1].quantile(0.8)


def test_attributions_add_up_to_the_prediction(explicit):
    X = new_rows(explicit)
    parts, base = integrated_gradients(explicit, X, n_steps=200, return_baseline=True)
    assert list(parts.columns) == list(X.columns)
    expected = explicit.predict(X)[:, 1]
    # the error of the sum, with 200 points, of a function that bends over a standard deviation
    assert_allclose(base + parts.sum(axis=1), expected, atol=1e-2 * expected.std())
    assert (np.abs(parts).max() > 0).all()


def test_displays_of_such_a_chain(equal, explicit):
    X, _ = stack_scales(*two_tables(), names=["x", "y"])
    try:
        display = NestedDisplay.from_estimator(explicit)
        assert list(display.stages.index) == ["x", "y"]
        assert list(NestedDisplay.from_estimator(equal).stages.index) == ["scale0", "scale1"]
        traversal = TraversalDisplay.from_estimator(explicit, X.dropna(), latent=0)
        assert np.isfinite(traversal.predictions.to_numpy()).all()
    finally:
        plt.close("all")


# ---------------------------------------------------------------------------------------------
# A careless user


def test_before_fit_nothing_is_passed():
    with pytest.raises(NotFittedError):
        NestedAutoencoder().passed_on(many()[0])


def test_tables_that_are_not_those_of_fit(equal):
    with pytest.raises(
        ValueError, match=r"columns must be those of fit. X lacks \[\('scale0', 'c"
    ):
        equal.passed_on(many()[0][["a", "b"]])
    with pytest.raises(ValueError, match="list of 3 tables, but there are 2 stages"):
        equal.passed_on([many()[0]] * 3)
    tables, targets = equal_columns()
    with pytest.raises(ValueError, match=r"cannot be matched.*lacks \['c'\]"):
        fit([tables[0], tables[1][["a", "b"]]], targets)
    with pytest.raises(ValueError, match="y_list has 1 targets, but there are 2 scales"):
        fit(tables, targets[:1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_of_either_precision(dtype):
    tables, targets = equal_columns()
    arrays = [table.to_numpy(dtype=dtype) for table in tables]
    nested = fit(arrays, targets)
    assert nested.passed_on(arrays)[1]["scale0"]["measured"].all()
    same = [array.astype(np.float64) for array in arrays]
    assert nested.passed_on(same)[1]["scale0"]["measured"].all()


class PCAWithTarget(PCA):
    """Two components, of which the first predicts: it has no columns to pass on."""

    def predict(self, X):
        return self.transform(X)[:, 0]


def test_a_frozen_stage_is_passed_what_it_was_fitted_with():
    tables, targets = two_tables()
    nested = fit(tables, targets, stages=[("x", gp(), COLUMNS), ("y", gp(), ["t"])])
    frozen = [("x", FrozenEstimator(nested["x"]), COLUMNS)]
    again = fit(tables, targets, stages=[*frozen, ("y", FrozenEstimator(nested["y"]), ["t"])])
    assert_allclose(again.predict(tables[1]), nested.predict(tables[1]))
    other = [("x", PCAWithTarget(2), COLUMNS), ("y", FrozenEstimator(nested["y"]), ["t"])]
    with pytest.raises(ValueError, match=r"'y' is frozen, and was fitted with . values"):
        fit(tables, targets, stages=other)


def test_one_labelled_row_says_nothing_about_how_a_target_varies():
    tables, targets = two_tables()
    one = targets[1].where(np.arange(len(targets[1])) == 3)
    with pytest.warns(FewRowsWarning, match="stage 'scale1' is known in one of the 15 rows"):
        nested = fit(tables, [targets[0], one])
    assert np.isfinite(nested.predict(tables)[1]).all()
