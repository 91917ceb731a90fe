"""The net: seeds, threads, what is frozen, noise of callbacks."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from cases.supervised import TINY, regression
from cases.training import Freeze
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from skorch.callbacks import Callback, Freezer, Unfreezer
from torch import nn

from sknestedae import SupervisedAutoencoder
from sknestedae.blocks import Block


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


class Optimizer(Callback):
    """Put another optimizer in the place of the net's own."""

    def __init__(self, make):
        self.make = make

    def on_train_begin(self, net, **kwargs):
        net.optimizer_ = self.make(net.module_.parameters(), lr=net.lr)


def test_a_callback_can_put_another_optimizer_in_place():
    """The same one gives the same fit; SGD takes a step of the rate times the gradient."""
    X, y = regression()
    plain = SupervisedAutoencoder(**TINY).fit(X, y)
    again = SupervisedAutoencoder(**TINY, callbacks=[Optimizer(torch.optim.Adam)]).fit(X, y)
    assert_allclose(again.predict(X), plain.predict(X), rtol=1e-9)
    loaded = pickle.loads(pickle.dumps(again))
    assert_array_equal(loaded.predict(X), again.predict(X))

    # with all rows in one step, and no step before, the rate shows in the change of parameters
    settings = {**TINY, "max_iter": 1, "learning_rate": "constant", "batch_size": len(X)}
    changes = []
    for rate in (1e-6, 2e-6):
        weights = _Weights()
        settings |= {
            "learning_rate_init": rate,
            "callbacks": [Optimizer(torch.optim.SGD), weights],
        }
        sae = SupervisedAutoencoder(**settings).fit(X, y)
        changes.append((sae.net_.module_.encoder[0].weight - weights.before_).detach())
    assert changes[0].any()
    assert_allclose(changes[1], 2 * changes[0], rtol=1e-6)


class _Weights(Callback):
    def on_train_begin(self, net, **kwargs):
        self.before_ = net.module_.encoder[0].weight.detach().clone()


class WithDropout(Block):
    def make_encoder(self, layout):
        return nn.Dropout(0.2), layout.n_values

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, layout.n_values)


def test_each_epoch_drops_other_units_and_a_warm_start_goes_on_with_them():
    """At a learning rate of almost 0, and with rows in order, nothing else moves a loss."""
    X, y = regression()
    settings = {**TINY, "dropout": 0.5, "learning_rate_init": 1e-15, "shuffle": False}
    settings |= {"learning_rate": "constant", "warm_start": True}
    whole = SupervisedAutoencoder(**{**settings, "max_iter": 4}).fit(X, y)
    parts = SupervisedAutoencoder(**{**settings, "max_iter": 2}).fit(X, y).fit(X, y)
    losses = whole.history_["train_loss"]
    assert np.diff(np.sort(losses)).min() > 1e-6  # beside what rounding and the steps leave
    assert_allclose(parts.history_["train_loss"], losses, rtol=1e-9)


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
