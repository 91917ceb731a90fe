"""One thread for the training of small networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

# Products of numbers in the largest matrix product of a step, about a millisecond of one thread.
# With fewer, several threads save little, and on a shared machine they wait for each other, ten
# times longer than one of them works.
WORTH_THREADS = 2**22


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
