"""Rows and callbacks of tests of training."""

from __future__ import annotations

import numpy as np
import torch
from skorch.callbacks import Callback

from sknestedae._networks._batch import Batch
from sknestedae._tables._layout import Encoded

CPU = torch.device("cpu")


def numbered_rows(n_rows=23, incomplete=False, weights=False):
    """Give rows that hold their own number, in two columns, and in the target."""
    number = np.arange(n_rows, dtype=float)
    measured = np.ones((n_rows, 2), dtype=bool)
    measured[::3, 1] = False
    labelled = (number % 4 > 0)[:, None]
    return Batch.from_arrays(
        {"table": Encoded(np.column_stack([number, number]), measured if incomplete else None)},
        Encoded(number[:, None], labelled if incomplete else None),
        number + 1 if weights else None,
        CPU,
    )


class Freeze(Callback):
    """Freeze the first weights after some epochs, and record them."""

    def __init__(self, after=2):
        self.after = after

    def on_train_begin(self, net, **kwargs):
        self.seen = []

    def on_epoch_end(self, net, **kwargs):
        weight = net.module_.encoder[0].weight
        self.seen.append(weight.detach().clone())
        if len(self.seen) == self.after:
            weight.requires_grad_(False)


class CountsEpochs(Callback):
    def on_epoch_end(self, net, **kwargs):
        self.n_epochs = len(net.history)
