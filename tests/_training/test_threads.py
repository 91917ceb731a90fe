"""Small networks are trained in one thread of torch, and others get theirs back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from sknestedae import SupervisedAutoencoder
from sknestedae._training import _threads, _vectorized_training
from sknestedae._training._threads import is_worth_threads, one_torch_thread
from sknestedae.blocks import SpectrumBlock

X = np.random.RandomState(0).normal(size=(40, 6))
TINY = {"n_components": 2, "max_iter": 2, "predictor": "network", "random_state": 0}


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class Watch(Callback):
    """Note the number of threads in each epoch."""

    def on_epoch_end(self, net, **kwargs):
        net.history.record("n_threads", torch.get_num_threads())


def n_threads_of(**settings):
    sae = SupervisedAutoencoder(callbacks=[Watch()], **TINY, **settings).fit(X, X[:, 0])
    assert torch.get_num_threads() == 2
    return set(sae.history_["n_threads"])


@pytest.mark.parametrize(("wanted", "expected"), [(True, 1), (False, 2)])
def test_threads_are_as_before_afterwards_also_after_an_error(wanted, expected):
    def fail():
        assert torch.get_num_threads() == expected
        raise KeyError

    with pytest.raises(KeyError), one_torch_thread(wanted):
        fail()
    assert torch.get_num_threads() == 2


def test_a_network_is_large_by_its_largest_product_of_matrices(monkeypatch):
    module = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 3))  # 40 and 30 weights
    monkeypatch.setattr(_threads, "WORTH_THREADS", 40 * 8 * 2)
    assert is_worth_threads(module, n_rows=16)
    assert not is_worth_threads(module, n_rows=15)
    assert is_worth_threads(module, n_rows=8, n_networks=2)


@pytest.mark.parametrize("settings", [{}, {"beta": 1.0}])
def test_small_networks_are_trained_in_one_thread(settings):
    """With gradients in closed form and with torch's own."""
    assert n_threads_of(**settings) == {1}


def test_large_networks_and_convolutions_keep_their_threads(monkeypatch):
    assert n_threads_of(blocks=SpectrumBlock()) == {2}
    monkeypatch.setattr(_threads, "WORTH_THREADS", 1)
    assert n_threads_of() == {2}


@pytest.mark.parametrize(("worth", "expected"), [(2**22, 1), (1, 2)])
def test_so_are_several_at_once(monkeypatch, worth, expected):
    monkeypatch.setattr(_threads, "WORTH_THREADS", worth)
    train, seen = _vectorized_training.VectorizedTraining.train, []

    def watched(self):
        seen.append(torch.get_num_threads())
        train(self)

    monkeypatch.setattr(_vectorized_training.VectorizedTraining, "train", watched)
    SupervisedAutoencoder(n_members=2, **TINY).fit(X, X[:, 0])
    assert seen == [expected]
    assert torch.get_num_threads() == 2
