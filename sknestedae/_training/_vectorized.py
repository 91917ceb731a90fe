"""Many networks of one shape, trained at once.

A small network spends nearly all of its time on what a step costs whatever its size. Networks of
one shape share these costs: their parameters are stacked along a first dimension, and one step of
the stack is a step of each. Modules, losses, rules of an epoch and orders of rows are those of a
single fit, so that a network ends where it would have ended alone.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import joblib
import numpy as np
import torch
from sklearn import get_config
from torch import Tensor, nn

from .._ambient import isolated
from .._layers._device import derive_seed, forked_rng, seed_generators
from .._networks._autoencoder import draws_from_torch
from .._networks._losses import add_penalty_gradients, l1_penalty, l2_penalty
from .._networks._stacked import StackedDropout, stack_modules, take_networks
from ._job import TrainingJob
from ._schedules import BestEpochs, LearningRates, epoch_means
from ._state import set_state
from ._vectorized_batches import RowOrders, StackedBatches, gather

_LOG = logging.getLogger("sknestedae")


# Entries of a chunk of batches, gathered together from the rows of all networks.
_CHUNK_ENTRIES = 1 << 20


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
    """Train nets, those of one shape at once; then each is as if it had been trained alone.

    What cannot be stacked is trained alone, with a reason in the log "sknestedae". An error ends
    up in its job.

    Parameters
    ----------
    jobs : sequence of TrainingJob
    working_memory : float, optional
        Bound of the memory that networks trained at once take, beside their data, in MiB. By
        default that of scikit-learn's configuration.
    """
    groups: dict[str, list[TrainingJob]] = {}
    for job in jobs:
        reason = _why_alone(job)
        if reason is None:
            try:
                groups.setdefault(_shape_key(job), []).append(job)
            except Exception as error:  # a user's settings may be anything
                reason = f"its settings cannot be compared with others ({error})"
        if reason is not None:
            _LOG.info("A network is trained alone: %s.", reason)
            _run_alone(job)
    for group in groups.values():
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
    if len(jobs) > 1:
        stack = None
        try:
            stack = VectorizedTraining(jobs)
            stack.probe()
            stack.train()
            return
        except Exception as error:  # a user's module may do anything
            jobs = jobs if stack is None else stack.jobs  # those that have not ended yet
            _LOG.info("%d networks are trained alone: %s", len(jobs), error)
    for job in jobs:
        _run_alone(job)


def _run_alone(job: TrainingJob) -> None:
    try:
        job.run()
    except Exception as error:
        job.error = error


def _why_alone(job: TrainingJob) -> str | None:
    """Say why a net cannot be stacked, if so."""
    if job.net.foreign_callbacks:
        return f"it has the callback {type(job.net.foreign_callbacks[0]).__name__}"
    buffers = [name for name, _ in job.net.module_.named_buffers()]
    if buffers:
        return f"its module has the buffer {buffers[0]!r}"
    if not all(parameter.requires_grad for parameter in job.net.module_.parameters()):
        return "some of its parameters are frozen"
    if job.net.optimizer_.state:
        return "it goes on with the moments of its optimizer"
    return None


def _shape_key(job: TrainingJob) -> str:
    """Give what nets that can be stacked have in common."""
    net, objective = job.net, job.net.criterion_
    settings = {**job.architecture, "dropout": job.architecture["dropout"] > 0}
    rest = [
        str(next(net.module_.parameters()).dtype),
        str(net.device),
        net.batch_size,
        objective.target_layout,
        objective.reconstruction_loss,
        objective.prediction_loss,
        net.iterator_train__shuffle,
        job.valid is None,
    ]
    return joblib.hash([settings, rest])


def _content_key(job: TrainingJob) -> str:
    """Give all that decides how a net of a shape is trained."""
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
        (net.seed, net.lr, job.max_iter, len(net.history), job.architecture["dropout"]),
        [objective.reconstruction_weight, objective.prediction_weight],
        [objective.l1, objective.alpha],
        callbacks,
    ]
    return joblib.hash(parts)


def _copy_result(source: TrainingJob, job: TrainingJob) -> None:
    """Give a net what an equal one came to."""
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
    """Count the units of a network's layers, times the rows of a batch."""
    layers = [m for m in job.net.module_.modules() if isinstance(m, nn.Linear)]
    return job.net.batch_size * sum(layer.in_features + layer.out_features for layer in layers)


def _how_many(job: TrainingJob, working_memory: float | None) -> int:
    """Say how many networks of a shape are trained at once."""
    itemsize = next(job.net.module_.parameters()).element_size()
    if _n_activations(job) * itemsize > _MANY_BYTES:
        _LOG.info(
            "Networks are trained one by one: a batch of %d rows is large.", job.net.batch_size
        )
        return 1
    if working_memory is None:
        working_memory = get_config()["working_memory"]
    return int(np.clip(working_memory * 2**20 // bytes_per_network(job), 1, _MOST_NETWORKS))


def _agree(one: Tensor, other: Tensor) -> bool:
    """Tell whether two sums of errors are the same but for rounding."""
    tolerance = 1e4 * torch.finfo(one.dtype).eps
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)


# ---------------------------------------------------------------------------------------------
# Training


class VectorizedTraining:
    """Networks of one shape, with all that is theirs, in training.

    All take their steps together, but not their epochs: who has more rows has more steps in one.
    A network that has ended leaves the stack.

    Parameters
    ----------
    jobs : sequence of TrainingJob
    """

    def __init__(self, jobs: Sequence[TrainingJob]) -> None:
        self.jobs = list(jobs)
        first = jobs[0].net
        self.device = torch.device(first.device)
        self.module = stack_modules([job.net.module_ for job in jobs])
        self.parameters = list(self.module.parameters())
        self.kept = [parameter.detach().clone() for parameter in self.parameters]
        self.batch_size: int = first.batch_size
        self.objective = first.criterion_
        self.first_epochs = np.array([len(job.net.history) for job in jobs])
        self.max_iter = np.array([job.max_iter for job in jobs])
        self.orders = [
            RowOrders(
                job.train,
                job.net.seed,
                len(job.net.history),
                job.net.iterator_train__shuffle,
                self.batch_size,
            )
            for job in jobs
        ]
        self.n_batches = np.array([order.n_batches for order in self.orders])
        self._read_settings()
        self.history: list[list[dict[str, float]]] = [[] for _ in jobs]

    def _read_settings(self) -> None:
        """Gather each network's settings, and the rules of its epochs."""
        callbacks = [dict(job.net.callbacks_) for job in self.jobs]
        best = [own["_best_epoch"] for own in callbacks]
        patience = [math.inf if one.patience is None else one.patience for one in best]
        self.best_epochs = BestEpochs([one.tol for one in best], patience)
        rates = [own.get("_learning_rate") for own in callbacks]
        self.rates = LearningRates(
            ["constant" if rate is None else rate.schedule for rate in rates],
            [1 if rate is None else rate.max_iter for rate in rates],
            [0 if rate is None else rate.patience for rate in rates],
        )
        self.first_rates = np.array([job.net.lr for job in self.jobs])
        changes = {None if r is None else (r.schedule, r.max_iter) for r in rates}
        self.has_one_rate = (
            len(changes) == 1
            and (self.n_batches == self.n_batches[0]).all()  # epochs end together
            and (self.first_rates == self.first_rates[0]).all()
            and not any(r is not None and r.schedule == "plateau" for r in rates)
        )
        self.optimizer = self._make_optimizer()
        self.monitor = best[0].monitor
        objectives = [job.net.criterion_ for job in self.jobs]
        for job in self.jobs:
            job.net.totals_ = {
                name: job.net.criterion_.totals(subset)
                for name, subset in (("train", job.train), ("valid", job.valid))
                if subset is not None
            }
        self.totals = {
            kind: {
                name: np.array([getattr(job.net.totals_[kind], name) for job in self.jobs])
                for name in ("reconstruction", "prediction")
            }
            for kind in self.jobs[0].net.totals_
        }
        factors = [job.net.criterion_.factors(job.net.totals_["train"]) for job in self.jobs]
        self.factors = {name: np.array([own[name] for own in factors]) for name in factors[0]}
        self.weights = {
            name: np.array([getattr(o, f"{name}_weight") for o in objectives], dtype=float)
            for name in ("reconstruction", "prediction")
        }
        self.penalties = {
            "l1": np.array([o.l1 for o in objectives], dtype=float),
            "l2": np.array([o.alpha for o in objectives], dtype=float),
        }
        self._make_tensors()

    def _make_tensors(self) -> None:
        """Bring the settings that a step needs to the device."""
        like = self.parameters[0]

        def tensor(values: np.ndarray) -> Tensor:
            return torch.as_tensor(values, dtype=like.dtype, device=like.device)

        self._factors = {name: tensor(factor) for name, factor in self.factors.items()}
        self._strengths = [
            tensor(strength) if strength.any() else 0.0 for strength in self.penalties.values()
        ]
        self._sums: dict[str, Tensor] = {}
        self._set_rates()

    def _set_rates(self) -> None:
        """Give the optimizer the learning rates of the next steps."""
        rates = self.first_rates * self.rates.factor
        if self.has_one_rate:
            self.optimizer.param_groups[0]["lr"] = float(rates[-1])
            return
        like = self.parameters[0]
        tensor = torch.as_tensor(rates, dtype=like.dtype, device=like.device)
        self._rates = [tensor.view(-1, *[1] * (p.ndim - 1)) for p in self.parameters]

    def _make_optimizer(self) -> torch.optim.Adam:
        """Make an Adam; where rates differ, its parameters are the steps to take at a rate of 1.

        Adam takes one learning rate; so each network's own is applied to its step.
        """
        self.steps: list[Tensor] = list(self.parameters)
        if not self.has_one_rate:
            self.steps = [torch.zeros_like(parameter) for parameter in self.parameters]
        fused = self.device.type in ("cpu", "cuda")
        return torch.optim.Adam(self.steps, lr=1.0, fused=fused)

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
            terms = self.objective.data_terms(self.module(rows.values), rows)
            for k, job in enumerate(self.jobs):
                module = job.net.module_.eval()
                own = self.objective.data_terms(module(rows[k].values), rows[k])
                module.train()
                for name, term in terms.items():
                    if term.shape != (len(self.jobs),) or not _agree(term[k], own[name]):
                        raise ValueError(
                            "the stack of their modules does not give what each gives"
                        )
        first = self.jobs[0].net.module_
        if draws_from_torch(first, torch.device("cpu")):
            with forked_rng(self.device), torch.no_grad():
                before = torch.get_rng_state()
                first({name: values[0] for name, values in rows.values.items()})
                if not torch.equal(torch.get_rng_state(), before):
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
        self._seed_dropout(np.arange(len(self.jobs)), np.zeros(len(self.jobs), dtype=int))
        bar = _Bar(self.jobs)
        step = 0
        while self.jobs:
            batches = self._next_batches(step)
            for own in range(len(batches.is_full)):
                self._take_step(batches, own)
                step += 1
                ending = np.flatnonzero(step % self.n_batches == 0)
                if len(ending):
                    bar.update(len(ending))
                    if self._end_epoch(ending, step // self.n_batches[ending]):
                        break  # the batches are of networks that are no more
        bar.close()

    def _seed_dropout(self, networks: np.ndarray, epoch: np.ndarray) -> None:
        """Begin the masks of the epochs that follow."""
        seeds = [self.jobs[k].net.seed for k in networks]
        number = (self.first_epochs[networks] + epoch + 1).tolist()
        for k, layer in enumerate(self._dropouts):
            of_layer = [derive_seed(*both, k) for both in zip(seeds, number, strict=True)]
            layer.seed(networks, of_layer, self.n_batches[networks])

    def _next_batches(self, step: int) -> StackedBatches:
        """Gather batches of all networks for some steps."""
        tables = [job.train.rows for job in self.jobs]
        width = sum(tensor.shape[1] for tensor in tables[0].values.values())
        n_left = int((self.max_iter * self.n_batches).max()) - step
        n_most = _CHUNK_ENTRIES // (width * self.batch_size * len(self.jobs))
        n_steps = min(max(n_most, 1), n_left)
        index = np.empty((len(self.jobs), n_steps, self.batch_size), dtype=np.int64)
        generator = torch.Generator()
        for out, orders in zip(index, self.orders, strict=True):
            orders.fill(out, step, generator)
        index = np.ascontiguousarray(index.swapaxes(0, 1))
        n_rows = np.array([orders.n_rows for orders in self.orders])
        lengths = (index >= 0).sum(axis=2)  # (n_steps, n_networks)
        has_weights = any(table.weight is not None for table in tables)
        like = self.parameters[0]
        return StackedBatches(
            gather(tables, index),
            [not has_weights and bool((own == self.batch_size).all()) for own in lengths],
            torch.as_tensor(n_rows / lengths, dtype=like.dtype, device=like.device),
        )

    def _take_step(self, batches: StackedBatches, step: int) -> None:
        """Take a step of every network."""
        rows = batches[step]
        terms = self.objective.data_terms(self.module(rows.values), rows)
        parts = [
            torch.dot(term, batches.share[step] * self._factors[name])
            for name, term in terms.items()
        ]
        for parameter in self.parameters:
            parameter.grad = None
        sum(parts[1:], parts[0]).backward()
        for parameter in self.parameters:
            if parameter.grad is None:  # nothing depends on it
                parameter.grad = torch.zeros_like(parameter)
        add_penalty_gradients(self.module.weights, self.module.encoder_weights, *self._strengths)
        self._move()
        with torch.no_grad():
            for name, term in terms.items():
                if name in self._sums:
                    self._sums[name] += term
                else:
                    self._sums[name] = term.detach().double()

    def _move(self) -> None:
        """Change the parameters by what their gradients say."""
        if self.has_one_rate:
            self.optimizer.step()
            return
        for step, parameter in zip(self.steps, self.parameters, strict=True):
            step.grad = parameter.grad
        self.optimizer.step()
        with torch.no_grad():
            for step, parameter, rate in zip(
                self.steps, self.parameters, self._rates, strict=True
            ):
                parameter.addcmul_(step, rate)
                step.zero_()

    # -- epochs

    def _end_epoch(self, ending: np.ndarray, epoch: np.ndarray) -> bool:
        """Record and judge an epoch of some networks; tell whether some of them have ended.

        Parameters
        ----------
        ending : ndarray of int
            Those whose epoch it was.
        epoch : ndarray of int
            How many epochs of this fit they have behind them.
        """
        where = torch.from_numpy(ending).to(self.device)
        number = self.first_epochs[ending] + epoch
        row = {"epoch": number, "learning_rate": (self.first_rates * self.rates.factor)[ending]}
        row |= self._means("train", {name: s[where] for name, s in self._sums.items()}, ending)
        row |= {name: value[ending] for name, value in self._penalty_terms().items()}
        if "valid" in self.totals:
            sums = self._validate()
            row |= self._means("valid", {name: s[where] for name, s in sums.items()}, ending)
        for total in self._sums.values():
            total[where] = 0
        with np.errstate(invalid="ignore"):
            is_finite = np.isfinite(row["train_loss"] + row[self.monitor])
        is_finite &= self._are_finite()[ending]
        is_best, stops = self.best_epochs.judge(ending, number, row[self.monitor], is_finite)
        self._keep(ending[is_best])
        self.rates.step(ending, epoch, row[self.monitor])
        self._set_rates()
        names, values = list(row), np.column_stack([np.asarray(v, float) for v in row.values()])
        for k, own in zip(ending, values.tolist(), strict=True):
            self.history[k].append(dict(zip(names, own, strict=True)))
        self._seed_dropout(ending, epoch)
        has_ended = stops | (epoch >= self.max_iter[ending])
        if has_ended.any():
            self._leave(ending[has_ended])
        return bool(has_ended.any())

    def _means(
        self, kind: str, sums: Mapping[str, Tensor], ending: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Give the means of terms over an epoch, named as in the history."""
        means = epoch_means(
            {name: total.cpu().numpy() for name, total in sums.items()},
            {name: total[ending] for name, total in self.totals[kind].items()},
            {name: weight[ending] for name, weight in self.weights.items()},
        )
        return {f"{kind}_{name}": value for name, value in means.items()}

    def _penalty_terms(self) -> dict[str, np.ndarray]:
        """Give each network's penalties, of those that some network has."""
        functions = {
            "l1": (l1_penalty, self.module.encoder_weights),
            "l2": (l2_penalty, self.module.weights),
        }
        terms = {}
        for name, (penalty, weights) in functions.items():
            if self.penalties[name].any():
                with torch.no_grad():
                    values = torch.func.vmap(penalty)(weights).double().cpu().numpy()
                terms[name] = self.penalties[name] * values
        return terms

    def _validate(self) -> dict[str, Tensor]:
        """Sum up the terms over the rows that each network is monitored with."""
        subsets = [job.valid for job in self.jobs if job.valid is not None]  # all have one
        tables = [subset.rows for subset in subsets]
        n_most = max(map(len, subsets))
        index = np.full((len(subsets), n_most), -1, dtype=np.int64)
        for own, subset in zip(index, subsets, strict=True):
            own[: len(subset)] = np.arange(len(subset)) if subset.index is None else subset.index
        width = sum(tensor.shape[1] for tensor in tables[0].values.values())
        n_rows = max(_CHUNK_ENTRIES // (width * len(subsets)), 1)
        sums: dict[str, Tensor] = {}
        self.module.eval()
        with torch.no_grad():
            for start in range(0, n_most, n_rows):
                rows = gather(tables, np.ascontiguousarray(index[:, start : start + n_rows]))
                terms = self.objective.data_terms(self.module(rows.values), rows)
                for name, term in terms.items():
                    sums[name] = sums.get(name, 0) + term.double()
        self.module.train()
        return sums

    def _are_finite(self) -> np.ndarray:
        """Tell whose parameters are all finite."""
        with torch.no_grad():
            squares = [p.reshape(len(p), -1).square().sum(dim=1) for p in self.parameters]
            return torch.stack(squares).sum(dim=0).isfinite().cpu().numpy()

    def _keep(self, networks: np.ndarray) -> None:
        """Keep the parameters of some networks as their best ones."""
        where = torch.from_numpy(networks).to(self.device)
        with torch.no_grad():
            for kept, parameter in zip(self.kept, self.parameters, strict=True):
                if len(networks) == len(self.jobs):
                    kept.copy_(parameter)
                else:
                    kept[where] = parameter[where]

    # -- who has ended

    def _leave(self, ended: np.ndarray) -> None:
        """Give some networks back to their nets, and go on with the others."""
        for k in ended:
            self._give_back(k)
        left = np.setdiff1d(np.arange(len(self.jobs)), ended)
        for name in ("jobs", "orders", "history"):
            setattr(self, name, [getattr(self, name)[k] for k in left])
        if not self.jobs:
            return
        for name in ("first_epochs", "max_iter", "n_batches", "first_rates"):
            setattr(self, name, getattr(self, name)[left])
        for values in (self.weights, self.factors, self.penalties, *self.totals.values()):
            values.update({name: value[left] for name, value in values.items()})
        self.best_epochs.select(left)
        self.rates.select(left)
        for layer in self._dropouts:
            layer.select(left)
        sums, where = self._sums, torch.from_numpy(left).to(self.device)
        with torch.no_grad():
            for parameter in self.parameters:
                parameter.grad = None
                parameter.data = take_networks(parameter.data, where)
            self.kept = [take_networks(kept, where) for kept in self.kept]
        states = [self.optimizer.state[step] for step in self.steps]
        self.optimizer = self._make_optimizer()
        for step, state in zip(self.steps, states, strict=True):
            self.optimizer.state[step] = {
                name: take_networks(value, where) if value.ndim else value
                for name, value in state.items()
            }
        self._make_tensors()
        self._sums = {name: total[where] for name, total in sums.items()}

    def _give_back(self, k: int) -> None:
        """Put the parameters, moments and history of a network into its net."""
        net = self.jobs[k].net
        best = dict(net.callbacks_)["_best_epoch"]
        n_epochs = int(self.first_epochs[k]) + len(self.history[k])
        source = self.kept if best.conclude(self.best_epochs, k, n_epochs) else self.parameters
        named = [name for name, _ in net.module_.named_parameters()]
        module = {
            name: value[k].detach().cpu().numpy()
            for name, value in zip(named, source, strict=True)
        }
        moments = {
            f"{key}/{name}": (value[k] if value.ndim else value).cpu().numpy()
            for name, step in zip(named, self.steps, strict=True)
            for key, value in self.optimizer.state[step].items()
        }
        set_state(net, {"module": module, "optimizer": moments})
        penalties = {name: value[k] for name, value in self.penalties.items()}
        for own in self.history[k]:
            own["epoch"] = int(own["epoch"])
            for name in [name for name, strength in penalties.items() if not strength]:
                own.pop(name, None)
            net.history.append({"batches": [], **own})
        net.module_.eval()
        net.optimizer_.param_groups[0]["lr"] = float(self.first_rates[k] * self.rates.factor[k])

    @property
    def _dropouts(self) -> list[StackedDropout]:
        return [layer for layer in self.module.modules() if isinstance(layer, StackedDropout)]


class _Bar:
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
