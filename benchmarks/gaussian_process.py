"""A Gaussian process in place of the network's predictor: accuracy, and its standard deviation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from mapie.regression import CrossConformalRegressor
from scipy.stats import spearmanr
from sklearn.datasets import load_diabetes, make_friedman1, make_friedman2, make_friedman3
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline

from sknestedae import SupervisedAutoencoder
from sknestedae.model_selection import batched_training

from ._data import Task, perovskites, two_fidelities
from ._report import Report
from .uncertainty import Z_LEVEL, encoded

# What the process predicts does not depend on the network beside it, so that one epoch is enough
# where nothing else is asked for.
PROCESS = {"predictor": "gaussian_process", "max_iter": 1}
OURS, NETWORK = "Gaussian process", "network"
N_SPLITS = 5


def hydration() -> tuple[pd.DataFrame, np.ndarray]:
    """Give descriptors of molecules, and their measured free energies of hydration (kcal/mol)."""
    table = pd.read_csv(two_fidelities("freesolv.csv"))
    return table.drop(columns=["smiles", "expt", "calc"]), table["expt"].to_numpy()


def measured_gaps() -> tuple[pd.DataFrame, np.ndarray]:
    """Give descriptors of compounds, and their measured gaps (eV)."""
    table = pd.read_csv(two_fidelities("expt_gap_1000.csv"))
    return table.drop(columns=["composition", "gap_eV"]), table["gap_eV"].to_numpy()


def tasks() -> list[Task]:
    """Give tables of numbers to predict: the three of the accuracy benchmark, and five more."""
    data = perovskites()

    def made(make: Callable, name: str) -> Task:
        X, y = make(n_samples=500, noise=0.1, random_state=0)
        return Task(name, X, y + 0.3 * y.std() * np.random.RandomState(0).normal(size=500), False)

    return [
        Task("diabetes", *load_diabetes(return_X_y=True), False),
        Task("band gap", data.crystals.to_numpy(), data.gap.to_numpy(), False),
        Task("efficiency", data.devices, data.pce.to_numpy(), False, data.device_composition),
        Task("hydration, measured", *hydration(), False),
        Task("band gap, measured", *measured_gaps(), False),
        made(make_friedman1, "friedman1"),
        made(make_friedman2, "friedman2"),
        made(make_friedman3, "friedman3"),
    ]


def models(X: Any) -> dict[str, Any]:
    """Make our three predictors, and peers."""
    peers = {
        "ridge": RidgeCV(np.logspace(-3, 3, 13)),
        "forest": RandomForestRegressor(200, random_state=0),
        "ExtraTrees": ExtraTreesRegressor(200, random_state=0),
        "boosting": HistGradientBoostingRegressor(random_state=0),
    }
    frame = pd.DataFrame(X)
    return {
        NETWORK: SupervisedAutoencoder(predictor="network", random_state=0),
        OURS: SupervisedAutoencoder(**PROCESS, random_state=0),
        '`"auto"`': SupervisedAutoencoder(**{**PROCESS, "predictor": "auto"}, random_state=0),
        **{name: make_pipeline(encoded(frame), peer) for name, peer in peers.items()},
    }


def unexplained(task: Task) -> tuple[dict[str, float], list[str], list[float]]:
    """Give 1 - R² of each model over five folds; what "auto" chose; the leave-one-out R²."""
    found: dict[str, list[float]] = {}
    chosen, scores = [], []
    X = task.X if hasattr(task.X, "iloc") else pd.DataFrame(task.X)
    task = Task(task.name, X, task.y, False, task.groups)
    for X_train, y_train, X_test, y_test in task.folds():
        for name, model in models(X).items():
            model.fit(X_train, y_train)
            if name == '`"auto"`':
                chosen.append(model.predictor_)
                if model.predictor_ == "network":  # whose predictions need all epochs
                    found.setdefault(name, []).append(found[NETWORK][-1])
                    continue
            elif name == OURS:
                scores.append(model.leave_one_out_score_)
            found.setdefault(name, []).append(1 - r2_score(y_test, model.predict(X_test)))
    return {name: float(np.mean(v)) for name, v in found.items()}, chosen, scores


def report_accuracy(report: Report) -> None:
    """Compare the predictors on tables of one scale."""
    rows, ratios = [], []
    for task in tasks():
        found, chosen, scores = unexplained(task)
        ratios.append([value / found[NETWORK] for value in found.values()])
        best = min(found, key=found.__getitem__)
        row = [f"**{v:.3f}**" if name == best else f"{v:.3f}" for name, v in found.items()]
        n_process = sum(choice == "gaussian_process" for choice in chosen)
        rows.append([task.name, *row, f"{n_process} of {len(chosen)}", f"{np.mean(scores):.3f}"])
    mean = np.exp(np.mean(np.log(ratios), axis=0))
    rows.append(["geometric mean of ratios to the network", *(f"{m:.2f}" for m in mean), "", ""])
    report.table(
        "1 - R² on tables of one scale, by what predicts",
        ["data", *found, '`"auto"` takes the process', "its leave-one-out R²"],
        rows,
    )
    report.text(
        "Means over five shuffled folds; the efficiency by composition. The network is that "
        "of the default `SupervisedAutoencoder`. Functions of Friedman: 500 rows, with noise of "
        "0.3 standard deviations."
    )


def deviations(X: pd.DataFrame, y: np.ndarray, train, test) -> dict[str, tuple]:
    """Give prediction, and half the width of an interval of 90 %, of each method."""
    X_train, y_train, X_test = X.iloc[train], y[train], X.iloc[test]
    ours = SupervisedAutoencoder(**PROCESS, random_state=0).fit(X_train, y_train)
    ensemble = SupervisedAutoencoder(
        predictor="network", n_members=5, bootstrap=True, random_state=0
    )
    forest = RandomForestRegressor(200, random_state=0).fit(X_train, y_train)
    trees = [tree.predict(X_test.to_numpy()) for tree in forest.estimators_]
    mapie = CrossConformalRegressor(
        SupervisedAutoencoder(predictor="network", random_state=0),
        confidence_level=0.9,
        cv=KFold(5, shuffle=True, random_state=0),
    )
    with batched_training():
        mapie.fit_conformalize(X_train, y_train)
    mean, intervals = mapie.predict_interval(X_test)
    found = {
        f"{OURS}, `return_std`": ours.predict(X_test, return_std=True),
        "networks, spread of 5": ensemble.fit(X_train, y_train).predict(X_test, return_std=True),
        "forest, spread of trees": (np.mean(trees, axis=0), np.std(trees, axis=0)),
    }
    halves = {name: (own, Z_LEVEL * std) for name, (own, std) in found.items()}
    return {**halves, "network, MAPIE": (mean, np.ptp(intervals[:, :, 0], axis=1) / 2)}


def judged(X: pd.DataFrame, y: np.ndarray, n_train: int | None) -> dict[str, np.ndarray]:
    """Give coverage, rank correlation, mean width and MAE of each method, means over splits."""
    splitter: Any = KFold(5, shuffle=True, random_state=0)
    if n_train is not None:
        splitter = ShuffleSplit(N_SPLITS, train_size=n_train, random_state=0)
    values: dict[str, list] = {}
    for train, test in splitter.split(X):
        for name, (mean, half) in deviations(X, y, train, test).items():
            error = np.abs(y[test] - mean)
            rank = spearmanr(half, error).statistic if np.ptp(half) > 0 else np.nan
            own = [100 * np.mean(error <= half), rank, 2 * half.mean(), error.mean()]
            values.setdefault(name, []).append(own)
    return {name: np.mean(own, axis=0) for name, own in values.items()}


def report_deviations(report: Report) -> None:
    """Compare standard deviations without calibration, and MAPIE's intervals, on three tables."""
    data = perovskites()
    cases = [
        ("crystals, four of five folds", data.crystals, data.gap.to_numpy(), None),
        ("hydration, 300 rows", *hydration(), 300),
        ("measured gaps, 400 rows", *measured_gaps(), 400),
    ]
    rows = []
    for name, X, y, n_train in cases:
        for method, (coverage, rank, width, mae) in judged(X, y, n_train).items():
            shown = "" if np.isnan(rank) else f"{rank:.2f}"
            rows.append([name, method, f"{coverage:.0f}", shown, f"{width:.2f}", f"{mae:.3f}"])
    report.table(
        "Intervals of nominal 90 %",
        ["data", "method", "coverage (%)", "rank correlation", "mean width", "MAE"],
        rows,
    )
    report.text(
        "The prediction ± 1.645 standard deviations, without calibration, and MAPIE's "
        "`CrossConformalRegressor` with five folds around one network. Means over five splits; "
        "the rank correlation is Spearman's, of the width with the absolute error."
    )


if __name__ == "__main__":
    REPORT = Report("gaussian_process", __doc__)
    report_accuracy(REPORT)
    report_deviations(REPORT)
    REPORT.close()
