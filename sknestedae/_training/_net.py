"""The skorch net of an autoencoder: its loop over batches and epochs."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from skorch.history import History
from torch import Tensor

from .._layers._dense import seed_streams
from .._layers._device import epoch_seed, forked_rng, seed_generators
from .._networks._autoencoder import draws_from_torch
from .._networks._batch import Batch, Subset
from .._networks._flat import FlatParameters
from .._threads import is_worth_threads, one_torch_thread
from ._adam import make_step
from ._allowed_callbacks import check_begun, check_monitored
from ._callbacks import OWN_CALLBACKS, StopTraining, catch_up
from ._closed_form import ClosedForm, Unsupported
from ._data import CHUNK_ROWS, TensorIterator
from ._schedules import warmth

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class AutoencoderNet(NeuralNet):
    """skorch's net, with an iterator over tensors and an objective of named terms.

    The loop over epochs, the callbacks, the history, the optimizer and the devices are skorch's.
    What differs: batches come as :class:`Batch`; an epoch records each term's mean over its rows
    (``train_reconstruction``, ...) and nothing a batch; order and dropout of an epoch follow from
    ``seed`` and the epoch's number; in the first ``warm_up`` epochs the weights of terms that warm
    up grow; the optimizer sees all parameters as one; Ctrl-C is not swallowed.
    """

    _order: torch.Generator  # these three are set where training begins
    _draws_from_torch: bool
    _n_batches: int
    _closed_form: ClosedForm | None = None
    flat_parameters: FlatParameters | None = None

    def __init__(self, *args: Any, seed: int = 0, warm_up: int = 0, **kwargs: Any) -> None:
        # skorch's progress bar counts batches by it
        kwargs.setdefault("iterator_valid__batch_size", CHUNK_ROWS)
        super().__init__(*args, **kwargs)
        self.seed = seed
        self.warm_up = warm_up
        self._n_before = 0  # epochs before this fit

    def get_default_callbacks(self) -> list:
        """Leave skorch's timers and printers out."""
        return []

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call a hook of all callbacks; hooks of batches only where a callback has them."""
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
        """Call the beginning of all callbacks; a schedule begins anew, for any history."""
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
        for _, callback in self.callbacks_:
            check_begun(callback, self)
        catch_up(self)

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
        """Judge the epoch, call all callbacks, and stop if one of them asks for it."""
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
                if type(callback) in OWN_CALLBACKS:
                    raise
                is_over = True
        if is_over:
            raise StopTraining

    def initialize_callbacks(self) -> AutoencoderNet:
        """Initialize the callbacks, and record which of them listen to batches."""
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
        """Make an Adam; of one tensor that holds all parameters, if all are to be trained.

        Where a network is small, a step of Adam takes its time for each tensor rather than for
        each number. A user's callback may freeze some parameters, so that with one each parameter
        is a tensor of its own.
        """
        self.flat_parameters = FlatParameters(self.module_)
        parameters = list(self.module_.parameters())
        is_one = not self.foreign_callbacks and all(p.requires_grad for p in parameters)
        self._tensors = [self.flat_parameters.as_one()] if is_one else parameters
        _, settings = self.get_params_for_optimizer("optimizer", [("", t) for t in self._tensors])
        self.optimizer_ = self.optimizer(self._tensors, **settings)
        return self

    @property
    def has_one_tensor(self) -> bool:
        """Whether the optimizer sees all parameters as the one tensor that they are laid into."""
        return self.flat_parameters is not None and len(self._tensors) == 1

    @property
    def foreign_callbacks(self) -> list[Callback]:
        """The callbacks that are not of this package."""
        return [callback for _, callback in self.callbacks_ if type(callback) not in OWN_CALLBACKS]

    def initialize_criterion(self) -> AutoencoderNet:
        """Take the objective as it is."""
        self.criterion_ = self.criterion
        return self

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Seed the epoch and record its learning rate."""
        super().on_epoch_begin(net, **kwargs)
        epoch = len(self.history)
        seed = epoch_seed(self.seed, epoch)
        self._order.manual_seed(seed)
        if self._draws_from_torch:
            seed_generators(seed, self.device)
        seed_streams(self.module_, (self.seed, epoch), self._n_batches)
        self.history.record("learning_rate", self.optimizer_.param_groups[0]["lr"])
        if self.warm_up:
            share = warmth(epoch - 1 - self._n_before, self.warm_up)
            self._factors = self.criterion_.factors(self.totals_["train"], float(share))

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
        self._n_before = len(self.history)
        self._order = torch.Generator()
        self._draws_from_torch = bool(self.foreign_callbacks) or draws_from_torch(
            self.module_, torch.device(self.device)
        )
        self._n_batches = len(self.get_iterator(train, training=True))
        self._best_losses: dict[str, float] = {}
        self.notify("on_train_begin", X=train, y=None)
        self._closed_form = self._make_closed_form()
        try:
            # other threads may train, too, unless torch's generators are needed
            with (
                forked_rng(self.device) if self._draws_from_torch else nullcontext(),
                one_torch_thread(not is_worth_threads(self.module_, self.batch_size)),
            ):
                self.fit_loop((train, valid), epochs=max_iter)
        except StopTraining:
            pass
        finally:
            self.notify("on_train_end", X=train, y=None)
            seed_streams(self.module_, None)
            self._closed_form = None
        self._set_training(False)
        return self

    def get_split_datasets(
        self, X: tuple[Subset, Subset | None], y: None = None, **fit_params: Any
    ) -> tuple[Subset, Subset | None]:
        """Take the two data sets as they come."""
        return X

    def get_iterator(self, dataset: Subset, training: bool = False) -> TensorIterator:
        """Return batches for training, or large slices for validation."""
        if training:
            settings = self.get_params_for("iterator_train")
            return self.iterator_train(dataset, self.batch_size, generator=self._order, **settings)
        return TensorIterator(dataset, self.iterator_valid__batch_size)

    def run_single_epoch(
        self,
        iterator: TensorIterator | None,
        training: bool,
        prefix: str,
        step_fn: Callable[..., dict[str, Any]],
        **fit_params: Any,
    ) -> None:
        """Run the batches of an epoch and record each term's mean over all rows."""
        if iterator is None:
            return
        if self.foreign_callbacks or self.module_.training != training:
            self._set_training(training)  # it walks through all modules
        if training:
            self.history.new_batch()  # the one there is, for callbacks of skorch that look for it
            if self.foreign_callbacks:  # which may have changed or hooked anything
                self._closed_form = self._make_closed_form()
        if training and self._is_in_closed_form() and not any(self._batch_listeners.values()):
            sums: dict[str, Any] = self._sums_in_closed_form(iterator)
        else:
            sums = self._sums_of_batches(iterator, training, step_fn, **fit_params)
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

    def _sums_of_batches(
        self,
        iterator: TensorIterator,
        training: bool,
        step_fn: Callable[..., dict[str, Any]],
        **fit_params: Any,
    ) -> dict[str, Tensor]:
        """Run the batches of an epoch one by one, and sum up each term."""
        sums: dict[str, Tensor] = {}
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            for name, term in step["terms"].items():
                # in place, on the device: a sum that is read in each step would wait for it, and
                # tensors of all steps, if kept, would hold the memory between them
                if name in sums:
                    sums[name] += term
                else:
                    sums[name] = term.double()
            self.notify("on_batch_end", batch=batch, training=training, **step)
        return sums

    def _record_penalties(self) -> None:
        with torch.no_grad():
            penalties = self.criterion_.penalty_terms(self.module_)
        for name, value in penalties.items():
            self.history.record(name, value.item())

    def train_step(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:
        """Take one step of the optimizer."""
        self.zero_gradients()
        step = self.train_step_single(batch, **fit_params)
        self.notify(
            "on_grad_computed", named_parameters=self.module_.named_parameters(), batch=batch
        )
        self.optimizer_.step()
        return step

    def live_tensors(self) -> list[Tensor]:
        """Return the parameters and buffers in training, in as few tensors as possible.

        They share their memory, so that a copy of them is a copy of the network now.
        """
        state = self.module_.state_dict()
        if not self.has_one_tensor:
            return list(state.values())
        of_parameters = {name for name, _ in self.module_.named_parameters()}
        buffers = [value for name, value in state.items() if name not in of_parameters]
        assert self.flat_parameters is not None
        return [self.flat_parameters.values, *buffers]

    def is_finite(self) -> bool:
        """Return whether all parameters are finite."""
        if self.has_one_tensor and torch.device(self.device).type == "cpu":
            values = self._tensors[0].detach().numpy()
            with np.errstate(all="ignore"):
                return bool(np.isfinite(np.dot(values, values)))
        return bool(torch.nn.utils.get_total_norm(self._tensors).isfinite())

    def zero_gradients(self) -> None:
        """Set all gradients to 0, or to None where each parameter has its own."""
        if len(self._tensors) == 1 and self._tensors[0].grad is not None:
            self._tensors[0].grad.zero_()
        else:
            self.optimizer_.zero_grad()

    def train_step_single(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:
        """Compute a batch's objective and its gradients."""
        if self._is_in_closed_form():
            return self._step_in_closed_form(batch)
        outputs = self.module_(batch)
        terms = self.criterion_.data_terms(outputs, batch)
        totals = self.totals_["train"]
        share = totals.rows / len(batch)
        first, *others = terms
        loss = terms[first] * (share * self._factors[first])
        for name in others:  # with alpha, a product and a sum are one call of torch
            loss = loss.add(terms[name], alpha=share * self._factors[name])
        loss.backward()
        self.criterion_.add_penalty_gradients(self.module_)
        # without the graph, which would stay in memory with them until the next step
        terms = {name: term.detach() for name, term in terms.items()}
        return {"loss": loss, "y_pred": outputs.prediction, "terms": terms}

    def validation_step(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:
        """Compute a batch's terms, without dropout."""
        with torch.no_grad():
            outputs = self.module_(batch)
            terms = self.criterion_.data_terms(outputs, batch)
        return {"loss": sum(terms.values()), "y_pred": outputs.prediction, "terms": terms}

    # -- gradients in closed form

    def _make_closed_form(self) -> ClosedForm | None:
        """Make the gradients in closed form, where there is one."""
        if self.flat_parameters is None or torch.device(self.device).type != "cpu":
            return None
        try:
            return ClosedForm(self.module_, self.criterion_, self.flat_parameters)
        except Unsupported:
            return None

    def _is_in_closed_form(self) -> bool:
        """Return whether the next step's gradient is taken in closed form.

        A callback may have frozen parameters, put others in their place, or hooked a layer.
        """
        closed, flat = self._closed_form, self.flat_parameters
        return closed is not None and flat is not None and flat.holds() and closed.is_current()

    def _step_in_closed_form(self, batch: Batch) -> dict[str, Any]:
        """Do the same as ``train_step_single``, with the same results up to rounding."""
        closed, flat = self._closed_form, self.flat_parameters
        assert closed is not None
        assert flat is not None
        share = self.totals_["train"].rows / len(batch)
        factors = {name: share * factor for name, factor in self._factors.items()}
        with np.errstate(all="ignore"):  # as torch: what is no number is found at the epoch's end
            sums = closed.step(closed.rows(batch), factors)
        flat.give_gradients()
        flat.add_penalty_gradients(self.criterion_.l1, self.criterion_.alpha)
        terms = {name: flat.values.new_tensor(total) for name, total in sums.items()}
        loss = sum(factors[name] * term for name, term in terms.items())
        return {"loss": loss, "y_pred": closed.prediction(), "terms": terms}

    def _sums_in_closed_form(self, iterator: TensorIterator) -> dict[str, Any]:
        """Take the steps of an epoch, and sum up each term."""
        closed, flat = self._closed_form, self.flat_parameters
        assert closed is not None
        assert flat is not None
        n_rows, batch_size, objective = (
            self.totals_["train"].rows,
            self.batch_size,
            self.criterion_,
        )
        flat.give_gradients()  # a callback, or a user between two fits, may have taken them away
        step = make_step(self.optimizer_) if self.has_one_tensor else self.optimizer_.step
        sums: dict[str, float] = {}
        with np.errstate(all="ignore"):
            for chunk in iterator.chunks():
                rows = closed.rows(chunk)
                for start in range(0, len(chunk), batch_size):
                    own = rows.take(slice(start, start + batch_size))
                    share = n_rows / len(own.given[0])
                    factors = {name: share * factor for name, factor in self._factors.items()}
                    for name, total in closed.step(own, factors).items():
                        sums[name] = sums.get(name, 0.0) + float(total)
                    flat.add_penalty_gradients(objective.l1, objective.alpha)
                    step()
        return {name: np.float64(total) for name, total in sums.items()}
