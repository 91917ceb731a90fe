"""Concurrent fits, whose networks are trained by vectorized training.

Each fit runs in a thread of its own, but only one thread runs at a time, as coroutines do: a fit
goes on until it has a network to train, and waits. When all wait, their networks are trained at
once, and one after the other the fits go on. They are threads and no coroutines, as a fit may wait
anywhere below code of scikit-learn or of a user, which does not await anything.
"""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakValueDictionary

import torch
from sklearn import config_context, get_config

from .._ambient import let_go
from .._layers._device import holds_generators
from .._networks._batch import Batch
from .._notices import Notices, current
from .._threads import one_blas_thread
from ._job import TrainingJob
from ._vectorized import bytes_per_network, train_vectorized

# Number of fits under way at once, at most: vectorized training of more networks gains nothing.
_MOST_TASKS = 500

_LOCAL = threading.local()  # the task that a thread runs


def train(jobs: Sequence[TrainingJob]) -> None:
    """Train nets: at once, or together with the networks of concurrent fits."""
    task = getattr(_LOCAL, "task", None)
    if task is not None and not holds_generators():  # who holds them must not wait
        task.wait_for(jobs)
    elif len(jobs) == 1:
        jobs[0].run()
    else:
        train_vectorized(jobs)
    for job in jobs:
        if job.error is not None:
            raise job.error


class Cancelled(BaseException):
    """Error that ends a fit because all fits are to end.

    It is no Exception, so that scikit-learn's handling of failed fits lets it pass.
    """


class ConcurrentFit:
    """A call in a thread of its own, which runs only between ``resume`` and its next wait.

    Parameters
    ----------
    call : callable
        Without arguments.

    Attributes
    ----------
    jobs : sequence of TrainingJob
        Those that it waits for; empty at its end.
    value : object
        The result of the call.
    error : BaseException or None
        Raised by the call.
    """

    def __init__(self, call: Callable[[], Any]) -> None:
        self.jobs: Sequence[TrainingJob] = ()
        self.value: Any = None
        self.error: BaseException | None = None
        self._call: Callable[[], Any] | None = call
        self._config = get_config()
        self._noticed = current()  # by the call that this one is a part of
        self._may_go_on = threading.Semaphore(0)
        self._has_stopped = threading.Semaphore(0)
        self._is_cancelled = False
        self._thread: threading.Thread | None = None

    def resume(self) -> None:
        """Run the call until it waits for networks, or ends."""
        self.jobs = ()
        with warnings.catch_warnings():  # restores the caller's filters, as told in wait_for
            if self._thread is None:
                thread = threading.Thread(target=self._run, daemon=True)
                thread.start()
                self._thread = thread
            else:
                self._may_go_on.release()
            self._has_stopped.acquire()

    def wait_for(self, jobs: Sequence[TrainingJob]) -> None:
        """Wait, in the task's own thread, until its networks are trained."""
        self.jobs = jobs
        # Filters of warnings hold for the process, and a call may stop inside of a catch_warnings
        # of its own. Each side of the switch keeps what it had in one: here the call's filters are
        # kept and come back when it goes on; in resume, the caller's are and come back now. As
        # only one thread runs at a time, it does not matter that the two are not nested.
        # let_go: the calls that run meanwhile see the user's own settings of torch.
        with warnings.catch_warnings(), let_go():
            self._has_stopped.release()
            self._may_go_on.acquire()
        if self._is_cancelled:
            raise Cancelled

    def cancel(self) -> None:
        """End the call where it waits."""
        self._is_cancelled = True
        self._may_go_on.release()

    def join(self) -> None:
        """Wait until the thread has ended."""
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        _LOCAL.task = self
        torch.set_num_threads(1)  # else each thread of ours would have a team of its own
        try:
            assert self._call is not None
            with config_context(**self._config), Notices(self._noticed):
                self.value = self._call()
        except BaseException as error:
            self.error = error
        finally:
            self._call = None
            self._has_stopped.release()


def run_concurrently(
    calls: Sequence[Callable[[], Any]], working_memory: float | None = None
) -> list[ConcurrentFit]:
    """Run calls concurrently, with vectorized training of their networks.

    Parameters
    ----------
    calls : sequence of callable
        Without arguments.
    working_memory : float, optional
        Bound, in MiB, of the memory of networks and data that are in training at once; by default
        that of scikit-learn's configuration. One call always runs.

    Returns
    -------
    list of ConcurrentFit
        Each with the value of its call, or its error.
    """
    if working_memory is None:
        working_memory = get_config()["working_memory"]
    is_outermost = getattr(_LOCAL, "task", None) is None
    n_threads = torch.get_num_threads()
    tasks = [ConcurrentFit(call) for call in calls]
    shared = SharedBatches()
    waiting = deque(tasks)  # those that were under way come first
    with warnings.catch_warnings():  # calls that are cancelled leave theirs in any order
        try:
            while waiting:
                ready: list[ConcurrentFit] = []
                n_bytes = 0.0
                while waiting and n_bytes <= working_memory * 2**20 and len(ready) < _MOST_TASKS:
                    task = waiting.popleft()
                    with one_blas_thread():  # a task's own thread may not set it
                        task.resume()
                    if not task.jobs:
                        continue
                    ready.append(task)
                    if is_outermost:  # within another task, that one's round bounds the memory
                        n_bytes += sum(shared.add(job) for job in task.jobs)
                        n_bytes += sum(map(bytes_per_network, task.jobs))
                if ready:
                    train_all([job for task in ready for job in task.jobs], working_memory)
                waiting.extendleft(reversed(ready))
        finally:
            try:
                _end_all(tasks)
            finally:  # also where another Ctrl-C comes meanwhile
                torch.set_num_threads(n_threads)
    return tasks


def _end_all(tasks: Sequence[ConcurrentFit]) -> None:
    """End the calls that still wait, and wait for all threads."""
    for task in tasks:
        task.cancel()
    for task in tasks:  # all are told to end before any is waited for
        task.join()


def train_all(jobs: Sequence[TrainingJob], working_memory: float) -> None:
    """Train nets, or leave that to the fits around; errors stay in the jobs."""
    task = getattr(_LOCAL, "task", None)
    if task is not None:
        task.wait_for(jobs)
    else:
        train_vectorized(jobs, working_memory)


class SharedBatches:
    """Tables in training, each in memory once however many networks learn from it.

    Equal tables are found by a hash of their content, and are let go with the last job.
    """

    def __init__(self) -> None:
        self._tables: WeakValueDictionary[str, Batch] = WeakValueDictionary()

    def add(self, job: TrainingJob) -> int:
        """Share an equal table with a job, if there is one; return the bytes that it adds."""
        rows = job.train.rows
        key = rows.key()
        known = self._tables.setdefault(key, rows)
        if known is rows:
            return rows.n_bytes
        job.train.rows = known
        if job.valid is not None:
            job.valid.rows = known
        return 0
