"""One thread for small matrices: of the linear algebra behind NumPy and SciPy, and of torch.

On a machine that other programs use, the threads of a small product wait for each other, many
times longer than one of them works.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from threadpoolctl import ThreadpoolController
from torch import nn

# Products of numbers in the largest matrix product of a step, about a millisecond of one thread.
# With fewer, several threads save little, and on a shared machine they wait for each other, ten
# times longer than one of them works.
WORTH_THREADS = 2**22


# ---------------------------------------------------------------------------------------------
# NumPy and SciPy


@cache
def _controller() -> ThreadpoolController:
    """Return access to the libraries of NumPy and SciPy, which are loaded by now."""
    return ThreadpoolController()


@contextmanager
def one_blas_thread(is_small: bool = True) -> Iterator[None]:
    """Let linear algebra (BLAS, LAPACK) of NumPy and SciPy run in one thread.

    Matrices of some hundred rows gain little from threads. Where other programs use the same
    cores, the threads wait for each other, which can take many times longer than the work.

    The number of threads is one for the whole process, so threadpoolctl lets a single thread of
    Python set it: in a fit in another thread, this may have no effect.

    Parameters
    ----------
    is_small : bool, default=True
        If False, nothing is changed.
    """
    if not is_small:
        yield
        return
    with _controller().limit(limits=1, user_api="blas"):
        yield


# ---------------------------------------------------------------------------------------------
# torch


def is_worth_threads(module: nn.Module, n_rows: int, n_networks: int = 1) -> bool:
    """Tell whether several threads train a network faster than one.

    Parameters
    ----------
    module : Module
    n_rows : int
        Rows of a batch.
    n_networks : int, default=1
        Networks of one shape that are trained at once.

    Returns
    -------
    bool
        True where another layer than a dense one has parameters: how often these are used is not
        known.
    """
    owners = [part for part in module.modules() if list(part.parameters(recurse=False))]
    if not all(type(part) is nn.Linear for part in owners):
        return True
    largest = max((weight.numel() for weight in module.parameters()), default=0)
    return n_networks * n_rows * largest >= WORTH_THREADS


@contextmanager
def one_torch_thread(is_wanted: bool = True) -> Iterator[None]:
    """Let torch compute in one thread, and have as many as before afterwards.

    Parameters
    ----------
    is_wanted : bool, default=True
        If False, nothing is changed.
    """
    n_threads = torch.get_num_threads()
    if not is_wanted or n_threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
