"""Time of a training step, of a chain, and peak memory, against their peers."""

from __future__ import annotations

import multiprocessing
import resource
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNet
from torch import nn
from torch.nn import functional as F

from sknestedae import NestedAutoencoder, SupervisedAutoencoder

from ._data import perovskites
from ._report import Report
from .accuracy import PAPER

N_REPEATS = 9


# -- the same mathematics, three times


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
    "scikit-learn's MLPRegressor, no decoder": by_perceptron,
}


def time_per_step(X, y, settings: dict[str, Any]) -> dict[str, list[float]]:
    """Time all peers in turn, again and again; give milliseconds a step of each turn."""
    steps = settings["max_iter"] * -(-len(X) // settings["batch_size"])
    times: dict[str, list[float]] = {name: [] for name in PEERS}
    for peer in PEERS.values():  # what is imported or compiled at first use
        peer(X, y, **{**settings, "max_iter": 1})
    for _ in range(N_REPEATS):
        for name, peer in PEERS.items():
            start = time.perf_counter()
            peer(X, y, **settings)
            times[name].append((time.perf_counter() - start) / steps * 1e3)
    return times


def steps(report: Report) -> None:
    """Compare the time of a training step on a small and on a large table."""
    rng = np.random.default_rng(0)
    small = {"hidden": (), "batch_size": 10, "max_iter": 30}
    large = {"hidden": (100,), "batch_size": 1024, "max_iter": 1}
    for title, shape, settings in [
        ("A step with the paper's band-gap settings: 395 × 15, batch 10", (395, 15), small),
        ("A step on 100,000 × 50, batch 1024, hidden layers of 100", (100_000, 50), large),
    ]:
        X = rng.standard_normal(shape, dtype=np.float32)
        times = time_per_step(X, X[:, 0] + X[:, 1], settings)
        base = np.array(times["hand-written loop, fused Adam"])
        report.table(
            title,
            ["", "milliseconds", "ratio to the loop"],
            [
                [name, f"{np.median(ms):.3f}", f"{np.median(np.array(ms) / base):.2f}"]
                for name, ms in times.items()
            ],
        )
    report.text(
        f"Medians of {N_REPEATS} turns, in each of which all peers run one after the other; a "
        "ratio is the median of the turns' ratios. Fits are whole: scaling, building and checks "
        "are in the time."
    )


# -- memory


def megabytes_of_fit(n_samples: int, n_features: int, early_stopping: bool, answer: Any) -> None:
    """Fit in a process of its own; answer with the peak of its memory above the data's."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    X = np.empty((n_samples, n_features), dtype=np.float32)
    for start in range(0, n_samples, 10_000):  # no temporary copy that would hide the peak
        X[start : start + 10_000] = rng.standard_normal((10_000, n_features), dtype=np.float32)
    y = X[:, 0].copy()
    model = SupervisedAutoencoder(
        max_iter=1, batch_size=1024, early_stopping=early_stopping, random_state=0
    )
    model.fit(X[:2000], y[:2000])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model.fit(X, y)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer.put(((after - before) / 1024, X.nbytes / 2**20))


def memory(report: Report) -> None:
    """Measure the peak memory of fitting a large table of float32."""
    context = multiprocessing.get_context("spawn")
    rows = []
    for early_stopping in (False, True):
        answer = context.Queue()
        arguments = (1_000_000, 50, early_stopping, answer)
        process = context.Process(target=megabytes_of_fit, args=arguments)
        process.start()
        extra, size = answer.get()
        process.join()
        setting = f"`early_stopping={early_stopping}`"
        rows.append([setting, f"{size:.0f}", f"{extra:.0f}", f"{extra / size:.2f}"])
    report.table(
        "Memory of fitting 1,000,000 × 50 of float32, batch 1024",
        ["", "X (MiB)", "peak beside X (MiB)", "ratio"],
        rows,
    )
    report.text(
        "Peak resident memory of the process above its peak before the fit. One copy of X is the "
        "scaled table; the rest is y, the order of rows and the network's own. Early stopping "
        "adds a key, a group and a side for each row."
    )


# -- a chain


def stages_one_by_one(data: Any, max_iter: int) -> float:
    """Fit the stages of the default chain by hand; give the seconds of the fits alone."""
    columns = list(data.crystals.columns)
    first = SupervisedAutoencoder(max_iter=max_iter, random_state=0)
    second = SupervisedAutoencoder(alpha="auto", max_iter=max_iter, random_state=0)
    start = time.perf_counter()
    first.fit(data.crystals, data.gap)
    seconds = time.perf_counter() - start
    latents = pd.DataFrame(first.transform(data.devices[columns])).add_prefix("latent")
    table = pd.concat([data.devices.drop(columns=columns), latents], axis=1)
    start = time.perf_counter()
    second.fit(table, data.pce)
    return seconds + time.perf_counter() - start


def chains(report: Report) -> None:
    """Compare the fit of a chain with the fits of its stages."""
    data = perovskites()
    rows = []
    for max_iter in (10, 100, 300):
        times = []
        for _ in range(N_REPEATS):
            start = time.perf_counter()
            NestedAutoencoder(max_iter=max_iter, random_state=0).fit(data.data, data.target)
            whole = time.perf_counter() - start
            times.append((whole, stages_one_by_one(data, max_iter)))
        whole, parts = np.median(times, axis=0)
        ratio = np.median([a / b for a, b in times])
        rows.append([f"{max_iter}", f"{whole:.2f}", f"{parts:.2f}", f"{ratio:.2f}"])
    report.table(
        "The default chain of 494 crystals and 2018 solar cells",
        ["epochs", "seconds", "seconds of its stages' fits", "ratio"],
        rows,
    )
    report.text(
        f"Medians of {N_REPEATS} turns of both. The chain also stacks the tables and encodes the "
        "solar cells; so many of them are alike that it encodes few."
    )


if __name__ == "__main__":
    REPORT = Report("speed", __doc__)
    steps(REPORT)
    chains(REPORT)
    memory(REPORT)
    REPORT.close()
