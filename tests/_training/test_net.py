"""The net's parts: rows in batches, totals, terms of an epoch, history."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch
from cases.supervised import TINY, regression
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from skorch.callbacks import Callback, Freezer, Unfreezer
from torch import nn

from sknestedae import SupervisedAutoencoder
from sknestedae._networks._batch import Batch, Subset
from sknestedae._tables._layout import Encoded, Layout
from sknestedae._training import _state
from sknestedae._training._data import TensorIterator
from sknestedae._training._objective import Objective
from sknestedae._training._state import history_from_frame, history_to_frame
from sknestedae.blocks import Block

CPU = torch.device("cpu")


def numbered_rows(n_rows=23, gaps=False, weights=False):
    """Give rows that hold their own number, in two columns, and in the target."""
    number = np.arange(n_rows, dtype=float)
    measured = np.ones((n_rows, 2), dtype=bool)
    measured[::3, 1] = False
    labelled = (number % 4 > 0)[:, None]
    return Batch.from_arrays(
        {"table": Encoded(np.column_stack([number, number]), measured if gaps else None)},
        Encoded(number[:, None], labelled if gaps else None),
        number + 1 if weights else None,
        CPU,
    )


def numbers(batches):
    return [batch.target.ravel().tolist() for batch in batches]


def objective(**changes):
    settings = {
        "layouts": {"table": Layout(2)},
        "target_layout": Layout(1),
        "reconstruction_loss": "squared_error",
        "prediction_loss": "squared_error",
        "reconstruction_weight": 1.0,
        "prediction_weight": 1.0,
        "l1": 0.0,
        "alpha": 0.0,
    }
    return Objective(**{**settings, **changes})


def test_batches_in_order():
    batches = numbers(TensorIterator(Subset(numbered_rows()), 10))
    assert batches == [list(range(10)), list(range(10, 20)), [20, 21, 22]]


@pytest.mark.parametrize("index", [None, [3, 1, 4, 15, 9, 2, 6]])
@pytest.mark.parametrize("chunk_entries", [1, 30, 1 << 20])
def test_shuffled_batches_hold_each_row_once_whatever_the_chunks(
    monkeypatch, index, chunk_entries
):
    rows = numbered_rows(weights=True)
    subset = Subset(rows, None if index is None else torch.tensor(index))
    torch.manual_seed(0)
    expected = numbers(TensorIterator(subset, 5, shuffle=True))
    order = list(chain.from_iterable(expected))
    assert sorted(order) == sorted(index or range(23))
    assert order != list(index or range(23))
    monkeypatch.setattr("sknestedae._training._data._CHUNK_ENTRIES", chunk_entries)
    torch.manual_seed(0)
    batches = list(TensorIterator(subset, 5, shuffle=True))
    assert numbers(batches) == expected
    for batch in batches:  # what belongs to a row stays with it
        assert torch.equal(batch.values["table"][:, :1], batch.target)
        assert torch.equal(batch.weight, batch.target + 1)


def test_batch_of_a_slice_shares_memory():
    rows = numbered_rows()
    part = rows[5:9]
    assert part.values["table"].data_ptr() == rows.values["table"][5:].data_ptr()


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("gaps", [True, False])
@pytest.mark.parametrize("chunk_rows", [1, 7, 1000])
def test_totals_are_sums_whatever_the_chunks(monkeypatch, chunk_rows, gaps, weights):
    monkeypatch.setattr("sknestedae._training._objective.CHUNK_ROWS", chunk_rows)
    rows = numbered_rows(gaps=gaps, weights=weights)
    totals = objective().totals(Subset(rows))
    weight = np.arange(23) + 1.0 if weights else np.ones(23)
    measured = rows.measured["table"].numpy() if gaps else np.ones((23, 2))
    labelled = rows.labelled.numpy() if gaps else np.ones((23, 1))
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


def test_history_survives_as_a_table():
    frame = pd.DataFrame({"train_loss": [3.0, 2.0], "valid_loss": [np.nan, 4.0]}, index=[1, 2])
    frame.index.name = "epoch"
    history = history_from_frame(frame)
    assert "valid_loss" not in history[0]
    assert history[:, "epoch"] == [1, 2]
    pd.testing.assert_frame_equal(history_to_frame(history), frame, check_index_type=False)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_fits_in_threads_do_not_disturb_each_other(dropout):
    X, y = regression()
    settings = {**TINY, "max_iter": 20, "batch_size": 8, "dropout": dropout}
    models = [SupervisedAutoencoder(**{**settings, "random_state": k}) for k in range(4)]
    expected = [clone(model).fit(X, y).predict(X) for model in models]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda model: model.fit(X, y).predict(X), models))
    for a, b in zip(expected, found, strict=True):
        assert_array_equal(a, b)


class WithDropout(Block):
    def make_encoder(self, layout):
        return nn.Dropout(0.2), layout.n_values

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, layout.n_values)


def test_dropout_of_users_follows_the_seed():
    """It draws from torch's own generator, which is left as it was."""
    X, y = regression()
    model = SupervisedAutoencoder(**TINY, blocks=[("a", WithDropout(), [0, 1])])
    before = torch.get_rng_state()
    first = model.fit(X, y).predict(X)
    assert torch.equal(torch.get_rng_state(), before)
    assert_array_equal(clone(model).fit(X, y).predict(X), first)
    other = clone(model).set_params(random_state=1).fit(X, y).predict(X)
    assert not np.array_equal(other, first)


class Keeps(Block):
    """A block with an encoder that is not trained."""

    def make_encoder(self, layout):
        return nn.Linear(layout.n_values, 2).requires_grad_(False), 2

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, layout.n_values)


class Freeze(Callback):
    """Freeze the first weights after some epochs, and record them."""

    def __init__(self, after=2):
        self.after = after

    def on_train_begin(self, net, **kwargs):
        self.seen = []

    def on_epoch_end(self, net, **kwargs):
        weight = net.module_.encoder[0].weight
        self.seen.append(weight.detach().clone())
        if len(self.seen) == self.after:
            weight.requires_grad_(False)


def test_frozen_parameters_stay():
    X, y = regression()
    blocks = [("a", Keeps(), [0, 1])]
    fits = [
        SupervisedAutoencoder(**{**TINY, "max_iter": n}, blocks=blocks, alpha=0.1).fit(X, y)
        for n in (1, 6)
    ]
    kept = [fitted.net_.module_.block_encoders["a"].weight for fitted in fits]
    assert torch.equal(*kept)


def test_a_callback_may_freeze():
    X, y = regression()
    callback = Freeze()
    SupervisedAutoencoder(**TINY, alpha=0.1, callbacks=[("freeze", callback)]).fit(X, y)
    first, second, *later = callback.seen
    assert not torch.equal(first, second)
    assert all(torch.equal(second, weight) for weight in later)


class FreezeFirst(Callback):
    """Never train the first weights."""

    def on_train_begin(self, net, **kwargs):
        net.module_.encoder[0].weight.requires_grad_(False)


def test_what_was_frozen_can_be_saved():
    X, y = regression()
    fitted = SupervisedAutoencoder(**TINY, callbacks=[FreezeFirst()]).fit(X, y)
    assert "exp_avg/encoder.0.weight" not in _state.get_state(fitted.net_)["optimizer"]
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(loaded.predict(X), fitted.predict(X))
    assert_array_equal(loaded.partial_fit(X, y).predict(X), fitted.partial_fit(X, y).predict(X))


def first_weights(estimator):
    return estimator.net_.module_.encoder[0].weight.detach().clone()


@pytest.mark.parametrize("callbacks", [None, [Freezer("encoder.0.weight")]])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_was_frozen_stays_so_where_training_goes_on(method, callbacks):
    """Though there are moments of it; a file keeps it as the estimator does."""
    X, y = regression()
    freezer = Freezer("encoder.0.weight", at=3)
    fitted = SupervisedAutoencoder(**TINY, warm_start=True, alpha=0.1, callbacks=[freezer])
    fitted.fit(X, y)
    for estimator in (pickle.loads(pickle.dumps(fitted)), fitted):
        before, bias = first_weights(estimator), estimator.net_.module_.encoder[0].bias.clone()
        getattr(estimator.set_params(callbacks=callbacks), method)(X, y)
        assert torch.equal(first_weights(estimator), before)
        assert not torch.equal(estimator.net_.module_.encoder[0].bias, bias)
    n_iter = fitted.n_iter_
    fitted.set_params(callbacks=[Unfreezer("encoder.0.weight", at=n_iter + 1)]).fit(X, y)
    assert not torch.equal(first_weights(fitted), before)
    again = first_weights(fitted)
    assert not torch.equal(first_weights(fitted.set_params(callbacks=None).fit(X, y)), again)
    assert len(fitted.net_._tensors) == 1  # all are trained, as one


class Shakes(Callback):
    """Add noise to the gradients."""

    def on_grad_computed(self, net, named_parameters, **kwargs):
        for _, parameter in named_parameters:
            parameter.grad.add_(torch.randn_like(parameter.grad))


def test_noise_of_callbacks_follows_the_seed():
    X, y = regression()
    before = torch.get_rng_state()
    fits = [SupervisedAutoencoder(**TINY, callbacks=[Shakes()]).fit(X, y) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert_array_equal(fits[0].predict(X), fits[1].predict(X))


@pytest.mark.parametrize("callbacks", [None, [Freeze(100)]])
def test_moments_have_the_shapes_of_their_parameters(callbacks):
    X, y = regression()
    fitted = SupervisedAutoencoder(**TINY, callbacks=callbacks).fit(X, y)
    state = _state.get_state(fitted.net_)
    for name, parameter in fitted.net_.module_.named_parameters():
        assert state["optimizer"][f"exp_avg/{name}"].shape == tuple(parameter.shape)
        assert state["optimizer"][f"step/{name}"] == 10
