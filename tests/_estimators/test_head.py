"""The Gaussian process beside the network: what it takes, when it is chosen, what it says."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from cases.arrays import make_spectra
from cases.supervised import mixed_table, regression
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sknestedae import SupervisedAutoencoder
from sknestedae._estimators._fitted import fitted_part
from sknestedae._estimators._head import (
    MOST_ROWS,
    DenseValues,
    Head,
    HeadMean,
    Passed,
    _has_many_rows,
)
from sknestedae._gaussian_process import _evidence
from sknestedae._gaussian_process._process import GaussianProcesses
from sknestedae.blocks import SpectrumBlock
from sknestedae.exceptions import DeviceWarning
from sknestedae.model_selection import BatchedGridSearchCV

TINY = {"n_components": 2, "hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}


def sae(predictor="gaussian_process", **settings):
    return SupervisedAutoencoder(**{**TINY, "predictor": predictor, **settings})


def data(n_rows=25, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_rows, 3)) * [0.01, 1, 300] + [5, 0, -1000]
    return X, np.sin(100 * (X[:, 0] - 5)) + X[:, 1] + 7


def contradictions():
    """Give rows that are there twice, with opposite targets: nothing is better than the mean."""
    X, _ = data(12)
    return np.repeat(X, 2, axis=0), np.tile([1.0, -1.0], 12)


def passed_on(n_rows=25, std=0.0, seed=1):
    """Give a column, a one-hot group and a prediction of an earlier stage."""
    rng = np.random.default_rng(seed)
    group = np.eye(2)[rng.integers(0, 2, n_rows)]
    values = np.hstack([rng.normal(size=(n_rows, 1)), group, rng.normal(3, 10, (n_rows, 1))])
    return Passed(
        values, np.array([True, False, False, True]), np.full((n_rows, 1), float(std)), n_own=2
    )


def head_of(passed=None, n_rows=25, sample_weight=None, y=None):
    rng = np.random.default_rng(2)
    own = rng.normal(size=(n_rows, 2))
    if y is None:
        y = own[:, :1] + (0 if passed is None else 0.1 * passed.values[:, -1:])
        y = y + rng.normal(0, 0.05, (n_rows, 1))
    is_number = np.array([True, True])
    head = Head.fit(own, is_number, y, sample_weight, passed, n_columns=2, seed=0)
    return head, own, y


# -- the head itself


def test_predictions_of_one_array_are_divided_by_its_unit():
    # a channel in which the rows hardly differ: in a new row it is as strong as others are
    passed = passed_on()
    weak = passed.values[:, -1:] * 1e-4
    passed = passed._replace(
        values=np.hstack([passed.values, weak]),
        is_number=np.append(passed.is_number, True),
        std=np.zeros((25, 2)),
        unit=np.array([10.0, 10.0]),
    )
    head, own, y = head_of(passed)
    assert_array_equal(head.scale[-2:], [10.0, 10.0])
    values = passed.values[:1].copy()
    values[0, -1] += 10.0
    shift = head.mean(own[:1], passed._replace(values=values)) - head.mean(
        own[:1], passed.take([0])
    )
    assert abs(shift[0, 0]) < np.ptp(y)


def test_it_is_a_gaussian_process_of_scaled_columns():
    passed = passed_on()
    head, own, y = head_of(passed)
    numbers = np.hstack([own, passed.values[:, [0, 3]]])
    scaled = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    inputs = np.hstack([scaled[:, :3], passed.values[:, 1:3], scaled[:, 3:]])
    # the prediction has a linear term of its own
    by_hand = GaussianProcesses.fit(inputs, y, widths=[5, 1], max_rows=MOST_ROWS, seed=0)
    assert_allclose(head.mean(own, passed), by_hand.mean(inputs), rtol=1e-9)
    assert_allclose(head.std(own, passed), by_hand.std(inputs), rtol=1e-9)
    assert head.score == by_hand.leave_one_out_score()[0]


def test_it_takes_what_it_was_fitted_with():
    passed = passed_on()
    with_passed, without = head_of(passed)[0], head_of()[0]
    assert with_passed.takes(passed)
    assert not with_passed.takes(None)
    assert without.takes(None)
    assert not without.takes(passed)


def test_the_std_of_what_is_passed_counts_by_the_slope():
    """Error propagation: for a linear mean, the variances of both add, this one by slope²."""
    passed = passed_on()
    head, own, _ = head_of(passed)
    (process,) = head.processes
    linear = replace(process, parameters=replace(process.parameters, smooth=0.0, additive=0.0))
    head = replace(head, processes=GaussianProcesses([linear]))
    step = np.zeros_like(passed.values)
    step[:, -1] = 1.0
    further = passed._replace(values=passed.values + step)
    slope = head.mean(own, further) - head.mean(own, passed)
    alone = head.std(own, passed)
    for std in (0.5, 3.0):
        expected = np.sqrt(alone**2 + (slope * std) ** 2)
        wide = passed._replace(std=np.full((len(own), 1), std))
        assert_allclose(head.std(own, wide), expected, rtol=1e-6)
    mixed = passed._replace(std=np.where(np.arange(25) % 2, 3.0, 0.0)[:, None])
    assert_array_equal(head.std(own, mixed)[::2], alone[::2])
    assert (head.std(own, mixed)[1::2] > alone[1::2]).all()


def test_some_rows_of_what_is_passed():
    passed = passed_on(std=2.0)
    part = passed.take(np.array([3, 1]))
    assert_array_equal(part.values, passed.values[[3, 1]])
    assert part.std.shape == (2, 1)
    assert (part.n_predictions, part.n_own) == (1, 2)


def test_the_state_gives_the_same():
    passed = passed_on(std=1.0)
    head, own, _ = head_of(passed)
    again = Head.from_state(head.to_state())
    assert_array_equal(again.mean(own, passed), head.mean(own, passed))
    assert_array_equal(again.std(own, passed), head.std(own, passed))


def test_the_mean_has_gradients_and_bounds():
    torch = pytest.importorskip("torch")
    head, own, _ = head_of()
    bounds = np.array([-0.5]), np.array([0.5])
    inputs = torch.tensor(own, requires_grad=True)
    found = HeadMean(head, bounds)(inputs)
    assert_allclose(found.detach(), np.clip(head.mean(own, None), *bounds), atol=1e-10)
    (slope,) = torch.autograd.grad(found.sum(), inputs)
    clipped = np.abs(head.mean(own, None)[:, 0]) > 0.5
    assert clipped.any()
    assert not clipped.all()
    assert_array_equal((slope == 0).all(dim=1), clipped)


def test_where_dense_values_stand():
    X, y = mixed_table()
    fitted = fitted_part(sae().fit(X, y))
    blocks = fitted.encode(X)
    columns = [0, 2, 4]
    dense = DenseValues.of(fitted.table, columns)
    values = dense.gather(blocks)
    assert values.dtype == np.float64
    assert values.shape == (len(X), 1 + 3 + len(np.unique(dense.columns == 4)))
    assert sorted(set(dense.columns)) == columns
    assert dense.is_number.tolist() == (dense.columns == 0).tolist()
    known = X["layer"].notna().to_numpy()
    zinc = X["layer"].to_numpy()[known] == "ZnO"
    assert (values[known][:, dense.columns == 2] == zinc[:, None]).all(axis=0).any()
    assert DenseValues.of(fitted.table, []).gather(blocks).shape == (len(X), 0)


# -- with an estimator


def inputs_of(estimator, X):
    fitted = fitted_part(estimator)
    values = DenseValues.of(fitted.table, np.arange(fitted.table.n_features)).gather(
        fitted.encode(X)
    )
    return values


def test_an_estimator_predicts_as_gaussian_processes_of_its_columns():
    X, y = data()
    estimator = sae().fit(X, y)
    own = inputs_of(estimator, X)
    scaled = (own - own.mean(axis=0)) / own.std(axis=0)
    standard = (y - y.mean()) / y.std()
    by_hand = GaussianProcesses.fit(scaled, standard[:, None], widths=[3])
    # the network's values and its scaled target are of single precision
    mean, std = estimator.predict(X, return_std=True)
    assert_allclose(mean, by_hand.mean(scaled)[:, 0] * y.std() + y.mean(), rtol=1e-4)
    assert_allclose(std, by_hand.std(scaled)[:, 0] * y.std(), rtol=1e-2)
    assert estimator.leave_one_out_score_ == pytest.approx(
        by_hand.leave_one_out_score()[0], abs=1e-3
    )
    assert estimator.predictor_ == "gaussian_process"


def test_the_network_is_trained_as_without():
    X, y = data()
    one, other = sae().fit(X, y), sae("network").fit(X, y)
    assert_array_equal(one.transform(X), other.transform(X))
    Z = one.transform(X)
    assert_array_equal(one.inverse_transform(Z), other.inverse_transform(Z))
    assert_array_equal(one.history_, other.history_)
    assert other.predictor_ == "network"
    with pytest.raises(AttributeError, match=r"has no leave_one_out_score_: no Gaussian process"):
        _ = other.leave_one_out_score_
    with pytest.raises(AttributeError, match="has no predictor_ before fit"):
        _ = sae().predictor_


def test_integer_weights_are_repeated_rows():
    rng = np.random.default_rng(3)
    n = rng.integers(0, 4, 25)
    head, own, y = head_of(sample_weight=n.astype(float))
    rows = np.repeat(np.arange(25), n)
    repeated = Head.fit(
        own[rows], np.array([True, True]), y[rows], None, None, n_columns=2, seed=0
    )
    # the same sums in another order: what the search of hyperparameters stops at may differ
    assert_allclose(head.mean(own, None), repeated.mean(own, None), rtol=1e-6, atol=1e-8)
    assert_allclose(head.std(own, None), repeated.std(own, None), rtol=1e-5)
    assert head.score == pytest.approx(repeated.score, abs=1e-6)


def test_weights_reach_it_as_they_were_given():
    """Of a network the scale of weights does not matter; here it tells how sure a row is."""
    X, y = data()
    y = y + np.random.default_rng(0).normal(0, 0.3, len(y))
    plain = sae().fit(X, y)
    once = sae().fit(X, y, sample_weight=np.ones(25))
    often = sae().fit(X, y, sample_weight=np.full(25, 4.0))
    repeated = sae().fit(np.repeat(X, 4, axis=0), np.repeat(y, 4))
    assert_allclose(once.predict(X), plain.predict(X), rtol=1e-6)
    assert_allclose(often.predict(X), repeated.predict(X), rtol=1e-4)
    assert np.abs(often.predict(X) - plain.predict(X)).max() > 1e-3
    weight = np.where(np.arange(25) < 20, 1.0, 0.0)
    assert_allclose(sae().fit(X, y, weight).predict(X), sae().fit(X[:20], y[:20]).predict(X))


def test_rows_without_a_label_do_not_count():
    X, y = data(40)
    y[20:] = np.nan
    X[20:] = X[:20]  # the same scale of all columns
    whole, part = sae().fit(X, y), sae().fit(X[:20], y[:20])
    assert_allclose(whole.predict(X[:20]), part.predict(X[:20]), rtol=1e-5)
    assert whole.leave_one_out_score_ == pytest.approx(part.leave_one_out_score_, abs=1e-4)


@pytest.mark.parametrize("standardize", [True, False])
def test_the_scale_of_columns_does_not_matter(standardize):
    X, y = data()
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    factor = np.array([16.0, 0.25, 2.0])  # powers of two lose nothing
    estimators = sae(standardize=standardize), sae(standardize=standardize)
    one, other = estimators[0].fit(X, y), estimators[1].fit(X * factor, y)
    assert_allclose(one.predict(X), other.predict(X * factor), rtol=1e-5)


def test_the_units_of_the_target_are_given_back():
    X, y = data()
    one, other = sae().fit(X, y), sae().fit(X, 1000 * y - 3)
    (mean, std), (large, wide) = (e.predict(X, return_std=True) for e in (one, other))
    assert_allclose(large, 1000 * mean - 3, rtol=1e-4)
    assert_allclose(wide, 1000 * std, rtol=1e-2)
    assert one.predict(X).shape == (25,)
    column = sae().fit(X, np.c_[y, y])
    mean, std = column.predict(X, return_std=True)
    assert mean.shape == std.shape == (25, 2)


def test_a_constant_target():
    X, _ = data()
    estimator = sae().fit(X, np.full(25, 4.0))
    mean, std = estimator.predict(X * 1.5, return_std=True)
    assert_allclose(mean, 4.0, rtol=1e-6)
    assert (std < 1e-3).all()
    assert sae("auto").fit(X, np.full(25, 4.0)).predictor_ == "network"


def test_one_labelled_row():
    X, y = data()
    y[:-1] = np.nan
    estimator = sae().fit(X, y)
    assert_allclose(estimator.predict(X), y[-1], rtol=1e-5)
    assert np.isnan(estimator.leave_one_out_score_)
    assert sae("auto").fit(X, y).predictor_ == "network"


def test_two_labelled_rows_are_enough_to_run():
    X, y = data()
    y[:-2] = np.nan
    for predictor in ("gaussian_process", "auto"):
        assert np.isfinite(sae(predictor).fit(X, y).predict(X)).all()


def test_no_labelled_row_is_refused_as_ever():
    X, y = data()
    with pytest.raises(ValueError, match="y has no"):
        sae().fit(X, y * np.nan)


def test_outputs_have_labelled_rows_of_their_own():
    X, y = data(30)
    both = np.c_[y, y**2]
    both[:10, 0] = np.nan
    both[15:, 1] = np.nan
    head = Head.fit(X, np.full(3, True), both, None, None, n_columns=3, seed=0)
    for k in range(2):
        alone = Head.fit(X, np.full(3, True), both[:, [k]], None, None, n_columns=3, seed=0)
        assert_allclose(head.mean(X, None)[:, [k]], alone.mean(X, None))
    estimator = sae().fit(X, both)
    known = ~np.isnan(both)
    assert np.corrcoef(estimator.predict(X)[known], both[known])[0, 1] > 0.9
    scores = [
        Head.fit(X, np.full(3, True), both[:, [k]], None, None, n_columns=3, seed=0).score
        for k in range(2)
    ]
    assert head.score == pytest.approx(np.mean(scores))


def test_the_bounds_of_the_target_are_kept():
    X, _ = data(30)
    y = np.clip(X[:, 1] * 3, 0, 2)
    far = X * [1, 5, 1]
    free = sae().fit(X, y).predict(far)
    kept = sae(target_bounds=(0, 2)).fit(X, y).predict(far)
    assert free.max() > 2
    assert free.min() < 0
    assert kept.min() == pytest.approx(0, abs=1e-6)
    assert kept.max() == pytest.approx(2, abs=1e-6)


def test_missing_values_and_categories_enter_as_in_the_network():
    X, y = mixed_table()
    estimator = sae().fit(X, y)
    values = inputs_of(estimator, X)
    assert np.isfinite(values).all()
    assert np.isfinite(estimator.predict(X)).all()
    holed = X.copy()
    holed["radius"] = np.nan
    assert np.isfinite(estimator.predict(holed)).all()
    # the mean of a column stands for a missing number
    assert_allclose(values[X["radius"].isna().to_numpy(), 0], 0, atol=1e-6)


def test_float32_and_float64_tables_agree():
    X, y = regression(30)
    one, other = sae().fit(X, y), sae().fit(X.astype(np.float32), y)
    assert_allclose(one.predict(X), other.predict(X.astype(np.float32)), rtol=1e-3, atol=0.1)


# -- the choice


def test_auto_takes_the_process_where_rows_speak_for_it():
    assert sae("auto").fit(*data()).predictor_ == "gaussian_process"
    X, y = contradictions()
    explicit = sae().fit(X, y)
    assert explicit.predictor_ == "gaussian_process"
    assert explicit.leave_one_out_score_ == pytest.approx(0, abs=1e-6)
    estimator = sae("auto").fit(X, y)
    assert estimator.predictor_ == "network"
    assert_array_equal(estimator.predict(X), sae("network").fit(X, y).predict(X))


def test_auto_leaves_rows_without_a_process_to_the_network(monkeypatch):
    def fail(*_, **__):
        raise np.linalg.LinAlgError("no factor")

    monkeypatch.setattr(_evidence, "factor", fail)
    X, y = data()
    assert_array_equal(sae("auto").fit(X, y).predict(X), sae("network").fit(X, y).predict(X))
    with pytest.raises(np.linalg.LinAlgError, match=r"Column 0 of y: no factor"):
        sae("gaussian_process").fit(X, y)


def test_auto_leaves_many_rows_to_the_network():
    X = np.arange(MOST_ROWS + 1.0)[:, None] * [1, -2]
    y = X[:, 0] / 100
    assert sae("auto", batch_size=1000, max_iter=1).fit(X, y).predictor_ == "network"
    X, y = np.repeat(X[:30], 100, axis=0), np.repeat(X[:30, 0], 100)
    assert len(X) > MOST_ROWS
    estimator = sae("auto", batch_size=1000, max_iter=1).fit(X, y)
    assert estimator.predictor_ == "gaussian_process"  # of few distinct rows


def test_which_rows_are_many():
    own, y = np.arange(MOST_ROWS + 1.0)[:, None], np.zeros((MOST_ROWS + 1, 2))
    assert _has_many_rows(own, 1, y, None)
    y[3] = [np.nan, 1]
    assert _has_many_rows(own, 1, y, None)  # one output is enough
    y[3] = np.nan
    assert not _has_many_rows(own, 1, y, None)
    same = np.zeros((MOST_ROWS + 1, 1))
    assert not _has_many_rows(same, 1, same, None)
    assert not _has_many_rows(np.hstack([same, own]), 1, same, None)  # latents follow from others
    late = np.append(np.zeros(2 * MOST_ROWS), np.arange(MOST_ROWS))[:, None]
    assert not _has_many_rows(late, 1, late, None)
    late = np.append(late, [[-1.0]], axis=0)
    assert _has_many_rows(late, 1, late, None)  # wherever they are
    passed = Passed(own, np.array([True]), np.empty((len(own), 0)), 1)
    assert _has_many_rows(same, 1, same, passed)  # rows differ in what is passed on


@pytest.mark.parametrize("is_table", [True, False])
def test_arrays_are_left_to_the_network(is_table):
    spectra, numbers = make_spectra(20)
    if is_table:
        X = pd.DataFrame({"a": numbers[:, 0], "s": list(spectra)})
        y, settings, named = numbers[:, 1], {}, "but block 's' holds arrays"
    else:
        X, y = numbers, spectra
        settings, named = {"target_block": SpectrumBlock()}, "but the target holds arrays"
    assert sae("auto", **settings).fit(X, y).predictor_ == "network"
    with pytest.raises(ValueError, match=rf"'predictor' parameter is 'gaussian_process'.*{named}"):
        sae(**settings).fit(X, y)


# -- going on, many members, searches


def test_partial_fit_is_of_networks():
    X, y = data()
    for n_members in (1, 2):
        explicit = sae(n_members=n_members)
        assert not hasattr(explicit, "partial_fit")  # as scikit-learn asks of what is not there
        with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as caught:
            explicit.partial_fit(X, y)
        reason = "The 'predictor' parameter is 'gaussian_process', which needs all rows at once; "
        assert str(caught.value.__cause__).startswith(reason)
    estimator = sae("auto").partial_fit(X, y)
    assert estimator.predictor_ == "network"
    fitted = sae("auto").fit(X, y)
    assert fitted.predictor_ == "gaussian_process"
    assert fitted.partial_fit(X, y).predictor_ == "network"  # which has learnt other rows, too


def test_warm_start_fits_it_anew():
    X, y = data()
    estimator = sae(warm_start=True).fit(X, y)
    other = y + np.cos(50 * X[:, 0])
    estimator.fit(X, other)
    assert_allclose(estimator.predict(X), sae().fit(X, other).predict(X), rtol=1e-4)
    estimator.set_params(predictor="network").fit(X, other)
    assert estimator.predictor_ == "network"
    estimator.set_params(predictor="auto").fit(X, other)
    assert estimator.predictor_ == "gaussian_process"


@pytest.mark.parametrize("bootstrap", [True, False])
def test_an_ensemble_adds_the_variances(bootstrap):
    X, y = data()
    y = y + np.random.default_rng(0).normal(0, 0.3, len(y))
    ensemble = sae(n_members=3, bootstrap=bootstrap).fit(X, y)
    members = [member.predict(X, return_std=True) for member in ensemble.members_]
    means, stds = (np.array(own) for own in zip(*members, strict=True))
    mean, std = ensemble.predict(X, return_std=True)
    assert_allclose(mean, means.mean(axis=0))
    assert_allclose(std**2, (stds**2).mean(axis=0) + means.var(axis=0, ddof=1))
    # without a bootstrap, all see the same rows
    assert np.allclose(means[0], means[1], rtol=1e-4) is not bootstrap


def test_an_ensemble_of_which_the_network_predicts_in_all():
    X, y = contradictions()
    ensemble = sae("auto", n_members=2).fit(X, y)
    mean, std = ensemble.predict(X, return_std=True)
    network = sae("network", n_members=2).fit(X, y).predict(X, return_std=True)
    assert_array_equal([mean, std], network)
    with pytest.raises(ValueError, match="return_std=True needs an ensemble or a Gaussian proc"):
        sae("network").fit(X, y).predict(X, return_std=True)


def test_a_search_over_it():
    X, y = data(30)
    grid = {"predictor": ["network", "gaussian_process", "auto"]}
    batched = BatchedGridSearchCV(sae("network"), grid, cv=2).fit(X, y)
    plain = GridSearchCV(sae("network"), grid, cv=2).fit(X, y)
    name = "mean_test_score"
    assert_allclose(batched.cv_results_[name], plain.cv_results_[name], rtol=1e-4)
    assert batched.best_estimator_.predictor_ == "gaussian_process"


def test_a_device_that_is_not_there():
    X, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeviceWarning)
        estimator = sae(device="auto").fit(X, y)
    assert_allclose(estimator.predict(X), sae(device="cpu").fit(X, y).predict(X), rtol=1e-4)


def test_a_clone_has_nothing_learnt():
    X, y = data()
    again = clone(sae().fit(X, y))
    assert again.predictor == "gaussian_process"
    assert_array_equal(again.fit(X, y).predict(X), sae().fit(X, y).predict(X))


def test_a_wrong_name_is_refused():
    with pytest.raises(ValueError, match=r"'predictor' parameter .* must be a str among .*'gp'"):
        sae("gp").fit(*data())


@pytest.mark.parametrize("value", [1e39, 1e160, -1e300])
def test_a_huge_value_gives_a_finite_prediction(value):
    """As of the network; the square of the value may overflow."""
    X, y = data()
    estimator = sae().fit(X, y)
    X[0, 0] = value
    prediction, std = estimator.predict(X, return_std=True)
    assert np.isfinite(prediction).all()
    assert np.isfinite(std).all()
    assert_allclose(estimator.predict(X[1:]), prediction[1:])
    part = fitted_part(estimator)
    inputs = torch.from_numpy(part.dense.gather(part.encode(X)))
    mean = HeadMean(part.head, part.target.scaled_bounds())(inputs).numpy()
    assert np.isfinite(mean).all()
