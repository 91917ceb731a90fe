"""A training job: a net with the rows that it is to be trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from .._networks._batch import Subset
from ._net import AutoencoderNet


@dataclass
class TrainingJob:
    """A net to be trained, on its own or in a stack with others.

    Parameters
    ----------
    net : AutoencoderNet
        Initialized.
    train, valid : Subset
        Rows to learn from, and to monitor.
    max_iter : int
        Number of epochs at most.
    architecture : dict
        Arguments that the module was built from.
    weight_power : int, default=0
        Power of two that the weights of the rows to learn from were divided by.

    Attributes
    ----------
    error : Exception or None
        Raised in the training, if it was one of several jobs.
    """

    net: AutoencoderNet
    train: Subset
    valid: Subset | None
    max_iter: int
    architecture: dict[str, Any]
    weight_power: int = 0
    error: Exception | None = None

    def distinct_rows(self) -> Subset:
        """Return the rows to learn from, each once."""
        index = self.train.index
        if index is None or len(distinct := torch.unique(index)) == len(index):
            return self.train
        return Subset(self.train.rows, distinct)

    def run(self) -> None:
        """Train the net on its own."""
        self.net.train(self.train, self.valid, self.max_iter)
