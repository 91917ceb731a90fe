"""The chain of scales: what it equals, what it takes, what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from cases.nested import cells, clf, crystals, sae, same_rows, two_scales
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    cross_val_predict,
    cross_val_score,
    learning_curve,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sknestedae import (
    NestedAutoencoder,
    ScaleKFold,
    SupervisedAutoencoder,
    stack_scales,
    stage_scorer,
)
from sknestedae._estimators._nested import std_of_scale
from sknestedae.datasets import fetch_perovskites

# -- what it equals


def test_one_stage_is_the_plain_autoencoder():
    X, y = cells()
    plain = sae().fit(X, y)
    chains = [
        NestedAutoencoder(estimator=sae()).fit(X, y),
        NestedAutoencoder([("only", sae(), slice(None))]).fit(X, y),
        NestedAutoencoder(estimator=sae()).fit([X], [y]),
        NestedAutoencoder(
            estimator=sae(max_iter=9, random_state=4), max_iter=3, random_state=0
        ).fit(X, y),
    ]
    for chain in chains:
        assert_array_equal(chain.transform(X), plain.transform(X))
        assert_array_equal(np.ravel(chain.predict(X)), plain.predict(X))
        assert chain.score(X, y) == plain.score(X, y)
        assert chain.score(X) == plain.score(X)
        assert chain.n_iter_ == plain.n_iter_ == 3
    Z = plain.transform(X)
    pd.testing.assert_frame_equal(chains[0].inverse_transform(Z), plain.inverse_transform(Z))
    as_array = X[["radius", "mass"]].fillna(2).to_numpy()
    Z = sae().fit(as_array, y).transform(as_array)
    assert_array_equal(NestedAutoencoder(estimator=sae()).fit_transform(as_array, y), Z)


def test_the_default_of_one_stage_is_the_default_autoencoder():
    X, y = crystals()
    chain = NestedAutoencoder(max_iter=3, random_state=0).fit(X, y)
    assert_array_equal(
        chain.predict(X), SupervisedAutoencoder(max_iter=3, random_state=0).fit(X, y).predict(X)
    )


@pytest.mark.parametrize("n_scales", [2, 3, 5])
def test_a_chain_is_what_one_would_write_by_hand(n_scales):
    tables, targets = same_rows(n_scales)
    chain = NestedAutoencoder(estimator=sae()).fit(tables, targets)
    latents = None
    for k, (table, target) in enumerate(zip(tables, targets, strict=True)):
        own = table.to_numpy()
        X = own if latents is None else np.hstack([own, latents])
        stage = sae().fit(X, target)
        latents = stage.transform(X)
        # equal but for the order in which a matrix product sums up
        assert_allclose(chain.transform(tables)[k], latents, rtol=1e-9, atol=1e-12)
        assert_allclose(chain.predict(tables)[k], stage.predict(X), rtol=1e-9, atol=1e-12)
    assert len(chain) == n_scales
    # and back: each decoder gives its own columns, and the latents for the one before
    back = chain.inverse_transform(latents)
    for k in reversed(range(n_scales)):
        decoded = chain[k].inverse_transform(latents)
        decoded = np.asarray(decoded)
        assert_allclose(back[f"scale{k}"], decoded[:, :2], rtol=1e-12)
        latents = decoded[:, 2:]


def test_std_of_one_scale_whatever_the_others_know():
    X, y = stack_scales(*two_scales())
    names = X.columns.get_level_values(0).unique()
    tiny = {"n_components": 2, "max_iter": 2, "random_state": 0}
    kinds = {"network": [], "gaussian_process": []}
    for kind, found in kinds.items():
        stages = [
            (names[0], SupervisedAutoencoder(predictor=kind, **tiny), names[0]),
            (names[1], SupervisedAutoencoder(predictor="gaussian_process", **tiny), names[1]),
        ]
        nae = NestedAutoencoder(stages).fit(X, y)
        found += [std_of_scale(nae, X, k) for k in range(2)]
    both = nae.predict(X, return_std=True)[1]
    assert_allclose(kinds["gaussian_process"], both.T)
    assert kinds["network"][0] is None
    assert std_of_scale(nae.fit(X), X, 1) is None


@pytest.mark.parametrize("as_array", [True, False])
def test_rows_of_their_own_by_hand(as_array):
    """Devices' crystal latents come from the crystal stage as fitted, with its own scaler."""
    (first, gap), (second, pce) = crystals(), cells()
    second = second.drop(columns="layer").fillna(2.0)
    tables = [first.to_numpy(), second.to_numpy()] if as_array else [first, second]
    chain = NestedAutoencoder(estimator=sae(dropout=0.5)).fit(tables, [gap, pce])
    crystal = sae(dropout=0.5).fit(first, gap)
    latents = crystal.transform(second[["radius", "mass"]])
    X = np.hstack([second[["thickness"]], latents])
    device = sae(dropout=0.5).fit(X, pce)
    assert_array_equal(chain.transform(tables)[0], crystal.transform(first))
    assert_array_equal(chain.transform(tables)[1], device.transform(X))
    assert_array_equal(chain.predict(tables)[0], crystal.predict(first))
    assert_array_equal(chain.predict(tables)[1], device.predict(X))
    assert_array_equal(chain.predict(tables[1])[:, 1], device.predict(X))
    assert_array_equal(chain.predict(tables[1])[:, 0], crystal.predict(second[["radius", "mass"]]))


def test_a_list_is_what_stack_scales_makes_of_it():
    X_list, y_list = two_scales()
    X, y = stack_scales(X_list, y_list)
    of_list = NestedAutoencoder(estimator=sae()).fit(X_list, y_list)
    of_table = NestedAutoencoder(estimator=sae()).fit(X, y)
    assert_array_equal(of_list.predict(X), of_table.predict(X))
    assert of_list.score(X_list, y_list) == of_table.score(X, y)
    for k, scale in enumerate(["scale0", "scale1"]):
        rows = X.index.get_level_values(0) == scale
        assert_array_equal(of_list.transform(X_list)[k], of_table[: k + 1].transform(X[rows]))
        # a matrix product may round a row otherwise where there are more rows
        assert_allclose(of_list.predict(X_list)[k], of_table.predict(X)[rows, k], rtol=1e-12)
    assert_allclose(of_list.predict(X_list[1]), of_table.predict(X)[rows], rtol=1e-12)  # a table
    first_alone = of_list.predict(X_list[:1])
    assert len(first_alone) == 1
    assert_array_equal(first_alone[0], of_list.predict(X_list)[0])


def test_two_level_columns_tell_the_scales():
    tables, targets = same_rows()
    X = pd.concat({"inner": tables[0], "outer": tables[1]}, axis=1)
    y = pd.concat({"outer": targets[1], "inner": targets[0]}, axis=1)  # in another order
    chain = NestedAutoencoder(estimator=sae()).fit(X, y)
    assert [name for name, _, _ in chain.stages_] == ["inner", "outer"]
    assert chain.targets_ == {"inner": [1], "outer": [0]}
    by_list = NestedAutoencoder(estimator=sae()).fit(tables, targets)
    assert_array_equal(chain.predict(X), np.column_stack(by_list.predict(tables)[::-1]))
    assert chain.inverse_transform(chain.transform(X)).columns.equals(X.columns)
    # columns are found by name, in any order
    assert_array_equal(chain.predict(X[["outer", "inner"]]), chain.predict(X))


def test_a_list_into_a_chain_of_one_table_is_read_by_names():
    tables, targets = same_rows()
    X = pd.concat(tables, axis=1)
    stages = [(f"s{k}", sae(), list(table)) for k, table in enumerate(tables)]
    chain = NestedAutoencoder(stages).fit(X, pd.concat(targets, axis=1))
    turned = [table.iloc[:, ::-1] for table in tables]
    for X_list in (tables, turned):  # warnings are errors
        for ours, stage in zip(chain.predict(X_list), chain.predict(X).T, strict=True):
            assert_array_equal(ours, stage)
    assert_array_equal(chain.transform(turned[:1])[0], chain[:1].transform(X))


@pytest.mark.filterwarnings("ignore:batch_size=10000 is larger")
def test_integer_weights_equal_repeated_rows():
    X_list, y_list = two_scales()
    rng = np.random.default_rng(1)
    weights = [rng.integers(0, 4, len(table)) for table in X_list]
    settings = {"batch_size": 10_000, "max_iter": 20}
    repeated = [np.repeat(np.arange(len(w)), w) for w in weights]
    chain = NestedAutoencoder(estimator=sae(**settings))
    weighted = clone(chain).fit(X_list, y_list, sample_weight=weights)
    plain = clone(chain).fit(
        [table.iloc[rows] for table, rows in zip(X_list, repeated, strict=True)],
        [target.iloc[rows] for target, rows in zip(y_list, repeated, strict=True)],
    )
    for ours, theirs in zip(weighted.predict(X_list), plain.predict(X_list), strict=True):
        assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_scores_are_weighted():
    X_list, y_list = two_scales()
    X, y = stack_scales(X_list, y_list)
    chain = NestedAutoencoder(estimator=sae()).fit(X, y)
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    rows = np.repeat(np.arange(len(X)), weight)
    assert chain.score(X, y, sample_weight=weight) == pytest.approx(
        chain.score(X.iloc[rows], y.iloc[rows]), rel=1e-12
    )


def test_the_same_seed_gives_the_same_fit_and_the_world_is_left_alone():
    X_list, y_list = two_scales()
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, second = (
        NestedAutoencoder(max_iter=2, random_state=3).fit(X_list, y_list) for _ in range(2)
    )
    assert_array_equal(first.transform(X_list)[1], second.transform(X_list)[1])
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert_array_equal(np.random.get_state()[1], numpy_state)


def test_float32_stays_float32():
    X = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    stages = [("a", sae(), [0, 1]), ("b", sae(), [2, 3])]
    chain = NestedAutoencoder(stages, latents="all").fit(X, X[:, 0])
    assert chain.transform(X).dtype == np.float32
    assert {p.dtype for p in chain["b"].net_.module_.parameters()} == {torch.float32}


# -- the paper's artefacts


def test_mapbi3_has_the_gap_of_its_crystal_stage(data_dir):
    """Published, the devices' properties went through a scaler of their own, with dropout on.

    MAPbI3 then came out at 2.52 eV instead of 1.83; a middle between the two tells them apart.
    """
    data = fetch_perovskites(data_home=data_dir, download_if_missing=False)
    stage = {"hidden_layer_sizes": (128,), "predictor_hidden_layer_sizes": (128,)}
    chain = NestedAutoencoder(
        [
            (
                "crystal",
                SupervisedAutoencoder(
                    12, **stage, prediction_loss="absolute_error", dropout=0.1, max_iter=60
                ),
                list(data.crystals.columns),
            ),
            ("device", SupervisedAutoencoder(18, max_iter=1), ["ETL", "HTL"]),
        ],
        random_state=0,
    ).fit(data.data, data.target)
    is_mapbi3 = (data.device_composition == "MAPbI3").to_numpy()
    predicted = chain.predict(data.devices)[is_mapbi3, 0]
    assert len(predicted) == 984
    assert np.ptp(predicted) < 1e-12  # equal rows, no dropout
    ions = data.devices[data.crystals.columns]
    assert_allclose(predicted, chain["crystal"].predict(ions[is_mapbi3]), rtol=1e-12)
    own_scaler = StandardScaler().fit(ions)
    rescaled = StandardScaler().fit(data.crystals).inverse_transform(own_scaler.transform(ions))
    published = chain["crystal"].predict(pd.DataFrame(rescaled, columns=ions.columns))
    middle = (2.52 + 1.83) / 2
    assert predicted[0] < middle < published[is_mapbi3][0]


# -- stages of all kinds


@pytest.mark.parametrize(
    "columns",
    [
        ["radius", "mass"],
        [0, 1],
        slice(0, 2),
        slice("mass"),
        [True, True, False, False],
        lambda X: X.columns[:2],
        pd.Index(["radius", "mass"]),
    ],
)
def test_ways_to_name_columns(columns):
    X, y = cells()
    chain = NestedAutoencoder([("a", sae(), columns), ("b", sae(), ["thickness"])]).fit(X, y)
    assert [own for _, _, own in chain.stages_] == [[0, 1], [3]]
    back = chain.inverse_transform(chain.transform(X))
    assert back.columns.to_list() == ["radius", "mass", "thickness"]  # "layer" is of no stage


def test_stages_over_a_stacked_table_name_scales_or_features():
    X_list, y_list = two_scales()
    stages = [("crystal", sae(), ["radius", "mass"]), ("device", sae(), ["layer", "thickness"])]
    chain = NestedAutoencoder(stages).fit(X_list, y_list)
    assert [own for _, _, own in chain.stages_] == [[0, 1], [2, 3]]
    X, y = stack_scales(X_list, y_list, names=["crystal", "device"])
    stages = [("crystal", sae(), "crystal"), ("device", sae(), [("device", "layer"), "thickness"])]
    assert_array_equal(NestedAutoencoder(stages).fit(X, y).predict(X), chain.predict(X))


def test_regression_classes_and_none_in_one_chain():
    tables, targets = same_rows(3)
    labels = pd.Series(np.where(targets[1] > 0, "wide", "narrow"))
    labels[:4] = None
    chain = NestedAutoencoder(estimator=None, max_iter=3, random_state=0)
    chain.fit(tables, [None, labels, targets[2]])
    kinds = [type(estimator).__name__ for _, estimator, _ in chain.stages_]
    assert kinds == [
        "SupervisedAutoencoder",
        "SupervisedAutoencoderClassifier",
        "SupervisedAutoencoder",
    ]
    X, y = stack_scales(tables, [None, labels, targets[2]])
    prediction = chain.predict(X)
    assert prediction.shape == (40, 2)
    assert set(prediction[:, 0]) <= {"wide", "narrow"}
    assert prediction[:, 1].astype(float).std() > 0
    none, words, numbers = chain.predict(tables)
    assert none is None
    assert_array_equal(words, prediction[:, 0])
    assert_array_equal(numbers, prediction[:, 1].astype(float))
    parts = [chain[:2].score(X, y["scale1"]), chain["scale2"].n_iter_]
    assert 0 <= parts[0] <= 1
    assert np.isfinite(chain.score(X, y))


def test_integer_classes_stay_integers():
    (first, _), (second, pce) = crystals(), cells()
    labels = np.arange(40) % 3
    chain = NestedAutoencoder(
        [("crystal", clf(), ["radius", "mass"]), ("device", sae(), ["layer", "thickness"])]
    ).fit([first, second], [labels, pce])
    assert chain["crystal"].classes_.tolist() == [0, 1, 2]
    assert set(chain.predict([first])[0]) <= {0, 1, 2}


def test_a_chain_is_what_its_last_stage_is():
    X, y = cells()
    labels = np.where(y > y.mean(), "high", "low")
    stages = [("crystal", sae(), ["radius", "mass"]), ("device", clf(), ["layer", "thickness"])]
    chain = NestedAutoencoder(stages)
    assert is_classifier(chain)
    assert not is_regressor(chain)
    chain.fit(X, labels)
    assert chain.classes_.tolist() == ["high", "low"]
    assert_allclose(chain.predict_proba(X).sum(axis=1), 1)
    assert_allclose(np.exp(chain.predict_log_proba(X)), chain.predict_proba(X), rtol=1e-9)
    assert chain.score(X, labels) == np.mean(chain.predict(X) == labels)
    tables = [X[["radius", "mass"]], X]
    nothing, listed = chain.fit(tables, [None, labels]).predict_log_proba(tables)
    assert nothing is None
    assert_allclose(np.exp(listed), chain.predict_proba(tables)[1], rtol=1e-9)
    chain = NestedAutoencoder()
    assert is_regressor(chain)
    assert not hasattr(chain, "predict_proba")
    assert not hasattr(chain, "predict_log_proba")
    latents_only = NestedAutoencoder([("a", PCA(1), [0, 1])])
    assert not is_regressor(latents_only)
    assert not hasattr(latents_only, "predict")
    (first, second), (gap, _) = two_scales()
    second = second.fillna({"radius": 2.0})
    ends_in_pca = NestedAutoencoder(
        [("crystal", sae(), ["radius", "mass"]), ("device", PCA(1), ["thickness"])]
    ).fit([first, second[["radius", "mass", "thickness"]]], [gap, None])
    assert_array_equal(ends_in_pca.predict([first])[0], ends_in_pca["crystal"].predict(first))


def test_a_chain_can_be_fitted_again_to_something_else():
    chain = NestedAutoencoder(estimator=sae(), refine_iter=1).fit(*same_rows(3))
    X_list, y_list = two_scales()
    chain.set_params(refine_iter=0).fit(X_list, y_list)
    assert len(chain) == 2
    assert not hasattr(chain, "refine_history_")
    once = NestedAutoencoder(estimator=sae()).fit(X_list, y_list)
    assert_array_equal(chain.predict(X_list)[1], once.predict(X_list)[1])


def test_pipelines_and_other_transformers_as_stages():
    X, y = cells()
    X = X.fillna({"radius": 2.0})
    inner = Pipeline([("scale", StandardScaler()), ("sae", sae())])
    chain = NestedAutoencoder(
        [
            ("crystal", make_pipeline(StandardScaler(), PCA(2)), ["radius"]),
            ("middle", inner, ["mass"]),
            ("device", sae(), ["thickness", "layer"]),
        ],
        n_components=1,
        max_iter=2,
    ).fit(X, y)
    assert chain["crystal"][-1].n_components == chain["middle"]["sae"].n_components == 1
    assert chain["middle"]["sae"].n_iter_ == 2
    back = chain.inverse_transform(chain.transform(X))
    assert back.columns.to_list() == X.columns.to_list()
    by_hand = make_pipeline(StandardScaler(), PCA(1)).fit(X[["radius"]]).transform(X[["radius"]])
    assert_allclose(chain[:1].transform(X), by_hand)
    assert chain.get_params()["middle__sae__alpha"] == 1e-3


def test_inverse_transform_of_a_list_gives_the_tables_that_were_fitted():
    X_list, y_list = two_scales()
    chain = NestedAutoencoder(estimator=sae()).fit(X_list, y_list)
    back = chain.inverse_transform(chain.transform(X_list))
    for table, given in zip(back, X_list, strict=True):
        assert table.columns.to_list() == given.columns.to_list()
        assert table.shape == given.shape
    assert isinstance(back[1]["layer"].dtype, pd.CategoricalDtype)
    assert set(back[1]["layer"]) <= {"TiO2", "SnO2"}
    tables, targets = same_rows()
    chain = NestedAutoencoder(estimator=sae()).fit(tables, targets)
    for table, given in zip(chain.inverse_transform(chain.transform(tables)), tables, strict=True):
        assert table.columns.to_list() == given.columns.to_list()


def test_a_chain_as_a_stage():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 4)), columns=list("abcd"))
    inner = NestedAutoencoder([("u", sae(), ["a"]), ("v", sae(), ["b"])])
    chain = NestedAutoencoder([("in", inner, ["a", "b"]), ("q", sae(), ["c"])]).fit(X, X["d"])
    assert chain.history_.index.get_level_values(0).unique().to_list() == ["in__u", "in__v", "q"]
    assert chain.inverse_transform(chain.transform(X)).columns.to_list() == ["a", "b", "c"]
    last = NestedAutoencoder([("q", sae(), ["c"]), ("in", inner, ["a", "b"])]).fit(X)
    with pytest.raises(
        ValueError, match="'in' gives 2 columns back, and not its own 2 with the 2"
    ):
        last.inverse_transform(last.transform(X))


# -- scikit-learn's tools on a stacked table


def test_cross_validation_and_search_of_a_stacked_table():
    X, y = stack_scales(*two_scales())
    chain = NestedAutoencoder(estimator=sae())
    assert np.isfinite(cross_val_score(chain, X, y, error_score="raise")).all()
    assert cross_val_predict(chain, X, y, cv=ScaleKFold(3)).shape == (70, 2)
    search = GridSearchCV(chain, {"n_components": [1, 2]}, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    grid = {"estimator": [sae(), make_pipeline(StandardScaler(), sae())]}
    tables, targets = same_rows()
    X, y = stack_scales(tables, targets)
    GridSearchCV(chain, grid, cv=2, error_score="raise").fit(X, y)
    stages = [("a", sae(), "scale0"), ("b", sae(), "scale1")]
    grid = {"a": [PCA(1), sae()], "b__alpha": [0.0, 1.0]}
    search = GridSearchCV(NestedAutoencoder(stages), grid, cv=2, error_score="raise")
    search.fit(X, targets[1])
    assert len(search.cv_results_["params"]) == 4


@pytest.mark.parametrize("cv", [2, ScaleKFold(2)])
def test_a_list_in_a_cross_validation_raises(cv):
    X_list, y_list = two_scales()
    chain = NestedAutoencoder(estimator=sae())
    with pytest.raises(ValueError, match="stack_scales"):
        cross_val_score(chain, X_list, y_list, cv=cv)
    with pytest.raises(ValueError, match="stack_scales"):
        GridSearchCV(chain, {"n_components": [1, 2]}, cv=cv).fit(X_list, y_list)
    with pytest.raises(ValueError, match="stack_scales"):
        learning_curve(chain, X_list, y_list, cv=cv, train_sizes=[1.0])


def test_a_list_is_as_many_samples_as_tables_for_a_split():
    """With more folds than tables, scikit-learn refuses before a chain is asked."""
    X_list, y_list = two_scales()
    with pytest.raises(ValueError, match=r"n_splits=5 .* samples: n_samples=2"):
        cross_val_score(NestedAutoencoder(estimator=sae()), X_list, y_list)


def test_learning_curve():
    X, y = stack_scales(*two_scales())
    sizes, _, test = learning_curve(
        NestedAutoencoder(estimator=sae()), X, y, cv=3, train_sizes=[0.5, 1.0], error_score="raise"
    )
    assert sizes.tolist() == [23, 46]
    assert np.isfinite(test).all()


def test_permutation_importance():
    X, y = stack_scales(*two_scales())
    chain = NestedAutoencoder(estimator=sae()).fit(X, y)
    scorer = stage_scorer(mean_absolute_error, "scale0", greater_is_better=False)
    for scoring in (None, scorer):
        result = permutation_importance(chain, X, y, scoring=scoring, n_repeats=2, random_state=0)
        assert result.importances_mean.shape == (4,)
    # the gap cannot depend on what comes after it
    assert_array_equal(result.importances[2:], 0)


def test_halving_search():
    X, y = stack_scales(*two_scales())
    search = HalvingGridSearchCV(
        NestedAutoencoder(estimator=sae()),
        {"n_components": [1, 2]},
        cv=ScaleKFold(2, shuffle=True, random_state=0),
        min_resources=40,
        random_state=0,
        error_score="raise",
    ).fit(X, y)
    assert search.best_params_["n_components"] in (1, 2)


def test_transformed_target():
    tables, targets = same_rows()
    X, y = stack_scales(tables, [None, targets[1]])
    chain = NestedAutoencoder(estimator=sae())
    model = TransformedTargetRegressor(chain, transformer=StandardScaler()).fit(X, y)
    assert np.shape(model.predict(X)) == (40, 1)
    X, y = stack_scales(*two_scales())
    with pytest.raises(ValueError, match="Input y contains NaN"):  # scikit-learn's own
        TransformedTargetRegressor(chain, transformer=StandardScaler()).fit(X, y)


def test_bagging():
    """Bagging makes an array of the table: stages by position are found again."""
    tables, targets = same_rows()
    X, y = stack_scales(tables, [None, targets[1]])
    stages = [("a", sae(), [0, 1]), ("b", sae(), [2, 3])]
    bag = BaggingRegressor(NestedAutoencoder(stages), n_estimators=2, random_state=0)
    bag.fit(X, y.to_numpy().ravel())
    assert bag.predict(X).shape == (40,)
    assert [len(chain) for chain in bag.estimators_] == [2, 2]
    (first, second), targets = two_scales()
    X, y = stack_scales([first, second.drop(columns="layer")], targets)
    with pytest.raises(ValueError, match="Input y contains NaN"):  # scikit-learn's own
        BaggingRegressor(NestedAutoencoder(), n_estimators=2).fit(X, y)


def test_a_pipeline_that_ends_in_a_chain():
    X, y = stack_scales(*two_scales())
    pipeline = make_pipeline(FunctionTransformer(), NestedAutoencoder(estimator=sae()))
    assert pipeline.fit(X, y).predict(X).shape == (70, 2)
    assert_array_equal(
        pipeline.transform(X), NestedAutoencoder(estimator=sae()).fit(X, y).transform(X)
    )


def test_a_list_of_arrays_in_and_out():
    rng = np.random.default_rng(0)
    tables = [rng.normal(size=(20, 2)), rng.normal(size=(12, 3))]
    chain = NestedAutoencoder(estimator=sae()).fit(tables, [tables[0][:, 0], tables[1][:, 2]])
    assert [Z.shape for Z in chain.transform(tables)] == [(20, 2), (12, 2)]
    assert_array_equal(chain.predict(tables[1])[:, 1], chain.predict(tables)[1])


def test_a_list_means_what_it_meant_in_fit():
    """Whatever the numbers of rows are then."""
    rng = np.random.default_rng(0)
    X_list = [rng.normal(size=(20, 2)), rng.normal(size=(15, 3))]
    chain = NestedAutoencoder(estimator=sae()).fit(X_list, [None, X_list[1][:, 0]])
    assert chain.n_features_in_ == 3
    parts = [X_list[0][:10], X_list[1][:10]]  # as many rows, which may be the same ones
    for Z, whole in zip(chain.transform(parts), chain.transform(X_list), strict=True):
        assert_allclose(Z, whole[:10], rtol=1e-10, atol=1e-12)
    assert [table.shape for table in chain.complete(parts)] == [(10, 2), (10, 3)]
    same = NestedAutoencoder(estimator=sae(), same_rows=True)
    same.fit([X_list[0][:15], X_list[1]], [None, X_list[1][:, 0]])
    assert same.n_features_in_ == 5
    with pytest.raises(ValueError, match=r"have \[20, 15\] rows"):
        same.predict(X_list)
    own = NestedAutoencoder(estimator=sae(), same_rows=False)
    own.fit([X_list[0][:15], X_list[1]], [None, X_list[1][:, 0]])
    assert own.n_features_in_ == 3


def test_probabilities_of_a_list():
    (first, second), (gap, pce) = two_scales()
    kinds, classes = np.where(gap > gap.mean(), "u", "v"), np.where(pce > pce.mean(), "w", "n")
    both = NestedAutoencoder(max_iter=2, random_state=0).fit([first, second], [kinds, classes])
    coarse, fine = both.predict_proba([first, second])
    assert_array_equal(fine, both.predict_proba(second))
    assert_array_equal(coarse, both[:1].predict_proba(first))
    one = NestedAutoencoder(max_iter=2, random_state=0, n_members=2)
    one.fit([first, second], [gap, classes])
    (nothing, mean), (no_spread, spread) = one.predict_proba([first, second], return_std=True)
    assert nothing is None
    assert no_spread is None
    assert mean.shape == spread.shape == (30, 2)


def test_a_failed_fit_leaves_nothing_behind():
    X_list, y_list = two_scales()
    chain = NestedAutoencoder(estimator=sae()).fit(X_list, y_list)
    before = chain.predict(X_list)[1]
    broken = [X_list[0], X_list[1].assign(thickness=np.inf)]
    with pytest.raises(ValueError, match="infinity"):
        chain.fit(broken, y_list)
    assert_array_equal(chain.predict(X_list)[1], before)
    fresh = NestedAutoencoder(estimator=sae())
    with pytest.raises(ValueError, match="infinity"):
        fresh.fit(broken, y_list)
    assert set(vars(fresh)) == set(fresh.get_params(deep=False))
