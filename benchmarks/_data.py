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
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR

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


def behind_scaling(task: Task, model: Any) -> Any:
    """Give a model scaled numbers, one-hot categories and, in a regression, a scaled target."""
    columns = StandardScaler()
    if hasattr(task.X, "columns"):
        columns = make_column_transformer(
            (StandardScaler(), make_column_selector(dtype_include="number")),
            (
                OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                make_column_selector(dtype_include="category"),
            ),
        )
    pipeline = make_pipeline(columns, model)
    if task.is_classification:
        return pipeline
    return TransformedTargetRegressor(pipeline, transformer=StandardScaler())


def perceptron(task: Task, **parameters: Any) -> Any:
    """Make scikit-learn's multi-layer perceptron, with what it needs: scaling and iterations."""
    # By default it stops after 200 iterations, or as soon as 10 of them bring little.
    settings = {"max_iter": 2000, "n_iter_no_change": 50, "random_state": 0, **parameters}
    kind = MLPClassifier if task.is_classification else MLPRegressor
    return behind_scaling(task, kind(**settings))


def support_vectors(task: Task) -> Any:
    """Make a support vector machine, its settings chosen within the training rows."""
    if task.is_classification:
        return behind_scaling(task, GridSearchCV(SVC(), {"C": [1, 10, 100]}))
    grid = {"C": [1, 10, 100], "epsilon": [0.01, 0.1]}
    folds = KFold(5, shuffle=True, random_state=0)
    return behind_scaling(task, GridSearchCV(SVR(), grid, cv=folds))


def gaussian_process(task: Task) -> Any:
    """Make a Gaussian process with noise, and a length scale for each column."""
    kernel = RBF(np.ones(task.X.shape[1])) + WhiteKernel()
    return behind_scaling(task, GaussianProcessRegressor(kernel))


def boosting(task: Task, **parameters: Any) -> Any:
    """Make gradient boosting, which takes categories as they are."""
    is_classifier = task.is_classification
    kind = HistGradientBoostingClassifier if is_classifier else HistGradientBoostingRegressor
    return kind(random_state=0, **parameters)


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
