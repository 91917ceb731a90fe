"""Bayesian optimisation: five rounds of proposals that are measured and learnt from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.optimize import differential_evolution
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import SupervisedAutoencoder
from sknestedae.datasets import make_nested_functions, nested_functions
from sknestedae.design import propose
from sknestedae.design._acquisition import log_expected_improvement
from sknestedae.exceptions import OutsideDomainWarning, ToleranceWarning

from ._report import Report

N_START, N_ROUNDS, N_BATCH, N_SEEDS = 20, 5, 4, 3
N_RANDOM = 5000  # rows among which the rivals choose
N_LIBRARY = 1000
NOISE = 0.05  # of a measurement, in standard deviations of the truth
KAPPA = 1.96
N_TREES = 100


class Problem(NamedTuple):
    """A function of z1 to z5 that is to be as high as can be.

    Attributes
    ----------
    name : str
    function : int
        Which of the nested functions, counted from 1.
    sign : float
        -1 where the lowest value is sought.
    has_library : bool
        Whether rows are those of a library; else all of the box can be had.
    is_dependent : bool
        Whether f1 to f4 are in the place of z1 and z2: columns that depend on each other.
    """

    name: str
    function: int
    sign: float = 1.0
    has_library: bool = True
    is_dependent: bool = False

    def truth(self, z: pd.DataFrame) -> np.ndarray:
        """Give the function without noise, of shape (n_rows,)."""
        return self.sign * nested_functions(z.to_numpy())[:, self.function - 1]

    def columns(self, z: pd.DataFrame) -> pd.DataFrame:
        """Give the columns that a model sees."""
        if not self.is_dependent:
            return z
        first = nested_functions(z.to_numpy())[:, :4]
        names = ["f1", "f2", "f3", "f4"]
        return pd.DataFrame(first, z.index, names).join(z[["z3", "z4", "z5"]])


PROBLEMS = [
    Problem("the highest f10 of all rows in the box", 10, has_library=False),
    Problem(
        "the highest f10 of a library, with columns that depend on each other",
        10,
        is_dependent=True,
    ),
    Problem("the lowest f12 of a library", 12, sign=-1.0),
    Problem("the highest f6 of a library", 6),
]


def draw(n: int, rng: np.random.RandomState) -> pd.DataFrame:
    """Draw z1 to z5, each by itself."""
    return make_nested_functions(n, sampling="independent", z5_max=10.0, random_state=rng).z


class State(NamedTuple):
    """What is known before a round.

    Attributes
    ----------
    X : DataFrame of shape (n_rows, n_columns)
    y : ndarray of shape (n_rows,)
        As measured.
    rows : DataFrame of shape (n_choices, n_columns)
        Among which the rivals choose: random ones of the box, or what is left of the library.
    is_library : bool
    box : dict of str to (float, float)
        The ends of the columns.
    seed : int
        Of this round.
    """

    X: pd.DataFrame
    y: np.ndarray
    rows: pd.DataFrame
    is_library: bool
    box: dict[str, tuple[float, float]]
    seed: int


def ours(state: State, acquisition: str, **settings: Any) -> pd.DataFrame:
    """Let the package propose a batch."""
    estimator = SupervisedAutoencoder(
        5, learning_rate_init=0.01, max_iter=50, random_state=0, **settings
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ToleranceWarning)
        warnings.simplefilter("ignore", OutsideDomainWarning)
        found = propose(
            estimator.fit(state.X, state.y),
            state.X,
            "max",
            n_candidates=N_BATCH,
            bounds=None if state.is_library else state.box,
            library=state.rows if state.is_library else None,
            acquisition=acquisition,
            kappa=KAPPA,
            random_state=state.seed,
        ).X
    if not state.is_library:
        return found
    # the rows of the library that they are
    keys = {
        row.tobytes(): label
        for label, row in zip(state.rows.index, state.rows.to_numpy(), strict=True)
    }
    return state.rows.loc[[keys[row.tobytes()] for row in found.to_numpy()]]


def believed(
    state: State, fit: Callable[[pd.DataFrame, np.ndarray], Any], value: Callable[..., np.ndarray]
) -> pd.DataFrame:
    """Choose a batch of random rows, each as if those before had what was predicted of them."""
    rows, X, y = state.rows, state.X, state.y
    chosen: list[int] = []
    for _ in range(N_BATCH):
        mean, std = fit(X, y)(rows)
        values = value(mean, std, y.max())
        values[chosen] = -np.inf
        chosen.append(int(values.argmax()))
        X = pd.concat([X, rows.iloc[chosen[-1:]]])
        y = np.append(y, mean[chosen[-1]])
    return rows.iloc[chosen]


def improvement(mean: np.ndarray, std: np.ndarray, best: float) -> np.ndarray:
    """Give the logarithm of the expected improvement."""
    mean, std = torch.from_numpy(mean), torch.from_numpy(np.maximum(std, 1e-9))
    return log_expected_improvement(mean, std, best).numpy()


def bound(mean: np.ndarray, std: np.ndarray, best: float) -> np.ndarray:
    """Give the upper confidence bound."""
    return mean + KAPPA * std


def gaussian_process(state: State) -> pd.DataFrame:
    """Choose by scikit-learn's Gaussian process and the expected improvement."""
    kernel = ConstantKernel() * Matern(np.ones(state.X.shape[1]), nu=2.5) + WhiteKernel(0.01)
    held: list[Any] = []

    def fit(X: pd.DataFrame, y: np.ndarray) -> Any:
        if not held:  # the hyperparameters are those of what was measured
            model = GaussianProcessRegressor(
                kernel, normalize_y=True, n_restarts_optimizer=1, random_state=0
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                held.append(make_pipeline(StandardScaler(), model).fit(X, y))
        kernel_, scaler = held[0][-1].kernel_, held[0][0]
        model = GaussianProcessRegressor(kernel_, optimizer=None, normalize_y=True)
        model.fit(scaler.transform(X), y)
        noise = kernel_.k2.noise_level * model._y_train_std**2

        def predict(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
            mean, std = model.predict(scaler.transform(rows), return_std=True)
            return mean, np.sqrt(np.maximum(std**2 - noise, 0.0))

        return predict

    return believed(state, fit, improvement)


def forest(state: State) -> pd.DataFrame:
    """Choose by a forest, whose trees' spread is the standard deviation, and the upper bound."""

    def fit(X: pd.DataFrame, y: np.ndarray) -> Any:
        model = ExtraTreesRegressor(N_TREES, min_samples_leaf=2, bootstrap=True, random_state=0)
        model.fit(X.to_numpy(), y)

        def predict(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
            values = rows.to_numpy(dtype=np.float32)
            trees = np.array([tree.predict(values) for tree in model.estimators_])
            return trees.mean(axis=0), trees.std(axis=0)

        return predict

    return believed(state, fit, bound)


def at_random(state: State) -> pd.DataFrame:
    """Choose any rows: the control."""
    return state.rows.sample(N_BATCH, random_state=state.seed)


PROCESS = {"predictor": "gaussian_process"}
MEMBERS = {"predictor": "network", "n_members": 5, "bootstrap": True}
EI, UCB = "expected_improvement", "upper_confidence_bound"
WAYS: dict[str, Callable[[State], pd.DataFrame]] = {
    "`propose`, Gaussian process, mean": partial(ours, acquisition="mean", **PROCESS),
    "`propose`, Gaussian process, expected improvement": partial(ours, acquisition=EI, **PROCESS),
    "`propose`, Gaussian process, upper bound": partial(ours, acquisition=UCB, **PROCESS),
    "`propose`, five networks, expected improvement": partial(ours, acquisition=EI, **MEMBERS),
    "scikit-learn's Gaussian process, expected improvement": gaussian_process,
    "forest, upper bound": forest,
    "random rows": at_random,
}


def highest(problem: Problem, box: dict[str, tuple[float, float]]) -> float:
    """Find the highest truth in the box."""
    found = differential_evolution(
        lambda z: -problem.truth(pd.DataFrame(z.T)),
        list(box.values()),
        rng=0,
        vectorized=True,
        updating="deferred",
    )
    return -float(found.fun)


def box_of(z: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Give the ends of each column."""
    return {name: (z[name].min(), z[name].max()) for name in z}


def rounds(problem: Problem, seed: int, way: Callable[[State], pd.DataFrame]) -> Iterator[float]:
    """Give the regret before the first round and after each.

    That is by how much the best row that was measured is below the best that there is, in
    standard deviations of the truth.
    """
    rng, many = np.random.RandomState(seed), draw(2000, np.random.RandomState(99))
    scale, box = problem.truth(many).std(), box_of(many)
    z = draw(N_LIBRARY if problem.has_library else N_START, rng)
    top = problem.truth(z).max() if problem.has_library else highest(problem, box)
    known = z[:N_START]
    y = problem.truth(known) + NOISE * scale * rng.normal(size=len(known))
    yield float(top - problem.truth(known).max()) / scale
    for k in range(N_ROUNDS):
        if problem.has_library:
            choices = z.drop(known.index)
        else:
            low, high = np.array(list(box.values())).T
            values = np.random.RandomState(1000 * seed + k).uniform(
                low, high, (N_RANDOM, len(low))
            )
            choices = pd.DataFrame(values, columns=z.columns)
        rows = problem.columns(choices)
        state = State(
            problem.columns(known), y, rows, problem.has_library, box_of(rows), 100 * seed + k
        )
        if not problem.has_library:
            state = state._replace(box=box)
        found = way(state)
        new = z.loc[found.index] if problem.has_library else found
        known = pd.concat([known, new], ignore_index=not problem.has_library)
        y = np.append(y, problem.truth(new) + NOISE * scale * rng.normal(size=len(new)))
        yield float(top - problem.truth(known).max()) / scale


def main() -> None:
    """Run all problems with all ways."""
    report = Report("design_rounds", __doc__)
    report.text(
        "Rows have the five variables of `make_nested_functions` (independent, z5 up to 10), "
        "anywhere in the box of these, or from a library of "
        f"{N_LIBRARY} rows; once with f1 to f4 in the place of z1 and z2. {N_START} random "
        f"rows are measured, with a noise of {NOISE:g} standard deviations of the truth; "
        f"then {N_ROUNDS} rounds of {N_BATCH} proposals each are measured and learnt from. "
        "*Regret*: by how much the best row that was measured is below the best that there is, "
        "both without noise, in standard deviations of the truth; the mean over "
        f"{N_SEEDS} seeds, and after the last round its standard error. `propose` has an "
        "autoencoder of 5 latents (`learning_rate_init=0.01, max_iter=50`), with "
        '`predictor="gaussian_process"` or five networks on bootstrap samples. The rivals choose '
        f"among {N_RANDOM} random rows of the same box, or among the same library, each next row "
        "as if those before it had what was predicted of them: `GaussianProcessRegressor` (Matérn "
        f"5/2, a length for each column, noise), and `ExtraTreesRegressor` ({N_TREES} trees), "
        "whose trees' spread is its standard deviation. Upper bounds are the mean plus "
        f"{KAPPA:g} standard deviations."
    )
    for problem in PROBLEMS:
        rows = []
        for name, way in WAYS.items():
            regret = np.array([list(rounds(problem, seed, way)) for seed in range(N_SEEDS)])
            means = [f"{mean:.2f}" for mean in regret.mean(axis=0)]
            means[-1] += f" ± {regret[:, -1].std(ddof=1) / np.sqrt(N_SEEDS):.2f}"
            rows.append([name, *means])
        of_rounds = [f"round {k + 1}" for k in range(N_ROUNDS)]
        report.table(f"Regret: {problem.name}", ["way", "at the start", *of_rounds], rows)
    report.close()


if __name__ == "__main__":
    main()
