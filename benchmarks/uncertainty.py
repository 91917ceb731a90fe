"""How far to trust a prediction: calibrated intervals, deviations, rows out of domain."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from mapie.classification import CrossConformalClassifier
from mapie.conformity_scores import StdConformityScore
from mapie.regression import CrossConformalRegressor
from scipy.stats import spearmanr
from sklearn.compose import make_column_transformer
from sklearn.covariance import EmpiricalCovariance
from sklearn.datasets import load_diabetes, load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, KFold, PredefinedSplit
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sknestedae import NestedAutoencoder, SupervisedAutoencoder, SupervisedAutoencoderClassifier
from sknestedae.datasets import make_nested_functions
from sknestedae.model_selection import batched_training

from ._data import perovskites
from ._report import Report

LEVEL = 0.9
Z_LEVEL = 1.645  # of a normal distribution
N_MEMBERS = 10
OURS = "ensemble"
OURS_BY_SPREAD = "ensemble, by spread"
BY_SEED = "ensemble without bootstrap"
OF_NETWORKS = "ensemble of networks"


@dataclass(frozen=True)
class Case:
    """A table and its target, and how rows are held out of it.

    Parameters
    ----------
    name, unit : str
        Of the target.
    X, y
        Table and target.
    groups : ndarray or None
        With groups, whole ones are held out.
    always : object
        A group that is never held out.
    first : tuple or None
        Table and target of an earlier scale, for a chain; the columns of the first stage are
        those of this table.
    n_splits, max_iter : int
        Number of random splits, and epochs of a fit.
    """

    name: str
    unit: str
    X: pd.DataFrame
    y: np.ndarray
    groups: np.ndarray | None = None
    always: Any = None
    first: tuple[pd.DataFrame, Any] | None = None
    n_splits: int = 6
    max_iter: int = 100

    def splits(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Give a seed, and the rows to learn from and to judge by: a fifth of rows, or groups."""
        names = np.arange(len(self.X)) if self.groups is None else self.groups
        free = np.unique(names[names != self.always] if self.always is not None else names)
        for seed in range(self.n_splits):
            held_out = np.random.RandomState(seed).permutation(free)[: len(free) // 5]
            is_test = np.isin(names, held_out)
            yield seed, np.flatnonzero(~is_test), np.flatnonzero(is_test)

    def folds(self, rows: np.ndarray, seed: int, by: str) -> Any:
        """Give folds to calibrate with, of rows or of groups.

        The group that is never held out is in no fold: all networks learn from it, none is
        calibrated by it, as none is judged by it.
        """
        if by == "rows" or self.groups is None:
            return KFold(5, shuffle=True, random_state=seed)
        groups = self.groups[rows]
        fold = np.full(len(rows), -1)  # learnt from always
        free = np.flatnonzero(groups != self.always)
        dealer = GroupKFold(5, shuffle=True, random_state=seed)
        for k, (_, test) in enumerate(dealer.split(free, groups=groups[free])):
            fold[free[test]] = k
        return PredefinedSplit(fold)


def metals(crystals: pd.DataFrame) -> np.ndarray:
    """Give what is on the B site of each crystal, as a label: one metal, or several."""
    site = crystals.filter(regex="^B_").round(6).astype(str)
    return site.agg("|".join, axis=1).to_numpy()


def nested_functions() -> Case:
    """Give the second scale of generated data, whose first scale has rows of its own."""
    data = make_nested_functions(1000, sampling="independent", random_state=0)
    rng = np.random.RandomState(0)
    table = pd.concat([data.data[0], data.z[["z3", "z4", "z5"]]], axis=1)
    table += 0.1 * table.std().to_numpy() * rng.normal(size=table.shape)
    target = (data.data[1]["f5"] + np.sin(data.z["z5"])).to_numpy()
    target = target + 0.3 * target.std() * rng.normal(size=len(target))
    first = table.iloc[:500, :4], data.z["z1"][:500] * data.z["z2"][:500]
    second = table[500:].reset_index(drop=True)
    return Case("nested functions", "", second, target[500:], first=first)


def regression_cases() -> list[Case]:
    """Give six cases: four of rows that are held out, two of groups."""
    data = perovskites()
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    gap = ("band gap", "eV", data.crystals, data.gap.to_numpy())
    devices = ("efficiency", "%", data.devices, data.pce.to_numpy())
    compositions = data.device_composition.to_numpy()
    big = {"first": (data.crystals, data.gap), "n_splits": 4, "max_iter": 50}
    return [
        Case("diabetes", "", X, y.to_numpy()),
        Case(*gap),
        nested_functions(),
        Case(*devices, **big),
        Case(*gap, groups=metals(data.crystals)),
        Case(*devices, groups=compositions, always="MAPbI3", **big),
    ]


def ensemble(case: Case, seed: int) -> SupervisedAutoencoder:
    """Make the ensemble, with its defaults but for the epochs."""
    return SupervisedAutoencoder(
        n_members=N_MEMBERS, bootstrap=True, max_iter=case.max_iter, random_state=seed
    )


def chain(case: Case, first: Any, seed: int) -> NestedAutoencoder:
    """Make a chain over the table of the second scale, on a first stage that is fitted."""
    assert case.first is not None
    columns = list(case.first[0].columns)
    rest = [name for name in case.X.columns if name not in columns]
    second = SupervisedAutoencoder(max_iter=case.max_iter)
    stages = [("first", FrozenEstimator(first), columns), ("second", second, rest)]
    return NestedAutoencoder(stages, random_state=seed)


def gaussian_process() -> Any:
    """Make a Gaussian process with one length and noise, behind a scaling of the columns."""
    kernel = ConstantKernel() * RBF(3.0) + WhiteKernel(0.1)
    return make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True))


def boosting() -> Any:
    """Make gradient boosting that takes the columns as they are."""
    return HistGradientBoostingRegressor(categorical_features="from_dtype", random_state=0)


def encoded(X: pd.DataFrame) -> Any:
    """Make the scaling and one-hot columns that other models need."""
    numeric = list(X.select_dtypes("number").columns)
    others = [name for name in X.columns if name not in numeric]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_column_transformer((StandardScaler(), numeric), (one_hot, others))


class Judged:
    """What intervals are worth on the rows that were held out.

    Parameters
    ----------
    case : Case
        Whose rows they are.
    test : ndarray of int
        The rows.
    predicted : ndarray of shape (n_rows,)
        Predictions.
    low, high : ndarray of shape (n_rows,)
        Ends of the intervals.
    """

    def __init__(self, case: Case, test: np.ndarray, predicted, low, high) -> None:
        y = case.y[test]
        self.inside = (low <= y) & (y <= high)
        self.width = high - low
        self.values = {
            "coverage": self.inside.mean(),
            "coverage, groups": np.nan,
            "mean width": self.width.mean(),
            "median width": np.median(self.width),
            "MAE": np.abs(y - predicted).mean(),
        }
        if case.groups is not None:
            of_group = pd.Series(self.inside).groupby(case.groups[test]).mean()
            self.values["coverage, groups"] = of_group.mean()


@contextmanager
def quiet_about_no_fold() -> Iterator[None]:
    """Let MAPIE not warn of rows in no fold: there are to be such rows."""
    with warnings.catch_warnings():
        for message in ("WARNING: at least one point", "Mean of empty", "invalid value"):
            warnings.filterwarnings("ignore", message)
        yield


def conformal(case: Case, model: Any, train, test, cv: Any, score: Any = "absolute") -> Judged:
    """Calibrate a model on folds of its training rows by MAPIE, all networks at once."""
    mapie = CrossConformalRegressor(model, confidence_level=LEVEL, conformity_score=score, cv=cv)
    with quiet_about_no_fold():
        with batched_training():
            mapie.fit_conformalize(case.X.iloc[train], case.y[train])
        predicted, intervals = mapie.predict_interval(case.X.iloc[test])
    return Judged(case, test, predicted, intervals[:, 0, 0], intervals[:, 1, 0])


def normal(case: Case, test, mean: np.ndarray, spread: np.ndarray) -> Judged:
    """Judge the mean ± 1.645 standard deviations, without calibration."""
    return Judged(case, test, mean, mean - Z_LEVEL * spread, mean + Z_LEVEL * spread)


def spreads(case: Case, seed: int, train, test) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Give mean and deviation on the held-out rows: of ensembles, a forest, a Gaussian process."""
    X, y, X_test = case.X.iloc[train], case.y[train], case.X.iloc[test]
    ours = ensemble(case, seed)
    found = {OURS: ours.fit(X, y).predict(X_test, return_std=True)}
    ours.set_params(bootstrap=False)  # members that differ by their seeds alone
    found[BY_SEED] = ours.fit(X, y).predict(X_test, return_std=True)
    networks = ensemble(case, seed).set_params(predictor="network")
    found[OF_NETWORKS] = networks.fit(X, y).predict(X_test, return_std=True)
    to_numbers = encoded(case.X).fit(X)
    forest = RandomForestRegressor(200, random_state=seed).fit(to_numbers.transform(X), y)
    trees = [tree.predict(to_numbers.transform(X_test)) for tree in forest.estimators_]
    found["forest"] = np.mean(trees, axis=0), np.std(trees, axis=0)
    if len(X) < 1000:  # it takes the third power of their number
        process = gaussian_process().fit(X, y)
        found["Gaussian process"] = process.predict(X_test, return_std=True)
    return found


def thirds_of(judged: Judged, spread: np.ndarray) -> list[float]:
    """Give coverage, then mean width, in the thirds of rows of least to largest spread."""
    parts = np.array_split(np.argsort(spread), 3)
    values = [*(judged.inside[p].mean() for p in parts), *(judged.width[p].mean() for p in parts)]
    return [float(value) for value in values]


def sparsified(y: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> list[float]:
    """Give the rank correlation, the error, and its ratios without the most uncertain rows."""
    errors = np.abs(y - mean)
    by_spread, by_error = np.argsort(spread), np.argsort(errors)
    kept = [round(len(y) * (1 - part)) for part in (0.1, 0.2, 0.5)]
    return [
        spearmanr(spread, errors).statistic,
        errors.mean(),
        *(errors[by_spread[:n]].mean() / errors.mean() for n in kept),
        errors[by_error[: kept[-1]]].mean() / errors.mean(),  # the best that is possible
    ]


def measure_case(case: Case) -> tuple[dict, dict, dict]:
    """Measure intervals, their thirds, and spreads over the splits of a case.

    Returns
    -------
    intervals : dict of (method, folds) to list of dict
    thirds : dict of method to list of lists
    usefulness : dict of method to list of lists
    """
    intervals: dict[tuple[str, str], list] = {}
    thirds: dict[str, list] = {}
    usefulness: dict[str, list] = {}
    first = None
    if case.first is not None:
        first = SupervisedAutoencoder(random_state=0).fit(*case.first)
    for seed, train, test in case.splits():
        found: dict[tuple[str, str], Judged] = {}
        by_sd = spreads(case, seed, train, test)
        spread = by_sd[OURS][1]
        for name, (mean, sd) in by_sd.items():
            usefulness.setdefault(name, []).append(sparsified(case.y[test], mean, sd))
            found[f"{name}, mean ± 1.645 sd", "none"] = normal(case, test, mean, sd)
        for by in ("rows",) if case.groups is None else ("rows", "groups"):
            cv = case.folds(train, seed, by)
            models = {OURS: ensemble(case, seed), "boosting": boosting()}
            if first is not None:
                models["chain"] = chain(case, first, seed)
            for name, model in models.items():
                found[name, by] = conformal(case, model, train, test, cv)
            score = StdConformityScore()
            found[OURS_BY_SPREAD, by] = conformal(case, models[OURS], train, test, cv, score)
        for key, judged in found.items():
            intervals.setdefault(key, []).append(judged.values)
            if key[0] in (OURS, OURS_BY_SPREAD) and key[1] == by:
                thirds.setdefault(key[0], []).append(thirds_of(judged, spread))
    return intervals, thirds, usefulness


def percent(values: Any) -> str:
    """Write mean and standard deviation over splits, in percent."""
    return f"{100 * np.mean(values):.1f} ± {100 * np.std(values, ddof=1):.1f}"


def report_intervals(report: Report, case: Case, intervals: dict) -> None:
    """Report coverage and width of a case."""
    rows = []
    for (method, by), values in sorted(intervals.items(), key=lambda item: item[0][1] == "none"):
        table = pd.DataFrame(values)
        row = [method, by, percent(table["coverage"])]
        if case.groups is not None:
            row.append(percent(table["coverage, groups"]))
        rows.append(
            row + [f"{table[c].mean():.3g}" for c in ("mean width", "median width", "MAE")]
        )
    title = case.name.capitalize() + f" ({case.unit})" * bool(case.unit)
    what = "a fifth of the rows held out"
    columns = ["intervals", "calibrated by folds of", "coverage (%)"]
    if case.groups is not None:
        what = f"a fifth of {len(np.unique(case.groups))} groups held out"
        columns.append("coverage, mean of groups (%)")
    report.table(
        f"{title}: {what}, {case.n_splits} splits",
        [*columns, "mean width", "median width", "MAE"],
        rows,
    )


def report_regression(report: Report) -> None:
    """Report intervals of each case, then thirds of spread, then what the spread is good for."""
    thirds_rows, useful_rows = [], []
    for case in regression_cases():
        intervals, thirds, usefulness = measure_case(case)
        report_intervals(report, case, intervals)
        name = case.name + ", groups" * (case.groups is not None)
        for method, values in thirds.items():
            mean = np.mean(values, axis=0)
            row = [f"{100 * x:.0f}" for x in mean[:3]] + [f"{x:.3g}" for x in mean[3:]]
            thirds_rows.append([name, method, *row])
        for method, values in usefulness.items():
            mean = np.mean(values, axis=0)
            row = [f"{mean[0]:.2f}", f"{mean[1]:.3g}", *(f"{x:.2f}" for x in mean[2:])]
            useful_rows.append([name, method, *row])
    ends = ["least", "middle", "largest"]
    report.table(
        "Thirds of the held-out rows by the ensemble's spread",
        ["target", "intervals", *(f"coverage, {end} spread (%)" for end in ends)]
        + [f"width, {end}" for end in ends],
        thirds_rows,
    )
    report.table(
        "What the spread is good for",
        ["target", "spread of", "rank correlation with the error", "MAE"]
        + [f"error kept without the {part} % most uncertain" for part in (10, 20, 50)]
        + ["the same, 50 % of largest error"],
        useful_rows,
    )


def classification_cases() -> list[Case]:
    """Give three cases of classes: thirds of a target, and digits."""
    data = perovskites()
    diabetes, progression = load_diabetes(return_X_y=True, as_frame=True)
    digits, labels = load_digits(return_X_y=True, as_frame=True)
    compositions = data.device_composition.to_numpy()

    def third(y):
        return pd.qcut(y, 3, labels=False).to_numpy()

    return [
        Case("diabetes, thirds", "", diabetes, third(progression)),
        Case("digits", "", digits, labels.to_numpy(), n_splits=3, max_iter=50),
        Case(
            "efficiency, thirds",
            "",
            data.devices,
            third(data.pce),
            groups=compositions,
            always="MAPbI3",
            n_splits=4,
            max_iter=50,
        ),
    ]


def thin(rows: np.ndarray, groups: np.ndarray, seed: int, at_most: int = 30) -> np.ndarray:
    """Keep a few rows of each group, so that none outweighs the others.

    MAPIE's classifiers take a row that is in no fold for one of no probability at all.
    """
    order = np.random.RandomState(seed).permutation(rows)
    rank = pd.Series(groups[order]).groupby(groups[order]).cumcount().to_numpy()
    return np.sort(order[rank < at_most])


def prediction_sets(case: Case, model: Any, score: str, by: str, seed: int, train, test):
    """Give coverage and mean size of a classifier's sets, and its accuracy."""
    cv: Any = KFold(5, shuffle=True, random_state=seed)
    groups = None
    if by == "groups":
        assert case.groups is not None
        train = thin(train, case.groups, seed)
        cv, groups = GroupKFold(5, shuffle=True, random_state=seed), case.groups[train]
    mapie = CrossConformalClassifier(
        model, confidence_level=LEVEL, conformity_score=score, cv=cv, random_state=seed
    )
    with batched_training():
        mapie.fit_conformalize(case.X.iloc[train], case.y[train], groups=groups)
    last = {"include_last_label": "randomized"} if score == "aps" else None
    labels, sets = mapie.predict_set(case.X.iloc[test], conformity_score_params=last)
    y = case.y[test]
    inside = sets[np.arange(len(y)), y, 0]
    return inside.mean(), sets[:, :, 0].sum(axis=1).mean(), (labels == y).mean()


def report_classification(report: Report) -> None:
    """Report coverage and size of prediction sets."""
    rows = []
    for case in classification_cases():
        found: dict[tuple[str, str, str], list] = {}
        for seed, train, test in case.splits():
            models = {
                "autoencoder": SupervisedAutoencoderClassifier(
                    max_iter=case.max_iter, random_state=seed
                ),
                "boosting": HistGradientBoostingClassifier(
                    categorical_features="from_dtype", random_state=0
                ),
            }
            for by in ("rows",) if case.groups is None else ("rows", "groups"):
                for name, model in models.items():
                    for score in ("lac", "aps"):
                        value = prediction_sets(case, model, score, by, seed, train, test)
                        found.setdefault((name, by, score), []).append(value)
        for (name, by, score), values in found.items():
            coverage, size, accuracy = np.transpose(values)
            means = [f"{size.mean():.2f}", f"{accuracy.mean():.3f}"]
            rows.append([case.name, name, score.upper(), by, percent(coverage), *means])
    report.table(
        "Sets of classes",
        [
            "target",
            "model",
            "score",
            "calibrated by folds of",
            "coverage (%)",
            "mean size",
            "accuracy",
        ],
        rows,
    )


@dataclass(frozen=True)
class Domain:
    """A table, and the classes of its rows that are held out in turn."""

    name: str
    X: pd.DataFrame
    y: np.ndarray
    groups: np.ndarray
    classes: dict[str, np.ndarray]
    max_iter: int


def domains() -> list[Domain]:
    """Give crystals and devices with the ions that are held out, rows of each in a mask."""
    data = perovskites()

    def having(formulas: pd.Series, ions: list[str]) -> dict[str, np.ndarray]:
        plain = formulas.str.replace("_", "")
        return {ion: plain.str.contains(f"{ion}(?![a-z])", regex=True).to_numpy() for ion in ions}

    crystal_ions = ["Cs", "Rb", "K", "FA", "MA", "Ge", "Sn", "Pb", "Ca", "Sr", "Ba", "Cl", "Br"]
    crystal_ions.append("I")
    device_ions = ["Cs", "FA", "Sn", "Br"]
    crystals, devices = data.crystal_formula, data.device_composition
    return [
        Domain(
            "crystals",
            data.crystals,
            data.gap.to_numpy(),
            crystals.to_numpy(),
            having(crystals, crystal_ions),
            100,
        ),
        Domain(
            "devices",
            data.devices,
            data.pce.to_numpy(),
            devices.to_numpy(),
            having(devices, device_ions),
            50,
        ),
    ]


def parts_of_domain(groups: np.ndarray, is_known: np.ndarray, seed: int) -> list[np.ndarray]:
    """Give rows to learn from (60 %), to set a threshold (20 %) and to judge (20 %).

    Whole groups go to a part, the commonest to the first, as in the cases above.
    """
    names, counts = np.unique(groups[is_known], return_counts=True)
    commonest = names[counts.argmax()]
    others = np.random.RandomState(seed).permutation(names[names != commonest])
    n = len(others) // 5
    chosen = [np.append(others[2 * n :], commonest), others[:n], others[n : 2 * n]]
    return [np.flatnonzero(is_known & np.isin(groups, part)) for part in chosen]


def variants(model: SupervisedAutoencoder, X: pd.DataFrame, train: np.ndarray) -> dict:
    """Give parts of a score on all rows, by public methods, of numeric columns."""
    latents = model.transform(X)
    numeric = X.select_dtypes("number")
    residuals = (model.inverse_transform(latents)[numeric.columns] - numeric).to_numpy()
    residuals = (
        StandardScaler(with_mean=False).fit(numeric.iloc[train].to_numpy()).transform(residuals)
    )
    variance = (residuals[train] ** 2).mean(axis=0)
    error = (residuals**2 / np.where(variance > 0, variance, 1)).sum(axis=1)

    def distance(values):
        return EmpiricalCovariance().fit(values[train]).mahalanobis(values)

    return {
        "latents alone": -0.5 * distance(latents),
        "reconstruction alone": -0.5 * error,
        "reconstruction with covariance": -0.5 * distance(residuals),
        "latents, reconstruction with covariance": -0.5
        * (distance(latents) + distance(residuals)),
    }


def scores_of_rows(domain: Domain, train: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Give each method's score of all rows, higher for what is like the training rows."""
    X, y = domain.X, domain.y
    model = SupervisedAutoencoder(
        n_members=N_MEMBERS, bootstrap=True, max_iter=domain.max_iter, random_state=seed
    ).fit(X.iloc[train], y[train])
    single = model.members_[0]
    found = {
        "`score_samples`, ensemble": model.score_samples(X),
        "`score_samples`, one member": single.score_samples(X),
        **variants(single, X, train),
        "standard deviation, ensemble": -model.predict(X, return_std=True)[1],
    }
    to_numbers = encoded(X).fit(X.iloc[train])
    inputs = to_numbers.transform(X)
    known = inputs[train]
    found["IsolationForest"] = IsolationForest(random_state=seed).fit(known).score_samples(inputs)
    lof = LocalOutlierFactor(novelty=True).fit(known)
    found["LocalOutlierFactor"] = lof.score_samples(inputs)
    found["Mahalanobis, inputs"] = -EmpiricalCovariance().fit(known).mahalanobis(inputs)
    found["PCA.score_samples"] = PCA(0.95, svd_solver="full").fit(known).score_samples(inputs)
    return found


def report_domain(report: Report, domain: Domain, n_seeds: int = 3) -> None:
    """Report what of each class is noticed, at a false alarm in twenty."""
    values = []
    for ion, is_new in domain.classes.items():
        for seed in range(n_seeds):
            train, calibrate, test = parts_of_domain(domain.groups, ~is_new, seed)
            for method, scores in scores_of_rows(domain, train, seed).items():
                threshold = np.quantile(scores[calibrate], 0.05)
                new = np.flatnonzero(is_new)
                both = np.concatenate([scores[test], scores[new]])
                labels = np.repeat([0, 1], [len(test), len(new)])
                values.append(
                    {
                        "method": method,
                        "ion": ion,
                        "found": (scores[new] < threshold).mean(),
                        "false": (scores[test] < threshold).mean(),
                        "auc": roc_auc_score(labels, -both),
                    }
                )
    table = pd.DataFrame(values)
    found = table.pivot_table(index="method", columns="ion", values="found", sort=False)
    means = table.groupby("method", sort=False)[["found", "auc", "false"]].mean()
    ions = list(domain.classes)
    rows = [
        [
            method,
            *(f"{100 * found.loc[method, ion]:.0f}" for ion in ions),
            f"{100 * mean.found:.0f}",
            f"{mean.auc:.3f}",
            f"{100 * mean.false:.1f}",
        ]
        for method, mean in means.iterrows()
    ]
    sizes = ", ".join(f"{ion} {mask.sum()}" for ion, mask in domain.classes.items())
    report.table(
        f"{domain.name.capitalize()}: rows noticed (%) of an ion that was held out "
        f"({sizes} of {len(domain.X)} rows)",
        ["score", *ions, "mean", "mean AUC", "false alarms (%)"],
        rows,
    )


def main(report: Report) -> None:
    """Report intervals, spreads, sets of classes, and rows out of domain."""
    report_regression(report)
    report_classification(report)
    for domain in domains():
        report_domain(report, domain)
    explain(report)


def explain(report: Report) -> None:
    """Say what was measured, and how."""
    report.text(
        f"Intervals of nominal {LEVEL:.0%}, mean ± standard deviation over random splits; "
        "widths and errors are in the target's units. The ensemble is "
        f"`SupervisedAutoencoder(n_members={N_MEMBERS}, bootstrap=True)` with 100 epochs, 50 for "
        "the efficiency and the digits. The chain is `NestedAutoencoder` on a first stage that "
        "is fitted to the first scale, with 200 epochs, and frozen; its second stage has as many "
        "epochs as the ensemble. Regressors have the default penalty, `alpha=0.001`, and "
        'classifiers theirs, `alpha="auto"`. '
        "Calibrated ones are MAPIE's `CrossConformalRegressor` with five folds of the "
        "training rows, of rows or of groups; by spread, with its `StdConformityScore`. The "
        "others are mean ± 1.645 standard deviations: of an ensemble, of 200 trees, or of a "
        "Gaussian process of scikit-learn with its noise, which is left out where there are more "
        "than 1000 rows."
    )
    report.text(
        'The ensemble and the chain have the default predictor, `"auto"`, which in all of these '
        "tables is a Gaussian process. The standard deviation of the ensemble, or its spread, is "
        "then that of its members' processes, with their noise, together with the deviation of "
        "the members' predictions. Without bootstrap the members have nearly the same process. "
        'The ensemble of networks is the ensemble with `predictor="network"`: its standard '
        "deviation is that of the members' predictions alone, in which there is no noise."
    )
    report.text(
        "Groups of the band gap are crystals with the same metals in the same shares; those "
        "of the efficiency are compositions. Coverage is the mean over held-out rows, and "
        "beside it over groups, each of which counts once. Nearly half of the devices are "
        "MAPbI3: it is always learnt from, and neither calibrated by nor judged by, as no one "
        "asks what a device of an unknown MAPbI3 would do. For sets of classes, which MAPIE "
        "cannot calibrate so, at most 30 devices of a composition are used. APS is MAPIE's "
        "with a randomised last label."
    )
    report.text(
        "Thirds: the held-out rows of each split, ordered by the ensemble's spread. What the "
        "spread is good for: Spearman's correlation with the absolute error, and the mean "
        "error of the rows that are kept as a share of that of all rows; the last column "
        "leaves out the rows of largest error, which is the best that can be done."
    )
    report.text(
        "Out of domain: all rows with an ion are held out in turn. Of the others, three "
        "fifths of the compositions are learnt from, a fifth sets the threshold at the 5 % "
        "quantile of their scores, and a fifth tells the false alarms; means of three draws. "
        "`score_samples` is that of the ensemble and of its first member. The parts of the "
        "score are computed from `transform` and `inverse_transform` of that member, of the "
        "numeric columns: half of the squared Mahalanobis distance of the latents, half of "
        "the squared residuals in units of the training rows' mean squares, and half of the "
        "residuals' squared Mahalanobis distance. The peers see scaled and one-hot inputs; "
        "PCA keeps 95 % of the variance."
    )


if __name__ == "__main__":
    # A process whose noise is all there is ends at a bound of its kernel.
    warnings.simplefilter("ignore", ConvergenceWarning)
    REPORT = Report("uncertainty", __doc__)
    main(REPORT)
    REPORT.close()
