"""The models of the benchmark of nesting: flat ones, chains, and rivals that know as much."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sknestedae import NestedAutoencoder, SupervisedAutoencoder

from ._nesting_data import Case, DataSet, keys_of

PENALTIES = np.logspace(-3, 3, 13)
N_TREES = 200
N_SEARCH = 400  # rows that a Gaussian process of a first scale finds its kernel on

TREES, PROCESS, BOOSTING, RIDGE = "extra trees", "Gaussian process", "boosting", "ridge"
FLAT = "one autoencoder"
MEASURED = "measured where known"
OUT_OF_FOLD = "extra trees, out of fold"
BY_HAND = f"{BOOSTING}, then {RIDGE}"


# -- peers


class Process(RegressorMixin, BaseEstimator):
    """A Gaussian process whose kernel is found on some of the rows, where there are many."""

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: np.ndarray) -> Process:
        """Find the kernel, then condition on all rows."""
        kernel = ConstantKernel() * RBF(np.sqrt(X.shape[1])) + WhiteKernel(0.1)
        process = GaussianProcessRegressor(
            kernel, normalize_y=True, n_restarts_optimizer=1, random_state=self.random_state
        )
        rows = np.random.RandomState(self.random_state).permutation(len(X))[:N_SEARCH]
        with warnings.catch_warnings():
            # A parameter at its bound, such as no noise, is a result and not a failure.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.process_ = process.fit(X[rows], y[rows])
        if len(rows) < len(X):
            fixed = {"kernel": process.kernel_, "optimizer": None}
            self.process_ = clone(process).set_params(**fixed).fit(X, y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Give the mean."""
        return self.process_.predict(X)


def scaled(model: Any) -> Any:
    """Scale numbers and encode categories before a model."""
    numbers = make_column_selector(dtype_include="number")
    categories = make_column_selector(dtype_include="category")
    columns = make_column_transformer(
        (StandardScaler(), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories),
    )
    return make_pipeline(columns, model)


def peers(data_set: DataSet, seed: int) -> dict[str, Any]:
    """Make the models that are no autoencoders."""
    models = {
        RIDGE: scaled(RidgeCV(PENALTIES)),
        PROCESS: scaled(Process(seed)),
        TREES: scaled(ExtraTreesRegressor(N_TREES, random_state=seed)),
        BOOSTING: HistGradientBoostingRegressor(loss=data_set.boosting_loss, random_state=seed),
    }
    if not data_set.has_processes:
        del models[PROCESS]
    return models


# -- chains


class Setting(NamedTuple):
    """What a chain passes on, and what predicts in each stage."""

    passthrough: str | bool
    first: str
    second: str


NET, GP = "network", "gaussian_process"
DEFAULT = Setting("auto", "auto", "auto")
PAPER = Setting(False, NET, NET)
# What is added in turn; the look-up of measured values cannot be switched off, so that the rows
# in question leave the first table in its place.
ABLATION = {
    "latents alone, network (the paper's)": (PAPER, True),
    "latents alone, Gaussian process": (Setting(False, NET, GP), True),
    "+ columns and prediction of the first network": (Setting(True, NET, GP), False),
    "+ Gaussian process in the first stage": (Setting(True, GP, GP), False),
    "+ measured value where known: the default": (Setting(True, GP, GP), True),
}


def chain(setting: Setting, seed: int, first: Any = None) -> NestedAutoencoder:
    """Make a chain of two stages; a first stage that is fitted stays as it is."""
    if first is None:
        if setting == DEFAULT:
            return NestedAutoencoder(random_state=seed)
        first = SupervisedAutoencoder(predictor=setting.first)
    else:
        first = FrozenEstimator(first)
    # The second stage has the penalty that the default chain gives it.
    second = SupervisedAutoencoder(alpha="auto", predictor=setting.second)
    stages = [("scale0", first, "scale0"), ("scale1", second, "scale1")]
    return NestedAutoencoder(stages, passthrough=setting.passthrough, random_state=seed)


def paper_chain(seed: int, first: Any = None) -> NestedAutoencoder:
    """Make the chain as the paper has it: latents alone are passed on, networks predict."""
    return chain(PAPER, seed, first)


def fit_chain(case: Case, setting: Setting, seed: int, first: Any = None) -> NestedAutoencoder:
    """Fit a chain to both scales."""
    X_list, y_list = [case.first, case.second], [case.first_property, case.target]
    return chain(setting, seed, first).fit(X_list, y_list)


def predict_chain(nae: NestedAutoencoder, case: Case) -> np.ndarray:
    """Predict the target of new rows; a list needs a table of the first scale as well."""
    return np.ravel(nae.predict([case.first.iloc[:1], case.test])[-1])


def without_known(case: Case) -> Case:
    """Take the rows of the second scale out of the first table."""
    known = set(keys_of(pd.concat([case.second, case.test])[case.first.columns]))
    is_other = np.array([key not in known for key in keys_of(case.first)])
    return case._replace(
        key=f"{case.key}, without {len(case.second)} rows",
        first=case.first[is_other],
        first_property=case.first_property[is_other],
    )


class Reuse(NamedTuple):
    """Whether first stages serve again, which saves most of the time.

    Parameters
    ----------
    stages : bool
        Whether a chain on a first stage that was fitted in another chain is the whole chain.
    latents : bool
        Whether latents do not depend on what predicts.
    """

    stages: bool
    latents: bool


def find_reuse(case: Case, other: Case, seed: int) -> Reuse:
    """Compare whole chains with those on the first stage of a default chain of another case."""
    first = fit_chain(other, DEFAULT, seed)["scale0"]
    is_same = []
    for setting in (DEFAULT, PAPER):
        whole = predict_chain(fit_chain(case, setting, seed), case)
        frozen = predict_chain(fit_chain(case, setting, seed, first), case)
        is_same.append(np.allclose(whole, frozen, rtol=1e-6, atol=1e-9))
    return Reuse(stages=is_same[0], latents=all(is_same))


# -- what is fitted to the first scale


class FirstScale:
    """Models of one first table, each fitted when it is first asked for.

    Parameters
    ----------
    data_set : DataSet
    case : Case
    seed : int
    reuse : Reuse
    """

    def __init__(self, data_set: DataSet, case: Case, seed: int, reuse: Reuse) -> None:
        self.data_set = data_set
        self.reuse = reuse
        self.X, self.y = case.first, case.first_property
        self.seed = seed
        self._models: dict[str, Any] = {}
        self._stages: dict[str, Any] = {}

    def predict(self, name: str, rows: pd.DataFrame) -> np.ndarray:
        """Predict the property by one of the peers."""
        if name not in self._models:
            model = peers(self.data_set, self.seed)[name]
            self._models[name] = model.fit(self.X, self.y)
        return self._models[name].predict(rows[self.X.columns])

    @cached_property
    def _means(self) -> pd.Series:
        return pd.Series(self.y, keys_of(self.X)).groupby(level=0).mean()

    @cached_property
    def _out_of_fold(self) -> pd.Series:
        model = peers(self.data_set, self.seed)[TREES]
        folds = KFold(5, shuffle=True, random_state=self.seed)
        predicted = cross_val_predict(model, self.X, self.y, cv=folds)
        return pd.Series(predicted, keys_of(self.X)).groupby(level=0).mean()

    def _where_known(self, known: pd.Series, rows: pd.DataFrame, otherwise: str) -> np.ndarray:
        found = known.reindex(keys_of(rows[self.X.columns])).to_numpy()
        return np.where(np.isnan(found), self.predict(otherwise, rows), found)

    def column(self, name: str, rows: pd.DataFrame) -> np.ndarray:
        """Give the property of rows as one more column, of shape (n_samples,)."""
        if name == MEASURED:
            return self._where_known(self._means, rows, PROCESS)
        if name == OUT_OF_FOLD:
            return self._where_known(self._out_of_fold, rows, TREES)
        return self.predict(name, rows)

    def predict_chain(self, case: Case, setting: Setting) -> np.ndarray:
        """Fit a chain, on a first stage that was fitted before if there is one; predict."""
        first = self._first_stage(setting) if self.reuse.stages else None
        nae = fit_chain(case, setting, self.seed, first)
        if first is None:
            self._stages[setting.first] = nae["scale0"]
        return predict_chain(nae, case)

    def _first_stage(self, setting: Setting) -> Any:
        """Give a fitted first stage that serves a setting, or None."""
        default = self._stages.get(DEFAULT.first)
        if default is not None and self.reuse.latents:
            # What predicts the property matters to the next stage only if that is passed on.
            passes_latents_alone = setting.passthrough is False
            if passes_latents_alone or default.predictor_ == setting.first:
                return default
        return self._stages.get(setting.first)


# -- models that are compared


def flat_models(data_set: DataSet, seed: int, with_ours: bool) -> dict[str, Any]:
    """Make the models that see the rows of the second scale alone."""
    ours = {FLAT: SupervisedAutoencoder(random_state=seed)} if with_ours else {}
    return ours | peers(data_set, seed)


def columns_of(data_set: DataSet, is_new: bool) -> list[str]:
    """Say by what the property is predicted for a model that gets it as a column.

    Extra trees give back what was measured of a row that they were fitted to. Where training
    rows stand in the first table and new ones do not, they are asked out of fold as well.
    """
    names = [TREES, PROCESS] if data_set.has_processes else [TREES]
    if data_set.cases_overlap:
        names.append(MEASURED)
    return [*names, OUT_OF_FOLD] if is_new else names


def with_column(model: Any, case: Case, first: FirstScale, name: str) -> np.ndarray:
    """Fit a model that gets the property as one more column, and predict new rows."""
    train, test = (
        rows.assign(property=first.column(name, rows)) for rows in (case.second, case.test)
    )
    return np.ravel(model.fit(train, case.target).predict(test))


def co_kriging(case: Case, first: FirstScale, name: str) -> np.ndarray:
    """Take a + b · property by least squares, then a Gaussian process of the rest."""
    train, test = (first.column(name, rows)[:, None] for rows in (case.second, case.test))
    linear = LinearRegression().fit(train, case.target)
    rest = case.target - linear.predict(train)
    process = scaled(Process(first.seed)).fit(case.second, rest)
    return linear.predict(test) + process.predict(case.test)


def by_column(
    data_set: DataSet, case: Case, first: FirstScale, is_new: bool, with_ours: bool
) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Give the rivals that know both scales: name, and how to predict new rows."""
    for name in columns_of(data_set, is_new):
        heads = flat_models(data_set, first.seed, with_ours and name == TREES)
        for head, model in heads.items():
            yield f"{name}, then {head}", partial(with_column, model, case, first, name)
        if data_set.has_processes:
            yield f"co-kriging on {name}", partial(co_kriging, case, first, name)
    for head in [RIDGE] if data_set.has_processes else [RIDGE, BOOSTING]:
        model = peers(data_set, first.seed)[head]
        yield f"{BOOSTING}, then {head}", partial(with_column, model, case, first, BOOSTING)
