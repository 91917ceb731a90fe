"""Candidates: they keep what was asked of them, and say honestly what they are."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from cases.design import (
    ARRAYS,
    N_CHANNELS,
    SIDE,
    TINY,
    a_chain,
    a_chain_with_arrays,
    a_classifier,
    arrays,
    one_scale,
    table,
    with_arrays,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import NestedAutoencoder, SupervisedAutoencoder, stack_kinds, stack_scales
from sknestedae._estimators._fitted import fitted_part
from sknestedae.blocks import DenseBlock
from sknestedae.design import Design, _design, propose
from sknestedae.design._design import _sort
from sknestedae.exceptions import NoTargetError, OutsideDomainWarning, ToleranceWarning


def linear(n_rows=150, **parameters):
    """Give an autoencoder of a linear target that it knows well, and its table."""
    X = pd.DataFrame(np.random.default_rng(0).uniform(size=(n_rows, 3)), columns=list("abc"))
    y = 2 * X["a"] - X["b"]
    estimator = SupervisedAutoencoder(
        3,
        hidden_layer_sizes=(),
        alpha=1e-4,
        max_iter=150,
        learning_rate_init=0.03,
        random_state=0,
        **{"predictor": "network", **parameters},
    )
    return estimator.fit(X, y), X, y


def quietly(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ToleranceWarning)
        warnings.simplefilter("ignore", OutsideDomainWarning)
        return propose(*args, random_state=0, **kwargs)


def test_a_search_of_numbers_takes_one_thread(monkeypatch):
    """Its steps are small; on a busy machine two threads took ten times longer."""
    search, seen = _design.SearchProblem.search, []

    def watched(self, *args):
        seen.append(torch.get_num_threads())
        return search(self, *args)

    monkeypatch.setattr(_design.SearchProblem, "search", watched)
    sae, X, _ = linear(n_rows=20)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        quietly(sae, X, "max", n_candidates=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [1]


# ---------------------------------------------------------------------------------------------
# Known answers


def test_a_value_is_met_in_truth(whole_search):
    """The network knows the target to a hundredth; a tolerance of a tenth leaves room for that."""
    estimator, X, y = linear()
    error = np.abs(estimator.predict(X) - y).max()
    design = propose(estimator, X, 1.2, tolerance=0.1, random_state=0)
    true = 2 * design.X["a"] - design.X["b"]
    assert len(design) == 10
    assert design.meets.all()
    assert np.abs(true - 1.2).max() <= 0.1 + 2 * error


def test_a_maximum_is_at_the_corner(whole_search):
    estimator, X, _ = linear()
    design = quietly(estimator, X, "max", n_candidates=1, domain_weight=0)
    best = design.X.iloc[0]
    # Each step of Adam is a twentieth of a standard deviation at most, and 200 of them reach any
    # corner; what is left of a column's range is within one step.
    step = 0.05 * X.std()
    assert best["a"] > X["a"].max() - step["a"]
    assert best["b"] < X["b"].min() + step["b"]
    least = quietly(estimator, X, "min", n_candidates=1, domain_weight=0)
    assert least.prediction[0] < estimator.predict(X).min()
    assert design.prediction[0] > estimator.predict(X).max()


def test_the_price_of_the_domain_keeps_candidates_near(whole_search):
    estimator, X, _ = linear(blocks=DenseBlock(clip=None))  # which follows a line to any distance
    bounds = dict.fromkeys("abc", (-9, 9))
    distances = [
        quietly(estimator, X, "max", bounds=bounds, domain_weight=weight).input_distance[0]
        for weight in (0, 0.1, 1, 10)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 10 > 1 > distances[-1]  # standard deviations


def test_constraints_are_kept():
    X, y = table()
    X["w"] = 1 - X["v"]
    estimator = SupervisedAutoencoder(3, **TINY, n_members=2).fit(X, y)
    design = quietly(
        estimator,
        X,
        (4.0, 7.0),
        fixed={"kind": "q"},
        bounds={"u": (2.0, 3.0)},
        sums=[(["v", "w"], 1.0)],
        n_candidates=6,
    )
    assert len(design) > 0
    assert (design.X["kind"] == "q").all()
    assert design.X["u"].between(2, 3).all()
    assert_allclose(design.X["v"] + design.X["w"], 1, rtol=1e-9)
    assert (design.X.dtypes == X.dtypes).all()
    assert design.X["count"].between(X["count"].min(), X["count"].max()).all()


def test_a_sum_of_whole_numbers_is_kept_too():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.integers(0, 5, size=(60, 3)), columns=list("abc"))
    estimator = SupervisedAutoencoder(2, **TINY).fit(X, X["a"])
    design = quietly(estimator, X, "max", sums=[(["a", "b", "c"], 6)])
    assert (design.X.sum(axis=1) == 6).all()
    assert all(dtype.kind == "i" for dtype in design.X.dtypes)


def test_a_library_is_all_there_is():
    estimator, X, _ = one_scale()
    library = X[["u", "kind"]].drop_duplicates().iloc[:7]
    design = quietly(estimator, X, "max", library=library)
    assert len(design) > 0
    pairs = set(map(tuple, library.to_numpy(dtype=object)))
    assert set(map(tuple, design.X[["u", "kind"]].to_numpy(dtype=object))) <= pairs


def test_the_best_row_of_a_library_is_found():
    """Where the library has all columns, predicting all of its rows is the answer."""
    estimator, X, _ = one_scale()
    library, _ = table(n_rows=200, seed=1)
    design = quietly(estimator, X, "max", library=library, n_candidates=3, domain_weight=0.0)
    assert_allclose(design.prediction[0], estimator.predict(library).max())


def test_no_other_category_of_the_best_is_better(whole_search):
    estimator, X, _ = one_scale()
    design = quietly(estimator, X, "max", n_candidates=2, domain_weight=0.0)
    for kind in "pqr":
        other = design.X.assign(kind=pd.Categorical([kind] * len(design), list("pqr")))
        assert (estimator.predict(other) <= design.prediction[0] + 1e-6).all()


def test_candidates_are_new_distinct_and_reproducible():
    estimator, X, target = one_scale()
    design, again = (quietly(estimator, X, target, n_candidates=8) for _ in range(2))
    pd.testing.assert_frame_equal(design.to_frame(), again.to_frame())
    assert not design.X.duplicated().any()
    assert not design.X.merge(X.drop_duplicates(), how="inner").size
    state = np.random.get_state()[1].copy()
    quietly(estimator, X, target, n_candidates=1)
    assert_array_equal(np.random.get_state()[1], state)


def test_where_all_is_met_what_is_new_comes_first():
    estimator, X, _ = one_scale()
    design = quietly(estimator, X, (-100.0, 100.0), n_candidates=8)
    assert design.meets.all()
    scale = X[["u", "v", "count"]].std(ddof=0)
    for _, row in design.X.iterrows():
        known = X[X["kind"] == row["kind"]]
        steps = (known[list(scale.index)] - row[list(scale.index)].astype(float)) / scale
        assert np.sqrt((steps**2).mean(axis=1)).min() > 0.1


# ---------------------------------------------------------------------------------------------
# What is said of them


@pytest.mark.parametrize("make", [one_scale, a_classifier, a_chain])
def test_predictions_are_the_estimators_own(make):
    estimator, X, target = make()
    design = quietly(estimator, X, target, n_candidates=4)
    assert_array_equal(design.prediction, estimator.predict(design.X))
    assert np.isnan(design.prediction_std).all()


def test_an_ensemble_gives_its_spread():
    for make in (one_scale, a_chain):
        estimator, X, target = make(n_members=3)
        design = quietly(estimator, X, target, n_candidates=4)
        mean, std = estimator.predict(design.X, return_std=True)
        assert_array_equal(design.prediction, mean)
        assert_array_equal(design.prediction_std, std)


def test_distances_and_nearest_rows_are_those_of_all_pairs():
    estimator, X, target = one_scale()
    X = X.set_axis([f"row {i}" for i in range(len(X))], axis=0)
    design = quietly(estimator, X, target, n_candidates=5)
    numeric, scale = ["u", "v", "count"], X[["u", "v", "count"]].std(ddof=0)
    for i, candidate in enumerate(design.X.to_dict("records")):
        squares = (((X[numeric] - [candidate[c] for c in numeric]) / scale) ** 2).sum(axis=1)
        distance = np.sqrt((squares + (X["kind"] != candidate["kind"])) / 4)
        assert_allclose(design.input_distance[i], distance.min())
        assert design.nearest[i, 0] == distance.idxmin()
    Z, known = estimator.transform(design.X), estimator.transform(X)
    precision = np.linalg.inv(fitted_part(estimator).latent_statistics.regular_covariance())
    for i, latents in enumerate(Z):
        step = known - latents
        expected = np.sqrt((step @ precision * step).sum(axis=1).min() / Z.shape[1])
        assert_allclose(design.latent_distance[i], expected, rtol=1e-6)
    below = estimator.score_samples(X)[None] < estimator.score_samples(design.X)[:, None]
    assert_allclose(design.domain, below.mean(axis=1))


def test_those_that_meet_the_target_come_first():
    estimator, X, _ = linear()
    design = quietly(estimator, X, 1.9, n_candidates=30, tolerance=0.02)
    assert design.meets.any()
    assert (np.diff(design.meets.astype(int)) <= 0).all()
    for meets in (True, False):
        assert (np.diff(design.loss[design.meets == meets]) >= 0).all()
    assert_array_equal(design.meets, np.abs(design.prediction - 1.9) <= 0.02)


def test_what_meets_the_target_comes_before_what_costs_less():
    """A candidate at the edge of the domain may cost more, and meet the target all the same."""
    meets, loss = np.array([False, True, False, True]), np.array([0.1, 0.9, 0.3, 0.2])
    rows = np.arange(4.0)
    numbers = [rows] * 2, [rows] * 3
    frame = pd.DataFrame({"x": rows})
    design = _sort(
        Design(frame, *numbers[0], meets, loss, *numbers[1], rows[:, None], ["y"]), by_loss=True
    )
    assert_array_equal(design.prediction, [3, 1, 0, 2])
    assert_array_equal(design.meets, [True, True, False, False])
    assert_array_equal(design.loss, [0.2, 0.9, 0.1, 0.3])
    in_order = _sort(design.take(np.array([2, 0, 1, 3])), by_loss=False)
    assert_array_equal(in_order.prediction, [3, 1, 0, 2])  # as they came, after what is met
    assert_array_equal(design.nearest[:, 0], design.prediction)
    assert design.X["x"].tolist() == [3, 1, 0, 2]
    assert design.target_names == ["y"]


def test_a_frame_has_all_of_it():
    estimator, X, target = a_chain(n_members=2)
    design = quietly(estimator, X, target, n_candidates=3)
    frame = design.to_frame()
    assert list(frame)[:4] == list(X)
    assert_array_equal(frame["predicted b"], design.prediction[:, 1])
    assert_array_equal(frame["predicted a, std"], design.prediction_std[:, 0])
    assert_array_equal(frame["nearest"], design.nearest[:, 0])
    assert isinstance(design, Design)
    assert "3 candidates" in repr(design)


# ---------------------------------------------------------------------------------------------
# Tables


def test_lists_and_tables_of_two_levels_stand_for_the_last_scales_rows():
    rng = np.random.default_rng(0)
    first = pd.DataFrame(rng.normal(size=(40, 2)), columns=["r", "m"])
    second = pd.DataFrame(rng.normal(size=(30, 2)), columns=["r", "m"])
    second["layer"] = rng.choice(["x", "y"], 30)
    y = [first["r"], second["r"] + (second["layer"] == "x")]
    chain = NestedAutoencoder(
        [
            ("c", SupervisedAutoencoder(2, **TINY), "c"),
            ("d", SupervisedAutoencoder(2, **TINY), "d"),
        ]
    ).fit([first, second], y)
    by_list = quietly(chain, [first, second], {"d": "max"}, fixed={"layer": "x"}, n_candidates=3)
    by_table = quietly(
        chain,
        stack_scales([first, second], y, names=["c", "d"])[0],
        {"d": "max"},
        fixed={("d", "layer"): "x"},
        n_candidates=3,
    )
    assert list(by_list.X.columns) == [("c", "r"), ("c", "m"), ("d", "layer")]
    assert_allclose(by_list.prediction, by_table.prediction)
    assert set(by_list.nearest.ravel()) <= {("d", i) for i in range(30)}
    assert "d: layer" in by_list.to_frame()


def test_arrays_and_missing_values():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3)).astype(np.float32)
    X[3, 1] = np.nan
    estimator = SupervisedAutoencoder(2, **TINY).fit(X, X[:, 0])
    design = quietly(estimator, X, "max", n_candidates=3, bounds={1: (-1, 1)})
    assert design.X.dtype == np.float32
    assert np.isfinite(design.X).all()
    assert set(design.nearest.ravel()) <= set(range(50))


def two_scales_in_an_array():
    """Give a chain and its table, of which every other row has the first scale alone."""
    X = np.random.default_rng(0).normal(size=(60, 3))
    X[::2, 2] = np.nan
    stage = SupervisedAutoencoder(2, **TINY)
    chain = NestedAutoencoder([("a", stage, [0, 1]), ("b", stage, [2])], random_state=0)
    return chain.fit(X, X[:, 0] + np.nan_to_num(X[:, 2])), X


def test_nearest_rows_of_an_array_are_positions_in_it():
    chain, X = two_scales_in_an_array()
    design = quietly(chain, X, "max", n_candidates=3)
    known = X[1::2]
    scaled = (design.X[:, None] - known) / known.std(axis=0)
    expected = 1 + 2 * (scaled**2).sum(axis=2).argmin(axis=1)
    assert_array_equal(design.nearest[:, 0], expected)
    frame = pd.DataFrame(X, index=[f"row {i}" for i in range(len(X))])  # of an array's chain
    by_label = quietly(chain, frame, "max", n_candidates=3)
    assert_array_equal(by_label.nearest[:, 0], [f"row {i}" for i in expected])


def a_chain_that_leaves_columns_out():
    X, y = table()
    X = X.assign(
        number=np.arange(60),
        name=[f"cell {i}" for i in range(60)],
        flag=np.arange(60) > 20,
        when=pd.Timestamp("2020-01-01"),
        group=pd.Categorical(["g"] * 60),
        share=0.5,
    )
    stage = SupervisedAutoencoder(2, **TINY)
    stages = [("a", stage, ["u", "v"]), ("b", stage, ["kind", "count"])]
    return NestedAutoencoder(stages, random_state=0).fit(X, y), X


def test_columns_of_no_stage_are_missing():
    chain, X = a_chain_that_leaves_columns_out()
    design = quietly(chain, X, "max", n_candidates=3)
    assert list(design.X) == list(X)
    own = ["u", "v", "kind", "count"]
    assert design.X[own].notna().all(axis=None)
    assert (design.X[own].dtypes == X[own].dtypes).all()
    assert design.X.drop(columns=own).isna().all(axis=None)
    assert_array_equal(design.prediction, chain.predict(design.X))
    numbers, scale = X[["u", "v", "count"]], X[["u", "v", "count"]].std(ddof=0)
    for distance, (_, row) in zip(design.input_distance, design.X.iterrows(), strict=True):
        squares = (((numbers - row[list(scale.index)].astype(float)) / scale) ** 2).sum(axis=1)
        assert_allclose(distance, np.sqrt((squares + (X["kind"] != row["kind"])) / 4).min())
    assert "name" in design.to_frame()


def test_columns_of_no_stage_in_an_array():
    X = np.random.default_rng(0).normal(size=(40, 3))
    stage = SupervisedAutoencoder(2, **TINY)
    chain = NestedAutoencoder([("a", stage, [0]), ("b", stage, [2])]).fit(X, X[:, 2])
    design = quietly(chain, X, "max", n_candidates=2)
    assert_array_equal(np.isnan(design.X), [[False, True, False]] * 2)


@pytest.mark.parametrize(
    "given",
    [
        {"fixed": {"number": 1}},
        {"bounds": {"number": (0, 1)}},
        {"sums": [(["u", "number"], 1.0)]},
        {"library": pd.DataFrame({"number": [1]})},
    ],
)
def test_columns_of_no_stage_can_not_be_asked_for(given):
    chain, X = a_chain_that_leaves_columns_out()
    (parameter,) = given
    message = f"'{parameter}' parameter names column 'number', which no stage has"
    with pytest.raises(ValueError, match=message):
        propose(chain, X, "max", **given)


def test_stages_of_two_dtypes():
    X, y = table()
    X = X.astype({"u": np.float32, "v": np.float32})
    stage = SupervisedAutoencoder(2, **TINY)
    chain = NestedAutoencoder([("a", stage, ["u", "v"]), ("b", stage, ["kind", "count"])])
    design = quietly(chain.fit(X, y), X, "max", n_candidates=2)
    assert (design.X.dtypes == X.dtypes).all()


def test_one_column():
    """Of which pandas gives a read-only view; torch would warn of it."""
    X = pd.DataFrame({"u": np.linspace(0, 1, 40)})
    estimator = SupervisedAutoencoder(1, **TINY).fit(X, X["u"])
    design = propose(estimator, X, "max", n_candidates=1, random_state=0)
    assert design.X.shape == (1, 1)


# ---------------------------------------------------------------------------------------------
# Bad input, and honest warnings


def test_a_target_out_of_reach_is_told_with_what_comes_nearest():
    estimator, X, _ = linear()
    low, high = estimator.predict(X).min(), estimator.predict(X).max()
    told = (
        r"None of the 10 candidates meets the target: target was to be 50 \+- 0.1; nearest is \d.*"
        rf"known rows are predicted from {low:.4g} to {high:.4g}"
    )
    with pytest.warns(ToleranceWarning, match=told):
        design = propose(estimator, X, 50.0, tolerance=0.1, random_state=0)
    assert not design.meets.any()
    assert len(design) == 10


def test_too_few_candidates_are_told():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"kind": rng.choice(["p", "q"], 40), "sort": rng.choice(["s", "t"], 40)})
    X = X[~((X["kind"] == "q") & (X["sort"] == "t"))]  # the one pair that is not known
    estimator = SupervisedAutoencoder(2, **TINY).fit(X, (X["kind"] == "p").astype(float))
    with (
        pytest.warns(OutsideDomainWarning, match="The one candidate lies outside"),
        pytest.warns(ToleranceWarning, match="Only 1 distinct candidates .* n_candidates=10"),
    ):
        design = propose(estimator, X, "max", random_state=0)
    assert design.X.to_dict("list") == {"kind": ["q"], "sort": ["t"]}
    with pytest.warns(ToleranceWarning, match="Only 0 distinct"):
        design = propose(estimator, X, "max", fixed={"kind": "p"}, random_state=0)
    assert len(design) == len(design.to_frame()) == 0


def test_a_class_that_is_not_reached_is_told():
    estimator, X, _ = a_classifier()
    found = quietly(estimator, X, "good", n_candidates=2)
    if not found.meets.any():
        with pytest.warns(ToleranceWarning, match="was to be 'good', predicted are"):
            propose(estimator, X, "good", n_candidates=2, random_state=0)


def test_an_estimator_that_can_not_be_asked():
    X, y = table()
    with pytest.raises(NotFittedError):
        propose(SupervisedAutoencoder(), X, "max")
    with pytest.raises(NoTargetError, match="without a target"):
        propose(SupervisedAutoencoder(2, **TINY).fit(X), X, "max")
    numbers = X[["u", "v"]]
    pipeline = make_pipeline(StandardScaler(), SupervisedAutoencoder(2, **TINY)).fit(numbers, y)
    with pytest.raises(TypeError, match=r"propose needs a supervised autoencoder.*Pipeline"):
        propose(pipeline, numbers, "max")
    chain = NestedAutoencoder(
        [("a", PCA(1), ["u"]), ("b", SupervisedAutoencoder(2, **TINY), ["v"])]
    ).fit(numbers, y)
    with pytest.raises(TypeError, match="stage 'a' is a PCA"):
        propose(chain, numbers, "max")


def test_what_lies_outside_is_told_with_what_to_change():
    estimator, X, _ = one_scale()
    ends = rf"'u' \({X['u'].min():.4g} to {X['u'].max():.4g}\)"
    told = (
        r"All 2 candidates lie outside of the domain that the 60 known rows cover: at most "
        rf"0.0% .*Outside of the range of the known rows are {ends}: allow less by 'bounds'"
        r".*raise 'domain_weight' \(now 0.3\)"
    )
    with pytest.warns(OutsideDomainWarning, match=told):
        design = propose(
            estimator, X, "max", bounds={"u": (70, 80)}, n_candidates=2, random_state=0
        )
    assert (design.domain < 0.05).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inside = propose(
            estimator, X, float(np.median(estimator.predict(X))), n_candidates=2, random_state=0
        )
    assert inside.domain.max() >= 0.05


def test_a_maximum_has_nothing_to_meet():
    estimator, X, target = a_chain()
    assert quietly(estimator, X, {"b": "max"}, n_candidates=2).meets is None
    assert quietly(estimator, X, {"b": "max"}, fixed={"u": 1.0}, n_candidates=2).meets is None
    both = quietly(estimator, X, target, n_candidates=2, tolerance=0.5)
    assert_array_equal(both.meets, np.abs(both.prediction[:, 0] - 1.0) <= 0.5)
    assert both.wanted == {"a": "1 +- 0.5", "b": "max"}


# ---------------------------------------------------------------------------------------------
# Acquisition functions


@pytest.mark.parametrize("acquisition", ["expected_improvement", "upper_confidence_bound"])
@pytest.mark.parametrize(
    "settings", [{"predictor": "gaussian_process"}, {"predictor": "network", "n_members": 3}]
)
def test_candidates_of_an_acquisition_are_distinct_and_reproducible(settings, acquisition):
    estimator, X, _ = one_scale(**settings)
    design, again = (
        quietly(estimator, X, "max", n_candidates=5, acquisition=acquisition) for _ in range(2)
    )
    pd.testing.assert_frame_equal(design.to_frame(), again.to_frame())
    assert len(design) == 5
    assert_array_equal(design.prediction, estimator.predict(design.X))
    steps = (design.X["u"].to_numpy()[:, None] - design.X["u"].to_numpy()) / X["u"].std()
    same = design.X["kind"].to_numpy()[:, None] == design.X["kind"].to_numpy()
    others = design.X[["v", "count"]].to_numpy()[:, None] - design.X[["v", "count"]].to_numpy()
    others = others / X[["v", "count"]].std().to_numpy()
    apart = np.sqrt((steps**2 + (others**2).sum(axis=2)) / 3) > 0.099  # of the sample's deviation
    assert (apart | ~same | np.eye(5, dtype=bool)).all()


def test_more_weight_of_the_spread_leads_to_where_less_is_known():
    estimator, X, _ = one_scale(predictor="gaussian_process")
    spreads = [
        quietly(
            estimator,
            X,
            "max",
            n_candidates=1,
            acquisition="upper_confidence_bound",
            kappa=kappa,
            domain_weight=0,
        ).prediction_std[0]
        for kappa in (0.0, 1000.0)
    ]
    assert spreads[1] > spreads[0]


def test_an_acquisition_needs_a_spread():
    estimator, X, _ = one_scale(predictor="network")
    message = (
        "'acquisition' parameter is 'expected_improvement', which needs the standard deviation of "
        r"the prediction of 'target'.*n_members=5 or more.*predictor='gaussian_process'"
    )
    with pytest.raises(ValueError, match=message):
        propose(estimator, X, "max", acquisition="expected_improvement")
    estimator, X, _ = one_scale(predictor="gaussian_process")
    with pytest.raises(ValueError, match="must be 'mean' where no target is 'max' or 'min'"):
        propose(estimator, X, 5.0, acquisition="expected_improvement")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"acquisition": "ei"}, r"'acquisition' parameter must be one of \['mean', .*got 'ei'"),
        ({"kappa": -1}, "'kappa' parameter must be a number of 0 or more, got -1"),
        ({"n_candidates": 0}, "'n_candidates' parameter must be a positive int, got 0"),
        ({"n_candidates": 2.5}, "got 2.5"),
        ({"domain_weight": -1}, "'domain_weight' parameter must be a number of 0 or more"),
        ({"tolerance": 0}, "'tolerance' parameter must be positive, got 0"),
        ({"tolerance": {"gap": 1}}, "'tolerance' parameter names 'gap'"),
        ({"tolerance": {1: 1}}, "'tolerance' parameter names 1; the estimator predicts"),
        ({"tolerance": {0: 1, "target": 1}}, "'tolerance' parameter names .* 'target' twice"),
        ({"tolerance": {0: -1}}, "must be positive, got -1 for 'target'"),
        ({"fixed": {"kind": "z"}}, "never seen in fit"),
    ],
)
def test_parameters_are_checked(parameters, message):
    estimator, X, target = one_scale()
    with pytest.raises(ValueError, match=message):
        propose(estimator, X, target, **parameters)


def test_tolerances_are_named_or_counted_as_targets_are():
    estimator, X, _ = a_chain()
    by_name, by_position = (
        quietly(estimator, X, {"b": 5.0}, tolerance={key: 0.5}, n_candidates=3) for key in ("b", 1)
    )
    assert_array_equal(by_name.meets, np.abs(by_name.prediction[:, 1] - 5) <= 0.5)
    pd.testing.assert_frame_equal(by_name.to_frame(), by_position.to_frame())
    with pytest.raises(ValueError, match="names 'a', which has no wanted value in 'target'"):
        propose(estimator, X, {"b": 5.0}, tolerance={"a": 1.0})


@pytest.mark.parametrize(
    ("parameters", "seen"),
    [
        ({}, "in fit; "),
        ({"n_members": 2}, "in fit; "),
        ({"n_members": 2, "bootstrap": True}, "in fit by the ensemble's first member"),
    ],
)
def test_whose_categories_they_are(parameters, seen):
    """Members that see other rows may see other categories; the first one's are proposed."""
    estimator, X, target = one_scale(**parameters)
    with pytest.raises(ValueError, match=f"never seen {seen}"):
        propose(estimator, X, target, fixed={"kind": "z"})


def test_rows_without_the_last_scale_are_refused():
    estimator, X, target = a_chain()
    with pytest.raises(ValueError, match="no row with a measured column of the last stage, 'b'"):
        propose(estimator, X.assign(kind=np.nan, count=np.nan), target)


# ---------------------------------------------------------------------------------------------
# Arrays


@pytest.fixture
def short(monkeypatch):
    """A search of few steps: of what is asserted here, nothing needs a good one."""
    monkeypatch.setattr("sknestedae.design._search._N_POOL", 60)
    monkeypatch.setattr("sknestedae.design._search._N_STEPS", 5)


OF_ARRAYS = {
    "one scale": with_arrays,
    "ensemble": lambda: with_arrays(n_members=2, bootstrap=True),
    "chain": a_chain_with_arrays,
}


@pytest.mark.parametrize("case", OF_ARRAYS)
def test_candidates_have_arrays_as_the_known_rows_have(case, short):
    estimator, X, target = OF_ARRAYS[case]()
    images, spectra, _ = arrays(4, seed=3)
    design = quietly(
        estimator,
        X,
        target,
        n_candidates=3,
        fixed={"spectrum": spectra[0]},
        library={"image" if case != "chain" else "a__shape": images},
    )
    assert len(design) == 3
    assert design.X.columns.equals(X.columns)
    assert (design.X.dtypes == X.dtypes).all()
    assert_allclose(design.prediction, estimator.predict(design.X))
    assert all(np.array_equal(cell, spectra[0]) for cell in design.X["spectrum"])
    assert all((cell == images).all(axis=(1, 2)).any() for cell in design.X["image"])
    free = quietly(estimator, X, target, n_candidates=3)
    assert len(free) == 3
    assert_allclose(free.prediction, estimator.predict(free.X))
    for name in ("image", "spectrum"):
        known = np.stack(list(X[name]))
        for cell in free.X[name]:
            assert (cell.shape, cell.dtype) == (known.shape[1:], known.dtype)
            assert (cell >= known.min(axis=0) - 1e-5).all()
            assert (cell <= known.max(axis=0) + 1e-5).all()
            assert not (cell == known).reshape(len(X), -1).all(axis=1).any()


def test_arrays_of_more_dimensions_come_back_so(short):
    """The same as flattened rows, and as cells in ``to_frame``."""
    images, _, z = arrays()
    estimator = SupervisedAutoencoder(3, blocks=ARRAYS[0][1], **TINY).fit(images, z[:, 0])
    design = quietly(estimator, images, "max", n_candidates=3)
    assert design.X.shape == (3, SIDE, SIDE)
    assert design.X.dtype == images.dtype
    flat = quietly(estimator, images.reshape(len(images), -1), "max", n_candidates=3)
    assert_array_equal(flat.X, design.X.reshape(3, -1))
    assert_array_equal(flat.prediction, design.prediction)
    frame = design.to_frame()
    assert frame.columns[0] == "X"
    assert_array_equal(np.stack(list(frame["X"])), design.X)
    with pytest.warns(ToleranceWarning, match="Only 0 distinct .* Known rows are no candidates"):
        none = propose(estimator, images, "max", library=images)
    assert none.X.shape == (0, SIDE, SIDE)


def test_the_best_array_of_a_library_is_found():
    """However many there are, where nothing else is free."""
    images, _, z = arrays()
    estimator = SupervisedAutoencoder(3, blocks=ARRAYS[0][1], **TINY).fit(images, z[:, 0])
    library, _, _ = arrays(700, seed=5)
    design = quietly(estimator, images, "max", n_candidates=2, library=library, domain_weight=0)
    expected = estimator.predict(library)
    assert_allclose(design.prediction[0], expected.max())
    assert_array_equal(design.X[0], library[expected.argmax()])


def test_columns_of_two_levels_hold_arrays_too(short):
    images, spectra, z = arrays()
    table = pd.DataFrame({"u": z[:, 1]})
    X = stack_kinds(image=images, spectrum=spectra, table=table)
    estimator = SupervisedAutoencoder(3, blocks=ARRAYS, **TINY).fit(X, z[:, 0])
    for library in (images[:5], X["image"][:5], X[["image"]][:5]):
        design = quietly(
            estimator,
            X,
            "max",
            n_candidates=2,
            fixed={("table", "u"): 0.25, "spectrum": spectra[1]},
            library={"image": library},
        )
        assert design.X.columns.equals(X.columns)
        assert (design.X["table", "u"] == 0.25).all()
        assert_array_equal(design.X["spectrum"].to_numpy(), spectra[[1, 1]])
        found = design.X["image"].to_numpy().reshape(-1, SIDE, SIDE)
        assert all((image == images[:5]).all(axis=(1, 2)).any() for image in found)


def test_whole_numbers_in_arrays_stay_whole(short):
    images, _, z = arrays()
    pixels = (255 * images).astype(np.uint8)
    tables = {
        "cells": (pd.DataFrame({"u": z[:, 1], "image": list(pixels)}), [ARRAYS[0]]),
        "columns": (pd.DataFrame(pixels.reshape(len(pixels), -1)), ARRAYS[0][1]),
    }
    for name, (X, blocks) in tables.items():
        estimator = SupervisedAutoencoder(3, blocks=blocks, **TINY).fit(X, z[:, 0])
        design = quietly(estimator, X, "max", n_candidates=3)
        assert (design.X.dtypes == X.dtypes).all()
        if name == "cells":
            assert all(cell.dtype == np.uint8 for cell in design.X["image"])
        # of rows that are rounded, the loss is that of what is proposed
        scale = estimator.predict(X).std()
        beyond = design.loss + design.prediction / scale
        assert (beyond > -1e-4).all()
        assert_allclose(beyond[design.domain > 0.5], 0, atol=1e-4)


def test_known_rows_may_lack_arrays(short):
    estimator, X, target = with_arrays()
    X = X.copy()
    X["image"] = [None, *X["image"][1:]]
    assert len(quietly(estimator, X, target, n_candidates=2)) == 2


def test_a_spectrum_is_wanted_channel_by_channel():
    images, spectra, _ = arrays()
    (_, image, _), (_, spectrum, _) = ARRAYS
    estimator = SupervisedAutoencoder(3, blocks=image, target_block=spectrum, **TINY)
    estimator.fit(images, spectra)
    library, _, _ = arrays(20, seed=3)
    wanted = dict(enumerate(estimator.predict(library)[7]))
    design = quietly(
        estimator, images, wanted, n_candidates=2, library=library, tolerance=1e-6, domain_weight=0
    )
    assert design.prediction.shape == (2, N_CHANNELS)
    assert_array_equal(design.X[0], library[7])
    assert design.meets.tolist() == [True, False]
    assert design.to_frame().shape == (2, 1 + 2 * N_CHANNELS + 5)


def test_a_gaussian_process_tells_how_sure_a_candidate_is(whole_search):
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(40, 3)), columns=["a", "b", "c"])
    sae = SupervisedAutoencoder(2, predictor="gaussian_process", max_iter=5, random_state=0)
    sae.fit(X, X["a"] + X["b"] ** 2)
    design = propose(sae, X, 1.0, n_candidates=3, random_state=0)
    prediction, std = sae.predict(design.X, return_std=True)
    assert_array_equal(design.prediction_std, std)
    assert_array_equal(design.prediction, prediction)
