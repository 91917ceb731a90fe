"""Fits side by side: turns, errors, settings, interrupts."""

from __future__ import annotations

import gc
import threading
import warnings
import weakref
from functools import partial

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from cases.vectorized import assert_same_fit, data, sae
from numpy.testing import assert_array_equal
from torch import nn

from sknestedae import SupervisedAutoencoder
from sknestedae._training import _concurrent
from sknestedae._training._concurrent import SharedBatches, run_concurrently, train
from sknestedae.blocks import Block


@pytest.fixture
def rounds(monkeypatch):
    """Record how many networks are handed over to be trained, each time."""
    sizes = []
    train_vectorized = _concurrent.train_vectorized

    def spy(jobs, *args):
        sizes.append(len(jobs))
        train_vectorized(jobs, *args)

    monkeypatch.setattr(_concurrent, "train_vectorized", spy)
    return sizes


def test_values_and_errors_in_order():
    def fail():
        raise KeyError("mine")

    tasks = run_concurrently([lambda: 1, fail, lambda: 3])
    assert [task.value for task in tasks] == [1, None, 3]
    assert [type(task.error) for task in tasks] == [type(None), KeyError, type(None)]


def test_no_calls():
    assert run_concurrently([]) == []


def test_one_call_at_a_time_until_it_waits(rounds):
    X, y = data()
    said = []

    def fit(k):
        said.append(f"{k} begins")
        sae(max_iter=1, random_state=k).fit(X, y)
        said.append(f"{k} goes on")
        sae(max_iter=1, random_state=k + 10).fit(X, y)

    run_concurrently([partial(fit, k) for k in range(3)])
    assert said == [f"{k} {what}" for what in ("begins", "goes on") for k in range(3)]
    assert rounds == [3, 3]


def test_an_error_of_one_leaves_the_others(rounds):
    X, y = data()
    estimators = [sae(), sae(n_components=0), sae(random_state=1)]
    tasks = run_concurrently([partial(e.fit, X, y) for e in estimators])
    assert "n_components" in str(tasks[1].error)
    assert not vars(estimators[1]).keys() - estimators[1].get_params().keys()
    assert rounds == [2]
    assert_same_fit(sae(random_state=1).fit(X, y), estimators[2])


def test_together_within_together_is_one_round(rounds):
    X, y = data()

    def pair(k):
        pairs = [sae(random_state=2 * k), sae(random_state=2 * k + 1)]
        run_concurrently([partial(e.fit, X, y) for e in pairs])
        return pairs

    tasks = run_concurrently([partial(pair, k) for k in range(2)])
    assert rounds == [4]
    for k, estimator in enumerate([e for task in tasks for e in task.value]):
        assert_same_fit(sae(random_state=k).fit(X, y), estimator)


def test_settings_reach_the_calls_and_stay_as_they_were():
    filters, n_threads = list(warnings.filters), torch.get_num_threads()
    with sklearn.config_context(transform_output="pandas"):
        (task,) = run_concurrently([lambda: sae(max_iter=1).fit_transform(data()[0])])
    assert isinstance(task.value, pd.DataFrame)
    assert warnings.filters == filters
    assert torch.get_num_threads() == n_threads
    assert _concurrent._LOCAL.__dict__ == {}


def test_the_global_generator_of_torch_stays_as_it_was():
    before = torch.get_rng_state()
    run_concurrently([partial(sae(dropout=0.1, random_state=k).fit, *data()) for k in range(2)])
    assert_array_equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupt_ends_all_and_leaves_nothing_half_fitted(monkeypatch, error):
    def interrupt(jobs, working_memory):
        raise error

    monkeypatch.setattr(_concurrent, "train_vectorized", interrupt)
    n_threads = threading.active_count()
    estimators = [sae(random_state=k) for k in range(3)]
    with pytest.raises(error):
        run_concurrently([partial(e.fit, *data()) for e in estimators])
    assert threading.active_count() == n_threads
    for estimator in estimators:
        assert not vars(estimator).keys() - estimator.get_params().keys()


def test_a_fit_inside_of_a_block_does_not_wait(rounds):
    """It is made while torch's generators are held, which the next fit needs."""

    class Pretrained(Block):
        def make_encoder(self, layout):
            SupervisedAutoencoder(2, max_iter=1).fit(np.eye(8))
            return nn.Linear(layout.n_values, 2), 2

        def make_decoder(self, layout, n_inputs):
            return nn.Linear(n_inputs, layout.n_values)

    X, y = data()
    blocks = [("own", Pretrained(), [0, 1])]
    tasks = run_concurrently(
        [partial(sae(blocks=blocks, random_state=k).fit, X, y) for k in range(2)]
    )
    assert [task.error for task in tasks] == [None, None]
    assert rounds == [2]


def test_filters_of_warnings_stay_with_their_call():
    X, y = data()

    def strict():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sae(max_iter=1).fit(X, y)
            with pytest.raises(UserWarning):
                warnings.warn("mine", UserWarning, stacklevel=1)

    def lenient():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sae(max_iter=1, random_state=1).fit(X, y)
            warnings.warn("mine", UserWarning, stacklevel=1)

    tasks = run_concurrently([strict, lenient, strict])
    assert [task.error for task in tasks] == [None] * 3


def test_what_a_call_records_are_its_own_warnings():
    X, y = data()

    def record(k):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            sae(max_iter=1, random_state=k).fit(X, y)
            warnings.warn(f"of {k}", UserWarning, stacklevel=1)
        return [str(one.message) for one in caught]

    tasks = run_concurrently([partial(record, k) for k in range(3)])
    assert [task.value for task in tasks] == [["of 0"], ["of 1"], ["of 2"]]


def test_filters_come_back_where_calls_are_interrupted(monkeypatch):
    def interrupt(jobs, working_memory):
        raise KeyboardInterrupt

    def strict(k):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sae(random_state=k).fit(*data())

    monkeypatch.setattr(_concurrent, "train_vectorized", interrupt)
    filters, before = warnings.filters, list(warnings.filters)
    with pytest.raises(KeyboardInterrupt):
        run_concurrently([partial(strict, k) for k in range(3)])
    assert warnings.filters is filters
    assert filters == before


def test_memory_bounds_the_fits_under_way(rounds):
    run_concurrently([partial(sae(random_state=k).fit, *data()) for k in range(5)], 1e-6)
    assert rounds == [1, 1, 1, 1, 1]


def test_fits_under_way_end_before_others_begin(monkeypatch):
    """Else there were more and more of them, with their tables, where memory is short."""
    monkeypatch.setattr(_concurrent, "_MOST_TASKS", 2)
    X, y = data(20)
    under_way, most = set(), []

    def fit(k):
        under_way.add(k)
        most.append(len(under_way))
        for seed in range(2):
            sae(max_iter=1, random_state=seed).fit(X, y)
        under_way.remove(k)

    run_concurrently([partial(fit, k) for k in range(5)])
    assert len(most) == 5
    assert max(most) == 2


def test_number_of_fits_under_way_is_bounded(rounds, monkeypatch):
    monkeypatch.setattr(_concurrent, "_MOST_TASKS", 2)
    run_concurrently([partial(sae(random_state=k).fit, *data()) for k in range(5)])
    assert rounds == [2, 2, 1]


def test_tables_are_kept_no_longer_than_their_networks():
    shared, gone = SharedBatches(), []
    for k in range(3):
        X, y = data(100 + k)
        _, job, _ = sae(random_state=k)._prepare(
            X, y, None, target=sae()._make_target(y), resume=False, incremental=False
        )
        assert shared.add(job) == job.train.rows.n_bytes
        gone.append(weakref.ref(job.train.rows))
        del job
    gc.collect()
    assert [ref() for ref in gone] == [None] * 3


def test_one_net_on_its_own_is_trained_here(rounds):
    sae().fit(*data())
    assert rounds == []
    train([])
