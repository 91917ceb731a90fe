"""Objectives: how they are read, their loss, and when they are met."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases.design import a_chain, a_classifier, one_scale
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm

from sknestedae._estimators._differentiable import DifferentiableChain
from sknestedae.design._objectives import (
    DesignObjective,
    read_objectives,
    set_acquisition,
    set_scales,
)


@pytest.mark.parametrize(
    ("wanted", "kind", "losses", "met"),
    [
        (2.0, "value", [4, 0, 1], [False, True, False]),
        ((1.0, 2.2), "range", [1.21, 0, 0.81], [False, True, False]),
        ("max", "max", [0, -2, -3], None),
        ("min", "min", [0, 2, 3], None),
    ],
)
def test_objectives_of_numbers(wanted, kind, losses, met):
    estimator, _, _ = one_scale()
    (objective,) = read_objectives(wanted, DifferentiableChain(estimator))
    assert objective.kind == kind
    objective.tolerance = 0.1
    prediction = torch.tensor([0.0, 2.0, 3.0])
    assert_allclose(objective.loss(prediction).numpy(), losses, rtol=1e-6)
    assert objective.is_bounded == (met is not None)  # of a maximum, there is nothing to meet
    if met is not None:
        assert_array_equal(objective.is_met(prediction.numpy()), met)


def an_extreme(kind, acquisition, unit=1.0, kappa=2.0):
    objective = DesignObjective(0, 0, 0, "y", kind, scale=0.5 * unit)
    set_acquisition([objective], np.array([1.0, 3.0, 2.0]) * unit, acquisition, kappa)
    return objective


PREDICTION = torch.tensor([0.0, 2.5, 3.5], dtype=torch.float64)
STD = torch.tensor([2.0, 0.5, 0.1], dtype=torch.float64)


@pytest.mark.parametrize("unit", [1.0, 2.0**40, 2.0**-40])
def test_acquisitions_in_the_unit_of_the_target(unit):
    """Of a maximum, the best known row has 3, of a minimum 1."""
    z = (PREDICTION.numpy() - 3) / STD.numpy()
    gained = STD.numpy() * (norm.pdf(z) + z * norm.cdf(z))
    highest = an_extreme("max", "expected_improvement", unit)
    loss = highest.loss(PREDICTION * unit, STD * unit).numpy()
    assert_allclose(loss, -np.log(gained / 0.5), rtol=1e-9, atol=1e-14)  # of 0, its rounding
    bounded = an_extreme("max", "upper_confidence_bound", unit)
    loss = bounded.loss(PREDICTION * unit, STD * unit).numpy()
    assert_allclose(loss, -(PREDICTION + 2 * STD) / 0.5, rtol=1e-12)
    lowest = an_extreme("min", "upper_confidence_bound", unit)
    loss = lowest.loss(PREDICTION * unit, STD * unit).numpy()
    assert_allclose(loss, (PREDICTION - 2 * STD) / 0.5, rtol=1e-12)


def test_a_minimum_is_a_maximum_upside_down():
    low, high = (an_extreme(kind, "expected_improvement") for kind in ("min", "max"))
    assert (low.best, high.best) == (1.0, 3.0)
    of_low = low.loss(PREDICTION, STD)
    high.best = -low.best
    assert_allclose(of_low, high.loss(-PREDICTION, STD), rtol=1e-12)
    assert_allclose(of_low, low.loss(PREDICTION, STD, best=1.0), rtol=0)
    assert (low.loss(PREDICTION, STD, best=0.5) > of_low).all()  # less is gained of a better one


def test_a_maximum_by_its_mean_needs_no_spread():
    objective = an_extreme("max", "mean")
    assert not objective.needs_std
    assert_allclose(objective.loss(PREDICTION), -PREDICTION / 0.5)


def test_without_a_spread_the_best_mean_has_the_least_loss():
    for acquisition in ("expected_improvement", "upper_confidence_bound"):
        loss = an_extreme("max", acquisition).loss(PREDICTION, torch.zeros_like(STD))
        assert torch.isfinite(loss).all()
        assert (loss.diff() < 0).all()


def test_an_acquisition_is_for_what_is_sought():
    value = DesignObjective(0, 0, 0, "gap", "value", 1.5, 1.5, tolerance=0.1)
    message = (
        "'acquisition' parameter must be 'mean' where no target is 'max' or 'min', got "
        r"'expected_improvement' with the target \{'gap': '1.5 \+- 0.1'\}"
    )
    with pytest.raises(ValueError, match=message):
        set_acquisition([value], np.zeros(3), "expected_improvement", 2.0)
    set_acquisition([value], np.zeros(3), "mean", 2.0)
    other = DesignObjective(1, 0, 1, "efficiency", "max")
    set_acquisition([value, other], np.zeros((3, 2)), "expected_improvement", 2.0)
    assert (value.needs_std, other.needs_std) == (False, True)


def test_a_range_may_be_an_array():
    estimator, _, _ = one_scale()
    assert read_objectives(np.array([1, 2]), DifferentiableChain(estimator)) == read_objectives(
        (1, 2), DifferentiableChain(estimator)
    )


@pytest.mark.parametrize("unit", [2.0**-900, 1.0, 2.0**900])
def test_a_target_is_missed_in_standard_deviations_of_any_unit(unit):
    objectives = [DesignObjective(k, 0, k, "y", "max") for k in range(2)]
    set_scales(
        objectives, np.array([[1, 0.1], [2, 0.1], [4, 0.1]]) * unit, None, ["y", "constant"]
    )
    assert objectives[0].scale == np.std([1, 2, 4]) * unit
    assert objectives[1].scale == 1


def test_the_loss_is_in_the_unit_of_the_target():
    objective = DesignObjective(0, 0, 0, "gap", "value", 1.0, 1.0, scale=0.5)
    assert_allclose(objective.loss(torch.tensor([2.0])).numpy(), [4.0])


def test_a_class_is_wanted_by_its_label():
    estimator, _, _ = a_classifier()
    (objective,) = read_objectives("good", DifferentiableChain(estimator))
    assert (objective.kind, objective.code) == ("class", list(estimator.classes_).index("good"))
    assert_allclose(objective.loss(torch.tensor([1.0, np.exp(-2)])).numpy(), [0, 2], rtol=1e-6)
    assert_array_equal(objective.is_met(np.array(["good", "bad"])), [True, False])


def test_targets_of_a_chain_are_named_by_stage_or_counted():
    estimator, _, _ = a_chain()
    chain = DifferentiableChain(estimator)
    by_name = read_objectives({"b": "max", "a": 1.0}, chain)
    by_position = read_objectives({1: "max", 0: 1.0}, chain)
    assert [(w.column, w.stage) for w in by_name] == [(1, 1), (0, 0)]
    assert by_name == by_position


@pytest.mark.parametrize(
    ("make", "target", "message"),
    [
        (one_scale, "most", r"number, a range .low, high., 'max' or 'min', got 'most'"),
        (one_scale, (3, 1), r"low <= high, and one finite, got \(3, 1\)"),
        (one_scale, np.nan, "must be a number"),
        (one_scale, np.inf, "one finite"),
        (one_scale, (1, 2, 3), r"got \(1, 2, 3\)"),
        (one_scale, {}, "must want something"),
        (one_scale, {"gap": 1}, r"names 'gap'; the estimator predicts \['target'\]"),
        (one_scale, {True: 1}, "names True"),
        (a_classifier, "best", r"one of the classes \['bad', 'good'\], got 'best'"),
        (a_classifier, "max", "one of the classes"),
        (a_chain, "max", r"must be a dict, as the estimator predicts \['a', 'b'\]"),
        (a_chain, {"b": 1, 1: 2}, "names the target 'b' twice"),
        (a_chain, {2: 1}, "names 2"),
    ],
)
def test_objectives_that_make_no_sense(make, target, message):
    estimator, _, _ = make()
    with pytest.raises(ValueError, match=message):
        read_objectives(target, DifferentiableChain(estimator))


def test_the_nearest_prediction_is_told():
    """Beside the range of what the known rows are predicted to have."""
    number = DesignObjective(0, 0, 0, "efficiency", "range", 2.0, 3.0)
    found, known = np.array([1.0, 1.5, 9.0]), np.array([0.5, 1.25])
    assert number.describe_nearest(found, known) == (
        "efficiency was to be 2 to 3; nearest is 1.5, and the known rows are predicted from 0.5 "
        "to 1.25"
    )
    label = DesignObjective(0, 0, 0, "phase", "class", label="cubic")
    text = label.describe_nearest(np.array(["q", "p", "q"]), np.array(["p"]))
    assert text == "phase was to be 'cubic', predicted are ['p', 'q']"
