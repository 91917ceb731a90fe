"""Vectorized training: the choice of networks that are trained in one stack, or alone.

A small network spends nearly all of its time on the costs of a step that do not depend on its
size. Networks of one shape share these costs: their parameters are stacked along a first
dimension, and one step of the stack is a step of each.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import replace

import joblib
import numpy as np
import torch
from sklearn import get_config
from torch import Tensor, nn

from .._ambient import isolated
from .._layers._bounds import Bounded
from .._networks._autoencoder import AutoencoderModule
from .._threads import is_worth_threads, one_torch_thread
from ._job import TrainingJob
from ._vectorized_training import VectorizedTraining

_LOG = logging.getLogger("sknestedae")

# Layers' units in a batch of more bytes take longer to compute than a step takes anyway, and fit
# into the cache one network at a time: nothing is gained by training such networks at once.
_MANY_BYTES = 2 << 20

# With more networks than this in a stack, a step of each takes no less time, but more memory.
_MOST_NETWORKS = 128

# Copies of a network's parameters that training keeps: themselves, gradients, steps, two moments,
# those of the best epoch.
_N_COPIES = 6


@isolated
def train_vectorized(jobs: Sequence[TrainingJob], working_memory: float | None = None) -> None:
    """Train nets, those of one shape in a stack; each ends as if it had been trained alone.

    Networks that cannot be stacked are trained alone, with a reason in the log "sknestedae". An
    error ends up in its job.

    Parameters
    ----------
    jobs : sequence of TrainingJob
    working_memory : float, optional
        Bound of the memory that networks trained at once take, beside their data, in MiB. By
        default that of scikit-learn's configuration.
    """
    groups, alone = _groups_of_one_shape(jobs)
    for job in alone:
        _run_alone(job)
    for group in groups:
        _train_group(group, working_memory)


def _groups_of_one_shape(
    jobs: Sequence[TrainingJob],
) -> tuple[list[list[TrainingJob]], list[TrainingJob]]:
    """Return groups of nets that can be stacked, and the nets that are trained alone."""
    groups: dict[str, list[TrainingJob]] = {}
    alone = []
    for job in jobs:
        reason = _why_alone(job)
        if reason is None:
            try:
                groups.setdefault(_shape_key(job), []).append(job)
            except Exception as error:  # a user's settings may be anything
                reason = f"its settings cannot be compared with others ({error})"
        if reason is not None:
            _LOG.info("A network is trained alone: %s.", reason)
            alone.append(job)
    return list(groups.values()), alone


def _train_group(group: Sequence[TrainingJob], working_memory: float | None) -> None:
    """Train nets of one shape, equal ones once, in as many stacks as the memory asks for."""
    same: dict[str, list[TrainingJob]] = {}
    for job in group:
        same.setdefault(_content_key(job), []).append(job)
    distinct = [jobs[0] for jobs in same.values()]
    n_most = _how_many(distinct[0], working_memory)
    n_parts = -(-len(distinct) // n_most)
    for k in range(n_parts):
        _train_part(distinct[k::n_parts])
    for first, *others in same.values():
        for job in others:
            _copy_result(first, job)


def _train_part(jobs: Sequence[TrainingJob]) -> None:
    """Train nets of one shape in a stack; where that fails, each alone."""
    if len(jobs) > 1:
        stack = None
        try:
            stack = VectorizedTraining(jobs)
            net = jobs[0].net
            is_large = is_worth_threads(net.module_, net.batch_size, len(jobs))
            with one_torch_thread(not is_large):
                stack.probe()
                stack.train()
            return
        except Exception as error:  # a user's module may do anything
            jobs = jobs if stack is None else stack.jobs  # those that have not ended yet
            _LOG.info("%d networks are trained alone: %s", len(jobs), error)
    for job in jobs:
        _run_alone(job)


def _run_alone(job: TrainingJob) -> None:
    """Train one net on its own, and keep its error."""
    try:
        job.run()
    except Exception as error:
        job.error = error


def _why_alone(job: TrainingJob) -> str | None:
    """Return the reason why a net cannot be stacked; None if it can."""
    if job.net.foreign_callbacks:
        return f"it has the callback {type(job.net.foreign_callbacks[0]).__name__}"
    # those of the package's own modules are stacked
    buffers = [
        name
        for part in job.net.module_.modules()
        if not isinstance(part, AutoencoderModule | Bounded)
        for name, _ in part.named_buffers(recurse=False)
    ]
    if buffers:
        return f"its module has the buffer {buffers[0]!r}"
    if job.train.rows.ragged:
        return "its rows have several lengths"
    if not all(parameter.requires_grad for parameter in job.net.module_.parameters()):
        return "some of its parameters are frozen"
    if job.net.optimizer_.state:
        return "it goes on with the moments of its optimizer"
    return None


def _shape_key(job: TrainingJob) -> str:
    """Return a hash of the settings that nets in a stack have in common."""
    net, objective = job.net, job.net.criterion_
    settings = {**job.architecture, "dropout": job.architecture["dropout"] > 0}
    rest = [
        str(next(net.module_.parameters()).dtype),
        str(net.device),
        net.batch_size,
        [replace(term, weight=0.0) for term in objective.terms],  # weights may differ
        objective.groups,
        net.iterator_train__shuffle,
        job.valid is None,
    ]
    return joblib.hash([settings, rest])


def _content_key(job: TrainingJob) -> str:
    """Return a hash of all that decides the training of a net of a shape."""
    net, callbacks = job.net, [vars(callback).copy() for _, callback in job.net.callbacks_]
    objective = net.criterion_
    indices = [
        None if subset is None or subset.index is None else subset.index.numpy()
        for subset in (job.train, job.valid)
    ]
    parts = [
        id(job.train.rows),
        indices,
        [parameter.detach().cpu().numpy() for parameter in net.module_.parameters()],
        (net.seed, net.lr, job.max_iter, len(net.history), net.warm_up),
        job.architecture["dropout"],
        objective.weights,
        [objective.l1, objective.alpha],
        callbacks,
    ]
    return joblib.hash(parts)


def _copy_result(source: TrainingJob, job: TrainingJob) -> None:
    """Copy the parameters, moments and history of an equal net."""
    job.error = source.error
    job.net.module_.load_state_dict(source.net.module_.state_dict())
    job.net.module_.eval()
    job.net.optimizer_.load_state_dict(source.net.optimizer_.state_dict())
    job.net.history = copy.deepcopy(source.net.history)
    for (_, callback), (_, trained) in zip(job.net.callbacks_, source.net.callbacks_, strict=True):
        vars(callback).update(vars(trained))


def bytes_per_network(job: TrainingJob) -> int:
    """Estimate the memory that a network takes in a stack, beside its data."""
    n_parameters = sum(parameter.numel() for parameter in job.net.module_.parameters())
    itemsize = next(job.net.module_.parameters()).element_size()
    return (_N_COPIES * n_parameters + 4 * _n_activations(job)) * itemsize


def _n_activations(job: TrainingJob) -> int:
    """Count the inputs and outputs of all layers with weights, for the rows of a batch."""
    count = 0

    def add(layer: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        nonlocal count
        count += given[0].numel() + made.numel()

    module = job.net.module_
    layers = [m for m in module.modules() if any(True for _ in m.parameters(recurse=False))]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            module(job.train.rows[:1])
    finally:
        module.train(was_training)
        for hook in hooks:
            hook.remove()
    return job.net.batch_size * count


def _how_many(job: TrainingJob, working_memory: float | None) -> int:
    """Return the number of networks of a shape that are trained at once."""
    itemsize = next(job.net.module_.parameters()).element_size()
    if _n_activations(job) * itemsize > _MANY_BYTES:
        _LOG.info(
            "Networks are trained one by one: a batch of %d rows is large.", job.net.batch_size
        )
        return 1
    if working_memory is None:
        working_memory = get_config()["working_memory"]
    return int(np.clip(working_memory * 2**20 // bytes_per_network(job), 1, _MOST_NETWORKS))
