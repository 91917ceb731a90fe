import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
)
from sknestedae._estimators import _passing
from sknestedae._estimators._out_of_fold import learn_out_of_fold
from sknestedae._estimators._passing import PassedOn
from sknestedae._estimators._refinement import StageData
from sknestedae._estimators._stages import Stage, fit_stage
from sknestedae._tables._labels import ColumnLabels
from sknestedae._tables._measured import material_keys
from sknestedae._tables._staged import StagedTable

SMALL = {"n_components": 2, "hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
NETWORK = {**SMALL, "predictor": "network"}


class Linear(LinearRegression):
    """A linear model that transforms, as a stage must; its fit has a closed form."""

    def transform(self, X):
        return np.asarray(X)


def rows_of(n=20, seed=0):
    X = np.random.RandomState(seed).normal(size=(n, 2))
    return X, X[:, 0] + X[:, 1] ** 2


def learn(estimator, X, y, later=None, identity=(0, 1)):
    table = StagedTable(X, ColumnLabels.of(X), {"a": [0, 1], "b": []})
    stage = Stage("a", estimator, [0, 1])
    data = StageData([X], y, None)
    rows = np.arange(len(X))
    if not isinstance(estimator, FrozenEstimator):
        fit_stage(estimator, data)
    passed = PassedOn({}, 0, list(identity), False)
    later = rows if later is None else later
    return learn_out_of_fold(stage, table, data, rows, later, None, passed)


def test_a_row_is_predicted_by_a_fit_without_it():
    X, y = rows_of()
    found = learn(Linear(), X, y).find(X)[:, 0]
    keys, _ = material_keys(X)
    for train, test in GroupKFold(5).split(X, groups=keys):
        expected = LinearRegression().fit(X[train], y[train]).predict(X[test])
        assert_allclose(found[test], expected, rtol=1e-9)


def test_equal_rows_are_left_out_together():
    X, y = rows_of()
    X, y = np.repeat(X, 2, axis=0), np.repeat(y, 2)
    y[0] = 1e6  # its twin would tell of it
    found = learn(Linear(), X, y).find(X[:2])[:, 0]
    assert np.abs(found).max() < 100  # as the others say, which are below 10


def test_unlabelled_rows_are_predicted_too():
    X, y = rows_of()
    y[::4] = np.nan
    found = learn(SupervisedAutoencoder(**NETWORK), X, y).find(X)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    "estimator",
    [
        SupervisedAutoencoder(predictor="gaussian_process", **SMALL),
        FrozenEstimator(SupervisedAutoencoder(**NETWORK).fit(*rows_of())),
    ],
)
def test_none_is_needed(estimator):
    assert learn(estimator, *rows_of()) is None


def test_rows_of_later_stages_that_are_others_need_no_fold():
    X, y = rows_of()
    table = np.vstack([X, X + 9])
    stage = Stage("a", Linear().fit(X, y), [0, 1])
    staged = StagedTable(table, ColumnLabels.of(table), {"a": [0, 1], "b": []})
    passed = PassedOn({}, 0, [0, 1], False)
    arguments = staged, StageData([X], y, None), np.arange(20)
    others = learn_out_of_fold(stage, *arguments, np.arange(20, 40), None, passed)
    assert np.isnan(others.find(table)).all()
    shared = learn_out_of_fold(stage, *arguments, np.arange(19, 40), None, passed)
    assert np.isfinite(shared.find(table[:20])).all()


def test_a_class_that_a_fold_lacks_has_no_probability_there():
    X, _ = rows_of()
    y = np.array(["a", "b"] * 9 + ["c", "a"])
    found = learn(SupervisedAutoencoderClassifier(**SMALL), X, y).find(X)
    assert found.shape == (20, 3)
    assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert found[18, 2] == 0  # the only row of its class: without it, there is none


@pytest.fixture
def given(monkeypatch):
    """Give the list of what the second stage is passed last, each time that it is."""
    found = []
    to = _passing.PassedRows.to

    def spy(self, k, stage, rows=slice(None)):
        passed = to(self, k, stage, rows)
        if k == 1:
            found.append(passed.values[:, -1])
        return passed

    monkeypatch.setattr(_passing.PassedRows, "to", spy)
    return found


def linear_chain():
    second = SupervisedAutoencoder(predictor="gaussian_process", **SMALL)
    first = make_pipeline(FunctionTransformer(), Linear())
    return NestedAutoencoder([("first", first, ["a", "b"]), ("second", second, ["c"])])


def test_a_chain_learns_from_what_new_rows_will_have(given):
    """In training, the second stage is given predictions out of fold; then what was measured."""
    X, y = rows_of(40)
    table = pd.DataFrame(X, columns=["a", "b"]).assign(c=np.arange(40.0))
    target = pd.DataFrame({"first": y, "second": y + table["c"]})
    nae = linear_chain().fit(table, target)
    in_training = given[0]
    in_sample = Linear().fit(X, y).predict(X)
    assert np.abs(in_training - y).max() > 0.1
    assert np.abs(in_training - in_sample).min() > 0
    passed = nae.passed_on(table)["first"]
    assert passed["measured"].all()
    assert_allclose(passed["value"], y)


def test_rows_that_the_first_stage_has_not_seen_are_predicted_though_measured(given):
    """The rows of the second scale are none of the first's training rows, but known there."""
    X, y = rows_of(40)
    table = pd.DataFrame(X, columns=["a", "b"]).assign(c=np.arange(40.0))
    table.loc[20:, "c"] = np.nan
    target = pd.DataFrame({"first": y, "second": (y + table["c"]).where(table["c"].notna())})
    linear_chain().fit(table, target)
    expected = Linear().fit(X[20:], y[20:]).predict(X[:20])
    assert_allclose(given[0], expected, rtol=1e-9)


def test_refinement_does_not_pass_what_rows_had_seen(given):
    X, y = rows_of(40)
    table = pd.DataFrame(X, columns=["a", "b"]).assign(c=np.arange(40.0))
    target = pd.DataFrame({"first": y, "second": y + table["c"]})
    stages = [
        ("first", SupervisedAutoencoder(**NETWORK), ["a", "b"]),
        ("second", SupervisedAutoencoder(predictor="gaussian_process", **SMALL), ["c"]),
    ]
    NestedAutoencoder(stages, refine_iter=1).fit(table, target)
    assert len(given) == 2
    assert_array_equal(given[1], given[0])  # out of fold, and not as measured
    assert np.abs(given[1] - y).max() > 0.1
