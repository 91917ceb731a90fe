"""Callbacks of the package: the best epoch, learning rates, the progress bar."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from sknestedae._training._callbacks import BestEpoch, LearningRate, Progress, StopTraining


class Net:
    """What callbacks see of a net: its parameters hold the number of the epoch."""

    def __init__(self):
        self.module_ = nn.Linear(1, 1)
        self.history = []
        self.optimizer_ = SimpleNamespace(param_groups=[{"lr": 0.1}])
        self.warm_up = 0

    def live_tensors(self):
        return list(self.module_.state_dict().values())

    def is_finite(self):
        return bool(self.module_.weight.isfinite())

    def end_epoch(self, callback, loss, valid=None):
        with torch.no_grad():
            self.module_.weight.fill_(float(len(self.history) + 1))
        self.history.append({"train_loss": loss, "valid_loss": loss if valid is None else valid})
        callback.on_epoch_end(self)


def run(callback, losses):
    net = Net()
    callback.on_train_begin(net)
    for loss in losses:
        try:
            net.end_epoch(callback, loss)
        except StopTraining:
            break
    callback.on_train_end(net)
    return net


def test_the_best_epoch_is_restored_where_patience_ends():
    callback = BestEpoch("valid_loss", tol=0.0, patience=2)
    net = run(callback, [3.0, 1.0, 2.0, 2.0, 0.5])
    assert len(net.history) == 4
    assert (callback.best_iter_, callback.diverged_iter_) == (2, None)
    assert net.module_.weight.item() == 2


def test_without_patience_the_last_epoch_stays():
    callback = BestEpoch("train_loss", tol=0.0, patience=None)
    net = run(callback, [3.0, 1.0, 2.0])
    assert callback.best_iter_ == 3
    assert net.module_.weight.item() == 3


@pytest.mark.parametrize("patience", [None, 5])
def test_a_divergence_stops_and_the_best_epoch_is_restored(patience):
    callback = BestEpoch("train_loss", tol=0.0, patience=patience)
    net = run(callback, [3.0, 2.0, float("nan"), 1.0])
    assert len(net.history) == 3
    assert (callback.best_iter_, callback.diverged_iter_) == (2, 3)
    assert net.module_.weight.item() == 2


def test_a_learning_rate_begins_anew():
    callback = LearningRate("cosine", 2, "train_loss", patience=1)
    for _ in range(2):
        net = Net()
        callback.on_train_begin(net)
        rates = []
        for _ in range(2):
            net.end_epoch(callback, 1.0)
            rates.append(net.optimizer_.param_groups[0]["lr"])
        assert rates == pytest.approx([0.05, 0.0])


def test_progress_shows_epochs_and_losses(capsys):
    run(Progress(3, "mine"), [3.0, 2.0, 1.5])
    shown = capsys.readouterr().err
    assert "mine: 100%" in shown
    assert "train_loss=1.5" in shown
