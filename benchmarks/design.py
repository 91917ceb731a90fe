"""Inverse design: candidates whose true target is known, against the usual ways to choose."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import differential_evolution
from scipy.spatial import KDTree
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import r2_score

from sknestedae import NestedAutoencoder, SupervisedAutoencoder
from sknestedae.datasets import make_nested_functions, nested_functions
from sknestedae.design import propose
from sknestedae.design._design import _MIN_STARTS
from sknestedae.design._search import _N_POOL, _N_STEPS
from sknestedae.exceptions import ToleranceWarning

from ._report import Report

FUNCTIONS = (10, 12, 13)
SIZES = (50, 100, 300)
NOISES = (0.0, 0.2)
N_SEEDS = 3
N_FIRST, N_TEST = 300, 2000
N_CANDIDATES = 10
TOLERANCE = 0.1  # in standard deviations of the true target
WEIGHTS = (0.0, 1.0, 10.0)  # beside the default
# How many rows propose looks at: the pool, and two walks along the gradient from each start.
N_LOOKED_AT = _N_POOL + 2 * _N_STEPS * _MIN_STARTS
OF_BOTH = "a value of both stages"
OBJECTIVES = [
    "a value inside",
    "a range",
    OF_BOTH,
    "a high value",
    "just beyond the maximum",
    "max",
]
JUDGED = ["a value inside", "just beyond the maximum", "max"]  # where the settings are varied
PROPOSE = "propose"


class Known(NamedTuple):
    """Rows of both scales, with targets as measured."""

    first: pd.DataFrame
    first_target: np.ndarray
    X: pd.DataFrame
    y: np.ndarray
    name: str
    seed: int


class Objective(NamedTuple):
    """The objective for the second stage's target, and perhaps for the first one's as well."""

    kind: str
    second: Any
    first: float | None = None

    def target(self) -> dict:
        """Give it as ``propose`` takes it."""
        wanted = {"scale1": self.second}
        return wanted if self.first is None else {"scale0": self.first, **wanted}

    def missed(self, values: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Say how far both targets are from the objective, in their standard deviations."""
        second = values[:, 1] / scale[1]
        if self.kind == "max":
            return -second
        low, high = np.broadcast_to(self.second, 2) / scale[1]
        missed = np.maximum(low - second, 0) + np.maximum(second - high, 0)
        if self.first is not None:
            missed = np.maximum(missed, np.abs(values[:, 0] - self.first) / scale[0])
        return missed


def draw(n: int, rng: np.random.RandomState) -> pd.DataFrame:
    """Draw the five variables."""
    return make_nested_functions(n, sampling="independent", z5_max=10.0, random_state=rng).z


def truth(X: pd.DataFrame, function: int) -> np.ndarray:
    """Evaluate f1 and one function of the second scale, as two columns."""
    return nested_functions(X.to_numpy())[:, [0, function - 1]]


SCALES = {f: truth(draw(N_TEST, np.random.RandomState(99)), f).std(axis=0) for f in FUNCTIONS}


def cases() -> Iterator[tuple[int, float, int, Known]]:
    """Give the data sets: function, noise, number of rows of the second scale."""
    for seed in range(N_SEEDS):
        for function in FUNCTIONS:
            for noise in NOISES:
                rng = np.random.RandomState(seed)
                first, second = draw(N_FIRST, rng), draw(max(SIZES), rng)
                targets = [truth(X, function) for X in (first, second)]
                targets = [
                    y + noise * SCALES[function] * rng.normal(size=y.shape) for y in targets
                ]
                for n in SIZES:
                    known = Known(
                        first[["z1", "z2"]],
                        targets[0][:, 0],
                        second[:n],
                        targets[1][:n, 1],
                        f"f{function}",
                        seed,
                    )
                    yield function, noise, n, known


def objectives(known: Known, function: int) -> Iterator[Objective]:
    """Give the objectives, by the measured targets of the known rows."""
    y, scale = known.y, SCALES[function][1]
    for share in (0.25, 0.5, 0.75):
        yield Objective("a value inside", np.quantile(y, share))
    yield Objective("a range", tuple(np.quantile(y, [0.8, 0.9])))
    yield Objective("a high value", (np.quantile(y, 0.9) + y.max()) / 2)
    yield Objective("just beyond the maximum", y.max() + 0.2 * scale)
    yield Objective("max", "max")
    rng = np.random.RandomState(known.seed + 1000)
    for first, second in truth(draw(2, rng), function):  # so that some row has both
        yield Objective(OF_BOTH, second, first)


def fit_chain(known: Known, n_members: int = 1) -> NestedAutoencoder:
    """Fit a chain of both scales."""
    stages = [
        ("scale0", SupervisedAutoencoder(4, learning_rate_init=0.01), "scale0"),
        ("scale1", SupervisedAutoencoder(8, learning_rate_init=0.01), "scale1"),
    ]
    chain = NestedAutoencoder(stages, n_members=n_members, random_state=known.seed)
    return chain.fit([known.first, known.X], [known.first_target, known.y])


class Boosting:
    """Gradient boosting of each target, on its own scale."""

    def __init__(self, known: Known) -> None:
        def fit(X: pd.DataFrame, y: np.ndarray) -> HistGradientBoostingRegressor:
            return HistGradientBoostingRegressor(random_state=0).fit(X.to_numpy(), y)

        self.n_first = known.first.shape[1]
        self.models = fit(known.first, known.first_target), fit(known.X, known.y)

    def predict(self, X: Any) -> np.ndarray:
        X = np.asarray(X)
        first, second = self.models
        return np.column_stack([first.predict(X[:, : self.n_first]), second.predict(X)])


def uniform(known: Known, n: int) -> pd.DataFrame:
    """Draw rows within the range of the known ones."""
    low, high = known.X.min().to_numpy(), known.X.max().to_numpy()
    values = np.random.RandomState(known.seed + 2000).uniform(low, high, size=(n, len(low)))
    return pd.DataFrame(values, columns=known.X.columns)


def evolve(model: Boosting, known: Known, objective: Objective, scale: np.ndarray) -> pd.DataFrame:
    """Evolve each candidate by itself, with a share of the rows that may be looked at."""
    low, high = known.X.min().to_numpy(), known.X.max().to_numpy()
    share, population = N_LOOKED_AT // N_CANDIDATES, 15
    found = [
        differential_evolution(
            lambda z: objective.missed(model.predict(z.T), scale),
            list(zip(low, high, strict=True)),
            popsize=population,
            maxiter=share // (population * len(low)) - 1,
            rng=i,
            vectorized=True,
            updating="deferred",
            polish=False,
        ).x
        for i in range(N_CANDIDATES)
    ]
    return pd.DataFrame(found, columns=known.X.columns)


def proposed(
    chain: Any, known: Known, objective: Objective, scale: np.ndarray, **settings: Any
) -> Any:
    """Let the package propose."""
    names = ["scale0", "scale1"]
    tolerance = {name: TOLERANCE * scale[names.index(name)] for name in objective.target()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ToleranceWarning)  # what is met is counted
        return propose(
            chain,
            known.X,
            objective.target(),
            n_candidates=N_CANDIDATES,
            tolerance=tolerance,
            random_state=known.seed,
            **settings,
        )


def score(
    X: pd.DataFrame, prediction: np.ndarray, objective: Objective, known: Known, function: int
) -> dict:
    """Judge candidates by their true targets."""
    scale, true = SCALES[function], truth(X, function)
    if objective.kind == "max":
        # of the best known row, what is true, not what was measured
        least = truth(known.X.iloc[[known.y.argmax()]], function)[0, 1]
        gains = (true[:, 1] - least) / scale[1]
        found = {"best": gains.max(), "mean": gains.mean()}
    else:
        missed = objective.missed(true, scale)
        slack = 0.0 if objective.kind == "a range" else TOLERANCE
        found = {"hits": (missed <= slack).mean(), "missed": missed.mean()}
    excess = (prediction - true)[:, 1] / scale[1] if prediction is not None else np.array([np.nan])
    distance = (X.to_numpy()[:, None] - known.X.to_numpy()) / known.X.std().to_numpy()
    nearest = np.sqrt((distance**2).mean(axis=2)).min(axis=1)
    return found | {"optimism": excess.mean(), "novelty": nearest.mean()}


def compare(function: int, known: Known) -> Iterator[dict]:
    """Judge all ways to choose, for every objective."""
    scale = SCALES[function]
    chain, ensemble, boosting = fit_chain(known), fit_chain(known, 5), Boosting(known)
    rows = uniform(known, N_LOOKED_AT)
    predictions = {"chain": chain.predict(rows), "boosting": boosting.predict(rows)}
    measured = np.column_stack([truth(known.X, function)[:, 0], known.y])
    test = draw(N_TEST, np.random.RandomState(98))
    r2 = r2_score(truth(test, function)[:, 1], chain.predict(test)[:, 1])
    for objective in objectives(known, function):
        ways: dict[str, tuple[pd.DataFrame, Any]] = {}
        design = proposed(chain, known, objective, scale)
        ways[PROPOSE] = design.X, design.prediction
        for name, prediction in predictions.items():
            best = np.argsort(objective.missed(prediction, scale), kind="stable")[:N_CANDIDATES]
            ways[f"random search, {name}"] = rows.iloc[best], prediction[best]
        evolved = evolve(boosting, known, objective, scale)
        ways["evolution, boosting"] = evolved, boosting.predict(evolved)
        best = np.argsort(objective.missed(measured, scale), kind="stable")[:N_CANDIDATES]
        ways["best known rows"] = known.X.iloc[best], measured[best]
        ways["random rows"] = rows[:N_CANDIDATES], None
        if objective.kind in JUDGED:
            for weight in WEIGHTS:
                design = proposed(chain, known, objective, scale, domain_weight=weight)
                ways[f"domain_weight={weight:g}"] = design.X, design.prediction
            design = proposed(ensemble, known, objective, scale)
            ways["n_members=5"] = design.X, design.prediction
        for way, (X, prediction) in ways.items():
            judged = score(X, prediction, objective, known, function)
            yield {"objective": objective.kind, "way": way, "r2": r2, **judged}


def spread(values: pd.Series, digits: int = 2) -> str:
    """Write the mean over data sets and its standard error."""
    return f"{values.mean():.{digits}f} ± {values.std() / np.sqrt(len(values)):.{digits}f}"


def show(report: Report, found: pd.DataFrame) -> None:
    """Tabulate what was found."""
    ways = [PROPOSE, "random search, chain", "random search, boosting", "evolution, boosting"]
    ways += ["best known rows", "random rows"]
    index = ["function", "noise", "n", "seed"]

    def cells(part: pd.DataFrame, way: str, column: str) -> pd.Series:
        return part[part["way"] == way].groupby(index)[column].mean()

    hits = found[found["objective"] != "max"]
    rows = []
    for kind in [w for w in OBJECTIVES if w != "max"]:
        part = hits[hits["objective"] == kind]
        rows.append([kind, *(spread(cells(part, way, "hits")) for way in ways)])
    report.table("Fraction of candidates that have the wanted target", ["wanted", *ways], rows)
    rows = []
    inside = hits[hits["objective"] != "just beyond the maximum"]
    for function in FUNCTIONS:
        for noise in NOISES:
            for n in SIZES:
                part = inside.query("function == @function and noise == @noise and n == @n")
                means = [f"{cells(part, way, 'hits').mean():.2f}" for way in ways]
                r2 = f"{part['r2'].mean():.2f}"
                rows.append([f"f{function}", f"{noise:g}", str(n), r2, *means])
    title = "The same by data, without objectives beyond the maximum"
    report.table(title, ["target", "noise", "rows", "R² of the chain", *ways], rows)
    top = found[found["objective"] == "max"]
    rows = []
    for n in SIZES:
        for column in ("best", "mean"):
            part = top[top["n"] == n]
            rows.append([str(n), column, *(spread(cells(part, w, column)) for w in ways)])
    title = "Maximised: true target minus that of the best known row, in standard deviations"
    report.table(title, ["rows", "candidate", *ways], rows)
    settings = [PROPOSE, *(f"domain_weight={w:g}" for w in WEIGHTS), "n_members=5"]
    settings += ["random search, chain"]
    rows = []
    for kind, columns in [
        ("a value inside", ["hits", "novelty"]),
        ("just beyond the maximum", ["hits", "optimism"]),
        ("max", ["best", "mean", "optimism", "novelty"]),
    ]:
        for column in columns:
            part = found[found["objective"] == kind]
            rows.append([kind, column, *(spread(cells(part, w, column)) for w in settings)])
    report.table("Settings", ["wanted", "what", *settings], rows)


def tied_columns(report: Report) -> None:
    """Columns that depend on each other: f1 to f4 in place of z1 and z2."""
    axes = np.linspace([0.01, 2.0], [5.0, 5.0], 400).T
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    of_grid = nested_functions(np.hstack([grid, np.ones((len(grid), 3))]))[:, :4]
    scale, std = SCALES[10], of_grid.std(axis=0)
    tree = KDTree(of_grid / std)

    def columns(z: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame(
            nested_functions(z.to_numpy())[:, :4], columns=["f1", "f2", "f3", "f4"]
        ).join(z[["z3", "z4", "z5"]])

    found = []
    for seed in range(N_SEEDS):
        for n in (100, 300):
            rng = np.random.RandomState(seed)
            first, z = draw(N_FIRST, rng), draw(n, rng)
            known = Known(
                columns(first).iloc[:, :4],
                (first["z1"] * first["z2"]).to_numpy(),
                columns(z),
                truth(z, 10)[:, 1],
                "f10",
                seed,
            )
            chain, rows = fit_chain(known), uniform(known, N_LOOKED_AT)
            prediction = chain.predict(rows)
            wanted = [
                Objective("a value", np.quantile(known.y, share)) for share in (0.25, 0.5, 0.75)
            ]
            for objective in [*wanted, Objective("max", "max")]:
                best = np.argsort(objective.missed(prediction, scale), kind="stable")[
                    :N_CANDIDATES
                ]
                ways = {"random search, chain": (rows.iloc[best], prediction[best])}
                for name, settings in {
                    PROPOSE: {},
                    **{f"domain_weight={w:g}": {"domain_weight": w} for w in WEIGHTS},
                }.items():
                    design = proposed(chain, known, objective, scale, **settings)
                    ways[name] = design.X, design.prediction
                for way, (X, predicted) in ways.items():
                    values = X.to_numpy()
                    distance, nearest = tree.query(values[:, :4] / std)
                    true = nested_functions(np.hstack([grid[nearest], values[:, 4:]]))[:, [0, 9]]
                    judged = {
                        "distance from what can be": distance.mean() / 2,
                        "optimism": (predicted - true)[:, 1].mean() / scale[1],
                    }
                    if objective.kind == "max":
                        judged["best"] = (true[:, 1].max() - known.y.max()) / scale[1]
                    else:
                        judged["hits"] = (objective.missed(true, scale) <= TOLERANCE).mean()
                    found.append({"wanted": objective.kind, "n": n, "way": way, **judged})
    table, rows = pd.DataFrame(found), []
    ways = list(table["way"].unique())
    for (kind, n), part in table.groupby(["wanted", "n"]):
        for what in part.columns[3:]:
            cells = [part.loc[part["way"] == way, what] for way in ways]
            if cells[0].notna().any():
                rows.append([kind, str(n), what, *(spread(cell) for cell in cells)])
    report.table("Columns that depend on each other", ["wanted", "rows", "what", *ways], rows)


def main() -> None:
    """Run all parts."""
    report = Report("design", __doc__)
    report.text(
        "The columns are the variables of `make_nested_functions` (independent, z5 up to 10), so "
        f"that each candidate's true target can be evaluated. Scale 1: z1 and z2 of {N_FIRST} "
        "rows, with f1; scale 2: all five variables of 50, 100 or 300 other rows, with f10, f12 "
        "or f13. The stages of the chain are `SupervisedAutoencoder(4, learning_rate_init=0.01)` "
        "and the same with 8 latents, both with `alpha=0.001`: a chain that makes its own stages "
        'has `alpha="auto"` in the second one. '
        "Noise is in both targets, in their standard deviations. "
        f"{N_CANDIDATES} candidates each; a value is had within {TOLERANCE:g} standard deviations "
        "of the true target, a range (the 80 to 90 % quantiles of what was measured) within its "
        "ends. *A value inside* is the 25, 50 or 75 % quantile, *a high value* halfway between "
        "the 90 % quantile and the maximum, *just beyond* 0.2 standard deviations above the "
        "largest known. *Random search*: of as many uniform rows in the known range as `propose` "
        f"looks at ({N_LOOKED_AT}), the ten that the same chain, or gradient boosting, predicts "
        "nearest. *Evolution*: `scipy.optimize.differential_evolution` on boosting, once for each "
        "candidate, with as many predictions in all. *Best known rows*: by their measured "
        f"targets. Mean and standard error over the data sets ({N_SEEDS} seeds; by function, "
        "noise and number of rows)."
    )
    found = []
    for function, noise, n, known in cases():
        for row in compare(function, known):
            found.append({"function": function, "noise": noise, "n": n, "seed": known.seed, **row})
    show(report, pd.DataFrame(found))
    report.text(
        "*Settings* are those of `propose`, whose first column has `domain_weight=0.3` and one "
        "member. *Optimism* is what is predicted minus what is true, *novelty* the distance to "
        "the nearest known row, both in standard deviations.\n\nThe last table has f1 to f4 in "
        "place of z1 and z2: four columns that two numbers determine, the first stage's target "
        "z1 z2, and f10 as the second one's. Most rows with four such columns cannot be. The "
        "distance is the root mean square from the nearest row that can, in standard deviations; "
        "what is true is true of that one."
    )
    tied_columns(report)
    report.close()


if __name__ == "__main__":
    main()
