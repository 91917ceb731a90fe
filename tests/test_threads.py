"""One thread for small matrices, and others get theirs back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from threadpoolctl import threadpool_info, threadpool_limits
from torch import nn

from sknestedae import SupervisedAutoencoder, _threads
from sknestedae._gaussian_process import _process
from sknestedae._gaussian_process._process import GaussianProcess
from sknestedae._threads import is_worth_threads, one_blas_thread, one_torch_thread
from sknestedae._training import _vectorized_training
from sknestedae._training._concurrent import run_concurrently
from sknestedae.blocks import SpectrumBlock

X = np.random.RandomState(0).normal(size=(40, 6))
TINY = {"n_components": 2, "max_iter": 2, "predictor": "network", "random_state": 0}


@pytest.fixture(autouse=True)
def two_torch_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


# ---------------------------------------------------------------------------------------------
# NumPy and SciPy


def n_threads():
    return {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}


@pytest.fixture
def two_blas_threads():
    with threadpool_limits(2, "blas"):
        if n_threads() != {2}:
            pytest.skip("the linear algebra of this machine has one thread alone")
        yield


@pytest.mark.usefixtures("two_blas_threads")
def test_there_is_one_thread_inside_and_as_many_as_before_outside():
    with one_blas_thread():
        assert n_threads() == {1}
        with one_blas_thread():
            assert n_threads() == {1}
        assert n_threads() == {1}
    assert n_threads() == {2}


@pytest.mark.usefixtures("two_blas_threads")
def test_an_error_restores_the_threads():
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert n_threads() == {2}


@pytest.mark.usefixtures("two_blas_threads")
def test_large_matrices_keep_their_threads():
    with one_blas_thread(is_small=False):
        assert n_threads() == {2}


FEW_AND_MANY = pytest.mark.parametrize(("worth", "expected"), [(6, 1), (5, 2)])


@pytest.mark.usefixtures("two_blas_threads")
@FEW_AND_MANY
@pytest.mark.parametrize("name", ["factor", "diagonal_of_inverse"])
def test_leave_one_out_of_few_rows_takes_one_thread(monkeypatch, worth, expected, name):
    function, seen = getattr(_process, name), []

    def watched(matrix):
        seen.append(n_threads())
        return function(matrix)

    x = np.linspace(0, 1, 5)[:, None]
    process = GaussianProcess.fit(x, x[:, 0], widths=(1,))
    monkeypatch.setattr(_process, name, watched)
    monkeypatch.setattr(_process, "WORTH_THREADS", worth)
    process.leave_one_out()
    assert seen == [{expected}]


@pytest.mark.usefixtures("two_blas_threads")
@FEW_AND_MANY
def test_the_precisions_of_many_rows_take_all_threads(monkeypatch, worth, expected):
    """The last ones are those of all rows; before them are those of the rows in the search."""
    precisions, seen = _process.precisions, []

    def watched(*args):
        seen.append(n_threads())
        return precisions(*args)

    monkeypatch.setattr(_process, "precisions", watched)
    monkeypatch.setattr(_process, "WORTH_THREADS", worth)
    x = np.linspace(0, 1, 5)[:, None]
    GaussianProcess.fit(x, x[:, 0], widths=(1,))
    assert seen == [{1}, {expected}]


@pytest.mark.usefixtures("two_blas_threads")
def test_fits_of_a_search_take_one_thread():
    """There the fits run in threads of their own, which are not those that set the number."""
    found = run_concurrently([n_threads, n_threads])
    assert [fit.value for fit in found] == [{1}, {1}]
    assert n_threads() == {2}


# ---------------------------------------------------------------------------------------------
# torch


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
