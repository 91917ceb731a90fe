"""Searches and cross-validation of networks at once, against scikit-learn's own."""

from __future__ import annotations

import inspect
import logging
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from cases.nested import two_scales
from cases.training import CountsEpochs
from cases.vectorized import SMALL, data, sae
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, StandardScaler
from sklearn.utils._testing import assert_docstring_consistency

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    stack_scales,
    stage_scorer,
)
from sknestedae.exceptions import EqualScoresWarning
from sknestedae.model_selection import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    batched_cross_validate,
    batched_training,
)
from sknestedae.model_selection._search import _share_rows

SMALL = {**SMALL, "max_iter": 8}
FOLDS = KFold(3, shuffle=True, random_state=0)
# What the issue of training together promises of scores.
SCORE_ATOL = 1e-6


NON_FINITE = pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")


def assert_same_results(ours, theirs):
    assert ours.keys() == theirs.keys()
    for key, expected in theirs.items():
        if key == "params":
            assert ours[key] == expected
        elif key.startswith("param_"):
            assert ours[key].tolist() == expected.tolist()
        elif "time" not in key:
            assert_allclose(ours[key], expected, rtol=0, atol=SCORE_ATOL, err_msg=key)


def search_both(estimator, grid, X, y=None, fit=(), **settings):
    settings = {"cv": FOLDS, "return_train_score": True, **settings}
    theirs = GridSearchCV(clone(estimator), grid, **settings).fit(X, y, **dict(fit))
    ours = BatchedGridSearchCV(clone(estimator), grid, **settings).fit(X, y, **dict(fit))
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    return ours, theirs


def test_grid_search(stacks):
    X, y = data()
    grid = {"alpha": [0.001, 0.1], "learning_rate_init": [1e-3, 1e-2], "n_components": [2, 3]}
    ours, theirs = search_both(sae(**SMALL), grid, X, y)
    assert stacks == [12, 12]
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_index_ == theirs.best_index_
    assert_allclose(ours.best_score_, theirs.best_score_, atol=SCORE_ATOL)
    assert_array_equal(ours.predict(X), theirs.predict(X))  # the refit is a single fit
    assert ours.score(X, y) == theirs.score(X, y)
    assert_array_equal(ours.transform(X), theirs.transform(X))
    assert ours.n_splits_ == 3
    assert ours.n_features_in_ == 6
    assert type(ours.best_estimator_) is SupervisedAutoencoder


def test_randomized_search():
    X, y = data()
    settings = {"n_iter": 4, "cv": FOLDS, "random_state": 0}
    distributions = {"alpha": loguniform(1e-4, 1), "dropout": [0.0]}
    ours, theirs = (
        kind(sae(**SMALL), distributions, **settings).fit(X, y)
        for kind in (BatchedRandomizedSearchCV, RandomizedSearchCV)
    )
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    assert ours.best_params_ == theirs.best_params_


@pytest.mark.parametrize(
    "settings",
    [
        {"return_train_score": True, "cv": 4},
        {"scoring": ["r2", "neg_mean_absolute_error"], "return_estimator": True},
        {"scoring": make_scorer(mean_absolute_error), "return_indices": True, "cv": FOLDS},
        {"cv": GroupKFold(3), "groups": np.arange(130) // 10},
        {"params": {"sample_weight": np.linspace(0.1, 1, 130)}},
    ],
    ids=lambda settings: ", ".join(settings),
)
def test_cross_validate(settings):
    X, y = data()
    y = np.nan_to_num(y)
    ours = batched_cross_validate(sae(**SMALL), X, y, **settings)
    theirs = cross_validate(sae(**SMALL), X, y, **settings)
    assert ours.keys() == theirs.keys()
    for key, expected in theirs.items():
        if key == "estimator":
            for a, b in zip(ours[key], expected, strict=True):
                assert_allclose(a.predict(X), b.predict(X), atol=1e-5)
        elif key == "indices":
            for side in ("train", "test"):
                for a, b in zip(ours[key][side], expected[side], strict=True):
                    assert_array_equal(a, b)
        elif "time" not in key:
            assert_allclose(ours[key], expected, rtol=0, atol=SCORE_ATOL)


def test_pipeline_and_its_steps(stacks):
    X, y = data()
    pipeline = make_pipeline(QuantileTransformer(n_quantiles=20), sae(**SMALL))
    grid = {
        "supervisedautoencoder__alpha": [0.001, 0.1],
        "quantiletransformer": [QuantileTransformer(n_quantiles=5), "passthrough"],
    }
    search_both(pipeline, grid, X, y)
    assert stacks == [12]


def test_any_estimator_around():
    X, y = data()
    around = TransformedTargetRegressor(sae(**SMALL), transformer=StandardScaler())
    search_both(around, {"regressor__alpha": [0.001, 0.1]}, X, np.nan_to_num(y))


def test_a_step_that_writes_into_a_frame():
    X, y = data(incomplete=False)
    X = pd.DataFrame(X, columns=list("abcdef"))

    def write(table):
        table["a"] = table["a"] * 3 + table["b"]
        return table

    pipeline = make_pipeline(FunctionTransformer(write), sae(**SMALL))
    grid = {"supervisedautoencoder__alpha": [0.001, 0.01, 0.1]}
    search_both(pipeline, grid, X, y, cv=2, refit=False)


def test_what_trains_no_network():
    X, y = data(incomplete=False)
    search_both(Ridge(), {"alpha": [0.1, 1, 10]}, X, y)


def test_classifier_of_mixed_columns():
    X, y = data(incomplete=False)
    X = pd.DataFrame(X, columns=list("abcdef"))
    X["layer"] = np.where(np.arange(130) % 3, "TiO2", "SnO2")
    labels = np.where(y > 1, "good", "bad")
    clf = SupervisedAutoencoderClassifier(**SMALL, random_state=0)
    ours, theirs = search_both(
        clf, {"alpha": [0.001, 0.1]}, X, labels, scoring=["accuracy", "roc_auc"], refit="roc_auc"
    )
    assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    assert_array_equal(ours.classes_, ["bad", "good"])


def chain(**settings):
    return NestedAutoencoder(
        [
            ("scale0", sae(**SMALL, random_state=None), ["u0", "v0"]),
            ("scale1", sae(**SMALL, random_state=None), slice("u1", "v1")),
        ],
        random_state=0,
        **settings,
    )


def test_a_stage_that_candidates_share_is_trained_once(stacks):
    X_list, y_list = two_scales()
    X, y = stack_scales(X_list, y_list)
    nae = NestedAutoencoder(estimator=sae(**SMALL, random_state=None), random_state=0)
    found = nae.fit(X, y).stages_
    explicit = NestedAutoencoder(
        [(name, sae(**SMALL, random_state=None), columns) for name, _, columns in found],
        random_state=0,
    )
    stacks.clear()
    scoring = stage_scorer(mean_absolute_error, "scale1", greater_is_better=False)
    grid = {"scale1__alpha": [0.001, 0.01, 0.1, 1]}
    search_both(explicit, grid, X, y, scoring=scoring)
    # three folds of the first stage; then three of each of four candidates
    assert stacks == [3, 12]


def test_ensembles_in_a_search(stacks):
    X, y = data()
    search_both(sae(**SMALL, n_members=3), {"alpha": [0.001, 0.1]}, X, y)
    assert stacks[-1] == 3  # the refit
    assert 18 in stacks


def test_the_order_of_candidates_and_workers_does_not_matter(tmp_path):
    X, y = data()
    grid = {"alpha": [0.001, 0.1]}
    settings = {**SMALL, "dropout": 0.1}
    one, two = (
        BatchedGridSearchCV(sae(**settings), grid, cv=FOLDS, n_jobs=n_jobs).fit(X, y)
        for n_jobs in (None, 2)
    )
    assert_same_results(two.cv_results_, one.cv_results_)
    assert_array_equal(two.predict(X), one.predict(X))


def test_other_functions_of_scikit_learn(stacks):
    X, y = data()
    arguments = {"train_sizes": [0.5, 1.0], "cv": FOLDS}
    expected = learning_curve(sae(**SMALL), X, y, **arguments)
    with batched_training():
        found = learning_curve(sae(**SMALL), X, y, **arguments)
    assert stacks  # of batch sizes that some fold has in common with others
    for a, b in zip(found, expected, strict=True):
        assert_allclose(a, b, rtol=0, atol=SCORE_ATOL)


def test_fits_outside_are_as_ever(stacks):
    with batched_training():
        pass
    cross_validate(sae(**SMALL), *data(), cv=FOLDS)
    assert stacks == []


def test_settings_of_scikit_learn_hold_inside():
    X = pd.DataFrame(data()[0], columns=list("abcdef"))

    class Spy(SupervisedAutoencoder):
        def fit(self, X, y=None, sample_weight=None):
            assert isinstance(StandardScaler().fit_transform(X), pd.DataFrame)
            return super().fit(X, y, sample_weight)

    with config_context(transform_output="pandas"):
        batched_cross_validate(Spy(**SMALL), X, cv=FOLDS, error_score="raise")


# -- memory


def test_rows_are_copied_once_while_they_are_in_use():
    X = np.arange(12.0).reshape(6, 2)
    shared, rows = _share_rows(X), np.array([4, 1, 2])
    first, again = shared[rows, ...], shared[rows.copy(), ...]
    assert first is again
    assert type(first) is np.ndarray
    assert_array_equal(first, X[rows])
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1
    assert shared[rows[::-1], ...] is not first
    assert_array_equal(shared[1:3], X[1:3])
    assert_array_equal(shared[:, 0], X[:, 0])
    assert type(shared[1:3]) is np.ndarray
    frame = pd.DataFrame(X, columns=["a", "b"], index=list("uvwxyz"))
    shared = _share_rows(frame)
    first = shared.take(rows)
    assert np.shares_memory(first["a"], shared.take(rows.copy(), axis=0)["a"])
    first["c"] = 1.0  # of this one alone
    first = shared.take(rows)
    pd.testing.assert_frame_equal(first, frame.iloc[rows])
    assert type(first) is pd.DataFrame
    pd.testing.assert_frame_equal(shared.take([1], axis=1), frame[["b"]])
    assert [type(_share_rows(X)) for X in ([[1]], None)] == [list, type(None)]


@pytest.mark.parametrize("table", [np.eye(3), pd.DataFrame(np.eye(3))], ids=["array", "frame"])
def test_shared_rows_on_the_way_to_a_worker(table):
    loaded = pickle.loads(pickle.dumps(_share_rows(table)))
    assert_array_equal(np.asarray(loaded), table)
    rows = np.array([2, 0])
    taken = loaded[rows, ...] if isinstance(table, np.ndarray) else loaded.take(rows)
    assert_array_equal(taken, np.eye(3)[rows])


@pytest.mark.parametrize("as_frame", [False, True])
def test_memory_does_not_grow_with_networks_times_rows(as_frame):
    """Sixteen networks more on the same folds need less than one table more."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8000, 50))  # large beside what each fit keeps, whatever the rows
    n_bytes = X.nbytes
    X = pd.DataFrame(X).add_prefix("x") if as_frame else X
    y = rng.normal(size=8000)
    model = sae(max_iter=1, batch_size=200, hidden_layer_sizes=())

    def peak(n_candidates):
        grid = {"alpha": list(np.geomspace(1e-4, 1, n_candidates))}
        tracemalloc.start()
        BatchedGridSearchCV(model, grid, cv=KFold(2), refit=False).fit(X, y)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(10) - peak(2) < n_bytes


# -- bad input


def test_a_candidate_that_diverges_gets_the_error_score():
    X, y = data()
    grid = {"learning_rate_init": [1e-3, 1e200, 1e-2]}
    with pytest.warns(FitFailedWarning, match="3 fits failed") as caught:
        ours = BatchedGridSearchCV(sae(**SMALL), grid, cv=FOLDS, error_score=-7.0).fit(X, y)
    assert "diverged" in str(caught[0].message)
    assert ours.cv_results_["mean_test_score"][1] == -7
    rest = GridSearchCV(sae(**SMALL), {"learning_rate_init": [1e-3, 1e-2]}, cv=FOLDS).fit(X, y)
    for split in range(3):
        key = f"split{split}_test_score"
        found = ours.cv_results_[key][[0, 2]]
        assert_allclose(found, rest.cv_results_[key], rtol=0, atol=SCORE_ATOL)


@NON_FINITE
@pytest.mark.parametrize("search", [GridSearchCV, BatchedGridSearchCV])
def test_invalid_candidates_are_as_in_scikit_learn(search):
    X, y = data()
    with pytest.warns(FitFailedWarning, match=r"'alpha' parameter"):
        fitted = search(sae(**SMALL), {"alpha": [-1.0, 0.1]}, cv=FOLDS).fit(X, y)
    assert np.isnan(fitted.cv_results_["mean_test_score"]).tolist() == [True, False]
    with pytest.raises(ValueError, match="'alpha' parameter"):
        search(sae(**SMALL), {"alpha": [-1.0]}, cv=FOLDS, error_score="raise").fit(X, y)
    with pytest.raises(ValueError, match="Invalid parameter 'size'"):
        search(sae(**SMALL), {"size": [1]}, cv=FOLDS, error_score="raise").fit(X, y)
    with pytest.raises(ValueError, match="All the 3 fits failed"):
        search(sae(**SMALL), {"alpha": [-1.0]}, cv=FOLDS).fit(X, y)


@NON_FINITE
@pytest.mark.parametrize("search", [GridSearchCV, BatchedGridSearchCV])
def test_a_fold_that_lacks_a_class(search):
    X, _ = data(incomplete=False)
    y = np.repeat(["a", "b"], [100, 30])
    clf = SupervisedAutoencoderClassifier(**SMALL, random_state=0)
    folds = [(np.arange(100), np.arange(100, 130)), (np.arange(50, 130), np.arange(50))]
    with pytest.warns(FitFailedWarning, match="y has only one class, 'a'"):
        fitted = search(clf, {"alpha": [0.001, 0.1]}, cv=folds).fit(X, y)
    assert np.isnan(fitted.cv_results_["split0_test_score"]).all()
    assert np.isfinite(fitted.cv_results_["split1_test_score"]).all()


@pytest.mark.parametrize("working_memory", [0, -1, "all"])
def test_bad_working_memory(working_memory):
    search = BatchedGridSearchCV(sae(**SMALL), {"alpha": [0.1]}, working_memory=working_memory)
    with pytest.raises(ValueError, match="'working_memory' parameter"):
        search.fit(*data())


def test_little_memory_makes_parts(stacks):
    X, y = data()
    grid = {"alpha": [0.001, 0.01, 0.1, 1.0]}
    settings = {"cv": FOLDS, "refit": False}
    expected = GridSearchCV(sae(**SMALL), grid, **settings).fit(X, y)
    for bound in ({"working_memory": 0.2}, {}):
        with config_context(working_memory=1024 if bound else 0.2):
            ours = BatchedGridSearchCV(sae(**SMALL), grid, **settings, **bound).fit(X, y)
        assert 1 < max(stacks) < 12
        stacks.clear()
        assert_same_results(ours.cv_results_, expected.cv_results_)


def test_a_list_of_tables_is_refused_whatever_the_number_of_folds():
    X_list, y_list = two_scales()
    nae = NestedAutoencoder(estimator=sae(**SMALL, random_state=None))
    with pytest.raises(ValueError, match="stack_scales"):
        BatchedGridSearchCV(nae, {"n_components": [2]}).fit(X_list, y_list)
    with pytest.raises(ValueError, match="stack_scales"):
        batched_cross_validate(nae, X_list, y_list)


def test_no_scales_no_folds_no_candidates():
    X, y = data()
    with pytest.raises(ValueError, match="n_splits=9"):
        BatchedGridSearchCV(sae(**SMALL), {"alpha": [0.1]}, cv=9).fit(X[:5], y[:5])
    with pytest.raises(ValueError, match=r"param_grid|Parameter grid"):
        BatchedGridSearchCV(sae(**SMALL), {"alpha": []}).fit(X, y)


def test_user_callbacks_are_trained_alone_with_a_reason(caplog):
    caplog.set_level(logging.INFO, logger="sknestedae")
    search_both(sae(**SMALL, callbacks=[CountsEpochs()]), {"alpha": [0.001, 0.1]}, *data())
    assert "callback CountsEpochs" in caplog.text


def test_messages_are_those_of_scikit_learn(capsys):
    X, y = data()

    def lines(search):
        search(sae(**SMALL), {"alpha": [0.001, 0.1]}, cv=FOLDS, verbose=3).fit(X, y)
        printed = capsys.readouterr().out.splitlines()
        return sorted(line.split(" total time")[0] for line in printed)

    assert lines(BatchedGridSearchCV) == lines(GridSearchCV)


@pytest.mark.parametrize("predictor", ["auto", "gaussian_process"])
def test_a_search_without_a_difference_is_told(predictor):
    X, y = data()
    pipe = make_pipeline(StandardScaler(), sae(**SMALL, predictor=predictor))
    name = "supervisedautoencoder"
    grid = {f"{name}__alpha": [0.001, 0.1]}
    told = (
        r"The 2 candidates have the same scores.*"
        f"With {name}__predictor='{predictor}' a Gaussian process"
    )
    with pytest.warns(EqualScoresWarning, match=told) as warned:
        BatchedGridSearchCV(pipe, grid, cv=FOLDS).fit(X, y)
    assert warned[0].filename == __file__
    for other in ({f"{name}__predictor": [predictor, "network"]}, {f"{name}__alpha": [0.1]}):
        BatchedGridSearchCV(pipe, other, cv=FOLDS).fit(X, y)  # warnings are errors
    pipe.set_params(**{f"{name}__predictor": "network"})
    BatchedGridSearchCV(pipe, grid, cv=FOLDS).fit(X, y)


def test_progress_is_one_bar(capsys):
    BatchedGridSearchCV(sae(**SMALL, verbose=1), {"alpha": [0.1]}, cv=2, refit=False).fit(*data())
    shown = capsys.readouterr().err
    assert "2 networks: 100%" in shown
    assert "16/16" in shown


def test_docstrings_agree():
    own = {"param_grid", "param_distributions", "n_iter", "random_state", "scoring", "verbose"}
    searches = [BatchedGridSearchCV, BatchedRandomizedSearchCV]
    shared = set(inspect.signature(BatchedGridSearchCV).parameters) - own
    assert_docstring_consistency(searches, include_params=sorted(shared))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(BatchedGridSearchCV, GridSearchCV), (BatchedRandomizedSearchCV, RandomizedSearchCV)],
)
def test_parameters_are_those_of_scikit_learn(ours, theirs):
    expected = inspect.signature(theirs).parameters
    found = dict(inspect.signature(ours).parameters)
    assert found.pop("working_memory").default is None
    assert {k: p.default for k, p in found.items()} == {k: p.default for k, p in expected.items()}
