"""One thread for linear algebra of small matrices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    """Give access to the libraries of NumPy and SciPy, which are loaded by now."""
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
