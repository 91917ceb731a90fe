"""Time of a training step, of a fit, of many networks at once, of a chain, and peak memory."""

from __future__ import annotations

import gc
import multiprocessing
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import joblib
import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sknestedae import (
    NestedAutoencoder,
    ScaleKFold,
    SupervisedAutoencoder,
    stack_scales,
    stage_scorer,
)
from sknestedae._training._concurrent import run_concurrently
from sknestedae._training._net import AutoencoderNet
from sknestedae.model_selection import BatchedGridSearchCV, batched_cross_validate

from ._data import perovskites
from ._peers import PEERS
from ._report import Report
from .accuracy import PAPER
from .paper import PAPER_CRYSTAL, PAPER_DEVICE

N_REPEATS = 9
N_TURNS = 3


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


# -- whole fits


def without_closed_form(call: Callable[[], Any]) -> Any:
    """Call with gradients by automatic differentiation alone, as they were before."""
    with patch.object(AutoencoderNet, "_make_closed_form", lambda net: None):
        return call()


def parts_of_fit(call: Callable[[], Any]) -> tuple[float, float]:
    """Give the seconds of a fit, and the share of them that is not training."""
    spent = 0.0
    train = AutoencoderNet.train

    def timed(net: AutoencoderNet, *arguments: Any) -> AutoencoderNet:
        nonlocal spent
        start = time.perf_counter()
        try:
            return train(net, *arguments)
        finally:
            spent += time.perf_counter() - start

    start = time.perf_counter()
    with patch.object(AutoencoderNet, "train", timed):
        call()
    seconds = time.perf_counter() - start
    return seconds, 1 - spent / seconds


def fits(report: Report) -> None:
    """Time fits with default settings, and what of them is not training."""
    data = perovskites()
    rng = np.random.default_rng(0)
    large = rng.standard_normal((100_000, 50), dtype=np.float32)
    cases: list[tuple[str, Any, Any]] = [
        ("crystals, 494 × 15", data.crystals, data.gap),
        ("solar cells, 2018 × 17", data.devices, data.pce),
        ("500 × 15", large[:500, :15], large[:500, 0]),
        ("100,000 × 50", large, large[:, 0]),
    ]
    rows = []
    for title, X, y in cases:
        fit = partial(SupervisedAutoencoder(random_state=0).fit, X, y)
        n_turns = N_TURNS if len(X) < 10_000 else 1
        found = []
        for _ in range(n_turns):
            seconds, rest = parts_of_fit(fit)
            before = without_closed_form(partial(parts_of_fit, fit))[0] if n_turns > 1 else np.nan
            found.append((seconds, before, seconds / before, rest))
        seconds, before, ratio, rest = np.median(found, axis=0)
        old = ["", ""] if np.isnan(before) else [f"{before:.2f}", f"{ratio:.2f}"]
        rows.append([title, f"{seconds:.2f}", *old, f"{100 * rest:.1f} %"])
        print(rows[-1], flush=True)
    columns = ["", "seconds", "by automatic differentiation", "ratio", "not training"]
    report.table("Fits with default settings", columns, rows)
    report.text(
        f"Medians of {N_TURNS} turns of both, of the largest table one. Not training: reading and "
        "checking the table, keys of rows, the network's making, and what is learnt of latents "
        "and errors at the end."
    )


# -- sizes


def peak_of(call: Callable, *arguments: Any) -> tuple[Any, float]:
    """Call in a process of its own; give the value and the peak of its memory in MiB."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=answer_with_peak, args=(answer, call, *arguments))
    process.start()
    value, peak = answer.get()
    process.join()
    return value, peak


def answer_with_peak(answer: Any, call: Callable, *arguments: Any) -> None:
    """Call, and answer with the value and the peak of memory above that before."""
    torch.set_num_threads(1)
    threadpool_limits(1)
    run = call(*arguments)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew (Linux)
    before = resident("VmRSS")
    value = run()
    answer.put((value, resident("VmHWM") - before))


def resident(kind: str) -> float:
    """Give the resident memory of this process, now (VmRSS) or at its peak (VmHWM), in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == kind:
            return int(value.split()[0]) / 1024
    raise KeyError(kind)


def table_of(n_samples: int, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Make a table of float32, without a temporary copy that would hide the peak."""
    rng = np.random.default_rng(0)
    X = np.empty((n_samples, n_features), dtype=np.float32)
    for start in range(0, n_samples, 10_000):
        rows = slice(start, min(start + 10_000, n_samples))
        X[rows] = rng.standard_normal((rows.stop - start, n_features), dtype=np.float32)
    return X, X[:, 0].copy()


def fit_to_measure(peer: str, n_samples: int, n_features: int, settings: dict) -> Any:
    """Prepare a fit of a peer; give what runs it and times it."""
    X, y = table_of(n_samples, n_features)
    PEERS[peer](X[:2000], y[:2000], **{**settings, "max_iter": 1})

    def run() -> float:
        start = time.perf_counter()
        PEERS[peer](X, y, **settings)
        return time.perf_counter() - start

    return run


def sizes(report: Report) -> None:
    """Compare time and memory with the hand-written loop over numbers of rows and columns."""
    cases = [(n, 50) for n in (1_000, 10_000, 100_000, 1_000_000)]
    cases += [(20_000, n) for n in (10, 100, 1000)]
    rows = []
    for n_samples, n_features in cases:
        settings = {"hidden": (100,), "batch_size": 1024}
        settings["batch_size"] = min(1024, n_samples // 10)
        settings["max_iter"] = max(100_000 // n_samples, 1)
        found: dict[str, list[tuple[float, float]]] = {"hand-written loop": [], "ours": []}
        names = ["hand-written loop, fused Adam", "ours"]
        for _ in range(N_TURNS):
            for name, results in zip(names, found.values(), strict=True):
                results.append(peak_of(fit_to_measure, name, n_samples, n_features, settings))
        seconds, peaks = np.median(np.array(list(found.values())), axis=1).T
        turns = [
            a[0] / b[0] for a, b in zip(found["ours"], found["hand-written loop"], strict=True)
        ]
        size = n_samples * n_features * 4 / 2**20
        rows.append(
            [
                f"{n_samples:,} × {n_features}",
                f"{settings['batch_size']}",
                f"{n_samples * settings['max_iter'] / seconds[1]:,.0f}",
                f"{np.median(turns):.2f}",
                f"{size:.1f}",
                f"{peaks[1]:.1f}",
                f"{peaks[0]:.1f}",
            ]
        )
        print(rows[-1], flush=True)
    report.table(
        "A fit of float32, hidden layers of 100",
        [
            "rows × columns",
            "batch",
            "rows a second",
            "time by that of the loop",
            "X (MiB)",
            "peak beside X (MiB)",
            "the loop's",
        ],
        rows,
    )
    report.text(
        f"Medians of {N_TURNS} turns, each fit in a process of its own. The peak is the resident "
        "memory of the process above that before the fit: one copy of X is the scaled table, the "
        "rest is y, the order of rows, a few batches, and what the allocator keeps."
    )


def early_stopping_memory(n_samples: int, n_features: int) -> Any:
    """Prepare a fit with rows held out."""
    X, y = table_of(n_samples, n_features)
    model = SupervisedAutoencoder(max_iter=1, batch_size=1024, early_stopping=True, random_state=0)
    model.fit(X[:2000], y[:2000])
    return lambda: model.fit(X, y).n_iter_


def memory(report: Report) -> None:
    """Measure the peak memory of fitting a large table with early stopping."""
    _, peak = peak_of(early_stopping_memory, 1_000_000, 50)
    size = 1_000_000 * 50 * 4 / 2**20
    report.text(
        f"With `early_stopping=True` a fit of 1,000,000 × 50 takes {peak:.0f} MiB beside X, "
        f"{peak / size:.2f} times X: it keeps a key, a group and a side for each row."
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
        for _ in range(N_TURNS):
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
        f"Medians of {N_TURNS} turns of both. The chain also stacks the tables and encodes the "
        "solar cells; so many of them are alike that it encodes few."
    )


# -- many networks at once


def band_gap_search(max_iter: int) -> dict[str, Any]:
    """Give the arguments of a search over 20 candidates of the paper's band-gap network."""
    grid = {"l1": [0.003, 0.01, 0.03, 0.1], "prediction_weight": [0.5, 1, 1.3, 2, 3]}
    return {
        "estimator": SupervisedAutoencoder(**{**PAPER, "max_iter": max_iter}, random_state=0),
        "param_grid": grid,
        "cv": KFold(5, shuffle=True, random_state=0),
        "refit": False,
    }


def searches(report: Report) -> None:
    """Compare a search with scikit-learn's: the same candidates, folds, seeds and scores."""
    data = perovskites()
    X, y = data.crystals.to_numpy(), data.gap.to_numpy()
    arguments = band_gap_search(max_iter=60)
    # the same widths but for the decoder, the same number of epochs and of candidates
    perceptron = make_pipeline(
        StandardScaler(),
        MLPRegressor(
            hidden_layer_sizes=(PAPER["n_components"], *PAPER["predictor_hidden_layer_sizes"]),
            batch_size=PAPER["batch_size"],
            max_iter=arguments["estimator"].max_iter,
            n_iter_no_change=arguments["estimator"].max_iter,
            random_state=0,
        ),
    )
    grid = {"mlpregressor__alpha": np.logspace(-5, 0, 20)}
    of_perceptron = {**arguments, "estimator": perceptron, "param_grid": grid}
    searched = {
        "`GridSearchCV(n_jobs=2)` of MLPRegressor, no decoder": GridSearchCV(
            **of_perceptron, n_jobs=2
        ),
        "`GridSearchCV(n_jobs=2)`": GridSearchCV(**arguments, n_jobs=2),
        "`BatchedGridSearchCV()`": BatchedGridSearchCV(**arguments),
        "`BatchedGridSearchCV(n_jobs=2)`": BatchedGridSearchCV(**arguments, n_jobs=2),
    }
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        joblib.Parallel(n_jobs=2)(joblib.delayed(SupervisedAutoencoder)() for _ in range(2))
        times: dict[str, list[float]] = {name: [] for name in searched}
        for _ in range(3):
            for name, search in searched.items():
                start = time.perf_counter()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    search.fit(X, y)
                times[name].append(time.perf_counter() - start)
    _, first, *others = searched.values()
    scores = first.cv_results_["mean_test_score"]
    differences = [
        np.abs(search.cv_results_["mean_test_score"] - scores).max() for search in others
    ]
    base = np.array(next(iter(times.values())))
    report.table(
        "5 folds × 20 candidates of the paper's band-gap network, 60 epochs",
        ["", "seconds", "ratio to the perceptrons"],
        [
            [name, f"{np.median(own):.1f}", f"{np.median(np.array(own) / base):.2f}"]
            for name, own in times.items()
        ],
    )
    report.text(
        "Medians of 3 turns on two cores, the workers started before. The mean scores of all our "
        f"candidates differ by {max(differences):.0e} at most."
    )


def networks(report: Report) -> None:
    """Measure time and memory of a network among others."""
    rows = []
    for hidden, batch_size, shape in [((), 10, (395, 15)), ((100,), 32, (500, 15))]:
        counts = (1, 2, 5, 10, 20, 50, 100, 200, 500)
        found = {count: [] for count in counts}
        for _ in range(N_TURNS):
            for count in counts:
                found[count].append(peak_of(networks_to_measure, count, hidden, batch_size, shape))
        for count, results in found.items():
            milliseconds, peak = np.median(results, axis=0)
            first = np.median(found[1], axis=0)[0]
            rows.append(
                [
                    f"{hidden}, {batch_size}",
                    f"{count}",
                    f"{milliseconds:.4f}",
                    f"{first / milliseconds:.1f}",
                    f"{peak:.1f}",
                ]
            )
            print(rows[-1], flush=True)
    report.table(
        "A step of one network among others",
        ["hidden layers, batch", "networks", "milliseconds", "times as fast", "peak (MiB)"],
        rows,
    )
    report.text(
        f"Medians of {N_TURNS} turns, each in a process of its own: networks with the paper's "
        "settings but for their width, in float64, each with a seed of its own, of one table. "
        "The peak is the memory above that before, all networks, fits and results together."
    )


def networks_to_measure(
    count: int, hidden: tuple[int, ...], batch_size: int, shape: tuple[int, int]
) -> Any:
    """Prepare fits that run together; give what runs and times them."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal(shape)
    y = X[:, 0] + X[:, 1]
    settings = {**PAPER, "hidden_layer_sizes": hidden, "batch_size": batch_size, "max_iter": 20}

    def fits(n_networks: int, **changes: Any) -> list[Callable]:
        models = [
            SupervisedAutoencoder(**{**settings, **changes}, random_state=seed)
            for seed in range(n_networks)
        ]
        return [partial(model.fit, X, y) for model in models]

    run_concurrently(fits(2, max_iter=2))
    n_steps = settings["max_iter"] * -(-len(X) // batch_size)

    def run() -> float:
        start = time.perf_counter()
        run_concurrently(fits(count))
        return (time.perf_counter() - start) / count / n_steps * 1e3

    return run


def table_1(report: Report) -> None:
    """Time the whole of the paper's Table 1: both stages, five folds, 1500 epochs each."""
    data = perovskites()
    names = ["crystal", "device"]
    X, y = stack_scales([data.crystals, data.devices], [data.gap, data.pce], names)
    nae = NestedAutoencoder(
        [
            ("crystal", SupervisedAutoencoder(**PAPER_CRYSTAL), "crystal"),
            ("device", SupervisedAutoencoder(**PAPER_DEVICE), "device"),
        ],
        random_state=0,
    )
    scoring = {
        name: stage_scorer(mean_absolute_error, name, greater_is_better=False) for name in names
    }
    folds = ScaleKFold(5, shuffle=True, random_state=0)
    rows = []
    for n_jobs in (None, 2):
        start = time.perf_counter()
        scores = batched_cross_validate(nae, X, y, cv=folds, scoring=scoring, n_jobs=n_jobs)
        seconds = time.perf_counter() - start
        errors = [f"{-scores[f'test_{name}'].mean():.3f}" for name in names]
        rows.append([f"`batched_cross_validate(n_jobs={n_jobs})`", f"{seconds:.0f}", *errors])
        print(rows[-1], flush=True)
    report.table(
        "Table 1 of the paper: both stages, five folds, 1500 epochs each",
        ["", "seconds", "gap, MAE (eV)", "efficiency, MAE"],
        rows,
    )
    report.text(
        "With the paper's settings. Five fits of the published code took its authors 38 minutes "
        "for the first stage and 32 for the second, by the time stamps of its logs."
    )


if __name__ == "__main__":
    Report(
        "speed",
        __doc__,
        parts=(steps, fits, sizes, memory, searches, networks, table_1, chains),
    ).run()
