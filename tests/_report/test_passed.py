"""What predicts, what is passed on and standard deviations: those of the estimator itself."""

import numpy as np
import pandas as pd
import pytest
from cases.report import TINY, cheap_and_dear, places
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import NestedAutoencoder, SupervisedAutoencoder, stack_scales
from sknestedae._report import _passed
from sknestedae._report._passed import (
    Predictor,
    find_predictors,
    measured_or_predicted,
    std_of_process,
)
from sknestedae._report._task import read_task


def chain(first, last):
    stages = [
        ("scale0", SupervisedAutoencoder(predictor=first, **TINY), list("abc")),
        ("scale1", SupervisedAutoencoder(predictor=last, **TINY), []),
    ]
    return NestedAutoencoder(stages, random_state=0)


@pytest.fixture(scope="module")
def data():
    return stack_scales(*cheap_and_dear())


@pytest.mark.parametrize("first", ["network", "gaussian_process"])
def test_a_gaussian_process_gives_its_std_whatever_the_others_do(data, first):
    X, y = data
    nae = chain(first, "gaussian_process").fit(X, y)
    kinds = {k: own.kind for k, own in find_predictors(nae).items()}
    assert kinds == {0: first, 1: "gaussian_process"}
    score = find_predictors(nae)[1].score
    assert score == nae["scale1"].leave_one_out_score_
    std = std_of_process(nae, 1, X)
    assert std.shape == (90, 1)
    if first == "network":
        assert np.isnan(find_predictors(nae)[0].score)
        assert std_of_process(nae, 0, X) is None
        # it is less sure of what lies far from all that it has seen
        assert std_of_process(nae, 1, X + 100).min() > std.max()
    else:
        assert_allclose(std[:, 0], nae.predict(X, return_std=True)[1][:, 1], rtol=1e-6)


def test_behind_steps(data):
    X, y = data
    table = X.set_axis(list("abc"), axis=1)
    scaler = StandardScaler().set_output(transform="pandas")
    model = make_pipeline(scaler, chain("network", "gaussian_process")).fit(table, y)
    task = read_task(model, table, y, None, {})
    expected = std_of_process(model[-1], 1, model[0].transform(table))
    assert_array_equal(std_of_process(model, 1, table), expected)
    found = measured_or_predicted(task, task.targets[1], model, np.arange(90))
    assert_array_equal(found, np.ones(90))  # each row's material is one of the first 60


def test_rows_are_counted_as_the_chain_gives_them(data):
    X, y = data
    later = places(X, "scale1", range(5, 15))
    learnt = np.concatenate([places(X, "scale0", range(10, 60)), later])
    nae = chain("network", "gaussian_process").fit(X.iloc[learnt], y.iloc[learnt])
    task = read_task(nae, X, y, None, {})
    found = measured_or_predicted(task, task.targets[1], nae, later)
    assert_array_equal(found, nae.passed_on(X.iloc[later])["scale0"]["measured"])
    assert_array_equal(found, [0] * 5 + [1] * 5)
    assert measured_or_predicted(task, task.targets[0], nae, later) is None


def test_a_network_is_passed_on_nothing(data, monkeypatch):
    X, y = data
    nae = chain("gaussian_process", "network").fit(X, y)
    task = read_task(nae, X, y, None, {})
    found = measured_or_predicted(task, task.targets[1], nae, np.arange(5))
    assert_array_equal(found, np.full(5, np.nan))
    assert std_of_process(nae, 1, X) is None
    # "auto" plans to pass something on before it decides for the network
    nae = chain("network", "gaussian_process").fit(X, y)
    assert not np.isnan(measured_or_predicted(task, task.targets[1], nae, np.arange(5))).any()
    decided = {1: Predictor("network", np.nan)}
    monkeypatch.setattr(_passed, "find_predictors", lambda estimator: decided)
    found = measured_or_predicted(task, task.targets[1], nae, np.arange(5))
    assert_array_equal(found, np.full(5, np.nan))


def test_a_material_is_measured_if_all_its_properties_are():
    tables, (cheap, dear) = cheap_and_dear()
    both = pd.concat([cheap, -cheap.rename("other")], axis=1)
    both.loc[:9, "other"] = np.nan
    X, y = stack_scales(tables, [both, dear])
    nae = chain("network", "gaussian_process").fit(X, y)
    task = read_task(nae, X, y, None, {})
    rows = places(X, "scale1", range(30))
    found = measured_or_predicted(task, task.targets[2], nae, rows)
    assert_array_equal(found, [0] * 10 + [1] * 20)


def test_one_scale(data):
    X, y = data
    known = y[("scale0", "cheap")].notna()
    X, y = X[known].to_numpy(), y.loc[known, ("scale0", "cheap")].to_numpy()
    sae = SupervisedAutoencoder(predictor="gaussian_process", **TINY).fit(X, y)
    assert find_predictors(sae)[0].is_process
    assert_array_equal(std_of_process(sae, 0, X)[:, 0], sae.predict(X, return_std=True)[1])
