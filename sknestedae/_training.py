"""The skorch net: loss terms by name, tensors in memory, and the epoch that is kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from skorch.history import History
from torch import Tensor, nn

from ._callbacks import check_monitored
from ._epochs import BestEpochs, LearningRates, epoch_means
from ._losses import add_penalty_gradients, block_error, l1_penalty, l2_penalty
from ._modules import AutoencoderModule, Outputs, draws_from_torch, seed_dropout
from ._table import Encoded, Layout
from ._torch import epoch_seed, forked_rng, seed_generators, to_array, to_tensor

# Entries gathered together from shuffled data: large enough that the cost of the call is spread
# over many small batches, small enough that the copy is nothing beside a large table.
_CHUNK_ENTRIES = 1 << 20
# Rows that pass through the network at once where nothing is learnt from them.
_CHUNK_ROWS = 16_384


# ---------------------------------------------------------------------------------------------
# Data


@dataclass
class Rows:
    """Rows of encoded data as tensors: a whole data set, or a batch of it.

    Parameters
    ----------
    values : dict of str to Tensor of shape (n_rows, layout.n_values)
        For each block.
    measured : dict of str to Tensor of bool, shape (n_rows, layout.n_columns)
        For each block in which an entry is missing.
    target : Tensor of shape (n_rows, n_outputs) or None
    labelled : Tensor of bool, shape (n_rows, 1) or (n_rows, n_outputs), or None
        Which targets are known; None if all are.
    weight : Tensor of shape (n_rows, 1) or None
        Sample weights; None if all are 1.
    """

    values: dict[str, Tensor]
    measured: dict[str, Tensor] = field(default_factory=dict)
    target: Tensor | None = None
    labelled: Tensor | None = None
    weight: Tensor | None = None

    @classmethod
    def from_arrays(
        cls,
        blocks: Mapping[str, Encoded],
        target: Encoded | None,
        sample_weight: np.ndarray | None,
        device: torch.device,
    ) -> Rows:
        """Share arrays with the CPU's tensors, or copy them to another device."""
        dtype = next(iter(blocks.values())).values.dtype

        def optional(array: np.ndarray | None) -> Tensor | None:
            return None if array is None else to_tensor(array, device)

        with np.errstate(over="ignore"):  # infinite in float32: training tells that it diverges
            values = None if target is None else target.values.astype(dtype)
        weight = None if sample_weight is None else sample_weight.astype(dtype)[:, None]
        return cls(
            values={name: to_tensor(block.values, device) for name, block in blocks.items()},
            measured={
                name: to_tensor(block.measured, device)
                for name, block in blocks.items()
                if block.measured is not None
            },
            target=optional(values),
            labelled=None if target is None else optional(target.measured),
            weight=optional(weight),
        )

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def __getitem__(self, rows: Any) -> Rows:
        """Give the rows of a slice (a view) or of an index tensor (a copy)."""

        def take(tensor: Tensor | None) -> Any:
            return None if tensor is None else tensor[rows]

        return Rows(
            {name: tensor[rows] for name, tensor in self.values.items()},
            {name: tensor[rows] for name, tensor in self.measured.items()},
            take(self.target),
            take(self.labelled),
            take(self.weight),
        )

    @property
    def device(self) -> torch.device:
        """The device that the tensors are on."""
        return next(iter(self.values.values())).device

    def tensors(self) -> list[Tensor | None]:
        """Give all tensors in a fixed order."""
        measured = [self.measured.get(name) for name in self.values]
        return [*self.values.values(), *measured, self.target, self.labelled, self.weight]

    @property
    def n_bytes(self) -> int:
        """Size of all tensors together."""
        return sum(t.nbytes for t in self.tensors() if t is not None)

    def key(self) -> str:
        """Give a hash of the content."""
        return joblib.hash([None if t is None else t.cpu().numpy() for t in self.tensors()])

    def entry_weight(self, known: Tensor | None) -> Tensor | None:
        """Combine sample weights with what is known; None if every entry counts 1."""
        if known is None:
            return self.weight
        if self.weight is None:
            return known.to(next(iter(self.values.values())).dtype)
        return known * self.weight


@dataclass
class Subset(torch.utils.data.Dataset):
    """Some rows of a data set, without a copy of them.

    Parameters
    ----------
    rows : Rows
    index : Tensor of int64 or None
        Which rows, on the CPU; None for all of them.
    """

    rows: Rows
    index: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows) if self.index is None else len(self.index)

    def __getitem__(self, i: int) -> Rows:
        return self.rows[[i if self.index is None else int(self.index[i])]]


class TensorIterator:
    """Slice batches from tensors in memory; skorch takes it in the place of a DataLoader.

    Shuffled rows are gathered many batches at a time, and batches are views of that.

    Parameters
    ----------
    dataset : Subset
    batch_size : int
    shuffle : bool, default=False
    generator : torch.Generator, optional
        Of the order, which the net seeds for each epoch; by default torch's own.
    """

    def __init__(
        self,
        dataset: Subset,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator

    def __len__(self) -> int:
        return math.ceil(len(self.dataset) / self.batch_size)

    def __iter__(self) -> Iterator[Rows]:
        rows, order, n_rows = self.dataset.rows, self.dataset.index, len(self.dataset)
        if self.shuffle:
            permutation = torch.randperm(n_rows, generator=self.generator)
            order = permutation if order is None else order[permutation]
        if order is None:
            yield from (rows[i : i + self.batch_size] for i in range(0, n_rows, self.batch_size))
            return
        width = sum(tensor[0].numel() for tensor in rows.values.values())
        step = max(_CHUNK_ENTRIES // (width * self.batch_size), 1) * self.batch_size
        for start in range(0, n_rows, step):
            chunk = rows[order[start : start + step].to(rows.device)]
            for i in range(0, len(chunk), self.batch_size):
                yield chunk[i : i + self.batch_size]


# ---------------------------------------------------------------------------------------------
# Objective


@dataclass
class Totals:
    """Total weights of a data set, which its sums of errors are divided by."""

    rows: int
    weight: float
    reconstruction: float
    prediction: float


class Objective(nn.Module):
    """The loss terms, by name, and their sum.

    ``reconstruction`` and ``prediction`` are means over measured entries, weighted by samples.
    ``l1`` and ``l2`` are penalties on weights.

    Parameters
    ----------
    layouts : mapping of str to Layout
        Each block's layout.
    target_layout : Layout or None
        Of the target; None without one.
    reconstruction_loss, prediction_loss : str
        Error of a number; a category's is the cross-entropy.
    reconstruction_weight, prediction_weight, l1, alpha : float
        What the terms are multiplied with.
    """

    def __init__(
        self,
        *,
        layouts: Mapping[str, Layout],
        target_layout: Layout | None,
        reconstruction_loss: str,
        prediction_loss: str,
        reconstruction_weight: float,
        prediction_weight: float,
        l1: float,
        alpha: float,
    ) -> None:
        super().__init__()
        self.layouts = dict(layouts)
        self.target_layout = target_layout
        self.reconstruction_loss = reconstruction_loss
        self.prediction_loss = prediction_loss
        self.reconstruction_weight = reconstruction_weight
        self.prediction_weight = prediction_weight
        self.l1 = l1
        self.alpha = alpha

    def totals(self, dataset: Subset) -> Totals:
        """Sum up the weights of all measured entries of a data set."""
        totals = Totals(len(dataset), 0.0, 0.0, 0.0)
        every = dataset.rows
        has_weights = every.weight is not None or every.labelled is not None or every.measured
        step = _CHUNK_ROWS if has_weights else max(len(dataset), 1)
        for start in range(0, len(dataset), step):
            index: Any = slice(start, start + step)
            if dataset.index is not None:
                index = dataset.index[index].to(every.device)
            count = min(step, len(dataset) - start)
            weight = None if every.weight is None else every.weight[index]
            totals.weight += _total(weight, None, count, 1)
            for name, layout in self.layouts.items():
                known = every.measured[name][index] if name in every.measured else None
                totals.reconstruction += _total(weight, known, count, layout.n_columns)
            if self.target_layout is not None:
                known = None if every.labelled is None else every.labelled[index]
                totals.prediction += _total(weight, known, count, self.target_layout.n_columns)
        return totals

    def data_terms(self, outputs: Outputs, rows: Rows) -> dict[str, Tensor]:
        """Sum the errors of a batch, by term."""
        parts = [
            block_error(
                outputs.blocks[name],
                rows.values[name],
                layout,
                self.reconstruction_loss,
                rows.entry_weight(rows.measured.get(name)),
            )
            for name, layout in self.layouts.items()
        ]
        terms = {"reconstruction": parts[0] if len(parts) == 1 else torch.stack(parts).sum(dim=0)}
        layout, prediction, target = self.target_layout, outputs.prediction, rows.target
        if layout is not None and prediction is not None and target is not None:
            terms["prediction"] = block_error(
                prediction,
                target,
                layout,
                self.prediction_loss,
                rows.entry_weight(rows.labelled),
            )
        return terms

    def add_penalty_gradients(self, module: AutoencoderModule) -> None:
        """Add the penalties' gradients to those of the data terms."""
        add_penalty_gradients(module.weights, module.encoder_weights, self.l1, self.alpha)

    def penalty_terms(self, module: AutoencoderModule) -> dict[str, Tensor]:
        """Give the penalties that are on, as they add to the objective."""
        terms = {}
        if self.l1:
            terms["l1"] = self.l1 * l1_penalty(module.encoder_weights)
        if self.alpha:
            terms["l2"] = self.alpha * l2_penalty(module.weights)
        return terms

    def factors(self, totals: Totals) -> dict[str, float]:
        """Give what each term's sum over a data set is multiplied with."""
        factors = {}
        for name in ("reconstruction", "prediction"):
            total = getattr(totals, name)
            factors[name] = getattr(self, f"{name}_weight") / total if total else 0.0
        return factors

    def epoch_terms(self, sums: Mapping[str, Tensor], totals: Totals) -> dict[str, float]:
        """Give an epoch's means from its sums, and as ``loss`` their weighted sum.

        A term without any measured entry is NaN, and adds nothing to the loss.
        """
        means = epoch_means(
            {name: np.array([value.item()]) for name, value in sums.items()},
            {name: np.array([getattr(totals, name)]) for name in sums},
            {name: np.array([getattr(self, f"{name}_weight")]) for name in sums},
        )
        return {name: float(value[0]) for name, value in means.items()}


def _total(weight: Tensor | None, known: Tensor | None, n_rows: int, n_columns: int) -> float:
    """Sum the weights of the known entries of some rows; all of them are known if None."""
    if known is None:
        total = n_rows if weight is None else weight.sum(dtype=torch.float64).item()
        return float(total * n_columns)
    entries = known if weight is None else known * weight
    total = entries.sum(dtype=torch.float64).item()
    return float(total * n_columns if known.shape[1] == 1 else total)


# ---------------------------------------------------------------------------------------------
# The net


class StopTraining(KeyboardInterrupt):
    """A callback ends the training in good order.

    skorch's callbacks stop a net by raising KeyboardInterrupt; this tells their wish from a
    user's Ctrl-C.
    """


class AutoencoderNet(NeuralNet):
    """skorch's net, with an iterator over tensors and an objective of named terms.

    The loop over epochs, the callbacks, the history, the optimizer and the devices are skorch's.
    What differs: batches come as :class:`Rows`; an epoch records each term's mean over its rows
    (``train_reconstruction``, ...) and nothing a batch; order and dropout of an epoch follow from
    ``seed`` and the epoch's number; the optimizer sees all parameters as one; Ctrl-C is not
    swallowed.
    """

    def __init__(self, *args: Any, seed: int = 0, **kwargs: Any) -> None:
        # skorch's progress bar counts batches by it
        kwargs.setdefault("iterator_valid__batch_size", _CHUNK_ROWS)
        super().__init__(*args, **kwargs)
        self.seed = seed

    def get_default_callbacks(self) -> list:
        """Leave skorch's timers and printers out."""
        return []

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call a hook of all callbacks, or of those alone that have it where it is a batch's."""
        if method_name in _BATCH_HOOKS:
            for callback in self._batch_listeners[method_name]:
                getattr(callback, method_name)(self, **kwargs)
        elif method_name == "on_epoch_end":
            self._end_epoch(**kwargs)
        elif method_name == "on_train_begin":
            self._begin_training(**kwargs)
        else:
            super().notify(method_name, **kwargs)

    def _begin_training(self, **kwargs: Any) -> None:
        """Let all callbacks begin; a schedule begins anew, whatever history there is."""
        self.on_train_begin(self, **kwargs)
        for _, callback in self.callbacks_:
            if not isinstance(callback, LRScheduler):
                callback.on_train_begin(self, **kwargs)
                continue
            # it would go on from the history's last epoch, whose rate this optimizer lacks
            history: History = self.history  # type: ignore[has-type]
            self.history = History()
            try:
                callback.on_train_begin(self, **kwargs)
            finally:
                self.history = history

    def load_params(self, *args: Any, **kwargs: Any) -> None:
        """Load parameters, moments and history as skorch does, but no learning rate.

        The rate is the estimator's, as where training goes on.
        """
        own = [{**group, "params": None} for group in self.optimizer_.param_groups]
        super().load_params(*args, **kwargs)
        for group, settings in zip(self.optimizer_.param_groups, own, strict=True):
            tensors = group["params"]
            group.clear()
            group.update(settings, params=tensors)

    def _end_epoch(self, **kwargs: Any) -> None:
        """Judge the epoch, let all callbacks see it, and stop where one of them wished to."""
        self.on_epoch_end(self, **kwargs)
        is_over = False
        for _, callback in self.callbacks_:
            check_monitored(callback, self.history[-1])
            try:
                callback.on_epoch_end(self, **kwargs)
            except StopTraining:
                is_over = True
            except KeyboardInterrupt:
                # skorch's own way to stop; in our callbacks it can only be the user's Ctrl-C
                if type(callback).__module__ == __name__:
                    raise
                is_over = True
        if is_over:
            raise StopTraining

    def initialize_callbacks(self) -> AutoencoderNet:
        """Initialize the callbacks, and note which of them listen to batches."""
        super().initialize_callbacks()
        self._batch_listeners = {
            hook: [
                callback
                for _, callback in self.callbacks_
                if getattr(type(callback), hook) is not getattr(Callback, hook)
            ]
            for hook in _BATCH_HOOKS
        }
        return self

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> AutoencoderNet:
        """Make an Adam, of one tensor of which the parameters are parts if all are to be trained.

        A user's callback may freeze some of them.
        """
        parameters = list(self.module_.parameters())
        is_one = not self.foreign_callbacks and all(p.requires_grad for p in parameters)
        self._tensors = [flatten_parameters(self.module_)] if is_one else parameters
        _, settings = self.get_params_for_optimizer("optimizer", [("", t) for t in self._tensors])
        self.optimizer_ = self.optimizer(self._tensors, **settings)
        return self

    @property
    def foreign_callbacks(self) -> list[Callback]:
        """The callbacks that are not of this package."""
        own = (BestEpoch, LearningRate, Progress)
        return [callback for _, callback in self.callbacks_ if type(callback) not in own]

    def initialize_criterion(self) -> AutoencoderNet:
        """Take the objective as it is."""
        self.criterion_ = self.criterion
        return self

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Seed the epoch and note its learning rate."""
        super().on_epoch_begin(net, **kwargs)
        epoch = len(self.history)
        seed = epoch_seed(self.seed, epoch)
        self._order.manual_seed(seed)
        if self._draws_from_torch:
            seed_generators(seed, self.device)
        seed_dropout(self.module_, (self.seed, epoch), self._n_batches)
        self.history.record("learning_rate", self.optimizer_.param_groups[0]["lr"])

    def train(self, train: Subset, valid: Subset | None, max_iter: int) -> AutoencoderNet:
        """Train for some epochs, or until a callback stops.

        Parameters
        ----------
        train, valid : Subset
            Rows to learn from, and to monitor.
        max_iter : int
            Number of epochs at most.
        """
        self.totals_ = {"train": self.criterion_.totals(train)}
        if valid is not None:
            self.totals_["valid"] = self.criterion_.totals(valid)
        self._factors = self.criterion_.factors(self.totals_["train"])
        self._order = torch.Generator()
        self._draws_from_torch = bool(self.foreign_callbacks) or draws_from_torch(
            self.module_, torch.device(self.device)
        )
        self._n_batches = len(self.get_iterator(train, training=True))
        self._best_losses: dict[str, float] = {}
        self.notify("on_train_begin", X=train, y=None)
        try:
            # other threads may train, too, unless torch's generators are needed
            with forked_rng(self.device) if self._draws_from_torch else nullcontext():
                self.fit_loop((train, valid), epochs=max_iter)
        except StopTraining:
            pass
        finally:
            self.notify("on_train_end", X=train, y=None)
            seed_dropout(self.module_, None)
        self._set_training(False)
        return self

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Take the two data sets as they come."""
        return X

    def get_iterator(self, dataset: Subset, training: bool = False) -> TensorIterator:
        """Give batches to learn from, or large slices to look at."""
        if training:
            settings = self.get_params_for("iterator_train")
            return self.iterator_train(dataset, self.batch_size, generator=self._order, **settings)
        return TensorIterator(dataset, self.iterator_valid__batch_size)

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Run the batches of an epoch and record each term's mean over all rows."""
        if iterator is None:
            return
        if self.foreign_callbacks or self.module_.training != training:
            self._set_training(training)  # it walks through all modules
        if training:
            self.history.new_batch()  # the one there is, for callbacks of skorch that look for it
        sums: dict[str, Tensor] = {}
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            for name, term in step["terms"].items():
                # in place: tensors of each step, kept, would hold the memory between them
                if name in sums:
                    sums[name] += term
                else:
                    sums[name] = term.double()
            self.notify("on_batch_end", batch=batch, training=training, **step)
        for name, value in self.criterion_.epoch_terms(sums, self.totals_[prefix]).items():
            self.history.record(f"{prefix}_{name}", value)
        # What callbacks of skorch ask for beside: the mark of a best loss, and the batch.
        loss = self.history[-1, f"{prefix}_loss"]
        is_best = loss < self._best_losses.get(prefix, math.inf)
        if is_best:
            self._best_losses[prefix] = loss
        self.history.record(f"{prefix}_loss_best", is_best)
        self.history.record_batch(f"{prefix}_loss", loss)
        self.history.record_batch(f"{prefix}_batch_size", self.totals_[prefix].rows)
        self.history.record(f"{prefix}_batch_count", 1)
        if training:
            self._record_penalties()

    def _record_penalties(self) -> None:
        with torch.no_grad():
            penalties = self.criterion_.penalty_terms(self.module_)
        for name, value in penalties.items():
            self.history.record(name, value.item())

    def train_step(self, batch: Rows, **fit_params: Any) -> dict[str, Any]:
        """Take one step of the optimizer."""
        self.zero_gradients()
        step = self.train_step_single(batch, **fit_params)
        self.notify(
            "on_grad_computed", named_parameters=self.module_.named_parameters(), batch=batch
        )
        self.optimizer_.step()
        return step

    def is_finite(self) -> bool:
        """Tell whether all parameters are finite."""
        return bool(torch.nn.utils.get_total_norm(self._tensors).isfinite())

    def zero_gradients(self) -> None:
        """Set all gradients to 0, or to None where each parameter has its own."""
        if len(self._tensors) == 1 and self._tensors[0].grad is not None:
            self._tensors[0].grad.zero_()
        else:
            self.optimizer_.zero_grad()

    def train_step_single(self, batch: Rows, **fit_params: Any) -> dict[str, Any]:
        """Compute a batch's objective and its gradients."""
        outputs = self.module_(batch.values)
        terms = self.criterion_.data_terms(outputs, batch)
        totals = self.totals_["train"]
        share = totals.rows / len(batch)
        loss = terms["reconstruction"] * (share * self._factors["reconstruction"])
        if "prediction" in terms:
            loss = loss.add(terms["prediction"], alpha=share * self._factors["prediction"])
        loss.backward()
        self.criterion_.add_penalty_gradients(self.module_)
        terms = {name: term.detach() for name, term in terms.items()}  # let the graph go
        return {"loss": loss, "y_pred": outputs.prediction, "terms": terms}

    def validation_step(self, batch: Rows, **fit_params: Any) -> dict[str, Any]:
        """Compute a batch's terms, without dropout."""
        with torch.no_grad():
            outputs = self.module_(batch.values)
            terms = self.criterion_.data_terms(outputs, batch)
        return {"loss": sum(terms.values()), "y_pred": outputs.prediction, "terms": terms}


@dataclass
class Job:
    """A net with what it is to be trained on.

    Parameters
    ----------
    net : AutoencoderNet
        Initialized.
    train, valid : Subset
        Rows to learn from, and to monitor.
    max_iter : int
        Number of epochs at most.
    architecture : dict
        What the module was built from.
    weight_power : int, default=0
        Power of two that the weights of the rows to learn from were divided by.

    Attributes
    ----------
    error : Exception or None
        What ended the training, if it was one of many.
    """

    net: AutoencoderNet
    train: Subset
    valid: Subset | None
    max_iter: int
    architecture: dict[str, Any]
    weight_power: int = 0
    error: Exception | None = None

    def run(self) -> None:
        """Train the net on its own."""
        self.net.train(self.train, self.valid, self.max_iter)


_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")
# Entries of skorch's history that say nothing to a reader.
_OF_SKORCH = ("_loss_best", "_batch_count")


# ---------------------------------------------------------------------------------------------
# Callbacks


class BestEpoch(Callback):
    """Keep the parameters of the best epoch; stop where there is no more gain, or no number.

    Parameters
    ----------
    monitor : "train_loss" or "valid_loss"
    tol : float
        A smaller fall of the loss is no gain.
    patience : int or None
        Number of epochs without gain after which the training stops, and the best epoch's
        parameters are restored; None: neither, unless the loss diverges.

    Attributes
    ----------
    best_iter_ : int
        Number of the epoch that was kept last.
    diverged_iter_ : int or None
        Number of the epoch in which the loss or a parameter became NaN or infinite.
    """

    def __init__(self, monitor: str, tol: float, patience: int | None) -> None:
        self.monitor = monitor
        self.tol = tol
        self.patience = patience

    def on_train_begin(self, net: AutoencoderNet, **kwargs: Any) -> None:
        """Start anew."""
        patience = math.inf if self.patience is None else self.patience
        self._epochs = BestEpochs([self.tol], [patience])
        self._live = list(net.module_.state_dict().values())  # shares the parameters' memory
        self._kept = [tensor.clone() for tensor in self._live]

    def on_epoch_end(self, net: AutoencoderNet, **kwargs: Any) -> None:
        """Compare the epoch with the best one."""
        row = net.history[-1]
        loss = row[self.monitor]
        is_finite = math.isfinite(row["train_loss"] + loss) and net.is_finite()
        (is_best,), (stops,) = self._epochs.judge(
            slice(None), len(net.history), np.array([loss]), np.array([is_finite])
        )
        if is_best:
            for kept, live in zip(self._kept, self._live, strict=True):
                kept.copy_(live)
        if stops:
            raise StopTraining

    def on_train_end(self, net: AutoencoderNet, **kwargs: Any) -> None:
        """Restore the best epoch, where it was asked for or the last one is worth nothing."""
        if self.conclude(self._epochs, 0, len(net.history)):
            for kept, live in zip(self._kept, self._live, strict=True):
                live.copy_(kept)
        del self._live, self._kept, self._epochs

    def conclude(self, epochs: BestEpochs, network: int, n_epochs: int) -> bool:
        """Note how one network's training ended; tell whether its best epoch is to be restored."""
        self.best_iter_ = int(epochs.best_iter[network])
        self.diverged_iter_: int | None = int(epochs.diverged_iter[network]) or None
        if self.patience is None and self.diverged_iter_ is None:
            self.best_iter_ = n_epochs
            return False
        return self.best_iter_ > 0


class Progress(Callback):
    """A bar that counts epochs and shows the loss.

    Parameters
    ----------
    max_iter : int
        Number of epochs at most.
    description : str
        What stands before the bar.
    """

    def __init__(self, max_iter: int, description: str) -> None:
        self.max_iter = max_iter
        self.description = description

    def on_train_begin(self, net: AutoencoderNet, **kwargs: Any) -> None:
        """Draw the bar."""
        from tqdm.auto import tqdm

        self._bar = tqdm(total=self.max_iter, desc=self.description, unit="epoch")

    def on_epoch_end(self, net: AutoencoderNet, **kwargs: Any) -> None:
        """Move the bar."""
        row = net.history[-1]
        shown = {key: f"{row[key]:.3g}" for key in ("train_loss", "valid_loss") if key in row}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def on_train_end(self, net: AutoencoderNet, **kwargs: Any) -> None:
        """Leave the bar as it stands."""
        self._bar.close()
        del self._bar


class LearningRate(Callback):
    """Change the learning rate after each epoch.

    Unlike skorch's own callback it begins anew where training goes on, whatever history there is.

    Parameters
    ----------
    schedule : "cosine" or "plateau"
        As in the estimator.
    max_iter : int
        Number of epochs in which the cosine falls to 0.
    monitor : str
        Loss that the plateau is looked for in.
    patience : int
        Number of epochs without gain after which the rate is halved.
    """

    def __init__(self, schedule: str, max_iter: int, monitor: str, patience: int) -> None:
        self.schedule = schedule
        self.max_iter = max_iter
        self.monitor = monitor
        self.patience = patience

    def on_train_begin(self, net: AutoencoderNet, **kwargs: Any) -> None:
        """Start anew."""
        self._rates = LearningRates([self.schedule], [self.max_iter], [self.patience])
        self._initial = [group["lr"] for group in net.optimizer_.param_groups]
        self._n_epochs = 0

    def on_epoch_end(self, net: AutoencoderNet, **kwargs: Any) -> None:
        """Set the next epoch's rate."""
        self._n_epochs += 1
        loss = np.array([net.history[-1][self.monitor]])
        self._rates.step(slice(None), self._n_epochs, loss)
        for group, rate in zip(net.optimizer_.param_groups, self._initial, strict=True):
            group["lr"] = rate * float(self._rates.factor[0])


# ---------------------------------------------------------------------------------------------
# The net's state, as plain arrays


def history_to_frame(history: list[dict[str, Any]]) -> pd.DataFrame:
    """Give a history as a table of one row an epoch, without what skorch keeps for itself."""
    rows = [
        {
            key: value
            for key, value in row.items()
            if np.isscalar(value) and key != "epoch" and not key.endswith(_OF_SKORCH)
        }
        for row in history
    ]
    return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="epoch"))


def history_from_frame(frame: pd.DataFrame) -> History:
    """Give skorch's history of a table of epochs."""
    history = History()
    for epoch, row in frame.iterrows():
        history.new_epoch()
        for key, value in {"epoch": epoch, **row.dropna().to_dict()}.items():
            history.record(key, value)
    return history


def flatten_parameters(module: nn.Module) -> nn.Parameter:
    """Lay all parameters of a module into one tensor, and their gradients into its gradient.

    What an optimizer does for each tensor, it then does once.

    Parameters
    ----------
    module : torch.nn.Module
        Its parameters stay what they are, in new memory.

    Returns
    -------
    torch.nn.Parameter of shape (n_parameters,)
    """
    parameters = list(module.parameters())
    flat = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in parameters]))
    flat.grad = torch.zeros_like(flat)
    sizes = [parameter.numel() for parameter in parameters]
    parts = zip(flat.detach().split(sizes), flat.grad.split(sizes), strict=True)
    for parameter, (values, gradient) in zip(parameters, parts, strict=True):
        parameter.data = values.view_as(parameter)
        parameter.grad = gradient.view_as(parameter)
    return flat


def get_state(net: AutoencoderNet) -> dict[str, dict[str, np.ndarray]]:
    """Give a net's parameters, its optimizer's moments, and what is frozen, as arrays by name."""
    named = list(net.module_.named_parameters())
    moments = {}
    for tensor, own in _parameters_by_tensor(net, named):
        sizes = [parameter.numel() for _, parameter in own]
        for entry, value in net.optimizer_.state[tensor].items():
            is_step = entry == "step"  # one number for all parameters
            parts = [value] * len(own) if is_step else value.flatten().split(sizes)
            for (name, parameter), part in zip(own, parts, strict=True):
                moments[f"{entry}/{name}"] = to_array(part if is_step else part.view_as(parameter))
    return {
        "module": {name: to_array(value) for name, value in net.module_.state_dict().items()},
        "optimizer": moments,
        "trained": {name: np.array(parameter.requires_grad) for name, parameter in named},
    }


def _parameters_by_tensor(
    net: AutoencoderNet, named: list[tuple[str, nn.Parameter]]
) -> list[tuple[Tensor, list[tuple[str, nn.Parameter]]]]:
    """Give each tensor that the optimizer sees, with the parameters that are its parts."""
    if len(net._tensors) == 1:
        return [(net._tensors[0], named)]
    return [(parameter, [(name, parameter)]) for name, parameter in named]


def set_state(net: AutoencoderNet, state: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Give an initialized net the parameters and moments of another, and freeze as it does."""
    net.module_.load_state_dict(
        {name: torch.from_numpy(np.array(value)) for name, value in state["module"].items()}
    )
    entries: dict[str, dict[str, Tensor]] = {}
    for key, value in state["optimizer"].items():
        entry, name = key.split("/", 1)
        entries.setdefault(name, {})[entry] = torch.from_numpy(np.array(value, order="C"))
    states: dict[int, dict[str, Tensor]] = {}
    named = list(net.module_.named_parameters())
    trained = state.get("trained", {})
    changed = [
        p for name, p in named if p.requires_grad != bool(trained.get(name, p.requires_grad))
    ]
    if changed:
        for parameter in changed:
            parameter.requires_grad_(not parameter.requires_grad)
        net.initialize_optimizer()  # which sees frozen parameters one by one
    for position, (tensor, own) in enumerate(_parameters_by_tensor(net, named)):
        known = [entries[name] for name, _ in own if name in entries]
        for entry, first in known[0].items() if known else ():
            moment = first
            if entry != "step":  # one number for all parameters
                none = {entry: first.new_zeros(())}  # of what was frozen
                parts = [
                    entries.get(name, none)[entry].expand_as(parameter).flatten()
                    for name, parameter in own
                ]
                moment = torch.cat(parts).view(tensor.shape)
            states.setdefault(position, {})[entry] = moment
    groups = net.optimizer_.state_dict()["param_groups"]
    net.optimizer_.load_state_dict({"state": states, "param_groups": groups})
