"""The training of a stack of networks: steps, epochs, and leaving it.

Modules, losses, rules of an epoch and orders of rows are those of a single fit, so that a network
ends where it would have ended alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._layers._dense import seed_streams
from .._layers._device import derive_seed, forked_rng, seed_generators
from .._networks._autoencoder import draws_from_torch
from .._networks._penalties import l1_penalty, l2_penalty
from .._networks._stacked import StackedStream, stack_modules
from ._data import CHUNK_ENTRIES
from ._job import TrainingJob
from ._schedules import epoch_means, warmth
from ._state import set_state
from ._vectorized_batches import BatchSampler, StackedBatches, gather, stack_batches
from ._vectorized_settings import (
    StackedSettings,
    best_epochs_of,
    learning_rates_of,
    share_one_rate,
)
from ._vectorized_steps import make_steps


class VectorizedTraining:
    """Train networks of one shape in one stack.

    All take their steps together, but not their epochs: a network of more rows has more steps in
    an epoch. A network whose training has ended leaves the stack.

    Parameters
    ----------
    jobs : sequence of TrainingJob

    Attributes
    ----------
    jobs : list of TrainingJob
        Of the networks that are still in training; so are all the others.
    module : torch.nn.Module
        The stack of their modules.
    steps : AutogradSteps or ClosedFormSteps
        Take them, and hold the parameters of each network's best epoch.
    objective : Objective
    settings : StackedSettings
    samplers : list of BatchSampler
    best_epochs : BestEpochs
    rates : LearningRates
    monitor : str
        Which loss best epochs are judged by.
    history : list of list of dict
        Each network's epochs of this fit.
    """

    def __init__(self, jobs: Sequence[TrainingJob]) -> None:
        self.jobs = list(jobs)
        first = jobs[0].net
        self.device = torch.device(first.device)
        self.objective = first.criterion_  # all have its terms; weights are in the settings
        self.module = stack_modules([job.net.module_ for job in jobs])
        self.samplers = [
            BatchSampler(
                job.train,
                job.net.seed,
                len(job.net.history),
                job.net.iterator_train__shuffle,
                first.batch_size,
            )
            for job in jobs
        ]
        self.settings = StackedSettings.of_jobs(jobs, [one.n_batches for one in self.samplers])
        callbacks = [dict(job.net.callbacks_) for job in jobs]
        self.monitor: str = callbacks[0]["_best_epoch"].monitor
        warm_up = self.settings.warm_up
        self.best_epochs = best_epochs_of([own["_best_epoch"] for own in callbacks], warm_up)
        schedules = [own.get("_learning_rate") for own in callbacks]
        self.rates = learning_rates_of(schedules, warm_up)
        has_one_rate = share_one_rate(self.settings, schedules)
        self.steps = make_steps(self.module, self.objective, len(jobs), has_one_rate)
        self.history: list[list[dict[str, float]]] = [[] for _ in jobs]
        self.steps.set_penalties(self.settings.penalties)
        self._warm_up()
        self._set_rates()

    def _warm_up(self) -> None:
        """Set the factors of the terms, of which some grow in the first epochs of each network."""
        epoch = np.array([len(own) for own in self.history])
        share = warmth(epoch, self.settings.warm_up)
        grow = {term.name for term in self.objective.terms if term.warms_up}
        self.steps.set_factors(
            {
                name: factor * share if name in grow else factor
                for name, factor in self.settings.factors.items()
            }
        )

    def _set_rates(self) -> None:
        """Set the learning rates of the next steps."""
        self.steps.set_rates(self.settings.learning_rate * self.rates.factor)

    def probe(self) -> None:
        """Compare the stack with each module on two rows.

        Raises
        ------
        ValueError
            If they do not agree: a module may hold more than parameters, or draw random numbers
            that a stack could not give to each network alone.
        """
        index = np.array([[0, len(job.train.rows) - 1] for job in self.jobs])
        rows = gather([job.train.rows for job in self.jobs], index)
        self.module.eval()
        with torch.no_grad():
            terms = self.objective.data_terms(self.module(rows), rows)
            for k, job in enumerate(self.jobs):
                module = job.net.module_.eval()
                own = self.objective.data_terms(module(rows[k]), rows[k])
                module.train()
                for name, term in terms.items():
                    if term.shape != (len(self.jobs),) or not _agree(term[k], own[name]):
                        raise ValueError(
                            "the stack of their modules does not give the outputs of each"
                        )
        first = self.jobs[0].net.module_
        if draws_from_torch(first, torch.device("cpu")):
            seed_streams(first, (0,))  # without a seed, our own layers would draw from it
            with forked_rng(self.device), torch.no_grad():
                before = torch.get_rng_state()
                first(rows[0])
                draws = not torch.equal(torch.get_rng_state(), before)
            seed_streams(first, None)
            if draws:
                raise ValueError("their modules draw from torch's generator")

    # -- steps

    def train(self) -> None:
        """Train until every network has ended."""
        if draws_from_torch(self.jobs[0].net.module_, self.device):
            with forked_rng(self.device):
                seed_generators(self.jobs[0].net.seed, self.device)
                self._train()
        else:
            self._train()

    def _train(self) -> None:
        self.module.train()
        self._seed_streams(np.arange(len(self.jobs)), np.zeros(len(self.jobs), dtype=int))
        bar = _ProgressBar(self.jobs)
        step = 0
        while self.jobs:
            batches = self.steps.prepare(self._next_batches(step))
            for own in range(len(batches)):
                self.steps.take(batches, own)
                step += 1
                ending = np.flatnonzero(step % self.settings.n_batches == 0)
                if len(ending):
                    bar.update(len(ending))
                    if self._end_epoch(ending, step // self.settings.n_batches[ending]):
                        break  # the batches are of networks that are no more
        bar.close()

    def _seed_streams(self, networks: np.ndarray, epoch: np.ndarray) -> None:
        """Begin the random numbers of the epochs that follow."""
        seeds = [self.jobs[k].net.seed for k in networks]
        number = (self.settings.first_epoch[networks] + epoch + 1).tolist()
        for k, layer in enumerate(self._streams):
            of_layer = [derive_seed(*both, k) for both in zip(seeds, number, strict=True)]
            layer.seed(networks, of_layer, self.settings.n_batches[networks])

    def _next_batches(self, step: int) -> StackedBatches:
        """Gather batches of all networks, for as many steps as make a chunk or are left."""
        tables = [job.train.rows for job in self.jobs]
        batch_size = self.jobs[0].net.batch_size
        width = sum(tensor.shape[1] for tensor in tables[0].values.values())
        n_left = int((self.settings.max_iter * self.settings.n_batches).max()) - step
        n_most = CHUNK_ENTRIES // (width * batch_size * len(self.jobs))
        n_steps = min(max(n_most, 1), n_left)
        return stack_batches(tables, self.samplers, step, n_steps)

    # -- epochs

    def _end_epoch(self, ending: np.ndarray, epoch: np.ndarray) -> bool:
        """Record and judge an epoch of some networks; return whether some of them have ended.

        Parameters
        ----------
        ending : ndarray of int
            Those whose epoch it was.
        epoch : ndarray of int
            How many epochs of this fit they have behind them.
        """
        number = self.settings.first_epoch[ending] + epoch
        rate = self.settings.learning_rate * self.rates.factor  # of the steps of this epoch
        row = {"epoch": number, "learning_rate": rate[ending]}
        row |= self._means("train", self.steps.take_sums(ending), ending)
        row |= {name: value[ending] for name, value in self._penalty_terms().items()}
        if "valid" in self.settings.totals:
            sums = self._validate()
            row |= self._means("valid", {name: s[ending] for name, s in sums.items()}, ending)
        with np.errstate(invalid="ignore"):
            is_finite = np.isfinite(row["train_loss"] + row[self.monitor])
        is_finite &= self.steps.are_finite()[ending]
        is_best, stops = self.best_epochs.judge(ending, number, row[self.monitor], is_finite)
        if is_best.any():
            self.steps.keep(ending[is_best])
        self.rates.step(ending, epoch, row[self.monitor])
        self._set_rates()
        names, values = list(row), np.column_stack([np.asarray(v, float) for v in row.values()])
        for k, own in zip(ending, values.tolist(), strict=True):
            self.history[k].append(dict(zip(names, own, strict=True)))
        self._seed_streams(ending, epoch)
        if self.settings.warm_up.any():
            self._warm_up()
        has_ended = stops | (epoch >= self.settings.max_iter[ending])
        if has_ended.any():
            self._leave(ending[has_ended])
        return bool(has_ended.any())

    def _means(
        self, kind: str, sums: Mapping[str, np.ndarray], ending: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the means of terms over an epoch, named as in the history."""
        means = epoch_means(
            sums,
            {name: total[ending] for name, total in self.settings.totals[kind].items()},
            {name: weight[ending] for name, weight in self.settings.weights.items()},
            self.objective.groups,
        )
        return {f"{kind}_{name}": value for name, value in means.items()}

    def _penalty_terms(self) -> dict[str, np.ndarray]:
        """Return each network's penalties, of those that some network has."""
        functions = {
            "l1": (l1_penalty, self.module.encoder_weights),
            "l2": (l2_penalty, self.module.weights),
        }
        terms = {}
        for name, (penalty, weights) in functions.items():
            strength = self.settings.penalties[name]
            if strength.any():
                with torch.no_grad():
                    values = torch.func.vmap(penalty)(weights).double().cpu().numpy()
                terms[name] = strength * values
        return terms

    def _validate(self) -> dict[str, np.ndarray]:
        """Sum up the terms over the rows that each network is monitored with."""
        subsets = [job.valid for job in self.jobs if job.valid is not None]  # all have one
        tables = [subset.rows for subset in subsets]
        n_most = max(map(len, subsets))
        index = np.full((len(subsets), n_most), -1, dtype=np.int64)
        for own, subset in zip(index, subsets, strict=True):
            own[: len(subset)] = np.arange(len(subset)) if subset.index is None else subset.index
        width = sum(tensor.shape[1] for tensor in tables[0].values.values())
        n_rows = max(CHUNK_ENTRIES // (width * len(subsets)), 1)  # of each network at once
        sums: dict[str, Tensor] = {}
        self.module.eval()
        with torch.no_grad():
            for start in range(0, n_most, n_rows):
                rows = gather(tables, np.ascontiguousarray(index[:, start : start + n_rows]))
                terms = self.objective.data_terms(self.module(rows), rows)
                for name, term in terms.items():
                    sums[name] = sums.get(name, 0) + term.double()
        self.module.train()
        return {name: total.cpu().numpy() for name, total in sums.items()}

    # -- networks that have ended

    def _leave(self, ended: np.ndarray) -> None:
        """Put some networks back into their nets, and go on with the others."""
        for k in ended:
            self._give_back(k)
        left = np.setdiff1d(np.arange(len(self.jobs)), ended)
        self.jobs = [self.jobs[k] for k in left]
        self.samplers = [self.samplers[k] for k in left]
        self.history = [self.history[k] for k in left]
        if not self.jobs:
            return
        self.settings = self.settings.take(left)
        self.best_epochs.select(left)
        self.rates.select(left)
        for layer in self._streams:
            layer.select(left)
        where = torch.from_numpy(left).to(self.device)
        for part in self.module.modules():
            for name, buffer in part.named_buffers(recurse=False):
                setattr(part, name, buffer[where])
        self.steps.select(where)
        self.steps.set_penalties(self.settings.penalties)
        self._warm_up()
        self._set_rates()

    def _give_back(self, k: int) -> None:
        """Put the parameters, moments and history of a network into its net."""
        net = self.jobs[k].net
        best = dict(net.callbacks_)["_best_epoch"]
        n_epochs = int(self.settings.first_epoch[k]) + len(self.history[k])
        is_kept = best.conclude(self.best_epochs, k, n_epochs)
        names = [name for name, _ in net.module_.named_parameters()]
        set_state(net, self.steps.state(k, is_kept, names))
        # a penalty is in the row of every network where some network has it
        absent = [name for name, value in self.settings.penalties.items() if not value[k]]
        for row in self.history[k]:
            row["epoch"] = int(row["epoch"])
            for name in absent:
                row.pop(name, None)
            net.history.append({"batches": [], **row})
        net.module_.eval()
        rate = self.settings.learning_rate[k] * self.rates.factor[k]
        net.optimizer_.param_groups[0]["lr"] = float(rate)

    @property
    def _streams(self) -> list[StackedStream]:
        return [layer for layer in self.module.modules() if isinstance(layer, StackedStream)]


class _ProgressBar:
    """A progress bar of the epochs of many networks, if one of them is to show its progress."""

    def __init__(self, jobs: Sequence[TrainingJob]) -> None:
        self._bar: Any = None
        if any("_progress" in dict(job.net.callbacks_) for job in jobs):
            from tqdm.auto import tqdm

            total = sum(job.max_iter for job in jobs)
            self._bar = tqdm(total=total, desc=f"{len(jobs)} networks", unit="epoch")

    def update(self, n_epochs: int) -> None:
        if self._bar is not None:
            self._bar.update(n_epochs)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _agree(one: Tensor, other: Tensor) -> bool:
    """Return whether two sums of errors are the same but for rounding."""
    tolerance = 1e4 * torch.finfo(one.dtype).eps
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)
