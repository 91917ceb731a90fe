"""Checks that estimators share."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from cases.supervised import regression
from numpy.testing import assert_array_equal
from sklearn.linear_model import Ridge

from sknestedae._estimators._validation import (
    all_or_nothing,
    check_divergence,
    check_training_rows,
)
from sknestedae.exceptions import DivergenceError, DivergenceWarning


@pytest.mark.parametrize("as_table", [np.asarray, pd.DataFrame, lambda X: X.tolist()])
def test_rows_of_weight_0_are_left_out(as_table):
    X, y = regression()
    weight = np.arange(len(X)) % 3.0
    rows = check_training_rows(as_table(X), y, weight)
    assert_array_equal(np.asarray(rows.X), X[weight > 0])
    assert_array_equal(rows.of(y), y[weight > 0])
    assert_array_equal(rows.of(pd.Series(y)), y[rows.kept])
    assert_array_equal(rows.sample_weight, weight[weight > 0])
    assert rows.of(None) is None


@pytest.mark.parametrize("weight", [None, 2.0])
def test_of_positive_weights_all_rows_are_kept(weight):
    X, y = regression()
    rows = check_training_rows(X, y, weight if weight is None else np.full(len(X), weight))
    assert rows.X is X
    assert rows.of(y) is y
    assert len(y[rows.kept]) == len(X)
    assert rows.power == 0


def test_weights_are_scaled_by_a_power_of_two():
    X, y = regression()
    weight = np.linspace(1, 3, len(X)) * 2.0**40
    weight[0] = 1e-200  # beside the others it is nothing
    rows = check_training_rows(X, y, weight, scale=True)
    assert_array_equal(np.ldexp(rows.sample_weight, rows.power), weight[1:])
    assert 1 <= rows.sample_weight.max() < 2
    assert len(check_training_rows(X, y, weight).X) == len(X)


def test_what_does_not_belong_together_is_refused():
    X, y = regression()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        check_training_rows(X, y[1:], np.zeros(len(X)))
    with pytest.raises(ValueError, match=r"inconsistent|shape"):
        check_training_rows(X, y, np.ones(len(X) - 1))
    with pytest.raises(ValueError, match="Negative values"):
        check_training_rows(X, y, np.full(len(X), -1.0))
    with pytest.raises(ValueError, match=r"is 0 for all rows|one non-zero"):
        check_training_rows(X, y, np.zeros(len(X)))


def test_estimators_are_as_they_were_where_a_fit_fails():
    X, y = regression()
    old, new = Ridge().fit(X, y), Ridge(2)
    coef = old.coef_

    def fit_and_fail():
        with all_or_nothing(old, new):
            old.set_params(alpha=3).fit(X, -y)
            new.fit(X, y)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_and_fail()
    assert old.coef_ is coef
    assert old.alpha == 1
    assert vars(new) == vars(Ridge(2))
    with all_or_nothing(old, new):
        new.fit(X, y)
    assert hasattr(new, "coef_")


def net(best_iter, diverged_iter):
    best = SimpleNamespace(best_iter_=best_iter, diverged_iter_=diverged_iter)
    return SimpleNamespace(callbacks_=[("_best_epoch", best)])


def test_a_divergence_is_told_by_what_is_left():
    assert check_divergence(net(5, None), "The loss", "Wait.") == 5
    with pytest.warns(DivergenceWarning, match=r"^The loss diverged .* epoch 4; .* 3, is kept. W"):
        assert check_divergence(net(3, 4), "The loss", "Wait.") == 3
    with pytest.raises(DivergenceError, match=r"in epoch 1, before any epoch could be kept. Wait"):
        check_divergence(net(0, 1), "The loss", "Wait.")
