"""The choice of a batch: each candidate as if those before it had been measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases.design import a_chain, one_scale, problem_of
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae._estimators._fitted import fitted_part
from sknestedae._gaussian_process._evidence import DistinctRows
from sknestedae.design._choice import _Batch, choose
from sknestedae.design._objectives import set_acquisition, set_scales

PROCESS = {"predictor": "gaussian_process"}
MEMBERS = {"predictor": "network", "n_members": 3, "bootstrap": True}


def a_batch(estimator, X, target="max", acquisition="expected_improvement", kappa=1.96):
    """Give a problem, candidates that are known rows moved a little, and their losses."""
    problem, known, rows = problem_of(estimator, X, target)
    predicted = estimator.predict(rows)
    names = [objective.name for objective in problem.objectives]
    set_scales(problem.objectives, predicted, None, names if predicted.ndim == 1 else ["a", "b"])
    set_acquisition(problem.objectives, predicted, acquisition, kappa)
    moved = known._replace(numbers=known.numbers + 0.3)
    losses = problem.loss_of_all(moved)
    return problem, known, moved, losses


def test_a_believed_measurement_is_one_more_row_of_the_process():
    """The variance of all others is that of the process with the candidate among its rows."""
    estimator, X, _ = one_scale(**PROCESS)
    problem, _, moved, losses = a_batch(estimator, X)
    batch = _Batch(problem, moved, losses)
    head = fitted_part(estimator).head
    (process,) = head.processes
    inputs = (batch.moments[0].members[0].inputs.numpy() - head.centre) / head.scale
    scale = fitted_part(estimator).target.affine()[1][0]
    added = []
    highest = int(batch.moments[0].mean.argmax())
    for row in (highest, 21, 3):
        batch._believe(row)
        added.append(row)
        more = [inputs[added], process.mean(inputs[added]), np.ones(len(added)), [0] * len(added)]
        own = [np.concatenate(pair) for pair in zip(process.rows, more, strict=True)]
        # the noise of a row is divided by its precision: that of a new one is the spread
        of_new = process.parameters.noise / process.spread
        precisions = np.append(process.precisions, np.full(len(added), of_new))
        longer = process.given(DistinctRows(*own), precisions)
        expected = scale * longer.std(inputs, with_noise=False)
        found = np.sqrt(batch.variances[0])
        assert_allclose(found, expected, atol=1e-6 * expected.max())
    # what is moved is better than all that is known, and is believed
    assert batch.best[0] == batch.moments[0].mean.max() > problem.objectives[0].best


def test_what_members_disagree_about_is_used_up():
    """Three members span two directions: after two measurements, nothing is left to learn."""
    estimator, X, _ = one_scale(**MEMBERS)
    problem, _, moved, losses = a_batch(estimator, X)
    batch = _Batch(problem, moved, losses)
    before = batch.variances[0].copy()
    assert before.min() > 0
    for row in (0, 9):
        batch._believe(row)
    assert batch.variances[0].max() < 1e-9 * before.max()


@pytest.mark.parametrize("settings", [PROCESS, MEMBERS])
def test_a_measurement_tells_nothing_less_than_nothing(settings):
    estimator, X, _ = one_scale(**settings)
    problem, _, moved, losses = a_batch(estimator, X)
    batch = _Batch(problem, moved, losses)
    before = batch.variances[0].copy()
    batch._believe(5)
    assert (batch.variances[0] <= before).all()
    assert (batch.variances[0] >= 0).all()
    assert batch.variances[0][5] < 0.9 * before[5]


@pytest.mark.parametrize("acquisition", ["expected_improvement", "upper_confidence_bound"])
@pytest.mark.parametrize("settings", [PROCESS, MEMBERS])
def test_the_first_of_a_batch_is_the_batch_of_fewer(settings, acquisition):
    estimator, X, _ = one_scale(**settings)
    problem, known, moved, losses = a_batch(estimator, X, acquisition=acquisition)
    two, five = (choose(moved, losses, known, problem, n) for n in (2, 5))
    assert_array_equal(two, five[:2])
    assert five[0] == losses.argmin()
    assert len(set(five.tolist())) == 5


def test_a_bound_without_a_weight_is_the_choice_by_the_mean():
    estimator, X, _ = one_scale(**PROCESS)
    chosen = [
        choose(moved, losses, known, problem, 4)
        for problem, known, moved, losses in (
            a_batch(estimator, X, acquisition=name, kappa=0.0)
            for name in ("mean", "upper_confidence_bound")
        )
    ]
    assert_array_equal(*chosen)


def test_a_batch_learns_more_than_the_best_in_a_row(monkeypatch):
    """Measurements explain more variance where each was chosen as if those before were made."""
    estimator, X, _ = one_scale(**PROCESS)
    problem, known, moved, losses = a_batch(
        estimator, X, acquisition="upper_confidence_bound", kappa=1e6
    )
    chosen = choose(moved, losses, known, problem, 5)
    with monkeypatch.context() as patch:
        patch.setattr(_Batch, "_believe", lambda self, row: None)
        in_a_row = choose(moved, losses, known, problem, 5)
    explained = []
    for rows in (chosen, in_a_row):
        batch = _Batch(problem, moved, losses)
        own = []
        for row in rows:  # what a measurement tells of its own row, given those before
            own.append(batch.variances[0][row])
            batch._believe(row)
        explained.append(sum(own))
    assert chosen[0] == in_a_row[0]
    assert explained[0] > explained[1]


def test_minima_are_maxima_of_the_negative():
    estimator, X, _ = one_scale(**PROCESS)
    low = a_batch(estimator, X, "min")
    (objective,) = low[0].objectives
    with torch.no_grad():
        (moments,) = low[0].moments(low[2])
    assert objective.best == estimator.predict(X).min()
    gained = objective.best - moments.mean
    # of a value that is better than the best by many deviations, that much is gained
    sure = objective.loss(moments.mean, torch.full_like(moments.mean, 1e-9))
    expected = -(gained[gained > 0] / objective.scale).log()
    assert_allclose(sure[gained > 0], expected, rtol=1e-6)


def test_other_objectives_keep_their_part():
    """A value that is wanted beside a maximum counts as before."""
    estimator, X, target = a_chain({"predictor": "gaussian_process"})
    problem, known, moved, losses = a_batch(estimator, X, target)
    batch = _Batch(problem, moved, losses)
    assert list(batch.moments) == [1]
    with torch.no_grad():
        found = problem.moments(moved)
    value = problem.objectives[0].loss(found[0].mean).numpy()
    domain = losses.numpy() - value - problem.objectives[1].loss(*found[1][:2]).numpy()
    # latents are of single precision, and depend in their last digit on the rows beside them
    assert_allclose(batch.others, value + domain, rtol=1e-5, atol=1e-5)
    assert len(choose(moved, losses, known, problem, 3)) == 3
