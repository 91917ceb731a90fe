"""Steps of a stack, in closed form and by autograd, against each network alone."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from cases.blocks import SpectrumBlock
from cases.steps import data, sae
from numpy.testing import assert_allclose

from sknestedae import SupervisedAutoencoder
from sknestedae._training import _vectorized_training
from sknestedae._training._concurrent import run_concurrently
from sknestedae._training._vectorized_steps import AutogradSteps, ClosedFormSteps, make_steps
from sknestedae.exceptions import DivergenceError


@pytest.fixture
def chosen(monkeypatch):
    """Record which kind of steps each stack takes."""
    kinds = []

    def spy(*args):
        steps = make_steps(*args)
        kinds.append(type(steps))
        return steps

    monkeypatch.setattr(_vectorized_training, "make_steps", spy)
    return kinds


@pytest.fixture(params=[ClosedFormSteps, AutogradSteps])
def kind(request, monkeypatch):
    """Let all stacks take one kind of steps."""

    def make(module, objective, n_networks, has_one_rate):
        if request.param is AutogradSteps:
            return AutogradSteps(module, objective, has_one_rate)
        return ClosedFormSteps(module, objective, n_networks, has_one_rate)

    monkeypatch.setattr(_vectorized_training, "make_steps", make)
    return request.param


def fit_together(estimators, tables):
    tasks = run_concurrently([partial(e.fit, *t) for e, t in zip(estimators, tables, strict=True)])
    return [task.error for task in tasks]


def assert_same_fit(one, other, rounding=1e-9):
    """Compare all that a fit leaves; rounding grows by a small factor in some tens of steps."""
    nets = [own.__getstate__()["_fitted"]["net"] for own in (one, other)]
    for part in ("module", "optimizer"):
        assert nets[0][part].keys() == nets[1][part].keys()
        for name, own in nets[0][part].items():
            assert_allclose(own, nets[1][part][name], rtol=0, atol=rounding, err_msg=name)
    assert_allclose(one.history_, other.history_, rtol=rounding)
    assert (one.n_iter_, one.best_iter_) == (other.n_iter_, other.best_iter_)


CASES = {
    "seeds": [{"random_state": k} for k in range(3)],
    "learning rates": [{"learning_rate_init": rate} for rate in (1e-3, 1e-2, 5e-2)],
    "penalties": [{"alpha": 0, "l1": 0.01}, {"alpha": 0.1}, {"l1": 0, "alpha": 0.02}],
    "early stopping": [
        {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 15, "learning_rate_init": rate}
        for rate in (1e-3, 0.03, 0.3)
    ],
    "other epochs, dropout": [
        {"max_iter": n, "dropout": p} for n, p in ((2, 0.1), (9, 0.5), (4, 0.3))
    ],
}


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES.keys())
def test_each_network_ends_as_alone(settings, kind, stacks):
    X, y = data()
    X[::4, 1] = np.nan
    y[::5] = np.nan
    together = [sae(**own) for own in settings]
    assert fit_together(together, [(X, y)] * 3) == [None] * 3
    assert stacks == [3]
    for own, fitted in zip(settings, together, strict=True):
        assert_same_fit(fitted, sae(**own).fit(X, y))


@pytest.mark.parametrize("n_rows", [(20, 13, 31), (14, 14, 28), (20, 31, 45)])
@pytest.mark.parametrize("n_units", [1 << 14, 70])
def test_networks_of_other_numbers_of_rows_drop_what_they_would_drop_alone(
    n_rows, n_units, kind, stacks, monkeypatch
):
    """Masks that were taken ahead for all go back where the epoch of one network ends.

    Which it does in the middle of what is drawn at once where that is two steps, of 7 rows and 5
    units. The bounds of the target, in its scaled units, are each network's own, too.
    """
    monkeypatch.setattr("sknestedae._layers._dense._UNITS_AT_ONCE", n_units)
    tables = [data(n) for n in n_rows]
    settings = [
        {"dropout": 0.4, "max_iter": n, "random_state": k, "target_bounds": (-9, 30)}
        for k, n in enumerate((7, 5, 3))
    ]
    together = [sae(**own) for own in settings]
    assert fit_together(together, tables) == [None] * 3
    assert stacks == [3]
    for own, fitted, table in zip(settings, together, tables, strict=True):
        assert_same_fit(fitted, sae(**own).fit(*table))


def test_the_best_epoch_of_one_outlasts_another_that_leaves(kind, stacks):
    X, y = data()
    y = np.random.default_rng(1).normal(
        size=len(y)
    )  # nothing to learn, so that it is an early one
    settings = [
        {"max_iter": 4, "n_iter_no_change": 9},
        {"max_iter": 9, "n_iter_no_change": 9, "learning_rate_init": 0.3},
    ]
    settings = [{**own, "early_stopping": True} for own in settings]
    together = [sae(**own) for own in settings]
    assert fit_together(together, [(X, y)] * 2) == [None] * 2
    assert together[1].best_iter_ <= together[0].n_iter_ < together[1].n_iter_
    for own, fitted in zip(settings, together, strict=True):
        assert_same_fit(fitted, sae(**own).fit(X, y))


def test_one_that_diverges_is_told_and_leaves_the_others(kind, stacks):
    X, y = data()
    rates = (1e-3, 1e200, 1e-2)
    together = [sae(learning_rate_init=rate) for rate in rates]
    errors = fit_together(together, [(X, y)] * 3)
    assert isinstance(errors[1], DivergenceError)
    assert errors[0] is errors[2] is None
    assert stacks == [3]
    for k in (0, 2):
        assert_same_fit(together[k], sae(learning_rate_init=rates[k]).fit(X, y))


def test_a_stack_that_was_trained_goes_on_alone(kind, stacks):
    """With the moments that it left."""
    X, y = data()
    together = [sae(random_state=k) for k in range(2)]
    assert fit_together(together, [(X, y)] * 2) == [None] * 2
    assert stacks == [2]
    for k, own in enumerate(together):
        assert_same_fit(own.partial_fit(X, y), sae(random_state=k).fit(X, y).partial_fit(X, y))


def test_the_closed_form_is_chosen_where_there_is_one(chosen, stacks):
    X, y = data()
    for settings in ({}, {"dropout": 0.2}):
        fit_together([sae(**settings, random_state=k) for k in range(2)], [(X, y)] * 2)
    fit_together(
        [SupervisedAutoencoder(max_iter=1, random_state=k) for k in range(2)], [(X, y)] * 2
    )
    assert set(chosen) == {ClosedFormSteps}
    assert len(chosen) == len(stacks) == 3


@pytest.mark.parametrize(
    "settings",
    [
        {"beta": 0.1},
        {"blocks": [("own", SpectrumBlock(), [0, 1, 2, 3])]},
    ],
    ids=["variational", "convolution"],
)
def test_other_stacks_are_trained_by_autograd(settings, chosen, stacks):
    """In one stack, and not each alone: a stack that fails is no error, but slow."""
    X, y = data()
    together = [sae(**settings, random_state=k) for k in range(2)]
    assert fit_together(together, [(X, y)] * 2) == [None] * 2
    assert chosen == [AutogradSteps]
    assert stacks == [2]
    for k, own in enumerate(together):
        assert_same_fit(own, sae(**settings, random_state=k).fit(X, y), rounding=1e-7)


def test_an_interrupt_in_a_stack_reaches_the_user(kind, monkeypatch):
    def interrupt(self, *args):
        raise KeyboardInterrupt

    monkeypatch.setattr(kind, "take", interrupt)
    X, y = data()
    together = [sae(random_state=k) for k in range(2)]
    with pytest.raises(KeyboardInterrupt):
        fit_together(together, [(X, y)] * 2)
    assert not any(hasattr(own, "net_") for own in together)


def test_sums_are_of_each_network_since_its_last_call(kind, monkeypatch):
    """And what is kept, and whose parameters are finite."""
    seen = {}
    end_epoch = _vectorized_training.VectorizedTraining._end_epoch

    def look(self, ending, epoch):
        steps = self.steps
        if not seen:
            seen["first"] = steps.take_sums(np.array([0]))["reconstruction"]
            seen["again"] = steps.take_sums(np.array([0, 1]))["reconstruction"]
            steps.keep(np.array([1]))
            names = [name for name, _ in self.jobs[0].net.module_.named_parameters()]
            before = [steps.state(k, False, names)["module"][names[0]].copy() for k in range(2)]
            first = next(self.module.parameters())
            with torch.no_grad():
                first[0] += 1
                first[1] += 1
            seen["kept"] = [
                np.array_equal(steps.state(k, True, names)["module"][names[0]], old)
                for k, old in enumerate(before)
            ]
            kept = first[1].clone()
            with torch.no_grad():
                first[1, 0] = np.nan
            seen["finite"] = steps.are_finite().tolist()
            with torch.no_grad():
                first[1] = kept
        return end_epoch(self, ending, epoch)

    monkeypatch.setattr(_vectorized_training.VectorizedTraining, "_end_epoch", look)
    X, y = data()
    fit_together([sae(random_state=k) for k in range(2)], [(X, y)] * 2)
    assert seen["first"] > 0
    assert seen["again"][0] == 0 < seen["again"][1]
    assert seen["kept"] == [False, True]
    assert seen["finite"] == [True, False]
