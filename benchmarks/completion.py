"""Completion of tables: the estimators' against scikit-learn's imputers, on the same masks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.model_selection import GroupKFold, KFold
from sklearn.preprocessing import StandardScaler

from sknestedae import NestedAutoencoder, SupervisedAutoencoder

from ._data import perovskites
from ._report import Report

FRACTIONS = (0.1, 0.3, 0.5)
LAYERS = ["ETL", "HTL"]


class Constant:
    """SimpleImputer: the mean or median of a number, the most frequent category."""

    def __init__(self, strategy: str) -> None:
        self.strategy = strategy

    def fit(self, X: pd.DataFrame) -> Constant:
        constants = [
            SimpleImputer(strategy=self.strategy if X[c].dtype.kind == "f" else "most_frequent")
            for c in X
        ]
        self.fill = {
            c: imputer.fit(X[[c]]).statistics_[0] for c, imputer in zip(X, constants, strict=True)
        }
        return self

    def complete(self, X: pd.DataFrame) -> pd.DataFrame:
        return X.fillna(self.fill)


class Imputation:
    """An imputer of scikit-learn on scaled numbers and one-hot categories.

    A category is missing as a whole, and becomes the one with the largest imputed value; or, with
    a classifier, the one that it predicts from the other columns, as they were imputed.
    """

    def __init__(self, imputer: Any, classifier: Any = None) -> None:
        self.imputer = imputer
        self.classifier = classifier

    def fit(self, X: pd.DataFrame) -> Imputation:
        self.numeric = [c for c in X if X[c].dtype.kind == "f"]
        self.categories = {c: X[c].cat.categories for c in X if c not in self.numeric}
        ends = np.cumsum([len(self.numeric), *map(len, self.categories.values())])
        self.groups = dict(zip(self.categories, map(slice, ends[:-1], ends[1:]), strict=True))
        self.scaler = StandardScaler().fit(X[self.numeric])
        values = self._encode(X)
        if isinstance(self.imputer, IterativeImputer):  # else a linear one runs away
            self.imputer.set_params(min_value=values.min(axis=0), max_value=values.max(axis=0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is to make all of its rounds
            self.imputer.set_params(keep_empty_features=True).fit(values)
        if self.classifier is not None:
            self.classifiers = {
                c: clone(self.classifier).fit(np.delete(values, group, axis=1), X[c])
                for c, group in self.groups.items()
            }
        return self

    def _encode(self, X: pd.DataFrame) -> np.ndarray:
        parts = [self.scaler.transform(X[self.numeric])]
        for column, categories in self.categories.items():
            one_hot = (X[column].to_numpy()[:, None] == categories.to_numpy()).astype(float)
            one_hot[X[column].isna()] = np.nan
            parts.append(one_hot)
        return np.hstack(parts)

    def complete(self, X: pd.DataFrame) -> pd.DataFrame:
        values = self.imputer.transform(self._encode(X))
        numbers = self.scaler.inverse_transform(values[:, : len(self.numeric)])
        filled = pd.DataFrame(numbers, X.index, self.numeric)
        for column, group in self.groups.items():
            if self.classifier is None:
                given = self.categories[column][values[:, group].argmax(axis=1)]
            else:
                given = self.classifiers[column].predict(np.delete(values, group, axis=1))
            filled[column] = pd.Categorical(given, self.categories[column])
        return filled[list(X)].where(X.isna(), X)


class Chain:
    """A chain over crystals and devices, which completes devices."""

    def __init__(self, data: Any, train_rows: str) -> None:
        self.data = data
        stages = [
            ("crystal", SupervisedAutoencoder(12, random_state=0), "crystal"),
            ("device", SupervisedAutoencoder(18, max_iter=200, random_state=0), "device"),
        ]
        self.chain = NestedAutoencoder(stages, train_rows=train_rows)

    def fit(self, X: pd.DataFrame) -> Chain:
        target = [self.data.gap, self.data.pce[X.index]]
        self.chain.fit([self.data.crystals.astype(float), X], target)
        return self

    def complete(self, X: pd.DataFrame) -> pd.DataFrame:
        return self.chain.complete([self.data.crystals.astype(float).iloc[:1], X])[1]


class Single:
    """One autoencoder of all columns."""

    def __init__(self, y: pd.Series, n_components: int) -> None:
        self.y = y
        self.autoencoder = SupervisedAutoencoder(n_components, max_iter=200, random_state=0)

    def fit(self, X: pd.DataFrame) -> Single:
        self.autoencoder.fit(X, self.y[X.index])
        return self

    def complete(self, X: pd.DataFrame) -> pd.DataFrame:
        return self.autoencoder.complete(X)


def imputers() -> dict[str, Callable[[], Any]]:
    """Give makers of the peers.

    Without missing values in ``fit`` the rounds of IterativeImputer agree at once, and it would
    keep one; ``tol=0`` keeps them all.
    """
    forest = {"n_estimators": 20, "random_state": 0}

    def iterative(max_iter: int, **parameters: Any) -> IterativeImputer:
        return IterativeImputer(max_iter=max_iter, tol=0, random_state=0, **parameters)

    return {
        "mean": lambda: Constant("mean"),
        "median": lambda: Constant("median"),
        "KNN 5": lambda: Imputation(KNNImputer()),
        "KNN 15": lambda: Imputation(KNNImputer(n_neighbors=15, weights="distance")),
        "linear": lambda: Imputation(iterative(10)),
        "trees": lambda: Imputation(
            iterative(5, estimator=ExtraTreesRegressor(**forest)), ExtraTreesClassifier(**forest)
        ),
    }


def masks(X: pd.DataFrame, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Give what is hidden: entries at random, and whole scales."""
    rng = np.random.RandomState(seed)
    for fraction in FRACTIONS:
        yield f"{fraction:.0%} at random", rng.uniform(size=X.shape) < fraction
    is_layer = X.columns.isin(LAYERS)
    if is_layer.any():
        yield "all of the device scale", np.broadcast_to(is_layer, X.shape)
        yield "all of the crystal scale", np.broadcast_to(~is_layer, X.shape)


def errors(X: pd.DataFrame, filled: pd.DataFrame, hidden: np.ndarray, scale: pd.Series) -> dict:
    """Give for each column the sums over hidden entries of errors, of their squares, and of 1.

    The error of a number is in standard deviations, that of a category 1 where it is wrong.
    """
    sums = {}
    for j, column in enumerate(X):
        rows = hidden[:, j]
        true, given = X[column].to_numpy()[rows], filled[column].to_numpy()[rows]
        is_number = X[column].dtype.kind == "f"
        wrong = np.abs(true - given) / scale[column] if is_number else true != given
        sums[column] = np.array([wrong.sum(), (wrong**2).sum(), rows.sum()], dtype=float)
    return sums


def run(X: pd.DataFrame, folds: Any, models: dict[str, Callable[[], Any]]) -> dict:
    """Give the errors of every model, mask and column, pooled over folds."""
    pooled: dict = {}
    for k, (train, test) in enumerate(folds):
        scale = X.iloc[train].std(numeric_only=True).replace(0, 1)
        fitted = {name: make().fit(X.iloc[train]) for name, make in models.items()}
        held_out = X.iloc[test]
        for what, hidden in masks(held_out, k):
            shown = held_out.mask(pd.DataFrame(hidden, held_out.index, held_out.columns))
            for name, model in fitted.items():
                filled = model.complete(shown)
                for column, sums in errors(held_out, filled, hidden, scale).items():
                    key = (what, name, column)
                    pooled[key] = pooled.get(key, 0) + sums
    return pooled


def of_kind(pooled: dict, what: str, name: str, columns: list[str], measure: str = "MAE") -> float:
    """Give the mean error over the hidden entries of some columns, or the root mean square."""
    total, squares, n = np.sum([pooled[what, name, column] for column in columns], axis=0)
    if not n:
        return np.nan
    return total / n if measure == "MAE" else np.sqrt(squares / n)


def show(report: Report, title: str, X: pd.DataFrame, pooled: dict, names: list[str]) -> None:
    """Tabulate errors by kind, and one mask by column."""
    numeric = [c for c in X if X[c].dtype.kind == "f"]
    kinds = [(f"numbers, {measure}", numeric, measure, 3) for measure in ("MAE", "RMS")]
    kinds += [(c, [c], "MAE", 2) for c in X if c not in numeric]
    rows = []
    for what in dict.fromkeys(key[0] for key in pooled):
        for kind, columns, measure, digits in kinds:
            cells = [of_kind(pooled, what, name, columns, measure) for name in names]
            if not np.isnan(cells[0]):
                rows.append([what, kind, *mark_least(cells, digits)])
    report.table(title, ["hidden", "kind", *names], rows)
    rows = [
        [column, *mark_least([of_kind(pooled, "30% at random", n, [column]) for n in names], 3)]
        for column in X
    ]
    report.table(f"{title}, 30% at random, by column", ["column", *names], rows)


def mark_least(values: list[float], digits: int) -> list[str]:
    """Write numbers, the smallest in bold."""
    texts = [f"{value:.{digits}f}" for value in values]
    least = min(texts, key=float)
    return [f"**{text}**" if text == least else text for text in texts]


def main() -> None:
    """Run all parts."""
    report = Report("completion", __doc__)
    report.text(
        "Numbers: mean absolute error (MAE) and root mean square error (RMS) in standard "
        "deviations of the column, by column MAE; categories (ETL, HTL): fraction that is wrong. "
        "Pooled over the hidden entries of five folds' held-out rows; everything is fitted to the "
        "other rows, without missing values. In folds of rows most held-out devices have the very "
        "columns of a device that is known; folds of compositions are the harder question, and "
        "the one that a new material asks."
    )
    report.text(
        "The autoencoders: of crystals with 12 latents and of devices with 18, 200 epochs and "
        "`alpha=0.001` in all of them; a chain that makes its own "
        'stages has `alpha="auto"` in the second one. '
        "The chain learns its first stage on the crystals alone (own) or also on the devices' "
        "columns (all). Widths of the search for latents were chosen on one split of the devices, "
        "which favours the autoencoders a little."
    )
    report.text(
        "The imputers: SimpleImputer with the mean (the best constant in RMS) or the median (in "
        "MAE), and the most frequent category. The others see scaled numbers and one-hot "
        "categories: KNNImputer with 5 neighbours (its default) or 15, weighted by distance; "
        "IterativeImputer with a linear model (its default) in 10 rounds, or with 20 extremely "
        "randomised trees in 5 rounds, and a classifier of such trees for each category. The "
        "linear one learns of one-hot categories that they add up to one, which is of no help "
        "where all of them are missing: it gives the most frequent. Where the layers alone are "
        "known, many rows are equally near, and it depends on the order of the rows which of them "
        "count as neighbours: there the errors of KNNImputer are partly chance."
    )
    data = perovskites()
    crystals, devices = data.crystals.astype(float), data.devices
    models = {"autoencoder": lambda: Single(data.gap, 12), **imputers()}
    pooled = run(crystals, KFold(5, shuffle=True, random_state=0).split(crystals), models)
    show(report, "Crystals, folds of rows", crystals, pooled, list(models))
    models = {
        "autoencoder": lambda: Single(data.pce, 18),
        "chain (own)": lambda: Chain(data, "own"),
        "chain (all)": lambda: Chain(data, "all"),
        **imputers(),
    }
    splits = {
        "folds of rows": KFold(5, shuffle=True, random_state=0).split(devices),
        "folds of compositions": GroupKFold(5, shuffle=True, random_state=0).split(
            devices, groups=data.device_composition
        ),
    }
    for title, folds in splits.items():
        pooled = run(devices, folds, models)
        show(report, f"Devices, {title}", devices, pooled, list(models))
    report.close()


if __name__ == "__main__":
    main()
