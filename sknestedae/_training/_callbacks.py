"""Callbacks of a fit: the best epoch, the learning rate, the progress bar."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from skorch import NeuralNet
from skorch.callbacks import Callback, Freezer, Unfreezer

from ._schedules import BestEpochs, LearningRates


class StopTraining(KeyboardInterrupt):
    """Request of a callback to stop the training normally.

    skorch's callbacks stop a net by raising KeyboardInterrupt; this class distinguishes their
    request from a user's Ctrl-C.
    """


class BestEpoch(Callback):
    """Keep the parameters of the best epoch; stop without improvement, or if the loss is NaN.

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

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Start anew."""
        patience = math.inf if self.patience is None else self.patience
        self._epochs = BestEpochs([self.tol], [patience], [net.warm_up])
        self._live = net.live_tensors()
        self._kept = [tensor.clone() for tensor in self._live]

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
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

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Restore the best epoch, if it was asked for or the last epoch's loss is not finite."""
        if self.conclude(self._epochs, 0, len(net.history)):
            for kept, live in zip(self._kept, self._live, strict=True):
                live.copy_(kept)
        del self._live, self._kept, self._epochs

    def conclude(self, epochs: BestEpochs, network: int, n_epochs: int) -> bool:
        """Record how one network's training ended; return whether to restore its best epoch."""
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
        Text before the bar.
    """

    def __init__(self, max_iter: int, description: str) -> None:
        self.max_iter = max_iter
        self.description = description

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Draw the bar."""
        from tqdm.auto import tqdm

        self._bar = tqdm(total=self.max_iter, desc=self.description, unit="epoch")

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Move the bar."""
        row = net.history[-1]
        shown = {key: f"{row[key]:.3g}" for key in ("train_loss", "valid_loss") if key in row}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
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

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Start anew."""
        self._rates = LearningRates(
            [self.schedule], [self.max_iter], [self.patience], [net.warm_up]
        )
        self._initial = [group["lr"] for group in net.optimizer_.param_groups]
        self._n_epochs = 0

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Set the next epoch's rate."""
        self._n_epochs += 1
        loss = np.array([net.history[-1][self.monitor]])
        self._rates.step(slice(None), self._n_epochs, loss)
        for group, rate in zip(net.optimizer_.param_groups, self._initial, strict=True):
            group["lr"] = rate * float(self._rates.factor[0])


# The callbacks of this package; any other is a user's.
OWN_CALLBACKS = (BestEpoch, LearningRate, Progress)


def catch_up(net: NeuralNet) -> None:
    """Freeze and unfreeze what was to be by epochs that are over, where training goes on.

    skorch's callbacks do so at the beginning of one epoch, the first by default. Where a fit goes
    on from a later one, or a file is loaded, they would never do it.

    Parameters
    ----------
    net : NeuralNet
        Whose training begins, with the history of the epochs before.
    """
    overdue = []
    for _, callback in net.callbacks_:
        # skorch makes a function of a number, and knows both as ``at``
        if isinstance(callback, Freezer | Unfreezer) and isinstance(callback.at, partial):
            epoch = callback.at.keywords.get("epoch")
            if epoch is not None and epoch <= len(net.history):
                overdue.append((epoch, callback))
    for _, callback in sorted(overdue, key=lambda pair: pair[0]):
        names = callback.named_parameters(net)
        for _, parameter in callback.filter_parameters(callback.patterns, names):
            callback.fn(parameter)
