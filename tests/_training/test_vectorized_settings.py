"""Settings of the networks of a stack, side by side."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from cases.training import numbered_rows
from numpy.testing import assert_equal

from sknestedae._networks._batch import Subset
from sknestedae._tables._layout import Layout
from sknestedae._training._callbacks import LearningRate
from sknestedae._training._objective import Objective
from sknestedae._training._vectorized_settings import StackedSettings, share_one_rate
from sknestedae.blocks import DenseBlock


def job(k):
    """Give what is read of a job, other for each k."""
    objective = Objective.supervised(
        layouts={"table": Layout(2)},
        blocks={"table": DenseBlock()},
        target_layout=Layout(1),
        target_block=DenseBlock(),
        block_shares={"table": 1.0},
        reconstruction_loss="squared_error",
        prediction_loss="squared_error",
        reconstruction_weight=1.0 + k,
        prediction_weight=2.0 + k,
        l1=0.1 * k,
        alpha=0.2 * k,
    )
    net = SimpleNamespace(criterion_=objective, history=[None] * k, lr=10.0**-k, warm_up=k)
    rows = Subset(numbered_rows(10 + k, incomplete=True))
    return SimpleNamespace(net=net, train=rows, valid=rows, max_iter=5 + k)


def settings_of(*networks):
    return StackedSettings.of_jobs([job(k) for k in networks], [3 + k for k in networks])


def test_settings_of_some_networks_are_those_of_their_jobs():
    assert_equal(vars(settings_of(0, 1, 2, 3).take(np.array([1, 3]))), vars(settings_of(1, 3)))


def test_factors_are_weights_by_totals():
    settings = settings_of(0, 2)
    for name in ("reconstruction", "prediction"):
        expected = settings.weights[name] / settings.totals["train"][name]
        assert_equal(settings.factors[name], expected)


@pytest.mark.parametrize(
    ("networks", "schedules", "expected"),
    [
        ((1, 1), (None, None), True),
        ((1, 1), ("cosine", "cosine"), True),
        ((1, 1), ("cosine", None), False),
        ((1, 1), ("plateau", "plateau"), False),  # each has its own losses
        ((1, 2), ("cosine", "cosine"), False),
    ],
)
def test_rates_are_one_where_nothing_can_part_them(networks, schedules, expected):
    callbacks = [s and LearningRate(s, 5, "train_loss", 2) for s in schedules]
    assert share_one_rate(settings_of(*networks), callbacks) == expected
