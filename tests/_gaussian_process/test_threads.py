"""Linear algebra of small matrices runs in one thread, and others get theirs back."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from sknestedae._gaussian_process import _process
from sknestedae._gaussian_process._process import GaussianProcess
from sknestedae._gaussian_process._threads import one_blas_thread
from sknestedae._training._concurrent import run_concurrently


def n_threads():
    return {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(2, "blas"):
        if n_threads() != {2}:
            pytest.skip("the linear algebra of this machine has one thread alone")
        yield


def test_there_is_one_thread_inside_and_as_many_as_before_outside():
    with one_blas_thread():
        assert n_threads() == {1}
        with one_blas_thread():
            assert n_threads() == {1}
        assert n_threads() == {1}
    assert n_threads() == {2}


def test_an_error_restores_the_threads():
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert n_threads() == {2}


def test_large_matrices_keep_their_threads():
    with one_blas_thread(is_small=False):
        assert n_threads() == {2}


FEW_AND_MANY = pytest.mark.parametrize(("worth", "expected"), [(6, 1), (5, 2)])


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


def test_fits_of_a_search_take_one_thread():
    """There the fits run in threads of their own, which are not those that set the number."""
    found = run_concurrently([n_threads, n_threads])
    assert [fit.value for fit in found] == [{1}, {1}]
    assert n_threads() == {2}
