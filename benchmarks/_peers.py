"""The same mathematics by hand, by our estimator, and by the libraries that one would use."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNet
from torch import nn
from torch.nn import functional as F

from sknestedae import SupervisedAutoencoder

from .accuracy import PAPER

try:
    import pytorch_lightning as lightning
except ImportError:  # an optional peer
    lightning = None


def dense(sizes: list[int]) -> list[nn.Module]:
    """Make hidden layers with dropout, as in the paper's predictor."""
    layers: list[nn.Module] = []
    for n_inputs, n_outputs in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(n_inputs, n_outputs), nn.ReLU(), nn.Dropout(0.1)]
    return layers


class Network(nn.Module):
    """The paper's band-gap network, or one with hidden layers in the encoder and the decoder."""

    def __init__(self, n_columns: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        sizes = [n_columns, *hidden]
        self.encoder = nn.Sequential(*dense(sizes), nn.Linear(sizes[-1], 12), nn.Tanh())
        sizes = [12, *hidden[::-1]]
        self.decoder = nn.Sequential(*dense(sizes), nn.Linear(sizes[-1], n_columns))
        self.predictor = nn.Sequential(*dense([12, 100]), nn.Linear(100, 1))

    def forward(self, X):
        latents = self.encoder(X)
        return self.decoder(latents), self.predictor(latents)

    def penalty(self):
        return 0.01 * sum(p.abs().sum() for p in self.encoder.parameters() if p.ndim > 1)


def loss_of(network: Network, outputs: Any, X: Any, y: Any) -> Any:
    """Give the paper's objective, with a standardised target."""
    return F.l1_loss(outputs[0], X) + 1.3 * F.l1_loss(outputs[1], y) + network.penalty()


def scaled(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standardise, as our estimator does inside."""
    return (X - X.mean(axis=0)) / X.std(axis=0), ((y - y.mean()) / y.std())[:, None]


def by_hand(X, y, *, hidden: tuple[int, ...], batch_size: int, max_iter: int) -> None:
    """Train in a plain loop over tensors, with fused Adam."""
    X, y = map(torch.from_numpy, scaled(X, y))
    network = Network(X.shape[1], hidden)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    for _ in range(max_iter):
        total = 0.0
        order = torch.randperm(len(X))
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size]
            X_batch, y_batch = X[rows], y[rows]
            optimizer.zero_grad()
            loss = loss_of(network, network(X_batch), X_batch, y_batch)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)


def by_estimator(X, y, *, hidden: tuple[int, ...], batch_size: int, max_iter: int) -> None:
    """Train our estimator."""
    settings = {**PAPER, "hidden_layer_sizes": hidden, "batch_size": batch_size}
    settings |= {"max_iter": max_iter, "early_stopping": False}
    SupervisedAutoencoder(**settings, random_state=0).fit(X, y)


class PlainSkorch(NeuralNet):
    """skorch as it comes, but for the loss of two outputs."""

    def get_loss(self, y_pred, y_true, X=None, training=False):
        return loss_of(self.module_, y_pred, X, y_true)


def by_skorch(X, y, *, hidden: tuple[int, ...], batch_size: int, max_iter: int) -> None:
    """Train with skorch's own iterator and callbacks."""
    X, y = scaled(X, y)
    PlainSkorch(
        Network,
        criterion=nn.L1Loss,
        module__n_columns=X.shape[1],
        module__hidden=hidden,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=batch_size,
        iterator_train__shuffle=True,
        max_epochs=max_iter,
        train_split=None,
        verbose=0,
    ).fit(X, y)


def by_lightning(X, y, *, hidden: tuple[int, ...], batch_size: int, max_iter: int) -> None:
    """Train with Lightning's trainer, without its logs, checkpoints and bars."""
    X, y = map(torch.from_numpy, scaled(X, y))

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = Network(X.shape[1], hidden)

        def training_step(self, batch, _):
            return loss_of(self.network, self.network(batch[0]), *batch)

        def configure_optimizers(self):
            return torch.optim.Adam(self.network.parameters(), lr=1e-3)

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    data = torch.utils.data.TensorDataset(X, y)
    loader = torch.utils.data.DataLoader(data, batch_size, shuffle=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lightning.Trainer(
            max_epochs=max_iter,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(Module(), loader)


def by_perceptron(X, y, *, hidden: tuple[int, ...], batch_size: int, max_iter: int) -> None:
    """Train scikit-learn's perceptron of the encoder's and predictor's widths: no decoder."""
    X, y = scaled(X, y)
    network = MLPRegressor(
        hidden_layer_sizes=(*hidden, 12, 100),
        batch_size=batch_size,
        max_iter=max_iter,
        n_iter_no_change=max_iter,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(X, y.ravel())


PEERS: dict[str, Callable] = {
    "hand-written loop, fused Adam": by_hand,
    "ours": by_estimator,
    "skorch as it comes": by_skorch,
    **({"Lightning": by_lightning} if lightning else {}),
    "scikit-learn's MLPRegressor, no decoder": by_perceptron,
}
