"""Searches on a cluster of dask: two processes on this machine stand for two machines."""

import os
from pathlib import Path

import joblib
import pytest
import torch
from cases.cluster import Scorer
from numpy.testing import assert_allclose
from sklearn.datasets import make_regression
from sklearn.model_selection import GridSearchCV, KFold

from sknestedae import SupervisedAutoencoder
from sknestedae.model_selection import BatchedGridSearchCV

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

SEARCHES = pytest.mark.parametrize("search_class", [GridSearchCV, BatchedGridSearchCV])
N_WORKERS = 2
GRID = {"alpha": [0.001, 0.01, 0.1, 1.0], "learning_rate_init": [0.01, 0.02]}
X, Y = make_regression(300, 6, noise=1.0, random_state=0)
FOLDS = list(KFold(3).split(X))
N_FITS = 8 * len(FOLDS)


def search(search_class, scoring=None):
    sae = SupervisedAutoencoder(2, predictor="network", max_iter=5, random_state=0)
    params = {"cv": FOLDS, "scoring": scoring, "refit": False, "error_score": "raise"}
    return search_class(sae, GRID, **params).fit(X, Y)


def assert_same_scores(a, b):
    assert a.cv_results_["params"] == b.cv_results_["params"]
    for k in range(len(FOLDS)):
        name = f"split{k}_test_score"
        assert_allclose(a.cv_results_[name], b.cv_results_[name], rtol=1e-6)


@pytest.fixture(scope="module")
def expected():
    return search(GridSearchCV)


@pytest.fixture(scope="module")
def cluster():
    # A worker takes the number of threads from the environment, if it is there. Without it, the
    # active memory manager would leave one copy of what is on all workers.
    with (
        pytest.MonkeyPatch.context() as patch,
        dask.config.set({"distributed.scheduler.active-memory-manager.start": False}),
    ):
        patch.delenv("OMP_NUM_THREADS", raising=False)
        with distributed.LocalCluster(
            n_workers=N_WORKERS, threads_per_worker=1, dashboard_address=":0"
        ) as cluster:
            yield cluster


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster) as client:
        client.wait_for_workers(N_WORKERS, timeout=60)  # one may have been killed
        yield client


@SEARCHES
def test_a_cluster_gives_the_same_scores(client, expected, search_class):
    with joblib.parallel_config("dask"):
        found = search(search_class)
    assert_same_scores(found, expected)


def test_each_worker_gets_one_part(client, expected, tmp_path):
    scorer = Scorer(tmp_path)
    with (
        joblib.parallel_config("dask"),
        distributed.get_task_stream(client) as stream,
    ):
        found = search(BatchedGridSearchCV, scorer)
    assert_same_scores(found, expected)
    assert len(stream.data) == N_WORKERS
    assert {task["worker"] for task in stream.data} == set(client.scheduler_info()["workers"])
    assert scorer.n_scores() == [N_FITS // N_WORKERS] * N_WORKERS


def test_workers_do_not_fight_for_the_processors(client):
    """Where the environment says nothing, dask starts its workers with OMP_NUM_THREADS=1."""
    workers = list(client.scheduler_info()["workers"])
    threads = [
        client.submit(torch.get_num_threads, workers=[worker], pure=False) for worker in workers
    ]
    assert client.gather(threads) == [1] * N_WORKERS
    assert set(client.run(torch.get_num_threads).values()) == {1}


def test_a_search_survives_the_death_of_a_worker(client, expected, tmp_path):
    """A part has its rows with it, so that another worker can do it."""
    pids = set(client.run(os.getpid).values())
    scorer = Scorer(tmp_path, kills=True)
    with joblib.parallel_config("dask"):
        found = search(BatchedGridSearchCV, scorer)
    assert Path(tmp_path, "fired").exists()
    client.wait_for_workers(N_WORKERS, timeout=60)
    assert len(pids & set(client.run(os.getpid).values())) == N_WORKERS - 1
    assert_same_scores(found, expected)
