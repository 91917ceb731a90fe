"""Rules of an epoch: learning rates, the best epoch, the end; for one network and for many."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from sknestedae._training._schedules import (
    BestEpochs,
    LearningRates,
    epoch_means,
    n_epochs_of_warm_up,
    warmth,
)

LOSSES = [3.0, 2.0, 2.0, 2.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.9]
ALL = slice(None)


def reference(schedule):
    """Give the learning rates that torch's own schedule gives, from 1 on."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    if schedule == "cosine":
        scheduler = CosineAnnealingLR(optimizer, T_max=len(LOSSES))
    else:
        scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    rates = []
    for loss in LOSSES:
        optimizer.step()
        scheduler.step(*([] if schedule == "cosine" else [loss]))
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_learning_rates_are_those_of_torch(schedule):
    rates = LearningRates([schedule], [len(LOSSES)], [1])
    found = []
    for epoch, loss in enumerate(LOSSES, 1):
        rates.step(ALL, epoch, np.array([loss]))
        found.append(rates.factor[0])
    assert len(set(found)) > 2
    assert_allclose(found, reference(schedule), rtol=1e-12, atol=1e-12)


def test_many_networks_are_each_as_one():
    schedules, max_iter, patience = ["cosine", "plateau", "constant"], [10, 5, 5], [1, 2, 1]
    together = LearningRates(schedules, max_iter, patience)
    alone = [
        LearningRates([s], [m], [p]) for s, m, p in zip(schedules, max_iter, patience, strict=True)
    ]
    losses = np.array([LOSSES, LOSSES[::-1], LOSSES])
    for epoch in range(1, 10):
        together.step(ALL, epoch, losses[:, epoch])
        for k, one in enumerate(alone):
            one.step(ALL, epoch, losses[[k], epoch])
        assert_array_equal(together.factor, [one.factor[0] for one in alone])


def test_only_the_networks_that_end_an_epoch_move():
    rates = LearningRates(["cosine", "cosine"], [4, 4], [1, 1])
    rates.step(np.array([1]), np.array([2]), np.array([1.0]))
    assert_allclose(rates.factor, [1, 0.5])
    rates.select(np.array([1]))
    assert_allclose(rates.factor, [0.5])


def test_best_epoch_and_patience():
    best = BestEpochs([0.1], [3])
    stops = []
    for epoch, loss in enumerate([3.0, 2.0, 1.95, 2.2, 1.94, 9.0], 1):
        is_best, stop = best.judge(ALL, epoch, np.array([loss]), np.array([True]))
        assert is_best[0] == (epoch in (1, 2, 3, 5))
        stops.append(bool(stop[0]))
    # 1.95 and 1.94 are the best so far, but no gain of 0.1
    assert stops == [False, False, False, False, True, True]
    assert best.best_iter.tolist() == [5]
    assert best.diverged_iter.tolist() == [0]


@pytest.mark.parametrize("loss", [np.nan, np.inf, 1.0])
def test_what_is_not_finite_stops_and_is_never_the_best(loss):
    best = BestEpochs([0.0, 0.0], [np.inf, np.inf])
    best.judge(ALL, 1, np.array([2.0, 2.0]), np.array([True, True]))
    is_best, stops = best.judge(ALL, 2, np.array([loss, 1.0]), np.array([False, True]))
    assert is_best.tolist() == [False, True]
    assert stops.tolist() == [True, False]
    assert best.best_iter.tolist() == [1, 2]
    assert best.diverged_iter.tolist() == [2, 0]


def test_a_term_without_entries_is_nan_and_adds_nothing():
    sums = {"reconstruction": np.array([6.0, 6.0]), "prediction": np.array([8.0, 0.0])}
    totals = {"reconstruction": np.array([3.0, 3.0]), "prediction": np.array([4.0, 0.0])}
    weights = {"reconstruction": np.array([1.0, 1.0]), "prediction": np.array([10.0, 10.0])}
    means = epoch_means(sums, totals, weights, {})
    assert_array_equal(means["loss"], [22, 2])
    assert_array_equal(means["prediction"], [2, np.nan])


def test_the_reconstruction_is_the_mean_of_the_blocks_by_their_shares():
    """Of a block without entries in a network's rows there is nothing to reconstruct."""
    names = ("reconstruction__a", "reconstruction__b")
    sums = dict(zip(names, ([6.0, 6.0], [8.0, 0.0]), strict=True))
    totals = dict(zip(names, ([3.0, 3.0], [2.0, 0.0]), strict=True))
    shares = dict(zip(names, (0.75, 0.25), strict=True))
    means = epoch_means(
        {name: np.array(own) for name, own in sums.items()},
        {name: np.array(own) for name, own in totals.items()},
        {name: np.full(2, 10 * share) for name, share in shares.items()},
        {"reconstruction": shares},
    )
    assert_array_equal(means["reconstruction"], [0.75 * 2 + 0.25 * 4, 0.75 * 2])
    assert_array_equal(means["reconstruction__b"], [4, np.nan])
    assert_array_equal(means["loss"], 10 * means["reconstruction"])
    assert list(means)[:2] == ["loss", "reconstruction"]


# -- terms that warm up


@pytest.mark.parametrize("max_iter", [1, 2, 3, 4, 5, 100, 301])
def test_a_quarter_of_the_epochs_warms_up(max_iter):
    """Rounded up, so that the first epoch has nothing of the term in any fit."""
    n_epochs = n_epochs_of_warm_up(max_iter)
    assert max_iter / 4 <= n_epochs < max_iter / 4 + 1


def test_the_warmth_grows_evenly_from_0_to_1():
    found = warmth(np.arange(7), 4)
    assert_array_equal(found, [0, 0.25, 0.5, 0.75, 1, 1, 1])
    assert warmth(0, 1) == 0
    assert warmth(1, 1) == 1


def test_without_a_warm_up_all_is_warm_at_once():
    assert_array_equal(warmth(np.arange(3), 0), [1, 1, 1])


def test_networks_warm_up_each_by_itself():
    found = warmth(np.array([0, 1, 0, 3]), np.array([0, 2, 2, 4]))
    assert_array_equal(found, [1, 0.5, 0, 0.75])
