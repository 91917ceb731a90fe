"""The data sets of the benchmarks, the folds, and the peers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sknestedae import SupervisedAutoencoder, SupervisedAutoencoderClassifier
from sknestedae.datasets import fetch_bepfm, fetch_perovskites


@dataclass(frozen=True)
class Task:
    """A table, its target, and the folds it is judged in."""

    name: str
    X: Any
    y: np.ndarray
    is_classification: bool
    groups: Any = None

    def folds(self) -> Iterator[tuple[Any, np.ndarray, Any, np.ndarray]]:
        """Give training and held-out rows of five shuffled folds; groups are kept together."""
        kind = StratifiedKFold if self.is_classification else KFold
        if self.groups is not None:
            kind = GroupKFold
        splitter = kind(5, shuffle=True, random_state=0)
        for train, test in splitter.split(self.X, self.y, self.groups):
            rows = self.X.iloc if hasattr(self.X, "iloc") else self.X
            yield rows[train], self.y[train], rows[test], self.y[test]


def perovskites() -> Any:
    """Give the paper's data, from SKNESTEDAE_DATA or the cache."""
    return fetch_perovskites(data_home=os.environ.get("SKNESTEDAE_DATA"))


def piezoresponse() -> np.ndarray:
    """Give the map of spectra (32, 32, 102), from SKNESTEDAE_DATA or the cache."""
    return fetch_bepfm(data_home=os.environ.get("SKNESTEDAE_DATA")).cube


def two_fidelities(name: str) -> Path:
    """Give where a table of ``multifidelity/`` in SKNESTEDAE_DATA would be."""
    return Path(os.environ.get("SKNESTEDAE_DATA", ""), "multifidelity", name)


def tasks() -> list[Task]:
    """Give six small data sets: three of numbers to predict, three of classes."""
    data = perovskites()
    return [
        Task("diabetes", *load_diabetes(return_X_y=True), False),
        Task("band gap", data.crystals.to_numpy(), data.gap.to_numpy(), False),
        # Replicates of one composition would be on both sides of a split by rows.
        Task("efficiency", data.devices, data.pce.to_numpy(), False, data.device_composition),
        Task("breast cancer", *load_breast_cancer(return_X_y=True), True),
        Task("wine", *load_wine(return_X_y=True), True),
        Task("digits", *load_digits(return_X_y=True), True),
    ]


def autoencoder(task: Task, **parameters: Any) -> Any:
    """Make the supervised autoencoder that suits a task."""
    if task.is_classification:
        return SupervisedAutoencoderClassifier(random_state=0, **parameters)
    return SupervisedAutoencoder(random_state=0, **parameters)


def perceptron(task: Task) -> Any:
    """Make scikit-learn's multi-layer perceptron behind the scaling that it needs."""
    network = (MLPClassifier if task.is_classification else MLPRegressor)(random_state=0)
    if not hasattr(task.X, "columns"):
        return make_pipeline(StandardScaler(), network)
    columns = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")),
    )
    return make_pipeline(columns, network)


def mean_score(task: Task, make: Callable[[Task], Any]) -> tuple[float, float]:
    """Give the mean score (R² or accuracy) over folds, and the mean seconds of a fit."""
    scores, seconds = [], []
    for X_train, y_train, X_test, y_test in task.folds():
        model = make(task)
        assert is_classifier(model) == task.is_classification
        start = time.perf_counter()
        model.fit(X_train, y_train)
        seconds.append(time.perf_counter() - start)
        scores.append(model.score(X_test, y_test))
    return float(np.mean(scores)), float(np.mean(seconds))
