"""The objective: totals, terms of an epoch, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases.supervised import TINY, regression
from cases.training import numbered_rows
from numpy.testing import assert_allclose
from skorch.callbacks import Callback

from sknestedae import SupervisedAutoencoder
from sknestedae._networks._batch import Subset
from sknestedae._tables._layout import Layout
from sknestedae._training._objective import Objective
from sknestedae.blocks import DenseBlock


def objective(**changes):
    settings = {
        "layouts": {"table": Layout(2)},
        "blocks": {"table": DenseBlock()},
        "target_layout": Layout(1),
        "target_block": DenseBlock(),
        "block_shares": {"table": 1.0},
        "reconstruction_loss": "squared_error",
        "prediction_loss": "squared_error",
        "reconstruction_weight": 1.0,
        "prediction_weight": 1.0,
        "l1": 0.0,
        "alpha": 0.0,
    }
    return Objective(**{**settings, **changes})


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("incomplete", [True, False])
@pytest.mark.parametrize("chunk_rows", [1, 7, 1000])
def test_totals_are_sums_whatever_the_chunks(monkeypatch, chunk_rows, incomplete, weights):
    monkeypatch.setattr("sknestedae._training._objective.CHUNK_ROWS", chunk_rows)
    rows = numbered_rows(incomplete=incomplete, weights=weights)
    totals = objective().totals(Subset(rows))
    weight = np.arange(23) + 1.0 if weights else np.ones(23)
    measured = rows.measured["table"].numpy() if incomplete else np.ones((23, 2))
    labelled = rows.labelled.numpy() if incomplete else np.ones((23, 1))
    assert (totals.rows, totals.weight) == (23, weight.sum())
    assert totals.entries["reconstruction"] == (weight[:, None] * measured).sum()
    assert totals.entries["prediction"] == (weight[:, None] * labelled).sum()


@pytest.mark.parametrize("batch_size", [7, 16, 60])
def test_a_metric_of_an_epoch_is_a_mean_over_rows(batch_size):
    """At a learning rate of almost 0 the batches cannot matter; means of batch means would."""
    X, y = regression()
    weight = np.linspace(0.1, 3, 60)
    settings = {**TINY, "max_iter": 1, "learning_rate_init": 1e-15}
    fits = [
        SupervisedAutoencoder(**settings, batch_size=size).fit(X, y, sample_weight=weight)
        for size in (batch_size, 60)
    ]
    assert_allclose(fits[0].history_, fits[1].history_, rtol=1e-12)


@pytest.mark.parametrize("batch_size", [7, 16])
def test_gradients_of_batches_add_up_to_that_of_all_rows(batch_size):
    """A batch's gradient, times its share of the rows, is an unbiased part of the whole."""

    class Gradients(Callback):
        def __init__(self):
            self.total = 0.0

        def on_grad_computed(self, net, named_parameters, batch, **kwargs):
            share = len(batch) / net.totals_["train"].rows
            gradient = torch.cat([p.grad.ravel() for _, p in named_parameters])
            self.total = self.total + share * gradient

    X, y = regression()
    X[::7, 1] = np.nan
    y[::5] = np.nan
    weight = np.linspace(0.1, 3, 60)
    spies = []
    for size in (batch_size, 60):
        spy = Gradients()
        SupervisedAutoencoder(
            **{**TINY, "max_iter": 1, "learning_rate_init": 1e-15},
            batch_size=size,
            l1=0.1,
            callbacks=[spy],
        ).fit(X, y, sample_weight=weight)
        spies.append(spy.total.numpy())
    assert_allclose(spies[0], spies[1], rtol=1e-9, atol=1e-12)


def test_terms_are_a_list_and_only_of_what_there_is():
    assert [term.name for term in objective().terms] == ["reconstruction", "prediction"]
    without = objective(target_layout=None, prediction_weight=3.0)
    assert [term.name for term in without.terms] == list(without.weights) == ["reconstruction"]
    totals = without.totals(Subset(numbered_rows()))
    assert totals.entries == {"reconstruction": 46.0}
    assert without.factors(totals) == {"reconstruction": 1 / 46}


def test_a_term_without_entries_is_nan_and_adds_nothing():
    rows = numbered_rows()
    rows.labelled = torch.zeros(len(rows), 1, dtype=torch.bool)
    own = objective(reconstruction_weight=0.5)
    totals = own.totals(Subset(rows))
    assert own.factors(totals) == {"reconstruction": 0.5 / 46, "prediction": 0.0}
    terms = own.epoch_terms(
        {"reconstruction": torch.tensor(92.0), "prediction": torch.tensor(0.0)}, totals
    )
    assert terms["loss"] == 1.0
    assert np.isnan(terms["prediction"])
